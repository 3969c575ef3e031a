//! Trajectories from above and their errors over the way.

use crate::report::canvas::{Canvas, Rgba};
use sojourn_localization::trajectory::Trajectory;

const SIZE: [u32; 2] = [1000, 860];
const MAP: [f32; 4] = [60.0, 40.0, 960.0, 560.0];
const ERROR: [f32; 4] = [60.0, 620.0, 960.0, 820.0];
const INK: Rgba = [30, 30, 30, 255];
const GRID: Rgba = [225, 225, 225, 255];
/// Truth, then the others in their order.
const COLOURS: [Rgba; 4] = [
    [20, 20, 20, 255],
    [200, 40, 40, 255],
    [30, 110, 190, 255],
    [220, 150, 20, 255],
];

/// A trajectory with its name, in the frame of the first one.
pub type Named = (&'static str, Trajectory);

/// Draws the trajectories; the first is the truth when there is one (`with_truth`), and then the errors of the others are
/// drawn below over its way.
///
/// # Errors
/// When the picture cannot be made.
pub fn draw(title: &str, tracks: &[Named], with_truth: bool) -> anyhow::Result<Vec<u8>> {
    let mut c = Canvas::new(SIZE[0], SIZE[1], [255, 255, 255, 255])?;
    c.words(60.0, 14.0, 1, INK, title);
    let first_colour = usize::from(!with_truth);
    let colour = |k: usize| COLOURS[(k + first_colour) % COLOURS.len()];
    map(&mut c, tracks, &colour);
    if with_truth {
        errors(&mut c, tracks, &colour);
    }
    for (k, (name, _)) in tracks.iter().enumerate() {
        let x = 70.0 + 230.0 * k as f32;
        c.line(&[[x, 590.0], [x + 24.0, 590.0]], 3.0, colour(k), None);
        c.words(x + 30.0, 586.0, 1, INK, name);
    }
    Ok(c.png()?)
}

/// A round number of about a fifth of a length.
fn step_of(length: f64) -> f64 {
    let raw = (length / 5.0).max(1e-6);
    let base = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|f| f * base)
        .find(|s| *s >= raw)
        .unwrap_or(base)
}

fn map(c: &mut Canvas, tracks: &[Named], colour: &dyn Fn(usize) -> Rgba) {
    let all = || tracks.iter().flat_map(|t| t.1.places());
    let (mut lo, mut hi) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for p in all() {
        for axis in 0..2 {
            lo[axis] = lo[axis].min(p.position_m[axis]);
            hi[axis] = hi[axis].max(p.position_m[axis]);
        }
    }
    if !(lo[0] <= hi[0]) {
        return;
    }
    let [left, top, right, bottom] = MAP;
    let (wide, high) = ((hi[0] - lo[0]).max(0.5), (hi[1] - lo[1]).max(0.5));
    let scale = (f64::from(right - left) / wide).min(f64::from(bottom - top) / high) * 0.94;
    let middle = [0.5 * (lo[0] + hi[0]), 0.5 * (lo[1] + hi[1])];
    let at = |x: f64, y: f64| {
        [
            0.5 * (left + right) + ((x - middle[0]) * scale) as f32,
            0.5 * (top + bottom) - ((y - middle[1]) * scale) as f32,
        ]
    };
    let step = step_of(wide.max(high));
    let mut x = (lo[0] / step).ceil() * step;
    while x <= hi[0] {
        let [px, _] = at(x, 0.0);
        c.line(&[[px, top], [px, bottom]], 1.0, GRID, None);
        c.words(px + 2.0, bottom - 10.0, 1, INK, &format!("{x} m"));
        x += step;
    }
    let mut y = (lo[1] / step).ceil() * step;
    while y <= hi[1] {
        let [_, py] = at(0.0, y);
        c.line(&[[left, py], [right, py]], 1.0, GRID, None);
        c.words(left + 2.0, py - 9.0, 1, INK, &format!("{y} m"));
        y += step;
    }
    for (k, (_, track)) in tracks.iter().enumerate() {
        let line: Vec<[f32; 2]> = track
            .places()
            .iter()
            .map(|p| at(p.position_m.x, p.position_m.y))
            .collect();
        c.line(&line, 2.0, colour(k), None);
        if let Some(end) = line.last() {
            c.disc(*end, 4.0, colour(k), [255, 255, 255, 255]);
        }
    }
}

/// Distance from the truth over its way.
fn errors(c: &mut Canvas, tracks: &[Named], colour: &dyn Fn(usize) -> Rgba) {
    let Some(((_, truth), others)) = tracks.split_first() else {
        return;
    };
    let mut way_m = vec![0.0];
    for pair in truth.places().windows(2) {
        let step = (pair[1].position_m - pair[0].position_m).norm();
        way_m.push(way_m.last().copied().unwrap_or(0.0) + step);
    }
    let curves: Vec<Vec<[f64; 2]>> = others
        .iter()
        .map(|(_, t)| {
            let error = |(place, &way): (&sojourn_localization::trajectory::Place, &f64)| {
                let believed = t.at(place.time_s, 60.0)?;
                Some([way, (believed.position_m - place.position_m).norm()])
            };
            truth
                .places()
                .iter()
                .zip(&way_m)
                .filter_map(error)
                .collect()
        })
        .collect();
    let most_m = way_m.last().copied().unwrap_or(0.0).max(0.1);
    let worst_m = curves.iter().flatten().fold(1e-3, |a: f64, p| a.max(p[1]));
    let [left, top, right, bottom] = ERROR;
    let at = |way: f64, error: f64| {
        [
            left + (way / most_m) as f32 * (right - left),
            bottom - (error / worst_m) as f32 * (bottom - top),
        ]
    };
    let step = step_of(worst_m);
    let mut e = 0.0;
    while e <= worst_m {
        let [_, y] = at(0.0, e);
        c.line(&[[left, y], [right, y]], 1.0, GRID, None);
        c.words(4.0, y - 4.0, 1, INK, &format!("{e:.3}"));
        e += step;
    }
    let step = step_of(most_m);
    let mut way = 0.0;
    while way <= most_m {
        let [x, _] = at(way, 0.0);
        c.line(&[[x, top], [x, bottom]], 1.0, GRID, None);
        c.words(x - 6.0, bottom + 6.0, 1, INK, &format!("{way}"));
        way += step;
    }
    c.words(
        left,
        bottom + 22.0,
        1,
        INK,
        "distance from the truth, metres, over its way, metres; both begin alike",
    );
    for (k, curve) in curves.iter().enumerate() {
        let line: Vec<[f32; 2]> = curve.iter().map(|p| at(p[0], p[1])).collect();
        c.line(&line, 2.0, colour(k + 1), None);
    }
}
