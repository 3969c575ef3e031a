//! The state of a driven rover at one moment, and the models behind its telemetry.

use super::channels::Place;
use crate::nameplate::{Nameplate, SOIL};
use sojourn_core::{
    body::Body,
    frames::Pose2,
    kinematics::{Velocity, WheelMotion},
    plan::WaypointLimits,
    rover::Rover,
    settle::Settled,
};

/// Load, soil and motor of one wheel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WheelState {
    /// Normal load, newtons.
    pub load_n: f64,
    /// Sinkage into the soil, metres.
    pub sinkage_m: f64,
    /// Mean pressure under the wheel, Pa.
    pub pressure_pa: f64,
    /// Force the wheel has to push with along the slope, newtons: share of the grade plus compaction.
    pub pull_n: f64,
    /// Share of the soil's greatest thrust that this takes.
    pub thrust_share: f64,
    /// Torque at the axle, N·m.
    pub torque_nm: f64,
    /// Electrical power, watts.
    pub power_w: f64,
    /// Current from the bus, amperes.
    pub current_a: f64,
    /// Motor temperature, °C.
    pub motor_c: f64,
    /// Angle turned since the start, both directions added, radians.
    pub turned_rad: f64,
    /// Electrical energy used since the start, watt-hours.
    pub energy_wh: f64,
}

/// What does not change during a drive.
pub struct Env<'a> {
    /// The rover.
    pub rover: &'a Rover,
    /// The planet.
    pub body: &'a Body,
    /// Ratings.
    pub plate: Nameplate,
    /// Planned length, metres.
    pub planned_m: f64,
    /// Sum of the time-outs, seconds.
    pub allowed_s: f64,
    /// `[x_min, y_min, x_max, y_max]` of the site, metres.
    pub extent_m: [f64; 4],
    /// Least and greatest height of the site, metres.
    pub height_m: [f64; 2],
    /// Radius of the rover's footprint, metres.
    pub footprint_m: f64,
    /// Waypoints of the plan.
    pub waypoints: usize,
}

/// The rover at one moment.
pub struct Sample<'a> {
    /// What does not change.
    pub env: &'a Env<'a>,
    /// Where and when.
    pub place: Place,
    /// Pose on the plane.
    pub pose: Pose2,
    /// How it stands.
    pub settled: Settled,
    /// How it stood one sample ago.
    pub before: Settled,
    /// Pose one sample ago.
    pub pose_before: Pose2,
    /// Time between the two, seconds; at least a quarter of the sampling time.
    pub dt_s: f64,
    /// Velocity commanded to the wheels.
    pub command: Velocity,
    /// Wheel motion that carries it out.
    pub motion: WheelMotion,
    /// Wheel motion one sample ago.
    pub motion_before: WheelMotion,
    /// Share of the wheels' way that the soil takes back.
    pub slip: f64,
    /// Sideways creep, metres per metre driven.
    pub lateral: f64,
    /// The wheels.
    pub wheels: [WheelState; 6],
    /// Limits of the waypoint driven to, never looser than the rover's.
    pub limits: WaypointLimits,
    /// Distance to the corridor's edge, negative outside, metres.
    pub corridor_m: f64,
    /// Distance to the nearest keep-out, negative inside, metres.
    pub keep_out_m: f64,
    /// Distance from the straight line between the waypoints, metres.
    pub cross_track_m: f64,
    /// Time since the segment began, seconds.
    pub segment_s: f64,
    /// Time allowed for the segment, seconds.
    pub timeout_s: f64,
    /// Way left to the waypoint, metres.
    pub segment_left_m: f64,
    /// Way left to the goal along the plan, metres.
    pub left_m: f64,
    /// Way of the wheels since the start, metres.
    pub wheel_way_m: f64,
    /// Battery's charge, 0 to 1.
    pub charge: f64,
    /// Energy used since the start, watt-hours.
    pub energy_wh: f64,
}

impl Sample<'_> {
    /// Power of all drives, watts.
    #[must_use]
    pub fn drive_w(&self) -> f64 {
        self.wheels.iter().map(|w| w.power_w).sum()
    }

    /// Power of everything, watts.
    #[must_use]
    pub fn total_w(&self) -> f64 {
        self.drive_w() + self.env.plate.housekeeping_w
    }

    /// Change of an angle since the last sample, degrees per second.
    #[must_use]
    pub fn rate_dps(&self, now_rad: f64, before_rad: f64) -> f64 {
        sojourn_core::frames::wrap_rad(now_rad - before_rad).to_degrees() / self.dt_s
    }

    /// Share of the weight on the left wheels.
    #[must_use]
    pub fn left_share(&self) -> f64 {
        let left: f64 = self.wheels[..3].iter().map(|w| w.load_n).sum();
        left / (self.env.rover.mass_kg * self.env.body.gravity_mps2)
    }
}

