//! What was there comes back as it was, and goes on elsewhere.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;
use streamcore::Store;
use streamcore::log::{Batch, Position};
use streamcore::model::{Change, SequenceNumber, StreamStatus, StreamViewType};
use streamcore::stream::{ArchivedShard, Fate, Generation, ReadLimits, ShardInfo};

use crate::host::{
    NOW_MS, again, builder, clock, config, insert, item, put, records, restore, shards, start,
};

#[derive(Debug, Clone)]
enum Step {
    Put(u64),
    Change(u64),
    Expire(u64),
    Batch(u64),
    Roll(usize),
    Split(usize),
    Trim(usize, u64),
    Wait(u64),
    Restore,
    Disable,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..300).prop_map(Step::Put),
        3 => (0u64..50).prop_map(Step::Change),
        2 => (0u64..50).prop_map(Step::Expire),
        3 => (0u64..40).prop_map(Step::Batch),
        2 => any::<usize>().prop_map(Step::Roll),
        2 => any::<usize>().prop_map(Step::Split),
        3 => (any::<usize>(), 0u64..300).prop_map(|(shard, to)| Step::Trim(shard, to)),
        2 => (0u64..30 * 60 * 60 * 1000).prop_map(Step::Wait),
        1 => Just(Step::Restore),
        1 => Just(Step::Disable),
    ]
}

fn view() -> impl Strategy<Value = StreamViewType> {
    prop_oneof![
        Just(StreamViewType::KeysOnly),
        Just(StreamViewType::NewImage),
        Just(StreamViewType::OldImage),
        Just(StreamViewType::NewAndOldImages),
    ]
}

/// What must be the same of a shard: all but its end, if it was open.
fn lasting(shard: &ShardInfo) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        shard.shard_id.clone(),
        shard.parent_shard_id.clone(),
        shard.starting_sequence_number,
        shard.hash_range,
        shard.created_ms,
    )
}

/// The archive's own words on a shard's records.
fn written(shard: &ArchivedShard) -> Vec<String> {
    shard.records().map(|record| format!("{record:?}")).collect()
}

