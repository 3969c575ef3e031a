//! Terrain classes seen from orbit: what HiRISE-like images show of ripples, bedrock, boulders and smooth ground.
//!
//! [`features()`] measures every cell of 2 m, a random forest ([`crate::forest`]) gives probabilities, a temperature makes them
//! calibrated (Guo et al. 2017), and cells whose features lie farther from the training's middle than nearly all of the
//! training (Mahalanobis distance) are said to be strange and count as unknown. The model is a file of text; `sojourn
//! train orbital` makes it from worlds of the twin, whose images and classes are known.

mod features;
mod patches;

pub use features::{CELL_M, CellFeatures, FEATURES, PIXEL_M, features};
pub use patches::{Patch, patches};

use crate::forest::{Forest, Growth, Samples};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use sojourn_core::classes::{CLASSES, TerrainClass};
use sojourn_core::raster::Raster;
use sojourn_core::{CoreError, files};
use std::path::Path;

/// The file format that this version reads and writes.
const FORMAT: &str = "sojourn orbital 1";
/// Largest model file.
const MODEL_BYTES: u64 = 4 << 20;
/// Share of the training beyond which a cell is strange.
const STRANGE_SHARE: f64 = 0.001;
/// Cells with less probability than this for their class are unknown.
const UNKNOWN_BELOW: f32 = 0.35;

/// A trained classifier of images from orbit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orbital {
    format: String,
    /// What it was trained on, in words.
    card: String,
    /// Classes by the forest's numbers.
    classes: Vec<TerrainClass>,
    /// Exponent of the shares that makes them probabilities.
    sharpness: f32,
    /// A cell is called hazardous from this probability of all hazardous classes together.
    hazard_from: f32,
    /// Middle of the training's features.
    mean: Vec<f32>,
    /// Inverse covariance of the training's features, row by row.
    precision: Vec<f32>,
    /// Squared Mahalanobis distance from which a cell is strange.
    strange_from: f32,
    forest: Forest,
}

/// What is known of every cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Ground {
    /// Codes of [`TerrainClass`]; unknown where nothing can be told.
    pub classes: Raster,
    /// Probability of the hazardous classes together; not-a-number where nothing can be told.
    pub hazard: Raster,
    /// Probabilities of the classes of [`CLASSES`], cell by cell; zeros where nothing can be told.
    pub probabilities: Vec<[f32; CLASSES.len()]>,
    /// Cells unlike those learnt from.
    pub strange: Vec<bool>,
}

/// Cells to learn from or to be measured by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    /// [`FEATURES`] numbers for every cell.
    pub values: Vec<f32>,
    /// The class of every cell.
    pub classes: Vec<TerrainClass>,
}

/// How a classifier did on labelled cells.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scored {
    /// Share of the cells whose likeliest class is theirs.
    pub accuracy: f64,
    /// Share of the hazardous cells that are not called hazardous.
    pub missed_hazard: f64,
    /// Share of the other cells that are called hazardous.
    pub false_alarm: f64,
    /// Mean distance of stated probability and share of right answers over ten bins (expected calibration error).
    pub ece: f64,
    /// Cells.
    pub cells: usize,
}

/// Whether wheels or belly are at risk on a class: what [`Orbital`] is asked for first.
#[must_use]
pub fn hazardous(class: TerrainClass) -> bool {
    matches!(
        class,
        TerrainClass::SandRipples
            | TerrainClass::LooseSoil
            | TerrainClass::BoulderField
            | TerrainClass::CraterOrScarp
    )
}

impl Orbital {
    /// The classifier that comes with Sojourn, `models/orbital.json`.
    ///
    /// # Errors
    /// [`CoreError`] when that file was broken when this was built.
    pub fn shipped() -> Result<Self, CoreError> {
        Self::parse(
            "models/orbital.json",
            include_str!("../../models/orbital.json"),
        )
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and what is wrong.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        Self::parse(
            &path.display().to_string(),
            &files::read_text(path, MODEL_BYTES)?,
        )
    }

