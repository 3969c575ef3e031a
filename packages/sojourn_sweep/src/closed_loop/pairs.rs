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
