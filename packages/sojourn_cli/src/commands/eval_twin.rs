//! `sojourn eval twin`

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use crate::peer::{
    compare::compare,
    course::{Course, CourseParams},
    mujoco,
};
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sojourn_core::{error::in_range, report::Report, rover::Rover};
use sojourn_twin::verify::{Setup, VerifyOptions, verify};
use std::time::Instant;

/// `sojourn eval twin`
#[derive(Debug, Args)]
pub struct TwinArgs {
    /// The other simulator.
    #[arg(long, value_parser = ["mujoco"], default_value = "mujoco")]
    pub peer: String,
    /// From start to goal, metres.
    #[arg(long, value_name = "M", default_value_t = 250.0)]
    pub distance: f64,
    /// Share of the ground covered by rocks (Golombek's k); those of 0.25 m and taller are driven around.
    #[arg(long, default_value_t = 0.07)]
    pub cfa: f64,
    /// Tilt of the plane under the relief (3° over 2 m), degrees.
    #[arg(long, value_name = "DEG", default_value_t = 7.5)]
    pub slope: f64,
    /// Distance of the ground's nodes, metres.
    #[arg(long, value_name = "M", default_value_t = 0.1)]
    pub resolution: f64,
    /// The peer's time step, seconds.
    #[arg(long, value_name = "S", default_value_t = 0.005)]
    pub step: f64,
    /// Ground and route come from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The rover, with six wheels: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// Prints JSON: attitude_rms_deg, wheel_height_rms_m, speed_ratio, realtime_factor, …
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct TwinResult {
    peer: String,
    /// `goal`, or `stuck` where the peer's rover came no farther.
    peer_end: String,
    seed: u64,
    cfa: f64,
    slope_deg: f64,
    resolution_m: f64,
    route_m: f64,
    /// Way that the peer's rover drove.
    peer_m: f64,
    places: usize,
    attitude_rms_deg: f64,
    attitude_p95_deg: f64,
    attitude_max_deg: f64,
    wheel_height_rms_m: f64,
    wheel_height_max_m: f64,
    wheel_height_mean_m: f64,
    /// Share of the peer's wheels that hang in the air.
    wheels_hanging: f64,
    /// Of all other wheels.
    touching_height_rms_m: f64,
    tilt_rms_deg: f64,
    /// Processor time of the peer per metre of its drive by that of the verification.
    speed_ratio: f64,
    /// Simulated time of the verification by its processor time, one thread.
    realtime_factor: f64,
    peer_realtime_factor: f64,
    peer_step_s: f64,
    peer_warnings: u64,
    telemetry_values: u64,
    channels: usize,
    verified_m: f64,
    verified_s: f64,
    verify_cpu_s: f64,
    monte_carlo_samples: u32,
    monte_carlo_wall_s: f64,
    threads: usize,
    peer_sim_s: f64,
    peer_cpu_s: f64,
}

/// Compares.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence.
pub fn twin(args: &TwinArgs) -> CliResult {
    let places = Places::find();
    in_range("--step", "time step", args.step, 1e-4, 0.02)?;
    mujoco::python(&places)?;
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let body = ground::body(&places, "mars")?;
    let params = CourseParams {
        seed: args.seed,
        distance_m: args.distance,
        cfa: args.cfa,
        slope_deg: args.slope,
        resolution_m: args.resolution,
    };
    let course = Course::generate(&params, &body, &rover)?;
    let Verified {
        report,
        cpu_s,
        monte_carlo_s,
    } = verified(&places, &course, &rover)?;
    let bar = ProgressBar::new(course.length_m() as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{elapsed:>4} {bar:40} {pos} of {len} m in MuJoCo")
    {
        bar.set_style(style);
    }
    let tell = |metres: f64| bar.set_position(metres as u64);
    let peer = mujoco::drive(&places, &course, &rover, args.step, &tell)?;
    bar.finish_and_clear();
    let c = compare(&peer.samples, course.ground()?, &rover);
    let result = TwinResult {
        peer: peer.version,
        peer_end: peer.end,
        seed: args.seed,
        cfa: args.cfa,
        slope_deg: args.slope,
        resolution_m: args.resolution,
        route_m: course.length_m(),
        peer_m: peer.distance_m,
        places: c.places,
        attitude_rms_deg: c.attitude_rms_deg,
        attitude_p95_deg: c.attitude_p95_deg,
        attitude_max_deg: c.attitude_max_deg,
        wheel_height_rms_m: c.wheel_height_rms_m,
        wheel_height_max_m: c.wheel_height_max_m,
        wheel_height_mean_m: c.wheel_height_mean_m,
        wheels_hanging: c.wheels_hanging,
        touching_height_rms_m: c.touching_height_rms_m,
        tilt_rms_deg: c.tilt_rms_deg,
        speed_ratio: (peer.cpu_s / peer.distance_m) / (cpu_s / report.distance_m),
        realtime_factor: report.duration_s / cpu_s,
        peer_realtime_factor: peer.sim_s / peer.cpu_s,
        peer_step_s: args.step,
        peer_warnings: peer.warnings,
        telemetry_values: report.values_checked,
        channels: report.channels.len(),
        verified_m: report.distance_m,
        verified_s: report.duration_s,
        verify_cpu_s: cpu_s,
        monte_carlo_samples: SAMPLES,
        monte_carlo_wall_s: monte_carlo_s,
        threads: rayon::current_num_threads(),
        peer_sim_s: peer.sim_s,
        peer_cpu_s: peer.cpu_s,
    };
    if args.json {
        return say_json(&result);
    }
    say(&text(&result));
    Ok(())
}

/// Runs under what is not known whose time is taken.
const SAMPLES: u32 = 100;

/// The verification of a route and what it took.
struct Verified {
    report: Report,
    /// Processor time of the nominal run, the median of five, seconds.
    cpu_s: f64,
    /// Wall time of [`SAMPLES`] runs under what is not known, with the nominal one, on all cores, seconds.
    monte_carlo_s: f64,
}

fn verified(places: &Places, course: &Course, rover: &Rover) -> anyhow::Result<Verified> {
    let plan = course.plan(rover)?;
    let mut setup = Setup::load(&places.shared("config")?)?;
    setup.settings.monte_carlo.samples = SAMPLES;
    let mut taken_s = Vec::new();
    let mut report = None;
    for _ in 0..5 {
        let begin_s = cpu_s()?;
        let options = VerifyOptions::nominal();
        report = Some(verify(&plan, &course.site, rover, &setup, options)?);
        taken_s.push(cpu_s()? - begin_s);
    }
    taken_s.sort_by(f64::total_cmp);
    let clock = Instant::now();
    verify(
        &plan,
        &course.site,
        rover,
        &setup,
        VerifyOptions::standard(),
    )?;
    Ok(Verified {
        report: report.context("no run")?,
        cpu_s: taken_s[taken_s.len() / 2],
        monte_carlo_s: clock.elapsed().as_secs_f64(),
    })
}

/// Processor time of this thread so far, seconds.
fn cpu_s() -> anyhow::Result<f64> {
    let file = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(file).context(file)?;
    let nanoseconds = text.split_whitespace().next().and_then(|n| n.parse().ok());
    nanoseconds.map(|n: f64| n * 1e-9).context(file)
}

fn text(r: &TwinResult) -> String {
    let mm = |m: f64| 1e3 * m;
    let rows = [
        (
            "attitude, RMS",
            format!("{:.2}°", r.attitude_rms_deg),
            "at most 1°",
        ),
        (
            "attitude, 95 % of places",
            format!("{:.2}°", r.attitude_p95_deg),
            "",
        ),
        (
            "attitude, greatest",
            format!("{:.2}°", r.attitude_max_deg),
            "",
        ),
        (
            "wheel height, RMS",
            format!("{:.1} mm", mm(r.wheel_height_rms_m)),
            "at most 20 mm",
        ),
        (
            "wheel height, mean",
            format!("{:+.1} mm", mm(r.wheel_height_mean_m)),
            "",
        ),
        (
            "wheel height, greatest",
            format!("{:.0} mm", mm(r.wheel_height_max_m)),
            "",
        ),
        (
            "wheels of the peer in the air",
            format!("{:.1} %", 100.0 * r.wheels_hanging),
            "",
        ),
        (
            "wheel height of the others",
            format!("{:.1} mm", mm(r.touching_height_rms_m)),
            "",
        ),
        (
            "verification, one core",
            format!("{:.0} times real time", r.realtime_factor),
            "at least 10000",
        ),
        (
            "peer, one core",
            format!("{:.0} times real time", r.peer_realtime_factor),
            "",
        ),
        (
            "verification beside the peer",
            format!("{:.0} times as fast", r.speed_ratio),
            "at least 100",
        ),
        (
            "values checked",
            format!("{} of {} channels", r.telemetry_values, r.channels),
            "",
        ),
        (
            "verification with samples",
            format!(
                "{:.1} s ({} samples, {} threads)",
                r.monte_carlo_wall_s, r.monte_carlo_samples, r.threads
            ),
            "at most 60 s",
        ),
    ];
    let mut out = format!(
        "{} at {:.1} ms: {:.1} m of {:.1} m, end: {}; compared at {} places, tilt {:.1}° RMS\n",
        r.peer,
        1e3 * r.peer_step_s,
        r.peer_m,
        r.route_m,
        r.peer_end,
        r.places,
        r.tilt_rms_deg
    );
    for (what, value, asked) in rows {
        out += format!("  {what:30} {value:>32}   {asked}").trim_end();
        out.push('\n');
    }
    out.trim_end().to_string()
}
