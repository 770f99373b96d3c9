//! The report as Markdown.

use std::fmt::Write;

use super::against::{Change, Verdict};
use super::format::{bytes, count, moment, time, times, times_within};
use super::run::{Refused, Run};
use super::summary::{PERCENTILES, Row, Summary};

/// The whole report.
pub fn report(run: &Run, summaries: &[Summary], changes: Option<&[Change]>) -> String {
    let mut text = String::from("# Comparison\n\n");
    for line in facts(run, summaries) {
        let _ = writeln!(text, "- {line}");
    }
    if let Some(changes) = changes {
        changed(&mut text, changes);
    }
    for summary in summaries {
        scenario(&mut text, summary);
    }
    text
}

/// What must be known to read the figures.
pub fn facts(run: &Run, summaries: &[Summary]) -> Vec<String> {
    let machine = &run.machine;
    let dropped: usize = summaries.iter().map(|summary| summary.dropped).sum();
    let samples: usize = summaries.iter().map(|summary| summary.samples).sum();
    let busy = summaries.iter().filter(|summary| summary.is_busy).count();
    let mut facts = vec![
        format!(
            "{}; {} cores of {}, Linux {}, huge pages: {}",
            moment(run.began),
            machine.cores,
            machine.processor,
            machine.kernel,
            machine.huge_pages
        ),
        format!(
            "{} rounds, interleaved and shuffled, one process a measurement. Figures are medians; ratios are \
             medians of the ratios of the rounds, with the interval that holds the true one with 95 %",
            run.rounds
        ),
        format!(
            "{dropped} of {samples} measurements dropped, because others had more than {:.0} % of the machine \
             meanwhile",
            100.0 * run.max_load
        ),
    ];
    if busy > 0 {
        facts.push(format!(
            "{busy} of {} scenarios would have lost more than half of some contender's rounds that way: there \
             nothing was dropped, and the figures are those of a busy machine",
            summaries.len()
        ));
    }
    if run.rounds < 6 {
        facts.push(
            "fewer than six rounds: no interval of 95 % (marked ?), the extremes instead".into(),
        );
    }
    facts
}

fn changed(text: &mut String, changes: &[Change]) {
    let is_real = |change: &&Change| matches!(change.verdict, Verdict::Slower | Verdict::Faster);
    let real = changes.iter().filter(is_real).count();
    let few = changes.iter().filter(|change| change.verdict == Verdict::TooFew).count();
    let _ = writeln!(
        text,
        "\n## Changes\n\n{real} of {} values changed by more than noise{}. Values are compared as multiples of the \
         floor of their round.\n",
        changes.len(),
        if few > 0 { format!("; {few} have too few rounds to tell") } else { String::new() }
    );
    if real > 0 {
        text.push_str("| scenario | contender | new / old | |\n|---|---|---|---|\n");
    }
    for change in changes.iter().filter(is_real) {
        let _ = writeln!(
            text,
            "| {}{} | {} | {} | {} |",
            change.scenario,
            change.distance.map_or(String::new(), |d| format!(" ({})", d.as_str())),
            change.contender,
            times_within(&change.ratio),
            change.verdict.as_str()
        );
    }
}

fn scenario(text: &mut String, summary: &Summary) {
    let _ = writeln!(text, "\n## {}\n", summary.scenario);
    if summary.is_busy {
        text.push_str("Busy machine: nothing dropped.\n\n");
    } else if summary.dropped > 0 {
        let _ = writeln!(text, "{} of {} dropped.\n", summary.dropped, summary.samples);
    }
    let shows_ratios = summary.rows.iter().any(|row| row.to_floor.is_some());
    let is_latency = summary.scenario.is_latency();
    let what =
        if is_latency { "p99.99".into() } else { format!("per {}", summary.scenario.unit()) };
    let _ = write!(text, "| | {what} |");
    let mut line = String::from("\n|---|--:|");
    let mut column = |text: &mut String, name: &str| {
        let _ = write!(text, " {name} |");
        line.push_str("--:|");
    };
    if shows_ratios {
        column(text, "to the floor");
        column(text, "to streamcore");
    }
    for (name, _) in PERCENTILES.iter().filter(|_| is_latency) {
        column(text, name);
    }
    column(text, "allocations / 100,000");
    column(text, "bytes allocated each");
    column(text, "page faults / 100,000");
    column(text, "peak memory");
    let shows_held = summary.rows.iter().any(|row| row.held.is_some());
    if shows_held {
        column(text, "memory each");
    }
    text.push_str(&line);
    text.push('\n');
    for row in &summary.rows {
        let strong = if row.is_ours() { "**" } else { "" };
        let _ = write!(text, "| {strong}{}{strong} | {} |", row.contender, time(row.value.median));
        if shows_ratios {
            for ratio in [&row.to_floor, &row.to_base] {
                let ratio = ratio.as_ref().map_or(String::new(), times_within);
                let _ = write!(text, " {ratio} |");
            }
        }
        for value in row.percentiles.iter().flatten() {
            let _ = write!(text, " {} |", time(*value as f64));
        }
        let _ = write!(
            text,
            " {} | {} | {} | {} |",
            count(row.allocations),
            count(row.allocated),
            count(row.page_faults),
            bytes(row.peak_memory)
        );
        if shows_held {
            let _ = write!(text, " {} |", row.held.map_or(String::new(), bytes));
        }
        text.push('\n');
    }
    for row in &summary.rows {
        for line in distances(row) {
            let _ = writeln!(text, "\n{line}");
        }
    }
    for (who, refused) in &summary.refused {
        let _ = writeln!(text, "\n{}", refusal(who, refused));
    }
}

/// A line per distance of the cores, where both occurred or it matters.
pub fn distances(row: &Row) -> Vec<String> {
    let line = |(distance, value, ratio): &(crate::measure::Distance, _, Option<_>)| {
        let value: &super::statistics::Estimate = value;
        let ratio = ratio.as_ref().map_or(String::new(), |ratio: &super::statistics::Estimate| {
            format!(", {} streamcore's", times(ratio.median))
        });
        format!(
            "{}, cores {}: {}{ratio} ({} rounds)",
            row.contender,
            distance.as_str(),
            time(value.median),
            value.values
        )
    };
    row.by_distance.iter().map(line).collect()
}

/// Why somebody is not there.
pub fn refusal(who: &str, refused: &Refused) -> String {
    format!("{who}: {refused}")
}
