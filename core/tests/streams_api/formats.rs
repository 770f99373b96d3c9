//! Contract, formats: one test for each row of the table.

use std::collections::HashSet;

use serde_json::{Value, json};
use streamcore::model::{AttributeValue as V, Attributes, Change, Image, StreamArn};
use streamcore::model::{KeySchema, StreamViewType};
use streamcore::stream::ReadLimits;
use streamcore::{StreamConfig, wire::StreamsApi};

use crate::host::{ARN, CREATED_MS, Host, arn_of, host, host_of, item, number, register};

/// All records of the first shard, as the wire shows them.
fn records(host: &Host) -> Vec<Value> {
    let request = json!({ "ShardIterator": host.of_type("TRIM_HORIZON") });
    let page = host.call("GetRecords", request).unwrap();
    page["Records"].as_array().unwrap().clone()
}

/// A shard id: `shardId-`, the time of its creation as 20 digits, `-`, 8 lower hexadecimal digits.
#[test]
fn a_shard_id_holds_the_time_of_its_creation() {
    let host = host();
    let id = host.shard();
    let parts: Vec<&str> = id.split('-').collect();
    let [name, time, tag] = parts[..] else { panic!("{id}") };
    assert_eq!((name, time.len(), tag.len()), ("shardId", 20, 8));
    assert_eq!(time.parse(), Ok(CREATED_MS), "consumers read the middle as milliseconds");
    assert!(tag.bytes().all(|digit| b"0123456789abcdef".contains(&digit)), "{id}");
    assert!((28..=65).contains(&id.len()), "what an SDK lets pass");
}

