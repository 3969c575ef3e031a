//! The coarse cost map around rover and waypoint and the cost to go on it (Dijkstra from the waypoint).
//!
//! It only ranks candidates. Whether the rover may stand somewhere is decided by settling ([`crate::check`]). Ground that was
//! never seen costs what orbit tells of it, where there is an orbital layer ([`crate::orbital`]), and never less than unknown
//! ground does without one; beyond the map the cost to go goes on over that layer alone.

mod far;
mod priced;
mod spread;

use crate::{
    coarse::{CoarseMap, Known},
    config::Config,
    corridor::Corridor,
    ground::Ground,
    orbital::Told,
    planes::Moments,
    rocks::Rocks,
    slip_forecast::SlipForecast,
};
pub use far::{Beyond, FarMemory};
use sojourn_core::{classes::CLASSES, frames::Pose2, geometry::Xy, limits::Limits, rover::Rover};
use spread::{Grid, NEIGHBOURS};

/// Most cells from the middle of the map to its side; bounds time and memory.
const MAX_HALF_CELLS: usize = 75;
/// Cost factor of a step that limits would probably forbid; finite, because a rover can straddle.
const BARRIER: f64 = 30.0;

/// Where what is known of a cell comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Source {
    #[default]
    Nowhere,
    Orbit,
    Seen,
}

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
    source: Source,
}

impl Cell {
    /// A cell that was not seen, dearer than unknown ground by what orbit tells of it.
    fn from_orbit(config: &Config, rover: &Rover, limits: &Limits, told: &Told) -> Self {
        let slope = told.slope_rad / limits.tilt_rad();
        let rough_m = 0.2 * rover.wheel.radius_m;
        let mut factor = config.unknown_factor
            + told
                .class
                .map_or(0.0, |k| config.class_weight * added_cost(k))
            + config.tilt_weight * slope * slope
            + config.roughness_weight * told.sigma_m / rough_m;
        if slope > config.hold_share.tilt {
            factor = factor.max(BARRIER);
        }
        Self {
            gradient: told.gradient,
            factor,
            class: told.class,
            source: Source::Orbit,
            ..Self::default()
        }
    }
}

/// What driving takes, without rocks.
#[derive(Clone, Debug)]
struct Pace {
    /// Seconds per metre on easy ground.
    easy_spm: f64,
    slip: SlipForecast,
    slip_limit: f64,
}

impl Pace {
    /// Seconds per metre in a cell when driving along a unit direction, without rocks.
    fn rate_spm(&self, cell: &Cell, direction: Xy) -> f64 {
        if cell.source == Source::Nowhere {
            return self.easy_spm * cell.factor;
        }
        let grade = cell.gradient[0] * direction[0] + cell.gradient[1] * direction[1];
        // REP-103: nose up is negative pitch
        self.slipping_spm(cell, self.slip.worst(-grade.atan(), 1.0, cell.class))
    }

    /// Seconds per metre in a cell where something is known, at a slip.
    fn slipping_spm(&self, cell: &Cell, slip: f64) -> f64 {
        if cell.source == Source::Orbit {
            // Never below unknown ground, whose factor the cell's contains.
            let factor = if slip > self.slip_limit {
                cell.factor.max(BARRIER)
            } else {
                cell.factor / (1.0 - slip).max(0.1)
            };
            return self.easy_spm * factor;
        }
        if slip > self.slip_limit {
            return self.easy_spm * BARRIER;
        }
        self.easy_spm * cell.factor.min(BARRIER) / (1.0 - slip).max(0.1)
    }
}

/// The map with cost per metre and cost to go, in seconds.
#[derive(Clone, Debug)]
pub struct CostMap {
    grid: Grid,
    cells: Vec<Cell>,
    to_go_s: Vec<f64>,
    pace: Pace,
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
    /// What orbit tells of ground that was not seen, where there is an orbital layer.
    pub orbit: Option<Beyond<'a>>,
}

