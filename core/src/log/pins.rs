//! Pins: how readers keep a segment, and how exactly one party frees it.
//!
//! # State
//!
//! One 32-bit word per segment, in the directory, which is never freed while the log lives: so there
//! is no moment between finding a segment and counting oneself in it.
//!
//! ```text
//! bit 31  TRIMMED   the segment is given up; set once, by the trimmer
//! bit 30  FREED     somebody claimed it; set once, by a CAS from exactly TRIMMED
//! 29..0   readers inside, and readers that have not noticed TRIMMED yet
//!
//! 0 <--pin/unpin--> k --trim--> TRIMMED|k --last unpin--> TRIMMED --claim--> TRIMMED|FREED
//! ```
//!
//! FREED makes the claim exact, because a late reader's +1 and -1 can bring the count to zero a second
//! time. (Who buries the entry, by a swap, would notice that too; the mutants take both away.)
//!
//! # Who may do what
//!
//! Any reader pins; it is inside if TRIMMED was not set. The trimmer sets TRIMMED, only for segments
//! wholly below the watermark. Whoever may have brought the count of a TRIMMED segment to zero tries
//! to claim it; the one that succeeds owns the block. Whoever finds nobody inside may come in alone, to
//! drop values that nobody reads any more ([`hollow`](super::hollow)): later readers stay clear of them.
//!
//! # Orderings
//!
//! Unpin is Release and claim Acquire, like a reference count: every reader's reads come before the
//! claimer's drop. Marking is Release too: the claimer, who may be a reader, then also sees what the
//! trimmer saw through the watermark, which is every writer's value.
//!
//! # Progress
//!
//! Wait-free: one RMW each.
//!
//! Models: `trim`, `trim_twice`, `trim_handoff`, `late_reader`, `retain`, `hollow`.

use crate::sync::Zeroable;
use crate::sync::atomic::{AtomicU32, Ordering};

const TRIMMED: u32 = 1 << 31;
const FREED: u32 = 1 << 30;
const READERS: u32 = FREED - 1;

/// Half of what the count can hold; so many forgotten guards are a leak, and the next would be unsound.
const TOO_MANY: u32 = 1 << 29;

/// What a pin word said before an operation.
#[derive(Clone, Copy)]
struct Pins(u32);

impl Pins {
    #[inline(always)]
    const fn is_trimmed(self) -> bool {
        self.0 & TRIMMED != 0
    }

    const fn is_freed(self) -> bool {
        self.0 & FREED != 0
    }

    #[inline(always)]
    const fn readers(self) -> u32 {
        self.0 & READERS
    }
}

/// A segment's pin word.
pub(crate) struct PinWord(AtomicU32);

// SAFETY: a word of zero bits means: no readers, not trimmed.
unsafe impl Zeroable for PinWord {
    fn zeroed() -> Self {
        Self(AtomicU32::new(0))
    }
}

/// Whether somebody who must be alone got in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alone {
    /// Yes; readers that come later see what the caller saw before.
    Inside,
    /// No: somebody is inside, or it is trimmed.
    Taken,
}

/// Whether a reader got in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pinned {
    /// Yes; the segment stays until it leaves.
    Inside,
    /// No, it is trimmed; if `claim` says so, leaving may have been what the freeing waited for.
    Trimmed(Leave),
}

/// What a reader that leaves has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leave {
    /// Nothing.
    Done,
    /// Try to claim the segment: it is trimmed, and nobody seems to be inside.
    TryClaim,
}

impl PinWord {
    /// Counts the caller in, unless the segment is trimmed.
    #[inline(always)]
    pub(crate) fn pin(&self) -> Pinned {
        // Acquire pairs with the Release in `mark_trimmed`: who is refused sees the new horizon; and
        // with the one in `pin_alone`: who gets in sees what must not be read any more.
        let before = Pins(self.0.fetch_add(1, Ordering::Acquire));
        if before.readers() >= TOO_MANY {
            too_many_pins();
        }
        if before.is_trimmed() {
            return Pinned::Trimmed(self.unpin());
        }
        Pinned::Inside
    }

