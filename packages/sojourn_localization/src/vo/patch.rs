//! Patches of an image, and where they are found again: normalised correlation over whole pixels, then Gauss–Newton
//! between them (Lucas and Kanade 1981, in the inverse form of Baker and Matthews 2004, gain and offset left free).

use super::image::GrayImage;
use nalgebra::{Matrix2, Vector2};

/// Half side of a patch, pixels.
pub const RADIUS: usize = 5;
/// Side of a patch, pixels.
const SIDE: usize = 2 * RADIUS + 1;
/// Side with the rim that gradients need.
const RIM: usize = SIDE + 2;
/// Pixels of a patch.
const COUNT: usize = SIDE * SIDE;
/// Standard deviation that a grey level has at least: rounding and the detector's noise, of both images, levels.
const NOISE_LEVELS: f32 = 0.8;
/// Steps of refinement at most, and the step that is small enough, pixels.
const STEPS: usize = 8;
const SMALL_PX: f32 = 0.005;
/// Farther from the whole pixel refinement does not go, pixels.
const FARTHEST_PX: f32 = 1.5;
/// Around the best place, pixels that are no rival of it.
const PEAK_PX: usize = 2;

/// A patch as it should look in the image that is searched.
#[derive(Clone, Debug)]
pub struct Template {
    /// Less the mean.
    values: [f32; COUNT],
    /// Root of the sum of squares of `values`.
    norm: f32,
    /// Gradients less their means.
    grad: [[f32; COUNT]; 2],
}

/// A whole pixel that looks most like a template.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Column.
    pub u: usize,
    /// Row.
    pub v: usize,
    /// Normalised correlation, −1 to 1.
    pub score: f32,
    /// The best that is not next to it; −1 when there is none.
    pub rival: f32,
}

/// A place between pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Column.
    pub u: f64,
    /// Row.
    pub v: f64,
    /// Covariance, pixels²; in the search along a row only the first element counts.
    pub covariance: Matrix2<f64>,
    /// Normalised correlation, −1 to 1.
    pub score: f32,
}

/// Work space of searches.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    row: Vec<f32>,
    cross: Vec<f32>,
    sum: Vec<f32>,
    square: Vec<f32>,
    scores: Vec<f32>,
}

/// Columns and rows of a search, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First column.
    pub u_min: i64,
    /// Last column.
    pub u_max: i64,
    /// First row.
    pub v_min: i64,
    /// Last row.
    pub v_max: i64,
}

impl Template {
    /// The patch around `(u, v)`, where the offset `x` in the image that will be searched is the offset `warp * x` in
    /// this one. `None` outside the image or on flat ground.
    #[must_use]
    pub fn new(image: &GrayImage, u: f64, v: f64, warp: &Matrix2<f64>) -> Option<Self> {
        let mut raw = [0f32; RIM * RIM];
        let w = warp.map(|x| x as f32);
        let (u, v) = (u as f32, v as f32);
        let reach = (RADIUS + 1) as i32;
        for (j, row) in raw.chunks_exact_mut(RIM).enumerate() {
            let y = (j as i32 - reach) as f32;
            for (i, out) in row.iter_mut().enumerate() {
                let x = (i as i32 - reach) as f32;
                *out = image.at(
                    u + w[(0, 0)] * x + w[(0, 1)] * y,
                    v + w[(1, 0)] * x + w[(1, 1)] * y,
                );
            }
        }
        if raw.iter().any(|x| x.is_nan()) {
            return None;
        }
        let mut values = [0f32; COUNT];
        let mut grad = [[0f32; COUNT]; 2];
        for j in 0..SIDE {
            for i in 0..SIDE {
                let (k, at) = (j * SIDE + i, (j + 1) * RIM + i + 1);
                values[k] = raw[at];
                grad[0][k] = 0.5 * (raw[at + 1] - raw[at - 1]);
                grad[1][k] = 0.5 * (raw[at + RIM] - raw[at - RIM]);
            }
        }
        centre(&mut values);
        grad.iter_mut().for_each(centre);
        let norm = values.iter().map(|x| x * x).sum::<f32>().sqrt();
        (norm > NOISE_LEVELS * SIDE as f32).then_some(Self { values, norm, grad })
    }

