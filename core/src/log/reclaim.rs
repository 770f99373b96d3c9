//! Reclamation: trimming, and what becomes of a trimmed segment's values and memory.
//!
//! # State
//!
//! The horizon is the first position that is still retained; it only rises, never past the
//! watermark, and never into a batch. Segments that it has left behind go this way:
//!
//! ```text
//! marked (pins) --claim--> dead --values dropped, a few at a time--> empty --> spare or freed
//! ```
//!
//! # Who may do what
//!
//! Whoever raises the horizon from A to B marks the segments that end between the two: each segment
//! is marked by one trimmer (the sealed log's last one perhaps by two, which does no harm). The claimer
//! of a segment owns its block. Owners that run inside an append put it on the shelf of the
//! dying, from where later appends drop a few values each; others drop the values themselves.
//!
//! A value's `Drop` is user code. It runs only here, when all words are consistent; a panic in it is
//! contained and counted, and the other values are dropped all the same.
//!
//! # Orderings
//!
//! Raising the horizon is AcqRel, for the meeting with the sealer described in
//! [`seal`](super::seal); its load is Acquire, so that a watermark loaded after it is not behind it.
//!
//! # Progress
//!
//! [`Log::trim`] is lock-free, and bounded by what it gives up. The border work's share of an append
//! is bounded by constants.
//!
//! Models: `trim`, `trim_twice`, `trim_handoff`, `trim_against_writer`, `trim_meets_seal`,
//! `snapshot_against_trim`, `hollow`, `batch_trimmed`, `retention_against_seal`, `recycle`, `panicking_drop`.

use super::Log;
use super::append::{MAX_BATCH, chores_every};
use super::directory::Found;
use super::pins::{Claim, Leave};
use super::position::{Geometry, Position, SegmentNo};
use super::prefix::Budget;
use super::read::Entered;
use super::segment::{Batch, SegmentRef};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The first position that is still retained.
pub(crate) struct Horizon(AtomicU64);

impl Horizon {
    /// The horizon of a log whose first position is `start`.
    pub(crate) fn new(start: Position) -> Self {
        Self(AtomicU64::new(start.get()))
    }

    #[inline(always)]
    pub(crate) fn load(&self) -> Position {
        // Acquire pairs with `raise`: a watermark that is loaded afterwards is not behind this.
        Position::new(self.0.load(Ordering::Acquire))
    }

    /// Raises the horizon and returns the one before.
    fn raise(&self, to: Position) -> Position {
        // Release pairs with `load`; both halves pair with `meet`: of a trimmer that reaches the end
        // and the sealer, the later one knows of the other.
        Position::new(self.0.fetch_max(to.get(), Ordering::AcqRel))
    }

    /// The horizon, read by the sealer in such a way that later trimmers see the seal.
    pub(crate) fn meet(&self) -> Position {
        self.raise(Position::ZERO)
    }
}

/// Who pays for dropping a segment's values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payer {
    /// The caller, now.
    Caller,
    /// The next appends, a few values each; the caller, if the log is sealed.
    LaterAppends,
}

/// How many segments one piece of border work gives up at the most (but for a batch that is longer):
/// twice what is filled between two of them, so that retention catches up.
const fn segments_per_step<T>() -> u64 {
    let filled = chores_every::<T>() >> Geometry::<T>::FULL_BITS;
    if filled > 1 { 2 * filled } else { 2 }
}

impl<T, S> Log<T, S> {
    /// Gives up every record before `to`, and their memory as far as no reader holds it.
    ///
    /// The new horizon, which is returned, may be smaller than `to`: what is not published yet
    /// stays, and so does a batch of which only a part lies before `to`. It may be larger if somebody
    /// else trimmed further. Segments are freed when the horizon has passed all of their records (a
    /// sealed log's last one: when it has reached the end) and no guard holds them. The caller drops
    /// the values, also those before the horizon in the segment that it stands in if nobody reads there.
    ///
    /// # Progress
    ///
    /// Lock-free. Never waits for readers: a segment that one of them holds is freed by the last of
    /// them to leave.
    pub fn trim(&self, to: Position) -> Position {
        self.advance(Budget::All);
        let horizon = self.raise_horizon(to, Payer::Caller);
        self.reap_all();
        self.hollow_out(horizon);
        horizon
    }

    /// The border work's share of retention: keeps at least the last `count` records. It waits while
    /// appends have not dropped yet what was given up before, or one of them would drop it all.
    pub(crate) fn keep_last(&self, count: u64) {
        let from = self.horizon().load();
        let due = self.watermark().load().minus(count);
        if !Geometry::<T>::is_segment_between(from, due) || self.dying().is_half_full() {
            return;
        }
        let segment = Geometry::<T>::locate(from).segment;
        let reach = SegmentNo::new(segment.get() + segments_per_step::<T>());
        let step = self.batch_start(due.min(Geometry::<T>::first(reach)));
        let to = if step > from {
            step
        } else {
            // One batch is longer than the step. It goes as a whole, or nothing would ever go again.
            due.min(from.plus(MAX_BATCH as u64))
        };
        self.raise_horizon(to, Payer::LaterAppends);
    }

