//! What drives, battery and electronics take, hold and warm up to: the one model that the verification and the simulator
//! share.
//!
//! A drive takes its shaft's power over its efficiency, and something for turning at all; what does not turn the wheel
//! warms it. The battery carries what the source does not give. The electronics' box follows the surroundings.

use crate::{day::Environment, nameplate::Nameplate};
use serde::{Deserialize, Serialize};

/// The sun of the images moves in steps of this, seconds: half a degree on Mars.
pub const SUN_EVERY_S: f64 = 120.0;

/// One drive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Motor {
    /// Electrical power while it turns, watts.
    pub power_w: f64,
    /// Current from the bus, amperes.
    pub current_a: f64,
    /// Power lost as heat in the drive, watts.
    pub loss_w: f64,
    /// Temperature, °C.
    pub temperature_c: f64,
    /// Electrical energy used since the start, watt-hours.
    pub energy_wh: f64,
}

impl Motor {
    /// A drive at rest, as warm as its surroundings or its heaters keep it.
    #[must_use]
    pub fn cold(plate: &Nameplate, ambient_c: f64) -> Self {
        Self {
            temperature_c: ambient_c.max(plate.heater_c),
            ..Self::default()
        }
    }

    /// The drive after a time in which it gave `shaft_w` (watts, not less than 0: gears block and give nothing back)
    /// for the share `duty` of that time; `turns` whether it turned at all.
    #[must_use]
    pub fn after(self, plate: &Nameplate, over: &Warming, shaft_w: f64, turns: bool) -> Self {
        let power_w = shaft_w / plate.efficiency + if turns { plate.idle_w } else { 0.0 };
        let loss_w = power_w - shaft_w;
        let settles_at_c = over.kept_c + over.duty * loss_w * plate.motor_k_per_w;
        Self {
            power_w,
            current_a: power_w / plate.bus_v,
            loss_w,
            temperature_c: self.temperature_c + (settles_at_c - self.temperature_c) * over.share,
            energy_wh: self.energy_wh + over.duty * power_w * over.dt_s / 3600.0,
        }
    }
}

/// A time over which drives warm, the same for all of a rover's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warming {
    /// What surroundings and heaters keep a standing drive at, °C.
    kept_c: f64,
    /// Share of the way to its final temperature that a drive goes.
    share: f64,
    duty: f64,
    dt_s: f64,
}

impl Warming {
    /// `dt_s` in surroundings of `ambient_c`; drives turn for the share `duty` of it.
    #[must_use]
    pub fn over(plate: &Nameplate, ambient_c: f64, duty: f64, dt_s: f64) -> Self {
        Self {
            kept_c: ambient_c.max(plate.heater_c),
            share: 1.0 - (-dt_s / plate.motor_tau_s).exp(),
            duty,
            dt_s,
        }
    }
}

/// The steering motors: wheels that are told to point elsewhere get there at the motors' own pace. Only what that costs is
/// modelled, not the time it takes: the rover drives on as if its wheels stood right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steers {
    at_rad: [f64; 6],
    /// Electrical power of all steering motors, mean of the last step, watts.
    pub power_w: f64,
}

impl Steers {
    /// `dt_s` later, with the wheels told to point to `wanted_rad`.
    #[must_use]
    pub fn after(mut self, plate: &Nameplate, wanted_rad: [f64; 6], dt_s: f64) -> Self {
        let most_rad = plate.steer_radps * dt_s;
        let mut turned_rad = 0.0;
        for (at, wanted) in self.at_rad.iter_mut().zip(wanted_rad) {
            let turn = (wanted - *at).clamp(-most_rad, most_rad);
            *at += turn;
            turned_rad += turn.abs();
        }
        self.power_w = if most_rad > 0.0 {
            plate.steer_w * turned_rad / most_rad
        } else {
            0.0
        };
        self
    }
}

/// Power, heat and charge of the whole rover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// All drives, watts.
    pub drive_w: f64,
    /// All steering motors, watts.
    pub steer_w: f64,
    /// Heaters of drives and body, watts.
    pub heater_w: f64,
    /// Everything, watts.
    pub total_w: f64,
    /// The source, watts.
    pub source_w: f64,
    /// Greatest total power so far, watts.
    pub peak_w: f64,
    /// Battery's charge, 0 to 1.
    pub charge: f64,
    /// Energy used since the start, watt-hours.
    pub energy_wh: f64,
    /// Temperature of the electronics, °C.
    pub electronics_c: f64,
    /// Temperature of the battery, °C.
    pub battery_c: f64,
}

impl Power {
    /// At the start.
    #[must_use]
    pub fn begin(plate: &Nameplate) -> Self {
        Self {
            charge: plate.charge_start,
            electronics_c: plate.box_start_c,
            battery_c: plate.box_start_c,
            ..Self::default()
        }
    }

