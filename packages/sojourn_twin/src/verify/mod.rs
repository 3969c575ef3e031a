//! Verification: a plan is driven quasi-statically over the site's own elevation, and every telemetry value is compared
//! with its limit.
//!
//! The rover turns in place towards each waypoint and drives straight to it, at the waypoint's speed or its cruise
//! speed, whichever is less; slip by slope takes its share of the way. Small obstacles are AutoNav's business: they are
//! not in a site's data. Values are checked as they arise and not kept.

pub mod channels;
pub mod sample;
pub mod table;

use crate::{TwinError, nameplate::Nameplate};
use channels::{Ledger, Place};
use sample::{Env, Sample, WheelState, step_wheels};
use sojourn_core::{
    error::in_range,
    frames::{Pose2, wrap_rad},
    geometry::{self, Xy},
    kinematics::{Velocity, WheelMotion, limited, wheels_for},
    plan::{Plan, Waypoint, WaypointLimits, digest_of},
    raster::Raster,
    report::{REPORT_SCHEMA_VERSION, Report},
    rover::Rover,
    settle::{Settled, Settler},
    site::Site,
};
use std::io::Write;

/// How a plan is verified.
pub struct VerifyOptions<'a> {
    /// Time between two samples of every channel, seconds.
    pub sample_s: f64,
    /// Where a table of all values goes (CSV, one row per sample), if anywhere.
    pub channels_csv: Option<&'a mut dyn Write>,
}

impl VerifyOptions<'_> {
    /// Telemetry at 1 Hz, no table.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            sample_s: 1.0,
            channels_csv: None,
        }
    }
}

/// Drives a plan and reports. A report with `passed == false` is a result, not an error.
///
/// # Errors
/// [`TwinError::Core`] when the plan, the site or an option cannot be used at all, [`TwinError::Mismatch`] when the plan
/// was made for another site, body or rover, [`TwinError::Write`] when the table cannot be written.
pub fn verify(
    plan: &Plan,
    site: &Site,
    rover: &Rover,
    options: VerifyOptions,
) -> Result<Report, TwinError> {
    in_range("verification", "sample_s", options.sample_s, 0.01, 60.0)?;
    plan.check(&plan.name)?;
    let digests = matching_digests(plan, site, rover)?;
    let elevation = site.elevation()?;
    let (lo, hi) = elevation.min_max().ok_or_else(|| {
        sojourn_core::CoreError::format(&site.manifest.name, "elevation holds no data at all")
    })?;
    let (origin, size) = (elevation.origin_m(), elevation.size_m());
    let env = Env {
        rover,
        body: &site.manifest.body,
        plate: Nameplate::of(rover, &site.manifest.body),
        planned_m: plan.distance_m,
        allowed_s: plan.waypoints.iter().map(|w| w.timeout_s).sum(),
        extent_m: [
            origin[0],
            origin[1],
            origin[0] + size[0],
            origin[1] + size[1],
        ],
        height_m: [f64::from(lo), f64::from(hi)],
        footprint_m: rover.footprint_radius_m(),
        waypoints: plan.waypoints.len(),
    };
    let mut drive = Drive::new(plan, elevation, &env, options);
    drive.check_document();
    drive.run()?;
    Ok(drive.report(digests))
}

struct Digests {
    plan: String,
    site: String,
    rover: String,
}

fn matching_digests(plan: &Plan, site: &Site, rover: &Rover) -> Result<Digests, TwinError> {
    let digests = Digests {
        plan: plan.digest()?,
        site: site.terrain_digest()?,
        rover: digest_of("rover", rover)?,
    };
    let body_name = |b: &sojourn_core::body::Body| format!("{} ({} m/s²)", b.name, b.gravity_mps2);
    for (field, found, given, expected) in [
        (
            "rover",
            plan.rover.clone(),
            "rover file",
            rover.name.clone(),
        ),
        (
            "rover_digest",
            plan.rover_digest.clone(),
            "rover file",
            digests.rover.clone(),
        ),
        (
            "body",
            body_name(&plan.body),
            "site",
            body_name(&site.manifest.body),
        ),
        (
            "site_digest",
            plan.site_digest.clone(),
            "site",
            digests.site.clone(),
        ),
    ] {
        if found != expected {
            return Err(TwinError::Mismatch {
                plan: plan.name.clone(),
                field,
                found,
                given,
                expected,
            });
        }
    }
    Ok(digests)
}

/// What a drive stops at.
enum Stop {
    /// Nothing can be said beyond this place.
    Lost,
}

