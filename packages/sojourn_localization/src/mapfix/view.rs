//! What the last stereo pairs saw of the ground, as the matcher wants it.
//!
//! In each pair the disparity is looked for at nodes a few pixels apart, near that of the plane under the wheels, and taken
//! as linear between them (on a plane it is). Every pixel between four nodes becomes a point with its own brightness. The
//! pairs' exposures are brought to one by what two of them see alike.

use super::{LocalPatch, LocalPoint, PatchBuilder};
use crate::vo::{
    StereoPair, VoParams,
    patch::Scratch,
    stereo::{BORDER_PX, GroundPlane, MatchGate, disparity},
};
use nalgebra::{Isometry3, Vector3};
use serde::Deserialize;
use sojourn_core::{CoreError, error::in_range};

/// How the ground is taken from stereo pairs, as `map_fix.view` of `config/localization.param.yaml` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewParams {
    /// Distance of the nodes, pixels.
    pub node_px: usize,
    /// Ground farther from the rover than this is not used, metres.
    pub range_m: f64,
    /// What is nearer to `base_link` may be the rover itself and is not used, metres.
    pub nearest_m: f64,
    /// The ground may rise above the plane under the wheels or fall below it by this, metres …
    pub relief_m: f64,
    /// … and by this share of the distance.
    pub relief_share: f64,
    /// Standard deviation of the disparity's error that neighbouring nodes share, pixels.
    pub shared_sigma_px: f64,
    /// Four nodes whose disparities depart from a plane by more than this span the edge of something, pixels.
    pub most_bend_px: f64,
    /// Half a side of the patch around the rover, metres.
    pub radius_m: f64,
}

impl ViewParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self) -> Result<(), CoreError> {
        for (name, value, lo, hi) in [
            ("node_px", self.node_px as f64, 2.0, 64.0),
            ("range_m", self.range_m, 3.0, 40.0),
            ("nearest_m", self.nearest_m, 0.0, 3.0),
            ("relief_m", self.relief_m, 0.05, 5.0),
            ("relief_share", self.relief_share, 0.0, 1.0),
            ("shared_sigma_px", self.shared_sigma_px, 0.0, 2.0),
            ("most_bend_px", self.most_bend_px, 0.1, 10.0),
            ("radius_m", self.radius_m, 5.0, 40.0),
        ] {
            in_range(
                "parameters of localization: map_fix.view",
                name,
                value,
                lo,
                hi,
            )?;
        }
        Ok(())
    }
}

/// A pixel's place on the ground.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spot {
    /// Metres in `base_link`.
    at_m: Vector3<f64>,
    level: u8,
    range_sigma_m: f64,
}

/// Disparity at nodes, pixels, and its standard deviation.
struct Nodes {
    columns: Vec<usize>,
    rows: Vec<usize>,
    seen: Vec<Option<[f64; 2]>>,
}

/// Least height of the camera over the ground in the search, share of its height over the wheels' plane.
const LEAST_HEIGHT_SHARE: f64 = 0.3;

impl Nodes {
    fn of(pair: &StereoPair, view: &ViewParams, vo: &VoParams) -> Self {
        let pinhole = pair.camera.pinhole;
        let grid = |size: usize| -> Vec<usize> {
            let last = size.saturating_sub(BORDER_PX + 1);
            (BORDER_PX..=last).step_by(view.node_px).collect()
        };
        let (columns, rows) = (grid(pinhole.width), grid(pinhole.height));
        let slope = GroundPlane::of(&pair.base_link_from_navcam).disparity_slope(&pair.camera);
        let gate = MatchGate {
            score: vo.least_score as f32,
            rival_share: vo.rival_share as f32,
            sigma_px: vo.match_sigma_px,
            worst_sigma_px: vo.worst_sigma_px,
        };
        let mut scratch = Scratch::default();
        let mut seen = Vec::with_capacity(columns.len() * rows.len());
        for &v in &rows {
            for &u in &columns {
                let sight = range_px(pair, view, vo, [u as f64, v as f64]).and_then(|range| {
                    disparity(pair, (u, v), range, slope, &gate, true, &mut scratch)
                });
                seen.push(sight.map(|s| [s.disparity_px, s.disparity_var.sqrt()]));
            }
        }
        Self {
            columns,
            rows,
            seen,
        }
    }

    /// Disparities of a square's corners and their mean deviation, when all are known and no edge runs through it.
    fn square(&self, i: usize, j: usize, most_bend_px: f64) -> Option<([f64; 4], f64)> {
        let at = |i: usize, j: usize| *self.seen.get(j * self.columns.len() + i)?;
        let corners = [at(i, j)?, at(i + 1, j)?, at(i, j + 1)?, at(i + 1, j + 1)?];
        let [a, b, c, d] = corners.map(|n| n[0]);
        let sigma_px = corners.iter().map(|n| n[1]).sum::<f64>() / 4.0;
        ((a + d - b - c).abs() <= most_bend_px).then_some(([a, b, c, d], sigma_px))
    }
}

