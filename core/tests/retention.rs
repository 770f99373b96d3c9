//! What a stream gives up, and when: by age, by number, by bytes; how shards roll and are forgotten. All by
//! a clock that stands still until it is turned.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use streamcore::model::{
    AttributeValue, Attributes, Change, Image, KeySchema, SequenceNumber, StreamStatus,
    StreamViewType,
};
use streamcore::stream::{IteratorStart, ManualClock, ReadLimits, ShardInfo};
use streamcore::{Error, Store, Stream, StreamConfig, log::Position};

const HOUR: u64 = 60 * 60 * 1000;
const START: u64 = 1_700_000_000_000;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at_ms(START))
}

fn store(clock: &Arc<ManualClock>) -> Store {
    Store::builder().clock(Arc::clone(clock) as _).build()
}

fn config(table: &str) -> StreamConfig {
    let schema = KeySchema::new("id", None).unwrap();
    StreamConfig::new(table, schema, StreamViewType::NewAndOldImages).roll_never()
}

fn change(id: u64, bytes: usize) -> Change {
    Change::insert(Image::new(Attributes::from([
        ("id".to_owned(), AttributeValue::N(id.to_string())),
        ("pad".to_owned(), AttributeValue::S("x".repeat(bytes))),
    ])))
}

fn put(stream: &Stream, id: u64) -> SequenceNumber {
    stream.put(change(id, 10)).unwrap()
}

fn shards(stream: &Stream) -> Vec<ShardInfo> {
    stream.describe().shards
}

fn first(stream: &Stream) -> String {
    shards(stream)[0].shard_id.to_string()
}

fn count(bytes: u64) -> NonZeroU64 {
    NonZeroU64::new(bytes).unwrap()
}

/// The ids of all records that can be read from the horizon on, in order.
fn read_all(stream: &Stream, shard: &str) -> Vec<u64> {
    let mut iterator = stream.iterator(shard, IteratorStart::TrimHorizon).unwrap();
    let mut ids = Vec::new();
    loop {
        let page = stream.read_iterator(&iterator, ReadLimits::records(1000)).unwrap();
        if page.is_empty() {
            return ids;
        }
        ids.extend(page.iter().map(|record| {
            let Some(AttributeValue::N(id)) = record.keys().get("id").cloned() else { panic!() };
            id.parse::<u64>().unwrap()
        }));
        let Some(next) = page.next_iterator() else { return ids };
        iterator = next;
    }
}

#[test]
fn records_older_than_a_day_are_trimmed_to_the_record() {
    let clock = clock();
    let stream = store(&clock).register_stream(config("Orders")).unwrap();
    let shard = first(&stream);
    for id in 0..1_000 {
        put(&stream, id);
        clock.advance_ms(1);
    }
    // Record n was put at n ms. One that is exactly 24 hours old is not older than that.
    clock.advance_ms(24 * HOUR - 1_000 + 500);
    assert_eq!(read_all(&stream, &shard), (500..1_000).collect::<Vec<_>>());
    let trimmed = Error::Trimmed { earliest: Position::new(500) };
    let read = |at| stream.get_records(&shard, Position::new(at), ReadLimits::records(1)).map(drop);
    assert_eq!(read(499), Err(trimmed.clone()));
    assert_eq!(read(500), Ok(()));
    let at = IteratorStart::AtSequenceNumber(SequenceNumber::new(0, Position::new(499)));
    assert_eq!(stream.iterator(&shard, at), Err(trimmed));
    clock.advance_ms(1);
    assert_eq!(read(500), Err(Error::Trimmed { earliest: Position::new(501) }));
    clock.advance_ms(HOUR);
    assert_eq!(read_all(&stream, &shard), [0; 0]);
    assert_eq!(stream.record_count(&shard), Ok(1_000));
}

