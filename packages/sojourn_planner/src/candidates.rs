//! Routes that differ from one another, for a person or a model to choose from, and the ground that is open to them.

use crate::cost::CostMap;
use crate::error::PlanError;
use crate::least_cost::Found;
use crate::line::{cells_along, line_cost};
use crate::route::{PlanRequest, check_ends, check_open, places};
use crate::search::{line_of, search};
use crate::slip::ExpectedSlip;
use crate::smooth::densify;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_m, distance_to_segment_m, length_m};
use sojourn_core::plan::Feature;
use sojourn_core::raster::Raster;
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;

/// How far apart two routes have to be to count as different: this share of the straight distance …
const APART_SHARE: f64 = 0.05;
/// … between these two distances, metres.
const APART_M: [f64; 2] = [4.0, 30.0];
/// Share of a route that has to lie apart from every other.
const APART_LENGTH: f64 = 0.3;
/// What ground near a route found already costs more, each time.
const AGAIN_FACTOR: f32 = 1.6;
/// A route that costs more than this many times the cheapest is no alternative.
const DEAREST: f64 = 3.0;
/// Searches with dearer ground per route asked for.
const TRIES: usize = 3;

/// What a route should be best at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The mission's own weights.
    Balanced,
    /// Length alone.
    Shortest,
    /// Everything that the mission's cost counts as risk, three times over.
    LowestRisk,
    /// Gentle slopes.
    LowestSlope,
    /// Distance from closed ground.
    MaxClearance,
}

impl Preset {
    /// All of them, in the order in which candidates are looked for.
    pub const ALL: [Self; 5] = [
        Self::Balanced,
        Self::LowestRisk,
        Self::MaxClearance,
        Self::LowestSlope,
        Self::Shortest,
    ];

    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Shortest => "shortest",
            Self::LowestRisk => "lowest_risk",
            Self::LowestSlope => "lowest_slope",
            Self::MaxClearance => "max_clearance",
        }
    }

    /// The same ground with this preset's costs.
    pub(crate) fn map(self, map: &CostMap) -> CostMap {
        let mut out = map.clone();
        for (i, cost) in out.cost.iter_mut().enumerate() {
            *cost = self.cost(map, i);
        }
        out
    }

    /// The cost of a metre for this preset; never below 1.
    fn cost(self, map: &CostMap, i: usize) -> f32 {
        let cost = map.cost[i];
        let share = |v: f32, limit: f64| (f64::from(v) / limit).clamp(0.0, 1.0) as f32;
        match self {
            Self::Balanced => cost,
            Self::Shortest => 1.0,
            Self::LowestRisk => 1.0 + 3.0 * (cost - 1.0),
            Self::LowestSlope => {
                let s = share(map.slope.data()[i], map.ground.slope_deg);
                cost + 12.0 * s * s
            }
            Self::MaxClearance => {
                let near = 1.0 - share(map.clearance_m[i], CLEAR_M);
                cost + 8.0 * near * near
            }
        }
    }
}

/// Closed ground farther away than this does not bother a route, metres.
const CLEAR_M: f64 = 15.0;

/// A route over open ground and its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What it was looked for with.
    pub preset: Preset,
    /// Corners from start to goal, `map` metres.
    pub line: Vec<Xy>,
    /// Length, metres.
    pub length_m: f64,
    /// Cost with the mission's weights, in metres of easy ground.
    pub cost: f64,
    /// The part of the cost that is not length: slope, roughness, closeness to closed ground and labels, summed along
    /// the way; metres of easy ground.
    pub risk_m: f64,
    /// Steepest ground on the way over the footprint, degrees.
    pub max_slope_deg: f64,
    /// Roughest ground on the way over the footprint, metres.
    pub max_roughness_m: f64,
    /// Least distance to closed ground, metres.
    pub clearance_m: f64,
}

