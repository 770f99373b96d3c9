//! The log's public behaviour, one thread at a time.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use streamcore::log::{
    BatchError, Cursor, Log, LogOptions, MAX_BATCH, Next, Position, Ready, SealOutcome, Sealed,
    Trimmed, WaitOutcome,
};

fn filled(count: u64) -> Log<u64> {
    let log = Log::new();
    for value in 0..count {
        assert_eq!(log.append(value), Ok(Position::new(value)));
    }
    log
}

fn all<T: Copy, S>(log: &Log<T, S>) -> Vec<T> {
    let mut values = Vec::new();
    log.for_each(log.snapshot().positions(), |_, value| values.push(*value)).unwrap();
    values
}

#[test]
fn what_is_appended_is_read_in_order() {
    let log = filled(20_000);
    assert_eq!(all(&log), (0..20_000).collect::<Vec<_>>());
}

#[test]
fn an_empty_log_takes_less_than_one_kib() {
    assert!(size_of::<Log<[u64; 7]>>() <= 1024, "{}", size_of::<Log<[u64; 7]>>());
}

#[test]
fn reading_past_the_end_yields_nothing() {
    let log = filled(3);
    for from in [3, 4, u64::MAX] {
        let chunk = log.read(Position::new(from), 10).unwrap();
        assert!(chunk.is_empty());
        assert_eq!(chunk.next_position(), Position::new(from));
    }
    assert_eq!(log.read(Position::ZERO, 0).unwrap().len(), 0);
}

#[test]
fn a_batch_stands_side_by_side() {
    let log = filled(5);
    let positions = log.append_all([10, 11, 12]).unwrap();
    assert_eq!(positions, Position::new(5)..Position::new(8));
    assert_eq!(all(&log), [0, 1, 2, 3, 4, 10, 11, 12]);
    let none = log.append_all([]).unwrap();
    assert_eq!(none, Position::new(8)..Position::new(8));
}

