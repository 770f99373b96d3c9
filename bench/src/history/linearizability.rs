//! The search for one order of steps that explains a small history, after Wing and Gong, with the
//! memory of Lowe: a set of steps done and a state that led nowhere once are not tried again.
//!
//! Snapshots of a concurrent log are not linearizable with its appends as single steps: an append may
//! return before it can be shown, as long as one with a smaller position is under way. So operations are
//! a few steps each, all of them between call and response, and the history
//! is right if the steps can be put into one order that the sequential specification allows.
//!
//! The cost is exponential in the number of operations that overlap. It is meant for tens of operations
//! (and for [checking the checker](super::Checker)).

use std::collections::HashSet;

use super::event::{Appended, Event, EventId, History, NEVER, Operation};
use super::specification::{State, steps};

/// What the search has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is an order of steps that explains every answer.
    Linearizable,
    /// There is none.
    Impossible,
    /// The search was given up: more states than allowed, or more than 255 operations.
    Unknown,
}

/// Searches for an order of steps that explains the history of a log that is trimmed by hand only; gives
/// up after `states` different states.
#[must_use]
pub fn linearizable(history: &History, states: usize) -> Verdict {
    let mut operations: Vec<_> =
        history.events().map(|(id, event)| Work { id, event: *event }).collect();
    if operations.len() > 255 {
        return Verdict::Unknown;
    }
    operations.sort_by_key(|work| work.event.called);
    let mut search = Search { history, operations, tried: HashSet::new(), left: states };
    let done = vec![0; search.operations.len()].into_boxed_slice();
    match search.explain(&done, &State::default()) {
        _ if search.left == 0 => Verdict::Unknown,
        true => Verdict::Linearizable,
        false => Verdict::Impossible,
    }
}

struct Work {
    id: EventId,
    event: Event,
}

impl Work {
    /// Whether it may be left undone.
    fn is_open(&self) -> bool {
        matches!(
            self.event.operation,
            Operation::Append { outcome: Appended::Unknown, .. }
                | Operation::Trim { horizon: None, .. }
                | Operation::Seal { end: None }
        )
    }
}

struct Search<'h> {
    history: &'h History,
    /// By call.
    operations: Vec<Work>,
    tried: HashSet<(Box<[u8]>, State)>,
    left: usize,
}

impl Search<'_> {
    /// `done`: how many steps of each operation have been taken.
    fn explain(&mut self, done: &[u8], state: &State) -> bool {
        let is_complete = |(work, done): (&Work, &u8)| *done == steps(&work.event.operation);
        let undone = || self.operations.iter().zip(done).filter(|pair| !is_complete(*pair));
        // Nothing begins that was called after the first response that is still to come.
        let deadline = undone().map(|(work, _)| work.event.returned).min().unwrap_or(NEVER);
        if undone().all(|(work, _)| work.is_open()) {
            return true;
        }
        for index in 0..self.operations.len() {
            let work = &self.operations[index];
            if work.event.called > deadline {
                break;
            }
            if done[index] == steps(&work.event.operation) {
                continue;
            }
            let mut next = state.clone();
            let values = self.history.values(work.id);
            if !next.step(index as u8, done[index], &work.event, values) {
                continue;
            }
            let mut done: Box<[u8]> = done.into();
            done[index] += 1;
            if self.left > 0 && self.tried.insert((done.clone(), next.clone())) {
                self.left -= 1;
                if self.explain(&done, &next) {
                    return true;
                }
            }
        }
        false
    }
}
