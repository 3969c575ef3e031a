//! Subscriptions of the further sensors (feature `ros`): their messages to what the core takes.

use crate::{
    cloud::{self, Field, Layout},
    core::{DepthImage, DepthNoise, Input},
    sensors::{Sensed, SensorKind, SensorParams},
    stereo::{Eye, GreyImage, PairFault, Stage, StereoParams},
};
use r2r::sensor_msgs::msg::{CameraInfo, Image, PointCloud2};
use sojourn_core::camera::Pinhole;
use sojourn_core::topics::{QosClass, Topic};
use sojourn_ros::{KitError, NodeKit, Refused, msgs};
use std::collections::BTreeMap;

/// What a further sensor sends; the number is its place in the order of names.
pub enum Heard {
    /// A depth image, or why it was refused.
    Depth(Result<DepthImage, String>),
    /// Intrinsics: of a depth camera or of the left eye.
    Info(Pinhole),
    /// An image of one eye.
    Image(Eye, GreyImage),
    /// Intrinsics of the right eye and the baseline, metres.
    RightInfo(Pinhole, f64),
    /// A point cloud, or why it was refused.
    Cloud(Result<cloud::PointCloud, String>),
}

/// All further sensors of the node.
pub struct Feeds {
    feeds: Vec<Feed>,
}

struct Feed {
    camera: Option<Pinhole>,
    stage: Option<Stage>,
    waiting: Vec<DepthImage>,
}

impl Feeds {
    /// Sensors that have sent nothing.
    #[must_use]
    pub fn new(sensors: &BTreeMap<String, SensorParams>, stereo: &StereoParams) -> Self {
        let feed = |p: &SensorParams| Feed {
            camera: None,
            stage: (p.kind == SensorKind::Stereo).then(|| Stage::new(stereo.clone())),
            waiting: Vec::new(),
        };
        Self {
            feeds: sensors.values().map(feed).collect(),
        }
    }

    /// Takes a message of sensor `k`; what it means to the core at once, if anything.
    pub fn hear(&mut self, k: usize, heard: Heard) -> Option<Input> {
        let feed = self.feeds.get_mut(k)?;
        match heard {
            Heard::Depth(Ok(image)) => feed.waiting.push(image),
            Heard::Info(camera) => {
                feed.camera = Some(camera);
                if let Some(stage) = &mut feed.stage {
                    stage.left_info(camera);
                }
            }
            Heard::Image(eye, image) => {
                if let Some(stage) = &mut feed.stage {
                    stage.image(eye, image);
                }
            }
            Heard::RightInfo(camera, baseline_m) => {
                if let Some(stage) = &mut feed.stage {
                    stage.right_info(camera, baseline_m);
                }
            }
            Heard::Cloud(Ok(cloud)) => return Some(Input::Sensed(k, Sensed::Cloud(cloud))),
            Heard::Depth(Err(why)) | Heard::Cloud(Err(why)) => {
                return Some(Input::NotSensed(k, why));
            }
        }
        None
    }

    /// Matches what is complete; what all sensors mean to the core.
    pub fn tick(&mut self) -> Vec<Input> {
        let mut out = Vec::new();
        for (k, feed) in self.feeds.iter_mut().enumerate() {
            let Some(camera) = feed.camera else {
                let unknown = feed
                    .waiting
                    .drain(..)
                    .map(|_| PairFault::Uncalibrated.describe());
                out.extend(unknown.map(|why| Input::NotSensed(k, why.to_string())));
                continue;
            };
            let images = feed.waiting.drain(..);
            out.extend(images.map(|i| Input::Sensed(k, Sensed::Depth(i, camera))));
            for depth in feed.stage.iter_mut().flat_map(Stage::tick) {
                out.push(match depth {
                    Ok(image) => Input::Sensed(k, Sensed::Depth(image, camera)),
                    Err(fault) => Input::NotSensed(k, fault.describe().to_string()),
                });
            }
        }
        out
    }
}

