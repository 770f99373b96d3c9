//! What is no whole stream is refused, and the fault is named.

use streamcore::error::ArchiveFault as Fault;
use streamcore::log::{Batch, Position};
use streamcore::model::{OperationType, StreamStatus};
use streamcore::stream::{
    Archive, Fate, HashRange, Life, Parent, RecordState, ShardState, StreamState,
};
use streamcore::{Error, Store};

use crate::host::{NOW_MS, builder, clock, item, put, shards, start};

/// An archive taken apart, to be changed.
struct Parts {
    state: StreamState,
    shards: Vec<(ShardState, Vec<(Position, RecordState)>)>,
}

impl Parts {
    fn of(archive: &Archive) -> Self {
        let shards = archive.shards().iter();
        let shards = shards.map(|shard| (shard.state().clone(), shard.records().collect()));
        Self { state: archive.state().clone(), shards: shards.collect() }
    }

    fn restore(self, store: &Store) -> Result<(), Error> {
        let mut restore = store.restore_stream(self.state)?;
        for (state, records) in self.shards {
            restore.shard(state)?;
            for (position, record) in records {
                restore.record(position, record)?;
            }
        }
        restore.finish().map(drop)
    }
}

/// Shard 0, closed, with records 3 to 9; shards 1 and 2, which it was split into, with some each.
fn archive() -> Archive {
    let clock = clock();
    let (_, stream) = start(&clock);
    put(&stream, 0..10);
    let first = shards(&stream).remove(0);
    stream.trim(&first, Position::new(3)).unwrap();
    stream.split(&first).unwrap();
    put(&stream, 10..40);
    stream.archive()
}

#[track_caller]
fn fault(change: impl FnOnce(&mut Parts)) -> Fault {
    let store = builder(&clock()).build();
    let mut parts = Parts::of(&archive());
    change(&mut parts);
    let refused = parts.restore(&store).expect_err("it was changed");
    let Error::InvalidArchive { arn, fault } = refused else { panic!("{refused}") };
    assert!(arn.contains("table/Orders/stream/"));
    assert!(
        store.list_streams(None, None, 100).unwrap().streams.is_empty(),
        "nothing is left of it"
    );
    assert!(!fault.to_string().is_empty());
    fault
}

#[test]
fn what_was_not_changed_is_restored() {
    let store = builder(&clock()).build();
    assert_eq!(Parts::of(&archive()).restore(&store), Ok(()));
    let twice = Parts::of(&archive()).restore(&store).unwrap_err();
    assert!(matches!(twice, Error::InvalidArchive { fault: Fault::Exists, .. }));
}

#[test]
fn shards_that_do_not_fit_one_another() {
    assert_eq!(fault(|it| it.shards.clear()), Fault::NoShards);
    assert_eq!(fault(|it| it.shards.swap(1, 2)), Fault::OrdinalNotRising { before: 2, given: 1 });
    assert_eq!(
        fault(|it| it.shards[1].0.created_ms = NOW_MS - 7),
        Fault::TimeNotRising { ordinal: 1 }
    );
    assert_eq!(fault(|it| it.state.next_ordinal = 2), Fault::NotBorn { ordinal: 2 });
    assert_eq!(fault(|it| it.state.next_created_ms = 0), Fault::NotBorn { ordinal: 0 });
    assert_eq!(
        fault(|it| it.shards[2].0.parent = Parent::Held(7)),
        Fault::UnknownParent { ordinal: 2, parent: 7 }
    );
    assert_eq!(
        fault(|it| it.shards[2].0.parent = Parent::Held(2)),
        Fault::UnknownParent { ordinal: 2, parent: 2 }
    );
    assert_eq!(
        fault(|it| it.shards[2].0.parent = Parent::Held(1)),
        Fault::OpenParent { ordinal: 2, parent: 1 }
    );
    for name in ["", "shardId-x", "shardId-00000001900000000000-00000000"] {
        let parent = || Parent::Expired(name.into());
        let expected = Fault::InvalidParent { ordinal: 1, parent: name.into() };
        assert_eq!(fault(|it| it.shards[1].0.parent = parent()), expected);
    }
    let childless = |it: &mut Parts| {
        it.shards[1].0.parent = Parent::None;
        it.shards[2].0.parent = Parent::None;
    };
    assert_eq!(fault(childless), Fault::Childless { ordinal: 0 });
}

#[test]
fn ranges_that_do_not_cover() {
    let range = |first, last| HashRange { first, last };
    assert_eq!(
        fault(|it| it.shards[1].0.hash_range = range(2, 1)),
        Fault::InvalidRange { ordinal: 1 }
    );
    for (first, last) in
        [(1, u64::MAX / 2), (0, u64::MAX / 2 - 1), (0, u64::MAX / 2 + 1), (0, u64::MAX)]
    {
        assert_eq!(fault(|it| it.shards[1].0.hash_range = range(first, last)), Fault::NotCovered);
    }
    assert_eq!(
        fault(|it| it.shards[2].0.fate = Fate::Closed { closed_ms: 0 }),
        Fault::Childless { ordinal: 2 }
    );
    let disabled = |it: &mut Parts| it.state.status = StreamStatus::Disabled;
    assert_eq!(fault(disabled), Fault::OpenInDisabled { ordinal: 1 });
}

