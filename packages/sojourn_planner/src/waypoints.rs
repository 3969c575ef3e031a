//! What a waypoint carries: corridor, limits, time-out, risk and the reasons for people.

use crate::cost::{Block, CostMap};
use crate::line::cells_along;
use crate::slip::soft;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{self, Xy, distance_m, distance_to_segment_m, segments_cross};
use sojourn_core::plan::{Feature, Waypoint, WaypointLimits};
use sojourn_core::rover::Rover;

/// Hazards nearer than this to a segment are named in its reasons, metres.
const NAMED_WITHIN_M: f64 = 12.0;
/// Learned slip that differs by less from the rover's model is not told.
const TOLD_SLIP: f64 = 0.02;
/// A corridor is never narrower than this to each side, metres.
const LEAST_HALF_WIDTH_M: f64 = 0.4;

/// Everything that the waypoints of a plan are made from.
pub(crate) struct Maker<'a> {
    pub map: &'a CostMap,
    pub rover: &'a Rover,
    pub constraints: &'a Constraints,
    pub features: &'a [Feature],
}

struct Ground {
    slope_deg: f64,
    roughness_m: f64,
    clearance_m: f64,
    tightest: usize,
    features: Vec<usize>,
}

impl Maker<'_> {
    /// Waypoints for a chain of points.
    pub fn make(&self, start: Xy, chain: &[Xy]) -> Vec<Waypoint> {
        let c = self.constraints;
        let mut out = Vec::with_capacity(chain.len());
        let mut from = start;
        let mut heading_rad: Option<f64> = None;
        for (k, &to) in chain.iter().enumerate() {
            let ground = self.ground(from, to);
            let yaw_rad = (to[1] - from[1]).atan2(to[0] - from[0]);
            let turn_rad = heading_rad.map_or(0.0, |h| {
                (yaw_rad - h + std::f64::consts::PI).rem_euclid(std::f64::consts::TAU)
                    - std::f64::consts::PI
            });
            heading_rad = Some(yaw_rad);
            let last = k + 1 == chain.len();
            let stop = c
                .stops
                .iter()
                .find(|s| distance_m(s.at_m, to) <= s.tolerance_m);
            let mut reasons = self.reasons(from, to, &ground);
            if let Some(stop) = stop {
                reasons.insert(0, format!("visits the stop \"{}\"", stop.name));
            }
            out.push(Waypoint {
                x_m: to[0],
                y_m: to[1],
                tolerance_m: if last {
                    c.goal_tolerance_m
                } else {
                    stop.map_or(c.waypoint_tolerance_m, |s| {
                        s.tolerance_m.min(c.waypoint_tolerance_m)
                    })
                },
                mode: c.default_mode,
                corridor: geometry::corridor(from, to, self.half_width_m(from, to)),
                limits: WaypointLimits {
                    tilt_deg: self.rover.limits.tilt_deg,
                    slip: self.rover.limits.slip,
                    speed_mps: self.rover.drive.cruise_mps,
                },
                timeout_s: self.timeout_s(from, to, turn_rad, &ground),
                risk: self.risk(&ground),
                reasons,
            });
            from = to;
        }
        out
    }

    fn ground(&self, a: Xy, b: Xy) -> Ground {
        let mut g = Ground {
            slope_deg: 0.0,
            roughness_m: 0.0,
            clearance_m: f64::INFINITY,
            tightest: 0,
            features: Vec::new(),
        };
        cells_along(self.map, a, b, |i, _| {
            g.slope_deg = g.slope_deg.max(f64::from(self.map.slope.data()[i]));
            g.roughness_m = g.roughness_m.max(f64::from(self.map.roughness.data()[i]));
            let clear_m = f64::from(self.map.clearance_m[i]);
            if clear_m < g.clearance_m {
                (g.clearance_m, g.tightest) = (clear_m, i);
            }
            let centre = self.map.centre(i);
            for (k, f) in self.features.iter().enumerate() {
                if !g.features.contains(&k) && geometry::in_polygon(centre, &f.polygon) {
                    g.features.push(k);
                }
            }
            true
        });
        g
    }

    /// Half the width of a segment's corridor: the mission's, less where a keep-out is near. The corners reach
    /// farther than the sides, hence the square root.
    fn half_width_m(&self, a: Xy, b: Xy) -> f64 {
        let wanted = self.constraints.corridor_half_width_m;
        let nearest_m = self
            .constraints
            .keep_out
            .iter()
            .map(|p| distance_to_polygon_m(a, b, p))
            .fold(f64::INFINITY, f64::min);
        wanted.min((nearest_m / std::f64::consts::SQRT_2 - 0.01).max(LEAST_HALF_WIDTH_M))
    }

    fn timeout_s(&self, a: Xy, b: Xy, turn_rad: f64, ground: &Ground) -> f64 {
        let drive = &self.rover.drive;
        let slip = self.slip(ground).min(0.7);
        let speed_mps = self.constraints.speed_share * drive.cruise_mps * (1.0 - slip);
        let expected_s = distance_m(a, b) / speed_mps + turn_rad.abs() / drive.turn_rate_radps;
        (self.constraints.timeout_factor * expected_s).ceil()
    }

    /// The slip to be expected on the steepest of a segment's ground: the worst of the classes that its labels tell.
    fn slip(&self, g: &Ground) -> f64 {
        let pitch_rad = -g.slope_deg.to_radians();
        let told = g.features.iter().filter_map(|&k| self.features.get(k));
        told.map(|f| self.map.slip.expected(pitch_rad, Some(f.class)))
            .fold(self.map.slip.expected(pitch_rad, None), f64::max)
    }

    fn risk(&self, g: &Ground) -> f64 {
        let slope = (g.slope_deg / self.map.ground.slope_deg).clamp(0.0, 1.0);
        let rough = (g.roughness_m / self.map.ground.roughness_m).clamp(0.0, 1.0);
        let beside = (1.0 - g.clearance_m / 10.0).clamp(0.0, 1.0);
        let labels: f64 = g
            .features
            .iter()
            .filter_map(|&k| self.features.get(k))
            .map(|f| 1.0 - 0.1 * f.added_cost.clamp(0.0, 8.0))
            .product();
        let safe = (1.0 - 0.5 * slope * slope)
            * (1.0 - 0.3 * rough * rough)
            * (1.0 - 0.3 * beside)
            * labels;
        // Three decimals say all that such an estimate knows.
        ((1.0 - safe) * 1000.0).round() / 1000.0
    }

    fn reasons(&self, a: Xy, b: Xy, g: &Ground) -> Vec<String> {
        let mut out = vec![format!(
            "slope {:.1}° and roughness {:.2} m at most over {:.1} m",
            g.slope_deg,
            g.roughness_m,
            distance_m(a, b)
        )];
        let model = self.rover.slip.slip(-g.slope_deg.to_radians(), 1.0);
        let slip = self.slip(g);
        if (slip - model).abs() >= TOLD_SLIP {
            out.push(format!(
                "earlier drives let expect slip of {:.0} %, the rover's model {:.0} %",
                100.0 * slip,
                100.0 * model
            ));
        }
        if g.clearance_m < NAMED_WITHIN_M
            && let Some(hazard) = self.nearest_hazard(g.tightest)
        {
            let p = self.map.centre(hazard);
            out.push(format!(
                "passes {:.1} m beside ground at ({:.1}, {:.1}) that {}",
                g.clearance_m,
                p[0],
                p[1],
                self.map.explain(hazard, self.features)
            ));
        }
        for &k in &g.features {
            if let Some(f) = self.features.get(k) {
                out.push(format!(
                    "crosses label {k} \"{}\" of {} (confidence {:.2}), which adds {:.2} to the cost of a metre{}",
                    f.class.traits().name,
                    f.source,
                    f.confidence,
                    f.added_cost,
                    if soft(f.class) {
                        ", less where it is level and more where it is steep"
                    } else {
                        ""
                    }
                ));
            }
        }
        out
    }

    /// The closed cell that a cell's clearance is measured to.
    fn nearest_hazard(&self, cell: usize) -> Option<usize> {
        let map = self.map;
        let reach = (NAMED_WITHIN_M / map.cell_m()).ceil() as i64;
        let (c, r) = ((cell % map.cols()) as i64, (cell / map.cols()) as i64);
        let mut best: Option<(i64, usize)> = None;
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let (x, y) = (c + dx, r + dy);
                if x < 0 || y < 0 || x >= map.cols() as i64 || y >= map.rows() as i64 {
                    continue;
                }
                let i = y as usize * map.cols() + x as usize;
                let d = dx * dx + dy * dy;
                if map.block[i] != Block::Free && best.is_none_or(|(b, _)| d < b) {
                    best = Some((d, i));
                }
            }
        }
        best.map(|(_, i)| i)
    }
}

/// Distance from a segment to a polygon, metres; 0 when they touch or the segment is inside.
pub(crate) fn distance_to_polygon_m(a: Xy, b: Xy, polygon: &[Xy]) -> f64 {
    if geometry::in_polygon(a, polygon) {
        return 0.0;
    }
    let mut best = f64::INFINITY;
    for i in 0..polygon.len() {
        let (p, q) = (polygon[i], polygon[(i + 1) % polygon.len()]);
        if segments_cross(a, b, p, q) {
            return 0.0;
        }
        best = best
            .min(distance_to_segment_m(a, p, q))
            .min(distance_to_segment_m(b, p, q))
            .min(distance_to_segment_m(p, a, b))
            .min(distance_to_segment_m(q, a, b));
    }
    best
}
