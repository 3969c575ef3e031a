//! The trials of `sojourn eval localization`: several at a time, kept as they end so that a run can be taken up again.

use crate::localize::writer::{Both, FolderWriter};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sojourn_core::{body::Body, files::write_atomic, rover::Rover};
use sojourn_sweep::{
    closed_loop::Settings,
    course::{Course, MapKit},
    odometry_trial::{PairObserver, Trial, TrialResult, run},
    orb_baseline::{Baseline, OrbBaseline},
};
use std::path::{Path, PathBuf};

/// Largest kept trial that is read, bytes.
const MOST_BYTES: u64 = 64 << 20;

/// Way between two lines of progress where no bar is seen, metres.
const TELL_EVERY_M: u64 = 50;

/// A trial that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// What it was.
    pub trial: Trial,
    /// What it gave.
    pub result: TrialResult,
    /// OpenCV's loop on the same pairs.
    pub baseline: Baseline,
}

/// A trial as it is kept: with everything that it depends on.
#[derive(Serialize, Deserialize)]
struct Kept {
    under: String,
    ended: Ended,
}

/// Where and how trials are run.
pub struct Bench<'a> {
    /// Parameters of simulator and localization.
    pub settings: &'a Settings,
    /// The rover.
    pub rover: &'a Rover,
    /// The planet.
    pub body: &'a Body,
    /// Trials at a time.
    pub jobs: usize,
    /// Ground with a map from orbit, on which the node finds itself; without OpenCV's loop.
    pub map: Option<MapKit>,
    /// Folder that keeps what has ended.
    pub keep: Option<PathBuf>,
    /// Folder that the recordings are written into.
    pub write: Option<PathBuf>,
}

impl Bench<'_> {
    /// Runs the trials and gives them in their order.
    ///
    /// # Errors
    /// One sentence.
    pub fn run(&self, trials: &[Trial]) -> anyhow::Result<Vec<Ended>> {
        if let Some(dir) = &self.keep {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("{}: cannot be made", dir.display()))?;
        }
        let whole_m: f64 = trials.iter().map(|t| t.distance_m).sum();
        let bar = ProgressBar::new(whole_m as u64);
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed:>4} {bar:40} {pos} of {len} m, {eta} to go")
        {
            bar.set_style(style);
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.jobs)
            .build()?;
        let ended = pool.install(|| {
            trials
                .par_iter()
                .map(|t| self.one(t, &bar))
                .collect::<anyhow::Result<Vec<Ended>>>()
        });
        bar.finish_and_clear();
        ended
    }

    fn one(&self, trial: &Trial, bar: &ProgressBar) -> anyhow::Result<Ended> {
        let file = self
            .keep
            .as_ref()
            .map(|dir| dir.join(format!("trial_{}.json", trial.seed)));
        // All that the result depends on beside the trial and the program.
        let (settings, rover, body) = (self.settings, self.rover, self.body);
        let under = format!("{settings:?} {rover:?} {body:?} {:?}", self.map);
        if let Some(ended) = file.as_deref().and_then(|f| kept(f, trial, &under)) {
            bar.inc(trial.distance_m as u64);
            return Ok(ended);
        }
        let mut baseline = match self.map {
            Some(_) => None,
            None => Some(OrbBaseline::new().context("OpenCV cannot be set up")?),
        };
        let course = match &self.map {
            Some(kit) => Course::mapped(trial, kit, body)?,
            None => Course::plain(trial, body)?,
        };
        let mut writer = match &self.write {
            Some(dir) => Some(FolderWriter::new(
                &dir.join(format!("seed_{}", trial.seed)),
            )?),
            None => None,
        };
        let mut told_m = 0u64;
        let result = {
            let mut all: Vec<&mut dyn PairObserver> = Vec::new();
            if let Some(baseline) = &mut baseline {
                all.push(baseline);
            }
            if let Some(writer) = &mut writer {
                all.push(writer);
            }
            let hidden = bar.is_hidden();
            let mut progress = |m: f64| {
                bar.inc((m as u64).saturating_sub(told_m));
                // Where no bar is seen a line has to do.
                if hidden && m as u64 / TELL_EVERY_M > told_m / TELL_EVERY_M {
                    eprintln!("seed {}: {m:.0} of {:.0} m", trial.seed, trial.distance_m);
                }
                told_m = told_m.max(m as u64);
            };
            let mut all = Both(all);
            run(
                trial,
                course,
                settings,
                rover,
                body,
                &mut all,
                &mut progress,
            )?
        };
        if let Some(writer) = writer {
            writer.finish()?;
        }
        let ended = Ended {
            trial: *trial,
            result,
            baseline: baseline.map(|b| b.result().clone()).unwrap_or_default(),
        };
        if let Some(file) = file {
            let kept = Kept {
                under,
                ended: ended.clone(),
            };
            write_atomic(&file, &serde_json::to_vec(&kept)?)?;
        }
        Ok(ended)
    }
}

/// A trial that was kept, if it is this one under the same settings.
fn kept(file: &Path, trial: &Trial, under: &str) -> Option<Ended> {
    let bytes = sojourn_core::files::read_bytes(file, MOST_BYTES).ok()?;
    let kept: Kept = serde_json::from_slice(&bytes).ok()?;
    (kept.under == under && kept.ended.trial == *trial).then_some(kept.ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_trial_counts_under_its_own_settings_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trial_3.json");
        let trial = Trial {
            seed: 3,
            distance_m: 20.0,
            cfa: 0.05,
            extra_slip: 0.1,
            slope_deg: 5.0,
            sun_deg: 40.0,
        };
        let ended = Ended {
            trial,
            result: TrialResult::default(),
            baseline: Baseline::default(),
        };
        let all = Kept {
            under: "these".into(),
            ended: ended.clone(),
        };
        std::fs::write(&file, serde_json::to_vec(&all).unwrap()).unwrap();
        assert_eq!(kept(&file, &trial, "these"), Some(ended));
        assert_eq!(kept(&file, &trial, "others"), None);
        let longer = Trial {
            distance_m: 21.0,
            ..trial
        };
        assert_eq!(kept(&file, &longer, "these"), None);
        std::fs::write(&file, "{").unwrap();
        assert_eq!(kept(&file, &trial, "these"), None);
    }
}
