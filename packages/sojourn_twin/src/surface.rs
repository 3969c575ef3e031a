//! What kinds of ground look and feel like below the resolution of an elevation model: ripples of sand, plates of
//! bedrock, small craters, their brightness and how many rocks lie on them.

use crate::{
    craters::{Crater, CraterField},
    noise::{self, Fractal},
};
use serde::{Deserialize, Serialize};
use sojourn_core::{classes::TerrainClass, raster::Raster};
use std::{collections::BTreeMap, f64::consts::TAU};

/// Ripples of sand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RippleParams {
    /// From crest to crest, metres.
    pub wavelength_m: f64,
    /// Height from trough to crest as a share of the wavelength.
    pub height_ratio: f64,
    /// Direction across the crests, degrees counter-clockwise from east.
    pub across_deg: f64,
}

/// Plates of bedrock with cracks between.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateParams {
    /// Size of a plate, metres.
    pub size_m: f64,
    /// Greatest step between neighbours on bedrock, metres; outcrop has three times as much.
    pub step_m: f64,
    /// Depth of the cracks, metres.
    pub crack_m: f64,
}

/// Small craters and the large ones of a generated world.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CraterParams {
    /// Craters of 10 m and more on a square kilometre; the others follow from the law of sizes.
    pub per_km2_over_10m: f64,
    /// Least diameter, metres.
    pub least_m: f64,
    /// Greatest diameter, metres.
    pub greatest_m: f64,
}

/// A surface's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct SurfaceParams {
    /// Seed of all patterns.
    pub seed: u64,
    /// Ripples where the class is sand ripples.
    pub ripples: RippleParams,
    /// Plates where it is bedrock or outcrop.
    pub plates: PlateParams,
    /// Craters.
    pub craters: CraterParams,
    /// Rocks relative to the average, by class; 1 for a class that is not named.
    pub rock_weights: BTreeMap<TerrainClass, f64>,
}

mod channel {
    pub const WARP_X: u64 = 0x41;
    pub const WARP_Y: u64 = 0x42;
    pub const MEANDER: u64 = 0x43;
    pub const SWELL: u64 = 0x44;
    pub const PLATE: u64 = 0x45;
}

/// Width of the cracks between plates, metres.
const CRACK_WIDTH_M: f64 = 0.12;
/// Steps of outcrop relative to those of bedrock.
const OUTCROP_STEPS: f64 = 3.0;
/// Tilt of plates, slope.
const PLATE_TILT: f64 = 0.04;
/// How far the borders between classes wander about the raster's cells, in cells.
const WARP_CELLS: f64 = 0.7;

/// The kinds of ground over a region.
#[derive(Clone, Debug)]
pub struct Surface {
    params: SurfaceParams,
    codes: Vec<u8>,
    /// Whether a border between classes is near a cell; away from borders much need not be worked out.
    near_border: Vec<bool>,
    classes: Raster,
    ripple_share: Raster,
    loose_share: Raster,
    bedrock_share: Raster,
    outcrop_share: Raster,
    warp: [Fractal; 2],
    meander: Fractal,
    swell: Fractal,
    across: [f64; 2],
    craters: CraterField,
}

/// What a surface adds at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detail {
    /// Height to add, metres.
    pub rise_m: f64,
    /// How rough the ground is relative to the usual.
    pub roughness: f64,
    /// What it is made of.
    pub class: TerrainClass,
}

/// Albedo of a class.
#[must_use]
pub fn albedo(class: TerrainClass) -> f64 {
    match class {
        TerrainClass::Bedrock => 0.27,
        TerrainClass::Outcrop => 0.25,
        TerrainClass::BoulderField | TerrainClass::CraterOrScarp => 0.21,
        TerrainClass::SandRipples => 0.15,
        TerrainClass::LooseSoil => 0.235,
        TerrainClass::SmoothRegolith | TerrainClass::ShadowOrNoData | TerrainClass::Unknown => 0.22,
    }
}

