//! What threads saw of the log's two borders: prefix-closed, monotone, visible, whole batches.
//!
//! An operation can tell three things about a border. It *reaches*: by its response the border was at
//! least there. It *claims*: at some moment between call and response the border was no further. It is
//! a *place* where batches may not be split. A snapshot does all three, a read that finds nothing
//! only claims, a read that finds records only reaches.

use super::checker::{Findings, Retention};
use super::event::{Appended, EventId, Operation};
use super::positions::Positions;
use super::report::Fault;

/// What an operation tells about a border, at the stamp of its call or of its response.
#[derive(Clone, Copy)]
struct Mark {
    stamp: u64,
    border: u64,
    id: EventId,
}

#[derive(Default)]
struct Marks {
    /// By response: the end was at least there.
    reached: Vec<Mark>,
    /// By call: the end was no further.
    claimed: Vec<Mark>,
    /// By response, and by call: the start was there.
    start_reached: Vec<Mark>,
    start_claimed: Vec<Mark>,
    /// By call: what trims have asked for.
    asked: Vec<Mark>,
    /// By call: answers to the question for the latest position.
    latest: Vec<Mark>,
}

pub(super) fn check(findings: &mut Findings<'_>, positions: &Positions, retention: Retention) {
    let mut marks = Marks::collect(findings);
    marks.check_places(findings, positions);
    marks.sort();
    check_end(findings, positions, &marks);
    check_start(findings, positions, &marks, retention);
    if !marks.latest.is_empty() {
        check_latest(findings, marks);
    }
}

impl Marks {
    fn collect(findings: &Findings<'_>) -> Self {
        let mut marks = Self::default();
        for (id, event) in findings.history.events() {
            let by_call = |border| Mark { stamp: event.called, border, id };
            let by_response = |border| Mark { stamp: event.returned, border, id };
            match event.operation {
                Operation::Snapshot { start, end } => {
                    marks.reached.push(by_response(end));
                    marks.claimed.push(by_call(end));
                    marks.start_reached.push(by_response(start));
                    marks.start_claimed.push(by_call(start));
                }
                Operation::Read { from, count: 0, .. } => marks.claimed.push(by_call(from)),
                Operation::Read { from, count, .. } => {
                    marks.reached.push(by_response(from.saturating_add(count.into())));
                }
                Operation::Visible { position } => {
                    marks.reached.push(by_response(position.saturating_add(1)));
                }
                Operation::ReadTrimmed { earliest: horizon, .. }
                | Operation::Trim { horizon: Some(horizon), .. } => {
                    // What is trimmed had been shown.
                    marks.reached.push(by_response(horizon));
                    marks.start_reached.push(by_response(horizon));
                    marks.start_claimed.push(by_call(horizon));
                }
                Operation::Latest { position } => marks.latest.push(by_call(position)),
                _ => {}
            }
            if let Operation::Trim { to, .. } = event.operation {
                marks.asked.push(by_call(to));
            }
        }
        marks
    }

    /// The runs of the threads are merged.
    fn sort(&mut self) {
        for marks in [
            &mut self.reached,
            &mut self.claimed,
            &mut self.start_reached,
            &mut self.start_claimed,
            &mut self.asked,
            &mut self.latest,
        ] {
            marks.sort_by_key(|mark| mark.stamp);
        }
    }

    /// What each mark says by itself: of positions that exist, were called for, and split no batch.
    fn check_places(&self, findings: &mut Findings<'_>, positions: &Positions) {
        for &Mark { id, .. } in &self.start_claimed {
            if let Operation::Snapshot { start, end } = findings.event(id).operation
                && start > end
            {
                findings.add(Fault::Inverted, start, || (id, None));
            }
        }
        for &Mark { border, id, .. } in self.reached.iter().chain(&self.latest) {
            check_existence(findings, positions, border, id);
        }
        let is_snapshot_or_horizon = |mark: &&Mark| {
            !matches!(findings.history.event(mark.id).operation, Operation::Read { .. })
        };
        let ends = self.claimed.iter().filter(is_snapshot_or_horizon);
        let places: Vec<_> = ends
            .chain(&self.start_claimed)
            .chain(&self.latest)
            .filter_map(|mark| Some((*mark, positions.split_at(mark.border)?)))
            .collect();
        for (Mark { border, id, .. }, batch) in places {
            findings.add(Fault::SplitBatch, border, || (batch, Some(id)));
        }
    }
}

