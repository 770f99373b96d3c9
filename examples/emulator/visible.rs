//! Records that were put, and waiting until every reader sees them.
//!
//! A write is acknowledged once its records are visible. That they are, as a rule, by the time anybody asks:
//! only a writer that was stopped in the middle of a put hides what came after it for a while. Then a task
//! waits without holding up its thread ([`Receipts::seen`]), and a thread blocks ([`Receipts::wait`]).

use std::ops::Deref;
use std::sync::Arc;

use papaya::HashMap;
use smallvec::SmallVec;
use streamcore::Stream;
use streamcore::log::Position;
use streamcore::model::{Change, SequenceNumber};
use streamcore::stream::ShardId;

use crate::error::{ApiError, ErrorKind};

/// A stream that a table writes to, with the names of its shards at hand.
pub(crate) struct Outlet {
    stream: Stream,
    /// The open shards, as far as they were asked for; some that were open then.
    names: HashMap<u32, ShardId>,
}

impl Deref for Outlet {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl Outlet {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, names: HashMap::new() }
    }

    /// The name of the shard with an ordinal; `None` if it is not listed any more.
    fn name(&self, ordinal: u32) -> Option<ShardId> {
        let names = self.names.pin();
        if let Some(name) = names.get(&ordinal) {
            return Some(name.clone());
        }
        let mut found = None;
        for shard in self.stream.describe().shards {
            let Some(this) = shard.starting_sequence_number.ordinal() else {
                continue;
            };
            if this == ordinal {
                found = Some(shard.shard_id.clone());
            }
            // A closed shard takes no more records, so nobody will ask for it much longer.
            if shard.ending_sequence_number.is_none() {
                names.insert(this, shard.shard_id);
            } else {
                names.remove(&this);
            }
        }
        found
    }
}

/// A record that was put into a stream.
#[must_use = "a change is acknowledged only when its record is visible"]
pub(crate) struct Receipt {
    outlet: Arc<Outlet>,
    number: SequenceNumber,
}

impl Receipt {
    /// Puts records into a stream, those of one shard side by side. None if the stream was closed in the
    /// meantime: then the changes are ones that came after.
    pub(crate) fn put_all(
        outlet: &Arc<Outlet>,
        changes: Vec<Change>,
    ) -> Result<Vec<Self>, ApiError> {
        let numbers = match outlet.put_all(changes) {
            Ok(numbers) => numbers,
            Err(streamcore::Error::StreamClosed { .. }) => Vec::new(),
            Err(error) => return Err(ApiError::new(ErrorKind::Internal, error.to_string())),
        };
        let receipt = |number| Self { outlet: Arc::clone(outlet), number };
        Ok(numbers.into_iter().map(receipt).collect())
    }

    /// Puts one record, as [`Receipt::put_all`].
    pub(crate) fn put(outlet: &Arc<Outlet>, change: Change) -> Result<Option<Self>, ApiError> {
        match outlet.put(change) {
            Ok(number) => Ok(Some(Self { outlet: Arc::clone(outlet), number })),
            Err(streamcore::Error::StreamClosed { .. }) => Ok(None),
            Err(error) => Err(ApiError::new(ErrorKind::Internal, error.to_string())),
        }
    }

    /// Whether both are of one shard.
    fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.outlet, &other.outlet) && self.number.ordinal() == other.number.ordinal()
    }

    /// Where the record lies; `None` if its shard is gone, and nobody will read it.
    fn place(&self) -> Option<(ShardId, Position)> {
        Some((self.outlet.name(self.number.ordinal()?)?, self.number.position()?))
    }

    /// Whether every reader sees the record, or its shard is gone and nobody will. Waits for nobody.
    fn is_visible(&self) -> bool {
        self.outlet.is_visible(self.number).unwrap_or(true)
    }

    /// Ready once every reader sees the record.
    async fn seen(&self) {
        if self.is_visible() {
            return;
        }
        let Some((shard, position)) = self.place() else {
            return;
        };
        if let Ok(mut cursor) = self.outlet.cursor(shard.as_str(), position) {
            cursor.ready().await;
        }
    }
}

/// The records of one request: the last one of each shard, which is visible only when all before it are.
#[derive(Default)]
#[must_use = "a request is answered when its records are visible"]
pub(crate) struct Receipts {
    /// One, as a rule: few requests write to several shards.
    last: SmallVec<[Receipt; 1]>,
}

