//! Threads that begin together and are measured: writers whose work is timed, and readers that go on
//! until the writers are done.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::latency::{Latencies, Recorder, Ticks};
use super::machine::{Between, Moment};
use crate::allocator::Allocations;
use crate::payload::Seen;
use crate::scenario::Timing;

/// Nothing takes longer: a contender that is slow at something is measured over fewer operations.
pub const LIMIT: Duration = Duration::from_millis(400);
/// Operations between two looks at the clock.
pub const CHUNK: u64 = 2048;

/// What all threads of a measurement share.
pub struct Gate {
    barrier: Barrier,
    ticks: Ticks,
    began: Instant,
    /// Writers that have not finished.
    busy: AtomicUsize,
    /// Operations done, once there are no busy writers; per log, at the most eight.
    done: [AtomicU64; 8],
}

/// What a writer did.
pub struct Did {
    /// From and to, since the gate was made.
    span: (Duration, Duration),
    operations: u64,
    allocations: Allocations,
    latencies: Option<Recorder>,
}

impl Did {
    /// Operations done.
    pub fn operations(&self) -> u64 {
        self.operations
    }
}

/// What all did together.
pub struct Outcome {
    /// Nanoseconds by the wall clock, from the first thread's beginning to the last one's end.
    pub elapsed: f64,
    /// Operations of all.
    pub operations: u64,
    /// Allocations of all.
    pub allocations: Allocations,
    /// If they were timed.
    pub latencies: Option<Latencies>,
    /// What each reader saw, and the nanoseconds it took.
    pub seen: Vec<(Seen, f64)>,
    /// What the machine did.
    pub between: Between,
    /// See [`Measurement::held`](super::record::Measurement::held); whoever asks for it notes it.
    pub held: Option<u64>,
}

impl Gate {
    /// Waits until all threads have warmed up; every thread calls it once.
    pub fn warm(&self) {
        self.barrier.wait();
    }

    /// Waits until all threads are ready, and until the figures of the moment are noted; every thread calls it
    /// once, writers by [`Gate::work`].
    pub fn start(&self) {
        self.barrier.wait();
        self.barrier.wait();
    }

    /// Whether a writer is still busy.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        // Acquire: pairs with the Release of the last writer; its counts are seen then.
        self.busy.load(Ordering::Acquire) > 0
    }

    /// Operations done on a log; right once the gate is no longer open.
    pub fn done_on(&self, log: usize) -> u64 {
        // Relaxed: ordered by `is_open`.
        self.done[log].load(Ordering::Relaxed)
    }

    /// Waits for the others, then does `step` until `operations` are done or the time is over. A step does
    /// `stride` operations.
    #[inline(always)]
    pub fn work(
        &self,
        log: usize,
        timing: Timing,
        (operations, stride): (u64, u64),
        mut step: impl FnMut(u64),
    ) -> Did {
        let mut recorder = (timing != Timing::Throughput).then(Recorder::new);
        let chunk = (CHUNK / stride).max(1) * stride;
        self.start();
        let before = Allocations::of_this_thread();
        let from = self.began.elapsed();
        let mut done = 0;
        match &mut recorder {
            None => {
                while done < operations && self.began.elapsed() < from + LIMIT {
                    let until = operations.min(done + chunk);
                    while done < until {
                        step(done);
                        done += stride;
                    }
                }
            }
            Some(recorder) => {
                let mut pace = self.pace(timing);
                while done < operations && self.began.elapsed() < from + LIMIT {
                    let until = operations.min(done + chunk);
                    while done < until {
                        let due = pace.next(&self.ticks);
                        step(done);
                        recorder.record(self.ticks.now() - due);
                        done += stride;
                    }
                }
            }
        }
        let to = self.began.elapsed();
        let allocations = Allocations::of_this_thread() - before;
        // Relaxed: the Release below shows it.
        self.done[log].fetch_add(done, Ordering::Relaxed);
        // Release: pairs with `is_open`.
        self.busy.fetch_sub(1, Ordering::Release);
        Did { span: (from, to), operations: done, allocations, latencies: recorder }
    }
}

