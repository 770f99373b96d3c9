//! The values that the stress test appends, and the books that are kept about them: who wrote each, at
//! which position it stands, and that it died exactly once.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use streamcore::log::Position;

const POISON: u64 = 0xdead_dead_dead_dead;

/// One value. `PAD` makes it larger, so that a segment holds fewer of them.
pub struct Value<'a, const PAD: usize> {
    /// Tells a live value from a dead, a torn and a foreign one.
    canary: AtomicU64,
    ledger: &'a Ledger,
    pub writer: u32,
    /// Rises by one with each value of the writer.
    pub sequence: u32,
    /// The value's place in its batch, and the batch's length; 0 of 1 for a single append.
    pub index: u32,
    pub length: u32,
    _pad: MaybeUninit<[u8; PAD]>,
}

impl<'a, const PAD: usize> Value<'a, PAD> {
    pub fn new(ledger: &'a Ledger, writer: u32, sequence: u32, index: u32, length: u32) -> Self {
        Self {
            canary: AtomicU64::new(key(writer, sequence)),
            ledger,
            writer,
            sequence,
            index,
            length,
            _pad: MaybeUninit::uninit(),
        }
    }

    /// Fails unless this is a live, whole value.
    #[track_caller]
    pub fn check(&self) {
        let canary = self.canary.load(Ordering::Relaxed);
        assert_ne!(canary, POISON, "a dead value was read");
        assert_eq!(canary, key(self.writer, self.sequence), "a torn value");
        assert!(self.index < self.length, "a torn value");
        let deaths = &self.ledger.deaths[self.writer as usize][self.sequence as usize];
        assert_eq!(deaths.load(Ordering::Relaxed), 0, "a dead value was read");
    }
}

impl<const PAD: usize> Drop for Value<'_, PAD> {
    fn drop(&mut self) {
        // The log contains panics of a value's drop, so what is wrong here is counted instead.
        let canary = self.canary.swap(POISON, Ordering::Relaxed);
        if canary != key(self.writer, self.sequence) {
            eprintln!("dropped what is no live value: {canary:#x}");
            self.ledger.violations.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let deaths = &self.ledger.deaths[self.writer as usize][self.sequence as usize];
        if deaths.fetch_add(1, Ordering::Relaxed) != 0 {
            eprintln!("dropped twice: {} of writer {}", self.sequence, self.writer);
            self.ledger.violations.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn id(writer: u32, sequence: u32) -> u64 {
    u64::from(writer + 1) << 32 | u64::from(sequence)
}

fn key(writer: u32, sequence: u32) -> u64 {
    (u64::from(writer) << 32 | u64::from(sequence)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed
}

/// Counts the deaths of each value.
pub struct Ledger {
    deaths: Vec<Vec<AtomicU32>>,
    violations: AtomicU64,
}

impl Ledger {
    pub fn new(writers: usize, values_each: usize) -> Self {
        let of_one = || (0..values_each).map(|_| AtomicU32::new(0)).collect();
        Self { deaths: (0..writers).map(|_| of_one()).collect(), violations: AtomicU64::new(0) }
    }

    /// How many values have died.
    pub fn dead(&self) -> usize {
        let dead = |one: &&AtomicU32| one.load(Ordering::Relaxed) > 0;
        let of_one = |all: &Vec<AtomicU32>| all.iter().filter(dead).count();
        self.deaths.iter().map(of_one).sum()
    }

    /// Fails unless each of the values that the writers made has died exactly once.
    pub fn settle(&self, made: &[u32]) {
        assert_eq!(self.violations.load(Ordering::Relaxed), 0, "see above");
        for (writer, &made) in made.iter().enumerate() {
            for (sequence, deaths) in self.deaths[writer].iter().enumerate() {
                let expected = u32::from(sequence < made as usize);
                let deaths = deaths.load(Ordering::Relaxed);
                assert_eq!(deaths, expected, "deaths of {sequence} of writer {writer}");
            }
        }
    }
}

/// What is known about a log while threads work on it.
pub struct Facts {
    /// Which value stands at a position: said by the first to know, checked by all others.
    identity: Vec<AtomicU64>,
    /// Positions whose append has returned.
    returned: Vec<AtomicBool>,
    /// Behind the largest position whose append has returned.
    pub floor: AtomicU64,
    /// The largest start and end of a snapshot, and the largest watermark.
    pub starts: AtomicU64,
    pub ends: AtomicU64,
    pub watermarks: AtomicU64,
    /// The end and the successor of the sealed log: said by the first to know.
    end: AtomicU64,
    successor: AtomicU64,
    /// Calls of `seal` that were told that they sealed it.
    pub seals: AtomicU32,
    pub writers_done: AtomicU32,
    pub failed: AtomicBool,
}

impl Facts {
    pub fn new(positions: usize) -> Self {
        Self {
            identity: (0..positions).map(|_| AtomicU64::new(0)).collect(),
            returned: (0..positions).map(|_| AtomicBool::new(false)).collect(),
            floor: AtomicU64::new(0),
            starts: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            watermarks: AtomicU64::new(0),
            end: AtomicU64::new(0),
            successor: AtomicU64::new(0),
            seals: AtomicU32::new(0),
            writers_done: AtomicU32::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// Immutable: a position holds the same value for everybody.
    #[track_caller]
    pub fn stands_at<const PAD: usize>(&self, position: Position, value: &Value<'_, PAD>) {
        let known = &self.identity[position.get() as usize];
        let id = id(value.writer, value.sequence);
        first_says(known, id, "another value at the same position");
    }

    /// The append of these positions has returned, to one caller only.
    #[track_caller]
    pub fn returns(&self, positions: Range<Position>, writer: u32, sequence: u32) {
        for (position, sequence) in (positions.start.get()..positions.end.get()).zip(sequence..) {
            let known = &self.identity[position as usize];
            first_says(known, id(writer, sequence), "another value at my position");
            let twice = self.returned[position as usize].swap(true, Ordering::SeqCst);
            assert!(!twice, "position {position} was handed out twice");
        }
        self.floor.fetch_max(positions.end.get(), Ordering::SeqCst);
    }

    /// How many appended records have returned.
    pub fn returned(&self) -> u64 {
        let returned = |one: &&AtomicBool| one.load(Ordering::SeqCst);
        self.returned.iter().filter(returned).count() as u64
    }

    /// Moves `prefix` on over positions whose appends, and all before, have returned.
    pub fn returned_prefix(&self, prefix: &mut u64) {
        let more = self.returned[*prefix as usize..].iter();
        *prefix += more.take_while(|one| one.load(Ordering::SeqCst)).count() as u64;
    }

    /// One end, one successor, the same for everybody.
    #[track_caller]
    pub fn ends_at(&self, end: Position, successor: u32) {
        first_says(&self.end, end.get() + 1, "another end");
        first_says(&self.successor, u64::from(successor) + 1, "another successor");
    }
}

/// Notes a value that must be the same for everybody: 0 is nothing yet.
#[track_caller]
pub fn first_says(known: &AtomicU64, value: u64, otherwise: &str) {
    // Relaxed: it must not order what the log has to order.
    let first = known.compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed);
    if let Err(known) = first {
        assert_eq!(known, value, "{otherwise}");
    }
}

/// Pseudo-random numbers (splitmix64), the same for the same seed.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// Lets a little time pass, so that threads meet at other places each time.
    pub fn dawdle(&mut self) {
        match self.below(16) {
            0 => std::thread::yield_now(),
            steps => (0..steps * 4).for_each(|_| std::hint::spin_loop()),
        }
    }
}
