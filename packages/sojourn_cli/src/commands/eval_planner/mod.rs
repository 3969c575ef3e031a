//! `sojourn eval planner`: labels and routes of a provider against truth, and the same planner with and without labels
//! ridden over the true ground.

mod figures;
mod judge;
mod ride;
mod scene;
mod tell;

use crate::args::ModelArgs;
use crate::cli_error::{CliError, CliResult};
use crate::ground;
use crate::launch::places::Places;
use crate::orbital_labels;
use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use judge::{Labeller, Row, judge};
use scene::{Course, Scene};
use sojourn_core::body::Body;
use sojourn_core::constraints::Constraints;
use sojourn_core::files;
use sojourn_core::plan::digest_of;
use sojourn_core::rover::Rover;
use sojourn_planner::{Briefing, ModelConfig, Provider};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the test double that hands out the true hazards.
const DOUBLE: &str = "perfect-label-double";

/// `sojourn eval planner`
#[derive(Debug, Args)]
pub struct PlannerArgs {
    /// Seeds of generated scenes.
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub scenes: Option<(u64, u64)>,
    /// What the generated scenes are like: a name in config/worlds or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "sandy")]
    pub world: String,
    /// Where the goal lies: east of the start, or up, down or across the slope of the whole scene.
    #[arg(long, value_enum, default_value_t = Course::East)]
    pub course: Course,
    /// Folder of scenes instead: each a world's folder with truth/manifest.json and its layer "classes"; with pictures from
    /// the surface where there is a surface.json, a list as `sojourn plan --surface` takes it.
    #[arg(long, value_name = "DIR", conflicts_with = "scenes")]
    pub set: Option<PathBuf>,
    /// Who is asked. For this command also perfect-label-double: no provider but a test double that hands out the true
    /// hazards as labels; it shows what the planner makes of labels without any error.
    #[command(flatten)]
    pub model: ModelArgs,
    /// How models are talked to; the shipped config/model.yaml without it.
    #[arg(long, value_name = "FILE")]
    pub model_config: Option<PathBuf>,
    /// Leaves parts out: crops, surface, tools, critic, second_pass, knowledge, calibration.
    #[arg(long, value_name = "PART,…", value_delimiter = ',')]
    pub without: Vec<String>,
    /// The rover: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// Constraints; config/mission.yaml without it.
    #[arg(long, value_name = "FILE")]
    pub mission: Option<PathBuf>,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for rows.jsonl (scenes in it are not asked again) and report.html.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints JSON: {scenes, missed_hazard, false_alarm_area, iou, centroid_error_m, valid_plans, cost_ratio_median,
    /// rounds_mean, usd_mean, hazard_m_alone, hazard_m_with, length_ratio, embeddings_alone, embeddings_with, embedding_fall,
    /// slip_events_alone, slip_events_with, slip_event_fall, slip_m_fall, pairs, rows}, each figure {value, lo, hi, n}.
    #[arg(long)]
    pub json: bool,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("\"{text}\" is no range, expected A..B with A less than B");
    let (a, b) = text.split_once("..").ok_or_else(wrong)?;
    let (a, b) = (
        a.trim().parse().map_err(|_| wrong())?,
        b.trim().parse().map_err(|_| wrong())?,
    );
    if a < b && b - a <= 100_000 {
        Ok((a, b))
    } else {
        Err(wrong())
    }
}

/// What every scene is judged with.
struct Bench<'a> {
    rover: Rover,
    body: Body,
    mission: Constraints,
    course: Course,
    provider: Option<&'a dyn Provider>,
    /// Labels without a conversation.
    labeller: Labeller,
    config: ModelConfig,
    briefing: Briefing,
}

impl Bench<'_> {
    fn provider_name(&self) -> String {
        match (&self.labeller, self.provider) {
            (Labeller::Classifier(_), _) => orbital_labels::CLASSIFIER.into(),
            (Labeller::Double, _) => DOUBLE.into(),
            (Labeller::Nobody, Some(p)) => p.name(),
            (Labeller::Nobody, None) => "geometric".into(),
        }
    }

    /// Everything that a row depends on but its scene.
    fn setup(&self, args: &PlannerArgs) -> anyhow::Result<String> {
        let classifier = match &self.labeller {
            Labeller::Classifier(o) => o.card(),
            _ => "",
        };
        Ok(digest_of(
            "the evaluation",
            &serde_json::json!({
                "provider": self.provider_name(),
                "model": self.provider.map(Provider::model),
                "classifier": classifier,
                "config": self.config.digest()?,
                "without": args.without,
                "rover": digest_of("rover", &self.rover)?,
                "mission": digest_of("constraints", &self.mission)?,
                "course": args.course.to_possible_value().map(|v| v.get_name().to_string()),
                "world": args.scenes.map(|_| &args.world),
            }),
        )?)
    }
}

