//! The state of a driven rover at one moment, and the models behind its telemetry.

use super::soil::SoilMap;
use super::{
    ledger::Place,
    settings::{Environment, MissionSettings},
};
use crate::{
    electrics::{Motor, Power, Warming},
    nameplate::Nameplate,
    terra::loads::wheel_loads_n,
};
use sojourn_core::{
    body::Body,
    frames::Pose2,
    kinematics::{Velocity, WheelMotion},
    plan::WaypointLimits,
    rover::Rover,
    settle::Settled,
};

/// Points under the belly along and across: clearance is worked out at each.
pub const BELLY_POINTS: [usize; 2] = [5, 5];
/// Distances to keep-outs and edges are not followed beyond this, metres.
pub const FAR_M: f64 = 20.0;

/// On rock a wheel's patch is as long as if it sank by this, metres: tread and grousers give.
const LEAST_SINKAGE_M: f64 = 0.002;

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
    /// Force against compacting the soil, newtons.
    pub compaction_n: f64,
    /// The soil's greatest thrust under this wheel, newtons.
    pub thrust_n: f64,
    /// Share of the soil's greatest thrust that the pull takes.
    pub thrust_share: f64,
    /// Share of the soil's greatest thrust that the side slope takes.
    pub side_share: f64,
    /// Torque at the axle, N·m.
    pub torque_nm: f64,
    /// Its drive.
    pub motor: Motor,
    /// Angle turned since the start, both directions added, radians.
    pub turned_rad: f64,
    /// Angle steered since the start, both directions added, radians.
    pub steered_rad: f64,
    /// Where the wheel stands, `map` metres.
    pub at_m: [f64; 2],
    /// Distance to the corridor's edge, negative outside, metres.
    pub corridor_m: f64,
    /// Distance to the nearest keep-out, negative inside, at most [`FAR_M`].
    pub keep_out_m: f64,
}

/// What does not change during a drive.
pub struct Env<'a> {
    /// The rover.
    pub rover: &'a Rover,
    /// The planet.
    pub body: &'a Body,
    /// Ratings.
    pub plate: Nameplate,
    /// Day and weather.
    pub environment: Environment,
    /// Driving time and position.
    pub mission: MissionSettings,
    /// Planned length, metres.
    pub planned_m: f64,
    /// Sum of the time-outs, seconds.
    pub allowed_s: f64,
    /// `[x_min, y_min, x_max, y_max]` of the site, metres.
    pub extent_m: [f64; 4],
    /// Radius of the rover's footprint, metres.
    pub footprint_m: f64,
    /// Waypoints of the plan.
    pub waypoints: usize,
}

/// The ground under the footprint, from the six contacts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Footprint {
    /// Slope of the plane through the contacts, radians.
    pub slope_rad: f64,
    /// Rise along the heading, radians (up is positive).
    pub along_rad: f64,
    /// Rise to the left, radians.
    pub across_rad: f64,
    /// Root mean square of the contacts' distances from the plane, metres.
    pub roughness_m: f64,
    /// Distance of each contact from the plane, metres.
    pub off_m: [f64; 6],
    /// Greatest height difference of neighbours on one side, metres.
    pub step_m: f64,
    /// Height span of the contacts, metres.
    pub relief_m: f64,
}

/// What the ground is taken to be made of at one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoilHere {
    /// Class, by its place in the table of soils (from firm to weak).
    pub class: usize,
    /// Share of the wheels' way lost going on at this attitude, 0 to 1.
    pub slip: f64,
    /// The same for the way back.
    pub retreat_slip: f64,
}

