//! What clients cannot do to a server: fill it, stop it, or keep it waiting.
//!
//! The limits here are small, so that each is reached at once. What a thousand such clients do to normal ones is
//! measured by the example `siege`.

use std::sync::Arc;
use std::time::Duration;

use streamcore::Store;
use streamcore::wire::StreamsApi;
use streamcore_emulator::service::{
    Call, DynamoDb, Ended, Failure, Gate, LEAST_BYTES, Limits, TableHost, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How large the answer to `Large` is: more than what sockets take in on their way.
const LARGE_BYTES: usize = 32 << 20;

/// A host that does what tests ask for.
struct Host;

impl TableHost for Host {
    async fn call(&self, call: Call<'_>) -> Result<Vec<u8>, Failure> {
        match call.operation {
            "Echo" => Ok(call.body.to_vec()),
            "Large" => Ok(vec![b' '; LARGE_BYTES]),
            "Panic" => panic!("as asked for"),
            "Never" => std::future::pending().await,
            other => Err(Failure::unknown_operation(other)),
        }
    }
}

/// A server with some limits, in this process.
struct Server {
    address: String,
    gate: Arc<Gate>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Ended>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let gate = Gate::new(limits);
        let service =
            DynamoDb::new(Arc::new(Host), StreamsApi::new(Store::new()), Arc::clone(&gate));
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let ended = tokio::spawn(serve(listener, service, Arc::clone(&gate), shutdown));
        Self { address, gate, stop, ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.expect("it listens")
    }

    /// Sends something, and reads all until the server closes.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        read_to_end(&mut stream).await
    }

    async fn assert_serves(&self) {
        let answer = self.say(request("Echo", "{}", "Connection: close\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{}"), "{answer}");
    }

    async fn stop(self) -> Ended {
        let _ = self.stop.send(());
        self.ended.await.expect("it ends")
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset has said all that it will.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(operation: &str, body: &str, more: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4\r\nX-Amz-Target: \
         DynamoDB_20120810.{operation}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Waits until something is so, and fails if that takes for ever.
async fn until(what: impl Fn() -> bool) {
    let waits = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waits).await.expect("it comes to be so");
}

const SOON: Duration = Duration::from_millis(200);

#[tokio::test]
async fn there_is_room_for_so_many_connections_and_again_when_one_ends() {
    let server = Server::start(Limits { connections: 2, ..Limits::default() }).await;
    let (first, _second) = (server.connect().await, server.connect().await);
    until(|| server.gate.open_connections() == 2).await;
    let answer = read_to_end(&mut server.connect().await).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("There are too many connections already\"}"), "{answer}");
    assert_eq!(server.gate.turned_away(), 1);
    drop(first);
    until(|| server.gate.open_connections() == 1).await;
    server.assert_serves().await;
}

#[tokio::test]
async fn a_head_may_be_so_long_and_have_so_many_headers() {
    let server = Server::start(Limits { head_bytes: 8 << 10, ..Limits::default() }).await;
    let long = format!("X-Long: {}\r\n", "x".repeat(9 << 10));
    let answer = server.say(request("Echo", "{}", &long).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many: String = (0..101).map(|number| format!("X-{number}: 1\r\n")).collect();
    let answer = server.say(request("Echo", "{}", &many).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    // A line without an end is no way around it.
    let answer = server.say(&[b'x'; 1 << 20]).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.assert_serves().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_is_not_waited_for() {
    let server = Server::start(Limits { head_time: SOON, ..Limits::default() }).await;
    for begun in ["", "P", "POST / HTTP/1.1\r\nHost: x\r\n"] {
        let answer = server.say(begun.as_bytes()).await;
        assert!(!answer.contains("200"), "{answer}");
    }
    until(|| server.gate.open_connections() == 0).await;
    server.assert_serves().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_refused_by_name() {
    let server = Server::start(Limits { patience: SOON, ..Limits::default() }).await;
    let begun = request("Echo", "", "").replace("Length: 0", "Length: 1000") + "{";
    let answer = server.say(begun.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("RequestTimeoutException"), "{answer}");
    let chunked =
        request("Echo", "", "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let answer = server.say((chunked + "1\r\n{\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    server.assert_serves().await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_dropped() {
    let limits =
        Limits { patience: SOON, bytes_in_flight: LARGE_BYTES + LEAST_BYTES, ..Limits::default() };
    let server = Server::start(limits).await;
    let mut deaf = server.connect().await;
    deaf.write_all(request("Large", "", "").as_bytes()).await.expect("sent");
    until(|| server.gate.bytes_in_flight() >= LARGE_BYTES).await;
    // While it takes all the room, others are told to try again; small answers pass.
    let answer = server.say(request("Large", "", "Connection: close\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{}", &answer[..answer.len().min(99)]);
    assert!(answer.contains("try again"));
    server.assert_serves().await;
    until(|| server.gate.bytes_in_flight() == 0).await;
    let answer = server.say(request("Large", "", "Connection: close\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.len() > LARGE_BYTES);
    drop(deaf);
}

#[tokio::test]
async fn who_closes_the_sending_half_still_gets_the_answer() {
    let server = Server::start(Limits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(request("Echo", "{\"a\":1}", "").as_bytes()).await.expect("sent");
    stream.shutdown().await.expect("half closed");
    let answer = read_to_end(&mut stream).await;
    assert!(answer.ends_with("{\"a\":1}"), "{answer}");
    // Nothing is left of a client that goes in the middle of a body.
    let mut stream = server.connect().await;
    let begun = request("Echo", "", "").replace("Length: 0", "Length: 1000") + "{";
    stream.write_all(begun.as_bytes()).await.expect("sent");
    drop(stream);
    until(|| server.gate.open_connections() == 0).await;
}

#[tokio::test]
async fn a_panic_is_answered_and_the_server_lives() {
    let server = Server::start(Limits::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(request("Panic", "{}", "").as_bytes()).await.expect("sent");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 500");
        // On the same connection: the rest of this answer stands before the next.
        let mut rest = String::new();
        while !rest.ends_with("it goes on serving\"}") {
            rest.push(char::from(stream.read_u8().await.expect("the rest")));
        }
    }
    server.assert_serves().await;
}

#[tokio::test]
async fn whatever_is_no_http_is_not_answered_with_success() {
    let server = Server::start(Limits::default()).await;
    for junk in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ] {
        let answer = server.say(junk).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{junk:?}: {answer}");
    }
    server.assert_serves().await;
}

#[tokio::test]
async fn at_the_end_grace_is_given_and_then_no_more() {
    let server = Server::start(Limits { grace: SOON, ..Limits::default() }).await;
    let mut idle = server.connect().await;
    let mut hanging = server.connect().await;
    hanging.write_all(request("Never", "{}", "").as_bytes()).await.expect("sent");
    let gate = Arc::clone(&server.gate);
    until(|| gate.open_connections() == 2).await;
    server.assert_serves().await;
    until(|| gate.open_connections() == 2).await;
    assert_eq!(server.stop().await, Ended::CutOff(1));
    assert_eq!(gate.open_connections(), 0);
    assert_eq!(read_to_end(&mut idle).await, "");
    assert_eq!(read_to_end(&mut hanging).await, "");
}
