//! The command line.

use crate::commands::site::{LayerDay, layer_day};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// `sojourn`
#[derive(Debug, Parser)]
#[command(
    name = "sojourn",
    version,
    about = "Plans, verifies, approves and drives long rover traverses.",
    long_about = "Plans, verifies, approves and drives long rover traverses.\n\n\
        The way of a drive: site → plan → verify → approve → drive. `demo` goes all of it in simulation.\n\n\
        Exit codes: 0 well, 1 error, 2 wrong command line, 3 rejected by verification, 130 interrupted.",
    after_help = "Examples:\n  \
        sojourn demo --seed 7\n  \
        sojourn plan --dtm dtm.tif --start 120,80 --goal 300,160 --out plan.json --xml plan.xml\n  \
        sojourn verify --dtm dtm.tif --plan plan.json --out report.json\n  \
        sojourn key new --out key.json\n  \
        sojourn approve --plan plan.json --report report.json --key key.json --out bundle/"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Goes the whole way in simulation: plans, verifies, approves, drives, writes a report.
    #[command(
        after_help = "Examples:\n  sojourn demo --seed 7\n  sojourn demo --yes --dtm jezero_2m.tif --start 300,300 --goal 480,420\n  \
            sojourn demo --yes --dtm yard.tif --rover testbed --start 10,10 --goal 35,25\n\n\
            E,N are metres east and north of the raster's south-west corner; crs:X,Y and lonlat:LON,LAT work too."
    )]
    Demo(DemoArgs),
    /// Makes a site folder from an elevation model and perhaps an orbital image.
    #[command(
        after_help = "Examples:\n  sojourn site --dtm dtm.tif --ortho ortho.tif --out site/\n  \
            sojourn site --dtm dtm.tif --ortho ortho.tif --date elevation=2007-03-02 --date ortho=2019-11-20 --expiry ortho=2027-12-31 --out site/\n\n\
            A day belongs to the ground: plans over a site with a day for its elevation want that site again."
    )]
    Site(SiteArgs),
    /// Worlds to drive in: made from a seed or on a real elevation model, measured, drawn, exported.
    #[command(subcommand)]
    World(crate::commands::world::WorldCommand),
    /// Data sets for people who train networks.
    #[command(subcommand)]
    Dataset(crate::commands::dataset::DatasetCommand),
    /// Plans a route, or checks a plan from anywhere (`plan check`).
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "Examples:\n  sojourn plan --dtm dtm.tif --start 120,80 --goal 300,160 --out plan.json --xml plan.xml\n  \
            sojourn plan --site site/ --start lonlat:77.41,18.44 --goal crs:4587000,1093200 --out plan.json --json\n  \
            sojourn plan --dtm dtm.tif --mission config/missions/jezero_neretva.yaml --day 2026-12-01 --out plan.json\n  \
            sojourn plan --dtm dtm.tif --ortho ortho.tif --provider classifier --history drives.json --disagreement differ.tif --start … --goal … --out plan.json\n  \
            sojourn plan --dtm dtm.tif --ortho ortho.tif --provider anthropic --talk talk/ --start … --goal … --out plan.json\n  \
            sojourn plan --dtm dtm.tif --provider openai --base-url http://127.0.0.1:11434/v1 --model some-vlm --start … --goal … --out plan.json"
    )]
    Plan(Box<PlanArgs>),
    /// Drives a plan in the digital twin, as it is expected and under what is not known. Exit code 0 passed, 3 rejected.
    #[command(after_help = crate::commands::verify::EXAMPLES)]
    Verify(crate::commands::verify::VerifyArgs),
    /// Shows a verified plan to a person and signs it into a bundle.
    #[command(
        after_help = "Example:\n  sojourn approve --plan plan.json --report report.json --key key.json --out bundle/"
    )]
    Approve(ApproveArgs),
    /// Keys that sign plans.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Bundles that a rover accepts.
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Runs a ROS 2 launch file (a documented subset of launch XML) without ROS.
    #[command(
        after_help = "Examples:\n  sojourn launch launch/demo.launch.xml --show\n  sojourn launch launch/rover.launch.xml rover:=testbed"
    )]
    Launch(LaunchArgs),
    /// Runs recorded data through localization: trajectories, errors against the truth, a picture.
    #[command(after_help = crate::commands::localize::EXAMPLES)]
    Localize(crate::commands::localize::LocalizeArgs),
    /// Draws report.html and map.png of a run folder again.
    Report(ReportArgs),
    /// Measures parts of the suite on this machine.
    #[command(subcommand)]
    Bench(crate::commands::bench::BenchCommand),
    /// Cameras: pictures of worlds, linear images from raw ones.
    #[command(subcommand)]
    Camera(crate::commands::camera::CameraCommand),
    /// Drives many generated worlds and tells how often it goes well, by rocks and slope.
    Sweep(crate::commands::sweep::SweepArgs),
    /// Measures parts of the suite against truth and beside other simulators.
    #[command(subcommand)]
    Eval(crate::commands::eval::EvalCommand),
    /// Archives of rover images: what they show, which are alike, which are strange.
    #[command(subcommand)]
    Images(crate::commands::images::ImagesCommand),
    /// Orders the images of a folder for a link of limited volume, by what the science team wants.
    #[command(after_help = crate::commands::downlink::EXAMPLES)]
    Downlink(crate::commands::downlink::DownlinkArgs),
    /// Trains the networks that come with Sojourn.
    #[command(subcommand)]
    Train(crate::commands::train::TrainCommand),
    /// Writes the documents that are made from the code.
    #[command(hide = true)]
    Documents(DocumentsArgs),
    /// Explains what is missing on this machine.
    Doctor(DoctorArgs),
}

