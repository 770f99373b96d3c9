//! Recording: one session per thread, a buffer of its own each, and one shared counter for the order.
//!
//! # The stamps
//!
//! The counter counts responses. An invocation loads it (Acquire), a response adds one to it (Release)
//! and keeps what it was before. A's response stamp is smaller than B's invocation stamp exactly if the
//! load of B has read A's addition or a later one. All writes of the counter are read-modify-writes, so
//! they continue A's release sequence: the load synchronizes with A. Hence
//!
//! > `A.returned < B.called` implies that all of A happened before all of B, in the sense of the memory
//! > model.
//!
//! This is the only thing that the checkers take from stamps, so they never accuse a log that keeps
//! its promises for operations ordered by "happens before". A clock would not do: a store may still be
//! in its core's buffer when the core reads the time, and another core, later by the clock, may rightly
//! not see it; and clocks of several cores need not agree. An old value in the load, or a response that is
//! stamped late, only makes an operation look longer, and then less is known, never something false.
//!
//! # What it costs, and hides
//!
//! A load and an addition per operation on one shared cache line. The addition is a full barrier on x86, so it
//! drains the store buffer after each operation: faults that need a store to linger there will show less
//! often. [`Recorder::stamp_every`] stamps responses in groups: then the log runs nearly undisturbed, and
//! operations look longer by the group. It is worth recording in both ways.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbeam_utils::CachePadded;

use super::event::{Appended, Event, History, NEVER, Operation, Thread};
use super::subject::{EventLog, Refused};

/// How much a session may hold. An operation takes 48 bytes and a value that was read 8; the memory is
/// reserved when the session begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Operations per session.
    pub operations: usize,
    /// Values read, per session.
    pub values: usize,
}

/// Records what threads do to a log.
///
/// ```
/// use streamcore::log::Log;
/// use streamcore_bench::history::{Checker, Recorder, Room};
///
/// let log = Log::<u64>::new();
/// let recorder = Recorder::new(Room { operations: 1_000, values: 10_000 });
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| {
///             let mut session = recorder.session(&log);
///             while let Ok(position) = session.append() {
///                 let _ = session.read(position, 8);
///             }
///         });
///     }
/// });
/// let report = Checker::new().check(&recorder.finish());
/// assert!(report.is_clean(), "{report}");
/// ```
#[derive(Debug)]
pub struct Recorder {
    responses: CachePadded<AtomicU64>,
    sessions: AtomicU64,
    room: Room,
    group: usize,
    finished: Mutex<Vec<(u64, Thread)>>,
}

impl Recorder {
    /// A recorder whose sessions have this much room.
    #[must_use]
    pub fn new(room: Room) -> Self {
        Self {
            responses: CachePadded::new(AtomicU64::new(0)),
            sessions: AtomicU64::new(0),
            room,
            group: 1,
            finished: Mutex::default(),
        }
    }

    /// Stamps the responses of `group` operations of a thread at once, behind the last of them.
    #[must_use]
    pub fn stamp_every(mut self, group: usize) -> Self {
        self.group = group.max(1);
        self
    }

    /// Begins to record what the calling thread does. Not itself recorded: may be called at any time.
    pub fn session<'a, L: EventLog + ?Sized>(&'a self, log: &'a L) -> Session<'a, L> {
        self.session_with(log, self.room)
    }

    /// As [`Recorder::session`], with another room.
    pub fn session_with<'a, L>(&'a self, log: &'a L, room: Room) -> Session<'a, L>
    where
        L: EventLog + ?Sized,
    {
        // Relaxed: a number that nobody else gets.
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let thread = Thread {
            events: Vec::with_capacity(room.operations),
            values: Vec::with_capacity(room.values),
        };
        let next_value = number << 40;
        Session { recorder: self, log, thread, room, number, next_value, unstamped: 0 }
    }

    /// What was recorded by the sessions that have ended, in the order in which they began.
    #[must_use]
    pub fn finish(self) -> History {
        let mut threads = self.finished.into_inner().unwrap_or_else(PoisonError::into_inner);
        threads.sort_by_key(|(number, _)| *number);
        History { threads: threads.into_iter().map(|(_, thread)| thread).collect() }
    }

    #[inline]
    fn invocation(&self) -> u64 {
        // Acquire pairs with the additions in `response`.
        self.responses.load(Ordering::Acquire)
    }

    #[inline]
    fn response(&self) -> u64 {
        // Release pairs with the load in `invocation`.
        self.responses.fetch_add(1, Ordering::Release)
    }
}

/// What one thread records. Every method does what the log's does and notes it down. What was recorded
/// goes to the recorder when the session is dropped; if the log panics, that operation stays open in the history.
#[derive(Debug)]
pub struct Session<'a, L: ?Sized> {
    recorder: &'a Recorder,
    log: &'a L,
    thread: Thread,
    room: Room,
    number: u64,
    next_value: u64,
    unstamped: usize,
}

impl<'a, L: EventLog + ?Sized> Session<'a, L> {
    /// Appends one record, with a value that no other append has.
    ///
    /// # Errors
    ///
    /// As the log refuses it, or [`Refused::Full`]; the same holds for the other methods.
    pub fn append(&mut self) -> Result<u64, Refused> {
        self.append_values(1, |log, values| log.append(values.start))
    }

    /// Appends `count` records as a batch.
    ///
    /// # Errors
    ///
    /// As [`Session::append`]; [`Refused::Unsupported`] for a batch of no records.
    pub fn append_batch(&mut self, count: u32) -> Result<u64, Refused> {
        if count == 0 {
            return Err(Refused::Unsupported);
        }
        self.append_values(count, |log, values| log.append_batch(values))
    }