    fn parse(what: &str, text: &str) -> Result<Self, CoreError> {
        let model: Self = serde_json::from_str(text)
            .map_err(|e| CoreError::format(what, format!("is no orbital classifier: {e}")))?;
        let wrong = |why: String| Err(CoreError::format(what, why));
        if model.format != FORMAT {
            return wrong(format!("format is {:?}, expected {FORMAT:?}", model.format));
        }
        if let Err(why) = model.forest.check() {
            return wrong(why);
        }
        let (n, f) = (model.classes.len(), model.forest.features());
        if n != model.forest.classes() || f != FEATURES {
            return wrong(format!(
                "has {n} classes and {f} features, expected {} and {FEATURES}",
                model.forest.classes()
            ));
        }
        let numbers = model.mean.iter().chain(&model.precision);
        let sound = model.mean.len() == FEATURES
            && model.precision.len() == FEATURES * FEATURES
            && numbers
                .chain([&model.sharpness, &model.strange_from, &model.hazard_from])
                .all(|v| v.is_finite());
        if !(sound && model.sharpness > 0.0 && (0.0..=1.0).contains(&model.hazard_from)) {
            return wrong("mean, precision, sharpness, strange_from or hazard_from is not as long as it should be or not finite".into());
        }
        Ok(model)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`CoreError`] that names the file.
    pub fn save(&self, path: &Path) -> Result<(), CoreError> {
        let text = serde_json::to_string(self)
            .map_err(|e| CoreError::format(path.display().to_string(), e.to_string()))?;
        files::write_atomic(path, (text + "\n").as_bytes())
    }

    /// What it was trained on.
    #[must_use]
    pub fn card(&self) -> &str {
        &self.card
    }

    /// The probability from which a cell is called hazardous.
    #[must_use]
    pub fn hazard_from(&self) -> f32 {
        self.hazard_from
    }

