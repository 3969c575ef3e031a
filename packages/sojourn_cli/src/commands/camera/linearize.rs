//! `sojourn camera linearize`: a raw rover image as a linear camera would have taken it.

use crate::cli_error::CliResult;
use crate::commands::{say, say_json};
use crate::pixels;
use clap::Args;
use sojourn_core::{
    camera::{
        linearize::{Field, Warp, linear_of},
        pds::PdsImage,
        residual,
    },
    files,
};
use std::path::PathBuf;

/// `sojourn camera linearize`
#[derive(Debug, Args)]
pub struct LinearizeArgs {
    /// The raw image, with a PDS3 label.
    pub image: PathBuf,
    /// A linearised image of the same scene: its camera is taken, and the residual between the two measured.
    #[arg(long, value_name = "FILE")]
    pub like: Option<PathBuf>,
    /// The image to write, PNG.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Prints JSON: ok, patches, median_px, p90_px, unwarped_median_px, greatest_shift_px.
    #[arg(long)]
    pub json: bool,
}

/// Warps a raw image.
///
/// # Errors
/// [`CliError::Failed`] in one sentence.
pub fn linearize(args: &LinearizeArgs) -> CliResult {
    let raw = PdsImage::load(&args.image)?;
    let from = raw.label.camera()?;
    let like = args.like.as_deref().map(PdsImage::load).transpose()?;
    let to = match &like {
        Some(image) => image.label.camera()?,
        None => linear_of(&from, Field::Least)?,
    };
    let warp = Warp::new(&to, &from);
    let made = warp.apply(&raw.grey());
    let greatest_px = warp
        .from
        .iter()
        .enumerate()
        .map(|(k, p)| (p[0] - (k % warp.width) as f32).hypot(p[1] - (k / warp.width) as f32))
        .filter(|d| d.is_finite())
        .fold(0.0f32, f32::max);
    if let Some(out) = &args.out {
        let (low, high) = range(&made);
        let bytes: Vec<u8> = made
            .iter()
            .map(|v| ((v - low) / (high - low) * 255.0).clamp(0.0, 255.0) as u8)
            .collect();
        files::write_atomic(out, &pixels::grey8(to.width, to.height, &bytes)?)?;
    }
    let residual = like.map(|like| {
        let made = residual::Grey {
            width: to.width,
            height: to.height,
            samples: &made,
        };
        let with = residual::shifts(&made, &like.grey(), 32);
        let without = residual::shifts(&raw.grey(), &like.grey(), 32);
        let q = residual::quantile_px;
        (with.len(), q(&with, 0.5), q(&with, 0.9), q(&without, 0.5))
    });
    if args.json {
        let (patches, median, p90, without) = residual.unwrap_or((0, None, None, None));
        return say_json(&serde_json::json!({
            "ok": true, "patches": patches, "median_px": median, "p90_px": p90,
            "unwarped_median_px": without, "greatest_shift_px": greatest_px, "out": args.out,
        }));
    }
    let mut text = format!(
        "{}: the lens moves pixels by up to {greatest_px:.1} px",
        args.image.display()
    );
    if let Some((patches, Some(median), Some(p90), _)) = residual {
        text +=
            &format!("; residual {median:.3} px median, {p90:.3} px for 90 % of {patches} patches");
    }
    say(&text);
    Ok(())
}

/// Ends of the middle 98 % of the samples.
fn range(samples: &[f32]) -> (f32, f32) {
    let mut sorted: Vec<f32> = samples.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f32::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return (0.0, 1.0);
    };
    let (low, high) = (sorted[last / 100], sorted[last - last / 100]);
    (low, if high > low { high } else { low + 1.0 })
}
