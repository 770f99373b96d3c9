//! Those who besiege: each kind of slow or hostile client, as many of each.

use std::time::Duration;

use clap::ValueEnum;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::clients::request;

/// The kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Connects, and says nothing.
    Silent,
    /// Sends a head, a byte each second.
    SlowHead,
    /// Announces a megabyte, and sends a kilobyte each second.
    SlowBody,
    /// Asks for large answers, and reads none.
    Deaf,
    /// Sends half a request, and closes the sending half.
    Half,
    /// Sends what is no HTTP.
    Junk,
    /// Sends a head without end.
    HugeHead,
    /// Announces sixteen megabytes, sends one, and resets the connection.
    Abort,
    /// Sends many requests at once, and reads no answer.
    Pipeline,
    /// Nests brackets as deep as a body can hold.
    Deep,
}

/// The rest between two of a slow client's acts.
const REST: Duration = Duration::from_secs(1);

/// After so long a client comes again whose connection has ended.
const AWAY: Duration = Duration::from_secs(3);

/// Besieges a server for a time, on one thread, with as many of each kind.
pub(crate) fn besiege(address: &str, connections: usize, kinds: &[Kind], time: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        return;
    };
    runtime.block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for (index, kind) in (0..connections).zip(kinds.iter().copied().cycle()) {
            let address = address.to_owned();
            all.spawn(async move {
                // Not all in the same moment.
                sleep(AWAY.mul_f64(index as f64 / connections as f64)).await;
                loop {
                    // Whatever the server does to it, it comes again.
                    let _ = act(kind, &address).await;
                    sleep(AWAY).await;
                }
            });
        }
        let _ = timeout(time, async { while all.join_next().await.is_some() {} }).await;
    });
}

async fn act(kind: Kind, address: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    match kind {
        Kind::Silent => {
            stream.read_u8().await?;
        }
        Kind::SlowHead => {
            for byte in request("Scan", "{}").bytes() {
                stream.write_all(&[byte]).await?;
                sleep(REST).await;
            }
        }
        Kind::SlowBody => {
            let announced = "Content-Length: 1000000";
            let head = request("PutItem", "").replace("Content-Length: 0", announced);
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 1024]).await?;
                sleep(REST).await;
            }
        }
        Kind::Deaf => {
            let large = request("Scan", r#"{"TableName": "besieged"}"#);
            stream.write_all(large.as_bytes()).await?;
            // Until the server has enough of it.
            while stream.ready(tokio::io::Interest::ERROR).await.is_err() {}
        }
        Kind::Half => {
            let whole = request("PutItem", r#"{"TableName": "besieged"}"#);
            stream.write_all(&whole.as_bytes()[..whole.len() / 2]).await?;
            stream.shutdown().await?;
            stream.read_u8().await?;
        }
        Kind::Junk => {
            stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 13, 10, 13, 10]).await?;
            stream.read_u8().await?;
        }
        Kind::HugeHead => {
            stream.write_all(b"POST / HTTP/1.1\r\nX-Long: ").await?;
            loop {
                stream.write_all(&[b'x'; 4096]).await?;
            }
        }
        Kind::Abort => {
            let announced = "Content-Length: 16000000";
            let head = request("PutItem", "").replace("Content-Length: 0", announced);
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&vec![b' '; 1 << 20]).await?;
            // What is unread at the other end is thrown away, and so is the connection.
            stream.set_zero_linger()?;
        }
        Kind::Pipeline => {
            let many = request("DescribeTable", r#"{"TableName": "besieged"}"#).repeat(25);
            stream.write_all(many.as_bytes()).await?;
            sleep(REST).await;
        }
        Kind::Deep => {
            let body = format!(r#"{{"TableName": "besieged", "Item": {}"#, "[".repeat(100_000));
            stream.write_all(request("PutItem", &body).as_bytes()).await?;
            stream.read_u8().await?;
        }
    }
    Ok(())
}
