//! `emulator`: DynamoDB Streams on a local port.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use streamcore::stream::ManualClock;
use streamcore::wire::RateLimits;
use streamcore_emulator::{
    CONTROL_PATH, Config, Emulator, Import, Imported, PAGE_PATH, SnapshotFault, read_time, serve,
};
use tokio::net::TcpListener;
use tokio::task::{self, JoinSet};
use tokio::time;
use tracing_subscriber::filter::Targets;

mod logs;

use logs::LogFormat;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An emulator of DynamoDB Streams that AWS SDKs talk to. It keeps everything in memory.
#[derive(Parser)]
#[command(name = "emulator", version)]
struct Arguments {
    /// The port to listen on; 0 takes any that is free.
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// The address to listen on. There is no check of credentials: whoever reaches it, uses it.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The region in ARNs and records.
    #[arg(long, default_value = "us-east-1", value_parser = region)]
    region: String,
    /// How many shards each new stream begins with.
    #[arg(long, default_value_t = 1, value_parser = shards)]
    shards: usize,
    /// Start at this time (ISO 8601 in UTC, or milliseconds since the Unix epoch), and let the clock
    /// stand still until it is turned: POST /_streams/api/clock {"advanceMs": 60000}
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    manual_clock: Option<u64>,
    /// Records are given up when they are so old; 24 by default, as in DynamoDB.
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    retain_hours: Option<NonZeroU32>,
    /// Each shard keeps at least so many of its last records, and not many more; not counted by default.
    #[arg(long, value_name = "RECORDS", value_parser = count)]
    retain_records: Option<NonZeroU64>,
    /// The records of all streams take so many bytes at the most, and the oldest are given up first; not
    /// counted by default.
    #[arg(long, value_name = "BYTES", value_parser = count)]
    retain_bytes: Option<NonZeroU64>,
    /// Shards are closed, and go on in a child, when they are so old; 4 by default, as in DynamoDB.
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    roll_hours: Option<NonZeroU32>,
    /// Refuse calls of the Streams API above AWS's rates: 10 of DescribeStream a second, and 10 of GetRecords a
    /// second for each shard.
    #[arg(long)]
    rate_limits: bool,
    /// Keep so many bytes of records as they were encoded for an answer of GetRecords, for all who read the same
    /// records; 0 keeps none.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().cache_bytes)]
    cache_bytes: u64,
    /// Go on from the snapshot in this file, and write one there: at the start, on SIGTERM and Ctrl-C, and whenever it
    /// is asked for: POST /_streams/api/snapshot. It holds everything, and the secret of the shard iterators.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Write a snapshot so often, too.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "snapshot")]
    snapshot_every: Option<NonZeroU32>,
    /// Begin with the items of this file of DynamoDB JSON, as `aws dynamodb scan` prints them and exports to S3 have
    /// them (.json.gz too), or of all such files in a folder. May be given several times.
    #[arg(long, value_name = "FILE")]
    import: Vec<PathBuf>,
    /// The table to import into; by default the name of the file up to its first dot.
    #[arg(long, value_name = "TABLE", requires = "import")]
    import_table: Option<String>,
    /// The key attributes of a table that is to be made for an import: the partition key, and the sort key if
    /// there is one, such as customer,order
    #[arg(long, value_name = "NAMES", requires = "import", value_delimiter = ',')]
    import_key: Vec<String>,
    /// The form of what is said while it runs, on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is said: off, error, warn, info, debug (each request) or trace; also for single modules, such as
    /// info,streamcore_emulator::routes=debug
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = logs::read_filter)]
    log: Targets,
}

fn seconds(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("seconds are a whole number from 1 to {}", u32::MAX))
}

fn hours(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("hours are a whole number from 1 to {}", u32::MAX))
}

fn count(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| format!("allowed is a whole number from 1 to {}", u64::MAX))
}

fn shards(text: &str) -> Result<usize, String> {
    let given = text.parse().ok().filter(|shards| (1..=4096).contains(shards));
    given.ok_or_else(|| "a stream begins with 1 to 4096 shards".to_owned())
}

fn region(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !text.is_empty() && text.len() <= 32 && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err("a region is 1 to 32 lowercase letters, digits and hyphens, such as us-east-1".to_owned())
}

impl From<Arguments> for Config {
    fn from(arguments: Arguments) -> Self {
        let of_hours = |hours: NonZeroU32| Duration::from_secs(3_600 * u64::from(hours.get()));
        let rate_limits =
            if arguments.rate_limits { RateLimits::as_aws() } else { RateLimits::none() };
        Self {
            region: arguments.region,
            shards: arguments.shards,
            manual_clock: arguments.manual_clock.map(|ms| Arc::new(ManualClock::at_ms(ms))),
            retain_for: arguments.retain_hours.map(of_hours),
            retain_records: arguments.retain_records,
            retain_bytes: arguments.retain_bytes,
            roll_after: arguments.roll_hours.map(of_hours),
            rate_limits,
            cache_bytes: arguments.cache_bytes,
            snapshot: arguments.snapshot,
            ..Self::default()
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logs::begin(arguments.log_format, arguments.log.clone());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start: {error}")),
    };
    let ended = runtime.block_on(run(arguments));
    // Requests that were cut off may wait for ever by now: see `write_last_snapshot`.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => complain(&message),
    }
}

