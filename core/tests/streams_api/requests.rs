//! What is no request at all, and how a refusal looks.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::host::{ARN, NO_SHARD, host, refused};

#[test]
fn bodies_that_are_no_requests() {
    let host = host();
    let handle = |body: &[u8]| host.api.handle("DescribeStream", body).map(|_| Value::Null);
    let deep = "[".repeat(1_000_000);
    for junk in ["", "{", "nonsense", "[]", "\"text\"", "{\"a\":1}x", &deep] {
        assert_eq!(handle(junk.as_bytes()).unwrap_err().name, "SerializationException", "{junk}");
    }
    assert_eq!(handle(b"{\"StreamArn\":\"\xff\"}").unwrap_err().name, "SerializationException");
    for (body, message) in [
        (json!({ "StreamArn": 1 }), "NUMBER_VALUE cannot be converted to String"),
        (json!({ "StreamArn": 1.5 }), "DECIMAL_VALUE cannot be converted to String"),
        (json!({ "StreamArn": true }), "TRUE_VALUE cannot be converted to String"),
        (json!({ "StreamArn": [] }), "Unrecognized collection type class java.lang.String"),
        (json!({ "StreamArn": {} }), "Start of structure or map found where not expected"),
        (json!({ "Limit": "1" }), "STRING_VALUE cannot be converted to Integer"),
        (json!({ "Limit": [] }), "Unrecognized collection type class java.lang.Integer"),
        (json!({ "ShardFilter": "x" }), "Unexpected field type"),
        (
            json!({ "ShardFilter": [] }),
            "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.ShardFilter",
        ),
    ] {
        refused(host.call("DescribeStream", body), "SerializationException", message);
    }
    let body = json!({ "StreamArn": ARN, "Limit": null, "Unheard": { "of": [] } });
    assert!(host.call("DescribeStream", body).is_ok());
    let cut = json!({ "StreamArn": ARN, "Limit": 1.9 });
    assert!(host.call("DescribeStream", cut).is_ok());
}

#[test]
fn refusals_as_json() {
    let error = host().call("PutItem", json!({})).unwrap_err();
    assert_eq!((error.name, error.status), ("UnknownOperationException", 400));
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
