//! `sojourn verify --in-the-loop`: the executive's, AutoNav's and the guard's own cores drive the plan's XML in the twin.
//!
//! Slower than the verification and of another kind: one drive over one draw of the ground below the data's resolution,
//! with rocks, with everything that decides on the rover. So it is reported beside the verdict and does not change it.

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sojourn_core::{
    plan::{Plan, WaypointLimits},
    rover::Rover,
    site::Site,
};
use sojourn_planner::xml::{from_xml, to_xml};
use sojourn_sweep::closed_loop::{
    FaultPlan, Observer, Outcome, Scenario, Sensing, Settings, Task, TickView, VisualOdometry, run,
};
use sojourn_twin::{
    noise,
    sim::score::UnsafeEvent,
    verify::settings::{POWER_DIR, SETTINGS_FILE, Setup},
    world::{World, WorldParams},
};
use std::{io::IsTerminal, ops::ControlFlow, path::Path, sync::Arc};

/// Ground kept around the plan, metres.
const MARGIN_M: f64 = 40.0;
/// Channel of the hash from the verification's seed to the rehearsal's.
const CHANNEL: u64 = 0x5e_4e;
/// Time beyond the plan's time-outs after which a drive is cut off, seconds.
const GRACE_S: f64 = 600.0;

/// Way between two stereo pairs of the stand-in for visual odometry, metres.
const PAIR_STEP_M: f64 = 0.5;
/// Scatter of one pair's way beside the error of scale that the drive keeps: twice as much, and averaged out over the drive.
const PAIR_SHARE: f64 = 2.0;

/// How the drive went.
#[derive(Clone, Debug, Serialize)]
pub struct InTheLoop {
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// The verification's seed. Relief, rocks, soil and noise are drawn from a hash of it: never those of a drive that is given
    /// the same number.
    pub seed: u64,
    /// Simulated time, seconds.
    pub sim_s: f64,
    /// Time it took here, seconds.
    pub wall_s: f64,
    /// Way driven, metres.
    pub distance_m: f64,
    /// Distance from the goal at the end, metres.
    pub goal_error_m: Option<f64>,
    /// Greatest tilt, degrees.
    pub max_tilt_deg: f64,
    /// Least clearance, metres.
    pub min_clearance_m: Option<f64>,
    /// Greatest slip.
    pub max_slip: f64,
    /// Energy that the whole rover used, watt-hours.
    pub energy_wh: f64,
    /// Least charge of the battery, 0 to 1.
    pub min_charge: Option<f64>,
    /// Greatest current of a drive, amperes.
    pub max_drive_current_a: f64,
    /// Temperature of the warmest drive, °C.
    pub max_motor_c: Option<f64>,
    /// Periods in which the guard let nothing through.
    pub guard_stops: u64,
    /// Times AutoNav found no safe path.
    pub no_path_stops: u64,
    /// Contiguous excesses of a limit in ground truth.
    pub unsafe_events: u64,
    /// The first of them.
    pub events: Vec<UnsafeEvent>,
}

/// The plan with its drive commands as its XML has them.
///
/// # Errors
/// One sentence when the XML is not this plan's.
fn as_commanded(plan: &Plan, xml: Option<&Path>) -> anyhow::Result<Plan> {
    let text = match xml {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("{}: cannot be read", file.display()))?,
        None => to_xml(plan)?,
    };
    let what = xml.map_or_else(|| "XML".to_string(), |f| f.display().to_string());
    let read = from_xml(&text).with_context(|| what.clone())?;
    let digest = plan.digest()?;
    anyhow::ensure!(
        read.digest == digest,
        "{what}: carries the digest {}, the plan has {digest}",
        read.digest
    );
    anyhow::ensure!(
        read.drives.len() == plan.waypoints.len(),
        "{what}: commands {} drives, the plan has {} waypoints",
        read.drives.len(),
        plan.waypoints.len()
    );
    let mut out = plan.clone();
    for (w, d) in out.waypoints.iter_mut().zip(read.drives) {
        [w.x_m, w.y_m] = d.to_m;
        (w.tolerance_m, w.mode, w.timeout_s) = (d.tolerance_m, d.mode, d.timeout_s);
        w.corridor = d.corridor;
        w.limits = WaypointLimits {
            tilt_deg: d.tilt_deg,
            slip: d.slip,
            speed_mps: d.speed_mps,
        };
    }
    anyhow::ensure!(
        out.digest()? == digest,
        "{what}: its drive commands are not the plan's, though it carries the plan's digest"
    );
    Ok(out)
}

