//! Many streams in a store: 100,000 against 1,000.
//!
//! A stream that nobody has come to for a while is no longer in a cache, whatever the design. So the same stream again
//! and again shows what the store costs, and streams at random are allowed so many reads of cold memory, which
//! are measured beside them.

use std::ops::Range;

use fastrand::Rng;
use streamcore::log::Position;
use streamcore::model::{Image, KeySchema, StreamViewType};
use streamcore::{Store, StreamConfig};

use super::rounds::{Rounds, timed};
use super::table::{Row, Table};
use super::{Extent, images};
use crate::change;
use crate::compare::format::count;
use crate::compare::statistics::median;
use crate::measure::resident;

/// Records that each stream has.
const RECORDS: u64 = 10;
/// Calls of a turn.
const CALLS: u64 = 5_000;
/// Lines of cold memory that a call may read: from the map over the stream and its shard to the record.
const LINES: f64 = 16.0;

/// A store of streams that are named by numbers.
struct Streams {
    store: Store,
    count: u64,
    /// The name of one of them, in which another's number is written: to look for it would read cold memory.
    arn: String,
    number: Range<usize>,
    random: Rng,
    /// What the process's memory grew by with the first tenth of them and with all: registered, and with records.
    held: [[(f64, u64); 2]; 2],
    /// What registering took, each hundredth of them.
    registering: Vec<f64>,
}

impl Streams {
    fn of(count: u64, images: &[Image; 2]) -> Self {
        let store = Store::new();
        let register = |number: u64| {
            let schema = KeySchema::new("customer", Some("order")).expect("two different names");
            let table = format!("Table{number:06}");
            let config = StreamConfig::new(table, schema, StreamViewType::NewAndOldImages);
            store.register_stream(config.created_ms(0)).expect("a well-formed name")
        };
        let before = resident();
        let held = |count| (resident().saturating_sub(before) as f64, count);
        let (tenth, chunk) = (count / 10, (count / 100).max(1));
        let (mut registering, mut registered) = (Vec::new(), [(0.0, tenth), (0.0, count)]);
        for first in (0..count).step_by(chunk as usize) {
            let last = count.min(first + chunk);
            registering.push(timed(last - first, || {
                (first..last).for_each(|number| drop(register(number)));
            }));
            if last == tenth {
                registered[0] = held(tenth);
            }
        }
        registered[1] = held(count);
        let arn = register(0).info().arn().as_str().to_owned();
        let at = arn.find("000000/stream").expect("the table's name is in it");
        let (number, random) = (at..at + 6, Rng::with_seed(count));
        let held_then = [registered, registered];
        let mut streams = Self { store, count, arn, number, random, held: held_then, registering };
        // Beside what they took when they were registered.
        let before = resident();
        let grown =
            |(held, count): (f64, u64)| (held + resident().saturating_sub(before) as f64, count);
        for number in 0..count {
            (0..RECORDS).for_each(|_| streams.put(number, images));
            if number + 1 == tenth {
                streams.held[1][0] = grown(registered[0]);
            }
        }
        streams.held[1][1] = grown(registered[1]);
        streams
    }

    fn named(&mut self, number: u64) -> &str {
        let digits = format!("{number:06}");
        self.arn.replace_range(self.number.clone(), &digits);
        &self.arn
    }

    fn put(&mut self, number: u64, images: &[Image; 2]) {
        self.named(number);
        let put = self.store.put_record(&self.arn, change(images));
        put.expect("the key is there, and nobody disables the stream");
    }

    fn read(&mut self, number: u64) {
        self.named(number);
        let described = self.store.describe_stream(&self.arn).expect("it is registered");
        let shard = described.shards[0].shard_id.as_str();
        let page = self.store.get_records(&self.arn, shard, Position::ZERO, RECORDS as usize);
        let page = page.expect("nothing is trimmed");
        assert_eq!(page.len() as u64, RECORDS, "each stream has its records");
        std::hint::black_box(page.iter().fold(0, |sum, record| sum ^ record.created_ms()));
    }

    fn list(&mut self, number: u64) {
        self.named(number);
        let listed = self.store.list_streams(None, Some(&self.arn), RECORDS as usize);
        std::hint::black_box(listed.expect("a limit that is allowed").streams.len());
    }

