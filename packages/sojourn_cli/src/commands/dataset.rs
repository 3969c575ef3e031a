//! `sojourn dataset export`

use super::world::spinner;
use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::dataset_pictures::overview;
use crate::ground;
use crate::launch::places::Places;
use crate::pixels;
use crate::world_pictures::colour;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sojourn_core::{
    classes::{CLASSES, TerrainClass},
    files,
    plan::sha256_hex,
    raster::{HeightField, Raster},
    rover::Rover,
    site::ORTHO,
};
use sojourn_twin::{
    dataset::{self, Cameras, Labelled, NO_GROUND, Station},
    folder::{View, WorldFolder},
    noise,
    render::Sun,
    world::World,
};
use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Version of the data set's manifest.
pub const VERSION: u32 = 1;
const CHANNEL: u64 = 0x62;
/// Greatest depth that a 16-bit picture in millimetres holds, metres.
const DEPTH_MAX_M: f64 = 65.0;
/// Heights of the sun that are drawn from, degrees.
const SUN_DEG: [f64; 2] = [15.0, 65.0];
/// Side of the squares of ground that go to one part of the data set as a whole, metres.
const SPLIT_M: f64 = 40.0;
/// Shares of the parts, cumulated.
const SPLITS: [(f64, &str); 3] = [(0.8, "train"), (0.9, "validation"), (1.0, "test")];

/// `sojourn dataset`
#[derive(Debug, Subcommand)]
pub enum DatasetCommand {
    /// Renders labelled images of worlds: stereo pairs with depth, classes and rocks; orthoimages with classes, rocks and
    /// heights; a manifest.
    #[command(
        after_help = "Examples:\n  sojourn dataset export w/ --images 200 --orthos 50 --seed 1 --out ds/\n  \
        sojourn dataset export w1/ w2/ w3/ --images 1000 --suns 8 --rover leo --range 10 --out ds/\n\n\
        Pictures are PNG: *_left and *_right brightness; *_depth 16 bits, millimetres along the optical axis, 0 for none;\n\
        *_classes codes of the manifest's classes, 255 for no ground; *_rocks 16 bits, the number of the rock, 0 for none;\n\
        *_rocks.csv where those rocks lie.\n\
        Ground is split by squares of 40 m, so that what is tested was not trained on."
    )]
    Export(ExportArgs),
}

/// `sojourn dataset export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Folders of worlds.
    #[arg(required = true, value_name = "DIR")]
    pub worlds: Vec<PathBuf>,
    /// Stereo pairs, over all worlds.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub images: usize,
    /// Pieces of the image from orbit, over all worlds.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub orthos: usize,
    /// Pixels along a side of those pieces.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub ortho_pixels: usize,
    /// Directions of the sun that stereo pairs are spread over; 1 for the world's own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub suns: usize,
    /// Greatest depth, metres.
    #[arg(long, value_name = "M", default_value_t = 30.0)]
    pub range: f64,
    /// The rover whose cameras look: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// Chooses places and directions.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder to write; it must be empty or not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Prints a summary as JSON: ok, out, images, orthos, files, bytes.
    #[arg(long)]
    pub json: bool,
}

/// Runs a command of `sojourn dataset`.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence.
pub fn dataset(command: &DatasetCommand) -> CliResult {
    match command {
        DatasetCommand::Export(args) => export(args),
    }
}

/// Pairs that the overview shows.
const SHOWN: usize = 4;

/// A data set that is being written.
struct Export<'a> {
    args: &'a ExportArgs,
    rover: &'a Rover,
    bar: ProgressBar,
    images: Vec<Value>,
    orthos: Vec<Value>,
    /// The first pairs.
    shown: Vec<Labelled>,
    files: usize,
    bytes: usize,
}