#[test]
fn the_largest_batch_spans_segments_and_a_larger_one_comes_back() {
    let log = filled(1);
    log.append_all(0..MAX_BATCH as u64).unwrap();
    assert_eq!(log.snapshot().len(), MAX_BATCH as u64 + 1);
    match log.append_all(0..MAX_BATCH as u64 + 1) {
        Err(BatchError::TooLong(values)) => assert_eq!(values.len(), MAX_BATCH + 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn trimming_drops_values_and_says_so() {
    let token = Arc::new(());
    let log = Log::<Arc<()>>::new();
    for _ in 0..5_000 {
        log.append(Arc::clone(&token)).unwrap();
    }
    assert_eq!(log.trim(Position::new(4_999)), Position::new(4_999));
    assert!(Arc::strong_count(&token) < 1_100 * 4, "{}", Arc::strong_count(&token));
    let earliest = Position::new(4_999);
    assert_eq!(log.read(Position::new(7), 1).unwrap_err(), Trimmed { earliest });
    assert_eq!(log.read(earliest, 9).unwrap().len(), 1);
    assert_eq!(log.trim(Position::new(10)), earliest, "the horizon never goes back");
    drop(log);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn trimming_stops_at_what_is_published_and_before_a_batch() {
    let log = filled(3);
    log.append_all([7, 8, 9]).unwrap();
    assert_eq!(log.trim(Position::new(5)), Position::new(3), "half a batch is no snapshot");
    assert_eq!(log.trim(Position::new(6)), Position::new(6));
    assert_eq!(log.trim(Position::new(u64::MAX)), Position::new(6));
}

#[test]
fn a_guard_keeps_its_segment_and_no_other() {
    let token = Arc::new(());
    let log = Log::<Arc<()>>::new();
    for _ in 0..100_000 {
        log.append(Arc::clone(&token)).unwrap();
    }
    let guard = log.read(Position::new(50_000), 10).unwrap();
    log.trim(Position::new(100_000));
    assert!(
        Arc::strong_count(&token) <= 2 * 4096 + 1,
        "one segment is held, the last is not whole"
    );
    assert_eq!(guard.iter().count(), 10);
    assert_eq!(log.stats().pins, 0, "pins inside retained segments");
    drop(guard);
    assert!(Arc::strong_count(&token) <= 4096 + 1);
}

#[test]
fn retained_records_survive_a_trim() {
    let log = filled(10_000);
    let retained = log.retain(Position::new(10)..Position::new(9_000)).unwrap();
    log.trim(Position::new(10_000));
    assert!(retained.iter().all(|(position, value)| position.get() == *value));
    assert_eq!(retained.iter().count(), 8_990);
    assert_eq!(retained.get(Position::new(9_000)), None);
    let earliest = Position::new(10_000);
    assert_eq!(log.retain(Position::ZERO..Position::new(1)).unwrap_err(), Trimmed { earliest });
}

#[test]
fn retention_keeps_at_least_the_last_records_and_recycles_memory() {
    let kept = NonZeroU64::new(5_000).unwrap();
    let log = Log::<u64>::with_options(LogOptions::new().retain_last(kept));
    for value in 0..1_000_000 {
        log.append(value).unwrap();
    }
    let snapshot = log.snapshot();
    assert!(
        snapshot.len() >= 5_000 && snapshot.len() <= 5_000 + 2 * 4096 + 64,
        "{}",
        snapshot.len()
    );
    assert!(log.stats().blocks <= 6, "{:?}", log.stats());
    assert_eq!(all(&log).first(), Some(&snapshot.start().get()));
}

#[test]
fn a_seal_has_one_end_and_one_successor() {
    let log = Log::<u64, &str>::new();
    log.append(1).unwrap();
    assert_eq!(log.successor(), None);
    assert_eq!(log.seal("first"), SealOutcome::Sealed { end: Position::new(1) });
    let second = log.seal("second");
    assert_eq!(second, SealOutcome::AlreadySealed { end: Position::new(1), offered: "second" });
    assert_eq!(log.append(2), Err(Sealed(2)));
    assert_eq!(log.append_all([3, 4]), Err(BatchError::Sealed(vec![3, 4])));
    assert_eq!(log.end(), Position::new(1), "redirected appends do not move the end");
    assert_eq!(log.successor(), Some(&"first"));
    assert_eq!(all(&log), [1]);
}

#[test]
fn a_sealed_log_gives_its_last_segment_back_whichever_comes_first() {
    for seal_first in [true, false] {
        let token = Arc::new(());
        let log = Log::<Arc<()>>::new();
        for _ in 0..3_000 {
            log.append(Arc::clone(&token)).unwrap();
        }
        if seal_first {
            log.seal(());
        }
        log.trim(Position::new(3_000));
        log.seal(());
        assert_eq!(Arc::strong_count(&token), 1, "seal first: {seal_first}");
        assert_eq!(log.stats().blocks, 0, "seal first: {seal_first}");
    }
}

#[test]
fn a_cursor_reads_waits_and_closes() {
    let log = Arc::new(filled(2));
    let mut cursor: Cursor<Arc<Log<u64>>> = Cursor::new(Arc::clone(&log), Position::ZERO);
    assert_eq!(cursor.next(), Ok(Next::Record(Position::ZERO, &0)));
    assert_eq!(cursor.next(), Ok(Next::Record(Position::new(1), &1)));
    assert_eq!(cursor.next(), Ok(Next::Pending));
    assert_eq!(cursor.wait(Some(Duration::from_millis(1))), WaitOutcome::TimedOut);
    let writer = std::thread::spawn({
        let log = Arc::clone(&log);
        move || log.append(2).map(drop)
    });
    assert_eq!(cursor.wait(None), WaitOutcome::Readable);
    assert_eq!(cursor.next(), Ok(Next::Record(Position::new(2), &2)));
    writer.join().unwrap().unwrap();
    log.seal(());
    assert_eq!(cursor.wait(None), WaitOutcome::Closed);
    assert_eq!(cursor.next(), Ok(Next::Closed));
}

#[test]
fn a_cursor_that_fell_behind_is_told_where_to_go_on() {
    let log = filled(10_000);
    let mut cursor = log.cursor(Position::new(5));
    log.trim(Position::new(9_000));
    let earliest = Position::new(9_000);
    assert_eq!(cursor.next(), Err(Trimmed { earliest }));
    assert_eq!(cursor.next(), Err(Trimmed { earliest }), "it stays until it is told to go on");
    cursor.seek(earliest);
    assert_eq!(cursor.next(), Ok(Next::Record(earliest, &9_000)));
}

#[test]
fn waiting_leaves_nothing_behind() {
    let log = Arc::new(Log::<u64>::new());
    for _ in 0..1_000 {
        let mut cursor = Cursor::new(Arc::clone(&log), Position::ZERO);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(cursor.poll_ready(&mut context).is_pending());
        assert!(cursor.poll_ready(&mut context).is_pending());
    }
    log.append(1).unwrap();
    assert!(!log.stats().has_waiters);
    let mut cursor = log.cursor(Position::ZERO);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert_eq!(cursor.poll_ready(&mut context), std::task::Poll::Ready(Ready::Readable));
}

#[test]
fn zero_sized_and_large_values_work() {
    let units = Log::<()>::new();
    for _ in 0..10_000 {
        units.append(()).unwrap();
    }
    assert_eq!(units.snapshot().len(), 10_000);
    let large = Log::<[u64; 5_000]>::new();
    for value in 0..100 {
        large.append([value; 5_000]).unwrap();
    }
    large.trim(Position::new(50));
    let mut next = 50;
    large
        .for_each(large.snapshot().positions(), |position, value| {
            assert_eq!((position.get(), value[4_999]), (next, next));
            next += 1;
        })
        .unwrap();
    assert_eq!(next, 100);
}

#[test]
fn a_panicking_drop_is_contained_and_the_rest_is_dropped() {
    struct Fuse(#[expect(dead_code, reason = "counts")] Arc<()>, bool);
    impl Drop for Fuse {
        fn drop(&mut self) {
            assert!(!self.1, "planted");
        }
    }
    let token = Arc::new(());
    let log = Log::<Fuse>::new();
    for value in 0..10_000 {
        log.append(Fuse(Arc::clone(&token), value % 1_000 == 0)).unwrap();
    }
    log.seal(());
    std::panic::set_hook(Box::new(|_| ()));
    log.trim(Position::new(10_000));
    let _ = std::panic::take_hook();
    assert_eq!(Arc::strong_count(&token), 1);
    assert_eq!(log.stats().contained_panics, 10);
}
