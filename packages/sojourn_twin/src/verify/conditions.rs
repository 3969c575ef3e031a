//! What one run of a plan assumes of everything that is not known: neutral for the nominal run, drawn for a sample.

use super::settings::{Environment, MissionSettings, MonteCarloSettings, Span};
use crate::noise::Fractal;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sojourn_core::raster::{HeightField, Raster};

/// Relief below the data's resolution.
#[derive(Clone, Debug)]
pub struct Relief {
    /// The pattern, RMS 1.
    pub pattern: Fractal,
    /// RMS, metres.
    pub rms_m: f64,
}

/// Ground as one run assumes it: the data, shifted by the map's error, with relief on top.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The site's elevation.
    pub elevation: &'a Raster,
    /// Where the map's points really lie, metres.
    pub map_offset_m: [f64; 2],
    /// Relief below the data's resolution.
    pub relief: Option<&'a Relief>,
}

impl HeightField for Ground<'_> {
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        let (x, y) = (x_m - self.map_offset_m[0], y_m - self.map_offset_m[1]);
        let base = self.elevation.sample(x, y)?;
        Some(match self.relief {
            Some(r) => base + r.rms_m * r.pattern.at(x, y),
            None => base,
        })
    }
}

/// The assumptions of one run.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Relief below the data's resolution.
    pub relief: Option<Relief>,
    /// Seed of the patches of soil; `None` takes the likeliest everywhere.
    pub soil_seed: Option<u64>,
    /// Error of the position at the start, metres.
    pub start_error_m: [f64; 2],
    /// Error of the heading at the start, radians.
    pub start_error_rad: f64,
    /// Growth of the position's error, metres per metre.
    pub drift: [f64; 2],
    /// Growth of the heading's error, radians per metre.
    pub drift_rad_per_m: f64,
    /// How far AutoNav leaves the line, metres.
    pub swerve_m: f64,
    /// Length of a swerve, metres.
    pub swerve_wavelength_m: f64,
    /// Where on the wave the drive begins, radians.
    pub swerve_phase_rad: f64,
    /// Way driven over way planned.
    pub path_ratio: f64,
    /// Share of the speed left after thinking and imaging.
    pub pace: f64,
    /// Factor on the soil's slip.
    pub slip_factor: f64,
    /// Added to the temperature, kelvins.
    pub temperature_k: f64,
    /// Opacity of the dust instead of the usual one.
    pub opacity: Option<f64>,
    /// Where the map's points really lie, metres.
    pub map_offset_m: [f64; 2],
}

impl Conditions {
    /// Everything as the data and the rover's file say.
    #[must_use]
    pub fn nominal() -> Self {
        Self {
            relief: None,
            soil_seed: None,
            start_error_m: [0.0; 2],
            start_error_rad: 0.0,
            drift: [0.0; 2],
            drift_rad_per_m: 0.0,
            swerve_m: 0.0,
            swerve_wavelength_m: 10.0,
            swerve_phase_rad: 0.0,
            path_ratio: 1.0,
            pace: 1.0,
            slip_factor: 1.0,
            temperature_k: 0.0,
            opacity: None,
            map_offset_m: [0.0; 2],
        }
    }

