//! What a check has found: promises, faults, violations with their witnesses, and the report.

use std::fmt;

use super::event::Witness;

/// What a log promises; the words are in [streamcore's documentation](streamcore#consistency).
/// Progress is promised too, but no history can show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Promise {
    /// One position per append, dense from 0; what returned before another was called comes before it.
    Order,
    /// A position always yields the same record, or that it was trimmed.
    Immutable,
    /// All positions of a snapshot are readable or trimmed.
    PrefixClosed,
    /// Later snapshots neither end nor start earlier.
    Monotone,
    /// What returned, with all before it, is in every snapshot begun later.
    Visibility,
    /// Batches are contiguous, and whole in every snapshot.
    Batches,
    /// One end; what was appended lies before it, the rest is turned away.
    Seal,
    /// Nothing is trimmed that nobody gave up.
    Trimming,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Order => "order",
            Self::Immutable => "immutable",
            Self::PrefixClosed => "prefix-closed",
            Self::Monotone => "monotone",
            Self::Visibility => "visibility",
            Self::Batches => "batches",
            Self::Seal => "seal",
            Self::Trimming => "trimming",
        })
    }
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident: $promise:ident, $text:literal;)+) => {
        /// A way in which a history breaks a promise. `first` and `second` are the witnesses of the
        /// [`Violation`].
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Fault {
            /// All faults that the checker knows.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The promise that is broken.
            #[must_use]
            pub fn promise(self) -> Promise {
                match self { $(Self::$name => Promise::$promise,)+ }
            }

            fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

faults! {
    /// Both appends were given the position.
    DuplicatePosition: Order, "two appends have the position";
    /// No append has the position, though `first` has a larger one.
    MissingPosition: Order, "no append has the position, and a later one is taken";
    /// `first` returned before `second` was called, and has a larger position.
    OutOfOrder: Order, "an append returned before another was called, and comes behind it";
    /// `first` had returned before the latest position was asked for, and lies behind the answer.
    LatestTooLow: Order, "the latest position lies before what had been appended or shown";
    /// `first` appended a record, and `second` read another one at its position. Alone, `first` is a
    /// read of a record that nobody appended there.
    WrongRecord: Immutable, "the record read is not the one appended";
    /// `first` was turned away by a seal, and `second` read its record.
    RedirectedRecord: Immutable, "a record was read whose append was turned away";
    /// `first` shows the position, and `second`, called later, found nothing to read there.
    Hole: PrefixClosed, "a position that had been shown is neither readable nor trimmed";
    /// `first` shows the position, and nobody appended anything there.
    NobodyAppended: PrefixClosed, "a position is shown that no append has";
    /// `first` shows the position and returned before `second`, which has it, was called.
    Premature: PrefixClosed, "a position is shown before its append was called";
    /// The snapshot starts behind its end.
    Inverted: PrefixClosed, "a snapshot starts behind its end";
    /// `first` shows the position, and `second`, called later, does not.
    EndWentBack: Monotone, "a later snapshot ends earlier";
    /// By `first` the position was no longer retained; by `second`, called later, it is.
    StartWentBack: Monotone, "a later snapshot starts earlier";
    /// `first` and all appends with smaller positions returned before `second`, which does not show it.
    /// Others do.
    Stale: Visibility, "an append had returned, as had all before it, and is not shown";
    /// As [`Fault::Stale`], and nothing in the history ever shows the position.
    Lost: Visibility, "an append had returned, as had all before it, and is never shown";
    /// The position, where `second` begins or ends, lies inside the batch that `first` appended.
    SplitBatch: Batches, "a batch is split";
    /// The wait was told that a position before the end will never be there.
    NeverInVain: Seal, "a position before the end was declared never to come";
    /// The two name different ends.
    TwoEnds: Seal, "the log has two ends";
    /// By `first` the log ends at or before the position, which `second` was given or shows.
    BehindTheEnd: Seal, "a position behind the end of the log is in use";
    /// `second` was called after `first` had found the log sealed, and was accepted.
    AppendedAfterSeal: Seal, "an append was accepted after the log was sealed";
    /// `first` was turned away before anybody had called for a seal.
    RedirectedUnsealed: Seal, "the log was called sealed before anybody sealed it";
    /// By `first` the position was trimmed; nobody had asked for that, nor does retention.
    TrimmedUnasked: Trimming, "a position was trimmed that nobody gave up";
    /// A read was told that its position was trimmed, and that it is retained.
    TrimmedInVain: Trimming, "a read was refused as trimmed at a position that is retained";
}

/// One broken promise, with the operations that show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// What is wrong.
    pub fault: Fault,
    /// Where.
    pub position: u64,
    /// See the fault.
    pub first: Witness,
    /// See the fault.
    pub second: Option<Witness>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, position, first, .. } = self;
        write!(f, "{}: {} (position {position})", fault.promise(), fault.text())?;
        write!(f, "\n    {first}")?;
        match &self.second {
            Some(second) => write!(f, "\n    {second}"),
            None => Ok(()),
        }
    }
}

/// The result of a check.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The first violations of each fault.
    pub violations: Vec<Violation>,
    /// How many violations there are, those that are not listed included.
    pub found: u64,
    /// How many operations were checked.
    pub operations: u64,
    /// How many records were appended, batches counted by their records.
    pub appended: u64,
    /// How many records were read and compared.
    pub read: u64,
    /// How many snapshots were checked.
    pub snapshots: u64,
}

impl Report {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.found == 0
    }

    /// Whether there is a violation of this kind.
    #[must_use]
    pub fn shows(&self, fault: Fault) -> bool {
        self.violations.iter().any(|violation| violation.fault == fault)
    }

    /// The kinds of violations that there are, each once.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<_> = self.violations.iter().map(|violation| violation.fault).collect();
        faults.sort_unstable();
        faults.dedup();
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations, {} records appended, {} read, {} snapshots: ",
            self.operations, self.appended, self.read, self.snapshots
        )?;
        match self.found {
            0 => f.write_str("all promises kept")?,
            1 => f.write_str("1 violation")?,
            found => write!(f, "{found} violations")?,
        }
        for violation in &self.violations {
            write!(f, "\n{violation}")?;
        }
        let listed = self.violations.len() as u64;
        if self.found > listed {
            write!(f, "\n… and {} more", self.found - listed)?;
        }
        Ok(())
    }
}
