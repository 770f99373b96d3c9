//! The Streams API: what goes in as JSON and what comes out.

#![cfg(feature = "serde")]

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::stream::{ITERATOR_LIFE_MS, ManualClock};
use streamcore::wire::{StreamsApi, WireError};
use streamcore::{Store, Stream, StreamConfig};

const CREATED_MS: u64 = 1_432_155_070_252;
const ARN: &str =
    "arn:aws:dynamodb:us-east-1:000000000000:table/Orders/stream/2015-05-20T20:51:10.252";
const UNKNOWN: &str =
    "arn:aws:dynamodb:us-east-1:000000000000:table/Nobody/stream/2015-05-20T20:51:10.252";
const NO_SHARD: &str = "shardId-00000000000000000000-00000000";

struct Host {
    api: StreamsApi,
    store: Store,
    stream: Stream,
    clock: Arc<ManualClock>,
}

fn host() -> Host {
    let clock = Arc::new(ManualClock::at_ms(CREATED_MS));
    let store = Store::builder().clock(clock.clone()).build();
    let stream = register(&store, "Orders");
    Host {
        api: StreamsApi::new(store.clone()),
        store,
        stream,
        clock,
    }
}

fn register(store: &Store, table: &str) -> Stream {
    let schema = KeySchema::new("pk", None).unwrap();
    let view = StreamViewType::NewAndOldImages;
    let config = StreamConfig::new(table, schema, view).created_ms(CREATED_MS);
    store.register_stream(config).unwrap()
}

fn item(n: usize) -> Image {
    Image::new(Attributes::from([(
        "pk".to_owned(),
        AttributeValue::N(n.to_string()),
    )]))
}

