//! What an image from orbit shows around every cell: tone, contrast by wavelength, direction of its edges; and slope and
//! roughness of the elevation model.

use sojourn_core::{CoreError, raster::Raster, terrain::slope_roughness};

/// Side of a cell, metres.
pub const CELL_M: f64 = 2.0;
/// Pixel size that features are taken at, metres.
pub const PIXEL_M: f64 = 0.25;
/// Coarsest image that is taken, metres a pixel: at 0.5 m ripples are still lines.
const COARSEST_M: f64 = 0.51;
/// Most pixels of an image.
const MOST_PIXELS: usize = 60_000_000;
/// Pixels along a cell.
const PER_CELL: usize = 8;
/// Half the window of the brightness that tone is relative to, pixels.
const LOCAL_PX: usize = 80;
/// Half the widths of the blurs whose differences are the bands of wavelengths, pixels.
const BLURS_PX: [usize; 6] = [0, 1, 2, 4, 8, 16];
/// Half the windows around a cell that features are taken over, cells.
const WINDOWS: [usize; 2] = [1, 3];
/// Darker than this against what is around is shadow, share.
const SHADOW: f32 = 0.25;
/// Radius that slope and roughness are taken over, metres.
const SLOPE_M: f64 = 2.0;
/// Maps that are kept by cell: tone, bands, shadow, and the structure tensor.
const MAPS: usize = BLURS_PX.len() + 4;
/// Features by window: tone, bands, shadow, strength and order of the edges, short against long.
const BY_WINDOW: usize = BLURS_PX.len() + 4;
/// Features of a cell.
pub const FEATURES: usize = WINDOWS.len() * BY_WINDOW + 2;

/// Features by cell, rows from south to north as in [`Raster`].
#[derive(Clone, Debug, PartialEq)]
pub struct CellFeatures {
    /// Columns.
    pub cols: usize,
    /// Rows.
    pub rows: usize,
    /// Outer south-west corner, `map` metres.
    pub origin_m: [f64; 2],
    /// [`FEATURES`] numbers for every cell; zeros where nothing is known.
    pub values: Vec<f32>,
    /// Whether image and elevation are whole over a cell.
    pub known: Vec<bool>,
}

/// Takes the features of a site's image and elevation model.
///
/// # Errors
/// [`CoreError`] when the image is coarser than half a metre, too large, or lies beside the elevation model.
pub fn features(ortho: &Raster, elevation: &Raster) -> Result<CellFeatures, CoreError> {
    let image = at_pixel_size(ortho)?;
    let (cols, rows) = (image.cols() / PER_CELL, image.rows() / PER_CELL);
    if cols < 2 * WINDOWS[1] || rows < 2 * WINDOWS[1] {
        return Err(CoreError::value(
            "ortho",
            "size",
            format!("{:?} m", image.size_m()),
            format!("at least {:.0} m", 2.0 * WINDOWS[1] as f64 * CELL_M),
        ));
    }
    let (maps, whole) = maps(&image, cols, rows);
    let (slope, roughness) = slope_roughness(elevation, SLOPE_M);
    let origin_m = image.origin_m();
    let summed: Vec<Vec<Vec<f32>>> = WINDOWS
        .iter()
        .map(|w| maps.iter().map(|m| blurred(m, cols, rows, *w, 1)).collect())
        .collect();
    let mut values = Vec::with_capacity(cols * rows * FEATURES);
    let mut known = Vec::with_capacity(cols * rows);
    for i in 0..cols * rows {
        let at = |k: usize, n: usize| origin_m[k] + (n as f64 + 0.5) * CELL_M;
        let (x, y) = (at(0, i % cols), at(1, i / cols));
        let ground = [slope.nearest(x, y), roughness.nearest(x, y)]
            .map(|v| v.filter(|v| v.is_finite()).map(|v| v as f32));
        let [Some(slope), Some(roughness)] = ground else {
            known.push(false);
            values.extend([0.0; FEATURES]);
            continue;
        };
        known.push(whole[i]);
        for window in &summed {
            let of = |m: usize| window[m][i];
            values.push(of(0));
            values.extend((1..BLURS_PX.len()).map(|m| of(m).max(1e-5).ln()));
            let b = BLURS_PX.len();
            values.push(of(b));
            let (xx, yy, xy) = (of(b + 1), of(b + 2), of(b + 3));
            let strength = (xx + yy).max(1e-9);
            values.push(strength.ln());
            values.push(((xx - yy).powi(2) + 4.0 * xy * xy).sqrt() / strength);
            // Of the weakest band, how much stands against the strongest: rocks are short, ripples long.
            values.push(of(1).max(1e-5).ln() - of(4).max(1e-5).ln());
        }
        values.extend([slope, (roughness.max(1e-4)).ln()]);
    }
    Ok(CellFeatures {
        cols,
        rows,
        origin_m,
        values,
        known,
    })
}

