//! The page's end of the server: its files, its events, and the records that it reads. What a browser makes of
//! them is tested in one, by `browser_page.py`.

mod common;
#[path = "common/control.rs"]
mod control;
#[path = "common/sdk.rs"]
mod sdk;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeValue, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use common::process::Process;
use serde_json::{Value, json};

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request; the answer's head is read, its body is not.
fn ask(address: &str, method: &str, path: &str) -> (u16, Vec<String>, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let status = head[0].split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, head, reader)
}

fn fetch(address: &str, path: &str) -> (u16, Vec<String>, String) {
    let (status, head, mut reader) = ask(address, "GET", path);
    let mut body = String::new();
    reader.read_to_string(&mut body).expect("UTF-8");
    (status, head, body)
}

/// What a page hears.
struct Events {
    reader: BufReader<TcpStream>,
    count: usize,
    shards: BTreeMap<String, Value>,
    streams: BTreeMap<String, Value>,
    tables: BTreeMap<String, Value>,
    clock: Value,
}

impl Events {
    fn of(address: &str, arn: &str) -> Self {
        let query = if arn.is_empty() { String::new() } else { format!("?stream={arn}") };
        let (status, head, reader) = ask(address, "GET", &format!("/_streams/api/events{query}"));
        assert_eq!(status, 200, "{head:?}");
        assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
        let [shards, streams, tables] = [const { BTreeMap::new() }; 3];
        Self { reader, count: 0, shards, streams, tables, clock: Value::Null }
    }

    /// Takes in the next event; `false` at the end.
    fn hear(&mut self) -> bool {
        let (mut line, began) = (String::new(), Instant::now());
        loop {
            line.clear();
            // A page that is told nothing still gets comments.
            assert!(began.elapsed() < PATIENCE, "no event: {:?} {:?}", self.streams, self.shards);
            if self.reader.read_line(&mut line).expect("an event in time") == 0 {
                return false;
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = data.trim_end().parse().expect("JSON");
                self.take(&data);
                self.count += 1;
                return true;
            }
        }
    }

    fn take(&mut self, data: &Value) {
        let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        for stream in all(&data["streams"]) {
            self.streams.insert(text(&stream["streamArn"]), stream);
        }
        all(&data["streamsGone"]).iter().for_each(|arn| drop(self.streams.remove(&text(arn))));
        for table in all(&data["tables"]) {
            self.tables.insert(text(&table["tableName"]), table);
        }
        all(&data["tablesGone"]).iter().for_each(|name| drop(self.tables.remove(&text(name))));
        for shard in all(&data["tree"]["shards"]) {
            self.shards.insert(text(&shard["shardId"]), shard);
        }
        all(&data["tree"]["shardsGone"]).iter().for_each(|id| drop(self.shards.remove(&text(id))));
        if !data["clock"].is_null() {
            self.clock = data["clock"].clone();
        }
    }

    /// Listens until it is so.
    #[track_caller]
    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            assert!(self.hear(), "the events ended: {:?} {:?}", self.streams, self.shards);
        }
    }

    /// The shards, as the control API shows them.
    fn tree(&self) -> Value {
        self.shards.values().cloned().collect()
    }
}

async fn put(tables: &aws_sdk_dynamodb::Client, pk: &str, value: &str) {
    let request = tables.put_item().table_name("things");
    let item = request
        .item("pk", AttributeValue::S(pk.to_owned()))
        .item("value", AttributeValue::S(value.to_owned()));
    item.send().await.expect("put");
}

