//! Runs a model: a scene, roles that act on it at the same time, and what must be true.
//!
//! What is asserted belongs inside the role that races: joining is a happens-before edge, so an
//! assertion in `after` says nothing about orderings.
//!
//! The harness
//!
//! - runs every distinct order in which the roles can be spawned, because loom's own choice of
//!   "first" hides behaviours in some of them;
//! - bounds preemptions, and nothing else: loom calls a run that was stopped by a limit a success;
//! - fails a model that explored one execution only, that never reached a state it declared as
//!   interesting, or that leaked;
//! - joins without loom's `join`, whose edges and prints are in the way, and passes to the end of an
//!   execution exactly the edges that a join gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use streamcore_modelled::modelled::Life;
use streamcore_modelled::modelled::memory::{begin_execution, end_execution, enter_role};

/// Deepens every model: at least this many preemptions per execution.
const BOUND_VARIABLE: &str = "STREAMCORE_MODEL_BOUND";

/// Words of stack for a role: enough to format a panic with its backtrace.
const STACK: usize = 0x8000;

/// Tells the harness that the execution got where the model wants it.
#[derive(Clone)]
pub struct Probe {
    declared: Arc<[&'static str]>,
    reached: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Probe {
    /// This execution reached the state `name`, which the model declared by [`Model::reaches`].
    pub fn reach(&self, name: &'static str) {
        assert!(self.declared.contains(&name), "the model does not declare {name:?}");
        self.reached.lock().unwrap().insert(name);
    }

    /// [`reach`](Self::reach), on a condition.
    pub fn reach_if(&self, condition: bool, name: &'static str) {
        if condition {
            self.reach(name);
        }
    }
}

/// A value that the checker watches: reading it races with its move and its drop, and a copy that is
/// never dropped, or dropped twice, fails the model.
pub struct Watched {
    number: u64,
    life: Life,
}

impl Watched {
    #[track_caller]
    pub fn new(number: u64) -> Self {
        Self { number, life: Life::begin() }
    }

    /// The number, if whoever calls may read it.
    #[track_caller]
    pub fn read(&self) -> u64 {
        self.life.touch();
        self.number
    }
}

impl Drop for Watched {
    #[track_caller]
    fn drop(&mut self) {
        self.life.end();
    }
}

type Act<S> = Arc<dyn Fn(&S, &Probe) + Send + Sync>;
type Finish<S> = Arc<dyn Fn(S, &Probe) + Send + Sync>;

/// A model to check; see the header of this file.
#[must_use = "a model that is not checked proves nothing"]
pub struct Model<S> {
    name: &'static str,
    bound: usize,
    branches: usize,
    reaches: Vec<&'static str>,
    scene: Arc<dyn Fn() -> S + Send + Sync>,
    roles: Vec<(&'static str, Act<S>)>,
    after: Finish<S>,
}

/// Spawns threads of a model in the given order, and joins them.
///
/// Not by loom's `join`: that prints a line each time, and explores when main comes to wait. Main does
/// nothing else here, so loom's `unpark`, which passes the whole view of a thread to main, is a join.
pub fn run_threads<F: FnOnce() + Send + 'static>(threads: impl ExactSizeIterator<Item = F>) {
    let left = Arc::new(AtomicUsize::new(threads.len()));
    for (role, body) in threads.enumerate() {
        let (main, left) = (loom::thread::current(), left.clone());
        let thread = move || {
            enter_role(role);
            body();
            left.fetch_sub(1, Relaxed);
            main.unpark();
        };
        let spawned = loom::thread::Builder::new().stack_size(STACK).spawn(thread);
        drop(spawned.expect("loom spawns threads without the machine's help"));
    }
    while left.load(Relaxed) > 0 {
        loom::thread::park();
    }
}

/// What exploring a model has shown.
#[derive(Debug, Default)]
pub struct Report {
    /// How many executions there were, in all orders of the roles together.
    pub executions: usize,
    /// In how many of them each declared state was reached.
    pub reached: BTreeMap<&'static str, usize>,
}

impl<S: Send + Sync + 'static> Model<S> {
    /// A model by the name that mutants call it, which is its test's; `scene` makes what the roles
    /// share, anew for each execution.
    pub fn new(name: &'static str, scene: impl Fn() -> S + Send + Sync + 'static) -> Self {
        Self {
            name,
            bound: 3,
            branches: 5_000,
            reaches: Vec::new(),
            scene: Arc::new(scene),
            roles: Vec::new(),
            after: Arc::new(|scene, _| drop(scene)),
        }
    }

    /// How many preemptions an execution may have: 3, unless said otherwise.
    pub fn bound(mut self, preemptions: usize) -> Self {
        self.bound = preemptions;
        self
    }

    /// How many steps an execution may have before it counts as endless: 5,000, unless said otherwise.
    #[allow(dead_code, reason = "for models that need it")]
    pub fn steps(mut self, steps: usize) -> Self {
        self.branches = steps;
        self
    }

    /// The states that some execution must reach, and no others may be named to the probe.
    pub fn reaches(mut self, names: &[&'static str]) -> Self {
        self.reaches.extend(names);
        self
    }

    /// A thread of the model, at most four. Roles of one name must be the same: orders that differ
    /// only in which of them comes first are run once.
    pub fn role(
        mut self,
        name: &'static str,
        act: impl Fn(&S, &Probe) + Send + Sync + 'static,
    ) -> Self {
        self.roles.push((name, Arc::new(act)));
        self
    }

    /// What happens to the scene when all roles have been joined; unless said otherwise, it is dropped.
    pub fn after(mut self, finish: impl Fn(S, &Probe) + Send + Sync + 'static) -> Self {
        self.after = Arc::new(finish);
        self
    }

    /// Explores the model in all orders of its roles.
    ///
    /// # Panics
    ///
    /// When an execution fails, and when the exploration was vacuous.
    #[track_caller]
    pub fn check(self) -> Report {
        let mut total = Report::default();
        let begun = Instant::now();
        let orders = self.orders();
        for order in &orders {
            let report = self.explore(order);
            assert!(
                report.executions > 1,
                "model {} [{}] explored one execution: nothing races",
                self.name,
                self.names(order),
            );
            total.executions += report.executions;
            for (name, count) in report.reached {
                *total.reached.entry(name).or_default() += count;
            }
        }
        let line = format!("{} orders, {}", orders.len(), self.line(&total, begun));
        // Past the capture of the test runner: the numbers belong into every log of a run.
        let _ = writeln!(std::io::stderr(), "model {}: {line}", self.name);
        for name in &self.reaches {
            let never = total.reached.get(name).is_none_or(|&count| count == 0);
            assert!(!never, "model {} is vacuous: no execution reached {name:?}", self.name);
        }
        total
    }

    /// Explores a model that must fail, and gives the message with which it does.
    ///
    /// # Panics
    ///
    /// When it survives.
    #[track_caller]
    pub fn check_fails(self) -> String {
        let name = self.name;
        // On a thread of its own: a failed exploration leaves loom's threads where they were.
        let outcome = std::thread::spawn(move || drop(self.check())).join();
        let payload = outcome.expect_err(&format!("model {name} must fail, and survived"));
        match payload.downcast::<String>() {
            Ok(message) => *message,
            Err(other) => {
                other.downcast_ref::<&str>().copied().unwrap_or("not a message").to_owned()
            }
        }
    }

    fn explore(&self, order: &[usize]) -> Report {
        let mut builder = loom::model::Builder::new();
        builder.max_threads = self.roles.len() + 1;
        builder.max_branches = self.branches;
        builder.preemption_bound = Some(self.preemptions());
        // A run that these stop would count as a success, so the environment must not set them.
        builder.max_permutations = None;
        builder.max_duration = None;
        builder.checkpoint_file = None;
        let totals = Arc::new(Mutex::new(Report::default()));
        let begun = Instant::now();
        let execution = self.execution(order, totals.clone());
        let outcome = catch_unwind(AssertUnwindSafe(|| builder.check(execution)));
        let report = std::mem::take(&mut *totals.lock().unwrap());
        if let Err(failure) = outcome {
            // The mutants' runner reads this line.
            eprintln!(
                "model {} [{}] failed in execution {} after {} ms",
                self.name,
                self.names(order),
                report.executions,
                begun.elapsed().as_millis(),
            );
            resume_unwind(failure);
        }
        println!("model {} [{}]: {}", self.name, self.names(order), self.line(&report, begun));
        report
    }

    /// One execution, as loom runs it again and again.
    fn execution(
        &self,
        order: &[usize],
        totals: Arc<Mutex<Report>>,
    ) -> impl Fn() + Send + Sync + 'static {
        let acts: Vec<Act<S>> = order.iter().map(|&role| self.roles[role].1.clone()).collect();
        let (scene, after) = (self.scene.clone(), self.after.clone());
        let declared: Arc<[&'static str]> = self.reaches.as_slice().into();
        move || {
            totals.lock().unwrap().executions += 1;
            begin_execution();
            let probe = Probe { declared: declared.clone(), reached: Arc::default() };
            let scene = Arc::new(scene());
            run_threads(acts.iter().map(|act| {
                let (act, scene, probe) = (act.clone(), scene.clone(), probe.clone());
                move || act(&scene, &probe)
            }));
            let scene = Arc::into_inner(scene).expect("every role has let go of the scene");
            after(scene, &probe);
            let leaks = end_execution();
            assert!(leaks.is_empty(), "leaked, or ended twice: {}", leaks.join("; "));
            let reached = std::mem::take(&mut *probe.reached.lock().unwrap());
            let mut totals = totals.lock().unwrap();
            for name in reached {
                *totals.reached.entry(name).or_default() += 1;
            }
        }
    }

    fn preemptions(&self) -> usize {
        let deepened = std::env::var(BOUND_VARIABLE).ok().map(|bound| {
            bound.parse().unwrap_or_else(|_| panic!("{BOUND_VARIABLE} is not a number: {bound:?}"))
        });
        self.bound.max(deepened.unwrap_or(0))
    }

    /// Every order of the roles, once for each sequence of names.
    fn orders(&self) -> Vec<Vec<usize>> {
        let mut orders = vec![Vec::new()];
        for _ in &self.roles {
            orders = orders
                .iter()
                .flat_map(|begun: &Vec<usize>| {
                    let mut taken = BTreeSet::new();
                    (0..self.roles.len())
                        .filter(|role| !begun.contains(role))
                        .filter(|&role| taken.insert(self.roles[role].0))
                        .map(|role| begun.iter().copied().chain([role]).collect())
                        .collect::<Vec<_>>()
                })
                .collect();
        }
        orders
    }

    fn names(&self, order: &[usize]) -> String {
        order.iter().map(|&role| self.roles[role].0).collect::<Vec<_>>().join(" ")
    }

    fn line(&self, report: &Report, begun: Instant) -> String {
        let mut line = format!("bound {}, {} executions", self.preemptions(), report.executions);
        for name in &self.reaches {
            let count = report.reached.get(name).copied().unwrap_or(0);
            let _ = write!(line, ", {name}: {count}");
        }
        let _ = write!(line, ", {} ms", begun.elapsed().as_millis());
        line
    }
}
