//! `sojourn world`

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use crate::world_pictures;
use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sojourn_core::{classes::TerrainClass, files, rover::Rover, soil::SoilTable};
use sojourn_twin::{
    folder::{ALL_ROCKS, TRUTH, WorldFolder},
    generate,
    recipe::Recipe,
    rocks::Rock,
    stats,
};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `sojourn world`
#[derive(Debug, Subcommand)]
pub enum WorldCommand {
    /// Makes a Mars-like world: what a planner may read, and the truth apart from it.
    #[command(
        after_help = "Examples:\n  sojourn world generate --seed 7 --out w/\n  \
        sojourn world generate --seed 7 --soil hazard --size 200x150 --cfa 7% --slope 5 --out w/\n\n\
        --soil names a file of config/worlds: mixed, firm, sandy, hazard, demo, a file of your own, or one class of\n\
        ground for all of it (loose_soil, bedrock, sand_ripples, ...). One seed gives one shape of\n\
        the ground whatever the soil, so that two worlds can differ in their soil alone."
    )]
    Generate(GenerateArgs),
    /// Makes a world on a real elevation model: its large shape is kept, what is below its resolution is added.
    #[command(
        after_help = "Examples:\n  sojourn world from-site --dtm dtm.tif --seed 1 --out w/\n  \
        sojourn world from-site --dtm dtm.tif --ortho ortho.tif --soil mixed --cfa 0.05 --out w/"
    )]
    FromSite(FromSiteArgs),
    /// Measures a world: cover and sizes of its rocks against Golombek's formula, slopes, classes.
    #[command(after_help = "Example:\n  sojourn world stats w/ --json")]
    Stats(StatsArgs),
    /// Exports a piece of a world to Gazebo: height map, mesh, rocks, sun, gravity, air, and a rover from its file.
    #[command(
        name = "export-sdf",
        after_help = "Examples:\n  sojourn world export-sdf w/ --rover perseverance --center 160,120 --size 50 --out gz/\n  \
        sojourn world export-sdf --seed 7 --soil mixed --cfa 7% --size 40 --out gz/\n  gz sim -r gz/mars_7.sdf\n\n\
        Without a world's folder one is made from --seed and --soil, just large enough. The rover stands where it can, as\n\
        near to the middle as possible; manifest.json says how to get from the Gazebo world to map metres."
    )]
    ExportSdf(super::export_sdf::ExportSdfArgs),
    /// Checks an exported world without Gazebo: digests, files, meshes, height map, joints, inertias.
    #[command(
        name = "check-sdf",
        after_help = "Example:\n  sojourn world check-sdf gz/"
    )]
    CheckSdf(super::export_sdf::CheckSdfArgs),
    /// Draws a world: ortho.png as planners see it, hillshade.png and classes.png as it is.
    #[command(after_help = "Example:\n  sojourn world draw w/ --out pictures/")]
    Draw(DrawArgs),
}

/// What `generate` and `from-site` share.
#[derive(Debug, Args)]
pub struct MakeArgs {
    /// Everything random comes from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What the ground is made of: a name in config/worlds, a file, or one class for all of it (loose_soil, bedrock, …).
    #[arg(long, value_name = "NAME|FILE|CLASS", default_value = "mixed")]
    pub soil: String,
    /// Golombek's k, 0 to 0.2 or in per cent (7%); the soil's without it.
    #[arg(long, value_name = "K", allow_hyphen_values = true)]
    pub cfa: Option<String>,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Prints a summary as JSON: ok, out, name, seed, size_m, rocks, terrain_digest, …
    #[arg(long)]
    pub json: bool,
}

/// `sojourn world generate`
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// What is common.
    #[command(flatten)]
    pub make: MakeArgs,
    /// Extent in metres: one number or east x north (320x240); the soil's without it.
    #[arg(long, value_name = "M|MxM", allow_hyphen_values = true)]
    pub size: Option<String>,
    /// Tilt of the regional plane, degrees; the soil's without it.
    #[arg(long, value_name = "DEG", allow_hyphen_values = true)]
    pub slope: Option<f64>,
    /// The planet: mars, moon, earth or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "mars")]
    pub body: String,
}

