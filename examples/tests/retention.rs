//! Options of the emulator: what streams keep, when shards roll, and how often the API may be called.

mod common;
#[path = "common/control.rs"]
mod control;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::process::Process;
use common::{Client, table};
use serde_json::{Value, json};
use streamcore::stream::ManualClock;
use streamcore_emulator::{Config, Emulator, serve};
use tokio::net::TcpListener;

const NOW_MS: u64 = 1_795_348_800_000;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// An emulator as a process, with a clock that stands still, and a table `things`.
struct Server(Process);

impl Server {
    fn start(options: &[&str]) -> Self {
        let now = NOW_MS.to_string();
        let server = Self(Process::start_with(&[&["--manual-clock", &now], options].concat()));
        let keys = [("pk", "S", "HASH")];
        server.ok("DynamoDB", "CreateTable", &table("things", &keys, Some("NEW_IMAGE")));
        server
    }

    fn call(&self, api: &str, operation: &str, body: &Value) -> (u16, Value) {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&self.0.address).expect("it listens");
        let body = body.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: any\r\n\
             X-Amz-Target: {api}_20120810.{operation}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).expect("JSON"))
    }

    #[track_caller]
    fn ok(&self, api: &str, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.call(api, operation, body);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn put(&self, pk: &str, bytes: usize) {
        let item = json!({ "pk": { "S": pk }, "text": { "S": "x".repeat(bytes) } });
        self.ok("DynamoDB", "PutItem", &json!({ "TableName": "things", "Item": item }));
    }

    /// The shards as the control API shows them: their lineage and figures.
    fn shards(&self) -> Vec<Value> {
        let shown = control::get(&self.0.address, "streams");
        shown["streams"][0]["shards"].as_array().expect("shards").clone()
    }

    fn advance(&self, by_ms: u64) {
        control::advance(&self.0.address, by_ms);
    }
}

#[test]
fn records_are_kept_for_as_many_hours_as_were_asked_for() {
    let server = Server::start(&["--retain-hours", "2"]);
    server.put("a", 10);
    server.advance(HOUR_MS);
    server.put("b", 10);
    server.advance(HOUR_MS);
    assert_eq!(server.shards()[0]["trimmed"], 0, "exactly two hours old");
    server.advance(1);
    assert_eq!(server.shards()[0]["trimmed"], 1);
    server.advance(HOUR_MS);
    assert_eq!(server.shards()[0]["trimmed"], 2);
}

#[test]
fn without_options_records_are_kept_for_a_day_and_shards_roll_after_four_hours() {
    let server = Server::start(&[]);
    server.put("a", 10);
    server.advance(4 * HOUR_MS - 1);
    assert_eq!(server.shards().len(), 1);
    server.advance(1);
    assert_eq!(server.shards().len(), 2);
    server.advance(20 * HOUR_MS);
    assert_eq!(server.shards()[0]["trimmed"], 0);
    server.advance(1);
    assert_eq!(server.shards()[0]["trimmed"], 1);
}

#[test]
fn shards_roll_after_as_many_hours_as_were_asked_for() {
    let server = Server::start(&["--roll-hours", "1", "--shards", "2"]);
    for hours in 1..=3 {
        server.advance(HOUR_MS - 1);
        assert_eq!(server.shards().len(), 2 * hours);
        server.advance(1);
        let shards = server.shards();
        assert_eq!(shards.len(), 2 * hours + 2);
        assert!(shards[2 * hours..].iter().all(|shard| shard["open"] == true), "{shards:?}");
        assert!(shards[..2 * hours].iter().all(|shard| shard["open"] == false), "{shards:?}");
    }
}

#[test]
fn a_shard_keeps_as_many_records_as_were_asked_for() {
    let server = Server::start(&["--retain-records", "100", "--retain-bytes", "1000000000"]);
    for n in 0..600 {
        server.put(&format!("k{n}"), 10);
    }
    let shard = &server.shards()[0];
    let figure = |name: &str| shard[name].as_u64().expect("a number");
    let kept = figure("tail") - figure("trimmed");
    assert_eq!(figure("tail"), 600);
    assert!((100..300).contains(&kept), "{kept} are kept");
}

