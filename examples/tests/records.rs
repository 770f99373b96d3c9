//! What is written into a stream, and what is not: the table of the contract, operation by operation.

mod common;

use common::{Client, table, update};
use serde_json::{Value, json};

fn s(text: &str) -> Value {
    json!({ "S": text })
}

fn n(number: i64) -> Value {
    json!({ "N": number.to_string() })
}

/// A client, and the records of table `things` that were written since it was last asked.
struct Watch {
    client: Client,
    arn: String,
    seen: usize,
}

impl Watch {
    fn new() -> Self {
        let client = Client::with_table();
        let arn = client.stream_arn("things");
        Self { client, arn, seen: 0 }
    }

    fn new_records(&mut self) -> Vec<Value> {
        let all = self.client.records(&self.arn);
        let new = all[self.seen..].to_vec();
        self.seen = all.len();
        new
    }

    /// The one record that was written.
    #[track_caller]
    fn one(&mut self) -> Value {
        let new = self.new_records();
        assert_eq!(new.len(), 1, "{new:?}");
        new[0].clone()
    }

    #[track_caller]
    fn none(&mut self) {
        let new = self.new_records();
        assert!(new.is_empty(), "{new:?}");
    }
}

/// Contract, what is written: a put or update that creates gives an INSERT without an OldImage key, a change
/// one MODIFY, a deletion a REMOVE without a NewImage key.
#[test]
fn creating_changing_and_deleting_write_one_record_each() {
    let mut watch = Watch::new();
    let key = json!({ "pk": s("a") });
    let first = json!({ "pk": s("a"), "v": n(1) });
    watch.client.put(first.clone());
    let record = watch.one();
    assert_eq!(record["eventName"], "INSERT");
    assert_eq!(record["dynamodb"]["Keys"], key);
    assert_eq!(record["dynamodb"]["NewImage"], first);
    assert!(record["dynamodb"].get("OldImage").is_none());

    let second = watch.client.update("SET v = :v", json!({ ":v": n(2) }));
    let record = watch.one();
    assert_eq!(record["eventName"], "MODIFY");
    assert_eq!(record["dynamodb"]["OldImage"], first);
    assert_eq!(record["dynamodb"]["NewImage"], second);

    watch.client.ok("DeleteItem", json!({ "TableName": "things", "Key": key }));
    let record = watch.one();
    assert_eq!(record["eventName"], "REMOVE");
    assert_eq!(record["dynamodb"]["OldImage"], second);
    assert!(record["dynamodb"].get("NewImage").is_none());
    assert!(record.get("userIdentity").is_none());

    // An update can create an item, with nothing but its key.
    watch.client.ok("UpdateItem", json!({ "TableName": "things", "Key": key }));
    let record = watch.one();
    assert_eq!(record["eventName"], "INSERT");
    assert_eq!(record["dynamodb"]["NewImage"], key);
}

/// Contract: what changes nothing gives no record: an identical put, ADD 0, an equal map in another order, the
/// deletion of a missing item, REMOVE of a missing attribute.
#[test]
fn what_changes_nothing_writes_nothing() {
    let mut watch = Watch::new();
    let item = json!({
        "pk": s("a"), "n": n(5), "set": { "SS": ["x", "y"] }, "m": { "M": { "a": n(1), "b": n(2) } },
    });
    watch.client.put(item.clone());
    watch.one();
    watch.client.put(item);
    watch.none();
    // Another order of members and of maps, another spelling of a number.
    watch.client.put(json!({
        "m": { "M": { "b": { "N": "2.0" }, "a": n(1) } }, "set": { "SS": ["y", "x"] },
        "n": { "N": "0.5e1" }, "pk": s("a"),
    }));
    watch.none();
    watch.client.update("ADD n :zero", json!({ ":zero": n(0) }));
    watch.client.update("SET n = n", Value::Null);
    watch.client.update("ADD set :x", json!({ ":x": { "SS": ["x"] } }));
    watch.client.update("DELETE set :z", json!({ ":z": { "SS": ["z"] } }));
    watch.client.update("REMOVE missing, m.missing", Value::Null);
    watch.client.ok("UpdateItem", json!({ "TableName": "things", "Key": { "pk": s("a") } }));
    watch.none();
    let missing = json!({ "TableName": "things", "Key": { "pk": s("none") } });
    watch.client.ok("DeleteItem", missing);
    watch.none();
    let mut refused = update("SET n = :v", json!({ ":v": n(9) }));
    refused["ConditionExpression"] = json!("n = :v");
    watch.client.refused("UpdateItem", refused);
    watch.none();
}

