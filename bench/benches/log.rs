//! The log: append, batches, reading, snapshots, trimming and sealing.
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

fn read(c: &mut Criterion) {
    let log = Log::<[u64; 7]>::new();
    for n in 0..100_000 {
        log.append([n; 7]).expect("nobody seals the log");
    }
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(100_000));
    group.bench_function("sequential, 56 bytes", |b| {
        b.iter(|| {
            let mut sum = 0;
            let all = log.snapshot().positions();
            log.for_each(all, |_, value| sum += value[3]).expect("nobody trims");
            sum
        });
    });
    group.bench_function("cursor, 56 bytes", |b| {
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
    group.bench_function("cursor at the tail", |b| {
        b.iter(|| matches!(at_tail.next(), Ok(Next::Pending)));
    });
    group.bench_function("snapshot", |b| b.iter(|| log.snapshot()));
    group.finish();
}

fn rare(c: &mut Criterion) {
    let filled = || {
        let log = Log::<[u64; 7]>::new();
        for n in 0..10_000 {
            log.append([n; 7]).expect("nobody seals the log");
        }
        log
    };
    let mut group = c.benchmark_group("rare");
    group.bench_function("trim 10,000", |b| {
        b.iter_batched(filled, |log| log.trim(log.end()), BatchSize::LargeInput);
    });
    group.bench_function("seal", |b| {
        b.iter_batched(filled, |log| log.seal(()), BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, append, append_all, read, rare);
criterion_main!(benches);
