//! Slip against slope: what the model gives for each class of ground, held against what rovers measured.

use super::{Dynamics, Tracks, Traction, contact, dynamics::steady_dug_m};
use crate::TwinError;
use serde::{Deserialize, Serialize};
use sojourn_core::{
    CoreError,
    body::Body,
    classes::TerrainClass,
    frames::Pose2,
    kinematics::{Velocity, wheels_for},
    params,
    rover::Rover,
    settle::Settler,
    soil::{Soil, SoilTable},
};

/// Slopes of a curve, degrees.
pub const SLOPES_DEG: std::ops::RangeInclusive<i32> = -10..=32;
/// Steps of a climb until it is steady, and each one's way, in wheel radii.
const STEPS: usize = 300;
const STEP_RADII: f64 = 0.15;

/// A slope and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Slope straight ahead, uphill positive, degrees.
    pub slope_deg: f64,
    /// Share of the way that is lost, when the climb is steady; 1 when it is stuck.
    pub slip: f64,
    /// Mean sinkage of the wheels, metres.
    pub sinkage_m: f64,
    /// The wheels turn and the rover does not move.
    pub stuck: bool,
}

/// Slip over slope of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// The class.
    pub class: TerrainClass,
    /// Its points, slopes growing.
    pub points: Vec<Point>,
}

/// One kind of published figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// Slip at a slope.
    SlipAtSlope {
        /// Degrees.
        slope_deg: f64,
        /// 0 to 1.
        slip: f64,
    },
    /// The steepest slope that could be climbed.
    GreatestSlope {
        /// Degrees.
        slope_deg: f64,
    },
    /// Sinkage at a slip.
    SinkageAtSlip {
        /// 0 to 1.
        slip: f64,
        /// Sinkage as a share of the wheel's diameter.
        wheel_diameters: f64,
    },
}

/// A published figure.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Who measured what.
    pub what: String,
    /// The class it is about.
    pub class: TerrainClass,
    /// The figure.
    pub kind: Kind,
    /// Whether the class's soil was chosen with it in view.
    pub fit: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorFile {
    anchors: Vec<Anchor>,
}

/// A published figure beside the model's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Who measured what.
    pub what: String,
    /// The class.
    pub class: TerrainClass,
    /// What is compared, in words.
    pub figure: String,
    /// As published: percent, or degrees for a slope.
    pub anchor: f64,
    /// The model's, in the same unit.
    pub model: f64,
    /// Model less published: percentage points, or degrees for a slope.
    pub deviation_points: f64,
    /// Whether the soil was chosen with this figure in view: then it proves nothing.
    pub used_for_fit: bool,
}

/// The published figures that come with Sojourn, `config/slip_anchors.yaml`.
///
/// # Errors
/// [`CoreError`] when the file was broken when this was built.
pub fn shipped_anchors() -> Result<Vec<Anchor>, CoreError> {
    let text = include_str!("../../../../config/slip_anchors.yaml");
    params::parse_yaml::<AnchorFile>("config/slip_anchors.yaml", text).map(|f| f.anchors)
}

/// A rover on the nominal soils of a table.
pub struct Climber<'a> {
    rover: &'a Rover,
    body: &'a Body,
    table: &'a SoilTable,
    dynamics: Dynamics,
    settler: Settler,
}

impl<'a> Climber<'a> {
    /// Prepares the soils.
    #[must_use]
    pub fn new(rover: &'a Rover, body: &'a Body, table: &'a SoilTable) -> Self {
        let soils: Vec<Soil> = table.classes.iter().map(|c| c.nominal).collect();
        Self {
            dynamics: Dynamics::new(rover, body, &soils),
            settler: Settler::new(rover, 0.2 * rover.wheel.radius_m),
            rover,
            body,
            table,
        }
    }

    /// Drives straight up a slope until that is steady. `None` for a class without soil.
    #[must_use]
    pub fn climb(&self, class: TerrainClass, slope_deg: f64) -> Option<Traction> {
        let soil = self.table.weakness(class)?;
        let grade = slope_deg.to_radians().tan();
        let settled = self
            .settler
            .settle(&move |x: f64, _: f64| Some(grade * x), Pose2::default())?;
        let speed_mps = self.rover.drive.cruise_mps;
        let ahead = Velocity {
            speed_mps,
            turn_radps: 0.0,
        };
        let motion = wheels_for(self.rover, ahead);
        let dt_s = STEP_RADII * self.rover.wheel.radius_m / speed_mps;
        let mut tracks = Tracks::default();
        let mut out = Traction::default();
        for _ in 0..STEPS {
            out = self
                .dynamics
                .step(&mut tracks, &settled, [soil; 6], &motion, dt_s);
        }
        Some(out)
    }

    /// Slip over slope for every class of the table.
    #[must_use]
    pub fn curves(&self) -> Vec<Curve> {
        let point = |class: TerrainClass, slope_deg: f64| {
            let t = self.climb(class, slope_deg)?;
            let there = self.rover.has_wheel();
            let sum_m: f64 = (0..6)
                .filter(|i| there[*i])
                .map(|i| t.wheels[i].sinkage_m)
                .sum();
            Some(Point {
                slope_deg,
                slip: t.slip,
                sinkage_m: sum_m / self.rover.wheel_count() as f64,
                stuck: t.stuck,
            })
        };
        self.table
            .classes
            .iter()
            .map(|c| Curve {
                class: c.class,
                points: SLOPES_DEG
                    .filter_map(|s| point(c.class, f64::from(s)))
                    .collect(),
            })
            .collect()
    }