fn complain(message: &str) -> ExitCode {
    eprintln!("emulator: {message}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let Arguments { host, port, .. } = &arguments;
    let (host, port) = (host.as_str(), *port);
    let listener = TcpListener::bind((host, port)).await.map_err(|error| {
        let hint = if error.kind() == std::io::ErrorKind::AddrInUse {
            "; something listens there already: choose another with --port"
        } else {
            ""
        };
        format!("cannot listen on {host}:{port}: {error}{hint}")
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let stop = signals()?;
    let (region, every) = (arguments.region.clone(), arguments.snapshot_every);
    let imports = imports(&arguments);
    let config = Config::from(arguments);
    let file = config.snapshot.clone();
    let refused = |fault: SnapshotFault| match (&file, &fault) {
        (_, SnapshotFault::Io { .. }) | (None, _) => fault.to_string(),
        (Some(file), _) => format!("cannot go on from the snapshot {}: {fault}", file.display()),
    };
    let emulator = Arc::new(Emulator::start(config).map_err(refused)?);
    if !imports.is_empty() {
        fill(&emulator, imports).await?;
        if file.is_some() {
            emulator.write_snapshot().map_err(|fault| fault.to_string())?;
        }
    }
    greet(address, &region, file.as_deref());
    if is_reachable(address.ip()) {
        tracing::warn!(
            %address,
            "reachable from other machines, by anybody: there is no check of credentials"
        );
    }
    // Ends with this call, however it ends.
    let mut background = JoinSet::new();
    if let Some(every) = every {
        background.spawn(snapshots(Arc::clone(&emulator), every));
    }
    let served = serve(listener, Arc::clone(&emulator), stop).await;
    drop(background);
    if file.is_some() {
        let last = task::spawn_blocking(move || emulator.write_last_snapshot()).await;
        last.map_err(|error| error.to_string())?.map_err(|fault| fault.to_string())?;
    }
    served.map_err(|error| error.to_string())?;
    say("stopped.\n");
    Ok(())
}

/// Writes snapshots, for ever.
async fn snapshots(emulator: Arc<Emulator>, every: NonZeroU32) {
    let every = Duration::from_secs(every.get().into());
    let mut ticks = time::interval_at(time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let emulator = Arc::clone(&emulator);
        match task::spawn_blocking(move || emulator.write_snapshot()).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => tracing::error!(%fault, "no snapshot was written"),
            Err(fault) => tracing::error!(%fault, "no snapshot was written"),
        }
    }
}

/// What is to be imported.
fn imports(arguments: &Arguments) -> Vec<Import> {
    let import = |path: &PathBuf| Import {
        path: path.clone(),
        table: arguments.import_table.clone(),
        key: arguments.import_key.clone(),
    };
    arguments.import.iter().map(import).collect()
}

/// Imports, with a bar where somebody sees it.
async fn fill(emulator: &Arc<Emulator>, imports: Vec<Import>) -> Result<(), String> {
    // Tables that a snapshot has brought: what has become of their items since is not undone.
    let (there, missing): (Vec<Import>, Vec<Import>) =
        imports.into_iter().partition(|import| emulator.has_table(&import.table_name()));
    for import in there {
        tracing::info!(table = import.table_name(), "not imported: the snapshot has the table");
    }
    for import in missing {
        let emulator = Arc::clone(emulator);
        let imported = tokio::task::spawn_blocking(move || {
            let bytes = import.files()?.iter().map(|(_, bytes)| bytes).sum();
            let bar = ProgressBar::new(bytes).with_message(import.path.display().to_string());
            let form = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
            bar.set_style(
                ProgressStyle::with_template(form).unwrap_or(ProgressStyle::default_bar()),
            );
            let imported = emulator.import(&import, &mut |read| bar.inc(read));
            bar.finish_and_clear();
            imported
        });
        let imported = imported.await.map_err(|fault| fault.to_string())?;
        let Imported { table, items } = imported.map_err(|error| error.to_string())?;
        tracing::info!(table, items, "imported");
    }
    Ok(())
}

/// Whether other machines may reach this address.
fn is_reachable(address: IpAddr) -> bool {
    !address.to_canonical().is_loopback()
}

/// Ready once somebody wants the process to end.
#[cfg(unix)]
fn signals() -> Result<impl Future<Output = ()>, String> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signals() -> Result<impl Future<Output = ()>, String> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// The first screen. Its first line is what scripts wait for.
fn greet(address: SocketAddr, region: &str, snapshot: Option<&Path>) {
    let end = match snapshot {
        None => "end with it (Ctrl-C)".to_owned(),
        Some(file) => format!("go into {} when it ends (Ctrl-C)", file.display()),
    };
    say(&format!(
        "\
streamcore emulator {version} is ready on http://{address}

It speaks DynamoDB and DynamoDB Streams; tables live in memory and {end}.
Any credentials will do, and any region (this one calls itself {region}). Next:

  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION={region}
  aws dynamodb create-table --endpoint-url http://{address} --table-name demo \\
      --attribute-definitions AttributeName=pk,AttributeType=S \\
      --key-schema AttributeName=pk,KeyType=HASH --billing-mode PAY_PER_REQUEST \\
      --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES
  aws dynamodb put-item --endpoint-url http://{address} --table-name demo \\
      --item '{{\"pk\":{{\"S\":\"one\"}}}}'
  aws dynamodbstreams list-streams --endpoint-url http://{address}

or, from Python:

  boto3.client(\"dynamodbstreams\", endpoint_url=\"http://{address}\", region_name=\"{region}\")

A page shows tables, streams, shards and records as they come: http://{address}{PAGE_PATH}
Shards are rolled and split, and a manual clock is turned, there and under http://{address}{CONTROL_PATH}
",
        version = env!("CARGO_PKG_VERSION"),
    ));
}

/// Says something to whoever started this; nobody may listen any more.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_loopback_is_warned() {
        for (address, reachable) in [
            ("127.0.0.1", false),
            ("127.8.8.8", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("0.0.0.0", true),
            ("::", true),
            ("192.168.1.7", true),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(is_reachable(address.parse().expect(address)), reachable, "{address}");
        }
    }
}
