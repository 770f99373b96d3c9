//! One round of the stress test, and the promises of a log that any of its threads can check.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use streamcore::log::{Chunk, LogHandle, Position, Snapshot, Trimmed};

use crate::ledger::{Dice, Facts, Ledger, Value};

pub type Log<'a, const PAD: usize> = streamcore::log::Log<Value<'a, PAD>, u32>;

/// What the threads of a round share.
pub struct Round<'a, const PAD: usize> {
    pub seed: u64,
    pub log: Arc<Log<'a, PAD>>,
    pub ledger: &'a Ledger,
    pub facts: &'a Facts,
    /// Compare what threads saw at different times through a shared clock. Half of the rounds do
    /// not, since the clock also orders what the log alone has to order.
    pub strict: bool,
    /// The log retains so many, and nobody trims by hand.
    pub retained: Option<u64>,
}

impl<'a, const PAD: usize> Round<'a, PAD> {
    /// Dice for one thread of the round.
    pub fn dice(&self, thread: u64) -> Dice {
        Dice(self.seed.wrapping_mul(64).wrapping_add(thread))
    }

    pub fn failed(&self) -> bool {
        self.facts.failed.load(Ordering::Relaxed)
    }

    /// Takes a snapshot and checks that it is monotone across threads, and whole at both ends.
    #[track_caller]
    pub fn observe(&self, seen: &mut Seen) -> Snapshot {
        let mut floor = (0, 0);
        if self.strict {
            self.facts.returned_prefix(&mut seen.returned);
            let starts = self.facts.starts.load(Ordering::SeqCst);
            floor = (starts, self.facts.ends.load(Ordering::SeqCst));
        }
        self.check_watermark();
        let snapshot = match seen.dice.below(8) {
            0 => self.log.snapshot_settled(Duration::from_micros(seen.dice.below(50))),
            _ => self.log.snapshot(),
        };
        let (start, end) = (snapshot.start().get(), snapshot.end().get());
        assert!(start <= end, "{snapshot:?}");
        assert!(start >= floor.0 && end >= floor.1, "{snapshot:?} after {floor:?}");
        assert!(start >= seen.start && end >= seen.end, "{snapshot:?} after mine");
        let returned = seen.returned;
        assert!(end >= returned, "{snapshot:?}, but {returned} have returned");
        if let Some(kept) = self.retained {
            assert!(start == 0 || end - start >= kept, "{snapshot:?} keeps less than {kept}");
        }
        if let Some(sealed) = self.log.sealed_end() {
            assert!(end <= sealed.get(), "{snapshot:?} behind the end {sealed}");
        }
        (seen.start, seen.end) = (start, end);
        if self.strict {
            self.facts.starts.fetch_max(start, Ordering::SeqCst);
            self.facts.ends.fetch_max(end, Ordering::SeqCst);
        }
        if !snapshot.is_empty() {
            self.holds_no_part_of_a_batch(snapshot);
        }
        snapshot
    }

    #[track_caller]
    fn holds_no_part_of_a_batch(&self, snapshot: Snapshot) {
        let first = snapshot.start();
        if let Ok(chunk) = self.log.read(first, 1) {
            let value = chunk.get(first).expect("a snapshot has no hole");
            value.check();
            assert_eq!(value.index, 0, "a batch is split by the start of {snapshot:?}");
        }
        self.ends_a_batch(snapshot.end());
    }

    /// No batch goes on over this position, up to which the log is published.
    #[track_caller]
    fn ends_a_batch(&self, position: Position) {
        let last = position.minus(1);
        if last < position
            && let Ok(chunk) = self.log.read(last, 1)
        {
            let value = chunk.get(last).expect("a hole");
            value.check();
            assert_eq!(value.index + 1, value.length, "a batch is split at {position}");
        }
    }

    /// The watermark, which readers trust without a look at the slots, never falls.
    #[track_caller]
    fn check_watermark(&self) {
        let known = if self.strict { self.facts.watermarks.load(Ordering::SeqCst) } else { 0 };
        let published = self.log.stats().published;
        assert!(published >= known, "the watermark fell from {known} to {published}");
        self.ends_a_batch(Position::new(published));
        if self.strict {
            self.facts.watermarks.fetch_max(published, Ordering::SeqCst);
        }
    }

