//! Archiving: a stream as plain data that an embedder writes down, and the records that go with it.
//!
//! An archive is taken at one moment: one topology, and of each of its shards all that was put by then. It holds
//! the records by pins ([`Retained`]), so they stay while they are written, whatever is trimmed meanwhile; and
//! puts go on. What comes back from it is in [`restore`](super::restore).
//!
//! # Who may do what
//!
//! Anybody archives, any number of times. A child is in the topology only if its parent is closed there, and then
//! the parent is taken to its end: so a record is in the archive only with all that the shards before it hold.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

use super::handle::{Settings, Stream};
use super::heritage::Life;
use super::retention::Retention;
use super::routing::HashRange;
use super::shard::{Shard, ShardHandle, ShardId, Successor};
use crate::log::{Batch, Position, Retained};
use crate::model::{Image, OperationType, Record, StreamInfo, StreamStatus};
use crate::sync::Arc;

/// How a stream is set up: what it keeps, and when its shards are rolled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StreamSettings {
    /// Records that are older are given up, in milliseconds.
    pub retain_ms: Option<NonZeroU64>,
    /// So many records each shard keeps at least.
    pub retain_records: Option<NonZeroU64>,
    /// So many bytes the records take at the most.
    pub retain_bytes: Option<NonZeroU64>,
    /// A shard is rolled when it is so old, in milliseconds.
    pub roll_after_ms: Option<NonZeroU64>,
    /// A shard is rolled behind so many records.
    pub roll_after_records: Option<NonZeroU64>,
}

/// What a stream is, beside its shards. Plain data, for an embedder to write down and to give to
/// [`Store::restore_stream`](crate::Store::restore_stream).
#[derive(Debug, Clone)]
pub struct StreamState {
    /// Its names and its key schema.
    pub info: StreamInfo,
    /// Its status.
    pub status: StreamStatus,
    /// How it was set up.
    pub settings: StreamSettings,
    /// From when on it is found no more, if it was disabled, in milliseconds since the Unix epoch.
    pub gone_ms: Option<u64>,
    /// The incarnation of the store that it lived in.
    pub incarnation: u64,
    /// The ordinal that its next shard would have had.
    pub next_ordinal: u32,
    /// When its next shard would have been created at the earliest, in milliseconds since the Unix epoch.
    pub next_created_ms: u64,
    /// Its lives before, in their order.
    pub lives: Vec<Life>,
}

/// What a shard is, beside its records. Its name follows from the stream, the ordinal and the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardState {
    /// Its number in the stream; the upper part of its sequence numbers.
    pub ordinal: u32,
    /// The shard that it goes on from.
    pub parent: Parent,
    /// When it was created, in milliseconds since the Unix epoch; in its name.
    pub created_ms: u64,
    /// The partition keys whose changes it takes.
    pub hash_range: HashRange,
    /// The position of the first record; what was before it is trimmed.
    pub first: Position,
    /// The position behind the last record.
    pub end: Position,
    /// Whether it takes records.
    pub fate: Fate,
}

/// The shard that another one goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    /// None: the stream began with the shard.
    None,
    /// The shard of this ordinal, which is archived too.
    Held(u32),
    /// A shard of this name, of which nothing else is left.
    Expired(Box<str>),
}

/// Whether a shard takes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It takes them. It is restored as a closed shard that one child goes on from.
    Open,
    /// It is closed.
    Closed {
        /// Since when, in milliseconds since the Unix epoch.
        closed_ms: u64,
    },
    /// It was closed so long ago that it is not listed any more. Consumers still find from its parent to its
    /// children.
    Forgotten,
}

/// What a record is, beside its position.
#[derive(Debug, Clone)]
pub struct RecordState {
    /// When it was put, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// What happened to the item.
    pub operation: OperationType,
    /// Whether time to live deleted the item.
    pub by_ttl: bool,
    /// The item after the change, if the stream keeps it.
    pub new: Option<Image>,
    /// The item before the change, if the stream keeps it.
    pub old: Option<Image>,
    /// An image of the key attributes alone, if there is one.
    pub keys: Option<Image>,
    /// Whether the record is the last of those that were put together.
    pub batch: Batch,
}

/// A stream at one moment. While it lives, the memory of its records is not given back.
#[derive(Debug)]
pub struct Archive {
    state: StreamState,
    shards: Vec<ArchivedShard>,
}

/// A shard of an [`Archive`].
pub struct ArchivedShard {
    state: ShardState,
    records: Retained<ShardHandle>,
}

