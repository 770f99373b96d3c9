//! Snapshots of the emulator as a process: it is killed, or asked to end, while others write.

mod common;
#[path = "common/control.rs"]
mod control;
#[path = "common/plain.rs"]
mod plain;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::files::fresh;
use common::process::Process;
use common::table;
use control::{post, refused};
use plain::Plain;
use serde_json::{Value, json};

const KEY: [(&str, &str, &str); 1] = [("pk", "S", "HASH")];
/// Each of three writers changes so many items in turn; a fourth one writes two tables in transactions.
const ITEMS: u64 = 20;
const WRITERS: usize = 4;
/// No machine is so slow.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(file: &Path) -> (Process, Plain) {
    let file = file.to_str().expect("UTF-8");
    let process = Process::start_with(&["--snapshot", file, "--shards", "2"]);
    let client = Plain::connect(&process.address).expect("it listens");
    (process, client)
}

fn item(pk: &str, v: u64) -> Value {
    json!({ "pk": { "S": pk }, "v": { "N": v.to_string() } })
}

fn value(item: &Value) -> u64 {
    item["v"]["N"].as_str().and_then(|v| v.parse().ok()).expect("a number")
}

/// How many writes of each writer were acknowledged.
#[derive(Default)]
struct Acknowledged([AtomicU64; WRITERS]);

impl Acknowledged {
    fn now(&self) -> [u64; WRITERS] {
        std::array::from_fn(|writer| self.0[writer].load(Ordering::Acquire))
    }

    /// Waits until every writer has got so far.
    fn wait_for(&self, least: [u64; WRITERS]) {
        let began = Instant::now();
        while self.now().iter().zip(least).any(|(now, least)| *now < least) {
            assert!(began.elapsed() < PATIENCE, "{:?} of {least:?}", self.now());
            std::thread::yield_now();
        }
    }
}

/// Writes until the emulator is gone.
fn write(address: &str, writer: usize, acknowledged: &AtomicU64, first: u64) {
    let Ok(mut client) = Plain::connect(address) else { return };
    for v in first.. {
        let answer = if writer < 3 {
            let item = item(&format!("{writer}-{}", v % ITEMS), v);
            client.call("PutItem", &json!({ "TableName": "things", "Item": item }))
        } else {
            let put = |table| json!({ "Put": { "TableName": table, "Item": item("both", v) } });
            client.call(
                "TransactWriteItems",
                &json!({ "TransactItems": [put("left"), put("right")] }),
            )
        };
        match answer {
            Ok((200, _)) => acknowledged.store(v + 1, Ordering::Release),
            Ok((status, refusal)) => panic!("{status}: {refusal}"),
            Err(_) => return,
        }
    }
}

fn arn(client: &mut Plain, table: &str) -> String {
    let described = client.ok("DescribeTable", json!({ "TableName": table }));
    described["Table"]["LatestStreamArn"].as_str().expect("a stream").to_owned()
}

/// The records of a table's stream by their sequence numbers, which are all different.
fn records(client: &mut Plain, table: &str) -> BTreeMap<String, Value> {
    let arn = arn(client, table);
    let mut all = BTreeMap::new();
    for shard in client.shards(&arn) {
        for record in client.records(&arn, &shard) {
            let number =
                record["dynamodb"]["SequenceNumber"].as_str().expect("a number").to_owned();
            assert!(all.insert(format!("{number:0>40}"), record).is_none(), "{number} comes twice");
        }
    }
    all
}

/// Whether the stream tells the story of the items: replaying it gives them.
fn check_replay(client: &mut Plain, table: &str) {
    let mut replayed: HashMap<String, Value> = HashMap::new();
    for record in records(client, table).values() {
        let change = &record["dynamodb"];
        let pk = change["Keys"]["pk"]["S"].as_str().expect("a key").to_owned();
        let old = change.get("OldImage").cloned();
        assert_eq!(replayed.get(&pk), old.as_ref(), "{record}");
        replayed.insert(pk, change["NewImage"].clone());
    }
    let items = client.items(table).into_iter();
    let stored: HashMap<String, Value> =
        items.map(|item| (item["pk"]["S"].as_str().expect("a key").to_owned(), item)).collect();
    assert_eq!(replayed, stored, "{table}");
}

