//! The figures at `/_metrics`: true, in Prometheus' form, and of bounded number.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::process::Process;
use serde_json::{Value, json};

/// Sends a request; returns the status and the body.
fn send(server: &Process, first_line: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(&server.address).expect("it listens");
    let head = format!(
        "{first_line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

fn call(server: &Process, operation: &str, body: Value) -> Value {
    let streams = ["ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"];
    let api = if streams.contains(&operation) { "DynamoDBStreams" } else { "DynamoDB" };
    let headers = format!("Authorization: AWS4\r\nX-Amz-Target: {api}_20120810.{operation}\r\n");
    let (_, answer) = send(server, "POST /", &headers, &body.to_string());
    serde_json::from_str(&answer).expect("JSON")
}

fn figures(server: &Process) -> String {
    let (status, text) = send(server, "GET /_metrics", "", "");
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
    text
}

/// The value of a figure.
#[track_caller]
fn value(text: &str, figure: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {figure} in\n{text}")).parse().expect("a number")
}

#[test]
fn what_happened_to_a_stream_is_what_is_counted() {
    let server = Process::start();
    let table = call(
        &server,
        "CreateTable",
        common::table("things", &[("pk", "S", "HASH")], Some("NEW_IMAGE")),
    );
    let arn = table["TableDescription"]["LatestStreamArn"].as_str().expect("a stream");
    let label = table["TableDescription"]["LatestStreamLabel"].as_str().expect("a label");
    for number in 0..7 {
        let item = json!({ "pk": { "S": number.to_string() } });
        call(&server, "PutItem", json!({ "TableName": "things", "Item": item }));
    }
    call(&server, "PutItem", json!({ "TableName": "nothing", "Item": {} }));
    let described = call(&server, "DescribeStream", json!({ "StreamArn": arn }));
    let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
    let from = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = call(&server, "GetShardIterator", from)["ShardIterator"].clone();
    let records = call(&server, "GetRecords", json!({ "ShardIterator": iterator, "Limit": 5 }));
    assert_eq!(records["Records"].as_array().expect("records").len(), 5);
    let length = records.to_string().len() as f64;

    let text = figures(&server);
    let of_stream = |name: &str| {
        value(&text, &format!("streamcore_stream_{name}{{table=\"things\",stream=\"{label}\"}}"))
    };
    assert_eq!(of_stream("records_put_total"), 7.0);
    assert_eq!(of_stream("records_read_total"), 5.0);
    assert_eq!(of_stream("read_bytes_total"), length);
    assert_eq!(of_stream("records_trimmed_total"), 0.0);
    assert_eq!(of_stream("records_retained"), 7.0);
    assert_eq!((of_stream("shards"), of_stream("shards_open")), (1.0, 1.0));
    assert_eq!((of_stream("prefix_lag"), of_stream("pins")), (0.0, 0.0));
    assert!(of_stream("segments_live") >= 1.0);
    assert_eq!(of_stream("shards_waited_for"), 0.0);
    let requests = |operation: &str, status: u16| {
        value(
            &text,
            &format!("streamcore_requests_total{{operation=\"{operation}\",status=\"{status}\"}}"),
        )
    };
    assert_eq!((requests("PutItem", 200), requests("PutItem", 400)), (7.0, 1.0));
    assert_eq!(requests("GetRecords", 200), 1.0);
    assert_eq!(value(&text, "streamcore_request_seconds_count{operation=\"PutItem\"}"), 8.0);
    assert_eq!(value(&text, "streamcore_items"), 7.0);
    assert_eq!(value(&text, "streamcore_tables"), 1.0);
    assert!(value(&text, "streamcore_connections") >= 1.0);
}

#[test]
fn a_counter_does_not_fall_when_shards_are_forgotten_or_streams_go() {
    let server = Process::start_with(&["--manual-clock", "2026-01-01T00:00:00Z"]);
    let table = call(
        &server,
        "CreateTable",
        common::table("things", &[("pk", "S", "HASH")], Some("NEW_IMAGE")),
    );
    let label = table["TableDescription"]["LatestStreamLabel"].as_str().expect("a label");
    let put = |number: u32| {
        let item = json!({ "pk": { "S": number.to_string() } });
        call(&server, "PutItem", json!({ "TableName": "things", "Item": item }));
    };
    let series = format!("{{table=\"things\",stream=\"{label}\"}}");
    let mut shards = Vec::new();
    // Each round takes a day and a half: shards of the first round are forgotten in the second.
    for round in 1..=4 {
        put(2 * round);
        put(2 * round + 1);
        let text = figures(&server);
        assert_eq!(
            value(&text, &format!("streamcore_stream_records_put_total{series}")),
            f64::from(2 * round)
        );
        shards.push(value(&text, &format!("streamcore_stream_shards{series}")));
        let (status, _) =
            send(&server, "POST /_streams/api/clock", "", r#"{"advanceMs": 129600000}"#);
        assert_eq!(status, 200);
    }
    assert!(shards.iter().all(|count| *count <= 3.0), "none was forgotten: {shards:?}");
    let text = figures(&server);
    assert_eq!(value(&text, &format!("streamcore_stream_records_trimmed_total{series}")), 8.0);
}

#[test]
fn there_are_not_more_labels_than_a_hundred_streams_need() {
    let server = Process::start();
    for number in 0..103 {
        let name = format!("things-{number:03}");
        call(
            &server,
            "CreateTable",
            common::table(&name, &[("pk", "S", "HASH")], Some("NEW_IMAGE")),
        );
        let item = json!({ "pk": { "S": "a" } });
        call(&server, "PutItem", json!({ "TableName": name, "Item": item }));
    }
    let text = figures(&server);
    let of_streams =
        text.lines().filter(|line| line.starts_with("streamcore_stream_records_put_total{"));
    assert_eq!(of_streams.count(), 101);
    let others = "streamcore_stream_records_put_total{table=\"(others)\",stream=\"(others)\"}";
    assert_eq!(value(&text, others), 3.0);
    for junk in ["Junk", "%00", "Put\"Item"] {
        call(&server, junk, json!({}));
    }
    let text = figures(&server);
    assert_eq!(value(&text, "streamcore_requests_total{operation=\"other\",status=\"400\"}"), 3.0);
}
