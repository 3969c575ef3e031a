//! The quantities that the twin works out in every sample. The channel dictionary says which of them are telemetry and
//! what is allowed; here stands only where a value comes from.

use super::sample::{BELLY_POINTS, FAR_M, Sample, WheelState};
use std::collections::BTreeMap;

type OfRover = fn(&Sample) -> f64;
type OfPart = fn(&Sample, usize) -> f64;

/// Names of the wheels, in the order of `Rover::hubs_m`.
pub const WHEELS: [&str; 6] = ["lf", "lm", "lr", "rf", "rm", "rr"];
/// Indices of the wheels that steer.
const CORNERS: [usize; 4] = [0, 2, 3, 5];
/// Names of the joints, in the order of `Sample::joint_way_rad`.
const JOINTS: [&str; 3] = ["differential", "bogie_left", "bogie_right"];

/// What each wheel has: `wheel.<wheel>.<name>`.
const PER_WHEEL: &[(&str, OfPart)] = &[
    ("load_n", |s, i| s.wheels[i].load_n),
    ("load_step_n", |s, i| {
        s.wheels[i].load_n - s.wheels_before[i].load_n
    }),
    ("sinkage_m", |s, i| s.wheels[i].sinkage_m),
    ("pressure_pa", |s, i| s.wheels[i].pressure_pa),
    ("slip", |s, i| {
        if s.motion.rim_mps[i] == 0.0 {
            0.0
        } else {
            s.slip
        }
    }),
    ("spin_mps", |s, i| (s.motion.rim_mps[i] * s.slip).abs()),
    ("pull_n", |s, i| s.wheels[i].pull_n),
    ("compaction_n", |s, i| s.wheels[i].compaction_n),
    ("thrust_share", |s, i| s.wheels[i].thrust_share),
    ("side_share", |s, i| s.wheels[i].side_share),
    ("grip_share", |s, i| {
        s.wheels[i].thrust_share.hypot(s.wheels[i].side_share)
    }),
    ("torque_nm", |s, i| s.wheels[i].torque_nm),
    ("power_w", |s, i| s.wheels[i].motor.power_w),
    ("current_a", |s, i| s.wheels[i].motor.current_a),
    ("loss_w", |s, i| s.wheels[i].motor.loss_w),
    ("motor_c", |s, i| s.wheels[i].motor.temperature_c),
    ("motor_rise_k", |s, i| {
        s.wheels[i].motor.temperature_c
            - s.env
                .environment
                .ambient_c(s.place.time_s)
                .max(s.env.plate.heater_c)
    }),
    ("energy_wh", |s, i| s.wheels[i].motor.energy_wh),
    ("turns", |s, i| {
        s.wheels[i].turned_rad / std::f64::consts::TAU
    }),
    ("rim_mps", |s, i| s.motion.rim_mps[i].abs()),
    ("rim_step_mps", |s, i| {
        s.motion.rim_mps[i] - s.motion_before.rim_mps[i]
    }),
    ("drop_m", |s, i| s.settled.wheel_drop_m[i]),
    ("rise_mps", |s, i| {
        (s.settled.wheel_m[i] - s.before.wheel_m[i]) / s.dt_s
    }),
    ("step_m", |s, i| s.settled.wheel_m[i] - s.before.wheel_m[i]),
    ("off_plane_m", |s, i| s.footprint.off_m[i]),
    ("corridor_m", |s, i| s.wheels[i].corridor_m),
    ("keep_out_m", |s, i| s.wheels[i].keep_out_m),
    ("edge_m", |s, i| edge_m(s, s.wheels[i].at_m)),
];

/// What each steered wheel has: `wheel.<wheel>.<name>`.
const PER_CORNER: &[(&str, OfPart)] = &[
    ("steer_deg", |s, i| s.motion.steer_rad[i].to_degrees().abs()),
    ("steer_step_deg", |s, i| {
        (s.motion.steer_rad[i] - s.motion_before.steer_rad[i]).to_degrees()
    }),
    ("steered_turns", |s, i| {
        s.wheels[i].steered_rad / std::f64::consts::TAU
    }),
];

/// What each joint has: `joint.<joint>.<name>`.
const PER_JOINT: &[(&str, OfPart)] = &[
    ("angle_deg", |s, i| joint_rad(&s.settled, i).to_degrees()),
    ("rate_dps", |s, i| {
        s.rate_dps(joint_rad(&s.settled, i), joint_rad(&s.before, i))
    }),
    ("way_deg", |s, i| s.joint_way_rad[i].to_degrees()),
];

fn joint_rad(s: &sojourn_core::settle::Settled, i: usize) -> f64 {
    match i {
        0 => s.differential_rad,
        1 => s.bogie_rad[0],
        _ => s.bogie_rad[1],
    }
}

