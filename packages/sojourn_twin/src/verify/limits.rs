//! The numbers behind the names that limits use.

use super::{dictionary::LIMIT_SCOPE, sample::Env};
use sojourn_core::plan::{Waypoint, WaypointLimits};

/// Values for [`LIMIT_SCOPE`], in its order, on the way to a waypoint.
#[must_use]
pub fn slots(env: &Env, waypoint: &Waypoint, limit: &WaypointLimits) -> Vec<f64> {
    LIMIT_SCOPE
        .names
        .iter()
        .map(|name| value(name, env, waypoint, limit))
        .collect()
}

fn value(name: &str, env: &Env, waypoint: &Waypoint, limit: &WaypointLimits) -> f64 {
    let (rover, plate, mission) = (env.rover, &env.plate, &env.mission);
    match name {
        "rover.limits.tilt_deg" => rover.limits.tilt_deg,
        "rover.limits.differential_deg" => rover.limits.differential_deg,
        "rover.limits.bogie_deg" => rover.limits.bogie_deg,
        "rover.limits.clearance_m" => rover.limits.clearance_m,
        "rover.limits.wheel_drop_m" => rover.limits.wheel_drop_m,
        "rover.limits.slip" => rover.limits.slip,
        "rover.limits.wheel_speed_mps" => rover.limits.wheel_speed_mps,
        "rover.mass_kg" => rover.mass_kg,
        "rover.wheel.radius_m" => rover.wheel.radius_m,
        "rover.wheel.width_m" => rover.wheel.width_m,
        "rover.drive.cruise_mps" => rover.drive.cruise_mps,
        "rover.drive.turn_rate_dps" => rover.drive.turn_rate_radps.to_degrees(),
        "rover.belly.height_m" => rover.belly.height_m,
        "rover.footprint_m" => env.footprint_m,
        "rover.weight_n" => rover.mass_kg * env.body.gravity_mps2,
        "limit.tilt_deg" => limit.tilt_deg,
        "limit.slip" => limit.slip,
        "limit.speed_mps" => limit.speed_mps,
        "waypoint.timeout_s" => waypoint.timeout_s,
        "waypoint.tolerance_m" => waypoint.tolerance_m,
        "plan.distance_m" => env.planned_m,
        "plan.allowed_s" => env.allowed_s,
        "plan.waypoints" => env.waypoints as f64,
        "plate.static_load_n" => plate.static_load_n,
        "plate.torque_nm" => plate.torque_nm,
        "plate.current_a" => plate.current_a,
        "plate.power_w" => plate.power_w,
        "plate.bus_v" => plate.bus_v,
        "plate.battery_wh" => plate.battery_wh,
        "plate.charge_min" => plate.charge_min,
        "plate.source_w" => plate.source.most_w(),
        "plate.housekeeping_w" => plate.housekeeping_w,
        "plate.motor_min_c" => plate.motor_c[0],
        "plate.motor_max_c" => plate.motor_c[1],
        "mission.segment_max_m" => mission.segment_max_m,
        "mission.sol_s" => env.environment.sol_s,
        "mission.drive_s" => mission.drive_s,
        "mission.retreat_charge" => mission.retreat_charge,
        // The greatest turning speed of the wheels: what climbs over the ground cannot swing faster than it rolls.
        "wheel_dps" => (rover.limits.wheel_speed_mps / rover.wheel.radius_m).to_degrees(),
        // A name of the scope without a line here; not-a-number makes the limit an error.
        _ => f64::NAN,
    }
}
