//! `sojourn eval science`

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use clap::Args;
use indicatif::ProgressBar;
use sojourn_perception::science::Wants;
use sojourn_sweep::perception_eval::{Subject, evaluate_science};
use std::path::PathBuf;

/// `sojourn eval science`
#[derive(Debug, Args)]
pub struct ScienceArgs {
    /// Worlds; four views in each.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(3..=10_000))]
    pub seeds: u64,
    /// The rover whose cameras look: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// The kind of world; its rocks are set to CFA 0 to 10 %.
    #[arg(long, value_name = "NAME", default_value = "mixed")]
    pub world: String,
    /// What the science team wants; without it config/science.yaml as it comes with Sojourn.
    #[arg(long, value_name = "FILE")]
    pub wants: Option<PathBuf>,
    /// Prints JSON: {best_in_20_percent, best, by_chance, worth_sent, images, rank_correlation, targets}.
    #[arg(long)]
    pub json: bool,
}

/// Measures.
///
/// # Errors
/// One sentence that names the file or key that is wrong.
pub fn science(args: &ScienceArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let wants = match &args.wants {
        Some(file) => Wants::load(file)?,
        None => Wants::shipped()?,
    };
    let file = places.shared("config/perception.param.yaml")?;
    let subject = Subject {
        rover,
        body: ground::body(&places, "mars")?,
        recipe: super::world::recipe(&places, &args.world)?,
        params: sojourn_core::params::load_node_params(&file, "perception")?,
    };
    let bar = ProgressBar::new(args.seeds);
    let f = evaluate_science(&subject, &wants, args.seeds, |done| bar.set_position(done))?;
    bar.finish_and_clear();
    if args.json {
        return say_json(&serde_json::to_value(&f)?);
    }
    say(&format!(
        "{} images, {} targets: of the {} best {:.0} % are sent whole in 20 % of the volume (by chance {:.0} %), with {:.0} % of \
         the true worth; rank correlation {:.2}",
        f.images,
        f.targets,
        f.best,
        100.0 * f.best_in_20_percent,
        100.0 * f.by_chance,
        100.0 * f.worth_sent,
        f.rank_correlation
    ));
    Ok(())
}
