//! What a run says: per scenario and contender the estimates, ratios and percentiles that reports show.

use std::collections::BTreeSet;

use super::registry::{BASE, STORE_BASE};
use super::run::{Cell, Refused, Run, Sample};
use super::statistics::Estimate;
use crate::measure::{Distance, Latencies, Measurement};
use crate::scenario::Scenario;

/// The percentiles that reports show.
pub const PERCENTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// A scenario's results.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// The scenario.
    pub scenario: Scenario,
    /// The floor that ratios are to.
    pub floor: Option<String>,
    /// Who was measured; floors first, then from the fastest to the slowest.
    pub rows: Vec<Row>,
    /// Who was not, and why.
    pub refused: Vec<(String, Refused)>,
    /// Measurements that were dropped, because others had much of the machine.
    pub dropped: usize,
    /// Measurements in all.
    pub samples: usize,
    /// So many had to be dropped that none was.
    pub is_busy: bool,
}

/// A contender's results in a scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Who.
    pub contender: String,
    /// Nanoseconds per operation, or of the 99.99th percentile.
    pub value: Estimate,
    /// How many times the floor's that is, round by round.
    pub to_floor: Option<Estimate>,
    /// How many times streamcore's that is, round by round.
    pub to_base: Option<Estimate>,
    /// The same by the distance of the cores, where threads write one line.
    pub by_distance: Vec<(Distance, Estimate, Option<Estimate>)>,
    /// [`PERCENTILES`] of all rounds together, in nanoseconds.
    pub percentiles: Option<Vec<u64>>,
    /// Allocations in 100,000 operations.
    pub allocations: f64,
    /// Bytes allocated for an operation.
    pub allocated: f64,
    /// Page faults in 100,000 operations.
    pub page_faults: f64,
    /// The most memory the process ever had, in bytes.
    pub peak_memory: f64,
    /// Bytes by which its memory grew for an operation, where that is asked.
    pub held: Option<f64>,
    /// Nanoseconds per record that readers saw.
    pub reader_ns: Option<f64>,
}

impl Row {
    /// Whether it is a floor.
    #[must_use]
    pub fn is_floor(&self) -> bool {
        self.contender.starts_with("floor:")
    }

    /// Whether it is this library.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.contender.starts_with("streamcore")
    }
}

impl Measurement {
    /// The distance of the cores; near, if it was not measured because it does not matter.
    #[must_use]
    pub fn distance(&self) -> Distance {
        self.link.map_or(Distance::Near, crate::measure::Link::distance)
    }
}

/// All scenarios of a run.
#[must_use]
pub fn summaries(run: &Run) -> Vec<Summary> {
    run.scenarios().into_iter().map(|scenario| Summary::of(run, scenario)).collect()
}

impl Summary {
    fn of(run: &Run, scenario: &Scenario) -> Self {
        let cells: Vec<&Cell> = run.of(scenario).collect();
        let samples = cells.iter().map(|cell| cell.samples.len()).sum();
        let kept = Kept::of(run, &cells);
        let base = if scenario.work.is_of_store() { STORE_BASE } else { BASE };
        let of = |name: &str| cells.iter().copied().find(|cell| cell.contender == name);
        let floor = cells.iter().copied().find(|cell| cell.contender.starts_with("floor:"));
        let base = of(base).filter(|cell| !cell.samples.is_empty());
        let base = base.or_else(|| cells.iter().copied().find(|cell| cell.is_ours()));
        let rows = cells.iter().filter_map(|cell| kept.row(cell, floor, base));
        let mut rows: Vec<Row> = rows.collect();
        // Floors stay in front, the first of them is the one that ratios are to.
        rows.sort_by(|a, b| match (a.is_floor(), b.is_floor()) {
            (false, false) => a.value.median.total_cmp(&b.value.median),
            (a, b) => b.cmp(&a),
        });
        let refused =
            cells.iter().filter_map(|cell| Some((cell.contender.clone(), cell.refused.clone()?)));
        Self {
            scenario: scenario.clone(),
            floor: floor.map(|cell| cell.contender.clone()),
            rows,
            refused: refused.collect(),
            dropped: if kept.is_busy { 0 } else { kept.dropped },
            samples,
            is_busy: kept.is_busy,
        }
    }
}

impl Cell {
    fn is_ours(&self) -> bool {
        self.contender.starts_with("streamcore") && !self.samples.is_empty()
    }
}

/// Which measurements count: those during which others left the machine alone, if enough are left.
struct Kept {
    max_load: f64,
    dropped: usize,
    is_busy: bool,
}

