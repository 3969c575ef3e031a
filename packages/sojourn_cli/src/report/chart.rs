//! Line charts as SVG, drawn from numbers alone.

use std::fmt::Write;

/// One line of a chart.
pub struct Series<'a> {
    /// For the legend.
    pub name: &'a str,
    /// CSS colour.
    pub colour: &'a str,
    /// Points.
    pub points: &'a [[f64; 2]],
}

/// A chart.
pub struct Chart<'a> {
    /// Heading.
    pub title: &'a str,
    /// Words below the horizontal axis.
    pub x_label: &'a str,
    /// Words beside the vertical axis.
    pub y_label: &'a str,
    /// The lines.
    pub series: &'a [Series<'a>],
    /// A limit drawn across, with its words.
    pub limit: Option<(f64, &'a str)>,
}

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;
/// Most points of a line; more cannot be seen.
const MAX_POINTS: usize = 1500;

/// Draws a chart as an SVG element.
#[must_use]
pub fn svg(chart: &Chart<'_>) -> String {
    let mut out = format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}" xmlns="http://www.w3.org/2000/svg">"#,
        super::html::escape(chart.title)
    );
    let finite = || {
        chart
            .series
            .iter()
            .flat_map(|s| s.points)
            .filter(|p| p.iter().all(|v| v.is_finite()))
    };
    let _ = write!(
        out,
        r#"<text x="{LEFT}" y="20" class="t">{}</text>"#,
        super::html::escape(chart.title)
    );
    if finite().count() < 2 {
        let _ = write!(
            out,
            r#"<text x="{LEFT}" y="{}" class="l">no data in the recording</text></svg>"#,
            HEIGHT / 2.0
        );
        return out;
    }
    let x_max = finite().map(|p| p[0]).fold(1e-9, f64::max);
    let y_data = finite().map(|p| p[1]).fold(1e-9, f64::max);
    let y_min = finite().map(|p| p[1]).fold(0.0, f64::min);
    // The limit is shown when it is near enough not to press the line flat.
    let limit = chart.limit.filter(|(v, _)| *v <= 4.0 * y_data);
    let y_max = limit.map_or(y_data, |(v, _)| y_data.max(v)) * 1.08;
    let x = |v: f64| LEFT + v / x_max * (WIDTH - LEFT - RIGHT);
    let y = |v: f64| HEIGHT - BOTTOM - (v - y_min) / (y_max - y_min) * (HEIGHT - TOP - BOTTOM);
    for v in ticks(y_min, y_max) {
        let _ = write!(
            out,
            r#"<line x1="{LEFT}" x2="{:.1}" y1="{1:.1}" y2="{1:.1}" class="g"/><text x="{2}" y="{3:.1}" class="l" text-anchor="end">{4}</text>"#,
            WIDTH - RIGHT,
            y(v),
            LEFT - 6.0,
            y(v) + 4.0,
            short(v)
        );
    }
    for v in ticks(0.0, x_max) {
        let _ = write!(
            out,
            r#"<text x="{:.1}" y="{}" class="l" text-anchor="middle">{}</text>"#,
            x(v),
            HEIGHT - BOTTOM + 16.0,
            short(v)
        );
    }
    let _ = write!(
        out,
        r#"<text x="{:.1}" y="{}" class="l" text-anchor="middle">{}</text><text transform="translate(14 {:.1}) rotate(-90)" class="l" text-anchor="middle">{}</text>"#,
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 8.0,
        super::html::escape(chart.x_label),
        (TOP + HEIGHT - BOTTOM) / 2.0,
        super::html::escape(chart.y_label)
    );
    if let Some((v, words)) = limit {
        let _ = write!(
            out,
            r##"<line x1="{LEFT}" x2="{:.1}" y1="{1:.1}" y2="{1:.1}" stroke="#b00020" stroke-dasharray="6 4"/><text x="{0:.1}" y="{2:.1}" class="l" text-anchor="end" fill="#b00020">{3}</text>"##,
            WIDTH - RIGHT,
            y(v),
            y(v) - 4.0,
            super::html::escape(words)
        );
    }
    let mut legend_x = WIDTH - RIGHT;
    for s in chart.series.iter().rev() {
        let step = s.points.len().div_ceil(MAX_POINTS).max(1);
        let points: String = s
            .points
            .iter()
            .step_by(step)
            .filter(|p| p.iter().all(|v| v.is_finite()))
            .map(|p| format!("{:.1},{:.1} ", x(p[0]), y(p[1])))
            .collect();
        let _ = write!(
            out,
            r#"<polyline points="{points}" fill="none" stroke="{}" stroke-width="1.8"/>"#,
            s.colour
        );
        legend_x -= 8.0 * s.name.chars().count() as f64 + 30.0;
        let _ = write!(
            out,
            r#"<rect x="{legend_x:.1}" y="12" width="16" height="4" fill="{}"/><text x="{:.1}" y="20" class="l">{}</text>"#,
            s.colour,
            legend_x + 21.0,
            super::html::escape(s.name)
        );
    }
    out += "</svg>";
    out
}

fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 7.0;
    if !(rough > 0.0 && rough.is_finite()) {
        return vec![low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|s| *s >= rough)
        .unwrap_or(rough);
    let first = (low / step).ceil();
    (0..12)
        .map(|i| (first + f64::from(i)) * step)
        .take_while(|v| *v <= high)
        .collect()
}

fn short(v: f64) -> String {
    let text = format!("{v:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let t = ticks(0.0, 23.0);
        assert_eq!(t, [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(ticks(0.0, f64::NAN).len(), 1);
        assert_eq!(short(0.30), "0.3");
        assert_eq!(short(-0.0), "0");
    }

    #[test]
    fn a_chart_without_data_says_so() {
        let empty = svg(&Chart {
            title: "a <b>",
            x_label: "",
            y_label: "",
            series: &[],
            limit: None,
        });
        assert!(empty.contains("no data") && empty.contains("a &lt;b&gt;"));
    }

    #[test]
    fn not_a_number_is_left_out() {
        let points = [[0.0, 1.0], [1.0, f64::NAN], [2.0, 3.0]];
        let text = svg(&Chart {
            title: "t",
            x_label: "x",
            y_label: "y",
            series: &[Series {
                name: "s",
                colour: "#000",
                points: &points,
            }],
            limit: Some((3.5, "limit")),
        });
        assert!(!text.contains("NaN") && text.contains("limit"));
    }
}
