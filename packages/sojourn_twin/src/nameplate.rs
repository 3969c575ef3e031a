//! Nameplate figures that a rover file does not carry: motors, battery, heat, soil strength.
//!
//! They are scaled from the rover's mass and its body's gravity so that every rover has them; at Perseverance's mass
//! they give its published class of figures (110 W source, 2.4 kWh battery, 28 V bus). They decide whether a *modelled*
//! current or temperature stays within a *modelled* rating; a team with a data sheet replaces this file.

use sojourn_core::{body::Body, rover::Rover};

/// Soil for sinkage and traction: Bekker-Wong and Mohr-Coulomb, the loose soil of Chrono's Curiosity demo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Soil {
    /// Cohesive modulus, N/m^(n+1).
    pub k_c: f64,
    /// Frictional modulus, N/m^(n+2).
    pub k_phi: f64,
    /// Exponent of sinkage.
    pub n: f64,
    /// Cohesion, Pa.
    pub cohesion_pa: f64,
    /// Angle of internal friction, radians.
    pub friction_rad: f64,
}

/// The soil all plans are verified on.
pub const SOIL: Soil = Soil {
    k_c: 1.4e3,
    k_phi: 0.82e6,
    n: 1.0,
    cohesion_pa: 170.0,
    friction_rad: 0.610_865,
};

impl Soil {
    /// Sinkage of a rigid wheel under a load, metres (Bekker): `z = (3W / ((3−n)·(k_c + b·k_φ)·√(2r)))^(2/(2n+1))`.
    #[must_use]
    pub fn sinkage_m(&self, load_n: f64, radius_m: f64, width_m: f64) -> f64 {
        let stiffness =
            (3.0 - self.n) * (self.k_c + width_m * self.k_phi) * (2.0 * radius_m).sqrt();
        (3.0 * load_n.max(0.0) / stiffness).powf(2.0 / (2.0 * self.n + 1.0))
    }

    /// Resistance against compacting the soil at a sinkage, newtons: `(k_c + b·k_φ)·z^(n+1) / (n+1)`.
    #[must_use]
    pub fn compaction_n(&self, sinkage_m: f64, width_m: f64) -> f64 {
        (self.k_c + width_m * self.k_phi) * sinkage_m.powf(self.n + 1.0) / (self.n + 1.0)
    }

    /// Greatest thrust of a wheel, newtons: `A·c + W·tan φ`.
    #[must_use]
    pub fn thrust_n(&self, load_n: f64, area_m2: f64) -> f64 {
        area_m2 * self.cohesion_pa + load_n * self.friction_rad.tan()
    }
}

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
    /// Power of the source, watts.
    pub source_w: f64,
    /// Power of everything but the drives, watts.
    pub housekeeping_w: f64,
    /// Surroundings, °C.
    pub ambient_c: f64,
    /// Range of a drive's temperature, °C.
    pub motor_c: [f64; 2],
    /// Rise of a drive's temperature per watt of loss, K/W.
    pub motor_k_per_w: f64,
    /// Time constant of a drive's temperature, seconds.
    pub motor_tau_s: f64,
    /// Height of the centre of mass over `base_link`, metres.
    pub mass_height_m: f64,
}

impl Nameplate {
    /// Scales the figures to a rover on a body.
    #[must_use]
    pub fn of(rover: &Rover, body: &Body) -> Self {
        let static_load_n = rover.mass_kg * body.gravity_mps2 / 6.0;
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
            source_w: 0.107 * rover.mass_kg,
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
            mass_height_m: rover.suspension.rocker_pivot_m[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mars, perseverance};
    use proptest::prelude::*;

    #[test]
    fn perseverance_gets_its_class_of_figures() {
        let n = Nameplate::of(&perseverance(), &mars());
        assert!((n.source_w - 110.0).abs() < 2.0 && (n.battery_wh - 2400.0).abs() < 30.0);
        assert!((n.static_load_n - 635.6).abs() < 1.0);
        let z = SOIL.sinkage_m(n.static_load_n, 0.2625, 0.4);
        assert!((0.005..0.04).contains(&z), "{z}");
    }

    proptest! {
        #[test]
        fn more_load_sinks_deeper_and_resists_more(a in 1.0f64..2000.0, more in 1.0f64..500.0) {
            let (z1, z2) = (SOIL.sinkage_m(a, 0.26, 0.4), SOIL.sinkage_m(a + more, 0.26, 0.4));
            prop_assert!(z2 > z1 && SOIL.compaction_n(z2, 0.4) > SOIL.compaction_n(z1, 0.4));
        }
    }
}
