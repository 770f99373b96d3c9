//! Putting changes into a stream: by the shared handle, by a thread's own writer, alone and in batches.
//!
//! A put makes the change's record, routes it to an open shard, and appends it. When it meets the seal
//! of a shard that was rolled or split, it lists the children if nobody has done so yet, and goes on
//! there with the record that it got back.

use std::ops::Range;

use smallvec::SmallVec;

use super::handle::Stream;
use super::lineage::Redirected;
use super::retention::BORDER;
use super::shard::Shard;
use super::topology::Topology;
use crate::error::Error;
use crate::log::{BatchError, MAX_BATCH, Position, Sealed};
use crate::model::{Change, Record, SequenceNumber, StreamViewType};
use crate::sync::Arc;

/// What became of a record.
enum Placed {
    /// It is stored.
    At(SequenceNumber),
    /// The shard that it belongs to is closed.
    Redirected(Record, Arc<Shard>),
    /// No shard is open.
    Nowhere,
    /// There is no record: the change cannot be put into the stream.
    Refused(Error),
}

impl Stream {
    /// Stores a change, and returns its number in the stream.
    ///
    /// Changes of one item that are put one after the other are read in that order. For the hot loop
    /// of one thread, see [`Stream::writer`].
    ///
    /// # Errors
    ///
    /// [`Error::MissingKey`] when the item lacks an attribute of the key; [`Error::InvalidItem`] when the record
    /// would take over 4 GiB; [`Error::StreamClosed`] when the stream is disabled. Nothing is stored then.
    ///
    /// # Progress
    ///
    /// Wait-free apart from the allocator while no shard is closed; each closing that it meets costs it
    /// one more round. Never waits for readers or other writers.
    #[inline]
    pub fn put(&self, change: Change) -> Result<SequenceNumber, Error> {
        match self.shown_topology().with(|topology| self.place_change(topology, change)) {
            Placed::At(number) => Ok(number),
            Placed::Redirected(record, shard) => self.follow(record, &shard),
            Placed::Nowhere => Err(self.closed()),
            Placed::Refused(error) => Err(error),
        }
    }

    /// Stores changes, those of one shard as a batch: side by side, and every snapshot of the shard
    /// contains all of them or none. Returns their numbers, in the order of the changes.
    ///
    /// # Errors
    ///
    /// As [`Stream::put`], with nothing stored, and [`Error::BatchTooLong`] for more than
    /// [`MAX_BATCH`] changes. When the stream is disabled in the midst of a batch for several shards,
    /// those of some shards may have been stored.
    ///
    /// # Progress
    ///
    /// As [`Stream::put`].
    pub fn put_all(
        &self,
        changes: impl IntoIterator<Item = Change>,
    ) -> Result<Vec<SequenceNumber>, Error> {
        let records: Result<Vec<Record>, Error> =
            changes.into_iter().map(|change| self.record(change)).collect();
        let records = records?;
        if records.len() > MAX_BATCH {
            return Err(Error::BatchTooLong { given: records.len(), allowed: MAX_BATCH });
        }
        let mut numbers = vec![SequenceNumber::starting(0); records.len()];
        let mut left: Vec<(usize, Record)> = records.into_iter().enumerate().collect();
        while !left.is_empty() {
            let topology = self.topology().load_full();
            let mut redirected = Vec::new();
            for (shard, batch) in self.group(&topology, left)? {
                let (places, records): (Vec<usize>, Vec<Record>) = batch.into_iter().unzip();
                match self.place_all(&topology, &shard, records) {
                    Ok(stored) => {
                        let positions = (stored.start.get()..).map(Position::new);
                        for (place, position) in places.into_iter().zip(positions) {
                            numbers[place] = shard.number(position);
                        }
                    }
                    Err(records) => {
                        if let Redirected::Closed = self.redirected_from(&shard) {
                            return Err(self.closed());
                        }
                        redirected.extend(places.into_iter().zip(records));
                    }
                }
            }
            left = redirected;
        }
        Ok(numbers)
    }

