//! Retention works on what was restored: by age, by bytes, by number; shards roll and are forgotten.

use std::num::NonZeroU64;
use std::time::Duration;

use streamcore::log::Position;
use streamcore::model::StreamViewType;
use streamcore::stream::StreamSettings;

use crate::host::{again, builder, clock, config, put, restore, shards};

const HOUR_MS: u64 = 60 * 60 * 1000;

fn nonzero(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

#[test]
fn records_go_at_the_age_that_they_would_have_gone_at_and_their_shard_after_them() {
    let clock = clock();
    let store = builder(&clock).build();
    let stream = store.register_stream(config(StreamViewType::NewImage)).unwrap();
    put(&stream, 0..10);
    clock.advance_ms(HOUR_MS);
    put(&stream, 10..20);
    let (next, restored) = again(&store, &stream, &clock);
    let old = shards(&restored).remove(0);
    clock.advance_ms(23 * HOUR_MS);
    restored.describe();
    assert_eq!(restored.snapshot(&old).unwrap().len(), 20);
    clock.advance_ms(1);
    restored.describe();
    assert_eq!(restored.snapshot(&old).unwrap().start(), Position::new(10));
    clock.advance_ms(HOUR_MS);
    next.maintain();
    assert!(!shards(&restored).contains(&old), "forgotten");
}

#[test]
fn a_bound_on_bytes_counts_what_was_restored() {
    let clock = clock();
    let store = builder(&clock).build();
    let bytes = nonzero(200_000);
    let stream =
        store.register_stream(config(StreamViewType::NewImage).retain_bytes(bytes)).unwrap();
    put(&stream, 0..300);
    let before = stream.stats().bytes;
    assert!(before > 0);
    let (_, restored) = again(&store, &stream, &clock);
    assert_eq!(restored.stats().bytes, before);
    let old = shards(&restored).remove(0);
    put(&restored, 300..5_000);
    assert!(restored.stats().bytes <= bytes.get());
    assert!(restored.snapshot(&old).unwrap().is_empty(), "the oldest go first");
    let end = restored.snapshot(&old).unwrap().end();
    assert_eq!(restored.trim(&old, end), Ok(Position::new(300)));
    let held: u64 = restored.stats().shards.iter().map(|(_, log)| log.appended - log.trimmed).sum();
    let each = restored.stats().bytes / held;
    assert!(each > 0 && restored.stats().bytes == each * held, "nothing stays charged");
}

#[test]
fn a_bound_of_the_store_counts_what_was_restored() {
    let clock = clock();
    let store = builder(&clock).build();
    let stream = store.register_stream(config(StreamViewType::NewImage)).unwrap();
    put(&stream, 0..5_000);
    let archive = stream.archive();
    let bound = nonzero(1_000_000);
    let next = builder(&clock).retain_bytes(bound).build();
    let restored = restore(&archive, &next).unwrap();
    assert!(next.stats().bytes > bound.get(), "{}", next.stats().bytes);
    let other = streamcore::StreamConfig::new(
        "Others",
        streamcore::model::KeySchema::new("id", None).unwrap(),
        StreamViewType::NewImage,
    );
    let other = next.register_stream(other).unwrap();
    put(&other, 0..3_000);
    assert!(next.stats().bytes <= bound.get() + 2 * 64 * 1024, "{}", next.stats().bytes);
    assert!(restored.snapshot(&shards(&restored)[0]).unwrap().start() > Position::ZERO);
    next.remove_stream(restored.info().arn().as_str()).unwrap();
    next.remove_stream(other.info().arn().as_str()).unwrap();
    drop((restored, other));
    assert_eq!(next.stats().bytes, 0);
}

#[test]
fn settings_come_back() {
    let clock = clock();
    let store = builder(&clock).build();
    let config = config(StreamViewType::NewImage)
        .retain_for(Duration::from_secs(7_200))
        .retain_last(nonzero(100))
        .retain_bytes(nonzero(1 << 20))
        .roll_after(Duration::from_secs(60))
        .roll_after_records(nonzero(500));
    let stream = store.register_stream(config).unwrap();
    let expected = StreamSettings {
        retain_ms: Some(nonzero(7_200_000)),
        retain_records: Some(nonzero(100)),
        retain_bytes: Some(nonzero(1 << 20)),
        roll_after_ms: Some(nonzero(60_000)),
        roll_after_records: Some(nonzero(500)),
    };
    assert_eq!(stream.archive().state().settings, expected);
    let (_, restored) = again(&store, &stream, &clock);
    assert_eq!(restored.archive().state().settings, expected);
    put(&restored, 0..501);
    assert_eq!(shards(&restored).len(), 3, "rolled behind 500 records");
    clock.advance_ms(60_000);
    assert_eq!(shards(&restored).len(), 4, "rolled after a minute");
    put(&restored, 501..901);
    let last = shards(&restored).remove(3);
    let kept = restored.snapshot(&last).unwrap().len();
    assert!((100..300).contains(&kept), "{kept}");
}
