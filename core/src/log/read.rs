//! Reading: entering a segment, and the guards through which records are seen.
//!
//! # State
//!
//! A guard holds one pin ([`pins`](super::pins)): its segment's records stay where they are until the
//! guard is dropped. Guards hold nothing else; a slow reader costs its own segment and no other.
//!
//! # Handles
//!
//! Guards are generic over how they hold the log: by reference ([`Log::read`]) or by a share of its
//! ownership ([`Chunk::read`] with an `Arc<Log>`). Both are `Send + Sync` when the values are, and may be kept
//! across an `.await`.
//!
//! # Orderings
//!
//! None of its own: a guard is made after its reader acquired the watermark, and values below it
//! need no further look at the slots' states.
//!
//! # Progress
//!
//! Wait-free for positions below the watermark. The last guard to leave a trimmed segment drops the
//! segment's values.
//!
//! Models: `trim`, `trim_handoff`, `late_reader`, `stale_scan`, `hollow`.

use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;

use super::Log;
use super::directory::Found;
use super::pins::{Leave, PinWord, Pinned};
use super::position::{Geometry, Position, SegmentNo};
use super::prefix::Budget;
use super::reclaim::Payer;
use super::segment::{SegmentRef, SlotState};
use crate::sync::{Arc, SMALL};

mod sealed {
    /// Handles always lead to one and the same log, which lives as long as they do.
    pub trait Sealed {}
}
pub(crate) use sealed::Sealed;

/// A way to hold a log: `&Log` or `Arc<Log>`.
pub trait LogHandle: Sealed {
    /// The values in the log.
    type Value;
    /// What a sealed log points to.
    type Successor;
    /// The log itself.
    fn log(&self) -> &Log<Self::Value, Self::Successor>;
}

impl<T, S> Sealed for &Log<T, S> {}
impl<T, S> LogHandle for &Log<T, S> {
    type Value = T;
    type Successor = S;
    #[inline(always)]
    fn log(&self) -> &Log<T, S> {
        self
    }
}

impl<T, S> Sealed for Arc<Log<T, S>> {}
impl<T, S> LogHandle for Arc<Log<T, S>> {
    type Value = T;
    type Successor = S;
    #[inline(always)]
    fn log(&self) -> &Log<T, S> {
        self
    }
}

/// The records asked for are no longer retained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trimmed {
    /// The first position that was still retained at that moment.
    pub earliest: Position,
}

impl fmt::Display for Trimmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the position has been trimmed; the earliest one retained is {}", self.earliest)
    }
}

impl std::error::Error for Trimmed {}

/// One pinned segment.
pub(crate) struct SegmentPin<H: LogHandle> {
    handle: H,
    segment: SegmentNo,
    block: SegmentRef<H::Value>,
    /// The word that the pin is counted in: of the handle's log, and as long-lived.
    word: NonNull<PinWord>,
}

// SAFETY: the pin is a number in the log and the block is shared memory; using it from another
// thread means using `&Value` there, and leaving may drop values there.
unsafe impl<H: LogHandle + Send> Send for SegmentPin<H> where H::Value: Send + Sync {}
// SAFETY: as above; a shared pin only gives out `&Value`.
unsafe impl<H: LogHandle + Sync> Sync for SegmentPin<H> where H::Value: Send + Sync {}

impl<H: LogHandle> SegmentPin<H> {
    #[inline(always)]
    pub(crate) fn segment(&self) -> SegmentNo {
        self.segment
    }

    /// The state of a slot of this segment.
    #[inline(always)]
    pub(crate) fn state(&self, slot: usize) -> SlotState {
        debug_assert!(slot < Geometry::<H::Value>::slots(self.segment));
        // SAFETY: the pin keeps the block alive; callers locate the slot in this segment.
        unsafe { self.block.state(slot) }
    }

    /// How many slots from `slot` on, of the next `count`, hold records that are published and no part of a
    /// longer batch; or a few less.
    #[inline]
    pub(crate) fn ready_alone(&self, slot: usize, count: usize) -> usize {
        /// So many between two looks at the count.
        const STRIDE: usize = if SMALL { 1 } else { 8 };
        let mut ready = 0;
        while count - ready >= STRIDE {
            let first = slot + ready;
            let are_alone = (0..STRIDE).all(|n| self.state(first + n).is_ready_alone(self.segment));
            if !are_alone {
                break;
            }
            ready += STRIDE;
        }
        ready
    }

