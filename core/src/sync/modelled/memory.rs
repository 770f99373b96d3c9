//! Memory whose life is checked: blocks, cells, and the witness that a log puts where it likes.
//!
//! A table of the current execution's blocks lies in a thread-local: loom runs all threads of a
//! model on one thread of the machine. An access to any modelled atomic or cell first looks for the
//! block around it:
//!
//! - a block that was released: the model fails, and names where it was allocated and released;
//! - a block that lives: the access counts as a read of the block's witness, and releasing counts
//!   as a write, so loom fails the model when some access does not happen before the release, also
//!   in executions where it came earlier by luck.
//!
//! Plain fields and borrowed values inside a block are not seen by that. [`Life::touch`] is for
//! them: at the first and at the last use.

use std::alloc::{self, Layout};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::sync::Zeroable;

/// What a place in the source is called in messages.
type Place = &'static Location<'static>;

struct Block {
    start: usize,
    layout: Layout,
    /// Read by every access to the block, written by its release.
    witness: loom::cell::UnsafeCell<()>,
    allocated: Place,
    released: Option<Place>,
}

#[derive(Default)]
struct Blocks {
    running: bool,
    blocks: Vec<Block>,
    lives: BTreeMap<u64, Place>,
    last_life: u64,
    /// What went wrong where a panic may have been contained.
    faults: Vec<String>,
}

thread_local! {
    static BLOCKS: RefCell<Blocks> = RefCell::default();
    static EXPECTED_PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Whether the model has failed and only unwinds: nothing is checked or modelled any more.
pub(super) fn abandoned() -> bool {
    std::thread::panicking() && EXPECTED_PANICS.get() == 0
}

/// How many roles a model may have: loom's five threads without main.
pub const ROLES: usize = 4;

loom::thread_local! {
    static ROLE: Cell<Option<usize>> = Cell::new(None);
}

/// Makes the calling thread a role of the model: from here on it races. What main does before and
/// after is ordered with everything, and needs no links.
pub fn enter_role(role: usize) {
    assert!(role < ROLES, "a model has at most {ROLES} roles");
    ROLE.with(|current| current.set(Some(role)));
}

/// The calling thread's role, unless it is main.
pub(super) fn role() -> Option<usize> {
    ROLE.with(Cell::get)
}

/// Runs `body`, which is expected to panic and to catch it: meanwhile a panic is part of the model,
/// and what destructors do while unwinding is modelled like everything else.
pub fn expecting_panics<R>(body: impl FnOnce() -> R) -> R {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            EXPECTED_PANICS.set(EXPECTED_PANICS.get() - 1);
        }
    }
    EXPECTED_PANICS.set(EXPECTED_PANICS.get() + 1);
    let _restore = Restore;
    body()
}

/// Begins an execution of a model: really frees what the execution before left in quarantine.
///
/// The harness calls it first in every execution.
pub fn begin_execution() {
    BLOCKS.set(Blocks { running: true, ..Blocks::default() });
}

/// Ends an execution: a message for each block and each life that has not ended, or that ended twice.
///
/// The harness calls it when all threads have been joined and the scene has been dropped.
pub fn end_execution() -> Vec<String> {
    BLOCKS.with_borrow_mut(|blocks| {
        blocks.running = false;
        let leaked = blocks.blocks.iter().filter(|block| block.released.is_none()).map(|block| {
            format!(
                "{} bytes allocated at {} were never released",
                block.layout.size(),
                block.allocated
            )
        });
        let lives =
            blocks.lives.values().map(|begun| format!("a life begun at {begun} never ended"));
        leaked.chain(lives).chain(blocks.faults.iter().cloned()).collect()
    })
}

impl Blocks {
    fn around(&self, address: usize) -> Option<&Block> {
        self.blocks
            .iter()
            .find(|block| (block.start..block.start + block.layout.size()).contains(&address))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let start = std::ptr::with_exposed_provenance_mut(self.start);
        // SAFETY: `allocate_zeroed` made the block with this layout, and `release` only marked it.
        // Its execution is over: no thread of the model runs any more.
        unsafe { alloc::dealloc(start, self.layout) }
    }
}

/// An access to what lies at `address`: fails the model if the block around it was released.
#[track_caller]
pub(super) fn touch(address: *const u8) {
    let used = Location::caller();
    BLOCKS.with_borrow(|blocks| {
        let Some(block) = blocks.around(address.addr()) else {
            return;
        };
        if let Some(released) = block.released {
            panic!(
                "use after free: {} bytes allocated at {}, released at {released}, used at {used}",
                block.layout.size(),
                block.allocated,
            );
        }
        block.witness.with(|_| ());
    });
}

/// Zeroed memory for `layout`; aborts the process when there is none.
#[track_caller]
pub fn allocate_zeroed(layout: Layout) -> *mut u8 {
    assert!(layout.size() > 0, "the log allocates no empty blocks");
    // SAFETY: the layout's size is not zero.
    let start = unsafe { alloc::alloc_zeroed(layout) };
    if start.is_null() {
        alloc::handle_alloc_error(layout);
    }
    let allocated = Location::caller();
    let witness = loom::cell::UnsafeCell::new(());
    BLOCKS.with_borrow_mut(|blocks| {
        assert!(blocks.running, "a model allocates only between begin_execution and end_execution");
        let start = start.expose_provenance();
        blocks.blocks.push(Block { start, layout, witness, allocated, released: None });
    });
    start
}

