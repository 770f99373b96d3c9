//! What is measured while a workload runs: the latency of each request, and how many were done when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

/// The length of the slots in which throughput is counted.
pub const SLOT: Duration = Duration::from_millis(100);
/// How often the progress bar moves.
const FRAME: Duration = Duration::from_millis(100);
/// Latencies are told apart to so many decimal digits.
const DIGITS: u8 = 3;
/// A run is cut into so many parts of equal work, to see whether it slows down.
pub const PARTS: usize = 10;

/// What the tasks of a workload share.
pub struct Shared {
    began: Instant,
    /// Of the work: puts, or records.
    done: AtomicU64,
    /// When each part of the work was done, in microseconds; 0 until then.
    parts: [AtomicU64; PARTS],
    /// `None`: the work ends by time, and has no parts.
    total: Option<u64>,
}

impl Shared {
    /// The work begins now.
    pub fn begin(total: Option<u64>) -> Arc<Self> {
        let (done, parts) = Default::default();
        Arc::new(Self { began: Instant::now(), done, parts, total })
    }

    /// The same clock, for work of which nothing is shown.
    pub fn without_progress(&self) -> Arc<Self> {
        let (done, parts) = Default::default();
        Arc::new(Self { began: self.began, done, parts, total: None })
    }

    /// Since the work began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Since the work began, in microseconds.
    pub fn elapsed_us(&self) -> u64 {
        self.elapsed().as_micros() as u64
    }

    /// The time of the run at a moment of it, in microseconds.
    pub fn us_at(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.began).as_micros() as u64
    }

    /// When the work began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// So much more is done.
    pub fn advance(&self, by: u64) {
        // Relaxed, all of these: they are read when the tasks have ended, or for a progress bar.
        let before = self.done.fetch_add(by, Ordering::Relaxed);
        let Some(total) = self.total else {
            return;
        };
        let part = |done: u64| (done * PARTS as u64 / total.max(1)) as usize;
        for part in part(before)..part(before + by).min(PARTS) {
            self.parts[part].store(self.elapsed_us().max(1), Ordering::Relaxed);
        }
    }

    /// The rate in each part of the work, per second; none if it did not come to its end.
    pub fn rates(&self) -> Vec<f64> {
        let ends: Vec<u64> = self.parts.iter().map(|end| end.load(Ordering::Relaxed)).collect();
        let Some(total) = self.total.filter(|_| ends.iter().all(|end| *end > 0)) else {
            return Vec::new();
        };
        let work = total as f64 / PARTS as f64;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let lengths = starts.zip(&ends).map(|(start, end)| end.saturating_sub(start).max(1));
        lengths.map(|us| work * 1e6 / us as f64).collect()
    }

    /// Moves a progress bar, for ever. It is hidden if there is no terminal.
    pub async fn show(self: Arc<Self>, what: &str) {
        let (bar, style) = match self.total {
            Some(total) => {
                (ProgressBar::new(total), "{msg:8} {bar:30} {pos}/{len} {per_sec}, {eta} left")
            }
            None => (ProgressBar::no_length(), "{msg:8} {spinner} {pos} {per_sec}"),
        };
        let _end = Clear(bar.clone());
        bar.set_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            frames.tick().await;
            bar.set_position(self.done.load(Ordering::Relaxed));
        }
    }
}

/// Takes the progress bar away when its task ends.
struct Clear(ProgressBar);

impl Drop for Clear {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// What one task measured.
pub struct Recorder {
    /// In microseconds, to a tenth.
    latency: Histogram<u64>,
    /// Work done in each slot.
    slots: Vec<u64>,
    pub requests: u64,
    pub refused: u64,
    /// What the first refusal said.
    pub refusal: Option<String>,
    /// Of answers.
    pub bytes: u64,
}

/// Latencies are kept in tenths of a microsecond.
const PER_US: f64 = 10.0;

impl Recorder {
    /// Nothing yet.
    pub fn new() -> Self {
        let latency = Histogram::new(DIGITS).expect("3 digits are allowed");
        Self { latency, slots: Vec::new(), requests: 0, refused: 0, refusal: None, bytes: 0 }
    }

