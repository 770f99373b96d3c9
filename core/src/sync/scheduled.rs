//! The scheduled half of [`sync`](super): the same names on [shuttle], which runs the threads of a test
//! one at a time and decides before every atomic operation who goes on.
//!
//! Shuttle explores interleavings, not orderings: every operation takes effect at once, for everybody. So it
//! finds what is wrong with the protocols' logic, at sizes that loom cannot reach, and nothing that only
//! an ordering keeps right; that is what the modelled half is for.
//!
//! - [`atomic`]: the standard atomics with a decision before each operation, so zeroed memory is as good
//!   here as in production;
//! - [`memory`]: every block is known, from its allocation to its release. A released block is poisoned and
//!   kept until the execution is over, so a use after free is a message and not a crash; what is never
//!   released is a leak;
//! - [`parking`]: `Parker` and `Backoff`. Time is not modelled: a sleep with a limit is a yield;
//! - [`stall`]: suspends a thread at any of its operations, for as long as a test likes.
//!
//! The modules are public for the harness (`loom-tests/shuttle`, which sets the cfg `streamcore_shuttle`);
//! nothing of this exists in a production build.
//!
//! [shuttle]: https://docs.rs/shuttle

#![allow(dead_code, reason = "the names mirror native.rs, whichever of them the log uses")]

pub mod atomic;
pub mod memory;
pub mod parking;
pub mod stall;

use std::sync::Mutex;

pub(crate) use crossbeam_utils::CachePadded;
pub(crate) use memory::{Life, UnsafeCell, allocate_zeroed, init_zeroed, release};
pub(crate) use parking::{Backoff, Parker};
pub(crate) use std::sync::Arc;

/// Whether the caller is a thread of a test that is under way: nothing is scheduled before and after,
/// nor while a thread unwinds, since the test has failed then.
fn is_scheduled() -> bool {
    !std::thread::panicking() && shuttle::current::try_get_current_task().is_some()
}

/// A decision: whoever the scheduler chooses goes on from here.
fn decide() {
    if is_scheduled() {
        stall::before_operation();
        // In shuttle a sleep is nothing but a decision, while a yield would ask for somebody else.
        shuttle::thread::sleep(std::time::Duration::ZERO);
    }
}

/// A value that is read often and replaced as a whole, seldom: with the steps of `arc-swap`, of which
/// each is one here.
pub(crate) struct MetadataCell<T>(Mutex<Arc<T>>);

impl<T> MetadataCell<T> {
    /// A cell that holds `value`.
    pub(crate) fn new(value: T) -> Self {
        Self::of(Arc::new(value))
    }

    /// A cell that holds a shared value.
    pub(crate) fn of(value: Arc<T>) -> Self {
        Self(Mutex::new(value))
    }

    /// Calls `f` with the current value.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.load_full())
    }

    /// The current value, shared.
    pub(crate) fn load_full(&self) -> Arc<T> {
        decide();
        Arc::clone(&self.0.lock().expect("nothing panics under the lock"))
    }

    /// Replaces the value by what `change` makes of it, again and again until nobody interfered.
    /// Gives back the value that it replaced.
    pub(crate) fn rcu(&self, mut change: impl FnMut(&Arc<T>) -> Arc<T>) -> Arc<T> {
        loop {
            let seen = self.load_full();
            let next = change(&seen);
            decide();
            let mut current = self.0.lock().expect("nothing panics under the lock");
            if Arc::ptr_eq(&current, &seen) {
                *current = next;
                return seen;
            }
        }
    }
}
