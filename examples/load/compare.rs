//! `load compare`: the same load on the emulator, on a static server and on other emulators, in turns.
//!
//! Each measurement is a process of `load` against a server that was started for it alone. Figures are
//! medians over the rounds. Others are slow, so they are given a time, and what they did in it counts:
//! they slow down as they fill, so that flatters them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use super::servers::{Found, Programs, Server, emulator_beside};

/// What is compared.
#[derive(Clone, Debug, clap::Args)]
pub struct Comparison {
    /// PutItem requests of a measurement.
    #[arg(long, default_value_t = 100_000)]
    puts: u64,
    #[arg(long, default_value_t = 8)]
    connections: u32,
    #[arg(long, default_value_t = 2)]
    consumers: u32,
    #[arg(long, default_value_t = 300)]
    item_bytes: usize,
    #[arg(long, default_value_t = 10_000)]
    keys: u32,
    /// Threads of the client.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Rounds in which the others take part: those that come first.
    #[arg(long, default_value_t = 1)]
    peer_rounds: u32,
    /// How long the others may write in a round.
    #[arg(long, default_value_t = 40)]
    peer_seconds: u64,
    /// How long records are read.
    #[arg(long, default_value_t = 4)]
    read_seconds: u64,
    /// Others: moto, dynoxide.
    #[arg(long, value_delimiter = ',', default_value = "moto,dynoxide", value_parser = peer)]
    peers: Vec<Server>,
    /// The emulator; by default the one that was built beside this program.
    #[arg(long)]
    emulator: Option<PathBuf>,
    /// Where others are kept, and put if they are not there.
    #[arg(long, default_value = "target/peers")]
    folder: PathBuf,
}

fn peer(text: &str) -> Result<Server, String> {
    match text {
        "moto" => Ok(Server::Moto),
        "dynoxide" => Ok(Server::Dynoxide),
        _ => Err("others are moto and dynoxide".to_owned()),
    }
}

/// What is measured of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Figure {
    /// Puts per second with a stream.
    Puts,
    /// Puts per second without one.
    PutsAlone,
    /// Puts that were done in the time that there was.
    Done,
    /// The rate of the last tenth of the puts over that of the first.
    Flatness,
    /// Records per second.
    Records,
}

/// Figures of all rounds.
#[derive(Default)]
struct Figures(BTreeMap<(&'static str, Figure), Vec<f64>>);

impl Figures {
    fn add(&mut self, server: Server, figure: Figure, value: Option<f64>) {
        self.0.entry((server.name(), figure)).or_default().extend(value);
    }

    fn median(&self, server: Server, figure: Figure) -> Option<f64> {
        let mut values = self.0.get(&(server.name(), figure))?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(values[middle]),
            _ => Some((values[middle - 1] + values[middle]) / 2.0),
        }
    }
}

/// Compares, and prints the table.
///
/// # Errors
///
/// The emulator or the static server failed. Others are left out by name.
pub async fn run(comparison: &Comparison) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let Comparison { puts, item_bytes, keys, .. } = comparison;
    let captured = ["--puts", &puts.to_string(), "--item-bytes", &item_bytes.to_string(), "--keys"]
        .map(str::to_owned);
    let programs = Programs {
        emulator: comparison.emulator.clone().unwrap_or_else(|| emulator_beside(&this)),
        folder: comparison.folder.clone(),
        captured: captured.into_iter().chain([keys.to_string()]).collect(),
        this,
    };
    let mut servers = vec![Server::Emulator, Server::Static];
    servers.extend(&comparison.peers);
    let mut there = Vec::new();
    for server in servers {
        match programs.get(server).await {
            Found::Ready => there.push(server),
            Found::Missing(why) if server.is_peer() => {
                eprintln!("{} is left out: {why}", server.name());
            }
            Found::Missing(why) => return Err(why),
        }
    }
    let mut figures = Figures::default();
    for round in 0..comparison.rounds {
        eprintln!("round {} of {}", round + 1, comparison.rounds);
        let turn = round as usize % there.len();
        for server in there[turn..].iter().chain(&there[..turn]).copied() {
            if server.is_peer() && round >= comparison.peer_rounds {
                continue;
            }
            match measure(comparison, &programs, server, &mut figures).await {
                Ok(()) => {}
                Err(why) if server.is_peer() => eprintln!("{} failed: {why}", server.name()),
                Err(why) => return Err(why),
            }
        }
    }
    print!("{}", table(&there, &figures));
    Ok(())
}

