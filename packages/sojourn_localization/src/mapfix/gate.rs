//! Whether a peak is a fix.

use super::{
    CELL_M, Evidence, Fix, MapFixParams, Prior, covariance,
    refine::Peak,
    search::{APART_M, Coarse},
    shape::Shape,
    tie::Tie,
    window::RELIEF_STEP,
};
use nalgebra::{Matrix3, Vector3};

/// Why there is no fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A value that is not a number where one is needed.
    BadInput,
    /// Too little of the ground was seen.
    LittleSeen,
    /// The map covers too little of the search.
    LittleMap,
    /// Map or view show nothing to go by.
    Featureless,
    /// No place looks like the view.
    Unlike,
    /// Another place looks nearly as much like it.
    Ambiguous,
    /// The two halves of the view are found at different places.
    HalvesDisagree,
    /// Too few places of the view agree.
    FewInliers,
    /// The peak is not sharp.
    Blunt,
    /// The best place lies at the border of the search.
    Border,
    /// The filter can not believe it.
    AgainstPrior,
}

impl Reason {
    /// Whether the image says of no place alone that the view is from there, so that the relief may say it. An image that is clear of
    /// the place and fails a later check contradicts itself, and what is beside the truth there may be the relief's place, too.
    #[must_use]
    pub const fn leaves_open(self) -> bool {
        matches!(self, Self::Unlike | Self::Ambiguous)
    }

    /// One short sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::BadInput => "the prior is not a number",
            Self::LittleSeen => "too little of the ground was seen",
            Self::LittleMap => "the map covers too little of the search",
            Self::Featureless => "map or view show nothing to go by",
            Self::Unlike => "no place on the map looks like the view",
            Self::Ambiguous => "another place looks nearly as much like the view",
            Self::HalvesDisagree => "the two halves of the view are found at different places",
            Self::FewInliers => "too few places of the view agree with the map",
            Self::Blunt => "the peak is not sharp",
            Self::Border => "the best place lies at the border of the search",
            Self::AgainstPrior => "the filter can not believe the place",
        }
    }
}

/// No fix, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct NoFix {
    /// Why.
    pub reason: Reason,
    /// What was seen.
    pub evidence: Box<Evidence>,
}

/// The fix, if the best peak is one.
pub(super) fn judge(
    coarse: &Coarse,
    peaks: &[Peak],
    prior: &Prior,
    params: &MapFixParams,
    mut evidence: Evidence,
) -> Result<Fix, NoFix> {
    let Some(best) = peaks.first() else {
        return Err(NoFix {
            reason: Reason::Unlike,
            evidence: Box::new(evidence),
        });
    };
    let covariance = weigh(coarse, best, peaks, params, &mut evidence);
    let [x_m, y_m] = [
        prior.x_m + best.shift[0] * CELL_M,
        prior.y_m + best.shift[1] * CELL_M,
    ];
    let e = &evidence;
    let away = best.shift.map(|s| s.abs() * CELL_M);
    // As far as the outermost searched heading stands for.
    let yaw_limit = (params.search_yaw_deg + 0.5 * params.yaw_step_deg).to_radians();
    let innovation = Vector3::new(x_m - prior.x_m, y_m - prior.y_m, best.yaw_rad);
    // Each check is written so that not-a-number fails it.
    let checks = [
        (e.score >= params.least_score, Reason::Unlike),
        (e.significance >= params.least_significance, Reason::Unlike),
        (e.peak_ratio >= params.least_peak_ratio, Reason::Ambiguous),
        (
            e.halves_gap_m <= params.greatest_halves_gap_m
                && e.halves_off_m
                    .iter()
                    .all(|v| *v <= params.greatest_halves_off_m),
            Reason::HalvesDisagree,
        ),
        (
            e.inlier_share >= params.least_inlier_share,
            Reason::FewInliers,
        ),
        (
            best.inside
                && away.iter().all(|a| *a <= params.search_m)
                && best.yaw_rad.abs() <= yaw_limit,
            Reason::Border,
        ),
        (e.sigma_m <= params.greatest_sigma_m, Reason::Blunt),
    ];
    if let Some((_, reason)) = checks.iter().find(|c| !c.0) {
        return Err(NoFix {
            reason: *reason,
            evidence: Box::new(evidence),
        });
    }
    let Some(covariance) = covariance else {
        return Err(NoFix {
            reason: Reason::Blunt,
            evidence: Box::new(evidence),
        });
    };
    if prior
        .covariance
        .is_some_and(|p| !believable(&p, &covariance, &innovation, params))
    {
        return Err(NoFix {
            reason: Reason::AgainstPrior,
            evidence: Box::new(evidence),
        });
    }
    Ok(Fix {
        x_m,
        y_m,
        yaw_correction_rad: best.yaw_rad,
        covariance,
        evidence,
    })
}

