//! A segment: a block of slots, and the word in each that says whether its value may be read.
//!
//! # State
//!
//! A slot's state is a number that no two uses of the same memory share: `segment number + 1`, with
//! a bit for "the batch goes on in the next slot". Memory that comes fresh from the allocator holds
//! 0, which is nobody's number; memory that comes back from an older segment holds that segment's
//! numbers, which are not this one's. So a recycled segment needs no reset.
//!
//! ```text
//! slot of segment n:   anything but n+1  --write value, store n+1-->  READY, for ever
//! ```
//!
//! # Who may do what
//!
//! The writer that reserved a position writes its slot, once. Readers read the slot when its state
//! (or the watermark) tells them to, holding a pin. The one claimer of a trimmed segment
//! ([`pins`](super::pins)) owns the whole block: it drops the values and passes the block on. The first
//! values may be dropped before ([`hollow`](super::hollow)).
//!
//! # Orderings
//!
//! The state's Release store pairs with the Acquire loads of [`SegmentRef::state`].
//!
//! # Progress
//!
//! Wait-free; [`SegmentRef::allocate`] as the allocator.
//!
//! Models: `publish`, `recycle`, `recycle_under_a_late_reader`, `last_owner_drops`, `batch`.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use super::position::{Geometry, SegmentNo};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{self, Life, SMALL, UnsafeCell, Zeroable};

/// What a slot's state says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SlotState(u64);

/// Whether the slot behind a value belongs to the same batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Batch {
    /// The value is alone, or the last of its batch.
    Ends,
    /// The next slot is of the same batch.
    GoesOn,
}

impl SlotState {
    const GOES_ON: u64 = 1;

    #[inline(always)]
    const fn ready(segment: SegmentNo, batch: Batch) -> Self {
        let more = match batch {
            Batch::Ends => 0,
            Batch::GoesOn => Self::GOES_ON,
        };
        Self((segment.get() + 1) << 1 | more)
    }

    /// Whether the value of a slot of `segment` is published.
    #[inline(always)]
    pub(crate) const fn is_ready(self, segment: SegmentNo) -> bool {
        self.0 & !Self::GOES_ON == Self::ready(segment, Batch::Ends).0
    }

    /// Whether the value of a slot of `segment` is published, and its batch ends with it.
    #[inline(always)]
    pub(crate) const fn is_ready_alone(self, segment: SegmentNo) -> bool {
        self.0 == Self::ready(segment, Batch::Ends).0
    }

    /// Whether the batch ends with this slot.
    #[inline(always)]
    pub(crate) const fn batch(self) -> Batch {
        if self.0 & Self::GOES_ON == 0 { Batch::Ends } else { Batch::GoesOn }
    }
}

/// Room for one value.
#[repr(C)]
pub(crate) struct Slot<T> {
    state: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the state 0 is all zero bytes, and uninitialised memory may hold anything.
unsafe impl<T> Zeroable for Slot<T> {
    fn zeroed() -> Self {
        Self { state: AtomicU64::new(0), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }
}

/// What stands before the slots: touched only when a segment is born or dies.
#[repr(C, align(64))]
pub(crate) struct Header {
    life: Life,
    /// How far dropping the segment's values has come. Of the owner of a dead segment, and of who is
    /// alone in a live one.
    progress: UnsafeCell<Progress>,
}

/// A segment's number, and how many of its slots are done with.
#[derive(Clone, Copy)]
struct Progress {
    segment: SegmentNo,
    slots_done: usize,
}

impl Progress {
    /// This one, or that of an untouched segment if this is of the block's last life.
    fn of(self, segment: SegmentNo) -> Self {
        if self.segment == segment { self } else { Self { segment, slots_done: 0 } }
    }
}

/// A pointer to a live segment's block.
///
/// Whoever holds one has a reason why the block lives: an unpublished position in it, a pin, or
/// ownership. The methods that use the block are unsafe for exactly that reason.
pub(crate) struct SegmentRef<T>(NonNull<Header>, std::marker::PhantomData<*mut T>);

impl<T> Clone for SegmentRef<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for SegmentRef<T> {}

impl<T> SegmentRef<T> {
    const SLOTS_OFFSET: usize = {
        let align = align_of::<Slot<T>>();
        size_of::<Header>().next_multiple_of(align)
    };

    fn layout(slots: usize) -> Layout {
        let size = size_of::<Slot<T>>()
            .checked_mul(slots)
            .and_then(|bytes| bytes.checked_add(Self::SLOTS_OFFSET))
            .expect("a segment of such values fits the address space");
        let align = align_of::<Header>().max(align_of::<Slot<T>>());
        Layout::from_size_align(size, align).expect("a segment's layout is valid")
    }

