//! Every way to read the log, over every range of a few segments: what is there, and nothing else.

use std::ops::Range;
use std::sync::Arc;

use streamcore::log::{Chunk, Log, Next, Position, Trimmed};

/// So many records, in four segments of 8, 8, 16 and 32 slots.
const END: u64 = 40;
const BORDERS: [u64; 4] = [8, 16, 32, 64];

fn filled(count: u64) -> Log<u64> {
    let log = Log::new();
    (0..count).for_each(|value| assert!(log.append(value).is_ok()));
    log
}

fn range(from: u64, to: u64) -> Range<Position> {
    Position::new(from)..Position::new(to)
}

/// Each record holds the number of its position.
fn numbers<'a>(records: impl Iterator<Item = (Position, &'a u64)>) -> Vec<u64> {
    records.map(|(at, value)| if at.get() == *value { *value } else { panic!("at {at}") }).collect()
}

fn expected(range: Range<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn a_chunk_holds_what_was_asked_for_as_far_as_its_segment_goes() {
    let log = filled(END);
    for from in 0..=END + 2 {
        let border = BORDERS.into_iter().find(|border| *border > from).unwrap().min(END);
        for max in (0..=34).chain([usize::MAX]) {
            let chunk = log.read(Position::new(from), max).unwrap();
            let end = from.saturating_add(max as u64).min(border).max(from);
            assert_eq!(numbers(chunk.iter()), expected(from..end), "{max} from {from}");
            assert_eq!(numbers((&chunk).into_iter()), expected(from..end));
            assert_eq!(chunk.positions(), range(from, end));
            assert_eq!(
                (chunk.position(), chunk.next_position()),
                (chunk.positions().start, chunk.positions().end)
            );
            assert_eq!((chunk.len() as u64, chunk.is_empty()), (end - from, end == from));
            for at in 0..=END {
                let value = (from..end).contains(&at).then_some(at);
                assert_eq!(chunk.get(Position::new(at)).copied(), value, "{at} of {from}..{end}");
            }
        }
    }
}

#[test]
fn a_chunk_can_be_shortened_and_not_lengthened() {
    let log = filled(END);
    let mut chunk = log.read(Position::new(17), 9).unwrap();
    for (to, left) in [(20, 9), (9, 9), (4, 4), (6, 4), (0, 0), (3, 0)] {
        chunk.truncate(to);
        assert_eq!(numbers(chunk.iter()), expected(17..17 + left), "truncated to {to}");
        assert_eq!(chunk.next_position(), Position::new(17 + left));
        assert_eq!(chunk.get(Position::new(17 + left)), None);
    }
}

#[test]
fn an_iterator_tells_how_many_records_are_left() {
    let log = filled(END);
    let chunk = log.read(Position::new(8), 3).unwrap();
    let mut records = chunk.iter();
    for left in [3, 2, 1] {
        assert_eq!((records.len(), records.size_hint()), (left, (left, Some(left))));
        assert!(records.next().is_some());
    }
    assert_eq!((records.len(), records.next(), records.next()), (0, None, None));
}

#[test]
fn a_record_is_read_at_the_edge_of_what_others_have_seen() {
    let log = Log::<u64>::new();
    for value in 0..100 {
        let at = Position::new(value);
        assert!(log.read(at, 1).unwrap().is_empty());
        log.append(value).unwrap();
        assert_eq!(numbers(log.read(at, 1).unwrap().iter()), [value]);
    }
}

#[test]
fn walking_visits_each_record_of_a_range_once() {
    let log = filled(END);
    for from in 0..=END + 2 {
        for to in 0..=END + 2 {
            let mut seen = Vec::new();
            let next = log.for_each(range(from, to), |at, value| seen.push((at, *value)));
            let end = to.min(END).max(from);
            assert_eq!(next, Ok(Position::new(end)), "{from}..{to}");
            assert_eq!(numbers(seen.iter().map(|(at, value)| (*at, value))), expected(from..end));
        }
    }
}

#[test]
fn walking_stops_at_what_was_trimmed() {
    let log = filled(END);
    let mut seen = 0;
    let walk = log.for_each(range(0, END), |at, _| {
        seen += 1;
        // Meanwhile, this segment is held, and the next ones are not.
        assert!(log.trim(Position::new(20)) >= at);
    });
    assert_eq!((walk, seen), (Err(Trimmed { earliest: Position::new(20) }), 8));
}

#[test]
fn a_retained_range_is_held_wherever_it_begins_and_ends() {
    for from in 0..=END {
        for to in from..=END + 2 {
            let log = filled(END);
            let retained = log.retain(range(from, to)).unwrap();
            assert_eq!(log.trim(Position::new(END)), Position::new(END));
            let end = to.min(END);
            assert_eq!(retained.positions(), range(from, end));
            assert_eq!(numbers(retained.iter()), expected(from..end), "{from}..{to}");
            for at in 0..=END {
                let value = (from..end).contains(&at).then_some(at);
                assert_eq!(retained.get(Position::new(at)).copied(), value, "{at} of {from}..{to}");
            }
            log.seal(());
            drop(retained);
            assert_eq!(log.stats().blocks, 0, "{from}..{to} leaves something behind");
        }
    }
}

#[test]
fn what_is_given_up_is_refused_to_the_record() {
    for horizon in [1, 5, 8, 13, 16, 33, END] {
        let log = filled(END);
        let earliest = log.trim(Position::new(horizon));
        let refused = Trimmed { earliest };
        assert_eq!((earliest, log.earliest()), (Position::new(horizon), earliest));
        for at in 0..END {
            let retained = log.retain(range(at, END)).map(|range| range.iter().count() as u64);
            let read = log.read(Position::new(at), 1).map(|chunk| chunk.len());
            let mut cursor = log.cursor(Position::new(at));
            let next = cursor.next().map(|next| match next {
                Next::Record(_, value) => *value,
                other => panic!("{other:?}"),
            });
            let chunk = log.cursor(Position::new(at)).next_chunk(1).map(|chunk| chunk.len());
            let walk = log.for_each(range(at, at + 1), |_, _| ());
            if at < horizon {
                assert_eq!((retained, read, next), (Err(refused), Err(refused), Err(refused)));
                assert_eq!((chunk, walk), (Err(refused), Err(refused)), "{at}");
            } else {
                assert_eq!((retained, read, next), (Ok(END - at), Ok(1), Ok(at)));
                assert_eq!((chunk, walk), (Ok(1), Ok(Position::new(at + 1))));
            }
        }
        let snapshot = log.snapshot();
        assert_eq!(snapshot.positions(), range(horizon, END));
        assert_eq!((snapshot.len(), snapshot.is_empty()), (END - horizon, horizon == END));
    }
}

#[test]
fn a_cursor_that_cannot_go_on_stays_where_it_is() {
    let log = filled(END);
    let mut cursor = log.cursor(Position::new(3));
    log.trim(Position::new(5));
    for _ in 0..2 {
        assert!(cursor.next().is_err());
        assert!(cursor.next_chunk(4).is_err());
        assert_eq!(cursor.position(), Position::new(3));
    }
    assert_eq!(log.stats().pins, 0, "what it may not read it does not hold");
}

#[test]
fn a_cursor_delivers_what_it_holds_wherever_it_goes_on_from_there() {
    let log = filled(END);
    let mut cursor = log.cursor(Position::new(16));
    assert_eq!(cursor.next(), Ok(Next::Record(Position::new(16), &16)));
    log.trim(Position::new(END));
    cursor.seek(cursor.position());
    assert_eq!(cursor.next(), Ok(Next::Record(Position::new(17), &17)));
    cursor.seek(Position::new(30));
    assert_eq!(cursor.next(), Ok(Next::Record(Position::new(30), &30)));
    cursor.seek(Position::new(30));
    assert!(cursor.next().is_err(), "it has gone back");
}

#[test]
fn an_idle_cursor_holds_the_segment_of_its_last_record_until_it_moves_on() {
    let log = filled(16);
    let mut cursor = log.cursor(Position::new(14));
    assert!(matches!(cursor.next(), Ok(Next::Record(..))));
    drop(cursor.next_chunk(1).unwrap());
    assert_eq!(log.stats().pins, 1, "a chunk of the same segment");
    for _ in 0..3 {
        assert!(cursor.next_chunk(9).unwrap().is_empty());
        assert_eq!(cursor.next(), Ok(Next::Pending));
        assert_eq!((cursor.position(), log.stats().pins), (Position::new(16), 1));
    }
    log.append(16).unwrap();
    assert_eq!(cursor.next(), Ok(Next::Record(Position::new(16), &16)));
    log.trim(Position::new(16));
    log.append_all(17..24).unwrap();
    assert_eq!(numbers(cursor.next_chunk(5).unwrap().iter()), expected(17..22));
    assert_eq!(numbers(cursor.next_chunk(5).unwrap().iter()), expected(22..24));
    assert_eq!((cursor.position(), log.stats().pins), (Position::new(24), 1));
}

#[test]
fn a_cursor_goes_on_at_any_position() {
    let log = filled(END);
    let mut cursor = log.cursor(Position::ZERO);
    for at in (0..END).chain((0..END).rev()).chain((0..END).map(|at| at * 17 % END)) {
        cursor.seek(Position::new(at));
        assert_eq!(cursor.position(), Position::new(at));
        assert_eq!(cursor.next(), Ok(Next::Record(Position::new(at), &at)));
        assert_eq!((cursor.position(), log.stats().pins), (Position::new(at + 1), 1));
    }
}

#[test]
fn a_sealed_log_is_read_to_its_end_and_closed_behind_it() {
    let log = filled(END);
    log.seal(());
    let mut cursor = log.cursor(Position::new(END - 2));
    assert!(matches!(cursor.next(), Ok(Next::Record(..))));
    assert_eq!(numbers(cursor.next_chunk(9).unwrap().iter()), [END - 1]);
    assert!(cursor.next_chunk(9).unwrap().is_empty());
    assert_eq!(cursor.next(), Ok(Next::Closed));
    assert_eq!(log.cursor(Position::new(END + 1)).next(), Ok(Next::Closed));
}

#[test]
fn a_cursor_at_the_tail_sees_each_batch_wherever_it_begins_and_however_long_it_is() {
    for length in [1, 2, 3, 7, 8, 9, 63, 64, 65, 200] {
        let log = Log::<u64>::new();
        let mut cursor = log.cursor(Position::ZERO);
        let mut next = 0;
        while next < 3_000 {
            assert_eq!(cursor.next(), Ok(Next::Pending));
            log.append_all(next..next + length).unwrap();
            for number in next..next + length {
                assert_eq!(cursor.next(), Ok(Next::Record(Position::new(number), &number)));
            }
            next += length;
        }
        log.seal(());
        assert_eq!(cursor.next(), Ok(Next::Closed));
    }
}

#[test]
fn a_horizon_goes_back_to_where_a_batch_begins_however_many_segments_that_is() {
    for (before, length) in [(0, 30), (5, 100), (8, 8), (15, 2), (3, 4_096)] {
        let log = filled(before);
        log.append_all(before..before + length).unwrap();
        log.append(0).unwrap();
        for to in (before + 1..before + length).step_by(1 + length as usize / 50) {
            assert_eq!(log.trim(Position::new(to)), Position::new(before), "{to} of {length}");
        }
        let end = Position::new(before + length);
        assert_eq!(log.trim(end.minus(1)), Position::new(before));
        assert_eq!((log.trim(end), log.trim(end.plus(1))), (end, end.plus(1)));
    }
}

#[test]
fn batches_side_by_side_are_told_apart() {
    let log = Log::<u64>::new();
    for first in (0..60).step_by(3) {
        log.append_all(first..first + 3).unwrap();
    }
    for to in 0..=60 {
        assert_eq!(log.trim(Position::new(to)), Position::new(to / 3 * 3));
    }
}

#[test]
fn guards_of_a_shared_log_read_the_same() {
    let log = Arc::new(filled(END));
    let chunk = Chunk::read(Arc::clone(&log), Position::new(10), 100).unwrap();
    assert_eq!(numbers(chunk.iter()), expected(10..16));
    assert_eq!(log.stats().pins, 1);
    drop(chunk);
    assert_eq!(log.stats().pins, 0);
}
