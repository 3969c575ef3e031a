//! Veins: long bright ridges.

use super::{
    Candidate, Ground,
    filter::{Curved, Levels, Tone},
    rule::NUMBERS,
};
use nalgebra::{Matrix2, Vector2};
use sojourn_core::classes::SurfaceClass;

/// Standard deviations of the Gaussians, pixels: for lines two to five pixels wide.
const SIGMAS_PX: [f32; 3] = [0.8, 1.2, 1.8];
/// How much brighter than both sides a ridge's pixel is, in the logarithm.
const BRIGHTER: f32 = 0.1;
/// Most curvature along a ridge as a share of that across.
const ALONG: f32 = 0.6;
/// Fewest pixels of a candidate, and its shortest length, pixels and metres.
const LEAST_PX: usize = 12;
const SHORTEST_PX: f64 = 20.0;
const SHORTEST_M: f64 = 0.15;

/// The candidates; only `usable` pixels count.
pub(super) fn candidates(
    levels: &Levels,
    tone: &Tone,
    ground: &Ground<'_>,
    usable: &[bool],
) -> Vec<Candidate> {
    let scales: Vec<_> = SIGMAS_PX
        .iter()
        .map(|s| (*s, levels.at_scale(*s)))
        .collect();
    let ridge: Vec<f32> = (0..usable.len())
        .map(|i| {
            let over = |(s, c): &(f32, Curved)| over_both_sides(c, *s, i);
            if usable[i] {
                scales.iter().map(over).fold(0.0, f32::max)
            } else {
                0.0
            }
        })
        .collect();
    let mut taken: Vec<bool> = ridge.iter().map(|r| *r < BRIGHTER).collect();
    let mut found = Vec::new();
    for start in 0..ridge.len() {
        if !taken[start] {
            let pixels = together(start, levels.width, levels.height, &mut taken);
            found.extend(candidate(pixels, &ridge, tone, ground));
        }
    }
    found
}

/// How much brighter a ridge is than the brighter of its sides; 0 where there is no ridge.
fn over_both_sides(scale: &Curved, sigma_px: f32, pixel: usize) -> f32 {
    let bend = scale.bend(pixel);
    if bend.least >= 0.0 || bend.most.abs() > ALONG * -bend.least {
        return 0.0;
    }
    let away = 2.0 * sigma_px + 1.0;
    let [x, y] = bend.across.map(|d| d * away);
    let sides = scale.near(pixel, [x, y]).max(scale.near(pixel, [-x, -y]));
    (scale.at(pixel) - sides).max(0.0)
}

/// Pixels of a ridge that hang together with one, in order.
fn together(start: usize, width: usize, height: usize, taken: &mut [bool]) -> Vec<usize> {
    let mut pixels = vec![start];
    taken[start] = true;
    let mut next = 0;
    while let Some(&i) = pixels.get(next) {
        next += 1;
        let (x, y) = (i % width, i / width);
        for v in y.saturating_sub(1)..=(y + 1).min(height - 1) {
            for u in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                let j = v * width + u;
                if !taken[j] {
                    taken[j] = true;
                    pixels.push(j);
                }
            }
        }
    }
    pixels.sort_unstable();
    pixels
}

fn candidate(
    pixels: Vec<usize>,
    ridge: &[f32],
    tone: &Tone,
    ground: &Ground<'_>,
) -> Option<Candidate> {
    if pixels.len() < LEAST_PX {
        return None;
    }
    let n = pixels.len() as f64;
    let flat: Vec<Vector2<f64>> = pixels
        .iter()
        .map(|i| Vector2::new((i % ground.width()) as f64, (i / ground.width()) as f64))
        .collect();
    let mean = flat.iter().sum::<Vector2<f64>>() / n;
    let square = |p: &Vector2<f64>| (p - mean) * (p - mean).transpose();
    let spread = flat.iter().map(square).sum::<Matrix2<f64>>() / n;
    let eigen = spread.symmetric_eigen();
    let axis = eigen
        .eigenvectors
        .column(eigen.eigenvalues.imax())
        .into_owned();
    let bend_px = eigen.eigenvalues.min().max(0.0).sqrt();
    // The ends along the axis, and the ground between them.
    let along = |k: usize| axis.dot(&(flat[k] - mean));
    let order = |a: &usize, b: &usize| along(*a).total_cmp(&along(*b));
    let (first, last) = (
        (0..flat.len()).min_by(order)?,
        (0..flat.len()).max_by(order)?,
    );
    let length_px = along(last) - along(first);
    let length_m = (ground.place(pixels[last])? - ground.place(pixels[first])?).norm();
    if length_px < SHORTEST_PX || length_m < SHORTEST_M {
        return None;
    }
    let over = sorted(pixels.iter().map(|i| f64::from(ridge[*i])));
    let bright = sorted(pixels.iter().map(|i| tone.of_bright(*i)));
    let out = sorted(pixels.iter().map(|i| tone.stands_out(*i)));
    let numbers: [f64; NUMBERS] = [
        length_px.ln(),
        length_m.ln(),
        n / length_px,
        over[over.len() / 2],
        over[over.len() / 5],
        bright[bright.len() / 2],
        out[out.len() / 2],
        bend_px / length_px,
    ];
    Some(Candidate {
        class: SurfaceClass::Vein,
        position_m: ground.middle(&pixels)?,
        pixels,
        size_m: length_m,
        numbers,
    })
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut v: Vec<f64> = values.collect();
    v.sort_by(f64::total_cmp);
    v
}
