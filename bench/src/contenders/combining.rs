//! A prototype: flat combining. Writers leave their records in places of their own; whoever gets hold of the log
//! appends for all who wait, as one batch.
//!
//! The log itself is streamcore's, so whatever it promises to readers still holds. Its tail is written once for many
//! records. In exchange each record goes through its place's lines: from its writer to the combiner, and the answer
//! back. Writers wait for the combiner, and if that is suspended, for as long as it is.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use crossbeam_utils::{Backoff, CachePadded};
use streamcore::log::{Log, LogOptions};

use super::streamcore::{picker, scanner, tailer, waiter};
use crate::contender::{Able, Append, Contender, Setup};
use crate::payload::{Payload, Seen};

/// Writers that append for each other.
pub struct Combining;

/// As many writers may be at work at a time.
const PLACES: usize = 128;

const UNSEALED: &str = "short batches, and nobody seals a log that is measured";

/// Nobody waits here.
const EMPTY: u32 = 0;
/// A record waits to be appended.
const FULL: u32 = 1;

/// A log, and places where records wait.
pub struct Combined<T> {
    log: Log<T>,
    is_held: CachePadded<AtomicBool>,
    /// Places that ever had an owner.
    used: AtomicUsize,
    places: Box<[CachePadded<Place<T>>]>,
    /// Records and their places while they are appended: of who holds the log.
    batch: UnsafeCell<(Vec<T>, Vec<usize>)>,
}

struct Place<T> {
    state: AtomicU32,
    is_taken: AtomicBool,
    record: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the batch belongs to who holds the log; a place's record to its owner while EMPTY, else to who holds the log.
unsafe impl<T: Send + Sync> Sync for Combined<T> {}

struct Writer<'a, T> {
    log: &'a Combined<T>,
    place: &'a Place<T>,
}

impl<T> Combined<T> {
    fn new(options: LogOptions) -> Self {
        let place = |_| {
            CachePadded::new(Place {
                state: AtomicU32::new(EMPTY),
                is_taken: AtomicBool::new(false),
                record: UnsafeCell::new(MaybeUninit::uninit()),
            })
        };
        Self {
            log: Log::with_options(options),
            is_held: CachePadded::new(AtomicBool::new(false)),
            used: AtomicUsize::new(0),
            places: (0..PLACES).map(place).collect(),
            batch: UnsafeCell::default(),
        }
    }

    fn writer(&self) -> Writer<'_, T> {
        // Acquire pairs with the Release of the last owner; on a failure nothing is read.
        let take = |place: &CachePadded<Place<T>>| {
            place
                .is_taken
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        let free = self.places.iter().position(take);
        let number = free.unwrap_or_else(|| panic!("more than {PLACES} writers at a time"));
        // Relaxed: a combiner that does not see the place leaves its record to the next one, or to its owner.
        self.used.fetch_max(number + 1, Ordering::Relaxed);
        Writer { log: self, place: &self.places[number] }
    }

    /// Takes hold of the log, unless somebody has.
    fn hold(&self) -> bool {
        // Relaxed: a look, so that those who wait share the line. Acquire pairs with `let_go`.
        !self.is_held.load(Ordering::Relaxed) && !self.is_held.swap(true, Ordering::Acquire)
    }

    fn let_go(&self) {
        // Release pairs with `hold`: the next one finds the batch empty.
        self.is_held.store(false, Ordering::Release);
    }

    /// Appends what waits.
    ///
    /// # Safety
    /// The caller holds the log.
    unsafe fn combine(&self) {
        // SAFETY: the caller holds the log.
        let (records, from) = unsafe { &mut *self.batch.get() };
        // Relaxed: see `writer`.
        let used = self.used.load(Ordering::Relaxed);
        for (number, place) in self.places[..used].iter().enumerate() {
            // Acquire pairs with the owner's FULL: its record may be taken.
            if place.state.load(Ordering::Acquire) == FULL {
                // SAFETY: FULL means that a record is there, and that it is ours; it is taken once, since the place
                // is emptied below, before somebody else holds the log.
                records.push(unsafe { (*place.record.get()).assume_init_read() });
                from.push(number);
            }
        }
        if records.len() == 1 {
            records.drain(..).for_each(|record| {
                self.log.append(record).expect(UNSEALED);
            });
        } else if !records.is_empty() {
            self.log.append_all(records.drain(..)).expect(UNSEALED);
        }
        for number in from.drain(..) {
            // Release pairs with the owner's look: the record is stored, and the place is its own again.
            self.places[number].state.store(EMPTY, Ordering::Release);
        }
    }
}

impl<T> Append<T> for Writer<'_, T> {
    #[inline(always)]
    fn append(&mut self, record: T) {
        // SAFETY: the place is this writer's own while it is EMPTY.
        unsafe { (*self.place.record.get()).write(record) };
        // Release pairs with the combiner's look.
        self.place.state.store(FULL, Ordering::Release);
        let backoff = Backoff::new();
        // Acquire pairs with the combiner's EMPTY.
        while self.place.state.load(Ordering::Acquire) == FULL {
            if self.log.hold() {
                // SAFETY: we hold the log.
                unsafe { self.log.combine() };
                self.log.let_go();
            } else {
                // Spins, and yields in the end: the combiner may wait for this very core.
                backoff.snooze();
            }
        }
    }

    /// What is a batch already gains nothing by being combined.
    fn append_batch(&mut self, records: impl ExactSizeIterator<Item = T>) -> Able<()> {
        self.log.log.append_all(records).expect(UNSEALED);
        Ok(())
    }
}

impl<T> Drop for Writer<'_, T> {
    fn drop(&mut self) {
        // Release pairs with the Acquire of the next owner.
        self.place.is_taken.store(false, Ordering::Release);
    }
}

impl Contender for Combining {
    const NAME: &'static str = "combining";
    const ABOUT: &'static str = "prototype: streamcore's log behind flat combining; writers wait";
    type Log<T: Payload> = Combined<T>;

    fn make<T: Payload>(setup: &Setup) -> Combined<T> {
        Combined::new(LogOptions::new().retain_last(setup.retain))
    }
    fn writer<T: Payload>(log: &Combined<T>) -> impl Append<T> {
        log.writer()
    }
    fn tailer<T: Payload>(log: &Combined<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(tailer(&log.log))
    }
    fn waiter<T: Payload>(log: &Combined<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(waiter(&log.log))
    }
    fn scanner<T: Payload>(log: &Combined<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(scanner(&log.log))
    }
    fn picker<T: Payload>(log: &Combined<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Ok(picker(&log.log))
    }
    fn counter<T: Payload>(log: &Combined<T>) -> Able<impl FnMut() -> u64> {
        Ok(|| log.log.snapshot().len())
    }
    fn prefix() -> Able<()> {
        Ok(())
    }
    fn whole_batches() -> Able<()> {
        Ok(())
    }
    fn retention() -> Able<()> {
        Ok(())
    }
    fn trim<T: Payload>(log: &Combined<T>, count: u64) -> Able<()> {
        log.log.trim(log.log.earliest().plus(count));
        Ok(())
    }
}
