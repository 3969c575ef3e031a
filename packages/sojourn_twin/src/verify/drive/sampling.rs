//! One sample of a run: settle, step what has a memory, work out every quantity, compare.

use super::super::{
    ledger::Motion,
    quantities,
    sample::{BELLY_POINTS, FAR_M, Footprint, Sample, SoilHere, footprint, step_wheels},
};
use super::{Drive, Leg, Lost};
use crate::TwinError;
use sojourn_core::{
    frames::Pose2,
    geometry::{self, Xy},
    kinematics::{Velocity, wheels_for},
    plan::Mode,
    raster::HeightField,
    settle::Settled,
};
use std::io::Write;

/// Time constant of the averaged tilt, seconds.
const MEAN_TILT_S: f64 = 300.0;

impl Drive<'_, '_> {
    /// Settles, works out every quantity and compares it. `[dt_s, step_m]` since the last sample; `first_of` the drive
    /// and the segment.
    pub(super) fn sample(
        &mut self,
        leg: &Leg,
        command: Velocity,
        [dt_s, step_m]: [f64; 2],
        first_of: [bool; 2],
    ) -> Result<Result<(), Lost>, TwinError> {
        let since_fix_m = self.since_fix_m();
        let ([x_m, y_m], yaw_rad) = self.conditions.truth(
            [self.believed.x_m, self.believed.y_m],
            self.believed.yaw_rad,
            self.place.distance_m,
            since_fix_m,
        );
        let pose = Pose2::new(x_m, y_m, yaw_rad);
        (self.place.x_m, self.place.y_m) = (x_m, y_m);
        let stands = self
            .settler
            .settle(&self.ground, pose)
            .and_then(|s| Some((s, self.belly(&s, pose)?)));
        let Some((settled, belly_m)) = stands else {
            self.ledger.add("ground.known", 0.0, 1.0, self.place);
            return Ok(Err(Lost));
        };
        let before = self.settled.unwrap_or(settled);
        let rate_dt_s = if dt_s > 0.0 {
            // A last step of a millisecond would make a rate of settling's tolerance.
            dt_s.max(0.25 * self.course.sample_s)
        } else {
            self.course.sample_s
        };
        let here = self.here(&settled, pose);
        let wheels_before = self.wheels;
        self.advance(&settled, &before, &here, command, dt_s, step_m);
        self.place_wheels(leg, pose);
        // Nothing changed before the first moment.
        let wheels_before = if self.first_sample {
            self.wheels
        } else {
            wheels_before
        };
        let sample = Sample {
            env: self.env,
            place: self.place,
            pose,
            believed: self.believed,
            settled,
            before,
            pose_before: self.pose_before,
            dt_s: rate_dt_s,
            step_m,
            command,
            command_before: self.command,
            motion: wheels_for(self.env.rover, command),
            motion_before: self.motion,
            footprint: footprint(self.env.rover, &settled),
            here,
            slip: slip_of(command, &here),
            lateral: self.env.rover.slip.lateral(settled.roll_rad),
            wheels: self.wheels,
            wheels_before,
            belly_m,
            power: self.power,
            limits: leg.limits,
            asked: leg.waypoint.limits,
            mode: mode_code(leg.waypoint.mode),
            segment_m: leg.length_m,
            turn_rad: self.turn.now_rad,
            corridor_m: signed_m([x_m, y_m], &leg.waypoint.corridor),
            keep_out_m: nearest_m([x_m, y_m], &self.near),
            cross_track_m: geometry::distance_to_segment_m([x_m, y_m], leg.from, leg.waypoint.xy()),
            segment_s: self.segment_s,
            timeout_s: leg.waypoint.timeout_s,
            expected_s: leg.expected_s.max(1e-3),
            left_m: leg.left_behind_m
                + geometry::distance_m([self.believed.x_m, self.believed.y_m], leg.waypoint.xy()),
            wheel_way_m: self.wheel_way_m,
            since_fix_m,
            climbed_m: self.climbed_m,
            crept_m: self.crept_m,
            turned_rad: self.turn.turned_rad,
            turns: self.turn.turns,
            turning_s: self.turn.turning_s,
            joint_way_rad: self.joint_way_rad,
            mean_tilt_rad: self.mean_tilt_rad,
            rates_before_dps: self.rates_dps,
        };
        let motion = if command.is_stop() {
            Motion::Still
        } else if command.speed_mps == 0.0 {
            Motion::Turn
        } else {
            Motion::Drive
        };
        quantities::fill(&sample, &mut self.values);
        let rates_dps = [
            sample.rate_dps(settled.roll_rad, before.roll_rad),
            sample.rate_dps(settled.pitch_rad, before.pitch_rad),
        ];
        let footprint = sample.footprint;
        let now = sample.motion;
        self.ledger
            .check(&self.values, motion, first_of, self.place);
        self.note_segment(&settled, &here, &footprint, motion);
        self.write_row()?;
        self.rates_dps = rates_dps;
        self.settled = Some(settled);
        self.motion = now;
        self.command = command;
        self.pose_before = pose;
        Ok(Ok(()))
    }

