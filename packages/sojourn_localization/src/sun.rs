//! The sun as a compass: a sensor sees its direction in `base_link`, an almanac says where it stands in `map`, gravity says
//! which way is up; what is left is the heading.
//!
//! A reading is bad the higher the sun stands: its noise turns the heading by `1 / cos(elevation)`, an error of the level by
//! `tan(elevation)` ([`Bearing::shows`]). What all readings have wrong alike (mounting, almanac) is never averaged away: the heading
//! does not become surer than what is known of that ([`Bearing::alike_rad`]).

use nalgebra::{UnitQuaternion, Vector3};
use serde::Deserialize;
use sojourn_core::{CoreError, Stamp, error::in_range, frames::wrap_rad};

/// `sun` of `config/localization.param.yaml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SunParams {
    /// Whether readings are taken in.
    pub enabled: bool,
    /// The almanac: moments in ROS time, seconds, ascending. Before the first and after the last the sun stands still.
    pub times_s: Vec<f64>,
    /// Where the sun stands then: radians counter-clockwise from east …
    pub azimuths_rad: Vec<f64>,
    /// … and its height over the horizon, radians.
    pub elevations_rad: Vec<f64>,
    /// Noise of a reading about each axis, standard deviation, radians.
    pub sigma_rad: f64,
    /// What all readings have wrong alike about each axis, standard deviation, radians.
    pub fixed_sigma_rad: f64,
    /// A sun below or above these heights is no compass, radians.
    pub least_elevation_rad: f64,
    /// See [`SunParams::least_elevation_rad`].
    pub most_elevation_rad: f64,
    /// A reading whose squared Mahalanobis distance (one degree of freedom), in height or heading, lies beyond this is
    /// refused.
    pub gate: f64,
    /// A reading older than this when it comes is refused, seconds.
    pub late_s: f64,
    /// Headings in a row that are refused before the gyro is doubted, by `visual.doubt_bias_radps`.
    pub doubt_readings: usize,
}

impl SunParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self) -> Result<(), CoreError> {
        let what = "parameters of localization: sun";
        let half_turn = std::f64::consts::FRAC_PI_2;
        for (name, value, lo, hi) in [
            ("sigma_rad", self.sigma_rad, 1e-5, 0.5),
            ("fixed_sigma_rad", self.fixed_sigma_rad, 0.0, 0.5),
            (
                "least_elevation_rad",
                self.least_elevation_rad,
                0.0,
                half_turn,
            ),
            ("most_elevation_rad", self.most_elevation_rad, 0.0, 1.48),
            ("gate", self.gate, 1.0, 1e6),
            ("late_s", self.late_s, 0.0, 5.0),
            ("doubt_readings", self.doubt_readings as f64, 1.0, 1000.0),
        ] {
            in_range(what, name, value, lo, hi)?;
        }
        let n = self.times_s.len();
        if n == 0 || self.azimuths_rad.len() != n || self.elevations_rad.len() != n {
            return Err(CoreError::value(
                what,
                "times_s",
                format!(
                    "{n} beside {} azimuths and {} elevations",
                    self.azimuths_rad.len(),
                    self.elevations_rad.len()
                ),
                "as many of each, at least one",
            ));
        }
        for (azimuth, elevation) in self.azimuths_rad.iter().zip(&self.elevations_rad) {
            in_range(what, "azimuths_rad", *azimuth, -7.0, 7.0)?;
            in_range(what, "elevations_rad", *elevation, -half_turn, half_turn)?;
        }
        if let Some([a, b]) = self
            .times_s
            .windows(2)
            .filter_map(|w| <[f64; 2]>::try_from(w).ok())
            .find(|[a, b]| !(b > a))
        {
            return Err(CoreError::value(
                what,
                "times_s",
                format!("{b} after {a}"),
                "moments that ascend",
            ));
        }
        for t in &self.times_s {
            in_range(what, "times_s", *t, -1e12, 1e12)?;
        }
        Ok(())
    }

    /// Whether a sun that stands there shows the heading: neither too low nor too high.
    #[must_use]
    pub fn is_compass(&self, [_, elevation_rad]: [f64; 2]) -> bool {
        (self.least_elevation_rad..=self.most_elevation_rad).contains(&elevation_rad)
    }

    /// Where the sun stands in `map`: radians counter-clockwise from east, and its height, radians.
    #[must_use]
    pub fn stands_at(&self, stamp: Stamp) -> [f64; 2] {
        let t = stamp.as_secs();
        let after = self.times_s.partition_point(|v| *v <= t);
        let at = |k: usize| {
            [
                self.azimuths_rad.get(k).copied().unwrap_or_default(),
                self.elevations_rad.get(k).copied().unwrap_or_default(),
            ]
        };
        let last = self.times_s.len().saturating_sub(1);
        if after == 0 || after > last {
            return at(after.min(last));
        }
        let (from, to) = (at(after - 1), at(after));
        let [t0, t1] =
            [after - 1, after].map(|k: usize| self.times_s.get(k).copied().unwrap_or_default());
        let share = ((t - t0) / (t1 - t0)).clamp(0.0, 1.0);
        [
            wrap_rad(from[0] + share * wrap_rad(to[0] - from[0])),
            from[1] + share * (to[1] - from[1]),
        ]
    }
}

