//! Where the view's shape fits the map's relief: what says the place where the map's image shows too little of what the
//! view shows. The map's own tie between relief and image ([`super::tie`]) brings that place to the image's frame.

use super::{
    CELL_M, MapFixParams, headings, patch::LocalPatch, plane::Plane, tie::summit, window::resampled,
};
use nalgebra::Matrix3;
use serde::Serialize;
use sojourn_core::raster::Raster;

/// Cells of the matcher's grid per step of the search.
const STEP: usize = 4;
/// Smoothing of heights before their slopes are compared, metres, and over an elevation model's cells.
const SMOOTH_M: f64 = 0.8;
const SMOOTH_CELLS: f64 = 0.6;
/// Slopes are compared with their surroundings' taken off over this distance, metres: neither a tilt of the view nor the
/// hillside says where it is.
const AROUND_M: f64 = 5.0;
/// Distance of the headings of the search, degrees, and how far it goes beyond those that a fix may have.
const YAW_STEP_DEG: f64 = 2.0;
/// Distance of the view's places that are compared in the search, in its steps.
const EVERY: usize = 2;
/// Places beyond this from the best one are other places, metres.
const APART_M: f64 = 6.0;
/// Share of the view's places that must lie on the map's relief.
const LEAST_ON_MAP: f64 = 0.9;
/// Energy of the map's slopes over the view's below which a place is flat: it does not score by its few.
const LEAST_ENERGY: f64 = 0.1;
/// Around the best place: cells between the shifts and their number to each side; degrees between headings and their number to
/// each side.
const CLOSE: (usize, usize) = (1, 8);
const CLOSE_YAW: (f64, i64) = (0.5, 5);
/// Greatest correlation that is reckoned with.
const SURE: f64 = 0.999;

/// What the relief says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ShapeEvidence {
    /// Correlation of the view's slopes with the map's at the best place.
    pub correlation: f64,
    /// In deviations of all places from their mean (of Fisher's z).
    pub significance: f64,
    /// By how many of them it stands above every other place.
    pub lead: f64,
    /// The map's slope per slope of the view.
    pub gain: f64,
    /// Distance of each half's best place in the whole search from it, metres.
    pub halves_off_m: [f64; 2],
    /// Greatest deviation of the place in the relief's frame, metres.
    pub sigma_m: f64,
}

/// Where the view's shape fits best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// East and north of the prior, metres.
    pub from_prior_m: [f64; 2],
    pub yaw_rad: f64,
    /// x, y, yaw.
    pub covariance: Matrix3<f64>,
    /// Whether the top lies inside what was searched.
    pub inside: bool,
    pub evidence: ShapeEvidence,
}

/// A slope of the view.
struct Place {
    col: usize,
    row: usize,
    slope: [f32; 2],
    half: usize,
}

/// Sums over the places of one half for a row of shifts.
#[derive(Clone, Default)]
struct Line {
    cross: Vec<f32>,
    east: Vec<f32>,
    north: Vec<f32>,
    energy: Vec<f32>,
    known: Vec<f32>,
}

impl Line {
    fn of(n: usize) -> Self {
        let zero = vec![0f32; n];
        Self {
            cross: zero.clone(),
            east: zero.clone(),
            north: zero.clone(),
            energy: zero.clone(),
            known: zero,
        }
    }

    /// Adds one place of the view against a row of the map.
    fn add(&mut self, [x, y]: [f32; 2], east: &[f32], north: &[f32], known: &[f32]) {
        let n = self.cross.len();
        let (mx, my, kn) = (&east[..n], &north[..n], &known[..n]);
        let (cross, sum_x, sum_y) = (
            &mut self.cross[..n],
            &mut self.east[..n],
            &mut self.north[..n],
        );
        let (energy, count) = (&mut self.energy[..n], &mut self.known[..n]);
        for k in 0..n {
            cross[k] += x * mx[k] + y * my[k];
            sum_x[k] += mx[k];
            sum_y[k] += my[k];
            energy[k] += mx[k] * mx[k] + my[k] * my[k];
            count[k] += kn[k];
        }
    }
}

/// Of the view's places: number, sum of slopes, sum of squares.
#[derive(Clone, Copy, Default)]
struct Own {
    n: f64,
    sum: [f64; 2],
    squares: f64,
}

impl Own {
    fn plus(self, o: Self) -> Self {
        Self {
            n: self.n + o.n,
            sum: [self.sum[0] + o.sum[0], self.sum[1] + o.sum[1]],
            squares: self.squares + o.squares,
        }
    }
}