    /// A fresh block of `slots` slots, none of them ready for any segment.
    pub(crate) fn allocate(slots: usize) -> Self {
        let block = sync::allocate_zeroed(Self::layout(slots));
        let header = block.cast::<Header>();
        let empty = Progress { segment: SegmentNo::new(0), slots_done: 0 };
        // SAFETY: the block is fresh, large enough for the header and `slots` slots behind it,
        // aligned for both, and zeroed.
        unsafe {
            header.write(Header { life: Life::begin(), progress: UnsafeCell::new(empty) });
            sync::init_zeroed(block.add(Self::SLOTS_OFFSET).cast::<Slot<T>>(), slots);
            Self::from_raw(NonNull::new_unchecked(header))
        }
    }

    /// Touches each page of a fresh block, so that the system gives them all now.
    ///
    /// # Safety
    /// The block is fresh from [`SegmentRef::allocate`] with as many slots, and the caller alone knows it.
    pub(crate) unsafe fn touch(self, slots: usize) {
        const PAGE: usize = 4096;
        // The models' memory is no memory.
        if !SMALL {
            let last = Self::layout(slots).size() - 1;
            // The last page may begin behind the last step.
            for at in (PAGE..last).step_by(PAGE).chain([last]) {
                // SAFETY: inside of the block and behind its header; slots are zeroed, and stay so.
                unsafe { self.0.as_ptr().cast::<u8>().add(at).write_volatile(0) };
            }
        }
    }

    /// The reference behind a pointer that [`SegmentRef::as_ptr`] gave.
    pub(crate) const fn from_raw(header: NonNull<Header>) -> Self {
        Self(header, std::marker::PhantomData)
    }

    /// The pointer to keep in an atomic.
    pub(crate) const fn as_ptr(self) -> *mut Header {
        self.0.as_ptr()
    }

    /// # Safety
    /// The block lives, and `slot` is smaller than its number of slots.
    #[inline(always)]
    unsafe fn slot<'a>(self, slot: usize) -> &'a Slot<T> {
        // SAFETY: the caller promises that the block lives and that the slot is inside it; slots
        // are only changed through their own interior mutability while the block is shared.
        unsafe {
            self.0.as_ref().life.touch();
            &*self.0.as_ptr().byte_add(Self::SLOTS_OFFSET).cast::<Slot<T>>().add(slot)
        }
    }

    /// Writes a value and makes it readable: the writer's last touch of the segment.
    ///
    /// # Safety
    /// The caller reserved the position that lives in `slot` of `segment`, installed as this block,
    /// and has not published it before.
    #[inline(always)]
    pub(crate) unsafe fn publish(self, segment: SegmentNo, slot: usize, value: T, batch: Batch) {
        // SAFETY: passed on to the caller.
        unsafe {
            self.write(slot, value);
            self.make_ready(segment, slot, batch);
        }
    }

    /// Writes a value, which nobody reads yet.
    ///
    /// # Safety
    /// As [`SegmentRef::publish`].
    #[inline(always)]
    pub(crate) unsafe fn write(self, slot: usize, value: T) {
        // SAFETY: an unpublished position keeps the segment below nobody's trim, so it lives; and
        // no one else writes a reserved slot, nor reads it before its state says so.
        unsafe { self.slot(slot).value.with_mut(|place| (*place).write(value)) };
    }

    /// Makes a value readable that was written.
    ///
    /// # Safety
    /// As [`SegmentRef::publish`]; and the value is written.
    #[inline(always)]
    pub(crate) unsafe fn make_ready(self, segment: SegmentNo, slot: usize, batch: Batch) {
        // SAFETY: an unpublished position keeps the segment alive.
        let slot = unsafe { self.slot(slot) };
        // Release pairs with the load in `state`: who sees READY sees the value.
        slot.state.store(SlotState::ready(segment, batch).0, Ordering::Release);
    }

    /// The state of a slot.
    ///
    /// # Safety
    /// The block lives (the caller holds a pin or owns it), and `slot` is inside it.
    #[inline(always)]
    pub(crate) unsafe fn state(self, slot: usize) -> SlotState {
        // SAFETY: passed on to the caller.
        let slot = unsafe { self.slot(slot) };
        // Acquire pairs with the store in `make_ready`.
        SlotState(slot.state.load(Ordering::Acquire))
    }

    /// The value of a published slot.
    ///
    /// # Safety
    /// The caller holds a pin for as long as it uses the reference, knows by the slot's state or by
    /// the watermark that the value is published, and saw, inside, that the horizon is not behind it.
    #[inline(always)]
    pub(crate) unsafe fn value<'a>(self, slot: usize) -> &'a T {
        // SAFETY: a published value is initialised and stays as it is until the segment is claimed,
        // which the caller's pin delays, or hollowed out so far, which it delays too.
        unsafe { self.slot(slot).value.with(|place| (*place).assume_init_ref()) }
    }

