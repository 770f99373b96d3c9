//! Queues: crossbeam's SegQueue and its unbounded channel. Reading takes the record away, so there is one
//! reader, and what it has read nobody can read again.

use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, unbounded};
use crossbeam::queue::SegQueue;

use crate::contender::{Able, Append, Contender, Lack, Setup};
use crate::payload::{Payload, Seen};

const TAKES_AWAY: &str = "reading takes the record away";

/// `crossbeam::queue::SegQueue`.
pub struct Queue;

impl Contender for Queue {
    const NAME: &'static str = "SegQueue";
    const ABOUT: &'static str = "crossbeam's segmented queue";
    type Log<T: Payload> = (SegQueue<T>, Setup);

    fn make<T: Payload>(setup: &Setup) -> Self::Log<T> {
        (SegQueue::new(), *setup)
    }
    fn writer<T: Payload>((log, _): &Self::Log<T>) -> impl Append<T> {
        |record| log.push(record)
    }
    fn tailer<T: Payload>((log, setup): &Self::Log<T>) -> Able<impl FnMut(&mut Seen)> {
        one_reader(setup)?;
        Ok(|seen: &mut Seen| {
            while let Some(record) = log.pop() {
                seen.see(&record);
            }
        })
    }
    fn scanner<T: Payload>(_: &Self::Log<T>) -> Able<impl FnMut(&mut Seen)> {
        Err::<fn(&mut Seen), _>(Lack::of(TAKES_AWAY))
    }
    fn picker<T: Payload>(_: &Self::Log<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Err::<fn(u64, &mut Seen), _>(Lack::of(TAKES_AWAY))
    }
    fn counter<T: Payload>((log, _): &Self::Log<T>) -> Able<impl FnMut() -> u64> {
        Ok(|| log.len() as u64)
    }
    fn prefix() -> Able<()> {
        Err(Lack::of(TAKES_AWAY))
    }
}

/// `crossbeam::channel::unbounded`.
pub struct Channel;

impl Contender for Channel {
    const NAME: &'static str = "channel";
    const ABOUT: &'static str = "crossbeam's unbounded channel";
    type Log<T: Payload> = (Sender<T>, Receiver<T>, Setup);

    fn make<T: Payload>(setup: &Setup) -> Self::Log<T> {
        let (sender, receiver) = unbounded();
        (sender, receiver, *setup)
    }
    fn writer<T: Payload>((sender, ..): &Self::Log<T>) -> impl Append<T> {
        |record| sender.send(record).expect("the receiver lives as long")
    }
    fn tailer<T: Payload>((_, receiver, setup): &Self::Log<T>) -> Able<impl FnMut(&mut Seen)> {
        one_reader(setup)?;
        Ok(|seen: &mut Seen| receiver.try_iter().for_each(|record| seen.see(&record)))
    }
    fn waiter<T: Payload>((_, receiver, setup): &Self::Log<T>) -> Able<impl FnMut(&mut Seen)> {
        one_reader(setup)?;
        Ok(|seen: &mut Seen| {
            if let Ok(record) = receiver.recv_timeout(Duration::from_millis(2)) {
                seen.see(&record);
                receiver.try_iter().for_each(|record| seen.see(&record));
            }
        })
    }
    fn scanner<T: Payload>(_: &Self::Log<T>) -> Able<impl FnMut(&mut Seen)> {
        Err::<fn(&mut Seen), _>(Lack::of(TAKES_AWAY))
    }
    fn picker<T: Payload>(_: &Self::Log<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Err::<fn(u64, &mut Seen), _>(Lack::of(TAKES_AWAY))
    }
    fn counter<T: Payload>((sender, ..): &Self::Log<T>) -> Able<impl FnMut() -> u64> {
        Ok(|| sender.len() as u64)
    }
    fn prefix() -> Able<()> {
        Err(Lack::of(TAKES_AWAY))
    }
}

fn one_reader(setup: &Setup) -> Able<()> {
    if setup.tailers > 1 { Err(Lack::of("two readers would share the records")) } else { Ok(()) }
}
