//! Records that are encoded once: answers are the same bytes with a cache and without, whoever reads what first.

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;
use streamcore::model::{AttributeValue, Attributes, Change, Image, StreamViewType};
use streamcore::wire::{Body, StreamsApi};

use crate::host::*;

const ROOMY: u64 = 64 << 20;

/// An item that takes at least so many bytes of JSON.
fn large(n: usize, bytes: usize) -> Image {
    let filler = AttributeValue::S("x\"".repeat(bytes / 3));
    let number = AttributeValue::N(n.to_string());
    Image::new(Attributes::from([("pk".to_owned(), number), ("filler".to_owned(), filler)]))
}

fn answer(api: &StreamsApi, iterator: &str, limit: usize) -> Body {
    let request = json!({ "ShardIterator": iterator, "Limit": limit });
    api.answer("GetRecords", request.to_string().as_bytes()).unwrap()
}

/// A page without what comes behind its records, and the next iterator. The CRC is checked on the way.
fn page(api: &StreamsApi, iterator: &str, limit: usize) -> (String, Option<String>) {
    let body = answer(api, iterator, limit);
    let (crc32, len) = (body.crc32(), body.len());
    let text = body.into_vec();
    assert_eq!((crc32, len), (crc32fast::hash(&text), text.len()));
    let text = String::from_utf8(text).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let next = parsed["NextShardIterator"].as_str().map(str::to_owned);
    let end = text.rfind("],\"NextShardIterator\"").unwrap_or(text.len() - 2);
    (text[..end].to_owned(), next)
}

/// The parts of a page that lie where a part of another one lies.
fn shared(page: &Body, other: &Body) -> usize {
    let addresses: BTreeSet<_> = other.parts().iter().map(|part| part.as_ref().as_ptr()).collect();
    page.parts().iter().filter(|part| addresses.contains(&part.as_ref().as_ptr())).count()
}

#[test]
fn a_record_reads_the_same_with_a_cache_and_without() {
    let views = [StreamViewType::KeysOnly, StreamViewType::NewAndOldImages];
    for (view, shards) in views.into_iter().zip([1, 2]) {
        let host = host_of(|store| store, |stream| stream.shards(shards));
        let other = host.store.register_stream(config_of("Others", view)).unwrap();
        for n in 0..1_234 {
            host.clock.advance_ms(if n % 300 == 0 { 700 } else { 1 });
            let change = Change::modify(item(n), large(n, n % 50));
            host.stream
                .put(if n % 7 == 0 { Change::remove(item(n)).by_ttl() } else { change })
                .unwrap();
            other.put(Change::insert(item(n))).unwrap();
        }
        // The third has so little room that it forgets nearly everything at once.
        let caches = [ROOMY, ROOMY, 1 << 20].map(|bytes| host.api.clone().cache_bytes(bytes));
        let arns = [ARN.to_owned(), arn_of("Others")];
        for (number, &limit) in [1000, 37, 100, 99, 1000, 250, 101, 1000].iter().enumerate() {
            for (arn, stream) in arns.iter().zip([&host.stream, &other]) {
                for shard in stream.describe().shards {
                    let start = json!({
                        "StreamArn": arn, "ShardId": shard.shard_id.as_str(),
                        "ShardIteratorType": "TRIM_HORIZON",
                    });
                    let start = host.call("GetShardIterator", start).unwrap();
                    let mut iterator = start["ShardIterator"].as_str().unwrap().to_owned();
                    loop {
                        let (expected, next) = page(&host.api, &iterator, limit);
                        for api in caches.iter().skip(number % 2) {
                            assert_eq!(page(api, &iterator, limit).0, expected);
                        }
                        if expected.ends_with('[') {
                            break;
                        }
                        iterator = next.unwrap();
                    }
                }
            }
        }
        for (cache, allowed) in caches.iter().zip([ROOMY, ROOMY, 1 << 20]) {
            assert!((1..=allowed).contains(&cache.cached_bytes()), "{}", cache.cached_bytes());
        }
    }
}

#[test]
fn who_reads_the_same_records_gets_the_same_memory() {
    let host = host();
    host.put(1_050);
    let api = host.api.clone().cache_bytes(ROOMY);
    let start = host.of_type("TRIM_HORIZON");
    let first = answer(&api, &start, 1000);
    assert_eq!(first.parts().len(), 1 + 10 + 9 + 1, "ten blocks, and what stands around them");
    let again = answer(&api.clone(), &start, 1000);
    assert_eq!(shared(&again, &first), 10);
    // A page that begins elsewhere shares the blocks that it has whole, and copies from the others.
    let behind = host.numbered(&host.shard(), "AFTER_SEQUENCE_NUMBER", &number(0, 250)).unwrap();
    let moved = answer(&api, &behind, 500);
    assert_eq!(shared(&moved, &first), 4);
    assert_eq!(moved.parts().len(), 1 + 4 + 3 + 1);
    // Nothing is shared without a cache, and one part is all there is.
    assert_eq!(answer(&host.api, &start, 1000).parts().len(), 1);
}

#[test]
fn what_is_cached_stays_below_what_is_allowed() {
    let host = host();
    let allowed = 4 << 20;
    let api = host.api.clone().cache_bytes(allowed);
    for n in 0..20_000 {
        host.stream.put(Change::insert(large(n, 900))).unwrap();
    }
    let (mut iterator, mut most) = (host.of_type("TRIM_HORIZON"), 0);
    for _ in 0..20 {
        iterator = page(&api, &iterator, 1000).1.unwrap();
        assert!(api.cached_bytes() <= allowed, "{}", api.cached_bytes());
        most = most.max(api.cached_bytes());
    }
    assert!(most > allowed * 3 / 4, "it is made use of: {most}");
    for bytes in [0, 1, 1000] {
        let none = host.api.clone().cache_bytes(bytes);
        page(&none, &host.of_type("TRIM_HORIZON"), 1000);
        assert_eq!(none.cached_bytes(), 0);
    }
}