impl Surface {
    /// From the raster of class codes ([`TerrainClass::code`]; anything else is unknown) of a site whose elevation has
    /// cells of `dtm_resolution_m`: larger things than four of them are in the elevation already.
    #[must_use]
    pub fn new(params: SurfaceParams, classes: &Raster, dtm_resolution_m: f64) -> Self {
        let codes: Vec<u8> = classes
            .data()
            .iter()
            .map(|v| {
                let known = v.is_finite() && *v >= 0.0 && *v < 255.0;
                let code = if known { v.round() as u8 } else { u8::MAX };
                TerrainClass::from_code(code)
                    .unwrap_or(TerrainClass::Unknown)
                    .code()
            })
            .collect();
        let share = |class: TerrainClass| {
            let is = classes
                .like(|c, r| f32::from(u8::from(codes[r * classes.cols() + c] == class.code())));
            softened(&softened(&is))
        };
        let seed = params.seed;
        let cell_m = classes.resolution_m();
        let wave = |channel| Fractal::new(seed, channel, 4.0 * cell_m, 0.5 * cell_m, 0.8);
        let c = params.craters;
        let direction = params.ripples.across_deg.to_radians();
        Self {
            ripple_share: share(TerrainClass::SandRipples),
            loose_share: share(TerrainClass::LooseSoil),
            bedrock_share: share(TerrainClass::Bedrock),
            outcrop_share: share(TerrainClass::Outcrop),
            warp: [wave(channel::WARP_X), wave(channel::WARP_Y)],
            meander: Fractal::new(seed, channel::MEANDER, 9.0, 4.0, 0.8),
            swell: Fractal::new(seed, channel::SWELL, 14.0, 6.0, 0.8),
            across: [direction.cos(), direction.sin()],
            craters: CraterField::new(
                seed,
                c.per_km2_over_10m,
                c.least_m,
                c.greatest_m.min(4.0 * dtm_resolution_m),
            ),
            near_border: near_border(&codes, classes.cols(), classes.rows()),
            codes,
            classes: classes.clone(),
            params,
        }
    }

    /// The small craters that matter to a rectangle, to be handed to [`Surface::at`].
    #[must_use]
    pub fn craters_near(&self, bbox_m: [f64; 4]) -> Vec<Crater> {
        self.craters.near(bbox_m)
    }

    /// The class at a place; unknown outside.
    #[must_use]
    pub fn class_at(&self, x_m: f64, y_m: f64) -> TerrainClass {
        let wander = WARP_CELLS * self.classes.resolution_m();
        let (x, y) = (
            x_m + wander * self.warp[0].at(x_m, y_m),
            y_m + wander * self.warp[1].at(x_m, y_m),
        );
        // Beyond the last cell's centre the border may wander off the raster: there the place itself counts.
        let cell = self
            .classes
            .cell_of(x, y)
            .or_else(|| self.classes.cell_of(x_m, y_m));
        let code = cell.map(|(c, r)| self.codes[r * self.classes.cols() + c]);
        code.and_then(TerrainClass::from_code)
            .unwrap_or(TerrainClass::Unknown)
    }

    /// How many times the usual number of rocks lie around a place.
    #[must_use]
    pub fn rock_weight(&self, x_m: f64, y_m: f64) -> f64 {
        let code = self
            .classes
            .cell_of(x_m, y_m)
            .map(|(c, r)| self.codes[r * self.classes.cols() + c]);
        let class = code
            .and_then(TerrainClass::from_code)
            .unwrap_or(TerrainClass::Unknown);
        self.params.rock_weights.get(&class).copied().unwrap_or(1.0)
    }

    /// What is added at a place.
    #[must_use]
    pub fn at(&self, x_m: f64, y_m: f64, craters: &[Crater]) -> Detail {
        let (class, [sand, loose, bedrock, outcrop]) = self.kinds(x_m, y_m);
        let mut rise_m: f64 = craters.iter().map(|c| c.height_m(x_m, y_m)).sum();
        if sand > 0.0 {
            rise_m += sand * self.ripple_m(x_m, y_m);
        }
        if bedrock + outcrop > 0.0 {
            rise_m += self.plate_m(x_m, y_m, bedrock, outcrop);
        }
        Detail {
            rise_m,
            roughness: (1.0 - 0.6 * (bedrock + sand + loose) + 0.3 * outcrop).max(0.2),
            class,
        }
    }

