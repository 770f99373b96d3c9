//! Read-modify-writes by enumeration: the orderings that loom cannot miss.
//!
//! In loom a read-modify-write reads what is newest at that moment, so those of one thread take effect in
//! the order of the program, however weak they are. C11 and some machines allow more: with relaxed
//! orderings, of two threads that each change x and y, one may come first in x and second in y. Here
//! every execution that C11 allows is enumerated for such programs, taken from core: for each atomic an
//! order of its operations (its modification order), from which follows who acquires from whom (every
//! later one that acquires, since a chain of read-modify-writes is one release sequence); allowed is
//! what has no cycle in happens-before and no two operations of one atomic against it.
//!
//! The orderings are read from core's source, as the census reads them; each is then weakened, and the
//! mistake must become possible. So these mutants die here, see `beyond-loom.md`.

#[allow(dead_code, reason = "the census uses all of it")]
#[path = "../src/bin/census/places.rs"]
mod places;

use std::path::Path;
use std::sync::LazyLock;

/// A read-modify-write of an atomic, by its number in the program.
#[derive(Clone, Copy, Debug)]
struct Step {
    atomic: usize,
    acquires: bool,
    releases: bool,
}

/// What each thread does.
type Program = Vec<Vec<Step>>;

/// For each step, thread by thread, how many of the same atomic come before it.
type Execution = Vec<usize>;

/// All orders of `count` things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |orders, next| {
        let place = |order: &Vec<usize>, at: usize| {
            let mut order = order.clone();
            order.insert(at, next);
            order
        };
        orders.iter().flat_map(|order| (0..=order.len()).map(move |at| place(order, at))).collect()
    })
}

/// Every execution of a program that C11 allows.
fn allowed(program: &Program) -> Vec<Execution> {
    let steps: Vec<(usize, Step)> = program
        .iter()
        .enumerate()
        .flat_map(|(thread, steps)| steps.iter().map(move |step| (thread, *step)))
        .collect();
    let atomics = 1 + steps.iter().map(|(_, step)| step.atomic).max().unwrap_or(0);
    let mut executions: Vec<Execution> = vec![vec![0; steps.len()]];
    for atomic in 0..atomics {
        let on_it: Vec<usize> =
            (0..steps.len()).filter(|&step| steps[step].1.atomic == atomic).collect();
        executions = executions
            .iter()
            .flat_map(|execution| {
                orders(on_it.len()).into_iter().map(|order| {
                    let mut execution = execution.clone();
                    order.iter().enumerate().for_each(|(at, &which)| execution[on_it[which]] = at);
                    execution
                })
            })
            .collect();
    }
    executions.retain(|execution| is_allowed(&steps, execution));
    executions
}

fn is_allowed(steps: &[(usize, Step)], execution: &Execution) -> bool {
    let count = steps.len();
    let earlier =
        |a: usize, b: usize| steps[a].1.atomic == steps[b].1.atomic && execution[a] < execution[b];
    let mut happens_before: Vec<Vec<bool>> = (0..count)
        .map(|a| {
            (0..count)
                .map(|b| {
                    let in_program = steps[a].0 == steps[b].0 && a < b;
                    in_program || earlier(a, b) && steps[a].1.releases && steps[b].1.acquires
                })
                .collect()
        })
        .collect();
    for through in 0..count {
        for a in 0..count {
            for b in 0..count {
                let chain = happens_before[a][through] && happens_before[through][b];
                happens_before[a][b] |= chain;
            }
        }
    }
    (0..count).all(|a| {
        !happens_before[a][a] && (0..count).all(|b| !(happens_before[a][b] && earlier(b, a)))
    })
}

/// The first ordering of a place of core, as the source has it now.
fn ordering_of(name: &str) -> String {
    static PLACES: LazyLock<Vec<places::Place>> = LazyLock::new(|| {
        places::find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src")).unwrap()
    });
    let place = PLACES.iter().find(|place| place.name == name);
    let place = place.unwrap_or_else(|| panic!("core has no {name} any more"));
    place.orderings[0].written.trim_start_matches("success ").to_owned()
}

