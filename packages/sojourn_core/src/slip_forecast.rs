//! Slip that is to be expected, learned while driving, and what is kept of it from drive to drive.
//!
//! The rover's file gives slip by grade ([`SlipModel`]), a table gives it by class of ground ([`SlipPriors`]); what the
//! wheels and the pose say while driving corrects it, per class: the measured excess over the model is `a + b·grade` with a
//! normal prior on `a` and `b`, updated by each measurement (conjugate Bayesian linear regression with known noise; Bishop,
//! Pattern Recognition and Machine Learning, 3.3). What is planned with is the upper end of one standard deviation.
//! [`SlipMemory`] is the belief as a document, so that the next drive begins with what this one learned.

use crate::{
    CoreError,
    classes::{CLASSES, TerrainClass},
    error::in_range,
    files, params,
    slip::SlipModel,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Beliefs that are kept apart: one per class, the last for ground without a class.
const BELIEFS: usize = CLASSES.len() + 1;
/// Grade that the slope coefficient is measured in, degrees.
pub const GRADE_SCALE_DEG: f64 = 10.0;
/// Weight of a measurement's age: each new one makes older ones count this much.
const MEMORY: f64 = 0.995;
/// Version of [`SlipMemory`] as a document.
pub const SLIP_MEMORY_VERSION: u32 = 1;
/// Largest document that is read.
const MEMORY_BYTES: u64 = 1 << 20;

/// What slip is like on one class of ground before anything is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassSlip {
    /// The class.
    pub class: TerrainClass,
    /// Slip by grade of a middling place.
    pub model: SlipModel,
    /// How far places differ on flat ground: standard deviation, share of the way.
    pub flat_sigma: f64,
    /// How far their rise with the grade differs: standard deviation, share of the way per 10 degrees.
    pub grade_sigma: f64,
    /// Scatter from metre to metre at one place beside the measurement's own: standard deviation, share of the way.
    pub scatter_sigma: f64,
}

/// A table of priors, `config/slip_priors.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlipPriors {
    /// Name of the rover that the numbers belong to.
    pub rover: String,
    /// One entry per class; classes without one begin with the rover's own model.
    pub classes: Vec<ClassSlip>,
}

impl SlipPriors {
    /// The table that comes with Sojourn, `config/slip_priors.yaml` as it was when this was built.
    ///
    /// # Errors
    /// [`CoreError`] when that file was broken at the time.
    pub fn shipped() -> Result<Self, CoreError> {
        let what = "config/slip_priors.yaml";
        let table: Self =
            params::parse_yaml(what, include_str!("../../../config/slip_priors.yaml"))?;
        table.check(what)?;
        Ok(table)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let table: Self = params::load_yaml(path)?;
        table.check(&path.display().to_string())?;
        Ok(table)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        for (i, c) in self.classes.iter().enumerate() {
            let name = format!("classes[{i}] ({})", c.class.name());
            if self.classes[..i].iter().any(|o| o.class == c.class) {
                return Err(CoreError::format(what, format!("{name} is given twice")));
            }
            c.model.check(&format!("{what}, {name}"))?;
            for (key, v, least) in [
                ("flat_sigma", c.flat_sigma, 1e-4),
                ("grade_sigma", c.grade_sigma, 1e-4),
                ("scatter_sigma", c.scatter_sigma, 0.0),
            ] {
                in_range(what, &format!("{name}.{key}"), v, least, 1.0)?;
            }
        }
        Ok(())
    }
}

/// Belief about one class: precision matrix and its product with the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Belief {
    model: SlipModel,
    /// Whether the model is the class's own, with a spread that is known before anything is measured.
    own: bool,
    prior: [f64; 2],
    noise: f64,
    scatter: f64,
    precision: [[f64; 2]; 2],
    weighted: [f64; 2],
    measurements: u32,
}

