//! Who has which position: unique, dense, in the order of calls.

use std::collections::HashMap;

use super::checker::Findings;
use super::event::{Appended, Event, EventId, History, NEVER, Operation};
use super::report::Fault;

const NOBODY: EventId = EventId { thread: u32::MAX, index: u32::MAX };

/// All positions that appends can have taken, with their appends.
pub(super) struct Positions {
    table: Vec<EventId>,
    /// Per position: the stamp by which it and all before it were acknowledged.
    acknowledged: Vec<u64>,
    /// Per position: the last stamp at which it or one before it was called for.
    begun: Vec<u64>,
    /// Appends without an answer that a read has found.
    learned: HashMap<EventId, u64>,
}

/// An append that never came back.
struct Open {
    first: u64,
    count: u32,
    id: EventId,
}

impl Positions {
    /// Checks the promise of order along the way.
    pub(super) fn new(findings: &mut Findings<'_>) -> Self {
        let mut open = Vec::new();
        let mut records = 0;
        for (id, event) in findings.history.events() {
            if let Operation::Append { first, count, outcome } = event.operation {
                match outcome {
                    Appended::At(_) => records += count as usize,
                    Appended::Redirected => {}
                    Appended::Unknown => {
                        records += count as usize;
                        open.push(Open { first, count, id });
                    }
                }
            }
        }
        let mut positions = Self {
            table: vec![NOBODY; records],
            acknowledged: Vec::new(),
            begun: Vec::new(),
            learned: HashMap::new(),
        };
        let beyond = positions.place(findings);
        positions.learn(findings, open);
        positions.check_dense(findings, beyond);
        positions.check_order(findings);
        positions.accumulate(findings);
        positions
    }

    /// Fills in the appends; returns one that lies beyond what all appends together can take.
    fn place(&mut self, findings: &mut Findings<'_>) -> Option<EventId> {
        let mut beyond = None;
        for (id, event) in findings.history.events() {
            let Operation::Append { count, outcome: Appended::At(first), .. } = event.operation
            else {
                continue;
            };
            for position in first..first.saturating_add(count.into()) {
                match self.slot(position) {
                    None => beyond = Some(id),
                    Some(slot) if *slot == NOBODY => *slot = id,
                    Some(&mut other) => {
                        findings.add(Fault::DuplicatePosition, position, || (other, Some(id)));
                    }
                }
            }
        }
        beyond
    }

    fn slot(&mut self, position: u64) -> Option<&mut EventId> {
        self.table.get_mut(usize::try_from(position).ok()?)
    }

    /// Gives positions to appends without an answer, by the reads that have found their records.
    fn learn(&mut self, findings: &Findings<'_>, mut open: Vec<Open>) {
        if open.is_empty() {
            return;
        }
        open.sort_by_key(|append| append.first);
        for (id, event) in findings.history.events() {
            let Operation::Read { from, .. } = event.operation else {
                continue;
            };
            for (value, position) in findings.history.values(id).iter().zip(from..) {
                let after = open.partition_point(|append| append.first <= *value);
                let Some(append) = after.checked_sub(1).map(|index| &open[index]) else {
                    continue;
                };
                let offset = value - append.first;
                if offset < append.count.into() && !self.learned.contains_key(&append.id) {
                    self.learn_one(append, position.checked_sub(offset));
                }
            }
        }
    }

    fn learn_one(&mut self, append: &Open, first: Option<u64>) {
        let place = first
            .and_then(|first| usize::try_from(first).ok())
            .and_then(|first| self.table.get_mut(first..first.checked_add(append.count as usize)?));
        // Taken by others: the read will be reported.
        if let (Some(first), Some(place)) = (first, place)
            && place.iter().all(|&id| id == NOBODY)
        {
            place.fill(append.id);
            self.learned.insert(append.id, first);
        }
    }

