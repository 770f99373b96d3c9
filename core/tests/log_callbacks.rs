//! The user's code runs inside the log in two places: the drop of a value, and a waker. Here each of
//! them calls back into the log that it runs in, at the worst moment.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use streamcore::log::{Chunk, Cursor, Log, Next, Position, Ready};

/// A waker that calls `on_clone` when it is cloned, which happens in the middle of falling asleep, and
/// counts how often it is woken.
struct Hooked {
    on_clone: Box<dyn Fn() + Send + Sync>,
    woken: AtomicU64,
}

impl Hooked {
    fn new(on_clone: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { on_clone: Box::new(on_clone), woken: AtomicU64::new(0) })
    }

    fn woken(&self) -> u64 {
        self.woken.load(Ordering::Relaxed)
    }

    fn waker(self: &Arc<Self>) -> Waker {
        let data = Arc::into_raw(Arc::clone(self)).cast();
        // SAFETY: the table's functions treat the pointer as the shared `Hooked` that it is.
        unsafe { Waker::from_raw(RawWaker::new(data, &TABLE)) }
    }
}

// SAFETY (of the calls below): each pointer came from `Arc::into_raw` and stands for one share.
static TABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: as above; the share stays with the waker that is cloned.
        unsafe { Arc::increment_strong_count(data.cast::<Hooked>()) };
        // SAFETY: as above; the share just counted keeps it alive.
        (unsafe { &*data.cast::<Hooked>() }.on_clone)();
        RawWaker::new(data, &TABLE)
    },
    |data| {
        // SAFETY: as above; waking by value takes the share.
        unsafe { Arc::from_raw(data.cast::<Hooked>()) }.woken.fetch_add(1, Ordering::Relaxed);
    },
    |data| {
        // SAFETY: as above; the share stays with the waker.
        unsafe { &*data.cast::<Hooked>() }.woken.fetch_add(1, Ordering::Relaxed);
    },
    |data| {
        // SAFETY: as above; the waker's share goes.
        drop(unsafe { Arc::from_raw(data.cast::<Hooked>()) });
    },
);

fn shared() -> (Arc<Log<u64>>, Cursor<Arc<Log<u64>>>) {
    let log = Arc::new(Log::new());
    (Arc::clone(&log), Cursor::new(log, Position::ZERO))
}

#[test]
fn a_seal_while_falling_asleep_is_noticed() {
    let (log, mut cursor) = shared();
    let hooked = Hooked::new(move || assert!(log.seal(()).end() == Position::ZERO));
    let polled = cursor.poll_ready(&mut Context::from_waker(&hooked.waker()));
    assert!(polled == Poll::Ready(Ready::Closed) || hooked.woken() > 0, "{polled:?}");
}

#[test]
fn an_append_while_falling_asleep_is_noticed() {
    let (log, mut cursor) = shared();
    let hooked = Hooked::new(move || assert!(log.append(7).is_ok()));
    let polled = cursor.poll_ready(&mut Context::from_waker(&hooked.waker()));
    assert!(polled == Poll::Ready(Ready::Readable) || hooked.woken() > 0, "{polled:?}");
}

#[test]
fn whoever_waits_ahead_of_the_tail_is_woken_though_an_append_came_while_it_fell_asleep() {
    let (log, mut cursor) = shared();
    cursor.seek(Position::new(1));
    let hooked = Hooked::new({
        let log = Arc::clone(&log);
        move || assert!(log.end() > Position::ZERO || log.append(7).is_ok())
    });
    let polled = cursor.poll_ready(&mut Context::from_waker(&hooked.waker()));
    assert_eq!(polled, Poll::Pending);
    log.append(8).unwrap();
    assert!(hooked.woken() > 0, "the append that it waited for did not wake it");
}

/// A waker that does something when it is woken.
struct Then<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Then<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

