//! `sojourn eval`: measures parts of the suite against truth and beside what was measured elsewhere. One module per
//! subject.

use super::eval_clearance::{ClearanceArgs, clearance};
use super::eval_corpus::{CorpusArgs, corpus};
use super::eval_drives::{DrivesArgs, drives};
use super::eval_localization::{LocalizationArgs, localization};
use super::eval_mapfix::{MapfixArgs, mapfix};
use super::eval_perception::{PerceptionArgs, perception};
use super::eval_planner::{PlannerArgs, planner};
use super::eval_science::{ScienceArgs, science};
use super::eval_slip::{SlipArgs, slip};
use super::eval_terrain::{TerrainArgs, terrain};
use super::eval_twin::{TwinArgs, twin};
use super::orbital::{OrbitalArgs, eval as orbital};
use crate::cli_error::CliResult;
use clap::Subcommand;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// AutoNav's clearance check against exact settling on finer ground, over random poses.
    #[command(
        after_help = "Examples:\n  sojourn eval clearance --poses 100000\n  sojourn eval clearance --poses 1000000 --json > clearance.json\n\n\
            Worlds are generated from the seed: CFA 0, 5, 7, 10, 15, 20 % and slopes 0, 5, 10, 15, 20 deg, nodes 5 cm apart; the map\n\
            has cells of 10 cm with mean, lowest and highest height, without noise."
    )]
    Clearance(ClearanceArgs),
    /// Verifies plans that are known to be bad or good, and counts. Exit code 3 when the verification is not good enough.
    #[command(
        after_help = "Examples:\n  sojourn eval corpus --json\n  sojourn eval corpus --seed 5 --write corpus/\n  sojourn eval corpus --dir corpus/\n\n\
            A folder holds expected.json: {\"plans\": [{\"plan\": \"plans/a.json\", \"site\": \"sites/a\" (a site folder, or an\n\
            elevation model with \"body\": \"mars\"), \"rover\": \"perseverance\" (or a file), \"expect\": \"pass\" or \"reject\",\n\
            \"reasons\": [\"slip\", …] (kinds of which one has to be given; may be absent)}, …]}.\n\
            Kinds: attitude, suspension, clearance, terrain, load, soil, slip, corridor, keep_out, off_map, localization,\n\
            drives, energy, thermal, light, time, command, limits, digest, document.\n\
            Good enough: every bad plan rejected for a reason of the right kind, at most 2 % of the good ones rejected."
    )]
    Corpus(CorpusArgs),
    /// The twin's rover beside another simulator's, on the same ground along the same route; and the speed of both.
    #[command(
        after_help = "Examples:\n  sh benches/peers/mujoco/setup.sh      # once: MuJoCo from PyPI\n  \
            sojourn eval twin --peer mujoco\n  sojourn eval twin --peer mujoco --distance 100 --cfa 0.07 --slope 7.5 --seed 2 --json"
    )]
    Twin(TwinArgs),
    /// Time, greatest tilt and path ratio of real drives, predicted from their waypoints alone, beside what happened.
    #[command(
        after_help = "Example:\n  sojourn eval drives --track m2020_sol1707_1709_track.csv\n\n\
            A plan for a drive is taken to be its places at least 10 m apart, and the heights of the ground at them. Everything else\n\
            is drawn: relief below that distance, rocks, the rate of progress (config/drives.yaml, with sources)."
    )]
    Drives(DrivesArgs),
    /// Visual odometry, wheels and gyro against truth, over generated worlds with slip.
    #[command(
        after_help = "Examples:\n  sojourn eval localization --seeds 2 --distance 25\n  \
            sojourn eval localization --seeds 20 --jobs 2 --keep trials/ --json > localization.json\n\n\
            Worlds of CFA 5 to 10 %, flat or tilted by 5 deg, sun 20 to 65 deg high; on top of the soil's slip 0 to 40 % of the way are\n\
            lost, changing along it. The rover winds along a line on which no rocks stand. A trial of 250 m takes some minutes:\n\
            nearly all of it goes into the images."
    )]
    Localization(LocalizationArgs),
    /// Stereo, terrain grid and rocks against truth, on the simulator's images of generated worlds.
    #[command(
        after_help = "Examples:\n  sojourn eval perception --seeds 10\n  sojourn eval perception --seeds 50 --json > perception.json\n\n\
            Truth of a cell is the mean of the ground's heights in its squares of 5 cm; every cell with pixels counts, also where\n\
            matching went wrong. A rock is found when a reported one overlaps it; a reported one is right when it overlaps a true\n\
            rock of at least half its height. Times are wall times: other work on the machine shows in them."
    )]
    Perception(PerceptionArgs),
    /// Fixes against the orbital map over many places: error, wrong fixes, rate, time.
    #[command(
        after_help = "Examples:\n  sojourn eval mapfix --sites 264 --json\n  sojourn eval mapfix --sites 12 --out mapfix/\n  \
            sojourn eval mapfix --dtm dtm.tif --ortho ortho.tif --wrong-map elsewhere.tif --json\n\n\
            Without rasters, worlds of three kinds of terrain are generated, each with an orbital image under its own sun; what the\n\
            rover sees is made from the true ground with its rocks and fine relief under another sun. With rasters, the ground is the\n\
            elevation model with new relief, rocks and tone below its resolution; its albedo is not known, so that image and view\n\
            have only shading in common. What of a camera is simulated stands in sojourn_twin::panorama.\n\
            A fix more than 1 m from the truth is wrong, and so is any fix where there must be none: heading beyond the search,\n\
            place beyond the search, map of another place."
    )]
    Mapfix(MapfixArgs),
    /// Classes of ground in images from orbit, against the classes of generated worlds; or drawn over a real image.
    #[command(after_help = "Examples:\n  sojourn eval orbital --seeds 20 --json\n  \
            sojourn eval orbital --dtm dtm.tif --ortho ortho.tif --picture classes.png\n\n\
            Cells of 2 m. Hazardous are ripples, loose soil, boulder fields, scarps. Legend: bedrock brown, outcrop ochre, boulders\n\
            red, ripples yellow, loose soil orange, scarp purple, smooth green, unknown grey.")]
    Orbital(OrbitalArgs),
    /// The planner's labels and routes against truth, for any provider.
    #[command(
        after_help = "Examples:\n  sojourn eval planner --scenes 1..51 --provider geometric --json\n  \
            sojourn eval planner --scenes 1..51 --provider anthropic --base-url http://127.0.0.1:8080 --out eval/\n  \
            sojourn eval planner --set worlds/ --provider openai --without crops,critic --json\n  \
            sojourn eval planner --scenes 1..51 --world sand_slopes --course up --provider classifier --json\n  \
            sojourn eval planner --scenes 1..11 --world sandy,held_out --span 125,250,500,1000 --provider http://127.0.0.1:8080 --out eval\n  \
            sojourn eval planner --scenes 1..51 --ablate all --provider anthropic --out eval\n\n\
            Where the whole of the true ground is known (generated scenes, folders of `sojourn world`), the route without labels and\n\
            the one with them are ridden over it by the simulator's wheels, with the soils as they truly are and nobody who looks:\n\
            embeddings (less than a tenth of two metres of the wheels' way is gained), stretches of slip beyond the rover's limit,\n\
            and by how much their sums fall. The level scenes of `sandy` and `hazard` embed nobody; `sand_slopes` does."
    )]
    Planner(Box<PlannerArgs>),
    /// The downlink queue against truth: are the images worth most among the first to be sent?
    #[command(after_help = "Examples:\n  sojourn eval science --seeds 20 --json\n\n\
            Rendered pairs of generated worlds with CFA 0 to 10 %. The queue sees the left image and the rocks of the stereo grid; the\n\
            true worth of an image is that of the rocks that really are in it. Best are the tenth with the greatest true worth.")]
    Science(ScienceArgs),
    /// Slip against slope for every class of ground, beside what rovers measured; or the forecast of slip on the twin's drives.
    #[command(
        after_help = "Examples:\n  sojourn eval slip --chart docs/slip_slope.png\n  sojourn eval slip --rover leo --body earth --json\n  \
            sojourn eval slip --seeds 30 --json\n\n\
            With --seeds the rover drives straight ways of 90 m over generated worlds, tilted by up to 12 deg, whose soils are drawn\n\
            from the seed. Before every metre the forecast is asked, with the true pitch and class of the metre; then it learns what\n\
            was measured (with an error of 3 points)."
    )]
    Slip(SlipArgs),
    /// Terrain classes in rover images (soil, bedrock, sand, big rock) against labels.
    #[command(
        after_help = "Examples:\n  sojourn eval terrain --data ai4mars_msl_256 --split gold_dev --json\n  \
            sojourn eval terrain --data ai4mars_msl_256 --split gold_dev --baseline 1500 --picture classes.png\n\n\
            Masks hold 0 soil, 1 bedrock, 2 sand, 3 big rock, 255 unlabelled; images are grey, their sides multiples of 32."
    )]
    Terrain(TerrainArgs),
}

/// Measures.
///
/// # Errors
/// [`crate::cli_error::CliError`]: one sentence, or a measure that is not good enough.
pub fn eval(command: &EvalCommand) -> CliResult {
    match command {
        EvalCommand::Clearance(args) => clearance(args),
        EvalCommand::Corpus(args) => corpus(args),
        EvalCommand::Twin(args) => twin(args),
        EvalCommand::Drives(args) => drives(args),
        EvalCommand::Localization(args) => localization(args),
        EvalCommand::Perception(args) => perception(args),
        EvalCommand::Mapfix(args) => mapfix(args),
        EvalCommand::Orbital(args) => orbital(args),
        EvalCommand::Planner(args) => planner(args),
        EvalCommand::Science(args) => science(args),
        EvalCommand::Slip(args) => slip(args),
        EvalCommand::Terrain(args) => terrain(args),
    }
}
