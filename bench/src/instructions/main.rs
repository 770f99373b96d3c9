//! The regression gate: instructions of hot paths, counted by callgrind, against bounds that are kept in
//! `bench/bounds.toml`.
//!
//! Times of a shared machine are noise; instructions are the same in every run. One program does both: it starts
//! itself under valgrind, once for each path, and only what runs below [`paths::hot_path`] is counted.
//!
//! (gungraun does the counting too, but needs a second program of the very same version installed beside it, and
//! keeps its limits in the code or in the results of the last run, not in a file that a commit changes.)

mod paths;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};

use paths::PATHS;

/// Counts the instructions of hot paths.
#[derive(Parser)]
#[command(name = "instructions")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Count, and fail if a path takes more than 3 % more than its bound.
    Check {
        /// The bounds.
        #[arg(long, default_value = "bench/bounds.toml")]
        bounds: PathBuf,
    },
    /// Count, and make what was counted the bounds.
    Bless {
        /// The bounds.
        #[arg(long, default_value = "bench/bounds.toml")]
        bounds: PathBuf,
    },
    /// Run one path, to be counted from outside.
    #[command(hide = true)]
    Run { path: String },
}

/// `bounds.toml`.
#[derive(Serialize, Deserialize)]
struct Bounds {
    /// Instructions per operation.
    instructions: BTreeMap<String, f64>,
}

/// How much a path may grow before its bound must be changed.
const GROWTH: f64 = 1.03;
/// Below that part of its bound, a path has become so good that the bound should follow.
const SHRUNK: f64 = 0.97;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Check { bounds } => check(&bounds),
        Task::Bless { bounds } => bless(&bounds),
        Task::Run { path } => paths::run(&path),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(path: &Path) -> Result<(), String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let bounds: Bounds = toml::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let counted = count_all()?;
    let mut failed = 0;
    println!("{:32} {:>12} {:>12} {:>8}", "instructions per operation", "counted", "bound", "");
    for (path, &count) in &counted {
        let verdict = judge(count, bounds.instructions.get(path).copied());
        let bound =
            bounds.instructions.get(path).map_or("none".into(), |bound| format!("{bound:.1}"));
        println!("{path:32} {count:>12.1} {bound:>12}   {}", verdict.as_str());
        failed += u32::from(matches!(verdict, Verdict::Grown | Verdict::Unbounded));
    }
    let unknown: Vec<&String> =
        bounds.instructions.keys().filter(|path| !counted.contains_key(*path)).collect();
    if !unknown.is_empty() {
        return Err(format!("{name} has bounds of paths that do not exist: {unknown:?}"));
    }
    // The line that tells a reader of the log, and whoever counts tests, how it ended.
    println!("instructions: {} passed, {failed} failed", counted.len() - failed as usize);
    if failed == 0 {
        return Ok(());
    }
    Err(format!("if that is meant, run `.ci/instructions bless` and commit {name} with the change"))
}

/// What a count means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Fine,
    Shrunk,
    Grown,
    Unbounded,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "",
            Self::Shrunk => "better: lower the bound",
            Self::Grown => "FAILED: more than 3 % above its bound",
            Self::Unbounded => "FAILED: no bound",
        }
    }
}

fn judge(count: f64, bound: Option<f64>) -> Verdict {
    match bound {
        None => Verdict::Unbounded,
        Some(bound) if count > bound * GROWTH => Verdict::Grown,
        Some(bound) if count < bound * SHRUNK => Verdict::Shrunk,
        Some(_) => Verdict::Fine,
    }
}

fn bless(path: &Path) -> Result<(), String> {
    let rounded = |(path, count): (String, f64)| (path, (count * 10.0).round() / 10.0);
    let bounds = Bounds { instructions: count_all()?.into_iter().map(rounded).collect() };
    let table = toml::to_string(&bounds).map_err(|error| error.to_string())?;
    let text = format!(
        "# Instructions of hot paths per operation, as callgrind counts them in a release build. `.ci/instructions`\n\
         # fails when one grows by more than 3 %; `.ci/instructions bless` writes this file anew.\n\n{table}"
    );
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    print!("{table}");
    Ok(())
}

/// Every path's instructions per operation, without those of calling it.
fn count_all() -> Result<BTreeMap<String, f64>, String> {
    let nothing = count("nothing")?;
    let mut counted = BTreeMap::new();
    for path in PATHS.iter().filter(|path| path.name != "nothing") {
        let all = count(path.name)?;
        let calls = nothing * path.steps as f64 / paths::of("nothing")?.steps as f64;
        counted.insert(path.name.to_owned(), (all - calls) / (path.steps * path.per_step) as f64);
    }
    Ok(counted)
}

fn count(path: &str) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let out = std::env::temp_dir().join(format!("instructions-{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*hot_path*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["run", path])
        // The C library has a memcpy for each kind of processor; the bounds are for one that all have.
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM,-MOVBE,-SSE4_2,-SSSE3")
        .output()
        .map_err(|error| format!("valgrind cannot be started: {error}"))?;
    let counts = std::fs::read_to_string(&out);
    // It may not be there, if valgrind failed.
    let _ = std::fs::remove_file(&out);
    if !output.status.success() {
        return Err(format!("{path}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let counts = counts.map_err(|error| format!("{}: {error}", out.display()))?;
    match total(&counts) {
        Some(count) if count > 0.0 => Ok(count),
        _ => Err(format!("{path}: valgrind counted nothing")),
    }
}

/// The total in a file of callgrind's.
fn total(counts: &str) -> Option<f64> {
    let line = counts.lines().find_map(|line| line.strip_prefix("totals: "))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_of_more_than_three_percent_fails() {
        let verdicts = [99.0, 102.9, 103.1, 96.0].map(|count| judge(count, Some(100.0)));
        assert_eq!(verdicts, [Verdict::Fine, Verdict::Fine, Verdict::Grown, Verdict::Shrunk]);
        assert_eq!(judge(1.0, None), Verdict::Unbounded);
    }

    #[test]
    fn totals_are_found() {
        assert_eq!(total("events: Ir\nfn=(1)\n\ntotals: 4711\n"), Some(4711.0));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn every_path_runs() {
        for path in PATHS {
            paths::run(path.name).unwrap();
        }
        assert!(paths::run("no such path").is_err());
    }
}