    /// The whole pixel in a window where it fits best.
    #[must_use]
    pub fn search(&self, image: &GrayImage, window: Window, s: &mut Scratch) -> Option<Peak> {
        let r = RADIUS as i64;
        let u_min = window.u_min.max(r);
        let u_max = window.u_max.min(image.width() as i64 - 1 - r);
        let v_min = window.v_min.max(r);
        let v_max = window.v_max.min(image.height() as i64 - 1 - r);
        if u_min > u_max || v_min > v_max {
            return None;
        }
        let cols = (u_max - u_min + 1) as usize;
        let (first_u, first_v) = (u_min as usize - RADIUS, v_min as usize - RADIUS);
        let rows = (v_max - v_min + 1) as usize;
        s.scores.clear();
        for v in 0..rows {
            self.search_row(image, first_u, first_v + v, cols, s);
            for i in 0..cols {
                let spread = s.square[i] - s.sum[i] * s.sum[i] / COUNT as f32;
                s.scores
                    .push(s.cross[i] / (self.norm * spread.max(1.0).sqrt()));
            }
        }
        let (best, score) =
            s.scores.iter().enumerate().fold(
                (0, -1f32),
                |best, (k, &x)| if x > best.1 { (k, x) } else { best },
            );
        let (bu, bv) = (best % cols, best / cols);
        let rival = s
            .scores
            .iter()
            .enumerate()
            .filter(|(k, _)| (k % cols).abs_diff(bu) > PEAK_PX || (k / cols).abs_diff(bv) > PEAK_PX)
            .fold(-1f32, |a, (_, &x)| a.max(x));
        Some(Peak {
            u: bu + u_min as usize,
            v: bv + v_min as usize,
            score,
            rival,
        })
    }

    /// Correlation, sum and sum of squares of `cols` patches whose upper left pixels begin at `(u, v)`.
    fn search_row(&self, image: &GrayImage, u: usize, v: usize, cols: usize, s: &mut Scratch) {
        for sums in [&mut s.cross, &mut s.sum, &mut s.square] {
            sums.clear();
            sums.resize(cols, 0.0);
        }
        for (j, line) in self.values.chunks_exact(SIDE).enumerate() {
            s.row.clear();
            s.row.extend(
                image
                    .row(u, v + j, cols + SIDE - 1)
                    .iter()
                    .map(|&p| f32::from(p)),
            );
            for (i, &t) in line.iter().enumerate() {
                let row = &s.row[i..i + cols];
                for (cross, p) in s.cross.iter_mut().zip(row) {
                    *cross += t * p;
                }
            }
            let (mut sum, mut square) = (0f32, 0f32);
            for &p in &s.row[..SIDE - 1] {
                sum += p;
                square += p * p;
            }
            for i in 0..cols {
                let (new, old) = (s.row[i + SIDE - 1], s.row[i]);
                sum += new;
                square += new * new;
                s.sum[i] += sum;
                s.square[i] += square;
                sum -= old;
                square -= old * old;
            }
        }
    }

    /// Between pixels, in both directions.
    #[must_use]
    pub fn refine(&self, image: &GrayImage, u: f64, v: f64) -> Option<Place> {
        let [gx, gy] = &self.grad;
        let dot = |a: &[f32; COUNT], b: &[f32; COUNT]| -> f64 {
            f64::from(a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>())
        };
        let hessian = Matrix2::new(dot(gx, gx), dot(gx, gy), dot(gx, gy), dot(gy, gy));
        let inverse = hessian.try_inverse()?;
        self.descend(image, u, v, |e| {
            let g = Vector2::new(dot(gx, e), dot(gy, e));
            -(inverse * g)
        })
        .map(|(u, v, variance, score)| Place {
            u,
            v,
            covariance: inverse * variance,
            score,
        })
    }

