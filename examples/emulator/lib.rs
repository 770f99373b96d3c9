//! An emulator of DynamoDB Streams: a host for [`streamcore`] that real AWS SDKs talk
//! to. The Streams API comes straight from the store; beside it stands just enough of
//! DynamoDB's table API to be a producer.
//!
//! [`Emulator`] answers operations and knows nothing of HTTP; [`serve`] puts it on a
//! socket. Who has tables already takes [`service`]: the HTTP layer, for any host of tables.
//!
//! What AWS does by itself, at its own times, is done by hand under [`CONTROL_PATH`]: shards are rolled,
//! split and closed, and the clock is turned, if it is a manual one ([`Config::manual_clock`]).
//!
//! Everything is in memory; [`Emulator::write_snapshot`] writes it into a file, from which [`Emulator::start`] goes on.
//!
//! Left out, and refused rather than ignored where a client could tell the difference: PartiQL,
//! changes of indexes after CreateTable, and the parameters that expressions have replaced
//! (`Expected`, `KeyConditions`, filters; `AttributeUpdates` and `AttributesToGet` work).
//! Reserved words may be used as names. Capacity is neither enforced nor reported.
//!
//! ```
//! use streamcore_emulator::{Config, Emulator};
//!
//! let emulator = Emulator::new(Config::default());
//! let body = emulator.call("DynamoDB_20120810.ListTables", b"{}", "localhost");
//! assert_eq!(body.expect("no tables yet"), br#"{"TableNames":[]}"#);
//! ```

mod admin;
mod at_most;
mod calls;
mod clock;
mod control;
mod control_records;
mod control_streams;
mod error;
mod expr;
mod import;
mod item;
mod items;
mod key;
mod key_condition;
mod locked;
mod lookup;
mod metrics;
mod number;
mod page;
mod pages;
mod query;
mod read;
mod request;
mod routes;
mod schema;
mod server;
pub mod service;
mod snapshot;
mod table;
mod tables;
mod tokens;
mod transact;
mod transact_get;
mod ttl;
mod visible;
mod watch;
mod write;

pub use calls::{Config, Emulator};
pub use clock::{LAST_MS, Refused, read_time};
pub use control::CONTROL_PATH;
pub use import::{Import, ImportError, Imported};
pub use page::PAGE_PATH;
pub use routes::Routes;
pub use server::serve;
pub use service::{Failure, Limits};
pub use snapshot::{SnapshotFault, SnapshotReport};
