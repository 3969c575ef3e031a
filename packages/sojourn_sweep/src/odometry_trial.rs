//! Localization on trial: the simulator drives a rover along a winding way over generated ground, localization gets what
//! its sensors read, and both are compared. No AutoNav, no ROS: the way is driven by truth, so that every trial is as long
//! as asked.

use crate::{
    SweepError,
    closed_loop::Settings,
    course::{Course, bursts},
    cpu_s,
    on_map::{OnMap, Surveyor},
};
use nalgebra::{Isometry3, Matrix3, UnitQuaternion, Vector3};
use serde::{Deserialize, Serialize};
use sojourn_core::{
    Stamp,
    body::Body,
    frames::{Pose2, wrap_rad},
    kinematics::{Velocity, WheelMotion},
    rover::Rover,
    suspension::SuspensionAngles,
};
use sojourn_localization::{
    Config, Estimate, ImuSample, Input, Localization, Params, WheelSample,
    visual::Sighting,
    vo::{GrayImage, Seen, StereoCamera, StereoPair},
};
use sojourn_twin::{
    noise,
    sim::{ImageEvent, SimConfig, SimOutput, Simulator},
};

/// Seconds at rest before the drive.
const REST_S: f64 = 3.0;
/// Channel of what is drawn from a trial's seed for the sun sensor.
const SUN_CHANNEL: u64 = 0x5e_e6;
/// A motion is wrong when it is off by more than this, metres, and by more than this share of the way.
const WRONG_M: f64 = 0.02;
const WRONG_SHARE: f64 = 0.05;
/// Way between two rows of the error's growth, metres.
const GROWTH_STEP_M: f64 = 10.0;
/// 95 % of chi² with three degrees of freedom lie between these.
const BAND: [f64; 2] = [0.2158, 9.3484];

/// What a trial is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Everything is drawn from it.
    pub seed: u64,
    /// Way along the line, metres.
    pub distance_m: f64,
    /// Golombek's k, 0 to 1.
    pub cfa: f64,
    /// Mean of the share of the way that is lost beside the soil's slip, 0 to 1; it changes along the way.
    pub extra_slip: f64,
    /// Tilt of the ground, degrees.
    pub slope_deg: f64,
    /// Where the sun stands: degrees over the horizon.
    pub sun_deg: f64,
}

/// An error at the end of a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Distance from the truth, metres.
    pub error_m: f64,
    /// And as a share of the way.
    pub share: f64,
    /// Heading error, degrees.
    pub heading_deg: f64,
}

/// The error of what the node publishes on the way, believed less true, and its standard deviations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// True way so far, metres.
    pub at_m: f64,
    /// In the direction from the start to where the rover is, metres.
    pub along_m: f64,
    /// To the left of it, metres.
    pub across_m: f64,
    /// Of the heading, degrees.
    pub heading_deg: f64,
    /// Standard deviation of each.
    pub sigma_along_m: f64,
    /// See [`Self::sigma_along_m`].
    pub sigma_across_m: f64,
    /// See [`Self::sigma_along_m`].
    pub sigma_heading_deg: f64,
    /// Squared Mahalanobis distance, three degrees of freedom.
    pub nees: f64,
}

/// What a trial gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// True way, metres.
    pub distance_m: f64,
    /// Mean true slip.
    pub slip: f64,
    /// Stereo visual odometry alone.
    pub visual: Drift,
    /// Wheels, gyro and gravity alone.
    pub wheels: Drift,
    /// All of it: what the node publishes.
    pub fused: Drift,
    /// Pairs that could have given a motion.
    pub pairs: u64,
    /// Of them those that did.
    pub motions: u64,
    /// Of the motions those that were off by more than 2 cm and 5 % of the way.
    pub wrong: u64,
    /// Motions that the filter refused.
    pub outliers: u64,
    /// Squared Mahalanobis distances of the motions from the estimate, four degrees of freedom.
    pub distances2: Vec<f64>,
    /// Residuals of the motions per degree of freedom.
    pub residuals: Vec<f64>,
    /// Why the others gave none.
    pub failures: Vec<String>,
    /// Errors of slip, measured less true.
    pub slip_errors: Vec<f64>,
    /// Of seconds with an estimate, those whose error (x, y, heading) lay in the 95 % band of the covariance.
    pub in_band: u64,
    /// And those above it.
    pub above_band: u64,
    /// Seconds with an estimate.
    pub seconds: u64,
    /// Of them those in which a wheel was said to sink in.
    #[serde(default)]
    pub sinking: u64,
    /// The error every ten metres and what the covariance says of it.
    #[serde(default)]
    pub growth: Vec<Growth>,
    /// Processor time of each pair, milliseconds.
    pub pair_ms: Vec<f64>,
    /// The place in `map`, on a course with a map.
    #[serde(default)]
    pub on_map: Option<OnMap>,
}

