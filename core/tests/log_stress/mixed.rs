//! Rounds in which everything happens at once: appends, batches, reads, guards that are kept, trims,
//! waits, seals.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use streamcore::log::{
    BatchError, Chunk, Cursor, LogHandle, LogOptions, Next, Position, Ready, SealOutcome, Sealed,
    WaitOutcome,
};

use crate::checks::{Alarm, Log, Round, Run, Seen};
use crate::executor::{block_on, poll_once};
use crate::ledger::{Dice, Facts, Ledger, Value};

const WRITERS: u32 = 3;

/// The life of one log, with eight threads: `records` by each of the writers, or fewer if it is sealed
/// before.
pub fn round<const PAD: usize>(seed: u64, records: u32) {
    let mut dice = Dice(seed);
    let longest = records.min(if PAD > 1_000 { 100 } else { 2_000 });
    let ledger = Ledger::new(WRITERS as usize, (records + 4 * longest) as usize);
    let facts = Facts::new((WRITERS * (records + longest)) as usize);
    let retained = NonZeroU64::new(dice.below(3 * 64).saturating_sub(2 * 64));
    let options = retained.map_or(LogOptions::new(), |kept| LogOptions::new().retain_last(kept));
    let round = Round::<PAD> {
        seed,
        log: Arc::new(Log::with_options(options)),
        ledger: &ledger,
        facts: &facts,
        strict: dice.one_in(2),
        retained: retained.map(NonZeroU64::get),
    };
    let made = thread::scope(|scope| {
        let round = &round;
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| scope.spawn(move || write(round, number, records, longest)))
            .collect();
        scope.spawn(move || read(round, round.dice(10)));
        scope.spawn(move || tail(round, round.dice(11)));
        scope.spawn(move || run_task(round, round.dice(12)));
        scope.spawn(move || trim(round, round.dice(13)));
        scope.spawn(move || seal_some_time(round, round.dice(14), records));
        let made = |writer: thread::ScopedJoinHandle<'_, u32>| writer.join().expect("see above");
        writers.into_iter().map(made).collect::<Vec<_>>()
    });
    finish(round, &made);
}

/// Appends, and checks what it is told. Returns how many values it made.
fn write<const PAD: usize>(round: &Round<'_, PAD>, me: u32, records: u32, longest: u32) -> u32 {
    let _alarm = Alarm(round);
    let mut dice = round.dice(u64::from(me));
    let mut seen = Seen::new(dice.clone());
    let (mut made, mut refused, mut behind_mine) = (0, 0, 0);
    while made < records && refused < 3 {
        dice.dawdle();
        let length = match dice.below(64) {
            0 => 1 + dice.below(u64::from(longest)) as u32,
            1..16 => 1 + dice.below(32.min(u64::from(longest))) as u32,
            _ => 1,
        };
        let first = made;
        let make = |index| Value::new(round.ledger, me, first + index, index, length);
        let floor = if round.strict { round.facts.floor.load(Ordering::SeqCst) } else { 0 };
        let appended = if length == 1 && dice.one_in(2) {
            let one = round.log.append(make(0));
            one.map(|at| at..at.plus(1)).map_err(|Sealed(value)| vec![value])
        } else {
            round.log.append_all((0..length).map(make)).map_err(|refused| match refused {
                BatchError::Sealed(values) => values,
                BatchError::TooLong(values) => panic!("{} are not too many", values.len()),
            })
        };
        made += length;
        match appended {
            Ok(positions) => {
                assert_eq!(positions.end.since(positions.start), u64::from(length));
                let start = positions.start.get();
                assert!(start >= floor.max(behind_mine), "{start} after {floor} had returned");
                behind_mine = positions.end.get();
                round.facts.returns(positions, me, first);
                if dice.one_in(16) {
                    read_own(round, &mut seen, Position::new(behind_mine - 1), me, made - 1);
                }
            }
            Err(values) => {
                refused += 1;
                assert_eq!(values.len(), length as usize, "all of a batch comes back");
                for (value, sequence) in values.iter().zip(first..) {
                    value.check();
                    assert_eq!((value.writer, value.sequence), (me, sequence));
                }
                round.check_seal();
                let end = round.log.end();
                assert!(end.get() >= behind_mine, "mine were appended before the end {end}");
            }
        }
    }
    if dice.one_in(8) {
        seal(round, me + 1);
    }
    round.facts.writers_done.fetch_add(1, Ordering::SeqCst);
    made
}

