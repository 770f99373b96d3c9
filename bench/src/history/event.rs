//! The vocabulary of a history: what threads asked of a log, what it answered, and when.
//!
//! It knows nothing of any particular log. Positions and values are numbers; every value is appended at
//! most once, so a record names its append. The records of a batch have consecutive values.

use std::fmt;

/// The stamp of a response that never came: the operation was still running when recording ended.
pub const NEVER: u64 = u64::MAX;

/// One operation of one thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The stamp of the invocation: how many responses the caller knew to have been given.
    pub called: u64,
    /// The stamp of the response, or [`NEVER`].
    pub returned: u64,
    /// What was asked and answered.
    pub operation: Operation,
}

impl Event {
    /// Whether the response of `self` is known to have happened before the invocation of `other`.
    #[inline]
    #[must_use]
    pub fn precedes(&self, other: &Self) -> bool {
        self.returned < other.called
    }
}

/// What was asked of the log, with its answer.
///
/// Only operations that change the log have a form without an answer; an operation that only looks
/// and never came back says nothing and is left out of a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Appends `count` records (more than one: a batch) with the values `first`, `first + 1`, ….
    Append {
        /// The value of the first record.
        first: u64,
        /// How many records; at least 1.
        count: u32,
        /// What became of them.
        outcome: Appended,
    },
    /// The readable part of the log: `start` is the first position retained, `end` the first one that
    /// is not shown.
    Snapshot {
        /// The first position that is retained.
        start: u64,
        /// The first position that is not shown.
        end: u64,
    },
    /// The records from `from` on: none means that nothing can be read there yet. Fewer records than
    /// were asked for mean nothing.
    Read {
        /// The position of the first record.
        from: u64,
        /// Where the values begin in [`Thread::values`].
        values: u64,
        /// How many records were read.
        count: u32,
    },
    /// A read that was told that its first position is no longer retained.
    ReadTrimmed {
        /// The position that was asked for.
        from: u64,
        /// The first position retained, by the answer.
        earliest: u64,
    },
    /// Gives up records before `to`.
    Trim {
        /// The first position that the caller wants to keep.
        to: u64,
        /// The first position retained, by the answer.
        horizon: Option<u64>,
    },
    /// Closes the log.
    Seal {
        /// The first position that the log will never hold, by the answer.
        end: Option<u64>,
    },
    /// A wait for the record at `position` that ended because every snapshot now shows it.
    Visible {
        /// The position waited for.
        position: u64,
    },
    /// A wait that ended because the log is sealed and ends before `position`.
    NeverVisible {
        /// The position waited for.
        position: u64,
        /// The end of the log, by the answer.
        end: u64,
    },
    /// The position that the next append would get: where a reader of new records begins.
    Latest {
        /// The position, by the answer.
        position: u64,
    },
}

/// What became of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appended {
    /// Its records have this position and those that follow.
    At(u64),
    /// The log was sealed and has taken nothing.
    Redirected,
    /// It never came back: it may have taken place or not.
    Unknown,
}

/// What one thread did, in the order in which it did it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Thread {
    /// Its operations.
    pub events: Vec<Event>,
    /// The values of all its reads, one after the other.
    pub values: Vec<u64>,
}

/// What several threads did to one log that was empty at first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// One entry per thread, at most 2³² of 2³² operations each.
    pub threads: Vec<Thread>,
}

impl History {
    /// The number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.threads.iter().map(|thread| thread.events.len()).sum()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All operations, thread by thread.
    pub fn events(&self) -> impl Iterator<Item = (EventId, &Event)> {
        self.threads.iter().zip(0u32..).flat_map(|(thread, number)| {
            let events = thread.events.iter().zip(0u32..);
            events.map(move |(event, index)| (EventId { thread: number, index }, event))
        })
    }

    /// The operation with this name.
    ///
    /// # Panics
    ///
    /// When the name is of another history.
    #[inline]
    #[must_use]
    pub fn event(&self, id: EventId) -> &Event {
        &self.threads[id.thread as usize].events[id.index as usize]
    }

    /// The values that a read has found: empty for any other operation.
    #[must_use]
    pub fn values(&self, id: EventId) -> &[u64] {
        let Operation::Read { values, count, .. } = self.event(id).operation else {
            return &[];
        };
        let all = &self.threads[id.thread as usize].values;
        usize::try_from(values)
            .ok()
            .and_then(|first| all.get(first..first.checked_add(count as usize)?))
            .unwrap_or(&[])
    }

    /// The operation with its name, to be kept and printed.
    #[must_use]
    pub fn witness(&self, id: EventId) -> Witness {
        Witness { id, event: *self.event(id) }
    }
}

/// The name of an operation in its history.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EventId {
    /// The thread, from 0.
    pub thread: u32,
    /// Which of the thread's operations, from 0.
    pub index: u32,
}

/// An operation that takes part in a violation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Witness {
    /// Where it stands in the history.
    pub id: EventId,
    /// What it was.
    pub event: Event,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, event) = (self.id, self.event);
        write!(f, "thread {}, operation {} [{}, ", id.thread, id.index, event.called)?;
        match event.returned {
            NEVER => f.write_str("…]: ")?,
            returned => write!(f, "{returned}]: ")?,
        }
        event.operation.fmt(f)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Append { first, count, outcome } => {
                match count {
                    1 => write!(f, "append of value {first:#x} ")?,
                    _ => write!(f, "append of {count} values from {first:#x} ")?,
                }
                match outcome {
                    Appended::At(position) => write!(f, "at position {position}"),
                    Appended::Redirected => f.write_str("redirected: the log is sealed"),
                    Appended::Unknown => f.write_str("without an answer"),
                }
            }
            Self::Snapshot { start, end } => write!(f, "snapshot of positions {start}..{end}"),
            Self::Read { from, count: 0, .. } => write!(f, "read at {from}: nothing there yet"),
            Self::Read { from, count, .. } => {
                write!(f, "read of positions {from}..{}", from.saturating_add(count.into()))
            }
            Self::ReadTrimmed { from, earliest } => {
                write!(f, "read at {from}: trimmed, the earliest is {earliest}")
            }
            Self::Trim { to, horizon: Some(horizon) } => {
                write!(f, "trim to {to}: the earliest is {horizon}")
            }
            Self::Trim { to, horizon: None } => write!(f, "trim to {to}, without an answer"),
            Self::Seal { end: Some(end) } => write!(f, "seal: the end is {end}"),
            Self::Seal { end: None } => f.write_str("seal, without an answer"),
            Self::Visible { position } => write!(f, "wait for {position}: visible"),
            Self::NeverVisible { position, end } => {
                write!(f, "wait for {position}: never, the end is {end}")
            }
            Self::Latest { position } => write!(f, "latest position: {position}"),
        }
    }
}