    /// The same stream again and again.
    fn one(&mut self, call: impl Fn(&mut Self, u64)) -> f64 {
        timed(CALLS, || (0..CALLS).for_each(|_| call(self, 0)))
    }

    /// Streams at random.
    fn any(&mut self, calls: u64, call: impl Fn(&mut Self, u64)) -> f64 {
        timed(calls, || {
            for _ in 0..calls {
                let number = self.random.u64(..self.count);
                call(self, number);
            }
        })
    }
}

/// Memory in which each line tells which one is read next.
struct Lines {
    lines: Vec<[u32; 16]>,
    at: u32,
}

impl Lines {
    fn of(bytes: f64) -> Self {
        let mut order: Vec<u32> = (0..(bytes as u32 / 64).max(64)).collect();
        Rng::with_seed(1).shuffle(&mut order);
        let mut lines = vec![[0; 16]; order.len()];
        for (n, &line) in order.iter().enumerate() {
            lines[line as usize][0] = order[(n + 1) % order.len()];
        }
        Self { lines, at: 0 }
    }

    fn walk(&mut self) -> f64 {
        timed(CALLS, || {
            (0..CALLS).for_each(|_| self.at = self.lines[self.at as usize][0]);
            std::hint::black_box(self.at);
        })
    }
}

pub fn table(extent: Extent) -> Table {
    let counts = [extent.of(1_000).max(100), extent.of(100_000)];
    let images = images();
    let [mut few, mut many] = counts.map(|count| Streams::of(count, &images));
    let [mut near, mut far] = [&few, &many].map(|streams| Lines::of(streams.held[1][1].0));
    let cold = Rounds::of(&mut [&mut || near.walk(), &mut || far.walk()]);
    let line = median(&cold.at(1)).unwrap_or(0.0);
    let mut rows = Vec::new();
    // Of one store: the first tenth of its streams against the last.
    let (tenth, all) = (many.registering.len() / 10, many.registering.len());
    let tenths = (0..tenth).map(|n| vec![many.registering[n], many.registering[all - tenth + n]]);
    let tenths = Rounds(tenths.collect());
    rows.push(Row::cost(
        "register, of the larger store the first and the last tenth",
        &tenths,
        2.0,
    ));
    let put = |streams: &mut Streams, number| streams.put(number, &images);
    // Streams of as many records each: the few are made anew, or they would have taken a hundred times as many.
    let mut any_put = Rounds::of(&mut [
        &mut || Streams::of(counts[0], &images).any(counts[0].max(1_000) / 10, put),
        &mut || many.any(counts[1] / 10, put),
    ]);
    let mut one = |what: &str, call: &dyn Fn(&mut Streams, u64)| {
        let rounds = Rounds::of(&mut [&mut || few.one(call), &mut || many.one(call)]);
        rows.push(Row::cost(format!("{what}, the same stream"), &rounds, 1.3));
    };
    one("put by ARN", &put);
    one("describe and read 10 records", &Streams::read);
    let mut any = |what: &str, rounds: &Rounds| {
        let allowed = 1.3 + LINES * line / median(&rounds.at(0)).unwrap_or(1.0);
        rows.push(Row::cost(format!("{what}, streams at random"), rounds, allowed));
    };
    any("put by ARN", &std::mem::replace(&mut any_put, Rounds(Vec::new())));
    let mut both = |call: &dyn Fn(&mut Streams, u64)| {
        Rounds::of(&mut [&mut || few.any(CALLS, call), &mut || many.any(CALLS, call)])
    };
    any("describe and read 10 records", &both(&Streams::read));
    any("list 10 streams", &both(&Streams::list));
    rows.push(Row::cost("a line of memory of that size, at random", &cold, f64::INFINITY));
    for (held, what) in many.held.iter().zip(["registered", "with 10 records"]) {
        let what = format!("memory of a stream, {what}, of the first tenth and of all");
        rows.push(Row::memory(what, held, 1.2));
    }
    Table {
        title: "So many streams in a store".into(),
        sizes: counts.map(|streams| count(streams as f64)).into(),
        rows,
    }
}
