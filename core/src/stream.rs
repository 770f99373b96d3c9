//! One stream: its shards, their lineage, and how records get in and out.
//!
//! A stream is a tree of shards, each of them a [log](crate::log). Its topology (status, shards, the
//! ranges of keys that the open ones take) is one immutable value that is replaced as a whole; records
//! never pass through it. A [`Stream`] is a handle that any number of threads share; a [`Writer`] is
//! one thread's short cut.

mod archive;
mod clock;
mod consume;
mod context;
mod cursor;
mod founding;
mod handle;
mod heritage;
mod ledger;
mod lineage;
mod page;
mod put;
mod restore;
mod retention;
mod routing;
mod shard;
mod token;
mod topology;

pub use archive::{
    Archive, ArchivedShard, Fate, Parent, RecordState, ShardState, StreamSettings, StreamState,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use consume::{Checkpoints, Consumer, ConsumerStart, Gap, NextChange};
pub(crate) use context::Context;
pub use cursor::{NextRecord, ShardCursor};
pub(crate) use founding::Unfounded;
pub(crate) use handle::Settings;
pub use handle::{ShardInfo, Stream, StreamDescription, StreamStats};
pub use heritage::{Generation, Incarnation, Life, Lineage, LostPlace};
pub(crate) use ledger::StoreLedger;
pub use page::{Continuation, Page, ReadLimits};
pub use put::Writer;
pub(crate) use restore::Rebuild;
pub(crate) use retention::whole_ms;
pub use routing::HashRange;
pub use shard::ShardId;
pub use token::{ITERATOR_LIFE_MS, IteratorStart};
pub(crate) use token::{arn_of, of_no_stream};
