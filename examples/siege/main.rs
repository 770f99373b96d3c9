//! A thousand slow and hostile connections, from another process, while four clients work as they should.
//!
//!     cargo build --release --bin emulator
//!     cargo run --release --example siege
//!
//! In rounds, the emulator is under siege, and then quiet, with a process beside it that takes as much processor
//! time as the besiegers took; so what is compared is the server, not the machine. The clients put items at a fixed
//! rate, and each latency counts from when the request was due. At the end every put that was acknowledged must be
//! in the stream once, and the median of p99 under siege may be three times the quiet one.

mod besiegers;
mod clients;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;

use besiegers::Kind;

/// Slow and hostile connections against the emulator, and what they do to others.
#[derive(Parser)]
struct Arguments {
    /// How many hostile connections there are.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// How long the siege takes, over all rounds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// In how many rounds.
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// How many clients work.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// How many requests each of them sends in a second.
    #[arg(long, default_value_t = 250)]
    rate: u64,
    /// How many times the quiet p99 the p99 under siege may be.
    #[arg(long, default_value_t = 3.0)]
    allowed: f64,
    /// Which kinds of hostile clients there are; all by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    kind: Vec<Kind>,
    /// The emulator's binary; by default the one built with this program.
    #[arg(long)]
    emulator: Option<PathBuf>,
    /// Besiege this address, for so long; what this program starts itself as.
    #[arg(long, hide = true)]
    besiege: Option<String>,
    /// Take so many milliseconds of processor time, evenly over the seconds; what this program starts itself as.
    #[arg(long, hide = true)]
    burn: Option<u64>,
}

impl Arguments {
    fn kinds(&self) -> Vec<Kind> {
        if self.kind.is_empty() { Kind::value_variants().to_vec() } else { self.kind.clone() }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let time = Duration::from_secs(arguments.seconds);
    if let Some(address) = &arguments.besiege {
        besiegers::besiege(address, arguments.connections, &arguments.kinds(), time);
        return ExitCode::SUCCESS;
    }
    if let Some(ms) = arguments.burn {
        burn(Duration::from_millis(ms), time);
        return ExitCode::SUCCESS;
    }
    match siege(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("siege: {message}");
            ExitCode::FAILURE
        }
    }
}

/// A process that ends with this.
struct Ended(Child);