#[test]
fn a_waker_may_append_wait_trim_and_seal() {
    let (log, mut cursor) = shared();
    let (inner, mut other) = (Arc::clone(&log), Cursor::new(Arc::clone(&log), Position::new(9)));
    assert!(other.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
    let other = std::sync::Mutex::new(Some(other));
    let waker = Waker::from(Arc::new(Then(move || {
        // The cursor that goes away here is in the list that is being woken.
        drop(other.lock().unwrap().take());
        inner.append(8).unwrap();
        let mut here = inner.cursor(inner.end());
        assert!(here.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(here);
        assert_eq!(inner.trim(Position::new(1)), Position::new(1));
        inner.seal(());
    })));
    assert!(cursor.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(log.append(7), Ok(Position::ZERO));
    assert!(log.is_sealed());
    cursor.seek(Position::new(1));
    assert_eq!(cursor.next(), Ok(Next::Record(Position::new(1), &8)));
    assert_eq!(cursor.next(), Ok(Next::Closed));
}

#[test]
fn a_waker_that_panics_stops_neither_the_append_nor_the_other_wakers() {
    let log = Log::<u64>::new();
    let panics = Waker::from(Arc::new(Then(|| panic!("planted"))));
    let hooked = Hooked::new(|| ());
    let mut cursors: Vec<_> = (0..9).map(|_| log.cursor(Position::ZERO)).collect();
    for (number, cursor) in cursors.iter_mut().enumerate() {
        let waker = if number == 4 { panics.clone() } else { hooked.waker() };
        assert!(cursor.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(log.append(7), Ok(Position::ZERO));
    assert_eq!(hooked.woken(), 8);
    assert_eq!(log.stats().contained_panics, 1);
}

thread_local! {
    /// What a `Talker` does when it dies.
    static ON_DROP: RefCell<Option<Box<dyn Fn()>>> = RefCell::new(None);
}

/// A value whose drop runs what the test has planted.
struct Talker(Arc<AtomicU64>);

impl Drop for Talker {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        // Taken out meanwhile, so that it does not run inside itself.
        let planted = ON_DROP.with(|planted| planted.borrow_mut().take());
        if let Some(run) = &planted {
            run();
        }
        ON_DROP.with(|place| {
            if planted.is_some() {
                *place.borrow_mut() = planted;
            }
        });
    }
}

fn talkers(log: &Log<Talker>, dead: &Arc<AtomicU64>, count: u64) {
    for _ in 0..count {
        assert!(log.append(Talker(Arc::clone(dead))).is_ok());
    }
}

#[test]
fn a_drop_may_append_read_trim_and_shrink() {
    let dead = Arc::new(AtomicU64::new(0));
    let log = Arc::new(Log::<Talker>::new());
    talkers(&log, &dead, 3_000);
    let inner: Weak<Log<Talker>> = Arc::downgrade(&log);
    let runs = Arc::new(AtomicU64::new(0));
    ON_DROP.with(|planted| {
        let (dead, runs) = (Arc::clone(&dead), Arc::clone(&runs));
        *planted.borrow_mut() = Some(Box::new(move || {
            let Some(log) = inner.upgrade() else { return };
            runs.fetch_add(1, Ordering::Relaxed);
            talkers(&log, &dead, 1);
            let snapshot = log.snapshot();
            assert!(log.read(snapshot.start(), 5).is_ok_and(|chunk| !chunk.is_empty()));
            assert_eq!(log.trim(snapshot.start().plus(1)), snapshot.start().plus(1));
            log.shrink();
        }));
    });
    log.trim(Position::new(1_500));
    ON_DROP.with(|planted| planted.borrow_mut().take());
    let ran = runs.load(Ordering::Relaxed);
    assert!(ran > 500, "{ran}");
    let stats = log.stats();
    assert_eq!((stats.contained_panics, stats.published), (0, 3_000 + ran));
    drop(log);
    assert_eq!(dead.load(Ordering::Relaxed), 3_000 + ran);
}

/// A value that keeps a guard of the log in which it lies.
struct Keeper(#[expect(dead_code, reason = "it is kept")] Option<Chunk<Arc<Log<Keeper>>>>);

#[test]
fn a_drop_may_let_go_of_the_last_guard_of_another_segment() {
    let log = Arc::new(Log::<Keeper>::new());
    for _ in 0..100 {
        assert!(log.append(Keeper(None)).is_ok());
    }
    // The first segment, of eight, is kept by a value in a later one.
    let first = Chunk::read(Arc::clone(&log), Position::ZERO, 1).unwrap();
    assert!(log.append(Keeper(Some(first))).is_ok());
    while log.stats().appended < 5_000 {
        assert!(log.append(Keeper(None)).is_ok());
    }
    let before = log.stats().blocks;
    assert_eq!(log.trim(Position::new(100)), Position::new(100));
    let kept = log.stats().blocks;
    assert_eq!(log.trim(Position::new(4_900)), Position::new(4_900));
    assert!(log.stats().blocks < kept && kept < before, "{before}, {kept}, {:?}", log.stats());
    assert_eq!(Arc::strong_count(&log), 1, "the guard has gone with the value that kept it");
}
