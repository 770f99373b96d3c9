//! Snapshots: what comes back from one, and what is refused as none.

mod common;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::files::fresh;
use common::{Client, table};
use serde_json::{Value, json};
use streamcore::stream::ManualClock;
use streamcore_emulator::{Config, Emulator, SnapshotFault};

const NOW_MS: u64 = 1_795_348_800_000;
const KEY: [(&str, &str, &str); 1] = [("pk", "S", "HASH")];

fn config(path: &Path, now_ms: u64) -> Config {
    Config {
        snapshot: Some(path.to_owned()),
        manual_clock: Some(Arc::new(ManualClock::at_ms(now_ms))),
        ..Config::default()
    }
}

fn start(path: &Path, now_ms: u64) -> Result<Client, SnapshotFault> {
    Emulator::start(config(path, now_ms)).map(Client)
}

fn control(client: &Client, path: &str, body: Value) -> Value {
    let answer = client.0.control("POST", path, body.to_string().as_bytes());
    serde_json::from_slice(&answer.expect("it is answered")).expect("JSON")
}

fn streams(client: &Client) -> Value {
    let answer = client.0.control("GET", "streams", b"").expect("it is answered");
    serde_json::from_slice(&answer).expect("JSON")
}

/// One item of everything that an attribute can be.
fn everything(pk: &str) -> Value {
    json!({
        "pk": { "S": pk },
        "text": { "S": "h\u{e9} \"quoted\" \\ \u{0} \u{1f600}" },
        "empty": { "S": "" },
        "number": { "N": "-1.5E-100" },
        "digits": { "N": "12345678901234567890123456789012345678" },
        "bytes": { "B": "AAECA/8=" },
        "texts": { "SS": ["b", "a"] },
        "numbers": { "NS": ["3", "-1", "2.5"] },
        "blobs": { "BS": ["AA==", "/w=="] },
        "null": { "NULL": true },
        "no": { "BOOL": false },
        "list": { "L": [{ "L": [{ "M": { "deep": { "L": [] } } }] }, { "N": "0" }] },
        "map": { "M": { "": { "S": "no name" }, "inner": { "M": {} } } },
    })
}

/// A busy emulator's state: tables of all kinds, and streams in every stage.
fn furnish(client: &Client) {
    client.ok("CreateTable", table("things", &KEY, Some("NEW_AND_OLD_IMAGES")));
    let mut sorted =
        table("sorted", &[("pk", "S", "HASH"), ("sk", "N", "RANGE")], Some("KEYS_ONLY"));
    let definitions = sorted["AttributeDefinitions"].as_array_mut().expect("definitions");
    definitions.push(json!({ "AttributeName": "other", "AttributeType": "B" }));
    let keys = |hash: &str, range: &str| json!([{ "AttributeName": hash, "KeyType": "HASH" }, { "AttributeName": range, "KeyType": "RANGE" }]);
    sorted["LocalSecondaryIndexes"] = json!([{
        "IndexName": "local", "KeySchema": keys("pk", "other"),
        "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"] },
    }]);
    sorted["GlobalSecondaryIndexes"] = json!([{
        "IndexName": "global", "KeySchema": keys("other", "sk"), "Projection": { "ProjectionType": "ALL" },
    }]);
    sorted["Tags"] = json!([{ "Key": "team", "Value": "\u{fc}" }]);
    sorted["BillingMode"] = json!("PROVISIONED");
    sorted["ProvisionedThroughput"] = json!({ "ReadCapacityUnits": 3, "WriteCapacityUnits": 4 });
    client.ok("CreateTable", sorted);
    client.ok("CreateTable", table("plain", &KEY, None));
    client.ok("CreateTable", table("gone", &KEY, Some("OLD_IMAGE")));

    let expiry = json!({ "TableName": "things", "TimeToLiveSpecification": { "Enabled": true, "AttributeName": "ends" } });
    client.ok("UpdateTimeToLive", expiry);
    client.put(everything("all"));
    client
        .put(json!({ "pk": { "S": "short" }, "ends": { "N": (NOW_MS / 1000 + 60).to_string() } }));
    client.put(
        json!({ "pk": { "S": "long" }, "ends": { "N": (NOW_MS / 1000 + 7_200).to_string() } }),
    );
    control(client, "clock", json!({ "advanceMs": 3_600_000 }));
    for (pk, sk) in [("a", "1"), ("a", "-2.50"), ("b", "1e3")] {
        let item = json!({ "pk": { "S": pk }, "sk": { "N": sk }, "other": { "B": "AQ==" }, "x": { "N": "1" } });
        client.ok("PutItem", json!({ "TableName": "sorted", "Item": item }));
    }
    client.ok("PutItem", json!({ "TableName": "plain", "Item": everything("p") }));
    client.ok("PutItem", json!({ "TableName": "gone", "Item": everything("g") }));
    client.ok("DeleteTable", json!({ "TableName": "gone" }));

    // The first stream of `things` is closed; the second one is split and rolled, and gives up its oldest.
    let switch = |specification: Value| {
        client.ok(
            "UpdateTable",
            json!({ "TableName": "things", "StreamSpecification": specification }),
        );
    };
    switch(json!({ "StreamEnabled": false }));
    switch(json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" }));
    let arn = client.stream_arn("things");
    for n in 0..2_500 {
        client.put(json!({ "pk": { "S": format!("{}", n % 7) }, "n": { "N": n.to_string() } }));
    }
    let first = open_shards(client, &arn).remove(0);
    control(client, "split", json!({ "streamArn": arn, "shardId": first }));
    client.ok("DeleteItem", json!({ "TableName": "things", "Key": { "pk": { "S": "3" } } }));
    let put = |pk: &str| json!({ "Put": { "TableName": "things", "Item": { "pk": { "S": pk } } } });
    client.ok("TransactWriteItems", json!({ "TransactItems": [put("t1"), put("t2"), put("t3")] }));
    let second = open_shards(client, &arn).remove(0);
    control(client, "roll", json!({ "streamArn": arn, "shardId": second }));
    client.put(json!({ "pk": { "S": "last" } }));
}

