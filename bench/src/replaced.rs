//! The store that streamcore replaces, its design written anew in Rust: one lock over a map of streams, each a
//! vector of shared records that readers copy; encoded with serde each time somebody reads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use streamcore::model::{Attributes, Image};

/// All streams behind one lock.
#[derive(Default)]
pub struct ReplacedStore {
    streams: RwLock<HashMap<String, Vec<Arc<ReplacedRecord>>>>,
    /// One for all streams.
    next: AtomicU64,
}

/// A record with all of its fields, as that design stores it. What is the same for all records is shared, which
/// is kinder than the original.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplacedRecord {
    #[serde(rename = "eventID")]
    event_id: Arc<str>,
    event_name: &'static str,
    event_version: &'static str,
    event_source: &'static str,
    aws_region: Arc<str>,
    #[serde(skip)]
    arn: Arc<str>,
    dynamodb: Change,
    /// When it was put.
    #[serde(skip)]
    pub created_ms: u64,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    approximate_creation_date_time: u64,
    keys: Arc<Attributes>,
    new_image: Arc<Attributes>,
    old_image: Arc<Attributes>,
    sequence_number: String,
    size_bytes: u64,
    stream_view_type: &'static str,
}

impl ReplacedRecord {
    /// What a host hands over: all fields that the store does not set.
    #[must_use]
    pub fn mould(arn: &str, images: &[Image; 2]) -> Self {
        let [old, new] = images.each_ref().map(|image| Arc::new(image.attributes().clone()));
        let key = |(name, value): (&String, &_)| (name.clone(), Clone::clone(value));
        let is_key = |name: &String| name == "customer" || name == "order";
        let keys: Attributes = new.iter().filter(|(name, _)| is_key(name)).map(key).collect();
        Self {
            event_id: "0123456789abcdef0123456789abcdef".into(),
            event_name: "MODIFY",
            event_version: "",
            event_source: "",
            aws_region: "us-east-1".into(),
            arn: arn.into(),
            dynamodb: Change {
                approximate_creation_date_time: 0,
                keys: Arc::new(keys),
                size_bytes: images[0].size_bytes() + images[1].size_bytes(),
                new_image: new,
                old_image: old,
                sequence_number: String::new(),
                stream_view_type: "NEW_AND_OLD_IMAGES",
            },
            created_ms: 0,
        }
    }

    /// Appends the record as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("memory takes everything, and keys are strings");
    }
}

impl ReplacedStore {
    /// Adds a stream; nothing if it is there.
    pub fn register(&self, arn: &str) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.entry(arn.to_owned()).or_default();
    }

    /// Stores a record, with a number and a time.
    pub fn put(&self, mut record: ReplacedRecord) {
        // Relaxed: a number; the lock orders the rest.
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        record.event_version = "1.1";
        record.event_source = "aws:dynamodb";
        record.created_ms = now.as_millis() as u64;
        record.dynamodb.approximate_creation_date_time = now.as_secs();
        record.dynamodb.sequence_number = format!("{number:021}");
        let record = Arc::new(record);
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(records) = streams.get_mut(&*record.arn) {
            records.push(record);
        }
    }

    /// Records from a position on, and the position behind them.
    #[must_use]
    pub fn get_records(
        &self,
        arn: &str,
        from: usize,
        limit: usize,
    ) -> (Vec<Arc<ReplacedRecord>>, usize) {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let records = streams.get(arn).map_or(&[][..], Vec::as_slice);
        let from = from.min(records.len());
        let to = records.len().min(from.saturating_add(limit));
        (records[from..to].to_vec(), to)
    }

    /// Records of a stream.
    #[must_use]
    pub fn count(&self, arn: &str) -> usize {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.get(arn).map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_it_was_given() {
        let store = ReplacedStore::default();
        store.register("a");
        let images = [crate::item(1), crate::item(2)];
        for _ in 0..3 {
            store.put(ReplacedRecord::mould("a", &images));
        }
        let (page, next) = store.get_records("a", 1, 1000);
        assert_eq!((page.len(), next, store.count("a")), (2, 3, 3));
        assert_eq!(store.get_records("a", 3, 1000).1, 3);
        assert_eq!((store.get_records("a", 1, 1).0.len(), store.get_records("a", 1, 1).1), (1, 2));
        let mut out = Vec::new();
        page[0].write(&mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["dynamodb"]["SequenceNumber"], "000000000000000000002");
        assert_eq!(json["dynamodb"]["Keys"]["order"]["N"], "2");
    }
}
