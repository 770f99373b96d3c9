//! Connections: in through the gate, and an end that lets requests finish.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Answer;
use super::body::Gathered;
use super::limits::{Entry, Gate};
use super::patience::Patient;

/// The rest after an `accept` that failed, for want of file descriptors as a rule.
const REST: Duration = Duration::from_millis(20);

/// How many headers a request may have.
const HEADERS: usize = 100;

/// What is read ahead of a connection at the most. A head must fit, whatever its limit.
const READ_AHEAD_BYTES: usize = 32 << 10;

/// What a client is told for whom there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    content-type: application/x-amz-json-1.0\r\ncontent-length: 116\r\n\r\n\
    {\"__type\":\"com.amazon.coral.service#ServiceUnavailableException\",\"message\":\"There are \
    too many connections already\"}";

/// How a server came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All requests in flight had their answers.
    Finished,
    /// So many connections were cut off when the time of grace was over.
    CutOff(usize),
}

/// Serves `service` on `listener` until `shutdown` is ready; then takes no more connections, lets the requests
/// in flight finish (for [`Limits::grace`](super::Limits::grace) at the most), and returns when no handler runs any
/// more.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    gate: Arc<Gate>,
    shutdown: impl Future<Output = ()>,
) -> Ended
where
    S: tower_service::Service<Request<Incoming>, Response = Answer, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    let limits = gate.limits().clone();
    let mut http = http1::Builder::new();
    // Answers are sent from where they lie: copied, a large one would not count any more.
    http.writev(true)
        // A client that has said all may still listen.
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(HEADERS)
        .max_header_size(limits.head_bytes)
        .max_buf_size(READ_AHEAD_BYTES.max(limits.head_bytes + 1024));
    let (ending, running, cut) =
        (GracefulShutdown::new(), TaskTracker::new(), CancellationToken::new());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                time::sleep(REST).await;
                continue;
            }
        };
        let Some(entry) = gate.enter() else {
            turn_away(&stream);
            continue;
        };
        // Answers are small and complete: there is nothing to wait for before sending one.
        let _ = stream.set_nodelay(true);
        let socket = TokioIo::new(Patient::new(stream, limits.patience));
        let service = TowerToHyperService::new(service.clone());
        let service =
            service_fn(move |request| service.call(request).map_ok(|answer| answer.map(Gathered)));
        let connection = ending.watch(http.serve_connection(socket, service));
        running.spawn(attend(connection, entry, cut.clone()));
    }
    drop(listener);
    running.close();
    let finished = time::timeout(limits.grace, ending.shutdown()).await.is_ok();
    let left = running.len();
    cut.cancel();
    running.wait().await;
    if finished { Ended::Finished } else { Ended::CutOff(left) }
}

/// Stays with a connection until it ends, or is cut off. What can fail is the client's end, which is no news.
async fn attend<E>(
    connection: impl Future<Output = Result<(), E>>,
    entry: Entry,
    cut: CancellationToken,
) {
    tokio::select! {
        _ = connection => {}
        () = cut.cancelled() => {}
    }
    drop(entry);
}

/// Says that there is no place, if that can be said without waiting.
#[cold]
fn turn_away(stream: &TcpStream) {
    let _ = stream.try_write(FULL);
    tracing::debug!("a connection was turned away: there are too many already");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_without_a_place_has_the_length_that_it_names() {
        let text = std::str::from_utf8(FULL).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
