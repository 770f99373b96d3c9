//! Consuming a stream: all of its shards, parents before children, record after record.
//!
//! # State
//!
//! A consumer has one *lane* for each shard that it is reading: a cursor. Lanes take turns; a turn is a
//! look at how much is there, and then up to [`TURN`] records in a row, so that a record costs little
//! more than with a cursor of one shard. A lane that has reached the end of its shard is replaced by
//! the lanes of the shard's children. Where the lanes are is all that checkpoints have to say.
//!
//! # Who may do what
//!
//! A consumer belongs to one thread at a time, and each has its own place: any number of them follow
//! one stream, and everybody puts, rolls, splits and trims meanwhile.
//!
//! # Progress
//!
//! [`Consumer::next`] is lock-free, [`Consumer::wait`] blocks.

use std::fmt;
use std::sync::Arc as StdArc;

use super::cursor::{NextRecord, ShardCursor};
use super::handle::Stream;
use super::shard::{Shard, ShardId};
use crate::error::Error;
use crate::log::Position;
use crate::model::RecordRef;
use crate::sync::Arc;

mod checkpoints;
mod gap;
mod plan;
mod wait;

pub use checkpoints::Checkpoints;
use checkpoints::Entry;
pub(crate) use checkpoints::created_ms_of;
pub use gap::Gap;
use plan::{Lost, Plan, children_of, plan};

/// The most records that one shard delivers before the next one has its turn.
const TURN: u64 = 256;

/// Where a [`Consumer`] starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConsumerStart {
    /// At the earliest records that are retained now.
    #[default]
    TrimHorizon,
    /// Behind the last records that have been put now.
    Latest,
    /// Where another consumer of the stream was when it gave these [checkpoints](Consumer::checkpoints);
    /// without any entry, at the trim horizon.
    After(Checkpoints),
}

impl From<Checkpoints> for ConsumerStart {
    fn from(checkpoints: Checkpoints) -> Self {
        Self::After(checkpoints)
    }
}

/// What a [`Consumer`] finds.
#[derive(Debug)]
pub enum NextChange<'a> {
    /// The next record.
    Record {
        /// The shard that it is in.
        shard: &'a ShardId,
        /// The record; its sequence number is its place in the stream.
        record: RecordRef<'a>,
    },
    /// Nothing yet.
    Pending,
    /// Nothing, for ever: the stream was disabled and has been read to its end.
    Closed,
}

/// One shard that is being read.
struct Lane {
    shard: Arc<Shard>,
    /// The shard's name, as checkpoints hold it.
    name: StdArc<str>,
    cursor: ShardCursor,
}

/// What a lane has to say.
enum Look {
    /// So many records, at least one.
    Records(u64),
    Pending,
    /// Its shard is closed and has been read to its end.
    Ended,
}

impl Lane {
    fn new(stream: &Stream, shard: &Arc<Shard>, from: Position) -> Self {
        let cursor = ShardCursor::of(stream, Arc::clone(shard), from);
        Self { shard: Arc::clone(shard), name: shard.id.as_str().into(), cursor }
    }

    fn look(&self) -> Look {
        let (next, visible) = (self.cursor.position(), self.shard.log.snapshot().end());
        if next < visible {
            return Look::Records(visible.since(next));
        }
        match self.shard.log.sealed_end() {
            Some(end) if next >= end => Look::Ended,
            _ => Look::Pending,
        }
    }

    /// Whether the next record is reserved; asked when it is not readable yet.
    fn has_unpublished(&self) -> bool {
        self.shard.log.end() > self.cursor.position()
    }

    fn entry(&self) -> Entry {
        let next = self.shard.number(self.cursor.position());
        Entry { shard: StdArc::clone(&self.name), next }
    }
}

/// How the search for a lane with records ended.
enum Turn {
    /// `left` records are there, in lane `at`.
    Records,
    /// Shards are gone: before all others, the first of `lost`.
    Gap,
    Pending,
    Closed,
}

/// Reads all shards of a stream, parents before children, from a set of starting points on.
///
/// It pins the segment of the last record of each shard that it is reading, and nothing else. See
/// [`Stream::consume`].
pub struct Consumer {
    stream: Stream,
    lanes: Vec<Lane>,
    /// The lane whose turn it is.
    at: usize,
    /// The records that are known to be there for it, in this turn.
    left: u64,
    /// Shards that are opened behind their parents, elsewhere than at their beginning.
    waiting: Vec<(Arc<Shard>, Position)>,
    /// Shards of the checkpoints that are gone, until they are skipped.
    lost: Vec<Lost>,
    /// The last shards of a disabled stream, read to their ends.
    ended: Vec<Entry>,
}

