//! The log under a sanitizer: plain memory, many threads, and no order but the log's own.
//!
//! ThreadSanitizer reports an access that nothing orders, but it sees only what is compiled with it. So
//! this program has no test harness and uses of std only what the sanitizer understands without being told:
//! `spawn` and `join`. The values are plain memory, so each read of one is checked against its write and its
//! drop; the threads share nothing beside the log and relaxed counters. Sleeping is left to `log_stress` and
//! the models, since parking is a part of std that the sanitizer does not see; here sleepers are polled. Their
//! cursors end with the main thread: the end of an `Arc` has a fence, and the sanitizer knows none.
//!
//! `STREAMCORE_STRESS_SECONDS` says how long (1 by default), `STREAMCORE_STRESS_SEED` where to begin.
//! `.ci/sanitizers` builds it with each sanitizer; as it is, it is a small stress test like any other.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use streamcore::log::{Chunk, Cursor, LogOptions, Next, Position, Ready, SealOutcome, Trimmed};

const POISON: u64 = 0xdead_dead_dead_dead;
const WRITERS: u64 = 2;

/// Plain memory, in the slot and behind it. `PAD` decides how many values a segment holds.
struct Value<const PAD: usize> {
    number: u64,
    twin: Box<u64>,
    _pad: [u64; PAD],
}

impl<const PAD: usize> Value<PAD> {
    fn new(number: u64) -> Self {
        Self { number, twin: Box::new(!number), _pad: [0; PAD] }
    }

    #[track_caller]
    fn check(&self) {
        assert_eq!(self.number, !*self.twin, "a torn or a dead value");
    }
}

impl<const PAD: usize> Drop for Value<PAD> {
    fn drop(&mut self) {
        // Written without an order of its own: it must come after every read.
        self.number = POISON;
        *self.twin = 0;
    }
}

type Log<const PAD: usize> = streamcore::log::Log<Value<PAD>, Box<u64>>;

/// Pseudo-random numbers (splitmix64), the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit.max(1)
    }
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    let Ok(given) = std::env::var(variable) else { return otherwise };
    given.parse().unwrap_or_else(|_| panic!("{variable} is no number: {given}"))
}

fn main() {
    let limit = Duration::from_secs(number_from("STREAMCORE_STRESS_SECONDS", 1));
    let first = number_from("STREAMCORE_STRESS_SEED", 0);
    let (mut seed, start) = (first, Instant::now());
    while seed < first + 4 || start.elapsed() < limit {
        match seed % 4 {
            // Segments of 8 values, so that all of them are trimmed and come back many times.
            0 | 1 => round::<1000>(seed, 600),
            2 => round::<0>(seed, 6_000),
            _ => seals(seed, 300),
        }
        seed += 1;
    }
    println!("{} rounds", seed - first);
}

/// The life of one log, with nine threads and up to `records` records of each writer.
fn round<const PAD: usize>(seed: u64, records: u64) {
    let mut dice = Dice(seed);
    let kept = NonZeroU64::new(dice.below(2) * (1 + dice.below(100)));
    let options = kept.map_or(LogOptions::new(), |kept| LogOptions::new().retain_last(kept));
    let log = Arc::new(Log::<PAD>::with_options(options));
    let spawn = |number: u64, role: Role<PAD>| -> JoinHandle<Option<Sleeper<PAD>>> {
        let (log, dice) = (Arc::clone(&log), Dice(seed << 8 | number));
        thread::spawn(move || role(&log, dice, number, records))
    };
    let threads = [
        spawn(0, |log, dice, me, records| alone(|| write(log, dice, me, records))),
        spawn(1, |log, dice, me, records| alone(|| write(log, dice, me, records))),
        spawn(2, |log, dice, _, _| alone(|| read(log, dice))),
        spawn(3, |log, dice, _, _| alone(|| tail(log, dice))),
        spawn(4, |log, dice, _, _| alone(|| trust(log, dice))),
        spawn(5, |log, dice, _, _| alone(|| trim(log, dice))),
        spawn(6, |log, dice, me, records| alone(|| seal(log, dice, me, records))),
        spawn(7, |log, dice, _, _| Some(poll(log, dice))),
        spawn(8, |log, dice, _, _| Some(poll(log, dice))),
    ];
    let mut sleepers = Vec::new();
    for (number, thread) in threads.into_iter().enumerate() {
        let Ok(sleeper) = thread.join() else {
            panic!("thread {number} of the round with the seed {seed} has failed")
        };
        sleepers.push(sleeper);
    }
    drop(sleepers);
    let end = log.sealed_end().expect("sealed");
    assert_eq!(log.snapshot().end(), end);
    if dice.below(2) == 0 {
        assert_eq!(log.trim(end), end);
        let stats = log.stats();
        assert_eq!((stats.blocks, stats.pins, stats.contained_panics), (0, 0, 0), "{stats:?}");
    }
    // The last owner, after every `join`: what is left is dropped here.
    assert!(Arc::into_inner(log).is_some(), "a thread has kept the log");
}