impl Belief {
    fn new(model: SlipModel, sigmas: [f64; 2], noise_sigma: f64) -> Self {
        let prior = sigmas.map(|s| s.max(1e-6).powi(-2));
        Self {
            model,
            own: false,
            prior,
            noise: noise_sigma.max(1e-6).powi(2),
            scatter: 0.0,
            precision: [[prior[0], 0.0], [0.0, prior[1]]],
            weighted: [0.0; 2],
            measurements: 0,
        }
    }

    fn solve(&self) -> ([f64; 2], [[f64; 2]; 2]) {
        let [[a, b], [_, d]] = self.precision;
        let det = a * d - b * b;
        let inverse = [[d / det, -b / det], [-b / det, a / det]];
        let [u, v] = self.weighted;
        (
            [
                inverse[0][0] * u + inverse[0][1] * v,
                inverse[1][0] * u + inverse[1][1] * v,
            ],
            inverse,
        )
    }
}

/// A forecast of slip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Expected {
    /// Expected slip, 0 to 1.
    pub slip: f64,
    /// Standard deviation of the mean: shrinks with what is measured.
    pub sigma: f64,
    /// Standard deviation of what the next metre will show, without the error of measuring it.
    pub spread: f64,
}

/// The forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct SlipForecast {
    model: SlipModel,
    beliefs: [Belief; BELIEFS],
}

impl SlipForecast {
    /// A forecast that begins with the rover's model; `prior_sigma` is how far the ground may differ from it (share of
    /// the way), `noise_sigma` the standard deviation of one measurement.
    #[must_use]
    pub fn new(model: SlipModel, prior_sigma: f64, noise_sigma: f64) -> Self {
        Self {
            model,
            beliefs: [Belief::new(model, [prior_sigma; 2], noise_sigma); BELIEFS],
        }
    }

    /// The same with what a table says about single classes; ground without a class keeps the rover's model.
    #[must_use]
    pub fn with_priors(mut self, table: &SlipPriors) -> Self {
        for c in &table.classes {
            let k = usize::from(c.class.code());
            if let Some(b) = self.beliefs.get_mut(k) {
                let sigma = (b.noise + c.scatter_sigma.powi(2)).sqrt();
                *b = Belief {
                    own: true,
                    scatter: c.scatter_sigma.powi(2),
                    ..Belief::new(c.model, [c.flat_sigma, c.grade_sigma], sigma)
                };
            }
        }
        self
    }

    fn index(code: Option<f64>) -> usize {
        match code {
            Some(c) if (0.0..(BELIEFS as f64 - 1.0)).contains(&c) => c as usize,
            _ => BELIEFS - 1,
        }
    }

    fn features(pitch_rad: f64, direction: f64) -> [f64; 2] {
        let uphill = -pitch_rad.to_degrees() * direction.signum();
        [1.0, uphill.max(0.0) / GRADE_SCALE_DEG]
    }

    /// Takes a measurement: slip 0 to 1 (below 0 when the rover slides ahead) at a pitch (REP-103) and direction on a
    /// class (its code). Numbers that are not finite are left out.
    pub fn learn(&mut self, pitch_rad: f64, direction: f64, class: Option<f64>, slip: f64) {
        if !(pitch_rad.is_finite() && slip.is_finite()) {
            return;
        }
        let x = Self::features(pitch_rad, direction);
        if let Some(b) = self.beliefs.get_mut(Self::index(class)) {
            let excess = (slip - b.model.slip(pitch_rad, direction)).clamp(-1.0, 1.0);
            for i in 0..2 {
                for j in 0..2 {
                    // Old measurements fade towards the prior, not below it.
                    let floor = if i == j { b.prior[i] } else { 0.0 };
                    let kept = floor + MEMORY * (b.precision[i][j] - floor);
                    b.precision[i][j] = kept + x[i] * x[j] / b.noise;
                }
                b.weighted[i] = MEMORY * b.weighted[i] + x[i] * excess / b.noise;
            }
            b.measurements = b.measurements.saturating_add(1);
        }
    }

