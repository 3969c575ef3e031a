//! Which pose of the rover and of the camera belongs to an image: everything is brought together by stamp.

use nalgebra::Isometry3;
use sojourn_core::{
    Stamp,
    frames::{BaseLink, NavcamOptical, Odom, Transform},
};
use std::collections::VecDeque;

/// Poses of the rover that are kept.
pub const MAX_ODOMETRY: usize = 512;
/// Poses of the camera that are kept.
pub const MAX_CAMERA_POSES: usize = 64;

/// Where the rover was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoverPose {
    /// When.
    pub stamp: Stamp,
    /// Where.
    pub odom_from_base_link: Transform<Odom, BaseLink>,
    /// Way driven until then by odometry, metres.
    pub travel_m: f64,
}

/// The newest poses of the rover, by stamp.
#[derive(Clone, Debug, Default)]
pub struct OdometryBuffer {
    poses: VecDeque<RoverPose>,
    // Whether the oldest pose kept is not the first there was.
    forgotten: bool,
}

/// Where the rover was at a stamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lookup {
    /// Known.
    At(RoverPose),
    /// Not yet: the stamp is newer than all odometry.
    NotYet,
    /// Never: older than all that is kept, or inside too large a gap.
    Never,
}

impl OdometryBuffer {
    /// Adds a pose; `false` when it is not newer than the newest.
    pub fn push(&mut self, stamp: Stamp, odom_from_base_link: Transform<Odom, BaseLink>) -> bool {
        let mut travel_m = 0.0;
        if let Some(last) = self.poses.back() {
            if stamp <= last.stamp {
                return false;
            }
            let step = odom_from_base_link.iso.translation.vector
                - last.odom_from_base_link.iso.translation.vector;
            travel_m = last.travel_m + step.norm();
        }
        if self.poses.len() >= MAX_ODOMETRY {
            self.poses.pop_front();
            self.forgotten = true;
        }
        self.poses.push_back(RoverPose {
            stamp,
            odom_from_base_link,
            travel_m,
        });
        true
    }

    /// The newest pose.
    #[must_use]
    pub fn newest(&self) -> Option<&RoverPose> {
        self.poses.back()
    }

    /// Forgets all poses.
    pub fn clear(&mut self) {
        self.poses.clear();
        self.forgotten = false;
    }

    /// The pose at a stamp, interpolated when two poses at most `gap_s` apart lie around it. The very first pose holds
    /// for `rest_s` before it, too: localization begins at rest.
    #[must_use]
    pub fn at(&self, stamp: Stamp, gap_s: f64, rest_s: f64) -> Lookup {
        let after = self.poses.partition_point(|p| p.stamp < stamp);
        let Some(next) = self.poses.get(after) else {
            return Lookup::NotYet;
        };
        if next.stamp == stamp {
            return Lookup::At(*next);
        }
        let Some(last) = after.checked_sub(1).and_then(|i| self.poses.get(i)) else {
            if !self.forgotten && next.stamp.since(stamp) <= rest_s {
                return Lookup::At(RoverPose { stamp, ..*next });
            }
            return Lookup::Never;
        };
        let gap = next.stamp.since(last.stamp);
        if gap > gap_s {
            return Lookup::Never;
        }
        let share = stamp.since(last.stamp) / gap;
        let (a, b) = (last.odom_from_base_link.iso, next.odom_from_base_link.iso);
        let rotation = a
            .rotation
            .try_slerp(&b.rotation, share, 1e-12)
            .unwrap_or(b.rotation);
        let translation = a.translation.vector.lerp(&b.translation.vector, share);
        Lookup::At(RoverPose {
            stamp,
            odom_from_base_link: Transform::new(Isometry3::from_parts(
                translation.into(),
                rotation,
            )),
            travel_m: last.travel_m + share * (next.travel_m - last.travel_m),
        })
    }
}