    /// Positions that nobody has, below one that somebody has, must be those of appends without an
    /// answer.
    fn check_dense(&self, findings: &mut Findings<'_>, beyond: Option<EventId>) {
        let mut above = beyond;
        let missing_below_others = self
            .table
            .iter()
            .rev()
            .filter(|&&id| {
                above = if id == NOBODY { above } else { Some(id) };
                id == NOBODY && above.is_some()
            })
            .count();
        let unexplained = findings
            .history
            .events()
            .filter(|(id, _)| !self.learned.contains_key(id))
            .map(|(_, event)| match event.operation {
                Operation::Append { count, outcome: Appended::Unknown, .. } => count as usize,
                _ => 0,
            })
            .sum();
        if missing_below_others <= unexplained {
            return;
        }
        let mut above = beyond;
        for (position, &id) in self.table.iter().enumerate().rev() {
            match above {
                Some(above) if id == NOBODY => {
                    findings.add(Fault::MissingPosition, position as u64, || (above, None));
                }
                _ => above = if id == NOBODY { above } else { Some(id) },
            }
        }
    }

    /// From the largest position down: the first response behind must not precede the call.
    fn check_order(&self, findings: &mut Findings<'_>) {
        let mut first_response = (NEVER, NOBODY);
        for (position, &id) in self.table.iter().enumerate().rev() {
            if id == NOBODY {
                continue;
            }
            let event = findings.event(id);
            if first_response.0 < event.called {
                let behind = first_response.1;
                findings.add(Fault::OutOfOrder, position as u64, || (behind, Some(id)));
            }
            first_response = first_response.min((event.returned, id));
        }
    }

    fn accumulate(&mut self, findings: &Findings<'_>) {
        let (mut acknowledged, mut begun) = (0, 0);
        self.acknowledged.reserve_exact(self.table.len());
        self.begun.reserve_exact(self.table.len());
        for &id in &self.table {
            if id == NOBODY {
                acknowledged = NEVER;
            } else {
                let event = findings.event(id);
                acknowledged = acknowledged.max(event.returned);
                begun = begun.max(event.called);
            }
            self.acknowledged.push(acknowledged);
            self.begun.push(begun);
        }
    }

    /// How many positions there can be.
    pub(super) fn limit(&self) -> u64 {
        self.table.len() as u64
    }

    /// The append that has the position.
    #[inline]
    pub(super) fn at(&self, position: u64) -> Option<EventId> {
        let id = *self.table.get(usize::try_from(position).ok()?)?;
        (id != NOBODY).then_some(id)
    }

    /// The position of an append's first record.
    #[inline]
    pub(super) fn first_of(&self, id: EventId, event: &Event) -> Option<u64> {
        match event.operation {
            Operation::Append { outcome: Appended::At(position), .. } => Some(position),
            _ => self.learned.get(&id).copied(),
        }
    }

    /// The batch that has records on both sides of the border before `position`.
    pub(super) fn split_at(&self, position: u64) -> Option<EventId> {
        let before = self.at(position.checked_sub(1)?)?;
        (self.at(position) == Some(before)).then_some(before)
    }

    /// Whether the position and all before it were acknowledged before `stamp`.
    #[inline]
    pub(super) fn is_acknowledged_before(&self, position: u64, stamp: u64) -> bool {
        usize::try_from(position)
            .ok()
            .and_then(|position| self.acknowledged.get(position))
            .is_some_and(|&acknowledged| acknowledged < stamp)
    }

    /// An append of a position before `end` that was called after `stamp`.
    pub(super) fn called_after(&self, end: u64, stamp: u64) -> Option<EventHint> {
        let last = usize::try_from(end.checked_sub(1)?).ok()?;
        let called = *self.begun.get(last)?;
        (called > stamp).then_some(EventHint { called, end: last + 1 })
    }

    /// How many positions from 0 on were called for by `stamp`.
    pub(super) fn called_by(&self, stamp: u64) -> u64 {
        self.begun.partition_point(|&called| called <= stamp) as u64
    }

    /// The append that a hint speaks of.
    pub(super) fn resolve(&self, history: &History, hint: EventHint) -> Option<EventId> {
        let called = |id: EventId| id != NOBODY && history.event(id).called == hint.called;
        self.table[..hint.end].iter().copied().find(|&id| called(id))
    }
}

/// An append that is found by its call's stamp when somebody wants to see it.
#[derive(Clone, Copy)]
pub(super) struct EventHint {
    called: u64,
    end: usize,
}
