//! Values and memory are given back exactly when that is promised: to the value, and to the block.

use std::num::NonZeroU64;
use std::sync::Arc;

use streamcore::log::{Log, LogOptions, MAX_BATCH, Position};

/// The number of its owners shows how many values are alive.
type Token = Arc<()>;

/// How many slots the largest segments of a log of tokens have.
const FULL: u64 = 4_096;

fn append<S>(log: &Log<Token, S>, token: &Token, count: u64) {
    for _ in 0..count {
        assert!(log.append(Arc::clone(token)).is_ok());
    }
}

fn filled(token: &Token, count: u64) -> Log<Token> {
    let log = Log::new();
    append(&log, token, count);
    log
}

fn keeping<T>(count: u64) -> Log<T> {
    let count = NonZeroU64::new(count).expect("at least one");
    Log::with_options(LogOptions::new().retain_last(count))
}

fn alive(token: &Token) -> u64 {
    Arc::strong_count(token) as u64 - 1
}

/// The segment of a position: the first two have eight slots, and each one after that twice as many as
/// the one before, up to the largest.
fn segment(position: u64) -> u64 {
    match position {
        0..8 => 0,
        8..FULL => u64::from(position.ilog2()) - 2,
        _ => position / FULL + 9,
    }
}

/// The first position of a segment.
fn first(segment: u64) -> u64 {
    match segment {
        0 => 0,
        1..10 => 4 << segment,
        _ => (segment - 9) * FULL,
    }
}

/// So many segments do the records from one position to another live in.
fn segments(from: u64, end: u64) -> u64 {
    if from < end { segment(end - 1) - segment(from) + 1 } else { 0 }
}

#[test]
fn what_a_trim_gives_up_dies_at_once_if_nobody_reads_there() {
    for count in [1, 7, 8, 9, 16, 40, 100] {
        let token = Token::default();
        let log = filled(&token, count);
        for to in 0..=count {
            assert_eq!(log.trim(Position::new(to)), Position::new(to));
            assert_eq!(alive(&token), count - to, "trimmed to {to} of {count}");
            let rest = log.read(Position::new(to), usize::MAX).unwrap();
            assert!(rest.iter().all(|(_, value)| Arc::ptr_eq(value, &token)));
            assert_eq!(rest.is_empty(), to == count);
        }
        drop(log);
        assert_eq!(alive(&token), 0);
    }
}

#[test]
fn a_trim_beyond_the_end_drops_all_that_is_there() {
    let token = Token::default();
    let log = filled(&token, 13);
    assert_eq!(log.trim(Position::new(u64::MAX)), Position::new(13));
    assert_eq!(alive(&token), 0);
    append(&log, &token, 5);
    assert_eq!(alive(&token), 5);
    assert_eq!(log.trim(Position::new(15)), Position::new(15));
    assert_eq!(alive(&token), 3);
}

#[test]
fn values_that_a_reader_keeps_are_dropped_by_the_next_trim() {
    let token = Token::default();
    let log = filled(&token, 16);
    let chunk = log.read(Position::new(12), 1).unwrap();
    assert_eq!(log.trim(Position::new(14)), Position::new(14));
    assert_eq!(alive(&token), 8, "the first segment is gone, and of the second nothing");
    assert!(chunk.iter().all(|(_, value)| Arc::ptr_eq(value, &token)));
    drop(chunk);
    assert_eq!(log.trim(Position::new(9)), Position::new(14));
    assert_eq!(alive(&token), 2, "an older trim drops what is given up");
}

/// A value that says so if it is dropped twice, and fills its segments with eight of its kind.
struct Once {
    token: Token,
    is_alive: bool,
    _pad: [u64; 1_100],
}

impl Drop for Once {
    fn drop(&mut self) {
        if !std::mem::replace(&mut self.is_alive, false) {
            // Not a panic: the log would contain it.
            eprintln!("a value was dropped twice, or never written");
            std::process::abort();
        }
    }
}

