//! Stores whose clock is turned by hand, what is put into them, and the way from one to the next.

use std::sync::Arc;

use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::store::StoreBuilder;
use streamcore::stream::{Archive, ManualClock, ReadLimits};
use streamcore::{Error, Store, Stream, StreamConfig};

pub const NOW_MS: u64 = 1_800_000_000_000;

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at_ms(NOW_MS))
}

pub fn builder(clock: &Arc<ManualClock>) -> StoreBuilder {
    Store::builder().clock(clock.clone())
}

pub fn config(view: StreamViewType) -> StreamConfig {
    StreamConfig::new("Orders", KeySchema::new("id", None).unwrap(), view).created_ms(NOW_MS - 7)
}

/// A store with a stream of both images.
pub fn start(clock: &Arc<ManualClock>) -> (Store, Stream) {
    let store = builder(clock).build();
    let stream = store.register_stream(config(StreamViewType::NewAndOldImages)).unwrap();
    (store, stream)
}

pub fn item(id: u64, text: &str) -> Image {
    Image::new(Attributes::from([
        ("id".to_owned(), AttributeValue::N(id.to_string())),
        ("text".to_owned(), AttributeValue::S(text.to_owned())),
    ]))
}

pub fn insert(id: u64) -> Change {
    Change::insert(item(id, "new"))
}

pub fn put(stream: &Stream, ids: std::ops::Range<u64>) {
    ids.for_each(|id| assert!(stream.put(insert(id)).is_ok()));
}

/// The stream in another store, as an embedder brings it there.
pub fn restore(archive: &Archive, into: &Store) -> Result<Stream, Error> {
    let mut restore = into.restore_stream(archive.state().clone())?;
    for shard in archive.shards() {
        restore.shard(shard.state().clone())?;
        for (position, record) in shard.records() {
            restore.record(position, record)?;
        }
    }
    restore.finish()
}

/// A store that goes on where this one is now, and its stream.
pub fn again(store: &Store, stream: &Stream, clock: &Arc<ManualClock>) -> (Store, Stream) {
    let next = builder(clock).restored_from(store.lineage()).build();
    let stream = restore(&stream.archive(), &next).unwrap();
    (next, stream)
}

/// Everything that a reader sees of a shard's records.
pub fn records(stream: &Stream, shard: &str) -> Vec<String> {
    let first = stream.snapshot(shard).unwrap().start();
    let page = stream.get_records(shard, first, ReadLimits::records(usize::MAX)).unwrap();
    page.iter()
        .map(|record| {
            format!(
                "{} {} {} {} {:?} {:?} {:?} {:?} {}",
                record.sequence_number(),
                record.event_id(),
                record.event_name(),
                record.created_ms(),
                record.keys(),
                record.new_image(),
                record.old_image(),
                record.user_identity(),
                record.size_bytes(),
            )
        })
        .collect()
}

pub fn shards(stream: &Stream) -> Vec<String> {
    stream.describe().shards.iter().map(|shard| shard.shard_id.to_string()).collect()
}
