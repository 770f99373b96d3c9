//! Batches: a snapshot contains all of a batch or none of it, wherever its borders are.
//! (`log/append.rs`, `log/prefix.rs`, `log/reclaim.rs`)

use std::sync::Mutex;

use streamcore_modelled::log::Position;

use crate::harness::{Model, Probe};
use crate::steps::{Noted, WatchedLog, append, filled, position, snapshot};

const IN_BATCH: u64 = 9;

fn append_batch(log: &WatchedLog, count: usize) {
    let values = (0..count).map(|_| Noted::new(IN_BATCH));
    log.append_all(values).expect("nobody seals the log");
}

/// Takes a snapshot and reads it: how many records of a batch are in it, and how many others.
fn count(log: &WatchedLog) -> (usize, usize) {
    let snapshot = snapshot(log);
    let (mut batched, mut single) = (0, 0);
    let visited = log.for_each(snapshot.positions(), |_, value| match value.read() {
        IN_BATCH => batched += 1,
        _ => single += 1,
    });
    assert_eq!(visited, Ok(snapshot.end()), "nobody trims");
    (batched, single)
}

/// The batch crosses the border of a segment that is not installed yet.
#[test]
fn batch() {
    Model::new("batch", || filled(1))
        .reaches(&["none", "all"])
        .role("writer", |log, _| append_batch(log, 2))
        .role("reader", |log, probe| match count(log) {
            (0, 1) => probe.reach("none"),
            (2, 1) => probe.reach("all"),
            (batched, _) => panic!("{batched} records of a batch of 2"),
        })
        .check();
}

/// The end of a snapshot that was taken meanwhile, to be judged when it is known who came first.
struct Ended {
    log: WatchedLog,
    end: Mutex<Position>,
}

#[test]
fn batch_single() {
    Model::new("batch_single", || Ended { log: filled(2), end: Mutex::default() })
        .bound(2)
        .reaches(&["none", "the single", "the batch", "all"])
        .role("batch", |scene, _| append_batch(&scene.log, 2))
        .role("single", |scene, _| {
            append(&scene.log);
        })
        .role("reader", |scene, _| *scene.end.lock().unwrap() = snapshot(&scene.log).end())
        .after(|scene, probe| {
            let end = *scene.end.lock().unwrap();
            let before = scene.log.read(position(2), 1).expect("nobody trims");
            let single_first = before.iter().all(|(_, value)| value.read() != IN_BATCH);
            probe.reach(match (end.get(), single_first) {
                (2, _) => "none",
                (3, true) => "the single",
                (4, false) => "the batch",
                (5, _) => "all",
                _ => panic!("a snapshot ends at {end}, in the middle of a batch"),
            });
        })
        .check();
}

/// The batch is longer than what one piece of border work scans.
#[test]
fn batch_long() {
    Model::new("batch_long", WatchedLog::new)
        .reaches(&["none", "all"])
        .role("writer", |log, _| {
            append_batch(log, 6);
            let published = log.stats().published;
            assert_eq!(published, 6, "the writer's own scan stops in the batch or before it");
        })
        .role("reader", |log, probe| {
            let end = snapshot(log).end();
            probe.reach_if(end == position(0), "none");
            probe.reach_if(end == position(6), "all");
            assert!(
                end == position(0) || end == position(6),
                "the snapshot ends in a batch, at {end}"
            );
        })
        .check();
}

/// A horizon does not come to lie in a batch.
#[test]
fn batch_trimmed() {
    Model::new("batch_trimmed", || filled(1))
        .reaches(&["before", "up to the batch"])
        .role("writer", |log: &WatchedLog, _: &Probe| append_batch(log, 2))
        .role("trimmer", |log, probe| {
            let horizon = log.trim(position(2));
            assert_eq!(horizon, position(1), "all before the batch, and nothing of it");
            let snapshot = snapshot(log);
            assert_eq!(snapshot.start(), horizon);
            probe.reach(if snapshot.end() == horizon { "before" } else { "up to the batch" });
        })
        .check();
}
