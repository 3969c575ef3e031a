//! Faults on request: what a test wants to go wrong, when, and for how long. The same schedule gives the same run.

use crate::{TwinError, noise, render::Frame};
use serde::{Deserialize, Serialize};
use sojourn_core::{
    CoreError, error::in_range, frames::Pose2, kinematics::WheelMotion, params, rover::Rover,
};
use std::path::Path;

/// Stream of the hash that chooses dropped frames.
const DROPPED: u64 = 0x61;
/// Brightness of a white sky in haze.
const HAZE: f64 = 200.0;

/// Names of the wheels in files, in the order of [`Rover::hubs_m`].
pub const WHEEL_NAMES: [&str; 6] = ["lf", "lm", "lr", "rf", "rm", "rr"];

/// When a fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// So many seconds after the first step.
    TimeS(f64),
    /// After so much true way, metres.
    DistanceM(f64),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// A drive stands still; its encoder shows it.
    StuckWheel {
        /// `lf`, `lm`, `lr`, `rf`, `rm` or `rr`.
        wheel: String,
    },
    /// A steering actuator stays where it stood when the fault began.
    DeadSteering {
        /// As above.
        wheel: String,
    },
    /// The ground takes this share of the way, on top of its slip.
    SlipBurst {
        /// Share of the way, 0 to 1.
        slip: f64,
    },
    /// An encoder's count jumps once.
    EncoderJump {
        /// As above.
        wheel: String,
        /// By this angle, radians.
        angle_rad: f64,
    },
    /// The gyro's bias moves.
    GyroBiasStep {
        /// By this, rad/s in `base_link`.
        rate_radps: [f64; 3],
    },
    /// Images are white and have no depth.
    CameraBlinded {},
    /// Dust in the air: contrast falls with distance, and depth ends where 5 % of it is left.
    DustHaze {
        /// Distance at which 37 % of the contrast is left, metres.
        visibility_m: f64,
    },
    /// Images are lost.
    DroppedFrames {
        /// Share of the images, 0 to 1.
        share: f64,
    },
    /// The rover stands elsewhere than everybody was told. Only at the start (`time_s: 0`).
    WrongStart {
        /// To the east, metres.
        east_m: f64,
        /// To the north, metres.
        north_m: f64,
        /// Counter-clockwise, degrees.
        turned_deg: f64,
    },
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// When it begins.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub when: When,
    /// How long it lasts, seconds; absent for the rest of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_s: Option<f64>,
    /// What it is.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub fault: Fault,
}

/// A file of faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSchedule {
    /// The faults, in any order.
    pub faults: Vec<Scheduled>,
}

