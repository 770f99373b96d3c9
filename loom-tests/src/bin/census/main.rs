//! The ordering census: every atomic operation of core, every ordering weakened, and who notices.
//!
//! ```text
//! cargo run --release -p loom-tests --bin census                 fills every row anew
//! cargo run --release -p loom-tests --bin census -- --missing    only rows that are new or out of date
//! cargo run --release -p loom-tests --bin census -- --only pins  only rows that have a word in their names
//! cargo run --release -p loom-tests --bin census -- --deep 4     the models with up to 4 preemptions
//! cargo run --release -p loom-tests --bin census -- --list       what there is to try
//! cargo run --release -p loom-tests --bin census -- --check      whether table and source agree
//! ```
//!
//! The table is `loom-tests/CENSUS.md`. What no model kills needs its argument in
//! `loom-tests/beyond-loom.md`, under a heading `### <place>: <mutant>`.
//!
//! For an ordering, the models that the header of its file names come first ("Models: ..."), then all
//! the others, then those of few preemptions with 3; for a step, those that its list names. The first to fail
//! ends the row. What is known to survive is tried only by the models that are named for it, unless
//! `--every-model` is given. The mutants are planted in the copy in `target/mutants`, which the runner of the mutants
//! uses too: the orderings all at once, each behind a switch that is set when the models are run, so that
//! they need one build; the steps one by one.

mod check;
mod places;
mod rows;
mod run;
mod table;

#[allow(dead_code, reason = "the runner of the mutants uses all of it")]
#[path = "../mutants/list.rs"]
mod list;
#[allow(dead_code, reason = "the runner of the mutants uses all of it")]
#[path = "../mutants/workshop.rs"]
mod workshop;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rows::{Job, Subject};
use run::Runner;
use table::{Table, Verdict};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("census: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What to do.
enum Task {
    List,
    Check,
    Fill,
    Deepen(u32),
}

/// What is asked for.
struct Request {
    task: Task,
    only_missing: bool,
    every_model: bool,
    words: Vec<String>,
}

impl Request {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut request =
            Self { task: Task::Fill, only_missing: false, every_model: false, words: Vec::new() };
        let mut words_follow = false;
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => request.task = Task::List,
                "--check" => request.task = Task::Check,
                "--missing" => request.only_missing = true,
                "--every-model" => request.every_model = true,
                "--only" => words_follow = true,
                "--deep" => {
                    let bound = arguments.next().and_then(|bound| bound.parse().ok());
                    request.task = Task::Deepen(bound.ok_or("--deep needs a number")?);
                }
                word if words_follow && !word.starts_with('-') => {
                    request.words.push(word.to_owned());
                }
                other => {
                    return Err(format!(
                        "{other} is not known; the options are --missing, --every-model, \
                         --only <words>, --deep <preemptions>, --list, --check"
                    ));
                }
            }
        }
        Ok(request)
    }
}

/// Whether all is well.
fn run() -> Result<bool, String> {
    let request = Request::parse(std::env::args().skip(1))?;
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package.parent().ok_or("the package is not in a workspace")?;
    let path = package.join("CENSUS.md");
    let mut table = Table::read(&path)?;
    let (mut jobs, switched) = rows::all(workspace, list::read(&package.join("mutants"))?)?;
    let argued = check::argued(&package.join("beyond-loom.md"))?;
    for job in &mut jobs {
        job.is_explained |= argued.contains(&check::heading(&job.key, job.subject));
        job.is_explained &= !request.every_model;
    }
    match request.task {
        Task::List => {
            jobs.iter().filter(|job| job.is_meant_by(&request.words)).for_each(|j| println!("{j}"));
            Ok(true)
        }
        Task::Check => check(package, &table, &jobs, |_| true),
        Task::Fill => {
            forget(&mut table, &jobs);
            let chosen: Vec<&Job> = jobs
                .iter()
                .filter(|job| job.is_meant_by(&request.words))
                .filter(|job| {
                    !request.only_missing || !job.subject.rows(&table).contains_key(&job.key)
                })
                .collect();
            let begun = Instant::now();
            let mut runner = Runner::open(workspace, &switched, &mut table)?;
            for (index, job) in chosen.iter().enumerate() {
                println!("[{}/{}] {job}", index + 1, chosen.len());
                let verdict = runner.run(job, &table)?;
                if matches!(verdict, Verdict::Survives { .. }) && !job.is_explained {
                    println!("    SURVIVES");
                }
                forget_other_texts(&mut table, job);
                job.subject.rows_mut(&mut table).insert(job.key.clone(), verdict);
                table.write(&path)?;
            }
            table.write(&path)?;
            println!("{} rows in {} s", chosen.len(), begun.elapsed().as_secs());
            let chosen = |job: &Job| job.is_meant_by(&request.words);
            check(package, &table, &jobs, chosen)
        }
        Task::Deepen(most) => {
            let mut runner = Runner::open(workspace, &switched, &mut table)?;
            let time = Duration::from_secs(300);
            runner.deepen(&request.words, most, time, &mut table, |table| table.write(&path))?;
            Ok(true)
        }
    }
}

/// Takes out the rows of what is not there any more. Those whose text changed stay until they are
/// filled anew: they still tell which model to try first.
fn forget(table: &mut Table, jobs: &[Job]) {
    for subject in [Subject::Ordering, Subject::Step] {
        subject.rows_mut(table).retain(|key, _| {
            jobs.iter().any(|job| {
                job.subject == subject
                    && (&job.key.place, &job.key.mutant) == (&key.place, &key.mutant)
            })
        });
    }
}

/// Takes out rows of the same place and mutant with another text.
fn forget_other_texts(table: &mut Table, job: &Job) {
    job.subject.rows_mut(table).retain(|key, _| {
        (&key.place, &key.mutant) != (&job.key.place, &job.key.mutant) || *key == job.key
    });
}

/// Whether table, source and arguments agree; says what does not, as far as the chosen rows go.
fn check(
    package: &Path,
    table: &Table,
    jobs: &[Job],
    chosen: impl Fn(&Job) -> bool,
) -> Result<bool, String> {
    let argued = check::argued(&package.join("beyond-loom.md"))?;
    let models = check::models_in_source(&package.join("tests").join("models"))?;
    let mut wrong = check::check(table, jobs, &argued, &models);
    for job in jobs.iter().filter(|job| !chosen(job)) {
        wrong.retain(|wrong| !wrong.starts_with(&job.to_string()));
    }
    wrong.iter().for_each(|wrong| println!("census: {wrong}"));
    let say = |name: &str, rows| {
        let (killed, survive, relaxed) = table::count(rows);
        println!(
            "{name}: {killed} killed, {survive} beyond loom, {relaxed} with nothing to weaken"
        );
    };
    say("orderings", &table.orderings);
    say("steps", &table.steps);
    Ok(wrong.is_empty())
}