fn open_shards(client: &Client, arn: &str) -> Vec<String> {
    let listed = streams(client);
    let stream =
        listed["streams"].as_array().expect("streams").iter().find(|one| one["streamArn"] == arn);
    let shards = stream.expect("it is there")["shards"].as_array().expect("shards").clone();
    let open = shards.iter().filter(|shard| shard["open"] == true);
    open.map(|shard| shard["shardId"].as_str().expect("an id").to_owned()).collect()
}

/// All that clients see of the tables.
fn tables(client: &Client) -> Vec<Value> {
    let names = client.ok("ListTables", json!({}))["TableNames"].as_array().expect("names").clone();
    let mut seen = vec![json!(names)];
    for name in names {
        let described = client.ok("DescribeTable", json!({ "TableName": name }));
        let arn = described["Table"]["TableArn"].clone();
        seen.push(described);
        seen.push(client.ok("ListTagsOfResource", json!({ "ResourceArn": arn })));
        seen.push(client.ok("DescribeTimeToLive", json!({ "TableName": name })));
        seen.push(client.ok("Scan", json!({ "TableName": name })));
    }
    for index in ["local", "global"] {
        seen.push(client.ok("Scan", json!({ "TableName": "sorted", "IndexName": index })));
    }
    seen
}

/// The same snapshot for another emulator, while the first one still has its own.
fn copied(path: &Path) -> PathBuf {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).expect("copied");
    copy
}

