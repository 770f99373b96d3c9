//! Serial numbers: what tells two things of one process apart that may have the same name.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

/// A number that nothing else in the process has; those after the first four billion have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Serial(Option<NonZeroU32>);

impl Serial {
    /// The next number.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Relaxed: all that matters is that nobody else gets the same. At the end it stays at 0.
        let taken = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            (next != 0).then(|| next.wrapping_add(1))
        });
        Self(taken.ok().and_then(NonZeroU32::new))
    }

    /// The number.
    #[inline]
    pub(crate) fn get(self) -> Option<NonZeroU32> {
        self.0
    }

    /// What comes after four billion others.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }
}