#[test]
fn the_page_is_whole_and_asks_for_nothing_from_elsewhere() {
    let server = Process::start();
    let address = &server.address;
    let (status, _, page) = fetch(address, "/_streams");
    assert_eq!(status, 200);
    assert_eq!(fetch(address, "/_streams/").2, page);
    let named = |text: &str, before: &str| -> Vec<String> {
        text.split(before)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned)
            .collect()
    };
    let mut files = [named(&page, "href=\"/"), named(&page, "src=\"/")].concat();
    let scripts = ["page", "dom", "tree", "line", "list", "records", "difference", "actions"];
    files.extend(scripts.map(|name| format!("_streams/{name}.js")));
    for file in files {
        let (status, head, text) = fetch(address, &format!("/{file}"));
        assert_eq!(status, 200, "{file}");
        let kind = match file.rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            _ => "image/svg+xml",
        };
        assert!(
            head.iter().any(|line| line.starts_with(&format!("content-type: {kind}"))),
            "{file}"
        );
        assert!(head.iter().any(|line| line.contains("default-src 'self'")), "{file}");
        assert!(head.contains(&"x-content-type-options: nosniff".to_owned()), "{file}");
        for call in ["innerHTML", "outerHTML", "insertAdjacent", "eval(", "document.write"] {
            assert!(!text.contains(call), "{file}: {call} makes markup or code of values");
        }
        let elsewhere = text.replace("http://www.w3.org/2000/svg", "").contains("://");
        assert!(!elsewhere, "{file} names another place");
        for import in named(&text, "from \"./") {
            assert!(scripts.contains(&import.trim_end_matches(".js")), "{file} needs {import}");
        }
    }
    for inline in ["<style", " style=", "<script>", " onclick", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert_eq!(fetch(address, "/_streams/none.js").0, 404);
    assert_eq!(ask(address, "POST", "/_streams/page.js").0, 405);
    let (status, head, mut rest) = ask(address, "HEAD", "/_streams");
    assert!(status == 200 && head.contains(&format!("content-length: {}", page.len())), "{head:?}");
    assert_eq!(rest.read_to_string(&mut String::new()).expect("no body"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_hears_of_whatever_happens() {
    let server = Process::start_with(&["--manual-clock", "2026-11-22T12:00:00Z"]);
    let address = &server.address;
    let tables = sdk::tables(address);
    let mut list = Events::of(address, "");
    assert!(list.hear() && list.streams.is_empty() && list.clock["manual"] == true);
    let arn = sdk::create_table(&tables, "things", StreamViewType::KeysOnly).await;
    list.until(|seen| seen.streams.contains_key(&arn));
    assert!(list.shards.is_empty(), "no tree was asked for");

    let mut page = Events::of(address, &arn);
    page.until(|seen| seen.shards.len() == 1);
    put(&tables, "a", "1").await;
    let is_told = |records: u64| {
        let arn = arn.clone();
        move |seen: &Events| seen.streams[&arn]["records"] == records
    };
    page.until(is_told(1));
    list.until(is_told(1));
    let first = page.shards.keys().next().expect("a shard").clone();
    let of_first = json!({ "streamArn": arn, "shardId": first });
    let children = control::post(address, "split", &of_first)["children"].clone();
    page.until(|seen| seen.shards.len() == 3);
    assert_eq!(page.shards[&first]["childShardIds"], children);
    for key in 0..50 {
        put(&tables, &format!("k{key}"), "1").await;
    }
    page.until(is_told(51));
    let shown = control::get(address, "streams")["streams"][0]["shards"].clone();
    page.until(|seen| seen.tree() == shown);

    // Rolled, trimmed and forgotten by the clock alone.
    control::advance(address, 5 * 3_600_000);
    page.until(|seen| seen.shards.len() == 5 && seen.clock["now"] == "2026-11-22T17:00:00.000Z");
    control::advance(address, 50 * 3_600_000);
    page.until(|seen| seen.shards.values().all(|shard| shard["trimmed"] == shard["tail"]));
    let shown = control::get(address, "streams")["streams"][0]["shards"].clone();
    page.until(|seen| seen.tree() == shown);
    control::post(address, "disable", &json!({ "streamArn": arn }));
    list.until(|seen| seen.streams[&arn]["streamStatus"] == "DISABLED");
    page.until(|seen| seen.shards.values().all(|shard| shard["open"] == false));
    // What is in tables and settings: a stream that is turned on later, time to live, a table that goes.
    let on = StreamSpecification::builder().stream_enabled(true);
    let on = on.stream_view_type(StreamViewType::KeysOnly).build().expect("complete");
    let update = tables.update_table().table_name("things").stream_specification(on);
    update.send().await.expect("a second stream");
    list.until(|seen| seen.streams.len() == 2 && seen.tables["things"]["streamEnabled"] == true);
    let ends = TimeToLiveSpecification::builder().enabled(true).attribute_name("ends").build();
    let update = tables.update_time_to_live().table_name("things");
    update.time_to_live_specification(ends.expect("complete")).send().await.expect("turned on");
    list.until(|seen| seen.tables["things"]["timeToLiveAttribute"] == "ends");
    tables.delete_table().table_name("things").send().await.expect("deleted");
    list.until(|seen| seen.tables.is_empty());
    control::advance(address, 25 * 3_600_000);
    list.until(|seen| seen.streams.is_empty());
    page.until(|seen| seen.streams.is_empty() && seen.shards.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_writer_is_told_of_in_steps() {
    let server = Process::start();
    let address = &server.address;
    let arn = sdk::create_table(&sdk::tables(address), "things", StreamViewType::KeysOnly).await;
    let mut page = Events::of(address, &arn);
    page.until(|seen| !seen.streams.is_empty());
    let began = Instant::now();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let tables = sdk::tables(address);
            tokio::spawn(async move {
                for key in 0..500 {
                    put(&tables, &format!("{writer} {key}"), "x").await;
                }
            })
        })
        .collect();
    let (arn, mut page) = tokio::task::spawn_blocking(move || {
        page.until(|seen| seen.streams[&arn]["records"] == 2000);
        (arn, page)
    })
    .await
    .expect("all is heard");
    for writer in writers {
        writer.await.expect("it writes");
    }
    let most = began.elapsed().as_millis() as usize / 100 + 3;
    assert!(page.count <= most, "{} events, {most} at the most", page.count);
    let shown = control::get(address, "streams")["streams"][0]["shards"].clone();
    page.until(|seen| seen.tree() == shown);
    assert_eq!(page.streams[&arn]["counted"], 2000);
}

#[test]
fn there_is_a_bound_on_pages_and_those_that_are_gone_do_not_count() {
    let server = Process::start_with(&["--manual-clock", "0"]);
    let address = &server.address;
    let mut pages: Vec<Events> = (0..64).map(|_| Events::of(address, "")).collect();
    let refused = |path: &str| control::refused(address, "GET", path, "");
    assert_eq!(ask(address, "GET", "/_streams/api/events").0, 503);
    assert_eq!(refused("events"), (503, "TooManyPages".to_owned()));
    pages.truncate(63);
    // It is noticed when the page is written to.
    let mut tries = 0;
    while ask(address, "GET", "/_streams/api/events").0 != 200 {
        tries += 1;
        assert!(tries < 10_000, "the place of a page that is gone is not given to another");
        control::advance(address, 1);
    }
    assert!(pages.iter_mut().all(Events::hear));
    assert_eq!(refused("events?shard=x"), (400, "BadRequest".to_owned()));
    assert_eq!(control::refused(address, "POST", "events", "{}"), (405, "WrongMethod".to_owned()));
}

#[cfg(unix)]
#[test]
fn pages_end_at_once_when_the_server_does() {
    let server = Process::start();
    let mut pages: Vec<Events> = (0..3).map(|_| Events::of(&server.address, "")).collect();
    assert!(pages.iter_mut().all(Events::hear));
    let began = Instant::now();
    let (status, _) = server.stop("-TERM");
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // To the end of the last chunk, not cut off: the reader would have failed.
    assert!(!pages.iter_mut().any(Events::hear));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_records_of_a_shard_are_read() {
    let server = Process::start_with(&["--manual-clock", "0"]);
    let address = &server.address;
    let tables = sdk::tables(address);
    let arn = sdk::create_table(&tables, "things", StreamViewType::NewAndOldImages).await;
    let shard = control::get(address, "streams")["streams"][0]["shards"][0]["shardId"].clone();
    let shard = shard.as_str().expect("an id").to_owned();
    let path = |more: &str| format!("records?stream={arn}&shard={shard}{more}");
    let read = |more: &str| control::get(address, &path(more));
    let place = |page: &Value| {
        let count = page["records"].as_array().expect("records").len();
        (page["from"].clone(), page["end"].clone(), count)
    };
    assert_eq!(place(&read("")), (json!(0), json!(0), 0));
    for key in 0..60 {
        put(&tables, &format!("k{key}"), "x").await;
    }
    let page = read("");
    assert_eq!(place(&page), (json!(10), json!(60), 50));
    let last = &page["records"][49];
    assert_eq!(
        (&last["eventName"], &last["dynamodb"]["Keys"]["pk"]["S"]),
        (&json!("INSERT"), &json!("k59"))
    );
    assert_eq!(place(&read("&limit=7&before=10")), (json!(3), json!(10), 7));
    assert_eq!(place(&read("&before=3")), (json!(0), json!(3), 3));
    assert_eq!(place(&read("&before=99999&limit=1")), (json!(59), json!(60), 1));
    assert_eq!(place(&read("&before=0")), (json!(0), json!(0), 0));
    // A megabyte, from the end; and one record, however large.
    let large = "x".repeat(300_000);
    for key in 0..5 {
        put(&tables, &format!("large {key}"), &large).await;
    }
    assert_eq!(place(&read("")), (json!(62), json!(65), 3));
    put(&tables, "large 0", &"y".repeat(390_000)).await;
    put(&tables, "large 0", &"z".repeat(390_000)).await;
    assert_eq!(place(&read("")), (json!(66), json!(67), 1));

    let refused = |path: &str| control::refused(address, "GET", path, "");
    let bad = (400, "BadRequest".to_owned());
    for junk in ["&limit=0", "&limit=1001", "&limit=x", "&before=-1", "&before=", "&from=1"] {
        assert_eq!(refused(&path(junk)), bad, "{junk}");
    }
    assert_eq!(refused("records"), bad);
    assert_eq!(refused(&format!("records?stream={arn}")), bad);
    assert_eq!(refused("records?stream=none&shard=x"), (404, "StreamNotFound".to_owned()));
    let unknown = format!("records?stream={arn}&shard=x");
    assert_eq!(refused(&unknown), (404, "ShardNotFound".to_owned()));
    // What is too old is gone, and says so.
    control::advance(address, 24 * 3_600_000 + 1000);
    put(&tables, "new", "x").await;
    let page = read("");
    assert_eq!((place(&page), &page["trimmed"]), ((json!(67), json!(67), 0), &json!(67)));
    assert_eq!(refused(&path("&before=60")), (410, "Trimmed".to_owned()));
}

#[test]
fn what_never_ends_is_left_to_a_server() {
    let client = common::Client::new();
    let refused = client.0.control("GET", "events", b"").expect_err("no server");
    let body: Value = serde_json::from_slice(&refused.body).expect("JSON");
    assert_eq!((refused.status, &body["code"]), (400, &json!("NeedsServer")));
}
