//! Cursors: reading on and on, and waiting for what is not there yet.
//!
//! # State
//!
//! A cursor holds its next position, the segment of the last record pinned, the end of the prefix as it has
//! seen it last, and, once it has waited, one wait node. So an idle tailer costs nothing and holds
//! exactly one segment; and polling at the tail is a look at the next record's slot, which a writer has to
//! hand over anyway. The tail itself belongs to the writers: each look at it would cost one of them a miss.
//!
//! # Who may do what
//!
//! A cursor belongs to one thread at a time. Any number of them read one log.
//!
//! # Orderings
//!
//! The cached end was acquired, from the watermark or slot by slot, so values below it are read without
//! another look at their slots.
//!
//! # Progress
//!
//! [`Cursor::next`] is wait-free below the watermark and lock-free at it. [`Cursor::wait`] blocks.
//!
//! Models: `share`, `poll`, `poll_batch`, `poll_sealed`, `wake`, `wake_overtaken`, `wake_two`, `wake_at_seal`, `cancelled_waiter`,
//! `seal_read_to_the_end`, `hollow_cursor`.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Log;
use super::position::{Geometry, Position};
use super::prefix::{self, Budget};
use super::read::{Chunk, Entered, LogHandle, SegmentPin, Trimmed};
use super::waiters::WaitNode;
use crate::sync::{Arc, Backoff, Parker};

/// The first and the last of the growing naps while a reserved record is not published.
const NAPS: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(1));

/// What a cursor finds at its position.
#[derive(PartialEq, Eq, Debug)]
pub enum Next<'a, T> {
    /// The next record.
    Record(Position, &'a T),
    /// Nothing yet.
    Pending,
    /// Nothing, for ever: the log is sealed and has been read to its end.
    Closed,
}

/// How waiting ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ready {
    /// The cursor will find a record, or that its position was trimmed.
    Readable,
    /// The log is sealed and has been read to its end.
    Closed,
}

/// How waiting with a time limit ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitOutcome {
    /// As [`Ready::Readable`].
    Readable,
    /// As [`Ready::Closed`].
    Closed,
    /// The time is over.
    TimedOut,
}

/// Reads a log in order from a position of its own.
///
/// A cursor keeps the segment of its last record pinned until it moves on or is dropped, and nothing
/// else. It may fall behind what is retained; then it says [`Trimmed`] and goes on only when it is
/// told where ([`Cursor::seek`]).
pub struct Cursor<H: LogHandle> {
    // Before the handle: leaving the segment needs the log.
    pin: Option<SegmentPin<H>>,
    node: Option<Arc<WaitNode>>,
    next: Position,
    visible: Position,
    pace: Pace,
    handle: H,
}

/// What a cursor's last wait has shown of the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Nobody had to be woken.
    Unknown,
    /// An append woke it: others may follow at once.
    Woken,
}

impl<T, S> Log<T, S> {
    /// A cursor that borrows the log.
    pub fn cursor(&self, from: Position) -> Cursor<&Self> {
        Cursor::new(self, from)
    }
}

impl<H: LogHandle + Clone> Cursor<H> {
    /// A cursor whose next record is the one at `from`; with an `Arc<Log>` as the handle it shares
    /// ownership of the log.
    pub fn new(handle: H, from: Position) -> Self {
        let (visible, pace) = (Position::ZERO, Pace::Unknown);
        Self { pin: None, node: None, next: from, visible, pace, handle }
    }

    /// The position of the next record.
    pub fn position(&self) -> Position {
        self.next
    }

    /// Goes on at another position, before or behind the present one. Going back lets go of the segment.
    pub fn seek(&mut self, to: Position) {
        if to < self.next {
            // What lies before the present position may be gone, although the segment is held.
            self.pin = None;
        }
        self.next = to;
    }