type Sleeper<const PAD: usize> = Cursor<Arc<Log<PAD>>>;
type Role<const PAD: usize> = fn(&Arc<Log<PAD>>, Dice, u64, u64) -> Option<Sleeper<PAD>>;

/// A role that leaves nothing to the main thread.
fn alone<const PAD: usize>(role: impl FnOnce()) -> Option<Sleeper<PAD>> {
    role();
    None
}

/// Appends, now one, now a batch, until the log is sealed.
fn write<const PAD: usize>(log: &Log<PAD>, mut dice: Dice, me: u64, records: u64) {
    let mut made = 0;
    while made < records {
        let length = if dice.below(4) == 0 { 1 + dice.below(20) } else { 1 };
        let make = |index| Value::new(me << 32 | (made + index));
        let refused = if length == 1 {
            log.append(make(0)).is_err()
        } else {
            log.append_all((0..length).map(make)).is_err()
        };
        if refused {
            return check_seal(log);
        }
        made += length;
        if dice.below(32) == 0 {
            thread::yield_now();
        }
    }
}

/// Whoever learns of the seal finds the end and may use the successor.
#[track_caller]
fn check_seal<const PAD: usize>(log: &Log<PAD>) {
    let successor = log.successor().expect("sealed, so there is a successor");
    assert!(**successor < 100, "a torn successor");
    assert_eq!(log.sealed_end(), Some(log.end()));
}

/// Takes snapshots, reads from anywhere in them, and keeps some guards.
fn read<const PAD: usize>(log: &Log<PAD>, mut dice: Dice) {
    let (mut kept, mut ranges) = (None, Vec::new());
    loop {
        let snapshot = log.snapshot();
        let from = snapshot.start().plus(dice.below(snapshot.len()));
        match dice.below(4) {
            0 => {
                if let Ok(retained) = log.retain(from..from.plus(dice.below(30))) {
                    ranges.push(retained);
                }
            }
            1 => {
                let _ = log.for_each(from..snapshot.end(), |_, value| value.check());
            }
            _ => {
                if let Ok(chunk) = log.read(from, 50) {
                    check_chunk(&chunk);
                    kept = Some(chunk);
                }
            }
        }
        if dice.below(4) == 0 {
            kept.take().iter().for_each(check_chunk);
            let ranges = std::mem::take(&mut ranges);
            ranges.iter().flat_map(|range| range.iter()).for_each(|(_, value)| value.check());
        }
        if is_over(log, snapshot.end()) {
            return;
        }
        thread::yield_now();
    }
}

fn check_chunk<const PAD: usize>(chunk: &Chunk<&Log<PAD>>) {
    chunk.iter().for_each(|(_, value)| value.check());
}

fn is_over<const PAD: usize>(log: &Log<PAD>, seen: Position) -> bool {
    let over = log.sealed_end().is_some_and(|end| seen >= end);
    if over {
        check_seal(log);
    }
    over
}