/// Makes `len` zeroed values at `first`: loom's types are not made of zero bytes.
///
/// # Safety
///
/// `first` points to `len` values' worth of zeroed memory that nobody else uses.
pub(crate) unsafe fn init_zeroed<Z: Zeroable>(first: *mut Z, len: usize) {
    for index in 0..len {
        // SAFETY: the caller gives `len` values' worth of memory that nobody else uses.
        unsafe { first.add(index).write(Z::zeroed()) }
    }
}

/// Gives memory back: into quarantine, until the next execution begins.
///
/// # Safety
///
/// `block` came from [`allocate_zeroed`] with the same `layout`, and nobody uses it any more (which
/// is what the model checks).
#[track_caller]
pub unsafe fn release(block: *mut u8, layout: Layout) {
    let place = Location::caller();
    BLOCKS.with_borrow_mut(|blocks| {
        let Some(found) = blocks.blocks.iter_mut().find(|known| known.start == block.addr()) else {
            panic!("released at {place}: memory that was never allocated");
        };
        if let Some(released) = found.released {
            panic!(
                "double free: allocated at {}, released at {released} and {place}",
                found.allocated
            );
        }
        assert_eq!(found.layout, layout, "allocated at {}, released at {place}", found.allocated);
        if !abandoned() {
            found.witness.with_mut(|_| ());
        }
        found.released = Some(place);
    });
}

/// Interior mutability whose every access is checked.
pub struct UnsafeCell<T> {
    witness: loom::cell::UnsafeCell<()>,
    value: core::cell::UnsafeCell<T>,
}

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self { witness: loom::cell::UnsafeCell::new(()), value: core::cell::UnsafeCell::new(value) }
    }

    /// Gives `f` a pointer to read through; the pointer is not watched after `f` returns.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        if abandoned() {
            return f(self.value.get());
        }
        touch((&raw const *self).cast());
        self.witness.with(|_| f(self.value.get()))
    }

    /// Gives `f` a pointer to write through; the pointer is not watched after `f` returns.
    #[track_caller]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        if abandoned() {
            return f(self.value.get());
        }
        touch((&raw const *self).cast());
        self.witness.with_mut(|_| f(self.value.get()))
    }
}

impl<T> std::fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnsafeCell").finish_non_exhaustive()
    }
}

/// The span between the begin and the end of something's life.
///
/// Dropping a life ends it. Memory that is released without running destructors must call
/// [`end`](Self::end), or the life is reported as a leak.
pub struct Life {
    witness: loom::cell::UnsafeCell<()>,
    /// The life's number in the table; 0 when it has ended.
    number: AtomicU64,
}

// SAFETY: the witness guards no value; racing uses of it are what loom looks for.
unsafe impl Sync for Life {}

/// Enters a life into the table of those that have to end.
fn register(begun: Place) -> u64 {
    BLOCKS.with_borrow_mut(|blocks| {
        blocks.last_life += 1;
        blocks.lives.insert(blocks.last_life, begun);
        blocks.last_life
    })
}

fn unregister(number: u64) {
    BLOCKS.with_borrow_mut(|blocks| blocks.lives.remove(&number));
}

/// Something that must be dropped before the execution ends, by whomever and unordered.
#[derive(Debug)]
pub struct Tracked(u64);

impl Tracked {
    /// Begins to track.
    #[track_caller]
    pub fn begin() -> Self {
        Self(register(Location::caller()))
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        unregister(self.0);
    }
}

impl Life {
    /// A life that begins now.
    #[track_caller]
    pub fn begin() -> Self {
        let witness = loom::cell::UnsafeCell::new(());
        Self { witness, number: AtomicU64::new(register(Location::caller())) }
    }

    /// A use: fails when the life has ended, or when its end is not ordered with this use.
    #[track_caller]
    pub fn touch(&self) {
        if abandoned() {
            return;
        }
        touch((&raw const *self).cast());
        assert!(
            self.number.load(Relaxed) != 0,
            "used at {}: its life has ended",
            Location::caller()
        );
        self.witness.with(|_| ());
    }

    /// The end: fails when some use is not ordered before it, or when it has ended already.
    #[track_caller]
    pub fn end(&self) {
        let number = self.number.swap(0, Relaxed);
        if abandoned() {
            return;
        }
        touch((&raw const *self).cast());
        if number == 0 {
            let fault = format!("ended at {}: its life had ended before", Location::caller());
            // The log contains panics of its values' drop, so a panic alone would not do.
            BLOCKS.with_borrow_mut(|blocks| blocks.faults.push(fault.clone()));
            panic!("{fault}");
        }
        self.witness.with_mut(|_| ());
        unregister(number);
    }

    /// A new life in the same place, ordered after the end of the old one.
    #[track_caller]
    pub fn renew(&self) {
        if abandoned() {
            return;
        }
        touch((&raw const *self).cast());
        let number = self.number.swap(register(Location::caller()), Relaxed);
        assert!(number == 0, "renewed at {}: its life has not ended", Location::caller());
        self.witness.with_mut(|_| ());
    }
}

impl Drop for Life {
    #[track_caller]
    fn drop(&mut self) {
        if self.number.load(Relaxed) != 0 {
            self.end();
        }
    }
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life").field("ended", &(self.number.load(Relaxed) == 0)).finish()
    }
}
