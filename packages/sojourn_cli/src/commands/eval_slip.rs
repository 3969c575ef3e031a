//! `sojourn eval slip`: the soils' slip over slope as a table, as JSON and as a picture.

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use crate::report::canvas::{Canvas, Rgba};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use sojourn_core::{files::write_atomic, soil::SoilTable};
use sojourn_twin::terra::climb::{Climber, Compared, Curve, SLOPES_DEG, shipped_anchors};
use std::path::{Path, PathBuf};

/// `sojourn eval slip`
#[derive(Debug, Args)]
pub struct SlipArgs {
    /// The rover: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// The planet: a name in config/bodies or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "mars")]
    pub body: String,
    /// The soils; without it the table that comes with Sojourn.
    #[arg(long, value_name = "FILE")]
    pub soils: Option<PathBuf>,
    /// A picture of the curves (PNG).
    #[arg(long, value_name = "FILE")]
    pub chart: Option<PathBuf>,
    /// Drives this many worlds of the twin instead, and says how far the forecast of slip was off, stretch by stretch.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000), conflicts_with = "chart")]
    pub seeds: Option<u64>,
    /// What the forecast begins with, by class; without it the table that comes with Sojourn.
    #[arg(long, value_name = "FILE", requires = "seeds")]
    pub priors: Option<PathBuf>,
    /// Writes such a table, made from the spread of the soils, and does nothing else.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "chart"])]
    pub fit_priors: Option<PathBuf>,
    /// Prints JSON: {rover, body, curves: [{class, points: [{slope_deg, slip, sinkage_m, stuck}]}],
    /// anchors: [{what, class, figure, anchor, model, deviation_points, used_for_fit}]}; with
    /// --seeds {mae_points, mae_points_unmeasured, mae_points_classless, mae_points_model, within_2sigma, stretches, per_class, …}.
    #[arg(long)]
    pub json: bool,
}

/// Works the curves out.
///
/// # Errors
/// One sentence that names the file or key that is wrong.
pub fn slip(args: &SlipArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let body = ground::body(&places, &args.body)?;
    let table = match &args.soils {
        Some(file) => SoilTable::load(file)?,
        None => SoilTable::shipped()?,
    };
    if let Some(file) = &args.fit_priors {
        return super::eval_slip_forecast::fit(&rover, &body, &table, file);
    }
    if let Some(seeds) = args.seeds {
        return super::eval_slip_forecast::drives(args, &rover, &body, seeds);
    }
    let climber = Climber::new(&rover, &body, &table);
    let curves = climber.curves();
    let anchors = climber.compare(&shipped_anchors()?)?;
    if let Some(file) = &args.chart {
        draw(&curves, &anchors, file)?;
    }
    if args.json {
        return say_json(&json!({
            "rover": rover.name,
            "body": body.name,
            "curves": curves,
            "anchors": anchors,
        }));
    }
    say(&format!(
        "{} on {}: slip in %, * stuck",
        rover.name, body.name
    ));
    let at = [-10.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0];
    let heads: String = at.iter().map(|s| format!("{s:>7.0}°")).collect();
    say(&format!("{:<18}{heads}", "class"));
    for c in &curves {
        let cells: String = c
            .points
            .iter()
            .filter(|p| at.contains(&p.slope_deg))
            .map(|p| format!("{:>7.0}{}", 100.0 * p.slip, if p.stuck { "*" } else { " " }))
            .collect();
        say(&format!("{:<18}{cells}", c.class.traits().name));
    }
    say(
        "\nbeside what was measured (points: model less published; \"fitted\": the soil was chosen by it)",
    );
    for a in &anchors {
        say(&format!(
            "{:<16} {:<38} published {:>5.1}  model {:>5.1}  {:>+6.1}{}  {}",
            a.class.traits().name,
            a.figure,
            a.anchor,
            a.model,
            a.deviation_points,
            if a.used_for_fit { " fitted" } else { "" },
            a.what
        ));
    }
    if let Some(file) = &args.chart {
        say(&format!("wrote {}", file.display()));
    }
    Ok(())
}

const SIZE: [u32; 2] = [900, 560];
const FRAME: [f32; 4] = [70.0, 40.0, 700.0, 500.0];
const INK: Rgba = [30, 30, 30, 255];
const GRID: Rgba = [220, 220, 220, 255];
const COLOURS: [Rgba; 7] = [
    [90, 90, 90, 255],
    [150, 110, 70, 255],
    [40, 120, 60, 255],
    [30, 130, 170, 255],
    [130, 70, 160, 255],
    [220, 130, 20, 255],
    [200, 40, 40, 255],
];

/// Draws the curves, and as dots the published slips.
fn draw(curves: &[Curve], anchors: &[Compared], file: &Path) -> anyhow::Result<()> {
    let mut c = Canvas::new(SIZE[0], SIZE[1], [255, 255, 255, 255])?;
    let (lo, hi) = (*SLOPES_DEG.start() as f32, *SLOPES_DEG.end() as f32);
    let [left, top, right, bottom] = FRAME;
    let at = |slope_deg: f64, slip: f64| {
        let x = left + (slope_deg as f32 - lo) / (hi - lo) * (right - left);
        // from −10 % to 100 %
        let y = bottom - (slip.clamp(-0.1, 1.0) as f32 + 0.1) / 1.1 * (bottom - top);
        [x, y]
    };
    for percent in [-10, 0, 20, 40, 60, 80, 100] {
        let [_, y] = at(0.0, f64::from(percent) / 100.0);
        c.line(&[[left, y], [right, y]], 1.0, GRID, None);
        c.words(24.0, y - 4.0, 1, INK, &format!("{percent:>4}%"));
    }
    for slope in (-10..=30).step_by(5) {
        let [x, _] = at(f64::from(slope), 0.0);
        c.line(&[[x, top], [x, bottom]], 1.0, GRID, None);
        c.words(x - 8.0, bottom + 8.0, 1, INK, &slope.to_string());
    }
    c.words(
        left,
        14.0,
        1,
        INK,
        "slip over slope, straight uphill, by class of ground",
    );
    c.words(left + 230.0, bottom + 28.0, 1, INK, "slope, degrees");
    for (k, curve) in curves.iter().enumerate() {
        let colour = COLOURS[k % COLOURS.len()];
        let line: Vec<[f32; 2]> = curve
            .points
            .iter()
            .map(|p| at(p.slope_deg, p.slip))
            .collect();
        c.line(&line, 2.0, colour, None);
        let y = top + 20.0 * k as f32;
        c.line(
            &[[right + 20.0, y + 4.0], [right + 44.0, y + 4.0]],
            3.0,
            colour,
            None,
        );
        c.words(right + 52.0, y, 1, INK, curve.class.traits().name);
        for a in anchors.iter().filter(|a| a.class == curve.class) {
            if let Some(slope) = a
                .figure
                .strip_prefix("slip at ")
                .and_then(|t| t.split(' ').next())
                .and_then(|t| t.parse::<f64>().ok())
            {
                c.disc(at(slope, a.anchor / 100.0), 5.0, colour, INK);
            }
        }
    }
    let y = top + 20.0 * curves.len() as f32 + 12.0;
    c.disc([right + 32.0, y + 4.0], 5.0, [255, 255, 255, 255], INK);
    c.words(right + 52.0, y, 1, INK, "published");
    ground::writable(file)?;
    let png = c.png().context("the chart")?;
    write_atomic(file, &png)?;
    Ok(())
}
