//! Figures of each stream, as long as there are not too many of them.
//!
//! A stream's shards are forgotten a day after they closed; counters of the stream must not fall with them. So
//! what was counted is kept by shard from one look to the next, and only the difference is added.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use streamcore::Stream;
use streamcore::stream::{ShardId, StreamStats};

use crate::calls::Emulator;

/// So many streams have figures of their own, the oldest; the others are counted together. Each combination of
/// labels costs whoever stores the figures.
const LABELLED: usize = 100;

/// The labels of the others.
const OTHERS: &str = "(others)";

pub(super) struct Streams {
    emulator: Arc<Emulator>,
    /// By ARN. Held while the figures are made.
    totals: Mutex<HashMap<String, Totals>>,
}

impl Streams {
    pub(super) fn new(emulator: Arc<Emulator>) -> Self {
        Self { emulator, totals: Mutex::default() }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

/// What a stream's shards have counted, forgotten ones included.
#[derive(Default)]
struct Totals {
    put: u64,
    trimmed: u64,
    /// What each listed shard had counted at the last look.
    seen: HashMap<ShardId, (u64, u64)>,
}

impl Totals {
    fn look(&mut self, stats: &StreamStats) {
        let mut seen = HashMap::with_capacity(stats.shards.len());
        for (shard, figures) in &stats.shards {
            let (put, trimmed) = self.seen.get(shard).copied().unwrap_or_default();
            self.put += figures.appended.saturating_sub(put);
            self.trimmed += figures.trimmed.saturating_sub(trimmed);
            seen.insert(shard.clone(), (figures.appended, figures.trimmed));
        }
        self.seen = seen;
    }
}

/// The figures of a stream, or of several together.
#[derive(Clone, Copy, Default)]
struct Figures {
    put: u64,
    read: u64,
    read_bytes: u64,
    trimmed: u64,
    retained: u64,
    bytes: u64,
    lag: u64,
    shards: u64,
    open: u64,
    segments: u64,
    pins: u64,
    waited_for: u64,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, more: Self) {
        self.put += more.put;
        self.read += more.read;
        self.read_bytes += more.read_bytes;
        self.trimmed += more.trimmed;
        self.retained += more.retained;
        self.bytes += more.bytes;
        self.lag += more.lag;
        self.shards += more.shards;
        self.open += more.open;
        self.segments += more.segments;
        self.pins += more.pins;
        self.waited_for += more.waited_for;
    }
}

/// What one figure is called, what it is, and how it is read.
struct Figure(&'static str, &'static str, fn(&Figures) -> u64);

const COUNTERS: [Figure; 4] = [
    Figure("records_put", "Records put into the stream", |figures| figures.put),
    Figure("records_read", "Records delivered by GetRecords", |figures| figures.read),
    Figure("read_bytes", "What GetRecords answered, in bytes", |figures| figures.read_bytes),
    Figure("records_trimmed", "Records given up", |figures| figures.trimmed),
];

const GAUGES: [Figure; 8] = [
    Figure("records_retained", "Records that can be read", |figures| figures.retained),
    Figure("records_bytes", "What records take in bytes, if a bound counts them", |figures| {
        figures.bytes
    }),
    Figure("prefix_lag", "Records put that not every reader is known to see", |figures| {
        figures.lag
    }),
    Figure("shards", "Shards that are listed", |figures| figures.shards),
    Figure("shards_open", "Shards that take records", |figures| figures.open),
    Figure("segments_live", "Segments of shards that hold records", |figures| figures.segments),
    Figure("pins", "Readers inside of segments", |figures| figures.pins),
    Figure("shards_waited_for", "Shards whose next record somebody waits for", |figures| {
        figures.waited_for
    }),
];

impl Streams {
    /// The figures of each stream that has its own, and of the others if there are any.
    fn collect(&self) -> Vec<([String; 2], Figures)> {
        let mut streams = self.emulator.streams();
        streams.sort_by_cached_key(|stream| {
            (stream.info().created_ms(), stream.info().arn().to_string())
        });
        let mut totals = self.totals.lock();
        let mut known = HashMap::with_capacity(streams.len());
        let mut shown: Vec<([String; 2], Figures)> = Vec::new();
        for stream in &streams {
            let info = stream.info();
            let arn = info.arn().to_string();
            let mut total = totals.remove(&arn).unwrap_or_default();
            let figures = self.figures(stream, &mut total);
            known.insert(arn, total);
            if let Some((_, others)) = shown.get_mut(LABELLED) {
                *others += figures;
            } else if shown.len() == LABELLED {
                shown.push(([OTHERS.to_owned(), OTHERS.to_owned()], figures));
            } else {
                shown.push(([info.table_name().to_owned(), info.label().to_string()], figures));
            }
        }
        // Streams that are gone leave nothing behind.
        *totals = known;
        let reads = self.emulator.reads.pin();
        reads.retain(|arn, _| totals.contains_key(&**arn));
        shown
    }

    fn figures(&self, stream: &Stream, total: &mut Totals) -> Figures {
        let open =
            stream.describe().shards.iter().filter(|s| s.ending_sequence_number.is_none()).count();
        let stats = stream.stats();
        total.look(&stats);
        let reads = self.emulator.reads.pin();
        let reads = reads.get(stream.info().arn().as_str());
        // Relaxed: figures.
        let mut figures = Figures {
            put: total.put,
            trimmed: total.trimmed,
            read: reads.map_or(0, |reads| reads.records.load(Ordering::Relaxed)),
            read_bytes: reads.map_or(0, |reads| reads.bytes.load(Ordering::Relaxed)),
            bytes: stats.bytes,
            shards: stats.shards.len() as u64,
            open: open as u64,
            ..Figures::default()
        };
        for (_, log) in &stats.shards {
            figures.retained += log.published.saturating_sub(log.trimmed);
            figures.lag += log.prefix_lag;
            figures.segments += log.blocks.saturating_sub(log.spares + log.dying);
            figures.pins += log.pins;
            figures.waited_for += u64::from(log.has_waiters);
        }
        figures
    }
}

impl Collector for Streams {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let streams = self.collect();
        for Figure(name, help, read) in COUNTERS {
            write(&mut encoder, &format!("stream_{name}"), help, &streams, |figures| {
                ConstCounter::new(read(figures))
            })?;
        }
        for Figure(name, help, read) in GAUGES {
            write(&mut encoder, &format!("stream_{name}"), help, &streams, |figures| {
                ConstGauge::new(read(figures))
            })?;
        }
        Ok(())
    }
}

/// Writes one figure of all streams.
fn write<M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    streams: &[([String; 2], Figures)],
    metric: impl Fn(&Figures) -> M,
) -> fmt::Result {
    let kind = metric(&Figures::default()).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for ([table, label], figures) in streams {
        let labels = [("table", table.as_str()), ("stream", label.as_str())];
        metric(figures).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
