//! The ground as the validator sees it: points on the full raster, not cells of the search.

use super::Limits;
use super::verdict::{Code, Violation};
use crate::cost::{CostMap, Ground as Bounds};
use crate::error::PlanError;
use crate::freshness::Stale;
use crate::slip::ExpectedSlip;
use crate::stand::{Stander, Trouble};
use crate::waypoints::distance_to_polygon_m;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_m, in_polygon, length_m};
use sojourn_core::raster::Raster;
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;
use sojourn_core::terrain::ground_of;
use std::sync::OnceLock;

/// Rounding that lengths may carry, metres.
pub(crate) const ROUNDING_M: f64 = 1e-6;
/// Share of the rover's limits that a plan from anywhere may use.
const SHARE: f64 = 1.0;

/// Site, rover, mission and limits that plans are checked against.
pub struct Ground<'a> {
    /// The site.
    pub site: &'a Site,
    /// The rover.
    pub rover: &'a Rover,
    /// The mission.
    pub constraints: &'a Constraints,
    /// The validator's limits.
    pub limits: &'a Limits,
    pub(crate) elevation: &'a Raster,
    pub(crate) slope: Raster,
    pub(crate) roughness: Raster,
    pub(crate) bounds: Bounds,
    pub(crate) stale: Stale,
    stander: Stander<'a>,
    bare: OnceLock<CostMap>,
}

/// What is wrong at one point.
struct Bad {
    code: Code,
    measured: f64,
    limit: f64,
    unit: &'static str,
    what: String,
}

impl<'a> Ground<'a> {
    /// Measures slope and roughness over the rover's footprint.
    ///
    /// # Errors
    /// [`PlanError::Core`] when the site has no elevation.
    pub fn new(
        site: &'a Site,
        rover: &'a Rover,
        constraints: &'a Constraints,
        limits: &'a Limits,
    ) -> Result<Self, PlanError> {
        let elevation = site.elevation()?;
        let (slope, roughness) = ground_of(site, rover.footprint_radius_m())?;
        Ok(Self {
            site,
            rover,
            constraints,
            limits,
            elevation,
            slope,
            roughness,
            bounds: Bounds::of(rover, constraints, &ExpectedSlip::of(rover)?),
            stale: Stale::of(site, constraints)?,
            stander: Stander::with_share(rover, elevation, SHARE),
            bare: OnceLock::new(),
        })
    }

    /// The ground without labels, keep-outs and keep-ins, for comparison.
    pub(crate) fn bare(&self) -> Result<&CostMap, PlanError> {
        if let Some(bare) = self.bare.get() {
            return Ok(bare);
        }
        let alone = Constraints {
            keep_out: Vec::new(),
            keep_in: Vec::new(),
            ..self.constraints.clone()
        };
        let bare = CostMap::of_layers(
            &self.slope,
            &self.roughness,
            self.rover,
            &alone,
            &[],
            &ExpectedSlip::of(self.rover)?,
            self.stale,
        )?;
        Ok(self.bare.get_or_init(|| bare))
    }

    /// Distance from a point to ground that slope, roughness or missing data close, metres.
    pub(crate) fn clearance_m(&self, p: Xy) -> Option<f64> {
        let bare = self.bare().ok()?;
        let i = bare.index(p)?;
        bare.clearance_m.get(i).copied().map(f64::from)
    }

    /// Height of the map's northern edge and its western edge, metres: the corner that image coordinates start from.
    pub(crate) fn north_west_m(&self) -> Xy {
        let ([x, y], [_, h]) = (self.elevation.origin_m(), self.elevation.size_m());
        [x, y + h]
    }

    /// Slope and roughness at a point.
    fn bad(&self, p: Xy) -> Option<Bad> {
        let at = format!("at ({:.1}, {:.1})", p[0], p[1]);
        let limit = self.bounds.slope_deg;
        let (Some(slope), Some(rough)) = (
            self.slope.nearest(p[0], p[1]),
            self.roughness.nearest(p[0], p[1]),
        ) else {
            return Some(Bad {
                code: Code::NoData,
                measured: f64::NAN,
                limit: f64::NAN,
                unit: "",
                what: format!("nothing is known of the ground {at}"),
            });
        };
        if !(slope <= limit) {
            return Some(Bad {
                code: Code::SlopeMax,
                measured: slope,
                limit,
                unit: "deg",
                what: format!(
                    "slope {slope:.1}° {at}, limit {limit:.1}° ({})",
                    self.bounds.slope_why
                ),
            });
        }
        let limit = self.bounds.roughness_m;
        (!(rough <= limit)).then(|| Bad {
            code: Code::RoughnessMax,
            measured: rough,
            limit,
            unit: "m",
            what: format!("roughness {rough:.2} m {at}, limit {limit:.2} m"),
        })
    }

