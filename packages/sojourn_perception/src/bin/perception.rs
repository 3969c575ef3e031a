//! Node `perception`: depth images or stereo pairs and odometry in, terrain grid out. Shell of [`sojourn_perception::Perception`].

use anyhow::Context;
use r2r::geometry_msgs::msg::PoseStamped;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{CameraInfo, Image};
use sojourn_core::Stamp;
use sojourn_core::camera::Pinhole;
use sojourn_core::files::read_bytes;
use sojourn_core::frames::Transform;
use sojourn_core::rover::Rover;
use sojourn_core::topics;
use sojourn_perception::classes::Classifier;
use sojourn_perception::config::ClassParams;
use sojourn_perception::stereo::{Eye, GreyImage, Stage, rectified, rectified_colours};
use sojourn_perception::surface::{Beside, ClassedImage, Looker, Taken};
use sojourn_perception::{
    Config, Counts, DepthImage, DepthNoise, Input, Params, Perception, Source, TerrainGrid,
    feeds::{self, Feeds},
    outlets::{self, Outlets},
};
use sojourn_ros::ros::msgs;
use sojourn_ros::{Event, NodeKit, Refused, Tick, run_node};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Largest file of a network, bytes.
const LARGEST_MODEL: u64 = 64 << 20;

fn main() -> ExitCode {
    run_node("perception", perception)
}

/// What the node hears.
enum Heard {
    /// What the core takes as it is.
    Core(Input),
    /// An image of one eye, and its colours (three bytes a pixel) where it has any and somebody wants them.
    Image(Eye, GreyImage, Option<Vec<u8>>),
    /// Intrinsics of the right eye and the baseline, metres.
    RightInfo(Pinhole, f64),
    /// Something of a further sensor.
    Further(usize, feeds::Heard),
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

/// The network, with what decides when it is asked.
struct Network {
    looker: Looker,
    beside: Beside,
    took: Option<Duration>,
}

impl Network {
    /// As the parameters say; nothing where there is none.
    fn new(params: &ClassParams) -> anyhow::Result<Option<Self>> {
        let classifier = match params.model.as_str() {
            "" => return Ok(None),
            "shipped" => Classifier::shipped()?,
            file => {
                let bytes = read_bytes(Path::new(file), LARGEST_MODEL)
                    .context("parameter classes.model")?;
                Classifier::new(&bytes)
                    .with_context(|| format!("parameter classes.model: {file}"))?
            }
        };
        Ok(Some(Self {
            looker: Looker::new(params),
            beside: Beside::new(classifier),
            took: None,
        }))
    }