/// `sojourn launch`
#[derive(Debug, Args)]
pub struct LaunchArgs {
    /// The launch file; a bare name is looked for in launch/.
    pub file: PathBuf,
    /// Arguments of the launch file, name:=value.
    pub arguments: Vec<String>,
    /// Shows arguments and commands, starts nothing.
    #[arg(long)]
    pub show: bool,
}

/// `sojourn report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The run folder.
    pub dir: PathBuf,
}

/// `sojourn doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Prints JSON: {ok, checks: [{name, ok, found, expected, mend}]}.
    #[arg(long)]
    pub json: bool,
}

/// The ground under a command.
#[derive(Clone, Debug, Args)]
pub struct GroundArgs {
    /// Elevation model: any raster that GDAL reads, heights in metres.
    #[arg(long, value_name = "FILE", conflicts_with = "site")]
    pub dtm: Option<PathBuf>,
    /// Orbital image of the same ground.
    #[arg(long, value_name = "FILE", requires = "dtm")]
    pub ortho: Option<PathBuf>,
    /// A site folder instead of --dtm.
    #[arg(long, value_name = "DIR")]
    pub site: Option<PathBuf>,
    /// The planet: mars, moon, earth or a file. Without it the raster's reference sphere decides.
    #[arg(long, value_name = "NAME|FILE")]
    pub body: Option<String>,
}

