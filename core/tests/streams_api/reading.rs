//! Contract, GetRecords: how much a page holds, what comes after it, and which iterators are refused.

use serde_json::{Value, json};
use streamcore::model::{AttributeValue, Change, Image};
use streamcore::stream::ITERATOR_LIFE_MS;
use streamcore::wire::WireError;

use crate::host::{ARN, Host, UNKNOWN, broken, host, invalid, item, refused};

const MEGABYTE: usize = 1 << 20;

fn get(host: &Host, body: Value) -> Result<Value, WireError> {
    host.call("GetRecords", body)
}

fn with(host: &Host, iterator: &str) -> Result<Value, WireError> {
    get(host, json!({ "ShardIterator": iterator }))
}

/// Puts a record of so many bytes, as its SizeBytes counts them.
fn put_of_size(host: &Host, bytes: usize) {
    // The keys (2 + 2), and the image: the keys again, a name of 4, and the text.
    let text = "x".repeat(bytes - 4 - 4 - 4);
    let mut large = item(1).attributes().clone();
    large.insert("text".to_owned(), AttributeValue::S(text));
    host.stream.put(Change::insert(Image::new(large))).unwrap();
}

/// A page holds as many records as Limit says, 1000 at the most and by default.
#[test]
fn a_page_holds_up_to_limit_records() {
    let host = host();
    host.put(1001);
    let horizon = host.of_type("TRIM_HORIZON");
    for (limit, expected) in [(Some(1), 1), (Some(7), 7), (Some(1000), 1000), (None, 1000)] {
        let (page, next) = host.read(&horizon, limit);
        assert_eq!(page, (0..expected).collect::<Vec<_>>());
        assert_eq!(host.read(&next.unwrap(), Some(1)).0, [expected], "goes on behind the last one");
    }
}