/// Whether every write is there that was acknowledged.
fn check_writes(client: &mut Plain, acknowledged: [u64; WRITERS]) {
    let stored: HashMap<String, u64> = client
        .items("things")
        .iter()
        .map(|item| (item["pk"]["S"].as_str().expect("a key").to_owned(), value(item)))
        .collect();
    for (writer, count) in acknowledged[..3].iter().enumerate() {
        for v in count.saturating_sub(ITEMS)..*count {
            let found = stored.get(&format!("{writer}-{}", v % ITEMS)).copied();
            assert!(found >= Some(v), "writer {writer}: {v} was acknowledged, {found:?} is there");
        }
    }
    let [left, right] = ["left", "right"].map(|table| client.items(table));
    assert_eq!(left, right, "transactions are whole");
    assert!(value(&left[0]) + 1 >= acknowledged[3]);
}

fn create(client: &mut Plain) {
    for name in ["things", "left", "right"] {
        client.ok("CreateTable", table(name, &KEY, Some("NEW_AND_OLD_IMAGES")));
    }
}

/// Every number that two lives have both given means the same record in both.
fn check_numbers(one: &BTreeMap<String, Value>, two: &BTreeMap<String, Value>) {
    for (number, record) in one {
        if let Some(other) = two.get(number) {
            assert_eq!(record, other, "two records of one number");
        }
    }
}

#[test]
fn killed_while_others_write_it_goes_on_from_the_last_snapshot() {
    let file = fresh("killed");
    let (process, mut client) = start(&file);
    create(&mut client);
    let stream = arn(&mut client, "things");
    let acknowledged = Acknowledged::default();
    let (before, shard, tokens, first_life) = std::thread::scope(|scope| {
        for (writer, acknowledged) in acknowledged.0.iter().enumerate() {
            let address = process.address.clone();
            scope.spawn(move || write(&address, writer, acknowledged, 0));
        }
        acknowledged.wait_for([100; WRITERS]);
        let shard = client.shards(&stream).remove(0);
        let tokens = ["TRIM_HORIZON", "LATEST"].map(|kind| client.iterator(&stream, &shard, kind));
        let before = acknowledged.now();
        let report = post(&process.address, "snapshot", &json!({}));
        let after = acknowledged.now();
        assert_eq!(report["file"], json!(file));
        let items = report["items"].as_u64().expect("a number");
        assert!((2..=3 * ITEMS + 2).contains(&items), "{report}");
        // Writes go on behind it, to be lost.
        acknowledged.wait_for(after.map(|count| count + 100));
        let late = client.iterator(&stream, &shard, "LATEST");
        let first_life = records(&mut client, "things");
        let address = process.address.clone();
        drop(process);
        assert!(Plain::connect(&address).is_err(), "killed");
        (before, shard, [tokens, [late, Value::Null]], first_life)
    });

    let (process, mut client) = start(&file);
    check_writes(&mut client, before);
    ["things", "left", "right"].iter().for_each(|table| check_replay(&mut client, table));
    // Iterators of what is held go on, and end where the snapshot does; that of what came after it is refused.
    let [[horizon, latest], [late, _]] = &tokens;
    let read = |client: &mut Plain, token: &Value| {
        client.ok("GetRecords", json!({ "ShardIterator": token }))["Records"]
            .as_array()
            .expect("records")
            .len()
    };
    assert!(read(&mut client, horizon) > 0);
    let held = client.records(&stream, &shard).len();
    assert!(read(&mut client, latest) < held);
    let refusal = client.refused("GetRecords", json!({ "ShardIterator": late }));
    assert_eq!(refusal, ("ValidationException".to_owned(), "Invalid ShardIterator".to_owned()));

    // Writing goes on under numbers that nobody had, and again in a third life, from the same snapshot.
    let mut lives = vec![first_life];
    let mut process = process;
    for life in 0..2 {
        let before = records(&mut client, "things").len();
        for v in 0..50 {
            let item = item(&format!("life {life}, {v}"), v);
            client.ok("PutItem", json!({ "TableName": "things", "Item": item }));
        }
        let this = records(&mut client, "things");
        assert_eq!(this.len(), before + 50);
        lives.iter().for_each(|other| check_numbers(other, &this));
        lives.push(this);
        drop(process);
        (process, client) = start(&file);
        check_replay(&mut client, "things");
    }
    drop(process);
}

