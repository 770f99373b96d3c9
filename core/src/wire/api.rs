//! The four operations of DynamoDB Streams, from the body of a request to that of a response.
//!
//! Source of the rules: Amazon DynamoDB Streams API Reference.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::blocks::Cache;
use super::body::Body;
use super::errors::{Refusal, WireError};
use super::observe::{Delivery, Observer};
use super::rate::{Limiter, RateLimits};
use super::record::Splicer;
use super::request::{Members, Rules};
use super::response;
use crate::error::Error;
use crate::model::{SEQUENCE_NUMBER_LENGTH, SequenceNumber, StreamArn, TABLE_NAME_LENGTH};
use crate::store::{LIST_LIMIT, Store};
use crate::stream::{IteratorStart, ReadLimits, Stream};

/// The lengths of a shard id.
const SHARD_ID_LENGTH: RangeInclusive<usize> = 28..=65;
/// The lengths of a shard iterator.
const ITERATOR_LENGTH: RangeInclusive<usize> = 1..=2048;
/// The most shards of a page, and the default.
const DESCRIBE_LIMIT: usize = 100;
/// The most records of a page, and the default.
const RECORDS_LIMIT: usize = 1000;
/// The most bytes of a page, by the records' own sizes: 1 MB.
const BYTES_LIMIT: u64 = 1 << 20;

/// The DynamoDB Streams API over a store. Cheap to clone, and shared by any number of threads.
///
/// ```
/// use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
/// use streamcore::{Store, StreamConfig, wire::StreamsApi};
///
/// let store = Store::new();
/// let schema = KeySchema::new("id", None)?;
/// store.register_stream(StreamConfig::new("Orders", schema, StreamViewType::NewImage))?;
///
/// let api = StreamsApi::new(store);
/// let body = api.handle("ListStreams", br#"{"TableName":"Orders"}"#).unwrap();
/// assert!(body.starts_with(br#"{"Streams":[{"StreamArn":"arn:aws:dynamodb:us-east-1:"#));
/// # Ok::<(), streamcore::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct StreamsApi {
    store: Store,
    limiter: Arc<Limiter>,
    observer: Observer,
    cache: Option<Arc<Cache>>,
}

