//! What a run came to: for people as a table, for programs as JSON.

use std::fmt::Write;

use serde::Serialize;

use super::ledger::Verdict;
use super::measure::{Latencies, Recorder, SLOT, Shared};

/// What a workload came to.
#[derive(Serialize)]
pub struct Part {
    pub name: &'static str,
    /// What is counted: puts or records.
    pub unit: &'static str,
    pub requests: u64,
    pub refused: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_refusal: Option<String>,
    /// Of the unit.
    pub done: u64,
    pub seconds: f64,
    pub per_second: f64,
    /// Of answers.
    pub bytes: u64,
    /// In microseconds.
    pub latency: Latencies,
    /// What the latency is that of.
    pub latency_of: &'static str,
    /// The rate in each tenth of the work.
    pub rates_of_tenths: Vec<f64>,
    pub slot_seconds: f64,
    pub rates_of_slots: Vec<f64>,
    /// What the consumers saw, if it was checked.
    pub verdict: Option<Verdict>,
}

/// What a workload is called, and what it counts.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub unit: &'static str,
    pub latency_of: &'static str,
}

impl Part {
    /// Sums up a workload that has just ended.
    pub fn new(kind: Kind, recorder: Recorder, shared: &Shared, verdict: Option<Verdict>) -> Self {
        let seconds = shared.elapsed().as_secs_f64();
        let done = recorder.total();
        Self {
            name: kind.name,
            unit: kind.unit,
            latency_of: kind.latency_of,
            latency: recorder.latencies(),
            rates_of_tenths: shared.rates(),
            rates_of_slots: recorder.timeline(),
            slot_seconds: SLOT.as_secs_f64(),
            requests: recorder.requests,
            refused: recorder.refused,
            first_refusal: recorder.refusal,
            bytes: recorder.bytes,
            done,
            seconds,
            per_second: done as f64 / seconds,
            verdict,
        }
    }

    /// The rate of the last tenth of the work over that of the first: 1 is flat.
    pub fn flatness(&self) -> Option<f64> {
        Some(self.rates_of_tenths.last()? / self.rates_of_tenths.first()?)
    }

    fn is_right(&self) -> bool {
        self.refused == 0 && self.verdict.is_none_or(|verdict| verdict.is_right())
    }
}

/// A run.
#[derive(Serialize)]
pub struct Report {
    pub endpoint: String,
    pub connections: u32,
    pub consumers: u32,
    pub item_bytes: usize,
    pub parts: Vec<Part>,
}

impl Report {
    /// Whether nothing was refused, and every consumer saw exactly what was acknowledged.
    pub fn is_right(&self) -> bool {
        self.parts.iter().all(Part::is_right)
    }

    /// The table, in Markdown.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let header = "| | per second | p50 | p90 | p99 | p99.9 | p99.99 | max | last/first tenth |";
        let _ = writeln!(out, "{header}\n|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        for part in &self.parts {
            let Latencies { p50, p90, p99, p999, p9999, max, .. } = part.latency;
            let latencies = [p50, p90, p99, p999, p9999, max].map(duration).join(" | ");
            let flat = part.flatness().map_or(String::new(), |flat| format!("{flat:.2}"));
            let _ = writeln!(
                out,
                "| {}: {} {}, latency of {} | {:.0} | {latencies} | {flat} |",
                part.name, part.done, part.unit, part.latency_of, part.per_second
            );
        }
        for part in &self.parts {
            let _ = write!(out, "{}", remarks(part));
        }
        out
    }
}

/// What was checked, and what went wrong.
fn remarks(part: &Part) -> String {
    let mut out = String::new();
    if let Some(Verdict { records, lost, repeated, foreign }) = part.verdict {
        let right = part.verdict.is_some_and(|verdict| verdict.is_right());
        let word = if right { "checked" } else { "WRONG" };
        let _ = writeln!(
            out,
            "{}: {word}: {records} records, {lost} lost, {repeated} repeated or late, {foreign} of \
             puts that nobody made",
            part.name
        );
    }
    if let Some(why) = &part.first_refusal {
        let _ = writeln!(out, "{}: {} refused, the first: {why}", part.name, part.refused);
    }
    out
}

/// Microseconds, for people.
pub fn duration(us: f64) -> String {
    match us {
        _ if us < 100.0 => format!("{us:.1} us"),
        _ if us < 10_000.0 => format!("{us:.0} us"),
        _ if us < 1e6 => format!("{:.1} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}
