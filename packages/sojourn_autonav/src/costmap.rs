//! The coarse cost map around rover and waypoint and the cost to go on it (Dijkstra from the waypoint).
//!
//! It only ranks candidates. Whether the rover may stand somewhere is decided by settling ([`crate::check`]).

use crate::{
    coarse::{CoarseMap, Known},
    config::Config,
    corridor::Corridor,
    ground::Ground,
    planes::Moments,
    rocks::Rocks,
    slip_forecast::SlipForecast,
};
use sojourn_core::{classes::CLASSES, frames::Pose2, geometry::Xy, limits::Limits, rover::Rover};

/// Most cells from the middle of the map to its side; bounds time and memory.
const MAX_HALF_CELLS: usize = 75;
/// Cost factor of a step that limits would probably forbid; finite, because a rover can straddle.
const BARRIER: f64 = 30.0;

/// One coarse cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cell {
    /// Gradient of the rover-sized plane around the cell, metres per metre.
    gradient: [f64; 2],
    /// Cost factor for roughness, class and tilt; infinite where the rover must not go.
    factor: f64,
    /// What rocks add when driving to each of the eight neighbours.
    rocks: [f32; 8],
    /// Class code of the middle.
    class: Option<f64>,
    seen: bool,
}

/// The map with cost per metre and cost to go, in seconds.
#[derive(Clone, Debug)]
pub struct CostMap {
    cols: usize,
    rows: usize,
    cell_m: f64,
    origin_m: Xy,
    cells: Vec<Cell>,
    to_go_s: Vec<f64>,
    /// Seconds per metre on easy ground.
    pace_spm: f64,
    slip: SlipForecast,
    slip_limit: f64,
    goal: Xy,
    rocks: Rocks,
    rock_weight: f64,
}

/// What the cost map is made for.
pub struct Scene<'a> {
    /// Prepared ground.
    pub ground: &'a Ground,
    /// Where the rover's centre may be.
    pub corridor: &'a Corridor,
    /// The rover's position in `odom`, metres.
    pub rover_xy: Xy,
    /// The waypoint in `odom`, metres.
    pub goal_xy: Xy,
    /// Limits that hold on this way.
    pub limits: &'a Limits,
    /// Speed on easy ground, m/s.
    pub speed_mps: f64,
    /// What is known of slip.
    pub slip: &'a SlipForecast,
    /// Places where no way led on, in `odom`, metres: dear, so that the rover does not come back at once.
    pub dead_ends: &'a [Xy],
}

impl CostMap {
    /// Works what is seen now into the memory, builds the map from the memory and searches from the waypoint.
    #[must_use]
    pub fn build(
        config: &Config,
        rover: &Rover,
        scene: &Scene<'_>,
        memory: &mut CoarseMap,
    ) -> Self {
        let cell_m = config.costmap_cell_m;
        let seen = &scene.ground.seen;
        let (o, size) = (seen.origin_m(), seen.size_m());
        let margin_m = 2.0 * config.arc_length_m;
        let reach_m = MAX_HALF_CELLS as f64 * cell_m;
        let span = |axis: usize| {
            let (here, goal) = (scene.rover_xy[axis], scene.goal_xy[axis]);
            let around_m = (0.5 * config.coarse_m).min(reach_m);
            let lo = o[axis]
                .min(goal - margin_m)
                .min(here - around_m)
                .max(here - reach_m);
            let hi = (o[axis] + size[axis])
                .max(goal + margin_m)
                .max(here + around_m)
                .min(here + reach_m);
            // Along the cells of the memory.
            let lo = (lo / cell_m).floor() * cell_m;
            (
                lo,
                (((hi - lo) / cell_m).ceil().max(1.0) as usize).min(2 * MAX_HALF_CELLS),
            )
        };
        let ((x0, cols), (y0, rows)) = (span(0), span(1));
        let mut map = Self {
            cols,
            rows,
            cell_m,
            origin_m: [x0, y0],
            cells: vec![Cell::default(); cols * rows],
            to_go_s: vec![f64::INFINITY; cols * rows],
            pace_spm: 1.0 / scene.speed_mps.max(1e-3),
            slip: scene.slip.clone(),
            slip_limit: scene.limits.slip * config.slip_share,
            goal: scene.goal_xy,
            rocks: Rocks::new(scene.ground, rover, scene.limits),
            rock_weight: config.rock_weight,
        };
        map.remember(rover, scene, memory);
        map.weigh(config, rover, scene, memory);
        map.search(config, scene);
        map
    }

