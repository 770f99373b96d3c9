//! The prototypes keep the promises of a log that they claim: one order, which is that of real time; what a reader
//! was shown stays a prefix of what it is shown later; batches are whole; every record is dropped once.

use std::cell::RefCell;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use streamcore_bench::compare::Registry;
use streamcore_bench::contender::{Append, Contender, Setup};
use streamcore_bench::contenders::{Combining, Lanes};
use streamcore_bench::payload::{Payload, Seen};
use streamcore_bench::scenario::{PayloadKind, Reading, Scenario};

thread_local! {
    /// The numbers that this thread has seen, in their order.
    static TRACE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// A record that leaves a trace when it is looked at, and counts those that live.
struct Traced {
    number: u64,
    _lives: Arc<()>,
}

impl Payload for Traced {
    type Mould = Arc<()>;
    fn mould() -> Arc<()> {
        Arc::default()
    }
    fn make(mould: &Arc<()>, number: u64) -> Self {
        Self { number, _lives: Arc::clone(mould) }
    }
    fn ends(&self) -> (u64, u64) {
        TRACE.with_borrow_mut(|trace| trace.push(self.number));
        (self.number, self.number)
    }
}

/// What a call of a reader has seen.
fn trace(mut read: impl FnMut(&mut Seen)) -> Vec<u64> {
    TRACE.take();
    read(&mut Seen::default());
    TRACE.take()
}

/// A log that gives up nothing during a test.
fn log<C: Contender>() -> C::Log<Traced> {
    C::make(&Setup { retain: NonZeroU64::new(1 << 20).unwrap(), tailers: 1 })
}

/// How often the reader has looked. Writers wait for it now and then, so that it sees them at work.
struct Looks(AtomicU64);

impl Looks {
    const OVER: u64 = u64::MAX / 2;

    fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn wait(&self) {
        let before = self.0.load(Ordering::Relaxed);
        while self.0.load(Ordering::Relaxed) == before && before < Self::OVER {
            std::thread::yield_now();
        }
    }
}

/// A reader that is done, or has failed, looks no more: nobody may wait for it.
struct Reader<'a>(&'a Looks);

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.0.store(Looks::OVER, Ordering::Relaxed);
    }
}

fn an_append_that_begins_after_another_returned_comes_behind_it<C: Contender>() {
    const COUNT: u64 = 20_000;
    let log = log::<C>();
    let turn = &AtomicU64::new(0);
    std::thread::scope(|scope| {
        for writer_no in 0..2 {
            let log = &log;
            scope.spawn(move || {
                let mut writer = C::writer(log);
                let mould = Traced::mould();
                for number in (writer_no..COUNT).step_by(2) {
                    while turn.load(Ordering::Acquire) != number {
                        std::thread::yield_now();
                    }
                    writer.append(Traced::make(&mould, number));
                    turn.store(number + 1, Ordering::Release);
                }
            });
        }
    });
    assert_eq!(trace(C::scanner(&log).unwrap()), (0..COUNT).collect::<Vec<_>>());
}

/// Numbers of one writer: its own in the upper half, then how many it wrote before.
fn is_in_order(trace: &[u64], writers: u64) -> bool {
    let mut next = vec![0; writers as usize];
    trace.iter().all(|number| {
        let next = &mut next[(number >> 32) as usize];
        *next += 1;
        number & u64::from(u32::MAX) == *next - 1
    })
}

fn what_was_shown_is_a_prefix_of_what_is_shown_later<C: Contender>() {
    const WRITERS: u64 = 3;
    const COUNT: u64 = 60_000;
    let log = log::<C>();
    let (mut before, mut followed, mut grew) = (Vec::new(), Vec::new(), 0);
    let (mut follow, mut scan) = (C::tailer(&log).unwrap(), C::scanner(&log).unwrap());
    let (left, looks) = (&AtomicU64::new(WRITERS), &Looks(AtomicU64::new(0)));
    std::thread::scope(|scope| {
        for writer_no in 0..WRITERS {
            let log = &log;
            scope.spawn(move || {
                let mut writer = C::writer(log);
                let mould = Traced::mould();
                for n in 0..COUNT {
                    writer.append(Traced::make(&mould, writer_no << 32 | n));
                    if n % 4_000 == 0 {
                        looks.wait();
                    }
                }
                left.fetch_sub(1, Ordering::Release);
            });
        }
        let (mut is_over, _reader) = (false, Reader(looks));
        while !is_over {
            looks.one_more();
            is_over = left.load(Ordering::Acquire) == 0;
            followed.extend(trace(&mut follow));
            let now = trace(&mut scan);
            assert!(now.starts_with(&before), "what was shown has changed");
            assert!(now.starts_with(&followed), "the follower was shown something else");
            assert!(is_in_order(&now, WRITERS), "a writer's records are not in its order");
            grew += u64::from(now.len() > before.len());
            before = now;
        }
    });
    assert_eq!(before.len() as u64, WRITERS * COUNT);
    followed.extend(trace(&mut follow));
    assert_eq!(followed, before);
    assert!(grew > 5, "the reader came too late to see anything change");
}

