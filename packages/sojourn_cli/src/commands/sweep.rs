//! `sojourn sweep`: many drives, the table of them, and a picture of one.

mod judge;
mod picture;

use super::{say, say_json};
use crate::cli_error::{CliError, CliResult};
use crate::ground::named_file;
use crate::launch::places::Places;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sojourn_core::files::write_atomic;
use sojourn_sweep::{
    config::SweepConfig,
    journal::{self, Journal, Manifest, TABLE_FILE},
    plan::Shard,
    report::{Report, html, plots},
    row::Row,
    run::Sweep,
    slurm, table, workers,
};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Without a terminal, a line at least this often.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// `sojourn sweep`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
        sojourn sweep --config enav_table_quick --out runs/quick\n  \
        sojourn sweep --config config/sweeps/enav_table.yaml --out runs/table --resume\n  \
        sojourn sweep --config enav_table --shard 2/8 --out runs/table     (one of eight machines)\n  \
        sojourn sweep --config enav_table --executor slurm --shards 64 --out runs/table\n  \
        sojourn sweep report runs/table\n  \
        sojourn sweep replay runs/table --run 17\n\n\
        Ctrl-C is safe: finished runs are kept, --resume goes on. Shards may write to one folder or to several; \
        `sweep report` reads them together."
)]
pub struct SweepArgs {
    /// What to do with a finished sweep.
    #[command(subcommand)]
    pub command: Option<SweepCommand>,
    /// The sweep: a file, or the name of one in config/sweeps.
    #[arg(long, value_name = "NAME|FILE", required = true)]
    pub config: Option<String>,
    /// Folder for journals and table.
    #[arg(long, value_name = "DIR", required = true)]
    pub out: Option<PathBuf>,
    /// Does part i of n only, i from 1 to n.
    #[arg(long, value_name = "I/N", conflicts_with = "executor")]
    pub shard: Option<String>,
    /// Goes on with the runs that the folder holds already.
    #[arg(long)]
    pub resume: bool,
    /// Runs at once on this machine; all cores without it.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Where the runs are done.
    #[arg(long, value_enum)]
    pub executor: Option<Executor>,
    /// With --executor slurm: parts that are submitted as one job array.
    #[arg(long, value_name = "N", default_value_t = 16, requires = "executor")]
    pub shards: u64,
    /// Prints the report as JSON when all is done.
    #[arg(long)]
    pub json: bool,
}

/// Where runs are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Executor {
    /// On this machine.
    Local,
    /// As a job array of Slurm; the folder has to be seen by all nodes.
    Slurm,
}

/// `sojourn sweep …`
#[derive(Debug, Subcommand)]
pub enum SweepCommand {
    /// Tables with confidence intervals, pictures, and one page of it all.
    #[command(
        after_help = "Writes report.html, runs.parquet and SVG pictures into the (first) folder and prints the table.\n\n\
            Example:\n  sojourn sweep report runs/table --json"
    )]
    Report(SweepReportArgs),
    /// Drives one run of a sweep again and draws it: ground, rocks, track, stops.
    #[command(after_help = "Example:\n  sojourn sweep replay runs/table --run 17")]
    Replay(ReplayArgs),
    /// Drives runs of a sweep again, leads another simulator's rover along the same tracks, and lists where they disagree.
    #[command(
        after_help = "Planner and ground truth settle the rover by one function; the peer has none of it. Its rover is held to \
            place and heading of the track, everything else is its own. What is judged is kept in the folder and not judged again. \
            The peer is made ready by `sh benches/peers/mujoco/setup.sh`.\n\n\
            Example:\n  sojourn sweep --config judged --out runs/judged && sojourn sweep judge runs/judged --runs 100"
    )]
    Judge(judge::JudgeArgs),
}

/// `sojourn sweep report`
#[derive(Debug, Args)]
pub struct SweepReportArgs {
    /// Folders of the sweep; several when shards wrote to several.
    #[arg(required = true)]
    pub dirs: Vec<PathBuf>,
    /// Prints JSON: {name, runs_done, runs_total, rows: […], pooled: […], rendered: […]}.
    #[arg(long)]
    pub json: bool,
}

