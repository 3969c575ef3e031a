//! `sojourn images show`: pictures of what perception makes of images, as its README has them.

use super::eval_terrain::colour;
use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::commands::camera::check;
use crate::launch::places::Places;
use crate::strip::{Shown, calm, strip};
use crate::{grey_file, ground, pixels};
use anyhow::Context;
use clap::Args;
use sojourn_core::files::write_atomic;
use sojourn_core::raster::Raster;
use sojourn_perception::classes::archive::fitted;
use sojourn_perception::classes::{Classifier, GreyImage};
use sojourn_perception::layers::{Abilities, derive};
use sojourn_perception::science::downlink::{Item, Product, products, queue};
use sojourn_perception::science::{Kind, Known, Target, Wants, Watcher, image_worth};
use sojourn_perception::stereo::epipolar::corners;
use sojourn_sweep::perception_eval::{Example, Subject, examples};
use std::path::{Path, PathBuf};

/// What the help says below the options.
pub const EXAMPLES: &str = "Example:\n  sojourn images show --image NLB_524534514EDR.jpeg --out pictures/\n\n\
    pair.png: a rendered pair of the simulator with its rows and corners; disparity.png: near is red; grid.png: the hazard of\n\
    the terrain grid over the image, red at the rover's limits; rocks.png: the rocks that the grid holds; targets.png: views by\n\
    worth to the science team, sent ones framed; classes.png: a real image, soil orange, bedrock blue, sand yellow, big rock\n\
    red, undecided left grey.";

/// Views of the world.
const VIEWS: u64 = 8;
/// Greatest disparity that corners are looked for at, and that is drawn red, pixels.
const MOST_PX: usize = 110;
const NEAR_PX: f32 = 60.0;
/// Share of the whole volume that is sent in the strip.
const SENT_SHARE: f64 = 0.3;
/// Heights of the single view with its rocks and of the views in the strip, pixels.
const VIEW_PX: usize = 300;
const STRIP_PX: usize = 100;
/// Side of a real image as it is drawn, and as the network learnt it, pixels.
const DRAWN_PX: usize = 512;
const LEARNT_PX: usize = 256;
/// A class with less probability than this is left grey.
const UNKNOWN_BELOW: f32 = 0.5;
/// `sojourn images show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Folder for pair.png, disparity.png, grid.png, rocks.png, targets.png and, with --image, classes.png.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A real rover image (JPEG, grey PNG), about 45 degrees wide, whose terrain classes are drawn.
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Of the world that the other pictures show.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Prints JSON: {written: [file]}.
    #[arg(long)]
    pub json: bool,
}

/// Draws.
///
/// # Errors
/// One sentence that names the file or folder that is wrong.
pub fn show(args: &ShowArgs) -> CliResult {
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let mut pictures = Vec::new();
    if let Some(file) = &args.image {
        pictures.push(("classes.png", classes(file)?));
    }
    let places = Places::find();
    let (rover, _) = ground::rover(&places, "perseverance")?;
    let abilities = Abilities::of(&rover);
    let file = places.shared("config/perception.param.yaml")?;
    let subject = Subject {
        rover,
        body: ground::body(&places, "mars")?,
        recipe: super::world::recipe(&places, "mixed")?,
        params: sojourn_core::params::load_node_params(&file, "perception")?,
    };
    let seen = examples(&subject, args.seed, VIEWS)?;
    let first = seen
        .first()
        .context("perception refused every view of the world")?;
    let wants = Wants::shipped()?;
    let hazard = derive(&first.grid, &abilities, &subject.params.layers)?.hazard;
    pictures.push(("pair.png", pair(first)?));
    pictures.push(("disparity.png", over(first, |k| disparity(first, k))?));
    pictures.push(("grid.png", over(first, |k| cell(first, &hazard, k))?));
    pictures.push(("rocks.png", rocks(first, &wants)?));
    pictures.push(("targets.png", targets(&seen, &wants)?));
    let mut written = Vec::new();
    for (name, bytes) in pictures {
        let file = args.out.join(name);
        write_atomic(&file, &bytes)?;
        written.push(file);
    }
    if args.json {
        return say_json(&serde_json::json!({ "written": written }));
    }
    for file in written {
        say(&format!("wrote {}", file.display()));
    }
    Ok(())
}

