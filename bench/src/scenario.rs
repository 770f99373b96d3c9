//! What is measured: a [`Scenario`] names the work, the threads, the records and the memory.

use std::fmt;
use std::num::NonZeroU64;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One thing to be measured, of every contender that can do it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Scenario {
    /// What the threads do.
    pub work: Work,
    /// The records.
    pub payload: PayloadKind,
    /// Threads that append (for [`Work::GetRecords`]: that read).
    pub writers: usize,
    /// What other threads do meanwhile.
    pub reading: Reading,
    /// How many do it.
    pub readers: usize,
    /// Records in one append; above 1, appended as a batch.
    pub batch: usize,
    /// Logs that the writers take in turn.
    pub logs: usize,
    /// The memory that records go to.
    pub memory: Memory,
    /// What is timed.
    pub timing: Timing,
    /// Appends of each writer, at the most.
    pub operations: u64,
    /// Records that a log with retention keeps.
    pub retain: NonZeroU64,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Appending to a log.
    Append,
    /// Reading all records of a log, in order. Per record.
    Scan,
    /// Reading records of a log by random positions.
    Pick,
    /// Looking for new records when there are none.
    Poll,
    /// Asking how many records can be read.
    Count,
    /// The floors by themselves.
    Floors,
    /// Putting changes with shared images into a stream.
    Put,
    /// Reading pages of 1,000 records of a stream. Per record.
    GetRecords,
    /// Encoding records for the wire that nobody has encoded before. Per record.
    WireFirst,
    /// Encoding records for the wire that were encoded before. Per record.
    WireAgain,
    /// Registering so many streams. Per stream.
    Register(usize),
}

impl Work {
    /// Whether it is a store that is measured, not a log.
    #[must_use]
    pub fn is_of_store(self) -> bool {
        matches!(
            self,
            Self::Put | Self::GetRecords | Self::WireFirst | Self::WireAgain | Self::Register(_)
        )
    }
}

/// The records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PayloadKind {
    /// 8 bytes.
    U64,
    /// 64 bytes.
    #[value(name = "64")]
    B64,
    /// 192 bytes.
    #[value(name = "192")]
    B192,
    /// 208 bytes.
    #[value(name = "208")]
    B208,
    /// 192 bytes, of which three `Arc`s that are shared by all records.
    Arc,
    /// 192 bytes, of which an `Arc` that each record has for itself.
    Own,
}

impl PayloadKind {
    /// Bytes of a record.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::U64 => 8,
            Self::B64 => 64,
            Self::B192 | Self::Arc | Self::Own => 192,
            Self::B208 => 208,
        }
    }
}

impl fmt::Display for PayloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U64 => "u64",
            Self::B64 => "64 B",
            Self::B192 => "192 B",
            Self::B208 => "208 B",
            Self::Arc => "192 B with 3 Arcs",
            Self::Own => "192 B with an Arc of its own",
        })
    }
}

/// What readers do while writers append.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// There are none.
    None,
    /// They follow the end, and look again at once when there is nothing.
    Tail,
    /// They follow the end, and wait by the log's own means when there is nothing.
    Wait,
    /// They read everything, again and again.
    Scan,
    /// They read records at random positions.
    Random,
}

/// Where records are written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// Memory that was in use before: a log with retention recycles its own; for the others, a log of the same
    /// size was filled and dropped before, and the allocator keeps what it frees.
    Reused,
    /// Memory that the system gives for the first time.
    Fresh,
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// All calls together.
    Throughput,
    /// Each call; the next begins when it has returned.
    EachCall,
    /// Each call from the moment at which it should have begun: one in so many nanoseconds, whether or not the
    /// one before has returned.
    Arrivals(u64),
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            work: Work::Append,
            payload: PayloadKind::U64,
            writers: 1,
            reading: Reading::None,
            readers: 0,
            batch: 1,
            logs: 1,
            memory: Memory::Reused,
            timing: Timing::Throughput,
            operations: 1_000_000,
            retain: NonZeroU64::MIN.saturating_add(99_999),
        }
    }
}

impl Scenario {
    /// Appending records of a kind.
    #[must_use]
    pub fn append(payload: PayloadKind) -> Self {
        let operations = if payload.bytes() > 64 { 400_000 } else { 800_000 };
        Self { payload, operations, ..Self::default() }
    }

    /// Some other work.
    #[must_use]
    pub fn of(work: Work, payload: PayloadKind) -> Self {
        Self { work, ..Self::append(payload) }
    }

