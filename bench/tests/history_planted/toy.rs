//! A small log of fixed size that keeps all promises, and breaks one of them if it is told to.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread::yield_now;

use streamcore_bench::history::{EventLog, Refused};

/// What is wrong with the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plant {
    Nothing,
    /// Positions are taken by a load and a store.
    DuplicatePosition,
    /// Snapshots end at the tail, whether all before it is filled or not.
    HoleInSnapshot,
    /// Half of the threads look at a mark that appends move when they have filled their slots, the others
    /// at one that they move when they return. No thread sees its own mark go back.
    SnapshotGoesBack,
    /// Batches are filled from the first record to the last.
    SplitBatch,
    /// Whether the log is sealed is looked up before a position is taken, not with it.
    BehindTheEnd,
    /// A record whose append meets a seal is acknowledged and dropped.
    LostAtSeal,
    /// Only every 16th snapshot looks for what is new.
    StaleSnapshot,
    /// Now and then, an append fills the slot before its own once more.
    Overwrites,
    /// Trims take more than was asked for.
    TrimsTooMuch,
    /// A trim sets the horizon, even if it was further.
    HorizonGoesBack,
    /// The latest position is that of the last snapshot.
    LatestIsTheMark,
    /// A reader that finds a slot empty skips it.
    SkipsHoles,
}

const SEALED: u64 = 1 << 63;
/// In a slot: its append is about to return.
const RETURNS: u64 = 1 << 63;

static THREADS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static THREAD: usize = THREADS.fetch_add(1, SeqCst);
}

pub struct Toy {
    plant: Plant,
    /// The next position, and whether the log is sealed.
    tail: AtomicU64,
    /// 0, or the value + 1 and whether the batch goes on; and `RETURNS`.
    slots: Box<[AtomicU64]>,
    marks: [AtomicU64; 2],
    horizon: AtomicU64,
    snapshots: AtomicU64,
    late: AtomicBool,
    end: AtomicU64,
}

impl Toy {
    pub fn new(plant: Plant, capacity: usize) -> Self {
        Self {
            plant,
            tail: AtomicU64::new(0),
            slots: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            marks: Default::default(),
            horizon: AtomicU64::new(0),
            snapshots: AtomicU64::new(0),
            late: AtomicBool::new(false),
            end: AtomicU64::new(u64::MAX),
        }
    }

    fn tail(&self) -> u64 {
        (self.tail.load(SeqCst) & !SEALED).min(self.end.load(SeqCst))
    }

    fn slot(&self, position: u64) -> u64 {
        self.slots.get(position as usize).map_or(0, |slot| slot.load(SeqCst))
    }

    fn take(&self, count: u64) -> Result<u64, Refused> {
        if self.plant == Plant::BehindTheEnd {
            if self.late.load(SeqCst) {
                return Err(Refused::Sealed);
            }
            yield_now();
            return Ok(self.tail.fetch_add(count, SeqCst) & !SEALED);
        }
        let mut tail = self.tail.load(SeqCst);
        loop {
            if tail & SEALED != 0 {
                return Err(Refused::Sealed);
            }
            if self.plant == Plant::DuplicatePosition && tail.is_multiple_of(64) {
                yield_now();
                self.tail.store(tail + count, SeqCst);
                return Ok(tail);
            }
            match self.tail.compare_exchange(tail, tail + count, SeqCst, SeqCst) {
                Ok(_) => return Ok(tail),
                Err(now) => tail = now,
            }
        }
    }

    fn fill(&self, position: u64, value: u64, goes_on: bool) {
        if let Some(slot) = self.slots.get(position as usize) {
            slot.store((value + 1) << 1 | u64::from(goes_on), SeqCst);
        }
    }

    fn advance(&self, which: usize) -> u64 {
        let tail = self.tail();
        let mut mark = self.marks[which].load(SeqCst);
        let needed = if which == 1 { RETURNS } else { 0 };
        while mark < tail && self.slot(mark) != 0 && self.slot(mark) & needed == needed {
            mark += 1;
        }
        self.marks[which].fetch_max(mark, SeqCst).max(mark)
    }

