//! The log beside a writer that is suspended between reserving its position and publishing it: what a
//! caller's thread alone cannot bring about, but the log's own parts can.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::directory::{Found, Installed};
use super::position::{Geometry, Place};
use super::prefix::Budget;
use super::segment::{Batch, SegmentRef};
use super::{Log, LogOptions, Next, Position, Ready, WaitOutcome};

/// Far longer than anything here takes, and shorter than the patience of whoever runs the tests.
const LONG: Duration = Duration::from_secs(20);

/// What a writer has reserved: one batch.
#[must_use]
struct Suspended {
    first: Position,
    count: u64,
}

impl Suspended {
    /// What a writer does first; it is then suspended.
    fn reserve<T>(log: &Log<T>, count: u64) -> Self {
        Self { first: log.tail().reserve(count).position(), count }
    }

    /// The writer goes on: it publishes the records of its batch, from the last to the first.
    fn publish<T: Clone>(self, log: &Log<T>, value: T) {
        (0..self.count).rev().for_each(|index| self.publish_one(log, value.clone(), index));
    }

    fn publish_one<T>(&self, log: &Log<T>, value: T, index: u64) {
        let Place { segment, slot } = Geometry::<T>::locate(self.first.plus(index));
        let block = match log.directory().find(segment) {
            Found::Block(block) => block,
            Found::Tombstone => panic!("an unpublished position was given up"),
            Found::Nothing => {
                let fresh = SegmentRef::allocate(Geometry::<T>::slots(segment));
                log.count_block(1);
                assert!(matches!(log.directory().install(segment, fresh), Installed::Ours));
                fresh
            }
        };
        let batch = if index + 1 == self.count { Batch::Ends } else { Batch::GoesOn };
        // SAFETY: the position was reserved, each is published once, and lives in this slot.
        unsafe { block.publish(segment, slot, value, batch) };
    }
}

fn append(log: &Log<u64>, count: u64) {
    (0..count).for_each(|value| assert!(log.append(value).is_ok()));
}

