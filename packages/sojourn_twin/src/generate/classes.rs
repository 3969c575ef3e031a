//! What the ground is made of: bedrock on the heights, outcrop along its edges, sand in the lows, boulders in patches,
//! crater walls and scarps where the shape has them.

use crate::{craters::Crater, noise::Fractal, recipe::Recipe};
use rayon::prelude::*;
use sojourn_core::{classes::TerrainClass, raster::Raster};

mod channel {
    pub const ROCK_OR_SAND: u64 = 0x15;
    pub const BOULDERS: u64 = 0x16;
}

/// Wall of a crater in radii, and the least depth over diameter that makes one.
const WALL: [f64; 2] = [0.45, 1.05];
const WALL_DEPTH: f64 = 0.08;
/// Least diameter of a crater that has a wall of its own in the raster, in cells.
const WALL_CELLS: f64 = 6.0;

/// Codes of [`TerrainClass`] on the cells of an elevation model. Shares are those of the recipe, exactly, before crater
/// walls and scarps are laid over. `craters` are those that were made; a real site's walls are found as scarps.
pub fn spread(seed: u64, elevation: &Raster, recipe: &Recipe, craters: &[Crater]) -> Raster {
    let cols = elevation.cols();
    let cells = elevation.data().len();
    let patch_m = recipe.cover.patch_m;
    let res = elevation.resolution_m();
    let noise = |channel: u64| {
        let fractal = Fractal::new(
            seed,
            channel,
            2.0 * patch_m,
            (0.1 * patch_m).max(2.0 * res),
            0.9,
        );
        (0..cells)
            .into_par_iter()
            .map(|k| {
                let [x, y] = elevation.centre_m(k % cols, k / cols);
                fractal.at(x, y)
            })
            .collect::<Vec<f64>>()
    };
    let follows = recipe.cover.follows_relief;
    let high = standing(elevation, patch_m);
    let mut rocky = noise(channel::ROCK_OR_SAND);
    for (v, h) in rocky.iter_mut().zip(&high) {
        *v = (1.0 - follows) * *v + follows * h;
    }
    let boulders = noise(channel::BOULDERS);
    let mut codes = vec![TerrainClass::SmoothRegolith.code(); cells];
    let count = |class: TerrainClass| (recipe.share(class) * cells as f64).round() as usize;
    let mut order: Vec<u32> = (0..cells as u32).collect();
    order.par_sort_by(|a, b| {
        rocky[*a as usize]
            .total_cmp(&rocky[*b as usize])
            .then(a.cmp(b))
    });
    let mut give = |cells: &[u32], class: TerrainClass| {
        for k in cells {
            codes[*k as usize] = class.code();
        }
    };
    let (sand, loose) = (
        count(TerrainClass::SandRipples),
        count(TerrainClass::LooseSoil),
    );
    let (bedrock, outcrop) = (count(TerrainClass::Bedrock), count(TerrainClass::Outcrop));
    let boulder = count(TerrainClass::BoulderField);
    let low_end = (sand + loose).min(cells);
    let high_start = cells.saturating_sub(bedrock + outcrop).max(low_end);
    give(&order[..sand.min(low_end)], TerrainClass::SandRipples);
    give(&order[sand.min(low_end)..low_end], TerrainClass::LooseSoil);
    let ledge_end = (high_start + outcrop).min(cells);
    give(&order[high_start..ledge_end], TerrainClass::Outcrop);
    give(&order[ledge_end..], TerrainClass::Bedrock);
    let mut rest = order[low_end..high_start].to_vec();
    rest.par_sort_by(|a, b| {
        boulders[*b as usize]
            .total_cmp(&boulders[*a as usize])
            .then(a.cmp(b))
    });
    give(&rest[..boulder.min(rest.len())], TerrainClass::BoulderField);
    lay_walls(elevation, recipe, craters, &mut codes);
    elevation.like(|c, r| f32::from(codes[r * cols + c]))
}

/// Crater walls, scarps and cells without data.
fn lay_walls(elevation: &Raster, recipe: &Recipe, craters: &[Crater], codes: &mut [u8]) {
    let (cols, rows, res) = (elevation.cols(), elevation.rows(), elevation.resolution_m());
    let craters: Vec<_> = craters
        .iter()
        .filter(|c| c.depth_m > WALL_DEPTH * c.diameter_m && c.diameter_m > WALL_CELLS * res)
        .collect();
    let steep = recipe.cover.scarp_deg.to_radians().tan();
    codes.par_chunks_mut(cols).enumerate().for_each(|(r, row)| {
        for (c, code) in row.iter_mut().enumerate() {
            let [x, y] = elevation.centre_m(c, r);
            let wall = craters
                .iter()
                .any(|k| (WALL[0]..WALL[1]).contains(&k.radii(x, y)));
            let (e, w) = ((c + 1).min(cols - 1), c.saturating_sub(1));
            let (n, s) = ((r + 1).min(rows - 1), r.saturating_sub(1));
            let gx = f64::from(elevation.get(e, r) - elevation.get(w, r)) / ((e - w) as f64 * res);
            let gy = f64::from(elevation.get(c, n) - elevation.get(c, s)) / ((n - s) as f64 * res);
            if elevation.get(c, r).is_nan() {
                *code = TerrainClass::ShadowOrNoData.code();
            } else if wall || gx.hypot(gy) > steep {
                *code = TerrainClass::CraterOrScarp.code();
            }
        }
    });
}

/// How high cells stand over the ground around them, in standard deviations of that.
fn standing(elevation: &Raster, radius_m: f64) -> Vec<f64> {
    let (cols, rows) = (elevation.cols(), elevation.rows());
    let r = ((radius_m / elevation.resolution_m()).round() as usize).max(1);
    let around = box_mean(elevation, r);
    let mut high: Vec<f64> = (0..cols * rows)
        .map(|k| {
            let d = f64::from(elevation.data()[k]) - around[k];
            if d.is_finite() { d } else { 0.0 }
        })
        .collect();
    let rms = (high.iter().map(|d| d * d).sum::<f64>() / high.len() as f64).sqrt();
    if rms > 0.0 {
        for d in &mut high {
            *d /= rms;
        }
    }
    high
}

/// Mean over squares of `2 r + 1` cells, without the cells that have no data.
fn box_mean(raster: &Raster, r: usize) -> Vec<f64> {
    let (cols, rows) = (raster.cols(), raster.rows());
    let side = cols + 1;
    // Summed areas of heights and of the number of cells with data.
    let mut sums = vec![[0.0f64; 2]; side * (rows + 1)];
    for j in 0..rows {
        let mut line = [0.0; 2];
        for i in 0..cols {
            let v = f64::from(raster.get(i, j));
            if v.is_finite() {
                line = [line[0] + v, line[1] + 1.0];
            }
            let below = sums[j * side + i + 1];
            sums[(j + 1) * side + i + 1] = [below[0] + line[0], below[1] + line[1]];
        }
    }
    (0..cols * rows)
        .map(|k| {
            let (i, j) = (k % cols, k / cols);
            let (i0, i1) = (i.saturating_sub(r), (i + r + 1).min(cols));
            let (j0, j1) = (j.saturating_sub(r), (j + r + 1).min(rows));
            let part = |a: usize| {
                sums[j1 * side + i1][a] - sums[j1 * side + i0][a] - sums[j0 * side + i1][a]
                    + sums[j0 * side + i0][a]
            };
            part(0) / part(1)
        })
        .collect()
}
