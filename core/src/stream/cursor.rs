//! Following a shard: record after record, waiting without polling for those to come.

use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use super::handle::Stream;
use super::page::trimmed;
use super::retention::Effort;
use super::shard::{Shard, ShardHandle, ShardId, Successor};
use crate::error::Error;
use crate::log::{Cursor, Next, Position, Ready, WaitOutcome};
use crate::model::RecordRef;
use crate::sync::Arc;

/// What a [`ShardCursor`] finds at its position.
#[derive(Debug)]
pub enum NextRecord<'a> {
    /// The next record.
    Record(RecordRef<'a>),
    /// Nothing yet.
    Pending,
    /// Nothing, for ever: the shard is closed and has been read to its end. Its children are listed.
    Closed,
}

/// Reads a shard record by record. It pins the segment of its last record and nothing else.
pub struct ShardCursor {
    stream: Stream,
    shard: Arc<Shard>,
    cursor: Cursor<ShardHandle>,
}

impl Stream {
    /// A cursor whose next record is the one at a position of a shard. What is too old by now is not
    /// delivered; later the cursor goes by what is retained, not by the clock.
    ///
    /// # Errors
    ///
    /// [`Error::ShardNotFound`].
    pub fn cursor(&self, shard: &str, from: Position) -> Result<ShardCursor, Error> {
        let shard = self.shard(shard)?;
        Ok(ShardCursor::of(self, shard, from))
    }
}

impl ShardCursor {
    /// A cursor of a shard that need not be listed any more.
    pub(crate) fn of(stream: &Stream, shard: Arc<Shard>, from: Position) -> Self {
        stream.keep_age(&shard, stream.now_ms(), Effort::All);
        let cursor = Cursor::new(ShardHandle(Arc::clone(&shard)), from);
        Self { stream: stream.clone(), shard, cursor }
    }

    /// The next record, if there is one; the cursor then moves on.
    ///
    /// # Errors
    ///
    /// [`Error::Trimmed`] when the next record is no longer retained: go on with [`ShardCursor::seek`].
    ///
    /// # Progress
    ///
    /// As [`Cursor::next`].
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    pub fn next(&mut self) -> Result<NextRecord<'_>, Error> {
        self.step()
    }

    /// [`ShardCursor::next`] for a caller that hands the record on: inlined, it is built where it goes.
    #[inline(always)]
    pub(super) fn step(&mut self) -> Result<NextRecord<'_>, Error> {
        match self.cursor.next().map_err(trimmed)? {
            Next::Record(position, record) => {
                let number = self.shard.number(position);
                Ok(NextRecord::Record(RecordRef::new(self.stream.info(), record, number)))
            }
            Next::Pending => Ok(NextRecord::Pending),
            Next::Closed => {
                self.stream.show_closed(&self.shard);
                Ok(NextRecord::Closed)
            }
        }
    }

    /// The position of the next record.
    pub fn position(&self) -> Position {
        self.cursor.position()
    }

    /// Goes on at another position.
    pub fn seek(&mut self, to: Position) {
        self.cursor.seek(to);
    }

    /// The name of the shard.
    pub fn shard_id(&self) -> &ShardId {
        &self.shard.id
    }

    /// The shards that go on where this one ended; none while it is open, or when the stream was
    /// disabled.
    pub fn children(&self) -> Vec<ShardId> {
        self.stream.show_closed(&self.shard);
        match self.shard.log.successor() {
            Some(Successor::Children(children)) => {
                children.iter().map(|child| child.id.clone()).collect()
            }
            Some(Successor::Final) | None => Vec::new(),
        }
    }

    /// Waits for the next record, at the longest for `limit` (`None`: as long as it takes).
    ///
    /// # Progress
    ///
    /// Blocks the thread.
    pub fn wait(&mut self, limit: Option<Duration>) -> WaitOutcome {
        self.cursor.wait(limit)
    }

    /// Waits for the next record, by whatever runtime the task runs on. Cancel-safe.
    pub async fn ready(&mut self) -> Ready {
        self.cursor.ready().await
    }

    /// [`ShardCursor::ready`] for hand-written futures.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Ready> {
        self.cursor.poll_ready(context)
    }
}

impl fmt::Debug for ShardCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardCursor")
            .field("stream", &self.stream)
            .field("shard", &self.shard.id)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
