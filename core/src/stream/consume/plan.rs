//! Where a consumer begins: which shards it opens at once, and which wait for their parents.
//!
//! The plan is made over the family: all shards that are listed, and all that come after one of them. A
//! shard has been *read* when it has no starting point but a shard after it has one. It *waits* when a
//! shard before it is still to be read. Whatever is neither is opened.

use std::collections::{BTreeMap, BTreeSet};

use super::super::handle::Stream;
use super::super::heritage::{Generation, LostPlace};
use super::super::shard::{Shard, ShardId, Successor};
use super::checkpoints::{Checkpoints, Entry, created_ms_of};
use super::{ConsumerStart, Gap};
use crate::error::Error;
use crate::log::Position;
use crate::model::SequenceNumber;
use crate::sync::Arc;

/// Where a consumer begins.
#[derive(Default)]
pub(super) struct Plan {
    /// The shards to read at once, each with the position of its next record.
    pub(super) open: Vec<(Arc<Shard>, Position)>,
    /// Shards that are opened behind their parents, elsewhere than at their beginning.
    pub(super) waiting: Vec<(Arc<Shard>, Position)>,
    pub(super) lost: Vec<Lost>,
}

/// A shard of the checkpoints that is gone.
pub(super) struct Lost {
    pub(super) gap: Gap,
    pub(super) entry: Entry,
}

/// The shards that come after this one, once it is closed; they are listed when this returns.
pub(super) fn children_of<'a>(stream: &Stream, shard: &'a Shard) -> &'a [Arc<Shard>] {
    stream.show_closed(shard);
    match shard.log.successor() {
        Some(Successor::Children(children)) => children,
        Some(Successor::Final) | None => &[],
    }
}

/// Shards by their ordinals, so parents before children.
struct Family {
    shards: BTreeMap<u32, Arc<Shard>>,
    parents: BTreeMap<u32, u32>,
}

impl Family {
    fn of(stream: &Stream) -> Self {
        let topology = stream.topology().load_full();
        let mut unvisited: Vec<Arc<Shard>> =
            topology.shards.iter().map(|listed| Arc::clone(&listed.shard)).collect();
        let mut family = Self { shards: BTreeMap::new(), parents: BTreeMap::new() };
        while let Some(shard) = unvisited.pop() {
            let ordinal = shard.ordinal;
            if family.shards.insert(ordinal, Arc::clone(&shard)).is_none() {
                let children = children_of(stream, &shard);
                family.parents.extend(children.iter().map(|child| (child.ordinal, ordinal)));
                unvisited.extend(children.iter().cloned());
            }
        }
        family
    }

    /// All that is retained.
    fn horizon(&self) -> BTreeMap<u32, Position> {
        let earliest = self.shards.values().map(|shard| (shard.ordinal, shard.log.earliest()));
        let is_needed = |ordinal, at| at > Position::ZERO || !self.parents.contains_key(&ordinal);
        earliest.filter(|(ordinal, at)| is_needed(*ordinal, *at)).collect()
    }

    /// Nothing that has been put.
    fn latest(&self) -> BTreeMap<u32, Position> {
        let parents: BTreeSet<u32> = self.parents.values().copied().collect();
        let last = self.shards.values().filter(|shard| !parents.contains(&shard.ordinal));
        last.map(|shard| (shard.ordinal, shard.log.end())).collect()
    }

    /// The shards that come before one of those that have a starting point.
    fn before(&self, starts: &BTreeMap<u32, Position>) -> BTreeSet<u32> {
        let mut before = BTreeSet::new();
        for ordinal in starts.keys() {
            let mut parent = self.parents.get(ordinal);
            while let Some(ordinal) = parent
                && before.insert(*ordinal)
            {
                parent = self.parents.get(ordinal);
            }
        }
        before
    }

    fn plan(&self, starts: &BTreeMap<u32, Position>) -> Plan {
        let before = self.before(starts);
        let mut unread = BTreeSet::new();
        let mut plan = Plan::default();
        for (ordinal, shard) in &self.shards {
            let waits = self.parents.get(ordinal).is_some_and(|parent| unread.contains(parent));
            let start = starts.get(ordinal).copied();
            match (start, waits) {
                (None, true) => {}
                (None, false) if before.contains(ordinal) => continue,
                (None, false) => plan.open.push((Arc::clone(shard), Position::ZERO)),
                (Some(at), false) => plan.open.push((Arc::clone(shard), at)),
                (Some(at), true) => plan.waiting.push((Arc::clone(shard), at)),
            }
            unread.insert(*ordinal);
        }
        plan
    }
}

