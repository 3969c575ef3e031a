//! Fields of nodules: dark round spots, many close together.

use super::{
    Candidate, Ground,
    filter::{Curved, Levels, Tone},
    rule::NUMBERS,
};
use nalgebra::Vector3;
use sojourn_core::classes::SurfaceClass;
use std::f32::consts::TAU;

/// Standard deviations of the Gaussians, pixels; a spot answers most to one of 0.35 of its diameter.
const SIGMAS_PX: [f32; 4] = [0.8, 1.1, 1.6, 2.2];
/// Diameters of a spot by that standard deviation.
const DIAMETERS: f64 = 2.83;
/// How much darker than all that is around it a spot is, in the logarithm.
const DARKER: f32 = 0.1;
/// Places around a spot that are compared.
const PLACES: usize = 8;
/// Farthest that a spot lies from the next of its field, metres.
const APART_M: f64 = 0.25;
/// Fewest spots of a candidate.
const FEWEST: usize = 6;

#[derive(Clone, Copy, Debug)]
struct Spot {
    pixel: usize,
    sigma_px: f32,
    darker: f64,
    at: Vector3<f64>,
    diameter_m: f64,
}

/// The candidates; only `usable` pixels count.
pub(super) fn candidates(
    levels: &Levels,
    tone: &Tone,
    ground: &Ground<'_>,
    usable: &[bool],
) -> Vec<Candidate> {
    let spots = spots(levels, ground, usable);
    let mut taken = vec![false; spots.len()];
    let mut found = Vec::new();
    for start in 0..spots.len() {
        if taken[start] {
            continue;
        }
        taken[start] = true;
        let (mut field, mut next) = (vec![start], 0);
        while let Some(&i) = field.get(next) {
            next += 1;
            for j in 0..spots.len() {
                if !taken[j] && (spots[j].at - spots[i].at).norm() <= APART_M {
                    taken[j] = true;
                    field.push(j);
                }
            }
        }
        if field.len() >= FEWEST {
            let of: Vec<Spot> = field.iter().map(|i| spots[*i]).collect();
            found.push(together(&of, levels, tone));
        }
    }
    found
}

fn spots(levels: &Levels, ground: &Ground<'_>, usable: &[bool]) -> Vec<Spot> {
    let (w, h) = (levels.width, levels.height);
    let scales: Vec<Curved> = SIGMAS_PX.iter().map(|s| levels.at_scale(*s)).collect();
    // The best scale of every pixel, and how much darker it is there.
    let dark: Vec<(usize, f32)> = (0..w * h)
        .map(|i| {
            let mut best = (0, 0.0f32);
            if usable[i] {
                for (k, (scale, sigma)) in scales.iter().zip(SIGMAS_PX).enumerate() {
                    let darker = darker(scale, sigma, i);
                    if darker > best.1 {
                        best = (k, darker);
                    }
                }
            }
            best
        })
        .collect();
    let mut out = Vec::new();
    for y in 1..h.saturating_sub(1) {
        for x in 1..w - 1 {
            let i = y * w + x;
            let (k, top) = dark[i];
            let around = [
                i - w - 1,
                i - w,
                i - w + 1,
                i - 1,
                i + 1,
                i + w - 1,
                i + w,
                i + w + 1,
            ];
            if top < DARKER || around.iter().any(|j| dark[*j].1 > top) {
                continue;
            }
            let (Some(at), Some(pixel_m)) = (ground.place(i), ground.pixel_m(i)) else {
                continue;
            };
            out.push(Spot {
                pixel: i,
                sigma_px: SIGMAS_PX[k],
                darker: f64::from(top),
                at,
                diameter_m: DIAMETERS * f64::from(SIGMAS_PX[k]) * pixel_m,
            });
        }
    }
    out
}

/// How much darker a spot is than the darkest place of a ring around it; 0 where it is none.
fn darker(scale: &Curved, sigma_px: f32, pixel: usize) -> f32 {
    if scale.bend(pixel).least <= 0.0 {
        return 0.0;
    }
    let reach = 2.5 * sigma_px + 0.5;
    let place = |k: usize| {
        let (sin, cos) = (TAU * k as f32 / PLACES as f32).sin_cos();
        scale.near(pixel, [reach * cos, reach * sin])
    };
    let darkest = (0..PLACES).map(place).fold(f32::MAX, f32::min);
    (darkest - scale.at(pixel)).max(0.0)
}

/// A field of spots: their discs.
fn together(spots: &[Spot], levels: &Levels, tone: &Tone) -> Candidate {
    let mut pixels = Vec::new();
    for s in spots {
        let r = 0.5 * DIAMETERS as f32 * s.sigma_px;
        let reach = r.ceil() as i64;
        let (x, y) = (
            (s.pixel % levels.width) as i64,
            (s.pixel / levels.width) as i64,
        );
        for v in (y - reach).max(0)..=(y + reach).min(levels.height as i64 - 1) {
            for u in (x - reach).max(0)..=(x + reach).min(levels.width as i64 - 1) {
                if (((u - x).pow(2) + (v - y).pow(2)) as f32) <= r * r {
                    pixels.push(v as usize * levels.width + u as usize);
                }
            }
        }
    }
    pixels.sort_unstable();
    pixels.dedup();
    let n = spots.len() as f64;
    let middle = spots.iter().map(|s| s.at).sum::<Vector3<f64>>() / n;
    let reach_m = spots
        .iter()
        .map(|s| (s.at - middle).norm())
        .fold(0.0, f64::max);
    let [dark, rel, bright, wide] = [
        moments(spots, |s| s.darker),
        moments(spots, |s| tone.of_mean(s.pixel)),
        moments(spots, |s| tone.of_bright(s.pixel)),
        moments(spots, |s| s.diameter_m.ln()),
    ];
    let numbers: [f64; NUMBERS] = [
        n.ln(),
        (reach_m + 0.05).ln(),
        dark[0],
        dark[1],
        rel[0],
        rel[1],
        bright[0],
        wide[0],
    ];
    Candidate {
        class: SurfaceClass::Nodule,
        pixels,
        position_m: middle.into(),
        size_m: 2.0 * reach_m,
        numbers,
    }
}

/// Mean and standard deviation.
fn moments(spots: &[Spot], of: impl Fn(&Spot) -> f64) -> [f64; 2] {
    let n = spots.len() as f64;
    let mean = spots.iter().map(&of).sum::<f64>() / n;
    let square = spots.iter().map(|s| (of(s) - mean).powi(2)).sum::<f64>();
    [mean, (square / n).sqrt()]
}
