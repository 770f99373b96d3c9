//! The recorder: its stamps, its bounds, and what becomes of operations that never come back.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use streamcore::log::Log;
use streamcore_bench::history::{
    Appended, Checker, EventLog, Fault, NEVER, Operation, Recorder, Refused, Room, Verdict,
    linearizable,
};

const ROOM: Room = Room { operations: 100, values: 1_000 };

#[test]
fn the_operations_of_a_thread_follow_one_another() {
    let log = Log::<u64>::new();
    let recorder = Recorder::new(ROOM);
    let mut session = recorder.session(&log);
    for _ in 0..10 {
        session.append().unwrap();
        session.snapshot().unwrap();
    }
    drop(session);
    let history = recorder.finish();
    let events = &history.threads[0].events;
    assert_eq!(events.len(), 20);
    assert!(events.windows(2).all(|pair| pair[0].precedes(&pair[1])));
}

#[test]
fn stamped_in_groups_operations_look_longer() {
    let log = Log::<u64>::new();
    let recorder = Recorder::new(ROOM).stamp_every(4);
    let mut session = recorder.session(&log);
    for _ in 0..10 {
        session.append().unwrap();
    }
    drop(session);
    let history = recorder.finish();
    let stamps: Vec<_> =
        history.threads[0].events.iter().map(|event| (event.called, event.returned)).collect();
    assert_eq!(stamps[..4], [(0, 0); 4]);
    assert_eq!(stamps[4..8], [(1, 1); 4]);
    assert_eq!(stamps[8..], [(2, 2); 2]);
}

#[test]
fn a_session_that_is_full_does_not_ask_the_log() {
    let log = Log::<u64>::new();
    let recorder = Recorder::new(Room { operations: 4, values: 2 });
    let mut session = recorder.session(&log);
    session.append_batch(3).unwrap();
    assert_eq!(session.read(0, 8).unwrap().len(), 2);
    assert_eq!(session.read(0, 8), Err(Refused::Full));
    session.snapshot().unwrap();
    session.append().unwrap();
    assert_eq!(session.append(), Err(Refused::Full));
    assert_eq!(session.seal(), Err(Refused::Full));
    drop(session);
    assert_eq!(log.end().get(), 4);
    assert!(!log.is_sealed());
    assert!(Checker::new().check(&recorder.finish()).is_clean());
}

/// Panics in the second append, after the record is there.
#[derive(Default)]
struct Panics(Mutex<Vec<u64>>);

impl EventLog for Panics {
    fn append(&self, value: u64) -> Result<u64, Refused> {
        let position = {
            let mut records = self.0.lock().unwrap();
            records.push(value);
            records.len() as u64 - 1
        };
        assert!(position != 1, "planted");
        Ok(position)
    }

    fn snapshot(&self) -> Range<u64> {
        0..self.0.lock().unwrap().len() as u64
    }

    fn read(&self, from: u64, max: usize, into: &mut Vec<u64>) -> Result<(), Refused> {
        into.extend(self.0.lock().unwrap().iter().skip(from as usize).take(max));
        Ok(())
    }
}

#[test]
fn an_append_that_panics_may_have_taken_place() {
    let log = Panics::default();
    let recorder = Recorder::new(ROOM);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut session = recorder.session(&log);
        session.append().unwrap();
        session.append()
    }));
    assert!(outcome.is_err());
    let mut session = recorder.session(&log);
    assert_eq!(session.append(), Ok(2));
    assert_eq!(session.snapshot(), Ok(0..3));
    assert_eq!(session.read(0, 8).unwrap().len(), 3);
    assert_eq!(session.seal(), Err(Refused::Unsupported));
    drop(session);
    let history = recorder.finish();
    let open = history.threads[0].events[1];
    assert_eq!(open.returned, NEVER);
    assert!(matches!(open.operation, Operation::Append { outcome: Appended::Unknown, .. }));
    assert_eq!(history.threads[1].events.len(), 3);
    let report = Checker::new().check(&history);
    assert!(report.is_clean(), "{report}");
    assert_eq!(linearizable(&history, 1_000), Verdict::Linearizable);
}

#[test]
fn a_violation_names_both_operations() {
    let log = Log::<u64>::new();
    let recorder = Recorder::new(ROOM);
    let mut session = recorder.session(&log);
    session.append().unwrap();
    session.snapshot().unwrap();
    drop(session);
    let mut history = recorder.finish();
    history.threads[0].events[1].operation = Operation::Snapshot { start: 0, end: 0 };
    let report = Checker::new().check(&history);
    assert_eq!(report.faults(), [Fault::Lost]);
    assert_eq!(linearizable(&history, 1_000), Verdict::Impossible);
    let text = report.violations[0].to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "visibility: an append had returned, as had all before it, and is never shown (position 0)",
            "    thread 0, operation 0 [0, 0]: append of value 0x0 at position 0",
            "    thread 0, operation 1 [1, 1]: snapshot of positions 0..0",
        ]
    );
}
