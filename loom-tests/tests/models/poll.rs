//! Polling: a cursor that is inside a segment looks at the next slot, and at the tail only if it must.
//! (`log/cursor.rs`, `log/prefix.rs`, `log/seal.rs`)

use streamcore_modelled::log::{Cursor, Next, Position, SealOutcome};

use crate::harness::Model;
use crate::steps::{Noted, WatchedLog, append, filled, position, snapshot};

/// A cursor that has read the record at 0, and is inside of the segment of 0 and 1.
fn inside(log: &WatchedLog) -> Cursor<&WatchedLog> {
    let mut cursor = log.cursor(Position::ZERO);
    assert_eq!(next(&mut cursor), Some(Position::ZERO));
    cursor
}

/// The position of the next record, which is read; `None` if there is none yet.
fn next(cursor: &mut Cursor<&WatchedLog>) -> Option<Position> {
    match cursor.next().expect("nobody trims") {
        Next::Record(at, value) => {
            value.read();
            Some(at)
        }
        Next::Pending | Next::Closed => None,
    }
}

/// What a poll has found, a snapshot that is taken afterwards contains.
#[test]
fn poll() {
    Model::new("poll", || filled(1))
        .bound(1)
        .reaches(&["nothing", "the first", "both"])
        .role("writer", |log, _| {
            append(log);
        })
        .role("other writer", |log, _| {
            append(log);
        })
        .role("reader", |log, probe| {
            let mut cursor = inside(log);
            let first = next(&mut cursor);
            let end = snapshot(log).end();
            let Some(at) = first else { return probe.reach("nothing") };
            assert_eq!(at, position(1));
            assert!(end > at, "a record was read, and is in no later snapshot");
            probe.reach(match next(&mut cursor) {
                None => "the first",
                Some(at) => {
                    assert_eq!(at, position(2));
                    "both"
                }
            });
        })
        .check();
}

/// Who polls sees a batch whole, though it goes on in a segment that the cursor is not in.
#[test]
fn poll_batch() {
    Model::new("poll_batch", || filled(1))
        .reaches(&["none", "all"])
        .role("writer", |log: &WatchedLog, _| {
            log.append_all((0..2).map(Noted::new)).expect("nobody seals the log");
        })
        .role("reader", |log, probe| {
            let mut cursor = inside(log);
            if next(&mut cursor).is_none() {
                return probe.reach("none");
            }
            assert_eq!(next(&mut cursor), Some(position(2)), "a part of a batch was read");
            probe.reach("all");
        })
        .check();
}

/// Who has learned that the log is sealed is told so by the cursor, though that looks at no tail before
/// somebody has begun.
#[test]
fn poll_sealed() {
    Model::new("poll_sealed", || filled(1))
        .reaches(&["open", "closed"])
        .role("sealer", |log: &WatchedLog, _| {
            assert!(matches!(log.seal(()), SealOutcome::Sealed { end } if end == position(1)));
        })
        .role("reader", |log, probe| {
            let mut cursor = inside(log);
            let was_sealed = log.is_sealed();
            match cursor.next().expect("nobody trims") {
                Next::Closed => probe.reach("closed"),
                Next::Pending => {
                    assert!(!was_sealed, "a sealed log is said to go on");
                    probe.reach("open");
                }
                Next::Record(..) => panic!("there is one record"),
            }
        })
        .after(|log, _| assert!(matches!(inside(&log).next(), Ok(Next::Closed))))
        .check();
}