/// Measures.
///
/// # Errors
/// [`CliError::Failed`] in one sentence.
pub fn planner(args: &PlannerArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let (mission, _) = ground::mission(&places, args.mission.as_deref())?;
    let double = args.model.provider == DOUBLE;
    let asked = ModelArgs {
        provider: if double {
            "geometric".into()
        } else {
            args.model.provider.clone()
        },
        ..args.model.clone()
    };
    let (provider, config) = ground::provider(&asked, args.model_config.as_deref())?;
    let labeller = match orbital_labels::classifier(&asked)? {
        _ if double => Labeller::Double,
        Some(orbital) => Labeller::Classifier(Box::new(orbital)),
        None => Labeller::Nobody,
    };
    let mut bench = Bench {
        rover,
        body: ground::body(&places, "mars")?,
        mission,
        course: args.course,
        provider: provider.as_deref(),
        labeller,
        config,
        briefing: Briefing::load(places.shared("config/knowledge").ok().as_deref(), None, "")?,
    };
    leave_out(&mut bench, &args.without)?;
    let setup = bench.setup(args)?;
    let names = scene::names(args)?;
    let rows_file = args.out.as_ref().map(|d| d.join("rows.jsonl"));
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir)
            .map_err(|e| sojourn_core::CoreError::io(dir, "making the folder", e))?;
    }
    let mut rows = rows_file
        .as_deref()
        .map_or_else(|| Ok(BTreeMap::new()), |file| read_rows(file, &setup))?;
    let bar = ProgressBar::new(names.len() as u64).with_style(
        ProgressStyle::with_template("planner {bar:30} {pos}/{len} scenes, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    for name in &names {
        if !rows.contains_key(name) {
            let scene = Scene::load(&places, args, name)?;
            rows.insert(name.clone(), judge(&bench, &scene, &setup)?);
            if let Some(file) = &rows_file {
                let text: String = rows
                    .values()
                    .map(|r| serde_json::to_string(r).map(|t| t + "\n"))
                    .collect::<Result<_, _>>()?;
                files::write_atomic(file, text.as_bytes())?;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let rows: Vec<Row> = names.iter().filter_map(|n| rows.get(n).cloned()).collect();
    tell::tell(args, &bench, &rows)
}

fn leave_out(bench: &mut Bench<'_>, parts: &[String]) -> Result<(), CliError> {
    let p = &mut bench.config.protocol;
    for part in parts {
        match part.as_str() {
            "crops" => p.crops = 0,
            "surface" => p.surface_views = 0,
            "tools" => p.tools = false,
            "critic" => p.critic = false,
            "second_pass" => p.second_pass = false,
            "calibration" => p.calibrate = false,
            "knowledge" => bench.briefing.knowledge.clear(),
            other => {
                return Err(CliError::Usage(format!(
                    "--without: \"{other}\" is no part, expected crops, surface, tools, critic, second_pass, knowledge or calibration"
                )));
            }
        }
    }
    Ok(())
}

/// Rows of an earlier run of the same set-up.
fn read_rows(file: &Path, setup: &str) -> anyhow::Result<BTreeMap<String, Row>> {
    if !file.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = files::read_text(file, 1 << 30)?;
    text.lines()
        .enumerate()
        .map(|(i, line)| {
            let row: Row = serde_json::from_str(line)
                .with_context(|| format!("{}: line {} is no result", file.display(), i + 1))?;
            ensure!(
                row.setup == setup,
                "{}: line {} comes from another provider, configuration, rover, mission or world; give another --out",
                file.display(),
                i + 1
            );
            Ok((row.scene.clone(), row))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(range("1..51"), Ok((1, 51)));
        for bad in ["", "5", "5..5", "9..2", "a..b", "0..9999999"] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rows_of_another_set_up_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rows.jsonl");
        let row = Row::blank("a", "this one");
        std::fs::write(&file, serde_json::to_string(&row).unwrap() + "\n").unwrap();
        assert_eq!(read_rows(&file, "this one").unwrap()["a"], row);
        let said = read_rows(&file, "another").unwrap_err().to_string();
        assert!(said.contains("line 1 comes from another"), "{said}");
        std::fs::write(&file, "{}\n").unwrap();
        let said = read_rows(&file, "this one").unwrap_err().to_string();
        assert!(said.contains("line 1 is no result"), "{said}");
    }
}