impl Host {
    fn call(&self, operation: &str, body: Value) -> Result<Value, WireError> {
        let answer = self.api.handle(operation, body.to_string().as_bytes())?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    fn put(&self, count: usize) {
        for n in 0..count {
            self.stream.put(Change::insert(item(n))).unwrap();
        }
    }

    fn shard(&self) -> String {
        self.stream.describe().shards[0].shard_id.to_string()
    }

    fn iterator(&self, body: Value) -> Result<String, WireError> {
        let mut request = json!({ "StreamArn": ARN, "ShardId": self.shard() });
        request
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        let answer = self.call("GetShardIterator", request)?;
        Ok(answer["ShardIterator"].as_str().unwrap().to_owned())
    }

    fn of_type(&self, kind: &str) -> String {
        self.iterator(json!({ "ShardIteratorType": kind })).unwrap()
    }

    /// What a page holds, as the items' numbers, and the next iterator.
    fn read(&self, iterator: &str, limit: Option<usize>) -> (Vec<usize>, Option<String>) {
        let request = json!({ "ShardIterator": iterator, "Limit": limit });
        let page = self.call("GetRecords", request).unwrap();
        let number = |record: &Value| {
            let value = &record["dynamodb"]["NewImage"]["pk"]["N"];
            value.as_str().unwrap().parse().unwrap()
        };
        let numbers = page["Records"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect();
        let next = page.as_object().unwrap().get("NextShardIterator");
        (numbers, next.map(|next| next.as_str().unwrap().to_owned()))
    }
}

fn refused(answer: Result<Value, WireError>, name: &str, message: &str) {
    let error = answer.unwrap_err();
    assert_eq!(
        (error.name, &*error.message, error.status),
        (name, message, 400)
    );
}

fn invalid(answer: Result<Value, WireError>, message: &str) {
    refused(answer, "ValidationException", message);
}

fn broken(answer: Result<Value, WireError>, value: &str, at: &str, rule: &str) {
    let message = format!(
        "1 validation error detected: Value {value} at '{at}' failed to satisfy constraint: \
         Member must {rule}"
    );
    invalid(answer, &message);
}

#[test]
fn a_stream_is_described() {
    let host = host();
    let shard = host.shard();
    let answer = host
        .call("DescribeStream", json!({ "StreamArn": ARN }))
        .unwrap();
    let expected = json!({ "StreamDescription": {
        "CreationRequestDateTime": 1_432_155_070.252,
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        "Shards": [{
            "SequenceNumberRange": { "StartingSequenceNumber": "100000000000000000000" },
            "ShardId": shard,
        }],
        "StreamArn": ARN,
        "StreamLabel": "2015-05-20T20:51:10.252",
        "StreamStatus": "ENABLED",
        "StreamViewType": "NEW_AND_OLD_IMAGES",
        "TableName": "Orders",
    }});
    assert_eq!(answer, expected);
}

#[test]
fn shards_are_described_in_pages_and_by_parent() {
    let host = host();
    host.put(2);
    let first = host.shard();
    let children = host.stream.split(&first).unwrap();
    let ids = |answer: Value| -> Vec<String> {
        let shards = answer["StreamDescription"]["Shards"]
            .as_array()
            .unwrap()
            .clone();
        shards
            .iter()
            .map(|shard| shard["ShardId"].as_str().unwrap().to_owned())
            .collect()
    };
    let describe = |mut body: Value| {
        body["StreamArn"] = json!(ARN);
        host.call("DescribeStream", body)
    };
    let all = [
        first.clone(),
        children[0].to_string(),
        children[1].to_string(),
    ];

    let answer = describe(json!({})).unwrap();
    let parent = &answer["StreamDescription"]["Shards"][0];
    let range = json!({
        "StartingSequenceNumber": "100000000000000000000",
        "EndingSequenceNumber": "100000000000000000002",
    });
    assert_eq!(parent["SequenceNumberRange"], range);
    assert_eq!(
        answer["StreamDescription"]["Shards"][1]["ParentShardId"],
        json!(first)
    );
    assert_eq!(ids(answer), all);

    let page = describe(json!({ "Limit": 2 })).unwrap();
    let last = page["StreamDescription"]["LastEvaluatedShardId"].clone();
    assert_eq!((ids(page), &last), (all[..2].to_vec(), &json!(all[1])));
    let page = describe(json!({ "Limit": 2, "ExclusiveStartShardId": last })).unwrap();
    assert!(
        page["StreamDescription"]
            .get("LastEvaluatedShardId")
            .is_none()
    );
    assert_eq!(ids(page), all[2..]);
    assert!(ids(describe(json!({ "ExclusiveStartShardId": all[2] })).unwrap()).is_empty());
    assert_eq!(
        ids(describe(json!({ "ExclusiveStartShardId": NO_SHARD })).unwrap()),
        all
    );

    let filter = |shard: &str| json!({ "Type": "CHILD_SHARDS", "ShardId": shard });
    assert_eq!(
        ids(describe(json!({ "ShardFilter": filter(&first) })).unwrap()),
        all[1..]
    );
    assert!(ids(describe(json!({ "ShardFilter": filter(&all[1]) })).unwrap()).is_empty());
    assert!(ids(describe(json!({ "ShardFilter": filter(NO_SHARD) })).unwrap()).is_empty());
    let page = describe(json!({ "ShardFilter": filter(&first), "Limit": 1 })).unwrap();
    let last = page["StreamDescription"]["LastEvaluatedShardId"].clone();
    assert_eq!((ids(page), &last), (all[1..2].to_vec(), &json!(all[1])));

    let null = "not be null";
    for (body, value, at, rule) in [
        (
            json!({ "ShardFilter": { "ShardId": first } }),
            "null",
            "shardFilter.type",
            null,
        ),
        (
            json!({ "ShardFilter": { "Type": "CHILD_SHARDS" } }),
            "null",
            "shardFilter.shardId",
            null,
        ),
        (
            json!({ "ShardFilter": { "Type": "ALL", "ShardId": first } }),
            "'ALL'",
            "shardFilter.type",
            "satisfy enum value set: [CHILD_SHARDS]",
        ),
        (
            json!({ "ShardFilter": filter("short") }),
            "'short'",
            "shardFilter.shardId",
            "have length greater than or equal to 28",
        ),
        (
            json!({ "ExclusiveStartShardId": "x".repeat(66) }),
            &*format!("'{}'", "x".repeat(66)),
            "exclusiveStartShardId",
            "have length less than or equal to 65",
        ),
        (
            json!({ "Limit": 0 }),
            "'0'",
            "limit",
            "have value greater than or equal to 1",
        ),
    ] {
        broken(describe(body), value, at, rule);
    }
    let limit = "One or more parameter values were invalid: Limit cannot be greater than the \
                 maximum: 100";
    invalid(describe(json!({ "Limit": 101 })), limit);
}

#[test]
fn unknown_and_malformed_streams() {
    let host = host();
    let with = |arn: &str| host.call("DescribeStream", json!({ "StreamArn": arn }));
    let message = format!("Requested resource not found: Stream: {UNKNOWN} not found");
    refused(with(UNKNOWN), "ResourceNotFoundException", &message);
    for arn in [
        "fake-stream",
        &ARN.replace("/stream/", "/"),
        &"x".repeat(2000),
    ] {
        invalid(with(arn), "Invalid StreamArn");
    }
    broken(
        host.call("DescribeStream", json!({})),
        "null",
        "streamArn",
        "not be null",
    );
}

#[test]
fn streams_are_listed_in_pages() {
    let host = host();
    for n in 0..4 {
        register(&host.store, &format!("Table{n}"));
    }
    let mut tables = Vec::new();
    let mut after = Value::Null;
    for pages in 1.. {
        let request = json!({ "Limit": 2, "ExclusiveStartStreamArn": after });
        let page = host.call("ListStreams", request).unwrap();
        let streams = page["Streams"].as_array().unwrap();
        tables.extend(streams.iter().map(|stream| stream["TableName"].clone()));
        match page.get("LastEvaluatedStreamArn") {
            Some(last) => after = last.clone(),
            None => {
                assert_eq!((pages, streams.len()), (3, 1));
                break;
            }
        }
    }
    assert_eq!(tables, ["Orders", "Table0", "Table1", "Table2", "Table3"]);

    let answer = host
        .call("ListStreams", json!({ "TableName": "Orders" }))
        .unwrap();
    let expected = json!({ "Streams": [{
        "StreamArn": ARN,
        "StreamLabel": "2015-05-20T20:51:10.252",
        "TableName": "Orders",
    }]});
    assert_eq!(answer, expected);
    let nobody = host
        .call("ListStreams", json!({ "TableName": "Nobody" }))
        .unwrap();
    assert_eq!(nobody, json!({ "Streams": [] }));
    let past = host
        .call("ListStreams", json!({ "ExclusiveStartStreamArn": UNKNOWN }))
        .unwrap();
    assert_eq!(past["Streams"].as_array().unwrap().len(), 5);

    let list = |body| host.call("ListStreams", body);
    let least = "have value greater than or equal to 1";
    broken(list(json!({ "Limit": 0 })), "'0'", "limit", least);
    let limit = "One or more parameter values were invalid: Limit cannot be greater than the \
                 maximum allowed size: 100";
    invalid(list(json!({ "Limit": 101 })), limit);
    invalid(
        list(json!({ "ExclusiveStartStreamArn": "junk" })),
        "Invalid StreamArn",
    );
    let pattern = "satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
    broken(
        list(json!({ "TableName": "a b c" })),
        "'a b c'",
        "tableName",
        pattern,
    );
    let several = list(json!({ "TableName": "a ", "Limit": -5 }))
        .unwrap_err()
        .message;
    assert!(several.starts_with("3 validation errors detected: Value '-5' at 'limit'"));
    assert_eq!(
        several.matches("; Value 'a ' at 'tableName'").count(),
        2,
        "{several}"
    );
}

#[test]
fn each_iterator_type_starts_where_it_should() {
    let host = host();
    let latest_of_empty = host.of_type("LATEST");
    host.put(3);
    let number = |n: usize| format!("10000000000000000000{n}");
    let at = |kind: &str, n: usize| {
        let body = json!({ "ShardIteratorType": kind, "SequenceNumber": number(n) });
        host.iterator(body).unwrap()
    };
    assert_eq!(host.read(&latest_of_empty, None).0, [0, 1, 2]);
    assert_eq!(host.read(&host.of_type("TRIM_HORIZON"), None).0, [0, 1, 2]);
    assert!(host.read(&host.of_type("LATEST"), None).0.is_empty());
    assert_eq!(host.read(&at("AT_SEQUENCE_NUMBER", 0), None).0, [0, 1, 2]);
    assert_eq!(host.read(&at("AT_SEQUENCE_NUMBER", 2), None).0, [1, 2]);
    assert_eq!(host.read(&at("AFTER_SEQUENCE_NUMBER", 2), None).0, [2]);
    assert!(
        host.read(&at("AFTER_SEQUENCE_NUMBER", 3), None)
            .0
            .is_empty()
    );
}

#[test]
fn iterators_that_cannot_be_made() {
    let host = host();
    host.put(2);
    let shard = host.shard();
    let get = |body: Value| host.iterator(body).map(Value::String);
    let at = |kind: &str, number: &str| {
        get(json!({ "ShardIteratorType": kind, "SequenceNumber": number }))
    };
    let unwanted = "One or more parameter values were invalid: SequenceNumber should not be \
                    passed for this iterator type";
    invalid(at("LATEST", "100000000000000000001"), unwanted);
    invalid(at("TRIM_HORIZON", "100000000000000000001"), unwanted);
    broken(
        at("AT_SEQUENCE_NUMBER", "1"),
        "'1'",
        "sequenceNumber",
        "have length greater than or equal to 21",
    );
    let long = "1".repeat(41);
    broken(
        at("AT_SEQUENCE_NUMBER", &long),
        &format!("'{long}'"),
        "sequenceNumber",
        "have length less than or equal to 40",
    );
    let name = |answer: Result<Value, WireError>| answer.unwrap_err().name;
    let words = "not-a-number-but-long";
    assert_eq!(name(at("AT_SEQUENCE_NUMBER", words)), "ValidationException");
    assert_eq!(
        name(get(json!({ "ShardIteratorType": "AT_SEQUENCE_NUMBER" }))),
        "ValidationException"
    );
    let below = at("AFTER_SEQUENCE_NUMBER", "000000000000000000001");
    invalid(below, "Invalid SequenceNumber for the shard");
    broken(
        get(json!({ "ShardIteratorType": "AT_TIMESTAMP" })),
        "'AT_TIMESTAMP'",
        "shardIteratorType",
        "satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_SEQUENCE_NUMBER, TRIM_HORIZON]",
    );
    broken(get(json!({})), "null", "shardIteratorType", "not be null");

    let latest = |arn: &str, shard: &str| {
        let body = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "LATEST" });
        host.call("GetShardIterator", body)
    };
    let gone = "Requested resource not found: Shard does not exist";
    refused(latest(ARN, NO_SHARD), "ResourceNotFoundException", gone);
    assert_eq!(name(latest(UNKNOWN, &shard)), "ResourceNotFoundException");
    invalid(latest("junk", &shard), "Invalid StreamArn");
    let short = latest(ARN, "shardId-0");
    broken(
        short,
        "'shardId-0'",
        "shardId",
        "have length greater than or equal to 28",
    );
}