    /// Counts the caller in, unless somebody else is inside or the segment is trimmed.
    pub(crate) fn pin_alone(&self) -> Alone {
        // Acquire pairs with every `unpin`: what readers read comes before what the caller does.
        // Release pairs with the Acquire of every later `pin`: those see the horizon that the caller saw.
        match self.0.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Alone::Inside,
            Err(_) => Alone::Taken,
        }
    }

    /// Counts the caller out.
    #[inline(always)]
    pub(crate) fn unpin(&self) -> Leave {
        // Release pairs with the CAS in `claim`: the caller's reads come before the freeing.
        let before = Pins(self.0.fetch_sub(1, Ordering::Release));
        if before.is_trimmed() && !before.is_freed() && before.readers() == 1 {
            Leave::TryClaim
        } else {
            Leave::Done
        }
    }

    /// Gives the segment up: nobody gets in from here on.
    pub(crate) fn mark_trimmed(&self) -> Leave {
        // Release pairs with `pin` (the horizon that was raised before) and with `claim` (the values
        // that the trimmer saw through the watermark).
        let before = Pins(self.0.fetch_or(TRIMMED, Ordering::Release));
        if before.readers() == 0 { Leave::TryClaim } else { Leave::Done }
    }

    /// Makes the caller the owner of a trimmed segment in which nobody is, if nobody else is it.
    pub(crate) fn claim(&self) -> Claim {
        // Acquire pairs with every `unpin` and with `mark_trimmed`, all of them RMWs of this word.
        let claimed = self.0.compare_exchange(
            TRIMMED,
            TRIMMED | FREED,
            Ordering::Acquire,
            Ordering::Relaxed, // nothing is read after a failure
        );
        match claimed {
            Ok(_) => Claim::Owner,
            Err(_) => Claim::NotOurs,
        }
    }

    /// How many readers are inside at the moment, for statistics.
    pub(crate) fn readers(&self) -> u32 {
        // Relaxed: a number to look at.
        Pins(self.0.load(Ordering::Relaxed)).readers()
    }
}

/// How an attempt to claim a segment ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// The caller owns the block now.
    Owner,
    /// Somebody is inside, or somebody else was first.
    NotOurs,
}

#[cold]
fn too_many_pins() -> ! {
    // Like `Arc`: going on would be unsound, and unwinding could be caught.
    eprintln!("streamcore: more than 2^29 guards of one segment are alive or were forgotten");
    std::process::abort()
}

#[cfg(all(test, not(streamcore_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_reader_of_a_trimmed_segment_claims_it_once() {
        let word = PinWord::zeroed();
        assert_eq!(word.pin(), Pinned::Inside);
        assert_eq!(word.mark_trimmed(), Leave::Done);
        assert_eq!(word.claim(), Claim::NotOurs);
        assert_eq!(word.pin(), Pinned::Trimmed(Leave::Done));
        assert_eq!(word.unpin(), Leave::TryClaim);
        assert_eq!(word.claim(), Claim::Owner);
        assert_eq!(word.claim(), Claim::NotOurs);
        assert_eq!(word.pin(), Pinned::Trimmed(Leave::Done));
    }

    #[test]
    fn an_empty_segment_is_claimed_by_its_trimmer() {
        let word = PinWord::zeroed();
        assert_eq!(word.mark_trimmed(), Leave::TryClaim);
        assert_eq!(word.claim(), Claim::Owner);
        assert_eq!(word.mark_trimmed(), Leave::TryClaim);
        assert_eq!(word.claim(), Claim::NotOurs);
    }

    #[test]
    fn who_must_be_alone_gets_in_only_where_nobody_is_and_nothing_is_trimmed() {
        let word = PinWord::zeroed();
        assert_eq!(word.pin_alone(), Alone::Inside);
        assert_eq!((word.readers(), word.pin_alone()), (1, Alone::Taken));
        assert_eq!(word.pin(), Pinned::Inside, "readers are not kept out");
        assert_eq!((word.unpin(), word.readers()), (Leave::Done, 1));
        assert_eq!(word.mark_trimmed(), Leave::Done);
        assert_eq!((word.unpin(), word.pin_alone()), (Leave::TryClaim, Alone::Taken));
        assert_eq!((word.claim(), word.pin_alone()), (Claim::Owner, Alone::Taken));
    }

    #[test]
    fn each_reader_counts_and_only_the_last_one_claims() {
        let word = PinWord::zeroed();
        for readers in 1..=5 {
            assert_eq!((word.pin(), word.readers()), (Pinned::Inside, readers));
        }
        assert_eq!(word.mark_trimmed(), Leave::Done);
        for left in [4, 3, 2, 1] {
            assert_eq!(
                (word.unpin(), word.readers(), word.claim()),
                (Leave::Done, left, Claim::NotOurs)
            );
        }
        assert_eq!(word.unpin(), Leave::TryClaim);
        assert_eq!(word.claim(), Claim::Owner);
    }

    /// The other half of the count is for those who come in before somebody notices.
    #[test]
    fn too_many_guards_end_the_process_long_before_they_overflow() {
        const CHILD: &str = "STREAMCORE_TEST_TOO_MANY_PINS";
        assert_eq!(TOO_MANY, 1 << 29);
        assert_eq!(TOO_MANY, READERS / 2 + 1);
        let word = PinWord(AtomicU32::new(TOO_MANY - 1));
        assert_eq!(word.pin(), Pinned::Inside);
        if std::env::var_os(CHILD).is_some() {
            word.pin();
            return;
        }
        let name = "log::pins::tests::too_many_guards_end_the_process_long_before_they_overflow";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        assert!(!ended.status.success(), "it went on");
        assert!(String::from_utf8_lossy(&ended.stderr).contains("more than 2^29 guards"));
    }
}
