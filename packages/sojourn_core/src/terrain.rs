//! Slope and roughness of the ground over a footprint: the least-squares plane around every cell.

use crate::raster::Raster;

/// Share of a full footprint that must hold data for a value; below it the cell has none.
const LEAST_SHARE: f64 = 0.6;

/// Slope in degrees and roughness in metres (standard deviation of the ground about its plane) for every cell, over
/// the cells whose centres lie within `radius_m` of its own, and over at least its eight neighbours.
///
/// A cell without data has neither value; nor has one with less than 60 % of its footprint known (outside the raster
/// counts as unknown), because a plane through a sliver says nothing of the footprint.
#[must_use]
pub fn slope_roughness(elevation: &Raster, radius_m: f64) -> (Raster, Raster) {
    let res = elevation.resolution_m();
    let window = window(radius_m / res);
    let least = (LEAST_SHARE * window.len() as f64).ceil().max(4.0);
    let (cols, rows) = (elevation.cols() as i64, elevation.rows() as i64);
    let data = elevation.data();
    let mut roughness = vec![f32::NAN; data.len()];
    let slope = elevation.like(|col, row| {
        let (c, r) = (col as i64, row as i64);
        let here = data[row * elevation.cols() + col];
        if here.is_nan() {
            return f32::NAN;
        }
        let mut fit = Fit::default();
        for &(dx, dy) in &window {
            let (x, y) = (c + dx, r + dy);
            if x < 0 || y < 0 || x >= cols || y >= rows {
                continue;
            }
            // Heights are taken from the cell's own, which keeps the sums small and the residuals exact.
            let z = f64::from(data[(y * cols + x) as usize]) - f64::from(here);
            if !z.is_nan() {
                fit.add(dx as f64, dy as f64, z);
            }
        }
        match (fit.n >= least).then(|| fit.solve()).flatten() {
            Some((gx, gy, sd)) => {
                roughness[row * elevation.cols() + col] = sd as f32;
                gx.hypot(gy).atan2(res).to_degrees() as f32
            }
            None => f32::NAN,
        }
    });
    let mut rough = slope.clone();
    rough.data_mut().copy_from_slice(&roughness);
    (slope, rough)
}

/// Makes slope and roughness worse by what is not known of the ground: the slope by so many degrees more, the roughness at least
/// so many metres, both rasters in the cells of the elevation ([`crate::site::SLOPE_MORE`], [`crate::site::ROUGHNESS_LEAST`]).
/// Nothing becomes easier: what is no number above 0 changes nothing.
pub fn doubt(slope: &mut Raster, roughness: &mut Raster, more_deg: &Raster, least_m: &Raster) {
    for (v, more) in slope.data_mut().iter_mut().zip(more_deg.data()) {
        // Not-a-number stays what it is.
        *v += more.max(0.0);
    }
    for (v, least) in roughness.data_mut().iter_mut().zip(least_m.data()) {
        if !v.is_nan() {
            *v = v.max(*least);
        }
    }
}

/// Slope and roughness of a site's ground over a footprint, with what is not known of it where a coarser map stands in.
///
/// # Errors
/// [`crate::CoreError`] when the site has no elevation, or layers of doubt that are not in its cells.
pub fn ground_of(
    site: &crate::site::Site,
    radius_m: f64,
) -> Result<(Raster, Raster), crate::CoreError> {
    use crate::site::{ROUGHNESS_LEAST, SLOPE_MORE};
    let elevation = site.elevation()?;
    let (mut slope, mut roughness) = slope_roughness(elevation, radius_m);
    let layer = |name: &str| site.layers.get(name);
    if layer(SLOPE_MORE).is_some() || layer(ROUGHNESS_LEAST).is_some() {
        let nothing = elevation.like(|_, _| 0.0);
        let of = |name: &str| {
            let found = layer(name).unwrap_or(&nothing);
            let fits = (found.cols(), found.rows()) == (elevation.cols(), elevation.rows());
            fits.then_some(found).ok_or_else(|| {
                crate::CoreError::value(
                    format!("site {}", site.manifest.name),
                    name,
                    format!("{} x {} cells", found.cols(), found.rows()),
                    format!(
                        "those of the elevation, {} x {}",
                        elevation.cols(),
                        elevation.rows()
                    ),
                )
            })
        };
        doubt(
            &mut slope,
            &mut roughness,
            of(SLOPE_MORE)?,
            of(ROUGHNESS_LEAST)?,
        );
    }
    Ok((slope, roughness))
}