    /// Trains on labelled cells; `held_out` (of other worlds) sets sharpness and the hazard's threshold: the lowest one
    /// with at most `false_alarm` of harmless cells called hazardous.
    ///
    /// # Errors
    /// One sentence when the cells are too few or broken.
    pub fn train(
        cells: &Labelled,
        held_out: &Labelled,
        growth: Growth,
        false_alarm: f64,
        card: String,
    ) -> Result<Self, String> {
        let mut classes = cells.classes.clone();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < 2 || held_out.classes.is_empty() {
            return Err(format!(
                "{} classes in {} cells and {} cells held out: too few to learn from",
                classes.len(),
                cells.classes.len(),
                held_out.classes.len()
            ));
        }
        let number = |c: &TerrainClass| classes.binary_search(c).unwrap_or(0) as u8;
        let samples = Samples {
            features: FEATURES,
            values: cells.values.clone(),
            labels: cells.classes.iter().map(number).collect(),
        };
        let forest = Forest::grow(
            &samples,
            Growth {
                classes: classes.len(),
                ..growth
            },
        )?;
        let (mean, precision) = normal(&cells.values)?;
        let mut model = Self {
            format: FORMAT.into(),
            card,
            classes,
            sharpness: 1.0,
            hazard_from: 0.5,
            mean,
            precision,
            strange_from: f32::MAX,
            forest,
        };
        let mut far: Vec<f32> = cells
            .values
            .chunks_exact(FEATURES)
            .map(|v| model.distance2(v))
            .collect();
        far.sort_by(f32::total_cmp);
        let last = ((1.0 - STRANGE_SHARE) * (far.len() - 1) as f64) as usize;
        model.strange_from = far[last];
        model.sharpness = (4..=40)
            .map(|k| k as f32 / 10.0)
            .map(|s| (s, model.loss(held_out, s)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(1.0, |(s, _)| s);
        let mut harmless: Vec<f32> = held_out
            .values
            .chunks_exact(FEATURES)
            .zip(&held_out.classes)
            .filter(|(_, c)| !hazardous(**c))
            .map(|(v, _)| model.hazard(&model.probabilities(v)))
            .collect();
        harmless.sort_by(|a, b| b.total_cmp(a));
        let k = (false_alarm * harmless.len() as f64) as usize;
        model.hazard_from = harmless.get(k).copied().unwrap_or(0.5).clamp(0.05, 0.95);
        Ok(model)
    }

    fn loss(&self, cells: &Labelled, sharpness: f32) -> f64 {
        let trial = Self {
            sharpness,
            classes: self.classes.clone(),
            ..self.clone()
        };
        cells
            .values
            .chunks_exact(FEATURES)
            .zip(&cells.classes)
            .step_by(1 + cells.classes.len() / 20_000)
            .map(|(v, c)| -f64::from(trial.probabilities(v)[usize::from(c.code())].max(1e-4)).ln())
            .sum()
    }

    /// How it does on labelled cells.
    #[must_use]
    pub fn score(&self, cells: &Labelled) -> Scored {
        let (mut right, mut missed, mut wrongly) = (0.0, 0.0, 0.0);
        let (mut hazards, mut harmless) = (0.0f64, 0.0f64);
        let mut bins = [[0.0f64; 3]; 10];
        for (v, class) in cells.values.chunks_exact(FEATURES).zip(&cells.classes) {
            let p = self.probabilities(v);
            let (best, sure) = likeliest(&p);
            let hit = f64::from(u8::from(best == *class));
            right += hit;
            let bin = &mut bins[((sure * 10.0) as usize).min(9)];
            *bin = [bin[0] + 1.0, bin[1] + f64::from(sure), bin[2] + hit];
            let called = self.hazard(&p) >= self.hazard_from;
            if hazardous(*class) {
                hazards += 1.0;
                missed += f64::from(u8::from(!called));
            } else {
                harmless += 1.0;
                wrongly += f64::from(u8::from(called));
            }
        }
        let n = cells.classes.len().max(1) as f64;
        Scored {
            accuracy: right / n,
            missed_hazard: missed / hazards.max(1.0),
            false_alarm: wrongly / harmless.max(1.0),
            ece: bins
                .iter()
                .map(|[_, sure, hit]| (sure - hit).abs())
                .sum::<f64>()
                / n,
            cells: cells.classes.len(),
        }
    }

    /// Looks at every cell of a site's image and elevation model.
    ///
    /// # Errors
    /// [`CoreError`] when the image cannot be used: too coarse, too large, beside the elevation model.
    pub fn classify(&self, ortho: &Raster, elevation: &Raster) -> Result<Ground, CoreError> {
        let f = features(ortho, elevation)?;
        let unknown = f32::from(TerrainClass::Unknown.code());
        let mut classes = Raster::filled(f.cols, f.rows, CELL_M, f.origin_m, unknown)?;
        let mut hazard = Raster::filled(f.cols, f.rows, CELL_M, f.origin_m, f32::NAN)?;
        let mut probabilities = vec![[0.0; CLASSES.len()]; f.cols * f.rows];
        let mut strange = vec![false; f.cols * f.rows];
        for (i, v) in f.values.chunks_exact(FEATURES).enumerate() {
            if !f.known[i] {
                continue;
            }
            if self.distance2(v) > self.strange_from {
                strange[i] = true;
                continue;
            }
            let p = self.probabilities(v);
            let (best, sure) = likeliest(&p);
            if sure >= UNKNOWN_BELOW {
                classes.data_mut()[i] = f32::from(best.code());
            }
            hazard.data_mut()[i] = self.hazard(&p);
            probabilities[i] = p;
        }
        Ok(Ground {
            classes,
            hazard,
            probabilities,
            strange,
        })
    }

    fn hazard(&self, p: &[f32; CLASSES.len()]) -> f32 {
        CLASSES
            .iter()
            .zip(p)
            .filter(|(c, _)| hazardous(c.class))
            .map(|(_, p)| p)
            .sum()
    }

    fn probabilities(&self, features: &[f32]) -> [f32; CLASSES.len()] {
        let mut shares = vec![0.0f32; self.classes.len()];
        self.forest.shares(features, &mut shares);
        let mut out = [0.0; CLASSES.len()];
        let mut sum = 0.0;
        for (c, s) in self.classes.iter().zip(&shares) {
            let p = s.max(1e-4).powf(self.sharpness);
            out[usize::from(c.code())] = p;
            sum += p;
        }
        out.map(|p| p / sum.max(1e-12))
    }

    fn distance2(&self, features: &[f32]) -> f32 {
        let off: Vec<f32> = features
            .iter()
            .zip(&self.mean)
            .map(|(v, m)| v - m)
            .collect();
        self.precision
            .chunks_exact(FEATURES)
            .zip(&off)
            .map(|(row, o)| o * row.iter().zip(&off).map(|(p, o)| p * o).sum::<f32>())
            .sum()
    }
}

/// The likeliest class and its probability.
fn likeliest(p: &[f32; CLASSES.len()]) -> (TerrainClass, f32) {
    let mut best = (TerrainClass::Unknown, 0.0);
    for (c, p) in CLASSES.iter().zip(p) {
        if *p > best.1 {
            best = (c.class, *p);
        }
    }
    best
}

/// Mean and inverse covariance.
fn normal(values: &[f32]) -> Result<(Vec<f32>, Vec<f32>), String> {
    let n = (values.len() / FEATURES) as f64;
    let mut mean = DVector::<f64>::zeros(FEATURES);
    for v in values.chunks_exact(FEATURES) {
        for (m, v) in mean.iter_mut().zip(v) {
            *m += f64::from(*v) / n;
        }
    }
    let mut covariance = DMatrix::<f64>::zeros(FEATURES, FEATURES);
    for v in values.chunks_exact(FEATURES) {
        let off = DVector::from_iterator(
            FEATURES,
            v.iter().zip(mean.iter()).map(|(v, m)| f64::from(*v) - m),
        );
        covariance.ger(1.0 / n, &off, &off, 1.0);
    }
    for k in 0..FEATURES {
        covariance[(k, k)] = covariance[(k, k)] * 1.0001 + 1e-6;
    }
    let precision = covariance
        .cholesky()
        .ok_or("the features' covariance cannot be inverted")?
        .inverse();
    let short = |v: &f64| *v as f32;
    Ok((
        mean.iter().map(short).collect(),
        precision.transpose().iter().map(short).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells of two classes that differ in one feature; `seed` shifts the pattern.
    fn cells(n: usize, seed: usize) -> Labelled {
        let mut out = Labelled::default();
        for k in 0..n {
            let sand = (k + seed).is_multiple_of(3);
            for f in 0..FEATURES {
                let wobble = ((k * 31 + f * 17 + seed * 7) % 101) as f32 / 101.0;
                let lift = if sand && f == 4 { 1.2 } else { 0.0 };
                out.values.push(wobble + lift);
            }
            out.classes.push(if sand {
                TerrainClass::SandRipples
            } else {
                TerrainClass::SmoothRegolith
            });
        }
        out
    }

    fn trained() -> Orbital {
        let growth = Growth {
            classes: 0,
            trees: 8,
            depth: 6,
            least: 4,
            seed: 3,
        };
        Orbital::train(&cells(1500, 1), &cells(600, 2), growth, 0.05, "test".into()).unwrap()
    }

    #[test]
    fn what_was_learnt_is_told_and_survives_its_file() {
        let model = trained();
        let s = model.score(&cells(900, 5));
        assert!(
            s.accuracy > 0.95 && s.missed_hazard < 0.05 && s.false_alarm < 0.1,
            "{s:?}"
        );
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("orbital.json");
        model.save(&file).unwrap();
        assert_eq!(Orbital::load(&file).unwrap(), model);
        // Far from everything that was learnt from.
        assert!(model.distance2(&[40.0; FEATURES]) > model.strange_from);
        assert!(model.distance2(&model.mean) < model.strange_from);
    }

    #[test]
    fn broken_files_and_too_few_cells_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("orbital.json");
        let mut model = trained();
        model.precision.truncate(5);
        model.save(&file).unwrap();
        assert!(
            Orbital::load(&file)
                .unwrap_err()
                .to_string()
                .contains("precision")
        );
        model.format = "other".into();
        model.save(&file).unwrap();
        assert!(
            Orbital::load(&file)
                .unwrap_err()
                .to_string()
                .contains("format")
        );
        std::fs::write(&file, "{").unwrap();
        assert!(
            Orbital::load(&file)
                .unwrap_err()
                .to_string()
                .contains("no orbital classifier")
        );
        let growth = Growth {
            classes: 0,
            trees: 1,
            depth: 1,
            least: 1,
            seed: 1,
        };
        let none = Labelled::default();
        assert!(Orbital::train(&none, &none, growth, 0.05, String::new()).is_err());
    }

    #[test]
    fn the_shipped_classifier_is_whole_and_small() {
        let model = Orbital::shipped().unwrap();
        assert!(model.classes.contains(&TerrainClass::SandRipples));
        assert!(include_str!("../../models/orbital.json").len() < 1_000_000);
    }
}
