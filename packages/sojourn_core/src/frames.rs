//! Frames as types, after REP-103 (x forward or east, y left or north, z up) and REP-105 (`map → odom → base_link`).
//!
//! A transform is named `target_from_source`, so names cancel: `map_from_odom * odom_from_base_link`.

use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use std::marker::PhantomData;
use std::ops::Mul;

/// A coordinate frame.
pub trait Frame: Copy + Clone + std::fmt::Debug + 'static {
    /// The name in ROS headers.
    const NAME: &'static str;
}

macro_rules! frame {
    ($(#[$doc:meta])* $name:ident, $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;
        impl Frame for $name {
            const NAME: &'static str = $text;
        }
    };
}

frame!(
    /// The site's metric plane: x east, y north, z up, origin at the outer south-west corner of the raster.
    Map, "map");
frame!(
    /// Continuous, drifting: where the rover started, axes parallel to `map` at the start.
    Odom, "odom");
frame!(
    /// The rover: under the middle axle's centre on the plane the wheels touch on flat ground.
    BaseLink, "base_link");
frame!(
    /// The left navigation camera's optical frame: x right, y down, z forward.
    NavcamOptical, "navcam_left_optical_frame");

/// A point in a frame, metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<F: Frame> {
    /// Coordinates in the frame, metres.
    pub xyz: Vector3<f64>,
    frame: PhantomData<F>,
}

impl<F: Frame> Point<F> {
    /// A point from its coordinates, metres.
    #[must_use]
    pub fn new(x_m: f64, y_m: f64, z_m: f64) -> Self {
        Self {
            xyz: Vector3::new(x_m, y_m, z_m),
            frame: PhantomData,
        }
    }
}

/// A rigid transform that takes coordinates in `From` to coordinates in `To`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform<To: Frame, From: Frame> {
    /// The isometry, metres and unit quaternion.
    pub iso: Isometry3<f64>,
    frames: PhantomData<(To, From)>,
}

impl<To: Frame, From: Frame> Transform<To, From> {
    /// Wraps an isometry.
    #[must_use]
    pub fn new(iso: Isometry3<f64>) -> Self {
        Self {
            iso,
            frames: PhantomData,
        }
    }

    /// No rotation, no translation.
    #[must_use]
    pub fn identity() -> Self {
        Self::new(Isometry3::identity())
    }

    /// From a position and REP-103 fixed-axis roll, pitch (nose-down positive), yaw (counter-clockwise), radians.
    #[must_use]
    pub fn from_xyz_rpy(xyz_m: [f64; 3], roll_rad: f64, pitch_rad: f64, yaw_rad: f64) -> Self {
        Self::new(Isometry3::from_parts(
            Translation3::new(xyz_m[0], xyz_m[1], xyz_m[2]),
            UnitQuaternion::from_euler_angles(roll_rad, pitch_rad, yaw_rad),
        ))
    }

    /// The opposite transform.
    #[must_use]
    pub fn inverse(&self) -> Transform<From, To> {
        Transform::new(self.iso.inverse())
    }

    /// Roll, pitch, yaw, radians (REP-103).
    #[must_use]
    pub fn rpy_rad(&self) -> (f64, f64, f64) {
        self.iso.rotation.euler_angles()
    }

    /// The pose projected on the horizontal plane.
    #[must_use]
    pub fn planar(&self) -> Pose2 {
        let t = self.iso.translation.vector;
        Pose2 {
            x_m: t.x,
            y_m: t.y,
            yaw_rad: self.rpy_rad().2,
        }
    }
}

impl<A: Frame, B: Frame, C: Frame> Mul<Transform<B, C>> for Transform<A, B> {
    type Output = Transform<A, C>;
    fn mul(self, rhs: Transform<B, C>) -> Transform<A, C> {
        Transform::new(self.iso * rhs.iso)
    }
}

impl<A: Frame, B: Frame> Mul<Point<B>> for Transform<A, B> {
    type Output = Point<A>;
    fn mul(self, rhs: Point<B>) -> Point<A> {
        let p = self.iso.rotation * rhs.xyz + self.iso.translation.vector;
        Point {
            xyz: p,
            frame: PhantomData,
        }
    }
}

