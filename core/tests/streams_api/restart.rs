//! Iterators across a restart of the host: a store that comes back as it was goes on with them, any other one
//! refuses them clearly.

use std::sync::Arc;

use serde_json::{Value, json};
use streamcore::model::{Change, KeySchema, StreamArn, StreamViewType};
use streamcore::stream::{ITERATOR_LIFE_MS, ManualClock, ReadLimits};
use streamcore::wire::StreamsApi;
use streamcore::{Error, Store, StreamConfig};

use crate::host::{ARN, CREATED_MS, Host, invalid, item, number, refused};

const KEY: [u8; 16] = *b"sixteen secrets.";
const INCARNATION: u64 = 42;

/// A process that starts at this time, with the records that were stored before.
fn start(key: Option<[u8; 16]>, incarnation: Option<u64>, now_ms: u64, records: usize) -> Host {
    let clock = Arc::new(ManualClock::at_ms(now_ms));
    let mut builder = Store::builder().clock(clock.clone());
    if let Some(key) = key {
        builder = builder.iterator_key(key);
    }
    if let Some(incarnation) = incarnation {
        builder = builder.incarnation(incarnation);
    }
    let store = builder.build();
    let schema = KeySchema::new("pk", None).unwrap();
    let arn = StreamArn::parse(ARN).unwrap();
    let config = StreamConfig::with_arn(arn, schema, StreamViewType::NewAndOldImages);
    let stream = store.register_stream(config).unwrap();
    for n in 0..records {
        stream.put(Change::insert(item(n))).unwrap();
    }
    Host { api: StreamsApi::new(store.clone()), store, stream, clock }
}

/// An iterator of each kind, and what it reads of 10 records.
fn iterators(host: &Host) -> Vec<(String, Vec<usize>)> {
    let at = |n: u64| host.numbered(&host.shard(), "AT_SEQUENCE_NUMBER", &number(0, n)).unwrap();
    let next = host.read(&host.of_type("TRIM_HORIZON"), Some(3)).1.unwrap();
    vec![
        (host.of_type("TRIM_HORIZON"), (0..10).collect()),
        (at(5), (4..10).collect()),
        (next, (3..10).collect()),
        (host.of_type("LATEST"), vec![]),
    ]
}

fn read(host: &Host, iterator: &str) -> Result<Value, streamcore::wire::WireError> {
    host.call("GetRecords", json!({ "ShardIterator": iterator }))
}

#[test]
fn the_same_incarnation_with_the_same_key_goes_on() {
    let before = start(Some(KEY), Some(INCARNATION), CREATED_MS, 10);
    let iterators = iterators(&before);
    drop(before);
    let after = start(Some(KEY), Some(INCARNATION), CREATED_MS + 60_000, 10);
    for (iterator, expected) in &iterators {
        assert_eq!(after.read(iterator, None).0, *expected);
    }
    // What is put from now on comes behind it.
    let (_, next) = after.read(&iterators[3].0, None);
    after.stream.put(Change::insert(item(10))).unwrap();
    assert_eq!(after.read(&next.unwrap(), None).0, [10]);
    // Their life goes on too.
    after.clock.advance_ms(ITERATOR_LIFE_MS - 60_000 + 1);
    for (iterator, _) in &iterators {
        let expired = read(&after, iterator);
        refused(expired, "ExpiredIteratorException", "Shard iterator has expired");
    }
}

/// Regression: the first shards of a stream that was restored were named after the time of the restart, so that a
/// consumer which had kept their ids did not find them.
#[test]
fn shards_have_the_names_that_they_had_before() {
    let before = start(Some(KEY), Some(INCARNATION), CREATED_MS, 1);
    let after = start(Some(KEY), Some(INCARNATION), CREATED_MS + 60_000, 1);
    assert_eq!(after.shards(), before.shards());
    let described = |host: &Host| host.describe(json!({})).unwrap();
    assert_eq!(described(&after), described(&before));
    // They are rolled by the clock all the same: not as if they were old already.
    after.clock.advance_ms(4 * 60 * 60 * 1000 - 1);
    assert_eq!(after.shards().len(), 1);
    after.clock.advance_ms(1);
    assert_eq!(after.shards().len(), 2);
}

#[test]
fn another_incarnation_or_key_refuses_what_it_did_not_make() {
    let before = start(Some(KEY), Some(INCARNATION), CREATED_MS, 10);
    let iterators = iterators(&before);
    let other = Some([1; 16]);
    let incarnation = "it was made by another incarnation of the store";
    let tag = "its tag does not fit";
    for (key, of, problem) in [
        (Some(KEY), Some(INCARNATION + 1), incarnation),
        // Drawn by the store itself: another one with each start.
        (Some(KEY), None, incarnation),
        (other, Some(INCARNATION), tag),
        (None, Some(INCARNATION), tag),
        (None, None, tag),
    ] {
        let after = start(key, of, CREATED_MS, 10);
        for (iterator, _) in &iterators {
            let error = after.store.read_iterator(iterator, ReadLimits::records(1)).map(drop);
            assert_eq!(error, Err(Error::InvalidIterator { problem }));
            invalid(read(&after, iterator), "Invalid ShardIterator");
        }
    }
}

/// Also if the stream itself did not come back: then an iterator that was made here says that.
#[test]
fn a_store_that_came_back_without_the_stream_says_what_is_missing() {
    let before = start(Some(KEY), Some(INCARNATION), CREATED_MS, 1);
    let iterator = before.of_type("TRIM_HORIZON");
    let without = |incarnation| {
        let after = start(Some(KEY), Some(incarnation), CREATED_MS, 1);
        after.store.remove_stream(ARN).unwrap();
        read(&after, &iterator)
    };
    let gone = format!("Requested resource not found: Stream: {ARN} not found");
    refused(without(INCARNATION), "ResourceNotFoundException", &gone);
    invalid(without(INCARNATION + 1), "Invalid ShardIterator");
}
