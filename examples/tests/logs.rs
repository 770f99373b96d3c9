//! What the emulator says on standard error, for programs.

mod common;

use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use common::process::Process;
use serde_json::Value;

fn call(address: &str, operation: &str, body: &str) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: AWS4\r\nX-Amz-Target: \
         DynamoDB_20120810.{operation}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    stream.read_to_end(&mut Vec::new()).expect("an answer");
}

#[test]
fn programs_get_one_object_per_line_with_what_happened() {
    let options = ["--log-format", "json", "--log", "debug"];
    let (emulator, said) = Process::start_listening(&options);
    let table = common::table("things", &[("pk", "S", "HASH")], None).to_string();
    call(&emulator.address, "CreateTable", &table);
    let mut lines = said.lines().map(|line| {
        let line = line.expect("UTF-8");
        serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
    });
    let created = lines.find(|line| line["message"] == "created").expect("the table");
    assert_eq!((&created["level"], &created["table"]), (&"INFO".into(), &"things".into()));
    assert!(created["timestamp"].is_string());
    let answered = lines.find(|line| line["message"] == "answered").expect("the request");
    assert_eq!((&answered["operation"], &answered["status"]), (&"CreateTable".into(), &200.into()));
    assert!(answered["micros"].is_u64());
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_emulator"))
        .args(["--log", "loud"])
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("`loud` is no filter: allowed are off, error"), "{said}");
}