    /// Between pixels, along the row.
    #[must_use]
    pub fn refine_along_row(&self, image: &GrayImage, u: f64, v: f64) -> Option<Place> {
        let gx = &self.grad[0];
        let steep: f32 = gx.iter().map(|x| x * x).sum();
        if !(steep > 0.0) {
            return None;
        }
        self.descend(image, u, v, |e| {
            let g: f32 = gx.iter().zip(e).map(|(x, y)| x * y).sum();
            Vector2::new(f64::from(-g / steep), 0.0)
        })
        .map(|(u, v, variance, score)| Place {
            u,
            v,
            covariance: Matrix2::new(variance / f64::from(steep), 0.0, 0.0, 0.0),
            score,
        })
    }

    /// Gauss–Newton from a place: `step` tells the move from the difference "image less template". Gives the place, the
    /// variance of a grey level and the correlation there.
    fn descend(
        &self,
        image: &GrayImage,
        u0: f64,
        v0: f64,
        step: impl Fn(&[f32; COUNT]) -> Vector2<f64>,
    ) -> Option<(f64, f64, f64, f32)> {
        let (mut u, mut v) = (u0, v0);
        for _ in 0..STEPS {
            let (e, _, _) = self.difference(image, u, v)?;
            let d = step(&e);
            u += d.x;
            v += d.y;
            let gone = (u - u0).abs().max((v - v0).abs());
            if !(gone <= f64::from(FARTHEST_PX)) {
                return None;
            }
            if d.norm() < f64::from(SMALL_PX) {
                let (e, score, _) = self.difference(image, u, v)?;
                let mean_square = e.iter().map(|x| x * x).sum::<f32>() / (COUNT - 4) as f32;
                let variance = mean_square.max(NOISE_LEVELS * NOISE_LEVELS);
                return Some((u, v, f64::from(variance), score));
            }
        }
        None
    }

    /// The image around a place, brought to the template's mean and contrast, less the template; and the correlation.
    fn difference(&self, image: &GrayImage, u: f64, v: f64) -> Option<([f32; COUNT], f32, f32)> {
        let r = RADIUS as f64;
        let (left, top) = (u - r, v - r);
        if !(left >= 0.0 && top >= 0.0) {
            return None;
        }
        let (i, j) = (left as usize, top as usize);
        let (a, b) = ((left - i as f64) as f32, (top - j as f64) as f32);
        let mut values = [0f32; COUNT];
        let mut above: Option<[f32; SIDE]> = None;
        let mut out = values.chunks_exact_mut(SIDE);
        for y in 0..=SIDE {
            let row: &[u8; SIDE + 1] = image.row(i, j + y, SIDE + 1).try_into().ok()?;
            let mut mixed = [0f32; SIDE];
            for x in 0..SIDE {
                let (p, q) = (f32::from(row[x]), f32::from(row[x + 1]));
                mixed[x] = p + a * (q - p);
            }
            if let Some(above) = above
                && let Some(out) = out.next()
            {
                for x in 0..SIDE {
                    out[x] = above[x] + b * (mixed[x] - above[x]);
                }
            }
            above = Some(mixed);
        }
        centre(&mut values);
        let norm = values.iter().map(|x| x * x).sum::<f32>().sqrt().max(1.0);
        let cross: f32 = values.iter().zip(&self.values).map(|(a, b)| a * b).sum();
        let gain = self.norm / norm;
        for (x, t) in values.iter_mut().zip(&self.values) {
            *x = *x * gain - t;
        }
        Some((values, cross / (norm * self.norm), gain))
    }
}

fn centre(values: &mut [f32; COUNT]) {
    let mean = values.iter().sum::<f32>() / COUNT as f32;
    values.iter_mut().for_each(|x| *x -= mean);
}