    /// The forecast at a pitch (REP-103), direction and class (its code).
    #[must_use]
    pub fn forecast(&self, pitch_rad: f64, direction: f64, class: Option<f64>) -> Expected {
        let x = Self::features(pitch_rad, direction);
        let Some(b) = self.beliefs.get(Self::index(class)) else {
            return Expected::default();
        };
        let base = b.model.slip(pitch_rad, direction);
        let (mean, cov) = b.solve();
        let excess = mean[0] * x[0] + mean[1] * x[1];
        let variance = x[0] * (cov[0][0] * x[0] + cov[0][1] * x[1])
            + x[1] * (cov[1][0] * x[0] + cov[1][1] * x[1]);
        let variance = variance.max(0.0);
        Expected {
            slip: (base + excess).clamp(0.0, 1.0),
            sigma: variance.sqrt(),
            spread: (variance + b.scatter).sqrt(),
        }
    }

    /// Expected slip and its standard deviation, 0 to 1. Where nothing was measured and no class's table speaks, the
    /// rover's model is what is known; its own spread is the slip share's to cover, and 0 here.
    #[must_use]
    pub fn expect(&self, pitch_rad: f64, direction: f64, class: Option<f64>) -> (f64, f64) {
        let told = self
            .beliefs
            .get(Self::index(class))
            .is_some_and(|b| b.own || b.measurements > 0);
        let e = self.forecast(pitch_rad, direction, class);
        (e.slip, if told { e.sigma } else { 0.0 })
    }

    /// Slip to plan with: one standard deviation above what is expected, and not below half the rover's model, so that
    /// easy ground does not talk the rover into a dune.
    #[must_use]
    pub fn worst(&self, pitch_rad: f64, direction: f64, class: Option<f64>) -> f64 {
        let (mean, sigma) = self.expect(pitch_rad, direction, class);
        let floor = 0.5 * self.model.slip(pitch_rad, direction);
        (mean + sigma).max(floor).clamp(0.0, 1.0)
    }

    /// Steepest ground, degrees up to 45, on which the slip to plan with stays within a limit, for a class (its code).
    #[must_use]
    pub fn steepest_deg(&self, limit: f64, class: Option<f64>) -> f64 {
        (0..=450)
            .map(|k| f64::from(k) / 10.0)
            .take_while(|deg| self.worst(-deg.to_radians(), 1.0, class) <= limit)
            .last()
            .unwrap_or(0.0)
    }

    /// What was learned, as a document.
    #[must_use]
    pub fn memory(&self, rover: &str) -> SlipMemory {
        let classes = self
            .beliefs
            .iter()
            .enumerate()
            .filter(|(_, b)| b.measurements > 0)
            .map(|(k, b)| Remembered {
                class: TerrainClass::from_code(k as u8),
                model: b.model,
                evidence: [
                    b.precision[0][0] - b.prior[0],
                    b.precision[0][1],
                    b.precision[1][1] - b.prior[1],
                ],
                weighted: b.weighted,
                measurements: b.measurements,
            })
            .collect();
        SlipMemory {
            schema_version: SLIP_MEMORY_VERSION,
            rover: rover.to_string(),
            classes,
        }
    }

    /// Begins with what an earlier drive learned.
    ///
    /// # Errors
    /// [`CoreError`] when the memory was learned over another model of slip, whose excess says nothing here.
    pub fn recall(&mut self, memory: &SlipMemory) -> Result<(), CoreError> {
        let mut beliefs = self.beliefs;
        for r in &memory.classes {
            let k = Self::index(r.class.map(|c| f64::from(c.code())));
            let Some(b) = beliefs.get_mut(k) else {
                continue;
            };
            if b.model != r.model {
                return Err(CoreError::format(
                    "slip memory",
                    format!(
                        "what was learned of {} belongs to another model of slip than the one in use; delete the file to begin anew",
                        r.class.map_or("ground without a class", TerrainClass::name)
                    ),
                ));
            }
            b.precision = [
                [b.prior[0] + r.evidence[0], r.evidence[1]],
                [r.evidence[1], b.prior[1] + r.evidence[2]],
            ];
            b.weighted = r.weighted;
            b.measurements = r.measurements;
        }
        self.beliefs = beliefs;
        Ok(())
    }
}