    /// The steepest slope that is climbed, to a tenth of a degree; `None` for a class without soil.
    #[must_use]
    pub fn greatest_slope_deg(&self, class: TerrainClass) -> Option<f64> {
        let (mut lo, mut hi) = (0.0, 60.0);
        while hi - lo > 0.05 {
            let mid = 0.5 * (lo + hi);
            let t = self.climb(class, mid)?;
            // Sliding back is no climbing either.
            if t.stuck || t.slip >= 1.0 {
                hi = mid;
            } else {
                lo = mid;
            }
        }
        Some(lo)
    }

    /// The model's figures beside the published ones.
    ///
    /// # Errors
    /// [`TwinError::Core`] for a figure about a class without soil.
    pub fn compare(&self, anchors: &[Anchor]) -> Result<Vec<Compared>, TwinError> {
        anchors.iter().map(|a| self.compare_one(a)).collect()
    }

    fn compare_one(&self, a: &Anchor) -> Result<Compared, TwinError> {
        let no_soil = || {
            CoreError::value(
                "slip anchors",
                "class",
                a.class.traits().name,
                "a class that has a soil",
            )
        };
        let (figure, anchor, model) = match a.kind {
            Kind::SlipAtSlope { slope_deg, slip } => {
                let t = self.climb(a.class, slope_deg).ok_or_else(no_soil)?;
                let figure = format!("slip at {slope_deg} deg, %");
                (figure, 100.0 * slip, 100.0 * t.slip)
            }
            Kind::GreatestSlope { slope_deg } => {
                let model = self.greatest_slope_deg(a.class).ok_or_else(no_soil)?;
                ("steepest slope climbed, deg".to_string(), slope_deg, model)
            }
            Kind::SinkageAtSlip {
                slip,
                wheel_diameters,
            } => {
                let soil = self.table.soil(a.class).ok_or_else(no_soil)?.nominal;
                let wheel = &self.rover.wheel;
                let load_n =
                    self.rover.mass_kg * self.body.gravity_mps2 / self.rover.wheel_count() as f64;
                let c = contact(&soil, wheel, load_n, slip, 0.0);
                let sunk_m = c.sinkage_m + steady_dug_m(&soil, wheel, c.sinkage_m, slip);
                let figure = format!("sinkage at {:.0} % slip, % of the wheel", 100.0 * slip);
                let model = 100.0 * sunk_m / (2.0 * wheel.radius_m);
                (figure, 100.0 * wheel_diameters, model)
            }
        };
        Ok(Compared {
            what: a.what.clone(),
            class: a.class,
            figure,
            anchor,
            model,
            deviation_points: model - anchor,
            used_for_fit: a.fit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mars, perseverance};

    /// Each class hits its figures within the points that the README states; the table is printed with `--nocapture`.
    #[test]
    fn the_model_is_near_what_rovers_measured() {
        let (rover, body, table) = (perseverance(), mars(), SoilTable::shipped().unwrap());
        let climber = Climber::new(&rover, &body, &table);
        let rows = climber.compare(&shipped_anchors().unwrap()).unwrap();
        assert!(rows.len() >= 8);
        for r in &rows {
            println!(
                "{:<16} {:<36} published {:>5.1} model {:>5.1} deviation {:>+5.1}{}",
                r.class.traits().name,
                r.figure,
                r.anchor,
                r.model,
                r.deviation_points,
                if r.used_for_fit { " (fitted)" } else { "" }
            );
            assert!(r.deviation_points.abs() < 10.0, "{r:?}");
        }
    }

    #[test]
    fn curves_grow_with_the_slope_and_end_where_it_is_stuck() {
        let (rover, body, table) = (perseverance(), mars(), SoilTable::shipped().unwrap());
        let climber = Climber::new(&rover, &body, &table);
        for curve in climber.curves() {
            assert_eq!(curve.points.len(), SLOPES_DEG.count());
            assert!(
                curve
                    .points
                    .windows(2)
                    .all(|w| w[0].slip <= w[1].slip + 1e-3),
                "{curve:?}"
            );
            let steepest = climber.greatest_slope_deg(curve.class).unwrap();
            for p in &curve.points {
                if (p.slope_deg - steepest).abs() > 0.2 {
                    assert_eq!(
                        p.stuck || p.slip >= 1.0,
                        p.slope_deg > steepest,
                        "{:?} {p:?}",
                        curve.class
                    );
                }
            }
        }
    }

    /// Testbeds drive on level sand and up gentle slopes of loose soil, as they do in yards.
    #[test]
    fn small_wheels_are_not_stuck_on_level_sand() {
        let (body, table) = (mars(), SoilTable::shipped().unwrap());
        for name in ["osr", "testbed", "leo", "husky"] {
            let file = crate::testing::config(&format!("rovers/{name}.yaml"));
            let rover = Rover::load(&file).unwrap();
            let climber = Climber::new(&rover, &body, &table);
            let level = climber.climb(TerrainClass::SandRipples, 0.0).unwrap();
            let slope = climber.climb(TerrainClass::LooseSoil, 5.0).unwrap();
            assert!(!level.stuck && level.slip < 0.3, "{name}: {level:?}");
            assert!(!slope.stuck && slope.slip < 0.5, "{name}: {slope:?}");
        }
    }
}