/// Sums for a shift.
#[derive(Clone, Copy, Default)]
struct Sums {
    cross: f64,
    sum: [f64; 2],
    energy: f64,
    known: f64,
}

impl Sums {
    fn plus(self, o: Self) -> Self {
        Self {
            cross: self.cross + o.cross,
            sum: [self.sum[0] + o.sum[0], self.sum[1] + o.sum[1]],
            energy: self.energy + o.energy,
            known: self.known + o.known,
        }
    }

    /// Correlation with means taken off, and the map's slope per slope of the view.
    fn correlation(self, own: Own) -> (f64, f64) {
        if !(self.known >= LEAST_ON_MAP * own.n && own.n > 8.0) {
            return (0.0, 0.0);
        }
        let dot = |a: [f64; 2], b: [f64; 2]| (a[0] * b[0] + a[1] * b[1]) / own.n;
        let cross = self.cross - dot(own.sum, self.sum);
        let view = own.squares - dot(own.sum, own.sum);
        let map = self.energy - dot(self.sum, self.sum);
        if !(view > 0.0) {
            return (0.0, 0.0);
        }
        let r = cross / (view * map.max(LEAST_ENERGY * view)).sqrt();
        (r.clamp(-SURE, SURE), cross / view)
    }
}

/// The map's slopes; 0 where unknown.
struct Relief {
    slopes: [Plane; 2],
    known: Plane,
}

impl Relief {
    fn of(slopes: [Plane; 2]) -> Self {
        let known = slopes[0].zip(
            &slopes[1],
            |x, y| {
                if (x + y).is_finite() { 1.0 } else { 0.0 }
            },
        );
        Self {
            slopes: slopes.map(|p| p.map(|v| if v.is_finite() { v } else { 0.0 })),
            known,
        }
    }
}

/// Slopes less their surroundings'.
fn slopes_of(height_m: &Plane, step: usize) -> [Plane; 2] {
    let thin = height_m.thinned(step);
    let cell_m = step as f64 * CELL_M;
    thin.slopes(cell_m).map(|p| p.detail(AROUND_M / cell_m))
}

fn places_of(slopes: &[Plane; 2], every: usize) -> (Vec<Place>, [Own; 2]) {
    let side = slopes[0].side;
    let mut own = [Own::default(); 2];
    let mut places = Vec::new();
    for row in (0..side).step_by(every) {
        for col in (0..side).step_by(every) {
            let slope = [slopes[0].at(col, row), slopes[1].at(col, row)];
            if !(slope[0] + slope[1]).is_finite() {
                continue;
            }
            let half = usize::from((row >= side / 2) != (col >= side / 2));
            let [x, y] = slope.map(f64::from);
            let o = &mut own[half];
            o.n += 1.0;
            o.sum = [o.sum[0] + x, o.sum[1] + y];
            o.squares += x * x + y * y;
            places.push(Place {
                col,
                row,
                slope,
                half,
            });
        }
    }
    (places, own)
}

/// Sums of both halves for every shift, south row first; shift (0, 0) puts the view's corner on cell `origin` of the map.
fn sums(map: &Relief, places: &[Place], origin: [usize; 2], shifts: usize) -> Vec<[Sums; 2]> {
    let side = map.known.side;
    let mut out = Vec::with_capacity(shifts * shifts);
    for dy in 0..shifts {
        let mut lines = [Line::of(shifts), Line::of(shifts)];
        for p in places {
            let first = (p.row + origin[1] + dy) * side + p.col + origin[0];
            if p.col + origin[0] + shifts > side {
                continue;
            }
            let cells = first..first + shifts;
            let (Some(mx), Some(my), Some(known)) = (
                map.slopes[0].data.get(cells.clone()),
                map.slopes[1].data.get(cells.clone()),
                map.known.data.get(cells),
            ) else {
                continue;
            };
            let [x, y] = p.slope;
            let line = &mut lines[p.half];
            line.add([x, y], mx, my, known);
        }
        out.extend((0..shifts).map(|k| {
            [0, 1].map(|h: usize| {
                let l = &lines[h];
                Sums {
                    cross: f64::from(l.cross[k]),
                    sum: [f64::from(l.east[k]), f64::from(l.north[k])],
                    energy: f64::from(l.energy[k]),
                    known: f64::from(l.known[k]),
                }
            })
        }));
    }
    out
}

/// Correlations over the square of shifts for one heading.
struct Layer {
    yaw_rad: f64,
    /// Fisher's z of the correlation (it scatters alike whatever the correlation): of all places and of each half.
    z: [Vec<f64>; 3],
}

