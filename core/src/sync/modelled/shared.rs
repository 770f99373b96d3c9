//! Shared ownership on loom: `Arc`, and the cell for metadata.
//!
//! Both lie in blocks of [`memory`](super::memory), so that a use after free and a leak are found;
//! both order exactly what the production types promise to order, and no more.

use std::alloc::Layout;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::atomic::{AtomicPtr, AtomicUsize};
use super::memory::{abandoned, allocate_zeroed, release, touch};

/// A modelled [`std::sync::Arc`], for sized values and without weak pointers.
///
/// Unlike loom's own it can go through raw pointers after the count has changed elsewhere, and a
/// pointer to a dead one is reported as a use after free.
pub struct Arc<T> {
    counted: NonNull<Counted<T>>,
    _owns: PhantomData<Counted<T>>,
}

#[repr(C)]
struct Counted<T> {
    strong: AtomicUsize,
    value: T,
}

// SAFETY: like std's: whoever has an Arc may share the value and may be the one who drops it.
unsafe impl<T: Send + Sync> Send for Arc<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Arc<T> {}

impl<T> std::panic::RefUnwindSafe for Arc<T> {}
impl<T> std::panic::UnwindSafe for Arc<T> {}
impl<T> Unpin for Arc<T> {}

impl<T> Arc<T> {
    /// A first owner of `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        let counted = allocate_zeroed(Layout::new::<Counted<T>>()).cast::<Counted<T>>();
        // SAFETY: the memory is fresh and has the layout of what is written.
        unsafe { counted.write(Counted { strong: AtomicUsize::new(1), value }) };
        // SAFETY: `allocate_zeroed` gives no null pointer.
        Self { counted: unsafe { NonNull::new_unchecked(counted) }, _owns: PhantomData }
    }

    #[track_caller]
    fn counted(&self) -> &Counted<T> {
        if !abandoned() {
            touch(self.counted.as_ptr().cast_const().cast());
        }
        // SAFETY: this Arc counts, so the block lives; a model that broke that has just failed, and
        // even then the bytes stay in quarantine.
        unsafe { self.counted.as_ref() }
    }

    /// The value's address.
    pub fn as_ptr(this: &Self) -> *const T {
        // SAFETY: the block is at least as long as `Counted<T>`, also in quarantine.
        unsafe { &raw const (*this.counted.as_ptr()).value }
    }

    /// Whether two owners own the same value.
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        this.counted == other.counted
    }

    /// How many owners there are.
    #[track_caller]
    pub fn strong_count(this: &Self) -> usize {
        this.counted().strong.load(Relaxed)
    }

    /// Keeps the count and gives the value's address, for [`from_raw`](Self::from_raw).
    pub fn into_raw(this: Self) -> *const T {
        Self::as_ptr(&ManuallyDrop::new(this))
    }

    /// Takes back the count that [`into_raw`](Self::into_raw) kept.
    ///
    /// # Safety
    ///
    /// `value` came from `into_raw`, and each such count is taken back once.
    #[track_caller]
    pub unsafe fn from_raw(value: *const T) -> Self {
        let counted = value.wrapping_byte_sub(std::mem::offset_of!(Counted<T>, value));
        let counted = NonNull::new(counted.cast_mut().cast()).expect("from_raw of a null pointer");
        let this = Self { counted, _owns: PhantomData };
        this.counted();
        this
    }

    /// Counts once more for a raw pointer.
    ///
    /// # Safety
    ///
    /// `value` came from [`into_raw`](Self::into_raw), and that count has not been taken back.
    #[track_caller]
    pub unsafe fn increment_strong_count(value: *const T) {
        // SAFETY: the caller has a count; it is neither taken nor given back here.
        let this = ManuallyDrop::new(unsafe { Self::from_raw(value) });
        let _counted = ManuallyDrop::new(Arc::clone(&this));
    }

    /// Takes back one count of a raw pointer.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw).
    #[track_caller]
    pub unsafe fn decrement_strong_count(value: *const T) {
        // SAFETY: passed on to the caller.
        drop(unsafe { Self::from_raw(value) });
    }

    /// The value, if this is its only owner.
    #[track_caller]
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        let only = this.counted().strong.load(Acquire) == 1;
        // SAFETY: the only owner is borrowed mutably.
        only.then(|| unsafe { &mut (*this.counted.as_ptr()).value })
    }

    /// The value, if this is its only owner.
    ///
    /// # Errors
    ///
    /// The owner itself, when there are others.
    #[track_caller]
    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        if this.counted().strong.compare_exchange(1, 0, Acquire, Relaxed).is_err() {
            return Err(this);
        }
        let this = ManuallyDrop::new(this);
        // SAFETY: the count was 1 and is 0: nobody else can reach the value, which is moved out
        // once, and its block, which is released without dropping the value again.
        unsafe {
            let value = Self::as_ptr(&this).read();
            release(this.counted.as_ptr().cast(), Layout::new::<Counted<T>>());
            Ok(value)
        }
    }

    /// The value, for the last owner who asks.
    #[track_caller]
    pub fn into_inner(this: Self) -> Option<T> {
        let this = ManuallyDrop::new(this);
        if this.counted().strong.fetch_sub(1, Release) != 1 {
            return None;
        }
        this.counted().strong.load(Acquire);
        // SAFETY: as in `try_unwrap`: the last count is gone.
        unsafe {
            let value = Self::as_ptr(&this).read();
            release(this.counted.as_ptr().cast(), Layout::new::<Counted<T>>());
            Some(value)
        }
    }
}

