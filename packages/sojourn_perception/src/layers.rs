//! Layers that are worked out from the heights, for people and for planners that take a cost map: slope, roughness,
//! step, the upper envelope, and a hazard with its confidence.
//!
//! Slope and roughness are those of the plane through the square that the rover's wheels span; a step is what rises or
//! falls within a wheel's diameter beyond that slope (Goldberg, Maimone and Matthies 2002, the GESTALT measures). The
//! hazard is the greatest of the three as a share of the rover's own limits. Ground that is not known has no hazard and
//! the confidence 0: it is never safe.

use crate::{
    config::LayerParams,
    map::TerrainGrid,
    plane::{Plane, Sums},
};
use sojourn_core::{CoreError, raster::Raster, rover::Rover};

/// What a rover can take, and over which lengths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Abilities {
    /// Side of the square that the wheels span, metres.
    pub base_m: f64,
    /// Diameter of a wheel, metres.
    pub wheel_m: f64,
    /// Steepest slope, radians.
    pub slope_rad: f64,
    /// Highest step, metres.
    pub step_m: f64,
    /// Greatest roughness, metres.
    pub rough_m: f64,
}

impl Abilities {
    /// As the rover's file says: tilt; the lower of the wheel's drop and its radius; a third of the belly's height less its
    /// clearance, because three standard deviations of the ground may reach the belly.
    #[must_use]
    pub fn of(rover: &Rover) -> Self {
        let s = &rover.suspension;
        let long_m = s.front_hub_m[0] - s.rear_hub_m[0];
        Self {
            base_m: long_m.max(2.0 * s.front_hub_m[1]),
            wheel_m: 2.0 * rover.wheel.radius_m,
            slope_rad: rover.limits.tilt_deg.to_radians(),
            step_m: rover.limits.wheel_drop_m.min(rover.wheel.radius_m),
            rough_m: ((rover.belly.height_m - rover.limits.clearance_m) / 3.0).max(0.01),
        }
    }
}

/// The layers, over the cells of a [`TerrainGrid`]; not-a-number where unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct DerivedLayers {
    /// Highest that the ground may be: what the cell showed at most or two standard deviations, the lower, metres in `odom`.
    pub upper_bound: Raster,
    /// Slope of the ground under the wheels, radians.
    pub slope: Raster,
    /// Root mean square deviation from that slope, metres.
    pub roughness: Raster,
    /// Rise or fall within a wheel's diameter beyond that slope, metres.
    pub step: Raster,
    /// 0 (level) to 1 (at or beyond a limit of the rover).
    pub hazard: Raster,
    /// 0 (nothing known) to 1: share of the square that was seen, times how far below the limits the heights' errors are.
    pub hazard_confidence: Raster,
}

/// Standard deviations to the upper envelope.
const ENVELOPE_SIGMAS: f64 = 2.0;

/// Works the layers out.
///
/// # Errors
/// [`CoreError`] when the layers of the grid do not lie over each other.
pub fn derive(
    grid: &TerrainGrid,
    abilities: &Abilities,
    params: &LayerParams,
) -> Result<DerivedLayers, CoreError> {
    let e = &grid.elevation;
    let res_m = e.resolution_m();
    let reach = (0.5 * abilities.base_m / res_m).round().max(1.0) as usize;
    let wheel = (0.5 * abilities.wheel_m / res_m).round().max(1.0) as usize;
    let sums = Sums::of(e, |_| true);
    let size = e.cols() * e.rows();
    let mut out: [Vec<f32>; 6] = std::array::from_fn(|k| {
        let nothing = if k == 5 { 0.0 } else { f32::NAN };
        vec![nothing; size]
    });
    for row in 0..e.rows() {
        for col in 0..e.cols() {
            let i = row * e.cols() + col;
            if e.get(col, row).is_nan() {
                continue;
            }
            out[0][i] = upper_bound(grid, col, row);
            let Some(plane) = sums.plane(col, row, reach) else {
                continue;
            };
            let slope_rad = (plane.rise_m[0].hypot(plane.rise_m[1]) / res_m).atan();
            let step_m = step(e, col, row, wheel, &plane);
            let found = [
                slope_rad / abilities.slope_rad,
                plane.rough_m / abilities.rough_m,
                step_m / abilities.step_m,
            ];
            out[1][i] = slope_rad as f32;
            out[2][i] = plane.rough_m as f32;
            out[3][i] = step_m as f32;
            let share = plane.known / ((2 * reach + 1) as f64).powi(2);
            let hazard = found.iter().fold(0.0, |a: f64, b| a.max(*b)).min(1.0);
            // With too little known around it, only danger is worth saying.
            if share >= params.known_min || hazard >= 1.0 {
                out[4][i] = hazard as f32;
                let sigma_m = f64::from(grid.variance.get(col, row)).max(0.0).sqrt();
                out[5][i] = (share * (1.0 - (sigma_m / abilities.step_m).min(1.0))) as f32;
            }
        }
    }
    let raster = |data| Raster::new(e.cols(), e.rows(), res_m, e.origin_m(), data);
    let [upper, slope, rough, step, hazard, confidence] = out;
    Ok(DerivedLayers {
        upper_bound: raster(upper)?,
        slope: raster(slope)?,
        roughness: raster(rough)?,
        step: raster(step)?,
        hazard: raster(hazard)?,
        hazard_confidence: raster(confidence)?,
    })
}

