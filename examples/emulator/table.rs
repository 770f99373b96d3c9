//! One table: its items in memory, and the stream that its changes go to.
//!
//! Items lie in [`SHARDS`] ordered maps by the hash of their partition, each behind
//! a lock of its own: writers of different partitions hardly ever meet. A change
//! goes into the stream inside that lock, so the changes of one item reach the
//! stream in the order in which they happened to the item.

use std::hash::{DefaultHasher, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, MutexGuard};
use streamcore::Stream;
use streamcore::model::{AttributeValue, Attributes, Change, Image, StreamViewType};

use crate::error::{ApiError, ErrorKind};
use crate::items::Items;
use crate::key::{ItemKey, type_name};
use crate::schema::{Schema, Tag, Throughput};
use crate::visible::{Outlet, Receipt, Receipts};

/// Locks per table.
pub(crate) const SHARDS: usize = 64;
/// So many items expire under one lock before others get their turn.
const EXPIRE_AT_ONCE: usize = 256;

/// A table and its items.
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) id: String,
    pub(crate) created_ms: u64,
    pub(crate) schema: Schema,
    /// What `UpdateTable` and tagging change; its lock also orders them.
    pub(crate) settings: Mutex<Settings>,
    /// Where changes go. Read by every write, without a lock.
    pub(crate) stream: ArcSwapOption<Outlet>,
    shards: Box<[Mutex<Items>]>,
}

/// The part of a table's description that can change.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) on_demand: bool,
    pub(crate) throughput: Throughput,
    /// The newest stream; its name stays after it is disabled.
    pub(crate) latest_stream: Option<LatestStream>,
    pub(crate) tags: Vec<Tag>,
    /// The attribute that says when an item expires.
    pub(crate) time_to_live: Option<String>,
}

/// What a table's description says of its newest stream.
pub(crate) struct LatestStream {
    pub(crate) arn: String,
    pub(crate) label: String,
    pub(crate) view_type: StreamViewType,
}

impl LatestStream {
    pub(crate) fn of(stream: &Stream) -> Self {
        let info = stream.info();
        Self {
            arn: info.arn().to_string(),
            label: info.label().to_owned(),
            view_type: info.view_type(),
        }
    }
}

/// What becomes of an item.
pub(crate) enum Next {
    Put(Image),
    Delete,
}

/// A change that has happened.
pub(crate) struct Written {
    pub(crate) old: Option<Image>,
    pub(crate) new: Option<Image>,
}

