//! The directory: which block is segment `n`, and how many readers are inside it.
//!
//! # State
//!
//! Rows, each of which makes the table four times as long, made when first needed, never moved, freed
//! with the log. (Zeroed memory costs nothing until it is touched, so a long row is no waste; few rows
//! keep the empty log small.) A row holds two
//! arrays, on different cache lines: the segments' pointers, which writers read, and their pin
//! words, which readers count in ([`pins`](super::pins)). Both are indexed by the segment's number itself, so
//! that a writer need not subtract: a row's first quarter, which earlier rows answer for, is never touched.
//! An entry's life:
//!
//! ```text
//! null --install (CAS)--> block --claim, or seal of an unused one (swap)--> TOMBSTONE
//!   \--------------------------seal, nothing installed (swap)---------------/
//! ```
//!
//! A tombstone never becomes null again: a writer that stalled before it could install a segment
//! finds out by its failing CAS that the segment has lived and died meanwhile.
//!
//! # Who may do what
//!
//! Anybody installs; one wins, the others give their block back. Only the claimer of a trimmed
//! segment, or the sealer for the segment behind the end, buries an entry.
//!
//! # Orderings
//!
//! Rows and blocks are published with Release and found with Acquire: who sees a pointer sees the
//! zeroed memory behind it.
//!
//! # Progress
//!
//! [`Directory::find`] is wait-free. [`Directory::install`] is wait-free apart from the allocator:
//! one CAS per row and per entry, and whoever loses uses the winner's.
//!
//! Models: `install`, `install_ahead`, `install_spare`, `late_install`, `taken_back`.

use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::pins::PinWord;
use super::position::SegmentNo;
use super::segment::{Header, SegmentRef};
use crate::sync;
use crate::sync::atomic::{AtomicPtr, Ordering};

/// A row for every number that a segment can have, so that no lookup checks for one that is not there.
/// Memory ends long before: see [`out_of_positions`].
const ROWS: usize = if cfg!(streamcore_loom) { 4 } else { 32 };

/// The row of a segment: the first one holds 0 to 2, each of the others four times as many as the one before.
#[inline(always)]
const fn row_of(segment: SegmentNo) -> usize {
    match (segment.get() + 1).checked_ilog2() {
        Some(bits) => (bits / 2) as usize,
        None => unreachable!(),
    }
}

/// log2 of the longest row that the address space could hold.
const MOST_BITS: usize = if usize::BITS >= 64 { 48 } else { 26 };

/// Behind the last segment of a row; how many entries it has room for. `None` if no memory would hold them.
const fn row_end(row: usize) -> Option<usize> {
    let bits = 2 * row + 2;
    if bits <= MOST_BITS { Some((1 << bits) - 1) } else { None }
}

/// The first segment of a row.
const fn row_start(row: usize) -> usize {
    (1 << (2 * row)) - 1
}

/// What an entry holds.
pub(crate) enum Found<T> {
    /// Nothing yet.
    Nothing,
    /// The segment's block.
    Block(SegmentRef<T>),
    /// The segment lived and is gone.
    Tombstone,
}

/// One array of entry pointers; the array of pin words stands behind it in the same block.
type RowPtr = AtomicPtr<AtomicPtr<Header>>;

/// The table of all segments of one log.
pub(crate) struct Directory<T> {
    rows: [RowPtr; ROWS],
    values: PhantomData<*mut T>,
}

/// Marks a segment that is gone; its address is never used for memory, since no allocation is there.
const fn tombstone() -> *mut Header {
    ptr::without_provenance_mut(1)
}

impl<T> Found<T> {
    #[inline(always)]
    fn from_ptr(block: *mut Header) -> Self {
        match NonNull::new(block) {
            None => Self::Nothing,
            Some(_) if block == tombstone() => Self::Tombstone,
            Some(block) => Self::Block(SegmentRef::from_raw(block)),
        }
    }
}

