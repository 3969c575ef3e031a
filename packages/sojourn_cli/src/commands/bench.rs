//! `sojourn bench`: measures parts of the suite on this machine, beside a peer from elsewhere where one is installed.

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::launch::places::Places;
use anyhow::{Context, anyhow, ensure};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use sojourn_planner::least_cost::{CostGrid, Found, Neighbours, Path as CellPath, least_cost};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Instant;

/// Folder of the search's peer below the checkout.
const PEER: &str = "benches/peers/search";

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// The least-cost search over cells of random cost, from corner to corner.
    #[command(
        after_help = "Example:\n  sh benches/peers/search/setup.sh      # once, for the peer (scikit-image)\n  sojourn bench search --size 4000 --json"
    )]
    Search(SearchArgs),
    /// The update of the terrain grid by one depth image.
    #[command(
        after_help = "Example:\n  sh benches/peers/grid/setup.sh        # once, for the peers (NumPy, g++)\n  sojourn bench grid --json"
    )]
    Grid(super::bench_grid::GridArgs),
}

/// `sojourn bench search`
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Cells along each side.
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u64).range(2..=16000))]
    pub size: u64,
    /// The costs come from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Runs; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub runs: u64,
    /// Cells that a path may go to from a cell: 8 (as the peer's) or 16.
    #[arg(long, default_value = "8", value_parser = ["8", "16"])]
    pub neighbours: String,
    /// Leaves the peer out.
    #[arg(long)]
    pub no_peer: bool,
    /// Prints JSON: {size, seconds, peak_mb, peer, peer_seconds, cost_ratio, cost, expanded, threads, …}.
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct SearchResult {
    size: u64,
    neighbours: u8,
    runs: u64,
    /// Median of the runs: two fields of distances, the search and the reading of the path.
    seconds: f64,
    all_seconds: Vec<f64>,
    /// Peak of this process' resident memory, costs and everything else together.
    peak_mb: f64,
    threads: usize,
    expanded: usize,
    cost: f64,
    /// The peer's name and version; null when it is not installed.
    peer: Option<String>,
    peer_seconds: Option<f64>,
    /// This path's cost by the peer's.
    cost_ratio: Option<f64>,
    /// The peer's seconds by these.
    speedup: Option<f64>,
}

#[derive(Deserialize)]
struct PeerResult {
    seconds: f64,
    cost: f64,
    version: String,
}

/// Measures.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence.
pub fn bench(command: &BenchCommand) -> CliResult {
    match command {
        BenchCommand::Search(args) => search(args),
        BenchCommand::Grid(args) => super::bench_grid::grid(args),
    }
}

/// Costs of 1 to 10, each from its place and the seed (SplitMix64; Steele, Lea and Flood 2014), in whole 1/64.
fn cost(seed: u64, index: u64) -> f32 {
    let mut z = seed
        .wrapping_mul(0xD134_2543_DE82_EF95)
        .wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    // 64 to 640 sixty-fourths.
    (64 + (z >> 40) % 577) as f32 / 64.0
}

fn search(args: &SearchArgs) -> CliResult {
    let side = usize::try_from(args.size).context("--size")?;
    let at = |c: usize, r: usize| cost(args.seed, (r * side + c) as u64);
    let grid = CostGrid::new(side, side, at).context("the grid is too large")?;
    let (neighbours, number) = if args.neighbours == "16" {
        (Neighbours::Sixteen, 16)
    } else {
        (Neighbours::Eight, 8)
    };
    let mut all_seconds = Vec::new();
    let mut path: Option<CellPath> = None;
    for _ in 0..args.runs {
        let begin = Instant::now();
        let found = least_cost(&grid, 0, side * side - 1, neighbours);
        all_seconds.push(begin.elapsed().as_secs_f64());
        match found {
            Some(Found::Path(p)) => path = Some(p),
            other => return Err(anyhow!("no path on open ground: {other:?}").into()),
        }
    }
    let path = path.context("no run was made")?;
    let peak_mb = peak_mb()?;
    let mut sorted = all_seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let seconds = sorted[sorted.len() / 2];
    drop(grid);
    let peer = if args.no_peer { None } else { peer(side, at)? };
    let result = SearchResult {
        size: args.size,
        neighbours: number,
        runs: args.runs,
        seconds,
        all_seconds,
        peak_mb,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        expanded: path.expanded,
        cost: path.cost,
        peer_seconds: peer.as_ref().map(|p| p.seconds),
        cost_ratio: peer.as_ref().map(|p| path.cost / p.cost),
        speedup: peer.as_ref().map(|p| p.seconds / seconds),
        peer: peer.map(|p| p.version),
    };
    if args.json {
        return say_json(&result);
    }
    say(&format!(
        "{side} x {side} cells of random cost, {number} neighbours: {seconds:.3} s, at most {peak_mb:.0} MB"
    ));
    say(&match (
        &result.peer,
        result.peer_seconds,
        result.cost_ratio,
        result.speedup,
    ) {
        (Some(name), Some(s), Some(ratio), Some(times)) => format!(
            "{name}: {s:.2} s, {times:.1} times as long; cost of this path by the peer's {ratio:.5}"
        ),
        _ => format!("no peer (sh {PEER}/setup.sh installs it)"),
    });
    Ok(())
}

/// Peak resident memory of this process, megabytes of 10⁶ bytes.
fn peak_mb() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let kib = text
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|v| v.trim().strip_suffix("kB"))
        .and_then(|v| v.trim().parse::<f64>().ok())
        .context("/proc/self/status has no VmHWM in kB")?;
    Ok(kib * 1024.0 / 1e6)
}

/// Runs the peer on the same costs; `None` when it is not installed.
fn peer(side: usize, at: impl Fn(usize, usize) -> f32) -> anyhow::Result<Option<PeerResult>> {
    let Some(root) = Places::find().checkout else {
        return Ok(None);
    };
    let folder = root.join(PEER);
    let python = folder.join(".venv/bin/python");
    if !python.is_file() {
        return Ok(None);
    }
    let costs = Temporary::new("sojourn_bench_costs")?;
    {
        let mut out =
            BufWriter::new(std::fs::File::create(&costs.0).context("costs for the peer")?);
        for r in 0..side {
            for c in 0..side {
                out.write_all(&((at(c, r) * 64.0) as u16).to_le_bytes())?;
            }
        }
        out.flush()?;
    }
    let size = side.to_string();
    let output = Process::new(&python)
        .arg(folder.join("mcp_geometric.py"))
        .arg(&costs.0)
        .args([&size, &size])
        .output()
        .with_context(|| python.display().to_string())?;
    ensure!(
        output.status.success(),
        "the peer ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .lines()
            .last()
            .unwrap_or("no word")
    );
    serde_json::from_slice(&output.stdout)
        .map(Some)
        .context("the peer's answer")
}

/// A file that goes away with its owner.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("{name}.{}", std::process::id()));
        ensure!(!Path::exists(&path), "{} is there already", path.display());
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
