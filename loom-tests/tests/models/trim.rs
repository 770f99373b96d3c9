//! Trimming: a reader gets the right record or is told that it is gone; a segment is freed by exactly
//! one party, behind every use of it. (`log/pins.rs`, `log/reclaim.rs`, `log/read.rs`)

use std::sync::Mutex;

use streamcore_modelled::log::{Chunk, Cursor, Next, Position, Trimmed};
use streamcore_modelled::modelled::Arc;

use crate::harness::{Model, Probe};
use crate::steps::{
    WatchedLog, append, assert_all_freed, dropped_here, filled, position, snapshot,
};

/// Reads the first segment of a log of two records or more.
fn read(log: &WatchedLog, probe: &Probe) {
    match log.read(Position::ZERO, 2) {
        Ok(chunk) => {
            let read: Vec<_> = chunk.iter().map(|(at, value)| (at.get(), value.read())).collect();
            assert_eq!(read, [(0, 0), (1, 1)]);
            probe.reach("read");
        }
        Err(Trimmed { earliest }) => {
            assert!(earliest >= position(2), "refused, although {earliest} is retained");
            probe.reach("refused");
        }
    }
    probe.reach_if(dropped_here() == 2, "freed by a reader");
}

#[test]
fn trim() {
    Model::new("trim", || filled(2))
        .reaches(&["read", "refused", "freed by a reader", "freed by the trimmer"])
        .role("reader", read)
        .role("reader", read)
        .role("trimmer", |log, probe| {
            assert_eq!(log.trim(position(2)), position(2));
            probe.reach_if(dropped_here() == 2, "freed by the trimmer");
        })
        .after(|log, _| {
            assert_eq!(log.earliest(), position(2));
            assert_all_freed(&log);
        })
        .check();
}

#[test]
fn trim_twice() {
    Model::new("trim_twice", || filled(4))
        .bound(2)
        .reaches(&["read", "refused", "freed by a reader", "the nearer one freed", "overtaken"])
        .role("nearer", |log, probe| {
            let horizon = log.trim(position(2));
            assert!(horizon == position(2) || horizon == position(4));
            probe.reach_if(dropped_here() == 2, "the nearer one freed");
            probe.reach_if(horizon == position(4), "overtaken");
        })
        .role("farther", |log, _| assert_eq!(log.trim(position(4)), position(4)))
        .role("reader", read)
        .after(|log, _| {
            assert_eq!(log.earliest(), position(4));
            assert_all_freed(&log);
        })
        .check();
}

/// A log of one record, and a guard that holds it.
struct Held {
    log: Arc<WatchedLog>,
    chunk: Mutex<Option<Chunk<Arc<WatchedLog>>>>,
}

#[test]
fn trim_handoff() {
    let held = || {
        let log = Arc::new(filled(1));
        let chunk = Chunk::read(log.clone(), Position::ZERO, 1).unwrap();
        Held { log, chunk: Mutex::new(Some(chunk)) }
    };
    Model::new("trim_handoff", held)
        .bound(2)
        .reaches(&["freed by the holder", "freed by the trimmer", "freed by nobody"])
        .role("writer", |held, _| {
            append(&held.log);
        })
        .role("trimmer", |held, probe| {
            let horizon = held.log.trim(position(2));
            probe.reach_if(dropped_here() == 2, "freed by the trimmer");
            probe.reach_if(horizon < position(2), "freed by nobody");
        })
        .role("holder", |held, probe| {
            let chunk = held.chunk.lock().unwrap().take().unwrap();
            let values: Vec<_> = chunk.iter().map(|(_, value)| value.read()).collect();
            assert_eq!(values, [0]);
            drop(chunk);
            probe.reach_if(dropped_here() == 2, "freed by the holder");
        })
        .after(|held, _| {
            held.log.trim(position(2));
            assert_all_freed(&held.log);
        })
        .check();
}