    /// With so many writers.
    #[must_use]
    pub fn writers(self, writers: usize) -> Self {
        Self { writers, operations: self.operations / writers as u64, ..self }
    }

    /// With so many readers that do this.
    #[must_use]
    pub fn readers(self, readers: usize, reading: Reading) -> Self {
        Self { readers, reading, ..self }
    }

    /// In batches.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// On so many logs.
    #[must_use]
    pub fn logs(self, logs: usize) -> Self {
        Self { logs, ..self }
    }

    /// In memory that was never used.
    #[must_use]
    pub fn fresh(self) -> Self {
        Self { memory: Memory::Fresh, ..self }
    }

    /// Timed otherwise.
    #[must_use]
    pub fn timed(self, timing: Timing) -> Self {
        let operations = match timing {
            Timing::Arrivals(every) => self.operations.min(100_000_000 / every.max(1)),
            _ => self.operations,
        };
        Self { timing, operations, ..self }
    }

    /// Small enough for a test.
    #[must_use]
    pub fn small(self) -> Self {
        let work = match self.work {
            Work::Register(_) => Work::Register(100),
            other => other,
        };
        let retain = NonZeroU64::MIN.saturating_add(1_999);
        Self { work, operations: self.operations.min(6_000), retain, ..self }
    }

    /// Whether the latencies of single calls are what it is about.
    #[must_use]
    pub fn is_latency(&self) -> bool {
        self.timing != Timing::Throughput
    }

    /// Whether several threads write the same line.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        self.writers > 1 || self.readers > 0
    }

    /// What one operation is, for a heading.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.work {
            Work::Append => "append",
            Work::Scan | Work::GetRecords | Work::WireFirst | Work::WireAgain => "record",
            Work::Pick => "read",
            Work::Poll => "poll",
            Work::Count => "call",
            Work::Floors => "operation",
            Work::Put => "put",
            Work::Register(_) => "stream",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.work {
            Work::Append => write!(f, "append {}", self.payload)?,
            Work::Scan => write!(f, "read in order, {}", self.payload)?,
            Work::Pick => write!(f, "read by position, {}", self.payload)?,
            Work::Poll => write!(f, "poll at the end, {}", self.payload)?,
            Work::Count => write!(f, "count what can be read, {}", self.payload)?,
            Work::Floors => f.write_str("floors")?,
            Work::Put => f.write_str("put")?,
            Work::GetRecords => f.write_str("get_records(1000)")?,
            Work::WireFirst => f.write_str("wire, first reader")?,
            Work::WireAgain => f.write_str("wire, second reader")?,
            Work::Register(count) => write!(f, "register {count} streams")?,
        }
        match (self.work, self.writers) {
            (Work::GetRecords, n @ 2..) => write!(f, ", {n} readers")?,
            (_, n @ 2..) => write!(f, ", {n} threads")?,
            _ => {}
        }
        if self.logs > 1 {
            write!(f, " on {} logs", self.logs)?;
        }
        if self.batch > 1 {
            write!(f, ", batches of {}", self.batch)?;
        }
        let who = |f: &mut fmt::Formatter<'_>, doing: &str| match self.readers {
            1 => write!(f, ", a reader {doing}"),
            n => write!(f, ", {n} readers {doing}"),
        };
        match self.reading {
            Reading::None => {}
            Reading::Tail => who(f, "following")?,
            Reading::Wait => who(f, "waiting")?,
            Reading::Scan => who(f, "scanning")?,
            Reading::Random => who(f, "at random")?,
        }
        if self.memory == Memory::Fresh {
            f.write_str(", fresh memory")?;
        }
        match self.timing {
            Timing::Throughput => Ok(()),
            Timing::EachCall => f.write_str(", each call"),
            Timing::Arrivals(every) => write!(f, ", arrivals every {every} ns"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_differs() {
        let plain = Scenario::append(PayloadKind::U64);
        assert_eq!(plain.to_string(), "append u64");
        let all = Scenario::append(PayloadKind::B192).writers(2).logs(2).batch(25);
        let all = all.readers(1, Reading::Scan).fresh().timed(Timing::Arrivals(1000));
        assert_eq!(
            all.to_string(),
            "append 192 B, 2 threads on 2 logs, batches of 25, a reader scanning, fresh memory, \
             arrivals every 1000 ns"
        );
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Scenario>(&json).unwrap(), all);
    }
}
