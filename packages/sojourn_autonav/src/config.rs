//! Parameters of `autonav`: the file's form and the checked configuration.
//!
//! Lengths are given in footprints (multiples of [`Rover::footprint_radius_m`]), so that one file serves a rover of
//! three metres and one of half a metre.

use crate::{
    check::Tiers,
    orbital::{Orbital, OrbitalLayers},
};
use serde::Deserialize;
use sojourn_core::{
    CoreError,
    error::in_range,
    kinematics::{Velocity, fastest_rim_mps},
    limits::Share,
    rover::Rover,
    site::Site,
    slip_forecast::SlipPriors,
};

/// A configuration that cannot be used; the message names the key, the value and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A number is out of range or a file is wrong.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// Two keys do not fit together.
    #[error("autonav parameters: {0}")]
    Mismatch(String),
}

/// Which planner drives: ours, or one of the baselines that it is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannerKind {
    /// All candidates in tiers: plane-frame ACE, then exact settling.
    Tiered,
    /// GESTALT-style: the cost of discs of the rover's size (slope, roughness, step), no suspension.
    GestaltDisc,
    /// ENav-like: best first, plane-frame ACE only, a cap on clearance calls (`max_settles`).
    EnavLike,
    /// Best first with the textbook's ACE in the gravity frame.
    AceGravity,
    /// Straight to the waypoint; only the guard looks.
    StraightGuarded,
}

impl PlannerKind {
    /// The clearance check that goes with it.
    #[must_use]
    pub fn tiers(self) -> Tiers {
        match self {
            Self::Tiered => Tiers::AceThenSettling,
            Self::GestaltDisc => Tiers::Disc,
            Self::EnavLike | Self::AceGravity | Self::StraightGuarded => Tiers::AceOnly,
        }
    }

    /// Whether its map is one height a cell, as flight's, without the lowest and the highest that was seen in it.
    #[must_use]
    pub fn knows_means_only(self) -> bool {
        matches!(self, Self::EnavLike | Self::AceGravity)
    }
}

