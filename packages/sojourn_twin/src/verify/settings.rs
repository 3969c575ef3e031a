//! How plans are verified: the channel dictionary and `config/verification.yaml`.

use super::dictionary::Dictionary;
pub use crate::day::Environment;
use crate::{day, nameplate::Nameplate, power::PowerFile};
use serde::{Deserialize, Serialize};
use sojourn_core::{
    CoreError, body::Body, error::in_range, params, plan::digest_of, rover::Rover, soil::SoilTable,
};
use std::{collections::BTreeMap, path::Path};

/// File of the settings, below the configuration folder.
pub const SETTINGS_FILE: &str = "verification.yaml";
/// Folder of the channel dictionary, below the configuration folder.
pub const TELEMETRY_DIR: &str = "telemetry";
/// Folder of the rovers' electrical and thermal figures, below the configuration folder.
pub const POWER_DIR: &str = "power";
/// File of the soils, below the configuration folder.
pub const SOILS_FILE: &str = "soils.yaml";

/// Least and greatest value of a uniform draw.
pub type Span = [f64; 2];

/// What the mission says of driving time and position.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissionSettings {
    /// Longest segment that may be commanded, metres.
    pub segment_max_m: f64,
    /// Driving time of one sol, seconds.
    pub drive_s: f64,
    /// One sigma of the start's position, metres.
    pub start_position_sigma_m: f64,
    /// One sigma of the start's heading, degrees.
    pub start_heading_sigma_deg: f64,
    /// One sigma of the position's error per metre driven without a fix.
    pub drift_share: f64,
    /// One sigma of the heading's error per metre driven, degrees.
    pub heading_drift_deg_per_m: f64,
    /// Distance between two fixes against the orbital map, metres; 0 for none.
    pub fix_every_m: f64,
    /// Least charge that has to be left after a retreat to the start, 0 to 1.
    pub retreat_charge: f64,
}

/// What is not known, and how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonteCarloSettings {
    /// Samples; 0 for none.
    pub samples: u32,
    /// Seed.
    pub seed: u64,
    /// Time between two samples of every channel, seconds.
    pub sample_s: f64,
    /// Confidence of the bounds, 0 to 1.
    pub confidence: f64,
    /// RMS of the relief at a wavelength of 2 m that the data do not hold, metres.
    pub relief_rms_at_2m_m: Span,
    /// Hurst exponent of the relief.
    pub relief_hurst: f64,
    /// Shortest wavelength of the relief, metres.
    pub relief_shortest_m: f64,
    /// One sigma of the map's registration, metres.
    pub map_offset_sigma_m: f64,
    /// What a year of age adds to it, metres.
    pub map_offset_m_per_year: f64,
    /// Size of cells from which on these two hold, metres; the registration of a finer map, such as a yard's from the
    /// air, is better in proportion.
    pub map_offset_cells_m: f64,
    /// Age of the map, years.
    pub map_age_years: Span,
    /// How far AutoNav leaves the line, metres.
    pub swerve_m: Span,
    /// Length of a swerve, metres.
    pub swerve_wavelength_m: Span,
    /// Way driven over way planned.
    pub path_ratio: Span,
    /// Share of the speed left after thinking and imaging.
    pub pace: Span,
    /// Standard deviation of the logarithm of the slip's factor.
    pub slip_factor_sigma: f64,
    /// One sigma of the temperature, kelvins.
    pub temperature_sigma_k: f64,
    /// Opacity of the dust.
    pub opacity: Span,
    /// Size of a patch of one kind of soil, metres.
    pub soil_patch_m: f64,
    /// Share of the samples that take ground for the weakest class of its slope, for every level of risk by which the
    /// sources of what it is are apart there.
    pub disputed_weak_share_per_level: f64,
}

