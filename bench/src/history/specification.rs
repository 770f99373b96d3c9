//! What a log is, one step after the other: the sequential specification that the search runs.
//!
//! An operation is up to three steps, each of them atomic. An append takes its positions, fills them, and
//! is acknowledged: between the first two it hides what comes behind it, and until the third nobody is owed
//! sight of it. A snapshot begins, then finds the start, then the end. What was shown stays shown; how far a
//! snapshot looks between what it owes and what is filled is the log's choice.

use super::event::{Appended, Event, Operation};

/// The log between two steps, and what the open operations hold.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct State {
    records: Vec<Slot>,
    sealed: bool,
    /// The first position retained.
    horizon: u64,
    /// The furthest position that a trim has asked for.
    asked: u64,
    /// The furthest end that somebody was shown.
    shown: u64,
    /// Per operation that has begun to look: the end that it must show at least.
    owed: Vec<(u8, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Slot {
    value: u64,
    operation: u8,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Hash)]
enum Stage {
    Taken,
    Filled,
    Acknowledged,
}

/// How many steps an operation has.
pub(super) fn steps(operation: &Operation) -> u8 {
    match operation {
        Operation::Append { outcome: Appended::At(_), .. } | Operation::Snapshot { .. } => 3,
        Operation::Append { outcome: Appended::Unknown, .. }
        | Operation::Read { count: 0, .. }
        | Operation::Trim { horizon: Some(_), .. } => 2,
        _ => 1,
    }
}

impl State {
    /// Takes a step of an operation, if it is possible now with the answer that was given.
    pub(super) fn step(&mut self, number: u8, step: u8, event: &Event, values: &[u64]) -> bool {
        match event.operation {
            Operation::Append { outcome: Appended::Redirected, .. } => self.sealed,
            Operation::Append { first, count, outcome } => match step {
                0 => self.take(number, first, count, outcome),
                1 => self.promote(number, Stage::Filled),
                _ => self.promote(number, Stage::Acknowledged),
            },
            Operation::Snapshot { start, end } => match step {
                0 => self.begin_to_look(number),
                1 => self.sees_horizon(start),
                _ => {
                    let is_right = self.owes(number) <= end
                        && self.shown <= end
                        && start <= end
                        && end <= self.prefix(Stage::Filled)
                        && self.is_border(end);
                    self.shown = end;
                    is_right
                }
            },
            Operation::Read { from, count: 0, .. } => match step {
                0 => self.begin_to_look(number),
                _ => self.owes(number) <= from && self.shown <= from,
            },
            Operation::Read { from, .. } => {
                let end = from + values.len() as u64;
                let are_right = end <= self.prefix(Stage::Filled)
                    && self.records[from as usize..end as usize]
                        .iter()
                        .map(|slot| slot.value)
                        .eq(values.iter().copied());
                self.shown = self.shown.max(end);
                are_right
            }
            Operation::ReadTrimmed { from, earliest } => {
                from < earliest && self.sees_horizon(earliest)
            }
            Operation::Trim { to, horizon } => match (step, horizon) {
                (1, Some(horizon)) => self.sees_horizon(horizon),
                _ => {
                    self.asked = self.asked.max(to);
                    true
                }
            },
            Operation::Seal { end } => {
                self.sealed = true;
                end.is_none_or(|end| end == self.tail())
            }
            Operation::Visible { position } => {
                let end = position.saturating_add(1);
                self.shown = self.shown.max(end);
                end <= self.prefix(Stage::Filled)
            }
            Operation::NeverVisible { position, end } => {
                self.sealed && end == self.tail() && position >= end
            }
            Operation::Latest { position } => position == self.tail(),
        }
    }

    fn tail(&self) -> u64 {
        self.records.len() as u64
    }

    fn take(&mut self, operation: u8, first: u64, count: u32, outcome: Appended) -> bool {
        let is_right = outcome == Appended::Unknown || outcome == Appended::At(self.tail());
        if self.sealed || !is_right {
            return false;
        }
        let values = first..first + u64::from(count);
        let stage = Stage::Taken;
        self.records.extend(values.map(|value| Slot { value, operation, stage }));
        true
    }

    fn promote(&mut self, operation: u8, stage: Stage) -> bool {
        let own = self.records.iter_mut().filter(|slot| slot.operation == operation);
        own.for_each(|slot| slot.stage = stage);
        true
    }

    /// How far all records have come to this stage.
    fn prefix(&self, stage: Stage) -> u64 {
        self.records.iter().take_while(|slot| slot.stage >= stage).count() as u64
    }

    fn begin_to_look(&mut self, operation: u8) -> bool {
        self.owed.push((operation, self.prefix(Stage::Acknowledged)));
        true
    }

    /// What the operation has to show; it looks now.
    fn owes(&mut self, operation: u8) -> u64 {
        let index = self.owed.iter().position(|(number, _)| *number == operation);
        index.map_or(0, |index| self.owed.remove(index).1)
    }

    /// The horizon stands there now: it has not come back, was asked for, and has split nothing.
    fn sees_horizon(&mut self, horizon: u64) -> bool {
        let is_right = self.horizon <= horizon
            && horizon <= self.asked.max(self.horizon)
            && horizon <= self.prefix(Stage::Filled)
            && self.is_border(horizon);
        self.horizon = horizon;
        self.shown = self.shown.max(horizon);
        is_right
    }

    /// No batch lies on both sides.
    fn is_border(&self, position: u64) -> bool {
        let operation = |position: u64| {
            let slot = self.records.get(usize::try_from(position).ok()?)?;
            Some(slot.operation)
        };
        position.checked_sub(1).is_none_or(|before| {
            operation(before).is_none_or(|before| operation(position) != Some(before))
        })
    }
}