/// Drives it. No image is rendered: AutoNav's grid comes from the truth, and in place of visual odometry stands the true motion
/// with the drift that the verification takes a drive without fixes to have (`drift_share`).
///
/// # Errors
/// One sentence when the drive cannot begin.
pub fn in_the_loop(
    plan: &Plan,
    site: &Site,
    rover: &Rover,
    config_dir: &Path,
    xml: Option<&Path>,
    setup: &Setup,
) -> anyhow::Result<InTheLoop> {
    let plan = as_commanded(plan, xml)?;
    let seed = setup.settings.monte_carlo.seed;
    let drift_share = setup.settings.mission.drift_share;
    let mut settings = Settings::load(config_dir)?;
    let s = &mut settings.simulator;
    // On the verification's own figures of power, day and weather.
    let power = config_dir
        .join(POWER_DIR)
        .join(format!("{}.yaml", rover.name));
    for (key, file) in [
        (&mut s.power_file, power),
        (&mut s.verification_file, config_dir.join(SETTINGS_FILE)),
    ] {
        if file.is_file() {
            *key = file.display().to_string();
        }
    }
    let drawn = noise::hash(seed, CHANNEL, 0, 0);
    s.seed = drawn;
    (s.start_x_m, s.start_y_m, s.start_yaw_rad) =
        (plan.start.x_m, plan.start.y_m, plan.start.yaw_rad);
    (s.goal_x_m, s.goal_y_m) = (plan.goal.x_m, plan.goal.y_m);
    let params = WorldParams {
        region_m: WorldParams::region_around(&plan.line(), MARGIN_M),
        ..s.setup(rover)?.world
    };
    let world = World::from_site(site, &params)?;
    let limit_s = plan.waypoints.iter().map(|w| w.timeout_s).sum::<f64>() + GRACE_S;
    let bar = bar(plan.distance_m);
    let scenario = Scenario {
        rover: rover.clone(),
        body: site.manifest.body.clone(),
        world: Arc::new(world),
        task: Task::Plan(Box::new(plan)),
        sensing: Sensing::TruthGrid,
        settings,
        faults: FaultPlan::default(),
        ground_classes: false,
        orbital: None,
        visual_odometry: Some(VisualOdometry {
            scale_sigma: drift_share,
            step_sigma: PAIR_SHARE * drift_share,
            step_m: PAIR_STEP_M,
        }),
        seed: drawn,
        limit_s,
    };
    let result = run(&scenario, &mut Watcher { bar: &bar })?;
    bar.finish_and_clear();
    let score = result.score;
    Ok(InTheLoop {
        outcome: result.outcome,
        reason: result.reason,
        seed,
        sim_s: score.sim_s,
        wall_s: result.wall_s,
        distance_m: score.distance_driven_m,
        goal_error_m: score.goal_error_m,
        max_tilt_deg: score.max_tilt_deg,
        min_clearance_m: score.min_clearance_m,
        max_slip: score.max_slip,
        energy_wh: score.energy_wh,
        min_charge: score.min_charge,
        max_drive_current_a: score.max_drive_current_a,
        max_motor_c: score.max_motor_c,
        guard_stops: result.counts.guard_stops,
        no_path_stops: result.counts.no_path_stops,
        unsafe_events: score.unsafe_events,
        events: score.events,
    })
}

struct Watcher<'a> {
    bar: &'a ProgressBar,
}

impl Observer for Watcher<'_> {
    fn tick(&mut self, view: &TickView<'_>) -> ControlFlow<()> {
        self.bar.set_position(view.truth.distance_m as u64);
        ControlFlow::Continue(())
    }
}

fn bar(distance_m: f64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(distance_m.max(1.0) as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} m in the loop")
    {
        bar.set_style(style);
    }
    bar
}

