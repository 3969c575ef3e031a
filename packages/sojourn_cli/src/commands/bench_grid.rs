//! `sojourn bench grid`: the update of the terrain grid beside the same update in NumPy and in C++.

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use anyhow::{Context, ensure};
use clap::Args;
use nalgebra::{Isometry3, Matrix3x4, Vector3};
use serde::{Deserialize, Serialize};
use sojourn_core::camera::Pinhole;
use sojourn_core::frames::{BaseLink, Odom, Transform};
use sojourn_core::rover::Rover;
use sojourn_core::{Stamp, params::load_node_params};
use sojourn_perception::map::Footprint;
use sojourn_perception::pairing::RoverPose;
use sojourn_perception::update::Updater;
use sojourn_perception::{Config, DepthImage, DepthNoise, Params};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Instant;

/// Folder of the peers below the checkout.
const PEERS: &str = "benches/peers/grid";
/// Distance between two views, metres.
const STEP_M: f64 = 0.5;

/// `sojourn bench grid`
#[derive(Debug, Args)]
pub struct GridArgs {
    /// Depth images along the way, one every half metre.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(2..=24))]
    pub views: u64,
    /// How often the way is gone; the median over all updates counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub runs: u64,
    /// The rover whose camera looks: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// Leaves the peers out.
    #[arg(long)]
    pub no_peer: bool,
    /// Prints JSON: {pixels, cells, seconds, numpy, numpy_seconds, cpp, cpp_seconds, speedup_numpy, speedup_cpp, …}.
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct GridResult {
    pixels: usize,
    cells: usize,
    views: u64,
    runs: u64,
    /// Median of one update on one thread: project, fuse, forget what is seen through.
    seconds: f64,
    known_cells: usize,
    seen_through: usize,
    /// The peers' names and versions, null where they are not installed, and their medians.
    numpy: Option<String>,
    numpy_seconds: Option<f64>,
    cpp: Option<String>,
    cpp_seconds: Option<f64>,
    speedup_numpy: Option<f64>,
    speedup_cpp: Option<f64>,
    /// Greatest difference of a cell's height to a peer's, metres, and cells that only one of the two knows.
    greatest_difference_m: Option<f64>,
    different_cells: Option<usize>,
}

#[derive(Deserialize)]
struct PeerResult {
    seconds: f64,
    version: String,
}

/// One image with where it was taken.
struct View {
    image: DepthImage,
    odom_from_camera: Isometry3<f64>,
    at: RoverPose,
}

/// Measures.
///
/// # Errors
/// One sentence that names the file or the peer that is wrong.
pub fn grid(args: &GridArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let params: Params = load_node_params(
        &places.shared("config/perception.param.yaml")?,
        "perception",
    )?;
    let config = Config::new(params, &rover)?;
    let camera = rover.navcam_pinhole();
    let views: Vec<View> = (0..args.views)
        .map(|k| view(&rover, &camera, k, args.views))
        .collect();
    let mut seconds = Vec::new();
    let mut seen_through = 0;
    let mut updater = Updater::new(&config, Footprint::under(&rover));
    for _ in 0..args.runs {
        updater.map.clear();
        seen_through = 0;
        for v in &views {
            let begin = Instant::now();
            let done = updater.update(
                &v.image,
                &camera,
                &rover.navcam,
                &v.odom_from_camera,
                &v.at,
                &config,
            );
            seconds.push(begin.elapsed().as_secs_f64());
            seen_through += done.seen_through;
        }
    }
    seconds.sort_by(f64::total_cmp);
    let own = updater.map.filtered();
    let mut result = GridResult {
        pixels: camera.width * camera.height,
        cells: own.len(),
        views: args.views,
        runs: args.runs,
        seconds: seconds[seconds.len() / 2],
        known_cells: own.iter().filter(|c| !c[0].is_nan()).count(),
        seen_through,
        numpy: None,
        numpy_seconds: None,
        cpp: None,
        cpp_seconds: None,
        speedup_numpy: None,
        speedup_cpp: None,
        greatest_difference_m: None,
        different_cells: None,
    };
    if let (false, Some(root)) = (args.no_peer, places.checkout.as_deref()) {
        beside(
            &mut result,
            &root.join(PEERS),
            &rover,
            &config,
            &views,
            args.runs,
            &own,
        )?;
    }
    if args.json {
        return say_json(&result);
    }
    tell(&result);
    Ok(())
}

fn tell(r: &GridResult) {
    say(&format!(
        "{} pixels into {} cells: {:.2} ms an update (median of {}), {} cells seen through",
        r.pixels,
        r.cells,
        1e3 * r.seconds,
        r.views * r.runs,
        r.seen_through
    ));
    for (name, seconds, times) in [
        (&r.numpy, r.numpy_seconds, r.speedup_numpy),
        (&r.cpp, r.cpp_seconds, r.speedup_cpp),
    ] {
        say(&match (name, seconds, times) {
            (Some(name), Some(s), Some(times)) => {
                format!("{name}: {:.2} ms, {times:.2} times as long", 1e3 * s)
            }
            _ => format!("no peer (sh {PEERS}/setup.sh installs them)"),
        });
    }
    if let (Some(apart), Some(cells)) = (r.greatest_difference_m, r.different_cells) {
        say(&format!(
            "the same cells apart from {cells}, heights within {:.4} mm",
            1e3 * apart
        ));
    }
}

/// Hills with blocks; the block in the way is gone in the second half of the views.
fn height_m(x: f64, y: f64, second_half: bool) -> f64 {
    let hills = 0.15 * (0.7 * x).sin() * (0.5 * y).cos() + 0.03 * (3.1 * x + 1.7 * y).sin();
    let (i, j) = ((x / 2.5).floor(), (y / 2.5).floor());
    let inside = (x - 2.5 * i - 1.2).abs() < 0.25 && (y - 2.5 * j - 1.2).abs() < 0.2;
    let block = inside && (i + 2.0 * j).rem_euclid(3.0) < 1.0;
    let gone = second_half && (i + j).rem_euclid(2.0) < 1.0;
    if block && !gone { hills + 0.45 } else { hills }
}

fn view(rover: &Rover, camera: &Pinhole, k: u64, views: u64) -> View {
    let x = STEP_M * (k as f64 - 0.5 * views as f64);
    let z = height_m(x, 0.0, true);
    let odom_from_base_link: Transform<Odom, BaseLink> =
        Transform::from_xyz_rpy([x, 0.0, z], 0.0, 0.0, 0.1 * (k as f64).sin());
    let odom_from_camera = (odom_from_base_link * rover.base_link_from_navcam()).iso;
    let eye = odom_from_camera.translation.vector;
    let mut depth_m = Vec::with_capacity(camera.width * camera.height);
    for v in 0..camera.height {
        for u in 0..camera.width {
            let ray = odom_from_camera.rotation * camera.ray(u as f64, v as f64);
            depth_m.push(march(&eye, &ray, 2 * k >= views));
        }
    }
    let stamp = Stamp::from_secs(1.0 + k as f64);
    View {
        image: DepthImage {
            stamp,
            width: camera.width,
            height: camera.height,
            depth_m,
            noise: DepthNoise::Rover,
        },
        odom_from_camera,
        at: RoverPose {
            stamp,
            odom_from_base_link,
            travel_m: STEP_M * k as f64,
        },
    }
}

fn march(eye: &Vector3<f64>, ray: &Vector3<f64>, second_half: bool) -> f32 {
    let mut d = 0.3;
    while d < 16.0 {
        let p = eye + ray * d;
        let over = p.z - height_m(p.x, p.y, second_half);
        if over <= 0.0 {
            return d as f32;
        }
        d += (0.5 * over).clamp(0.02, 0.5);
    }
    f32::NAN
}

fn twelve(iso: &Isometry3<f64>) -> String {
    let m: Matrix3x4<f64> = iso.to_matrix().fixed_view::<3, 4>(0, 0).into_owned();
    let numbers = m.transpose();
    let words: Vec<String> = numbers.iter().map(|v| format!("{v:e}")).collect();
    words.join(" ")
}

/// What the peers read; see `update.cpp`.
fn job(rover: &Rover, config: &Config, views: &[View], runs: u64) -> anyhow::Result<String> {
    let (c, p, n) = (rover.navcam_pinhole(), &config.params, config.grid.cells);
    let res = config.grid.resolution_m;
    let Footprint::Rectangle(rear, front, half) = Footprint::under(rover) else {
        anyhow::bail!("the rover stands on no rectangle");
    };
    let origin = -((n / 2) as f64) * res;
    ensure!(
        p.stride_px == 1,
        "stride_px is {}, the peers use every pixel",
        p.stride_px
    );
    let mut text = format!("{} {} ", c.width, c.height);
    for v in [c.fx, c.fy, c.cx, c.cy] {
        write!(text, "{v:e} ")?;
    }
    write!(text, "{n} ")?;
    let navcam = &rover.navcam;
    for v in [
        res,
        origin,
        origin,
        p.range_min_m,
        config.range_max_m,
        navcam.baseline_m,
        navcam.disparity_sigma_px,
        p.drift.height_per_m,
        p.drift.along_per_m,
        p.drift.floor_m,
        p.drift.gate_sigmas,
    ] {
        write!(text, "{v:e} ")?;
    }
    write!(text, "{} ", p.min_count)?;
    let clearing = &p.clearing;
    for v in [
        clearing.sigmas,
        clearing.below_m,
        clearing.beyond_cells,
        rear,
        front,
        half,
    ] {
        write!(text, "{v:e} ")?;
    }
    writeln!(text, "{runs} {}", views.len())?;
    for v in views {
        let base = &v.at.odom_from_base_link.iso;
        writeln!(
            text,
            "{} {} {:e}",
            twelve(&v.odom_from_camera),
            twelve(base),
            v.at.travel_m
        )?;
    }
    Ok(text)
}

fn beside(
    result: &mut GridResult,
    folder: &Path,
    rover: &Rover,
    config: &Config,
    views: &[View],
    runs: u64,
    own: &[[f32; 2]],
) -> anyhow::Result<()> {
    let (python, program) = (folder.join(".venv/bin/python"), folder.join(".venv/update"));
    if !python.is_file() && !program.is_file() {
        return Ok(());
    }
    let room = Room::new()?;
    let job_file = room.0.join("job.txt");
    std::fs::write(&job_file, job(rover, config, views, runs)?).context("job for the peers")?;
    for (k, v) in views.iter().enumerate() {
        let bytes: Vec<u8> = v
            .image
            .depth_m
            .iter()
            .flat_map(|d| d.to_le_bytes())
            .collect();
        std::fs::write(room.0.join(format!("depth_{k}.f32")), bytes)
            .context("depth for the peers")?;
    }
    let answer = room.0.join("result.f32");
    let ask = |program: &Path, script: Option<&Path>| {
        let mut command = Process::new(program);
        if let Some(script) = script {
            command.arg(script);
        }
        command.arg(&job_file).arg(&room.0).arg(&answer);
        run(&mut command, program)
    };
    if python.is_file() {
        let peer = ask(&python, Some(&folder.join("update.py")))?;
        compare(result, &answer, own)?;
        result.speedup_numpy = Some(peer.seconds / result.seconds);
        (result.numpy, result.numpy_seconds) = (Some(peer.version), Some(peer.seconds));
    }
    if program.is_file() {
        let peer = ask(&program, None)?;
        compare(result, &answer, own)?;
        result.speedup_cpp = Some(peer.seconds / result.seconds);
        (result.cpp, result.cpp_seconds) = (Some(peer.version), Some(peer.seconds));
    }
    Ok(())
}

fn run(command: &mut Process, program: &Path) -> anyhow::Result<PeerResult> {
    let output = command
        .output()
        .with_context(|| program.display().to_string())?;
    ensure!(
        output.status.success(),
        "the peer {} ended with {}: {}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .lines()
            .last()
            .unwrap_or("no word")
    );
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{}'s answer", program.display()))
}

/// Holds a peer's heights against ours.
fn compare(result: &mut GridResult, file: &Path, own: &[[f32; 2]]) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).context("the peer's grid")?;
    ensure!(
        bytes.len() == 8 * own.len(),
        "the peer's grid has {} bytes, expected {}",
        bytes.len(),
        8 * own.len()
    );
    let heights = bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let (mut greatest, mut different) = (0.0f64, 0);
    for (peer, [ours, _]) in heights.zip(own) {
        if peer.is_nan() != ours.is_nan() {
            different += 1;
        } else if !peer.is_nan() {
            greatest = greatest.max(f64::from((peer - ours).abs()));
        }
    }
    result.greatest_difference_m = Some(
        result
            .greatest_difference_m
            .map_or(greatest, |g| g.max(greatest)),
    );
    result.different_cells = Some(
        result
            .different_cells
            .map_or(different, |d| d.max(different)),
    );
    Ok(())
}

/// A folder that goes away with its owner.
struct Room(PathBuf);

impl Room {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("sojourn_bench_grid.{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