#[test]
fn memory_that_comes_back_drops_each_value_once_wherever_a_trim_ends() {
    let token = Token::default();
    let log = Log::<Once>::new();
    let mut horizon = 0;
    for end in 1..=400 {
        let value = Once { token: Arc::clone(&token), is_alive: true, _pad: [0; 1_100] };
        assert!(log.append(value).is_ok());
        if end % 3 == 0 {
            horizon = end - end % 5;
            log.trim(Position::new(horizon));
        }
        let horizon = log.earliest().get().max(horizon);
        assert_eq!(alive(&token), end - horizon, "{horizon} of {end}");
        let rest = log.retain(Position::new(horizon)..Position::new(end)).unwrap();
        assert!(rest.iter().all(|(_, value)| Arc::ptr_eq(&value.token, &token)));
    }
    log.trim(Position::new(397));
    log.shrink();
    assert_eq!((log.stats().blocks, alive(&token)), (1, 3));
    drop(log);
    assert_eq!(alive(&token), 0);
}

#[test]
fn segments_are_made_when_they_are_needed_and_large_ones_a_little_ahead() {
    let log = Log::<u64>::new();
    for end in 1..=20_000 {
        log.append(end).unwrap();
        let at = segment(end - 1);
        let (slots, slot) = (first(at + 1) - first(at), end - 1 - first(at));
        let ahead = log.stats().blocks - (at + 1);
        let expected = match slots {
            0..=64 => 0..=0,
            128..=512 => u64::from(slot >= slots / 2)..=1,
            _ if slot < slots / 8 => 0..=0,
            _ if slot >= slots / 4 => 1..=1,
            _ => 0..=1,
        };
        assert!(expected.contains(&ahead), "{ahead} ahead, with {end} records");
    }
}

#[test]
fn a_batch_installs_the_next_segment_as_its_last_record_would() {
    let log = Log::<u64>::new();
    log.append_all(0..FULL).unwrap();
    log.append_all(0..520).unwrap();
    assert_eq!(log.stats().blocks, segments(0, FULL + 520) + 1);
    log.append_all(520..=FULL).unwrap();
    assert_eq!(log.stats().blocks, segments(0, 2 * FULL + 1), "it is the one that comes next");
}

#[test]
fn a_sealed_log_keeps_the_segments_of_its_records_and_nothing_else() {
    let around = [4_090..4_110, 4_600..4_660, 8_185..8_200];
    for count in (0_u64..300).chain(around.into_iter().flatten()) {
        for trimmed in [0, count / 2, count.saturating_sub(1), count] {
            let log = Log::<u64>::new();
            (0..count).for_each(|value| assert!(log.append(value).is_ok()));
            log.trim(Position::new(trimmed));
            assert_eq!(log.seal(()).end(), Position::new(count));
            let stats = log.stats();
            assert_eq!(stats.blocks, segments(trimmed, count), "{trimmed} of {count}: {stats:?}");
            assert_eq!((stats.spares, stats.dying), (0, 0));
        }
    }
}

#[test]
fn a_sealed_log_gives_up_one_segment_after_the_other_and_the_last_at_its_end() {
    for count in [1, 7, 8, 9, 40, 64, 100] {
        let token = Token::default();
        let log = filled(&token, count);
        log.seal(());
        for to in 0..=count {
            assert_eq!(log.trim(Position::new(to)), Position::new(to));
            assert_eq!(log.stats().blocks, segments(to, count), "{to} of {count}");
            assert_eq!(alive(&token), count - to);
        }
    }
}

#[test]
fn an_open_log_keeps_its_last_segment_though_it_is_empty() {
    let log = Log::<u64>::new();
    for value in 0..12 {
        log.append(value).unwrap();
    }
    log.trim(Position::new(12));
    assert_eq!(log.stats().blocks, 1);
    log.append(12).unwrap();
    assert_eq!(log.read(Position::new(12), 1).unwrap().get(Position::new(12)), Some(&12));
}