fn check_restored(before: &streamcore::Stream, store: &Store, after: &streamcore::Stream) {
    let (old, new) = (before.describe(), after.describe());
    assert!(
        store
            .stream(before.info().arn().as_str())
            .is_ok_and(|found| found.info().arn() == after.info().arn())
    );
    let is_open = |shard: &&ShardInfo| shard.ending_sequence_number.is_none();
    let open: Vec<&ShardInfo> = old.shards.iter().filter(is_open).collect();
    let (kept, born) = new.shards.split_at(old.shards.len());
    assert_eq!(born.len(), open.len(), "one child for each open shard");
    for (old, new) in old.shards.iter().zip(kept) {
        assert_eq!(lasting(old), lasting(new));
        let id = old.shard_id.as_str();
        assert_eq!(records(before, id), records(after, id));
        let [was, is] = [before, after].map(|stream| stream.snapshot(id).unwrap());
        assert_eq!((was.end(), was.is_empty()), (is.end(), is.is_empty()));
        if let Some(ending) = old.ending_sequence_number {
            assert_eq!(new.ending_sequence_number, Some(ending));
        }
        assert!(new.ending_sequence_number.is_some());
    }
    let next = Generation::behind(before.archive().state().next_ordinal).unwrap();
    for child in born {
        let parent = open.iter().find(|one| Some(&one.shard_id) == child.parent_shard_id.as_ref());
        assert_eq!(parent.map(|parent| parent.hash_range), Some(child.hash_range));
        let ordinal = child.starting_sequence_number.ordinal().unwrap();
        assert!(ordinal >= next.first_ordinal(), "{ordinal}");
    }
    assert_eq!(new.status == StreamStatus::Disabled, born.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_stream_is_the_one_that_was_archived(
        view in view(),
        born in 1usize..4,
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let clock = clock();
        let mut store = builder(&clock).build();
        let mut stream = store.register_stream(config(view).shards(born)).unwrap();
        for step in steps {
            let shard = |at: usize| {
                let names = shards(&stream);
                names[at % names.len()].clone()
            };
            // A disabled stream refuses what it no longer takes.
            match step {
                Step::Put(id) => drop(stream.put(insert(id))),
                Step::Change(id) => {
                    drop(stream.put(Change::modify(item(id, "old"), item(id, "new"))));
                }
                Step::Expire(id) => drop(stream.put(Change::remove(item(id, "old")).by_ttl())),
                Step::Batch(count) => drop(stream.put_all((0..count).map(insert))),
                Step::Roll(at) => drop(stream.roll(&shard(at))),
                Step::Split(at) => drop(stream.split(&shard(at))),
                Step::Trim(at, to) => drop(stream.trim(&shard(at), Position::new(to))),
                Step::Wait(ms) => clock.advance_ms(ms),
                Step::Restore => (store, stream) = again(&store, &stream, &clock),
                Step::Disable => stream.disable(),
            }
            if store.stream(stream.info().arn().as_str()).is_err() {
                // Disabled more than a day ago: there is nothing left to restore.
                return Ok(());
            }
            stream.describe();
        }
        let (next, restored) = again(&store, &stream, &clock);
        check_restored(&stream, &next, &restored);
        let (one, two) = (stream.archive(), restored.archive());
        for (one, two) in one.shards().iter().zip(two.shards()) {
            prop_assert_eq!(written(one), written(two), "batches included");
        }
    }
}

#[test]
fn what_is_put_afterwards_goes_to_the_child_under_numbers_that_nobody_had() {
    let clock = clock();
    let (store, stream) = start(&clock);
    put(&stream, 0..100);
    stream.trim(&shards(&stream)[0], Position::new(30)).unwrap();
    let (_, restored) = again(&store, &stream, &clock);
    // The process before goes on for a while, and uses ordinals and positions.
    put(&stream, 100..110);
    let rolled = stream.roll(&shards(&stream)[0]).unwrap();
    let lost = stream.put(insert(110)).unwrap();
    let number = restored.put(insert(100)).unwrap();
    assert_eq!(number, SequenceNumber::new(Generation::ORDINALS, Position::ZERO));
    assert_eq!(lost.ordinal(), Some(1));
    assert!(!shards(&restored).contains(&rolled[0].to_string()));
    let parent = &shards(&restored)[0];
    assert_eq!(restored.record_count(parent).unwrap(), 100);
    assert_eq!(restored.snapshot(parent).unwrap().len(), 70);
    let all = restored.get_records(parent, Position::ZERO, ReadLimits::records(1)).unwrap_err();
    assert_eq!(all, streamcore::Error::Trimmed { earliest: Position::new(30) });
}

#[test]
fn each_restore_is_a_generation_of_its_own() {
    let clock = clock();
    let (mut store, mut stream) = start(&clock);
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..5 {
        for id in 0..10 {
            assert!(seen.insert(stream.put(insert(id)).unwrap()), "in round {round}");
        }
        (store, stream) = again(&store, &stream, &clock);
    }
    let ordinals: Vec<Option<u32>> = seen
        .iter()
        .map(|number| number.ordinal())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(ordinals, (0..5).map(|n| Some(n * Generation::ORDINALS)).collect::<Vec<_>>());
    assert_eq!(stream.archive().state().lives.len(), 5);
    assert!(store.now_ms() == NOW_MS);
}

#[test]
fn a_batch_stays_whole_when_it_is_trimmed_after_a_restore() {
    let clock = clock();
    let (store, stream) = start(&clock);
    put(&stream, 0..10);
    stream.put_all((0..100).map(insert)).unwrap();
    let (_, restored) = again(&store, &stream, &clock);
    let shard = &shards(&restored)[0];
    assert_eq!(restored.trim(shard, Position::new(50)), Ok(Position::new(10)));
    let archive = restored.archive();
    let batches = archive.shards()[0].records().filter(|(_, record)| record.batch == Batch::Ends);
    assert_eq!(batches.count(), 1);
}

#[test]
fn images_that_were_shared_are_shared() {
    let clock = clock();
    let (_, stream) = start(&clock);
    let (one, two) = (item(1, "one"), item(1, "two"));
    stream.put(Change::insert(one.clone())).unwrap();
    stream.put(Change::modify(one.clone(), two.clone())).unwrap();
    let archive = stream.archive();
    let records: Vec<_> = archive.shards()[0].records().collect();
    let same = |a: &Option<streamcore::model::Image>, b: &Option<streamcore::model::Image>| {
        let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
        assert_eq!(a.ptr_eq(b), a.address() == b.address());
        a.ptr_eq(b)
    };
    assert!(same(&records[0].1.new, &records[1].1.old));
    assert!(!same(&records[0].1.new, &records[1].1.new));
}

#[test]
fn an_archive_keeps_its_records_and_holds_up_nobody() {
    let clock = clock();
    let (_, stream) = start(&clock);
    put(&stream, 0..5_000);
    let archive = stream.archive();
    let shard = &shards(&stream)[0];
    assert_eq!(stream.trim(shard, Position::new(4_000)), Ok(Position::new(4_000)));
    put(&stream, 5_000..6_000);
    assert_eq!(archive.shards()[0].records().count(), 5_000);
    assert_eq!(archive.shards()[0].len(), 5_000);
    let restored = restore(&archive, &builder(&clock).build()).unwrap();
    assert_eq!(restored.snapshot(shard).unwrap().len(), 5_000);
}

#[test]
fn an_archive_has_all_that_was_put_before_it_while_puts_and_rolls_go_on() {
    let clock = clock();
    let store = builder(&clock).build();
    let stream = store.register_stream(config(StreamViewType::NewImage).shards(3)).unwrap();
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // Not without end: what is archived and restored grows with it.
            for id in 0..10_000 {
                stream.put(insert(id)).unwrap();
                done.store(id + 1, Ordering::Release);
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if id % 500 == 0 {
                    let open = stream.describe().shards.pop().unwrap();
                    stream.roll(open.shard_id.as_str()).unwrap();
                }
            }
        });
        for _ in 0..30 {
            let before = done.load(Ordering::Acquire);
            let archive = stream.archive();
            let mut ids: Vec<u64> = Vec::new();
            for shard in archive.shards() {
                for (_, record) in shard.records() {
                    let keys = record.new.unwrap();
                    let streamcore::model::AttributeValue::N(id) = &keys.attributes()["id"] else {
                        panic!("a number")
                    };
                    ids.push(id.parse().unwrap());
                }
            }
            ids.sort_unstable();
            // One thread puts, so a later record is there only with all before it of its shard.
            assert!(ids[..before as usize].iter().copied().eq(0..before));
            let restored = restore(&archive, &builder(&clock).build()).unwrap();
            assert_eq!(restored.describe().status, StreamStatus::Enabled);
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
}

