//! Hard rules looked at again with other code than the validator's: planes by the normal equations of all cells in
//! reach, polygons by winding and by points along their sides, lines by points a few centimetres apart.

use sojourn_core::constraints::Constraints;
use sojourn_core::frames::Pose2;
use sojourn_core::geometry::Xy;
use sojourn_core::rover::Rover;
use sojourn_core::settle::Settler;
use sojourn_core::site::Site;

const STEP_M: f64 = 0.1;

pub struct Twin<'a> {
    site: &'a Site,
    rover: &'a Rover,
    mission: &'a Constraints,
}

impl<'a> Twin<'a> {
    pub fn new(site: &'a Site, rover: &'a Rover, mission: &'a Constraints) -> Self {
        Self {
            site,
            rover,
            mission,
        }
    }

    /// Slope in degrees and roughness of the cell under a point.
    fn ground(&self, p: Xy) -> Option<(f64, f64)> {
        let z = self.site.elevation().unwrap();
        let (res, [x0, y0]) = (z.resolution_m(), z.origin_m());
        let (c, r) = (((p[0] - x0) / res).floor(), ((p[1] - y0) / res).floor());
        let inside =
            |c: f64, r: f64| c >= 0.0 && r >= 0.0 && c < z.cols() as f64 && r < z.rows() as f64;
        if !inside(c, r) || z.get(c as usize, r as usize).is_nan() {
            return None;
        }
        let radius = (self.rover.footprint_radius_m() / res).max(1.5);
        let n = radius.floor() as i64;
        let mut cells: Vec<[f64; 3]> = Vec::new();
        let mut full = 0usize;
        for dy in -n..=n {
            for dx in -n..=n {
                if ((dx * dx + dy * dy) as f64) > radius * radius {
                    continue;
                }
                full += 1;
                let (x, y) = (c + dx as f64, r + dy as f64);
                if inside(x, y) && !z.get(x as usize, y as usize).is_nan() {
                    cells.push([
                        dx as f64 * res,
                        dy as f64 * res,
                        f64::from(z.get(x as usize, y as usize)),
                    ]);
                }
            }
        }
        if (cells.len() as f64) < 0.6 * full as f64 {
            return None;
        }
        // Least squares by QR of [1 x y], one Householder-free Gram-Schmidt step after another.
        let m = cells.len() as f64;
        let mean = |k: usize| cells.iter().map(|v| v[k]).sum::<f64>() / m;
        let (mx, my, mz) = (mean(0), mean(1), mean(2));
        let dot = |f: &dyn Fn(&[f64; 3]) -> f64, g: &dyn Fn(&[f64; 3]) -> f64| {
            cells.iter().map(|v| f(v) * g(v)).sum::<f64>()
        };
        let ex = |v: &[f64; 3]| v[0] - mx;
        let k = dot(&|v| v[1] - my, &ex) / dot(&ex, &ex);
        let ey = |v: &[f64; 3]| v[1] - my - k * ex(v);
        let ez = |v: &[f64; 3]| v[2] - mz;
        let (ax, gy) = (dot(&ez, &ex) / dot(&ex, &ex), dot(&ez, &ey) / dot(&ey, &ey));
        let gx = ax - k * gy;
        let rest = cells
            .iter()
            .map(|v| (ez(v) - ax * ex(v) - gy * ey(v)).powi(2))
            .sum::<f64>()
            / m;
        Some((gx.hypot(gy).atan().to_degrees(), rest.sqrt()))
    }

    /// What is wrong with a route, if anything.
    pub fn fault(&self, line: &[Xy], start: Xy, goal: Xy, avoid: &[Vec<Xy>]) -> Option<String> {
        let far = |a: Xy, b: Xy| ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt();
        let (first, last) = (line[0], line[line.len() - 1]);
        if far(first, start) > 1.0 + 1e-6 || far(last, goal) > self.mission.goal_tolerance_m + 1e-6
        {
            return Some(format!("it leads from {first:?} to {last:?}"));
        }
        let settler = Settler::new(self.rover, 0.25 * self.rover.wheel.radius_m);
        let z = self.site.elevation().unwrap();
        for w in line.windows(2) {
            let (a, b) = (w[0], w[1]);
            let d = far(a, b);
            if !(1e-6..=15.0 + 1e-6).contains(&d) {
                return Some(format!("a segment is {d} m long"));
            }
            let n = (d / STEP_M).ceil() as usize;
            for i in 0..=n {
                let t = i as f64 / n as f64;
                let p = [a[0] * (1.0 - t) + b[0] * t, a[1] * (1.0 - t) + b[1] * t];
                // Points on the very edge of a cell belong to either side.
                let Some((slope, rough)) = self.ground(p) else {
                    return Some(format!("nothing is known of {p:?}"));
                };
                let edge = |v: f64| ((v / z.resolution_m()).fract() - 0.5).abs() > 0.5 - 1e-6;
                if !(edge(p[0]) || edge(p[1]))
                    && (slope > self.mission.max_slope_deg + 1e-3
                        || rough > self.mission.max_roughness_m + 1e-4)
                {
                    return Some(format!(
                        "{p:?} has a slope of {slope}° and a roughness of {rough} m"
                    ));
                }
                for polygon in &self.mission.keep_out {
                    let reach = self.rover.footprint_radius_m() - 1e-3;
                    if winds(p, polygon) || sides(polygon).any(|q| far(p, q) < reach - STEP_M) {
                        return Some(format!("{p:?} is in or beside a keep-out"));
                    }
                }
                if avoid.iter().any(|polygon| winds(p, polygon)) {
                    return Some(format!("{p:?} is on ground to be avoided"));
                }
                if i % 10 == 0 {
                    let yaw = (b[1] - a[1]).atan2(b[0] - a[0]);
                    let stand = settler.settle(z, Pose2::new(p[0], p[1], yaw));
                    // A tenth over: the two look at other points.
                    if stand.is_none_or(|s| s.excess(&self.rover.limits, 1.1).is_some()) {
                        return Some(format!("the rover cannot stand at {p:?}"));
                    }
                }
            }
        }
        None
    }
}

/// Points along the sides of a polygon.
fn sides(polygon: &[Xy]) -> impl Iterator<Item = Xy> + '_ {
    (0..polygon.len()).flat_map(move |i| {
        let (a, b) = (polygon[i], polygon[(i + 1) % polygon.len()]);
        let n = ((a[0] - b[0]).hypot(a[1] - b[1]) / STEP_M).ceil().max(1.0) as usize;
        (0..=n).map(move |k| {
            let t = k as f64 / n as f64;
            [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]
        })
    })
}

/// Whether a polygon winds around a point: the angles under which its sides are seen add up to a whole turn.
fn winds(p: Xy, polygon: &[Xy]) -> bool {
    let mut sum = 0.0;
    for i in 0..polygon.len() {
        let (a, b) = (polygon[i], polygon[(i + 1) % polygon.len()]);
        let (u, v) = ([a[0] - p[0], a[1] - p[1]], [b[0] - p[0], b[1] - p[1]]);
        sum += (u[0] * v[1] - u[1] * v[0]).atan2(u[0] * v[0] + u[1] * v[1]);
    }
    sum.abs() > std::f64::consts::PI
}