impl Stream {
    /// Takes the stream as it is at one moment, to be written down.
    ///
    /// It has every record whose put returned before the call, and of each shard no record without all that
    /// come before it. Between shards that are open at the same time nothing is promised, unless the host keeps
    /// puts out meanwhile: then archives of several streams are of one moment.
    ///
    /// Who restores it should archive the restored stream before anything is put into it, and restore from that the
    /// next time: two stores that are restored from one archive use the same ordinals.
    ///
    /// # Progress
    ///
    /// Blocks until the puts that are in flight have finished, and holds up none. Costs one addition for each
    /// segment that is retained; copies no record.
    #[must_use]
    pub fn archive(&self) -> Archive {
        let topology = self.topology().load_full();
        let mut family: BTreeMap<u32, (Arc<Shard>, Fate, Option<Position>)> = BTreeMap::new();
        for listed in &topology.shards {
            let (fate, end) = match listed.end {
                Some(end) => (Fate::Closed { closed_ms: end.closed_ms }, Some(end.position)),
                None => (Fate::Open, None),
            };
            family.insert(listed.shard.ordinal, (Arc::clone(&listed.shard), fate, end));
        }
        // A child that the same topology does not list was forgotten before its parent.
        let closed = family.values().filter(|(_, _, end)| end.is_some());
        let mut unvisited: Vec<Arc<Shard>> = closed.map(|(shard, ..)| Arc::clone(shard)).collect();
        let mut parents = BTreeMap::new();
        while let Some(shard) = unvisited.pop() {
            let Some(Successor::Children(children)) = shard.log.successor() else { continue };
            for child in children {
                parents.insert(child.ordinal, shard.ordinal);
                family.entry(child.ordinal).or_insert_with(|| {
                    unvisited.push(Arc::clone(child));
                    (Arc::clone(child), Fate::Forgotten, child.log.sealed_end())
                });
            }
        }
        let shards = family.into_values().map(|(shard, fate, end)| {
            let parent = match (parents.get(&shard.ordinal), &shard.parent) {
                (Some(parent), _) => Parent::Held(*parent),
                (None, Some(name)) => Parent::Expired(name.as_str().into()),
                (None, None) => Parent::None,
            };
            ArchivedShard::of(shard, parent, fate, end)
        });
        let state = StreamState {
            info: self.info().clone(),
            status: topology.status,
            settings: self.settings().into(),
            gone_ms: self.gone_ms(),
            incarnation: self.context().incarnation,
            next_ordinal: topology.next().ordinal,
            next_created_ms: topology.next().created_ms,
            lives: self.heritage().map_or_else(Vec::new, |lives| lives.0.clone()),
        };
        Archive { shards: shards.collect(), state }
    }
}

impl Archive {
    /// The stream.
    #[must_use]
    pub fn state(&self) -> &StreamState {
        &self.state
    }

    /// Its shards, parents before children.
    #[must_use]
    pub fn shards(&self) -> &[ArchivedShard] {
        &self.shards
    }
}

impl ArchivedShard {
    fn of(shard: Arc<Shard>, parent: Parent, fate: Fate, end: Option<Position>) -> Self {
        let mut end = end.unwrap_or_else(|| shard.log.end());
        if end > Position::ZERO {
            // What is reserved before the end is published some time, so there is no refusal.
            let _ = shard.log.wait_visible(end.minus(1));
        }
        let records = loop {
            let first = shard.log.earliest();
            // All of it may be trimmed by now, and more: then the archive begins, and ends, there.
            end = end.max(first);
            // Trimmed meanwhile: then another record is the first.
            if let Ok(records) = Retained::new(ShardHandle(Arc::clone(&shard)), first..end) {
                break records;
            }
        };
        let positions = records.positions();
        let state = ShardState {
            ordinal: shard.ordinal,
            parent,
            created_ms: shard.created_ms,
            hash_range: shard.range,
            first: positions.start,
            end: positions.end,
            fate,
        };
        Self { state, records }
    }

    /// The shard.
    #[must_use]
    pub fn state(&self) -> &ShardState {
        &self.state
    }

    /// The number of its records.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.state.end.since(self.state.first)
    }

    /// Whether it has no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its records in order, each with its position. Their images are shared.
    pub fn records(&self) -> impl Iterator<Item = (Position, RecordState)> {
        self.records.iter().map(|(position, record)| {
            let batch = self.records.batch(position).unwrap_or(Batch::Ends);
            (position, record_state(record, batch))
        })
    }
}

fn record_state(record: &Record, batch: Batch) -> RecordState {
    RecordState {
        created_ms: record.created_ms(),
        operation: record.operation(),
        by_ttl: record.is_ttl_delete(),
        new: record.new_image().cloned(),
        old: record.old_image().cloned(),
        keys: record.key_image().cloned(),
        batch,
    }
}

impl fmt::Debug for ArchivedShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchivedShard").field("state", &self.state).finish_non_exhaustive()
    }
}

impl ShardState {
    /// The shard's name in its stream.
    #[must_use]
    pub fn shard_id(&self, info: &StreamInfo) -> ShardId {
        ShardId::new(info, self.ordinal, self.created_ms)
    }
}

impl From<Settings> for StreamSettings {
    fn from(settings: Settings) -> Self {
        Self {
            retain_ms: settings.retention.age_ms,
            retain_records: settings.retention.records,
            retain_bytes: settings.retention.bytes,
            roll_after_ms: settings.roll_after_ms,
            roll_after_records: settings.roll_after_records,
        }
    }
}

impl From<StreamSettings> for Settings {
    fn from(settings: StreamSettings) -> Self {
        let StreamSettings { retain_ms: age_ms, retain_records, retain_bytes, .. } = settings;
        Self {
            retention: Retention { age_ms, records: retain_records, bytes: retain_bytes },
            roll_after_ms: settings.roll_after_ms,
            roll_after_records: settings.roll_after_records,
        }
    }
}
