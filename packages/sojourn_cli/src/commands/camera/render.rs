//! `sojourn camera render`: stereo pairs of a world, with their truth.

use crate::args::GroundArgs;
use crate::cli_error::{CliError, CliResult};
use crate::commands::{say, say_json};
use crate::ground;
use crate::launch::places::Places;
use crate::pixels;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sojourn_core::{
    camera::CameraModel,
    classes::TerrainClass,
    error::in_range,
    files,
    frames::{BaseLink, Map, Pose2, Transform},
    rover::Rover,
    settle::Settler,
    site::Site,
};
use sojourn_twin::{
    day::Environment,
    folder::{View, WorldFolder},
    generate::terrain,
    render::{Frame, ROCK, Renderer, SensorParams, Shot, StereoRig, Sun},
    world::{World, WorldParams},
};
use std::path::{Path, PathBuf};

/// Least height of the sun, degrees.
const LEAST_SUN_DEG: f64 = 3.0;

/// `sojourn camera render`
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The ground; without it a generated one.
    #[command(flatten)]
    pub ground: GroundArgs,
    /// Where the rover stands: E,N in metres, crs:X,Y or lonlat:LON,LAT; the middle without it.
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// Its heading, degrees counter-clockwise from east.
    #[arg(
        long,
        value_name = "DEG",
        default_value_t = 0.0,
        allow_hyphen_values = true
    )]
    pub yaw: f64,
    /// The sun: direction (degrees counter-clockwise from east) and height (degrees); may be given several times.
    #[arg(long, value_name = "AZ,EL", default_values = ["20,15", "100,40", "200,65"], allow_hyphen_values = true)]
    pub sun: Vec<String>,
    /// The sun by the hour (0 to 24) of the planet's day as config/verification.yaml has its latitude and season, in place of
    /// --sun; may be given several times.
    #[arg(long, value_name = "H", conflicts_with = "sun")]
    pub hour: Vec<f64>,
    /// The rover: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// A camera model instead of the rover's ideal one: a YAML file or an image with a PDS3 label. Its lens counts, at the
    /// rover's own place, with the right camera the rover's baseline beside it.
    #[arg(long, value_name = "FILE")]
    pub camera: Option<PathBuf>,
    /// Columns of the images; the rover file's without it.
    #[arg(long, value_name = "PX")]
    pub width: Option<usize>,
    /// Everything random comes from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Share of the ground covered by rocks (Golombek's k); a world's folder has its own.
    #[arg(long, default_value_t = 0.06)]
    pub cfa: f64,
    /// Distance of the ground's nodes, metres.
    #[arg(long, value_name = "M", default_value_t = 0.05)]
    pub resolution: f64,
    /// Farthest depth that is seen, metres.
    #[arg(long, value_name = "M", default_value_t = 60.0)]
    pub range: f64,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Prints a summary as JSON: ok, out, files, pairs, wall_s (with the making of the ground).
    #[arg(long)]
    pub json: bool,
}