impl<T> Directory<T> {
    pub(crate) fn new() -> Self {
        Self { rows: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())), values: PhantomData }
    }

    /// Whether there is memory for the row of `segment` at the moment.
    pub(crate) fn can_hold(segment: SegmentNo) -> bool {
        let len = if segment.get() < 1 << MOST_BITS { row_end(row_of(segment)) } else { None };
        len.is_some_and(|len| {
            let (layout, _) = row_layout(len);
            Vec::<u8>::new().try_reserve_exact(layout.size()).is_ok()
        })
    }

    /// What stands in the entry of `segment`.
    #[inline(always)]
    pub(crate) fn find(&self, segment: SegmentNo) -> Found<T> {
        let Some(row) = self.row(row_of(segment)) else {
            return Found::Nothing;
        };
        // Acquire pairs with the CAS in `install`: who sees the block sees its zeroed slots.
        Found::from_ptr(entry(row, segment).load(Ordering::Acquire))
    }

    /// Puts `fresh` into the entry of `segment` if it is still empty.
    pub(crate) fn install(&self, segment: SegmentNo, fresh: SegmentRef<T>) -> Installed<T> {
        let row = self.row_or_make(row_of(segment));
        let installed = entry(row, segment).compare_exchange(
            ptr::null_mut(),
            fresh.as_ptr(),
            Ordering::Release, // pairs with the load in `find` and the failure below
            Ordering::Acquire, // pairs with the CAS of whoever won
        );
        match installed {
            Ok(_) => Installed::Ours,
            Err(other) => match Found::from_ptr(other) {
                Found::Block(theirs) => Installed::Theirs { block: theirs, ours: fresh },
                Found::Nothing | Found::Tombstone => Installed::TooLate { ours: fresh },
            },
        }
    }

    /// Ends the entry of `segment`: whoever comes later finds that it is gone. Gives the caller
    /// what stood there; a block is then the caller's own.
    pub(crate) fn bury(&self, segment: SegmentNo) -> Found<T> {
        let row = self.row_or_make(row_of(segment));
        // Acquire pairs with the CAS in `install`, since the caller goes on to use the block. An RMW,
        // because it competes with that CAS: one of the two comes first, and the other knows.
        Found::from_ptr(entry(row, segment).swap(tombstone(), Ordering::Acquire))
    }

    /// The pin word of `segment`, if its row exists.
    #[inline(always)]
    pub(crate) fn pin_word(&self, segment: SegmentNo) -> Option<&PinWord> {
        let number = row_of(segment);
        let row = self.row(number)?;
        let pins = pins_of(row, row_end(number)?);
        // SAFETY: the row's block holds as many pin words as entries, and lives as long as `self`.
        Some(unsafe { &*pins.add(segment.get() as usize) })
    }

    /// Visits every block that still stands in the directory; they are the caller's.
    pub(crate) fn drain(&mut self, mut visit: impl FnMut(SegmentNo, SegmentRef<T>)) {
        for row in 0..ROWS {
            let (Some(first), Some(end)) = (self.row(row), row_end(row)) else {
                continue;
            };
            for number in row_start(row)..end {
                let segment = SegmentNo::new(number as u64);
                // Relaxed: `&mut self` means that every other thread's use is ordered before.
                let block = entry(first, segment).swap(tombstone(), Ordering::Relaxed);
                if let Found::Block(block) = Found::from_ptr(block) {
                    visit(segment, block);
                }
            }
        }
    }

    #[inline(always)]
    fn row(&self, row: usize) -> Option<NonNull<AtomicPtr<Header>>> {
        // Acquire pairs with the CAS in `row_or_make`: who sees the row sees its zeroed entries.
        NonNull::new(self.rows.get(row)?.load(Ordering::Acquire))
    }

    fn row_or_make(&self, row: usize) -> NonNull<AtomicPtr<Header>> {
        if let Some(first) = self.row(row) {
            return first;
        }
        self.make_row(row)
    }

    #[cold]
    fn make_row(&self, row: usize) -> NonNull<AtomicPtr<Header>> {
        let (Some(place), Some(len)) = (self.rows.get(row), row_end(row)) else {
            out_of_positions()
        };
        let fresh = allocate_row(len);
        let made = place.compare_exchange(
            ptr::null_mut(),
            fresh.as_ptr(),
            Ordering::Release, // pairs with the load in `row` and the failure below
            Ordering::Acquire, // pairs with the CAS of whoever won
        );
        match made.map_err(NonNull::new) {
            Err(Some(theirs)) => {
                // SAFETY: the row lost the race, so nobody else has seen it.
                unsafe { free_row(fresh, len) };
                theirs
            }
            Ok(_) | Err(None) => fresh,
        }
    }
}

