//! Iterators that nobody made: 100,000 of them, each refused for what it is; and 100,000 bodies of requests that
//! nobody meant.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use streamcore::model::{
    AttributeValue, Attributes, Change, Image, KeySchema, SequenceNumber, StreamViewType,
};
use streamcore::stream::{ITERATOR_LIFE_MS, IteratorStart, ManualClock, ReadLimits};
use streamcore::wire::StreamsApi;
use streamcore::{Store, StreamConfig, log::Position};

use crate::damage::{Dice, damage};
use crate::targets::{OPERATIONS, Targets};

const MANY: u64 = 100_000;
const CREATED_MS: u64 = 1_432_155_070_252;
const TABLES: [&str; 3] = ["Orders", "Order", "Prices"];
const RECORDS: u64 = 20;

/// A store of some streams, with this key, at this time; and an iterator of each kind for each stream.
fn store(key: u8, now_ms: u64) -> (StreamsApi, Store, Vec<String>) {
    let clock = Arc::new(ManualClock::at_ms(CREATED_MS));
    let builder = Store::builder().clock(clock.clone()).iterator_key([key; 16]);
    let store = builder.incarnation(5).build();
    let mut iterators = Vec::new();
    for table in TABLES {
        let schema = KeySchema::new("pk", None).unwrap();
        let config = StreamConfig::new(table, schema, StreamViewType::NewImage);
        let config = config.created_ms(CREATED_MS).roll_never().retain_for_ever();
        let stream = store.register_stream(config).unwrap();
        for n in 0..RECORDS {
            let item = Attributes::from([("pk".to_owned(), AttributeValue::N(n.to_string()))]);
            stream.put(Change::insert(Image::new(item))).unwrap();
        }
        let shard = stream.describe().shards[0].shard_id.to_string();
        let at = SequenceNumber::new(0, Position::new(7));
        for start in [
            IteratorStart::TrimHorizon,
            IteratorStart::Latest,
            IteratorStart::AtSequenceNumber(at),
            IteratorStart::AfterSequenceNumber(at),
        ] {
            iterators.push(stream.iterator(&shard, start).unwrap());
        }
    }
    clock.advance_ms(now_ms - CREATED_MS);
    (StreamsApi::new(store.clone()), store, iterators)
}

/// What is done to an iterator, and what the answer must be called.
fn forge(dice: &mut Dice, made: &[String], strange: &[String]) -> (&'static str, Vec<u8>) {
    let good = dice.pick(made).clone();
    let other = dice.pick(made).clone();
    let (arn, sealed) = good.rsplit_once("|1|").unwrap();
    let (other_arn, other_sealed) = other.rsplit_once("|1|").unwrap();
    let mut bytes = good.clone().into_bytes();
    match dice.below(10) {
        0 => {
            for _ in 0..=dice.below(3) {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
            ("bits flipped", bytes)
        }
        1 => {
            let from = dice.below(bytes.len());
            let cut = if dice.below(2) == 0 { &bytes[..from] } else { &bytes[from + 1..] };
            ("cut", cut.to_vec())
        }
        2 => {
            let more = dice.pick(&["=", "A", "|", " ", "\n", "\0", "|1|", "AAAA", "\u{e9}"]);
            let at = dice.below(bytes.len() + 1);
            bytes.splice(at..at, more.bytes());
            ("longer", bytes)
        }
        // The payload of one with the tag of another, or of the same.
        3 => {
            let (mut payload, tag) =
                (STANDARD.decode(sealed).unwrap(), STANDARD.decode(other_sealed).unwrap());
            payload.splice(29.., tag[29..].iter().copied());
            ("tag of another", format!("{arn}|1|{}", STANDARD.encode(payload)).into_bytes())
        }
        // A field of the payload: another place, another shard, a later time, another store.
        4 | 5 => {
            let mut payload = STANDARD.decode(sealed).unwrap();
            let field = dice.pick(&[0..8, 8..12, 12..13, 13..21, 21..29, 29..45]).clone();
            let at = field.start + dice.below(field.len());
            payload[at] = payload[at].wrapping_add(1 + dice.below(255) as u8);
            ("another field", format!("{arn}|1|{}", STANDARD.encode(payload)).into_bytes())
        }
        6 => {
            let unknown = arn.replace("/Order", "/Nobody");
            let arn = if dice.below(2) == 0 { other_arn } else { &unknown };
            ("another stream", format!("{arn}|1|{sealed}").into_bytes())
        }
        7 => ("of another store", dice.pick(strange).clone().into_bytes()),
        8 => {
            let all = b"ABCXYZabcxyz0189+/=|:-.";
            let length = 1 + dice.below(100);
            ("made up", (0..length).map(|_| *dice.pick(all)).collect())
        }
        _ => ("expired", bytes),
    }
}

/// A request for the records at this iterator, which may be no UTF-8.
fn request(iterator: &[u8]) -> Vec<u8> {
    match str::from_utf8(iterator) {
        Ok(text) => json!({ "ShardIterator": text }).to_string().into_bytes(),
        Err(_) => [b"{\"ShardIterator\":\"", iterator, b"\"}"].concat(),
    }
}

/// Runs one input, and says which it was if it panics.
fn fed<R>(seed: u64, input: &[u8], feed: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(feed)).unwrap_or_else(|panic| {
        eprintln!("seed {seed}: {}", input.escape_ascii());
        resume_unwind(panic)
    })
}

