//! Rate limits: off by default; by the store's clock, in the words of the service model.

use std::num::NonZeroU32;

use serde_json::{Value, json};
use streamcore::StreamConfig;
use streamcore::model::{KeySchema, StreamViewType};
use streamcore::wire::{RateLimits, WireError};

use crate::host::{ARN, CREATED_MS, Host, NO_SHARD, UNKNOWN, host, invalid, refused, register};

const DESCRIBE: &str =
    "Rate exceeded: DescribeStream can be called 10 times per second for an account and a region";
const READ: &str = "Rate exceeded: GetRecords can be called 10 times per second for a shard";

fn limited() -> Host {
    let host = host();
    Host { api: host.api.rate_limits(RateLimits::as_aws()), ..host }
}

fn describe(host: &Host, arn: &str) -> Result<Value, WireError> {
    host.call("DescribeStream", json!({ "StreamArn": arn }))
}

fn read(host: &Host, iterator: &str) -> Result<Value, WireError> {
    host.call("GetRecords", json!({ "ShardIterator": iterator }))
}

#[test]
fn without_limits_nobody_is_throttled() {
    let host = host();
    let iterator = host.of_type("LATEST");
    for _ in 0..1_000 {
        assert!(describe(&host, ARN).is_ok() && read(&host, &iterator).is_ok());
    }
}

#[test]
fn descriptions_are_limited_for_an_account_and_a_region() {
    let host = limited();
    let other = register(&host.store, "Other");
    let schema = KeySchema::new("pk", None).unwrap();
    let elsewhere = StreamConfig::new("Orders", schema, StreamViewType::KeysOnly)
        .region("eu-west-1")
        .created_ms(CREATED_MS);
    let elsewhere = host.store.register_stream(elsewhere).unwrap();
    for _ in 0..10 {
        assert!(describe(&host, ARN).is_ok());
    }
    refused(describe(&host, ARN), "ThrottlingException", DESCRIBE);
    let other = other.info().arn().as_str();
    refused(describe(&host, other), "ThrottlingException", DESCRIBE);
    assert!(describe(&host, elsewhere.info().arn().as_str()).is_ok(), "another region");
    // What is refused for another reason is not counted, and says its own reason.
    invalid(describe(&host, "junk"), "Invalid StreamArn");
    let unknown = format!("Requested resource not found: Stream: {UNKNOWN} not found");
    refused(describe(&host, UNKNOWN), "ResourceNotFoundException", &unknown);

    host.clock.advance_ms(99);
    refused(describe(&host, ARN), "ThrottlingException", DESCRIBE);
    host.clock.advance_ms(1);
    assert!(describe(&host, ARN).is_ok(), "one more each tenth of a second");
    refused(describe(&host, ARN), "ThrottlingException", DESCRIBE);
    host.clock.advance_ms(60_000);
    for _ in 0..10 {
        assert!(describe(&host, other).is_ok(), "a second's worth, however long it was idle");
    }
    refused(describe(&host, ARN), "ThrottlingException", DESCRIBE);
}

#[test]
fn reads_are_limited_for_a_shard() {
    let host = limited();
    let parent = host.shard();
    host.stream.split(&parent).unwrap();
    let of = |shard: &str| {
        host.iterator(json!({ "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" })).unwrap()
    };
    let shards = host.shards();
    let (left, right) = (of(&shards[1]), of(&shards[2]));
    for _ in 0..10 {
        // Whatever iterator it is: the shard counts.
        assert!(read(&host, &of(&shards[1])).is_ok());
    }
    refused(read(&host, &left), "LimitExceededException", READ);
    assert!(read(&host, &right).is_ok(), "another shard");
    invalid(read(&host, "junk"), "Invalid ShardIterator");
    // A clone counts with it.
    let request = json!({ "ShardIterator": left }).to_string();
    let clone = host.api.clone();
    let answer = clone.handle("GetRecords", request.as_bytes()).map(|_| Value::Null);
    refused(answer, "LimitExceededException", READ);
    host.clock.advance_ms(100);
    assert!(read(&host, &left).is_ok());
    refused(read(&host, &left), "LimitExceededException", READ);
}

#[test]
fn the_other_operations_have_no_limit_and_each_limit_is_its_own() {
    let host = limited();
    let iterator = host.of_type("LATEST");
    for _ in 0..100 {
        assert!(host.call("ListStreams", json!({})).is_ok());
        assert_eq!(host.of_type("LATEST"), iterator);
    }
    let filter = json!({ "Type": "CHILD_SHARDS", "ShardId": NO_SHARD });
    let children = json!({ "StreamArn": ARN, "ShardFilter": filter });
    let only = RateLimits::none().describe_stream(NonZeroU32::MIN);
    let host = Host { api: host.api.rate_limits(only), ..host };
    assert!(host.call("DescribeStream", children.clone()).is_ok());
    let once = DESCRIBE.replace("10", "1");
    refused(host.call("DescribeStream", children), "ThrottlingException", &once);
    for _ in 0..100 {
        assert!(read(&host, &iterator).is_ok());
    }
}