fn a_reader_sees_all_of_a_batch_or_nothing<C: Contender>() {
    const LEN: u32 = 7;
    let log = log::<C>();
    let (left, looks) = (&AtomicU64::new(2), &Looks(AtomicU64::new(0)));
    let mut grew = 0;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let log = &log;
            scope.spawn(move || {
                let mut writer = C::writer(log);
                let mould = Traced::mould();
                for count in 0..3_000 {
                    let batch = (0..LEN).map(|n| Traced::make(&mould, n.into()));
                    writer.append_batch(batch).unwrap();
                    if count % 50 == 0 {
                        looks.wait();
                    }
                }
                left.fetch_sub(1, Ordering::Release);
            });
        }
        let (mut scan, mut before, _reader) = (C::scanner(&log).unwrap(), 0, Reader(looks));
        while left.load(Ordering::Acquire) > 0 {
            let now = trace(&mut scan);
            let is_whole = now.len() % LEN as usize == 0
                && now.iter().enumerate().all(|(at, n)| *n == at as u64 % u64::from(LEN));
            assert!(is_whole, "a part of a batch");
            looks.one_more();
            grew += u64::from(now.len() > before);
            before = now.len();
        }
    });
    assert!(grew > 10, "the reader came too late to see anything change");
}

fn what_an_append_has_stored_is_there_when_it_returns<C: Contender>() {
    let log = log::<C>();
    let returned = &AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let log = &log;
            scope.spawn(move || {
                let (mut writer, mut count) = (C::writer(log), C::counter(log).unwrap());
                let mould = Traced::mould();
                for number in 0..60_000 {
                    writer.append(Traced::make(&mould, number));
                    let returned = returned.fetch_add(1, Ordering::AcqRel) + 1;
                    assert!(count() >= returned, "an append has returned that is not stored");
                }
            });
        }
    });
}

fn every_record_is_dropped_once<C: Contender>() {
    let (log, mould) = (log::<C>(), Traced::mould());
    for round in 1..=3 {
        let mut writer = C::writer(&log);
        (0..1_000).for_each(|number| writer.append(Traced::make(&mould, number)));
        writer.append_batch((0..100u32).map(|n| Traced::make(&mould, n.into()))).unwrap();
        assert_eq!(Arc::strong_count(&mould), 1 + round * 1_100);
    }
    drop(log);
    assert_eq!(Arc::strong_count(&mould), 1);
}

macro_rules! keeps_its_promises {
    ($module:ident, $contender:ty, $($promise:ident),*) => {
        mod $module {
            $(#[test]
            fn $promise() {
                super::$promise::<$contender>();
            })*
        }
    };
}

keeps_its_promises!(
    lanes,
    super::Lanes,
    an_append_that_begins_after_another_returned_comes_behind_it,
    what_was_shown_is_a_prefix_of_what_is_shown_later,
    a_reader_sees_all_of_a_batch_or_nothing,
    every_record_is_dropped_once
);
keeps_its_promises!(
    combining,
    super::Combining,
    what_an_append_has_stored_is_there_when_it_returns,
    an_append_that_begins_after_another_returned_comes_behind_it,
    what_was_shown_is_a_prefix_of_what_is_shown_later,
    a_reader_sees_all_of_a_batch_or_nothing,
    every_record_is_dropped_once
);

#[test]
fn prototypes_take_part_among_writers_alone_unless_they_are_named() {
    let registry = Registry::standard();
    let append = Scenario::append(PayloadKind::B64);
    let with_reader = append.clone().writers(2).readers(1, Reading::Tail);
    for name in [Lanes::NAME, Combining::NAME] {
        assert!(registry.names(&append).contains(&name));
        assert!(
            registry.must_be_named(name, &append) && registry.must_be_named(name, &with_reader)
        );
        assert!(!registry.must_be_named(name, &append.clone().writers(2)));
        assert!(!registry.must_be_named(name, &append.clone().writers(4)));
    }
    assert!(!registry.must_be_named("boxcar", &append));
}
