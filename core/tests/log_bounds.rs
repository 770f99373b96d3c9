//! Which of the log's types may go to, and be shared with, other threads; and the values that it takes:
//! of size zero, with a large alignment, borrowed, large.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicUsize, Ordering};

use streamcore::log::{Chunk, ChunkIter, Cursor, Log, LogOptions, Position, Retained, Snapshot};

/// `Probe::<T>::SEND` is whether `T: Send`: the inherent constant is preferred where its bound holds.
struct Probe<T>(PhantomData<T>);

trait Otherwise {
    const SEND: bool = false;
    const SYNC: bool = false;
}
impl<T> Otherwise for Probe<T> {}

impl<T: Send> Probe<T> {
    const SEND: bool = true;
}
impl<T: Sync> Probe<T> {
    const SYNC: bool = true;
}

macro_rules! send_and_sync {
    ($($type:ty: $expected:expr),* $(,)?) => {
        $(assert_eq!((Probe::<$type>::SEND, Probe::<$type>::SYNC), $expected, stringify!($type));)*
    };
}

/// `Sync`, not `Send`.
type NoSend = MutexGuard<'static, u8>;
/// `Send`, not `Sync`.
type NoSync = Cell<u8>;

#[test]
fn the_probe_tells_the_truth() {
    send_and_sync! {
        u8: (true, true),
        NoSend: (false, true),
        NoSync: (true, false),
        Rc<u8>: (false, false),
    }
}

#[test]
fn a_log_is_send_and_sync_if_and_only_if_its_values_and_its_successor_are_both() {
    send_and_sync! {
        Log<u8>: (true, true),
        Log<Arc<str>, Arc<str>>: (true, true),
        Log<NoSend>: (false, false),
        Log<NoSync>: (false, false),
        Log<Rc<u8>>: (false, false),
        Log<u8, NoSend>: (false, false),
        Log<u8, NoSync>: (false, false),
        Snapshot: (true, true),
        LogOptions: (true, true),
    }
}

#[test]
fn guards_are_send_and_sync_if_and_only_if_the_log_is() {
    send_and_sync! {
        Chunk<&'static Log<u8>>: (true, true),
        Chunk<Arc<Log<u8>>>: (true, true),
        ChunkIter<'static, &'static Log<u8>>: (true, true),
        Retained<&'static Log<u8>>: (true, true),
        Retained<Arc<Log<u8>>>: (true, true),
        Cursor<&'static Log<u8>>: (true, true),
        Cursor<Arc<Log<u8>>>: (true, true),
        Chunk<&'static Log<NoSync>>: (false, false),
        Chunk<Arc<Log<NoSend>>>: (false, false),
        ChunkIter<'static, &'static Log<NoSync>>: (false, false),
        Retained<Arc<Log<NoSync>>>: (false, false),
        Cursor<&'static Log<NoSend>>: (false, false),
        Cursor<Arc<Log<u8, NoSync>>>: (false, false),
    }
}

#[test]
fn waiting_is_send_so_it_may_be_spawned() {
    fn is_send<T: Send>(_: T) {}
    let log = Log::<u64>::new();
    is_send(log.cursor(Position::ZERO).ready());
}

#[test]
fn a_log_may_hold_what_is_borrowed() {
    let text = String::from("borrowed");
    let log = Log::<&str>::new();
    log.append(&text).unwrap();
    assert_eq!(log.read(Position::ZERO, 1).unwrap().get(Position::ZERO), Some(&"borrowed"));
}

static DEAD: AtomicUsize = AtomicUsize::new(0);

/// Takes no room, but dies.
struct Nothing;

impl Drop for Nothing {
    fn drop(&mut self) {
        DEAD.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn each_value_of_size_zero_dies_once() {
    let log = Log::<Nothing>::new();
    for _ in 0..20_000 {
        log.append(Nothing).unwrap();
    }
    assert_eq!(log.trim(Position::new(10_000)), Position::new(10_000));
    let dead = DEAD.load(Ordering::Relaxed);
    assert!((10_000 - 4_096..=10_000).contains(&dead), "{dead}");
    drop(log);
    assert_eq!(DEAD.load(Ordering::Relaxed), 20_000);
}

/// Stricter than a segment's own alignment.
#[repr(align(512))]
struct Aligned(u64);

#[test]
fn values_stand_where_their_alignment_wants_them() {
    let log = Log::<Aligned>::new();
    for value in 0..2_000 {
        log.append(Aligned(value)).unwrap();
    }
    log.trim(Position::new(1_000));
    let walk = log.for_each(log.snapshot().positions(), |position, value| {
        assert_eq!(value.0, position.get());
        assert!(std::ptr::from_ref(value).is_aligned());
        assert_eq!(std::ptr::from_ref(value).addr() % 512, 0);
    });
    assert_eq!(walk, Ok(Position::new(2_000)));
}

#[test]
fn positions_from_the_edge_of_numbers_do_no_harm() {
    let log = Log::<u64>::new();
    for value in 0..100 {
        log.append(value).unwrap();
    }
    let edges = [100, 1 << 31, 1 << 32, 1 << 50, 1 << 61, 1 << 62, 1 << 63, u64::MAX - 1, u64::MAX];
    for at in edges.map(Position::new) {
        assert!(log.read(at, usize::MAX).unwrap().is_empty());
        assert!(log.read(at, usize::MAX).unwrap().get(at).is_none());
        let retained = log.retain(at..Position::new(u64::MAX)).unwrap();
        assert_eq!((retained.iter().count(), retained.get(at)), (0, None));
        let backwards = log.retain(at..Position::ZERO).unwrap();
        assert_eq!((backwards.iter().count(), backwards.positions().end), (0, at));
        assert_eq!(log.for_each(at..Position::new(u64::MAX), |_, _| unreachable!()), Ok(at));
        let mut cursor = log.cursor(at);
        assert_eq!(cursor.next(), Ok(streamcore::log::Next::Pending));
        assert!(cursor.next_chunk(usize::MAX).unwrap().is_empty());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(cursor.poll_ready(&mut context).is_pending());
    }
    let all = log.retain(Position::ZERO..Position::new(u64::MAX)).unwrap();
    assert_eq!(all.iter().count(), 100);
    assert_eq!(log.read(Position::ZERO, usize::MAX).unwrap().len(), 8, "as far as the segment");
    drop(all);
    assert_eq!(log.trim(Position::new(u64::MAX)), Position::new(100));
    log.seal(());
    for at in edges.map(Position::new) {
        assert!(log.wait_visible(at).is_err());
        assert_eq!(log.cursor(at).next(), Ok(streamcore::log::Next::Closed));
    }
}
