//! The store: all streams of a host, by their ARN.
//!
//! Streams are found without a lock. The order in which they are listed is kept beside that, in an
//! index that only registering, removing and listing look at.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::ops::Bound;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use crate::error::Error;
use crate::log::{LogOptions, Position};
use crate::model::{Change, KeySchema, SequenceNumber, StreamArn, StreamInfo, StreamViewType};
use crate::stream::{
    Clock, Context, Page, ReadLimits, Stream, StreamDescription, StreamStats, SystemClock, arn_of,
};

/// The longest page of [`Store::list_streams`], and the default.
///
/// Source: Amazon DynamoDB Streams API Reference, `ListStreams`, `Limit`.
pub const LIST_LIMIT: usize = 100;

/// So many shards a stream may begin with.
const MAX_SHARDS: usize = 4096;

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
    by_arn: papaya::HashMap<Arc<str>, Stream, foldhash::fast::RandomState>,
    /// The same streams by table and ARN, in the order in which they are listed. A lock, since
    /// neither putting nor reading nor describing comes here.
    listed: RwLock<BTreeMap<ListKey, Stream>>,
    context: Arc<Context>,
}

/// Where a stream stands in the list: table by table, and a table's streams by ARN.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ListKey {
    table: Box<str>,
    arn: Arc<str>,
}

impl ListKey {
    fn of(arn: &StreamArn) -> Self {
        Self { table: arn.table_name().into(), arn: arn.to_shared() }
    }
}

static GLOBAL: LazyLock<Store> = LazyLock::new(Store::new);

impl Store {
    /// An empty store with the system's clock and a key of its own for shard iterators.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store set up by hand.
    pub fn builder() -> StoreBuilder {
        StoreBuilder {
            clock: Arc::new(SystemClock),
            iterator_key: None,
            read_patience: Duration::from_micros(100),
        }
    }

