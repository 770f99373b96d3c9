//! A history checker: records what real threads ask of a log and what it answers, then checks every
//! [promise](Promise) over the whole history. For streamcore's log, and for any other that implements
//! [`EventLog`], which takes about twenty lines; an example is there.
//!
//! | step | what | cost |
//! |---|---|---|
//! | record | [`Workload::run`], or threads of your own with a [`Recorder`] | a load and an addition per operation |
//! | check | [`Checker::check`]: all promises, millions of operations | near-linear |
//! | search | [`linearizability`]: one order of steps that explains all, tens of operations | exponential |
//!
//! A history may come from elsewhere too, say from a log file: [`History`] is plain data. Its stamps must then
//! give what those of the [recorder] do: a response stamp smaller than an invocation stamp means "happened
//! before".
//!
//! ```
//! use streamcore::log::Log;
//! use streamcore_bench::history::{Checker, Workload};
//!
//! let history = Workload::new(42).operations(20_000).run(&Log::<u64>::new());
//! let report = Checker::new().check(&history);
//! assert!(report.is_clean(), "{report}");
//! ```

mod checker;
mod ends;
mod event;
pub mod linearizability;
mod positions;
mod reads;
pub mod recorder;
mod report;
mod specification;
mod subject;
mod views;
mod workload;

pub use checker::{Checker, Retention};
pub use event::{Appended, Event, EventId, History, NEVER, Operation, Thread, Witness};
pub use linearizability::{Verdict, linearizable};
pub use recorder::{Recorder, Room, Session};
pub use report::{Fault, Promise, Report, Violation};
pub use subject::{EventLog, Refused};
pub use workload::Workload;
