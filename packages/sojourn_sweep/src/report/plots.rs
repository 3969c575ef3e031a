//! Curves over rock abundance, one colour for each slope.

use super::{Cell, Report};
use plotters::prelude::*;
use sojourn_core::CoreError;

/// A number of a cell with its interval.
type Value = fn(&Cell) -> Option<[f64; 3]>;

/// A picture of a sweep.
pub struct Plot {
    /// Name of its file without ending.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    y: Value,
    /// Fixed range of the vertical axis, if any.
    range: Option<[f64; 2]>,
}

/// All pictures.
pub const PLOTS: [Plot; 4] = [
    Plot {
        name: "success",
        title: "successful traverses, % (bars: 95 %)",
        y: |c| Some([c.success, c.success_low, c.success_high].map(|v| 100.0 * v)),
        range: Some([0.0, 102.0]),
    },
    Plot {
        name: "path_ratio",
        title: "driven over straight distance, median",
        y: |c| c.path_ratio_median.map(|v| [v; 3]),
        range: None,
    },
    Plot {
        name: "speed",
        title: "effective speed, m/h",
        y: |c| c.speed_m_per_h.map(|v| [v; 3]),
        range: None,
    },
    Plot {
        name: "cycle",
        title: "planning: mean with 99th percentile, ms of one core",
        y: |c| Some([c.cycle_ms_mean, c.cycle_ms_mean, c.cycle_ms_p99]),
        range: None,
    },
];

const COLOURS: [RGBColor; 7] = [
    RGBColor(20, 90, 200),
    RGBColor(0, 140, 100),
    RGBColor(210, 150, 0),
    RGBColor(220, 90, 20),
    RGBColor(180, 0, 60),
    RGBColor(120, 60, 170),
    RGBColor(90, 90, 90),
];

/// Draws a picture of one planner as SVG.
///
/// # Errors
/// [`CoreError::Format`] when it cannot be drawn.
pub fn svg(report: &Report, planner: &str, plot: &Plot) -> Result<String, CoreError> {
    let mut text = String::new();
    draw(report, planner, plot, &mut text)
        .map_err(|e| CoreError::format(format!("plot {}", plot.name), e.to_string()))?;
    Ok(text)
}

fn draw(
    report: &Report,
    planner: &str,
    plot: &Plot,
    text: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    let cells: Vec<&Cell> = report
        .rows
        .iter()
        .filter(|c| c.planner == planner)
        .collect();
    let mut slopes: Vec<f64> = cells.iter().filter_map(|c| c.slope_deg).collect();
    slopes.sort_by(f64::total_cmp);
    slopes.dedup();
    let values = || cells.iter().filter_map(|c| (plot.y)(c)).flatten();
    let [low, high] = plot.range.unwrap_or_else(|| {
        let (lo, hi) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
            (a.min(v), b.max(v))
        });
        if lo <= hi {
            let pad = 0.08 * (hi - lo).max(0.1 * hi.abs()).max(1e-3);
            [(lo - pad).max(0.0), hi + pad]
        } else {
            [0.0, 1.0]
        }
    });
    let most = cells.iter().map(|c| 100.0 * c.cfa).fold(1.0, f64::max);
    let root = SVGBackend::with_string(text, (720, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{planner}: {}", plot.title), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d(-0.5..most * 1.04 + 0.5, low..high)?;
    chart
        .configure_mesh()
        .x_desc("rocks: Golombek's k, %")
        .light_line_style(WHITE)
        .draw()?;
    for (i, slope) in slopes.iter().enumerate() {
        let colour = COLOURS.get(i % COLOURS.len()).copied().unwrap_or(BLACK);
        // Beside each other, so that bars of different slopes can be told apart.
        let shift = 0.12 * (i as f64 - 0.5 * (slopes.len() as f64 - 1.0));
        let points: Vec<(f64, [f64; 3])> = cells
            .iter()
            .filter(|c| c.slope_deg == Some(*slope))
            .filter_map(|c| Some((100.0 * c.cfa + shift, (plot.y)(c)?)))
            .collect();
        chart
            .draw_series(LineSeries::new(
                points.iter().map(|(x, [y, ..])| (*x, *y)),
                colour.stroke_width(2),
            ))?
            .label(format!("slope {slope:.0} deg"))
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(3))
            });
        chart.draw_series(points.iter().map(|(x, [y, lo, hi])| {
            ErrorBar::new_vertical(*x, *lo, *y, *hi, colour.filled(), 7)
        }))?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .position(SeriesLabelPosition::LowerLeft)
        .draw()?;
    root.present()?;
    Ok(())
}