    /// Heat and charge after `dt_s`, from what all drives take (which turn for the share `duty`), what steering takes, the
    /// surroundings and what the source gives, watts.
    #[must_use]
    pub fn after(
        &self,
        plate: &Nameplate,
        [drive_w, steer_w]: [f64; 2],
        (ambient_c, duty, source_w): (f64, f64, f64),
        dt_s: f64,
    ) -> Self {
        let heater_w = plate.heater_w_per_k * (plate.heater_c - ambient_c).max(0.0);
        let total_w = plate.housekeeping_w + drive_w + steer_w + heater_w;
        let mean_w = total_w - (1.0 - duty) * drive_w;
        let net_w = source_w - mean_w;
        // The box warms with what its electronics use and loses to the surroundings.
        let box_c = (ambient_c + plate.box_rise_k).max(plate.box_heater_c);
        let toward =
            |now: f64, to: f64, tau_s: f64| now + (to - now) * (1.0 - (-dt_s / tau_s).exp());
        let electronics_c = toward(self.electronics_c, box_c, plate.box_tau_s);
        Self {
            drive_w,
            steer_w,
            heater_w,
            total_w,
            source_w,
            peak_w: self.peak_w.max(total_w),
            charge: (self.charge + net_w * dt_s / 3600.0 / plate.battery_wh).min(1.0),
            energy_wh: self.energy_wh + mean_w * dt_s / 3600.0,
            electronics_c,
            battery_c: toward(self.battery_c, electronics_c, 0.5 * plate.box_tau_s),
        }
    }

    /// Bus voltage, volts: it sinks with the charge.
    #[must_use]
    pub fn bus_v(&self, plate: &Nameplate) -> f64 {
        plate.bus_v * (0.92 + 0.11 * self.charge)
    }

    /// Current out of the battery, amperes at the rated voltage; below 0 while it is charged.
    #[must_use]
    pub fn battery_a(&self, plate: &Nameplate) -> f64 {
        (self.total_w - self.source_w) / plate.bus_v
    }
}

/// The electrical and thermal side of a rover that is driven step by step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Electrics {
    plate: Nameplate,
    day: Environment,
    time_s: f64,
    motors: [Motor; 6],
    steers: Steers,
    power: Power,
}

/// What is known of it at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ElectricsReading {
    /// The drives, in the order of the rover's hubs.
    pub motors: [Motor; 6],
    /// Battery, source, electronics.
    pub power: Power,
    /// Temperature of the surroundings, °C.
    pub ambient_c: f64,
    /// Bus voltage, volts.
    pub bus_v: f64,
    /// Current out of the battery, amperes; below 0 while it is charged.
    pub battery_a: f64,
    /// What the battery holds when it is full, watt-hours.
    pub battery_wh: f64,
    /// Rated voltage, volts.
    pub rated_v: f64,
}

impl Electrics {
    /// At the start of a drive on a day.
    #[must_use]
    pub fn new(plate: Nameplate, day: Environment) -> Self {
        Self {
            motors: [Motor::cold(&plate, day.ambient_c(0.0)); 6],
            steers: Steers::default(),
            power: Power::begin(&plate),
            time_s: 0.0,
            plate,
            day,
        }
    }

    /// `dt_s` later: torque about each axle (N·m) and how fast it turned (rad/s), forward positive, and where the wheels are
    /// told to point (radians). An empty battery gives nothing and stays empty.
    pub fn step(
        &mut self,
        torque_nm: [f64; 6],
        turned_radps: [f64; 6],
        steer_rad: [f64; 6],
        dt_s: f64,
    ) {
        self.time_s += dt_s;
        let ambient_c = self.day.ambient_c(self.time_s);
        let over = Warming::over(&self.plate, ambient_c, 1.0, dt_s);
        for (i, motor) in self.motors.iter_mut().enumerate() {
            let shaft_w = (torque_nm[i] * turned_radps[i]).max(0.0);
            *motor = motor.after(&self.plate, &over, shaft_w, turned_radps[i] != 0.0);
        }
        self.steers = self.steers.after(&self.plate, steer_rad, dt_s);
        let drive_w = self.motors.iter().map(|m| m.power_w).sum();
        let sun_deg = self.day.sun_elevation_deg(self.time_s);
        let source_w = self.plate.source.power_w(sun_deg, self.day.opacity);
        let around = (ambient_c, 1.0, source_w);
        self.power = self
            .power
            .after(&self.plate, [drive_w, self.steers.power_w], around, dt_s);
        self.power.charge = self.power.charge.max(0.0);
    }

    /// Where the sun stands now: direction (radians counter-clockwise from east) and height (radians). Told for steps of
    /// [`SUN_EVERY_S`], so that shadows need not be worked out for every image anew.
    #[must_use]
    pub fn sun_rad(&self) -> [f64; 2] {
        let step = (self.time_s / SUN_EVERY_S).floor();
        self.day.sun_rad(step * SUN_EVERY_S)
    }