#[cfg(unix)]
#[test]
fn asked_to_end_while_others_write_it_loses_nothing_that_it_acknowledged() {
    let file = fresh("ended");
    let (process, mut client) = start(&file);
    create(&mut client);
    let acknowledged = Acknowledged::default();
    std::thread::scope(|scope| {
        let address = process.address.clone();
        for (writer, acknowledged) in acknowledged.0.iter().enumerate() {
            let address = address.clone();
            scope.spawn(move || write(&address, writer, acknowledged, 0));
        }
        acknowledged.wait_for([100; WRITERS]);
        drop(client);
        let (status, rest) = process.stop("-TERM");
        assert!(status.success() && rest.trim_end().ends_with("stopped."), "{status}: {rest}");
    });
    let (_process, mut client) = start(&file);
    let before = acknowledged.now();
    check_writes(&mut client, before);
    ["things", "left", "right"].iter().for_each(|table| check_replay(&mut client, table));
}

#[test]
fn killed_while_a_snapshot_is_being_written_it_goes_on_from_the_former_one() {
    let file = fresh("writing");
    let mut acknowledged = 0;
    for life in 0..6 {
        let (process, mut client) = start(&file);
        if life == 0 {
            create(&mut client);
        }
        let items = client.items("things");
        assert!(items.len() as u64 >= acknowledged, "{} of {acknowledged}", items.len());
        check_replay(&mut client, "things");
        for v in 0..200 {
            let mut item = item(&format!("{life}, {v}"), v);
            item["text"] = json!({ "S": "x".repeat(20_000) });
            client.ok("PutItem", json!({ "TableName": "things", "Item": item }));
        }
        post(&process.address, "snapshot", &json!({}));
        acknowledged = 200 * (life + 1);
        // The next one is under way, at a place that differs from life to life, when the process is killed.
        let beside = file.with_extension("snapshot.tmp");
        let replaced = |file: &Path| std::fs::metadata(file).and_then(|file| file.modified()).ok();
        let before = replaced(&file);
        std::thread::scope(|scope| {
            let address = process.address.clone();
            scope.spawn(move || {
                let connected = std::net::TcpStream::connect(address);
                let request =
                    b"POST /_streams/api/snapshot HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
                if let Ok(mut stream) = connected
                    && std::io::Write::write_all(&mut stream, request).is_ok()
                {
                    // Until the other end is gone.
                    let _ = std::io::Read::read(&mut stream, &mut [0]);
                }
            });
            let (length, began) = (life * 2_000_000, Instant::now());
            let written = || std::fs::metadata(&beside).map_or(0, |beside| beside.len() + 1);
            while written() <= length && replaced(&file) == before {
                assert!(began.elapsed() < PATIENCE);
                std::thread::yield_now();
            }
            drop(process);
        });
    }
}