#[test]
fn an_archive_waits_for_what_hides_a_record_that_was_put_before_it() {
    let (_, stream) = start(&clock());
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let shard = shards(&stream).remove(0);
    std::thread::scope(|scope| {
        // Batches take a while to be published, and hide meanwhile what comes behind them.
        scope.spawn(|| {
            let image = item(0, "many");
            for _ in 0..300 {
                stream.put_all((0..4_000).map(|_| Change::insert(image.clone()))).unwrap();
                let end = stream.snapshot(&shard).unwrap().end();
                stream.trim(&shard, end.minus(5_000)).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let number = stream.put(insert(1)).unwrap();
                done.store(number.position().unwrap().get() + 1, Ordering::Release);
            }
        });
        while !stop.load(Ordering::Relaxed) {
            let before = done.load(Ordering::Acquire);
            let archive = stream.archive();
            let end = archive.shards()[0].state().end;
            assert!(end >= Position::new(before), "{before} were put, {end} are there");
        }
    });
}

#[test]
fn a_disabled_stream_stays_disabled_and_goes_when_it_would_have() {
    let clock = clock();
    let (store, stream) = start(&clock);
    put(&stream, 0..3);
    stream.disable();
    clock.advance_ms(60 * 60 * 1000);
    let (next, restored) = again(&store, &stream, &clock);
    assert_eq!(restored.status(), StreamStatus::Disabled);
    assert!(restored.put(insert(1)).is_err());
    assert_eq!(shards(&restored), shards(&stream));
    assert!(matches!(
        restored.archive().shards()[0].state().fate,
        Fate::Closed { closed_ms: NOW_MS }
    ));
    let arn = restored.info().arn().as_str();
    clock.advance_ms(23 * 60 * 60 * 1000);
    assert!(next.stream(arn).is_ok());
    clock.advance_ms(1);
    assert!(next.stream(arn).is_err());
}

#[test]
fn nobody_sees_a_stream_before_it_is_whole() {
    let clock = clock();
    let (_, stream) = start(&clock);
    put(&stream, 0..3);
    let archive = stream.archive();
    let store = builder(&clock).build();
    let arn = stream.info().arn().as_str();
    let mut restore = store.restore_stream(archive.state().clone()).unwrap();
    restore.shard(archive.shards()[0].state().clone()).unwrap();
    for (position, record) in archive.shards()[0].records() {
        restore.record(position, record).unwrap();
        assert!(store.stream(arn).is_err());
        assert!(store.list_streams(None, None, 1).unwrap().streams.is_empty());
    }
    restore.finish().unwrap();
    assert_eq!(store.list_streams(None, None, 1).unwrap().streams.len(), 1);
    assert!(store.stream(arn).is_ok());
}
