//! Node `perception`: depth images and odometry in, terrain grid out. Shell of [`sojourn_perception::Perception`].

use r2r::geometry_msgs::msg::PoseStamped;
use r2r::grid_map_msgs::msg::GridMap;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{CameraInfo, Image};
use sojourn_core::frames::{Frame, Odom, Transform};
use sojourn_core::rover::Rover;
use sojourn_core::topics::{self, grid_layers};
use sojourn_perception::{Config, DepthImage, DepthNoise, Input, Params, Perception, TerrainGrid};
use sojourn_ros::ros::msgs;
use sojourn_ros::{Event, NodeKit, run_node};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    run_node("perception", perception)
}

async fn perception(mut kit: NodeKit<Input>) -> anyhow::Result<()> {
    let params: Params = kit.params()?;
    let rover = Rover::load(Path::new(&params.rover_file))
        .map_err(|e| anyhow::anyhow!("node {}: parameter rover_file: {e}", kit.name()))?;
    let mut core = Perception::new(Config::new(params, &rover)?, &rover);

    kit.subscribe(&topics::DEPTH, |m: Image| {
        let (stamp, width, height, depth_m) = msgs::depth_image(&m, topics::DEPTH.frame)?;
        Ok(Some(Input::Depth(DepthImage {
            stamp,
            width,
            height,
            depth_m,
            noise: DepthNoise::Rover,
        })))
    })?;
    kit.subscribe(&topics::LEFT_INFO, |m: CameraInfo| {
        let (_, camera) = msgs::camera_info(&m, topics::LEFT_INFO.frame)?;
        Ok(Some(Input::CameraInfo(camera)))
    })?;
    kit.subscribe(&topics::NAVCAM_POSE, |m: PoseStamped| {
        let (stamp, pose) = msgs::pose_stamped(&m, topics::NAVCAM_POSE.frame)?;
        Ok(Some(Input::CameraPose(stamp, Transform::new(pose))))
    })?;
    kit.subscribe(&topics::ODOMETRY, |m: Odometry| {
        let odometry = msgs::odometry_in_odom(&m)?;
        Ok(Some(Input::Odometry(
            odometry.stamp,
            odometry.to_from_base_link,
        )))
    })?;
    let terrain_grid = kit.publisher::<GridMap>(&topics::TERRAIN_GRID)?;

    let mut node = kit.run()?;
    loop {
        match node.next().await? {
            Event::Tick(tick) => {
                for input in tick.inputs {
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