/// Counts how often it is woken: by others, who take the waker, and by the task itself.
#[derive(Default)]
struct Bell {
    by_others: AtomicU64,
    by_itself: AtomicU64,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.by_others.fetch_add(1, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.by_itself.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rung(&self) -> (u64, u64) {
        (self.by_others.load(Ordering::Relaxed), self.by_itself.load(Ordering::Relaxed))
    }
}

fn poll(cursor: &mut super::Cursor<&Log<u64>>, bell: &Arc<Bell>) -> Poll<Ready> {
    cursor.poll_ready(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

#[test]
fn what_comes_behind_it_is_hidden_until_it_goes_on() {
    let log = Log::<u64>::new();
    append(&log, 5);
    let writer = Suspended::reserve(&log, 1);
    append(&log, 100);
    assert_eq!(log.snapshot().end(), Position::new(5));
    let stats = log.stats();
    assert_eq!((stats.appended, stats.published, stats.prefix_lag), (106, 5, 101));
    for at in 5..106 {
        assert!(log.read(Position::new(at), 9).unwrap().is_empty());
        assert_eq!(log.cursor(Position::new(at)).next(), Ok(Next::Pending));
    }
    let all = Position::ZERO..Position::new(106);
    assert_eq!(log.read(Position::ZERO, 9).unwrap().len(), 5);
    assert_eq!(log.for_each(all.clone(), |_, _| ()), Ok(Position::new(5)));
    assert_eq!(log.retain(all).unwrap().positions().end, Position::new(5));
    assert_eq!(log.trim(Position::new(u64::MAX)), Position::new(5));
    writer.publish(&log, 7);
    assert_eq!(log.snapshot().positions(), Position::new(5)..Position::new(106));
}

#[test]
fn a_batch_is_hidden_until_its_first_record_is_there() {
    let log = Log::<u64>::new();
    append(&log, 6);
    let writer = Suspended::reserve(&log, 30);
    for index in (1..30).rev() {
        writer.publish_one(&log, 7, index);
        assert_eq!(log.snapshot().end(), Position::new(6));
        assert_eq!(log.trim(Position::new(6 + index)), Position::new(6));
    }
    writer.publish_one(&log, 7, 0);
    assert_eq!(log.snapshot().end(), Position::new(36));
}

#[test]
fn who_looks_into_a_segment_that_is_not_there_leaves_it() {
    let log = Log::<u64>::new();
    append(&log, 8);
    let writer = Suspended::reserve(&log, 8);
    for _ in 0..3 {
        assert_eq!(log.snapshot().end(), Position::new(8));
        assert_eq!(log.cursor(Position::new(8)).next(), Ok(Next::Pending));
    }
    writer.publish(&log, 7);
    assert_eq!((log.snapshot().end(), log.stats().pins), (Position::new(16), 0));
    assert_eq!(log.trim(Position::new(16)), Position::new(16));
    assert_eq!(log.stats().blocks, 0, "somebody is still inside");
}

#[test]
fn border_work_catches_up_in_small_steps() {
    let log = Log::<u64>::new();
    let writer = Suspended::reserve(&log, 1);
    append(&log, 9_999);
    assert_eq!((log.stats().published, log.stats().prefix_lag), (0, 10_000));
    writer.publish(&log, 7);
    let (mut before, mut most) = (0, 0);
    for _ in 0..10_100 {
        append(&log, 1);
        let now = log.stats().published;
        most = most.max(now - before);
        before = now;
    }
    assert!(most <= 128, "one append has scanned {most} slots");
    assert!(log.stats().prefix_lag < 64, "{:?}", log.stats());
}

#[test]
fn a_scan_ends_with_its_budget_and_never_in_a_batch() {
    let log = Log::<u64>::new();
    let writer = Suspended::reserve(&log, 1);
    append(&log, 299);
    assert!(log.append_all(0..500).is_ok());
    append(&log, 100);
    assert_eq!(log.advance(Budget::About(10)), Position::ZERO);
    writer.publish(&log, 7);
    for (slots, end) in [(1, 1), (10, 11), (53, 64), (200, 264), (36, 300)] {
        assert_eq!(log.advance(Budget::About(slots)), Position::new(end));
        assert_eq!(log.watermark().load(), Position::new(end));
    }
    assert_eq!(log.advance(Budget::About(1)), Position::new(800), "to the end of the batch");
    assert_eq!(log.advance(Budget::About(3)), Position::new(803));
    assert_eq!(log.advance(Budget::About(1_000)), Position::new(900));
    append(&log, 9);
    assert_eq!(log.advance(Budget::All), Position::new(909));
}

#[test]
fn retention_counts_what_is_visible() {
    let kept = NonZeroU64::new(100).expect("some");
    let log = Log::<u64>::with_options(LogOptions::new().retain_last(kept));
    append(&log, 1_000);
    let writer = Suspended::reserve(&log, 1);
    append(&log, 9_000);
    let snapshot = log.snapshot();
    assert_eq!(snapshot.end(), Position::new(1_000));
    assert!(snapshot.len() >= 100, "{snapshot:?}");
    assert_eq!(log.read(Position::new(900), 1).unwrap().len(), 1);
    writer.publish(&log, 7);
    append(&log, 20_000);
    let stats = log.stats();
    assert!(stats.published - stats.trimmed < 100 + 4_096 + 32, "{stats:?}");
    assert!(stats.blocks <= 2 + 2 + 2, "{stats:?}");
}

#[test]
fn who_waits_for_what_is_reserved_goes_on_in_steps_and_who_waits_ahead_sleeps() {
    let log = Log::<u64>::new();
    append(&log, 3);
    let writer = Suspended::reserve(&log, 1);
    let (bell, ahead) = (Arc::<Bell>::default(), Arc::<Bell>::default());
    let (mut cursor, mut next) = (log.cursor(Position::new(3)), log.cursor(Position::new(4)));
    for times in 1..=3 {
        assert_eq!((poll(&mut cursor, &bell), bell.rung()), (Poll::Pending, (0, times)));
        assert_eq!((poll(&mut next, &ahead), ahead.rung()), (Poll::Pending, (0, 0)));
    }
    writer.publish(&log, 7);
    assert_eq!(poll(&mut cursor, &bell), Poll::Ready(Ready::Readable));
    append(&log, 1);
    assert_eq!((bell.rung(), ahead.rung()), ((1, 3), (1, 0)));
    assert_eq!(poll(&mut next, &ahead), Poll::Ready(Ready::Readable));
}

#[test]
fn waiting_for_it_ends_with_the_time_or_with_the_record() {
    let log = Log::<u64>::new();
    let writer = Suspended::reserve(&log, 1);
    let mut cursor = log.cursor(Position::ZERO);
    for limit in [0, 15, 1_000, 30_000].map(Duration::from_micros) {
        let began = Instant::now();
        assert_eq!(cursor.wait(Some(limit)), WaitOutcome::TimedOut);
        let waited = began.elapsed();
        assert!(waited >= limit && waited < LONG, "{waited:?}, not {limit:?}");
        let began = Instant::now();
        assert!(log.snapshot_settled(limit).is_empty());
        let waited = began.elapsed();
        assert!(waited >= limit && waited < LONG, "{waited:?}, not {limit:?}");
    }
    writer.publish(&log, 7);
    assert_eq!(cursor.wait(Some(Duration::ZERO)), WaitOutcome::Readable);
}

/// Runs `act`, which waits for a record at 0, while the record's writer goes on.
fn meanwhile_published<R: Send>(act: impl FnOnce(&Log<u64>) -> R + Send) -> R {
    let log = Log::<u64>::new();
    let writer = Suspended::reserve(&log, 1);
    let began = Instant::now();
    let done = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| act(&log));
        // So that it has most probably begun to wait; what is asserted does not depend on it.
        (0..1_000).for_each(|_| std::thread::yield_now());
        writer.publish(&log, 7);
        waiter.join().expect("the waiter has failed")
    });
    assert!(began.elapsed() < LONG, "it waited for something else");
    done
}