impl<T> Drop for Directory<T> {
    fn drop(&mut self) {
        for row in 0..ROWS {
            if let (Some(first), Some(len)) = (self.row(row), row_end(row)) {
                // SAFETY: the last owner frees; blocks were drained by the log before.
                unsafe { free_row(first, len) };
            }
        }
    }
}

/// How an attempt to install ended.
pub(crate) enum Installed<T> {
    /// The block that was offered is the segment now.
    Ours,
    /// Another block was there first; the offered one comes back.
    Theirs { block: SegmentRef<T>, ours: SegmentRef<T> },
    /// The segment lived and is gone; the offered block comes back.
    TooLate { ours: SegmentRef<T> },
}

#[inline(always)]
fn entry<'a>(row: NonNull<AtomicPtr<Header>>, segment: SegmentNo) -> &'a AtomicPtr<Header> {
    // SAFETY: callers give the segment's row, which has room for all numbers before `row_end`; and rows
    // live as long as the directory, which every caller borrows.
    unsafe { row.add(segment.get() as usize).as_ref() }
}

/// The layout of a row of `len` entries, and where its pin words begin.
fn row_layout(len: usize) -> (Layout, usize) {
    // Pin words begin on a cache line of their own: readers count there, writers read the entries.
    let pins_at = (len * size_of::<AtomicPtr<Header>>()).next_multiple_of(64);
    let size = pins_at + len * size_of::<PinWord>();
    let layout = Layout::from_size_align(size, 64).expect("a row fits the address space");
    (layout, pins_at)
}

#[inline(always)]
fn pins_of(row: NonNull<AtomicPtr<Header>>, len: usize) -> *const PinWord {
    let pins_at = (len * size_of::<AtomicPtr<Header>>()).next_multiple_of(64);
    // SAFETY: the offset lies inside the row's block, by `row_layout`.
    unsafe { row.as_ptr().byte_add(pins_at).cast() }
}

fn allocate_row(len: usize) -> NonNull<AtomicPtr<Header>> {
    let (layout, pins_at) = row_layout(len);
    let block = sync::allocate_zeroed(layout);
    // SAFETY: the block is zeroed, fresh, and holds `len` of each, by `row_layout`.
    unsafe {
        sync::init_zeroed(block.cast::<AtomicPtr<Header>>(), len);
        sync::init_zeroed(block.add(pins_at).cast::<PinWord>(), len);
        NonNull::new_unchecked(block.cast())
    }
}

/// # Safety
/// Nobody uses the row any more.
unsafe fn free_row(row: NonNull<AtomicPtr<Header>>, len: usize) {
    let (layout, _) = row_layout(len);
    // SAFETY: passed on to the caller; the layout is that of `allocate_row`.
    unsafe { sync::release(row.as_ptr().cast(), layout) }
}

