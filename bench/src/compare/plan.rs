//! Which scenarios are measured: the default set, the quick one, and what flags ask for.

use crate::scenario::{Memory, PayloadKind, Reading, Scenario, Timing, Work};

use PayloadKind::{Arc, B64, B192, B208, Own, U64};

/// The default set.
#[must_use]
pub fn standard() -> Vec<Scenario> {
    let append = Scenario::append;
    let mut all = vec![
        floors(1),
        floors(2),
        append(U64),
        append(B64),
        append(B192),
        append(B208),
        append(Arc),
        append(U64).fresh(),
        append(B192).fresh(),
        append(B64).batch(25),
        append(B192).batch(25),
        append(B192).batch(100),
        append(U64).writers(2),
        append(B64).writers(2),
        append(B64).writers(4),
        append(B192).writers(2),
        append(B192).writers(2).batch(25),
        append(B192).writers(2).logs(2),
        append(B192).readers(1, Reading::Tail),
        append(B192).readers(1, Reading::Wait),
        append(B192).readers(1, Reading::Scan),
        append(B192).readers(2, Reading::Scan),
        append(B192).readers(1, Reading::Random),
        append(B192).timed(Timing::EachCall),
        append(B192).fresh().timed(Timing::EachCall),
        append(Own).timed(Timing::EachCall),
        append(B192).writers(2).timed(Timing::EachCall),
        append(B192).readers(1, Reading::Scan).timed(Timing::EachCall),
        append(B192).timed(Timing::Arrivals(1000)),
        append(B192).writers(2).timed(Timing::Arrivals(2000)),
        Scenario::of(Work::Scan, B192),
        Scenario::of(Work::Pick, B192),
        Scenario::of(Work::Poll, U64),
        Scenario::of(Work::Count, U64),
    ];
    all.extend(stores(&[10_000, 100_000]));
    all
}

fn stores(registered: &[usize]) -> Vec<Scenario> {
    let of = |work| Scenario::of(work, B64);
    let mut all = vec![
        of(Work::Put),
        of(Work::Put).writers(2),
        of(Work::Put).timed(Timing::EachCall),
        of(Work::Put).readers(1, Reading::Scan).timed(Timing::EachCall),
        of(Work::GetRecords),
        Scenario { writers: 2, ..of(Work::GetRecords) },
        of(Work::WireFirst),
        of(Work::WireAgain),
    ];
    all.extend(registered.iter().map(|&count| of(Work::Register(count))));
    all
}

fn floors(writers: usize) -> Scenario {
    Scenario::of(Work::Floors, B64).writers(writers)
}

/// A smoke test: something of everything, in less than a minute.
#[must_use]
pub fn quick() -> Vec<Scenario> {
    let append = Scenario::append;
    let mut all = vec![
        floors(1),
        append(U64),
        append(B192),
        append(B192).batch(25),
        append(B64).writers(2),
        append(B192).readers(1, Reading::Tail),
        append(B192).readers(1, Reading::Scan),
        append(B192).timed(Timing::EachCall),
        append(B192).timed(Timing::Arrivals(2000)),
        Scenario::of(Work::Scan, B192),
        Scenario::of(Work::Count, U64),
    ];
    all.extend(stores(&[10_000]));
    all.iter().map(|s| Scenario { operations: s.operations / 4, ..s.clone() }).collect()
}

/// The product of what flags name, of appending to logs. An empty list stands for what is usual.
#[derive(Clone, Debug, Default)]
pub struct Product {
    /// Writers.
    pub writers: Vec<usize>,
    /// What readers do.
    pub reading: Vec<Reading>,
    /// How many readers do it.
    pub readers: Vec<usize>,
    /// The records.
    pub payloads: Vec<PayloadKind>,
    /// Records in one append.
    pub batches: Vec<usize>,
    /// Logs.
    pub logs: Vec<usize>,
    /// Memory.
    pub memory: Vec<Memory>,
    /// What is timed.
    pub timings: Vec<Timing>,
}

impl Product {
    /// All scenarios, without those that make no sense: more logs than writers.
    #[must_use]
    pub fn scenarios(&self) -> Vec<Scenario> {
        fn or<T: Clone>(given: &[T], usual: T) -> Vec<T> {
            if given.is_empty() { vec![usual] } else { given.to_vec() }
        }
        let mut all: Vec<Scenario> =
            or(&self.payloads, B192).into_iter().map(Scenario::append).collect();
        let mut times = |change: &dyn Fn(&Scenario) -> Vec<Scenario>| {
            all = all.iter().flat_map(change).collect();
        };
        times(&|s| or(&self.writers, 1).iter().map(|&n| s.clone().writers(n.max(1))).collect());
        times(&|s| or(&self.logs, 1).iter().map(|&n| s.clone().logs(n)).collect());
        times(&|s| or(&self.batches, 1).iter().map(|&n| s.clone().batch(n.max(1))).collect());
        let reading = or(&self.reading, Reading::None);
        times(&|s| {
            let with = |&reading: &Reading| match reading {
                Reading::None => vec![s.clone()],
                reading => {
                    let counts = or(&self.readers, 1);
                    counts.iter().map(|&n| s.clone().readers(n.max(1), reading)).collect()
                }
            };
            reading.iter().flat_map(with).collect()
        });
        times(&|s| {
            let with = |&memory: &Memory| Scenario { memory, ..s.clone() };
            or(&self.memory, Memory::Reused).iter().map(with).collect()
        });
        times(&|s| {
            or(&self.timings, Timing::Throughput).iter().map(|&t| s.clone().timed(t)).collect()
        });
        all.retain(|s| (1..=s.writers.min(8)).contains(&s.logs));
        all
    }

    /// Whether no flag was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writers.is_empty()
            && self.reading.is_empty()
            && self.readers.is_empty()
            && self.payloads.is_empty()
            && self.batches.is_empty()
            && self.logs.is_empty()
            && self.memory.is_empty()
            && self.timings.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        for set in [standard(), quick()] {
            let names: BTreeSet<String> = set.iter().map(ToString::to_string).collect();
            assert_eq!(names.len(), set.len());
        }
    }

    #[test]
    fn flags_are_multiplied() {
        let product = Product {
            writers: vec![1, 2],
            logs: vec![1, 2],
            reading: vec![Reading::None, Reading::Scan],
            readers: vec![1, 2],
            batches: vec![1, 25],
            ..Product::default()
        };
        // Two logs only with two writers: 3; no reader, one, two: 3; two batches.
        assert_eq!(product.scenarios().len(), 18);
        assert_eq!(Product::default().scenarios(), [Scenario::append(B192)]);
    }
}
