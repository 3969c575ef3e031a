//! `sojourn eval perception`

use super::{say, say_json};
use crate::cli_error::{CliError, CliResult};
use crate::ground;
use crate::launch::places::Places;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sojourn_core::files::read_bytes;
use sojourn_perception::{classes::Classifier, small::Rules};
use sojourn_sweep::perception_eval::{
    Figures, Found, Ring, RippleFigures, SmallFigures, Subject, evaluate, evaluate_ripples,
    evaluate_small,
};
use sojourn_twin::recipe::Recipe;
use std::path::Path;

/// Largest file of a network, bytes.
const LARGEST_MODEL: u64 = 64 << 20;

/// `sojourn eval perception`
#[derive(Debug, Args)]
pub struct PerceptionArgs {
    /// Worlds, from seeds 1 to this; three views in each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: u64,
    /// The rover whose cameras look: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// The kind of world; its rocks are set to CFA 5, 7.5 and 10 %.
    #[arg(long, value_name = "NAME", default_value = "mixed")]
    pub world: String,
    /// Measures the ripples of sand that stereo finds in as many sandy worlds, in place of all else (`--world sandy`).
    #[arg(long, conflicts_with = "classes")]
    pub ripples: bool,
    /// Measures float rocks, veins and fields of nodules in four views of each of so many other worlds, in place of all else; veins and
    /// nodules are painted on the worlds' rock. With the shipped rules, or a file of `sojourn train small`.
    #[arg(long, value_name = "shipped|FILE", num_args = 0..=1, default_missing_value = "shipped", conflicts_with_all = ["classes", "ripples"])]
    pub small: Option<String>,
    /// Also asks the terrain network and compares the classes of the grid's cells with the world's: shipped, or a file of
    /// `sojourn train terrain`.
    #[arg(long, value_name = "shipped|FILE")]
    pub classes: Option<String>,
    /// Prints JSON, with --ripples {rippled, found, by_image, plain, found_in_plain, wavelength_off, height, across_off_deg}, with --small {views, float_rock,
    /// nodule, vein: {there, proposed, recall, reported, precision}, seconds}, else: grid_rmse_6m_m, grid_rmse_10m_m, within_2sigma, rock_recall, rock_precision, rate_hz, latency_p99_ms,
    /// and under "figures" what they were made from.
    #[arg(long)]
    pub json: bool,
}

/// What is measured: a rover in a kind of world, with the shipped parameters.
///
/// # Errors
/// One sentence that names the file or key that is wrong.
pub fn subject(rover: &str, world: &str) -> Result<Subject, CliError> {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, rover)?;
    let body = ground::body(&places, "mars")?;
    let recipe = Recipe::load(&places.shared(&format!("config/worlds/{world}.yaml"))?)?;
    let file = places.shared("config/perception.param.yaml")?;
    let params = sojourn_core::params::load_node_params(&file, "perception")?;
    Ok(Subject {
        rover,
        body,
        recipe,
        params,
    })
}

/// Measures.
///
/// # Errors
/// One sentence that names the file or key that is wrong.
pub fn perception(args: &PerceptionArgs) -> CliResult {
    let subject = subject(&args.rover, &args.world)?;
    let classifier = match args.classes.as_deref() {
        None => None,
        Some("shipped") => Some(Classifier::shipped()?),
        Some(file) => {
            let bytes = read_bytes(Path::new(file), LARGEST_MODEL)?;
            Some(Classifier::new(&bytes).with_context(|| format!("--classes {file}"))?)
        }
    };
    let bar = ProgressBar::new(args.seeds);
    if let Ok(style) =
        ProgressStyle::with_template("{elapsed:>4} worlds [{bar:40}] {pos} of {len}, {eta} left")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.tick();
    if args.ripples {
        let figures = evaluate_ripples(&subject, args.seeds, |done| bar.set_position(done))?;
        bar.finish_and_clear();
        if args.json {
            return say_json(&figures);
        }
        tell_ripples(&figures);
        return Ok(());
    }
    if let Some(rules) = args.small.as_deref() {
        let rules = match rules {
            "shipped" => Rules::shipped()?,
            file => Rules::load(Path::new(file))?,
        };
        let figures = evaluate_small(&subject, &rules, args.seeds, |done| bar.set_position(done))?;
        bar.finish_and_clear();
        if args.json {
            return say_json(&figures);
        }
        tell_small(&figures);
        return Ok(());
    }
    let figures = evaluate(&subject, classifier, args.seeds, |done| {
        bar.set_position(done)
    })?;
    bar.finish_and_clear();
    let rate_hz = if figures.frame_s > 0.0 {
        1.0 / figures.frame_s
    } else {
        0.0
    };
    if args.json {
        return say_json(&json!({
            "grid_rmse_6m_m": figures.ring_6m.rmse_m,
            "grid_rmse_10m_m": figures.ring_10m.rmse_m,
            "within_2sigma": figures.ring_10m.within_2sigma,
            "rock_recall": figures.rock_recall,
            "rock_precision": figures.rock_precision,
            "rate_hz": rate_hz,
            "latency_p99_ms": 1e3 * figures.frame_p99_s,
            "figures": figures,
        }));
    }
    tell(&figures, rate_hz);
    Ok(())
}

