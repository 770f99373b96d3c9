//! Telling a host what was delivered, for its figures.

use std::fmt;
use std::sync::Arc;

use crate::stream::Stream;

/// What one call of GetRecords delivered.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Delivery<'a> {
    /// From this stream.
    pub stream: &'a Stream,
    /// So many records; 0 at the tail.
    pub records: usize,
    /// The whole answer, in bytes.
    pub bytes: usize,
}

/// Who is told; nobody, as a rule.
#[derive(Clone, Default)]
pub(super) struct Observer(Option<Arc<Told>>);

type Told = dyn Fn(Delivery<'_>) + Send + Sync;

impl Observer {
    pub(super) fn new(told: impl Fn(Delivery<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    #[inline]
    pub(super) fn tell(&self, delivery: Delivery<'_>) {
        if let Some(told) = &self.0 {
            told(delivery);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}
