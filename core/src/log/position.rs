//! Numbers of the log: positions, segment numbers, and the geometry that maps one to the other.
//!
//! Positions are dense from 0. Segments start small and double (an emulator has thousands of nearly
//! empty streams), until one takes about 64 KiB; with large values up to 256 KiB, so that it holds 1,024
//! of them. From there on all have the same size. So the place of a position is a shift and a mask once
//! the ramp is over, and a count of leading zeros before.
//!
//! ```text
//! slots      F | F |  2F  |    4F    | … | S | S | S …      F = first, S = full, powers of two
//! segment    0 | 1 |   2  |     3    |   | k+1 …            k = log2(S / F)
//! position   0 | F |  2F  |    4F    |   | S …
//! ```
//!
//! Pure arithmetic: no state, no atomics.

use std::fmt;
use std::marker::PhantomData;

use super::segment::Slot;
use crate::sync::SMALL;

/// The number of a record in its log: dense, from 0, never used twice.
///
/// A position stays valid for as long as the log lives: it yields the same record every time, or is
/// reported as [`Trimmed`](super::Trimmed).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position(u64);

impl Position {
    /// The first position of every log that does not say otherwise (`LogOptions::starting_at`).
    pub const ZERO: Self = Self(0);

    /// The position with the given number.
    #[inline]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number: how many positions come before this one.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position `count` further on; stays at the largest one instead of wrapping.
    #[inline]
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The position `count` before; stays at 0 instead of wrapping.
    #[inline]
    #[must_use]
    pub const fn minus(self, count: u64) -> Self {
        Self(self.0.saturating_sub(count))
    }

    /// How many positions lie between `earlier` and this one; 0 if `earlier` is not earlier.
    #[inline]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a segment in its log, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SegmentNo(u64);

impl SegmentNo {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Where a position lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) segment: SegmentNo,
    pub(crate) slot: usize,
}

/// The map between positions and places for values of type `T`; all of it is known at compile time.
pub(crate) struct Geometry<T>(PhantomData<T>);

/// What a full segment should take, in bytes.
const SEGMENT_BYTES: usize = 64 << 10;
/// What it may take for the sake of [`WORTH_A_BORDER`].
const MOST_BYTES: usize = 256 << 10;
/// So many records share what a border costs: its work, and that the processor must learn anew to fetch ahead.
const WORTH_A_BORDER: usize = 1024;
const MIN_SLOTS: usize = 8;
const MAX_SLOTS: usize = 4096;

