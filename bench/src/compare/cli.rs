//! The command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::plan::{Product, quick, standard};
use super::registry::Registry;
use super::run::{Plan, Run, VERSION, measure_and_print};
use super::{against, html, markdown, summary};
use crate::scale::Part;
use crate::scenario::{Memory, PayloadKind, Reading, Scenario, Timing};

/// Compares logs: streamcore's, those of others, your own; and all of them with what the machine can do.
#[derive(Parser)]
#[command(name = "bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, and write run.json, report.md and report.html.
    Compare(Box<Compare>),
    /// Write the reports of a run that was made before.
    Report {
        /// The run.
        run: PathBuf,
        /// Another run to compare it with.
        #[arg(long)]
        against: Option<PathBuf>,
        /// Where to.
        #[arg(long, default_value = "target/compare")]
        out: PathBuf,
    },
    /// Show the scenarios, the contenders, and what each contender can do.
    List,
    /// Show whether memory and costs stay flat while streams grow old, many and long; fail if they do not.
    Scale {
        /// Only this.
        part: Option<Part>,
        /// A hundredth of everything, for a smoke test.
        #[arg(long)]
        quick: bool,
    },
    /// One measurement, printed as JSON.
    #[command(hide = true)]
    Measure { contender: String, scenario: String },
}

#[derive(Args)]
struct Compare {
    /// A smoke test of less than a minute: three rounds of a few small scenarios.
    #[arg(long)]
    quick: bool,
    /// Rounds; an interval of 95 % takes six at the least. [default: 7; 3 with --quick]
    #[arg(long)]
    rounds: Option<usize>,
    /// Only contenders whose name contains one of these (and floors, and streamcore).
    #[arg(long, value_delimiter = ',')]
    contenders: Vec<String>,
    /// Only scenarios whose name contains this; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Threads that append. This flag and those below ask for the product of what they name, instead of the
    /// default set.
    #[arg(long, value_delimiter = ',')]
    writers: Vec<usize>,
    /// What readers do meanwhile.
    #[arg(long, value_delimiter = ',')]
    reading: Vec<Reading>,
    /// How many readers do it.
    #[arg(long, value_delimiter = ',')]
    readers: Vec<usize>,
    /// The records.
    #[arg(long, value_delimiter = ',')]
    payload: Vec<PayloadKind>,
    /// Records in one append.
    #[arg(long, value_delimiter = ',')]
    batch: Vec<usize>,
    /// Logs that the writers take in turn.
    #[arg(long, value_delimiter = ',')]
    logs: Vec<usize>,
    /// The memory that is written to.
    #[arg(long, value_delimiter = ',')]
    memory: Vec<Memory>,
    /// Time each call.
    #[arg(long)]
    each_call: bool,
    /// Time each call from when it was due: one in so many nanoseconds.
    #[arg(long, value_delimiter = ',')]
    every: Vec<u64>,
    /// Drop measurements during which others had more than this part of the machine.
    #[arg(long, default_value_t = 0.3)]
    max_load: f64,
    /// The seed of the order of measurements.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Say what changed since this run, and whether it is more than noise.
    #[arg(long)]
    against: Option<PathBuf>,
    /// Where to write.
    #[arg(long, default_value = "target/compare")]
    out: PathBuf,
}

/// The program: what `main` does, for the contenders of a registry. A program of one's own that calls it compares
/// contenders of one's own.
#[must_use]
pub fn main(registry: &Registry) -> ExitCode {
    let done = match Cli::parse().command {
        Command::Compare(compare) => compare.run(registry),
        Command::Report { run, against, out } => read(&run).and_then(|run| {
            let old = against.as_deref().map(read).transpose()?;
            write(&run, old.as_ref(), &out)
        }),
        Command::List => {
            list(registry);
            Ok(())
        }
        Command::Scale { part, quick } => crate::scale::main(part, quick),
        Command::Measure { contender, scenario } => serde_json::from_str(&scenario)
            .map(|scenario| measure_and_print(registry, &contender, &scenario))
            .map_err(|error| format!("the scenario cannot be read: {error}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Compare {
    fn run(self, registry: &Registry) -> Result<(), String> {
        if cfg!(debug_assertions) {
            return Err("this build is not optimised; use `cargo run --release`".into());
        }
        let old = self.against.as_deref().map(read).transpose()?;
        let scenarios = self.scenarios()?;
        let rounds = self.rounds.unwrap_or(if self.quick { 3 } else { 7 });
        let plan = Plan {
            scenarios,
            contenders: self.contenders,
            rounds: rounds.max(1),
            seed: self.seed,
            max_load: self.max_load,
        };
        let run = plan.run(registry).map_err(|error| error.to_string())?;
        write(&run, old.as_ref(), &self.out)
    }

    fn scenarios(&self) -> Result<Vec<Scenario>, String> {
        let each = self.each_call.then_some(Timing::EachCall);
        let product = Product {
            writers: self.writers.clone(),
            reading: self.reading.clone(),
            readers: self.readers.clone(),
            payloads: self.payload.clone(),
            batches: self.batch.clone(),
            logs: self.logs.clone(),
            memory: self.memory.clone(),
            timings: each
                .into_iter()
                .chain(self.every.iter().map(|&n| Timing::Arrivals(n)))
                .collect(),
        };
        let mut scenarios = match (product.is_empty(), self.quick) {
            (false, _) => product.scenarios(),
            (true, true) => quick(),
            (true, false) => standard(),
        };
        if !self.only.is_empty() {
            scenarios.retain(|scenario| {
                let name = scenario.to_string();
                self.only.iter().any(|part| name.contains(part.as_str()))
            });
        }
        if scenarios.is_empty() {
            return Err("no scenario is left; `bench list` shows their names".into());
        }
        Ok(scenarios)
    }
}

fn read(path: &Path) -> Result<Run, String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let run: Run = serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    if run.version == VERSION {
        Ok(run)
    } else {
        Err(format!("{name}: a run of version {}; this program reads {VERSION}", run.version))
    }
}

fn write(run: &Run, old: Option<&Run>, out: &Path) -> Result<(), String> {
    let summaries = summary::summaries(run);
    let changes = old.map(|old| against::changes(old, run));
    let text = markdown::report(run, &summaries, changes.as_deref());
    let page = html::report(run, &summaries, changes.as_deref());
    let json = serde_json::to_string(run).map_err(|error| error.to_string())?;
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    for (name, content) in [("run.json", &json), ("report.md", &text), ("report.html", &page)] {
        let path = out.join(name);
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    print!("{text}");
    println!("\nrun.json, report.md and report.html are in {}", out.display());
    let is_wrong =
        |refused: &super::run::Refused| !matches!(refused, super::run::Refused::Lacks(_));
    match summaries.iter().flat_map(|s| &s.refused).find(|(_, refused)| is_wrong(refused)) {
        Some((who, refused)) => Err(format!("{who}: {refused}")),
        None => Ok(()),
    }
}

fn list(registry: &Registry) {
    println!("Scenarios of the default set (q: also with --quick)\n");
    let small: Vec<String> = quick().iter().map(ToString::to_string).collect();
    for scenario in standard() {
        let name = scenario.to_string();
        println!("  {} {name}", if small.contains(&name) { 'q' } else { ' ' });
    }
    println!("\nContenders\n");
    for about in registry.about() {
        println!("  {:22} {}", about.name, about.about);
        for ability in &about.abilities {
            if let Some(lack) = &ability.lack {
                println!("  {:22}   no {}: {lack}", "", ability.what);
            }
        }
    }
}
