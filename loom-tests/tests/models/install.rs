//! Installing segments: one block wins, the others come back; an installer who comes too late finds
//! that the segment has lived. (`log/directory.rs`, `log/append.rs`)

use std::num::NonZeroU64;

use streamcore_modelled::log::LogOptions;

use crate::harness::{Model, Probe};
use crate::steps::{
    Noted, WatchedLog, append, assert_all_freed, filled, installed, position, snapshot,
};

/// Reads the whole log.
fn count(log: &WatchedLog) -> u64 {
    let mut count = 0;
    let visited = log.for_each(snapshot(log).positions(), |at, value| {
        assert_eq!(value.read(), 7, "at {at}");
        count += 1;
    });
    visited.expect("nobody trims");
    count
}

#[test]
fn install() {
    let write = |log: &WatchedLog, probe: &Probe| {
        append(log);
        probe.reach_if(log.stats().spares > 0, "both brought a block");
    };
    Model::new("install", WatchedLog::new)
        .reaches(&["both brought a block"])
        .role("appender", write)
        .role("appender", write)
        .after(|log, _| {
            assert_eq!(count(&log), 2);
            assert_eq!(installed(&log), 2, "{log:?}: the first segment, and the next one");
        })
        .check();
}

/// The border work of one append installs the segment that another one needs at the same time. Its
/// row of the directory is there before, so the entry alone orders the block.
#[test]
fn install_ahead() {
    let write = |log: &WatchedLog, _: &Probe| {
        append(log);
    };
    let begun = || {
        let log = WatchedLog::new();
        append(&log);
        log
    };
    Model::new("install_ahead", begun)
        .role("appender", write)
        .role("appender", write)
        .after(|log, _| {
            assert_eq!(count(&log), 3);
            assert_eq!(installed(&log), 2, "{log:?}: both segments");
        })
        .check();
}

/// As before, with an empty block at hand, which only one of the two can take.
#[test]
fn install_spare() {
    let trimmed = || {
        let log = filled(3);
        log.trim(position(2));
        assert_eq!(log.stats().spares, 1);
        log
    };
    let write = |log: &WatchedLog, probe: &Probe| {
        append(log);
        let stats = log.stats();
        probe.reach(if stats.blocks == 2 {
            "one block was enough"
        } else {
            "both brought a block"
        });
    };
    Model::new("install_spare", trimmed)
        .bound(2)
        .reaches(&["one block was enough", "both brought a block"])
        .role("appender", write)
        .role("appender", write)
        .after(|log, _| {
            let read = log.read(position(3), 1).expect("nobody trims").len();
            assert_eq!((read, snapshot(&log).end()), (1, position(5)));
            assert_eq!(installed(&log), 2, "{log:?}: segments 1 and 2");
        })
        .check();
}

#[test]
fn late_install() {
    Model::new("late_install", || filled(1))
        .reaches(&["too late"])
        .role("installer", |log, probe| {
            append(log);
            probe.reach_if(log.earliest() == position(4), "too late");
        })
        .role("owner", |log, _| {
            append(log);
            append(log);
            log.trim(position(4));
        })
        .after(|log, _| {
            log.trim(position(4));
            assert_eq!(log.earliest(), position(4));
            assert_all_freed(&log);
        })
        .check();
}

/// A sealed log keeps no memory but the segments that it retains.
fn keeps_nothing_else(log: &WatchedLog) {
    snapshot(log);
    let stats = log.stats();
    let segments = stats.published.div_ceil(2) - stats.trimmed / 2;
    let kept = (stats.blocks, stats.spares, stats.dying);
    assert_eq!(kept, (segments, 0, 0), "{stats:?} keeps memory for nothing");
}

fn try_append(log: &WatchedLog, probe: &Probe) {
    match log.append(Noted::new(7)) {
        Ok(_) => probe.reach("appended"),
        Err(_) => probe.reach("turned away"),
    }
}

/// The sealer takes back the segment that was installed ahead, or its installer does.
#[test]
fn taken_back() {
    Model::new("taken_back", || filled(1))
        .bound(2)
        .reaches(&["appended", "turned away"])
        .role("appender", try_append)
        .role("sealer", |log, _| _ = log.seal(()))
        .after(|log, _| keeps_nothing_else(&log))
        .check();
}

/// An append that gives up a segment while the log is sealed leaves neither dead values nor a spare.
#[test]
fn retention_against_seal() {
    let retaining = || {
        let log = WatchedLog::with_options(LogOptions::new().retain_last(NonZeroU64::MIN));
        // As one batch, because its border work has installed the segment behind the next record.
        log.append_all((0..3).map(|_| Noted::new(7))).expect("nobody has sealed the log");
        log
    };
    Model::new("retention_against_seal", retaining)
        .bound(2)
        .reaches(&["appended", "turned away"])
        .role("appender", try_append)
        .role("sealer", |log, _| _ = log.seal(()))
        .after(|log, _| keeps_nothing_else(&log))
        .check();
}
