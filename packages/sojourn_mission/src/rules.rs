//! Flight rules: what a rover refuses although it is signed. One row per rule, each with a number that people can cite.

use crate::{Bundle, MissionError};
use sojourn_core::geometry::{distance_m, distance_to_edge_m, in_polygon};
use sojourn_core::plan::{Mode, Plan, digest_of};
use sojourn_core::rover::Rover;

/// What an operator may set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleConfig {
    /// Longest plan, metres.
    pub max_drive_m: f64,
    /// Longest segment, metres.
    pub max_segment_m: f64,
    /// Whether segments in mode DIRECTED are driven.
    pub allow_directed: bool,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Number, for people.
    pub id: &'static str,
    /// What it demands.
    pub text: &'static str,
    /// `None` when it holds, else what breaks it.
    check: fn(&Bundle, &Rover, &RuleConfig) -> Option<String>,
}

/// All rules, in the order in which they are checked.
pub const RULES: &[Rule] = &[
    Rule {
        id: "FR-01",
        text: "The plan is made for this rover, by name and by the digest of its description.",
        check: rover,
    },
    Rule {
        id: "FR-02",
        text: "The plan is not longer than max_drive_m.",
        check: length,
    },
    Rule {
        id: "FR-03",
        text: "No segment is longer than max_segment_m.",
        check: segments,
    },
    Rule {
        id: "FR-04",
        text: "No segment's limit of tilt, slip or speed is looser than the rover's.",
        check: limits,
    },
    Rule {
        id: "FR-05",
        text: "Segments in mode DIRECTED are driven only when allow_directed is set.",
        check: modes,
    },
    Rule {
        id: "FR-06",
        text: "The twin's greatest tilt and slip and least clearance are within the rover's limits.",
        check: report,
    },
    Rule {
        id: "FR-07",
        text: "The twin drove at least 90 % of the plan's length.",
        check: coverage,
    },
    Rule {
        id: "FR-08",
        text: "No waypoint lies in a keep-out area or in a feature that forbids entry.",
        check: keep_out,
    },
    Rule {
        id: "FR-09",
        text: "Each waypoint can be reached within its tolerance without leaving the corridors.",
        check: tolerances,
    },
];

/// Least tolerance that is still usable, metres.
const MIN_TOLERANCE_M: f64 = 0.1;

/// Checks a bundle against every rule.
///
/// # Errors
/// [`MissionError::Refused`] with the first rule that is broken.
pub fn check(bundle: &Bundle, rover: &Rover, config: &RuleConfig) -> Result<(), MissionError> {
    for rule in RULES {
        if let Some(reason) = (rule.check)(bundle, rover, config) {
            return Err(MissionError::Refused {
                bundle_id: bundle.id().to_string(),
                reason: format!("{}: {reason}", rule.id),
            });
        }
    }
    Ok(())
}

fn rover(bundle: &Bundle, rover: &Rover, _: &RuleConfig) -> Option<String> {
    let plan = bundle.plan();
    if plan.rover != rover.name {
        return Some(format!(
            "the plan is for rover {}, this is {}",
            crate::keys::short(&plan.rover),
            rover.name
        ));
    }
    match digest_of("rover", rover) {
        Ok(digest) if digest == plan.rover_digest => None,
        Ok(digest) => Some(format!(
            "the plan was made with another description of rover {} (digest {}, this rover's is {digest})",
            rover.name,
            crate::keys::short(&plan.rover_digest)
        )),
        Err(e) => Some(e.to_string()),
    }
}

fn length(bundle: &Bundle, _: &Rover, config: &RuleConfig) -> Option<String> {
    let planned_m = bundle.plan().distance_m;
    (!(planned_m <= config.max_drive_m)).then(|| {
        format!(
            "the plan is {planned_m:.1} m long, at most {:.1} m are allowed",
            config.max_drive_m
        )
    })
}

