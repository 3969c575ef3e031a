//! Node `localization`: IMU and wheel states in, odometry, `map_from_odom` and tf out. Shell of
//! [`sojourn_localization::Localization`].

mod worker;

use futures::StreamExt;
use nalgebra::Matrix3;
use r2r::geometry_msgs::msg::{
    PoseStamped, PoseWithCovarianceStamped, TransformStamped, Vector3, Vector3Stamped,
};
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{CameraInfo, Image, Imu, JointState};
use r2r::std_srvs::srv::Trigger;
use r2r::tf2_msgs::msg::TFMessage;
use sojourn_core::Stamp;
use sojourn_core::body::Body;
use sojourn_core::frames::{BaseLink, Map, Pose2, Transform};
use sojourn_core::kinematics::WheelMotion;
use sojourn_core::rover::{Rover, Steering};
use sojourn_core::suspension::SuspensionAngles;
use sojourn_core::topics;
use sojourn_localization::finding::{FindParams, OrbitalMap};
use sojourn_localization::map_frame::MapPose;
use sojourn_localization::pairs::Part;
use sojourn_localization::visual::{Sighting, Slip};
use sojourn_localization::vo::{GrayImage, Seen, StereoCamera};
use sojourn_localization::{Config, Estimate, ImuSample, Input, Localization, Params, WheelSample};
use sojourn_ros::ros::msgs;
use sojourn_ros::{Event, NodeKit, Refused, TickMode, answer, header, run_node};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use worker::Worker;

fn main() -> ExitCode {
    run_node("localization", localization)
}

