//! A client of the control API: plain HTTP, one connection per request.
#![allow(dead_code, reason = "each test uses what it needs")]

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

/// Sends a request of the control API; returns the status and the JSON of the answer.
#[track_caller]
pub fn send(address: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!(
        "{method} /_streams/api/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    assert!(head.contains("content-type: application/json"), "{head}");
    (status, serde_json::from_str(body).expect("JSON"))
}

/// The answer to a `GET` that succeeds.
#[track_caller]
pub fn get(address: &str, path: &str) -> Value {
    let (status, answer) = send(address, "GET", path, "");
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The answer to a `POST` that succeeds.
#[track_caller]
pub fn post(address: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = send(address, "POST", path, &body.to_string());
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The status and the code of a refusal.
#[track_caller]
pub fn refused(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let (status, answer) = send(address, method, path, body);
    let members = answer.as_object().expect("an object");
    assert_eq!(members.len(), 2, "{answer}");
    assert!(answer["message"].as_str().is_some_and(|text| text.len() > 10), "{answer}");
    (status, answer["code"].as_str().expect("a code").to_owned())
}

/// Turns the clock on.
#[track_caller]
pub fn advance(address: &str, by_ms: u64) -> Value {
    post(address, "clock", &json!({ "advanceMs": by_ms }))
}
