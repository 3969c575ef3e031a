//! `report.html` and `map.png`, drawn from a run folder; drawing again gives the same.

pub mod canvas;
pub mod cdr;
pub mod chart;
pub mod html;
pub mod map;
pub mod recording;
pub mod verification;

use serde_json::Value;
use sojourn_core::{
    files,
    plan::Plan,
    report::Report,
    rover::Rover,
    site::{self, Site},
};
use std::path::{Path, PathBuf};

/// Largest summary or score that is read, bytes.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// What can be wrong with a run folder.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A message of a recording cannot be read.
    #[error("{0}")]
    Message(&'static str),
    /// A recording cannot be read.
    #[error("{}: {reason}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The picture cannot be drawn.
    #[error("the map cannot be drawn: {0}")]
    Picture(&'static str),
    /// A file of the folder cannot be read or written.
    #[error(transparent)]
    Core(#[from] sojourn_core::CoreError),
}

/// A run folder read back.
pub struct Run {
    /// `summary.json`, or an empty object.
    pub summary: Value,
    /// `plan.json`.
    pub plan: Plan,
    /// `verification.json`, when there.
    pub verification: Option<Report>,
    /// `score.json`, when there.
    pub score: Option<Value>,
    /// `site/`.
    pub site: Site,
    /// `recording.mcap`, or nothing.
    pub recording: recording::Recording,
    /// `rover.yaml`, when there.
    pub rover: Option<Rover>,
}

/// Reads a JSON file that may be missing.
///
/// # Errors
/// [`ReportError`] when it is there and cannot be read.
pub fn json_if_there(path: &Path) -> Result<Option<Value>, ReportError> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = files::read_text(path, MAX_JSON_BYTES)?;
    serde_json::from_str(&text).map(Some).map_err(|e| {
        sojourn_core::CoreError::format(path.display().to_string(), e.to_string()).into()
    })
}

impl Run {
    /// Reads a run folder; plan and site have to be there.
    ///
    /// # Errors
    /// [`ReportError`] that names the file.
    pub fn read(dir: &Path) -> Result<Self, ReportError> {
        let plan = Plan::load(&dir.join("plan.json"))?;
        let verification = dir.join("verification.json");
        let recording = dir.join("recording.mcap");
        let rover = dir.join("rover.yaml");
        Ok(Self {
            summary: json_if_there(&dir.join("summary.json"))?
                .unwrap_or_else(|| serde_json::json!({})),
            plan,
            verification: verification
                .is_file()
                .then(|| Report::load(&verification))
                .transpose()?,
            score: json_if_there(&dir.join("score.json"))?,
            site: Site::load(&dir.join("site"))?,
            recording: recording
                .is_file()
                .then(|| recording::read(&recording))
                .transpose()?
                .unwrap_or_default(),
            rover: rover.is_file().then(|| Rover::load(&rover)).transpose()?,
        })
    }

    /// Draws the map and the page: PNG and HTML.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn draw(&self) -> Result<(Vec<u8>, String), ReportError> {
        let places = |track: &[recording::Point]| track.iter().map(|p| p.at_m).collect::<Vec<_>>();
        let name = self
            .summary
            .get("name")
            .map_or_else(|| self.plan.name.clone(), html::shown);
        let title = format!(
            "{name}: {}, {}, {:.0} m planned",
            self.plan.body.name, self.plan.rover, self.plan.distance_m
        );
        let map_png = map::draw(&map::MapInput {
            title: &title,
            elevation: self.site.elevation()?,
            ortho: self.site.layers.get(site::ORTHO),
            disagreement: None,
            plan: &self.plan,
            truth: &places(&self.recording.truth),
            estimate: &places(&self.recording.estimate),
            events: &self.recording.events,
            marks: &[],
            segments: &[],
            legend: map::DRIVE_LEGEND,
        })?;
        let page = html::page(&html::Page {
            summary: &self.summary,
            plan: &self.plan,
            verification: self.verification.as_ref(),
            recording: &self.recording,
            true_slip: &self.true_slip(),
            limits: self.rover.as_ref().map_or([None; 2], |r| {
                [Some(r.limits.tilt_deg), Some(r.limits.slip)]
            }),
            map_png: &map_png,
            verification_png: self
                .verification
                .as_ref()
                .map(|r| verification::picture(&self.plan, &self.site, r))
                .transpose()?,
        });
        Ok((map_png, page))
    }

    /// Slip over distance from the simulator's score, when it tells it; only where the rover moves.
    fn true_slip(&self) -> Vec<[f64; 2]> {
        const MOVING_M: f64 = 0.002;
        let track = self
            .score
            .as_ref()
            .and_then(|s| s.get("track"))
            .and_then(Value::as_array);
        let mut out: Vec<[f64; 2]> = Vec::new();
        let mut before_m = f64::NEG_INFINITY;
        for p in track.into_iter().flatten() {
            let number = |key: &str| p.get(key).and_then(Value::as_f64);
            if let (Some(distance_m), Some(slip)) = (number("distance_m"), number("slip")) {
                if distance_m - before_m > MOVING_M && slip > 0.0 {
                    out.push([distance_m, slip]);
                }
                before_m = distance_m;
            }
        }
        out
    }
}

/// Draws `map.png` and `report.html` of a run folder again.
///
/// # Errors
/// [`ReportError`] that names the file.
pub fn redraw(dir: &Path) -> Result<(), ReportError> {
    let (map, page) = Run::read(dir)?.draw()?;
    files::write_atomic(&dir.join("map.png"), &map)?;
    files::write_atomic(&dir.join("report.html"), page.as_bytes())?;
    Ok(())
}
