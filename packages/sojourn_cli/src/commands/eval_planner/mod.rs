//! `sojourn eval planner`: labels and routes of a provider against truth, and the same planner with and without labels
//! ridden over the true ground.

mod detail;
mod figures;
mod frames;
mod judge;
mod page;
mod parts;
mod ride;
mod scene;
mod strata;
mod table;
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
use parts::{Others, Variant};
use scene::{Asked, Course, Scene};
use serde_json::json;
use sojourn_core::body::Body;
use sojourn_core::constraints::Constraints;
use sojourn_core::files;
use sojourn_core::plan::digest_of;
use sojourn_core::rover::Rover;
use sojourn_perception::orbital::Orbital;
use sojourn_planner::{Briefing, Provider};
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
    /// What the generated scenes are like: names in config/worlds or files; every seed is made in each of them.
    #[arg(
        long,
        value_name = "NAME|FILE,…",
        default_value = "sandy",
        value_delimiter = ','
    )]
    pub world: Vec<String>,
    /// Sides of the generated scenes, metres, as 125,250,500,1000: every seed is made in each size; the world's own without it.
    #[arg(long, value_name = "M,…", value_delimiter = ',')]
    pub span: Vec<f64>,
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
    /// Leaves parts out: crops, attention (close views follow the routes), surface, tools, critic, second_pass, knowledge, calibration, routes (none are offered, the
    /// model draws free coordinates).
    #[arg(long, value_name = "PART,…", value_delimiter = ',')]
    pub without: Vec<String>,
    /// Asks about every scene once more with each of these parts left out, or with each of all, and compares scene by scene.
    #[arg(long, value_name = "PART,…|all", value_delimiter = ',')]
    pub ablate: Vec<String>,
    /// Asks about every scene once more with at most so many close views in a pass of labels, as 0,1,2,4: what quality costs.
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub crops: Vec<usize>,
    /// Asks once more with close views of these sides, metres: how far labels agree between scales.
    #[arg(long, value_name = "M,…", value_delimiter = ',')]
    pub crop_span: Vec<f64>,
    /// The rover: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// Constraints; config/mission.yaml without it.
    #[arg(long, value_name = "FILE")]
    pub mission: Option<PathBuf>,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for rows.jsonl (scenes in it are not asked again), rows.parquet and report.html.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints JSON: {scenes, missed_hazard, false_alarm_area, iou, centroid_error_m, valid_plans, cost_ratio_median,
    /// risk_ratio_median, claims_hold, claim_error, rounds_mean, usd_mean, tokens_mean, calibration_error, pass_agreement, hazard_m_alone, hazard_m_with, length_ratio, embeddings_alone, embeddings_with, embedding_fall,
    /// slip_events_alone, slip_events_with, slip_event_fall, slip_m_fall, pairs, by, ablations, per_class,
    /// calibration, budgets, rows}, each figure {value, lo, hi, n}; `by` holds the figures by span, openness, terrain and world,
    /// `ablations` what each part is worth, `per_class` what was missed of each class, `calibration` which share of the ground
    /// is a hazard by risk and by word of confidence, `budgets` quality against tokens; `claims_hold` is the share of what the
    /// model was asked to claim of its routes that the host measures too, `claim_error` how far off in tolerances.
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
    /// The whole protocol, then the same without single parts.
    variants: Vec<Variant>,
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

    /// Everything that a row depends on.
    fn setup(
        &self,
        args: &PlannerArgs,
        variant: &Variant,
        asked: &Asked,
    ) -> anyhow::Result<String> {
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
                "config": variant.config.digest()?,
                "attention": (self.provider.is_some() && variant.config.protocol.attention)
                    .then(Orbital::shipped)
                    .transpose()?
                    .map(|o| o.card().to_string()),
                "knowledge": variant.briefing.knowledge.iter().map(|k| json!([k.name, k.text])).collect::<Vec<_>>(),
                "rover": digest_of("rover", &self.rover)?,
                "mission": digest_of("constraints", &self.mission)?,
                "course": args.course.to_possible_value().map(|v| v.get_name().to_string()),
                "scene": asked.describe(),
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
    let briefing = Briefing::load(places.shared("config/knowledge").ok().as_deref(), None, "")?;
    let whole = Variant::whole(config, briefing, &args.without)?;
    let bench = Bench {
        rover,
        body: ground::body(&places, "mars")?,
        mission,
        course: args.course,
        provider: provider.as_deref(),
        labeller,
        variants: parts::variants(
            whole,
            &args.ablate,
            &Others {
                crops: args.crops.clone(),
                crop_spans_m: args.crop_span.clone(),
            },
        )?,
    };
    if bench.provider.is_none() && bench.variants.len() > 1 {
        return Err(CliError::Usage(format!(
            "--ablate, --crops, --crop-span: {} holds no conversation of which something could be left out",
            bench.provider_name()
        )));
    }
    let scenes = scene::asked(&places, args)?;
    let rows_file = args.out.as_ref().map(|d| d.join("rows.jsonl"));
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir)
            .map_err(|e| sojourn_core::CoreError::io(dir, "making the folder", e))?;
    }
    let mut rows = match &rows_file {
        Some(file) => read_rows(file)?,
        None => BTreeMap::new(),
    };
    let bar = ProgressBar::new((scenes.len() * bench.variants.len()) as u64).with_style(
        ProgressStyle::with_template("planner {bar:30} {pos}/{len} scenes, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut told = Vec::new();
    for asked in &scenes {
        let mut scene = None;
        let mut whole: Option<Row> = None;
        for variant in &bench.variants {
            let key = (asked.name.clone(), variant.part.clone());
            let setup = bench.setup(args, variant, asked)?;
            let row = match rows.get(&key) {
                Some(row) => {
                    same_setup(row, &setup, rows_file.as_deref())?;
                    row.clone()
                }
                None => {
                    let scene = match &mut scene {
                        Some(scene) => scene,
                        none => none.insert(Scene::load(&places, asked)?),
                    };
                    let row = judge(&bench, variant, scene, &setup, whole.as_ref())?;
                    rows.insert(key, row.clone());
                    if let Some(file) = &rows_file {
                        write_rows(file, &rows)?;
                    }
                    row
                }
            };
            whole.get_or_insert_with(|| row.clone());
            told.push(row);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    tell::tell(args, &bench, &told)
}

type Rows = BTreeMap<(String, String), Row>;

fn write_rows(file: &Path, rows: &Rows) -> anyhow::Result<()> {
    let text: String = rows
        .values()
        .map(|r| serde_json::to_string(r).map(|t| t + "\n"))
        .collect::<Result<_, _>>()?;
    Ok(files::write_atomic(file, text.as_bytes())?)
}

/// Rows of an earlier run.
fn read_rows(file: &Path) -> anyhow::Result<Rows> {
    if !file.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = files::read_text(file, 1 << 30)?;
    text.lines()
        .enumerate()
        .map(|(i, line)| {
            let row: Row = serde_json::from_str(line)
                .with_context(|| format!("{}: line {} is no result", file.display(), i + 1))?;
            Ok(((row.scene.clone(), row.part.clone()), row))
        })
        .collect()
}

/// Refuses a row of another run that has the same name.
fn same_setup(row: &Row, setup: &str, file: Option<&Path>) -> anyhow::Result<()> {
    ensure!(
        row.setup == setup,
        "{}: the result of scene {} comes from another provider, configuration, rover, mission or world; give another --out",
        file.unwrap_or(Path::new("rows")).display(),
        row.scene
    );
    Ok(())
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
        let row = Row::blank("a", "", "this one");
        let part = Row::blank("a", "crops", "that one");
        let both = [&row, &part].map(|r| serde_json::to_string(r).unwrap() + "\n");
        std::fs::write(&file, both.concat()).unwrap();
        let read = read_rows(&file).unwrap();
        assert_eq!(read.len(), 2);
        let whole = &read[&("a".to_string(), String::new())];
        assert_eq!(whole, &row);
        assert!(same_setup(whole, "this one", Some(&file)).is_ok());
        let said = same_setup(whole, "another", Some(&file)).unwrap_err();
        assert!(
            said.to_string().contains("scene a comes from another"),
            "{said}"
        );
        std::fs::write(&file, "{}\n").unwrap();
        let said = read_rows(&file).unwrap_err().to_string();
        assert!(said.contains("line 1 is no result"), "{said}");
    }
}
