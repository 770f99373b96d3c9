//! Restoring a stream into a store: it is not there until it is whole.

use std::fmt;
use std::sync::Arc;

use super::{Enlisted, Store};
use crate::error::{ArchiveFault, Error};
use crate::log::Position;
use crate::stream::{Lineage, Rebuild, RecordState, ShardState, Stream, StreamState};

/// A stream that is being restored: see [`Store::restore_stream`]. Nothing is left of one that is dropped.
#[must_use = "`finish` puts the stream into the store"]
pub struct StreamRestore {
    store: Store,
    rebuild: Rebuild,
}

impl Store {
    /// What another store must know of this one, and of those before it, to go on with their shard iterators: see
    /// [`StoreBuilder::restored_from`](super::StoreBuilder::restored_from). To be written down with the
    /// [archives](Stream::archive) of the streams.
    ///
    /// It holds the key of the iterators, which is a secret.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        let context = &self.0.context;
        context.lineage.with(context.incarnation, self.now_ms())
    }

    /// Begins to restore a stream from what an [`Archive`](crate::stream::Archive) told of it, under its old ARN:
    /// give its shards in their order, each followed by its records, and then [finish](StreamRestore::finish).
    ///
    /// ```
    /// # use streamcore::model::{AttributeValue, Change, Image, KeySchema, StreamViewType};
    /// # use streamcore::{Store, StreamConfig};
    /// # let config = StreamConfig::new("Orders", KeySchema::new("id", None)?, StreamViewType::NewImage);
    /// # let store = Store::new();
    /// # let stream = store.register_stream(config)?;
    /// # let item = [("id".to_owned(), AttributeValue::N("1".to_owned()))];
    /// stream.put(Change::insert(Image::new(item.into())))?;
    /// let (lineage, archive) = (store.lineage(), stream.archive());
    ///
    /// let restored = Store::builder().restored_from(lineage).build();
    /// let mut restore = restored.restore_stream(archive.state().clone())?;
    /// for shard in archive.shards() {
    ///     restore.shard(shard.state().clone())?;
    ///     for (position, record) in shard.records() {
    ///         restore.record(position, record)?;
    ///     }
    /// }
    /// let stream = restore.finish()?;
    /// let shards = stream.describe().shards;
    /// assert_eq!(shards[1].parent_shard_id.as_ref(), Some(&shards[0].shard_id));
    /// # Ok::<(), streamcore::Error>(())
    /// ```
    ///
    /// What was there keeps its names, positions, sequence numbers, times and event ids. Every shard that was open
    /// is closed, and goes on in one child with the same range of keys, whose ordinal is of a new
    /// [generation](crate::stream::Generation): the stream before may have used those that come next. A stream that
    /// was disabled stays so.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArchive`] when the store has a stream of that name, or the state contradicts itself.
    pub fn restore_stream(&self, state: StreamState) -> Result<StreamRestore, Error> {
        let rebuild = Rebuild::new(state, Arc::clone(&self.0.context))?;
        if self.stream(rebuild.state().info.arn().as_str()).is_ok() {
            return Err(rebuild.refuse(ArchiveFault::Exists));
        }
        Ok(StreamRestore { store: self.clone(), rebuild })
    }
}

impl StreamRestore {
    /// Goes on with the next shard. The one before has all of its records.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArchive`] says what contradicts what came before.
    pub fn shard(&mut self, state: ShardState) -> Result<(), Error> {
        self.rebuild.shard(state)
    }

    /// Goes on with the next record of the shard.
    ///
    /// # Errors
    ///
    /// As [`StreamRestore::shard`].
    pub fn record(&mut self, position: Position, state: RecordState) -> Result<(), Error> {
        self.rebuild.record(position, state)
    }

    /// Puts the stream into the store. What it keeps is charged against the store's bound on bytes; if that is
    /// too much, the next puts give up the oldest, stream by stream in the order in which they were restored.
    ///
    /// # Errors
    ///
    /// As [`StreamRestore::shard`]; also when a stream of its name was registered meanwhile.
    ///
    /// # Progress
    ///
    /// Blocks other registrations and listings for a moment; neither puts nor reads.
    pub fn finish(self) -> Result<Stream, Error> {
        let Self { store, rebuild } = self;
        let exists = rebuild.refuse(ArchiveFault::Exists);
        let stream = rebuild.finish()?;
        match store.0.enlist(&stream) {
            Enlisted::Now => Ok(stream),
            Enlisted::Known(_) => Err(exists),
        }
    }
}

impl fmt::Debug for StreamRestore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arn = self.rebuild.state().info.arn().as_str();
        f.debug_struct("StreamRestore").field("arn", &arn).finish_non_exhaustive()
    }
}
