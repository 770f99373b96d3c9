//! The store: putting, reading, encoding for the wire, registering.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use streamcore::log::Position;
use streamcore::model::{KeySchema, SequenceNumber, StreamViewType};
use streamcore::stream::{IteratorStart, ReadLimits};
use streamcore::{Store, StreamConfig, wire};
use streamcore_bench::{change, item, stream};

fn put(c: &mut Criterion) {
    let mut group = c.benchmark_group("put");
    group.throughput(Throughput::Elements(1));
    let images = [item(1), item(1)];
    // What has been put is given up every 100,000 records, as retention would.
    let by_handle = stream();
    let shard = by_handle.describe().shards[0].shard_id.to_string();
    group.bench_function("by handle, shared images", |b| {
        b.iter(|| {
            let number = by_handle.put(change(&images));
            trim_now_and_then(&by_handle, &shard, number.ok().and_then(|n| n.position()));
        });
    });
    let by_writer = stream();
    let mut writer = by_writer.writer();
    let shard = by_writer.describe().shards[0].shard_id.to_string();
    group.bench_function("by writer, shared images", |b| {
        b.iter(|| {
            let number = writer.put(change(&images));
            trim_now_and_then(&by_writer, &shard, number.ok().and_then(|n| n.position()));
        });
    });
    group.finish();
}

fn trim_now_and_then(stream: &streamcore::Stream, shard: &str, at: Option<Position>) {
    if let Some(at) = at
        && at.get() % 100_000 == 99_999
    {
        let _ = stream.trim(shard, at);
    }
}

fn get_records(c: &mut Criterion) {
    let stream = stream();
    let shard = stream.describe().shards[0].shard_id.to_string();
    let images = [item(1), item(2)];
    for _ in 0..10_000 {
        stream.put(change(&images)).expect("nobody disables the stream");
    }
    let page = |from| {
        let limits = ReadLimits::records(1_000);
        stream.get_records(&shard, Position::new(from), limits).expect("nobody trims")
    };
    let mut group = c.benchmark_group("get_records");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("1,000 in place", |b| {
        b.iter(|| page(5_000).iter().map(|record| record.created_ms()).sum::<u64>());
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("at the end, nothing new", |b| b.iter(|| page(10_000).len()));
    group.finish();
}

fn wire_encoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Elements(1_000));
    let encode = |stream: &streamcore::Stream, out: &mut Vec<u8>| {
        let shard = stream.describe().shards[0].shard_id.to_string();
        let limits = ReadLimits::records(1_000);
        let page = stream.get_records(&shard, Position::ZERO, limits).expect("nobody trims");
        out.clear();
        let mut splicer = wire::record::Splicer::new();
        page.iter().for_each(|record| splicer.write(&record, out));
        black_box(out.len())
    };
    // The new image of each is the old one of the next, and none has been encoded.
    let unread = || {
        let stream = stream();
        let images: Vec<_> = (0..=1_000).map(item).collect();
        for pair in images.windows(2) {
            let pair = [pair[0].clone(), pair[1].clone()];
            stream.put(change(&pair)).expect("nobody disables the stream");
        }
        stream
    };
    let mut out = Vec::new();
    group.bench_function("1,000, first reader", |b| {
        b.iter_batched_ref(unread, |stream| encode(stream, &mut out), BatchSize::LargeInput);
    });
    let read = unread();
    encode(&read, &mut out);
    group.bench_function("1,000, images encoded before", |b| b.iter(|| encode(&read, &mut out)));
    let (store, request) = stored_page();
    let api = wire::StreamsApi::new(store).cache_bytes(8 << 20);
    let answer = || api.handle("GetRecords", request.as_bytes()).expect("nobody trims").len();
    answer();
    group.bench_function("1,000, second reader", |b| b.iter(answer));
    group.finish();
}

/// A store with a page of records, and the request that reads it.
fn stored_page() -> (Store, String) {
    let store = Store::new();
    let schema = KeySchema::new("customer", Some("order")).expect("two different names");
    let config = StreamConfig::new("Orders", schema, StreamViewType::NewAndOldImages);
    let stream = store.register_stream(config).expect("a well-formed name");
    let images: Vec<_> = (0..=1_000).map(item).collect();
    for pair in images.windows(2) {
        let pair = [pair[0].clone(), pair[1].clone()];
        stream.put(change(&pair)).expect("nobody disables the stream");
    }
    let shard = stream.describe().shards[0].shard_id.to_string();
    let start = SequenceNumber::new(0, Position::ZERO);
    let iterator = stream.iterator(&shard, IteratorStart::AtSequenceNumber(start));
    (store, format!(r#"{{"ShardIterator":"{}"}}"#, iterator.expect("the record is there")))
}

fn register(c: &mut Criterion) {
    let mut group = c.benchmark_group("register");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("1,000 streams", |b| {
        b.iter_batched(
            Store::new,
            |store| {
                for n in 0..1_000 {
                    let schema = KeySchema::new("id", None).expect("a name");
                    let table = format!("Table{n:04}");
                    let config = StreamConfig::new(table, schema, StreamViewType::KeysOnly);
                    store.register_stream(config).expect("a well-formed name");
                }
                store
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, put, get_records, wire_encoding, register);
criterion_main!(benches);