struct Drive<'a, 'w> {
    plan: &'a Plan,
    elevation: &'a Raster,
    env: &'a Env<'a>,
    dt_s: f64,
    csv: Option<&'w mut dyn Write>,
    settler: Settler,
    keep_out: Vec<&'a [Xy]>,
    ledger: Ledger,
    place: Place,
    pose: Pose2,
    pose_before: Pose2,
    settled: Option<Settled>,
    motion: WheelMotion,
    wheels: [WheelState; 6],
    segment_s: f64,
    wheel_way_m: f64,
    charge: f64,
    energy_wh: f64,
}

impl<'a, 'w> Drive<'a, 'w> {
    fn new(
        plan: &'a Plan,
        elevation: &'a Raster,
        env: &'a Env<'a>,
        options: VerifyOptions<'w>,
    ) -> Self {
        let mut ledger = Ledger::default();
        for c in table::WHOLE {
            ledger.declare(c.name, c.unit);
        }
        for wheel in table::WHEELS {
            for c in table::PER_WHEEL {
                ledger.declare(format!("wheel.{wheel}.{}", c.name), c.unit);
            }
        }
        let forbidden = plan
            .features
            .iter()
            .filter(|f| f.forbids)
            .map(|f| f.polygon.as_slice());
        let cold = WheelState {
            motor_c: env.plate.ambient_c,
            ..WheelState::default()
        };
        Self {
            plan,
            elevation,
            env,
            dt_s: options.sample_s,
            csv: options.channels_csv,
            settler: Settler::new(env.rover, (0.2 * env.rover.wheel.radius_m).max(0.01)),
            keep_out: plan
                .keep_out
                .iter()
                .map(Vec::as_slice)
                .chain(forbidden)
                .collect(),
            ledger,
            place: Place {
                x_m: plan.start.x_m,
                y_m: plan.start.y_m,
                ..Place::default()
            },
            pose: Pose2::new(plan.start.x_m, plan.start.y_m, wrap_rad(plan.start.yaw_rad)),
            pose_before: Pose2::new(plan.start.x_m, plan.start.y_m, wrap_rad(plan.start.yaw_rad)),
            settled: None,
            motion: WheelMotion::default(),
            wheels: [cold; 6],
            segment_s: 0.0,
            wheel_way_m: 0.0,
            charge: env.plate.charge_start,
            energy_wh: 0.0,
        }
    }

    /// What can be said before a wheel turns.
    fn check_document(&mut self) {
        let limits = self.env.rover.limits;
        for (i, w) in self.plan.waypoints.iter().enumerate() {
            let at = Place {
                x_m: w.x_m,
                y_m: w.y_m,
                waypoint: i,
                ..Place::default()
            };
            for (name, value, limit) in [
                ("limits.tilt_deg", w.limits.tilt_deg, limits.tilt_deg),
                ("limits.slip", w.limits.slip, limits.slip),
                (
                    "limits.speed_mps",
                    w.limits.speed_mps,
                    limits.wheel_speed_mps,
                ),
            ] {
                if value > limit {
                    let reason = format!(
                        "waypoint {i} allows {name} {value}, looser than the rover's {limit}"
                    );
                    self.ledger
                        .add(&format!("plan.{name}"), value, limit, at, reason);
                }
            }
            if self.elevation.sample(w.x_m, w.y_m).is_none() {
                let reason = format!(
                    "waypoint {i} at ({:.1}, {:.1}) m lies off the site or on ground without data",
                    w.x_m, w.y_m
                );
                self.ledger.add("route.ground", 0.0, 1.0, at, reason);
            }
        }
    }

    fn run(&mut self) -> Result<(), TwinError> {
        if let Some(csv) = &mut self.csv {
            let names: Vec<&str> = self.ledger.names().collect();
            writeln!(csv, "time_s,{}", names.join(","))?;
        }
        let plan = self.plan;
        let mut from = [plan.start.x_m, plan.start.y_m];
        for (i, waypoint) in plan.waypoints.iter().enumerate() {
            self.place.waypoint = i;
            self.segment_s = 0.0;
            if i == 0 && self.sample(waypoint, from, Velocity::STOP, 0.0)?.is_some() {
                return Ok(());
            }
            if self.segment(waypoint, from)?.is_some() {
                return Ok(());
            }
            from = waypoint.xy();
        }
        if let Some(csv) = &mut self.csv {
            csv.flush()?;
        }
        Ok(())
    }

