//! Waiting on shuttle: `Parker` and `Backoff`.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Wake, Waker};
use std::time::Duration;

use super::is_scheduled;

/// Waiting in growing steps; each step asks the scheduler for somebody else.
#[derive(Debug, Default)]
pub struct Backoff {
    steps: Cell<u32>,
}

impl Backoff {
    /// After so many steps a sleep costs less.
    const LIMIT: u32 = 2;

    /// A backoff at its first step.
    pub fn new() -> Self {
        Self::default()
    }

    /// One step.
    pub fn snooze(&self) {
        self.steps.set(self.steps.get() + 1);
        pass();
    }

    /// Whether waiting has gone on long enough that a sleep costs less.
    pub fn is_completed(&self) -> bool {
        self.steps.get() > Self::LIMIT
    }
}

/// Lets somebody else go on, if there is anybody.
fn pass() {
    if is_scheduled() {
        shuttle::thread::yield_now();
    }
}

/// The calling thread as a [`Waker`], and its sleep.
pub struct Parker {
    sleeper: Arc<Sleeper>,
    waker: Waker,
}

struct Sleeper {
    thread: shuttle::thread::Thread,
    /// Shuttle wakes for no reason now and then, which would make up for a wake that was lost.
    is_woken: AtomicBool,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Relaxed);
        if is_scheduled() {
            self.thread.unpark();
        }
    }
}

impl Parker {
    /// A parker for the calling thread.
    #[allow(clippy::new_without_default, reason = "it depends on who calls")]
    pub fn new() -> Self {
        let thread = shuttle::thread::current();
        let sleeper = Arc::new(Sleeper { thread, is_woken: AtomicBool::new(false) });
        Self { waker: Waker::from(Arc::clone(&sleeper)), sleeper }
    }

    /// Wakes the thread that made this parker.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Sleeps until woken. With a limit it only lets somebody else go on, since there is no time.
    pub fn park(&self, limit: Option<Duration>) {
        while is_scheduled() && !self.sleeper.is_woken.swap(false, Relaxed) {
            if limit.is_some() {
                return pass();
            }
            shuttle::thread::park();
        }
    }
}
