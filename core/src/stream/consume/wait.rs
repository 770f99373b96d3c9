//! Waiting for several shards at once, without polling.
//!
//! A consumer that finds nothing leaves one waker with every shard that it reads; the first append or
//! seal of any of them wakes it. Wakers that were left with the others stay there until they are
//! replaced or used: at worst a consumer is woken once in vain by each.
//!
//! A record that was reserved before the waker was there, and is not published yet, is no reason to
//! sleep long: its writer owes nobody a wake. As with one shard's [`Cursor`](crate::log::Cursor), a
//! thread then naps in bounded steps, and a task wakes itself.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::{Consumer, Turn};
use crate::log::{Ready, WaitOutcome};
use crate::sync::{Backoff, Parker};

/// The first and the last of the growing naps while a reserved record is not published.
const NAPS: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(1));

/// What a waiter that has left its waker should do.
enum Sleep {
    /// Not sleep.
    No(Ready),
    /// Sleep; it will be woken.
    UntilWoken,
    /// Sleep a little and look again.
    InSteps,
}

impl Consumer {
    /// Waits until [`Consumer::next`] has something to say, at the longest for `limit` (`None`: as long
    /// as it takes).
    ///
    /// `Readable` means a record or a [`Gap`](super::Gap), `Closed` that the stream was disabled and
    /// has been read to its end.
    ///
    /// # Progress
    ///
    /// Blocks the thread. While nothing is put, it sleeps and is not woken; a put into any shard that is
    /// being read wakes it.
    pub fn wait(&mut self, limit: Option<Duration>) -> WaitOutcome {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let parker = Parker::new();
        let backoff = Backoff::new();
        let mut nap = NAPS.0;
        loop {
            let step = match self.prepare_to_sleep(parker.waker()) {
                Sleep::No(Ready::Readable) => return WaitOutcome::Readable,
                Sleep::No(Ready::Closed) => return WaitOutcome::Closed,
                Sleep::UntilWoken => None,
                Sleep::InSteps if !backoff.is_completed() => {
                    backoff.snooze();
                    continue;
                }
                Sleep::InSteps => {
                    let step = nap;
                    nap = (nap * 2).min(NAPS.1);
                    Some(step)
                }
            };
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return WaitOutcome::TimedOut;
            }
            parker.park(match (step, left) {
                (Some(step), Some(left)) => Some(step.min(left)),
                (step, left) => step.or(left),
            });
        }
    }

    /// Waits as [`Consumer::wait`] does, by whatever runtime the task runs on.
    ///
    /// Cancel-safe: a future that is dropped early loses nothing, and leaves nothing behind but the
    /// consumer's one node with each shard.
    ///
    /// # Progress
    ///
    /// Waits. While a record is reserved but not published, the task wakes itself; otherwise it sleeps
    /// until a put or the end of a shard wakes it.
    pub async fn ready(&mut self) -> Ready {
        poll_fn(|context| self.poll_ready(context)).await
    }

    /// [`Consumer::ready`] for hand-written futures.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Ready> {
        match self.prepare_to_sleep(context.waker()) {
            Sleep::No(ready) => Poll::Ready(ready),
            Sleep::UntilWoken => Poll::Pending,
            Sleep::InSteps => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    /// Looks, leaves the waker with every shard, and looks again at each of them after that.
    fn prepare_to_sleep(&mut self, waker: &Waker) -> Sleep {
        match self.turn() {
            Turn::Records | Turn::Gap => return Sleep::No(Ready::Readable),
            Turn::Closed => return Sleep::No(Ready::Closed),
            Turn::Pending => {}
        }
        let mut context = Context::from_waker(waker);
        let mut sleep = Sleep::UntilWoken;
        let mut at = 0;
        while let Some(lane) = self.lanes.get_mut(at) {
            if lane.has_unpublished() {
                // Its cursor would wake us at once, which only ends a nap that should last.
                sleep = Sleep::InSteps;
                at += 1;
                continue;
            }
            match lane.cursor.poll_ready(&mut context) {
                Poll::Pending => at += 1,
                Poll::Ready(Ready::Readable) => return Sleep::No(Ready::Readable),
                // Its children come at the end of the list, and another lane to its place.
                Poll::Ready(Ready::Closed) => self.follow(at),
            }
        }
        if self.lanes.is_empty() { Sleep::No(Ready::Closed) } else { sleep }
    }
}