fn upper_bound(grid: &TerrainGrid, col: usize, row: usize) -> f32 {
    let mean_m = f64::from(grid.elevation.get(col, row));
    let sigma_m = f64::from(grid.variance.get(col, row)).max(0.0).sqrt();
    let likely_m = mean_m + ENVELOPE_SIGMAS * sigma_m;
    let high_m = f64::from(grid.high.get(col, row));
    let bound_m = if high_m.is_nan() {
        likely_m
    } else {
        high_m.min(likely_m)
    };
    bound_m.max(mean_m) as f32
}

/// Greatest difference to a cell within `reach` cells, beyond what the plane's slope makes of it.
fn step(e: &Raster, col: usize, row: usize, reach: usize, plane: &Plane) -> f64 {
    let here_m = f64::from(e.get(col, row));
    let mut greatest_m = 0.0f64;
    for r in row.saturating_sub(reach)..=(row + reach).min(e.rows() - 1) {
        for c in col.saturating_sub(reach)..=(col + reach).min(e.cols() - 1) {
            let (dc, dr) = (c as f64 - col as f64, r as f64 - row as f64);
            let slope_m = plane.rise_m[0] * dc + plane.rise_m[1] * dr;
            let off_m = (f64::from(e.get(c, r)) - here_m - slope_m).abs();
            // not-a-number is never greater
            if off_m > greatest_m {
                greatest_m = off_m;
            }
        }
    }
    greatest_m
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ABILITIES: Abilities = Abilities {
        base_m: 2.0,
        wheel_m: 0.5,
        slope_rad: 0.436,
        step_m: 0.26,
        rough_m: 0.18,
    };
    const PARAMS: LayerParams = LayerParams { known_min: 0.5 };

    fn grid(height_m: impl Fn(f64, f64) -> f64) -> TerrainGrid {
        crate::testing::grid(4.0, height_m)
    }

    #[test]
    fn a_step_and_what_is_unknown() {
        let g = grid(|x, y| {
            if y > 2.0 {
                f64::NAN
            } else if x > 1.0 {
                0.4
            } else {
                0.0
            }
        });
        let d = derive(&g, &ABILITIES, &PARAMS).unwrap();
        assert_eq!(d.hazard.nearest(1.05, 0.0), Some(1.0), "at the step");
        assert!(d.hazard.nearest(-3.0, -3.0).unwrap() < 0.01, "far from it");
        assert!(d.step.nearest(0.85, 0.0).unwrap() > 0.26);
        assert_eq!(d.hazard.nearest(0.0, 3.0), None);
        assert_eq!(d.hazard_confidence.nearest(0.0, 3.0), Some(0.0));
        // The upper envelope stays below what was seen at most.
        assert_eq!(d.upper_bound.nearest(-3.0, -3.0), Some(0.0));
    }

    #[test]
    fn little_that_is_known_is_not_called_safe() {
        let g = grid(|x, y| if x.hypot(y) < 0.35 { 0.0 } else { f64::NAN });
        let d = derive(&g, &ABILITIES, &PARAMS).unwrap();
        assert!(d.hazard.min_max().is_none());
        assert_eq!(d.hazard_confidence.min_max(), Some((0.0, 0.0)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        /// A plane has its slope everywhere, no roughness and no step.
        #[test]
        fn a_plane_is_a_plane(gx in -0.5..0.5f64, gy in -0.5..0.5f64, z in -1e3..1e3f64) {
            let d = derive(&grid(|x, y| z + gx * x + gy * y), &ABILITIES, &PARAMS).unwrap();
            let slope = gx.hypot(gy).atan();
            for s in d.slope.data() {
                prop_assert!((f64::from(*s) - slope).abs() < 2e-3, "{} for {}", s, slope);
            }
            for (r, s) in d.roughness.data().iter().zip(d.step.data()) {
                prop_assert!(*r < 2e-3 && *s < 2e-3, "{} {}", r, s);
            }
        }

        /// Hazard lies in 0..=1 exactly where there is a confidence above 0, whatever is known.
        #[test]
        fn hazard_and_confidence_go_together(holes in prop::collection::vec(0usize..6400, 0..6000), seed in 0.0..9.0f64) {
            let mut g = grid(|x, y| 0.3 * (3.0 * x + seed).sin() * (2.0 * y).cos());
            for i in holes {
                g.elevation.set(i % 80, i / 80, f32::NAN);
            }
            let d = derive(&g, &ABILITIES, &PARAMS).unwrap();
            for i in 0..6400 {
                let (h, c) = (d.hazard.data()[i], d.hazard_confidence.data()[i]);
                prop_assert!(h.is_nan() == (c == 0.0));
                prop_assert!(h.is_nan() || ((0.0..=1.0).contains(&h) && c <= 1.0));
                prop_assert!(!g.elevation.data()[i].is_nan() || h.is_nan());
            }
        }
    }
}
