//! The report as one HTML page that needs nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::against::{Change, Verdict};
use super::format::{bytes, count, time, times_within};
use super::markdown::{distances, facts, refusal};
use super::plots::{bars, colour, overview, percentiles, threads};
use super::run::Run;
use super::summary::{PERCENTILES, Summary};
use crate::scenario::{Memory, Reading, Scenario, Timing, Work};

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub fn report(run: &Run, summaries: &[Summary], changes: Option<&[Change]>) -> String {
    let with_ratios: Vec<&Summary> =
        summaries.iter().filter(|summary| summary.scenario.work != Work::Floors).collect();
    let is_floors = |s: &Scenario| s.work == Work::Floors;
    let is_log = |s: &Scenario| !s.work.is_of_store() && !s.is_latency() && !is_floors(s);
    let sections = [
        ("logs", "Appending and reading: a log", of(summaries, is_log)),
        ("latency", "Latencies of single calls", of(summaries, Scenario::is_latency)),
        ("stores", "The store", of(summaries, |s| s.work.is_of_store() && !s.is_latency())),
        ("floors", "The floors by themselves", of(summaries, is_floors)),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "streamcore: comparison" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Comparison" }
                    ul.facts { @for fact in facts(run, summaries) { li { (fact) "." } } }
                    nav {
                        @if changes.is_some() { a href="#changes" { "Changes" } }
                        a href="#overview" { "Overview" }
                        a href="#threads" { "Threads" }
                        @for (id, title, found) in &sections {
                            @if !found.is_empty() { a href=(format!("#{id}")) { (title) } }
                        }
                        a href="#contenders" { "Contenders" }
                    }
                }
                main {
                    @if let Some(changes) = changes { (changed(changes)) }
                    @if !with_ratios.is_empty() {
                        section id="overview" {
                            h2 { "Times the floor" }
                            p { "How many times the floor each takes: the least that any design must do on this \
                                machine, measured beside it. "
                                span.key.c0 { "●" } " streamcore, with its interval; "
                                span.key.c12 { "●" } " the same in another setting; "
                                span.key.peer { "●" } " others (their names show under the pointer)." }
                            div.plot { (overview(&with_ratios)) }
                        }
                    }
                    (by_threads(summaries))
                    @for (id, title, found) in &sections {
                        @if !found.is_empty() && *id != "floors" {
                            section id=(id) {
                                h2 { (title) }
                                @for summary in found { (scenario(summary)) }
                            }
                        }
                    }
                    @if !sections[3].2.is_empty() {
                        section id="floors" {
                            h2 { (sections[3].1) }
                            @for summary in &sections[3].2 { (scenario(summary)) }
                        }
                    }
                    (contenders(run))
                }
            }
        }
    };
    page.into_string()
}

fn of(summaries: &[Summary], wanted: impl Fn(&Scenario) -> bool) -> Vec<&Summary> {
    summaries.iter().filter(|summary| wanted(&summary.scenario)).collect()
}

/// A plot for each payload of which several numbers of threads were measured.
fn by_threads(summaries: &[Summary]) -> Markup {
    let is_plain = |summary: &&Summary| {
        let s = &summary.scenario;
        s.work == Work::Append
            && (s.batch, s.logs, s.reading, s.memory, s.timing)
                == (1, 1, Reading::None, Memory::Reused, Timing::Throughput)
    };
    let plain: Vec<&Summary> = summaries.iter().filter(is_plain).collect();
    let mut groups: Vec<Vec<&Summary>> = Vec::new();
    for summary in plain {
        let payload = summary.scenario.payload;
        match groups.iter_mut().find(|group| group[0].scenario.payload == payload) {
            Some(group) => group.push(summary),
            None => groups.push(vec![summary]),
        }
    }
    groups.retain(|group| group.len() > 1);
    html! {
        @if !groups.is_empty() {
            section id="threads" {
                h2 { "Throughput by threads" }
                p { "Appends of all threads together to one log, in millions per second. More threads than cores \
                    share them." }
                @for group in groups {
                    figure {
                        figcaption { (group[0].scenario.payload) }
                        div.plot { (threads(&group)) }
                    }
                }
            }
        }
    }
}

