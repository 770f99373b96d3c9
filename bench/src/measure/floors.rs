//! Floors: the least that any design must do on this machine, measured in the same run as the contenders.
//!
//! They promise nothing, and nobody could use one as a log. A ratio to a floor says how much is left.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::link::{Link, one_way};
use super::record::Measurement;
use super::threads::{Did, Gate, Outcome, run};
use crate::contender::{Lack, Refusal};
use crate::payload::{Owning, Payload, Seen, Sharing};
use crate::scenario::{Memory, PayloadKind, Scenario, Work};

/// A floor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Floor {
    /// Adding to a shared number.
    Xadd,
    /// Adding to a number of one's own.
    XaddApart,
    /// Adding to a shared number, and writing a record to the slot that it names, in mapped memory.
    XaddStore,
    /// `Vec::push` into memory that is mapped, of as many records as a log with retention keeps, over and over: by
    /// one thread, without any other.
    Push,
    /// `Vec::push` into memory that is mapped, of all records.
    PushAll,
    /// `Vec::push` into memory that the system has yet to give.
    PushFresh,
    /// Reading a slice in order.
    Slice,
    /// Reading a slice at random.
    SlicePick,
    /// Loading a shared number.
    Load,
    /// Copying memory, per KiB.
    Copy,
    /// Touching pages of 4 KiB for the first time, per page.
    Touch,
    /// Copying the bytes of an encoded record.
    CopyRecord,
    /// Inserting an ARN into a map.
    Insert,
}

