//! What the ground is taken to be made of, and why.
//!
//! A DEM does not tell it. Unlabelled ground is drawn from a prior by slope that includes the weakest class such ground
//! can be; a label may only worsen what is assumed; only what was seen from the ground improves it.

use super::{conditions::Conditions, sample::SoilHere};
use crate::{
    noise,
    terra::{Contact, WheelTable},
};
use sojourn_core::{
    CoreError,
    body::Body,
    classes::{CLASSES, TerrainClass},
    geometry::{Xy, in_polygon},
    plan::{Disputes, Feature},
    raster::Raster,
    report::SoilAssumption,
    rover::Rover,
    settle::Settled,
    soil::{ClassSoil, SoilTable},
};

/// Layer of a site with classes (codes in the order of [`CLASSES`]) that were seen from the ground: by the rover's own
/// images or by measured slip. Only this layer may improve what is assumed.
pub const SEEN_FROM_GROUND: &str = "class_seen_from_ground";

/// Steepest grade of the curves, degrees; beyond it nothing is climbed.
const STEEPEST_DEG: f64 = 40.0;
/// Grades of a curve: one per degree, downhill and uphill.
const GRADES: usize = 2 * STEEPEST_DEG as usize + 1;

/// One class as wheels meet it.
struct ClassModel {
    name: &'static str,
    table: WheelTable,
    /// Slip by grade, from steepest down to steepest up.
    slip: [f64; GRADES],
}

struct Label<'a> {
    polygon: &'a [Xy],
    model: usize,
    source: &'a str,
    confidence: f64,
}

/// The ground of one plan.
pub struct SoilMap<'a> {
    rover: &'a Rover,
    table: &'a SoilTable,
    models: Vec<ClassModel>,
    labels: Vec<Label<'a>>,
    seen: Option<&'a Raster>,
    patch_m: f64,
    disputes: Option<&'a Disputes>,
    weak_share_per_level: f64,
}

impl<'a> SoilMap<'a> {
    /// Prepares the wheel's tables of every class, some milliseconds each.
    ///
    /// # Errors
    /// [`CoreError::Format`] when the table of soils is empty.
    pub fn new(
        table: &'a SoilTable,
        rover: &'a Rover,
        body: &Body,
        features: &'a [Feature],
        seen: Option<&'a Raster>,
        patch_m: f64,
    ) -> Result<Self, CoreError> {
        if table.classes.is_empty() {
            return Err(CoreError::format("config/soils.yaml", "holds no class"));
        }
        let static_n = rover.mass_kg * body.gravity_mps2 / rover.wheel_count() as f64;
        let models = table
            .classes
            .iter()
            .map(|c| ClassModel::new(c, rover, static_n, body.gravity_mps2))
            .collect();
        let labels = features
            .iter()
            .filter_map(|f| {
                Some(Label {
                    polygon: &f.polygon,
                    model: table.weakness(f.class)?,
                    source: &f.source,
                    confidence: f.confidence,
                })
            })
            .collect();
        Ok(Self {
            rover,
            table,
            models,
            labels,
            seen,
            patch_m,
            disputes: None,
            weak_share_per_level: 0.0,
        })
    }

    /// With ground about which the sources are apart: for every level between them this share of the samples takes it for
    /// the weakest class that its slope can be. Nobody's word makes it firmer.
    #[must_use]
    pub fn disputed(mut self, disputes: Option<&'a Disputes>, weak_share_per_level: f64) -> Self {
        self.disputes = disputes;
        self.weak_share_per_level = weak_share_per_level;
        self
    }

    /// Share of the samples that take a place for the weakest class of its slope because the sources are apart; `None`
    /// where they are not, or where it was seen from the ground.
    #[must_use]
    pub fn disputed_share(&self, at_m: Xy) -> Option<f64> {
        let ground = self.disputes?.at(at_m)?;
        if self.seen_at(at_m).is_some() {
            return None;
        }
        Some((self.weak_share_per_level * f64::from(ground.levels)).min(1.0))
    }

