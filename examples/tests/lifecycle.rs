//! Contract, lifecycle: tables come and go, and what becomes of their streams meanwhile. The clock is turned by
//! hand.

mod common;

use std::collections::{HashMap, HashSet};

use common::{Client, table};
use serde_json::{Value, json};
use streamcore_emulator::{Config, Emulator};

const NOW_MS: u64 = 1_795_348_800_000;
const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;
const KEY: [(&str, &str, &str); 1] = [("pk", "S", "HASH")];

fn item(pk: &str, v: usize) -> Value {
    json!({ "pk": { "S": pk }, "v": { "N": v.to_string() } })
}

fn named(name: &str) -> Value {
    json!({ "TableName": name })
}

fn switch(client: &Client, specification: Value) -> Value {
    let request = json!({ "TableName": "things", "StreamSpecification": specification });
    client.ok("UpdateTable", request)["TableDescription"].take()
}

/// The ARNs of a table's streams, as they are listed.
fn listed(client: &Client, name: &str) -> Vec<String> {
    let answer = client.ok("ListStreams", named(name));
    let arn = |stream: &Value| stream["StreamArn"].as_str().expect("an ARN").to_owned();
    answer["Streams"].as_array().expect("streams").iter().map(arn).collect()
}

#[track_caller]
fn is_unknown(client: &Client, arn: &str) {
    let said = client.refused("DescribeStream", json!({ "StreamArn": arn }));
    let text = format!("Requested resource not found: Stream: {arn} not found");
    assert_eq!(said, ("ResourceNotFoundException".to_owned(), text));
}

/// CreateTable answers LatestStreamArn and LatestStreamLabel at once, and the stream can be used.
#[test]
fn the_answer_to_create_table_names_the_stream() {
    let client = Client::with_table_at(NOW_MS);
    let made = client.ok("CreateTable", table("music", &KEY, Some("NEW_IMAGE")));
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/music/stream/2026-11-22T12:00:00.000";
    let made = &made["TableDescription"];
    assert_eq!(made["LatestStreamArn"], arn);
    assert_eq!(made["LatestStreamLabel"], "2026-11-22T12:00:00.000");
    assert!(client.records(arn).is_empty());
    let described = client.ok("DescribeStream", json!({ "StreamArn": arn }));
    assert_eq!(described["StreamDescription"]["StreamStatus"], "ENABLED");
}

/// A stream that is disabled stays listed and readable by its ARN for 24 hours, then it is unknown. Enabling
/// again gives a new ARN, and an empty stream, while the old one stays readable.
#[test]
fn a_disabled_stream_is_readable_for_a_day_beside_the_new_one() {
    let client = Client::with_table_at(NOW_MS);
    let first = client.stream_arn("things");
    client.put(item("a", 1));
    client.0.advance_clock(HOUR_MS).expect("a manual clock");
    switch(&client, json!({ "StreamEnabled": false }));
    client.put(item("a", 2));
    let on = json!({ "StreamEnabled": true, "StreamViewType": "KEYS_ONLY" });
    let made = switch(&client, on);
    let second = made["LatestStreamArn"].as_str().expect("an ARN").to_owned();
    assert_ne!(first, second);
    assert!(client.records(&second).is_empty(), "it begins empty");
    client.put(item("a", 3));
    assert_eq!((client.records(&first).len(), client.records(&second).len()), (1, 1));
    assert_eq!(listed(&client, "things"), [first.clone(), second.clone()]);

    client.0.advance_clock(DAY_MS - HOUR_MS).expect("a manual clock");
    assert_eq!(client.records(&first).len(), 1, "its record is 24 hours old");
    client.0.advance_clock(HOUR_MS).expect("a manual clock");
    assert_eq!(listed(&client, "things"), [first.clone(), second.clone()]);
    client.0.advance_clock(1).expect("a manual clock");
    assert_eq!(listed(&client, "things"), std::slice::from_ref(&second));
    is_unknown(&client, &first);
    assert_eq!(client.stream_arn("things"), second);
}

/// The streams of a table that was deleted stay listed and readable for 24 hours, also when a table is created
/// again under the same name, whose stream is a new one.
#[test]
fn the_stream_of_a_deleted_table_is_readable_for_a_day() {
    let client = Client::with_table_at(NOW_MS);
    let first = client.stream_arn("things");
    client.put(item("a", 1));
    client.ok("DeleteTable", named("things"));
    let described = client.ok("DescribeStream", json!({ "StreamArn": first }));
    let described = &described["StreamDescription"];
    assert_eq!(described["StreamStatus"], "DISABLED");
    let range = &described["Shards"][0]["SequenceNumberRange"];
    assert_eq!(range["EndingSequenceNumber"], "100000000000000000001", "its shards are closed");
    // Within the same millisecond, and still another stream.
    client.ok("CreateTable", table("things", &KEY, Some("NEW_IMAGE")));
    let second = client.stream_arn("things");
    client.put(item("b", 1));
    assert_eq!(listed(&client, "things"), [first.clone(), second.clone()]);
    let keys = |arn: &str| -> Vec<Value> {
        client
            .records(arn)
            .iter()
            .map(|record| record["dynamodb"]["Keys"]["pk"]["S"].clone())
            .collect()
    };
    assert_eq!((keys(&first), keys(&second)), (vec![json!("a")], vec![json!("b")]));
    client.0.advance_clock(DAY_MS).expect("a manual clock");
    assert_eq!(keys(&first), ["a"]);
    client.0.advance_clock(1).expect("a manual clock");
    assert_eq!(listed(&client, "things"), [second]);
    is_unknown(&client, &first);
}

