//! Waiting and waking: nobody who sleeps until woken sleeps for ever, and nothing is left behind. A lost
//! wake shows as a deadlock, a lost node or waker as a leak. (`log/waiters.rs`, `log/cursor.rs`)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use streamcore_modelled::log::{Cursor, Next, Ready, WaitOutcome};
use streamcore_modelled::modelled::Parker;

use crate::harness::{Model, Probe};
use crate::steps::{Noted, WatchedLog, append, position};

/// So many records are there before anybody races.
const BEFORE: u64 = 3;

/// A log with [`BEFORE`] records, as one batch: its border work installs the segment behind the one of
/// the next record, so that nobody who races has to.
fn begun() -> WatchedLog {
    let log = WatchedLog::new();
    log.append_all((0..BEFORE).map(|_| Noted::new(7))).expect("nobody has sealed the log");
    log
}

fn append_one(log: &WatchedLog, _: &Probe) {
    append(log);
}

fn append_two(log: &WatchedLog, _: &Probe) {
    append(log);
    append(log);
}

/// A task's waker: tells a wake by somebody else from one by the task itself, which goes on in steps.
struct Bell {
    sleeper: Waker,
    by_others: AtomicUsize,
    by_itself: AtomicUsize,
}

impl Wake for Bell {
    /// By whoever took the waker out of the wait list.
    fn wake(self: Arc<Self>) {
        self.by_others.fetch_add(1, Relaxed);
        self.sleeper.wake_by_ref();
    }

    /// By the task, because a record is on its way whose writer owes it no wake.
    fn wake_by_ref(self: &Arc<Self>) {
        self.by_itself.fetch_add(1, Relaxed);
    }
}

/// What a task was told to do.
enum Told {
    /// To go on.
    Now(Ready),
    /// To look again soon.
    InSteps,
    /// To sleep until this bell is rung by somebody else.
    Sleep(Arc<Bell>),
}

fn poll(cursor: &mut Cursor<&WatchedLog>, parker: &Parker) -> Told {
    let none = || AtomicUsize::new(0);
    let sleeper = parker.waker().clone();
    let bell = Arc::new(Bell { sleeper, by_others: none(), by_itself: none() });
    match cursor.poll_ready(&mut Context::from_waker(&Waker::from(Arc::clone(&bell)))) {
        Poll::Ready(ready) => Told::Now(ready),
        Poll::Pending if bell.by_itself.load(Relaxed) > 0 => Told::InSteps,
        Poll::Pending => Told::Sleep(bell),
    }
}

/// Does as it was told; a sleeper that is never woken is a deadlock.
fn obey(told: Told, parker: &Parker, probe: &Probe) {
    match told {
        Told::Now(_) => {}
        Told::InSteps => probe.reach("in steps"),
        Told::Sleep(bell) => {
            while bell.by_others.load(Relaxed) == 0 {
                parker.park(None);
            }
            probe.reach("woken");
        }
    }
}

fn poll_and_obey(log: &WatchedLog, at: u64, probe: &Probe) {
    let (mut cursor, parker) = (log.cursor(position(at)), Parker::new());
    let told = poll(&mut cursor, &parker);
    obey(told, &parker, probe);
}

#[test]
fn wake() {
    Model::new("wake", begun)
        .role("appender", append_one)
        .role("waiter", |log, _| {
            let mut cursor = log.cursor(position(BEFORE));
            assert_eq!(cursor.wait(None), WaitOutcome::Readable);
            assert!(matches!(cursor.next(), Ok(Next::Record(_, value)) if value.read() == 7));
        })
        .check();
}

#[test]
fn wake_overtaken() {
    // The later position may be published first, by a writer that sees the bit; the earlier one's
    // writer may have reserved before the bit was set.
    Model::new("wake_overtaken", begun)
        .bound(1)
        .reaches(&["woken", "in steps"])
        .role("appender", append_one)
        .role("appender", append_one)
        .role("task", |log, probe| poll_and_obey(log, BEFORE, probe))
        .check();
}

#[test]
fn wake_two() {
    // Two sleepers, for two records: in one thread, which keeps the model small.
    Model::new("wake_two", begun)
        .bound(2)
        .reaches(&["woken", "in steps"])
        .role("appender", append_two)
        .role("tasks", |log, probe| {
            let (mut first, mut second) =
                (log.cursor(position(BEFORE)), log.cursor(position(BEFORE + 1)));
            let parker = Parker::new();
            let told = [poll(&mut first, &parker), poll(&mut second, &parker)];
            told.into_iter().for_each(|told| obey(told, &parker, probe));
        })
        .check();
}

#[test]
fn wake_again() {
    // One cursor polls twice with different wakers: whichever is left last is the one that is woken.
    Model::new("wake_again", begun)
        .bound(2)
        .reaches(&["woken", "in steps"])
        .role("appender", append_two)
        .role("task", |log, probe| {
            let mut cursor = log.cursor(position(BEFORE + 1));
            let mut unused = Context::from_waker(Waker::noop());
            if cursor.poll_ready(&mut unused).is_pending() {
                let parker = Parker::new();
                obey(poll(&mut cursor, &parker), &parker, probe);
            }
        })
        .check();
}

#[test]
fn wake_at_seal() {
    Model::new("wake_at_seal", begun)
        .reaches(&["woken", "closed at once"])
        .role("sealer", |log, _| {
            log.seal(());
        })
        .role("task", |log, probe| {
            let mut cursor = log.cursor(position(BEFORE));
            let parker = Parker::new();
            let told = poll(&mut cursor, &parker);
            probe.reach_if(matches!(told, Told::Now(Ready::Closed)), "closed at once");
            obey(told, &parker, probe);
            let mut again = Context::from_waker(Waker::noop());
            assert_eq!(cursor.poll_ready(&mut again), Poll::Ready(Ready::Closed));
        })
        .check();
}

#[test]
fn cancelled_waiter() {
    // A cursor that is dropped while its node is queued has the list swept, which wakes the other.
    Model::new("cancelled_waiter", begun)
        .bound(2)
        .reaches(&["woken", "in steps", "cancelled"])
        .role("appender", append_one)
        .role("tasks", |log, probe| {
            let (mut cursor, parker) = (log.cursor(position(BEFORE)), Parker::new());
            let told = poll(&mut cursor, &parker);
            let mut cancelled = log.cursor(position(BEFORE));
            let mut context = Context::from_waker(Waker::noop());
            probe.reach_if(cancelled.poll_ready(&mut context).is_pending(), "cancelled");
            drop(cancelled);
            obey(told, &parker, probe);
        })
        .check();
}
