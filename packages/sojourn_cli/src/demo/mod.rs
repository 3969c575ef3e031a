//! The whole way in simulation: run folder, site, key, ten nodes, a person's yes, the drive, the report.

pub mod domain;
pub mod drive;
pub mod folder;
pub mod generated;
pub mod history;
pub mod progress;
pub mod summary;

use crate::args::DemoArgs;
use crate::cli_error::{CliError, CliResult};
use crate::commands::{gate, say, say_json};
use crate::ground;
use crate::launch::{eval::evaluate, places::Places, run::Interrupts};
use crate::report::Run;
use domain::Domain;
use drive::{Drive, Outcome};
use folder::Folder;
use progress::Progress;
use serde_json::Value;
use sojourn_core::{
    body::Body, constraints::Constraints, files, plan::Plan, report::Report, rover::Rover,
    site::Site, slip_forecast::SlipMemory,
};
use sojourn_mission::keys;
use sojourn_planner::{Briefing, PlanRequest, model::DriveRecord};
use sojourn_twin::folder::WorldFolder;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a run stands on, worked out before anything is written or started.
struct Basis {
    site: Site,
    /// The generated world, truth and all, when there is one.
    world: Option<WorldFolder>,
    rover: Rover,
    rover_file: PathBuf,
    mission_file: PathBuf,
    plan: Plan,
    start_z_m: f64,
    /// What earlier drives learned of slip.
    slip: Option<SlipMemory>,
    /// What earlier drives say of the ground.
    history: Vec<DriveRecord>,
}

/// What earlier drives learned of slip: copied into the run folder, where this drive's is added.
const SLIP: &str = "slip_memory_file";
/// Records of earlier drives: read by the planner, and kept in the run folder with this drive's.
const HISTORY: &str = "history_file";
/// Arguments of the launch file that a person may give; the others are worked out here.
const FURTHER: [&str; 10] = [
    HISTORY,
    SLIP,
    "surface_file",
    "note",
    "terrain_source",
    "terrain_classes",
    "science_wants",
    "lockstep",
    "rate_factor",
    "map_fixes",
];

/// What a person gives for the launch file.
fn further(arguments: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let given = crate::commands::launch::given(arguments)?;
    match given.keys().find(|name| !FURTHER.contains(&name.as_str())) {
        Some(name) => Err(CliError::Usage(format!(
            "\"{name}\" is no argument that the demo takes, expected one of {}",
            FURTHER.join(", ")
        ))),
        None => Ok(given),
    }
}

/// Runs the demo.
///
/// # Errors
/// [`CliError`] in one sentence; 3 when the twin rejects the plan, 130 when a person said stop.
pub fn demo(args: &DemoArgs) -> CliResult {
    let interrupts = Interrupts::catch()?;
    let mut further = further(&args.arguments)?;
    let slip_file = further.remove(SLIP).filter(|file| !file.is_empty());
    if !args.yes && !gate::person_there() {
        return Err(CliError::Failed(
            "there is no terminal to ask for approval on; give --yes to approve without asking"
                .into(),
        ));
    }
    let places = Places::find();
    let name = args.name.clone().unwrap_or_else(|| default_name(args));
    let dir = args.out.clone().unwrap_or_else(|| {
        let base = std::env::current_dir().unwrap_or_default();
        folder::default_dir(&base, &ground::utc_now(), &name)
    });
    let mut folder = Folder::claim(&dir)?;
    let launch_file = places.shared("launch/demo.launch.xml")?;
    let mut progress = Progress::default();
    progress.stage(&match &args.dtm {
        Some(dtm) => format!("site from {} and route", dtm.display()),
        None => format!("generated world of seed {} and route", args.seed),
    });
    let basis = {
        let (args, places, name) = (args.clone(), places.clone(), name.clone());
        let history_file = further.get(HISTORY).cloned();
        let earlier = [slip_file, history_file.filter(|file| !file.is_empty())];
        interruptible(&interrupts, move || {
            let [slip, history] = earlier.each_ref().map(|f| f.as_deref().map(Path::new));
            basis(&args, &places, &name, slip, history)
        })?
    };
    folder.begin(&mark(args, &name))?;
    let key = write_basis(&folder, &basis)?;
    let domain = Domain::take()?;
    let mut given = arguments(args, &folder, &basis, &name, &key);
    given.extend(further);
    let launch = evaluate(&launch_file, &given, &places)?;
    let result = Drive {
        launch: &launch,
        places: &places,
        domain: &domain,
        folder: &folder,
        interrupts: &interrupts,
        yes: args.yes,
        planned_m: basis.plan.distance_m,
    }
    .run(&mut progress);
    folder.sweep();
    let outcome = result?;
    progress.stage("report");
    let summary = conclude(
        &folder,
        &name,
        args.seed,
        &places,
        &progress,
        &outcome,
        basis.history,
    )?;
    progress.finish();
    if args.json {
        say_json(&summary)?;
    } else {
        say(&summary::screen(&summary, &folder.dir));
    }
    if summary::good(&summary) {
        Ok(())
    } else {
        Err(CliError::Failed(format!(
            "the drive is not good: {}",
            verdict(&summary)
        )))
    }
}

