//! `sojourn eval clearance`

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::launch::places::Places;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;
use sojourn_autonav::{
    AutoNavParams, Config,
    clearance::evaluate::{Tally, compare},
};
use sojourn_core::{
    body::Body,
    frames::Pose2,
    limits::Share,
    raster::{HeightField, Raster},
    rover::Rover,
};
use sojourn_twin::{
    generate::{Shape, plain},
    world::{World, WorldParams},
};

/// `sojourn eval clearance`
#[derive(Debug, Args)]
pub struct ClearanceArgs {
    /// Random poses, spread evenly over the cells of the table.
    #[arg(long, default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(30..=100_000_000))]
    pub poses: u64,
    /// Worlds and poses come from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The rover: a name in config/rovers or a file.
    #[arg(long, default_value = "perseverance")]
    pub rover: String,
    /// Share of every limit that a drive may use; without it, the shares of config/autonav.param.yaml.
    #[arg(long)]
    pub share: Option<f64>,
    /// Prints JSON: {poses, accepted_but_unsafe, safe_but_rejected, tiers_accepted_but_unsafe, driving: {…}, rows:
    /// [{cfa, slope_deg, …}]}. accepted_but_unsafe: accepted by look-ups alone; safe_but_rejected: by both tiers; at the
    /// limits themselves. driving: the same with the shares that a drive may use.
    #[arg(long)]
    pub json: bool,
}

/// Relief on the regional plane: RMS slope over 2 m, degrees, and its longest wavelength, metres.
const RELIEF_RMS_DEG: f64 = 3.0;
const RELIEF_LONGEST_M: f64 = 96.0;
/// Rock abundances (Golombek's k) and slopes of the table.
const CFAS: [f64; 6] = [0.0, 0.05, 0.07, 0.10, 0.15, 0.20];
const SLOPES_DEG: [f64; 5] = [0.0, 5.0, 10.0, 15.0, 20.0];
/// Poses of one world; then another world is made.
const POSES_PER_WORLD: u64 = 2000;
/// Side of a world and distance of the poses from its edge, metres.
const SIDE_M: f64 = 40.0;
const EDGE_M: f64 = 3.0;
/// Distance of a world's nodes, metres, and nodes along a cell of the map.
const NODE_M: f64 = 0.05;
const FACTOR: usize = 2;

#[derive(Serialize)]
struct Row {
    cfa: f64,
    slope_deg: f64,
    poses: u64,
    safe: u64,
    /// By look-ups alone.
    accepted_but_unsafe: u64,
    /// By both tiers, share of the safe poses.
    safe_but_rejected: f64,
    tiers_accepted_but_unsafe: u64,
    /// Share of the safe poses that look-ups alone accept.
    ace_accepted: f64,
    driving_accepted_but_unsafe: u64,
    driving_safe_but_rejected: f64,
}

impl Row {
    fn new(cfa: f64, slope_deg: f64, [t, driving]: [Tally; 2]) -> Self {
        let of_safe = |n: u64| n as f64 / t.safe.max(1) as f64;
        Self {
            cfa,
            slope_deg,
            poses: t.poses,
            safe: t.safe,
            accepted_but_unsafe: t.ace_accepted_but_unsafe,
            safe_but_rejected: of_safe(t.safe_but_rejected),
            tiers_accepted_but_unsafe: t.accepted_but_unsafe,
            ace_accepted: of_safe(t.ace_accepted),
            driving_accepted_but_unsafe: driving.accepted_but_unsafe,
            driving_safe_but_rejected: of_safe(driving.safe_but_rejected),
        }
    }
}

#[derive(Serialize)]
struct Outcome {
    rover: String,
    seed: u64,
    poses: u64,
    /// Accepted by look-ups alone, unsafe by exact settling on the fine ground; at the limits themselves.
    accepted_but_unsafe: u64,
    /// Safe but rejected by both tiers at the limits themselves: share of the safe poses, by CFA over all slopes.
    safe_but_rejected: Vec<(f64, f64)>,
    /// Accepted by either tier at the limits themselves: poses within what the map does not know of a limit.
    tiers_accepted_but_unsafe: u64,
    driving: Driving,
    rows: Vec<Row>,
}

/// Both tiers with the shares of the limits that a drive may use.
#[derive(Serialize)]
struct Driving {
    limit_share: f64,
    tilt_limit_share: f64,
    clearance_limit_share: f64,
    accepted_but_unsafe: u64,
    safe_but_rejected: Vec<(f64, f64)>,
}