    /// Turns towards a waypoint, then drives to it.
    fn segment(&mut self, waypoint: &Waypoint, from: Xy) -> Result<Option<Stop>, TwinError> {
        let rover = self.env.rover;
        let rim_mps = waypoint.limits.speed_mps.min(rover.drive.cruise_mps);
        // A plan that cannot be finished in ten times its time is not going to be.
        let give_up_s = 10.0 * waypoint.timeout_s + 600.0;
        loop {
            let to = waypoint.xy();
            let left_m = geometry::distance_m([self.pose.x_m, self.pose.y_m], to);
            if left_m < 1e-6 {
                return Ok(None);
            }
            let bearing = (to[1] - self.pose.y_m).atan2(to[0] - self.pose.x_m);
            let turn_rad = wrap_rad(bearing - self.pose.yaw_rad);
            let pitch_rad = self.settled.map_or(0.0, |s| s.pitch_rad);
            let slip = rover.slip.slip(pitch_rad, 1.0);
            let (command, dt_s);
            if turn_rad.abs() > 1e-4 {
                let full = Velocity {
                    speed_mps: 0.0,
                    turn_radps: rover.drive.turn_rate_radps,
                };
                let rate = limited(rover, full, rim_mps).turn_radps;
                dt_s = self.dt_s;
                let radps = (turn_rad / dt_s).clamp(-rate, rate);
                command = Velocity {
                    speed_mps: 0.0,
                    turn_radps: radps,
                };
                self.pose.yaw_rad = wrap_rad(self.pose.yaw_rad + radps * dt_s);
            } else {
                let full = Velocity {
                    speed_mps: rim_mps,
                    turn_radps: 0.0,
                };
                let ground_mps = rim_mps * (1.0 - slip) * pitch_rad.cos();
                if ground_mps < 1e-3 * rim_mps {
                    let reason = format!(
                        "the rover no longer moves at ({:.1}, {:.1}) m, {:.1} m along the way: slip is {slip:.2}",
                        self.pose.x_m, self.pose.y_m, self.place.distance_m
                    );
                    self.ledger.add(
                        "motion.slip",
                        slip,
                        waypoint.limits.slip,
                        self.place,
                        reason,
                    );
                    return Ok(Some(Stop::Lost));
                }
                // The last step is as long as the way that is left.
                let step_s = (left_m / ground_mps).min(self.dt_s);
                let step_m = if step_s < self.dt_s {
                    left_m
                } else {
                    ground_mps * step_s
                };
                (self.pose.x_m, self.pose.y_m) = if step_s < self.dt_s {
                    (to[0], to[1])
                } else {
                    let p = self.pose.point(step_m, 0.0);
                    (p[0], p[1])
                };
                self.place.distance_m += step_m;
                self.wheel_way_m += rim_mps * step_s;
                command = full;
                dt_s = step_s;
            }
            self.place.time_s += dt_s;
            self.segment_s += dt_s;
            if let Some(stop) = self.sample(waypoint, from, command, dt_s)? {
                return Ok(Some(stop));
            }
            if self.segment_s > give_up_s {
                let reason = format!(
                    "waypoint {} is not reached in {give_up_s:.0} s",
                    self.place.waypoint
                );
                self.ledger.add(
                    "timer.segment_s",
                    self.segment_s,
                    waypoint.timeout_s,
                    self.place,
                    reason,
                );
                return Ok(Some(Stop::Lost));
            }
        }
    }

