//! How a map's relief lies to its own image: what both show alike, by wavelength, and the shift at which they do so best.
//!
//! An image taken from orbit shows the relief by its shading. Where both are of the same ground, slopes towards the sun
//! explain a part of the image that grows with the wavelength (an elevation model is smoother than an image); the shift of
//! the greatest likelihood, summed over bands of wavelengths, ties one to the other to a fraction of a metre.

use super::plane::Plane;
use nalgebra::{Matrix2, Vector2};
use serde::Serialize;
use sojourn_core::raster::Raster;

/// Bands of wavelengths, metres.
pub const TIE_BANDS_M: [[f64; 2]; 3] = [[4.0, 8.0], [8.0, 16.0], [16.0, 32.0]];
/// Shifts of the relief against the image that are tried, metres to each side.
pub const TIE_REACH_M: f64 = 8.0;

/// Cells of the grid, metres.
const GRID_M: f64 = 0.5;
/// Cells between the shifts, and between the places that are compared.
const STEP: usize = 2;
/// Deviation of a Gaussian that halves what has a wavelength of 1.
const HALVING: f64 = 0.187;
/// The sun is found in a square this much wider than the one that is tied.
const WIDER: f64 = 2.0;
/// Least log-likelihood over chance of a tie; chance reaches 5 with so many shifts.
const LEAST_GAIN: f64 = 20.0;
/// The image's registration to its relief is taken to vary by as much over [`WIDER`] times the square, metres: the wider
/// square's tie counts with that.
const VARIES_M: f64 = 0.5;
/// A place so much less likely than the best one, and farther from it than [`APART_M`], is another place; there must be none.
const LEAST_LEAD: f64 = 6.0;
const APART_M: f64 = 2.5;

/// A map's relief tied to its image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tie {
    /// Added to a place of the image to get that of the relief, metres east and north.
    pub shift_m: [f64; 2],
    /// Greatest deviation of the shift: from the likelihood's curvature, or from how far two halves of the ground lie apart
    /// when that is more, metres.
    pub sigma_m: f64,
    /// Correlation of the image with the relief's shading at that shift, in [`TIE_BANDS_M`].
    pub correlation: [f64; 3],
    /// Log-likelihood over that of an image without any relief in it.
    pub gain: f64,
}

/// What image and relief have in common around a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Common {
    /// Greatest correlation of the image with the relief's shading in [`TIE_BANDS_M`], over the shifts that are tried and all
    /// directions of the sun.
    pub correlation: [f64; 3],
    /// The tie, when it is clear.
    pub tie: Option<Tie>,
}

/// One band of the image and of the relief's slopes.
struct Band {
    image: Plane,
    slopes: [Plane; 2],
    /// Independent places per cell that is compared.
    per_cell: f64,
}

/// Sums over a region for one shift of one band.
#[derive(Clone, Copy, Default)]
struct Sums {
    n: f64,
    xx: f64,
    xy: f64,
    yy: f64,
    xz: f64,
    yz: f64,
    zz: f64,
}

/// Ties the layers of a map within `half_m` of a place (metres in `map`).
#[must_use]
pub fn tie(ortho: &Raster, elevation: &Raster, at_m: [f64; 2], half_m: f64) -> Common {
    let bands = bands(ortho, elevation, at_m, WIDER * half_m);
    let Some(side) = bands.first().map(|b| b.image.side) else {
        return Common::default();
    };
    let reach = (TIE_REACH_M / GRID_M) as usize / STEP;
    let whole = Region::of(side, WIDER * half_m, None);
    // The sun: from a wide square, at the shift that explains most there.
    let wide: Vec<Vec<Sums>> = bands.iter().map(|b| sums(b, &whole, reach)).collect();
    let free: Vec<Vec<f64>> = wide
        .iter()
        .map(|s| s.iter().map(Sums::explained).collect())
        .collect();
    let mut correlation = [0.0; 3];
    for (c, f) in correlation.iter_mut().zip(&free) {
        *c = f.iter().copied().fold(0.0, f64::max).sqrt();
    }
    let likely = likelihood(&bands, &wide, |b, k| free[b][k]);
    let Some(best) = greatest(&likely) else {
        return Common::default();
    };
    let suns: Vec<[f64; 2]> = wide.iter().map(|s| s[best].sun()).collect();
    let found = || -> Option<Tie> {
        let (broad, _) = clear(topped(&bands, &wide, &suns)?)?;
        let near = |part: Option<bool>| {
            let region = Region::of(side, half_m, part);
            let all: Vec<Vec<Sums>> = bands.iter().map(|b| sums(b, &region, reach)).collect();
            topped(&bands, &all, &suns)
        };
        let (top, correlation) = clear(near(None)?)?;
        let halves = [near(Some(false))?.0.shift, near(Some(true))?.0.shift];
        // Each half errs √2 times as much as the whole, their difference twice as much; along one axis of two.
        let gap_m = apart(halves[0], halves[1]);
        let near_m = top.sigma_m.max(0.5 * gap_m / std::f64::consts::SQRT_2);
        let broad_m = broad.sigma_m.hypot(VARIES_M);
        if apart(top.shift, broad.shift) > 3.0 * near_m.hypot(broad_m) {
            return None;
        }
        let share = near_m.powi(-2) / (near_m.powi(-2) + broad_m.powi(-2));
        Some(Tie {
            shift_m: [0, 1].map(|k: usize| share * top.shift[k] + (1.0 - share) * broad.shift[k]),
            sigma_m: (near_m.powi(-2) + broad_m.powi(-2)).powf(-0.5),
            correlation,
            gain: top.height,
        })
    };
    Common {
        correlation,
        tie: found(),
    }
}