/// A pose on the plane. The frame stands in the variable's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Pose2 {
    /// Metres.
    pub x_m: f64,
    /// Metres.
    pub y_m: f64,
    /// Radians, counter-clockwise from x.
    pub yaw_rad: f64,
}

impl Pose2 {
    /// A pose from its three numbers.
    #[must_use]
    pub const fn new(x_m: f64, y_m: f64, yaw_rad: f64) -> Self {
        Self { x_m, y_m, yaw_rad }
    }

    /// The point `(forward_m, left_m)` of the pose's own frame, in the frame the pose is given in.
    #[must_use]
    pub fn point(&self, forward_m: f64, left_m: f64) -> [f64; 2] {
        let (s, c) = self.yaw_rad.sin_cos();
        [
            self.x_m + c * forward_m - s * left_m,
            self.y_m + s * forward_m + c * left_m,
        ]
    }

    /// The pose reached after driving a circular arc of signed length `ds_m` while turning `dyaw_rad`.
    #[must_use]
    pub fn moved(&self, ds_m: f64, dyaw_rad: f64) -> Self {
        // The chord of the arc lies at half the turn; sinc keeps straight drives exact.
        let half = 0.5 * dyaw_rad;
        let sinc = if half.abs() < 1e-6 {
            1.0 - half * half / 6.0
        } else {
            half.sin() / half
        };
        let chord_m = ds_m * sinc;
        let dir = self.yaw_rad + half;
        Self {
            x_m: self.x_m + chord_m * dir.cos(),
            y_m: self.y_m + chord_m * dir.sin(),
            yaw_rad: wrap_rad(self.yaw_rad + dyaw_rad),
        }
    }
}

/// An angle brought into (−π, π]; not-a-number stays not-a-number.
#[must_use]
pub fn wrap_rad(angle_rad: f64) -> f64 {
    let wrapped = angle_rad.rem_euclid(std::f64::consts::TAU);
    if wrapped > std::f64::consts::PI {
        wrapped - std::f64::consts::TAU
    } else {
        wrapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_cancel() {
        let map_from_odom = Transform::<Map, Odom>::from_xyz_rpy([10.0, 20.0, 0.0], 0.0, 0.0, 0.0);
        let odom_from_base_link = Transform::<Odom, BaseLink>::from_xyz_rpy(
            [1.0, 0.0, 0.0],
            0.0,
            0.0,
            std::f64::consts::FRAC_PI_2,
        );
        let map_from_base_link: Transform<Map, BaseLink> = map_from_odom * odom_from_base_link;
        let ahead = map_from_base_link * Point::<BaseLink>::new(2.0, 0.0, 0.0);
        assert!((ahead.xyz - Vector3::new(11.0, 22.0, 0.0)).norm() < 1e-12);
    }

    #[test]
    fn pitch_is_nose_down_positive() {
        let t = Transform::<Map, BaseLink>::from_xyz_rpy([0.0; 3], 0.0, 0.1, 0.0);
        assert!((t * Point::new(1.0, 0.0, 0.0)).xyz.z < 0.0);
    }

    proptest! {
        #[test]
        fn wrap_stays_in_range(a in -1e4f64..1e4) {
            let w = wrap_rad(a);
            prop_assert!(w > -std::f64::consts::PI - 1e-12 && w <= std::f64::consts::PI + 1e-12);
            prop_assert!(((a - w) / std::f64::consts::TAU).round() * std::f64::consts::TAU - (a - w) < 1e-6);
        }

        #[test]
        fn an_arc_there_and_back_is_nothing(ds in -3.0f64..3.0, dyaw in -1.0f64..1.0, yaw in -3.0f64..3.0) {
            let p = Pose2::new(1.0, 2.0, yaw);
            let q = p.moved(ds, dyaw).moved(-ds, -dyaw);
            prop_assert!((p.x_m - q.x_m).abs() < 1e-9 && (p.y_m - q.y_m).abs() < 1e-9);
        }
    }
}