    /// Time for a metre straight ahead on clear ground, seconds.
    #[must_use]
    pub fn pace_spm(&self) -> f64 {
        self.pace_spm
    }

    #[inline]
    fn index(&self, p: Xy) -> Option<(usize, usize)> {
        let c = (p[0] - self.origin_m[0]) / self.cell_m;
        let r = (p[1] - self.origin_m[1]) / self.cell_m;
        (c >= 0.0 && r >= 0.0 && c < self.cols as f64 && r < self.rows as f64)
            .then_some((c as usize, r as usize))
    }

    /// Column (axis 0) or row (axis 1) of a coordinate of `odom`, and its distance from the map's corner, metres.
    fn along(&self, axis: usize, v: f64) -> Option<(usize, f64)> {
        let at_m = v - self.origin_m[axis];
        let i = at_m / self.cell_m;
        let n = if axis == 0 { self.cols } else { self.rows };
        (i >= 0.0 && i < n as f64).then_some((i as usize, at_m))
    }

    fn centre(&self, c: usize, r: usize) -> Xy {
        [
            self.origin_m[0] + (c as f64 + 0.5) * self.cell_m,
            self.origin_m[1] + (r as f64 + 0.5) * self.cell_m,
        ]
    }

    /// Cell of `odom` of the map's south-west corner.
    fn corner(&self) -> [i64; 2] {
        self.origin_m.map(|v| (v / self.cell_m).round() as i64)
    }

    /// Works what the window shows into the memory: planes of the rover's size, rocks, classes.
    fn remember(&self, rover: &Rover, scene: &Scene<'_>, memory: &mut CoarseMap) {
        let seen = &scene.ground.seen;
        let towards = NEIGHBOURS.map(|(dc, dr)| self.rocks.towards((dr as f64).atan2(dc as f64)));
        let mut sums = vec![Moments::default(); self.cols * self.rows];
        // The columns of the window in the coarse map, with their places: the same in every row.
        let cols: Vec<Option<(usize, f64)>> = (0..seen.cols())
            .map(|col| self.along(0, seen.centre_m(col, 0)[0]))
            .collect();
        for row in 0..seen.rows() {
            let Some((r, y)) = self.along(1, seen.centre_m(0, row)[1]) else {
                continue;
            };
            let heights = seen.data().get(row * seen.cols()..).unwrap_or(&[]);
            for (z, at) in heights.iter().zip(&cols) {
                if let (true, Some((c, x))) = (z.is_finite(), *at)
                    && let Some(sum) = sums.get_mut(r * self.cols + c)
                {
                    sum.add(&Moments::of(x, y, f64::from(*z)));
                }
            }
        }
        let half = (0.6 * rover.footprint_radius_m() / self.cell_m)
            .round()
            .max(1.0) as usize;
        let corner = self.corner();
        for r in 0..self.rows {
            for c in 0..self.cols {
                if !(sums.get(r * self.cols + c).map_or(0.0, |s| s.n) > 0.0) {
                    continue;
                }
                let mut m = Moments::default();
                for rr in r.saturating_sub(half)..=(r + half).min(self.rows - 1) {
                    for cc in c.saturating_sub(half)..=(c + half).min(self.cols - 1) {
                        if let Some(sum) = sums.get(rr * self.cols + cc) {
                            m.add(sum);
                        }
                    }
                }
                let Some(plane) = m.plane() else {
                    continue;
                };
                let at = self.centre(c, r);
                let mut known = Known::new(plane, m.n);
                known.class = seen_class(scene.ground, at);
                for (rocks, direction) in known.rocks.iter_mut().zip(&towards) {
                    *rocks = self.rocks.share_towards(at, direction, 0.4 * self.cell_m) as f32;
                }
                memory.take([corner[0] + c as i64, corner[1] + r as i64], known);
            }
        }
    }

