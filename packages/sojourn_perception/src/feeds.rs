//! Subscriptions of the further sensors (feature `ros`): their messages to what the core takes.

use crate::{
    cloud::{self, Field, Layout},
    input::{DepthImage, DepthNoise, Input},
    sensors::{Sensed, SensorKind, SensorParams},
    stereo::{Eye, GreyImage, PairFault, Stage, StereoParams},
};
use nalgebra::Isometry3;
use r2r::sensor_msgs::msg::{CameraInfo, Image, PointCloud2};
use sojourn_core::CoreError;
use sojourn_core::camera::{
    Pinhole,
    linearize::Warp,
    ros_file::{Calibration, RosCalibration},
};
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
    /// An image of one eye as the camera took it.
    Raw(Eye, GreyImage),
    /// How one eye's raw images are rectified, or why that is not known.
    Calibration(Eye, Result<Box<RosCalibration>, String>),
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
    rectify: [Option<Rectification>; 2],
    waiting: Vec<DepthImage>,
    /// Only where files say where the camera stands.
    base_link_from_sensor: Option<Isometry3<f64>>,
}

/// How one eye's raw images become rectified ones.
struct Rectification {
    /// What `camera_info` said; nothing where a file told.
    calibration: Option<RosCalibration>,
    warp: Warp,
}

impl Rectification {
    fn apply(&self, raw: &GreyImage) -> Result<GreyImage, String> {
        let made = self
            .warp
            .apply_to_bytes(raw.width, raw.height, &raw.pixels)
            .map_err(|e| e.to_string())?;
        Ok(GreyImage {
            stamp: raw.stamp,
            width: self.warp.width,
            height: self.warp.height,
            pixels: made,
        })
    }
}

impl Feeds {
    /// Sensors that have sent nothing; the files of their cameras are read.
    ///
    /// # Errors
    /// [`CoreError`] in one sentence: a camera's file cannot be used.
    pub fn new(
        sensors: &BTreeMap<String, SensorParams>,
        stereo: &StereoParams,
    ) -> Result<Self, CoreError> {
        let feed = |p: &SensorParams| {
            let mut feed = Feed {
                camera: None,
                stage: matches!(p.kind, SensorKind::Stereo | SensorKind::StereoRaw)
                    .then(|| Stage::new(stereo.clone())),
                rectify: [None, None],
                waiting: Vec::new(),
                base_link_from_sensor: None,
            };
            if let Some(pair) = p.cameras.load()? {
                feed.base_link_from_sensor =
                    Some(p.base_link_from_sensor() * pair.file_from_rectified);
                feed.camera = Some(pair.pinhole);
                if let Some(stage) = &mut feed.stage {
                    stage.left_info(pair.pinhole);
                    stage.right_info(pair.pinhole, pair.baseline_m);
                }
                feed.rectify = pair.warps.map(|warp| {
                    let calibration = None;
                    Some(Rectification { calibration, warp })
                });
            }
            Ok(feed)
        };
        Ok(Self {
            feeds: sensors.values().map(feed).collect::<Result<_, _>>()?,
        })
    }

