//! Rounds of many tiny logs, each sealed as soon as all threads look at it: the moment of the seal, over
//! and over.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use streamcore::log::{Log, Next, Position, Ready, SealOutcome, Sealed, WaitOutcome};

use crate::executor::block_on;
use crate::ledger::{Dice, first_says};

const SEALERS: u32 = 2;
const OTHERS: u32 = 6;
/// So many records does a thread append at the most while it waits for the seal.
const MOST: u32 = 300;

/// One tiny log, and what is known about it.
struct Trial {
    log: Log<u64, u32>,
    /// Nobody appends, so nobody but the sealers wakes those who wait.
    is_quiet: bool,
    arrived: AtomicU32,
    appended: AtomicU64,
    seals: AtomicU32,
    end: AtomicU64,
}

struct Trials {
    seed: u64,
    all: Vec<Trial>,
    failed: AtomicBool,
}

/// `count` logs one after the other, with eight threads.
pub fn round(seed: u64, count: u64) {
    let trial = |number| Trial {
        log: Log::new(),
        is_quiet: number % 2 == 0,
        arrived: AtomicU32::new(0),
        appended: AtomicU64::new(0),
        seals: AtomicU32::new(0),
        end: AtomicU64::new(0),
    };
    let all = (0..count).map(trial).collect();
    let trials = &Trials { seed, all, failed: AtomicBool::new(false) };
    thread::scope(|scope| {
        for me in 0..SEALERS {
            scope.spawn(move || trials.each(me, |trial, dice| trial.seal(me, dice, trials)));
        }
        for me in 2..4 {
            scope.spawn(move || trials.each(me, |trial, _| trial.append(trials)));
        }
        for me in 4..6 {
            scope.spawn(move || trials.each(me, |trial, _| trial.look(trials)));
        }
        scope.spawn(move || trials.each(6, |trial, dice| trial.wait(dice, false)));
        scope.spawn(move || trials.each(7, |trial, dice| trial.wait(dice, true)));
    });
    for trial in &trials.all {
        let end = trial.log.end().get();
        assert_eq!(trial.appended.load(Ordering::SeqCst), end, "acknowledged, and the end");
        assert_eq!(trial.seals.load(Ordering::SeqCst), 1);
        assert_eq!(trial.log.snapshot().end(), trial.log.end());
    }
}

impl Trials {
    fn each(&self, thread: u32, one: impl Fn(&Trial, &mut Dice)) {
        let _alarm = Alarm(self);
        let mut dice = Dice(self.seed.wrapping_mul(64).wrapping_add(u64::from(thread)));
        for trial in &self.all {
            if thread >= SEALERS {
                trial.arrived.fetch_add(1, Ordering::Relaxed);
            }
            one(trial, &mut dice);
        }
    }

    /// Waits hotly, so that what comes is met as it comes; but others need the processor, too.
    fn until(&self, is_so: impl Fn() -> bool) {
        let mut spins = 0_u32;
        while !is_so() && !self.failed.load(Ordering::Relaxed) {
            spins += 1;
            if spins.is_multiple_of(64) {
                thread::yield_now();
            }
        }
    }
}

impl Trial {
    fn seal(&self, me: u32, dice: &mut Dice, trials: &Trials) {
        trials.until(|| self.arrived.load(Ordering::Relaxed) == OTHERS);
        dice.dawdle();
        let outcome = self.log.seal(me);
        match outcome {
            SealOutcome::Sealed { .. } => drop(self.seals.fetch_add(1, Ordering::SeqCst)),
            SealOutcome::AlreadySealed { offered, .. } => assert_eq!(offered, me),
        }
        assert_eq!(self.is_sealed(), outcome.end());
    }

    fn append(&self, trials: &Trials) {
        if self.is_quiet {
            return trials.until(|| self.log.is_sealed());
        }
        let mut behind_mine = Position::ZERO;
        for number in 0.. {
            if number == MOST {
                trials.until(|| self.log.is_sealed());
            }
            match self.log.append(7) {
                Ok(position) => behind_mine = position.plus(1),
                Err(Sealed(value)) => {
                    assert_eq!(value, 7);
                    assert!(behind_mine <= self.is_sealed(), "mine were before the seal");
                    return;
                }
            }
            self.appended.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn look(&self, trials: &Trials) {
        trials.until(|| self.log.is_sealed());
        let end = self.is_sealed();
        assert!(self.log.snapshot().end() <= end);
    }

    fn wait(&self, dice: &mut Dice, as_task: bool) {
        let from = if dice.one_in(2) { Position::ZERO } else { self.log.end() };
        let mut cursor = self.log.cursor(from);
        loop {
            let is_closed = if as_task {
                block_on(cursor.ready()) == Ready::Closed
            } else {
                cursor.wait(None) == WaitOutcome::Closed
            };
            if is_closed {
                assert_eq!(cursor.position(), self.is_sealed());
                return;
            }
            while let Next::Record(_, value) = cursor.next().expect("nobody trims") {
                assert_eq!(*value, 7);
            }
        }
    }

    /// The end and the successor are there as soon as the seal is, and the same for everybody.
    #[track_caller]
    fn is_sealed(&self) -> Position {
        let end = self.log.sealed_end().expect("sealed");
        let successor = self.log.successor().expect("a sealed log has a successor");
        assert_eq!(self.log.end(), end);
        first_says(&self.end, (end.get() << 32 | u64::from(*successor)) + 1, "another seal");
        end
    }
}

/// Lets the others end when a thread panics.
struct Alarm<'t>(&'t Trials);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in the round with the seed {}", self.0.seed);
            self.0.failed.store(true, Ordering::SeqCst);
            for trial in &self.0.all {
                let _ = trial.log.seal(u32::MAX);
            }
        }
    }
}
