//! What the log says of itself: its figures, its errors and what it prints.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::{Context, Waker};

use streamcore::log::{
    BatchError, Log, LogOptions, LogStats, MAX_BATCH, NeverVisible, Position, SealOutcome, Sealed,
    Trimmed,
};

fn filled(count: u64) -> Log<u64> {
    let log = Log::new();
    (0..count).for_each(|value| assert!(log.append(value).is_ok()));
    log
}

#[test]
fn an_empty_log_has_nothing_to_tell() {
    let log = Log::<u64>::default();
    assert_eq!(log.stats(), LogStats::default());
    assert_eq!((log.end(), log.earliest()), (Position::ZERO, Position::ZERO));
    assert_eq!((log.is_sealed(), log.sealed_end(), log.successor()), (false, None, None));
    assert!(log.snapshot().is_empty());
    assert_eq!(log.seal(()), SealOutcome::Sealed { end: Position::ZERO });
    assert_eq!(log.stats(), LogStats::default());
}

#[test]
fn what_is_appended_is_counted_and_what_a_reader_has_seen_is_published() {
    let log = filled(13);
    let stats = log.stats();
    assert_eq!((stats.appended, stats.published, stats.prefix_lag), (13, 0, 13));
    assert_eq!(log.snapshot().len(), 13);
    let stats = log.stats();
    assert_eq!((stats.appended, stats.published, stats.prefix_lag), (13, 13, 0));
    assert_eq!((stats.trimmed, stats.blocks, stats.pins), (0, 2, 0));
    log.trim(Position::new(9));
    let stats = log.stats();
    assert_eq!((stats.published, stats.trimmed, stats.blocks), (13, 9, 1));
}

#[test]
fn one_append_in_64_looks_how_far_the_log_is_published() {
    let log = Log::<u64>::new();
    for end in 1..=500 {
        log.append(end).unwrap();
        assert_eq!(log.stats().published, end / 64 * 64);
    }
    let log = Log::<u64>::new();
    let mut end = 0;
    for length in [63, 1, 5, 59, 63, 2, 200, 3, 128, 1_000] {
        let before = end;
        log.append_all(0..length).unwrap();
        end += length;
        let published = log.stats().published;
        if before / 64 == end / 64 {
            assert!(published <= before, "no border was crossed at {end}");
        } else {
            assert_eq!(published, end, "a scan goes on to the end of a batch");
        }
    }
}

#[test]
fn what_a_sealed_log_refuses_is_not_counted() {
    let log = filled(3);
    assert_eq!(log.snapshot().len(), 3);
    log.seal(());
    for _ in 0..100 {
        assert_eq!(log.append(7), Err(Sealed(7)));
        assert_eq!(log.append_all([8, 9]), Err(BatchError::Sealed(vec![8, 9])));
    }
    let stats = log.stats();
    assert_eq!((stats.appended, stats.published, stats.prefix_lag), (3, 3, 0));
    assert_eq!((log.end(), log.sealed_end()), (Position::new(3), Some(Position::new(3))));
    assert_eq!(log.snapshot().end(), Position::new(3));
    let again = log.seal(());
    assert_eq!(again, SealOutcome::AlreadySealed { end: Position::new(3), offered: () });
    assert_eq!(again.end(), Position::new(3));
    assert_eq!(log.append_all([]), Ok(Position::new(3)..Position::new(3)), "nothing to refuse");
    assert_eq!(log.trim(Position::new(u64::MAX)), Position::new(3));
}

#[test]
fn pins_are_counted_in_every_segment_that_is_retained() {
    let log = filled(40);
    let first = log.read(Position::new(3), 1).unwrap();
    let second = log.read(Position::new(4), 1).unwrap();
    assert_eq!(log.stats().pins, 2);
    let last = log.read(Position::new(39), 1).unwrap();
    let range = log.retain(Position::new(10)..Position::new(33)).unwrap();
    assert_eq!(log.stats().pins, 3 + 3, "the range holds three segments");
    log.trim(Position::new(5));
    assert_eq!(log.stats().pins, 6, "half of a segment is given up");
    log.trim(Position::new(8));
    assert_eq!(log.stats().pins, 4, "guards of what is given up are not counted");
    drop((first, second));
    assert_eq!(log.stats().pins, 4);
    drop(range);
    assert_eq!(log.stats().pins, 1);
    drop(last);
    assert_eq!(log.stats().pins, 0);
    assert!(log.read(Position::new(40), 1).unwrap().is_empty());
    assert_eq!(log.stats().pins, 0, "an empty chunk holds nothing");
}