    /// Sample `index` of a seed; the same numbers whatever thread asks and whatever was drawn before.
    #[must_use]
    pub fn draw(
        index: u32,
        resolution_m: f64,
        m: &MonteCarloSettings,
        mission: &MissionSettings,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(m.seed);
        rng.set_stream(u64::from(index) + 1);
        let gauss = |rng: &mut ChaCha8Rng| {
            // Box and Muller; 1 - u keeps the logarithm finite.
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let span = |rng: &mut ChaCha8Rng, s: Span| s[0] + (s[1] - s[0]) * rng.random::<f64>();
        let relief_seed = rng.random();
        let rms_at_2m_m = span(&mut rng, m.relief_rms_at_2m_m);
        let age_years = span(&mut rng, m.map_age_years);
        let map_sigma_m = (resolution_m / m.map_offset_cells_m).min(1.0)
            * (m.map_offset_sigma_m + m.map_offset_m_per_year * age_years);
        let sigma_m = mission.start_position_sigma_m;
        Self {
            relief: Some(Relief {
                pattern: Fractal::new(
                    relief_seed,
                    1,
                    resolution_m,
                    m.relief_shortest_m,
                    m.relief_hurst,
                ),
                rms_m: rms_at_2m_m * (resolution_m / 2.0).powf(m.relief_hurst),
            }),
            soil_seed: Some(rng.random()),
            start_error_m: [sigma_m * gauss(&mut rng), sigma_m * gauss(&mut rng)],
            start_error_rad: mission.start_heading_sigma_deg.to_radians() * gauss(&mut rng),
            drift: [
                mission.drift_share * gauss(&mut rng),
                mission.drift_share * gauss(&mut rng),
            ],
            drift_rad_per_m: mission.heading_drift_deg_per_m.to_radians() * gauss(&mut rng),
            swerve_m: span(&mut rng, m.swerve_m),
            swerve_wavelength_m: span(&mut rng, m.swerve_wavelength_m),
            swerve_phase_rad: std::f64::consts::TAU * rng.random::<f64>(),
            path_ratio: span(&mut rng, m.path_ratio),
            pace: span(&mut rng, m.pace),
            slip_factor: (m.slip_factor_sigma * gauss(&mut rng)).exp(),
            temperature_k: m.temperature_sigma_k * gauss(&mut rng),
            opacity: Some(span(&mut rng, m.opacity)),
            map_offset_m: [map_sigma_m * gauss(&mut rng), map_sigma_m * gauss(&mut rng)],
        }
    }

    /// Day and weather under these assumptions.
    #[must_use]
    pub fn environment(&self, usual: Environment) -> Environment {
        Environment {
            warmest_c: usual.warmest_c + self.temperature_k,
            coldest_c: usual.coldest_c + self.temperature_k,
            opacity: self.opacity.unwrap_or(usual.opacity),
            ..usual
        }
    }

    /// Where the rover truly is when it believes to stand `[x, y]` heading `yaw_rad`, `distance_m` into the drive and
    /// `since_fix_m` after the last fix: position and heading.
    #[must_use]
    pub fn truth(
        &self,
        believed_m: [f64; 2],
        yaw_rad: f64,
        distance_m: f64,
        since_fix_m: f64,
    ) -> ([f64; 2], f64) {
        // No swerve at the start: the wave grows over the first metres.
        let wave = self.swerve_m
            * (distance_m / 2.0).min(1.0)
            * (std::f64::consts::TAU * distance_m / self.swerve_wavelength_m
                + self.swerve_phase_rad)
                .sin();
        let (s, c) = yaw_rad.sin_cos();
        (
            [
                believed_m[0] + self.start_error_m[0] + self.drift[0] * since_fix_m - s * wave,
                believed_m[1] + self.start_error_m[1] + self.drift[1] * since_fix_m + c * wave,
            ],
            sojourn_core::frames::wrap_rad(
                yaw_rad + self.start_error_rad + self.drift_rad_per_m * since_fix_m,
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{SETTINGS_FILE, Settings};
    use super::*;
    use crate::testing::config;

    #[test]
    fn a_sample_depends_on_seed_and_index_alone() {
        let s = Settings::load(&config(SETTINGS_FILE)).unwrap();
        let draw = |i| Conditions::draw(i, 2.0, &s.monte_carlo, &s.mission);
        let (a, b, c) = (draw(3), draw(3), draw(4));
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
        assert_ne!(format!("{a:?}"), format!("{c:?}"));
    }

    #[test]
    fn draws_have_the_spread_they_claim() {
        let s = Settings::load(&config(SETTINGS_FILE)).unwrap();
        let n = 2000;
        let all: Vec<_> = (0..n)
            .map(|i| Conditions::draw(i, 2.0, &s.monte_carlo, &s.mission))
            .collect();
        let rms = |f: &dyn Fn(&Conditions) -> f64| {
            (all.iter().map(|c| f(c) * f(c)).sum::<f64>() / f64::from(n)).sqrt()
        };
        assert!((rms(&|c| c.drift[0]) / s.mission.drift_share - 1.0).abs() < 0.05);
        assert!(
            (rms(&|c| c.slip_factor.ln()) / s.monte_carlo.slip_factor_sigma - 1.0).abs() < 0.05
        );
        let [lo, hi] = s.monte_carlo.path_ratio;
        assert!(all.iter().all(|c| (lo..=hi).contains(&c.path_ratio)));
    }

    #[test]
    fn a_fine_map_is_registered_better_in_proportion() {
        let s = Settings::load(&config(SETTINGS_FILE)).unwrap();
        let offset =
            |cells_m| Conditions::draw(7, cells_m, &s.monte_carlo, &s.mission).map_offset_m;
        let (yard, orbit, coarse) = (offset(0.1), offset(1.0), offset(20.0));
        assert_ne!(orbit[0], 0.0);
        assert!(
            (yard[0] / orbit[0] - 0.1).abs() < 1e-12 && (yard[1] / orbit[1] - 0.1).abs() < 1e-12
        );
        assert_eq!(orbit, coarse);
    }

    #[test]
    fn the_nominal_truth_is_what_is_believed() {
        let (at, yaw) = Conditions::nominal().truth([3.0, 4.0], 0.5, 20.0, 20.0);
        assert!((at[0] - 3.0).abs() + (at[1] - 4.0).abs() + (yaw - 0.5).abs() < 1e-12);
    }
}
