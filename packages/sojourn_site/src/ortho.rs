//! The orbital image, brought into the map frame.

use crate::georef::{Georef, spatial_ref};
use crate::read::Band;
use crate::{SiteError, georef, read};
use gdal::raster::GdalDataType;
use gdal::spatial_ref::CoordTransform;
use sojourn_core::raster::Raster;
use std::path::Path;

/// Most cells a side of the layer; a finer image is averaged down.
const MAX_SIDE: usize = 4096;
/// Share of the darkest and of the brightest cells that may saturate when an image has no natural scale.
const TAIL_SHARE: f64 = 0.005;

/// The map that the image goes onto.
pub(crate) struct Target<'a> {
    /// Reference system of the elevation model.
    pub crs: &'a str,
    /// Its coordinates of the map's origin.
    pub origin_crs: [f64; 2],
    /// Metres per unit east and north.
    pub metres_per_unit: [f64; 2],
    /// Size of the map, metres.
    pub size_m: [f64; 2],
    /// What the raster is, for people.
    pub what: &'static str,
}

impl Target<'_> {
    fn crs_of(&self, x_m: f64, y_m: f64) -> [f64; 2] {
        [
            self.origin_crs[0] + x_m / self.metres_per_unit[0],
            self.origin_crs[1] + y_m / self.metres_per_unit[1],
        ]
    }
}

/// Reads an image into brightness 0 to 1 on the map; not-a-number where it does not reach.
pub(crate) fn import(file: &Path, target: &Target<'_>) -> Result<Raster, SiteError> {
    let (mut layer, image) = onto(file, target, None)?;
    image.normalise(&mut layer);
    Ok(layer)
}

/// Reads a raster's values onto the map, in cells of this size or of about its own; not-a-number where it does not reach.
pub(crate) fn onto(
    file: &Path,
    target: &Target<'_>,
    cell_m: Option<f64>,
) -> Result<(Raster, Image), SiteError> {
    let dataset = read::open(file)?;
    let georef = georef::read(file, &dataset, None)?;
    let transform = transform(file, target.crs, &georef)?;
    let window = overlap(file, target, &georef, transform.as_ref())?;
    let image = Image::read(file, &dataset, window)?;
    // Square cells of about the image's own spacing, a whole number of them across the map.
    let [sx, sy] = georef.spacing_m();
    let wanted_m = sx.min(sy) * image.step;
    let longest_m = target.size_m[0].max(target.size_m[1]);
    let cells = (longest_m / wanted_m).ceil().clamp(1.0, MAX_SIDE as f64);
    let res = cell_m.unwrap_or(longest_m / cells);
    let cols = (target.size_m[0] / res).round().max(1.0) as usize;
    let rows = (target.size_m[1] / res).round().max(1.0) as usize;
    let mut layer = Raster::filled(cols, rows, res, [0.0, 0.0], f32::NAN)?;
    let (mut xs, mut ys) = (vec![0.0; cols], vec![0.0; cols]);
    for row in 0..rows {
        for col in 0..cols {
            let [x_m, y_m] = layer.centre_m(col, row);
            [xs[col], ys[col]] = target.crs_of(x_m, y_m);
        }
        if let Some(t) = &transform {
            // A row that leaves the projection stays without data.
            if t.transform_coords(&mut xs, &mut ys, &mut []).is_err() {
                continue;
            }
        }
        for col in 0..cols {
            let px = (xs[col] - georef.corner_crs[0]) / georef.pixel_x_crs;
            let py = (ys[col] - georef.corner_crs[1]) / georef.pixel_y_crs;
            if let Some(v) = image.sample(px, py) {
                layer.set(col, row, v as f32);
            }
        }
    }
    if layer.data().iter().all(|v| v.is_nan()) {
        return Err(SiteError::refused(
            file,
            format!(
                "has no data on the elevation model's ground, expected {} of the same place",
                target.what
            ),
        ));
    }
    Ok((layer, image))
}

/// From the elevation model's system to the image's; `None` when they are the same.
fn transform(file: &Path, crs: &str, georef: &Georef) -> Result<Option<CoordTransform>, SiteError> {
    if crs == georef.wkt {
        return Ok(None);
    }
    let (Some(from), Some(to)) = (spatial_ref(crs), spatial_ref(&georef.wkt)) else {
        return Err(SiteError::refused(
            file,
            "has a coordinate reference system that cannot be compared with the elevation model's",
        ));
    };
    if from == to {
        return Ok(None);
    }
    let placed = |s: &gdal::spatial_ref::SpatialRef| s.is_geographic() || s.is_projected();
    if !placed(&from) || !placed(&to) {
        return Err(SiteError::refused(
            file,
            format!(
                "has the coordinate reference system \"{}\", but the elevation model has \"{}\" and an engineering system cannot be placed in another; expected the same",
                to.name().unwrap_or_default(),
                from.name().unwrap_or_default()
            ),
        ));
    }
    CoordTransform::new(&from, &to).map(Some).map_err(|e| {
        SiteError::refused(
            file,
            format!("cannot be brought into the elevation model's projection: {e}"),
        )
    })
}

