//! Waiting: who is woken, how often, for how long one waits, and what a waiter leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use streamcore::log::{Cursor, Log, MAX_BATCH, Next, Position, Ready, Trimmed, WaitOutcome};

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

type Shared = Arc<Log<u64>>;

fn filled(count: u64) -> Shared {
    let log = Arc::new(Log::new());
    (0..count).for_each(|value| assert!(log.append(value).is_ok()));
    log
}

fn poll(cursor: &mut Cursor<Shared>, bell: &Arc<Bell>) -> Poll<Ready> {
    cursor.poll_ready(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

/// A cursor that has gone to sleep at `at`.
fn asleep(log: &Shared, at: u64, bell: &Arc<Bell>) -> Cursor<Shared> {
    let mut cursor = Cursor::new(Arc::clone(log), Position::new(at));
    assert!(poll(&mut cursor, bell).is_pending());
    cursor
}

#[test]
fn whatever_is_appended_wakes_and_a_seal_too_once() {
    let acts: [fn(&Shared); 4] = [
        |log| assert!(log.append(7).is_ok()),
        |log| assert!(log.append_all([7, 8]).is_ok()),
        |log| assert!(log.append_all(0..MAX_BATCH as u64).is_ok()),
        |log| assert_eq!(log.seal(()).end(), Position::new(3)),
    ];
    for act in acts {
        let (log, bells) = (filled(3), [(); 3].map(|()| Arc::<Bell>::default()));
        let mut cursors = bells.each_ref().map(|bell| asleep(&log, 3, bell));
        assert_eq!(bells.each_ref().map(|bell| bell.rung()), [(0, 0); 3]);
        act(&log);
        assert_eq!(bells.each_ref().map(|bell| bell.rung()), [(1, 0); 3]);
        let _ = (log.append(8), log.append(9), log.seal(()));
        assert_eq!(bells.each_ref().map(|bell| bell.rung()), [(1, 0); 3], "they do not sleep");
        for (cursor, bell) in cursors.iter_mut().zip(&bells) {
            assert!(poll(cursor, bell).is_ready());
        }
        assert_eq!(bells.each_ref().map(Arc::strong_count), [1; 3], "a waker was kept");
    }
}

#[test]
fn what_appends_nothing_wakes_nobody() {
    let (log, bell) = (filled(3), Arc::<Bell>::default());
    let mut cursor = asleep(&log, 3, &bell);
    assert!(log.append_all([]).is_ok());
    assert!(log.append_all(0..MAX_BATCH as u64 + 1).is_err());
    log.trim(Position::new(2));
    log.shrink();
    assert!(log.snapshot_settled(Duration::from_secs(100)).len() == 1);
    assert_eq!((bell.rung(), poll(&mut cursor, &bell)), ((0, 0), Poll::Pending));
}

#[test]
fn a_sleeper_ahead_of_the_tail_is_woken_by_each_append_and_sleeps_again() {
    let (log, bell) = (filled(0), Arc::<Bell>::default());
    let mut cursor = asleep(&log, 5, &bell);
    for appended in 1..=5 {
        log.append(0).unwrap();
        assert_eq!(bell.rung(), (appended, 0));
        assert_eq!(poll(&mut cursor, &bell), Poll::Pending);
    }
    log.append(5).unwrap();
    assert_eq!((bell.rung(), poll(&mut cursor, &bell)), ((6, 0), Poll::Ready(Ready::Readable)));
    assert_eq!(cursor.next(), Ok(Next::Record(Position::new(5), &5)));
}

#[test]
fn only_the_waker_that_was_left_last_is_woken_and_the_others_are_let_go() {
    let (log, bells) = (filled(0), [(); 3].map(|()| Arc::<Bell>::default()));
    let mut cursor = asleep(&log, 0, &bells[0]);
    for bell in &bells[1..] {
        assert!(poll(&mut cursor, bell).is_pending());
    }
    assert_eq!(bells.each_ref().map(Arc::strong_count), [1, 1, 2]);
    log.append(0).unwrap();
    assert_eq!(bells.each_ref().map(|bell| bell.rung()), [(0, 0), (0, 0), (1, 0)]);
    assert_eq!(bells.each_ref().map(Arc::strong_count), [1; 3]);
}

/// A waker that polls its own cursor as soon as it is woken.
struct Eager {
    cursor: std::sync::Mutex<Option<Cursor<Shared>>>,
    woken: AtomicU64,
}

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self));
        if let Some(cursor) = &mut *self.cursor.lock().unwrap() {
            while cursor.poll_ready(&mut Context::from_waker(&waker)).is_ready() {
                assert!(matches!(cursor.next(), Ok(Next::Record(..))));
            }
        }
    }
}

#[test]
fn whoever_goes_to_sleep_again_inside_of_its_waker_is_woken_again() {
    let log = filled(0);
    let cursor = Cursor::new(Arc::clone(&log), Position::ZERO);
    let eager = Arc::new(Eager { cursor: Some(cursor).into(), woken: AtomicU64::new(0) });
    Waker::from(Arc::clone(&eager)).wake();
    for appended in 1..=5 {
        log.append(0).unwrap();
        assert_eq!(eager.woken.load(Ordering::Relaxed), 1 + appended);
    }
    // The cursor keeps its node, and the node the waker.
    let cursor = eager.cursor.lock().unwrap().take();
    assert_eq!(cursor.map(|cursor| cursor.position()), Some(Position::new(5)));
    assert_eq!(Arc::strong_count(&eager), 1);
}

