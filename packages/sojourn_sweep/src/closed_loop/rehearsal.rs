//! A plan as the executive takes it, for rehearsals.
//!
//! The executive drives signed bundles only, and that is not softened here. A closed loop in one process has no person to
//! sign, and it may be the verification itself that runs it. So it signs for itself with a key made for simulation from
//! the run's seed. Key and bundle stay in memory and are never written. The bundle's report says in words that nothing was
//! verified, and a rover with `hardware: true` refuses keys made for simulation.

use crate::SweepError;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sojourn_core::{
    body::Body,
    geometry::{Xy, corridor, distance_m},
    plan::{
        Goal, Mode, ModelStage, PLAN_SCHEMA_VERSION, Plan, Start, Waypoint, WaypointLimits,
        digest_of,
    },
    report::{REPORT_SCHEMA_VERSION, Report, Verdict},
    rover::Rover,
};
use sojourn_mission::{
    Bundle, gate,
    keys::{Purpose, new_key},
};

/// What the report of a rehearsal's bundle says.
pub const REASON: &str = "rehearsal in one process: nothing was verified, and no hardware takes it";
/// The time in documents of a rehearsal: none.
const NO_TIME: &str = "1970-01-01T00:00:00Z";

/// A drive to one point, without a planner's route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GoalTask {
    /// Where the rover stands, `map`.
    pub start: Start,
    /// Where it shall arrive, `map` metres.
    pub goal: Goal,
    /// How far it may go to each side of the straight line and beyond its ends, metres.
    pub half_width_m: f64,
    /// Mode on the way.
    pub mode: Mode,
    /// Limits on the way.
    pub limits: WaypointLimits,
    /// Time allowed, seconds.
    pub timeout_s: f64,
}

impl GoalTask {
    /// The plan with this one waypoint.
    ///
    /// # Errors
    /// [`SweepError::Core`] when the rover has no digest.
    pub fn plan(&self, rover: &Rover, body: &Body, seed: u64) -> Result<Plan, SweepError> {
        let from: Xy = [self.start.x_m, self.start.y_m];
        let to: Xy = [self.goal.x_m, self.goal.y_m];
        Ok(Plan {
            schema_version: PLAN_SCHEMA_VERSION,
            name: "rehearsal".into(),
            site_digest: "0".repeat(64),
            body: body.clone(),
            rover: rover.name.clone(),
            rover_digest: digest_of("rover", rover)?,
            constraints_digest: "0".repeat(64),
            seed,
            start: self.start,
            goal: self.goal,
            waypoints: vec![Waypoint {
                x_m: to[0],
                y_m: to[1],
                tolerance_m: self.goal.tolerance_m,
                mode: self.mode,
                corridor: corridor(from, to, self.half_width_m),
                limits: self.limits,
                timeout_s: self.timeout_s,
                risk: 0.0,
                reasons: Vec::new(),
            }],
            distance_m: distance_m(from, to),
            features: Vec::new(),
            keep_out: Vec::new(),
            mission: None,
            disputes: None,
            model: ModelStage::none(),
        })
    }
}

/// The bundle of a rehearsal. The plan is signed as it is; only the digest of the rover's description is that of `rover`.
///
/// # Errors
/// [`SweepError::Mission`] when the plan is not in order.
pub fn bundle(plan: &Plan, rover: &Rover, seed: u64) -> Result<Bundle, SweepError> {
    let mut plan = plan.clone();
    plan.rover_digest = digest_of("rover", rover)?;
    let report = Report {
        schema_version: REPORT_SCHEMA_VERSION,
        plan_digest: plan.digest()?,
        site_digest: plan.site_digest.clone(),
        rover_digest: plan.rover_digest.clone(),
        setup_digest: "0".repeat(64),
        passed: true,
        verdict: Verdict::Pass,
        first_failure: None,
        reason: REASON.into(),
        // The gate takes no report without a value and none shorter than the plan.
        values_checked: 1,
        distance_m: plan.distance_m,
        duration_s: 0.0,
        max_tilt_deg: 0.0,
        min_clearance_m: rover.belly.height_m,
        max_slip: 0.0,
        channels: Vec::new(),
        uncounted: Vec::new(),
        findings: Vec::new(),
        warnings: Vec::new(),
        monte_carlo: None,
        segments: Vec::new(),
        points_of_no_return: Vec::new(),
        disputed: None,
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let key = new_key(Purpose::Simulation, NO_TIME, &mut random)?;
    let signed = gate::approve(&plan, &report, &key, "rehearsal", NO_TIME)?;
    Ok(Bundle::new(&plan, &report, &signed, None)?)
}
