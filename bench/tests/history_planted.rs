//! The checker finds planted bugs, each as what it is, and nothing in the same log without them.

use streamcore_bench::history::{Checker, Fault, Promise, Report, Workload};

#[path = "history_planted/toy.rs"]
mod toy;
use toy::{Plant, Toy};

const OPERATIONS: usize = 20_000;
/// A fault shows only if threads meet in the right way: so many tries, of which the first or second
/// nearly always does.
const ROUNDS: u64 = 200;

fn seed() -> u64 {
    let given = std::env::var("STREAMCORE_HISTORY_SEED").ok();
    let now = || std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
    given.and_then(|text| text.parse().ok()).unwrap_or_else(now)
}

/// Runs the log until the fault is found; other faults must be among `also`.
fn finds(plant: Plant, promise: Promise, expected: &[Fault], also: &[Fault]) -> Report {
    let seed = seed();
    println!("STREAMCORE_HISTORY_SEED={seed}");
    for round in 0..ROUNDS {
        let log = Toy::new(plant, 5 * OPERATIONS);
        let workload = Workload::new(seed.wrapping_add(round)).operations(OPERATIONS);
        let report = Checker::new().check(&workload.run(&log));
        let faults = report.faults();
        let others = faults.iter().find(|fault| !expected.contains(fault) && !also.contains(fault));
        assert_eq!(others, None, "{plant:?}: {report}");
        if let Some(fault) = faults.iter().find(|fault| expected.contains(fault)) {
            assert_eq!(fault.promise(), promise);
            println!("{plant:?}, round {round}: {report}");
            return report;
        }
    }
    panic!("{plant:?} was not found in {ROUNDS} rounds from seed {seed}");
}

#[test]
fn the_log_without_a_plant_keeps_all_promises() {
    let seed = seed();
    println!("STREAMCORE_HISTORY_SEED={seed}");
    for round in 0..8 {
        let log = Toy::new(Plant::Nothing, 5 * OPERATIONS);
        let group = if round % 2 == 0 { 1 } else { 32 };
        let workload =
            Workload::new(seed.wrapping_add(round)).operations(OPERATIONS).stamp_every(group);
        let report = Checker::new().check(&workload.run(&log));
        assert!(report.is_clean(), "{report}");
    }
}

#[test]
fn a_position_given_twice() {
    // The tail that goes back loses count: what was given is skipped, shown before its time, and so on.
    let also = Fault::ALL;
    finds(Plant::DuplicatePosition, Promise::Order, &[Fault::DuplicatePosition], also);
}

#[test]
fn a_hole_in_a_snapshot() {
    finds(Plant::HoleInSnapshot, Promise::PrefixClosed, &[Fault::Hole], &[]);
}

#[test]
fn a_snapshot_that_goes_back_across_threads() {
    let expected = [Fault::EndWentBack, Fault::Hole];
    let report = finds(Plant::SnapshotGoesBack, Promise::Monotone, &expected[..1], &expected);
    for violation in report.violations {
        // Nothing is wrong in what any one thread sees.
        let (first, second) = (violation.first.id, violation.second.unwrap().id);
        assert_ne!(first.thread, second.thread);
    }
}

#[test]
fn a_batch_that_is_split() {
    finds(Plant::SplitBatch, Promise::Batches, &[Fault::SplitBatch], &[]);
}

#[test]
fn an_append_acknowledged_behind_the_end() {
    // What lies behind the end came after appends that were turned away; nobody can read it, nor
    // does the latest position count it.
    let also = [Fault::AppendedAfterSeal, Fault::Lost, Fault::LatestTooLow];
    finds(Plant::BehindTheEnd, Promise::Seal, &[Fault::BehindTheEnd], &also);
}

#[test]
fn an_append_acknowledged_and_lost_at_the_seal() {
    finds(Plant::LostAtSeal, Promise::Visibility, &[Fault::Lost], &[]);
}

#[test]
fn a_stale_snapshot() {
    finds(Plant::StaleSnapshot, Promise::Visibility, &[Fault::Stale], &[Fault::Lost]);
}

#[test]
fn a_record_that_changes() {
    // What is filled before its own append has filled it is visible too early, and then changes too.
    finds(Plant::Overwrites, Promise::Immutable, &[Fault::WrongRecord], &[Fault::SplitBatch]);
}

#[test]
fn a_reader_that_skips_a_hole() {
    finds(Plant::SkipsHoles, Promise::Immutable, &[Fault::WrongRecord], &[Fault::EndWentBack]);
}

#[test]
fn a_trim_that_takes_too_much() {
    finds(Plant::TrimsTooMuch, Promise::Trimming, &[Fault::TrimmedUnasked], &[]);
}

#[test]
fn a_horizon_that_goes_back() {
    finds(Plant::HorizonGoesBack, Promise::Monotone, &[Fault::StartWentBack], &[]);
}

#[test]
fn a_latest_position_that_delivers_old_records() {
    finds(Plant::LatestIsTheMark, Promise::Order, &[Fault::LatestTooLow], &[]);
}
