//! A coarse elevation model around a fine one, in one map: what the fine one measured stays as it is, the ground around it comes
//! from the coarse one, and how little that one tells of a rover's ground is measured where both look.

use crate::ortho::{Target, onto};
use crate::{SiteError, import};
use sojourn_core::CoreError;
use sojourn_core::raster::{MAX_CELLS, Raster};
use sojourn_core::site::{ELEVATION, ORTHO, ROUGHNESS, ROUGHNESS_LEAST, SLOPE, SLOPE_MORE, Site};
use sojourn_core::terrain::{doubt, slope_roughness};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Ground beside the fine map over which the coarse one is brought to its heights, metres.
const FADE_M: f64 = 100.0;
/// Cells on which both must know the ground.
const LEAST_CELLS: usize = 400;
/// Farthest that the coarse map is looked for sideways, and the steps of that, metres.
const REACH_M: f64 = 100.0;
const STEPS_M: [f64; 2] = [10.0, 2.0];
/// Places at which the two are compared for that.
const PLACES: usize = 3000;
/// Share of the spread that has to go for the coarse map to be moved sideways: flat ground fits anywhere.
const GAIN: f64 = 0.25;
/// Nine of ten cells of the fine map are no worse than what is assumed of the coarse ground.
const QUANTILE: f64 = 0.9;

/// What to put around a site.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The coarse elevation model.
    pub dtm: PathBuf,
    /// Ground of it on every side of the site, metres.
    pub margin_m: f64,
    /// Radius of the disc that slope and roughness are taken over, metres.
    pub footprint_m: f64,
}

/// How the two maps go together, measured where both know the ground.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The coarse map was moved by this, metres east and north.
    pub shift_m: [f64; 2],
    /// Added to the coarse heights, metres.
    pub offset_m: f64,
    /// Standard deviation of what is left (1.4826 times the median absolute deviation), metres.
    pub spread_m: f64,
    /// By how much steeper the fine map is in nine of ten cells at most, degrees.
    pub slope_more_deg: f64,
    /// How rough it is in nine of ten cells at most, metres.
    pub roughness_m: f64,
    /// Share of the new map that the coarse one fills.
    pub coarse_share: f64,
}