/// Sees every pair of a trial, with the true pose of `base_link`: for other methods on the same images.
pub trait PairObserver {
    /// A pair.
    fn pair(&mut self, stamp: Stamp, pair: &StereoPair, map_from_base_link: &Isometry3<f64>);

    /// What the simulator gave in a tick, before its pair; for those who write it down.
    fn tick(&mut self, _now: Stamp, _out: &SimOutput) {}
}

/// Runs a trial over a course; `progress` hears the way so far.
///
/// # Errors
/// [`SweepError`] when world, rover or parameters do not allow it.
pub fn run(
    trial: &Trial,
    course: Course,
    settings: &Settings,
    rover: &Rover,
    body: &Body,
    observer: &mut dyn PairObserver,
    progress: &mut dyn FnMut(f64),
) -> Result<TrialResult, SweepError> {
    let Course { world, way, map } = course;
    let start = way.pose(0.0);
    let s = &settings.simulator;
    let config = SimConfig {
        extra_slip: 0.0,
        faults: bursts(trial),
        pan_images: 1,
        image_turn_rad: s.image_turn_deg.to_radians(),
        render_range_m: s.render_range_m,
        depth_noise: false,
        right_images: true,
        sensor: s.sensor,
        imu_drift: s.imu_drift,
        sun_sigma_rad: s.sun_sigma_rad,
        ..SimConfig::demo(trial.seed, start, None)
    };
    let mut sim = Simulator::new(world, rover.clone(), body, config)?;
    let ground_m = sim.ground_m().unwrap_or(0.0);
    let sun_rad = sim.world().sun_rad();
    let askew = sun_askew(trial.seed, settings.localization.sun.fixed_sigma_rad);
    let node = |visual: bool| -> Result<Localization, SweepError> {
        let mut p: Params = settings.localization.clone();
        (p.initial_x_m, p.initial_y_m) = (start.x_m, start.y_m);
        (p.initial_z_m, p.initial_yaw_rad) = (ground_m, start.yaw_rad);
        // The start is known: what is on trial is what grows from there.
        p.initial_yaw_sigma_rad = 0.0;
        p.visual.enabled = visual;
        p.map_fix.enabled = visual && map.is_some();
        p.sun.enabled &= visual;
        p.sun.times_s = vec![0.0];
        p.sun.azimuths_rad = vec![sun_rad[0]];
        p.sun.elevations_rad = vec![sun_rad[1]];
        Ok(Localization::new(Config::new(p, body)?, rover))
    };
    let mut judge = Judge::default();
    let mut surveyor = map.as_ref().map(Surveyor::new);
    let (mut fused, mut wheels) = (node(true)?, node(false)?);
    let period_s = rover.cadence.control_period_s;
    let most = (20.0 * trial.distance_m / (rover.drive.cruise_mps * period_s)) as u64;
    for tick in 0..most {
        let now = Stamp::from_secs(period_s * (tick + 1) as f64);
        let rest = (tick as f64) * period_s < REST_S;
        let command = if rest {
            Velocity::STOP
        } else {
            way.command(judge.pose(start), rover)
        };
        let out = sim.step(now, command);
        feed(&mut wheels, &out, rover, now, &askew);
        feed(&mut fused, &out, rover, now, &askew);
        judge.truth(&out, rover);
        observer.tick(now, &out);
        if let Some(image) = &out.image
            && let Some(pair) = pair(image, rover)
        {
            observer.pair(now, &pair, &out.truth.map_from_base_link.iso);
            if let Some(surveyor) = &mut surveyor {
                surveyor.stood(image.stamp, out.truth.map_from_base_link.iso);
            }
            fused.step(now, Input::Pair(image.stamp, Box::new(pair)));
        }
        if let Some(surveyor) = &mut surveyor {
            surveyor.answer(now, &mut fused);
        }
        let begin_s = cpu_s();
        let told = fused.step(now, Input::Tick);
        let took_s = cpu_s() - begin_s;
        for sighting in &told.sightings {
            judge.sighting(sighting, took_s, rover);
        }
        if let Some(surveyor) = &mut surveyor {
            let truth = &out.truth.map_from_base_link.iso;
            if let Some(search) = &told.search {
                surveyor.search(search, out.truth.distance_m, told.estimate.as_ref(), truth);
            }
            if let Some(estimate) = told.estimate.as_ref().filter(|_| tick % 10 == 9) {
                surveyor.second(&fused, estimate, truth);
            }
        }
        let plain = wheels.step(now, Input::Tick);
        if tick % 10 == 9 {
            judge.second(told.estimate.as_ref(), plain.estimate.as_ref());
            judge.result.sinking += u64::from(fused.sunk().is_some());
            progress(out.truth.distance_m.min(trial.distance_m));
        }
        if out.truth.distance_m >= trial.distance_m {
            break;
        }
        if let Some(why) = out.blocked {
            judge
                .result
                .failures
                .push(format!("the rover could not go on: {why}"));
            break;
        }
    }
    judge.result.outliers = fused.counts().outliers;
    judge.result.on_map = surveyor.map(Surveyor::end);
    Ok(judge.result)
}

