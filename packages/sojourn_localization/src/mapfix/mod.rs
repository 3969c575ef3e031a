//! Where the rover is on the orbital map: its own view from above matched to image and elevation.
//!
//! [`view`] makes points of stereo pairs. [`PatchBuilder`] gathers what stereo pairs saw into an orthoimage and a height patch of [`CELL_M`] cells; [`fix`] looks
//! for it within a square around the [`Prior`] and a range of headings, and answers with a [`Fix`] or with why there is
//! none. The way is that of JPL's Censible (Nash et al., IEEE Aerospace 2024) in its principle, a modified census transform;
//! everything else is this module's own:
//!
//! 1. The local view's own shading is taken out of its brightness with its own heights, and the map's put in; both suns are
//!    found by least squares ([`relight`]).
//! 2. Census codes with a dead band at three scales, compared by counting bits ([`census`]).
//! 3. A coarse search over the whole square and all headings, with the slopes of the relief beside the image when candidates
//!    are chosen ([`search`]); then the candidates at full resolution, the mix of own brightness and shading fitted to each
//!    ([`refine`]).
//! 4. The gate ([`gate`]): a fix has to stand out from chance and from every other place, have a sharp peak, be found again
//!    by each half of the view alone, and be what the filter can believe. Else there is none.
//!
//! The image decides where the rover is. Where the map's relief lies beside its image, the fix says by how much. Where the
//! map's image shows too little of what the view shows (a coarse image, ground of another tone), the view's shape may find
//! the place on the map's relief ([`shape`]), and what image and relief of the map show alike around it ([`tie()`]) brings
//! that place to the image.

mod census;
mod gate;
mod params;
mod patch;
mod plane;
mod refine;
mod relight;
mod search;
mod shape;
#[cfg(test)]
mod tests;
mod tie;
pub mod view;
mod window;

pub use gate::{NoFix, Reason};
pub use params::MapFixParams;
pub use patch::{LocalPatch, LocalPoint, PatchBuilder};
pub use shape::ShapeEvidence;
pub use tie::{Common, TIE_BANDS_M, TIE_REACH_M, Tie, tie};

use nalgebra::{Matrix2, Matrix3};
use refine::{Pair, Peak};
use relight::{LocalView, Mix};
use search::{Candidate, Coarse};
use serde::Serialize;
use sojourn_core::raster::Raster;
use window::MapWindow;

/// Size of the matcher's cells, metres.
pub const CELL_M: f64 = 0.25;

/// A scale of the census: smoothing before it and distance of its samples.
#[derive(Clone, Copy, Debug)]
struct Scale {
    smooth_m: f64,
    /// Cells.
    spacing: usize,
}

/// From fine to coarse: windows of 2, 4 and 8 m.
const SCALES: [Scale; 3] = [
    Scale {
        smooth_m: 0.2,
        spacing: 1,
    },
    Scale {
        smooth_m: 0.35,
        spacing: 2,
    },
    Scale {
        smooth_m: 0.7,
        spacing: 4,
    },
];
/// The image is compared within this of the rover, metres; what is seen farther off has a shape, but hardly an image.
const NEAR_M: f64 = 22.0;
/// Cells of the window beyond search and patch.
const MARGIN: usize = 8;

/// Where the rover believes it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// East in `map`, metres.
    pub x_m: f64,
    /// North in `map`, metres.
    pub y_m: f64,
    /// Covariance of the filter's x, y (metres) and yaw (radians), when it stands by it: a fix it can not believe is refused.
    pub covariance: Option<Matrix3<f64>>,
}

/// A fix.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// East in `map`, metres.
    pub x_m: f64,
    /// North in `map`, metres.
    pub y_m: f64,
    /// To be added to the heading that the local frame was made with, radians.
    pub yaw_correction_rad: f64,
    /// Covariance of x, y (metres) and yaw (radians): from the peak's curvature and the scatter of scores elsewhere, with the
    /// map's own registration.
    pub covariance: Matrix3<f64>,
    /// What it stands on.
    pub evidence: Evidence,
}

