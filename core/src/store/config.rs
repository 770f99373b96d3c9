//! How a store and its streams are set up.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::Store;
use crate::error::Error;
use crate::model::{KeySchema, StreamArn, StreamInfo, StreamViewType};
use crate::stream::{
    Clock, Context, Lineage, Settings, StoreLedger, SystemClock, Unfounded, whole_ms,
};

/// So many shards a stream may begin with.
const MAX_SHARDS: usize = 4096;

/// Sets up a [`Store`].
#[must_use = "`build` makes the store"]
pub struct StoreBuilder {
    clock: Arc<dyn Clock>,
    iterator_key: Option<[u8; 16]>,
    lineage: Option<Lineage>,
    incarnation: Option<u64>,
    read_patience: Duration,
    bytes: Option<NonZeroU64>,
}

impl StoreBuilder {
    pub(super) fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            iterator_key: None,
            lineage: None,
            incarnation: None,
            read_patience: Duration::from_micros(100),
            bytes: None,
        }
    }

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

    /// The stores that this one's streams are restored from: their shard iterators go on where they name what the
    /// snapshot holds, and are refused by [`Error::NotInSnapshot`](crate::Error::NotInSnapshot) where they name what
    /// came after it. Brings its key with it, which is a secret.
    ///
    /// The new store must have another [incarnation](StoreBuilder::incarnation) than any of them, as it has by
    /// default.
    pub fn restored_from(mut self, lineage: Lineage) -> Self {
        self.lineage = Some(lineage);
        self
    }

    /// Which store this is: a shard iterator is refused by a store of another incarnation, because its
    /// position may mean another record there. Random by default.
    ///
    /// A host that stops and comes back with the same key, the same streams and the same records at the
    /// same positions gives the same number, and iterators go on. If it comes back with anything else,
    /// it must give another one.
    pub fn incarnation(mut self, incarnation: u64) -> Self {
        self.incarnation = Some(incarnation);
        self
    }

    /// So many bytes the records of all streams take at the most; no bound by default. When there are
    /// more, puts give up the oldest records, of whatever stream. Readers of those learn
    /// [`Error::Trimmed`](crate::Error::Trimmed).
    ///
    /// Counted are a record's slot, its images as the host made them, and the encodings that readers may
    /// make of them; an image that records share counts in each. A stream may hold 64 KiB more than is
    /// counted, and a reader what it has pinned.
    pub fn retain_bytes(mut self, bytes: NonZeroU64) -> Self {
        self.bytes = Some(bytes);
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
        let key = || self.iterator_key.unwrap_or_else(random);
        let lineage = match self.lineage {
            Some(lineage) => lineage.continued(self.clock.now_ms()),
            None => Lineage::new(key(), 0, []),
        };
        Store::with_context(Context {
            clock: self.clock,
            unfounded: Unfounded::new(&lineage),
            lineage,
            incarnation: self.incarnation.unwrap_or_else(|| u64::from_le_bytes(random())),
            read_patience: self.read_patience,
            ledger: self.bytes.map(StoreLedger::new),
        })
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
    settings: Settings,
}

#[derive(Debug, Clone)]
enum Naming {
    Arn(StreamArn),
    Parts {
        table: String,
        region: Cow<'static, str>,
        account: Cow<'static, str>,
        created_ms: Option<u64>,
    },
}

impl StreamConfig {
    /// A stream of a table, enabled now, with one shard, in `us-east-1` and account `000000000000`.
    pub fn new(table: impl Into<String>, key_schema: KeySchema, view_type: StreamViewType) -> Self {
        let naming = Naming::Parts {
            table: table.into(),
            region: "us-east-1".into(),
            account: "000000000000".into(),
            created_ms: None,
        };
        Self { naming, key_schema, view_type, shards: 1, settings: Settings::DEFAULT }
    }

    /// A stream whose ARN is given; its label says when it was enabled.
    pub fn with_arn(arn: StreamArn, key_schema: KeySchema, view_type: StreamViewType) -> Self {
        Self {
            naming: Naming::Arn(arn),
            key_schema,
            view_type,
            shards: 1,
            settings: Settings::DEFAULT,
        }
    }

    /// The region in the ARN. Changes nothing when the ARN was given.
    pub fn region(mut self, to: impl Into<String>) -> Self {
        if let Naming::Parts { region, .. } = &mut self.naming {
            *region = Cow::Owned(to.into());
        }
        self
    }

    /// The account in the ARN: twelve digits. Changes nothing when the ARN was given.
    pub fn account(mut self, to: impl Into<String>) -> Self {
        if let Naming::Parts { account, .. } = &mut self.naming {
            *account = Cow::Owned(to.into());
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

    /// Records are given up when they are so old by the store's clock: 24 hours by default, as in DynamoDB.
    pub fn retain_for(mut self, age: Duration) -> Self {
        self.settings.retention = self.settings.retention.for_age(age);
        self
    }

    /// Records are not given up for their age.
    pub fn retain_for_ever(mut self) -> Self {
        self.settings.retention.age_ms = None;
        self
    }

    /// Each shard keeps at least its last `count` records, and gives up older ones while it is put to;
    /// they are not counted by default.
    pub fn retain_last(mut self, count: NonZeroU64) -> Self {
        self.settings.retention.records = Some(count);
        self
    }

    /// The stream's records take so many bytes at the most, counted as for
    /// [`StoreBuilder::retain_bytes`]; the oldest are given up while it is put to. Not counted by default.
    pub fn retain_bytes(mut self, bytes: NonZeroU64) -> Self {
        self.settings.retention.bytes = Some(bytes);
        self
    }

    /// A shard is closed and goes on in a child when it is so old: 4 hours by default, about as in
    /// DynamoDB.
    pub fn roll_after(mut self, age: Duration) -> Self {
        self.settings.roll_after_ms = Some(whole_ms(age));
        self
    }

    /// Shards do not roll for their age.
    pub fn roll_never(mut self) -> Self {
        self.settings.roll_after_ms = None;
        self
    }

    /// A shard is closed and goes on in a child behind so many records; they are not counted by default.
    pub fn roll_after_records(mut self, count: NonZeroU64) -> Self {
        self.settings.roll_after_records = Some(count);
        self
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    pub(super) fn checked_shards(&self) -> Result<u32, Error> {
        let allowed = 1..=MAX_SHARDS;
        if allowed.contains(&self.shards) {
            Ok(self.shards as u32)
        } else {
            Err(Error::InvalidLimit { given: self.shards, allowed })
        }
    }

    pub(super) fn into_info(self, now_ms: u64) -> Result<StreamInfo, Error> {
        match self.naming {
            Naming::Arn(arn) => Ok(StreamInfo::with_arn(arn, self.key_schema, self.view_type)),
            Naming::Parts { table, region, account, created_ms } => {
                let created_ms = created_ms.unwrap_or(now_ms);
                let arn = StreamArn::new(&region, &account, &table, created_ms)?;
                Ok(StreamInfo::with_arn(arn, self.key_schema, self.view_type))
            }
        }
    }
}
