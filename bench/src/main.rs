//! `cargo run --release -p bench -- compare`.

use std::process::ExitCode;

use streamcore_bench::compare::{Registry, main as compare};

fn main() -> ExitCode {
    compare(&Registry::standard())
}
