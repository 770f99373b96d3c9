//! Seal: one end, everything before it, the rest turned away.

use super::checker::Findings;
use super::event::{Appended, EventId, NEVER, Operation};
use super::positions::Positions;
use super::report::Fault;

/// What the operations tell about the seal.
struct Seal {
    /// The first end that was told.
    end: Option<(u64, EventId)>,
    /// The first response that shows that the log is sealed.
    closed: (u64, Option<EventId>),
    /// The first call for a seal.
    called: (u64, Option<EventId>),
}

pub(super) fn check(findings: &mut Findings<'_>, positions: &Positions) {
    let seal = Seal::find(findings);
    if seal.closed.1.is_none() && seal.end.is_none() {
        return;
    }
    if let Some((end, sealing)) = seal.end {
        if end > positions.limit() {
            findings.add(Fault::NobodyAppended, end - 1, || (sealing, None));
        }
        if let Some(batch) = positions.split_at(end) {
            findings.add(Fault::SplitBatch, end, || (batch, Some(sealing)));
        }
    }
    for (id, event) in findings.history.events() {
        let mut reach = 0;
        match event.operation {
            Operation::Append { count, outcome: Appended::At(first), .. } => {
                reach = first.saturating_add(count.into());
                if let (stamp, Some(closing)) = seal.closed
                    && stamp < event.called
                {
                    findings.add(Fault::AppendedAfterSeal, first, || (closing, Some(id)));
                }
            }
            Operation::Append { outcome: Appended::Redirected, .. } => {
                seal.check_called(findings, id)
            }
            Operation::NeverVisible { position, end } => {
                seal.check_called(findings, id);
                seal.check_end(findings, id, end);
                if position < end {
                    findings.add(Fault::NeverInVain, position, || (id, None));
                }
            }
            Operation::Seal { end: Some(end) } => seal.check_end(findings, id, end),
            Operation::Snapshot { end, .. } => reach = end,
            Operation::Read { from, count, .. } if count > 0 => {
                reach = from.saturating_add(count.into());
            }
            Operation::Visible { position } => reach = position.saturating_add(1),
            Operation::Latest { position } => reach = position,
            Operation::ReadTrimmed { earliest, .. } => reach = earliest,
            Operation::Trim { horizon: Some(horizon), .. } => reach = horizon,
            _ => {}
        }
        if let Some((end, sealing)) = seal.end
            && reach > end
        {
            findings.add(Fault::BehindTheEnd, reach - 1, || (sealing, Some(id)));
        }
    }
}

impl Seal {
    fn find(findings: &Findings<'_>) -> Self {
        let mut seal = Self { end: None, closed: (NEVER, None), called: (NEVER, None) };
        for (id, event) in findings.history.events() {
            match event.operation {
                Operation::Seal { end } => {
                    seal.called = seal.called.min((event.called, Some(id)));
                    seal.end = seal.end.or(end.map(|end| (end, id)));
                }
                Operation::NeverVisible { end, .. } => seal.end = seal.end.or(Some((end, id))),
                Operation::Append { outcome: Appended::Redirected, .. } => {}
                _ => continue,
            }
            if seal.closed.1.is_none() || event.returned < seal.closed.0 {
                seal.closed = (event.returned, Some(id));
            }
        }
        seal
    }

    /// Somebody called for a seal before `id` found that the log is sealed.
    fn check_called(&self, findings: &mut Findings<'_>, id: EventId) {
        let (called, sealing) = self.called;
        if sealing.is_none() || findings.event(id).returned < called {
            findings.add(Fault::RedirectedUnsealed, 0, || (id, sealing));
        }
    }

    fn check_end(&self, findings: &mut Findings<'_>, id: EventId, end: u64) {
        if let Some((first, sealing)) = self.end
            && first != end
        {
            findings.add(Fault::TwoEnds, end, || (sealing, Some(id)));
        }
    }
}