#[test]
fn everything_comes_back() {
    let path = fresh("everything");
    let before = {
        let config = Config { retain_records: NonZeroU64::new(500), ..config(&path, NOW_MS) };
        Client(Emulator::start(config).expect("nothing is there"))
    };
    furnish(&before);
    let report = before.0.write_snapshot().expect("it is written");
    assert_eq!(report.bytes, std::fs::metadata(&path).expect("a file").len());
    let after = start(&copied(&path), NOW_MS).expect("it is whole");

    assert_eq!(tables(&before), tables(&after));
    assert_eq!(before.0.store().now_ms(), after.0.store().now_ms(), "the clock goes on");
    let (old, new) = (streams(&before), streams(&after));
    assert_eq!(old["tables"], new["tables"]);
    let (old, new) =
        (old["streams"].as_array().expect("streams"), new["streams"].as_array().expect("streams"));
    assert_eq!((old.len(), new.len()), (4, 4));
    let (mut records, mut trimmed, mut expired) = (0, 0, 0);
    for (old, new) in old.iter().zip(new) {
        for member in
            ["streamArn", "streamLabel", "tableName", "streamViewType", "streamStatus", "createdMs"]
        {
            assert_eq!(old[member], new[member]);
        }
        let (was, is) =
            (old["shards"].as_array().expect("shards"), new["shards"].as_array().expect("shards"));
        let open = was.iter().filter(|shard| shard["open"] == true).count();
        assert_eq!(is.len(), was.len() + open, "one child for each that was open");
        for (was, is) in was.iter().zip(is) {
            for member in [
                "shardId",
                "parentShardId",
                "startingSequenceNumber",
                "firstHash",
                "lastHash",
                "createdMs",
                "trimmed",
                "published",
                "tail",
            ] {
                assert_eq!(was[member], is[member], "{member}");
            }
            assert_eq!(is["open"], false);
            trimmed += was["trimmed"].as_u64().expect("a number");
        }
        let arn = old["streamArn"].as_str().expect("an ARN");
        let told = before.records(arn);
        assert_eq!(told, after.records(arn));
        expired += told.iter().filter(|record| record["userIdentity"].is_object()).count();
        records += told.len() as u64;
    }
    assert_eq!(records, report.records);
    assert!(trimmed > 1_000 && expired == 1, "{trimmed}, {expired}");

    // It goes on: what was to expire does, and tables write to their streams.
    control(&after, "clock", json!({ "advanceMs": 3_601_000 }));
    assert!(after.get(json!({ "pk": { "S": "long" } })).is_null());
    let last = after.records(&after.stream_arn("things")).pop().expect("a record");
    assert_eq!(last["userIdentity"]["Type"], "Service");
    let again = after.0.write_snapshot().expect("it is written");
    assert_eq!(again.records, report.records + 1);
    let copy = path.with_extension("copy");
    assert!(matches!(start(&copy, NOW_MS), Err(SnapshotFault::InUse { .. })));
    drop(after);
    assert!(start(&copy, NOW_MS).is_ok());
}

#[test]
fn images_are_shared_after_a_restore_as_they_were_before() {
    let path = fresh("shared");
    let before = start(&path, NOW_MS).expect("nothing is there");
    before.ok("CreateTable", table("things", &KEY, Some("NEW_AND_OLD_IMAGES")));
    let text = "x".repeat(100_000);
    for n in 0..10 {
        before
            .put(json!({ "pk": { "S": "a" }, "text": { "S": text }, "n": { "N": n.to_string() } }));
    }
    // Ten images: each is new in one record and old in the next, and the last is the item too.
    let report = before.0.write_snapshot().expect("it is written");
    assert!((1_000_000..1_010_000).contains(&report.bytes), "{}", report.bytes);
    let after = start(&copied(&path), NOW_MS).expect("it is whole");
    let again = after.0.write_snapshot().expect("it is written");
    assert!((1_000_000..1_010_000).contains(&again.bytes), "{}", again.bytes);
}

/// A snapshot of a table, a few items, and a stream with a closed and an open shard; as small as may be.
fn small(path: &Path) -> Vec<u8> {
    let client = start(path, NOW_MS).expect("nothing is there");
    client.ok("CreateTable", table("things", &KEY, Some("NEW_AND_OLD_IMAGES")));
    client.put(json!({ "pk": { "S": "a" } }));
    client.put(json!({ "pk": { "S": "b" }, "v": { "B": "/w==" } }));
    let arn = client.stream_arn("things");
    let shard = open_shards(&client, &arn).remove(0);
    control(&client, "roll", json!({ "streamArn": arn, "shardId": shard }));
    client.ok("DeleteItem", json!({ "TableName": "things", "Key": { "pk": { "S": "a" } } }));
    client.0.write_snapshot().expect("it is written");
    std::fs::read(path).expect("a file")
}

