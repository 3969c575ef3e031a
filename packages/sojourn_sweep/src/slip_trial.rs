//! The forecast of slip on trial: the simulator drives straight ways over generated worlds, and before every metre the
//! forecast says what that metre will show. Then it learns what was measured.
//!
//! What it is told of the metre ahead is pitch and class of the ground, as grid and images give them to the rover; here
//! both are the truth's, so that errors of perception do not come in. The soils of a world are drawn from its seed and
//! known to nobody.

use crate::SweepError;
use serde::Serialize;
use sojourn_core::{
    Stamp,
    body::Body,
    classes::TerrainClass,
    frames::Pose2,
    kinematics::Velocity,
    rover::Rover,
    slip_forecast::{Expected, SlipForecast, SlipPriors},
};
use sojourn_twin::{
    folder::View,
    generate::generate,
    noise,
    recipe::Recipe,
    sim::{SimConfig, Simulator},
};

/// Channel of what is drawn from a trial's seed.
const CHANNEL: u64 = 0x51_1b;
/// Side of a world and distance of its edge from the way, metres.
const SIDE_M: f64 = 120.0;
const EDGE_M: f64 = 14.0;
/// Ground beside the way without rocks, metres: AutoNav drives around them.
const FREE_M: f64 = 1.8;
/// Way of the wheels over which slip is measured, metres.
const STRETCH_M: f64 = 1.0;
/// Error of a measurement of slip over such a stretch: standard deviation, share of the way.
pub const MEASURED_SIGMA: f64 = 0.03;
/// Spread of the ground around the rover's model where no table speaks, share of the way.
const PRIOR_SIGMA: f64 = 0.15;
/// Stretches without getting anywhere after which a drive is over.
const STUCK: usize = 3;

/// One stretch: what was forecast, and what came.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stretch {
    /// Class in the middle of the stretch.
    pub class: TerrainClass,
    /// Mean pitch over it, degrees, uphill positive.
    pub uphill_deg: f64,
    /// True slip over it.
    pub slip: f64,
    /// The forecast before it.
    pub expected: Expected,
    /// The forecast of a belief that is not told classes.
    pub classless: Expected,
    /// The rover's model alone.
    pub model: f64,
    /// Stretches of this class that this drive had learned from.
    pub learned: usize,
}

/// Drives one world; `seed` draws world, soils, way and the errors of measurement.
///
/// # Errors
/// [`SweepError`] when the world cannot be made.
pub fn traverse(
    seed: u64,
    rover: &Rover,
    body: &Body,
    recipe: &Recipe,
    priors: &SlipPriors,
) -> Result<Vec<Stretch>, SweepError> {
    let unit = |k: i64| noise::unit(noise::hash(seed, CHANNEL, k, 0));
    let mut recipe = recipe.clone();
    recipe.size_m = [SIDE_M, SIDE_M];
    // From flat to as steep as rovers are sent.
    recipe.slope_deg = 12.0 * unit(0);
    let folder = generate(seed, body, &recipe)?;
    let yaw_rad = std::f64::consts::TAU * unit(1);
    let middle = Pose2::new(0.5 * SIDE_M, 0.5 * SIDE_M, yaw_rad);
    let half_m = 0.5 * SIDE_M - EDGE_M;
    let along = |m: f64| middle.point(m, 0.0);
    let clear_m = (0..)
        .map(|k| f64::from(k) - half_m - 3.0)
        .take_while(|m| *m <= half_m + 3.0)
        .map(|m| {
            let [x, y] = along(m);
            [x, y, FREE_M]
        })
        .collect();
    let world = folder.world(&View {
        clear_m,
        ..View::everything()
    })?;
    let [x, y] = along(-half_m);
    let config = SimConfig {
        extra_slip: 0.0,
        images: false,
        ..SimConfig::demo(seed, Pose2::new(x, y, yaw_rad), None)
    };
    let mut drive = Drive {
        sim: Simulator::new(world, rover.clone(), body, config)?,
        now_s: 0.0,
        pose: Pose2::new(x, y, yaw_rad),
        goal: along(half_m),
    };
    let blank = SlipForecast::new(rover.slip, PRIOR_SIGMA, MEASURED_SIGMA);
    let (mut classless, mut told) = (blank.clone(), blank.with_priors(priors));
    let (mut out, mut stuck, mut learned) = (Vec::new(), 0, [0usize; 16]);
    for k in 0.. {
        let Some(seen) = drive.stretch(rover) else {
            break;
        };
        let code = f64::from(seen.class.code());
        let pitch_rad = -seen.uphill_deg.to_radians();
        let class_index = usize::from(seen.class.code()).min(15);
        out.push(Stretch {
            class: seen.class,
            uphill_deg: seen.uphill_deg,
            slip: seen.slip,
            expected: told.forecast(pitch_rad, 1.0, Some(code)),
            classless: classless.forecast(pitch_rad, 1.0, None),
            model: rover.slip.slip(pitch_rad, 1.0),
            learned: learned[class_index],
        });
        learned[class_index] += 1;
        let error = MEASURED_SIGMA * noise::near_gauss(noise::hash(seed, CHANNEL, 100, k));
        told.learn(pitch_rad, 1.0, Some(code), seen.slip + error);
        classless.learn(pitch_rad, 1.0, None, seen.slip + error);
        stuck = if seen.slip > 0.9 { stuck + 1 } else { 0 };
        if stuck >= STUCK {
            break;
        }
    }
    Ok(out)
}

