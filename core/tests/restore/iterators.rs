//! Shard iterators over a restore: what the snapshot holds goes on, what came after it is refused by name.

use streamcore::log::Position;
use streamcore::model::{KeySchema, StreamViewType};
use streamcore::stream::{
    ConsumerStart, Continuation, Generation, Incarnation, IteratorStart, Lineage, LostPlace,
    ReadLimits,
};
use streamcore::{Error, Store, Stream, StreamConfig};

use crate::host::{NOW_MS, again, builder, clock, config, insert, put, restore, shards, start};

const ALL: ReadLimits = ReadLimits { records: usize::MAX, bytes: u64::MAX };

fn lost_place(error: Error) -> LostPlace {
    match error {
        Error::NotInSnapshot { place, .. } => place,
        other => panic!("{other}"),
    }
}

#[test]
fn iterators_go_on_as_far_as_the_snapshot_reaches() {
    let clock = clock();
    let (store, stream) = start(&clock);
    put(&stream, 0..10);
    let shard = shards(&stream).remove(0);
    let horizon = stream.iterator(&shard, IteratorStart::TrimHorizon).unwrap();
    let middle = stream.get_records(&shard, Position::ZERO, ReadLimits::records(4)).unwrap();
    let middle = middle.next_iterator().unwrap();
    let latest = stream.iterator(&shard, IteratorStart::Latest).unwrap();
    let (next, restored) = again(&store, &stream, &clock);
    for (token, count) in [(&horizon, 10), (&middle, 6), (&latest, 0)] {
        let page = next.read_iterator(token, ALL).unwrap();
        assert_eq!((page.len(), page.continuation()), (count, Continuation::End));
    }
    // The store before goes on, and gives more of them.
    put(&stream, 10..12);
    let behind = stream.iterator(&shard, IteratorStart::Latest).unwrap();
    let end = Position::new(10);
    let place = LostPlace::Position { ordinal: 0, position: Position::new(12), end };
    assert_eq!(lost_place(next.read_iterator(&behind, ALL).unwrap_err()), place);
    let child = stream.roll(&shard).unwrap().remove(0);
    let elsewhere = stream.iterator(child.as_str(), IteratorStart::TrimHorizon).unwrap();
    let refused = next.read_iterator(&elsewhere, ALL).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "the snapshot that this store was restored from does not hold what came after it: the shard of \
             ordinal 1, of the stream `{}`",
            stream.info().arn().as_str()
        )
    );
    assert_eq!(lost_place(refused), LostPlace::Shard { ordinal: 1 });
    // What it makes itself, it takes.
    let own = restored.iterator(&shard, IteratorStart::TrimHorizon).unwrap();
    assert_eq!(next.read_iterator(&own, ALL).unwrap().len(), 10);
}

#[test]
fn iterators_of_every_store_before_are_told_by_what_it_knew() {
    let clock = clock();
    let (first, stream) = start(&clock);
    put(&stream, 0..10);
    let shard = shards(&stream).remove(0);
    let of_first = stream.iterator(&shard, IteratorStart::Latest).unwrap();
    let (second, restored) = again(&first, &stream, &clock);
    put(&restored, 10..15);
    let child = shards(&restored).remove(1);
    let of_second = restored.iterator(&child, IteratorStart::Latest).unwrap();
    let (third, again_restored) = again(&second, &restored, &clock);
    put(&restored, 15..16);
    let too_late = restored.iterator(&child, IteratorStart::Latest).unwrap();
    for token in [&of_first, &of_second] {
        assert_eq!(third.read_iterator(token, ALL).unwrap().continuation(), Continuation::End);
    }
    let place = LostPlace::Position {
        ordinal: Generation::ORDINALS,
        position: Position::new(6),
        end: Position::new(5),
    };
    assert_eq!(lost_place(third.read_iterator(&too_late, ALL).unwrap_err()), place);
    assert_eq!(shards(&again_restored).len(), 3);
    // A quarter of an hour later they are as old as any other.
    clock.advance_ms(15 * 60 * 1000 + 1);
    assert!(matches!(third.read_iterator(&of_first, ALL), Err(Error::ExpiredIterator { .. })));
    let (fourth, _) = again(&third, &again_restored, &clock);
    let refused = fourth.read_iterator(&of_first, ALL).unwrap_err();
    assert!(matches!(refused, Error::InvalidIterator { .. } | Error::ExpiredIterator { .. }));
}