fn tell_ripples(f: &RippleFigures) {
    say(&format!(
        "through stereo: ripples found in {:.0} % of {} rippled windows ({} of them only because the image shows them, too) and in {} of {} plain ones; medians: wavelength {:.0} % off, \
         height {:.2} of the true one, direction {:.0} deg off",
        100.0 * f.found,
        f.rippled,
        f.by_image,
        f.found_in_plain,
        f.plain,
        100.0 * f.wavelength_off,
        f.height,
        f.across_off_deg
    ));
}

fn tell_small(f: &SmallFigures) {
    let line = |name: &str, of: Found| {
        say(&format!(
            "{name}: {:.0} % of {} found (looked at: {:.0} %); of {} reported {:.0} % real",
            100.0 * of.recall,
            of.there,
            100.0 * of.proposed,
            of.reported,
            100.0 * of.precision
        ));
    };
    say(&format!(
        "{} rendered views, {:.0} ms an image",
        f.views,
        1e3 * f.seconds
    ));
    line("float rocks of 25 cm and more within 6 m", f.float_rock);
    line("veins within 5 m", f.vein);
    line("fields of nodules within 5 m", f.nodule);
}

fn tell(f: &Figures, rate_hz: f64) {
    say(&format!(
        "{} pairs matched, {} refused; {:.1} % of the cells within 10 m that two pixels show are known",
        f.frames,
        f.refused,
        100.0 * f.coverage
    ));
    for (name, r) in [("6 m", f.ring_6m), ("10 m", f.ring_10m)] {
        let Ring {
            rmse_m,
            median_m,
            bias_m,
            within_2sigma,
            ..
        } = r;
        say(&format!(
            "within {name:>4}: RMSE {:.1} cm, median {:.1} cm, bias {:+.1} cm, {:.1} % within 2 sigma ({} cells)",
            100.0 * rmse_m,
            100.0 * median_m,
            100.0 * bias_m,
            100.0 * within_2sigma,
            r.cells
        ));
    }
    say(&format!(
        "rocks of 25 cm and more within 6 m, half visible or more: {:.1} % of {} found; of {} reported {:.1} % are rocks; heights {:+.1} cm",
        100.0 * f.rock_recall,
        f.rocks,
        f.reported,
        100.0 * f.rock_precision,
        100.0 * f.rock_height_bias_m
    ));
    say(&format!(
        "from pair to grid: {rate_hz:.1} Hz, 99 % within {:.0} ms; {:.0} ms of processor time",
        1e3 * f.frame_p99_s,
        1e3 * f.frame_cpu_s
    ));
    if let Some(c) = &f.classes {
        say(&format!(
            "classes of the ground: {} images, {} unlike those learnt from; of {} cells {:.1} % got a class, {:.1} % of these the right \
             one; sand called soil or bedrock {:.1} %, rocks of 25 cm and more not called big rock {:.1} %",
            c.images,
            c.unlike,
            c.cells,
            100.0 * c.decided,
            100.0 * c.right,
            100.0 * c.missed_sand,
            100.0 * c.missed_big_rock
        ));
    }
}