/// Up to `k` routes that differ, the cheapest first: the best one of each [`Preset`], then the best ones after the
/// ground near every route found was made dearer (the penalty method; Chen, Bell and Bogenberger 2007, "Reliable
/// pretrip multipath planning and dynamic adaptation"). Whether the rover's suspension agrees is settled by [`crate::plan()`].
///
/// # Errors
/// [`PlanError`] when start, a stop or the goal cannot be used. Without a way over the stops in their order the list is
/// empty.
pub fn candidates(
    request: &PlanRequest,
    site: &Site,
    rover: &Rover,
    constraints: &Constraints,
    features: &[Feature],
    k: usize,
) -> Result<Vec<Candidate>, PlanError> {
    let elevation = site.elevation()?;
    check_ends(request, elevation, constraints)?;
    let slip = ExpectedSlip::new(rover, request.slip.as_ref())?;
    let map = CostMap::new(site, rover, constraints, features, &slip)?;
    for (which, p) in places(request, constraints) {
        check_open(&map, which, p, features)?;
    }
    let over = constraints.way_points(request.start_m, request.goal_m);
    Ok(on_map(&map, &over, k))
}

/// As [`candidates`], on a cost map; `over` holds start, stops and goal.
pub(crate) fn on_map(map: &CostMap, over: &[Xy], k: usize) -> Vec<Candidate> {
    let longest_m = over
        .windows(2)
        .map(|w| distance_m(w[0], w[1]))
        .fold(0.0, f64::max);
    let mut found = Finder {
        map,
        over,
        apart_m: (APART_SHARE * longest_m).clamp(APART_M[0], APART_M[1]),
        most: k,
        out: Vec::new(),
    };
    for preset in Preset::ALL {
        if found.out.len() >= k || found.add(&preset.map(map), preset).is_none() {
            break;
        }
    }
    if !found.out.is_empty() {
        let mut dearer = map.clone();
        for _ in 0..k.saturating_mul(TRIES) {
            if found.out.len() >= k {
                break;
            }
            let Some(cells) = found.add(&dearer, Preset::Balanced) else {
                break;
            };
            for i in near(map, &cells, found.apart_m) {
                dearer.cost[i] *= AGAIN_FACTOR;
            }
        }
    }
    found.out.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    found.out
}

struct Finder<'a> {
    map: &'a CostMap,
    /// Start, stops, goal.
    over: &'a [Xy],
    apart_m: f64,
    most: usize,
    out: Vec<Candidate>,
}

impl Finder<'_> {
    /// Searches with the costs of `map`, which has the same open cells, and takes the route when it differs; the cells
    /// of its path, `None` when there is no way.
    fn add(&mut self, map: &CostMap, preset: Preset) -> Option<Vec<usize>> {
        let mut cells = Vec::new();
        let mut line: Option<Vec<Xy>> = Some(self.over.first().copied().into_iter().collect());
        for leg in self.over.windows(2) {
            let (start, goal) = (map.index(leg[0])?, map.index(leg[1])?);
            let Found::Path(path) = search(map, start, goal)? else {
                return None;
            };
            // Every leg begins where the one before it ended.
            line = line
                .zip(line_of(map, &path.cells, leg[0], leg[1]))
                .map(|(mut all, more)| {
                    all.extend(more.into_iter().skip(1));
                    all
                });
            cells.extend(path.cells);
        }
        let candidate = line.and_then(|line| measured(self.map, line, preset));
        if let Some(c) = candidate
            && self.out.len() < self.most
            && self
                .out
                .first()
                .is_none_or(|best| c.cost <= DEAREST * best.cost)
            && self
                .out
                .iter()
                .all(|o| apart(&c.line, &o.line, self.apart_m))
        {
            self.out.push(c);
        }
        Some(cells)
    }
}