#[test]
fn trim_against_writer() {
    Model::new("trim_against_writer", || filled(1))
        .reaches(&["before the writer", "behind the writer", "the writer's was trimmed"])
        .role("writer", |log, probe| {
            let own = append(log);
            match log.read(own, 1) {
                Ok(chunk) => {
                    assert_eq!(chunk.iter().next().map(|(_, value)| value.read()), Some(7))
                }
                Err(Trimmed { earliest }) => {
                    assert_eq!(earliest, position(2));
                    probe.reach("the writer's was trimmed");
                }
            }
        })
        .role("trimmer", |log, probe| {
            let horizon = log.trim(position(2));
            assert!(horizon == position(1) || horizon == position(2));
            probe.reach_if(horizon == position(1), "before the writer");
            probe.reach_if(horizon == position(2), "behind the writer");
            assert!(log.read(Position::ZERO, 1).is_err(), "it is given up");
        })
        .check();
}

/// A log of two segments, and a cursor that knows how far it is published, and holds the first one.
struct Known {
    log: Arc<WatchedLog>,
    cursor: Mutex<Option<Cursor<Arc<WatchedLog>>>>,
}

#[test]
fn late_reader() {
    let known = || {
        let log = Arc::new(filled(4));
        let mut cursor = Cursor::new(log.clone(), Position::ZERO);
        for number in [0, 1] {
            assert!(matches!(cursor.next(), Ok(Next::Record(_, value)) if value.read() == number));
        }
        Known { log, cursor: Mutex::new(Some(cursor)) }
    };
    let refused = |Trimmed { earliest }, probe: &Probe| {
        assert_eq!(earliest, position(4), "refused, although not everything is gone");
        probe.reach("refused");
    };
    Model::new("late_reader", known)
        .bound(2)
        .reaches(&["cursor read", "reader read", "refused"])
        .role("trimmer", |known, _| assert_eq!(known.log.trim(position(4)), position(4)))
        .role("cursor", move |known, probe| {
            let mut cursor = known.cursor.lock().unwrap().take().unwrap();
            match cursor.next() {
                Ok(Next::Record(at, value)) => {
                    assert_eq!((at.get(), value.read()), (2, 2));
                    probe.reach("cursor read");
                }
                Ok(Next::Pending | Next::Closed) => unreachable!("what was visible is hidden"),
                Err(trimmed) => refused(trimmed, probe),
            }
        })
        .role("reader", move |known, probe| match known.log.read(position(2), 1) {
            Ok(chunk) => {
                assert_eq!(chunk.iter().next().map(|(_, value)| value.read()), Some(2));
                probe.reach("reader read");
            }
            Err(trimmed) => refused(trimmed, probe),
        })
        .after(|known, _| assert_all_freed(&known.log))
        .check();
}

/// Of a trimmer that reaches the end and a sealer, the later one gives up the last segment.
#[test]
fn trim_meets_seal() {
    Model::new("trim_meets_seal", || filled(1))
        .reaches(&["freed by the trimmer", "freed by the sealer"])
        .role("trimmer", |log, probe| {
            assert_eq!(log.trim(position(1)), position(1));
            probe.reach_if(dropped_here() == 1, "freed by the trimmer");
        })
        .role("sealer", |log, probe| {
            assert_eq!(log.seal(()).end(), position(1));
            probe.reach_if(dropped_here() == 1, "freed by the sealer");
        })
        .after(|log, _| assert_eq!(log.stats().blocks, 0, "{log:?} keeps memory for nothing"))
        .check();
}

/// A snapshot's two ends are from one moment, although the horizon is read before the watermark.
#[test]
fn snapshot_against_trim() {
    Model::new("snapshot_against_trim", || filled(1))
        .reaches(&["untrimmed", "trimmed", "trimmed meanwhile"])
        .role("owner", |log, _| {
            append(log);
            assert_eq!(log.trim(position(2)), position(2));
        })
        .role("reader", |log, probe| {
            let snapshot = snapshot(log);
            probe.reach(if snapshot.start() == Position::ZERO { "untrimmed" } else { "trimmed" });
            let visited = log.for_each(snapshot.positions(), |at, value| {
                assert_eq!(value.read(), if at == Position::ZERO { 0 } else { 7 });
            });
            match visited {
                Ok(next) => assert_eq!(next, snapshot.end()),
                Err(Trimmed { earliest }) => {
                    assert!(earliest > snapshot.start());
                    probe.reach("trimmed meanwhile");
                }
            }
        })
        .check();
}
