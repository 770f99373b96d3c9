//! Plots as SVG inside the page: their colours are the page's, so they are light or dark as it is.
//!
//! Labels stand beside what they name, and are moved apart where they would overlap.

use maud::{Markup, html};

use super::format::{time, times, times_within};
use super::summary::{PERCENTILES, Row, Summary};
use crate::measure::floors::Floor;

const WIDTH: f64 = 960.0;
/// Room for labels beside a plot: at the left of bars, at the right of lines.
const LABELS: f64 = 210.0;

/// A scale from values to places.
#[derive(Clone, Copy)]
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    is_log: bool,
}

impl Scale {
    /// From 0.
    fn linear(to: f64, start: f64, end: f64) -> Self {
        Self { from: 0.0, to: to.max(f64::MIN_POSITIVE), start, end, is_log: false }
    }

    /// Of a range of positive values, with a little room at both ends.
    fn log(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let (low, high) =
            positive.fold((f64::MAX, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if high > 0.0 { (low, high) } else { (1.0, 10.0) };
        Self { from: low / 1.15, to: high * 1.15, start, end, is_log: true }
    }

    fn at(self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            value / self.to
        };
        self.start + share.clamp(0.0, 1.0) * (self.end - self.start)
    }

    /// Values worth a line: 1, 2, 5 and their tens; fewer if there are many.
    fn ticks(self) -> Vec<f64> {
        let steps = |digits: &[f64]| -> Vec<f64> {
            (-3..12)
                .flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power)))
                .filter(|value| (self.from..=self.to).contains(value))
                .collect()
        };
        if self.is_log {
            let all = steps(&[1.0, 2.0, 5.0]);
            if all.len() <= 8 {
                return all;
            }
            let tens = steps(&[1.0]);
            if tens.len() <= 7 {
                return tens;
            }
            // Every second or third power, and 1 among them.
            let every = tens.len().div_ceil(7) as i32;
            let is_kept = |value: &f64| (value.log10().round() as i32).rem_euclid(every) == 0;
            return tens.into_iter().filter(is_kept).collect();
        }
        let rough = self.to / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|digit| digit * power >= rough);
        let step = step.unwrap_or(10.0) * power;
        (0..=(self.to / step) as u32).map(|n| f64::from(n) * step).collect()
    }
}

/// The class that gives a contender its colour, the same in all plots.
pub fn colour(contender: &str) -> String {
    let known = [
        "streamcore",
        "std Mutex",
        "std RwLock",
        "parking_lot Mutex",
        "parking_lot RwLock",
        "boxcar",
        "append-only-vec",
        "orx-concurrent-vec",
        "SegQueue",
        "channel",
        "disruptor",
        "replaced design",
        "streamcore, all kept",
        "", // for who is not known here
        "lanes",
        "combining",
    ];
    match known.iter().position(|name| *name == contender) {
        Some(number) => format!("c{number}"),
        None if contender.starts_with("floor:") => "floor".into(),
        None if contender.starts_with("streamcore S") || contender.starts_with("streamcore, ") => {
            "c12".into()
        }
        None if contender.starts_with("streamcore") => "c0".into(),
        None if contender.starts_with("replaced") => "c11".into(),
        None => "c13".into(),
    }
}

/// A bar per contender, with the interval of its median, and the floor as a line through all.
pub fn bars(summary: &Summary) -> Markup {
    let rows: Vec<&Row> = summary.rows.iter().collect();
    let step = 26.0;
    let (top, left, right) = (8.0, LABELS, WIDTH - 240.0);
    let bottom = top + step * rows.len() as f64;
    let highest = rows.iter().map(|row| row.value.median).fold(0.0, f64::max);
    let lowest = rows.iter().map(|row| row.value.median).fold(f64::MAX, f64::min);
    let scale = if highest > 25.0 * lowest {
        let bounds = [lowest / 2.0, highest];
        Scale::log(bounds.into_iter(), left, right)
    } else {
        Scale::linear(1.05 * highest, left, right)
    };
    let floor = summary.floor.as_ref().and_then(|name| rows.iter().find(|r| r.contender == *name));
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 30.0)) role="img"
            aria-label=(format!("Bars: {}", summary.scenario)) {
            @for tick in scale.ticks() {
                line.grid x1=(scale.at(tick)) x2=(scale.at(tick)) y1=(top) y2=(bottom) {}
                text.tick x=(scale.at(tick)) y=(bottom + 18.0) text-anchor="middle" {
                    @if tick == 0.0 { "0" } @else { (time(tick)) }
                }
            }
            @for (number, row) in rows.iter().enumerate() {
                @let y = top + step * number as f64;
                @let (low, high) = (scale.at(row.value.low), scale.at(row.value.high));
                g class=(colour(&row.contender)) {
                    title { (row.contender) ": " (time(row.value.median)) ", " (time(row.value.low)) " to "
                        (time(row.value.high)) }
                    text.name.strong[row.is_ours()] x=(left - 10.0) y=(y + 17.0) text-anchor="end" {
                        (row.contender)
                    }
                    rect.bar x=(left) y=(y + 5.0) height="16" rx="2"
                        width=((scale.at(row.value.median) - left).max(1.0)) {}
                    path.whisker d=(format!("M{low} {0}V{1}M{low} {2}H{high}M{high} {0}V{1}",
                        y + 9.0, y + 17.0, y + 13.0)) {}
                    text.value x=(right + 16.0) y=(y + 17.0) { (time(row.value.median)) }
                    @if let Some(ratio) = &row.to_floor {
                        text.ratio x=(right + 100.0) y=(y + 17.0) {
                            (times(ratio.median)) " the floor"
                        }
                    }
                }
            }
            @if let Some(row) = floor {
                @let x = scale.at(row.value.median);
                line.floor-line x1=(x) x2=(x) y1=(top) y2=(bottom) {}
            }
        }
    }
}

