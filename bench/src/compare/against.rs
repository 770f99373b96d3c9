//! Two runs: what changed, and whether that is more than noise.
//!
//! Runs are not paired, and a machine is not the same an hour later. So values are compared as multiples of
//! the floor of their own round, and a change is one only if its interval excludes "none".

use super::run::Run;
use super::statistics::Estimate;
use super::summary::normalised;
use crate::measure::Distance;

/// What became of a contender in a scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// The scenario's name.
    pub scenario: String,
    /// The contender.
    pub contender: String,
    /// The distance of the cores that is compared, where it matters.
    pub distance: Option<Distance>,
    /// How many times the old value the new one is.
    pub ratio: Estimate,
    /// What that means.
    pub verdict: Verdict,
}

/// What a change means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Slower, and that is more than noise.
    Slower,
    /// Faster, and that is more than noise.
    Faster,
    /// No more than noise.
    Noise,
    /// Too few rounds to tell.
    TooFew,
}

impl Verdict {
    /// A word for a report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Noise => "noise",
            Self::TooFew => "too few rounds",
        }
    }
}

/// A change that is certain, and smaller than this, is still none that anybody cares for: 2 %.
const SMALLEST: f64 = 0.02;

impl Change {
    fn of(ratio: Estimate) -> Verdict {
        match ratio {
            ratio if !ratio.is_certain => Verdict::TooFew,
            ratio if !ratio.differs() || (ratio.median - 1.0).abs() < SMALLEST => Verdict::Noise,
            ratio if ratio.median > 1.0 => Verdict::Slower,
            _ => Verdict::Faster,
        }
    }
}

/// The changes from an old run to a new one, of all that both have measured; the largest first.
#[must_use]
pub fn changes(old: &Run, new: &Run) -> Vec<Change> {
    let mut changes = Vec::new();
    for cell in new.cells.iter().filter(|cell| !cell.samples.is_empty()) {
        let is_same = |other: &&super::run::Cell| {
            other.scenario == cell.scenario && other.contender == cell.contender
        };
        let Some(before) = old.cells.iter().find(is_same) else { continue };
        let is_linked = cell.samples.iter().any(|sample| sample.measurement.link.is_some());
        let distances: &[Option<Distance>] =
            if is_linked { &[Some(Distance::Near), Some(Distance::Far)] } else { &[None] };
        for &distance in distances {
            let [before, after] =
                [(old, before), (new, cell)].map(|(run, cell)| normalised(run, cell, distance));
            if let Some(ratio) = Estimate::of_change(&before, &after) {
                changes.push(Change {
                    scenario: cell.scenario.to_string(),
                    contender: cell.contender.clone(),
                    distance,
                    ratio,
                    verdict: Change::of(ratio),
                });
            }
        }
    }
    let size = |change: &Change| match change.verdict {
        Verdict::Slower | Verdict::Faster => change.ratio.median.ln().abs(),
        Verdict::Noise | Verdict::TooFew => 0.0,
    };
    changes.sort_by(|a, b| size(b).total_cmp(&size(a)));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::run::{Cell, Sample, VERSION};
    use crate::measure::{Machine, Measurement};
    use crate::scenario::{PayloadKind, Scenario};

    fn measured(ns: f64, others: f64) -> Measurement {
        Measurement {
            ns,
            operations: 1,
            reader_ns: None,
            latencies: None,
            allocations: 0,
            allocated: 0,
            page_faults: 0,
            peak_memory: 0,
            held: None,
            link: None,
            others,
        }
    }

    /// A run on a machine that is so many times slower, where streamcore takes so many times the floor.
    fn run(slowness: f64, times: f64) -> Run {
        let cell = |contender: &str, ns: f64| Cell {
            scenario: Scenario::append(PayloadKind::U64),
            contender: contender.into(),
            samples: (0..7)
                .map(|round| {
                    let noise = 1.0 + 0.01 * f64::from((round * 3 % 7) as u8);
                    Sample { round, measurement: measured(ns * slowness * noise, 0.0) }
                })
                .collect(),
            refused: None,
        };
        Run {
            version: VERSION,
            began: 0,
            machine: Machine::this(),
            rounds: 7,
            seed: 1,
            max_load: 0.3,
            contenders: Vec::new(),
            cells: vec![cell("floor: xadd + store", 7.0), cell("streamcore", 7.0 * times)],
        }
    }

    #[test]
    fn a_slower_machine_is_not_a_slower_log() {
        let verdicts = |new: &Run| -> Vec<(String, Verdict)> {
            let changes = changes(&run(1.0, 1.2), new);
            changes.into_iter().map(|change| (change.contender, change.verdict)).collect()
        };
        let ours = |verdict| ("streamcore".to_owned(), verdict);
        assert!(verdicts(&run(1.0, 1.2)).contains(&ours(Verdict::Noise)));
        assert!(verdicts(&run(3.0, 1.2)).contains(&ours(Verdict::Noise)));
        assert!(verdicts(&run(3.0, 1.4)).contains(&ours(Verdict::Slower)));
        assert!(verdicts(&run(1.0, 1.1)).contains(&ours(Verdict::Faster)));
        let mut few = run(1.0, 2.0);
        few.cells.iter_mut().for_each(|cell| cell.samples.truncate(2));
        assert!(verdicts(&few).contains(&ours(Verdict::TooFew)));
    }

    #[test]
    fn rounds_in_which_others_had_the_machine_are_dropped() {
        let mut loud = run(1.0, 1.2);
        for cell in &mut loud.cells {
            cell.samples[3].measurement = measured(1e6, 0.9);
        }
        let summary = &crate::compare::summary::summaries(&loud)[0];
        assert_eq!((summary.dropped, summary.samples, summary.is_busy), (2, 14, false));
        let ours = summary.rows.iter().find(|row| row.contender == "streamcore").unwrap();
        assert!((ours.to_floor.unwrap().median - 1.2).abs() < 1e-9 && ours.value.high < 20.0);
        for cell in &mut loud.cells {
            cell.samples.iter_mut().for_each(|sample| sample.measurement.others = 0.9);
        }
        assert!(crate::compare::summary::summaries(&loud)[0].is_busy);
    }
}
