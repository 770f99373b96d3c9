//! Measuring a store: putting, reading pages, encoding, registering; streamcore's, and that of the
//! design it replaces, in Rust and in Go.

use std::num::NonZeroU64;

use streamcore::log::Position;
use streamcore::model::{Change, Image, KeySchema, SequenceNumber, StreamViewType};
use streamcore::stream::{IteratorStart, Page, ReadLimits, Writer};
use streamcore::{Store, Stream, StreamConfig, wire};

use super::go::{self, Records};
use super::link::{Link, one_way};
use super::machine::resident;
use super::record::Measurement;
use super::threads::{Gate, Outcome, run};
use crate::contender::{Lack, Refusal};
use crate::payload::Seen;
use crate::replaced::{ReplacedRecord, ReplacedStore};
use crate::scenario::{Scenario, Work};

/// The contenders, with what they are.
pub(crate) const NAMES: [(&str, &str); 5] = [
    ("streamcore Stream", "this library's store by a stream's handle, which threads share"),
    ("streamcore Writer", "this library's store by a writer, one for each thread"),
    (
        "replaced store",
        "an RwLock over a map of vectors of Arcs; readers copy, and encode each time",
    ),
    (GO, "the same design in Go; records are made in the call, as a host must"),
    (GO_PREBUILT, "the same, with records that were made before: the least that the design takes"),
];

const GO: &str = "Go's design";
const GO_PREBUILT: &str = "Go's design, prebuilt";

pub(super) const PAGE: usize = 1000;

/// What may be kept of encoded records: as much as the emulator keeps.
const CACHE_BYTES: u64 = 256 << 20;

/// What one of [`NAMES`] is; of one in Go, also by which Go, or why it cannot take part.
pub(crate) fn about((name, about): (&str, &str)) -> String {
    match name {
        GO | GO_PREBUILT => match go::version() {
            Ok(version) => format!("{about} ({version})"),
            Err(lack) => format!("{about} ({lack})"),
        },
        _ => about.into(),
    }
}

/// Does what one of [`NAMES`] needs to be done before anything is timed.
pub(crate) fn prepare(name: &str) {
    if let GO | GO_PREBUILT = name {
        // Why it cannot be built is what measuring it says.
        let _ = go::program();
    }
}

/// Measures one of [`NAMES`].
pub(crate) fn measure(name: &str, scenario: &Scenario) -> Result<Measurement, Refusal> {
    let link = scenario.is_contended().then(one_way);
    let mut measurement = match name {
        "streamcore Stream" => streamcore(scenario, false)?.measurement(None),
        "streamcore Writer" => streamcore(scenario, true)?.measurement(None),
        GO => go::measure(scenario, Records::InCall)?,
        GO_PREBUILT => go::measure(scenario, Records::Before)?,
        _ => replaced(scenario)?.measurement(None),
    };
    measurement.link = link.map(|before| Link { before, after: one_way() });
    Ok(measurement)
}

fn nobody(_: usize, _: &Gate) -> Result<Seen, Refusal> {
    Ok(Seen::default())
}

/// The name of a stream of a table.
pub(super) fn arns(count: usize) -> Vec<String> {
    let arn = |n| {
        format!(
            "arn:aws:dynamodb:us-east-1:000000000000:table/Table{n:06}/stream/2015-05-20T20:51:10.252"
        )
    };
    (0..count).map(arn).collect()
}

fn orders(retain: Option<NonZeroU64>) -> (Stream, String) {
    orders_in(&Store::new(), retain)
}

fn orders_in(store: &Store, retain: Option<NonZeroU64>) -> (Stream, String) {
    let schema = KeySchema::new("customer", Some("order")).expect("two different names");
    let mut config = StreamConfig::new("Orders", schema, StreamViewType::NewAndOldImages);
    if let Some(count) = retain {
        config = config.retain_last(count);
    }
    let stream = store.register_stream(config).expect("a well-formed name");
    let shard = stream.describe().shards[0].shard_id.to_string();
    (stream, shard)
}

/// So many changes of one item: the new image of each is the old one of the next.
fn changes(count: usize) -> Vec<[Image; 2]> {
    let images: Vec<Image> = (0..=count as u64).map(crate::item).collect();
    images.windows(2).map(|pair| [pair[0].clone(), pair[1].clone()]).collect()
}

/// How long an encoded record of these changes is.
pub(super) fn encoded_bytes() -> usize {
    let (stream, shard) = orders(None);
    stream.put(crate::change(&changes(1)[0])).expect("nobody disables the stream");
    let page = page(&stream, &shard, 0).expect("nobody trims");
    let mut out = Vec::new();
    let mut splicer = wire::record::Splicer::new();
    page.iter().for_each(|record| splicer.write(&record, &mut out));
    out.len()
}