    /// Costs of all cells from what is remembered of them.
    fn weigh(&mut self, config: &Config, rover: &Rover, scene: &Scene<'_>, memory: &CoarseMap) {
        let corner = self.corner();
        for r in 0..self.rows {
            for c in 0..self.cols {
                let at = [corner[0] + c as i64, corner[1] + r as i64];
                let mut cell = self.cell(config, rover, scene, memory.known(at), self.centre(c, r));
                // Where the rover has thought more often than it had to is dear, so that it tries another way.
                let again = (memory.visits(at) - VISITS_FREE).clamp(0.0, VISITS_MAX);
                cell.factor += config.visit_weight * again;
                if let Some(slot) = self.cells.get_mut(r * self.cols + c) {
                    *slot = cell;
                }
            }
        }
    }

    fn cell(
        &self,
        config: &Config,
        rover: &Rover,
        scene: &Scene<'_>,
        known: Option<&Known>,
        at: Xy,
    ) -> Cell {
        if !scene.corridor.holds(at, 0.0) {
            return Cell {
                factor: f64::INFINITY,
                ..Cell::default()
            };
        }
        let mut cell = Cell {
            factor: config.unknown_factor,
            ..Cell::default()
        };
        if let Some(k) = known {
            let slope = k.gradient[0].hypot(k.gradient[1]).atan() / scene.limits.tilt_rad();
            let rough_m = 0.2 * rover.wheel.radius_m;
            cell.seen = true;
            cell.class = k.class;
            cell.gradient = k.gradient;
            cell.factor = 1.0
                + k.class.map_or(0.0, |k| config.class_weight * added_cost(k))
                + config.tilt_weight * slope * slope
                + config.roughness_weight * k.sigma_m / rough_m;
            if slope > config.hold_share.tilt {
                cell.factor = BARRIER;
            }
            cell.rocks = k.rocks.map(|share| self.rock_cost(f64::from(share)) as f32);
        }
        let near = |p: &Xy| (p[0] - at[0]).hypot(p[1] - at[1]) < 0.8 * rover.footprint_radius_m();
        if scene.dead_ends.iter().any(near) {
            cell.factor += DEAD_END;
        }
        cell
    }

    /// What rocks add to the cost factor when they take a share of a limit (which grows with the square of their height): low
    /// ones next to nothing; over the limit hardly any pose is safe.
    fn rock_cost(&self, share: f64) -> f64 {
        if share > 1.0 {
            BARRIER
        } else {
            (self.rock_weight * share * share.max(0.0).sqrt()).min(BARRIER)
        }
    }

    /// Seconds per metre in a cell when driving along a unit direction, without rocks.
    fn rate_spm(&self, cell: &Cell, direction: Xy) -> f64 {
        if !cell.seen {
            return self.pace_spm * cell.factor;
        }
        let grade = cell.gradient[0] * direction[0] + cell.gradient[1] * direction[1];
        // REP-103: nose up is negative pitch
        let slip = self.slip.worst(-grade.atan(), 1.0, cell.class);
        if slip > self.slip_limit {
            return self.pace_spm * BARRIER;
        }
        self.pace_spm * cell.factor.min(BARRIER) / (1.0 - slip).max(0.1)
    }

    /// Cost of `ds_m` metres at a pose, seconds; outside the map as on unknown ground.
    #[must_use]
    pub fn way_s(&self, pose: Pose2, ds_m: f64, unknown_factor: f64) -> f64 {
        let (s, c) = pose.yaw_rad.sin_cos();
        let cell = self
            .index([pose.x_m, pose.y_m])
            .and_then(|(col, row)| self.cells.get(row * self.cols + col));
        let rate = cell.map_or(self.pace_spm * unknown_factor, |cell| {
            // the rover's centre may be inside though the cell's centre is outside
            let factor = cell.factor.min(BARRIER);
            self.rate_spm(&Cell { factor, ..*cell }, [c, s])
        });
        let heading = self.rocks.heading(s, c);
        let rocks = self.rock_cost(self.rocks.share_at([pose.x_m, pose.y_m], &heading));
        (rate + self.pace_spm * rocks) * ds_m
    }

