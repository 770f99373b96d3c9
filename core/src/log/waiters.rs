//! Waiting: sleepers leave a node and a bit in the tail, and cost writers nothing while nobody sleeps.
//!
//! # State
//!
//! The list is a stack of nodes that only grows until somebody takes it whole. A node belongs to one
//! cursor, which uses it again and again; `queued` says that it is in the list, or about to be taken
//! out by whoever holds the list.
//!
//! ```text
//! waiter:  leave waker -> queued = true -> push -> set WAITERS -> look again -> sleep
//! waker:   clear WAITERS -> take the whole list -> per node: queued = false -> take waker -> wake
//! ```
//!
//! The waiter looks again after setting the bit, and the waker clears the bit before it takes the
//! list: so a record that the waiter did not see was reserved before the bit was set, or is
//! followed by a wake.
//!
//! A record *reserved* before the bit was set is the rest: its writer did not see the bit and owes
//! nobody a wake. The waiter learns from the result of its own `fetch_or` that there is one; it
//! then sleeps in bounded steps (a task wakes itself) until the record is there. Writers stay
//! untouched.
//!
//! # Who may do what
//!
//! Any thread wakes. Wakers are user code: they run after publishing, and a panic in one is contained
//! and counted. A cursor that is dropped while its node is queued leaves the node behind; when a few
//! dozen such nodes have gathered, the next one to be left wakes everybody, which empties the list.
//!
//! # Orderings
//!
//! `queued` is swapped with AcqRel on both sides, so of the waiter's "is it still queued?" and the
//! waker's "not any more" the later one sees what the earlier one did before: either the waker finds
//! the new waker, or the waiter finds that it has to push again.
//!
//! # Progress
//!
//! Registering and waking are lock-free (a push is repeated when another one came in between; waking
//! is bounded by the list). [`Cursor::wait`](super::Cursor::wait) blocks, as its name says.
//!
//! Models: `wake`, `wake_overtaken`, `wake_two`, `wake_again`, `wake_at_seal`, `cancelled_waiter`, `left_again`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::Log;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use crate::sync::{Arc, SMALL, UnsafeCell};

/// So many nodes may lie in the list without an owner before they are swept out.
const ABANDONED: u32 = if SMALL { 1 } else { 32 };

/// One cursor's place in the list.
pub(crate) struct WaitNode {
    /// The node below in the list; belongs to whoever pushes, then to whoever took the list.
    below: UnsafeCell<*const WaitNode>,
    queued: AtomicBool,
    /// The waker that was left last, boxed, until somebody takes it.
    waker: AtomicPtr<Waker>,
}

// SAFETY: `below` is only used by the thread that pushes the node and by the one that took the list,
// and the list's head orders the two; the rest is atomic.
unsafe impl Send for WaitNode {}
// SAFETY: as above.
unsafe impl Sync for WaitNode {}