/// Static loads of the six wheels, newtons.
///
/// The mass is taken to sit over the rocker pivots at their height. Roll shifts weight sideways by that height over the
/// track; along each side the rocker's and the bogie's levers share it, with the links turned as they stand. A negative
/// load means that the wheel would lift off.
#[must_use]
pub fn wheel_loads_n(rover: &Rover, plate: &Nameplate, gravity_mps2: f64, s: &Settled) -> [f64; 6] {
    let p = &rover.suspension;
    let weight_n = rover.mass_kg * gravity_mps2;
    let half_track_m = (p.front_hub_m[1] + p.middle_hub_m[1] + p.rear_hub_m[1]) / 3.0;
    // Roll is positive with the right side down.
    let shift = plate.mass_height_m * s.roll_rad.tan() / (2.0 * half_track_m);
    // x of the vector a → b after turning nose-up by an angle
    let lever =
        |a: [f64; 3], b: [f64; 3], up: f64| (b[0] - a[0]) * up.cos() - (b[2] - a[2]) * up.sin();
    let mut loads = [0.0; 6];
    for side in 0..2 {
        let sign = if side == 0 { 1.0 } else { -1.0 };
        let side_n = weight_n * (0.5 - sign * shift);
        let rocker_up = -s.pitch_rad + sign * s.differential_rad;
        let bogie_up = rocker_up + s.bogie_rad[side];
        let front = lever(p.rocker_pivot_m, p.front_hub_m, rocker_up);
        let bogie = lever(p.rocker_pivot_m, p.bogie_pivot_m, rocker_up);
        let middle = lever(p.bogie_pivot_m, p.middle_hub_m, bogie_up);
        let rear = lever(p.bogie_pivot_m, p.rear_hub_m, bogie_up);
        let front_n = side_n * -bogie / (front - bogie);
        let bogie_n = side_n - front_n;
        let middle_n = bogie_n * -rear / (middle - rear);
        loads[3 * side] = front_n;
        loads[3 * side + 1] = middle_n;
        loads[3 * side + 2] = bogie_n - middle_n;
    }
    loads
}

/// The wheels after `dt_s` of a motion, from their state before.
#[must_use]
pub fn step_wheels(
    env: &Env,
    settled: &Settled,
    motion: &WheelMotion,
    speed_sign: f64,
    dt_s: f64,
    before: &[WheelState; 6],
) -> [WheelState; 6] {
    let (rover, plate) = (env.rover, &env.plate);
    let (r, b) = (rover.wheel.radius_m, rover.wheel.width_m);
    let loads = wheel_loads_n(rover, plate, env.body.gravity_mps2, settled);
    let mut out = *before;
    for (i, w) in out.iter_mut().enumerate() {
        let rim_mps = motion.rim_mps[i].abs();
        w.load_n = loads[i];
        w.sinkage_m = SOIL.sinkage_m(w.load_n, r, b);
        let area_m2 = b * (2.0 * r * w.sinkage_m).sqrt().max(1e-4);
        w.pressure_pa = w.load_n.max(0.0) / area_m2;
        let grade_n = w.load_n * (-settled.pitch_rad * speed_sign).tan();
        let compaction_n = if rim_mps > 0.0 {
            SOIL.compaction_n(w.sinkage_m, b)
        } else {
            0.0
        };
        w.pull_n = grade_n + compaction_n;
        w.thrust_share = w.pull_n.abs() / SOIL.thrust_n(w.load_n.max(1.0), area_m2);
        w.torque_nm = w.pull_n * r;
        // Holding still costs nothing: the gears block.
        w.power_w = (w.torque_nm * rim_mps / r).max(0.0) / plate.efficiency;
        w.current_a = w.power_w / plate.bus_v;
        let settles_at_c =
            plate.ambient_c + w.power_w * (1.0 - plate.efficiency) * plate.motor_k_per_w;
        w.motor_c += (settles_at_c - w.motor_c) * (1.0 - (-dt_s / plate.motor_tau_s).exp());
        w.turned_rad += rim_mps * dt_s / r;
        w.energy_wh += w.power_w * dt_s / 3600.0;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mars, perseverance};
    use proptest::prelude::*;
    use sojourn_core::settle::Settler;

    proptest! {
        /// On any plane the loads add up to the weight; downhill wheels carry more.
        #[test]
        fn loads_add_up(slope in 0.0f64..20.0, dir in -3.2f64..3.2) {
            let (rover, body) = (perseverance(), mars());
            let plate = Nameplate::of(&rover, &body);
            let g = slope.to_radians().tan();
            let ground = move |x: f64, y: f64| Some(g * (dir.cos() * x + dir.sin() * y));
            let s = Settler::new(&rover, 0.05).settle(&ground, Pose2::default()).unwrap();
            let loads = wheel_loads_n(&rover, &plate, body.gravity_mps2, &s);
            let sum: f64 = loads.iter().sum();
            prop_assert!((sum - rover.mass_kg * body.gravity_mps2).abs() < 1e-6);
            prop_assert!(loads.iter().all(|&n| n > 0.0), "{loads:?}");
            if slope > 2.0 && dir.sin() > 0.3 {
                let right: f64 = loads[3..].iter().sum();
                prop_assert!(right > 0.5 * sum);
            }
        }
    }
}
