//! What the log promises its users, beyond the basics: one thread at a time, every time the same.

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use streamcore::log::{
    Chunk, Cursor, Log, LogOptions, Next, Position, Retained, SealOutcome, Sealed, Trimmed,
};

/// A log of `count` clones of `token`.
fn filled(token: &Arc<()>, count: u64) -> Log<Arc<()>> {
    let log = Log::new();
    for _ in 0..count {
        log.append(Arc::clone(token)).unwrap();
    }
    log
}

#[test]
fn a_cursor_that_reads_on_in_chunks_lets_go_of_the_segment_it_held() {
    let token = Arc::new(());
    let log = filled(&token, 20_000);
    let mut cursor = log.cursor(Position::ZERO);
    assert!(matches!(cursor.next(), Ok(Next::Record(..))));
    while !cursor.next_chunk(1_000).unwrap().is_empty() {}
    log.trim(Position::new(20_000));
    let while_the_cursor_lives = Arc::strong_count(&token);
    drop(cursor);
    assert_eq!(while_the_cursor_lives, Arc::strong_count(&token));
}

/// How many slots the largest segments of such a log have.
const FULL: usize = 4_096;

#[test]
fn the_last_guard_to_leave_a_trimmed_segment_frees_it_whatever_it_is() {
    let token = Arc::new(());
    let log = filled(&token, 40_000);
    let at = Position::new(20_000);
    let mut cursor = log.cursor(at);
    assert!(matches!(cursor.next(), Ok(Next::Record(..))));
    let (chunk, same) = (log.read(at, 1).unwrap(), log.read(at.minus(9), 2).unwrap());
    let retained = log.retain(at..at.plus(1)).unwrap();
    assert_eq!(log.trim(Position::new(40_000)), Position::new(40_000));
    let held = Arc::strong_count(&token);
    assert!(held > FULL && held <= 2 * FULL + 1, "one segment, and the last: {held}");
    drop(chunk);
    drop(cursor);
    drop(retained);
    assert_eq!(Arc::strong_count(&token), held, "one of them is still inside");
    assert_eq!(same.iter().count(), 2);
    drop(same);
    assert_eq!(Arc::strong_count(&token), held - FULL);
}

#[test]
fn a_guard_may_be_let_go_by_another_thread_which_then_frees() {
    let token = Arc::new(());
    let log = Arc::new(filled(&token, 20_000));
    let chunk = Chunk::read(Arc::clone(&log), Position::new(10_000), 5).unwrap();
    log.trim(Position::new(20_000));
    let before = Arc::strong_count(&token);
    thread::spawn(move || assert_eq!(chunk.iter().count(), 5)).join().unwrap();
    assert_eq!(Arc::strong_count(&token), before - FULL);
}

#[test]
fn guards_that_share_the_log_outlive_every_other_handle() {
    let token = Arc::new(());
    let log = Arc::new(filled(&token, 10_000));
    let chunk = Chunk::read(Arc::clone(&log), Position::new(100), 5).unwrap();
    let range = Position::new(7)..Position::new(9_000);
    let retained = Retained::new(Arc::clone(&log), range).unwrap();
    let mut cursor = Cursor::new(Arc::clone(&log), Position::new(9_998));
    log.trim(Position::new(9_000));
    log.seal(());
    drop(log);
    assert_eq!((chunk.iter().count(), retained.iter().count()), (5, 8_993));
    assert!(matches!(cursor.next(), Ok(Next::Record(..))));
    drop((chunk, retained));
    assert!(matches!(cursor.next(), Ok(Next::Record(..))));
    assert!(matches!(cursor.next(), Ok(Next::Closed)));
    drop(cursor);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn forgotten_guards_cost_memory_and_nothing_else() {
    let token = Arc::new(());
    let log = filled(&token, 20_000);
    std::mem::forget(log.read(Position::new(10_000), 5).unwrap());
    std::mem::forget(log.retain(Position::ZERO..Position::new(9)).unwrap());
    std::mem::forget(log.cursor(Position::new(19_999)));
    assert_eq!(log.trim(Position::new(20_000)), Position::new(20_000));
    assert!(Arc::strong_count(&token) > FULL);
    drop(log);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_cursor_walks_over_all_borders_forth_and_back() {
    let log = Log::<u64>::new();
    for value in 0..50_000 {
        log.append(value).unwrap();
    }
    let mut cursor = log.cursor(Position::ZERO);
    for value in 0..50_000 {
        assert_eq!(cursor.next(), Ok(Next::Record(Position::new(value), &value)));
    }
    assert_eq!(cursor.next(), Ok(Next::Pending));
    for at in [49_999, 4_096, 4_095, 8, 7, 0, 20_000] {
        cursor.seek(Position::new(at));
        assert_eq!(cursor.next(), Ok(Next::Record(Position::new(at), &at)));
        let chunk = cursor.next_chunk(3).unwrap();
        assert!(chunk.iter().all(|(position, value)| position.get() == *value));
        assert_eq!(chunk.position(), Position::new(at + 1));
    }
    assert_eq!(log.stats().pins, 1, "a cursor holds exactly one segment");
}

#[test]
fn a_cursor_that_goes_back_lets_go_of_its_segment() {
    let log = Log::<u64>::new();
    (0..50_000).for_each(|value| assert!(log.append(value).is_ok()));
    let mut cursor = log.cursor(Position::new(40_000));
    assert!(matches!(cursor.next(), Ok(Next::Record(..))));
    cursor.seek(Position::new(100));
    assert_eq!(log.stats().pins, 0);
    // Nor does it hold the later segment beside the one that a chunk of it is in.
    drop(cursor.next_chunk(10).unwrap());
    assert_eq!((cursor.position(), log.stats().pins), (Position::new(110), 0));
}

#[test]
fn a_cursor_delivers_what_it_holds_and_then_says_what_was_trimmed() {
    let log = Log::<u64>::new();
    for value in 0..10_000 {
        log.append(value).unwrap();
    }
    let mut cursor = log.cursor(Position::new(5_000));
    assert_eq!(cursor.next(), Ok(Next::Record(Position::new(5_000), &5_000)));
    log.trim(Position::new(9_000));
    let mut next = 5_001;
    let trimmed = loop {
        match cursor.next() {
            Ok(Next::Record(position, value)) => assert_eq!((position.get(), *value), (next, next)),
            Err(trimmed) => break trimmed,
            Ok(other) => panic!("{other:?}"),
        }
        next += 1;
    };
    assert_eq!(next % 4_096, 0, "the segment that it held was read to its end");
    assert_eq!(trimmed, Trimmed { earliest: Position::new(9_000) });
}

#[test]
fn a_chain_of_successors_is_followed_to_its_end_and_dropped_link_by_link() {
    struct Link(Log<u64, Arc<Link>>);
    let first = Arc::new(Link(Log::new()));
    let mut last = Arc::clone(&first);
    for value in 0..100_000 {
        last.0.append(value).unwrap();
        let next = Arc::new(Link(Log::new()));
        let outcome = last.0.seal(Arc::clone(&next));
        assert!(matches!(outcome, SealOutcome::Sealed { end } if end == Position::new(1)));
        last = next;
    }
    let mut at = &first;
    let mut read = 0;
    while let Some(next) = at.0.successor() {
        assert_eq!(at.0.append(7), Err(Sealed(7)));
        assert_eq!(at.0.read(Position::ZERO, 9).unwrap().get(Position::ZERO), Some(&read));
        (at, read) = (next, read + 1);
    }
    assert!(Arc::ptr_eq(at, &last) && read == 100_000);
    drop(last);
    let mut rest = Some(first);
    while let Some(link) = rest {
        rest = Arc::into_inner(link).and_then(|mut link| link.0.take_successor());
    }
}

#[test]
fn the_successor_that_lost_comes_back_and_the_other_one_dies_with_the_log() {
    let (first, second) = (Arc::new(()), Arc::new(()));
    let log = Log::<u64, Arc<()>>::new();
    assert!(matches!(log.seal(Arc::clone(&first)), SealOutcome::Sealed { .. }));
    let outcome = log.seal(Arc::clone(&second));
    assert!(
        matches!(&outcome, SealOutcome::AlreadySealed { offered, .. } if Arc::ptr_eq(offered, &second))
    );
    drop(outcome);
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 1));
    drop(log);
    assert_eq!(Arc::strong_count(&first), 1);
}

