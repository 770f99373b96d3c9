//! A log of your own under the history checker: a vector behind a lock.
//!
//! `cargo run --release -p bench --example history [operations]`

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use streamcore::log::Log;
use streamcore_bench::history::{Checker, EventLog, Refused, Workload};

#[derive(Default)]
struct Locked(Mutex<Vec<u64>>);

impl Locked {
    fn records(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventLog for Locked {
    fn append(&self, value: u64) -> Result<u64, Refused> {
        let mut records = self.records();
        records.push(value);
        Ok(records.len() as u64 - 1)
    }

    fn snapshot(&self) -> Range<u64> {
        0..self.records().len() as u64
    }

    fn read(&self, from: u64, max: usize, into: &mut Vec<u64>) -> Result<(), Refused> {
        into.extend(self.records().iter().skip(from as usize).take(max));
        Ok(())
    }
}

fn main() {
    let operations = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let workload = Workload::new(1).operations(operations.unwrap_or(1_000_000));
    check("a vector behind a lock", &workload, &Locked::default());
    check("streamcore's log", &workload, &Log::<u64>::new());
}

fn check(name: &str, workload: &Workload, log: &impl EventLog) {
    let began = Instant::now();
    let history = workload.run(log);
    let recorded = began.elapsed();
    let report = Checker::new().check(&history);
    let checked = began.elapsed() - recorded;
    println!("{name}: {report}");
    println!("    recorded in {recorded:.1?}, checked in {checked:.1?}");
}