    /// Dijkstra from the waypoint, in buckets of a quarter of a free cell's cost: within a bucket the order does not
    /// matter by more than that.
    fn search(&mut self, config: &Config, scene: &Scene<'_>) {
        let width_s = 0.25 * self.cell_m * self.pace_spm;
        let mut buckets: Vec<Vec<usize>> = Vec::new();
        let push = |buckets: &mut Vec<Vec<usize>>, cost: f64, i: usize| {
            let k = (cost / width_s) as usize;
            if k < MAX_BUCKETS {
                if buckets.len() <= k {
                    buckets.resize_with(k + 1, Vec::new);
                }
                if let Some(b) = buckets.get_mut(k) {
                    b.push(i);
                }
            }
        };
        let straight = config.unknown_factor * self.pace_spm;
        if let Some((c, r)) = self.index(scene.goal_xy) {
            let i = r * self.cols + c;
            if let Some(v) = self.to_go_s.get_mut(i) {
                *v = 0.0;
            }
            push(&mut buckets, 0.0, i);
        } else {
            // The waypoint lies beyond the map: begin at the rim with the straight distance from there.
            for r in 0..self.rows {
                for c in 0..self.cols {
                    if r == 0 || c == 0 || r + 1 == self.rows || c + 1 == self.cols {
                        let p = self.centre(c, r);
                        let away = (p[0] - self.goal[0]).hypot(p[1] - self.goal[1]);
                        let i = r * self.cols + c;
                        if let Some(v) = self.to_go_s.get_mut(i) {
                            *v = away * straight;
                            push(&mut buckets, away * straight, i);
                        }
                    }
                }
            }
        }
        let mut done = vec![f64::INFINITY; self.to_go_s.len()];
        let mut k = 0;
        while k < buckets.len() {
            let Some(i) = buckets.get_mut(k).and_then(Vec::pop) else {
                k += 1;
                continue;
            };
            let here = self.to_go_s.get(i).copied().unwrap_or(f64::INFINITY);
            // Looked at already with this cost or a better one.
            match done.get_mut(i) {
                Some(d) if here < *d => *d = here,
                _ => continue,
            }
            let (c, r) = (i % self.cols, i / self.cols);
            for (d, (dc, dr)) in NEIGHBOURS.into_iter().enumerate() {
                let (Some(nc), Some(nr)) = (c.checked_add_signed(dc), r.checked_add_signed(dr))
                else {
                    continue;
                };
                if nc >= self.cols || nr >= self.rows {
                    continue;
                }
                let n = nr * self.cols + nc;
                let Some(cell) = self.cells.get(n) else {
                    continue;
                };
                if !cell.factor.is_finite() {
                    continue;
                }
                let steps = if d < 4 { 1.0 } else { std::f64::consts::SQRT_2 };
                // the rover drives from the neighbour to here, against the direction of the search
                let direction = [-(dc as f64) / steps, -(dr as f64) / steps];
                let rocks = cell.rocks.get(OPPOSITE[d]).copied().unwrap_or(0.0);
                let rate = self.rate_spm(cell, direction) + self.pace_spm * f64::from(rocks);
                let cost = here + rate * steps * self.cell_m;
                if let Some(best) = self.to_go_s.get_mut(n)
                    && cost < *best
                {
                    *best = cost;
                    push(&mut buckets, cost, n);
                }
            }
        }
    }

    /// Cost from a point to the waypoint, seconds; where the search did not come, the straight way as if all of it
    /// were a barrier.
    #[must_use]
    pub fn to_go_s(&self, p: Xy) -> f64 {
        let away = (p[0] - self.goal[0]).hypot(p[1] - self.goal[1]);
        let fx = (p[0] - self.origin_m[0]) / self.cell_m - 0.5;
        let fy = (p[1] - self.origin_m[1]) / self.cell_m - 0.5;
        let mut best = f64::INFINITY;
        let (west, south) = (fx.floor(), fy.floor());
        for dr in 0..2 {
            for dc in 0..2 {
                let (c, r) = (west + f64::from(dc), south + f64::from(dr));
                if c < 0.0 || r < 0.0 || c >= self.cols as f64 || r >= self.rows as f64 {
                    continue;
                }
                let (c, r) = (c as usize, r as usize);
                if let Some(&v) = self.to_go_s.get(r * self.cols + c) {
                    let q = self.centre(c, r);
                    best = best.min(v + (q[0] - p[0]).hypot(q[1] - p[1]) * self.pace_spm);
                }
            }
        }
        if best.is_finite() {
            best
        } else {
            away * self.pace_spm * BARRIER
        }
    }
}

