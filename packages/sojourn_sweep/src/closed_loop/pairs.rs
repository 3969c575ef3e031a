//! Rendered stereo pairs through perception: matched and entered into its map as the node does it.

use crate::SweepError;
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    frames::{BaseLink, Odom, Transform},
    health::Health,
    rover::Rover,
};
use sojourn_perception::{
    Config, Input, Params, Perception, Source, TerrainGrid,
    stereo::{Eye, GreyImage, Stage},
};
use sojourn_twin::sim::ImageEvent;

/// Perception's core behind its stereo stage.
pub(super) struct Pairs {
    core: Perception,
    stage: Stage,
    camera: Pinhole,
}

impl Pairs {
    /// Perception that has seen nothing, with `source: stereo` whatever the parameters say: a pair is what is rendered.
    pub fn new(params: &Params, rover: &Rover) -> Result<Self, SweepError> {
        let config = Config::new(
            Params {
                source: Source::Stereo,
                ..params.clone()
            },
            rover,
        )?;
        let camera = rover.navcam_pinhole();
        let mut stage = Stage::new(config.params.stereo.clone());
        stage.left_info(camera);
        stage.right_info(camera, rover.navcam.baseline_m);
        Ok(Self {
            core: Perception::new(config, rover),
            stage,
            camera,
        })
    }

    /// Where the rover is.
    pub fn odometry(
        &mut self,
        now: Stamp,
        stamp: Stamp,
        odom_from_base_link: Transform<Odom, BaseLink>,
    ) {
        self.core
            .step(now, Input::Odometry(stamp, odom_from_base_link));
    }

    /// A pair that was rendered.
    pub fn image(&mut self, now: Stamp, image: &ImageEvent) {
        let grey = |pixels: &[u8]| GreyImage {
            stamp: image.stamp,
            width: image.frame.width,
            height: image.frame.height,
            pixels: pixels.to_vec(),
        };
        self.core.step(now, Input::CameraInfo(self.camera));
        self.core.step(
            now,
            Input::CameraPose(image.stamp, image.base_link_from_navcam),
        );
        self.stage.image(Eye::Left, grey(&image.frame.left));
        self.stage.image(Eye::Right, grey(&image.frame.right));
    }

    /// The grid, when it has changed, and how perception is.
    pub fn tick(&mut self, now: Stamp) -> (Option<TerrainGrid>, Health) {
        for depth in self.stage.tick() {
            let input = match depth {
                Ok(image) => Input::Depth(image),
                Err(fault) => Input::NoDepth(fault),
            };
            self.core.step(now, input);
        }
        let out = self.core.step(now, Input::Tick);
        (out.grid, out.health.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closed_loop::Settings;
    use sojourn_twin::render::Frame;
    use std::path::Path;

    /// What perception makes of a rover that looks at a wall: the simulator's depth is left out.
    fn seen(eyes: impl Fn(usize, usize) -> [u8; 2]) -> Option<TerrainGrid> {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let rover = Rover::load(&config.join("rovers/perseverance.yaml")).unwrap();
        let settings = Settings::load(&config).unwrap();
        let camera = rover.navcam_pinhole();
        let (width, height) = (camera.width, camera.height);
        let pixels = |eye: usize| {
            let all = (0..height).flat_map(|r| (0..width).map(move |c| (c, r)));
            all.map(|(c, r)| eyes(c, r)[eye]).collect::<Vec<u8>>()
        };
        let now = Stamp::from_secs(1.0);
        let image = ImageEvent {
            stamp: now,
            number: 0,
            pan_rad: 0.0,
            base_link_from_navcam: rover.base_link_from_navcam_panned(0.0),
            frame: Frame {
                width,
                height,
                depth_m: vec![5.0; width * height],
                class: Vec::new(),
                left: pixels(0),
                right: pixels(1),
                right_depth_m: Vec::new(),
            },
        };
        let mut pairs = Pairs::new(&settings.perception, &rover).unwrap();
        pairs.odometry(now, now, Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0));
        pairs.image(now, &image);
        pairs.tick(now).0
    }

    /// Brightness that no two places share.
    fn speckle(c: usize, r: usize) -> u8 {
        let mixed = (c as u32)
            .wrapping_mul(0x9E37_79B1)
            .wrapping_add((r as u32).wrapping_mul(0x85EB_CA77));
        (40 + ((mixed ^ (mixed >> 15)).wrapping_mul(0x2C1B_3C6D) >> 24) * 3 / 4) as u8
    }

    #[test]
    fn ground_is_what_two_eyes_match_and_not_the_depth_of_the_renderer() {
        let grid = seen(|c, r| [speckle(c, r), speckle(c + 30, r)]).unwrap();
        let known = grid.elevation.data().iter().filter(|h| h.is_finite());
        assert!(known.count() > 20);
        // Nothing to match: the depth that the renderer tells counts for nothing.
        assert!(seen(|_, _| [100, 100]).is_none());
    }
}
