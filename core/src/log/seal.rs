//! Sealing: one exact end, and a successor that whoever finds the end finds too.
//!
//! # State
//!
//! ```text
//! open --successor installed (CAS)--> closing --end raised, SEALED set (CAS)--> sealed
//! ```
//!
//! The order is the protocol: the successor is there before the end, the end before the bit. Whoever
//! sees SEALED therefore reads the exact end and finds the successor. Every append is wholly before
//! the seal or is turned away by it: the tail's modification order decides.
//!
//! # Who may do what
//!
//! Anybody seals. The first to install a successor decides what it is; all others help to finish.
//!
//! # Three meetings
//!
//! The sealer takes back the segment that was installed ahead for positions that will never be: it
//! buries the entry with a swap, an installer fills it with a CAS, so of the two the later one knows.
//! In the same way it closes the shelves of spare, dying and provisioned segments ([`shelf`](super::shelf)).
//! And of a trimmer that reaches the end and the sealer, the later one gives up the last segment:
//! both do an RMW on the horizon (`Horizon::meet`).
//!
//! # Orderings
//!
//! At their lines. The fence of a redirected writer is in [`tail`](super::tail).
//!
//! # Progress
//!
//! Lock-free: a round of [`Log::seal`] is repeated only when an append has come in between.
//!
//! Models: `seal`, `seal_observer`, `seal_helped`, `wake_at_seal`.

use std::ptr::{self, NonNull};

use super::Log;
use super::directory::Found;
use super::position::{Geometry, Position};
use super::tail::TailWord;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Where a sealed log ends and what comes after it.
pub(crate) struct Seal<S> {
    /// One more than the highest tail that a sealer has tried to seal, which is the exact end once SEALED
    /// is set; 0 while nobody has tried.
    end: AtomicU64,
    successor: AtomicPtr<S>,
}

/// How a call of [`Log::seal`] ended; the log is sealed in both cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealOutcome<S> {
    /// The call decided the successor.
    Sealed {
        /// The first position that the log does not hold.
        end: Position,
    },
    /// Another call was first, and decided the successor; the one that was offered comes back.
    AlreadySealed {
        /// The first position that the log does not hold.
        end: Position,
        /// What the call offered.
        offered: S,
    },
}

impl<S> SealOutcome<S> {
    /// The first position that the log does not hold.
    pub fn end(&self) -> Position {
        match self {
            Self::Sealed { end } | Self::AlreadySealed { end, .. } => *end,
        }
    }
}

impl<S> Seal<S> {
    pub(crate) fn new() -> Self {
        Self { end: AtomicU64::new(0), successor: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The exact end, if the caller has seen SEALED.
    fn end(&self) -> Position {
        // Relaxed: seeing SEALED (Acquire) means that the raise of `end` happened before.
        Position::new(self.end.load(Ordering::Relaxed) - 1)
    }

    /// Whether somebody has begun to seal; seen by everybody who has learned that the log is sealed.
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        // Relaxed: whoever finds that it has begun looks at the tail.
        self.end.load(Ordering::Relaxed) != 0
    }

    fn raise_end(&self, to: Position) {
        // Relaxed: published by the CAS of the tail. A maximum, so that a slow sealer with an older
        // tail in hand does not lower what a faster one has raised.
        self.end.fetch_max(to.get() + 1, Ordering::Relaxed);
    }

    fn successor(&self) -> Option<&S> {
        // Acquire pairs with the CAS in `offer`.
        let successor = NonNull::new(self.successor.load(Ordering::Acquire))?;
        // SAFETY: a successor once installed is never replaced, and freed with the log.
        Some(unsafe { successor.as_ref() })
    }

    /// Installs the successor, or gives it back if there is one.
    fn offer(&self, successor: S) -> Option<S> {
        let offered = Box::into_raw(Box::new(successor));
        let installed = self.successor.compare_exchange(
            ptr::null_mut(),
            offered,
            Ordering::Release, // pairs with the load in `successor`
            Ordering::Relaxed, // the winner's successor is not read here
        );
        match installed {
            Ok(_) => None,
            // SAFETY: nobody else has seen the box that was not installed.
            Err(_) => Some(*unsafe { Box::from_raw(offered) }),
        }
    }
}

impl<S> Seal<S> {
    fn take(&mut self) -> Option<S> {
        // Relaxed: `&mut self` means that every other thread's use is ordered before.
        let successor = self.successor.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the box was installed once, and the swap takes it out once.
        (!successor.is_null()).then(|| *unsafe { Box::from_raw(successor) })
    }
}

impl<S> Drop for Seal<S> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T, S> Log<T, S> {
    /// Closes the log: no append lands behind the end that this decides, and those that come later
    /// get their value back. Waiters are woken.
    ///
    /// The first call decides the `successor` (for instance the shards that go on); everybody who
    /// sees that the log is sealed finds it by [`Log::successor`].
    ///
    /// # Progress
    ///
    /// Lock-free; does not wait for appends in flight, which become readable when they are published.
    pub fn seal(&self, successor: S) -> SealOutcome<S> {
        let turned_down = self.sealing().offer(successor);
        let end = self.finish_seal();
        match turned_down {
            None => SealOutcome::Sealed { end },
            Some(offered) => SealOutcome::AlreadySealed { end, offered },
        }
    }

