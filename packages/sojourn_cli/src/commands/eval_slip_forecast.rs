//! `sojourn eval slip --seeds N` and `--fit-priors FILE`: the forecast of slip on drives of the twin, and the table that it
//! begins with.

use super::eval_slip::SlipArgs;
use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use sojourn_core::body::Body;
use sojourn_core::classes::CLASSES;
use sojourn_core::files::write_atomic;
use sojourn_core::rover::Rover;
use sojourn_core::slip::SlipModel;
use sojourn_core::slip_forecast::{ClassSlip, GRADE_SCALE_DEG, SlipPriors};
use sojourn_core::soil::{DRAWS, SoilTable};
use sojourn_sweep::slip_trial::{SlipFigures, Stretch, traverse};
use sojourn_twin::noise;
use sojourn_twin::terra::climb::Climber;
use std::path::Path;

/// The first seed of the drives.
const FIRST_SEED: u64 = 70_001;
/// Kinds of worlds, one after the other.
const WORLDS: [&str; 3] = ["mixed", "sandy", "firm"];
/// Soils that are drawn per class for the table.
const SOILS: i64 = 24;
const CHANNEL: u64 = 0x51_1c;
/// Slips above this are of a rover that is nearly stuck: no part of the fit.
const GREATEST_SLIP: f64 = 0.9;
/// Steepest ground of the fit, degrees.
const STEEPEST_DEG: f64 = 22.0;
/// Scatter from metre to metre that the fit cannot know (soil is even within a class here): relief under single wheels.
const SCATTER_SIGMA: f64 = 0.03;