/// How the sun sensor is mounted askew in a trial, about each axis of `base_link` with this standard deviation, radians: what
/// all of its readings have wrong alike, as the node is told.
fn sun_askew(seed: u64, sigma_rad: f64) -> UnitQuaternion<f64> {
    let turn = [0, 1, 2]
        .map(|axis: i64| sigma_rad * noise::near_gauss(noise::hash(seed, SUN_CHANNEL, axis, 0)));
    UnitQuaternion::from_scaled_axis(Vector3::from(turn))
}

fn feed(
    node: &mut Localization,
    out: &SimOutput,
    rover: &Rover,
    now: Stamp,
    sun_askew: &UnitQuaternion<f64>,
) {
    for s in &out.imu {
        let sample = ImuSample {
            gyro_radps: Vector3::from(s.gyro_radps),
            accel_mps2: Vector3::from(s.accel_mps2),
        };
        node.step(now, Input::Imu(s.stamp, sample));
    }
    let r = rover.wheel.radius_m;
    let sample = WheelSample {
        motion: WheelMotion {
            rim_mps: out.wheels.velocity_radps.map(|w| w * r),
            steer_rad: out.wheels.steer_rad,
        },
        travel_m: out.wheels.position_rad.map(|a| a * r),
        suspension: Some(SuspensionAngles {
            differential_rad: out.truth.settled.differential_rad,
            bogie_rad: out.truth.settled.bogie_rad,
        }),
    };
    node.step(now, Input::Wheels(now, sample));
    if let Some(sun) = &out.sun {
        let seen = sun_askew * Vector3::from(sun.direction);
        node.step(now, Input::Sun(sun.stamp, seen));
    }
}

/// The stereo pair of an image event of a rectified rig.
#[must_use]
pub fn pair(image: &ImageEvent, rover: &Rover) -> Option<StereoPair> {
    let f = &image.frame;
    Some(StereoPair {
        left: GrayImage::new(f.width, f.height, f.left.clone())?,
        right: GrayImage::new(f.width, f.height, f.right.clone())?,
        camera: StereoCamera {
            pinhole: rover.navcam_pinhole(),
            baseline_m: rover.navcam.baseline_m,
        },
        base_link_from_navcam: image.base_link_from_navcam.iso,
    })
}

