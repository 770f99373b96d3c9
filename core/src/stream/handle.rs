//! A stream's handle: what embedders share between threads, and everything that is asked of a stream
//! besides putting and reading.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc as StdArc, Weak as StdWeak};

use super::context::Context;
use super::founding::Founding;
use super::heritage::Heritage;
use super::ledger::Ledger;
use super::retention::Retention;
use super::routing::HashRange;
use super::shard::{Rolling, Shard, ShardId, Successor};
use super::topology::{Listed, Topology};
use crate::error::Error;
use crate::log::{LogOptions, LogStats, NeverVisible, Position, Snapshot};
use crate::model::{SequenceNumber, StreamInfo, StreamStatus};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, MetadataCell};

/// A stream of changes of one table.
///
/// A handle; clones share the stream, and any number of threads use it at the same time. It stays
/// usable, for reading, when the stream is disabled or removed from its store.
#[derive(Clone)]
pub struct Stream(StdArc<Inner>);

/// A stream that does not stay for the sake of this handle.
pub(crate) struct WeakStream(StdWeak<Inner>);

impl WeakStream {
    pub(crate) fn upgrade(&self) -> Option<Stream> {
        self.0.upgrade().map(Stream)
    }
}

struct Inner {
    info: StreamInfo,
    topology: MetadataCell<Topology>,
    context: StdArc<Context>,
    settings: Settings,
    ledger: Ledger,
    origin: Origin,
    /// From when on a disabled stream is found no more, in milliseconds since the epoch.
    gone_ms: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What a put was about when the stream was cleared is still charged.
        if let Some(store) = &self.context.ledger {
            self.ledger.close(store);
        }
    }
}

/// Where a stream comes from.
pub(crate) enum Origin {
    /// It was registered.
    Registered(Founding),
    /// It was restored.
    Restored(Box<Heritage>),
}

/// How a stream is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) retention: Retention,
    /// A shard is rolled when it is so old.
    pub(crate) roll_after_ms: Option<NonZeroU64>,
    /// A shard is rolled behind so many records.
    pub(crate) roll_after_records: Option<NonZeroU64>,
}

impl Settings {
    /// As DynamoDB does it: shards roll about every 4 hours.
    pub(crate) const DEFAULT: Self = Self {
        retention: Retention::DEFAULT,
        roll_after_ms: NonZeroU64::new(4 * 60 * 60 * 1000),
        roll_after_records: None,
    };

    /// When a shard is to be rolled that is made at `now_ms`.
    pub(crate) fn rolling(self, now_ms: u64) -> Rolling {
        let at_ms = self.roll_after_ms.map_or(u64::MAX, |after| now_ms.saturating_add(after.get()));
        let behind = self.roll_after_records.map_or(u64::MAX, NonZeroU64::get);
        Rolling { at_ms, behind }
    }

    /// How the logs of a stream's shards are set up. Where bytes are counted, the log must give up nothing
    /// by itself.
    pub(crate) fn log_options(self, context: &Context) -> LogOptions {
        match self.retention.records {
            Some(count) if !self.is_charged(context) => LogOptions::new().retain_last(count),
            _ => LogOptions::new(),
        }
    }

    /// Whether the bytes of a stream's records are counted: only if somebody wants to bound them.
    #[inline]
    pub(crate) fn is_charged(self, context: &Context) -> bool {
        self.retention.bytes.is_some() || context.ledger.is_some()
    }
}

/// A stream as it is described: one consistent view.
#[derive(Debug, Clone)]
pub struct StreamDescription {
    /// The stream, as a handle: its names and its key schema are there.
    pub stream: Stream,
    /// Its status.
    pub status: StreamStatus,
    /// Its shards in the order of creation, parents before children.
    pub shards: Vec<ShardInfo>,
}

