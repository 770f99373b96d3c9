//! The hot paths. Each is brought to its steady state first, which is not counted.

use std::hint::black_box;
use std::num::NonZeroU64;

use streamcore::log::{Log, LogOptions, Next, Position};
use streamcore::model::{Change, Image, KeySchema, SequenceNumber, StreamViewType};
use streamcore::stream::{IteratorStart, ReadLimits};
use streamcore::{Store, Stream, StreamConfig, wire};
use streamcore_bench::{change, item};

/// A hot path.
pub struct Path {
    /// What it is called.
    pub name: &'static str,
    /// How often it is done.
    pub steps: u64,
    /// How many operations it counts for each time.
    pub per_step: u64,
    run: fn(u64),
}

const fn path(name: &'static str, steps: u64, per_step: u64, run: fn(u64)) -> Path {
    Path { name, steps, per_step, run }
}

/// All of them. The number of appends is a multiple of a segment, so that the work at borders is in the count in
/// its due part.
pub const PATHS: &[Path] = &[
    path("nothing", 1 << 14, 1, |steps| hot_path(steps, &mut || {})),
    path("append u64", 1 << 12, AT_ONCE, |steps| append(steps, || 7u64)),
    path("append 192 bytes", 1 << 10, AT_ONCE, |steps| append(steps, || [7u64; 24])),
    path("append_all 25 of 192 bytes", 1 << 11, 25, append_all),
    path("cursor next", 1 << 15, 1, next),
    path("cursor at the tail", 1 << 14, 1, at_the_tail),
    path("snapshot", 1 << 14, 1, snapshot),
    path("Writer::put, few retained", 1 << 13, 1, |steps| put_by_writer(steps, FEW)),
    path("Writer::put, many retained", 1 << 13, 1, |steps| put_by_writer(steps, MANY)),
    path("Writer::put, images not put before", 1 << 12, 1, put_new_images),
    path("Stream::put, few retained", 1 << 13, 1, |steps| put_by_stream(steps, FEW)),
    path("Stream::put, many retained", 1 << 13, 1, |steps| put_by_stream(steps, MANY)),
    path("get_records(1000), few retained", 16, 1000, |steps| get_records(steps, FEW)),
    path("get_records(1000), many retained", 16, 1000, |steps| get_records(steps, MANY)),
    path("wire, a record of images encoded before", 8, 1000, splice),
    path("wire, a record encoded before", 64, 1000, share),
];

/// Appends in one step: few enough instructions that the step's own would be seen.
const AT_ONCE: u64 = 16;

const FEW: u64 = 2_000;
const MANY: u64 = 300_000;

/// All that is counted happens below this function.
#[inline(never)]
fn hot_path(steps: u64, step: &mut dyn FnMut()) {
    for _ in 0..steps {
        step();
    }
}

/// The path of that name.
pub fn of(name: &str) -> Result<&'static Path, String> {
    let found = PATHS.iter().find(|path| path.name == name);
    found.ok_or_else(|| format!("no path is called {name:?}"))
}

/// Runs a path.
pub fn run(name: &str) -> Result<(), String> {
    let path = of(name)?;
    (path.run)(path.steps);
    Ok(())
}

fn append<T>(steps: u64, make: impl Fn() -> T) {
    let keep = NonZeroU64::MIN.saturating_add(9_999);
    let log: Log<T> = Log::with_options(LogOptions::new().retain_last(keep));
    (0..5 * keep.get()).for_each(|_| assert!(log.append(make()).is_ok()));
    hot_path(steps, &mut || {
        for _ in 0..AT_ONCE {
            assert!(log.append(black_box(make())).is_ok());
        }
    });
}

fn append_all(steps: u64) {
    let keep = NonZeroU64::MIN.saturating_add(9_999);
    let log: Log<_> = Log::with_options(LogOptions::new().retain_last(keep));
    (0..5 * keep.get()).for_each(|_| assert!(log.append([7u64; 24]).is_ok()));
    hot_path(steps, &mut || {
        assert!(log.append_all((0..25).map(|n| black_box([n; 24]))).is_ok());
    });
}

fn filled(count: u64) -> Log<u64> {
    let log = Log::new();
    (0..count).for_each(|n| assert!(log.append(n).is_ok()));
    log
}

fn next(steps: u64) {
    let log = filled(steps + 100);
    let mut cursor = log.cursor(Position::ZERO);
    let mut sum = 0;
    hot_path(steps, &mut || match cursor.next() {
        Ok(Next::Record(_, value)) => sum += value,
        _ => unreachable!("there are more records than steps"),
    });
    assert_eq!(sum, steps * (steps - 1) / 2);
}

