//! The records that contenders are fed with, and what a reader makes of them.
//!
//! Every record carries a number, in its first and in its last word, so that a reader sees that it read a
//! whole record, and the harness that what was appended is what is read.

use std::sync::Arc;

/// A kind of record.
pub trait Payload: Send + Sync + Sized + 'static {
    /// What records are made from: made once per thread, before anything is timed.
    type Mould: Send + Sync;

    /// What records are made from.
    fn mould() -> Self::Mould;

    /// The record of a number.
    fn make(mould: &Self::Mould, number: u64) -> Self;

    /// The numbers in the first and in the last word: the same, unless the record was torn.
    fn ends(&self) -> (u64, u64);
}

impl Payload for u64 {
    type Mould = ();

    fn mould() {}

    #[inline(always)]
    fn make((): &(), number: u64) -> Self {
        number
    }

    #[inline(always)]
    fn ends(&self) -> (u64, u64) {
        (*self, *self)
    }
}

impl<const WORDS: usize> Payload for [u64; WORDS] {
    type Mould = ();

    fn mould() {}

    #[inline(always)]
    fn make((): &(), number: u64) -> Self {
        [number; WORDS]
    }

    #[inline(always)]
    fn ends(&self) -> (u64, u64) {
        (self[0], self[WORDS - 1])
    }
}

/// A record of 192 bytes with three shared parts, as a stream's are: appending it clones three `Arc`s, and
/// giving it up drops them.
pub struct Sharing {
    first: u64,
    _parts: [Arc<u64>; 3],
    rest: [u64; 20],
}

impl Payload for Sharing {
    type Mould = [Arc<u64>; 3];

    fn mould() -> Self::Mould {
        [1, 2, 3].map(Arc::new)
    }

    #[inline(always)]
    fn make(mould: &Self::Mould, number: u64) -> Self {
        Self { first: number, _parts: mould.each_ref().map(Arc::clone), rest: [number; 20] }
    }

    #[inline(always)]
    fn ends(&self) -> (u64, u64) {
        (self.first, self.rest[19])
    }
}

/// A record of 192 bytes with a part that nobody else has: giving it up frees memory.
pub struct Owning {
    first: u64,
    _part: Arc<[u64; 4]>,
    rest: [u64; 22],
}

impl Payload for Owning {
    type Mould = ();

    fn mould() {}

    #[inline(always)]
    fn make((): &(), number: u64) -> Self {
        Self { first: number, _part: Arc::new([number; 4]), rest: [number; 22] }
    }

    #[inline(always)]
    fn ends(&self) -> (u64, u64) {
        (self.first, self.rest[21])
    }
}

/// What a reader has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Records.
    pub records: u64,
    /// Their numbers, added up (wrapping).
    pub sum: u64,
    /// Records whose ends did not agree. Anything but 0 is a fault of the contender.
    pub torn: u64,
    /// Records that were given up before the reader came.
    pub missed: u64,
}

impl Seen {
    /// Looks at a record.
    #[inline(always)]
    pub fn see<T: Payload>(&mut self, record: &T) {
        let (first, last) = record.ends();
        self.records += 1;
        self.sum = self.sum.wrapping_add(first);
        self.torn += u64::from(first != last);
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            sum: self.sum.wrapping_add(other.sum),
            torn: self.torn + other.torn,
            missed: self.missed + other.missed,
        }
    }
}

const _: () = assert!(size_of::<Sharing>() == 192 && size_of::<Owning>() == 192);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_record_is_seen() {
        let mut seen = Seen::default();
        seen.see(&[7u64; 8]);
        assert_eq!(seen, Seen { records: 1, sum: 7, torn: 0, missed: 0 });
        let mut torn = [7u64; 8];
        torn[7] = 8;
        seen.see(&torn);
        assert_eq!(seen.torn, 1);
    }
}
