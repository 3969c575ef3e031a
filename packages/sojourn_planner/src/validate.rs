//! Checks a plan again from the document alone, with other means than it was made with: the full raster instead of the
//! search's cells, points instead of cells.

use crate::cost::Ground;
use crate::error::PlanError;
use crate::waypoints::distance_to_polygon_m;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_m};
use sojourn_core::plan::{Plan, digest_of};
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;
use sojourn_core::terrain::slope_roughness;

/// Spacing of the points that are looked at along the way, metres.
const STEP_M: f64 = 0.25;
/// Rounding that lengths may carry, metres.
const ROUNDING_M: f64 = 1e-6;

/// Something that is wrong with a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// Index of the waypoint on the way to which it is wrong.
    pub waypoint: Option<usize>,
    /// Where, `map` metres.
    pub at_m: Option<Xy>,
    /// Short name of the rule.
    pub rule: &'static str,
    /// One sentence with the value and the limit.
    pub message: String,
}

/// Everything that is wrong with a plan for this site, rover and mission; empty when it is sound.
///
/// # Errors
/// [`PlanError::Core`] when the site has no elevation or an input cannot be digested.
pub fn validate(
    plan: &Plan,
    site: &Site,
    rover: &Rover,
    constraints: &Constraints,
) -> Result<Vec<Violation>, PlanError> {
    let mut out = Vec::new();
    if let Err(e) = plan.check("plan") {
        // Without sound numbers nothing else can be looked at.
        out.push(Violation {
            waypoint: None,
            at_m: None,
            rule: "document",
            message: e.to_string(),
        });
        return Ok(out);
    }
    for (rule, found, expected) in [
        ("site_digest", &plan.site_digest, site.terrain_digest()?),
        (
            "rover_digest",
            &plan.rover_digest,
            digest_of("rover", rover)?,
        ),
        (
            "constraints_digest",
            &plan.constraints_digest,
            digest_of("constraints", constraints)?,
        ),
    ] {
        if *found != expected {
            out.push(Violation {
                waypoint: None,
                at_m: None,
                rule,
                message: format!("{rule} is {found}, expected {expected}"),
            });
        }
    }
    let elevation = site.elevation()?;
    let (slope, roughness) = slope_roughness(elevation, rover.footprint_radius_m());
    let checker = Checker {
        plan,
        rover,
        constraints,
        ground: Ground::of(rover, constraints),
        slope: &|p: Xy| slope.nearest(p[0], p[1]),
        roughness: &|p: Xy| roughness.nearest(p[0], p[1]),
    };
    let mut from = [plan.start.x_m, plan.start.y_m];
    for (i, w) in plan.waypoints.iter().enumerate() {
        checker.segment(i, from, w.xy(), &mut out);
        from = w.xy();
    }
    Ok(out)
}

struct Checker<'a> {
    plan: &'a Plan,
    rover: &'a Rover,
    constraints: &'a Constraints,
    ground: Ground,
    slope: &'a dyn Fn(Xy) -> Option<f64>,
    roughness: &'a dyn Fn(Xy) -> Option<f64>,
}

impl Checker<'_> {
    fn segment(&self, i: usize, a: Xy, b: Xy, out: &mut Vec<Violation>) {
        let mut wrong = |at_m: Option<Xy>, rule: &'static str, message: String| {
            out.push(Violation {
                waypoint: Some(i),
                at_m,
                rule,
                message: format!("waypoint {i}: {message}"),
            });
        };
        let c = self.constraints;
        let length_m = distance_m(a, b);
        if !(length_m >= c.segment_min_m - ROUNDING_M && length_m <= c.segment_max_m + ROUNDING_M) {
            wrong(
                None,
                "segment_length",
                format!(
                    "its segment is {length_m:.2} m long, expected {} to {} m",
                    c.segment_min_m, c.segment_max_m
                ),
            );
        }
        self.limits(i, length_m, &mut wrong);
        for (k, polygon) in c.keep_out.iter().chain(&self.plan.keep_out).enumerate() {
            let d = distance_to_polygon_m(a, b, polygon);
            if d < self.rover.footprint_radius_m() - ROUNDING_M {
                wrong(
                    None,
                    "keep_out",
                    format!(
                        "its segment comes within {d:.2} m of keep-out {k}, expected at least {:.2} m",
                        self.rover.footprint_radius_m()
                    ),
                );
            }
        }
        for (k, f) in self
            .plan
            .features
            .iter()
            .enumerate()
            .filter(|(_, f)| f.forbids)
        {
            if distance_to_polygon_m(a, b, &f.polygon) <= 0.0 {
                wrong(
                    None,
                    "label",
                    format!(
                        "its segment enters label {k} \"{}\", which forbids it",
                        f.class.traits().name
                    ),
                );
            }
        }
        self.way(a, b, length_m, &mut wrong);
    }

    fn limits(
        &self,
        i: usize,
        length_m: f64,
        wrong: &mut impl FnMut(Option<Xy>, &'static str, String),
    ) {
        let Some(w) = self.plan.waypoints.get(i) else {
            return;
        };
        let l = &self.rover.limits;
        for (rule, value, limit) in [
            ("limits.tilt_deg", w.limits.tilt_deg, l.tilt_deg),
            ("limits.slip", w.limits.slip, l.slip),
            ("limits.speed_mps", w.limits.speed_mps, l.wheel_speed_mps),
        ] {
            if !(value <= limit + 1e-9) {
                wrong(
                    None,
                    rule,
                    format!("{rule} is {value}, expected at most the rover's {limit}"),
                );
            }
        }
        let least_s = length_m / w.limits.speed_mps;
        if !(w.timeout_s >= least_s) {
            wrong(
                None,
                "timeout_s",
                format!(
                    "timeout_s is {:.0}, expected at least the {least_s:.0} s that the way takes at full speed",
                    w.timeout_s
                ),
            );
        }
    }

    fn way(
        &self,
        a: Xy,
        b: Xy,
        length_m: f64,
        wrong: &mut impl FnMut(Option<Xy>, &'static str, String),
    ) {
        let n = (length_m / STEP_M).ceil().max(1.0) as usize;
        for s in 0..=n {
            let p = between(a, b, s as f64 / n as f64);
            let at = format!("at ({:.1}, {:.1})", p[0], p[1]);
            match ((self.slope)(p), (self.roughness)(p)) {
                (Some(slope), _) if slope > self.ground.slope_deg => wrong(
                    Some(p),
                    "max_slope_deg",
                    format!(
                        "slope {slope:.1}° {at}, limit {:.1}° ({})",
                        self.ground.slope_deg, self.ground.slope_why
                    ),
                ),
                (_, Some(q)) if q > self.ground.roughness_m => wrong(
                    Some(p),
                    "max_roughness_m",
                    format!(
                        "roughness {q:.2} m {at}, limit {:.2} m",
                        self.ground.roughness_m
                    ),
                ),
                (Some(_), Some(_)) => continue,
                _ => wrong(
                    Some(p),
                    "no_data",
                    format!("nothing is known of the ground {at}"),
                ),
            }
            // One place per segment says enough.
            return;
        }
    }
}

fn between(a: Xy, b: Xy, t: f64) -> Xy {
    [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]
}
