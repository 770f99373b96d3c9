//! The copy in which mutants are planted, built and run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How much a run of a model may cost.
#[derive(Clone, Copy)]
pub struct Effort {
    /// At least so many preemptions; as the model says, unless given.
    pub bound: Option<u32>,
    /// A model that runs longer than this has not killed its mutant.
    pub time: Duration,
}

impl Default for Effort {
    fn default() -> Self {
        Self { bound: None, time: Duration::from_secs(900) }
    }
}

/// A copy of what the models need of the workspace.
pub struct Workshop {
    workspace: PathBuf,
    copy: PathBuf,
    target: PathBuf,
}

/// The models of some source, built.
pub struct Models {
    path: PathBuf,
    /// Set when they are run.
    variable: Option<(String, String)>,
}

/// How a model ended.
pub enum Outcome {
    /// It found nothing.
    Passed {
        /// How long it took.
        time: Duration,
        /// In how many executions, all orders of the roles together.
        executions: u64,
        /// With how many preemptions, if the test is a model.
        bound: Option<u32>,
    },
    /// It found a mistake.
    Failed {
        /// How long it took.
        time: Duration,
        /// In which execution, those of the orders before counted, as far as is known.
        execution: Option<u64>,
        /// What it said.
        message: String,
    },
    /// It did not end in so much time.
    TimedOut(Duration),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { time, executions, .. } => {
                write!(f, "passed in {} ms, {executions} executions", time.as_millis())
            }
            Self::Failed { time, execution, message } => {
                match execution {
                    Some(number) => write!(f, "execution {number}")?,
                    None => f.write_str("crash")?,
                }
                write!(f, ", {} ms | {message}", time.as_millis())
            }
            Self::TimedOut(limit) => write!(f, "not over after {} s", limit.as_secs()),
        }
    }
}

fn explain(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

impl Workshop {
    /// Copies the workspace, or brings the copy up to date.
    pub fn open(workspace: &Path) -> Result<Self, String> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let own = workspace.join(target.unwrap_or_else(|| "target".into())).join("mutants");
        let (copy, target) = (own.join("workspace"), own.join("target"));
        let this = Self { workspace: workspace.to_owned(), copy, target };
        this.copy_directory(Path::new("core"), &[])?;
        // Without the runner itself, which cargo would otherwise build for each mutant too.
        let without = ["src", "mutants", "shuttle", "CENSUS.md", "beyond-loom.md"];
        this.copy_directory(Path::new("loom-tests"), &without)?;
        this.copy_file(Path::new("Cargo.lock"), |text| Ok(text.to_owned()))?;
        this.copy_file(Path::new("Cargo.toml"), |text| {
            let start = text.find("members = [").ok_or("Cargo.toml lists no members")?;
            let end = start + text[start..].find(']').ok_or("Cargo.toml's members have no end")?;
            Ok(format!("{}members = [\"core\", \"loom-tests\"{}", &text[..start], &text[end..]))
        })?;
        Ok(this)
    }

    /// Files that are not changed keep their time, so that cargo builds only what is.
    fn copy_file(
        &self,
        path: &Path,
        change: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<(), String> {
        let from = self.workspace.join(path);
        let text = change(&fs::read_to_string(&from).map_err(explain(&from))?)?;
        write_if_different(&self.copy.join(path), &text)
    }

    fn copy_directory(&self, path: &Path, without: &[&str]) -> Result<(), String> {
        let (from, to) = (self.workspace.join(path), self.copy.join(path));
        fs::create_dir_all(&to).map_err(explain(&to))?;
        let names = |directory: &Path| -> Result<BTreeSet<_>, String> {
            let entries = fs::read_dir(directory).map_err(explain(directory))?;
            entries.map(|entry| Ok(entry.map_err(explain(directory))?.file_name())).collect()
        };
        let mut wanted = names(&from)?;
        wanted.retain(|name| !without.iter().any(|not| name == not) && name != "target");
        for old in names(&to)?.difference(&wanted) {
            let old = to.join(old);
            let removed =
                if old.is_dir() { fs::remove_dir_all(&old) } else { fs::remove_file(&old) };
            removed.map_err(explain(&old))?;
        }
        for name in wanted {
            let inner = path.join(name);
            if self.workspace.join(&inner).is_dir() {
                self.copy_directory(&inner, &[])?;
            } else {
                self.copy_file(&inner, |text| Ok(text.to_owned()))?;
            }
        }
        Ok(())
    }

    /// A text from the copy.
    pub fn read(&self, path: &Path) -> Result<String, String> {
        let path = self.copy.join(path);
        fs::read_to_string(&path).map_err(explain(&path))
    }

    /// Where the copy is, and where its build.
    pub fn directories(&self) -> (&Path, &Path) {
        (&self.copy, &self.target)
    }

    /// Runs `work` while the copy has the given texts instead of its own.
    pub fn with_texts<R>(
        &mut self,
        texts: &BTreeMap<PathBuf, String>,
        work: impl FnOnce(&mut Self) -> Result<R, String>,
    ) -> Result<R, String> {
        let mut own = Vec::new();
        for path in texts.keys() {
            own.push((self.copy.join(path), self.read(path)?));
        }
        let planted = texts
            .iter()
            .try_for_each(|(path, text)| write_if_different(&self.copy.join(path), text));
        let result = planted.and_then(|()| work(self));
        own.iter().try_for_each(|(path, text)| write_if_different(path, text))?;
        result
    }

    /// Builds the models of what is in the copy.
    pub fn build(&mut self) -> Result<Models, String> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--offline", "--package", "loom-tests", "--test", "models", "--no-run"])
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", &self.target)
            // A third quicker to build, and nobody looks at backtraces here.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_PROFILE_TEST_DEBUG", "0")
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("does not build:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let executable = messages.lines().filter(|line| line.contains("\"name\":\"models\""));
        let executable = executable.filter_map(|line| line.split_once("\"executable\":\"")).next();
        let path = executable.and_then(|(_, rest)| rest.split('"').next());
        path.map(|path| Models { path: path.replace("\\\\", "\\").into(), variable: None })
            .ok_or_else(|| "cargo does not say where it put the models".to_owned())
    }
}

