//! The production half of [`sync`](super): the standard library, `crossbeam-utils` and `arc-swap`.

use std::alloc::{self, Layout};
use std::sync::Arc as StdArc;
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

pub(crate) use crossbeam_utils::CachePadded;
pub(crate) use std::sync::Arc;

use super::Zeroable;

/// Atomic types and fences.
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence,
    };
}

/// Interior mutability with explicit accesses, so that the models can check each of them.
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    #[inline]
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Gives `f` a pointer to read through.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Gives `f` a pointer to write through.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// The span between a segment's allocation and its release; a witness only in the models.
pub(crate) struct Life;

impl Life {
    /// A life that begins now.
    #[inline(always)]
    pub(crate) fn begin() -> Self {
        Self
    }

    /// Somebody uses the segment: the models fail when its life has ended, or races with the end.
    #[inline(always)]
    pub(crate) fn touch(&self) {}

    /// The segment's owner ends its life: the models fail when any use is not ordered before.
    #[inline(always)]
    pub(crate) fn end(&self) {}

    /// A recycled segment lives again.
    #[inline(always)]
    pub(crate) fn renew(&self) {}
}

/// Zeroed memory for `layout`; aborts the process when there is none.
pub(crate) fn allocate_zeroed(layout: Layout) -> *mut u8 {
    assert!(layout.size() > 0, "the log allocates no empty blocks");
    // SAFETY: the layout's size is not zero.
    let block = unsafe { alloc::alloc_zeroed(layout) };
    if block.is_null() {
        alloc::handle_alloc_error(layout);
    }
    block
}

/// Makes `len` zeroed values at `first`: nothing to do here, since zero bytes are such values.
///
/// # Safety
///
/// `first` points to `len` values' worth of zeroed memory that nobody else uses.
#[inline(always)]
pub(crate) unsafe fn init_zeroed<Z: Zeroable>(_first: *mut Z, _len: usize) {}

/// Gives memory back.
///
/// # Safety
///
/// `block` came from [`allocate_zeroed`] with the same `layout`, and nobody uses it any more.
pub(crate) unsafe fn release(block: *mut u8, layout: Layout) {
    // SAFETY: passed on to the caller.
    unsafe { alloc::dealloc(block, layout) }
}

/// Waiting in growing steps: spin, then yield. See [`crossbeam_utils::Backoff`].
pub(crate) struct Backoff(crossbeam_utils::Backoff);

impl Backoff {
    /// A backoff at its first, shortest step.
    pub(crate) fn new() -> Self {
        Self(crossbeam_utils::Backoff::new())
    }

    /// One step: a few spins at first, later a yield to the scheduler.
    pub(crate) fn snooze(&self) {
        self.0.snooze();
    }

    /// Whether spinning has gone on long enough that a sleep costs less.
    pub(crate) fn is_completed(&self) -> bool {
        self.0.is_completed()
    }
}

/// The calling thread as a [`Waker`], and its sleep.
pub(crate) struct Parker {
    waker: Waker,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: StdArc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        self.0.unpark();
    }
}

impl Parker {
    /// A parker for the calling thread.
    pub(crate) fn new() -> Self {
        Self { waker: Waker::from(StdArc::new(Unpark(std::thread::current()))) }
    }

    /// Wakes the thread that made this parker.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Sleeps until woken, or for `limit` when there is one; may return early for no reason.
    pub(crate) fn park(&self, limit: Option<Duration>) {
        match limit {
            Some(limit) => std::thread::park_timeout(limit),
            None => std::thread::park(),
        }
    }
}

/// A value that is read often and replaced as a whole, seldom: the seam to `arc-swap`.
///
/// The models put a loom-visible cell in its place, so they prove our use of the swap, not
/// `arc-swap` itself.
pub(crate) struct MetadataCell<T>(arc_swap::ArcSwap<T>);

impl<T> MetadataCell<T> {
    /// A cell that holds `value`.
    pub(crate) fn new(value: T) -> Self {
        Self(arc_swap::ArcSwap::from_pointee(value))
    }

    /// A cell that holds a shared value.
    pub(crate) fn of(value: Arc<T>) -> Self {
        Self(arc_swap::ArcSwap::new(value))
    }

    /// Calls `f` with the current value. Lock-free; about 8 ns.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.0.load())
    }

    /// The current value, shared. Lock-free.
    pub(crate) fn load_full(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Replaces the value by what `change` makes of it, again and again until nobody interfered;
    /// `change` may therefore run several times. Gives back the value that it replaced.
    pub(crate) fn rcu(&self, change: impl FnMut(&Arc<T>) -> Arc<T>) -> Arc<T> {
        self.0.rcu(change)
    }
}
