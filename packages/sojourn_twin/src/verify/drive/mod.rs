//! One run of a plan under one set of assumptions: turn in place, drive to the waypoint, next.

mod sampling;

use super::{
    conditions::{Conditions, Ground},
    dictionary::Dictionary,
    ledger::{Ledger, Place},
    limits::slots,
    sample::{Env, FAR_M, SoilHere, WheelState},
    soil::SoilMap,
};
use crate::{
    TwinError,
    electrics::{Motor, Power, Steers},
};
use sojourn_core::{
    CoreError,
    frames::{Pose2, wrap_rad},
    geometry::{self, Xy},
    kinematics::{Velocity, WheelMotion, limited},
    plan::{Plan, Waypoint, WaypointLimits},
    raster::HeightField,
    settle::{Settled, Settler},
};
use std::io::Write;

/// What one segment came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SegmentRun {
    /// Time it took, seconds.
    pub duration_s: f64,
    /// Greatest tilt, radians.
    pub tilt_rad: f64,
    /// Greatest slip.
    pub slip: f64,
    /// Greatest slip of the way back.
    pub retreat_slip: f64,
    /// Where that is.
    pub retreat_place: Place,
    /// Greatest share of the soil's thrust that the way back takes.
    pub retreat_thrust: f64,
    /// Charge at the segment's end.
    pub charge: f64,
    /// Charge after going back from the segment's end to the start.
    pub charge_at_start_again: f64,
    /// Steepest ground under the footprint, radians, and where.
    pub slope_rad: f64,
    /// Where.
    pub slope_place: Place,
}

/// What does not differ between the runs of one plan.
pub struct Course<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Rover, body, ratings; without the assumptions of a run.
    pub env: &'a Env<'a>,
    /// The channels.
    pub dictionary: &'a Dictionary,
    /// What the ground is made of, as far as is known.
    pub soil: &'a SoilMap<'a>,
    /// Where the rover may not be.
    pub keep_out: &'a [&'a [Xy]],
    /// Least charge after a retreat.
    pub sample_s: f64,
}

/// A run that has ended.
pub struct Outcome<'a> {
    /// What each channel saw.
    pub ledger: Ledger<'a>,
    /// The segments that were begun.
    pub segments: Vec<SegmentRun>,
    /// Where it ended.
    pub end: Place,
}

/// What ends a run before its goal.
struct Lost;

/// A run.
pub struct Drive<'a, 'w> {
    course: &'a Course<'a>,
    env: &'a Env<'a>,
    ground: Ground<'a>,
    conditions: &'a Conditions,
    settler: &'a Settler,
    csv: Option<&'w mut dyn Write>,
    ledger: Ledger<'a>,
    values: Vec<f64>,
    near: Vec<&'a [Xy]>,
    segments: Vec<SegmentRun>,
    place: Place,
    believed: Pose2,
    pose_before: Pose2,
    settled: Option<Settled>,
    command: Velocity,
    motion: WheelMotion,
    wheels: [WheelState; 6],
    steers: Steers,
    power: Power,
    segment_s: f64,
    wheel_way_m: f64,
    climbed_m: [f64; 2],
    crept_m: f64,
    turn: Turning,
    joint_way_rad: [f64; 3],
    mean_tilt_rad: f64,
    rates_dps: [f64; 2],
    first_sample: bool,
}

#[derive(Clone, Copy, Default)]
struct Turning {
    turned_rad: f64,
    turns: f64,
    turning_s: f64,
    now_rad: f64,
}

/// One waypoint with what holds on the way to it.
struct Leg<'a> {
    waypoint: &'a Waypoint,
    from: Xy,
    length_m: f64,
    left_behind_m: f64,
    limits: WaypointLimits,
    rim_mps: f64,
    expected_s: f64,
}

impl<'a, 'w> Drive<'a, 'w> {
    /// Prepares a run; `env` carries the assumed surroundings.
    #[must_use]
    pub fn new(
        course: &'a Course<'a>,
        env: &'a Env<'a>,
        ground: Ground<'a>,
        conditions: &'a Conditions,
        settler: &'a Settler,
        csv: Option<&'w mut dyn Write>,
    ) -> Self {
        let start = &course.plan.start;
        let pose = Pose2::new(start.x_m, start.y_m, wrap_rad(start.yaw_rad));
        let ambient_c = env.environment.ambient_c(0.0);
        let cold = WheelState {
            motor: Motor::cold(&env.plate, ambient_c),
            ..WheelState::default()
        };
        Self {
            course,
            env,
            ground,
            conditions,
            settler,
            csv,
            ledger: Ledger::new(course.dictionary, course.sample_s),
            values: Vec::with_capacity(512),
            near: Vec::new(),
            segments: Vec::with_capacity(course.plan.waypoints.len()),
            place: Place {
                x_m: start.x_m,
                y_m: start.y_m,
                ..Place::default()
            },
            believed: pose,
            pose_before: pose,
            settled: None,
            command: Velocity::STOP,
            motion: WheelMotion::default(),
            wheels: [cold; 6],
            steers: Steers::default(),
            power: Power::begin(&env.plate),
            segment_s: 0.0,
            wheel_way_m: 0.0,
            climbed_m: [0.0; 2],
            crept_m: 0.0,
            turn: Turning::default(),
            joint_way_rad: [0.0; 3],
            mean_tilt_rad: 0.0,
            rates_dps: [0.0; 2],
            first_sample: true,
        }
    }

