//! Points with numbers, as a GeoPackage that GIS programs open.

use crate::SiteError;
use crate::georef::spatial_ref;
use gdal::DriverManager;
use gdal::config::{clear_thread_local_config_option, set_thread_local_config_option};
use gdal::errors::GdalError;
use gdal::vector::{
    Feature, Geometry, LayerAccess, LayerOptions, OGRFieldType, OGRwkbGeometryType,
};
use sojourn_core::site::Manifest;
use sojourn_core::{CoreError, files};
use std::path::Path;

/// Points that are written in one transaction.
const AT_A_TIME: usize = 50_000;

/// What the points of a layer are.
#[derive(Clone, Copy, Debug)]
pub struct PointLayer<'a> {
    /// Name of the layer.
    pub name: &'a str,
    /// Names of the numbers that each point has.
    pub columns: &'a [&'a str],
    /// Date that the file carries, YYYY-MM-DD: the same points give the same bytes whenever they are written.
    pub date: &'a str,
}

/// Writes points (`map` metres and one number per column) as a GeoPackage with a spatial index, in the site's reference
/// system; a generated world has none and its points are in `map` metres. `tell` is told how many are written so far.
///
/// # Errors
/// [`SiteError`] that names the file, and why it cannot be written.
pub fn write_points<const N: usize>(
    path: &Path,
    manifest: &Manifest,
    layer: &PointLayer<'_>,
    points: impl IntoIterator<Item = ([f64; 2], [f64; N])>,
    tell: &dyn Fn(usize),
) -> Result<(), SiteError> {
    // The driver wants the ending.
    let mut tmp = files::temporary_name(path).into_os_string();
    tmp.push(".gpkg");
    let tmp = std::path::PathBuf::from(tmp);
    let unfinished = files::Unfinished::begin(&tmp);
    let written = dated(layer.date, || write(&tmp, manifest, layer, points, tell))
        .map_err(|e| SiteError::refused(path, format!("cannot be written: {e}")))
        .and_then(|()| {
            std::fs::rename(&tmp, path).map_err(|e| CoreError::io(path, "writing", e).into())
        });
    drop(unfinished);
    written
}

/// Lets GDAL take a date for the present one.
fn dated<T>(date: &str, work: impl FnOnce() -> Result<T, GdalError>) -> Result<T, GdalError> {
    const KEY: &str = "OGR_CURRENT_DATE";
    set_thread_local_config_option(KEY, &format!("{date}T00:00:00.000Z"))?;
    let done = work();
    clear_thread_local_config_option(KEY)?;
    done
}

fn write<const N: usize>(
    path: &Path,
    manifest: &Manifest,
    layer: &PointLayer<'_>,
    points: impl IntoIterator<Item = ([f64; 2], [f64; N])>,
    tell: &dyn Fn(usize),
) -> Result<(), GdalError> {
    let mut dataset = DriverManager::get_driver_by_name("GPKG")?.create_vector_only(path)?;
    let srs = spatial_ref(&manifest.crs);
    {
        let made = dataset.create_layer(LayerOptions {
            name: layer.name,
            srs: srs.as_ref(),
            ty: OGRwkbGeometryType::wkbPoint,
            options: None,
        })?;
        let fields: Vec<_> = layer
            .columns
            .iter()
            .map(|c| (*c, OGRFieldType::OFTReal))
            .collect();
        made.create_defn_fields(&fields)?;
    }
    let (origin, per_unit) = (manifest.map_origin_crs, manifest.metres_per_crs_unit);
    let mut points = points.into_iter().peekable();
    let mut count = 0;
    while points.peek().is_some() {
        let transaction = dataset.start_transaction()?;
        {
            let to = transaction.layer_by_name(layer.name)?;
            for (at_m, numbers) in points.by_ref().take(AT_A_TIME) {
                let mut feature = Feature::new(to.defn())?;
                let mut place = Geometry::empty(OGRwkbGeometryType::wkbPoint)?;
                let crs = |k: usize| origin[k] + at_m[k] / per_unit[k];
                place.set_point_2d(0, (crs(0), crs(1)));
                feature.set_geometry(place)?;
                for (k, v) in numbers.iter().take(layer.columns.len()).enumerate() {
                    feature.set_field_double(k, *v)?;
                }
                feature.create(&to)?;
                count += 1;
            }
        }
        transaction.commit()?;
        tell(count);
    }
    dataset.close()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may end on bad data
    use super::*;
    use gdal::Dataset;
    use std::collections::BTreeMap;

    fn manifest() -> Manifest {
        Manifest {
            schema_version: sojourn_core::site::SITE_SCHEMA_VERSION,
            name: "points".into(),
            body: sojourn_core::body::Body {
                name: "mars".into(),
                gravity_mps2: 3.72,
                radius_m: 3_396_190.0,
                atmosphere_pa: 600.0,
                light_time_s: 600.0,
            },
            crs: "LOCAL".into(),
            map_origin_crs: [100.0, 200.0],
            metres_per_crs_unit: [2.0, 1.0],
            z_datum_m: 0.0,
            layers: BTreeMap::new(),
        }
    }

    #[test]
    fn points_come_back_where_they_are_and_the_bytes_are_the_same_again() {
        let dir = tempfile::tempdir().unwrap();
        let layer = PointLayer {
            name: "rocks",
            columns: &["diameter_m", "height_m"],
            date: "2026-01-01",
        };
        let n = AT_A_TIME + 7;
        let points = || (0..n).map(|k| ([k as f64, 2.0 * k as f64], [0.1 + k as f64, 0.5]));
        let told = std::cell::Cell::new(0);
        let write = |name: &str| {
            let path = dir.path().join(name);
            write_points(&path, &manifest(), &layer, points(), &|k| told.set(k)).unwrap();
            path
        };
        let (a, b) = (write("a.gpkg"), write("b.gpkg"));
        assert_eq!(told.get(), n);
        assert!(std::fs::read(&a).unwrap() == std::fs::read(&b).unwrap());
        let read = Dataset::open(&a).unwrap();
        let mut found = read.layer_by_name("rocks").unwrap();
        assert_eq!(found.feature_count(), n as u64);
        let third = found.features().nth(3).unwrap();
        let (x, y, _) = third.geometry().unwrap().get_point(0);
        assert!(
            (x - 101.5).abs() < 1e-9 && (y - 206.0).abs() < 1e-9,
            "{x} {y}"
        );
        assert_eq!(third.field_as_double(0).unwrap(), Some(3.1));
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            2,
            "nothing is left over"
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none/rocks.gpkg");
        let layer = PointLayer {
            name: "rocks",
            columns: &["a"],
            date: "2026-01-01",
        };
        let error = write_points(&path, &manifest(), &layer, [([0.0; 2], [1.0])], &|_| ());
        assert!(error.unwrap_err().to_string().contains("rocks.gpkg"));
    }
}
