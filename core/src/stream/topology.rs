//! The topology: a stream's status and its tree of shards, replaced as a whole.
//!
//! One value describes the stream at one moment. It is read through one atomic load and changed by
//! copying (`rcu`), so nobody ever sees half of a change: a shard is listed as closed in the same step
//! that lists its children.

use smallvec::{SmallVec, smallvec};

use super::heritage::Generation;
use super::routing::{HashRange, key_hash};
use super::shard::{Children, Shard, ShardId};
use crate::log::Position;
use crate::model::{KeySchema, Record, StreamStatus};
use crate::sync::Arc;

/// A shard as it is listed.
#[derive(Clone)]
pub(crate) struct Listed {
    pub(crate) shard: Arc<Shard>,
    /// Where the shard ends, once it is listed as closed.
    pub(crate) end: Option<End>,
}

/// The end of a closed shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct End {
    pub(crate) position: Position,
    /// When it was closed, in milliseconds since the epoch.
    pub(crate) closed_ms: u64,
}

/// A stream at one moment.
#[derive(Clone)]
pub(crate) struct Topology {
    pub(crate) status: StreamStatus,
    /// All shards in the order of their creation, which is that of their ordinals and names.
    pub(crate) shards: SmallVec<[Listed; 1]>,
    /// The open ones, by their range of hashes.
    open: SmallVec<[Arc<Shard>; 1]>,
    /// What the next shard is born with.
    next: Birth,
    /// Which ordinals shards may be born with.
    generation: Generation,
    /// When the first of the open shards is to be rolled, in milliseconds since the epoch.
    roll_due_ms: u64,
}

/// What tells the shards of a stream apart: both parts rise from shard to shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Birth {
    pub(crate) ordinal: u32,
    pub(crate) created_ms: u64,
}

impl Topology {
    /// A stream without shards, whose first one is born at `first_ms` at the earliest.
    pub(crate) fn new(generation: Generation, first_ms: u64) -> Self {
        Self {
            status: StreamStatus::Enabling,
            shards: smallvec![],
            open: smallvec![],
            next: Birth { ordinal: generation.first_ordinal(), created_ms: first_ms },
            generation,
            roll_due_ms: u64::MAX,
        }
    }

    /// What a shard is born with at `now_ms`; it rises even when the clock stands still. `None` if the
    /// generation has no shards left.
    pub(crate) fn birth(&self, now_ms: u64) -> Option<Birth> {
        let Birth { ordinal, created_ms } = self.next;
        let birth = Birth { ordinal, created_ms: now_ms.max(created_ms) };
        self.generation.allows(ordinal).then_some(birth)
    }

    /// As if so many shards had been born that this one is next.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, ordinal: u32) {
        self.next.ordinal = ordinal;
    }

    /// What no shard has been born with, nor with anything greater.
    pub(crate) fn next(&self) -> Birth {
        self.next
    }

    /// Notes that a shard was born.
    pub(crate) fn born(&mut self, birth: Birth) {
        self.next = Birth { ordinal: birth.ordinal + 1, created_ms: birth.created_ms + 1 };
    }

    /// The open shard that takes this record; `None` when there is none.
    #[inline]
    pub(crate) fn route(&self, record: &Record, schema: &KeySchema) -> Option<&Arc<Shard>> {
        match &self.open[..] {
            [] => None,
            [only] => Some(only),
            several => {
                let hash = key_hash(record, schema);
                let behind = several.partition_point(|shard| shard.range.first <= hash);
                several.get(behind.checked_sub(1)?)
            }
        }
    }

    /// The listed shard of this name.
    #[inline(always)]
    pub(crate) fn find(&self, id: &str) -> Option<&Listed> {
        let by_name = |listed: &Listed| listed.shard.id.as_str().cmp(id);
        self.shards.binary_search_by(by_name).ok().map(|at| &self.shards[at])
    }

    /// The listed shard of this ordinal.
    pub(crate) fn by_ordinal(&self, ordinal: u32) -> Option<&Listed> {
        let by_ordinal = |listed: &Listed| listed.shard.ordinal.cmp(&ordinal);
        self.shards.binary_search_by(by_ordinal).ok().map(|at| &self.shards[at])
    }

    /// The open shards.
    pub(crate) fn open(&self) -> &[Arc<Shard>] {
        &self.open
    }

    /// This topology with `parent` closed at `end`, and its children listed; as it is if that has
    /// happened already.
    pub(crate) fn close(&mut self, parent: &ShardId, end: End, children: &Children) {
        let Some(listed) = self.shards.iter_mut().find(|listed| listed.shard.id == *parent) else {
            return;
        };
        if listed.end.is_some() {
            return;
        }
        listed.end = Some(end);
        self.open.retain(|shard| shard.id != *parent);
        self.list(children.iter().cloned());
    }

    /// Takes closed shards out of the list.
    pub(crate) fn forget(&mut self, is_expired: impl Fn(&Listed) -> bool) {
        self.shards.retain(|listed| listed.end.is_none() || !is_expired(listed));
    }

    /// Lists new, open shards.
    pub(crate) fn list(&mut self, shards: impl IntoIterator<Item = Arc<Shard>>) {
        for shard in shards {
            self.open.push(Arc::clone(&shard));
            self.shards.push(Listed { shard, end: None });
        }
        // Two parents may be closed at the same time, and their children listed in either order.
        self.shards.sort_by_key(|listed| listed.shard.ordinal);
        self.open.sort_by_key(|shard| shard.range.first);
        let due_ms = self.open.iter().map(|shard| shard.rolling.at_ms).min();
        self.roll_due_ms = due_ms.unwrap_or(u64::MAX);
    }

    /// When the first of the open shards is to be rolled.
    pub(crate) fn roll_due_ms(&self) -> u64 {
        self.roll_due_ms
    }

    /// Whether the open shards' ranges cover every hash exactly once.
    pub(crate) fn covers_all_hashes(&self) -> bool {
        let ranges: SmallVec<[HashRange; 1]> = self.open.iter().map(|shard| shard.range).collect();
        HashRange::are_all(&ranges)
    }
}
