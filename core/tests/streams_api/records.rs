//! GetShardIterator and GetRecords.

use serde_json::{Value, json};
use streamcore::model::{AttributeValue, Change, Image};
use streamcore::stream::ITERATOR_LIFE_MS;
use streamcore::wire::WireError;

use crate::host::{ARN, NO_SHARD, UNKNOWN, broken, host, invalid, item, refused};

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
    assert!(host.read(&at("AFTER_SEQUENCE_NUMBER", 3), None).0.is_empty());
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
    broken(short, "'shardId-0'", "shardId", "have length greater than or equal to 28");
}

#[test]
fn records_are_read_in_pages_until_a_closed_shard_is_drained() {
    let host = host();
    host.put(5);
    let first = host.of_type("TRIM_HORIZON");
    let (page, next) = host.read(&first, Some(2));
    assert_eq!(page, [0, 1]);
    assert_eq!(host.read(&first, Some(2)).0, [0, 1], "an iterator can be used again");
    let (page, next) = host.read(&next.unwrap(), Some(3));
    assert_eq!(page, [2, 3, 4]);
    let (page, next) = host.read(&next.unwrap(), None);
    assert!(page.is_empty(), "an open shard has a next iterator even when it is drained");
    let empty = host.call("GetRecords", json!({ "ShardIterator": next })).unwrap();
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
    broken(with(""), "''", "shardIterator", "have length greater than or equal to 1");

    let mut forged = iterator.clone();
    let at = forged.len() - 4;
    let other = if forged.as_bytes()[at] == b'A' { "B" } else { "A" };
    forged.replace_range(at..=at, other);
    let elsewhere = crate::host::host().of_type("TRIM_HORIZON");
    for junk in ["junk", "a|b|c", "||", &forged, &elsewhere, &iterator[..iterator.len() - 1]] {
        invalid(with(junk), "Invalid ShardIterator");
    }

    host.clock.advance_ms(ITERATOR_LIFE_MS + 1);
    refused(with(&iterator), "ExpiredIteratorException", "Shard iterator has expired");
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