/// The emulator, and its first words, which it should not lose its listener at.
struct Emulator {
    process: Ended,
    _output: BufReader<ChildStdout>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_emulator(arguments: &Arguments) -> Result<(Emulator, String), String> {
    let beside = || {
        let mut path = std::env::current_exe().ok()?;
        path.pop();
        path.pop();
        Some(path.join("emulator"))
    };
    let path = arguments.emulator.clone().or_else(beside).ok_or("where is the emulator?")?;
    let mut child = Command::new(&path)
        .args(["--port", "0", "--log", "warn"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}; build it first", path.display()))?;
    let mut output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    let process = Ended(child);
    let mut line = String::new();
    output.read_line(&mut line).map_err(|error| error.to_string())?;
    let (_, address) = line.trim().split_once("http://").ok_or("the emulator did not start")?;
    Ok((Emulator { process, _output: output }, address.to_owned()))
}

/// This program again, in another role.
fn start_self(options: &[String]) -> Result<Child, String> {
    let path = std::env::current_exe().map_err(|error| error.to_string())?;
    Command::new(path).args(options).spawn().map_err(|error| error.to_string())
}

fn siege(arguments: &Arguments) -> Result<(), String> {
    let (emulator, address) = start_emulator(arguments)?;
    clients::create_table(&address)?;
    let seconds = (arguments.seconds / arguments.rounds.max(1)).max(1);
    let time = Duration::from_secs(seconds);
    let names: Vec<String> = (arguments.kinds().iter())
        .filter_map(|kind| Some(kind.to_possible_value()?.get_name().to_owned()))
        .collect();
    let start = |role: &str, value: String| {
        start_self(&[
            role.to_owned(),
            value,
            format!("--seconds={seconds}"),
            format!("--connections={}", arguments.connections),
            format!("--kind={}", names.join(",")),
        ])
    };
    let (mut besieged, mut quiet, mut acknowledged) = (Vec::new(), Vec::new(), 0);
    println!(
        "{:>5} {:>9} {:>9} {:>9} {:>9} {:>12}",
        "round", "", "p50", "p99", "p99.9", "processor"
    );
    for round in 1..=arguments.rounds.max(1) {
        let mut first = acknowledged;
        let mut phase = |name: &str, other: Child, figures: &mut Vec<Histogram<u64>>| {
            let before = processor_time_of_children();
            let server = processor_time_of(emulator.process.0.id());
            let mut other = Ended(other);
            let (latencies, puts) =
                clients::work(&address, arguments.clients, arguments.rate, time, first)?;
            other.0.wait().map_err(|error| error.to_string())?;
            let took = processor_time_of_children().saturating_sub(before);
            let at = |quantile| Duration::from_micros(latencies.value_at_quantile(quantile));
            println!(
                "{round:>5} {name:>9} {:>9.1?} {:>9.1?} {:>9.1?} {took:>12.1?} {:>12.1?}",
                at(0.5),
                at(0.99),
                at(0.999),
                processor_time_of(emulator.process.0.id()).saturating_sub(server),
            );
            figures.push(latencies);
            first += puts;
            Ok::<_, String>(took)
        };
        let besiegers = start("--besiege", address.clone())?;
        let took = phase("besieged", besiegers, &mut besieged)?;
        let burner = start("--burn", took.as_millis().to_string())?;
        phase("quiet", burner, &mut quiet)?;
        acknowledged = first;
    }
    let memory = peak_memory(emulator.process.0.id());
    let found = clients::count_records(&address, acknowledged, arguments.rate * seconds)?;
    let p99 = |figures: &[Histogram<u64>]| {
        let mut all: Vec<u64> = figures.iter().map(|one| one.value_at_quantile(0.99)).collect();
        all.sort_unstable();
        all[all.len() / 2] as f64
    };
    let ratio = p99(&besieged) / p99(&quiet);
    println!(
        "{} connections for {} s: p99 {ratio:.2} times the quiet one; {acknowledged} puts acknowledged, \
         {found} in the stream, in order; the emulator took {memory} MiB at the most",
        arguments.connections,
        seconds * arguments.rounds
    );
    if found != acknowledged {
        return Err(format!(
            "{acknowledged} puts were acknowledged, and {found} are in the stream"
        ));
    }
    if ratio > arguments.allowed {
        return Err(format!("p99 under siege is {ratio:.2} times the quiet one"));
    }
    Ok(())
}

/// What processes that have ended took, and that this one started.
fn processor_time_of_children() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Duration::ZERO;
    };
    let time = |value: nix::sys::time::TimeVal| {
        let micros = value.tv_sec() * 1_000_000 + value.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// What a process that runs has taken; nothing where the system does not tell.
fn processor_time_of(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: the state, ten numbers, then user and system time in ticks.
    let numbers = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    let ticks: u64 = numbers.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    Duration::from_secs_f64(ticks as f64 / per_second.unwrap_or(100) as f64)
}

/// The most memory that a process has had, in MiB; 0 where the system does not tell.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// Takes `busy` of processor time, evenly over `time`.
fn burn(busy: Duration, time: Duration) {
    const SLICE: Duration = Duration::from_millis(10);
    let began = std::time::Instant::now();
    let share = busy.as_secs_f64() / time.as_secs_f64();
    while began.elapsed() < time {
        let slice = std::time::Instant::now();
        while slice.elapsed() < SLICE.mul_f64(share.min(1.0)) {
            std::hint::spin_loop();
        }
        std::thread::sleep(SLICE.saturating_sub(slice.elapsed()));
    }
}
