//! `sojourn eval mapfix`

use super::mapfix::{
    draw::draw,
    sites::{Land, OFFSET_DEG, OFFSET_M, Stop, of_rasters, synthetic, wrong_map},
};
use super::{say, say_json};
use crate::cli_error::{CliError, CliResult};
use crate::launch::places::Places;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;
use sojourn_core::{raster::Raster, rover::Rover};
use sojourn_localization::mapfix::{
    Common, Evidence, MapFixParams, Outcome, Prior, TIE_BANDS_M, Tie, fix,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `sojourn eval mapfix`
#[derive(Debug, Args)]
pub struct MapfixArgs {
    /// Places to stop at.
    #[arg(long, default_value_t = 264, value_parser = clap::value_parser!(u64).range(3..=100_000))]
    pub sites: u64,
    /// Worlds, places, suns and noise come from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Worlds per kind of terrain; places are shared out among them.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub worlds: u64,
    /// The rover whose cameras look: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// The matcher's parameters; without it config/mapfix.yaml.
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// An elevation model to be ground and map.
    #[arg(long, value_name = "FILE", requires = "ortho")]
    pub dtm: Option<PathBuf>,
    /// The orbital image of the same place.
    #[arg(long, value_name = "FILE", requires = "dtm")]
    pub ortho: Option<PathBuf>,
    /// An elevation model of another place: with it for a map, every stop must give no fix.
    #[arg(long, value_name = "FILE", requires = "dtm")]
    pub wrong_map: Option<PathBuf>,
    /// Puts the map's relief this far beside its image, metres east and north: fixes must follow the image and tell the
    /// offset (`relief_offset_m`).
    #[arg(
        long,
        value_name = "E,N",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    pub relief_shift: Vec<f64>,
    /// Writes pictures of the first stops, and every stop's numbers, into a folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints JSON: {sites, fixes, mean_m, p95_m, wrong_fixes, fix_rate, seconds_median, …}.
    #[arg(long)]
    pub json: bool,
}

/// Error beyond which a fix is wrong, metres.
const WRONG_M: f64 = 1.0;
/// Kinds of terrain: files of config/worlds.
const KINDS: [&str; 3] = ["firm", "mixed", "sandy"];
/// Pictures that are drawn.
const PICTURES: usize = 12;

/// One trial.
#[derive(Clone, Debug, Serialize)]
struct Trial {
    land: String,
    /// What is tried: "fix", or why there must be none.
    what: &'static str,
    fixed: bool,
    /// Why not.
    reason: Option<&'static str>,
    error_m: Option<f64>,
    yaw_error_deg: Option<f64>,
    off_m: Option<[f64; 2]>,
    /// Squared error in terms of the covariance that the fix gives (two degrees of freedom).
    chi2: Option<f64>,
    seconds: f64,
    map_sun_deg: Option<[f64; 2]>,
    view_sun_deg: [f64; 2],
    /// What image and ground have in common there, on rasters.
    common: Option<Common>,
    evidence: Evidence,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Summary {
    sites: usize,
    fixes: usize,
    fix_rate: f64,
    mean_m: Option<f64>,
    p95_m: Option<f64>,
    worst_m: Option<f64>,
    yaw_rms_deg: Option<f64>,
    chi2_mean: Option<f64>,
    wrong_fixes: usize,
    seconds_median: f64,
    /// Where the elevation model would have put the rover, less the fix, metres: medians over the fixes where it is clear.
    relief_offset_m: Option<[f64; 2]>,
    /// In how many fixes it is clear.
    relief_clear: usize,
    /// In how many fixes the relief said the place, for the image alone did not.
    by_relief: usize,
    /// On rasters: what image and relief have in common, and how well the truth is known in the image's frame.
    layers: Option<Layers>,
    /// Where the map's relief fits its own image, metres: medians over the stops where it is clear.
    layers_shift_m: Option<[f64; 2]>,
    no_fix: BTreeMap<&'static str, usize>,
}

/// What the two rasters of a map have in common around the stops.
#[derive(Clone, Debug, Serialize)]
struct Layers {
    /// Wavelengths, metres.
    bands_m: [[f64; 2]; 3],
    /// Correlation of the image with the shading of the relief in these bands: medians over the stops.
    correlation: [f64; 3],
    /// Share of the image's variance that the relief explains.
    explained: [f64; 3],
    /// Stops at which the relief is tied to the image; at the others the truth stands where the relief has it.
    tied: usize,
    /// Where the relief fits the image there, metres to be added to a place of the image: medians.
    shift_m: Option<[f64; 2]>,
    /// How well the truth is known in the image's frame, one standard deviation, metres: median and greatest.
    truth_sigma_m: Option<[f64; 2]>,
}

impl Layers {
    /// `None` where nothing had to be tied.
    fn of(tried: &[&&Trial]) -> Option<Self> {
        let all: Vec<Common> = tried.iter().filter_map(|t| t.common).collect();
        let correlation = [0, 1, 2].map(|b: usize| {
            let mut v: Vec<f64> = all.iter().map(|c| c.correlation[b]).collect();
            v.sort_by(f64::total_cmp);
            v.get(v.len() / 2).copied()
        });
        let [Some(a), Some(b), Some(c)] = correlation else {
            return None;
        };
        let ties: Vec<Tie> = all.iter().filter_map(|c| c.tie).collect();
        let shifts: Vec<[f64; 2]> = ties.iter().map(|t| t.shift_m).collect();
        let mut sigmas: Vec<f64> = ties.iter().map(|t| t.sigma_m).collect();
        sigmas.sort_by(f64::total_cmp);
        Some(Self {
            bands_m: TIE_BANDS_M,
            correlation: [a, b, c],
            explained: [a, b, c].map(|r| r * r),
            tied: ties.len(),
            shift_m: medians(&shifts),
            truth_sigma_m: sigmas
                .get(sigmas.len() / 2)
                .zip(sigmas.last())
                .map(|(m, w)| [*m, *w]),
        })
    }

    fn say(&self, stops: usize) {
        for (band, share) in self.bands_m.iter().zip(&self.explained) {
            say(&format!(
                "the relief explains {:.0} % of the image at wavelengths of {:.0} to {:.0} m",
                100.0 * share,
                band[0],
                band[1]
            ));
        }
        match (self.shift_m, self.truth_sigma_m) {
            (Some([east, north]), Some([sigma, worst])) => say(&format!(
                "the relief lies {east:.2} m east and {north:.2} m north of the image (median of {} of {stops} stops); \
                 the truth is known in the image's frame to {sigma:.2} m, {worst:.2} m at worst",
                self.tied
            )),
            _ => say(
                "relief and image can not be tied to one another: a fix then needs an image that shows what the rover sees",
            ),
        }
    }
}

/// Measures.
///
/// # Errors
/// One sentence; [`CliError`] when a file is wrong.
pub fn mapfix(args: &MapfixArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = crate::ground::rover(&places, &args.rover)?;
    let params = match &args.params {
        Some(file) => MapFixParams::load(file)?,
        None => MapFixParams::load(&places.shared("config/mapfix.yaml")?)?,
    };
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("{}: making the folder", dir.display()))?;
    }
    let bar = ProgressBar::new(args.sites).with_style(
        ProgressStyle::with_template("mapfix {bar:30} {pos}/{len} stops, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let shift = relief_shift(&args.relief_shift)?;
    let mut trials = Vec::new();
    let run = Run {
        args,
        rover: &rover,
        params: &params,
        bar: &bar,
    };
    if let (Some(dtm), Some(ortho)) = (&args.dtm, &args.ortho) {
        let mut land = of_rasters(&places, dtm, ortho, &rover, args.seed)?;
        land.shift_relief(shift);
        let body = land.folder.site.manifest.body.clone();
        let wrong = args
            .wrong_map
            .as_ref()
            .map(|f| wrong_map(f, body, &rover, args.seed))
            .transpose()?;
        trials.extend(run.land(&land, 0, args.sites as usize, wrong.as_ref())?);
    } else {
        let lands = args.worlds * KINDS.len() as u64;
        for k in 0..lands {
            // Worlds that are shared out evenly, whatever the number of places.
            let [first, end] = [k, k + 1].map(|k| (k * args.sites / lands) as usize);
            if first == end {
                continue;
            }
            let seed = args.seed.wrapping_mul(1_000_003).wrapping_add(k);
            let mut land = synthetic(&places, KINDS[k as usize % KINDS.len()], seed)?;
            land.shift_relief(shift);
            trials.extend(run.land(&land, first, end, None)?);
        }
    }
    bar.finish_and_clear();
    conclude(args, &trials)
}

/// What `--relief-shift` says; none without it.
fn relief_shift(given: &[f64]) -> anyhow::Result<[f64; 2]> {
    let shift = match given {
        [east, north] => [*east, *north],
        [] => [0.0; 2],
        more => anyhow::bail!(
            "--relief-shift: {} values, expected metres east and north with a comma between",
            more.len()
        ),
    };
    for v in shift {
        sojourn_core::error::in_range("--relief-shift", "metres", v, -50.0, 50.0)?;
    }
    Ok(shift)
}

/// Time that this thread has had a core for, seconds: what a fix costs whoever else works on the machine.
fn cpu_seconds() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as f64 + 1e-9 * t.tv_nsec as f64
}

struct Run<'a> {
    args: &'a MapfixArgs,
    rover: &'a Rover,
    params: &'a MapFixParams,
    bar: &'a ProgressBar,
}

