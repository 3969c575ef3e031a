//! Hour, temperature and the height of the sun over a day of driving.

use crate::verify::settings::{SETTINGS_FILE, Settings};
use serde::{Deserialize, Serialize};
use sojourn_core::{CoreError, error::in_range, params};
use std::collections::BTreeMap;

/// Day and weather of a body.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Length of the day, seconds.
    pub sol_s: f64,
    /// Local hour (24 per day) at the start of the drive.
    pub start_hour: f64,
    /// Latitude of the site, degrees.
    pub latitude_deg: f64,
    /// Declination of the sun, degrees.
    pub declination_deg: f64,
    /// Temperature at hour 14, °C.
    pub warmest_c: f64,
    /// Temperature at hour 2, °C.
    pub coldest_c: f64,
    /// Opacity of the dust.
    pub opacity: f64,
}

/// The day of a body, or that under "default".
///
/// # Errors
/// [`CoreError::Format`] when there is neither.
pub fn of(days: &BTreeMap<String, Environment>, body: &str) -> Result<Environment, CoreError> {
    let day = days.get(body).or_else(|| days.get("default"));
    day.copied().ok_or_else(|| {
        CoreError::format(
            SETTINGS_FILE,
            format!("environment has neither {body} nor default"),
        )
    })
}

impl Environment {
    /// Day and weather of a body as `config/verification.yaml` had them when this was built.
    ///
    /// # Errors
    /// [`CoreError`] when that file was broken then.
    pub fn shipped(body: &str) -> Result<Self, CoreError> {
        let text = include_str!("../../../config/verification.yaml");
        of(
            &params::parse_yaml::<Settings>("config/verification.yaml", text)?.environment,
            body,
        )
    }

    /// Hour of the day after a time of driving, 0 to 24.
    #[must_use]
    pub fn hour(&self, time_s: f64) -> f64 {
        (self.start_hour + 24.0 * time_s / self.sol_s).rem_euclid(24.0)
    }

    /// Temperature of the surroundings, °C.
    #[must_use]
    pub fn ambient_c(&self, time_s: f64) -> f64 {
        let angle = (self.hour(time_s) - 14.0) / 24.0 * std::f64::consts::TAU;
        let mean = 0.5 * (self.warmest_c + self.coldest_c);
        mean + 0.5 * (self.warmest_c - self.coldest_c) * angle.cos()
    }

    /// Height of the sun over the horizon, degrees.
    #[must_use]
    pub fn sun_elevation_deg(&self, time_s: f64) -> f64 {
        let hour_angle = (self.hour(time_s) - 12.0) / 24.0 * std::f64::consts::TAU;
        let (sl, cl) = self.latitude_deg.to_radians().sin_cos();
        let (sd, cd) = self.declination_deg.to_radians().sin_cos();
        (sl * sd + cl * cd * hour_angle.cos())
            .clamp(-1.0, 1.0)
            .asin()
            .to_degrees()
    }

    /// Where the sun stands: direction (radians counter-clockwise from east) and height over the horizon (radians, below 0 at
    /// night).
    #[must_use]
    pub fn sun_rad(&self, time_s: f64) -> [f64; 2] {
        let hour_angle = (self.hour(time_s) - 12.0) / 24.0 * std::f64::consts::TAU;
        let (sl, cl) = self.latitude_deg.to_radians().sin_cos();
        let (sd, cd) = self.declination_deg.to_radians().sin_cos();
        let (sh, ch) = hour_angle.sin_cos();
        let (east, north) = (-cd * sh, sd * cl - cd * ch * sl);
        [
            north.atan2(east),
            self.sun_elevation_deg(time_s).to_radians(),
        ]
    }

    /// Checks the ranges; `what` and `name` say whose.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self, what: &str, name: &str) -> Result<(), CoreError> {
        let key = |k: &str| format!("environment.{name}.{k}");
        in_range(what, &key("sol_s"), self.sol_s, 1e3, 1e8)?;
        in_range(what, &key("start_hour"), self.start_hour, 0.0, 24.0)?;
        in_range(what, &key("latitude_deg"), self.latitude_deg, -90.0, 90.0)?;
        in_range(
            what,
            &key("declination_deg"),
            self.declination_deg,
            -90.0,
            90.0,
        )?;
        in_range(what, &key("coldest_c"), self.coldest_c, -270.0, 200.0)?;
        in_range(
            what,
            &key("warmest_c"),
            self.warmest_c,
            self.coldest_c,
            300.0,
        )?;
        in_range(what, &key("opacity"), self.opacity, 0.0, 20.0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sun_rises_in_the_east_and_stands_on_its_own_side_at_noon() {
        let day = Environment {
            start_hour: 0.0,
            declination_deg: 0.0,
            ..Environment::shipped("mars").unwrap()
        };
        let at = |hour: f64| day.sun_rad(hour / 24.0 * day.sol_s);
        let [east, low] = at(6.0);
        assert!(east.abs() < 1e-9 && low.abs() < 1e-9, "{east} {low}");
        let [west, _] = at(18.0);
        assert!((west.abs() - std::f64::consts::PI).abs() < 1e-9, "{west}");
        // a northern site at equinox: the noon sun in the south, as far from the zenith as the site from the equator
        let [south, high] = at(12.0);
        assert!(day.latitude_deg > 0.0);
        assert!(
            (south + std::f64::consts::FRAC_PI_2).abs() < 1e-9,
            "{south}"
        );
        assert!((high.to_degrees() - (90.0 - day.latitude_deg)).abs() < 1e-9);
        let [_, night] = at(23.0);
        assert!(night < 0.0);
        // the height is the one that the panels see
        for k in 0..48 {
            let time_s = f64::from(k) / 48.0 * day.sol_s;
            let [_, up] = day.sun_rad(time_s);
            assert!((up.to_degrees() - day.sun_elevation_deg(time_s)).abs() < 1e-9);
        }
    }
}