#[test]
fn a_cursor_that_goes_takes_its_waker_along() {
    let (log, bell) = (filled(0), Arc::<Bell>::default());
    drop(asleep(&log, 0, &bell));
    assert_eq!(Arc::strong_count(&bell), 1, "what a task leaves must not live in the log");
    log.append(0).unwrap();
    assert_eq!(bell.rung(), (0, 0));
}

#[test]
fn sleepers_are_let_go_with_the_log() {
    let (log, bell) = (Log::<u64>::new(), Arc::<Bell>::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cursor = log.cursor(Position::ZERO);
    assert!(cursor.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    std::mem::forget(cursor);
    drop((log, waker));
    assert_eq!(bell.rung(), (0, 0), "nobody has appended");
}

#[test]
fn nodes_of_cursors_that_are_gone_are_swept_out_by_dozens() {
    let (log, bell) = (filled(0), Arc::<Bell>::default());
    let mut cursor = asleep(&log, 0, &bell);
    // The second time as the first.
    for round in 0..3 {
        for gone in 1..=64 {
            drop(asleep(&log, 0, &Arc::default()));
            if gone < 24 {
                assert_eq!(bell.rung(), (round, 0), "{gone} are few");
            }
            if bell.rung() != (round, 0) {
                break;
            }
        }
        assert_eq!(bell.rung(), (round + 1, 0), "64 are enough");
        assert!(poll(&mut cursor, &bell).is_pending());
    }
}

#[test]
fn cursors_that_were_woken_leave_nothing_to_sweep() {
    let (log, bell) = (filled(0), Arc::<Bell>::default());
    let woken: Vec<_> = (0..200).map(|_| asleep(&log, 0, &Arc::default())).collect();
    log.append(0).unwrap();
    let cursor = asleep(&log, 1, &bell);
    drop(woken);
    assert_eq!(bell.rung(), (0, 0));
    drop(cursor);
    assert_eq!(Arc::strong_count(&bell), 1);
}

#[test]
fn an_append_begins_a_new_count_of_cursors_that_are_gone() {
    let (log, bell) = (filled(0), Arc::<Bell>::default());
    for round in 0..20 {
        (0..20).for_each(|_| drop(asleep(&log, round, &Arc::default())));
        let cursor = asleep(&log, round, &bell);
        assert_eq!(bell.rung(), (round, 0));
        log.append(0).unwrap();
        assert_eq!(bell.rung(), (round + 1, 0));
        drop(cursor);
    }
}

#[test]
fn one_waits_as_long_as_was_said() {
    let log = filled(1);
    let mut cursor = Cursor::new(Arc::clone(&log), Position::new(1));
    for limit in [0, 15, 15, 15, 1_000, 30_000].map(Duration::from_micros) {
        let began = Instant::now();
        assert_eq!(cursor.wait(Some(limit)), WaitOutcome::TimedOut);
        let waited = began.elapsed();
        assert!(waited >= limit && waited < Duration::from_secs(20), "{waited:?}, not {limit:?}");
    }
    assert_eq!(cursor.next(), Ok(Next::Pending));
}

#[test]
fn one_does_not_wait_for_what_is_there() {
    let log = filled(10);
    log.trim(Position::new(4));
    let began = Instant::now();
    for limit in [Some(Duration::ZERO), Some(Duration::MAX), Some(Duration::from_secs(100)), None] {
        for at in [0, 3, 4, 9] {
            let mut cursor = Cursor::new(Arc::clone(&log), Position::new(at));
            assert_eq!(cursor.wait(limit), WaitOutcome::Readable, "{at}");
            assert_eq!(poll(&mut cursor, &Arc::default()), Poll::Ready(Ready::Readable));
            let earliest = Position::new(4);
            assert_eq!(cursor.next().is_err_and(|it| it == Trimmed { earliest }), at < 4);
        }
    }
    assert!(!log.stats().has_waiters, "nobody had to wait");
    log.seal(());
    for limit in [Some(Duration::ZERO), Some(Duration::MAX), Some(Duration::from_secs(100)), None] {
        for (at, outcome) in
            [(9, WaitOutcome::Readable), (10, WaitOutcome::Closed), (11, WaitOutcome::Closed)]
        {
            let mut cursor = Cursor::new(Arc::clone(&log), Position::new(at));
            assert_eq!(cursor.wait(limit), outcome, "{at}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_record_behind_what_was_seen_wakes_whoever_waits_for_good_or_for_a_time() {
    for limit in [None, Some(Duration::MAX), Some(Duration::from_secs(1_000))] {
        let log = filled(1);
        let reader = std::thread::spawn({
            let mut cursor = Cursor::new(Arc::clone(&log), Position::new(1));
            move || {
                let outcome = cursor.wait(limit);
                (outcome, cursor.next() == Ok(Next::Record(Position::new(1), &7)))
            }
        });
        while !log.stats().has_waiters {
            std::thread::yield_now();
        }
        log.append(7).unwrap();
        assert_eq!(reader.join().unwrap(), (WaitOutcome::Readable, true));
    }
}

#[test]
fn nothing_is_in_flight_so_a_settled_snapshot_does_not_wait() {
    let log = filled(9);
    let began = Instant::now();
    for bound in [Duration::ZERO, Duration::from_secs(1_000), Duration::MAX] {
        assert_eq!(log.snapshot_settled(bound).len(), 9);
    }
    log.seal(());
    assert!(log.append(7).is_err());
    assert_eq!(log.snapshot_settled(Duration::from_secs(1_000)).len(), 9, "refused, not in flight");
    assert!(began.elapsed() < Duration::from_secs(100));
}