impl Floor {
    /// All of them, with what they are called.
    pub const ALL: [(Self, &str); 13] = [
        (Self::Xadd, "floor: xadd"),
        (Self::XaddApart, "floor: xadd, own lines"),
        (Self::XaddStore, "floor: xadd + store"),
        (Self::Push, "floor: Vec push, mapped"),
        (Self::PushAll, "floor: Vec push, mapped, all kept"),
        (Self::PushFresh, "floor: Vec push, fresh"),
        (Self::Slice, "floor: slice iteration"),
        (Self::SlicePick, "floor: slice, random"),
        (Self::Load, "floor: load"),
        (Self::Copy, "floor: memcpy of 1 KiB"),
        (Self::Touch, "floor: page touch"),
        (Self::CopyRecord, "floor: memcpy of a record"),
        (Self::Insert, "floor: map insert"),
    ];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(floor, _)| *floor == self);
        named.map_or("floor", |(_, name)| name)
    }

    /// The floor of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, named)| *named == name).map(|(floor, _)| *floor)
    }

    /// The floors of a scenario; ratios are to the first.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Vec<Self> {
        match scenario.work {
            Work::Append if scenario.memory == Memory::Fresh => vec![Self::PushFresh, Self::Push],
            Work::Append if scenario.writers > 1 => vec![Self::XaddStore, Self::Xadd],
            Work::Append if scenario.batch > 1 || scenario.payload.bytes() > 64 => {
                vec![Self::Push, Self::XaddStore, Self::PushAll]
            }
            Work::Append => vec![Self::XaddStore, Self::Push],
            Work::Scan | Work::GetRecords => vec![Self::Slice],
            Work::Pick => vec![Self::SlicePick],
            Work::Poll | Work::Count => vec![Self::Load],
            Work::Put => vec![Self::XaddStore],
            Work::WireFirst | Work::WireAgain => vec![Self::CopyRecord],
            Work::Register(_) => vec![Self::Insert],
            Work::Floors => vec![
                Self::Xadd,
                Self::XaddApart,
                Self::XaddStore,
                Self::Push,
                Self::Slice,
                Self::Load,
                Self::Copy,
                Self::Touch,
            ],
        }
    }

    /// Measures it in a scenario.
    ///
    /// # Errors
    ///
    /// [`Refusal::Lack`] if it has no meaning there.
    pub fn measure(self, scenario: &Scenario) -> Result<Measurement, Refusal> {
        let link = (scenario.writers > 1).then(one_way);
        let outcome = match scenario.payload {
            _ if !self.is_of_records() => self.plain(scenario),
            PayloadKind::U64 => self.records::<u64>(scenario),
            PayloadKind::B64 => self.records::<[u64; 8]>(scenario),
            PayloadKind::B192 => self.records::<[u64; 24]>(scenario),
            PayloadKind::B208 => self.records::<[u64; 26]>(scenario),
            PayloadKind::Arc => self.records::<Sharing>(scenario),
            PayloadKind::Own => self.records::<Owning>(scenario),
        }?;
        Ok(outcome.measurement(link.map(|before| Link { before, after: one_way() })))
    }

    /// Whether it writes or reads records.
    fn is_of_records(self) -> bool {
        use Floor::{Push, PushAll, PushFresh, Slice, SlicePick, XaddStore};
        matches!(self, XaddStore | Push | PushAll | PushFresh | Slice | SlicePick)
    }

    fn records<T: Payload>(self, scenario: &Scenario) -> Result<Outcome, Refusal> {
        let operations = scenario.operations;
        let ring = scenario.retain.get().next_power_of_two() as usize;
        match self {
            Self::XaddStore => {
                let per_ring = scenario.writers.div_ceil(scenario.logs.max(1));
                let slots = if per_ring > 1 { operations as usize * per_ring } else { ring };
                let rings: Vec<Ring<T>> =
                    (0..scenario.logs.max(1)).map(|_| Ring::new(slots)).collect();
                timed(scenario, operations, |writer| {
                    let (ring, mould) = (&rings[writer % rings.len()], T::mould());
                    let batch = scenario.batch as u64;
                    move |number| ring.store(batch, |k| T::make(&mould, number + k))
                })
            }
            Self::Push => timed(scenario, operations, |_| {
                let mould = T::mould();
                let mut records = Vec::with_capacity(ring);
                records.extend((0..ring as u64).map(|number| T::make(&mould, number)));
                records.clear();
                push_round::<T>(records, mould, scenario.batch as u64)
            }),
            Self::PushAll => timed(scenario, operations, |_| {
                let mould = T::mould();
                let mut records = Vec::with_capacity(operations as usize + 1);
                records.extend((0..operations).map(|number| T::make(&mould, number)));
                records.clear();
                push_round::<T>(records, mould, scenario.batch as u64)
            }),
            Self::PushFresh => timed(scenario, operations, |_| {
                let records = Vec::with_capacity(operations as usize + 1);
                push_round::<T>(records, T::mould(), scenario.batch as u64)
            }),
            Self::Slice => {
                let records = held::<T>(scenario.retain.get());
                timed_by(scenario, 8 * operations, records.len() as u64, |_| {
                    |_| {
                        let mut seen = Seen::default();
                        records.iter().for_each(|record| seen.see(record));
                        black_box(seen);
                    }
                })
            }
            Self::SlicePick => {
                let records = held::<T>(scenario.retain.get());
                timed(scenario, operations, |_| {
                    let mut random = fastrand::Rng::with_seed(7);
                    let records = &records;
                    move |_| {
                        let mut seen = Seen::default();
                        seen.see(&records[(random.u64(..) % records.len() as u64) as usize]);
                        black_box(seen);
                    }
                })
            }
            _ => self.plain(scenario),
        }
    }

    /// Those that have nothing to do with records.
    fn plain(self, scenario: &Scenario) -> Result<Outcome, Refusal> {
        let operations = scenario.operations;
        match self {
            Self::Xadd => {
                let numbers = counters(scenario.logs.max(1));
                timed(scenario, operations, |writer| {
                    let number = &numbers[writer % numbers.len()];
                    // Relaxed: only the cost is of interest.
                    move |_| used(number.fetch_add(1, Ordering::Relaxed))
                })
            }
            Self::XaddApart => {
                let numbers = counters(scenario.writers);
                timed(scenario, operations, |writer| {
                    let number = &numbers[writer];
                    // Relaxed: as above.
                    move |_| used(number.fetch_add(1, Ordering::Relaxed))
                })
            }
            Self::Load => {
                let number = CachePadded::new(AtomicU64::new(1));
                // Acquire: as a reader must.
                timed(scenario, 5 * operations, |_| |_| used(number.load(Ordering::Acquire)))
            }
            Self::Copy => copies(scenario, operations / 4, 1024),
            Self::CopyRecord => copies(scenario, operations, super::store::encoded_bytes()),
            Self::Touch => timed(scenario, 16_384, |_| {
                let mut pages = Pages::new(16_384);
                move |number| pages.touch(number as usize)
            }),
            Self::Insert => match scenario.work {
                Work::Register(count) => timed_by(scenario, count as u64, count as u64, |_| {
                    let names = super::store::arns(count);
                    move |_| {
                        let mut map = HashMap::new();
                        for (number, name) in names.iter().enumerate() {
                            map.insert(name.clone(), number);
                        }
                        black_box(map);
                    }
                }),
                _ => Err(Lack::of("for registering only").into()),
            },
            _ => Err(Lack::of("a floor of records").into()),
        }
    }
}