fn verdict(summary: &Value) -> String {
    let text = |key: &str| {
        summary
            .get(key)
            .map_or_else(String::new, crate::report::html::shown)
    };
    if summary.get("reached").and_then(Value::as_bool) == Some(true) {
        format!("{} unsafe events in ground truth", text("unsafe_events"))
    } else {
        format!("{}: {}", text("state"), text("reason"))
    }
}

fn default_name(args: &DemoArgs) -> String {
    match &args.dtm {
        Some(dtm) => dtm
            .file_stem()
            .map_or_else(|| "drive".into(), |s| s.to_string_lossy().into_owned()),
        None => format!("generated-{}", args.seed),
    }
}

/// What was asked for, so that a run can be made again.
fn mark(args: &DemoArgs, name: &str) -> Value {
    serde_json::json!({
        "name": name,
        "started_utc": ground::utc_now(),
        "dtm": args.dtm,
        "ortho": args.ortho,
        "start": args.start,
        "goal": args.goal,
        "rover": args.rover,
        "body": args.body,
        "mission": args.mission,
        "seed": args.seed,
        "distance_m": args.distance,
        "arguments": args.arguments,
        "provider": args.model.spec(),
        "sojourn": env!("CARGO_PKG_VERSION"),
    })
}

/// Does `work` on another thread, so that a person's Ctrl-C is heard meanwhile. The work writes nothing.
fn interruptible<T: Send + 'static>(
    interrupts: &Interrupts,
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    let (tx, rx) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("preparation".into())
        .spawn(move || {
            let _ = tx.send(work());
        })?;
    loop {
        match rx.recv_timeout(Duration::from_millis(50)) {
            Ok(result) => return result,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) if interrupts.any() => {
                return Err(CliError::Interrupted);
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                return Err(CliError::Failed(
                    "the preparation ended without a word".into(),
                ));
            }
        }
    }
}

fn basis(
    args: &DemoArgs,
    places: &Places,
    name: &str,
    slip_file: Option<&Path>,
    history_file: Option<&Path>,
) -> Result<Basis, CliError> {
    let (rover, rover_file) = ground::rover(places, &args.rover)?;
    let slip = slip_file
        .map(|file| SlipMemory::load(file, &rover.name))
        .transpose()?;
    let history = Briefing::load(None, history_file, "")?.history;
    let (constraints, mission_file) = ground::mission(places, args.mission.as_deref())?;
    // Asked here so that a wrong provider is told before anything starts; the planner node asks it again.
    let _ = ground::provider(&args.model, None)?;
    let (site, world, plan) = match &args.dtm {
        Some(dtm) => {
            let (site, plan) = on_raster(args, places, name, dtm, &rover, &constraints)?;
            (site, None, plan)
        }
        None => {
            let body = ground::body(places, args.body.as_deref().unwrap_or("mars"))?;
            let (world, plan) = in_world(args, places, name, &body, &rover, &constraints)?;
            (world.site.clone(), Some(world), plan)
        }
    };
    let start_z_m = site
        .elevation()?
        .sample(plan.start.x_m, plan.start.y_m)
        .unwrap_or(0.0);
    Ok(Basis {
        site,
        world,
        rover,
        rover_file,
        mission_file,
        plan,
        start_z_m,
        slip,
        history,
    })
}

