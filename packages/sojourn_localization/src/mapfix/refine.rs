//! A candidate at full resolution: heading, fractions of a cell, and how sharp the peak is.

use super::{
    CELL_M, SAME_M, SCALES,
    census::{self, Centre},
    relight::{LocalView, Mix},
    search::{add_scores, codes_of},
    window::MapWindow,
};
use nalgebra::{Matrix2, Matrix6, Vector2, Vector6};

/// Distance of the places that are compared, cells, by scale.
const PLACES: [usize; SCALES.len()] = [2, 3, 4];

/// What is refined against what.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub map: &'a MapWindow,
    pub view: &'a LocalView,
    /// Cells from the window's corner to where the patch's corner lies at shift 0.
    pub base: i64,
    /// Dead band over the deviation of the contrast.
    pub band: f64,
}

/// Scores around a candidate for one heading.
#[derive(Clone, Debug)]
struct Sheet {
    yaw_rad: f64,
    all: Vec<f32>,
    halves: [Vec<f32>; 2],
}

/// A candidate looked at closely.
#[derive(Clone, Debug)]
pub(super) struct Peak {
    /// Shift, cells and fractions.
    pub shift: [f64; 2],
    pub yaw_rad: f64,
    /// Greatest score.
    pub score: f64,
    /// The mix that the score was made with.
    pub mix: Mix,
    /// Second derivatives of the score, negative, per cell².
    pub curvature: Matrix2<f64>,
    /// Second derivative over the heading, per radian².
    pub yaw_curvature: f64,
    /// Where each half alone has its peak nearby, cells.
    pub halves: [[f64; 2]; 2],
    /// Whether the peak lies inside what was looked at.
    pub inside: bool,
    /// Share of the places that agree more than they contradict.
    pub inliers: f64,
}

impl Peak {
    /// Whether the top lies inside what was looked at, in place and heading.
    pub fn settled(&self) -> bool {
        self.inside && self.yaw_curvature < 0.0
    }

    /// Whether another top is the same place.
    pub fn same_as(&self, other: &Self) -> bool {
        let [x, y] = [0, 1].map(|k: usize| self.shift[k] - other.shift[k]);
        x.hypot(y) * CELL_M <= SAME_M
    }
}

impl Pair<'_> {
    /// Looks `reach` cells around a shift at several headings.
    pub fn look(&self, mix: Mix, shift: [i64; 2], yaws_rad: &[f64], reach: usize) -> Option<Peak> {
        let side = 2 * reach + 1;
        let origin = self.corner(shift, reach)?;
        let patch = self.view.own.side;
        let sheets: Vec<Sheet> = yaws_rad
            .iter()
            .map(|yaw_rad| {
                let mut halves = [vec![0f32; side * side], vec![0f32; side * side]];
                let mut all = vec![0f32; side * side];
                for (k, places) in self.places(mix, *yaw_rad).iter().enumerate() {
                    let counts = [0, 1].map(|h: usize| {
                        census::count(&self.map.codes[k], &places[h], patch, origin, side)
                    });
                    add_scores(&counts, &mut halves, &mut all, 1.0 / SCALES.len() as f32);
                }
                Sheet {
                    yaw_rad: *yaw_rad,
                    all,
                    halves,
                }
            })
            .collect();
        self.peak(mix, shift, reach, &sheets)
    }

    fn places(&self, mix: Mix, yaw_rad: f64) -> [[Vec<Centre>; 2]; SCALES.len()] {
        let relit = self.view.turned(yaw_rad).relit(mix);
        [0, 1, 2].map(|k: usize| census::centres(&codes_of(&relit, k, self.band), PLACES[k]))
    }

    /// Where the patch's corner lies on the window at the first of the shifts.
    fn corner(&self, shift: [i64; 2], reach: usize) -> Option<[usize; 2]> {
        let at = shift.map(|s| self.base + s - reach as i64);
        (at[0] >= 0 && at[1] >= 0).then(|| at.map(|v| v as usize))
    }

    /// The mix that explains the map best at a place.
    pub fn fitted(&self, shift: [i64; 2], yaw_rad: f64) -> Option<Mix> {
        let corner = self.corner(shift, 0)?;
        self.view.turned(yaw_rad).fit(&self.map.contrast, corner)
    }

    fn peak(&self, mix: Mix, shift: [i64; 2], reach: usize, sheets: &[Sheet]) -> Option<Peak> {
        let side = 2 * reach + 1;
        let best = |scores: &[f32]| {
            let top = scores.iter().copied().enumerate();
            top.fold((0, f32::NEG_INFINITY), |a, b| if b.1 > a.1 { b } else { a })
        };
        let tops: Vec<(usize, f32)> = sheets.iter().map(|s| best(&s.all)).collect();
        let (layer, top) =
            tops.iter()
                .copied()
                .enumerate()
                .fold((0, (0, f32::NEG_INFINITY)), |a, b| {
                    if b.1.1 > a.1.1 { b } else { a }
                });
        let sheet = sheets.get(layer)?;
        let place = |k: usize| [(k % side) as i64, (k / side) as i64];
        let at = place(top.0);
        let middle = reach as i64;
        let inside = at.iter().all(|v| *v > 0 && *v < 2 * middle);
        let (offset, curvature, height) = paraboloid(&sheet.all, side, at)?;
        let full = |p: [i64; 2], o: Vector2<f64>| {
            [
                (shift[0] + p[0] - middle) as f64 + o.x,
                (shift[1] + p[1] - middle) as f64 + o.y,
            ]
        };
        let halves = [0, 1].map(|h: usize| {
            let at = place(best(&sheet.halves[h]).0);
            let o = paraboloid(&sheet.halves[h], side, at).map_or(Vector2::zeros(), |f| f.0);
            full(at, o)
        });
        let (yaw_rad, yaw_curvature) = parabola(sheets, &tops, layer);
        let whole = [shift[0] + at[0] - middle, shift[1] + at[1] - middle];
        Some(Peak {
            shift: full(at, offset),
            yaw_rad,
            score: height,
            mix,
            curvature,
            yaw_curvature,
            halves,
            inside,
            inliers: self.inliers(mix, whole, sheet.yaw_rad)?,
        })
    }

    /// Share of places of the middle scale that agree more than they contradict.
    fn inliers(&self, mix: Mix, shift: [i64; 2], yaw_rad: f64) -> Option<f64> {
        let corner = self.corner(shift, 0)?;
        let places = self.places(mix, yaw_rad)[1].concat();
        let codes = &self.map.codes[1];
        let (mut yes, mut no) = (0.0, 0.0);
        for p in &places {
            let c = census::count(codes, std::slice::from_ref(p), 1, corner, 1);
            match c.net[0] {
                n if n > 0 => yes += 1.0,
                n if n < 0 => no += 1.0,
                _ => {}
            }
        }
        Some(yes / f64::max(yes + no, 1.0))
    }
}

