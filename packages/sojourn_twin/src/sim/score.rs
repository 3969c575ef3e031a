//! What a drive was worth in ground truth: kept by the simulator, read by scorers, never by a node.

use crate::electrics::ElectricsReading;
use serde::{Deserialize, Serialize};
use sojourn_core::{frames::Pose2, limits::Limits, settle::Settled};
use std::collections::VecDeque;

/// One contiguous excess of any limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnsafeEvent {
    /// The limit first broken, as the rover file names it; `ground` when there was none.
    pub channel: String,
    /// The value then, in the limit's unit.
    pub value: f64,
    /// The limit.
    pub limit: f64,
    /// Time since scoring began, seconds.
    pub time_s: f64,
    /// How long the excess lasted, seconds.
    pub duration_s: f64,
    /// East, metres in `map`.
    pub x_m: f64,
    /// North, metres in `map`.
    pub y_m: f64,
    /// One sentence for people.
    pub reason: String,
}

/// A point of the true track, once a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackPoint {
    /// Time since scoring began, seconds.
    pub time_s: f64,
    /// True way driven, metres.
    pub distance_m: f64,
    /// East, metres in `map`.
    pub x_m: f64,
    /// North, metres in `map`.
    pub y_m: f64,
    /// Height of `base_link`, metres in `map`.
    pub z_m: f64,
    /// Heading, radians.
    pub yaw_rad: f64,
    /// Tilt, degrees.
    pub tilt_deg: f64,
    /// Slip while driving, 0 to 1.
    pub slip: f64,
    /// Least distance from belly to ground, metres.
    pub clearance_m: f64,
}

/// The whole score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Seed of the run.
    pub seed: u64,
    /// Simulated time scored, seconds.
    pub sim_s: f64,
    /// Control periods scored.
    pub ticks: u64,
    /// True way driven along the ground, metres.
    pub distance_driven_m: f64,
    /// Way of the wheels, metres.
    pub wheel_way_m: f64,
    /// Greatest tilt, degrees.
    pub max_tilt_deg: f64,
    /// Least clearance, metres; `null` before the first period.
    pub min_clearance_m: Option<f64>,
    /// `1 − true way / wheel way`.
    pub mean_slip: f64,
    /// Greatest slip while driving, of single control periods.
    pub max_slip: f64,
    /// Energy that the whole rover used, watt-hours.
    #[serde(default)]
    pub energy_wh: f64,
    /// Least charge of the battery, 0 to 1; `null` before the first period.
    #[serde(default)]
    pub min_charge: Option<f64>,
    /// Greatest current of a drive, amperes.
    #[serde(default)]
    pub max_drive_current_a: f64,
    /// Temperature of the warmest drive, °C; `null` before the first period.
    #[serde(default)]
    pub max_motor_c: Option<f64>,
    /// Number of contiguous excesses of any limit.
    pub unsafe_events: u64,
    /// Each of them (the first thousand).
    #[serde(rename = "unsafe")]
    pub events: Vec<UnsafeEvent>,
    /// Where the rover truly stands.
    pub end: Option<Pose2>,
    /// True distance from the goal, metres; `null` without a goal.
    pub goal_error_m: Option<f64>,
    /// The true track at 1 Hz.
    pub track: Vec<TrackPoint>,
}

/// The most events that are listed; all are counted.
const MAX_EVENTS: usize = 1000;

/// What one control period adds.
pub struct Period<'a> {
    /// Its length, seconds.
    pub dt_s: f64,
    /// True pose at its end.
    pub pose: Pose2,
    /// How the rover stands, `None` where there is no ground.
    pub settled: Option<&'a Settled>,
    /// True way along the ground, metres, at least 0.
    pub way_m: f64,
    /// Way of the wheels, metres, at least 0.
    pub wheel_way_m: f64,
    /// Slip, 0 to 1; 0 when it does not drive.
    pub slip: f64,
    /// Rim speed of the fastest wheel, m/s.
    pub rim_mps: f64,
    /// Drives, battery, temperatures at its end.
    pub electrics: &'a ElectricsReading,
}