/// Contract: a batch gives one record per item that really changed. (Transactions: `lifecycle`.)
#[test]
fn a_batch_writes_one_record_per_item_that_really_changed() {
    let mut watch = Watch::new();
    watch.client.put(json!({ "pk": s("same") }));
    watch.client.put(json!({ "pk": s("old") }));
    watch.new_records();
    let put = |pk: &str| json!({ "PutRequest": { "Item": { "pk": s(pk) } } });
    let delete = |pk: &str| json!({ "DeleteRequest": { "Key": { "pk": s(pk) } } });
    let requests = json!([put("same"), put("new"), delete("old"), delete("none")]);
    watch.client.ok("BatchWriteItem", json!({ "RequestItems": { "things": requests } }));
    let mut written: Vec<(String, String)> = watch
        .new_records()
        .iter()
        .map(|record| {
            let text = |value: &Value| value.as_str().expect("a string").to_owned();
            (text(&record["eventName"]), text(&record["dynamodb"]["Keys"]["pk"]["S"]))
        })
        .collect();
    written.sort();
    let expected = [("INSERT", "new"), ("REMOVE", "old")];
    assert_eq!(written, expected.map(|(event, key)| (event.to_owned(), key.to_owned())));
}

/// Contract: images include the keys; KEYS_ONLY, NEW_IMAGE, OLD_IMAGE and NEW_AND_OLD_IMAGES.
#[test]
fn each_view_type_shows_what_it_says() {
    for (view, new, old) in [
        ("KEYS_ONLY", false, false),
        ("NEW_IMAGE", true, false),
        ("OLD_IMAGE", false, true),
        ("NEW_AND_OLD_IMAGES", true, true),
    ] {
        let client = Client::new();
        let keys = [("pk", "S", "HASH"), ("sk", "N", "RANGE")];
        client.ok("CreateTable", table("things", &keys, Some(view)));
        let item = |v| json!({ "pk": s("a"), "sk": n(1), "v": n(v) });
        client.put(item(1));
        client.put(item(2));
        let key = json!({ "pk": s("a"), "sk": n(1) });
        client.ok("DeleteItem", json!({ "TableName": "things", "Key": key }));
        let records = client.records(&client.stream_arn("things"));
        let expected = [
            ("INSERT", Some(item(1)), None),
            ("MODIFY", Some(item(2)), Some(item(1))),
            ("REMOVE", None, Some(item(2))),
        ];
        assert_eq!(records.len(), expected.len(), "{view}");
        for (record, (event, after, before)) in records.iter().zip(expected) {
            let data = &record["dynamodb"];
            assert_eq!(record["eventName"], event);
            assert_eq!(data["StreamViewType"], view);
            assert_eq!(data["Keys"], key);
            assert_eq!(data.get("NewImage"), after.filter(|_| new).as_ref(), "{view} {event}");
            assert_eq!(data.get("OldImage"), before.filter(|_| old).as_ref(), "{view} {event}");
        }
    }
}

#[test]
fn a_disabled_stream_stays_readable_and_a_new_one_begins_empty() {
    let client = Client::with_table();
    let first = client.stream_arn("things");
    client.put(json!({ "pk": s("a") }));
    let switch = |spec: Value| {
        client.ok("UpdateTable", json!({ "TableName": "things", "StreamSpecification": spec }));
    };
    switch(json!({ "StreamEnabled": false }));
    client.put(json!({ "pk": s("unseen") }));
    assert_eq!(client.records(&first).len(), 1, "what was written before it was disabled");
    switch(json!({ "StreamEnabled": true, "StreamViewType": "KEYS_ONLY" }));
    let second = client.stream_arn("things");
    client.put(json!({ "pk": s("b") }));
    assert_eq!(client.records(&first).len(), 1);
    assert_eq!(client.records(&second).len(), 1);
    let listed = client.ok("ListStreams", json!({ "TableName": "things" }));
    assert_eq!(listed["Streams"].as_array().map(Vec::len), Some(2));
    // A table's end is not its streams' end.
    client.ok("DeleteTable", json!({ "TableName": "things" }));
    let described = client.ok("DescribeStream", json!({ "StreamArn": second }));
    assert_eq!(described["StreamDescription"]["StreamStatus"], "DISABLED");
    assert_eq!(client.records(&second).len(), 1);
}
