//! The standard atomics, with a decision of the scheduler before each operation.

use std::sync::atomic as standard;

pub use std::sync::atomic::Ordering;

use super::decide;

/// Does nothing: all operations take effect in one order anyway.
pub fn fence(order: Ordering) {
    standard::fence(order);
}

macro_rules! scheduled_atomic {
    ($name:ident $(<$generic:ident>)?, $value:ty) => {
        #[doc = concat!("A scheduled [`std::sync::atomic::", stringify!($name), "`].")]
        #[derive(Debug)]
        #[repr(transparent)]
        pub struct $name $(<$generic>)? (standard::$name $(<$generic>)?);

        impl $(<$generic>)? $name $(<$generic>)? {
            /// An atomic that holds `value`.
            pub const fn new(value: $value) -> Self {
                Self(standard::$name::new(value))
            }

            /// Reads the value.
            pub fn load(&self, order: Ordering) -> $value {
                decide();
                self.0.load(order)
            }

            /// Writes `value`.
            pub fn store(&self, value: $value, order: Ordering) {
                decide();
                self.0.store(value, order);
            }

            /// Writes `value` and gives back the one before.
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                decide();
                self.0.swap(value, order)
            }

            /// Writes `new` if the value is `current`.
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                decide();
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    };
}

macro_rules! scheduled_arithmetic {
    ($name:ident, $value:ty, $($operation:ident),*) => {
        impl $name {
            $(
                #[doc = concat!("`", stringify!($operation), "`, with a decision before it.")]
                pub fn $operation(&self, value: $value, order: Ordering) -> $value {
                    decide();
                    self.0.$operation(value, order)
                }
            )*
        }
    };
}

scheduled_atomic!(AtomicBool, bool);
scheduled_atomic!(AtomicU32, u32);
scheduled_atomic!(AtomicU64, u64);
scheduled_atomic!(AtomicPtr<T>, *mut T);
scheduled_arithmetic!(AtomicU32, u32, fetch_add, fetch_sub, fetch_or, fetch_and, fetch_max);
scheduled_arithmetic!(
    AtomicU64, u64, fetch_add, fetch_sub, fetch_or, fetch_and, fetch_max, fetch_min
);
