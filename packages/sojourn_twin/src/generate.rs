//! A made-up site: a gentle regional slope, fractal relief, a few worn craters and some fields of ripples.

use crate::{
    TwinError,
    noise::{self, Fractal},
};
use sojourn_core::{
    body::Body,
    error::in_range,
    raster::Raster,
    site::{ELEVATION, Manifest, ORTHO, SITE_SCHEMA_VERSION, Site},
};
use std::collections::BTreeMap;

/// What a generated site looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GenerateParams {
    /// Extent east and north, metres.
    pub size_m: [f64; 2],
    /// Size of a cell, metres.
    pub resolution_m: f64,
    /// Tilt of the regional plane, degrees; its direction comes from the seed.
    pub slope_deg: f64,
    /// Relief on top: root mean square of the slope over 2 m, degrees.
    pub relief_rms_deg: f64,
    /// Craters of 8 to 30 m.
    pub craters: usize,
    /// Fields of sand ripples.
    pub ripple_fields: usize,
}

impl GenerateParams {
    /// The site of the demo: 320 m × 320 m of 1 m cells, 2° regional slope, 3° relief, six craters, four fields of
    /// ripples.
    #[must_use]
    pub const fn demo() -> Self {
        Self {
            size_m: [320.0, 320.0],
            resolution_m: 1.0,
            slope_deg: 2.0,
            relief_rms_deg: 3.0,
            craters: 6,
            ripple_fields: 4,
        }
    }

    fn check(&self) -> Result<(), TwinError> {
        let what = "generated site";
        in_range(what, "resolution_m", self.resolution_m, 0.01, 100.0)?;
        for (name, v) in [("width", self.size_m[0]), ("height", self.size_m[1])] {
            in_range(
                what,
                name,
                v,
                4.0 * self.resolution_m,
                20_000.0 * self.resolution_m,
            )?;
        }
        in_range(what, "slope_deg", self.slope_deg, 0.0, 40.0)?;
        in_range(what, "relief_rms_deg", self.relief_rms_deg, 0.0, 20.0)?;
        in_range(what, "craters", self.craters as f64, 0.0, 10_000.0)?;
        in_range(
            what,
            "ripple_fields",
            self.ripple_fields as f64,
            0.0,
            10_000.0,
        )?;
        Ok(())
    }
}

mod channel {
    pub const RELIEF: u64 = 0x11;
    pub const SLOPE: u64 = 0x12;
    pub const CRATER: u64 = 0x13;
    pub const RIPPLE: u64 = 0x14;
    pub const BRIGHTNESS: u64 = 0x15;
}

/// Exponent of the relief's growth with length (Hurst's), as HiRISE elevation shows it.
const HURST: f64 = 0.7;

/// Makes a site with the layers elevation (metres) and ortho (0 to 1). The same arguments give the same bits.
///
/// # Errors
/// [`TwinError::Core`] that names the parameter out of range.
pub fn generate(seed: u64, body: &Body, params: &GenerateParams) -> Result<Site, TwinError> {
    params.check()?;
    let res = params.resolution_m;
    let cols = (params.size_m[0] / res).round() as usize;
    let rows = (params.size_m[1] / res).round() as usize;
    let mut elevation = Raster::filled(cols, rows, res, [0.0, 0.0], 0.0)?;

    let relief = Fractal::new(seed, channel::RELIEF, 96.0, (2.0 * res).max(1.5), HURST);
    let scale_m = relief_scale_m(&relief, params);
    let toward = std::f64::consts::TAU * noise::unit(noise::hash(seed, channel::SLOPE, 0, 0));
    let grade = params.slope_deg.to_radians().tan();
    let (gx, gy) = (grade * toward.cos(), grade * toward.sin());
    let craters = craters(seed, params);
    let ripples = ripple_fields(seed, params);
    let height = |x: f64, y: f64| {
        let plane = gx * (x - 0.5 * params.size_m[0]) + gy * (y - 0.5 * params.size_m[1]);
        plane
            + scale_m * relief.at(x, y)
            + craters.iter().map(|c| c.height_m(x, y)).sum::<f64>()
            + ripples.iter().map(|r| r.height_m(x, y)).sum::<f64>()
    };
    elevation = elevation.like(|c, r| {
        let [x, y] = elevation.centre_m(c, r);
        height(x, y) as f32
    });

    let ortho = ortho(seed, &elevation, &ripples);
    let mut site = Site {
        manifest: Manifest {
            schema_version: SITE_SCHEMA_VERSION,
            name: format!("generated-{seed}"),
            body: body.clone(),
            crs: "LOCAL".into(),
            map_origin_crs: [0.0, 0.0],
            metres_per_crs_unit: [1.0, 1.0],
            z_datum_m: 0.0,
            layers: BTreeMap::new(),
        },
        layers: BTreeMap::new(),
    };
    let source = format!("generated, seed {seed}");
    site.put(ELEVATION, elevation, "m", &source);
    site.put(ORTHO, ortho, "1", &source);
    Ok(site)
}