/// The writer holds a reserved position that can never be published, so the log is stuck for good.
#[cold]
fn out_of_positions() -> ! {
    eprintln!(
        "streamcore: the log has used up its positions (2^50 at the least, or 2^28 with 32 bits)"
    );
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_each_other_without_gap_or_overlap() {
        let mut row = 0;
        for number in 0..100_000 {
            if Some(number) == row_end(row) {
                row += 1;
                assert_eq!(number, row_start(row));
            }
            assert_eq!(row_of(SegmentNo::new(number as u64)), row);
        }
    }

    #[test]
    fn an_unmade_row_answers_nothing() {
        let directory = Directory::<u64>::new();
        assert!(matches!(directory.find(SegmentNo::new(1 << 40)), Found::Nothing));
        assert!(directory.pin_word(SegmentNo::new(3)).is_none());
    }

    #[test]
    fn a_tombstone_takes_no_block() {
        let directory = Directory::<u64>::new();
        let n = SegmentNo::new(3);
        assert!(matches!(directory.bury(n), Found::Nothing));
        let block = SegmentRef::<u64>::allocate(8);
        let Installed::TooLate { ours } = directory.install(n, block) else {
            panic!("installed over a tombstone")
        };
        // SAFETY: the block came back unused.
        unsafe { ours.free(8) };
    }

    #[test]
    fn there_are_rows_for_as_many_positions_as_is_said() {
        use super::super::position::{Geometry, Position};
        if usize::BITS < 64 {
            return;
        }
        let end = |last| row_end(row_of(Geometry::<[u8; 100_000]>::locate(last).segment));
        let last = Position::new((1 << 50) - 1);
        assert!(end(last).is_some(), "eight slots a segment are the least");
        assert_eq!(end(Position::new(1 << 52)), None, "such a row is not even asked for");
        assert!(row_of(SegmentNo::new(u64::MAX >> 2)) < ROWS);
        assert!(Directory::<u64>::new().pin_word(SegmentNo::new(1 << 50)).is_none());
    }

    #[test]
    fn pin_words_stand_behind_the_entries_on_cache_lines_of_their_own() {
        for row in 0..8 {
            let len = row_end(row).unwrap();
            let first = allocate_row(len);
            let pins = pins_of(first, len);
            let (entries, pins_at) = (first.as_ptr().addr(), pins.addr());
            assert_eq!((entries % 64, pins_at % 64), (0, 0));
            assert!(pins_at >= entries + len * size_of::<RowPtr>());
            let (layout, offset) = row_layout(len);
            assert_eq!(offset, pins_at - entries);
            assert_eq!(layout.size(), offset + len * size_of::<PinWord>());
            // SAFETY: nobody uses the row.
            unsafe { free_row(first, len) };
        }
    }

    #[test]
    fn an_entry_holds_its_block_until_it_is_buried_and_none_afterwards() {
        let directory = Directory::<u64>::new();
        for number in [0, 7, 8, 31, 32, 1_000] {
            let n = SegmentNo::new(number);
            let (block, other) = (SegmentRef::<u64>::allocate(8), SegmentRef::allocate(8));
            assert!(matches!(directory.install(n, block), Installed::Ours));
            assert!(matches!(directory.find(n), Found::Block(it) if it.as_ptr() == block.as_ptr()));
            let Installed::Theirs { block: theirs, ours } = directory.install(n, other) else {
                panic!("installed over a block")
            };
            assert_eq!((theirs.as_ptr(), ours.as_ptr()), (block.as_ptr(), other.as_ptr()));
            assert!(matches!(directory.bury(n), Found::Block(it) if it.as_ptr() == block.as_ptr()));
            assert!(matches!(directory.find(n), Found::Tombstone));
            assert!(matches!(directory.bury(n), Found::Tombstone));
            assert!(matches!(directory.find(n.next()), Found::Nothing | Found::Tombstone));
            // SAFETY: neither of them stands in the directory.
            unsafe { (block.free(8), other.free(8)) };
        }
    }

    #[test]
    fn what_is_left_is_drained_with_its_number_though_rows_are_missing() {
        let mut directory = Directory::<u64>::new();
        let numbers = [3, 40, 100, 600];
        for number in numbers {
            let block = SegmentRef::<u64>::allocate(8);
            assert!(matches!(directory.install(SegmentNo::new(number), block), Installed::Ours));
        }
        directory.bury(SegmentNo::new(2_100));
        let mut drained = Vec::new();
        for _ in 0..2 {
            directory.drain(|segment, block| {
                drained.push(segment.get());
                // SAFETY: it is handed over once.
                unsafe { block.free(8) };
            });
        }
        assert_eq!(drained, numbers);
    }
}
