//! The ledger: how many bytes the records of a stream, and of all streams of a store, take.
//!
//! # State
//!
//! Each stream has a count of its own. The store's count follows it in steps of [`GRAIN`] bytes, so that
//! streams seldom write the same word; what a stream holds below a whole grain is not in it. Whenever a
//! put completes a grain, a mark is left in a log of the store: this shard, up to this position. Marks stand
//! in the order of time, so the store over its bound takes them from the front and gives up what they
//! name: the oldest records, whosever they are, also of streams that have fallen idle.
//!
//! # Who may do what
//!
//! Any put charges and leaves marks. Whoever moves `next` over a mark gives up what it names.
//!
//! # Orderings
//!
//! All relaxed: counts, and a word that says who takes which mark. What a mark names is read through the
//! log, which orders it.
//!
//! # Progress
//!
//! Lock-free; a put takes a bounded number of marks.
//!
//! Models: `ledger_of_the_store`.

use std::num::NonZeroU64;

use super::handle::{Stream, WeakStream};
use super::shard::Shard;
use crate::log::{Log, Position};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The step in which the store's count follows those of its streams, in bytes.
const GRAIN: u64 = if crate::sync::SMALL { 64 } else { 64 * 1024 };
/// So many marks one put takes at the most; it leaves one at the most.
const MARKS_PER_PUT: u32 = 8;

/// The bytes of one stream.
pub(crate) struct Ledger(AtomicU64);

impl Ledger {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn bytes(&self) -> u64 {
        // Relaxed: a number to compare with a bound.
        self.0.load(Ordering::Relaxed)
    }

    /// Returns by how many whole grains the stream has grown.
    fn charge(&self, bytes: u64) -> u64 {
        // Relaxed: the sum of all changes is the same in whatever order they come.
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        (before + bytes) / GRAIN - before / GRAIN
    }

    /// Takes the stream out of the store's count.
    pub(crate) fn close(&mut self, store: &StoreLedger) {
        store.shrink(self.bytes() / GRAIN);
    }

    /// Returns by how many whole grains the stream has shrunk.
    fn credit(&self, bytes: u64) -> u64 {
        // Relaxed: as in `charge`.
        let before = self.0.fetch_sub(bytes, Ordering::Relaxed);
        before / GRAIN - (before - bytes) / GRAIN
    }
}

/// What a put owes the store once its record is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Owed {
    /// Nothing.
    Nothing,
    /// A mark: it has completed a grain.
    Mark,
}

/// The bytes of all streams of a store that has a bound on them.
pub(crate) struct StoreLedger {
    bound: NonZeroU64,
    bytes: AtomicU64,
    marks: Log<Mark>,
    next: AtomicU64,
}

/// About a grain of records: those of a shard up to a position, behind the shard's mark before.
struct Mark {
    stream: WeakStream,
    ordinal: u32,
    end: Position,
}

impl StoreLedger {
    pub(crate) fn new(bound: NonZeroU64) -> Self {
        let (bytes, next) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { bound, bytes, marks: Log::new(), next }
    }

    pub(crate) fn bytes(&self) -> u64 {
        // Relaxed: a number to compare with a bound.
        self.bytes.load(Ordering::Relaxed)
    }

    fn grow(&self, grains: u64) {
        // Relaxed: as in `Ledger::charge`.
        self.bytes.fetch_add(grains * GRAIN, Ordering::Relaxed);
    }

    fn shrink(&self, grains: u64) {
        // Relaxed: as in `Ledger::charge`.
        self.bytes.fetch_sub(grains * GRAIN, Ordering::Relaxed);
    }

    /// Gives up what the oldest marks name while there is too much, and takes away marks that name
    /// nothing any more. `putting` is the stream that is put to.
    #[cold]
    fn settle(&self, putting: &Stream) {
        for _ in 0..MARKS_PER_PUT {
            // Relaxed: only says who takes which mark.
            let next = self.next.load(Ordering::Relaxed);
            let at = Position::new(next);
            // Trimmed: somebody else has taken it.
            let Ok(chunk) = self.marks.read(at, 1) else { continue };
            let Some(mark) = chunk.get(at) else { return };
            let named = mark.stream.upgrade().and_then(|stream| {
                let shard = stream.shard_by_ordinal(mark.ordinal)?;
                (shard.log.earliest() < mark.end).then_some((stream, shard))
            });
            if named.is_some() && self.bytes() <= self.bound.get() {
                return;
            }
            // Relaxed: as above.
            let taken =
                self.next.compare_exchange(next, next + 1, Ordering::Relaxed, Ordering::Relaxed);
            if taken.is_ok()
                && let Some((stream, shard)) = named
            {
                stream.give_up(&shard, mark.end);
                // Another stream, which may have fallen idle: what it keeps for later is too much too.
                if !stream.is_same(putting) {
                    shard.log.shrink();
                }
            }
            drop(chunk);
            self.marks.trim(at.plus(1));
        }
    }
}

impl Stream {
    /// Charges the stream for records that are about to be appended.
    #[inline]
    pub(crate) fn charge(&self, bytes: u64) -> Owed {
        if bytes == 0 {
            return Owed::Nothing;
        }
        let grains = self.ledger().charge(bytes);
        match &self.context().ledger {
            Some(store) if grains > 0 => {
                store.grow(grains);
                Owed::Mark
            }
            _ => Owed::Nothing,
        }
    }

    /// Takes back a charge: the records are given up, or were not appended.
    pub(crate) fn credit(&self, bytes: u64) {
        let grains = self.ledger().credit(bytes);
        if let Some(store) = &self.context().ledger
            && grains > 0
        {
            store.shrink(grains);
        }
    }

    /// Charges the stream for restored records before `end` of a shard, behind those that were charged before.
    pub(crate) fn charge_restored(&self, shard: &Shard, end: Position, bytes: u64) {
        if let (Owed::Mark, Some(store)) = (self.charge(bytes), &self.context().ledger) {
            let mark = Mark { stream: self.downgrade(), ordinal: shard.ordinal, end };
            // Nobody seals the log of the marks.
            let _ = store.marks.append(mark);
        }
    }

    /// What is due once charged records are stored before `end` in `shard`.
    pub(crate) fn settle(&self, owed: Owed, shard: &Shard, end: Position) {
        if self.retention().bytes.is_some_and(|bound| self.charged_bytes() > bound.get()) {
            self.keep_bytes();
        }
        if let (Owed::Mark, Some(store)) = (owed, &self.context().ledger) {
            let mark = Mark { stream: self.downgrade(), ordinal: shard.ordinal, end };
            // Nobody seals the log of the marks.
            let _ = store.marks.append(mark);
            store.settle(self);
        }
    }
}
