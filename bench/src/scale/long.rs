//! One stream that keeps many records: 10 million against 10,000.
//!
//! Whoever reads millions of records reads them from memory, not from a cache, whatever the design. That is
//! allowed to take what reading a slice of such records takes, twice.

use std::num::NonZeroU64;

use streamcore::Stream;
use streamcore::log::{Position, Snapshot};
use streamcore::model::Image;

use super::rounds::{Rounds, timed};
use super::table::{Row, Table};
use super::{Extent, images, put, read, stream};
use crate::compare::format::count;
use crate::compare::statistics::median;
use crate::measure::resident;

const PAGE: usize = 1000;
/// Pages of a turn.
const PAGES: u64 = 50;
const SNAPSHOTS: u64 = 2_000;

/// Bytes of a record in its segment.
type Slot = [u64; 6];

/// A stream that is full: for each record put, one is given up.
struct Full {
    stream: Stream,
    shard: String,
    /// What the process's memory grew by, with a tenth of the records and with all.
    held: [(f64, u64); 2],
}

impl Full {
    fn of(keep: NonZeroU64, images: &[Image; 2]) -> Self {
        let before = resident();
        let (stream, shard) = stream(keep);
        let held = |count| (resident().saturating_sub(before) as f64, count);
        let tenth = keep.get() / 10;
        put(&stream, images, tenth);
        let some = held(tenth);
        put(&stream, images, keep.get() - tenth);
        let held = [some, held(keep.get())];
        // Full, and a segment or two over.
        put(&stream, images, 5_000);
        Self { stream, shard, held }
    }

    fn snapshot(&self) -> Snapshot {
        self.stream.snapshot(&self.shard).expect("the shard is open")
    }

    /// The same page again and again: what it takes to find it, and to read it from the cache.
    fn read_at(&self, place: impl Fn(Snapshot) -> Position) -> f64 {
        let from = place(self.snapshot());
        let mut seen = 0;
        let each = timed(PAGES * PAGE as u64, || {
            (0..PAGES).for_each(|_| seen += read(&self.stream, &self.shard, from, PAGE));
        });
        assert_eq!(seen, PAGES * PAGE as u64, "there are records for a page");
        each
    }

    /// So many records, page by page, from the start on and over again.
    fn walk(&self, records: u64) -> f64 {
        let snapshot = self.snapshot();
        timed(records, || {
            let mut from = snapshot.start();
            for _ in 0..records / PAGE as u64 {
                let seen = read(&self.stream, &self.shard, from, PAGE);
                from = if seen < PAGE as u64 { snapshot.start() } else { from.plus(seen) };
            }
        })
    }

    fn take_snapshots(&self) -> f64 {
        timed(SNAPSHOTS, || {
            for _ in 0..SNAPSHOTS {
                std::hint::black_box(self.snapshot());
            }
        })
    }

    /// Gives up the oldest, and puts as many: values are dropped by the puts behind a trim.
    fn trim(&self, records: u64, images: &[Image; 2]) -> f64 {
        let until = self.snapshot().start().plus(records);
        timed(records, || {
            let earliest = self.stream.trim(&self.shard, until);
            assert_eq!(earliest, Ok(until), "what is trimmed is no longer there");
            put(&self.stream, images, records);
        })
    }
}

/// What it takes to look at so many records of a slice, from the start on and over again.
fn walk(slice: &[Slot], records: usize) -> f64 {
    timed(records as u64, || {
        for _ in 0..records / slice.len() {
            let slice = std::hint::black_box(slice);
            std::hint::black_box(slice.iter().fold(0, |sum, record| sum ^ record[0]));
        }
    })
}

pub fn table(extent: Extent) -> Table {
    let keep = [10_000, extent.of(10_000_000)];
    let puts = extent.of(200_000);
    let images = images();
    let [short, long] =
        keep.map(|keep| Full::of(NonZeroU64::new(keep).expect("not nothing"), &images));
    let both =
        |turn: &dyn Fn(&Full) -> f64| Rounds::of(&mut [&mut || turn(&short), &mut || turn(&long)]);
    let page = |what: &str, place: &dyn Fn(Snapshot) -> Position| {
        let rounds = both(&|full| full.read_at(place));
        Row::cost(format!("get_records({PAGE}) at the {what}, per record"), &rounds, 1.3)
    };
    let putting = both(&|full| timed(puts, || put(&full.stream, &images, puts)));
    let walking = both(&|full| full.walk(10 * puts));
    let [few, many] = keep.map(|keep| vec![[1; 6]; keep as usize]);
    let slices = Rounds::of(&mut [&mut || walk(&few, many.len()), &mut || walk(&many, many.len())]);
    drop((few, many));
    let [slice, read] = [(&slices, 1), (&walking, 0)]
        .map(|(rounds, size)| median(&rounds.at(size)).unwrap_or(f64::NAN));
    let rows = vec![
        Row::cost("put", &putting, 1.3),
        page("start", &|snapshot| snapshot.start()),
        page("middle", &|snapshot| snapshot.start().plus(snapshot.len() / 2)),
        page("end", &|snapshot| snapshot.start().plus(snapshot.len() - PAGE as u64)),
        Row::cost("get_records over all, per record", &walking, 1.3 + 2.0 * slice / read),
        Row::cost("a slice of records of 48 bytes, per record", &slices, f64::INFINITY),
        Row::cost("snapshot", &both(&Full::take_snapshots), 1.3),
        Row::cost("trim and put, per record", &both(&|full| full.trim(2_000, &images)), 1.3),
        Row::memory(
            "memory of a record, of the longer one's first tenth and of all",
            &long.held,
            1.1,
        ),
    ];
    for (full, keep) in [(&short, keep[0]), (&long, keep[1])] {
        assert!(full.snapshot().len() >= keep, "a stream keeps what it is told to keep");
    }
    Table {
        title: "One stream that keeps so many records".into(),
        sizes: keep.map(|keep| count(keep as f64)).into(),
        rows,
    }
}
