//! The topology of a stream: puts against rolls, splits, disabling, and whoever describes it, also as
//! the first to come to it.
//! (`stream/founding.rs`, `stream/lineage.rs`, `stream/put.rs`, `stream/cursor.rs`)
//!
//! `MetadataCell` stands for arc-swap here, so these models prove the use of the swap, not the swap.

use std::collections::BTreeSet;
use std::sync::Mutex;

use streamcore_modelled::log::Position;
use streamcore_modelled::model::{
    AttributeValue, Change, Image, KeySchema, SequenceNumber, StreamStatus, StreamViewType,
};
use streamcore_modelled::stream::{
    ManualClock, NextRecord, ReadLimits, ShardId, ShardInfo, StreamDescription,
};
use streamcore_modelled::{Error, Store, Stream, StreamConfig};

use crate::harness::{Model, Probe};

/// A stream with one shard, a change to put, and what was acknowledged.
struct Scene {
    stream: Stream,
    first: ShardId,
    change: Change,
    put: Mutex<Vec<SequenceNumber>>,
}

impl Scene {
    fn new() -> Self {
        let stream = register();
        let first = stream.describe().shards[0].shard_id.clone();
        Self::of(stream, first)
    }

    /// A stream that nobody has come to yet.
    fn untouched() -> Self {
        // What its first shard will be called shows another one of its name, made at the same time.
        let first = register().describe().shards[0].shard_id.clone();
        Self::of(register(), first)
    }

    fn of(stream: Stream, first: ShardId) -> Self {
        let item = [("id".to_owned(), AttributeValue::N("1".to_owned()))];
        let change = Change::insert(Image::new(item.into()));
        Self { stream, first, change, put: Mutex::default() }
    }

    /// Puts a change of the one item, and notes its number.
    fn put(&self) -> Result<SequenceNumber, Error> {
        let number = self.stream.put(self.change.clone())?;
        self.put.lock().unwrap().push(number);
        Ok(number)
    }

    /// A description, with what must hold for each of them by itself.
    fn describe(&self) -> StreamDescription {
        let seen = self.stream.describe();
        for shard in &seen.shards {
            let is_child = |other: &&_| parent_of(other) == Some(&shard.shard_id);
            let children: Vec<_> = seen.shards.iter().filter(is_child).collect();
            if shard.ending_sequence_number.is_none() {
                assert!(children.is_empty(), "an open shard has children: {seen:?}");
                assert_ne!(seen.status, StreamStatus::Disabled, "a shard is open: {seen:?}");
            } else if seen.status == StreamStatus::Enabled {
                // Exactly one lineage: the children cover the parent's keys, each of them once.
                let mut next = Some(shard.hash_range.first);
                for child in &children {
                    assert_eq!(next, Some(child.hash_range.first), "{seen:?}");
                    next = child.hash_range.last.checked_add(1);
                }
                let last = children.last().map(|child| child.hash_range.last);
                assert_eq!(last, Some(shard.hash_range.last), "closed without a child: {seen:?}");
            }
            if let Some(parent) = parent_of(&shard) {
                let listed = seen.shards.iter().find(|other| other.shard_id == *parent);
                let end = listed.and_then(|parent| parent.ending_sequence_number);
                assert!(end.is_some_and(|end| end < shard.starting_sequence_number), "{seen:?}");
            }
        }
        seen
    }

    /// Every number that was acknowledged is in some shard, once, and nothing else is.
    fn finish(self, _: &Probe) {
        let seen = self.describe();
        let mut stored = Vec::new();
        for shard in &seen.shards {
            let id = shard.shard_id.as_str();
            let limits = ReadLimits::records(10);
            let page = self.stream.get_records(id, Position::ZERO, limits).unwrap();
            stored.extend(page.iter().map(|record| record.sequence_number()));
        }
        let mut put = self.put.into_inner().unwrap();
        put.sort();
        assert_eq!(stored, put, "what is stored is what was acknowledged");
    }
}

fn register() -> Stream {
    let store = Store::builder().clock(std::sync::Arc::new(ManualClock::at_ms(7))).build();
    let schema = KeySchema::new("id", None).unwrap();
    // Retention has models of its own.
    let config = StreamConfig::new("Orders", schema, StreamViewType::NewImage);
    store.register_stream(config.retain_for_ever().roll_never()).unwrap()
}

fn parent_of<'a>(shard: &&'a ShardInfo) -> Option<&'a ShardId> {
    shard.parent_shard_id.as_ref()
}

/// Two changes of one item, the second after the first returned.
fn write(scene: &Scene, probe: &Probe) {
    let before = scene.put().unwrap();
    let after = scene.put().unwrap();
    assert!(before < after, "{before} is read after {after}");
    probe.reach_if(before.ordinal() != after.ordinal(), "across the border");
    probe.reach_if(before.ordinal() != Some(0), "turned away");
}

fn observe(scene: &Scene, probe: &Probe) {
    let before = scene.describe();
    let after = scene.describe();
    assert!(before.shards.len() <= after.shards.len(), "a shard is gone");
    assert!(before.status <= after.status, "the status went back");
    probe.reach_if(before.shards.len() < after.shards.len(), "seen to grow");
}

#[test]
fn topology() {
    Model::new("topology", Scene::new)
        .bound(2)
        .reaches(&["turned away", "across the border"])
        .role("writer", write)
        .role("roller", |scene, _| {
            let children = scene.stream.roll(scene.first.as_str()).unwrap();
            assert_eq!(children.len(), 1);
            let seen = scene.describe();
            assert!(seen.shards.iter().any(|shard| shard.shard_id == children[0]), "not listed");
        })
        .after(Scene::finish)
        .check();
}