    /// The ground under a rover that stands so, under the assumptions of a run.
    #[must_use]
    pub fn here(&self, at_m: Xy, settled: &Settled, conditions: &Conditions) -> SoilHere {
        let slope_deg = settled.tilt_rad.to_degrees();
        let (model, certain) = self.class_at(at_m, slope_deg, conditions.soil_seed);
        let grade_deg = -settled.pitch_rad.to_degrees();
        let slip = |grade_deg: f64, direction: f64| {
            let drawn = self
                .models
                .get(model)
                .map_or(1.0, |m| conditions.slip_factor * m.slip_at(grade_deg));
            // Without samples the rover's own file says what is expected; a label or a sight may only add to it.
            let expected = self.rover.slip.slip(settled.pitch_rad, direction);
            let slip = match (conditions.soil_seed, certain) {
                (None, false) => expected,
                (None, true) => drawn.max(expected),
                (Some(_), _) => drawn,
            };
            slip.clamp(0.0, 1.0)
        };
        SoilHere {
            class: model,
            slip: slip(grade_deg, 1.0),
            retreat_slip: slip(-grade_deg, -1.0),
        }
    }

    /// A wheel's contact on a class, at a load in newtons and a slip.
    #[must_use]
    pub fn contact(&self, class: usize, load_n: f64, slip: f64) -> Contact {
        self.models
            .get(class)
            .map_or_else(Contact::default, |m| m.table.look_up(load_n, slip))
    }

    /// Class by its place in the table (from firm to weak), and whether somebody says so.
    fn class_at(&self, at_m: Xy, slope_deg: f64, seed: Option<u64>) -> (usize, bool) {
        if let Some(class) = self.seen_at(at_m) {
            return (class, true);
        }
        let prior = match seed {
            None => self.likeliest(slope_deg),
            Some(seed) => {
                let cell = |v: f64| (v / self.patch_m).floor() as i64;
                let unit =
                    |what| noise::unit(noise::hash(seed, what, cell(at_m[0]), cell(at_m[1])));
                let weakest = || self.place_of(self.table.worst_plausible(slope_deg));
                match self.disputed_share(at_m) {
                    Some(share) if unit(8) < share => weakest(),
                    _ => self.place_of(self.table.at_quantile(slope_deg, unit(7))),
                }
            }
        };
        match self.label_at(at_m) {
            Some(label) => (prior.max(label.model), true),
            None => (prior, false),
        }
    }

    fn place_of(&self, class: Option<&ClassSoil>) -> usize {
        class
            .and_then(|c| self.table.weakness(c.class))
            .unwrap_or(self.models.len() - 1)
    }

    fn seen_at(&self, at_m: Xy) -> Option<usize> {
        let code = self.seen?.nearest(at_m[0], at_m[1])?;
        let class = CLASSES.get(code.round().max(0.0) as usize)?.class;
        self.table.weakness(class)
    }

    /// The weakest label that holds a point.
    fn label_at(&self, at_m: Xy) -> Option<&Label<'a>> {
        self.labels
            .iter()
            .filter(|l| in_polygon(at_m, l.polygon))
            .max_by_key(|l| l.model)
    }

    /// The class with the greatest share of the prior; the weaker of two alike.
    fn likeliest(&self, slope_deg: f64) -> usize {
        self.table
            .mixture(slope_deg)
            .iter()
            .max_by(|a, b| a.weight.total_cmp(&b.weight))
            .and_then(|w| self.table.weakness(w.class))
            .unwrap_or(self.models.len() - 1)
    }

    /// The classes that a place may be, with their probabilities, weakest last.
    fn weakest(&self, slope_deg: f64, floor: usize) -> (usize, f64) {
        let worst = self.place_of(self.table.worst_plausible(slope_deg));
        if floor >= worst {
            return (floor, 1.0);
        }
        let share = self
            .table
            .mixture(slope_deg)
            .iter()
            .filter(|w| self.table.weakness(w.class) == Some(worst))
            .map(|w| w.weight)
            .sum();
        (worst, share)
    }

    /// What is assumed at a place, in words.
    #[must_use]
    pub fn assumption(&self, at_m: Xy, slope_deg: f64) -> SoilAssumption {
        let (assumed, _) = self.class_at(at_m, slope_deg, None);
        let name = |i: usize| self.models.get(i).map_or("unknown", |m| m.name);
        let (weakest, mut probability, mut why);
        if let Some(seen) = self.seen_at(at_m) {
            (weakest, probability) = (seen, 1.0);
            why = format!("seen from the ground as {}", name(seen));
        } else if let Some(label) = self.label_at(at_m) {
            (weakest, probability) = self.weakest(slope_deg, label.model);
            why = format!(
                "labelled {} by {} (confidence {:.2}); a label can only worsen the prior of {slope_deg:.0} deg",
                name(label.model),
                label.source,
                label.confidence
            );
        } else {
            (weakest, probability) = self.weakest(slope_deg, 0);
            why = format!(
                "unlabelled: drawn from the prior of ground of {slope_deg:.0} deg, which may be {}",
                name(weakest)
            );
        }
        if let Some(share) = self.disputed_share(at_m) {
            probability = share + (1.0 - share) * probability;
            why += &format!(
                "; disputed: {:.0} % of the samples take the weakest class of its slope",
                100.0 * share
            );
        }
        SoilAssumption {
            assumed: name(assumed).into(),
            weakest: name(weakest).into(),
            weakest_probability: probability,
            slope_deg,
            why,
        }
    }
}