/// Cell offsets within `radius` cells of the centre, at least the eight neighbours.
fn window(radius: f64) -> Vec<(i64, i64)> {
    // 1.5 holds the diagonal neighbours; a footprint of more than 200 cells across is cut there.
    let radius = if radius.is_finite() {
        radius.clamp(1.5, 100.0)
    } else {
        1.5
    };
    let n = radius.floor() as i64;
    let inside = |dx: i64, dy: i64| ((dx * dx + dy * dy) as f64) <= radius * radius;
    (-n..=n)
        .flat_map(|dy| (-n..=n).map(move |dx| (dx, dy)))
        .filter(|&(dx, dy)| inside(dx, dy))
        .collect()
}

/// Sums of a plane fit `z = p + gx·x + gy·y`, x and y in cells.
#[derive(Default)]
struct Fit {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
    z: f64,
    xz: f64,
    yz: f64,
    zz: f64,
}

impl Fit {
    fn add(&mut self, x: f64, y: f64, z: f64) {
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
        self.yy += y * y;
        self.z += z;
        self.xz += x * z;
        self.yz += y * z;
        self.zz += z * z;
    }

    /// Gradients per cell and the standard deviation of the residuals; `None` when the points lie on one line.
    fn solve(&self) -> Option<(f64, f64, f64)> {
        let n = self.n;
        let (mx, my, mz) = (self.x / n, self.y / n, self.z / n);
        let (xx, xy, yy) = (
            self.xx / n - mx * mx,
            self.xy / n - mx * my,
            self.yy / n - my * my,
        );
        let (xz, yz) = (self.xz / n - mx * mz, self.yz / n - my * mz);
        let det = xx * yy - xy * xy;
        if det <= 1e-9 {
            return None;
        }
        let gx = (xz * yy - yz * xy) / det;
        let gy = (yz * xx - xz * xy) / det;
        let variance = self.zz / n - mz * mz - gx * xz - gy * yz;
        Some((gx, gy, variance.max(0.0).sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raster(res: f64, f: impl Fn(f64, f64) -> f64) -> Raster {
        let r = Raster::filled(40, 30, res, [5.0, -3.0], 0.0).unwrap();
        r.like(|c, row| {
            let [x, y] = r.centre_m(c, row);
            f(x, y) as f32
        })
    }

    proptest! {
        #[test]
        fn a_plane_has_its_slope_and_no_roughness(slope in 0.0f64..40.0, dir in -3.2f64..3.2, res in 0.05f64..3.0) {
            let g = slope.to_radians().tan();
            let r = raster(res, |x, y| 100.0 + g * (dir.cos() * x + dir.sin() * y));
            let (s, q) = slope_roughness(&r, 1.4);
            for (col, row) in [(20, 15), (35, 25)] {
                if !s.get(col, row).is_nan() {
                    prop_assert!((f64::from(s.get(col, row)) - slope).abs() < 0.05, "{}", s.get(col, row));
                    prop_assert!(f64::from(q.get(col, row)) < 1e-3 * res.max(0.1), "{}", q.get(col, row));
                }
            }
            prop_assert!(!s.get(20, 15).is_nan() || res < 0.1);
        }
    }

    #[test]
    fn a_checkerboard_is_rough_and_level() {
        let r = raster(1.0, |x, y| {
            if (x.floor() + y.floor()) as i64 % 2 == 0 {
                0.1
            } else {
                -0.1
            }
        });
        let (s, q) = slope_roughness(&r, 3.0);
        assert!((q.get(20, 15) - 0.1).abs() < 0.01 && s.get(20, 15) < 1.0);
    }

    #[test]
    fn no_data_stays_no_data() {
        let mut r = raster(1.0, |x, _| 0.1 * x);
        r.set(10, 10, f32::NAN);
        let (s, q) = slope_roughness(&r, 1.4);
        assert!(s.get(10, 10).is_nan() && q.get(10, 10).is_nan());
        // beside the hole eight of nine cells are left; in the raster's corner four of nine
        assert!(!s.get(11, 10).is_nan());
        assert!(s.get(0, 0).is_nan() && !s.get(1, 1).is_nan());
        let (s, _) = slope_roughness(&r, f64::NAN);
        assert!(!s.get(20, 20).is_nan());
    }
}
