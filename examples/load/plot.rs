//! The plot: for each workload its latencies by percentile, and its rate over time.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::{Part, Report, duration};

const WIDTH: u32 = 1100;
/// Of one workload.
const HEIGHT: u32 = 320;
const LINE: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
/// Percentiles beyond this one have too few requests behind them to be drawn.
const FINEST: f64 = 0.999_99;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a run into an SVG file.
///
/// # Errors
///
/// The file cannot be written.
pub fn draw(report: &Report, path: &Path) -> Result<(), Box<dyn Error>> {
    let height = HEIGHT * report.parts.len().max(1) as u32;
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    for (part, area) in report.parts.iter().zip(root.split_evenly((report.parts.len().max(1), 1))) {
        let (left, right) = area.split_horizontally(WIDTH / 2);
        percentiles(part, &left)?;
        rates(part, &right)?;
    }
    root.present()?;
    Ok(())
}

/// Shares of requests are drawn by how many times smaller what is above them gets: 90 %, 99 %, 99.9 % lie
/// at equal distances.
fn depth(quantile: f64) -> f64 {
    -(1.0 - quantile.min(FINEST)).log10()
}

fn percentiles(part: &Part, area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let points: Vec<(f64, f64)> =
        part.latency.curve.iter().map(|step| (depth(step.quantile), step.us.max(0.1))).collect();
    let high = points.iter().map(|(_, us)| *us).fold(1.0, f64::max) * 1.5;
    let low = points.iter().map(|(_, us)| *us).fold(high, f64::min) / 1.5;
    let title = format!("{}: latency of {}", part.name, part.latency_of);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(32)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..depth(1.0), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_labels(6)
        .x_label_formatter(&|depth| format!("{} %", 100.0 - 10f64.powf(2.0 - depth.round())))
        .y_label_formatter(&|us| duration(*us))
        .light_line_style(TRANSPARENT)
        .draw()?;
    chart.draw_series(LineSeries::new(points, LINE.stroke_width(2)))?;
    Ok(())
}

fn rates(part: &Part, area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let at = |slot: usize| slot as f64 * part.slot_seconds;
    let points = part.rates_of_slots.iter().enumerate().map(|(slot, rate)| (at(slot), *rate));
    let high = part.rates_of_slots.iter().copied().fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: {} per second", part.name, part.unit), ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(32)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..part.seconds.max(part.slot_seconds), 0.0..high)?;
    chart
        .configure_mesh()
        .x_label_formatter(&|seconds| format!("{seconds:.2} s"))
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .light_line_style(TRANSPARENT)
        .draw()?;
    chart.draw_series(LineSeries::new(points, LINE.stroke_width(2)))?;
    Ok(())
}