    /// A writer for one thread's hot loop.
    pub fn writer(&self) -> Writer {
        Writer { topology: self.topology().load_full(), stream: self.clone() }
    }

    /// The hot path: one open shard that keeps both images, and no bound on bytes.
    #[inline(always)]
    fn place_change(&self, topology: &Topology, change: Change) -> Placed {
        let ([shard], true) = (topology.open(), self.keeps_records_whole()) else {
            return self.place_any(topology, change);
        };
        let size = match Record::measure(&change, self.info()) {
            Ok(size) => size,
            Err(error) => return Placed::Refused(error),
        };
        let now_ms = self.now_ms();
        if shard.is_due(now_ms) {
            self.roll_due(shard);
        }
        match shard.log.append(Record::whole(change, size, now_ms)) {
            Ok(position) => {
                self.stored(topology, shard, position, 1, now_ms);
                Placed::At(shard.number(position))
            }
            Err(Sealed(record)) => Placed::Redirected(record, Arc::clone(shard)),
        }
    }

    /// The same for all other streams.
    #[inline(never)]
    fn place_any(&self, topology: &Topology, change: Change) -> Placed {
        if topology.is_unfounded() {
            return self.topology().with(|founded| self.place_any(founded, change));
        }
        match self.record(change) {
            Ok(record) => self.place(topology, record),
            Err(error) => Placed::Refused(error),
        }
    }

    /// Whether a change is stored with all its images, and nobody counts their bytes.
    #[inline]
    fn keeps_records_whole(&self) -> bool {
        self.info().view_type() == StreamViewType::NewAndOldImages && !self.is_charged()
    }

    fn record(&self, change: Change) -> Result<Record, Error> {
        Record::new(change, self.info(), self.now_ms())
    }

    fn place(&self, topology: &Topology, record: Record) -> Placed {
        let Some(shard) = topology.route(&record, self.info().key_schema()) else {
            return Placed::Nowhere;
        };
        let now_ms = record.created_ms();
        if shard.is_due(now_ms) {
            self.roll_due(shard);
        }
        if self.is_charged() {
            return self.place_charged(topology, shard, record);
        }
        match shard.log.append(record) {
            Ok(position) => {
                self.stored(topology, shard, position, 1, now_ms);
                Placed::At(shard.number(position))
            }
            Err(Sealed(record)) => Placed::Redirected(record, Arc::clone(shard)),
        }
    }

    /// The same where bytes are counted.
    #[inline(never)]
    fn place_charged(&self, topology: &Topology, shard: &Arc<Shard>, record: Record) -> Placed {
        let (now_ms, charge) = (record.created_ms(), record.charge());
        let owed = self.charge(charge);
        match shard.log.append(record) {
            Ok(position) => {
                self.stored(topology, shard, position, 1, now_ms);
                self.settle(owed, shard, position.plus(1));
                Placed::At(shard.number(position))
            }
            Err(Sealed(record)) => {
                self.credit(charge);
                Placed::Redirected(record, Arc::clone(shard))
            }
        }
    }

    /// Stores records as one batch in a shard, or gives them back when it is closed.
    fn place_all(
        &self,
        topology: &Topology,
        shard: &Shard,
        records: Vec<Record>,
    ) -> Result<Range<Position>, Vec<Record>> {
        let now_ms = records.last().map_or(0, Record::created_ms);
        if shard.is_due(now_ms) {
            self.roll_due(shard);
        }
        let charge = match self.is_charged() {
            true => records.iter().map(Record::charge).sum(),
            false => 0,
        };
        let owed = self.charge(charge);
        match shard.log.append_all(records) {
            Ok(stored) => {
                let count = stored.end.since(stored.start);
                self.stored(topology, shard, stored.start, count, now_ms);
                self.settle(owed, shard, stored.end);
                Ok(stored)
            }
            Err(BatchError::Sealed(records) | BatchError::TooLong(records)) => {
                self.credit(charge);
                Err(records)
            }
        }
    }