/// A shard as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its name.
    pub shard_id: ShardId,
    /// The name of the shard that it goes on from.
    pub parent_shard_id: Option<ShardId>,
    /// A number that is less than that of each of its records.
    pub starting_sequence_number: SequenceNumber,
    /// For a closed shard, the number of its last record; its starting number if it has none.
    pub ending_sequence_number: Option<SequenceNumber>,
    /// The partition keys whose changes it takes.
    pub hash_range: HashRange,
    /// When it was created, in milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// Figures of a stream at about one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamStats {
    /// One entry per shard, in the order of creation.
    pub shards: Vec<(ShardId, LogStats)>,
    /// What the records take, in bytes, as bounds on memory count it; 0 if there is no bound.
    pub bytes: u64,
}

impl Stream {
    pub(crate) fn of_parts(
        info: StreamInfo,
        topology: MetadataCell<Topology>,
        settings: Settings,
        context: StdArc<Context>,
        origin: Origin,
    ) -> Self {
        let (ledger, gone_ms) = (Ledger::new(), AtomicU64::new(u64::MAX));
        Self(StdArc::new(Inner { info, topology, context, settings, ledger, origin, gone_ms }))
    }

    /// What is the same for all records of the stream.
    pub fn info(&self) -> &StreamInfo {
        &self.0.info
    }

    /// The status. Lock-free.
    pub fn status(&self) -> StreamStatus {
        self.topology().with(|topology| topology.status)
    }

    /// Describes the stream and its shards, as they are at one moment. What is due by the clock is done
    /// before: old records are given up, old shards rolled, and those that closed long ago forgotten.
    ///
    /// # Progress
    ///
    /// Lock-free; copies the list of shards.
    pub fn describe(&self) -> StreamDescription {
        self.maintain(self.now_ms());
        let topology = self.topology().load_full();
        StreamDescription {
            stream: self.clone(),
            status: topology.status,
            shards: topology.shards.iter().map(describe_shard).collect(),
        }
    }

    /// Describes up to `limit` shards whose names come after `after`, and says whether there are more.
    ///
    /// # Progress
    ///
    /// Lock-free; the cost depends on the page only.
    pub fn describe_page(&self, after: Option<&str>, limit: usize) -> (StreamDescription, bool) {
        self.maintain_if_due(self.now_ms());
        let topology = self.topology().load_full();
        let first = after.map_or(0, |after| {
            topology.shards.partition_point(|listed| listed.shard.id.as_str() <= after)
        });
        let rest = &topology.shards[first..];
        let page = &rest[..limit.min(rest.len())];
        let description = StreamDescription {
            stream: self.clone(),
            status: topology.status,
            shards: page.iter().map(describe_shard).collect(),
        };
        (description, page.len() < rest.len())
    }

    /// Describes up to `limit` children of a shard whose names come after `after`, and says whether there are
    /// more. None for a shard that has no children or never existed; one that was forgotten still has them.
    ///
    /// # Progress
    ///
    /// Lock-free; the cost depends on the page only, but for the parent that was forgotten.
    pub fn describe_children(
        &self,
        parent: &str,
        after: Option<&str>,
        limit: usize,
    ) -> (StreamDescription, bool) {
        self.maintain_if_due(self.now_ms());
        let topology = self.topology().load_full();
        let is_meant = |listed: &&Listed| {
            let is_child = listed.shard.parent.as_ref().is_some_and(|id| id.as_str() == parent);
            is_child && after.is_none_or(|after| listed.shard.id.as_str() > after)
        };
        let mut children: Vec<ShardInfo> = match topology.find(parent) {
            Some(known) => match known.shard.log.successor() {
                Some(Successor::Children(children)) => children
                    .iter()
                    .filter_map(|child| topology.by_ordinal(child.ordinal))
                    .filter(is_meant)
                    .map(describe_shard)
                    .collect(),
                Some(Successor::Final) | None => Vec::new(),
            },
            None => topology.shards.iter().filter(is_meant).map(describe_shard).collect(),
        };
        let more = children.len() > limit;
        children.truncate(limit);
        let status = topology.status;
        (StreamDescription { stream: self.clone(), status, shards: children }, more)
    }

