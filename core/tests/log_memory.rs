//! The log's memory, counted by the allocator: what an empty log takes, what appends allocate, and that
//! everything is given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::{Context, Waker};

use streamcore::log::{Log, LogOptions, Position};

/// Counts what the calling thread allocates and frees; each test runs in a thread of its own.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

fn count(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    BYTES.set(BYTES.get() + bytes);
}

// SAFETY: passes everything on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What `run` allocated: how often, and how many bytes more than it freed.
fn counted<R>(run: impl FnOnce() -> R) -> (R, u64, i64) {
    let (allocations, bytes) = (ALLOCATIONS.get(), BYTES.get());
    let result = run();
    (result, ALLOCATIONS.get() - allocations, BYTES.get() - bytes)
}

type Record = [u64; 7];

fn keeping(count: u64) -> Log<Record> {
    Log::with_options(LogOptions::new().retain_last(NonZeroU64::new(count).expect("some")))
}

fn append<T: Copy>(log: &Log<T>, value: T, count: u64) {
    for _ in 0..count {
        log.append(value).unwrap();
    }
}

#[test]
fn an_empty_log_takes_at_most_one_kib() {
    let (log, _, bytes) = counted(|| Arc::new(Log::<Record>::new()));
    assert!((1..=1_024).contains(&bytes), "{bytes}");
    let (_, allocations, _) = counted(|| {
        assert!(log.snapshot().is_empty() && log.read(Position::ZERO, 9).unwrap().is_empty());
        assert!(log.retain(Position::ZERO..Position::new(9)).is_ok());
        assert_eq!(log.trim(Position::new(9)), Position::ZERO);
    });
    assert_eq!(allocations, 0, "nothing is made for readers of nothing");
}

#[test]
fn a_few_records_take_few_bytes() {
    let log = Log::<Record>::new();
    let (_, _, bytes) = counted(|| append(&log, [0; 7], 8));
    assert!(bytes <= 1_024, "{bytes} for 512 bytes of records");
    let (_, _, bytes) = counted(|| append(&log, [0; 7], 92));
    assert!(bytes <= 4 * 100 * 64, "{bytes} for 6,400 bytes of records");
}

#[test]
fn with_retention_on_appends_allocate_at_most_once_in_100_000() {
    for kept in [1, 100, 10_000] {
        let log = keeping(kept);
        append(&log, [0; 7], 100_000);
        for _ in 0..10 {
            let (_, allocations, _) = counted(|| append(&log, [1; 7], 100_000));
            assert!(allocations <= 1, "{allocations} allocations, keeping {kept}");
        }
    }
}

#[test]
fn with_retention_on_batches_allocate_no_more_than_their_own_vector() {
    let log = keeping(100);
    let append = |length: u64| {
        for _ in 0..1_000 {
            log.append_all((0..length).map(|value| [value; 7])).unwrap();
        }
    };
    append(100);
    for (length, each) in [(16, 0), (100, 1)] {
        let (_, allocations, _) = counted(|| append(length));
        assert!(allocations <= each * 1_000 + 1, "{allocations} for 1,000 batches of {length}");
    }
}

#[test]
fn readers_allocate_nothing() {
    let log = Log::<Record>::new();
    append(&log, [3; 7], 20_000);
    let (read, allocations, _) = counted(|| {
        let (snapshot, mut cursor) = (log.snapshot(), log.cursor(Position::ZERO));
        let mut read = 0;
        log.for_each(snapshot.positions(), |_, _| read += 1).unwrap();
        while !cursor.next_chunk(100).unwrap().is_empty() {}
        read
    });
    assert_eq!((read, allocations), (20_000, 0));
}

#[test]
fn appends_take_the_memory_that_was_made_ready() {
    assert_eq!(Log::<Record>::new().provision(), 0, "nobody has asked for it");
    let log = Log::<Record>::with_options(LogOptions::new().provisioned());
    append(&log, [0; 7], 2_000);
    let blocks = log.stats().blocks;
    let (made, _, bytes) = counted(|| log.provision());
    assert_eq!((made, log.provision(), log.stats().spares), (64, 0, 64));
    assert_eq!(log.stats().blocks, blocks + 64);
    assert!(bytes >= 64 * 64 * 1024, "{bytes} for 64 segments");
    let (_, _, taken) = counted(|| append(&log, [1; 7], 60 * 1_024));
    assert!(taken < 16 * 1_024, "{taken} bytes, and memory was ready");
    assert_eq!((log.stats().spares, log.provision()), (4, 60));
    let (_, _, shrunk) = counted(|| log.shrink());
    assert_eq!((shrunk <= -64 * 64 * 1_024, log.stats().spares), (true, 0));
    assert_eq!(log.provision(), 64);
    log.seal(());
    assert_eq!((log.provision(), log.stats().spares), (0, 0));
    assert_eq!(log.snapshot().len(), 2_000 + 60 * 1_024);
}

