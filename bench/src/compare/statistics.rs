//! Statistics of few, noisy rounds: medians, and intervals that assume nothing about the noise.
//!
//! An interval comes from the order of the values alone. Of n paired ratios, the k-th smallest and the k-th
//! largest enclose the true median with a probability that follows from tossing n coins (the sign test); of two
//! unpaired samples, the same is done with the ratios of all pairs (Mann and Whitney, Hodges and Lehmann).

use serde::{Deserialize, Serialize};

/// A median, and the interval that holds the true one with at least 95 % probability.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// Values that it rests on.
    pub values: usize,
    /// With how few values an interval of 95 % cannot be given; low and high are then the extremes.
    pub is_certain: bool,
}

const CONFIDENCE: f64 = 0.95;

/// The median; `None` of no values.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

impl Estimate {
    /// Of values that belong together; `None` of none. The sign test's interval.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let median = median(values)?;
        let sorted = sorted(values);
        let n = sorted.len();
        let (skip, is_certain) = match sign_test_skip(n) {
            Some(skip) => (skip, true),
            None => (0, false),
        };
        Some(Self { median, low: sorted[skip], high: sorted[n - 1 - skip], values: n, is_certain })
    }

    /// Of the ratios of values that were measured in the same round.
    #[must_use]
    pub fn of_ratios(pairs: &[(f64, f64)]) -> Option<Self> {
        let ratios: Vec<f64> = pairs
            .iter()
            .filter(|(_, base)| *base > 0.0)
            .map(|(value, base)| value / base)
            .collect();
        Self::of(&ratios)
    }

    /// Of how many times larger the new values are than the old ones, which were not measured beside them;
    /// `None` if there are none of either.
    #[must_use]
    pub fn of_change(old: &[f64], new: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> =
            new.iter().flat_map(|new| old.iter().map(move |old| new / old)).collect();
        let median = median(&ratios)?;
        let sorted = sorted(&ratios);
        let (skip, is_certain) = match rank_sum_skip(old.len(), new.len()) {
            Some(skip) => (skip, true),
            None => (0, false),
        };
        let values = old.len().min(new.len());
        let last = sorted.len() - 1;
        Some(Self { median, low: sorted[skip], high: sorted[last - skip], values, is_certain })
    }

    /// Whether 1 is outside of the interval, and the interval is certain.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.is_certain && (self.low > 1.0 || self.high < 1.0)
    }
}

/// How many values may be left out at each end so that the rest still encloses the median of what they were
/// drawn from with 95 % probability; `None` if not even all of them do.
fn sign_test_skip(n: usize) -> Option<usize> {
    // The chance that all n values, or all but k of them, are on one side of the true median.
    let mut outside = 2.0 * 0.5f64.powi(i32::try_from(n).ok()?);
    let (mut skip, mut ways, mut tail) = (None, 1.0, 1.0);
    for k in 0..n {
        if outside > 1.0 - CONFIDENCE {
            break;
        }
        skip = Some(k);
        ways *= (n - k) as f64 / (k + 1) as f64;
        tail += ways;
        outside = 2.0 * tail * 0.5f64.powi(n as i32);
    }
    skip
}

/// The same for the ratios of all pairs of two samples, from the exact distribution of the rank sum.
fn rank_sum_skip(a: usize, b: usize) -> Option<usize> {
    // ways[j][u]: orders of i values and j others in which u pairs are the wrong way round. A longest value
    // either belongs to the first sample, and is then larger than all j, or to the second.
    let most = a * b;
    let mut ways = vec![vec![0.0f64; most + 1]; b + 1];
    ways.iter_mut().for_each(|row| row[0] = 1.0);
    for _ in 0..a {
        for j in 1..=b {
            // Downwards: what is read below is still that of one value fewer.
            for u in (0..=most).rev() {
                let below = ways[j - 1][u];
                let beside = if u >= j { ways[j][u - j] } else { 0.0 };
                ways[j][u] = below + beside;
            }
        }
    }
    let orders = &ways[b];
    let total: f64 = orders.iter().sum();
    let (mut skip, mut tail) = (None, 0.0);
    for (u, ways) in orders.iter().enumerate() {
        tail += ways;
        if 2.0 * tail / total > 1.0 - CONFIDENCE {
            break;
        }
        // The interval begins behind u + 1 values: at index u + 1 - 1, since u counts from 0.
        skip = Some(u);
    }
    skip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_sign_test_needs_six_values() {
        // From the tables: n = 5 reaches 93.75 %, 6 all, 8 all (99.2), 9 without one (96.1), 12 without two.
        let skips = [0, 1, 5, 6, 7, 8, 9, 11, 12, 15, 20].map(sign_test_skip);
        assert_eq!(
            skips,
            [
                None,
                None,
                None,
                Some(0),
                Some(0),
                Some(0),
                Some(1),
                Some(1),
                Some(2),
                Some(3),
                Some(5)
            ]
        );
        let few = Estimate::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((few.low, few.high, few.is_certain), (1.0, 3.0, false));
    }

    #[test]
    fn the_rank_sum_is_that_of_the_tables() {
        // Two-sided critical values of U at 5 %: 3 and 3 have none; 4 and 4: 0; 5 and 5: 2; 7 and 7: 8; 7 and 5: 5;
        // 10 and 10: 23.
        let sizes = [(3, 3), (4, 4), (5, 5), (7, 7), (7, 5), (5, 7), (10, 10)];
        let skips = sizes.map(|(a, b)| rank_sum_skip(a, b));
        assert_eq!(skips, [None, Some(0), Some(2), Some(8), Some(5), Some(5), Some(23)]);
    }

    #[test]
    fn a_paired_ratio_sees_through_noise_that_both_share() {
        // The machine is up to ten times slower in some rounds; the one is always 1.5 times the other.
        let noise = [1.0, 10.0, 3.0, 7.0, 1.2, 2.0, 5.0];
        let pairs = noise.map(|noise| (30.0 * noise, 20.0 * noise));
        let ratio = Estimate::of_ratios(&pairs).unwrap();
        assert!((ratio.median - 1.5).abs() < 1e-9 && ratio.differs(), "{ratio:?}");
        let apart =
            Estimate::of_change(&pairs.map(|pair| pair.1), &pairs.map(|pair| pair.0)).unwrap();
        assert!(!apart.differs(), "{apart:?}");
    }

    #[test]
    fn an_interval_holds_the_median_as_often_as_it_says() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut held, mut changed) = (0, 0);
        // Noise of a machine: mostly a little, seldom very much.
        let mut draw = || 10.0 + random.f64() + if random.u8(..) < 20 { 50.0 } else { 0.0 };
        // The median of that: 1/2 of all values lie below 10 + x with x * (236/256) = 1/2.
        let truth = 10.0 + 0.5 * 256.0 / 236.0;
        for _ in 0..2000 {
            let values: Vec<f64> = (0..7).map(|_| draw()).collect();
            let estimate = Estimate::of(&values).unwrap();
            held += u32::from(estimate.low <= truth && truth <= estimate.high);
            let others: Vec<f64> = (0..7).map(|_| draw()).collect();
            changed += u32::from(Estimate::of_change(&values, &others).unwrap().differs());
        }
        assert!(held >= 1900, "{held} of 2000");
        assert!(changed <= 100, "{changed} of 2000 times noise was taken for a change");
        let old = [10.0, 10.2, 10.4, 10.1, 10.3, 10.2, 10.1];
        let change = Estimate::of_change(&old, &old.map(|value| value * 1.1)).unwrap();
        assert!(change.differs() && (change.median - 1.1).abs() < 0.02, "{change:?}");
    }
}
