//! Hollowing: values before the horizon die while their segment goes on, and nobody reads one of them.
//! (`log/hollow.rs`, `log/pins.rs`)

use std::ops::Range;

use streamcore_modelled::log::{Next, Position};

use crate::harness::{Model, Probe};
use crate::steps::{WatchedLog, assert_all_freed, dropped_here, filled, position};

/// Reads one record, or learns that it is trimmed.
fn read(log: &WatchedLog, at: u64, probe: &Probe) {
    match log.read(position(at), 1) {
        Ok(chunk) => {
            probe.reach("read");
            assert_eq!(chunk.get(position(at)).map(|value| value.read()), Some(at));
        }
        Err(trimmed) => {
            probe.reach("trimmed");
            assert!(trimmed.earliest > position(at));
        }
    }
}

/// Gives up the first record; its segment goes on, whose second record stays readable.
fn trim_one(log: &WatchedLog, probe: &Probe) {
    let before = dropped_here();
    assert_eq!(log.trim(position(1)), position(1));
    probe.reach_if(dropped_here() > before, "hollowed");
    probe.reach_if(dropped_here() == before, "somebody was inside");
}

#[test]
fn hollow() {
    Model::new("hollow", || filled(2))
        .reaches(&["read", "trimmed", "hollowed", "somebody was inside"])
        .role("trimmer", trim_one)
        .role("reader", |log, probe| {
            read(log, 0, probe);
            // A guard of the second record does not protect the first.
            let chunk = log.read(position(1), 1).expect("the second is retained");
            assert_eq!(chunk.get(position(1)).map(|value| value.read()), Some(1));
        })
        .after(|log, _| {
            read_all(&log, 1..2);
            drop(log);
        })
        .check();
}

#[test]
fn hollow_twice() {
    Model::new("hollow_twice", || filled(2))
        .bound(2)
        .reaches(&["read", "trimmed"])
        .role("trimmer", |log, _| assert!(log.trim(position(1)) >= position(1)))
        .role("trimmer of all", |log, _| assert_eq!(log.trim(position(2)), position(2)))
        .role("reader", |log, probe| read(log, 1, probe))
        .after(|log, _| assert_all_freed(&log))
        .check();
}

#[test]
fn hollow_retain() {
    Model::new("hollow_retain", || filled(4))
        .reaches(&["retained", "refused"])
        .role("trimmer", |log, _| assert_eq!(log.trim(position(3)), position(3)))
        .role("retainer", |log, probe| match log.retain(position(1)..position(4)) {
            Ok(range) => {
                probe.reach("retained");
                let values: Vec<u64> = range.iter().map(|(_, value)| value.read()).collect();
                assert_eq!(values, [1, 2, 3]);
            }
            Err(_) => probe.reach("refused"),
        })
        .after(|log, _| read_all(&log, 3..4))
        .check();
}

/// A cursor that holds its segment, and goes back to what may be given up by then.
#[test]
fn hollow_cursor() {
    Model::new("hollow_cursor", || filled(2))
        .reaches(&["read again", "gone"])
        .role("trimmer", |log, _| assert_eq!(log.trim(position(1)), position(1)))
        .role("reader", |log, probe| {
            let mut cursor = log.cursor(position(1));
            assert!(matches!(cursor.next(), Ok(Next::Record(_, value)) if value.read() == 1));
            cursor.seek(Position::ZERO);
            match cursor.next() {
                Ok(Next::Record(at, value)) => {
                    assert_eq!((at, value.read()), (Position::ZERO, 0));
                    probe.reach("read again");
                }
                Ok(_) => panic!("the first record is published"),
                Err(_) => probe.reach("gone"),
            }
        })
        .check();
}

fn read_all(log: &WatchedLog, numbers: Range<u64>) {
    let mut seen = Vec::new();
    let read = log.for_each(position(numbers.start)..log.end(), |_, value| seen.push(value.read()));
    assert_eq!(read, Ok(position(numbers.end)));
    assert!(seen.into_iter().eq(numbers));
}