/// The site with ground from a coarser elevation model around it and in its holes. The map's origin moves by the margin to the
/// south-west; where the coarse map knows nothing either, nothing is known.
///
/// # Errors
/// [`SiteError`] with one sentence: not a raster, another place, a margin that is none, too large a map, too little ground in
/// common.
pub fn surround(site: &Site, request: &Surroundings) -> Result<(Site, Fit), SiteError> {
    let file = request.dtm.as_path();
    let fine = site.elevation()?;
    let res = fine.resolution_m();
    let margin = (request.margin_m / res).round();
    if !(1.0..=1e5).contains(&margin) {
        return Err(SiteError::refused(
            file,
            format!(
                "cannot be put around the site with a margin of {} m, expected {res} m to {:.0} m",
                request.margin_m,
                1e5 * res
            ),
        ));
    }
    let margin = margin as usize;
    let border_m = margin as f64 * res;
    let (cols, rows) = (fine.cols() + 2 * margin, fine.rows() + 2 * margin);
    if cols.checked_mul(rows).is_none_or(|n| n > MAX_CELLS) {
        return Err(CoreError::value(
            "the map with its surroundings",
            "size",
            format!("{cols} x {rows}"),
            format!("at most {MAX_CELLS} cells"),
        )
        .into());
    }
    let m = &site.manifest;
    let origin = fine.origin_m();
    let origin_crs =
        [0, 1].map(|k| m.map_origin_crs[k] + (origin[k] - border_m) / m.metres_per_crs_unit[k]);
    let target = Target {
        crs: &m.crs,
        origin_crs,
        metres_per_unit: m.metres_per_crs_unit,
        size_m: [cols as f64 * res, rows as f64 * res],
        what: "an elevation model",
    };
    import::check_heights(file)?;
    let (coarse, _) = onto(file, &target, Some(res))?;
    let inside = |c: usize, r: usize| -> f32 {
        match (c.checked_sub(margin), r.checked_sub(margin)) {
            (Some(c), Some(r)) if c < fine.cols() && r < fine.rows() => fine.get(c, r),
            _ => f32::NAN,
        }
    };
    let measured = coarse.like(inside);
    let shift_m = sideways(&measured, &coarse);
    let coarse = match shift_m {
        [0.0, 0.0] => coarse,
        moved => {
            // A place of the map lies elsewhere in the coarse file by what that is moved.
            let back = [0, 1].map(|k| origin_crs[k] - moved[k] / m.metres_per_crs_unit[k]);
            let target = Target {
                origin_crs: back,
                ..target
            };
            onto(file, &target, Some(res))?.0
        }
    };
    let (height, fit) = joined(file, &measured, &coarse, m.z_datum_m, request.footprint_m)?;
    let fit = Fit { shift_m, ..fit };
    let mut out = site.clone();
    out.manifest.map_origin_crs = origin_crs;
    let only_coarse = |worth: f64| {
        measured.like(|c, r| {
            if measured.get(c, r).is_nan() {
                worth as f32
            } else {
                0.0
            }
        })
    };
    let (more, least) = (
        only_coarse(fit.slope_more_deg),
        only_coarse(fit.roughness_m),
    );
    let (mut slope, mut roughness) = slope_roughness(&height, request.footprint_m);
    doubt(&mut slope, &mut roughness, &more, &least);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let around = |layer: &str| {
        let own = m.layers.get(layer).map_or("", |l| l.source.as_str());
        format!("{own}; around it {name}")
    };
    let measured_by = format!("measured where {name} and the finer map both know the ground");
    for (layer, raster, unit, source) in [
        (ELEVATION, height, "m", around(ELEVATION)),
        (SLOPE, slope, "deg", around(SLOPE)),
        (ROUGHNESS, roughness, "m", around(ROUGHNESS)),
        (SLOPE_MORE, more, "deg", measured_by.clone()),
        (ROUGHNESS_LEAST, least, "m", measured_by),
    ] {
        let before = m.layers.get(layer).cloned();
        out.put(layer, raster, unit, &source);
        if let (Some(info), Some(before)) = (out.manifest.layers.get_mut(layer), before) {
            (info.date, info.expiry) = (before.date, before.expiry);
        }
    }
    if let Ok(image) = site.layer(ORTHO) {
        let at = image.origin_m();
        let moved = Raster::new(
            image.cols(),
            image.rows(),
            image.resolution_m(),
            [0, 1].map(|k| at[k] - origin[k] + border_m),
            image.data().to_vec(),
        )?;
        let info = m.layers.get(ORTHO).cloned();
        let source = info.as_ref().map_or("", |i| i.source.as_str());
        out.put(ORTHO, moved, "1", source);
        if let (Some(new), Some(old)) = (out.manifest.layers.get_mut(ORTHO), info) {
            (new.date, new.expiry, new.error) = (old.date, old.expiry, old.error);
        }
    }
    Ok((out, fit))
}

/// One raster of heights over the site's datum, and how the two go together.
fn joined(
    file: &Path,
    measured: &Raster,
    coarse: &Raster,
    z_datum_m: f64,
    footprint_m: f64,
) -> Result<(Raster, Fit), SiteError> {
    // Over the site's datum, as the fine heights are.
    let coarse = coarse.like(|c, r| (f64::from(coarse.get(c, r)) - z_datum_m) as f32);
    let mut apart: Vec<f64> = measured
        .data()
        .iter()
        .zip(coarse.data())
        .map(|(m, c)| f64::from(*m) - f64::from(*c))
        .filter(|d| d.is_finite())
        .collect();
    if apart.len() < LEAST_CELLS {
        return Err(SiteError::refused(
            file,
            format!(
                "knows the ground of the finer map in {} of its cells, expected at least {LEAST_CELLS}",
                apart.len()
            ),
        ));
    }
    let offset_m = quantile(&mut apart, 0.5);
    let mut off: Vec<f64> = apart.iter().map(|d| (d - offset_m).abs()).collect();
    let spread_m = 1.4826 * quantile(&mut off, 0.5);
    let lifted = coarse.like(|c, r| (f64::from(coarse.get(c, r)) + offset_m) as f32);
    let (slope, roughness) = slope_roughness(measured, footprint_m);
    let (flatter, _) = slope_roughness(&lifted, footprint_m);
    let mut steeper: Vec<f64> = slope
        .data()
        .iter()
        .zip(flatter.data())
        .map(|(a, b)| f64::from(*a) - f64::from(*b))
        .filter(|d| d.is_finite())
        .collect();
    let mut rough: Vec<f64> = roughness
        .data()
        .iter()
        .map(|v| f64::from(*v))
        .filter(|v| v.is_finite())
        .collect();
    let beside = beside(measured, &lifted);
    let height = measured.like(|c, r| {
        let (m, l) = (measured.get(c, r), lifted.get(c, r));
        if m.is_nan() {
            l + beside[r * measured.cols() + c]
        } else {
            m
        }
    });
    let filled = |(m, h): (&f32, &f32)| m.is_nan() && !h.is_nan();
    let coarse_cells = measured
        .data()
        .iter()
        .zip(height.data())
        .filter(|p| filled(*p));
    let fit = Fit {
        shift_m: [0.0; 2],
        offset_m,
        spread_m,
        slope_more_deg: quantile(&mut steeper, QUANTILE).max(0.0),
        roughness_m: quantile(&mut rough, QUANTILE).max(0.0),
        coarse_share: coarse_cells.count() as f64 / height.data().len().max(1) as f64,
    };
    Ok((height, fit))
}