    /// The next record, if there is one; the cursor then moves on.
    ///
    /// # Errors
    ///
    /// [`Trimmed`] when the next record is no longer retained; the cursor stays where it is. Records
    /// of the segment that the cursor holds are delivered even if they were trimmed since.
    ///
    /// # Progress
    ///
    /// Lock-free; wait-free while records are known to be there.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    pub fn next(&mut self) -> Result<Next<'_, H::Value>, Trimmed> {
        if self.next >= self.visible && !self.peek() {
            return Ok(self.nothing());
        }
        let place = Geometry::<H::Value>::locate(self.next);
        if self.pin.as_ref().is_none_or(|pin| pin.segment() != place.segment) {
            self.enter()?;
        }
        let position = self.next;
        self.next = position.plus(1);
        match &self.pin {
            // SAFETY: the position is published, which `peek` has seen; and it is not before the one that
            // was retained when the segment was entered.
            Some(pin) => Ok(Next::Record(position, unsafe { pin.value(place.slot) })),
            None => unreachable!("entering a segment leaves it pinned"),
        }
    }

    /// Up to `max` records at once, in a guard of their own; the cursor moves behind them, and lets go
    /// of a segment that it held before. Empty when there is nothing yet.
    ///
    /// # Errors
    ///
    /// [`Trimmed`] when the next record is no longer retained; the cursor stays where it is.
    ///
    /// # Progress
    ///
    /// As [`Cursor::next`].
    pub fn next_chunk(&mut self, max: usize) -> Result<Chunk<H>, Trimmed> {
        if self.next >= self.visible {
            self.look();
        }
        let chunk = Chunk::below(self.handle.clone(), self.next, max, self.visible)?;
        if !chunk.is_empty() {
            let segment = Geometry::<H::Value>::locate(self.next).segment;
            self.pin.take_if(|pin| pin.segment() != segment);
        }
        self.next = chunk.next_position();
        Ok(chunk)
    }

    /// Looks whether there is a next record: at its slot, if the cursor is inside that segment.
    #[inline(never)]
    fn peek(&mut self) -> bool {
        if self.next == self.visible
            && let Some(pin) = &self.pin
            && let place = Geometry::<H::Value>::locate(self.next)
            && place.segment == pin.segment()
        {
            if !pin.state(place.slot).is_ready(place.segment) {
                return false;
            }
            self.visible = prefix::boundary_inside(pin, self.next);
        }
        // At the border, and in a batch that crosses it, the whole log must be looked at.
        self.next < self.visible || self.look()
    }

    /// Looks whether there is a next record, by all that writers have reserved.
    #[inline]
    fn look(&mut self) -> bool {
        self.visible = self.handle.log().advance(Budget::All);
        self.next < self.visible
    }

    fn nothing(&self) -> Next<'_, H::Value> {
        let log = self.handle.log();
        // The tail is the writers' own line while nobody thinks of sealing.
        if log.sealing().has_begun()
            && let Some(end) = log.sealed_end()
            && self.next >= end
        {
            return Next::Closed;
        }
        Next::Pending
    }

    #[cold]
    fn enter(&mut self) -> Result<(), Trimmed> {
        let segment = Geometry::<H::Value>::locate(self.next).segment;
        match Log::enter_with(self.handle.clone(), segment) {
            Entered::Inside(pin) => {
                // Inside, what is retained now stays: see `hollow`.
                let horizon = self.handle.log().horizon().load();
                if self.next < horizon {
                    return Err(Trimmed { earliest: horizon });
                }
                self.pin = Some(pin);
                Ok(())
            }
            Entered::Trimmed(trimmed) => Err(trimmed),
            Entered::NotYet { earliest } if self.next < earliest => Err(Trimmed { earliest }),
            Entered::NotYet { .. } => unreachable!("what is published has a segment"),
        }
    }

    /// Waits for the next record without polling, by whatever runtime the task runs on.
    ///
    /// Cancel-safe: a future that is dropped early leaves nothing behind but the cursor's one node.
    ///
    /// # Progress
    ///
    /// Waits. While a record is reserved but not published, the task wakes itself, so it is polled
    /// again soon; otherwise it sleeps until an append or a seal wakes it.
    pub async fn ready(&mut self) -> Ready {
        poll_fn(|context| self.poll_ready(context)).await
    }

    /// [`Cursor::ready`] for hand-written futures.
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

    /// Waits for the next record, at the longest for `limit` (`None`: as long as it takes).
    ///
    /// Waking a thread costs an append a microsecond or more. So who was woken by one and has caught up
    /// since naps for some tens of microseconds, and only if still nothing has come asks to be woken again: under
    /// load a record may be seen that much later, and hardly any append pays.
    ///
    /// # Progress
    ///
    /// Blocks the thread.
    pub fn wait(&mut self, limit: Option<Duration>) -> WaitOutcome {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let parker = Parker::new();
        if std::mem::replace(&mut self.pace, Pace::Unknown) == Pace::Woken
            && self.look_for_news().is_none()
        {
            parker.park(Some(limit.map_or(NAPS.0, |limit| limit.min(NAPS.0))));
        }
        let backoff = Backoff::new();
        let mut nap = NAPS.0;
        loop {
            let step = match self.prepare_to_sleep(parker.waker()) {
                Sleep::No(Ready::Readable) => return WaitOutcome::Readable,
                Sleep::No(Ready::Closed) => return WaitOutcome::Closed,
                Sleep::UntilWoken => {
                    self.pace = Pace::Woken;
                    None
                }
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
                self.pace = Pace::Unknown;
                return WaitOutcome::TimedOut;
            }
            parker.park(match (step, left) {
                (Some(step), Some(left)) => Some(step.min(left)),
                (step, left) => step.or(left),
            });
        }
    }

    /// Enlists the waker and looks again, in this order.
    fn prepare_to_sleep(&mut self, waker: &std::task::Waker) -> Sleep {
        if let Some(ready) = self.look_for_news() {
            return Sleep::No(ready);
        }
        let log = self.handle.log();
        let node = self.node.get_or_insert_with(|| Arc::new(WaitNode::new()));
        log.enlist(node, waker);
        let tail = log.tail().announce_waiter();
        if let Some(ready) = self.look_for_news() {
            return Sleep::No(ready);
        }
        // Reserved before our bit was there: its writer owes us no wake.
        let log = self.handle.log();
        if self.next < log.reserved_in(tail) { Sleep::InSteps } else { Sleep::UntilWoken }
    }

    fn look_for_news(&mut self) -> Option<Ready> {
        if self.next < self.visible || self.look() {
            return Some(Ready::Readable);
        }
        match self.handle.log().sealed_end() {
            Some(end) if self.next >= end => Some(Ready::Closed),
            _ => None,
        }
    }
}