pub(super) fn plan(stream: &Stream, start: &ConsumerStart) -> Result<Plan, Error> {
    let family = Family::of(stream);
    match start {
        ConsumerStart::TrimHorizon => Ok(family.plan(&family.horizon())),
        ConsumerStart::Latest => Ok(family.plan(&family.latest())),
        ConsumerStart::After(checkpoints) if checkpoints.is_empty() => {
            Ok(family.plan(&family.horizon()))
        }
        ConsumerStart::After(checkpoints) => resume(stream, &family, checkpoints),
    }
}

fn resume(stream: &Stream, family: &Family, checkpoints: &Checkpoints) -> Result<Plan, Error> {
    let mut starts = BTreeMap::new();
    let mut lost = Vec::new();
    for entry in checkpoints.entries() {
        match place(stream, family, entry)? {
            Place::In(shard, at) => {
                starts.insert(shard.ordinal, at);
            }
            Place::Gone(gap) => lost.push(Lost { gap, entry: entry.clone() }),
        }
    }
    Ok(Plan { lost, ..family.plan(&starts) })
}

/// Where an entry of the checkpoints points.
enum Place<'a> {
    In(&'a Shard, Position),
    /// Into a shard that the stream once had.
    Gone(Gap),
}

fn place<'a>(stream: &Stream, family: &'a Family, entry: &Entry) -> Result<Place<'a>, Error> {
    let unknown = || Error::ShardNotFound {
        arn: stream.info().arn().as_str().into(),
        shard: (*entry.shard).into(),
    };
    let ordinal = entry.next.ordinal().ok_or_else(unknown)?;
    let at = entry.next.position().unwrap_or(Position::ZERO);
    let is_earlier = |ordinal| stream.heritage().is_some_and(|lives| lives.is_earlier(ordinal));
    match family.shards.get(&ordinal) {
        Some(shard) if shard.id.as_str() != &*entry.shard => Err(unknown()),
        Some(shard) if at > shard.log.end() && is_earlier(ordinal) => {
            let end = shard.log.end();
            Err(stream.not_in_snapshot(LostPlace::Position { ordinal, position: at, end }))
        }
        Some(shard) if at > shard.log.end() => Err(Error::SequenceNumberOutOfShard {
            given: entry.next,
            starting: SequenceNumber::starting(ordinal),
        }),
        Some(shard) => Ok(Place::In(shard, at)),
        None if is_of_namesake(stream, ordinal) => Err(stream.not_in_snapshot(LostPlace::Stream)),
        None => {
            let id = former(stream, entry, ordinal).ok_or_else(unknown)?;
            if stream.heritage().is_some_and(|lives| lives.is_lost(ordinal)) {
                return Err(stream.not_in_snapshot(LostPlace::Shard { ordinal }));
            }
            Ok(Place::Gone(Gap::of_lost(stream, id, at)))
        }
    }
}

/// Whether only a stream of the same name can have had a shard of this ordinal: one that was lost by a restore, before
/// this one was made.
fn is_of_namesake(stream: &Stream, ordinal: u32) -> bool {
    let first = Generation::of_new_streams(stream.context().lineage.restores()).first_ordinal();
    stream.heritage().is_none() && ordinal < first
}

