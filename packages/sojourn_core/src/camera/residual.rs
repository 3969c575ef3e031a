//! How far two images of the same scene lie apart, patch by patch, to a hundredth of a pixel.
//!
//! Whole pixels by normalised correlation, then Lucas and Kanade's iteration on patches of zero mean and unit size, so
//! that a gain, an offset or a slow shading between the two does not count.

/// A grey image; row 0 is the top row; not-a-number where there is nothing.
#[derive(Clone, Copy, Debug)]
pub struct Grey<'a> {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples, row by row.
    pub samples: &'a [f32],
}

/// Where a patch of one image lies in the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Centre of the patch in the first image, column.
    pub u: usize,
    /// Centre of the patch in the first image, row.
    pub v: usize,
    /// Its place in the second image minus that, pixels.
    pub du: f64,
    /// Its place in the second image minus that, pixels.
    pub dv: f64,
    /// Correlation at that place, −1 to 1.
    pub correlation: f64,
}

/// Half the side of a patch.
const HALF: usize = 10;
/// Whole pixels that are searched each way.
const SEARCH: isize = 4;
/// A patch with a correlation below this is not the same ground.
const LEAST_CORRELATION: f64 = 0.7;

impl Grey<'_> {
    fn at(&self, u: f64, v: f64) -> Option<f64> {
        let (i, j) = (u.floor(), v.floor());
        if !(i >= 0.0 && j >= 0.0 && i + 1.0 < self.width as f64 && j + 1.0 < self.height as f64) {
            return None;
        }
        let (x, y) = (u - i, v - j);
        let k = j as usize * self.width + i as usize;
        let s = |k: usize| f64::from(self.samples[k]);
        let top = s(k) * (1.0 - x) + s(k + 1) * x;
        let bottom = s(k + self.width) * (1.0 - x) + s(k + self.width + 1) * x;
        let z = top * (1.0 - y) + bottom * y;
        z.is_finite().then_some(z)
    }

    /// A patch around a place, of zero mean and unit size; `None` off the image or without contrast.
    fn patch(&self, u: f64, v: f64) -> Option<Vec<f64>> {
        let h = HALF as isize;
        let mut out = Vec::with_capacity((2 * HALF + 1).pow(2));
        for dv in -h..=h {
            for du in -h..=h {
                out.push(self.at(u + du as f64, v + dv as f64)?);
            }
        }
        let mean = out.iter().sum::<f64>() / out.len() as f64;
        for x in &mut out {
            *x -= mean;
        }
        let size = out.iter().map(|x| x * x).sum::<f64>().sqrt();
        if !(size > 1e-9) {
            return None;
        }
        for x in &mut out {
            *x /= size;
        }
        Some(out)
    }
}

/// The shifts of patches on a grid of `every` pixels; patches without contrast or without a match are left out.
#[must_use]
pub fn shifts(a: &Grey<'_>, b: &Grey<'_>, every: usize) -> Vec<Shift> {
    let mut out = Vec::new();
    let edge = HALF + SEARCH as usize + 2;
    for v in (edge..a.height.saturating_sub(edge)).step_by(every.max(1)) {
        for u in (edge..a.width.saturating_sub(edge)).step_by(every.max(1)) {
            out.extend(shift_at(a, b, u, v));
        }
    }
    out
}

fn shift_at(a: &Grey<'_>, b: &Grey<'_>, u: usize, v: usize) -> Option<Shift> {
    let (uf, vf) = (u as f64, v as f64);
    let template = a.patch(uf, vf)?;
    let agree = |p: &[f64]| p.iter().zip(&template).map(|(x, y)| x * y).sum::<f64>();
    let (mut best, mut at) = (f64::NEG_INFINITY, (0.0, 0.0));
    for dv in -SEARCH..=SEARCH {
        for du in -SEARCH..=SEARCH {
            let (du, dv) = (du as f64, dv as f64);
            if let Some(c) = b.patch(uf + du, vf + dv).map(|p| agree(&p))
                && c > best
            {
                (best, at) = (c, (du, dv));
            }
        }
    }
    if best < LEAST_CORRELATION {
        return None;
    }
    let (mut du, mut dv) = at;
    for _ in 0..30 {
        let (x, y) = (uf + du, vf + dv);
        let here = b.patch(x, y)?;
        let (east, west) = (b.patch(x + 0.5, y)?, b.patch(x - 0.5, y)?);
        let (south, north) = (b.patch(x, y + 0.5)?, b.patch(x, y - 0.5)?);
        // Normal equations of the least squares step.
        let (mut xx, mut xy, mut yy, mut xe, mut ye) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for k in 0..here.len() {
            let (gx, gy, e) = (
                east[k] - west[k],
                south[k] - north[k],
                template[k] - here[k],
            );
            xx += gx * gx;
            xy += gx * gy;
            yy += gy * gy;
            xe += gx * e;
            ye += gy * e;
        }
        let det = xx * yy - xy * xy;
        // A patch with structure in one direction alone cannot be placed.
        if !(det > 0.01 * (xx + yy).powi(2)) {
            return None;
        }
        let (sx, sy) = ((yy * xe - xy * ye) / det, (xx * ye - xy * xe) / det);
        du += sx;
        dv += sy;
        if (du - at.0).abs().max((dv - at.1).abs()) > 1.5 {
            return None;
        }
        if sx.abs().max(sy.abs()) < 1e-3 {
            let correlation = agree(&b.patch(uf + du, vf + dv)?);
            return (correlation >= LEAST_CORRELATION).then_some(Shift {
                u,
                v,
                du,
                dv,
                correlation,
            });
        }
    }
    None
}

/// The value below which a share of the lengths of the shifts lies, pixels; `None` without shifts.
#[must_use]
pub fn quantile_px(shifts: &[Shift], share: f64) -> Option<f64> {
    let mut lengths: Vec<f64> = shifts.iter().map(|s| s.du.hypot(s.dv)).collect();
    lengths.sort_by(f64::total_cmp);
    let last = lengths.len().checked_sub(1)?;
    Some(lengths[(share.clamp(0.0, 1.0) * last as f64).round() as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A smooth pattern, moved by a known part of a pixel, under another gain and a slope of brightness.
    #[test]
    fn a_known_shift_is_found() {
        let (width, height) = (160, 120);
        let pattern = |u: f64, v: f64| (0.31 * u + 0.12 * v).sin() + (0.17 * u - 0.41 * v).cos();
        let draw = |du: f64, dv: f64, gain: f64, slope: f64| -> Vec<f32> {
            (0..width * height)
                .map(|k| {
                    let (u, v) = ((k % width) as f64, (k / width) as f64);
                    (gain * pattern(u - du, v - dv) + slope * u) as f32
                })
                .collect()
        };
        let (a, b) = (draw(0.0, 0.0, 1.0, 0.0), draw(1.37, -0.62, 3.0, 0.002));
        let grey = |samples| Grey {
            width,
            height,
            samples,
        };
        let found = shifts(&grey(&a), &grey(&b), 20);
        assert!(found.len() > 10, "{}", found.len());
        for s in &found {
            assert!((s.du - 1.37).hypot(s.dv + 0.62) < 0.05, "{s:?}");
        }
        let still = shifts(&grey(&a), &grey(&a), 20);
        assert!(quantile_px(&still, 1.0).unwrap() < 1e-3);
        assert_eq!(quantile_px(&[], 0.5), None);
    }
}
