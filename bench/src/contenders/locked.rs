//! A vector behind a lock: of the standard library and of parking_lot, exclusive and shared.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use crate::contender::{Able, Append, Contender, Setup};
use crate::payload::{Payload, Seen};

/// A lock around a vector.
trait Locked<T>: Sync + Default {
    fn writing(&self) -> impl DerefMut<Target = Vec<T>>;
    fn reading(&self) -> impl Deref<Target = Vec<T>>;
}

impl<T: Payload> Locked<T> for std::sync::Mutex<Vec<T>> {
    #[inline(always)]
    fn writing(&self) -> impl DerefMut<Target = Vec<T>> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
    #[inline(always)]
    fn reading(&self) -> impl Deref<Target = Vec<T>> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Payload> Locked<T> for std::sync::RwLock<Vec<T>> {
    #[inline(always)]
    fn writing(&self) -> impl DerefMut<Target = Vec<T>> {
        self.write().unwrap_or_else(PoisonError::into_inner)
    }
    #[inline(always)]
    fn reading(&self) -> impl Deref<Target = Vec<T>> {
        self.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Payload> Locked<T> for parking_lot::Mutex<Vec<T>> {
    #[inline(always)]
    fn writing(&self) -> impl DerefMut<Target = Vec<T>> {
        self.lock()
    }
    #[inline(always)]
    fn reading(&self) -> impl Deref<Target = Vec<T>> {
        self.lock()
    }
}

impl<T: Payload> Locked<T> for parking_lot::RwLock<Vec<T>> {
    #[inline(always)]
    fn writing(&self) -> impl DerefMut<Target = Vec<T>> {
        self.write()
    }
    #[inline(always)]
    fn reading(&self) -> impl Deref<Target = Vec<T>> {
        self.read()
    }
}

struct Writer<'a, L>(&'a L);

impl<T, L: Locked<T>> Append<T> for Writer<'_, L> {
    #[inline(always)]
    fn append(&mut self, record: T) {
        self.0.writing().push(record);
    }
    #[inline(always)]
    fn append_batch(&mut self, records: impl ExactSizeIterator<Item = T>) -> Able<()> {
        self.0.writing().extend(records);
        Ok(())
    }
}

fn tailer<T: Payload>(log: &impl Locked<T>) -> impl FnMut(&mut Seen) {
    let mut next = log.reading().len();
    move |seen| {
        let records = log.reading();
        records[next..].iter().for_each(|record| seen.see(record));
        next = records.len();
    }
}

fn scanner<T: Payload>(log: &impl Locked<T>) -> impl FnMut(&mut Seen) {
    |seen| log.reading().iter().for_each(|record| seen.see(record))
}

fn picker<T: Payload>(log: &impl Locked<T>) -> impl FnMut(u64, &mut Seen) {
    |number, seen| {
        let records = log.reading();
        if !records.is_empty() {
            seen.see(&records[(number % records.len() as u64) as usize]);
        }
    }
}

/// One contender per lock: they differ in their types alone.
macro_rules! contender {
    ($name:ident, $lock:ty, $called:literal, $about:literal) => {
        #[doc = concat!("A vector behind ", $about, ".")]
        pub struct $name;

        impl Contender for $name {
            const NAME: &'static str = $called;
            const ABOUT: &'static str = concat!("a vector behind ", $about);
            type Log<T: Payload> = $lock;

            fn make<T: Payload>(_: &Setup) -> $lock {
                <$lock>::default()
            }
            fn writer<T: Payload>(log: &$lock) -> impl Append<T> {
                Writer(log)
            }
            fn tailer<T: Payload>(log: &$lock) -> Able<impl FnMut(&mut Seen)> {
                Ok(tailer(log))
            }
            fn scanner<T: Payload>(log: &$lock) -> Able<impl FnMut(&mut Seen)> {
                Ok(scanner(log))
            }
            fn picker<T: Payload>(log: &$lock) -> Able<impl FnMut(u64, &mut Seen)> {
                Ok(picker(log))
            }
            fn counter<T: Payload>(log: &$lock) -> Able<impl FnMut() -> u64> {
                Ok(|| log.reading().len() as u64)
            }
            fn prefix() -> Able<()> {
                Ok(())
            }
            fn whole_batches() -> Able<()> {
                Ok(())
            }
        }
    };
}

contender!(StdMutex, std::sync::Mutex<Vec<T>>, "std Mutex", "the standard library's Mutex");
contender!(StdRwLock, std::sync::RwLock<Vec<T>>, "std RwLock", "the standard library's RwLock");
contender!(ParkingMutex, parking_lot::Mutex<Vec<T>>, "parking_lot Mutex", "parking_lot's Mutex");
contender!(
    ParkingRwLock,
    parking_lot::RwLock<Vec<T>>,
    "parking_lot RwLock",
    "parking_lot's RwLock"
);