    fn raise_horizon(&self, to: Position, payer: Payer) -> Position {
        let to = self.batch_start(to.min(self.watermark().load()));
        let before = self.horizon().raise(to);
        if before >= to {
            return before;
        }
        let end = self.sealed_end();
        let mut segment = Geometry::<T>::locate(before).segment;
        while self.is_given_up(segment, to, end) {
            self.mark_trimmed(segment, payer);
            segment = segment.next();
        }
        to
    }

    /// Whether no record of `segment` can be at or behind the horizon `to`.
    fn is_given_up(&self, segment: SegmentNo, to: Position, end: Option<Position>) -> bool {
        let whole = Geometry::<T>::first(segment.next()) <= to;
        let last_of_sealed = end == Some(to) && Geometry::<T>::first(segment) < to;
        whole || last_of_sealed
    }

    /// Gives up the last segment of a sealed log if the horizon was at the end before the seal.
    pub(crate) fn trim_last_of_sealed(&self, end: Position) {
        if self.horizon().meet() != end || end == Position::ZERO {
            return;
        }
        let last = Geometry::<T>::locate(end.minus(1)).segment;
        if Geometry::<T>::first(last.next()) > end {
            self.mark_trimmed(last, Payer::Caller);
        }
    }

    /// The nearest position at or before `to` that is not inside a batch. `to` is at most the
    /// watermark.
    fn batch_start(&self, mut to: Position) -> Position {
        let horizon = self.horizon().load();
        while to > horizon {
            let segment = Geometry::<T>::locate(to.minus(1)).segment;
            // Not to be entered: then it is trimmed, and the horizon is further on already.
            let Entered::Inside(pin) = self.enter(segment) else {
                return to;
            };
            let first = Geometry::<T>::first(segment).max(horizon);
            while to > first {
                let before = Geometry::<T>::locate(to.minus(1));
                if pin.state(before.slot).batch() == Batch::Ends {
                    return to;
                }
                to = to.minus(1);
            }
        }
        to
    }

    /// Where [`Log::trim`] with this `to` puts the horizon, unless it is further already.
    pub(crate) fn trims_to(&self, to: Position) -> Position {
        let visible = self.advance(Budget::All);
        self.batch_start(to.min(visible))
    }

    /// The nearest position at or behind `to` that is not inside a batch, as far as the log is published:
    /// for who must give up something, although a batch may be longer than what he has looked at.
    pub(crate) fn batch_end(&self, mut to: Position) -> Position {
        let visible = self.advance(Budget::All);
        while to > Position::ZERO && to < visible {
            let last = Geometry::<T>::locate(to.minus(1));
            // Not to be entered: then it is trimmed, and nothing is left to look for.
            let Entered::Inside(pin) = self.enter(last.segment) else {
                return to;
            };
            if pin.state(last.slot).batch() == Batch::Ends {
                return to;
            }
            to = to.plus(1);
        }
        to
    }

    fn mark_trimmed(&self, segment: SegmentNo, payer: Payer) {
        let Some(word) = self.directory().pin_word(segment) else {
            return;
        };
        if word.mark_trimmed() == Leave::TryClaim {
            self.try_claim(segment, payer);
        }
    }

    /// Takes a trimmed segment over, if nobody is inside, and sees to its values and memory.
    #[cold]
    pub(crate) fn try_claim(&self, segment: SegmentNo, payer: Payer) {
        let Some(word) = self.directory().pin_word(segment) else {
            return;
        };
        if word.claim() == Claim::NotOurs {
            return;
        }
        let Found::Block(block) = self.directory().bury(segment) else {
            return;
        };
        // SAFETY: the claim made the caller the block's only user.
        unsafe { block.end_life(segment) };
        if !std::mem::needs_drop::<T>() {
            self.recycle(block, segment);
        } else if payer == Payer::Caller {
            self.drop_all(block);
        } else if let Err(block) = self.dying().put(block) {
            self.drop_all(block);
        }
    }

    /// Drops up to `budget` values of dead segments.
    pub(crate) fn reap(&self, mut budget: usize) {
        while std::mem::needs_drop::<T>()
            && budget > 0
            && let Some(block) = self.dying().take()
        {
            // SAFETY: whoever takes a block from the shelf owns it; it was put there dead.
            let dropped = unsafe { block.drop_some(budget) };
            self.count_panics(dropped.panics);
            if dropped.is_all {
                // SAFETY: as above.
                self.recycle(block, unsafe { block.former_number() });
            } else if let Err(block) = self.dying().put(block) {
                self.drop_all(block);
            }
            budget -= dropped.slots;
        }
    }