/// Subscribes to all messages of the sensors; `wrap` makes them the node's own inputs.
///
/// # Errors
/// [`KitError`] that names the topic.
pub fn subscribe<I: Send + 'static>(
    kit: &mut NodeKit<I>,
    sensors: &BTreeMap<String, SensorParams>,
    wrap: impl Fn(usize, Heard) -> I + Copy + Send + 'static,
) -> Result<(), KitError> {
    for (k, p) in sensors.values().enumerate() {
        match p.kind {
            SensorKind::Depth => {
                let topic = topic(&p.topic, "sensor_msgs/msg/Image", &p.frame);
                kit.subscribe(&topic, move |m: Image| {
                    let image = depth(&m, topic.frame).map_err(|e| e.to_string());
                    Ok(Some(wrap(k, Heard::Depth(image))))
                })?;
                info(kit, k, &p.info, &p.frame, wrap)?;
            }
            SensorKind::Stereo => stereo(kit, k, p, wrap)?,
            SensorKind::Cloud => {
                let topic = topic(&p.topic, "sensor_msgs/msg/PointCloud2", &p.frame);
                kit.subscribe(&topic, move |m: PointCloud2| {
                    let cloud = points(&m, topic.frame).map_err(|e| e.to_string());
                    Ok(Some(wrap(k, Heard::Cloud(cloud))))
                })?;
            }
        }
    }
    Ok(())
}

/// A topic of somebody's driver. Its name comes from a parameter and lives as long as the process.
fn topic(name: &str, message: &'static str, frame: &str) -> Topic {
    Topic {
        name: String::leak(name.to_string()),
        message,
        qos: QosClass::Driver,
        frame: String::leak(frame.to_string()),
        publishers: &[],
        subscribers: &["perception"],
        about: "a further depth sensor",
    }
}

fn info<I: Send + 'static>(
    kit: &mut NodeKit<I>,
    k: usize,
    name: &str,
    frame: &str,
    wrap: impl Fn(usize, Heard) -> I + Copy + Send + 'static,
) -> Result<(), KitError> {
    let topic = topic(name, "sensor_msgs/msg/CameraInfo", frame);
    kit.subscribe(&topic, move |m: CameraInfo| {
        let (_, camera) = msgs::camera_info(&m, topic.frame)?;
        Ok(Some(wrap(k, Heard::Info(camera))))
    })
}

fn stereo<I: Send + 'static>(
    kit: &mut NodeKit<I>,
    k: usize,
    p: &SensorParams,
    wrap: impl Fn(usize, Heard) -> I + Copy + Send + 'static,
) -> Result<(), KitError> {
    info(
        kit,
        k,
        &format!("{}/left/camera_info", p.topic),
        &p.frame,
        wrap,
    )?;
    let right = format!("{}/right/camera_info", p.topic);
    let right = topic(&right, "sensor_msgs/msg/CameraInfo", &p.frame);
    kit.subscribe(&right, move |m: CameraInfo| {
        let (_, camera) = msgs::camera_info(&m, right.frame)?;
        Ok(Some(wrap(k, Heard::RightInfo(camera, msgs::baseline(&m)?))))
    })?;
    for (eye, side) in [(Eye::Left, "left"), (Eye::Right, "right")] {
        let name = format!("{}/{side}/image_rect", p.topic);
        let topic = topic(&name, "sensor_msgs/msg/Image", &p.frame);
        kit.subscribe(&topic, move |m: Image| {
            let (stamp, width, height, pixels) = msgs::mono_image(&m, topic.frame)?;
            let image = GreyImage {
                stamp,
                width,
                height,
                pixels,
            };
            Ok(Some(wrap(k, Heard::Image(eye, image))))
        })?;
    }
    Ok(())
}

fn depth(m: &Image, frame: &str) -> Result<DepthImage, Refused> {
    let (stamp, width, height, depth_m) = msgs::depth_image(m, frame)?;
    Ok(DepthImage {
        stamp,
        width,
        height,
        depth_m,
        noise: DepthNoise::Rover,
    })
}

fn points(m: &PointCloud2, frame: &str) -> Result<cloud::PointCloud, Refused> {
    let stamp = msgs::in_frame(&m.header, frame)?;
    let fields: Vec<Field> = m
        .fields
        .iter()
        .map(|f| Field {
            name: f.name.clone(),
            offset: f.offset,
            datatype: f.datatype,
            count: f.count,
        })
        .collect();
    let layout = Layout {
        height: m.height,
        width: m.width,
        fields: &fields,
        is_bigendian: m.is_bigendian,
        point_step: m.point_step,
        row_step: m.row_step,
        data: &m.data,
    };
    cloud::read(stamp, &layout).map_err(|e| Refused(e.to_string()))
}
