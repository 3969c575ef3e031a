//! Every channel: name, unit, the formula in words, and the limits it is compared with.

use super::{channels::Value, sample::Sample};

/// A channel of the whole rover.
pub struct BodyChannel {
    /// Name.
    pub name: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// Where the value comes from.
    pub formula: &'static str,
    /// The value with its limits.
    pub value: fn(&Sample) -> Value,
}

/// A channel that each wheel has; the name is `wheel.<lf|lm|lr|rf|rm|rr>.<name>`.
pub struct WheelChannel {
    /// Last part of the name.
    pub name: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// Where the value comes from.
    pub formula: &'static str,
    /// The value of wheel `i` with its limits.
    pub value: fn(&Sample, usize) -> Value,
}

/// Names of the wheels, in the order of `Rover::hubs_m`.
pub const WHEELS: [&str; 6] = ["lf", "lm", "lr", "rf", "rm", "rr"];

/// Rounding of a limit that is reached exactly.
const ROUNDING: f64 = 1.0 + 1e-9;

fn within(value: f64, lower: f64, upper: f64) -> Value {
    Value {
        value,
        lower: Some(lower),
        upper: Some(upper),
    }
}

fn at_most(value: f64, upper: f64) -> Value {
    Value {
        value,
        lower: None,
        upper: Some(upper),
    }
}

fn at_least(value: f64, lower: f64) -> Value {
    Value {
        value,
        lower: Some(lower),
        upper: None,
    }
}

fn plus_minus(value: f64, limit: f64) -> Value {
    within(value, -limit, limit)
}

/// Greatest turning speed of the wheels, deg/s: what climbs over the ground cannot swing faster than it rolls.
fn wheel_dps(s: &Sample) -> f64 {
    let rover = s.env.rover;
    (rover.limits.wheel_speed_mps / rover.wheel.radius_m).to_degrees()
}

macro_rules! table {
    ($vis:vis $id:ident: $kind:ident = $( $name:literal [$unit:literal] $formula:literal => $value:expr; )*) => {
        /// The table.
        $vis const $id: &[$kind] = &[$($kind { name: $name, unit: $unit, formula: $formula, value: $value }),*];
    };
}

table! { pub PER_WHEEL: WheelChannel =
    "contact_m" ["m"] "height of the wheel's lowest point from settling; within the site's heights" =>
        |s, i| within(s.settled.wheel_m[i], s.env.height_m[0] - 1.0, s.env.height_m[1] + 1.0);
    "drop_m" ["m"] "span of the ground's height under the wheel" =>
        |s, i| at_most(s.settled.wheel_drop_m[i], s.env.rover.limits.wheel_drop_m);
    "rim_mps" ["m/s"] "rim speed from the inverse kinematics of the commanded velocity" =>
        |s, i| plus_minus(s.motion.rim_mps[i], s.limits.speed_mps.min(s.env.rover.limits.wheel_speed_mps) * ROUNDING);
    "steer_rad" ["rad"] "steering angle from the inverse kinematics" =>
        |s, i| plus_minus(s.motion.steer_rad[i], std::f64::consts::FRAC_PI_2 * ROUNDING);
    "slip" ["1"] "rover's slip model at the body's pitch, for wheels that turn" =>
        |s, i| at_most(if s.motion.rim_mps[i] == 0.0 { 0.0 } else { s.slip }, s.limits.slip);
    "load_n" ["N"] "weight shared by roll, rocker and bogie levers; 5 % to 300 % of the static load" =>
        |s, i| within(s.wheels[i].load_n, 0.05 * s.env.plate.static_load_n, 3.0 * s.env.plate.static_load_n);
    "sinkage_m" ["m"] "Bekker's sinkage of a rigid wheel; at most a quarter of the radius" =>
        |s, i| at_most(s.wheels[i].sinkage_m, 0.25 * s.env.rover.wheel.radius_m);
    "pressure_pa" ["Pa"] "load over the contact patch b·√(2rz)" => |s, i| at_most(s.wheels[i].pressure_pa, 200e3);
    "pull_n" ["N"] "load times the grade's tangent plus soil compaction; at most the static load" =>
        |s, i| plus_minus(s.wheels[i].pull_n, s.env.plate.static_load_n);
    "thrust_share" ["1"] "pull over the soil's greatest thrust A·c + W·tan φ" => |s, i| at_most(s.wheels[i].thrust_share, 1.0);
    "torque_nm" ["N.m"] "pull times radius; the drive's continuous rating" =>
        |s, i| plus_minus(s.wheels[i].torque_nm, s.env.plate.torque_nm);
    "power_w" ["W"] "torque times wheel speed over efficiency" => |s, i| within(s.wheels[i].power_w, 0.0, s.env.plate.power_w);
    "current_a" ["A"] "power over bus voltage" => |s, i| within(s.wheels[i].current_a, 0.0, s.env.plate.current_a);
    "motor_c" ["degC"] "first-order warming by the drive's loss" =>
        |s, i| within(s.wheels[i].motor_c, s.env.plate.motor_c[0], s.env.plate.motor_c[1]);
    "energy_wh" ["W.h"] "power summed over time; at most a tenth of the battery" =>
        |s, i| within(s.wheels[i].energy_wh, 0.0, 0.1 * s.env.plate.battery_wh);
    "turns" ["rev"] "rim way over circumference; at most three times the planned way" =>
        |s, i| within(s.wheels[i].turned_rad / std::f64::consts::TAU, 0.0,
            3.0 * (s.env.planned_m + 20.0) / (std::f64::consts::TAU * s.env.rover.wheel.radius_m));
    "steer_step_rad" ["rad"] "change of the steering angle since the last sample" =>
        |s, i| plus_minus(s.motion.steer_rad[i] - s.motion_before.steer_rad[i], std::f64::consts::PI * ROUNDING);
}

