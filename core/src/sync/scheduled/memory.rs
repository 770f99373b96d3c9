//! Memory that is watched: which blocks live, and whether somebody uses one that does not.
//!
//! An execution runs on one thread of the machine, so all of this is the thread's own.

use std::alloc::{self, Layout};
use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::sync::Zeroable;

#[derive(Default)]
struct Memory {
    /// Blocks that were allocated and not released, by address.
    live: BTreeMap<usize, Layout>,
    /// Blocks that were released; nobody else gets their memory before the execution is over.
    quarantine: Vec<(*mut u8, Layout)>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// What released memory is filled with.
const POISON: u8 = 0xdb;

/// Begins an execution: what an earlier, failed one has left is nobody's business.
pub fn begin() {
    MEMORY.take();
}

/// Ends an execution, and gives what was released back for good.
///
/// # Panics
///
/// If a block was never released.
pub fn end() {
    let memory = MEMORY.take();
    for (block, layout) in memory.quarantine {
        // SAFETY: the block was allocated with this layout and released once; the execution is over.
        unsafe { alloc::dealloc(block, layout) };
    }
    assert!(memory.live.is_empty(), "leaked: {:?}", memory.live.values());
}

/// Zeroed memory for `layout`.
pub fn allocate_zeroed(layout: Layout) -> *mut u8 {
    assert!(layout.size() > 0, "the log allocates no empty blocks");
    // SAFETY: the layout's size is not zero.
    let block = unsafe { alloc::alloc_zeroed(layout) };
    if block.is_null() {
        alloc::handle_alloc_error(layout);
    }
    MEMORY.with_borrow_mut(|memory| memory.live.insert(block.addr(), layout));
    block
}

/// Nothing to do: zero bytes are such values here, as they are in production.
///
/// # Safety
///
/// As in production.
pub(crate) unsafe fn init_zeroed<Z: Zeroable>(_first: *mut Z, _len: usize) {}

/// Takes memory back.
///
/// # Safety
///
/// `block` came from [`allocate_zeroed`] with the same `layout`, and nobody uses it any more: what this
/// half is there to find out. Until the execution is over, the memory may be touched nevertheless.
///
/// # Panics
///
/// If the block is not a live one of this layout.
pub unsafe fn release(block: *mut u8, layout: Layout) {
    let known = MEMORY.with_borrow_mut(|memory| memory.live.remove(&block.addr()));
    if std::thread::panicking() {
        return;
    }
    assert_eq!(known, Some(layout), "released twice, or never allocated so");
    // SAFETY: the block is that long, and was live until now.
    unsafe { block.write_bytes(POISON, layout.size()) };
    MEMORY.with_borrow_mut(|memory| memory.quarantine.push((block, layout)));
}

/// The span between a segment's allocation and its release, which every use checks.
pub struct Life(std::cell::Cell<u64>);

// SAFETY: the threads of an execution take turns on one thread of the machine.
unsafe impl Sync for Life {}

impl Life {
    const LIVES: u64 = 0x05e6_1173_05e6_1173;
    const IS_DEAD: u64 = 0xdead_dead_dead_dead;

    /// A life that begins now.
    pub fn begin() -> Self {
        Self(std::cell::Cell::new(Self::LIVES))
    }

    /// Somebody uses the segment.
    ///
    /// # Panics
    ///
    /// If it is dead, or its memory was released.
    #[track_caller]
    pub fn touch(&self) {
        if !std::thread::panicking() {
            assert_eq!(self.0.get(), Self::LIVES, "a dead segment is used");
        }
    }

    /// The segment's owner ends its life.
    ///
    /// # Panics
    ///
    /// If somebody has done it before.
    #[track_caller]
    pub fn end(&self) {
        self.touch();
        self.0.set(Self::IS_DEAD);
    }

    /// A recycled segment lives again.
    ///
    /// # Panics
    ///
    /// If it was not dead.
    #[track_caller]
    pub fn renew(&self) {
        if !std::thread::panicking() {
            assert_eq!(self.0.get(), Self::IS_DEAD, "a segment is taken that is not dead");
        }
        self.0.set(Self::LIVES);
    }
}

/// Interior mutability with explicit accesses. No decision falls inside one, as no operation does.
#[repr(transparent)]
pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Gives `f` a pointer to read through.
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Gives `f` a pointer to write through.
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
