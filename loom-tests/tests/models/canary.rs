//! Checks the checker: behaviours that exist must be seen.
//!
//! loom 0.7.2 skips some (its issues 166 and 392), on exactly the pattern of this project: a load,
//! then a compare-and-swap of the same atomic. The companion in `sync/modelled/atomic.rs` is the
//! cure. Here plain loom and the cured atomics run the same small programs, and what they see is
//! compared with what plain interleaving, step by step, can produce.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::{Arc, Mutex};

use streamcore_modelled::modelled::atomic::AtomicU64 as Cured;

use crate::harness::run_threads;

type Plain = loom::sync::atomic::AtomicU64;

/// A step of a thread, on one of the program's atomics.
#[derive(Clone, Copy, Debug)]
enum Step {
    Load(usize),
    Store(usize, u64),
    Add(usize, u64),
    Max(usize, u64),
    Exchange(usize, u64, u64),
}
use Step::{Add, Exchange, Load, Max, Store};

/// What each thread does; an outcome is what each step of each thread has read.
type Program = Vec<Vec<Step>>;
type Outcome = Vec<Vec<u64>>;

const ATOMICS: usize = 2;

trait Atomic: Send + Sync + 'static {
    fn zero() -> Self;
    fn run(&self, step: Step) -> u64;
}

macro_rules! atomic {
    ($name:ty) => {
        impl Atomic for $name {
            fn zero() -> Self {
                <$name>::new(0)
            }

            fn run(&self, step: Step) -> u64 {
                match step {
                    Load(_) => self.load(Acquire),
                    Store(_, value) => {
                        self.store(value, Release);
                        0
                    }
                    Add(_, value) => self.fetch_add(value, AcqRel),
                    Max(_, value) => self.fetch_max(value, AcqRel),
                    Exchange(_, current, new) => self
                        .compare_exchange(current, new, AcqRel, Acquire)
                        .unwrap_or_else(|seen| seen),
                }
            }
        }
    };
}
atomic!(Plain);
atomic!(Cured);

impl Step {
    fn atomic(self) -> usize {
        match self {
            Load(at) | Store(at, _) | Add(at, _) | Max(at, _) | Exchange(at, _, _) => at,
        }
    }

    fn interpret(self, values: &mut [u64; ATOMICS]) -> u64 {
        let value = &mut values[self.atomic()];
        let before = *value;
        match self {
            Load(_) => {}
            Store(_, new) => {
                *value = new;
                return 0;
            }
            Add(_, more) => *value += more,
            Max(_, other) => *value = before.max(other),
            Exchange(_, current, new) if before == current => *value = new,
            Exchange(..) => {}
        }
        before
    }
}

/// All outcomes of interleaving the threads step by step.
fn interleaved(program: &Program) -> BTreeSet<Outcome> {
    fn go(
        program: &Program,
        values: [u64; ATOMICS],
        so_far: &Outcome,
        outcomes: &mut BTreeSet<Outcome>,
    ) {
        let mut finished = true;
        for (thread, steps) in program.iter().enumerate() {
            let Some(step) = steps.get(so_far[thread].len()) else {
                continue;
            };
            finished = false;
            let (mut values, mut so_far) = (values, so_far.clone());
            so_far[thread].push(step.interpret(&mut values));
            go(program, values, &so_far, outcomes);
        }
        if finished {
            outcomes.insert(so_far.clone());
        }
    }
    let mut outcomes = BTreeSet::new();
    go(program, [0; ATOMICS], &vec![Vec::new(); program.len()], &mut outcomes);
    outcomes
}

/// All outcomes that loom explores, when the threads are spawned in the order of the program.
fn explored<A: Atomic>(program: &Program) -> BTreeSet<Outcome> {
    let outcomes = Arc::new(Mutex::new(BTreeSet::new()));
    let (program, all) = (program.clone(), outcomes.clone());
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.max_duration = None;
    builder.max_permutations = None;
    builder.check(move || {
        let atomics: Arc<[A; ATOMICS]> = Arc::new(std::array::from_fn(|_| A::zero()));
        let outcome = Arc::new(Mutex::new(vec![Vec::new(); program.len()]));
        run_threads(program.clone().into_iter().enumerate().map(|(thread, steps)| {
            let (atomics, outcome) = (atomics.clone(), outcome.clone());
            move || {
                for step in steps {
                    let read = atomics[step.atomic()].run(step);
                    outcome.lock().unwrap()[thread].push(read);
                }
            }
        }));
        all.lock().unwrap().insert(outcome.lock().unwrap().clone());
    });
    let outcomes = outcomes.lock().unwrap();
    outcomes.clone()
}

#[test]
fn both_outcomes_of_a_load_against_an_install_are_seen() {
    let mut missed = Vec::new();
    for program in [
        vec![vec![Load(0), Exchange(0, 0, 1)], vec![Load(0)]],
        vec![vec![Load(0)], vec![Load(0), Exchange(0, 0, 1)]],
    ] {
        let possible = interleaved(&program);
        assert_eq!(possible.len(), 2, "the load reads 0 or 1");
        assert_eq!(explored::<Cured>(&program), possible, "the companion no longer cures loom");
        let plain = explored::<Plain>(&program);
        assert!(plain.is_subset(&possible));
        if plain != possible {
            missed.push(program);
        }
    }
    if missed.is_empty() {
        println!("plain loom sees both outcomes now: perhaps the companion can go");
    }
    println!("plain loom misses an outcome of {missed:?}");
}

/// A small generator of numbers, the same at every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Each atomic is either stored to or read-modified-written: loom does not order a store that
    /// races with such an operation (its issues 282 and 389), and neither do we mix them.
    fn step(&mut self) -> Step {
        let at = self.below(ATOMICS as u64) as usize;
        let value = 1 + self.below(2);
        match (at, self.below(4)) {
            (_, 0) => Load(at),
            (0, 1) => Add(at, value),
            (0, 2) => Max(at, value),
            (0, _) => Exchange(at, self.below(2), value),
            (_, 1) => Load(at),
            _ => Store(at, value),
        }
    }

    fn program(&mut self, threads: u64, most_steps: u64) -> Program {
        (0..threads)
            .map(|_| (0..1 + self.below(most_steps)).map(|_| self.step()).collect())
            .collect()
    }
}

#[test]
fn every_interleaving_of_random_programs_is_seen() {
    let mut numbers = Numbers(1);
    let (mut programs, mut missed_by_plain) = (0, 0);
    for (threads, most_steps, count) in [(2, 3, 300), (3, 2, 200)] {
        for _ in 0..count {
            let program = numbers.program(threads, most_steps);
            let possible = interleaved(&program);
            let cured = explored::<Cured>(&program);
            let missed: Vec<_> = possible.difference(&cured).collect();
            assert!(missed.is_empty(), "with the companion loom misses {missed:?} of {program:?}");
            missed_by_plain += usize::from(!possible.is_subset(&explored::<Plain>(&program)));
            programs += 1;
        }
    }
    println!("plain loom misses outcomes of {missed_by_plain} of {programs} random programs");
}