/// The name of a shard that the stream once had: its parts must fit one another and the stream.
fn former(stream: &Stream, entry: &Entry, ordinal: u32) -> Option<ShardId> {
    let created_ms = created_ms_of(&entry.shard)?.parse().ok()?;
    let id = ShardId::new(stream.info(), ordinal, created_ms);
    let was_born = stream.topology().with(|topology| ordinal < topology.next().ordinal);
    (was_born && id.as_str() == &*entry.shard).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeValue, Change, Image, KeySchema, StreamViewType};
    use crate::stream::{Consumer, NextChange};
    use crate::{Store, StreamConfig};

    fn stream() -> Stream {
        let schema = KeySchema::new("id", None).unwrap();
        let config = StreamConfig::new("Orders", schema, StreamViewType::NewImage);
        Store::new().register_stream(config).unwrap()
    }

    fn put(stream: &Stream, count: u32) -> Vec<SequenceNumber> {
        let id = |n: u32| ("id".to_owned(), AttributeValue::N(n.to_string()));
        let change = |n| Change::insert(Image::new([id(n)].into()));
        (0..count).map(|n| stream.put(change(n)).unwrap()).collect()
    }

    /// Rolls the youngest shard; returns the names of both.
    fn roll(stream: &Stream) -> (ShardId, ShardId) {
        let parent = stream.describe().shards.pop().unwrap().shard_id;
        let child = stream.roll(parent.as_str()).unwrap().remove(0);
        (parent, child)
    }

    /// What becomes of a shard that has expired.
    fn unlist(stream: &Stream, ordinal: u32) {
        stream.topology().rcu(|topology| {
            let mut changed = (**topology).clone();
            changed.shards.retain(|listed| listed.shard.ordinal != ordinal);
            Arc::new(changed)
        });
    }

    fn read(consumer: &mut Consumer) -> Result<Vec<SequenceNumber>, Gap> {
        let mut seen = Vec::new();
        while let NextChange::Record { record, .. } = consumer.next()? {
            seen.push(record.sequence_number());
        }
        Ok(seen)
    }

    #[test]
    fn a_shard_that_is_gone_is_a_gap_and_its_children_are_next() {
        let stream = stream();
        put(&stream, 3);
        let mut consumer = stream.consume(ConsumerStart::TrimHorizon).unwrap();
        consumer.next().unwrap();
        let stored = consumer.checkpoints();
        let (parent, _) = roll(&stream);
        let behind = put(&stream, 2);
        unlist(&stream, 0);

        let mut resumed = stream.consume(stored.clone()).unwrap();
        let gap = resumed.next().unwrap_err();
        assert_eq!((&gap.shard, gap.from, gap.earliest), (&parent, Position::new(1), None));
        assert_eq!(
            gap.to_string(),
            format!(
                "the shard `{parent}` is gone, and with it what it had from position 1 on; its \
                 children are next"
            )
        );
        assert!(
            matches!(Error::from(gap.clone()), Error::ShardNotFound { shard, .. } if *shard == *parent.as_str())
        );
        assert_eq!(read(&mut resumed), Err(gap.clone()), "until it is skipped");
        let mut again = stream.consume(resumed.checkpoints()).unwrap();
        assert_eq!(read(&mut again), Err(gap.clone()), "also over checkpoints");
        resumed.skip(&gap);
        assert_eq!(read(&mut resumed), Ok(behind));
        assert_eq!(resumed.checkpoints().len(), 1);
        // The consumer that has the shard still goes on, from parent to child.
        assert_eq!(read(&mut consumer).map(|seen| seen.len()), Ok(4));
    }

    #[test]
    fn a_shard_that_is_gone_between_others_is_found_through_its_parent() {
        let stream = stream();
        let mut numbers = put(&stream, 2);
        roll(&stream);
        numbers.extend(put(&stream, 2));
        let mut early = stream.consume(ConsumerStart::TrimHorizon).unwrap();
        roll(&stream);
        numbers.extend(put(&stream, 2));
        unlist(&stream, 1);
        let mut late = stream.consume(ConsumerStart::TrimHorizon).unwrap();
        for consumer in [&mut early, &mut late] {
            assert_eq!(read(consumer).as_ref(), Ok(&numbers));
        }
        let mut resumed = stream.consume(late.checkpoints()).unwrap();
        assert_eq!(read(&mut resumed), Ok(vec![]));
    }

    #[test]
    fn a_name_that_the_stream_never_gave_is_no_shard_that_is_gone() {
        let stream = stream();
        roll(&stream);
        unlist(&stream, 0);
        let forged = format!("shardId-{:020}-00000000", stream.now_ms());
        let of_the_future = ShardId::new(stream.info(), 2, stream.now_ms()).to_string();
        for (ordinal, name) in [(0, forged), (2, of_the_future)] {
            let parts = [(name.clone(), SequenceNumber::starting(ordinal))];
            let refused = stream.consume(Checkpoints::new(parts).unwrap()).unwrap_err();
            assert!(matches!(refused, Error::ShardNotFound { shard, .. } if *shard == *name));
        }
    }

    #[test]
    fn children_are_listed_before_a_consumer_names_them() {
        let stream = stream();
        let mut consumer = stream.consume(ConsumerStart::TrimHorizon).unwrap();
        let parent = stream.shard_by_ordinal(0).unwrap();
        // Another thread was suspended between sealing the shard and listing what comes after it.
        let child = stream.make_shard(parent.range, parent.id.clone()).unwrap();
        parent.log.seal(Successor::Children([child].into_iter().collect()));
        assert_eq!(stream.describe().shards.len(), 1);
        assert_eq!(read(&mut consumer), Ok(vec![]));
        let listed = stream.describe().shards;
        assert!(consumer.shards().eq([&listed[1].shard_id]));
    }
}