/// The rover at one moment.
pub struct Sample<'a> {
    /// What does not change.
    pub env: &'a Env<'a>,
    /// Where and when.
    pub place: Place,
    /// True pose on the plane.
    pub pose: Pose2,
    /// Pose the rover believes to have.
    pub believed: Pose2,
    /// How it stands.
    pub settled: Settled,
    /// How it stood one sample ago.
    pub before: Settled,
    /// Pose one sample ago.
    pub pose_before: Pose2,
    /// Time between the two, seconds; at least a quarter of the sampling time.
    pub dt_s: f64,
    /// Way driven between the two, metres.
    pub step_m: f64,
    /// Velocity commanded to the wheels.
    pub command: Velocity,
    /// Velocity commanded one sample ago.
    pub command_before: Velocity,
    /// Wheel motion that carries it out.
    pub motion: WheelMotion,
    /// Wheel motion one sample ago.
    pub motion_before: WheelMotion,
    /// Ground under the footprint.
    pub footprint: Footprint,
    /// What the ground is taken to be made of.
    pub here: SoilHere,
    /// Share of the wheels' way that the soil takes back now: 0 while standing.
    pub slip: f64,
    /// Sideways creep, metres per metre driven.
    pub lateral: f64,
    /// The wheels.
    pub wheels: [WheelState; 6],
    /// The wheels one sample ago.
    pub wheels_before: [WheelState; 6],
    /// Clearance at the points under the belly, metres, front to rear and left to right.
    pub belly_m: [f64; BELLY_POINTS[0] * BELLY_POINTS[1]],
    /// Power, heat, charge.
    pub power: Power,
    /// Limits of the waypoint driven to, never looser than the rover's.
    pub limits: WaypointLimits,
    /// The waypoint's limits as the plan gives them.
    pub asked: WaypointLimits,
    /// Mode of the segment: 0 AVOID_ALL, 1 GUARDED, 2 DIRECTED.
    pub mode: f64,
    /// Length of the segment, metres.
    pub segment_m: f64,
    /// Turn at the segment's beginning, radians.
    pub turn_rad: f64,
    /// Distance to the corridor's edge, negative outside, metres.
    pub corridor_m: f64,
    /// Distance to the nearest keep-out, negative inside, at most [`FAR_M`].
    pub keep_out_m: f64,
    /// Distance from the straight line between the waypoints, metres.
    pub cross_track_m: f64,
    /// Time since the segment began, seconds.
    pub segment_s: f64,
    /// Time allowed for the segment, seconds.
    pub timeout_s: f64,
    /// Time that the segment should take, seconds.
    pub expected_s: f64,
    /// Way left to the goal along the plan, metres.
    pub left_m: f64,
    /// Way of the wheels since the start, metres.
    pub wheel_way_m: f64,
    /// Way since the last fix of the position, metres.
    pub since_fix_m: f64,
    /// Height climbed and height descended since the start, metres.
    pub climbed_m: [f64; 2],
    /// Sideways creep since the start, metres.
    pub crept_m: f64,
    /// Angle turned in place since the start, radians.
    pub turned_rad: f64,
    /// Turns in place since the start.
    pub turns: f64,
    /// Time spent turning since the start, seconds.
    pub turning_s: f64,
    /// Way each joint moved since the start: differential, left bogie, right bogie, radians.
    pub joint_way_rad: [f64; 3],
    /// Tilt averaged over the last minutes, radians.
    pub mean_tilt_rad: f64,
    /// Rates of roll and pitch one sample ago, deg/s.
    pub rates_before_dps: [f64; 2],
}

impl Sample<'_> {
    /// Change of an angle since the last sample, degrees per second.
    #[must_use]
    pub fn rate_dps(&self, now_rad: f64, before_rad: f64) -> f64 {
        sojourn_core::frames::wrap_rad(now_rad - before_rad).to_degrees() / self.dt_s
    }

    /// One sigma of the position, metres.
    #[must_use]
    pub fn sigma_m(&self) -> f64 {
        let m = &self.env.mission;
        m.start_position_sigma_m
            .hypot(m.drift_share * self.since_fix_m)
    }

    /// One sigma of the heading, degrees.
    #[must_use]
    pub fn heading_sigma_deg(&self) -> f64 {
        let m = &self.env.mission;
        m.start_heading_sigma_deg
            .hypot(m.heading_drift_deg_per_m * self.since_fix_m)
    }
}