fn on_raster(
    args: &DemoArgs,
    places: &Places,
    name: &str,
    dtm: &Path,
    rover: &Rover,
    constraints: &Constraints,
) -> Result<(Site, Plan), CliError> {
    let body = ground::body_for(places, args.body.as_deref(), dtm)?;
    let site = ground::import(dtm, args.ortho.as_deref(), body, rover)?;
    let (Some(start), Some(goal)) = (&args.start, &args.goal) else {
        return Err(CliError::Usage("--dtm needs --start and --goal".into()));
    };
    let request = PlanRequest {
        name: name.to_string(),
        start_m: ground::place(&site, "start", start)?,
        goal_m: ground::place(&site, "goal", goal)?,
        seed: args.seed,
        slip: None,
    };
    let plan = sojourn_planner::plan(&request, &site, rover, constraints, None)?.plan;
    Ok((site, plan))
}

fn in_world(
    args: &DemoArgs,
    places: &Places,
    name: &str,
    body: &Body,
    rover: &Rover,
    constraints: &Constraints,
) -> Result<(WorldFolder, Plan), CliError> {
    let recipe = generated::recipe(places, rover)?;
    if let (Some(start), Some(goal)) = (&args.start, &args.goal) {
        let folder = generated::world(args.seed, body, rover, &recipe)?;
        let site = &folder.site;
        let request = PlanRequest {
            name: name.to_string(),
            start_m: ground::place(site, "start", start)?,
            goal_m: ground::place(site, "goal", goal)?,
            seed: args.seed,
            slip: None,
        };
        let plan = sojourn_planner::plan(&request, site, rover, constraints, None)?.plan;
        return Ok((folder, plan));
    }
    let world = generated::make(
        args.seed,
        body,
        rover,
        &recipe,
        constraints,
        args.distance,
        Some(name),
    )?;
    Ok((world.folder, world.plan))
}

/// Writes site, rover, planet, mission and a fresh key for simulation; returns the key's file.
fn write_basis(folder: &Folder, basis: &Basis) -> anyhow::Result<PathBuf> {
    match &basis.world {
        Some(world) => world.clone().save(&folder.join("site"))?,
        None => basis.site.save(&folder.join("site"))?,
    }
    let copy = |from: &Path, name: &str| -> anyhow::Result<()> {
        let bytes = files::read_bytes(from, sojourn_core::params::MAX_CONFIG_BYTES)?;
        Ok(files::write_atomic(&folder.join(name), &bytes)?)
    };
    copy(&basis.rover_file, "rover.yaml")?;
    copy(&basis.mission_file, "mission.yaml")?;
    if let Some(slip) = &basis.slip {
        slip.save(&folder.join(folder::SLIP_MEMORY))?;
    }
    // JSON is YAML, and numbers survive it exactly.
    let body = serde_json::to_string_pretty(&basis.site.manifest.body)? + "\n";
    files::write_atomic(&folder.join("body.yaml"), body.as_bytes())?;
    std::fs::create_dir_all(folder.join("keys"))?;
    let secret = folder.join("keys/simulation.json");
    let key = keys::generate(keys::Purpose::Simulation, &ground::utc_now())?;
    key.save(&secret)?;
    key.public().save(&gate::public_file(&secret))?;
    Ok(secret)
}