    /// The store of the whole process, made on first use.
    pub fn global() -> &'static Self {
        &GLOBAL
    }

    /// Adds a stream, or finds it if it is there already: then the call changes nothing.
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
        let (shards, log) = (config.checked_shards()?, config.log);
        let info = config.into_info(self.now_ms())?;
        let key = ListKey::of(info.arn());
        let mut listed = self.0.listed.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = listed.get(&key) {
            return Ok(known.clone());
        }
        let stream = Stream::create(info, shards, log, Arc::clone(&self.0.context));
        self.0.by_arn.pin().insert(Arc::clone(&key.arn), stream.clone());
        listed.insert(key, stream.clone());
        Ok(stream)
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
        let stream = streams.get(arn).ok_or_else(|| Error::StreamNotFound { arn: arn.into() })?;
        Ok(f(stream))
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
    /// [`Error::StreamNotFound`] when the iterator's stream is gone; otherwise as
    /// [`Stream::read_iterator`].
    ///
    /// # Progress
    ///
    /// As [`Stream::get_records`].
    pub fn read_iterator(&self, token: &str, limits: ReadLimits) -> Result<Page, Error> {
        self.stream(arn_of(token)?)?.read_iterator(token, limits)
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
        let first_of_table = table.map(|table| ListKey { table: table.into(), arn: "".into() });
        let from = match (after.as_ref().map(ListKey::of), first_of_table) {
            (Some(after), Some(first)) if after < first => Bound::Included(first),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(first)) => Bound::Included(first),
            (None, None) => Bound::Unbounded,
        };
        let listed = self.0.listed.read().unwrap_or_else(PoisonError::into_inner);
        let mut rest = listed
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| table.is_none_or(|table| *key.table == *table))
            .map(|(_, stream)| stream);
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
        let stream = self.stream(arn)?;
        let mut listed = self.0.listed.write().unwrap_or_else(PoisonError::into_inner);
        let known = listed.remove(&ListKey::of(stream.info().arn()));
        let known = known.ok_or_else(|| Error::StreamNotFound { arn: arn.into() })?;
        self.0.by_arn.pin().remove(arn);
        drop(listed);
        known.disable();
        known.clear();
        Ok(())
    }

    /// Figures of all streams at about one moment, by ARN. Costs a look at each shard.
    pub fn stats(&self) -> StoreStats {
        let streams = self.0.by_arn.pin();
        StoreStats {
            streams: streams
                .iter()
                .map(|(arn, stream)| (Arc::clone(arn), stream.stats()))
                .collect(),
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
}

/// Sets up a [`Store`].
#[must_use = "`build` makes the store"]
pub struct StoreBuilder {
    clock: Arc<dyn Clock>,
    iterator_key: Option<[u8; 16]>,
    read_patience: Duration,
}

impl StoreBuilder {
    /// Where the time comes from; the system's clock by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The secret that shard iterators are authenticated with; a random one by default.
    pub fn iterator_key(mut self, key: [u8; 16]) -> Self {
        self.iterator_key = Some(key);
        self
    }

    /// How long a read waits for puts that were in flight when it began; 100 microseconds by default.
    pub fn read_patience(mut self, patience: Duration) -> Self {
        self.read_patience = patience;
        self
    }

    /// Makes the store.
    ///
    /// # Panics
    ///
    /// When the operating system has no random bytes to give.
    pub fn build(self) -> Store {
        let context = Context {
            clock: self.clock,
            iterator_key: self.iterator_key.unwrap_or_else(random),
            incarnation: u64::from_le_bytes(random()),
            read_patience: self.read_patience,
        };
        Store(Arc::new(Inner {
            by_arn: papaya::HashMap::with_hasher(foldhash::fast::RandomState::default()),
            listed: RwLock::new(BTreeMap::new()),
            context: Arc::new(context),
        }))
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A stream to be registered.
#[derive(Debug, Clone)]
#[must_use = "`Store::register_stream` adds the stream"]
pub struct StreamConfig {
    naming: Naming,
    key_schema: KeySchema,
    view_type: StreamViewType,
    shards: usize,
    log: LogOptions,
}

#[derive(Debug, Clone)]
enum Naming {
    Arn(StreamArn),
    Parts { table: String, region: String, account: String, created_ms: Option<u64> },
}

impl StreamConfig {
    /// A stream of a table, enabled now, with one shard, in `us-east-1` and account `000000000000`.
    pub fn new(table: impl Into<String>, key_schema: KeySchema, view_type: StreamViewType) -> Self {
        let naming = Naming::Parts {
            table: table.into(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            created_ms: None,
        };
        Self { naming, key_schema, view_type, shards: 1, log: LogOptions::new() }
    }

    /// A stream whose ARN is given; its label says when it was enabled.
    pub fn with_arn(arn: StreamArn, key_schema: KeySchema, view_type: StreamViewType) -> Self {
        Self { naming: Naming::Arn(arn), key_schema, view_type, shards: 1, log: LogOptions::new() }
    }

    /// The region in the ARN. Changes nothing when the ARN was given.
    pub fn region(mut self, to: impl Into<String>) -> Self {
        if let Naming::Parts { region, .. } = &mut self.naming {
            *region = to.into();
        }
        self
    }

    /// The account in the ARN: twelve digits. Changes nothing when the ARN was given.
    pub fn account(mut self, to: impl Into<String>) -> Self {
        if let Naming::Parts { account, .. } = &mut self.naming {
            *account = to.into();
        }
        self
    }

    /// When the stream was enabled, in milliseconds since the Unix epoch; the label in the ARN. Changes
    /// nothing when the ARN was given.
    pub fn created_ms(mut self, to: u64) -> Self {
        if let Naming::Parts { created_ms, .. } = &mut self.naming {
            *created_ms = Some(to);
        }
        self
    }

    /// How many shards the stream begins with: 1 to 4096.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// Each shard keeps at least its last `count` records, and gives up older ones while it is put to;
    /// everything is kept by default.
    pub fn retain_last(mut self, count: NonZeroU64) -> Self {
        self.log = self.log.retain_last(count);
        self
    }

    fn checked_shards(&self) -> Result<u32, Error> {
        let allowed = 1..=MAX_SHARDS;
        if allowed.contains(&self.shards) {
            Ok(self.shards as u32)
        } else {
            Err(Error::InvalidLimit { given: self.shards, allowed })
        }
    }

    fn into_info(self, now_ms: u64) -> Result<StreamInfo, Error> {
        match self.naming {
            Naming::Arn(arn) => Ok(StreamInfo::with_arn(arn, self.key_schema, self.view_type)),
            Naming::Parts { table, region, account, created_ms } => {
                StreamInfo::builder(table, self.key_schema, self.view_type)
                    .region(region)
                    .account(account)
                    .created_ms(created_ms.unwrap_or(now_ms))
                    .build()
            }
        }
    }
}
