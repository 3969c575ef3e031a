//! A whole drive in one process: simulator, localization, perception (or its fast stand-in), AutoNav, guard and executive,
//! wired together as the ROS graph wires the nodes.
//!
//! As in lockstep, what is published in one tick is heard by everybody in the next; so a drive here takes the same
//! decisions at the same simulated times as the nodes do, and the same scenario gives the same bits. Only the measured wall
//! times differ from run to run.

pub mod eye;
mod faults;
mod graph;
mod horizon;
mod pairs;
pub mod rehearsal;
mod settings;
mod visual;

pub use faults::{FaultPlan, PoseJump};
pub use rehearsal::GoalTask;
pub use settings::Settings;
pub use visual::VisualOdometry;

use crate::SweepError;
use graph::Graph;
use sojourn_autonav::{autonav, orbital::Orbital};
use sojourn_core::{Stamp, body::Body, kinematics::Velocity, plan::Plan, rover::Rover};
use sojourn_localization::Estimate;
use sojourn_mission::executive::DriveState;
use sojourn_perception::TerrainGrid;
use sojourn_twin::{
    sim::{Truth, score::Score},
    world::World,
};
use std::{ops::ControlFlow, sync::Arc, time::Instant};

/// What is driven.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// A plan, waypoint by waypoint.
    Plan(Box<Plan>),
    /// One point, without a route.
    Goal(GoalTask),
}

/// How the rover sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensing {
    /// [`eye::Eye`]: grids straight from ground truth, with stereo noise, field of view and occlusion.
    TruthGrid,
    /// Rendered stereo pairs, matched, through perception's core.
    Rendered,
}

impl Sensing {
    /// The name in files and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TruthGrid => "truth_grid",
            Self::Rendered => "rendered",
        }
    }
}

/// Everything a run depends on.
#[derive(Clone)]
pub struct Scenario {
    /// The rover.
    pub rover: Rover,
    /// The planet.
    pub body: Body,
    /// Ground truth.
    pub world: Arc<World>,
    /// What is driven.
    pub task: Task,
    /// How the rover sees.
    pub sensing: Sensing,
    /// Parameters of all nodes.
    pub settings: Settings,
    /// What is to go wrong.
    pub faults: FaultPlan,
    /// Whether the grid tells the true class of what it has seen.
    pub ground_classes: bool,
    /// Visual odometry's stand-in; without it the rover believes its wheels.
    pub visual_odometry: Option<VisualOdometry>,
    /// What AutoNav prices unseen ground by; without it, what its parameters name.
    pub orbital: Option<Arc<Orbital>>,
    /// Seed of noise.
    pub seed: u64,
    /// Simulated time after which the run is cut off, seconds.
    pub limit_s: f64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The executive says that the goal is reached.
    Reached,
    /// The executive stopped the drive, or AutoNav found no way.
    Stopped,
    /// The executive could not go on.
    Aborted,
    /// The limit of simulated time came first.
    TimedOut,
    /// The observer broke off.
    Interrupted,
    /// The run could not begin; in tables of sweeps only.
    NotBegun,
}

impl Outcome {
    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::NotBegun => "not_begun",
        }
    }
}

/// How often things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Plannings of AutoNav.
    pub cycles: u64,
    /// Plannings that found no safe path.
    pub cycles_without_path: u64,
    /// Times the rover came to a stand on its way (other than at its end) and stood for more than half a second.
    pub think_stops: u64,
    /// Times no path was safe, as AutoNav counts them.
    pub no_path_stops: u64,
    /// Ticks in which the guard let nothing through while the goal was active.
    pub guard_stops: u64,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, one sentence.
    pub reason: String,
    /// Ground truth's account of the drive.
    pub score: Score,
    /// How often things happened.
    pub counts: Counts,
    /// Processor time of each planning on the thread that drives, milliseconds. Not part of what a seed determines.
    pub cycle_ms: Vec<f64>,
    /// Processor time of the run on this thread, seconds. Not part of what a seed determines.
    pub cpu_s: f64,
    /// Wall time of the run, seconds. Not part of what a seed determines.
    pub wall_s: f64,
}

/// What an observer is shown at the end of every tick.
pub struct TickView<'a> {
    /// The tick.
    pub now: Stamp,
    /// Ground truth.
    pub truth: &'a Truth,
    /// Where the rover believes to be, once it knows.
    pub estimate: Option<&'a Estimate>,
    /// A grid that was made in this tick.
    pub grid: Option<&'a TerrainGrid>,
    /// AutoNav's decision.
    pub autonav: Option<&'a autonav::Decision>,
    /// What the guard lets through.
    pub velocity: Velocity,
    /// State of the drive.
    pub state: DriveState,
}

/// Looks on while a run goes.
pub trait Observer {
    /// Shown every tick; may break off the run.
    fn tick(&mut self, view: &TickView<'_>) -> ControlFlow<()>;
}

/// Looks away.
impl Observer for () {
    fn tick(&mut self, _: &TickView<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Drives a scenario to its end.
///
/// # Errors
/// [`SweepError`] when the scenario cannot begin: a parameter out of range, a start where the rover cannot stand, a plan
/// that the executive refuses.
pub fn run(scenario: &Scenario, observer: &mut dyn Observer) -> Result<RunResult, SweepError> {
    let (begin, begin_cpu_s) = (Instant::now(), crate::cpu_s());
    let mut graph = Graph::new(scenario)?;
    let period_s = scenario.rover.cadence.control_period_s;
    let ticks = (scenario.limit_s / period_s).ceil() as u64;
    let first = Stamp::from_secs(1.0);
    let mut ended = None;
    for tick in 0..ticks {
        // The same stamps as the simulator node's, which multiplies and does not add up.
        graph.step(first.plus_secs(tick as f64 * period_s), tick);
        if graph.view().is_some_and(|v| observer.tick(&v).is_break()) {
            ended = Some((
                Outcome::Interrupted,
                "broken off by the observer".to_string(),
            ));
            break;
        }
        if let Some(end) = graph.ended() {
            ended = Some(end);
            break;
        }
    }
    let (outcome, reason) = ended.unwrap_or_else(|| {
        (
            Outcome::TimedOut,
            format!(
                "not there after {:.0} s of simulated time",
                scenario.limit_s
            ),
        )
    });
    let (score, counts, cycle_ms) = graph.into_account();
    Ok(RunResult {
        outcome,
        reason,
        score,
        counts,
        cycle_ms,
        cpu_s: crate::cpu_s() - begin_cpu_s,
        wall_s: begin.elapsed().as_secs_f64(),
    })
}