/// Both eyes with their rows and corners.
fn pair(e: &Example) -> anyhow::Result<Vec<u8>> {
    let found = corners(&e.pair[0], &e.pair[1], MOST_PX);
    let [left, right] = e.pair.clone().map(|mut image| {
        image.pixels.iter_mut().for_each(|p| *p = calm(*p));
        image
    });
    check::picture(&left, &right, &found)
}

/// The left image with a colour laid over its pixels.
fn over(e: &Example, paint: impl Fn(usize) -> Option<[u8; 3]>) -> anyhow::Result<Vec<u8>> {
    let image = &e.pair[0];
    let mut rgb = Vec::with_capacity(3 * image.pixels.len());
    for (k, level) in image.pixels.iter().enumerate() {
        rgb.extend(mixed(f32::from(calm(*level)), paint(k)));
    }
    pixels::rgb8(image.width, image.height, &rgb)
}

/// A grey level with a colour over it.
fn mixed(level: f32, paint: Option<[u8; 3]>) -> [u8; 3] {
    paint.map_or([level as u8; 3], |p| {
        p.map(|c| (0.5 * level + 0.5 * f32::from(c)) as u8)
    })
}

/// From blue (0) over green to red (1), in steps.
fn warm(t: f32) -> [u8; 3] {
    let t = (t * 24.0).round() / 24.0;
    let part = |middle: f32| (255.0 * (1.5 - 3.0 * (t - middle).abs()).clamp(0.0, 1.0)) as u8;
    [part(0.9), part(0.5), part(0.1)]
}

fn disparity(e: &Example, pixel: usize) -> Option<[u8; 3]> {
    let d = e.disparity.pixels.get(pixel).filter(|d| d.is_finite())?;
    Some(warm((d / NEAR_PX).clamp(0.0, 1.0).sqrt()))
}

/// What the grid says of the ground that a pixel shows, if it says something.
fn cell(e: &Example, layer: &Raster, pixel: usize) -> Option<[u8; 3]> {
    let view = &e.view;
    let z = f64::from(*view.image.depth_m.get(pixel)?);
    let (u, v) = (pixel % view.image.width, pixel / view.image.width);
    let ray = view.camera.ray(u as f64, v as f64) * z;
    let at = view.odom_from_camera * nalgebra::Point3::from(ray);
    let value = z.is_finite().then(|| layer.nearest(at.x, at.y)).flatten()?;
    Some(warm(value as f32))
}

/// Targets of the views, one list each.
fn look(seen: &[Example], wants: &Wants) -> anyhow::Result<Vec<Vec<Target>>> {
    let mut watcher = Watcher::new(wants.clone())?;
    let of = |e: &Example| {
        let known = Known {
            rocks: &e.rocks.rocks,
            ..Known::default()
        };
        watcher.look(&grey(e), &e.view, known)
    };
    Ok(seen.iter().map(of).collect())
}

fn grey(e: &Example) -> GreyImage<'_> {
    GreyImage {
        width: e.pair[0].width,
        height: e.pair[0].height,
        data: &e.pair[0].pixels,
    }
}

/// Boxes around all rocks of one view.
fn rocks(e: &Example, wants: &Wants) -> anyhow::Result<Vec<u8>> {
    // Every rock of the grid, not the wanted ones only.
    let mut all = wants.clone();
    (all.size_m, all.distance_m) = ([0.01, 0.8], [4.0, 1000.0]);
    all.most_targets = 1000;
    all.kinds.retain(|kind, _| *kind == Kind::FloatRock);
    let found = look(std::slice::from_ref(e), &all)?;
    let shown = Shown {
        name: "rocks of the grid",
        image: grey(e),
        targets: found.first().map_or(&[], Vec::as_slice),
        worth: e.rocks.rocks.len() as f64,
        sent: false,
    };
    strip(&[shown], VIEW_PX)
}

