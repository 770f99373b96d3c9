//! A run: rounds of measurements, each in a process of its own, and what is kept of them.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::registry::{About, Registry};
use crate::contender::{Lack, Refusal};
use crate::measure::{Machine, Measurement};
use crate::scenario::{Memory, Scenario};

/// All of a run; `run.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The form of this file.
    pub version: u32,
    /// When it began, in seconds since the Unix epoch.
    pub began: u64,
    /// What it was made on.
    pub machine: Machine,
    /// Rounds.
    pub rounds: usize,
    /// The seed of the shuffling.
    pub seed: u64,
    /// A round of a measurement counts only if others had no more of the machine than this, from 0 to 1.
    pub max_load: f64,
    /// Who took part.
    pub contenders: Vec<About>,
    /// What was measured.
    pub cells: Vec<Cell>,
}

/// The form of [`Run`] that this program writes and reads.
pub const VERSION: u32 = 1;

/// One contender in one scenario.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The scenario.
    pub scenario: Scenario,
    /// The contender.
    pub contender: String,
    /// A measurement for each round, unless it was refused.
    pub samples: Vec<Sample>,
    /// Why there are none.
    pub refused: Option<Refused>,
}

/// One measurement.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// In which round.
    pub round: usize,
    /// What came out.
    pub measurement: Measurement,
}

/// Why there is no measurement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// The contender does no such work.
    Lacks(Lack),
    /// It does it wrong.
    Wrong(String),
    /// The process failed.
    Failed(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lacks(lack) => lack.fmt(f),
            Self::Wrong(how) => write!(f, "WRONG: {how}"),
            Self::Failed(how) => write!(f, "FAILED: {how}"),
        }
    }
}

/// What a measuring process prints.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Measured(Box<Measurement>),
    Refused(Refused),
}

/// The hidden subcommand that a run starts its own program with.
pub const MEASURE: &str = "measure";

/// What a measuring process does: measures, and prints.
pub fn measure_and_print(registry: &Registry, contender: &str, scenario: &Scenario) {
    let answer = match registry.measure(contender, scenario) {
        Ok(measurement) => Answer::Measured(Box::new(measurement)),
        Err(Refusal::Lack(lack)) => Answer::Refused(Refused::Lacks(lack)),
        Err(Refusal::Wrong(how)) => Answer::Refused(Refused::Wrong(how)),
    };
    println!("{}", serde_json::to_string(&answer).expect("numbers and strings"));
}

/// No measurement takes longer, not even on a machine that is taken.
const PATIENCE: Duration = Duration::from_secs(60);

fn measure_apart(program: &Path, contender: &str, scenario: &Scenario) -> Answer {
    let failed = |how: String| Answer::Refused(Refused::Failed(how));
    let mut command = Command::new(program);
    let json = serde_json::to_string(scenario).expect("numbers and names");
    command.args([MEASURE, contender, &json]).stdin(Stdio::null());
    if scenario.memory == Memory::Reused {
        // The allocator is to keep what the warm-up frees, for those who need it.
        command.env("MIMALLOC_PURGE_DELAY", "-1");
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return failed(format!("{}: {error}", program.display())),
    };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let text = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            // What is not text fails to be read as an answer, below.
            let _ = pipe.map(|mut pipe| pipe.read_to_string(&mut text));
            text
        })
    };
    let out = text(out.map(|pipe| Box::new(pipe) as _));
    let err = text(err.map(|pipe| Box::new(pipe) as _));
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) if began.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                break Err(format!("took longer than {} s", PATIENCE.as_secs()));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(error) => break Err(error.to_string()),
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    match status {
        Ok(status) if status.success() => serde_json::from_str(&out)
            .unwrap_or_else(|error| failed(format!("an answer that cannot be read: {error}"))),
        Ok(status) => failed(format!("{status}: {}", err.trim().lines().next().unwrap_or(""))),
        Err(how) => failed(how),
    }
}

