//! Retention: what a stream gives up, and when.
//!
//! Three bounds, each of them optional: an age, a number of records per shard, and bytes per stream. Beside
//! them the store may have a bound on the bytes of all its streams ([`ledger`](super::ledger)).
//!
//! # Who may do what
//!
//! Nobody runs in the background. Whoever puts enforces all bounds, a few records at a time, so that
//! memory comes back while there are puts. Whoever reads, describes, or makes an iterator enforces the
//! age first, by the store's clock, so that nobody is shown what is too old. And a host calls
//! [`Store::maintain`](crate::Store::maintain) for the streams that nobody comes to.
//!
//! # Counting bytes
//!
//! A record is charged before it is appended, and credited by the one thread that moves the shard's
//! `released` over it, before it is trimmed. So the charge is never less than what is held, every record is
//! charged and credited once, and it needs no look at who else is at work. A put that is over the bound
//! gives up what it sees; what other threads are just putting, it may not see, and leaves to their next put.
//!
//! # Progress
//!
//! Lock-free; the work in one put is bounded. Readers are never waited for: what one of them holds is
//! given back when it leaves, and is not counted any more.
//!
//! Models: `ledger`, `ledger_trimmed`, `ledger_of_the_store`.

use std::num::NonZeroU64;
use std::time::Duration;

use super::handle::Stream;
use super::shard::Shard;
use super::topology::{Listed, Topology};
use crate::log::Position;
use crate::model::Record;
use crate::sync::atomic::Ordering;

/// How long DynamoDB keeps records, and how long it shows what has been closed: 24 hours.
///
/// Source: Amazon DynamoDB Developer Guide, "Change data capture for DynamoDB Streams".
pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// So many records one put gives up at the most for their age, or for their number.
const RECORDS_PER_PUT: u64 = 128;
/// So often one put looks for a shard with something to give up for the sake of bytes.
const ROUNDS_PER_PUT: u32 = 16;

/// What a stream keeps. By default: everything for 24 hours, as DynamoDB does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Retention {
    /// Records that are older are given up.
    pub(crate) age_ms: Option<NonZeroU64>,
    /// So many records each shard keeps at least, and not many more.
    pub(crate) records: Option<NonZeroU64>,
    /// So many bytes the stream's records take at the most.
    pub(crate) bytes: Option<NonZeroU64>,
}

impl Retention {
    pub(crate) const DEFAULT: Self =
        Self { age_ms: NonZeroU64::new(DAY_MS), records: None, bytes: None };

    pub(crate) fn for_age(mut self, age: Duration) -> Self {
        self.age_ms = Some(whole_ms(age));
        self
    }

    /// How long a closed shard is listed, and a disabled stream is found.
    pub(crate) fn shown_ms(self) -> u64 {
        self.age_ms.map_or(DAY_MS, |age_ms| age_ms.get().max(DAY_MS))
    }
}

/// A duration in milliseconds, at least one.
pub(crate) fn whole_ms(duration: Duration) -> NonZeroU64 {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    NonZeroU64::new(ms).unwrap_or(NonZeroU64::MIN)
}

/// How much one call may give up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// All that is due.
    All,
    /// A put's share.
    OfOnePut,
}

impl Stream {
    /// Gives up what is too old in a shard.
    pub(crate) fn keep_age(&self, shard: &Shard, now_ms: u64, effort: Effort) {
        let Some(age_ms) = self.retention().age_ms else { return };
        let first_kept_ms = now_ms.saturating_sub(age_ms.get());
        let is_old = |position| created_ms(shard, position).is_some_and(|ms| ms < first_kept_ms);
        let first = shard.log.earliest();
        if is_old(first) {
            self.give_up_old(shard, first, effort, is_old);
        }
    }

    /// Finds by ever larger, then ever smaller steps where the old records end. Their times rise, but for
    /// the moment between a put's look at the clock and its place in the log.
    #[cold]
    fn give_up_old(
        &self,
        shard: &Shard,
        first: Position,
        effort: Effort,
        is_old: impl Fn(Position) -> bool,
    ) {
        let most = match effort {
            Effort::All => u64::MAX,
            Effort::OfOnePut => RECORDS_PER_PUT,
        };
        let (mut old, mut step) = (0, 1);
        while step < most && is_old(first.plus(step)) {
            (old, step) = (step, step.saturating_mul(2));
        }
        let mut beyond = step.min(most);
        while old + 1 < beyond {
            let middle = old + (beyond - old) / 2;
            if is_old(first.plus(middle)) { old = middle } else { beyond = middle }
        }
        self.give_up(shard, shard.log.batch_end(first.plus(beyond)));
    }

    /// Gives up all records of a shard before `to`, but for a batch that goes on behind it; returns the
    /// earliest one that is retained.
    pub(crate) fn give_up(&self, shard: &Shard, to: Position) -> Position {
        // What stays must stay charged.
        let to = shard.log.trims_to(to);
        let to = if self.is_charged() { to.min(self.release(shard, to)) } else { to };
        shard.log.trim(to)
    }

