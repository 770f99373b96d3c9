//! The count of a stream's bytes: puts that charge, and whoever gives up and credits.
//! (`stream/retention.rs`, `stream/ledger.rs`)

use std::num::NonZeroU64;

use streamcore_modelled::log::Position;
use streamcore_modelled::model::{AttributeValue, Change, Image, KeySchema, StreamViewType};
use streamcore_modelled::stream::ManualClock;
use streamcore_modelled::{Store, Stream, StreamConfig};

use crate::harness::{Model, Probe};

/// A stream that counts, and a change to put.
struct Scene {
    stream: Stream,
    shard: String,
    change: Change,
    /// What one record is charged.
    charge: u64,
}

impl Scene {
    /// A stream in a store, with bounds that take so many times what one record is charged.
    fn new(of_stream: u64, of_store: Option<u64>) -> Self {
        let item = [("id".to_owned(), AttributeValue::N("1".to_owned()))];
        let change = Change::insert(Image::new(item.into()));
        let with_bounds = |of_stream, of_store: Option<u64>| {
            let clock = std::sync::Arc::new(ManualClock::at_ms(7));
            let bound = |bytes| NonZeroU64::new(bytes).unwrap();
            let builder = Store::builder().clock(clock);
            let store = match of_store {
                Some(bytes) => builder.retain_bytes(bound(bytes)).build(),
                None => builder.build(),
            };
            let schema = KeySchema::new("id", None).unwrap();
            let config = StreamConfig::new("Orders", schema, StreamViewType::NewImage);
            let config = config.retain_bytes(bound(of_stream)).retain_for_ever().roll_never();
            store.register_stream(config).unwrap()
        };
        let probe = with_bounds(u64::MAX, None);
        probe.put(change.clone()).unwrap();
        let charge = probe.stats().bytes;
        let stream = with_bounds(of_stream * charge, of_store.map(|times| times * charge));
        let shard = stream.describe().shards[0].shard_id.to_string();
        Self { stream, shard, change, charge }
    }

    fn put(&self) {
        self.stream.put(self.change.clone()).unwrap();
    }

    /// What is charged is what is retained.
    fn finish(self, probe: &Probe) {
        let stats = self.stream.stats();
        let log = &stats.shards[0].1;
        assert_eq!(stats.bytes, (log.appended - log.trimmed) * self.charge, "{stats:?}");
        probe.reach_if(log.trimmed > 0, "given up");
    }
}

#[test]
fn ledger() {
    let full = || {
        let scene = Scene::new(2, None);
        (0..2).for_each(|_| scene.put());
        scene
    };
    Model::new("ledger", full)
        .bound(1)
        .reaches(&["given up"])
        .role("writer", |scene, _| scene.put())
        .role("writer", |scene, _| scene.put())
        .after(|scene, probe| {
            // The writers may not have seen each other's last records; the next put does.
            scene.put();
            assert!(scene.stream.stats().bytes <= 2 * scene.charge, "over the bound");
            scene.finish(probe);
        })
        .check();
}

#[test]
fn ledger_of_the_store() {
    Model::new("ledger_of_the_store", || Scene::new(9, Some(1)))
        .bound(1)
        .reaches(&["given up"])
        .role("writer", |scene, _| scene.put())
        .role("writer", |scene, _| scene.put())
        .after(Scene::finish)
        .check();
}

#[test]
fn ledger_trimmed() {
    Model::new("ledger_trimmed", || Scene::new(1, None))
        .bound(1)
        .reaches(&["given up"])
        .role("writer", |scene, _| (0..2).for_each(|_| scene.put()))
        .role("trimmer", |scene, _| {
            let to = Position::new(scene.stream.record_count(&scene.shard).unwrap());
            let trimmed = scene.stream.trim(&scene.shard, to).unwrap();
            assert!(trimmed.get() <= 2, "{trimmed} lies behind all records");
        })
        .after(Scene::finish)
        .check();
}