/// ListStreams: resuming survives the deletion of the table that the last page ended with, and new tables.
#[test]
fn a_list_goes_on_behind_a_deleted_table() {
    let client = Client::with_table_at(NOW_MS);
    for name in ["albums", "bands", "covers", "duets"] {
        client.ok("CreateTable", table(name, &KEY, Some("KEYS_ONLY")));
    }
    let page = client.ok("ListStreams", json!({ "Limit": 2 }));
    let last = page["LastEvaluatedStreamArn"].clone();
    assert_eq!(last, client.stream_arn("bands"));
    client.ok("DeleteTable", named("bands"));
    client.ok("CreateTable", table("axes", &KEY, Some("KEYS_ONLY")));
    client.ok("CreateTable", table("chords", &KEY, Some("KEYS_ONLY")));
    let rest = |client: &Client| -> Vec<Value> {
        let page = client.ok("ListStreams", json!({ "ExclusiveStartStreamArn": last }));
        page["Streams"]
            .as_array()
            .expect("streams")
            .iter()
            .map(|one| one["TableName"].clone())
            .collect()
    };
    let expected = ["chords", "covers", "duets", "things"];
    assert_eq!(rest(&client), expected);
    // Also when its stream is not known any more.
    client.0.advance_clock(DAY_MS + 1).expect("a manual clock");
    assert!(listed(&client, "bands").is_empty());
    assert_eq!(rest(&client), expected);
}

/// One item, one shard: its changes are all in the same one, each exactly once, in their order.
#[test]
fn the_changes_of_an_item_are_in_one_shard_in_order() {
    let client = Client(Emulator::new(Config { shards: 4, ..Config::default() }));
    client.ok("CreateTable", table("things", &KEY, Some("NEW_IMAGE")));
    let arn = client.stream_arn("things");
    let (items, versions) = (40, 5);
    for version in 0..versions {
        (0..items).for_each(|n| client.put(item(&format!("k{n}"), version)));
    }
    let described = client.ok("DescribeStream", json!({ "StreamArn": arn }));
    let mut told: HashMap<String, Vec<usize>> = HashMap::new();
    let mut shard_of: HashMap<String, HashSet<String>> = HashMap::new();
    for shard in described["StreamDescription"]["Shards"].as_array().expect("shards") {
        let request = json!({
            "StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON",
        });
        let page = client.ok("GetRecords", client.ok("GetShardIterator", request));
        for record in page["Records"].as_array().expect("records") {
            let image = &record["dynamodb"]["NewImage"];
            let pk = image["pk"]["S"].as_str().expect("a key").to_owned();
            let version = image["v"]["N"].as_str().expect("a number").parse().expect("digits");
            told.entry(pk.clone()).or_default().push(version);
            shard_of.entry(pk).or_default().insert(shard["ShardId"].to_string());
        }
    }
    let all: Vec<usize> = (0..versions).collect();
    assert_eq!(told.len(), items);
    assert!(told.values().all(|versions| *versions == all), "{told:?}");
    assert!(shard_of.values().all(|shards| shards.len() == 1), "{shard_of:?}");
    let used: HashSet<&String> = shard_of.values().flatten().collect();
    assert!(used.len() > 1, "several shards take part");
}

/// A transaction writes one record per item that it really changes, and none for one that it leaves as it is.
#[test]
fn a_transaction_writes_one_record_per_item_that_really_changed() {
    let client = Client::with_table_at(NOW_MS);
    client.put(item("same", 1));
    client.put(item("gone", 1));
    client.put(item("counted", 1));
    let arn = client.stream_arn("things");
    let before = client.records(&arn).len();
    let key = |pk: &str| json!({ "pk": { "S": pk } });
    let put = |item: Value| json!({ "Put": { "TableName": "things", "Item": item } });
    let delete = |pk: &str| json!({ "Delete": { "TableName": "things", "Key": key(pk) } });
    let add = |pk: &str, by: &str| {
        json!({ "Update": {
            "TableName": "things", "Key": key(pk), "UpdateExpression": "ADD v :by",
            "ExpressionAttributeValues": { ":by": { "N": by } },
        } })
    };
    let check = json!({ "ConditionCheck": {
        "TableName": "things", "Key": key("checked"),
        "ConditionExpression": "attribute_not_exists(pk)",
    } });
    let actions =
        [put(item("same", 1)), delete("gone"), delete("none"), add("counted", "0"), check];
    client.ok("TransactWriteItems", json!({ "TransactItems": actions }));
    let written: Vec<(Value, Value)> = client.records(&arn)[before..]
        .iter()
        .map(|record| (record["eventName"].clone(), record["dynamodb"]["Keys"]["pk"]["S"].clone()))
        .collect();
    assert_eq!(written, [(json!("REMOVE"), json!("gone"))]);
}