fn scenario(summary: &Summary) -> Markup {
    let scenario = &summary.scenario;
    html! {
        article {
            h3 { (scenario) }
            p.note {
                @if scenario.is_latency() {
                    "Time of a call; the figure is the 99.99th percentile."
                    @if matches!(scenario.timing, Timing::Arrivals(_)) {
                        " Counted from when the call was due, so that waiting is not left out."
                    }
                } @else {
                    "Time per " (scenario.unit()) "."
                }
                @if summary.is_busy { " The machine was busy: nothing was dropped." }
                @else if summary.dropped > 0 {
                    " " (summary.dropped) " of " (summary.samples) " measurements were dropped."
                }
            }
            div.plot { (bars(summary)) }
            @if scenario.is_latency() { div.plot { (percentiles(summary)) } }
            details {
                summary { "Figures" }
                (figures(summary))
                ul.facts { @for line in summary.rows.iter().flat_map(distances) { li { (line) } } }
            }
            @if !summary.refused.is_empty() {
                p.refused { "Not compared — "
                    @for (n, (who, why)) in summary.refused.iter().enumerate() {
                        @if n > 0 { "; " }
                        (refusal(who, why))
                    }
                    "."
                }
            }
        }
    }
}

fn figures(summary: &Summary) -> Markup {
    let is_latency = summary.scenario.is_latency();
    let shows_held = summary.rows.iter().any(|row| row.held.is_some());
    html! {
        div.wide { table {
            thead { tr {
                th {} th { @if is_latency { "p99.99" } @else { "median" } } th { "to the floor" } th { "to streamcore" }
                @if is_latency { @for (name, _) in PERCENTILES { th { (name) } } }
                th { "allocations per 100,000" } th { "bytes allocated each" } th { "page faults per 100,000" }
                th { "peak memory" } @if shows_held { th { "memory each" } } th { "readers, per record" }
            } }
            tbody { @for row in &summary.rows { tr {
                th { span.key.(colour(&row.contender)) { "■" } " " (row.contender) }
                td { (time(row.value.median)) }
                td { @if let Some(ratio) = &row.to_floor { (times_within(ratio)) } }
                td { @if let Some(ratio) = &row.to_base { (times_within(ratio)) } }
                @for value in row.percentiles.iter().flatten() { td { (time(*value as f64)) } }
                td { (count(row.allocations)) } td { (count(row.allocated)) } td { (count(row.page_faults)) }
                td { (bytes(row.peak_memory)) }
                @if shows_held { td { @if let Some(held) = row.held { (bytes(held)) } } }
                td { @if let Some(ns) = row.reader_ns { (time(ns)) } }
            } } }
        } }
    }
}

fn changed(changes: &[Change]) -> Markup {
    let is_real = |change: &&Change| matches!(change.verdict, Verdict::Slower | Verdict::Faster);
    let real: Vec<&Change> = changes.iter().filter(is_real).collect();
    html! {
        section id="changes" {
            h2 { "Changes" }
            p { (real.len()) " of " (changes.len()) " values changed by more than noise, as multiples of the floor of \
                their round." }
            @if !real.is_empty() {
                div.wide { table {
                    thead { tr { th { "scenario" } th { "contender" } th { "new / old" } th {} } }
                    tbody { @for change in real { tr {
                        th { (change.scenario)
                            @if let Some(distance) = change.distance { ", cores " (distance.as_str()) } }
                        td { (change.contender) }
                        td { (times_within(&change.ratio)) }
                        td class=(change.verdict.as_str()) { (change.verdict.as_str()) }
                    } } }
                } }
            }
        }
    }
}

fn contenders(run: &Run) -> Markup {
    let logs: Vec<_> = run.contenders.iter().filter(|about| !about.abilities.is_empty()).collect();
    html! {
        section id="contenders" {
            h2 { "Contenders" }
            p { "What each can do. Nobody is compared on work that they do not do; why not shows under the pointer." }
            div.wide { table.abilities {
                thead { tr { th {} @if let Some(first) = logs.first() {
                    @for ability in &first.abilities { th { (ability.what) } }
                } } }
                tbody { @for about in &logs { tr {
                    th { (about.name) br; span.about { (about.about) } }
                    @for ability in &about.abilities {
                        @match &ability.lack {
                            None => td.yes { "yes" },
                            Some(lack) => td.no title=(lack) { "—" },
                        }
                    }
                } } }
            } }
        }
    }
}
