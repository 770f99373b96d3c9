//! A stream of numbered items, and what a consumer finds in it.

use streamcore::model::{
    AttributeValue, Attributes, Change, Image, KeySchema, RecordRef, SequenceNumber, StreamViewType,
};
use streamcore::stream::{Consumer, ConsumerStart, Gap, NextChange, ShardId};
use streamcore::{Store, Stream, StreamConfig};

pub const CREATED_MS: u64 = 1_432_155_070_252;

pub fn named(table: &str, shards: usize) -> Stream {
    let schema = KeySchema::new("id", None).unwrap();
    let config = StreamConfig::new(table, schema, StreamViewType::NewImage);
    let store = Store::new();
    store.register_stream(config.created_ms(CREATED_MS).shards(shards)).unwrap()
}

pub fn stream(shards: usize) -> Stream {
    named("Orders", shards)
}

pub fn item(id: usize) -> Image {
    Image::new(Attributes::from([("id".to_owned(), AttributeValue::N(id.to_string()))]))
}

pub fn put(stream: &Stream, id: usize) -> SequenceNumber {
    stream.put(Change::insert(item(id))).unwrap()
}

pub fn put_many(stream: &Stream, ids: impl IntoIterator<Item = usize>) -> Vec<SequenceNumber> {
    ids.into_iter().map(|id| put(stream, id)).collect()
}

pub fn id_of(record: &RecordRef<'_>) -> usize {
    match &record.new_image().unwrap().attributes()["id"] {
        AttributeValue::N(id) => id.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The open shards, by their ranges.
pub fn open(stream: &Stream) -> Vec<ShardId> {
    let mut open = stream.describe().shards;
    open.retain(|shard| shard.ending_sequence_number.is_none());
    open.sort_by_key(|shard| shard.hash_range.first);
    open.into_iter().map(|shard| shard.shard_id).collect()
}

/// An item that the shard takes, which must be open.
pub fn item_of(stream: &Stream, shard: &ShardId) -> usize {
    let taken_by = |id| {
        let before = stream.record_count(shard.as_str()).unwrap();
        put(stream, id);
        stream.record_count(shard.as_str()).unwrap() > before
    };
    (0..1000).find(|id| taken_by(*id)).unwrap()
}

pub fn from_horizon(stream: &Stream) -> Consumer {
    stream.consume(ConsumerStart::TrimHorizon).unwrap()
}

/// A record, as a test remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub shard: ShardId,
    pub number: SequenceNumber,
    pub id: usize,
}

/// What there is in place of a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    Pending,
    Closed,
}

pub fn step(consumer: &mut Consumer) -> Result<Result<Seen, Stop>, Gap> {
    Ok(match consumer.next()? {
        NextChange::Record { shard, record } => {
            let (number, id) = (record.sequence_number(), id_of(&record));
            Ok(Seen { shard: shard.clone(), number, id })
        }
        NextChange::Pending => Err(Stop::Pending),
        NextChange::Closed => Err(Stop::Closed),
    })
}

/// All records up to what stops the consumer.
pub fn read(consumer: &mut Consumer) -> (Vec<Seen>, Stop) {
    let mut seen = Vec::new();
    loop {
        match step(consumer).unwrap() {
            Ok(record) => seen.push(record),
            Err(stop) => return (seen, stop),
        }
    }
}

/// All records that are there.
pub fn pending(consumer: &mut Consumer) -> Vec<Seen> {
    let (seen, stop) = read(consumer);
    assert_eq!(stop, Stop::Pending);
    seen
}

pub fn numbers(seen: &[Seen]) -> Vec<SequenceNumber> {
    seen.iter().map(|seen| seen.number).collect()
}

pub fn sorted(mut numbers: Vec<SequenceNumber>) -> Vec<SequenceNumber> {
    numbers.sort_unstable();
    numbers
}
