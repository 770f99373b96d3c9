//! The checker of long histories: sort, then sweep.
//!
//! # How
//!
//! Each promise is turned into a comparison of every operation with the most telling one among those
//! that surely happened before it: the largest end shown, the smallest stamp of a response behind a
//! position, and so on. One pass in the order of stamps or positions keeps that extreme up to date, so no pairs are
//! formed.
//!
//! # Cost
//!
//! Time O(n log t) for n operations and values read by t threads: what is sorted are t sorted runs.
//! Memory beside the history: 24 bytes per record appended, 48 per operation that tells where the log
//! ends or starts, 24 more per append if [`Operation::Latest`](super::Operation::Latest) occurs (or if a
//! record is found that is not the one appended). Violations beyond the first few of each fault are
//! counted, not kept.
//!
//! # What it does not find
//!
//! It checks promises one by one. The [search](super::linearizability) for one order of steps that explains
//! everything is stronger in principle; on random histories of a few threads without open operations the two
//! agree (`bench/tests/history_agreement.rs`).

use super::event::{Appended, Event, EventId, History, Operation, Witness};
use super::positions::Positions;
use super::report::{Fault, Report, Violation};
use super::{ends, reads, views};

/// Which records a log gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Retention {
    /// Those that a trim has asked for.
    #[default]
    ByHand,
    /// Those too that have at least so many records behind them.
    Last(u64),
    /// Any.
    Any,
}

/// Checks histories.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checker {
    retention: Retention,
    listed: usize,
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Checker {
    /// A checker for logs that are trimmed by hand only; it lists four violations of each fault.
    #[must_use]
    pub fn new() -> Self {
        Self { retention: Retention::ByHand, listed: 4 }
    }

    /// What the log may trim of itself.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// How many violations of each fault the report lists; at least 1.
    #[must_use]
    pub fn listed(mut self, listed: usize) -> Self {
        self.listed = listed.max(1);
        self
    }

    /// Checks all promises over the whole history of a log that was empty at first.
    ///
    /// Every violation that is reported is one: see [the stamps](super::recorder).
    #[must_use]
    pub fn check(&self, history: &History) -> Report {
        let mut findings = Findings::new(history, self.listed);
        findings.count();
        let positions = Positions::new(&mut findings);
        reads::check(&mut findings, &positions);
        views::check(&mut findings, &positions, self.retention);
        ends::check(&mut findings, &positions);
        findings.report
    }
}

/// The history under the eye of a check, and the report in the making.
pub(super) struct Findings<'h> {
    pub(super) history: &'h History,
    report: Report,
    listed: usize,
    per_fault: [usize; Fault::ALL.len()],
}

impl<'h> Findings<'h> {
    fn new(history: &'h History, listed: usize) -> Self {
        let per_fault = [0; Fault::ALL.len()];
        Self { history, report: Report::default(), listed, per_fault }
    }

    fn count(&mut self) {
        for (_, event) in self.history.events() {
            self.report.operations += 1;
            match event.operation {
                Operation::Append { count, outcome: Appended::At(_), .. } => {
                    self.report.appended += u64::from(count);
                }
                Operation::Read { count, .. } => self.report.read += u64::from(count),
                Operation::Snapshot { .. } => self.report.snapshots += 1,
                _ => {}
            }
        }
    }

    /// Adds a violation; the witnesses are looked for only if it is listed.
    pub(super) fn add(
        &mut self,
        fault: Fault,
        position: u64,
        witnesses: impl FnOnce() -> (EventId, Option<EventId>),
    ) {
        self.report.found += 1;
        let listed = &mut self.per_fault[fault as usize];
        if *listed < self.listed {
            *listed += 1;
            let (first, second) = witnesses();
            let witness = |id| -> Witness { self.history.witness(id) };
            let violation =
                Violation { fault, position, first: witness(first), second: second.map(witness) };
            self.report.violations.push(violation);
        }
    }

    #[inline]
    pub(super) fn event(&self, id: EventId) -> &'h Event {
        self.history.event(id)
    }
}
