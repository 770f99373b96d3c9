//! What all streams of a store have in common: the clock, the key of its iterators, how patient its
//! readers are, and how many bytes it may hold.

use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;
use super::founding::Unfounded;
use super::heritage::Lineage;
use super::ledger::StoreLedger;

/// The settings of one store, shared by its streams.
pub(crate) struct Context {
    pub(crate) clock: Arc<dyn Clock>,
    /// The secret that shard iterators are authenticated with, and the stores before this one that did so.
    pub(crate) lineage: Lineage,
    /// Tells this store from others with the same key: positions mean nothing elsewhere.
    pub(crate) incarnation: u64,
    /// What streams share that nobody has come to yet.
    pub(crate) unfounded: Unfounded,
    /// How long a read waits for puts that were in flight when it began.
    pub(crate) read_patience: Duration,
    /// The bytes of all streams, if there is a bound on them.
    pub(crate) ledger: Option<StoreLedger>,
}
