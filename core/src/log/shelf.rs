//! A shelf: a few places where a segment without a number waits for whoever takes it next.
//!
//! The log keeps two: empty blocks to install again (spares), and dead blocks whose values are still
//! to be dropped, a few per append (the dying); and a third, if it was asked for, with what was
//! [provisioned](super::provision).
//!
//! # State
//!
//! Each place is null or holds a block; who takes a block owns it alone. A put that finds no place
//! free fails at once: a queue in which one thread can make another wait does not belong here.
//!
//! ```text
//! null --put (CAS)--> block --take (CAS)--> null
//!   \------------close (swap)-------/--> CLOSED
//! ```
//!
//! The sealer closes all shelves, since nobody would come for what lies there. Of a put and the close
//! one comes first: either the closer finds the block, or the giver keeps it.
//!
//! # Orderings
//!
//! Put is Release, take and close are Acquire: the taker sees all that the giver did to the block.
//!
//! # Progress
//!
//! Wait-free: at most one operation per place.
//!
//! Models: `recycle`, `panicking_drop`, `install_spare`, `taken_back`, `retention_against_seal`.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::segment::{Header, SegmentRef};
use crate::sync::atomic::{AtomicPtr, Ordering};

/// Marks a place that takes no more blocks; no allocation is at this address.
const fn closed() -> *mut Header {
    ptr::without_provenance_mut(1)
}

/// The block in a place, if there is one.
fn block_at(place: *mut Header) -> Option<NonNull<Header>> {
    NonNull::new(place).filter(|block| block.as_ptr() != closed())
}

/// Up to `PLACES` segments that belong to whoever takes them.
pub(crate) struct Shelf<T, const PLACES: usize> {
    places: [AtomicPtr<Header>; PLACES],
    values: PhantomData<*mut T>,
}

impl<T, const PLACES: usize> Default for Shelf<T, PLACES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const PLACES: usize> Shelf<T, PLACES> {
    pub(crate) fn new() -> Self {
        Self {
            places: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            values: PhantomData,
        }
    }

    /// Hands a block over, or gives it back when no place is free or the shelf is closed.
    pub(crate) fn put(&self, block: SegmentRef<T>) -> Result<(), SegmentRef<T>> {
        for place in &self.places {
            let put = place.compare_exchange(
                ptr::null_mut(),
                block.as_ptr(),
                Ordering::Release, // pairs with `take` and `close`
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
            // A look first keeps an empty shelf's cache line shared. Relaxed: the CAS decides.
            let block = block_at(place.load(Ordering::Relaxed))?;
            let taken = place.compare_exchange(
                block.as_ptr(),
                ptr::null_mut(),
                Ordering::Acquire, // pairs with the CAS in `put`
                Ordering::Relaxed, // somebody else has it
            );
            // What was taken, not what was seen: another block may have come to the same address
            // meanwhile, and a pointer to the former one is no pointer to it.
            block_at(taken.ok()?).map(SegmentRef::from_raw)
        })
    }

    /// Takes all blocks, and takes care that no put succeeds any more.
    pub(crate) fn close(&self, mut visit: impl FnMut(SegmentRef<T>)) {
        for place in &self.places {
            // Acquire pairs with the CAS in `put`. An RMW, because it competes with that CAS: one of
            // the two comes first, and the other knows.
            if let Some(block) = block_at(place.swap(closed(), Ordering::Acquire)) {
                visit(SegmentRef::from_raw(block));
            }
        }
    }

    /// Whether half of the places are taken at the moment; others may put and take meanwhile.
    pub(crate) fn is_half_full(&self) -> bool {
        self.len() >= PLACES as u64 / 2
    }

    /// How many blocks lie here at the moment, for statistics.
    pub(crate) fn len(&self) -> u64 {
        // Relaxed: a number to look at.
        self.places.iter().filter_map(|place| block_at(place.load(Ordering::Relaxed))).count()
            as u64
    }
}

#[cfg(all(test, not(streamcore_loom)))]
mod tests {
    use super::*;

    const SLOTS: usize = 8;

    fn free(block: SegmentRef<u64>) {
        // SAFETY: the tests' blocks are allocated with so many slots, and freed once.
        unsafe { block.free(SLOTS) }
    }

    #[test]
    fn a_full_shelf_gives_the_block_back() {
        let shelf = Shelf::<u64, 2>::new();
        assert!(shelf.put(SegmentRef::allocate(SLOTS)).is_ok());
        assert!(shelf.put(SegmentRef::allocate(SLOTS)).is_ok());
        free(shelf.put(SegmentRef::allocate(SLOTS)).unwrap_err());
        assert_eq!(shelf.len(), 2);
        while let Some(block) = shelf.take() {
            free(block);
        }
        assert_eq!(shelf.len(), 0);
    }

    #[test]
    fn a_closed_shelf_is_empty_and_takes_nothing() {
        let shelf = Shelf::<u64, 2>::new();
        assert!(shelf.put(SegmentRef::allocate(SLOTS)).is_ok());
        let mut found = 0;
        for _ in 0..2 {
            shelf.close(|block| {
                found += 1;
                free(block);
            });
        }
        assert_eq!(found, 1);
        assert!(shelf.take().is_none());
        free(shelf.put(SegmentRef::allocate(SLOTS)).unwrap_err());
        assert_eq!(shelf.len(), 0);
        assert!(!shelf.is_half_full());
    }

    #[test]
    fn a_shelf_is_half_full_with_half_of_its_places_taken() {
        let shelf = Shelf::<u64, 4>::new();
        for (taken, is_half_full) in [(0, false), (1, false), (2, true), (3, true), (4, true)] {
            assert_eq!((shelf.len(), shelf.is_half_full()), (taken, is_half_full));
            if let Err(block) = shelf.put(SegmentRef::allocate(SLOTS)) {
                free(block);
            }
        }
        let mut taken = 0;
        while let Some(block) = shelf.take() {
            free(block);
            taken += 1;
        }
        assert_eq!(taken, 4);
    }
}
