//! `sojourn train orbital` and `sojourn eval orbital`: the classifier of images from orbit, from worlds of the twin.

use super::{say, say_json};
use crate::args::GroundArgs;
use crate::cli_error::{CliError, CliResult};
use crate::launch::places::Places;
use crate::{ground, orbital_labels, pixels};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sojourn_core::body::Body;
use sojourn_core::classes::{CLASSES as TERRAIN, TerrainClass};
use sojourn_core::files::write_atomic;
use sojourn_core::raster::Raster;
use sojourn_core::site::{ORTHO, Site};
use sojourn_perception::forest::Growth;
use sojourn_perception::orbital::{FEATURES, Ground, Labelled, Orbital, features};
use sojourn_twin::generate::{CLASSES, generate};
use sojourn_twin::noise;
use std::path::{Path, PathBuf};

/// Worlds that are learnt from, one after the other.
const WORLDS: [&str; 5] = ["mixed", "sandy", "hazard", "firm", "demo"];
/// The first seeds of training and measuring: no world is in both.
const TRAIN_SEED: u64 = 900_001;
const EVAL_SEED: u64 = 800_001;
/// Side of a world, metres.
const SIDE_M: f64 = 256.0;
/// Every so many cells along each side are learnt from: neighbours are alike.
const EVERY: usize = 3;
/// Every so many worlds are seen at half the resolution.
const COARSE_EVERY: u64 = 3;
const CHANNEL: u64 = 0x0b_17;
/// Colours of the classes in pictures, by code.
const COLOURS: [[u8; 3]; 9] = [
    [150, 110, 70],
    [200, 150, 60],
    [200, 50, 50],
    [240, 200, 60],
    [240, 140, 40],
    [160, 40, 160],
    [70, 140, 90],
    [20, 20, 60],
    [90, 90, 90],
];

/// `sojourn train orbital`
#[derive(Debug, Args)]
pub struct TrainOrbitalArgs {
    /// Worlds to learn from; a fifth of them is held out for calibration.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(5..=10_000))]
    pub worlds: u64,
    /// Where the model goes (JSON).
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Share of harmless held-out cells that may be called hazardous.
    #[arg(long, value_name = "SHARE", default_value_t = 0.08)]
    pub false_alarm: f64,
    /// Of the forest.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Prints JSON: {model, held_out: {accuracy, missed_hazard, false_alarm, ece, cells}}.
    #[arg(long)]
    pub json: bool,
}

/// `sojourn eval orbital`
#[derive(Debug, Args)]
pub struct OrbitalArgs {
    /// Worlds that nothing was learnt from.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: u64,
    /// Another model than the one that comes with Sojourn.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Looks at this ground instead: there is no truth, so --picture is needed.
    #[command(flatten)]
    pub ground: GroundArgs,
    /// The image with the classes over it (PNG), one pixel a metre.
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Prints JSON: {accuracy, missed_hazard, false_alarm, ece, cells, seeds}, or {shares, strange} for --dtm and --site.
    #[arg(long)]
    pub json: bool,
}

/// A world's site and classes.
struct Seen {
    site: Site,
    truth: Raster,
}

fn world(places: &Places, body: &Body, first: u64, k: u64) -> anyhow::Result<Seen> {
    let seed = first + k;
    let unit = |n: i64| noise::unit(noise::hash(seed, CHANNEL, n, 0));
    let mut recipe = super::world::recipe(places, WORLDS[k as usize % WORLDS.len()])?;
    recipe.size_m = [SIDE_M, SIDE_M];
    recipe.image.sun_azimuth_deg = 360.0 * unit(0);
    recipe.image.sun_elevation_deg = 25.0 + 35.0 * unit(1);
    let folder = generate(seed, body, &recipe)?;
    let truth = folder.truth.layer(CLASSES)?.clone();
    let mut site = folder.site;
    if k % COARSE_EVERY == 1 {
        let coarse = halved(site.layer(ORTHO)?)?;
        site.put(
            ORTHO,
            coarse,
            "brightness",
            "every second pixel of the world's image",
        );
    }
    Ok(Seen { site, truth })
}

