//! What all streams of a store have in common: the clock, the key of its iterators, and how patient its
//! readers are.

use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;

/// The settings of one store, shared by its streams.
pub(crate) struct Context {
    pub(crate) clock: Arc<dyn Clock>,
    /// The secret that shard iterators are authenticated with.
    pub(crate) iterator_key: [u8; 16],
    /// Tells this store from others with the same key: positions mean nothing elsewhere.
    pub(crate) incarnation: u64,
    /// How long a read waits for puts that were in flight when it began.
    pub(crate) read_patience: Duration,
}