/// Distance of a point from the nearest edge of the site, at most [`FAR_M`].
fn edge_m(s: &Sample, [x, y]: [f64; 2]) -> f64 {
    let [x0, y0, x1, y1] = s.env.extent_m;
    (x - x0).min(x1 - x).min(y - y0).min(y1 - y).min(FAR_M)
}

/// Tilt towards an edge of the wheelbase at which the rover falls over, less the tilt towards it, degrees.
fn stability_deg(s: &Sample, reach_m: f64, lean_rad: f64) -> f64 {
    ((reach_m / s.env.plate.mass_height_m).atan() - lean_rad).to_degrees()
}

type OfWheel = fn(&WheelState) -> f64;

/// The wheels that the rover has.
fn wheels<'a>(s: &'a Sample) -> impl Iterator<Item = &'a WheelState> {
    s.wheels
        .iter()
        .zip(s.env.rover.has_wheel())
        .filter_map(|(w, there)| there.then_some(w))
}

fn most(s: &Sample, f: OfWheel) -> f64 {
    let greater = |m: f64, v: f64| if v.is_nan() { v } else { m.max(v) };
    wheels(s).map(f).fold(f64::NEG_INFINITY, greater)
}

fn least(s: &Sample, f: OfWheel) -> f64 {
    let less = |m: f64, v: f64| if v.is_nan() { v } else { m.min(v) };
    wheels(s).map(f).fold(f64::INFINITY, less)
}

fn sum(s: &Sample, f: OfWheel) -> f64 {
    wheels(s).map(f).sum()
}

fn weight_n(s: &Sample) -> f64 {
    s.env.rover.mass_kg * s.env.body.gravity_mps2
}

