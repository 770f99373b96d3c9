//! A store of one stream, with its API, and what tests expect of answers.

use std::sync::Arc;

use serde_json::{Value, json};
use streamcore::log::Position;
use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::store::StoreBuilder;
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
    host_of(|store| store, |stream| stream)
}

/// A host whose store and stream are set up in another way.
pub fn host_of(
    store: impl FnOnce(StoreBuilder) -> StoreBuilder,
    stream: impl FnOnce(StreamConfig) -> StreamConfig,
) -> Host {
    let clock = Arc::new(ManualClock::at_ms(CREATED_MS));
    let store = store(Store::builder().clock(clock.clone())).build();
    let stream = store.register_stream(stream(config("Orders"))).unwrap();
    Host { api: StreamsApi::new(store.clone()), store, stream, clock }
}

pub fn config(table: &str) -> StreamConfig {
    config_of(table, StreamViewType::NewAndOldImages)
}

pub fn config_of(table: &str, view: StreamViewType) -> StreamConfig {
    let schema = KeySchema::new("pk", None).unwrap();
    StreamConfig::new(table, schema, view).created_ms(CREATED_MS)
}

pub fn register(store: &Store, table: &str) -> Stream {
    store.register_stream(config(table)).unwrap()
}

/// The ARN of a table's stream, as [`register`] makes it.
pub fn arn_of(table: &str) -> String {
    ARN.replace("Orders", table)
}

/// The number of the n-th record of a shard, from 1 on; 0 is the shard's starting number.
pub fn number(ordinal: u64, n: u64) -> String {
    format!("{}{n:020}", ordinal + 1)
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
        self.shards()[0].clone()
    }

    /// The names of all shards.
    pub fn shards(&self) -> Vec<String> {
        let shards = self.stream.describe().shards;
        shards.iter().map(|shard| shard.shard_id.to_string()).collect()
    }

    /// What DescribeStream says of the stream.
    pub fn describe(&self, body: Value) -> Result<Value, WireError> {
        let mut request = json!({ "StreamArn": ARN });
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        Ok(self.call("DescribeStream", request)?["StreamDescription"].take())
    }

    /// An iterator that starts at, or behind, a number.
    pub fn numbered(&self, shard: &str, kind: &str, number: &str) -> Result<String, WireError> {
        self.iterator(json!({
            "ShardId": shard, "ShardIteratorType": kind, "SequenceNumber": number,
        }))
    }

    pub fn roll(&self, shard: &str) -> String {
        self.stream.roll(shard).unwrap()[0].to_string()
    }

    /// Gives up the first records of a shard.
    pub fn trim(&self, shard: &str, before: u64) {
        let before = Position::new(before);
        assert_eq!(self.stream.trim(shard, before), Ok(before));
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
