//! `sojourn images`: an archive of rover images that can be asked.

use super::{pictures, say, say_json};
use crate::cli_error::{CliError, CliResult};
use crate::grey_file;
use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sojourn_core::classes::SurfaceClass;
use sojourn_core::files::{read_text, write_atomic};
use sojourn_perception::classes::archive::{Entry, alike, by_class, fitted, strange};
use sojourn_perception::classes::{Classified, Classifier, GreyImage};
use std::path::{Path, PathBuf};

/// Pixels a row that the network learnt at: 45 degrees.
const ACROSS: usize = 256;
/// The index format that this version reads and writes.
const FORMAT: &str = "sojourn images 1";

/// What to do with images.
#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Looks at every picture below a folder and writes what it shows into an index.
    #[command(
        after_help = "Example:\n  sojourn images index sol1431/ --out sol1431/index.json\n\n\
            Grey or coloured JPEG and grey PNG. Large pictures are averaged down to about 256 pixels across, where the network\n\
            learnt. What cannot be read is named and left out."
    )]
    Index(IndexArgs),
    /// Ranks the images of an index.
    #[command(
        after_help = "Examples:\n  sojourn images find --index sol1431/index.json --class sand\n  \
            sojourn images find --index sol1431/index.json --like outcrop.jpg --count 20 --json\n  \
            sojourn images find --index sol1431/index.json --strange"
    )]
    Find(FindArgs),
    /// Draws what perception makes of images: pair, disparity, terrain grid, rocks, targets, classes of a real image.
    #[command(after_help = pictures::EXAMPLES)]
    Show(pictures::ShowArgs),
}

/// `sojourn images index`
#[derive(Debug, Args)]
pub struct IndexArgs {
    /// The folder; folders in it are searched too.
    pub dir: PathBuf,
    /// The index (JSON).
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// A class with less probability than this counts as unknown.
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    pub unknown_below: f32,
    /// Prints JSON: {index, images, left_out: [sentence]}.
    #[arg(long)]
    pub json: bool,
}

/// `sojourn images find`
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("wish").required(true).args(["like", "class", "strange"])))]
pub struct FindArgs {
    /// The index that `sojourn images index` wrote.
    #[arg(long, value_name = "FILE")]
    pub index: PathBuf,
    /// Those that look most like this picture.
    #[arg(long, value_name = "FILE")]
    pub like: Option<PathBuf>,
    /// Those with the greatest share of a class: soil, bedrock, sand, big_rock or unknown.
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
    /// Those that are least like what the network learnt from.
    #[arg(long)]
    pub strange: bool,
    /// How many.
    #[arg(long, default_value_t = 10)]
    pub count: usize,
    /// Prints JSON: {found: [{file, score, shares}]}; score is a distance (like, strange) or a share (class).
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    format: String,
    /// Of the training whose weights the features come from: features of other weights cannot be compared.
    card: serde_json::Value,
    images: Vec<Entry>,
}

/// Indexes or finds.
///
/// # Errors
/// One sentence that names the folder, file or option that is wrong.
pub fn images(command: &ImagesCommand) -> CliResult {
    match command {
        ImagesCommand::Index(args) => index(args),
        ImagesCommand::Find(args) => find(args),
        ImagesCommand::Show(args) => pictures::show(args),
    }
}

