//! What a rover lives on: drives, battery, source and warmth, as `config/power/<rover>.yaml` gives them.

use serde::{Deserialize, Serialize};
use sojourn_core::{CoreError, error::in_range, params};
use std::{collections::BTreeMap, path::Path};

/// `config/power/`, by the rover's name.
const SHIPPED: [(&str, &str); 5] = [
    ("husky", include_str!("../../../config/power/husky.yaml")),
    ("leo", include_str!("../../../config/power/leo.yaml")),
    ("osr", include_str!("../../../config/power/osr.yaml")),
    (
        "perseverance",
        include_str!("../../../config/power/perseverance.yaml"),
    ),
    (
        "testbed",
        include_str!("../../../config/power/testbed.yaml"),
    ),
];

/// Where power comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A radioisotope generator, or mains: always the same.
    Constant {
        /// Watts.
        power_w: f64,
    },
    /// Level solar panels.
    Solar {
        /// Area, m².
        area_m2: f64,
        /// Share of the light that becomes power, dust on the panel included.
        efficiency: f64,
        /// Light above the atmosphere at right angles, W/m² (on Mars 490 to 720 with the season).
        flux_wpm2: f64,
    },
}

impl Source {
    /// Power, watts, with the sun so high (degrees) and through dust of an opacity. Light comes along the slanted way by
    /// Beer's law; what is scattered down from the sky is left out, so dusty air gives too little rather than too much.
    #[must_use]
    pub fn power_w(&self, sun_elevation_deg: f64, opacity: f64) -> f64 {
        match *self {
            Self::Constant { power_w } => power_w,
            Self::Solar {
                area_m2,
                efficiency,
                flux_wpm2,
            } => {
                let up = sun_elevation_deg.to_radians().sin();
                if up <= 0.0 {
                    return 0.0;
                }
                area_m2 * efficiency * flux_wpm2 * up * (-opacity.max(0.0) / up).exp()
            }
        }
    }

    /// The most it can give, watts.
    #[must_use]
    pub fn most_w(&self) -> f64 {
        self.power_w(90.0, 0.0)
    }
}

/// The electrical and thermal side of a rover.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerFile {
    /// Bus voltage, volts.
    pub bus_v: f64,
    /// Share of a drive's electrical power that turns the wheel, when it turns under load.
    pub drive_efficiency: f64,
    /// What a drive takes that turns without load, watts.
    pub drive_idle_w: f64,
    /// Power of everything but drives and heaters, watts.
    pub housekeeping_w: f64,
    /// The source.
    pub source: Source,
    /// Battery's capacity, watt-hours.
    pub battery_wh: f64,
    /// Charge at the start, 0 to 1.
    pub charge_start: f64,
    /// Least charge allowed, 0 to 1.
    pub charge_min: f64,
    /// Range of a drive's temperature, °C.
    pub motor_c: [f64; 2],
    /// Rise of a drive's temperature per watt of loss, K/W.
    pub motor_k_per_w: f64,
    /// Time constant of a drive's temperature, seconds.
    pub motor_tau_s: f64,
    /// Rise of the electronics' temperature per watt of housekeeping, K/W.
    pub box_k_per_w: f64,
    /// Time constant of the electronics' temperature, seconds.
    pub box_tau_s: f64,
    /// Temperature that the electronics' heaters keep, °C.
    pub box_heater_c: f64,
}

