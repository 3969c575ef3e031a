//! The estimate of each tick, and what is said of it.

mod fixing;
mod health;
mod seeing;
mod sunlight;

use crate::{
    config::{Config, Params},
    filter::{Filter, Inertial, Levelling, Sample, Start, Way},
    finding::Finder,
    footing::{Footing, Sunk},
    map_frame::{MapFrame, Passed},
    messages::{
        Counts, Estimate, ImuSample, Input, Output, Refusal, SuspensionAngles, WheelSample,
    },
    pairs::PairMaker,
    visual::{Reckoned, Visual},
};
use nalgebra::{Matrix3, UnitQuaternion, Vector3};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Odom, Transform},
    kinematics::{Velocity, velocity_from},
    rover::Rover,
};
use sunlight::SunWatch;

/// A rate beyond this is no measurement, rad/s.
const MAX_RATE_RADPS: f64 = 100.0;
/// A specific force beyond this is no measurement, m/s².
const MAX_FORCE_MPS2: f64 = 1000.0;
/// A rim speed beyond this is no measurement, m/s.
const MAX_RIM_MPS: f64 = 100.0;
/// Encoders that have counted more than this count something else, metres.
const MAX_TRAVEL_M: f64 = 1e9;
/// No suspension turns further, radians.
const MAX_SUSPENSION_RAD: f64 = 1.6;
/// Between two samples no rim is believed to be faster than this multiple of the rover's limit.
const MAX_RIM_SHARE: f64 = 3.0;
/// Standard deviation of the wheels' turn as a share of it, for the heading over a gap of the gyro.
const WHEEL_TURN_SIGMA_SHARE: f64 = 0.3;
/// Way over which the standard deviation of the slip follows the slope, metres.
const SMOOTH_M: f64 = 1.0;

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

    fn on_imu(&mut self, now: Stamp, stamp: Stamp, sample: &ImuSample) -> Result<(), Refusal> {
        // Written so that not-a-number is refused.
        let plausible = sample.gyro_radps.norm() <= MAX_RATE_RADPS
            && sample.accel_mps2.norm() <= MAX_FORCE_MPS2;
        if !plausible {
            return Err(Refusal::NotFinite);
        }
        self.check_stamp(now, stamp, self.imu_at)?;
        let dt_s = self.imu_at.map_or(0.0, |last| stamp.since(last));
        self.imu_at = Some(stamp);
        self.counts.imu += 1;
        let wheels_still = self
            .still_since
            .is_some_and(|since| stamp.since(since) >= self.config.params.still_after_s);
        let Some(state) = &mut self.state else {
            self.level_first(stamp, sample);
            return Ok(());
        };
        let p = &self.config.params;
        let moving_s = stamp.since(state.carried_to).max(0.0);
        state.carried_to = state.carried_to.max(stamp);
        let g = self.config.gravity_mps2;
        let beside_mps2 = (sample.accel_mps2.norm() - g).abs();
        let like_gravity = beside_mps2 <= p.accel_gate_share * g;
        if like_gravity {
            self.level_at = Some(stamp);
        }
        if dt_s > p.imu_timeout_s {
            // The gyro has seen nothing of this time: the wheels say how far the rover may have turned.
            let turn_rad = self.wheels_at.map_or(0.0, |(_, v, _)| v.turn_radps) * dt_s;
            let sigma_rad = WHEEL_TURN_SIGMA_SHARE * turn_rad;
            state.filter.bridge(dt_s, moving_s, turn_rad, sigma_rad);
            self.gap_at = Some((stamp, "IMU"));
            self.counts.gaps += 1;
            return Ok(());
        }
        let heard = Sample {
            gyro_radps: sample.gyro_radps,
            accel_mps2: sample.accel_mps2,
            turning_s: dt_s,
            moving_s,
            shock_var: if like_gravity {
                0.0
            } else {
                beside_mps2 * beside_mps2
            },
        };
        let rate = sample.gyro_radps - state.filter.gyro_bias_radps();
        let gate_radps = p.still_gyro_radps + 5.0 * self.rover.imu.gyro_sigma_radps;
        if wheels_still && rate.norm() <= gate_radps {
            state.filter.rest(&heard);
            state.rate_radps = Vector3::zeros();
        } else {
            state.filter.carry(&heard);
            state.rate_radps = rate;
        }
        Ok(())
    }

    fn level_first(&mut self, stamp: Stamp, sample: &ImuSample) {
        let p = &self.config.params;
        if self.wheels_at.is_some() && self.still_since.is_none() {
            // Moving already: these samples are no rest, and what waits to be seen was seen elsewhere.
            self.levelling = Levelling::default();
            self.visual.drop_waiting();
            return;
        }
        self.levelling.add(sample.accel_mps2, sample.gyro_radps);
        if self.levelling.samples() < p.init_samples {
            return;
        }
        let (force, g) = (self.levelling.force_mps2(), self.config.gravity_mps2);
        let levelling = std::mem::take(&mut self.levelling);
        if (force - g).abs() > p.accel_gate_share * g {
            self.wrong_gravity_mps2 = Some(force);
            return;
        }
        self.wrong_gravity_mps2 = None;
        let start = Start {
            yaw_sigma_rad: p.initial_yaw_sigma_rad,
            scale_sigma: p.visual.scale_sigma,
            aside_sigma_radpm: p.visual.aside_sigma_radpm,
            wander_sigma_radpm: p.visual.wander_sigma_radpm,
            wander_m: p.visual.wander_m,
        };
        let inertial = inertial(&self.config, &self.rover);
        if let Some(filter) = levelling.begin(p.initial_yaw_rad, inertial, &start) {
            self.state = Some(State {
                at_wheels: filter.odom_from_base(),
                filter,
                carried_to: stamp,
                rate_radps: Vector3::zeros(),
                slip_sigma: None,
                way_m: 0.0,
                rolled_m: 0.0,
            });
            self.level_at = Some(stamp);
        }
    }

    fn on_wheels(&mut self, now: Stamp, stamp: Stamp, sample: &WheelSample) -> Result<(), Refusal> {
        let wheels = &sample.motion;
        let plausible = wheels.rim_mps.iter().all(|v| v.abs() <= MAX_RIM_MPS)
            && sample.travel_m.iter().all(|v| v.abs() <= MAX_TRAVEL_M)
            && wheels.steer_rad.iter().all(|v| v.abs() <= 10.0)
            && sample.suspension.is_none_or(|s| {
                let [left, right] = s.bogie_rad;
                [s.differential_rad, left, right]
                    .iter()
                    .all(|v| v.abs() <= MAX_SUSPENSION_RAD)
            });
        if !plausible {
            return Err(Refusal::NotFinite);
        }
        self.check_stamp(now, stamp, self.wheels_at.map(|w| w.0))?;
        self.counts.wheels += 1;
        if let Some(angles) = sample.suspension {
            self.suspension = angles;
        }
        let velocity = velocity_from(&self.rover, wheels);
        let p = &self.config.params;
        let still = wheels.rim_mps.iter().all(|v| v.abs() <= p.still_rim_mps);
        self.still_since = if still {
            self.still_since.or(Some(stamp))
        } else {
            None
        };
        let last = self.wheels_at.replace((stamp, velocity, sample.travel_m));
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        let newer_s = stamp.since(state.carried_to);
        if newer_s > 0.0 {
            let silent_s = self.imu_at.map_or(f64::INFINITY, |at| stamp.since(at));
            if silent_s <= p.imu_timeout_s {
                state.filter.coast(newer_s);
            } else {
                state.filter.drift(newer_s);
            }
            state.carried_to = stamp;
        }
        let ahead_s = newer_s.clamp(-p.imu_timeout_s, 0.0);
        let now_at = state.filter.odom_from_base();
        if let Some((last_stamp, last_velocity, last_travel_m)) = last {
            let dt_s = stamp.since(last_stamp);
            let gap = dt_s > p.wheels_timeout_s;
            let mut mean = *wheels;
            for (rim_mps, (now_m, last_m)) in mean
                .rim_mps
                .iter_mut()
                .zip(sample.travel_m.iter().zip(last_travel_m))
            {
                *rim_mps = (now_m - last_m) / dt_s;
            }
            let most_mps = MAX_RIM_SHARE * self.rover.limits.wheel_speed_mps;
            let (wheels_m, turn_rad, jumped) = if mean.rim_mps.iter().all(|v| v.abs() <= most_mps) {
                // Encoders count through a gap in the messages.
                let v = velocity_from(&self.rover, &mean);
                (v.speed_mps * dt_s, v.turn_radps * dt_s, false)
            } else {
                // They began anew: what the wheels said of their speed has to do, and not for long.
                let speed_mps = 0.5 * (last_velocity.speed_mps + velocity.speed_mps);
                let believed_s = dt_s.min(p.wheels_timeout_s);
                (
                    speed_mps * believed_s,
                    velocity.turn_radps * believed_s,
                    true,
                )
            };
            if gap || jumped {
                self.gap_at = Some((stamp, "wheel states"));
                self.counts.gaps += 1;
            }
            let halfway = state
                .at_wheels
                .try_slerp(&now_at, 0.5, 1e-12)
                .unwrap_or(now_at);
            let (roll_rad, pitch_rad, _) = halfway.euler_angles();
            let (slip, creep) =
                self.config
                    .expected_slip(&self.rover, roll_rad, pitch_rad, wheels_m);
            let slip_sigma = state.smooth(self.config.slip_sigma(slip), wheels_m);
            let creep_sigma = self.config.creep_sigma();
            state.filter.moved(
                halfway,
                &Way {
                    forward_m: wheels_m * (1.0 - slip),
                    // Creep is downhill whichever way the rover drives.
                    left_m: (wheels_m * (1.0 - slip)).abs() * creep,
                    wheels_m,
                    slip_sigma,
                    creep_sigma,
                    level_sigma_rad: p.level_sigma_rad,
                    correlation_m: self.config.correlation_m(),
                    sway_sigma_m: p.sway_sigma_m,
                    heave_sigma_m: p.heave_sigma_m,
                    turn_rad,
                    turn_slide_m: p.turn_slide_m,
                    jolt_mps: velocity.speed_mps - last_velocity.speed_mps,
                    over_s: dt_s.min(p.wheels_timeout_s),
                    ahead_s,
                },
            );
            state.way_m += wheels_m.abs();
            state.rolled_m += wheels_m;
        } else {
            state.filter.begin_rolling(ahead_s);
        }
        state.at_wheels = state.filter.odom_from_base();
        self.visual.remember(Reckoned {
            stamp,
            rotation: state.at_wheels,
            wheels_only_m: state.filter.wheels_only_m(),
            position_m: state.filter.position_m() + state.filter.velocity_mps() * ahead_s,
            way_m: state.way_m,
            rolled_m: state.rolled_m,
        });
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
            velocity_mps: [velocity.x, velocity.y],
            velocity_sigma_mps: state.filter.speed_sigma_mps(),
            rate_radps: state.rate_radps,
            map_from_odom: self.map.transform(),
            map_sigma_m: self.map_sigma_m(),
        })
    }
}