    /// Where the next record of a shard will be, trimmed records counted: the position of an iterator
    /// at LATEST. A closed shard's end.
    ///
    /// # Errors
    ///
    /// [`Error::ShardNotFound`].
    pub fn record_count(&self, shard: &str) -> Result<u64, Error> {
        Ok(self.shard(shard)?.log.end().get())
    }

    /// A consistent view of a shard, as positions: all that is retained and published without a hole.
    ///
    /// # Errors
    ///
    /// [`Error::ShardNotFound`].
    ///
    /// # Progress
    ///
    /// Lock-free, see [`Log::snapshot`](crate::log::Log::snapshot).
    pub fn snapshot(&self, shard: &str) -> Result<Snapshot, Error> {
        Ok(self.shard(shard)?.log.snapshot())
    }

    /// Gives up all records of a shard before a position; returns the earliest one that is retained.
    ///
    /// # Errors
    ///
    /// [`Error::ShardNotFound`].
    ///
    /// # Progress
    ///
    /// Lock-free, see [`Log::trim`](crate::log::Log::trim).
    pub fn trim(&self, shard: &str, before: Position) -> Result<Position, Error> {
        Ok(self.give_up(&*self.shard(shard)?, before))
    }

    /// Waits until every reader sees the record of this number.
    ///
    /// A record that [`Stream::put`] has returned the number of is visible when the puts that were in
    /// flight at that moment have finished too. An acknowledgement sent after this call is never ahead
    /// of what readers see.
    ///
    /// # Errors
    ///
    /// [`Error::SequenceNumberOutOfShard`] when the stream has no such record and never will.
    ///
    /// # Progress
    ///
    /// Blocks: spins, then yields, then naps, until the writers of smaller positions have published.
    pub fn wait_visible(&self, number: SequenceNumber) -> Result<(), Error> {
        let place = number.ordinal().zip(number.position());
        let shard = place.and_then(|(ordinal, _)| self.shard_by_ordinal(ordinal));
        let (Some((ordinal, position)), Some(shard)) = (place, shard) else {
            return Err(self.out_of_shard(number, number.ordinal().unwrap_or(0)));
        };
        shard.log.wait_visible(position).map_err(|never: NeverVisible| {
            debug_assert!(never.end <= never.position);
            self.out_of_shard(number, ordinal)
        })
    }

