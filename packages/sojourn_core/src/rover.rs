//! A rover is a file: `config/rovers/<name>.yaml`. This is what the file says, checked.
//!
//! Positions are in `base_link` (see [`crate::frames`]): x forward from the middle axle, y left, z up from the plane
//! of the wheels' contact on flat ground. Perseverance's pivots are those of the public 3-D model
//! (Open-MBEE/perseverance-modelica), shifted so that the middle axle has x = 0.

pub use crate::suspension::{Suspension, SuspensionKind};
use crate::{
    CoreError,
    camera::Pinhole,
    error::in_range,
    frames::{BaseLink, NavcamOptical, Transform},
    limits::Limits,
    slip::SlipModel,
};
use nalgebra::{Isometry3, Matrix3, Rotation3, Translation3, UnitQuaternion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A rover's description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rover {
    /// Name, as bundles carry it.
    pub name: String,
    /// True for a machine that can hurt somebody: keys made for simulation do not drive it.
    pub hardware: bool,
    /// Mass, kilograms.
    pub mass_kg: f64,
    /// Wheels, all alike.
    pub wheel: Wheel,
    /// Centre of mass in `base_link`, metres; a file without it has it between the rocker pivots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mass_center_m: Option<[f64; 3]>,
    /// Suspension.
    pub suspension: Suspension,
    /// Belly pan.
    pub belly: Belly,
    /// Motion.
    pub drive: Drive,
    /// Hard limits.
    pub limits: Limits,
    /// Expected slip by slope.
    pub slip: SlipModel,
    /// Navigation camera.
    pub navcam: Navcam,
    /// Inertial unit.
    pub imu: Imu,
    /// Rates.
    pub cadence: Cadence,
}

/// A wheel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// Radius, metres.
    pub radius_m: f64,
    /// Width, metres.
    pub width_m: f64,
}

/// The lowest rigid part of the body, a rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Belly {
    /// Rear edge, metres in `base_link` x.
    pub x_min_m: f64,
    /// Front edge, metres in `base_link` x.
    pub x_max_m: f64,
    /// Half width, metres.
    pub half_width_m: f64,
    /// Height over flat ground, metres.
    pub height_m: f64,
}

/// How the rover steers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Steering {
    /// Every wheel drives; front and rear wheels steer.
    CornerSteered,
    /// Every wheel drives, none steers: it turns by driving the sides at different speeds.
    Skid,
}

/// What the rover can do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drive {
    /// Steering.
    pub steering: Steering,
    /// Least turning radius of an arc, metres.
    pub min_turn_radius_m: f64,
    /// Greatest rate of a turn in place, rad/s.
    pub turn_rate_radps: f64,
    /// Rim speed AutoNav plans with, m/s; not above `limits.wheel_speed_mps`.
    pub cruise_mps: f64,
}

/// The navigation camera pair. Level mast, no pan; the left camera is the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Navcam {
    /// Left camera's centre in `base_link`, metres.
    pub position_m: [f64; 3],
    /// Depression of the optical axis, degrees.
    pub down_deg: f64,
    /// Full horizontal angle of view, degrees.
    pub hfov_deg: f64,
    /// Full vertical angle of view, degrees.
    pub vfov_deg: f64,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Distance of the right camera, metres.
    pub baseline_m: f64,
    /// Standard deviation of the disparity, pixels.
    pub disparity_sigma_px: f64,
    /// Farthest depth that is used, metres.
    pub range_max_m: f64,
}

/// The inertial unit, at the origin of `base_link`, axes alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Imu {
    /// White noise of a rate sample, rad/s.
    pub gyro_sigma_radps: f64,
    /// Constant bias drawn once per run with this standard deviation, rad/s.
    pub gyro_bias_sigma_radps: f64,
    /// White noise of an acceleration sample, m/s².
    pub accel_sigma_mps2: f64,
}

/// How often things happen, in ROS time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cadence {
    /// Control and heartbeat period, seconds.
    pub control_period_s: f64,
    /// IMU samples per control period.
    pub imu_per_control: usize,
    /// An image pair at least after this way, metres.
    pub image_every_m: f64,
    /// An image pair at least after this time, seconds.
    pub image_every_s: f64,
}

