//! `load` drives a DynamoDB endpoint over HTTP with many connections, and tells how fast it is, and whether
//! its streams tell the truth. It works against any emulator, so that people can compare.
//!
//!     cargo run --release --example load -- --endpoint http://127.0.0.1:8000 --plot load.svg
//!     cargo run --release --example load -- compare
//!
//! It makes tables of its own, and deletes them at its end. It ends with 1 if something was refused, or if
//! a consumer saw anything but the acknowledged puts, each once, those of a key in their order.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use client::Endpoint;
use run::{Check, Plan, Workload};
use serve_static::Captured;
use table::{Stream, Tables};
use write::Pace;

pub(crate) mod client;
mod compare;
mod consume;
mod items;
pub(crate) mod ledger;
mod measure;
mod plot;
pub(crate) mod report;
pub(crate) mod run;
mod serve_static;
mod servers;
pub(crate) mod table;
pub(crate) mod write;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Drives a DynamoDB endpoint, and tells how fast it is.
#[derive(Parser)]
#[command(name = "load", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    drive: Drive,
}

#[derive(Subcommand)]
enum Command {
    /// Serves answers that were made before: what HTTP alone costs.
    ServeStatic {
        /// 0 takes any that is free.
        #[arg(long, default_value_t = 8001)]
        port: u16,
        /// Those of the load that it is compared under.
        #[command(flatten)]
        size: Size,
    },
    /// Compares the emulator with a static server and with other emulators.
    Compare(compare::Comparison),
}

/// How much is written.
#[derive(clap::Args, Clone)]
struct Size {
    /// Items that are put, by each workload.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    puts: u64,
    /// Filler in each item.
    #[arg(long, default_value_t = 300, value_parser = filler)]
    item_bytes: usize,
    /// Keys that are written in turn: with as many as puts, each item is new.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    keys: u32,
}

#[derive(clap::Args)]
struct Drive {
    /// Who is driven.
    #[arg(long, default_value = "http://127.0.0.1:8000", value_parser = Endpoint::parse)]
    endpoint: Endpoint,
    #[command(flatten)]
    size: Size,
    /// Of: put, records (which writes first), batch, tail.
    #[arg(long, value_delimiter = ',', default_value = "put,records,batch,tail")]
    workloads: Vec<Workload>,
    /// Connections that write.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Items of a BatchWriteItem.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=25))]
    batch: u32,
    /// Consumers of the stream, each with a connection of its own.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    consumers: u32,
    /// Open loop: so many PutItem a second are due, and latency counts from when one was due.
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Writers of a workload end after so long at the latest.
    #[arg(long)]
    seconds: Option<u64>,
    /// How long records are read.
    #[arg(long, default_value_t = 5)]
    read_seconds: u64,
    /// Tables without a stream: only writing is measured.
    #[arg(long)]
    no_stream: bool,
    /// Records are only counted.
    #[arg(long)]
    no_check: bool,
    /// Threads of the client. It shares the machine with the server.
    #[arg(long, default_value_t = 1, value_parser = threads)]
    threads: usize,
    /// Draws latencies, and rates over time, into this file.
    #[arg(long, value_name = "SVG")]
    plot: Option<PathBuf>,
    /// Writes everything that was measured into this file.
    #[arg(long, value_name = "JSON")]
    json: Option<PathBuf>,
}

fn filler(text: &str) -> Result<usize, String> {
    let allowed = text.parse().ok().filter(|bytes| *bytes <= 390 * 1024);
    allowed.ok_or_else(|| "an item has room for 0 to 399360 bytes of filler".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let allowed = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    allowed.ok_or_else(|| "a rate is a number of requests per second, above 0".to_owned())
}

fn threads(text: &str) -> Result<usize, String> {
    let allowed = text.parse().ok().filter(|threads| (1..=256).contains(threads));
    allowed.ok_or_else(|| "the client has 1 to 256 threads".to_owned())
}

impl Drive {
    fn plan(&self) -> Plan {
        let Size { puts, item_bytes, keys } = self.size;
        Plan {
            endpoint: self.endpoint.clone(),
            workloads: self.workloads.clone(),
            puts,
            at_most: self.seconds.map(Duration::from_secs),
            // Each connection has keys of its own, and those of a batch differ.
            connections: self.connections.min(keys),
            batch: self.batch.min(keys / self.connections.min(keys)),
            consumers: self.consumers,
            item_bytes,
            keys,
            pace: self.rate.map_or(Pace::Closed, Pace::Open),
            stream: if self.no_stream { Stream::Off } else { Stream::On },
            check: if self.no_check { Check::Off } else { Check::On },
            patience: consume::PATIENCE,
            reading: Duration::from_secs(self.read_seconds),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut builder = match arguments.command {
        None if arguments.drive.threads == 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if arguments.command.is_none() && arguments.drive.threads > 1 {
        builder.worker_threads(arguments.drive.threads);
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start: {error}")),
    };
    runtime.block_on(async {
        match arguments.command {
            None => drive(&arguments.drive).await,
            Some(Command::ServeStatic { port, size: Size { puts, item_bytes, keys } }) => {
                let captured = Captured { puts, keys, item_bytes };
                ended(serve_static::serve(port, captured).await)
            }
            Some(Command::Compare(comparison)) => tokio::select! {
                // The servers end with it.
                compared = compare::run(&comparison) => ended(compared),
                _ = tokio::signal::ctrl_c() => complain("interrupted"),
            },
        }
    })
}

fn ended(outcome: Result<(), String>) -> ExitCode {
    outcome.map_or_else(|why| complain(&why), |()| ExitCode::SUCCESS)
}

fn complain(message: &str) -> ExitCode {
    eprintln!("load: {message}");
    ExitCode::FAILURE
}

async fn drive(drive: &Drive) -> ExitCode {
    let plan = drive.plan();
    let tables = Tables::new(plan.endpoint.clone());
    let outcome = tokio::select! {
        outcome = run::run(&plan, &tables) => outcome,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    if let Err(why) = tables.delete_all().await {
        eprintln!("load: not all of its tables were deleted: {why}");
    }
    let report = match outcome {
        Ok(report) => report,
        Err(why) => return complain(&why.to_string()),
    };
    print!("{}", report.table());
    if let Some(path) = &drive.plot
        && let Err(why) = plot::draw(&report, path)
    {
        return complain(&format!("{}: {why}", path.display()));
    }
    if let Some(path) = &drive.json {
        let json = serde_json::to_vec(&report).map_err(std::io::Error::from);
        if let Err(why) = json.and_then(|json| std::fs::write(path, json)) {
            return complain(&format!("{}: {why}", path.display()));
        }
    }
    if report.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
