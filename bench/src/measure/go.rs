//! Measuring the store that is written in Go (`bench/go`): it is a program of its own, which is built the first
//! time that it is asked for, and says what it measured as a [`Measurement`].
//!
//! Nothing else needs Go. Where there is none, this contender says so and is left out.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::machine::Moment;
use super::record::Measurement;
use super::store::PAGE;
use super::threads::{CHUNK, LIMIT};
use crate::contender::{Able, Lack, Refusal};
use crate::scenario::{Reading, Scenario, Timing, Work};

/// When records are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// While it is timed.
    InCall,
    /// Before.
    Before,
}

/// What names a Go to be used.
const VARIABLE: &str = "STREAMCORE_GO";

const SOURCES: [(&str, &str); 3] = [
    ("store.go", include_str!("../../go/store.go")),
    ("main.go", include_str!("../../go/main.go")),
    ("measure.go", include_str!("../../go/measure.go")),
];

/// Measures it in a process of its own.
pub fn measure(scenario: &Scenario, records: Records) -> Result<Measurement, Refusal> {
    let arguments = arguments(scenario, records)?;
    let mut command = Command::new(program()?);
    let before = Moment::now();
    let output = command.args(arguments).output();
    let between = before.until(&Moment::now());
    let output = output.map_err(|error| Lack::of(format!("{command:?}: {error}")))?;
    Ok(Measurement { others: between.others, ..answer(&output)? })
}

/// What the program is told; the same bounds hold for it as for all others.
fn arguments(scenario: &Scenario, records: Records) -> Able<Vec<String>> {
    let (work, operations) = match scenario.work {
        Work::Put => ("put", scenario.operations),
        // As many as the same design in Rust.
        Work::GetRecords => ("get-records", 4 * scenario.operations),
        Work::Register(count) => ("register", count as u64),
        Work::WireFirst | Work::WireAgain => {
            return Err(Lack::of("encoding is the business of its host"));
        }
        _ => return Err(Lack::of("a store, not a log")),
    };
    if records == Records::Before && scenario.work != Work::Put {
        return Err(Lack::of("differs in putting alone"));
    }
    let mut arguments = vec!["-work".to_owned(), work.to_owned()];
    let numbers = [
        ("-operations", operations),
        ("-writers", scenario.writers as u64),
        ("-readers", scenario.readers as u64),
        ("-retain", scenario.retain.get().max(PAGE as u64)),
        ("-chunk", CHUNK),
    ];
    let numbers = numbers.map(|(name, value)| [name.to_owned(), value.to_string()]);
    arguments.extend(numbers.into_iter().flatten());
    arguments.extend(["-limit".to_owned(), format!("{}ms", LIMIT.as_millis())]);
    match scenario.timing {
        Timing::Throughput => {}
        Timing::EachCall => arguments.push("-each-call".to_owned()),
        Timing::Arrivals(_) => return Err(Lack::of("calls follow each other, or are not timed")),
    }
    match scenario.reading {
        Reading::None | Reading::Scan => {}
        _ => return Err(Lack::of("readers read everything, again and again")),
    }
    if records == Records::Before {
        arguments.push("-prebuilt".to_owned());
    }
    Ok(arguments)
}

/// What it printed, unless it found itself wrong.
fn answer(output: &Output) -> Result<Measurement, Refusal> {
    if !output.status.success() {
        return Err(Refusal::Wrong(format!("{}: {}", output.status, first_line(&output.stderr))));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Refusal::Wrong(format!("an answer that cannot be read: {error}")))
}

fn first_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().lines().next().unwrap_or("").to_owned()
}

/// The program, built if it is not there yet.
pub fn program() -> Able<&'static Path> {
    static PROGRAM: OnceLock<Able<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(build).as_deref().map_err(Clone::clone)
}

/// What the Go says of itself.
pub fn version() -> Able<&'static str> {
    found().as_ref().map(|go| go.version.as_str()).map_err(Clone::clone)
}

#[derive(Clone)]
struct Go {
    command: PathBuf,
    version: String,
}

impl Go {
    fn of(command: impl Into<PathBuf>) -> Result<Self, String> {
        let command = command.into();
        let output = go(&command).arg("version").output().map_err(|error| error.to_string())?;
        let version = first_line(&output.stdout);
        match version.strip_prefix("go version ") {
            Some(version) => Ok(Self { command, version: version.into() }),
            None => Err(format!("it says {:?}", first_line(&output.stderr))),
        }
    }
}

/// The Go that is used: the one that a variable names, one on the path, or the one that `bench/go/get` put into the
/// target directory.
fn found() -> &'static Able<Go> {
    static FOUND: OnceLock<Able<Go>> = OnceLock::new();
    FOUND.get_or_init(|| {
        find(env::var_os(VARIABLE).as_deref(), env::var_os("PATH").as_deref(), &place())
    })
}

fn find(named: Option<&OsStr>, path: Option<&OsStr>, place: &Path) -> Able<Go> {
    if let Some(named) = named {
        return Go::of(named).map_err(|how| {
            Lack::of(format!("{VARIABLE} names no Go: {}: {how}", Path::new(named).display()))
        });
    }
    let on_path = path.into_iter().flat_map(env::split_paths).map(|directory| directory.join("go"));
    let mut found = on_path.chain([place.join(GOT)]).filter(|path| path.is_file());
    found
        .find_map(|path| Go::of(path).ok())
        .ok_or_else(|| Lack::of("no Go toolchain: run bench/go/get"))
}

/// Where `bench/go/get` puts the command.
const GOT: &str = "go/bin/go";