/// Parameters as `config/autonav.param.yaml` gives them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoNavParams {
    /// Path of the rover's description.
    pub rover_file: String,
    /// Length of each of the two arcs, footprints.
    pub arc_length_footprints: f64,
    /// Distance between checked poses along an arc, footprints.
    pub sample_footprints: f64,
    /// Way driven before the next planning, footprints.
    pub commit_footprints: f64,
    /// Way beyond the committed one that has to be known and safe too, footprints.
    pub stop_footprints: f64,
    /// Cell of the coarse cost map, footprints.
    pub costmap_cell_footprints: f64,
    /// How far rocks are grown for the uncertainty of the pose, footprints.
    pub inflate_footprints: f64,
    /// The same where the pose drifts more, at most, footprints.
    pub inflate_max_footprints: f64,
    /// Standard deviations of the pose's drift, between seeing ground and standing on it, that rocks are grown by.
    pub drift_sigmas: f64,
    /// Spacing of the samples under wheels and belly, footprints.
    pub settle_step_footprints: f64,
    /// Radius around the starting place that is taken as the plane the rover stands on where it was never seen,
    /// footprints (the camera cannot see what is under the rover).
    pub start_known_footprints: f64,
    /// Distance kept from the edge of the corridor, footprints.
    pub corridor_margin_footprints: f64,
    /// Longest way back along the own track when there is no safe path, footprints.
    pub backup_max_footprints: f64,
    /// Look-ahead of the path follower, footprints.
    pub lookahead_footprints: f64,
    /// Greatest distance from the checked path before a new planning, footprints.
    pub track_tolerance_footprints: f64,
    /// Way driven since the newest grid after which the rover stops, footprints.
    pub grid_max_drive_footprints: f64,
    /// Age of the newest grid after which the rover stops, seconds.
    pub grid_timeout_s: f64,
    /// Age of the pose (and of `map_from_odom`) after which the rover stops, seconds.
    pub pose_timeout_s: f64,
    /// Age of the goal after which the rover stops, seconds.
    pub goal_timeout_s: f64,
    /// Time to wait for a better grid before giving up, seconds.
    pub wait_s: f64,
    /// Number of curvatures, odd so that straight ahead is among them.
    pub curvatures: i64,
    /// Curvatures are the sharpest times (i / half of them) to this power: above 1 gentle arcs lie nearer to each other.
    pub curvature_power: f64,
    /// Turns in place that are weighed, degrees; 0 is always weighed.
    pub turns_deg: Vec<f64>,
    /// Heading error above which the rover turns in place first (modes GUARDED and DIRECTED), degrees.
    pub turn_first_deg: f64,
    /// Share of every limit but tilt and clearance that a new path may use.
    pub limit_share: f64,
    /// Share of every limit but tilt and clearance that a path under way, or the first step out of where the rover stands, may use.
    pub hold_share: f64,
    /// The same for tilt, for a new path.
    pub tilt_limit_share: f64,
    /// Share of every limit but tilt and clearance that the first steps out of a place beyond `hold_share` may use. Not all: the ground is
    /// not known to the last hundredth.
    pub out_share: f64,
    /// The same for tilt, for a path under way; a rover that leans more on the way backs up. Below the guard's
    /// `tilt_share`, whose fault ends a drive.
    pub tilt_hold_share: f64,
    /// The same for tilt, for the first steps out.
    pub tilt_out_share: f64,
    /// What the clearance limit is of the clearance that a new path has to keep: what is left over is a stone's height that
    /// the map does not know.
    pub clearance_limit_share: f64,
    /// The same for a path under way and the first step out of where the rover stands.
    pub clearance_hold_share: f64,
    /// The same for the first steps out of a place beyond it.
    pub clearance_out_share: f64,
    /// Share of the suspension's limits that the rover may feel on the way; with more it goes back. Below the guard's
    /// `suspension_share`, whose fault ends a drive.
    pub suspension_hold_share: f64,
    /// Share of the slip limit that predicted slip may use.
    pub slip_share: f64,
    /// Share of it that is to be expected on the way, by how steep the rover feels that it stands; with more it goes back.
    pub slip_hold_share: f64,
    /// Cost of slope: factor `1 + weight * (slope / limit)^2`.
    pub tilt_weight: f64,
    /// Cost of roughness: weight times roughness over a tenth of the wheel's diameter.
    pub roughness_weight: f64,
    /// Cost of rocks: weight times (height over the plane / what would meet a limit)^3.
    pub rock_weight: f64,
    /// Factor on the cost of unknown ground.
    pub unknown_factor: f64,
    /// Fixed cost of a turn in place, seconds.
    pub turn_cost_s: f64,
    /// Cost of changing from full left to full right, seconds.
    pub steer_cost_s: f64,
    /// Cost of a terrain class: weight times what the class table adds.
    pub class_weight: f64,
    /// Which planner drives.
    pub planner: PlannerKind,
    /// How far the links may swing a hub in the plan before approximate clearance evaluation says nothing, footprints.
    pub swing_footprints: f64,
    /// Side of the fused terrain map, footprints.
    pub map_footprints: f64,
    /// Side of the coarse memory of the ground, footprints.
    pub coarse_footprints: f64,
    /// Cost factor added for every time that the rover has thought at a place before, beyond two.
    pub visit_weight: f64,
    /// Cost of a candidate of half the length, seconds: it says less about what comes.
    pub short_cost_s: f64,
    /// Standard deviations of the grid's variance between which the ground is taken to lie.
    pub map_sigmas: f64,
    /// Table of what slip is like on each class of ground; empty for the one that comes with Sojourn. A table of another
    /// rover is not used.
    pub slip_priors_file: String,
    /// Where the node keeps from drive to drive what it has learned of slip; empty: nowhere.
    pub slip_memory_file: String,
    /// Folder of the site whose elevation, and class where it has one, price ground that was not seen; empty: none.
    pub orbital_site_dir: String,
    /// How far slip may differ from the rover's model before anything is measured, share of the way, where the table says
    /// nothing.
    pub slip_prior_sigma: f64,
    /// Standard deviation of one measurement of slip.
    pub slip_noise_sigma: f64,
    /// Time a planning takes on the rover's computer, seconds: the next way is known that much later.
    pub think_s: f64,
    /// Way before the committed end at which the next planning begins, footprints.
    pub think_ahead_footprints: f64,
    /// Longest way to a waypoint, times the straight distance.
    pub path_factor_max: f64,
    /// Longest time to a waypoint, times the time for the straight distance.
    pub time_factor_max: f64,
    /// Most settled poses per planning.
    pub max_settles: i64,
    /// Steps of half a metre or 15° that the search for a way on may check where no candidate leads on; 0: no such search.
    pub seek_steps: i64,
    /// Poses that this search settles in one tick at most.
    pub seek_settles: i64,
    /// Most candidate paths told in the status.
    pub candidates_reported: i64,
}