/// Disparities that ground has where a pixel looks; `None` where it looks at the sky or too far.
fn range_px(
    pair: &StereoPair,
    view: &ViewParams,
    vo: &VoParams,
    [u, v]: [f64; 2],
) -> Option<[f64; 2]> {
    let mast = &pair.base_link_from_navcam;
    let ray = mast.rotation * pair.camera.pinhole.ray(u, v);
    let height_m = mast.translation.z;
    if !(ray.z < 0.0 && height_m > 0.0) {
        return None;
    }
    // Along the optical axis a ray is one long.
    let distance_m = ray.xy().norm() * height_m / -ray.z;
    if distance_m > 1.3 * view.range_m {
        return None;
    }
    let aside_m = view.relief_m + view.relief_share * distance_m;
    let pixels_m = pair.camera.pinhole.fx * pair.camera.baseline_m;
    let at = |h: f64| pixels_m * -ray.z / h;
    let low = at(height_m + aside_m).max(vo.least_disparity_px);
    let high = at((height_m - aside_m).max(LEAST_HEIGHT_SHARE * height_m))
        .min(pixels_m / vo.least_depth_m)
        .min(vo.most_disparity_px);
    (high > low).then_some([low, high])
}

/// The ground that a pair shows, pixel by pixel.
fn spots(pair: &StereoPair, view: &ViewParams, vo: &VoParams) -> Vec<Spot> {
    let c = &pair.camera.pinhole;
    let whole = [&pair.left, &pair.right]
        .iter()
        .all(|i| i.width() == c.width && i.height() == c.height);
    if !whole {
        return Vec::new();
    }
    let nodes = Nodes::of(pair, view, vo);
    let mut out = Vec::new();
    for (j, rows) in nodes.rows.windows(2).enumerate() {
        for (i, columns) in nodes.columns.windows(2).enumerate() {
            let Some(square) = nodes.square(i, j, view.most_bend_px) else {
                continue;
            };
            let (&[u0, u1], &[v0, v1]) = (columns, rows) else {
                continue;
            };
            fill(pair, view, [u0, u1, v0, v1], square, &mut out);
        }
    }
    out
}

/// The pixels between four nodes.
fn fill(
    pair: &StereoPair,
    view: &ViewParams,
    [u0, u1, v0, v1]: [usize; 4],
    ([a, b, c, d], sigma_px): ([f64; 4], f64),
    out: &mut Vec<Spot>,
) {
    let camera = &pair.camera;
    let sigma_px = sigma_px.hypot(view.shared_sigma_px);
    let pixels_m = camera.pinhole.fx * camera.baseline_m;
    for v in v0..v1 {
        let t = (v - v0) as f64 / (v1 - v0) as f64;
        let (left, right) = (a + t * (c - a), b + t * (d - b));
        let levels = pair.left.row(u0, v, u1 - u0);
        for (u, &level) in (u0..u1).zip(levels) {
            // Black and white are no measure of light.
            if level == 0 || level == u8::MAX {
                continue;
            }
            let s = (u - u0) as f64 / (u1 - u0) as f64;
            let disparity_px = left + s * (right - left);
            let seen = camera.point(u as f64, v as f64, disparity_px);
            let at_m = (pair.base_link_from_navcam * nalgebra::Point3::from(seen)).coords;
            let distance_m = at_m.xy().norm();
            if distance_m < view.nearest_m || distance_m > view.range_m {
                continue;
            }
            out.push(Spot {
                at_m,
                level,
                range_sigma_m: seen.norm() * seen.z / pixels_m * sigma_px,
            });
        }
    }
}

