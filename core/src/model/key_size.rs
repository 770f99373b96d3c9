//! The size of an image's key, remembered with the image.
//!
//! Whoever puts an image measures its key, to know that it is there; that costs as much as the rest of a put. An
//! image is met again, as the old one of a removal, in another batch, or because a host keeps it: then the
//! size is there. One word holds it together with the stream that it was measured for, since
//! another stream may have another key.

use std::sync::atomic::{AtomicU64, Ordering};

use super::serial::Serial;

/// A remembered size: the serial number of the stream's description in the upper half, the bytes in the lower one; 0 for none.
pub(super) struct KeySize(AtomicU64);

impl KeySize {
    pub(super) fn unknown() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The size, if it was measured last for that stream.
    #[inline]
    pub(super) fn of(&self, stream: Serial) -> Option<u64> {
        // Relaxed, here and below: the word says everything, and what it says of an image does not change.
        let word = self.0.load(Ordering::Relaxed);
        (word >> 32 == u64::from(stream.get()?.get())).then_some(word & u64::from(u32::MAX))
    }

    /// Remembers what was measured for a stream.
    pub(super) fn remember(&self, stream: Serial, bytes: u64) {
        if let (Some(number), Ok(bytes)) = (stream.get(), u32::try_from(bytes)) {
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
        let (one, other) = (Serial::next(), Serial::next());
        let size = KeySize::unknown();
        assert_eq!((size.of(one), size.of(other), size.of(Serial::none())), (None, None, None));
        size.remember(one, 7);
        assert_eq!((size.of(one), size.of(other)), (Some(7), None));
        size.remember(other, u64::from(u32::MAX));
        assert_eq!((size.of(one), size.of(other)), (None, Some(u64::from(u32::MAX))));
        // What does not fit is measured again.
        size.remember(one, 1 << 32);
        size.remember(Serial::none(), 9);
        assert_eq!((size.of(one), size.of(Serial::none())), (None, None));
    }
}