/// Follows the log with a cursor, which keeps its segment from one record to the next.
fn tail<const PAD: usize>(log: &Log<PAD>, mut dice: Dice) {
    let mut cursor = Cursor::new(log, Position::ZERO);
    let mut latest = [None; WRITERS as usize];
    loop {
        match cursor.next() {
            Ok(Next::Record(_, value)) => {
                value.check();
                let number = value.number;
                let latest = &mut latest[(number >> 32) as usize];
                assert!(latest.is_none_or(|before| before < number), "out of order");
                *latest = Some(number);
            }
            Ok(Next::Pending) => {
                if dice.below(8) == 0 {
                    cursor.seek(log.snapshot().end());
                }
                thread::yield_now();
            }
            Ok(Next::Closed) => return check_seal(log),
            Err(Trimmed { earliest }) => cursor.seek(earliest),
        }
    }
}

/// Reads the last record that others have found to be published, without a scan of its own.
fn trust<const PAD: usize>(log: &Log<PAD>, mut dice: Dice) {
    loop {
        let published = Position::new(log.stats().published);
        if let Ok(chunk) = log.read(published.minus(1 + dice.below(3)), 1) {
            check_chunk(&chunk);
        }
        if is_over(log, published) || dice.below(64) == 0 && is_over(log, log.snapshot().end()) {
            return;
        }
        thread::yield_now();
    }
}

/// Goes to sleep again and again, and is woken by whoever appends. Gives its cursor back.
fn poll<const PAD: usize>(log: &Arc<Log<PAD>>, mut dice: Dice) -> Sleeper<PAD> {
    let mut cursor = Cursor::new(Arc::clone(log), log.end());
    loop {
        match cursor.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ready::Readable) => match cursor.next_chunk(1 + dice.below(100) as usize) {
                Ok(chunk) => chunk.iter().for_each(|(_, value)| value.check()),
                Err(Trimmed { earliest }) => cursor.seek(earliest),
            },
            Poll::Ready(Ready::Closed) => {
                check_seal(log);
                return cursor;
            }
            Poll::Pending => thread::yield_now(),
        }
    }
}

/// Gives up what is a little old.
fn trim<const PAD: usize>(log: &Log<PAD>, mut dice: Dice) {
    loop {
        let end = log.snapshot().end();
        let horizon = log.trim(end.minus(dice.below(60)));
        assert!(horizon <= log.end());
        if dice.below(32) == 0 {
            log.shrink();
        }
        if is_over(log, end) {
            return;
        }
        thread::yield_now();
    }
}

/// Seals some time, or when the writers are done.
fn seal<const PAD: usize>(log: &Log<PAD>, mut dice: Dice, me: u64, records: u64) {
    let at = dice.below(WRITERS * records);
    let mut idle = 0;
    let mut known = log.end();
    while log.end().get() < at && idle < 1_000 {
        thread::yield_now();
        let end = log.end();
        idle = if end == known { idle + 1 } else { 0 };
        known = end;
    }
    match log.seal(Box::new(me)) {
        SealOutcome::Sealed { .. } => check_seal(log),
        SealOutcome::AlreadySealed { .. } => panic!("nobody else seals"),
    }
}

/// Many tiny logs, each sealed by two threads as soon as the others are there too.
fn seals(seed: u64, count: usize) {
    let all: Arc<Vec<(Log<0>, AtomicU32)>> =
        Arc::new((0..count).map(|_| (Log::new(), AtomicU32::new(0))).collect());
    let threads = [0, 1, 2, 3, 4].map(|me| {
        let (all, mut dice) = (Arc::clone(&all), Dice(seed << 8 | me));
        thread::spawn(move || {
            for (log, arrived) in all.iter() {
                // Relaxed: it brings threads together, but orders nothing.
                arrived.fetch_add(1, Relaxed);
                while arrived.load(Relaxed) < 5 {
                    thread::yield_now();
                }
                (0..dice.below(100)).for_each(|_| std::hint::spin_loop());
                match me {
                    0 | 1 => drop(log.seal(Box::new(me))),
                    2 => drop((0..200).find(|_| log.append(Value::new(0)).is_err())),
                    _ => {}
                }
                for spins in 0_u32.. {
                    if log.is_sealed() {
                        break;
                    }
                    if spins % 64 == 63 {
                        thread::yield_now();
                    }
                }
                check_seal(log);
            }
        })
    });
    for thread in threads {
        assert!(thread.join().is_ok(), "a thread of the seals with the seed {seed} has failed");
    }
    for (log, _) in all.iter() {
        assert_eq!(log.snapshot().end(), log.end());
    }
}