/// Class code at a place.
fn seen_class(ground: &Ground, [x, y]: Xy) -> Option<f64> {
    ground.class.nearest(x, y)
}

/// What a class adds to the cost.
fn added_cost(code: f64) -> f64 {
    CLASSES
        .get(code.clamp(0.0, 255.0) as usize)
        .map_or(0.0, |t| t.added_cost)
}

/// Index of the opposite of each of [`NEIGHBOURS`].
const OPPOSITE: [usize; 8] = [1, 0, 3, 2, 7, 6, 5, 4];
/// Times that a cell may be thought at for nothing, and most that count.
const VISITS_FREE: f64 = 2.0;
const VISITS_MAX: f64 = 20.0;
/// Cost factor added where no way led on.
const DEAD_END: f64 = 6.0;
/// Most buckets; dearer ways count as none.
const MAX_BUCKETS: usize = 400_000;

const NEIGHBOURS: [(isize, isize); 8] = [
    (1, 0),
    (-1, 0),
    (0, 1),
    (0, -1),
    (1, 1),
    (1, -1),
    (-1, 1),
    (-1, -1),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{params, rover};
    use sojourn_core::{frames::Transform, geometry, raster::Raster};

    fn scene_costs(height: impl Fn(f64, f64) -> f32, goal_xy: Xy) -> CostMap {
        let r = rover("perseverance");
        let config = Config::new(&params(), &r).unwrap();
        let raster = Raster::filled(200, 200, 0.1, [-10.0, -10.0], 0.0).unwrap();
        let raster = raster.like(|c, row| {
            let [x, y] = raster.centre_m(c, row);
            height(x, y)
        });
        let corridor = Corridor::in_odom(
            &[geometry::corridor([0.0, 0.0], goal_xy, 6.0)],
            &Transform::identity(),
        );
        CostMap::build(
            &config,
            &r,
            &Scene {
                ground: &Ground::of(&raster, None, 0.1),
                corridor: &corridor,
                rover_xy: [0.0, 0.0],
                goal_xy,
                limits: &r.limits,
                speed_mps: 0.042,
                slip: &SlipForecast::new(r.slip, 0.1, 0.1),
                dead_ends: &[],
            },
            &mut CoarseMap::new(config.coarse_m, config.costmap_cell_m),
        )
    }

    #[test]
    fn flat_ground_costs_its_length() {
        let m = scene_costs(|_, _| 0.0, [8.0, 0.0]);
        let straight = 8.0 / 0.042 / 0.97;
        assert!((m.to_go_s([0.0, 0.0]) / straight - 1.0).abs() < 0.1);
        assert!(m.to_go_s([4.0, 0.0]) < 0.6 * m.to_go_s([0.0, 0.0]));
    }

    #[test]
    fn walls_are_gone_round_and_the_corridor_holds() {
        let wall = |x: f64, y: f64| {
            if (3.0..3.6).contains(&x) && y < 2.0 {
                1.5
            } else {
                0.0
            }
        };
        let m = scene_costs(wall, [8.0, 0.0]);
        assert!(m.to_go_s([2.0, 3.0]) < m.to_go_s([2.0, -2.0]));
        // beyond the corridor nothing leads to the waypoint
        assert!(m.to_go_s([0.0, 9.5]) > 20.0 * 8.0 / 0.042);
    }

    #[test]
    fn a_far_waypoint_is_sought_from_the_rim() {
        let m = scene_costs(|_, _| 0.0, [300.0, 0.0]);
        assert!(m.to_go_s([1.0, 0.0]) < m.to_go_s([0.0, 0.0]));
        assert!(m.cells.len() <= 4 * MAX_HALF_CELLS * MAX_HALF_CELLS);
    }

    #[test]
    fn uphill_is_dearer_than_downhill() {
        let m = scene_costs(|x, _| (x * 0.2) as f32, [8.0, 0.0]);
        assert!(
            m.way_s(Pose2::new(1.0, 0.0, 0.0), 1.0, 2.0)
                > m.way_s(Pose2::new(1.0, 0.0, 3.0), 1.0, 2.0)
        );
    }
}
