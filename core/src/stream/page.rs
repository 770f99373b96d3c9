//! Reading a page: some records of one shard in place, under guards that pin their segments.

use std::fmt;

use smallvec::SmallVec;

use super::handle::Stream;
use super::retention::Effort;
use super::shard::{Shard, ShardHandle, ShardId};
use crate::error::Error;
use crate::log::{Chunk, Position, Trimmed};
#[cfg(feature = "serde")]
use crate::model::Serial;
use crate::model::{Record, RecordRef};
use crate::sync::Arc;

/// How much a page may hold. At least one record is always delivered, if there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadLimits {
    /// Records at the most.
    pub records: usize,
    /// Bytes at the most, by the records' sizes as DynamoDB counts them
    /// ([`RecordRef::size_bytes`]).
    pub bytes: u64,
}

impl ReadLimits {
    /// So many records, whatever their size.
    pub fn records(records: usize) -> Self {
        Self { records, bytes: u64::MAX }
    }
}

/// What comes after a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Continuation {
    /// More records, now or later, from this position on.
    At(Position),
    /// Nothing: the shard is closed and has been read to its end. Its children are listed.
    End,
}

/// Some consecutive records of a shard, readable in place until the page is dropped.
///
/// It pins the segments that the records are in, holds up nobody, and may be kept across an `.await`. A page
/// of few, large records (if its bytes are limited) holds these records alone, and no segment.
pub struct Page {
    stream: Stream,
    shard: Arc<Shard>,
    held: Held,
    first: Position,
    continuation: Continuation,
}

/// From this size on records are worth sharing one by one: a segment may hold a thousand of them.
const LARGE: u64 = 16 * 1024;

/// How a page holds its records.
enum Held {
    /// In place, by pins.
    Segments(SmallVec<[Chunk<ShardHandle>; 2]>),
    /// One by one, sharing their images.
    Records(Vec<(Position, Record)>),
}

impl Stream {
    /// Reads records of a shard from a position on. Past the end there are none, and reading goes on at
    /// the same position.
    ///
    /// # Errors
    ///
    /// [`Error::ShardNotFound`]; [`Error::Trimmed`], with the earliest position that can be read.
    ///
    /// # Progress
    ///
    /// Never holds up a writer. Waits for puts that were in flight when it began, no longer than the
    /// store's read patience (100 microseconds unless configured otherwise).
    pub fn get_records(
        &self,
        shard: &str,
        from: Position,
        limits: ReadLimits,
    ) -> Result<Page, Error> {
        self.page(self.shard(shard)?, from, limits)
    }

    pub(crate) fn page(
        &self,
        shard: Arc<Shard>,
        from: Position,
        limits: ReadLimits,
    ) -> Result<Page, Error> {
        self.keep_age(&shard, self.now_ms(), Effort::All);
        let visible = shard.log.snapshot_settled(self.context().read_patience).end();
        let mut reading = Reading { limits, next: from, chunks: SmallVec::new() };
        loop {
            let left = usize::try_from(visible.since(reading.next)).unwrap_or(usize::MAX);
            let max = left.min(reading.limits.records);
            let handle = ShardHandle(Arc::clone(&shard));
            let chunk = match Chunk::read(handle, reading.next, max) {
                Ok(chunk) => chunk,
                // The page ends before what was trimmed meanwhile; the next read says so.
                Err(_) if !reading.chunks.is_empty() => break,
                Err(gone) => return Err(trimmed(gone)),
            };
            if chunk.is_empty() || reading.take(chunk) == Room::Full {
                break;
            }
        }
        let continuation = self.continuation(&shard, reading.next);
        let held = reading.hold(limits.bytes);
        Ok(Page { stream: self.clone(), shard, held, first: from, continuation })
    }

    fn continuation(&self, shard: &Shard, next: Position) -> Continuation {
        match shard.log.sealed_end() {
            Some(end) if next >= end => {
                // Nobody hears that a shard has ended before its children are listed.
                self.show_closed(shard);
                Continuation::End
            }
            _ => Continuation::At(next),
        }
    }
}