fn at_the_tail(steps: u64) {
    let log = filled(1000);
    let mut cursor = log.cursor(log.end());
    hot_path(steps, &mut || assert!(matches!(cursor.next(), Ok(Next::Pending))));
}

fn snapshot(steps: u64) {
    let log = filled(1000);
    hot_path(steps, &mut || {
        black_box(log.snapshot().end().get());
    });
}

fn orders_in(store: &Store, retain: u64) -> (Stream, String) {
    let schema = KeySchema::new("customer", Some("order")).expect("two different names");
    let config = StreamConfig::new("Orders", schema, StreamViewType::NewAndOldImages);
    let config = config.retain_last(NonZeroU64::MIN.saturating_add(retain - 1));
    let stream = store.register_stream(config).expect("a well-formed name");
    let shard = stream.describe().shards[0].shard_id.to_string();
    (stream, shard)
}

/// A stream in its steady state: full, and giving up as much as comes.
fn full(retain: u64) -> (Stream, String, [Image; 2]) {
    full_in(&Store::new(), retain)
}

fn full_in(store: &Store, retain: u64) -> (Stream, String, [Image; 2]) {
    let (stream, shard) = orders_in(store, retain);
    let images = [item(1), item(1)];
    let mut writer = stream.writer();
    let enough = retain + retain / 4 + 8_192;
    (0..enough).for_each(|_| assert!(writer.put(change(&images)).is_ok()));
    (stream, shard, images)
}

fn put_by_writer(steps: u64, retain: u64) {
    let (stream, _, images) = full(retain);
    let mut writer = stream.writer();
    hot_path(steps, &mut || assert!(writer.put(change(&images)).is_ok()));
}

/// As a host puts: each change has an image that the stream has not seen, whose key it looks for.
fn put_new_images(steps: u64) {
    let (stream, _, _) = full(FEW);
    let mut writer = stream.writer();
    let images: Vec<Image> = (0..=steps).map(item).collect();
    let mut changes: Vec<_> =
        images.windows(2).map(|pair| Change::modify(pair[0].clone(), pair[1].clone())).collect();
    hot_path(steps, &mut || {
        assert!(changes.pop().is_some_and(|change| writer.put(change).is_ok()));
    });
}

fn put_by_stream(steps: u64, retain: u64) {
    let (stream, _, images) = full(retain);
    hot_path(steps, &mut || assert!(stream.put(change(&images)).is_ok()));
}

fn get_records(steps: u64, retain: u64) {
    let (stream, shard, _) = full(retain);
    let snapshot = stream.snapshot(&shard).expect("the shard is there");
    let from = snapshot.start().plus(snapshot.len() / 2 - 500);
    let mut sum = 0;
    hot_path(steps, &mut || {
        let page = stream.get_records(&shard, from, ReadLimits::records(1000));
        let page = page.expect("nobody trims");
        assert_eq!(page.len(), 1000);
        sum += page.iter().map(|record| record.created_ms()).sum::<u64>();
    });
    assert!(sum > 0);
}

/// An answer of records that were encoded for another one, as a server sends it: in parts.
fn share(steps: u64) {
    let store = Store::new();
    let (stream, shard, _) = full_in(&store, FEW);
    let api = wire::StreamsApi::new(store).cache_bytes(8 << 20);
    // The first page that begins with a block, as pages do that are read one after the other.
    let from = stream.snapshot(&shard).expect("the shard is there").start().get();
    let from = SequenceNumber::new(0, Position::new(from.next_multiple_of(100)));
    let iterator = stream.iterator(&shard, IteratorStart::AtSequenceNumber(from));
    let request = format!(r#"{{"ShardIterator":"{}"}}"#, iterator.expect("nobody trims"));
    let mut bytes = 0;
    let mut answer = || {
        let body = api.answer("GetRecords", request.as_bytes()).expect("nobody trims");
        bytes = std::hint::black_box(body.crc32()).min(1) as usize * body.len();
    };
    answer();
    hot_path(steps, &mut answer);
    assert!(bytes > 1000 * 991);
}

fn splice(steps: u64) {
    let (stream, shard, _) = full(FEW);
    let from = stream.snapshot(&shard).expect("the shard is there").start();
    let page = stream.get_records(&shard, from, ReadLimits::records(1000)).expect("nobody trims");
    let mut out = Vec::new();
    let mut encode = || {
        out.clear();
        let mut splicer = wire::record::Splicer::new();
        page.iter().for_each(|record| splicer.write(&record, &mut out));
    };
    encode();
    hot_path(steps, &mut encode);
    assert!(out.len() > 1000 * 991);
}
