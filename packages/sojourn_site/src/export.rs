//! GeoTIFF copies of a site's layers, for other tools.

use crate::SiteError;
use crate::georef::spatial_ref;
use gdal::DriverManager;
use gdal::raster::{Buffer, RasterCreationOptions};
use sojourn_core::raster::Raster;
use sojourn_core::site::{ELEVATION, Site};
use sojourn_core::{CoreError, files};
use std::path::{Path, PathBuf};

/// Writes `<layer>.tif` for every layer into a folder and returns the files. Heights are the source's again (with the
/// datum added), coordinates are those of the source's reference system; a generated world has none and gets `map`
/// metres.
///
/// # Errors
/// [`SiteError`] with the file; no file is left half written.
pub fn write_geotiffs(site: &Site, dir: &Path) -> Result<Vec<PathBuf>, SiteError> {
    std::fs::create_dir_all(dir).map_err(|e| CoreError::io(dir, "creating", e))?;
    let mut written = Vec::new();
    for (name, raster) in &site.layers {
        let path = dir.join(format!("{name}.tif"));
        let datum_m = if name == ELEVATION {
            site.manifest.z_datum_m
        } else {
            0.0
        };
        write_whole(site, raster, datum_m, &path)?;
        written.push(path);
    }
    Ok(written)
}

/// Writes one raster over a site as a GeoTIFF, in the source's reference system.
///
/// # Errors
/// [`SiteError`] with the file; it is not left half written.
pub fn write_geotiff(site: &Site, raster: &Raster, path: &Path) -> Result<(), SiteError> {
    write_whole(site, raster, 0.0, path)
}

fn write_whole(site: &Site, raster: &Raster, datum_m: f64, path: &Path) -> Result<(), SiteError> {
    // GDAL picks nothing from the ending when the driver is named, so the temporary name may be any.
    let tmp = files::temporary_name(path);
    let unfinished = files::Unfinished::begin(&tmp);
    let result = write_one(site, raster, datum_m, &tmp)
        .map_err(|e| SiteError::refused(path, format!("cannot be written: {e}")))
        .and_then(|()| {
            std::fs::rename(&tmp, path).map_err(|e| CoreError::io(path, "writing", e).into())
        });
    drop(unfinished);
    result
}

fn write_one(
    site: &Site,
    raster: &Raster,
    datum_m: f64,
    path: &Path,
) -> Result<(), gdal::errors::GdalError> {
    let (cols, rows) = (raster.cols(), raster.rows());
    let options =
        RasterCreationOptions::from_iter(["COMPRESS=DEFLATE", "TILED=YES", "BIGTIFF=IF_SAFER"]);
    let driver = DriverManager::get_driver_by_name("GTiff")?;
    let mut dataset =
        driver.create_with_band_type_with_options::<f32, _>(path, cols, rows, 1, &options)?;
    let m = &site.manifest;
    let [mx, my] = m.metres_per_crs_unit;
    let [x_m, y_m] = raster.origin_m();
    let (res, height_m) = (raster.resolution_m(), raster.size_m()[1]);
    dataset.set_geo_transform(&[
        m.map_origin_crs[0] + x_m / mx,
        res / mx,
        0.0,
        m.map_origin_crs[1] + (y_m + height_m) / my,
        0.0,
        -res / my,
    ])?;
    if let Some(srs) = spatial_ref(&m.crs) {
        dataset.set_spatial_ref(&srs)?;
    }
    let mut band = dataset.rasterband(1)?;
    band.set_no_data_value(Some(f64::NAN))?;
    for (i, line) in raster.data().chunks_exact(cols).enumerate() {
        let values = line
            .iter()
            .map(|&v| (f64::from(v) + datum_m) as f32)
            .collect();
        let mut buffer = Buffer::new((cols, 1), values);
        band.write((0, (rows - 1 - i) as isize), (cols, 1), &mut buffer)?;
    }

    dataset.close()
}