    /// Where sensors stand in `base_link` whose files say more of that than their parameters, by their place.
    pub fn placed(&self) -> impl Iterator<Item = (usize, Isometry3<f64>)> {
        let feeds = self.feeds.iter().enumerate();
        feeds.filter_map(|(k, f)| Some((k, f.base_link_from_sensor?)))
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
            Heard::Raw(eye, image) => {
                let rectified = match &feed.rectify[usize::from(eye == Eye::Right)] {
                    Some(r) => r.apply(&image),
                    None => Err(PairFault::Uncalibrated.describe().to_string()),
                };
                match (rectified, &mut feed.stage) {
                    (Ok(image), Some(stage)) => stage.image(eye, image),
                    (Ok(_), None) => {}
                    (Err(why), _) => return Some(Input::NotSensed(k, why)),
                }
            }
            Heard::Calibration(eye, Ok(calibration)) => feed.calibrate(eye, *calibration),
            Heard::Calibration(_, Err(why)) => return Some(Input::NotSensed(k, why)),
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

impl Feed {
    fn calibrate(&mut self, eye: Eye, calibration: RosCalibration) {
        let place = &mut self.rectify[usize::from(eye == Eye::Right)];
        // It comes with every image; working out the warp takes longer than matching.
        if place
            .as_ref()
            .is_none_or(|r| r.calibration != Some(calibration))
        {
            let warp = Warp::new(&calibration.rectified, &calibration.raw);
            *place = Some(Rectification {
                calibration: Some(calibration),
                warp,
            });
        }
        if eye == Eye::Left {
            self.camera = Some(calibration.pinhole);
        }
        if let Some(stage) = &mut self.stage {
            match eye {
                Eye::Left => stage.left_info(calibration.pinhole),
                Eye::Right => stage.right_info(calibration.pinhole, calibration.baseline_m),
            }
        }
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
            SensorKind::StereoRaw => raw_stereo(kit, k, p, wrap)?,
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

fn raw_stereo<I: Send + 'static>(
    kit: &mut NodeKit<I>,
    k: usize,
    p: &SensorParams,
    wrap: impl Fn(usize, Heard) -> I + Copy + Send + 'static,
) -> Result<(), KitError> {
    for (eye, side) in [(Eye::Left, "left"), (Eye::Right, "right")] {
        if !p.cameras.is_on() {
            let name = format!("{}/{side}/camera_info", p.topic);
            let at = topic(&name, "sensor_msgs/msg/CameraInfo", &p.frame);
            kit.subscribe(&at, move |m: CameraInfo| {
                // The right eye's messages carry its own frame in some drivers and the left one's in others.
                let calibration = calibration(&m, at.name).map(Box::new);
                Ok(Some(wrap(k, Heard::Calibration(eye, calibration))))
            })?;
        }
        let name = format!("{}/{side}/image_raw", p.topic);
        let at = topic(&name, "sensor_msgs/msg/Image", &p.frame);
        kit.subscribe(&at, move |m: Image| {
            Ok(Some(wrap(
                k,
                Heard::Raw(eye, raw_image(&m, eye, at.frame)?),
            )))
        })?;
    }
    Ok(())
}

/// A raw image of one eye. The right eye's carry its own frame in some drivers and the left one's in others.
///
/// # Errors
/// As [`msgs::mono_image`].
pub fn raw_image(m: &Image, eye: Eye, frame: &str) -> Result<GreyImage, Refused> {
    let frame = match eye {
        Eye::Left => frame,
        Eye::Right => &m.header.frame_id,
    };
    let (stamp, width, height, pixels) = msgs::mono_image(m, frame)?;
    Ok(GreyImage {
        stamp,
        width,
        height,
        pixels,
    })
}

fn calibration(m: &CameraInfo, topic: &str) -> Result<RosCalibration, String> {
    let parts = Calibration {
        width: m.width as usize,
        height: m.height as usize,
        model: &m.distortion_model,
        d: &m.d,
        k: &m.k,
        r: &m.r,
        p: &m.p,
    };
    RosCalibration::new(topic, &parts).map_err(|e| e.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::Stamp;

    fn info(baseline_m: f64) -> CameraInfo {
        let camera = Pinhole::from_fov(64, 48, 1.0, 0.8);
        let mut m = msgs::camera_to_msg(Stamp(1), "left", &camera, baseline_m);
        m.d = vec![-0.05, 0.0, 0.0, 0.0, 0.0];
        m
    }

    fn raw(width: usize) -> GreyImage {
        GreyImage {
            stamp: Stamp(1),
            width,
            height: 48,
            pixels: (0..width * 48).map(|k| (k * 7 % 251) as u8).collect(),
        }
    }

    fn why(input: Option<Input>) -> String {
        match input {
            Some(Input::NotSensed(0, why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_raw_pair_waits_for_its_calibration_and_fits_it() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../config/perception.param.yaml");
        let text = std::fs::read_to_string(file).unwrap();
        let all: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let stereo = &all["/perception"]["ros__parameters"]["stereo"];
        let stereo: StereoParams = serde_json::from_value(stereo.clone()).unwrap();
        let sensor: SensorParams = serde_yaml::from_str(
            "{kind: stereo_raw, topic: hazcam, info: '', frame: left, xyz_m: [0, 0, 1], rpy_deg: [0, 0, 0],
              range_min_m: 0.3, range_max_m: 6, sigma_m: 0.01, sigma_per_m2: 0, silence_s: 5}",
        )
        .unwrap();
        let by_name = |s: &SensorParams| BTreeMap::from([("hazcam".to_string(), s.clone())]);
        let mut feeds = Feeds::new(&by_name(&sensor), &stereo).unwrap();
        let said = why(feeds.hear(0, Heard::Raw(Eye::Left, raw(64))));
        assert_eq!(said, PairFault::Uncalibrated.describe());
        for (eye, baseline_m) in [(Eye::Left, 0.0), (Eye::Right, 0.2)] {
            let made = calibration(&info(baseline_m), "hazcam/camera_info").map(Box::new);
            assert!(feeds.hear(0, Heard::Calibration(eye, made)).is_none());
            assert!(feeds.hear(0, Heard::Raw(eye, raw(64))).is_none());
        }
        // Complete: whatever the matcher says of these 64 columns, it has been asked once.
        assert_eq!(feeds.tick().len(), 1);
        let said = why(feeds.hear(0, Heard::Raw(Eye::Right, raw(60))));
        assert!(
            said.contains("60 x 48") && said.contains("64 x 48"),
            "{said}"
        );
        let mut wrong = info(0.2);
        wrong.distortion_model = "rational_polynomial".into();
        let made = calibration(&wrong, "hazcam/right/camera_info").map(Box::new);
        let said = why(feeds.hear(0, Heard::Calibration(Eye::Right, made)));
        assert!(
            said.contains("hazcam/right/camera_info") && said.contains("rational_polynomial"),
            "{said}"
        );
        // By files nothing has to come first, and the camera stands where they say.
        let shipped = "../../config/cameras/m2020_navcam_left.yaml";
        let mut sensor = sensor;
        sensor.cameras.left = format!("{}/{shipped}", env!("CARGO_MANIFEST_DIR"));
        sensor.cameras.beside_m = 0.424;
        let mut feeds = Feeds::new(&by_name(&sensor), &stereo).unwrap();
        let said = why(feeds.hear(0, Heard::Raw(Eye::Left, raw(64))));
        assert!(said.contains("1280 x 960"), "{said}");
        let placed: Vec<_> = feeds.placed().collect();
        let at = placed[0].1.translation.vector;
        assert!(
            placed.len() == 1 && (at.x - 0.564).abs() < 1e-3 && (at.z + 0.901).abs() < 1e-3,
            "{at}"
        );
        sensor.cameras.left = "nowhere.yaml".into();
        let said = Feeds::new(&by_name(&sensor), &stereo).err().unwrap();
        assert!(said.to_string().contains("nowhere.yaml"), "{said}");
    }
}
