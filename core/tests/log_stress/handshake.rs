//! Rounds in which a wake that gets lost is noticed: nobody appends the next record before every waiter
//! has read the one before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use streamcore::log::{Cursor, LogOptions, Position, Ready, WaitOutcome};

use crate::checks::{Alarm, Log, Round, Run, Seen};
use crate::executor::{block_on, poll_once};
use crate::ledger::{Facts, Ledger, Value};
use crate::mixed::{drain, finish, seal};

const WAITERS: usize = 5;

/// The life of one log, with eight threads and `records` records.
pub fn round<const PAD: usize>(seed: u64, records: u32) {
    // One writer, or two that append at the same time.
    let writers = 1 + seed as u32 % 2;
    let ledger = Ledger::new(writers as usize, records as usize);
    let facts = Facts::new((writers * records) as usize);
    let round = Round::<PAD> {
        seed,
        log: Arc::new(Log::with_options(LogOptions::new())),
        ledger: &ledger,
        facts: &facts,
        strict: seed % 4 < 2,
        retained: None,
    };
    let read: &[AtomicU64; WAITERS] = &std::array::from_fn(|_| AtomicU64::new(0));
    thread::scope(|scope| {
        let round = &round;
        for me in 0..writers {
            scope.spawn(move || write(round, me, writers, records, read));
        }
        for (number, read) in read.iter().enumerate() {
            let ahead = number < 2 && writers == 2;
            scope.spawn(move || wait(round, number, ahead, read));
        }
        // It wakes others by chance, so it must not always be there.
        if seed % 8 >= 4 {
            scope.spawn(move || come_and_go(round));
        }
    });
    finish(round, &vec![records; writers as usize]);
}

fn write<const PAD: usize>(
    round: &Round<'_, PAD>,
    me: u32,
    writers: u32,
    records: u32,
    read: &[AtomicU64; WAITERS],
) {
    let _alarm = Alarm(round);
    let mut dice = round.dice(u64::from(me));
    for sequence in 0..records {
        let all = u64::from(sequence * writers);
        while read.iter().any(|read| read.load(Ordering::Relaxed) < all) && !round.failed() {
            thread::yield_now();
        }
        // So that waiters are met on their way to sleep as well as asleep.
        (0..dice.below(8)).for_each(|_| dice.dawdle());
        let at = round.log.append(Value::new(round.ledger, me, sequence, 0, 1));
        let at = at.expect("nobody seals before the last record");
        round.facts.returns(at..at.plus(1), me, sequence);
    }
    let last = round.facts.writers_done.fetch_add(1, Ordering::SeqCst) + 1 == writers;
    if last {
        (0..dice.below(8)).for_each(|_| dice.dawdle());
        seal(round, me);
    }
}

/// Reads all records, by one of the ways to wait.
fn wait<const PAD: usize>(round: &Round<'_, PAD>, number: usize, ahead: bool, read: &AtomicU64) {
    let _alarm = Alarm(round);
    let mut dice = round.dice(20 + number as u64);
    let mut cursor = round.log.cursor(Position::ZERO);
    let mut run = Run::default();
    loop {
        // Two come at once: so the second can be waited for before the first is there.
        let here = cursor.position();
        if ahead {
            cursor.seek(here.plus(1));
        }
        let is_closed = if number.is_multiple_of(2) {
            cursor.wait(None) == WaitOutcome::Closed
        } else {
            block_on(cursor.ready()) == Ready::Closed
        };
        if is_closed {
            round.check_seal();
            assert_eq!(here, round.log.end());
            return;
        }
        cursor.seek(here);
        drain(round, &mut cursor, &mut run, &mut dice);
        read.store(cursor.position().get(), Ordering::Relaxed);
    }
}

/// Begins to wait, and does not come back to it.
fn come_and_go<const PAD: usize>(round: &Round<'_, PAD>) {
    let _alarm = Alarm(round);
    let mut dice = round.dice(30);
    let mut seen = Seen::new(dice.clone());
    loop {
        let snapshot = round.observe(&mut seen);
        if round.is_over(snapshot) {
            return;
        }
        let mut cursor = Cursor::new(&*round.log, snapshot.end());
        match dice.below(3) {
            0 => {
                let _ = poll_once(&mut cursor);
            }
            1 => {
                let _ = cursor.wait(Some(Duration::from_micros(dice.below(100))));
            }
            _ => {
                let _ = poll_once(&mut cursor);
                let outcome = cursor.wait(Some(Duration::ZERO));
                assert!(outcome != WaitOutcome::Closed || round.log.is_sealed());
            }
        }
        round.log.trim(snapshot.end().minus(dice.below(20)));
    }
}
