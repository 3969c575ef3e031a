//! Documents that the tests share.

use crate::keys::{KeyFile, Purpose, new_key};
use sojourn_core::body::Body;
use sojourn_core::geometry::{Xy, corridor, distance_m};
use sojourn_core::plan::{
    Goal, Mode, ModelStage, PLAN_SCHEMA_VERSION, Plan, Start, Waypoint, WaypointLimits, digest_of,
};
use sojourn_core::report::{ChannelSummary, REPORT_SCHEMA_VERSION, Report, Spot, Verdict};
use sojourn_core::rover::Rover;
use std::path::Path;

/// A source of bytes that is the same in every run; for tests only.
struct Counting(u8);

impl rand::RngCore for Counting {
    fn next_u32(&mut self) -> u32 {
        u32::from(self.0)
    }
    fn next_u64(&mut self) -> u64 {
        u64::from(self.0)
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill(self.0);
    }
}

impl rand::CryptoRng for Counting {}

pub(crate) fn test_key(purpose: Purpose, seed: u8) -> KeyFile {
    new_key(purpose, "2026-01-01T00:00:00Z", &mut Counting(seed)).unwrap()
}

pub(crate) fn rover() -> Rover {
    Rover::load(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rovers/perseverance.yaml"),
    )
    .unwrap()
}

pub(crate) fn plan_along(points: &[Xy], half_width_m: f64) -> Plan {
    let mut from = [0.0, 0.0];
    let mut length_m = 0.0;
    let mut waypoints = Vec::new();
    for &to in points {
        waypoints.push(Waypoint {
            x_m: to[0],
            y_m: to[1],
            tolerance_m: 1.0,
            mode: Mode::AvoidAll,
            corridor: corridor(from, to, half_width_m),
            limits: WaypointLimits {
                tilt_deg: 20.0,
                slip: 0.5,
                speed_mps: 0.042,
            },
            timeout_s: 1000.0,
            risk: 0.1,
            reasons: vec!["flat ground".into()],
        });
        length_m += distance_m(from, to);
        from = to;
    }
    Plan {
        schema_version: PLAN_SCHEMA_VERSION,
        name: "test".into(),
        site_digest: "5".repeat(64),
        body: Body {
            name: "mars".into(),
            gravity_mps2: 3.72076,
            radius_m: 3_396_190.0,
            atmosphere_pa: 610.0,
            light_time_s: 750.0,
        },
        rover: "perseverance".into(),
        rover_digest: digest_of("rover", &rover()).unwrap(),
        constraints_digest: "c".repeat(64),
        seed: 1,
        start: Start {
            x_m: 0.0,
            y_m: 0.0,
            yaw_rad: 0.0,
        },
        goal: Goal {
            x_m: from[0],
            y_m: from[1],
            tolerance_m: 1.0,
        },
        waypoints,
        distance_m: length_m,
        features: vec![],
        keep_out: vec![],
        mission: None,
        disputes: None,
        model: ModelStage::none(),
    }
}

pub(crate) fn plan() -> Plan {
    plan_along(&[[10.0, 0.0], [20.0, 0.0], [25.0, 8.0]], 5.0)
}

pub(crate) fn report(plan: &Plan) -> Report {
    Report {
        schema_version: REPORT_SCHEMA_VERSION,
        plan_digest: plan.digest().unwrap(),
        site_digest: plan.site_digest.clone(),
        rover_digest: plan.rover_digest.clone(),
        setup_digest: "e".repeat(64),
        passed: true,
        verdict: Verdict::Pass,
        first_failure: None,
        reason: "every value stayed within its limit".into(),
        values_checked: 1000,
        distance_m: plan.distance_m,
        duration_s: 700.0,
        max_tilt_deg: 4.0,
        min_clearance_m: 0.5,
        max_slip: 0.1,
        channels: vec![ChannelSummary {
            name: "attitude.tilt".into(),
            unit: "deg".into(),
            rule: "attitude".into(),
            samples: 1000,
            min: 0.0,
            max: 4.0,
            lower_limit: None,
            upper_limit: Some(25.0),
            lower_warning: None,
            upper_warning: Some(22.0),
            violations: 0,
            warnings: 0,
            margin: 21.0,
            margin_share: 0.84,
            worst: Spot::default(),
        }],
        uncounted: vec![],
        findings: vec![],
        warnings: vec![],
        monte_carlo: None,
        segments: vec![],
        points_of_no_return: vec![],
        disputed: None,
    }
}