impl Table {
    /// An empty table whose changes go to `stream`.
    pub(crate) fn new(
        (name, arn, id): (String, String, String),
        created_ms: u64,
        schema: Schema,
        mut settings: Settings,
        stream: Option<Stream>,
    ) -> Self {
        settings.latest_stream = stream.as_ref().map(LatestStream::of);
        Self {
            name,
            arn,
            id,
            created_ms,
            schema,
            settings: Mutex::new(settings),
            stream: ArcSwapOption::from_pointee(stream.map(Outlet::new)),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// In which of the maps a partition lies.
    pub(crate) fn shard_of(&self, key: &ItemKey) -> usize {
        let mut hasher = DefaultHasher::new();
        hasher.write(key.partition());
        hasher.finish() as usize % SHARDS
    }

    /// The part of the table that holds the item of a key, if there is one.
    pub(crate) fn part(&self, key: &ItemKey) -> &Mutex<Items> {
        &self.shards[self.shard_of(key)]
    }

    pub(crate) fn get(&self, key: &ItemKey) -> Option<Image> {
        self.part(key).lock().get(&key.bytes).cloned()
    }

    /// Changes one item. `decide` sees what is there and says what shall be, or refuses.
    /// A change that changes nothing leaves no record.
    pub(crate) fn change(
        &self,
        key: ItemKey,
        receipts: &mut Receipts,
        decide: impl FnOnce(Option<&Image>) -> Result<Next, ApiError>,
    ) -> Result<Written, ApiError> {
        let mut shard = self.part(&key).lock();
        let old = shard.get(&key.bytes).cloned();
        let change = match (decide(old.as_ref())?, old.clone()) {
            (Next::Delete, None) => {
                return Ok(Written { old, new: None });
            }
            (Next::Put(new), None) => Change::insert(new),
            (Next::Put(new), Some(old)) => Change::modify(old, new),
            (Next::Delete, Some(old)) => Change::remove(old),
        };
        if change.is_no_op() {
            // The old image stays: it is equal, and shared with the stream already.
            return Ok(Written { new: old.clone(), old });
        }
        let new = change.new_image().cloned();
        self.record(change, receipts)?;
        shard.set(key.bytes, new.clone());
        Ok(Written { old, new })
    }

    fn record(&self, change: Change, receipts: &mut Receipts) -> Result<(), ApiError> {
        if let Some(outlet) = &*self.stream.load()
            && let Some(receipt) = Receipt::put(outlet, change)?
        {
            receipts.add(receipt);
        }
        Ok(())
    }

    /// Writes the changes of a transaction into the stream. The caller has locked the items.
    pub(crate) fn record_all(
        &self,
        changes: Vec<Change>,
        receipts: &mut Receipts,
    ) -> Result<(), ApiError> {
        if let Some(outlet) = &*self.stream.load() {
            Receipt::put_all(outlet, changes)?.into_iter().for_each(|one| receipts.add(one));
        }
        Ok(())
    }

    /// Whether the changes of this table go to `stream`.
    pub(crate) fn writes_to(&self, stream: &Stream) -> bool {
        self.stream.load().as_ref().is_some_and(|own| own.info().arn() == stream.info().arn())
    }

    /// Closes the stream and lets go of it; `false` if there is none. Waits for the writes that are under
    /// way and keeps others out meanwhile, so a write is in the stream with all its records or with none.
    pub(crate) fn end_stream(&self) -> bool {
        // In the order of the array, which is that of addresses: see `transact`.
        let _nobody_writes: Vec<MutexGuard<'_, Items>> =
            self.shards.iter().map(Mutex::lock).collect();
        match self.stream.swap(None) {
            Some(stream) => {
                stream.disable();
                true
            }
            None => false,
        }
    }

    /// The parts that hold the items.
    pub(crate) fn parts(&self) -> &[Mutex<Items>] {
        &self.shards
    }

    /// Visits the items of one of the maps in their order, from `low` to `high`, until
    /// `visit` says no. The map is locked meanwhile.
    pub(crate) fn visit(
        &self,
        shard: usize,
        (low, high): (Bound<&[u8]>, Bound<&[u8]>),
        forward: bool,
        mut visit: impl FnMut(&[u8], &Image) -> bool,
    ) {
        if is_empty_range(low, high) {
            return;
        }
        let shard = self.shards[shard].lock();
        let mut range = shard.range(low, high);
        let next = || {
            if forward { range.next() } else { range.next_back() }
        };
        for (key, image) in std::iter::from_fn(next) {
            if !visit(key, image) {
                return;
            }
        }
    }

    /// How many items there are, and their bytes.
    pub(crate) fn totals(&self) -> (usize, u64) {
        let shards = self.shards.iter().map(Mutex::lock);
        let totals = |shard: MutexGuard<'_, Items>| (shard.len(), shard.bytes());
        shards.map(totals).fold((0, 0), |(n, b), (more, bytes)| (n + more, b + bytes))
    }

    /// Says by which attribute items expire from now on, if they do. The caller holds the settings.
    pub(crate) fn set_expiry(&self, attribute: Option<&str>, now_s: u64) {
        let attribute: Option<Arc<str>> = attribute.map(Arc::from);
        for shard in &self.shards {
            match &attribute {
                Some(attribute) => shard.lock().begin_expiry(Arc::clone(attribute), now_s),
                None => shard.lock().end_expiry(),
            }
        }
    }

    /// Deletes the items whose time has passed; returns how many.
    pub(crate) fn expire(&self, now_s: u64, receipts: &mut Receipts) -> Result<usize, ApiError> {
        let mut count = 0;
        for shard in &self.shards {
            loop {
                let mut items = shard.lock();
                let expired = items.expired(now_s, EXPIRE_AT_ONCE);
                if expired.is_empty() {
                    items.expired_until(now_s);
                    break;
                }
                count += expired.len();
                for (key, old) in expired {
                    self.record(Change::remove(old).by_ttl(), receipts)?;
                    items.set(key, None);
                }
            }
        }
        Ok(count)
    }

    /// Refuses an item that could not stand in an index for the type of a key attribute.
    pub(crate) fn check_index_keys(&self, item: &Attributes) -> Result<(), ApiError> {
        for index in &self.schema.indexes {
            for part in index.key.parts().filter(|part| !self.schema.key.contains(&part.name)) {
                let Some(value) = item.get(&part.name) else {
                    continue;
                };
                if !part.kind.matches(value) {
                    return Err(ApiError::invalid(format_args!(
                        "Type mismatch for Index Key {} Expected: {} Actual: {} IndexName: {}",
                        part.name,
                        part.kind,
                        type_name(value),
                        index.name
                    )));
                }
                let empty = match value {
                    AttributeValue::S(text) => text.is_empty(),
                    AttributeValue::B(bytes) => bytes.is_empty(),
                    _ => false,
                };
                if empty {
                    return Err(ApiError::new(
                        ErrorKind::EmptyKey,
                        format!(
                            "One or more parameter values are not valid. A value specified for a \
                             secondary index key is not supported. The AttributeValue for a key \
                             attribute cannot contain an empty value. IndexName: {}, IndexKey: {}",
                            index.name, part.name
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// `BTreeMap::range` panics on a range whose ends are exchanged; here it is just empty.
fn is_empty_range(low: Bound<&[u8]>, high: Bound<&[u8]>) -> bool {
    match (low, high) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Included(high) | Bound::Excluded(high),
        ) => low >= high,
    }
}
