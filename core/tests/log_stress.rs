//! The log under stress: many short logs, eight threads each, and every safety promise of the crate's
//! `# Consistency` asserted by the threads themselves.
//!
//! `STREAMCORE_STRESS_SECONDS` says how long (3 by default), `STREAMCORE_STRESS_SEED` where to begin: a
//! failure prints the seed of its round, and beginning there repeats that round first.

#[path = "log_stress/checks.rs"]
mod checks;
#[path = "log_stress/executor.rs"]
mod executor;
#[path = "log_stress/handshake.rs"]
mod handshake;
#[path = "log_stress/ledger.rs"]
mod ledger;
#[path = "log_stress/mixed.rs"]
mod mixed;
#[path = "log_stress/sealing.rs"]
mod sealing;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// A round takes milliseconds. One that takes so long hangs, on a machine however busy.
const HANGS: Duration = Duration::from_secs(if cfg!(miri) { 600 } else { 60 });

fn number_from(variable: &str) -> Option<u64> {
    let given = std::env::var(variable).ok()?;
    let number = given.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {given}")))
}

/// Ends the process when no round has ended for a long time.
fn watch(rounds: &AtomicU64, seed: u64) {
    let (mut known, mut since) = (0, Instant::now());
    while known != OVER {
        thread::park_timeout(HANGS / 10);
        let now = rounds.load(Ordering::Relaxed);
        if now != known {
            (known, since) = (now, Instant::now());
        } else if since.elapsed() > HANGS {
            let seed = seed.wrapping_add(now);
            eprintln!("the round with the seed {seed} hangs: a wake was lost, or worse");
            std::process::abort();
        }
    }
}

const OVER: u64 = u64::MAX;

#[test]
fn the_log_keeps_its_promises_under_stress() {
    let seconds = number_from("STREAMCORE_STRESS_SECONDS").unwrap_or(3);
    let seed = number_from("STREAMCORE_STRESS_SEED")
        .unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    println!("{seconds} s, from the seed {seed} on");
    let rounds = &AtomicU64::new(0);
    thread::scope(|scope| {
        let watcher = scope.spawn(move || watch(rounds, seed));
        let _over = Over(rounds, watcher.thread());
        let start = Instant::now();
        let mut number = 0;
        while start.elapsed() < Duration::from_secs(seconds) {
            one_round(seed.wrapping_add(number));
            number += 1;
            rounds.store(number, Ordering::Relaxed);
        }
        println!("{number} rounds");
    });
}

/// Sends the watcher home, after a failure too.
struct Over<'t>(&'t AtomicU64, &'t Thread);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(OVER, Ordering::Relaxed);
        self.1.unpark();
    }
}

/// One log's life, or that of many tiny ones. Padding decides how many values a segment holds: 1024, 64
/// or 8.
fn one_round(seed: u64) {
    let kind = ledger::Dice(seed).below(8);
    if cfg!(miri) {
        return match kind {
            0 | 1 => handshake::round::<0>(seed, 5),
            2 => sealing::round(seed, 5),
            _ => mixed::round::<4200>(seed, 20),
        };
    }
    match kind {
        0 => handshake::round::<0>(seed, 100),
        1 => handshake::round::<4200>(seed, 100),
        2 => sealing::round(seed, 100),
        3 => mixed::round::<0>(seed, 4_000),
        4 => mixed::round::<500>(seed, 700),
        _ => mixed::round::<4200>(seed, 150),
    }
}