    /// Settles, works out every channel and compares it.
    fn sample(
        &mut self,
        waypoint: &Waypoint,
        from: Xy,
        command: Velocity,
        dt_s: f64,
    ) -> Result<Option<Stop>, TwinError> {
        (self.place.x_m, self.place.y_m) = (self.pose.x_m, self.pose.y_m);
        let rover = self.env.rover;
        let Some(settled) = self.settler.settle(self.elevation, self.pose) else {
            let reason = format!(
                "no ground is known under the rover at ({:.1}, {:.1}) m, {:.1} m along the way to waypoint {}",
                self.pose.x_m, self.pose.y_m, self.place.distance_m, self.place.waypoint
            );
            self.ledger
                .add("route.ground", 0.0, 1.0, self.place, reason);
            return Ok(Some(Stop::Lost));
        };
        let motion = wheels_for(rover, command);
        let moving = !command.is_stop();
        let slip = if moving {
            rover.slip.slip(settled.pitch_rad, 1.0)
        } else {
            0.0
        };
        self.wheels = step_wheels(self.env, &settled, &motion, 1.0, dt_s, &self.wheels);
        let plate = &self.env.plate;
        let power_w = plate.housekeeping_w + self.wheels.iter().map(|w| w.power_w).sum::<f64>();
        self.energy_wh += power_w * dt_s / 3600.0;
        self.charge =
            (self.charge + (plate.source_w - power_w) * dt_s / 3600.0 / plate.battery_wh).min(1.0);
        let here = [self.pose.x_m, self.pose.y_m];
        let segment_left_m = geometry::distance_m(here, waypoint.xy());
        let rest_m = self
            .plan
            .waypoints
            .get(self.place.waypoint..)
            .map_or(0.0, |rest| {
                geometry::length_m(&rest.iter().map(Waypoint::xy).collect::<Vec<_>>())
            });
        let sample = Sample {
            env: self.env,
            place: self.place,
            pose: self.pose,
            settled,
            before: self.settled.unwrap_or(settled),
            pose_before: self.pose_before,
            // A last step of a millisecond would make a rate of settling's tolerance.
            dt_s: if dt_s > 0.0 {
                dt_s.max(0.25 * self.dt_s)
            } else {
                self.dt_s
            },
            command,
            motion,
            motion_before: self.motion,
            slip,
            lateral: rover.slip.lateral(settled.roll_rad),
            wheels: self.wheels,
            limits: WaypointLimits {
                tilt_deg: waypoint.limits.tilt_deg.min(rover.limits.tilt_deg),
                slip: waypoint.limits.slip.min(rover.limits.slip),
                speed_mps: waypoint.limits.speed_mps.min(rover.limits.wheel_speed_mps),
            },
            corridor_m: signed_m(here, &waypoint.corridor),
            keep_out_m: self
                .keep_out
                .iter()
                .map(|p| -signed_m(here, p))
                .fold(1e4, f64::min),
            cross_track_m: geometry::distance_to_segment_m(here, from, waypoint.xy()),
            segment_s: self.segment_s,
            timeout_s: waypoint.timeout_s,
            segment_left_m,
            left_m: segment_left_m + rest_m,
            wheel_way_m: self.wheel_way_m,
            charge: self.charge,
            energy_wh: self.energy_wh,
        };
        check_all(&mut self.ledger, &sample, &mut self.csv)?;
        self.settled = Some(settled);
        self.motion = motion;
        self.pose_before = self.pose;
        Ok(None)
    }

    fn report(self, digests: Digests) -> Report {
        let range = |name: &str| self.ledger.range(name);
        let max_tilt_deg = range("attitude.tilt_deg").map_or(0.0, |r| r.1);
        let min_clearance_m = range("belly.clearance_m").map_or(0.0, |r| r.0);
        let max_slip = range("motion.slip").map_or(0.0, |r| r.1);
        let (values_checked, violations) = (self.ledger.checked(), self.ledger.violations());
        let (distance_m, duration_s) = (self.place.distance_m, self.place.time_s);
        let (channels, findings) = self.ledger.finish();
        let passed = violations == 0;
        let reason = match findings.first() {
            Some(first) => first.reason.clone(),
            None => format!(
                "all {values_checked} values of {} channels kept their limits over {distance_m:.1} m and {duration_s:.0} s",
                channels.len()
            ),
        };
        Report {
            schema_version: REPORT_SCHEMA_VERSION,
            plan_digest: digests.plan,
            site_digest: digests.site,
            rover_digest: digests.rover,
            passed,
            reason,
            values_checked,
            distance_m,
            duration_s,
            max_tilt_deg,
            min_clearance_m,
            max_slip,
            channels,
            findings,
        }
    }
}

/// Distance to a polygon's edge, positive inside.
fn signed_m(p: Xy, polygon: &[Xy]) -> f64 {
    let edge_m = geometry::distance_to_edge_m(p, polygon);
    if geometry::in_polygon(p, polygon) {
        edge_m
    } else {
        -edge_m
    }
}

fn check_all(
    ledger: &mut Ledger,
    sample: &Sample,
    csv: &mut Option<&mut dyn Write>,
) -> Result<(), TwinError> {
    let mut row = csv.is_some().then(|| format!("{:.3}", sample.place.time_s));
    let mut channel = 0;
    let mut put = |value: channels::Value| {
        ledger.check(channel, value, sample.place);
        if let Some(row) = &mut row {
            row.push(',');
            row.push_str(&format!("{}", value.value));
        }
        channel += 1;
    };
    for c in table::WHOLE {
        put((c.value)(sample));
    }
    for wheel in 0..table::WHEELS.len() {
        for c in table::PER_WHEEL {
            put((c.value)(sample, wheel));
        }
    }
    if let (Some(csv), Some(row)) = (csv, row) {
        writeln!(csv, "{row}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
