//! The sweep and the search, two checkers that have no code in common, agree on small histories.
//!
//! `PROPTEST_CASES` sets how many; a failure prints the script that led to it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use streamcore_bench::history::{
    Appended, Checker, Event, Fault, History, NEVER, Operation, Verdict, linearizable,
};

#[path = "history_agreement/simulation.rs"]
mod simulation;
use simulation::Simulation;

const STATES: usize = 50_000;

fn script() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 20..140)
}

fn runner(cases: u32) -> TestRunner {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    TestRunner::new(config)
}

fn print(history: &History) -> String {
    history.events().map(|(id, _)| format!("{}\n", history.witness(id))).collect()
}

#[test]
fn both_accept_what_a_correct_log_does() {
    let explained = RefCell::new(0);
    let checked =
        runner(300).run(&(2..=4usize, script(), any::<bool>()), |(threads, script, open)| {
            let history = Simulation::run(threads, &script, open);
            let report = Checker::new().check(&history);
            prop_assert!(report.is_clean(), "{report}\n{}", print(&history));
            let verdict = linearizable(&history, STATES);
            prop_assert!(verdict != Verdict::Impossible, "{}", print(&history));
            *explained.borrow_mut() += u32::from(verdict == Verdict::Linearizable);
            Ok(())
        });
    checked.unwrap_or_else(|error| panic!("{error}"));
    assert!(explained.into_inner() > 150, "the search has given up too often");
}

#[test]
fn both_find_the_same_histories_faulty() {
    let seen = RefCell::new(BTreeMap::<Fault, u32>::new());
    let agreed = RefCell::new((0u32, 0u32));
    let fault = (any::<prop::sample::Index>(), any::<u8>(), 1..4u64);
    let strategy = (2..=4usize, script(), fault);
    let checked = runner(1_000).run(&strategy, |(threads, script, (which, how, by))| {
        let mut history = Simulation::run(threads, &script, false);
        prop_assume!(!history.is_empty());
        inject(&mut history, which, how, by);
        let report = Checker::new().check(&history);
        match linearizable(&history, STATES) {
            Verdict::Linearizable => {
                prop_assert!(report.is_clean(), "only the sweep: {report}\n{}", print(&history));
                agreed.borrow_mut().0 += 1;
            }
            Verdict::Impossible => {
                prop_assert!(!report.is_clean(), "only the search:\n{}", print(&history));
                agreed.borrow_mut().1 += 1;
            }
            Verdict::Unknown => {}
        }
        for fault in report.faults() {
            *seen.borrow_mut().entry(fault).or_default() += 1;
        }
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
    let (right, faulty) = agreed.into_inner();
    let seen = seen.into_inner();
    println!("{right} histories right by both, {faulty} faulty by both, with {seen:?}");
    assert!(right > 20 && faulty > 200, "{right} right, {faulty} faulty");
    assert!(seen.len() > 12, "{seen:?}");
}

/// With open operations the search is stronger; the sweep still accuses nobody falsely.
#[test]
fn the_sweep_accuses_only_what_the_search_cannot_explain() {
    let fault = (any::<prop::sample::Index>(), any::<u8>(), 1..4u64);
    let strategy = (2..=4usize, script(), fault);
    let checked = runner(500).run(&strategy, |(threads, script, (which, how, by))| {
        let mut history = Simulation::run(threads, &script, true);
        prop_assume!(!history.is_empty());
        inject(&mut history, which, how, by);
        let report = Checker::new().check(&history);
        if linearizable(&history, STATES) == Verdict::Linearizable {
            prop_assert!(report.is_clean(), "{report}\n{}", print(&history));
        }
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

/// Falsifies one answer, or makes an operation shorter than it was.
fn inject(history: &mut History, which: prop::sample::Index, how: u8, by: u64) {
    let mut number = which.index(history.len());
    for thread in &mut history.threads {
        if number < thread.events.len() {
            let before = number.checked_sub(1).map(|before| thread.events[before]);
            falsify(&mut thread.events[number], &mut thread.values, how, by);
            if let Some(before) = before.filter(|_| how % 16 == 15) {
                thread.events[number].operation = before.operation;
            }
            return;
        }
        number -= thread.events.len();
    }
}

fn falsify(event: &mut Event, all_values: &mut [u64], how: u8, by: u64) {
    if how % 8 == 7 && event.returned != NEVER {
        match how / 8 % 2 {
            0 => event.called = event.returned,
            _ => event.returned = event.called,
        }
        return;
    }
    let is_up = how.is_multiple_of(2);
    let shift = |number: &mut u64| {
        *number = if is_up { *number + by } else { number.saturating_sub(by) };
    };
    match &mut event.operation {
        Operation::Append { outcome: Appended::At(position), .. } if how % 8 != 6 => {
            shift(position)
        }
        Operation::Append { outcome, .. } => {
            *outcome = match outcome {
                Appended::At(_) => Appended::Redirected,
                _ => Appended::At(by),
            };
        }
        Operation::Snapshot { start, end } => shift(if how % 8 < 3 { start } else { end }),
        Operation::Read { count, .. } if how % 8 < 2 => *count = 0,
        Operation::Read { from, .. } if how % 8 < 4 => shift(from),
        Operation::Read { values, count, .. } => {
            let own = *values as usize..*values as usize + *count as usize;
            all_values[own].iter_mut().for_each(|value| *value += 8 * by);
        }
        Operation::ReadTrimmed { earliest, .. } => shift(earliest),
        Operation::Trim { horizon: Some(horizon), .. } => shift(horizon),
        Operation::Trim { to, .. } => shift(to),
        Operation::Seal { end: Some(end) } => shift(end),
        Operation::Visible { position } | Operation::Latest { position } => shift(position),
        Operation::NeverVisible { end, .. } => shift(end),
        Operation::Seal { end: None } => {}
    }
}