/// The body of a GetRecords request for the page from there on.
fn request(stream: &Stream, shard: &str, from: u64) -> String {
    let at = SequenceNumber::new(0, Position::new(from));
    let iterator = stream.iterator(shard, IteratorStart::AtSequenceNumber(at));
    format!(r#"{{"ShardIterator":"{}"}}"#, iterator.expect("the record is there"))
}

fn page(stream: &Stream, shard: &str, from: u64) -> Result<Page, streamcore::Error> {
    stream.get_records(shard, Position::new(from), ReadLimits::records(PAGE))
}

/// One of the two ways to put.
enum By<'a> {
    Stream(&'a Stream),
    Writer(Writer),
}

fn streamcore(scenario: &Scenario, by_writer: bool) -> Result<Outcome, Refusal> {
    let threads = scenario.writers;
    if by_writer && scenario.work != Work::Put {
        return Err(Lack::of("a writer puts, and does nothing else").into());
    }
    match scenario.work {
        Work::Put => {
            let (stream, shard) = orders(Some(scenario.retain));
            let warm = 3 * scenario.retain.get() / threads as u64;
            let write = |_, gate: &Gate| {
                // Each thread changes an item of its own; one for all would measure who counts its sharers.
                let images = &changes(1)[0];
                let mut by =
                    if by_writer { By::Writer(stream.writer()) } else { By::Stream(&stream) };
                (0..warm).for_each(|_| by.put(crate::change(images)));
                gate.warm();
                let put = |_| by.put(crate::change(images));
                Ok(gate.work(0, scenario.timing, (scenario.operations, 1), put))
            };
            let read = |_, gate: &Gate| {
                let mut seen = Seen::default();
                gate.warm();
                gate.start();
                let mut from = 0;
                while gate.is_open() {
                    match page(&stream, &shard, from) {
                        Ok(page) => {
                            page.iter().for_each(|record| seen.sum ^= record.created_ms());
                            seen.records += page.len() as u64;
                            from = if page.is_empty() { 0 } else { page.next_position().get() };
                        }
                        Err(streamcore::Error::Trimmed { earliest, .. }) => from = earliest.get(),
                        Err(error) => return Err(Refusal::Wrong(error.to_string())),
                    }
                }
                Ok(seen)
            };
            let outcome = run((threads, write), (scenario.readers, read))?;
            let count = stream.record_count(&shard).unwrap_or(0);
            let put = outcome.operations + warm * threads as u64;
            if count == put { Ok(outcome) } else { Err(wrong(put, count)) }
        }
        Work::GetRecords => {
            let (stream, shard) = orders(None);
            let images = &changes(1)[0];
            let all = scenario.retain.get() - scenario.retain.get() % PAGE as u64;
            (0..all).for_each(|_| By::Stream(&stream).put(crate::change(images)));
            pages(scenario, 8 * scenario.operations, |number, seen| {
                let page = page(&stream, &shard, number % all).expect("nobody trims");
                page.iter().for_each(|record| seen.sum += record.created_ms());
                page.len()
            })
        }
        Work::WireFirst => {
            let (stream, shard) = orders(None);
            let all = put_wire_records(scenario, &stream);
            let encode = |number, out: &mut Vec<u8>| {
                let page = page(&stream, &shard, number % all).expect("nobody trims");
                out.clear();
                let mut splicer = wire::record::Splicer::new();
                page.iter().for_each(|record| splicer.write(&record, out));
                page.len()
            };
            wire_pages(scenario, all, encode)
        }
        Work::WireAgain => {
            let store = Store::new();
            let (stream, shard) = orders_in(&store, None);
            let all = put_wire_records(scenario, &stream);
            let api = wire::StreamsApi::new(store).cache_bytes(CACHE_BYTES);
            let requests: Vec<_> =
                (0..all).step_by(PAGE).map(|from| request(&stream, &shard, from)).collect();
            let encode = |number, out: &mut Vec<u8>| {
                let request = &requests[number as usize % all as usize / PAGE];
                let body = api.answer("GetRecords", request.as_bytes()).expect("nobody trims");
                out.clear();
                body.parts().iter().for_each(|part| out.extend_from_slice(part.as_ref()));
                PAGE
            };
            wire_pages(scenario, all, encode)
        }
        Work::Register(count) => {
            let store = Store::new();
            registering(scenario, count, |number| {
                let schema = KeySchema::new("id", None).expect("a name");
                let table = format!("Table{number:06}");
                let config = StreamConfig::new(table, schema, StreamViewType::NewAndOldImages);
                store.register_stream(config).expect("a well-formed name");
            })
        }
        _ => Err(Lack::of("a store, not a log").into()),
    }
}

impl By<'_> {
    #[inline(always)]
    fn put(&mut self, change: Change) {
        let put = match self {
            Self::Stream(stream) => stream.put(change),
            Self::Writer(writer) => writer.put(change),
        };
        put.expect("the key is there, and nobody disables the stream");
    }
}

fn wrong(put: u64, count: u64) -> Refusal {
    Refusal::Wrong(format!("{put} records were put, and {count} are counted"))
}