impl Run<'_> {
    /// The stops `first..end` on one land, each with a trial that must give no fix.
    fn land(
        &self,
        land: &Land,
        first: usize,
        end: usize,
        wrong: Option<&[Raster; 2]>,
    ) -> anyhow::Result<Vec<Trial>> {
        let trials: Vec<anyhow::Result<Vec<Trial>>> = (first..end)
            .into_par_iter()
            .map(|k| {
                let seed = self.args.seed.wrapping_mul(7919).wrapping_add(k as u64);
                let stop = land.stop(self.rover, seed)?;
                let mut trials = vec![self.positive(land, &stop, k)?];
                trials.extend(self.negative(land, &stop, k, wrong));
                self.bar.inc(1);
                Ok(trials)
            })
            .collect();
        let mut all = Vec::new();
        for t in trials {
            all.extend(t?);
        }
        Ok(all)
    }

    fn positive(&self, land: &Land, stop: &Stop, k: usize) -> anyhow::Result<Trial> {
        let begun = cpu_seconds();
        let outcome = self.fix(&land.ortho, &land.elevation, stop, stop.prior_m);
        let trial = trial("fix", land, stop, &outcome, cpu_seconds() - begun);
        if let Some(dir) = self
            .args
            .out
            .as_ref()
            .filter(|_| k < PICTURES || trial.error_m.is_none_or(|e| e > 0.6))
        {
            let file = dir.join(format!("{}_{k:04}.png", land.name));
            draw(land, stop, &outcome, self.params.search_m, &file)?;
        }
        Ok(trial)
    }

    /// Trials in which a fix is wrong whatever it says.
    fn negative(
        &self,
        land: &Land,
        stop: &Stop,
        k: usize,
        wrong: Option<&[Raster; 2]>,
    ) -> Option<Trial> {
        let begun = cpu_seconds();
        let (what, outcome) = if let Some([ortho, elevation]) = wrong {
            let size = elevation.size_m();
            let share = [0.618 * k as f64, 0.414 * k as f64 + 0.5].map(f64::fract);
            let prior = [0, 1].map(|a: usize| size[a] * (0.2 + 0.6 * share[a]));
            (
                "map of another place",
                self.fix(ortho, elevation, stop, prior),
            )
        } else if k.is_multiple_of(2) {
            // Far enough that no part of the truth lies in the search.
            let out = 2.0 * OFFSET_M + 20.0;
            let size = land.elevation.size_m();
            let away = |a: usize| {
                let t = stop.truth_m[a];
                if t < 0.5 * size[a] { t + out } else { t - out }
            };
            (
                "place beyond the search",
                self.fix(&land.ortho, &land.elevation, stop, [away(0), away(1)]),
            )
        } else {
            // From twice to some five times the search beyond the stop's own error.
            let more = (2.0 * OFFSET_DEG + (k % 12) as f64).to_radians();
            let turned = Stop {
                patch: stop.patch.turned(-more.copysign(stop.yaw_error_rad)),
                ..stop.clone()
            };
            (
                "heading beyond the search",
                self.fix(&land.ortho, &land.elevation, &turned, stop.prior_m),
            )
        };
        Some(trial(what, land, stop, &outcome, cpu_seconds() - begun))
    }

    fn fix(&self, ortho: &Raster, elevation: &Raster, stop: &Stop, prior_m: [f64; 2]) -> Outcome {
        let prior = Prior {
            x_m: prior_m[0],
            y_m: prior_m[1],
            covariance: None,
        };
        fix(ortho, elevation, &stop.patch, &prior, self.params)
    }
}

