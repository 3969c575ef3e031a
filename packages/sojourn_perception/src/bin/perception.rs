//! Node `perception`: depth images or stereo pairs and odometry in, terrain grid out. Shell of [`sojourn_perception::Perception`].

use r2r::geometry_msgs::msg::PoseStamped;
use r2r::grid_map_msgs::msg::GridMap;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{CameraInfo, Image, PointCloud2};
use r2r::visualization_msgs::msg::MarkerArray;
use sojourn_core::camera::Pinhole;
use sojourn_core::frames::Transform;
use sojourn_core::rover::Rover;
use sojourn_core::topics;
use sojourn_perception::config::{LayerParams, RippleParams, RockParams};
use sojourn_perception::layers::{Abilities, derive};
use sojourn_perception::stereo::{Eye, GreyImage, Stage};
use sojourn_perception::{
    Config, DepthImage, DepthNoise, Input, Params, Perception, Source, TerrainGrid,
    feeds::{self, Feeds},
    ripples, rocks, wire,
};
use sojourn_ros::ros::msgs;
use sojourn_ros::ros::publisher::Publisher;
use sojourn_ros::{Event, NodeKit, Refused, run_node};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

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

/// Depth images or both eyes, as the parameter `source` says.
fn subscribe_camera(kit: &mut NodeKit<Heard>, source: Source) -> anyhow::Result<()> {
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

/// Where the grid and what is worked out from it go.
struct Outlets {
    grid: Publisher<GridMap>,
    layers: Publisher<GridMap>,
    rocks: Publisher<PointCloud2>,
    rock_markers: Publisher<MarkerArray>,
    abilities: Abilities,
    layer_params: LayerParams,
    rock_params: RockParams,
    ripple_params: RippleParams,
}

/// What a grid holds.
struct Found {
    rocks: rocks::Rocks,
    ripples: Vec<ripples::Ripples>,
}

impl Outlets {
    fn new(kit: &mut NodeKit<Heard>, params: &Params, rover: &Rover) -> anyhow::Result<Self> {
        Ok(Self {
            grid: kit.publisher(&topics::TERRAIN_GRID)?,
            layers: kit.publisher(&topics::TERRAIN_LAYERS)?,
            rocks: kit.publisher(&topics::ROCKS)?,
            rock_markers: kit.publisher(&topics::ROCK_MARKERS)?,
            abilities: Abilities::of(rover),
            layer_params: params.layers,
            rock_params: params.rocks,
            ripple_params: params.ripples,
        })
    }

    /// Publishes a grid with its rocks; its layers when somebody listens.
    fn publish(&self, grid: &TerrainGrid) -> anyhow::Result<Found> {
        let derived = derive(grid, &self.abilities, &self.layer_params)?;
        self.grid.publish(&wire::grid_to_msg(grid, &derived))?;
        let ripples = ripples::find(grid, &self.ripple_params);
        if self.layers.subscribers() > 0 {
            let over = ripples::layers(grid, &ripples, &self.ripple_params)?;
            self.layers
                .publish(&wire::layers_to_msg(grid, &derived, &over))?;
        }
        let rocks = rocks::find(grid, &self.rock_params);
        self.rocks
            .publish(&wire::rocks_to_msg(grid.stamp, &rocks))?;
        self.rock_markers
            .publish(&wire::rocks_to_markers(grid, &rocks))?;
        Ok(Found { rocks, ripples })
    }
}

/// Ripples in words.
fn in_words(found: &[ripples::Ripples]) -> String {
    ripples::typical(found).map_or_else(
        || "none".into(),
        |r| {
            format!(
                "{:.2} m from crest to crest, {:.2} m high, across {:.0} deg in odom; {} windows",
                r.wavelength_m,
                r.height_m,
                r.across_rad.to_degrees(),
                found.len()
            )
        },
    )
}

/// Wall time since, for people who watch the diagnostics: nothing is decided by it.
fn milliseconds(since: Instant) -> String {
    format!("{:.1}", since.elapsed().as_secs_f64() * 1e3)
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
    let outlets = Outlets::new(&mut kit, &params, &rover)?;
    let mut further = Feeds::new(&params.sensors, &params.stereo);
    feeds::subscribe(&mut kit, &params.sensors, Heard::Further)?;
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
                let begin = Instant::now();
                let out = core.step(tick.now, Input::Tick);
                if let Some(grid) = out.grid {
                    node.diagnostic("grid_ms", milliseconds(begin));
                    let begin = Instant::now();
                    let found = outlets.publish(&grid)?;
                    node.diagnostic("layers_and_rocks_ms", milliseconds(begin));
                    node.diagnostic("ripples", in_words(&found.ripples));
                    let known = grid_share(&grid);
                    node.diagnostic("grid_known_percent", format!("{known:.1}"));
                    node.diagnostic("rocks", found.rocks.rocks.len());
                    let percent = found.rocks.cfa.map_or(f64::NAN, |k| 100.0 * k);
                    node.diagnostic("rock_abundance_percent", format!("{percent:.2}"));
                }
                let counts = core.counts();
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
                }
                node.done(out.health.unwrap_or_default())?;
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}