/// A patch from pairs, each with where its `base_link` stood in the patch's frame; the first pair's exposure is kept.
///
/// # Errors
/// [`CoreError::Value`] when the parameters are out of range.
pub fn patch<'a>(
    pairs: impl IntoIterator<Item = (&'a StereoPair, Isometry3<f64>)>,
    view: &ViewParams,
    vo: &VoParams,
) -> Result<LocalPatch, CoreError> {
    view.check()?;
    let mut builder = PatchBuilder::new(view.radius_m)?;
    for (pair, local_from_base_link) in pairs {
        let mut points: Vec<LocalPoint> = spots(pair, view, vo)
            .iter()
            .map(|s| {
                let at_m = (local_from_base_link * nalgebra::Point3::from(s.at_m)).coords;
                LocalPoint {
                    x_m: at_m.x as f32,
                    y_m: at_m.y as f32,
                    z_m: at_m.z as f32,
                    brightness: f32::from(s.level),
                    range_sigma_m: s.range_sigma_m as f32,
                }
            })
            .collect();
        let gain = builder.gain_of(&points);
        for p in &mut points {
            p.brightness *= gain;
        }
        builder.add(&points);
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Params,
        vo::tests::{Ground, at},
    };
    use sojourn_core::params::load_node_params;
    use std::path::Path;

    const SAND: Ground = Ground {
        seed: 5,
        tone: 160.0,
    };

    fn params() -> (ViewParams, VoParams) {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/localization.param.yaml");
        let p: Params = load_node_params(&file, "localization").unwrap();
        (
            ViewParams {
                // A quarter of the pixels.
                node_px: 4,
                ..p.map_fix.view
            },
            p.visual_odometry,
        )
    }

    /// Cells within 7 m of the eye: place in the world, brightness, height.
    fn near(patch: &LocalPatch, eye: &Isometry3<f64>) -> Vec<([f64; 2], f64, f64)> {
        let side = patch.side();
        let cells = patch.brightness().iter().zip(patch.height_m()).enumerate();
        cells
            .filter(|(_, (b, _))| b.is_finite())
            .filter_map(|(k, (b, z))| {
                let at = [k % side, k / side].map(|v| (v as f64 + 0.5 - 0.5 * side as f64) * 0.25);
                let p = eye * nalgebra::Point3::new(at[0], at[1], 0.0);
                (at[0].hypot(at[1]) < 7.0).then_some(([p.x, p.y], f64::from(*b), f64::from(*z)))
            })
            .collect()
    }

    /// Correlation of the cells' brightness with that of the ground beside them.
    fn likeness(cells: &[([f64; 2], f64, f64)], beside_m: [f64; 2]) -> f64 {
        let pairs = cells.iter().map(|(at, b, _)| {
            let level = SAND.mean_brightness(at[0] + beside_m[0], at[1] + beside_m[1], 0.25);
            nalgebra::Vector2::new(*b, level)
        });
        let pairs: Vec<_> = pairs.collect();
        let mean = pairs.iter().sum::<nalgebra::Vector2<f64>>() / pairs.len() as f64;
        let square: nalgebra::Matrix2<f64> = pairs
            .iter()
            .map(|p| (p - mean) * (p - mean).transpose())
            .sum();
        square[(0, 1)] / (square[(0, 0)] * square[(1, 1)]).sqrt()
    }

    #[test]
    fn the_patch_shows_the_ground_where_it_lies_and_as_bright_as_it_is() {
        let (view, vo) = params();
        let poses = [at(0.0, 0.0, 0.4), at(1.5, 0.5, 0.4), at(2.5, 1.5, 0.9)];
        let pairs: Vec<_> = poses
            .iter()
            .zip(1..)
            .map(|(p, k)| SAND.pair(p, k))
            .collect();
        let local = poses.map(|p| poses[0].inverse() * p);
        let patch = patch(pairs.iter().zip(local), &view, &vo).unwrap();
        // Three wedges of 96 degrees that overlap.
        assert!(patch.seen_m2() > 130.0, "{} m2", patch.seen_m2());
        let cells = near(&patch, &poses[0]);
        let height_m = cells.iter().map(|c| c.2.abs()).sum::<f64>() / cells.len() as f64;
        assert!(
            height_m < 0.05,
            "heights off by {height_m} m in {} cells",
            cells.len()
        );
        let here = likeness(&cells, [0.0; 2]);
        assert!(here > 0.85, "{here} in {} cells", cells.len());
        for beside in [[0.25, 0.0], [-0.25, 0.0], [0.0, 0.25], [0.0, -0.25]] {
            let there = likeness(&cells, beside);
            assert!(there < here - 0.1, "{there} at {beside:?}, {here} in place");
        }
    }

    #[test]
    fn exposures_are_brought_to_one() {
        let (view, vo) = params();
        let pose = at(0.0, 0.0, 0.0);
        let bright = SAND.pair(&pose, 1);
        let mut dark = bright.clone();
        dark.left = bright.left.scaled(0.5);
        dark.right = bright.right.scaled(0.5);
        let one = patch([(&bright, pose)], &view, &vo).unwrap();
        let both = patch([(&bright, pose), (&dark, pose)], &view, &vo).unwrap();
        let off = one.brightness().iter().zip(both.brightness());
        let off: Vec<f32> = off
            .filter(|(a, b)| a.is_finite() && b.is_finite())
            .map(|(a, b)| (b / a - 1.0).abs())
            .collect();
        assert!(off.len() > 500, "{} cells", off.len());
        let mean = off.iter().sum::<f32>() / off.len() as f32;
        assert!(mean < 0.01, "{mean}");
    }

    #[test]
    fn black_images_and_images_of_another_size_show_nothing() {
        let (view, vo) = params();
        let pose = at(0.0, 0.0, 0.0);
        let dark = Ground { seed: 5, tone: 0.0 }.pair(&pose, 1);
        let none = patch([(&dark, pose)], &view, &vo).unwrap();
        assert!(none.seen_m2() < 5.0, "{} m2", none.seen_m2());
        let mut cut = SAND.pair(&pose, 1);
        cut.right = cut.right.half();
        assert_eq!(patch([(&cut, pose)], &view, &vo).unwrap().seen_m2(), 0.0);
    }
}