fn export(args: &ExportArgs) -> CliResult {
    check(args)?;
    let (rover, _) = ground::rover(&Places::find(), &args.rover)?;
    let loading = spinner("reading worlds");
    let folders = args
        .worlds
        .iter()
        .map(|dir| Ok(WorldFolder::load(dir)?))
        .collect::<anyhow::Result<Vec<_>>>()?;
    loading.finish_and_clear();
    let out = files::NewFolder::begin(&args.out)?;
    for folder in ["images", "orthos"] {
        std::fs::create_dir_all(args.out.join(folder))
            .map_err(|e| anyhow::anyhow!("{}: cannot be made: {e}", args.out.display()))?;
    }
    let mut export = Export {
        args,
        rover: &rover,
        bar: bar(args.images + args.orthos),
        images: Vec::new(),
        orthos: Vec::new(),
        shown: Vec::new(),
        files: 0,
        bytes: 0,
    };
    let n = folders.len();
    for (w, folder) in folders.iter().enumerate() {
        let share = |total: usize| total / n + usize::from(w < total % n);
        export.pairs(w, folder, share(args.images))?;
        export.pieces(w, folder, share(args.orthos))?;
    }
    export.bar.finish_and_clear();
    if !export.shown.is_empty() {
        let picture = overview(&export.shown)?.png()?;
        export.write("overview.png", &picture)?;
    }
    let text = serde_json::to_string_pretty(&export.manifest(&folders))? + "\n";
    export.write("manifest.json", text.as_bytes())?;
    out.keep();
    let (pairs, pieces) = (export.images.len(), export.orthos.len());
    if args.json {
        return say_json(&json!({
            "ok": true, "out": args.out, "images": pairs, "orthos": pieces,
            "files": export.files, "bytes": export.bytes,
        }));
    }
    say(&format!(
        "{}: {pairs} stereo pairs, {pieces} orthoimages, {:.1} MB",
        args.out.display(),
        export.bytes as f64 / 1e6
    ));
    Ok(())
}

fn check(args: &ExportArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        (1.0..=DEPTH_MAX_M).contains(&args.range),
        "--range is {}, expected 1 to {DEPTH_MAX_M} metres",
        args.range
    );
    anyhow::ensure!(
        (1..=64).contains(&args.suns),
        "--suns is {}, expected 1 to 64",
        args.suns
    );
    anyhow::ensure!(
        (16..=4096).contains(&args.ortho_pixels),
        "--ortho-pixels is {}, expected 16 to 4096",
        args.ortho_pixels
    );
    anyhow::ensure!(
        args.images + args.orthos > 0 && args.images <= 1_000_000 && args.orthos <= 1_000_000,
        "--images {} and --orthos {} make no data set, expected 1 to 1000000 of one of them",
        args.images,
        args.orthos
    );
    let used = std::fs::read_dir(&args.out).is_ok_and(|mut d| d.next().is_some());
    anyhow::ensure!(
        !used,
        "{}: is not empty, expected a folder that is empty or not there",
        args.out.display()
    );
    Ok(())
}

fn bar(count: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{elapsed:>4} {bar:40} {pos}/{len} {msg} eta {eta}")
    {
        bar.set_style(style);
    }
    bar
}

/// The part of the data set that a place belongs to.
fn split(seed: u64, world: usize, x_m: f64, y_m: f64) -> &'static str {
    let square = |v: f64| (v / SPLIT_M).floor() as i64;
    let key = noise::hash(seed, CHANNEL, world as i64, 0);
    let u = noise::unit(noise::hash(key, CHANNEL, square(x_m), square(y_m)));
    SPLITS.iter().find(|s| u < s.0).map_or("test", |s| s.1)
}