fn index(args: &IndexArgs) -> CliResult {
    if !(0.0..=1.0).contains(&args.unknown_below) {
        return Err(CliError::Usage(format!(
            "--unknown-below {}: expected a probability, 0 to 1",
            args.unknown_below
        )));
    }
    let files = below(&args.dir)?;
    crate::ground::writable(&args.out)?;
    let classifier = Classifier::shipped()?;
    let bar = ProgressBar::new(files.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} images, {eta} left",
    )?);
    let (mut images, mut left_out) = (Vec::new(), Vec::new());
    for file in &files {
        match look(&classifier, file) {
            Ok(said) => {
                let name = file.strip_prefix(&args.dir).unwrap_or(file);
                let name = name.to_string_lossy().into_owned();
                images.push(Entry::new(name, &said, args.unknown_below));
            }
            Err(e) => left_out.push(CliError::from(e).to_string()),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if images.is_empty() {
        return Err(CliError::Failed(format!(
            "{}: none of its {} pictures could be read; the first: {}",
            args.dir.display(),
            files.len(),
            left_out.first().map_or("", String::as_str)
        )));
    }
    let document = Index {
        format: FORMAT.into(),
        card: serde_json::from_str(classifier.card())?,
        images,
    };
    write_atomic(&args.out, &serde_json::to_vec(&document)?)?;
    if args.json {
        return say_json(&json!({
            "index": args.out, "images": document.images.len(), "left_out": left_out,
        }));
    }
    for sentence in &left_out {
        eprintln!("left out: {sentence}");
    }
    say(&format!(
        "{}: {} images",
        args.out.display(),
        document.images.len()
    ));
    Ok(())
}

fn find(args: &FindArgs) -> CliResult {
    let text = read_text(&args.index, 1 << 30)?;
    let name = args.index.display().to_string();
    let index: Index = serde_json::from_str(&text).with_context(|| name.clone())?;
    let classifier = Classifier::shipped()?;
    let card: serde_json::Value = serde_json::from_str(classifier.card())?;
    if index.format != FORMAT || index.card != card {
        return Err(CliError::Failed(format!(
            "{name}: made with other weights or by another version; `sojourn images index` makes it again"
        )));
    }
    let ranked = if let Some(file) = &args.like {
        alike(&classifier, &index.images, &look(&classifier, file)?.pooled)
    } else if let Some(class) = &args.class {
        by_class(&index.images, class_named(class)?)
    } else {
        strange(&index.images)
    };
    let found = ranked
        .iter()
        .filter(|(_, score)| score.is_finite())
        .take(args.count)
        .map(|(k, score)| (&index.images[*k], score));
    if args.json {
        let found: Vec<_> = found
            .map(|(e, score)| json!({"file": e.file, "score": score, "shares": e.shares}))
            .collect();
        return say_json(&json!({ "found": found }));
    }
    for (entry, score) in found {
        let shares: Vec<String> = SurfaceClass::OF_IMAGES
            .iter()
            .map(|s| s.traits().name)
            .filter_map(|name| Some((name, *entry.shares.get(name)?)))
            .filter(|(_, share)| *share >= 0.01)
            .map(|(n, share)| format!("{n} {:.0} %", 100.0 * share))
            .collect();
        say(&format!(
            "{score:>8.3}  {}  {}",
            entry.file,
            shares.join(", ")
        ));
    }
    Ok(())
}

fn class_named(name: &str) -> Result<SurfaceClass, CliError> {
    let known = SurfaceClass::from_name(name).filter(|c| SurfaceClass::OF_IMAGES.contains(c));
    known.ok_or_else(|| {
        let names = SurfaceClass::OF_IMAGES.map(|s| s.traits().name);
        CliError::Usage(format!(
            "--class {name}: expected one of {}",
            names.join(", ")
        ))
    })
}

/// What the network says of a picture.
fn look(classifier: &Classifier, file: &Path) -> anyhow::Result<Classified> {
    let (width, height, levels) = grey_file::read(file)?;
    let (width, height, levels) = fitted(width, height, &levels, ACROSS).with_context(|| {
        format!(
            "{}: {width} x {height} pixels, expected 32 or more each",
            file.display()
        )
    })?;
    classifier
        .classify(&GreyImage {
            width,
            height,
            data: &levels,
        })
        .with_context(|| file.display().to_string())
}

/// The pictures below a folder, sorted. Links to folders are not followed.
///
/// # Errors
/// One sentence: no such folder, no picture in it, or a folder in it cannot be read.
pub fn below(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    ensure!(dir.is_dir(), "{}: no such folder", dir.display());
    let (mut found, mut left) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(folder) = left.pop() {
        let list = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in list {
            let entry = entry.with_context(|| folder.display().to_string())?;
            let kind = entry
                .file_type()
                .with_context(|| entry.path().display().to_string())?;
            if kind.is_dir() {
                left.push(entry.path());
            } else if grey_file::is_picture(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    ensure!(
        !found.is_empty(),
        "{}: no picture in it; expected .jpg, .jpeg or .png",
        dir.display()
    );
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_indexed_and_asked() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let picture = |name: &str, seed: usize| {
            let data: Vec<u8> = (0..64 * 64)
                .map(|k| ((k * seed + k / 64) % 251) as u8)
                .collect();
            std::fs::write(at(name), crate::pixels::grey8(64, 64, &data).unwrap()).unwrap();
        };
        assert!(
            below(dir.path())
                .unwrap_err()
                .to_string()
                .contains("no picture")
        );
        std::fs::create_dir(at("sol2")).unwrap();
        picture("a.png", 3);
        picture("sol2/b.png", 17);
        std::fs::write(at("c.jpg"), "no picture").unwrap();
        let args = IndexArgs {
            dir: dir.path().into(),
            out: at("index.json"),
            unknown_below: 0.5,
            json: false,
        };
        index(&args).unwrap();
        let made: Index = serde_json::from_str(&read_text(&args.out, 1 << 20).unwrap()).unwrap();
        let names: Vec<_> = made.images.iter().map(|e| e.file.as_str()).collect();
        assert_eq!(names, ["a.png", "sol2/b.png"]);
        let mut wish = FindArgs {
            index: args.out.clone(),
            like: Some(at("sol2/b.png")),
            class: None,
            strange: false,
            count: 1,
            json: true,
        };
        find(&wish).unwrap();
        (wish.like, wish.class) = (None, Some("lava".into()));
        assert!(find(&wish).unwrap_err().to_string().contains("big_rock"));
        let other = Index {
            card: json!({}),
            ..made
        };
        write_atomic(&args.out, &serde_json::to_vec(&other).unwrap()).unwrap();
        assert!(
            find(&wish)
                .unwrap_err()
                .to_string()
                .contains("other weights")
        );
    }
}
