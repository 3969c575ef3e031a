//! `sojourn eval terrain`: terrain classes of images against labels.

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::labelled::{Labelled, Split};
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sojourn_core::classes::{AI4MARS_UNLABELLED, SurfaceClass};
use sojourn_core::files::{read_bytes, write_atomic};
use sojourn_perception::classes::baseline::{Baseline, Lessons};
use sojourn_perception::classes::score::{Score, Tally, intervals};
use sojourn_perception::classes::{Classified, Classifier};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// `sojourn eval terrain`
#[derive(Debug, Args)]
pub struct TerrainArgs {
    /// A folder with manifest.csv (columns id, split), images/ID.jpg and masks/ID.png.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The split in the manifest.
    #[arg(long, value_name = "NAME")]
    pub split: String,
    /// Other weights than those that come with Sojourn (terrain.safetensors of `sojourn train terrain`).
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// A class with less probability than this is given out as unknown (figures apart; the others know no unknown).
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    pub unknown_below: f32,
    /// Draws for the 95 % intervals over images.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub draws: usize,
    /// Seed of the draws.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Beside the network, a classical baseline in the same run: a random forest of tone and texture, grown on this many images
    /// of the split "crowd" of the same folder.
    #[arg(long, value_name = "IMAGES", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub baseline: Option<u64>,
    /// A picture (PNG) of the first images: image, classes over it, mask.
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Only the image with this id, or several.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Prints JSON: {pixel_accuracy, miou, per_class: {soil|bedrock|sand|big_rock: {pixels, iou, recall, precision}},
    /// missed_sand, missed_big_rock, missed_big_rock_instances, ece, unknown_share, accuracy_where_known, intervals,
    /// images, unlike_images, inference_ms, card, baseline: {learnt_from, pixel_accuracy, miou, …}}; null where there was nothing to measure.
    #[arg(long)]
    pub json: bool,
}

/// The split that the baseline learns from.
const LEARNT_FROM: &str = "crowd";
/// Rows of the picture.
const SHOWN: usize = 6;

/// Measures.
///
/// # Errors
/// One sentence that names the folder, file or option that is wrong.
pub fn terrain(args: &TerrainArgs) -> CliResult {
    if !(0.0..=1.0).contains(&args.unknown_below) {
        return Err(crate::cli_error::CliError::Usage(format!(
            "--unknown-below {}: expected a probability, 0 to 1",
            args.unknown_below
        )));
    }
    let classifier = match &args.weights {
        Some(file) => Classifier::new(&read_bytes(file, 64 << 20)?)
            .with_context(|| file.display().to_string())?,
        None => Classifier::shipped()?,
    };
    let split = Split::read(&args.data, &args.split, &args.only)?;
    if let Some(file) = &args.picture {
        ground::writable(file)?;
    }
    let peer = args.baseline.map(|n| learn(args, n as usize)).transpose()?;
    let mut peer_sum = Tally::default();
    let bar = ProgressBar::new(split.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} images, {eta} left",
    )?);
    let (mut tallies, mut times_ms, mut unlike) = (Vec::new(), Vec::new(), 0_usize);
    let mut shown = Vec::new();
    for labelled in split.images() {
        let image = labelled?;
        let started = Instant::now();
        let said = classifier
            .classify(&image.grey())
            .with_context(|| image.id.clone())?;
        times_ms.push(1e3 * started.elapsed().as_secs_f64());
        unlike += usize::from(said.is_unlike());
        tallies.push(Tally::of(&said, &image.mask, args.unknown_below));
        if let Some(said) = peer.as_ref().and_then(|(p, _)| p.classify(&image.grey())) {
            peer_sum.add(&Tally::of(&said, &image.mask, args.unknown_below));
        }
        if args.picture.is_some() && shown.len() < SHOWN {
            shown.push((image, said));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut sum = Tally::default();
    tallies.iter().for_each(|t| sum.add(t));
    let score = Score::of(&sum);
    let within = intervals(&tallies, args.draws, args.seed);
    times_ms.sort_by(f64::total_cmp);
    let median_ms = times_ms[times_ms.len() / 2];
    if let Some(file) = &args.picture {
        draw(&shown, args.unknown_below, file)?;
    }
    let peer = peer.map(|(_, pixels)| (Score::of(&peer_sum), pixels));
    if args.json {
        let mut document = serde_json::to_value(&score)?;
        document["intervals"] = json!(within);
        document["images"] = json!(tallies.len());
        document["unlike_images"] = json!(unlike);
        document["inference_ms"] = json!(median_ms);
        document["card"] = serde_json::from_str(classifier.card())?;
        if let Some((score, pixels)) = &peer {
            document["baseline"] = serde_json::to_value(score)?;
            document["baseline"]["learnt_from"] =
                json!({"images": args.baseline, "pixels": pixels});
        }
        return say_json(&document);
    }
    print(&score, &within, tallies.len(), unlike, median_ms);
    if let Some((score, pixels)) = &peer {
        print_peer(score, *pixels);
    }
    if let Some(file) = &args.picture {
        say(&format!("wrote {}", file.display()));
    }
    Ok(())
}

/// The baseline, grown on images of the crowd's split, and from how many pixels it learnt.
fn learn(args: &TerrainArgs, images: usize) -> anyhow::Result<(Baseline, usize)> {
    anyhow::ensure!(
        args.split != LEARNT_FROM,
        "--baseline learns from the split {LEARNT_FROM:?}: it says nothing when measured on it too"
    );
    let split = Split::read(&args.data, LEARNT_FROM, &[])?;
    let step = (split.len() / images).max(1);
    let mut lessons = Lessons::new(args.seed);
    let bar = ProgressBar::new(images.min(split.len()) as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} images for the baseline, {eta} left",
    )?);
    for image in split.every(step).take(images) {
        let image = image?;
        lessons.take(&image.grey(), &image.mask);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let baseline = lessons.learn(args.seed).map_err(anyhow::Error::msg)?;
    Ok((baseline, lessons.count()))
}

