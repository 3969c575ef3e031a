//! The whole search square at half a metre and a few headings: where might the rover be?

use super::{
    CELL_M, SCALES, ScoreMap,
    census::{self, Codes, Counts},
    plane::Plane,
    relight::{LocalView, Mix},
    window::{LEAST_BAND, MapWindow, RELIEF_SMOOTH_M, RELIEF_STEP},
};

/// Cells of the matcher's grid per step of the coarse search.
pub(super) const COARSE_STEP: usize = 2;
/// Distance of the places that are compared in the coarse search, in its cells: 2 m.
const COARSE_PLACES: usize = 4;
/// Image and relief of a map may lie apart by as much, metres: then relief still helps to find candidates.
const RELIEF_SLACK_M: f64 = 4.0;
/// Weight of the relief beside the image when candidates are chosen.
const RELIEF_WEIGHT: f32 = 0.5;
/// Candidates lie at least this far apart, metres.
pub(super) const APART_M: f64 = 3.0;

/// Scores over the square of shifts for one heading.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub yaw_rad: f64,
    /// Image of all places.
    pub image: Vec<f32>,
    /// Image of each half.
    pub halves: [Vec<f32>; 2],
    /// Image with relief.
    pub both: Vec<f32>,
    /// Relief on its own coarser grid.
    pub relief: Vec<f32>,
}

/// The coarse search's scores.
#[derive(Clone, Debug)]
pub(super) struct Coarse {
    /// Shifts along a side; the middle one is the prior.
    pub side: usize,
    pub layers: Vec<Layer>,
}

/// A place that might be it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Shift in cells of the matcher's grid.
    pub shift: [i64; 2],
    pub yaw_rad: f64,
    pub score: f32,
}

/// The codes of a relit view at one scale.
pub(super) fn codes_of(relit: &Plane, scale: usize, band: f64) -> Codes {
    let s = SCALES[scale];
    let seen = relit.blurred(s.smooth_m / CELL_M, 0.5);
    let dead = (band * seen.deviation()).max(LEAST_BAND);
    Codes::of(&seen, s.spacing, dead as f32)
}

/// Share of the map's contrast that its relief must explain before shading is looked for alone.
const LEAST_EXPLAINED: f64 = 0.02;

/// The mixes before a place is known: all of the ground's own brightness with shading as the map as a whole shows it, and
/// that shading alone, for ground whose own brightness the map does not show (dust, a coarser image).
pub(super) fn first_mixes(map: &MapWindow) -> Vec<Mix> {
    let whole = Mix {
        own: 1.0,
        east: map.shading.east,
        north: map.shading.north,
    };
    let mut mixes = vec![whole];
    if map.shading.explained >= LEAST_EXPLAINED {
        mixes.push(Mix { own: 0.0, ..whole });
    }
    mixes
}

/// Searches every heading. `margin` is how many cells the window reaches beyond search and patch.
pub(super) fn coarse(
    map: &MapWindow,
    view: &LocalView,
    mix: Mix,
    yaws_rad: &[f64],
    reach: usize,
    margin: usize,
    band: f64,
) -> Coarse {
    let steps = reach / COARSE_STEP;
    let side = 2 * steps + 1;
    // The finest scale needs finer steps than these.
    let maps = [1, 2].map(|s: usize| map.codes[s].halved());
    let layers = yaws_rad.iter().map(|yaw_rad| {
        let turned = view.turned(*yaw_rad);
        let relit = turned.relit(mix);
        let mut halves = [vec![0f32; side * side], vec![0f32; side * side]];
        let mut image = vec![0f32; side * side];
        for (k, map) in maps.iter().enumerate() {
            let codes = codes_of(&relit, k + 1, band).halved();
            let places = census::centres(&codes, COARSE_PLACES);
            let origin = [margin / COARSE_STEP; 2];
            let counts = places.map(|p| census::count(map, &p, codes.side, origin, side));
            add_scores(&counts, &mut halves, &mut image, 0.5);
        }
        let z = view
            .height_m
            .rotated(*yaw_rad)
            .blurred(RELIEF_SMOOTH_M / CELL_M, 0.4);
        let slopes = z.thinned(RELIEF_STEP).slopes(RELIEF_STEP as f64 * CELL_M);
        let relief_side = 2 * (reach / RELIEF_STEP) + 1;
        let relief = slope_match(&map.relief, &slopes, margin / RELIEF_STEP, relief_side);
        let slack = (RELIEF_SLACK_M / (RELIEF_STEP as f64 * CELL_M)) as usize;
        let near = greatest_near(&relief, relief_side, slack);
        let finer = RELIEF_STEP / COARSE_STEP;
        let both = (0..side * side)
            .map(|k| {
                let (c, r) = ((k % side) / finer, (k / side) / finer);
                image[k] + RELIEF_WEIGHT * near[r * relief_side + c].max(0.0)
            })
            .collect();
        Layer {
            yaw_rad: *yaw_rad,
            image,
            halves,
            both,
            relief,
        }
    });
    let layers = layers.collect();
    Coarse { side, layers }
}

/// Adds the scores of one scale, weighted.
pub(super) fn add_scores(
    counts: &[Counts; 2],
    halves: &mut [Vec<f32>; 2],
    all: &mut [f32],
    weight: f32,
) {
    let [a, b] = counts;
    for k in 0..all.len() {
        halves[0][k] += weight * census::score(a.net[k], a.own, a.offered[k]);
        halves[1][k] += weight * census::score(b.net[k], b.own, b.offered[k]);
        all[k] += weight
            * census::score(
                a.net[k] + b.net[k],
                a.own + b.own,
                a.offered[k] + b.offered[k],
            );
    }
}