#[test]
fn an_iterator_that_was_overtaken_says_so_and_one_at_the_horizon_goes_on() {
    let clock = clock();
    let config = config("Orders").retain_for(Duration::from_secs(60));
    let stream = store(&clock).register_stream(config).unwrap();
    let shard = first(&stream);
    (0..10).for_each(|id| drop(put(&stream, id).to_string()));
    let behind = SequenceNumber::new(0, Position::new(3));
    let overtaken = stream.iterator(&shard, IteratorStart::AfterSequenceNumber(behind)).unwrap();
    let horizon = stream.iterator(&shard, IteratorStart::TrimHorizon).unwrap();
    clock.advance_ms(60_001);
    put(&stream, 10);
    let read = |iterator: &str| stream.read_iterator(iterator, ReadLimits::records(9));
    assert_eq!(read(&overtaken).map(drop), Err(Error::Trimmed { earliest: Position::new(10) }));
    assert_eq!(read(&horizon).unwrap().len(), 1);
}

#[test]
fn puts_give_old_records_memory_back_a_few_at_a_time() {
    let clock = clock();
    let config = config("Orders").retain_for(Duration::from_secs(1));
    let stream = store(&clock).register_stream(config).unwrap();
    (0..10_000).for_each(|id| drop(put(&stream, id).to_string()));
    clock.advance_ms(2_000);
    let mut before = 0;
    for id in 0..10_000 {
        put(&stream, id);
        let trimmed = stream.stats().shards[0].1.trimmed;
        assert!(trimmed - before <= 128, "one put gave up {}", trimmed - before);
        before = trimmed;
    }
    assert_eq!(before, 10_000);
}

#[test]
fn who_keeps_for_ever_keeps() {
    let clock = clock();
    let stream = store(&clock).register_stream(config("Orders").retain_for_ever()).unwrap();
    put(&stream, 1);
    clock.advance_ms(1_000_000 * HOUR);
    assert_eq!(read_all(&stream, &first(&stream)), [1]);
}

#[test]
fn a_stream_keeps_within_its_bytes_and_what_it_holds_is_what_it_counts() {
    let stream = store(&clock()).register_stream(config("Orders").retain_bytes(count(1 << 20)));
    let stream = stream.unwrap();
    let shard = first(&stream);
    for id in 0..20_000 {
        stream.put(change(id, 100)).unwrap();
        assert!(stream.stats().bytes <= 1 << 20);
    }
    let ids = read_all(&stream, &shard);
    assert!(ids.len() > 500, "{} are left", ids.len());
    assert_eq!(ids, ((20_000 - ids.len() as u64)..20_000).collect::<Vec<_>>());
    stream.trim(&shard, Position::new(20_000)).unwrap();
    assert_eq!(stream.stats().bytes, 0);
}

#[test]
fn what_is_given_up_for_bytes_dies_at_once_also_in_a_segment_that_goes_on() {
    let stream = store(&clock()).register_stream(config("Orders").retain_bytes(count(1_000_000)));
    let stream = stream.unwrap();
    // Each of these takes more than a tenth of the bound, and thousands of them fit into a segment.
    let images: Vec<Change> = (0..200).map(|id| change(id, 50_000)).collect();
    images.iter().for_each(|change| drop(stream.put(change.clone()).unwrap().to_string()));
    let alive = |change: &&Change| change.new_image().unwrap().owners() > 1;
    let alive = images.iter().filter(alive).count() as u64;
    assert_eq!(alive, 200 - stream.stats().shards[0].1.trimmed);
    assert!((1..25).contains(&alive), "{alive} images are alive");
}

/// Batches longer than what one put looks at: nothing was given up, and yet it was credited.
#[test]
fn long_batches_are_given_up_whole_for_bytes_and_for_age() {
    let clock = clock();
    for length in [65, 100, 300, 4_096] {
        let images: Vec<Change> = (0..length).map(|id| change(id, 1_000)).collect();
        let bound = 2 * length * 3_000;
        let by_bytes = config("Bytes").retain_bytes(count(bound));
        let by_age = config("Age").retain_for(Duration::from_secs(1));
        let by_number = config("Number").retain_last(count(length)).retain_bytes(count(1 << 40));
        for config in [by_bytes, by_age, by_number] {
            let stream = store(&clock).register_stream(config).unwrap();
            for _ in 0..20 {
                stream.put_all(images.iter().cloned()).unwrap();
                clock.advance_ms(600);
            }
            let log = stream.stats().shards[0].1;
            let kept = log.appended - log.trimmed;
            assert!(kept <= 6 * length, "{stream:?}: {kept} of batches of {length} are kept");
            assert_eq!(log.trimmed % length, 0, "a batch was split");
            let alive: u64 =
                images.iter().map(|c| c.new_image().unwrap().owners() as u64 - 1).sum();
            assert_eq!(alive, kept, "what is given up is dead");
            let shard = first(&stream);
            stream.trim(&shard, Position::new(log.appended - 1)).unwrap();
            let of_one_batch = stream.stats();
            assert_eq!(of_one_batch.shards[0].1.trimmed, log.appended - length);
            assert!(of_one_batch.bytes == 0 || of_one_batch.bytes > length * 1_000);
        }
    }
}

