//! Waiting on loom: `Parker` and `Backoff`.
//!
//! loom's own `unpark` hands the waker's whole view to the other thread at once, even if that
//! thread never parks, and would hide a missing ordering. Here the view passes as on a real
//! machine: by the token, when the sleeper takes it.

use std::cell::Cell;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Wake, Waker};
use std::time::Duration;

use super::memory::{Tracked, abandoned};

/// Waiting in growing steps; each step lets the other threads of the model run.
#[derive(Debug, Default)]
pub struct Backoff {
    steps: Cell<u32>,
}

impl Backoff {
    /// After so many steps a sleep costs less; small, to keep the models small.
    const LIMIT: u32 = 1;

    /// A backoff at its first step.
    pub fn new() -> Self {
        Self::default()
    }

    /// One step: a yield, after which loom makes progress elsewhere first.
    pub fn snooze(&self) {
        self.steps.set(self.steps.get() + 1);
        if !abandoned() {
            loom::thread::yield_now();
        }
    }

    /// Whether waiting has gone on long enough that a sleep costs less.
    pub fn is_completed(&self) -> bool {
        self.steps.get() > Self::LIMIT
    }
}

/// The calling thread as a [`Waker`], and its sleep.
#[derive(Debug)]
pub struct Parker {
    sleeper: StdArc<Sleeper>,
    waker: Waker,
}

#[derive(Debug)]
struct Sleeper {
    thread: loom::thread::Thread,
    /// Set by a wake, taken by the sleeper: the only thing that passes views on.
    token: loom::sync::atomic::AtomicBool,
    /// Whether the thread is inside `loom::thread::park`. Not modelled: no switch of threads lies
    /// between the accesses to the token and to this.
    parked: AtomicBool,
    /// A waker that is never dropped is a leak.
    _tracked: Tracked,
}

impl Wake for Sleeper {
    fn wake(self: StdArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        if abandoned() {
            return;
        }
        self.token.swap(true, std::sync::atomic::Ordering::Release);
        if self.parked.load(Relaxed) {
            self.thread.unpark();
        }
    }
}

impl Parker {
    /// A parker for the calling thread.
    #[allow(clippy::new_without_default, reason = "it depends on who calls")]
    pub fn new() -> Self {
        let sleeper = StdArc::new(Sleeper {
            thread: loom::thread::current(),
            token: loom::sync::atomic::AtomicBool::new(false),
            parked: AtomicBool::new(false),
            _tracked: Tracked::begin(),
        });
        Self { waker: Waker::from(sleeper.clone()), sleeper }
    }

    /// Wakes the thread that made this parker.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Sleeps until woken. With a limit it only yields: time is not modelled, so a wait that is
    /// bounded can never be told from a wake that came in time.
    #[track_caller]
    pub fn park(&self, limit: Option<Duration>) {
        while !abandoned() && !self.sleeper.token.swap(false, std::sync::atomic::Ordering::Acquire)
        {
            if limit.is_some() {
                return loom::thread::yield_now();
            }
            self.sleeper.parked.store(true, Relaxed);
            loom::thread::park();
            self.sleeper.parked.store(false, Relaxed);
        }
    }
}
