//! One lane: an array that one thread at a time writes, and anybody reads.
//!
//! ```text
//! ahead   IDLE, or: what is published next has a greater stamp than this     written by the owner
//! len     so many records are published                                     written by the owner
//! ```
//!
//! The two share a line, which no other writer touches. Records stand in buckets of doubling size, which never
//! move and are freed with the lane. Stamps rise from record to record; those of a batch are the same.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// log2 of the slots of the first bucket.
const FIRST_BITS: u32 = 6;
const BUCKETS: usize = 40;
/// The owner is not appending.
const IDLE: u64 = u64::MAX;

/// A lane.
pub(super) struct Lane<T> {
    words: CachePadded<Words>,
    is_taken: AtomicBool,
    buckets: [AtomicPtr<Slot<T>>; BUCKETS],
}

struct Words {
    ahead: AtomicU64,
    len: AtomicU64,
}

struct Slot<T> {
    stamp: UnsafeCell<u64>,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the owner writes slots from `len` on, others read those before it.
unsafe impl<T: Send + Sync> Sync for Lane<T> {}
// SAFETY: the lane owns its values.
unsafe impl<T: Send> Send for Lane<T> {}

/// The bucket of a slot, and its place there.
const fn place(number: u64) -> (usize, usize) {
    let shifted = number + (1 << FIRST_BITS);
    let bits = shifted.ilog2();
    ((bits - FIRST_BITS) as usize, (shifted - (1 << bits)) as usize)
}

const fn bucket_len(bucket: usize) -> usize {
    1 << (FIRST_BITS as usize + bucket)
}

impl<T> Lane<T> {
    pub(super) fn new() -> Self {
        Self {
            words: CachePadded::new(Words { ahead: AtomicU64::new(IDLE), len: AtomicU64::new(0) }),
            is_taken: AtomicBool::new(false),
            buckets: [const { AtomicPtr::new(ptr::null_mut()) }; BUCKETS],
        }
    }

    /// Makes the caller the owner, if there is none.
    pub(super) fn take(&self) -> bool {
        // Acquire pairs with `give_back`: the new owner goes on where the last one stopped.
        self.is_taken
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed) // nothing is read after a failure
            .is_ok()
    }

    pub(super) fn give_back(&self) {
        // Release pairs with `take`.
        self.is_taken.store(false, Ordering::Release);
    }

    /// Published records.
    pub(super) fn len(&self) -> u64 {
        // Acquire pairs with `publish`: the records before it may be read.
        self.words.len.load(Ordering::Acquire)
    }

    /// If the owner is about to publish: what comes has a greater stamp than this.
    pub(super) fn ahead(&self) -> Option<u64> {
        // Acquire pairs with `announce` and `publish`: a length that is loaded behind this includes what the owner
        // published before it.
        Some(self.words.ahead.load(Ordering::Acquire)).filter(|ahead| *ahead != IDLE)
    }

    /// Says that something with a greater stamp than `bound` is about to be published. Stamps are taken behind this.
    #[inline(always)]
    pub(super) fn announce(&self, bound: u64) {
        // An exchange, because it is done, and seen by all, before the clock is read behind it: a store could wait
        // in the processor. SeqCst says so to the compiler; Release pairs with `ahead`.
        self.words.ahead.swap(bound, Ordering::SeqCst);
    }

    /// Publishes the records before `len`, and ends the announcement.
    #[inline(always)]
    pub(super) fn publish(&self, len: u64) {
        // Release pairs with `len`.
        self.words.len.store(len, Ordering::Release);
        // Release pairs with `ahead`: who finds the lane idle finds the records.
        self.words.ahead.store(IDLE, Ordering::Release);
    }

    /// Writes a record to a slot; it gets its stamp later.
    ///
    /// # Safety
    /// The caller owns the lane, and the slot is not published.
    #[inline(always)]
    pub(super) unsafe fn write(&self, number: u64, value: T) {
        let (bucket, index) = place(number);
        // Relaxed: only the owner makes buckets.
        let mut slots = self.buckets[bucket].load(Ordering::Relaxed);
        if slots.is_null() {
            slots = self.make_bucket(bucket);
        }
        // SAFETY: the index is within the bucket, and nobody else looks at the slot.
        unsafe { (*(*slots.add(index)).value.get()).write(value) };
    }

    #[cold]
    fn make_bucket(&self, bucket: usize) -> *mut Slot<T> {
        let slots = Box::<[Slot<T>]>::new_uninit_slice(bucket_len(bucket));
        let slots = Box::into_raw(slots).cast::<Slot<T>>();
        // Relaxed: readers come here behind an Acquire of `len`.
        self.buckets[bucket].store(slots, Ordering::Relaxed);
        slots
    }

    /// Gives stamps to slots that were written.
    ///
    /// # Safety
    /// As [`Lane::write`], which was called for all of them.
    #[inline(always)]
    pub(super) unsafe fn stamp(&self, numbers: Range<u64>, stamp: u64) {
        for number in numbers {
            // SAFETY: the slot has a bucket, and nobody else looks at it.
            unsafe { *self.slot(number).stamp.get() = stamp };
        }
    }

    /// # Safety
    /// The slot was written by the caller, or the caller has seen that it is published.
    #[inline(always)]
    unsafe fn slot(&self, number: u64) -> &Slot<T> {
        let (bucket, index) = place(number);
        // Relaxed: the caller is the owner, or has acquired `len`, which was stored behind the bucket.
        let slots = self.buckets[bucket].load(Ordering::Relaxed);
        // SAFETY: a written slot has a bucket, which lives as long as the lane.
        unsafe { &*slots.add(index) }
    }

    /// # Safety
    /// The caller has seen by [`Lane::len`] that the slot is published.
    #[inline(always)]
    pub(super) unsafe fn stamp_of(&self, number: u64) -> u64 {
        // SAFETY: published slots are not written any more.
        unsafe { *self.slot(number).stamp.get() }
    }

    /// # Safety
    /// As [`Lane::stamp_of`].
    #[inline(always)]
    pub(super) unsafe fn value(&self, number: u64) -> &T {
        // SAFETY: published slots hold a value, and are not written any more.
        unsafe { (*self.slot(number).value.get()).assume_init_ref() }
    }

    /// How many of the first `len` records have a stamp of `limit` at the most. Nearly always all of them.
    ///
    /// # Safety
    /// The caller has seen that `len` are published.
    pub(super) unsafe fn until(&self, limit: u64, len: u64) -> u64 {
        // SAFETY: all of these are published.
        let is_in = |number| unsafe { self.stamp_of(number) } <= limit;
        if len == 0 || is_in(len - 1) {
            return len;
        }
        let (mut inside, mut outside) = (0, len - 1);
        while inside < outside {
            let middle = inside + (outside - inside) / 2;
            if is_in(middle) { inside = middle + 1 } else { outside = middle }
        }
        inside
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        for number in 0..*self.words.len.get_mut() {
            // SAFETY: published, and dropped once; `&mut self` means that nobody reads.
            unsafe { (*self.slot(number).value.get()).assume_init_drop() };
        }
        for (bucket, slots) in self.buckets.iter_mut().enumerate() {
            if !slots.get_mut().is_null() {
                let slots = ptr::slice_from_raw_parts_mut(*slots.get_mut(), bucket_len(bucket));
                // SAFETY: made by `make_bucket` with this length; the cast says that nothing in it is dropped.
                drop(unsafe { Box::from_raw(slots as *mut [MaybeUninit<Slot<T>>]) });
            }
        }
    }
}