#[test]
fn who_goes_round_more_than_fits_still_finds_some() {
    // Which blocks meet depends on the shard's number.
    let found = [(); 4].map(|()| {
        let host = host();
        for n in 0..5_000 {
            host.stream.put(Change::insert(large(n, 600))).unwrap();
        }
        // Half of it fits.
        let api = host.api.clone().cache_bytes(3 << 20);
        let rounds: Vec<Vec<Body>> = (0..5).map(|_| round(&host, &api)).collect();
        let both = rounds.iter().zip(&rounds[1..]).flat_map(|(before, now)| now.iter().zip(before));
        both.map(|(now, before)| shared(now, before)).sum::<usize>()
    });
    assert!(found.iter().sum::<usize>() > 40, "of 200 blocks each, so many again: {found:?}");
}

/// The answers of one way through the stream, page by page.
fn round(host: &Host, api: &StreamsApi) -> Vec<Body> {
    let mut iterator = host.of_type("TRIM_HORIZON");
    let page = |_| {
        let body = answer(api, &iterator, 1000);
        let text: serde_json::Value = serde_json::from_slice(&body_bytes(&body)).unwrap();
        iterator = text["NextShardIterator"].as_str().unwrap().to_owned();
        body
    };
    (0..5).map(page).collect()
}

#[test]
fn what_everybody_reads_stays_while_much_is_read_once() {
    // Where blocks may lie depends on the shard's number, and in a small cache they meet now and then.
    let lost = [(); 20].map(|()| {
        let host = host();
        host.put(12_000);
        let api = host.api.clone().cache_bytes(1 << 18);
        let start = host.of_type("TRIM_HORIZON");
        let mut hot = answer(&api, &start, 100);
        let mut iterator = page(&api, &start, 100).1.unwrap();
        let mut read = || {
            iterator = page(&api, &iterator, 100).1.unwrap();
            let again = answer(&api, &start, 100);
            let is_lost = shared(&again, &hot) == 0;
            hot = again;
            is_lost
        };
        (0..100).filter(|_| read()).count()
    });
    // About 70 times; 200 if the hand did not pass over what was used.
    assert!(lost.iter().sum::<usize>() <= 130, "of 2,000 times encoded again: {lost:?}");
}

fn body_bytes(body: &Body) -> Vec<u8> {
    body.parts().iter().flat_map(|part| part.as_ref()).copied().collect()
}

#[test]
fn records_that_are_gone_are_gone_although_they_were_cached() {
    let host = host();
    host.put(1_000);
    let api = host.api.clone().cache_bytes(ROOMY);
    let start = host.numbered(&host.shard(), "AT_SEQUENCE_NUMBER", &number(0, 1)).unwrap();
    page(&api, &start, 1000);
    // In the midst of a block.
    host.trim(&host.shard(), 550);
    let request = json!({ "ShardIterator": start, "Limit": 1000 });
    let refused = api.answer("GetRecords", request.to_string().as_bytes()).unwrap_err();
    assert_eq!(refused.name, "TrimmedDataAccessException");
    let rest = page(&api, &host.of_type("TRIM_HORIZON"), 1000).0;
    assert_eq!(rest, page(&host.api, &host.of_type("TRIM_HORIZON"), 1000).0);
}

#[test]
fn a_stream_that_has_the_name_of_a_former_one_shows_its_own_records() {
    let mut host = host();
    let api = host.api.clone().cache_bytes(ROOMY);
    let mut pages = Vec::new();
    for life in 0..3 {
        for n in 0..250 {
            host.stream.put(Change::insert(item(1_000 * life + n))).unwrap();
        }
        let start = host.of_type("TRIM_HORIZON");
        let (now, expected) = (page(&api, &start, 1000).0, page(&host.api, &start, 1000).0);
        assert_eq!(now, expected, "life {life}");
        pages.push(now);
        host.store.remove_stream(ARN).unwrap();
        host.stream = register(&host.store, "Orders");
        assert_eq!(host.stream.info().arn().as_str(), ARN);
    }
    assert!(pages[0] != pages[1] && pages[1] != pages[2]);
}

#[test]
fn as_much_as_there_may_be_is_allowed() {
    let host = host();
    host.put(100);
    let api = host.api.clone().cache_bytes(u64::MAX);
    page(&api, &host.of_type("TRIM_HORIZON"), 1000);
    assert!(api.cached_bytes() > 0);
}

#[test]
fn readers_that_race_for_little_room_read_what_was_written() {
    let host = host();
    for n in 0..4_000 {
        host.stream.put(Change::insert(large(n, n % 400))).unwrap();
    }
    let allowed = 300 << 10;
    let api = host.api.clone().cache_bytes(allowed);
    let starts: Vec<_> = (0..4u64)
        .map(|n| {
            host.numbered(&host.shard(), "AT_SEQUENCE_NUMBER", &number(0, 1 + 450 * n)).unwrap()
        })
        .collect();
    let expected: Vec<_> = starts.iter().map(|start| page(&host.api, start, 700).0).collect();
    thread::scope(|scope| {
        for offset in 0..4 {
            let (api, starts, expected) = (&api, &starts, &expected);
            scope.spawn(move || {
                for round in 0..60 {
                    let at = (round + offset) % starts.len();
                    assert_eq!(page(api, &starts[at], 700).0, expected[at]);
                }
            });
        }
    });
    assert!(api.cached_bytes() <= allowed, "{}", api.cached_bytes());
}
