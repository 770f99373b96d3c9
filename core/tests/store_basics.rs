//! The store and its streams, through the public API: every operation of the package it replaces.

use std::sync::Arc;

use streamcore::log::Position;
use streamcore::model::{
    AttributeValue, Attributes, Change, Image, KeySchema, OperationType, SequenceNumber,
    StreamStatus, StreamViewType,
};
use streamcore::stream::{Continuation, IteratorStart, ManualClock, NextRecord, ReadLimits};
use streamcore::{Error, Store, Stream, StreamConfig};

const NOW_MS: u64 = 1_700_000_000_123;

fn store() -> Store {
    Store::builder().clock(Arc::new(ManualClock::at_ms(NOW_MS))).build()
}

fn config(table: &str) -> StreamConfig {
    StreamConfig::new(table, KeySchema::new("id", None).unwrap(), StreamViewType::NewAndOldImages)
}

fn item(id: u64, text: &str) -> Image {
    Image::new(Attributes::from([
        ("id".to_owned(), AttributeValue::N(id.to_string())),
        ("text".to_owned(), AttributeValue::S(text.to_owned())),
    ]))
}

fn insert(id: u64) -> Change {
    Change::insert(item(id, "new"))
}

fn first_shard(stream: &Stream) -> String {
    stream.describe().shards[0].shard_id.to_string()
}