/// The baseline's figures for people.
fn print_peer(score: &Score, pixels: usize) {
    let percent = |v: Option<f64>| v.map_or("–".into(), |v| format!("{:.1}", 100.0 * v));
    say(&format!(
        "\nbaseline, a random forest of tone and texture from {pixels} pixels: pixel accuracy {} %, mean IoU {} %, sand missed {} %, \
         big rock missed {} %",
        percent(score.pixel_accuracy),
        percent(score.miou),
        percent(score.missed_sand),
        percent(score.missed_big_rock)
    ));
}

/// The figures for people.
fn print(
    score: &Score,
    within: &std::collections::BTreeMap<&'static str, Option<[f64; 2]>>,
    images: usize,
    unlike: usize,
    median_ms: f64,
) {
    let percent = |v: Option<f64>| v.map_or("    –".into(), |v| format!("{:5.1}", 100.0 * v));
    let line = |name: &str, key: &str, v: Option<f64>| {
        let range = match within.get(key).copied().flatten() {
            Some([a, b]) => format!("  ({:.1} to {:.1})", 100.0 * a, 100.0 * b),
            None => String::new(),
        };
        say(&format!("{name:<42}{} %{range}", percent(v)));
    };
    say(&format!(
        "{images} images, {unlike} of them unlike those learnt from; {median_ms:.0} ms an image (median)\n"
    ));
    line("pixel accuracy", "pixel_accuracy", score.pixel_accuracy);
    line("mean IoU", "miou", score.miou);
    line(
        "sand called soil or bedrock, by area",
        "missed_sand",
        score.missed_sand,
    );
    line(
        "big rock missed, by area",
        "missed_big_rock",
        score.missed_big_rock,
    );
    line(
        "big rock missed, by rock",
        "",
        score.missed_big_rock_instances,
    );
    line("calibration error", "ece", score.ece);
    line("given out as unknown", "", score.unknown_share);
    line("accuracy of the rest", "", score.accuracy_where_known);
    say(&format!(
        "\n{:<10}{:>10}{:>8}{:>8}{:>11}",
        "class", "pixels", "IoU", "recall", "precision"
    ));
    for (name, c) in &score.per_class {
        say(&format!(
            "{name:<10}{:>10}{:>8}{:>8}{:>11}",
            c.pixels,
            percent(c.iou),
            percent(c.recall),
            percent(c.precision)
        ));
    }
}

/// What each class looks like in pictures.
pub fn colour(class: Option<SurfaceClass>) -> Option<[u8; 3]> {
    match class? {
        SurfaceClass::Soil => Some([200, 120, 60]),
        SurfaceClass::Bedrock => Some([90, 120, 230]),
        SurfaceClass::Sand => Some([240, 220, 60]),
        SurfaceClass::BigRock => Some([230, 40, 40]),
        SurfaceClass::FloatRock => Some([230, 120, 220]),
        SurfaceClass::Nodule => Some([60, 60, 60]),
        SurfaceClass::Vein => Some([255, 255, 255]),
        SurfaceClass::Unknown => None,
    }
}

/// Image, classes over it, mask over it: one row an image. Unknown is left grey. The dark images are stretched.
fn draw(shown: &[(Labelled, Classified)], unknown_below: f32, file: &Path) -> anyhow::Result<()> {
    let gap = 4;
    let width = 3 * shown.iter().map(|(i, _)| i.width).max().unwrap_or(0) + 2 * gap;
    let height: usize = shown.iter().map(|(i, _)| i.height + gap).sum();
    let mut rgb = vec![255_u8; 3 * width * height];
    let mut top = 0;
    for (image, said) in shown {
        let mut levels = image.levels.clone();
        levels.sort_unstable();
        let bright = f32::from(levels[levels.len() * 99 / 100]).max(1.0);
        for (pixel, (grey, code)) in image.levels.iter().zip(&image.mask).enumerate() {
            let light = (f32::from(*grey) / bright * 235.0).min(255.0);
            let truth = if *code == AI4MARS_UNLABELLED {
                None
            } else {
                SurfaceClass::from_ai4mars(*code)
            };
            let panes = [None, Some(said.class(pixel, unknown_below)), truth];
            for (pane, class) in panes.into_iter().enumerate() {
                let x = pane * (image.width + gap) + pixel % image.width;
                let at = 3 * ((top + pixel / image.width) * width + x);
                for c in 0..3 {
                    rgb[at + c] = match colour(class) {
                        Some(paint) => (0.6 * light + 0.4 * f32::from(paint[c])) as u8,
                        None => light as u8,
                    };
                }
            }
        }
        top += image.height + gap;
    }
    write_atomic(file, &crate::pixels::rgb8(width, height, &rgb)?)?;
    Ok(())
}