/// Measures.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence.
pub fn clearance(args: &ClearanceArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = crate::ground::rover(&places, &args.rover)?;
    let body = crate::ground::body(&places, "mars")?;
    let file = places.shared("config/autonav.param.yaml")?;
    let mut params: AutoNavParams = sojourn_core::params::load_node_params(&file, "autonav")?;
    if let Some(share) = args.share {
        let p = &mut params;
        (p.limit_share, p.tilt_limit_share, p.clearance_limit_share) = (share, share, share);
        for more in [
            &mut p.hold_share,
            &mut p.tilt_hold_share,
            &mut p.out_share,
            &mut p.tilt_out_share,
            &mut p.clearance_hold_share,
            &mut p.clearance_out_share,
        ] {
            *more = more.max(share);
        }
    }
    let config = Config::new(&params, &rover).map_err(anyhow::Error::from)?;
    let cells: Vec<(f64, f64)> = CFAS
        .iter()
        .flat_map(|&cfa| SLOPES_DEG.map(|slope| (cfa, slope)))
        .collect();
    let per_cell = args.poses.div_ceil(cells.len() as u64);
    let worlds = per_cell.div_ceil(POSES_PER_WORLD);
    let bar = ProgressBar::new(worlds * cells.len() as u64).with_style(
        ProgressStyle::with_template("clearance {bar:30} {pos}/{len} worlds, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let jobs: Vec<(usize, u64)> = (0..cells.len())
        .flat_map(|cell| (0..worlds).map(move |world| (cell, world)))
        .collect();
    let tallies: Vec<(usize, [Tally; 2])> = jobs
        .par_iter()
        .map(|&(cell, world)| {
            let (cfa, slope_deg) = cells.get(cell).copied().context("cell of the table")?;
            let n = POSES_PER_WORLD.min(per_cell - world * POSES_PER_WORLD);
            let seed = args
                .seed
                .wrapping_mul(1_000_003)
                .wrapping_add((cell as u64) << 32 | world);
            let fine = ground(seed, cfa, slope_deg, &body)?;
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let poses: Vec<Pose2> = (0..n)
                .map(|_| {
                    let mut at = || rng.random_range(EDGE_M..SIDE_M - EDGE_M);
                    let (x, y) = (at(), at());
                    Pose2::new(
                        x,
                        y,
                        rng.random_range(-std::f64::consts::PI..std::f64::consts::PI),
                    )
                })
                .collect();
            let compared =
                |share| compare(&config, &rover, &fine, FACTOR, share, poses.iter().copied());
            let tally = [compared(Share::WHOLE)?, compared(config.limit_share)?];
            bar.inc(1);
            Ok((cell, tally))
        })
        .collect::<anyhow::Result<_>>()?;
    bar.finish_and_clear();
    report(args, &config, &rover, &cells, &tallies)
}

/// A world's heights at its nodes.
fn ground(seed: u64, cfa: f64, slope_deg: f64, body: &Body) -> anyhow::Result<Raster> {
    let regional = Shape {
        size_m: [SIDE_M, SIDE_M],
        resolution_m: 1.0,
        slope_deg,
        relief_rms_deg: RELIEF_RMS_DEG,
        relief_longest_m: RELIEF_LONGEST_M,
    };
    let site = plain(seed, body, &regional)?;
    let mut params = WorldParams::demo(seed, [0.0, 0.0, SIDE_M, SIDE_M], [0.0, 0.0]);
    params.resolution_m = NODE_M;
    params.rock_cfa = cfa;
    params.rock_max_m = 2.5;
    params.clear_m.clear();
    let world = World::from_site(&site, &params)?;
    let n = (SIDE_M / NODE_M).round() as usize;
    let blank = Raster::filled(n, n, NODE_M, [0.0, 0.0], f32::NAN)?;
    Ok(blank.like(|c, r| {
        let [x, y] = blank.centre_m(c, r);
        world.height_m(x, y).map_or(f32::NAN, |h| h as f32)
    }))
}

fn report(
    args: &ClearanceArgs,
    config: &Config,
    rover: &Rover,
    cells: &[(f64, f64)],
    tallies: &[(usize, [Tally; 2])],
) -> CliResult {
    let sum = |keep: &dyn Fn(usize) -> bool| {
        tallies
            .iter()
            .filter(|(cell, _)| keep(*cell))
            .fold([Tally::default(); 2], |[a, b], (_, [s, t])| {
                [a.plus(*s), b.plus(*t)]
            })
    };
    let rows: Vec<Row> = cells
        .iter()
        .enumerate()
        .map(|(i, &(cfa, slope))| Row::new(cfa, slope, sum(&|cell| cell == i)))
        .collect();
    let of_cfa = |cfa: f64| {
        let of = |t: Tally| (cfa, t.safe_but_rejected as f64 / t.safe.max(1) as f64);
        sum(&|cell| cells.get(cell).is_some_and(|c| c.0 == cfa)).map(of)
    };
    let rejected = CFAS.map(of_cfa);
    let [all, driving] = sum(&|_| true);
    let outcome = Outcome {
        rover: rover.name.clone(),
        seed: args.seed,
        poses: all.poses,
        accepted_but_unsafe: all.ace_accepted_but_unsafe,
        safe_but_rejected: rejected.iter().map(|r| r[0]).collect(),
        tiers_accepted_but_unsafe: all.accepted_but_unsafe,
        driving: Driving {
            limit_share: config.limit_share.rest,
            tilt_limit_share: config.limit_share.tilt,
            clearance_limit_share: config.limit_share.clearance,
            accepted_but_unsafe: driving.accepted_but_unsafe,
            safe_but_rejected: rejected.iter().map(|r| r[1]).collect(),
        },
        rows,
    };
    if args.json {
        return say_json(&outcome);
    }
    say(&format!(
        "{} poses; at the limits themselves, and in driving: limits times {:.2}, tilt times {:.2}, clearance by {:.2}\n\n  CFA  slope   safe  unsafe accepted by look-ups, tiers, driving  safe rejected by tiers, driving  look-ups accept",
        outcome.poses,
        outcome.driving.limit_share,
        outcome.driving.tilt_limit_share,
        outcome.driving.clearance_limit_share
    ));
    for r in &outcome.rows {
        say(&format!(
            "{:4.0} %  {:3.0}°  {:4.0} %  {:27}  {:5}  {:7}  {:20.1} %  {:5.1} %  {:13.1} %",
            100.0 * r.cfa,
            r.slope_deg,
            100.0 * r.safe as f64 / r.poses.max(1) as f64,
            r.accepted_but_unsafe,
            r.tiers_accepted_but_unsafe,
            r.driving_accepted_but_unsafe,
            100.0 * r.safe_but_rejected,
            100.0 * r.driving_safe_but_rejected,
            100.0 * r.ace_accepted,
        ));
    }
    Ok(())
}
