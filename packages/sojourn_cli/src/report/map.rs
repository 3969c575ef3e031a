//! The map: hillshade with contour lines, the planned way with its corridor, the driven way.

use super::{
    ReportError,
    canvas::{Canvas, Rgba, width_px},
    recording::{Deed, Event},
};
use sojourn_core::{geometry::Xy, plan::Plan, raster::Raster};

/// Length of the picture's longer side, pixels.
const LONG_SIDE_PX: f64 = 1150.0;
/// Height of the band with the legend, pixels.
const BAND_PX: u32 = 104;

/// The planned way.
pub const PLANNED: Rgba = [20, 90, 200, 255];
const CORRIDOR: Rgba = [70, 140, 255, 60];
const TRUTH: Rgba = [230, 60, 10, 255];
const ESTIMATE: Rgba = [255, 255, 255, 235];
const STOP: Rgba = [200, 0, 30, 255];
const SWERVE: Rgba = [255, 205, 0, 255];
const FORBIDDEN: Rgba = [160, 0, 60, 90];
const LABEL: Rgba = [150, 90, 0, 60];
/// Ground about which the sources are as far apart as they can be.
const DISAGREE: Rgba = [120, 30, 170, 255];
const INK: Rgba = [25, 20, 18, 255];
const PAPER: Rgba = [252, 250, 246, 255];

/// What is drawn.
pub struct MapInput<'a> {
    /// Heading.
    pub title: &'a str,
    /// Elevation, metres.
    pub elevation: &'a Raster,
    /// Orbital image, 0 to 1, when there is one.
    pub ortho: Option<&'a Raster>,
    /// Levels by which sources disagree about the ground, 0 to 4; without it what the plan tells of them is drawn.
    pub disagreement: Option<&'a Raster>,
    /// The plan.
    pub plan: &'a Plan,
    /// The way driven, ground truth.
    pub truth: &'a [Xy],
    /// The way driven, the rover's own estimate.
    pub estimate: &'a [Xy],
    /// Stops and swerves.
    pub events: &'a [Event],
    /// Places with a word.
    pub marks: &'a [Mark],
    /// Pieces of the planned way with colours of their own.
    pub segments: &'a [([Xy; 2], Rgba)],
    /// Words, colour and whether it is a line, below the map.
    pub legend: &'a [(&'a str, Rgba, bool)],
}

/// A place with a word.
pub struct Mark {
    /// Where, `map` metres.
    pub at_m: Xy,
    /// What.
    pub word: &'static str,
    /// Colour of the disc.
    pub colour: Rgba,
}

/// The legend of a drive.
pub const DRIVE_LEGEND: &[(&str, Rgba, bool)] = &[
    ("planned", PLANNED, true),
    ("corridor", [120, 170, 240, 255], true),
    ("driven (truth)", TRUTH, true),
    ("rover's estimate", [120, 120, 120, 255], true),
    ("stop", STOP, false),
    ("swerve", SWERVE, false),
];

struct View {
    west_m: f64,
    north_m: f64,
    m_per_px: f64,
    width_px: u32,
    height_px: u32,
}

impl View {
    fn around(points: &[Xy]) -> Self {
        let mut low = [f64::INFINITY; 2];
        let mut high = [f64::NEG_INFINITY; 2];
        for p in points.iter().filter(|p| p.iter().all(|v| v.is_finite())) {
            for i in 0..2 {
                low[i] = low[i].min(p[i]);
                high[i] = high[i].max(p[i]);
            }
        }
        if !(low[0] <= high[0]) {
            (low, high) = ([0.0; 2], [1.0; 2]);
        }
        let span_m = (high[0] - low[0]).max(high[1] - low[1]).max(10.0);
        let margin_m = 0.12 * span_m + 4.0;
        // A way straight north would else make a ribbon.
        let size_m =
            |i: usize| (high[i] - low[i] + 2.0 * margin_m).max(0.55 * (span_m + 2.0 * margin_m));
        let (width_m, height_m) = (size_m(0), size_m(1));
        let m_per_px = width_m.max(height_m) / LONG_SIDE_PX;
        Self {
            west_m: (low[0] + high[0] - width_m) / 2.0,
            north_m: (low[1] + high[1] + height_m) / 2.0,
            m_per_px,
            width_px: (width_m / m_per_px).round() as u32,
            height_px: (height_m / m_per_px).round() as u32,
        }
    }