#[test]
fn a_page_gives_back_what_it_was_in_the_way_of() {
    let stream = store(&clock()).register_stream(config("Orders")).unwrap();
    let shard = first(&stream);
    let images: Vec<Change> = (0..4).map(|id| change(id, 10)).collect();
    images.iter().for_each(|change| assert!(stream.put(change.clone()).is_ok()));
    let alive = || images.iter().filter(|change| change.new_image().unwrap().owners() > 1).count();
    let page = stream.get_records(&shard, Position::new(3), ReadLimits::records(1)).unwrap();
    stream.trim(&shard, Position::new(3)).unwrap();
    assert_eq!(alive(), 4, "the page is in their segment");
    drop(page);
    assert_eq!(alive(), 1);
}

#[test]
fn a_page_of_large_records_holds_them_and_no_segment() {
    let stream = store(&clock()).register_stream(config("Orders")).unwrap();
    let shard = first(&stream);
    let images: Vec<Change> = (0..9).map(|id| change(id, 100_000)).collect();
    images.iter().for_each(|change| assert!(stream.put(change.clone()).is_ok()));
    let limits = ReadLimits { records: 1_000, bytes: 250_000 };
    let page = stream.get_records(&shard, Position::new(1), limits).unwrap();
    stream.trim(&shard, Position::new(9)).unwrap();
    let alive: Vec<usize> =
        (0..9).filter(|at| images[*at].new_image().unwrap().owners() > 1).collect();
    assert_eq!((alive, stream.stats().shards[0].1.pins), (vec![1, 2], 0));
    let read: Vec<_> = page.iter().map(|record| record.sequence_number().position()).collect();
    assert_eq!(read, [Some(Position::new(1)), Some(Position::new(2))]);
    assert_eq!((page.len(), page.next_position()), (2, Position::new(3)));
}

#[test]
fn a_record_that_is_larger_than_the_bound_goes_by_itself() {
    let stream = store(&clock()).register_stream(config("Orders").retain_bytes(count(1_000)));
    let stream = stream.unwrap();
    stream.put(change(1, 100_000)).unwrap();
    assert_eq!(stream.stats().bytes, 0);
    assert_eq!(read_all(&stream, &first(&stream)), [0; 0]);
}

#[test]
fn the_oldest_shard_gives_up_first() {
    let clock = clock();
    let config = config("Orders").shards(4).retain_bytes(count(200_000));
    let stream = store(&clock).register_stream(config).unwrap();
    for id in 0..2_000 {
        put(&stream, id);
        clock.advance_ms(1);
    }
    let names: Vec<String> =
        shards(&stream).iter().map(|shard| shard.shard_id.to_string()).collect();
    let mut all: Vec<u64> = names.iter().flat_map(|name| read_all(&stream, name)).collect();
    all.sort_unstable();
    assert!(all.len() > 100);
    assert_eq!(all, ((2_000 - all.len() as u64)..2_000).collect::<Vec<_>>());
}