#[test]
fn records_are_read_in_pages_until_a_closed_shard_is_drained() {
    let host = host();
    host.put(5);
    let first = host.of_type("TRIM_HORIZON");
    let (page, next) = host.read(&first, Some(2));
    assert_eq!(page, [0, 1]);
    assert_eq!(
        host.read(&first, Some(2)).0,
        [0, 1],
        "an iterator can be used again"
    );
    let (page, next) = host.read(&next.unwrap(), Some(3));
    assert_eq!(page, [2, 3, 4]);
    let (page, next) = host.read(&next.unwrap(), None);
    assert!(
        page.is_empty(),
        "an open shard has a next iterator even when it is drained"
    );
    let empty = host
        .call("GetRecords", json!({ "ShardIterator": next }))
        .unwrap();
    assert_eq!(empty["Records"], json!([]));

    host.stream.disable();
    assert_eq!(host.read(&first, Some(4)).0, [0, 1, 2, 3]);
    assert!(host.read(&first, Some(4)).1.is_some());
    assert_eq!(host.read(&first, Some(5)), ((0..5).collect(), None));
}

#[test]
fn a_page_ends_at_a_thousand_records_or_a_megabyte() {
    let host = host();
    host.put(1001);
    let (page, next) = host.read(&host.of_type("TRIM_HORIZON"), None);
    assert_eq!(page.len(), 1000);
    assert_eq!(host.read(&next.unwrap(), None).0, [1000]);

    let latest = host.of_type("LATEST");
    let text = AttributeValue::S("x".repeat(400_000));
    for _ in 0..4 {
        let mut large = item(1).attributes().clone();
        large.insert("text".to_owned(), text.clone());
        host.stream.put(Change::insert(Image::new(large))).unwrap();
    }
    let (page, next) = host.read(&latest, None);
    assert_eq!(page.len(), 2);
    assert_eq!(host.read(&next.unwrap(), None).0.len(), 2);
}

