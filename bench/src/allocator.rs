//! The allocator of everything in this package: mimalloc, behind a counter for each thread.
//!
//! Counting costs two additions to a thread's own memory per allocation and nothing elsewhere, so the
//! figures of code that does not allocate are not touched.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ops::Sub;

use mimalloc::MiMalloc;

/// mimalloc, counted.
pub struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static TOTAL: Cell<Allocations> = const { Cell::new(Allocations { count: 0, bytes: 0 }) };
}

/// What a thread has asked the allocator for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allocations {
    /// How often.
    pub count: u64,
    /// How many bytes in all.
    pub bytes: u64,
}

impl Allocations {
    /// What the calling thread has allocated so far.
    #[must_use]
    pub fn of_this_thread() -> Self {
        TOTAL.get()
    }
}

impl Sub for Allocations {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { count: self.count - earlier.count, bytes: self.bytes - earlier.bytes }
    }
}

#[inline]
fn count(bytes: usize) {
    let total = TOTAL.get();
    TOTAL.set(Allocations { count: total.count + 1, bytes: total.bytes + bytes as u64 });
}

// SAFETY: all is mimalloc's; counting touches a thread's own cell, which needs neither a destructor nor an
// allocation, so it may be done at any time of a thread's life.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { MiMalloc.realloc(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_allocates_is_counted_for_it_alone() {
        let before = Allocations::of_this_thread();
        let kept = std::hint::black_box(vec![0u8; 1000]);
        let mine = Allocations::of_this_thread() - before;
        assert_eq!(mine, Allocations { count: 1, bytes: 1000 });
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let before = Allocations::of_this_thread();
            let boxed = std::hint::black_box(Box::new([0u8; 64]));
            let theirs = Allocations::of_this_thread() - before;
            drop(boxed);
            sender.send(theirs).unwrap();
        });
        thread.join().unwrap();
        assert_eq!(receiver.recv().unwrap(), Allocations { count: 1, bytes: 64 });
        drop(kept);
    }
}
