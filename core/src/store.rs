//! The store: all streams of a host, by their ARN.
//!
//! Streams are found without a lock. The order in which they are listed is kept beside that, in an
//! index that only registering, removing and listing look at.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Bound;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use foldhash::fast::RandomState;

use crate::error::Error;
use crate::log::Position;
use crate::model::{Change, SequenceNumber, StreamArn};
use crate::stream::{
    Context, Page, ReadLimits, StoreLedger, Stream, StreamDescription, StreamStats, arn_of,
    of_no_stream,
};

mod config;
mod listing;
mod restore;

pub use config::{StoreBuilder, StreamConfig};
use listing::{ListKey, Listing, Sought};
pub use restore::StreamRestore;

/// The longest page of [`Store::list_streams`], and the default.
///
/// Source: Amazon DynamoDB Streams API Reference, `ListStreams`, `Limit`.
pub const LIST_LIMIT: usize = 100;

/// Streams by ARN: the counterpart of a DynamoDB endpoint. A handle; clones share the store.
///
/// ```
/// use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
/// use streamcore::{Store, StreamConfig, stream::ReadLimits};
///
/// let store = Store::new();
/// let schema = KeySchema::new("id", None)?;
/// let stream = store.register_stream(StreamConfig::new("Orders", schema, StreamViewType::NewImage))?;
///
/// let item = Attributes::from([("id".to_owned(), AttributeValue::S("a".to_owned()))]);
/// stream.put(Change::insert(Image::new(item)))?;
///
/// let shard = &stream.describe().shards[0].shard_id;
/// let page = stream.get_records(shard.as_str(), Default::default(), ReadLimits::records(10))?;
/// assert_eq!(page.iter().count(), 1);
/// # Ok::<(), streamcore::Error>(())
/// ```
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    by_arn: papaya::HashMap<HashedArn, Stream, RandomState>,
    /// What hashes the ARNs.
    arn_hasher: RandomState,
    /// The same streams in the order in which they are listed. A lock, since neither putting nor reading nor
    /// describing comes here.
    listed: RwLock<Listing>,
    context: Arc<Context>,
}

/// An ARN with its hash: a table that grows need not read and hash the texts again.
struct HashedArn {
    hash: u64,
    arn: Arc<str>,
}

/// An ARN to look for, with its hash.
#[derive(PartialEq, Eq)]
struct HashedText<'a> {
    hash: u64,
    arn: &'a str,
}

impl HashedArn {
    fn borrow(&self) -> HashedText<'_> {
        HashedText { hash: self.hash, arn: &self.arn }
    }
}

impl PartialEq for HashedArn {
    fn eq(&self, other: &Self) -> bool {
        self.borrow() == other.borrow()
    }
}

impl Eq for HashedArn {}

impl Hash for HashedArn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrow().hash(state);
    }
}

impl Hash for HashedText<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl papaya::Equivalent<HashedArn> for HashedText<'_> {
    fn equivalent(&self, key: &HashedArn) -> bool {
        *self == key.borrow()
    }
}

/// What becomes of a stream that is to be listed.
enum Enlisted {
    /// It is in the store.
    Now,
    /// Another one of its name is.
    Known(Stream),
}

impl Inner {
    /// Lists a stream and lets it be found, in the place of one of its name that is gone.
    fn enlist(&self, stream: &Stream) -> Enlisted {
        let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
        match listed.seek(ListKey::of(stream.info().arn())) {
            Sought::Here(_, known) if !known.is_gone() => return Enlisted::Known(known.clone()),
            Sought::Here(place, gone) => {
                gone.clear();
                listed.replace(place, stream.clone());
            }
            Sought::Absent(place) => listed.insert(place, stream.clone()),
        }
        let arn = stream.info().arn().to_shared();
        let key = HashedArn { hash: self.hashed(&arn).hash, arn };
        self.by_arn.pin().insert(key, stream.clone());
        Enlisted::Now
    }

    /// An ARN as it is looked for.
    fn hashed<'a>(&self, arn: &'a str) -> HashedText<'a> {
        let mut hasher = self.arn_hasher.build_hasher();
        hasher.write(arn.as_bytes());
        HashedText { hash: hasher.finish(), arn }
    }
}

/// Who has removed a stream.
enum Removed {
    /// The caller.
    Now,
    /// Somebody else.
    Before,
}

static GLOBAL: LazyLock<Store> = LazyLock::new(Store::new);

impl Store {
    /// An empty store with the system's clock and a key of its own for shard iterators.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store set up by hand.
    pub fn builder() -> StoreBuilder {
        StoreBuilder::new()
    }