    /// A request that was due at a moment has been answered, and did so much of the work.
    pub fn answered(&mut self, shared: &Shared, due: Instant, work: u64) {
        self.requests += 1;
        self.latency(due.elapsed());
        self.work(shared, work);
    }

    /// Something took so long.
    pub fn latency(&mut self, took: Duration) {
        // The histogram grows by itself: no value is out of its range.
        let _ = self.latency.record((took.as_nanos() / 100) as u64);
    }

    /// So much of the work is done.
    pub fn work(&mut self, shared: &Shared, work: u64) {
        let slot = (shared.elapsed().as_millis() / SLOT.as_millis()) as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, 0);
        }
        self.slots[slot] += work;
        shared.advance(work);
    }

    /// A request was refused.
    pub fn refused(&mut self, why: String) {
        self.requests += 1;
        self.refused += 1;
        self.refusal.get_or_insert(why);
    }

    /// Takes over what another task measured.
    pub fn merge(&mut self, other: Self) {
        let _ = self.latency.add(&other.latency);
        if self.slots.len() < other.slots.len() {
            self.slots.resize(other.slots.len(), 0);
        }
        for (mine, theirs) in self.slots.iter_mut().zip(other.slots) {
            *mine += theirs;
        }
        self.requests += other.requests;
        self.refused += other.refused;
        self.refusal = self.refusal.take().or(other.refusal);
        self.bytes += other.bytes;
    }

    /// All work that was done.
    pub fn total(&self) -> u64 {
        self.slots.iter().sum()
    }

    /// Work per second, slot by slot; the last slot, which ended early as a rule, is left out.
    pub fn timeline(&self) -> Vec<f64> {
        let whole = self.slots.len().saturating_sub(1);
        self.slots[..whole].iter().map(|work| *work as f64 / SLOT.as_secs_f64()).collect()
    }

    /// The latencies in microseconds.
    pub fn latencies(&self) -> Latencies {
        let at = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / PER_US;
        let curve = self.latency.iter_quantiles(4).map(|step| Step {
            quantile: step.quantile_iterated_to(),
            us: step.value_iterated_to() as f64 / PER_US,
        });
        Latencies {
            mean: self.latency.mean() / PER_US,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: self.latency.max() as f64 / PER_US,
            curve: curve.collect(),
        }
    }
}

/// Latencies in microseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Latencies {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p999: f64,
    #[serde(rename = "p99.99")]
    pub p9999: f64,
    pub max: f64,
    /// The whole distribution, finer towards its end.
    pub curve: Vec<Step>,
}

/// So large a share of all requests took no longer.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Step {
    pub quantile: f64,
    pub us: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_work_has_its_rate() {
        let shared = Shared::begin(Some(20));
        shared.advance(1);
        assert_eq!(shared.rates(), [0.0; 0]);
        (0..19).for_each(|_| shared.advance(1));
        assert_eq!(shared.rates().len(), PARTS);
        // Batches may end several parts at once, and the last one may do more than was asked for.
        let shared = Shared::begin(Some(20));
        shared.advance(25);
        assert_eq!(shared.rates().len(), PARTS);
    }

    #[test]
    fn recorders_add_up() {
        let shared = Shared::begin(None);
        let (mut one, mut other) = (Recorder::new(), Recorder::new());
        one.answered(&shared, Instant::now() - Duration::from_millis(10), 2);
        other.answered(&shared, Instant::now(), 3);
        other.refused("no".to_owned());
        one.merge(other);
        assert_eq!((one.total(), one.requests, one.refused), (5, 3, 1));
        assert_eq!(one.refusal.as_deref(), Some("no"));
        let latencies = one.latencies();
        assert!(latencies.max >= 10_000.0 && latencies.p50 < 10_000.0, "{latencies:?}");
    }
}
