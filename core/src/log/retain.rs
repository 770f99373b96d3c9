//! Retaining a range: for a user who must not lose it while reading it.
//!
//! # State
//!
//! One pin for each segment of the range. Every pin is checked: a segment in the middle may have been
//! trimmed after the first one was pinned, if two trimmers are at work, so one refused pin refuses
//! the whole. The horizon is looked at behind the last pin: up to then it may have moved into the range.
//!
//! # Progress
//!
//! Wait-free, one RMW a segment.
//!
//! Models: `retain`, `hollow_retain`.

use std::fmt;
use std::ops::Range;

use smallvec::SmallVec;

use super::Log;
use super::position::{Geometry, Position};
use super::prefix::Budget;
use super::read::{Entered, LogHandle, SegmentPin, Trimmed};
use super::segment::Batch;

/// Records that stay readable, whatever is trimmed, until this guard is dropped.
///
/// Their memory is not given back meanwhile; keep it short.
pub struct Retained<H: LogHandle> {
    pins: SmallVec<[SegmentPin<H>; 2]>,
    positions: Range<Position>,
}

impl<T, S> Log<T, S> {
    /// Retains the published records of `positions`.
    ///
    /// # Errors
    ///
    /// [`Trimmed`] when not all of them are retained any more.
    ///
    /// # Progress
    ///
    /// Wait-free but for the scan of what was published since the last one (lock-free).
    pub fn retain(&self, positions: Range<Position>) -> Result<Retained<&Self>, Trimmed> {
        Retained::new(self, positions)
    }
}

impl<H: LogHandle + Clone> Retained<H> {
    /// [`Log::retain`] for any handle: with an `Arc<Log>`, the guard shares ownership of the log.
    ///
    /// # Errors
    ///
    /// As [`Log::retain`].
    pub fn new(handle: H, positions: Range<Position>) -> Result<Self, Trimmed> {
        let log = handle.log();
        let end = positions.end.min(log.advance(Budget::All));
        let positions = positions.start..end.max(positions.start);
        let mut pins = SmallVec::new();
        let mut next = positions.start;
        while next < positions.end {
            let segment = Geometry::<H::Value>::locate(next).segment;
            match Log::enter_with(handle.clone(), segment) {
                Entered::Inside(pin) => pins.push(pin),
                Entered::Trimmed(trimmed) => return Err(trimmed),
                Entered::NotYet { earliest } if next < earliest => {
                    return Err(Trimmed { earliest });
                }
                Entered::NotYet { .. } => unreachable!("what is published has a segment"),
            }
            next = Geometry::<H::Value>::first(segment.next());
        }
        // Inside all of them, what is retained now stays: see `hollow`.
        if positions.start < handle.log().horizon().load() {
            return Err(handle.log().trimmed());
        }
        Ok(Self { pins, positions })
    }
}

impl<H: LogHandle> Retained<H> {
    /// The positions that are retained: those asked for, as far as they were published.
    pub fn positions(&self) -> Range<Position> {
        self.positions.clone()
    }

    /// The record at `position`, if it is in the range.
    pub fn get(&self, position: Position) -> Option<&H::Value> {
        let (pin, slot) = self.find(position)?;
        // SAFETY: the range was cut to what was below the watermark, and retained once it was pinned.
        Some(unsafe { pin.value(slot) })
    }

    /// Whether the batch of the record at `position` ends with it, if the record is in the range.
    pub fn batch(&self, position: Position) -> Option<Batch> {
        let (pin, slot) = self.find(position)?;
        Some(pin.state(slot).batch())
    }

    fn find(&self, position: Position) -> Option<(&SegmentPin<H>, usize)> {
        if !self.positions.contains(&position) {
            return None;
        }
        let place = Geometry::<H::Value>::locate(position);
        let first = self.pins.first()?.segment();
        let pin = self.pins.get((place.segment.get() - first.get()) as usize)?;
        Some((pin, place.slot))
    }

    /// The records in order, each with its position.
    pub fn iter(&self) -> impl Iterator<Item = (Position, &H::Value)> {
        (self.positions.start.get()..self.positions.end.get())
            .map(Position::new)
            .filter_map(|position| Some((position, self.get(position)?)))
    }
}

impl<H: LogHandle> fmt::Debug for Retained<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retained").field("positions", &self.positions).finish_non_exhaustive()
    }
}
