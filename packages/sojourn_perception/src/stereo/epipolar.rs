//! How well a pair is rectified: corners of the left image are looked for in the right one, in the rows around their own
//! too, and what they lie off their row is the residual. Nothing of the matcher is used, so that it judges both.

use super::GreyImage;

/// Half the side of a patch, pixels.
const HALF: usize = 7;
/// Rows searched each way, pixels.
const ROWS: isize = 10;
/// The left image is cut into this many squares along its width, each of 32 pixels or more, that give their best corner.
const SQUARES: usize = 20;
/// Patches that agree less than this are not the same ground.
const LEAST_CORRELATION: f64 = 0.85;
/// The second best place has to agree less by this.
const LEAST_LEAD: f64 = 0.03;
/// Smallest eigenvalue of a corner's mean gradient product, levels² per pixel².
const LEAST_CORNER: f64 = 20.0;

/// A corner that both images show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corner {
    /// Column in the left image.
    pub u: usize,
    /// Row in the left image.
    pub v: usize,
    /// Column in the left image minus column in the right one, pixels.
    pub disparity_px: f64,
    /// Row in the right image minus row in the left one, pixels; 0 in a rectified pair.
    pub off_px: f64,
}

/// How far the corners of a pair lie off their rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Residual {
    /// Median of the distance, pixels.
    pub median_px: f64,
    /// Nine in ten lie nearer than this, pixels.
    pub p90_px: f64,
    /// Median with its sign: what one eye stands higher, pixels.
    pub bias_px: f64,
    /// Share of the corners with a disparity below −1: near 1 when the eyes are exchanged.
    pub backwards: f64,
}

/// Finds corners of both images with disparities of at most `most_px` either way. Images of different sizes have none.
#[must_use]
pub fn corners(left: &GreyImage, right: &GreyImage, most_px: usize) -> Vec<Corner> {
    let fits = |i: &GreyImage| i.width.checked_mul(i.height) == Some(i.pixels.len());
    if !fits(left) || !fits(right) || (left.width, left.height) != (right.width, right.height) {
        return Vec::new();
    }
    let edge = HALF + ROWS.unsigned_abs() + 2;
    let cell = (left.width / SQUARES).max(32);
    let mut out = Vec::new();
    for v0 in (edge..left.height.saturating_sub(edge)).step_by(cell) {
        for u0 in (HALF + 2..left.width.saturating_sub(HALF + 2)).step_by(cell) {
            let ends = [
                (u0 + cell).min(left.width - HALF - 2),
                (v0 + cell).min(left.height - edge),
            ];
            let best = strongest(left, [u0, v0], ends);
            out.extend(best.and_then(|[u, v]| find(left, right, [u, v], most_px)));
        }
    }
    out
}