impl PowerFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let power: Self = params::load_yaml(path)?;
        power.check(&path.display().to_string())?;
        Ok(power)
    }

    /// The file that comes with Sojourn for a rover, as it was built in; `None` for a rover without.
    ///
    /// # Errors
    /// [`CoreError`] when the file was broken when this was built.
    pub fn shipped(rover: &str) -> Result<Option<Self>, CoreError> {
        let Some((_, text)) = SHIPPED.iter().find(|(name, _)| *name == rover) else {
            return Ok(None);
        };
        let what = format!("config/power/{rover}.yaml");
        let power: Self = params::parse_yaml(&what, text)?;
        power.check(&what)?;
        Ok(Some(power))
    }

    /// Reads every `*.yaml` of a folder, by the rover's name.
    ///
    /// # Errors
    /// As [`PowerFile::load`]; also when the folder cannot be read.
    pub fn load_all(dir: &Path) -> Result<BTreeMap<String, Self>, CoreError> {
        let entries = std::fs::read_dir(dir).map_err(|e| CoreError::io(dir, "reading", e))?;
        let mut out = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(|e| CoreError::io(dir, "reading", e))?.path();
            let name = path.file_stem().and_then(|n| n.to_str());
            if let (Some(name), Some("yaml")) = (name, path.extension().and_then(|e| e.to_str())) {
                out.insert(name.to_string(), Self::load(&path)?);
            }
        }
        Ok(out)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        for (key, v, lo, hi) in [
            ("bus_v", self.bus_v, 1.0, 1000.0),
            ("drive_efficiency", self.drive_efficiency, 0.01, 1.0),
            ("drive_idle_w", self.drive_idle_w, 0.0, 1e4),
            ("housekeeping_w", self.housekeeping_w, 0.0, 1e5),
            ("battery_wh", self.battery_wh, 0.1, 1e6),
            ("charge_start", self.charge_start, 0.0, 1.0),
            ("charge_min", self.charge_min, 0.0, self.charge_start),
            ("motor_c[0]", self.motor_c[0], -270.0, 200.0),
            ("motor_c[1]", self.motor_c[1], self.motor_c[0], 300.0),
            ("motor_k_per_w", self.motor_k_per_w, 0.0, 1e3),
            ("motor_tau_s", self.motor_tau_s, 1.0, 1e6),
            ("box_k_per_w", self.box_k_per_w, 0.0, 1e3),
            ("box_tau_s", self.box_tau_s, 1.0, 1e7),
            ("box_heater_c", self.box_heater_c, -200.0, 60.0),
        ] {
            in_range(what, key, v, lo, hi)?;
        }
        match self.source {
            Source::Constant { power_w } => {
                in_range(what, "source.power_w", power_w, 0.0, 1e6)?;
            }
            Source::Solar {
                area_m2,
                efficiency,
                flux_wpm2,
            } => {
                in_range(what, "source.area_m2", area_m2, 0.001, 1e4)?;
                in_range(what, "source.efficiency", efficiency, 0.0, 1.0)?;
                in_range(what, "source.flux_wpm2", flux_wpm2, 0.0, 2e4)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    const PANEL: Source = Source::Solar {
        area_m2: 1.3,
        efficiency: 0.25,
        flux_wpm2: 590.0,
    };

    #[test]
    fn a_generator_knows_no_night_and_a_panel_does() {
        let rtg = Source::Constant { power_w: 110.0 };
        assert!(rtg.power_w(-20.0, 1.0) == 110.0 && rtg.most_w() == 110.0);
        assert_eq!(PANEL.power_w(-1.0, 0.5), 0.0);
        // Opportunity's panels gave 900 Wh a sol, clean and in clear air: some 140 W about noon
        assert!((40.0..140.0).contains(&PANEL.power_w(50.0, 0.5)));
        assert!(PANEL.power_w(50.0, 5.0) < 0.02 * PANEL.power_w(50.0, 0.5));
        assert!(PANEL.power_w(20.0, 0.5) < PANEL.power_w(60.0, 0.5));
        assert!(PANEL.power_w(60.0, 0.5) < PANEL.most_w());
    }

    #[test]
    fn every_rover_of_the_suite_has_its_file_and_a_wrong_one_names_the_key() {
        let all = PowerFile::load_all(&config("power")).unwrap();
        for entry in std::fs::read_dir(config("rovers")).unwrap() {
            let name = entry.unwrap().path();
            let name = name.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(all.contains_key(&name), "{name}");
            assert_eq!(PowerFile::shipped(&name).unwrap(), all.get(&name).copied());
        }
        let said = |change: fn(&mut PowerFile)| {
            let mut p = all["leo"];
            change(&mut p);
            p.check("p.yaml").unwrap_err().to_string()
        };
        assert!(said(|p| p.drive_efficiency = 0.0).contains("drive_efficiency"));
        assert!(said(|p| p.charge_min = 0.95).contains("charge_min"));
        assert!(said(|p| p.motor_c = [90.0, -20.0]).contains("motor_c[1]"));
        assert!(said(|p| p.battery_wh = f64::NAN).contains("battery_wh"));
        assert!(PowerFile::load_all(&config("no such folder")).is_err());
        assert_eq!(PowerFile::shipped("somebody's own").unwrap(), None);
    }
}