/// How a run is made.
pub struct Plan {
    /// What is measured.
    pub scenarios: Vec<Scenario>,
    /// Names of contenders, or parts of names; if there are none, only prototypes are left out, of most scenarios.
    /// Floors always take part, and so does streamcore, which all are compared with.
    pub contenders: Vec<String>,
    /// How often.
    pub rounds: usize,
    /// For the shuffling.
    pub seed: u64,
    /// See [`Run::max_load`].
    pub max_load: f64,
}

impl Plan {
    fn takes_part(&self, registry: &Registry, name: &str, scenario: &Scenario) -> bool {
        let is_given = name.starts_with("floor:")
            || [super::registry::BASE, super::registry::STORE_BASE].contains(&name);
        let is_named = |part: &String| name.to_lowercase().contains(&part.to_lowercase());
        let is_unasked = self.contenders.is_empty() && !registry.must_be_named(name, scenario);
        is_given || is_unasked || self.contenders.iter().any(is_named)
    }

    /// Measures all.
    ///
    /// # Errors
    ///
    /// The program's own path is not to be had.
    pub fn run(&self, registry: &Registry) -> std::io::Result<Run> {
        let program = std::env::current_exe()?;
        let mut cells: Vec<Vec<Cell>> =
            self.scenarios.iter().map(|s| self.cells(registry, s)).collect();
        cells.iter().flatten().for_each(|cell| registry.prepare(&cell.contender));
        let count: usize = cells.iter().map(Vec::len).sum();
        let bar = ProgressBar::new((count * self.rounds) as u64);
        let style = "{bar:32} {pos}/{len} {elapsed} of about {duration}  {wide_msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a template without mistakes"));
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut random = fastrand::Rng::with_seed(self.seed);
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        for round in 0..self.rounds {
            let mut order: Vec<usize> = (0..cells.len()).collect();
            random.shuffle(&mut order);
            for at in order {
                // Those who are compared come one after the other, in another order each time.
                let cells = &mut cells[at];
                let mut order: Vec<usize> = (0..cells.len()).collect();
                random.shuffle(&mut order);
                for at in order {
                    let cell = &mut cells[at];
                    bar.set_message(format!("{}: {}", cell.scenario, cell.contender));
                    if cell.refused.is_none() {
                        cell.measure(&program, round);
                    }
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        Ok(Run {
            version: VERSION,
            began,
            machine: Machine::this(),
            rounds: self.rounds,
            seed: self.seed,
            max_load: self.max_load,
            contenders: registry.about(),
            cells: cells.into_iter().flatten().collect(),
        })
    }

    fn cells(&self, registry: &Registry, scenario: &Scenario) -> Vec<Cell> {
        let takes_part = |name: &&str| self.takes_part(registry, name, scenario);
        let names = registry.names(scenario).into_iter().filter(takes_part);
        let cell = |name: &str| Cell {
            scenario: scenario.clone(),
            contender: name.into(),
            samples: Vec::new(),
            refused: None,
        };
        names.map(cell).collect()
    }
}

impl Cell {
    fn measure(&mut self, program: &Path, round: usize) {
        match measure_apart(program, &self.contender, &self.scenario) {
            Answer::Measured(measurement) => {
                self.samples.push(Sample { round, measurement: *measurement });
            }
            Answer::Refused(refused) => self.refused = Some(refused),
        }
    }
}

impl Run {
    /// The scenarios, in the order in which they were planned.
    #[must_use]
    pub fn scenarios(&self) -> Vec<&Scenario> {
        let mut scenarios: Vec<&Scenario> = Vec::new();
        for cell in &self.cells {
            if scenarios.last() != Some(&&cell.scenario) {
                scenarios.push(&cell.scenario);
            }
        }
        scenarios
    }

    /// The cells of a scenario; floors first.
    pub fn of<'a>(&'a self, scenario: &'a Scenario) -> impl Iterator<Item = &'a Cell> {
        self.cells.iter().filter(move |cell| cell.scenario == *scenario)
    }
}
