//! The control API: streams as it shows them, shards that are rolled, split and closed by hand, and the
//! clock.

mod common;
#[path = "common/control.rs"]
mod control;
#[path = "common/sdk.rs"]
mod sdk;

use aws_sdk_dynamodb::types::{AttributeValue, StreamSpecification, StreamViewType};
use aws_sdk_dynamodbstreams::types::{Shard, ShardIteratorType};
use common::process::Process;
use serde_json::{Value, json};

const START_MS: u64 = 1_795_348_800_000;
const START: &str = "2026-11-22T12:00:00Z";

fn still() -> Process {
    Process::start_with(&["--manual-clock", START])
}

async fn put(tables: &aws_sdk_dynamodb::Client, pk: &str) {
    let request = tables.put_item().table_name("things");
    request.item("pk", AttributeValue::S(pk.to_owned())).send().await.expect("put");
}

async fn shards(streams: &aws_sdk_dynamodbstreams::Client, arn: &str) -> Vec<Shard> {
    let answer = streams.describe_stream().stream_arn(arn).send().await.expect("a stream");
    answer.stream_description.expect("a description").shards.expect("shards")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_what_there_is() {
    let server = still();
    let address = &server.address;
    assert_eq!(control::get(address, "streams"), json!({ "tables": [], "streams": [] }));
    let tables = sdk::tables(address);
    let arn = sdk::create_table(&tables, "things", StreamViewType::KeysOnly).await;
    put(&tables, "a").await;
    put(&tables, "b").await;
    let shard = shards(&sdk::streams(address), &arn).await.remove(0);
    let range = shard.sequence_number_range.expect("a range");
    let expected = json!({
        "tables": [{
            "tableName": "things",
            "tableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/things",
            "itemCount": 2,
            "sizeBytes": 6,
            "latestStreamArn": arn,
            "streamEnabled": true,
            "timeToLiveAttribute": null,
        }],
        "streams": [{
            "streamArn": arn,
            "streamLabel": "2026-11-22T12:00:00.000",
            "tableName": "things",
            "streamViewType": "KEYS_ONLY",
            "streamStatus": "ENABLED",
            "createdMs": START_MS,
            "shards": [{
                "shardId": shard.shard_id,
                "parentShardId": null,
                "childShardIds": [],
                "open": true,
                "startingSequenceNumber": range.starting_sequence_number,
                "endingSequenceNumber": null,
                "firstHash": "0",
                "lastHash": "18446744073709551615",
                "createdMs": START_MS,
                "trimmed": 0,
                "published": 2,
                "tail": 2,
            }],
        }],
    });
    assert_eq!(control::get(address, "streams"), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolled_and_split_shards_have_their_children_and_lose_nothing() {
    let server = still();
    let address = &server.address;
    let (tables, streams) = (sdk::tables(address), sdk::streams(address));
    let arn = sdk::create_table(&tables, "things", StreamViewType::KeysOnly).await;
    put(&tables, "a").await;
    let first = shards(&streams, &arn).await.remove(0).shard_id.expect("an id");

    let request = json!({ "streamArn": arn, "shardId": first });
    let rolled = control::post(address, "roll", &request);
    let [second] = &rolled["children"].as_array().expect("children")[..] else {
        panic!("one child, not {rolled}")
    };
    assert_eq!(rolled, json!({ "streamArn": arn, "shardId": first, "children": [second] }));
    // Closed already: the children are those that it has.
    assert_eq!(control::post(address, "split", &request), rolled);
    put(&tables, "b").await;

    let request = json!({ "streamArn": arn, "shardId": second });
    let split = control::post(address, "split", &request);
    let children = split["children"].as_array().expect("children");
    assert_eq!(children.len(), 2);
    let keys: Vec<String> = (0..20).map(|key| format!("k{key}")).collect();
    for key in &keys {
        put(&tables, key).await;
    }

    let described = shards(&streams, &arn).await;
    let lineage: Vec<(Value, Value, bool)> = described
        .iter()
        .map(|shard| {
            let range = shard.sequence_number_range.as_ref().expect("a range");
            let closed = range.ending_sequence_number.is_some();
            (json!(shard.shard_id), json!(shard.parent_shard_id), closed)
        })
        .collect();
    let expected = [
        (json!(first), Value::Null, true),
        (second.clone(), json!(first), true),
        (children[0].clone(), second.clone(), false),
        (children[1].clone(), second.clone(), false),
    ];
    assert_eq!(lineage, expected);

    let shown = control::get(address, "streams")["streams"][0]["shards"].clone();
    let member = |name: &str| -> Vec<Value> {
        shown.as_array().expect("shards").iter().map(|shard| shard[name].clone()).collect()
    };
    assert_eq!(member("childShardIds"), [json!([second]), json!(children), json!([]), json!([])]);
    assert_eq!(member("open"), [false, false, true, true]);
    let half = "9223372036854775807";
    let last = "18446744073709551615";
    assert_eq!(member("lastHash"), [last, last, half, last]);
    let tails = member("tail");
    let counts: Vec<u64> = tails.iter().map(|tail| tail.as_u64().expect("a count")).collect();
    assert_eq!((counts[0], counts[1], counts[2] + counts[3]), (1, 1, 20));
    assert!(counts[2] > 0 && counts[3] > 0, "both take their part: {counts:?}");

    let mut seen = Vec::new();
    for iterator in sdk::iterators(&streams, &arn, ShardIteratorType::TrimHorizon).await {
        let page = streams.get_records().shard_iterator(iterator).send().await.expect("a page");
        seen.extend(page.records.expect("records").into_iter().map(|record| {
            let keys = record.dynamodb.and_then(|data| data.keys).expect("keys");
            keys["pk"].as_s().expect("a string").clone()
        }));
    }
    seen.sort();
    let mut put = [vec!["a".to_owned(), "b".to_owned()], keys].concat();
    put.sort();
    assert_eq!(seen, put);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_stream_is_one_that_the_table_no_longer_has() {
    let server = still();
    let address = &server.address;
    let (tables, streams) = (sdk::tables(address), sdk::streams(address));
    let arn = sdk::create_table(&tables, "things", StreamViewType::KeysOnly).await;
    put(&tables, "a").await;
    let answer = control::post(address, "disable", &json!({ "streamArn": arn }));
    assert_eq!(answer, json!({ "streamArn": arn, "status": "DISABLED" }));
    // Again does nothing.
    assert_eq!(control::post(address, "disable", &json!({ "streamArn": arn })), answer);
    put(&tables, "b").await;

    let table = tables.describe_table().table_name("things").send().await.expect("a table");
    let table = table.table.expect("a description");
    assert_eq!(table.latest_stream_arn.as_ref(), Some(&arn));
    assert!(table.stream_specification.is_none());
    let shown = control::get(address, "streams");
    assert_eq!(shown["tables"][0]["streamEnabled"], json!(false));
    assert_eq!(shown["streams"][0]["streamStatus"], "DISABLED");
    let shard = &shown["streams"][0]["shards"][0];
    assert_eq!((&shard["open"], &shard["tail"]), (&json!(false), &json!(1)));

    let mut iterators = sdk::iterators(&streams, &arn, ShardIteratorType::TrimHorizon).await;
    let iterator = iterators.remove(0);
    let page = streams.get_records().shard_iterator(iterator).send().await.expect("a page");
    assert_eq!((page.records().len(), page.next_shard_iterator()), (1, None));

    let roll = json!({ "streamArn": arn, "shardId": shard["shardId"] }).to_string();
    assert_eq!(control::refused(address, "POST", "roll", &roll), (409, "StreamClosed".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stream_begins_with_as_many_shards_as_were_asked_for() {
    let server = Process::start_with(&["--shards", "3"]);
    let address = &server.address;
    let (tables, streams) = (sdk::tables(address), sdk::streams(address));
    let arn = sdk::create_table(&tables, "things", StreamViewType::KeysOnly).await;
    for key in 0..60 {
        put(&tables, &format!("k{key}")).await;
    }
    let shown = control::get(address, "streams")["streams"][0]["shards"].clone();
    let shown = shown.as_array().expect("shards");
    let text = |value: &Value| value.as_str().expect("a text").parse::<u64>().expect("a number");
    let ranges: Vec<(u64, u64)> =
        shown.iter().map(|shard| (text(&shard["firstHash"]), text(&shard["lastHash"]))).collect();
    let third = u64::MAX / 3;
    let expected = [(0, third - 1), (third, 2 * third - 1), (2 * third, u64::MAX)];
    assert!(ranges.iter().zip(&expected).all(|(a, b)| a.0.abs_diff(b.0) < 2), "{ranges:?}");
    assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0) && ranges.len() == 3);
    for shard in shown {
        assert_eq!((&shard["parentShardId"], &shard["open"]), (&Value::Null, &json!(true)));
        assert!(shard["tail"].as_u64() > Some(5), "each takes its part: {shown:?}");
    }
    // One that is turned on later, too.
    control::post(address, "disable", &json!({ "streamArn": arn }));
    let on = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::KeysOnly)
        .build();
    let update = tables.update_table().table_name("things");
    let update = update.stream_specification(on.expect("complete")).send().await.expect("on");
    let second = update.table_description.and_then(|table| table.latest_stream_arn);
    let second = second.expect("a stream");
    assert_ne!(second, arn);
    assert_eq!(shards(&streams, &second).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_by_name() {
    let server = Process::start();
    let address = &server.address;
    let arn = sdk::create_table(&sdk::tables(address), "things", StreamViewType::KeysOnly).await;
    let refused =
        |method: &str, path: &str, body: &str| control::refused(address, method, path, body);
    let is = |status: u16, code: &str| (status, code.to_owned());
    for path in ["roll", "split", "disable", "clock"] {
        for junk in ["", "[]", "{", "{}", r#"{"streamArn": 5}"#, r#"{"other": "x"}"#] {
            assert_eq!(refused("POST", path, junk), is(400, "BadRequest"), "{path} {junk}");
        }
    }
    for advance in ["-1", "1.5", "\"5\"", "18446744073709551616"] {
        let body = format!(r#"{{"advanceMs": {advance}}}"#);
        assert_eq!(refused("POST", "clock", &body), is(400, "BadRequest"), "{advance}");
    }
    assert_eq!(refused("GET", "roll", ""), is(405, "WrongMethod"));
    assert_eq!(refused("DELETE", "streams", ""), is(405, "WrongMethod"));
    assert_eq!(refused("PUT", "clock", ""), is(405, "WrongMethod"));
    assert_eq!(refused("GET", "", ""), is(404, "NoSuchPath"));
    assert_eq!(refused("GET", "streams/x", ""), is(404, "NoSuchPath"));
    let of = |arn: &str, shard: &str| json!({ "streamArn": arn, "shardId": shard }).to_string();
    assert_eq!(refused("POST", "roll", &of("arn:none", "x")), is(404, "StreamNotFound"));
    assert_eq!(refused("POST", "split", &of(&arn, "x")), is(404, "ShardNotFound"));
    let none = json!({ "streamArn": "arn:none" }).to_string();
    assert_eq!(refused("POST", "disable", &none), is(404, "StreamNotFound"));
    // The system's clock is not turned.
    assert_eq!(refused("POST", "clock", r#"{"advanceMs": 1}"#), is(409, "SystemClock"));
    assert_eq!(control::get(address, "clock")["manual"], json!(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manual_clock_tells_every_time_there_is() {
    let server = still();
    let address = &server.address;
    let clock = |ms: u64, iso: &str| json!({ "nowMs": ms, "now": iso, "manual": true });
    assert_eq!(control::get(address, "clock"), clock(START_MS, "2026-11-22T12:00:00.000Z"));
    let (tables, streams) = (sdk::tables(address), sdk::streams(address));
    let arn = sdk::create_table(&tables, "things", StreamViewType::KeysOnly).await;
    assert!(arn.ends_with("/stream/2026-11-22T12:00:00.000"), "{arn}");
    put(&tables, "a").await;
    control::advance(address, 90_500);
    assert_eq!(
        control::get(address, "clock"),
        clock(START_MS + 90_500, "2026-11-22T12:01:30.500Z")
    );
    put(&tables, "b").await;
    let mut iterators = sdk::iterators(&streams, &arn, ShardIteratorType::TrimHorizon).await;
    let iterator = iterators.remove(0);
    let get = || streams.get_records().shard_iterator(&iterator).send();
    let page = get().await.expect("a page");
    let created: Vec<i64> = page
        .records()
        .iter()
        .map(|record| {
            let data = record.dynamodb.as_ref().expect("its data");
            data.approximate_creation_date_time.expect("a time").secs()
        })
        .collect();
    let start = (START_MS / 1000) as i64;
    assert_eq!(created, [start, start + 90]);
    // Iterators live for fifteen minutes of it.
    control::advance(address, 15 * 60_000);
    get().await.expect("a page");
    control::advance(address, 1);
    let error = get().await.expect_err("too old").into_service_error();
    assert!(error.is_expired_iterator_exception(), "{error}");
    let made = sdk::create_table(&tables, "later", StreamViewType::KeysOnly).await;
    assert!(made.ends_with("/stream/2026-11-22T12:16:30.501"), "{made}");
    let table = tables.describe_table().table_name("later").send().await.expect("a table");
    let made = table.table.and_then(|table| table.creation_date_time).expect("a time");
    assert_eq!(made.secs(), start + 90 + 900);

    let too_far = r#"{"advanceMs": 18446744073709551615}"#;
    assert_eq!(control::refused(address, "POST", "clock", too_far), (400, "TooFar".to_owned()));
    let left = 253_402_300_799_999 - START_MS - 90_500 - 900_001;
    assert_eq!(control::advance(address, left)["now"], "9999-12-31T23:59:59.999Z");
    assert_eq!(
        control::refused(address, "POST", "clock", r#"{"advanceMs": 1}"#),
        (400, "TooFar".to_owned())
    );
}

#[test]
fn pages_of_other_origins_may_not_ask() {
    use std::io::{Read, Write};
    let server = Process::start();
    let ask = |origin: &str| {
        let mut stream = std::net::TcpStream::connect(&server.address).expect("it listens");
        let request = format!(
            "POST /_streams/api/clock HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nConnection: \
             close\r\nContent-Length: 16\r\n\r\n{{\"advanceMs\": 0}}",
            server.address
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("UTF-8");
        answer
    };
    for foreign in ["http://evil.example", "null", "https://localhost", "http://"] {
        let answer = ask(foreign);
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("ForeignPage"), "{answer}");
        assert!(!answer.contains("access-control-allow-origin"), "{answer}");
    }
    // Its own page may; what it asks for is refused for another reason.
    assert!(ask(&format!("http://{}", server.address)).contains("SystemClock"));
}