/// When calls are due.
struct Pace {
    /// Ticks from one to the next; 0: each as soon as the one before has returned.
    every: u64,
    due: u64,
}

impl Gate {
    fn pace(&self, timing: Timing) -> Pace {
        let every = match timing {
            Timing::Arrivals(every) => (every as f64 / self.ticks.settled()) as u64,
            Timing::Throughput | Timing::EachCall => 0,
        };
        Pace { every, due: self.ticks.now() }
    }
}

impl Pace {
    /// Waits until the next call is due, and says when that was: for one that had to wait for the call before it,
    /// some time ago.
    #[inline(always)]
    fn next(&mut self, ticks: &Ticks) -> u64 {
        if self.every == 0 {
            return ticks.now();
        }
        self.due += self.every;
        while ticks.now() < self.due {
            std::hint::spin_loop();
        }
        self.due
    }
}

/// Runs so many writers, each of which calls [`Gate::warm`] and [`Gate::work`], and so many readers, each of
/// which calls [`Gate::warm`] and [`Gate::start`], reads while the gate is open, and says what it saw.
pub fn run<E: Send>(
    (writers, write): (usize, impl Fn(usize, &Gate) -> Result<Did, E> + Sync),
    (readers, read): (usize, impl Fn(usize, &Gate) -> Result<Seen, E> + Sync),
) -> Result<Outcome, E> {
    let gate = Gate {
        barrier: Barrier::new(writers + readers + 1),
        ticks: Ticks::start(),
        began: Instant::now(),
        busy: AtomicUsize::new(writers),
        done: [const { AtomicU64::new(0) }; 8],
    };
    let (gate, write, read) = (&gate, &write, &read);
    std::thread::scope(|scope| {
        let reading: Vec<_> = (0..readers)
            .map(|n| {
                scope.spawn(move || {
                    let seen = read(n, gate)?;
                    Ok((seen, gate.began.elapsed()))
                })
            })
            .collect();
        let writing: Vec<_> = (0..writers).map(|n| scope.spawn(move || write(n, gate))).collect();
        gate.warm();
        gate.barrier.wait();
        let (opened, before) = (gate.began.elapsed(), Moment::now());
        gate.barrier.wait();
        let did: Vec<_> = writing.into_iter().map(|thread| thread.join()).collect();
        let between = before.until(&Moment::now());
        let seen: Vec<_> = reading.into_iter().map(|thread| thread.join()).collect();
        let did = unwound(did)?;
        let seen = unwound(seen)?;
        let nanoseconds = gate.ticks.settled();
        let first = did.iter().map(|did| did.span.0).min().unwrap_or_default();
        let last = did.iter().map(|did| did.span.1).max().unwrap_or_default();
        let mut outcome = Outcome {
            elapsed: (last - first).as_nanos() as f64,
            operations: 0,
            allocations: Allocations::default(),
            latencies: None,
            seen: seen
                .into_iter()
                .map(|(seen, end)| (seen, (end - opened).as_nanos() as f64))
                .collect(),
            between,
            held: None,
        };
        for did in did {
            outcome.operations += did.operations;
            outcome.allocations.count += did.allocations.count;
            outcome.allocations.bytes += did.allocations.bytes;
            if let Some(recorder) = did.latencies {
                let latencies = recorder.finish(nanoseconds);
                let all = outcome.latencies.unwrap_or_default();
                outcome.latencies = Some(all.and(&latencies));
            }
        }
        Ok(outcome)
    })
}

/// The results of threads; a panic goes on in the thread that asked.
fn unwound<T, E>(results: Vec<std::thread::Result<Result<T, E>>>) -> Result<Vec<T>, E> {
    let resume = |panic| std::panic::resume_unwind(panic);
    results.into_iter().map(|result| result.unwrap_or_else(resume)).collect()
}
