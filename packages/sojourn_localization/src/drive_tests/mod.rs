//! The core with stereo pairs: a drive over drawn ground whose slip only the pairs show.

mod faults;
mod fixes;
mod sinking;
mod start;
mod sunlit;

use crate::{
    Config, ImuSample, Input, Localization, Output, Params, Refusal, WheelSample,
    map_frame::MapPose,
    vo::{GrayImage, Seen, tests::Ground},
};
use nalgebra::{Matrix3, Vector3};
use sojourn_core::{
    Stamp,
    body::Body,
    frames::Pose2,
    health::HealthLevel,
    kinematics::{Velocity, WheelMotion, wheels_for},
    params::load_node_params,
    rover::Rover,
    suspension::SuspensionAngles,
};
use std::path::{Path, PathBuf};

const SPEED_MPS: f64 = 0.04;
const PERIOD_S: f64 = 0.5;
const SLIP: f64 = 0.4;
const SAND: Ground = Ground {
    seed: 5,
    tone: 160.0,
};

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name)
}

/// A rover on flat ground that drives straight on and slips.
struct Drive {
    node: Localization,
    t_s: f64,
    wheels_m: f64,
    way_m: f64,
    aside_m: f64,
    yaw_rad: f64,
    /// Way of each rim in turns on the spot.
    turned_m: [f64; 6],
    gyro_bias_radps: f64,
    /// What the accelerometer shows beside the force, m/s².
    accel_bias_mps2: Vector3<f64>,
    stuck: Option<usize>,
    suspension: Option<SuspensionAngles>,
    /// How much deeper the body stands than at the start, metres.
    sunk_m: f64,
    slip: f64,
    /// By how much the pairs show the way bent to the left that is straight, radians per metre; about a point ahead, as visual
    /// odometry turns aside.
    bent_radpm: f64,
    /// What lies over the ground: brightness by place and the ground's own brightness.
    paint: fn([f64; 2], f64) -> f64,
    pairs: u64,
    outputs: Vec<Output>,
    refused: u64,
}

/// What happens to a pair on its way.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fine,
    Dropped,
    Twice,
    Blind,
    Late(f64),
    Early(f64),
    NotANumber,
}