/// A place in the search.
#[derive(Clone, Copy)]
struct Best {
    z: f64,
    cell: usize,
    layer: usize,
}

fn best_of(layers: &[Layer], which: usize) -> Option<Best> {
    let all = layers.iter().enumerate().flat_map(|(layer, l)| {
        let cells = l.z[which].iter().enumerate();
        cells.map(move |(cell, z)| Best { z: *z, cell, layer })
    });
    all.max_by(|a, b| a.z.total_cmp(&b.z))
}

/// Looks for the view's shape over the whole search square. `None` without relief or view.
pub(super) fn search(
    elevation: &Raster,
    patch: &LocalPatch,
    prior_m: [f64; 2],
    params: &MapFixParams,
) -> Option<Shape> {
    let reach = (params.search_m / CELL_M) as usize / STEP * STEP + STEP;
    let side = patch.side() + 2 * reach;
    let smooth = SMOOTH_M.max(SMOOTH_CELLS * elevation.resolution_m()) / CELL_M;
    let map_m = resampled(elevation, prior_m, side, CELL_M).blurred(smooth, 0.5);
    let view_m = patch.height_m.blurred(smooth, 0.4);
    let shifts = 2 * (reach / STEP) + 1;
    let map = Relief::of(slopes_of(&map_m, STEP));
    let beyond_deg = params.search_yaw_deg + YAW_STEP_DEG;
    let layers: Vec<Layer> = headings(0.0, beyond_deg, YAW_STEP_DEG)
        .iter()
        .map(|yaw_rad| {
            let (places, own) = places_of(&slopes_of(&view_m.rotated(*yaw_rad), STEP), EVERY);
            let all = sums(&map, &places, [0; 2], shifts);
            let both = own[0].plus(own[1]);
            let z = |of: &dyn Fn(&[Sums; 2]) -> (f64, f64)| {
                all.iter().map(|s| of(s).0.atanh()).collect::<Vec<f64>>()
            };
            Layer {
                yaw_rad: *yaw_rad,
                z: [
                    z(&|s| s[0].plus(s[1]).correlation(both)),
                    z(&|s| s[0].correlation(own[0])),
                    z(&|s| s[1].correlation(own[1])),
                ],
            }
        })
        .collect();
    let best = best_of(&layers, 0)?;
    let metres = |cell: usize| {
        let middle = (shifts / 2) as f64;
        [
            (cell % shifts) as f64 - middle,
            (cell / shifts) as f64 - middle,
        ]
        .map(|v| v * STEP as f64 * CELL_M)
    };
    let apart = |a: usize, b: usize| {
        let (a, b) = (metres(a), metres(b));
        (a[0] - b[0]).hypot(a[1] - b[1])
    };
    let (mean, sigma) = scatter(&layers);
    let elsewhere = layers.iter().flat_map(|l| l.z[0].iter().enumerate());
    let second = elsewhere
        .filter(|(cell, _)| apart(*cell, best.cell) > APART_M)
        .map(|(_, z)| *z)
        .fold(mean, f64::max);
    let halves_off_m = [1, 2]
        .map(|h: usize| best_of(&layers, h).map_or(f64::INFINITY, |b| apart(b.cell, best.cell)));
    let yaw_rad = layers.get(best.layer)?.yaw_rad;
    let close = Close {
        map: Relief::of(slopes_of(&map_m, 1)),
        view_m,
        reach,
        places: 1.0 / (sigma * sigma).max(1e-9),
    };
    let mut at = (metres(best.cell), yaw_rad);
    let mut found = None;
    for _ in 0..LOOKS {
        match close.look(at.0, at.1)? {
            Look::Top(shape) => {
                found = Some(shape);
                break;
            }
            Look::Beyond(place_m, yaw_rad) => at = (place_m, yaw_rad),
        }
    }
    let mut shape = found?;
    shape.inside &= best.layer > 0 && best.layer + 1 < layers.len();
    let e = &mut shape.evidence;
    e.significance = (best.z - mean) / sigma.max(1e-9);
    e.lead = (best.z - second) / sigma.max(1e-9);
    e.halves_off_m = halves_off_m;
    Some(shape)
}

/// Mean and deviation of Fisher's z over the whole search.
fn scatter(layers: &[Layer]) -> (f64, f64) {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for z in layers.iter().flat_map(|l| &l.z[0]) {
        n += 1.0;
        sum += z;
        squares += z * z;
    }
    let mean = sum / f64::max(n, 1.0);
    (
        mean,
        (squares / f64::max(n, 1.0) - mean * mean).max(0.0).sqrt(),
    )
}