/// A record is visible once it, and all before it, have been published.
fn read_own<const PAD: usize>(
    round: &Round<'_, PAD>,
    seen: &mut Seen,
    position: Position,
    writer: u32,
    sequence: u32,
) {
    round.log.wait_visible(position).expect("it was appended");
    assert!(round.observe(seen).end() > position, "wait_visible is not true");
    match round.log.read(position, 1) {
        Ok(chunk) => {
            let value = chunk.get(position).expect("visible");
            value.check();
            assert_eq!((value.writer, value.sequence), (writer, sequence));
        }
        Err(trimmed) => round.check_trimmed(position, trimmed),
    }
}

/// Reads here and there, and keeps some guards for a while.
fn read<const PAD: usize>(round: &Round<'_, PAD>, mut dice: Dice) {
    let _alarm = Alarm(round);
    let mut seen = Seen::new(dice.clone());
    let (mut chunks, mut ranges) = (VecDeque::new(), VecDeque::new());
    loop {
        let snapshot = round.observe(&mut seen);
        let from = snapshot.start().plus(dice.below(snapshot.len()));
        match dice.below(8) {
            0 => {
                let (mut run, mut next) = (Run::default(), from);
                let walk = round.log.for_each(from..snapshot.end(), |position, value| {
                    assert_eq!(position, next, "a hole");
                    run.visit(round.facts, position, value);
                    next = position.plus(1);
                });
                match walk {
                    Ok(end) => assert_eq!((end, next), (snapshot.end(), end), "a hole"),
                    Err(trimmed) => round.check_trimmed(next, trimmed),
                }
            }
            1 => {
                let to = from.plus(dice.below(300));
                match round.log.retain(from..to) {
                    Ok(range) => {
                        let held = range.positions();
                        assert!(held.start == from && held.end <= to, "{held:?}");
                        assert!(held.end >= to.min(snapshot.end()), "{held:?} of {snapshot:?}");
                        ranges.push_back(range);
                    }
                    Err(trimmed) => round.check_trimmed(from, trimmed),
                }
            }
            _ => {
                let wanted = 1 + dice.below(100) as usize;
                match round.log.read(from, wanted) {
                    Ok(chunk) => {
                        assert!(chunk.len() <= wanted && chunk.position() == from);
                        assert!(!chunk.is_empty() || snapshot.is_empty(), "a hole at {from}");
                        round.check_chunk(&chunk, &mut Run::default());
                        chunks.push_back(chunk);
                    }
                    Err(trimmed) => round.check_trimmed(from, trimmed),
                }
            }
        }
        if chunks.len() > 4 || dice.one_in(16) {
            let kept = chunks.pop_front();
            kept.iter().for_each(|chunk| round.check_chunk(chunk, &mut Run::default()));
        }
        if (ranges.len() > 2 || dice.one_in(16))
            && let Some(range) = ranges.pop_front()
        {
            let mut run = Run::default();
            let visit = |(position, value)| run.visit(round.facts, position, value);
            let held = range.positions();
            assert_eq!(range.iter().map(visit).count() as u64, held.end.since(held.start));
        }
        if round.is_over(snapshot) {
            return;
        }
    }
}

/// Reads on and on, and sleeps in between.
fn tail<const PAD: usize>(round: &Round<'_, PAD>, mut dice: Dice) {
    let _alarm = Alarm(round);
    let from = if dice.one_in(2) { Position::ZERO } else { round.log.end() };
    let mut cursor = round.log.cursor(from);
    let mut run = Run::default();
    loop {
        let limit = dice.one_in(3).then(|| Duration::from_micros(dice.below(200)));
        match cursor.wait(limit) {
            WaitOutcome::Readable => drain(round, &mut cursor, &mut run, &mut dice),
            WaitOutcome::TimedOut => assert!(limit.is_some()),
            WaitOutcome::Closed => {
                round.check_seal();
                assert_eq!(cursor.position(), round.log.end(), "closed before the end");
                return;
            }
        }
    }
}

/// Reads on and on as a task; some polls are cancelled, some cursors replaced.
fn run_task<const PAD: usize>(round: &Round<'_, PAD>, mut dice: Dice) {
    let _alarm = Alarm(round);
    let mut cursor = Cursor::new(Arc::clone(&round.log), Position::ZERO);
    let mut run = Run::default();
    loop {
        if dice.one_in(4) {
            let _ = poll_once(&mut cursor);
            if dice.one_in(2) {
                cursor = Cursor::new(Arc::clone(&round.log), cursor.position());
            }
        }
        match block_on(cursor.ready()) {
            Ready::Readable => drain(round, &mut cursor, &mut run, &mut dice),
            Ready::Closed => {
                round.check_seal();
                assert_eq!(cursor.position(), round.log.end(), "closed before the end");
                return;
            }
        }
    }
}

