//! A lock-free, in-memory event log, and DynamoDB Streams on top of it.
//!
//! streamcore stores change events of DynamoDB tables and hands them out as DynamoDB Streams does: per
//! stream a tree of shards, per shard a totally ordered, append-only [log](crate::log), read by
//! position. Readers never hold up writers, writers never wait for anybody, and memory is bounded by
//! what is retained.
//!
//! ```
//! use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
//! use streamcore::stream::ReadLimits;
//! use streamcore::{Store, StreamConfig};
//!
//! let store = Store::new();
//! let schema = KeySchema::new("id", None)?;
//! let config = StreamConfig::new("Orders", schema, StreamViewType::NewAndOldImages);
//! let stream = store.register_stream(config)?;
//!
//! let order = Attributes::from([("id".to_owned(), AttributeValue::N("1".to_owned()))]);
//! let number = stream.put(Change::insert(Image::new(order)))?;
//!
//! let shard = stream.describe().shards[0].shard_id.to_string();
//! let page = stream.get_records(&shard, Default::default(), ReadLimits::records(1000))?;
//! let record = page.iter().next().expect("the put has returned");
//! assert_eq!(record.sequence_number(), number);
//! # Ok::<(), streamcore::Error>(())
//! ```
//!
//! # The house
//!
//! | module | what it is |
//! |---|---|
//! | [`log`] | the lock-free log, for values of any type; knows nothing of DynamoDB |
//! | [`stream`] | one stream: shards and their lineage, iterators, putting and reading |
//! | [`store`] | all streams of a host, by their ARN |
//! | [`model`] | attribute values, changes, records, names |
#![cfg_attr(feature = "serde", doc = "| [`wire`] | the Streams API in DynamoDB JSON |")]
#![cfg_attr(
    not(feature = "serde"),
    doc = "| `wire` | the Streams API in DynamoDB JSON (feature `serde`) |"
)]
//!
//! Data flows one way: wire, store, stream, log. How the log works, and why that is right, stands in
//! [`log::implementation`].
//!
//! # Consistency
//!
//! What is promised, and for whom it is checked (loom models in `loom-tests`, stress tests in
//! `core/tests`):
//!
//! - **Order**: each append gets one position; positions are dense from 0, or from where a restored log
//!   begins; if append A returned before B was called, A's is smaller.
//! - **Immutable**: a position always yields the same record, or says that it was trimmed.
//! - **Prefix-closed**: every position of a snapshot is readable or explicitly trimmed; there are no
//!   holes.
//! - **Monotone**: a later snapshot never ends or starts earlier, across threads.
//! - **Visibility**: a record is visible to every snapshot begun after its append and all appends with
//!   smaller positions have returned. Appends begun later never delay it. A writer that is suspended
//!   between reserving and publishing hides what came after it, and stops trimming there, until it runs
//!   again; others keep appending, and [`LogStats::prefix_lag`](log::LogStats::prefix_lag) names the
//!   lag. [`Stream::get_records`] waits up to a configurable bound for appends in flight;
//!   [`Stream::wait_visible`] is the strict form, and blocks.
//! - **Batches**: contiguous in their shard, all or nothing in every snapshot of it, never across a seal.
//!   No promise across shards.
//! - **Seal**: a log has one end; every append lands before it and becomes readable, or goes to a child.
//! - **Topology**: a shard is listed as closed in the same step that lists its children.
//! - **Progress**: appends and batches are wait-free apart from the allocator; reading a published
//!   position is wait-free; snapshot, trim and seal are lock-free. What waits says so in its name or its
//!   documentation.
//!
//! Not promised: that a snapshot contains an append that is still in flight, or any order between
//! records of different shards beyond "parents before children".
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `serde` | DynamoDB JSON: (de)serialisation of values, [`wire`](crate#the-house), images made from JSON |
//! | `futures` | `futures_core::Stream` for [`log::Cursor`] |

pub mod error;
pub mod log;
pub mod model;
pub mod store;
pub mod stream;
mod sync;
#[cfg(feature = "serde")]
pub mod wire;

pub use error::Error;
pub use store::{Store, StreamConfig};
pub use stream::Stream;

/// The modelled half of `sync`, for the models' harness.
#[cfg(streamcore_loom)]
pub use sync::modelled;

/// The scheduled half of `sync`, for the schedules' harness.
#[cfg(streamcore_shuttle)]
pub use sync::scheduled;
