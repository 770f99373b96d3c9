//! Tables from files: what the AWS CLI prints, and what exports to S3 look like.

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use common::{Client, table};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use streamcore_emulator::{Import, Imported};

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("import").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn import(path: &std::path::Path, key: &[&str]) -> Import {
    let key = key.iter().map(|name| (*name).to_owned()).collect();
    Import { path: path.to_owned(), table: None, key }
}

fn compressed(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).expect("in memory");
    gzip.finish().expect("in memory")
}

const SCAN: &str = r#"{
    "Items": [
        {
            "customer": {
                "S": "ann"
            },
            "order": {
                "N": "1.50"
            },
            "tags": {
                "SS": [
                    "a",
                    "b"
                ]
            },
            "blob": {
                "B": "AAEC"
            }
        },
        {
            "customer": {
                "S": "bob"
            },
            "order": {
                "N": "2"
            }
        }
    ],
    "Count": 2,
    "ScannedCount": 2,
    "ConsumedCapacity": null
}
"#;

#[test]
fn a_scan_becomes_a_table_whose_stream_begins_behind_it() {
    let client = Client::new();
    let path = folder("scan").join("Orders.2026-01.json");
    fs::write(&path, SCAN).expect("written");
    let mut bytes = 0;
    let done = client.0.import(&import(&path, &["customer", "order"]), &mut |read| bytes += read);
    assert_eq!(done.expect("imported"), Imported { table: "Orders".to_owned(), items: 2 });
    assert_eq!(bytes, SCAN.len() as u64);
    let scanned = client.ok("Scan", json!({ "TableName": "Orders" }));
    assert_eq!(scanned["Count"], 2);
    let key = json!({ "customer": { "S": "ann" }, "order": { "N": "1.5" } });
    let item = client.ok("GetItem", json!({ "TableName": "Orders", "Key": key }))["Item"].clone();
    assert_eq!(item["order"], json!({ "N": "1.5" }), "numbers are spelled as DynamoDB does");
    assert_eq!(item["blob"], json!({ "B": "AAEC" }));
    let described = client.ok("DescribeTable", json!({ "TableName": "Orders" }));
    let schema = &described["Table"]["KeySchema"];
    assert_eq!(schema[0], json!({ "AttributeName": "customer", "KeyType": "HASH" }));
    assert_eq!(schema[1], json!({ "AttributeName": "order", "KeyType": "RANGE" }));
    // The import is no news; what comes after is.
    let arn = client.stream_arn("Orders");
    assert!(client.records(&arn).is_empty());
    client.ok("DeleteItem", json!({ "TableName": "Orders", "Key": key }));
    let records = client.records(&arn);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["dynamodb"]["OldImage"]["blob"], json!({ "B": "AAEC" }));
}

#[test]
fn an_export_is_a_folder_of_compressed_lines() {
    let client = Client::new();
    let folder = folder("export");
    let line = |number: u32| format!("{{\"Item\":{{\"id\":{{\"N\":\"{number}\"}}}}}}\n");
    for part in 0..3 {
        let lines: String = (0..100).map(|number| line(100 * part + number)).collect();
        fs::write(folder.join(format!("part-{part}.json.gz")), compressed(&lines))
            .expect("written");
    }
    // Two streams one behind the other are one file.
    let twice = [compressed(&line(1000)), compressed(&line(1001))].concat();
    fs::write(folder.join("part-3.json.gz"), twice).expect("written");
    fs::write(folder.join("manifest-summary.txt"), "not data").expect("written");
    let mut given = import(&folder, &["id"]);
    given.table = Some("Things".to_owned());
    let done = client.0.import(&given, &mut |_| {}).expect("imported");
    assert_eq!(done, Imported { table: "Things".to_owned(), items: 302 });
    assert_eq!(client.ok("Scan", json!({ "TableName": "Things" }))["Count"], 302);
}

#[test]
fn a_table_that_is_there_takes_more_and_its_stream_tells() {
    let client = Client::new();
    client.ok("CreateTable", table("things", &[("pk", "S", "HASH")], Some("NEW_AND_OLD_IMAGES")));
    client.put(json!({ "pk": { "S": "a" }, "old": { "BOOL": true } }));
    let path = folder("more").join("things.json");
    fs::write(&path, r#"{"Item":{"pk":{"S":"a"}}} {"Item":{"pk":{"S":"b"}}}"#).expect("written");
    client.0.import(&import(&path, &[]), &mut |_| {}).expect("imported");
    let names: Vec<_> = client.records(&client.stream_arn("things"));
    let names: Vec<_> = names.iter().map(|record| record["eventName"].as_str()).collect();
    assert_eq!(names, [Some("INSERT"), Some("MODIFY"), Some("INSERT")]);
}

#[test]
fn what_cannot_be_imported_is_named_with_its_place() {
    let folder = folder("bad");
    let path = folder.join("Orders.json");
    let refused = |text: &str, key: &[&str]| {
        fs::write(&path, text).expect("written");
        let client = Client::new();
        let said = client.0.import(&import(&path, key), &mut |_| {}).expect_err(text).to_string();
        let place = format!("cannot import {}", path.display());
        said.strip_prefix(&place).unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    let good = r#"{"Item":{"id":{"S":"a"}}}"#;
    assert!(refused(good, &[]).contains("there is no table Orders yet; name its key attributes"));
    assert!(refused(good, &["a", "b", "c"]).contains("1 or 2 key attributes, not 3"));
    assert!(refused(good, &["name"]).contains("no key attribute name of type S, N or B"));
    let cut = refused(&format!("{good}\n{}", &good[..15]), &["id"]);
    assert!(cut.starts_with(", after 1 items: it is no DynamoDB JSON: EOF while parsing"), "{cut}");
    let odd = refused(&format!("{good}\n{{\"Item\":{{\"id\":{{\"N\":\"1\"}}}}}}"), &["id"]);
    assert!(odd.starts_with(", after 1 items: ") && odd.contains("Type mismatch"), "{odd}");
    assert!(refused("{\"Keys\":{}}", &["id"]).contains("neither `Item`"));
    // Compressed, and cut.
    let whole = compressed(&good.repeat(1000));
    let path = folder.join("Cut.json.gz");
    fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    let said = Client::new().0.import(&import(&path, &["id"]), &mut |_| {}).expect_err("cut");
    assert!(said.to_string().contains("Cut.json.gz"), "{said}");
    let none = Client::new().0.import(&import(&folder.join("none"), &["id"]), &mut |_| {});
    assert!(none.expect_err("no file").to_string().contains("No such file"));
}

#[test]
fn the_binary_refuses_to_start_with_half_of_the_data() {
    let path = folder("binary").join("Orders.json");
    fs::write(&path, "{\"Item\":").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_emulator"))
        .args(["--port", "0", "--import-key", "id", "--import"])
        .arg(&path)
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot import") && said.contains("EOF while parsing"), "{said}");
}