    /// Whether every reader sees the record of this number by now: [`Stream::wait_visible`] for those who
    /// must not block.
    ///
    /// # Errors
    ///
    /// [`Error::SequenceNumberOutOfShard`] when the shard of this number is not listed.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn is_visible(&self, number: SequenceNumber) -> Result<bool, Error> {
        let place = number.ordinal().zip(number.position());
        let visible = place.and_then(|(ordinal, position)| {
            self.find_in_topology(|topology| {
                topology
                    .by_ordinal(ordinal)
                    .map(|listed| position < listed.shard.log.snapshot().end())
            })
        });
        visible.ok_or_else(|| self.out_of_shard(number, number.ordinal().unwrap_or(0)))
    }

    fn out_of_shard(&self, given: SequenceNumber, ordinal: u32) -> Error {
        Error::SequenceNumberOutOfShard { given, starting: SequenceNumber::starting(ordinal) }
    }

    /// Figures of all shards, which are made if nobody has come to the stream before. Cheap.
    pub fn stats(&self) -> StreamStats {
        let topology = self.topology().load_full();
        let figures = |listed: &Listed| (listed.shard.id.clone(), listed.shard.log.stats());
        let shards = topology.shards.iter().map(figures).collect();
        StreamStats { shards, bytes: self.charged_bytes() }
    }

    /// Gives up all records and the memory that the shards keep for later.
    pub(crate) fn clear(&self) {
        for listed in &self.topology().load_full().shards {
            self.give_up(&listed.shard, listed.shard.log.end());
            listed.shard.log.shrink();
        }
    }

    /// The topology as it is shown: without shards if nobody has come to the stream yet.
    #[inline]
    pub(crate) fn shown_topology(&self) -> &MetadataCell<Topology> {
        &self.0.topology
    }

    pub(crate) fn context(&self) -> &Context {
        &self.0.context
    }

    pub(crate) fn settings(&self) -> Settings {
        self.0.settings
    }

    pub(crate) fn retention(&self) -> Retention {
        self.0.settings.retention
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// The stream's lives before this one, if it was restored.
    pub(crate) fn heritage(&self) -> Option<&Heritage> {
        match &self.0.origin {
            Origin::Registered(_) => None,
            Origin::Restored(heritage) => Some(heritage),
        }
    }

    /// How its first shards are made, if it was not restored.
    pub(crate) fn founding(&self) -> Option<Founding> {
        match self.0.origin {
            Origin::Registered(founding) => Some(founding),
            Origin::Restored(_) => None,
        }
    }

    pub(crate) fn charged_bytes(&self) -> u64 {
        self.0.ledger.bytes()
    }

    /// Whether the bytes of its records are counted: only if somebody wants to bound them.
    #[inline]
    pub(crate) fn is_charged(&self) -> bool {
        self.0.settings.is_charged(&self.0.context)
    }

    /// Whether both handles are of one stream.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        StdArc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn downgrade(&self) -> WeakStream {
        WeakStream(StdArc::downgrade(&self.0))
    }

    /// Notes that the stream was disabled at `now_ms`, if that was not noted before.
    pub(crate) fn begin_to_go(&self, now_ms: u64) {
        self.go_at(now_ms.saturating_add(self.retention().shown_ms()));
    }

    /// Notes when the stream is to be found no more, if no earlier time was noted before.
    pub(crate) fn go_at(&self, gone_ms: u64) {
        // Relaxed: the first time counts, and orders nothing.
        self.0.gone_ms.fetch_min(gone_ms, Ordering::Relaxed);
    }

    /// From when on the stream is found no more, if it was disabled.
    pub(crate) fn gone_ms(&self) -> Option<u64> {
        // Relaxed: as in `is_gone`.
        Some(self.0.gone_ms.load(Ordering::Relaxed)).filter(|ms| *ms < u64::MAX)
    }

    /// Whether the stream was disabled so long ago that it is not to be found any more.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        // Relaxed: a time to compare with the clock, which is not read while there is none.
        let gone_ms = self.0.gone_ms.load(Ordering::Relaxed);
        gone_ms < u64::MAX && self.now_ms() > gone_ms
    }

    /// The time by the store's clock.
    pub(crate) fn now_ms(&self) -> u64 {
        self.context().clock.now_ms()
    }

    pub(crate) fn shard(&self, id: &str) -> Result<Arc<Shard>, Error> {
        let find = |topology: &Topology| topology.find(id).map(|listed| Arc::clone(&listed.shard));
        self.find_in_topology(find).ok_or_else(|| Error::ShardNotFound {
            arn: self.info().arn().as_str().into(),
            shard: id.into(),
        })
    }

    pub(crate) fn shard_by_ordinal(&self, ordinal: u32) -> Option<Arc<Shard>> {
        self.find_in_topology(|topology| {
            topology.by_ordinal(ordinal).map(|listed| Arc::clone(&listed.shard))
        })
    }
}

fn describe_shard(listed: &Listed) -> ShardInfo {
    let shard = &listed.shard;
    ShardInfo {
        shard_id: shard.id.clone(),
        parent_shard_id: shard.parent.clone(),
        starting_sequence_number: SequenceNumber::starting(shard.ordinal),
        ending_sequence_number: listed.end.map(|end| shard.number_before(end.position)),
        hash_range: shard.range,
        created_ms: shard.created_ms,
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.info().arn().as_str()).finish()
    }
}