fn trial(what: &'static str, land: &Land, stop: &Stop, outcome: &Outcome, seconds: f64) -> Trial {
    let degrees = |s: [f64; 2]| s.map(f64::to_degrees);
    let mut trial = Trial {
        land: land.name.clone(),
        what,
        fixed: false,
        reason: None,
        error_m: None,
        yaw_error_deg: None,
        off_m: None,
        chi2: None,
        seconds,
        map_sun_deg: land.map_sun_rad.map(degrees),
        view_sun_deg: degrees(stop.sun_rad),
        common: stop.common,
        evidence: Evidence::default(),
    };
    match &outcome.fix {
        Ok(f) => {
            let off =
                nalgebra::Vector2::new(f.x_m - stop.on_image_m[0], f.y_m - stop.on_image_m[1]);
            let xy = f.covariance.fixed_view::<2, 2>(0, 0).into_owned();
            trial.fixed = true;
            trial.error_m = Some(off.norm());
            trial.off_m = Some([off.x, off.y]);
            trial.chi2 = xy.cholesky().map(|c| off.dot(&c.solve(&off)));
            trial.yaw_error_deg = Some((f.yaw_correction_rad - stop.yaw_error_rad).to_degrees());
            trial.evidence = f.evidence.clone();
        }
        Err(n) => {
            trial.reason = Some(n.reason.text());
            trial.evidence = (*n.evidence).clone();
        }
    }
    trial
}

