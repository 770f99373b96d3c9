//! What threads do in a scenario, each step checked against the book.

use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};

use shuttle::thread;
use streamcore_scheduled::log::{
    BatchError, Cursor, Next, Position, SealOutcome, Sealed, Snapshot, Trimmed, WaitOutcome,
};

use crate::book::{Id, Value};
use crate::harness::Dice;
use crate::scenario::{Log, Stage};

/// Appends, now one, now a batch, until all is appended or the log is sealed.
pub fn write(stage: &Stage, mut dice: Dice, writer: usize) {
    let Stage { log, book, .. } = stage;
    let mut sequence = 0;
    while sequence < stage.cast.records {
        let length = if dice.one_in(2) { 1 } else { 1 + dice.below(stage.cast.longest) };
        let first = Id { writer, sequence };
        let make = |index| {
            let id = Id { writer, sequence: sequence + index };
            Value::new(book, id, index, length)
        };
        if stage.cast.handshake {
            stage.wait_for_sleepers();
        }
        let before = book.before();
        let appended = if length == 1 {
            log.append(make(0)).map(|at| at..at.plus(1)).map_err(|Sealed(value)| vec![value])
        } else {
            log.append_all((0..length).map(make)).map_err(|refused| match refused {
                BatchError::Sealed(values) => values,
                BatchError::TooLong(_) => panic!("that is not too long"),
            })
        };
        match appended {
            Ok(positions) => {
                assert_eq!(positions.end.since(positions.start), length);
                book.open().appended(before, positions.clone(), first);
                if dice.one_in(4) {
                    log.wait_visible(positions.start).expect("it was appended");
                    assert!(observe(stage).end() >= positions.end, "its batch is not visible");
                }
            }
            Err(values) => {
                let ids: Vec<_> = values.iter().map(|value| value.id.sequence).collect();
                assert_eq!(ids, (sequence..sequence + length).collect::<Vec<_>>());
                book.open().refused();
                check_seal(stage);
                stage.met.note("appends refused");
                break;
            }
        }
        sequence += length;
    }
    stage.writers_left.fetch_sub(1, Relaxed);
}

/// Whoever learns that the log is sealed finds its end and its successor.
#[track_caller]
fn check_seal(stage: &Stage) {
    let end = stage.log.sealed_end().expect("sealed, and it stays so");
    let successor = *stage.log.successor().expect("a sealed log has a successor");
    stage.book.open().is_sealed(end, successor);
    assert_eq!(stage.log.end(), end);
}

/// Takes a snapshot and checks both of its ends.
#[track_caller]
fn observe(stage: &Stage) -> Snapshot {
    let Stage { log, book, .. } = stage;
    let before = book.before();
    let snapshot = log.snapshot();
    book.open().snapshot(before, snapshot);
    if log.end() > snapshot.end() {
        stage.met.note("snapshots with more in flight");
    }
    let last = snapshot.end().minus(1);
    if !snapshot.is_empty()
        && let Ok(chunk) = log.read(last, 1)
    {
        let value = chunk.get(last).expect("a snapshot has no hole");
        book.open().stands_at(last, value);
        assert!(value.is_last(), "{snapshot:?} ends inside a batch");
    }
    if !snapshot.is_empty()
        && let Ok(chunk) = log.read(snapshot.start(), 1)
    {
        let value = chunk.get(snapshot.start()).expect("a snapshot has no hole");
        book.open().stands_at(snapshot.start(), value);
        assert_eq!(value.index, 0, "{snapshot:?} begins inside a batch");
    }
    snapshot
}

/// Reads here and there; keeps guards, and looks at them again.
pub fn read(stage: &Stage, mut dice: Dice, _: usize) {
    let Stage { log, book, .. } = stage;
    let (mut kept, mut ranges) = (Vec::new(), Vec::new());
    loop {
        let snapshot = observe(stage);
        let from = snapshot.start().plus(dice.below(snapshot.len()));
        let before = book.before();
        match dice.below(3) {
            0 => match log.read(from, 1 + dice.below(9) as usize) {
                Ok(chunk) => {
                    book.open().says_readable(before, from);
                    assert!(!chunk.is_empty() || snapshot.is_empty(), "a hole at {from}");
                    kept.push(chunk);
                }
                Err(trimmed) => was_trimmed(stage, from, trimmed),
            },
            1 => match log.retain(from..from.plus(dice.below(12))) {
                Ok(range) => {
                    book.open().says_readable(before, from);
                    ranges.push(range);
                }
                Err(trimmed) => was_trimmed(stage, from, trimmed),
            },
            _ => {
                let mut next = from;
                let walk = log.for_each(from..snapshot.end(), |position, value| {
                    assert_eq!(position, next, "a hole");
                    book.open().stands_at(position, value);
                    next = position.plus(1);
                });
                match walk {
                    Ok(end) => assert_eq!(end, snapshot.end()),
                    Err(trimmed) => was_trimmed(stage, next, trimmed),
                }
            }
        }
        for (position, value) in kept.iter().flatten() {
            book.open().stands_at(position, value);
        }
        for range in &ranges {
            let mut next = range.positions().start;
            for (position, value) in range.iter() {
                assert_eq!(position, next, "a retained record is gone");
                book.open().stands_at(position, value);
                next = position.plus(1);
            }
            assert_eq!(next, range.positions().end);
        }
        if kept.len() > 2 || dice.one_in(4) {
            kept.clear();
            ranges.clear();
        }
        if stage.is_over(snapshot.end().get()) {
            return;
        }
        thread::yield_now();
    }
}

