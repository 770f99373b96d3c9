//! Rounds: the same work at several sizes, in turns.

use std::time::Instant;

/// Rounds of a measurement, the first of which does not count.
pub const ROUNDS: usize = 21;

/// What was measured: in each round, nanoseconds per operation at each size.
pub struct Rounds(pub Vec<Vec<f64>>);

/// One of the sizes: does some operations, and says what one of them took.
pub type Turn<'a> = &'a mut dyn FnMut() -> f64;

impl Rounds {
    /// Measures; in each round another size comes first.
    pub fn of(turns: &mut [Turn<'_>]) -> Self {
        let count = turns.len();
        let rounds = (0..=ROUNDS).map(|round| {
            let mut values = vec![0.0; count];
            for turn in 0..count {
                let at = (round + turn) % count;
                values[at] = turns[at]();
            }
            values
        });
        Self(rounds.skip(1).collect())
    }

    /// The values of one size.
    pub fn at(&self, size: usize) -> Vec<f64> {
        self.0.iter().map(|values| values[size]).collect()
    }

    /// The values of the largest and of the smallest size, round by round.
    pub fn ends(&self) -> Vec<(f64, f64)> {
        let ends = |values: &Vec<f64>| Some((*values.last()?, *values.first()?));
        self.0.iter().filter_map(ends).collect()
    }
}

/// What an operation takes, in nanoseconds, if this does so many.
pub fn timed(operations: u64, work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_nanos() as f64 / operations as f64
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn sizes_take_turns() {
        let order = RefCell::new(Vec::new());
        let turn = |size: usize| {
            order.borrow_mut().push(size);
            size as f64
        };
        let rounds = Rounds::of(&mut [&mut || turn(1), &mut || turn(2)]);
        assert_eq!(order.borrow()[..6], [1, 2, 2, 1, 1, 2]);
        assert_eq!((rounds.0.len(), rounds.at(1)[0]), (ROUNDS, 2.0));
        assert_eq!(rounds.ends(), [(2.0, 1.0); ROUNDS]);
    }
}