#[test]
fn values_that_wait_to_be_dropped_are_counted_by_segments() {
    let kept = NonZeroU64::new(100).expect("some");
    let log = Log::<Arc<()>>::with_options(LogOptions::new().retain_last(kept));
    let token = Arc::new(());
    let mut most = 0;
    for _ in 0..40_000 {
        log.append(Arc::clone(&token)).unwrap();
        let stats = log.stats();
        most = most.max(stats.dying);
        let in_use = stats.blocks - stats.spares - stats.dying;
        assert!((1..=8).contains(&in_use) && stats.spares <= 2, "{stats:?}");
    }
    assert!((1..=4).contains(&most), "{most}");
    assert_eq!(log.stats().contained_panics, 0);
}

#[test]
fn whoever_waits_is_told_of_until_the_next_append() {
    let log = filled(2);
    let mut cursor = log.cursor(Position::new(2));
    let mut context = Context::from_waker(Waker::noop());
    assert!(cursor.poll_ready(&mut context).is_pending());
    assert!(log.stats().has_waiters);
    assert!(log.append_all([]).is_ok());
    assert!(log.append_all(0..MAX_BATCH as u64 + 1).is_err());
    assert!(log.stats().has_waiters, "nothing was appended");
    drop(cursor);
    assert!(log.stats().has_waiters, "somebody has waited since the last append");
    log.append_all([3, 4]).unwrap();
    assert!(!log.stats().has_waiters);
}

#[test]
fn a_batch_that_is_too_long_reserves_nothing_and_comes_back_whole() {
    let log = filled(2);
    let values: Vec<u64> = (0..MAX_BATCH as u64 + 1).collect();
    let error = log.append_all(values.clone()).unwrap_err();
    assert_eq!(format!("{error:?}"), "TooLong(4097 values)");
    assert_eq!(error.to_string(), "a batch of 4097 records; at most 4096 are allowed");
    assert_eq!(error, BatchError::TooLong(values));
    assert_eq!(log.end(), Position::new(2));
    assert_eq!((MAX_BATCH, log.append(2)), (4_096, Ok(Position::new(2))));
}

#[test]
fn what_goes_wrong_is_said_in_words() {
    let log = Log::<u64, &str>::new();
    log.append(1).unwrap();
    log.seal("next");
    let sealed = "the log is sealed and takes no more records; see its successor";
    let error = log.append(2).unwrap_err();
    assert_eq!((error.to_string().as_str(), format!("{error:?}").as_str()), (sealed, "Sealed(..)"));
    let error = log.append_all([1, 2]).unwrap_err();
    assert_eq!(error.to_string(), sealed);
    assert_eq!(format!("{error:?}"), "Sealed(2 values)");
    log.trim(Position::new(1));
    let error = log.read(Position::ZERO, 1).unwrap_err();
    assert_eq!(error, Trimmed { earliest: Position::new(1) });
    let trimmed = "the position has been trimmed; the earliest one retained is 1";
    assert_eq!(error.to_string(), trimmed);
    let error = log.wait_visible(Position::new(4)).unwrap_err();
    assert_eq!(error, NeverVisible { position: Position::new(4), end: Position::new(1) });
    let never = "position 4 will never be visible: the log is sealed and ends at 1";
    assert_eq!(error.to_string(), never);
    assert_eq!(log.wait_visible(Position::new(1)).unwrap_err().position, Position::new(1));
    assert_eq!(log.wait_visible(Position::ZERO), Ok(()), "it was visible once");
}

#[test]
fn guards_print_what_they_cover() {
    let log = filled(9);
    let chunk = log.read(Position::new(1), 3).unwrap();
    assert_eq!(format!("{chunk:?}"), "Chunk { positions: Position(1)..Position(4), .. }");
    let range = log.retain(Position::new(1)..Position::new(9)).unwrap();
    assert_eq!(format!("{range:?}"), "Retained { positions: Position(1)..Position(9), .. }");
    let cursor = log.cursor(Position::new(7));
    assert_eq!(format!("{cursor:?}"), "Cursor { position: Position(7), .. }");
    assert_eq!(format!("{log:?}"), format!("Log({:?})", log.stats()));
}

#[test]
fn positions_are_numbers_that_do_not_wrap() {
    let (five, max) = (Position::new(5), Position::new(u64::MAX));
    assert_eq!((five.get(), five.to_string().as_str()), (5, "5"));
    assert_eq!((five.plus(2), five.minus(2)), (Position::new(7), Position::new(3)));
    assert_eq!((five.minus(5), five.minus(6)), (Position::ZERO, Position::ZERO));
    assert_eq!((max.plus(1), max.minus(1).plus(9)), (max, max));
    assert_eq!((five.since(Position::new(3)), five.since(five), five.since(max)), (2, 0, 0));
    assert_eq!(Position::default(), Position::ZERO);
}