async fn localization(mut kit: NodeKit<Input>) -> anyhow::Result<()> {
    let params: Params = kit.params()?;
    let rover = Rover::load(Path::new(&params.rover_file))
        .map_err(|e| anyhow::anyhow!("node {}: parameter rover_file: {e}", kit.name()))?;
    let body = Body::load(Path::new(&params.body_file))
        .map_err(|e| anyhow::anyhow!("node {}: parameter body_file: {e}", kit.name()))?;
    let visual = params.visual.enabled;
    let map = map(&params.map_fix, visual)
        .map_err(|e| anyhow::anyhow!("node {}: parameter map_fix: {e}", kit.name()))?;
    // Only the simulator's beat stands still while a node waits.
    let patience = match kit.tick_mode() {
        TickMode::Sim => Duration::try_from_secs_f64(params.map_fix.wait_s).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let (sun, shared_sigma_m) = (params.sun.enabled, params.map_error_sigma_m);
    let mut worker = map.map(|map| Worker::new(map, patience));
    let mut core = Localization::new(Config::new(params, &body)?, &rover);

    kit.subscribe(&topics::IMU, |m: Imu| {
        let (stamp, gyro_radps, accel_mps2) = msgs::imu(&m, topics::IMU.frame)?;
        Ok(Some(Input::Imu(
            stamp,
            ImuSample {
                gyro_radps,
                accel_mps2,
            },
        )))
    })?;
    let (radius_m, steers) = (
        rover.wheel.radius_m,
        rover.drive.steering == Steering::CornerSteered,
    );
    kit.subscribe(&topics::WHEELS, move |m: JointState| {
        wheels(&m, radius_m, steers).map(Some)
    })?;
    kit.subscribe(&topics::INITIAL_POSE, |m: PoseWithCovarianceStamped| {
        let covariance = planar_covariance(&m.pose.covariance);
        let pose = PoseStamped {
            header: m.header,
            pose: m.pose.pose,
        };
        let (_, pose) = msgs::pose_stamped(&pose, topics::INITIAL_POSE.frame)?;
        let planar = Transform::<Map, BaseLink>::new(pose).planar();
        Ok(Some(Input::InitialPose(planar, covariance)))
    })?;
    kit.subscribe(&topics::MAP_POSE, move |m: PoseWithCovarianceStamped| {
        let covariance = planar_covariance(&m.pose.covariance);
        let pose = PoseStamped {
            header: m.header,
            pose: m.pose.pose,
        };
        let (stamp, pose) = msgs::pose_stamped(&pose, topics::MAP_POSE.frame)?;
        let pose = Transform::<Map, BaseLink>::new(pose).planar();
        Ok(Some(Input::MapPose(
            stamp,
            MapPose {
                pose,
                covariance,
                shared_sigma_m,
            },
        )))
    })?;
    if sun {
        kit.subscribe(&topics::SUN_SENSOR, |m: Vector3Stamped| {
            let stamp = msgs::in_frame(&m.header, topics::SUN_SENSOR.frame)?;
            let Vector3 { x, y, z } = m.vector;
            Ok(Some(Input::Sun(stamp, nalgebra::Vector3::new(x, y, z))))
        })?;
    }
    if visual {
        see(&mut kit)?;
    }
    let mut asked = kit.node().create_service::<Trigger::Service>(
        topics::FIND_ON_MAP.name,
        r2r::QosProfile::services_default(),
    )?;
    let mut anew = kit.node().create_service::<Trigger::Service>(
        topics::RESET_LOCALIZATION.name,
        r2r::QosProfile::services_default(),
    )?;
    let map_fix = kit.publisher::<PoseWithCovarianceStamped>(&topics::MAP_FIX)?;
    let slip_out = kit.publisher::<Vector3Stamped>(&topics::SLIP)?;
    let odometry = kit.publisher::<Odometry>(&topics::ODOMETRY)?;
    let map_from_odom = kit.publisher::<TransformStamped>(&topics::MAP_FROM_ODOM)?;
    let tf = kit.publisher::<TFMessage>(&topics::TF)?;
    let tf_static = kit.publisher::<TFMessage>(&topics::TF_STATIC)?;

    let mut node = kit.run()?;
    // Latched, so it reaches those that come later, too.
    tf_static.publish(&TFMessage {
        transforms: vec![msgs::transform_to_msg(
            Stamp(0),
            &rover.base_link_from_navcam(),
        )],
    })?;
    loop {
        let event = tokio::select! {
            biased;
            event = node.next() => event?,
            Some(request) = asked.next() => {
                if worker.is_some() {
                    core.step(Stamp::default(), Input::FindOnMap);
                }
                answer(request, reply(worker.is_some()));
                continue;
            }
            Some(request) = anew.next() => {
                answer(request, reset_reply(core.reset()));
                continue;
            }
        };
        match event {
            Event::Tick(tick) => {
                for input in tick.inputs {
                    core.step(tick.now, input);
                }
                if let Some(answer) = worker.as_mut().and_then(|w| w.answer(tick.now)) {
                    let (stamp, found) = (answer.stamp, answer.found.clone());
                    let before = core.counts().map_fixes;
                    core.step(tick.now, Input::Found(Box::new(answer)));
                    tracing::info!("{}", core.map_fix_told());
                    if let (Ok(pose), true) = (found, core.counts().map_fixes > before) {
                        map_fix.publish(&pose_to_msg(stamp, &pose))?;
                    }
                }
                let out = core.step(tick.now, Input::Tick);
                if let (Some(worker), Some(search)) = (&mut worker, out.search) {
                    worker.begin(search);
                }
                for sighting in &out.sightings {
                    if let Some(slip) = sighting.slip {
                        slip_out.publish(&slip_to_msg(sighting.stamp, &slip))?;
                    }
                    told(sighting);
                }
                if let Some(estimate) = out.estimate {
                    let in_map = msgs::transform_to_msg(estimate.stamp, &estimate.map_from_odom);
                    let in_odom =
                        msgs::transform_to_msg(estimate.stamp, &estimate.odom_from_base_link);
                    odometry.publish(&to_msg(&estimate))?;
                    map_from_odom.publish(&in_map)?;
                    tf.publish(&TFMessage {
                        transforms: vec![in_map, in_odom],
                    })?;
                    let bias = core.gyro_bias_radps();
                    node.diagnostic("gyro_bias_yaw_radps", format!("{:.3e}", bias.z));
                    let bias = core.accel_bias_mps2();
                    let bias = format!("{:.4} {:.4} {:.4}", bias.x, bias.y, bias.z);
                    node.diagnostic("accel_bias_mps2", bias);
                    let sigma_m = estimate.pose_covariance[0].max(estimate.pose_covariance[7]);
                    node.diagnostic("position_sigma_m", format!("{:.3}", sigma_m.sqrt()));
                    node.diagnostic("map_sigma_m", format!("{:.3}", estimate.map_sigma_m));
                    node.diagnostic("map_poses", core.counts().map_poses);
                    if worker.is_some() {
                        node.diagnostic("map_fix", core.map_fix_told());
                        node.diagnostic("map_searches", core.counts().searches);
                        node.diagnostic("map_fixes", core.counts().map_fixes);
                    }
                }
                let counts = core.counts();
                node.diagnostic("refused", counts.refused.values().sum::<u64>());
                node.diagnostic("gaps", counts.gaps);
                if sun {
                    node.diagnostic("suns", counts.suns);
                }
                if visual {
                    node.diagnostic("pairs", counts.pairs);
                    node.diagnostic("motions_seen", counts.motions);
                    node.diagnostic("motions_refused", counts.outliers);
                }
                node.done(out.health.unwrap_or_default())?;
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}

/// The map to find the rover on; `None`, with the reason in the log, where it is not to be found.
fn map(p: &FindParams, visual: bool) -> anyhow::Result<Option<OrbitalMap>> {
    if !p.enabled {
        return Ok(None);
    }
    let lacks = if !visual {
        Some("stereo pairs are not taken in (visual.enabled is false)")
    } else if p.site_dir.is_empty() {
        Some("there is no map (map_fix.site_dir is empty)")
    } else {
        None
    };
    if let Some(why) = lacks {
        tracing::warn!("the rover is not looked for on the map: {why}");
        return Ok(None);
    }
    let map = OrbitalMap::load(Path::new(&p.site_dir), Path::new(&p.params_file))?;
    Ok(Some(map))
}

fn reply(able: bool) -> Trigger::Response {
    let message = if able {
        "the search begins; the fix comes as map_fix, the diagnostics say why if there is none"
    } else {
        "not looked for: map_fix.enabled is false, or there is no map or no stereo pair; the log says which"
    };
    Trigger::Response {
        success: able,
        message: message.into(),
    }
}

fn reset_reply(done: Result<(), String>) -> Trigger::Response {
    let success = done.is_ok();
    let message = match done {
        Ok(()) => {
            "the estimate begins anew where the rover stands; initialpose says where in map that is"
                .to_string()
        }
        Err(why) => format!("not reset: {why}"),
    };
    tracing::warn!("reset_localization: {message}");
    Trigger::Response { success, message }
}

/// A pose in `map`; what is not measured has no weight.
fn pose_to_msg(stamp: Stamp, found: &MapPose) -> PoseWithCovarianceStamped {
    let Pose2 { x_m, y_m, yaw_rad } = found.pose;
    let pose = Transform::<Map, BaseLink>::from_xyz_rpy([x_m, y_m, 0.0], 0.0, 0.0, yaw_rad);
    let mut m = PoseWithCovarianceStamped {
        header: header(stamp, topics::MAP_FIX.frame),
        ..PoseWithCovarianceStamped::default()
    };
    m.pose.pose = msgs::pose_to_msg(&pose.iso);
    m.pose.covariance = vec![0.0; 36];
    let of = [0, 1, 5];
    for (i, row) in of.iter().enumerate() {
        for (j, column) in of.iter().enumerate() {
            if let Some(c) = m.pose.covariance.get_mut(row * 6 + column) {
                *c = found.covariance[(i, j)];
            }
        }
    }
    for k in [2, 3, 4] {
        if let Some(c) = m.pose.covariance.get_mut(k * 7) {
            *c = UNKNOWN_VAR;
        }
    }
    m
}

/// Variance of what is not measured, m² or rad².
const UNKNOWN_VAR: f64 = 1e6;

/// The parts of stereo pairs.
fn see(kit: &mut NodeKit<Input>) -> anyhow::Result<()> {
    kit.subscribe(&topics::RIGHT_INFO, |m: CameraInfo| {
        let (_, pinhole) = msgs::camera_info(&m, topics::RIGHT_INFO.frame)?;
        let baseline_m = msgs::baseline(&m)?;
        Ok(Some(Input::Part(Part::Camera(StereoCamera {
            pinhole,
            baseline_m,
        }))))
    })?;
    kit.subscribe(&topics::NAVCAM_POSE, |m: PoseStamped| {
        let (stamp, pose) = msgs::pose_stamped(&m, topics::NAVCAM_POSE.frame)?;
        Ok(Some(Input::Part(Part::Pose(stamp, pose))))
    })?;
    kit.subscribe(&topics::LEFT_IMAGE, |m: Image| {
        let (stamp, image) = gray(&m, topics::LEFT_IMAGE.frame)?;
        Ok(Some(Input::Part(Part::Left(stamp, image))))
    })?;
    kit.subscribe(&topics::RIGHT_IMAGE, |m: Image| {
        let (stamp, image) = gray(&m, topics::RIGHT_IMAGE.frame)?;
        Ok(Some(Input::Part(Part::Right(stamp, image))))
    })?;
    Ok(())
}

fn gray(m: &Image, frame: &str) -> Result<(Stamp, GrayImage), Refused> {
    let (stamp, width, height, data) = msgs::mono_image(m, frame)?;
    let image = GrayImage::new(width, height, data).ok_or_else(|| {
        Refused(format!(
            "image is {width} x {height}, expected pixels for that"
        ))
    })?;
    Ok((stamp, image))
}

fn slip_to_msg(stamp: Stamp, slip: &Slip) -> Vector3Stamped {
    Vector3Stamped {
        header: header(stamp, topics::SLIP.frame),
        vector: Vector3 {
            x: slip.slip,
            y: slip.sigma,
            z: slip.wheels_m,
        },
    }
}

/// What a pair gave, for the log.
fn told(s: &Sighting) {
    match (&s.seen, &s.fused) {
        (Seen::Failed { why, .. }, _) => {
            tracing::info!(
                "no motion seen at {:.1} s: {}",
                s.stamp.as_secs(),
                why.describe()
            );
        }
        (Seen::Moved { .. }, Some(Err(distance2))) => tracing::warn!(
            "the motion seen at {:.1} s disagrees with wheels and gyro (squared distance {distance2:.0}): not used",
            s.stamp.as_secs()
        ),
        _ => {}
    }
}

fn wheels(m: &JointState, radius_m: f64, steers: bool) -> Result<Input, Refused> {
    let (stamp, turned_rad, turn_radps) = msgs::joints(m, &topics::DRIVE_JOINTS)?;
    let steer_rad = if steers {
        msgs::joints(m, &topics::STEER_JOINTS)?.1
    } else {
        [0.0; 6]
    };
    // A rover that does not measure its suspension names no such joints.
    let named = |joint: &&str| m.name.iter().any(|n| n == joint);
    let suspension = topics::SUSPENSION_JOINTS
        .iter()
        .all(named)
        .then(|| msgs::joints(m, &topics::SUSPENSION_JOINTS))
        .transpose()?
        .map(|(_, [differential_rad, left, right], _)| SuspensionAngles {
            differential_rad,
            bogie_rad: [left, right],
        });
    let rim_mps = turn_radps.map(|w| w * radius_m);
    let sample = WheelSample {
        motion: WheelMotion { rim_mps, steer_rad },
        travel_m: turned_rad.map(|a| a * radius_m),
        suspension,
    };
    Ok(Input::Wheels(stamp, sample))
}

fn to_msg(estimate: &Estimate) -> Odometry {
    let mut m = msgs::odometry_to_msg(&msgs::OdometryIn {
        stamp: estimate.stamp,
        to_from_base_link: estimate.odom_from_base_link,
        linear_mps: estimate.velocity_mps.into(),
        angular_radps: estimate.rate_radps,
        pose_covariance: estimate.pose_covariance,
    });
    if let Some(first) = m.twist.covariance.first_mut() {
        *first = estimate.velocity_sigma_mps.powi(2);
    }
    m
}

/// x, y and yaw of a message's covariance; not-a-number where it is short.
fn planar_covariance(c: &[f64]) -> Matrix3<f64> {
    let of = [0, 1, 5];
    Matrix3::from_fn(|i, j| c.get(of[i] * 6 + of[j]).copied().unwrap_or(f64::NAN))
}
