//! Scoring the clearance check against exact settling on finer ground than the map has.

use crate::{
    check::{Checker, Verdict},
    config::Config,
    ground::Ground,
};
use sojourn_core::{
    CoreError, frames::Pose2, limits::Share, raster::Raster, rover::Rover, settle::Settler,
};

/// Counts of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Poses compared.
    pub poses: u64,
    /// Poses at which exact settling on the fine ground keeps every limit.
    pub safe: u64,
    /// Poses that approximate clearance evaluation accepted.
    pub ace_accepted: u64,
    /// Accepted by it, but exact settling breaks a limit: has to stay 0.
    pub ace_accepted_but_unsafe: u64,
    /// Poses that the tiers together accepted.
    pub accepted: u64,
    /// Accepted by the tiers, but exact settling breaks a limit: has to stay 0.
    pub accepted_but_unsafe: u64,
    /// Safe, but rejected by the tiers: what caution costs.
    pub safe_but_rejected: u64,
}

impl Tally {
    /// Sum.
    #[must_use]
    pub fn plus(self, o: Self) -> Self {
        Self {
            poses: self.poses + o.poses,
            safe: self.safe + o.safe,
            ace_accepted: self.ace_accepted + o.ace_accepted,
            ace_accepted_but_unsafe: self.ace_accepted_but_unsafe + o.ace_accepted_but_unsafe,
            accepted: self.accepted + o.accepted,
            accepted_but_unsafe: self.accepted_but_unsafe + o.accepted_but_unsafe,
            safe_but_rejected: self.safe_but_rejected + o.safe_but_rejected,
        }
    }
}

/// Mean, lowest and highest height in cells of `factor` by `factor` fine cells.
///
/// # Errors
/// [`CoreError`] when the fine ground is smaller than one cell.
pub fn coarsened(fine: &Raster, factor: usize) -> Result<[Raster; 3], CoreError> {
    let (cols, rows) = (fine.cols() / factor.max(1), fine.rows() / factor.max(1));
    let res = fine.resolution_m() * factor as f64;
    let blank = Raster::filled(cols, rows, res, fine.origin_m(), f32::NAN)?;
    let fold = |start: f32, f: fn(f32, f32) -> f32| {
        blank.like(|c, r| {
            let mut acc = start;
            for row in r * factor..(r + 1) * factor {
                for col in c * factor..(c + 1) * factor {
                    acc = f(acc, fine.get(col, row));
                }
            }
            acc
        })
    };
    let n = (factor * factor) as f32;
    let sum = fold(0.0, |a, b| a + b);
    Ok([
        sum.like(|c, r| sum.get(c, r) / n),
        fold(f32::INFINITY, f32::min),
        fold(f32::NEG_INFINITY, f32::max),
    ])
}

/// Compares at every pose, on a map of cells of `factor` by `factor` fine ones that holds their mean, lowest and
/// highest height, as a camera without noise would fill it. The map's own uncertainty of the pose is left out on both
/// sides; slip is not looked at. `share` is how much of the limits both tiers may use.
///
/// # Errors
/// [`CoreError`] when the fine ground is smaller than one cell.
pub fn compare(
    config: &Config,
    rover: &Rover,
    fine: &Raster,
    factor: usize,
    share: Share,
    poses: impl Iterator<Item = Pose2>,
) -> Result<Tally, CoreError> {
    let [mean, low, high] = coarsened(fine, factor)?;
    let class = mean.like(|_, _| f32::NAN);
    let exact = Settler::new(rover, config.settle_step_m);
    let ground = Ground::prepare(&[mean, low, high, class], None, 0.0).with_images(
        rover,
        &exact,
        config.swing_m,
        config.planner,
    );
    let mut checker = Checker::new(config, rover);
    let mut out = Tally::default();
    for pose in poses {
        let safe = exact
            .settle(fine, pose)
            .is_some_and(|s| s.excess(&rover.limits, 1.0).is_none());
        let looked = checker.looked(&ground, &rover.limits, share, pose, 0.0);
        let accepted = looked.is_some()
            || matches!(
                checker.verdict(&ground, &rover.limits, share, pose, 0.0),
                Verdict::Safe { .. }
            );
        out = out.plus(Tally {
            poses: 1,
            safe: u64::from(safe),
            ace_accepted: u64::from(looked.is_some()),
            ace_accepted_but_unsafe: u64::from(looked.is_some() && !safe),
            accepted: u64::from(accepted),
            accepted_but_unsafe: u64::from(accepted && !safe),
            safe_but_rejected: u64::from(safe && !accepted),
        });
    }
    Ok(out)
}
