//! Figures for Prometheus, at `/_metrics`: of requests and connections, and of each stream.
//!
//! Requests are counted as they are answered; everything else is looked up when somebody asks.

mod streams;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use papaya::HashMap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use streamcore::wire::Delivery;

use crate::calls::Emulator;
use crate::service::Gate;

use streams::Streams;

/// Where the figures lie.
pub(crate) const METRICS_PATH: &str = "/_metrics";

/// The content type of the figures. Source: OpenMetrics 1.0.0.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The operations that have a name of their own in the figures; what else clients send is `other`.
const OPERATIONS: [&str; 26] = [
    "PutItem",
    "GetItem",
    "UpdateItem",
    "DeleteItem",
    "Query",
    "Scan",
    "BatchWriteItem",
    "BatchGetItem",
    "TransactWriteItems",
    "TransactGetItems",
    "CreateTable",
    "DescribeTable",
    "UpdateTable",
    "DeleteTable",
    "ListTables",
    "TagResource",
    "UntagResource",
    "ListTagsOfResource",
    "UpdateTimeToLive",
    "DescribeTimeToLive",
    "DescribeLimits",
    "DescribeEndpoints",
    "ListStreams",
    "DescribeStream",
    "GetShardIterator",
    "GetRecords",
];

/// What an `X-Amz-Target` is counted as.
pub(crate) fn operation(target: &[u8]) -> &'static str {
    let name = target.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    OPERATIONS.into_iter().find(|known| known.as_bytes() == name).unwrap_or("other")
}

/// What GetRecords has delivered of one stream.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    records: AtomicU64,
    bytes: AtomicU64,
}

/// By the ARN of the stream.
pub(crate) type AllReads = HashMap<Arc<str>, Arc<Reads>>;

/// Counts what one call of GetRecords has delivered.
pub(crate) fn count_delivery(reads: &AllReads, delivery: Delivery<'_>) {
    let reads = reads.pin();
    let arn = delivery.stream.info().arn();
    let of_stream = match reads.get(arn.as_str()) {
        Some(known) => known,
        None => reads.get_or_insert_with(arn.to_string().into(), Arc::default),
    };
    // Relaxed: figures.
    of_stream.records.fetch_add(delivery.records as u64, Ordering::Relaxed);
    of_stream.bytes.fetch_add(delivery.bytes as u64, Ordering::Relaxed);
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

/// The figures of one emulator.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Operation, Histogram, fn() -> Histogram>,
}

impl Metrics {
    pub(crate) fn new(emulator: &Arc<Emulator>, gate: &Arc<Gate>) -> Self {
        let mut registry = Registry::with_prefix("streamcore");
        let requests = Family::default();
        registry.register("requests", "Requests answered", requests.clone());
        // From 10 microseconds to 2.6 seconds.
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(1e-5, 4.0, 10));
        let seconds = Family::new_with_constructor(buckets);
        registry.register_with_unit(
            "request",
            "From a request's head to its answer",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register_collector(Box::new(Server(Arc::clone(gate))));
        registry.register_collector(Box::new(Tables(Arc::clone(emulator))));
        registry.register_collector(Box::new(Streams::new(Arc::clone(emulator))));
        Self { registry, requests, seconds }
    }

    /// Counts a request that was answered.
    pub(crate) fn count(&self, operation: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { operation, status }).inc();
        self.seconds.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
    }

    /// All figures, as text. Costs a look at each shard.
    pub(crate) fn show(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Writes a figure that has no labels.
fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> std::fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// Figures of the socket.
struct Server(Arc<Gate>);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

impl Collector for Server {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let Self(gate) = self;
        let open = ConstGauge::new(gate.open_connections() as u64);
        write(&mut encoder, "connections", "Connections that are open", &open)?;
        let turned_away = ConstCounter::new(gate.turned_away());
        let help = "Connections, bodies and answers that there was no room for";
        write(&mut encoder, "turned_away", help, &turned_away)?;
        let in_flight = ConstGauge::new(gate.bytes_in_flight() as u64);
        let help = "What bodies and answers above 64 KiB take now, in bytes";
        write(&mut encoder, "large_bodies_bytes", help, &in_flight)
    }
}

/// Figures of the tables and their streams, all together.
struct Tables(Arc<Emulator>);

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

impl Collector for Tables {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let tables = self.0.tables.all();
        let (items, bytes) = tables
            .iter()
            .map(|table| table.totals())
            .fold((0, 0), |(items, bytes), (more, size)| (items + more as u64, bytes + size));
        let count = ConstGauge::new(tables.len() as u64);
        write(&mut encoder, "tables", "Tables", &count)?;
        write(&mut encoder, "items", "Items of all tables", &ConstGauge::new(items))?;
        let help = "What the items of all tables take, in bytes, as DynamoDB counts them";
        write(&mut encoder, "items_bytes", help, &ConstGauge::new(bytes))?;
        let help = "What is kept of records as they were encoded for readers, in bytes";
        write(&mut encoder, "cached_bytes", help, &ConstGauge::new(self.0.api.cached_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_clients_send_is_counted_under_few_names() {
        assert_eq!(operation(b"DynamoDB_20120810.PutItem"), "PutItem");
        assert_eq!(operation(b"DynamoDBStreams_20120810.GetRecords"), "GetRecords");
        for unknown in [&b""[..], b".", b"DynamoDB_20120810.putitem", b"\xff", b"x.y.z"] {
            assert_eq!(operation(unknown), "other");
        }
    }
}