impl Rover {
    /// Reads and checks a rover file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let rover: Self = crate::params::load_yaml(path)?;
        rover.check(&path.display().to_string())?;
        Ok(rover)
    }

    /// Checks ranges and geometry.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        in_range(what, "mass_kg", self.mass_kg, 0.5, 1e5)?;
        in_range(what, "wheel.radius_m", self.wheel.radius_m, 0.02, 2.0)?;
        in_range(what, "wheel.width_m", self.wheel.width_m, 0.01, 2.0)?;
        self.suspension
            .check(what, self.wheel.radius_m, self.wheel.width_m)?;
        for (axis, v) in ["x", "y", "z"].iter().zip(self.center_m()) {
            let key = format!("mass_center_m.{axis}");
            let least = if *axis == "z" { 0.01 } else { -10.0 };
            in_range(what, &key, v, least, 10.0)?;
        }
        in_range(what, "belly.x_min_m", self.belly.x_min_m, -10.0, 0.0)?;
        in_range(what, "belly.x_max_m", self.belly.x_max_m, 0.0, 10.0)?;
        in_range(
            what,
            "belly.half_width_m",
            self.belly.half_width_m,
            0.02,
            10.0,
        )?;
        in_range(what, "belly.height_m", self.belly.height_m, 0.01, 5.0)?;
        self.limits.check(what)?;
        self.check_stability(what)?;
        self.slip.check(what)?;
        in_range(
            what,
            "drive.min_turn_radius_m",
            self.drive.min_turn_radius_m,
            0.05,
            50.0,
        )?;
        in_range(
            what,
            "drive.turn_rate_radps",
            self.drive.turn_rate_radps,
            0.001,
            3.0,
        )?;
        in_range(
            what,
            "drive.cruise_mps",
            self.drive.cruise_mps,
            0.001,
            self.limits.wheel_speed_mps,
        )?;
        self.check_sensors(what)
    }

    /// Limits that the geometry makes senseless are a mistake in the file.
    fn check_stability(&self, what: &str) -> Result<(), CoreError> {
        let most_m = self.belly.height_m;
        if !(self.limits.clearance_m < most_m) {
            return Err(CoreError::value(
                what,
                "limits.clearance_m",
                self.limits.clearance_m,
                format!("less than belly.height_m ({most_m}), or it could not stand anywhere"),
            ));
        }
        let [x, y, z] = self.center_m();
        let s = &self.suspension;
        let outer_m = s.front_hub_m[1].max(s.rear_hub_m[1]) + 0.5 * self.wheel.width_m;
        if self.belly.height_m < 2.0 * self.wheel.radius_m && self.belly.half_width_m > outer_m {
            return Err(CoreError::value(
                what,
                "belly.half_width_m",
                self.belly.half_width_m,
                format!(
                    "at most {outer_m:.3}, the outer side of the wheels, for a belly lower than their tops"
                ),
            ));
        }
        let side_m = s.front_hub_m[1].min(s.rear_hub_m[1]) - y.abs();
        let end_m = (s.front_hub_m[0] - x).min(x - s.rear_hub_m[0]);
        let falls_deg = side_m.min(end_m).atan2(z).to_degrees();
        if !(self.limits.tilt_deg < falls_deg) {
            return Err(CoreError::value(
                what,
                "limits.tilt_deg",
                self.limits.tilt_deg,
                format!(
                    "less than {falls_deg:.1}, the tilt at which it falls over with its centre of mass at {:?} m",
                    [x, y, z]
                ),
            ));
        }
        Ok(())
    }

    fn check_sensors(&self, what: &str) -> Result<(), CoreError> {
        let n = &self.navcam;
        for (axis, v) in ["x", "y", "z"].iter().zip(n.position_m) {
            in_range(what, &format!("navcam.position_m.{axis}"), v, -10.0, 10.0)?;
        }
        in_range(what, "navcam.down_deg", n.down_deg, 0.0, 80.0)?;
        in_range(what, "navcam.hfov_deg", n.hfov_deg, 5.0, 170.0)?;
        in_range(what, "navcam.vfov_deg", n.vfov_deg, 5.0, 170.0)?;
        in_range(what, "navcam.width", n.width as f64, 16.0, 8192.0)?;
        in_range(what, "navcam.height", n.height as f64, 16.0, 8192.0)?;
        in_range(what, "navcam.baseline_m", n.baseline_m, 0.01, 5.0)?;
        in_range(
            what,
            "navcam.disparity_sigma_px",
            n.disparity_sigma_px,
            0.0,
            10.0,
        )?;
        in_range(what, "navcam.range_max_m", n.range_max_m, 0.5, 200.0)?;
        in_range(
            what,
            "imu.gyro_sigma_radps",
            self.imu.gyro_sigma_radps,
            0.0,
            1.0,
        )?;
        in_range(
            what,
            "imu.gyro_bias_sigma_radps",
            self.imu.gyro_bias_sigma_radps,
            0.0,
            0.1,
        )?;
        in_range(
            what,
            "imu.accel_sigma_mps2",
            self.imu.accel_sigma_mps2,
            0.0,
            5.0,
        )?;
        in_range(
            what,
            "cadence.control_period_s",
            self.cadence.control_period_s,
            0.005,
            1.0,
        )?;
        in_range(
            what,
            "cadence.imu_per_control",
            self.cadence.imu_per_control as f64,
            1.0,
            100.0,
        )?;
        in_range(
            what,
            "cadence.image_every_m",
            self.cadence.image_every_m,
            0.01,
            50.0,
        )?;
        in_range(
            what,
            "cadence.image_every_s",
            self.cadence.image_every_s,
            0.02,
            600.0,
        )?;
        Ok(())
    }

    /// The six hubs in `base_link`: left front, middle, rear, then right front, middle, rear. Metres. A rover of four
    /// wheels has none at the middle ones ([`Rover::has_wheel`]).
    #[must_use]
    pub fn hubs_m(&self) -> [[f64; 3]; 6] {
        let s = &self.suspension;
        let right = |p: [f64; 3]| [p[0], -p[1], p[2]];
        [
            s.front_hub_m,
            s.middle_hub_m,
            s.rear_hub_m,
            right(s.front_hub_m),
            right(s.middle_hub_m),
            right(s.rear_hub_m),
        ]
    }

    /// Which of the six hubs carry a wheel: all of them, or without the middle ones.
    #[must_use]
    pub fn has_wheel(&self) -> [bool; 6] {
        let [f, m, r] = self.suspension.wheels_of_a_side();
        [f, m, r, f, m, r]
    }

    /// Number of wheels.
    #[must_use]
    pub fn wheel_count(&self) -> usize {
        self.has_wheel().iter().filter(|w| **w).count()
    }

    /// Centre of mass in `base_link`, metres.
    #[must_use]
    pub fn center_m(&self) -> [f64; 3] {
        let p = self.suspension.rocker_pivot_m;
        self.mass_center_m.unwrap_or([p[0], 0.0, p[2]])
    }

    /// Radius of the smallest circle around the origin of `base_link` that holds all wheels and the belly, metres.
    #[must_use]
    pub fn footprint_radius_m(&self) -> f64 {
        let wheels = self.hubs_m().iter().fold(0.0f64, |r, h| {
            r.max((h[0].abs() + self.wheel.radius_m).hypot(h[1].abs() + 0.5 * self.wheel.width_m))
        });
        let b = &self.belly;
        wheels.max(b.x_min_m.abs().max(b.x_max_m).hypot(b.half_width_m))
    }

    /// The left navigation camera.
    #[must_use]
    pub fn navcam_pinhole(&self) -> Pinhole {
        let n = &self.navcam;
        Pinhole::from_fov(
            n.width,
            n.height,
            n.hfov_deg.to_radians(),
            n.vfov_deg.to_radians(),
        )
    }

    /// Where the left navigation camera stands when the mast points straight ahead.
    #[must_use]
    pub fn base_link_from_navcam(&self) -> Transform<BaseLink, NavcamOptical> {
        self.base_link_from_navcam_panned(0.0)
    }

    /// The same with the mast turned by `pan_rad` (counter-clockwise) about the vertical through the camera.
    #[must_use]
    pub fn base_link_from_navcam_panned(&self, pan_rad: f64) -> Transform<BaseLink, NavcamOptical> {
        // Optical axes (x right, y down, z forward) expressed in a forward-left-up frame.
        let flu_from_optical = Rotation3::from_matrix_unchecked(Matrix3::new(
            0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0,
        ));
        let look = Rotation3::from_euler_angles(0.0, self.navcam.down_deg.to_radians(), pan_rad);
        let p = self.navcam.position_m;
        Transform::new(Isometry3::from_parts(
            Translation3::new(p[0], p[1], p[2]),
            UnitQuaternion::from_rotation_matrix(&(look * flu_from_optical)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Point;

    fn shipped(name: &str) -> Rover {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rovers");
        Rover::load(&dir.join(format!("{name}.yaml"))).unwrap()
    }

    #[test]
    fn the_shipped_rovers_are_right() {
        let p = shipped("perseverance");
        assert!(
            (p.limits.tilt_deg - 25.0).abs() < 1e-9
                && (p.limits.wheel_speed_mps - 0.042).abs() < 1e-9
        );
        assert!(p.footprint_radius_m() > 1.3 && p.footprint_radius_m() < 2.2);
        assert!(shipped("testbed").footprint_radius_m() < 0.8);
        for (name, kind, wheels) in [
            ("osr", SuspensionKind::RockerBogie, 6),
            ("leo", SuspensionKind::Rockers, 4),
            ("husky", SuspensionKind::Fixed, 4),
        ] {
            let r = shipped(name);
            assert_eq!((r.suspension.kind, r.wheel_count()), (kind, wheels));
            // what a file says comes back from it
            let again: Rover = serde_json::from_str(&serde_json::to_string(&r).unwrap()).unwrap();
            assert_eq!(again, r);
        }
    }

    #[test]
    fn the_camera_looks_forward_and_down() {
        let p = shipped("perseverance");
        let t = p.base_link_from_navcam();
        let far = t * Point::new(0.0, 0.0, 5.0);
        assert!(far.xyz.x > 3.0 && far.xyz.z < p.navcam.position_m[2]);
        // a pixel to the right of the centre lies on the rover's right, which is negative y
        let right = t * Point::new(1.0, 0.0, 5.0);
        assert!(right.xyz.y < far.xyz.y);
        let left =
            p.base_link_from_navcam_panned(std::f64::consts::FRAC_PI_2) * Point::new(0.0, 0.0, 5.0);
        assert!(left.xyz.y > 3.0);
    }

    #[test]
    fn a_rover_file_with_a_wrong_value_names_the_key() {
        let mut p = shipped("perseverance");
        p.wheel.radius_m = f64::NAN;
        assert!(
            p.check("r.yaml")
                .unwrap_err()
                .to_string()
                .contains("wheel.radius_m")
        );
        let mut p = shipped("perseverance");
        p.suspension.bogie_pivot_m[0] = 5.0;
        let said = p.check("r.yaml").unwrap_err().to_string();
        let words = [
            "suspension",
            "bogie_pivot_m 5",
            "rear_hub_m over bogie_pivot_m",
        ];
        assert!(words.iter().all(|w| said.contains(w)), "{said}");
        let mut p = shipped("perseverance");
        p.suspension.rocker_pivot_m[2] = 0.1;
        let said = p.check("r.yaml").unwrap_err().to_string();
        assert!(said.contains("suspension.rocker_pivot_m.z"), "{said}");
    }

    #[test]
    fn geometry_that_cannot_be_and_limits_that_contradict_are_refused() {
        type Spoil = fn(&mut Rover);
        let cases: [(&str, Spoil); 7] = [
            ("run into each other", |r| {
                r.suspension.middle_hub_m[0] = r.suspension.front_hub_m[0] - 0.3;
                r.suspension.rocker_pivot_m[0] = r.suspension.front_hub_m[0] - 0.1;
            }),
            ("front_hub_m.z", |r| r.suspension.front_hub_m[2] = 0.5),
            ("limits.clearance_m", |r| r.limits.clearance_m = 0.7),
            ("belly.half_width_m", |r| {
                (r.belly.height_m, r.belly.half_width_m) = (0.45, 1.5);
            }),
            ("falls over", |r| r.mass_center_m = Some([0.0, 0.0, 5.0])),
            ("falls over", |r| r.mass_center_m = Some([2.0, 0.0, 0.7])),
            ("cruise_mps", |r| r.drive.cruise_mps = 0.05),
        ];
        for (word, spoil) in cases {
            let mut r = shipped("perseverance");
            spoil(&mut r);
            let message = r.check("r.yaml").unwrap_err().to_string();
            assert!(message.contains(word), "{word}: {message}");
        }
        let mut text = serde_json::to_value(shipped("perseverance")).unwrap();
        text["suspension"]
            .as_object_mut()
            .unwrap()
            .remove("bogie_pivot_m");
        let message = serde_json::from_value::<Rover>(text)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("bogie_pivot_m missing") && message.contains("four wheels"),
            "{message}"
        );
    }
}
