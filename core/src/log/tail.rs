//! The tail: one word that hands out positions and carries the log's rare news to writers.
//!
//! # State
//!
//! ```text
//! bit 63   SEALED    set once, by the sealer's CAS, never cleared
//! bit 62   WAITERS   somebody sleeps; set by a waiter, cleared by whoever wakes
//! 61..0    the next position; after the seal it keeps rising and means nothing
//! ```
//!
//! Writers add; they learn of a seal or of sleepers from the very word that their own `fetch_add`
//! returns, so neither costs them anything while it does not happen. Sealers set SEALED with a CAS,
//! since the exact end must be published before the bit (see [`seal`](super::seal)).
//!
//! # Orderings
//!
//! The writer's `fetch_add` is Relaxed: the value that it reserves is published by the slot's state,
//! and what a redirected writer must see, it gets by a fence behind the check (`redirected`). All
//! other operations say what they pair with at their line.
//!
//! # Progress
//!
//! Wait-free, except for [`Tail::try_seal`], which its caller repeats (lock-free).
//!
//! Models: `seal`, `seal_observer`, `seal_helped`, `wake`, `wake_two`, `wake_at_seal`.

use super::position::Position;
use crate::sync::atomic::{AtomicU64, Ordering, fence};

const SEALED: u64 = 1 << 63;
const WAITERS: u64 = 1 << 62;
const NUMBER: u64 = WAITERS - 1;

/// A value of the tail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TailWord(u64);

impl TailWord {
    /// Whether the log takes no more appends.
    #[inline(always)]
    pub(crate) const fn is_sealed(self) -> bool {
        self.0 & SEALED != 0
    }

    /// Whether somebody sleeps until the next append.
    #[inline(always)]
    pub(crate) const fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    /// The next position; meaningless when sealed.
    #[inline(always)]
    pub(crate) const fn position(self) -> Position {
        Position::new(self.0 & NUMBER)
    }

    /// The next position, if there is no news beside it.
    #[inline(always)]
    pub(crate) const fn without_news(self) -> Option<Position> {
        if self.0 <= NUMBER { Some(Position::new(self.0)) } else { None }
    }
}

/// The tail of a log.
pub(crate) struct Tail(AtomicU64);

impl Tail {
    /// A tail whose first position is `start`.
    pub(crate) fn new(start: Position) -> Self {
        Self(AtomicU64::new(start.get()))
    }

    /// Reserves `count` positions for the caller, from the returned word's position on, unless that
    /// word is sealed.
    #[inline(always)]
    pub(crate) fn reserve(&self, count: u64) -> TailWord {
        // Relaxed: atomicity alone makes positions unique; the slot's state publishes the value.
        TailWord(self.0.fetch_add(count, Ordering::Relaxed))
    }

    /// Makes a writer that found the log sealed see what the sealer did before.
    pub(crate) fn redirected(&self) {
        // Pairs with the CAS of `try_seal`: `end` and the successor are visible behind it.
        fence(Ordering::Acquire);
    }

    /// The tail as it is now.
    #[inline(always)]
    pub(crate) fn load(&self) -> TailWord {
        // Acquire pairs with the CAS of `try_seal`: who sees SEALED reads the exact end.
        TailWord(self.0.load(Ordering::Acquire))
    }

    /// Seals if the tail is still `expected`.
    pub(crate) fn try_seal(&self, expected: TailWord) -> Result<(), TailWord> {
        // Release pairs with `load` and `redirected`: end and successor come before the bit. Not
        // Acquire: the sealer goes on to `clear_waiters`, which acquires from every waiter before it,
        // and reads no `end` but the maximum that it has raised itself.
        self.0
            .compare_exchange(
                expected.0,
                expected.0 | SEALED,
                Ordering::Release,
                Ordering::Acquire, // like `load`: the next try may find the seal of another
            )
            .map(drop)
            .map_err(TailWord)
    }

    /// Tells writers that somebody sleeps. In the result: which positions were reserved before, so
    /// that their writers did not see the bit.
    pub(crate) fn announce_waiter(&self) -> TailWord {
        // Release pairs with `clear_waiters`: the node pushed before is found by whoever wakes. Not
        // Acquire: a waiter that finds SEALED here has looked again by `load` before it uses the end.
        TailWord(self.0.fetch_or(WAITERS, Ordering::Release))
    }

    /// Takes the sleepers' bit away; the caller goes on to wake all of them.
    pub(crate) fn clear_waiters(&self) {
        // Acquire pairs with `announce_waiter`: the list that is taken next holds every node that was
        // pushed before the bit. Not Release: a waiter that comes later learns from the number what
        // was reserved, and does not rely on having seen it. (Others' releases pass through: all
        // that changes the tail is a read-modify-write.)
        self.0.fetch_and(!WAITERS, Ordering::Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_do_not_touch_the_position() {
        let tail = Tail::new(Position::ZERO);
        assert_eq!(tail.reserve(5).position(), Position::ZERO);
        tail.announce_waiter();
        assert!(tail.load().has_waiters());
        assert_eq!(tail.load().position(), Position::new(5));
        let word = tail.load();
        assert_eq!(tail.try_seal(word), Ok(()));
        assert!(tail.load().is_sealed() && tail.load().has_waiters());
        tail.clear_waiters();
        assert!(tail.load().is_sealed() && !tail.load().has_waiters());
        assert_eq!(tail.reserve(1).position(), Position::new(5));
    }

    #[test]
    fn a_seal_of_an_outdated_tail_fails_and_tells_the_new_one() {
        let tail = Tail::new(Position::ZERO);
        let old = tail.load();
        tail.reserve(1);
        let now = tail.try_seal(old).unwrap_err();
        assert_eq!(now.position(), Position::new(1));
        assert!(!now.is_sealed());
    }
}