impl<T> Clone for Arc<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        self.counted().strong.fetch_add(1, Relaxed);
        Self { counted: self.counted, _owns: PhantomData }
    }
}

impl<T> Drop for Arc<T> {
    #[track_caller]
    fn drop(&mut self) {
        if self.counted().strong.fetch_sub(1, Release) != 1 {
            return;
        }
        // A load and not a fence: loom's fence would acquire more than std's.
        self.counted().strong.load(Acquire);
        // SAFETY: the last count is gone, and the load orders every other owner's uses before.
        unsafe {
            (&raw mut (*self.counted.as_ptr()).value).drop_in_place();
            release(self.counted.as_ptr().cast(), Layout::new::<Counted<T>>());
        }
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    #[track_caller]
    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T> AsRef<T> for Arc<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> From<T> for Arc<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Default> Default for Arc<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Debug> Debug for Arc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A value that is read often and replaced as a whole, seldom.
///
/// In production this is `arc-swap`, whose inside loom cannot see. Here it is a pointer with the
/// orderings that arc-swap promises; old values are kept until the cell is dropped. So the models
/// prove the use of the swap, not the swap.
pub struct MetadataCell<T> {
    current: AtomicPtr<Version<T>>,
}

struct Version<T> {
    value: Arc<T>,
    /// The version that this one replaced; read only when the cell is dropped.
    before: *mut Version<T>,
}

// SAFETY: like arc-swap's: the cell hands out and drops `Arc<T>`s.
unsafe impl<T: Send + Sync> Send for MetadataCell<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for MetadataCell<T> {}

impl<T> Version<T> {
    #[track_caller]
    fn allocate(value: Arc<T>, before: *mut Self) -> *mut Self {
        let version = allocate_zeroed(Layout::new::<Self>()).cast::<Self>();
        // SAFETY: the memory is fresh and has the layout of what is written.
        unsafe { version.write(Self { value, before }) };
        version
    }

    /// # Safety
    ///
    /// `version` came from `allocate`, is released once, and nobody can reach it.
    #[track_caller]
    unsafe fn free(version: *mut Self) {
        // SAFETY: passed on to the caller.
        unsafe {
            version.drop_in_place();
            release(version.cast(), Layout::new::<Self>());
        }
    }
}

impl<T> MetadataCell<T> {
    /// A cell that holds `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self::of(Arc::new(value))
    }

    /// A cell that holds a shared value.
    #[track_caller]
    pub fn of(value: Arc<T>) -> Self {
        Self { current: AtomicPtr::new(Version::allocate(value, std::ptr::null_mut())) }
    }

    /// The value of a version that was read from `current`.
    #[track_caller]
    fn value(&self, version: *mut Version<T>) -> &Arc<T> {
        if !abandoned() {
            touch(version.cast_const().cast());
        }
        // SAFETY: versions live until the cell is dropped, and the cell is borrowed.
        unsafe { &(*version).value }
    }

    /// Calls `f` with the current value.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(self.value(self.current.load(Acquire)))
    }

    /// The current value, shared.
    #[track_caller]
    pub fn load_full(&self) -> Arc<T> {
        self.value(self.current.load(Acquire)).clone()
    }

    /// Replaces the value by what `change` makes of it, again and again until nobody interfered;
    /// gives back the value that it replaced.
    #[track_caller]
    pub fn rcu(&self, mut change: impl FnMut(&Arc<T>) -> Arc<T>) -> Arc<T> {
        let mut seen = self.current.load(Acquire);
        loop {
            let next = Version::allocate(change(self.value(seen)), seen);
            match self.current.compare_exchange(seen, next, AcqRel, Acquire) {
                Ok(before) => return self.value(before).clone(),
                Err(newer) => {
                    // SAFETY: the exchange failed: nobody else has ever seen this version.
                    unsafe { Version::free(next) };
                    seen = newer;
                }
            }
        }
    }
}

impl<T> Drop for MetadataCell<T> {
    #[track_caller]
    fn drop(&mut self) {
        let mut version = self.current.load(Relaxed);
        while !version.is_null() {
            // SAFETY: the cell is dropped, so nobody borrows a version; each is in the chain once.
            unsafe {
                let before = (*version).before;
                Version::free(version);
                version = before;
            }
        }
    }
}

impl<T: Debug> Debug for MetadataCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| f.debug_tuple("MetadataCell").field(value).finish())
    }
}