#[test]
fn who_waits_for_what_is_reserved_does_not_wait_for_a_wake() {
    for limit in [Some(LONG * 2), Some(Duration::MAX), None] {
        let outcome = meanwhile_published(|log| log.cursor(Position::ZERO).wait(limit));
        assert_eq!(outcome, WaitOutcome::Readable);
    }
    for bound in [LONG * 2, Duration::MAX] {
        assert_eq!(meanwhile_published(|log| log.snapshot_settled(bound).len()), 1);
    }
    let seen = meanwhile_published(|log| (log.wait_visible(Position::ZERO), log.snapshot().len()));
    assert_eq!(seen, (Ok(()), 1));
}

#[test]
fn an_empty_batch_stands_at_the_tail() {
    let log = Log::<u64>::new();
    append(&log, 2);
    let writer = Suspended::reserve(&log, 3);
    let tail = Position::new(5);
    assert_eq!((log.append_all([]), log.end()), (Ok(tail..tail), tail));
    writer.publish(&log, 7);
}

#[test]
fn a_log_that_is_sealed_meanwhile_is_open_to_readers_until_it_goes_on() {
    for before in [0, 2, 7, 8, 100] {
        let log = Log::<u64>::new();
        append(&log, before);
        let writer = Suspended::reserve(&log, 1);
        let end = Position::new(before + 1);
        assert_eq!(log.seal(()).end(), end);
        (0..5).for_each(|_| assert!(log.append(7).is_err()));
        let stats = log.stats();
        assert_eq!((stats.appended, log.end()), (end.get(), end));
        assert_eq!(log.snapshot().len(), before);
        assert_eq!(log.stats().prefix_lag, 1);
        let (mut cursor, bell) = (log.cursor(Position::new(before)), Arc::<Bell>::default());
        assert_eq!(cursor.next(), Ok(Next::Pending));
        assert_eq!((poll(&mut cursor, &bell), bell.rung()), (Poll::Pending, (0, 1)));
        assert_eq!(cursor.wait(Some(Duration::ZERO)), WaitOutcome::TimedOut);
        assert_eq!(log.cursor(end).wait(Some(Duration::ZERO)), WaitOutcome::Closed);
        assert_eq!(log.wait_visible(end).unwrap_err().end, end);
        assert_eq!(log.trim(Position::new(u64::MAX)), Position::new(before));
        writer.publish(&log, 7);
        assert_eq!(cursor.next(), Ok(Next::Record(Position::new(before), &7)));
        assert_eq!(cursor.next(), Ok(Next::Closed));
        drop(cursor);
        assert_eq!((log.trim(end), log.stats().blocks), (end, 0), "{before} before");
    }
}