/// What a waiter that has enlisted should do.
enum Sleep {
    /// Not sleep.
    No(Ready),
    /// Sleep; it will be woken.
    UntilWoken,
    /// Sleep a little and look again.
    InSteps,
}

impl<H: LogHandle> Drop for Cursor<H> {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            self.handle.log().abandon(node);
        }
    }
}

impl<H: LogHandle> fmt::Debug for Cursor<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("position", &self.next).finish_non_exhaustive()
    }
}

#[cfg(feature = "futures")]
impl<H> futures_core::Stream for Cursor<H>
where
    H: LogHandle + Clone + Unpin,
    H::Value: Clone,
{
    /// A copy of the record with its position; or what was trimmed, after which the stream goes on
    /// with the earliest record.
    type Item = Result<(Position, H::Value), Trimmed>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        let cursor = self.get_mut();
        if cursor.poll_ready(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(match cursor.next() {
            Ok(Next::Record(position, value)) => Some(Ok((position, value.clone()))),
            Ok(Next::Pending | Next::Closed) => None,
            Err(trimmed) => {
                cursor.seek(trimmed.earliest);
                Some(Err(trimmed))
            }
        })
    }
}

impl<T, S> Log<T, S> {
    /// Waits until every snapshot shows the record at `position`. Returns at once if it is visible; for
    /// a position that nobody has reserved it waits until somebody does.
    ///
    /// # Errors
    ///
    /// [`NeverVisible`] when the log was sealed and ends before `position`.
    ///
    /// # Progress
    ///
    /// Blocks: until the writers of `position` and of all smaller positions have published. For a
    /// record whose append has returned, that is as long as the appends take that were in flight then.
    pub fn wait_visible(&self, position: Position) -> Result<(), NeverVisible> {
        let backoff = Backoff::new();
        while self.advance(Budget::All) <= position {
            if let Some(end) = self.sealed_end()
                && position >= end
            {
                return Err(NeverVisible { position, end });
            }
            if backoff.is_completed() {
                // A nap, not a wait in the list: an appender should not pay for its peers' haste.
                Parker::new().park(Some(NAPS.0));
            } else {
                backoff.snooze();
            }
        }
        Ok(())
    }
}

/// The log was sealed before the position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeverVisible {
    /// The position that was waited for.
    pub position: Position,
    /// Where the log ends.
    pub end: Position,
}

impl fmt::Display for NeverVisible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, end } = self;
        write!(f, "position {position} will never be visible: the log is sealed and ends at {end}")
    }
}

impl std::error::Error for NeverVisible {}

#[cfg(all(test, not(any(streamcore_loom, streamcore_shuttle))))]
mod tests {
    use std::thread;

    use super::*;

    /// A cursor that has waited for a record which came when somebody was asleep, or was about to be.
    fn waited() -> Cursor<Arc<Log<u64>>> {
        let log = Arc::new(Log::<u64>::new());
        let mut cursor = Cursor::new(Arc::clone(&log), Position::ZERO);
        let sleeper = thread::spawn(move || {
            assert_eq!(cursor.wait(None), WaitOutcome::Readable);
            cursor
        });
        while !log.stats().has_waiters {
            thread::yield_now();
        }
        log.append(7).expect("nobody seals");
        sleeper.join().expect("it only waits")
    }

    #[test]
    fn who_was_woken_knows_it_until_nothing_comes() {
        let woken = (0..10_000).map(|_| waited()).find(|cursor| cursor.pace == Pace::Woken);
        let mut cursor = woken.expect("one of so many was asleep already");
        assert_eq!(cursor.next(), Ok(Next::Record(Position::ZERO, &7)));
        assert_eq!(cursor.wait(Some(Duration::from_millis(1))), WaitOutcome::TimedOut);
        assert!(cursor.pace == Pace::Unknown, "the next wait asks at once");
    }
}