/// The views by worth with their targets; what would be sent first is framed.
fn targets(seen: &[Example], wants: &Wants) -> anyhow::Result<Vec<u8>> {
    let found = look(seen, wants)?;
    let named: Vec<String> = (1..=seen.len()).map(|k| format!("view {k}")).collect();
    let mut items = Vec::new();
    for (k, e) in seen.iter().enumerate() {
        items.extend(products(&named[k], &grey(e), &found[k], wants));
    }
    let is_whole = |i: &Item| i.product == Product::Frame;
    let all_bits: f64 = items.iter().filter(|i| is_whole(i)).map(|i| i.bits).sum();
    let sent = queue(items, SENT_SHARE * all_bits);
    let mut shown: Vec<Shown<'_>> = (0..seen.len())
        .map(|k| Shown {
            name: &named[k],
            image: grey(&seen[k]),
            targets: &found[k],
            worth: image_worth(&found[k], wants),
            sent: sent.items[..sent.within]
                .iter()
                .any(|i| is_whole(i) && i.image == named[k]),
        })
        .collect();
    shown.sort_by(|a, b| b.worth.total_cmp(&a.worth));
    strip(&shown, STRIP_PX)
}

/// A real image, and beside it its classes over it.
fn classes(file: &Path) -> anyhow::Result<Vec<u8>> {
    let (width, height, levels) = grey_file::read(file)?;
    let smaller = |across: usize| {
        let small = fitted(width, height, &levels, across);
        small.with_context(|| {
            format!(
                "{}: {width} x {height} pixels, expected 32 or more each",
                file.display()
            )
        })
    };
    let (w, h, learnt) = smaller(LEARNT_PX)?;
    let said = Classifier::shipped()?.classify(&GreyImage {
        width: w,
        height: h,
        data: &learnt,
    })?;
    let (wide, high, drawn) = smaller(DRAWN_PX)?;
    let mut sorted = drawn.clone();
    sorted.sort_unstable();
    let bright = sorted
        .get(sorted.len() * 99 / 100)
        .map_or(1.0, |v| f32::from(*v));
    let mut rgb = Vec::with_capacity(6 * drawn.len());
    for v in 0..high {
        for pane in [false, true] {
            for u in 0..wide {
                let light = (f32::from(drawn[v * wide + u]) / bright.max(1.0) * 235.0).min(247.0);
                let pixel = v * h / high * w + u * w / wide;
                let class = pane.then(|| said.class(pixel, UNKNOWN_BELOW));
                rgb.extend(mixed(f32::from(calm(light as u8)), colour(class)));
            }
        }
    }
    pixels::rgb8(2 * wide, high, &rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_image_and_its_classes_stand_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.png");
        let data: Vec<u8> = (0..96 * 64).map(|k| (k * 7 % 200) as u8).collect();
        std::fs::write(&file, pixels::grey8(96, 64, &data).unwrap()).unwrap();
        let png = classes(&file).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        assert_eq!((reader.info().width, reader.info().height), (192, 64));
        std::fs::write(&file, pixels::grey8(8, 8, &[0; 64]).unwrap()).unwrap();
        let why = classes(&file).unwrap_err().to_string();
        assert!(why.contains("a.png") && why.contains("8 x 8"), "{why}");
    }

    #[test]
    fn colours_go_from_blue_to_red() {
        let [cold, hot] = [warm(0.0), warm(1.0)];
        assert!(cold[2] > cold[0] && hot[0] > hot[2], "{cold:?} {hot:?}");
        assert_eq!(mixed(100.0, None), [100; 3]);
    }
}
