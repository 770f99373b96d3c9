//! The size of an image's key, remembered with the image.
//!
//! Whoever puts an image measures its key, to know that it is there; that costs as much as the rest of a put. An
//! image is met again, as the old one of a removal, in another batch, or because a host keeps it: then the
//! size is there. One word holds it together with the number of the stream that it was measured for, since
//! another stream may have another key.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The number of a stream's description, of which there is one in a process; no number for those after the first
/// four billion, which remember nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InfoNumber(Option<std::num::NonZeroU32>);

impl InfoNumber {
    /// The next number.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Relaxed: all that matters is that nobody else gets the same. At the end it stays at 0.
        let taken = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            (next != 0).then(|| next.wrapping_add(1))
        });
        Self(taken.ok().and_then(std::num::NonZeroU32::new))
    }
}

/// A remembered size: the stream's number in the upper half, the bytes in the lower one; 0 for none.
pub(super) struct KeySize(AtomicU64);

impl KeySize {
    pub(super) fn unknown() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The size, if it was measured last for that stream.
    #[inline]
    pub(super) fn of(&self, stream: InfoNumber) -> Option<u64> {
        // Relaxed, here and below: the word says everything, and what it says of an image does not change.
        let word = self.0.load(Ordering::Relaxed);
        (word >> 32 == u64::from(stream.0?.get())).then_some(word & u64::from(u32::MAX))
    }

    /// Remembers what was measured for a stream.
    pub(super) fn remember(&self, stream: InfoNumber, bytes: u64) {
        if let (Some(number), Ok(bytes)) = (stream.0, u32::try_from(bytes)) {
            let word = u64::from(number.get()) << 32 | u64::from(bytes);
            self.0.store(word, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_known_for_the_stream_that_it_was_measured_for() {
        let (one, other) = (InfoNumber::next(), InfoNumber::next());
        let size = KeySize::unknown();
        assert_eq!((size.of(one), size.of(other), size.of(InfoNumber(None))), (None, None, None));
        size.remember(one, 7);
        assert_eq!((size.of(one), size.of(other)), (Some(7), None));
        size.remember(other, u64::from(u32::MAX));
        assert_eq!((size.of(one), size.of(other)), (None, Some(u64::from(u32::MAX))));
        // What does not fit is measured again.
        size.remember(one, 1 << 32);
        size.remember(InfoNumber(None), 9);
        assert_eq!((size.of(one), size.of(InfoNumber(None))), (None, None));
    }
}
