//! `sojourn camera check`: rectifies a stereo pair, draws it with its rows and measures what is left.

use crate::cli_error::{CliError, CliResult};
use crate::commands::{say, say_json};
use crate::{grey_file, pixels};
use anyhow::{Context, ensure};
use clap::Args;
use sojourn_core::camera::{
    CameraModel,
    linearize::Warp,
    pds::PdsImage,
    rectify::{Rectification, RightEye},
};
use sojourn_core::{Stamp, files};
use sojourn_perception::stereo::GreyImage;
use sojourn_perception::stereo::epipolar::{Corner, corners, residual};
use std::path::{Path, PathBuf};

/// Distance of the rows that are drawn, as a share of the height.
const ROWS: usize = 16;

/// `sojourn camera check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The left image: PNG or JPEG (grey), or a raw image with a PDS3 label.
    pub left: PathBuf,
    /// The right image.
    pub right: PathBuf,
    /// The left camera: a file of ROS's `camera_calibration`, a camera YAML or a file with a PDS3 label. Without it the
    /// images' own labels count; images without any are taken as rectified.
    #[arg(long, value_name = "FILE", requires = "right_camera_or_beside")]
    pub left_camera: Option<PathBuf>,
    /// The right camera.
    #[arg(long, value_name = "FILE", group = "right_camera_or_beside")]
    pub right_camera: Option<PathBuf>,
    /// Instead of a right camera: it is like the left one and stands this far to its right.
    #[arg(long, value_name = "M", group = "right_camera_or_beside")]
    pub beside: Option<f64>,
    /// Greatest disparity that is looked for, pixels; a quarter of the width without it.
    #[arg(long, value_name = "PX")]
    pub most: Option<usize>,
    /// A picture to write, PNG: both rectified images with common rows and the corners found.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Prints JSON: {ok, corners, median_px, p90_px, bias_px, swapped, rectified, baseline_m, out}.
    #[arg(long)]
    pub json: bool,
}

/// What an image shows, 0 to 255, with the camera of its label.
struct Eye {
    image: GreyImage,
    label: Option<CameraModel>,
}

/// Rectifies and measures.
///
/// # Errors
/// One sentence that names the file and what is wrong.
pub fn check(args: &CheckArgs) -> CliResult {
    let mut eyes = [eye(&args.left)?, eye(&args.right)?];
    let rectification = rectification(args, &eyes)?;
    if let Some(r) = &rectification {
        for (eye, warp) in eyes.iter_mut().zip(&r.warps) {
            eye.image = warped(&eye.image, warp)?;
        }
    }
    let [left, right] = [&eyes[0].image, &eyes[1].image];
    if (left.width, left.height) != (right.width, right.height) {
        let words =
            |p: &Path, i: &GreyImage| format!("{} is {} x {}", p.display(), i.width, i.height);
        return Err(CliError::Usage(format!(
            "{}, {}: a pair has one size",
            words(&args.left, left),
            words(&args.right, right)
        )));
    }
    let most = args.most.unwrap_or(left.width / 4).clamp(1, left.width);
    let found = corners(left, right, most);
    let Some(rest) = residual(&found) else {
        return Err(CliError::Usage(format!(
            "{} and {}: no corner of one is found in the other within 10 rows and {most} columns",
            args.left.display(),
            args.right.display()
        )));
    };
    if let Some(out) = &args.out {
        files::write_atomic(out, &picture(left, right, &found)?)?;
    }
    let swapped = rest.backwards > 0.5;
    let baseline_m = rectification.as_ref().map(|r| r.baseline_m.abs());
    if args.json {
        return say_json(&serde_json::json!({
            "ok": true, "corners": found.len(), "median_px": rest.median_px, "p90_px": rest.p90_px,
            "bias_px": rest.bias_px, "swapped": swapped, "rectified": rectification.is_some(),
            "baseline_m": baseline_m, "out": args.out,
        }));
    }
    let what = match baseline_m {
        Some(b) => format!("rectified, baseline {b:.3} m"),
        None => "taken as rectified (no camera given)".into(),
    };
    say(&format!(
        "{what}: {} corners lie {:.2} px off their rows (median; 90 % within {:.2} px; right image {:+.2} px lower)",
        found.len(),
        rest.median_px,
        rest.p90_px,
        rest.bias_px
    ));
    if swapped {
        say("left and right are exchanged: most corners lie farther right in the right image");
    }
    Ok(())
}

