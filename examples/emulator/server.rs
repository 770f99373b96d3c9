//! The socket: connections in, requests to [`respond`](crate::respond), and an end that
//! lets the requests in flight finish.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::{task, time};

use crate::calls::Emulator;
use crate::http::respond;

/// How long requests in flight may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// The rest after an `accept` that failed, for want of file descriptors as a rule.
const REST: Duration = Duration::from_millis(20);

/// How often items expire by the system's clock.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// Lets items expire, for ever. A manual clock does so itself, when it is turned.
async fn expire(emulator: Arc<Emulator>) {
    let mut ticks = time::interval(EXPIRE_EVERY);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let emulator = Arc::clone(&emulator);
        match task::spawn_blocking(move || emulator.expire()).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => {
                eprintln!("items did not expire: {}", String::from_utf8_lossy(&fault.body));
            }
            Err(fault) => eprintln!("items did not expire: {fault}"),
        }
    }
}

/// What is done in intervals is not done more often than this.
const SHORTEST: Duration = Duration::from_millis(1);

/// Does what is due in streams that nobody comes to, for ever.
async fn maintain(emulator: Arc<Emulator>) {
    let mut ticks = time::interval(emulator.config.maintain_every.max(SHORTEST));
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let emulator = Arc::clone(&emulator);
        if let Err(fault) = task::spawn_blocking(move || emulator.store().maintain()).await {
            eprintln!("streams were not maintained: {fault}");
        }
    }
}

/// Serves `emulator` on `listener` until `shutdown` is ready; then takes no more
/// connections, lets the requests in flight finish (for at most ten seconds), and returns. Meanwhile items
/// expire each second, unless the clock is a manual one, and streams that nobody comes to give up what is old
/// ([`Config::maintain_every`](crate::Config::maintain_every)).
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] if requests were cut off at the end.
pub async fn serve(
    listener: TcpListener,
    emulator: Arc<Emulator>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut http = http1::Builder::new();
    http.pipeline_flush(true);
    let connections = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    // Ends with this call, however it ends.
    let mut background = task::JoinSet::new();
    background.spawn(maintain(Arc::clone(&emulator)));
    if emulator.config.manual_clock.is_none() {
        background.spawn(expire(Arc::clone(&emulator)));
    }
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(_) => {
                time::sleep(REST).await;
                continue;
            }
        };
        // Answers are small and complete: there is nothing to wait for before sending one.
        let _ = stream.set_nodelay(true);
        let emulator = Arc::clone(&emulator);
        let service = service_fn(move |request| {
            let emulator = Arc::clone(&emulator);
            async move { Ok::<_, Infallible>(respond(&emulator, request).await) }
        });
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
        task::spawn(async move {
            // What can fail is the client's end of the connection, which is no news.
            let _ = connection.await;
        });
    }
    drop(listener);
    drop(background);
    time::timeout(GRACE, connections.shutdown()).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, "requests still in flight were cut off")
    })
}