    /// Looks at the waypoints before a wheel turns: where there is no ground, the plan goes nowhere.
    pub fn check_waypoints(&mut self) {
        let mut distance_m = 0.0;
        let mut from = [self.course.plan.start.x_m, self.course.plan.start.y_m];
        for (i, w) in self.course.plan.waypoints.iter().enumerate() {
            distance_m += geometry::distance_m(from, w.xy());
            from = w.xy();
            if self.ground.height_m(w.x_m, w.y_m).is_none() {
                let place = Place {
                    x_m: w.x_m,
                    y_m: w.y_m,
                    distance_m,
                    waypoint: i,
                    ..Place::default()
                };
                self.ledger.add("ground.known", 0.0, 1.0, place);
            }
        }
    }

    /// Drives the plan to its end, or as far as can be told.
    ///
    /// # Errors
    /// [`TwinError::Core`] when limits contradict each other, [`TwinError::Write`] when the table cannot be written.
    pub fn run(mut self) -> Result<Outcome<'a>, TwinError> {
        if let Some(csv) = &mut self.csv {
            let names: Vec<&str> = self
                .course
                .dictionary
                .channels
                .iter()
                .map(|c| c.name.as_str())
                .collect();
            writeln!(csv, "time_s,{}", names.join(","))?;
        }
        let plan = self.course.plan;
        let mut from = [plan.start.x_m, plan.start.y_m];
        let mut left_m = geometry::length_m(&plan.line());
        for (i, waypoint) in plan.waypoints.iter().enumerate() {
            let leg = self.leg(waypoint, from, left_m)?;
            left_m = leg.left_behind_m;
            self.place.waypoint = i;
            self.segment_s = 0.0;
            self.segments.push(SegmentRun::default());
            if self.segment(&leg)?.is_err() {
                break;
            }
            from = waypoint.xy();
        }
        if let Some(csv) = &mut self.csv {
            csv.flush()?;
        }
        Ok(Outcome {
            ledger: self.ledger,
            segments: self.segments,
            end: self.place,
        })
    }

    /// What holds on the way to a waypoint; sets the ledger's limits.
    fn leg(&mut self, waypoint: &'a Waypoint, from: Xy, left_m: f64) -> Result<Leg<'a>, TwinError> {
        let rover = self.env.rover;
        let to = waypoint.xy();
        let length_m = geometry::distance_m(from, to);
        let bearing = (to[1] - from[1]).atan2(to[0] - from[0]);
        self.turn.now_rad = if length_m > 1e-6 {
            wrap_rad(bearing - self.believed.yaw_rad)
        } else {
            0.0
        };
        let limits = WaypointLimits {
            tilt_deg: waypoint.limits.tilt_deg.min(rover.limits.tilt_deg),
            slip: waypoint.limits.slip.min(rover.limits.slip),
            speed_mps: waypoint.limits.speed_mps.min(rover.limits.wheel_speed_mps),
        };
        // A plan that asks for more than the rover may is driven as it asks, so that its consequences show.
        let asked_mps = waypoint.limits.speed_mps;
        let rim_mps = if asked_mps > rover.limits.wheel_speed_mps {
            asked_mps
        } else {
            asked_mps.min(rover.drive.cruise_mps)
        };
        self.ledger
            .set_limits(&slots(self.env, waypoint, &limits))
            .map_err(|e| CoreError::format("channel dictionary", e))?;
        self.near.clear();
        // Only what the footprint can come near to on this leg is looked at in every sample.
        let reach_m = FAR_M + self.env.footprint_m + length_m;
        let near = self.course.keep_out.iter().filter(|polygon| {
            geometry::in_polygon(from, polygon)
                || geometry::distance_to_edge_m(from, polygon) < reach_m
        });
        self.near.extend(near);
        Ok(Leg {
            waypoint,
            from,
            length_m,
            left_behind_m: left_m - length_m,
            limits,
            rim_mps,
            expected_s: length_m / rim_mps + self.turn.now_rad.abs() / rover.drive.turn_rate_radps,
        })
    }

    /// Turns towards a waypoint, then drives to it.
    fn segment(&mut self, leg: &Leg<'a>) -> Result<Result<(), Lost>, TwinError> {
        let mut opens = true;
        if self.first_sample {
            if self
                .sample(leg, Velocity::STOP, [0.0; 2], [true, true])?
                .is_err()
            {
                return Ok(Err(Lost));
            }
            self.first_sample = false;
            opens = false;
        }
        if self.turn.now_rad.abs() > 1e-3 {
            self.turn.turns += 1.0;
        }
        // A plan that cannot be finished in ten times its time is not going to be.
        let give_up_s = 10.0 * leg.waypoint.timeout_s + 600.0;
        loop {
            let to = leg.waypoint.xy();
            let left_m = geometry::distance_m([self.believed.x_m, self.believed.y_m], to);
            if left_m < 1e-6 {
                if opens {
                    // A segment without length is looked at once, standing.
                    return self.sample(leg, Velocity::STOP, [0.0; 2], [false, true]);
                }
                return Ok(Ok(()));
            }
            let bearing = (to[1] - self.believed.y_m).atan2(to[0] - self.believed.x_m);
            let turn_rad = wrap_rad(bearing - self.believed.yaw_rad);
            let step = if turn_rad.abs() > 1e-4 {
                Some(self.turn_step(leg, turn_rad))
            } else {
                self.drive_step(leg, left_m)
            };
            let Some((command, dt_s, step_m)) = step else {
                self.ledger
                    .add("motion.progress", 1.0 - self.last_slip(), 0.01, self.place);
                return Ok(Err(Lost));
            };
            self.place.time_s += dt_s;
            self.segment_s += dt_s;
            let opened = std::mem::replace(&mut opens, false);
            if self
                .sample(leg, command, [dt_s, step_m], [false, opened])?
                .is_err()
            {
                return Ok(Err(Lost));
            }
            if self.segment_s > give_up_s {
                let (at, timeout_s) = (self.place, leg.waypoint.timeout_s);
                self.ledger
                    .add("timer.segment_s", self.segment_s, timeout_s, at);
                return Ok(Err(Lost));
            }
        }
    }

    fn last_slip(&self) -> f64 {
        self.settled
            .map_or(0.0, |s| self.here(&s, self.pose_before).slip)
    }

    fn turn_step(&mut self, leg: &Leg, turn_rad: f64) -> (Velocity, f64, f64) {
        let rover = self.env.rover;
        let full = Velocity {
            speed_mps: 0.0,
            turn_radps: rover.drive.turn_rate_radps,
        };
        let rate = limited(rover, full, leg.rim_mps).turn_radps;
        let dt_s = self.course.sample_s;
        let radps = (turn_rad / dt_s).clamp(-rate, rate);
        self.believed.yaw_rad = wrap_rad(self.believed.yaw_rad + radps * dt_s);
        self.turn.turned_rad += (radps * dt_s).abs();
        self.turn.turning_s += dt_s;
        let command = Velocity {
            speed_mps: 0.0,
            turn_radps: radps,
        };
        (command, dt_s, 0.0)
    }

    /// `None` when the rover no longer moves.
    fn drive_step(&mut self, leg: &Leg, left_m: f64) -> Option<(Velocity, f64, f64)> {
        let rim_mps = leg.rim_mps;
        let pitch_rad = self.settled.map_or(0.0, |s| s.pitch_rad);
        let mean_mps = rim_mps * self.conditions.pace / self.conditions.path_ratio;
        let ground_mps = mean_mps * (1.0 - self.last_slip()) * pitch_rad.cos();
        if !(ground_mps >= 1e-2 * mean_mps) {
            return None;
        }
        let full_s = self.course.sample_s;
        // The last step is as long as the way that is left.
        let step_s = (left_m / ground_mps).min(full_s);
        let step_m = if step_s < full_s {
            (self.believed.x_m, self.believed.y_m) = (leg.waypoint.x_m, leg.waypoint.y_m);
            left_m
        } else {
            let step_m = ground_mps * step_s;
            let p = self.believed.point(step_m, 0.0);
            (self.believed.x_m, self.believed.y_m) = (p[0], p[1]);
            step_m
        };
        self.place.distance_m += step_m;
        self.wheel_way_m += rim_mps * self.conditions.pace * step_s;
        let command = Velocity {
            speed_mps: rim_mps,
            turn_radps: 0.0,
        };
        Some((command, step_s, step_m))
    }

    fn since_fix_m(&self) -> f64 {
        let every_m = self.env.mission.fix_every_m;
        if every_m > 0.0 {
            self.place.distance_m % every_m
        } else {
            self.place.distance_m
        }
    }

    fn here(&self, settled: &Settled, pose: Pose2) -> SoilHere {
        self.course
            .soil
            .here([pose.x_m, pose.y_m], settled, self.conditions)
    }
}
