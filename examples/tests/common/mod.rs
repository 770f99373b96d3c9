//! A client without a network: operations in, JSON out.
#![allow(dead_code, reason = "each test uses what it needs")]

pub mod files;
pub mod process;

use std::sync::Arc;

use serde_json::{Value, json};
use streamcore::stream::ManualClock;
use streamcore_emulator::{Config, Emulator};

/// An emulator and what one says to it.
pub struct Client(pub Emulator);

impl Client {
    pub fn new() -> Self {
        Self(Emulator::new(Config::default()))
    }

    /// With a clock that stands still at this time, and a table `things` as of [`Client::with_table`].
    pub fn with_table_at(now_ms: u64) -> Self {
        let manual_clock = Some(Arc::new(ManualClock::at_ms(now_ms)));
        let client = Self(Emulator::new(Config { manual_clock, ..Config::default() }));
        client
            .ok("CreateTable", table("things", &[("pk", "S", "HASH")], Some("NEW_AND_OLD_IMAGES")));
        client
    }

    /// With a table `things` of partition key `pk` (a string), whose stream shows everything.
    pub fn with_table() -> Self {
        let client = Self::new();
        client
            .ok("CreateTable", table("things", &[("pk", "S", "HASH")], Some("NEW_AND_OLD_IMAGES")));
        client
    }

    /// With a table `things` of partition key `pk` (a string) and sort key `sk` (a number).
    pub fn with_sorted_table() -> Self {
        let client = Self::new();
        let keys = [("pk", "S", "HASH"), ("sk", "N", "RANGE")];
        client.ok("CreateTable", table("things", &keys, Some("NEW_AND_OLD_IMAGES")));
        client
    }

    fn call(&self, operation: &str, body: &Value) -> Result<Value, (String, String)> {
        let streams = ["ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"];
        let api = if streams.contains(&operation) { "DynamoDBStreams" } else { "DynamoDB" };
        let target = format!("{api}_20120810.{operation}");
        let read = |bytes: &[u8]| match bytes {
            b"" => Value::Null,
            bytes => serde_json::from_slice(bytes).expect("an answer is JSON"),
        };
        match self.0.call(&target, body.to_string().as_bytes(), "host:1") {
            Ok(answer) => Ok(read(&answer)),
            Err(failure) => {
                let body = read(&failure.body);
                let kind = body["__type"].as_str().expect("a type");
                let name = kind.split('#').next_back().expect("a name").to_owned();
                Err((name, body["message"].as_str().expect("a message").to_owned()))
            }
        }
    }

    /// The answer to an operation that succeeds.
    #[track_caller]
    pub fn ok(&self, operation: &str, body: Value) -> Value {
        match self.call(operation, &body) {
            Ok(answer) => answer,
            Err((name, message)) => panic!("{operation} {body}: {name}: {message}"),
        }
    }

    /// The name and the message of a refusal.
    #[track_caller]
    pub fn refused(&self, operation: &str, body: Value) -> (String, String) {
        match self.call(operation, &body) {
            Ok(answer) => panic!("{operation} {body}: answered {answer}"),
            Err(refusal) => refusal,
        }
    }

    /// The message of a `ValidationException`.
    #[track_caller]
    pub fn invalid(&self, operation: &str, body: Value) -> String {
        let (name, message) = self.refused(operation, body);
        assert_eq!(name, "ValidationException", "{message}");
        message
    }

    #[track_caller]
    pub fn put(&self, item: Value) {
        self.ok("PutItem", json!({ "TableName": "things", "Item": item }));
    }

    #[track_caller]
    pub fn get(&self, key: Value) -> Value {
        self.ok("GetItem", json!({ "TableName": "things", "Key": key }))["Item"].clone()
    }

    /// Updates item `a` of a table without sort key; `values` may be null.
    #[track_caller]
    pub fn update(&self, expression: &str, values: Value) -> Value {
        self.ok("UpdateItem", update(expression, values));
        self.get(json!({ "pk": { "S": "a" } }))
    }

    /// Every record of a stream, from its beginning.
    pub fn records(&self, arn: &str) -> Vec<Value> {
        let described = self.ok("DescribeStream", json!({ "StreamArn": arn }));
        let shards = described["StreamDescription"]["Shards"].as_array().expect("shards").clone();
        let mut records = Vec::new();
        for shard in shards {
            let mut iterator = self.ok(
                "GetShardIterator",
                json!({
                    "StreamArn": arn,
                    "ShardId": shard["ShardId"],
                    "ShardIteratorType": "TRIM_HORIZON",
                }),
            )["ShardIterator"]
                .clone();
            loop {
                let page = self.ok("GetRecords", json!({ "ShardIterator": iterator }));
                let new = page["Records"].as_array().expect("records");
                records.extend_from_slice(new);
                iterator = page["NextShardIterator"].clone();
                if new.is_empty() || iterator.is_null() {
                    break;
                }
            }
        }
        records
    }

    /// The ARN of a table's newest stream.
    pub fn stream_arn(&self, table: &str) -> String {
        let table = self.ok("DescribeTable", json!({ "TableName": table }));
        table["Table"]["LatestStreamArn"].as_str().expect("a stream").to_owned()
    }
}

/// A `CreateTable` request; `keys` are name, type, role.
pub fn table(name: &str, keys: &[(&str, &str, &str)], view: Option<&str>) -> Value {
    let definitions: Vec<Value> = keys
        .iter()
        .map(|(name, kind, _)| json!({ "AttributeName": name, "AttributeType": kind }))
        .collect();
    let schema: Vec<Value> = keys
        .iter()
        .map(|(name, _, role)| json!({ "AttributeName": name, "KeyType": role }))
        .collect();
    let mut request = json!({
        "TableName": name,
        "AttributeDefinitions": definitions,
        "KeySchema": schema,
        "BillingMode": "PAY_PER_REQUEST",
    });
    if let Some(view) = view {
        request["StreamSpecification"] = json!({ "StreamEnabled": true, "StreamViewType": view });
    }
    request
}

/// An `UpdateItem` request on item `a` of `things`.
pub fn update(expression: &str, values: Value) -> Value {
    let mut request = json!({
        "TableName": "things",
        "Key": { "pk": { "S": "a" } },
        "UpdateExpression": expression,
    });
    if !values.is_null() {
        request["ExpressionAttributeValues"] = values;
    }
    request
}
