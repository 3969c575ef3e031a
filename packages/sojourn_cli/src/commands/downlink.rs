//! `sojourn downlink`: which images of a folder go home first.

use super::images::below;
use super::{say, say_json};
use crate::cli_error::{CliError, CliResult};
use crate::grey_file::{self, Grey};
use crate::ground;
use crate::strip::{HEIGHT, Shown, strip};
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sojourn_core::{
    classes::SurfaceClass,
    files::{read_bytes, write_atomic},
};
use sojourn_perception::classes::{Classifier, GreyImage, archive::fitted};
use sojourn_perception::science::downlink::{Item, Product, Queue, products, queue};
use sojourn_perception::science::{
    Memory, Target, Wants, horizon, image_worth, odd_colours, odd_targets, outcrops, rank,
};
use std::path::{Path, PathBuf};

/// Pixels a row that the network learnt at, and the probability below which it says nothing.
const LEARNT_PX: usize = 256;
const UNKNOWN_BELOW: f32 = 0.5;
/// Largest network that is read, bytes.
const MOST_BYTES: u64 = 64 << 20;

/// What the help says below the options.
pub const EXAMPLES: &str = "Examples:\n  sojourn downlink sol1431/ --share 0.2 --picture strip.png\n  \
    sojourn downlink sol1431/ --kilobytes 500 --json > queue.json\n\n\
    Thumbnails go first, then crops of targets and whole images by worth per bit, until the volume is full. Targets are\n\
    layered, odd-toned and odd-textured patches below the sky (config/science.yaml), in coloured JPEGs also patches of an\n\
    odd hue, with --classes outcrops of bedrock; worth more when nothing like them was in an earlier image; images come in\n\
    the order of their names. Sizes are those of lossless predictive coding of the grey levels.";

/// `sojourn downlink`
#[derive(Debug, Args)]
pub struct DownlinkArgs {
    /// The folder; folders in it are searched too. Grey or coloured JPEG and grey PNG.
    pub dir: PathBuf,
    /// The volume, as a share of all whole images.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.2,
        conflicts_with = "kilobytes"
    )]
    pub share: f64,
    /// The volume, kilobytes of 1000 bytes.
    #[arg(long, value_name = "KB")]
    pub kilobytes: Option<f64>,
    /// What the science team wants; without it config/science.yaml as it comes with Sojourn.
    #[arg(long, value_name = "FILE")]
    pub wants: Option<PathBuf>,
    /// Also asks the terrain network for outcrops of bedrock: shipped, or a file of `sojourn train terrain`.
    #[arg(long, value_name = "shipped|FILE")]
    pub classes: Option<String>,
    /// A picture (PNG) of the images worth most with their targets, best first; what is sent is framed in green.
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Images in the picture.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub shown: u64,
    /// Prints JSON: {images, volume_bits, sent_bits, sent: {thumbnails, crops, frames}, ranked: [{image, worth, sent, targets:
    /// [{kind, crop, score, reason}]}], queue: [{image, product, crop, bits, worth}] (what is sent, in order), left_out}.
    #[arg(long)]
    pub json: bool,
}

/// An image with what was found in it.
struct Looked {
    file: PathBuf,
    name: String,
    targets: Vec<Target>,
    worth: f64,
}

/// Orders.
///
/// # Errors
/// One sentence that names the folder, file or option that is wrong.
pub fn downlink(args: &DownlinkArgs) -> CliResult {
    let bad = |option: &str, v: f64, expected: &str| {
        Err(CliError::Usage(format!(
            "{option} {v}: expected {expected}"
        )))
    };
    if !(args.share > 0.0 && args.share <= 1.0) {
        return bad("--share", args.share, "more than 0, at most 1");
    }
    if let Some(kb) = args.kilobytes
        && !(kb > 0.0 && kb.is_finite())
    {
        return bad("--kilobytes", kb, "more than 0");
    }
    let wants = match &args.wants {
        Some(file) => Wants::load(file)?,
        None => Wants::shipped()?,
    };
    if let Some(file) = &args.picture {
        ground::writable(file)?;
    }
    let (looked, items, left_out) = look_through(args, &wants)?;
    let whole = |i: &&Item| i.product == Product::Frame;
    let all_bits: f64 = items.iter().filter(whole).map(|i| i.bits).sum();
    let volume_bits = args.kilobytes.map_or(args.share * all_bits, |kb| 8e3 * kb);
    let queue = queue(items, volume_bits);
    let mut ranked: Vec<&Looked> = looked.iter().collect();
    ranked.sort_by(|a, b| b.worth.total_cmp(&a.worth).then(a.name.cmp(&b.name)));
    if let Some(file) = &args.picture {
        write_atomic(file, &picture(&ranked, args.shown as usize, &queue)?)?;
    }
    if args.json {
        return say_json(&document(&ranked, &queue, volume_bits, &left_out));
    }
    for sentence in &left_out {
        eprintln!("left out: {sentence}");
    }
    print(&ranked, &queue, volume_bits);
    if let Some(file) = &args.picture {
        say(&format!("wrote {}", file.display()));
    }
    Ok(())
}