impl State {
    /// The standard deviation of the slip, smoothed over the way. By how much slip makes a way shorter must not follow the
    /// level's noise: the velocity that the wheels led to before hangs on the slip as it was weighed then, and what differs
    /// would pass for news of the slip.
    fn smooth(&mut self, slip_sigma: f64, wheels_m: f64) -> f64 {
        let share = 1.0 - (-wheels_m.abs() / SMOOTH_M).exp();
        let before = self.slip_sigma.unwrap_or(slip_sigma);
        let smoothed = before + share * (slip_sigma - before);
        self.slip_sigma = Some(smoothed);
        smoothed
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

/// What the inertial unit is, by the rover's file and the parameters.
fn inertial(config: &Config, rover: &Rover) -> Inertial {
    let (p, imu) = (&config.params, &rover.imu);
    Inertial {
        gravity_mps2: config.gravity_mps2,
        gyro_var: imu.gyro_sigma_radps.powi(2).max(1e-16),
        gyro_bias_var: imu.gyro_bias_sigma_radps.powi(2),
        gyro_walk_radps: p.gyro_walk_radps,
        accel_var: imu.accel_sigma_mps2.powi(2).max(1e-12),
        accel_bias_var: p.accel_bias_sigma_mps2.powi(2),
        accel_walk_mps2: p.accel_walk_mps2,
        still_var: p.still_sigma_mps.powi(2),
    }
}
