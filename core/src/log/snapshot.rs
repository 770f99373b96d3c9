//! Snapshots: a consistent view of the log as a pair of positions.
//!
//! # State
//!
//! A snapshot is the horizon and the prefix's end, read in this order. The prefix is immutable, so
//! the pair stays consistent for ever; it pins nothing and costs nothing to keep. What it covers is
//! readable until it is trimmed, and then says so.
//!
//! # Orderings
//!
//! The horizon is loaded with Acquire before the watermark, so that the end is never smaller.
//!
//! # Progress
//!
//! Lock-free: the scan of what was published since the last one.
//!
//! Models: `publish`, `snapshots_never_go_back`, `snapshot_against_trim`, `batch`.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::Log;
use super::position::Position;
use super::prefix::Budget;
use super::read::Trimmed;
use crate::sync::Backoff;

/// A consistent view of a log: every position in it is readable, or was trimmed since and says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    start: Position,
    end: Position,
}

impl Snapshot {
    /// The first position that was retained.
    pub fn start(self) -> Position {
        self.start
    }

    /// The first position that is not in the snapshot.
    pub fn end(self) -> Position {
        self.end
    }

    /// All positions of the snapshot.
    pub fn positions(self) -> Range<Position> {
        self.start..self.end
    }

    /// The number of records.
    pub fn len(self) -> u64 {
        self.end.since(self.start)
    }

    /// Whether there is no record.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl<T, S> Log<T, S> {
    /// Takes a snapshot: all that is retained and published without a hole.
    ///
    /// It contains every record whose append, and all appends with smaller positions, returned before
    /// the call. It never ends before one that was taken earlier, by whatever thread.
    ///
    /// # Progress
    ///
    /// Lock-free. Never waits for a writer: what a slow one has reserved, and what came after it, is
    /// left to later snapshots.
    #[inline]
    pub fn snapshot(&self) -> Snapshot {
        let start = self.horizon().load();
        let end = self.advance(Budget::All);
        Snapshot { start, end }
    }

    /// Takes a snapshot after giving the appends that are in flight at the call up to `bound` to
    /// finish.
    ///
    /// # Progress
    ///
    /// Waits, but no longer than `bound`, and not at all when nothing is in flight.
    pub fn snapshot_settled(&self, bound: Duration) -> Snapshot {
        let reserved = self.reserved();
        let snapshot = self.snapshot();
        if snapshot.end >= reserved { snapshot } else { self.settle(reserved, bound) }
    }

    #[cold]
    fn settle(&self, reserved: Position, bound: Duration) -> Snapshot {
        // None: so far off that no clock will show it.
        let deadline = Instant::now().checked_add(bound);
        let backoff = Backoff::new();
        loop {
            let snapshot = self.snapshot();
            let is_over = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if snapshot.end >= reserved || is_over() {
                return snapshot;
            }
            backoff.snooze();
        }
    }

    /// Calls `visit` with every record of `positions` in order, as far as they are published.
    ///
    /// Returns the position behind the last record visited.
    ///
    /// # Errors
    ///
    /// [`Trimmed`] when a record was trimmed before it could be visited. Records visited by then
    /// were right.
    ///
    /// # Progress
    ///
    /// As [`Log::read`], segment by segment.
    pub fn for_each(
        &self,
        positions: Range<Position>,
        mut visit: impl FnMut(Position, &T),
    ) -> Result<Position, Trimmed> {
        let mut next = positions.start;
        while next < positions.end {
            let left = usize::try_from(positions.end.since(next)).unwrap_or(usize::MAX);
            let chunk = self.read(next, left)?;
            if chunk.is_empty() {
                break;
            }
            chunk.iter().for_each(|(position, value)| visit(position, value));
            next = chunk.next_position();
        }
        Ok(next)
    }
}

#[cfg(all(test, not(streamcore_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_settled_snapshot_takes_any_bound() {
        let log = Log::<u64>::new();
        log.append(7).unwrap();
        assert_eq!(log.settle(Position::new(1), Duration::MAX).len(), 1);
    }

    #[test]
    fn a_settled_snapshot_gives_up_on_a_suspended_writer() {
        let log = Log::<u64>::new();
        log.append(7).unwrap();
        // What a writer does first; it is then suspended.
        log.tail().reserve(1);
        log.append(8).unwrap();
        for bound in [Duration::ZERO, Duration::from_micros(50)] {
            assert_eq!(log.snapshot_settled(bound).end(), Position::new(1));
        }
        assert_eq!(log.stats().prefix_lag, 2);
    }

    #[test]
    fn a_settled_snapshot_does_not_wait_for_appends_that_begin_later() {
        let log = Log::<u64>::new();
        log.append(7).unwrap();
        // A writer that has begun since, and is suspended.
        log.tail().reserve(1);
        let (began, bound) = (Instant::now(), Duration::from_secs(60));
        assert_eq!(log.settle(Position::new(1), bound).end(), Position::new(1));
        assert!(began.elapsed() < bound);
    }
}