#[test]
fn a_store_over_its_bytes_takes_them_from_streams_that_fell_idle() {
    let bound = 4 << 20;
    let builder = Store::builder().clock(clock() as _).retain_bytes(count(bound));
    let store = builder.build();
    let streams: Vec<Stream> =
        (0..20).map(|n| store.register_stream(config(&format!("table-{n}"))).unwrap()).collect();
    for stream in &streams {
        (0..200).for_each(|id| drop(stream.put(change(id, 2_000)).unwrap().to_string()));
        assert!(store.stats().bytes <= bound, "{}", store.stats().bytes);
    }
    // What is left belongs to the last ones.
    let left: Vec<usize> =
        streams.iter().map(|stream| read_all(stream, &first(stream)).len()).collect();
    assert!(left[..10].iter().all(|&left| left < 20), "{left:?}");
    assert_eq!(left[19], 200);
    let spares = |stream: &Stream| stream.stats().shards[0].1.spares;
    assert_eq!(streams[..10].iter().map(spares).sum::<u64>(), 0, "idle streams keep no spares");
    // A stream that goes gives back what it held, and what is nobody's is not counted.
    for stream in streams {
        store.remove_stream(stream.info().arn().as_str()).unwrap();
    }
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn many_threads_keep_the_count_right() {
    let builder = Store::builder().clock(clock() as _).retain_bytes(count(300_000));
    let store = builder.build();
    let streams: Vec<Stream> = (0..3)
        .map(|n| {
            let config = config(&format!("table-{n}")).retain_bytes(count(200_000)).shards(2);
            store.register_stream(config).unwrap()
        })
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let streams = &streams;
            scope.spawn(move || {
                for id in 0..5_000 {
                    streams[(id + thread) as usize % 3].put(change(id, 500)).unwrap();
                    if id % 1_000 == 999 {
                        let stream = &streams[thread as usize % 3];
                        let open = shards(stream)
                            .into_iter()
                            .rfind(|shard| shard.ending_sequence_number.is_none());
                        drop(stream.roll(open.unwrap().shard_id.as_str()));
                    }
                }
            });
        }
    });
    for stream in &streams {
        assert!(stream.stats().bytes <= 200_000, "{}", stream.stats().bytes);
        for (shard, _) in stream.stats().shards {
            let end = Position::new(stream.record_count(shard.as_str()).unwrap());
            assert_eq!(stream.trim(shard.as_str(), end), Ok(end));
        }
        assert_eq!(stream.stats().bytes, 0, "every charge was credited once");
    }
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn a_number_of_records_is_kept_where_bytes_are_counted_too() {
    let config = config("Orders").retain_last(count(1_000)).retain_bytes(count(1 << 30));
    let stream = store(&clock()).register_stream(config).unwrap();
    (0..10_000).for_each(|id| drop(put(&stream, id).to_string()));
    let left = read_all(&stream, &first(&stream)).len();
    assert!((1_000..1_200).contains(&left), "{left}");
}

#[test]
fn shards_roll_by_age_when_somebody_puts_or_describes() {
    let clock = clock();
    let day = config("Orders").roll_after(Duration::from_secs(4 * 3600));
    let stream = store(&clock).register_stream(day).unwrap();
    put(&stream, 1);
    clock.advance_ms(4 * HOUR - 1);
    put(&stream, 2);
    assert_eq!(shards(&stream).len(), 1);
    clock.advance_ms(1);
    put(&stream, 3);
    let seen = shards(&stream);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].parent_shard_id.as_ref(), Some(&seen[0].shard_id));
    assert_eq!(read_all(&stream, seen[0].shard_id.as_str()), [1, 2]);
    assert_eq!(read_all(&stream, seen[1].shard_id.as_str()), [3]);
    clock.advance_ms(4 * HOUR);
    assert_eq!(shards(&stream).len(), 3, "nobody put");
}

#[test]
fn shards_roll_behind_a_number_of_records() {
    let config = config("Orders").roll_after_records(count(10));
    let stream = store(&clock()).register_stream(config).unwrap();
    (0..35).for_each(|id| drop(put(&stream, id).to_string()));
    let seen = shards(&stream);
    let counts: Vec<u64> =
        seen.iter().map(|shard| stream.record_count(shard.shard_id.as_str()).unwrap()).collect();
    assert_eq!(counts, [10, 10, 10, 5]);
    stream.put_all((0..25).map(|id| change(id, 1))).unwrap();
    assert_eq!(shards(&stream).len(), 5);
}

#[test]
fn a_closed_shard_is_listed_for_a_day_and_then_forgotten() {
    let clock = clock();
    let stream = store(&clock).register_stream(config("Orders")).unwrap();
    let parent = first(&stream);
    put(&stream, 1);
    clock.advance_ms(HOUR);
    stream.roll(&parent).unwrap();
    clock.advance_ms(24 * HOUR);
    let seen = shards(&stream);
    assert_eq!((seen.len(), read_all(&stream, &parent)), (2, vec![]), "its record is gone");
    clock.advance_ms(1);
    let seen = shards(&stream);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].parent_shard_id.as_ref().map(|id| id.as_str()), Some(&*parent));
    let arn = stream.info().arn().as_str().into();
    let unknown = Error::ShardNotFound { arn, shard: parent.as_str().into() };
    assert_eq!(stream.iterator(&parent, IteratorStart::TrimHorizon), Err(unknown));
}