    /// Steps everything that has a memory.
    fn advance(
        &mut self,
        settled: &Settled,
        before: &Settled,
        here: &SoilHere,
        command: Velocity,
        dt_s: f64,
        step_m: f64,
    ) {
        let motion = wheels_for(self.env.rover, command);
        let ambient_c = self.env.environment.ambient_c(self.place.time_s);
        let duty = if command.speed_mps == 0.0 {
            1.0
        } else {
            self.conditions.pace
        };
        self.wheels = step_wheels(
            self.env,
            settled,
            (self.course.soil, here),
            &motion,
            (ambient_c, duty),
            dt_s,
            &self.wheels,
        );
        for (w, (now, then)) in self
            .wheels
            .iter_mut()
            .zip(motion.steer_rad.iter().zip(self.motion.steer_rad))
        {
            w.steered_rad += (now - then).abs();
        }
        let day = &self.env.environment;
        let sun_deg = day.sun_elevation_deg(self.place.time_s);
        let source_w = self.env.plate.source.power_w(sun_deg, day.opacity);
        let around = (ambient_c, duty, source_w);
        self.steers = self.steers.after(&self.env.plate, motion.steer_rad, dt_s);
        let drive_w = self.wheels.iter().map(|w| w.motor.power_w).sum();
        self.power = self.power.after(
            &self.env.plate,
            [drive_w, self.steers.power_w],
            around,
            dt_s,
        );
        let rise_m = settled.z_m - before.z_m;
        self.climbed_m[0] += rise_m.max(0.0);
        self.climbed_m[1] += (-rise_m).max(0.0);
        self.crept_m += self.env.rover.slip.lateral(settled.roll_rad).abs() * step_m;
        let joints = |s: &Settled| [s.differential_rad, s.bogie_rad[0], s.bogie_rad[1]];
        for (way, (now, then)) in self
            .joint_way_rad
            .iter_mut()
            .zip(joints(settled).into_iter().zip(joints(before)))
        {
            *way += (now - then).abs();
        }
        self.mean_tilt_rad +=
            (settled.tilt_rad - self.mean_tilt_rad) * (1.0 - (-dt_s / MEAN_TILT_S).exp());
    }

    fn place_wheels(&mut self, leg: &Leg, pose: Pose2) {
        let hubs = self.env.rover.hubs_m();
        for (w, hub) in self.wheels.iter_mut().zip(hubs) {
            w.at_m = pose.point(hub[0], hub[1]);
            w.corridor_m = signed_m(w.at_m, &leg.waypoint.corridor);
            w.keep_out_m = nearest_m(w.at_m, &self.near);
        }
    }

