//! What a log must offer to be recorded: [`EventLog`], and streamcore's own log as one.

use std::fmt;
use std::ops::Range;

use streamcore::log::{BatchError, Log, Position};

/// A log whose operations can be recorded. Three methods are required; what a log does not have stays
/// [`Unsupported`](Refused::Unsupported) and is left out of the history.
///
/// Records are `u64` values that the recorder chooses; a log of other records carries the number along.
/// Positions are numbers from 0 without gaps. The methods are called by many threads at once.
///
/// ```
/// use std::ops::Range;
/// use std::sync::Mutex;
/// use streamcore_bench::history::{Checker, EventLog, Refused, Workload};
///
/// #[derive(Default)]
/// struct Simple(Mutex<Vec<u64>>);
///
/// impl EventLog for Simple {
///     fn append(&self, value: u64) -> Result<u64, Refused> {
///         let mut records = self.0.lock().unwrap();
///         records.push(value);
///         Ok(records.len() as u64 - 1)
///     }
///     fn snapshot(&self) -> Range<u64> {
///         0..self.0.lock().unwrap().len() as u64
///     }
///     fn read(&self, from: u64, max: usize, into: &mut Vec<u64>) -> Result<(), Refused> {
///         into.extend(self.0.lock().unwrap().iter().skip(from as usize).take(max));
///         Ok(())
///     }
/// }
///
/// let history = Workload::new(7).operations(10_000).run(&Simple::default());
/// let report = Checker::new().check(&history);
/// assert!(report.is_clean(), "{report}");
/// ```
pub trait EventLog: Sync {
    /// Appends a record and returns its position.
    ///
    /// # Errors
    ///
    /// [`Refused::Sealed`]: the log takes no more records and has not taken this one.
    fn append(&self, value: u64) -> Result<u64, Refused>;

    /// What can be read: from the first position retained to the first one that cannot be read yet.
    fn snapshot(&self) -> Range<u64>;

    /// Pushes up to `max` records from `from` on. Pushing none says that nothing can be read at `from`
    /// yet; fewer than `max` says nothing.
    ///
    /// # Errors
    ///
    /// [`Refused::Trimmed`]: `from` is no longer retained.
    fn read(&self, from: u64, max: usize, into: &mut Vec<u64>) -> Result<(), Refused>;

    /// Appends several records as one and returns the position of the first.
    ///
    /// # Errors
    ///
    /// As [`EventLog::append`].
    fn append_batch(&self, values: Range<u64>) -> Result<u64, Refused> {
        let _ = values;
        Err(Refused::Unsupported)
    }

    /// Gives up records before `to`, as far as the log sees fit, and returns the first position that
    /// is retained.
    ///
    /// # Errors
    ///
    /// [`Refused::Unsupported`].
    fn trim(&self, to: u64) -> Result<u64, Refused> {
        let _ = to;
        Err(Refused::Unsupported)
    }

    /// Closes the log, if nobody has, and returns its end.
    ///
    /// # Errors
    ///
    /// [`Refused::Unsupported`].
    fn seal(&self) -> Result<u64, Refused> {
        Err(Refused::Unsupported)
    }

    /// Waits until every snapshot shows the record at `position`.
    ///
    /// # Errors
    ///
    /// [`Refused::NeverVisible`]: the log was sealed before `position`.
    fn wait(&self, position: u64) -> Result<(), Refused> {
        let _ = position;
        Err(Refused::Unsupported)
    }

    /// The position that the next append would get; once sealed, the end.
    ///
    /// # Errors
    ///
    /// [`Refused::Unsupported`].
    fn latest(&self) -> Result<u64, Refused> {
        Err(Refused::Unsupported)
    }
}

/// Why a log did not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The log is sealed.
    Sealed,
    /// The log is sealed and ends before the position.
    NeverVisible {
        /// The end.
        end: u64,
    },
    /// The position is no longer retained.
    Trimmed {
        /// The first position that is.
        earliest: u64,
    },
    /// The log has no such operation, and has done nothing.
    Unsupported,
    /// The recorder has no room left; the log was not asked.
    Full,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed => f.write_str("the log is sealed"),
            Self::NeverVisible { end } => write!(f, "the log is sealed and ends at {end}"),
            Self::Trimmed { earliest } => write!(f, "trimmed; the earliest position is {earliest}"),
            Self::Unsupported => f.write_str("the log has no such operation"),
            Self::Full => f.write_str("the recorder has no room left"),
        }
    }
}

impl std::error::Error for Refused {}

impl EventLog for Log<u64> {
    fn append(&self, value: u64) -> Result<u64, Refused> {
        Log::append(self, value).map(Position::get).map_err(|_| Refused::Sealed)
    }

    fn snapshot(&self) -> Range<u64> {
        let snapshot = Log::snapshot(self);
        snapshot.start().get()..snapshot.end().get()
    }

    fn read(&self, from: u64, max: usize, into: &mut Vec<u64>) -> Result<(), Refused> {
        let chunk = Log::read(self, Position::new(from), max)
            .map_err(|trimmed| Refused::Trimmed { earliest: trimmed.earliest.get() })?;
        into.extend(chunk.iter().map(|(_, value)| value));
        Ok(())
    }

    fn append_batch(&self, values: Range<u64>) -> Result<u64, Refused> {
        match self.append_all(values) {
            Ok(positions) => Ok(positions.start.get()),
            Err(BatchError::Sealed(_)) => Err(Refused::Sealed),
            Err(BatchError::TooLong(_)) => Err(Refused::Unsupported),
        }
    }

    fn trim(&self, to: u64) -> Result<u64, Refused> {
        Ok(Log::trim(self, Position::new(to)).get())
    }

    fn seal(&self) -> Result<u64, Refused> {
        Ok(Log::seal(self, ()).end().get())
    }

    fn wait(&self, position: u64) -> Result<(), Refused> {
        self.wait_visible(Position::new(position))
            .map_err(|never| Refused::NeverVisible { end: never.end.get() })
    }

    fn latest(&self) -> Result<u64, Refused> {
        Ok(self.end().get())
    }
}
