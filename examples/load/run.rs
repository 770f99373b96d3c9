//! A run: its workloads, one after the other, each on a table of its own.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::{Broken, Endpoint};
use super::consume::{self, Written};
use super::items::Key;
use super::ledger::{Ledger, Verdict};
use super::measure::Shared;
use super::report::{Kind, Part, Report};
use super::table::{Stream, Table, Tables};
use super::write::{self, Pace, Shape, Work};

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// PutItem.
    Put,
    /// GetRecords, of what PutItem wrote.
    Records,
    /// BatchWriteItem.
    Batch,
    /// PutItem, and consumers who follow.
    Tail,
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "put" => Ok(Self::Put),
            "records" => Ok(Self::Records),
            "batch" => Ok(Self::Batch),
            "tail" => Ok(Self::Tail),
            _ => Err("a workload is put, records, batch or tail".to_owned()),
        }
    }
}

/// Whether consumers compare what they see with what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    On,
    Off,
}

/// What shall be run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub endpoint: Endpoint,
    pub workloads: Vec<Workload>,
    pub puts: u64,
    /// Writers end earlier then.
    pub at_most: Option<Duration>,
    pub connections: u32,
    pub batch: u32,
    pub consumers: u32,
    pub item_bytes: usize,
    pub keys: Key,
    pub pace: Pace,
    pub stream: Stream,
    pub check: Check,
    /// How long consumers wait for what was acknowledged and does not come.
    pub patience: Duration,
    /// How long records are read.
    pub reading: Duration,
}

impl Plan {
    fn has(&self, workload: Workload) -> bool {
        self.workloads.contains(&workload)
    }

    fn followers(&self) -> (u32, Duration) {
        (self.consumers, self.patience)
    }

    fn work(&self, shape: Shape) -> Work {
        Work {
            shape,
            pace: match shape {
                Shape::Single => self.pace,
                Shape::Batch(_) => Pace::Closed,
            },
            puts: self.puts,
            at_most: self.at_most,
            connections: self.connections,
            keys: self.keys,
            item_bytes: self.item_bytes,
        }
    }
}

const PUT: Kind = Kind { name: "put", unit: "puts", latency_of: "PutItem" };
const BATCH: Kind = Kind { name: "batch", unit: "puts", latency_of: "BatchWriteItem" };
const RECORDS: Kind = Kind { name: "records", unit: "records", latency_of: "GetRecords" };
const TAIL: Kind = Kind { name: "tail", unit: "records", latency_of: "delivery since the put" };

/// Runs a plan. The tables that it makes are in `tables`, for the caller to delete.
///
/// # Errors
///
/// A connection broke, or something was refused without which nothing goes on.
pub async fn run(plan: &Plan, tables: &Tables) -> Result<Report, Broken> {
    let mut parts = Vec::new();
    if plan.has(Workload::Put) || plan.has(Workload::Records) {
        let table = tables.create("put", plan.stream).await?;
        let (part, ledger) = written(plan, &table, PUT, Shape::Single).await?;
        parts.push(part);
        if let Some(stream) = table.stream.filter(|_| plan.has(Workload::Records)) {
            parts.push(records(plan, &stream, ledger).await?);
        }
    }
    if plan.has(Workload::Batch) {
        let table = tables.create("batch", plan.stream).await?;
        let (mut part, ledger) = written(plan, &table, BATCH, Shape::Batch(plan.batch)).await?;
        if let Some(stream) = &table.stream {
            part.verdict = checked(plan, stream, ledger).await?;
        }
        parts.push(part);
    }
    if plan.has(Workload::Tail) {
        let table = tables.create("tail", plan.stream).await?;
        if let Some(stream) = &table.stream {
            parts.push(tail(plan, &table, stream).await?);
        }
    }
    Ok(Report {
        endpoint: plan.endpoint.to_string(),
        connections: plan.connections,
        consumers: plan.consumers,
        item_bytes: plan.item_bytes,
        parts,
    })
}

async fn written(
    plan: &Plan,
    table: &Table,
    kind: Kind,
    shape: Shape,
) -> Result<(Part, Ledger), Broken> {
    let shared = Shared::begin(Some(plan.puts));
    let (recorder, ledger) =
        shown(&shared, kind, write::run(&plan.endpoint, table, &plan.work(shape), &shared)).await?;
    Ok((Part::new(kind, recorder, &shared, None), ledger))
}

/// First every consumer checks the stream, then they read it again and again for their rate.
async fn records(plan: &Plan, stream: &str, ledger: Ledger) -> Result<Part, Broken> {
    let verdict = checked(plan, stream, ledger).await?;
    let shared = Shared::begin(None);
    let reading = consume::measure(&plan.endpoint, stream, plan.consumers, plan.reading, &shared);
    let recorder = shown(&shared, RECORDS, reading).await?;
    Ok(Part::new(RECORDS, recorder, &shared, verdict))
}

async fn checked(plan: &Plan, stream: &str, ledger: Ledger) -> Result<Option<Verdict>, Broken> {
    if plan.check == Check::Off {
        return Ok(None);
    }
    let shared = Shared::begin(Some(ledger.len() * u64::from(plan.consumers)));
    let (_, written) = watch::channel(Written::All(Arc::new(ledger)));
    let reading = consume::follow(&plan.endpoint, stream, plan.followers(), written, &shared);
    let check = Kind { name: "check", ..RECORDS };
    let (_, verdict) = shown(&shared, check, reading).await?;
    Ok(Some(verdict))
}

/// Consumers follow while writers write.
async fn tail(plan: &Plan, table: &Table, stream: &str) -> Result<Part, Broken> {
    let shared = Shared::begin(Some(plan.puts * u64::from(plan.consumers)));
    // The writers' clock is that of the consumers; their progress is not what is shown.
    let writers = shared.without_progress();
    let (tell, written) = watch::channel(Written::Going);
    let writing = async {
        let work = plan.work(Shape::Single);
        let (recorder, ledger) = write::run(&plan.endpoint, table, &work, &writers).await?;
        tell.send_replace(Written::All(Arc::new(ledger)));
        Ok(recorder)
    };
    let reading = consume::follow(&plan.endpoint, stream, plan.followers(), written, &shared);
    let both = async { tokio::try_join!(writing, reading) };
    let (writes, (mut recorder, verdict)) = shown(&shared, TAIL, both).await?;
    recorder.refused += writes.refused;
    recorder.refusal = recorder.refusal.or(writes.refusal);
    Ok(Part::new(TAIL, recorder, &shared, (plan.check == Check::On).then_some(verdict)))
}

/// Shows a progress bar while something is done.
async fn shown<T>(shared: &Arc<Shared>, kind: Kind, work: impl Future<Output = T>) -> T {
    // Ends, and clears its line, also when the work is cut off.
    let mut bar = JoinSet::new();
    bar.spawn(Arc::clone(shared).show(kind.name));
    let done = work.await;
    bar.shutdown().await;
    done
}