/// Everything before `border` has an append, and its call did not come after the response that tells
/// of it.
fn check_existence(findings: &mut Findings<'_>, positions: &Positions, border: u64, id: EventId) {
    if border > positions.limit() {
        findings.add(Fault::NobodyAppended, border - 1, || (id, None));
    } else if let Some(hint) = positions.called_after(border, findings.event(id).returned) {
        let history = findings.history;
        findings.add(Fault::Premature, border - 1, || (id, positions.resolve(history, hint)));
    }
}

/// Hands each mark of `later` the furthest one of `earlier` with a smaller stamp. Both are sorted.
fn sweep(earlier: &[Mark], later: &[Mark], mut visit: impl FnMut(Mark, Mark)) {
    let mut earlier = earlier.iter().peekable();
    let mut furthest: Option<Mark> = None;
    for &mark in later {
        while let Some(&&next) = earlier.peek().filter(|next| next.stamp < mark.stamp) {
            earlier.next();
            if furthest.is_none_or(|furthest| next.border > furthest.border) {
                furthest = Some(next);
            }
        }
        if let Some(furthest) = furthest {
            visit(furthest, mark);
        }
    }
}

fn check_end(findings: &mut Findings<'_>, positions: &Positions, marks: &Marks) {
    sweep(&marks.reached, &marks.claimed, |before, mark| {
        if before.border > mark.border {
            let fault = match findings.event(mark.id).operation {
                Operation::Read { .. } => Fault::Hole,
                _ => Fault::EndWentBack,
            };
            findings.add(fault, mark.border, || (before.id, Some(mark.id)));
        }
    });
    let ever_shown = marks.reached.iter().map(|mark| mark.border).max().unwrap_or(0);
    for &Mark { stamp, border, id } in &marks.claimed {
        if positions.is_acknowledged_before(border, stamp)
            && let Some(append) = positions.at(border)
        {
            let fault = if ever_shown > border { Fault::Stale } else { Fault::Lost };
            findings.add(fault, border, || (append, Some(id)));
        }
    }
}

fn check_start(
    findings: &mut Findings<'_>,
    positions: &Positions,
    marks: &Marks,
    retention: Retention,
) {
    sweep(&marks.start_reached, &marks.start_claimed, |before, mark| {
        if before.border > mark.border {
            findings.add(Fault::StartWentBack, mark.border, || (before.id, Some(mark.id)));
        }
    });
    let kept = match retention {
        Retention::Any => return,
        Retention::Last(kept) => Some(kept),
        Retention::ByHand => None,
    };
    let mut asked = marks.asked.iter().peekable();
    let mut furthest = 0;
    for &Mark { stamp, border, id } in &marks.start_reached {
        while let Some(next) = asked.next_if(|next| next.stamp <= stamp) {
            furthest = furthest.max(next.border);
        }
        if border > furthest {
            let of_itself = kept.map_or(0, |kept| positions.called_by(stamp).saturating_sub(kept));
            if border > of_itself {
                findings.add(Fault::TrimmedUnasked, border - 1, || (id, None));
            }
        }
    }
}

/// The latest position lies behind all that was appended, shown, or answered to this question before.
fn check_latest(findings: &mut Findings<'_>, marks: Marks) {
    let Marks { mut reached, latest, .. } = marks;
    let mut end = None;
    for (id, event) in findings.history.events() {
        let border = match event.operation {
            Operation::Append { count, outcome: Appended::At(first), .. } => {
                first.saturating_add(count.into())
            }
            Operation::Latest { position } => position,
            Operation::Seal { end: Some(at) } => {
                end = Some(at);
                at
            }
            _ => continue,
        };
        reached.push(Mark { stamp: event.returned, border, id });
    }
    if let Some(end) = end {
        for (id, event) in findings.history.events() {
            if let Operation::Append { outcome: Appended::Redirected, .. } = event.operation {
                reached.push(Mark { stamp: event.returned, border: end, id });
            }
        }
    }
    reached.sort_by_key(|mark| mark.stamp);
    sweep(&reached, &latest, |before, mark| {
        if before.border > mark.border {
            findings.add(Fault::LatestTooLow, mark.border, || (before.id, Some(mark.id)));
        }
    });
}
