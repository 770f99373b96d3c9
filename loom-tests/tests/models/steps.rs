//! What the roles of many models do, and the values that they do it with.

use std::cell::Cell;

use streamcore_modelled::log::{Log, LogStats, Position, Snapshot};

use crate::harness::Watched;

/// The log that most models are about.
pub type WatchedLog = Log<Noted>;

loom::thread_local! {
    static DROPPED: Cell<usize> = Cell::new(0);
}

/// A watched value that notes in which thread of the model it is dropped.
pub struct Noted(Watched);

impl Noted {
    #[track_caller]
    pub fn new(number: u64) -> Self {
        Self(Watched::new(number))
    }

    #[track_caller]
    pub fn read(&self) -> u64 {
        self.0.read()
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        // Leave a model that has failed alone.
        if !std::thread::panicking() {
            DROPPED.with(|dropped| dropped.set(dropped.get() + 1));
        }
    }
}

/// How many values the calling thread has dropped so far.
pub fn dropped_here() -> usize {
    DROPPED.with(Cell::get)
}

pub fn position(number: u64) -> Position {
    Position::new(number)
}

/// Appends a value that says nothing of its position.
#[track_caller]
pub fn append(log: &WatchedLog) -> Position {
    log.append(Noted::new(7)).expect("nobody seals the log")
}

/// A log with `count` records, each of which holds its position's number. The writer of every second
/// one has done its border work: a log of two is scanned, and its second segment installed.
pub fn filled(count: u64) -> WatchedLog {
    let log = Log::new();
    for number in 0..count {
        log.append(Noted::new(number)).expect("nobody has sealed the log");
    }
    log
}

/// Takes a snapshot, and checks what holds for each of them by itself.
#[track_caller]
pub fn snapshot(log: &WatchedLog) -> Snapshot {
    let snapshot = log.snapshot();
    assert!(snapshot.start() <= snapshot.end(), "{snapshot:?} ends before it starts");
    snapshot
}

/// Blocks that are segments of the log now: neither spare nor dying. Nobody may be at work.
pub fn installed(log: &WatchedLog) -> u64 {
    let LogStats { blocks, spares, dying, .. } = log.stats();
    blocks - spares - dying
}

/// Checks that only the one segment is left that was installed ahead: all records are given up.
#[track_caller]
pub fn assert_all_freed(log: &WatchedLog) {
    assert_eq!(installed(log), 1, "{log:?} keeps a segment that is given up");
}
