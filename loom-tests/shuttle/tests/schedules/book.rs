//! The sequential model: what a log that does one thing after the other could have answered.
//!
//! Threads take turns, so the book is exact: what is written into it at the end of an operation holds
//! for every operation that begins later.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use streamcore_scheduled::log::{Position, Snapshot};

/// One value: who made it, and its place in its batch.
pub struct Value {
    pub id: Id,
    pub index: u64,
    pub length: u64,
    is_alive: bool,
    book: Shared,
}

/// A writer and a number that rises by one with each of its values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Id {
    pub writer: usize,
    pub sequence: u64,
}

/// The book that the threads of an execution share. Nobody decides anything while it is open.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Book>>);

#[derive(Default)]
pub struct Book {
    made: u64,
    dead: BTreeSet<Id>,
    /// Which value stands where, as far as somebody was told or has seen it.
    known: BTreeMap<u64, Id>,
    /// Positions whose append has returned.
    returned: BTreeSet<u64>,
    /// All positions before it have returned.
    prefix: u64,
    /// Behind the largest position that has returned.
    floor: u64,
    /// The largest start and end of a snapshot that was taken.
    start: u64,
    end: u64,
    /// How far trimming was asked for.
    asked: u64,
    /// How far trimming was acknowledged.
    trimmed: u64,
    seal_begun: bool,
    sealed: Option<(u64, u32)>,
    seals: u32,
}

impl Drop for Value {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert!(self.is_alive, "dropped twice: {:?}", self.id);
        self.is_alive = false;
        let fresh = self.book.open().dead.insert(self.id);
        assert!(fresh, "dropped twice: {:?}", self.id);
    }
}

impl Value {
    pub fn new(book: &Shared, id: Id, index: u64, length: u64) -> Self {
        book.open().made += 1;
        Self { id, index, length, is_alive: true, book: book.clone() }
    }

    #[track_caller]
    fn check(&self) {
        assert!(self.is_alive, "a dead value is read");
        assert!(self.index < self.length, "no value at all");
    }

    /// Whether its batch ends with it.
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.length
    }
}

/// What held when an operation began.
#[derive(Clone, Copy)]
pub struct Before {
    prefix: u64,
    floor: u64,
    start: u64,
    end: u64,
    trimmed: u64,
    sealed: Option<(u64, u32)>,
}

impl Shared {
    pub fn open(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("nothing panics with the book open but the test")
    }

    /// To be called when an operation begins.
    pub fn before(&self) -> Before {
        let book = self.open();
        let Book { prefix, floor, start, end, trimmed, sealed, .. } = *book;
        Before { prefix, floor, start, end, trimmed, sealed }
    }
}

impl Book {
    /// A value was seen at a position: always the same one, alive.
    #[track_caller]
    pub fn stands_at(&mut self, position: Position, value: &Value) {
        value.check();
        assert!(!self.dead.contains(&value.id), "a dead value is read");
        self.is_known(position.get(), value.id);
    }

    #[track_caller]
    fn is_known(&mut self, position: u64, id: Id) {
        let known = *self.known.entry(position).or_insert(id);
        assert_eq!(known, id, "two values at {position}");
        if let Some((end, _)) = self.sealed {
            assert!(position < end, "a record at {position}, behind the end {end}");
        }
    }

    /// An append has returned.
    #[track_caller]
    pub fn appended(&mut self, before: Before, positions: Range<Position>, first: Id) {
        assert!(positions.start.get() >= before.floor, "not behind what had returned");
        assert!(before.sealed.is_none(), "appended to a sealed log");
        for (position, sequence) in
            (positions.start.get()..positions.end.get()).zip(first.sequence..)
        {
            self.is_known(position, Id { sequence, ..first });
            assert!(self.returned.insert(position), "{position} was handed out twice");
        }
        self.floor = self.floor.max(positions.end.get());
        while self.returned.contains(&self.prefix) {
            self.prefix += 1;
        }
    }

    /// An append was refused.
    #[track_caller]
    pub fn refused(&self) {
        assert!(self.seal_begun, "refused by a log that nobody seals");
    }

    /// A snapshot was taken.
    #[track_caller]
    pub fn snapshot(&mut self, before: Before, snapshot: Snapshot) {
        let (start, end) = (snapshot.start().get(), snapshot.end().get());
        assert!(start <= end, "{snapshot:?}");
        assert!(end >= before.prefix, "{snapshot:?}, but {} had returned", before.prefix);
        assert!(start >= before.start && end >= before.end, "{snapshot:?} goes back");
        assert!(start >= before.trimmed, "{snapshot:?} is trimmed to {}", before.trimmed);
        assert!(
            start <= self.asked,
            "{snapshot:?}, but nobody trimmed further than {}",
            self.asked
        );
        if let Some((sealed, _)) = self.sealed {
            assert!(end <= sealed, "{snapshot:?} is behind the end {sealed}");
        }
        self.start = self.start.max(start);
        self.end = self.end.max(end);
    }

    /// A read was refused because of trimming.
    #[track_caller]
    pub fn says_trimmed(&self, asked: Position, earliest: Position) {
        assert!(earliest > asked, "{asked} is trimmed, but {earliest} is the earliest");
        assert!(earliest.get() <= self.asked, "nobody trimmed to {earliest}");
    }

    /// A read was not refused.
    #[track_caller]
    pub fn says_readable(&self, before: Before, from: Position) {
        assert!(from.get() >= before.trimmed, "{from} was trimmed before");
    }

    /// Somebody is going to trim, or the log is told to do it itself.
    pub fn will_trim(&mut self, to: u64) {
        self.asked = self.asked.max(to);
    }

    /// Somebody has trimmed.
    #[track_caller]
    pub fn trimmed(&mut self, before: Before, horizon: Position) {
        let horizon = horizon.get();
        assert!(horizon >= before.trimmed, "the horizon went back to {horizon}");
        assert!(horizon <= self.asked, "{horizon} is further than {}", self.asked);
        self.trimmed = self.trimmed.max(horizon);
    }

    pub fn will_seal(&mut self) {
        self.seal_begun = true;
    }

    /// Somebody found the log sealed.
    #[track_caller]
    pub fn is_sealed(&mut self, end: Position, successor: u32) {
        assert!(self.seal_begun, "sealed by nobody");
        let seal = (end.get(), successor);
        assert_eq!(*self.sealed.get_or_insert(seal), seal, "another end, or another successor");
        let last = self.known.last_key_value().map_or(0, |(position, _)| position + 1);
        assert!(last <= end.get(), "a record at {}, behind the end {end}", last - 1);
    }

    /// A call of `seal` was told that it decided.
    #[track_caller]
    pub fn has_decided(&mut self) {
        self.seals += 1;
        assert_eq!(self.seals, 1, "two calls decided");
    }

    /// The appends of all positions before it have returned.
    pub fn prefix(&self) -> u64 {
        self.prefix
    }

    pub fn returned(&self) -> u64 {
        self.returned.len() as u64
    }

    pub fn dead(&self) -> u64 {
        self.dead.len() as u64
    }

    /// When everything is over: what was appended is what stands there, and everything has died once.
    #[track_caller]
    pub fn settle(&self) {
        let end = self.sealed.expect("sealed").0;
        assert_eq!(self.returned(), end, "what was acknowledged, and the end");
        assert_eq!(self.prefix, end, "a hole");
        assert_eq!(self.dead(), self.made, "values that never died");
    }
}
