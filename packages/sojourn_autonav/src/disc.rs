//! GESTALT-style goodness, a baseline: the ground over a disc of the rover's size, whatever the suspension could do.
//!
//! After Goldberg, Maimone, Matthies, "Stereo vision and rover navigation software for planetary exploration" (2002):
//! tilt of the plane through the disc, and the highest step within it.

use crate::check::Verdict;
use sojourn_core::{
    frames::Pose2,
    limits::{Limits, Share},
    raster::Raster,
    rover::Rover,
    settle::Excess,
    terrain::slope_roughness,
};

/// Cells of the map per cell of the goodness map.
const COARSER: usize = 2;

/// Slope and step over discs.
#[derive(Clone, Debug)]
pub struct Disc {
    slope_deg: Raster,
    step_m: Raster,
}

impl Disc {
    /// Goodness of a window; `None` when it is smaller than one coarse cell.
    #[must_use]
    pub fn new(mean: &Raster, rover: &Rover) -> Option<Self> {
        let (cols, rows) = (mean.cols() / COARSER, mean.rows() / COARSER);
        let res = mean.resolution_m() * COARSER as f64;
        let blank = Raster::filled(cols, rows, res, mean.origin_m(), f32::NAN).ok()?;
        let coarse = blank.like(|c, r| {
            let mut sum = 0.0;
            for dr in 0..COARSER {
                for dc in 0..COARSER {
                    sum += mean.get(c * COARSER + dc, r * COARSER + dr);
                }
            }
            sum / (COARSER * COARSER) as f32
        });
        let radius_m = rover.footprint_radius_m();
        let (slope_deg, _) = slope_roughness(&coarse, radius_m);
        let step = coarse.like(|c, r| {
            let here = coarse.get(c, r);
            let mut most = if here.is_nan() { f32::NAN } else { 0.0 };
            for (dc, dr) in [(1, 0), (0, 1), (1, 1)] {
                let v = (coarse.get(c + dc, r + dr) - here).abs();
                if v > most {
                    most = v;
                }
            }
            most
        });
        let n = (radius_m / res).round() as i64;
        let step_m = step.like(|c, r| {
            let mut most = step.get(c, r);
            for dr in -n..=n {
                for dc in -n..=n {
                    if dc * dc + dr * dr > n * n {
                        continue;
                    }
                    let (Some(cc), Some(rr)) = (
                        c.checked_add_signed(dc as isize),
                        r.checked_add_signed(dr as isize),
                    ) else {
                        continue;
                    };
                    most = most.max(step.get(cc, rr));
                }
            }
            most
        });
        Some(Self { slope_deg, step_m })
    }

    /// Whether the disc at a pose is good.
    #[must_use]
    pub fn verdict(&self, limits: &Limits, share: Share, pose: Pose2) -> Verdict {
        let at = |r: &Raster| r.nearest(pose.x_m, pose.y_m);
        let (Some(slope), Some(step)) = (at(&self.slope_deg), at(&self.step_m)) else {
            return Verdict::Unknown;
        };
        for (limit, value, allowed, share) in [
            ("tilt_deg", slope, limits.tilt_deg, share.tilt),
            ("wheel_drop_m", step, limits.wheel_drop_m, share.rest),
        ] {
            if !(value <= allowed * share) {
                return Verdict::Unsafe(Excess {
                    limit,
                    value,
                    allowed,
                });
            }
        }
        Verdict::Safe {
            tilt_rad: slope.to_radians(),
            clearance_m: f64::INFINITY,
        }
    }
}
