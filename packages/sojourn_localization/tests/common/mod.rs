//! A double of rover and ground: drives on a plane with a given tilt and slip and gives what IMU and wheels would say.
#![allow(dead_code)]

use nalgebra::{UnitQuaternion, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sojourn_core::{
    Stamp,
    body::Body,
    kinematics::{Velocity, wheels_for},
    params::load_node_params,
    rover::Rover,
};
use sojourn_localization::{
    Config, Estimate, ImuSample, Input, Localization, Output, Params, WheelSample,
};
use std::path::{Path, PathBuf};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn rover(name: &str) -> Rover {
    Rover::load(&root().join(format!("config/rovers/{name}.yaml"))).unwrap()
}

pub fn mars() -> Body {
    Body::load(&root().join("config/bodies/mars.yaml")).unwrap()
}

/// The shipped parameters, for a rover without cameras.
pub fn params() -> Params {
    let mut params: Params = load_node_params(
        &root().join("config/localization.param.yaml"),
        "localization",
    )
    .unwrap();
    params.visual.enabled = false;
    params
}

pub fn node(params: Params, rover: &Rover) -> Localization {
    Localization::new(Config::new(params, &mars()).unwrap(), rover)
}

pub struct World {
    pub rover: Rover,
    /// Rotation of the plane against the horizontal.
    pub plane: UnitQuaternion<f64>,
    /// Slip beyond what the rover's file expects when `model_slip`, else all the slip.
    pub slip: f64,
    pub model_slip: bool,
    pub bias_radps: Vector3<f64>,
    pub noise: bool,
    pub position_m: Vector3<f64>,
    pub yaw_in_plane_rad: f64,
    pub t_s: f64,
    pub way_m: f64,
    pub travel_m: [f64; 6],
    /// Velocity over the last sample's time, m/s.
    velocity_mps: Vector3<f64>,
    rng: ChaCha8Rng,
}

impl World {
    pub fn new(rover: &Rover, plane: UnitQuaternion<f64>) -> Self {
        Self {
            rover: rover.clone(),
            plane,
            slip: 0.0,
            model_slip: false,
            bias_radps: Vector3::zeros(),
            noise: false,
            position_m: Vector3::zeros(),
            yaw_in_plane_rad: 0.0,
            t_s: 1.0,
            way_m: 0.0,
            travel_m: [0.0; 6],
            velocity_mps: Vector3::zeros(),
            rng: ChaCha8Rng::seed_from_u64(11),
        }
    }

    pub fn attitude(&self) -> UnitQuaternion<f64> {
        self.plane * UnitQuaternion::from_axis_angle(&Vector3::z_axis(), self.yaw_in_plane_rad)
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.rng.random::<f64>()).sum::<f64>() - 6.0
    }

    fn noisy(&mut self, v: Vector3<f64>, sigma: f64) -> Vector3<f64> {
        if !self.noise {
            return v;
        }
        Vector3::new(
            v.x + sigma * self.normal(),
            v.y + sigma * self.normal(),
            v.z + sigma * self.normal(),
        )
    }

    /// One control period with this velocity at the wheels; the node gets all of it and a tick.
    pub fn drive(&mut self, node: &mut Localization, v: Velocity) -> Output {
        let c = self.rover.cadence;
        let dt_s = c.control_period_s / c.imu_per_control as f64;
        let imu = self.rover.imu;
        for _ in 0..c.imu_per_control {
            let (roll, pitch, _) = self.attitude().euler_angles();
            let expected = if self.model_slip {
                self.rover.slip.slip(pitch, v.speed_mps)
            } else {
                0.0
            };
            let creep = if self.model_slip {
                self.rover.slip.lateral(roll)
            } else {
                0.0
            };
            let half =
                UnitQuaternion::from_axis_angle(&Vector3::z_axis(), 0.5 * v.turn_radps * dt_s);
            let step_m = v.speed_mps * dt_s;
            let along = self.attitude() * half;
            let before_m = self.position_m;
            self.position_m += along
                * Vector3::new(
                    step_m * (1.0 - expected - self.slip),
                    (step_m * (1.0 - expected - self.slip)).abs() * creep,
                    0.0,
                );
            self.way_m += step_m.abs();
            self.yaw_in_plane_rad += v.turn_radps * dt_s;
            self.t_s += dt_s;
            let velocity = (self.position_m - before_m) / dt_s;
            let gained = (velocity - self.velocity_mps) / dt_s;
            self.velocity_mps = velocity;
            let up = Vector3::new(0.0, 0.0, mars().gravity_mps2);
            let force = self.attitude().inverse() * (up + gained);
            let rate = Vector3::new(0.0, 0.0, v.turn_radps) + self.bias_radps;
            let sample = ImuSample {
                gyro_radps: self.noisy(rate, imu.gyro_sigma_radps),
                accel_mps2: self.noisy(force, imu.accel_sigma_mps2),
            };
            let now = Stamp::from_secs(self.t_s);
            node.step(now, Input::Imu(now, sample));
        }
        let now = Stamp::from_secs(self.t_s);
        let motion = wheels_for(&self.rover, v);
        for (travel_m, rim_mps) in self.travel_m.iter_mut().zip(motion.rim_mps) {
            *travel_m += rim_mps * c.control_period_s;
        }
        let sample = WheelSample {
            motion,
            travel_m: self.travel_m,
            suspension: None,
        };
        node.step(now, Input::Wheels(now, sample));
        node.step(now, Input::Tick)
    }

    pub fn drive_for(&mut self, node: &mut Localization, v: Velocity, seconds: f64) -> Output {
        let periods = (seconds / self.rover.cadence.control_period_s).round() as usize;
        let mut out = Output::default();
        for _ in 0..periods {
            out = self.drive(node, v);
        }
        out
    }

    pub fn rest_for(&mut self, node: &mut Localization, seconds: f64) -> Output {
        self.drive_for(node, Velocity::STOP, seconds)
    }

    pub fn error_m(&self, estimate: &Estimate) -> f64 {
        (estimate.odom_from_base_link.iso.translation.vector - self.position_m).norm()
    }
}

pub fn ahead(speed_mps: f64) -> Velocity {
    Velocity {
        speed_mps,
        turn_radps: 0.0,
    }
}