    /// Whether a line's own points lie on sound ground, every `step_m`.
    pub(crate) fn line_is_sound(&self, line: &[Xy], step_m: f64) -> bool {
        crate::smooth::densify(line, step_m)
            .into_iter()
            .all(|p| self.bad(p).is_none())
    }

    /// Steepest and roughest ground on the line.
    pub(crate) fn worst(&self, line: &[Xy]) -> (f64, f64) {
        crate::smooth::densify(line, self.limits.ground.step_m)
            .into_iter()
            .fold((0.0, 0.0), |(s, q): (f64, f64), p| {
                let of = |r: &Raster| r.nearest(p[0], p[1]).unwrap_or(0.0);
                (s.max(of(&self.slope)), q.max(of(&self.roughness)))
            })
    }

    /// Calls `see(segment, foot on the line, point of the tube)` all over the tube that the rover may sweep.
    fn sweep(&self, line: &[Xy], mut see: impl FnMut(usize, Xy, Xy)) {
        let g = &self.limits.ground;
        let (tube_m, whole_m) = (self.limits.tube_m(), length_m(line));
        let lanes = (tube_m / g.step_m).ceil().max(1.0) as i64;
        let open = |along_m: f64| {
            let end_m = along_m.min(whole_m - along_m).max(0.0);
            tube_m
                * if g.taper_m > 0.0 {
                    (end_m / g.taper_m).min(1.0)
                } else {
                    1.0
                }
        };
        let mut before_m = 0.0;
        for (k, w) in line.windows(2).enumerate() {
            let (a, b) = (w[0], w[1]);
            let d = distance_m(a, b);
            let n = (d / g.step_m).ceil().max(1.0) as usize;
            let across = if d > 0.0 {
                [-(b[1] - a[1]) / d, (b[0] - a[0]) / d]
            } else {
                [0.0, 1.0]
            };
            for s in 0..=n {
                let t = s as f64 / n as f64;
                let foot = [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
                let half = open(before_m + t * d);
                for lane in -lanes..=lanes {
                    let off = half * lane as f64 / lanes as f64;
                    see(
                        k,
                        foot,
                        [foot[0] + off * across[0], foot[1] + off * across[1]],
                    );
                }
            }
            // Around the corner, where the lanes leave a wedge open.
            let half = open(before_m + d);
            for turn in 0..8 {
                let (sin, cos) = (f64::from(turn) * std::f64::consts::FRAC_PI_4).sin_cos();
                see(k, b, [b[0] + half * cos, b[1] + half * sin]);
            }
            before_m += d;
        }
    }

    /// Feet of places in the tube where the ground is not sound, and of turns on ground too steep for them.
    pub(crate) fn troubles(&self, line: &[Xy]) -> Vec<Trouble> {
        let mut out: Vec<Trouble> = Vec::new();
        self.sweep(line, |k, foot, p| {
            if out.last().is_some_and(|t| t.at == foot) {
                return;
            }
            if let Some(bad) = self.bad(p) {
                let (a, b) = (line[k], line[k + 1]);
                out.push(Trouble {
                    at: foot,
                    yaw_rad: (b[1] - a[1]).atan2(b[0] - a[0]),
                    what: format!("ground within its reach that is not sound: {}", bad.what),
                });
            }
        });
        for (at, slope, yaw_rad) in self.steep_turns(line) {
            out.push(Trouble {
                at,
                yaw_rad,
                what: format!("a turn on a slope of {slope:.1}°"),
            });
        }
        out
    }

    /// Corners of the line that are sharp and too steep: place, slope, heading after it.
    fn steep_turns(&self, line: &[Xy]) -> Vec<(Xy, f64, f64)> {
        let g = &self.limits.ground;
        line.windows(3)
            .filter_map(|w| {
                let slope = self.slope.nearest(w[1][0], w[1][1])?;
                let yaw = (w[2][1] - w[1][1]).atan2(w[2][0] - w[1][0]);
                let sharp = turn_deg(w[0], w[1], w[2]) > g.turn_deg;
                (sharp && slope > g.max_turn_slope_deg).then_some((w[1], slope, yaw))
            })
            .collect()
    }

    /// Section E.
    pub(crate) fn check(&self, line: &[Xy], out: &mut Vec<Violation>) {
        // One place of each kind per segment says enough.
        let mut said: Option<(usize, Vec<Code>)> = None;
        self.sweep(line, |k, _, p| {
            let Some(bad) = self.bad(p) else { return };
            if said.as_ref().is_none_or(|s| s.0 != k) {
                said = Some((k, Vec::new()));
            }
            if let Some((_, codes)) = &mut said
                && !codes.contains(&bad.code)
            {
                codes.push(bad.code);
                out.push(
                    Violation::hard(bad.code, format!("segment {k}: {}", bad.what))
                        .on(k, Some(p))
                        .value(bad.measured, bad.limit, bad.unit),
                );
            }
        });
        for (at, slope, _) in self.steep_turns(line) {
            let limit = self.limits.ground.max_turn_slope_deg;
            let k = line.iter().position(|p| *p == at).unwrap_or(1) - 1;
            out.push(
                Violation::hard(
                    Code::TurnGround,
                    format!(
                        "segment {k}: ends with a turn at ({:.1}, {:.1}) on a slope of {slope:.1}°, limit {limit:.1}°",
                        at[0], at[1]
                    ),
                )
                .on(k, Some(at))
                .value(slope, limit, "deg"),
            );
        }
        for (k, w) in line.windows(2).enumerate() {
            // Settling is dear; a segment that is refused already is not settled too.
            let refused = out.iter().any(|v| v.hard && v.segment == Some(k));
            if !refused && let Some(t) = self.stander.troubles(w[0], &w[1..]).into_iter().next() {
                out.push(
                    Violation::hard(
                        Code::Suspension,
                        format!(
                            "segment {k}: at ({:.1}, {:.1}) the rover would stand with {}",
                            t.at[0], t.at[1], t.what
                        ),
                    )
                    .on(k, Some(t.at)),
                );
            }
            self.zones(k, w[0], w[1], out);
            self.clear(k, w[0], w[1], out);
        }
    }

    /// The mission's clearance: every point of the line against the middles of the cells around it.
    fn clear(&self, k: usize, a: Xy, b: Xy, out: &mut Vec<Violation>) {
        let Some(least_m) = self.constraints.clearance_m else {
            return;
        };
        let (bounds, cell_m) = (&self.bounds, self.slope.resolution_m());
        let reach = (least_m / cell_m).ceil() as i64 + 1;
        let mut nearest: Option<(f64, Xy)> = None;
        for p in crate::smooth::densify(&[a, b], self.limits.ground.step_m) {
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    let near = [p[0] + dx as f64 * cell_m, p[1] + dy as f64 * cell_m];
                    let Some((c, r)) = self.slope.cell_of(near[0], near[1]) else {
                        continue;
                    };
                    let over = f64::from(self.slope.get(c, r)) > bounds.slope_deg
                        || f64::from(self.roughness.get(c, r)) > bounds.roughness_m;
                    let d = distance_m(p, self.slope.centre_m(c, r));
                    if over && d < least_m - ROUNDING_M && nearest.is_none_or(|(n, _)| d < n) {
                        nearest = Some((d, p));
                    }
                }
            }
        }
        if let Some((d, p)) = nearest {
            out.push(
                Violation::hard(
                    Code::Clearance,
                    format!(
                        "segment {k}: at ({:.1}, {:.1}) it comes within {d:.2} m of ground that is too steep or too rough, the mission's clearance_m is {least_m} m",
                        p[0], p[1]
                    ),
                )
                .on(k, Some(p))
                .value(d, least_m, "m"),
            );
        }
    }

    fn zones(&self, k: usize, a: Xy, b: Xy, out: &mut Vec<Violation>) {
        let least_m = self.rover.footprint_radius_m();
        for (i, polygon) in self.constraints.keep_out.iter().enumerate() {
            let d = distance_to_polygon_m(a, b, polygon);
            if !(d >= least_m - ROUNDING_M) {
                out.push(
                    Violation::hard(
                        Code::KeepOut,
                        format!(
                            "segment {k}: comes within {d:.2} m of keep_out[{i}], expected at least {least_m:.2} m"
                        ),
                    )
                    .on(k, None)
                    .value(d, least_m, "m"),
                );
            }
        }
        let keep_in = &self.constraints.keep_in;
        if keep_in.is_empty() {
            return;
        }
        let outside = crate::smooth::densify(&[a, b], self.limits.ground.step_m)
            .into_iter()
            .find(|p| !keep_in.iter().any(|polygon| in_polygon(*p, polygon)));
        if let Some(p) = outside {
            out.push(
                Violation::hard(
                    Code::KeepIn,
                    format!(
                        "segment {k}: leaves the keep-ins at ({:.1}, {:.1})",
                        p[0], p[1]
                    ),
                )
                .on(k, Some(p)),
            );
        }
    }
}

/// Turn at `b` on the way from `a` to `c`, degrees, 0 to 180.
pub(crate) fn turn_deg(a: Xy, b: Xy, c: Xy) -> f64 {
    let (u, v) = ([b[0] - a[0], b[1] - a[1]], [c[0] - b[0], c[1] - b[1]]);
    (u[0] * v[1] - u[1] * v[0])
        .atan2(u[0] * v[0] + u[1] * v[1])
        .abs()
        .to_degrees()
}
