//! Small histories of a correct log: a few threads that a script of random numbers drives step by step.

use streamcore_bench::history::{Appended, Event, History, NEVER, Operation, Thread};

/// What a thread is in the middle of.
#[derive(Clone, Copy)]
struct Doing {
    called: u64,
    operation: Operation,
    step: u8,
    /// The tail that a snapshot has read.
    tail: usize,
}

struct Slot {
    value: u64,
    batch: u64,
    is_filled: bool,
}

/// The log, its threads, and the script.
pub struct Simulation<'s> {
    script: std::slice::Iter<'s, u16>,
    history: History,
    doing: Vec<Option<Doing>>,
    responses: u64,
    slots: Vec<Slot>,
    mark: usize,
    horizon: usize,
    is_sealed: bool,
    appends: u64,
}

impl<'s> Simulation<'s> {
    /// Runs the script with so many threads. What is under way when it ends is brought to its end, or
    /// stays open.
    pub fn run(threads: usize, script: &'s [u16], leave_open: bool) -> History {
        let mut simulation = Self {
            script: script.iter(),
            history: History { threads: vec![Thread::default(); threads] },
            doing: vec![None; threads],
            responses: 0,
            slots: Vec::new(),
            mark: 0,
            horizon: 0,
            is_sealed: false,
            appends: 0,
        };
        while let Some(thread) = simulation.draw(threads) {
            if !simulation.step(thread) {
                break;
            }
        }
        simulation.end(leave_open);
        simulation.history
    }

    fn draw(&mut self, bound: usize) -> Option<usize> {
        self.script.next().map(|number| usize::from(*number) % bound)
    }

    /// Begins an operation, or takes a step of the one under way; false at the script's end.
    fn step(&mut self, thread: usize) -> bool {
        let Some(doing) = self.doing[thread] else {
            let operation = self.choose();
            self.doing[thread] = operation.map(|operation| Doing {
                called: self.responses,
                operation,
                step: 0,
                tail: 0,
            });
            return operation.is_some();
        };
        self.go_on(thread, doing);
        true
    }

    fn choose(&mut self) -> Option<Operation> {
        let kind = self.draw(32)?;
        let detail = self.draw(1 << 16)?;
        let near = (self.mark + 2).saturating_sub(detail % 5) as u64;
        Some(match kind {
            0..12 => {
                let count = if kind < 8 { 1 } else { 2 + detail as u32 % 2 };
                let first = self.appends;
                self.appends += 8;
                Operation::Append { first, count, outcome: Appended::Unknown }
            }
            12..20 => Operation::Snapshot { start: 0, end: 0 },
            20..26 => Operation::Read { from: near, values: 0, count: detail as u32 % 3 + 1 },
            26 | 27 => Operation::Latest { position: 0 },
            28 => Operation::Visible { position: near.saturating_sub(1) },
            29 | 30 => Operation::Trim { to: near, horizon: None },
            _ => Operation::Seal { end: None },
        })
    }

    fn go_on(&mut self, thread: usize, mut doing: Doing) {
        let step = doing.step;
        doing.step += 1;
        let mut is_over = true;
        match &mut doing.operation {
            Operation::Append { first, count, outcome } => match step {
                0 if self.is_sealed => *outcome = Appended::Redirected,
                0 => {
                    doing.tail = self.slots.len();
                    let values = *first..*first + u64::from(*count);
                    let slot = |value| Slot { value, batch: *first, is_filled: false };
                    self.slots.extend(values.map(slot));
                    is_over = false;
                }
                1 => {
                    self.fill(*first);
                    is_over = false;
                }
                _ => *outcome = Appended::At(doing.tail as u64),
            },
            Operation::Snapshot { start, end } => match step {
                0 => {
                    *start = self.horizon as u64;
                    is_over = false;
                }
                1 => {
                    doing.tail = self.slots.len();
                    is_over = false;
                }
                _ => *end = self.advance(doing.tail) as u64,
            },
            Operation::Read { from, values, count } => {
                let (at, horizon) = (*from as usize, self.horizon);
                if at < horizon {
                    doing.operation =
                        Operation::ReadTrimmed { from: *from, earliest: horizon as u64 };
                } else {
                    let mark =
                        if at < self.mark { self.mark } else { self.advance(self.slots.len()) };
                    *count = (*count as usize).min(mark.saturating_sub(at)) as u32;
                    let all = &mut self.history.threads[thread].values;
                    *values = all.len() as u64;
                    let found = self.slots.iter().skip(at).take(*count as usize);
                    all.extend(found.map(|slot| slot.value));
                }
            }
            Operation::Trim { to, horizon } => {
                let mut border = self.advance(self.slots.len()).min(*to as usize);
                while border > 0
                    && border < self.slots.len()
                    && self.slots[border - 1].batch == self.slots[border].batch
                {
                    border -= 1;
                }
                self.horizon = self.horizon.max(border);
                *horizon = Some(self.horizon as u64);
            }
            Operation::Seal { end } => {
                self.is_sealed = true;
                *end = Some(self.slots.len() as u64);
            }
            Operation::Visible { position } => {
                let (position, end) = (*position, self.slots.len() as u64);
                if self.is_sealed && position >= end {
                    doing.operation = Operation::NeverVisible { position, end };
                } else {
                    is_over = (position as usize) < self.advance(self.slots.len());
                }
            }
            Operation::Latest { position } => *position = self.slots.len() as u64,
            Operation::ReadTrimmed { .. } | Operation::NeverVisible { .. } => {}
        }
        self.doing[thread] = Some(doing);
        if is_over {
            self.doing[thread] = None;
            self.note(thread, doing, self.responses);
            self.responses += 1;
        }
    }

    fn note(&mut self, thread: usize, doing: Doing, returned: u64) {
        let Doing { called, operation, .. } = doing;
        self.history.threads[thread].events.push(Event { called, returned, operation });
    }

    fn fill(&mut self, batch: u64) {
        let own = self.slots.iter_mut().filter(|slot| slot.batch == batch);
        own.for_each(|slot| slot.is_filled = true);
    }

    fn advance(&mut self, tail: usize) -> usize {
        let filled = self.slots[..tail].iter().take_while(|slot| slot.is_filled).count();
        self.mark = self.mark.max(filled);
        self.mark
    }

    fn end(&mut self, leave_open: bool) {
        for thread in 0..self.doing.len() {
            while let Some(doing) = self.doing[thread] {
                let changes = matches!(
                    doing.operation,
                    Operation::Append { .. } | Operation::Trim { .. } | Operation::Seal { .. }
                );
                if changes && !leave_open {
                    self.go_on(thread, doing);
                    continue;
                }
                if changes {
                    self.note(thread, doing, NEVER);
                }
                self.doing[thread] = None;
            }
        }
    }
}