fn ids(stream: &Stream, shard: &str) -> Vec<String> {
    let page = stream.get_records(shard, Position::ZERO, ReadLimits::records(usize::MAX)).unwrap();
    page.iter()
        .map(|record| match &record.keys()["id"] {
            AttributeValue::N(id) => id.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn registering_twice_finds_the_same_stream() {
    let store = store();
    let first = store.register_stream(config("Orders")).unwrap();
    first.put(insert(1)).unwrap();
    let second = store.register_stream(config("Orders").shards(7)).unwrap();
    assert_eq!(second.describe().shards.len(), 1);
    assert_eq!(second.record_count(&first_shard(&second)), Ok(1));
}

#[test]
fn a_record_has_every_field() {
    let store = store();
    let stream = store.register_stream(config("Orders")).unwrap();
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Orders/stream/2023-11-14T22:13:20.123";
    let (old, new) = (item(1, "old"), item(1, "new!"));
    let number = store.put_record(arn, Change::modify(old.clone(), new.clone())).unwrap();
    assert_eq!(number.to_string(), "100000000000000000001");
    let page = store.get_records(arn, &first_shard(&stream), Position::ZERO, 10).unwrap();
    let record = page.iter().next().unwrap();
    assert_eq!(record.sequence_number(), number);
    assert_eq!(record.event_id().to_string().len(), 32);
    assert_eq!(record.event_name(), OperationType::Modify);
    assert_eq!(record.event_version(), "1.1");
    assert_eq!(record.event_source(), "aws:dynamodb");
    assert_eq!(record.aws_region(), "us-east-1");
    assert_eq!(record.stream_view_type(), StreamViewType::NewAndOldImages);
    assert_eq!(record.table_name(), "Orders");
    assert_eq!(record.stream_arn(), arn);
    assert_eq!(record.keys(), Attributes::from([("id".into(), AttributeValue::N("1".into()))]));
    assert!(record.new_image().unwrap().ptr_eq(&new) && record.old_image().unwrap().ptr_eq(&old));
    assert_eq!(record.created_seconds(), NOW_MS / 1_000);
    // id 2 + number 2, twice, and the keys; text 4 + 3 and 4 + 4.
    assert_eq!(record.size_bytes(), 3 * 4 + 7 + 8);
    assert_eq!(record.user_identity(), None);
}

#[test]
fn an_unknown_stream_or_shard_is_an_error() {
    let store = store();
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/None/stream/2023-11-14T22:13:20.123";
    let unknown = Error::StreamNotFound { arn: arn.into() };
    assert_eq!(store.put_record(arn, insert(1)).unwrap_err(), unknown);
    assert_eq!(store.describe_stream(arn).unwrap_err(), unknown);
    assert_eq!(store.get_records(arn, "shardId", Position::ZERO, 1).unwrap_err(), unknown);
    assert_eq!(store.shard_record_count(arn, "shardId").unwrap_err(), unknown);
    assert_eq!(store.remove_stream(arn).unwrap_err(), unknown);
    let stream = store.register_stream(config("Orders")).unwrap();
    let unknown = stream.get_records("shardId-1", Position::ZERO, ReadLimits::records(1));
    assert!(
        matches!(unknown.unwrap_err(), Error::ShardNotFound { shard, .. } if &*shard == "shardId-1")
    );
}

#[test]
fn a_change_without_its_key_is_refused() {
    let stream = store().register_stream(config("Orders")).unwrap();
    let nameless = Attributes::from([("text".to_owned(), AttributeValue::S("x".into()))]);
    let refused = stream.put(Change::insert(Image::new(nameless))).unwrap_err();
    assert_eq!(refused, Error::MissingKey { attribute: "id".into() });
    assert_eq!(stream.record_count(&first_shard(&stream)), Ok(0));
}

#[test]
fn reading_goes_on_where_the_last_page_ended() {
    let store = store();
    let stream = store.register_stream(config("Orders")).unwrap();
    let mut writer = stream.writer();
    for id in 0..5_000 {
        writer.put(insert(id)).unwrap();
    }
    let shard = first_shard(&stream);
    let mut next = Position::ZERO;
    let mut read = 0;
    loop {
        let page = stream.get_records(&shard, next, ReadLimits::records(1_000)).unwrap();
        next = page.next_position();
        read += page.len();
        assert_eq!(page.len(), page.iter().count());
        if page.is_empty() {
            break;
        }
    }
    assert_eq!((read, next), (5_000, Position::new(5_000)));
    let past = stream.get_records(&shard, Position::new(9_999), ReadLimits::records(9)).unwrap();
    assert_eq!((past.len(), past.next_position()), (0, Position::new(9_999)));
}

#[test]
fn a_page_stops_at_its_bytes_but_holds_one_record() {
    let stream = store().register_stream(config("Orders")).unwrap();
    for id in 0..10 {
        stream.put(insert(id)).unwrap();
    }
    let shard = first_shard(&stream);
    let size = {
        let page = stream.get_records(&shard, Position::new(1), ReadLimits::records(1)).unwrap();
        page.iter().next().unwrap().size_bytes()
    };
    for (bytes, expected) in [(0, 1), (size - 1, 1), (size, 1), (3 * size, 3), (4 * size - 1, 3)] {
        let limits = ReadLimits { records: 100, bytes };
        let page = stream.get_records(&shard, Position::new(1), limits).unwrap();
        assert_eq!(page.len(), expected, "{bytes} bytes of {size} each");
    }
}

#[test]
fn iterators_start_where_they_are_asked_to() {
    let stream = store().register_stream(config("Orders")).unwrap();
    let shard = first_shard(&stream);
    let latest = stream.iterator(&shard, IteratorStart::Latest).unwrap();
    let numbers: Vec<_> = (0..3).map(|id| stream.put(insert(id)).unwrap()).collect();
    let starting = stream.describe().shards[0].starting_sequence_number;
    let read = |token: &str| {
        let page = stream.read_iterator(token, ReadLimits::records(10)).unwrap();
        page.iter().map(|record| record.sequence_number()).collect::<Vec<_>>()
    };
    let at = |start| read(&stream.iterator(&shard, start).unwrap());
    assert_eq!(read(&latest), numbers, "LATEST on an empty shard reads the first record");
    assert_eq!(at(IteratorStart::TrimHorizon), numbers);
    assert_eq!(at(IteratorStart::AtSequenceNumber(starting)), numbers);
    assert_eq!(at(IteratorStart::AfterSequenceNumber(starting)), numbers);
    assert_eq!(at(IteratorStart::AtSequenceNumber(numbers[1])), numbers[1..]);
    assert_eq!(at(IteratorStart::AfterSequenceNumber(numbers[1])), numbers[2..]);
    assert_eq!(at(IteratorStart::Latest), []);
    let foreign = SequenceNumber::new(7, Position::ZERO);
    let refused = stream.iterator(&shard, IteratorStart::AtSequenceNumber(foreign)).unwrap_err();
    assert_eq!(refused, Error::SequenceNumberOutOfShard { given: foreign, starting });
}

#[test]
fn an_iterator_expires_after_fifteen_minutes() {
    let clock = Arc::new(ManualClock::at_ms(NOW_MS));
    let store = Store::builder().clock(clock.clone()).build();
    let stream = store.register_stream(config("Orders")).unwrap();
    let token = stream.iterator(&first_shard(&stream), IteratorStart::TrimHorizon).unwrap();
    clock.advance_ms(15 * 60 * 1_000);
    assert!(store.read_iterator(&token, ReadLimits::records(1)).is_ok());
    clock.advance_ms(1);
    let expired = store.read_iterator(&token, ReadLimits::records(1)).unwrap_err();
    assert_eq!(expired, Error::ExpiredIterator { age_ms: 900_001, life_ms: 900_000 });
}

#[test]
fn an_iterator_of_another_store_is_refused() {
    let key = [1; 16];
    let made = |key| {
        Store::builder().clock(Arc::new(ManualClock::at_ms(NOW_MS))).iterator_key(key).build()
    };
    let (ours, theirs) = (made(key), made(key));
    let stream = ours.register_stream(config("Orders")).unwrap();
    theirs.register_stream(config("Orders")).unwrap();
    let token = stream.iterator(&first_shard(&stream), IteratorStart::TrimHorizon).unwrap();
    let refused = theirs.read_iterator(&token, ReadLimits::records(1)).unwrap_err();
    assert!(matches!(refused, Error::InvalidIterator { .. }), "{refused}");
}

#[test]
fn trimmed_records_say_so_and_shift_nothing() {
    let stream = store().register_stream(config("Orders")).unwrap();
    let shard = first_shard(&stream);
    for id in 0..3_000 {
        stream.put(insert(id)).unwrap();
    }
    let early = stream.iterator(&shard, IteratorStart::TrimHorizon).unwrap();
    assert_eq!(stream.trim(&shard, Position::new(2_000)), Ok(Position::new(2_000)));
    let gone = stream.get_records(&shard, Position::ZERO, ReadLimits::records(1)).unwrap_err();
    assert_eq!(gone, Error::Trimmed { earliest: Position::new(2_000) });
    let page = stream.read_iterator(&early, ReadLimits::records(1)).unwrap();
    assert_eq!(
        page.iter().next().unwrap().sequence_number(),
        SequenceNumber::new(0, Position::new(2_000))
    );
    assert_eq!(stream.record_count(&shard), Ok(3_000), "trimmed records count");
}

#[test]
fn a_disabled_stream_is_closed_and_stays_readable() {
    let stream = store().register_stream(config("Orders")).unwrap();
    let shard = first_shard(&stream);
    stream.put(insert(1)).unwrap();
    let mut writer = stream.writer();
    stream.disable();
    stream.disable();
    let closed = Error::StreamClosed { arn: stream.info().arn().as_str().into() };
    assert_eq!(stream.put(insert(2)).unwrap_err(), closed);
    assert_eq!(writer.put(insert(2)).unwrap_err(), closed);
    assert_eq!(stream.put_all([insert(2)]).unwrap_err(), closed);
    let description = stream.describe();
    assert_eq!(description.status, StreamStatus::Disabled);
    let ending = description.shards[0].ending_sequence_number;
    assert_eq!(ending, Some(SequenceNumber::new(0, Position::ZERO)));
    let page = stream.get_records(&shard, Position::ZERO, ReadLimits::records(10)).unwrap();
    assert_eq!((page.len(), page.continuation()), (1, Continuation::End));
    assert_eq!(page.next_iterator(), None);
}

#[test]
fn rolls_and_splits_keep_every_items_order() {
    let stream = store().register_stream(config("Orders").shards(2)).unwrap();
    let mut writer = stream.writer();
    for round in 0..5 {
        for id in 0..50 {
            writer.put(Change::insert(item(id, &round.to_string()))).unwrap();
        }
        let open: Vec<_> = stream
            .describe()
            .shards
            .into_iter()
            .filter(|shard| shard.ending_sequence_number.is_none())
            .collect();
        let target = open[round % open.len()].shard_id.to_string();
        let children = if round % 2 == 0 { stream.split(&target) } else { stream.roll(&target) };
        assert_eq!(children.unwrap().len(), 2 - round % 2);
    }
    let description = stream.describe();
    assert!(description.shards.windows(2).all(|pair| pair[0].shard_id < pair[1].shard_id));
    let mut rounds = vec![Vec::new(); 50];
    for shard in &description.shards {
        let page = stream
            .get_records(shard.shard_id.as_str(), Position::ZERO, ReadLimits::records(usize::MAX))
            .unwrap();
        for record in page.iter() {
            assert!(record.sequence_number() > shard.starting_sequence_number);
            let AttributeValue::N(id) = &record.keys()["id"] else { panic!() };
            let AttributeValue::S(round) = record.new_image().unwrap().attributes()["text"].clone()
            else {
                panic!()
            };
            rounds[id.parse::<usize>().unwrap()].push(round);
        }
    }
    // Ordinals rise along each lineage, so reading shard by shard keeps every item's order.
    assert!(rounds.iter().all(|seen| *seen == ["0", "1", "2", "3", "4"]), "{rounds:?}");
}

#[test]
fn a_batch_is_whole_and_its_numbers_are_in_order() {
    let stream = store().register_stream(config("Orders").shards(3)).unwrap();
    let numbers = stream.put_all((0..100).map(insert)).unwrap();
    assert_eq!(numbers.len(), 100);
    let stored: usize = stream
        .describe()
        .shards
        .iter()
        .map(|shard| ids(&stream, shard.shard_id.as_str()).len())
        .sum();
    assert_eq!(stored, 100);
    let unique: std::collections::BTreeSet<_> = numbers.iter().collect();
    assert_eq!(unique.len(), 100);
    let too_long = stream.put_all((0..5_000).map(insert)).unwrap_err();
    assert_eq!(too_long, Error::BatchTooLong { given: 5_000, allowed: 4_096 });
}

#[test]
fn streams_are_listed_in_pages_that_survive_removals() {
    let store = store();
    for table in ["Bbb", "Aaa", "Ccc"] {
        store.register_stream(config(table)).unwrap();
    }
    let names = |list: &streamcore::store::StreamList| {
        list.streams.iter().map(|stream| stream.info().table_name().to_owned()).collect::<Vec<_>>()
    };
    let first = store.list_streams(None, None, 2).unwrap();
    assert_eq!((names(&first), first.more), (vec!["Aaa".into(), "Bbb".into()], true));
    let last = first.streams[1].info().arn().to_string();
    store.remove_stream(&last).unwrap();
    let second = store.list_streams(None, Some(&last), 2).unwrap();
    assert_eq!((names(&second), second.more), (vec!["Ccc".into()], false));
    assert_eq!(names(&store.list_streams(Some("Aaa"), None, 100).unwrap()), ["Aaa"]);
    assert!(store.list_streams(Some("Bbb"), None, 100).unwrap().streams.is_empty());
    assert!(matches!(store.list_streams(None, None, 0), Err(Error::InvalidLimit { given: 0, .. })));
    assert!(matches!(store.list_streams(None, None, 101), Err(Error::InvalidLimit { .. })));
    assert!(matches!(store.list_streams(None, Some("junk"), 1), Err(Error::InvalidArn { .. })));
}

#[test]
fn a_removed_stream_gives_its_records_back() {
    let store = store();
    let stream = store.register_stream(config("Orders")).unwrap();
    for id in 0..10_000 {
        stream.put(insert(id)).unwrap();
    }
    store.remove_stream(stream.info().arn().as_str()).unwrap();
    assert!(stream.put(insert(1)).is_err());
    let stats = stream.stats();
    assert_eq!(stats.shards[0].1.blocks, 0);
    assert!(store.stats().streams.is_empty());
    let again = store.register_stream(config("Orders")).unwrap();
    assert_eq!(again.record_count(&first_shard(&again)), Ok(0), "the same name, a new stream");
}

#[test]
fn a_cursor_follows_a_shard_to_its_children() {
    let stream = store().register_stream(config("Orders")).unwrap();
    let shard = first_shard(&stream);
    let mut cursor = stream.cursor(&shard, Position::ZERO).unwrap();
    assert!(matches!(cursor.next(), Ok(NextRecord::Pending)));
    let number = stream.put(insert(1)).unwrap();
    assert!(
        matches!(cursor.next(), Ok(NextRecord::Record(record)) if record.sequence_number() == number)
    );
    assert_eq!(cursor.children(), []);
    let children = stream.roll(&shard).unwrap();
    assert!(matches!(cursor.next(), Ok(NextRecord::Closed)));
    assert_eq!(cursor.children(), children);
}

#[test]
fn waiting_for_what_never_comes_is_an_error() {
    let stream = store().register_stream(config("Orders")).unwrap();
    let number = stream.put(insert(1)).unwrap();
    assert_eq!(stream.wait_visible(number), Ok(()));
    assert_eq!(stream.is_visible(number), Ok(true));
    let never = SequenceNumber::new(0, Position::new(1));
    assert_eq!(stream.is_visible(never), Ok(false), "nobody has put it yet");
    stream.disable();
    assert_eq!(stream.is_visible(never), Ok(false));
    assert!(matches!(stream.wait_visible(never), Err(Error::SequenceNumberOutOfShard { .. })));
    let elsewhere = SequenceNumber::new(9, Position::ZERO);
    assert!(matches!(stream.wait_visible(elsewhere), Err(Error::SequenceNumberOutOfShard { .. })));
    assert!(matches!(stream.is_visible(elsewhere), Err(Error::SequenceNumberOutOfShard { .. })));
}

#[test]
fn a_deep_lineage_is_dropped_without_recursion() {
    let stream = store().register_stream(config("Orders")).unwrap();
    let mut shard = first_shard(&stream);
    for _ in 0..2_000 {
        shard = stream.roll(&shard).unwrap()[0].to_string();
    }
    drop(stream);
}

#[test]
fn the_global_store_is_one() {
    let config = config("Global").created_ms(NOW_MS);
    let arn = Store::global().register_stream(config).unwrap().info().arn().to_string();
    assert!(Store::global().describe_stream(&arn).is_ok());
    Store::global().remove_stream(&arn).unwrap();
}