/// What was learned of one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// The class; none for ground without one.
    pub class: Option<TerrainClass>,
    /// The model that the excess was measured against.
    pub model: SlipModel,
    /// Precision that the measurements gave, without the prior's: upper triangle, row by row.
    pub evidence: [f64; 3],
    /// Precision times mean of the excess.
    pub weighted: [f64; 2],
    /// Measurements behind it.
    pub measurements: u32,
}

/// What was learned of slip, from drive to drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlipMemory {
    /// [`SLIP_MEMORY_VERSION`].
    pub schema_version: u32,
    /// Name of the rover that it was measured with.
    pub rover: String,
    /// What is known, in the order of the classes.
    pub classes: Vec<Remembered>,
}

impl SlipMemory {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and what is wrong: another rover's, another version, numbers that are none.
    pub fn load(path: &Path, rover: &str) -> Result<Self, CoreError> {
        let what = path.display().to_string();
        let text = files::read_text(path, MEMORY_BYTES)?;
        let memory: Self = serde_json::from_str(&text)
            .map_err(|e| CoreError::format(&what, format!("is no memory of slip: {e}")))?;
        if memory.schema_version != SLIP_MEMORY_VERSION {
            return Err(CoreError::value(
                what,
                "schema_version",
                memory.schema_version,
                SLIP_MEMORY_VERSION.to_string(),
            ));
        }
        if memory.rover != rover {
            return Err(CoreError::value(what, "rover", &memory.rover, rover));
        }
        for r in &memory.classes {
            let [a, b, d] = r.evidence;
            let sound = r
                .evidence
                .iter()
                .chain(&r.weighted)
                .all(|v| v.is_finite() && v.abs() < 1e12);
            if !(sound && a >= 0.0 && d >= 0.0 && b * b <= a * d * (1.0 + 1e-9) + 1e-9) {
                return Err(CoreError::value(
                    what,
                    "evidence",
                    format!("{:?}", r.evidence),
                    "finite numbers of a matrix that is not negative",
                ));
            }
            r.model.check(&what)?;
        }
        Ok(memory)
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// [`CoreError`] that names the file.
    pub fn save(&self, path: &Path) -> Result<(), CoreError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| CoreError::format(path.display().to_string(), e.to_string()))?;
        files::write_atomic(path, (text + "\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model() -> SlipModel {
        SlipModel {
            base: 0.03,
            coefficient: 0.0006,
            exponent: 2.5,
            downhill_factor: 0.3,
            lateral_per_rad: 0.2,
        }
    }

    fn forecast() -> SlipForecast {
        SlipForecast::new(model(), 0.15, 0.1)
    }

    #[test]
    fn soft_ground_is_learned_and_only_for_its_class() {
        let mut f = forecast();
        let up = -8f64.to_radians();
        let before = f.worst(up, 1.0, Some(4.0));
        for _ in 0..40 {
            f.learn(up, 1.0, Some(4.0), 0.5);
        }
        let (mean, sigma) = f.expect(up, 1.0, Some(4.0));
        assert!((mean - 0.5).abs() < 0.05 && sigma < 0.05, "{mean} {sigma}");
        assert!(f.worst(up, 1.0, Some(4.0)) > before + 0.2);
        assert!(
            f.steepest_deg(0.6, Some(4.0)) + 2.0 < f.steepest_deg(0.6, Some(0.0)),
            "measured slip makes the steepest ground less steep"
        );
        assert_eq!(
            f.worst(up, 1.0, Some(0.0)),
            forecast().worst(up, 1.0, Some(0.0))
        );
        // steeper ground of the same class is expected to be worse
        assert!(f.worst(-12f64.to_radians(), 1.0, Some(4.0)) > 0.5);
    }

    #[test]
    fn good_ground_lowers_it_no_further_than_half_and_nonsense_is_left_out() {
        let mut f = forecast();
        let up = -10f64.to_radians();
        for _ in 0..400 {
            f.learn(up, 1.0, None, 0.0);
            f.learn(f64::NAN, 1.0, None, 0.9);
            f.learn(up, 1.0, None, f64::INFINITY);
        }
        let m = model().slip(up, 1.0);
        assert!(f.worst(up, 1.0, None) >= 0.5 * m);
        assert!(f.worst(up, 1.0, None) < m);
    }

    #[test]
    fn classes_begin_with_their_own_table() {
        let table = SlipPriors::shipped().unwrap();
        let f = forecast().with_priors(&table);
        let code = |c: TerrainClass| Some(f64::from(c.code()));
        let up = -12f64.to_radians();
        let sand = f.forecast(up, 1.0, code(TerrainClass::SandRipples));
        let rock = f.forecast(up, 1.0, code(TerrainClass::Bedrock));
        assert!(sand.slip > rock.slip + 0.2, "{sand:?} {rock:?}");
        assert!(sand.sigma > 0.0 && sand.spread >= sand.sigma);
        assert_eq!(f.expect(up, 1.0, None), forecast().expect(up, 1.0, None));
    }

    #[test]
    fn a_memory_of_another_rover_model_or_nonsense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("slip.json");
        let mut f = forecast();
        f.learn(-0.1, 1.0, Some(4.0), 0.4);
        f.memory("a").save(&file).unwrap();
        assert!(SlipMemory::load(&file, "a").is_ok());
        let said = |e: CoreError| e.to_string();
        assert!(said(SlipMemory::load(&file, "b").unwrap_err()).contains("rover"));
        let other = SlipModel {
            base: 0.04,
            ..model()
        };
        let mut g = SlipForecast::new(other, 0.15, 0.1);
        let memory = SlipMemory::load(&file, "a").unwrap();
        assert!(said(g.recall(&memory).unwrap_err()).contains("another model"));
        assert_eq!(g, SlipForecast::new(other, 0.15, 0.1));
        let text = std::fs::read_to_string(&file).unwrap();
        let spoilt = text.replacen("\"evidence\": [", "\"evidence\": [-1e3,", 1);
        std::fs::write(&file, spoilt).unwrap();
        assert!(SlipMemory::load(&file, "a").is_err());
        std::fs::write(&file, &text[..text.len() / 2]).unwrap();
        assert!(said(SlipMemory::load(&file, "a").unwrap_err()).contains("no memory of slip"));
    }

    proptest! {
        #[test]
        fn more_measurements_never_widen_the_belief_much_and_memory_gives_it_back(
            seen in proptest::collection::vec((-0.3f64..0.3, -0.2f64..1.0, 0u8..10), 1..60),
        ) {
            let mut f = forecast();
            let before = f.forecast(-0.1, 1.0, Some(4.0)).sigma;
            for (pitch, slip, class) in &seen {
                f.learn(*pitch, 1.0, Some(f64::from(*class)), *slip);
                let e = f.forecast(-0.1, 1.0, Some(4.0));
                prop_assert!(e.sigma <= before + 1e-9 && (0.0..=1.0).contains(&e.slip));
            }
            let mut g = forecast();
            g.recall(&f.memory("r")).unwrap();
            for class in 0..10 {
                let (a, b) = (f.forecast(-0.2, 1.0, Some(f64::from(class))), g.forecast(-0.2, 1.0, Some(f64::from(class))));
                prop_assert!((a.slip - b.slip).abs() < 1e-9 && (a.sigma - b.sigma).abs() < 1e-9);
            }
        }
    }
}
