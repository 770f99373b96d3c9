//! One execution: a log, a cast of threads with their roles, and the end of it all.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use shuttle::thread;
use streamcore_scheduled::log::LogOptions;

use crate::book::{Shared, Value};
use crate::harness::{Dice, Met, explore};
use crate::roles;

pub type Log = streamcore_scheduled::log::Log<Value, u32>;

/// What the threads of an execution share.
#[derive(Clone)]
pub struct Stage {
    pub log: Arc<Log>,
    pub book: Shared,
    pub met: Met,
    pub cast: Cast,
    pub writers_left: Arc<AtomicU32>,
    /// So many records are there when sealers begin, all of them at once.
    pub seal_at: u64,
    /// Where each of the sleepers has come to.
    pub reads: Arc<[AtomicU64]>,
}

/// Who takes part.
#[derive(Clone, Copy, Default)]
pub struct Cast {
    /// Threads that append so many records each, and the longest batch.
    pub writers: u32,
    pub records: u64,
    pub longest: u64,
    /// Threads that take snapshots, read anywhere and keep guards.
    pub readers: u32,
    /// Threads that follow with a cursor and sleep: until woken, or as a task.
    pub sleepers: u32,
    /// Threads that trim and shrink.
    pub trimmers: u32,
    /// Threads that seal beside the one that always does; they do not wait for the writers.
    pub sealers: u32,
    /// Nobody appends before all sleepers have read all that came before, so that a wake that is lost is
    /// not made up for by the next one.
    pub handshake: bool,
    /// The log retains so many, and nobody trims.
    pub retained: u64,
}

/// What a scenario may meet.
const MET: &[&str] = &[
    "appends refused",
    "snapshots with more in flight",
    "reads of what was trimmed meanwhile",
    "sleeps",
    "recycled segments",
    "values that died under way",
];

impl Cast {
    pub fn play(self, name: &str, met: &[&str]) {
        let all = Met::new(MET);
        let inside = all.clone();
        explore(name, &all, met, move || self.play_once(&inside));
    }

    fn play_once(self, met: &Met) {
        let retained = NonZeroU64::new(self.retained);
        let options =
            retained.map_or(LogOptions::new(), |kept| LogOptions::new().retain_last(kept));
        let stage = Stage {
            log: Arc::new(Log::with_options(options)),
            book: Shared::default(),
            met: met.clone(),
            cast: self,
            writers_left: Arc::new(AtomicU32::new(self.writers)),
            seal_at: Dice::new().below(u64::from(self.writers) * self.records),
            reads: (0..self.sleepers).map(|_| AtomicU64::new(0)).collect(),
        };
        if retained.is_some() {
            stage.book.open().will_trim(u64::MAX);
        }
        let mut threads = Vec::new();
        let mut spawn = |role: fn(&Stage, Dice, usize), number: u32| {
            for number in 0..number as usize {
                let (stage, dice) = (stage.clone(), Dice::new());
                threads.push(thread::spawn(move || role(&stage, dice, number)));
            }
        };
        spawn(roles::write, self.writers);
        spawn(roles::read, self.readers);
        spawn(roles::sleep, self.sleepers);
        spawn(roles::trim, self.trimmers);
        spawn(roles::seal_early, self.sealers);
        roles::seal_at_the_end(&stage);
        threads.into_iter().for_each(|thread| thread.join().expect("a thread has failed"));
        stage.finish();
    }
}

impl Stage {
    /// Whether nothing more can come, and all of it was seen.
    pub fn is_over(&self, seen: u64) -> bool {
        let end = self.log.sealed_end();
        end.is_some_and(|end| end.get() <= seen)
    }

    pub fn writers_are_done(&self) -> bool {
        self.writers_left.load(Relaxed) == 0
    }

    /// Lets the sleepers come up to what has returned.
    pub fn wait_for_sleepers(&self) {
        let all = self.book.open().prefix();
        while self.reads.iter().any(|read| read.load(Relaxed) < all) {
            shuttle::thread::yield_now();
        }
    }

    /// What holds when all threads are gone.
    fn finish(self) {
        let Self { log, book, met, .. } = self;
        let end = log.sealed_end().expect("sealed");
        let (mut next, mut open) = (log.snapshot().start(), 0);
        let walk = log.for_each(next..end, |position, value| {
            assert_eq!((position, open), (next, value.index), "a hole, or a torn batch");
            book.open().stands_at(position, value);
            next = position.plus(1);
            open = if value.is_last() { 0 } else { open + 1 };
        });
        assert_eq!((walk, open), (Ok(end), 0));
        met.note_times("values that died under way", book.open().dead());
        let stats = log.stats();
        assert_eq!((stats.dying, stats.spares), (0, 0), "a sealed log keeps them: {stats:?}");
        let dice = book.open().returned() % 2;
        if dice == 0 {
            book.open().will_trim(end.get());
            assert_eq!(log.trim(end), end);
            let stats = log.stats();
            assert_eq!((stats.blocks, stats.pins, stats.contained_panics), (0, 0, 0), "{stats:?}");
        }
        drop(log);
        book.open().settle();
    }
}
