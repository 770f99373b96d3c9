//! `bench scale --quick` says what is flat and what is not, and its exit code is the verdict.

use std::process::Command;

#[test]
fn the_verdict_is_that_of_the_tables() {
    let bench =
        Command::new(env!("CARGO_BIN_EXE_bench")).args(["scale", "--quick"]).output().unwrap();
    let text = String::from_utf8(bench.stdout).unwrap();
    let errors = String::from_utf8(bench.stderr).unwrap();
    // Each part checks what it reads and counts, and would have panicked; its table comes last.
    for title in [
        "## One stream that has taken so many records, and keeps the last 1,000",
        "## So many streams in a store",
        "## One stream that keeps so many records",
    ] {
        assert!(text.contains(title), "{text}\n{errors}");
    }
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    let verdict = |row: &&str| row.rsplit('|').nth(1).unwrap().trim().to_owned();
    let verdicts: Vec<String> = rows.iter().map(verdict).filter(|text| !text.is_empty()).collect();
    assert_eq!(verdicts.len(), 3 + 8 + 8, "{text}");
    let known = ["flat", "too noisy to tell", "NOT FLAT"];
    assert!(verdicts.iter().all(|verdict| known.contains(&verdict.as_str())), "{text}");
    // A smoke test has too little of everything to be judged by; but it says what it found.
    let is_flat = !verdicts.iter().any(|verdict| verdict == "NOT FLAT");
    assert_eq!(bench.status.success(), is_flat, "{text}\n{errors}");
    assert_eq!(errors.contains("not flat: "), !is_flat, "{text}\n{errors}");
}

#[test]
fn a_part_can_be_had_alone() {
    let bench =
        Command::new(env!("CARGO_BIN_EXE_bench")).args(["scale", "old", "--quick"]).output();
    let text = String::from_utf8(bench.unwrap().stdout).unwrap();
    assert_eq!(text.matches("\n## ").count(), 1, "{text}");
    assert!(text.contains("| 10,000 | 100,000 | 1,000,000 |"), "{text}");
}
