//! Whether a store keeps within its bound on memory: gigabytes of records through a store that may hold
//! 64 MiB, against the same run into an empty sink.
//!
//! ```text
//! cargo run --release -p bench --example bounded              10 GB a run, some minutes
//! cargo run --release -p bench --example bounded -- --gb 1    as in the check
//! ```
//!
//! Each run is a process of its own, whose peak resident memory the system tells (`VmHWM`). It puts records
//! of 1 KB or 400 KB through one stream, or through 100 streams one after the other, so that most of them
//! have fallen idle; with or without a reader who reads over the wire as fast as it can. Allowed above the sink
//! is 1.25 x the bound, and two segments of 64 KiB for each stream.

use std::num::NonZeroU64;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::stream::IteratorStart;
use streamcore::wire::StreamsApi;
use streamcore::{Store, Stream, StreamConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BOUND: u64 = 64 << 20;
const SEGMENT: u64 = 64 << 10;

/// One run.
#[derive(Clone, Copy)]
struct Run {
    total: u64,
    record: usize,
    streams: u64,
    readers: u64,
    sink: bool,
}

impl Run {
    fn arguments(self) -> [String; 5] {
        let sink = u64::from(self.sink);
        [self.total, self.record as u64, self.streams, self.readers, sink].map(|n| n.to_string())
    }

    fn parse(arguments: &[String]) -> Option<Self> {
        let numbers: Option<Vec<u64>> = arguments.iter().map(|text| text.parse().ok()).collect();
        let [total, record, streams, readers, sink] = numbers?[..] else { return None };
        Some(Self { total, record: record as usize, streams, readers, sink: sink == 1 })
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(run) = Run::parse(&arguments) {
        println!("{} {}", put(run), peak());
        return ExitCode::SUCCESS;
    }
    let gigabytes = match &arguments[..] {
        [] => 10,
        [flag, number] if flag == "--gb" => match number.parse() {
            Ok(gigabytes) if gigabytes > 0 => gigabytes,
            _ => return usage(),
        },
        _ => return usage(),
    };
    compare(gigabytes * 1_000_000_000)
}

fn usage() -> ExitCode {
    eprintln!("usage: bounded [--gb <gigabytes, at least 1>]");
    ExitCode::FAILURE
}

/// Runs everything, and says what was over its bound.
fn compare(total: u64) -> ExitCode {
    let mut failed = false;
    println!(
        "| record | streams | wire readers | peak above the sink, MiB | allowed | trimmed seen |"
    );
    println!("|---|---|---|---|---|---|");
    for (record, streams) in [(1_000, 1), (1_000, 100), (400_000, 1), (400_000, 100)] {
        let sink = start(Run { total, record, streams, readers: 0, sink: true }).1;
        for readers in [0, 1] {
            let (trimmed, peak) = start(Run { total, record, streams, readers, sink: false });
            let (above, allowed) =
                (peak.saturating_sub(sink), BOUND + BOUND / 4 + 2 * SEGMENT * streams);
            let [above_mib, allowed_mib] = [above, allowed].map(|bytes| bytes as f64 / 1_048_576.0);
            println!(
                "| {record} | {streams} | {readers} | {above_mib:.1} | {allowed_mib:.1} | {trimmed} |"
            );
            failed |= above > allowed;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn start(run: Run) -> (u64, u64) {
    let this = std::env::current_exe().expect("the program has a path");
    let output = Command::new(this).args(run.arguments()).output().expect("the run starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(|n| n.parse().expect("the run says numbers"));
    let mut next = || numbers.next().expect("the run says two numbers");
    (next(), next())
}

/// The process's peak resident memory, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.expect("the system tells the peak") * 1024
}

fn record(id: u64, size: usize) -> Change {
    Change::insert(Image::new(Attributes::from([
        ("id".to_owned(), AttributeValue::N(id.to_string())),
        ("payload".to_owned(), AttributeValue::S("x".repeat(size))),
    ])))
}

/// Puts everything; returns how often the reader was told that it is too slow.
fn put(run: Run) -> u64 {
    let bound = NonZeroU64::new(BOUND).expect("it is not zero");
    let store = Store::builder().retain_bytes(bound).build();
    let streams: Vec<Stream> = (0..run.streams)
        .map(|n| {
            let schema = KeySchema::new("id", None).expect("it is a schema");
            let view = StreamViewType::NewAndOldImages;
            let config = StreamConfig::new(format!("table-{n:03}"), schema, view);
            store.register_stream(config).expect("the name is fine")
        })
        .collect();
    let (current, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..run.readers)
            .map(|_| scope.spawn(|| read(&store, &streams, &current, &done)))
            .collect();
        let records = run.total / run.record as u64;
        for id in 0..records {
            let stream = id * run.streams / records;
            current.store(stream, Ordering::Relaxed);
            let change = record(id, run.record);
            if run.sink {
                drop(std::hint::black_box(change));
            } else {
                let _ = streams[stream as usize].put(change).expect("nobody disables it");
            }
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().expect("the reader ends")).sum()
    })
}

/// Reads the stream that is written to at the moment over the wire, from its horizon on, until the writer
/// is done.
fn read(store: &Store, streams: &[Stream], current: &AtomicU64, done: &AtomicBool) -> u64 {
    let api = StreamsApi::new(store.clone());
    let mut trimmed = 0;
    while !done.load(Ordering::Relaxed) {
        let at = current.load(Ordering::Relaxed);
        let stream = &streams[at as usize];
        let shards = stream.describe().shards;
        let shard = shards.last().expect("a stream has a shard").shard_id.as_str();
        let mut next = stream.iterator(shard, IteratorStart::TrimHorizon).ok();
        while let Some(iterator) = next
            && current.load(Ordering::Relaxed) == at
            && !done.load(Ordering::Relaxed)
        {
            let body = format!(r#"{{"ShardIterator":"{iterator}"}}"#);
            next = match api.handle("GetRecords", body.as_bytes()) {
                Ok(page) => following(&page),
                Err(_) => {
                    trimmed += 1;
                    None
                }
            };
        }
    }
    trimmed
}

/// The iterator behind a page, which stands at its end or at its beginning.
fn following(page: &[u8]) -> Option<String> {
    let name = br#""NextShardIterator":""#;
    let at = page.windows(name.len()).rposition(|window| window == name)? + name.len();
    let length = page[at..].iter().position(|byte| *byte == b'"')?;
    String::from_utf8(page[at..at + length].to_vec()).ok()
}