fn write_if_different(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(explain(path))
}

/// Whether somebody else ended a process.
#[cfg(unix)]
fn was_stopped(status: ExitStatus) -> bool {
    const SIGINT: i32 = 2;
    const SIGKILL: i32 = 9;
    const SIGTERM: i32 = 15;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    matches!(signal, Some(SIGINT | SIGKILL | SIGTERM))
}

#[cfg(not(unix))]
fn was_stopped(_: ExitStatus) -> bool {
    false
}

impl Models {
    /// The same models where no later build replaces them.
    pub fn keep(&self, path: &Path) -> Result<Self, String> {
        fs::copy(&self.path, path).map_err(explain(path))?;
        Ok(Self { path: path.to_owned(), variable: self.variable.clone() })
    }

    /// The same models, with a variable of the environment.
    pub fn with_variable(&self, name: &str, value: impl fmt::Display) -> Self {
        let variable = Some((name.to_owned(), value.to_string()));
        Self { path: self.path.clone(), variable }
    }

    /// Their names.
    pub fn list(&self) -> Result<BTreeSet<String>, String> {
        let output = Command::new(&self.path)
            .args(["--list", "--format", "terse"])
            .output()
            .map_err(explain(&self.path))?;
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(listed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .map(str::to_owned)
            .collect())
    }

    /// Runs one model.
    pub fn run(&self, model: &str, effort: Effort) -> Result<Outcome, String> {
        // Into a file: a pipe that nobody empties would stop a model that says much.
        let log = self.path.with_extension("log");
        let file = fs::File::create(&log).map_err(explain(&log))?;
        let errors = file.try_clone().map_err(explain(&log))?;
        let begun = Instant::now();
        let mut command = Command::new(&self.path);
        command.envs(self.variable.clone());
        if let Some(bound) = effort.bound {
            command.env("STREAMCORE_MODEL_BOUND", bound.to_string());
        }
        let mut child = command
            .args(["--exact", "--nocapture", "--test-threads", "1", model])
            .env("RUST_BACKTRACE", "0")
            .stdout(file)
            .stderr(errors)
            .spawn()
            .map_err(explain(&self.path))?;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(explain(&self.path))? {
                break status;
            }
            if begun.elapsed() > effort.time {
                child.kill().and_then(|()| child.wait()).map_err(explain(&self.path))?;
                return Ok(Outcome::TimedOut(effort.time));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let time = begun.elapsed();
        // A model that goes wrong may crash, but does not stop itself.
        if was_stopped(status) {
            return Err(format!("{model} was stopped from outside: {status}"));
        }
        let said = fs::read(&log).map_err(explain(&log))?;
        let said = String::from_utf8_lossy(&said);
        // Each order of the roles that is through says "[roles]: bound 3, 1200 executions".
        let through: Vec<(u32, u64)> = said
            .lines()
            .filter_map(|line| line.split_once("]: bound ")?.1.split_once(" executions"))
            .filter_map(|(numbers, _)| numbers.split_once(", "))
            .filter_map(|(bound, count)| Some((bound.parse().ok()?, count.parse().ok()?)))
            .collect();
        let executions = through.iter().map(|(_, count)| count).sum();
        if status.success() {
            let bound = through.iter().map(|(bound, _)| *bound).min();
            return Ok(Outcome::Passed { time, executions, bound });
        }
        let last = said.lines().filter_map(|line| line.split_once(" failed in execution "));
        let last: Option<u64> =
            last.filter_map(|(_, rest)| rest.split(' ').next()?.parse().ok()).next();
        let execution = last.map(|last| executions + last);
        let panic = said.lines().skip_while(|line| !line.contains(" panicked at ")).nth(1);
        let message =
            panic.map_or_else(|| status.to_string(), |line| line.chars().take(120).collect());
        Ok(Outcome::Failed { time, execution, message })
    }
}