    /// The class at a place and the shares of ripples, loose soil, bedrock and outcrop around it.
    fn kinds(&self, x_m: f64, y_m: f64) -> (TerrainClass, [f64; 4]) {
        let cell = self
            .classes
            .cell_of(x_m, y_m)
            .map(|(c, r)| r * self.classes.cols() + c);
        if let Some(k) = cell.filter(|k| !self.near_border[*k]) {
            let class = TerrainClass::from_code(self.codes[k]).unwrap_or(TerrainClass::Unknown);
            let is = |c: TerrainClass| f64::from(u8::from(c == class));
            return (
                class,
                [
                    is(TerrainClass::SandRipples),
                    is(TerrainClass::LooseSoil),
                    is(TerrainClass::Bedrock),
                    is(TerrainClass::Outcrop),
                ],
            );
        }
        let share = |r: &Raster| r.sample(x_m, y_m).unwrap_or(0.0);
        (
            self.class_at(x_m, y_m),
            [
                share(&self.ripple_share),
                share(&self.loose_share),
                share(&self.bedrock_share),
                share(&self.outcrop_share),
            ],
        )
    }

    /// Sharp crests and broad troughs, mean 0; they meander and swell.
    fn ripple_m(&self, x_m: f64, y_m: f64) -> f64 {
        let p = &self.params.ripples;
        let along = x_m * self.across[0] + y_m * self.across[1];
        let phase = TAU * along / p.wavelength_m + 1.5 * self.meander.at(x_m, y_m);
        // mean of 1 − |sin| is 1 − 2/π
        let profile = (2.0 / std::f64::consts::PI) - (0.5 * phase).sin().abs();
        let swell = (0.85 + 0.25 * self.swell.at(x_m, y_m)).clamp(0.3, 1.3);
        p.height_ratio * p.wavelength_m * swell * profile
    }

    /// Voronoi cells of a jittered grid, each with a height and a tilt of its own, cracks along their borders.
    fn plate_m(&self, x_m: f64, y_m: f64, bedrock: f64, outcrop: f64) -> f64 {
        let p = &self.params.plates;
        let (gx, gy) = (x_m / p.size_m, y_m / p.size_m);
        let (ix, iy) = (gx.floor() as i64, gy.floor() as i64);
        let mut nearest = (f64::INFINITY, 0u64, [0.0; 2]);
        let mut second = f64::INFINITY;
        for jy in iy - 1..=iy + 1 {
            for jx in ix - 1..=ix + 1 {
                let h = noise::hash(self.params.seed, channel::PLATE, jx, jy);
                let part = |shift: u32| 0.1 + 0.8 * f64::from((h >> shift) as u16) / 65536.0;
                let centre = [jx as f64 + part(0), jy as f64 + part(16)];
                let d = (gx - centre[0]).hypot(gy - centre[1]);
                if d < nearest.0 {
                    second = nearest.0;
                    nearest = (d, h, centre);
                } else {
                    second = second.min(d);
                }
            }
        }
        let (d, h, centre) = nearest;
        let part = |shift: u32| f64::from((h >> shift) as u16) / 32768.0 - 1.0;
        let step = 0.5 * p.step_m * part(32);
        let turn = TAU * part(48);
        let tilt =
            PLATE_TILT * p.size_m * ((gx - centre[0]) * turn.cos() + (gy - centre[1]) * turn.sin());
        let gap_m = (second - d) * p.size_m;
        let crack = p.crack_m * (1.0 - gap_m / CRACK_WIDTH_M).max(0.0);
        let rock = (bedrock + outcrop).min(1.0);
        (bedrock + OUTCROP_STEPS * outcrop) * step + rock * (tilt - crack)
    }
}

/// Cells within this distance of another class are near a border: as far as borders wander and shares are softened.
const BORDER_CELLS: usize = 3;

fn near_border(codes: &[u8], cols: usize, rows: usize) -> Vec<bool> {
    let span = |v: usize, n: usize| v.saturating_sub(BORDER_CELLS)..(v + BORDER_CELLS + 1).min(n);
    (0..codes.len())
        .map(|k| {
            let (c, r) = (k % cols, k / cols);
            span(r, rows).any(|r| span(c, cols).any(|c| codes[r * cols + c] != codes[k]))
        })
        .collect()
}

/// The mean over three by three cells.
fn softened(raster: &Raster) -> Raster {
    let (cols, rows) = (raster.cols(), raster.rows());
    let line = |v: usize, n: usize| v.saturating_sub(1)..(v + 2).min(n);
    let wide = raster.like(|c, r| {
        let span = line(c, cols);
        let n = span.len() as f32;
        span.map(|c| raster.get(c, r)).sum::<f32>() / n
    });
    wide.like(|c, r| {
        let span = line(r, rows);
        let n = span.len() as f32;
        span.map(|r| wide.get(c, r)).sum::<f32>() / n
    })
}
