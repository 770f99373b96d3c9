//! The disruptor: a ring in which every reader must have passed before a slot is written again.
//!
//! Nobody may be left out: without a reader, the writers themselves move the ring's one reader on, once in
//! some appends, which takes next to nothing.

use std::sync::{Mutex, PoisonError};

use disruptor::{
    BusySpin, EventPoller, MultiProducer, MultiProducerBarrier, Producer, SingleConsumerBarrier,
    build_multi_producer,
};

use crate::contender::{Able, Append, Contender, Lack, Setup};
use crate::payload::{Payload, Seen};

/// `disruptor`, with any number of producers.
pub struct Disruptor;

/// Writers move the reader on when nobody reads: each of them once in so many appends, and at least 32 times in a
/// round of the ring, so that they cannot fill it together.
const MOVE_EVERY: usize = 1024;

/// A ring. Its ends are handed out under locks, before anything is timed.
pub struct Ring<T: Payload> {
    producer: Mutex<MultiProducer<T, SingleConsumerBarrier>>,
    poller: Mutex<Option<EventPoller<T, MultiProducerBarrier>>>,
    setup: Setup,
    move_every: usize,
}

struct Writer<'a, T: Payload> {
    producer: MultiProducer<T, SingleConsumerBarrier>,
    ring: &'a Ring<T>,
    since: usize,
}

impl<T: Payload> Writer<'_, T> {
    #[inline(always)]
    fn passed(&mut self, count: usize) {
        self.since += count;
        if self.since >= self.ring.move_every {
            self.since = 0;
            self.move_on();
        }
    }

    #[cold]
    fn move_on(&mut self) {
        let mut poller = self.ring.poller.lock().unwrap_or_else(PoisonError::into_inner);
        // A page of events that is dropped unread counts as read.
        let _ = poller.as_mut().map(|poller| poller.poll().map(drop));
    }
}

/// Moves a record in, which the caller has until it has found room.
#[inline(always)]
fn place<T>(slot: &mut T, record: Option<T>) {
    if let Some(record) = record {
        *slot = record;
    }
}

impl<T: Payload> Append<T> for Writer<'_, T> {
    #[inline(always)]
    fn append(&mut self, record: T) {
        // Not `publish`, which waits for room: if both writers did, with one's record hiding the other's from the
        // reader, nobody would make any.
        let mut record = Some(record);
        while self.producer.try_publish(|slot| place(slot, record.take())).is_err() {
            self.move_on();
        }
        self.passed(1);
    }

    #[inline(always)]
    fn append_batch(&mut self, records: impl ExactSizeIterator<Item = T>) -> Able<()> {
        let count = records.len();
        let mut records = Some(records);
        let mut fill = |slots: &mut dyn Iterator<Item = &mut T>| {
            slots
                .zip(records.take().into_iter().flatten())
                .for_each(|(slot, record)| *slot = record);
        };
        while self.producer.try_batch_publish(count, |mut slots| fill(&mut slots)).is_err() {
            self.move_on();
        }
        self.passed(count);
        Ok(())
    }
}

impl Contender for Disruptor {
    const NAME: &'static str = "disruptor";
    const ABOUT: &'static str = "a ring for many producers; writers wait for the slowest reader";
    type Log<T: Payload> = Ring<T>;

    fn make<T: Payload>(setup: &Setup) -> Ring<T> {
        let size = setup.retain.get().next_power_of_two() as usize;
        let mould = T::mould();
        let builder = build_multi_producer(size, || T::make(&mould, 0), BusySpin);
        let (poller, builder) = builder.new_event_poller();
        let producer = Mutex::new(builder.build());
        let move_every = MOVE_EVERY.min(size / 32).max(1);
        Ring { producer, poller: Mutex::new(Some(poller)), setup: *setup, move_every }
    }
    fn writer<T: Payload>(log: &Ring<T>) -> impl Append<T> {
        let producer = log.producer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Writer { producer, ring: log, since: 0 }
    }
    fn tailer<T: Payload>(log: &Ring<T>) -> Able<impl FnMut(&mut Seen)> {
        if log.setup.tailers > 1 {
            return Err(Lack::of("set up for one reader"));
        }
        let poller = log.poller.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut poller = poller.ok_or(Lack::of("set up for one reader"))?;
        // What was there before is not for this reader.
        drop(poller.poll());
        Ok(move |seen: &mut Seen| {
            if let Ok(mut events) = poller.poll() {
                (&mut events).for_each(|record| seen.see(record));
            }
        })
    }
    fn scanner<T: Payload>(_: &Ring<T>) -> Able<impl FnMut(&mut Seen)> {
        Err::<fn(&mut Seen), _>(Lack::of("what was read once cannot be read again"))
    }
    fn picker<T: Payload>(_: &Ring<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Err::<fn(u64, &mut Seen), _>(Lack::of("what was read once cannot be read again"))
    }
    fn prefix() -> Able<()> {
        Ok(())
    }
    fn retention() -> Able<()> {
        Ok(())
    }
}