    /// The value of a slot of this segment.
    ///
    /// # Safety
    /// The caller has seen that the slot's position is below the watermark, and, since it is inside,
    /// not below the horizon.
    #[inline(always)]
    pub(crate) unsafe fn value(&self, slot: usize) -> &H::Value {
        // SAFETY: the pin keeps the block alive as long as `self` is borrowed; published, as the
        // caller promises.
        unsafe { self.block.value(slot) }
    }
}

impl<H: LogHandle> Drop for SegmentPin<H> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the handle keeps the log alive, and the log its pin words.
        let word = unsafe { self.word.as_ref() };
        self.handle.log().after_leaving(self.segment, word.unpin());
    }
}

/// How an attempt to enter a segment ended.
pub(crate) enum Entered<P> {
    /// The segment is pinned.
    Inside(P),
    /// It is gone.
    Trimmed(Trimmed),
    /// It does not exist yet, or is one of those before the position that the log began at.
    NotYet {
        /// The first position that is retained.
        earliest: Position,
    },
}

impl<T, S> Log<T, S> {
    /// Pins a segment for work inside the log.
    #[inline]
    pub(crate) fn enter(&self, segment: SegmentNo) -> Entered<SegmentPin<&Self>> {
        Self::enter_with(self, segment)
    }

    /// Pins a segment for as long as a guard with this handle lives.
    #[inline]
    pub(crate) fn enter_with<H>(handle: H, segment: SegmentNo) -> Entered<SegmentPin<H>>
    where
        H: LogHandle<Value = T, Successor = S>,
    {
        let log = handle.log();
        let Some(word) = log.directory().pin_word(segment) else {
            return log.not_yet();
        };
        if let Pinned::Trimmed(leave) = word.pin() {
            log.after_leaving(segment, leave);
            return Entered::Trimmed(log.trimmed());
        }
        // Only now look for the block: it cannot be freed any more.
        match log.directory().find(segment) {
            Found::Block(block) => {
                let word = NonNull::from(word);
                Entered::Inside(SegmentPin { handle, segment, block, word })
            }
            Found::Nothing | Found::Tombstone => {
                log.leave(segment);
                log.not_yet()
            }
        }
    }

    #[cold]
    fn not_yet<P>(&self) -> Entered<P> {
        Entered::NotYet { earliest: self.horizon().load() }
    }

    pub(crate) fn leave(&self, segment: SegmentNo) {
        if let Some(word) = self.directory().pin_word(segment) {
            self.after_leaving(segment, word.unpin());
        }
    }

    #[inline]
    fn after_leaving(&self, segment: SegmentNo, leave: Leave) {
        if leave == Leave::TryClaim {
            self.try_claim(segment, Payer::Caller);
        }
    }

    /// Reads up to `max` records from position `from` on, without copying them.
    ///
    /// The guard covers one segment at the most, so it may hold fewer records than there are: go on
    /// at [`Chunk::next_position`]. It is empty when nothing is published at `from` yet.
    ///
    /// # Errors
    ///
    /// [`Trimmed`] when `from` lies before the horizon.
    ///
    /// # Progress
    ///
    /// Wait-free for a position below the watermark; otherwise the caller first scans what was
    /// published since (lock-free).
    pub fn read(&self, from: Position, max: usize) -> Result<Chunk<&Self>, Trimmed> {
        Chunk::read(self, from, max)
    }

    pub(crate) fn trimmed(&self) -> Trimmed {
        Trimmed { earliest: self.horizon().load() }
    }
}

/// Some consecutive records of one segment, readable in place until the guard is dropped.
///
/// While a guard lives, the memory of its segment cannot be given back, and nothing else is held up:
/// neither appends nor the trimming of other segments.
pub struct Chunk<H: LogHandle> {
    pin: Option<SegmentPin<H>>,
    first: Position,
    len: usize,
}