const fn least(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

const fn most(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

impl<T> Geometry<T> {
    /// log2 of the slots of a full segment. The models use two slots, so that borders are near; the
    /// schedules use four, so that there is a ramp.
    pub(crate) const FULL_BITS: u32 = if cfg!(streamcore_loom) {
        1
    } else if cfg!(streamcore_shuttle) {
        2
    } else {
        let size = size_of::<Slot<T>>();
        let fitting = least(most(SEGMENT_BYTES / size, WORTH_A_BORDER), MOST_BYTES / size);
        least(most(fitting, MIN_SLOTS), MAX_SLOTS).ilog2()
    };

    /// log2 of the slots of the first segment.
    const FIRST_BITS: u32 = if SMALL { 1 } else { MIN_SLOTS.ilog2() };

    /// The number of the last ramp segment, and how many doublings the ramp takes.
    const RAMP: u64 = (Self::FULL_BITS - Self::FIRST_BITS) as u64;

    const FULL: u64 = 1 << Self::FULL_BITS;
    const FIRST: u64 = 1 << Self::FIRST_BITS;

    /// The place of `position`.
    #[inline(always)]
    pub(crate) const fn locate(position: Position) -> Place {
        match Self::locate_behind_ramp(position) {
            Some(place) => place,
            None => Self::locate_in_ramp(position.0),
        }
    }

    /// The place of `position`, unless it lies in the ramp.
    #[inline(always)]
    pub(crate) const fn locate_behind_ramp(position: Position) -> Option<Place> {
        let p = position.0;
        if p < Self::FULL {
            return None;
        }
        let segment = SegmentNo((p >> Self::FULL_BITS) + Self::RAMP);
        Some(Place { segment, slot: (p & (Self::FULL - 1)) as usize })
    }

    const fn locate_in_ramp(p: u64) -> Place {
        if p < Self::FIRST {
            Place { segment: SegmentNo(0), slot: p as usize }
        } else {
            let bits = p.ilog2();
            let number = (bits - Self::FIRST_BITS + 1) as u64;
            Place { segment: SegmentNo(number), slot: (p - (1 << bits)) as usize }
        }
    }

    /// The first position of `segment`.
    pub(crate) const fn first(segment: SegmentNo) -> Position {
        let n = segment.0;
        Position(if n == 0 {
            0
        } else if n > Self::RAMP {
            (n - Self::RAMP) << Self::FULL_BITS
        } else {
            Self::FIRST << (n - 1)
        })
    }

    /// Whether the segment in which `from` lies ends at `to` or before.
    #[inline(always)]
    pub(crate) const fn is_segment_between(from: Position, to: Position) -> bool {
        if from.0 >= Self::FULL {
            return from.0 >> Self::FULL_BITS < to.0 >> Self::FULL_BITS;
        }
        to.0 >= Self::first(Self::locate_in_ramp(from.0).segment.next()).0
    }

    /// The number of slots of `segment`.
    pub(crate) const fn slots(segment: SegmentNo) -> usize {
        let n = segment.0;
        (if n == 0 {
            Self::FIRST
        } else if n > Self::RAMP {
            Self::FULL
        } else {
            Self::FIRST << (n - 1)
        }) as usize
    }

    /// The first segment behind the ramp.
    pub(crate) const fn first_full() -> SegmentNo {
        Self::locate(Position(Self::FULL)).segment
    }

    /// Whether `segment` has the full size: only such segments are recycled.
    pub(crate) const fn is_full_size(segment: SegmentNo) -> bool {
        Self::slots(segment) == Self::FULL as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_around<T>(p: u64) {
        let place = Geometry::<T>::locate(Position::new(p));
        let first = Geometry::<T>::first(place.segment);
        assert_eq!(first.get() + place.slot as u64, p);
        assert!(place.slot < Geometry::<T>::slots(place.segment));
        assert_eq!(
            Geometry::<T>::first(place.segment.next()).get(),
            first.get() + Geometry::<T>::slots(place.segment) as u64,
        );
    }

    #[test]
    fn every_early_position_has_one_place() {
        for p in 0..20_000 {
            check_around::<()>(p);
            check_around::<u64>(p);
            check_around::<[u8; 56]>(p);
            check_around::<[u8; 100_000]>(p);
        }
    }

    proptest! {
        #[test]
        fn any_position_has_one_place(p in 0u64..1 << 61) {
            check_around::<u64>(p);
            check_around::<[u8; 56]>(p);
            check_around::<[u8; 100_000]>(p);
        }
    }

    #[test]
    fn a_full_segment_takes_64_kib_or_holds_1024_records_within_256_kib() {
        assert_eq!(Geometry::<[u64; 7]>::FULL, 1024);
        assert_eq!(Geometry::<u64>::FULL, 4096);
        assert_eq!(Geometry::<[u64; 24]>::FULL, 1024);
        assert_eq!(Geometry::<[u64; 32]>::FULL, 512, "264 KiB would be too much");
        assert_eq!(Geometry::<[u8; 100_000]>::FULL, MIN_SLOTS as u64);
    }

    #[test]
    fn segments_double_from_eight_slots_to_the_full_size() {
        fn slots<T>(count: u64) -> Vec<usize> {
            (0..count).map(|number| Geometry::<T>::slots(SegmentNo(number))).collect()
        }
        let ramp = [8, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4096];
        assert_eq!(slots::<()>(12), ramp, "4096 slots are the most");
        assert_eq!(slots::<u64>(12), ramp);
        assert_eq!(slots::<[u64; 7]>(10), [8, 8, 16, 32, 64, 128, 256, 512, 1024, 1024]);
        assert_eq!(
            slots::<[u8; 5_000]>(5),
            [8, 8, 16, 32, 32],
            "32 of 5008 bytes, since 52 is no power of two"
        );
        assert_eq!(slots::<[u8; 100_000]>(3), [8; 3], "eight slots are the least");
        assert_eq!(slots::<[u8; 2_000]>(7), [8, 8, 16, 32, 64, 128, 128]);
        for number in 0..20 {
            let number = SegmentNo(number);
            let is_full = Geometry::<u64>::slots(number) == 4096;
            assert_eq!(Geometry::<u64>::is_full_size(number), is_full);
            assert!(Geometry::<[u8; 100_000]>::is_full_size(number));
        }
    }

    #[test]
    fn positions_do_not_wrap() {
        assert_eq!(Position::new(u64::MAX).plus(1), Position::new(u64::MAX));
        assert_eq!(Position::new(3).since(Position::new(5)), 0);
    }
}
