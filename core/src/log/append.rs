//! Appending: the hot path, batches, and the border work that keeps it short.
//!
//! # The path
//!
//! ```text
//! reserve    tail.fetch_add            news of a seal or of sleepers comes with it
//! find       two loads                 or, seldom, install the segment
//! publish    write, store READY        the last touch of the segment
//! ```
//!
//! Between reserve and publish nothing can panic, wait, or run the caller's code: an appender that did
//! not come back would hide all that follows. (Memory that cannot be had aborts the process.)
//! A writer needs no pin: its unpublished slot keeps the watermark, and with it every trimmer, off.
//!
//! # Border work
//!
//! One append in 64 (with values above 16 KiB, in 32) then does the chores, in constant bounds and after
//! publishing: it installs the next segment ahead of time, moves the prefix over what is published, and
//! gives up what retention does not keep. One in 8 drops a few values of dead segments, if there is something to be dropped. So nothing
//! piles up although nobody reads, and no single append pays for much.
//!
//! # Orderings
//!
//! None of its own.
//!
//! # Progress
//!
//! Wait-free apart from the allocator. (Border work raises the watermark and the horizon with
//! `fetch_max`, which some targets spell as a loop; a round is repeated only if another thread has
//! changed that very word, and the loop ends once it is high enough.)
//!
//! Models: `publish`, `install`, `install_ahead`, `late_install`, `batch`. That no append waits is shown by the
//! schedules of `stalls`: every other thread is suspended before each of its atomic operations in turn.

use std::fmt;
use std::ops::Range;

use smallvec::SmallVec;

use super::Log;
use super::directory::{Found, Installed};
use super::position::{Geometry, Place, Position, SegmentNo};
use super::prefix::Budget;
use super::segment::{Batch, SegmentRef};
use super::tail::TailWord;
use crate::sync::SMALL;

/// The largest batch that [`Log::append_all`] takes, in records.
pub const MAX_BATCH: usize = 4096;

/// Border work is due once in so many positions (a power of two). More often where values are so large that
/// more segments than the shelf of the dying holds would fall due at once.
pub(crate) const fn chores_every<T>() -> u64 {
    if SMALL {
        2
    } else if Geometry::<T>::slots(Geometry::<T>::first_full()) <= 8 {
        32
    } else {
        64
    }
}
/// Values of dead segments are dropped more often, a few at a time: that work is the user's, and may be
/// the longest part of an append.
const DROPS_EVERY: u64 = if SMALL { 2 } else { 8 };
/// So many at the least: more than die in between, so that none pile up. After a batch it is half as many
/// again as the batch has.
const DROPS: usize = DROPS_EVERY as usize + if SMALL { 1 } else { DROPS_EVERY as usize / 4 };

/// The log takes no more records; the value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sealed<T>(pub T);

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

impl<T> fmt::Display for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log is sealed and takes no more records; see its successor")
    }
}

impl<T> std::error::Error for Sealed<T> {}

/// Why a batch was not appended; the values come back, all of them.
#[derive(PartialEq, Eq)]
pub enum BatchError<T> {
    /// The log takes no more records.
    Sealed(Vec<T>),
    /// The batch has more than [`MAX_BATCH`] records.
    TooLong(Vec<T>),
}

impl<T> fmt::Debug for BatchError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed(values) => write!(f, "Sealed({} values)", values.len()),
            Self::TooLong(values) => write!(f, "TooLong({} values)", values.len()),
        }
    }
}

impl<T> fmt::Display for BatchError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed(_) => Sealed(()).fmt(f),
            Self::TooLong(values) => {
                write!(f, "a batch of {} records; at most {MAX_BATCH} are allowed", values.len())
            }
        }
    }
}

impl<T> std::error::Error for BatchError<T> {}