async fn measure(
    comparison: &Comparison,
    programs: &Programs,
    server: Server,
    figures: &mut Figures,
) -> Result<(), String> {
    let with_stream = load(comparison, programs, server, "put,records", &[]).await?;
    let [put, records] = [&with_stream["parts"][0], &with_stream["parts"][1]];
    figures.add(server, Figure::Puts, put["per_second"].as_f64());
    figures.add(server, Figure::Done, put["done"].as_f64());
    figures.add(server, Figure::Records, records["per_second"].as_f64());
    let tenths = put["rates_of_tenths"].as_array();
    let flatness = tenths.and_then(|all| Some(all.last()?.as_f64()? / all.first()?.as_f64()?));
    figures.add(server, Figure::Flatness, flatness);
    if server == Server::Emulator {
        let alone = load(comparison, programs, server, "put", &["--no-stream"]).await?;
        figures.add(server, Figure::PutsAlone, alone["parts"][0]["per_second"].as_f64());
    }
    Ok(())
}

/// One measurement: a fresh server, and a process of `load`. Gives back its report.
async fn load(
    comparison: &Comparison,
    programs: &Programs,
    server: Server,
    workloads: &str,
    options: &[&str],
) -> Result<Value, String> {
    let running = programs.start(server).await?;
    let file = std::env::temp_dir().join(format!("load-{}.json", std::process::id()));
    let mut command = command(comparison, &programs.this, server, &running.endpoint);
    command.args(["--workloads", workloads, "--json"]).arg(&file).args(options);
    let ended = command.output().await;
    running.stop().await;
    let output = ended.map_err(|error| format!("load: {error}"))?;
    let text = std::fs::read(&file);
    // The next measurement would overwrite it; the last one leaves nothing behind.
    let _ = std::fs::remove_file(&file);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        return Err(format!("{}: {}", server.name(), said.trim()));
    }
    let text = text.map_err(|error| format!("the report: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("the report: {error}"))
}

fn command(comparison: &Comparison, this: &Path, server: Server, endpoint: &str) -> Command {
    let mut command = Command::new(this);
    let mut option = |name: &str, value: String| {
        command.args([name, &value]);
    };
    option("--endpoint", endpoint.to_owned());
    option("--puts", comparison.puts.to_string());
    option("--connections", comparison.connections.to_string());
    option("--consumers", comparison.consumers.to_string());
    option("--item-bytes", comparison.item_bytes.to_string());
    option("--keys", comparison.keys.to_string());
    option("--threads", comparison.threads.to_string());
    option("--read-seconds", comparison.read_seconds.to_string());
    if server.is_peer() {
        option("--seconds", comparison.peer_seconds.to_string());
    }
    if server == Server::Static {
        command.arg("--no-check");
    }
    command.kill_on_drop(true);
    command
}

/// The figures, in Markdown, and how they relate to the emulator's.
fn table(servers: &[Server], figures: &Figures) -> String {
    let mut out = String::new();
    let header = "| | puts/s | last/first tenth | emulator is | records/s | emulator is |";
    let _ = writeln!(out, "\n{header}\n|---|--:|--:|--:|--:|--:|");
    let of = |server, figure| figures.median(server, figure);
    let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.0}"));
    let ratio = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
    for &server in servers {
        let times = |figure| {
            let times = of(Server::Emulator, figure)? / of(server, figure)?;
            Some(format!("{times:.2} x"))
        };
        let own = server == Server::Emulator;
        let times = |figure| times(figure).filter(|_| !own).unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            server.name(),
            number(of(server, Figure::Puts)),
            ratio(of(server, Figure::Flatness)),
            times(Figure::Puts),
            number(of(server, Figure::Records)),
            times(Figure::Records)
        );
    }
    let _ = writeln!(out);
    if let (Some(with), Some(without)) =
        (of(Server::Emulator, Figure::Puts), of(Server::Emulator, Figure::PutsAlone))
    {
        let cost = 100.0 * (without / with - 1.0);
        let _ =
            writeln!(out, "Without a stream: {without:.0} puts/s; the stream costs {cost:.1} %.");
    }
    for &server in servers.iter().filter(|server| server.is_peer()) {
        if let Some(done) = of(server, Figure::Done) {
            let _ = writeln!(out, "{}: {done:.0} puts in its time.", server.name());
        }
    }
    out
}