impl Stream {
    /// Follows the whole stream: the records of all of its shards, also of those to come.
    ///
    /// ```
    /// use streamcore::stream::{ConsumerStart, NextChange};
    /// # use streamcore::{Store, StreamConfig};
    /// # use streamcore::model::{AttributeValue, Change, Image, KeySchema, StreamViewType};
    /// # let config = StreamConfig::new("Orders", KeySchema::new("id", None)?, StreamViewType::NewImage);
    /// # let stream = Store::new().register_stream(config)?;
    /// # let order = |id: u64| {
    /// #     Change::insert(Image::new([("id".to_owned(), AttributeValue::N(id.to_string()))].into()))
    /// # };
    /// for id in 0..10 {
    ///     stream.put(order(id))?;
    /// }
    /// stream.split(stream.describe().shards[0].shard_id.as_str())?;
    /// stream.put(order(10))?;
    /// stream.disable();
    ///
    /// let mut consumer = stream.consume(ConsumerStart::TrimHorizon)?;
    /// let mut seen = 0;
    /// loop {
    ///     match consumer.next()? {
    ///         NextChange::Record { shard, record } => {
    ///             println!("{shard} {} {:?}", record.sequence_number(), record.keys());
    ///             seen += 1;
    ///         }
    ///         // A host stores this now and then; `stream.consume(text.parse::<Checkpoints>()?)` resumes.
    ///         NextChange::Pending => {
    ///             let text = consumer.checkpoints().to_string();
    ///             consumer.wait(None);
    ///             # drop(text);
    ///         }
    ///         NextChange::Closed => break,
    ///     }
    /// }
    /// assert_eq!(seen, 11);
    /// # Ok::<(), streamcore::Error>(())
    /// ```
    ///
    /// # Consistency
    ///
    /// - **Order**: the records of one shard come in their order, and a shard's first record after the
    ///   last of its parent's. So the changes of one item come in the order in which they were put,
    ///   through rolls and splits. Shards that are open at the same time take turns, and nothing is
    ///   promised on the order between them.
    /// - **Completeness**: each record behind the starting points is delivered once, or reported as
    ///   trimmed. Like any reader, a consumer sees a record when all puts with smaller positions in its
    ///   shard have returned.
    /// - **At least once**: a host that resumes from [`Consumer::checkpoints`] gets every record that the
    ///   first consumer had not handed out when it gave them, and none of the others. What was handed
    ///   out after the last checkpoints that the host stored comes again.
    /// - **Trimmed records**: what was trimmed before it was read is a [`Gap`], an error that
    ///   [`Consumer::next`] repeats until it is told to [skip](Consumer::skip) it. What is trimmed
    ///   before the consumer is made is no gap at the trim horizon, but one behind checkpoints.
    ///
    /// # Errors
    ///
    /// Only for checkpoints: [`Error::ShardNotFound`] when they are of another stream,
    /// [`Error::SequenceNumberOutOfShard`] when one lies behind the end of its shard, and
    /// [`Error::NotInSnapshot`] when one names what came after the snapshot that the stream was restored from.
    ///
    /// # Progress
    ///
    /// Lock-free; looks at each shard that is listed.
    pub fn consume(&self, start: impl Into<ConsumerStart>) -> Result<Consumer, Error> {
        let Plan { open, waiting, lost } = plan(self, &start.into())?;
        let lanes = open.iter().map(|(shard, from)| Lane::new(self, shard, *from)).collect();
        let stream = self.clone();
        Ok(Consumer { stream, lanes, at: 0, left: 0, waiting, lost, ended: Vec::new() })
    }
}

