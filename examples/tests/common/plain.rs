//! A client of the table and streams APIs: plain HTTP, one connection for all requests.
#![allow(dead_code, reason = "each test uses what it needs")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

/// A connection.
pub struct Plain(BufReader<TcpStream>);

impl Plain {
    pub fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Carries out an operation: its status and its answer, or how the connection ended.
    pub fn call(&mut self, operation: &str, body: &Value) -> io::Result<(u16, Value)> {
        let streams = ["ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"];
        let api = if streams.contains(&operation) { "DynamoDBStreams" } else { "DynamoDB" };
        let body = body.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: any\r\n\
             X-Amz-Target: {api}_20120810.{operation}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().map_err(io::Error::other)?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        Ok((status, serde_json::from_slice(&answer).unwrap_or(Value::Null)))
    }

    /// The answer to an operation that succeeds.
    #[track_caller]
    pub fn ok(&mut self, operation: &str, body: Value) -> Value {
        let (status, answer) = self.call(operation, &body).expect("it is served");
        assert_eq!(status, 200, "{operation} {body}: {answer}");
        answer
    }

    /// The name and the message of a refusal.
    #[track_caller]
    pub fn refused(&mut self, operation: &str, body: Value) -> (String, String) {
        let (status, answer) = self.call(operation, &body).expect("it is served");
        assert_ne!(status, 200, "{operation} {body}: {answer}");
        let name = answer["__type"].as_str().and_then(|name| name.split('#').next_back());
        let text = |value: &Value| value.as_str().map(str::to_owned);
        (name.expect("a name").to_owned(), text(&answer["message"]).expect("a message"))
    }

    /// All shards of a stream, parents before children.
    pub fn shards(&mut self, arn: &str) -> Vec<String> {
        let mut shards = Vec::new();
        let mut request = json!({ "StreamArn": arn });
        loop {
            let answer = self.ok("DescribeStream", request.clone());
            let described = &answer["StreamDescription"];
            for shard in described["Shards"].as_array().expect("shards") {
                shards.push(shard["ShardId"].as_str().expect("an id").to_owned());
            }
            match &described["LastEvaluatedShardId"] {
                Value::Null => return shards,
                last => request["ExclusiveStartShardId"] = last.clone(),
            }
        }
    }

    /// An iterator of a shard.
    pub fn iterator(&mut self, arn: &str, shard: &str, kind: &str) -> Value {
        let request = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": kind });
        self.ok("GetShardIterator", request)["ShardIterator"].take()
    }

    /// The records of a shard that are there now.
    pub fn records(&mut self, arn: &str, shard: &str) -> Vec<Value> {
        let mut iterator = self.iterator(arn, shard, "TRIM_HORIZON");
        let mut records = Vec::new();
        loop {
            let mut page = self.ok("GetRecords", json!({ "ShardIterator": iterator }));
            let new = page["Records"].as_array_mut().expect("records");
            let is_empty = new.is_empty();
            records.append(new);
            iterator = page["NextShardIterator"].take();
            if is_empty || iterator.is_null() {
                return records;
            }
        }
    }

    /// All items of a table.
    pub fn items(&mut self, table: &str) -> Vec<Value> {
        let mut request = json!({ "TableName": table });
        let mut items = Vec::new();
        loop {
            let mut answer = self.ok("Scan", request.clone());
            items.append(answer["Items"].as_array_mut().expect("items"));
            match answer["LastEvaluatedKey"].take() {
                Value::Null => return items,
                last => request["ExclusiveStartKey"] = last,
            }
        }
    }
}