fn segments(bundle: &Bundle, _: &Rover, config: &RuleConfig) -> Option<String> {
    bundle
        .plan()
        .line()
        .windows(2)
        .enumerate()
        .find_map(|(i, pair)| {
            let long_m = distance_m(pair[0], pair[1]);
            (!(long_m <= config.max_segment_m)).then(|| {
                format!(
                    "segment {i} is {long_m:.2} m long, at most {:.2} m are allowed",
                    config.max_segment_m
                )
            })
        })
}

fn limits(bundle: &Bundle, rover: &Rover, _: &RuleConfig) -> Option<String> {
    bundle
        .plan()
        .waypoints
        .iter()
        .enumerate()
        .find_map(|(i, w)| {
            [
                ("tilt_deg", w.limits.tilt_deg, rover.limits.tilt_deg),
                ("slip", w.limits.slip, rover.limits.slip),
                (
                    "speed_mps",
                    w.limits.speed_mps,
                    rover.limits.wheel_speed_mps,
                ),
            ]
            .into_iter()
            .find(|(_, asked, allowed)| !(*asked <= *allowed + 1e-12))
            .map(|(name, asked, allowed)| {
                format!("waypoint {i} allows {name} {asked}, the rover's limit is {allowed}")
            })
        })
}

fn modes(bundle: &Bundle, _: &Rover, config: &RuleConfig) -> Option<String> {
    let at = bundle
        .plan()
        .waypoints
        .iter()
        .position(|w| w.mode == Mode::Directed)?;
    (!config.allow_directed).then(|| {
        format!("waypoint {at} is to be driven in mode DIRECTED, which is not allowed here")
    })
}

fn report(bundle: &Bundle, rover: &Rover, _: &RuleConfig) -> Option<String> {
    let (r, l) = (bundle.report(), &rover.limits);
    if !(r.max_tilt_deg <= l.tilt_deg) {
        return Some(format!(
            "the twin's greatest tilt is {:.1} deg, the rover's limit is {:.1} deg",
            r.max_tilt_deg, l.tilt_deg
        ));
    }
    if !(r.max_slip <= l.slip) {
        return Some(format!(
            "the twin's greatest slip is {:.2}, the rover's limit is {:.2}",
            r.max_slip, l.slip
        ));
    }
    (!(r.min_clearance_m >= l.clearance_m)).then(|| {
        format!(
            "the twin's least clearance is {:.3} m, the rover's limit is {:.3} m",
            r.min_clearance_m, l.clearance_m
        )
    })
}

fn coverage(bundle: &Bundle, _: &Rover, _: &RuleConfig) -> Option<String> {
    let (driven_m, planned_m) = (bundle.report().distance_m, bundle.plan().distance_m);
    (!(driven_m >= 0.9 * planned_m))
        .then(|| format!("the twin drove {driven_m:.1} m of a plan of {planned_m:.1} m"))
}

fn keep_out(bundle: &Bundle, _: &Rover, _: &RuleConfig) -> Option<String> {
    let plan = bundle.plan();
    let forbidden = || {
        plan.keep_out.iter().chain(
            plan.features
                .iter()
                .filter(|f| f.forbids)
                .map(|f| &f.polygon),
        )
    };
    plan.waypoints
        .iter()
        .position(|w| forbidden().any(|polygon| in_polygon(w.xy(), polygon)))
        .map(|i| format!("waypoint {i} lies where the plan itself forbids to go"))
}

fn tolerances(bundle: &Bundle, _: &Rover, _: &RuleConfig) -> Option<String> {
    let plan = bundle.plan();
    (0..plan.waypoints.len()).find_map(|i| {
        let usable_m = usable_tolerance_m(plan, i);
        (!(usable_m >= MIN_TOLERANCE_M)).then(|| {
            format!(
                "waypoint {i} leaves a tolerance of {usable_m:.2} m within its own and the next corridor and the \
                 goal's tolerance, at least {MIN_TOLERANCE_M:.2} m are needed"
            )
        })
    })
}