/// What the rover has as a whole.
const WHOLE: &[(&str, OfRover)] = &[
    ("attitude.tilt_deg", |s| s.settled.tilt_rad.to_degrees()),
    ("attitude.mean_tilt_deg", |s| s.mean_tilt_rad.to_degrees()),
    ("attitude.roll_deg", |s| s.settled.roll_rad.to_degrees()),
    ("attitude.pitch_deg", |s| s.settled.pitch_rad.to_degrees()),
    ("attitude.heading_error_deg", |s| {
        sojourn_core::frames::wrap_rad(s.pose.yaw_rad - s.believed.yaw_rad).to_degrees()
    }),
    ("attitude.stability_left_deg", |s| {
        stability_deg(s, half_track_m(s), -s.settled.roll_rad)
    }),
    ("attitude.stability_right_deg", |s| {
        stability_deg(s, half_track_m(s), s.settled.roll_rad)
    }),
    ("attitude.stability_front_deg", |s| {
        let p = &s.env.rover.suspension;
        stability_deg(
            s,
            p.front_hub_m[0] - p.rocker_pivot_m[0],
            s.settled.pitch_rad,
        )
    }),
    ("attitude.stability_rear_deg", |s| {
        let p = &s.env.rover.suspension;
        stability_deg(
            s,
            p.rocker_pivot_m[0] - p.rear_hub_m[0],
            -s.settled.pitch_rad,
        )
    }),
    ("rate.roll_dps", |s| {
        s.rate_dps(s.settled.roll_rad, s.before.roll_rad)
    }),
    ("rate.pitch_dps", |s| {
        s.rate_dps(s.settled.pitch_rad, s.before.pitch_rad)
    }),
    ("rate.tilt_dps", |s| {
        s.rate_dps(s.settled.tilt_rad, s.before.tilt_rad)
    }),
    ("rate.yaw_dps", |s| {
        s.rate_dps(s.pose.yaw_rad, s.pose_before.yaw_rad)
    }),
    ("rate.roll_dps2", |s| {
        (s.rate_dps(s.settled.roll_rad, s.before.roll_rad) - s.rates_before_dps[0]) / s.dt_s
    }),
    ("rate.pitch_dps2", |s| {
        (s.rate_dps(s.settled.pitch_rad, s.before.pitch_rad) - s.rates_before_dps[1]) / s.dt_s
    }),
    ("joint.bogie_twist_deg", |s| {
        (s.settled.bogie_rad[0] - s.settled.bogie_rad[1]).to_degrees()
    }),
    ("belly.clearance_m", |s| s.settled.clearance_m),
    ("belly.height_step_m", |s| s.settled.z_m - s.before.z_m),
    // A moment exists only where all ground is known; where it is not, the drive adds the violation.
    ("ground.known", |_| 1.0),
    ("ground.slope_deg", |s| s.footprint.slope_rad.to_degrees()),
    ("ground.along_deg", |s| s.footprint.along_rad.to_degrees()),
    ("ground.across_deg", |s| s.footprint.across_rad.to_degrees()),
    ("ground.roughness_m", |s| s.footprint.roughness_m),
    ("ground.step_m", |s| s.footprint.step_m),
    ("ground.relief_m", |s| s.footprint.relief_m),
    ("ground.climbed_m", |s| s.climbed_m[0]),
    ("ground.descended_m", |s| s.climbed_m[1]),
    ("load.left_share", |s| {
        s.wheels[..3].iter().map(|w| w.load_n).sum::<f64>() / weight_n(s)
    }),
    ("load.front_share", |s| {
        (s.wheels[0].load_n + s.wheels[3].load_n) / weight_n(s)
    }),
    ("load.middle_share", |s| {
        (s.wheels[1].load_n + s.wheels[4].load_n) / weight_n(s)
    }),
    ("load.rear_share", |s| {
        (s.wheels[2].load_n + s.wheels[5].load_n) / weight_n(s)
    }),
    ("load.spread_n", |s| {
        most(s, |w| w.load_n) - least(s, |w| w.load_n)
    }),
    ("soil.sinkage_m", |s| most(s, |w| w.sinkage_m)),
    ("soil.embedding", |s| {
        sum(s, |w| w.sinkage_m) / s.env.rover.wheel_count() as f64 / s.env.rover.wheel.radius_m
    }),
    ("soil.pressure_pa", |s| most(s, |w| w.pressure_pa)),
    ("soil.thrust_share", |s| most(s, |w| w.thrust_share)),
    ("soil.drawbar_share", |s| {
        sum(s, |w| w.pull_n) / sum(s, |w| w.thrust_n)
    }),
    ("soil.side_share", |s| most(s, |w| w.side_share)),
    ("soil.compaction_share", |s| {
        sum(s, |w| w.compaction_n) / weight_n(s)
    }),
    ("soil.retreat_slip", |s| s.here.retreat_slip),
    ("motion.speed_mps", |s| s.command.speed_mps * (1.0 - s.slip)),
    ("motion.progress", |s| {
        if s.command.speed_mps == 0.0 {
            1.0
        } else {
            1.0 - s.slip
        }
    }),
    ("motion.climb_mps", |s| {
        (s.settled.z_m - s.before.z_m) / s.dt_s
    }),
    ("motion.slip", |s| s.slip),
    ("motion.lateral", |s| s.lateral),
    ("motion.crept_m", |s| s.crept_m),
    ("motion.wheel_way_share", |s| {
        s.wheel_way_m / s.env.planned_m
    }),
    ("route.corridor_margin_m", |s| s.corridor_m),
    ("route.keep_out_m", |s| s.keep_out_m),
    ("route.cross_track_m", |s| s.cross_track_m),
    ("route.edge_m", |s| {
        edge_m(s, [s.pose.x_m, s.pose.y_m]) - s.env.footprint_m
    }),
    ("route.west_m", |s| {
        s.pose.x_m - s.env.extent_m[0] - s.env.footprint_m
    }),
    ("route.south_m", |s| {
        s.pose.y_m - s.env.extent_m[1] - s.env.footprint_m
    }),
    ("route.east_m", |s| {
        s.env.extent_m[2] - s.pose.x_m - s.env.footprint_m
    }),
    ("route.north_m", |s| {
        s.env.extent_m[3] - s.pose.y_m - s.env.footprint_m
    }),
    ("route.segment_m", |s| s.segment_m),
    ("route.turn_deg", |s| s.turn_rad.to_degrees()),
    ("plan.tilt_deg", |s| s.asked.tilt_deg),
    ("plan.slip", |s| s.asked.slip),
    ("plan.speed_mps", |s| s.asked.speed_mps),
    ("plan.timeout_ratio", |s| s.timeout_s / s.expected_s),
    ("localization.position_sigma_m", |s| s.sigma_m()),
    ("localization.heading_sigma_deg", |s| s.heading_sigma_deg()),
    ("localization.corridor_less_sigma_m", |s| {
        s.corridor_m - s.sigma_m()
    }),
    ("localization.keep_out_less_sigma_m", |s| {
        s.keep_out_m - s.sigma_m()
    }),
    ("localization.edge_less_sigma_m", |s| {
        edge_m(s, [s.pose.x_m, s.pose.y_m]) - s.env.footprint_m - s.sigma_m()
    }),
    ("localization.since_fix_m", |s| s.since_fix_m),
    ("localization.error_m", |s| {
        (s.pose.x_m - s.believed.x_m).hypot(s.pose.y_m - s.believed.y_m)
    }),
    ("power.drive_w", |s| s.power.drive_w),
    ("power.heater_w", |s| s.power.heater_w),
    ("power.total_w", |s| s.power.total_w),
    ("power.peak_w", |s| s.power.peak_w),
    ("power.net_w", |s| s.power.source_w - s.power.total_w),
    ("power.bus_a", |s| s.power.total_w / s.env.plate.bus_v),
    ("power.bus_v", |s| s.power.bus_v(&s.env.plate)),
    ("battery.charge", |s| s.power.charge),
    ("battery.current_a", |s| s.power.battery_a(&s.env.plate)),
    ("battery.energy_used_wh", |s| s.power.energy_wh),
    ("battery.charge_at_goal", |s| {
        s.power.charge + charge_per_m(s) * s.left_m
    }),
    ("battery.charge_at_start_again", |s| {
        s.power.charge + charge_per_m(s) * s.place.distance_m
    }),
    ("thermal.ambient_c", |s| {
        s.env.environment.ambient_c(s.place.time_s)
    }),
    ("thermal.electronics_c", |s| s.power.electronics_c),
    ("thermal.battery_c", |s| s.power.battery_c),
    ("thermal.motor_most_c", |s| {
        most(s, |w| w.motor.temperature_c)
    }),
    ("thermal.motor_least_c", |s| {
        least(s, |w| w.motor.temperature_c)
    }),
    ("thermal.motor_spread_k", |s| {
        most(s, |w| w.motor.temperature_c) - least(s, |w| w.motor.temperature_c)
    }),
    ("sky.sun_elevation_deg", |s| {
        s.env.environment.sun_elevation_deg(s.place.time_s)
    }),
    ("sky.opacity", |s| s.env.environment.opacity),
    ("timer.segment_s", |s| s.segment_s),
    ("timer.segment_share", |s| s.segment_s / s.timeout_s),
    ("timer.drive_s", |s| s.place.time_s),
    ("timer.drive_share", |s| s.place.time_s / s.env.allowed_s),
    ("timer.turning_s", |s| s.turning_s),
    ("timer.sol_share", |s| {
        s.place.time_s / s.env.environment.sol_s
    }),
    ("command.speed_mps", |s| s.command.speed_mps),
    ("command.turn_dps", |s| s.command.turn_radps.to_degrees()),
    ("command.speed_step_mps", |s| {
        s.command.speed_mps - s.command_before.speed_mps
    }),
    ("command.turn_step_dps", |s| {
        (s.command.turn_radps - s.command_before.turn_radps).to_degrees()
    }),
    ("command.mode", |s| s.mode),
    ("command.waypoints", |s| s.env.waypoints as f64),
    ("command.turns", |s| s.turns),
    ("command.turned_deg", |s| s.turned_rad.to_degrees()),
];