    /// Takes the answer that counts now, waiting for it where time does, and asks the next question.
    fn tick(&mut self, tick: &Tick<Heard>, camera: Option<&Pinhole>) -> Option<ClassedImage> {
        let mut classed = None;
        if self.looker.is_due(tick.now) {
            let said = match self.beside.take(tick.lockstep) {
                Taken::NotYet => return None,
                Taken::Nothing => None,
                Taken::Said(said, took) => {
                    self.took = Some(took);
                    Some(said)
                }
            };
            classed = self.looker.answered(said);
        }
        if let Some(question) = self.looker.ask(tick.now, camera) {
            self.beside.begin(question);
        }
        classed
    }
}

/// Both eyes' raw images, where files tell the cameras.
fn subscribe_raw(kit: &mut NodeKit<Heard>, with_colour: bool) -> anyhow::Result<()> {
    for (eye, topic) in [
        (Eye::Left, &topics::LEFT_RAW),
        (Eye::Right, &topics::RIGHT_RAW),
    ] {
        kit.subscribe(topic, move |m: Image| {
            let image = feeds::raw_image(&m, eye, topic.frame)?;
            let wanted = with_colour && eye == Eye::Left;
            let rgb = wanted.then(|| msgs::colours(&m)).flatten();
            Ok(Some(Heard::Image(eye, image, rgb)))
        })?;
    }
    Ok(())
}

/// Depth images or both eyes, as the parameter `source` says, with their intrinsics; the left image too where classes are
/// wanted.
fn subscribe_camera(
    kit: &mut NodeKit<Heard>,
    source: Source,
    with_left: bool,
    with_colour: bool,
) -> anyhow::Result<()> {
    kit.subscribe(&topics::LEFT_INFO, |m: CameraInfo| {
        let (_, camera) = msgs::camera_info(&m, topics::LEFT_INFO.frame)?;
        Ok(Some(Heard::Core(Input::CameraInfo(camera))))
    })?;
    if source == Source::Stereo || with_left {
        kit.subscribe(&topics::LEFT_IMAGE, move |m: Image| {
            let image = grey(&m, topics::LEFT_IMAGE.frame)?;
            let rgb = with_colour.then(|| msgs::colours(&m)).flatten();
            Ok(Some(Heard::Image(Eye::Left, image, rgb)))
        })?;
    }
    if source == Source::None {
        return Ok(());
    }
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
    kit.subscribe(&topics::RIGHT_IMAGE, |m: Image| {
        let image = grey(&m, topics::RIGHT_IMAGE.frame)?;
        Ok(Some(Heard::Image(Eye::Right, image, None)))
    })?;
    Ok(())
}

/// Wall time since, for people who watch the diagnostics: nothing is decided by it.
fn milliseconds(since: Instant) -> String {
    format!("{:.1}", since.elapsed().as_secs_f64() * 1e3)
}

/// What became of the images that the network was asked about, in words.
fn said_of_classes(network: Option<&Network>, counts: &Counts) -> String {
    let Some(l) = network.map(|n| n.looker.looks()) else {
        return "off: no network is configured (classes.model)".into();
    };
    format!(
        "{} images classified, {} of them unlike those learnt from, {} in the grid, {} without a depth image, {} dropped, \
         {} of a wrong size, {} without an answer",
        l.used, l.unlike, counts.classed, counts.unplaced, l.dropped, l.refused, l.unanswered
    )
}

/// Share of the grid's cells that are known, percent.
fn grid_share(grid: &TerrainGrid) -> f64 {
    let cells = grid.elevation.data();
    let known = cells.iter().filter(|z| z.is_finite()).count();
    100.0 * known as f64 / cells.len().max(1) as f64
}

async fn perception(mut kit: NodeKit<Heard>) -> anyhow::Result<()> {
    let params: Params = kit.params()?;
    let rover = Rover::load(Path::new(&params.rover_file))
        .map_err(|e| anyhow::anyhow!("node {}: parameter rover_file: {e}", kit.name()))?;
    let source = params.source;
    let mut network =
        Network::new(&params.classes).with_context(|| format!("node {}", kit.name()))?;
    let config = Config::new(params.clone(), &rover)?;
    let mut outlets = Outlets::new(&mut kit, &config, &rover)?;
    let mut further = Feeds::new(&params.sensors, &params.stereo)
        .with_context(|| format!("node {}: parameter sensors", kit.name()))?;
    feeds::subscribe(&mut kit, &params.sensors, Heard::Further)?;
    let mut stage = Stage::new(params.stereo.clone());
    let mut core = Perception::new(config, &rover);
    for (k, at) in further.placed() {
        core.place_sensor(k, at);
    }
    let mut camera: Option<Pinhole> = None;
    let files = params
        .cameras
        .load()
        .with_context(|| format!("node {}: parameter cameras", kit.name()))?;
    if let Some(pair) = &files {
        camera = Some(pair.pinhole);
        stage.left_info(pair.pinhole);
        stage.right_info(pair.pinhole, pair.baseline_m);
        core.step(Stamp::default(), Input::CameraInfo(pair.pinhole));
        subscribe_raw(&mut kit, outlets.wants_images())?;
    } else {
        let with_colour = outlets.wants_images();
        let with_left = network.is_some() || with_colour;
        subscribe_camera(&mut kit, source, with_left, with_colour)?;
    }
    let turn = files.as_ref().map(|pair| pair.optical_from_rectified);
    kit.subscribe(&topics::NAVCAM_POSE, move |m: PoseStamped| {
        let (stamp, pose) = msgs::pose_stamped(&m, topics::NAVCAM_POSE.frame)?;
        let pose = turn.map_or(pose, |turn| pose * turn);
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

    let mut node = kit.run()?;
    loop {
        match node.next().await? {
            Event::Tick(mut tick) => {
                for heard in std::mem::take(&mut tick.inputs) {
                    match heard {
                        Heard::Core(input) => {
                            if let Input::CameraInfo(left) = input {
                                stage.left_info(left);
                                camera = Some(left);
                            }
                            core.step(tick.now, input);
                        }
                        Heard::Image(eye, image, rgb) => {
                            let made = match &files {
                                Some(pair) => rectified(pair, eye == Eye::Right, &image),
                                None => Ok(image),
                            };
                            let image = match made {
                                Ok(image) => image,
                                Err(fault) => {
                                    core.step(tick.now, Input::NoDepth(fault));
                                    continue;
                                }
                            };
                            if let Some(n) = network.as_mut().filter(|_| eye == Eye::Left) {
                                n.looker.image(image.clone());
                            }
                            if outlets.wants_images() && eye == Eye::Left {
                                let rgb = match &files {
                                    Some(pair) => rgb.and_then(|c| rectified_colours(pair, &c)),
                                    None => rgb,
                                };
                                outlets.image(image.clone(), rgb);
                            }
                            if eye == Eye::Left {
                                core.step(tick.now, Input::Left(image.clone()));
                            }
                            if source == Source::Stereo {
                                stage.image(eye, image);
                            }
                        }
                        Heard::RightInfo(camera, baseline_m) => {
                            stage.right_info(camera, baseline_m);
                        }
                        Heard::Further(k, heard) => {
                            if let Some(input) = further.hear(k, heard) {
                                core.step(tick.now, input);
                            }
                        }
                    }
                }
                let begin = Instant::now();
                let pairs = stage.tick();
                if !pairs.is_empty() {
                    node.diagnostic("stereo_ms", milliseconds(begin));
                }
                for depth in pairs {
                    let input = match depth {
                        Ok(image) => Input::Depth(image),
                        Err(fault) => Input::NoDepth(fault),
                    };
                    core.step(tick.now, input);
                }
                for input in further.tick() {
                    core.step(tick.now, input);
                }
                if let Some(network) = network.as_mut() {
                    if let Some(image) = network.tick(&tick, camera.as_ref()) {
                        core.step(tick.now, Input::Classed(image));
                    }
                    if let Some(took) = network.took {
                        node.diagnostic("classes_ms", format!("{:.1}", took.as_secs_f64() * 1e3));
                    }
                }
                let begin = Instant::now();
                let out = core.step(tick.now, Input::Tick);
                if let Some(grid) = &out.grid {
                    node.diagnostic("grid_ms", milliseconds(begin));
                    let begin = Instant::now();
                    let found = outlets.publish(grid, &out)?;
                    node.diagnostic("layers_and_rocks_ms", milliseconds(begin));
                    let targets = found
                        .targets
                        .map_or("off, or no image".into(), |n| n.to_string());
                    node.diagnostic("science_targets", targets);
                    node.diagnostic("ripples", outlets::in_words(&found.ripples));
                    let known = grid_share(grid);
                    node.diagnostic("grid_known_percent", format!("{known:.1}"));
                    node.diagnostic("rocks", found.rocks.rocks.len());
                    let percent = found.rocks.cfa.map_or(f64::NAN, |k| 100.0 * k);
                    node.diagnostic("rock_abundance_percent", format!("{percent:.2}"));
                }
                let counts = core.counts();
                node.diagnostic("classes", said_of_classes(network.as_ref(), counts));
                node.diagnostic("images", counts.images);
                node.diagnostic("refused", counts.refused.values().sum::<u64>());
                node.diagnostic("grid_cleared", counts.cleared);
                node.diagnostic("cells_seen_through", counts.seen_through);
                for (name, s) in core.sensors() {
                    let share = f64::from(s.usable_permille) / 10.0;
                    let text = format!(
                        "{} used, {} refused, {} dropped, {share:.1} % usable",
                        s.used, s.refused, s.dropped
                    );
                    node.diagnostic(&format!("sensor_{name}"), text);
                }
                node.diagnostic("pairs_dropped", stage.dropped());
                if let Some(seen) = stage.seen() {
                    let matched = 100.0 * seen.matched;
                    node.diagnostic("pixels_matched_percent", format!("{matched:.1}"));
                    for (eye, e) in ["left", "right"].iter().zip(seen.exposure) {
                        let text = format!(
                            "mean {:.0}, {:.1} % black, {:.1} % white",
                            e.mean,
                            100.0 * e.black,
                            100.0 * e.white
                        );
                        node.diagnostic(&format!("exposure_{eye}"), text);
                    }
                    for (eye, share) in ["left", "right"].iter().zip(seen.dirt) {
                        let text = share.map_or_else(
                            || "not known yet".into(),
                            |s| format!("{:.1} % of the image", 100.0 * s),
                        );
                        node.diagnostic(&format!("lens_dirt_{eye}"), text);
                    }
                }
                node.done(out.health.unwrap_or_default())?;
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}