    /// Checks a chunk's records, and that they are what was asked for.
    #[track_caller]
    pub fn check_chunk<H>(&self, chunk: &Chunk<H>, run: &mut Run)
    where
        H: LogHandle<Value = Value<'a, PAD>>,
    {
        let mut next = chunk.position();
        for (position, value) in chunk {
            assert_eq!(position, next);
            run.visit(self.facts, position, value);
            next = position.plus(1);
        }
        assert_eq!(next, chunk.next_position());
    }

    /// A refusal names a horizon that is further on.
    #[track_caller]
    pub fn check_trimmed(&self, asked: Position, trimmed: Trimmed) {
        assert!(trimmed.earliest > asked, "{asked} is not before {trimmed:?}");
        assert!(self.log.earliest() >= trimmed.earliest, "the horizon went back");
    }

    /// What everybody finds who has learned that the log is sealed.
    #[track_caller]
    pub fn check_seal(&self) {
        let end = self.log.sealed_end().expect("sealed, and it stays so");
        let successor = self.log.successor().expect("a sealed log has a successor");
        self.facts.ends_at(end, *successor);
        assert_eq!(self.log.end(), end);
    }

    /// Whether the log is sealed and all of it is published.
    pub fn is_over(&self, snapshot: Snapshot) -> bool {
        self.log.sealed_end() == Some(snapshot.end()) || self.failed()
    }
}

/// What one thread has seen.
pub struct Seen {
    pub dice: Dice,
    start: u64,
    end: u64,
    /// The appends of all positions before this one have returned.
    returned: u64,
}

impl Seen {
    pub fn new(dice: Dice) -> Self {
        let (start, end, returned) = (0, 0, 0);
        Self { dice, start, end, returned }
    }
}

/// A walk over records: no holes, whole batches, each writer's values in order and none left out.
#[derive(Default)]
pub struct Run {
    next: Option<Position>,
    /// Writer, and the sequence, index and length of the value before, when a batch goes on.
    open: Option<(u32, u32, u32, u32)>,
    /// For each writer its latest sequence, and whether nothing was skipped since.
    latest: [Option<(u32, bool)>; 8],
}

impl Run {
    #[track_caller]
    pub fn visit<const PAD: usize>(
        &mut self,
        facts: &Facts,
        position: Position,
        value: &Value<'_, PAD>,
    ) {
        value.check();
        facts.stands_at(position, value);
        if self.next == Some(position) {
            let open = self
                .open
                .map(|(writer, sequence, index, length)| (writer, sequence + 1, index + 1, length));
            let (writer, sequence) = (value.writer, value.sequence);
            let goes_on = (writer, sequence, value.index, value.length);
            match open {
                Some(open) => assert_eq!(goes_on, open, "a batch is torn at {position}"),
                None => assert_eq!(value.index, 0, "a batch is torn at {position}"),
            }
        } else {
            self.skip();
        }
        let latest = &mut self.latest[value.writer as usize];
        if let Some((before, exact)) = *latest {
            assert!(value.sequence > before, "out of order at {position}");
            assert!(!exact || value.sequence == before + 1, "left out before {position}");
        }
        *latest = Some((value.sequence, true));
        let goes_on = value.index + 1 < value.length;
        self.open = goes_on.then_some((value.writer, value.sequence, value.index, value.length));
        self.next = Some(position.plus(1));
    }

    /// The walk goes on elsewhere, further on.
    pub fn skip(&mut self) {
        self.open = None;
        self.next = None;
        for (_, exact) in self.latest.iter_mut().flatten() {
            *exact = false;
        }
    }
}

/// Ends the round when the thread that holds it panics, so that the others do not wait for it.
pub struct Alarm<'r, 'a, const PAD: usize>(pub &'r Round<'a, PAD>);

impl<const PAD: usize> Drop for Alarm<'_, '_, PAD> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the round with the seed {}", self.0.seed);
            self.0.facts.failed.store(true, Ordering::SeqCst);
            self.0.log.seal(u32::MAX);
        }
    }
}