/// The order of shard ids as texts is the order of creation, even if the clock stands still.
#[test]
fn shard_ids_rise_with_every_shard() {
    let host = host_of(|store| store, |stream| stream.shards(3));
    for _ in 0..4 {
        host.shards().iter().for_each(|shard| drop(host.stream.split(shard)));
    }
    let ids = host.shards();
    assert!(ids.len() > 40 && ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

/// A sequence number: 21 to 40 decimal digits, rising as integers in a shard and along a lineage.
#[test]
fn sequence_numbers_rise_in_a_shard_and_along_its_lineage() {
    let host = host();
    let mut shard = host.shard();
    let mut numbers = Vec::new();
    for _ in 0..3 {
        host.put(12);
        shard = host.roll(&shard);
    }
    for shard in host.describe(json!({})).unwrap()["Shards"].as_array().unwrap() {
        let range = &shard["SequenceNumberRange"];
        numbers.push(range["StartingSequenceNumber"].clone());
        let body = json!({ "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON" });
        let request = json!({ "ShardIterator": host.iterator(body).unwrap() });
        let page = host.call("GetRecords", request).unwrap();
        let of = |record: &Value| record["dynamodb"]["SequenceNumber"].clone();
        numbers.extend(page["Records"].as_array().unwrap().iter().map(of));
        if let Some(end) = range.get("EndingSequenceNumber") {
            assert_eq!(Some(end), numbers.last(), "the end is the last record's");
        }
    }
    assert_eq!(numbers.len(), 3 * 13 + 1);
    let texts: Vec<&str> = numbers.iter().map(|number| number.as_str().unwrap()).collect();
    for text in &texts {
        assert!((21..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()));
    }
    let integers: Vec<u128> = texts.iter().map(|text| text.parse().unwrap()).collect();
    assert!(integers.is_sorted_by(|a, b| a < b), "{integers:?}");
}

/// A stream ARN ends in a label: the time of creation in UTC, to the millisecond, without a Z. It is
/// unique per table.
#[test]
fn an_arn_names_region_account_table_and_label() {
    let host = host();
    assert_eq!(
        host.stream.info().arn().as_str(),
        "arn:aws:dynamodb:us-east-1:000000000000:table/Orders/stream/2015-05-20T20:51:10.252"
    );
    assert_eq!(host.stream.info().label(), "2015-05-20T20:51:10.252");
    let other = register(&host.store, "Other");
    assert_eq!(other.info().arn().as_str(), arn_of("Other"));
    // The same table a millisecond later.
    let schema = KeySchema::new("pk", None).unwrap();
    let again = StreamConfig::new("Orders", schema, StreamViewType::KeysOnly)
        .region("eu-west-1")
        .account("123456789012")
        .created_ms(CREATED_MS + 1);
    let again = host.store.register_stream(again).unwrap();
    assert_eq!(
        again.info().arn().as_str(),
        "arn:aws:dynamodb:eu-west-1:123456789012:table/Orders/stream/2015-05-20T20:51:10.253"
    );
}

/// A shard iterator: the stream's ARN, a digit and Base64, with `|` between them. (With the key, the
/// incarnation and the clock given it is always the same one, so it can be compared as a whole.)
#[test]
fn an_iterator_is_an_arn_a_digit_and_base64() {
    let host = host_of(|store| store.iterator_key([7; 16]).incarnation(3), |stream| stream);
    host.put(2);
    let iterator = host.of_type("LATEST");
    let parts: Vec<&str> = iterator.split('|').collect();
    let [arn, digit, sealed] = parts[..] else { panic!("{iterator}") };
    assert_eq!((arn, digit, sealed.len()), (ARN, "1", 60));
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    assert!(sealed.bytes().all(is_base64), "{sealed}");
    assert_eq!(iterator, host.of_type("LATEST"));
    // The next one of an empty page is at the same place.
    let page = host.call("GetRecords", json!({ "ShardIterator": iterator })).unwrap();
    assert_eq!(page, json!({ "Records": [], "NextShardIterator": iterator }));
}

/// An iterator has at most 2048 characters, also for the longest ARN that there can be.
#[test]
fn the_longest_iterator_is_short_enough_and_works() {
    let host = host();
    let rest = ":000000000000:table//stream/2015-05-20T20:51:10.252";
    let table = "t".repeat(255);
    let region = "r".repeat(1024 - "arn:aws:dynamodb:".len() - rest.len() - table.len());
    let text = format!(
        "arn:aws:dynamodb:{region}:000000000000:table/{table}/stream/2015-05-20T20:51:10.252"
    );
    assert_eq!(text.len(), 1024);
    let schema = KeySchema::new("pk", None).unwrap();
    let arn = StreamArn::parse(&text).unwrap();
    let config = StreamConfig::with_arn(arn, schema, StreamViewType::KeysOnly);
    let stream = host.store.register_stream(config).unwrap();
    stream.put(Change::insert(item(1))).unwrap();
    let shard = stream.describe().shards[0].shard_id.to_string();
    let request =
        json!({ "StreamArn": text, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = host.call("GetShardIterator", request).unwrap()["ShardIterator"].take();
    assert!(iterator.as_str().unwrap().len() <= 2048);
    let page = host.call("GetRecords", json!({ "ShardIterator": iterator })).unwrap();
    assert_eq!(page["Records"].as_array().unwrap().len(), 1);
}

/// An event id: 32 lower hexadecimal digits, the same each time a record is read, and of one record only.
#[test]
fn event_ids_are_stable_and_unique() {
    let host = host();
    host.put(500);
    let other = register(&host.store, "Other");
    other.put(Change::insert(item(0))).unwrap();
    let (once, again) = (records(&host), records(&host));
    assert_eq!(once, again);
    let ids: HashSet<&str> =
        once.iter().map(|record| record["eventID"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 500);
    for id in &ids {
        let is_hex = id.bytes().all(|digit| b"0123456789abcdef".contains(&digit));
        assert!(id.len() == 32 && is_hex, "{id}");
    }
    let shard = other.describe().shards[0].shard_id.to_string();
    let page = other.get_records(&shard, Default::default(), ReadLimits::records(1)).unwrap();
    let theirs = page.iter().next().unwrap().event_id().to_string();
    assert!(!ids.contains(&*theirs), "another stream's first record has another id");
}

/// `ApproximateCreationDateTime`: seconds since the epoch, rounded down.
#[test]
fn times_of_records_are_rounded_down_to_the_second() {
    let host = host();
    let times = [0, 747, 1, 999, 1].map(|by| {
        host.clock.advance_ms(by);
        host.put(1);
        (CREATED_MS, by)
    });
    let seconds: Vec<u64> = records(&host)
        .iter()
        .map(|record| record["dynamodb"]["ApproximateCreationDateTime"].as_u64().unwrap())
        .collect();
    // 070.252, 070.999, 071.000, 071.999, 072.000
    let base = 1_432_155_070;
    assert_eq!((times.len(), seconds), (5, vec![base, base, base + 1, base + 1, base + 2]));
}

/// `eventVersion` is 1.1, `eventSource` aws:dynamodb, `awsRegion` the stream's region; `eventSourceARN` is
/// absent. Shown by comparing a whole answer.
#[test]
fn an_answer_with_records_as_a_whole() {
    let host = host_of(
        |store| store.iterator_key([1; 16]).incarnation(1),
        |stream| stream.region("eu-central-1"),
    );
    let arn = host.stream.info().arn().as_str();
    let api = StreamsApi::new(host.store.clone());
    let call = |operation: &str, body: Value| -> Value {
        let answer = api.handle(operation, body.to_string().as_bytes()).unwrap();
        serde_json::from_slice(&answer).unwrap()
    };
    host.put(1);
    let of_type = |kind: &str| {
        let request =
            json!({ "StreamArn": arn, "ShardId": host.shard(), "ShardIteratorType": kind });
        call("GetShardIterator", request)
    };
    let page = call("GetRecords", of_type("TRIM_HORIZON"));
    let expected = json!({
        "Records": [{
            "awsRegion": "eu-central-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_432_155_070,
                "Keys": { "pk": { "N": "0" } },
                "NewImage": { "pk": { "N": "0" } },
                "SequenceNumber": number(0, 1),
                "SizeBytes": page["Records"][0]["dynamodb"]["SizeBytes"],
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventID": page["Records"][0]["eventID"],
            "eventName": "INSERT",
            "eventSource": "aws:dynamodb",
            "eventVersion": "1.1",
        }],
        // As the iterator at LATEST, since the clock stands still.
        "NextShardIterator": of_type("LATEST")["ShardIterator"],
    });
    assert_eq!(page, expected);
}

/// `SizeBytes`: keys, new image and old image, each the sum of the names and the values.
#[test]
fn sizes_are_counted_as_aws_counts_them() {
    let n = |text: &str| V::N(text.to_owned());
    let s = |text: &str| V::S(text.to_owned());
    let cases: [(V, u64); 16] = [
        (s(""), 0),
        (s("a\u{e9}\u{1f600}"), 1 + 2 + 4),
        (V::B(vec![0; 7]), 7),
        (V::Bool(true), 1),
        (V::Null(true), 1),
        (n("1"), 1 + 1),
        (n("12"), 1 + 1),
        (n("123"), 1 + 2),
        (n("1200"), 1 + 1),
        (n("-123"), 1 + 2 + 1),
        (n("0.00123"), 1 + 2),
        (V::Ss(vec!["a".into(), "bc".into()]), 1 + 2),
        (V::Ns(vec!["1".into(), "-123".into()]), 2 + 4),
        (V::L(vec![]), 3),
        (V::L(vec![s("abc"), V::Null(true)]), 3 + (1 + 3) + (1 + 1)),
        (
            V::M([("k".to_owned(), s("v")), ("l".to_owned(), V::L(vec![]))].into()),
            3 + (1 + 1 + 1) + (1 + 1 + 3),
        ),
    ];
    let host = host();
    let (old, key) = (Attributes::from([("pk".to_owned(), s("four"))]), 2 + 4);
    for (value, _) in &cases {
        let mut new = old.clone();
        new.insert("value".to_owned(), value.clone());
        let change = Change::modify(Image::new(old.clone()), Image::new(new));
        host.stream.put(change).unwrap();
    }
    let shown = records(&host);
    assert_eq!(shown.len(), cases.len());
    for (record, (value, size)) in shown.iter().zip(cases) {
        let (new, old) = (key + 5 + size, key);
        assert_eq!(record["dynamodb"]["SizeBytes"], key + new + old, "{value:?}");
    }
}

/// `userIdentity`: on deletions by time to live only, with capitals.
#[test]
fn only_expired_items_have_a_user_identity() {
    let host = host();
    host.stream.put(Change::remove(item(1)).by_ttl()).unwrap();
    host.stream.put(Change::remove(item(2))).unwrap();
    let [expired, deleted] = &records(&host)[..] else { panic!("two records") };
    let service = json!({ "PrincipalId": "dynamodb.amazonaws.com", "Type": "Service" });
    assert_eq!((&expired["userIdentity"], deleted.get("userIdentity")), (&service, None));
}