    fn px(&self, p: Xy) -> [f32; 2] {
        [
            ((p[0] - self.west_m) / self.m_per_px) as f32,
            ((self.north_m - p[1]) / self.m_per_px) as f32,
        ]
    }

    fn line(&self, points: &[Xy]) -> Vec<[f32; 2]> {
        points
            .iter()
            .filter(|p| p.iter().all(|v| v.is_finite()))
            .map(|p| self.px(*p))
            .collect()
    }

    fn at(&self, x_px: u32, y_px: u32) -> Xy {
        [
            self.west_m + (f64::from(x_px) + 0.5) * self.m_per_px,
            self.north_m - (f64::from(y_px) + 0.5) * self.m_per_px,
        ]
    }
}

/// Draws the map as PNG.
///
/// # Errors
/// [`ReportError::Picture`].
pub fn draw(input: &MapInput<'_>) -> Result<Vec<u8>, ReportError> {
    let line = input.plan.line();
    let mut points = line.clone();
    points.extend_from_slice(input.truth);
    let view = View::around(&points);
    let mut canvas = Canvas::new(view.width_px, view.height_px + BAND_PX, PAPER)?;
    ground(&mut canvas, &view, input);
    if input.disagreement.is_none() {
        told(&mut canvas, &view, input.plan);
    }
    let corridors: Vec<_> = input
        .plan
        .waypoints
        .iter()
        .map(|w| view.line(&w.corridor))
        .collect();
    canvas.area(&corridors, CORRIDOR);
    for f in &input.plan.features {
        let colour = if f.forbids { FORBIDDEN } else { LABEL };
        canvas.polygon(&view.line(&f.polygon), colour);
    }
    for polygon in &input.plan.keep_out {
        canvas.polygon(&view.line(polygon), FORBIDDEN);
    }
    canvas.line(&view.line(&line), 3.0, PLANNED, None);
    for (ends, colour) in input.segments {
        canvas.line(&view.line(ends), 4.5, *colour, None);
    }
    for w in &input.plan.waypoints {
        canvas.disc(view.px(w.xy()), 3.5, [255, 255, 255, 255], PLANNED);
    }
    canvas.line(&view.line(input.truth), 3.0, TRUTH, None);
    canvas.line(&view.line(input.estimate), 2.0, ESTIMATE, Some([6.0, 6.0]));
    for e in input.events.iter().filter(|e| e.at_m[0].is_finite()) {
        let colour = match e.deed {
            Deed::Stop => STOP,
            Deed::Swerve => SWERVE,
        };
        canvas.disc(view.px(e.at_m), 5.5, colour, INK);
    }
    ends(&mut canvas, &view, input.plan);
    for m in input.marks.iter().filter(|m| m.at_m[0].is_finite()) {
        let p = view.px(m.at_m);
        canvas.disc(p, 9.0, m.colour, INK);
        let (x, y) = (p[0] + 14.0, p[1] + 4.0);
        let white = [255, 255, 255, 215];
        canvas.rectangle(x - 3.0, y - 3.0, width_px(2, m.word) + 6.0, 22.0, white);
        canvas.words(x, y, 2, INK, m.word);
    }
    furniture(&mut canvas, &view, input);
    canvas.png()
}