impl<H: LogHandle> Chunk<H> {
    /// [`Log::read`] for any handle: with an `Arc<Log>`, the guard shares ownership of the log.
    ///
    /// # Errors
    ///
    /// As [`Log::read`].
    pub fn read(handle: H, from: Position, max: usize) -> Result<Self, Trimmed> {
        let log = handle.log();
        let mut visible = log.watermark().load();
        if from >= visible {
            visible = log.advance(Budget::All);
        }
        Self::below(handle, from, max, visible)
    }

    /// The records from `from` on that lie below `visible`, up to which the caller knows the log to
    /// be published.
    pub(crate) fn below(
        handle: H,
        from: Position,
        max: usize,
        visible: Position,
    ) -> Result<Self, Trimmed> {
        let len = usize::try_from(visible.since(from)).unwrap_or(usize::MAX).min(max);
        if len == 0 {
            return Ok(Self { pin: None, first: from, len: 0 });
        }
        let segment = Geometry::<H::Value>::locate(from).segment;
        match Log::enter_with(handle, segment) {
            Entered::Inside(pin) => {
                // Inside, what is retained now stays: see `hollow`.
                let log = pin.handle.log();
                if from < log.horizon().load() {
                    return Err(log.trimmed());
                }
                let border = Geometry::<H::Value>::first(segment.next());
                let len = len.min(border.since(from) as usize);
                Ok(Self { pin: Some(pin), first: from, len })
            }
            Entered::Trimmed(trimmed) => Err(trimmed),
            // What is published has a segment, but for what lies before the log's beginning.
            Entered::NotYet { earliest } if from < earliest => Err(Trimmed { earliest }),
            // Cannot be. Nothing to read is the harmless answer.
            Entered::NotYet { .. } => Ok(Self { pin: None, first: from, len: 0 }),
        }
    }

    /// The number of records.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no record.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The position of the first record, if there is one; in any case the one that was asked for.
    #[inline]
    pub fn position(&self) -> Position {
        self.first
    }

    /// Where to go on reading.
    #[inline]
    pub fn next_position(&self) -> Position {
        self.first.plus(self.len as u64)
    }

    /// The positions of the records.
    #[inline]
    pub fn positions(&self) -> Range<Position> {
        self.first..self.next_position()
    }

    /// Shortens the chunk to its first `len` records.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The record at `position`, if it is in this chunk.
    #[inline]
    pub fn get(&self, position: Position) -> Option<&H::Value> {
        if !self.positions().contains(&position) {
            return None;
        }
        let slot = Geometry::<H::Value>::locate(position).slot;
        // SAFETY: the chunk holds only positions of its segment that were published and retained.
        self.pin.as_ref().map(|pin| unsafe { pin.value(slot) })
    }

    /// The records in order, each with its position.
    #[inline]
    pub fn iter(&self) -> ChunkIter<'_, H> {
        let slot = Geometry::<H::Value>::locate(self.first).slot;
        ChunkIter { pin: self.pin.as_ref(), position: self.first, slot, left: self.len }
    }
}

impl<'a, H: LogHandle> IntoIterator for &'a Chunk<H> {
    type Item = (Position, &'a H::Value);
    type IntoIter = ChunkIter<'a, H>;
    fn into_iter(self) -> ChunkIter<'a, H> {
        self.iter()
    }
}

impl<H: LogHandle> fmt::Debug for Chunk<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("positions", &self.positions()).finish_non_exhaustive()
    }
}

/// Iterates over the records of a [`Chunk`].
pub struct ChunkIter<'a, H: LogHandle> {
    pin: Option<&'a SegmentPin<H>>,
    position: Position,
    slot: usize,
    left: usize,
}

// Not derived: a handle need not be `Clone` for that.
impl<H: LogHandle> Clone for ChunkIter<'_, H> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, H: LogHandle> Iterator for ChunkIter<'a, H> {
    type Item = (Position, &'a H::Value);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let pin = self.pin?;
        self.left = self.left.checked_sub(1)?;
        let position = self.position;
        // SAFETY: the chunk holds only positions of its segment that were published and retained.
        let value = unsafe { pin.value(self.slot) };
        self.position = position.plus(1);
        self.slot += 1;
        Some((position, value))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<H: LogHandle> ExactSizeIterator for ChunkIter<'_, H> {}