/// Fits a paraboloid to the 5 × 5 scores around a peak (3 × 3 beside the border): offset of its top in cells, second
/// derivatives, height. `None` at the very border.
fn paraboloid(
    scores: &[f32],
    side: usize,
    at: [i64; 2],
) -> Option<(Vector2<f64>, Matrix2<f64>, f64)> {
    let room = at
        .iter()
        .map(|v| (*v).min(side as i64 - 1 - v))
        .min()?
        .min(2);
    let height = f64::from(*scores.get(at[1] as usize * side + at[0] as usize)?);
    if room < 1 {
        return Some((Vector2::zeros(), Matrix2::zeros(), height));
    }
    let mut normal = Matrix6::<f64>::zeros();
    let mut right = Vector6::<f64>::zeros();
    for j in -room..=room {
        for i in -room..=room {
            let (x, y) = (i as f64, j as f64);
            let row = Vector6::new(1.0, x, y, 0.5 * x * x, x * y, 0.5 * y * y);
            let v = scores[((at[1] + j) * side as i64 + at[0] + i) as usize];
            normal += row * row.transpose();
            right += row * f64::from(v);
        }
    }
    let f = normal.lu().solve(&right)?;
    let curvature = Matrix2::new(f[3], f[4], f[4], f[5]);
    let gradient = Vector2::new(f[1], f[2]);
    let offset = curvature
        .lu()
        .solve(&gradient)
        .map_or(Vector2::zeros(), |o| (-o).map(|v| v.clamp(-1.0, 1.0)));
    Some((offset, curvature, height))
}

/// The heading between those that were tried, and the second derivative of the score over it.
fn parabola(sheets: &[Sheet], tops: &[(usize, f32)], layer: usize) -> (f64, f64) {
    let yaw = sheets[layer].yaw_rad;
    if layer == 0 || layer + 1 >= sheets.len() {
        return (yaw, 0.0);
    }
    let step = sheets[layer + 1].yaw_rad - yaw;
    let score = |k: usize| f64::from(tops[k].1);
    let [a, b, c] = [score(layer - 1), score(layer), score(layer + 1)];
    let (slope, second) = if layer >= 2 && layer + 2 < sheets.len() {
        // Least squares over five headings: a broad top is rough on its last tenths.
        let (far_a, far_c) = (score(layer - 2), score(layer + 2));
        (
            (2.0 * (far_c - far_a) + c - a) / 10.0,
            (2.0 * (far_a + far_c) - a - 2.0 * b - c) / 7.0,
        )
    } else {
        (0.5 * (c - a), a - 2.0 * b + c)
    };
    if second >= 0.0 {
        return (yaw, 0.0);
    }
    let offset = (-slope / second).clamp(-1.0, 1.0);
    (yaw + offset * step, second / (step * step))
}