#[test]
fn topology_described() {
    Model::new("topology_described", Scene::new)
        .bound(2)
        .reaches(&["seen to grow"])
        .role("splitter", |scene, _| {
            assert_eq!(scene.stream.split(scene.first.as_str()).unwrap().len(), 2);
        })
        .role("observer", observe)
        .after(Scene::finish)
        .check();
}

#[test]
fn topology_two_closings() {
    let agree = |(scene, lineages): &(Scene, Mutex<BTreeSet<Vec<ShardId>>>), children| {
        scene.describe();
        let mut lineages = lineages.lock().unwrap();
        lineages.insert(children);
        assert_eq!(lineages.len(), 1, "two lineages: {lineages:?}");
    };
    Model::new("topology_two_closings", || (Scene::new(), Mutex::default()))
        .bound(1)
        .reaches(&["rolled", "split"])
        .role("roller", move |scene, probe| {
            let children = scene.0.stream.roll(scene.0.first.as_str()).unwrap();
            probe.reach(if children.len() == 1 { "rolled" } else { "split" });
            agree(scene, children);
        })
        .role("splitter", move |scene, _| {
            agree(scene, scene.0.stream.split(scene.0.first.as_str()).unwrap());
        })
        .after(|(scene, _), probe| {
            scene.put().unwrap();
            scene.finish(probe);
        })
        .check();
}

#[test]
fn topology_disabled() {
    Model::new("topology_disabled", Scene::new)
        .bound(1)
        .reaches(&["rolled", "too late to roll"])
        .role("disabler", |scene, _| {
            scene.stream.disable();
            assert_eq!(scene.describe().status, StreamStatus::Disabled);
        })
        .role("roller", |scene, probe| match scene.stream.roll(scene.first.as_str()) {
            Ok(_) => probe.reach("rolled"),
            Err(error) => {
                assert!(matches!(error, Error::StreamClosed { .. }), "{error}");
                probe.reach("too late to roll");
            }
        })
        .after(Scene::finish)
        .check();
}

#[test]
fn topology_refused() {
    Model::new("topology_refused", Scene::new)
        .bound(2)
        .reaches(&["put", "refused"])
        .role("writer", |scene, probe| match scene.put() {
            Ok(_) => {
                probe.reach("put");
                scene.describe();
            }
            Err(error) => {
                assert!(matches!(error, Error::StreamClosed { .. }), "{error}");
                probe.reach("refused");
                assert_ne!(scene.describe().status, StreamStatus::Enabled);
            }
        })
        .role("disabler", |scene, _| scene.stream.disable())
        .after(Scene::finish)
        .check();
}

#[test]
fn topology_read_to_the_end() {
    let with_a_record = || {
        let scene = Scene::new();
        scene.put().unwrap();
        scene
    };
    Model::new("topology_read_to_the_end", with_a_record)
        .bound(2)
        .reaches(&["closed", "open"])
        .role("roller", |scene, _| drop(scene.stream.roll(scene.first.as_str()).unwrap()))
        .role("reader", |scene, probe| {
            let mut cursor = scene.stream.cursor(scene.first.as_str(), Position::ZERO).unwrap();
            loop {
                match cursor.next().unwrap() {
                    NextRecord::Record(_) => {}
                    NextRecord::Pending => return probe.reach("open"),
                    NextRecord::Closed => break,
                }
            }
            probe.reach("closed");
            // Nobody hears that a shard ended whose children are not listed.
            let seen = scene.describe();
            let listed = seen.shards.iter().filter(|shard| parent_of(shard) == Some(&scene.first));
            let listed: Vec<_> = listed.map(|shard| shard.shard_id.clone()).collect();
            assert_eq!(listed.len(), 1, "{seen:?}");
            assert_eq!(listed, cursor.children());
        })
        .after(Scene::finish)
        .check();
}

#[test]
fn topology_founded() {
    let put = |scene: &Scene, _: &Probe| {
        let number = scene.put().unwrap();
        assert_eq!(number.ordinal(), Some(0), "another shard than the first");
    };
    Model::new("topology_founded", Scene::untouched)
        .bound(2)
        .reaches(&["in order", "noted later"])
        .role("writer", put)
        .role("writer", put)
        .after(|scene, probe| {
            let put = scene.put.lock().unwrap().clone();
            probe.reach(if put.is_sorted() { "in order" } else { "noted later" });
            assert_eq!(scene.describe().shards[0].shard_id, scene.first);
            scene.finish(probe);
        })
        .check();
}

#[test]
fn topology_founded_by_a_roll() {
    Model::new("topology_founded_by_a_roll", Scene::untouched)
        .bound(1)
        .reaches(&["rolled before", "rolled after"])
        .role("writer", |scene, probe| {
            let number = scene.put().unwrap();
            let is_first = number.ordinal() == Some(0);
            probe.reach(if is_first { "rolled after" } else { "rolled before" });
        })
        .role("roller", |scene, _| {
            assert_eq!(scene.stream.roll(scene.first.as_str()).unwrap().len(), 1);
            let seen = scene.describe();
            assert_eq!((seen.shards.len(), &seen.shards[0].shard_id), (2, &scene.first));
        })
        .after(Scene::finish)
        .check();
}
