//! How much memory a request makes the emulator take: at most [`MULTIPLE`] times its own size while it is carried
//! out, and [`ANSWER_BYTES`] for the answer, whatever is in it.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use streamcore_emulator::{Config, Emulator};

/// The stated multiple. What comes near to it are many short values: a list of JSON that has just grown.
const MULTIPLE: usize = 40;

/// What an answer takes beside: at most 16 MiB of JSON and one item, in a buffer that may have doubled just before.
const ANSWER_BYTES: usize = 64 << 20;

/// What any request may take, however short it is.
const SMALL_BYTES: usize = 1 << 20;

/// Counts what is allocated now, and what was at the most.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    // Relaxed: figures of one thread's doing.
    let now = NOW.fetch_add(by, Ordering::Relaxed) + by;
    MOST.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: all is handed on to the system's allocator, whose promises hold.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // Relaxed: a figure.
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above; the block came from the same allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        // Relaxed: a figure. The old block counts until it is moved: both may be there at once.
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above; the block came from the same allocator.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a call takes at the most, beyond what was taken before.
fn cost(emulator: &Emulator, operation: &str, body: &[u8]) -> (usize, String) {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let answer = emulator.call(&format!("DynamoDB_20120810.{operation}"), body, "host");
    let most = MOST.load(Ordering::Relaxed) - before;
    let said = match answer {
        Ok(_) => "done".to_owned(),
        Err(failure) => {
            String::from_utf8_lossy(&failure.body).chars().take(120).collect::<String>()
        }
    };
    (most, said)
}

/// `head`, then `part` again and again up to about `size` bytes, then `tail`.
fn filled(head: &str, part: &str, tail: &str, size: usize) -> Vec<u8> {
    let count = size / part.len();
    let mut parts = part.repeat(count);
    parts.truncate(parts.trim_end_matches(',').len());
    format!("{head}{parts}{tail}").into_bytes()
}

/// As [`filled`]; `N` in a part is a number that differs each time.
fn numbered(head: &str, part: &str, tail: &str, size: usize) -> Vec<u8> {
    let count = size / part.len();
    let parts: Vec<String> = (0..count).map(|n| part.replace('N', &format!("{n:x}"))).collect();
    format!("{head}{}{tail}", parts.join(",")).into_bytes()
}

