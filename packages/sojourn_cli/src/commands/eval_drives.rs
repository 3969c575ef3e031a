//! `sojourn eval drives`: real drives, predicted from what a plan knew beforehand.

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use crate::peer::route::{Around, ROCK_M, along};
use crate::peer::tracks::{Place, Track, Truth, plane_and_roughness};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sojourn_core::{
    body::Body,
    error::in_range,
    frames::{Pose2, wrap_rad},
    geometry::{self, Xy},
    params,
    rover::Rover,
    settle::Settler,
    site::ELEVATION,
};
use sojourn_twin::{
    generate::{Shape, plain},
    world::{World, WorldParams},
};
use std::path::PathBuf;

/// Ground around the track, metres.
const MARGIN_M: f64 = 20.0;
/// Distance of the ground's nodes, metres.
const NODE_M: f64 = 0.2;
/// Longest wavelength of the relief, metres.
const RELIEF_LONGEST_M: f64 = 96.0;
/// Steepest relief that ground is made with: RMS of the slope over 2 m, degrees.
const RELIEF_MAX_DEG: f64 = 15.0;

/// `sojourn eval drives`
#[derive(Debug, Args)]
pub struct DrivesArgs {
    /// The drives: a table of PLACES (sol, sclk, northing_m, easting_m, elev_geoid_m, roll_deg, pitch_deg, yaw_deg).
    #[arg(long, value_name = "CSV")]
    pub track: PathBuf,
    /// Samples of each drive, instead of those in config/drives.yaml.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(20..=100_000))]
    pub samples: Option<u32>,
    /// Everything random comes from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The rover: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// Prints JSON: samples, drives (sol, waypoints, and time_s, tilt_max_deg, path_ratio, each with low, median, high, truth, held, why), …
    #[arg(long)]
    pub json: bool,
}

/// `config/drives.yaml`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prior {
    samples: u32,
    waypoint_m: f64,
    progress_mph: [f64; 2],
    rock_cfa: [f64; 2],
    hurst: [f64; 2],
}

impl Prior {
    fn check(&self, what: &str) -> anyhow::Result<()> {
        in_range(what, "samples", f64::from(self.samples), 20.0, 1e5)?;
        in_range(what, "waypoint_m", self.waypoint_m, 2.0, 100.0)?;
        for (key, [low, high], least, most) in [
            ("progress_mph", self.progress_mph, 1.0, 1e4),
            ("rock_cfa", self.rock_cfa, 0.0, 0.3),
            ("hurst", self.hurst, 0.05, 1.0),
        ] {
            in_range(what, key, low, least, most)?;
            in_range(what, key, high, low, most)?;
        }
        Ok(())
    }
}

/// 90 % of the samples lie between `low` and `high`.
#[derive(Serialize)]
struct Predicted {
    low: f64,
    median: f64,
    high: f64,
    truth: f64,
    held: bool,
    /// Where it was not held: by how much, and what the prediction did not know.
    why: Option<String>,
}

#[derive(Serialize)]
struct DriveResult {
    sol: u32,
    waypoints: usize,
    way_m: f64,
    time_s: Predicted,
    tilt_max_deg: Predicted,
    path_ratio: Predicted,
    /// Without turns, halts and thought: the wheels at the rover's cruise.
    wheels_alone_s: f64,
    longest_halt_s: f64,
}

#[derive(Serialize)]
struct DrivesResult {
    samples: u32,
    seed: u64,
    held: usize,
    of: usize,
    drives: Vec<DriveResult>,
}

/// One possible drive.
#[derive(Clone, Copy, Debug)]
struct Guess {
    time_s: f64,
    tilt_max_deg: f64,
    path_ratio: f64,
}