/// A line: where it goes, and what it is.
struct Line<'a> {
    contender: &'a str,
    points: Vec<(f64, f64)>,
}

/// Lines with their names at the right, which are moved apart.
fn lines(
    lines: &[Line<'_>],
    y: Scale,
    x_ticks: &[(f64, String)],
    height: f64,
    label: &str,
    ticks: &dyn Fn(f64) -> String,
) -> Markup {
    let (left, right, bottom) = (70.0, WIDTH - LABELS - 20.0, height - 34.0);
    let mut ends: Vec<(f64, &Line<'_>)> =
        lines.iter().filter_map(|line| Some((line.points.last()?.1, line))).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let places = apart(&ends.iter().map(|end| end.0).collect::<Vec<_>>(), 16.0, 14.0, bottom);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(label) {
            @for tick in y.ticks() {
                line.grid x1=(left) x2=(right) y1=(y.at(tick)) y2=(y.at(tick)) {}
                text.tick x=(left - 8.0) y=(y.at(tick) + 4.0) text-anchor="end" { (ticks(tick)) }
            }
            @for (x, name) in x_ticks {
                line.grid x1=(x) x2=(x) y1="10" y2=(bottom) {}
                text.tick x=(x) y=(bottom + 22.0) text-anchor="middle" { (name) }
            }
            @for ((end, line), place) in ends.iter().zip(places) {
                @let (x, _) = line.points[line.points.len() - 1];
                g class=(colour(line.contender)) {
                    title { (line.contender) }
                    path.line d=(path(&line.points)) {}
                    @for (x, y) in &line.points { circle.dot cx=(x) cy=(y) r="3.5" {} }
                    path.leader d=(format!("M{} {end}L{} {place}", x + 6.0, right + 18.0)) {}
                    circle.dot cx=(right + 22.0) cy=(place) r="4" {}
                    text.name.strong[line.contender.starts_with("streamcore")]
                        x=(right + 32.0) y=(place + 4.5) { (line.contender) }
                }
            }
        }
    }
}

fn path(points: &[(f64, f64)]) -> String {
    let step = |(n, (x, y)): (usize, &(f64, f64))| {
        format!("{}{x:.1} {y:.1}", if n == 0 { "M" } else { "L" })
    };
    points.iter().enumerate().map(step).collect()
}

/// Places for labels that would like to stand at `wanted` (rising), no two closer than `gap`, none outside.
fn apart(wanted: &[f64], gap: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::with_capacity(wanted.len());
    for &want in wanted {
        let free = places.last().map_or(top, |last| last + gap);
        places.push(want.max(free));
    }
    // What was pushed out at the bottom pushes back.
    let mut limit = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - gap;
    }
    places
}

/// Latency by percentile, a line per contender.
pub fn percentiles(summary: &Summary) -> Markup {
    let rows: Vec<(&Row, &Vec<u64>)> =
        summary.rows.iter().filter_map(|row| Some((row, row.percentiles.as_ref()?))).collect();
    let height = 90.0 + (19.0 * rows.len() as f64).max(260.0);
    let values = rows.iter().flat_map(|(_, values)| values.iter().map(|&v| v as f64));
    let y = Scale::log(values, height - 34.0, 14.0);
    let x =
        |at: usize| 100.0 + (WIDTH - LABELS - 160.0) * at as f64 / (PERCENTILES.len() - 1) as f64;
    let ticks: Vec<(f64, String)> =
        PERCENTILES.iter().enumerate().map(|(at, (name, _))| (x(at), (*name).to_owned())).collect();
    let drawn: Vec<Line<'_>> = rows
        .iter()
        .map(|(row, values)| Line {
            contender: &row.contender,
            points: values.iter().enumerate().map(|(n, &v)| (x(n), y.at(v as f64))).collect(),
        })
        .collect();
    lines(&drawn, y, &ticks, height, &format!("Percentiles: {}", summary.scenario), &time)
}