    /// Credits the records before `to` that nobody has credited yet; returns how far it has got. Nobody
    /// trims further than that, or the charges of what lies between would stay for ever.
    fn release(&self, shard: &Shard, to: Position) -> Position {
        loop {
            // Relaxed, here and below: the word says who credits what, and orders nothing else. What
            // is read of the log is ordered by the log.
            let from = Position::new(shard.released.load(Ordering::Relaxed));
            let mut bytes = 0;
            let add = |_, record: &Record| bytes += record.charge();
            let reached = match shard.log.for_each(from..to.max(from), add) {
                Ok(reached) => reached,
                // Somebody else has credited these, and trimmed them since.
                Err(_) => continue,
            };
            if reached == from {
                return from;
            }
            let moved = shard.released.compare_exchange(
                from.get(),
                reached.get(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if moved.is_ok() {
                self.credit(bytes);
                return reached;
            }
        }
    }

    /// A put's share of keeping the stream within its bounds: called once in [`BORDER`] records.
    #[cold]
    pub(crate) fn at_border(&self, topology: &Topology, shard: &Shard, now_ms: u64) {
        self.keep_age(shard, now_ms, Effort::OfOnePut);
        // Nobody puts to closed shards, so their records go with the puts to the others.
        if let Some(oldest) = topology.shards.first()
            && oldest.shard.ordinal != shard.ordinal
        {
            self.keep_age(&oldest.shard, now_ms, Effort::OfOnePut);
            self.forget_expired(now_ms);
        }
        if self.is_charged()
            && let Some(count) = self.retention().records
        {
            let due = shard.log.end().minus(count.get());
            let step = shard.log.batch_end(shard.log.earliest().plus(RECORDS_PER_PUT));
            self.give_up(shard, due.min(step));
        }
    }

    /// Gives up the oldest records of the stream as long as it holds more bytes than it may.
    #[cold]
    pub(crate) fn keep_bytes(&self) {
        let Some(bound) = self.retention().bytes else { return };
        for _ in 0..ROUNDS_PER_PUT {
            let excess = self.charged_bytes().saturating_sub(bound.get());
            if excess == 0 {
                return;
            }
            let topology = self.topology().load_full();
            let heads = topology.shards.iter().filter_map(|listed| {
                let (first, created_ms) = head(&listed.shard)?;
                Some((created_ms, first, &listed.shard))
            });
            let Some((_, first, shard)) = heads.min_by_key(|(created_ms, ..)| *created_ms) else {
                return;
            };
            let mut found = 0;
            let mut to = first;
            let visited = shard.log.for_each(first..first.plus(BORDER), |position, record| {
                if found < excess {
                    found += record.charge();
                    to = position.plus(1);
                }
            });
            if visited.is_ok() {
                self.give_up(shard, shard.log.batch_end(to));
            }
        }
    }

    /// Maintains the stream if a shard is due to be rolled, or the first one to be forgotten. Costs the same
    /// however many shards there are.
    pub(crate) fn maintain_if_due(&self, now_ms: u64) {
        let shown_ms = self.retention().shown_ms();
        let is_due = self.topology().with(|topology| {
            let may_go = |listed: &Listed| {
                listed.end.is_some_and(|end| {
                    let is_empty = listed.shard.log.earliest() >= end.position;
                    (is_empty || self.retention().age_ms.is_some())
                        && now_ms.saturating_sub(end.closed_ms) > shown_ms
                })
            };
            topology.roll_due_ms() <= now_ms || topology.shards.first().is_some_and(may_go)
        });
        if is_due {
            self.maintain(now_ms);
        }
    }

    /// Does what puts and readers do in passing: for a stream that neither comes to.
    pub(crate) fn maintain(&self, now_ms: u64) {
        if self.rests(now_ms) {
            return;
        }
        for listed in &self.topology().load_full().shards {
            self.keep_age(&listed.shard, now_ms, Effort::All);
            if listed.end.is_none() && listed.shard.is_due(now_ms) {
                self.roll_due(&listed.shard);
            }
        }
        self.keep_bytes();
        self.forget_expired(now_ms);
    }
}

/// Puts do their share of the upkeep once in so many positions of a shard (a power of two).
pub(crate) const BORDER: u64 = if crate::sync::SMALL { 2 } else { 64 };

/// The earliest record of a shard, if one can be read, and when it was put.
fn head(shard: &Shard) -> Option<(Position, u64)> {
    loop {
        let first = shard.log.earliest();
        // Trimmed since: then another record is the earliest.
        let Ok(chunk) = shard.log.read(first, 1) else { continue };
        return chunk.get(first).map(|record| (first, record.created_ms()));
    }
}

/// When the record at a position was put, if it can be read.
fn created_ms(shard: &Shard, position: Position) -> Option<u64> {
    let chunk = shard.log.read(position, 1).ok()?;
    chunk.get(position).map(Record::created_ms)
}
