//! Requests, items, tokens, ARNs and sequence numbers, with the checks of `core/tests/wire_fuzz`.
//!
//! ```text
//! cd core && cargo +nightly fuzz run wire fuzz/corpus/wire fuzz/seeds
//! ```
//!
//! The first byte says what an input is for. Without cargo-fuzz and nightly, on the stable toolchain:
//!
//! ```text
//! cd core/fuzz && RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
//!   -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table" \
//!   cargo run --release --target x86_64-unknown-linux-gnu -- -max_total_time=60
//! ```

#![no_main]

#[path = "../../tests/wire_fuzz/targets.rs"]
mod targets;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static TARGETS: targets::Targets = targets::Targets::new();
}

fuzz_target!(
    init: {
        // The seeds of the bounded test, as the first inputs.
        let _ = std::fs::create_dir_all("seeds");
        for (number, seed) in TARGETS.with(targets::Targets::seeds).iter().enumerate() {
            let _ = std::fs::write(format!("seeds/{number}"), seed);
        }
    },
    |input: &[u8]| {
        TARGETS.with(|targets| targets.feed(input));
    }
);