pub(crate) fn trimmed(trimmed: Trimmed) -> Error {
    Error::Trimmed { earliest: trimmed.earliest }
}

/// A page in the making.
struct Reading {
    limits: ReadLimits,
    next: Position,
    chunks: SmallVec<[Chunk<ShardHandle>; 2]>,
}

#[derive(PartialEq, Eq)]
enum Room {
    Left,
    Full,
}

impl Reading {
    fn take(&mut self, mut chunk: Chunk<ShardHandle>) -> Room {
        let offered = chunk.len();
        if self.limits.bytes < u64::MAX {
            chunk.truncate(self.fitting(&chunk));
        }
        self.limits.records -= chunk.len();
        self.next = chunk.next_position();
        let room =
            if chunk.len() < offered || self.limits.records == 0 { Room::Full } else { Room::Left };
        if !chunk.is_empty() {
            self.chunks.push(chunk);
        }
        room
    }

    /// What has been read, `allowed` bytes of it at the most.
    fn hold(self, allowed: u64) -> Held {
        let records = self.chunks.iter().map(Chunk::len).sum::<usize>() as u64;
        let is_large = allowed < u64::MAX && (allowed - self.limits.bytes) / LARGE > records;
        if !is_large {
            return Held::Segments(self.chunks);
        }
        let records = self.chunks.iter().flatten();
        Held::Records(records.map(|(position, record)| (position, record.clone())).collect())
    }

    /// How many records of the chunk fit into the bytes that are left; the page's first always does.
    fn fitting(&mut self, chunk: &Chunk<ShardHandle>) -> usize {
        let mut fitting = 0;
        for (_, record) in chunk {
            let is_first = fitting == 0 && self.chunks.is_empty();
            match self.limits.bytes.checked_sub(record.size_bytes()) {
                Some(left) => self.limits.bytes = left,
                None if is_first => self.limits.bytes = 0,
                None => break,
            }
            fitting += 1;
        }
        fitting
    }
}

impl Page {
    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        let (chunks, records) = match &self.held {
            Held::Segments(chunks) => (&chunks[..], &[][..]),
            Held::Records(records) => (&[][..], &records[..]),
        };
        let records = records.iter().map(|(position, record)| (*position, record));
        chunks.iter().flatten().chain(records).map(|(position, record)| {
            RecordRef::new(self.stream.info(), record, self.shard.number(position))
        })
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        match &self.held {
            Held::Segments(chunks) => chunks.iter().map(Chunk::len).sum(),
            Held::Records(records) => records.len(),
        }
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where it begins: at the first record, if there is one.
    pub fn first_position(&self) -> Position {
        self.first
    }

    /// What tells its shard from all others that the process has had.
    #[cfg(feature = "serde")]
    pub(crate) fn shard_serial(&self) -> Serial {
        self.shard.serial
    }

    /// Where to go on reading: behind the last record, or where this page began if it is empty.
    pub fn next_position(&self) -> Position {
        self.first.plus(self.len() as u64)
    }

    /// What comes after this page.
    pub fn continuation(&self) -> Continuation {
        self.continuation
    }

    /// The stream that it was read from.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The name of the shard that it was read from.
    pub fn shard_id(&self) -> &ShardId {
        &self.shard.id
    }

    /// An iterator for what comes after this page; `None` once a closed shard has been read to its end.
    pub fn next_iterator(&self) -> Option<String> {
        match self.continuation {
            Continuation::At(position) => Some(self.stream.token_at(&self.shard, position)),
            Continuation::End => None,
        }
    }
}

impl Drop for Page {
    /// Gives back what was given up while the page was in the way of it.
    fn drop(&mut self) {
        if let Held::Segments(chunks) = &mut self.held
            && !chunks.is_empty()
        {
            chunks.clear();
            self.shard.log.hollow_out(self.shard.log.earliest());
        }
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("stream", &self.stream)
            .field("shard", &self.shard.id)
            .field("first", &self.first)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