impl FaultSchedule {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let schedule: Self = params::load_yaml(path)?;
        schedule.check(&path.display().to_string())?;
        Ok(schedule)
    }

    /// Checks names and ranges.
    ///
    /// # Errors
    /// [`CoreError`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        for (i, s) in self.faults.iter().enumerate() {
            let key = |name: &str| format!("faults[{i}].{name}");
            let start = match s.when {
                When::TimeS(t) => in_range(what, &key("when.time_s"), t, 0.0, 1e7)?,
                When::DistanceM(d) => in_range(what, &key("when.distance_m"), d, 0.0, 1e6)?,
            };
            if let Some(t) = s.lasts_s {
                in_range(what, &key("lasts_s"), t, 0.0, 1e7)?;
            }
            match &s.fault {
                Fault::StuckWheel { wheel } | Fault::DeadSteering { wheel } => {
                    wheel_index(what, &key("wheel"), wheel)?;
                }
                Fault::EncoderJump { wheel, angle_rad } => {
                    wheel_index(what, &key("wheel"), wheel)?;
                    in_range(what, &key("angle_rad"), *angle_rad, -1e4, 1e4)?;
                }
                Fault::SlipBurst { slip } => {
                    in_range(what, &key("slip"), *slip, 0.0, 1.0)?;
                }
                Fault::GyroBiasStep { rate_radps } => {
                    for v in rate_radps {
                        in_range(what, &key("rate_radps"), *v, -1.0, 1.0)?;
                    }
                }
                Fault::CameraBlinded {} => {}
                Fault::DustHaze { visibility_m } => {
                    in_range(what, &key("visibility_m"), *visibility_m, 0.1, 1e5)?;
                }
                Fault::DroppedFrames { share } => {
                    in_range(what, &key("share"), *share, 0.0, 1.0)?;
                }
                Fault::WrongStart {
                    east_m,
                    north_m,
                    turned_deg,
                } => {
                    in_range(what, &key("east_m"), *east_m, -1e3, 1e3)?;
                    in_range(what, &key("north_m"), *north_m, -1e3, 1e3)?;
                    in_range(what, &key("turned_deg"), *turned_deg, -180.0, 180.0)?;
                    if !matches!(s.when, When::TimeS(_)) || start != 0.0 {
                        return Err(CoreError::value(
                            what,
                            key("when"),
                            format!("{:?}", s.when),
                            "time_s: 0 for wrong_start",
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

fn wheel_index(what: &str, key: &str, name: &str) -> Result<usize, CoreError> {
    WHEEL_NAMES.iter().position(|w| *w == name).ok_or_else(|| {
        CoreError::value(
            what,
            key,
            name,
            format!("one of {}", WHEEL_NAMES.join(", ")),
        )
    })
}

/// The faults of a run as they come and go.
#[derive(Clone, Debug)]
pub struct Faults {
    seed: u64,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    scheduled: Scheduled,
    wheel: usize,
    began_s: Option<f64>,
    active: bool,
    /// An encoder jumps once; a steer is held at this angle.
    done: bool,
    held_rad: f64,
}

impl Faults {
    /// From a schedule, for a rover.
    ///
    /// # Errors
    /// [`TwinError::Core`] for a schedule that is not right, or that names a wheel the rover has not.
    pub fn new(schedule: &FaultSchedule, rover: &Rover, seed: u64) -> Result<Self, TwinError> {
        let what = "faults";
        schedule.check(what)?;
        let mut rows = Vec::new();
        for (i, s) in schedule.faults.iter().enumerate() {
            let wheel = match &s.fault {
                Fault::StuckWheel { wheel }
                | Fault::DeadSteering { wheel }
                | Fault::EncoderJump { wheel, .. } => {
                    let index = wheel_index(what, &format!("faults[{i}].wheel"), wheel)?;
                    if !rover.has_wheel()[index] {
                        return Err(CoreError::value(
                            what,
                            format!("faults[{i}].wheel"),
                            wheel,
                            format!("a wheel that the rover {} has", rover.name),
                        )
                        .into());
                    }
                    index
                }
                _ => 0,
            };
            rows.push(Row {
                scheduled: s.clone(),
                wheel,
                began_s: None,
                active: false,
                done: false,
                held_rad: 0.0,
            });
        }
        Ok(Self { seed, rows })
    }

    /// Where the rover truly stands when everybody was told `start`.
    #[must_use]
    pub fn true_start(&self, start: Pose2) -> Pose2 {
        let mut pose = start;
        for row in &self.rows {
            if let Fault::WrongStart {
                east_m,
                north_m,
                turned_deg,
            } = row.scheduled.fault
            {
                pose.x_m += east_m;
                pose.y_m += north_m;
                pose.yaw_rad += turned_deg.to_radians();
            }
        }
        pose
    }

    /// Lets faults begin and end: time since the first step, true way, and the steering angles as they stand.
    pub fn advance(&mut self, time_s: f64, distance_m: f64, steer_rad: &[f64; 6]) {
        for row in &mut self.rows {
            let (due, began_s) = match row.scheduled.when {
                When::TimeS(t) => (time_s >= t, t),
                When::DistanceM(d) => (distance_m >= d, time_s),
            };
            if due && row.began_s.is_none() {
                row.began_s = Some(began_s);
                row.held_rad = steer_rad[row.wheel];
            }
            row.active = row
                .began_s
                .is_some_and(|t| row.scheduled.lasts_s.is_none_or(|lasts| time_s < t + lasts));
        }
    }

    /// The faults that are on now.
    pub fn active(&self) -> impl Iterator<Item = &Fault> {
        self.rows
            .iter()
            .filter(|r| r.active)
            .map(|r| &r.scheduled.fault)
    }

    /// What the wheels really do.
    #[must_use]
    pub fn wheels(&self, mut motion: WheelMotion) -> WheelMotion {
        for row in self.rows.iter().filter(|r| r.active) {
            match row.scheduled.fault {
                Fault::StuckWheel { .. } => motion.rim_mps[row.wheel] = 0.0,
                Fault::DeadSteering { .. } => motion.steer_rad[row.wheel] = row.held_rad,
                _ => {}
            }
        }
        motion
    }

    /// Share of the way that bursts of slip take.
    #[must_use]
    pub fn slip(&self) -> f64 {
        let left: f64 = self
            .active()
            .map(|f| match f {
                Fault::SlipBurst { slip } => 1.0 - slip,
                _ => 1.0,
            })
            .product();
        1.0 - left
    }

    /// Adds jumps to the encoders' angles, each once.
    pub fn encoders(&mut self, position_rad: &mut [f64; 6]) {
        for row in self.rows.iter_mut().filter(|r| r.active && !r.done) {
            if let Fault::EncoderJump { angle_rad, .. } = row.scheduled.fault {
                position_rad[row.wheel] += angle_rad;
                row.done = true;
            }
        }
    }

    /// What the gyro reads too much, rad/s.
    #[must_use]
    pub fn gyro_radps(&self) -> [f64; 3] {
        let mut sum = [0.0; 3];
        for fault in self.active() {
            if let Fault::GyroBiasStep { rate_radps } = fault {
                for (s, r) in sum.iter_mut().zip(rate_radps) {
                    *s += r;
                }
            }
        }
        sum
    }

    /// Whether an image is lost, by its number.
    #[must_use]
    pub fn drops(&self, image: u64) -> bool {
        let chance = noise::unit(noise::hash(self.seed, DROPPED, image as i64, 0));
        self.active()
            .any(|f| matches!(f, Fault::DroppedFrames { share } if chance < *share))
    }

    /// What dust and glare make of an image.
    pub fn spoil(&self, frame: &mut Frame) {
        for fault in self.active() {
            match fault {
                Fault::CameraBlinded {} => {
                    frame.depth_m.fill(f32::NAN);
                    frame.left.fill(255);
                    frame.right.fill(255);
                }
                Fault::DustHaze { visibility_m } => {
                    haze(&mut frame.depth_m, &mut frame.left, *visibility_m);
                    haze(&mut frame.right_depth_m, &mut frame.right, *visibility_m);
                }
                _ => {}
            }
        }
    }
}

/// Takes contrast from an image by the depth of its pixels.
fn haze(depth_m: &mut [f32], image: &mut [u8], visibility_m: f64) {
    for (depth, value) in depth_m.iter_mut().zip(image) {
        let contrast = (-f64::from(*depth) / visibility_m).exp();
        let contrast = if contrast.is_nan() { 0.0 } else { contrast };
        *value = (HAZE + (f64::from(*value) - HAZE) * contrast) as u8;
        if contrast < 0.05 {
            *depth = f32::NAN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::perseverance;

    const ALL: &str = "
faults:
  - {when: {time_s: 10}, lasts_s: 5, fault: {stuck_wheel: {wheel: lf}}}
  - {when: {distance_m: 3}, fault: {dead_steering: {wheel: rr}}}
  - {when: {time_s: 10}, lasts_s: 1, fault: {slip_burst: {slip: 0.8}}}
  - {when: {time_s: 20}, fault: {encoder_jump: {wheel: rm, angle_rad: 2.0}}}
  - {when: {time_s: 30}, fault: {gyro_bias_step: {rate_radps: [0, 0, 0.01]}}}
  - {when: {time_s: 40}, lasts_s: 2, fault: {camera_blinded: {}}}
  - {when: {time_s: 50}, fault: {dust_haze: {visibility_m: 4}}}
  - {when: {time_s: 0}, fault: {dropped_frames: {share: 0.3}}}
  - {when: {time_s: 0}, fault: {wrong_start: {east_m: 1, north_m: -2, turned_deg: 5}}}
";

    fn all() -> FaultSchedule {
        params::parse_yaml("faults.yaml", ALL).unwrap()
    }

    #[test]
    fn each_fault_comes_and_goes_in_its_time() {
        let mut f = Faults::new(&all(), &perseverance(), 7).unwrap();
        let start = f.true_start(Pose2::new(10.0, 10.0, 0.0));
        assert_eq!((start.x_m, start.y_m), (11.0, 8.0));
        let driving = WheelMotion {
            rim_mps: [0.04; 6],
            steer_rad: [0.2; 6],
        };
        f.advance(9.9, 0.0, &driving.steer_rad);
        assert_eq!(f.wheels(driving), driving);
        f.advance(10.0, 3.0, &[0.1; 6]);
        let w = f.wheels(driving);
        assert_eq!(
            (w.rim_mps[0], w.rim_mps[1], w.steer_rad[5]),
            (0.0, 0.04, 0.1)
        );
        assert!((f.slip() - 0.8).abs() < 1e-12);
        f.advance(15.1, 3.0, &[0.3; 6]);
        let w = f.wheels(driving);
        assert_eq!((w.rim_mps[0], w.steer_rad[5], f.slip()), (0.04, 0.1, 0.0));
        let mut turned = [0.0; 6];
        for t in [20.0, 21.0, 22.0] {
            f.advance(t, 3.0, &[0.0; 6]);
            f.encoders(&mut turned);
        }
        assert_eq!(turned, [0.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
        f.advance(31.0, 3.0, &[0.0; 6]);
        assert_eq!(f.gyro_radps(), [0.0, 0.0, 0.01]);
        let dropped = (0..1000).filter(|n| f.drops(*n)).count();
        assert!((250..350).contains(&dropped), "{dropped}");
        let frame = || Frame {
            width: 2,
            height: 1,
            depth_m: vec![2.0, 30.0],
            left: vec![80, 80],
            ..Frame::default()
        };
        let mut hazy = frame();
        f.advance(51.0, 3.0, &[0.0; 6]);
        f.spoil(&mut hazy);
        assert!(hazy.depth_m[0] == 2.0 && hazy.depth_m[1].is_nan());
        assert!(hazy.left[0] > 80 && hazy.left[1] > hazy.left[0]);
        let mut blind = frame();
        let mut f = Faults::new(&all(), &perseverance(), 7).unwrap();
        f.advance(41.0, 3.0, &[0.0; 6]);
        f.spoil(&mut blind);
        assert!(blind.left == [255, 255] && blind.depth_m[0].is_nan());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |line: &str| {
            let text = format!("faults:\n  - {line}\n");
            params::parse_yaml::<FaultSchedule>("f.yaml", &text)
                .and_then(|s| s.check("f.yaml"))
                .unwrap_err()
                .to_string()
        };
        for (line, word) in [
            (
                "{when: {time_s: 1}, fault: {stuck_wheel: {wheel: xx}}}",
                "lf, lm",
            ),
            (
                "{when: {time_s: -1}, fault: {camera_blinded: {}}}",
                "when.time_s",
            ),
            (
                "{when: {time_s: 1}, fault: {slip_burst: {slip: 1.5}}}",
                "slip",
            ),
            ("{when: {time_s: 1}, fault: {meteor: {}}}", "meteor"),
            (
                "{when: {distance_m: 1}, fault: {wrong_start: {east_m: 1, north_m: 0, turned_deg: 0}}}",
                "time_s: 0",
            ),
        ] {
            assert!(with(line).contains(word), "{line}: {}", with(line));
        }
        let mut rover = perseverance();
        rover.suspension.kind = sojourn_core::rover::SuspensionKind::Rockers;
        let message = Faults::new(&all(), &rover, 1).unwrap_err().to_string();
        assert!(message.contains("a wheel that the rover"), "{message}");
    }
}