impl MonteCarloSettings {
    fn check(&self, what: &str) -> Result<(), CoreError> {
        let key = |k: &str| format!("monte_carlo.{k}");
        in_range(what, &key("samples"), f64::from(self.samples), 0.0, 1e5)?;
        in_range(what, &key("sample_s"), self.sample_s, 0.01, 60.0)?;
        in_range(what, &key("confidence"), self.confidence, 0.5, 0.9999)?;
        in_range(what, &key("relief_hurst"), self.relief_hurst, 0.1, 1.0)?;
        in_range(
            what,
            &key("relief_shortest_m"),
            self.relief_shortest_m,
            0.05,
            10.0,
        )?;
        in_range(
            what,
            &key("map_offset_sigma_m"),
            self.map_offset_sigma_m,
            0.0,
            100.0,
        )?;
        in_range(
            what,
            &key("map_offset_m_per_year"),
            self.map_offset_m_per_year,
            0.0,
            10.0,
        )?;
        in_range(
            what,
            &key("map_offset_cells_m"),
            self.map_offset_cells_m,
            0.01,
            100.0,
        )?;
        in_range(
            what,
            &key("slip_factor_sigma"),
            self.slip_factor_sigma,
            0.0,
            2.0,
        )?;
        in_range(
            what,
            &key("temperature_sigma_k"),
            self.temperature_sigma_k,
            0.0,
            100.0,
        )?;
        in_range(what, &key("soil_patch_m"), self.soil_patch_m, 0.5, 1e4)?;
        let share = self.disputed_weak_share_per_level;
        in_range(what, &key("disputed_weak_share_per_level"), share, 0.0, 1.0)?;
        for (name, span, lo, hi) in [
            ("relief_rms_at_2m_m", self.relief_rms_at_2m_m, 0.0, 1.0),
            ("map_age_years", self.map_age_years, 0.0, 100.0),
            ("swerve_m", self.swerve_m, 0.0, 50.0),
            ("swerve_wavelength_m", self.swerve_wavelength_m, 0.5, 1e3),
            ("path_ratio", self.path_ratio, 1.0, 10.0),
            ("pace", self.pace, 0.01, 1.0),
            ("opacity", self.opacity, 0.0, 20.0),
        ] {
            in_range(what, &format!("{}[0]", key(name)), span[0], lo, hi)?;
            in_range(what, &format!("{}[1]", key(name)), span[1], span[0], hi)?;
        }
        Ok(())
    }
}

/// From which probability on a limit warns or rejects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Rejects, 0 to 1.
    pub reject: f64,
    /// Warns, 0 to 1.
    pub warn: f64,
}

/// `config/verification.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Time between two samples of every channel in the nominal run, seconds.
    pub sample_s: f64,
    /// Driving time and position.
    pub mission: MissionSettings,
    /// Day and weather by body.
    pub environment: BTreeMap<String, Environment>,
    /// What is not known.
    pub monte_carlo: MonteCarloSettings,
    /// From which probability on a limit warns or rejects.
    pub thresholds: Thresholds,
}

impl Settings {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let settings: Self = params::load_yaml(path)?;
        settings.check(&path.display().to_string())?;
        Ok(settings)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        in_range(what, "sample_s", self.sample_s, 0.01, 60.0)?;
        let m = &self.mission;
        for (name, value, lo, hi) in [
            ("segment_max_m", m.segment_max_m, 0.5, 1e3),
            ("drive_s", m.drive_s, 60.0, 1e7),
            (
                "start_position_sigma_m",
                m.start_position_sigma_m,
                0.0,
                100.0,
            ),
            (
                "start_heading_sigma_deg",
                m.start_heading_sigma_deg,
                0.0,
                45.0,
            ),
            ("drift_share", m.drift_share, 0.0, 1.0),
            (
                "heading_drift_deg_per_m",
                m.heading_drift_deg_per_m,
                0.0,
                1.0,
            ),
            ("fix_every_m", m.fix_every_m, 0.0, 1e6),
            ("retreat_charge", m.retreat_charge, 0.0, 1.0),
        ] {
            in_range(what, &format!("mission.{name}"), value, lo, hi)?;
        }
        if !self.environment.contains_key("default") {
            return Err(CoreError::value(
                what,
                "environment",
                format!("{:?}", self.environment.keys().collect::<Vec<_>>()),
                "bodies, one of them \"default\"",
            ));
        }
        for (name, e) in &self.environment {
            e.check(what, name)?;
        }
        self.monte_carlo.check(what)?;
        in_range(what, "thresholds.reject", self.thresholds.reject, 1e-6, 1.0)?;
        in_range(
            what,
            "thresholds.warn",
            self.thresholds.warn,
            0.0,
            self.thresholds.reject,
        )?;
        Ok(())
    }

    /// Day and weather of a body.
    ///
    /// # Errors
    /// [`CoreError::Format`] when there is neither the body nor "default".
    pub fn environment_of(&self, body: &str) -> Result<Environment, CoreError> {
        day::of(&self.environment, body)
    }
}

