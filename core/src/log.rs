//! A lock-free, append-only log: the core of streamcore, usable on its own.
//!
//! ```
//! use streamcore::log::{Log, Position};
//!
//! let log: Log<&str> = Log::new();
//! log.append("first")?;
//! log.append_all(["second", "third"]).expect("nobody sealed the log");
//!
//! let snapshot = log.snapshot();
//! let chunk = log.read(snapshot.start(), 10)?;
//! let read: Vec<_> = chunk.iter().collect();
//! assert_eq!(read[1], (Position::new(1), &"second"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It knows nothing of DynamoDB, and compiles without the rest of the crate. What it promises stands
//! in the crate's [`# Consistency`](crate#consistency) section; how it works, and why that is right,
//! in [`implementation`].

mod append;
mod cursor;
mod directory;
mod hollow;
pub mod implementation;
#[expect(clippy::module_inception, reason = "the log is what this module is named after")]
mod log;
mod pins;
mod position;
mod prefix;
mod provision;
mod read;
mod reclaim;
mod retain;
mod seal;
mod segment;
mod shelf;
mod snapshot;
mod tail;
#[cfg(all(test, not(any(streamcore_loom, streamcore_shuttle))))]
mod tests;
mod waiters;

pub use append::{BatchError, MAX_BATCH, Sealed};
pub use cursor::{Cursor, NeverVisible, Next, Ready, WaitOutcome};
pub use log::{Log, LogOptions, LogStats};
pub use position::Position;
pub(crate) use read::Sealed as SealedHandle;
pub use read::{Chunk, ChunkIter, LogHandle, Trimmed};
pub use retain::Retained;
pub use seal::SealOutcome;
pub use segment::Batch;
pub use snapshot::Snapshot;