/// Mean of each two by two pixels.
fn halved(image: &Raster) -> anyhow::Result<Raster> {
    let blank = Raster::filled(
        image.cols() / 2,
        image.rows() / 2,
        2.0 * image.resolution_m(),
        image.origin_m(),
        0.0,
    )?;
    Ok(blank.like(|c, r| {
        let at = |dc: usize, dr: usize| image.get(2 * c + dc, 2 * r + dr);
        0.25 * (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1))
    }))
}

fn cells(seen: &Seen, every: usize, into: &mut Labelled) -> anyhow::Result<()> {
    let f = features(seen.site.layer(ORTHO)?, seen.site.elevation()?)?;
    for r in (0..f.rows).step_by(every) {
        for c in (0..f.cols).step_by(every) {
            let i = r * f.cols + c;
            let at = |k: usize, n: usize| {
                f.origin_m[k] + (n as f64 + 0.5) * sojourn_perception::orbital::CELL_M
            };
            let class = seen
                .truth
                .nearest(at(0, c), at(1, r))
                .and_then(|v| TerrainClass::from_code(v.round() as u8));
            if let (true, Some(class)) = (f.known[i], class) {
                into.values
                    .extend_from_slice(&f.values[i * FEATURES..(i + 1) * FEATURES]);
                into.classes.push(class);
            }
        }
    }
    Ok(())
}