/// `sojourn sweep replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Folder of the sweep.
    pub dir: PathBuf,
    /// Number of the run.
    #[arg(long, value_name = "K")]
    pub run: u64,
    /// The picture; run-K.png in the folder without it.
    #[arg(long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
    /// Prints JSON: the run's row and the picture's path.
    #[arg(long)]
    pub json: bool,
}

/// `sojourn sweep`
///
/// # Errors
/// [`CliError`] with one sentence; [`CliError::Interrupted`] after Ctrl-C.
pub fn sweep(args: &SweepArgs) -> CliResult {
    match &args.command {
        Some(SweepCommand::Report(args)) => report(args),
        Some(SweepCommand::Replay(args)) => replay(args),
        Some(SweepCommand::Judge(args)) => judge::run(args),
        None => run(args),
    }
}

fn open(places: &Places, config: &str) -> Result<(Sweep, PathBuf), CliError> {
    let file = named_file(places, "sweeps", config)?;
    let sweep = Sweep::new(SweepConfig::load(&file)?, &places.shared("config")?)?;
    Ok((sweep, file))
}

fn run(args: &SweepArgs) -> CliResult {
    let (Some(config), Some(out)) = (&args.config, &args.out) else {
        return Err(CliError::Usage("--config and --out are needed".into()));
    };
    let shard = args
        .shard
        .as_deref()
        .map_or(Ok(Shard::WHOLE), Shard::parse)?;
    let (sweep, file) = open(&Places::find(), config)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    if args.executor == Some(Executor::Slurm) {
        on_slurm(args, &sweep, &file, out, &stop)?;
    } else {
        let mut journal = Journal::open(out, &sweep, shard, args.resume)?;
        let total = sweep.runs().iter().filter(|s| shard.holds(s.run)).count();
        let mut progress = Progress::new(total, journal.done().len());
        let workers = args
            .workers
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        workers::work(&sweep, shard, &mut journal, workers, &stop, &mut |row| {
            progress.told(row);
        })?;
        progress.finish();
    }
    let dirs = [out.clone()];
    if stop.load(Ordering::Relaxed) {
        let (manifest, rows) = journal::gather(&dirs)?;
        eprintln!(
            "{} of {} runs are done and kept in {}; --resume goes on with them",
            rows.len(),
            manifest.runs,
            out.display()
        );
        return Err(CliError::Interrupted);
    }
    publish(&dirs, args.json)
}