#[test]
fn what_is_no_snapshot_is_refused_by_name_and_stays_as_it_is() {
    let file = fresh("no_snapshot");
    let (process, mut client) = start(&file);
    create(&mut client);
    post(&process.address, "snapshot", &json!({}));
    drop(process);
    let whole = std::fs::read(&file).expect("a file");
    let cut = &whole[..whole.len() - 7];
    let mut changed = whole.clone();
    changed[40] ^= 1;
    for (bytes, said) in [
        (cut, format!("it is cut at byte {}", cut.len())),
        (&changed, "the checksum of frame 1, which begins at byte 16, is wrong".to_owned()),
        (b"{}", "it is not a snapshot of this emulator".to_owned()),
    ] {
        std::fs::write(&file, bytes).expect("written");
        let arguments = ["--port", "0", "--snapshot", file.to_str().expect("UTF-8")];
        let ended = Command::new(env!("CARGO_BIN_EXE_emulator"))
            .args(arguments)
            .output()
            .expect("it starts");
        assert_eq!(ended.status.code(), Some(1));
        let told = String::from_utf8(ended.stderr).expect("UTF-8");
        let file = file.display();
        assert_eq!(told, format!("emulator: cannot go on from the snapshot {file}: {said}\n"));
        assert!(ended.stdout.is_empty(), "it was never ready");
        assert_eq!(std::fs::read(file.to_string()).expect("a file"), bytes);
    }
}

#[test]
fn snapshots_are_written_in_intervals() {
    let file = fresh("intervals");
    let process = Process::start_with(&[
        "--snapshot",
        file.to_str().expect("UTF-8"),
        "--snapshot-every",
        "1",
    ]);
    let mut client = Plain::connect(&process.address).expect("it listens");
    create(&mut client);
    let (empty, began) = (std::fs::read(&file).expect("written at the start"), Instant::now());
    while std::fs::read(&file).expect("it is always there") == empty {
        assert!(began.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    drop(process);
    let (_process, mut client) = start(&file);
    assert_eq!(
        client.ok("ListTables", json!({}))["TableNames"],
        json!(["left", "right", "things"])
    );
}

#[test]
fn an_import_does_not_undo_what_the_snapshot_holds() {
    let (file, source) = (fresh("imported"), fresh("import").with_extension("json"));
    std::fs::write(&source, json!({ "Items": [item("a", 1), item("b", 1)] }).to_string())
        .expect("written");
    let [file, source] = [&file, &source].map(|path| path.to_str().expect("UTF-8"));
    let options =
        ["--snapshot", file, "--import", source, "--import-table", "things", "--import-key", "pk"];
    let process = Process::start_with(&options);
    let mut client = Plain::connect(&process.address).expect("it listens");
    assert_eq!(client.items("things").len(), 2);
    drop(process);
    // Killed at once: the import is in the snapshot all the same.
    for (v, expected) in [(2, [1, 1]), (3, [2, 1])] {
        let process = Process::start_with(&options);
        let mut client = Plain::connect(&process.address).expect("it listens");
        let mut items = client.items("things");
        items.sort_by_key(|item| item["pk"]["S"].to_string());
        assert_eq!(items.iter().map(value).collect::<Vec<_>>(), expected);
        client.ok("PutItem", json!({ "TableName": "things", "Item": item("a", v) }));
        post(&process.address, "snapshot", &json!({}));
    }
}

#[test]
fn without_a_file_there_is_nothing_to_write() {
    let process = Process::start();
    assert_eq!(refused(&process.address, "POST", "snapshot", "{}"), (409, "NoSnapshot".to_owned()));
}

#[test]
fn a_second_emulator_with_the_same_file_is_refused_until_the_first_has_ended() {
    let file = fresh("second.snapshot");
    let (first, mut client) = start(&file);
    create(&mut client);
    let mut second = Command::new(env!("CARGO_BIN_EXE_emulator"))
        .args(["--port", "0", "--snapshot", file.to_str().expect("UTF-8")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    let output = second.stdout.as_mut().expect("a pipe");
    BufReader::new(output).read_line(&mut line).expect("UTF-8");
    if !line.is_empty() {
        second.kill().expect("it can be ended");
    }
    let output = second.wait_with_output().expect("it ends");
    assert_eq!(line, "", "it serves");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("another emulator goes on from it"), "{said}");
    drop(client);
    drop(first);
    // Killed, and so no longer in its way.
    let (_next, mut client) = start(&file);
    client.ok("ListTables", json!({}));
}