table! { pub WHOLE: BodyChannel =
    "attitude.tilt_deg" ["deg"] "angle between body up and vertical, from settling" =>
        |s| at_most(s.settled.tilt_rad.to_degrees(), s.limits.tilt_deg);
    "attitude.roll_deg" ["deg"] "from settling; right side down positive" => |s| plus_minus(s.settled.roll_rad.to_degrees(), s.limits.tilt_deg);
    "attitude.pitch_deg" ["deg"] "from settling; nose down positive" => |s| plus_minus(s.settled.pitch_rad.to_degrees(), s.limits.tilt_deg);
    "attitude.yaw_deg" ["deg"] "heading, counter-clockwise from east" => |s| plus_minus(s.pose.yaw_rad.to_degrees(), 180.0 * ROUNDING);
    "rate.roll_dps" ["deg/s"] "change of roll; at most half the wheels' greatest turning speed" => |s| plus_minus(s.rate_dps(s.settled.roll_rad, s.before.roll_rad), 0.5 * wheel_dps(s));
    "rate.pitch_dps" ["deg/s"] "change of pitch; at most half the wheels' greatest turning speed" => |s| plus_minus(s.rate_dps(s.settled.pitch_rad, s.before.pitch_rad), 0.5 * wheel_dps(s));
    "rate.yaw_dps" ["deg/s"] "change of heading; the rover's greatest turn rate" =>
        |s| plus_minus(s.rate_dps(s.pose.yaw_rad, s.pose_before.yaw_rad), s.env.rover.drive.turn_rate_radps.to_degrees() * (1.0 + 1e-6));
    "suspension.differential_deg" ["deg"] "half the difference of the rockers' angles, from settling" =>
        |s| plus_minus(s.settled.differential_rad.to_degrees(), s.env.rover.limits.differential_deg);
    "suspension.bogie_left_deg" ["deg"] "bogie against rocker, from settling" =>
        |s| plus_minus(s.settled.bogie_rad[0].to_degrees(), s.env.rover.limits.bogie_deg);
    "suspension.bogie_right_deg" ["deg"] "bogie against rocker, from settling" =>
        |s| plus_minus(s.settled.bogie_rad[1].to_degrees(), s.env.rover.limits.bogie_deg);
    "suspension.differential_rate_dps" ["deg/s"] "change of the differential; at most half the wheels' greatest turning speed" =>
        |s| plus_minus(s.rate_dps(s.settled.differential_rad, s.before.differential_rad), 0.5 * wheel_dps(s));
    "suspension.bogie_left_rate_dps" ["deg/s"] "change of the bogie; at most the wheels' greatest turning speed" =>
        |s| plus_minus(s.rate_dps(s.settled.bogie_rad[0], s.before.bogie_rad[0]), wheel_dps(s));
    "suspension.bogie_right_rate_dps" ["deg/s"] "change of the bogie; at most the wheels' greatest turning speed" =>
        |s| plus_minus(s.rate_dps(s.settled.bogie_rad[1], s.before.bogie_rad[1]), wheel_dps(s));
    "belly.clearance_m" ["m"] "least distance from belly pan to ground, from settling" =>
        |s| at_least(s.settled.clearance_m, s.env.rover.limits.clearance_m);
    "settling.converged" ["1"] "1 when the search for the wheels' contacts converged" =>
        |s| within(f64::from(u8::from(s.settled.converged)), 0.0, 1.0);
    "position.x_m" ["m"] "east in map; the whole footprint on the site" =>
        |s| within(s.pose.x_m, s.env.extent_m[0] + s.env.footprint_m, s.env.extent_m[2] - s.env.footprint_m);
    "position.y_m" ["m"] "north in map; the whole footprint on the site" =>
        |s| within(s.pose.y_m, s.env.extent_m[1] + s.env.footprint_m, s.env.extent_m[3] - s.env.footprint_m);
    "position.z_m" ["m"] "height of base_link, from settling" => |s| within(s.settled.z_m, s.env.height_m[0] - 1.0, s.env.height_m[1] + 1.0);
    "motion.command_mps" ["m/s"] "commanded speed" => |s| plus_minus(s.command.speed_mps, s.limits.speed_mps * ROUNDING);
    "motion.command_dps" ["deg/s"] "commanded turn rate" =>
        |s| plus_minus(s.command.turn_radps.to_degrees(), s.env.rover.drive.turn_rate_radps.to_degrees() * ROUNDING);
    "motion.speed_mps" ["m/s"] "commanded speed less slip" =>
        |s| plus_minus(s.command.speed_mps * (1.0 - s.slip), s.env.rover.limits.wheel_speed_mps * ROUNDING);
    "motion.climb_mps" ["m/s"] "change of height; at most the greatest rim speed" =>
        |s| plus_minus((s.settled.z_m - s.before.z_m) / s.dt_s, s.env.rover.limits.wheel_speed_mps.max(0.02));
    "motion.slip" ["1"] "rover's slip model at the body's pitch" => |s| at_most(s.slip, s.limits.slip);
    "motion.lateral_m_per_m" ["1"] "sideways creep by roll, per metre driven" => |s| plus_minus(s.lateral, 0.2);
    "route.corridor_margin_m" ["m"] "distance to the corridor's edge, negative outside" => |s| at_least(s.corridor_m, 0.0);
    "route.keep_out_m" ["m"] "distance to the nearest keep-out, negative inside" => |s| at_least(s.keep_out_m, 0.0);
    "route.cross_track_m" ["m"] "distance from the line between the waypoints; at most 1 m" => |s| at_most(s.cross_track_m, 1.0);
    "route.edge_m" ["m"] "distance to the site's edge; at least the footprint" => |s| {
        let [x0, y0, x1, y1] = s.env.extent_m;
        at_least((s.pose.x_m - x0).min(x1 - s.pose.x_m).min(s.pose.y_m - y0).min(y1 - s.pose.y_m), s.env.footprint_m)
    };
    "route.waypoint" ["1"] "index of the waypoint driven to" => |s| within(s.place.waypoint as f64, 0.0, s.env.waypoints as f64 - 1.0);
    "route.segment_left_m" ["m"] "way left to the waypoint" => |s| within(s.segment_left_m, -0.01, s.env.planned_m + 0.01);
    "route.left_m" ["m"] "way left to the goal" => |s| within(s.left_m, -0.01, s.env.planned_m + 0.01);
    "route.driven_m" ["m"] "way since the start; at most 1 % over the plan" => |s| within(s.place.distance_m, 0.0, 1.01 * s.env.planned_m + 0.1);
    "route.wheel_way_m" ["m"] "way of the wheels, slip included; at most 2.5 times the plan" =>
        |s| within(s.wheel_way_m, 0.0, 2.5 * s.env.planned_m + 0.1);
    "timer.segment_s" ["s"] "time since the segment began; its time-out" => |s| within(s.segment_s, 0.0, s.timeout_s);
    "timer.drive_s" ["s"] "time since the start; the sum of the time-outs" => |s| within(s.place.time_s, 0.0, s.env.allowed_s);
    "power.drive_w" ["W"] "sum of the drives" => |s| within(s.drive_w(), 0.0, 6.0 * s.env.plate.power_w);
    "power.total_w" ["W"] "drives and everything else" => |s| within(s.total_w(), 0.0, 6.0 * s.env.plate.power_w + s.env.plate.housekeeping_w);
    "power.bus_a" ["A"] "total power over bus voltage" =>
        |s| within(s.total_w() / s.env.plate.bus_v, 0.0, 6.0 * s.env.plate.current_a + s.env.plate.housekeeping_w / s.env.plate.bus_v);
    "power.bus_v" ["V"] "0.92 to 1.03 of nominal with the charge; within 10 %" => |s| {
        let nominal = s.env.plate.bus_v;
        within(nominal * (0.92 + 0.11 * s.charge), 0.9 * nominal, 1.1 * nominal)
    };
    "power.net_w" ["W"] "source less total; a battery gives at most its capacity in one hour" =>
        |s| at_least(s.env.plate.source_w - s.total_w(), -s.env.plate.battery_wh);
    "battery.charge" ["1"] "charge at the start plus the net energy over the capacity" => |s| within(s.charge, s.env.plate.charge_min, 1.0);
    "battery.energy_used_wh" ["W.h"] "total power summed over time; at most twice the battery" =>
        |s| within(s.energy_wh, 0.0, 2.0 * s.env.plate.battery_wh);
    "load.left_share" ["1"] "share of the weight on the left wheels; 15 % to 85 %" => |s| within(s.left_share(), 0.15, 0.85);
    "load.front_share" ["1"] "share of the weight on the front wheels; 10 % to 80 %" => |s| {
        let weight_n = s.env.rover.mass_kg * s.env.body.gravity_mps2;
        within((s.wheels[0].load_n + s.wheels[3].load_n) / weight_n, 0.1, 0.8)
    };
    "load.stability_deg" ["deg"] "tilt at which the rover would fall over sideways, less tilt; at least 10 deg" => |s| {
        let half_track_m = s.env.rover.suspension.rear_hub_m[1];
        at_least((half_track_m / s.env.plate.mass_height_m).atan().to_degrees() - s.settled.tilt_rad.to_degrees(), 10.0)
    };
}

/// Number of channels of a drive.
#[must_use]
pub fn channel_count() -> usize {
    WHOLE.len() + PER_WHEEL.len() * WHEELS.len()
}
