//! Fills rows: builds each mutant in the workshop, and runs models until one of them fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::places;
use crate::rows::{Job, Mutation, SWITCH, Subject};
use crate::table::{Figures, Table, Verdict};
use crate::workshop::{Effort, Models, Outcome, Workshop};

/// Files whose tests are about the checker, not about the log.
const NO_MODELS: [&str; 3] = ["canary", "checker", "guard"];

/// What a survivor of all models at their own bounds must survive besides: this bound, each model for so
/// long, and so long in all.
const THOROUGH: Effort = Effort { bound: Some(3), time: Duration::from_secs(90) };
const THOROUGH_IN_ALL: Duration = Duration::from_secs(300);

/// The workshop, and what is known of the models in it.
pub struct Runner {
    workshop: Workshop,
    /// The models of the source in which every weaker ordering is planted, none of them switched on.
    switched: Models,
    /// The models, the quickest first, with their bounds.
    models: Vec<(String, u32)>,
}

impl Runner {
    /// Opens the workshop and makes sure that the source passes every model as long as no mutant is
    /// switched on: otherwise a death says nothing.
    pub fn open(
        workspace: &Path,
        switched: &BTreeMap<PathBuf, String>,
        table: &mut Table,
    ) -> Result<Self, String> {
        let mut workshop = Workshop::open(workspace)?;
        let switched = workshop.with_texts(switched, Workshop::build)?;
        let switched = switched.keep(&workshop.directories().1.join("census-models"))?;
        let figures = baseline(&workshop, &switched)?;
        table.models = figures
            .iter()
            .map(|(name, figures)| {
                let deeper = table.models.get(name).and_then(|(_, deeper)| deeper.clone());
                (name.clone(), (figures.clone(), deeper))
            })
            .collect();
        let mut models = figures;
        models.sort_by_key(|(_, figures)| figures.milliseconds);
        let models = models.into_iter().map(|(name, figures)| (name, figures.bound)).collect();
        Ok(Self { workshop, switched, models })
    }

    /// Tries one mutant.
    pub fn run(&mut self, job: &Job, table: &Table) -> Result<Verdict, String> {
        let models = match &job.mutation {
            Mutation::None => return Ok(Verdict::Relaxed),
            Mutation::Switched(number) => self.switched.with_variable(SWITCH, *number),
            Mutation::Texts(texts) => self
                .workshop
                .with_texts(texts, Workshop::build)
                .map_err(|error| format!("{job}: {error}"))?,
        };
        let mut passed = BTreeSet::new();
        let first = self.first_choice(job, table)?;
        // What is known to survive is tried only by the models that are named for it.
        let is_wanted = |name: &String| !job.is_explained || first.contains(name);
        let others = self.models.iter().map(|(name, _)| name).filter(|name| !first.contains(name));
        let others = others.filter(|name| is_wanted(name));
        let usual = first.iter().chain(others).map(|name| (name, Effort::default()));
        let shallow = self.models.iter().filter(|(_, bound)| Some(*bound) < THOROUGH.bound);
        let shallow = shallow.filter(|(name, _)| is_wanted(name));
        let thorough = shallow.map(|(name, _)| (name, THOROUGH));
        let mut left = THOROUGH_IN_ALL;
        for (model, effort) in usual.chain(thorough) {
            if effort.bound.is_some() && left.is_zero() {
                break;
            }
            let begun = Instant::now();
            let outcome = models.run(model, effort)?;
            println!("    {model}: {outcome}");
            match outcome {
                Outcome::Failed { execution: executions, .. } => {
                    return Ok(Verdict::Killed { model: model.clone(), executions });
                }
                Outcome::Passed { .. } => {
                    passed.insert(model.clone());
                }
                Outcome::TimedOut(_) => {}
            }
            if effort.bound.is_some() {
                left = left.saturating_sub(begun.elapsed());
            }
        }
        Ok(Verdict::Survives { models: passed.len() })
    }

    /// The models to begin with: what killed a mutant of this place before, then those that are named,
    /// the quickest first.
    fn first_choice(&self, job: &Job, table: &Table) -> Result<Vec<String>, String> {
        let known = |name: &str| {
            let inner = format!("::{name}");
            let known = self.models.iter().map(|(model, _)| model);
            known.filter(|model| *model == name || model.ends_with(&inner)).cloned().collect()
        };
        let mut choice: Vec<String> = Vec::new();
        if job.subject == Subject::Ordering {
            for (key, verdict) in &table.orderings {
                if let Verdict::Killed { model, .. } = verdict
                    && key.place == job.key.place
                {
                    let before: Vec<String> = known(model);
                    // The very mutant comes before others of its place.
                    let at = if key.mutant == job.key.mutant { 0 } else { choice.len() };
                    choice.splice(at..at, before);
                }
            }
        }
        let mut all_named = BTreeSet::new();
        for name in &job.models {
            let named: Vec<String> = known(name);
            if named.is_empty() && job.subject == Subject::Step {
                return Err(format!("{job}: there is no model {name}"));
            }
            all_named.extend(named);
        }
        let quickest = self.models.iter().map(|(model, _)| model);
        choice.extend(quickest.filter(|model| all_named.contains(*model)).cloned());
        let mut seen = BTreeSet::new();
        choice.retain(|model| seen.insert(model.clone()));
        Ok(choice)
    }