    /// Drops the values of all dead segments that nobody is at work on.
    pub(crate) fn reap_all(&self) {
        while let Some(block) = self.dying().take() {
            self.drop_all(block);
        }
    }

    /// The block is the caller's own, and dead.
    fn drop_all(&self, block: SegmentRef<T>) {
        // SAFETY: every caller has just claimed the block or taken it from the shelf of the dying.
        unsafe {
            self.count_panics(block.drop_some(usize::MAX).panics);
            self.recycle(block, block.former_number());
        }
    }

    /// Keeps an empty block for the next install, or gives its memory back.
    fn recycle(&self, block: SegmentRef<T>, segment: SegmentNo) {
        let wanted = Geometry::<T>::is_full_size(segment);
        let left = if wanted { self.spares().put(block).err() } else { Some(block) };
        if let Some(block) = left {
            self.free_block(block, segment);
        }
    }

    /// Gives the memory of a block back that is the caller's own and holds no values.
    pub(crate) fn free_block(&self, block: SegmentRef<T>, segment: SegmentNo) {
        // SAFETY: every caller owns the block, which has the size of `segment`.
        unsafe { block.free(Geometry::<T>::slots(segment)) };
        self.count_block(-1);
    }

    /// A block for `segment`: an empty spare or fresh memory.
    pub(crate) fn obtain_block(&self, segment: SegmentNo) -> SegmentRef<T> {
        if Geometry::<T>::is_full_size(segment)
            && let Some(spare) = self.spares().take().or_else(|| self.provisions()?.take())
        {
            // SAFETY: whoever takes a block from the shelf owns it.
            unsafe { spare.renew_life() };
            return spare;
        }
        self.count_block(1);
        SegmentRef::allocate(Geometry::<T>::slots(segment))
    }

    /// Takes back a block that was obtained for `segment` and never installed.
    pub(crate) fn return_block(&self, block: SegmentRef<T>, segment: SegmentNo) {
        // SAFETY: the caller owns the block, which holds no value of `segment` or any other.
        unsafe { block.end_life(segment) };
        self.recycle(block, segment);
    }

    /// Gives the spares' memory back.
    pub(crate) fn free_spares(&self) {
        while let Some(spare) = self.spares().take().or_else(|| self.provisions()?.take()) {
            self.free_spare(spare);
        }
    }

    /// Gives the memory of an empty block of full size back that is the caller's own.
    pub(crate) fn free_spare(&self, spare: SegmentRef<T>) {
        self.free_block(spare, Geometry::<T>::first_full());
    }

    /// Gives back what lies on the shelves of a sealed log. Who has a block in hand that belongs there
    /// finds the shelf closed, and sees to it himself.
    pub(crate) fn close_shelves(&self) {
        self.dying().close(|block| self.drop_all(block));
        self.spares().close(|spare| self.free_spare(spare));
        if let Some(provisions) = self.provisions() {
            provisions.close(|spare| self.free_spare(spare));
        }
    }
}

#[cfg(all(test, not(streamcore_loom)))]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;

    use super::*;
    use crate::log::LogOptions;

    #[test]
    fn a_slow_trimmer_does_not_drag_the_horizon_down() {
        let horizon = Horizon::new(Position::ZERO);
        assert_eq!(horizon.raise(Position::new(7)), Position::ZERO);
        assert_eq!(horizon.raise(Position::new(3)), Position::new(7));
        assert_eq!((horizon.load(), horizon.meet()), (Position::new(7), Position::new(7)));
    }

    #[test]
    fn a_suspended_writer_stops_trimming_and_afterwards_values_die_a_few_per_append() {
        let kept = NonZeroU64::new(100).unwrap();
        let log = Log::<Arc<()>>::with_options(LogOptions::new().retain_last(kept));
        let token = Arc::new(());
        let append = || log.append(Arc::clone(&token)).unwrap();
        // What a writer does first; it is then suspended.
        let at = Geometry::<Arc<()>>::locate(log.tail().reserve(1).position());
        (0..50_000).for_each(|_| assert!(append() > Position::ZERO));
        assert_eq!(log.trim(Position::new(50_000)), Position::ZERO);
        assert_eq!(Arc::strong_count(&token), 50_001);
        let Found::Block(block) = log.directory().find(at.segment) else {
            panic!("the segment is installed")
        };
        // SAFETY: the position was reserved above and is published once.
        unsafe { block.publish(at.segment, at.slot, Arc::clone(&token), Batch::Ends) };

        let (mut before, mut most) = (Arc::strong_count(&token), 0);
        for _ in 0..200_000 {
            append();
            let now = Arc::strong_count(&token);
            most = most.max((before + 1).saturating_sub(now));
            before = now;
        }
        assert!((1..=64).contains(&most), "one append dropped {most} values");
        assert!(before < 5 * 4_096, "{before} are alive");
    }
}
