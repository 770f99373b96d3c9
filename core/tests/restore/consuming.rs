//! Consumers go on over a restore from their checkpoints.

use streamcore::model::SequenceNumber;
use streamcore::stream::{Checkpoints, Consumer, ConsumerStart, LostPlace, NextChange};
use streamcore::{Error, Stream};

use crate::host::{again, clock, put, shards, start};

fn read(consumer: &mut Consumer, most: usize) -> Vec<SequenceNumber> {
    let mut seen = Vec::new();
    while seen.len() < most
        && let NextChange::Record { record, .. } = consumer.next().unwrap()
    {
        seen.push(record.sequence_number());
    }
    seen
}

fn all(stream: &Stream) -> Vec<SequenceNumber> {
    read(&mut stream.consume(ConsumerStart::TrimHorizon).unwrap(), usize::MAX)
}

#[test]
fn a_checkpoint_in_a_shard_that_was_open_goes_on_into_its_child() {
    let clock = clock();
    let (store, stream) = start(&clock);
    put(&stream, 0..10);
    stream.split(&shards(&stream)[0]).unwrap();
    put(&stream, 10..50);
    let mut consumer = stream.consume(ConsumerStart::TrimHorizon).unwrap();
    let mut seen = read(&mut consumer, 25);
    let text = consumer.checkpoints().to_string();
    let (_, restored) = again(&store, &stream, &clock);
    put(&restored, 50..70);
    let mut consumer = restored.consume(text.parse::<Checkpoints>().unwrap()).unwrap();
    seen.extend(read(&mut consumer, usize::MAX));
    let mut expected = all(&restored);
    assert_eq!(expected.len(), 70);
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected, "each once");
    // At the very end of what the snapshot holds.
    let latest = stream.consume(ConsumerStart::Latest).unwrap().checkpoints();
    let mut consumer = restored.consume(latest).unwrap();
    assert_eq!(read(&mut consumer, usize::MAX).len(), 20);
}

#[test]
fn a_checkpoint_of_what_came_after_the_snapshot_is_refused_by_name() {
    let clock = clock();
    let (store, stream) = start(&clock);
    put(&stream, 0..10);
    let (_, restored) = again(&store, &stream, &clock);
    put(&stream, 10..15);
    let place = |checkpoints: Checkpoints| match restored.consume(checkpoints).unwrap_err() {
        Error::NotInSnapshot { place, .. } => place,
        other => panic!("{other}"),
    };
    let behind = stream.consume(ConsumerStart::Latest).unwrap().checkpoints();
    assert!(matches!(place(behind), LostPlace::Position { ordinal: 0, .. }));
    stream.roll(&shards(&stream)[0]).unwrap();
    put(&stream, 15..17);
    let elsewhere = stream.consume(ConsumerStart::Latest).unwrap().checkpoints();
    assert_eq!(place(elsewhere), LostPlace::Shard { ordinal: 1 });
}

#[test]
fn shards_that_were_forgotten_before_their_parents_are_found_through() {
    let clock = clock();
    let (store, stream) = start(&clock);
    put(&stream, 0..10);
    let held = stream.archive();
    stream.roll(&shards(&stream)[0]).unwrap();
    stream.roll(&shards(&stream)[1]).unwrap();
    // A day and more later the empty shard in the middle is forgotten with the first.
    let consumer = stream.consume(ConsumerStart::TrimHorizon).unwrap();
    clock.advance_ms(25 * 60 * 60 * 1000);
    stream.describe();
    put(&stream, 10..13);
    assert_eq!(held.shards().len(), 1);
    let (_, restored) = again(&store, &stream, &clock);
    put(&restored, 13..15);
    assert_eq!(all(&restored).len(), 5);
    drop(consumer);
}

#[test]
fn an_empty_shard_that_was_forgotten_leads_on() {
    use crate::host::{builder, config};
    use streamcore::model::StreamViewType;
    let clock = clock();
    let store = builder(&clock).build();
    let config = config(StreamViewType::NewImage).retain_for_ever().roll_never();
    let stream = store.register_stream(config).unwrap();
    put(&stream, 0..10);
    let child = stream.roll(&shards(&stream)[0]).unwrap().remove(0);
    stream.roll(child.as_str()).unwrap();
    put(&stream, 10..13);
    clock.advance_ms(25 * 60 * 60 * 1000);
    store.maintain();
    assert!(!shards(&stream).contains(&child.to_string()), "forgotten, before its parent");
    assert_eq!(shards(&stream).len(), 2);
    let (next, restored) = again(&store, &stream, &clock);
    put(&restored, 13..15);
    assert_eq!(all(&restored).len(), 15);
    assert!(!shards(&restored).contains(&child.to_string()));
    let (_, twice) = again(&next, &restored, &clock);
    assert_eq!(all(&twice).len(), 15);
}
