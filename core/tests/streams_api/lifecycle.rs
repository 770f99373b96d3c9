//! Contract, lifecycle and shards: what becomes of streams, shards and records with time.

use std::collections::HashMap;

use serde_json::{Value, json};
use streamcore::Error;
use streamcore::model::{Change, StreamStatus};

use crate::host::{ARN, CREATED_MS, Host, config, host, host_of, item, number, refused};

const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

fn is_listed(host: &Host) -> bool {
    let listed = host.call("ListStreams", json!({ "TableName": "Orders" })).unwrap();
    let streams = listed["Streams"].as_array().unwrap();
    streams.iter().any(|stream| stream["StreamArn"] == ARN)
}

/// A status is one of four words.
#[test]
fn the_words_for_the_status() {
    let words = [
        (StreamStatus::Enabling, "ENABLING"),
        (StreamStatus::Enabled, "ENABLED"),
        (StreamStatus::Disabling, "DISABLING"),
        (StreamStatus::Disabled, "DISABLED"),
    ];
    for (status, word) in words {
        assert_eq!((status.as_str(), word.parse()), (word, Ok(status)));
    }
    let host = host();
    let shown = |host: &Host| host.describe(json!({})).unwrap()["StreamStatus"].take();
    assert_eq!(shown(&host), "ENABLED");
    host.stream.disable();
    assert_eq!(shown(&host), "DISABLED");
}

/// A disabled stream's shards are closed. It stays listed and readable by its ARN for 24 hours, and is
/// unknown then: to everybody, also to an iterator that is still young.
#[test]
fn a_disabled_stream_is_there_for_a_day() {
    let host = host_of(|store| store, |stream| stream.shards(2).roll_never());
    host.put(20);
    host.clock.advance_ms(HOUR_MS);
    host.stream.disable();
    let arn = ARN.into();
    assert_eq!(host.stream.put(Change::insert(item(1))), Err(Error::StreamClosed { arn }));
    for shard in host.describe(json!({})).unwrap()["Shards"].as_array().unwrap() {
        assert!(shard["SequenceNumberRange"].get("EndingSequenceNumber").is_some());
        assert!(shard.get("ParentShardId").is_none());
    }
    let shards = host.shards();
    let horizon = |shard: &str| {
        let body = json!({
            "StreamArn": ARN, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
        });
        let answer = host.call("GetShardIterator", body)?;
        Ok(answer["ShardIterator"].as_str().unwrap().to_owned())
    };
    let read_all = || -> usize {
        let read = |shard: &String| host.read(&horizon(shard).unwrap(), None);
        shards.iter().map(read).map(|(page, next)| (page.len(), assert_eq!(next, None)).0).sum()
    };
    assert_eq!(read_all(), 20);
    host.clock.advance_ms(DAY_MS - HOUR_MS);
    assert_eq!(read_all(), 20, "the records are 24 hours old");
    host.clock.advance_ms(HOUR_MS);
    assert!(is_listed(&host), "disabled for exactly 24 hours");
    assert_eq!(
        (host.describe(json!({})).unwrap()["StreamStatus"].take(), read_all()),
        (json!("DISABLED"), 0)
    );
    let young = horizon(&shards[0]).unwrap();

    host.clock.advance_ms(1);
    assert!(!is_listed(&host));
    let unknown = format!("Requested resource not found: Stream: {ARN} not found");
    for refusal in [
        host.describe(json!({})),
        horizon(&shards[0]).map(Value::String),
        host.call("GetRecords", json!({ "ShardIterator": young })),
    ] {
        refused(refusal, "ResourceNotFoundException", &unknown);
    }
}