/// Checked configuration, lengths in metres.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // each field is the parameter of the same name, in SI units
pub struct Config {
    pub arc_length_m: f64,
    pub samples_per_arc: usize,
    pub commit_m: f64,
    pub stop_m: f64,
    pub costmap_cell_m: f64,
    pub inflate_m: f64,
    pub inflate_max_m: f64,
    pub drift_sigmas: f64,
    pub settle_step_m: f64,
    pub start_known_m: f64,
    pub corridor_margin_m: f64,
    pub backup_max_m: f64,
    pub lookahead_m: f64,
    pub track_tolerance_m: f64,
    pub grid_max_drive_m: f64,
    pub grid_timeout_s: f64,
    pub pose_timeout_s: f64,
    pub goal_timeout_s: f64,
    pub wait_s: f64,
    pub curvatures_per_m: Vec<f64>,
    /// How many times longer the same way takes on each curvature than straight ahead.
    pub slowness: Vec<f64>,
    pub turns_rad: Vec<f64>,
    pub turn_first_rad: f64,
    pub limit_share: Share,
    pub hold_share: Share,
    pub out_share: Share,
    pub suspension_hold_share: f64,
    pub slip_share: f64,
    pub slip_hold_share: f64,
    pub tilt_weight: f64,
    pub roughness_weight: f64,
    pub rock_weight: f64,
    pub unknown_factor: f64,
    pub turn_cost_s: f64,
    pub steer_cost_s: f64,
    pub class_weight: f64,
    pub planner: PlannerKind,
    pub swing_m: f64,
    pub map_m: f64,
    pub coarse_m: f64,
    pub visit_weight: f64,
    pub short_cost_s: f64,
    pub map_sigmas: f64,
    pub slip_prior_sigma: f64,
    pub slip_noise_sigma: f64,
    pub think_s: f64,
    pub think_ahead_m: f64,
    pub path_factor_max: f64,
    pub time_factor_max: f64,
    pub max_settles: usize,
    pub seek_steps: usize,
    pub seek_settles: usize,
    pub candidates_reported: usize,
}

impl AutoNavParams {
    /// The table of slip that they name.
    ///
    /// # Errors
    /// [`ConfigError`] that names the file and the key.
    pub fn slip_priors(&self) -> Result<SlipPriors, ConfigError> {
        Ok(match self.slip_priors_file.as_str() {
            "" => SlipPriors::shipped()?,
            file => SlipPriors::load(std::path::Path::new(file))?,
        })
    }

