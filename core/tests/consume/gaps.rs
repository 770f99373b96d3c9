//! What is trimmed before it was read is said, and never skipped silently.

use streamcore::log::{Position, WaitOutcome};
use streamcore::model::SequenceNumber;
use streamcore::stream::{Consumer, ConsumerStart, Gap};
use streamcore::{Error, Store, StreamConfig};

use crate::host::{
    Seen, Stop, from_horizon, item_of, numbers, open, pending, put_many, read, step, stream,
};

const FIRST: Position = Position::ZERO;

/// Records up to a gap.
fn up_to_gap(consumer: &mut Consumer) -> (Vec<Seen>, Gap) {
    let mut seen = Vec::new();
    loop {
        match step(consumer) {
            Ok(Ok(record)) => seen.push(record),
            Ok(Err(stop)) => panic!("{stop:?} without a gap"),
            Err(gap) => return (seen, gap),
        }
    }
}

#[test]
fn a_gap_is_repeated_until_it_is_skipped() {
    let stream = stream(1);
    let shard = open(&stream).remove(0);
    let numbers_put = put_many(&stream, 0..5_000);
    let mut consumer = from_horizon(&stream);
    assert_eq!(step(&mut consumer).unwrap().unwrap().number, numbers_put[0]);
    let early = consumer.checkpoints();
    stream.trim(shard.as_str(), Position::new(4_000)).unwrap();

    // The segment that it is in stays readable; then there is a gap.
    let (seen, gap) = up_to_gap(&mut consumer);
    assert!(seen.len() < 1_000);
    assert_eq!(gap.shard, shard);
    assert_eq!(gap.from, Position::new(1 + seen.len() as u64));
    assert_eq!(gap.earliest, Some(Position::new(4_000)));
    assert_eq!(up_to_gap(&mut consumer), (vec![], gap.clone()));
    assert_eq!(consumer.wait(None), WaitOutcome::Readable, "a gap is news");
    assert_eq!(consumer.checkpoints().iter().next().unwrap().1, numbers_put[1 + seen.len()]);
    assert_eq!(Error::from(gap.clone()), Error::Trimmed { earliest: Position::new(4_000) });

    let mut resumed = stream.consume(early).unwrap();
    let (none, at_once) = up_to_gap(&mut resumed);
    assert_eq!(
        (none.len(), at_once.from),
        (0, Position::new(1)),
        "checkpoints lose nothing silently"
    );

    consumer.skip(&gap);
    assert_eq!(step(&mut consumer).unwrap().unwrap().number, numbers_put[4_000]);
    consumer.skip(&gap);
    assert_eq!(numbers(&pending(&mut consumer)), numbers_put[4_001..], "a stale skip does nothing");
}

#[test]
fn the_trim_horizon_of_a_trimmed_lineage_has_no_gap() {
    let stream = stream(1);
    let parent = open(&stream).remove(0);
    put_many(&stream, 0..10);
    let mut early = from_horizon(&stream);
    let child = stream.roll(parent.as_str()).unwrap().remove(0);
    let behind = put_many(&stream, 0..10);
    stream.trim(child.as_str(), Position::new(4)).unwrap();
    stream.trim(parent.as_str(), Position::new(9)).unwrap();

    let mut late = from_horizon(&stream);
    let stored = late.checkpoints();
    for consumer in [&mut late, &mut stream.consume(stored).unwrap()] {
        let seen = numbers(&pending(consumer));
        assert_eq!((seen.len(), &seen[1..]), (7, &behind[4..]));
    }
    let (seen, gap) = up_to_gap(&mut early);
    assert_eq!((seen.len(), &gap.shard, gap.from), (0, &parent, FIRST));
    early.skip(&gap);
    let (seen, gap) = up_to_gap(&mut early);
    assert_eq!((seen.len(), &gap.shard, gap.from), (1, &child, FIRST));
    assert_eq!(gap.earliest, Some(Position::new(4)));
    early.skip(&gap);
    assert_eq!(numbers(&pending(&mut early)), behind[4..]);
}

#[test]
fn other_shards_go_on_beside_a_gap() {
    let stream = stream(2);
    let open = open(&stream);
    let (left, right) = (item_of(&stream, &open[0]), item_of(&stream, &open[1]));
    let mut consumer = stream.consume(ConsumerStart::Latest).unwrap();
    put_many(&stream, [left, left, right, right]);
    stream.trim(open[0].as_str(), Position::new(u64::MAX)).unwrap();
    let (mut seen, mut gaps) = (Vec::new(), 0);
    for _ in 0..10 {
        match step(&mut consumer) {
            Ok(Ok(record)) => seen.push(record.shard),
            Ok(Err(stop)) => panic!("{stop:?} at a gap"),
            Err(gap) => {
                assert_eq!(gap.shard, open[0]);
                gaps += 1;
            }
        }
    }
    assert_eq!((&*seen, gaps), (&[open[1].clone(), open[1].clone()][..], 8));
}

#[test]
fn a_removed_stream_says_what_is_lost_and_ends() {
    let store = Store::new();
    let schema = streamcore::model::KeySchema::new("id", None).unwrap();
    let view = streamcore::model::StreamViewType::NewImage;
    let stream = store.register_stream(StreamConfig::new("Orders", schema, view)).unwrap();
    put_many(&stream, 0..10);
    let mut consumer = from_horizon(&stream);
    store.remove_stream(stream.info().arn().as_str()).unwrap();
    let (seen, gap) = up_to_gap(&mut consumer);
    assert_eq!((seen.len(), gap.from, gap.earliest), (0, FIRST, Some(Position::new(10))));
    consumer.skip(&gap);
    assert_eq!(read(&mut consumer), (vec![], Stop::Closed));
}

#[test]
fn a_gap_names_the_shard_and_where_it_goes_on() {
    let stream = stream(1);
    put_many(&stream, 0..3);
    let mut consumer = from_horizon(&stream);
    stream.trim(open(&stream)[0].as_str(), Position::new(2)).unwrap();
    let text = up_to_gap(&mut consumer).1.to_string();
    let shard = &open(&stream)[0];
    let expected =
        format!("position 0 of the shard `{shard}` is trimmed; the earliest that can be read is 2");
    assert_eq!(text, expected);
    assert!(consumer.checkpoints().iter().eq([(shard.as_str(), SequenceNumber::new(0, FIRST))]));
}