/// The fix, if the place that the relief says is one and the map ties its relief to its image there. `none` is why the image
/// alone gave none; it stays the answer when the relief gives none either. `seen` is the image's best place, metres from the prior.
pub(super) fn judge_shape(
    shape: &Shape,
    tie: Option<&Tie>,
    prior: &Prior,
    params: &MapFixParams,
    seen: Option<[f64; 2]>,
    none: NoFix,
) -> Result<Fix, NoFix> {
    let e = &shape.evidence;
    let yaw_limit = (params.search_yaw_deg + 0.5 * params.yaw_step_deg).to_radians();
    let Some(tie) = tie else {
        return Err(none);
    };
    let from_prior = [0, 1].map(|k: usize| shape.from_prior_m[k] - tie.shift_m[k]);
    // What the image likes so well can not be passed over.
    let elsewhere = none.evidence.significance >= params.least_significance
        && seen.is_none_or(|s| (s[0] - from_prior[0]).hypot(s[1] - from_prior[1]) > APART_M);
    let mut covariance = shape.covariance;
    for k in 0..2 {
        covariance[(k, k)] += params.map_sigma_m.powi(2) + tie.sigma_m.powi(2);
    }
    let sigma_m = covariance
        .fixed_view::<2, 2>(0, 0)
        .into_owned()
        .symmetric_eigenvalues()
        .max()
        .sqrt();
    // Each check is written so that not-a-number fails it.
    let holds = !elsewhere
        && e.correlation >= params.least_shape
        && e.significance >= params.least_shape_significance
        && e.lead >= params.least_shape_lead
        && e.halves_off_m
            .iter()
            .all(|v| *v <= params.greatest_halves_off_m)
        && shape.inside
        && from_prior.iter().all(|a| a.abs() <= params.search_m)
        && shape.yaw_rad.abs() <= yaw_limit
        && sigma_m <= params.greatest_sigma_m;
    if !holds {
        return Err(none);
    }
    let innovation = Vector3::new(from_prior[0], from_prior[1], shape.yaw_rad);
    if prior
        .covariance
        .is_some_and(|p| !believable(&p, &covariance, &innovation, params))
    {
        return Err(NoFix {
            reason: Reason::AgainstPrior,
            ..none
        });
    }
    let mut evidence = *none.evidence;
    evidence.by_relief = true;
    evidence.sigma_m = sigma_m;
    evidence.relief_offset_m = Some(tie.shift_m);
    evidence.layers_shift_m = Some(tie.shift_m);
    Ok(Fix {
        x_m: prior.x_m + from_prior[0],
        y_m: prior.y_m + from_prior[1],
        yaw_correction_rad: shape.yaw_rad,
        covariance,
        evidence,
    })
}

/// Whether the filter can believe a fix that lies so far from its prior.
fn believable(
    prior: &Matrix3<f64>,
    fix: &Matrix3<f64>,
    innovation: &Vector3<f64>,
    params: &MapFixParams,
) -> bool {
    let chi2 = (prior + fix)
        .cholesky()
        .map(|c| innovation.dot(&c.solve(innovation)));
    chi2.is_some_and(|d| d <= params.greatest_prior_chi2)
}

