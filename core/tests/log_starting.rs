//! A log that begins at a position: nobody can tell it from one that was appended to and trimmed so far.

use std::num::NonZeroU64;
use std::sync::Arc;

use proptest::prelude::*;
use streamcore::log::{Batch, Cursor, Log, LogOptions, LogStats, Next, Position, Retained};

type Value = Arc<u64>;
type Shared = Arc<Log<Value, u32>>;

/// What is done to both logs; positions are counted from a little before their beginning.
#[derive(Debug, Clone)]
enum Step {
    Append(u64),
    Batch(u64),
    Trim(u64),
    Read { from: u64, max: usize },
    Retain { from: u64, to: u64 },
    Seek(u64),
    Next(usize),
    Provision,
    Shrink,
    Seal,
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0u64..6_000;
    prop_oneof![
        4 => (1u64..3_000).prop_map(Step::Append),
        2 => (0u64..200).prop_map(Step::Batch),
        3 => at.clone().prop_map(Step::Trim),
        3 => (at.clone(), 0usize..500).prop_map(|(from, max)| Step::Read { from, max }),
        2 => (at.clone(), at.clone()).prop_map(|(from, to)| Step::Retain { from, to }),
        2 => at.prop_map(Step::Seek),
        3 => (1usize..3_000).prop_map(Step::Next),
        1 => Just(Step::Provision),
        1 => Just(Step::Shrink),
        1 => Just(Step::Seal),
    ]
}

/// Beginnings in the ramp, at the borders of segments, and far behind.
fn start() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..100,
        (3u32..13, 0u64..3).prop_map(|(bits, off)| (1 << bits) + off - 1),
        4_000u64..20_000,
    ]
}

/// A log with what one says to it and hears of it.
struct Side {
    log: Shared,
    cursor: Cursor<Shared>,
    values: u64,
}

impl Side {
    fn of(log: Log<Value, u32>, start: u64) -> Self {
        let log = Arc::new(log);
        let cursor = Cursor::new(Arc::clone(&log), Position::new(start));
        Self { log, cursor, values: start }
    }

    fn value(&mut self) -> Value {
        self.values += 1;
        Arc::new(self.values)
    }

    /// Does a step, and tells everything that it says.
    fn take(&mut self, step: &Step, base: u64) -> String {
        let at = |offset: u64| Position::new(base + offset);
        match *step {
            Step::Append(count) => (0..count)
                .map(|_| {
                    let value = self.value();
                    self.log.append(value).map_err(|back| back.0)
                })
                .fold(String::new(), |_, last| format!("{last:?}")),
            Step::Batch(count) => {
                let values: Vec<Value> = (0..count).map(|_| self.value()).collect();
                format!("{:?}", self.log.append_all(values).is_ok())
            }
            Step::Trim(to) => format!("{:?}", self.log.trim(at(to))),
            Step::Read { from, max } => {
                let read = self.log.read(at(from), max);
                format!("{:?}", read.map(|chunk| chunk.iter().map(shown).collect::<Vec<_>>()))
            }
            Step::Retain { from, to } => {
                let retained = Retained::new(Arc::clone(&self.log), at(from)..at(to));
                format!(
                    "{:?}",
                    retained.map(|all| {
                        let batch = |(at, _): &(Position, _)| all.batch(*at) == Some(Batch::Ends);
                        let ends: Vec<bool> = all.iter().map(|one| batch(&one)).collect();
                        (all.positions(), all.iter().map(shown).collect::<Vec<_>>(), ends)
                    })
                )
            }
            Step::Seek(to) => {
                self.cursor.seek(at(to));
                String::new()
            }
            Step::Next(count) => (0..count)
                .map(|_| match self.cursor.next() {
                    Ok(Next::Record(at, value)) => format!("{:?}", (at, **value)),
                    Ok(Next::Pending) => "pending".to_owned(),
                    Ok(Next::Closed) => "closed".to_owned(),
                    Err(trimmed) => format!("{trimmed:?}"),
                })
                .collect(),
            Step::Provision => format!("{}", self.log.provision()),
            Step::Shrink => {
                self.log.shrink();
                String::new()
            }
            Step::Seal => format!("{:?} {:?}", self.log.seal(7), self.log.successor()),
        }
    }