impl Export<'_> {
    fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<Value> {
        files::write_atomic(&self.args.out.join(name), bytes)?;
        self.files += 1;
        self.bytes += bytes.len();
        Ok(json!({ "file": name, "sha256": sha256_hex(bytes) }))
    }

    /// Stereo pairs of one world.
    fn pairs(&mut self, w: usize, folder: &WorldFolder, count: usize) -> anyhow::Result<()> {
        let args = self.args;
        let seed = noise::hash(args.seed, CHANNEL, w as i64, 1);
        let world = folder.world(&View::everything())?;
        let mut cameras = Cameras::new(self.rover, args.range, seed);
        let margin_m = 2.0 * self.rover.footprint_radius_m();
        for k in 0..count {
            let sun = sun(args, &world, seed, k);
            let station = dataset::station(&world, self.rover, seed, k as i64, margin_m)?;
            let seen = cameras.view(&world, &station, sun, k as u64);
            let mut entry = self.write_pair(&seen)?;
            describe(&mut entry, args, w, sun, &station);
            self.images.push(entry);
            if self.shown.len() < SHOWN {
                self.shown.push(seen);
            }
            self.bar.inc(1);
        }
        Ok(())
    }

    fn write_pair(&mut self, seen: &Labelled) -> anyhow::Result<Value> {
        let id = format!("images/{:06}", self.images.len());
        let (width, height) = (seen.frame.width, seen.frame.height);
        let millimetres = |d: &f32| {
            let mm = (f64::from(*d) * 1000.0).round();
            if mm.is_nan() {
                0
            } else {
                mm.clamp(1.0, 65_535.0) as u16
            }
        };
        let depth: Vec<u16> = seen.frame.depth_m.iter().map(millimetres).collect();
        let mut entry = json!({ "class_shares": shares(&seen.classes) });
        let mut table = String::from("number,x_m,y_m,diameter_m,height_m\n");
        for (number, r) in (1usize..).zip(&seen.rocks_in_view) {
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "{number},{:.3},{:.3},{:.3},{:.3}",
                r.x_m, r.y_m, r.diameter_m, r.height_m
            );
        }
        entry["rocks_in_view"] = self.write(&format!("{id}_rocks.csv"), table.as_bytes())?;
        for (what, picture) in [
            ("left", pixels::grey8(width, height, &seen.frame.left)?),
            ("right", pixels::grey8(width, height, &seen.frame.right)?),
            ("depth", pixels::grey16(width, height, &depth)?),
            ("classes", pixels::grey8(width, height, &seen.classes)?),
            ("rocks", pixels::grey16(width, height, &seen.rocks)?),
        ] {
            entry[what] = self.write(&format!("{id}_{what}.png"), &picture)?;
        }
        Ok(entry)
    }

    /// Pieces of a world's image from orbit, with what lies there.
    fn pieces(&mut self, w: usize, folder: &WorldFolder, count: usize) -> anyhow::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let args = self.args;
        let ortho = folder.site.layer(ORTHO)?;
        let n = args.ortho_pixels;
        anyhow::ensure!(
            n <= ortho.cols() && n <= ortho.rows(),
            "--ortho-pixels is {n}, expected at most the {} x {} of the image of {}",
            ortho.cols(),
            ortho.rows(),
            args.worlds[w].display()
        );
        let world = folder.world(&View::everything())?;
        let seed = noise::hash(args.seed, CHANNEL, w as i64, 2);
        for k in 0..count {
            let unit = |i: i64| noise::unit(noise::hash(seed, CHANNEL, k as i64, i));
            let first = [
                (unit(0) * (ortho.cols() - n + 1) as f64) as usize,
                (unit(1) * (ortho.rows() - n + 1) as f64) as usize,
            ];
            let mut entry = self.write_piece(ortho, &world, first)?;
            let middle = ortho.centre_m(first[0] + n / 2, first[1] + n / 2);
            entry["world"] = w.into();
            entry["split"] = split(args.seed, w, middle[0], middle[1]).into();
            self.orthos.push(entry);
            self.bar.inc(1);
        }
        Ok(())
    }

    fn write_piece(
        &mut self,
        ortho: &Raster,
        world: &World,
        [c0, r0]: [usize; 2],
    ) -> anyhow::Result<Value> {
        let (id, n) = (
            format!("orthos/{:05}", self.orthos.len()),
            self.args.ortho_pixels,
        );
        // Row 0 of a picture is the northern one.
        let cells = || (0..n * n).map(move |k| (c0 + k % n, r0 + n - 1 - k / n));
        let image: Vec<u16> = cells()
            .map(|(c, r)| (f64::from(ortho.get(c, r)).clamp(0.0, 1.0) * 65_535.0).round() as u16)
            .collect();
        let (mut classes, mut rocks, mut heights) = (Vec::new(), Vec::new(), Vec::new());
        for (c, r) in cells() {
            let [x, y] = ortho.centre_m(c, r);
            classes.push(world.class_at(x, y).map_or(NO_GROUND, TerrainClass::code));
            rocks.push(255 * u8::from(world.on_rock(x, y) == Some(true)));
            heights.push(world.height_m(x, y).unwrap_or(f64::NAN));
        }
        let (steps, of_1_m, per_step_m) = height_steps(&heights);
        let (origin, res) = (ortho.origin_m(), ortho.resolution_m());
        let mut entry = json!({
            "height_m": { "of_1": of_1_m, "per_step": per_step_m },
            "resolution_m": res,
            "south_west_m": [origin[0] + c0 as f64 * res, origin[1] + r0 as f64 * res],
            "class_shares": shares(&classes),
        });
        for (what, picture) in [
            ("image", pixels::grey16(n, n, &image)?),
            ("classes", pixels::grey8(n, n, &classes)?),
            ("rocks", pixels::grey8(n, n, &rocks)?),
            ("height", pixels::grey16(n, n, &steps)?),
        ] {
            entry[what] = self.write(&format!("{id}_{what}.png"), &picture)?;
        }
        Ok(entry)
    }
    fn manifest(&self, folders: &[WorldFolder]) -> Value {
        let (args, rover) = (self.args, self.rover);
        let camera = rover.navcam_pinhole();
        let mut worlds = Vec::new();
        for (dir, folder) in args.worlds.iter().zip(folders) {
            let d = &folder.document;
            worlds.push(json!({
                "folder": dir, "name": folder.site.manifest.name, "seed": d.seed,
                "body": folder.site.manifest.body.name, "terrain_digest": d.terrain_digest,
                "recipe": d.recipe,
            }));
        }
        let classes: Vec<Value> = CLASSES
            .iter()
            .map(|t| json!({ "code": t.class.code(), "name": t.name, "colour": colour(t.class) }))
            .collect();
        json!({
            "schema_version": VERSION,
            "seed": args.seed,
            "rover": rover.name,
            "camera": {
                "width": camera.width, "height": camera.height,
                "fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy,
                "baseline_m": rover.navcam.baseline_m,
                "axes": "x right, y down, z forward; the right camera stands at +x",
            },
            "depth": { "unit_m": 0.001, "none": 0, "range_m": args.range },
            "classes": classes,
            "no_ground": NO_GROUND,
            "split_square_m": SPLIT_M,
            "worlds": worlds,
            "images": self.images,
            "orthos": self.orthos,
        })
    }
}