impl ClassModel {
    fn new(class: &ClassSoil, rover: &Rover, static_n: f64, gravity_mps2: f64) -> Self {
        let table = WheelTable::new(&class.nominal, &rover.wheel, static_n, gravity_mps2);
        let mut slip = [1.0; GRADES];
        for (i, slip) in slip.iter_mut().enumerate() {
            let grade_rad = (i as f64 - STEEPEST_DEG).to_radians();
            let (sin, cos) = grade_rad.sin_cos();
            *slip = balance(&table, static_n * cos, static_n * sin);
        }
        Self {
            name: TerrainClass::name(class.class),
            table,
            slip,
        }
    }

    fn slip_at(&self, grade_deg: f64) -> f64 {
        let at = (grade_deg + STEEPEST_DEG).clamp(0.0, (GRADES - 1) as f64);
        let i = (at as usize).min(GRADES - 2);
        let t = at - i as f64;
        self.slip[i] * (1.0 - t) + self.slip[i + 1] * t
    }
}

/// Slip at which a wheel's drawbar carries its share of the grade; 1 when none does.
fn balance(table: &WheelTable, load_n: f64, pull_n: f64) -> f64 {
    let drawbar_n = |slip: f64| table.look_up(load_n, slip).drawbar_n();
    let (mut lo, mut hi) = (-0.95, 0.98);
    if drawbar_n(hi) < pull_n {
        return 1.0;
    }
    for _ in 0..40 {
        let mid = 0.5 * (lo + hi);
        if drawbar_n(mid) < pull_n {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    hi
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mars, perseverance};
    use sojourn_core::{frames::Pose2, plan::DisputedGround, settle::Settler};

    fn standing(grade_deg: f64) -> Settled {
        let g = grade_deg.to_radians().tan();
        let ground = move |x: f64, _: f64| Some(g * x);
        Settler::new(&perseverance(), 0.05)
            .settle(&ground, Pose2::default())
            .unwrap()
    }

    fn feature(class: TerrainClass) -> Feature {
        Feature {
            class,
            polygon: vec![[-5.0, -5.0], [5.0, -5.0], [5.0, 5.0], [-5.0, 5.0]],
            confidence: 0.5,
            source: "test".into(),
            added_cost: 0.0,
            forbids: false,
            risk: None,
            action: None,
            science: None,
            note: String::new(),
        }
    }

    fn sample(seed: u64) -> Conditions {
        Conditions {
            soil_seed: Some(seed),
            ..Conditions::nominal()
        }
    }

    #[test]
    fn a_label_only_worsens_and_only_sight_improves() {
        let table = SoilTable::shipped().unwrap();
        let (rover, body) = (perseverance(), mars());
        let none = SoilMap::new(&table, &rover, &body, &[], None, 20.0).unwrap();
        let uphill = standing(10.0);
        for class in [TerrainClass::Bedrock, TerrainClass::SandRipples] {
            let features = [feature(class)];
            let with = SoilMap::new(&table, &rover, &body, &features, None, 20.0).unwrap();
            for c in std::iter::once(Conditions::nominal()).chain((0..200).map(sample)) {
                let (a, b) = (
                    none.here([0.0, 0.0], &uphill, &c),
                    with.here([0.0, 0.0], &uphill, &c),
                );
                assert!(b.class >= a.class && b.slip >= a.slip, "{class:?}");
            }
        }
        let code = TerrainClass::Bedrock as usize as f32;
        let seen = Raster::filled(20, 20, 1.0, [-10.0, -10.0], code).unwrap();
        let sighted = SoilMap::new(&table, &rover, &body, &[], Some(&seen), 20.0).unwrap();
        let slip = |m: &SoilMap| {
            (0..200)
                .map(|i| m.here([0.0, 0.0], &uphill, &sample(i)).slip)
                .fold(0.0, f64::max)
        };
        assert!(slip(&sighted) < 0.5 * slip(&none));
        assert!(sighted.assumption([0.0, 0.0], 3.0).why.contains("seen"));
    }

    #[test]
    fn disputed_ground_is_weaker_in_more_samples_and_firmer_in_none() {
        let table = SoilTable::shipped().unwrap();
        let (rover, body) = (perseverance(), mars());
        let map = || SoilMap::new(&table, &rover, &body, &[], None, 20.0).unwrap();
        let disputes = |levels| Disputes {
            sources: vec!["a".into(), "b".into()],
            from_levels: 2,
            within_m: 10.0,
            compared_m: 1.0,
            disputed_m: 1.0,
            grounds: vec![DisputedGround {
                min_m: [-5.0, -5.0],
                max_m: [5.0, 5.0],
                levels,
                most_worried: "a".into(),
                least_worried: "b".into(),
            }],
        };
        let ground = standing(6.0);
        let plain = map();
        let mut weak = Vec::new();
        for levels in [1, 2, 3, 4] {
            let told = disputes(levels);
            let disputed = map().disputed(Some(&told), 0.25);
            let mut n = 0;
            for c in (0..1000).map(sample) {
                let (a, b) = (
                    plain.here([0.0, 0.0], &ground, &c),
                    disputed.here([0.0, 0.0], &ground, &c),
                );
                assert!(b.class >= a.class && b.slip >= a.slip);
                n += usize::from(disputed.models[b.class].name == "sand_ripples");
                // Beside it nothing changes.
                let class = |m: &SoilMap| m.here([8.0, 0.0], &ground, &c).class;
                assert_eq!(class(&plain), class(&disputed));
            }
            let said = disputed.assumption([0.0, 0.0], 6.0);
            let drawn = n as f64 / 1000.0;
            let off = (drawn - said.weakest_probability).abs();
            assert!(off < 0.05, "{drawn} {}", said.weakest_probability);
            assert_eq!(said.why.contains("disputed"), levels >= 2);
            weak.push(n);
        }
        assert!(
            weak.windows(2).all(|w| w[1] > w[0]) && weak[3] == 1000,
            "{weak:?}"
        );
        let code = TerrainClass::Bedrock as usize as f32;
        let seen = Raster::filled(20, 20, 1.0, [-10.0, -10.0], code).unwrap();
        let told = disputes(4);
        let sighted = SoilMap::new(&table, &rover, &body, &[], Some(&seen), 20.0)
            .unwrap()
            .disputed(Some(&told), 0.25);
        assert_eq!(sighted.disputed_share([0.0, 0.0]), None);
    }

    #[test]
    fn the_prior_holds_the_weakest_plausible_class() {
        let table = SoilTable::shipped().unwrap();
        let (rover, body) = (perseverance(), mars());
        let map = SoilMap::new(&table, &rover, &body, &[], None, 20.0).unwrap();
        let said = map.assumption([0.0, 0.0], 6.0);
        assert_eq!(said.weakest, "sand_ripples");
        assert!(said.weakest_probability > 0.0 && said.why.contains("unlabelled"));
        let drawn = (0..2000)
            .filter(|&i| {
                let here = map.here([0.0, 0.0], &standing(6.0), &sample(i));
                map.models[here.class].name == "sand_ripples"
            })
            .count() as f64
            / 2000.0;
        assert!((drawn - said.weakest_probability).abs() < 0.02, "{drawn}");
    }

    #[test]
    fn steeper_is_never_easier() {
        let table = SoilTable::shipped().unwrap();
        let (rover, body) = (perseverance(), mars());
        let map = SoilMap::new(&table, &rover, &body, &[], None, 20.0).unwrap();
        for m in &map.models {
            assert!(m.slip.windows(2).all(|w| w[1] >= w[0] - 1e-6), "{}", m.name);
            assert!(m.slip_at(f64::NAN).is_nan() || m.slip_at(90.0) >= m.slip_at(5.0));
        }
    }
}