/// `sojourn world from-site`
#[derive(Debug, Args)]
pub struct FromSiteArgs {
    /// What is common.
    #[command(flatten)]
    pub make: MakeArgs,
    /// The ground.
    #[command(flatten)]
    pub ground: crate::args::GroundArgs,
    /// The rover whose footprint slope and roughness are taken over.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
}

/// `sojourn world stats`
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// The world's folder.
    pub dir: PathBuf,
    /// Prints JSON: `cfa_measured`, `cfa_expected`, `ks_distance`, `slope_percentiles_deg`, `class_shares`, …
    #[arg(long)]
    pub json: bool,
}

/// `sojourn world draw`
#[derive(Debug, Args)]
pub struct DrawArgs {
    /// The world's folder.
    pub dir: PathBuf,
    /// Folder for the pictures; without it the world's own, the truth's in truth/.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Runs a command of `sojourn world`.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence.
pub fn world(command: &WorldCommand) -> CliResult {
    match command {
        WorldCommand::Generate(args) => make_new(args),
        WorldCommand::FromSite(args) => make_on_site(args),
        WorldCommand::Stats(args) => tell_stats(args),
        WorldCommand::ExportSdf(args) => super::export_sdf::export(args),
        WorldCommand::CheckSdf(args) => super::export_sdf::check(args),
        WorldCommand::Draw(args) => draw(args),
    }
}

/// A recipe by name or file, or one class of ground all over.
///
/// # Errors
/// One sentence that names the file and the key.
pub fn recipe(places: &Places, name: &str) -> anyhow::Result<Recipe> {
    if let Some(class) = TerrainClass::from_name(name) {
        let mixed = Recipe::load(&ground::named_file(places, "worlds", "mixed")?)?;
        return mixed
            .all_of(class)
            .with_context(|| format!("a world cannot be made of {name} alone"));
    }
    Ok(Recipe::load(&ground::named_file(places, "worlds", name)?)?)
}

/// A spinner for work that takes seconds; nothing where nobody watches.
pub(crate) fn spinner(words: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {spinner} {msg}") {
        bar.set_style(style);
    }
    bar.set_message(words.to_string());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Shares of the time that making a world takes, measured on a square kilometre: ground and its image, the list of rocks, the
/// layers and the list as files, the pictures.
const SHARES: [f64; 4] = [0.70, 0.04, 0.13, 0.13];

/// A bar that knows how far the work is; nothing where nobody watches.
struct Progress {
    bar: ProgressBar,
    part: std::cell::Cell<usize>,
}

impl Progress {
    const STEPS: f64 = 1000.0;

    fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(Self::STEPS as u64)
        } else {
            ProgressBar::hidden()
        };
        let look = "{elapsed:>4} {bar:30} {percent:>3} %, {eta} left: {msg}";
        if let Ok(style) = ProgressStyle::with_template(look) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        let part = std::cell::Cell::new(0);
        Self { bar, part }
    }

    /// Begins a part of the work.
    fn begin(&self, part: usize, words: &str) {
        self.part.set(part);
        self.bar.set_message(words.to_string());
        self.tell(0.0);
    }

    /// Share of the part that is done.
    fn tell(&self, share: f64) {
        let part = self.part.get();
        let before: f64 = SHARES[..part].iter().sum();
        let done = before + SHARES[part] * share.clamp(0.0, 1.0);
        self.bar.set_position((Self::STEPS * done) as u64);
    }
}

fn asked(places: &Places, args: &MakeArgs) -> anyhow::Result<Recipe> {
    let mut recipe = recipe(places, &args.soil)?;
    if let Some(text) = &args.cfa {
        recipe.rocks.cfa = share(text)?;
    }
    Ok(recipe)
}

/// "0.07" or "7%".
pub(crate) fn share(text: &str) -> anyhow::Result<f64> {
    let (number, unit) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim(), 100.0),
        None => (text.trim(), 1.0),
    };
    let k = number.parse::<f64>().map(|v| v / unit).unwrap_or(f64::NAN);
    anyhow::ensure!(
        (0.0..=0.2).contains(&k),
        "--cfa is \"{text}\", expected Golombek's k from 0 to 0.2, or 0% to 20%"
    );
    Ok(k)
}

