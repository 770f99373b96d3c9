//! Logs that keep their promises pass the history checker: streamcore's, and a vector behind a lock.
//!
//! `STREAMCORE_HISTORY_OPERATIONS` sets how many operations each log does (1,000,000 by default), and
//! `STREAMCORE_HISTORY_SEED` which.

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use streamcore::log::{Log, LogOptions};
use streamcore_bench::history::{Checker, EventLog, Refused, Report, Retention, Workload};

/// Histories of this length are common; more operations are more histories.
const LONG: usize = 250_000;
/// With histories as short as this, seals and first segments are common.
const SHORT: usize = 1_000;
/// By default a test begins no further history after this time.
const ENOUGH: Duration = Duration::from_secs(3);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Checks histories of new logs until there were operations enough, or, by default, time enough.
fn keeps_all_promises<L: EventLog>(
    length: usize,
    workload: impl Fn(Workload) -> Workload,
    checker: Checker,
    log: impl Fn() -> L,
) {
    let now = || std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
    let seed = number("STREAMCORE_HISTORY_SEED").unwrap_or_else(now);
    println!("STREAMCORE_HISTORY_SEED={seed}");
    let given = number("STREAMCORE_HISTORY_OPERATIONS").map(|count| count as usize);
    let mut left = given.unwrap_or(1_000_000);
    let began = Instant::now();
    let (mut recording, mut checking, mut histories) = (Duration::ZERO, Duration::ZERO, 0);
    for round in 0.. {
        let operations = left.min(length);
        let of_round = Workload::new(seed.wrapping_add(round)).operations(operations);
        let start = Instant::now();
        let history = workload(of_round).run(&log());
        let recorded = start.elapsed();
        let report: Report = checker.check(&history);
        recording += recorded;
        checking += start.elapsed() - recorded;
        assert!(report.is_clean(), "seed {seed}, round {round}: {report}");
        assert!(report.operations >= operations as u64 / 2, "{report}");
        assert!(report.appended > 0 && report.read > 0 && report.snapshots > 0, "{report}");
        left -= operations;
        histories += 1;
        if left == 0 || given.is_none() && began.elapsed() > ENOUGH {
            println!("{histories} histories like: {report}");
            println!("    recorded in {recording:.1?}, checked in {checking:.1?}");
            return;
        }
    }
}

#[test]
fn streamcores_log() {
    keeps_all_promises(LONG, |workload| workload, Checker::new(), Log::<u64>::new);
}

#[test]
fn streamcores_log_sealed_again_and_again() {
    keeps_all_promises(SHORT, |workload| workload, Checker::new(), Log::<u64>::new);
}

/// Nearly undisturbed by the recorder, with more threads than cores.
#[test]
fn streamcores_log_with_few_stamps() {
    let workload = |workload: Workload| workload.stamp_every(64).threads(8);
    keeps_all_promises(LONG, workload, Checker::new(), Log::<u64>::new);
}

#[test]
fn streamcores_log_with_retention() {
    let kept = NonZeroU64::new(5_000).unwrap();
    let log = || Log::<u64>::with_options(LogOptions::new().retain_last(kept));
    let checker = Checker::new().retention(Retention::Last(kept.get()));
    keeps_all_promises(LONG, |workload| workload.trims(false), checker, log);
}

#[test]
fn a_vector_behind_a_lock() {
    keeps_all_promises(LONG, |workload| workload, Checker::new(), Locked::default);
}

#[derive(Default)]
struct Locked(Mutex<Parts>);

#[derive(Default)]
struct Parts {
    records: Vec<u64>,
    /// The first position retained.
    horizon: usize,
    is_sealed: bool,
}

impl Locked {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().expect("nobody panics")
    }
}

impl EventLog for Locked {
    fn append(&self, value: u64) -> Result<u64, Refused> {
        self.append_batch(value..value + 1)
    }

    fn append_batch(&self, values: Range<u64>) -> Result<u64, Refused> {
        let mut parts = self.parts();
        if parts.is_sealed {
            return Err(Refused::Sealed);
        }
        let first = parts.records.len() as u64;
        parts.records.extend(values);
        Ok(first)
    }

    fn snapshot(&self) -> Range<u64> {
        let parts = self.parts();
        parts.horizon as u64..parts.records.len() as u64
    }

    fn read(&self, from: u64, max: usize, into: &mut Vec<u64>) -> Result<(), Refused> {
        let parts = self.parts();
        if from < parts.horizon as u64 {
            return Err(Refused::Trimmed { earliest: parts.horizon as u64 });
        }
        into.extend(parts.records.iter().skip(from as usize).take(max));
        Ok(())
    }

    /// Only to the end, where no batch can lie on both sides.
    fn trim(&self, to: u64) -> Result<u64, Refused> {
        let mut parts = self.parts();
        if to as usize >= parts.records.len() {
            parts.horizon = parts.records.len();
        }
        Ok(parts.horizon as u64)
    }

    fn seal(&self) -> Result<u64, Refused> {
        let mut parts = self.parts();
        parts.is_sealed = true;
        Ok(parts.records.len() as u64)
    }

    fn wait(&self, position: u64) -> Result<(), Refused> {
        let end = self.parts().records.len() as u64;
        if position < end { Ok(()) } else { Err(Refused::NeverVisible { end }) }
    }

    fn latest(&self) -> Result<u64, Refused> {
        Ok(self.parts().records.len() as u64)
    }
}