/// Throughput by threads, a line per contender, of scenarios that differ in their writers alone.
pub fn threads(summaries: &[&Summary]) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    // Of the floors only the one that threads share.
    let is_drawn = |row: &&Row| !row.is_floor() || row.contender == Floor::XaddStore.name();
    for row in summaries.iter().flat_map(|summary| &summary.rows).filter(is_drawn) {
        if !names.contains(&row.contender.as_str()) {
            names.push(&row.contender);
        }
    }
    let rate = |summary: &Summary, name: &str| {
        let row = summary.rows.iter().find(|row| row.contender == name)?;
        Some(1e3 / row.value.median)
    };
    let several = |name: &&str| summaries.iter().filter(|s| rate(s, name).is_some()).count() > 1;
    names.retain(several);
    let height = 80.0 + (19.0 * names.len() as f64).max(280.0);
    let all = summaries.iter().flat_map(|s| names.iter().filter_map(|name| rate(s, name)));
    let y = Scale::linear(1.05 * all.fold(0.0, f64::max), height - 34.0, 14.0);
    let last = (summaries.len() - 1).max(1) as f64;
    let x = |at: usize| 100.0 + (WIDTH - LABELS - 160.0) * at as f64 / last;
    let tick = |(at, summary): (usize, &&Summary)| {
        let n = summary.scenario.writers;
        (x(at), if n == 1 { "1 thread".to_owned() } else { format!("{n} threads") })
    };
    let ticks: Vec<(f64, String)> = summaries.iter().enumerate().map(tick).collect();
    let drawn: Vec<Line<'_>> = names
        .iter()
        .map(|name| Line {
            contender: name,
            points: summaries
                .iter()
                .enumerate()
                .filter_map(|(at, summary)| Some((x(at), y.at(rate(summary, name)?))))
                .collect(),
        })
        .collect();
    lines(&drawn, y, &ticks, height, "Throughput by threads", &|value| format!("{value} M/s"))
}

/// Contenders, those of this library last, so that nothing covers them.
fn on_top(rows: &[Row]) -> impl Iterator<Item = &Row> {
    let peers = rows.iter().filter(|row| !row.is_floor() && !row.is_ours());
    peers.chain(rows.iter().filter(|row| row.is_ours()))
}

/// Ratios to the floor: a line of dots per scenario.
pub fn overview(summaries: &[&Summary]) -> Markup {
    let left = 410.0;
    let (step, top) = (25.0, 26.0);
    let bottom = top + step * summaries.len() as f64;
    let ratios = summaries.iter().flat_map(|s| &s.rows).filter_map(|row| row.to_floor);
    let scale = Scale::log(ratios.map(|ratio| ratio.median).chain([1.0]), left, WIDTH - 20.0);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 10.0)) role="img" aria-label="Ratios to the floor" {
            @for tick in scale.ticks() {
                line.grid x1=(scale.at(tick)) x2=(scale.at(tick)) y1=(top - 6.0) y2=(bottom) {}
                text.tick x=(scale.at(tick)) y=(top - 12.0) text-anchor="middle" {
                    (match tick {
                        ..1e3 => format!("{tick}x"),
                        ..1e6 => format!("{},000x", tick / 1e3),
                        _ => format!("{} million x", tick / 1e6),
                    })
                }
            }
            line.floor-line x1=(scale.at(1.0)) x2=(scale.at(1.0)) y1=(top - 6.0) y2=(bottom) {}
            @for (number, summary) in summaries.iter().enumerate() {
                @let y = top + step * number as f64 + 12.0;
                text.name x=(left - 14.0) y=(y + 4.5) text-anchor="end" { (summary.scenario) }
                @for row in on_top(&summary.rows) {
                    @if let Some(ratio) = &row.to_floor {
                        g class=(if row.is_ours() { colour(&row.contender) } else { "peer".into() }) {
                            title { (row.contender) ": " (times_within(ratio)) " the floor" }
                            @if row.is_ours() {
                                path.whisker d=(format!("M{} {y}H{}", scale.at(ratio.low), scale.at(ratio.high))) {}
                            }
                            circle.dot cx=(scale.at(ratio.median)) cy=(y)
                                r=(if row.is_ours() { 5.5 } else { 4.0 }) {}
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_overlap() {
        let wanted = [10.0, 11.0, 12.0, 200.0, 290.0, 295.0, 299.0];
        let places = apart(&wanted, 16.0, 14.0, 300.0);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 15.999), "{places:?}");
        assert!(places[0] >= 14.0 && places[6] <= 300.0, "{places:?}");
        assert!((places[3] - 200.0).abs() < 1e-9, "who has room stays: {places:?}");
    }

    #[test]
    fn scales_keep_order_and_stay_inside() {
        for scale in
            [Scale::linear(50.0, 100.0, 700.0), Scale::log([3.0, 9000.0].into_iter(), 100.0, 700.0)]
        {
            let places = [3.0, 7.0, 40.0, 1e6].map(|value| scale.at(value));
            assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
            assert!(places.iter().all(|place| (100.0..=700.0).contains(place)));
            assert!((2..=9).contains(&scale.ticks().len()), "{:?}", scale.ticks());
        }
    }
}
