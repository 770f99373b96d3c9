//! Time to live: turning it on and off, and what becomes of items whose time has passed.

mod common;
#[path = "common/control.rs"]
mod control;
#[path = "common/sdk.rs"]
mod sdk;

use std::time::{Instant, SystemTime};

use aws_sdk_dynamodb::types::{
    AttributeValue, StreamViewType, TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use common::Client;
use common::process::Process;
use serde_json::{Value, json};

const NOW_S: u64 = 1_795_348_800;
const YEAR_S: u64 = 365 * 24 * 60 * 60;

fn specification(enabled: bool, attribute: &str) -> Value {
    json!({ "Enabled": enabled, "AttributeName": attribute })
}

fn request(enabled: bool, attribute: &str) -> Value {
    json!({
        "TableName": "things",
        "TimeToLiveSpecification": specification(enabled, attribute),
    })
}

fn item(pk: &str, ends: Value) -> Value {
    json!({ "pk": { "S": pk }, "ends": ends })
}

fn at(time: u64) -> Value {
    json!({ "N": time.to_string() })
}

/// The keys of all items, in order.
fn keys(client: &Client) -> Vec<String> {
    let scanned = client.ok("Scan", json!({ "TableName": "things" }));
    let text = |item: &Value| item["pk"]["S"].as_str().expect("a key").to_owned();
    let mut keys: Vec<String> =
        scanned["Items"].as_array().expect("items").iter().map(text).collect();
    keys.sort();
    keys
}

#[test]
fn it_is_turned_on_and_off_and_described() {
    let client = Client::with_table();
    let describe = || client.ok("DescribeTimeToLive", json!({ "TableName": "things" }));
    let off = json!({ "TimeToLiveDescription": { "TimeToLiveStatus": "DISABLED" } });
    assert_eq!(describe(), off);
    for _ in 0..2 {
        let answer = client.ok("UpdateTimeToLive", request(true, "ends"));
        assert_eq!(answer, json!({ "TimeToLiveSpecification": specification(true, "ends") }));
        let on = json!({
            "TimeToLiveDescription": { "TimeToLiveStatus": "ENABLED", "AttributeName": "ends" },
        });
        assert_eq!(describe(), on);
        let other =
            "TimeToLive is active on a different AttributeName: current AttributeName is ends";
        for (enabled, attribute, said) in [
            (true, "ends", "TimeToLive is already enabled"),
            (true, "other", other),
            (false, "other", other),
        ] {
            let refused = client.invalid("UpdateTimeToLive", request(enabled, attribute));
            assert_eq!(refused, said);
        }
        assert_eq!(describe(), on);
        let answer = client.ok("UpdateTimeToLive", request(false, "ends"));
        assert_eq!(answer, json!({ "TimeToLiveSpecification": specification(false, "ends") }));
        assert_eq!(describe(), off);
        for attribute in ["ends", "other"] {
            let refused = client.invalid("UpdateTimeToLive", request(false, attribute));
            assert_eq!(refused, "TimeToLive is already disabled");
        }
    }
}

#[test]
fn what_is_wrong_is_refused_in_awss_words() {
    let client = Client::with_table();
    let failed = |value: &str, at: &str, rule: &str| {
        format!(
            "1 validation error detected: Value {value} at 'timeToLiveSpecification{at}' failed to \
             satisfy constraint: Member must {rule}"
        )
    };
    let long = "x".repeat(256);
    for (given, said) in [
        (Value::Null, failed("null", "", "not be null")),
        (json!({}), failed("null", ".attributeName", "not be null")),
        (json!({ "Enabled": true }), failed("null", ".attributeName", "not be null")),
        (json!({ "AttributeName": "x" }), failed("null", ".enabled", "not be null")),
        (
            specification(true, ""),
            failed("''", ".attributeName", "have length greater than or equal to 1"),
        ),
        (
            specification(true, &long),
            failed(&format!("'{long}'"), ".attributeName", "have length less than or equal to 255"),
        ),
    ] {
        let request = json!({ "TableName": "things", "TimeToLiveSpecification": given });
        assert_eq!(client.invalid("UpdateTimeToLive", request), said);
    }
    let missing = "Requested resource not found: Table: none not found".to_owned();
    let mut update = request(true, "ends");
    update["TableName"] = json!("none");
    let describe = json!({ "TableName": "none" });
    for (operation, request) in [("UpdateTimeToLive", update), ("DescribeTimeToLive", describe)] {
        let refused = client.refused(operation, request);
        assert_eq!(refused, ("ResourceNotFoundException".to_owned(), missing.clone()));
    }
}

#[test]
fn only_what_has_a_time_that_has_passed_expires() {
    let client = Client::with_table_at(NOW_S * 1000);
    client.put(item("before", at(NOW_S - 1)));
    client.ok("UpdateTimeToLive", request(true, "ends"));
    client.put(item("now", at(NOW_S)));
    client.put(item("soon", at(NOW_S + 1)));
    client.put(item("text", json!({ "S": "1" })));
    client.put(item("fraction", json!({ "N": "1.5" })));
    client.put(item("five years", at(NOW_S - 5 * YEAR_S)));
    client.put(item("older", at(NOW_S - 5 * YEAR_S - 1)));
    client.put(json!({ "pk": { "S": "none" } }));
    assert_eq!(client.0.expire(), Ok(2));
    let left = ["fraction", "none", "now", "older", "soon", "text"];
    assert_eq!(keys(&client), left);
    assert_eq!(client.0.expire(), Ok(0));

    client.0.advance_clock(1_999).expect("a manual clock");
    assert_eq!(client.0.expire(), Ok(1), "one second has passed, not two");
    // Put off, and deleted in time.
    client.put(item("soon", at(NOW_S + 100)));
    client.put(item("later", at(NOW_S + 2)));
    client.ok("DeleteItem", json!({ "TableName": "things", "Key": { "pk": { "S": "later" } } }));
    client.0.advance_clock(60_000).expect("a manual clock");
    assert_eq!(client.0.expire(), Ok(0));
    assert_eq!(keys(&client), ["fraction", "none", "older", "soon", "text"]);
    // Turned off, nothing expires any more.
    client.ok("UpdateTimeToLive", request(false, "ends"));
    client.0.advance_clock(60_000).expect("a manual clock");
    assert_eq!(client.0.expire(), Ok(0));
    client.ok("UpdateTimeToLive", request(true, "ends"));
    assert_eq!(client.0.expire(), Ok(1));
    assert_eq!(keys(&client), ["fraction", "none", "older", "text"]);
    // Five years count from where the clock stands now.
    client.0.advance_clock(6 * YEAR_S * 1000).expect("a manual clock");
    assert_eq!(client.0.expire(), Ok(0));
    client.put(item("mistaken", at(NOW_S + 200)));
    assert_eq!(client.0.expire(), Ok(0));
}

/// Contract, what is written: a deletion by time to live is a REMOVE with userIdentity.
#[test]
fn an_expired_item_leaves_the_record_of_a_service() {
    let client = Client::with_table_at(NOW_S * 1000);
    let arn = client.stream_arn("things");
    client.ok("UpdateTimeToLive", request(true, "ends"));
    client.put(item("a", at(NOW_S + 1)));
    client.0.advance_clock(5_000).expect("a manual clock");
    assert_eq!(client.0.expire(), Ok(1));
    let records = client.records(&arn);
    assert_eq!(records.len(), 2);
    let expected = json!({
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": NOW_S + 5,
            "Keys": { "pk": { "S": "a" } },
            "OldImage": item("a", at(NOW_S + 1)),
            "SequenceNumber": "100000000000000000002",
            "SizeBytes": 16,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventID": records[1]["eventID"],
        "eventName": "REMOVE",
        "eventSource": "aws:dynamodb",
        "eventVersion": "1.1",
        "userIdentity": { "PrincipalId": "dynamodb.amazonaws.com", "Type": "Service" },
    });
    assert_eq!(records[1], expected);
    assert!(records[0].get("userIdentity").is_none());
}

#[test]
fn many_items_expire_at_once() {
    let client = Client::with_table_at(NOW_S * 1000);
    let arn = client.stream_arn("things");
    client.ok("UpdateTimeToLive", request(true, "ends"));
    // More than expire under one lock, in each of the locks.
    for number in 0..20_000 {
        client.put(item(&format!("item-{number}"), at(NOW_S)));
    }
    client.put(item("later", at(NOW_S + 2)));
    client.0.advance_clock(1_000).expect("a manual clock");
    assert_eq!(client.0.expire(), Ok(20_000));
    assert_eq!(keys(&client), ["later"]);
    let streams = client.0.store().stream(&arn).expect("a stream").stats().shards;
    assert_eq!(streams[0].1.published, 40_001);
}

#[test]
fn turning_the_clock_makes_streams_give_up_what_is_too_old() {
    let client = Client::with_table_at(NOW_S * 1000);
    let turn = |by_ms: u64| {
        let body = json!({ "advanceMs": by_ms }).to_string();
        let answer = client.0.control("POST", "clock", body.as_bytes()).expect("turned");
        serde_json::from_slice::<Value>(&answer).expect("JSON")["expired"].clone()
    };
    // Nobody comes to the stream: these figures do not.
    let kept = || -> u64 {
        let (_, stats) = client.0.store().stats().streams.pop().expect("a stream");
        stats.shards.iter().map(|(_, log)| log.published - log.trimmed).sum()
    };
    client.ok("UpdateTimeToLive", request(true, "ends"));
    client.put(item("a", at(NOW_S + 48 * 3600)));
    client.put(item("b", at(NOW_S + 48 * 3600)));
    assert_eq!(turn(24 * 3_600_000), 0);
    assert_eq!(kept(), 2);
    assert_eq!(turn(1), 0);
    assert_eq!(kept(), 0);
    assert_eq!(turn(48 * 3_600_000), 2);
    assert_eq!(kept(), 2, "what the items that expired have left is new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turning_the_clock_over_http_lets_items_expire_before_it_answers() {
    let server = Process::start_with(&["--manual-clock", &(NOW_S * 1000).to_string()]);
    let (tables, streams) = (sdk::tables(&server.address), sdk::streams(&server.address));
    let arn = sdk::create_table(&tables, "things", StreamViewType::OldImage).await;
    enable(&tables).await;
    put(&tables, "a", NOW_S + 60).await;
    let mut iterators = sdk::iterators(&streams, &arn, ShardIteratorType::Latest).await;
    let iterator = iterators.remove(0);
    let answer = control::advance(&server.address, 60_000);
    assert_eq!(answer["expired"], 0);
    let expected = json!({
        "nowMs": NOW_S * 1000 + 61_000,
        "now": "2026-11-22T12:01:01.000Z",
        "manual": true,
        "expired": 1,
    });
    assert_eq!(control::advance(&server.address, 1_000), expected);
    let page = streams.get_records().shard_iterator(iterator).send().await.expect("a page");
    let [record] = page.records() else { panic!("{page:?}") };
    let identity = record.user_identity.as_ref().expect("an identity");
    assert_eq!(identity.principal_id(), Some("dynamodb.amazonaws.com"));
    assert_eq!(identity.r#type(), Some("Service"));
    assert_eq!(
        control::get(&server.address, "streams")["tables"][0]["timeToLiveAttribute"],
        "ends"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_expire_by_the_systems_clock_too() {
    let server = Process::start();
    let (tables, streams) = (sdk::tables(&server.address), sdk::streams(&server.address));
    let arn = sdk::create_table(&tables, "things", StreamViewType::KeysOnly).await;
    enable(&tables).await;
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    put(&tables, "a", now - 10).await;
    put(&tables, "b", now + 1_000).await;
    let mut iterators = sdk::iterators(&streams, &arn, ShardIteratorType::TrimHorizon).await;
    let mut iterator = iterators.remove(0);
    let began = Instant::now();
    let mut seen = Vec::new();
    while seen.last() != Some(&"REMOVE".to_owned()) {
        assert!(began.elapsed().as_secs() < 30, "nothing expired: {seen:?}");
        let page = streams.get_records().shard_iterator(iterator).send().await.expect("a page");
        for record in page.records() {
            seen.push(record.event_name.as_ref().expect("an event").as_str().to_owned());
        }
        iterator = page.next_shard_iterator.expect("the shard is open");
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

async fn enable(tables: &aws_sdk_dynamodb::Client) {
    let on = TimeToLiveSpecification::builder().enabled(true).attribute_name("ends").build();
    let request = tables.update_time_to_live().table_name("things");
    let request = request.time_to_live_specification(on.expect("complete"));
    request.send().await.expect("turned on");
    let answer = tables.describe_time_to_live().table_name("things").send().await.expect("known");
    let description = answer.time_to_live_description.expect("a description");
    assert_eq!(description.time_to_live_status, Some(TimeToLiveStatus::Enabled));
}

async fn put(tables: &aws_sdk_dynamodb::Client, pk: &str, ends: u64) {
    let request = tables.put_item().table_name("things");
    let request = request.item("pk", AttributeValue::S(pk.to_owned()));
    request.item("ends", AttributeValue::N(ends.to_string())).send().await.expect("put");
}
