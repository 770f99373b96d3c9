//! The server on its socket: headers, errors, limits, and how it stops.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

use common::process::Process;
use common::table;
use serde_json::{Value, json};

/// Sends a request as it is; returns status, header lines, body.
fn raw(server: &Process, request: &[u8]) -> (u16, Vec<String>, Vec<u8>) {
    let mut stream = TcpStream::connect(&server.address).expect("it listens");
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request);
    answer(&mut BufReader::new(stream))
}

fn send(server: &Process, target: &str, body: &str) -> (u16, Vec<String>, Vec<u8>) {
    raw(server, post(target, body).as_bytes())
}

fn post(target: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: AWS4-HMAC-SHA256 Credential=x\r\n\
         X-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-1.0\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(stream: &mut impl BufRead) -> (u16, Vec<String>, Vec<u8>) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a header");
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let status = lines[0].split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let length = header(&lines, "content-length").map_or(0, |n| n.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the whole body");
    (status, lines, body)
}

fn header<'l>(lines: &'l [String], name: &str) -> Option<&'l str> {
    lines.iter().skip(1).find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn error(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    body["__type"].as_str().and_then(|kind| kind.split('#').next_back()).expect("a type").to_owned()
}

#[test]
fn answers_carry_the_headers_that_sdks_check() {
    let server = Process::start();
    let (status, headers, body) = send(&server, "DynamoDB_20120810.ListTables", "{}");
    assert_eq!((status, &*body), (200, &br#"{"TableNames":[]}"#[..]));
    assert_eq!(header(&headers, "content-type"), Some("application/x-amz-json-1.0"));
    let id = header(&headers, "x-amzn-requestid").expect("an id");
    assert_eq!(id.len(), 52);
    assert!(id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{id}");
    let crc = crc32fast::hash(&body).to_string();
    assert_eq!(header(&headers, "x-amz-crc32"), Some(&*crc));
    assert_eq!(header(&headers, "access-control-allow-origin"), Some("*"));
    let (_, again, _) = send(&server, "DynamoDB_20120810.ListTables", "{}");
    assert_ne!(header(&again, "x-amzn-requestid"), Some(id));
}

#[test]
fn records_that_were_read_before_are_the_same_bytes() {
    let server = Process::start();
    let ask = |target: &str, body: Value| {
        let (status, headers, bytes) = send(&server, target, &body.to_string());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(header(&headers, "x-amz-crc32"), Some(&*crc32fast::hash(&bytes).to_string()));
        bytes
    };
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let table = table("things", &[("pk", "N", "HASH")], Some("NEW_IMAGE"));
    let made = read(&ask("DynamoDB_20120810.CreateTable", table));
    for n in 0..350 {
        let item = json!({ "pk": { "N": n.to_string() } });
        ask("DynamoDB_20120810.PutItem", json!({ "TableName": "things", "Item": item }));
    }
    let arn = &made["TableDescription"]["LatestStreamArn"];
    let streams = |operation: &str| format!("DynamoDBStreams_20120810.{operation}");
    let stream = read(&ask(&streams("DescribeStream"), json!({ "StreamArn": arn })));
    let start = json!({
        "StreamArn": arn, "ShardIteratorType": "TRIM_HORIZON",
        "ShardId": stream["StreamDescription"]["Shards"][0]["ShardId"],
    });
    let start = read(&ask(&streams("GetShardIterator"), start));
    let page = || ask(&streams("GetRecords"), json!({ "ShardIterator": start["ShardIterator"] }));
    let records = |bytes: &[u8]| read(bytes)["Records"].clone();
    let first = records(&page());
    assert_eq!(first.as_array().map(Vec::len), Some(350));
    // Three hundred of them are parts that the answers share.
    assert_eq!(records(&page()), first);
    let (_, _, metrics) = raw(&server, b"GET /_metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let metrics = String::from_utf8(metrics).expect("text");
    let cached = metrics.lines().find_map(|line| line.strip_prefix("streamcore_cached_bytes "));
    let cached: u64 = cached.and_then(|bytes| bytes.parse().ok()).expect("a figure");
    // Blocks of a hundred, and the last fifty are not whole.
    let whole = first.to_string().len() as u64 * 300 / 350;
    assert!((whole * 9 / 10..whole * 11 / 10).contains(&cached), "{cached} of {whole}");
}

#[test]
fn both_apis_share_the_port() {
    let server = Process::start();
    let (status, _, body) = send(&server, "DynamoDBStreams_20120810.ListStreams", "{}");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, body), (200, json!({ "Streams": [] })));
    let (status, _, body) = send(&server, "DynamoDBStreams_20120810.Fly", "{}");
    assert_eq!((status, error(&body)), (400, "UnknownOperationException".to_owned()));
}

#[test]
fn whatever_is_wrong_with_a_request_gets_an_answer() {
    let server = Process::start();
    let refused = |request: &str| {
        let (status, headers, body) = raw(&server, request.as_bytes());
        assert!(header(&headers, "x-amzn-requestid").is_some());
        (status, error(&body))
    };
    let is = |status: u16, name: &str| (status, name.to_owned());
    let unsigned = post("DynamoDB_20120810.ListTables", "{}").replace("Authorization", "X-None");
    assert_eq!(refused(&unsigned), is(400, "MissingAuthenticationTokenException"));
    assert_eq!(refused(&post("", "{}")), is(400, "UnknownOperationException"));
    assert_eq!(refused(&post("DynamoDB_20120810.Fly", "{}")), is(400, "UnknownOperationException"));
    assert_eq!(refused(&post("DynamoDB_20120810.PutItem", "{")), is(400, "SerializationException"));
    assert_eq!(
        refused("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
        is(400, "UnknownOperationException")
    );
    // Announced too large, and too large without an announcement.
    let large = post("DynamoDB_20120810.PutItem", "").replace("Length: 0", "Length: 99999999999");
    assert_eq!(refused(&large), is(413, "RequestEntityTooLargeException"));
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let chunked = post("DynamoDB_20120810.PutItem", "")
        .replace("Content-Length: 0", "Transfer-Encoding: chunked")
        + &chunk.repeat(17);
    assert_eq!(refused(&chunked), is(413, "RequestEntityTooLargeException"));
    // And it still serves.
    assert_eq!(send(&server, "DynamoDB_20120810.ListTables", "{}").0, 200);
}

#[test]
fn browsers_and_people_are_welcome() {
    let server = Process::start();
    let (status, headers, _) = raw(
        &server,
        b"OPTIONS / HTTP/1.1\r\nHost: x\r\nOrigin: http://page\r\n\
          Access-Control-Request-Headers: x-amz-target,authorization\r\n\r\n",
    );
    assert_eq!(status, 200);
    assert_eq!(
        header(&headers, "access-control-allow-headers"),
        Some("x-amz-target,authorization")
    );
    assert_eq!(header(&headers, "access-control-allow-origin"), Some("*"));
    let (status, _, body) = raw(&server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(status, 200);
    assert!(body.starts_with(b"healthy: streamcore emulator"));
}

#[test]
fn a_connection_serves_many_requests() {
    let server = Process::start();
    let mut stream = TcpStream::connect(&server.address).expect("it listens");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let request = post("DynamoDB_20120810.ListTables", "{}");
    // Pipelined: all are sent before the first answer is read.
    stream.write_all(request.repeat(50).as_bytes()).expect("sent");
    for _ in 0..50 {
        assert_eq!(answer(&mut reader).0, 200);
    }
}

#[cfg(unix)]
#[test]
fn it_stops_when_asked_and_finishes_what_is_in_flight() {
    for signal in ["-INT", "-TERM"] {
        let server = Process::start();
        let mut stream = TcpStream::connect(&server.address).expect("it listens");
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let request = post("DynamoDB_20120810.ListTables", r#"{"Limit": 5}"#);
        let (first, second) = request.as_bytes().split_at(request.len() - 5);
        // The server has begun with the request: it says so when asked to.
        let first =
            String::from_utf8_lossy(first).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
        stream.write_all(first.as_bytes()).expect("sent");
        let mut go_on = String::new();
        reader.read_line(&mut go_on).expect("an interim answer");
        assert!(go_on.starts_with("HTTP/1.1 100"), "{go_on}");
        reader.read_line(&mut go_on).expect("its end");
        let second = second.to_vec();
        let rest = std::thread::spawn(move || {
            let (status, rest) = server.stop(signal);
            (status, rest)
        });
        stream.write_all(&second).expect("sent");
        assert_eq!(answer(&mut reader).0, 200, "{signal}");
        let (status, rest) = rest.join().expect("it stopped");
        assert!(status.success(), "{signal}: {status}");
        assert!(rest.trim_end().ends_with("stopped."), "{rest}");
    }
}

#[test]
fn a_port_in_use_and_a_bad_option_are_explained() {
    let server = Process::start();
    let port = server.address.rsplit(':').next().expect("a port");
    let run = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_emulator")).args(arguments).output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (success, _, complaint) = run(&["--port", port]);
    assert!(!success);
    assert!(complaint.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{complaint}");
    assert!(complaint.contains("choose another with --port"), "{complaint}");
    let (success, help, _) = run(&["--help"]);
    assert!(success && help.contains("--port") && help.contains("--host"), "{help}");
    let (success, version, _) = run(&["--version"]);
    assert!(success && version.starts_with("emulator "), "{version}");
    assert!(!run(&["--port", "65536"]).0);
    assert!(!run(&["--region", "Nowhere!"]).0);
    for shards in ["0", "4097", "many"] {
        let (success, _, complaint) = run(&["--shards", shards]);
        assert!(!success && complaint.contains("1 to 4096 shards"), "{complaint}");
    }
    for option in ["--retain-hours", "--retain-records", "--retain-bytes", "--roll-hours"] {
        for number in ["0", "-1", "many"] {
            let (success, _, complaint) = run(&[&format!("{option}={number}")]);
            assert!(!success && complaint.contains("a whole number from 1 to"), "{complaint}");
        }
    }
    let (success, _, complaint) = run(&["--manual-clock", "noon"]);
    assert!(!success && complaint.contains("`noon` is no time from 1970 to 9999"), "{complaint}");
}