/// What a fix, or its refusal, stands on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evidence {
    /// Area of the local view, square metres.
    pub seen_m2: f64,
    /// Share of the searched map with an image.
    pub map_share: f64,
    /// Deviation of the map's contrast.
    pub map_contrast: f64,
    /// Score of the best place, −1 to 1.
    pub score: f64,
    /// In deviations of the scores over the whole search from their mean.
    pub significance: f64,
    /// Excess over chance, best place to second best.
    pub peak_ratio: f64,
    /// Share of the view's places that agree.
    pub inlier_share: f64,
    /// Distance of the best places of the two halves of the view near the fix, metres.
    pub halves_gap_m: f64,
    /// Distance of each half's best place in the whole search from the fix, metres.
    pub halves_off_m: [f64; 2],
    /// Greatest deviation of the position, metres.
    pub sigma_m: f64,
    /// Where the local heights fit the elevation model best, less the fix, metres; when that is clear.
    pub relief_offset_m: Option<[f64; 2]>,
    /// Where the map's relief fits its own image, metres to be added to a place of the image; when that is clear.
    pub layers_shift_m: Option<[f64; 2]>,
    /// Mix of own brightness and shading east and north at the best place.
    pub mix: [f64; 3],
    /// Whether the relief said the place, for the image alone did not.
    pub by_relief: bool,
    /// What the relief said; looked at when the image alone gives no fix.
    pub shape: Option<ShapeEvidence>,
    /// What the map's image and relief have in common around that place.
    pub layers: Option<Common>,
}

/// Scores over the search square for a picture: greatest over the headings.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreMap {
    /// Shifts along a side.
    pub side: usize,
    /// Distance of the shifts, metres.
    pub step_m: f64,
    /// South row first; the middle is the prior.
    pub scores: Vec<f32>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The fix, or why there is none.
    pub fix: Result<Fix, NoFix>,
    /// The scores, when the search took place.
    pub scores: Option<ScoreMap>,
}

/// Looks for the local view on the map.
///
/// Brightness of the image may be in any unit linear in light and above 0; not-a-number is "no data" in both layers.
#[must_use]
pub fn fix(
    ortho: &Raster,
    elevation: &Raster,
    patch: &LocalPatch,
    prior: &Prior,
    params: &MapFixParams,
) -> Outcome {
    let refused = |reason, evidence| Outcome {
        fix: Err(NoFix {
            reason,
            evidence: Box::new(evidence),
        }),
        scores: None,
    };
    let mut evidence = Evidence {
        seen_m2: patch.seen_m2(),
        ..Evidence::default()
    };
    if !(prior.x_m.is_finite() && prior.y_m.is_finite()) {
        return refused(Reason::BadInput, evidence);
    }
    if !(evidence.seen_m2 >= params.least_seen_m2) {
        return refused(Reason::LittleSeen, evidence);
    }
    let whole = patch;
    let near = patch.within(NEAR_M);
    let patch = &near;
    let reach = 4 * (params.search_m / CELL_M / 4.0).ceil() as usize + 4;
    let side = patch.side() + 2 * (reach + MARGIN);
    let map = MapWindow::of(
        ortho,
        elevation,
        [prior.x_m, prior.y_m],
        side,
        params.dead_band,
    );
    evidence.map_share = map.known;
    evidence.map_contrast = map.deviation;
    evidence.layers_shift_m = map.layers_shift_m;
    if !(map.known >= params.least_map_share) {
        return refused(Reason::LittleMap, evidence);
    }
    let view = LocalView::of(patch);
    let least = params.least_contrast;
    if !(map.deviation >= least && (view.own.deviation() >= least || view.shading.explained > 0.0))
    {
        return refused(Reason::Featureless, evidence);
    }
    let yaws = headings(0.0, params.search_yaw_deg, params.yaw_step_deg);
    let searched = search::first_mixes(&map).into_iter().map(|mix| {
        let band = params.dead_band;
        (
            mix,
            search::coarse(&map, &view, mix, &yaws, reach, MARGIN, band),
        )
    });
    let clearer = searched.max_by(|(_, a), (_, b)| a.clearness().total_cmp(&b.clearness()));
    let Some((start, coarse)) = clearer else {
        return refused(Reason::Featureless, evidence);
    };
    let scores = Some(coarse.picture());
    let pair = Pair {
        map: &map,
        view: &view,
        base: (reach + MARGIN) as i64,
        band: params.dead_band,
    };
    let peaks = refined(&pair, start, &coarse, params);
    let fix = gate::judge(&coarse, &peaks, prior, params, evidence).or_else(|none| {
        if !none.reason.leaves_open() {
            return Err(none);
        }
        let seen = peaks.first().map(|p| p.shift.map(|s| s * CELL_M));
        by_relief([ortho, elevation], whole, prior, params, seen, none)
    });
    Outcome { fix, scores }
}

/// The fix by the relief, brought to the image's frame, where the image alone gave none. `seen` is the place that the image
/// liked best, metres from the prior.
fn by_relief(
    [ortho, elevation]: [&Raster; 2],
    patch: &LocalPatch,
    prior: &Prior,
    params: &MapFixParams,
    seen: Option<[f64; 2]>,
    mut none: NoFix,
) -> Result<Fix, NoFix> {
    let Some(shape) = shape::search(elevation, patch, [prior.x_m, prior.y_m], params) else {
        return Err(none);
    };
    let at_m = [
        prior.x_m + shape.from_prior_m[0],
        prior.y_m + shape.from_prior_m[1],
    ];
    let common = tie::tie(ortho, elevation, at_m, params.tie_m);
    none.evidence.shape = Some(shape.evidence);
    none.evidence.layers = Some(common);
    gate::judge_shape(&shape, common.tie.as_ref(), prior, params, seen, none)
}