/// Correlation of slope vectors over a square of shifts. Unknown slopes of the map are 0, of the view not-a-number.
fn slope_match(map: &[Plane; 2], view: &[Plane; 2], origin: usize, shifts: usize) -> Vec<f32> {
    let side = view[0].side;
    let known: Vec<(usize, usize, f32, f32)> = (0..side * side)
        .filter(|k| (view[0].data[*k] + view[1].data[*k]).is_finite())
        .map(|k| (k % side, k / side, view[0].data[k], view[1].data[k]))
        .collect();
    let own: f32 = known.iter().map(|(_, _, x, y)| x * x + y * y).sum();
    let mut out = vec![0f32; shifts * shifts];
    let mut energy = vec![0f32; shifts];
    for dy in 0..shifts {
        let line = &mut out[dy * shifts..(dy + 1) * shifts];
        energy.fill(0.0);
        for (c, r, x, y) in &known {
            let first = (r + origin + dy) * map[0].side + c + origin;
            let (Some(mx), Some(my)) = (
                map[0].data.get(first..first + shifts),
                map[1].data.get(first..first + shifts),
            ) else {
                continue;
            };
            for k in 0..shifts {
                line[k] += x * mx[k] + y * my[k];
                energy[k] += mx[k] * mx[k] + my[k] * my[k];
            }
        }
        for (v, e) in line.iter_mut().zip(&energy) {
            *v /= (own * e.max(0.1 * own)).sqrt().max(1e-9);
        }
    }
    out
}

/// The greatest value within a square around each.
fn greatest_near(data: &[f32], side: usize, reach: usize) -> Vec<f32> {
    let pass = |data: &[f32], turn: bool| -> Vec<f32> {
        (0..side * side)
            .map(|k| {
                let (c, r) = (k % side, k / side);
                let (at, other) = if turn { (r, c) } else { (c, r) };
                (at.saturating_sub(reach)..=(at + reach).min(side - 1))
                    .map(|i| {
                        data[if turn {
                            i * side + other
                        } else {
                            other * side + i
                        }]
                    })
                    .fold(f32::NEG_INFINITY, f32::max)
            })
            .collect()
    };
    pass(&pass(data, false), true)
}

impl Coarse {
    /// The best places by a score of the layers, best first, each at least [`APART_M`] from the better ones.
    pub fn best(&self, most: usize, of: impl Fn(&Layer) -> &Vec<f32>) -> Vec<Candidate> {
        let side = self.side;
        let middle = (side / 2) as i64;
        // the greatest over the headings
        let mut top: Vec<(f32, usize)> = (0..side * side)
            .map(|k| {
                let scores = self.layers.iter().enumerate().map(|(i, l)| (of(l)[k], i));
                scores.fold((f32::NEG_INFINITY, 0), |a, b| if b.0 > a.0 { b } else { a })
            })
            .collect();
        let apart = (APART_M / (COARSE_STEP as f64 * CELL_M)) as i64;
        let mut found = Vec::new();
        for _ in 0..most {
            let Some((k, (score, layer))) = top
                .iter()
                .copied()
                .enumerate()
                .max_by(|a, b| a.1.0.total_cmp(&b.1.0))
                .filter(|t| t.1.0.is_finite())
            else {
                break;
            };
            let (c, r) = ((k % side) as i64, (k / side) as i64);
            let step = COARSE_STEP as i64;
            found.push(Candidate {
                shift: [(c - middle) * step, (r - middle) * step],
                yaw_rad: self.layers[layer].yaw_rad,
                score,
            });
            for j in (r - apart).max(0)..=(r + apart).min(side as i64 - 1) {
                for i in (c - apart).max(0)..=(c + apart).min(side as i64 - 1) {
                    if (i - c) * (i - c) + (j - r) * (j - r) <= apart * apart {
                        top[(j * side as i64 + i) as usize].0 = f32::NEG_INFINITY;
                    }
                }
            }
        }
        found
    }

    /// The image's scores, greatest over the headings.
    pub fn picture(&self) -> ScoreMap {
        let greatest = |k: usize| {
            let scores = self.layers.iter().map(|l| l.image[k]);
            scores.fold(f32::NEG_INFINITY, f32::max)
        };
        ScoreMap {
            side: self.side,
            step_m: COARSE_STEP as f64 * CELL_M,
            scores: (0..self.side * self.side).map(greatest).collect(),
        }
    }

    /// By how many deviations the best score stands above the mean.
    pub fn clearness(&self) -> f64 {
        let (mean, sigma) = self.chance();
        let best = self.layers.iter().flat_map(|l| &l.image);
        let best = best.fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        (f64::from(best) - mean) / sigma.max(1e-9)
    }

    /// Mean and deviation of the image's score over the whole search: what chance gives.
    pub fn chance(&self) -> (f64, f64) {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for v in self.layers.iter().flat_map(|l| &l.image) {
            let v = f64::from(*v);
            n += 1.0;
            sum += v;
            squares += v * v;
        }
        let n: f64 = n;
        let mean = sum / n.max(1.0);
        (mean, (squares / n.max(1.0) - mean * mean).max(0.0).sqrt())
    }
}
