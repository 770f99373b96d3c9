//! A random workload of all operations, for logs of which nothing more is known.

use std::sync::Barrier;

use super::event::History;
use super::recorder::{Recorder, Room, Session};
use super::subject::{EventLog, Refused};

/// How many records one read asks for at the most.
const READ: u64 = 16;
/// How far behind the end most reads begin, at the most.
const NEAR: u64 = 64;
/// How many records a trim leaves.
const KEPT: u64 = 1024;
/// How many of the last records are read at the end, at the most.
const AUDITED: usize = 1 << 20;

/// What threads do to a log: about half of the operations append, a fifth of those in batches; the rest
/// reads, takes snapshots, asks for the latest position, and now and then waits or trims. The same
/// seed draws the same numbers; how the threads meet is up to the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Workload {
    seed: u64,
    threads: u32,
    operations: usize,
    group: usize,
    trims: bool,
    seals: bool,
}

impl Workload {
    /// A workload of four threads and 100,000 operations, with trims, and sealed towards the end.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, threads: 4, operations: 100_000, group: 1, trims: true, seals: true }
    }

    /// How many threads take part.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// How many operations they do, all together.
    #[must_use]
    pub fn operations(mut self, operations: usize) -> Self {
        self.operations = operations;
        self
    }

    /// How many responses are stamped at once: see [`Recorder::stamp_every`].
    #[must_use]
    pub fn stamp_every(mut self, group: usize) -> Self {
        self.group = group;
        self
    }

    /// Whether records are given up.
    #[must_use]
    pub fn trims(mut self, trims: bool) -> Self {
        self.trims = trims;
        self
    }

    /// Whether two threads seal the log when they have done seven eighths of their work.
    #[must_use]
    pub fn seals(mut self, seals: bool) -> Self {
        self.seals = seals;
        self
    }

    /// Runs the workload on an empty log and returns what happened. In the end, one more thread
    /// takes a snapshot and reads what it shows.
    #[must_use]
    pub fn run<L: EventLog + ?Sized>(&self, log: &L) -> History {
        let operations = self.operations.div_ceil(self.threads as usize);
        let room = Room { operations, values: operations * 4 + READ as usize };
        let recorder = Recorder::new(room).stamp_every(self.group);
        let start = Barrier::new(self.threads as usize);
        std::thread::scope(|scope| {
            let mut seeds = Random(self.seed);
            for number in 0..self.threads {
                let random = Random(seeds.next());
                let (recorder, start) = (&recorder, &start);
                let seal_at = (self.seals && number < 2).then_some(operations / 8 * 7);
                scope.spawn(move || {
                    let session = recorder.session(log);
                    start.wait();
                    Worker { session, random, seen: 0..0, mine: None, trims: self.trims }
                        .run(operations, seal_at);
                });
            }
        });
        audit(&recorder, log);
        recorder.finish()
    }
}

/// Reads all that a last snapshot shows, as far as there is room, and looks behind its end.
fn audit<L: EventLog + ?Sized>(recorder: &Recorder, log: &L) {
    let mut session =
        recorder.session_with(log, Room { operations: AUDITED / 256 + 64, values: AUDITED });
    let _ = session.latest();
    let Ok(shown) = session.snapshot() else {
        return;
    };
    let mut next = shown.start.max(shown.end.saturating_sub(AUDITED as u64 - 1));
    while next < shown.end {
        match session.read(next, 4096).map(<[u64]>::len) {
            Ok(0) | Err(_) => break,
            Ok(read) => next += read as u64,
        }
    }
    let _ = session.read(shown.end, 1);
}

struct Worker<'a, L: ?Sized> {
    session: Session<'a, L>,
    random: Random,
    /// What the last snapshot showed.
    seen: std::ops::Range<u64>,
    /// The last position that an append of this thread was given.
    mine: Option<u64>,
    trims: bool,
}

impl<L: EventLog + ?Sized> Worker<'_, L> {
    fn run(mut self, operations: usize, seal_at: Option<usize>) {
        for count in 0..operations {
            let answer =
                if seal_at == Some(count) { self.session.seal().map(drop) } else { self.step() };
            if answer == Err(Refused::Full) {
                return;
            }
        }
    }

    fn step(&mut self) -> Result<(), Refused> {
        match self.random.below(100) {
            0..40 => self.mine = Some(self.session.append()?),
            40..50 => {
                let count = 2 + self.random.below(7);
                match self.session.append_batch(count as u32) {
                    Err(Refused::Unsupported) => self.mine = Some(self.session.append()?),
                    first => self.mine = Some(first? + count - 1),
                }
            }
            50..67 => self.seen = self.session.snapshot()?,
            67..94 => {
                let from = self.where_to_read();
                let max = 1 + self.random.below(READ);
                self.session.read(from, max as usize)?;
            }
            94..97 => drop(self.session.latest()?),
            97..99 => {
                if let Some(mine) = self.mine {
                    self.session.wait(mine)?;
                }
            }
            _ => {
                let to = self.seen.end.saturating_sub(KEPT + self.random.below(KEPT));
                if self.trims && to > self.seen.start {
                    self.session.trim(to)?;
                }
            }
        }
        Ok(())
    }

    /// Mostly near the end that was seen last; sometimes at it, behind it, or anywhere.
    fn where_to_read(&mut self) -> u64 {
        let end = self.seen.end;
        match self.random.below(16) {
            0 => end + 1,
            1..4 => end,
            4 => self.random.below(end + 1),
            5 => self.mine.unwrap_or(end),
            _ => end.saturating_sub(self.random.below(NEAR)),
        }
    }
}

/// SplitMix64: small, and good enough to draw operations.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}