impl Kept {
    fn of(run: &Run, cells: &[&Cell]) -> Self {
        let is_loud = |sample: &&Sample| sample.measurement.others > run.max_load;
        let loud = |cell: &&Cell| cell.samples.iter().filter(is_loud).count();
        let dropped = cells.iter().map(loud).sum();
        // Whoever has less than half of its rounds left says that nothing can be told apart here.
        let is_busy = cells.iter().any(|cell| 2 * loud(cell) > cell.samples.len());
        Self { max_load: run.max_load, dropped, is_busy }
    }

    fn samples<'a>(&self, cell: &'a Cell) -> Vec<&'a Sample> {
        let keeps = |sample: &&Sample| self.is_busy || sample.measurement.others <= self.max_load;
        cell.samples.iter().filter(keeps).collect()
    }

    /// The values of two cells from the same rounds, and at the same distance of the cores.
    fn pairs(&self, cell: &Cell, with: &Cell, only: Option<Distance>) -> Vec<(f64, f64)> {
        let others = self.samples(with);
        let pair = |sample: &&Sample| {
            let other = others.iter().find(|other| other.round == sample.round)?;
            let (a, b) = (&sample.measurement, &other.measurement);
            let distance = a.distance();
            let is_comparable = a.link.is_none()
                || b.link.is_none()
                || distance == b.distance() && distance != Distance::Mixed;
            let is_wanted = only.is_none_or(|only| only == distance);
            (is_comparable && is_wanted).then(|| (a.headline(), b.headline()))
        };
        self.samples(cell).iter().filter_map(pair).collect()
    }

    fn row(&self, cell: &Cell, floor: Option<&Cell>, base: Option<&Cell>) -> Option<Row> {
        let samples = self.samples(cell);
        let all = |value: &dyn Fn(&Measurement) -> f64| {
            let values: Vec<f64> = samples.iter().map(|s| value(&s.measurement)).collect();
            Estimate::of(&values)
        };
        let median = |value: &dyn Fn(&Measurement) -> f64| all(value).map_or(0.0, |e| e.median);
        let ratio = |with: Option<&Cell>, only| {
            let with = with.filter(|with| with.contender != cell.contender)?;
            Estimate::of_ratios(&self.pairs(cell, with, only))
        };
        let distances: BTreeSet<Distance> = samples
            .iter()
            .filter(|sample| sample.measurement.link.is_some())
            .map(|sample| sample.measurement.distance())
            .filter(|&distance| distance != Distance::Mixed)
            .collect();
        let by_distance = distances.into_iter().filter_map(|distance| {
            let at = |sample: &&&Sample| sample.measurement.distance() == distance;
            let values: Vec<f64> =
                samples.iter().filter(at).map(|s| s.measurement.headline()).collect();
            Some((distance, Estimate::of(&values)?, ratio(base, Some(distance))))
        });
        let latencies = samples.iter().filter_map(|s| s.measurement.latencies.as_ref());
        let latencies = latencies.fold(Latencies::default(), |all, next| all.and(next));
        let percentiles = PERCENTILES.map(|(_, share)| latencies.quantile(share)).to_vec();
        let held = |s: &&Sample| Some(s.measurement.held? as f64 / s.measurement.operations as f64);
        let held = samples.iter().filter_map(held).collect::<Vec<_>>();
        let readers = samples.iter().filter_map(|s| s.measurement.reader_ns).collect::<Vec<_>>();
        Some(Row {
            contender: cell.contender.clone(),
            value: all(&Measurement::headline)?,
            to_floor: ratio(floor, None),
            to_base: ratio(base, None),
            by_distance: by_distance.collect(),
            percentiles: (latencies.count() > 0).then_some(percentiles),
            allocations: median(&|m| m.per_100_000(m.allocations)),
            allocated: median(&|m| m.allocated as f64 / m.operations.max(1) as f64),
            page_faults: median(&|m| m.per_100_000(m.page_faults)),
            peak_memory: median(&|m| m.peak_memory as f64),
            held: super::statistics::median(&held),
            reader_ns: super::statistics::median(&readers),
        })
    }
}

/// What a value is divided by to be compared with another run: the floor of the same round.
#[must_use]
pub fn normalised(run: &Run, cell: &Cell, distance: Option<Distance>) -> Vec<f64> {
    let cells: Vec<&Cell> = run.of(&cell.scenario).collect();
    let kept = Kept::of(run, &cells);
    let floor = cells.iter().copied().find(|cell| cell.contender.starts_with("floor:"));
    let Some(floor) = floor.filter(|floor| floor.contender != cell.contender) else {
        return kept.samples(cell).iter().map(|sample| sample.measurement.headline()).collect();
    };
    let pairs = kept.pairs(cell, floor, distance);
    pairs.into_iter().filter(|pair| pair.1 > 0.0).map(|(value, floor)| value / floor).collect()
}