/// The strip of the first images.
fn picture(ranked: &[&Looked], most: usize, queue: &Queue) -> anyhow::Result<Vec<u8>> {
    let shown = ranked.iter().take(most);
    let read: Vec<(&Looked, Grey)> = shown
        .map(|l| Ok((*l, grey_file::read(&l.file)?)))
        .collect::<anyhow::Result<_>>()?;
    let shown: Vec<Shown<'_>> = read
        .iter()
        .map(|(l, (width, height, levels))| Shown {
            name: &l.name,
            image: GreyImage {
                width: *width,
                height: *height,
                data: levels,
            },
            targets: &l.targets,
            worth: l.worth,
            sent: is_sent(queue, &l.name, Product::Frame),
        })
        .collect();
    strip(&shown, HEIGHT)
}

/// All images with their targets, what could be sent of them, and what could not be read.
fn look_through(
    args: &DownlinkArgs,
    wants: &Wants,
) -> anyhow::Result<(Vec<Looked>, Vec<Item>, Vec<String>)> {
    let files = below(&args.dir)?;
    let bar = ProgressBar::new(files.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} images, {eta} left",
    )?);
    let network = match args.classes.as_deref() {
        None => None,
        Some("shipped") => Some(Classifier::shipped()?),
        Some(file) => {
            let bytes = read_bytes(Path::new(file), MOST_BYTES)?;
            Some(Classifier::new(&bytes).with_context(|| format!("--classes {file}"))?)
        }
    };
    let (mut looked, mut items, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let mut memory = Memory::default();
    for file in &files {
        bar.inc(1);
        let (width, height, levels) = match grey_file::read(file) {
            Ok(image) => image,
            Err(e) => {
                left_out.push(CliError::from(e).to_string());
                continue;
            }
        };
        let image = GreyImage {
            width,
            height,
            data: &levels,
        };
        let below = horizon(&image);
        let mut targets = match &network {
            Some(network) => {
                let rock = bedrock(&image, network);
                outcrops(&image, &rock, wants, &memory)
            }
            None => Vec::new(),
        };
        targets.extend(odd_targets(&image, below, wants, &mut memory));
        if let Ok(Some((width, height, rgb))) = grey_file::colours(file) {
            targets.extend(odd_colours(width, height, &rgb, below, wants));
        }
        rank(&mut targets);
        targets.truncate(wants.most_targets);
        let name = file.strip_prefix(&args.dir).unwrap_or(file);
        let name = name.to_string_lossy().into_owned();
        items.extend(products(&name, &image, &targets, wants));
        let worth = image_worth(&targets, wants);
        looked.push(Looked {
            file: file.clone(),
            name,
            targets,
            worth,
        });
    }
    bar.finish_and_clear();
    anyhow::ensure!(
        !looked.is_empty(),
        "{}: none of its {} pictures could be read; the first: {}",
        args.dir.display(),
        files.len(),
        left_out.first().map_or("", String::as_str)
    );
    Ok((looked, items, left_out))
}

/// Which pixels the network calls bedrock; none of an image that it cannot be asked about or that is unlike those learnt from.
fn bedrock(image: &GreyImage<'_>, network: &Classifier) -> Vec<bool> {
    let (width, height) = (image.width, image.height);
    let said = fitted(width, height, image.data, LEARNT_PX).and_then(|(w, h, levels)| {
        let small = GreyImage {
            width: w,
            height: h,
            data: &levels,
        };
        Some((w, h, network.classify(&small).ok()?))
    });
    let Some((w, h, said)) = said else {
        return vec![false; width * height];
    };
    (0..width * height)
        .map(|i| {
            let pixel = (i / width * h / height) * w + i % width * w / width;
            said.class(pixel, UNKNOWN_BELOW) == SurfaceClass::Bedrock
        })
        .collect()
}

fn is_sent(queue: &Queue, name: &str, product: Product) -> bool {
    let mut sent = queue.items.iter().take(queue.within);
    sent.any(|i| i.image == name && i.product == product)
}

/// Thumbnails, crops and frames that are sent.
fn counts(queue: &Queue) -> [usize; 3] {
    let mut n = [0; 3];
    for i in queue.items.iter().take(queue.within) {
        n[match i.product {
            Product::Thumbnail => 0,
            Product::Crop(_) => 1,
            Product::Frame => 2,
        }] += 1;
    }
    n
}