#[test]
fn a_hundred_thousand_forged_cut_flipped_and_expired_iterators_are_refused() {
    let _alone = crate::alone();
    let (api, store_now, made) = store(7, CREATED_MS + ITERATOR_LIFE_MS);
    // The same store a millisecond later, when they have expired; and one of another key.
    let (late, _, again) = store(7, CREATED_MS + ITERATOR_LIFE_MS + 1);
    let (_, _, strange) = store(8, CREATED_MS);
    assert_eq!(made, again, "a store that came back as it was");
    for iterator in &made {
        assert!(api.handle("GetRecords", &request(iterator.as_bytes())).is_ok());
    }
    let (mut told, mut seed) = (BTreeMap::new(), 0);
    let mut refusals = 0;
    while refusals < MANY {
        seed += 1;
        let mut dice = Dice::new(seed);
        let (kind, iterator) = forge(&mut dice, &made, &strange);
        let is_made = made.iter().any(|made| made.as_bytes() == iterator);
        if is_made && kind != "expired" {
            // Flipped back, or the tag of the same one.
            continue;
        }
        let (body, api) = (request(&iterator), if is_made { &late } else { &api });
        let refusal = fed(seed, &iterator, || {
            let refusal = api.handle("GetRecords", &body).expect_err(kind);
            let (name, text) = (refusal.name, &*refusal.message);
            match (is_made, str::from_utf8(&iterator)) {
                (true, _) => {
                    assert_eq!(
                        (name, text),
                        ("ExpiredIteratorException", "Shard iterator has expired")
                    )
                }
                (false, Ok("")) => assert_eq!(name, "ValidationException"),
                (false, Ok(_)) => {
                    assert_eq!((name, text), ("ValidationException", "Invalid ShardIterator"));
                }
                (false, Err(_)) => assert_eq!(name, "SerializationException"),
            }
            assert_eq!(refusal.status, 400);
            refusal.name
        });
        *told.entry((kind, refusal)).or_insert(0_u64) += 1;
        refusals += 1;
    }
    println!("{told:?}");
    let kinds: Vec<&str> = told.keys().map(|(kind, _)| *kind).collect();
    for kind in [
        "bits flipped",
        "cut",
        "longer",
        "tag of another",
        "another field",
        "another stream",
        "of another store",
        "made up",
        "expired",
    ] {
        assert!(kinds.contains(&kind), "{kind}");
    }
    // And those that are good still are.
    for iterator in &made {
        store_now.read_iterator(iterator, ReadLimits::records(1)).unwrap();
    }
}

const MEMBERS: [&str; 9] = [
    "StreamArn",
    "ShardId",
    "ShardIterator",
    "ShardIteratorType",
    "SequenceNumber",
    "Limit",
    "ShardFilter",
    "ExclusiveStartShardId",
    "ExclusiveStartStreamArn",
];

/// Any JSON, not too deep.
fn value(dice: &mut Dice, depth: usize, words: &[String]) -> Value {
    match dice.below(if depth == 0 { 7 } else { 9 }) {
        0 => Value::Null,
        1 => json!(dice.below(2) == 0),
        2 => json!(dice.below(3) as i64 - 1),
        3 => json!(f64::from_bits(dice.below(usize::MAX) as u64)),
        4 => json!(dice.below(2_000)),
        5 => json!("x".repeat(dice.below(70))),
        6 => json!(dice.pick(words)),
        7 => (0..dice.below(4)).map(|_| value(dice, depth - 1, words)).collect(),
        _ => object(dice, depth - 1, words),
    }
}

fn object(dice: &mut Dice, depth: usize, words: &[String]) -> Value {
    let names: Vec<&str> = (0..dice.below(6)).map(|_| *dice.pick(&MEMBERS)).collect();
    let members = names.into_iter().map(|name| (name.to_owned(), value(dice, depth, words)));
    Value::Object(members.collect())
}

#[test]
fn a_hundred_thousand_random_bodies_are_answered_or_refused() {
    let _alone = crate::alone();
    let targets = Targets::new();
    let seeds = targets.seeds();
    let words: Vec<String> = ["LATEST", "TRIM_HORIZON", "CHILD_SHARDS", "AT_SEQUENCE_NUMBER"]
        .map(str::to_owned)
        .into_iter()
        .chain(targets.names())
        .collect();
    let mut accepted = 0;
    for seed in 0..MANY {
        let mut dice = Dice::new(seed);
        let operation = dice.below(OPERATIONS.len()) as u8;
        let mut input = vec![operation];
        match dice.below(4) {
            0 => {
                let length = dice.below(200);
                input.extend((0..length).map(|_| dice.below(256) as u8));
            }
            1 => input.extend(value(&mut dice, 3, &words).to_string().bytes()),
            2 => input.extend(object(&mut dice, 3, &words).to_string().bytes()),
            _ => {
                input.extend_from_slice(&dice.pick(&seeds)[1..]);
                (0..=dice.below(4)).for_each(|_| damage(&mut input, &seeds, &mut dice));
            }
        }
        accepted += u64::from(fed(seed, &input, || targets.feed(&input)));
    }
    println!("{accepted} of {MANY} were accepted");
    // Some say what can be done, such as a list of all streams.
    assert!((1..MANY / 4).contains(&accepted), "{accepted}");
}