/// Where Go lies and its programs are built: `go` in Cargo's target directory, if there is a Go; else `go` beside this
/// program.
fn place() -> PathBuf {
    let this = env::current_exe().unwrap_or_else(|_| env::temp_dir().join("bench"));
    let mut places = this.ancestors().skip(1).map(|directory| directory.join("go"));
    let beside = places.next().unwrap_or_default();
    if beside.join(GOT).is_file() {
        return beside;
    }
    places.find(|place| place.join(GOT).is_file()).unwrap_or(beside)
}

/// A Go command that loads nothing from anywhere.
fn go(command: &Path) -> Command {
    let mut go = Command::new(command);
    go.env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("GOFLAGS", "").env("CGO_ENABLED", "0");
    go.env_remove("GOROOT");
    go
}

fn build() -> Able<PathBuf> {
    let go = found().as_ref().map_err(Clone::clone)?;
    let parent = place();
    let mut hasher = DefaultHasher::new();
    (SOURCES, &go.version).hash(&mut hasher);
    let program = parent.join(format!("store-{:016x}", hasher.finish()));
    if program.is_file() {
        return Ok(program);
    }
    // Two processes may build at the same time; the last one's program stays.
    let place = parent.join(format!("build-{}", std::process::id()));
    let built = go.build(&place, &parent, &program);
    let _ = fs::remove_dir_all(&place);
    built.map_err(|how| Lack::of(format!("Go does not build it: {how}")))?;
    Ok(program)
}

impl Go {
    fn build(&self, place: &Path, parent: &Path, program: &Path) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        fs::create_dir_all(place).map_err(text)?;
        for (name, source) in SOURCES {
            fs::write(place.join(name), source).map_err(text)?;
        }
        let mut command = go(&self.command);
        command.current_dir(place).env("GOCACHE", parent.join("cache"));
        command.args(["build", "-o", "store"]).args(SOURCES.map(|(name, _)| name));
        let output = command.output().map_err(text)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        fs::rename(place.join("store"), program).map_err(text)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;
    use crate::scenario::PayloadKind;

    #[test]
    fn what_it_cannot_do_it_says() {
        let lack =
            |scenario: &Scenario, records| arguments(scenario, records).unwrap_err().to_string();
        let of = |work| Scenario::of(work, PayloadKind::B64);
        assert_eq!(
            lack(&of(Work::WireFirst), Records::InCall),
            "encoding is the business of its host"
        );
        assert_eq!(lack(&of(Work::Append), Records::InCall), "a store, not a log");
        assert_eq!(lack(&of(Work::GetRecords), Records::Before), "differs in putting alone");
        let arrivals = of(Work::Put).timed(Timing::Arrivals(1000));
        assert_eq!(lack(&arrivals, Records::InCall), "calls follow each other, or are not timed");
        let put = of(Work::Put).readers(1, Reading::Scan).timed(Timing::EachCall);
        let told = arguments(&put, Records::Before).unwrap().join(" ");
        assert_eq!(
            told,
            "-work put -operations 800000 -writers 1 -readers 1 -retain 100000 -chunk 2048 -limit 400ms \
             -each-call -prebuilt"
        );
    }

    #[test]
    fn a_store_that_finds_itself_wrong_is_wrong() {
        let output = |status, stdout: &str| Output {
            status: ExitStatus::from_raw(status),
            stdout: stdout.into(),
            stderr: b"2 records were put, and 1 are counted\n".into(),
        };
        let right = r#"{"ns":1.5,"operations":2,"reader_ns":null,"latencies":[[10,1],[20,1]],"allocations":3,
            "allocated":4,"page_faults":5,"peak_memory":6,"held":7,"link":null,"others":0}"#;
        let measured = answer(&output(0, right)).unwrap();
        assert_eq!((measured.ns, measured.operations, measured.held), (1.5, 2, Some(7)));
        assert_eq!(measured.headline(), 20.0);
        let Err(Refusal::Wrong(how)) = answer(&output(1 << 8, right)) else {
            panic!("it exited with 1")
        };
        assert!(how.ends_with("2 records were put, and 1 are counted"), "{how}");
        assert!(matches!(answer(&output(0, "panic")), Err(Refusal::Wrong(_))));
    }

    /// A place with a Go that says this.
    fn place(name: &str, says: &str) -> PathBuf {
        let place = env::temp_dir().join(format!("streamcore-{}-{name}", std::process::id()));
        fs::create_dir_all(place.join("go/bin")).unwrap();
        fs::write(place.join(GOT), format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(place.join(GOT), fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    #[test]
    fn a_go_is_looked_for_by_variable_path_and_place() {
        let (good, bad) = (place("good", "go version go1.1"), place("bad", "no such thing"));
        let on_path = good.join("go/bin");
        let path = Some(on_path.as_os_str());
        let version = |found: Able<Go>| found.map(|go| go.version).map_err(|lack| lack.to_string());
        let none = "no Go toolchain: run bench/go/get".to_owned();
        assert_eq!(version(find(None, None, Path::new("/nowhere"))), Err(none.clone()));
        assert_eq!(version(find(None, None, &good)), Ok("go1.1".into()));
        assert_eq!(version(find(None, path, Path::new("/nowhere"))), Ok("go1.1".into()));
        // What is no Go is passed over, unless it was named.
        assert_eq!(version(find(None, None, &bad)), Err(none));
        let refused = version(find(Some(bad.join(GOT).as_os_str()), path, &good));
        assert!(refused.unwrap_err().starts_with("STREAMCORE_GO names no Go: "));
        for place in [good, bad] {
            fs::remove_dir_all(place).unwrap();
        }
    }
}
