//! Reading bands with GDAL, row by row, with every surprise turned into a sentence.

use crate::SiteError;
use gdal::Dataset;
use gdal::raster::{GdalDataType, RasterBand};
use sojourn_core::raster::MAX_CELLS;
use std::path::Path;
use std::sync::Once;

/// Heights beyond this are no heights, metres. Olympus Mons is 21 km high.
pub(crate) const ABSURD_M: f64 = 30_000.0;
/// Cells read at once.
const STRIP_CELLS: usize = 1 << 20;

/// Keeps GDAL's own messages off standard error: what matters of them is in our sentences.
pub(crate) fn quiet() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| gdal::config::set_error_handler(|_, _, _| {}));
}

/// Opens a raster.
pub(crate) fn open(file: &Path) -> Result<Dataset, SiteError> {
    quiet();
    let io = |cause| SiteError::Io {
        path: file.to_path_buf(),
        cause,
    };
    let meta = std::fs::metadata(file).map_err(io)?;
    if meta.is_file() {
        // GDAL says "not a raster" to a file it may not read; the operating system knows better.
        std::fs::File::open(file).map_err(io)?;
        if meta.len() == 0 {
            return Err(SiteError::refused(
                file,
                "is empty (0 bytes), expected a raster",
            ));
        }
    }
    let dataset = Dataset::open(file).map_err(|_| {
        SiteError::refused(
            file,
            "is not a raster that GDAL can read (or only a part of one), expected for instance a GeoTIFF",
        )
    })?;
    if dataset.raster_count() == 0 {
        return Err(SiteError::refused(
            file,
            "holds no raster band, expected one band",
        ));
    }
    let (cols, rows) = dataset.raster_size();
    if cols
        .checked_mul(rows)
        .is_none_or(|n| n == 0 || n > MAX_CELLS)
    {
        return Err(SiteError::refused(
            file,
            format!("has {cols} x {rows} cells, expected 1 to {MAX_CELLS}"),
        ));
    }
    Ok(dataset)
}

/// GDAL's own words for an error, without the numbers around them.
fn words(error: &gdal::errors::GdalError) -> String {
    match error {
        gdal::errors::GdalError::CplError { msg, .. } => msg.trim().replace('\n', " "),
        other => other.to_string(),
    }
}

/// A band that gives numbers: no-data as not-a-number, scale and offset applied.
pub(crate) struct Band<'a> {
    file: &'a Path,
    band: RasterBand<'a>,
    masked: bool,
    no_data: Option<f64>,
    single: bool,
    scale: f64,
    offset: f64,
}

impl<'a> Band<'a> {
    /// Band `index` (from 1) of an open raster.
    pub fn new(file: &'a Path, dataset: &'a Dataset, index: usize) -> Result<Self, SiteError> {
        let band = dataset
            .rasterband(index)
            .map_err(|e| SiteError::refused(file, format!("band {index} cannot be read: {e}")))?;
        let scale = band.scale().unwrap_or(1.0);
        let offset = band.offset().unwrap_or(0.0);
        if !scale.is_finite() || scale == 0.0 || !offset.is_finite() {
            return Err(SiteError::refused(
                file,
                format!(
                    "band {index} has the scale {scale} and the offset {offset}, expected finite numbers and a scale other than 0"
                ),
            ));
        }
        let masked = band
            .mask_flags()
            .is_ok_and(|flags| flags.is_per_dataset() || flags.is_alpha());
        Ok(Self {
            file,
            no_data: band.no_data_value(),
            single: band.band_type() == GdalDataType::Float32,
            band,
            masked,
            scale,
            offset,
        })
    }

    /// Type of the stored values.
    pub fn kind(&self) -> GdalDataType {
        self.band.band_type()
    }

    /// Unit as the file names it.
    pub fn unit(&self) -> String {
        self.band.unit().trim().to_ascii_lowercase()
    }

    /// Calls `take(row, values)` for each row of a window of the file, from its first row down.
    pub fn rows(
        &self,
        window: [usize; 4],
        mut take: impl FnMut(usize, &[f64]) -> Result<(), SiteError>,
    ) -> Result<(), SiteError> {
        let [col, row, cols, rows] = window;
        let strip_rows = (STRIP_CELLS / cols.max(1)).clamp(1, rows.max(1));
        let mut done = 0;
        while done < rows {
            let n = strip_rows.min(rows - done);
            let values = self.block([col, row + done, cols, n], [cols, n])?;
            for (i, line) in values.chunks_exact(cols).enumerate() {
                take(row + done + i, line)?;
            }
            done += n;
        }
        Ok(())
    }

    /// The values of a window `[col, row, cols, rows]` of the file, brought to `shape` by averaging when that is smaller.
    pub fn block(&self, window: [usize; 4], shape: [usize; 2]) -> Result<Vec<f64>, SiteError> {
        let [col, row, cols, rows] = window;
        let (at, size, shape) = (
            (col as isize, row as isize),
            (cols, rows),
            (shape[0], shape[1]),
        );
        let smaller = (size != shape).then_some(gdal::raster::ResampleAlg::Average);
        let cut = |e: gdal::errors::GdalError| {
            SiteError::refused(
                self.file,
                format!(
                    "cannot be read from row {row} to {}, expected a whole file; it may be cut short ({})",
                    row + rows,
                    words(&e)
                ),
            )
        };
        let buffer = self
            .band
            .read_as::<f64>(at, size, shape, smaller)
            .map_err(cut)?;
        let (_, mut values) = buffer.into_shape_and_vec();
        for v in &mut values {
            *v = if self.is_no_data(*v) {
                f64::NAN
            } else {
                *v * self.scale + self.offset
            };
        }
        if self.masked {
            let mask = self.band.open_mask_band().map_err(cut)?;
            let (_, mask) = mask
                .read_as::<u8>(at, size, shape, None)
                .map_err(cut)?
                .into_shape_and_vec();
            for (v, m) in values.iter_mut().zip(mask) {
                if m == 0 {
                    *v = f64::NAN;
                }
            }
        }
        Ok(values)
    }

    fn is_no_data(&self, v: f64) -> bool {
        match self.no_data {
            // A no-data value such as -3.4028226550889045e38 is written with more digits than a float holds.
            Some(n) if self.single => v as f32 == n as f32,
            Some(n) => v == n,
            None => false,
        }
    }
}