/// Part of the image that the map covers, `[col, row, cols, rows]`.
fn overlap(
    file: &Path,
    target: &Target<'_>,
    georef: &Georef,
    transform: Option<&CoordTransform>,
) -> Result<[usize; 4], SiteError> {
    const STEPS: usize = 16;
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for i in 0..=STEPS {
        let t = i as f64 / STEPS as f64;
        for (u, v) in [(t, 0.0), (t, 1.0), (0.0, t), (1.0, t)] {
            let [x, y] = target.crs_of(u * target.size_m[0], v * target.size_m[1]);
            xs.push(x);
            ys.push(y);
        }
    }
    let apart = || {
        SiteError::refused(
            file,
            format!(
                "does not overlap the elevation model, expected {} of the same place",
                target.what
            ),
        )
    };
    if let Some(t) = transform {
        t.transform_coords(&mut xs, &mut ys, &mut [])
            .map_err(|_| apart())?;
    }
    let (mut lo, mut hi) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for (x, y) in xs.iter().zip(&ys) {
        let p = [
            (x - georef.corner_crs[0]) / georef.pixel_x_crs,
            (y - georef.corner_crs[1]) / georef.pixel_y_crs,
        ];
        for a in 0..2 {
            lo[a] = lo[a].min(p[a]);
            hi[a] = hi[a].max(p[a]);
        }
    }
    let mut window = [0; 4];
    for a in 0..2 {
        let size = georef.size[a] as f64;
        // A margin of two pixels for the interpolation.
        let (first, last) = (
            (lo[a] - 2.0).floor().clamp(0.0, size),
            (hi[a] + 2.0).ceil().clamp(0.0, size),
        );
        if !(lo[a] < size && hi[a] > 0.0 && last - first >= 1.0) {
            return Err(apart());
        }
        window[a] = first as usize;
        window[a + 2] = (last - first) as usize;
    }
    Ok(window)
}

/// The part of the image in memory.
pub(crate) struct Image {
    window: [usize; 4],
    /// File pixels per pixel in memory.
    step: f64,
    /// Row 0 is the first row of the window in the file.
    pixels: Raster,
    byte: bool,
}

impl Image {
    fn read(file: &Path, dataset: &gdal::Dataset, window: [usize; 4]) -> Result<Self, SiteError> {
        let step = (window[2].max(window[3]) as f64 / MAX_SIDE as f64).max(1.0);
        let shape = [
            (window[2] as f64 / step).round().max(1.0) as usize,
            (window[3] as f64 / step).round().max(1.0) as usize,
        ];
        // One band is brightness; of a colour image the usual luminance is taken.
        let bands = dataset.raster_count();
        let weights: &[(usize, f64)] = if bands >= 3 {
            &[(1, 0.299), (2, 0.587), (3, 0.114)]
        } else {
            &[(1, 1.0)]
        };
        let mut sum = vec![0.0; shape[0] * shape[1]];
        let mut byte = true;
        for &(index, weight) in weights {
            let band = Band::new(file, dataset, index)?;
            byte &= band.kind() == GdalDataType::UInt8;
            for (s, v) in sum.iter_mut().zip(band.block(window, shape)?) {
                *s += weight * v;
            }
        }
        let data = sum
            .into_iter()
            .map(|v| if v.is_finite() { v as f32 } else { f32::NAN })
            .collect();
        Ok(Self {
            window,
            step,
            pixels: Raster::new(shape[0], shape[1], 1.0, [0.0, 0.0], data)?,
            byte,
        })
    }

    /// Value at a place in pixels of the file.
    fn sample(&self, px: f64, py: f64) -> Option<f64> {
        let u = (px - self.window[0] as f64) * self.pixels.cols() as f64 / self.window[2] as f64;
        let v = (py - self.window[1] as f64) * self.pixels.rows() as f64 / self.window[3] as f64;
        self.pixels.sample(u, v)
    }

    fn normalise(&self, layer: &mut Raster) {
        let (lo, hi) = if self.byte {
            (0.0, 255.0)
        } else {
            let mut values: Vec<f32> = layer
                .data()
                .iter()
                .copied()
                .filter(|v| !v.is_nan())
                .collect();
            values.sort_unstable_by(f32::total_cmp);
            let tail = (values.len() as f64 * TAIL_SHARE) as usize;
            let last = values.len().saturating_sub(1);
            let at = |i: usize| values.get(i).copied().unwrap_or(0.0);
            (at(tail.min(last)), at(last.saturating_sub(tail)))
        };
        let span = if hi > lo { hi - lo } else { 1.0 };
        for v in layer.data_mut() {
            // Not-a-number stays what it is.
            *v = ((*v - lo) / span).clamp(0.0, 1.0);
        }
    }
}
