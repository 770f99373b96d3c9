//! The emulator itself: its state, and the operations by their names.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use streamcore::store::{LIST_LIMIT, StoreBuilder};
use streamcore::stream::ManualClock;
use streamcore::wire::{RateLimits, StreamsApi};
use streamcore::{Store, Stream};
use tokio::sync::watch;

use crate::error::ApiError;
use crate::metrics::{AllReads, count_delivery};
use crate::service::{Call, Failure, Limits, Refusal, TableHost};
use crate::snapshot::SnapshotLock;
use crate::tables::Tables;
use crate::tokens::Tokens;
use crate::visible::Receipts;
use crate::watch::Watch;

/// What an emulator is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The region in ARNs and records.
    pub region: String,
    /// The account in ARNs: 12 digits.
    pub account: String,
    /// How many shards a new stream begins with: 1 to 4096.
    pub shards: usize,
    /// A clock that stands still until it is turned ([`Emulator::advance_clock`]); `None`: the system's.
    pub manual_clock: Option<Arc<ManualClock>>,
    /// How old records get; `None`: 24 hours, as in DynamoDB.
    pub retain_for: Option<Duration>,
    /// So many records each shard keeps at least, and not many more; `None`: all that are young enough.
    pub retain_records: Option<NonZeroU64>,
    /// So many bytes the records of all streams take at the most; `None`: there is no bound. It is the store
    /// that keeps to it ([`Emulator::with_store`] is given one that may).
    pub retain_bytes: Option<NonZeroU64>,
    /// How old a shard gets before it is closed and goes on in a child; `None`: 4 hours.
    pub roll_after: Option<Duration>,
    /// How often the Streams API may be called; not limited by default.
    pub rate_limits: RateLimits,
    /// So many bytes of encoded records are kept for further readers: 256 MiB.
    pub cache_bytes: u64,
    /// The file of the snapshot that [`Emulator::start`] goes on from and [`Emulator::write_snapshot`] writes; `None`:
    /// nothing is written.
    pub snapshot: Option<PathBuf>,
    /// How often [`serve`](crate::serve) does what is due in streams that nobody comes to: each minute.
    pub maintain_every: Duration,
    /// What [`serve`](crate::serve) takes upon itself.
    pub limits: Limits,
}

impl Default for Config {
    /// `us-east-1`, and the account of a local DynamoDB: twelve zeros; one shard, the system's clock; retention
    /// as in DynamoDB, and no limits.
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            shards: 1,
            manual_clock: None,
            retain_for: None,
            retain_records: None,
            retain_bytes: None,
            roll_after: None,
            rate_limits: RateLimits::none(),
            cache_bytes: 256 << 20,
            snapshot: None,
            maintain_every: Duration::from_secs(60),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// The store of an emulator that is set up like this.
    pub(crate) fn store(&self) -> StoreBuilder {
        let mut builder = Store::builder();
        if let Some(clock) = &self.manual_clock {
            builder = builder.clock(clock.clone());
        }
        if let Some(bytes) = self.retain_bytes {
            builder = builder.retain_bytes(bytes);
        }
        builder
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self { status: error.status(), body: error.body() }
    }
}

/// Tables, their streams, and the operations on both. Share it behind an `Arc`: every
/// operation takes `&self`, and only writes of one partition of items ever wait for
/// each other.
pub struct Emulator {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) tables: Tables,
    /// Held while the clock is turned.
    pub(crate) turning: Mutex<()>,
    /// Held while a snapshot is taken and written.
    pub(crate) writing_snapshot: Mutex<()>,
    /// Held for its sake alone: nobody else uses the file meanwhile.
    pub(crate) snapshot_lock: Option<SnapshotLock>,
    /// Of transactions.
    pub(crate) tokens: Tokens,
    /// Of pages that are open in browsers.
    pub(crate) watch: Watch,
    pub(crate) api: StreamsApi,
    /// What clients have read.
    pub(crate) reads: Arc<AllReads>,
    /// Whether whoever waits for news is to stop waiting.
    stopping: watch::Sender<bool>,
}

impl Emulator {
    /// An emulator without tables, and a store of its own.
    pub fn new(config: Config) -> Self {
        let store = config.store().build();
        Self::with_store(config, store)
    }

    /// An emulator whose streams live in `store`, where other code may read them too. If
    /// [`Config::manual_clock`] is given, it is the clock that `store` was built with.
    pub fn with_store(config: Config, store: Store) -> Self {
        let reads = Arc::<AllReads>::default();
        let counted = Arc::clone(&reads);
        let streams = StreamsApi::new(store.clone())
            .rate_limits(config.rate_limits)
            .cache_bytes(config.cache_bytes)
            .observe(move |delivery| count_delivery(&counted, delivery));
        Self {
            config,
            store,
            tables: Tables::new(),
            turning: Mutex::new(()),
            writing_snapshot: Mutex::new(()),
            snapshot_lock: None,
            tokens: Tokens::default(),
            watch: Watch::new(),
            api: streams,
            reads,
            stopping: watch::Sender::new(false),
        }
    }