/// "320" or "320x240".
fn size(text: &str) -> anyhow::Result<[f64; 2]> {
    let (east, north) = text.split_once('x').unwrap_or((text, text));
    let metres = |t: &str| {
        t.trim()
            .parse::<f64>()
            .ok()
            .filter(|v| v.is_finite() && *v > 0.0)
    };
    match (metres(east), metres(north)) {
        (Some(east), Some(north)) => Ok([east, north]),
        _ => anyhow::bail!(
            "--size is \"{text}\", expected metres: one number, or east x north as in 320x240"
        ),
    }
}

fn make_new(args: &GenerateArgs) -> CliResult {
    let places = Places::find();
    let mut recipe = asked(&places, &args.make)?;
    if let Some(text) = &args.size {
        recipe.size_m = size(text)?;
    }
    if let Some(slope_deg) = args.slope {
        recipe.slope_deg = slope_deg;
    }
    let body = ground::body(&places, &args.body)?;
    let (rover, _) = ground::rover(&places, "perseverance")?;
    writable(&args.make.out)?;
    let bar = Progress::new();
    bar.begin(0, "relief, classes, image from orbit");
    let folder = generate::generate_telling(args.make.seed, &body, &recipe, &|s| bar.tell(s))?;
    finish(folder, &rover, &args.make, &bar)
}

fn make_on_site(args: &FromSiteArgs) -> CliResult {
    let places = Places::find();
    let recipe = asked(&places, &args.make)?;
    let (rover, _) = ground::rover(&places, &args.rover)?;
    writable(&args.make.out)?;
    let bar = Progress::new();
    bar.begin(0, "elevation, classes, image from orbit");
    let site = ground::site(&places, &args.ground, &rover, None)?;
    let tell = |share: f64| bar.tell(share);
    let folder = generate::from_site_telling(args.make.seed, site, &recipe, &tell)?;
    finish(folder, &rover, &args.make, &bar)
}

fn writable(out: &Path) -> anyhow::Result<()> {
    ground::writable(&out.join("manifest.json")).or_else(|_| ground::writable(out))
}

/// Writes folder, GeoTIFF copies and pictures, and says so.
fn finish(mut folder: WorldFolder, rover: &Rover, args: &MakeArgs, bar: &Progress) -> CliResult {
    let soils = Places::find().shared("config/soils.yaml")?;
    folder.draw_soils(&soils.display().to_string(), &SoilTable::load(&soils)?)?;
    ground::add_slope(&mut folder.site, rover)?;
    let out = files::NewFolder::begin(&args.out)?;
    bar.begin(1, "listing the rocks");
    let all_rocks = folder.all_rocks(&|share| bar.tell(share))?;
    bar.begin(2, "writing layers and rocks");
    folder.save_with(&args.out, &all_rocks)?;
    sojourn_site::write_geotiffs(&folder.site, &args.out)?;
    let truth = args.out.join(TRUTH);
    sojourn_site::write_geotiffs(&folder.truth, &truth)?;
    let style = world_pictures::classes_style();
    files::write_atomic(&truth.join("classes.qml"), style.as_bytes())?;
    write_rocks(&folder, &all_rocks, &truth, &|share| bar.tell(share))?;
    bar.begin(3, "drawing");
    world_pictures::draw(&folder, &args.out.join(TRUTH), &args.out)?;
    out.keep();
    bar.bar.finish_and_clear();
    let site = &folder.site;
    let size_m = site.elevation()?.size_m();
    let rocks = folder.document.rocks.as_ref().map_or(0, |r| r.rocks);
    if args.json {
        return say_json(&serde_json::json!({
            "ok": true,
            "out": args.out,
            "name": site.manifest.name,
            "body": site.manifest.body.name,
            "seed": args.seed,
            "soil": args.soil,
            "size_m": size_m,
            "resolution_m": site.elevation()?.resolution_m(),
            "layers": site.layers.keys().collect::<Vec<_>>(),
            "terrain_digest": site.terrain_digest()?,
            "cfa": folder.document.recipe.rocks.cfa,
            "rocks": rocks,
            "fine_relief_rms_m": folder.document.fine_relief_rms_m,
        }));
    }
    say(&format!(
        "{}: {} on {}, {:.0} m x {:.0} m, {rocks} rocks; picture ortho.png; truth in {TRUTH}/ with hillshade.png and classes.png",
        args.out.display(),
        site.manifest.name,
        site.manifest.body.name,
        size_m[0],
        size_m[1]
    ));
    Ok(())
}