/// The height that makes the root mean square slope over 2 m the one that was asked for, measured on the relief itself.
fn relief_scale_m(relief: &Fractal, params: &GenerateParams) -> f64 {
    let (mut n, mut sum) = (0.0, 0.0);
    for i in 0..64 {
        for j in 0..64 {
            let (x, y) = (
                params.size_m[0] * (f64::from(i) + 0.5) / 64.0,
                params.size_m[1] * (f64::from(j) + 0.5) / 64.0,
            );
            let here = relief.at(x, y);
            for there in [relief.at(x + 2.0, y), relief.at(x, y + 2.0)] {
                sum += (there - here) * (there - here);
                n += 1.0;
            }
        }
    }
    let rms_per_m = (sum / n).sqrt() / 2.0;
    if rms_per_m > 0.0 {
        params.relief_rms_deg.to_radians().tan() / rms_per_m
    } else {
        0.0
    }
}

/// A worn crater: a parabola for a bowl, a low rim that fades outside.
struct Crater {
    x_m: f64,
    y_m: f64,
    radius_m: f64,
    depth_m: f64,
    rim_m: f64,
}

impl Crater {
    fn height_m(&self, x: f64, y: f64) -> f64 {
        let q = (x - self.x_m).hypot(y - self.y_m) / self.radius_m;
        if q < 1.0 {
            self.rim_m - (self.depth_m + self.rim_m) * (1.0 - q * q)
        } else if q < 3.0 {
            self.rim_m * (-(q - 1.0) * (q - 1.0) / 0.18).exp()
        } else {
            0.0
        }
    }
}

fn craters(seed: u64, params: &GenerateParams) -> Vec<Crater> {
    (0..params.craters as i64)
        .map(|i| {
            let u = |k: i64| noise::unit(noise::hash(seed, channel::CRATER, i, k));
            // N(>D) ~ D^-2.8 from 8 to 30 m
            let d = |p: f64| p.powf(-2.8);
            let diameter_m = (d(8.0) + u(2) * (d(30.0) - d(8.0))).powf(-1.0 / 2.8);
            Crater {
                x_m: u(0) * params.size_m[0],
                y_m: u(1) * params.size_m[1],
                radius_m: 0.5 * diameter_m,
                depth_m: diameter_m * (0.06 + 0.06 * u(3)),
                rim_m: diameter_m * 0.02,
            }
        })
        .collect()
}

/// A patch of sand with ripples across one direction.
struct Ripples {
    x_m: f64,
    y_m: f64,
    radius_m: f64,
    per_m: [f64; 2],
    phase: f64,
    amplitude_m: f64,
}

impl Ripples {
    fn share(&self, x: f64, y: f64) -> f64 {
        let q = (x - self.x_m).hypot(y - self.y_m) / self.radius_m;
        if q < 1.0 {
            (1.0 - q * q) * (1.0 - q * q)
        } else {
            0.0
        }
    }

    fn height_m(&self, x: f64, y: f64) -> f64 {
        let share = self.share(x, y);
        if share == 0.0 {
            return 0.0;
        }
        let phase = std::f64::consts::TAU * (x * self.per_m[0] + y * self.per_m[1]) + self.phase;
        share * self.amplitude_m * phase.sin()
    }
}

fn ripple_fields(seed: u64, params: &GenerateParams) -> Vec<Ripples> {
    (0..params.ripple_fields as i64)
        .map(|i| {
            let u = |k: i64| noise::unit(noise::hash(seed, channel::RIPPLE, i, k));
            let (wavelength_m, dir) = (4.0 + 3.0 * u(3), std::f64::consts::TAU * u(4));
            Ripples {
                x_m: u(0) * params.size_m[0],
                y_m: u(1) * params.size_m[1],
                radius_m: 15.0 + 20.0 * u(2),
                per_m: [dir.cos() / wavelength_m, dir.sin() / wavelength_m],
                phase: std::f64::consts::TAU * u(5),
                amplitude_m: 0.06 + 0.08 * u(6),
            }
        })
        .collect()
}