/// Way of the wheels that the limit on slip is held over, metres: the way between two readings of slip by visual odometry. A wheel
/// that climbs a step or comes to turn slips more for a moment and digs nothing in.
const SLIP_OVER_M: f64 = 0.5;

/// What was lost of the newest [`SLIP_OVER_M`] of the wheels' way.
#[derive(Clone, Debug, Default)]
struct Lost {
    /// Way of the wheels and true way of each period, metres, oldest first.
    periods: VecDeque<[f64; 2]>,
}

impl Lost {
    /// Takes a period's way of the wheels and true way, metres.
    fn add(&mut self, wheels_m: f64, way_m: f64) {
        // One that is not a number stays to be seen.
        if wheels_m <= 0.0 {
            return;
        }
        self.periods.push_back([wheels_m, way_m]);
        let mut spare_m = self.sum_m()[0] - SLIP_OVER_M;
        while let Some([oldest_m, _]) = self.periods.front().copied()
            && oldest_m <= spare_m
        {
            spare_m -= oldest_m;
            self.periods.pop_front();
        }
    }

    fn sum_m(&self) -> [f64; 2] {
        let sum = |i: usize| self.periods.iter().filter_map(|p| p.get(i)).sum();
        [sum(0), sum(1)]
    }

    /// Slip over that way; `None` before so much was rolled.
    fn slip(&self) -> Option<f64> {
        let [wheels_m, way_m] = self.sum_m();
        // Rounding of the sum is no part of the way.
        let enough = !(wheels_m < SLIP_OVER_M * (1.0 - 1e-9));
        enough.then(|| 1.0 - way_m / wheels_m)
    }
}

/// Keeps the score.
#[derive(Clone, Debug)]
pub struct Scorer {
    limits: Limits,
    goal_m: Option<[f64; 2]>,
    score: Score,
    /// Start of the excess that goes on, seconds since scoring began.
    since_s: Option<f64>,
    next_point_s: f64,
    lost: Lost,
}

impl Scorer {
    /// An empty score.
    #[must_use]
    pub fn new(seed: u64, limits: Limits, goal_m: Option<[f64; 2]>) -> Self {
        Self {
            limits,
            goal_m,
            score: Score {
                seed,
                ..Score::default()
            },
            since_s: None,
            next_point_s: 0.0,
            lost: Lost::default(),
        }
    }

    /// The score so far.
    #[must_use]
    pub fn score(&self) -> &Score {
        &self.score
    }

    /// Adds a control period.
    pub fn add(&mut self, p: &Period) {
        let s = &mut self.score;
        s.sim_s += p.dt_s;
        s.ticks += 1;
        s.distance_driven_m += p.way_m;
        s.wheel_way_m += p.wheel_way_m;
        if s.wheel_way_m > 0.0 {
            s.mean_slip = 1.0 - s.distance_driven_m / s.wheel_way_m;
        }
        s.max_slip = s.max_slip.max(p.slip);
        let e = p.electrics;
        s.energy_wh += e.power.total_w * p.dt_s / 3600.0;
        s.min_charge = Some(
            s.min_charge
                .map_or(e.power.charge, |c| c.min(e.power.charge)),
        );
        for m in &e.motors {
            s.max_drive_current_a = s.max_drive_current_a.max(m.current_a);
            let c = s.max_motor_c.unwrap_or(f64::NEG_INFINITY);
            s.max_motor_c = Some(c.max(m.temperature_c));
        }
        s.end = Some(p.pose);
        s.goal_error_m = self
            .goal_m
            .map(|g| (g[0] - p.pose.x_m).hypot(g[1] - p.pose.y_m));
        if let Some(settled) = p.settled {
            s.max_tilt_deg = s.max_tilt_deg.max(settled.tilt_rad.to_degrees());
            s.min_clearance_m = Some(
                s.min_clearance_m
                    .map_or(settled.clearance_m, |c| c.min(settled.clearance_m)),
            );
            // A tick's length is no exact binary number; half of one is tolerance enough.
            if s.sim_s >= self.next_point_s - 0.5 * p.dt_s {
                self.next_point_s = s.sim_s + 1.0;
                s.track.push(TrackPoint {
                    time_s: s.sim_s,
                    distance_m: s.distance_driven_m,
                    x_m: p.pose.x_m,
                    y_m: p.pose.y_m,
                    z_m: settled.z_m,
                    yaw_rad: p.pose.yaw_rad,
                    tilt_deg: settled.tilt_rad.to_degrees(),
                    slip: p.slip,
                    clearance_m: settled.clearance_m,
                });
            }
        }
        self.lost.add(p.wheel_way_m, p.way_m);
        match excess(p, self.lost.slip(), &self.limits) {
            None => self.since_s = None,
            Some((channel, value, limit)) => self.excess(p, channel, value, limit),
        }
    }

