//! What becomes of values and memory: dropped once by whoever is last, recycled under another number,
//! and whole although a value's `Drop` panics. (`log/segment.rs`, `log/shelf.rs`, `log/reclaim.rs`)

use std::sync::Mutex;

use streamcore_modelled::log::{Chunk, Log, Position, Trimmed};
use streamcore_modelled::modelled::Arc;
use streamcore_modelled::modelled::memory::expecting_panics;

use crate::harness::{Model, Probe, Watched};

/// What is appended by roles that race for a position.
const ANY: u64 = 7;

fn filled(count: u64) -> Log<Watched> {
    let log = Log::new();
    (0..count).for_each(|number| drop(log.append(Watched::new(number))));
    log
}

/// Reads all that is published, each value of which somebody wrote and nobody has dropped.
fn read_all(log: &Log<Watched>) -> u64 {
    let snapshot = log.snapshot();
    let mut next = snapshot.start();
    while next < snapshot.end() {
        match log.read(next, 2) {
            Ok(chunk) => {
                for (position, value) in &chunk {
                    let number = value.read();
                    assert!(number == position.get() || number == ANY);
                }
                assert!(!chunk.is_empty(), "what a snapshot covers is readable");
                next = chunk.next_position();
            }
            Err(Trimmed { earliest }) => next = earliest,
        }
    }
    snapshot.end().get()
}

/// The writer of position 3 prepares segment 2, in which the next record is alone.
fn fill_recycled(log: &Log<Watched>) {
    log.append(Watched::new(ANY)).expect("nobody seals the log");
    log.append(Watched::new(ANY)).expect("nobody seals the log");
}

/// So many segments are left; one block more is the spare that came too late.
fn finish(left: u64) -> impl Fn(Log<Watched>, &Probe) {
    move |log, probe| {
        let stats = log.stats();
        probe.reach(if stats.blocks == left { "recycled" } else { "fresh" });
        assert_eq!(stats.blocks, left + stats.spares);
        assert_eq!(read_all(&log), log.end().get());
    }
}

#[test]
fn recycle() {
    // Segment 0 is full, segment 1 has one record.
    Model::new("recycle", || filled(3))
        .bound(2)
        .reaches(&["recycled", "fresh"])
        .role("trimmer", |log, _| {
            log.trim(Position::new(2));
        })
        .role("appender", |log, _| {
            fill_recycled(log);
            assert_eq!(read_all(log), 5, "the other slot of the new segment is empty");
        })
        .after(finish(2))
        .check();
}

#[test]
fn recycle_under_a_late_reader() {
    Model::new("recycle_under_a_late_reader", || filled(3))
        .bound(2)
        .reaches(&["recycled", "fresh", "refused", "read the old number", "one is on its way"])
        .role("trimmer", |log, probe| {
            log.trim(Position::new(2));
            fill_recycled(log);
            // One may be reserved and not written yet: then its slot holds an old state.
            probe.reach_if(read_all(log) < log.end().get(), "one is on its way");
        })
        .role("late reader", |log, probe| {
            match log.read(Position::ZERO, 2) {
                Ok(chunk) => {
                    let read: Vec<_> = chunk.iter().map(|(_, value)| value.read()).collect();
                    assert_eq!(read, [0, 1]);
                    probe.reach("read the old number");
                }
                Err(Trimmed { earliest }) => {
                    assert_eq!(earliest, Position::new(2));
                    probe.reach("refused");
                }
            }
            log.append(Watched::new(ANY)).expect("nobody seals the log");
        })
        // The writer of position 5 has prepared segment 3.
        .after(finish(3))
        .check();
}

/// A value that knows memory in which nothing was ever written.
struct Written {
    watched: Watched,
    mark: u64,
}

const MARK: u64 = 0x5ee_d0f_a11;

impl Written {
    fn new(number: u64) -> Self {
        Self { watched: Watched::new(number), mark: MARK }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if self.mark != MARK {
            // Not a panic: the log would contain it.
            eprintln!("a value was dropped that was never written");
            std::process::abort();
        }
    }
}

/// Shares of one log, for each role its own.
type Shares = [Mutex<Option<Arc<Log<Written>>>>; 2];

fn take(shares: &Shares, role: usize) -> Arc<Log<Written>> {
    shares[role].lock().unwrap().take().expect("each role takes its own share")
}

#[test]
fn last_owner_drops() {
    // A segment that is full, and one that is prepared; one record will be in it.
    let shares = || {
        let log = Arc::new(Log::new());
        (0..2).for_each(|number| drop(log.append(Written::new(number))));
        let share = || Mutex::new(Some(log.clone()));
        let shares: Shares = [share(), share()];
        shares
    };
    Model::new("last_owner_drops", shares)
        .reaches(&["read", "refused"])
        .role("reader", |shares, probe| {
            let log = take(shares, 0);
            match Chunk::read(log, Position::ZERO, 1) {
                Ok(chunk) => {
                    assert_eq!(chunk.iter().next().map(|(_, value)| value.watched.read()), Some(0));
                    probe.reach("read");
                }
                Err(Trimmed { .. }) => probe.reach("refused"),
            }
        })
        .role("trimmer", |shares, _| {
            let log = take(shares, 1);
            drop(log.append(Written::new(2)));
            log.trim(Position::new(2));
        })
        .check();
}

/// A value whose `Drop` panics if it is told to; what it holds is dropped all the same.
struct Fuse {
    watched: Watched,
    blown: bool,
}

impl Drop for Fuse {
    fn drop(&mut self) {
        assert!(!self.blown, "planted");
    }
}

#[test]
fn panicking_drop() {
    let filled = || {
        let log = Log::<Fuse>::new();
        for number in 0..2 {
            drop(log.append(Fuse { watched: Watched::new(number), blown: number == 0 }));
        }
        log
    };
    let read = |log: &Log<Fuse>, probe: &Probe| {
        expecting_panics(|| match log.read(Position::ZERO, 2) {
            Ok(chunk) => {
                assert_eq!(chunk.iter().map(|(_, fuse)| fuse.watched.read()).sum::<u64>(), 1);
                probe.reach("read");
            }
            Err(Trimmed { .. }) => probe.reach("refused"),
        });
    };
    Model::new("panicking_drop", filled)
        .bound(2)
        .reaches(&["read", "refused"])
        .role("reader", read)
        .role("reader", read)
        .role("trimmer", |log, _| {
            expecting_panics(|| log.trim(Position::new(2)));
        })
        .after(|log, _| {
            let stats = log.stats();
            assert_eq!((stats.contained_panics, stats.dying), (1, 0), "contained, and counted");
            assert_eq!(stats.blocks, 1 + stats.spares, "segment 1 was prepared; 0 is free");
            drop(log.append(Fuse { watched: Watched::new(2), blown: false }));
            assert_eq!(log.read(Position::new(2), 1).map(|chunk| chunk.len()), Ok(1));
        })
        .check();
}
