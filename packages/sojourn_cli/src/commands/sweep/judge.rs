//! `sojourn sweep judge`: drives of a sweep once more, and another simulator's word on whether they were safe.

use crate::cli_error::{CliError, CliResult};
use crate::commands::{say, say_json};
use crate::launch::places::Places;
use crate::peer::judge::{Judgement, ground_of, judge, poses_of};
use crate::peer::mujoco::{self, Track};
use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};
use sojourn_core::{
    error::in_range,
    files::{read_text, write_atomic},
};
use sojourn_sweep::{
    closed_loop::Outcome,
    journal::{self, Manifest},
    plan::RunSpec,
    report::wilson,
    run::Sweep,
};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

/// What was judged, one run a line, in the sweep's folder.
const FILE: &str = "judged-mujoco.jsonl";
/// How often a peer whose numbers ran away is asked again, with half the time step each time.
const ASKED_AGAIN: u32 = 2;

/// `sojourn sweep judge`
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// Folder of the sweep.
    pub dir: PathBuf,
    /// The other simulator.
    #[arg(long, value_parser = ["mujoco"], default_value = "mujoco")]
    pub peer: String,
    /// How many runs, from the first on: those of the first planner without a fault.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub runs: usize,
    /// Runs at this CFA and above only.
    #[arg(long, value_name = "K", default_value_t = 0.1)]
    pub min_cfa: f64,
    /// The peer's time step, seconds.
    #[arg(long, value_name = "S", default_value_t = 0.005)]
    pub step: f64,
    /// How many times faster than it was driven the peer's rover is led along a track.
    #[arg(long, value_name = "K", default_value_t = 3.0)]
    pub hurry: f64,
    /// Runs at once; all cores without it.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Prints JSON: {simulator, runs, unsafe_ours, unsafe_peer, disagreements, agreement, …, rows: […]}.
    #[arg(long)]
    pub json: bool,
}

/// One judged run.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Judged {
    run: u64,
    /// Digest of the sweep with the parameters that it was driven again with.
    digest: String,
    cfa: f64,
    slope_deg: f64,
    seed: u64,
    step_s: f64,
    hurry: f64,
    /// How often the peer's time step was halved because its numbers ran away.
    #[serde(default)]
    halved: u32,
    /// They ran away with the finest step, too: nothing is judged.
    #[serde(default)]
    diverged: bool,
    /// How the drive ended when it was driven again.
    outcome: Outcome,
    distance_m: f64,
    /// Whether the sweep's row, where there is one, tells of another drive.
    row_differs: bool,
    /// The peer's name and version.
    simulator: String,
    peer_cpu_s: f64,
    /// Force that held the peer's rover to the track, root mean square, share of its weight.
    pulled: f64,
    #[serde(flatten)]
    judgement: Judgement,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary {
    simulator: String,
    runs: u64,
    driven_m: f64,
    places: usize,
    /// Runs on which the peer's numbers ran away; they count for nothing below.
    undecided: u64,
    /// Runs with an excess of a posture's limit in ground truth.
    unsafe_ours: u64,
    /// Runs with one for the peer's rover.
    unsafe_peer: u64,
    /// Runs that one calls safe and the other does not.
    disagreements: u64,
    /// Share of the runs that were safe in ground truth and are so for the peer's rover.
    agreement: f64,
    agreement_low: f64,
    agreement_high: f64,
    /// Excesses of the peer's rover by limit.
    peer_breaches: BTreeMap<String, u64>,
    attitude_rms_deg: f64,
    wheel_height_rms_m: f64,
    rows: Vec<Judged>,
}

impl Summary {
    fn of(rows: Vec<Judged>) -> Self {
        let decided = || rows.iter().filter(|r| !r.diverged);
        let count = |f: &dyn Fn(&Judged) -> bool| decided().filter(|r| f(r)).count() as u64;
        let safe = count(&|r| r.judgement.ours.is_empty());
        let both = count(&|r| r.judgement.ours.is_empty() && r.judgement.peer.is_empty());
        let (agreement_low, agreement_high) = wilson(both, safe);
        let places: usize = decided().map(|r| r.judgement.places).sum();
        let square = |f: &dyn Fn(&Judgement) -> f64| {
            let sum: f64 = decided()
                .map(|r| r.judgement.places as f64 * f(&r.judgement).powi(2))
                .sum();
            (sum / places.max(1) as f64).sqrt()
        };
        let mut peer_breaches = BTreeMap::new();
        for b in decided().flat_map(|r| &r.judgement.peer) {
            *peer_breaches.entry(b.limit.clone()).or_default() += 1;
        }
        Self {
            simulator: rows
                .first()
                .map(|r| r.simulator.clone())
                .unwrap_or_default(),
            runs: rows.len() as u64,
            driven_m: rows.iter().map(|r| r.distance_m).sum(),
            places,
            undecided: rows.iter().filter(|r| r.diverged).count() as u64,
            unsafe_ours: count(&|r| !r.judgement.ours.is_empty()),
            unsafe_peer: count(&|r| !r.judgement.peer.is_empty()),
            disagreements: count(&|r| r.judgement.disagree),
            agreement: if safe == 0 {
                0.0
            } else {
                both as f64 / safe as f64
            },
            agreement_low,
            agreement_high,
            peer_breaches,
            attitude_rms_deg: square(&|j| j.attitude_rms_deg),
            wheel_height_rms_m: square(&|j| j.wheel_height_rms_m),
            rows,
        }
    }