/// In words.
#[must_use]
pub fn figures(l: &InTheLoop) -> String {
    format!(
        "In the loop (executive, AutoNav and guard on the plan's XML, seed {}; beside the verdict)\n  outcome          {}: {}\n  way              {:.1} m in {:.0} s, wall {:.1} s ({:.0} times real time)\n  goal             {}\n  tilt, slip       {:.1} deg, {:.0} % at most\n  energy           {:.0} Wh, charge {} at least, drives {:.1} A and {} at most\n  stops            {} by the guard, {} for want of a path\n  unsafe events    {}",
        l.seed,
        l.outcome.name(),
        l.reason,
        l.distance_m,
        l.sim_s,
        l.wall_s,
        l.sim_s / l.wall_s.max(1e-9),
        l.goal_error_m
            .map_or_else(|| "–".to_string(), |e| format!("{e:.2} m away at the end")),
        l.max_tilt_deg,
        100.0 * l.max_slip,
        l.energy_wh,
        l.min_charge
            .map_or_else(|| "–".to_string(), |c| format!("{:.0} %", 100.0 * c)),
        l.max_drive_current_a,
        l.max_motor_c
            .map_or_else(|| "–".to_string(), |c| format!("{c:.0} °C")),
        l.guard_stops,
        l.no_path_stops,
        l.unsafe_events,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ground, launch::places::Places};
    use sojourn_core::{body::Body, constraints::Constraints};
    use sojourn_planner::PlanRequest;
    use sojourn_twin::generate::terrain;

    fn planned() -> (Plan, Site, Rover) {
        let places = Places::find();
        let body: Body = ground::body(&places, "mars").unwrap();
        let rover = ground::rover(&places, "perseverance").unwrap().0;
        let constraints: Constraints = ground::mission(&places, None).unwrap().0;
        let mut recipe = crate::commands::world::recipe(&places, "demo").unwrap();
        recipe.size_m = [70.0, 60.0];
        (recipe.slope_deg, recipe.relief_rms_deg) = (2.0, 1.0);
        recipe.craters.per_km2_over_10m = 0.0;
        let site = terrain(3, &body, &recipe).unwrap();
        let request = PlanRequest {
            name: "loop".into(),
            start_m: [20.0, 30.0],
            goal_m: [36.0, 30.0],
            seed: 3,
            slip: None,
        };
        let plan = sojourn_planner::plan(&request, &site, &rover, &constraints, None)
            .unwrap()
            .plan;
        (plan, site, rover)
    }

    #[test]
    fn the_xml_is_what_is_driven() {
        let (plan, ..) = planned();
        assert_eq!(as_commanded(&plan, None).unwrap(), plan);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plan.xml");
        let xml = to_xml(&plan).unwrap();
        let digest = plan.digest().unwrap();
        std::fs::write(&file, xml.replace(&digest, &"0".repeat(64))).unwrap();
        let said = as_commanded(&plan, Some(&file)).unwrap_err().to_string();
        assert!(said.contains("digest"), "{said}");
        let timeout = format!("timeout_s=\"{}\"", plan.waypoints[0].timeout_s);
        assert!(xml.contains(&timeout), "{xml}");
        std::fs::write(&file, xml.replacen(&timeout, "timeout_s=\"1e9\"", 1)).unwrap();
        let said = as_commanded(&plan, Some(&file)).unwrap_err().to_string();
        assert!(said.contains("not the plan's"), "{said}");
        assert!(as_commanded(&plan, Some(&dir.path().join("none.xml"))).is_err());
    }

    #[test]
    fn the_cores_drive_a_short_plan_to_its_goal() {
        let (plan, site, rover) = planned();
        let config = Places::find().shared("config").unwrap();
        let setup = Setup::load(&config).unwrap();
        let l = in_the_loop(&plan, &site, &rover, &config, None, &setup).unwrap();
        assert_eq!(l.outcome, Outcome::Reached, "{l:?}");
        assert_eq!(l.unsafe_events, 0, "{l:?}");
        assert!(
            l.goal_error_m.unwrap() < 3.0 && l.distance_m > 10.0,
            "{l:?}"
        );
    }
}