/// Puts what is encoded afterwards; how many.
fn put_wire_records(scenario: &Scenario, stream: &Stream) -> u64 {
    let all = wire_records(scenario);
    let changes = changes(all as usize);
    changes.iter().for_each(|pair| By::Stream(stream).put(crate::change(pair)));
    all
}

/// Records with images of their own: 20,000, unless the scenario is a small one.
fn wire_records(scenario: &Scenario) -> u64 {
    let all = (scenario.operations / 20).clamp(PAGE as u64, 20 * PAGE as u64);
    all - all % PAGE as u64
}

/// Pages of a thousand records.
fn pages(
    scenario: &Scenario,
    operations: u64,
    read: impl Fn(u64, &mut Seen) -> usize + Sync,
) -> Result<Outcome, Refusal> {
    let operations = operations - operations % PAGE as u64;
    let write = |_, gate: &Gate| {
        let mut seen = Seen::default();
        gate.warm();
        let did = gate.work(0, scenario.timing, (operations, PAGE as u64), |number| {
            seen.records += read(number, &mut seen) as u64;
        });
        std::hint::black_box(seen);
        if seen.records == did.operations() {
            Ok(did)
        } else {
            Err(wrong(did.operations(), seen.records))
        }
    };
    run((scenario.writers, write), (0, nobody))
}

fn wire_pages(
    scenario: &Scenario,
    all: u64,
    encode: impl Fn(u64, &mut Vec<u8>) -> usize + Sync,
) -> Result<Outcome, Refusal> {
    let mut rounds = 1;
    if scenario.work == Work::WireAgain {
        let mut out = Vec::new();
        for number in (0..all).step_by(PAGE) {
            encode(number, &mut out);
        }
        rounds = 16;
    }
    let out = || Vec::with_capacity(PAGE * 2048);
    let encoded = std::sync::Mutex::new(out());
    pages(scenario, rounds * all, |number, _| {
        // One thread encodes, so the lock is only a way to share the memory; it costs nothing per record.
        let mut out = encoded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(number, &mut out)
    })
}

fn registering(
    scenario: &Scenario,
    count: usize,
    register: impl Fn(usize) + Sync,
) -> Result<Outcome, Refusal> {
    let write = |_, gate: &Gate| {
        gate.warm();
        Ok(gate.work(0, scenario.timing, (count as u64, 1), |number| register(number as usize)))
    };
    let before = resident();
    let outcome = run((1, write), (0, nobody))?;
    Ok(Outcome { held: Some(resident().saturating_sub(before)), ..outcome })
}

fn replaced(scenario: &Scenario) -> Result<Outcome, Refusal> {
    let threads = scenario.writers;
    let store = ReplacedStore::default();
    let arn = &arns(1)[0];
    store.register(arn);
    match scenario.work {
        Work::Put => {
            let write = |_, gate: &Gate| {
                let mould = ReplacedRecord::mould(arn, &changes(1)[0]);
                // It keeps every record, so memory is used before by another store.
                let other = ReplacedStore::default();
                other.register(arn);
                (0..scenario.operations).for_each(|_| other.put(mould.clone()));
                drop(other);
                gate.warm();
                let put = |_| store.put(mould.clone());
                Ok::<_, Refusal>(gate.work(0, scenario.timing, (scenario.operations, 1), put))
            };
            let read = |_, gate: &Gate| {
                let mut seen = Seen::default();
                gate.warm();
                gate.start();
                let mut from = 0;
                while gate.is_open() {
                    let (page, next) = store.get_records(arn, from, PAGE);
                    page.iter().for_each(|record| seen.sum ^= record.created_ms);
                    seen.records += page.len() as u64;
                    from = if page.is_empty() { 0 } else { next };
                }
                Ok(seen)
            };
            let outcome = run((threads, write), (scenario.readers, read))?;
            let count = store.count(arn) as u64;
            if count == outcome.operations {
                Ok(outcome)
            } else {
                Err(wrong(outcome.operations, count))
            }
        }
        Work::GetRecords => {
            let mould = ReplacedRecord::mould(arn, &changes(1)[0]);
            let all = scenario.retain.get() - scenario.retain.get() % PAGE as u64;
            (0..all).for_each(|_| store.put(mould.clone()));
            pages(scenario, 4 * scenario.operations, |number, seen| {
                let (page, _) = store.get_records(arn, (number % all) as usize, PAGE);
                page.iter().for_each(|record| seen.sum += record.created_ms);
                page.len()
            })
        }
        Work::WireFirst | Work::WireAgain => {
            let all = wire_records(scenario);
            for pair in changes(all as usize) {
                store.put(ReplacedRecord::mould(arn, &pair));
            }
            wire_pages(scenario, all, |number, out| {
                let (page, _) = store.get_records(arn, (number % all) as usize, PAGE);
                out.clear();
                page.iter().for_each(|record| record.write(out));
                page.len()
            })
        }
        Work::Register(count) => {
            let names = arns(count);
            registering(scenario, count, |number| store.register(&names[number]))
        }
        _ => Err(Lack::of("a store, not a log").into()),
    }
}