#[test]
fn a_closed_shard_is_forgotten_by_puts_too() {
    let clock = clock();
    let stream = store(&clock).register_stream(config("Orders")).unwrap();
    put(&stream, 1);
    stream.roll(&first(&stream)).unwrap();
    clock.advance_ms(24 * HOUR + 1);
    (0..65).for_each(|id| drop(put(&stream, id).to_string()));
    assert_eq!(stream.stats().shards.len(), 1);
}

#[test]
fn a_closed_shard_with_records_that_are_kept_stays() {
    let clock = clock();
    let stream = store(&clock).register_stream(config("Orders").retain_for_ever()).unwrap();
    let parent = first(&stream);
    put(&stream, 1);
    stream.roll(&parent).unwrap();
    clock.advance_ms(1_000 * HOUR);
    assert_eq!(shards(&stream).len(), 2);
    stream.trim(&parent, Position::new(1)).unwrap();
    assert_eq!(shards(&stream).len(), 1);
}

#[test]
fn a_disabled_stream_is_read_for_a_day_and_then_unknown() {
    let clock = clock();
    let store = store(&clock);
    let stream = store.register_stream(config("Orders")).unwrap();
    let arn = stream.info().arn().as_str().to_owned();
    put(&stream, 1);
    clock.advance_ms(HOUR);
    stream.disable();
    clock.advance_ms(23 * HOUR);
    stream.disable();
    assert_eq!(read_all(&store.stream(&arn).unwrap(), &first(&stream)), [1]);
    clock.advance_ms(HOUR);
    let description = store.describe_stream(&arn).unwrap();
    assert_eq!((description.status, description.shards.len()), (StreamStatus::Disabled, 1));
    assert_eq!(store.list_streams(None, None, 10).unwrap().streams.len(), 1);
    clock.advance_ms(1);
    assert_eq!(store.list_streams(None, None, 10).unwrap().streams.len(), 0);
    assert_eq!(store.stream(&arn).unwrap_err(), Error::StreamNotFound { arn: arn.clone().into() });
    assert!(store.register_stream(config("Orders")).is_ok(), "its name is free");
}

#[test]
fn a_stream_that_went_a_day_ago_is_registered_anew_by_the_same_arn() {
    let clock = clock();
    let store = store(&clock);
    let with_arn = || config("Orders").created_ms(START);
    let old = store.register_stream(with_arn()).unwrap();
    put(&old, 1);
    old.disable();
    clock.advance_ms(24 * HOUR + 1);
    let new = store.register_stream(with_arn()).unwrap();
    assert_eq!(new.status(), StreamStatus::Enabled);
    assert_eq!(put(&new, 2), SequenceNumber::new(0, Position::ZERO));
    let found = store.stream(new.info().arn().as_str()).unwrap();
    assert_eq!(read_all(&found, &first(&found)), [2]);
    assert_eq!(read_all(&old, &first(&old)), [0; 0]);
}

#[test]
fn maintaining_a_store_does_it_all_without_puts_or_readers() {
    let clock = clock();
    let store = store(&clock);
    let rolling = config("Rolling").roll_after(Duration::from_secs(3_600));
    let rolling = store.register_stream(rolling).unwrap();
    let disabled = store.register_stream(config("Disabled")).unwrap();
    let records: Vec<Change> = (0..100).map(|id| change(id, 10)).collect();
    records.iter().for_each(|change| drop(rolling.put(change.clone()).unwrap().to_string()));
    disabled.disable();
    drop(disabled);
    clock.advance_ms(25 * HOUR);
    store.maintain();
    let stats = store.stats();
    assert_eq!(stats.streams.len(), 1);
    let trimmed: Vec<u64> = stats.streams[0].1.shards.iter().map(|(_, log)| log.trimmed).collect();
    assert_eq!(trimmed, [100, 0]);
    assert!(records.iter().all(|change| change.new_image().unwrap().owners() == 1));
}
