//! Atomics on loom, each with links to its readers and a mirror.
//!
//! The links close a hole of loom 0.7.2 (its issues 166 and 392). To find the orders that are worth
//! exploring, loom asks for the last access that a store conflicts with; but a thread that loads and
//! then stores is its own last access, and hides what another thread loaded before. So each atomic
//! has one link for each role of the model, a loom object without a meaning of its own: a load
//! touches the link of its role, a store or read-modify-write those of all other roles that have
//! loaded. A store thus conflicts with the last load of each role; loads do not conflict with loads;
//! and no happens-before edge is added. The tests in `canary` show the hole and the cure.
//!
//! The mirror is a standard atomic with the newest value. While a failed model unwinds, destructors
//! work on the mirrors, because loom can neither switch threads nor be asked then.
//!
//! What loom cannot show: a read-modify-write always reads the newest value; relaxed operations on
//! different locations are never reordered with what follows; `compare_exchange_weak` never fails
//! spuriously; `SeqCst` accesses count as `AcqRel`.

use std::sync::OnceLock;

use loom::sync::atomic as modelled;
use std::sync::atomic as mirror;

use super::memory::{self, ROLES, abandoned, role};

pub use std::sync::atomic::Ordering;
use std::sync::atomic::Ordering::Relaxed;

/// A fence; see [`std::sync::atomic::fence`].
pub fn fence(order: Ordering) {
    if !abandoned() {
        modelled::fence(order);
    }
}

/// For each role that has loaded an atomic, the link that its stores must touch.
#[derive(Default)]
struct Links([OnceLock<loom::sync::Condvar>; ROLES]);

impl Links {
    /// The calling role has just loaded.
    #[track_caller]
    fn loaded(&self) {
        if let Some(role) = role() {
            touch(self.0[role].get_or_init(loom::sync::Condvar::new));
        }
    }

    /// The calling role has just stored.
    #[track_caller]
    fn stored(&self) {
        let Some(own) = role() else { return };
        let others = self.0.iter().enumerate().filter(|(role, _)| *role != own);
        others.filter_map(|(_, link)| link.get()).for_each(touch);
    }
}

/// An operation on a link. Nobody ever waits on it, so it does nothing but conflict.
#[track_caller]
fn touch(link: &loom::sync::Condvar) {
    // Not explored: no other thread runs in between, so the operation and its links are one step,
    // and an order that a link shows to be missing is explored from before the operation.
    loom::stop_exploring();
    link.notify_one();
    loom::explore();
}

/// What every modelled atomic shares: the loom atomic, its links, its mirror.
macro_rules! modelled_atomic {
    ($name:ident $(<$generic:ident>)?, $value:ty) => {
        #[doc = concat!("A modelled [`std::sync::atomic::", stringify!($name), "`].")]
        pub struct $name $(<$generic>)? {
            value: modelled::$name $(<$generic>)?,
            links: Links,
            newest: mirror::$name $(<$generic>)?,
        }

        impl $(<$generic>)? $name $(<$generic>)? {
            /// An atomic that holds `value`.
            #[track_caller]
            pub fn new(value: $value) -> Self {
                Self {
                    value: modelled::$name::new(value),
                    links: Links::default(),
                    newest: mirror::$name::new(value),
                }
            }

            /// One operation: `None` while a failed model unwinds.
            #[track_caller]
            fn step<R>(
                &self,
                operation: impl FnOnce(&modelled::$name $(<$generic>)?) -> R,
                link: impl FnOnce(&Links),
            ) -> Option<R> {
                if abandoned() {
                    return None;
                }
                // Before the operation: a release that it orders must not race with the check.
                memory::touch((&raw const *self).cast());
                let result = operation(&self.value);
                link(&self.links);
                Some(result)
            }

            /// Reads the value: any that the orderings allow, not only the newest.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                self.step(|atomic| atomic.load(order), Links::loaded)
                    .unwrap_or_else(|| self.newest.load(Relaxed))
            }

            /// Writes `value`.
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                self.step(|atomic| atomic.store(value, order), Links::stored);
                self.newest.store(value, Relaxed);
            }

            /// Writes `value` and gives back the newest value before it.
            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                let before = self.step(|atomic| atomic.swap(value, order), Links::stored);
                let newest = self.newest.swap(value, Relaxed);
                before.unwrap_or(newest)
            }

            /// Writes `new` if the newest value is `current`.
            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let exchange = |atomic: &modelled::$name $(<$generic>)?| {
                    atomic.compare_exchange(current, new, success, failure)
                };
                let Some(result) = self.step(exchange, Links::stored) else {
                    return self.newest.compare_exchange(current, new, Relaxed, Relaxed);
                };
                if result.is_ok() {
                    self.newest.store(new, Relaxed);
                }
                result
            }

            /// [`compare_exchange`](Self::compare_exchange): loom never fails spuriously.
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            /// Replaces the value by what `change` makes of it, until nobody interfered.
            ///
            /// # Errors
            ///
            /// The value for which `change` gave `None`.
            #[track_caller]
            pub fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                mut change: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut seen = self.load(fetch);
                while let Some(next) = change(seen) {
                    match self.compare_exchange(seen, next, set, fetch) {
                        Ok(before) => return Ok(before),
                        Err(newer) => seen = newer,
                    }
                }
                Err(seen)
            }
        }

        impl $(<$generic>)? std::fmt::Debug for $name $(<$generic>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.newest.fmt(f)
            }
        }
    };
}

/// Read-modify-writes that loom's atomic and the mirror both know.
macro_rules! read_modify_writes {
    ($name:ident, $value:ty: $($(#[$doc:meta])* $operation:ident),+) => {
        impl $name {
            $(
                $(#[$doc])*
                #[track_caller]
                pub fn $operation(&self, value: $value, order: Ordering) -> $value {
                    let before = self.step(|atomic| atomic.$operation(value, order), Links::stored);
                    if let Some(before) = before {
                        self.newest.store(before, Relaxed);
                    }
                    self.newest.$operation(value, Relaxed)
                }
            )+
        }
    };
}

macro_rules! modelled_integer {
    ($name:ident, $value:ty) => {
        modelled_atomic!($name, $value);
        read_modify_writes! {
            $name, $value:
            /// Adds, wrapping; gives back the value before.
            fetch_add,
            /// Subtracts, wrapping; gives back the value before.
            fetch_sub,
            /// Sets bits; gives back the value before.
            fetch_or,
            /// Keeps bits; gives back the value before.
            fetch_and,
            /// Flips bits; gives back the value before.
            fetch_xor,
            /// Raises to at least `value`; gives back the value before.
            fetch_max,
            /// Lowers to at most `value`; gives back the value before.
            fetch_min
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }
    };
}

modelled_integer!(AtomicU64, u64);
modelled_integer!(AtomicU32, u32);
modelled_integer!(AtomicUsize, usize);
modelled_atomic!(AtomicPtr<T>, *mut T);
modelled_atomic!(AtomicBool, bool);
read_modify_writes! {
    AtomicBool, bool:
    /// Sets when `value` is true; gives back the value before.
    fetch_or,
    /// Clears when `value` is false; gives back the value before.
    fetch_and
}

impl Default for AtomicBool {
    fn default() -> Self {
        Self::new(false)
    }
}

impl<T> Default for AtomicPtr<T> {
    fn default() -> Self {
        Self::new(std::ptr::null_mut())
    }
}
