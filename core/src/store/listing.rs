//! The listing: the streams of a store in the order in which they are listed, table by table, and a table's
//! streams by ARN.
//!
//! Chunks of handles, each sorted and none of them empty, so that finding a place compares few names: the
//! names stand in the streams, not here. A store is often filled in this order, so a stream that comes behind
//! all others is compared with the last one only.

use std::ops::Bound;

use crate::model::StreamArn;
use crate::stream::Stream;

/// So many streams one chunk holds at the most.
const CHUNK: usize = if cfg!(test) { 4 } else { 256 };

/// Streams in order.
pub(super) struct Listing {
    chunks: Vec<Vec<Stream>>,
}

/// Where a stream stands in the order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListKey<'a> {
    pub(super) table: &'a str,
    pub(super) arn: &'a str,
}

impl<'a> ListKey<'a> {
    pub(super) fn of(arn: &'a StreamArn) -> Self {
        Self { table: arn.table_name(), arn: arn.as_str() }
    }

    fn of_stream(stream: &'a Stream) -> Self {
        Self::of(stream.info().arn())
    }
}

/// A place in the listing, valid until that is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    chunk: usize,
    at: usize,
}

/// What a look at the place of a name finds.
pub(super) enum Sought<'a> {
    /// The stream of that name.
    Here(Place, &'a Stream),
    /// None; one would stand there.
    Absent(Place),
}

impl Listing {
    pub(super) const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    /// Looks for the stream of a name.
    pub(super) fn seek(&self, key: ListKey<'_>) -> Sought<'_> {
        let Some((last, before)) = self.chunks.split_last() else {
            return Sought::Absent(Place { chunk: 0, at: 0 });
        };
        if last.last().is_none_or(|stream| ListKey::of_stream(stream) < key) {
            return Sought::Absent(Place { chunk: before.len(), at: last.len() });
        }
        let begins_before = |chunk: &Vec<Stream>| {
            chunk.first().is_some_and(|first| ListKey::of_stream(first) <= key)
        };
        let chunk = self.chunks.partition_point(begins_before).saturating_sub(1);
        let streams = &self.chunks[chunk];
        match streams.binary_search_by(|stream| ListKey::of_stream(stream).cmp(&key)) {
            Ok(at) => Sought::Here(Place { chunk, at }, &streams[at]),
            Err(at) => Sought::Absent(Place { chunk, at }),
        }
    }

    /// Lists a stream at the place that was sought for its name.
    pub(super) fn insert(&mut self, Place { chunk, at }: Place, stream: Stream) {
        let is_last = chunk + 1 == self.chunks.len();
        let Some(streams) = self.chunks.get_mut(chunk) else {
            self.chunks.push(vec![stream]);
            return;
        };
        if streams.len() < CHUNK {
            streams.insert(at, stream);
            return;
        }
        // Behind all others chunks are left full, since streams often come in order; elsewhere half of the room
        // is for those to come.
        let kept = if at == streams.len() && is_last { at } else { CHUNK / 2 };
        let mut split = streams.split_off(kept);
        match at.checked_sub(kept) {
            Some(at) => split.insert(at, stream),
            None => streams.insert(at, stream),
        }
        self.chunks.insert(chunk + 1, split);
    }

    /// Puts a stream in the place of another one of its name.
    pub(super) fn replace(&mut self, Place { chunk, at }: Place, stream: Stream) {
        self.chunks[chunk][at] = stream;
    }

    /// Takes out the stream that was found at a place.
    pub(super) fn remove(&mut self, Place { chunk, at }: Place) {
        self.chunks[chunk].remove(at);
        if self.chunks[chunk].is_empty() {
            self.chunks.remove(chunk);
        }
    }

    /// The streams from a bound on.
    pub(super) fn range(&self, from: Bound<ListKey<'_>>) -> impl Iterator<Item = &Stream> {
        let Place { chunk, at } = match from {
            Bound::Unbounded => Place { chunk: 0, at: 0 },
            Bound::Included(key) | Bound::Excluded(key) => match self.seek(key) {
                Sought::Absent(place) => place,
                Sought::Here(Place { chunk, at }, _) => {
                    let skipped = usize::from(matches!(from, Bound::Excluded(_)));
                    Place { chunk, at: at + skipped }
                }
            },
        };
        self.chunks.iter().skip(chunk).flatten().skip(at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{KeySchema, StreamViewType};
    use crate::{Store, StreamConfig};

    fn stream(store: &Store, table: u8, created_ms: u64) -> Stream {
        let schema = KeySchema::new("id", None).unwrap();
        let config = StreamConfig::new(format!("T{table:02}"), schema, StreamViewType::KeysOnly);
        store.register_stream(config.created_ms(created_ms)).unwrap()
    }

    fn arns<'a>(streams: impl Iterator<Item = &'a Stream>) -> Vec<String> {
        streams.map(|stream| stream.info().arn().to_string()).collect()
    }

    fn fill(listing: &mut Listing, stream: Stream) {
        match listing.seek(ListKey::of(stream.info().arn())) {
            Sought::Absent(place) => listing.insert(place, stream.clone()),
            Sought::Here(place, _) => listing.replace(place, stream.clone()),
        }
    }

    #[test]
    fn streams_that_come_in_order_fill_their_chunks() {
        let (store, mut listing) = (Store::new(), Listing::new());
        (0..10).for_each(|table| fill(&mut listing, stream(&store, table, 0)));
        let lengths: Vec<usize> = listing.chunks.iter().map(Vec::len).collect();
        assert_eq!(lengths, [CHUNK, CHUNK, 10 - 2 * CHUNK]);
    }

    #[test]
    fn streams_that_come_backwards_behind_a_full_chunk_share_chunks() {
        let (store, mut listing) = (Store::new(), Listing::new());
        let forwards = 0..CHUNK as u8;
        let backwards = (forwards.end..60).rev();
        forwards.chain(backwards).for_each(|table| fill(&mut listing, stream(&store, table, 0)));
        assert!(listing.chunks.len() <= 60 / (CHUNK / 2), "{} chunks", listing.chunks.len());
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_map(steps in prop::collection::vec((0..24_u8, 0..3_u64, any::<bool>()), 0..80)) {
            let (store, mut listing, mut map) = (Store::new(), Listing::new(), BTreeMap::new());
            for (table, created_ms, is_added) in steps {
                let stream = stream(&store, table, created_ms);
                let arn = stream.info().arn().to_string();
                let key = ListKey::of(stream.info().arn());
                if is_added {
                    fill(&mut listing, stream.clone());
                    map.insert((key.table.to_owned(), arn), ());
                } else {
                    let known = map.remove(&(key.table.to_owned(), arn));
                    match listing.seek(key) {
                        Sought::Here(place, found) => {
                            prop_assert!(found.is_same(&stream) && known.is_some());
                            listing.remove(place);
                        }
                        Sought::Absent(_) => prop_assert!(known.is_none()),
                    }
                }
                prop_assert!(listing.chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len())));
                let all: Vec<String> = map.keys().map(|(_, arn)| arn.clone()).collect();
                prop_assert_eq!(arns(listing.range(Bound::Unbounded)), all);
                for bound in [Bound::Included(key), Bound::Excluded(key)] {
                    let owned = |key: ListKey<'_>| (key.table.to_owned(), key.arn.to_owned());
                    let range = map.range((bound.map(owned), Bound::Unbounded));
                    let expected: Vec<String> = range.map(|((_, arn), ())| arn.clone()).collect();
                    prop_assert_eq!(arns(listing.range(bound)), expected);
                }
            }
        }
    }
}
