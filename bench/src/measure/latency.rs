//! Latencies: the cheapest clock there is, and histograms that can be kept, merged and asked.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A clock of ticks, which are turned into nanoseconds at the end: reading it costs half of what
/// [`Instant::now`] does, which matters beside an append.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    began: Instant,
    at: u64,
}

impl Ticks {
    /// Begins.
    #[must_use]
    pub fn start() -> Self {
        let began = Instant::now();
        Self { began, at: Self::raw(began) }
    }

    /// Now, in ticks since some moment.
    #[inline(always)]
    #[must_use]
    pub fn now(&self) -> u64 {
        Self::raw(self.began)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn raw(_: Instant) -> u64 {
        // SAFETY: every x86-64 processor has the instruction.
        unsafe { std::arch::x86_64::_rdtsc() }
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[inline(always)]
    fn raw(began: Instant) -> u64 {
        began.elapsed().as_nanos() as u64
    }

    /// Nanoseconds per tick, from all the time since [`Ticks::start`]: the longer, the more exact.
    #[must_use]
    pub fn nanoseconds(&self) -> f64 {
        let ticks = self.now().saturating_sub(self.at);
        self.began.elapsed().as_nanos() as f64 / ticks.max(1) as f64
    }

    /// As [`Ticks::nanoseconds`], after waiting for a time that is long enough to be exact to a thousandth.
    #[must_use]
    pub fn settled(&self) -> f64 {
        while self.began.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        self.nanoseconds()
    }
}

/// A histogram of ticks while it is being filled: fixed memory, touched before, within a hundredth.
pub struct Recorder(Histogram<u64>);

impl Recorder {
    /// An empty one.
    pub fn new() -> Self {
        let mut histogram =
            Histogram::new_with_bounds(1, 1 << 40, 2).expect("bounds that fit each other");
        // Writes to all of its memory, which would else be touched for the first time while timing.
        for power in 0..40 {
            histogram.saturating_record(1 << power);
        }
        histogram.reset();
        Self(histogram)
    }

    /// Notes a duration.
    #[inline(always)]
    pub fn record(&mut self, ticks: u64) {
        self.0.saturating_record(ticks);
    }

    /// Moves to what is kept; a tick takes so many nanoseconds.
    pub fn finish(self, nanoseconds: f64) -> Latencies {
        let entries = self.0.iter_recorded().map(|step| {
            let value = (step.value_iterated_to() as f64 * nanoseconds).round() as u64;
            (value, step.count_since_last_iteration())
        });
        Latencies(entries.collect())
    }
}

/// Latencies as they are kept: nanoseconds, and how often, in rising order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Latencies(Vec<(u64, u64)>);

impl Latencies {
    /// From nanoseconds and how often each occurred, in any order.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = (u64, u64)>) -> Self {
        Self::default().and(&Self(entries.into_iter().collect()))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|&(_, count)| count).sum()
    }

    /// Both together: as if all had been recorded into one.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut all: Vec<(u64, u64)> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        all.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0 };
            same
        });
        Self(all)
    }

    /// The value that a share of all latencies does not exceed; 0 if there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut passed = 0;
        for &(value, count) in &self.0 {
            passed += count;
            if passed >= wanted {
                return value;
            }
        }
        self.max()
    }

    /// The largest; 0 if there are none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.0.last().map_or(0, |&(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_histograms_answer_as_one() {
        let (mut all, mut some, mut others) = (Recorder::new(), Recorder::new(), Recorder::new());
        for n in 0..50_000u64 {
            let value = n.wrapping_mul(0x9E37_79B9) % 100_000 + 1;
            all.record(value);
            if n % 3 == 0 { some.record(value) } else { others.record(value) }
        }
        let merged = some.finish(1.0).and(&others.finish(1.0));
        assert_eq!(merged, all.finish(1.0));
        assert_eq!(merged.count(), 50_000);
        let p99 = merged.quantile(0.99) as f64;
        assert!((98_000.0..=100_500.0).contains(&p99), "{p99}");
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let some = Latencies::new([(30, 1), (10, 2), (20, 1), (10, 6)]);
        assert_eq!(some, Latencies(vec![(10, 8), (20, 1), (30, 1)]));
        assert_eq!(
            [0.0, 0.5, 0.8, 0.81, 0.9, 0.91, 1.0].map(|q| some.quantile(q)),
            [10, 10, 10, 20, 20, 30, 30]
        );
        assert_eq!(Latencies::default().quantile(0.5), 0);
    }

    #[test]
    fn ticks_become_nanoseconds() {
        let ticks = Ticks::start();
        let from = (Instant::now(), ticks.now());
        while from.0.elapsed() < Duration::from_millis(5) {}
        let span = (ticks.now() - from.1) as f64 * ticks.settled();
        assert!((4.9e6..1e9).contains(&span), "{span}");
    }
}