impl Drive {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Params)) -> Self {
        let rover = Rover::load(&config("rovers/perseverance.yaml")).unwrap();
        let body = Body::load(&config("bodies/mars.yaml")).unwrap();
        let mut p: Params =
            load_node_params(&config("localization.param.yaml"), "localization").unwrap();
        p.visual.enabled = true;
        p.use_slip_prior = false;
        p.imu_timeout_s = 2.0;
        p.wheels_timeout_s = 2.0;
        p.visual_odometry.cell_px = 32;
        change(&mut p);
        Self {
            node: Localization::new(Config::new(p, &body).unwrap(), &rover),
            t_s: 0.0,
            wheels_m: 0.0,
            way_m: 0.0,
            aside_m: 0.0,
            yaw_rad: 0.0,
            turned_m: [0.0; 6],
            gyro_bias_radps: 0.0,
            accel_bias_mps2: Vector3::zeros(),
            stuck: None,
            suspension: None,
            sunk_m: 0.0,
            slip: SLIP,
            bent_radpm: 0.0,
            paint: |_, level| level,
            pairs: 0,
            outputs: Vec::new(),
            refused: 0,
        }
    }

    /// One period; a jump of one encoder comes on top.
    fn period(&mut self, speed_mps: f64, jump_m: f64) {
        self.t_s += PERIOD_S;
        self.wheels_m += speed_mps * PERIOD_S;
        self.way_m += speed_mps * PERIOD_S * (1.0 - self.slip);
        let now = Stamp::from_secs(self.t_s);
        let imu = ImuSample {
            gyro_radps: Vector3::new(0.0, 0.0, self.gyro_bias_radps),
            accel_mps2: Vector3::new(0.0, 0.0, 3.72076) + self.accel_bias_mps2,
        };
        self.node.step(now, Input::Imu(now, imu));
        let mut rim_mps = [speed_mps; 6];
        if let Some(wheel) = self.stuck {
            rim_mps[wheel] = 0.0;
            self.turned_m[wheel] -= speed_mps * PERIOD_S;
        }
        let mut travel_m = self.turned_m.map(|m| m + self.wheels_m);
        travel_m[1] += jump_m;
        let wheels = WheelSample {
            motion: WheelMotion {
                rim_mps,
                steer_rad: [0.0; 6],
            },
            travel_m,
            suspension: self.suspension,
        };
        self.node.step(now, Input::Wheels(now, wheels));
    }

    /// One period of turning on the spot; the wheels scrub and let the body slide.
    fn turn(&mut self, turn_rad: f64, slide_m: f64) {
        let rover = Rover::load(&config("rovers/perseverance.yaml")).unwrap();
        self.t_s += PERIOD_S;
        self.yaw_rad += turn_rad;
        self.way_m += slide_m;
        self.aside_m += slide_m;
        let now = Stamp::from_secs(self.t_s);
        let imu = ImuSample {
            gyro_radps: Vector3::new(0.0, 0.0, turn_rad / PERIOD_S),
            accel_mps2: Vector3::new(0.0, 0.0, 3.72076) + self.accel_bias_mps2,
        };
        self.node.step(now, Input::Imu(now, imu));
        let command = Velocity {
            speed_mps: 0.0,
            turn_radps: turn_rad / PERIOD_S,
        };
        let motion = wheels_for(&rover, command);
        for (turned_m, rim_mps) in self.turned_m.iter_mut().zip(motion.rim_mps) {
            *turned_m += rim_mps * PERIOD_S;
        }
        let travel_m = self.turned_m.map(|m| m + self.wheels_m);
        let wheels = WheelSample {
            motion,
            travel_m,
            suspension: self.suspension,
        };
        self.node.step(now, Input::Wheels(now, wheels));
    }

    fn tick(&mut self) {
        let out = self.node.step(Stamp::from_secs(self.t_s), Input::Tick);
        self.outputs.push(out);
    }

    fn rest(&mut self) {
        for _ in 0..12 {
            self.period(0.0, 0.0);
            self.tick();
        }
    }

    /// Half a metre of the wheels and a pair at its end.
    fn leg(&mut self, fate: Fate) {
        for _ in 0..25 {
            self.period(SPEED_MPS, 0.0);
        }
        self.pair(fate);
        self.tick();
    }

    fn pair(&mut self, fate: Fate) {
        let now = Stamp::from_secs(self.t_s);
        let ground = if fate == Fate::Blind {
            Ground {
                tone: 0.0,
                seed: SAND.seed,
            }
        } else {
            SAND
        };
        let bent_rad = self.bent_radpm * self.way_m;
        let mut pose = if bent_rad == 0.0 {
            crate::vo::tests::at(self.way_m, self.aside_m, self.yaw_rad)
        } else {
            let radius_m = 1.0 / self.bent_radpm;
            let pivot_m = crate::vo::tests::eyes().pivot_m;
            let (sin, cos) = bent_rad.sin_cos();
            crate::vo::tests::at(
                radius_m * sin + pivot_m * (1.0 - cos),
                radius_m * (1.0 - cos) - pivot_m * sin,
                bent_rad,
            )
        };
        pose.translation.z -= self.sunk_m;
        let mut pair = Box::new(ground.painted(&pose, self.pairs, &self.paint));
        self.pairs += 1;
        let before = self.node.counts().refused.values().sum::<u64>();
        match fate {
            Fate::Dropped => {}
            Fate::Fine | Fate::Blind => {
                self.node.step(now, Input::Pair(now, pair));
            }
            Fate::Twice => {
                self.node.step(now, Input::Pair(now, pair.clone()));
                self.node.step(now, Input::Pair(now, pair));
            }
            Fate::Late(by_s) => {
                self.node.step(now, Input::Pair(now.plus_secs(-by_s), pair));
            }
            Fate::Early(by_s) => {
                self.node.step(now, Input::Pair(now.plus_secs(by_s), pair));
            }
            Fate::NotANumber => {
                pair.base_link_from_navcam.translation.x = f64::NAN;
                self.node.step(now, Input::Pair(now, pair));
            }
        }
        self.refused += self.node.counts().refused.values().sum::<u64>() - before;
    }

    /// A quarter of a metre of the wheels and a pair at its end.
    fn half_leg(&mut self) {
        for _ in 0..13 {
            self.period(SPEED_MPS, 0.0);
        }
        self.pair(Fate::Fine);
        self.tick();
    }

    /// Slips that were told.
    fn slips(&self) -> Vec<f64> {
        let all = self.outputs.iter().flat_map(|o| &o.sightings);
        all.filter_map(|s| s.slip).map(|s| s.slip).collect()
    }

    fn error_m(&self) -> f64 {
        let e = self.node.estimate().unwrap();
        let truth = Vector3::new(self.way_m, self.aside_m, -self.sunk_m);
        (e.odom_from_base_link.iso.translation.vector - truth).norm()
    }

    fn heading_error_rad(&self) -> f64 {
        let e = self.node.estimate().unwrap();
        (e.odom_from_base_link.planar().yaw_rad - self.yaw_rad).abs()
    }

    /// Motions that the filter took and those that it refused.
    fn verdicts(&self) -> (usize, usize) {
        let all = self.outputs.iter().flat_map(|o| &o.sightings);
        let fused: Vec<_> = all.filter_map(|s| s.fused).collect();
        let taken = fused.iter().filter(|f| f.is_ok()).count();
        (taken, fused.len() - taken)
    }

    fn warned(&self, words: &str) -> bool {
        self.outputs.iter().any(|o| {
            o.health
                .as_ref()
                .is_some_and(|h| h.level == HealthLevel::Warn && h.reason.contains(words))
        })
    }
}

fn driven(fates: &[Fate]) -> Drive {
    let mut d = Drive::new();
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    for fate in fates {
        d.leg(*fate);
    }
    d
}
