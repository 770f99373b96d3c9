//! Where a consumer begins: which shards it opens at once, and which wait for their parents.
//!
//! The plan is made over the family: all shards that are listed, and all that come after one of them. A
//! shard has been *read* when it has no starting point but a shard after it has one. It *waits* when a
//! shard before it is still to be read. Whatever is neither is opened.

use std::collections::{BTreeMap, BTreeSet};

use super::super::handle::Stream;
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
    match family.shards.get(&ordinal) {
        Some(shard) if shard.id.as_str() != &*entry.shard => Err(unknown()),
        Some(shard) if at > shard.log.end() => Err(Error::SequenceNumberOutOfShard {
            given: entry.next,
            starting: SequenceNumber::starting(ordinal),
        }),
        Some(shard) => Ok(Place::In(shard, at)),
        None => {
            let id = former(stream, entry, ordinal).ok_or_else(unknown)?;
            Ok(Place::Gone(Gap::of_lost(stream, id, at)))
        }
    }
}

/// The name of a shard that the stream once had: its parts must fit one another and the stream.
fn former(stream: &Stream, entry: &Entry, ordinal: u32) -> Option<ShardId> {
    let created_ms = created_ms_of(&entry.shard)?.parse().ok()?;
    let id = ShardId::new(stream.info(), ordinal, created_ms);
    let was_born = stream.topology().with(|topology| ordinal < topology.birth(0).ordinal);
    (was_born && id.as_str() == &*entry.shard).then_some(id)
}
