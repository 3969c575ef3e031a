//! The estimate of each tick, and what is said of it.

mod fixing;
mod health;
mod hearing;
mod seeing;
mod sunlight;

use crate::{
    config::{Config, Params},
    filter::{Filter, Levelling},
    finding::Finder,
    footing::{Footing, Sunk},
    map_frame::{MapFrame, Passed},
    messages::{Counts, Estimate, Input, Output, Refusal},
    pairs::PairMaker,
    visual::Visual,
};
use nalgebra::{Matrix3, UnitQuaternion, Vector3};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Odom, Transform},
    kinematics::Velocity,
    rover::Rover,
    suspension::SuspensionAngles,
};
use sunlight::SunWatch;

/// Encoders that have counted more than this count something else, metres.
const MAX_TRAVEL_M: f64 = 1e9;

#[derive(Clone, Debug)]
struct State {
    filter: Filter,
    // What position and velocity are carried on to.
    carried_to: Stamp,
    // Attitude at the newest wheel state.
    at_wheels: UnitQuaternion<f64>,
    rate_radps: Vector3<f64>,
    slip_sigma: Option<f64>,
    // Ways of the wheels: signs left out, and forward positive.
    way_m: f64,
    rolled_m: f64,
    fastest_m: f64,
}

/// The node without ROS.
#[derive(Clone, Debug)]
pub struct Localization {
    config: Config,
    rover: Rover,
    levelling: Levelling,
    state: Option<State>,
    imu_at: Option<Stamp>,
    wheels_at: Option<(Stamp, Velocity, [f64; 6])>,
    still_since: Option<Stamp>,
    level_at: Option<Stamp>,
    first_tick: Option<Stamp>,
    wrong_gravity_mps2: Option<f64>,
    gap_at: Option<(Stamp, &'static str)>,
    refused_since_tick: Option<(u64, Refusal)>,
    counts: Counts,
    maker: PairMaker,
    visual: Visual,
    suspension: SuspensionAngles,
    footing: Footing,
    sun: SunWatch,
    map: MapFrame,
    finder: Finder,
}

impl Localization {
    /// A node that knows nothing yet.
    #[must_use]
    pub fn new(config: Config, rover: &Rover) -> Self {
        let p = &config.params;
        Self {
            maker: PairMaker::default(),
            visual: Visual::new(p.visual, p.visual_odometry.clone()),
            suspension: SuspensionAngles::default(),
            footing: Footing::new(p.footing, rover),
            sun: SunWatch::default(),
            map: map_frame(p),
            finder: Finder::new(p.map_fix.clone(), p.visual_odometry.clone()),
            config,
            rover: rover.clone(),
            levelling: Levelling::default(),
            state: None,
            imu_at: None,
            wheels_at: None,
            still_since: None,
            level_at: None,
            first_tick: None,
            wrong_gravity_mps2: None,
            gap_at: None,
            refused_since_tick: None,
            counts: Counts::default(),
        }
    }

    /// What happened since the start.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The gyro's bias as estimated, rad/s.
    #[must_use]
    pub fn gyro_bias_radps(&self) -> Vector3<f64> {
        self.state
            .as_ref()
            .map_or_else(Vector3::zeros, |s| s.filter.gyro_bias_radps())
    }

    /// The accelerometer's bias as estimated, m/s².
    #[must_use]
    pub fn accel_bias_mps2(&self) -> Vector3<f64> {
        self.state
            .as_ref()
            .map_or_else(Vector3::zeros, |s| s.filter.accel_bias_mps2())
    }

    /// The wheel that sinks in, as of the newest pair.
    #[must_use]
    pub fn sunk(&self) -> Option<&Sunk> {
        self.footing.sunk()
    }

    /// Begins anew: a new level, `odom` where the rover stands, `map` as the parameters say. What came before is forgotten but
    /// for the stamps, so that nothing is taken twice, and the counts.
    ///
    /// # Errors
    /// Why not, in a sentence: a wheel turns, and a level is found at rest only.
    pub fn reset(&mut self) -> Result<(), String> {
        if self.wheels_at.is_some() && self.still_since.is_none() {
            return Err("a wheel turns: stop the rover first".to_string());
        }
        let p = &self.config.params;
        self.state = None;
        self.levelling = Levelling::default();
        self.level_at = None;
        self.wrong_gravity_mps2 = None;
        self.visual = Visual::new(p.visual, p.visual_odometry.clone());
        self.footing = Footing::new(p.footing, &self.rover);
        self.sun = SunWatch::default();
        self.map = map_frame(p);
        self.finder.forget();
        Ok(())
    }

