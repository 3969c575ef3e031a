//! What one depth image does to the grid: project, fuse, forget what was seen through.

use crate::{
    clear::Rays,
    cloud::PointCloud,
    config::Config,
    input::DepthImage,
    map::{Footprint, RollingMap},
    pairing::RoverPose,
    project::{Projector, noise_per_m},
    sensors::SensorParams,
};
use nalgebra::Isometry3;
use sojourn_core::{Stamp, camera::Pinhole, rover::Navcam};

/// The grid with the room that updating it needs.
#[derive(Clone, Debug)]
pub struct Updater {
    /// The grid.
    pub map: RollingMap,
    projector: Projector,
    own_area: Footprint,
}

/// What an update did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// Pixels with a usable depth, inside the window or not.
    pub usable: usize,
    /// Cells that were forgotten because the image saw through them.
    pub seen_through: usize,
}

impl Updater {
    /// An empty grid; what lies inside `own_area` of `base_link` is the rover itself.
    #[must_use]
    pub fn new(config: &Config, own_area: Footprint) -> Self {
        Self {
            map: RollingMap::new(config.grid),
            projector: Projector::default(),
            own_area,
        }
    }

    /// Enters an image of a camera (with the disparity noise of `navcam`) that stood at `odom_from_camera` while the rover
    /// was at `at`. Nothing happens when no pixel is usable.
    pub fn update(
        &mut self,
        image: &DepthImage,
        camera: &Pinhole,
        navcam: &Navcam,
        odom_from_camera: &Isometry3<f64>,
        at: &RoverPose,
        config: &Config,
    ) -> Updated {
        let usable = self
            .projector
            .sum(image, camera, navcam, odom_from_camera, &self.map, config);
        if usable == 0 {
            return Updated::default();
        }
        self.merge(image.stamp, odom_from_camera, at, config);
        let rays = Rays {
            image,
            camera,
            odom_from_camera: *odom_from_camera,
            noise_per_m: noise_per_m(image, camera, navcam),
        };
        let seen_through = self
            .map
            .clear_seen_through(&rays, image.stamp, at.travel_m, config);
        Updated {
            usable,
            seen_through,
        }
    }

    /// Enters a cloud of a sensor that stood at `odom_from_sensor` while the rover was at `at`. A cloud tells where there is
    /// ground, not through what its rays went, so it clears nothing.
    pub fn update_cloud(
        &mut self,
        cloud: &PointCloud,
        sensor: &SensorParams,
        odom_from_sensor: &Isometry3<f64>,
        at: &RoverPose,
        config: &Config,
    ) -> Updated {
        let usable = self
            .projector
            .sum_points(cloud, sensor, odom_from_sensor, &self.map);
        if usable > 0 {
            self.merge(cloud.stamp, odom_from_sensor, at, config);
        }
        Updated {
            usable,
            seen_through: 0,
        }
    }

    /// Fuses what was summed last.
    fn merge(
        &mut self,
        stamp: Stamp,
        odom_from_sensor: &Isometry3<f64>,
        at: &RoverPose,
        config: &Config,
    ) {
        self.map.merge(
            self.projector.observations(odom_from_sensor, &self.map),
            stamp,
            at.travel_m,
            &at.odom_from_base_link.iso,
            self.own_area,
            config,
        );
    }
}
