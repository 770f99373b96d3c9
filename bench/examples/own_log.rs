//! A log of your own beside all others: `cargo run --release -p bench --example own_log -- compare --quick`.
//!
//! Everything that `bench` can do, this can: it is the same program with one more contender.

use std::process::ExitCode;
use std::sync::RwLock;

use streamcore_bench::compare::{self, Registry};
use streamcore_bench::contender::{Able, Append, Contender, Setup};
use streamcore_bench::payload::{Payload, Seen};

/// Chunks of records behind a lock: what was written is never moved.
struct Chunks;

impl Contender for Chunks {
    const NAME: &'static str = "chunks";
    const ABOUT: &'static str = "chunks of 1,024 records behind an RwLock";
    type Log<T: Payload> = RwLock<Vec<Vec<T>>>;

    fn make<T: Payload>(_: &Setup) -> Self::Log<T> {
        RwLock::new(Vec::new())
    }
    fn writer<T: Payload>(log: &Self::Log<T>) -> impl Append<T> {
        |record| {
            let mut chunks = log.write().unwrap();
            if chunks.last().is_none_or(|chunk| chunk.len() == chunk.capacity()) {
                chunks.push(Vec::with_capacity(1024));
            }
            chunks.last_mut().unwrap().push(record);
        }
    }
    fn scanner<T: Payload>(log: &Self::Log<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(|seen: &mut Seen| {
            log.read().unwrap().iter().flatten().for_each(|record| seen.see(record));
        })
    }
}

fn main() -> ExitCode {
    compare::main(&Registry::standard().with::<Chunks>())
}