#[test]
fn a_request_takes_no_more_than_the_stated_multiple_of_its_size() {
    let emulator = Emulator::new(Config::default());
    let table = common::table("things", &[("pk", "S", "HASH")], Some("NEW_AND_OLD_IMAGES"));
    let table: Value = table;
    let made = emulator.call("DynamoDB_20120810.CreateTable", table.to_string().as_bytes(), "host");
    assert!(made.is_ok());
    let item = r#"{"TableName":"things","Item":{"pk":{"S":"a"},"x":"#;
    let update = r#"{"TableName":"things","Key":{"pk":{"S":"a"}},"UpdateExpression":""#;
    for size in [380_000, 3_000_000] {
        let requests = [
            (
                "lists in a list",
                "PutItem",
                filled(&format!("{item}{{\"L\":["), "{\"L\":[]},", "]}}}", size),
            ),
            (
                "maps in a list",
                "PutItem",
                filled(&format!("{item}{{\"L\":["), "{\"M\":{}},", "]}}}", size),
            ),
            (
                "nothings in a list",
                "PutItem",
                filled(&format!("{item}{{\"L\":["), "{\"NULL\":true},", "]}}}", size),
            ),
            (
                "numbers that are written out",
                "PutItem",
                filled(&format!("{item}{{\"L\":["), "{\"N\":\"1E125\"},", "]}}}", size),
            ),
            (
                "a set of numbers",
                "PutItem",
                numbered(&format!("{item}{{\"NS\":["), "\"N\"", "]}}}", size),
            ),
            (
                "a set of texts",
                "PutItem",
                numbered(&format!("{item}{{\"SS\":["), "\"N\"", "]}}}", size),
            ),
            (
                "attributes",
                "PutItem",
                numbered(
                    "{\"TableName\":\"things\",\"Item\":{\"pk\":{\"S\":\"a\"},",
                    "\"N\":{\"S\":\"\"}",
                    "}}",
                    size,
                ),
            ),
            (
                "members nobody knows",
                "PutItem",
                numbered("{\"TableName\":\"things\",", "\"N\":[]", "}", size),
            ),
            (
                "text that is escaped",
                "PutItem",
                filled(&format!("{item}{{\"S\":\""), "\\u0001", "\"}}}", size),
            ),
            ("depth", "PutItem", filled(&format!("{item}{{\"L\":["), "[", "]}}}", size)),
            ("an expression", "UpdateItem", filled(update, "SET a=", "\"}", size)),
            ("brackets", "UpdateItem", filled(update, "(", "\"}", size)),
            (
                "names for an expression",
                "UpdateItem",
                numbered(
                    &format!("{update}SET a=b\",\"ExpressionAttributeNames\":{{"),
                    "\"#N\":\"\"",
                    "}}",
                    size,
                ),
            ),
            (
                "values for an expression",
                "UpdateItem",
                numbered(
                    &format!("{update}SET a=b\",\"ExpressionAttributeValues\":{{"),
                    "\":N\":{\"L\":[]}",
                    "}}",
                    size,
                ),
            ),
            (
                "a batch to write",
                "BatchWriteItem",
                filled(
                    "{\"RequestItems\":{\"things\":[",
                    "{\"DeleteRequest\":{\"Key\":{}}},",
                    "]}}",
                    size,
                ),
            ),
            (
                "tables to write",
                "BatchWriteItem",
                numbered("{\"RequestItems\":{", "\"N\":[{}]", "}}", size),
            ),
            (
                "a batch to get",
                "BatchGetItem",
                filled("{\"RequestItems\":{\"things\":{\"Keys\":[", "{},", "]}}}", size),
            ),
            (
                "a transaction",
                "TransactWriteItems",
                filled("{\"TransactItems\":[", "{},", "]}", size),
            ),
            (
                "things to get",
                "TransactGetItems",
                filled("{\"TransactItems\":[", "{},", "]}", size),
            ),
            (
                "tags",
                "TagResource",
                filled(
                    "{\"ResourceArn\":\"x\",\"Tags\":[",
                    "{\"Key\":\"\",\"Value\":\"\"},",
                    "]}",
                    size,
                ),
            ),
            (
                "definitions",
                "CreateTable",
                filled("{\"TableName\":\"more\",\"AttributeDefinitions\":[", "{},", "]}", size),
            ),
            (
                "indexes",
                "CreateTable",
                filled("{\"TableName\":\"more\",\"GlobalSecondaryIndexes\":[", "{},", "]}", size),
            ),
            ("any JSON", "DescribeLimits", filled("{\"a\":[", "[],", "]}", size)),
            ("no JSON", "PutItem", vec![b'{'; size]),
        ];
        for (name, operation, body) in requests {
            let (most, said) = cost(&emulator, operation, &body);
            let times = most as f64 / body.len() as f64;
            println!("{times:6.1} times {:>9} bytes: {name}: {said}", body.len());
            assert!(
                most <= MULTIPLE * body.len() + SMALL_BYTES,
                "{name}: {most} bytes for {}: {said}",
                body.len()
            );
        }
    }
    answers_take_what_they_may(&emulator);
}

/// The largest answers there are, to short requests.
fn answers_take_what_they_may(emulator: &Emulator) {
    let put = |number: usize| {
        let values = "{\"NULL\":true},".repeat(190_000);
        let item = format!(
            r#"{{"TableName":"things","Item":{{"pk":{{"S":"{number}"}},"x":{{"L":[{}]}}}}}}"#,
            values.trim_end_matches(',')
        );
        assert_eq!(cost(emulator, "PutItem", item.as_bytes()).1, "done");
    };
    (0..20).for_each(put);
    let keys: Vec<String> =
        (0..20).map(|number| format!(r#"{{"pk":{{"S":"{number}"}}}}"#)).collect();
    let batch = format!(r#"{{"RequestItems":{{"things":{{"Keys":[{}]}}}}}}"#, keys.join(","));
    let scan = r#"{"TableName":"things"}"#;
    for (operation, body) in [("BatchGetItem", &*batch), ("Scan", scan)] {
        // Once before: an item's JSON is made when it is first asked for, and kept as part of the item.
        let (_, said) = cost(emulator, operation, body.as_bytes());
        assert_eq!(said, "done", "{operation}");
        let (most, _) = cost(emulator, operation, body.as_bytes());
        println!("{most:>9} bytes: an answer of {operation}");
        assert!(most <= ANSWER_BYTES, "{operation}: {most} bytes");
    }
}