/// Enabling again gives a new ARN, and an empty stream; the old one stays readable, and both are listed.
#[test]
fn a_stream_that_is_enabled_again_is_another_one() {
    let host = host();
    host.put(3);
    host.stream.disable();
    host.clock.advance_ms(1);
    let again = config("Orders").created_ms(CREATED_MS + 1);
    let again = host.store.register_stream(again).unwrap();
    let listed = host.call("ListStreams", json!({ "TableName": "Orders" })).unwrap();
    let stream = |arn: &str, label: &str| json!({ "StreamArn": arn, "StreamLabel": label, "TableName": "Orders" });
    let new = ARN.replace("252", "253");
    let expected =
        [stream(ARN, "2015-05-20T20:51:10.252"), stream(&new, "2015-05-20T20:51:10.253")];
    assert_eq!(listed, json!({ "Streams": expected }));
    let shard = again.describe().shards[0].shard_id.to_string();
    assert_ne!(shard, host.shard(), "shards are not shared either");
    let body = json!({ "StreamArn": new, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = host.call("GetShardIterator", body).unwrap()["ShardIterator"].take();
    assert!(host.read(iterator.as_str().unwrap(), None).0.is_empty());
    assert_eq!(host.read(&host.of_type("TRIM_HORIZON"), None).0, [0, 1, 2]);
}

/// Shards roll about every 4 hours: the parent is closed, and has a child.
#[test]
fn a_shard_goes_on_in_a_child_after_four_hours() {
    let host = host();
    host.put(2);
    let shown = || host.describe(json!({})).unwrap()["Shards"].take();
    host.clock.advance_ms(4 * HOUR_MS - 1);
    assert_eq!(shown().as_array().unwrap().len(), 1);
    host.clock.advance_ms(1);
    let ids = host.shards();
    let expected = json!([
        {
            "SequenceNumberRange": {
                "StartingSequenceNumber": number(0, 0), "EndingSequenceNumber": number(0, 2),
            },
            "ShardId": ids[0],
        },
        {
            "ParentShardId": ids[0],
            "SequenceNumberRange": { "StartingSequenceNumber": number(1, 0) },
            "ShardId": ids[1],
        },
    ]);
    assert_eq!(shown(), expected);
    // The child's name holds the time of the roll.
    let rolled_ms = CREATED_MS + 4 * HOUR_MS;
    assert_eq!(ids[1][8..28], format!("{rolled_ms:020}"));
}

/// A closed shard is listed and readable for 24 hours after it was closed, with records or without.
#[test]
fn a_closed_shard_is_there_for_a_day() {
    let host = host_of(|store| store, |stream| stream.roll_never());
    let parent = host.shard();
    host.put(1);
    let child = host.roll(&parent);
    let last = host.roll(&child);
    host.clock.advance_ms(DAY_MS);
    assert_eq!(host.shards(), [parent.as_str(), &child, &last]);
    let horizon = host.of_type("TRIM_HORIZON");
    assert_eq!(host.read(&horizon, None), (vec![0], None));
    host.clock.advance_ms(1);
    assert_eq!(host.shards(), [last.as_str()]);
    let no_shard = "Requested resource not found: Shard does not exist";
    let read = host.call("GetRecords", json!({ "ShardIterator": horizon }));
    refused(read, "ResourceNotFoundException", no_shard);
}

/// Records older than 24 hours are trimmed: an iterator at one of them says so, one at the horizon goes on.
#[test]
fn records_older_than_a_day_are_trimmed() {
    let host = host_of(|store| store, |stream| stream.roll_never());
    let shard = host.shard();
    host.put(1);
    host.clock.advance_ms(HOUR_MS);
    host.put(1);
    host.clock.advance_ms(DAY_MS - HOUR_MS);
    let first = || host.numbered(&shard, "AT_SEQUENCE_NUMBER", &number(0, 1));
    let (at_first, horizon) = (first().unwrap(), host.of_type("TRIM_HORIZON"));
    assert_eq!(host.read(&at_first, None).0.len(), 2, "exactly 24 hours old");
    host.clock.advance_ms(1);
    let trimmed = "The data you are trying to access has been trimmed";
    let read = host.call("GetRecords", json!({ "ShardIterator": at_first }));
    refused(read, "TrimmedDataAccessException", trimmed);
    refused(first().map(Value::String), "TrimmedDataAccessException", trimmed);
    assert_eq!(host.read(&horizon, None).0.len(), 1);
    // The numbers of the shard stay.
    let shown = host.describe(json!({})).unwrap();
    let range = json!({ "StartingSequenceNumber": number(0, 0) });
    assert_eq!(shown["Shards"][0]["SequenceNumberRange"], range);
}

/// Closing a parent and showing its children is one visible step: nobody who describes meanwhile sees an open
/// parent with children, or, as long as the stream is ENABLED, a closed shard without a child.
#[test]
fn a_description_never_shows_half_of_a_roll_or_split() {
    let host = host();
    let mut seen = 0;
    std::thread::scope(|scope| {
        let host = &host;
        let closer = scope.spawn(move || {
            for round in 0..60 {
                let shards = host.stream.describe().shards;
                let is_open =
                    |shard: &&streamcore::stream::ShardInfo| shard.ending_sequence_number.is_none();
                let open = shards.iter().find(is_open).unwrap().shard_id.as_str();
                let close =
                    if round % 3 == 0 { host.stream.split(open) } else { host.stream.roll(open) };
                close.unwrap();
            }
            host.stream.disable();
        });
        let mut last = false;
        while !last {
            last = closer.is_finished();
            seen += check_lineage(&host.describe(json!({ "Limit": 100 })).unwrap());
        }
    });
    assert!(seen > 0);
    assert_eq!(host.describe(json!({})).unwrap()["StreamStatus"], "DISABLED");
}

fn check_lineage(description: &Value) -> usize {
    let shards = description["Shards"].as_array().unwrap();
    let mut children: HashMap<&str, usize> = HashMap::new();
    for shard in shards {
        if let Some(parent) = shard.get("ParentShardId") {
            *children.entry(parent.as_str().unwrap()).or_default() += 1;
        }
    }
    for shard in shards {
        let count = children.get(shard["ShardId"].as_str().unwrap()).copied().unwrap_or(0);
        match shard["SequenceNumberRange"].get("EndingSequenceNumber") {
            None => assert_eq!(count, 0, "an open parent: {shard}"),
            Some(_) if description["StreamStatus"] == "ENABLED" => {
                assert!((1..=2).contains(&count), "a closed shard without a child: {shard}");
            }
            Some(_) => {}
        }
    }
    shards.len()
}