impl WaitNode {
    pub(crate) fn new() -> Self {
        Self {
            below: UnsafeCell::new(ptr::null()),
            queued: AtomicBool::new(false),
            waker: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Leaves a waker in place of the one before.
    fn leave(&self, waker: &Waker) {
        let new = Box::into_raw(Box::new(waker.clone()));
        // Release pairs with the swap in `take`. Not Acquire: a waker that is still here was left by
        // this cursor, whose calls are in order, and nobody has touched it since.
        drop_waker(self.waker.swap(new, Ordering::Release));
    }

    fn take(&self) -> Option<Box<Waker>> {
        // Acquire pairs with the swap in `leave`. Not Release: nothing is read through the null.
        let waker = self.waker.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: each box is taken out by exactly one swap.
        (!waker.is_null()).then(|| unsafe { Box::from_raw(waker) })
    }

    /// Sets the queue mark and returns whether it was set.
    fn mark_queued(&self) -> bool {
        // AcqRel pairs with the swap in `unmark_queued`, see `# Orderings`.
        self.queued.swap(true, Ordering::AcqRel)
    }

    fn unmark_queued(&self) {
        // AcqRel pairs with the swap in `mark_queued`, see `# Orderings`.
        self.queued.swap(false, Ordering::AcqRel);
    }
}

impl Drop for WaitNode {
    fn drop(&mut self) {
        // Relaxed: `&mut self` means that every other thread's use is ordered before.
        drop_waker(self.waker.swap(ptr::null_mut(), Ordering::Relaxed));
    }
}

fn drop_waker(waker: *mut Waker) {
    if !waker.is_null() {
        // SAFETY: the caller has just swapped the box out, so it is the only one to have it.
        drop(unsafe { Box::from_raw(waker) });
    }
}

/// The sleepers of one log.
pub(crate) struct WaitList {
    head: AtomicPtr<WaitNode>,
    /// Nodes left in the list by cursors that are gone.
    abandoned: AtomicU32,
}

impl WaitList {
    pub(crate) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()), abandoned: AtomicU32::new(0) }
    }

    fn push(&self, node: Arc<WaitNode>) {
        let node = Arc::into_raw(node);
        // Relaxed: the CAS checks it, and the pointer is only passed on.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the queue mark makes the pusher the only user of `below`, and the list's share
            // of ownership keeps the node alive.
            unsafe { (*node).below.with_mut(|below| *below = head) };
            // Release pairs with the swap in `take_all`: the taker sees `below` of every node, since
            // pushes and takes are RMWs, and a chain of them passes each Release on.
            match self.head.compare_exchange(
                head,
                node.cast_mut(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes all nodes out; each of them is handed to `visit`, no longer queued.
    fn take_all(&self, mut visit: impl FnMut(Arc<WaitNode>)) {
        // Acquire pairs with the CAS in `push`.
        let mut next = NonNull::new(self.head.swap(ptr::null_mut(), Ordering::Acquire));
        // Relaxed: a hint for when to sweep.
        self.abandoned.store(0, Ordering::Relaxed);
        while let Some(node) = next {
            // SAFETY: the list owned a share of the node, which passes to us; `below` was written by
            // the pusher, and nobody writes it again before `queued` is cleared.
            let node = unsafe { Arc::from_raw(node.as_ptr().cast_const()) };
            next = NonNull::new(node.below.with(|below| {
                // SAFETY: as above.
                unsafe { *below }.cast_mut()
            }));
            node.unmark_queued();
            visit(node);
        }
    }

    /// How many nodes are queued, for statistics: walks nothing, so it tells only "some" or "none".
    pub(crate) fn is_empty(&self) -> bool {
        // Relaxed: a number to look at.
        self.head.load(Ordering::Relaxed).is_null()
    }
}

impl Drop for WaitList {
    fn drop(&mut self) {
        self.take_all(drop);
    }
}

impl<T, S> Log<T, S> {
    /// Puts the node into the list, with the waker to call.
    pub(crate) fn enlist(&self, node: &Arc<WaitNode>, waker: &Waker) {
        node.leave(waker);
        // If it is queued still, whoever takes it out does so after this mark, and finds the waker.
        if !node.mark_queued() {
            self.wait_list().push(Arc::clone(node));
        }
    }

    /// A cursor goes and leaves its node behind.
    pub(crate) fn abandon(&self, node: Arc<WaitNode>) {
        drop(node.take());
        // Relaxed: a hint for when to sweep; nothing that others wrote is used behind it.
        let queued = node.queued.load(Ordering::Relaxed);
        drop(node);
        if queued {
            // Relaxed: a hint for when to sweep.
            let before = self.wait_list().abandoned.fetch_add(1, Ordering::Relaxed);
            if before + 1 >= ABANDONED {
                self.wake();
            }
        }
    }

    /// Wakes everybody who sleeps.
    #[cold]
    pub(crate) fn wake(&self) {
        // First the bit, then the list: a waiter that pushes after the list was taken sets it again.
        self.tail().clear_waiters();
        self.wait_list().take_all(|node| {
            if let Some(waker) = node.take() {
                // A waker is user code; its panic must not reach the appender, nor stop the others.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                    std::mem::forget(payload);
                    self.count_panics(1);
                }
            }
        });
    }
}