/// A page holds 1 MB of records, by their sizes: what adds up to it exactly is in, a byte more is not.
#[test]
fn a_page_holds_up_to_a_megabyte() {
    let host = host();
    (0..4).for_each(|_| put_of_size(&host, MEGABYTE / 4));
    put_of_size(&host, 100);
    let (page, next) = host.read(&host.of_type("TRIM_HORIZON"), None);
    assert_eq!((page.len(), host.read(&next.unwrap(), None).0.len()), (4, 1));

    let latest = host.of_type("LATEST");
    (0..3).for_each(|_| put_of_size(&host, MEGABYTE / 4));
    put_of_size(&host, MEGABYTE / 4 + 1);
    let page = with(&host, &latest).unwrap();
    let sizes: Vec<u64> = page["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["dynamodb"]["SizeBytes"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [MEGABYTE as u64 / 4; 3]);
    // Whichever is first: Limit may end the page before.
    assert_eq!(host.read(&latest, Some(2)).0.len(), 2);
}

/// A page holds at least one record, however large.
#[test]
fn a_record_larger_than_a_page_is_delivered_alone() {
    let host = host();
    put_of_size(&host, 20);
    put_of_size(&host, 2 * MEGABYTE);
    put_of_size(&host, 20);
    let mut next = Some(host.of_type("TRIM_HORIZON"));
    let pages = [(); 3].map(|()| {
        let (page, after) = host.read(&next.take().unwrap(), None);
        next = after;
        page.len()
    });
    assert_eq!(pages, [1, 1, 1]);
}

/// Limit 0 and -1: a rule of the model; 1001: ValidationException that names the limit.
#[test]
fn limits_that_are_none() {
    let host = host();
    let iterator = host.of_type("TRIM_HORIZON");
    let limit = |limit: Value| get(&host, json!({ "ShardIterator": iterator, "Limit": limit }));
    let least = "have value greater than or equal to 1";
    broken(limit(json!(0)), "'0'", "limit", least);
    broken(limit(json!(-1)), "'-1'", "limit", least);
    broken(limit(json!(i64::MIN)), "'-9223372036854775808'", "limit", least);
    let most =
        "One or more parameter values were invalid: Limit should be less than or equal to 1000";
    for large in [json!(1001), json!(i64::MAX), json!(1e300)] {
        invalid(limit(large), most);
    }
    for good in [json!(1), json!(1000), Value::Null] {
        assert!(limit(good).is_ok());
    }
}

/// Without records the answer has `"Records": []`, and on an open shard NextShardIterator is always there.
#[test]
fn an_open_shard_always_has_a_next_iterator() {
    let host = host();
    let mut iterator = host.of_type("TRIM_HORIZON");
    for round in 0..3 {
        let page = with(&host, &iterator).unwrap();
        assert_eq!(page.as_object().unwrap().len(), 2);
        assert_eq!(page["Records"], json!([]), "round {round}");
        iterator = page["NextShardIterator"].as_str().unwrap().to_owned();
    }
    host.put(1);
    let (page, next) = host.read(&iterator, None);
    assert_eq!(page, [0]);
    assert!(next.is_some());
}

/// Once a closed shard is drained NextShardIterator is absent, not null: together with its last records.
#[test]
fn a_closed_shard_ends_with_its_last_records() {
    let host = host();
    let shard = host.shard();
    host.put(3);
    let horizon = host.of_type("TRIM_HORIZON");
    let (page, behind) = host.read(&horizon, None);
    assert_eq!(page.len(), 3);
    let child = host.roll(&shard);
    let members = |page: Value| page.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (page, next) = host.read(&horizon, Some(2));
    assert_eq!((page, next.is_some()), (vec![0, 1], true), "one is left");
    let last = with(&host, &next.unwrap()).unwrap();
    assert_eq!(last["Records"].as_array().unwrap().len(), 1);
    assert_eq!(members(last), ["Records"]);
    assert_eq!(members(with(&host, &horizon).unwrap()), ["Records"]);
    // Who had read everything before it was closed learns it too.
    assert_eq!(with(&host, &behind.unwrap()), Ok(json!({ "Records": [] })));
    // A shard that never had a record.
    let body = json!({ "ShardId": child, "ShardIteratorType": "TRIM_HORIZON" });
    let of_child = host.iterator(body).unwrap();
    assert!(host.read(&of_child, None).1.is_some());
    host.roll(&child);
    assert_eq!(with(&host, &of_child), Ok(json!({ "Records": [] })));
}

/// The same iterator can be used again, by anybody, and reads the same.
#[test]
fn an_iterator_can_be_used_again() {
    let host = host();
    host.put(5);
    let iterator = host.of_type("TRIM_HORIZON");
    let body = json!({ "ShardIterator": iterator, "Limit": 3 });
    let once = get(&host, body.clone()).unwrap();
    assert_eq!(once["Records"].as_array().unwrap().len(), 3);
    for _ in 0..3 {
        assert_eq!(get(&host, body.clone()).as_ref(), Ok(&once));
    }
    std::thread::scope(|scope| {
        let reads =
            || (0..100).for_each(|_| assert_eq!(get(&host, body.clone()).as_ref(), Ok(&once)));
        (0..2).for_each(|_| drop(scope.spawn(reads)));
    });
}

/// An iterator lives for 15 minutes, to the millisecond; each page gives a new one.
#[test]
fn an_iterator_lives_for_fifteen_minutes() {
    let host = host();
    host.put(2);
    let first = host.of_type("TRIM_HORIZON");
    host.clock.advance_ms(15 * 60 * 1000);
    assert_eq!(ITERATOR_LIFE_MS, 15 * 60 * 1000);
    let (page, next) = host.read(&first, Some(1));
    assert_eq!(page, [0], "exactly 15 minutes old");
    host.clock.advance_ms(1);
    refused(with(&host, &first), "ExpiredIteratorException", "Shard iterator has expired");
    // The next one counts from the page that gave it.
    host.clock.advance_ms(15 * 60 * 1000 - 1);
    let next = next.unwrap();
    assert_eq!(host.read(&next, None).0, [1]);
    host.clock.advance_ms(1);
    refused(with(&host, &next), "ExpiredIteratorException", "Shard iterator has expired");
}

/// A malformed or forged iterator: ValidationException. (Hundred thousand more: `wire_fuzz`.)
#[test]
fn iterators_that_are_none() {
    let host = host();
    host.put(1);
    let iterator = host.of_type("TRIM_HORIZON");
    let (arn, sealed) = (ARN, iterator.rsplit('|').next().unwrap());
    for forged in [
        "junk".to_owned(),
        "|".to_owned(),
        "||".to_owned(),
        arn.to_owned(),
        format!("{arn}|"),
        format!("{arn}|1|"),
        format!("{arn}|1|AAAA"),
        format!("{arn}|2|{sealed}"),
        format!("{arn}|1|{sealed}="),
        format!("{arn}|1|{sealed}|"),
        format!("{iterator} "),
        iterator.to_uppercase(),
        "x".repeat(2048),
        "\u{e9}".repeat(2048),
    ] {
        invalid(with(&host, &forged), "Invalid ShardIterator");
    }
    let least = "have length greater than or equal to 1";
    broken(with(&host, ""), "''", "shardIterator", least);
    let long = "x".repeat(2049);
    let most = "have length less than or equal to 2048";
    broken(with(&host, &long), &format!("'{long}'"), "shardIterator", most);
    broken(get(&host, json!({})), "null", "shardIterator", "not be null");
}

/// Regression: an iterator that was forged for a stream that is not there was told so, instead of what it is.
#[test]
fn a_forged_iterator_of_an_unknown_stream_is_forged() {
    let host = host();
    let iterator = host.of_type("TRIM_HORIZON");
    let forged = iterator.replace(ARN, UNKNOWN);
    invalid(with(&host, &forged), "Invalid ShardIterator");
    // One that the store did make, for a stream that has gone since.
    host.store.remove_stream(ARN).unwrap();
    let gone = format!("Requested resource not found: Stream: {ARN} not found");
    refused(with(&host, &iterator), "ResourceNotFoundException", &gone);
}

/// Trimmed: TrimmedDataAccessException. What was not trimmed, no trim shifts.
#[test]
fn trimming_shifts_no_iterator() {
    let host = host();
    let shard = host.shard();
    host.put(10);
    let at: Vec<String> = (1..=10)
        .map(|n| {
            let number = crate::host::number(0, n);
            host.numbered(&shard, "AT_SEQUENCE_NUMBER", &number).unwrap()
        })
        .collect();
    let trimmed = "The data you are trying to access has been trimmed";
    for horizon in [3, 7, 10] {
        host.trim(&shard, horizon);
        for (n, iterator) in at.iter().enumerate() {
            if (n as u64) < horizon {
                refused(with(&host, iterator), "TrimmedDataAccessException", trimmed);
            } else {
                assert_eq!(host.read(iterator, Some(1)).0, [n]);
            }
        }
    }
}

/// First the types, then the model's rules for all members, then the limit, then the iterator itself, then its
/// age, then what has become of its records.
#[test]
fn the_order_in_which_a_read_is_refused() {
    let host = host();
    host.put(2);
    let number = crate::host::number(0, 1);
    let iterator = host.numbered(&host.shard(), "AT_SEQUENCE_NUMBER", &number).unwrap();
    let wrong = "STRING_VALUE cannot be converted to Integer";
    let body = json!({ "ShardIterator": "", "Limit": "1" });
    refused(get(&host, body), "SerializationException", wrong);
    let must = "failed to satisfy constraint: Member must";
    let both = format!(
        "2 validation errors detected: Value '' at 'shardIterator' {must} have length greater than or \
         equal to 1; Value '0' at 'limit' {must} have value greater than or equal to 1"
    );
    invalid(get(&host, json!({ "ShardIterator": "", "Limit": 0 })), &both);
    let most =
        "One or more parameter values were invalid: Limit should be less than or equal to 1000";
    invalid(get(&host, json!({ "ShardIterator": "junk", "Limit": 1001 })), most);
    host.trim(&host.shard(), 1);
    let trimmed = "The data you are trying to access has been trimmed";
    refused(with(&host, &iterator), "TrimmedDataAccessException", trimmed);
    host.clock.advance_ms(ITERATOR_LIFE_MS + 1);
    refused(with(&host, &iterator), "ExpiredIteratorException", "Shard iterator has expired");
    let forged = format!("{}A", &iterator[..iterator.len() - 1]);
    let forged = if forged == iterator { iterator[1..].to_owned() } else { forged };
    invalid(with(&host, &forged), "Invalid ShardIterator");
}