fn step(atomic: usize, ordering: &str) -> Step {
    Step {
        atomic,
        acquires: ["Acquire", "AcqRel", "SeqCst"].contains(&ordering),
        releases: ["Release", "AcqRel", "SeqCst"].contains(&ordering),
    }
}

/// Two threads that change two atomics in opposite orders, `(0, 1)` and `(1, 0)`, by four places of
/// core: never must the first come first in 1 and, all the same, second in 0.
struct Crossing {
    first: [&'static str; 2],
    second: [&'static str; 2],
}

impl Crossing {
    fn program(&self) -> Program {
        let thread = |places: [&str; 2], atomics: [usize; 2]| {
            places.iter().zip(atomics).map(|(place, at)| step(at, &ordering_of(place))).collect()
        };
        vec![thread(self.first, [0, 1]), thread(self.second, [1, 0])]
    }

    /// Whether the mistake can happen.
    fn goes_wrong(program: &Program) -> bool {
        allowed(program).iter().any(|execution| {
            let [in_0, in_1, back_in_1, back_in_0] = execution[..4] else { unreachable!() };
            in_1 < back_in_1 && back_in_0 < in_0
        })
    }

    fn check(&self) {
        let program = self.program();
        assert!(!Self::goes_wrong(&program), "{:?} cross with {:?}", self.first, self.second);
        // An appender comes in between, and passes on what it does not look at.
        let mut disturbed = program.clone();
        disturbed.push(vec![step(1, "Relaxed"), step(1, "Relaxed")]);
        assert!(!Self::goes_wrong(&disturbed));
        for (thread, at, weaken) in [(0, 1, Half::Release), (1, 0, Half::Acquire)] {
            let mut weakened = program.clone();
            weaken.of(&mut weakened[thread][at]);
            assert!(Self::goes_wrong(&weakened), "nothing needs {weaken:?} in thread {thread}");
        }
    }
}

/// What is taken from an ordering.
#[derive(Debug)]
enum Half {
    Acquire,
    Release,
}

impl Half {
    fn of(&self, step: &mut Step) {
        match self {
            Self::Acquire => step.acquires = false,
            Self::Release => step.releases = false,
        }
    }
}

/// A waker that clears a waiter's bit finds its node in the list: otherwise the waiter sleeps on.
#[test]
fn who_clears_the_bit_takes_the_node_that_was_pushed_before_it() {
    Crossing {
        first: [
            "log/waiters.rs WaitList::push compare_exchange",
            "log/tail.rs Tail::announce_waiter fetch_or",
        ],
        second: [
            "log/tail.rs Tail::clear_waiters fetch_and",
            "log/waiters.rs WaitList::take_all swap",
        ],
    }
    .check();
}

/// A waiter that finds its node queued still does not push it again: whoever takes it out finds the waker
/// that the waiter has just left.
#[test]
fn who_takes_a_node_out_takes_the_waker_that_was_left_before() {
    Crossing {
        first: ["log/waiters.rs WaitNode::leave swap", "log/waiters.rs WaitNode::mark_queued swap"],
        second: [
            "log/waiters.rs WaitNode::unmark_queued swap",
            "log/waiters.rs WaitNode::take swap",
        ],
    }
    .check();
}

#[test]
fn the_enumeration_knows_what_is_allowed() {
    let relaxed = |atomics: &[usize]| atomics.iter().map(|&at| step(at, "Relaxed")).collect();
    // Two atomics, two operations each: every pair of orders, but for none within a thread.
    let crossing: Program = vec![relaxed(&[0, 1]), relaxed(&[1, 0])];
    assert_eq!(allowed(&crossing).len(), 4);
    // One thread keeps its order on one atomic.
    let alone: Program = vec![relaxed(&[0, 0, 0])];
    assert_eq!(allowed(&alone), [[0, 1, 2]]);
    // Released and acquired, the second thread follows the first in both.
    let first = vec![step(0, "Relaxed"), step(1, "Release")];
    let second = vec![step(1, "Acquire"), step(0, "Relaxed")];
    let ordered = allowed(&vec![first, second]);
    assert!(!ordered.contains(&vec![1, 0, 1, 0]));
    assert_eq!(ordered.len(), 3);
}