    /// What the ground of the site that they name looks like from orbit; `None` where they name none.
    ///
    /// # Errors
    /// [`ConfigError`] that names the folder, or what is wrong with its layers.
    pub fn orbital(&self, rover: &Rover) -> Result<Option<Orbital>, ConfigError> {
        if self.orbital_site_dir.is_empty() {
            return Ok(None);
        }
        let site = Site::load(std::path::Path::new(&self.orbital_site_dir))?;
        Ok(Some(Orbital::new(&OrbitalLayers::of_site(&site)?, rover)?))
    }
}

/// The weights that rank ways: what may be set while the node runs, and nothing that decides whether a way is safe.
macro_rules! weights {
    ($($name:ident),* $(,)?) => {
        impl Config {
            /// Their names.
            pub const WEIGHTS: &[&str] = &[$(stringify!($name)),*];

            /// Takes those of another configuration.
            pub fn take_weights(&mut self, other: &Self) {
                $(self.$name = other.$name;)*
            }
        }
    };
}

weights!(
    tilt_weight,
    roughness_weight,
    rock_weight,
    unknown_factor,
    turn_cost_s,
    steer_cost_s,
    class_weight,
    visit_weight,
    short_cost_s,
);

/// Turns in place of the widened set: up to this, in these steps, radians.
const WIDE_TURN_RAD: f64 = 2.6;
const WIDE_STEP_RAD: f64 = 0.13;

impl Config {
    /// Distance between checked poses, metres.
    #[must_use]
    pub fn sample_m(&self) -> f64 {
        self.arc_length_m / self.samples_per_arc as f64
    }

    /// The same with a wider set of candidates: where nothing else is safe, finer headings and curvatures, and pieces of half
    /// the length. All that decides whether a pose is safe stays.
    #[must_use]
    pub fn widened(&self) -> Self {
        let n = self.curvatures_per_m.len();
        let finer = |all: &[f64]| -> Vec<f64> {
            let between = all.windows(2).filter_map(|w| match w {
                [a, b] => Some([*a, 0.5 * (a + b)]),
                _ => None,
            });
            between.flatten().chain(all.last().copied()).collect()
        };
        let turns = (WIDE_TURN_RAD / WIDE_STEP_RAD).round() as i32;
        let turns_rad = std::iter::once(0.0)
            .chain((1..=turns).flat_map(|i| {
                let angle = f64::from(i) * WIDE_STEP_RAD;
                [angle, -angle]
            }))
            .chain([std::f64::consts::PI])
            .collect();
        Self {
            arc_length_m: 0.5 * self.arc_length_m,
            samples_per_arc: (self.samples_per_arc / 2).max(1),
            commit_m: 0.5 * self.commit_m,
            curvatures_per_m: finer(&self.curvatures_per_m),
            slowness: if n == self.slowness.len() {
                finer(&self.slowness)
            } else {
                Vec::new()
            },
            turns_rad,
            ..self.clone()
        }
    }