#[test]
fn a_batch_whose_making_panics_leaves_no_trace() {
    let token = Arc::new(());
    let log = filled(&token, 3);
    let values =
        (0..9).map(|value| if value == 8 { panic!("planted") } else { Arc::clone(&token) });
    assert!(catch_unwind(AssertUnwindSafe(|| log.append_all(values))).is_err());
    assert_eq!((log.end(), Arc::strong_count(&token)), (Position::new(3), 4));
    assert_eq!(log.append(Arc::clone(&token)), Ok(Position::new(3)));
    assert_eq!(log.snapshot().len(), 4);
}

#[test]
fn a_visitor_that_panics_lets_go_of_its_segment() {
    let token = Arc::new(());
    let log = filled(&token, 100);
    let visit = || log.for_each(log.snapshot().positions(), |_, _| panic!("planted"));
    assert!(catch_unwind(AssertUnwindSafe(visit)).is_err());
    assert_eq!(log.stats().pins, 0);
    log.seal(());
    log.trim(Position::new(100));
    assert_eq!((log.stats().blocks, Arc::strong_count(&token)), (0, 1));
}

#[test]
fn values_that_panic_as_appends_drop_them_stop_neither_the_appends_nor_the_others() {
    struct Fuse(#[expect(dead_code, reason = "it is counted")] Arc<()>, bool);
    impl Drop for Fuse {
        fn drop(&mut self) {
            if self.1 {
                // Without the message that a panic prints.
                std::panic::resume_unwind(Box::new("planted"));
            }
        }
    }
    let token = Arc::new(());
    let kept = NonZeroU64::new(10).unwrap();
    let log = Log::<Fuse>::with_options(LogOptions::new().retain_last(kept));
    for value in 0..50_000 {
        log.append(Fuse(Arc::clone(&token), value % 100 == 0)).unwrap();
    }
    let held = Arc::strong_count(&token);
    assert!(held < 20_000, "{held}");
    let stats = log.stats();
    assert!(stats.contained_panics > 300, "{stats:?}");
    drop(log);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_log_that_goes_while_a_panic_unwinds_contains_those_of_its_values() {
    struct Fuse(#[expect(dead_code, reason = "it is counted")] Arc<()>);
    impl Drop for Fuse {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("planted"));
        }
    }
    let token = Arc::new(());
    let unwound = catch_unwind(|| {
        let log = Arc::new(Log::<Fuse>::new());
        for _ in 0..100 {
            assert!(log.append(Fuse(Arc::clone(&token))).map_err(std::mem::forget).is_ok());
        }
        let _guard = Chunk::read(Arc::clone(&log), Position::ZERO, 3).unwrap();
        log.trim(Position::new(100));
        std::panic::resume_unwind(Box::new("outer"));
    });
    assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"outer"));
    assert_eq!(Arc::strong_count(&token), 1);
}