impl Consumer {
    /// The next record, if there is one; the consumer then moves on.
    ///
    /// # Errors
    ///
    /// A [`Gap`] when the next records of a shard are no longer retained. The consumer stays before
    /// them, and says so whenever it is the shard's turn, until it is told to [skip](Consumer::skip)
    /// them; the other shards go on. Records of a segment that the consumer is in are delivered even
    /// if they were trimmed since.
    ///
    /// # Progress
    ///
    /// Lock-free; wait-free while records are known to be there. Never waits for a writer.
    // Always inlined: to copy a record's reference through memory would cost as much as to read it.
    #[inline(always)]
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    pub fn next(&mut self) -> Result<NextChange<'_>, Gap> {
        if self.left == 0 {
            match self.turn() {
                Turn::Records => {}
                Turn::Gap => return Err(self.lost[0].gap.clone()),
                Turn::Pending => return Ok(NextChange::Pending),
                Turn::Closed => return Ok(NextChange::Closed),
            }
        }
        self.left -= 1;
        let Lane { shard, cursor, .. } = &mut self.lanes[self.at];
        let from = cursor.position();
        match cursor.step() {
            Ok(NextRecord::Record(record)) => Ok(NextChange::Record { shard: &shard.id, record }),
            Err(error) => {
                self.left = 0;
                Err(Gap::in_lane(&self.stream, shard, from, error))
            }
            // Cannot be: the lane had records. To look again is the harmless answer.
            Ok(NextRecord::Pending | NextRecord::Closed) => {
                self.left = 0;
                Ok(NextChange::Pending)
            }
        }
    }

    /// Goes on behind a gap: at the shard's earliest record, or with its children if it is gone. Does
    /// nothing if the consumer is past it already.
    pub fn skip(&mut self, gap: &Gap) {
        let Some(earliest) = gap.earliest else {
            self.lost.retain(|lost| lost.gap.shard != gap.shard);
            return;
        };
        let lane = self.lanes.iter_mut().find(|lane| lane.shard.id == gap.shard);
        if let Some(lane) = lane
            && lane.cursor.position() < earliest
        {
            lane.cursor.seek(earliest);
            // What was known to be there was counted from before the gap.
            self.left = 0;
        }
    }

    /// Where the consumer is: what to [resume](ConsumerStart::After) with after what it has handed out
    /// so far. Take them when the last record that [`Consumer::next`] gave has been dealt with.
    ///
    /// There is one entry for each shard that is being read; a shard that was drained is replaced by
    /// its children.
    pub fn checkpoints(&self) -> Checkpoints {
        let lanes = self.lanes.iter().map(Lane::entry);
        let waiting = self
            .waiting
            .iter()
            .map(|(shard, at)| Entry { shard: shard.id.as_str().into(), next: shard.number(*at) });
        let kept = self.lost.iter().map(|lost| &lost.entry).chain(&self.ended).cloned();
        Checkpoints::of(lanes.chain(waiting).chain(kept).collect())
    }

    /// The shards that are being read, in no order.
    pub fn shards(&self) -> impl Iterator<Item = &ShardId> {
        self.lanes.iter().map(|lane| &lane.shard.id)
    }

    /// The stream that it reads.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Gives the turn to the next lane that has records.
    #[inline(never)]
    fn turn(&mut self) -> Turn {
        if !self.lost.is_empty() {
            return Turn::Gap;
        }
        let mut idle = 0;
        while idle < self.lanes.len() {
            self.at = if self.at + 1 < self.lanes.len() { self.at + 1 } else { 0 };
            match self.lanes[self.at].look() {
                Look::Records(count) => {
                    self.left = count.min(TURN);
                    return Turn::Records;
                }
                Look::Pending => idle += 1,
                Look::Ended => {
                    self.follow(self.at);
                    idle = 0;
                }
            }
        }
        if self.lanes.is_empty() { Turn::Closed } else { Turn::Pending }
    }

    /// A lane has ended: its shard's children go on. They come last; another lane takes its place.
    #[cold]
    fn follow(&mut self, at: usize) {
        let ended = self.lanes.swap_remove(at);
        let children = children_of(&self.stream, &ended.shard);
        if children.is_empty() {
            self.ended.push(ended.entry());
        }
        for child in children {
            let is_child = |(shard, _): &(Arc<Shard>, Position)| shard.ordinal == child.ordinal;
            let waiting = self.waiting.iter().position(is_child);
            let from = waiting.map_or(Position::ZERO, |at| self.waiting.swap_remove(at).1);
            self.lanes.push(Lane::new(&self.stream, child, from));
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("stream", &self.stream)
            .field("checkpoints", &self.checkpoints())
            .finish_non_exhaustive()
    }
}