#[test]
fn waiting_takes_hardly_longer_than_was_said() {
    let log = Log::<u64>::new();
    let writer = Suspended::reserve(&log, 1);
    let limit = Duration::from_millis(40);
    let waits: [fn(&Log<u64>, Duration); 3] = [
        |log, limit| assert!(log.snapshot_settled(limit).is_empty()),
        |log, limit| assert!(log.cursor(Position::ZERO).wait(Some(limit)) == WaitOutcome::TimedOut),
        |log, limit| assert!(log.cursor(log.end()).wait(Some(limit)) == WaitOutcome::TimedOut),
    ];
    for wait in waits {
        // A machine that is busy makes some of them late, and not all.
        let is_in_time = (0..50).any(|_| {
            let began = Instant::now();
            wait(&log, limit);
            began.elapsed() < limit * 3 / 2
        });
        assert!(is_in_time);
    }
    writer.publish(&log, 7);
}

#[test]
fn retention_gives_up_two_segments_at_once_or_one_batch_that_is_longer() {
    /// A full segment holds 1024 of them.
    type Record = [u64; 7];
    for (length, most) in [(1, 2 * 1_024), (1_000, 4_096), (4_096, 4_096)] {
        let kept = NonZeroU64::new(100).expect("some");
        let log = Log::<Record>::with_options(LogOptions::new().retain_last(kept));
        let writer = Suspended::reserve(&log, 1);
        for _ in 0..60_000 / length {
            assert!(log.append_all((0..length).map(|value| [value; 7])).is_ok());
        }
        assert_eq!(log.stats().trimmed, 0);
        writer.publish(&log, [7; 7]);
        // A reader finds all of it at once, so the next border work could give up all of it at once.
        assert!(log.snapshot().len() >= 57_000);
        let (mut before, mut longest) = (0, 0);
        while log.stats().appended < 70_000 {
            assert!(log.append([7; 7]).is_ok());
            let now = log.stats().trimmed;
            longest = longest.max(now - before);
            before = now;
        }
        assert!(longest >= 1_024 && longest <= most, "{longest} at once, in batches of {length}");
        assert!(before > 68_000, "it has caught up: {:?}", log.stats());
    }
}

#[test]
fn several_segments_may_be_dying_and_a_log_that_goes_takes_all_of_them_along() {
    let token = Arc::new(());
    let alive = || Arc::strong_count(&token) - 1;
    for goes in [false, true] {
        let kept = NonZeroU64::new(100).expect("some");
        let log = Log::<Arc<()>>::with_options(LogOptions::new().retain_last(kept));
        let writer = Suspended::reserve(&log, 1);
        let append =
            |count| (0..count).for_each(|_| assert!(log.append(Arc::clone(&token)).is_ok()));
        append(39_999);
        writer.publish(&log, Arc::clone(&token));
        assert_eq!(log.snapshot().len(), 40_000);
        let mut most = 0;
        while most < 2 {
            append(1);
            most = most.max(log.stats().dying);
            assert!(log.stats().appended < 60_000, "never two at once");
        }
        let blocks = log.stats().blocks;
        if goes {
            drop(log);
            assert_eq!(alive(), 0);
        } else {
            log.shrink();
            let stats = log.stats();
            assert_eq!((stats.dying, stats.blocks), (0, blocks - 2), "{stats:?}");
        }
    }
    assert_eq!(alive(), 0);
}
