//! Lineage: closing shards, by a roll, a split, or for ever.
//!
//! # The order of things
//!
//! 1. The children are made, and offered to the parent's log as its successor. One offer wins.
//! 2. The log is sealed: no record lands behind its end.
//! 3. The topology lists the parent as closed and its children as open, in one step.
//!
//! Between 2 and 3 the seal is a fact that the topology does not show yet. Whoever meets it there (an
//! append that was turned away, a reader at the end) does step 3 itself before it goes on, so nobody
//! waits for the one who began, and nobody is told that a shard ended whose children are not listed.
//!
//! Models: `topology`, `topology_described`, `topology_two_closings`, `topology_disabled`,
//! `topology_refused`, `topology_read_to_the_end`.

use smallvec::SmallVec;

use super::handle::Stream;
use super::heritage::Generation;
use super::routing::HashRange;
use super::shard::{Children, Shard, ShardId, Successor};
use super::topology::{End, Listed};
use crate::error::Error;
use crate::log::Log;
use crate::model::StreamStatus;
use crate::sync::Arc;

/// What an append does that was turned away from a closed shard.
pub(crate) enum Redirected {
    /// Look again: the children are listed.
    Again,
    /// Give up: the stream takes no more records.
    Closed,
}

impl Stream {
    /// Closes a shard and goes on in one child with the same range of keys.
    ///
    /// Returns the names of the children: those of another call's, if it closed the shard before.
    ///
    /// # Errors
    ///
    /// [`Error::ShardNotFound`]; [`Error::StreamClosed`] when the stream was disabled;
    /// [`Error::OutOfShards`] when it has had a million of them since it was made or restored.
    ///
    /// # Progress
    ///
    /// Lock-free. Appends that race it lose nothing and wait for nobody; each item's order holds
    /// across the border.
    pub fn roll(&self, shard: &str) -> Result<Vec<ShardId>, Error> {
        self.replace(shard, 1)
    }

    /// Closes a shard and goes on in two children, each with half of its range of keys (a single key's
    /// range cannot be halved: then in one).
    ///
    /// # Errors
    ///
    /// As [`Stream::roll`].
    ///
    /// # Progress
    ///
    /// As [`Stream::roll`].
    pub fn split(&self, shard: &str) -> Result<Vec<ShardId>, Error> {
        self.replace(shard, 2)
    }

    /// Closes all shards: the stream takes no more records, and stays readable. Disabling it again does
    /// nothing.
    ///
    /// Meanwhile its status is `DISABLING`: only then may a closed shard have no child.
    ///
    /// # Progress
    ///
    /// Lock-free: shards that are rolled or split meanwhile are closed too.
    pub fn disable(&self) {
        self.show_status(StreamStatus::Disabling);
        loop {
            let topology = self.topology().load_full();
            if topology.open().is_empty() {
                break;
            }
            for shard in topology.open() {
                shard.log.seal(Successor::Final);
                self.show_closed(shard);
            }
        }
        self.begin_to_go(self.now_ms());
        self.show_status(StreamStatus::Disabled);
    }

    /// Rolls a shard whose time has come.
    #[cold]
    pub(crate) fn roll_due(&self, shard: &Shard) {
        // Without a shard to go on in, this one goes on.
        let Ok(children) = self.make_children(shard, 1) else { return };
        shard.log.seal(Successor::Children(children));
        self.show_closed(shard);
    }

    /// Takes shards out of the list that were closed long ago, and whose records are gone.
    pub(crate) fn forget_expired(&self, now_ms: u64) {
        let shown_ms = self.retention().shown_ms();
        let is_expired = |listed: &Listed| {
            listed.end.is_some_and(|end| {
                now_ms.saturating_sub(end.closed_ms) > shown_ms
                    && listed.shard.log.earliest() >= end.position
            })
        };
        if !self.topology().with(|topology| topology.shards.iter().any(is_expired)) {
            return;
        }
        self.topology().rcu(|topology| {
            let mut changed = (**topology).clone();
            // A disabled stream keeps its last shards: it goes as a whole.
            if changed.status <= StreamStatus::Enabled {
                changed.forget(is_expired);
            }
            Arc::new(changed)
        });
    }

    /// Shows a status, unless a later one is shown.
    fn show_status(&self, status: StreamStatus) {
        self.topology().rcu(|topology| {
            let mut changed = (**topology).clone();
            changed.status = status.max(changed.status);
            Arc::new(changed)
        });
    }