fn summarise(trials: &[&Trial]) -> Summary {
    let tried: Vec<&&Trial> = trials.iter().filter(|t| t.what == "fix").collect();
    let mut errors: Vec<f64> = tried.iter().filter_map(|t| t.error_m).collect();
    errors.sort_by(f64::total_cmp);
    let mut seconds: Vec<f64> = tried.iter().map(|t| t.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let mean = |v: &[f64]| (!v.is_empty()).then(|| v.iter().sum::<f64>() / v.len() as f64);
    let all =
        |f: fn(&Trial) -> Option<f64>| -> Vec<f64> { tried.iter().filter_map(|t| f(t)).collect() };
    let mut no_fix = BTreeMap::new();
    for reason in tried.iter().filter_map(|t| t.reason) {
        *no_fix.entry(reason).or_insert(0) += 1;
    }
    let offsets = |of: fn(&Evidence) -> Option<[f64; 2]>, which: fn(&Trial) -> bool| {
        let all: Vec<[f64; 2]> = tried
            .iter()
            .filter(|t| which(t))
            .filter_map(|t| of(&t.evidence))
            .collect();
        (medians(&all), all.len())
    };
    let (relief_offset_m, relief_clear) = offsets(|e| e.relief_offset_m, |t| t.fixed);
    let (layers_shift_m, _) = offsets(|e| e.layers_shift_m, |_| true);
    let beyond = errors.iter().filter(|e| **e > WRONG_M).count();
    let never = trials.iter().filter(|t| t.what != "fix" && t.fixed).count();
    Summary {
        sites: tried.len(),
        fixes: errors.len(),
        fix_rate: errors.len() as f64 / tried.len().max(1) as f64,
        mean_m: mean(&errors),
        p95_m: errors.get((0.95 * errors.len() as f64) as usize).copied(),
        worst_m: errors.last().copied(),
        yaw_rms_deg: mean(&all(|t| t.yaw_error_deg.map(|e| e * e))).map(f64::sqrt),
        chi2_mean: mean(&all(|t| t.chi2)),
        wrong_fixes: beyond + never,
        seconds_median: seconds.get(seconds.len() / 2).copied().unwrap_or(0.0),
        relief_offset_m,
        relief_clear,
        by_relief: tried
            .iter()
            .filter(|t| t.fixed && t.evidence.by_relief)
            .count(),
        layers: Layers::of(&tried),
        layers_shift_m,
        no_fix,
    }
}

/// Median of each component; `None` of none.
fn medians(all: &[[f64; 2]]) -> Option<[f64; 2]> {
    let median = |k: usize| {
        let mut v: Vec<f64> = all.iter().map(|p| p[k]).collect();
        v.sort_by(f64::total_cmp);
        v.get(v.len() / 2).copied()
    };
    Some([median(0)?, median(1)?])
}

#[derive(Serialize)]
struct Report {
    seed: u64,
    #[serde(flatten)]
    all: Summary,
    /// Trials that must give no fix, by what is wrong: tried and fixed.
    must_not: BTreeMap<&'static str, [usize; 2]>,
    by_terrain: BTreeMap<String, Summary>,
}

fn conclude(args: &MapfixArgs, trials: &[Trial]) -> CliResult {
    let every: Vec<&Trial> = trials.iter().collect();
    let mut lands: BTreeMap<String, Vec<&Trial>> = BTreeMap::new();
    let mut must_not = BTreeMap::new();
    for t in trials {
        lands.entry(t.land.clone()).or_default().push(t);
        if t.what != "fix" {
            let n: &mut [usize; 2] = must_not.entry(t.what).or_default();
            n[0] += 1;
            n[1] += usize::from(t.fixed);
        }
    }
    let report = Report {
        seed: args.seed,
        all: summarise(&every),
        must_not,
        by_terrain: lands
            .iter()
            .map(|(k, v)| (k.clone(), summarise(v)))
            .collect(),
    };
    if let Some(dir) = &args.out {
        let text =
            serde_json::to_string_pretty(trials).map_err(|e| CliError::Failed(e.to_string()))?;
        sojourn_core::files::write_atomic(&dir.join("trials.json"), text.as_bytes())?;
    }
    if args.json {
        return say_json(&report);
    }
    say("terrain          stops  fixes  mean m   p95 m  worst m  yaw rms  wrong  median s");
    let metres = |v: Option<f64>| v.map_or("      -".into(), |v| format!("{v:7.2}"));
    let line = |name: &str, s: &Summary| {
        say(&format!(
            "{name:<16} {:>5} {:>5.1}% {} {} {}  {}° {:>5} {:>9.2}",
            s.sites,
            100.0 * s.fix_rate,
            metres(s.mean_m),
            metres(s.p95_m),
            metres(s.worst_m),
            metres(s.yaw_rms_deg),
            s.wrong_fixes,
            s.seconds_median
        ));
    };
    for (name, s) in &report.by_terrain {
        line(name, s);
    }
    line("all", &report.all);
    if let Some([east, north]) = report.all.relief_offset_m {
        say(&format!(
            "the elevation model would have put the rover {east:.2} m east and {north:.2} m north of the fixes \
             (median of {})",
            report.all.relief_clear
        ));
    }
    if let Some(layers) = &report.all.layers {
        layers.say(report.all.sites);
    }
    for (what, [n, fixed]) in &report.must_not {
        say(&format!(
            "{what}: {fixed} fixes in {n} trials (none is right)"
        ));
    }
    for (reason, n) in &report.all.no_fix {
        say(&format!("no fix {n} times: {reason}"));
    }
    Ok(())
}
