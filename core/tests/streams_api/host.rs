//! A store of one stream, with its API, and what tests expect of answers.

use std::sync::Arc;

use serde_json::{Value, json};
use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::stream::ManualClock;
use streamcore::wire::{StreamsApi, WireError};
use streamcore::{Store, Stream, StreamConfig};

pub const CREATED_MS: u64 = 1_432_155_070_252;
pub const ARN: &str =
    "arn:aws:dynamodb:us-east-1:000000000000:table/Orders/stream/2015-05-20T20:51:10.252";
pub const UNKNOWN: &str =
    "arn:aws:dynamodb:us-east-1:000000000000:table/Nobody/stream/2015-05-20T20:51:10.252";
pub const NO_SHARD: &str = "shardId-00000000000000000000-00000000";

pub struct Host {
    pub api: StreamsApi,
    pub store: Store,
    pub stream: Stream,
    pub clock: Arc<ManualClock>,
}

pub fn host() -> Host {
    let clock = Arc::new(ManualClock::at_ms(CREATED_MS));
    let store = Store::builder().clock(clock.clone()).build();
    let stream = register(&store, "Orders");
    Host { api: StreamsApi::new(store.clone()), store, stream, clock }
}

pub fn register(store: &Store, table: &str) -> Stream {
    let schema = KeySchema::new("pk", None).unwrap();
    let view = StreamViewType::NewAndOldImages;
    let config = StreamConfig::new(table, schema, view).created_ms(CREATED_MS);
    store.register_stream(config).unwrap()
}

pub fn item(n: usize) -> Image {
    Image::new(Attributes::from([("pk".to_owned(), AttributeValue::N(n.to_string()))]))
}

impl Host {
    pub fn call(&self, operation: &str, body: Value) -> Result<Value, WireError> {
        let answer = self.api.handle(operation, body.to_string().as_bytes())?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    pub fn put(&self, count: usize) {
        for n in 0..count {
            self.stream.put(Change::insert(item(n))).unwrap();
        }
    }

    pub fn shard(&self) -> String {
        self.stream.describe().shards[0].shard_id.to_string()
    }

    pub fn iterator(&self, body: Value) -> Result<String, WireError> {
        let mut request = json!({ "StreamArn": ARN, "ShardId": self.shard() });
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let answer = self.call("GetShardIterator", request)?;
        Ok(answer["ShardIterator"].as_str().unwrap().to_owned())
    }

    pub fn of_type(&self, kind: &str) -> String {
        self.iterator(json!({ "ShardIteratorType": kind })).unwrap()
    }

    /// What a page holds, as the items' numbers, and the next iterator.
    pub fn read(&self, iterator: &str, limit: Option<usize>) -> (Vec<usize>, Option<String>) {
        let request = json!({ "ShardIterator": iterator, "Limit": limit });
        let page = self.call("GetRecords", request).unwrap();
        let number = |record: &Value| {
            let value = &record["dynamodb"]["NewImage"]["pk"]["N"];
            value.as_str().unwrap().parse().unwrap()
        };
        let numbers = page["Records"].as_array().unwrap().iter().map(number).collect();
        let next = page.as_object().unwrap().get("NextShardIterator");
        (numbers, next.map(|next| next.as_str().unwrap().to_owned()))
    }
}

pub fn refused(answer: Result<Value, WireError>, name: &str, message: &str) {
    let error = answer.unwrap_err();
    assert_eq!((error.name, &*error.message, error.status), (name, message, 400));
}

pub fn invalid(answer: Result<Value, WireError>, message: &str) {
    refused(answer, "ValidationException", message);
}

pub fn broken(answer: Result<Value, WireError>, value: &str, at: &str, rule: &str) {
    let message = format!(
        "1 validation error detected: Value {value} at '{at}' failed to satisfy constraint: \
         Member must {rule}"
    );
    invalid(answer, &message);
}