/// Predicts and compares.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence.
pub fn drives(args: &DrivesArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let body = ground::body(&places, "mars")?;
    let file = places.shared("config/drives.yaml")?;
    let prior: Prior = params::load_yaml(&file)?;
    prior.check(&file.display().to_string())?;
    let tracks = Track::load(&args.track)?;
    let samples = args.samples.unwrap_or(prior.samples);
    let bar = ProgressBar::new(u64::from(samples) * tracks.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {bar:40} {pos} of {len} samples")
    {
        bar.set_style(style);
    }
    let mut drives = Vec::new();
    for track in &tracks {
        let known = Known::of(track, &prior);
        let guesses = (0..samples)
            .into_par_iter()
            .map(|k| {
                let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
                rng.set_stream(u64::from(track.sol) << 32 | u64::from(k));
                let guess = known.guess(&prior, &rover, &body, &mut rng);
                bar.inc(1);
                guess
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        drives.push(known.result(track, &guesses, (&prior, &rover)));
    }
    bar.finish_and_clear();
    let held = |d: &DriveResult| {
        [&d.time_s, &d.tilt_max_deg, &d.path_ratio]
            .iter()
            .filter(|p| p.held)
            .count()
    };
    let result = DrivesResult {
        samples,
        seed: args.seed,
        held: drives.iter().map(held).sum(),
        of: 3 * drives.len(),
        drives,
    };
    if args.json {
        return say_json(&result);
    }
    say(&text(&result));
    Ok(())
}

/// What a plan knows: waypoints and the heights of the ground at them.
struct Known {
    waypoints: Vec<Xy>,
    /// Size of the ground, metres; the places are counted from its south-western corner.
    size_m: Xy,
    start_yaw_rad: f64,
    plane: [f64; 3],
    /// Root mean square slope, less the plane, over the distance of the waypoints.
    rough: f64,
    apart_m: f64,
    places: usize,
}

impl Known {
    fn of(track: &Track, prior: &Prior) -> Self {
        let mut known = track.waypoints(prior.waypoint_m);
        let end = |k: usize, f: fn(f64, f64) -> f64, from: f64| {
            track.places.iter().map(|p| p.xy[k]).fold(from, f)
        };
        let low = [0, 1].map(|k| end(k, f64::min, f64::MAX) - MARGIN_M);
        let high = [0, 1].map(|k| end(k, f64::max, f64::MIN) + MARGIN_M);
        for p in &mut known {
            p.xy = [p.xy[0] - low[0], p.xy[1] - low[1]];
        }
        let (plane, rough) = plane_and_roughness(&known);
        let waypoints: Vec<Xy> = known.iter().map(|p: &Place| p.xy).collect();
        Self {
            size_m: [high[0] - low[0], high[1] - low[1]],
            start_yaw_rad: track.places[0].yaw_rad,
            apart_m: geometry::length_m(&waypoints) / (waypoints.len() - 1).max(1) as f64,
            places: track.places.len(),
            plane,
            rough,
            waypoints,
        }
    }

    /// One drive over ground as it may be.
    fn guess(
        &self,
        prior: &Prior,
        rover: &Rover,
        body: &Body,
        rng: &mut ChaCha8Rng,
    ) -> anyhow::Result<Guess> {
        let mut draw = |[low, high]: [f64; 2]| low + (high - low) * rng.random::<f64>();
        let (hurst, cfa) = (draw(prior.hurst), draw(prior.rock_cfa));
        let progress_mps = draw(prior.progress_mph) / 3600.0;
        // Slopes grow towards shorter lengths as the relief is fractal.
        let over_2m = self.rough * (2.0 / self.apart_m).powf(hurst - 1.0);
        let shape = Shape {
            size_m: self.size_m.map(f64::ceil),
            resolution_m: 1.0,
            slope_deg: 0.0,
            relief_rms_deg: over_2m.atan().to_degrees().min(RELIEF_MAX_DEG),
            relief_longest_m: RELIEF_LONGEST_M,
        };
        let seed = rng.random::<u64>();
        let mut site = plain(seed, body, &shape)?;
        let relief = site.elevation()?;
        let [z0, gx, gy] = self.plane;
        let heights = relief.like(|c, r| {
            let [x, y] = relief.centre_m(c, r);
            relief.get(c, r) + (z0 + gx * x + gy * y) as f32
        });
        site.put(
            ELEVATION,
            heights,
            "m",
            "plane of the waypoints, drawn relief",
        );
        let start = self.waypoints[0];
        let world = WorldParams {
            resolution_m: NODE_M,
            rock_cfa: cfa,
            rock_min_m: NODE_M,
            clear_m: self.waypoints.iter().map(|w| [w[0], w[1], 2.0]).collect(),
            ..WorldParams::demo(seed, [0.0, 0.0, self.size_m[0], self.size_m[1]], start)
        };
        let world = World::from_site(&site, &world)?;
        let around = Around::new(&world.rocks_in(world.region_m()), rover, self.size_m)?;
        let mut way = vec![start];
        for pair in self.waypoints.windows(2) {
            way.extend(around.way(pair[0], pair[1])?.into_iter().skip(1));
        }
        let length_m = geometry::length_m(&way);
        let settler = Settler::new(rover, 0.1);
        let tilt = (0..self.places)
            .filter_map(|k| {
                let s = length_m * k as f64 / (self.places - 1).max(1) as f64;
                let ([x, y], yaw) = along(&way, s)?;
                settler.settle(&world, Pose2::new(x, y, yaw))
            })
            .fold(0.0f64, |m, s| m.max(s.tilt_rad));
        Ok(Guess {
            time_s: length_m / progress_mps + self.turning_s(rover),
            tilt_max_deg: tilt.to_degrees(),
            path_ratio: length_m / geometry::length_m(&self.waypoints),
        })
    }

    /// Time of turning in place towards each next waypoint; corners of less than 30° are driven as arcs.
    fn turning_s(&self, rover: &Rover) -> f64 {
        let yaw = |w: &[Xy]| (w[1][1] - w[0][1]).atan2(w[1][0] - w[0][0]);
        let mut before = self.start_yaw_rad;
        let mut turned = 0.0;
        for w in self.waypoints.windows(2) {
            let turn = wrap_rad(yaw(w) - before).abs();
            if turn > 30f64.to_radians() {
                turned += turn;
            }
            before = yaw(w);
        }
        turned / rover.drive.turn_rate_radps
    }

    fn result(
        &self,
        track: &Track,
        guesses: &[Guess],
        (prior, rover): (&Prior, &Rover),
    ) -> DriveResult {
        let truth: Truth = track.truth();
        let predicted = |of: fn(&Guess) -> f64, truth: f64, why: &dyn Fn(Missed) -> String| {
            let mut v: Vec<f64> = guesses.iter().map(of).collect();
            v.sort_by(f64::total_cmp);
            let at = |q: f64| v[((v.len() - 1) as f64 * q).round() as usize];
            let (low, high) = (at(0.05), at(0.95));
            let missed = if truth < low {
                Some(Missed::Below(low - truth))
            } else {
                (truth > high).then_some(Missed::Above(truth - high))
            };
            Predicted {
                low,
                median: at(0.5),
                high,
                truth,
                held: missed.is_none(),
                why: missed.map(why),
            }
        };
        let ratio = truth.way_m / geometry::length_m(&self.waypoints);
        DriveResult {
            sol: track.sol,
            waypoints: self.waypoints.len(),
            way_m: truth.way_m,
            time_s: predicted(|g| g.time_s, truth.time_s, &|m| {
                why_time(m, &truth, prior.progress_mph)
            }),
            tilt_max_deg: predicted(|g| g.tilt_max_deg, truth.tilt_max_deg, &|m| {
                why_tilt(m, self.apart_m)
            }),
            path_ratio: predicted(|g| g.path_ratio, ratio, &why_ratio),
            wheels_alone_s: truth.way_m / rover.drive.cruise_mps,
            longest_halt_s: truth.longest_halt_s,
        }
    }
}

/// On which side of its interval, and how far beyond it, what happened lies.
#[derive(Clone, Copy, Debug)]
enum Missed {
    Below(f64),
    Above(f64),
}

fn why_time(missed: Missed, truth: &Truth, [slow_mph, fast_mph]: [f64; 2]) -> String {
    let moved_mph = 3600.0 * truth.way_m / (truth.time_s - truth.halts_s).max(1.0);
    let moved =
        format!("while it moved it made {moved_mph:.1} m/h (drawn: {slow_mph} to {fast_mph})");
    match missed {
        Missed::Above(s) => format!(
            "{s:.0} s more: it stood {} times, {:.0} s in all, the longest {:.0} s, and what for is in no plan; {moved}",
            truth.halts, truth.halts_s, truth.longest_halt_s
        ),
        Missed::Below(s) => format!("{s:.0} s less: {moved}"),
    }
}

fn why_tilt(missed: Missed, apart_m: f64) -> String {
    let known = format!("the ground between waypoints {apart_m:.0} m apart is drawn, not known");
    match missed {
        Missed::Below(deg) => format!("{deg:.1}° less: {known}, and was smoother"),
        Missed::Above(deg) => format!("{deg:.1}° more: {known}, and was steeper"),
    }
}

fn why_ratio(missed: Missed) -> String {
    match missed {
        Missed::Below(by) => {
            format!("{by:.3} less: it met fewer rocks that it had to drive around than were drawn")
        }
        Missed::Above(by) => format!(
            "{by:.3} more: drawn ways leave the straight line only for rocks of {ROCK_M} m and more; AutoNav also for \
             slopes, for what it cannot see and by how it drives arcs"
        ),
    }
}

fn text(r: &DrivesResult) -> String {
    let mut out = format!(
        "90 % of {} samples of each drive; {} of {} intervals hold what happened\n",
        r.samples, r.held, r.of
    );
    for d in &r.drives {
        out += &format!(
            "sol {}: {:.1} m, {} waypoints; the longest halt took {:.0} s\n",
            d.sol, d.way_m, d.waypoints, d.longest_halt_s
        );
        for (name, p, digits) in [
            ("time, s", &d.time_s, 0),
            ("greatest tilt, deg", &d.tilt_max_deg, 1),
            ("way / waypoints", &d.path_ratio, 3),
        ] {
            out += &format!(
                "  {name:20} {:.digits$} to {:.digits$}, median {:.digits$}; was {:.digits$}: {}\n",
                p.low,
                p.high,
                p.median,
                p.truth,
                if p.held { "held" } else { "missed" }
            );
            if let Some(why) = &p.why {
                out += &format!("  {:20} {why}\n", "");
            }
        }
    }
    out.trim_end().to_string()
}