fn arguments(
    args: &DemoArgs,
    folder: &Folder,
    basis: &Basis,
    name: &str,
    key: &Path,
) -> BTreeMap<String, String> {
    let path = |p: PathBuf| p.display().to_string();
    let number = |v: f64| format!("{v:?}");
    // A replayed answer is named relative to the caller's folder; the nodes run there too, but are told it whole.
    let spec = args.model.spec();
    let provider = match spec.strip_prefix("replay:") {
        Some(file) => format!(
            "replay:{}",
            path(std::path::absolute(file).unwrap_or_else(|_| file.into()))
        ),
        None => spec,
    };
    [
        ("site_dir", path(folder.join("site"))),
        ("run_dir", path(folder.dir.clone())),
        ("rover_file", path(folder.join("rover.yaml"))),
        ("body_file", path(folder.join("body.yaml"))),
        ("mission_file", path(folder.join("mission.yaml"))),
        ("period_s", number(basis.rover.cadence.control_period_s)),
        ("seed", args.seed.to_string()),
        ("name", name.to_string()),
        ("start_x_m", number(basis.plan.start.x_m)),
        ("start_y_m", number(basis.plan.start.y_m)),
        ("start_z_m", number(basis.start_z_m)),
        ("start_yaw_rad", number(basis.plan.start.yaw_rad)),
        ("goal_x_m", number(basis.plan.goal.x_m)),
        ("goal_y_m", number(basis.plan.goal.y_m)),
        ("provider", provider),
        ("model", args.model.model.clone()),
        ("model_timeout_s", number(args.model.model_timeout_s)),
        // This program answers for the person, also with --yes: then the XML lies beside the plan before it is signed.
        ("approval", "ask".into()),
        ("key_file", path(key.to_path_buf())),
        ("trusted_keys", path(gate::public_file(key))),
        ("signer", gate::login_name()),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_string(), v))
    .collect()
}

/// Reads everything back, writes summary, map, report, and what the drive says of the ground behind what earlier ones said.
fn conclude(
    folder: &Folder,
    name: &str,
    seed: u64,
    places: &Places,
    progress: &Progress,
    outcome: &Outcome,
    earlier: Vec<DriveRecord>,
) -> anyhow::Result<Value> {
    let mut run = Run::read(&folder.dir)?;
    let score = run.score.clone().ok_or_else(|| {
        anyhow::anyhow!(
            "the simulator left no score.json; see {}",
            folder.join("log").display()
        )
    })?;
    let verification = Report::load(&folder.join("verification.json"))?;
    let distro = std::env::var("ROS_DISTRO")
        .ok()
        .or_else(|| places.ros_env.get("ROS_DISTRO").cloned());
    let summary = summary::summary(&summary::Facts {
        name,
        seed,
        plan: &run.plan,
        verification: &verification,
        score: &score,
        recording: &run.recording,
        reached: outcome.reached,
        state: &outcome.state,
        reason: &outcome.reason,
        estimated_driven_m: outcome.driven_m,
        estimated_goal_error_m: outcome.goal_error_m,
        nodes: &outcome.nodes,
        wall_s: progress.elapsed_s(),
        drive_wall_s: outcome.drive_wall_s,
        versions: summary::versions(places.checkout.as_deref(), distro.as_deref()),
    });
    run.summary = summary.clone();
    let drive = history::Drive {
        name,
        date: &ground::utc_now(),
        reached: outcome.reached,
        end: [&outcome.state, &outcome.reason],
    };
    let records = history::records(&run.recording, &drive);
    history::keep(&folder.join(folder::HISTORY), earlier, records)?;
    let (map, page) = run.draw()?;
    files::write_atomic(&folder.join("map.png"), &map)?;
    files::write_atomic(&folder.join("report.html"), page.as_bytes())?;
    let text = serde_json::to_string_pretty(&summary)? + "\n";
    files::write_atomic(&folder.join("summary.json"), text.as_bytes())?;
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_gives_what_the_launch_file_knows_and_the_demo_does_not_work_out() {
        let said = |a: &str| further(&[a.to_string()]).map_err(|e| e.to_string());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../launch/demo.launch.xml");
        let launch = std::fs::read_to_string(file).unwrap();
        for name in FURTHER {
            assert!(
                launch.contains(&format!("<arg name=\"{name}\" default=")),
                "{name}"
            );
            let given = said(&format!("{name}:=x")).unwrap();
            assert_eq!(given.get(name).map(String::as_str), Some("x"));
        }
        assert!(said("goal_x_m:=7").unwrap_err().contains("terrain_source"));
        assert!(
            said("terrain_source=stereo")
                .unwrap_err()
                .contains("name:=value")
        );
    }
}