/// How far a believed pose is from the true one after a way.
#[must_use]
pub fn drift_of(truth: &Isometry3<f64>, believed: &Isometry3<f64>, way_m: f64) -> Drift {
    let error_m = (truth.translation.vector - believed.translation.vector).norm();
    let yaw = |p: &Isometry3<f64>| p.rotation.euler_angles().2;
    Drift {
        error_m,
        share: error_m / way_m.max(1.0),
        heading_deg: wrap_rad(yaw(believed) - yaw(truth)).to_degrees(),
    }
}

/// Mean turn of the wheels that the rover has, radians.
fn mean_turn_rad(position_rad: &[f64; 6], rover: &Rover) -> f64 {
    let there = rover.has_wheel();
    let turned = position_rad.iter().zip(there).filter(|(_, there)| *there);
    turned.map(|(turn, _)| turn).sum::<f64>() / rover.wheel_count().max(1) as f64
}

/// Compares with the truth.
#[derive(Default)]
struct Judge {
    result: TrialResult,
    truth: Option<Isometry3<f64>>,
    origin: Option<Isometry3<f64>>,
    /// Mean turn of the wheels so far, radians.
    rolled_rad: f64,
    /// Truth and turn of the wheels at the last pairs, newest last.
    passed: Vec<(Stamp, Isometry3<f64>, f64)>,
    key: Option<Isometry3<f64>>,
    slip_from: Option<(Isometry3<f64>, f64)>,
    plane: Option<Pose2>,
}

impl Judge {
    fn pose(&self, start: Pose2) -> Pose2 {
        self.plane.unwrap_or(start)
    }

    fn truth(&mut self, out: &SimOutput, rover: &Rover) {
        let pose = out.truth.map_from_base_link.iso;
        self.origin.get_or_insert(pose);
        self.truth = Some(pose);
        self.plane = Some(out.truth.pose);
        self.rolled_rad = mean_turn_rad(&out.wheels.position_rad, rover);
        self.result.distance_m = out.truth.distance_m;
        if let Some(image) = &out.image {
            self.passed.push((image.stamp, pose, self.rolled_rad));
        }
    }

    fn sighting(&mut self, s: &Sighting, took_s: f64, rover: &Rover) {
        let Some(k) = self.passed.iter().position(|p| p.0 == s.stamp) else {
            return;
        };
        let (_, truth, rolled) = self.passed[k];
        self.passed.drain(..k);
        let r = rover.wheel.radius_m;
        if !matches!(s.seen, Seen::First) {
            self.result.pairs += 1;
            self.result.pair_ms.push(1e3 * took_s);
        }
        match &s.seen {
            Seen::First => {}
            Seen::Failed { why, .. } => self.result.failures.push(why.describe()),
            Seen::Moved { motion, .. } => {
                self.result.motions += 1;
                self.result.residuals.push(motion.residual);
                if let Some(Ok(d2) | Err(d2)) = s.fused {
                    self.result.distances2.push(d2);
                }
                if let Some(key) = self.key {
                    let moved = key.inverse() * truth;
                    let off_m =
                        (moved.translation.vector - motion.key_from_now.translation.vector).norm();
                    if off_m > WRONG_M.max(WRONG_SHARE * moved.translation.vector.norm()) {
                        self.result.wrong += 1;
                    }
                }
            }
        }
        let keyed = matches!(
            s.seen,
            Seen::First | Seen::Moved { new_key: true, .. } | Seen::Failed { new_key: true, .. }
        );
        if keyed {
            self.key = Some(truth);
        }
        if let (Some(slip), Some((from, rolled_from))) = (s.slip, self.slip_from) {
            let moved = from.inverse() * truth;
            let half_rad = 0.5 * moved.rotation.euler_angles().2;
            let t = moved.translation.vector;
            let along_m = t.x * half_rad.cos() + t.y * half_rad.sin();
            let wheels_m = (rolled - rolled_from) * r;
            if wheels_m.abs() > 0.05 {
                self.result
                    .slip_errors
                    .push(slip.slip - (1.0 - along_m / wheels_m));
            }
        }
        if s.slip.is_some() || self.slip_from.is_none() || matches!(s.seen, Seen::Failed { .. }) {
            self.slip_from = Some((truth, rolled));
        }
        self.result.visual = self.drift(&truth, &s.visual_pose);
        self.result.slip = 1.0 - self.result.distance_m / (self.rolled_rad * r).max(0.01);
    }