/// Brightness as a camera in orbit sees it: sun in the west at 35°, ground a little uneven in tone, ripples dark.
fn ortho(seed: u64, elevation: &Raster, ripples: &[Ripples]) -> Raster {
    let tone = Fractal::new(seed, channel::BRIGHTNESS, 40.0, 2.0, 0.5);
    let res = elevation.resolution_m();
    let (sun_up, sun_west) = (35f64.to_radians().sin(), 35f64.to_radians().cos());
    elevation.like(|c, r| {
        let east = f64::from(elevation.get((c + 1).min(elevation.cols() - 1), r));
        let west = f64::from(elevation.get(c.saturating_sub(1), r));
        let north = f64::from(elevation.get(c, (r + 1).min(elevation.rows() - 1)));
        let south = f64::from(elevation.get(c, r.saturating_sub(1)));
        let (gx, gy) = ((east - west) / (2.0 * res), (north - south) / (2.0 * res));
        let lambert = (sun_up + gx * sun_west) / (1.0 + gx * gx + gy * gy).sqrt();
        let [x, y] = elevation.centre_m(c, r);
        let dark = ripples.iter().map(|p| p.share(x, y)).fold(0.0, f64::max);
        let albedo = 0.75 + 0.06 * tone.at(x, y) - 0.2 * dark;
        (albedo * lambert).clamp(0.0, 1.0) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mars() -> Body {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/bodies");
        Body::load(&dir.join("mars.yaml")).unwrap()
    }

    #[test]
    fn a_seed_is_a_site() {
        let p = GenerateParams {
            size_m: [120.0, 90.0],
            ..GenerateParams::demo()
        };
        let a = generate(5, &mars(), &p).unwrap();
        assert_eq!(a, generate(5, &mars(), &p).unwrap());
        assert_ne!(
            a.terrain_digest().unwrap(),
            generate(6, &mars(), &p).unwrap().terrain_digest().unwrap()
        );
        assert_eq!(
            (a.elevation().unwrap().cols(), a.elevation().unwrap().rows()),
            (120, 90)
        );
        let (lo, hi) = a.layer(ORTHO).unwrap().min_max().unwrap();
        assert!(lo >= 0.0 && hi <= 1.0 && hi - lo > 0.1);
    }

    #[test]
    fn relief_and_slope_are_those_asked_for() {
        let plain = GenerateParams {
            craters: 0,
            ripple_fields: 0,
            ..GenerateParams::demo()
        };
        for seed in [1, 2, 3] {
            let site = generate(seed, &mars(), &plain).unwrap();
            let e = site.elevation().unwrap();
            let (mut n, mut sum, mut gx, mut gy) = (0.0, 0.0, 0.0, 0.0);
            for r in 0..318 {
                for c in 0..318 {
                    let z = f64::from(e.get(c, r));
                    let (dx, dy) = (
                        (f64::from(e.get(c + 2, r)) - z) / 2.0,
                        (f64::from(e.get(c, r + 2)) - z) / 2.0,
                    );
                    sum += dx * dx + dy * dy;
                    gx += dx;
                    gy += dy;
                    n += 1.0;
                }
            }
            let (gx, gy) = (gx / n, gy / n);
            let rms_deg = (0.5 * (sum / n - gx * gx - gy * gy))
                .sqrt()
                .atan()
                .to_degrees();
            assert!((rms_deg - 3.0).abs() < 0.3, "{rms_deg}");
            assert!((gx.hypot(gy).atan().to_degrees() - 2.0).abs() < 1.0);
        }
    }

    #[test]
    fn absurd_parameters_are_named() {
        let bad = GenerateParams {
            relief_rms_deg: f64::NAN,
            ..GenerateParams::demo()
        };
        assert!(
            generate(1, &mars(), &bad)
                .unwrap_err()
                .to_string()
                .contains("relief_rms_deg")
        );
        let bad = GenerateParams {
            size_m: [1e9, 10.0],
            ..GenerateParams::demo()
        };
        assert!(generate(1, &mars(), &bad).is_err());
    }
}