    /// Clearance at points under the belly; `None` over unknown ground.
    fn belly(&self, s: &Settled, pose: Pose2) -> Option<[f64; BELLY_POINTS[0] * BELLY_POINTS[1]]> {
        let rover = self.env.rover;
        let b = &rover.belly;
        let (sp, cp) = (-s.pitch_rad).sin_cos();
        let (sr, cr) = s.roll_rad.sin_cos();
        let (sy, cy) = pose.yaw_rad.sin_cos();
        let up = b.height_m;
        let mut out = [0.0; BELLY_POINTS[0] * BELLY_POINTS[1]];
        for (k, out) in out.iter_mut().enumerate() {
            let share = |i: usize, n: usize| i as f64 / (n - 1) as f64;
            let bx =
                b.x_max_m - (b.x_max_m - b.x_min_m) * share(k / BELLY_POINTS[1], BELLY_POINTS[0]);
            let by = b.half_width_m * (1.0 - 2.0 * share(k % BELLY_POINTS[1], BELLY_POINTS[1]));
            // nose up by the pitch, left side up by the roll
            let lx = bx * cp - up * cr * sp - by * sr * sp;
            let ly = by * cr - up * sr;
            let lz = bx * sp + (by * sr + up * cr) * cp;
            let h = self
                .ground
                .height_m(pose.x_m + cy * lx - sy * ly, pose.y_m + sy * lx + cy * ly)?;
            *out = s.z_m + lz - h;
        }
        Some(out)
    }

    fn note_segment(
        &mut self,
        settled: &Settled,
        here: &SoilHere,
        footprint: &Footprint,
        motion: Motion,
    ) {
        let place = self.place;
        let (plate, power) = (&self.env.plate, &self.power);
        let spent = (plate.charge_start - power.charge).max(0.0);
        let retreat_thrust = self
            .wheels
            .iter()
            .map(|w| (w.compaction_n - w.load_n * (-settled.pitch_rad).tan()).abs() / w.thrust_n)
            .fold(0.0, f64::max);
        let Some(segment) = self.segments.last_mut() else {
            return;
        };
        segment.duration_s = self.segment_s;
        segment.tilt_rad = segment.tilt_rad.max(settled.tilt_rad);
        segment.charge = power.charge;
        // The way back costs what the way out did.
        segment.charge_at_start_again = power.charge - spent;
        if footprint.slope_rad >= segment.slope_rad {
            (segment.slope_rad, segment.slope_place) = (footprint.slope_rad, place);
        }
        if motion == Motion::Drive {
            segment.slip = segment.slip.max(here.slip);
            segment.retreat_thrust = segment.retreat_thrust.max(retreat_thrust);
            if here.retreat_slip >= segment.retreat_slip {
                (segment.retreat_slip, segment.retreat_place) = (here.retreat_slip, place);
            }
        }
    }

    fn write_row(&mut self) -> Result<(), TwinError> {
        let Some(csv) = &mut self.csv else {
            return Ok(());
        };
        write!(csv, "{:.3}", self.place.time_s)?;
        for c in &self.course.dictionary.channels {
            let v = self.values.get(c.quantity).copied().unwrap_or(f64::NAN);
            write!(csv, ",{v}")?;
        }
        writeln!(csv)?;
        Ok(())
    }
}

/// Share of the wheels' way that the soil takes back: all of it while driving, half in a turn, none while standing.
fn slip_of(command: Velocity, here: &SoilHere) -> f64 {
    if command.is_stop() {
        0.0
    } else if command.speed_mps == 0.0 {
        0.5 * here.slip
    } else {
        here.slip
    }
}

fn mode_code(mode: Mode) -> f64 {
    match mode {
        Mode::AvoidAll => 0.0,
        Mode::Guarded => 1.0,
        Mode::Directed => 2.0,
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

/// Distance to the nearest of some polygons, negative inside, at most [`FAR_M`].
fn nearest_m(p: Xy, polygons: &[&[Xy]]) -> f64 {
    polygons
        .iter()
        .map(|polygon| -signed_m(p, polygon))
        .fold(FAR_M, f64::min)
}