/// `sojourn site`
#[derive(Debug, Args)]
pub struct SiteArgs {
    /// Elevation model: any raster that GDAL reads, heights in metres.
    #[arg(long, value_name = "FILE")]
    pub dtm: PathBuf,
    /// Orbital image of the same ground.
    #[arg(long, value_name = "FILE")]
    pub ortho: Option<PathBuf>,
    /// A coarser elevation model for the ground around; what it does not show of a rover's ground is measured where both look, and
    /// its ground counts as so much steeper and rougher.
    #[arg(long, value_name = "FILE")]
    pub around: Option<PathBuf>,
    /// Ground of that on every side, metres.
    #[arg(long, value_name = "M", default_value_t = 500.0, requires = "around")]
    pub margin: f64,
    /// The planet: mars, moon, earth or a file. Without it the raster's reference sphere decides.
    #[arg(long, value_name = "NAME|FILE")]
    pub body: Option<String>,
    /// The rover whose footprint slope and roughness are taken over.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// Day of a layer's data (elevation, ortho, …), which a mission's rules for the age of the map count from.
    #[arg(long, value_name = "LAYER=DAY", value_parser = layer_day)]
    pub date: Vec<LayerDay>,
    /// Last day on which a layer may be relied on.
    #[arg(long, value_name = "LAYER=DAY", value_parser = layer_day)]
    pub expiry: Vec<LayerDay>,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Prints a summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The model that helps with the plan.
#[derive(Clone, Debug, Args)]
pub struct ModelArgs {
    /// Who is asked: geometric (or none: nobody), classifier (labels from the shipped classifier of orbital images; classifier:FILE
    /// for another one), anthropic, openai, replay:FILE, or the URL of a server that speaks the
    /// Messages API. Keys come from ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN) and OPENAI_API_KEY.
    #[arg(long, value_name = "SPEC", default_value = "geometric")]
    pub provider: String,
    /// Base URL of the provider's server; without it ANTHROPIC_BASE_URL, OPENAI_BASE_URL or config/model.yaml.
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// Name of the model at the provider; default is that of config/model.yaml.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub model: String,
    /// Longest time without a word from the server, seconds.
    #[arg(long, value_name = "S", default_value_t = 120.0)]
    pub model_timeout_s: f64,
}

impl ModelArgs {
    /// The provider in one word, with its URL.
    #[must_use]
    pub fn spec(&self) -> String {
        match &self.base_url {
            Some(url) => format!("{}:{url}", self.provider),
            None => self.provider.clone(),
        }
    }
}

/// `sojourn plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Something else than planning.
    #[command(subcommand)]
    pub command: Option<crate::commands::check::PlanCommand>,
    /// The ground.
    #[command(flatten)]
    pub ground: GroundArgs,
    /// Start: E,N in metres from the south-west corner, crs:X,Y or lonlat:LON,LAT; the mission's start_m without it.
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    pub start: Option<String>,
    /// Goal, in the same forms; the mission's goal_m without it.
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    pub goal: Option<String>,
    /// The rover: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// The mission: limits, clearance, keep-outs and keep-ins, start, goal, stops, time, energy, how long the map holds;
    /// config/mission.yaml without it, examples in config/missions.
    #[arg(long, value_name = "FILE")]
    pub mission: Option<PathBuf>,
    /// Day of the drive, YYYY-MM-DD, instead of the mission's freshness.day.
    #[arg(long, value_name = "DATE")]
    pub day: Option<String>,
    /// Everything random comes from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Looks for up to this many routes that differ and puts their figures into the JSON.
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=8))]
    pub alternatives: u8,
    /// Name of the plan, for people.
    #[arg(long)]
    pub name: Option<String>,
    /// Who helps.
    #[command(flatten)]
    pub model: ModelArgs,
    /// How models are talked to: budgets, protocol, allowed hosts; the shipped config/model.yaml without it.
    #[arg(long, value_name = "FILE")]
    pub model_config: Option<PathBuf>,
    /// Folder for the conversation: transcript.jsonl (a record on each line, each with the digest of the one before),
    /// views as PNG and report.html. A transcript.jsonl that is there already is taken up again where it broke off.
    #[arg(long, value_name = "DIR")]
    pub talk: Option<PathBuf>,
    /// Folder of driving rules (*.md) that the model is told; config/knowledge without it.
    #[arg(long, value_name = "DIR")]
    pub knowledge: Option<PathBuf>,
    /// Earlier drives on this site (history.json of a run): JSON list of {x_m, y_m, slip, stopped, date, note, seen}; seen is the class in surface images.
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// What earlier drives learned of slip with this rover (slip_memory.json of a run): time-outs, closed slopes and the cost of
    /// labels follow it.
    #[arg(long, value_name = "FILE")]
    pub slip_memory: Option<PathBuf>,
    /// Pictures from the surface for the model: JSON list of {image, x_m, y_m, yaw_deg, hfov_deg, near_m, far_m, date, source};
    /// rectified PNG or JPEG files beside the list, yaw counter-clockwise from east, near_m and far_m the ground shown.
    #[arg(long, value_name = "FILE")]
    pub surface: Option<PathBuf>,
    /// A note of the operator for the model.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
    /// GeoTIFF of where the sources of what the ground is disagree (model, orbital classifier, surface images, measured
    /// slip), in levels of risk, with a picture beside it (.png). It changes no route; what is near the way goes with the
    /// plan, whenever there are two sources, and the twin sees it there.
    #[arg(long, value_name = "FILE")]
    pub disagreement: Option<PathBuf>,
    /// Drives the plan in the digital twin. A rejection goes back to the model once, as violations; then the search's plan
    /// is driven in its turn.
    #[arg(long)]
    pub twin: bool,
    /// The plan to write.
    #[arg(long, value_name = "FILE", required = true)]
    pub out: Option<PathBuf>,
    /// RML-inspired XML to write as well.
    #[arg(long, value_name = "FILE")]
    pub xml: Option<PathBuf>,
    /// Prints a summary as JSON: ok, digest, distance_m, waypoints, model_status, out, …
    #[arg(long)]
    pub json: bool,
}