    /// Checks the parameters and brings them to the rover's size.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key, the value and what was expected.
    pub fn new(p: &AutoNavParams, rover: &Rover) -> Result<Self, ConfigError> {
        let what = "autonav parameters";
        let r = rover.footprint_radius_m();
        let len = |name: &str, v: f64, lo: f64, hi: f64| {
            in_range(what, name, v, lo, hi).map(|footprints| footprints * r)
        };
        let num = |name: &str, v: f64, lo: f64, hi: f64| in_range(what, name, v, lo, hi);
        let arc_length_m = len("arc_length_footprints", p.arc_length_footprints, 0.2, 10.0)?;
        let sample_m = len("sample_footprints", p.sample_footprints, 0.02, 0.5)?;
        let commit_m = len("commit_footprints", p.commit_footprints, 0.05, 5.0)?;
        let stop_m = len("stop_footprints", p.stop_footprints, 0.01, 2.0)?;
        let curvatures = num("curvatures", p.curvatures as f64, 3.0, 41.0)? as usize;
        if curvatures.is_multiple_of(2) {
            return Err(CoreError::value(what, "curvatures", curvatures, "an odd number").into());
        }
        let most = 1.0 / rover.drive.min_turn_radius_m;
        let half = (curvatures / 2) as f64;
        let power = num("curvature_power", p.curvature_power, 1.0, 4.0)?;
        let curvatures_per_m: Vec<f64> = (0..curvatures)
            .map(|i| (i as f64 - half) / half)
            .map(|share| most * share.signum() * share.abs().powf(power))
            .collect();
        // The outer wheels set the pace.
        let slowness = curvatures_per_m
            .iter()
            .map(|&k| {
                let arc = Velocity {
                    speed_mps: 1.0,
                    turn_radps: k,
                };
                fastest_rim_mps(rover, arc).max(1.0)
            })
            .collect();
        num("turns_deg.length", p.turns_deg.len() as f64, 0.0, 32.0)?;
        let mut turns_rad = vec![0.0];
        for &t in &p.turns_deg {
            if num("turns_deg", t, -180.0, 180.0)? != 0.0 {
                turns_rad.push(t.to_radians());
            }
        }
        let c = Self {
            arc_length_m,
            samples_per_arc: (arc_length_m / sample_m).round().clamp(2.0, 100.0) as usize,
            commit_m,
            stop_m,
            costmap_cell_m: len(
                "costmap_cell_footprints",
                p.costmap_cell_footprints,
                0.05,
                1.0,
            )?,
            inflate_m: len("inflate_footprints", p.inflate_footprints, 0.0, 0.5)?,
            inflate_max_m: len(
                "inflate_max_footprints",
                p.inflate_max_footprints,
                p.inflate_footprints,
                0.5,
            )?,
            drift_sigmas: num("drift_sigmas", p.drift_sigmas, 0.0, 10.0)?,
            settle_step_m: len(
                "settle_step_footprints",
                p.settle_step_footprints,
                0.005,
                0.2,
            )?,
            start_known_m: len("start_known_footprints", p.start_known_footprints, 0.0, 3.0)?,
            corridor_margin_m: len(
                "corridor_margin_footprints",
                p.corridor_margin_footprints,
                0.0,
                2.0,
            )?,
            backup_max_m: len("backup_max_footprints", p.backup_max_footprints, 0.0, 20.0)?,
            lookahead_m: len("lookahead_footprints", p.lookahead_footprints, 0.05, 2.0)?,
            track_tolerance_m: len(
                "track_tolerance_footprints",
                p.track_tolerance_footprints,
                0.01,
                1.0,
            )?,
            grid_max_drive_m: len(
                "grid_max_drive_footprints",
                p.grid_max_drive_footprints,
                0.1,
                10.0,
            )?,
            grid_timeout_s: num("grid_timeout_s", p.grid_timeout_s, 0.1, 600.0)?,
            pose_timeout_s: num("pose_timeout_s", p.pose_timeout_s, 0.02, 10.0)?,
            goal_timeout_s: num("goal_timeout_s", p.goal_timeout_s, 0.02, 10.0)?,
            wait_s: num("wait_s", p.wait_s, 0.0, 3600.0)?,
            curvatures_per_m,
            slowness,
            turns_rad,
            turn_first_rad: num("turn_first_deg", p.turn_first_deg, 1.0, 90.0)?.to_radians(),
            limit_share: Share {
                rest: num("limit_share", p.limit_share, 0.1, 1.0)?,
                tilt: num("tilt_limit_share", p.tilt_limit_share, 0.1, 1.0)?,
                clearance: num("clearance_limit_share", p.clearance_limit_share, 0.1, 1.0)?,
            },
            hold_share: Share {
                rest: num("hold_share", p.hold_share, 0.1, 1.0)?,
                tilt: num("tilt_hold_share", p.tilt_hold_share, 0.1, 1.0)?,
                clearance: num("clearance_hold_share", p.clearance_hold_share, 0.1, 1.0)?,
            },
            out_share: Share {
                rest: num("out_share", p.out_share, 0.1, 1.0)?,
                tilt: num("tilt_out_share", p.tilt_out_share, 0.1, 1.0)?,
                clearance: num("clearance_out_share", p.clearance_out_share, 0.1, 1.0)?,
            },
            suspension_hold_share: num("suspension_hold_share", p.suspension_hold_share, 0.1, 1.0)?,
            slip_share: num("slip_share", p.slip_share, 0.1, 1.0)?,
            slip_hold_share: num("slip_hold_share", p.slip_hold_share, 0.1, 1.0)?,
            tilt_weight: num("tilt_weight", p.tilt_weight, 0.0, 1e3)?,
            roughness_weight: num("roughness_weight", p.roughness_weight, 0.0, 1e3)?,
            rock_weight: num("rock_weight", p.rock_weight, 0.0, 1e3)?,
            unknown_factor: num("unknown_factor", p.unknown_factor, 1.0, 1e3)?,
            turn_cost_s: num("turn_cost_s", p.turn_cost_s, 0.0, 1e3)?,
            steer_cost_s: num("steer_cost_s", p.steer_cost_s, 0.0, 1e3)?,
            class_weight: num("class_weight", p.class_weight, 0.0, 1e3)?,
            planner: p.planner,
            swing_m: len("swing_footprints", p.swing_footprints, 0.0, 0.5)?,
            map_m: len("map_footprints", p.map_footprints, 4.0, 60.0)?,
            coarse_m: len("coarse_footprints", p.coarse_footprints, 4.0, 120.0)?,
            visit_weight: num("visit_weight", p.visit_weight, 0.0, 1e3)?,
            short_cost_s: num("short_cost_s", p.short_cost_s, 0.0, 1e4)?,
            map_sigmas: num("map_sigmas", p.map_sigmas, 0.0, 6.0)?,
            slip_prior_sigma: num("slip_prior_sigma", p.slip_prior_sigma, 0.001, 1.0)?,
            slip_noise_sigma: num("slip_noise_sigma", p.slip_noise_sigma, 0.001, 1.0)?,
            think_s: num("think_s", p.think_s, 0.0, 60.0)?,
            think_ahead_m: len("think_ahead_footprints", p.think_ahead_footprints, 0.0, 2.0)?,
            path_factor_max: num("path_factor_max", p.path_factor_max, 1.1, 100.0)?,
            time_factor_max: num("time_factor_max", p.time_factor_max, 1.1, 1000.0)?,
            max_settles: num("max_settles", p.max_settles as f64, 100.0, 1e6)? as usize,
            seek_steps: num("seek_steps", p.seek_steps as f64, 0.0, 200_000.0)? as usize,
            seek_settles: num("seek_settles", p.seek_settles as f64, 10.0, 1e5)? as usize,
            candidates_reported: num(
                "candidates_reported",
                p.candidates_reported as f64,
                1.0,
                1000.0,
            )? as usize,
        };
        if c.commit_m + c.stop_m > c.arc_length_m {
            return Err(ConfigError::Mismatch(format!(
                "commit_footprints + stop_footprints is {} m, expected no more than the arc's {} m",
                c.commit_m + c.stop_m,
                c.arc_length_m
            )));
        }
        let shares = [
            ("limit_share", c.limit_share),
            ("hold_share", c.hold_share),
            ("out_share", c.out_share),
        ];
        for pair in shares.windows(2) {
            let [(low_name, low), (name, high)] = pair else {
                continue;
            };
            for (of, high, low) in [
                ("", high.rest, low.rest),
                ("tilt_", high.tilt, low.tilt),
                ("clearance_", high.clearance, low.clearance),
            ] {
                if high < low {
                    return Err(ConfigError::Mismatch(format!(
                        "{of}{name} is {high}, expected at least {of}{low_name}, which is {low}"
                    )));
                }
            }
        }
        Ok(c)
    }
}

#[cfg(test)]
pub(crate) mod tests;