fn bar(worlds: u64) -> ProgressBar {
    ProgressBar::new(worlds).with_style(
        ProgressStyle::with_template("orbital {bar:30} {pos}/{len} worlds, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

/// Trains.
///
/// # Errors
/// One sentence.
pub fn train(args: &TrainOrbitalArgs) -> CliResult {
    if !(0.001..=0.5).contains(&args.false_alarm) {
        return Err(CliError::Usage(format!(
            "--false-alarm {}: expected a share, 0.001 to 0.5",
            args.false_alarm
        )));
    }
    ground::writable(&args.out)?;
    let places = Places::find();
    let body = ground::body(&places, "mars")?;
    let (mut learnt, mut held_out) = (Labelled::default(), Labelled::default());
    let bar = bar(args.worlds);
    let held_from = args.worlds - args.worlds / 5;
    for k in 0..args.worlds {
        let seen = world(&places, &body, TRAIN_SEED, k)?;
        let into = if k < held_from {
            &mut learnt
        } else {
            &mut held_out
        };
        cells(&seen, EVERY, into)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let growth = Growth {
        classes: 0,
        trees: 16,
        depth: 11,
        least: 24,
        seed: args.seed,
    };
    let card = format!(
        "random forest of {} trees on {} cells of {held_from} generated worlds ({}), seeds {TRAIN_SEED} and on",
        growth.trees,
        learnt.classes.len(),
        WORLDS.join(", ")
    );
    let model = Orbital::train(&learnt, &held_out, growth, args.false_alarm, card)
        .map_err(CliError::Failed)?;
    model.save(&args.out)?;
    let held = model.score(&held_out);
    if args.json {
        return say_json(&json!({"model": args.out, "held_out": held}));
    }
    say(&format!(
        "wrote {}; on {} held-out cells: {:.1} % right, {:.1} % of hazardous cells missed, {:.1} % of the others called hazardous, \
         calibration error {:.1} %",
        args.out.display(),
        held.cells,
        100.0 * held.accuracy,
        100.0 * held.missed_hazard,
        100.0 * held.false_alarm,
        100.0 * held.ece
    ));
    Ok(())
}

/// Measures, or draws what it sees of real ground.
///
/// # Errors
/// One sentence.
pub fn eval(args: &OrbitalArgs) -> CliResult {
    let model = match &args.model {
        Some(file) => Orbital::load(file)?,
        None => Orbital::shipped()?,
    };
    if let Some(file) = &args.picture {
        ground::writable(file)?;
    }
    let places = Places::find();
    if args.ground.dtm.is_some() || args.ground.site.is_some() {
        return draw_ground(args, &model, &places);
    }
    let body = ground::body(&places, "mars")?;
    let mut all = Labelled::default();
    let bar = bar(args.seeds);
    for k in 0..args.seeds {
        let seen = world(&places, &body, EVAL_SEED, k)?;
        cells(&seen, 1, &mut all)?;
        if let (0, Some(file)) = (k, &args.picture) {
            let told = orbital_labels::look(&model, &seen.site)?;
            picture(&seen.site, &told, file)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let s = model.score(&all);
    if args.json {
        let mut out = serde_json::to_value(s)?;
        out["seeds"] = json!(args.seeds);
        return say_json(&out);
    }
    say(&format!(
        "{} cells of {} worlds: {:.1} % right, {:.1} % of hazardous cells missed, {:.1} % of the others called hazardous, \
         calibration error {:.1} %",
        s.cells,
        args.seeds,
        100.0 * s.accuracy,
        100.0 * s.missed_hazard,
        100.0 * s.false_alarm,
        100.0 * s.ece
    ));
    Ok(())
}

fn draw_ground(args: &OrbitalArgs, model: &Orbital, places: &Places) -> CliResult {
    let Some(file) = &args.picture else {
        return Err(CliError::Usage(
            "--picture FILE is needed: of this ground no truth is known".into(),
        ));
    };
    let (rover, _) = ground::rover(places, "perseverance")?;
    let site = ground::site(places, &args.ground, &rover, None)?;
    let told = orbital_labels::look(model, &site)?;
    picture(&site, &told, file)?;
    let n = told.strange.len().max(1) as f64;
    let shares: serde_json::Map<String, serde_json::Value> = TERRAIN
        .iter()
        .map(|t| {
            let code = f32::from(t.class.code());
            let cells = told.classes.data().iter().filter(|c| **c == code).count();
            (t.name.to_string(), json!(cells as f64 / n))
        })
        .collect();
    let strange = told.strange.iter().filter(|s| **s).count() as f64 / n;
    if args.json {
        return say_json(&json!({"shares": shares, "strange": strange, "picture": file}));
    }
    say(&format!(
        "wrote {}; {:.1} % of the cells are unlike those learnt from; shares {}",
        file.display(),
        100.0 * strange,
        serde_json::Value::Object(shares)
    ));
    Ok(())
}

/// The image, and beside it the image with the classes over it.
fn picture(site: &Site, told: &Ground, file: &Path) -> anyhow::Result<()> {
    let ortho = site.layer(ORTHO)?;
    let [width_m, height_m] = told.classes.size_m();
    let (w, h) = (width_m as usize, height_m as usize);
    let mut known: Vec<f32> = ortho
        .data()
        .iter()
        .copied()
        .filter(|v| v.is_finite() && *v > 0.0)
        .collect();
    known.sort_by(f32::total_cmp);
    let at = |share: f64| known.get((share * known.len() as f64) as usize).copied();
    let (dark, bright) = (at(0.01).unwrap_or(0.0), at(0.99).unwrap_or(1.0));
    let mut out = Vec::with_capacity(2 * w * h * 3);
    let o = told.classes.origin_m();
    for row in 0..h {
        for side in 0..2 {
            for col in 0..w {
                let (x, y) = (o[0] + col as f64 + 0.5, o[1] + (h - 1 - row) as f64 + 0.5);
                let v = ortho.nearest(x, y).unwrap_or(f64::NAN) as f32;
                let grey = ((v - dark) / (bright - dark).max(1e-6)).clamp(0.0, 1.0);
                let grey = if grey.is_nan() { 0.0 } else { 255.0 * grey };
                let code = told.classes.nearest(x, y).unwrap_or(8.0) as usize;
                let colour = COLOURS[code.min(8)];
                let share = if side == 0 { 0.0 } else { 0.45 };
                out.extend(colour.map(|c| ((1.0 - share) * grey + share * f32::from(c)) as u8));
            }
        }
    }
    write_atomic(file, &pixels::rgb8(2 * w, h, &out)?)?;
    Ok(())
}