/// Reads all that a cursor finds, which is not nothing.
pub fn drain<'a, H, const PAD: usize>(
    round: &Round<'a, PAD>,
    cursor: &mut Cursor<H>,
    run: &mut Run,
    dice: &mut Dice,
) where
    H: LogHandle<Value = Value<'a, PAD>> + Clone,
{
    let start = cursor.position();
    loop {
        let at = cursor.position();
        let trimmed = if dice.one_in(4) {
            match cursor.next_chunk(1 + dice.below(50) as usize) {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => {
                    assert_eq!(chunk.position(), at);
                    round.check_chunk(&chunk, run);
                    continue;
                }
                Err(trimmed) => trimmed,
            }
        } else {
            match cursor.next() {
                Ok(Next::Record(position, value)) => {
                    assert_eq!(position, at);
                    run.visit(round.facts, position, value);
                    continue;
                }
                Ok(Next::Pending | Next::Closed) => break,
                Err(trimmed) => trimmed,
            }
        };
        round.check_trimmed(at, trimmed);
        cursor.seek(trimmed.earliest);
        run.skip();
    }
    assert!(cursor.position() > start, "readable, but nothing was read at {start}");
}

/// Gives up more and more, unless the log does it itself.
fn trim<const PAD: usize>(round: &Round<'_, PAD>, mut dice: Dice) {
    let _alarm = Alarm(round);
    let mut seen = Seen::new(dice.clone());
    loop {
        let snapshot = round.observe(&mut seen);
        if round.retained.is_none() {
            let to = match dice.below(64) {
                0 => Position::new(u64::MAX),
                _ => snapshot.end().minus(dice.below(400)),
            };
            let horizon = round.log.trim(to);
            assert!(horizon >= snapshot.start() && horizon <= round.log.end());
            assert!(round.observe(&mut seen).start() >= horizon, "trimmed to {horizon}");
        }
        let gone = round.log.earliest().minus(1);
        if gone < round.log.earliest() {
            let trimmed = round.log.read(gone, 1).expect_err("what is trimmed stays so");
            round.check_trimmed(gone, trimmed);
        }
        if dice.one_in(32) {
            round.log.shrink();
        }
        if round.is_over(snapshot) {
            return;
        }
        dice.dawdle();
    }
}

/// Seals when some records are there, or when no more will come.
fn seal_some_time<const PAD: usize>(round: &Round<'_, PAD>, mut dice: Dice, records: u32) {
    let _alarm = Alarm(round);
    let at = dice.below(u64::from(records * WRITERS) * 5 / 4);
    while round.log.end().get() < at
        && round.facts.writers_done.load(Ordering::SeqCst) < WRITERS
        && !round.failed()
    {
        dice.dawdle();
    }
    seal(round, 0);
}

pub fn seal<const PAD: usize>(round: &Round<'_, PAD>, successor: u32) {
    let outcome = round.log.seal(successor);
    match outcome {
        SealOutcome::Sealed { .. } => {
            let before = round.facts.seals.fetch_add(1, Ordering::SeqCst);
            assert_eq!(before, 0, "sealed twice");
            assert_eq!(round.log.successor(), Some(&successor));
        }
        SealOutcome::AlreadySealed { offered, .. } => assert_eq!(offered, successor),
    }
    assert_eq!(round.log.sealed_end(), Some(outcome.end()));
    round.check_seal();
}

/// What must hold when all threads are gone.
pub fn finish<const PAD: usize>(round: Round<'_, PAD>, made: &[u32]) {
    let end = round.log.sealed_end().expect("sealed");
    assert_eq!(round.facts.returned(), end.get(), "what was acknowledged, and the end");
    assert_eq!(round.facts.seals.load(Ordering::SeqCst), 1);
    let mut seen = Seen::new(round.dice(50));
    let snapshot = round.observe(&mut seen);
    assert_eq!(snapshot.end(), end);
    let mut run = Run::default();
    let visit = |position, value: &Value<'_, PAD>| run.visit(round.facts, position, value);
    assert_eq!(round.log.for_each(snapshot.positions(), visit), Ok(end));

    let kept = Chunk::read(Arc::clone(&round.log), snapshot.start(), 10).expect("retained");
    assert_eq!(round.log.trim(end), end);
    round.check_chunk(&kept, &mut Run::default());
    let ledger = round.ledger;
    if seen.dice.one_in(2) {
        // The guard outlives the caller's handle, and with it the log.
        drop(round);
        kept.iter().for_each(|(_, value)| value.check());
        drop(kept);
    } else {
        drop(kept);
        let stats = round.log.stats();
        assert_eq!((stats.blocks, stats.pins, stats.contained_panics), (0, 0, 0), "{stats:?}");
        let all: u32 = made.iter().sum();
        assert_eq!(ledger.dead(), all as usize, "all is trimmed, so all is dead");
        drop(round);
    }
    ledger.settle(made);
}
