//! Runs a scenario under two schedulers, many times each, and checks that it was worth it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use shuttle::rand::{RngCore, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use streamcore_scheduled::scheduled::{memory, stall};

/// Schedules of each scenario, by each scheduler, unless `STREAMCORE_SCHEDULES` says otherwise.
const SCHEDULES: u64 = 300;
/// So many changes of priority does the second scheduler make in an execution.
const DEPTH: usize = 4;
/// An execution of more steps than this hangs.
const STEPS: usize = 400_000;

/// What executions met, and how often.
#[derive(Clone, Default)]
pub struct Met(Arc<[(&'static str, AtomicU64)]>);

impl Met {
    pub fn new(names: &[&'static str]) -> Self {
        Self(names.iter().map(|name| (*name, AtomicU64::new(0))).collect())
    }

    /// Notes that `name` was met.
    #[track_caller]
    pub fn note(&self, name: &str) {
        self.note_times(name, 1);
    }

    /// Notes that `name` was met so many times.
    #[track_caller]
    pub fn note_times(&self, name: &str, times: u64) {
        let (_, count) = self.0.iter().find(|(known, _)| *known == name).expect("a known name");
        count.fetch_add(times, Relaxed);
    }
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    let Ok(given) = std::env::var(variable) else { return otherwise };
    given.parse().unwrap_or_else(|_| panic!("{variable} is no number: {given}"))
}

/// Runs `execution` under both schedulers, and fails if something that is wanted was never met.
pub fn explore(
    name: &str,
    met: &Met,
    wanted: &[&str],
    execution: impl Fn() + Send + Sync + 'static,
) {
    let execution = Arc::new(execution);
    if let Ok(schedule) = std::env::var("STREAMCORE_SCHEDULE") {
        run(ReplayScheduler::new_from_encoded(&schedule), &execution);
        return;
    }
    let schedules = number_from("STREAMCORE_SCHEDULES", SCHEDULES);
    let seed = number_from("STREAMCORE_SCHEDULES_SEED", 1);
    let times = schedules as usize;
    let began = Instant::now();
    let mut run_all = run(RandomScheduler::new_from_seed(seed, times), &execution);
    run_all += run(PctScheduler::new_from_seed(seed, DEPTH, times), &execution);
    let took = began.elapsed().as_millis();
    let figures = met.0.iter().map(|(what, count)| format!("{what} {}", count.load(Relaxed)));
    println!("{name}: {run_all} schedules, {took} ms; {}", figures.collect::<Vec<_>>().join(", "));
    assert_eq!(run_all, 2 * times);
    for what in wanted {
        let count = met.0.iter().find(|(known, _)| known == what).expect("a known name");
        assert!(count.1.load(Relaxed) > 0 || times < 100, "{name} never met: {what}");
    }
}

/// Runs `execution` as often as the scheduler wants, each time with memory that is watched.
pub fn run(
    scheduler: impl Scheduler + 'static,
    execution: &Arc<impl Fn() + Send + Sync + 'static>,
) -> usize {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::Print;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    let execution = Arc::clone(execution);
    Runner::new(scheduler, config).run(move || {
        memory::begin();
        stall::begin();
        execution();
        memory::end();
    })
}

/// Pseudo-random numbers (splitmix64), which a repeated schedule repeats.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        Self(thread_rng().next_u64())
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit.max(1)
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}