/// Hillshade, contours and, where there is one, the orbital image.
fn ground(canvas: &mut Canvas, view: &View, input: &MapInput<'_>) {
    let e = input.elevation;
    let step_m = e.resolution_m().max(view.m_per_px);
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    let (width, height) = (view.width_px, view.height_px);
    for y in (0..height).step_by(4) {
        for x in (0..width).step_by(4) {
            let p = view.at(x, y);
            if let Some(z) = e.sample(p[0], p[1]) {
                (low, high) = (low.min(z), high.max(z));
            }
        }
    }
    let contour_m = nice((high - low).max(0.1) / 12.0);
    let band = |z: f64| (z / contour_m).floor();
    // Light from the north-west, 40 degrees up; heights stretched where the ground is gentle.
    let light = {
        let (azimuth, up) = (315f64.to_radians(), 40f64.to_radians());
        [azimuth.sin() * up.cos(), azimuth.cos() * up.cos(), up.sin()]
    };
    let stretch = 2.0;
    let mut above: Vec<Option<f64>> = vec![None; width as usize];
    for y in 0..height {
        let mut left = None;
        for x in 0..width {
            let [mx, my] = view.at(x, y);
            let z = e.sample(mx, my);
            let rgb = match z {
                None => [205, 203, 200],
                Some(z) => {
                    let around = |dx: f64, dy: f64| e.sample(mx + dx, my + dy).unwrap_or(z);
                    let gx =
                        (around(step_m, 0.0) - around(-step_m, 0.0)) / (2.0 * step_m) * stretch;
                    let gy =
                        (around(0.0, step_m) - around(0.0, -step_m)) / (2.0 * step_m) * stretch;
                    let shade = ((-gx * light[0] - gy * light[1] + light[2])
                        / (1.0 + gx * gx + gy * gy).sqrt())
                    .clamp(0.0, 1.0);
                    let rise = ((z - low) / (high - low).max(1e-6)).clamp(0.0, 1.0);
                    let mut tone = 0.35 + 0.85 * shade;
                    if let Some(v) = input.ortho.and_then(|o| o.sample(mx, my)) {
                        tone *= 0.55 + 0.75 * v.clamp(0.0, 1.0);
                    }
                    let line = [left, above.get(x as usize).copied().flatten()]
                        .into_iter()
                        .flatten()
                        .any(|n| band(n) != band(z));
                    if line {
                        tone *= 0.82;
                    }
                    let mix =
                        |a: f64, b: f64| ((a + (b - a) * rise) * tone).clamp(0.0, 255.0) as u8;
                    [mix(172.0, 224.0), mix(134.0, 196.0), mix(108.0, 165.0)]
                }
            };
            let level = input
                .disagreement
                .and_then(|d| d.nearest(mx, my))
                .unwrap_or(0.0);
            canvas.pixel(x, y, tinted(rgb, level));
            left = z;
            if let Some(a) = above.get_mut(x as usize) {
                *a = z;
            }
        }
    }
}

/// What the plan itself tells of the sources' disagreement.
fn told(canvas: &mut Canvas, view: &View, plan: &Plan) {
    let [r, g, b, _] = DISAGREE;
    for ground in plan.disputes.iter().flat_map(|d| &d.grounds) {
        let alpha = 255.0 * tint_share(f64::from(ground.levels));
        canvas.polygon(&view.line(&ground.outline()), [r, g, b, alpha as u8]);
    }
}

/// How strongly a number of levels is drawn, 0 to 0.8.
fn tint_share(level: f64) -> f64 {
    (0.2 * level).clamp(0.0, 0.8)
}

/// Violet over the ground, the stronger the farther the sources are apart.
fn tinted(rgb: [u8; 3], level: f64) -> [u8; 3] {
    let share = tint_share(level);
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share) as u8;
    [
        mix(rgb[0], DISAGREE[0]),
        mix(rgb[1], DISAGREE[1]),
        mix(rgb[2], DISAGREE[2]),
    ]
}

fn ends(canvas: &mut Canvas, view: &View, plan: &Plan) {
    let white = [255, 255, 255, 255];
    for (at, word) in [
        ([plan.start.x_m, plan.start.y_m], "START"),
        ([plan.goal.x_m, plan.goal.y_m], "GOAL"),
    ] {
        let p = view.px(at);
        canvas.disc(p, 8.0, white, INK);
        canvas.disc(p, 4.0, PLANNED, PLANNED);
        let (x, y) = (p[0] + 13.0, p[1] - 6.0);
        canvas.rectangle(
            x - 3.0,
            y - 3.0,
            width_px(2, word) + 6.0,
            22.0,
            [255, 255, 255, 200],
        );
        canvas.words(x, y, 2, INK, word);
    }
}

