//! Immutable: each position yields the record that was appended there, to every reader.

use super::checker::Findings;
use super::event::{Appended, EventId, Operation};
use super::positions::Positions;
use super::report::Fault;

pub(super) fn check(findings: &mut Findings<'_>, positions: &Positions) {
    let mut owners = None;
    for (id, event) in findings.history.events() {
        match event.operation {
            Operation::Read { from, .. } => {
                for (&value, position) in findings.history.values(id).iter().zip(from..) {
                    check_record(findings, positions, &mut owners, (id, position, value));
                }
            }
            Operation::ReadTrimmed { from, earliest } if earliest <= from => {
                findings.add(Fault::TrimmedInVain, from, || (id, None));
            }
            _ => {}
        }
    }
}

#[inline]
fn check_record(
    findings: &mut Findings<'_>,
    positions: &Positions,
    owners: &mut Option<Owners>,
    (read, position, value): (EventId, u64, u64),
) {
    let there = positions.at(position);
    if let Some(append) = there {
        let event = findings.event(append);
        let first = positions.first_of(append, event);
        if let (Operation::Append { first: base, .. }, Some(first)) = (event.operation, first)
            && base.wrapping_add(position.wrapping_sub(first)) == value
        {
            if findings.event(read).precedes(event) {
                findings.add(Fault::Premature, position, || (read, Some(append)));
            }
            return;
        }
    }
    let owners = owners.get_or_insert_with(|| Owners::new(findings));
    let owner = owners.of(value);
    let is_redirected = |id: &EventId| {
        matches!(
            findings.event(*id).operation,
            Operation::Append { outcome: Appended::Redirected, .. }
        )
    };
    if let Some(owner) = owner.filter(is_redirected) {
        findings.add(Fault::RedirectedRecord, position, || (owner, Some(read)));
    } else {
        findings.add(Fault::WrongRecord, position, || match there.or(owner) {
            Some(append) => (append, Some(read)),
            None => (read, None),
        });
    }
}

/// Who appended which value; made only when something is wrong.
struct Owners(Vec<(u64, u32, EventId)>);

impl Owners {
    fn new(findings: &Findings<'_>) -> Self {
        let mut owners: Vec<_> = findings
            .history
            .events()
            .filter_map(|(id, event)| match event.operation {
                Operation::Append { first, count, .. } => Some((first, count, id)),
                _ => None,
            })
            .collect();
        owners.sort_by_key(|owner| owner.0);
        Self(owners)
    }

    fn of(&self, value: u64) -> Option<EventId> {
        let after = self.0.partition_point(|owner| owner.0 <= value);
        let (first, count, id) = *self.0.get(after.checked_sub(1)?)?;
        (value - first < count.into()).then_some(id)
    }
}