impl StreamsApi {
    /// The API over this store, without rate limits.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let limiter = Arc::new(Limiter::new(RateLimits::none()));
        Self { store, limiter, observer: Observer::default(), cache: None }
    }

    /// The same API with these rate limits, by the store's clock. What was called before is forgotten; clones
    /// that are made from now on count together.
    #[must_use]
    pub fn rate_limits(self, limits: RateLimits) -> Self {
        Self { limiter: Arc::new(Limiter::new(limits)), ..self }
    }

    /// The same API, which tells `told` what each call of GetRecords delivered, before the client has it. It is called
    /// on the client's thread, and holds up only that client. Replaces who was told before.
    #[must_use]
    pub fn observe(self, told: impl Fn(Delivery<'_>) + Send + Sync + 'static) -> Self {
        Self { observer: Observer::new(told), ..self }
    }

    /// The same API, which keeps records as they were encoded for an answer of GetRecords, and shares them with
    /// further answers that show the same records: up to so many bytes of them, 0 for none. Clones
    /// that are made from now on share them too. What does not fit is encoded from the images again.
    ///
    /// It is for streams with several readers, or that are read again: who reads once, and alone, gets nothing for the memory.
    /// Kept are whole hundreds of records, counted from a shard's beginning, that an answer holds whole; so not
    /// records so large that 1 MiB does not hold a hundred, nor those that are read a few at a time.
    #[must_use]
    pub fn cache_bytes(self, bytes: u64) -> Self {
        Self { cache: Cache::new(bytes).map(Arc::new), ..self }
    }

    /// What is kept now of encoded records, in bytes: see [`cache_bytes`](Self::cache_bytes).
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.cache.as_ref().map_or(0, |cache| cache.held_bytes())
    }

    /// Carries out an operation, one of `ListStreams`, `DescribeStream`, `GetShardIterator` and
    /// `GetRecords`: takes the body of its request and gives that of its response, both JSON.
    ///
    /// # Errors
    ///
    /// A [`WireError`] has the name and the text that AWS gives, as far as they are known.
    ///
    /// # Progress
    ///
    /// As the store's methods: GetRecords never holds up a writer and waits for puts in flight no
    /// longer than the store's read patience.
    pub fn handle(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, WireError> {
        Ok(self.answer(operation, body)?.into_vec())
    }

    /// As [`handle`](Self::handle), for servers that can send several buffers at once: records that were encoded before
    /// are shared, not copied.
    ///
    /// # Errors
    ///
    /// As [`handle`](Self::handle).
    pub fn answer(&self, operation: &str, body: &[u8]) -> Result<Body, WireError> {
        let carry_out = match operation {
            "ListStreams" => Self::list_streams,
            "DescribeStream" => Self::describe_stream,
            "GetShardIterator" => Self::get_shard_iterator,
            "GetRecords" => Self::get_records,
            _ => return Err(Refusal::UnknownOperation(operation).into()),
        };
        carry_out(self, &Members::parse(body)?)
    }

    fn list_streams(&self, request: &Members) -> Result<Body, WireError> {
        let after = request.text("ExclusiveStartStreamArn")?;
        let limit = request.integer("Limit")?;
        let table = request.text("TableName")?;

        let mut rules = Rules::default();
        let limit = rules.limit(limit, LIST_LIMIT);
        rules.length("tableName", table, TABLE_NAME_LENGTH);
        rules.pattern("tableName", table, "[a-zA-Z0-9_.-]+", |character| {
            character.is_ascii_alphanumeric() || "_.-".contains(character)
        });
        rules.check()?;
        if limit > LIST_LIMIT {
            return Err(Refusal::ListLimit(LIST_LIMIT).into());
        }

        let list = self.store.list_streams(table, after, limit)?;
        Ok(response::list_streams(&list, limit).into())
    }

    fn describe_stream(&self, request: &Members) -> Result<Body, WireError> {
        let arn = request.text("StreamArn")?;
        let after = request.text("ExclusiveStartShardId")?;
        let limit = request.integer("Limit")?;
        let class = "com.amazonaws.dynamodb.v20120810.ShardFilter";
        let filter = request.structure("ShardFilter", class)?;
        let filter = match &filter {
            Some(filter) => Some((filter.text("Type")?, filter.text("ShardId")?)),
            None => None,
        };

        let mut rules = Rules::default();
        let arn = rules.required("streamArn", arn);
        rules.length("exclusiveStartShardId", after, SHARD_ID_LENGTH);
        let limit = rules.limit(limit, DESCRIBE_LIMIT);
        let parent = filter.map(|(kind, parent)| {
            rules.required("shardFilter.type", kind);
            rules.word("shardFilter.type", kind, &["CHILD_SHARDS"]);
            rules.length("shardFilter.shardId", parent, SHARD_ID_LENGTH);
            rules.required("shardFilter.shardId", parent)
        });
        rules.check()?;
        if limit > DESCRIBE_LIMIT {
            return Err(Refusal::DescribeLimit(DESCRIBE_LIMIT).into());
        }

        let stream = self.stream(arn)?;
        self.limiter.describe_stream(&stream)?;
        let (description, more) = match parent {
            Some(parent) => stream.describe_children(parent, after, limit),
            None => stream.describe_page(after, limit),
        };
        Ok(response::describe_stream(&description, more).into())
    }

    fn get_shard_iterator(&self, request: &Members) -> Result<Body, WireError> {
        let arn = request.text("StreamArn")?;
        let shard = request.text("ShardId")?;
        let kind = request.text("ShardIteratorType")?;
        let number = request.text("SequenceNumber")?;

        let mut rules = Rules::default();
        let arn = rules.required("streamArn", arn);
        rules.length("shardId", shard, SHARD_ID_LENGTH);
        let shard = rules.required("shardId", shard);
        rules.required("shardIteratorType", kind);
        rules.word(
            "shardIteratorType",
            kind,
            &["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"],
        );
        rules.length("sequenceNumber", number, SEQUENCE_NUMBER_LENGTH);
        rules.check()?;
        let start = iterator_start(kind.unwrap_or_default(), number)?;

        let iterator = self.stream(arn)?.iterator(shard, start)?;
        Ok(response::get_shard_iterator(&iterator).into())
    }

    fn get_records(&self, request: &Members) -> Result<Body, WireError> {
        let iterator = request.text("ShardIterator")?;
        let limit = request.integer("Limit")?;

        let mut rules = Rules::default();
        rules.length("shardIterator", iterator, ITERATOR_LENGTH);
        let iterator = rules.required("shardIterator", iterator);
        let limit = rules.limit(limit, RECORDS_LIMIT);
        rules.check()?;
        if limit > RECORDS_LIMIT {
            return Err(Refusal::RecordsLimit(RECORDS_LIMIT).into());
        }

        let limits = ReadLimits { records: limit, bytes: BYTES_LIMIT };
        let page = self.store.read_iterator(iterator, limits)?;
        self.limiter.get_records(&page)?;
        let mut body = Body::default();
        let mut open = b"{\"Records\":[".to_vec();
        match &self.cache {
            Some(cache) => cache.write(&page, &mut open, &mut body),
            None => Splicer::new().write_all(page.iter(), &mut open, |_| {}),
        }
        open.push(b']');
        if let Some(next) = page.next_iterator() {
            // An ARN, digits and Base64: nothing in it needs an escape.
            open.extend_from_slice(b",\"NextShardIterator\":\"");
            open.extend_from_slice(next.as_bytes());
            open.push(b'"');
        }
        open.push(b'}');
        body.push(open);
        let (stream, records, bytes) = (page.stream(), page.len(), body.len());
        self.observer.tell(Delivery { stream, records, bytes });
        Ok(body)
    }

    fn stream(&self, arn: &str) -> Result<Stream, Error> {
        self.store.stream(arn).map_err(|not_found| match StreamArn::parse(arn) {
            Ok(_) => not_found,
            Err(malformed) => malformed,
        })
    }
}

/// Where an iterator starts, of a type that is known to be one of the four.
fn iterator_start(kind: &str, number: Option<&str>) -> Result<IteratorStart, WireError> {
    let of_number = match kind {
        "AT_SEQUENCE_NUMBER" => IteratorStart::AtSequenceNumber,
        "AFTER_SEQUENCE_NUMBER" => IteratorStart::AfterSequenceNumber,
        _ if number.is_some() => return Err(Refusal::UnwantedSequenceNumber.into()),
        "LATEST" => return Ok(IteratorStart::Latest),
        _ => return Ok(IteratorStart::TrimHorizon),
    };
    let number = number.ok_or(Refusal::MissingSequenceNumber)?;
    Ok(of_number(number.parse::<SequenceNumber>()?))
}
