//! Node `perception`: depth images or stereo pairs and odometry in, terrain grid out. Shell of [`sojourn_perception::Perception`].

use r2r::geometry_msgs::msg::PoseStamped;
use r2r::grid_map_msgs::msg::GridMap;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{CameraInfo, Image};
use sojourn_core::camera::Pinhole;
use sojourn_core::frames::{Frame, Odom, Transform};
use sojourn_core::rover::Rover;
use sojourn_core::topics::{self, grid_layers};
use sojourn_perception::stereo::{Eye, GreyImage, Stage};
use sojourn_perception::{
    Config, DepthImage, DepthNoise, Input, Params, Perception, Source, TerrainGrid,
};
use sojourn_ros::ros::msgs;
use sojourn_ros::{Event, NodeKit, Refused, run_node};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    run_node("perception", perception)
}

/// What the node hears.
enum Heard {
    /// What the core takes as it is.
    Core(Input),
    /// An image of one eye.
    Image(Eye, GreyImage),
    /// Intrinsics of the right eye and the baseline, metres.
    RightInfo(Pinhole, f64),
}

fn grey(m: &Image, frame: &str) -> Result<GreyImage, Refused> {
    let (stamp, width, height, pixels) = msgs::mono_image(m, frame)?;
    Ok(GreyImage {
        stamp,
        width,
        height,
        pixels,
    })
}

/// Depth images or both eyes, as the parameter `source` says.
fn subscribe_camera(kit: &mut NodeKit<Heard>, source: Source) -> anyhow::Result<()> {
    if source == Source::Depth {
        kit.subscribe(&topics::DEPTH, |m: Image| {
            let (stamp, width, height, depth_m) = msgs::depth_image(&m, topics::DEPTH.frame)?;
            Ok(Some(Heard::Core(Input::Depth(DepthImage {
                stamp,
                width,
                height,
                depth_m,
                noise: DepthNoise::Rover,
            }))))
        })?;
        return Ok(());
    }
    kit.subscribe(&topics::RIGHT_INFO, |m: CameraInfo| {
        let (_, camera) = msgs::camera_info(&m, topics::RIGHT_INFO.frame)?;
        // P = [fx 0 cx −fx·B …]
        let shift = m.p.get(3).copied().unwrap_or(f64::NAN);
        Ok(Some(Heard::RightInfo(camera, -shift / camera.fx)))
    })?;
    kit.subscribe(&topics::LEFT_IMAGE, |m: Image| {
        let image = grey(&m, topics::LEFT_IMAGE.frame)?;
        Ok(Some(Heard::Image(Eye::Left, image)))
    })?;
    kit.subscribe(&topics::RIGHT_IMAGE, |m: Image| {
        let image = grey(&m, topics::RIGHT_IMAGE.frame)?;
        Ok(Some(Heard::Image(Eye::Right, image)))
    })?;
    Ok(())
}

async fn perception(mut kit: NodeKit<Heard>) -> anyhow::Result<()> {
    let params: Params = kit.params()?;
    let rover = Rover::load(Path::new(&params.rover_file))
        .map_err(|e| anyhow::anyhow!("node {}: parameter rover_file: {e}", kit.name()))?;
    let source = params.source;
    let mut stage = Stage::new(params.stereo.clone());
    let mut core = Perception::new(Config::new(params, &rover)?, &rover);

    subscribe_camera(&mut kit, source)?;
    kit.subscribe(&topics::LEFT_INFO, |m: CameraInfo| {
        let (_, camera) = msgs::camera_info(&m, topics::LEFT_INFO.frame)?;
        Ok(Some(Heard::Core(Input::CameraInfo(camera))))
    })?;
    kit.subscribe(&topics::NAVCAM_POSE, |m: PoseStamped| {
        let (stamp, pose) = msgs::pose_stamped(&m, topics::NAVCAM_POSE.frame)?;
        let pose = Input::CameraPose(stamp, Transform::new(pose));
        Ok(Some(Heard::Core(pose)))
    })?;
    kit.subscribe(&topics::ODOMETRY, |m: Odometry| {
        let odometry = msgs::odometry_in_odom(&m)?;
        Ok(Some(Heard::Core(Input::Odometry(
            odometry.stamp,
            odometry.to_from_base_link,
        ))))
    })?;
    let terrain_grid = kit.publisher::<GridMap>(&topics::TERRAIN_GRID)?;

    let mut node = kit.run()?;
    loop {
        match node.next().await? {
            Event::Tick(tick) => {
                for heard in tick.inputs {
                    match heard {
                        Heard::Core(input) => {
                            if let Input::CameraInfo(camera) = input {
                                stage.left_info(camera);
                            }
                            core.step(tick.now, input);
                        }
                        Heard::Image(eye, image) => stage.image(eye, image),
                        Heard::RightInfo(camera, baseline_m) => {
                            stage.right_info(camera, baseline_m);
                        }
                    }
                }
                for depth in stage.tick() {
                    let input = match depth {
                        Ok(image) => Input::Depth(image),
                        Err(fault) => Input::NoDepth(fault),
                    };
                    core.step(tick.now, input);
                }
                let out = core.step(tick.now, Input::Tick);
                if let Some(grid) = out.grid {
                    terrain_grid.publish(&to_msg(&grid))?;
                }
                let counts = core.counts();
                node.diagnostic("images", counts.images);
                node.diagnostic("refused", counts.refused.values().sum::<u64>());
                node.diagnostic("grid_cleared", counts.cleared);
                node.diagnostic("pairs_dropped", stage.dropped());
                node.done(out.health.unwrap_or_default())?;
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}

fn to_msg(grid: &TerrainGrid) -> GridMap {
    msgs::grid_to_msg(
        grid.stamp,
        Odom::NAME,
        &[
            (grid_layers::ELEVATION, &grid.elevation),
            (grid_layers::VARIANCE, &grid.variance),
            (grid_layers::COUNT, &grid.count),
            (grid_layers::AGE, &grid.age),
        ],
    )
}