    /// The store that holds the streams.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// All streams that there are, by table and ARN.
    pub(crate) fn streams(&self) -> Vec<Stream> {
        let (mut streams, mut after): (Vec<Stream>, Option<String>) = (Vec::new(), None);
        // Refused are only limits and ARNs that are none.
        while let Ok(page) = self.store.list_streams(None, after.as_deref(), LIST_LIMIT) {
            after = page.streams.last().map(|last| last.info().arn().to_string());
            streams.extend(page.streams);
            if !page.more {
                break;
            }
        }
        streams
    }

    /// Carries out one operation. `target` is the header `X-Amz-Target`, `body` its JSON,
    /// `host` what the client calls this server (`DescribeEndpoints` tells it back).
    ///
    /// Returns the JSON of the answer. A write returns once every reader of the table's
    /// stream can see its record.
    ///
    /// # Errors
    ///
    /// Whatever DynamoDB would refuse, in its words; an unknown `target` is an
    /// `UnknownOperationException`.
    ///
    /// # Progress
    ///
    /// A write blocks for as long as writers that were ahead of it need to finish: normally not at all.
    /// [`Routes`](crate::Routes) waits without blocking.
    pub fn call(&self, target: &str, body: &[u8], host: &str) -> Result<Vec<u8>, Failure> {
        let mut receipts = Receipts::default();
        let answer = self.carry_out(target, body, host, &mut receipts);
        receipts.wait();
        answer
    }

    /// As [`Emulator::call`]; the answer is to be sent when the records are visible.
    pub(crate) fn carry_out(
        &self,
        target: &str,
        body: &[u8],
        host: &str,
        receipts: &mut Receipts,
    ) -> Result<Vec<u8>, Failure> {
        if let Some(operation) = target.strip_prefix("DynamoDBStreams_20120810.") {
            return Ok(self.api.handle(operation, body)?);
        }
        match target.strip_prefix("DynamoDB_20120810.") {
            Some(operation) => self.on_tables(operation, body, host, receipts),
            None => Err(Refusal::NoOperation(target.to_owned()).into()),
        }
    }

    /// Carries out an operation on tables or items.
    fn on_tables(
        &self,
        operation: &str,
        body: &[u8],
        host: &str,
        receipts: &mut Receipts,
    ) -> Result<Vec<u8>, Failure> {
        let answer = match operation {
            "PutItem" => self.put_item(body, receipts),
            "GetItem" => self.get_item(body),
            "UpdateItem" => self.update_item(body, receipts),
            "DeleteItem" => self.delete_item(body, receipts),
            "Query" => self.query(body),
            "Scan" => self.scan(body),
            "BatchWriteItem" => self.batch_write_item(body, receipts),
            "BatchGetItem" => self.batch_get_item(body),
            "TransactWriteItems" => self.transact_write_items(body, receipts),
            "TransactGetItems" => self.transact_get_items(body),
            "CreateTable" => self.create_table(body),
            "DescribeTable" => self.describe_table(body),
            "UpdateTable" => self.update_table(body),
            "DeleteTable" => self.delete_table(body),
            "ListTables" => self.list_tables(body),
            "TagResource" => self.tag_resource(body),
            "UntagResource" => self.untag_resource(body),
            "ListTagsOfResource" => self.list_tags_of_resource(body),
            "UpdateTimeToLive" => self.update_time_to_live(body),
            "DescribeTimeToLive" => self.describe_time_to_live(body),
            "DescribeLimits" => self.describe_limits(body),
            "DescribeEndpoints" => self.describe_endpoints(body, host),
            _ => return Err(Failure::unknown_operation(operation)),
        };
        Ok(answer?)
    }

    /// Whoever waits for news of this emulator may wait, because it is being served.
    pub(crate) fn begin_serving(&self) {
        self.stopping.send_replace(false);
    }

    /// Tells whoever waits for news of this emulator to stop waiting, because its server is about to end.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Ready once the emulator's server is about to end.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error says that the emulator is gone.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }
}

impl TableHost for Emulator {
    async fn call(&self, call: Call<'_>) -> Result<Vec<u8>, Failure> {
        let mut receipts = Receipts::default();
        let answer = self.on_tables(call.operation, call.body, call.authority, &mut receipts);
        receipts.seen().await;
        answer
    }
}