fn half_track_m(s: &Sample) -> f64 {
    let p = &s.env.rover.suspension;
    (p.front_hub_m[1] + p.middle_hub_m[1] + p.rear_hub_m[1]) / 3.0
}

/// Charge gained (or lost, negative) per metre so far; at the start as on level ground.
fn charge_per_m(s: &Sample) -> f64 {
    if s.place.distance_m < 1.0 {
        return 0.0;
    }
    ((s.power.charge - s.env.plate.charge_start) / s.place.distance_m).min(0.0)
}

/// The names of all quantities.
pub struct Catalogue {
    index: BTreeMap<String, usize>,
}

impl Catalogue {
    /// All of them, in the order that [`fill`] writes.
    #[must_use]
    pub fn all() -> Self {
        let names = names();
        Self {
            index: names.into_iter().enumerate().map(|(i, n)| (n, i)).collect(),
        }
    }

    /// Number of quantities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Where a quantity stands among the values.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }
}

fn names() -> Vec<String> {
    let mut out: Vec<String> = WHOLE.iter().map(|(n, _)| (*n).to_string()).collect();
    for joint in JOINTS {
        out.extend(PER_JOINT.iter().map(|(n, _)| format!("joint.{joint}.{n}")));
    }
    for row in 1..=BELLY_POINTS[0] {
        for column in 1..=BELLY_POINTS[1] {
            out.push(format!("belly.r{row}c{column}.clearance_m"));
        }
    }
    for (i, wheel) in WHEELS.iter().enumerate() {
        out.extend(PER_WHEEL.iter().map(|(n, _)| format!("wheel.{wheel}.{n}")));
        if CORNERS.contains(&i) {
            out.extend(PER_CORNER.iter().map(|(n, _)| format!("wheel.{wheel}.{n}")));
        }
    }
    out
}

/// Works out every quantity of a moment.
pub fn fill(s: &Sample, values: &mut Vec<f64>) {
    values.clear();
    values.extend(WHOLE.iter().map(|(_, f)| f(s)));
    for joint in 0..JOINTS.len() {
        values.extend(PER_JOINT.iter().map(|(_, f)| f(s, joint)));
    }
    values.extend_from_slice(&s.belly_m);
    for wheel in 0..WHEELS.len() {
        values.extend(PER_WHEEL.iter().map(|(_, f)| f(s, wheel)));
        if CORNERS.contains(&wheel) {
            values.extend(PER_CORNER.iter().map(|(_, f)| f(s, wheel)));
        }
    }
}