#[track_caller]
fn fault(path: &Path, bytes: &[u8]) -> SnapshotFault {
    std::fs::write(path, bytes).expect("written");
    let Err(fault) = start(path, NOW_MS) else { panic!("it was taken for a snapshot") };
    assert!(!fault.to_string().is_empty());
    assert_eq!(std::fs::read(path).expect("a file"), bytes, "it stays as it is");
    fault
}

#[test]
fn a_file_with_any_byte_changed_is_refused() {
    let path = fresh("changed");
    let whole = small(&path);
    for at in 0..whole.len() {
        for with in [1 << (at % 8), 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= with;
            let fault = fault(&path, &bytes);
            let is_named = match at {
                0..8 => matches!(fault, SnapshotFault::NotASnapshot),
                8..16 => matches!(fault, SnapshotFault::Damaged { frame: 0, at: 0 }),
                _ => matches!(
                    fault,
                    SnapshotFault::Damaged { .. }
                        | SnapshotFault::Cut { .. }
                        | SnapshotFault::TooLong { .. }
                ),
            };
            assert!(is_named, "byte {at}: {fault}");
        }
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let path = fresh("cut");
    let whole = small(&path);
    for length in 0..whole.len() {
        let fault = fault(&path, &whole[..length]);
        assert!(
            matches!(fault, SnapshotFault::Cut { at } if at == length as u64),
            "{length}: {fault}"
        );
    }
    std::fs::write(&path, &whole).expect("written");
    assert!(start(&path, NOW_MS).is_ok());
}

/// Where each frame begins.
fn frames(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut frames = Vec::new();
    let mut at = 16;
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 1..at + 5].try_into().expect("four")) as usize;
        frames.push(at..at + 9 + length);
        at += 9 + length;
    }
    frames
}

#[test]
fn frames_that_are_whole_are_not_taken_in_another_order() {
    let path = fresh("order");
    let whole = small(&path);
    let frames = frames(&whole);
    for at in 1..frames.len() - 1 {
        // Left out, twice, and exchanged with the next.
        let parts = |order: &[usize]| -> Vec<u8> {
            let frames =
                order.iter().flat_map(|frame| whole[frames[*frame].clone()].iter().copied());
            whole[..16].iter().copied().chain(frames).collect()
        };
        let all: Vec<usize> = (0..frames.len()).collect();
        let without = [&all[..at], &all[at + 1..]].concat();
        let twice = [&all[..=at], &all[at..]].concat();
        let mut exchanged = all.clone();
        exchanged.swap(at - 1, at);
        for order in [without, twice, exchanged] {
            assert!(matches!(fault(&path, &parts(&order)), SnapshotFault::Damaged { .. }));
        }
    }
    let trailing = [&whole[..], b"\0"].concat();
    let at = whole.len() as u64;
    assert!(
        matches!(fault(&path, &trailing), SnapshotFault::Trailing { at: found } if found == at)
    );
    assert!(matches!(fault(&path, b"no snapshot at all"), SnapshotFault::NotASnapshot));
    let mut newer = whole.clone();
    newer[8] = 2;
    let crc = crc32fast::hash(&newer[..12]);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(fault(&path, &newer), SnapshotFault::UnknownVersion { found: 2, known: 1 }));
}

#[test]
fn a_snapshot_needs_a_file_and_a_folder_for_it() {
    let client = Client::new();
    let refused = client.0.control("POST", "snapshot", b"").expect_err("there is no file");
    assert_eq!(refused.status, 409);
    assert!(matches!(client.0.write_snapshot(), Err(SnapshotFault::NotConfigured)));
    let path = fresh("folder").join("missing");
    assert!(matches!(start(&path, NOW_MS), Err(SnapshotFault::Io { doing: "open", .. })));
    let path = fresh("control");
    let client = start(&path, NOW_MS).expect("nothing is there");
    let refused =
        client.0.control("POST", "snapshot", b"{\"x\": 1}").expect_err("not what it takes");
    assert_eq!(refused.status, 400);
    assert_eq!(client.0.control("GET", "snapshot", b"").expect_err("no such method").status, 405);
    let answer = control(&client, "snapshot", json!({}));
    assert_eq!(answer["file"], json!(path));
    assert_eq!((&answer["items"], &answer["records"]), (&json!(0), &json!(0)));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let path = fresh("secret");
    start(&path, NOW_MS).expect("nothing is there");
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