#[track_caller]
fn was_trimmed(stage: &Stage, asked: Position, Trimmed { earliest }: Trimmed) {
    stage.book.open().says_trimmed(asked, earliest);
    stage.met.note("reads of what was trimmed meanwhile");
}

/// Follows the log from its beginning to its end, and sleeps in between.
pub fn sleep(stage: &Stage, mut dice: Dice, number: usize) {
    let log = &stage.log;
    let mut cursor = Cursor::new(&**log, Position::ZERO);
    loop {
        if dice.one_in(3) {
            // Begins to wait, and does not come back to it; sometimes it is gone altogether.
            let _ = cursor.poll_ready(&mut Context::from_waker(Waker::noop()));
            if dice.one_in(2) {
                cursor = Cursor::new(&**log, cursor.position());
            }
        }
        if log.snapshot().end() <= cursor.position() {
            stage.met.note("sleeps");
        }
        match cursor.wait(None) {
            WaitOutcome::Readable => {
                drain(stage, &mut cursor);
                stage.reads[number].store(cursor.position().get(), Relaxed);
            }
            WaitOutcome::Closed => {
                check_seal(stage);
                assert_eq!(cursor.position(), log.end(), "closed before the end");
                return;
            }
            WaitOutcome::TimedOut => panic!("there was no limit"),
        }
    }
}

/// Reads all that a cursor finds, which is not nothing.
fn drain(stage: &Stage, cursor: &mut Cursor<&Log>) {
    let start = cursor.position();
    loop {
        let at = cursor.position();
        match cursor.next() {
            Ok(Next::Record(position, value)) => {
                assert_eq!(position, at);
                stage.book.open().stands_at(position, value);
            }
            Ok(Next::Pending | Next::Closed) => break,
            Err(trimmed) => {
                was_trimmed(stage, at, trimmed);
                cursor.seek(trimmed.earliest);
            }
        }
    }
    assert!(cursor.position() > start, "readable, but nothing was read at {start}");
}

/// Gives up more and more.
pub fn trim(stage: &Stage, mut dice: Dice, _: usize) {
    let Stage { log, book, .. } = stage;
    loop {
        let end = observe(stage).end();
        let to = end.minus(dice.below(12));
        book.open().will_trim(to.get());
        let before = book.before();
        let horizon = log.trim(to);
        book.open().trimmed(before, horizon);
        if horizon > Position::ZERO {
            let gone = horizon.minus(1);
            let Trimmed { earliest } = log.read(gone, 1).expect_err("what is trimmed stays so");
            book.open().says_trimmed(gone, earliest);
        }
        if log.stats().spares > 0 {
            stage.met.note("recycled segments");
        }
        if dice.one_in(8) {
            log.shrink();
        }
        if stage.is_over(end.get()) {
            return;
        }
        thread::yield_now();
    }
}

/// Seals when some records are there, whatever the writers do.
pub fn seal_early(stage: &Stage, _: Dice, number: usize) {
    while stage.log.end().get() < stage.seal_at && !stage.writers_are_done() {
        thread::yield_now();
    }
    seal(stage, 1 + number as u32);
}

/// Seals when the writers have nothing more to say.
pub fn seal_at_the_end(stage: &Stage) {
    while !stage.writers_are_done() {
        thread::yield_now();
    }
    seal(stage, 0);
}

fn seal(stage: &Stage, successor: u32) {
    stage.book.open().will_seal();
    match stage.log.seal(successor) {
        SealOutcome::Sealed { end } => {
            stage.book.open().has_decided();
            stage.book.open().is_sealed(end, successor);
        }
        SealOutcome::AlreadySealed { offered, .. } => assert_eq!(offered, successor),
    }
    check_seal(stage);
}