    fn text(&self) -> String {
        let mut out = format!(
            "{}: {} drives of {:.0} m in all, {} places; attitude {:.2} deg and wheel height {:.1} mm apart (RMS)\n\
             unsafe in ground truth {}, for the peer's rover {}; disagreements {}\n\
             safe in ground truth and for the peer's rover: {:.1} % ({:.1}-{:.1}, 95 %)\n",
            self.simulator,
            self.runs,
            self.driven_m,
            self.places,
            self.attitude_rms_deg,
            1e3 * self.wheel_height_rms_m,
            self.unsafe_ours,
            self.unsafe_peer,
            self.disagreements,
            100.0 * self.agreement,
            100.0 * self.agreement_low,
            100.0 * self.agreement_high,
        );
        for r in self.rows.iter().filter(|r| r.diverged) {
            out += &format!(
                "run {}: undecided, {}'s numbers ran away\n",
                r.run, r.simulator
            );
        }
        let disagree = |r: &&Judged| !r.diverged && r.judgement.disagree;
        for r in self.rows.iter().filter(disagree) {
            out += &format!(
                "run {} (CFA {:.0} %, slope {} deg):",
                r.run,
                100.0 * r.cfa,
                r.slope_deg
            );
            for (who, breaches) in [("ours", &r.judgement.ours), ("peer", &r.judgement.peer)] {
                for b in breaches {
                    out += &format!(
                        " {who} {} {:.3} of {:.3} for {:.1} s at ({:.1}, {:.1});",
                        b.limit, b.value, b.allowed, b.duration_s, b.xy_m[0], b.xy_m[1]
                    );
                }
            }
            out.push('\n');
        }
        out.trim_end().to_string()
    }
}