/// The figures of a line; `None` when it crosses closed ground.
pub(crate) fn measured(map: &CostMap, line: Vec<Xy>, preset: Preset) -> Option<Candidate> {
    let length_m = length_m(&line);
    let mut cost = 0.0;
    let (mut slope, mut rough, mut clear) = (0f32, 0f32, f32::INFINITY);
    for w in line.windows(2) {
        cost += line_cost(map, w[0], w[1])?;
        cells_along(map, w[0], w[1], |i, _| {
            slope = slope.max(map.slope.data()[i]);
            rough = rough.max(map.roughness.data()[i]);
            clear = clear.min(map.clearance_m[i]);
            true
        });
    }
    Some(Candidate {
        preset,
        line,
        length_m,
        cost,
        risk_m: (cost - length_m).max(0.0),
        max_slope_deg: f64::from(slope),
        max_roughness_m: f64::from(rough),
        clearance_m: f64::from(clear),
    })
}

/// The cells within `radius_m` of a path, each once, in order.
pub(crate) fn near(map: &CostMap, cells: &[usize], radius_m: f64) -> Vec<usize> {
    let reach = (radius_m / map.cell_m()).ceil().max(1.0) as i64;
    let (cols, rows) = (map.cols() as i64, map.rows() as i64);
    let mut out = Vec::new();
    // Every few cells are enough: the discs overlap.
    for &i in cells.iter().step_by((reach as usize / 3).max(1)) {
        let (c, r) = (i as i64 % cols, i as i64 / cols);
        for y in (r - reach).max(0)..=(r + reach).min(rows - 1) {
            let half = ((reach * reach - (y - r) * (y - r)) as f64).sqrt() as i64;
            out.extend(
                ((c - half).max(0)..=(c + half).min(cols - 1)).map(|x| (y * cols + x) as usize),
            );
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// Whether enough of a line lies farther than `apart_m` from another.
fn apart(line: &[Xy], other: &[Xy], apart_m: f64) -> bool {
    let points = densify(line, 0.5 * apart_m);
    let far = points.iter().filter(|p| {
        other
            .windows(2)
            .all(|w| distance_to_segment_m(**p, w[0], w[1]) > apart_m)
    });
    far.count() as f64 >= APART_LENGTH * points.len() as f64
}

/// Where the planner may go at all: 1 where the ground is open for this rover and mission, 0 where it is closed. Cells
/// finer than half a metre are pooled.
///
/// # Errors
/// [`PlanError::Core`] when the site has no elevation.
pub fn open_ground(
    site: &Site,
    rover: &Rover,
    constraints: &Constraints,
) -> Result<Raster, PlanError> {
    let slip = ExpectedSlip::of(rover)?;
    let map = CostMap::new(site, rover, constraints, &[], &slip)?;
    Ok(map
        .slope
        .like(|c, r| f32::from(u8::from(map.free(r * map.cols() + c)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Flat ground with two mounds between start and goal, hence three ways.
    fn mounds() -> CostMap {
        let flat = Raster::filled(160, 120, 1.0, [0.0, 0.0], 0.0).unwrap();
        let mound =
            |x: f64, y: f64, y0: f64| 4.0 * (-((x - 80.0).powi(2) + (y - y0).powi(2)) / 60.0).exp();
        let elevation = flat.like(|c, r| {
            let [x, y] = flat.centre_m(c, r);
            (mound(x, y, 48.0) + mound(x, y, 72.0)) as f32
        });
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let rover = Rover::load(&config.join("rovers/perseverance.yaml")).unwrap();
        let mission = Constraints::load(&config.join("mission.yaml")).unwrap();
        let (slope, roughness) =
            sojourn_core::terrain::slope_roughness(&elevation, rover.footprint_radius_m());
        let fresh = crate::freshness::Stale::NO;
        let slip = ExpectedSlip::of(&rover).unwrap();
        CostMap::of_layers(&slope, &roughness, &rover, &mission, &[], &slip, fresh).unwrap()
    }

    #[test]
    fn routes_differ_and_the_cheapest_is_first() {
        let map = mounds();
        let found = on_map(&map, &[[30.0, 60.0], [130.0, 60.0]], 6);
        assert_eq!(found.len(), 6, "{found:?}");
        for (i, c) in found.iter().enumerate() {
            assert!(c.cost >= c.length_m - 1e-6 && c.length_m >= 100.0);
            assert!(c.max_slope_deg <= map.ground.slope_deg && c.clearance_m > 0.0);
            assert!((c.risk_m - (c.cost - c.length_m)).abs() < 1e-9);
            for o in &found[..i] {
                assert!(o.cost <= c.cost && apart(&c.line, &o.line, 5.0));
            }
        }
        // All three sides of the mounds are among them.
        let side = |c: &Candidate| {
            let p = densify(&c.line, 0.5);
            let y = p
                .iter()
                .min_by(|a, b| (a[0] - 80.0).abs().total_cmp(&(b[0] - 80.0).abs()));
            y.map_or(0, |p| {
                if p[1] < 48.0 {
                    -1
                } else {
                    i32::from(p[1] > 72.0)
                }
            })
        };
        let mut sides: Vec<i32> = found.iter().map(side).collect();
        sides.sort_unstable();
        sides.dedup();
        assert_eq!(sides, [-1, 0, 1]);
        assert_eq!(found, on_map(&map, &[[30.0, 60.0], [130.0, 60.0]], 6));
    }

    #[test]
    fn routes_that_differ_all_pass_the_stops_in_their_order() {
        let map = mounds();
        let over = [[30.0, 60.0], [80.0, 100.0], [60.0, 30.0], [130.0, 60.0]];
        let found = on_map(&map, &over, 4);
        assert!(found.len() >= 2, "{found:?}");
        for (i, c) in found.iter().enumerate() {
            let at = |p: Xy| c.line.iter().position(|q| *q == p);
            let places: Vec<usize> = over.iter().filter_map(|p| at(*p)).collect();
            assert_eq!(places.len(), over.len());
            assert!(places.windows(2).all(|w| w[0] < w[1]));
            assert!(found[..i].iter().all(|o| apart(&c.line, &o.line, 4.0)));
        }
        // The cheapest is the cheapest of every leg.
        let alone: f64 = over.windows(2).map(|w| on_map(&map, w, 1)[0].cost).sum();
        assert!(found[0].cost <= 1.01 * alone, "{} {alone}", found[0].cost);
    }

    #[test]
    fn a_preset_is_best_at_what_it_is_for() {
        let map = mounds();
        let best = |preset: Preset| {
            let mut f = Finder {
                map: &map,
                over: &[[30.0, 55.0], [130.0, 60.0]],
                apart_m: 5.0,
                most: 1,
                out: Vec::new(),
            };
            f.add(&preset.map(&map), preset).unwrap();
            f.out.remove(0)
        };
        let all: Vec<Candidate> = Preset::ALL.into_iter().map(best).collect();
        let [balanced, risk, clear, slope, short] = &all[..] else {
            panic!()
        };
        for c in &all {
            assert!(short.length_m <= c.length_m + 0.5 && balanced.cost <= c.cost * 1.01);
        }
        assert!(risk.risk_m <= balanced.risk_m + 0.1);
        assert!(slope.max_slope_deg <= short.max_slope_deg + 0.1);
        assert!(clear.clearance_m >= short.clearance_m);
    }

    #[test]
    fn without_a_way_there_is_no_candidate() {
        let mut map = mounds();
        for i in 0..map.block.len() {
            if i % map.cols() == 80 {
                map.block[i] = crate::cost::Block::Stand;
            }
        }
        assert!(on_map(&map, &[[30.0, 60.0], [130.0, 60.0]], 4).is_empty());
        assert!(on_map(&map, &[[-30.0, 60.0], [130.0, 60.0]], 4).is_empty());
    }
}