/// `sojourn approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The plan.
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// The twin's report on it.
    #[arg(long, value_name = "FILE")]
    pub report: PathBuf,
    /// The person's secret key, from `sojourn key new`.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The bundle to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Who signs; the login name without it.
    #[arg(long, value_name = "NAME")]
    pub signer: Option<String>,
    /// XML of the plan to put into the bundle; made from the plan without it.
    #[arg(long, value_name = "FILE")]
    pub xml: Option<PathBuf>,
    /// Approves without asking.
    #[arg(long)]
    pub yes: bool,
    /// Prints a summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `sojourn key`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key: the secret in FILE, the public half in FILE.pub.json.
    #[command(after_help = "Example:\n  sojourn key new --out key.json --purpose simulation")]
    New(KeyNewArgs),
}

/// What a key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PurposeArg {
    /// Plans for simulated rovers only.
    Simulation,
    /// Plans for real rovers too.
    Flight,
}

/// `sojourn key new`
#[derive(Debug, Args)]
pub struct KeyNewArgs {
    /// The file to write; an old one is not overwritten.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What it may sign.
    #[arg(long, value_enum, default_value = "simulation")]
    pub purpose: PurposeArg,
    /// Prints a summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `sojourn bundle`
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Checks a bundle: whole, signed, and of one piece.
    #[command(after_help = "Example:\n  sojourn bundle check runs/…/bundle")]
    Check(BundleCheckArgs),
}

/// `sojourn bundle check`
#[derive(Debug, Args)]
pub struct BundleCheckArgs {
    /// The bundle.
    pub dir: PathBuf,
    /// Prints a summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `sojourn demo`
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Elevation model; without it a Mars-like world is generated.
    #[arg(long, value_name = "FILE", requires_all = ["start", "goal"])]
    pub dtm: Option<PathBuf>,
    /// Orbital image of the same ground.
    #[arg(long, value_name = "FILE", requires = "dtm")]
    pub ortho: Option<PathBuf>,
    /// Start: E,N in metres from the south-west corner, crs:X,Y or lonlat:LON,LAT.
    #[arg(
        long,
        value_name = "PLACE",
        allow_hyphen_values = true,
        requires = "goal"
    )]
    pub start: Option<String>,
    /// Goal, in the same forms.
    #[arg(
        long,
        value_name = "PLACE",
        allow_hyphen_values = true,
        requires = "start"
    )]
    pub goal: Option<String>,
    /// The rover: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// The planet: mars, moon, earth or a file. Without it the raster's reference sphere decides.
    #[arg(long, value_name = "NAME|FILE")]
    pub body: Option<String>,
    /// Constraints; config/mission.yaml without it.
    #[arg(long, value_name = "FILE")]
    pub mission: Option<PathBuf>,
    /// Everything random comes from it: the generated world, rocks, noise.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Least length of the drive in the generated world, metres.
    #[arg(long, value_name = "M", default_value_t = 220.0)]
    pub distance: f64,
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Run folder; runs/<UTC time>-<name>/ without it.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Name of the run, for people.
    #[arg(long)]
    pub name: Option<String>,
    /// Approves without asking.
    #[arg(long)]
    pub yes: bool,
    /// Prints summary.json at the end instead of the summary for people.
    #[arg(long)]
    pub json: bool,
    /// Further arguments of launch/demo.launch.xml, name:=value: terrain_source:=stereo drives by matched stereo pairs,
    /// terrain_classes:=shipped tells classes of ground, science_wants:=shipped looks for targets.
    #[arg(value_name = "NAME:=VALUE")]
    pub arguments: Vec<String>,
}

/// `sojourn documents`
#[derive(Debug, Args)]
pub struct DocumentsArgs {
    /// The top of the repository.
    pub dir: PathBuf,
    /// Only compares.
    #[arg(long)]
    pub check: bool,
}