/// The image with pixels of [`PIXEL_M`].
fn at_pixel_size(ortho: &Raster) -> Result<Raster, CoreError> {
    let res = ortho.resolution_m();
    if !(res <= COARSEST_M) {
        return Err(CoreError::value(
            "ortho",
            "resolution_m",
            res,
            format!("at most {COARSEST_M} m a pixel: coarser images do not show ripples"),
        ));
    }
    let [cols, rows] = ortho
        .size_m()
        .map(|s| (s / PIXEL_M + 1e-6).floor().max(1.0) as usize);
    if cols.saturating_mul(rows) > MOST_PIXELS {
        return Err(CoreError::value(
            "ortho",
            "pixels",
            format!("{cols} x {rows}"),
            format!("at most {MOST_PIXELS}: take a part of it"),
        ));
    }
    if (res - PIXEL_M).abs() < 1e-3 {
        return Ok(ortho.clone());
    }
    let blank = Raster::filled(cols, rows, PIXEL_M, ortho.origin_m(), 0.0)?;
    Ok(blank.like(|c, r| {
        let [x, y] = blank.centre_m(c, r);
        ortho
            .sample(x, y)
            .or_else(|| ortho.nearest(x, y))
            .map_or(f32::NAN, |v| v as f32)
    }))
}

/// All maps by cell, and whether a cell is whole.
fn maps(image: &Raster, cols: usize, rows: usize) -> (Vec<Vec<f32>>, Vec<bool>) {
    let (w, h) = (image.cols(), image.rows());
    let mut whole = vec![true; cols * rows];
    let cell = |i: usize| {
        let (c, r) = (i % w / PER_CELL, i / w / PER_CELL);
        (c < cols && r < rows).then_some(r * cols + c)
    };
    let present = |v: f32| v.is_finite() && v > 0.0;
    for (i, v) in image.data().iter().enumerate() {
        if !present(*v)
            && let Some(k) = cell(i)
        {
            whole[k] = false;
        }
    }
    let tone = tone(image, present);
    let pool = |of: &dyn Fn(usize) -> f32| {
        let mut out = vec![0.0f32; cols * rows];
        for r in 0..rows * PER_CELL {
            for c in 0..cols * PER_CELL {
                out[r / PER_CELL * cols + c / PER_CELL] += of(r * w + c);
            }
        }
        let n = (PER_CELL * PER_CELL) as f32;
        out.iter_mut().for_each(|v| *v /= n);
        out
    };
    let mut out = Vec::with_capacity(MAPS);
    out.push(pool(&|i| tone[i]));
    let mut finer = tone.clone();
    let mut edges = Vec::new();
    for (k, radius) in BLURS_PX.iter().enumerate().skip(1) {
        let coarser = blurred(&tone, w, h, *radius, 2);
        out.push(pool(&|i| (finer[i] - coarser[i]).abs()));
        if k == 1 {
            edges.clone_from(&coarser);
        }
        finer = coarser;
    }
    out.push(pool(&|i| (-tone[i] - SHADOW).max(0.0)));
    let slope = |i: usize| {
        let (c, r) = (i % w, i / w);
        let at = |c: usize, r: usize| edges[r * w + c];
        (
            at((c + 1).min(w - 1), r) - at(c.saturating_sub(1), r),
            at(c, (r + 1).min(h - 1)) - at(c, r.saturating_sub(1)),
        )
    };
    out.push(pool(&|i| slope(i).0.powi(2)));
    out.push(pool(&|i| slope(i).1.powi(2)));
    out.push(pool(&|i| slope(i).0 * slope(i).1));
    (out, whole)
}