impl Receipts {
    pub(crate) fn add(&mut self, receipt: Receipt) {
        match self.last.iter_mut().find(|last| last.is_beside(&receipt)) {
            Some(last) if last.number < receipt.number => *last = receipt,
            Some(_) => {}
            None => self.last.push(receipt),
        }
    }

    /// Ready once every reader sees all records. Gives its thread to others meanwhile.
    pub(crate) async fn seen(&self) {
        for receipt in &self.last {
            receipt.seen().await;
        }
    }

    /// Blocks until every reader sees all records.
    pub(crate) fn wait(&self) {
        for receipt in &self.last {
            // Refused only if the shard is gone: then there is nothing to see.
            let _ = receipt.outlet.wait_visible(receipt.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use streamcore::model::{AttributeValue, Attributes, Image, KeySchema, StreamViewType};
    use streamcore::{Store, StreamConfig};

    fn outlet() -> Arc<Outlet> {
        let schema = KeySchema::new("pk", None).expect("a key");
        let config = StreamConfig::new("things", schema, StreamViewType::KeysOnly);
        Arc::new(Outlet::new(Store::new().register_stream(config).expect("a stream")))
    }

    fn insert(pk: &str) -> Change {
        let pk = AttributeValue::S(pk.to_owned());
        Change::insert(Image::new(Attributes::from([("pk".to_owned(), pk)])))
    }

    fn put(outlet: &Arc<Outlet>) -> Receipt {
        Receipt::put(outlet, insert("a")).expect("put").expect("open")
    }

    /// A receipt for the record behind this one: as long as nobody puts it, it is not visible.
    fn behind(receipt: &Receipt) -> Receipt {
        let (ordinal, position) =
            receipt.number.ordinal().zip(receipt.number.position()).expect("of a record");
        let number = SequenceNumber::new(ordinal, position.plus(1));
        Receipt { outlet: Arc::clone(&receipt.outlet), number }
    }

    fn poll(receipts: &Receipts) -> Poll<()> {
        pin!(receipts.seen()).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_was_put_is_visible_in_every_shard_there_was() {
        let outlet = outlet();
        for _ in 0..5 {
            let mut receipts = Receipts::default();
            receipts.add(put(&outlet));
            let open = outlet.describe().shards.pop().expect("a shard");
            outlet.roll(open.shard_id.as_str()).expect("a child");
            receipts.add(put(&outlet));
            assert_eq!(receipts.last.len(), 2);
            assert_eq!(poll(&receipts), Poll::Ready(()));
            receipts.wait();
        }
        // The names of closed shards are not kept.
        put(&outlet).is_visible();
        assert!(outlet.names.len() <= 2, "{}", outlet.names.len());
    }

    #[test]
    fn only_the_last_record_of_a_shard_is_waited_for() {
        let outlet = outlet();
        let first = put(&outlet);
        let later = behind(&first);
        for pair in [[first, later], [behind(&put(&outlet)), put(&outlet)]] {
            let last = pair.iter().map(|receipt| receipt.number).max();
            let mut receipts = Receipts::default();
            pair.into_iter().for_each(|receipt| receipts.add(receipt));
            let kept: Vec<_> = receipts.last.iter().map(|receipt| receipt.number).collect();
            assert_eq!(kept, Vec::from_iter(last));
        }
    }

    #[tokio::test]
    async fn a_task_that_waits_leaves_the_thread_to_others() {
        let outlet = outlet();
        let mut receipts = Receipts::default();
        receipts.add(behind(&put(&outlet)));
        assert_eq!(poll(&receipts), Poll::Pending);
        // One thread: were it held up, the record would never be put.
        tokio::join!(receipts.seen(), async {
            let _visible = put(&outlet);
        });
        assert_eq!(poll(&receipts), Poll::Ready(()));
    }

    #[tokio::test]
    async fn a_record_that_never_comes_is_not_waited_for() {
        let outlet = outlet();
        let mut receipts = Receipts::default();
        receipts.add(behind(&put(&outlet)));
        outlet.disable();
        receipts.seen().await;
        receipts.wait();
        // Nor one of a shard that there is not.
        let number = SequenceNumber::new(99, Position::ZERO);
        receipts.add(Receipt { outlet, number });
        receipts.seen().await;
        receipts.wait();
    }
}