    fn second(&mut self, fused: Option<&Estimate>, wheels: Option<&Estimate>) {
        let Some(truth) = self.truth else { return };
        if let Some(e) = fused {
            self.result.fused = self.drift(&truth, &e.odom_from_base_link.iso);
            if self.result.distance_m > 1.0
                && let Some(nees) = self.nees(&truth, e)
            {
                self.result.seconds += 1;
                self.result.in_band += u64::from((BAND[0]..=BAND[1]).contains(&nees));
                self.result.above_band += u64::from(nees > BAND[1]);
                self.grow(&truth, e, nees);
            }
        }
        if let Some(e) = wheels {
            self.result.wheels = self.drift(&truth, &e.odom_from_base_link.iso);
        }
    }

    /// `odom` begins where the rover stood, its axes parallel to `map`.
    fn drift(&self, truth: &Isometry3<f64>, believed: &Isometry3<f64>) -> Drift {
        let origin = self
            .origin
            .unwrap_or_else(Isometry3::identity)
            .translation
            .vector;
        let mut true_in_odom = *truth;
        true_in_odom.translation.vector -= origin;
        drift_of(&true_in_odom, believed, self.result.distance_m)
    }

    /// Error of x, y and heading, believed less true, and its covariance.
    fn error(&self, truth: &Isometry3<f64>, e: &Estimate) -> Option<(Vector3<f64>, Matrix3<f64>)> {
        let origin = self.origin?.translation.vector;
        let believed = &e.odom_from_base_link.iso;
        let d = believed.translation.vector - (truth.translation.vector - origin);
        let yaw = |p: &Isometry3<f64>| p.rotation.euler_angles().2;
        let error = Vector3::new(d.x, d.y, wrap_rad(yaw(believed) - yaw(truth)));
        let of = [0, 1, 5];
        let p = Matrix3::from_fn(|i, j| e.pose_covariance[of[i] * 6 + of[j]]);
        Some((error, p))
    }

    fn nees(&self, truth: &Isometry3<f64>, e: &Estimate) -> Option<f64> {
        let (error, p) = self.error(truth, e)?;
        Some(error.dot(&(p.try_inverse()? * error)))
    }

    /// Writes the error down, when it is time.
    fn grow(&mut self, truth: &Isometry3<f64>, e: &Estimate, nees: f64) {
        let at_m = self.result.distance_m;
        let due_m = self.result.growth.last().map_or(GROWTH_STEP_M, |g| {
            (g.at_m / GROWTH_STEP_M).floor() * GROWTH_STEP_M + GROWTH_STEP_M
        });
        let (Some((error, p)), Some(origin)) = (self.error(truth, e), self.origin) else {
            return;
        };
        if at_m < due_m {
            return;
        }
        let way = truth.translation.vector - origin.translation.vector;
        let direction = way.y.atan2(way.x);
        let (s, c) = direction.sin_cos();
        let turn = Matrix3::new(c, s, 0.0, -s, c, 0.0, 0.0, 0.0, 1.0);
        let (error, p) = (turn * error, turn * p * turn.transpose());
        self.result.growth.push(Growth {
            at_m,
            along_m: error.x,
            across_m: error.y,
            heading_deg: error.z.to_degrees(),
            sigma_along_m: p[(0, 0)].max(0.0).sqrt(),
            sigma_across_m: p[(1, 1)].max(0.0).sqrt(),
            sigma_heading_deg: p[(2, 2)].max(0.0).sqrt().to_degrees(),
            nees,
        });
    }
}

#[cfg(test)]
mod tests;
