//! Checkpoints: small, storable, and exact.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use streamcore::Error;
use streamcore::log::Position;
use streamcore::model::SequenceNumber;
use streamcore::stream::{Checkpoints, ConsumerStart, NextChange};

use crate::host::{
    from_horizon, id_of, item, named, numbers, open, pending, put, put_many, step, stream,
};

#[test]
fn no_checkpoints_are_the_trim_horizon() {
    let stream = stream(3);
    put_many(&stream, 0..20);
    let none: Checkpoints = "".parse().unwrap();
    assert_eq!((&none, none.is_empty()), (&Checkpoints::default(), true));
    assert_eq!(pending(&mut stream.consume(none).unwrap()).len(), 20);
}

#[test]
fn they_have_one_entry_for_each_shard_that_is_read() {
    let stream = stream(1);
    let mut consumer = from_horizon(&stream);
    for round in 1..=100 {
        put(&stream, round);
        stream.roll(open(&stream)[0].as_str()).unwrap();
        assert_eq!(pending(&mut consumer).len(), 1);
        assert_eq!(consumer.checkpoints().len(), 1);
    }
    let last = open(&stream).remove(0);
    let entry = format!("{last}={}", SequenceNumber::new(100, Position::ZERO));
    assert_eq!(consumer.checkpoints().to_string(), entry);
    let children = stream.split(last.as_str()).unwrap();
    let before = consumer.checkpoints();
    assert_eq!(before.to_string(), entry, "the shard has an end that was not reached yet");
    assert_eq!(pending(&mut consumer), []);
    let shards: Vec<String> =
        consumer.checkpoints().iter().map(|(shard, _)| shard.to_owned()).collect();
    assert!(children.iter().map(|child| child.as_str()).eq(&shards));
}

#[test]
fn a_consumer_that_read_one_branch_only_resumes_there() {
    // A is split in B and C; B is read and rolled, C was not looked at.
    let stream = stream(1);
    let a = open(&stream).remove(0);
    put_many(&stream, 0..4);
    let [b, c] = <[_; 2]>::try_from(stream.split(a.as_str()).unwrap()).unwrap();
    let mut numbers_put = put_many(&stream, 0..40);
    let d = stream.roll(b.as_str()).unwrap().remove(0);
    numbers_put.extend(put_many(&stream, 0..40));
    let parts = [
        (c.as_str(), SequenceNumber::starting(2)),
        (d.as_str(), SequenceNumber::new(3, Position::ZERO)),
    ];
    let mut consumer = stream.consume(Checkpoints::new(parts).unwrap()).unwrap();
    let mut expected = numbers_put;
    expected.retain(|number| number.ordinal() != Some(1));
    assert_eq!(
        crate::host::sorted(numbers(&pending(&mut consumer))),
        crate::host::sorted(expected)
    );
}

#[test]
fn an_entry_behind_an_unread_shard_waits_for_it() {
    let stream = stream(1);
    let a = open(&stream).remove(0);
    let parent = put_many(&stream, 0..3);
    let b = stream.roll(a.as_str()).unwrap().remove(0);
    let child = put_many(&stream, 0..3);
    let parts = [(b.as_str(), child[1]), (a.as_str(), parent[2])];
    let checkpoints = Checkpoints::new(parts).unwrap();
    let mut consumer = stream.consume(checkpoints.clone()).unwrap();
    assert_eq!(consumer.checkpoints(), checkpoints);
    assert_eq!(numbers(&pending(&mut consumer)), [parent[2], child[1], child[2]]);
    assert_eq!(consumer.checkpoints().len(), 1);
}

#[test]
fn what_is_not_of_the_stream_is_refused() {
    let (ours, theirs) = (stream(1), named("Invoices", 1));
    put(&ours, 1);
    let shard = open(&theirs).remove(0);
    let foreign = from_horizon(&theirs).checkpoints();
    let unknown = |shard: &str| Error::ShardNotFound {
        arn: ours.info().arn().as_str().into(),
        shard: shard.into(),
    };
    assert_eq!(ours.consume(foreign).unwrap_err(), unknown(shard.as_str()));

    let shard = open(&ours).remove(0);
    let at = |ordinal, position| {
        let next = SequenceNumber::new(ordinal, Position::new(position));
        ours.consume(Checkpoints::new([(shard.as_str(), next)]).unwrap()).map(|_| next)
    };
    assert_eq!(at(1, 0), Err(unknown(shard.as_str())), "a shard that was never made");
    assert!(at(0, 1).is_ok(), "the end of the shard is a place in it");
    let starting = SequenceNumber::starting(0);
    for behind in [2, u64::MAX - 1] {
        let given = SequenceNumber::new(0, Position::new(behind));
        assert_eq!(at(0, behind), Err(Error::SequenceNumberOutOfShard { given, starting }));
    }
    let beyond: Checkpoints = format!("{shard}=199999999999999999999").parse().unwrap();
    assert!(matches!(ours.consume(beyond), Err(Error::SequenceNumberOutOfShard { .. })));
}

#[test]
fn consumers_that_resume_from_text_anywhere_read_each_record_once() {
    const ITEMS: usize = 40;
    const ROUNDS: usize = if cfg!(debug_assertions) { 500 } else { 2_500 };
    let stream = stream(2);
    let is_over = AtomicBool::new(false);
    let (expected, seen, resumed) = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut writer = stream.writer();
            let images: Vec<_> = (0..ITEMS).map(item).collect();
            let mut expected = vec![Vec::new(); ITEMS];
            for round in 0..ROUNDS {
                for (image, numbers) in images.iter().zip(&mut expected) {
                    let change = streamcore::model::Change::insert(image.clone());
                    numbers.push(writer.put(change).unwrap());
                }
                if round % 10 == 0 {
                    let open = open(&stream);
                    let target = open[round / 10 % open.len()].as_str();
                    let split = round % 100 == 0;
                    if split { stream.split(target) } else { stream.roll(target) }.unwrap();
                }
            }
            stream.disable();
            is_over.store(true, Ordering::Release);
            expected
        });
        let mut seen = vec![Vec::new(); ITEMS];
        let mut random = 1_u64;
        let mut resumed = 0;
        let mut text = String::new();
        'resuming: loop {
            let checkpoints: Checkpoints = text.parse().unwrap();
            let mut consumer = stream.consume(checkpoints).unwrap();
            resumed += 1;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            for _ in 0..random >> 56 {
                match consumer.next().unwrap() {
                    NextChange::Record { record, .. } => {
                        seen[id_of(&record)].push(record.sequence_number());
                    }
                    NextChange::Pending => {
                        consumer.wait(None);
                    }
                    NextChange::Closed => break 'resuming,
                }
            }
            text = consumer.checkpoints().to_string();
        }
        (writing.join().unwrap(), seen, resumed)
    });
    assert!(is_over.load(Ordering::Acquire));
    assert!(resumed > ROUNDS * ITEMS / 256, "{resumed}");
    assert!(expected == seen, "each record once, each item's in order");
}

#[test]
fn a_clone_of_checkpoints_stays_where_it_was() {
    let stream = stream(1);
    let numbers_put = put_many(&stream, 0..9);
    let mut consumer = from_horizon(&stream);
    for number in &numbers_put {
        let before = consumer.checkpoints();
        let copy = before.clone();
        assert_eq!(step(&mut consumer).unwrap().unwrap().number, *number);
        assert_ne!(consumer.checkpoints(), copy);
        let mut again = stream.consume(ConsumerStart::After(copy)).unwrap();
        assert_eq!(step(&mut again).unwrap().unwrap().number, *number);
    }
}