impl CostMap {
    /// Works what is seen now into the memory, builds the map from the memory and searches from the waypoint. `far` saves the
    /// work beyond the map and changes nothing else.
    #[must_use]
    pub fn build(
        config: &Config,
        rover: &Rover,
        scene: &Scene<'_>,
        memory: &mut CoarseMap,
        far: &mut FarMemory,
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
            grid: Grid {
                cols,
                rows,
                cell_m,
                origin_m: [x0, y0],
            },
            cells: vec![Cell::default(); cols * rows],
            to_go_s: Vec::new(),
            pace: Pace {
                easy_spm: 1.0 / scene.speed_mps.max(1e-3),
                slip: scene.slip.clone(),
                slip_limit: scene.limits.slip * config.slip_share,
            },
            goal: scene.goal_xy,
            rocks: Rocks::new(scene.ground, rover, scene.limits),
            rock_weight: config.rock_weight,
        };
        map.remember(rover, scene, memory);
        map.weigh(config, rover, scene, memory);
        map.search(config, rover, scene, far);
        map
    }

    /// Time for a metre straight ahead on clear ground, seconds.
    #[must_use]
    pub fn pace_spm(&self) -> f64 {
        self.pace.easy_spm
    }

    /// Column (axis 0) or row (axis 1) of a coordinate of `odom`, and its distance from the map's corner, metres.
    fn along(&self, axis: usize, v: f64) -> Option<(usize, f64)> {
        let at_m = v - self.grid.origin_m[axis];
        let i = at_m / self.grid.cell_m;
        let n = if axis == 0 {
            self.grid.cols
        } else {
            self.grid.rows
        };
        (i >= 0.0 && i < n as f64).then_some((i as usize, at_m))
    }

    /// Cell of `odom` of the map's south-west corner.
    fn corner(&self) -> [i64; 2] {
        self.grid
            .origin_m
            .map(|v| (v / self.grid.cell_m).round() as i64)
    }

    /// Works what the window shows into the memory: planes of the rover's size, rocks, classes.
    fn remember(&self, rover: &Rover, scene: &Scene<'_>, memory: &mut CoarseMap) {
        let seen = &scene.ground.seen;
        let towards = NEIGHBOURS.map(|(dc, dr)| self.rocks.towards((dr as f64).atan2(dc as f64)));
        let mut sums = vec![Moments::default(); self.grid.cols * self.grid.rows];
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
                    && let Some(sum) = sums.get_mut(r * self.grid.cols + c)
                {
                    sum.add(&Moments::of(x, y, f64::from(*z)));
                }
            }
        }
        let half = (0.6 * rover.footprint_radius_m() / self.grid.cell_m)
            .round()
            .max(1.0) as usize;
        let corner = self.corner();
        for r in 0..self.grid.rows {
            for c in 0..self.grid.cols {
                if !(sums.get(r * self.grid.cols + c).map_or(0.0, |s| s.n) > 0.0) {
                    continue;
                }
                let mut m = Moments::default();
                for rr in r.saturating_sub(half)..=(r + half).min(self.grid.rows - 1) {
                    for cc in c.saturating_sub(half)..=(c + half).min(self.grid.cols - 1) {
                        if let Some(sum) = sums.get(rr * self.grid.cols + cc) {
                            m.add(sum);
                        }
                    }
                }
                let Some(plane) = m.plane() else {
                    continue;
                };
                let at = self.grid.centre(c, r);
                let mut known = Known::new(plane, m.n);
                known.class = seen_class(scene.ground, at);
                for (rocks, direction) in known.rocks.iter_mut().zip(&towards) {
                    *rocks = self
                        .rocks
                        .share_towards(at, direction, 0.4 * self.grid.cell_m)
                        as f32;
                }
                memory.take([corner[0] + c as i64, corner[1] + r as i64], known);
            }
        }
    }

    /// Costs of all cells from what is remembered of them.
    fn weigh(&mut self, config: &Config, rover: &Rover, scene: &Scene<'_>, memory: &CoarseMap) {
        let corner = self.corner();
        for r in 0..self.grid.rows {
            for c in 0..self.grid.cols {
                let at = [corner[0] + c as i64, corner[1] + r as i64];
                let mut cell = self.cell(
                    config,
                    rover,
                    scene,
                    memory.known(at),
                    self.grid.centre(c, r),
                );
                // Where the rover has thought more often than it had to is dear, so that it tries another way.
                let again = (memory.visits(at) - VISITS_FREE).clamp(0.0, VISITS_MAX);
                cell.factor += config.visit_weight * again;
                if let Some(slot) = self.cells.get_mut(r * self.grid.cols + c) {
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
        if let Some(told) = scene
            .orbit
            .filter(|_| known.is_none())
            .and_then(|beyond| beyond.orbit.at(at))
        {
            cell = Cell::from_orbit(config, rover, scene.limits, &told);
        }
        if let Some(k) = known {
            let slope = k.gradient[0].hypot(k.gradient[1]).atan() / scene.limits.tilt_rad();
            let rough_m = 0.2 * rover.wheel.radius_m;
            cell.source = Source::Seen;
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

    /// Cost of `ds_m` metres at a pose, seconds; outside the map as on unknown ground.
    #[must_use]
    pub fn way_s(&self, pose: Pose2, ds_m: f64, unknown_factor: f64) -> f64 {
        let (s, c) = pose.yaw_rad.sin_cos();
        let cell = self
            .grid
            .index([pose.x_m, pose.y_m])
            .and_then(|(col, row)| self.cells.get(row * self.grid.cols + col));
        let rate = cell.map_or(self.pace.easy_spm * unknown_factor, |cell| {
            // the rover's centre may be inside though the cell's centre is outside
            let factor = cell.factor.min(BARRIER);
            self.pace.rate_spm(&Cell { factor, ..*cell }, [c, s])
        });
        let heading = self.rocks.heading(s, c);
        let rocks = self.rock_cost(self.rocks.share_at([pose.x_m, pose.y_m], &heading));
        (rate + self.pace.easy_spm * rocks) * ds_m
    }

    /// Dijkstra from the waypoint, in buckets of a quarter of a free cell's cost.
    fn search(
        &mut self,
        config: &Config,
        rover: &Rover,
        scene: &Scene<'_>,
        memory: &mut FarMemory,
    ) {
        let grid = &self.grid;
        let straight_spm = config.unknown_factor * self.pace.easy_spm;
        let seeds: Vec<(usize, f64)> = if let Some((c, r)) = grid.index(scene.goal_xy) {
            vec![(r * grid.cols + c, 0.0)]
        } else {
            // The waypoint lies beyond the map: begin at the rim with the straight distance from there, or with what orbit tells.
            let far = scene
                .orbit
                .map(|beyond| memory.search(config, rover, scene, &self.pace, beyond));
            grid.rim()
                .map(|(c, r)| {
                    let p = grid.centre(c, r);
                    let away = (p[0] - self.goal[0]).hypot(p[1] - self.goal[1]);
                    let straight_s = away * straight_spm;
                    let cost = far
                        .as_ref()
                        .map_or(straight_s, |far| far(p).max(straight_s));
                    (r * grid.cols + c, cost)
                })
                .collect()
        };
        let width_s = 0.25 * grid.cell_m * self.pace.easy_spm;
        self.to_go_s = grid.spread(width_s, seeds.into_iter(), |n, d, direction| {
            let cell = self.cells.get(n).filter(|cell| cell.factor.is_finite())?;
            let rocks = OPPOSITE
                .get(d)
                .and_then(|&d| cell.rocks.get(d))
                .copied()
                .unwrap_or(0.0);
            Some(self.pace.rate_spm(cell, direction) + self.pace.easy_spm * f64::from(rocks))
        });
    }

    /// Cost from a point to the waypoint, seconds; where the search did not come, the straight way as if all of it
    /// were a barrier.
    #[must_use]
    pub fn to_go_s(&self, p: Xy) -> f64 {
        let away = (p[0] - self.goal[0]).hypot(p[1] - self.goal[1]);
        let best = self.grid.nearest_s(&self.to_go_s, p, self.pace.easy_spm);
        if best.is_finite() {
            best
        } else {
            away * self.pace.easy_spm * BARRIER
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

#[cfg(test)]
mod tests;