#[test]
fn shrinking_leaves_nothing_but_what_is_retained() {
    let token = Token::default();
    let log = keeping::<Token>(100);
    append(&log, &token, 9_000);
    let stats = log.stats();
    assert!(stats.dying == 1 && segment(stats.trimmed) == 11, "{stats:?}");
    log.shrink();
    let stats = log.stats();
    // The segment in use, and the one ahead of it.
    assert_eq!((stats.dying, stats.spares, stats.blocks), (0, 0, 2), "{stats:?}");
    assert_eq!(alive(&token), 9_000 - first(11));
    log.shrink();
    assert_eq!(log.stats(), stats, "there is nothing more to give back");
}

#[test]
fn whoever_trims_by_hand_drops_what_was_left_to_later_appends() {
    let token = Token::default();
    let log = keeping::<Token>(100);
    append(&log, &token, 9_000);
    assert_eq!(log.stats().dying, 1);
    let horizon = log.trim(Position::ZERO);
    assert_eq!((log.stats().dying, alive(&token)), (0, 9_000 - horizon.get()));
}

/// A value whose drop panics, without the message that a panic prints.
struct Fuse(#[expect(dead_code, reason = "it is counted")] Token);

impl Drop for Fuse {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("planted"));
    }
}

#[test]
fn every_panic_is_counted_whoever_drops_the_value() {
    let token = Token::default();
    let log = keeping::<Fuse>(100);
    let append = |count| {
        for _ in 0..count {
            let appended = log.append(Fuse(Arc::clone(&token)));
            assert!(appended.map_err(std::mem::forget).is_ok());
        }
    };
    let dropped = || {
        assert_eq!(log.stats().contained_panics, log.stats().appended - alive(&token));
        log.stats().contained_panics
    };
    append(5);
    log.trim(Position::new(3));
    assert_eq!(dropped(), 3, "by a trim, in the middle of a segment");
    append(15);
    let chunk = log.read(Position::new(10), 1).unwrap();
    log.trim(Position::new(16));
    assert_eq!(dropped(), 8, "of the first segment, since the second is read");
    drop(chunk);
    assert_eq!(dropped(), 16, "by a reader");
    append(8_980);
    let before = dropped();
    assert!(before > 4_000, "by appends: {before}");
    log.shrink();
    assert_eq!(dropped(), first(11));
    log.seal(());
    log.trim(Position::new(9_000));
    assert_eq!(dropped(), 9_000);
}

#[test]
fn two_large_segments_are_kept_for_the_next_ones_and_no_small_ones() {
    let log = Log::<u64>::new();
    (0..FULL).for_each(|value| assert!(log.append(value).is_ok()));
    log.trim(Position::new(FULL));
    let stats = log.stats();
    assert_eq!((stats.blocks, stats.spares), (1, 0), "small ones are not kept");
    (FULL..40_000).for_each(|value| assert!(log.append(value).is_ok()));
    let needed = segments(39_000, 40_000) + 1;
    log.trim(Position::new(39_000));
    let stats = log.stats();
    assert_eq!((stats.blocks, stats.spares), (needed + 2, 2));
    let mut appended = 40_000;
    for (spares, blocks) in [(1, needed + 2), (0, needed + 2), (0, needed + 3)] {
        (0..FULL).for_each(|value| assert!(log.append(value).is_ok()));
        appended += FULL;
        assert_eq!((log.stats().spares, log.stats().blocks), (spares, blocks), "{appended}");
    }
    let all = log.retain(Position::new(40_000)..log.end()).unwrap();
    assert!(all.iter().all(|(at, value)| *value == (at.get() - 40_000) % FULL));
}

#[test]
fn the_last_guard_gives_its_block_back() {
    let log = Log::<u64>::new();
    (0..40).for_each(|value| assert!(log.append(value).is_ok()));
    let chunk = log.read(Position::new(9), 1).unwrap();
    let range = log.retain(Position::new(6)..Position::new(20)).unwrap();
    let mut cursor = log.cursor(Position::new(3));
    assert!(cursor.next().is_ok());
    log.trim(Position::new(40));
    log.seal(());
    assert_eq!(log.stats().blocks, 3, "segments 0, 1 and 2");
    drop(cursor);
    drop(chunk);
    assert_eq!(log.stats().blocks, 3, "the range still holds all of them");
    drop(range);
    assert_eq!(log.stats().blocks, 0);
}

