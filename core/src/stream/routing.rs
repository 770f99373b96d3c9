//! Routing: which open shard takes the changes of an item.
//!
//! The partition key is hashed to 64 bits: SipHash-1-3 with the key 0, over a byte for the type (`S`,
//! `N` or `B`) and the value's bytes; a number's are those of its value, so that equal numbers
//! meet however they are written. The hash is part of the library's contract: it does not change between versions. Each
//! open shard owns a range of hashes, and the ranges of all open shards cover every hash exactly once.
//! With one open shard nothing is hashed.

use siphasher::sip::SipHasher13;

use crate::model::{AttributeValue, KeySchema, Record, canonical_number};

/// A range of partition-key hashes, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashRange {
    /// The smallest hash.
    pub first: u64,
    /// The largest hash.
    pub last: u64,
}

impl HashRange {
    /// All hashes.
    pub const ALL: Self = Self { first: 0, last: u64::MAX };

    /// Whether ranges, in their order, hold every hash exactly once.
    pub(crate) fn are_all(ranges: &[Self]) -> bool {
        let mut next = Some(Self::ALL.first);
        let follow = ranges.iter().all(|range| {
            let fits = next == Some(range.first);
            next = range.last.checked_add(1);
            fits
        });
        follow && ranges.last().is_some_and(|range| range.last == Self::ALL.last)
    }

    /// This range in `parts` parts that differ by one hash at the most; fewer parts if there are not
    /// as many hashes.
    pub(crate) fn divide(self, parts: u32) -> impl Iterator<Item = Self> {
        let size = u128::from(self.last - self.first) + 1;
        let parts = u128::from(parts).min(size);
        (0..parts).map(move |part| Self {
            first: self.first + (size * part / parts) as u64,
            last: self.first + (size * (part + 1) / parts - 1) as u64,
        })
    }
}

/// The hash of a record's partition key; 0 for a value that is no key, which no stream accepts.
pub(crate) fn key_hash(record: &Record, schema: &KeySchema) -> u64 {
    record.key_attribute(schema.hash()).map_or(0, |value| hash_value(&value))
}

fn hash_value(value: &AttributeValue) -> u64 {
    let hash = |kind: u8, bytes: &[u8]| {
        let mut hasher = SipHasher13::new();
        std::hash::Hasher::write(&mut hasher, &[kind]);
        std::hash::Hasher::write(&mut hasher, bytes);
        std::hash::Hasher::finish(&hasher)
    };
    match value {
        AttributeValue::S(text) => hash(b'S', text.as_bytes()),
        AttributeValue::N(number) => hash(b'N', &canonical_number(number)),
        AttributeValue::B(bytes) => hash(b'B', bytes),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_hash_once() {
        for parts in [1, 2, 3, 7, 1000] {
            let ranges: Vec<_> = HashRange::ALL.divide(parts).collect();
            assert_eq!(ranges.len(), parts as usize);
            assert_eq!((ranges[0].first, ranges[parts as usize - 1].last), (0, u64::MAX));
            assert!(ranges.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
        }
        let one = HashRange { first: 7, last: 7 };
        assert_eq!(one.divide(2).collect::<Vec<_>>(), [one]);
    }

    #[test]
    fn the_hash_is_part_of_the_contract() {
        // Fixed for ever: a changed figure here would send items to other shards.
        let text = hash_value(&AttributeValue::S("customer-1".into()));
        let number = hash_value(&AttributeValue::N("1".into()));
        assert_eq!(number, hash_value(&AttributeValue::N("1.0".into())));
        assert_eq!((text, number), (1_914_473_019_961_970_950, 12_678_158_739_748_182_952));
    }
}