/// Headings from `−reach` to `reach` degrees around a middle, radians.
fn headings(middle_rad: f64, reach_deg: f64, step_deg: f64) -> Vec<f64> {
    let n = (reach_deg / step_deg).round().max(0.0) as i64;
    (-n..=n)
        .map(|k| middle_rad + (k as f64 * step_deg).to_radians())
        .collect()
}

/// Looks at full resolution that a candidate gets before it is left where it is.
const MOST_LOOKS: usize = 8;
/// Headings to both sides of a look's middle, and their distance, degrees.
const LOOK_YAW_DEG: [f64; 2] = [0.75, 0.25];
/// What a heading has wrong beside what its peak is wide, standard deviation, degrees: the step between the headings that are
/// looked at, by less than which a broad top is not to be told.
const YAW_SIGMA_DEG: f64 = LOOK_YAW_DEG[1];
/// A top that a look moved by more than this, cells and degrees, is looked at again with the mix that fits there.
const SETTLED: (f64, f64) = (1.5, 0.4);
/// Candidates that climb to within this of one another have found the same place, metres.
const SAME_M: f64 = 1.0;

/// The candidates at full resolution, best first.
fn refined(pair: &Pair, start: Mix, coarse: &Coarse, params: &MapFixParams) -> Vec<Peak> {
    let candidates: Vec<Candidate> = coarse.best(params.candidates, |l| &l.both);
    let mut peaks: Vec<Peak> = Vec::new();
    for c in &candidates {
        peaks.extend(climbed(pair, start, c, params, &peaks));
    }
    peaks.sort_by(|a, b| b.score.total_cmp(&a.score));
    peaks
}

/// The top of the hill that a candidate stands on: each look begins where the last one ended, with the mix fitted there,
/// until the top lies inside and stays. `None` when it is one of `known`, or when there is nothing in common.
fn climbed(
    pair: &Pair,
    start: Mix,
    candidate: &Candidate,
    params: &MapFixParams,
    known: &[Peak],
) -> Option<Peak> {
    let half_step = 0.5 * params.yaw_step_deg;
    let around = headings(candidate.yaw_rad, half_step, 0.5 * half_step);
    let mut peak = pair.look(start, candidate.shift, &around, 6)?;
    // Nothing is gained by climbing out of the headings that are searched.
    let limit_rad = (params.search_yaw_deg + params.yaw_step_deg).to_radians();
    for _ in 0..MOST_LOOKS {
        let near = peak.shift.map(|v| v.round() as i64);
        let yaw_rad = peak.yaw_rad;
        let mix = pair.fitted(near, yaw_rad)?;
        let [reach_deg, step_deg] = LOOK_YAW_DEG;
        peak = pair.look(mix, near, &headings(yaw_rad, reach_deg, step_deg), 5)?;
        if known.iter().any(|k| k.settled() && k.same_as(&peak)) {
            return None;
        }
        let moved = (peak.shift[0] - near[0] as f64).hypot(peak.shift[1] - near[1] as f64);
        let turned = (peak.yaw_rad - yaw_rad).abs().to_degrees();
        let stays = moved <= SETTLED.0 && turned <= SETTLED.1;
        if (peak.settled() && stays) || peak.yaw_rad.abs() > limit_rad {
            break;
        }
    }
    Some(peak)
}

/// Covariance of a peak whose score scatters by `sigma` elsewhere, metres and radians. Where the scatter is as smooth as
/// the peak (it comes from the same codes), the top moves by `σ² / (S·curvature)`.
fn covariance(peak: &Peak, sigma: f64, map_sigma_m: f64) -> Option<Matrix3<f64>> {
    let scale = sigma * sigma / peak.score.max(1e-6);
    let xy: Matrix2<f64> = (-peak.curvature).cholesky()?.inverse() * (scale * CELL_M * CELL_M);
    if !(peak.yaw_curvature < 0.0) {
        return None;
    }
    let mut out = Matrix3::zeros();
    out.fixed_view_mut::<2, 2>(0, 0).copy_from(&xy);
    out[(0, 0)] += map_sigma_m * map_sigma_m;
    out[(1, 1)] += map_sigma_m * map_sigma_m;
    out[(2, 2)] = scale / -peak.yaw_curvature + YAW_SIGMA_DEG.to_radians().powi(2);
    Some(out)
}
