//! A shard: one log of records, its place among the shards of its stream, and its name.

use std::fmt;
use std::sync::Arc as StdArc;

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::routing::HashRange;
use crate::log::{Log, LogHandle, Position, SealedHandle};
use crate::model::{Record, SequenceNumber, StreamInfo};
use crate::sync::Arc;
use crate::sync::atomic::AtomicU64;

/// The name of a shard: `shardId-<20 digits: creation time, epoch ms>-<8 lower hex>`.
///
/// The middle rises from shard to shard of a stream, even when the clock stands still, so that the
/// order of names is the order of creation. Consumers read it as a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(StdArc<str>);

impl ShardId {
    pub(crate) fn new(info: &StreamInfo, ordinal: u32, created_ms: u64) -> Self {
        let mut name = info.arn().as_str().as_bytes().to_vec();
        name.extend_from_slice(&ordinal.to_le_bytes());
        let tag = SipHasher13::new().hash(&name) as u32;
        Self(format!("shardId-{created_ms:020}-{tag:08x}").into())
    }

    /// The name as a text of 37 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What comes after a shard that has been closed.
pub(crate) enum Successor {
    /// Nothing: the stream was disabled.
    Final,
    /// These shards: one after a roll, two after a split.
    Children(Children),
}

/// The shards that go on where a parent ended.
pub(crate) type Children = SmallVec<[Arc<Shard>; 2]>;

/// One shard of a stream.
pub(crate) struct Shard {
    /// Its number in the stream, in order of creation; the upper part of its sequence numbers.
    pub(crate) ordinal: u32,
    pub(crate) id: ShardId,
    pub(crate) parent: Option<ShardId>,
    pub(crate) created_ms: u64,
    pub(crate) range: HashRange,
    /// The first position whose record has not been credited yet, see [`retention`](super::retention).
    pub(crate) released: AtomicU64,
    pub(crate) rolling: Rolling,
    pub(crate) log: Log<Record, Successor>,
}

/// When a shard is to be closed, and to go on in a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rolling {
    /// From this time on, in milliseconds since the epoch.
    pub(crate) at_ms: u64,
    /// Behind so many records.
    pub(crate) behind: u64,
}

impl Shard {
    /// Whether it is old enough to be rolled.
    #[inline]
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.rolling.at_ms
    }

    /// The number of the record at a position.
    pub(crate) fn number(&self, position: Position) -> SequenceNumber {
        SequenceNumber::new(self.ordinal, position)
    }

    /// The number at or behind all records before `end`: a closed shard's last record, or its starting
    /// number if it has none.
    pub(crate) fn number_before(&self, end: Position) -> SequenceNumber {
        match end.get().checked_sub(1) {
            Some(last) => self.number(Position::new(last)),
            None => SequenceNumber::starting(self.ordinal),
        }
    }
}

impl Drop for Shard {
    /// Lets a long lineage go link by link instead of by recursion, as deep as it may be.
    fn drop(&mut self) {
        let mut orphans: SmallVec<[Arc<Shard>; 8]> = SmallVec::new();
        take_children(self, &mut orphans);
        while let Some(orphan) = orphans.pop() {
            if let Ok(mut last) = Arc::try_unwrap(orphan) {
                take_children(&mut last, &mut orphans);
            }
        }
    }
}

fn take_children(shard: &mut Shard, orphans: &mut SmallVec<[Arc<Shard>; 8]>) {
    if let Some(Successor::Children(children)) = shard.log.take_successor() {
        orphans.extend(children);
    }
}

/// A shared shard, as guards of its log hold it.
#[derive(Clone)]
pub(crate) struct ShardHandle(pub(crate) Arc<Shard>);

impl SealedHandle for ShardHandle {}

impl LogHandle for ShardHandle {
    type Value = Record;
    type Successor = Successor;
    #[inline]
    fn log(&self) -> &Log<Record, Successor> {
        &self.0.log
    }
}