#[test]
fn records_that_cannot_be_read() {
    let host = host();
    host.put(10);
    let iterator = host.of_type("TRIM_HORIZON");
    let get = |body: Value| host.call("GetRecords", body);
    let with = |iterator: &str| get(json!({ "ShardIterator": iterator }));
    let limit = |limit: i64| get(json!({ "ShardIterator": iterator, "Limit": limit }));
    let least = "have value greater than or equal to 1";
    broken(limit(0), "'0'", "limit", least);
    broken(limit(-1), "'-1'", "limit", least);
    let most = "One or more parameter values were invalid: Limit should be less than or equal to \
                1000";
    invalid(limit(1001), most);
    broken(get(json!({})), "null", "shardIterator", "not be null");
    broken(
        with(""),
        "''",
        "shardIterator",
        "have length greater than or equal to 1",
    );

    let mut forged = iterator.clone();
    forged.replace_range(forged.len() - 4..forged.len() - 3, "/");
    let elsewhere = Host { ..self::host() }.of_type("TRIM_HORIZON");
    for junk in [
        "junk",
        "a|b|c",
        "||",
        &forged,
        &elsewhere,
        &iterator[..iterator.len() - 1],
    ] {
        invalid(with(junk), "Invalid ShardIterator");
    }

    host.clock.advance_ms(ITERATOR_LIFE_MS + 1);
    refused(
        with(&iterator),
        "ExpiredIteratorException",
        "Shard iterator has expired",
    );
}