    /// What is due once records are stored in a shard, the first of them at `first`.
    #[inline]
    fn stored(&self, topology: &Topology, shard: &Shard, first: Position, count: u64, now_ms: u64) {
        let end = first.get() + count;
        if first.get() / BORDER != end / BORDER {
            self.at_border(topology, shard, now_ms);
        }
        if end >= shard.rolling.behind {
            self.roll_due(shard);
        }
    }

    /// Goes on in the children of a shard that turned the record away.
    #[cold]
    fn follow(&self, mut record: Record, shard: &Shard) -> Result<SequenceNumber, Error> {
        let mut met = self.redirected_from(shard);
        loop {
            if let Redirected::Closed = met {
                return Err(self.closed());
            }
            match self.place(&self.topology().load_full(), record) {
                Placed::At(number) => return Ok(number),
                Placed::Nowhere => return Err(self.closed()),
                Placed::Refused(error) => return Err(error),
                Placed::Redirected(back, shard) => {
                    record = back;
                    met = self.redirected_from(&shard);
                }
            }
        }
    }

    /// The records by the shards that take them, each shard's in their order.
    fn group(&self, topology: &Topology, records: Vec<(usize, Record)>) -> Result<Batches, Error> {
        let schema = self.info().key_schema();
        let mut batches = Batches::new();
        for (place, record) in records {
            let Some(shard) = topology.route(&record, schema) else {
                return Err(self.closed());
            };
            match batches.iter_mut().find(|(known, _)| known.ordinal == shard.ordinal) {
                Some((_, batch)) => batch.push((place, record)),
                None => batches.push((Arc::clone(shard), vec![(place, record)])),
            }
        }
        Ok(batches)
    }
}

/// Records, with their places in the caller's batch, by shard.
type Batches = SmallVec<[(Arc<Shard>, Vec<(usize, Record)>); 1]>;

/// Puts changes for one thread: it keeps the stream's topology at hand, and learns of a change by
/// meeting the seal of a shard.
///
/// ```
/// # use streamcore::{Store, StreamConfig};
/// # use streamcore::model::{AttributeValue, Change, Image, KeySchema, StreamViewType};
/// # let config = StreamConfig::new("Orders", KeySchema::new("id", None)?, StreamViewType::NewImage);
/// # let stream = Store::new().register_stream(config)?;
/// let mut writer = stream.writer();
/// for id in 0..100 {
///     let item = [("id".to_owned(), AttributeValue::N(id.to_string()))];
///     writer.put(Change::insert(Image::new(item.into())))?;
/// }
/// # Ok::<(), streamcore::Error>(())
/// ```
#[derive(Clone)]
pub struct Writer {
    stream: Stream,
    topology: Arc<Topology>,
}

impl Writer {
    /// Stores a change, and returns its number in the stream.
    ///
    /// # Errors
    ///
    /// As [`Stream::put`].
    ///
    /// # Progress
    ///
    /// As [`Stream::put`].
    #[inline]
    pub fn put(&mut self, change: Change) -> Result<SequenceNumber, Error> {
        match self.stream.place_change(&self.topology, change) {
            Placed::At(number) => Ok(number),
            Placed::Redirected(record, shard) => self.follow(record, &shard),
            Placed::Nowhere => Err(self.stream.closed()),
            Placed::Refused(error) => Err(error),
        }
    }

    #[cold]
    fn follow(&mut self, record: Record, shard: &Shard) -> Result<SequenceNumber, Error> {
        let placed = self.stream.follow(record, shard);
        self.topology = self.stream.topology().load_full();
        placed
    }

    /// The stream that it writes to.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Writer").field(&self.stream).finish()
    }
}