/// What the corners say; `None` without any.
#[must_use]
pub fn residual(corners: &[Corner]) -> Option<Residual> {
    let sorted = |f: fn(&Corner) -> f64| {
        let mut values: Vec<f64> = corners.iter().map(f).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (off, bias) = (sorted(|c| c.off_px.abs()), sorted(|c| c.off_px));
    let at = |values: &[f64], share: f64| {
        let i = share * (values.len() as f64 - 1.0);
        values.get(i.round() as usize).copied()
    };
    let back = corners.iter().filter(|c| c.disparity_px < -1.0).count();
    Some(Residual {
        median_px: at(&off, 0.5)?,
        p90_px: at(&off, 0.9)?,
        bias_px: at(&bias, 0.5)?,
        backwards: back as f64 / corners.len().max(1) as f64,
    })
}

fn level(image: &GreyImage, u: usize, v: usize) -> f64 {
    image
        .pixels
        .get(v * image.width + u)
        .map_or(0.0, |p| f64::from(*p))
}

/// The strongest corner of a square (Shi and Tomasi 1994), every third pixel.
fn strongest(image: &GreyImage, from: [usize; 2], to: [usize; 2]) -> Option<[usize; 2]> {
    let mut best = (LEAST_CORNER, None);
    for v in (from[1]..to[1]).step_by(3) {
        for u in (from[0]..to[0]).step_by(3) {
            let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
            for dv in 0..7 {
                for du in 0..7 {
                    let (a, b) = (u + du - 3, v + dv - 3);
                    let x = level(image, a + 1, b) - level(image, a - 1, b);
                    let y = level(image, a, b + 1) - level(image, a, b - 1);
                    (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
                }
            }
            let (mean, apart) = (0.5 * (xx + yy), 0.5 * (xx - yy));
            let least = (mean - apart.hypot(xy)) / (4.0 * 49.0);
            if least > best.0 {
                best = (least, Some([u, v]));
            }
        }
    }
    best.1
}

/// Patch of zero mean and unit size.
fn patch(image: &GreyImage, u: usize, v: usize) -> Option<Vec<f64>> {
    let mut out = Vec::with_capacity((2 * HALF + 1).pow(2));
    for b in v - HALF..=v + HALF {
        let row = b * image.width;
        let line = image.pixels.get(row + u - HALF..=row + u + HALF)?;
        out.extend(line.iter().map(|p| f64::from(*p)));
    }
    let mean = out.iter().sum::<f64>() / out.len() as f64;
    out.iter_mut().for_each(|x| *x -= mean);
    let size = out.iter().map(|x| x * x).sum::<f64>().sqrt();
    if !(size > 1e-9) {
        return None;
    }
    out.iter_mut().for_each(|x| *x /= size);
    Some(out)
}

fn find(left: &GreyImage, right: &GreyImage, [u, v]: [usize; 2], most_px: usize) -> Option<Corner> {
    let template = patch(left, u, v)?;
    let first = u.saturating_sub(most_px).max(HALF);
    let last = (u + most_px).min(right.width - HALF - 1);
    let rows = (2 * ROWS + 1) as usize;
    let mut found = vec![f64::NEG_INFINITY; rows * (last - first + 1)];
    let mut best = (LEAST_CORRELATION, None);
    for k in 0..rows {
        let b = (v + k) - ROWS.unsigned_abs();
        for a in first..=last {
            let Some(other) = patch(right, a, b) else {
                continue;
            };
            let agree: f64 = other.iter().zip(&template).map(|(x, y)| x * y).sum();
            found[k * (last - first + 1) + a - first] = agree;
            if agree > best.0 {
                best = (agree, Some((k, a)));
            }
        }
    }
    let (k, a) = best.1?;
    let at = |k: usize, a: usize| found[k * (last - first + 1) + a - first];
    // Somewhere else it may not look nearly as alike.
    let rival = (0..rows)
        .flat_map(|j| (first..=last).map(move |b| (j, b)))
        .filter(|(j, b)| j.abs_diff(k) > 2 || b.abs_diff(a) > 2)
        .map(|(j, b)| at(j, b))
        .fold(f64::NEG_INFINITY, f64::max);
    let inside = k > 0 && k + 1 < rows && a > first && a < last;
    if !inside || best.0 - rival < LEAST_LEAD {
        return None;
    }
    let summit = |before: f64, here: f64, after: f64| {
        let bend = before - 2.0 * here + after;
        if bend < 0.0 {
            0.5 * (before - after) / bend
        } else {
            0.0
        }
    };
    let du = summit(at(k, a - 1), best.0, at(k, a + 1));
    let dv = summit(at(k - 1, a), best.0, at(k + 1, a));
    Some(Corner {
        u,
        v,
        disparity_px: u as f64 - (a as f64 + du),
        off_px: k as f64 - ROWS as f64 + dv,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::Stamp;

    fn image(f: impl Fn(f64, f64) -> f64) -> GreyImage {
        let (width, height) = (320, 200);
        let pixels = (0..width * height)
            .map(|i| f((i % width) as f64, (i / width) as f64) as u8)
            .collect();
        GreyImage {
            stamp: Stamp(0),
            width,
            height,
            pixels,
        }
    }

    /// Waves of many lengths and directions, without a period within the image.
    fn ground(x: f64, y: f64) -> f64 {
        let mut sum = 128.0;
        for k in 1..40 {
            let (a, f) = (2.4 * f64::from(k), 0.05 + 0.013 * f64::from(k));
            sum += 9.0 * (f * (x * a.cos() + y * a.sin()) + 1.7 * f64::from(k * k)).sin();
        }
        sum.clamp(0.0, 255.0)
    }

    #[test]
    fn a_rectified_pair_has_no_residual_and_a_raised_eye_has_its_own() {
        let left = image(|u, v| ground(u - 0.1 * v, v));
        let right = image(ground);
        let found = corners(&left, &right, 40);
        assert!(found.len() > 20, "{}", found.len());
        for c in &found {
            assert!((c.disparity_px - 0.1 * c.v as f64).abs() < 0.5, "{c:?}");
        }
        let r = residual(&found).unwrap();
        assert!(
            r.median_px < 0.1 && r.p90_px < 0.3 && r.backwards == 0.0,
            "{r:?}"
        );
        let raised = image(|u, v| ground(u, v - 2.5));
        let r = residual(&corners(&left, &raised, 40)).unwrap();
        assert!((r.bias_px - 2.5).abs() < 0.15, "{r:?}");
    }

    #[test]
    fn exchanged_eyes_show_and_nothing_is_found_in_nothing() {
        let left = image(|u, v| ground(u - 12.0, v));
        let right = image(ground);
        let r = residual(&corners(&right, &left, 40)).unwrap();
        assert!(r.backwards > 0.95, "{r:?}");
        let black = image(|_, _| 0.0);
        assert!(corners(&black, &right, 40).is_empty() && residual(&[]).is_none());
        let small = GreyImage {
            width: 3,
            height: 3,
            pixels: vec![9; 9],
            ..black
        };
        assert!(corners(&small, &small, 40).is_empty() && corners(&small, &right, 9).is_empty());
    }
}