/// How near to a waypoint the rover has to come, metres: the plan's tolerance, made smaller so that the rover is then
/// within this corridor and the next, and at the last waypoint within the goal's tolerance. 0 without such a waypoint.
#[must_use]
pub fn usable_tolerance_m(plan: &Plan, index: usize) -> f64 {
    let Some(waypoint) = plan.waypoints.get(index) else {
        return 0.0;
    };
    let at = waypoint.xy();
    let within_m = |corridor: &[_]| {
        if in_polygon(at, corridor) {
            distance_to_edge_m(at, corridor)
        } else {
            0.0
        }
    };
    let usable_m = waypoint.tolerance_m.min(within_m(&waypoint.corridor));
    match plan.waypoints.get(index + 1) {
        Some(next) => usable_m.min(within_m(&next.corridor)),
        None => usable_m
            .min(plan.goal.tolerance_m - distance_m(at, [plan.goal.x_m, plan.goal.y_m]))
            .max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, plan, test_key};
    use crate::gate;
    use crate::keys::Purpose;
    use sojourn_core::plan::Plan;
    use sojourn_core::report::Report;

    const CONFIG: RuleConfig = RuleConfig {
        max_drive_m: 1000.0,
        max_segment_m: 12.5,
        allow_directed: false,
    };

    fn bundle(spoil_plan: impl Fn(&mut Plan), spoil_report: impl Fn(&mut Report)) -> Bundle {
        let mut plan = plan();
        spoil_plan(&mut plan);
        let mut report = fixtures::report(&plan);
        spoil_report(&mut report);
        let signed =
            gate::approve(&plan, &report, &test_key(Purpose::Simulation, 1), "p", "t").unwrap();
        Bundle::new(&plan, &report, &signed, None).unwrap()
    }

    #[test]
    fn a_good_bundle_breaks_no_rule() {
        check(&bundle(|_| (), |_| ()), &fixtures::rover(), &CONFIG).unwrap();
    }

    #[test]
    fn each_rule_is_broken_by_what_it_forbids() {
        type Case = (&'static str, fn(&mut Plan), fn(&mut Report));
        let cases: [Case; 12] = [
            ("FR-09", |p| p.goal.x_m += 0.95, |_| ()),
            ("FR-01", |p| p.rover = "testbed".into(), |_| ()),
            ("FR-01", |p| p.rover_digest = "0".repeat(64), |_| ()),
            ("FR-04", |p| p.waypoints[0].limits.tilt_deg = 26.0, |_| ()),
            ("FR-04", |p| p.waypoints[1].limits.slip = 0.9, |_| ()),
            ("FR-04", |p| p.waypoints[2].limits.speed_mps = 0.05, |_| ()),
            ("FR-05", |p| p.waypoints[2].mode = Mode::Directed, |_| ()),
            ("FR-06", |_| (), |r| r.max_tilt_deg = 26.0),
            ("FR-06", |_| (), |r| r.max_slip = 0.7),
            ("FR-06", |_| (), |r| r.min_clearance_m = 0.01),
            ("FR-07", |_| (), |r| r.distance_m = 5.0),
            (
                "FR-08",
                |p| {
                    p.keep_out = vec![sojourn_core::geometry::corridor(
                        [9.0, 0.0],
                        [11.0, 0.0],
                        1.0,
                    )]
                },
                |_| (),
            ),
        ];
        for (id, spoil_plan, spoil_report) in cases {
            let message = check(
                &bundle(spoil_plan, spoil_report),
                &fixtures::rover(),
                &CONFIG,
            )
            .unwrap_err()
            .to_string();
            assert!(message.contains(id), "{id}: {message}");
        }
        let good = bundle(|_| (), |_| ());
        for (id, config) in [
            (
                "FR-02",
                RuleConfig {
                    max_drive_m: 20.0,
                    ..CONFIG
                },
            ),
            (
                "FR-03",
                RuleConfig {
                    max_segment_m: 9.0,
                    ..CONFIG
                },
            ),
        ] {
            let message = check(&good, &fixtures::rover(), &config)
                .unwrap_err()
                .to_string();
            assert!(message.contains(id), "{id}: {message}");
        }
        let covered: std::collections::BTreeSet<_> = RULES.iter().map(|r| r.id).collect();
        assert_eq!(covered.len(), RULES.len());
    }
}
