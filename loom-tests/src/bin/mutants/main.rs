//! Runs the mutants: each is a mistake planted in a copy of core, which the models named beside it
//! must find.
//!
//! ```text
//! cargo run -p loom-tests --bin mutants               all of them
//! cargo run -p loom-tests --bin mutants -- seal wake  those whose name or file contains a word
//! cargo run -p loom-tests --bin mutants -- --list     only their names
//! ```
//!
//! The mutants lie in `loom-tests/mutants/*.txt`; `list.rs` says in which form. The run fails when a
//! mutant survives a model that is named to kill it, when an explained survivor is killed, and, before
//! anything is built, when the text that a mutant changes is not in its file exactly once.
//!
//! The copy and its build lie in `target/mutants` and are used again for each mutant, so one costs a
//! build of the library and of the models.

mod list;
#[allow(dead_code, reason = "the census uses all of it")]
mod workshop;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use list::{Expected, Mutant};
use workshop::{Effort, Outcome, Workshop};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every mutant fared as it should.
fn run() -> Result<bool, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package.parent().ok_or("the package is not in a workspace")?;
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let only_list = words.iter().any(|word| word == "--list");
    words.retain(|word| word != "--list");
    if let Some(option) = words.iter().find(|word| word.starts_with('-')) {
        return Err(format!("{option} is not known; the options are --list and words to look for"));
    }

    let all = list::read(&package.join("mutants"))?;
    let read = |file: &Path| {
        let path = workspace.join(file);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let stale: Vec<String> = all.iter().filter_map(|mutant| mutant.texts(read).err()).collect();
    if !stale.is_empty() {
        return Err(format!("out of date:\n  {}", stale.join("\n  ")));
    }
    let chosen: Vec<&Mutant> = all.iter().filter(|mutant| mutant.is_meant_by(&words)).collect();
    if only_list {
        chosen.iter().for_each(|mutant| println!("{mutant}"));
        return Ok(true);
    }
    if chosen.is_empty() {
        return Err(format!("none of {} mutants is meant by {words:?}", all.len()));
    }

    let begun = Instant::now();
    let mut workshop = Workshop::open(workspace)?;
    check_baseline(&mut workshop, &chosen)?;
    let mut failed = 0;
    for (index, mutant) in chosen.iter().enumerate() {
        println!("[{}/{}] {mutant}", index + 1, chosen.len());
        if !try_mutant(&mut workshop, mutant)? {
            failed += 1;
        }
    }
    println!("{} mutants in {} s", chosen.len(), begun.elapsed().as_secs());
    println!("{} passed, {failed} failed", chosen.len() - failed);
    Ok(failed == 0)
}

/// The unchanged source must pass every model that is going to be used: otherwise a death says nothing.
fn check_baseline(workshop: &mut Workshop, chosen: &[&Mutant]) -> Result<(), String> {
    let models = workshop.build()?;
    let known = models.list()?;
    for model in chosen.iter().flat_map(|mutant| &mutant.models) {
        if !known.contains(model) {
            return Err(format!("there is no model {model:?}; the models are {known:?}"));
        }
    }
    let used = known.iter().filter(|name| chosen.iter().any(|mutant| mutant.models.contains(name)));
    for model in used {
        let outcome = models.run(model, Effort::default())?;
        println!("unchanged: {model}: {outcome}");
        if !matches!(outcome, Outcome::Passed { .. }) {
            return Err(format!("the unchanged source fails {model}"));
        }
    }
    Ok(())
}

/// Whether the mutant fared as it should with all of its models.
fn try_mutant(workshop: &mut Workshop, mutant: &Mutant) -> Result<bool, String> {
    let texts = mutant.texts(|file| workshop.read(file))?;
    let models = workshop
        .with_texts(&texts, Workshop::build)
        .map_err(|error| format!("{mutant}: {error}"))?;
    let mut good = true;
    for model in &mutant.models {
        let outcome = models.run(model, Effort::default())?;
        let verdict = match (&mutant.expected, &outcome) {
            (Expected::Killed, Outcome::Failed { .. }) => "killed",
            (Expected::Survives(_), Outcome::Passed { .. }) => "survives, as explained",
            (Expected::Killed, _) => {
                good = false;
                "SURVIVES"
            }
            (Expected::Survives(_), _) => {
                good = false;
                "DOES NOT SURVIVE, although explained"
            }
        };
        println!("    {verdict} | {model} | {outcome}");
    }
    if let Expected::Survives(reason) = &mutant.expected {
        println!("    because: {reason}");
    }
    Ok(good)
}