/// The wheels after `dt_s` of a motion, from their state before; they turn for the share `duty` of that time.
#[must_use]
pub fn step_wheels(
    env: &Env,
    settled: &Settled,
    (soil, here): (&SoilMap, &SoilHere),
    motion: &WheelMotion,
    (ambient_c, duty): (f64, f64),
    dt_s: f64,
    before: &[WheelState; 6],
) -> [WheelState; 6] {
    let (rover, plate) = (env.rover, &env.plate);
    let (r, b) = (rover.wheel.radius_m, rover.wheel.width_m);
    let loads = wheel_loads_n(rover, env.body.gravity_mps2, settled);
    let mut out = *before;
    let warming = Warming::over(plate, ambient_c, duty, dt_s);
    for (i, w) in out.iter_mut().enumerate() {
        let rim_mps = motion.rim_mps[i].abs();
        w.load_n = loads[i];
        let turns = rim_mps > 0.0;
        let c = soil.contact(here.class, w.load_n, if turns { here.slip } else { 0.0 });
        w.sinkage_m = c.sinkage_m;
        let area_m2 = b * (2.0 * r * w.sinkage_m.max(LEAST_SINKAGE_M)).sqrt();
        w.pressure_pa = w.load_n.max(0.0) / area_m2;
        let grade_n = w.load_n * (-settled.pitch_rad).tan();
        w.compaction_n = if turns { c.resistance_n } else { 0.0 };
        w.pull_n = grade_n + w.compaction_n;
        w.thrust_n = c.capacity_n.max(1e-3);
        w.thrust_share = w.pull_n.abs() / w.thrust_n;
        w.side_share = (w.load_n * settled.roll_rad.tan()).abs() / w.thrust_n;
        w.torque_nm = w.pull_n * r;
        // Holding still costs nothing: the gears block.
        let shaft_w = (w.torque_nm * rim_mps / r).max(0.0);
        w.motor = w.motor.after(plate, &warming, shaft_w, turns);
        w.turned_rad += duty * rim_mps * dt_s / r;
    }
    out
}

/// The plane through the six contacts and what sticks out of it.
#[must_use]
pub fn footprint(rover: &Rover, s: &Settled) -> Footprint {
    let hubs = rover.hubs_m();
    let n = 6.0;
    let (mut mx, mut my, mut mz) = (0.0, 0.0, 0.0);
    for (h, z) in hubs.iter().zip(s.wheel_m) {
        mx += h[0] / n;
        my += h[1] / n;
        mz += z / n;
    }
    let (mut xx, mut xy, mut yy, mut xz, mut yz) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (h, z) in hubs.iter().zip(s.wheel_m) {
        let (x, y, z) = (h[0] - mx, h[1] - my, z - mz);
        xx += x * x;
        xy += x * y;
        yy += y * y;
        xz += x * z;
        yz += y * z;
    }
    let det = xx * yy - xy * xy;
    let (gx, gy) = ((xz * yy - yz * xy) / det, (yz * xx - xz * xy) / det);
    let mut off_m = [0.0; 6];
    for (i, off) in off_m.iter_mut().enumerate() {
        *off = s.wheel_m[i] - mz - gx * (hubs[i][0] - mx) - gy * (hubs[i][1] - my);
    }
    let z = s.wheel_m;
    let step_m = [(0, 1), (1, 2), (3, 4), (4, 5)]
        .iter()
        .map(|&(a, b)| (z[a] - z[b]).abs())
        .fold(0.0, f64::max);
    let lowest = z.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Footprint {
        slope_rad: gx.hypot(gy).atan(),
        along_rad: gx.atan(),
        across_rad: gy.atan(),
        roughness_m: (off_m.iter().map(|v| v * v).sum::<f64>() / n).sqrt(),
        off_m,
        step_m,
        relief_m: highest - lowest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mars, perseverance};
    use proptest::prelude::*;
    use sojourn_core::settle::Settler;

    proptest! {
        /// On any plane the loads add up to the weight; downhill wheels carry more; the plane is found again.
        #[test]
        fn loads_add_up(slope in 0.0f64..20.0, dir in -3.2f64..3.2) {
            let (rover, body) = (perseverance(), mars());
            let g = slope.to_radians().tan();
            let ground = move |x: f64, y: f64| Some(g * (dir.cos() * x + dir.sin() * y));
            let s = Settler::new(&rover, 0.05).settle(&ground, Pose2::default()).unwrap();
            let loads = wheel_loads_n(&rover, body.gravity_mps2, &s);
            let sum: f64 = loads.iter().sum();
            prop_assert!((sum - rover.mass_kg * body.gravity_mps2).abs() < 1e-6);
            prop_assert!(loads.iter().all(|&n| n > 0.0), "{loads:?}");
            if slope > 2.0 && dir.sin() > 0.3 {
                let right: f64 = loads[3..].iter().sum();
                prop_assert!(right > 0.5 * sum);
            }
            let f = footprint(&rover, &s);
            prop_assert!((f.slope_rad.to_degrees() - slope).abs() < 1.5, "{}", f.slope_rad.to_degrees());
            prop_assert!(f.roughness_m < 0.01);
        }
    }
}