impl<T, S> Log<T, S> {
    /// Appends a record and returns its position.
    ///
    /// When the call returns, the record is stored; it is visible to every snapshot that begins after
    /// this append and all appends with smaller positions have returned.
    ///
    /// # Errors
    ///
    /// [`Sealed`], with the value, when the log was sealed before.
    ///
    /// # Progress
    ///
    /// Wait-free apart from the allocator: never waits for a reader or another writer.
    #[inline]
    pub fn append(&self, value: T) -> Result<Position, Sealed<T>> {
        let before = self.tail().reserve(1);
        if let Some(position) = before.without_news()
            && let Some(place) = Geometry::<T>::locate_behind_ramp(position)
            && let Found::Block(block) = self.directory().find(place.segment)
        {
            // SAFETY: the position is ours alone, and lives in this slot of this block.
            unsafe { block.publish(place.segment, place.slot, value, Batch::Ends) };
            if is_due_after::<T>(position) {
                return self.append_with_chores(position);
            }
            return Ok(position);
        }
        self.append_with_news(before, value)
    }

    /// The same in all other cases: there is a seal or a sleeper, the log is small, or a segment is needed.
    #[cold]
    #[inline(never)]
    fn append_with_news(&self, before: TailWord, value: T) -> Result<Position, Sealed<T>> {
        if before.is_sealed() {
            self.redirect(before);
            return Err(Sealed(value));
        }
        let position = before.position();
        let place = Geometry::<T>::locate(position);
        let block = self.block_for_writing(place.segment);
        // SAFETY: the position is ours alone, and lives in this slot of this block.
        unsafe { block.publish(place.segment, place.slot, value, Batch::Ends) };
        self.after_publishing(before, 1);
        Ok(position)
    }

    /// Behind an append, what is due once in a while. (It gives the append's result, so that the hot path
    /// has nothing to keep across the call.)
    #[cold]
    #[inline(never)]
    fn append_with_chores(&self, position: Position) -> Result<Position, Sealed<T>> {
        if is_last_of(chores_every::<T>(), position) {
            self.chores(position);
        }
        self.reap(DROPS);
        Ok(position)
    }