/// Takes pictures.
///
/// # Errors
/// [`CliError::Failed`] in one sentence.
pub fn render(args: &RenderArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let given = args
        .sun
        .iter()
        .map(|s| sun(s))
        .collect::<Result<Vec<_>, _>>()?;
    in_range("--range", "range", args.range, 1.0, 2000.0)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    ground::writable(&args.out.join("depth.png"))?;
    let site = the_site(&places, args, &rover)?;
    let suns = if args.hour.is_empty() {
        given
    } else {
        let day = Environment::shipped(&site.manifest.body.name)?;
        let at = |h: &f64| sun_at(*h, day);
        args.hour.iter().map(at).collect::<Result<Vec<_>, _>>()?
    };
    let elevation = site.elevation()?;
    let middle = [0, 1].map(|k| elevation.origin_m()[k] + 0.5 * elevation.size_m()[k]);
    let at = match &args.at {
        Some(text) => ground::place(&site, "at", text)?,
        None => middle,
    };
    let world = the_world(args, &site, at)?;
    let pose = Pose2::new(at[0], at[1], args.yaw.to_radians());
    let settled = Settler::new(&rover, 0.05)
        .settle(&world, pose)
        .ok_or_else(|| {
            anyhow::anyhow!(
                "the rover does not stand at ({:.1}, {:.1}) m: no ground is known there",
                at[0],
                at[1]
            )
        })?;
    let map_from_navcam = Transform::<Map, BaseLink>::from_xyz_rpy(
        [at[0], at[1], settled.z_m],
        settled.roll_rad,
        settled.pitch_rad,
        pose.yaw_rad,
    ) * rover.base_link_from_navcam();
    let rig = the_rig(args, &rover)?;
    let mut renderer = Renderer::new(rig, SensorParams::navcam(), args.range, args.seed);
    let mut files = Vec::new();
    let mut sheet = Sheet::default();
    let clock = std::time::Instant::now();
    let bar = ProgressBar::new(suns.len() as u64);
    if let Ok(style) = ProgressStyle::with_template(
        "{elapsed:>4} {spinner} {bar:20} {pos}/{len} pairs; the first makes the ground",
    ) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    for (number, sun) in suns.iter().enumerate() {
        let shot = Shot {
            sun: *sun,
            seed: args.seed,
            number: number as u64,
            right: true,
            depth_noise: None,
        };
        let frame = renderer.shoot(&world, &map_from_navcam.iso, &shot);
        let (w, h) = (frame.width, frame.height);
        for (eye, image) in [("left", &frame.left), ("right", &frame.right)] {
            let path = args.out.join(format!("sun{}_{eye}.png", number + 1));
            files::write_atomic(&path, &pixels::grey8(w, h, image)?)?;
            files.push(path);
        }
        sheet.add(&frame);
        bar.inc(1);
        if number == 0 {
            files.extend(write_truth(&args.out, &frame)?);
        }
    }
    bar.finish_and_clear();
    let wall_s = clock.elapsed().as_secs_f64();
    let pairs_file = args.out.join("pairs.png");
    let pairs = pixels::grey8(sheet.width, sheet.height, &sheet.pixels)?;
    files::write_atomic(&pairs_file, &pairs)?;
    files.push(pairs_file);
    let pairs = suns.len();
    if args.json {
        return say_json(&serde_json::json!({
            "ok": true, "out": args.out, "files": files, "pairs": pairs, "wall_s": wall_s,
        }));
    }
    say(&format!(
        "{}: {pairs} stereo pairs in {wall_s:.2} s, depth.png (millimetres) and class.png",
        args.out.display()
    ));
    Ok(())
}

