//! A shard: one log of records, its place among the shards of its stream, and its name.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc as StdArc;

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::routing::HashRange;
use super::topology::Birth;
use crate::log::{Log, LogHandle, Position, SealedHandle};
use crate::model::{Record, SequenceNumber, Serial, StreamInfo, hexadecimal};
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
        let mut hasher = SipHasher13::new();
        hasher.write(info.arn().as_str().as_bytes());
        hasher.write(&ordinal.to_le_bytes());
        let tag = hasher.finish() as u32;
        // By hand: formatting takes a good part of the time of registering a stream.
        let mut name = *b"shardId-00000000000000000000-00000000";
        let mut rest = created_ms;
        for digit in name[8..28].iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        name[29..].copy_from_slice(&hexadecimal(tag));
        Self(str::from_utf8(&name).unwrap_or_default().into())
    }

    /// A name that was given before.
    pub(crate) fn of_name(name: &str) -> Self {
        Self(name.into())
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
    /// What tells it from a shard of another stream that had the same ARN before.
    #[cfg_attr(
        not(feature = "serde"),
        allow(dead_code, reason = "what is cached has its shard's")
    )]
    pub(crate) serial: Serial,
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
    pub(crate) fn new(
        info: &StreamInfo,
        Birth { ordinal, created_ms }: Birth,
        parent: Option<ShardId>,
        range: HashRange,
        rolling: Rolling,
        log: Log<Record, Successor>,
    ) -> Self {
        let id = ShardId::new(info, ordinal, created_ms);
        let released = AtomicU64::new(log.earliest().get());
        Self {
            ordinal,
            serial: Serial::next(),
            id,
            parent,
            created_ms,
            range,
            released,
            rolling,
            log,
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KeySchema, StreamViewType};

    #[test]
    fn names_of_shards_do_not_change() {
        let schema = KeySchema::new("pk", None).unwrap();
        let info = StreamInfo::builder("Orders", schema, StreamViewType::KeysOnly).build().unwrap();
        for (ordinal, created_ms, name) in [
            (0, 0, "shardId-00000000000000000000-7395efa6"),
            (7, 1_432_155_070_252, "shardId-00000001432155070252-f0fb4525"),
            (u32::MAX, u64::MAX, "shardId-18446744073709551615-1afbcf35"),
        ] {
            assert_eq!(ShardId::new(&info, ordinal, created_ms).as_str(), name);
        }
    }
}