/// The greatest of 1, 2, 5 times a power of ten that is not above `v`.
fn nice(v: f64) -> f64 {
    let power = 10f64.powf(v.log10().floor());
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|m| m * power)
        .find(|c| *c <= v)
        .unwrap_or(power)
}

/// North, scale and legend.
fn furniture(canvas: &mut Canvas, view: &View, input: &MapInput<'_>) {
    let (width, top) = (view.width_px as f32, view.height_px as f32);
    let white = [255, 255, 255, 215];
    canvas.rectangle(width - 52.0, 10.0, 42.0, 62.0, white);
    canvas.polygon(
        &[
            [width - 31.0, 16.0],
            [width - 41.0, 46.0],
            [width - 31.0, 40.0],
            [width - 21.0, 46.0],
        ],
        INK,
    );
    canvas.words(width - 31.0 - width_px(2, "N") / 2.0, 52.0, 2, INK, "N");
    let bar_m = nice(f64::from(view.width_px) * view.m_per_px / 4.0);
    let bar_px = (bar_m / view.m_per_px) as f32;
    canvas.rectangle(12.0, top - 42.0, bar_px.max(80.0) + 20.0, 34.0, white);
    canvas.rectangle(22.0, top - 18.0, bar_px, 5.0, INK);
    canvas.words(22.0, top - 37.0, 2, INK, &format!("{bar_m} m"));
    canvas.words(14.0, top + 12.0, 2, INK, input.title);
    let mut x = 14.0;
    let mut y = top + 44.0;
    let compared = input.disagreement.is_some() || input.plan.disputes.is_some();
    let disputed = [("sources disagree", DISAGREE, false)];
    let more = if compared { &disputed[..] } else { &[] };
    for &(word, colour, line) in input.legend.iter().chain(more) {
        // A second row where the first is full.
        if x > 14.0 && x + 32.0 + width_px(2, word) > width {
            (x, y) = (14.0, y + 26.0);
        }
        if line {
            let dash = (word == "rover's estimate").then_some([5.0, 5.0]);
            canvas.line(&[[x, y + 8.0], [x + 24.0, y + 8.0]], 4.0, colour, dash);
        } else {
            canvas.disc([x + 12.0, y + 8.0], 5.5, colour, INK);
        }
        x = canvas.words(x + 32.0, y + 1.0, 2, INK, word) + 18.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_numbers_are_not_above() {
        for (v, expected) in [(1.0, 1.0), (0.7, 0.5), (49.0, 20.0), (99.0, 50.0)] {
            assert!((nice(v) - expected).abs() < 1e-9, "{v}");
        }
    }

    #[test]
    fn the_farther_apart_the_more_violet() {
        assert_eq!(tinted([200, 150, 100], 0.0), [200, 150, 100]);
        let greens = [0.0, 1.0, 2.0, 4.0].map(|l| tinted([200, 150, 100], l)[1]);
        assert!(greens.windows(2).all(|w| w[1] < w[0]), "{greens:?}");
        assert_eq!(tinted([0, 0, 0], f64::NAN), [0, 0, 0]);
    }

    #[test]
    fn the_view_holds_its_points() {
        let view = View::around(&[[5.0, 5.0], [5.0, 105.0], [f64::NAN, 0.0]]);
        for p in [[5.0, 5.0], [5.0, 105.0]] {
            let [x, y] = view.px(p);
            assert!(x > 0.0 && x < view.width_px as f32 && y > 0.0 && y < view.height_px as f32);
        }
        assert!(view.width_px >= 300 && view.height_px <= 1200);
        assert!(View::around(&[]).width_px > 0);
    }
}