/// Drives and tells.
pub(super) fn drives(args: &SlipArgs, rover: &Rover, body: &Body, seeds: u64) -> CliResult {
    let places = Places::find();
    let priors = match &args.priors {
        Some(file) => SlipPriors::load(file)?,
        None => SlipPriors::shipped()?,
    };
    let bar = ProgressBar::new(seeds).with_style(
        ProgressStyle::with_template("slip {bar:30} {pos}/{len} drives, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let recipes = WORLDS
        .iter()
        .map(|name| super::world::recipe(&places, name))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let driven: Vec<Vec<Stretch>> = (0..seeds)
        .into_par_iter()
        .map(|k| {
            let recipe = &recipes[k as usize % recipes.len()];
            let out = traverse(FIRST_SEED + k, rover, body, recipe, &priors);
            bar.inc(1);
            out
        })
        .collect::<Result<_, _>>()?;
    bar.finish_and_clear();
    let all = || driven.iter().flatten();
    let figures = SlipFigures::of(all());
    let by_class: Vec<(&str, SlipFigures)> = CLASSES
        .iter()
        .map(|c| {
            let of = SlipFigures::of(all().filter(|s| s.class == c.class));
            (c.name, of)
        })
        .filter(|(_, f)| f.stretches > 0)
        .collect();
    if args.json {
        let mut out = match serde_json::to_value(figures)? {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        out.insert("rover".into(), json!(rover.name));
        out.insert("seeds".into(), json!(seeds));
        out.insert("first_seed".into(), json!(FIRST_SEED));
        let classes: Map<String, Value> = by_class
            .iter()
            .map(|(name, f)| Ok(((*name).to_string(), serde_json::to_value(f)?)))
            .collect::<serde_json::Result<_>>()?;
        out.insert("per_class".into(), Value::Object(classes));
        return say_json(&Value::Object(out));
    }
    say(&format!(
        "{} drives, {} stretches of 1 m, mean slip {:.1} %: forecast off by {:.1} points (before the class was measured {:.1}; \
         without classes {:.1}; the rover's model alone {:.1}), {:.1} % within two of its standard deviations",
        seeds,
        figures.stretches,
        figures.slip_points,
        figures.mae_points,
        figures.mae_points_unmeasured,
        figures.mae_points_classless,
        figures.mae_points_model,
        100.0 * figures.within_2sigma
    ));
    for (name, f) in &by_class {
        say(&format!(
            "{name:<18} {:>5} stretches, slip {:>5.1} %, off by {:>4.1} points, {:>5.1} % within 2 sigma",
            f.stretches,
            f.slip_points,
            f.mae_points,
            100.0 * f.within_2sigma
        ));
    }
    Ok(())
}

/// Makes the table from the soils' own spread.
pub(super) fn fit(rover: &Rover, body: &Body, table: &SoilTable, file: &Path) -> CliResult {
    ground::writable(file)?;
    let curves: Vec<Vec<Vec<[f64; 2]>>> = (0..SOILS)
        .into_par_iter()
        .map(|k| {
            let mut drawn = table.clone();
            for (i, c) in drawn.classes.iter_mut().enumerate() {
                let normal = std::array::from_fn::<f64, DRAWS, _>(|d| {
                    noise::near_gauss(noise::hash(k as u64, CHANNEL, i as i64, d as i64))
                });
                c.nominal = c.draw(normal);
            }
            Climber::new(rover, body, &drawn)
                .curves()
                .iter()
                .map(|c| {
                    c.points
                        .iter()
                        .filter(|p| p.slope_deg <= STEEPEST_DEG && p.slip < GREATEST_SLIP)
                        .map(|p| [p.slope_deg, p.slip])
                        .collect()
                })
                .collect()
        })
        .collect();
    let classes = table
        .classes
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let of: Vec<&Vec<[f64; 2]>> = curves.iter().filter_map(|d| d.get(i)).collect();
            let model = middling(&of, rover.slip.lateral_per_rad);
            let (flat_sigma, grade_sigma) = spread(&of, &model);
            ClassSlip {
                class: c.class,
                model,
                flat_sigma,
                grade_sigma,
                scatter_sigma: SCATTER_SIGMA,
            }
        })
        .collect::<Vec<_>>();
    let mut text = format!(
        "# What slip is like on each class of ground before anything is measured, for one rover.\n\
         # Made by `sojourn eval slip --fit-priors`: {SOILS} soils of each class, drawn from the spread in config/soils.yaml, climbed\n\
         # by the twin's rover on even slopes; model: slip by grade of the middling soil, flat_sigma and grade_sigma: how far soils\n\
         # differ from it (share of the way, and per 10 degrees of grade). scatter_sigma is set, not fitted.\n\
         rover: {}\nclasses:\n",
        rover.name
    );
    for c in &classes {
        let m = &c.model;
        text += &format!(
            "  - class: {}\n    model: {{base: {:.4}, coefficient: {:.6}, exponent: {:.2}, downhill_factor: {:.2}, lateral_per_rad: {:.3}}}\n    \
             flat_sigma: {:.4}\n    grade_sigma: {:.4}\n    scatter_sigma: {:.3}\n",
            c.class.name(),
            m.base,
            m.coefficient,
            m.exponent,
            m.downhill_factor,
            m.lateral_per_rad,
            c.flat_sigma,
            c.grade_sigma,
            c.scatter_sigma
        );
    }
    write_atomic(file, text.as_bytes())?;
    SlipPriors::load(file)?;
    say(&format!("wrote {}", file.display()));
    Ok(())
}

/// The power law nearest to all points uphill, by least squares; downhill counts as flat.
fn middling(curves: &[&Vec<[f64; 2]>], lateral_per_rad: f64) -> SlipModel {
    let uphill = || curves.iter().flat_map(|c| c.iter()).filter(|p| p[0] >= 0.0);
    let mut best = (f64::INFINITY, [0.0, 0.0, 1.0]);
    for step in 4..=20 {
        let exponent = 0.25 * f64::from(step);
        // Base and coefficient by the normal equations.
        let (mut n, mut sx, mut sxx, mut sy, mut sxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for [deg, slip] in uphill() {
            let x = deg.powf(exponent);
            (n, sx, sxx) = (n + 1.0, sx + x, sxx + x * x);
            (sy, sxy) = (sy + slip, sxy + x * slip);
        }
        let det = n * sxx - sx * sx;
        if det.abs() < 1e-12 {
            continue;
        }
        let coefficient = ((n * sxy - sx * sy) / det).clamp(0.0, 0.1);
        let base = ((sy - coefficient * sx) / n).clamp(0.0, 0.5);
        let error: f64 = uphill()
            .map(|[deg, slip]| (slip - base - coefficient * deg.powf(exponent)).powi(2))
            .sum();
        if error < best.0 {
            best = (error, [base, coefficient, exponent]);
        }
    }
    let [base, coefficient, exponent] = best.1;
    SlipModel {
        base,
        coefficient,
        exponent,
        downhill_factor: 0.0,
        lateral_per_rad,
    }
}

/// Standard deviations of level and rise of the single soils around the middling one.
fn spread(curves: &[&Vec<[f64; 2]>], model: &SlipModel) -> (f64, f64) {
    let (mut flat, mut rise, mut n) = (0.0, 0.0, 0.0);
    for curve in curves {
        let points: Vec<[f64; 2]> = curve
            .iter()
            .filter(|p| p[0] >= 0.0)
            .map(|[deg, slip]| {
                [
                    deg / GRADE_SCALE_DEG,
                    slip - model.slip(-deg.to_radians(), 1.0),
                ]
            })
            .collect();
        let m = points.len() as f64;
        let (sx, sy) = points
            .iter()
            .fold((0.0, 0.0), |(a, b), p| (a + p[0], b + p[1]));
        let sxx: f64 = points.iter().map(|p| p[0] * p[0]).sum();
        let sxy: f64 = points.iter().map(|p| p[0] * p[1]).sum();
        let det = m * sxx - sx * sx;
        if points.len() < 3 || det.abs() < 1e-9 {
            continue;
        }
        let b = (m * sxy - sx * sy) / det;
        let a = (sy - b * sx) / m;
        (flat, rise, n) = (flat + a * a, rise + b * b, n + 1.0);
    }
    let sigma = |sum: f64| (sum / f64::max(n, 1.0)).sqrt().clamp(0.005, 1.0);
    (sigma(flat), sigma(rise))
}