/// Brightness relative to what is around; 0 where there is none.
fn tone(image: &Raster, present: impl Fn(f32) -> bool) -> Vec<f32> {
    let (w, h) = (image.cols(), image.rows());
    let filled: Vec<f32> = image
        .data()
        .iter()
        .map(|v| if present(*v) { *v } else { 0.0 })
        .collect();
    let share: Vec<f32> = image
        .data()
        .iter()
        .map(|v| if present(*v) { 1.0 } else { 0.0 })
        .collect();
    let sum = blurred(&filled, w, h, LOCAL_PX, 1);
    let share = blurred(&share, w, h, LOCAL_PX, 1);
    filled
        .iter()
        .zip(sum.iter().zip(&share))
        .map(|(v, (sum, share))| {
            let mean = sum / share.max(1e-6);
            if *v > 0.0 && mean > 0.0 {
                (v / mean - 1.0).clamp(-1.0, 2.0)
            } else {
                0.0
            }
        })
        .collect()
}

/// Mean over a square of `2 radius + 1`, cut at the edges, `passes` times.
fn blurred(of: &[f32], w: usize, h: usize, radius: usize, passes: usize) -> Vec<f32> {
    let mut out = of.to_vec();
    for _ in 0..passes {
        let mut line = vec![0.0f64; w.max(h) + 1];
        for r in 0..h {
            slide(&mut out, &mut line, r * w, 1, w, radius);
        }
        for c in 0..w {
            slide(&mut out, &mut line, c, w, h, radius);
        }
    }
    out
}

/// Mean over a window along one line of numbers that stand `step` apart.
fn slide(of: &mut [f32], sums: &mut [f64], first: usize, step: usize, n: usize, radius: usize) {
    sums[0] = 0.0;
    for k in 0..n {
        sums[k + 1] = sums[k] + f64::from(of[first + k * step]);
    }
    for k in 0..n {
        let (lo, hi) = (k.saturating_sub(radius), (k + radius + 1).min(n));
        of[first + k * step] = ((sums[hi] - sums[lo]) / (hi - lo) as f64) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raster(res: f64, side_m: f64, of: impl Fn(f64, f64) -> f32) -> Raster {
        let n = (side_m / res).round() as usize;
        let blank = Raster::filled(n, n, res, [0.0, 0.0], 0.0).unwrap();
        blank.like(|c, r| {
            let [x, y] = blank.centre_m(c, r);
            of(x, y)
        })
    }

    #[test]
    fn ripples_have_order_and_a_wavelength_and_brightness_does_not_matter() {
        let flat = raster(1.0, 60.0, |_, _| 0.0);
        let ripples = |gain: f32| {
            raster(0.25, 60.0, move |x, _| {
                gain * (0.4 + 0.1 * (x * std::f64::consts::TAU / 2.2).sin() as f32)
            })
        };
        let a = features(&ripples(1.0), &flat).unwrap();
        let b = features(&ripples(3.0), &flat).unwrap();
        assert_eq!((a.cols, a.rows, a.values.len()), (30, 30, 900 * FEATURES));
        let middle = 15 * 30 + 15;
        let of = |f: &CellFeatures| f.values[middle * FEATURES..(middle + 1) * FEATURES].to_vec();
        for (u, v) in of(&a).iter().zip(of(&b)) {
            assert!((u - v).abs() < 1e-2, "{u} {v}");
        }
        // Order of the edges of the first window.
        assert!(of(&a)[BY_WINDOW - 2] > 0.9, "{:?}", of(&a));
    }

    #[test]
    fn holes_are_unknown_and_images_too_coarse_or_small_are_refused() {
        let flat = raster(1.0, 60.0, |_, _| 0.0);
        let holed = raster(0.25, 60.0, |x, y| {
            if x < 10.0 && y < 10.0 { f32::NAN } else { 0.4 }
        });
        let f = features(&holed, &flat).unwrap();
        assert!(!f.known[0] && f.known[29] && f.values.iter().all(|v| v.is_finite()));
        let said = |r: &Raster| features(r, &flat).unwrap_err().to_string();
        assert!(said(&raster(1.0, 60.0, |_, _| 0.4)).contains("ripples"));
        assert!(said(&raster(0.25, 6.0, |_, _| 0.4)).contains("size"));
    }
}