/// Submits the shards, shows how they come along, and cancels them when a person says stop.
fn on_slurm(
    args: &SweepArgs,
    sweep: &Sweep,
    file: &Path,
    out: &Path,
    stop: &AtomicBool,
) -> CliResult {
    let shards = args.shards.clamp(1, sweep.runs().len().max(1) as u64);
    // The folder and its manifest are there before the first task looks for them.
    drop(Journal::open(
        out,
        sweep,
        Shard {
            index: 1,
            count: shards,
        },
        args.resume,
    )?);
    let absolute = |p: &Path| std::path::absolute(p).map_err(anyhow::Error::from);
    let job = slurm::Job {
        program: std::env::current_exe()?,
        config: absolute(file)?,
        out: absolute(out)?,
        shards,
    };
    let mut array = job.submit()?;
    eprintln!(
        "Slurm job {} with {shards} tasks; logs in {}",
        array.id(),
        out.display()
    );
    let dirs = [out.to_path_buf()];
    let begun = journal::gather(&dirs)?.1.len();
    let mut progress = Progress::new(sweep.runs().len(), begun);
    loop {
        if stop.load(Ordering::Relaxed) {
            array.cancel()?;
            break;
        }
        let over = array.is_over()?;
        progress.at(journal::gather(&dirs)?.1.len());
        if over {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    progress.finish();
    let done = journal::gather(&dirs)?.1.len();
    if !stop.load(Ordering::Relaxed) && done < sweep.runs().len() {
        return Err(CliError::Failed(format!(
            "Slurm job {} ended with {done} of {} runs done; the logs in {} say why, --resume goes on",
            array.id(),
            sweep.runs().len(),
            out.display()
        )));
    }
    Ok(())
}

/// Table, pictures and page of what is there, and the report to standard output.
fn publish(dirs: &[PathBuf], json: bool) -> CliResult {
    let (manifest, rows) = journal::gather(dirs)?;
    let report = Report::new(&manifest, &rows);
    if let Some(dir) = dirs.first() {
        table::write(&dir.join(TABLE_FILE), &rows)?;
        write_atomic(&dir.join("report.html"), html::page(&report)?.as_bytes())?;
        for planner in &manifest.config.planners {
            for plot in &plots::PLOTS {
                let name = format!("{}-{}.svg", plot.name, file_name(&planner.name));
                let svg = plots::svg(&report, &planner.name, plot)?;
                write_atomic(&dir.join(name), svg.as_bytes())?;
            }
        }
    }
    if json {
        say_json(&report)
    } else {
        say(html::text(&report).trim_end());
        if let Some(dir) = dirs.first() {
            say(&dir.join("report.html").display().to_string());
        }
        Ok(())
    }
}

/// Words as part of a file's name.
fn file_name(words: &str) -> String {
    words
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect()
}

fn report(args: &SweepReportArgs) -> CliResult {
    publish(&args.dirs, args.json)
}

/// What `sweep replay --json` prints.
#[derive(Serialize)]
struct Replayed {
    picture: String,
    row: Row,
}

fn replay(args: &ReplayArgs) -> CliResult {
    let manifest = Manifest::load(&args.dir)?;
    let sweep = Sweep::new(manifest.config, &Places::find().shared("config")?)?;
    if sweep.digest() != manifest.digest {
        eprintln!(
            "note: parameters have changed since this sweep was run; the run is driven with today's"
        );
    }
    let Some(spec) = sweep.runs().iter().find(|s| s.run == args.run) else {
        return Err(CliError::Usage(format!(
            "--run is {}, the sweep has runs 0 to {}",
            args.run,
            sweep.runs().len().saturating_sub(1)
        )));
    };
    let mut track = picture::Track::default();
    let (scene, result) = sweep.drive(spec, &mut track)?;
    let row = Row::new(spec, &scene, &result);
    let path = args
        .out
        .clone()
        .unwrap_or_else(|| args.dir.join(format!("run-{}.png", args.run)));
    let png = picture::draw(&sweep, spec, &scene, &result, &track)?;
    write_atomic(&path, &png)?;
    if args.json {
        return say_json(&Replayed {
            picture: path.display().to_string(),
            row,
        });
    }
    say(&format!(
        "run {}: {} CFA {:.0} % slope {} deg {} seed {}: {}: {}",
        row.run,
        row.planner,
        100.0 * row.cfa,
        row.slope_deg,
        row.direction,
        row.seed,
        row.outcome.name(),
        row.reason
    ));
    for event in &result.score.events {
        say(&format!("unsafe: {}", event.reason));
    }
    say(&path.display().to_string());
    Ok(())
}

/// How far the sweep is: a bar on a terminal, lines elsewhere, on standard error.
struct Progress {
    bar: Option<ProgressBar>,
    begin: Instant,
    last_line: Option<Instant>,
    total: usize,
    begun: usize,
    done: usize,
    successes: usize,
    seen: usize,
}

impl Progress {
    fn new(total: usize, begun: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64).with_position(begun as u64);
            if let Ok(style) = ProgressStyle::with_template(
                "{elapsed:>4} [{bar:36}] {pos} of {len} runs, {eta} left  {msg}",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self {
            bar,
            begin: Instant::now(),
            last_line: None,
            total,
            begun,
            done: begun,
            successes: 0,
            seen: 0,
        }
    }

    fn told(&mut self, row: &Row) {
        self.seen += 1;
        self.successes += usize::from(row.success);
        self.at(self.done + 1);
    }

    fn at(&mut self, done: usize) {
        self.done = done;
        let words = if self.seen > 0 {
            format!("{} of {} succeeded", self.successes, self.seen)
        } else {
            String::new()
        };
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(words);
        } else if self.last_line.is_none_or(|t| t.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            let fresh = done.saturating_sub(self.begun);
            let left = if fresh == 0 {
                "time left unknown".to_string()
            } else {
                let each_s = self.begin.elapsed().as_secs_f64() / fresh as f64;
                let left_s = each_s * self.total.saturating_sub(done) as f64;
                format!("about {:.0} min left", (left_s / 60.0).ceil())
            };
            eprintln!("{done} of {} runs, {left}  {words}", self.total);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