#[test]
fn all_streams_together_keep_as_many_bytes_as_were_asked_for() {
    let server = Server::start(&["--retain-bytes", "1000000"]);
    for n in 0..60 {
        server.put(&format!("k{n}"), 50_000);
    }
    let shard = &server.shards()[0];
    let figure = |name: &str| shard[name].as_u64().expect("a number");
    let kept = figure("tail") - figure("trimmed");
    // An image may be held twice: as it came, and as it is shown.
    assert!((5..=20).contains(&kept), "{kept} records of 50 KB are kept");
}

#[test]
fn calls_above_the_rates_are_refused_until_the_clock_goes_on() {
    let server = Server::start(&["--rate-limits"]);
    let listed = server.ok("DynamoDBStreams", "ListStreams", &json!({}));
    let arn = &listed["Streams"][0]["StreamArn"];
    let describe = || {
        let (status, answer) =
            server.call("DynamoDBStreams", "DescribeStream", &json!({ "StreamArn": arn }));
        (status, answer["__type"].clone())
    };
    let throttled = (400, json!("com.amazonaws.dynamodb.v20120810#ThrottlingException"));
    for _ in 0..10 {
        assert_eq!(describe().0, 200);
    }
    assert_eq!(describe(), throttled);
    server.advance(100);
    assert_eq!((describe().0, describe()), (200, throttled));

    let shard = server.shards()[0]["shardId"].clone();
    let request =
        json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = server.ok("DynamoDBStreams", "GetShardIterator", &request);
    for _ in 0..10 {
        server.ok("DynamoDBStreams", "GetRecords", &iterator);
    }
    let (status, answer) = server.call("DynamoDBStreams", "GetRecords", &iterator);
    let expected = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#LimitExceededException",
        "message": "Rate exceeded: GetRecords can be called 10 times per second for a shard",
    });
    assert_eq!((status, answer), (400, expected));
    server.advance(100);
    server.ok("DynamoDBStreams", "GetRecords", &iterator);
}

#[test]
fn without_the_option_there_are_no_rates() {
    let server = Server::start(&[]);
    let listed = server.ok("DynamoDBStreams", "ListStreams", &json!({}));
    let arn = &listed["Streams"][0]["StreamArn"];
    for _ in 0..50 {
        server.ok("DynamoDBStreams", "DescribeStream", &json!({ "StreamArn": arn }));
    }
}

#[test]
fn what_is_due_is_done_when_the_clock_is_turned_before_anybody_looks() {
    let client = Client::with_table_at(NOW_MS);
    client.put(json!({ "pk": { "S": "a" } }));
    // Figures change nothing; descriptions would.
    let stream = client.0.store().stream(&client.stream_arn("things")).expect("a stream");
    let figures = || -> Vec<(u64, u64)> {
        stream.stats().shards.iter().map(|(_, log)| (log.trimmed, log.appended)).collect()
    };
    client.0.advance_clock(4 * HOUR_MS).expect("a manual clock");
    assert_eq!(figures(), [(0, 1), (0, 0)], "it has rolled");
    client.0.advance_clock(20 * HOUR_MS + 1).expect("a manual clock");
    assert_eq!(figures()[0], (1, 1), "its record is gone");
    client.0.advance_clock(4 * HOUR_MS).expect("a manual clock");
    assert_eq!(figures()[0], (0, 0), "the first shard is forgotten");
}

/// The clock is not turned by the emulator here, so nobody but the interval can have done it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_is_done_in_intervals_without_puts_or_readers() {
    let clock = Arc::new(ManualClock::at_ms(NOW_MS));
    let config = Config {
        manual_clock: Some(Arc::clone(&clock)),
        retain_for: Some(Duration::from_secs(60)),
        retain_records: NonZeroU64::new(1_000_000),
        roll_after: Some(Duration::from_secs(100 * 3600)),
        maintain_every: Duration::from_millis(1),
        ..Config::default()
    };
    let client = Client(Emulator::new(config));
    client.ok("CreateTable", table("things", &[("pk", "S", "HASH")], Some("KEYS_ONLY")));
    client.put(json!({ "pk": { "S": "a" } }));
    let stream = client.0.store().stream(&client.stream_arn("things")).expect("a stream");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, Arc::new(client.0), async {
        let _ = stopped.await;
    }));
    clock.advance_ms(60_001);
    let began = Instant::now();
    while stream.stats().shards[0].1.trimmed == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody gave up the record");
        tokio::task::yield_now().await;
    }
    stop.send(()).expect("it is still there");
    served.await.expect("no panic").expect("a clean end");
}