/// Everything that verification takes from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// The channels.
    pub dictionary: Dictionary,
    /// The settings.
    pub settings: Settings,
    /// The soils of the classes, and what unlabelled ground may be.
    pub soils: SoilTable,
    /// Electrical and thermal figures by the rover's name; a rover without gets them scaled from its mass.
    pub power: BTreeMap<String, PowerFile>,
    /// SHA-256 over all of it, hex: two reports with the same digests of plan, site, rover and set-up are the same report.
    pub digest: String,
}

impl Setup {
    /// Reads `telemetry/*.yaml`, `verification.yaml`, `soils.yaml` and `power/*.yaml` of a configuration folder.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(config_dir: &Path) -> Result<Self, CoreError> {
        Self::new(
            Dictionary::load(&config_dir.join(TELEMETRY_DIR))?,
            Settings::load(&config_dir.join(SETTINGS_FILE))?,
            SoilTable::load(&config_dir.join(SOILS_FILE))?,
            PowerFile::load_all(&config_dir.join(POWER_DIR))?,
        )
    }

    /// From its parts.
    ///
    /// # Errors
    /// [`CoreError::Format`] when the digest cannot be made.
    pub fn new(
        dictionary: Dictionary,
        settings: Settings,
        soils: SoilTable,
        power: BTreeMap<String, PowerFile>,
    ) -> Result<Self, CoreError> {
        let digest = digest_of(
            "verification",
            &(&settings, &soils, &power, format!("{dictionary:?}")),
        )?;
        Ok(Self {
            dictionary,
            settings,
            soils,
            power,
            digest,
        })
    }

    /// Ratings of a rover on a body.
    #[must_use]
    pub fn plate(&self, rover: &Rover, body: &Body) -> Nameplate {
        Nameplate::of_with(rover, body, self.power.get(&rover.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    #[test]
    fn the_shipped_settings_are_right() {
        let s = Settings::load(&config(SETTINGS_FILE)).unwrap();
        let mars = s.environment_of("mars").unwrap();
        assert!((mars.ambient_c(4.0 * mars.sol_s / 24.0) - mars.warmest_c).abs() < 1e-9);
        assert!(mars.sun_elevation_deg(2.0 * mars.sol_s / 24.0) > 70.0);
        assert!(mars.sun_elevation_deg(12.0 * mars.sol_s / 24.0) < 0.0);
        assert_eq!(
            s.environment_of("phobos").unwrap(),
            s.environment_of("default").unwrap()
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = std::fs::read_to_string(config(SETTINGS_FILE)).unwrap();
        let said = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            params::parse_yaml::<Settings>("v.yaml", &text.replace(from, to))
                .and_then(|s| s.check("v.yaml"))
                .unwrap_err()
                .to_string()
        };
        assert!(said("samples: 100", "samples: -1").contains("monte_carlo"));
        assert!(said("samples: 100", "sample: 100").contains("sample"));
        assert!(said("[0.2, 1.5]", "[1.5, 0.2]").contains("opacity"));
        assert!(said("warn: 0.05", "warn: 0.5").contains("thresholds.warn"));
        assert!(said("default: {", "pluto: {").contains("default"));
        assert!(said("drift_share: 0.01", "drift_share: .nan").contains("drift_share"));
    }
}
