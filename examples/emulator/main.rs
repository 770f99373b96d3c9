//! `emulator`: DynamoDB Streams on a local port.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use streamcore::stream::ManualClock;
use streamcore_emulator::{CONTROL_PATH, Config, Emulator, read_time, serve};
use tokio::net::TcpListener;

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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start: {error}")),
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => complain(&message),
    }
}

fn complain(message: &str) -> ExitCode {
    eprintln!("emulator: {message}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let Arguments { host, port, region, shards, manual_clock } = arguments;
    let listener = TcpListener::bind((host.as_str(), port)).await.map_err(|error| {
        let hint = if error.kind() == std::io::ErrorKind::AddrInUse {
            "; something listens there already: choose another with --port"
        } else {
            ""
        };
        format!("cannot listen on {host}:{port}: {error}{hint}")
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let stop = signals()?;
    greet(address, &region);
    let manual_clock = manual_clock.map(|ms| Arc::new(ManualClock::at_ms(ms)));
    let config = Config { region, shards, manual_clock, ..Config::default() };
    let emulator = Arc::new(Emulator::new(config));
    serve(listener, emulator, stop).await.map_err(|error| error.to_string())?;
    println!("stopped.");
    Ok(())
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
fn greet(address: SocketAddr, region: &str) {
    println!(
        "\
streamcore emulator {version} is ready on http://{address}

It speaks DynamoDB and DynamoDB Streams; tables live in memory and end with it (Ctrl-C).
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

Shards are rolled and split, and a manual clock is turned, under http://{address}{CONTROL_PATH}
",
        version = env!("CARGO_PKG_VERSION"),
    );
}