/// The sun over pair number `k` of a world.
fn sun(args: &ExportArgs, world: &World, seed: u64, k: usize) -> Sun {
    let [azimuth_rad, elevation_rad] = world.sun_rad();
    if args.suns == 1 {
        return Sun {
            azimuth_rad,
            elevation_rad,
        };
    }
    let unit = |i: i64| noise::unit(noise::hash(seed, CHANNEL, (k % args.suns) as i64, i));
    Sun {
        azimuth_rad: TAU * unit(2),
        elevation_rad: (SUN_DEG[0] + (SUN_DEG[1] - SUN_DEG[0]) * unit(3)).to_radians(),
    }
}

fn describe(entry: &mut Value, args: &ExportArgs, w: usize, sun: Sun, station: &Station) {
    let camera = station.map_from_camera.iso;
    let (q, t) = (camera.rotation.coords, camera.translation);
    entry["world"] = w.into();
    entry["split"] = split(args.seed, w, station.pose.x_m, station.pose.y_m).into();
    entry["base_link_in_map"] = json!({
        "x_m": station.pose.x_m, "y_m": station.pose.y_m, "z_m": station.z_m,
        "roll_rad": station.roll_rad, "pitch_rad": station.pitch_rad, "yaw_rad": station.pose.yaw_rad,
    });
    entry["pan_rad"] = station.pan_rad.into();
    entry["map_from_left_camera"] = json!({
        "translation_m": [t.x, t.y, t.z],
        "quaternion_xyzw": [q.x, q.y, q.z, q.w],
    });
    entry["sun"] = json!({
        "azimuth_deg_ccw_from_east": sun.azimuth_rad.to_degrees(),
        "elevation_deg": sun.elevation_rad.to_degrees(),
    });
}

fn shares(codes: &[u8]) -> Value {
    let mut counts = [0usize; 256];
    for c in codes {
        counts[usize::from(*c)] += 1;
    }
    let share = |code: u8| counts[usize::from(code)] as f64 / codes.len() as f64;
    let mut out = serde_json::Map::new();
    for t in &CLASSES {
        let share = share(t.class.code());
        if share > 0.0 {
            out.insert(t.name.into(), share.into());
        }
    }
    if counts[usize::from(NO_GROUND)] > 0 {
        out.insert("no_ground".into(), share(NO_GROUND).into());
    }
    out.into()
}

/// Heights as 16-bit steps from 1, the height of 1 and that of a step; 0 is kept for no ground.
fn height_steps(heights_m: &[f64]) -> (Vec<u16>, f64, f64) {
    let least_m = heights_m.iter().copied().fold(f64::INFINITY, f64::min);
    let most_m = heights_m.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if least_m > most_m {
        return (vec![0; heights_m.len()], 0.0, 1e-3);
    }
    let step_m = ((most_m - least_m) / 65_534.0).max(1e-3);
    let step = |z: &f64| {
        if z.is_nan() {
            0
        } else {
            (((z - least_m) / step_m).round() as u16).saturating_add(1)
        }
    };
    (heights_m.iter().map(step).collect(), least_m, step_m)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ground_is_split_by_squares() {
        let mut counts = [0usize; 3];
        for i in 0..2000 {
            let (x, y) = (40.0 * f64::from(i % 50), 40.0 * f64::from(i / 50));
            let part = split(7, 0, x + 1.0, y + 1.0);
            assert_eq!(part, split(7, 0, x + 39.0, y + 20.0));
            counts[SPLITS.iter().position(|s| s.1 == part).unwrap()] += 1;
        }
        assert!(
            counts[0] > 1500 && counts[1] > 120 && counts[2] > 120,
            "{counts:?}"
        );
    }
}