#[test]
fn records_that_are_missing_or_too_many() {
    let at = Position::new;
    let end = archive().shards()[1].state().end;
    assert_eq!(
        fault(|it| drop(it.shards[0].1.remove(2))),
        Fault::Hole { ordinal: 0, expected: at(5), given: at(6) }
    );
    assert_eq!(
        fault(|it| drop(it.shards[0].1.pop())),
        Fault::Hole { ordinal: 0, expected: at(9), given: at(10) }
    );
    assert_eq!(
        fault(|it| it.shards[1].0.end = end.minus(1)),
        Fault::Hole { ordinal: 1, expected: end.minus(1), given: end.minus(1) }
    );
    assert_eq!(
        fault(|it| it.shards[0].0.first = at(2)),
        Fault::Hole { ordinal: 0, expected: at(2), given: at(3) }
    );
    assert_eq!(
        fault(|it| it.shards[0].0.first = at(11)),
        Fault::InvalidPositions { ordinal: 0, first: at(11), end: at(10) }
    );
    for far in [1 << 60, u64::MAX] {
        let expected = Fault::InvalidPositions { ordinal: 0, first: at(3), end: at(far) };
        assert_eq!(fault(|it| it.shards[0].0.end = at(far)), expected);
    }
    // A shard without records has a place, too.
    for far in [1 << 55, 1 << 60, 1 << 62, (1 << 62) + 5, 1 << 63, u64::MAX] {
        let expected = Fault::InvalidPositions { ordinal: 0, first: at(far), end: at(far) };
        let empty = |it: &mut Parts| {
            it.shards[0].1.clear();
            (it.shards[0].0.first, it.shards[0].0.end) = (at(far), at(far));
        };
        assert_eq!(fault(empty), expected);
    }
    assert_eq!(
        fault(|it| it.shards[0].0.fate = Fate::Forgotten),
        Fault::ForgottenWithRecords { ordinal: 0 }
    );
    let store = builder(&clock()).build();
    let parts = Parts::of(&archive());
    let mut restore = store.restore_stream(parts.state).unwrap();
    let record = parts.shards[0].1[0].1.clone();
    let refused = restore.record(at(0), record).unwrap_err();
    assert!(matches!(refused, Error::InvalidArchive { fault: Fault::NoShardYet, .. }));
}

#[test]
fn batches_without_end() {
    let at = Position::new(9);
    let last = |it: &mut Parts| it.shards[0].1[6].1.batch = Batch::GoesOn;
    assert_eq!(fault(last), Fault::BrokenBatch { ordinal: 0, position: at });
    let many = |it: &mut Parts| {
        it.shards[0].0.end = Position::new(10_000);
        let record = RecordState { batch: Batch::GoesOn, ..it.shards[0].1[0].1.clone() };
        it.shards[0].1 = (3..10_000).map(|at| (Position::new(at), record.clone())).collect();
    };
    assert_eq!(fault(many), Fault::BrokenBatch { ordinal: 0, position: Position::new(3) });
}

#[test]
fn records_that_are_none() {
    let expected = Fault::InvalidRecord { ordinal: 0, position: Position::new(3) };
    let changes: [fn(&mut RecordState); 5] = [
        |record| record.new = None,
        |record| record.old = Some(item(1, "old")),
        |record| record.operation = OperationType::Remove,
        |record| record.by_ttl = true,
        |record| record.new = Some(streamcore::model::Image::new([].into())),
    ];
    for change in changes {
        assert_eq!(fault(|it| change(&mut it.shards[0].1[0].1)), expected);
    }
}

#[test]
fn lives_and_times_that_cannot_be() {
    let life = |next_ordinal, resumed_at| Life { incarnation: 1, next_ordinal, resumed_at };
    for lives in [vec![life(2, 1)], vec![life(1, 2), life(1, 3)], vec![life(1, 1 << 20)]] {
        assert_eq!(fault(|it| it.state.lives = lives), Fault::InvalidLives);
    }
    let allowed = i64::MAX as u64;
    assert_eq!(
        fault(|it| it.state.next_created_ms = u64::MAX),
        Fault::InvalidTime { given: u64::MAX, allowed }
    );
    assert_eq!(
        fault(|it| it.state.next_ordinal = u32::MAX),
        Fault::OutOfGenerations { next_ordinal: u32::MAX }
    );
}

#[test]
fn the_last_time_that_is_allowed_leaves_room_for_shards() {
    let store = builder(&clock()).build();
    let mut parts = Parts::of(&archive());
    parts.state.next_created_ms = i64::MAX as u64;
    assert_eq!(parts.restore(&store), Ok(()));
    let stream = store.list_streams(None, None, 1).unwrap().streams.remove(0);
    for shard in shards(&stream).drain(3..) {
        stream.roll(&shard).unwrap();
    }
    assert_eq!(shards(&stream).len(), 7);
}
