//! A shelf: a few places where a segment without a number waits for whoever takes it next.
//!
//! The log keeps two: empty blocks to install again (spares), and dead blocks whose values are still
//! to be dropped, a few per append (the dying).
//!
//! # State
//!
//! Each place is null or holds a block; who takes a block owns it alone. A put that finds no place
//! free fails at once: a queue in which one thread can make another wait does not belong here.
//!
//! # Orderings
//!
//! Put is Release, take is Acquire: the taker sees all that the giver did to the block.
//!
//! # Progress
//!
//! Wait-free: at most one operation per place.
//!
//! Models: `recycle`, `panic`.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::segment::{Header, SegmentRef};
use crate::sync::atomic::{AtomicPtr, Ordering};

/// Up to `PLACES` segments that belong to whoever takes them.
pub(crate) struct Shelf<T, const PLACES: usize> {
    places: [AtomicPtr<Header>; PLACES],
    values: PhantomData<*mut T>,
}

impl<T, const PLACES: usize> Shelf<T, PLACES> {
    pub(crate) fn new() -> Self {
        Self {
            places: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            values: PhantomData,
        }
    }

    /// Hands a block over, or gives it back when no place is free.
    pub(crate) fn put(&self, block: SegmentRef<T>) -> Result<(), SegmentRef<T>> {
        for place in &self.places {
            let put = place.compare_exchange(
                ptr::null_mut(),
                block.as_ptr(),
                Ordering::Release, // pairs with the swap in `take`
                Ordering::Relaxed, // nothing is read after a failure
            );
            if put.is_ok() {
                return Ok(());
            }
        }
        Err(block)
    }

    /// Takes a block, if there is one: it is the caller's own.
    pub(crate) fn take(&self) -> Option<SegmentRef<T>> {
        self.places.iter().find_map(|place| {
            // A look before the swap keeps an empty shelf's cache line shared. Relaxed: the swap
            // decides.
            if place.load(Ordering::Relaxed).is_null() {
                return None;
            }
            // Acquire pairs with the CAS in `put`.
            NonNull::new(place.swap(ptr::null_mut(), Ordering::Acquire)).map(SegmentRef::from_raw)
        })
    }

    /// Whether half of the places are taken at the moment; others may put and take meanwhile.
    pub(crate) fn is_half_full(&self) -> bool {
        self.len() >= PLACES as u64 / 2
    }

    /// How many blocks lie here at the moment, for statistics.
    pub(crate) fn len(&self) -> u64 {
        // Relaxed: a number to look at.
        self.places.iter().filter(|place| !place.load(Ordering::Relaxed).is_null()).count() as u64
    }
}