/// Pairs one below the other, at half their size.
#[derive(Default)]
struct Sheet {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Sheet {
    fn add(&mut self, frame: &Frame) {
        let (w, h) = (frame.width / 2, frame.height / 2);
        for v in 0..h {
            for image in [&frame.left, &frame.right] {
                self.pixels.extend((0..w).map(|u| {
                    let k = 2 * v * frame.width + 2 * u;
                    let four = [k, k + 1, k + frame.width, k + frame.width + 1];
                    (four.iter().map(|&k| u32::from(image[k])).sum::<u32>() / 4) as u8
                }));
            }
        }
        self.width = 2 * w;
        self.height += h;
    }
}

fn sun(text: &str) -> Result<Sun, CliError> {
    let numbers: Vec<f64> = text
        .split(',')
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    let [azimuth, elevation] = numbers.as_slice() else {
        return Err(CliError::Usage(format!(
            "--sun {text}: expected direction and height in degrees, as 100,40"
        )));
    };
    in_range("--sun", "direction", *azimuth, -360.0, 360.0)?;
    in_range("--sun", "height", *elevation, LEAST_SUN_DEG, 90.0)?;
    Ok(Sun {
        azimuth_rad: azimuth.to_radians(),
        elevation_rad: elevation.to_radians(),
    })
}

/// The sun at an hour of a day, not lower than images are taken with.
fn sun_at(hour: f64, day: Environment) -> Result<Sun, CliError> {
    in_range("--hour", "hour", hour, 0.0, 24.0)?;
    let then = Environment {
        start_hour: hour,
        ..day
    };
    let [azimuth_rad, elevation_rad] = then.sun_rad(0.0);
    if elevation_rad < LEAST_SUN_DEG.to_radians() {
        return Err(CliError::Usage(format!(
            "--hour {hour}: the sun stands at {:.0}° then, expected at least {LEAST_SUN_DEG}°",
            elevation_rad.to_degrees()
        )));
    }
    Ok(Sun {
        azimuth_rad,
        elevation_rad,
    })
}

fn the_site(places: &Places, args: &RenderArgs, rover: &Rover) -> Result<Site, CliError> {
    if args.ground.dtm.is_some() || args.ground.site.is_some() {
        return ground::site(places, &args.ground, rover, None);
    }
    let body = ground::body(places, args.ground.body.as_deref().unwrap_or("mars"))?;
    let recipe = crate::commands::world::recipe(places, "demo")?;
    Ok(terrain(args.seed, &body, &recipe)?)
}

/// The ground around a place: a world's own where --site is the folder of one, otherwise drawn from the seed.
fn the_world(args: &RenderArgs, site: &Site, at: [f64; 2]) -> Result<World, CliError> {
    let far = 2.0 * args.range + 40.0;
    let region_m = WorldParams::region_around(&[at], far);
    let clear_m = vec![[at[0], at[1], 2.0]];
    if let Some(dir) = args
        .ground
        .site
        .as_deref()
        .filter(|d| WorldFolder::is_world(d))
    {
        return Ok(WorldFolder::load(dir)?.world(&View {
            region_m,
            node_m: Some(args.resolution),
            clear_m,
            sun_rad: None,
        })?);
    }
    let params = WorldParams {
        rock_cfa: args.cfa,
        resolution_m: args.resolution,
        rock_min_m: (1.5 * args.resolution).max(0.04),
        clear_m,
        ..WorldParams::demo(args.seed, region_m, at)
    };
    Ok(World::from_site(site, &params)?)
}

fn the_rig(args: &RenderArgs, rover: &Rover) -> Result<StereoRig, CliError> {
    let mut camera = match &args.camera {
        Some(file) => CameraModel::load(file)?,
        None => rover.navcam_pinhole().into(),
    };
    if let Some(width) = args.width {
        in_range("--width", "width", width as f64, 16.0, 8192.0)?;
        let height = (width * camera.height + camera.width / 2) / camera.width;
        camera = camera.resized(width, height);
    }
    Ok(StereoRig::beside(camera, rover.navcam.baseline_m))
}

fn write_truth(out: &Path, frame: &Frame) -> Result<Vec<PathBuf>, CliError> {
    let (w, h) = (frame.width, frame.height);
    let depth: Vec<u16> = frame
        .depth_m
        .iter()
        .map(|d| (d * 1000.0).round().clamp(0.0, 65_535.0) as u16)
        .collect();
    let class: Vec<u8> = frame.class.iter().flat_map(|c| colour(*c)).collect();
    let paths = [out.join("depth.png"), out.join("class.png")];
    files::write_atomic(&paths[0], &pixels::grey16(w, h, &depth)?)?;
    files::write_atomic(&paths[1], &pixels::rgb8(w, h, &class)?)?;
    Ok(paths.to_vec())
}

/// A colour for a class, for people.
fn colour(code: u8) -> [u8; 3] {
    if code & ROCK != 0 {
        return [200, 60, 40];
    }
    match TerrainClass::from_code(code) {
        Some(TerrainClass::Bedrock) => [150, 150, 160],
        Some(TerrainClass::Outcrop) => [110, 110, 130],
        Some(TerrainClass::BoulderField) => [160, 90, 70],
        Some(TerrainClass::SandRipples) => [240, 200, 80],
        Some(TerrainClass::LooseSoil) => [225, 170, 110],
        Some(TerrainClass::CraterOrScarp) => [120, 60, 140],
        Some(TerrainClass::SmoothRegolith) => [190, 140, 100],
        _ => [20, 20, 30],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sun_is_two_numbers() {
        let s = sun("90, 30").ok().unwrap();
        assert!((s.azimuth_rad.to_degrees() - 90.0).abs() < 1e-9);
        for bad in ["90", "a,b", "10,20,30", "10,1", "10,nan"] {
            assert!(sun(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_sun_of_an_hour_stands_where_the_day_has_it() {
        let day = Environment::shipped("mars").unwrap();
        let high = |h: f64| sun_at(h, day).ok().unwrap().elevation_rad;
        assert!(high(12.0) > high(9.0) && (high(9.0) - high(15.0)).abs() < 1e-9);
        let east = sun_at(8.0, day).ok().unwrap().direction();
        assert!(east[0] > 0.5 && sun_at(16.0, day).ok().unwrap().direction()[0] < -0.5);
        for bad in [0.0, 22.0, 25.0, f64::NAN] {
            assert!(sun_at(bad, day).is_err(), "{bad}");
        }
    }

    #[test]
    fn pictures_of_a_generated_world_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let args = RenderArgs {
            ground: GroundArgs {
                dtm: None,
                ortho: None,
                site: None,
                body: None,
            },
            at: None,
            yaw: 10.0,
            sun: vec!["20,15".into()],
            hour: vec![],
            rover: "perseverance".into(),
            camera: None,
            width: Some(64),
            seed: 1,
            cfa: 0.05,
            resolution: 0.1,
            range: 15.0,
            out: dir.path().join("images"),
            json: false,
        };
        render(&args).ok().unwrap();
        let depth = std::fs::File::open(args.out.join("depth.png")).unwrap();
        let info = png::Decoder::new(std::io::BufReader::new(depth))
            .read_info()
            .unwrap()
            .info()
            .clone();
        assert_eq!(
            (info.width, info.height, info.bit_depth),
            (64, 48, png::BitDepth::Sixteen)
        );
        assert!(args.out.join("sun1_right.png").is_file() && args.out.join("pairs.png").is_file());
    }
}