/// Shifts around a place at one heading.
struct Sheet {
    yaw_rad: f64,
    /// Log-likelihood.
    likely: Vec<f64>,
    /// Correlation, and the map's slope per slope of the view.
    found: Vec<(f64, f64)>,
}

/// What a look around a place finds.
enum Look {
    Top(Shape),
    /// The top lies at the border of what was looked at: metres from the prior, heading.
    Beyond([f64; 2], f64),
}

/// Looks before a place whose top moves on and on is given up.
const LOOKS: usize = 4;

/// The best place at full resolution.
struct Close {
    map: Relief,
    view_m: Plane,
    /// Cells from the window's corner to where the view's corner lies at the prior.
    reach: usize,
    /// Independent places in the view, from how the correlations scatter elsewhere.
    places: f64,
}

impl Close {
    fn look(&self, around_m: [f64; 2], yaw_rad: f64) -> Option<Look> {
        let (step, reach) = CLOSE;
        let side = 2 * reach + 1;
        let first = around_m
            .map(|v| (v / CELL_M).round() as i64 + self.reach as i64 - (reach * step) as i64);
        if first.iter().any(|v| *v < 0) {
            return None;
        }
        let origin = first.map(|v| v as usize);
        let (yaw_step_deg, yaws) = CLOSE_YAW;
        let mut sheets: Vec<Sheet> = Vec::new();
        for k in -yaws..=yaws {
            let yaw = yaw_rad + (k as f64 * yaw_step_deg).to_radians();
            let (places, own) = places_of(&slopes_of(&self.view_m.rotated(yaw), 1), 3);
            let own = own[0].plus(own[1]);
            let found: Vec<(f64, f64)> = sums(&self.map, &places, origin, side)
                .iter()
                .map(|s| s[0].plus(s[1]).correlation(own))
                .collect();
            let l = found
                .iter()
                .map(|(r, _)| -0.5 * self.places * (1.0 - r.max(0.0).powi(2)).ln());
            sheets.push(Sheet {
                yaw_rad: yaw,
                likely: l.collect(),
                found,
            });
        }
        let top = |l: &[f64]| (0..l.len()).max_by(|a, b| l[*a].total_cmp(&l[*b]));
        let tops: Vec<usize> = sheets.iter().filter_map(|s| top(&s.likely)).collect();
        let heights: Vec<f64> = sheets
            .iter()
            .zip(&tops)
            .map(|(s, k)| s.likely[*k])
            .collect();
        let layer = top(&heights)?;
        let Sheet {
            yaw_rad: yaw,
            likely: l,
            found,
        } = sheets.get(layer)?;
        let cell = tops[layer];
        let (c, r) = (cell % side, cell / side);
        let from = [c, r].map(|v| (v as f64 - reach as f64) * step as f64 * CELL_M);
        let around = around_m.map(|v| (v / CELL_M).round() * CELL_M);
        // A paraboloid over two cells to each side.
        let near = |v: usize, n: usize| v < 2 || v + 2 >= n;
        if near(c, side) || near(r, side) || near(layer, heights.len()) {
            let place_m = [around[0] + from[0], around[1] + from[1]];
            return Some(Look::Beyond(place_m, *yaw));
        }
        let at =
            |i: i64, j: i64| l[(r as i64 + 2 * j) as usize * side + (c as i64 + 2 * i) as usize];
        let spread_m = 2.0 * step as f64 * CELL_M;
        let (offset, xy) = summit(at)?;
        let offset = offset * spread_m;
        let [a, b, d] = [layer - 2, layer, layer + 2].map(|k: usize| heights[k]);
        let second = a - 2.0 * b + d;
        if !(second < 0.0) {
            return None;
        }
        let yaw_spread = (2.0 * yaw_step_deg).to_radians();
        let turned = (-0.5 * (d - a) / second).clamp(-1.0, 1.0) * yaw_spread;
        let mut covariance = Matrix3::zeros();
        covariance
            .fixed_view_mut::<2, 2>(0, 0)
            .copy_from(&(xy * spread_m * spread_m));
        covariance[(2, 2)] = yaw_spread * yaw_spread / -second;
        Some(Look::Top(Shape {
            from_prior_m: [
                around[0] + from[0] + offset.x,
                around[1] + from[1] + offset.y,
            ],
            yaw_rad: yaw + turned,
            covariance,
            inside: true,
            evidence: ShapeEvidence {
                correlation: found[cell].0,
                gain: found[cell].1,
                sigma_m: (xy * spread_m * spread_m)
                    .symmetric_eigenvalues()
                    .max()
                    .sqrt(),
                ..ShapeEvidence::default()
            },
        }))
    }
}