/// The heading that a reading shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bearing {
    /// By how much the believed heading is to be turned, radians counter-clockwise.
    pub off_rad: f64,
    /// Standard deviation of this reading's own error, radians.
    pub sigma_rad: f64,
    /// By how much a turn of the believed attitude about each axis of `map` turns the heading that is shown.
    pub shows: Vector3<f64>,
    /// By how much what all readings have wrong alike about each axis of `base_link` turns it, standard deviations with their
    /// signs, radians.
    pub alike_rad: Vector3<f64>,
}

/// What the direction to the sun, seen in `base_link`, says of a believed attitude in `map`; `stands_rad` is where it stands.
/// `None`: it is no compass there, or it is seen at another height (the level has `level_sigma_rad` wrong) and so is something
/// else.
#[must_use]
pub fn bearing(
    seen_in_base_link: Vector3<f64>,
    map_from_base_link: UnitQuaternion<f64>,
    stands_rad: [f64; 2],
    level_sigma_rad: f64,
    p: &SunParams,
) -> Option<Bearing> {
    if !p.is_compass(stands_rad) {
        return None;
    }
    let [azimuth_rad, elevation_rad] = stands_rad;
    let seen = map_from_base_link * seen_in_base_link.try_normalize(1e-9)?;
    let high_rad = seen.z.clamp(-1.0, 1.0).asin();
    let var = |v: f64| v * v;
    let height_var = var(p.sigma_rad) + var(p.fixed_sigma_rad) + var(level_sigma_rad);
    // Written so that not-a-number is something else.
    if !(var(high_rad - elevation_rad) <= p.gate * height_var) {
        return None;
    }
    // A turn about the vertical turns the heading, one about the direction in which the sun stands turns it back the more the
    // higher it stands.
    let (sin, cos) = azimuth_rad.sin_cos();
    let shows = Vector3::z() - Vector3::new(cos, sin, 0.0) * elevation_rad.tan();
    Some(Bearing {
        off_rad: wrap_rad(azimuth_rad - seen.y.atan2(seen.x)),
        sigma_rad: p.sigma_rad / elevation_rad.cos(),
        shows,
        alike_rad: map_from_base_link.inverse() * shows * p.fixed_sigma_rad,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> SunParams {
        SunParams {
            enabled: true,
            times_s: vec![100.0, 200.0],
            azimuths_rad: vec![3.1, -3.1],
            elevations_rad: vec![0.5, 0.7],
            sigma_rad: 0.002,
            fixed_sigma_rad: 0.002,
            least_elevation_rad: 0.1,
            most_elevation_rad: 1.2,
            gate: 10.83,
            late_s: 0.5,
            doubt_readings: 5,
        }
    }

    fn direction([azimuth, elevation]: [f64; 2]) -> Vector3<f64> {
        let (s, c) = azimuth.sin_cos();
        Vector3::new(c * elevation.cos(), s * elevation.cos(), elevation.sin())
    }

    #[test]
    fn the_almanac_goes_the_short_way_around_and_stands_still_beyond_its_ends() {
        let p = params();
        p.check().unwrap();
        let at = |t: f64| p.stands_at(Stamp::from_secs(t));
        assert_eq!(at(0.0), [3.1, 0.5]);
        assert_eq!(at(900.0), [-3.1, 0.7]);
        let [azimuth, elevation] = at(150.0);
        assert!(
            (azimuth.abs() - std::f64::consts::PI).abs() < 1e-9,
            "{azimuth}"
        );
        assert!((elevation - 0.6).abs() < 1e-9);
        let one = SunParams {
            times_s: vec![0.0],
            azimuths_rad: vec![1.0],
            elevations_rad: vec![0.4],
            ..p
        };
        assert_eq!(one.stands_at(Stamp::from_secs(5.0)), [1.0, 0.4]);
    }

    #[test]
    fn a_heading_that_is_off_is_seen_on_a_slope_too() {
        let p = params();
        let sun = [0.8, 0.6];
        let truth = UnitQuaternion::from_euler_angles(0.1, -0.2, 1.3);
        let seen = truth.inverse() * direction(sun);
        let believed = UnitQuaternion::from_euler_angles(0.1, -0.2, 1.25);
        let b = bearing(seen, believed, sun, 0.003, &p).unwrap();
        assert!((b.off_rad - 0.05).abs() < 1e-9, "{b:?}");
        assert!(b.sigma_rad > p.sigma_rad && b.alike_rad.norm() > p.fixed_sigma_rad);
    }

    #[test]
    fn an_attitude_believed_wrong_shows_the_heading_off_by_what_is_told() {
        let p = params();
        let sun = [2.3, 0.6];
        let truth = UnitQuaternion::from_euler_angles(0.05, -0.1, 1.3);
        let seen = truth.inverse() * direction(sun);
        for axis in 0..3 {
            let mut error = Vector3::zeros();
            error[axis] = 1e-3;
            let believed = UnitQuaternion::from_scaled_axis(-error) * truth;
            let b = bearing(seen, believed, sun, 0.003, &p).unwrap();
            let told = b.shows.dot(&error);
            assert!((b.off_rad - told).abs() < 2e-6, "{axis}: {b:?} {told}");
        }
    }

    #[test]
    fn a_sensor_mounted_askew_shows_the_heading_off_by_what_is_told() {
        let p = params();
        let sun = [0.8, 0.6];
        let truth = UnitQuaternion::from_euler_angles(0.05, -0.1, 1.3);
        for axis in 0..3 {
            let askew_rad = 0.1 * p.fixed_sigma_rad;
            let mut turn = Vector3::zeros();
            turn[axis] = askew_rad;
            let askew = UnitQuaternion::from_scaled_axis(turn);
            let seen = askew * (truth.inverse() * direction(sun));
            let b = bearing(seen, truth, sun, 0.005, &p).unwrap();
            let told = -0.1 * b.alike_rad[axis];
            assert!(
                (b.off_rad - told).abs() < 2e-3 * askew_rad,
                "{axis}: {b:?} {told}"
            );
        }
    }

    #[test]
    fn a_sun_that_is_none_gives_no_heading() {
        let p = params();
        let level = UnitQuaternion::identity();
        let of =
            |seen: [f64; 2], stands: [f64; 2]| bearing(direction(seen), level, stands, 0.003, &p);
        assert!(of([0.0, 0.6], [0.0, 0.6]).is_some());
        // A reflection at another height, a sun below the horizon's haze, one overhead.
        assert!(of([0.0, 0.3], [0.0, 0.6]).is_none());
        assert!(of([0.0, 0.05], [0.0, 0.05]).is_none());
        assert!(of([0.0, 1.3], [0.0, 1.3]).is_none());
        let nan = Vector3::new(f64::NAN, 0.0, 1.0);
        assert!(bearing(nan, level, [0.0, 0.6], 0.003, &p).is_none());
        assert!(bearing(Vector3::zeros(), level, [0.0, 0.6], 0.003, &p).is_none());
    }

    #[test]
    fn wrong_almanacs_are_refused() {
        let wrong = |change: fn(&mut SunParams)| {
            let mut p = params();
            change(&mut p);
            p.check().unwrap_err().to_string()
        };
        assert!(wrong(|p| p.times_s.clear()).contains("times_s"));
        assert!(wrong(|p| p.times_s[1] = 100.0).contains("ascend"));
        assert!(wrong(|p| p.times_s[0] = f64::NAN).contains("times_s"));
        assert!(wrong(|p| p.elevations_rad[0] = 2.0).contains("elevations_rad"));
        assert!(wrong(|p| p.azimuths_rad[1] = f64::NAN).contains("azimuths_rad"));
        assert!(wrong(|p| p.sigma_rad = 0.0).contains("sigma_rad"));
    }
}