/// Where the camera stood in `base_link`, by the stamp of the image. Several images may share a stamp when the mast
/// pans while time stands still; then the first pose belongs to the first image, and so on.
#[derive(Clone, Debug, Default)]
pub struct CameraPoses {
    poses: VecDeque<(Stamp, Transform<BaseLink, NavcamOptical>, bool)>,
}

impl CameraPoses {
    /// Adds the pose of an image.
    pub fn push(
        &mut self,
        stamp: Stamp,
        base_link_from_navcam: Transform<BaseLink, NavcamOptical>,
    ) {
        if self.poses.len() >= MAX_CAMERA_POSES {
            self.poses.pop_front();
        }
        self.poses.push_back((stamp, base_link_from_navcam, false));
    }

    /// The pose for the next image of this stamp; the last one again when all are used.
    pub fn take(&mut self, stamp: Stamp) -> Option<Transform<BaseLink, NavcamOptical>> {
        let mut found = None;
        for (at, pose, used) in &mut self.poses {
            if *at == stamp {
                found = Some(*pose);
                if !*used {
                    *used = true;
                    break;
                }
            }
        }
        found
    }

    /// Whether there is a pose of this stamp.
    #[must_use]
    pub fn has(&self, stamp: Stamp) -> bool {
        self.poses.iter().any(|(at, _, _)| *at == stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pose(x: f64) -> Transform<Odom, BaseLink> {
        Transform::from_xyz_rpy([x, 0.0, 0.0], 0.0, 0.0, x)
    }

    #[test]
    fn exact_between_and_outside() {
        let mut b = OdometryBuffer::default();
        assert_eq!(b.at(Stamp(5), 1.0, 0.0), Lookup::NotYet);
        for t in [1.0, 1.1, 1.2, 3.0] {
            assert!(b.push(Stamp::from_secs(t), pose(t)));
        }
        assert!(!b.push(Stamp::from_secs(3.0), pose(3.0)));
        assert!(!b.push(Stamp::from_secs(2.0), pose(3.0)));
        let Lookup::At(p) = b.at(Stamp::from_secs(1.15), 0.3, 0.5) else {
            panic!()
        };
        assert!((p.odom_from_base_link.iso.translation.x - 1.15).abs() < 1e-9);
        assert!((p.odom_from_base_link.rpy_rad().2 - 1.15).abs() < 1e-6);
        assert!((p.travel_m - 0.15).abs() < 1e-9);
        assert!(matches!(
            b.at(Stamp::from_secs(1.2), 0.3, 0.5),
            Lookup::At(_)
        ));
        assert_eq!(b.at(Stamp::from_secs(2.0), 0.3, 0.5), Lookup::Never);
        assert_eq!(b.at(Stamp::from_secs(0.4), 0.3, 0.5), Lookup::Never);
        let Lookup::At(p) = b.at(Stamp::from_secs(0.6), 0.3, 0.5) else {
            panic!()
        };
        assert!((p.odom_from_base_link.iso.translation.x - 1.0).abs() < 1e-9);
        assert_eq!(b.at(Stamp::from_secs(3.1), 0.3, 0.5), Lookup::NotYet);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut b, mut c) = (OdometryBuffer::default(), CameraPoses::default());
        for i in 0..5000 {
            b.push(Stamp(i), pose(0.0));
            c.push(Stamp(i), Transform::identity());
        }
        assert_eq!(
            (b.poses.len(), c.poses.len()),
            (MAX_ODOMETRY, MAX_CAMERA_POSES)
        );
    }

    #[test]
    fn images_of_one_stamp_take_their_poses_in_order() {
        let mut c = CameraPoses::default();
        for x in [1.0, 2.0] {
            c.push(
                Stamp(7),
                Transform::from_xyz_rpy([x, 0.0, 0.0], 0.0, 0.0, 0.0),
            );
        }
        let xs: Vec<f64> = (0..3)
            .map(|_| c.take(Stamp(7)).unwrap().iso.translation.x)
            .collect();
        assert_eq!(xs, [1.0, 2.0, 2.0]);
        assert!(c.take(Stamp(8)).is_none());
    }
}
