//! Parents before children, turns, starting points, and the end.

use std::collections::HashMap;

use streamcore::stream::{Consumer, ConsumerStart, ShardId};

use crate::host::{
    Seen, Stop, from_horizon, item_of, numbers, open, pending, put, put_many, read, sorted, step,
    stream,
};

fn is_sendable<T: Send + 'static>() {}

#[test]
fn a_consumer_moves_between_threads() {
    is_sendable::<Consumer>();
}

/// A stream that was split and rolled between puts of the same items; the numbers by item.
fn grown() -> (streamcore::Stream, Vec<Vec<streamcore::model::SequenceNumber>>) {
    let stream = stream(2);
    let mut expected = vec![Vec::new(); 50];
    for round in 0..12 {
        for (id, numbers) in expected.iter_mut().enumerate() {
            numbers.push(put(&stream, id));
        }
        let open = open(&stream);
        let target = open[round % open.len()].as_str();
        if round % 3 == 0 { stream.split(target) } else { stream.roll(target) }.unwrap();
    }
    (stream, expected)
}

fn by_item(seen: &[Seen]) -> Vec<Vec<streamcore::model::SequenceNumber>> {
    let mut items = vec![Vec::new(); 50];
    for seen in seen {
        items[seen.id].push(seen.number);
    }
    items
}

fn assert_parents_first(stream: &streamcore::Stream, seen: &[Seen]) {
    let mut first = HashMap::new();
    let mut last = HashMap::new();
    for (at, seen) in seen.iter().enumerate() {
        first.entry(&seen.shard).or_insert(at);
        last.insert(&seen.shard, at);
    }
    let mut borders = 0;
    for shard in stream.describe().shards {
        let parent: Option<ShardId> = shard.parent_shard_id;
        let end_of_parent = parent.as_ref().and_then(|parent| last.get(parent));
        if let (Some(end), Some(begin)) = (end_of_parent, first.get(&shard.shard_id)) {
            assert!(end < begin, "{} begins before its parent ends", shard.shard_id);
            borders += 1;
        }
    }
    assert!(borders > 5, "{borders}");
}

#[test]
fn parents_come_before_children_and_items_in_order() {
    let (stream, expected) = grown();
    let seen = pending(&mut from_horizon(&stream));
    assert_eq!(by_item(&seen), expected);
    assert_parents_first(&stream, &seen);
}

#[test]
fn a_child_is_opened_when_its_parent_has_been_read() {
    let stream = stream(1);
    let parent = open(&stream);
    let before = put_many(&stream, 0..3);
    let mut consumer = from_horizon(&stream);
    let shards = |consumer: &Consumer| {
        let mut shards: Vec<_> = consumer.shards().cloned().collect();
        shards.sort();
        shards
    };
    assert_eq!(step(&mut consumer).unwrap().unwrap().number, before[0]);
    let children = stream.split(parent[0].as_str()).unwrap();
    let after = put_many(&stream, 0..20);
    for number in &before[1..] {
        assert_eq!(shards(&consumer), parent);
        assert_eq!(step(&mut consumer).unwrap().unwrap().number, *number);
    }
    assert_eq!(sorted(numbers(&pending(&mut consumer))), sorted(after));
    assert_eq!(shards(&consumer), children);
}

#[test]
fn a_long_shard_leaves_the_others_their_turns() {
    for quiet in [0, 1] {
        let stream = stream(2);
        let open = open(&stream);
        let items = [0, 1].map(|at: usize| item_of(&stream, &open[at]));
        let mut consumer = stream.consume(ConsumerStart::Latest).unwrap();
        put_many(&stream, std::iter::repeat_n(items[1 - quiet], 5_000));
        put_many(&stream, std::iter::repeat_n(items[quiet], 5));
        let seen = pending(&mut consumer);
        let last = seen.iter().rposition(|seen| seen.shard == open[quiet]).unwrap();
        assert!(last < 600, "the short shard ends after {last} records of {}", seen.len());
    }
}

#[test]
fn the_trim_horizon_and_the_latest_position() {
    let (stream, _) = grown();
    let all: usize = 12 * 50;
    let mut latest = stream.consume(ConsumerStart::Latest).unwrap();
    assert_eq!(pending(&mut from_horizon(&stream)).len(), all);
    assert_eq!(pending(&mut latest), []);
    let after = put_many(&stream, 0..50);
    assert_eq!(sorted(numbers(&pending(&mut latest))), sorted(after));
    assert_eq!(pending(&mut from_horizon(&stream)).len(), all + 50);
}

#[test]
fn the_latest_position_of_an_empty_stream_reads_its_first_record() {
    let stream = stream(1);
    let mut latest = stream.consume(ConsumerStart::Latest).unwrap();
    stream.roll(open(&stream)[0].as_str()).unwrap();
    let number = put(&stream, 1);
    assert_eq!(numbers(&pending(&mut latest)), [number]);
}

#[test]
fn a_disabled_stream_is_read_to_its_end() {
    let (stream, expected) = grown();
    let mut early = stream.consume(ConsumerStart::Latest).unwrap();
    let number = put(&stream, 0);
    stream.disable();
    assert_eq!(read(&mut early).1, Stop::Closed);
    let (seen, stop) = read(&mut from_horizon(&stream));
    assert_eq!((seen.len(), stop), (expected.len() * 12 + 1, Stop::Closed));
    assert!(numbers(&seen).contains(&number));
    let mut latest = stream.consume(ConsumerStart::Latest).unwrap();
    assert_eq!(read(&mut latest), (vec![], Stop::Closed));
    // Drained and stored: nothing comes again.
    let mut resumed = stream.consume(early.checkpoints()).unwrap();
    assert_eq!(read(&mut resumed), (vec![], Stop::Closed));
}
