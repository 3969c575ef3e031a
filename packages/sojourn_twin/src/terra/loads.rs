//! Which wheel carries how much of the rover.

use sojourn_core::{rover::Rover, settle::Settled, suspension::SuspensionKind};

/// Vertical forces under the six wheels, newtons, in the order of [`Rover::hubs_m`].
///
/// Rocker, bogie and differential are taken as they stand, each joint without friction. What a wheel pushes along the
/// slope is taken in proportion to its load, so that every wheel's force is vertical as the weight is; then the levers
/// alone share it. The body's moment about the rocker axis is halved by the differential. A negative force means that the
/// wheel would lift off.
/// Fixed axles are loaded as if on rockers: which wheel hangs in the air is not told apart.
#[must_use]
pub fn wheel_loads_n(rover: &Rover, gravity_mps2: f64, s: &Settled) -> [f64; 6] {
    let p = &rover.suspension;
    let center_m = rover.center_m();
    let six = p.kind == SuspensionKind::RockerBogie;
    let weight_n = rover.mass_kg * gravity_mps2;
    let half_track_m = (p.front_hub_m[1] + p.middle_hub_m[1] + p.rear_hub_m[1]) / 3.0;
    // Roll is positive with the right side down.
    let shift = (center_m[2] * s.roll_rad.tan() - center_m[1]) / (2.0 * half_track_m);
    // horizontal distance from a to b after turning nose-up by an angle
    let lever =
        |a: [f64; 3], b: [f64; 3], up: f64| (b[0] - a[0]) * up.cos() - (b[2] - a[2]) * up.sin();
    let nose_up = -s.pitch_rad;
    let ahead_m = lever(p.rocker_pivot_m, center_m, nose_up);
    let mut loads = [0.0; 6];
    for side in 0..2 {
        let sign = if side == 0 { 1.0 } else { -1.0 };
        let side_n = weight_n * (0.5 - sign * shift);
        let rocker_up = nose_up + sign * s.differential_rad;
        let bogie_up = rocker_up + s.bogie_rad[side];
        let front = lever(p.rocker_pivot_m, p.front_hub_m, rocker_up);
        // With four wheels the rear hub takes the bogie's place.
        let behind = if six { p.bogie_pivot_m } else { p.rear_hub_m };
        let bogie = lever(p.rocker_pivot_m, behind, rocker_up);
        let middle = lever(p.bogie_pivot_m, p.middle_hub_m, bogie_up);
        let rear = lever(p.bogie_pivot_m, p.rear_hub_m, bogie_up);
        let front_n = (0.5 * weight_n * ahead_m - side_n * bogie) / (front - bogie);
        let bogie_n = side_n - front_n;
        let middle_n = if six {
            bogie_n * -rear / (middle - rear)
        } else {
            0.0
        };
        loads[3 * side] = front_n;
        loads[3 * side + 1] = middle_n;
        loads[3 * side + 2] = bogie_n - middle_n;
    }
    loads
}