    /// What is known of it now.
    #[must_use]
    pub fn reading(&self) -> ElectricsReading {
        ElectricsReading {
            motors: self.motors,
            power: self.power,
            ambient_c: self.day.ambient_c(self.time_s),
            bus_v: self.power.bus_v(&self.plate),
            battery_a: self.power.battery_a(&self.plate),
            battery_wh: self.plate.battery_wh,
            rated_v: self.plate.bus_v,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        power::{PowerFile, Source},
        testing::{mars, perseverance},
    };

    fn plate() -> Nameplate {
        let file = PowerFile::shipped("perseverance").unwrap().unwrap();
        Nameplate::of(&perseverance(), &mars()).with(&file)
    }

    fn day() -> Environment {
        Environment::shipped("mars").unwrap()
    }

    #[test]
    fn energy_is_what_source_and_battery_gave() {
        let plate = plate();
        let mut e = Electrics::new(plate, day());
        let before = e.reading().power.charge;
        for _ in 0..36_000 {
            e.step([60.0; 6], [0.16; 6], [0.0; 6], 0.1);
        }
        let r = e.reading();
        // an hour: six drives of 60 N·m · 0.16 rad/s / 0.5 + 2 W, and what the rover takes besides
        let motor_w = 60.0 * 0.16 / plate.efficiency + plate.idle_w;
        assert!((r.motors[3].power_w - motor_w).abs() < 1e-9);
        assert!((r.motors[3].current_a * plate.bus_v - motor_w).abs() < 1e-9);
        assert!((r.motors[3].energy_wh - motor_w).abs() < 1e-6);
        let from_battery_wh = (before - r.power.charge) * plate.battery_wh;
        let from_source_wh = r.power.source_w;
        assert!((r.power.energy_wh - from_battery_wh - from_source_wh).abs() < 1e-6);
        assert!(r.battery_a > 0.0 && r.bus_v < 1.03 * plate.bus_v);
    }

    #[test]
    fn a_working_drive_is_warmer_than_a_resting_one_and_one_that_is_pushed_gives_nothing_back() {
        let mut e = Electrics::new(plate(), day());
        let torque = [80.0, 0.0, -80.0, 80.0, -80.0, 80.0];
        let turned = [0.16, 0.0, 0.16, 0.0, -0.16, 0.08];
        for _ in 0..20_000 {
            e.step(torque, turned, [0.0; 6], 0.1);
        }
        let m = e.reading().motors;
        assert!(m[0].temperature_c > m[5].temperature_c);
        assert!(m[5].temperature_c > m[1].temperature_c);
        assert!((m[2].power_w - plate().idle_w).abs() < 1e-12, "{:?}", m[2]);
        assert_eq!((m[1].power_w, m[3].power_w), (0.0, 0.0));
        assert_eq!(m[0], m[4]);
    }

    #[test]
    fn steering_costs_its_angle_at_its_own_pace() {
        let plate = plate();
        let mut e = Electrics::new(plate, day());
        let turned = [0.8, 0.0, -0.8, -0.8, 0.0, 0.8];
        let (mut used_j, mut most_w, mut busy_s) = (0.0f64, 0.0f64, 0.0f64);
        for k in 0..400 {
            let wanted = if k < 200 { turned } else { [0.0; 6] };
            e.step([0.0; 6], [0.0; 6], wanted, 0.1);
            let w = e.reading().power.steer_w;
            used_j += 0.1 * w;
            most_w = most_w.max(w);
            busy_s += if w > 0.0 { 0.1 } else { 0.0 };
        }
        // four corners there and back
        let expected_j = 4.0 * 2.0 * 0.8 / plate.steer_radps * plate.steer_w;
        assert!((used_j / expected_j - 1.0).abs() < 1e-6, "{used_j}");
        assert!((most_w - 4.0 * plate.steer_w).abs() < 1e-9, "{most_w}");
        assert!((busy_s - 16.0).abs() < 0.25, "{busy_s}");
        // tens of watts for all four
        assert!((5.0..100.0).contains(&most_w), "{most_w}");
    }

    #[test]
    fn panels_follow_the_sun_and_an_empty_battery_stays_empty() {
        let plate = Nameplate {
            source: Source::Solar {
                area_m2: 1.0,
                efficiency: 0.25,
                flux_wpm2: 590.0,
            },
            battery_wh: 200.0,
            ..plate()
        };
        let mut e = Electrics::new(plate, day());
        let mut most_w = 0.0f64;
        let mut least_c = f64::INFINITY;
        for _ in 0..2000 {
            e.step([0.0; 6], [0.0; 6], [0.0; 6], 44.4);
            let r = e.reading();
            most_w = most_w.max(r.power.source_w);
            least_c = least_c.min(r.ambient_c);
            assert!(r.power.charge >= 0.0);
        }
        // a whole sol: noon was in it, and midnight
        assert!(most_w > 60.0 && least_c < -80.0, "{most_w} {least_c}");
        assert_eq!(e.reading().power.charge, 0.0);
    }
}