    /// Takes one input at ROS time `now`.
    pub fn step(&mut self, now: Stamp, input: Input) -> Output {
        let result = match input {
            Input::Imu(stamp, sample) => self.on_imu(now, stamp, &sample),
            Input::Wheels(stamp, wheels) => self.on_wheels(now, stamp, &wheels),
            Input::Sun(stamp, direction) => self.on_sun(now, stamp, direction),
            Input::Pair(stamp, pair) => self.on_pair(now, stamp, pair),
            Input::Part(part) => match self.maker.add(part) {
                Some((stamp, pair)) => self.on_pair(now, stamp, pair),
                None => Ok(()),
            },
            Input::InitialPose(pose, covariance) => self.on_initial_pose(pose, &covariance),
            Input::MapPose(stamp, pose) => self.on_map_pose(now, stamp, &pose),
            Input::FindOnMap => {
                self.finder.want();
                Ok(())
            }
            Input::Found(answer) => self.on_answer(now, *answer),
            Input::Tick => return self.on_tick(now),
        };
        if let Err(why) = result {
            self.refuse(why);
        }
        Output::default()
    }

    fn refuse(&mut self, why: Refusal) {
        *self.counts.refused.entry(why).or_default() += 1;
        let n = self.refused_since_tick.map_or(0, |(n, _)| n);
        self.refused_since_tick = Some((n + 1, why));
    }

    fn check_stamp(&self, now: Stamp, stamp: Stamp, last: Option<Stamp>) -> Result<(), Refusal> {
        if stamp.since(now) > self.config.params.future_s {
            return Err(Refusal::Future);
        }
        if last.is_some_and(|last| stamp <= last) {
            return Err(Refusal::OutOfOrder);
        }
        Ok(())
    }

    /// What the odometry believes now.
    fn passed(&self) -> Option<Passed> {
        let state = self.state.as_ref()?;
        let pose = Transform::<Odom, BaseLink>::new(state.filter.pose());
        Some(Passed {
            stamp: self.imu_at?.max(self.wheels_at?.0),
            pose: pose.planar(),
            errors: state.filter.with_pose(),
        })
    }

    /// Those who keep what the odometry believed hear what it believes now.
    fn pass_on(&mut self) {
        let Some(now) = self.passed() else { return };
        let Some(state) = &mut self.state else { return };
        let carried = state.filter.take_carried();
        self.map.pass(now, &carried);
        self.finder.pass(&carried);
    }

    /// The same, as often as the rover has come on; in between a glance has to do.
    fn pass_on_the_way(&mut self) {
        let Some(now) = self.passed() else { return };
        if self.map.is_far(&now) {
            self.pass_on();
        } else if let Some(state) = &self.state {
            self.map.glance(state.filter.carried());
        }
    }

    fn on_tick(&mut self, now: Stamp) -> Output {
        self.first_tick.get_or_insert(now);
        let sightings = self.look();
        if let Err(why) = self.look_at_sun() {
            self.refuse(why);
        }
        self.pass_on_the_way();
        let out = Output {
            sightings,
            search: self.search(now),
            estimate: self.estimate(),
            health: Some(self.health(now)),
        };
        self.refused_since_tick = None;
        out
    }

    /// The estimate now; nothing before the first level and the first wheel state.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        let state = self.state.as_ref()?;
        let p = &self.config.params;
        let stamp = self.imu_at?.max(self.wheels_at?.0);
        let velocity = state.filter.velocity_in_base_mps();
        Some(Estimate {
            stamp,
            odom_from_base_link: Transform::new(state.filter.pose()),
            pose_covariance: state.filter.pose_covariance(p.level_sigma_rad.powi(2)),
            velocity_mps: velocity.into(),
            velocity_sigma_mps: state.filter.speed_sigma_mps(),
            rate_radps: state.rate_radps,
            map_from_odom: self.map.transform(),
            map_sigma_m: self.map_sigma_m(),
        })
    }
}

/// `map` before anything is known of it but the parameters.
fn map_frame(p: &Params) -> MapFrame {
    MapFrame::new(
        [p.initial_x_m, p.initial_y_m, p.initial_z_m],
        start_covariance(p),
        p.map_error_correlation_m,
    )
}

/// How well the start in `map` is known: x, y (metres) and yaw (radians).
fn start_covariance(p: &Params) -> Matrix3<f64> {
    let xy = p.initial_position_sigma_m.powi(2);
    Matrix3::from_diagonal(&Vector3::new(xy, xy, p.initial_yaw_sigma_rad.powi(2)))
}