#[test]
fn what_is_trimmed_is_given_back() {
    let (log, _, _) = counted(Log::<Record>::new);
    let (_, _, filled) = counted(|| append(&log, [0; 7], 500_000));
    let (_, _, trimmed) = counted(|| log.trim(Position::new(500_000)));
    let left = filled + trimmed;
    // The last segment and the one installed ahead, the spares, and the directory: 12 bytes for each
    // segment that ever was, at the most 64 since its rows become four times as long, and begin at 0.
    assert!(filled > 32_000_000 && left < 5 * 66_000 + 64 * 500, "{filled}, then {left}");
    let (_, _, shrunk) = counted(|| log.shrink());
    assert!(left + shrunk < 3 * 66_000 + 64 * 500, "{filled}, then {left}, {shrunk}");
    let (_, _, closed) = counted(|| log.seal(()));
    assert!(left + shrunk + closed < 64 * 500, "a sealed, trimmed log has no segment left");
}

#[test]
fn a_log_gives_everything_back_when_it_goes() {
    for (records, is_sealed) in [(0, false), (0, true), (1, false), (7_777, true), (90_000, false)]
    {
        let (_, allocations, bytes) = counted(|| {
            let log = keeping(5_000);
            append(&log, [0; 7], records);
            let mut cursor = log.cursor(Position::new(records));
            assert!(cursor.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
            if is_sealed {
                log.seal(());
            }
            // A guard that is forgotten holds its segment; the log takes it along all the same.
            std::mem::forget(log.read(log.earliest(), 1).unwrap());
        });
        assert!(allocations > 0);
        assert_eq!(bytes, 0, "{records} records, sealed: {is_sealed}");
    }
}

#[test]
fn a_log_that_goes_while_values_are_dying_gives_their_memory_back() {
    let (mut small, mut large) = (0, 0);
    for records in (32..1_000).step_by(32).chain((4_096..9_000).step_by(608)) {
        let (dying, _, bytes) = counted(|| {
            let kept = NonZeroU64::new(8).expect("some");
            let log = Log::<Box<u64>>::with_options(LogOptions::new().retain_last(kept));
            (0..records).for_each(|value| assert!(log.append(Box::new(value)).is_ok()));
            log.stats().dying
        });
        *(if records < 4_096 { &mut small } else { &mut large }) += dying;
        assert_eq!(bytes, 0, "{records} records, {dying} dying");
    }
    assert!(small > 0 && large > 0, "{small} small segments were dying, and {large} large ones");
}

#[test]
fn a_log_that_goes_gives_its_spares_back() {
    let (spares, _, bytes) = counted(|| {
        let log = Log::<Record>::new();
        append(&log, [0; 7], 10_000);
        log.trim(Position::new(9_000));
        log.stats().spares
    });
    assert_eq!((spares, bytes), (2, 0));
}

#[test]
fn waiting_takes_one_node_per_cursor_however_often() {
    let log = Log::<Record>::new();
    append(&log, [0; 7], 1);
    let poll_all = |times: u64| {
        let mut cursors: Vec<_> = (0..100).map(|_| log.cursor(Position::new(1))).collect();
        for _ in 0..times {
            for cursor in &mut cursors {
                assert!(cursor.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
            }
        }
        cursors
    };
    let (cursors, _, once) = counted(|| poll_all(1));
    drop(cursors);
    let (cursors, _, often) = counted(|| poll_all(50));
    assert!(often <= once, "{once} bytes for one poll, {often} for 50");
    let (_, _, left) = counted(|| drop(cursors));
    // A few dozen nodes of cursors that are gone may wait to be swept out.
    assert!(often + left <= 40 * 64, "{often}, then {left}");
}

#[test]
fn nobody_waits_so_appends_wake_nobody() {
    let log = keeping(100);
    append(&log, [0; 7], 10_000);
    assert!(!log.stats().has_waiters);
    let mut cursor = log.cursor(log.end());
    assert!(cursor.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(log.stats().has_waiters);
    append(&log, [0; 7], 1);
    assert!(!log.stats().has_waiters, "one append has woken all, and the next ones need not");
    let (_, allocations, bytes) = counted(|| append(&log, [0; 7], 1_000));
    assert_eq!((allocations, bytes), (0, 0));
}