    /// The mark that the calling thread looks at.
    fn mark_of_thread(&self) -> usize {
        if self.plant == Plant::SnapshotGoesBack { THREAD.with(|thread| thread % 2) } else { 0 }
    }

    /// How far reads go.
    fn readable(&self) -> u64 {
        match self.plant {
            Plant::HoleInSnapshot => self.tail(),
            Plant::StaleSnapshot => self.marks[0].load(SeqCst),
            _ => self.advance(self.mark_of_thread()),
        }
    }
}

impl EventLog for Toy {
    fn append(&self, value: u64) -> Result<u64, Refused> {
        self.append_batch(value..value + 1)
    }

    fn append_batch(&self, values: Range<u64>) -> Result<u64, Refused> {
        let count = values.end - values.start;
        let first = self.take(count)?;
        if first.is_multiple_of(4) {
            yield_now();
        }
        if self.plant == Plant::LostAtSeal && self.tail.load(SeqCst) & SEALED != 0 {
            return Ok(first);
        }
        let fill = |index| self.fill(first + index, values.start + index, index + 1 < count);
        if self.plant == Plant::SplitBatch {
            (0..count).for_each(|index| {
                fill(index);
                yield_now();
            });
        } else {
            (0..count).rev().for_each(fill);
        }
        match self.plant {
            Plant::Overwrites if first % 256 == 255 => self.fill(first - 1, values.start, false),
            Plant::SnapshotGoesBack => {
                self.advance(0);
                yield_now();
                for slot in &self.slots[first as usize..(first + count) as usize] {
                    slot.fetch_or(RETURNS, SeqCst);
                }
                self.advance(1);
            }
            _ => {}
        }
        Ok(first)
    }

    fn snapshot(&self) -> Range<u64> {
        let start = self.horizon.load(SeqCst);
        let count = self.snapshots.fetch_add(1, SeqCst);
        let end = match self.plant {
            Plant::HoleInSnapshot => self.tail(),
            Plant::StaleSnapshot if !count.is_multiple_of(16) => self.marks[0].load(SeqCst),
            _ => self.advance(self.mark_of_thread()),
        };
        start..end
    }

    fn read(&self, from: u64, max: usize, into: &mut Vec<u64>) -> Result<(), Refused> {
        let earliest = self.horizon.load(SeqCst);
        if from < earliest {
            return Err(Refused::Trimmed { earliest });
        }
        if self.plant == Plant::SkipsHoles {
            let slots = (from..self.tail()).map(|position| self.slot(position));
            into.extend(
                slots.filter(|slot| *slot != 0).map(|slot| ((slot & !RETURNS) >> 1) - 1).take(max),
            );
            return Ok(());
        }
        let slots = (from..self.readable()).map(|position| self.slot(position));
        into.extend(
            slots.take_while(|slot| *slot != 0).map(|slot| ((slot & !RETURNS) >> 1) - 1).take(max),
        );
        Ok(())
    }

    fn trim(&self, to: u64) -> Result<u64, Refused> {
        let to = if self.plant == Plant::TrimsTooMuch { to + 500 } else { to };
        let shown_to_all = usize::from(self.plant == Plant::SnapshotGoesBack);
        let mut to = to.min(self.marks[shown_to_all].load(SeqCst));
        while to > 0 && self.slot(to - 1) & 1 == 1 {
            to -= 1;
        }
        if self.plant == Plant::HorizonGoesBack {
            yield_now();
            self.horizon.store(to, SeqCst);
            return Ok(to);
        }
        Ok(self.horizon.fetch_max(to, SeqCst).max(to))
    }

    fn seal(&self) -> Result<u64, Refused> {
        self.late.store(true, SeqCst);
        let tail = self.tail.fetch_or(SEALED, SeqCst) & !SEALED;
        if self.plant == Plant::BehindTheEnd {
            let first = self.end.compare_exchange(u64::MAX, tail, SeqCst, SeqCst);
            return Ok(first.map_or_else(|first| first, |_| tail));
        }
        Ok(tail)
    }

    fn latest(&self) -> Result<u64, Refused> {
        match self.plant {
            Plant::LatestIsTheMark => Ok(self.marks[0].load(SeqCst)),
            _ => Ok(self.tail()),
        }
    }
}
