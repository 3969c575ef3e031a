//! Nameplate figures that a rover file does not carry: motors, battery, heat.
//!
//! They are scaled from the rover's mass and its body's gravity so that every rover has them; at Perseverance's mass
//! they give its published class of figures (110 W source, 2.4 kWh battery, 28 V bus). They decide whether a *modelled*
//! current or temperature stays within a *modelled* rating; what `config/power/<rover>.yaml` says goes before.

use crate::power::{PowerFile, Source};
use sojourn_core::{body::Body, rover::Rover};

/// Ratings of motors, battery and heat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nameplate {
    /// Static load of one wheel on level ground, newtons.
    pub static_load_n: f64,
    /// Continuous torque of a drive, N·m: 0.8 of static load times radius.
    pub torque_nm: f64,
    /// Continuous current of a drive, amperes, at the bus voltage.
    pub current_a: f64,
    /// Electrical power of a drive at that torque and the rover's greatest rim speed, watts.
    pub power_w: f64,
    /// Share of a drive's electrical power that turns the wheel.
    pub efficiency: f64,
    /// Bus voltage, volts.
    pub bus_v: f64,
    /// Battery's capacity, watt-hours.
    pub battery_wh: f64,
    /// Charge at the start, 0 to 1.
    pub charge_start: f64,
    /// Least charge allowed, 0 to 1.
    pub charge_min: f64,
    /// The source.
    pub source: Source,
    /// What a drive takes that turns without load, watts.
    pub idle_w: f64,
    /// Electrical power of a steering motor that turns a standing wheel in its place, watts.
    pub steer_w: f64,
    /// How fast it turns it, rad/s.
    pub steer_radps: f64,
    /// Power of everything but drives and steering, watts.
    pub housekeeping_w: f64,
    /// Surroundings, °C.
    pub ambient_c: f64,
    /// Range of a drive's temperature, °C.
    pub motor_c: [f64; 2],
    /// Rise of a drive's temperature per watt of loss, K/W.
    pub motor_k_per_w: f64,
    /// Time constant of a drive's temperature, seconds.
    pub motor_tau_s: f64,
    /// Temperature that the drives' heaters keep, °C.
    pub heater_c: f64,
    /// Power of those heaters per kelvin below it, W/K.
    pub heater_w_per_k: f64,
    /// Rise of the electronics' box over the surroundings without heaters, K.
    pub box_rise_k: f64,
    /// Temperature that the box's heaters keep, °C.
    pub box_heater_c: f64,
    /// Temperature of electronics and battery at the start, °C.
    pub box_start_c: f64,
    /// Time constant of the box's temperature, seconds.
    pub box_tau_s: f64,
    /// Height of the centre of mass over `base_link`, metres.
    pub mass_height_m: f64,
}

/// How fast wheels are steered, rad/s: an estimate, a quarter turn in a quarter of a minute.
const STEER_RADPS: f64 = 0.1;
/// Friction of a wheel that is turned about its vertical axis on the spot: an estimate between soil and rock.
const STEER_FRICTION: f64 = 0.7;

/// Torque that turns a standing wheel in its place, N·m: friction on a strip across the tread, whose mean lever is a
/// quarter of the wheel's width.
fn steer_nm(static_load_n: f64, rover: &Rover) -> f64 {
    STEER_FRICTION * static_load_n * 0.25 * rover.wheel.width_m
}

impl Nameplate {
    /// Scales the figures to a rover on a body.
    #[must_use]
    pub fn of(rover: &Rover, body: &Body) -> Self {
        let static_load_n = rover.mass_kg * body.gravity_mps2 / rover.wheel_count() as f64;
        let torque_nm = 0.8 * static_load_n * rover.wheel.radius_m;
        let (efficiency, bus_v) = (0.5, 28.0);
        let power_w = torque_nm * rover.limits.wheel_speed_mps / rover.wheel.radius_m / efficiency;
        Self {
            static_load_n,
            torque_nm,
            current_a: power_w / bus_v,
            power_w,
            efficiency,
            bus_v,
            battery_wh: 2.35 * rover.mass_kg,
            charge_start: 0.9,
            charge_min: 0.3,
            source: Source::Constant {
                power_w: 0.107 * rover.mass_kg,
            },
            idle_w: 0.0,
            steer_w: steer_nm(static_load_n, rover) * STEER_RADPS / efficiency,
            steer_radps: STEER_RADPS,
            housekeeping_w: 0.146 * rover.mass_kg,
            // Thin air means a cold afternoon on Mars or a surface without any; a yard on Earth is mild.
            ambient_c: if body.atmosphere_pa < 10_000.0 {
                -40.0
            } else {
                20.0
            },
            motor_c: [-55.0, 90.0],
            // 40 K at the rated loss
            motor_k_per_w: 40.0 / (power_w * (1.0 - efficiency)),
            motor_tau_s: 900.0,
            heater_c: -40.0,
            heater_w_per_k: 0.0004 * rover.mass_kg,
            box_rise_k: 50.0,
            box_heater_c: -10.0,
            box_start_c: 10.0,
            box_tau_s: 18_000.0,
            mass_height_m: rover.center_m()[2],
        }
    }

    /// Scaled figures, or a file's where there is one.
    #[must_use]
    pub fn of_with(rover: &Rover, body: &Body, file: Option<&PowerFile>) -> Self {
        let scaled = Self::of(rover, body);
        match file {
            Some(file) => scaled.with(file),
            None => scaled,
        }
    }

    /// With what a file says in place of what is scaled. Torque and static load stay those of the rover's mass.
    #[must_use]
    pub fn with(self, file: &PowerFile) -> Self {
        let power_w = self.power_w * self.efficiency / file.drive_efficiency + file.drive_idle_w;
        Self {
            bus_v: file.bus_v,
            efficiency: file.drive_efficiency,
            steer_w: self.steer_w * self.efficiency / file.drive_efficiency,
            power_w,
            current_a: power_w / file.bus_v,
            idle_w: file.drive_idle_w,
            housekeeping_w: file.housekeeping_w,
            source: file.source,
            battery_wh: file.battery_wh,
            charge_start: file.charge_start,
            charge_min: file.charge_min,
            motor_c: file.motor_c,
            motor_k_per_w: file.motor_k_per_w,
            motor_tau_s: file.motor_tau_s,
            box_rise_k: file.box_k_per_w * file.housekeeping_w,
            box_tau_s: file.box_tau_s,
            box_heater_c: file.box_heater_c,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mars, perseverance};

    #[test]
    fn perseverance_gets_its_class_of_figures() {
        let n = Nameplate::of(&perseverance(), &mars());
        assert!((n.source.most_w() - 110.0).abs() < 2.0 && (n.battery_wh - 2400.0).abs() < 30.0);
        assert!((n.static_load_n - 635.6).abs() < 1.0);
    }
}