#[test]
fn retention_keeps_what_it_promises_and_hardly_more() {
    for count in [1, 7, 24, 100, 1_000, 5_000] {
        let log = keeping::<u64>(count);
        for end in 1..=15_000 {
            log.append(end).unwrap();
            let stats = log.stats();
            assert!(end - stats.trimmed >= count.min(end), "keeping {count} of {end}: {stats:?}");
            // Border work has just been done; the first few segments are smaller than its step.
            if end % 64 == 0 && end > 640 + 2 * count {
                let at = segment(stats.trimmed);
                let most = count + first(at + 1) - first(at);
                assert!(end - stats.trimmed < most, "keeping {count} of {end}: {stats:?}");
            }
        }
    }
}

#[test]
fn retention_gives_up_a_segment_as_soon_as_none_of_its_records_is_kept() {
    let log = keeping::<u64>(56);
    (0..63).for_each(|value| assert!(log.append(value).is_ok()));
    assert_eq!(log.stats().trimmed, 0);
    log.append(63).unwrap();
    let stats = log.stats();
    assert_eq!((stats.published, stats.trimmed), (64, 8), "56 are left, and 8 fill the first one");
    assert_eq!(stats.blocks, segments(8, 64));
}

#[test]
fn retention_does_not_trim_by_parts_of_a_segment() {
    let log = keeping::<u64>(100);
    (0..6_000).for_each(|value| assert!(log.append(value).is_ok()));
    let before = log.stats().trimmed;
    (0..2_000).for_each(|value| assert!(log.append(value).is_ok()));
    assert_eq!(log.stats().trimmed, before, "its segment goes on to 8192");
    (0..350).for_each(|value| assert!(log.append(value).is_ok()));
    assert_eq!(log.stats().trimmed, 8_320 - 100, "as far as border work has seen");
}

/// The most values that one call of `act` dropped.
fn most_dropped(token: &Token, times: u64, appends: u64, act: impl Fn()) -> u64 {
    let mut most = 0;
    for _ in 0..times {
        let before = alive(token) + appends;
        act();
        most = most.max(before - alive(token));
    }
    most
}

#[test]
fn appends_drop_more_values_than_die_and_never_many_at_once() {
    let token = Token::default();
    let log = keeping::<Token>(100);
    let most = most_dropped(&token, 60_000, 1, || append(&log, &token, 1));
    assert_eq!(most, 10, "a quarter more than are appended from one time to the next");
    assert!(alive(&token) <= 100 + 2 * FULL, "{} are alive", alive(&token));
}

#[test]
fn a_batch_drops_half_as_many_values_again_as_it_has() {
    for length in [2, 16, 33, 100, 1_000, MAX_BATCH as u64] {
        let token = Token::default();
        let log = keeping::<Token>(100);
        let times = 60_000 / length;
        let most = most_dropped(&token, times, length, || {
            let values = (0..length).map(|_| Arc::clone(&token));
            assert!(log.append_all(values).is_ok());
        });
        let bound = 10.max(length + length / 2);
        assert!((1..=bound).contains(&most), "{most} by one batch of {length}");
        if (33..=1_000).contains(&length) {
            assert_eq!(most, bound, "batches of {length}: what lies there is not dropped faster");
        }
        let kept = log.stats().published - log.stats().trimmed;
        assert!(kept <= 100 + length + 2 * FULL, "{:?}", log.stats());
        assert!(alive(&token) <= kept + length + 4 * FULL, "{length}: {} alive", alive(&token));
    }
}

#[test]
fn one_append_drops_few_values_however_large_they_are() {
    #[allow(dead_code, reason = "the token's count is looked at, and the size")]
    struct Large(Token, [u8; 20_000]);
    let (token, log) = (Token::default(), keeping::<Large>(100));
    let mut most = 0;
    for count in 1..=2_000 {
        let before = alive(&token);
        assert!(log.append(Large(Arc::clone(&token), [0; 20_000])).is_ok());
        most = most.max(before + 1 - alive(&token));
        assert!(alive(&token) >= count.min(100));
    }
    assert!(most <= 16, "one append has dropped {most} values");
}