#[test]
fn a_stream_that_was_made_anew_under_the_same_name_is_another_one() {
    let clock = clock();
    let (store, stream) = start(&clock);
    let lineage = store.lineage();
    // After the snapshot, which has no stream: one is made before the end, and one after the restore.
    put(&stream, 0..10);
    let shard = shards(&stream).remove(0);
    let token = stream.iterator(&shard, IteratorStart::TrimHorizon).unwrap();
    let next = builder(&clock).restored_from(lineage).build();
    let namesake = next.register_stream(config(StreamViewType::NewAndOldImages)).unwrap();
    put(&namesake, 0..3);
    assert_ne!(shards(&namesake), [shard], "no number of the other is used again");
    assert_eq!(lost_place(next.read_iterator(&token, ALL).unwrap_err()), LostPlace::Stream);
    // And one that is nowhere.
    next.remove_stream(namesake.info().arn().as_str()).unwrap();
    assert!(matches!(next.read_iterator(&token, ALL), Err(Error::StreamNotFound { .. })));
}

#[test]
fn a_stranger_is_refused_as_before() {
    let clock = clock();
    let (store, stream) = start(&clock);
    put(&stream, 0..3);
    let shard = shards(&stream).remove(0);
    let token = stream.iterator(&shard, IteratorStart::TrimHorizon).unwrap();
    let lineage = store.lineage();
    let own = lineage.incarnations().last().unwrap().number;
    for stranger in [
        Lineage::new([1; 16], 1, lineage.incarnations().iter().copied()),
        Lineage::new(lineage.iterator_key(), 1, [Incarnation { number: own ^ 1, last_ms: 0 }]),
    ] {
        let next = builder(&clock).restored_from(stranger).build();
        restore(&stream.archive(), &next).unwrap();
        assert!(matches!(next.read_iterator(&token, ALL), Err(Error::InvalidIterator { .. })));
    }
}

#[test]
fn a_store_may_take_its_own_stream_back() {
    let clock = clock();
    let (store, stream) = start(&clock);
    put(&stream, 0..10);
    let archive = stream.archive();
    put(&stream, 10..20);
    let shard = shards(&stream).remove(0);
    let lost_token = stream.iterator(&shard, IteratorStart::Latest).unwrap();
    store.remove_stream(stream.info().arn().as_str()).unwrap();
    let restored = restore(&archive, &store).unwrap();
    assert!(matches!(
        lost_place(store.read_iterator(&lost_token, ALL).unwrap_err()),
        LostPlace::Position { .. }
    ));
    restored.put(insert(10)).unwrap();
    let child = shards(&restored).remove(1);
    let token = restored.iterator(&child, IteratorStart::TrimHorizon).unwrap();
    assert_eq!(store.read_iterator(&token, ALL).unwrap().len(), 1);
}

#[test]
fn a_stream_made_again_at_the_same_moment_has_other_numbers() {
    let clock = clock();
    let (store, old) = start(&clock);
    let (lineage, archive) = (store.lineage(), old.archive());
    let late = |store: &Store| {
        let schema = KeySchema::new("id", None).unwrap();
        let config = StreamConfig::new("Late", schema, StreamViewType::NewAndOldImages);
        let stream = store.register_stream(config.created_ms(NOW_MS)).unwrap();
        put(&stream, 0..5);
        stream
    };
    // Made after the snapshot, and lost; made again by a clock that stands where it stood.
    let lost = late(&store);
    let next = builder(&clock).restored_from(lineage).build();
    restore(&archive, &next).unwrap();
    let made = late(&next);
    assert_eq!(lost.info().arn(), made.info().arn());
    let (lost_shard, shard) = (shards(&lost).remove(0), shards(&made).remove(0));
    assert_ne!(lost_shard, shard);
    let numbers = |stream: &Stream, shard: &str| {
        let page = stream.get_records(shard, Position::ZERO, ReadLimits::records(9)).unwrap();
        let all: Vec<_> =
            page.iter().map(|one| (one.sequence_number(), one.event_id().to_string())).collect();
        all
    };
    let (before, after) = (numbers(&lost, &lost_shard), numbers(&made, &shard));
    assert_eq!((before.len(), after.len()), (5, 5));
    assert!(before.iter().all(|(number, id)| after.iter().all(|(n, i)| n != number && i != id)));
    // A consumer of the lost one is told, not led astray.
    let mut consumer = lost.consume(ConsumerStart::TrimHorizon).unwrap();
    consumer.next().unwrap();
    let refused = made.consume(ConsumerStart::After(consumer.checkpoints())).map(drop);
    assert_eq!(lost_place(refused.unwrap_err()), LostPlace::Stream);
}