    fn figures(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let LogStats { appended, published, prefix_lag, trimmed, pins, .. } = self.log.stats();
        let ends = (self.log.end(), self.log.earliest(), self.log.sealed_end());
        (appended, published, prefix_lag, trimmed, pins, ends, self.log.snapshot())
    }
}

fn shown((at, value): (Position, &Value)) -> (Position, u64) {
    (at, **value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_log_that_begins_late_is_one_that_was_trimmed_so_far(
        start in start(),
        kept in prop_oneof![Just(None), (1u64..5_000).prop_map(NonZeroU64::new)],
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut options = LogOptions::new();
        if let Some(kept) = kept {
            options = options.retain_last(kept);
        }
        let old = Log::with_options(options);
        (1..=start).for_each(|value| assert!(old.append(Arc::new(value)).is_ok()));
        // With a reader beside it: the slots before the beginning are passed one by one when their segment dies, as
        // those are that nobody has hollowed out, so that retention keeps the same pace.
        let reader = start.checked_sub(1).map(|last| old.read(Position::new(last), 1));
        prop_assert_eq!(old.trim(Position::new(start)), Position::new(start));
        drop(reader);
        let young = Log::with_options(options.starting_at(Position::new(start)).expect("in reach"));
        let (mut old, mut young) = (Side::of(old, start), Side::of(young, start));
        prop_assert_eq!(old.figures(), young.figures());
        let base = start.saturating_sub(500);
        for step in &steps {
            prop_assert_eq!(old.take(step, base), young.take(step, base), "{:?}", step);
            prop_assert_eq!(old.figures(), young.figures(), "{:?}", step);
        }
    }
}

#[test]
fn what_lies_before_the_beginning_is_trimmed_for_whoever_asks() {
    for start in [1, 7, 8, 9, 4_095, 4_096, 4_097, 1 << 20, (1 << 20) + 5] {
        let log = Log::<Value, u32>::with_options(
            LogOptions::new().starting_at(Position::new(start)).expect("in reach"),
        );
        let earliest = Position::new(start);
        for before in [0, start / 2, start - 1].map(Position::new) {
            assert_eq!(log.read(before, 1).unwrap_err().earliest, earliest);
            assert_eq!(log.retain(before..earliest).unwrap_err().earliest, earliest);
            assert_eq!(log.cursor(before).next().unwrap_err().earliest, earliest);
        }
        assert!(log.read(earliest, 1).unwrap().is_empty());
        assert_eq!(log.append(Arc::new(1)), Ok(earliest));
        assert_eq!(log.read(earliest.minus(1), 1).unwrap_err().earliest, earliest);
        assert_eq!(log.read(earliest, 1).unwrap().len(), 1);
        log.seal(3);
        assert_eq!(log.sealed_end(), Some(earliest.plus(1)));
    }
}

#[test]
fn every_value_is_dropped_once() {
    let value = Arc::new(0);
    for start in [0, 5, 4_095, 4_096, 100_000] {
        let options = LogOptions::new().starting_at(Position::new(start)).expect("in reach");
        let log = Log::<Value, u32>::with_options(options);
        (0..10_000).for_each(|_| assert!(log.append(Arc::clone(&value)).is_ok()));
        log.trim(Position::new(start + 3));
        assert_eq!(Arc::strong_count(&value), 1 + 10_000 - 3);
        drop(log);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}

#[test]
fn a_log_that_no_memory_would_hold_is_known_before() {
    let can_reach = |end| Log::<Value>::can_reach(Position::new(end));
    assert!(can_reach(0) && can_reach(1) && can_reach(1 << 30));
    for end in [1 << 55, 1 << 61, 1 << 62, u64::MAX] {
        assert!(!can_reach(end), "{end}");
    }
    // Where the tail has its flags, no log begins.
    for start in [1 << 60, 1 << 62, 1 << 63, u64::MAX] {
        assert!(LogOptions::new().starting_at(Position::new(start)).is_none(), "{start}");
    }
}