/// Judges.
///
/// # Errors
/// [`CliError`] in one sentence; [`CliError::Interrupted`] after Ctrl-C, with what is judged kept.
pub fn run(args: &JudgeArgs) -> CliResult {
    in_range("--step", "time step", args.step, 1e-4, 0.02)?;
    in_range("--hurry", "factor", args.hurry, 0.5, 10.0)?;
    let places = Places::find();
    mujoco::python(&places)?;
    let manifest = Manifest::load(&args.dir)?;
    let sweep = Sweep::new(manifest.config, &places.shared("config")?)?;
    if sweep.digest() != manifest.digest {
        eprintln!(
            "note: parameters have changed since this sweep was run; its runs are driven with today's"
        );
    }
    let path = args.dir.join(FILE);
    let mut rows = read(&path)?;
    let same =
        |r: &Judged| r.digest == sweep.digest() && r.step_s == args.step && r.hurry == args.hurry;
    rows.retain(|_, r| same(r));
    let chosen: Vec<&RunSpec> = sweep
        .runs()
        .iter()
        .filter(|s| {
            s.planner_index == 0
                && s.fault.is_empty()
                && s.sensing == sweep.config().sensing
                && s.scene.cfa >= args.min_cfa - 1e-9
        })
        .take(args.runs)
        .collect();
    let todo: Vec<&RunSpec> = chosen
        .iter()
        .copied()
        .filter(|s| !rows.contains_key(&s.run))
        .collect();
    let (_, told) = journal::gather(std::slice::from_ref(&args.dir))?;
    let told: BTreeMap<u64, (Outcome, f64)> = told
        .iter()
        .map(|r| (r.run, (r.outcome, r.distance_m)))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    let workers = args
        .workers
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let next = AtomicUsize::new(0);
    let mut failure = None;
    std::thread::scope(|scope| {
        let (sender, done) = mpsc::channel();
        for _ in 0..workers.clamp(1, todo.len().max(1)) {
            let sender = sender.clone();
            let (todo, next, stop, sweep) = (&todo, &next, &stop, &sweep);
            let (told, places) = (&told, &places);
            scope.spawn(move || {
                while let Some(spec) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let judged = one(args, places, sweep, spec, told.get(&spec.run));
                    if sender.send(judged).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for judged in done {
            // Another Ctrl-C reaches the peer too: what it then says is no judgement.
            let kept = judged.and_then(|j| keep(&mut file, &j).map(|()| j));
            match kept {
                Ok(j) => {
                    eprintln!("run {}: {} of {}", j.run, rows.len() + 1, chosen.len());
                    rows.insert(j.run, j);
                }
                Err(e) => {
                    stop.store(true, Ordering::Relaxed);
                    failure.get_or_insert(e);
                }
            }
        }
    });
    let wanted: Vec<Judged> = chosen.iter().filter_map(|s| rows.remove(&s.run)).collect();
    if stop.load(Ordering::Relaxed) && wanted.len() < chosen.len() {
        if let Some(e) = failure {
            return Err(e.into());
        }
        eprintln!(
            "{} of {} runs are judged and kept in {}; the same command goes on with them",
            wanted.len(),
            chosen.len(),
            path.display()
        );
        return Err(CliError::Interrupted);
    }
    let summary = Summary::of(wanted);
    if args.json {
        return say_json(&summary);
    }
    say(&summary.text());
    Ok(())
}

fn one(
    args: &JudgeArgs,
    places: &Places,
    sweep: &Sweep,
    spec: &RunSpec,
    row: Option<&(Outcome, f64)>,
) -> anyhow::Result<Judged> {
    let what = || format!("run {}", spec.run);
    // A drive is computed on one thread, as the sweep did.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let (scene, result) = pool
        .install(|| sweep.drive(spec, &mut ()))
        .with_context(what)?;
    let score = &result.score;
    let ground = ground_of(&scene.world, &score.track).with_context(what)?;
    let rover = sweep.rover();
    let mut track = Track {
        ground: &ground,
        gravity_mps2: sweep.body().gravity_mps2,
        poses: poses_of(&score.track),
        pose_s: 1.0 / args.hurry,
        step_s: args.step,
    };
    let mut halved = 0;
    let led = loop {
        let led = mujoco::lead(places, &track, rover, &|_| ()).with_context(what)?;
        if led.end != mujoco::DIVERGED || halved == ASKED_AGAIN {
            break led;
        }
        halved += 1;
        track.step_s *= 0.5;
    };
    Ok(Judged {
        run: spec.run,
        digest: sweep.digest().into(),
        cfa: spec.scene.cfa,
        slope_deg: spec.scene.slope_deg,
        seed: spec.scene.seed,
        step_s: args.step,
        hurry: args.hurry,
        halved,
        diverged: led.end == mujoco::DIVERGED,
        outcome: result.outcome,
        distance_m: score.distance_driven_m,
        row_differs: row.is_some_and(|row| *row != (result.outcome, score.distance_driven_m)),
        judgement: judge(score, &led.samples, &ground, rover),
        simulator: led.version,
        peer_cpu_s: led.cpu_s,
        pulled: led.pulled,
    })
}

fn keep(file: &mut std::fs::File, judged: &Judged) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(judged)?;
    line.push('\n');
    file.write_all(line.as_bytes())?;
    file.flush()?;
    Ok(())
}

/// What is there already; a last line that was cut short is judged again.
fn read(path: &Path) -> anyhow::Result<BTreeMap<u64, Judged>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = read_text(path, 1 << 30)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    if whole.len() < text.len() {
        write_atomic(path, whole.as_bytes())?;
    }
    let mut rows = BTreeMap::new();
    for (i, line) in whole.lines().enumerate() {
        let row: Judged = serde_json::from_str(line)
            .with_context(|| format!("{}: line {}", path.display(), i + 1))?;
        rows.insert(row.run, row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::{raster::Raster, rover::Rover};
    use sojourn_twin::sim::score::Score;

    /// Of a drive on which the peer said nothing.
    fn nothing_said() -> Judgement {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rovers/perseverance.yaml");
        let ground = Raster::filled(3, 3, 0.1, [0.0; 2], 0.0).unwrap();
        judge(
            &Score::default(),
            &[],
            &ground,
            &Rover::load(&file).unwrap(),
        )
    }

    fn judged(run: u64, diverged: bool, disagree: bool) -> Judged {
        Judged {
            run,
            digest: String::new(),
            cfa: 0.1,
            slope_deg: 0.0,
            seed: run,
            step_s: 0.005,
            hurry: 3.0,
            halved: 0,
            diverged,
            outcome: Outcome::Reached,
            distance_m: 20.0,
            row_differs: false,
            simulator: "peer".into(),
            peer_cpu_s: 1.0,
            pulled: 0.0,
            judgement: Judgement {
                disagree,
                ..nothing_said()
            },
        }
    }

    #[test]
    fn a_run_on_which_the_peers_numbers_ran_away_counts_for_nothing_and_is_told() {
        let s = Summary::of(vec![
            judged(0, false, false),
            judged(1, true, true),
            judged(2, false, false),
        ]);
        assert_eq!((s.runs, s.undecided, s.disagreements), (3, 1, 0));
        assert!((s.agreement - 1.0).abs() < 1e-12);
        let text = s.text();
        assert!(text.contains("run 1: undecided"), "{text}");
        assert!(!text.contains("run 1 (CFA"), "{text}");
    }
}