    fn replace(&self, shard: &str, parts: u32) -> Result<Vec<ShardId>, Error> {
        let parent = self.shard(shard)?;
        let children = self.make_children(&parent, parts)?;
        parent.log.seal(Successor::Children(children));
        self.show_closed(&parent);
        match parent.log.successor() {
            Some(Successor::Children(children)) => {
                Ok(children.iter().map(|child| child.id.clone()).collect())
            }
            Some(Successor::Final) | None => Err(self.closed()),
        }
    }

    fn make_children(&self, parent: &Shard, parts: u32) -> Result<Children, Error> {
        let ranges: SmallVec<[HashRange; 2]> = parent.range.divide(parts).collect();
        ranges.into_iter().map(|range| self.make_shard(range, parent.id.clone())).collect()
    }

    /// A new shard that goes on from another one, not listed yet.
    pub(crate) fn make_shard(
        &self,
        range: HashRange,
        parent: ShardId,
    ) -> Result<Arc<Shard>, Error> {
        let now_ms = self.now_ms();
        let before = self.topology().rcu(|topology| {
            let mut changed = (**topology).clone();
            if let Some(birth) = topology.birth(now_ms) {
                changed.born(birth);
            }
            Arc::new(changed)
        });
        let birth = before.birth(now_ms).ok_or_else(|| self.out_of_shards())?;
        // By the clock, not by the shard's own time, which runs ahead of a clock that stands still.
        let rolling = self.settings().rolling(now_ms);
        let log = Log::with_options(self.settings().log_options(self.context()));
        Ok(Arc::new(Shard::new(self.info(), birth, Some(parent), range, rolling, log)))
    }

    #[cold]
    fn out_of_shards(&self) -> Error {
        let allowed = Generation::ORDINALS - 1;
        Error::OutOfShards { arn: self.info().arn().as_str().into(), allowed }
    }

    /// Lists a sealed shard as closed and its children as open, if nobody has done so yet.
    pub(crate) fn show_closed(&self, shard: &Shard) {
        let ends = (shard.log.sealed_end(), shard.log.successor());
        let (Some(position), Some(successor)) = ends else {
            return;
        };
        let closed_ms = self.now_ms();
        let none = Children::new();
        let children = match successor {
            Successor::Final => &none,
            Successor::Children(children) => children,
        };
        let shown = |listed: &Listed| listed.end.is_some();
        if self.topology().with(|now| now.by_ordinal(shard.ordinal).is_none_or(shown)) {
            return;
        }
        self.topology().rcu(|topology| {
            let mut changed = (**topology).clone();
            changed.close(&shard.id, End { position, closed_ms }, children);
            debug_assert!(changed.status > StreamStatus::Enabled || changed.covers_all_hashes());
            Arc::new(changed)
        });
    }

    /// An append met the seal of this shard.
    #[cold]
    pub(crate) fn redirected_from(&self, shard: &Shard) -> Redirected {
        self.show_closed(shard);
        match shard.log.successor() {
            Some(Successor::Children(_)) => Redirected::Again,
            Some(Successor::Final) | None => Redirected::Closed,
        }
    }

    pub(crate) fn closed(&self) -> Error {
        Error::StreamClosed { arn: self.info().arn().as_str().into() }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::model::{AttributeValue, Change, Image, KeySchema, StreamViewType};
    use crate::{Store, StreamConfig};

    #[test]
    fn a_stream_without_shards_left_goes_on_in_those_that_it_has() {
        let schema = KeySchema::new("id", None).unwrap();
        let config = StreamConfig::new("Orders", schema, StreamViewType::NewImage);
        let config = config.roll_after_records(NonZeroU64::MIN);
        let stream = Store::new().register_stream(config).unwrap();
        let last = Generation::ORDINALS - 2;
        stream.topology().rcu(|topology| {
            let mut changed = (**topology).clone();
            changed.skip_to(last);
            Arc::new(changed)
        });
        let put = || {
            let id = ("id".to_owned(), AttributeValue::N("1".to_owned()));
            stream.put(Change::insert(Image::new([id].into()))).unwrap().ordinal()
        };
        assert_eq!((put(), put(), put()), (Some(0), Some(last), Some(last)));
        let shard = stream.describe().shards.pop().unwrap().shard_id;
        let refused = Error::OutOfShards {
            arn: stream.info().arn().as_str().into(),
            allowed: Generation::ORDINALS - 1,
        };
        assert_eq!(stream.split(shard.as_str()), Err(refused.clone()));
        assert_eq!(stream.roll(shard.as_str()), Err(refused));
        assert_eq!(stream.describe().shards.len(), 2);
        // The next generation is not touched.
        assert_eq!(
            Generation::behind(stream.archive().state().next_ordinal),
            Generation::behind(last)
        );
    }
}
