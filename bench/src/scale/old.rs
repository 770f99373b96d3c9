//! One stream that keeps its last records, and grows old: 100 million puts.
//!
//! An old stream cannot be measured beside its own youth. So a young one, set up alike, is put to and read in
//! turns with it.
//!
//! The log's directory has an entry of 12 bytes for each segment that there ever was: some 0.01 bytes for a record, which
//! stay with an old stream. Twice as much and more is allowed.

use super::rounds::{ROUNDS, Rounds, timed};
use super::table::{Row, Table};
use super::{Extent, images, put, read, stream};
use crate::compare::format::count;
use crate::compare::statistics::median;
use crate::measure::resident;

/// Puts of a turn.
const PUTS: u64 = 20_000;
/// Pages of a turn.
const PAGES: u64 = 50;
const PAGE: usize = 1000;

pub fn table(extent: Extent) -> Table {
    let ages = [1_000_000, 10_000_000, 100_000_000].map(|age| extent.of(age));
    let (keep, puts) = (extent.nonzero(100_000), extent.of(PUTS));
    let page = PAGE.min(keep.get() as usize / 2);
    let images = images();
    let ((old, shard), (young, young_shard)) = (stream(keep), stream(keep));
    put(&young, &images, 3 * keep.get());
    let mut taken = 0;
    let mut measured = Vec::new();
    for age in ages {
        put(&old, &images, age - taken);
        taken = age;
        let held = resident() as f64;
        let put_to = |stream| timed(puts, || put(stream, &images, puts));
        let putting = Rounds::of(&mut [&mut || put_to(&young), &mut || put_to(&old)]);
        taken += puts * (ROUNDS as u64 + 1);
        assert_eq!(old.record_count(&shard), Ok(taken), "what was put is counted");
        let read_from = |stream: &streamcore::Stream, shard: &str| {
            let from = stream.snapshot(shard).expect("the shard is open").start();
            let mut seen = 0;
            let each = timed(PAGES * page as u64, || {
                (0..PAGES).for_each(|_| seen += read(stream, shard, from, page));
            });
            assert_eq!(seen, PAGES * page as u64, "there are records for a page");
            each
        };
        let reading = Rounds::of(&mut [&mut || read_from(&young, &young_shard), &mut || {
            read_from(&old, &shard)
        }]);
        measured.push((putting, reading, held));
    }
    let cost = |what: String, of: &dyn Fn(&(Rounds, Rounds, f64)) -> Rounds| {
        let rounds: Vec<Rounds> = measured.iter().map(of).collect();
        let last = &rounds[rounds.len() - 1];
        let young = std::iter::once(last.at(0));
        let values = young.chain(rounds.iter().map(|rounds| rounds.at(1)));
        let values = values.map(|values| median(&values).unwrap_or(0.0)).collect();
        Row::beside(what, values, &last.ends(), 1.3)
    };
    let held: Vec<(f64, u64)> = measured.iter().map(|&(_, _, held)| (held, 1)).collect();
    // The young one is in all of them.
    let held: Vec<(f64, u64)> = held[..1].iter().chain(&held).copied().collect();
    let young = 3 * keep.get() + 3 * puts * (ROUNDS as u64 + 1);
    let sizes = std::iter::once(format!("a young one, {}", count(young as f64)));
    let sizes = sizes.chain(ages.map(|age| count(age as f64)));
    Table {
        title: format!(
            "One stream that has taken so many records, and keeps the last {}",
            count(keep.get() as f64)
        ),
        sizes: sizes.collect(),
        rows: vec![
            cost("put".into(), &|of| Rounds(of.0.0.clone())),
            cost(format!("get_records({page}), per record"), &|of| Rounds(of.1.0.clone())),
            Row::memory("resident memory of the process", &held, 1.1),
        ],
    }
}
