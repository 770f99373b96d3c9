//! The wire under junk: requests, items and tokens that began as good ones and were then damaged, by the
//! ten thousand a second. Whatever comes in, an answer or a typed refusal comes out, and little memory is used.
//!
//! `STREAMCORE_FUZZ_SECONDS` says how long (2 by default), `STREAMCORE_FUZZ_SEED` where to begin. The same
//! targets can be driven by a fuzzer that sees coverage: `core/fuzz` has the cargo-fuzz package.

#![cfg(feature = "serde")]

mod damage;
mod forged;
mod memory;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use damage::Dice;

fn number_from(variable: &str, otherwise: u64) -> u64 {
    let Ok(given) = std::env::var(variable) else { return otherwise };
    given.parse().unwrap_or_else(|_| panic!("{variable} is no number: {given}"))
}

/// One test at a time, because memory is counted for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn junk_gets_an_answer() {
    let _alone = alone();
    let limit = Duration::from_secs(number_from("STREAMCORE_FUZZ_SECONDS", 2));
    let first = number_from("STREAMCORE_FUZZ_SEED", 0);
    let targets = targets::Targets::new();
    let seeds = targets.seeds();
    let start = Instant::now();
    let (mut seed, mut accepted) = (first, 0);
    while start.elapsed() < limit {
        let mut dice = Dice::new(seed);
        let mut input = dice.pick(&seeds).clone();
        // Now and then as it is: what is good must be taken.
        (0..dice.below(6)).for_each(|_| damage::damage(&mut input, &seeds, &mut dice));
        let (outcome, used) =
            memory::peak_of(|| catch_unwind(AssertUnwindSafe(|| targets.feed(&input))));
        let shown = || format!("seed {seed}: {}", input.escape_ascii());
        match outcome {
            Ok(is_accepted) => accepted += u64::from(is_accepted),
            Err(panic) => {
                eprintln!("{}", shown());
                resume_unwind(panic);
            }
        }
        // A parsed value takes some dozens of times the bytes that it was parsed from.
        let allowed = (512 << 10) + 200 * input.len() as u64;
        assert!(used <= allowed, "{used} bytes, more than {allowed}; {}", shown());
        seed += 1;
    }
    let inputs = seed - first;
    println!("{inputs} inputs, of which {accepted} were accepted");
    assert!(accepted > inputs / 50 && accepted < inputs / 2, "{accepted} of {inputs} accepted");
}