    /// Appends records as one batch: they stand side by side, and every snapshot contains all of them
    /// or none. Returns their positions (an empty range at the tail for an empty batch).
    ///
    /// The iterator is run to its end before anything is reserved.
    ///
    /// # Errors
    ///
    /// [`BatchError`], with the values, when the log was sealed before or there are more than
    /// [`MAX_BATCH`] of them.
    ///
    /// # Progress
    ///
    /// Like [`Log::append`].
    pub fn append_all(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Range<Position>, BatchError<T>> {
        let values = values.into_iter();
        let mut values: SmallVec<[T; 16]> = match values.size_hint() {
            (0..=16, _) => values.collect(),
            // A vector is filled in place, and kept as it is if that is what was given.
            _ => SmallVec::from_vec(values.collect()),
        };
        let count = values.len() as u64;
        if values.len() > MAX_BATCH {
            return Err(BatchError::TooLong(values.into_vec()));
        }
        if count == 0 {
            let end = self.end();
            return Ok(end..end);
        }
        let before = self.tail().reserve(count);
        if before.is_sealed() {
            self.redirect(before);
            return Err(BatchError::Sealed(values.into_vec()));
        }
        let first = before.position();
        let end = first.plus(count);
        // SAFETY: no value is left behind: each is moved to its slot below, where nothing can panic.
        unsafe { values.set_len(0) };
        // SAFETY: the positions were just reserved for as many values, which are moved once and for all.
        unsafe { self.write_batch(first, end, values.as_ptr()) };
        // SAFETY: as above; all of them are written.
        unsafe { self.publish_batch(first, end) };
        self.after_publishing(before, count);
        Ok(first..end)
    }

    /// Moves the values of a batch to their slots, forwards, as memory is fastest. Nobody reads them yet.
    ///
    /// # Safety
    /// The caller reserved the positions and has published none of them; `values` points to one value for
    /// each, and none of those is used again.
    #[inline(always)]
    unsafe fn write_batch(&self, first: Position, end: Position, values: *const T) {
        let mut next = first;
        while next < end {
            let Place { segment, slot } = Geometry::<T>::locate(next);
            let block = self.block_for_writing(segment);
            let border = Geometry::<T>::first(segment.next()).min(end);
            let (done, len) = (next.since(first) as usize, border.since(next) as usize);
            for n in 0..len {
                // SAFETY: the value is one of the batch, moved once. The position is the caller's alone, and
                // lives in this slot of this block.
                unsafe { block.write(slot + n, values.add(done + n).read()) };
            }
            next = border;
        }
    }

    /// Makes a batch readable from the last record to the first: a prefix that passes the first slot finds
    /// all the others ready.
    ///
    /// # Safety
    /// The caller reserved the positions, has written all of them, and has published none.
    #[inline(always)]
    unsafe fn publish_batch(&self, first: Position, end: Position) {
        let mut next = end;
        let mut batch = Batch::Ends;
        while next > first {
            let Place { segment, slot } = Geometry::<T>::locate(next.minus(1));
            let block = self.block_for_writing(segment);
            let start = Geometry::<T>::first(segment).max(first);
            for n in 0..next.since(start) as usize {
                // SAFETY: the position is the caller's alone, and lives in this slot of this block; its value
                // is written.
                unsafe { block.make_ready(segment, slot - n, batch) };
                batch = Batch::GoesOn;
            }
            next = start;
        }
    }

    /// The block of a segment in which the caller has a reserved, unpublished position.
    #[inline(always)]
    fn block_for_writing(&self, segment: SegmentNo) -> SegmentRef<T> {
        match self.directory().find(segment) {
            Found::Block(block) => block,
            Found::Nothing | Found::Tombstone => self.install_for_writing(segment),
        }
    }

    #[cold]
    fn install_for_writing(&self, segment: SegmentNo) -> SegmentRef<T> {
        self.install(segment).unwrap_or_else(|| {
            // Trim stops at the watermark, which the caller's unpublished slot holds back, and the
            // sealer buries only what lies behind the end.
            unreachable!("a segment with an unpublished position was given up")
        })
    }

    /// Makes sure that `segment` is installed; `None` if it lived and is gone.
    fn install(&self, segment: SegmentNo) -> Option<SegmentRef<T>> {
        let fresh = self.obtain_block(segment);
        let (block, unused) = match self.directory().install(segment, fresh) {
            Installed::Ours => return Some(fresh),
            Installed::Theirs { block, ours } => (Some(block), ours),
            Installed::TooLate { ours } => (None, ours),
        };
        self.return_block(unused, segment);
        block
    }

    /// What is due once the caller's records are published.
    #[inline]
    fn after_publishing(&self, before: TailWord, count: u64) {
        let first = before.position();
        let end = first.plus(count);
        let crosses = |every| first.get() / every != end.get() / every;
        if crosses(chores_every::<T>()) {
            self.chores(end.minus(1));
        }
        if crosses(DROPS_EVERY) {
            self.reap(DROPS.max((count + count / 2) as usize));
        }
        if before.has_waiters() {
            self.wake();
        }
    }

    /// The caller found the log sealed: it sees the end and the successor behind this call, and does
    /// not rely on the sealer to wake those who sleep.
    #[cold]
    fn redirect(&self, before: TailWord) {
        self.tail().redirected();
        if before.has_waiters() {
            self.wake();
        }
    }

    /// Border work but for dropping, by a writer that has published its records, the last of them at `position`.
    fn chores(&self, position: Position) {
        let place = Geometry::<T>::locate(position);
        let slots = Geometry::<T>::slots(place.segment);
        // More than are appended in between.
        self.advance(Budget::About(2 * chores_every::<T>()));
        if is_first_chore_after(slots / 8, place.slot, slots, chores_every::<T>() as usize) {
            self.prepare(place.segment.next());
        }
        if let Some(count) = self.retained_count() {
            self.keep_last(count);
        }
    }

    /// Installs a segment ahead of need. The prefix may have passed it by now, and a seal too.
    fn prepare(&self, segment: SegmentNo) {
        if let Found::Nothing = self.directory().find(segment) {
            let _ = self.install(segment);
        }
    }
}

/// Whether anything is due after the append of `position`.
#[inline(always)]
const fn is_due_after<T>(position: Position) -> bool {
    is_last_of(
        if std::mem::needs_drop::<T>() { DROPS_EVERY } else { chores_every::<T>() },
        position,
    )
}

/// Whether `position` is the last one before a multiple of `every`.
#[inline(always)]
const fn is_last_of(every: u64, position: Position) -> bool {
    position.get() % every == every - 1
}

/// Whether border work at `slot` is the first one of its segment at or behind slot `mark`. Segments
/// in which there is no more than one piece of border work are installed when they are needed.
const fn is_first_chore_after(mark: usize, slot: usize, slots: usize, every: usize) -> bool {
    slots > every && slot >= mark && slot < mark + every || SMALL
}