/// By how much the coarse map has to be moved, metres east and north, to go best with the fine one: the least median absolute
/// deviation of their difference. Zero where that gains little.
fn sideways(measured: &Raster, coarse: &Raster) -> [f64; 2] {
    let known: Vec<usize> = (0..measured.data().len())
        .filter(|i| (measured.data()[*i] - coarse.data()[*i]).is_finite())
        .collect();
    let places: Vec<([f64; 2], f64)> = known
        .iter()
        .step_by(known.len().div_ceil(PLACES).max(1))
        .map(|i| {
            let p = measured.centre_m(i % measured.cols(), i / measured.cols());
            (p, f64::from(measured.data()[*i]))
        })
        .collect();
    let spread = |shift: [f64; 2]| -> f64 {
        let mut apart: Vec<f64> = places
            .iter()
            .filter_map(|(p, z)| Some(z - coarse.sample(p[0] - shift[0], p[1] - shift[1])?))
            .filter(|d| d.is_finite())
            .collect();
        // Where much of it leaves the coarse map, little is compared.
        if apart.len() * 10 < places.len() * 9 {
            return f64::INFINITY;
        }
        let middle = quantile(&mut apart, 0.5);
        let mut off: Vec<f64> = apart.iter().map(|d| (d - middle).abs()).collect();
        quantile(&mut off, 0.5)
    };
    let unmoved = spread([0.0; 2]);
    let (mut best, mut least) = ([0.0; 2], unmoved);
    let mut reach_m = REACH_M;
    for step_m in STEPS_M {
        let middle = best;
        let n = (reach_m / step_m) as i32;
        for j in -n..=n {
            for i in -n..=n {
                let shift = [
                    middle[0] + f64::from(i) * step_m,
                    middle[1] + f64::from(j) * step_m,
                ];
                let s = spread(shift);
                if s < least {
                    (best, least) = (shift, s);
                }
            }
        }
        reach_m = step_m;
    }
    if least <= (1.0 - GAIN) * unmoved {
        best
    } else {
        [0.0; 2]
    }
}

/// A quantile of values, which are sorted; 0 of none.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (share * last as f64).round() as usize;
    values.get(at.min(last)).copied().unwrap_or(0.0)
}

/// What is added to the coarse heights near the fine map, so that there is no step where one ends: the difference at the
/// nearest cell that both know, fading with the distance from it.
fn beside(measured: &Raster, lifted: &Raster) -> Vec<f32> {
    let (cols, rows) = (measured.cols(), measured.rows());
    let res = measured.resolution_m();
    let apart = |i: usize| measured.data()[i] - lifted.data()[i];
    let mut from: Vec<u32> = vec![u32::MAX; cols * rows];
    let mut queue: VecDeque<usize> = VecDeque::new();
    for (i, f) in from.iter_mut().enumerate() {
        if apart(i).is_finite() {
            *f = i as u32;
            queue.push_back(i);
        }
    }
    let place = |i: usize| ((i % cols) as f64, (i / cols) as f64);
    let far_m = |i: usize, j: usize| {
        let (a, b) = (place(i), place(j));
        res * (a.0 - b.0).hypot(a.1 - b.1)
    };
    let mut out = vec![0.0f32; cols * rows];
    while let Some(i) = queue.pop_front() {
        let source = from[i] as usize;
        let (c, r) = (i % cols, i / cols);
        let steps = [(-1i64, 0i64), (1, 0), (0, -1), (0, 1)];
        for (dc, dr) in steps {
            let (nc, nr) = (c as i64 + dc, r as i64 + dr);
            if nc < 0 || nr < 0 || nc >= cols as i64 || nr >= rows as i64 {
                continue;
            }
            let n = nr as usize * cols + nc as usize;
            let d = far_m(n, source);
            if from[n] != u32::MAX || d >= FADE_M {
                continue;
            }
            from[n] = source as u32;
            let t = 1.0 - d / FADE_M;
            // Level at both ends.
            out[n] = (f64::from(apart(source)) * t * t * (3.0 - 2.0 * t)) as f32;
            queue.push_back(n);
        }
    }
    out
}