fn eye(file: &Path) -> anyhow::Result<Eye> {
    let stamp = Stamp::default();
    if grey_file::is_picture(file) {
        let (width, height, pixels) = grey_file::read(file)?;
        let image = GreyImage {
            stamp,
            width,
            height,
            pixels,
        };
        return Ok(Eye { image, label: None });
    }
    let raw = PdsImage::load(file)?;
    let grey = raw.grey();
    let most = grey.samples.iter().copied().fold(1.0f32, f32::max);
    let image = GreyImage {
        stamp,
        width: grey.width,
        height: grey.height,
        pixels: bytes(grey.samples, 255.0 / most),
    };
    Ok(Eye {
        image,
        label: raw.label.camera().ok(),
    })
}

fn bytes(samples: &[f32], gain: f32) -> Vec<u8> {
    // What shows nothing becomes black: a cast of not-a-number is 0.
    samples
        .iter()
        .map(|s| (s * gain).round().clamp(0.0, 255.0) as u8)
        .collect()
}

fn warped(image: &GreyImage, warp: &Warp) -> anyhow::Result<GreyImage> {
    Ok(GreyImage {
        stamp: image.stamp,
        width: warp.width,
        height: warp.height,
        pixels: warp.apply_to_bytes(image.width, image.height, &image.pixels)?,
    })
}

fn rectification(args: &CheckArgs, eyes: &[Eye; 2]) -> anyhow::Result<Option<Rectification>> {
    let made = match (&args.left_camera, &args.right_camera, args.beside) {
        (Some(l), Some(r), _) => Rectification::load(l, RightEye::File(r))?,
        (Some(l), None, Some(beside_m)) => {
            Rectification::load(l, RightEye::Beside(beside_m)).context("--left-camera, --beside")?
        }
        (None, None, None) => match (&eyes[0].label, &eyes[1].label) {
            (Some(l), Some(r)) => {
                let what = format!("{} and {}", args.left.display(), args.right.display());
                Rectification::by_models(&what, l, r)?
            }
            _ => return Ok(None),
        },
        _ => anyhow::bail!("--left-camera goes with --right-camera or --beside"),
    };
    for ((eye, warp), file) in eyes.iter().zip(&made.warps).zip([&args.left, &args.right]) {
        let size = (eye.image.width, eye.image.height);
        ensure!(
            size == (warp.width, warp.height),
            "{} is {} x {}, its camera's images are {} x {}",
            file.display(),
            size.0,
            size.1,
            warp.width,
            warp.height
        );
    }
    Ok(Some(made))
}

/// Both images side by side with common rows in colours and crosses on the corners, PNG.
///
/// # Errors
/// When the two are not of one size.
pub fn picture(left: &GreyImage, right: &GreyImage, found: &[Corner]) -> anyhow::Result<Vec<u8>> {
    let (w, h) = (left.width, left.height);
    let mut rgb = vec![0u8; 6 * w * h];
    for v in 0..h {
        for (k, image) in [left, right].into_iter().enumerate() {
            for u in 0..w {
                let grey = image.pixels.get(v * w + u).copied().unwrap_or(0);
                let i = 3 * (v * 2 * w + k * w + u);
                rgb.get_mut(i..i + 3).context("picture")?.fill(grey);
            }
        }
    }
    let mut put = |u: f64, v: f64, colour: [u8; 3]| {
        if u >= 0.0 && v >= 0.0 && u < 2.0 * w as f64 && v < h as f64 {
            let i = 3 * (v as usize * 2 * w + u as usize);
            if let Some(pixel) = rgb.get_mut(i..i + 3) {
                pixel.copy_from_slice(&colour);
            }
        }
    };
    for k in 1..ROWS {
        let v = (k * h / ROWS) as f64;
        let colour = if k % 2 == 0 {
            [90, 200, 250]
        } else {
            [250, 200, 60]
        };
        for u in 0..2 * w {
            put(u as f64, v, colour);
        }
    }
    for c in found {
        let off = c.off_px.abs();
        let colour = if off < 0.5 {
            [60, 230, 90]
        } else if off < 1.5 {
            [250, 220, 40]
        } else {
            [250, 60, 50]
        };
        let (u, v) = (c.u as f64, c.v as f64);
        for (u, v) in [(u, v), (w as f64 + u - c.disparity_px, v + c.off_px)] {
            for d in -3..=3 {
                put(u + f64::from(d), v, colour);
                put(u, v + f64::from(d), colour);
            }
        }
    }
    pixels::rgb8(2 * w, h, &rgb)
}