    /// Marks the block as dead: from here on only its owner uses it.
    ///
    /// # Safety
    /// The caller is the one claimer of `segment`, whose block this is.
    pub(crate) unsafe fn end_life(self, segment: SegmentNo) {
        // SAFETY: the claimer owns the block.
        let header = unsafe { self.0.as_ref() };
        header.life.end();
        header.progress.with_mut(|progress| {
            // SAFETY: nobody but the owner reads or writes the progress.
            unsafe { *progress = (*progress).of(segment) }
        });
    }

    /// Drops the values before `slot` that are not dropped yet; returns how many of them panicked.
    ///
    /// # Safety
    /// The block is that of `segment`. The caller is in it alone, and whoever comes in meanwhile reads
    /// no value before `slot`; all of those are published.
    pub(crate) unsafe fn drop_before(self, segment: SegmentNo, slot: usize) -> u64 {
        // SAFETY: who is inside keeps the block alive.
        let header = unsafe { self.0.as_ref() };
        header.progress.with_mut(|progress| {
            // SAFETY: only who is alone touches the progress of a live segment; and as in `drop_some`.
            unsafe {
                let progress = &mut *progress;
                *progress = progress.of(segment);
                let mut panics = 0;
                while progress.slots_done < slot {
                    panics += self.drop_until(progress, slot);
                }
                panics
            }
        })
    }

    /// Drops up to `budget` values of a dead segment.
    ///
    /// # Safety
    /// The caller owns the block, whose life has ended.
    pub(crate) unsafe fn drop_some(self, budget: usize) -> Dropped {
        // SAFETY: the owner alone uses the block.
        let header = unsafe { self.0.as_ref() };
        header.progress.with_mut(|progress| {
            // SAFETY: as above; every slot up to `slots_done` is dropped already, the one at it is
            // dropped now if it was published, and the count moves on before user code can panic.
            unsafe {
                let progress = &mut *progress;
                let slots = Geometry::<T>::slots(progress.segment);
                let start = progress.slots_done;
                let stop = slots.min(start.saturating_add(budget));
                let mut panics = 0;
                while progress.slots_done < stop {
                    panics += self.drop_until(progress, stop);
                }
                Dropped { slots: stop - start, panics, is_all: stop == slots }
            }
        })
    }

    /// Drops values until slot `stop` or until one of them panics; returns how many did.
    ///
    /// # Safety
    /// As [`SegmentRef::drop_some`], or [`SegmentRef::drop_before`].
    unsafe fn drop_until(self, progress: &mut Progress, stop: usize) -> u64 {
        let run = std::panic::AssertUnwindSafe(|| {
            while progress.slots_done < stop {
                let slot = progress.slots_done;
                progress.slots_done += 1;
                // SAFETY: the slot is the caller's own; a ready slot holds a value that nobody
                // dropped yet, because the count has just passed it for the first time.
                unsafe {
                    let slot = &*self.slots().add(slot);
                    if SlotState(slot.state.load(Ordering::Relaxed)).is_ready(progress.segment) {
                        slot.value.with_mut(|place| (*place).assume_init_drop());
                    }
                }
            }
        });
        match std::panic::catch_unwind(run) {
            Ok(()) => 0,
            Err(payload) => {
                // The payload's own drop is user code that may panic again.
                std::mem::forget(payload);
                1
            }
        }
    }

    fn slots(self) -> *mut Slot<T> {
        // SAFETY: the slots stand at this offset of every block.
        unsafe { self.0.as_ptr().byte_add(Self::SLOTS_OFFSET).cast() }
    }

    /// Lets an empty, recycled block live again.
    ///
    /// # Safety
    /// The caller owns the block; it was dead.
    pub(crate) unsafe fn renew_life(self) {
        // SAFETY: the owner alone uses the block.
        unsafe { self.0.as_ref() }.life.renew();
    }

    /// Gives the memory back; values in it are not dropped.
    ///
    /// # Safety
    /// The caller owns the block, which was allocated with `slots` slots.
    pub(crate) unsafe fn free(self, slots: usize) {
        // SAFETY: the owner is the last user; the layout is that of `allocate`.
        unsafe {
            self.0.as_ptr().drop_in_place();
            sync::release(self.0.as_ptr().cast(), Self::layout(slots));
        }
    }

    /// The number under which a dead segment lived.
    ///
    /// # Safety
    /// The caller owns the block, whose life has ended.
    pub(crate) unsafe fn former_number(self) -> SegmentNo {
        // SAFETY: nobody but the owner uses the block.
        unsafe { self.0.as_ref().progress.with(|progress| (*progress).segment) }
    }
}

/// How far dropping a dead segment's values has come.
pub(crate) struct Dropped {
    /// Slots that this call has emptied.
    pub(crate) slots: usize,
    /// How many of their values panicked.
    pub(crate) panics: u64,
    /// Whether the block is empty now.
    pub(crate) is_all: bool,
}

#[cfg(test)]
mod tests;