fn apart(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The likeliest shift under given suns, and the bands' correlations there.
fn topped(bands: &[Band], sums: &[Vec<Sums>], suns: &[[f64; 2]]) -> Option<(Top, [f64; 3])> {
    let along = |b: usize, k: usize| sums[b][k].along(suns[b]);
    let likely = likelihood(bands, sums, |b, k| along(b, k).max(0.0).powi(2));
    let top = top(&likely)?;
    let correlation = [0, 1, 2].map(|b: usize| along(b, top.cell));
    Some((top, correlation))
}

/// A top that stands out from chance and from every other shift.
fn clear(found: (Top, [f64; 3])) -> Option<(Top, [f64; 3])> {
    (found.0.height >= LEAST_GAIN && found.0.lead >= LEAST_LEAD).then_some(found)
}

/// Cells of the image that are compared.
struct Region {
    first: usize,
    end: usize,
    /// Opposite quadrants only: north-east and south-west, or the others.
    part: Option<bool>,
}

impl Region {
    fn of(side: usize, half_m: f64, part: Option<bool>) -> Self {
        let half = ((half_m / GRID_M) as usize).min(side / 2);
        Self {
            first: side / 2 - half,
            end: side / 2 + half,
            part,
        }
    }

    fn holds(&self, c: usize, r: usize, middle: usize) -> bool {
        self.part
            .is_none_or(|p| ((c >= middle) != (r >= middle)) == p)
    }
}

/// Image and slopes by wavelength on a square around a place.
fn bands(ortho: &Raster, elevation: &Raster, at_m: [f64; 2], half_m: f64) -> Vec<Band> {
    let side = 2 * ((half_m + TIE_REACH_M) / GRID_M) as usize;
    let image = super::window::resampled(ortho, at_m, side, GRID_M);
    let slopes = super::window::resampled(elevation, at_m, side, GRID_M).slopes(GRID_M);
    let of = |p: &Plane, band: [f64; 2]| {
        let [fine, broad] = band.map(|l| p.blurred(HALVING * l / GRID_M, 0.3));
        fine.zip(&broad, |a, b| a - b)
            .zip(p, |v, known| if known.is_finite() { v } else { f32::NAN })
    };
    TIE_BANDS_M
        .iter()
        .map(|band| {
            let middle = (band[0] * band[1]).sqrt();
            Band {
                image: of(&image, *band),
                slopes: [of(&slopes[0], *band), of(&slopes[1], *band)],
                per_cell: (STEP as f64 * GRID_M / (0.5 * middle)).powi(2),
            }
        })
        .collect()
}

/// Sums for every shift, south row first.
fn sums(band: &Band, region: &Region, reach: usize) -> Vec<Sums> {
    let side = band.image.side as i64;
    let n = 2 * reach as i64 + 1;
    let mut out = Vec::with_capacity((n * n) as usize);
    for dy in -(reach as i64)..=reach as i64 {
        for dx in -(reach as i64)..=reach as i64 {
            let (sx, sy) = (dx * STEP as i64, dy * STEP as i64);
            let mut s = Sums::default();
            for r in (region.first..region.end).step_by(STEP) {
                let sr = r as i64 + sy;
                if !(0..side).contains(&sr) {
                    continue;
                }
                for c in (region.first..region.end).step_by(STEP) {
                    let sc = c as i64 + sx;
                    if !(0..side).contains(&sc) || !region.holds(c, r, side as usize / 2) {
                        continue;
                    }
                    let k = (sr * side + sc) as usize;
                    let z = f64::from(band.image.data[r * side as usize + c]);
                    let (x, y) = (
                        f64::from(band.slopes[0].data[k]),
                        f64::from(band.slopes[1].data[k]),
                    );
                    if (x + y + z).is_finite() {
                        s.n += 1.0;
                        s.xx += x * x;
                        s.xy += x * y;
                        s.yy += y * y;
                        s.xz += x * z;
                        s.yz += y * z;
                        s.zz += z * z;
                    }
                }
            }
            out.push(s);
        }
    }
    out
}

impl Sums {
    /// Brightness per slope east and north, by least squares.
    fn sun(&self) -> [f64; 2] {
        let det = self.xx * self.yy - self.xy * self.xy;
        let trace = self.xx + self.yy;
        if !(det > 1e-9 * trace * trace) {
            return [0.0; 2];
        }
        [
            (self.yy * self.xz - self.xy * self.yz) / det,
            (self.xx * self.yz - self.xy * self.xz) / det,
        ]
    }

    /// Share of the image that the relief explains under the sun that suits it best.
    fn explained(&self) -> f64 {
        let [e, n] = self.sun();
        if !(self.zz > 0.0) {
            return 0.0;
        }
        ((e * self.xz + n * self.yz) / self.zz).clamp(0.0, 0.999)
    }

    /// Correlation with the relief's shading under a given sun.
    fn along(&self, [e, n]: [f64; 2]) -> f64 {
        let shade = e * e * self.xx + 2.0 * e * n * self.xy + n * n * self.yy;
        if !(shade > 0.0 && self.zz > 0.0) {
            return 0.0;
        }
        ((e * self.xz + n * self.yz) / (shade * self.zz).sqrt()).clamp(-0.999, 0.999)
    }
}

/// Log-likelihood of every shift over that of an image that has nothing of the relief.
fn likelihood(
    bands: &[Band],
    sums: &[Vec<Sums>],
    explained: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let shifts = sums.first().map_or(0, Vec::len);
    (0..shifts)
        .map(|k| {
            let of =
                |b: usize| -0.5 * sums[b][k].n * bands[b].per_cell * (1.0 - explained(b, k)).ln();
            (0..bands.len()).map(of).sum()
        })
        .collect()
}

fn greatest(values: &[f64]) -> Option<usize> {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]))
}

