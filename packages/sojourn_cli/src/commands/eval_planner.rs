//! `sojourn eval planner`: labels and routes of a provider against truth.

use super::{say, say_json};
use crate::args::ModelArgs;
use crate::cli_error::{CliError, CliResult};
use crate::ground;
use crate::launch::places::Places;
use crate::orbital_labels;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sojourn_core::classes::TerrainClass;
use sojourn_core::constraints::Constraints;
use sojourn_core::files;
use sojourn_core::geometry::Xy;
use sojourn_core::plan::{Feature, ModelLevel};
use sojourn_core::raster::Raster;
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;
use sojourn_perception::orbital::Orbital;
use sojourn_planner::model::Watch;
use sojourn_planner::score::{LabelScore, hazard_m, line_figures, score_labels, true_risk};
use sojourn_planner::{
    Assistance, Briefing, ModelConfig, PlanRequest, Provider, candidates, open_ground, plan,
    plan_labelled,
};
use sojourn_twin::generate::{CLASSES, generate};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Draws of the bootstrap.
const DRAWS: usize = 2000;

/// `sojourn eval planner`
#[derive(Debug, Args)]
pub struct PlannerArgs {
    /// Seeds of generated scenes.
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub scenes: Option<(u64, u64)>,
    /// What the generated scenes are like: a name in config/worlds or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "sandy")]
    pub world: String,
    /// Folder of scenes instead: each a world's folder with truth/manifest.json and its layer "classes".
    #[arg(long, value_name = "DIR", conflicts_with = "scenes")]
    pub set: Option<PathBuf>,
    /// Who is asked.
    #[command(flatten)]
    pub model: ModelArgs,
    /// How models are talked to; the shipped config/model.yaml without it.
    #[arg(long, value_name = "FILE")]
    pub model_config: Option<PathBuf>,
    /// Leaves parts out: crops, tools, critic, second_pass, knowledge, calibration.
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
    /// rounds_mean, usd_mean, hazard_m_alone, hazard_m_with, length_ratio, rows}, each figure {value, lo, hi}.
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

/// One scene's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    scene: String,
    level: Option<ModelLevel>,
    note: String,
    /// A plan came out and the model had its part in it.
    valid: bool,
    error: Option<String>,
    missed_hazard: Option<f64>,
    false_alarm_area: Option<f64>,
    iou: Option<f64>,
    centroid_error_m: Option<f64>,
    /// Cost of the route on the true ground by the least there is.
    cost_ratio: Option<f64>,
    rounds: usize,
    usd: f64,
    tokens_out: u64,
    seconds: f64,
    /// Metres on hazards of the plan without labels, and with them.
    hazard_m_alone: f64,
    hazard_m_with: Option<f64>,
    /// Length with labels by that without.
    length_ratio: Option<f64>,
    disagreements: usize,
    labels: usize,
}

/// A figure with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Figure {
    value: Option<f64>,
    lo: Option<f64>,
    hi: Option<f64>,
    n: usize,
}

struct Scene {
    name: String,
    site: Site,
    truth: Raster,
}

struct Bench<'a> {
    rover: Rover,
    mission: Constraints,
    provider: Option<&'a dyn Provider>,
    /// Labels without a conversation, when `--provider` is the classifier.
    orbital: Option<Orbital>,
    config: ModelConfig,
    briefing: Briefing,
}