#[test]
fn trimmed_records_say_so() {
    let host = host();
    host.put(100_000);
    let body = json!({
        "ShardIteratorType": "AT_SEQUENCE_NUMBER",
        "SequenceNumber": "100000000000000000002",
    });
    let iterator = host.iterator(body.clone()).unwrap();
    let end = streamcore::log::Position::new(100_000);
    host.stream.trim(&host.shard(), end).unwrap();
    let trimmed = "The data you are trying to access has been trimmed";
    let read = host.call("GetRecords", json!({ "ShardIterator": iterator }));
    refused(read, "TrimmedDataAccessException", trimmed);
    let made = host.iterator(body).map(Value::String);
    refused(made, "TrimmedDataAccessException", trimmed);
}

#[test]
fn bodies_that_are_no_requests() {
    let host = host();
    let handle = |body: &[u8]| host.api.handle("DescribeStream", body).map(|_| Value::Null);
    let deep = "[".repeat(1_000_000);
    for junk in ["", "{", "nonsense", "[]", "\"text\"", "{\"a\":1}x", &deep] {
        assert_eq!(
            handle(junk.as_bytes()).unwrap_err().name,
            "SerializationException",
            "{junk}"
        );
    }
    assert_eq!(
        handle(b"{\"StreamArn\":\"\xff\"}").unwrap_err().name,
        "SerializationException"
    );
    for (body, message) in [
        (
            json!({ "StreamArn": 1 }),
            "NUMBER_VALUE cannot be converted to String",
        ),
        (
            json!({ "StreamArn": 1.5 }),
            "DECIMAL_VALUE cannot be converted to String",
        ),
        (
            json!({ "StreamArn": true }),
            "TRUE_VALUE cannot be converted to String",
        ),
        (
            json!({ "StreamArn": [] }),
            "Unrecognized collection type class java.lang.String",
        ),
        (
            json!({ "StreamArn": {} }),
            "Start of structure or map found where not expected",
        ),
        (
            json!({ "Limit": "1" }),
            "STRING_VALUE cannot be converted to Integer",
        ),
        (
            json!({ "Limit": [] }),
            "Unrecognized collection type class java.lang.Integer",
        ),
        (json!({ "ShardFilter": "x" }), "Unexpected field type"),
        (
            json!({ "ShardFilter": [] }),
            "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.ShardFilter",
        ),
    ] {
        refused(
            host.call("DescribeStream", body),
            "SerializationException",
            message,
        );
    }
    let body = json!({ "StreamArn": ARN, "Limit": null, "Unheard": { "of": [] } });
    assert!(host.call("DescribeStream", body).is_ok());
    let cut = json!({ "StreamArn": ARN, "Limit": 1.9 });
    assert!(host.call("DescribeStream", cut).is_ok());
}

#[test]
fn refusals_as_json() {
    let error = host().call("PutItem", json!({})).unwrap_err();
    assert_eq!(
        (error.name, error.status),
        ("UnknownOperationException", 400)
    );
    let body: Value = serde_json::from_slice(&error.body()).unwrap();
    let expected = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#UnknownOperationException",
        "message": error.message,
    });
    assert_eq!(body, expected);
}

proptest! {
    /// Whatever a client sends, it gets an answer or a refusal; and no junk gets records.
    #[test]
    fn no_request_panics(
        operation in "ListStreams|DescribeStream|GetShardIterator|GetRecords",
        members in prop::collection::btree_map(
            "StreamArn|ShardId|ShardIterator|ShardIteratorType|SequenceNumber|Limit|ShardFilter",
            prop_oneof![
                Just(json!(ARN)),
                Just(json!(NO_SHARD)),
                Just(json!({ "Type": "CHILD_SHARDS", "ShardId": NO_SHARD })),
                "[0-9]{0,45}".prop_map(Value::from),
                "\\PC{0,40}".prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                any::<f64>().prop_map(Value::from),
                any::<bool>().prop_map(Value::from),
            ],
            0..5,
        ),
    ) {
        match host().call(&operation, json!(members)) {
            Ok(_) => prop_assert_ne!(operation, "GetRecords"),
            Err(error) => prop_assert_eq!(error.status, 400),
        }
    }
}
