//! The log: append, batches, reading, snapshots, trimming and sealing. Each group has the name of a function, so
//! that a baseline can be kept: `cargo bench -p bench --bench log -- --save-baseline before`.
//!
//! Appends run with retention, so that segments are recycled: the steady state of a stream.

use std::hint::black_box;
use std::num::NonZeroU64;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use streamcore::log::{Log, LogOptions, Next, Position};

// Links the benchmarks' allocator.
use streamcore_bench as _;

const KEPT: NonZeroU64 = NonZeroU64::new(100_000).unwrap();

fn steady<T: Clone>(value: &T) -> Log<T> {
    let log = Log::with_options(LogOptions::new().retain_last(KEPT));
    for _ in 0..4 * KEPT.get() {
        log.append(value.clone()).expect("nobody seals the log");
    }
    log
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(1));
    let log = steady(&0u64);
    group.bench_function("u64", |b| b.iter(|| log.append(black_box(7)).is_ok()));
    let log = steady(&[0u64; 7]);
    group.bench_function("56 bytes", |b| b.iter(|| log.append(black_box([7; 7])).is_ok()));
    let log = steady(&[0u64; 24]);
    group.bench_function("192 bytes", |b| b.iter(|| log.append(black_box([7; 24])).is_ok()));
    group.finish();
}

fn append_all(c: &mut Criterion) {
    let mut group = c.benchmark_group("append_all");
    for count in [25, 100] {
        group.throughput(Throughput::Elements(count));
        let log = steady(&[0u64; 7]);
        group.bench_function(format!("{count} of 56 bytes"), |b| {
            b.iter(|| log.append_all((0..count).map(|n| black_box([n; 7]))));
        });
    }
    group.finish();
}

fn filled(count: u64) -> Log<[u64; 7]> {
    let log = Log::new();
    for n in 0..count {
        log.append([n; 7]).expect("nobody seals the log");
    }
    log
}

fn read(c: &mut Criterion) {
    let log = filled(100_000);
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(100_000));
    group.bench_function("in order, 56 bytes", |b| {
        b.iter(|| {
            let mut sum = 0;
            let all = log.snapshot().positions();
            log.for_each(all, |_, value| sum += value[3]).expect("nobody trims");
            sum
        });
    });
    group.throughput(Throughput::Elements(1));
    let mut position = 0;
    group.bench_function("one by position, 56 bytes", |b| {
        b.iter(|| {
            // A step that meets every position, and no neighbour of the one before.
            position = (position + 61_803) % 100_000;
            let chunk = log.read(Position::new(position), 1).expect("nobody trims");
            chunk.iter().map(|(_, value)| value[3]).sum::<u64>()
        });
    });
    group.finish();
}

fn cursor(c: &mut Criterion) {
    let log = filled(100_000);
    let mut group = c.benchmark_group("cursor");
    group.throughput(Throughput::Elements(100_000));
    group.bench_function("in order, 56 bytes", |b| {
        b.iter(|| {
            let mut cursor = log.cursor(Position::ZERO);
            let mut sum = 0;
            while let Ok(Next::Record(_, value)) = cursor.next() {
                sum += value[3];
            }
            sum
        });
    });
    group.throughput(Throughput::Elements(1));
    let mut at_tail = log.cursor(log.end());
    group.bench_function("at the tail", |b| b.iter(|| matches!(at_tail.next(), Ok(Next::Pending))));
    group.finish();
}

fn snapshot(c: &mut Criterion) {
    let log = filled(100_000);
    log.snapshot();
    let mut group = c.benchmark_group("snapshot");
    group.throughput(Throughput::Elements(1));
    group.bench_function("of a published prefix", |b| b.iter(|| log.snapshot()));
    group.bench_function("after each append", |b| {
        let log = steady(&[0u64; 7]);
        b.iter(|| (log.append(black_box([7; 7])).is_ok(), log.snapshot()));
    });
    group.finish();
}

fn trim(c: &mut Criterion) {
    let mut group = c.benchmark_group("trim");
    for count in [100, 10_000] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} of 56 bytes"), |b| {
            b.iter_batched_ref(
                || filled(10_000),
                |log| log.trim(Position::new(count)),
                BatchSize::LargeInput,
            );
        });
    }
    group.throughput(Throughput::Elements(1));
    let trimmed = filled(10_000);
    trimmed.trim(Position::new(5_000));
    group.bench_function("nothing to give up", |b| b.iter(|| trimmed.trim(Position::new(5_000))));
    group.finish();
}

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    group.throughput(Throughput::Elements(1));
    group.bench_function("open", |b| {
        b.iter_batched_ref(|| filled(10_000), |log| log.seal(()).end(), BatchSize::LargeInput);
    });
    let sealed = filled(10_000);
    sealed.seal(());
    group.bench_function("sealed before", |b| b.iter(|| sealed.seal(()).end()));
    group
        .bench_function("append refused", |b| b.iter(|| sealed.append(black_box([7; 7])).is_err()));
    group.finish();
}

criterion_group!(benches, append, append_all, read, cursor, snapshot, trim, seal);
criterion_main!(benches);
