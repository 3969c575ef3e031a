//! What one depth image does to the grid: project, fuse, forget what was seen through.

use crate::{
    clear::Rays,
    config::Config,
    core::DepthImage,
    map::{Footprint, RollingMap},
    pairing::RoverPose,
    project::{Observation, Projector},
};
use nalgebra::Isometry3;
use sojourn_core::{camera::Pinhole, rover::Navcam};

/// The grid with the room that updating it needs.
#[derive(Clone, Debug)]
pub struct Updater {
    /// The grid.
    pub map: RollingMap,
    projector: Projector,
    seen: Vec<Observation>,
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
            seen: Vec::new(),
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
        let projector = &mut self.projector;
        let usable = projector.sum(image, camera, navcam, odom_from_camera, &self.map, config);
        if usable == 0 {
            return Updated::default();
        }
        self.seen.clear();
        self.seen
            .extend(projector.observations(odom_from_camera, &self.map));
        self.map.merge(
            self.seen.iter().copied(),
            image.stamp,
            at.travel_m,
            &at.odom_from_base_link.iso,
            self.own_area,
            config,
        );
        let rays = Rays {
            image,
            camera,
            camera_from_odom: odom_from_camera.inverse(),
            noise_per_m: navcam.disparity_sigma_px / (camera.fx * navcam.baseline_m),
        };
        let seen_through = self
            .map
            .clear_seen_through(&rays, image.stamp, at.travel_m, config);
        Updated {
            usable,
            seen_through,
        }
    }
}