    fn with_context(context: Context) -> Self {
        Self(Arc::new(Inner {
            by_arn: papaya::HashMap::with_hasher(RandomState::default()),
            arn_hasher: RandomState::default(),
            listed: RwLock::new(Listing::new()),
            context: Arc::new(context),
        }))
    }

    /// The store of the whole process, made on first use.
    pub fn global() -> &'static Self {
        &GLOBAL
    }

    /// Adds a stream, or finds it if it is there already: then the call changes nothing. A stream takes about
    /// half a KiB; its shards, a KiB each, are made when somebody first asks anything of it
    /// but its names, its figures included, or when they are due to be rolled.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTableName`], [`Error::InvalidArn`] for names that no ARN can be made of;
    /// [`Error::InvalidLimit`] for a number of shards out of range.
    ///
    /// # Progress
    ///
    /// Blocks other registrations and listings for a moment; neither puts nor reads.
    pub fn register_stream(&self, config: StreamConfig) -> Result<Stream, Error> {
        let (shards, settings) = (config.checked_shards()?, config.settings());
        let now_ms = self.now_ms();
        let info = config.into_info(now_ms)?;
        let stream = Stream::create(info, shards, settings, Arc::clone(&self.0.context), now_ms);
        Ok(match self.0.enlist(&stream) {
            Enlisted::Now => stream,
            Enlisted::Known(known) => known,
        })
    }

    /// The stream of an ARN. Lock-free.
    ///
    /// # Errors
    ///
    /// [`Error::StreamNotFound`].
    pub fn stream(&self, arn: &str) -> Result<Stream, Error> {
        self.with_stream(arn, Stream::clone)
    }

    fn with_stream<R>(&self, arn: &str, f: impl FnOnce(&Stream) -> R) -> Result<R, Error> {
        let streams = self.0.by_arn.pin();
        match streams.get(&self.0.hashed(arn)) {
            Some(stream) if !stream.is_gone() => Ok(f(stream)),
            Some(gone) => {
                // It was disabled a day ago; its memory comes back now.
                self.remove(gone);
                Err(Error::StreamNotFound { arn: arn.into() })
            }
            None => Err(Error::StreamNotFound { arn: arn.into() }),
        }
    }

    /// Stores a change in the stream of an ARN, and returns its number. A host that keeps the
    /// [`Stream`] saves the look-up.
    ///
    /// # Errors
    ///
    /// [`Error::StreamNotFound`]; otherwise as [`Stream::put`].
    ///
    /// # Progress
    ///
    /// As [`Stream::put`].
    pub fn put_record(&self, arn: &str, change: Change) -> Result<SequenceNumber, Error> {
        self.with_stream(arn, |stream| stream.put(change))?
    }

    /// Describes a stream and its shards. Lock-free.
    ///
    /// # Errors
    ///
    /// [`Error::StreamNotFound`].
    pub fn describe_stream(&self, arn: &str) -> Result<StreamDescription, Error> {
        self.with_stream(arn, Stream::describe)
    }

    /// Reads up to `limit` records of a shard from a position on; past the end there are none.
    ///
    /// # Errors
    ///
    /// [`Error::StreamNotFound`]; otherwise as [`Stream::get_records`].
    ///
    /// # Progress
    ///
    /// As [`Stream::get_records`].
    pub fn get_records(
        &self,
        arn: &str,
        shard: &str,
        from: Position,
        limit: usize,
    ) -> Result<Page, Error> {
        self.stream(arn)?.get_records(shard, from, ReadLimits::records(limit))
    }

    /// How many records a shard has ever taken, trimmed ones included: where a reader begins who wants
    /// only what is put from now on.
    ///
    /// # Errors
    ///
    /// [`Error::StreamNotFound`], [`Error::ShardNotFound`].
    pub fn shard_record_count(&self, arn: &str, shard: &str) -> Result<u64, Error> {
        self.with_stream(arn, |stream| stream.record_count(shard))?
    }

    /// Reads on from a shard iterator ([`Stream::iterator`], [`Page::next_iterator`]).
    ///
    /// # Errors
    ///
    /// [`Error::StreamNotFound`] when the iterator is one of this store and its stream is gone;
    /// otherwise as [`Stream::read_iterator`].
    ///
    /// # Progress
    ///
    /// As [`Stream::get_records`].
    pub fn read_iterator(&self, token: &str, limits: ReadLimits) -> Result<Page, Error> {
        let arn = arn_of(token)?;
        match self.stream(arn) {
            Ok(stream) => stream.read_iterator(token, limits),
            // Only who holds an iterator of this store is told what became of a stream.
            Err(_) => Err(of_no_stream(token, arn, &self.0.context)),
        }
    }

    /// Lists streams in the order of tables and ARNs: all, or those of one table, after `after` if it is
    /// given (which need not exist any more).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLimit`] for a limit not from 1 to [`LIST_LIMIT`]; [`Error::InvalidArn`] when
    /// `after` is none.
    ///
    /// # Progress
    ///
    /// Blocks while a stream is being registered or removed; the cost depends on the page only.
    pub fn list_streams(
        &self,
        table: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<StreamList, Error> {
        if !(1..=LIST_LIMIT).contains(&limit) {
            return Err(Error::InvalidLimit { given: limit, allowed: 1..=LIST_LIMIT });
        }
        let after = after.map(StreamArn::parse).transpose()?;
        let first_of_table = table.map(|table| ListKey { table, arn: "" });
        let from = match (after.as_ref().map(ListKey::of), first_of_table) {
            (Some(after), Some(first)) if after < first => Bound::Included(first),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(first)) => Bound::Included(first),
            (None, None) => Bound::Unbounded,
        };
        let listed = self.0.listed.read().unwrap_or_else(PoisonError::into_inner);
        let mut rest = listed
            .range(from)
            .take_while(|stream| table.is_none_or(|table| stream.info().table_name() == table))
            .filter(|stream| !stream.is_gone());
        let streams: Vec<Stream> = rest.by_ref().take(limit).cloned().collect();
        Ok(StreamList { more: rest.next().is_some(), streams })
    }

    /// Removes a stream and gives its memory back. Handles that are still held read nothing more from
    /// it and cannot put.
    ///
    /// # Errors
    ///
    /// [`Error::StreamNotFound`].
    ///
    /// # Progress
    ///
    /// Blocks other registrations and listings for a moment; neither puts nor reads.
    pub fn remove_stream(&self, arn: &str) -> Result<(), Error> {
        match self.remove(&self.stream(arn)?) {
            Removed::Now => Ok(()),
            Removed::Before => Err(Error::StreamNotFound { arn: arn.into() }),
        }
    }

    /// Removes this very stream, not one that has been registered by its name since.
    #[cold]
    fn remove(&self, stream: &Stream) -> Removed {
        let arn = stream.info().arn();
        let mut listed = self.0.listed.write().unwrap_or_else(PoisonError::into_inner);
        let place = match listed.seek(ListKey::of(arn)) {
            Sought::Here(place, known) if known.is_same(stream) => place,
            Sought::Here(..) | Sought::Absent(_) => return Removed::Before,
        };
        listed.remove(place);
        self.0.by_arn.pin().remove(&self.0.hashed(arn.as_str()));
        drop(listed);
        stream.disable();
        stream.clear();
        Removed::Now
    }

    /// Does what is due by the clock in all streams: gives up old records, rolls old shards, forgets those
    /// that closed a day ago, and removes streams that were disabled a day ago. Puts and readers do
    /// it for the streams that they come to, so this is for those that nobody comes to; call it
    /// every minute, or after turning a clock by hand.
    ///
    /// # Progress
    ///
    /// Costs a look at each shard, and at each stream that nobody has come to. Blocks registrations and listings for a moment, if there is something
    /// to remove; neither puts nor reads.
    pub fn maintain(&self) {
        let now_ms = self.now_ms();
        let streams: Vec<Stream> = self.0.by_arn.pin().values().cloned().collect();
        for stream in streams {
            if stream.is_gone() {
                self.remove(&stream);
            } else {
                stream.maintain(now_ms);
            }
        }
    }

    /// Figures of all streams at about one moment, by ARN. Costs a look at each shard; makes those of streams that
    /// nobody has come to.
    pub fn stats(&self) -> StoreStats {
        let streams = self.0.by_arn.pin();
        StoreStats {
            streams: streams
                .iter()
                .map(|(key, stream)| (Arc::clone(&key.arn), stream.stats()))
                .collect(),
            bytes: self.0.context.ledger.as_ref().map_or(0, StoreLedger::bytes),
        }
    }

    /// The time by the store's clock, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.0.context.clock.now_ms()
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("streams", &self.0.by_arn.len()).finish_non_exhaustive()
    }
}

/// One page of streams.
#[derive(Debug, Clone)]
pub struct StreamList {
    /// The streams, as handles.
    pub streams: Vec<Stream>,
    /// Whether more of them follow.
    pub more: bool,
}

/// Figures of a store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreStats {
    /// One entry per stream, by ARN, in no order.
    pub streams: Vec<(Arc<str>, StreamStats)>,
    /// What all records take, in bytes, as the store's bound on memory counts it; 0 if there is none.
    pub bytes: u64,
}