/// What a stretch showed.
struct Shown {
    class: TerrainClass,
    uphill_deg: f64,
    slip: f64,
}

/// The simulator on its way.
struct Drive {
    sim: Simulator,
    now_s: f64,
    pose: Pose2,
    goal: [f64; 2],
}

impl Drive {
    /// Drives until the wheels have gone a stretch; `None` at the end of the way or where there is no going on.
    fn stretch(&mut self, rover: &Rover) -> Option<Shown> {
        let dt_s = rover.cadence.control_period_s;
        let speed_mps = rover.drive.cruise_mps;
        let ticks = (STRETCH_M / (speed_mps * dt_s)).ceil() as usize;
        let (mut slip, mut pitch_rad) = (0.0, 0.0);
        let mut class = None;
        for k in 0..ticks {
            let [gx, gy] = self.goal;
            let (dx, dy) = (gx - self.pose.x_m, gy - self.pose.y_m);
            if dx.hypot(dy) < 2.0 {
                return None;
            }
            let off_rad = sojourn_core::frames::wrap_rad(dy.atan2(dx) - self.pose.yaw_rad);
            let most = speed_mps / rover.drive.min_turn_radius_m.max(0.5);
            self.now_s += dt_s;
            let out = self.sim.step(
                Stamp::from_secs(self.now_s),
                Velocity {
                    speed_mps,
                    turn_radps: (0.5 * speed_mps * off_rad).clamp(-most, most),
                },
            );
            if out.blocked.is_some() {
                return None;
            }
            self.pose = out.truth.pose;
            slip += out.truth.slip / ticks as f64;
            pitch_rad += out.truth.settled.pitch_rad / ticks as f64;
            if k == ticks / 2 {
                class = self.sim.world().class_at(self.pose.x_m, self.pose.y_m);
            }
        }
        Some(Shown {
            class: class?,
            uphill_deg: -pitch_rad.to_degrees(),
            slip,
        })
    }
}

/// Figures over stretches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SlipFigures {
    /// Stretches.
    pub stretches: usize,
    /// Mean absolute error of the forecast, percentage points.
    pub mae_points: f64,
    /// The same before anything of the class was measured in the drive.
    pub mae_points_unmeasured: f64,
    /// The same of a belief that is not told classes.
    pub mae_points_classless: f64,
    /// The same of the rover's model alone.
    pub mae_points_model: f64,
    /// Share of stretches whose slip lies within two of the stated standard deviations (with the measurement's).
    pub within_2sigma: f64,
    /// Mean of the stated standard deviation of the mean before the first stretch of a class, points.
    pub sigma_points_unmeasured: f64,
    /// And after five and more.
    pub sigma_points_measured: f64,
    /// Mean true slip, points.
    pub slip_points: f64,
}

impl SlipFigures {
    /// Of stretches, all or a part of them.
    #[must_use]
    pub fn of<'a>(stretches: impl Iterator<Item = &'a Stretch>) -> Self {
        let all: Vec<&Stretch> = stretches.collect();
        let mean = |part: &dyn Fn(&Stretch) -> bool, value: &dyn Fn(&Stretch) -> f64| {
            let of: Vec<f64> = all.iter().filter(|s| part(s)).map(|s| value(s)).collect();
            if of.is_empty() {
                0.0
            } else {
                of.iter().sum::<f64>() / of.len() as f64
            }
        };
        let any = |_: &Stretch| true;
        Self {
            stretches: all.len(),
            mae_points: mean(&any, &|s| 100.0 * (s.expected.slip - s.slip).abs()),
            mae_points_unmeasured: mean(&|s| s.learned == 0, &|s| {
                100.0 * (s.expected.slip - s.slip).abs()
            }),
            mae_points_classless: mean(&any, &|s| 100.0 * (s.classless.slip - s.slip).abs()),
            mae_points_model: mean(&any, &|s| 100.0 * (s.model - s.slip).abs()),
            within_2sigma: mean(&any, &|s| {
                let sigma = s.expected.spread.hypot(MEASURED_SIGMA);
                f64::from(u8::from((s.expected.slip - s.slip).abs() <= 2.0 * sigma))
            }),
            sigma_points_unmeasured: mean(&|s| s.learned == 0, &|s| 100.0 * s.expected.sigma),
            sigma_points_measured: mean(&|s| s.learned >= 5, &|s| 100.0 * s.expected.sigma),
            slip_points: mean(&any, &|s| 100.0 * s.slip),
        }
    }
}
