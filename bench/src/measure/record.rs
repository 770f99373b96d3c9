//! What is kept of one measurement.

use serde::{Deserialize, Serialize};

use super::latency::Latencies;
use super::link::Link;

/// One measurement of one contender in one scenario.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// Nanoseconds per operation, by the wall clock: threads that do twice as much in the same time halve it.
    pub ns: f64,
    /// Operations done by all threads that are measured.
    pub operations: u64,
    /// Nanoseconds per record that the readers beside them saw, if there were any.
    pub reader_ns: Option<f64>,
    /// Latencies of single operations, if those were timed.
    pub latencies: Option<Latencies>,
    /// Allocations of the measured threads.
    pub allocations: u64,
    /// Bytes that they allocated.
    pub allocated: u64,
    /// Page faults of the whole process while it was measured.
    pub page_faults: u64,
    /// The most memory that the process ever had, in bytes.
    pub peak_memory: u64,
    /// Bytes by which the process's memory grew meanwhile, where that is asked: by streams that were registered.
    #[serde(default)]
    pub held: Option<u64>,
    /// What a cache line takes from one core to the other, before and after.
    pub link: Option<Link>,
    /// The part of the machine that others had meanwhile, from 0 to 1.
    pub others: f64,
}

impl Measurement {
    /// What the scenario is judged by: the 99.99th percentile if latencies were timed, else the time per
    /// operation. In nanoseconds.
    #[must_use]
    pub fn headline(&self) -> f64 {
        self.latencies.as_ref().map_or(self.ns, |latencies| latencies.quantile(0.9999) as f64)
    }

    /// Of something counted, how much there was per 100,000 operations.
    #[must_use]
    pub fn per_100_000(&self, count: u64) -> f64 {
        count as f64 * 1e5 / self.operations.max(1) as f64
    }
}
