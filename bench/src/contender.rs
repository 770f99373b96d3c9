//! What a log must offer to be compared: [`Contender`]. Three functions are required; what a log cannot do
//! it leaves out, and it is not measured at that.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::payload::{Payload, Seen};

/// A design to be compared. The type itself is only a name; the logs are [`Contender::Log`].
///
/// The harness checks what it measures: a reader that follows the log must see each record once, whole.
///
/// ```
/// use std::sync::Mutex;
/// use streamcore_bench::contender::{Able, Append, Contender, Setup};
/// use streamcore_bench::payload::{Payload, Seen};
///
/// struct Mine;
///
/// impl Contender for Mine {
///     const NAME: &'static str = "mine";
///     const ABOUT: &'static str = "a vector behind a lock";
///     type Log<T: Payload> = Mutex<Vec<T>>;
///
///     fn make<T: Payload>(_: &Setup) -> Mutex<Vec<T>> {
///         Mutex::default()
///     }
///     fn writer<T: Payload>(log: &Mutex<Vec<T>>) -> impl Append<T> {
///         |record| log.lock().unwrap().push(record)
///     }
///     fn scanner<T: Payload>(log: &Mutex<Vec<T>>) -> Able<impl FnMut(&mut Seen)> {
///         Ok(|seen: &mut Seen| log.lock().unwrap().iter().for_each(|record| seen.see(record)))
///     }
/// }
///
/// use streamcore_bench::compare::Registry;
/// use streamcore_bench::scenario::Scenario;
///
/// let registry = Registry::standard().with::<Mine>();
/// let measured = registry.measure("mine", &Scenario::default().small()).unwrap();
/// assert!(measured.operations > 0);
/// ```
pub trait Contender: 'static {
    /// A short name, unique among the contenders.
    const NAME: &'static str;
    /// What it is, in half a line.
    const ABOUT: &'static str;
    /// A log of records of one kind. It is shared by the threads of a measurement.
    type Log<T: Payload>: Sync;

    /// An empty log.
    fn make<T: Payload>(setup: &Setup) -> Self::Log<T>;

    /// The writing end for one thread. A closure that takes a record will do.
    fn writer<T: Payload>(log: &Self::Log<T>) -> impl Append<T>;

    /// A reader that follows the log from its present end on: each call sees what is new, and returns at
    /// once if there is nothing.
    ///
    /// # Errors
    ///
    /// [`Lack`] says why there is no such reader; so in all that follows.
    fn tailer<T: Payload>(log: &Self::Log<T>) -> Able<impl FnMut(&mut Seen)> {
        let _ = log;
        Err::<fn(&mut Seen), _>(Lack::of("no reading of what is new"))
    }

    /// As [`Contender::tailer`], but each call waits for something new, by the log's own means, for some
    /// milliseconds at the most.
    fn waiter<T: Payload>(log: &Self::Log<T>) -> Able<impl FnMut(&mut Seen)> {
        let _ = log;
        Err::<fn(&mut Seen), _>(Lack::of("no means of its own to wait"))
    }

    /// A reader of which each call sees all records that are there.
    fn scanner<T: Payload>(log: &Self::Log<T>) -> Able<impl FnMut(&mut Seen)> {
        let _ = log;
        Err::<fn(&mut Seen), _>(Lack::of("no reading of all records"))
    }

    /// A reader of which each call sees one record that the number picks.
    fn picker<T: Payload>(log: &Self::Log<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        let _ = log;
        Err::<fn(u64, &mut Seen), _>(Lack::of("no reading by position"))
    }

    /// Answers how many records a reader may see now.
    fn counter<T: Payload>(log: &Self::Log<T>) -> Able<impl FnMut() -> u64> {
        let _ = log;
        Err::<fn() -> u64, _>(Lack::of("no count of what can be read"))
    }

    /// Whether readers see a prefix without holes, each record once its append and all before have returned.
    fn prefix() -> Able<()> {
        Err(Lack::of("readers may see holes, or it is not said"))
    }

    /// Whether a reader sees all records of a batch or none.
    fn whole_batches() -> Able<()> {
        Err(Lack::of("readers may see a part of a batch, or there are none"))
    }

    /// Whether it can keep [`Setup::retain`] records and give up older ones while it is appended to.
    fn retention() -> Able<()> {
        Err(Lack::of("keeps every record"))
    }

    /// Gives up the first `count` records while others read and append.
    fn trim<T: Payload>(log: &Self::Log<T>, count: u64) -> Able<()> {
        let _ = (log, count);
        Err(Lack::of("no trimming while others use it"))
    }

    /// Closes the log, so that appends are refused from then on.
    fn seal<T: Payload>(log: &Self::Log<T>) -> Able<()> {
        let _ = log;
        Err(Lack::of("cannot be closed"))
    }
}

/// The writing end of one thread. Closures that take a record are writers.
pub trait Append<T> {
    /// Appends a record.
    fn append(&mut self, record: T);

    /// Appends records by one reservation, side by side.
    ///
    /// # Errors
    ///
    /// [`Lack`]: there is no such thing here.
    fn append_batch(&mut self, records: impl ExactSizeIterator<Item = T>) -> Able<()> {
        let _ = records;
        Err(Lack::of("takes one record at a time"))
    }
}

impl<T, F: FnMut(T)> Append<T> for F {
    #[inline(always)]
    fn append(&mut self, record: T) {
        self(record);
    }
}

/// What a log is made for.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How many of the last records are to be kept, by a log that can do so.
    pub retain: NonZeroU64,
    /// How many readers will follow it.
    pub tailers: usize,
}

/// Something that a log can do, or why it cannot.
pub type Able<T> = Result<T, Lack>;

/// Why a log is not measured at something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lack(Cow<'static, str>);

impl Lack {
    /// Half a line, such as "reading takes the record away".
    pub fn of(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lack {}

/// Why there is no measurement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The contender cannot do it.
    Lack(Lack),
    /// It does it wrong: what was read is not what was appended.
    Wrong(String),
}

impl From<Lack> for Refusal {
    fn from(lack: Lack) -> Self {
        Self::Lack(lack)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lack(lack) => lack.fmt(f),
            Self::Wrong(how) => write!(f, "WRONG: {how}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// What a contender can do, for the report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ability {
    /// Such as "batch".
    pub what: String,
    /// Why not, if not.
    pub lack: Option<Lack>,
}

/// What `C` can do, found out by asking it.
#[must_use]
pub fn abilities<C: Contender>() -> Vec<Ability> {
    let setup = Setup { retain: NonZeroU64::MIN.saturating_add(1023), tailers: 1 };
    let log = C::make::<u64>(&setup);
    let mut writer = C::writer(&log);
    writer.append(1);
    let answers = [
        ("batch", writer.append_batch([2, 3].into_iter())),
        ("whole batches", C::whole_batches()),
        ("prefix", C::prefix()),
        ("read while appending", C::scanner(&log).map(drop)),
        ("follow", C::tailer(&log).map(drop)),
        ("wait", C::waiter(&log).map(drop)),
        ("by position", C::picker(&log).map(drop)),
        ("retention", C::retention()),
        ("trim", C::trim(&log, 0)),
        ("seal", C::seal(&log)),
    ];
    let named = |(what, able): (&str, Able<()>)| Ability { what: what.into(), lack: able.err() };
    answers.into_iter().map(named).collect()
}
