//! A sweep that is ready to run, and the drive of each of its runs.

use crate::{
    SweepError,
    closed_loop::{self, GoalTask, Observer, RunResult, Scenario, Settings, Task},
    config::SweepConfig,
    plan::{RunSpec, runs},
    row::Row,
    scene::Scene,
};
use sha2::{Digest, Sha256};
use sojourn_core::{
    CoreError,
    body::Body,
    files::read_bytes,
    plan::{Mode, WaypointLimits, canonical},
    rover::Rover,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Nodes whose parameter files a run depends on.
const NODES: [&str; 6] = [
    "perception",
    "localization",
    "autonav",
    "guard",
    "executive",
    "simulator",
];

/// A sweep with everything it reads.
pub struct Sweep {
    config: SweepConfig,
    digest: String,
    rover: Rover,
    body: Body,
    settings: Vec<Settings>,
    runs: Vec<RunSpec>,
}

impl Sweep {
    /// Reads rover, body and the nodes' parameters from the folder `config_dir` (the one that holds `rovers/`, `bodies/` and
    /// `<node>.param.yaml`).
    ///
    /// # Errors
    /// [`SweepError`] that names the file and the key.
    pub fn new(config: SweepConfig, config_dir: &Path) -> Result<Self, SweepError> {
        let file = |folder: &str, name: &str| {
            let given = PathBuf::from(name);
            if given.extension().is_some() {
                given
            } else {
                config_dir.join(folder).join(format!("{name}.yaml"))
            }
        };
        let (rover_file, body_file) = (file("rovers", &config.rover), file("bodies", &config.body));
        let rover = Rover::load(&rover_file)?;
        let body = Body::load(&body_file)?;
        let mut settings = Vec::new();
        for planner in &config.planners {
            let mut s = Settings::load_with(config_dir, &planner.autonav, &config.executive)?;
            // A sweep's goal is one waypoint; the flight rule on the length of segments is about routes.
            s.executive.max_segment_m = config.scene.distance_m + 1.0;
            s.executive.max_drive_m = s.executive.max_drive_m.max(config.scene.distance_m + 1.0);
            settings.push(s);
        }
        let mut hash = Sha256::new();
        hash.update(canonical("sweep", &config)?);
        for path in NODES
            .iter()
            .map(|n| config_dir.join(format!("{n}.param.yaml")))
            .chain([rover_file, body_file])
        {
            hash.update(read_bytes(&path, 64 << 20)?);
        }
        let digest = hash
            .finalize()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>();
        Ok(Self {
            runs: runs(&config),
            config,
            digest,
            rover,
            body,
            settings,
        })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &SweepConfig {
        &self.config
    }

    /// The rover.
    #[must_use]
    pub fn rover(&self) -> &Rover {
        &self.rover
    }

    /// The planet.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// SHA-256 over everything the runs depend on but the program: configuration, parameters, rover and body.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All runs in order of their numbers.
    #[must_use]
    pub fn runs(&self) -> &[RunSpec] {
        &self.runs
    }

    /// Makes a run's world and drives it.
    ///
    /// # Errors
    /// [`SweepError`] when the run cannot begin.
    pub fn drive(
        &self,
        spec: &RunSpec,
        observer: &mut dyn Observer,
    ) -> Result<(Scene, RunResult), SweepError> {
        let p = &self.config.scene;
        let scene = Scene::new(&spec.scene, p, &self.rover, &self.body)?;
        let settings = self.settings.get(spec.planner_index).ok_or_else(|| {
            CoreError::value(
                "sweep",
                "planner_index",
                spec.planner_index,
                format!("less than {}", self.settings.len()),
            )
        })?;
        let scenario = Scenario {
            rover: self.rover.clone(),
            body: self.body.clone(),
            world: scene.world.clone(),
            task: Task::Goal(GoalTask {
                start: scene.start,
                goal: scene.goal,
                half_width_m: p.half_width_m,
                mode: Mode::AvoidAll,
                limits: WaypointLimits {
                    tilt_deg: self.rover.limits.tilt_deg,
                    slip: self.rover.limits.slip,
                    speed_mps: self.rover.drive.cruise_mps,
                },
                timeout_s: self.config.limit_s,
            }),
            sensing: spec.sensing,
            settings: settings.clone(),
            faults: self
                .config
                .faults
                .iter()
                .find(|f| f.name == spec.fault)
                .map(|f| f.plan.clone())
                .unwrap_or_default(),
            ground_classes: self.config.ground_classes,
            visual_odometry: self.config.visual_odometry,
            orbital: match &self.config.orbital {
                Some(view) => Some(Arc::new(view.of(
                    &scene.world,
                    spec.scene.seed,
                    &self.rover,
                )?)),
                None => None,
            },
            seed: spec.scene.seed,
            limit_s: self.config.limit_s,
        };
        let result = closed_loop::run(&scenario, observer)?;
        Ok((scene, result))
    }

    /// The row of a run; a run that cannot begin has a row too, and no success.
    pub fn row(&self, spec: &RunSpec, observer: &mut dyn Observer) -> Row {
        match self.drive(spec, observer) {
            Ok((scene, result)) => Row::new(spec, &scene, &result),
            Err(e) => Row::not_begun(spec, &e),
        }
    }
}