    /// Runs each model with more and more preemptions, up to `most`, as long as one run is expected
    /// to end within `time`.
    pub fn deepen(
        &mut self,
        words: &[String],
        most: u32,
        time: Duration,
        table: &mut Table,
        mut save: impl FnMut(&Table) -> Result<(), String>,
    ) -> Result<(), String> {
        for (name, (usual, deeper)) in table.models.clone() {
            if !words.is_empty() && !words.iter().any(|word| name.contains(word)) {
                continue;
            }
            let mut reached: Option<Figures> = None;
            let mut took = Duration::from_millis(usual.milliseconds as u64);
            for bound in usual.bound + 1..=most {
                // One more preemption costs about so much more.
                if took * 6 > time {
                    break;
                }
                let effort = Effort { bound: Some(bound), time };
                let outcome = self.switched.run(&name, effort)?;
                println!("{name}, bound {bound}: {outcome}");
                match figures(&outcome) {
                    Some(figures) => reached = Some(Figures { bound, ..figures }),
                    None if matches!(outcome, Outcome::TimedOut(_)) => break,
                    None => return Err(format!("{name} fails at bound {bound}: {outcome}")),
                }
                took = reached
                    .as_ref()
                    .map_or(took, |figures| Duration::from_millis(figures.milliseconds as u64));
            }
            table.models.insert(name, (usual, reached.or(deeper)));
            save(table)?;
        }
        Ok(())
    }
}

/// The figures of a model that passed.
fn figures(outcome: &Outcome) -> Option<Figures> {
    let Outcome::Passed { time, executions, bound } = outcome else { return None };
    Some(Figures { bound: (*bound)?, executions: *executions, milliseconds: time.as_millis() })
}

/// What every model depends on, from the copy; its own file comes to it.
const COMMON: [&str; 7] = [
    "core/src/lib.rs",
    "core/src/log",
    "core/src/log.rs",
    "core/src/sync.rs",
    "core/src/sync/modelled",
    "loom-tests/tests/models/harness.rs",
    "loom-tests/tests/models/steps.rs",
];

/// Every model's figures on the unchanged source; known from an earlier run, as long as nothing has
/// changed that the model depends on.
fn baseline(workshop: &Workshop, models: &Models) -> Result<Vec<(String, Figures)>, String> {
    let (copy, target) = workshop.directories();
    let memory = target.join("census-baseline.txt");
    let mut known = std::fs::read_to_string(&memory).unwrap_or_default();
    let mut all = Vec::new();
    for name in models.list()? {
        let file = name.split("::").next().unwrap_or_default();
        if NO_MODELS.contains(&file) {
            continue;
        }
        let own = format!("loom-tests/tests/models/{file}.rs");
        let source: Vec<PathBuf> =
            COMMON.iter().map(|path| copy.join(path)).chain([copy.join(own)]).collect();
        let key = format!("{} {name} ", hash_of(&source)?);
        let figures = match known.lines().find_map(|line| recall(line.strip_prefix(&key)?)) {
            Some(figures) => figures,
            None => {
                let outcome = models.run(&name, Effort::default())?;
                println!("unchanged: {name}: {outcome}");
                let figures = figures(&outcome);
                let figures =
                    figures.ok_or_else(|| format!("the unchanged source fails {name}"))?;
                let Figures { bound, executions, milliseconds } = figures;
                known += &format!("{key}{bound} {executions} {milliseconds}\n");
                std::fs::write(&memory, &known)
                    .map_err(|error| format!("{}: {error}", memory.display()))?;
                figures
            }
        };
        all.push((name, figures));
    }
    Ok(all)
}

fn recall(line: &str) -> Option<Figures> {
    let mut numbers = line.split(' ');
    Some(Figures {
        bound: numbers.next()?.parse().ok()?,
        executions: numbers.next()?.parse().ok()?,
        milliseconds: numbers.next()?.parse().ok()?,
    })
}

/// A hash of all texts at and below the paths.
fn hash_of(paths: &[PathBuf]) -> Result<String, String> {
    let mut left: Vec<PathBuf> = paths.to_vec();
    let mut texts = BTreeSet::new();
    while let Some(path) = left.pop() {
        let explain = |error: std::io::Error| format!("{}: {error}", path.display());
        if path.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(explain)? {
                left.push(entry.map_err(explain)?.path());
            }
        } else {
            let text = std::fs::read_to_string(&path).map_err(explain)?;
            texts.insert(format!("{}\n{text}", path.display()));
        }
    }
    Ok(places::hash(&texts.into_iter().collect::<String>()))
}