/// Fills in the evidence and gives the covariance, when the peak has one.
fn weigh(
    coarse: &Coarse,
    best: &Peak,
    peaks: &[Peak],
    params: &MapFixParams,
    e: &mut Evidence,
) -> Option<Matrix3<f64>> {
    let (mean, sigma) = coarse.chance();
    let apart = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) * CELL_M;
    e.score = best.score;
    e.significance = (best.score - mean) / sigma.max(1e-9);
    let second = peaks
        .iter()
        .find(|p| apart(p.shift, best.shift) > 0.7 * APART_M)
        .map_or(mean + sigma, |p| p.score);
    e.peak_ratio = (best.score - mean) / (second - mean).max(0.5 * sigma).max(1e-9);
    e.inlier_share = best.inliers;
    e.halves_gap_m = apart(best.halves[0], best.halves[1]);
    e.halves_off_m = [0, 1].map(|h: usize| {
        let found = coarse.best(1, |l| &l.halves[h]);
        found.first().map_or(f64::INFINITY, |c| {
            apart(c.shift.map(|v| v as f64), best.shift)
        })
    });
    e.mix = [best.mix.own, best.mix.east, best.mix.north];
    e.relief_offset_m = relief_offset(coarse, best);
    let covariance = covariance(best, sigma, params.map_sigma_m);
    e.sigma_m = covariance.map_or(f64::INFINITY, |c| {
        let xy = c.fixed_view::<2, 2>(0, 0).into_owned();
        xy.symmetric_eigenvalues().max().sqrt()
    });
    covariance
}

/// Correlation of the relief that counts as clear.
const CLEAR_RELIEF: f32 = 0.5;
/// How far from the fix the relief is looked for, metres.
const RELIEF_REACH_M: f64 = 7.0;

/// Where the local heights fit the elevation model best near a peak, less the peak, metres.
fn relief_offset(coarse: &Coarse, peak: &Peak) -> Option<[f64; 2]> {
    let layer = coarse.layers.iter().min_by(|a, b| {
        (a.yaw_rad - peak.yaw_rad)
            .abs()
            .total_cmp(&(b.yaw_rad - peak.yaw_rad).abs())
    })?;
    let side = (layer.relief.len() as f64).sqrt().round() as i64;
    let cell_m = RELIEF_STEP as f64 * CELL_M;
    let reach = (RELIEF_REACH_M / cell_m) as i64;
    let at = peak
        .shift
        .map(|s| (s * CELL_M / cell_m).round() as i64 + side / 2);
    let value = |c: i64, r: i64| {
        let inside = c >= 0 && r >= 0 && c < side && r < side;
        inside.then(|| layer.relief[(r * side + c) as usize])
    };
    let mut best: Option<([i64; 2], f32)> = None;
    for r in at[1] - reach..=at[1] + reach {
        for c in at[0] - reach..=at[0] + reach {
            if let Some(v) = value(c, r)
                && best.is_none_or(|b| v > b.1)
            {
                best = Some(([c, r], v));
            }
        }
    }
    let ([c, r], top) = best.filter(|b| b.1 >= CLEAR_RELIEF)?;
    // a fraction of a cell by parabolas along both axes
    let between = |low: Option<f32>, high: Option<f32>| match (low, high) {
        (Some(a), Some(b)) if a + b < 2.0 * top => {
            f64::from(0.5 * (a - b) / (a - 2.0 * top + b)).clamp(-0.5, 0.5)
        }
        _ => 0.0,
    };
    let found = [
        c as f64 + between(value(c - 1, r), value(c + 1, r)),
        r as f64 + between(value(c, r - 1), value(c, r + 1)),
    ];
    Some([0, 1].map(|k: usize| (found[k] - (side / 2) as f64) * cell_m - peak.shift[k] * CELL_M))
}