/// All rocks as points, which GIS programs open.
fn write_rocks(
    folder: &WorldFolder,
    rocks: &[Rock],
    truth: &Path,
    tell: &dyn Fn(f64),
) -> anyhow::Result<()> {
    let layer = sojourn_site::PointLayer {
        name: "rocks",
        columns: &["diameter_m", "height_m"],
        date: &folder.document.recipe.date,
    };
    let points = rocks
        .iter()
        .map(|r| ([r.x_m, r.y_m], [r.diameter_m, r.height_m]));
    let told = |n: usize| tell(n as f64 / rocks.len() as f64);
    let file = truth.join(ALL_ROCKS);
    Ok(sojourn_site::write_points(
        &file,
        &folder.site.manifest,
        &layer,
        points,
        &told,
    )?)
}

fn tell_stats(args: &StatsArgs) -> CliResult {
    let bar = spinner("measuring");
    let measured = stats::measure(&WorldFolder::load(&args.dir)?)?;
    bar.finish_and_clear();
    if args.json {
        return say_json(&measured);
    }
    let m = &measured;
    say(&format!(
        "{}: {:.0} m x {:.0} m, {} rocks of {:.2} m and more",
        args.dir.display(),
        m.size_m[0],
        m.size_m[1],
        m.rocks,
        m.rock_min_m
    ));
    say(&format!(
        "  cover of rocks  {:.4}, expected {:.4} (k {:.3}); KS distance of sizes {:.4}",
        m.cfa_measured, m.cfa_expected, m.cfa_k, m.ks_distance
    ));
    let p = |name: &str| m.slope_percentiles_deg.get(name).copied().unwrap_or(0.0);
    say(&format!(
        "  slope over {:.0} m  regional {:.1}°, relief {:.1}° RMS; median {:.1}°, 95 % {:.1}°, 99 % {:.1}°, greatest {:.1}°",
        m.slope_baseline_m,
        m.regional_slope_deg,
        m.relief_rms_deg,
        p("p50"),
        p("p95"),
        p("p99"),
        p("p100")
    ));
    let shares: Vec<String> = m
        .class_shares
        .iter()
        .map(|(c, s)| format!("{} {:.1} %", c.name(), 100.0 * s))
        .collect();
    say(&format!("  classes  {}", shares.join(", ")));
    Ok(())
}

fn draw(args: &DrawArgs) -> CliResult {
    let folder = WorldFolder::load(&args.dir)?;
    let bar = spinner("drawing");
    let files = match &args.out {
        Some(out) => {
            std::fs::create_dir_all(out)?;
            world_pictures::draw(&folder, out, out)?
        }
        None => world_pictures::draw(&folder, &args.dir.join(TRUTH), &args.dir)?,
    };
    bar.finish_and_clear();
    for file in files {
        say(&file.display().to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_sizes_are_read_or_refused() {
        assert!((share("7%").unwrap() - 0.07).abs() < 1e-12);
        assert!((share("0.2").unwrap() - 0.2).abs() < 1e-12);
        for bad in ["7", "-1%", "many", "nan", "21%"] {
            assert!(
                share(bad).unwrap_err().to_string().contains("--cfa"),
                "{bad}"
            );
        }
        assert_eq!(size("320x240").unwrap(), [320.0, 240.0]);
        assert_eq!(size("96").unwrap(), [96.0, 96.0]);
        for bad in ["0", "-3", "axb", "1x", "inf"] {
            assert!(
                size(bad).unwrap_err().to_string().contains("--size"),
                "{bad}"
            );
        }
    }
}