/// Keeps the optimiser from leaving a value out.
#[inline(always)]
fn used<T>(value: T) {
    black_box(value);
}

fn counters(count: usize) -> Vec<CachePadded<AtomicU64>> {
    (0..count).map(|_| CachePadded::new(AtomicU64::new(0))).collect()
}

fn held<T: Payload>(count: u64) -> Vec<T> {
    let mould = T::mould();
    (0..count).map(|number| T::make(&mould, number)).collect()
}

/// Pushes; starts again when the vector's memory is used up.
#[inline(always)]
fn push_round<T: Payload>(mut records: Vec<T>, mould: T::Mould, batch: u64) -> impl FnMut(u64) {
    move |number| {
        if records.len() + batch as usize > records.capacity() {
            records.clear();
        }
        if batch == 1 {
            records.push(T::make(&mould, number));
        } else {
            records.extend((0..batch).map(|k| T::make(&mould, number + k)));
        }
        black_box(&mut records);
    }
}

fn copies(scenario: &Scenario, count: u64, bytes: usize) -> Result<Outcome, Refusal> {
    // From and to a few MiB, as a reader's records and its answer are.
    let pieces = (4 << 20) / bytes.max(1);
    timed(scenario, count, |_| {
        let from = vec![1u8; pieces * bytes];
        let mut to = vec![0u8; pieces * bytes];
        move |number| {
            let at = (number as usize % pieces) * bytes;
            to[at..at + bytes].copy_from_slice(black_box(&from[at..at + bytes]));
            black_box(&mut to);
        }
    })
}

fn timed<S: FnMut(u64)>(
    scenario: &Scenario,
    operations: u64,
    make: impl Fn(usize) -> S + Sync,
) -> Result<Outcome, Refusal> {
    timed_by(scenario, operations, scenario.batch as u64, make)
}

fn timed_by<S: FnMut(u64)>(
    scenario: &Scenario,
    operations: u64,
    stride: u64,
    make: impl Fn(usize) -> S + Sync,
) -> Result<Outcome, Refusal> {
    let write = |writer, gate: &Gate| -> Result<Did, Refusal> {
        let step = make(writer);
        gate.warm();
        Ok(gate.work(0, scenario.timing, (operations - operations % stride, stride), step))
    };
    run((scenario.writers, write), (0, |_, _: &Gate| Ok(Seen::default())))
}

/// Slots, and the number of the next one. A slot is written by whoever drew its number; records that are written
/// over are not dropped, since nobody could have done so in the same time.
struct Ring<T> {
    next: CachePadded<AtomicU64>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: slots are only written, by whoever drew their number; `Ring::new` is given as many slots as numbers are
// drawn, unless there is but one writer.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T: Payload> Ring<T> {
    fn new(slots: usize) -> Self {
        let mould = T::mould();
        // Written once, so that the memory is mapped.
        let slots = (0..slots.next_power_of_two() as u64)
            .map(|number| UnsafeCell::new(MaybeUninit::new(T::make(&mould, number))));
        Self { next: CachePadded::new(AtomicU64::new(0)), slots: slots.collect() }
    }

    /// Writes so many records to the slots behind each other that one addition names.
    #[inline(always)]
    fn store(&self, count: u64, make: impl Fn(u64) -> T) {
        // Relaxed: the number gives the slot; nobody reads it.
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        for k in 0..count {
            let slot = &self.slots[(first + k) as usize & (self.slots.len() - 1)];
            // SAFETY: the slot is this thread's alone, see above.
            unsafe { (*slot.get()).write(make(k)) };
        }
    }
}

/// Pages that the system has not given yet.
struct Pages {
    memory: *mut u8,
    layout: Layout,
}

const PAGE: usize = 4096;

impl Pages {
    fn new(count: usize) -> Self {
        let layout = Layout::from_size_align(count * PAGE, PAGE).expect("a size that fits");
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc(layout) };
        assert!(!memory.is_null(), "memory for {count} pages");
        Self { memory, layout }
    }

    #[inline(always)]
    fn touch(&mut self, page: usize) {
        let at = page * PAGE % self.layout.size();
        // SAFETY: inside of the block; bytes need no initialisation to be written.
        unsafe { self.memory.add(at).write_volatile(1) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, freed once.
        unsafe { dealloc(self.memory, self.layout) };
    }
}