fn document(ranked: &[&Looked], queue: &Queue, volume_bits: f64, left_out: &[String]) -> Value {
    let target =
        |t: &Target| json!({"kind": t.kind, "crop": t.crop, "score": t.score, "reason": t.reason});
    let ranked: Vec<Value> = ranked
        .iter()
        .map(|l| {
            json!({
                "image": l.name, "worth": l.worth, "sent": is_sent(queue, &l.name, Product::Frame),
                "targets": l.targets.iter().map(target).collect::<Vec<_>>(),
            })
        })
        .collect();
    let [thumbnails, crops, frames] = counts(queue);
    json!({
        "images": ranked.len(), "volume_bits": volume_bits, "sent_bits": queue.bits,
        "sent": {"thumbnails": thumbnails, "crops": crops, "frames": frames},
        "ranked": ranked, "queue": &queue.items[..queue.within], "left_out": left_out,
    })
}

fn print(ranked: &[&Looked], queue: &Queue, volume_bits: f64) {
    let [thumbnails, crops, frames] = counts(queue);
    say(&format!(
        "{} images; {:.0} of {:.0} kB: {thumbnails} thumbnails, {crops} crops, {frames} whole images\n",
        ranked.len(),
        queue.bits / 8e3,
        volume_bits / 8e3
    ));
    for l in ranked {
        let sent = if is_sent(queue, &l.name, Product::Frame) {
            "sent"
        } else {
            ""
        };
        let why = l
            .targets
            .first()
            .map_or("nothing stands out", |t| &t.reason);
        say(&format!("{:>7.2}  {sent:<5} {}  {why}", l.worth, l.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(dir: &std::path::Path) -> DownlinkArgs {
        DownlinkArgs {
            dir: dir.into(),
            share: 0.4,
            kilobytes: None,
            wants: None,
            classes: None,
            picture: Some(dir.join("strip/strip.png")),
            shown: 2,
            json: true,
        }
    }

    #[test]
    fn the_image_with_a_bright_stone_goes_first_and_the_volume_holds() {
        let dir = tempfile::tempdir().unwrap();
        let grain = |c: usize, r: usize| {
            let h = (c * 73_856_093) ^ (r * 19_349_663);
            100 + (h / 64 % 17) as u8
        };
        for (name, stone) in [("a.png", false), ("b.png", true), ("c.png", false)] {
            let data: Vec<u8> = (0..192 * 128)
                .map(|i| (i % 192, i / 192))
                .map(|(c, r)| {
                    let inside = (64..112).contains(&c) && (64..96).contains(&r);
                    if stone && inside { 220 } else { grain(c, r) }
                })
                .collect();
            let png = crate::pixels::grey8(192, 128, &data).unwrap();
            std::fs::write(dir.path().join(name), png).unwrap();
        }
        std::fs::write(dir.path().join("d.jpg"), "no picture").unwrap();
        let mut a = args(dir.path());
        let wants = Wants::shipped().unwrap();
        let (looked, items, left_out) = look_through(&a, &wants).unwrap();
        assert_eq!((looked.len(), left_out.len()), (3, 1));
        let all_bits: f64 = items
            .iter()
            .filter(|i| i.product == Product::Frame)
            .map(|i| i.bits)
            .sum();
        let queue = queue(items, 0.7 * all_bits);
        assert!(queue.bits <= 0.7 * all_bits);
        assert!(is_sent(&queue, "b.png", Product::Frame));
        assert!(!is_sent(&queue, "a.png", Product::Frame));
        assert_eq!(counts(&queue)[0], 3, "thumbnails of all");
        let ranked: Vec<&Looked> = looked.iter().collect();
        let d = document(&ranked, &queue, 0.7 * all_bits, &left_out);
        assert_eq!(d["ranked"][1]["targets"][0]["kind"], "odd_tone");
        std::fs::create_dir(dir.path().join("strip")).unwrap();
        downlink(&a).unwrap();
        let strip = read_bytes(a.picture.as_ref().unwrap(), 1 << 20).unwrap();
        assert!(strip.starts_with(b"\x89PNG"));
        a.share = 1.5;
        assert!(
            downlink(&a)
                .unwrap_err()
                .to_string()
                .contains("--share 1.5")
        );
        (a.share, a.kilobytes) = (0.2, Some(-1.0));
        assert!(
            downlink(&a)
                .unwrap_err()
                .to_string()
                .contains("--kilobytes -1")
        );
        a.dir = dir.path().join("nowhere");
        a.kilobytes = None;
        assert!(
            downlink(&a)
                .unwrap_err()
                .to_string()
                .contains("no such folder")
        );
    }
}