    fn excess(&mut self, p: &Period, channel: &str, value: f64, limit: f64) {
        let s = &mut self.score;
        let began_s = *self.since_s.get_or_insert(s.sim_s);
        if began_s < s.sim_s {
            if let Some(event) = s.events.last_mut() {
                event.duration_s = s.sim_s - event.time_s;
            }
            return;
        }
        s.unsafe_events += 1;
        if s.events.len() < MAX_EVENTS {
            s.events.push(UnsafeEvent {
                channel: channel.into(),
                value,
                limit,
                time_s: s.sim_s,
                duration_s: p.dt_s,
                x_m: p.pose.x_m,
                y_m: p.pose.y_m,
                reason: format!(
                    "{channel} was {value:.3}, limit {limit:.3}, at ({:.2}, {:.2}) m after {:.1} m",
                    p.pose.x_m, p.pose.y_m, s.distance_driven_m
                ),
            });
        }
    }
}

/// The first limit a period breaks; written so that not-a-number breaks it.
fn excess(p: &Period, lost: Option<f64>, limits: &Limits) -> Option<(&'static str, f64, f64)> {
    let Some(settled) = p.settled else {
        return Some(("ground", 0.0, 1.0));
    };
    if let Some(e) = settled.excess(limits, 1.0) {
        return Some((e.limit, e.value, e.allowed));
    }
    let slip = if p.slip.is_nan() {
        p.slip
    } else {
        lost.unwrap_or(0.0)
    };
    if !(slip <= limits.slip) {
        return Some(("slip", slip, limits.slip));
    }
    // Rounding of a speed that was cut to the limit itself is no excess.
    if !(p.rim_mps <= limits.wheel_speed_mps * (1.0 + 1e-6)) {
        return Some(("wheel_speed_mps", p.rim_mps, limits.wheel_speed_mps));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::perseverance;
    use proptest::prelude::*;
    use sojourn_core::settle::Settler;

    proptest! {
        /// As many events as runs of excess, whatever limit breaks.
        #[test]
        fn events_are_contiguous_excesses(rims in proptest::collection::vec(0.0f64..0.1, 1..300)) {
            let rover = perseverance();
            let settled = Settler::new(&rover, 0.05).settle(&|_, _| Some(0.0), Pose2::default()).unwrap();
            let mut scorer = Scorer::new(1, rover.limits, Some([3.0, 4.0]));
            for &rim_mps in &rims {
                scorer.add(&Period { dt_s: 0.1, pose: Pose2::default(), settled: Some(&settled), way_m: 0.0, wheel_way_m: 0.0, slip: 0.0, rim_mps, electrics: &ElectricsReading::default() });
            }
            let mut runs = 0;
            let mut before = false;
            for &rim in &rims {
                let now = rim > rover.limits.wheel_speed_mps * (1.0 + 1e-6);
                runs += u64::from(now && !before);
                before = now;
            }
            prop_assert_eq!(scorer.score().unsafe_events, runs);
            prop_assert_eq!(scorer.score().goal_error_m, Some(5.0));
            prop_assert_eq!(scorer.score().track.len(), rims.len().div_ceil(10));
        }

        /// Slip is that of the last half metre of the wheels' way, however it is cut into periods.
        #[test]
        fn slip_is_held_over_the_last_half_metre(slips in proptest::collection::vec(0.0f64..1.0, 1..400), step_m in 0.001f64..0.1) {
            let mut lost = Lost::default();
            for (i, slip) in slips.iter().enumerate() {
                lost.add(step_m, step_m * (1.0 - slip));
                // Standing changes nothing.
                lost.add(0.0, 0.0);
                let newest = (SLIP_OVER_M / step_m * (1.0 - 1e-9)).ceil() as usize;
                let mean = |s: &[f64]| s.iter().sum::<f64>() / s.len() as f64;
                match lost.slip() {
                    None => prop_assert!(i + 1 < newest),
                    Some(got) => {
                        let want = mean(&slips[i + 1 - newest..=i]);
                        prop_assert!((got - want).abs() < 1e-6, "{got} for {want}");
                        prop_assert!(lost.periods.len() == newest);
                    }
                }
            }
        }
    }

    #[test]
    fn a_moment_of_slip_is_none_and_half_a_metre_of_it_is_an_event() {
        let rover = perseverance();
        let settled = Settler::new(&rover, 0.05)
            .settle(&|_, _| Some(0.0), Pose2::default())
            .unwrap();
        let electrics = ElectricsReading::default();
        let events = |slip_of: &dyn Fn(usize) -> f64| {
            let mut scorer = Scorer::new(1, rover.limits, None);
            for k in 0..500 {
                let slip = slip_of(k);
                scorer.add(&Period {
                    dt_s: 0.1,
                    pose: Pose2::default(),
                    settled: Some(&settled),
                    way_m: 0.004 * (1.0 - slip),
                    wheel_way_m: 0.004,
                    slip,
                    rim_mps: 0.04,
                    electrics: &electrics,
                });
            }
            scorer.score().clone()
        };
        let moments = events(&|k| if k % 50 < 5 { 0.95 } else { 0.2 });
        assert_eq!((moments.unsafe_events, moments.max_slip), (0, 0.95));
        let digging = events(&|k| if k < 250 { 0.2 } else { 0.7 });
        assert_eq!(digging.unsafe_events, 1);
        assert_eq!(digging.events[0].channel, "slip");
        // 0.6 of 0.5 m is reached when four fifths of it slip by 0.7.
        assert!(
            (digging.events[0].time_s - 35.1).abs() < 0.2,
            "{:?}",
            digging.events[0]
        );
    }

    #[test]
    fn no_ground_and_not_a_number_are_unsafe() {
        let rover = perseverance();
        let mut scorer = Scorer::new(1, rover.limits, None);
        let electrics = ElectricsReading::default();
        let none = Period {
            electrics: &electrics,
            dt_s: 0.1,
            pose: Pose2::default(),
            settled: None,
            way_m: 0.0,
            wheel_way_m: 0.0,
            slip: 0.0,
            rim_mps: 0.0,
        };
        scorer.add(&none);
        scorer.add(&none);
        assert_eq!(
            (
                scorer.score().unsafe_events,
                scorer.score().events[0].channel.as_str()
            ),
            (1, "ground")
        );
        assert!((scorer.score().events[0].duration_s - 0.1).abs() < 1e-9);
        let settled = Settler::new(&rover, 0.05)
            .settle(&|_, _| Some(0.0), Pose2::default())
            .unwrap();
        scorer.add(&Period {
            settled: Some(&settled),
            ..none
        });
        scorer.add(&Period {
            settled: Some(&settled),
            slip: f64::NAN,
            ..none
        });
        assert_eq!(scorer.score().unsafe_events, 2);
        let text = serde_json::to_string(scorer.score()).unwrap();
        assert!(text.contains("\"unsafe\":[") && text.contains("min_clearance_m"));
    }
}