    fn append_values(
        &mut self,
        count: u32,
        append: impl FnOnce(&L, Range<u64>) -> Result<u64, Refused>,
    ) -> Result<u64, Refused> {
        let first = self.next_value;
        let open = Operation::Append { first, count, outcome: Appended::Unknown };
        let log = self.begin(open)?;
        self.next_value += u64::from(count);
        let answer = append(log, first..self.next_value);
        let outcome = match answer {
            Ok(position) => Appended::At(position),
            Err(Refused::Sealed) => Appended::Redirected,
            Err(refused) => return Err(self.withdraw(refused)),
        };
        self.complete(Operation::Append { first, count, outcome });
        answer
    }

    /// Trims the log.
    ///
    /// # Errors
    ///
    /// As [`Session::append`].
    pub fn trim(&mut self, to: u64) -> Result<u64, Refused> {
        let log = self.begin(Operation::Trim { to, horizon: None })?;
        let horizon = log.trim(to).map_err(|refused| self.withdraw(refused))?;
        self.complete(Operation::Trim { to, horizon: Some(horizon) });
        Ok(horizon)
    }

    /// Seals the log and returns its end.
    ///
    /// # Errors
    ///
    /// As [`Session::append`].
    pub fn seal(&mut self) -> Result<u64, Refused> {
        let log = self.begin(Operation::Seal { end: None })?;
        let end = log.seal().map_err(|refused| self.withdraw(refused))?;
        self.complete(Operation::Seal { end: Some(end) });
        Ok(end)
    }

    /// Takes a snapshot.
    ///
    /// # Errors
    ///
    /// [`Refused::Full`].
    pub fn snapshot(&mut self) -> Result<Range<u64>, Refused> {
        self.check_room()?;
        let called = self.recorder.invocation();
        let Range { start, end } = self.log.snapshot();
        self.note(called, Operation::Snapshot { start, end });
        Ok(start..end)
    }

    /// Reads up to `max` records from `from` on; fewer if there is no more room for values.
    ///
    /// # Errors
    ///
    /// As [`Session::append`].
    pub fn read(&mut self, from: u64, max: usize) -> Result<&[u64], Refused> {
        self.check_room()?;
        let before = self.thread.values.len();
        let max = max.min(self.room.values.saturating_sub(before));
        if max == 0 {
            return Err(Refused::Full);
        }
        let called = self.recorder.invocation();
        let answer = self.log.read(from, max, &mut self.thread.values);
        match answer {
            Ok(()) => {
                self.thread.values.truncate(before + max);
                let count = self.thread.values.len().saturating_sub(before) as u32;
                self.note(called, Operation::Read { from, values: before as u64, count });
            }
            Err(refused) => {
                self.thread.values.truncate(before);
                if let Refused::Trimmed { earliest } = refused {
                    self.note(called, Operation::ReadTrimmed { from, earliest });
                }
                return Err(refused);
            }
        }
        Ok(&self.thread.values[before..])
    }

    /// Waits until the record at `position` is visible.
    ///
    /// # Errors
    ///
    /// As [`Session::append`].
    pub fn wait(&mut self, position: u64) -> Result<(), Refused> {
        self.check_room()?;
        let called = self.recorder.invocation();
        let answer = self.log.wait(position);
        match answer {
            Ok(()) => self.note(called, Operation::Visible { position }),
            Err(Refused::NeverVisible { end }) => {
                self.note(called, Operation::NeverVisible { position, end });
            }
            Err(_) => {}
        }
        answer
    }

    /// Asks for the position of the next append.
    ///
    /// # Errors
    ///
    /// As [`Session::append`].
    pub fn latest(&mut self) -> Result<u64, Refused> {
        self.check_room()?;
        let called = self.recorder.invocation();
        let position = self.log.latest()?;
        self.note(called, Operation::Latest { position });
        Ok(position)
    }

    fn check_room(&self) -> Result<(), Refused> {
        let has_room = self.thread.events.len() < self.room.operations;
        if has_room { Ok(()) } else { Err(Refused::Full) }
    }

    /// Notes an operation that may change the log before the log is asked.
    fn begin(&mut self, operation: Operation) -> Result<&'a L, Refused> {
        self.check_room()?;
        let called = self.recorder.invocation();
        self.thread.events.push(Event { called, returned: NEVER, operation });
        Ok(self.log)
    }

    fn complete(&mut self, operation: Operation) {
        if let Some(last) = self.thread.events.last_mut() {
            last.operation = operation;
        }
        self.stamp_if_due();
    }

    /// The log has refused the operation: it is taken out, unless it may have done something.
    fn withdraw(&mut self, refused: Refused) -> Refused {
        if refused == Refused::Unsupported {
            self.thread.events.pop();
        }
        refused
    }

    fn note(&mut self, called: u64, operation: Operation) {
        self.thread.events.push(Event { called, returned: NEVER, operation });
        self.stamp_if_due();
    }
}

impl<L: ?Sized> Session<'_, L> {
    #[inline]
    fn stamp_if_due(&mut self) {
        if self.thread.events.len() - self.unstamped >= self.recorder.group {
            self.stamp();
        }
    }

    fn stamp(&mut self) {
        let now = self.recorder.response();
        for event in &mut self.thread.events[self.unstamped..] {
            let is_open = matches!(
                event.operation,
                Operation::Append { outcome: Appended::Unknown, .. }
                    | Operation::Trim { horizon: None, .. }
                    | Operation::Seal { end: None }
            );
            if !is_open {
                event.returned = now;
            }
        }
        self.unstamped = self.thread.events.len();
    }
}

impl<L: ?Sized> Drop for Session<'_, L> {
    fn drop(&mut self) {
        self.stamp();
        let thread = std::mem::take(&mut self.thread);
        let mut finished = self.recorder.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.push((self.number, thread));
    }
}