    fn finish_seal(&self) -> Position {
        let mut tail = self.tail().load();
        while !tail.is_sealed() {
            self.sealing().raise_end(tail.position());
            tail = match self.tail().try_seal(tail) {
                Ok(()) => break,
                Err(now) => now,
            };
        }
        let end = self.sealing().end();
        self.give_back_prepared(end);
        self.trim_last_of_sealed(end);
        // No later append will drop the values of dead segments, nor need a spare.
        self.close_shelves();
        self.wake();
        end
    }

    /// Takes back the segment that was installed ahead, behind the end.
    fn give_back_prepared(&self, end: Position) {
        let at = Geometry::<T>::locate(end);
        let unused = if at.slot == 0 { at.segment } else { at.segment.next() };
        if let Found::Block(block) = self.directory().bury(unused) {
            self.return_block(block, unused);
        }
    }

    /// Takes the successor out, so that its owner may drop a long chain of logs link by link.
    pub fn take_successor(&mut self) -> Option<S> {
        self.sealing_mut().take()
    }

    /// Whether the log takes no more appends.
    #[inline]
    pub fn is_sealed(&self) -> bool {
        self.tail().load().is_sealed()
    }

    /// The exact end, once the log is sealed.
    #[inline]
    pub fn sealed_end(&self) -> Option<Position> {
        self.tail().load().is_sealed().then(|| self.sealing().end())
    }

    /// What was given to [`Log::seal`], once the log is sealed.
    pub fn successor(&self) -> Option<&S> {
        if self.is_sealed() { self.sealing().successor() } else { None }
    }

    /// The first position that is not reserved: behind it, nothing was appended when this was read.
    pub(crate) fn reserved(&self) -> Position {
        self.reserved_in(self.tail().load())
    }

    /// [`Log::reserved`] for a tail that the caller has loaded. A sealed tail keeps rising under
    /// redirected appends, so it must not be used itself.
    #[inline(always)]
    pub(crate) fn reserved_in(&self, tail: TailWord) -> Position {
        if tail.is_sealed() { self.sealing().end() } else { tail.position() }
    }
}

#[cfg(all(test, not(any(streamcore_loom, streamcore_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::task::{Context, Wake, Waker};

    use super::super::Cursor;
    use super::*;

    type Shared = Arc<Log<u64, u32>>;

    #[derive(Default)]
    struct Bell(AtomicU64);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// A log of 200 records, somebody who sleeps at its end, and a sealer that is suspended as soon as
    /// the log is sealed.
    fn just_sealed() -> (Shared, Arc<Bell>, Cursor<Shared>) {
        let (log, bell) = (Arc::new(Log::<u64, u32>::new()), Arc::<Bell>::default());
        (0..200).for_each(|value| assert!(log.append(value).is_ok()));
        let mut cursor = Cursor::new(Arc::clone(&log), Position::new(200));
        let waker = Waker::from(Arc::clone(&bell));
        assert!(cursor.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(log.sealing().offer(7), None);
        log.sealing().raise_end(Position::new(200));
        assert_eq!(log.tail().try_seal(log.tail().load()), Ok(()));
        (log, bell, cursor)
    }

    #[test]
    fn whoever_is_turned_away_wakes_those_who_sleep() {
        let refused: [fn(&Log<u64, u32>); 2] =
            [|log| assert!(log.append(7).is_err()), |log| assert!(log.append_all([7, 8]).is_err())];
        for append in refused {
            let (log, bell, _cursor) = just_sealed();
            append(&log);
            assert_eq!(bell.0.load(Relaxed), 1, "the sealer is not to be relied on");
            assert_eq!((log.sealed_end(), log.successor()), (Some(Position::new(200)), Some(&7)));
        }
    }

    #[test]
    fn a_later_sealer_finishes_what_the_first_has_left() {
        let (log, bell, _cursor) = just_sealed();
        assert_eq!(log.stats().blocks, 7, "six segments, and one ahead");
        let end = Position::new(200);
        assert_eq!(log.seal(8), SealOutcome::AlreadySealed { end, offered: 8 });
        assert_eq!((bell.0.load(Relaxed), log.stats().blocks), (1, 6));
        assert_eq!(log.trim(end), end);
        let stats = log.stats();
        assert_eq!((stats.blocks, stats.spares, log.successor()), (0, 0, Some(&7)));
    }

    #[test]
    fn a_log_is_open_until_its_tail_is_sealed() {
        let log = Log::<u64, u32>::new();
        assert_eq!(log.append(1), Ok(Position::ZERO));
        assert_eq!(log.sealing().offer(7), None);
        log.sealing().raise_end(Position::new(1));
        assert_eq!((log.is_sealed(), log.sealed_end(), log.successor()), (false, None, None));
        assert_eq!((log.append(2), log.end()), (Ok(Position::new(1)), Position::new(2)));
        let end = Position::new(2);
        assert_eq!(log.seal(8), SealOutcome::AlreadySealed { end, offered: 8 });
        assert_eq!((log.sealed_end(), log.successor()), (Some(end), Some(&7)));
    }

    #[test]
    fn the_end_is_the_greatest_that_any_sealer_has_met() {
        let seal = Seal::<()>::new();
        seal.raise_end(Position::new(7));
        seal.raise_end(Position::new(3));
        assert_eq!(seal.end(), Position::new(7));
    }

    #[test]
    fn a_successor_is_taken_once() {
        let mut log = Log::<u64, u32>::new();
        assert_eq!(log.take_successor(), None);
        log.seal(7);
        assert_eq!((log.take_successor(), log.take_successor()), (Some(7), None));
        assert!(log.is_sealed() && log.successor().is_none());
    }
}
