//! Wakers, watched: a waker passes from the waiter that leaves it to whoever takes the node out, whole and
//! once, also if it is left while the node is in the list already. (`log/waiters.rs`)
//!
//! loom does not see what lies in the waker's box. So these wakers are watched themselves: each clone is
//! a new watched value, made by the thread that leaves it and read by the thread that wakes.

use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::harness::{Model, Probe, Watched};
use crate::steps::{Noted, WatchedLog, append, position};

/// What such a waker points to.
struct Ticket {
    round: u64,
    watched: Watched,
    probe: Probe,
}

const ROUNDS: [&str; 2] = ["the first was woken", "the second was woken"];

impl Ticket {
    fn into_raw(round: u64, probe: Probe) -> RawWaker {
        let ticket = Self { round, watched: Watched::new(round), probe };
        RawWaker::new(Box::into_raw(Box::new(ticket)).cast_const().cast(), &VTABLE)
    }

    /// # Safety
    /// `data` comes from `into_raw`, and has not been given to `take` yet.
    unsafe fn read<'a>(data: *const ()) -> &'a Self {
        // SAFETY: the caller promises that the box is there.
        let ticket = unsafe { &*data.cast::<Self>() };
        assert_eq!(ticket.watched.read(), ticket.round);
        ticket
    }

    /// # Safety
    /// As for `read`; the data is not used again.
    unsafe fn take(data: *const ()) -> Box<Self> {
        // SAFETY: the caller promises that the box is there, and gives it up.
        unsafe { Box::from_raw(data.cast_mut().cast::<Self>()) }
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: a waker that is cloned has its data.
        let ticket = unsafe { Ticket::read(data) };
        Ticket::into_raw(ticket.round, ticket.probe.clone())
    },
    |data| {
        // SAFETY: a waker that wakes has its data, and gives it up.
        let ticket = unsafe {
            Ticket::read(data);
            Ticket::take(data)
        };
        ticket.probe.reach(ROUNDS[ticket.round as usize]);
    },
    |data| {
        // SAFETY: a waker that is used has its data.
        unsafe { Ticket::read(data) };
    },
    // SAFETY: a waker that is dropped has its data, and gives it up.
    |data| drop(unsafe { Ticket::take(data) }),
);

/// A log of one record.
fn begun() -> WatchedLog {
    let log = WatchedLog::new();
    log.append(Noted::new(7)).expect("nobody has sealed the log");
    log
}

/// A task waits for the record behind the next, so every wake comes early, and it has to enlist again,
/// perhaps while it is being taken out.
#[test]
fn left_again() {
    Model::new("left_again", begun)
        .bound(2)
        .reaches(&ROUNDS)
        .role("appender", |log, _| {
            append(log);
        })
        .role("waiter", |log, probe| {
            let mut cursor = log.cursor(position(2));
            for round in [0, 1] {
                // SAFETY: the table keeps to the contract of wakers: clones are of their own, may be used
                // by any thread, and each is given up once.
                let waker = unsafe { Waker::from_raw(Ticket::into_raw(round, probe.clone())) };
                let polled = cursor.poll_ready(&mut Context::from_waker(&waker));
                assert!(matches!(polled, Poll::Pending), "nobody appends that record");
            }
        })
        .check();
}