/// Measures.
///
/// # Errors
/// [`CliError::Failed`] in one sentence.
pub fn planner(args: &PlannerArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let (mission, _) = ground::mission(&places, args.mission.as_deref())?;
    let (provider, config) = ground::provider(&args.model, args.model_config.as_deref())?;
    let mut bench = Bench {
        rover,
        mission,
        provider: provider.as_deref(),
        orbital: orbital_labels::classifier(&args.model)?,
        config,
        briefing: Briefing::load(places.shared("config/knowledge").ok().as_deref(), None, "")?,
    };
    leave_out(&mut bench, &args.without)?;
    let names = scene_names(args)?;
    let rows_file = args.out.as_ref().map(|d| d.join("rows.jsonl"));
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir)
            .map_err(|e| sojourn_core::CoreError::io(dir, "making the folder", e))?;
    }
    let mut rows = rows_file
        .as_deref()
        .map_or_else(|| Ok(BTreeMap::new()), read_rows)?;
    let bar = ProgressBar::new(names.len() as u64).with_style(
        ProgressStyle::with_template("planner {bar:30} {pos}/{len} scenes, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    for name in &names {
        if !rows.contains_key(name) {
            let scene = load_scene(&places, args, name)?;
            rows.insert(name.clone(), judge(&bench, &scene)?);
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
    tell(args, &bench, &rows)
}

fn leave_out(bench: &mut Bench<'_>, parts: &[String]) -> Result<(), CliError> {
    let p = &mut bench.config.protocol;
    for part in parts {
        match part.as_str() {
            "crops" => p.crops = 0,
            "tools" => p.tools = false,
            "critic" => p.critic = false,
            "second_pass" => p.second_pass = false,
            "calibration" => p.calibrate = false,
            "knowledge" => bench.briefing.knowledge.clear(),
            other => {
                return Err(CliError::Usage(format!(
                    "--without: \"{other}\" is no part, expected crops, tools, critic, second_pass, knowledge or calibration"
                )));
            }
        }
    }
    Ok(())
}

fn scene_names(args: &PlannerArgs) -> Result<Vec<String>, CliError> {
    match (&args.scenes, &args.set) {
        (Some((a, b)), None) => Ok((*a..*b).map(|s| format!("seed-{s:06}")).collect()),
        (None, Some(dir)) => {
            let entries = std::fs::read_dir(dir)
                .map_err(|e| sojourn_core::CoreError::io(dir, "reading", e))?;
            let mut names: Vec<String> = entries
                .flatten()
                .filter(|e| e.path().join("manifest.json").is_file())
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            if names.is_empty() {
                return Err(CliError::Failed(format!(
                    "{}: holds no scenes, expected folders with manifest.json and truth/manifest.json",
                    dir.display()
                )));
            }
            Ok(names)
        }
        _ => Err(CliError::Usage(
            "--scenes A..B or --set DIR is needed".into(),
        )),
    }
}

fn read_rows(file: &Path) -> anyhow::Result<BTreeMap<String, Row>> {
    if !file.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = files::read_text(file, 1 << 30)?;
    text.lines()
        .enumerate()
        .map(|(i, line)| {
            let row: Row = serde_json::from_str(line)
                .with_context(|| format!("{}: line {} is no result", file.display(), i + 1))?;
            Ok((row.scene.clone(), row))
        })
        .collect()
}

fn load_scene(places: &Places, args: &PlannerArgs, name: &str) -> anyhow::Result<Scene> {
    if let Some(set) = &args.set {
        let dir = set.join(name);
        let truth = Site::load(&dir.join("truth"))?;
        return Ok(Scene {
            name: name.into(),
            site: Site::load(&dir)?,
            truth: truth.layer(CLASSES)?.clone(),
        });
    }
    let seed: u64 = name.trim_start_matches("seed-").parse()?;
    let body = ground::body(places, "mars")?;
    let recipe = super::world::recipe(places, &args.world)?;
    let folder = generate(seed, &body, &recipe)?;
    let truth = folder.truth.layer(CLASSES)?.clone();
    Ok(Scene {
        name: name.into(),
        site: folder.site,
        truth,
    })
}

/// Start and goal on open ground that is no hazard, far apart and across the middle.
fn ends(scene: &Scene, open: &Raster) -> Option<[Xy; 2]> {
    let (o, s) = (open.origin_m(), open.size_m());
    let good = |p: Xy| {
        open.nearest(p[0], p[1]) == Some(1.0)
            && scene
                .truth
                .nearest(p[0], p[1])
                .and_then(|v| TerrainClass::from_code(v.round() as u8))
                .is_some_and(|c| true_risk(c) < 3)
    };
    let near = |share: Xy| {
        let aim = [o[0] + share[0] * s[0], o[1] + share[1] * s[1]];
        (0..400).find_map(|k| {
            // Outwards on a spiral.
            let (r, t) = (0.6 * f64::from(k).sqrt() * 2.0, f64::from(k) * 2.4);
            let p = [aim[0] + r * t.cos(), aim[1] + r * t.sin()];
            good(p).then_some(p)
        })
    };
    Some([near([0.12, 0.45])?, near([0.88, 0.55])?])
}

fn truth_features(scene: &Scene, truth: &Raster) -> Vec<Feature> {
    // One small square per cell would be too many: blocks of cells that hold a hazard.
    let (cols, rows) = (truth.cols(), truth.rows());
    let block = 4usize;
    let mut out = Vec::new();
    for r in (0..rows).step_by(block) {
        for c in (0..cols).step_by(block) {
            let cells = (r..(r + block).min(rows))
                .flat_map(|y| (c..(c + block).min(cols)).map(move |x| (x, y)));
            let bad = cells
                .filter_map(|(x, y)| TerrainClass::from_code(truth.get(x, y).round() as u8))
                .find(|k| true_risk(*k) >= 4);
            if let Some(class) = bad {
                let [x, y] = truth.centre_m(c, r);
                let (lo, w) = (
                    [
                        x - 0.5 * truth.resolution_m(),
                        y - 0.5 * truth.resolution_m(),
                    ],
                    block as f64 * truth.resolution_m(),
                );
                out.push(Feature {
                    class,
                    polygon: vec![
                        lo,
                        [lo[0] + w, lo[1]],
                        [lo[0] + w, lo[1] + w],
                        [lo[0], lo[1] + w],
                    ],
                    confidence: 1.0,
                    source: format!("truth of {}", scene.name),
                    added_cost: 8.0,
                    forbids: false,
                    risk: Some(true_risk(class)),
                    action: None,
                    science: None,
                    note: String::new(),
                });
            }
        }
    }
    out
}

fn judge(bench: &Bench<'_>, scene: &Scene) -> anyhow::Result<Row> {
    let mut row = Row {
        scene: scene.name.clone(),
        level: None,
        note: String::new(),
        valid: false,
        error: None,
        missed_hazard: None,
        false_alarm_area: None,
        iou: None,
        centroid_error_m: None,
        cost_ratio: None,
        rounds: 0,
        usd: 0.0,
        tokens_out: 0,
        seconds: 0.0,
        hazard_m_alone: 0.0,
        hazard_m_with: None,
        length_ratio: None,
        disagreements: 0,
        labels: 0,
    };
    let open = open_ground(&scene.site, &bench.rover, &bench.mission)?;
    let Some([start_m, goal_m]) = ends(scene, &open) else {
        row.error = Some("no open ground for start and goal".into());
        return Ok(row);
    };
    let request = PlanRequest {
        name: scene.name.clone(),
        start_m,
        goal_m,
        seed: 1,
    };
    let (site, rover, mission) = (&scene.site, &bench.rover, &bench.mission);
    let alone = match plan(&request, site, rover, mission, None) {
        Ok(made) => made,
        Err(e) => {
            row.error = Some(format!("without labels: {e}"));
            return Ok(row);
        }
    };
    row.hazard_m_alone = hazard_m(&alone.plan.line(), &scene.truth);
    let cancel = AtomicBool::new(false);
    let watch = Watch {
        cancel: &cancel,
        progress: &|_| {},
    };
    let began = std::time::Instant::now();
    let given = match &bench.orbital {
        Some(orbital) => Some(orbital_labels::labels(orbital, site)?),
        None => None,
    };
    let made = match bench.provider {
        None => match &given {
            Some(given) => plan_labelled(&request, site, rover, mission, given),
            None => Ok(alone.clone()),
        },
        Some(provider) => plan(
            &request,
            site,
            rover,
            mission,
            Some(&Assistance {
                provider,
                config: &bench.config,
                briefing: &bench.briefing,
                watch: &watch,
                twin: None,
            }),
        ),
    };
    let made = match made {
        Ok(made) => made,
        Err(e) => {
            row.error = Some(e.to_string());
            return Ok(row);
        }
    };
    let stage = &made.plan.model;
    row.level = stage.level;
    row.note = stage.note.clone();
    row.rounds = stage.rounds;
    row.valid = match bench.provider {
        None => made.verdict.ok,
        Some(_) => {
            made.verdict.ok && matches!(stage.level, Some(ModelLevel::Full | ModelLevel::PickOnly))
        }
    };
    let labels = match (&made.model, given) {
        (Some(m), _) => m.labels.clone(),
        (None, Some(given)) => {
            row.seconds = began.elapsed().as_secs_f64();
            given.labels
        }
        (None, None) => Vec::new(),
    };
    let score: LabelScore = score_labels(&labels, &scene.truth);
    row.labels = labels.len();
    (row.missed_hazard, row.false_alarm_area) = (score.missed(), score.false_alarm());
    (row.iou, row.centroid_error_m) = (score.iou(), score.centroid_error_m());
    if let Some(m) = &made.model {
        row.usd = m.spent.usd;
        row.tokens_out = m.spent.tokens.output;
        row.seconds = m.spent.seconds;
        row.disagreements = m.disagreements.len();
    }
    let line = made.plan.line();
    row.hazard_m_with = Some(hazard_m(&line, &scene.truth));
    row.length_ratio = Some(made.plan.distance_m / alone.plan.distance_m);
    let truth = truth_features(scene, &scene.truth);
    let best = candidates(&request, site, rover, mission, &truth, 1)?;
    if let (Some(this), Some(best)) = (
        line_figures(&line, site, rover, mission, &truth)?,
        best.first(),
    ) {
        row.cost_ratio = Some(this.cost / best.cost);
    }
    Ok(row)
}

/// A statistic of scenes with its 95 % interval by the percentile bootstrap over scenes (Efron 1979).
fn figure(
    rows: &[Row],
    seed: u64,
    of: impl Fn(&Row) -> Option<f64>,
    statistic: fn(&mut [f64]) -> f64,
) -> Figure {
    let values: Vec<f64> = rows.iter().filter_map(of).collect();
    let n = values.len();
    if n == 0 {
        return Figure {
            value: None,
            lo: None,
            hi: None,
            n,
        };
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draws: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let mut sample: Vec<f64> = (0..n).map(|_| values[rng.random_range(0..n)]).collect();
            statistic(&mut sample)
        })
        .collect();
    draws.sort_by(f64::total_cmp);
    Figure {
        value: Some(statistic(&mut values.clone())),
        lo: Some(draws[DRAWS / 40]),
        hi: Some(draws[DRAWS - 1 - DRAWS / 40]),
        n,
    }
}

fn mean(values: &mut [f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    0.5 * (values[(n - 1) / 2] + values[n / 2])
}

fn tell(args: &PlannerArgs, bench: &Bench<'_>, rows: &[Row]) -> CliResult {
    type Of = fn(&Row) -> Option<f64>;
    let planned = |of: Of| move |r: &Row| r.hazard_m_with.and_then(|_| of(r));
    let one = |of: Of, statistic| figure(rows, args.seed, planned(of), statistic);
    let figures: Vec<(&str, Figure)> = vec![
        ("missed_hazard", one(|r| r.missed_hazard, mean)),
        ("false_alarm_area", one(|r| r.false_alarm_area, mean)),
        ("iou", one(|r| r.iou, mean)),
        ("centroid_error_m", one(|r| r.centroid_error_m, mean)),
        (
            "valid_plans",
            figure(
                rows,
                args.seed,
                |r| Some(f64::from(u8::from(r.valid))),
                mean,
            ),
        ),
        ("cost_ratio_median", one(|r| r.cost_ratio, median)),
        ("rounds_mean", one(|r| Some(r.rounds as f64), mean)),
        ("usd_mean", one(|r| Some(r.usd), mean)),
        ("hazard_m_alone", one(|r| Some(r.hazard_m_alone), mean)),
        ("hazard_m_with", one(|r| r.hazard_m_with, mean)),
        ("length_ratio", one(|r| r.length_ratio, mean)),
    ];
    let nobody = match &bench.orbital {
        Some(_) => orbital_labels::CLASSIFIER,
        None => "geometric",
    };
    let provider = bench
        .provider
        .map_or_else(|| nobody.to_string(), Provider::name);
    if let Some(dir) = &args.out {
        let page = html(&provider, &args.without, &figures, rows);
        files::write_atomic(&dir.join("report.html"), page.as_bytes())?;
    }
    if args.json {
        let mut out = serde_json::json!({
            "ok": true,
            "provider": provider,
            "model": bench.provider.map(Provider::model),
            "config_sha256": bench.config.digest()?,
            "without": args.without,
            "scenes": rows.len(),
            "errors": rows.iter().filter(|r| r.error.is_some()).count(),
        });
        for (name, f) in &figures {
            out[*name] = serde_json::to_value(f)?;
        }
        out["rows"] = serde_json::to_value(rows)?;
        return say_json(&out);
    }
    say(&format!(
        "{provider}: {} scenes, {} without a plan",
        rows.len(),
        rows.iter().filter(|r| r.error.is_some()).count()
    ));
    for (name, f) in &figures {
        say(&format!("{name:18} {}", words(f)));
    }
    Ok(())
}

fn words(f: &Figure) -> String {
    match (f.value, f.lo, f.hi) {
        (Some(v), Some(lo), Some(hi)) => format!("{v:.4}  ({lo:.4} to {hi:.4}, {} scenes)", f.n),
        _ => "nothing to count".into(),
    }
}

fn html(provider: &str, without: &[String], figures: &[(&str, Figure)], rows: &[Row]) -> String {
    let escape = |t: &str| {
        t.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let of = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.3}"));
    let figures: String = figures
        .iter()
        .map(|(n, f)| format!("<tr><th>{n}</th><td>{}</td></tr>", words(f)))
        .collect();
    let rows: String = rows
        .iter()
        .map(|r| {
            format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&r.scene),
                r.level.map_or("–", ModelLevel::name),
                of(r.missed_hazard),
                of(r.false_alarm_area),
                of(r.cost_ratio),
                r.hazard_m_alone,
                of(r.hazard_m_with),
                of(r.length_ratio),
                escape(r.error.as_deref().unwrap_or(&r.note))
            )
        })
        .collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Planner against truth</title><style>body{{font:15px system-ui;margin:24px}}\
         td,th{{border:1px solid #ccc;padding:3px 8px;text-align:left}}table{{border-collapse:collapse;margin:12px 0}}</style>\
         <h1>{}</h1><p>without: {}</p><table>{figures}</table><table><tr><th>scene</th><th>level</th><th>missed</th><th>false alarm</th>\
         <th>cost ratio</th><th>hazard m alone</th><th>hazard m with</th><th>length ratio</th><th>note</th></tr>{rows}</table></html>\n",
        escape(provider),
        escape(&without.join(", "))
    )
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
    fn the_interval_holds_the_value() {
        let f = |v: &mut [f64]| mean(v);
        let row = |k: usize| Row {
            scene: k.to_string(),
            level: None,
            note: String::new(),
            valid: k.is_multiple_of(2),
            error: None,
            missed_hazard: Some(k as f64),
            false_alarm_area: None,
            iou: None,
            centroid_error_m: None,
            cost_ratio: None,
            rounds: 0,
            usd: 0.0,
            tokens_out: 0,
            seconds: 0.0,
            hazard_m_alone: 0.0,
            hazard_m_with: Some(0.0),
            length_ratio: None,
            disagreements: 0,
            labels: 0,
        };
        let rows: Vec<Row> = (0..40).map(row).collect();
        let figure = figure(&rows, 1, |r| r.missed_hazard, f);
        assert!(figure.lo < figure.value && figure.value < figure.hi && figure.value == Some(19.5));
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 10.0]), 2.5);
    }
}