/// The top of a square of log-likelihoods.
struct Top {
    cell: usize,
    height: f64,
    /// How much less likely the best place apart from it is.
    lead: f64,
    shift: [f64; 2],
    sigma_m: f64,
}

/// `None` when it lies at the border or is no top.
fn top(likely: &[f64]) -> Option<Top> {
    let side = (likely.len() as f64).sqrt().round() as usize;
    let cell = greatest(likely)?;
    let (c, r) = (cell % side, cell / side);
    if c == 0 || r == 0 || c + 1 >= side || r + 1 >= side {
        return None;
    }
    let at = |i: i64, j: i64| likely[(r as i64 + j) as usize * side + (c as i64 + i) as usize];
    let step_m = STEP as f64 * GRID_M;
    let (offset, covariance) = summit(at)?;
    let apart = likely.iter().enumerate().filter(|(k, _)| {
        let d = [(k % side) as f64 - c as f64, (k / side) as f64 - r as f64];
        d[0].hypot(d[1]) * step_m > APART_M
    });
    let second = apart.map(|(_, v)| *v).fold(f64::NEG_INFINITY, f64::max);
    let middle = (side / 2) as f64;
    Some(Top {
        cell,
        height: likely[cell],
        lead: likely[cell] - second,
        shift: [c as f64 - middle + offset.x, r as f64 - middle + offset.y].map(|v| v * step_m),
        sigma_m: covariance.symmetric_eigenvalues().max().sqrt() * step_m,
    })
}

/// The top of a logarithm of likelihood between the places around its greatest value (`at(0, 0)`; columns, rows): how far it lies
/// off, at most one place in each direction, and its covariance, in places. `None` where it is no top.
pub(super) fn summit(at: impl Fn(i64, i64) -> f64) -> Option<(Vector2<f64>, Matrix2<f64>)> {
    let gradient = Vector2::new(0.5 * (at(1, 0) - at(-1, 0)), 0.5 * (at(0, 1) - at(0, -1)));
    let cross = 0.25 * (at(1, 1) + at(-1, -1) - at(1, -1) - at(-1, 1));
    let curvature = Matrix2::new(
        at(1, 0) - 2.0 * at(0, 0) + at(-1, 0),
        cross,
        cross,
        at(0, 1) - 2.0 * at(0, 0) + at(0, -1),
    );
    let covariance = (-curvature).cholesky()?.inverse();
    let offset = (covariance * gradient).map(|v| v.clamp(-1.0, 1.0));
    Some((offset, covariance))
}
