//! What inertial unit and wheels say.

use super::{Localization, MAX_TRAVEL_M, State};
use crate::{
    config::Config,
    filter::{Inertial, Levelling, Sample, Start, Way},
    messages::{ImuSample, Refusal, WheelSample},
    visual::Reckoned,
};
use nalgebra::Vector3;
use sojourn_core::{
    Stamp,
    kinematics::{WheelMotion, velocity_from},
    rover::Rover,
};

/// A rate beyond this is no measurement, rad/s.
const MAX_RATE_RADPS: f64 = 100.0;
/// A specific force beyond this is no measurement, m/s².
const MAX_FORCE_MPS2: f64 = 1000.0;
/// A rim speed beyond this is no measurement, m/s.
const MAX_RIM_MPS: f64 = 100.0;
/// No suspension turns further, radians.
const MAX_SUSPENSION_RAD: f64 = 1.6;
/// Between two samples no rim is believed to be faster than this multiple of the rover's limit.
const MAX_RIM_SHARE: f64 = 3.0;
/// Standard deviation of the wheels' turn as a share of it, for the heading over a gap of the gyro.
const WHEEL_TURN_SIGMA_SHARE: f64 = 0.3;
/// Way over which the standard deviation of the slip follows the slope, metres.
const SMOOTH_M: f64 = 1.0;

impl Localization {
    /// Takes a sample of the inertial unit in.
    pub(super) fn on_imu(
        &mut self,
        now: Stamp,
        stamp: Stamp,
        sample: &ImuSample,
    ) -> Result<(), Refusal> {
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
            scale_sigma_px: p.visual.scale_sigma_px,
            aside_sigma_px: p.visual.aside_sigma_px,
            beside_sigma_px: p.visual.beside_sigma_px,
            wander_sigma_px: p.visual.wander_sigma_px,
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
                fastest_m: 0.0,
            });
            self.level_at = Some(stamp);
        }
    }

    /// Takes a wheel state in.
    pub(super) fn on_wheels(
        &mut self,
        now: Stamp,
        stamp: Stamp,
        sample: &WheelSample,
    ) -> Result<(), Refusal> {
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
            let jumped = !mean.rim_mps.iter().all(|v| v.abs() <= most_mps);
            let (wheels_m, turn_rad, fastest_m) = if jumped {
                // They began anew: what the wheels said of their speed has to do, and not for long.
                let speed_mps = 0.5 * (last_velocity.speed_mps + velocity.speed_mps);
                let believed_s = dt_s.min(p.wheels_timeout_s);
                let fastest_m = fastest_mps(wheels) * believed_s;
                (
                    speed_mps * believed_s,
                    velocity.turn_radps * believed_s,
                    fastest_m,
                )
            } else {
                // Encoders count through a gap in the messages.
                let v = velocity_from(&self.rover, &mean);
                (
                    v.speed_mps * dt_s,
                    v.turn_radps * dt_s,
                    fastest_mps(&mean) * dt_s,
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
            state.fastest_m += fastest_m;
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
            fastest_m: state.fastest_m,
        });
        Ok(())
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

/// Speed of the fastest rim, m/s.
fn fastest_mps(wheels: &WheelMotion) -> f64 {
    wheels.rim_mps.iter().fold(0.0, |m, v| v.abs().max(m))
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
