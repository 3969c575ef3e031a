//! A fix as a picture: the map with the search square, the local view where it was found, the scores.

use super::sites::{Land, Stop};
use crate::report::canvas::{Canvas, Rgba};
use anyhow::Context;
use sojourn_core::{files::write_atomic, raster::Raster};
use sojourn_localization::mapfix::{CELL_M, Outcome};
use std::path::Path;

const PANEL: u32 = 480;
const GAP: u32 = 16;
const TOP: u32 = 40;
const INK: Rgba = [20, 20, 20, 255];
const RED: Rgba = [220, 40, 40, 255];
const GREEN: Rgba = [30, 170, 60, 255];
const BLUE: Rgba = [40, 90, 220, 255];
/// Half a side of the drawn map, metres.
const AROUND_M: f64 = 72.0;
/// Half a side of the drawn close-up, metres.
const CLOSE_M: f64 = 22.0;

/// Writes the picture.
///
/// # Errors
/// When it cannot be written.
pub fn draw(
    land: &Land,
    stop: &Stop,
    outcome: &Outcome,
    search_m: f64,
    file: &Path,
) -> anyhow::Result<()> {
    let width = 4 * PANEL + 5 * GAP;
    let mut canvas = Canvas::new(width, TOP + PANEL + 3 * GAP, [255, 255, 255, 255])?;
    let left = |k: u32| GAP + k * (PANEL + GAP);
    let found = outcome.fix.as_ref().ok().map(|f| [f.x_m, f.y_m]);
    map_panel(&mut canvas, left(0), &land.ortho, stop, found, search_m);
    close_panel(
        &mut canvas,
        left(1),
        &land.ortho,
        found.unwrap_or(stop.on_image_m),
    );
    let yaw = outcome
        .fix
        .as_ref()
        .map_or(stop.yaw_error_rad, |f| f.yaw_correction_rad);
    patch_panel(&mut canvas, left(2), stop, yaw);
    score_panel(&mut canvas, left(3), outcome, stop);
    let titles = [
        "map, search square, prior (blue), truth (green), fix (red)",
        "map at the fix (truth without one)",
        "the rover's own view from above",
        "score over the search square",
    ];
    for (k, title) in titles.iter().enumerate() {
        canvas.words(left(k as u32) as f32, 14.0, 1, INK, title);
    }
    let said = match &outcome.fix {
        Ok(f) => format!(
            "fix, error {:.2} m, sigma {:.2} m, score {:.3}, peak ratio {:.2}",
            (f.x_m - stop.on_image_m[0]).hypot(f.y_m - stop.on_image_m[1]),
            f.evidence.sigma_m,
            f.evidence.score,
            f.evidence.peak_ratio
        ),
        Err(n) => format!("no fix: {}", n.reason.text()),
    };
    canvas.words(GAP as f32, (TOP + PANEL + GAP) as f32, 1, INK, &said);
    write_atomic(file, &canvas.png().context("the picture")?)?;
    Ok(())
}

/// Grey values of a square around a place, stretched to its own darkest and brightest per cent.
fn grey(canvas: &mut Canvas, x0: u32, value: impl Fn(f64, f64) -> Option<f64>) {
    let place = |k: u32| (f64::from(k) + 0.5) / f64::from(PANEL) * 2.0 - 1.0;
    let cells: Vec<Option<f64>> = (0..PANEL * PANEL)
        .map(|k| value(place(k % PANEL), -place(k / PANEL)))
        .collect();
    let mut known: Vec<f64> = cells.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let k = (share * known.len() as f64) as usize;
        known
            .get(k.min(known.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    let (lo, hi) = (at(0.01), at(0.99));
    for (k, v) in cells.iter().enumerate() {
        let (c, r) = (k as u32 % PANEL, k as u32 / PANEL);
        let rgb = match v {
            Some(v) => {
                let g = (255.0 * (v - lo) / (hi - lo).max(1e-9)).clamp(0.0, 255.0) as u8;
                [g, g, g]
            }
            None => [235, 225, 250],
        };
        canvas.pixel(x0 + c, TOP + r, rgb);
    }
}

fn map_panel(
    canvas: &mut Canvas,
    x0: u32,
    ortho: &Raster,
    stop: &Stop,
    found: Option<[f64; 2]>,
    search_m: f64,
) {
    let [px, py] = stop.prior_m;
    grey(canvas, x0, |u, v| {
        ortho.sample(px + u * AROUND_M, py + v * AROUND_M)
    });
    let at = |p: [f64; 2]| {
        let k = f64::from(PANEL) / (2.0 * AROUND_M);
        [
            x0 as f32 + ((p[0] - px + AROUND_M) * k) as f32,
            TOP as f32 + ((AROUND_M - p[1] + py) * k) as f32,
        ]
    };
    let s = search_m;
    let square = [[-s, -s], [s, -s], [s, s], [-s, s], [-s, -s]].map(|d| at([px + d[0], py + d[1]]));
    canvas.line(&square, 1.5, BLUE, Some([6.0, 4.0]));
    canvas.disc(at([px, py]), 4.0, BLUE, INK);
    canvas.disc(at(stop.on_image_m), 7.0, GREEN, INK);
    if let Some(f) = found {
        canvas.disc(at(f), 3.5, RED, INK);
    }
}

fn close_panel(canvas: &mut Canvas, x0: u32, ortho: &Raster, at: [f64; 2]) {
    grey(canvas, x0, |u, v| {
        ortho.sample(at[0] + u * CLOSE_M, at[1] + v * CLOSE_M)
    });
}

fn patch_panel(canvas: &mut Canvas, x0: u32, stop: &Stop, yaw_rad: f64) {
    let side = stop.patch.side();
    let (sin, cos) = yaw_rad.sin_cos();
    grey(canvas, x0, |u, v| {
        let (x, y) = (u * CLOSE_M, v * CLOSE_M);
        let cell = |w: f64| w / CELL_M + 0.5 * side as f64;
        let (c, r) = (cell(cos * x + sin * y), cell(cos * y - sin * x));
        let inside = |w: f64| w >= 0.0 && w < side as f64;
        let k = (inside(c) && inside(r)).then(|| r as usize * side + c as usize)?;
        let b = f64::from(*stop.patch.brightness().get(k)?);
        b.is_finite().then_some(b)
    });
}

fn score_panel(canvas: &mut Canvas, x0: u32, outcome: &Outcome, stop: &Stop) {
    let Some(map) = &outcome.scores else {
        return;
    };
    let half = 0.5 * map.side as f64;
    grey(canvas, x0, |u, v| {
        let cell = |w: f64| ((w + 1.0) * half) as usize;
        let (c, r) = (cell(u).min(map.side - 1), cell(v).min(map.side - 1));
        map.scores.get(r * map.side + c).map(|v| f64::from(*v))
    });
    let reach_m = half * map.step_m;
    let k = f64::from(PANEL) / (2.0 * reach_m);
    let dx = (stop.on_image_m[0] - stop.prior_m[0] + reach_m) * k;
    let dy = (reach_m - stop.on_image_m[1] + stop.prior_m[1]) * k;
    let at = [x0 as f32 + dx as f32, TOP as f32 + dy as f32];
    for r in [10.0, 11.0] {
        let ring: Vec<[f32; 2]> = (0..=32)
            .map(|i| {
                let a = i as f32 * std::f32::consts::TAU / 32.0;
                [at[0] + r * a.cos(), at[1] + r * a.sin()]
            })
            .collect();
        canvas.line(&ring, 1.0, GREEN, None);
    }
}
