//! Where a raster lies: its reference system, the place of its pixels and the true size of a unit at its centre.

use crate::SiteError;
use gdal::Dataset;
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};
use sojourn_core::body::Body;
use std::path::Path;

/// Largest disagreement between the raster's reference sphere and the body's radius, as a share. The Earth's
/// ellipsoid differs from its mean sphere by 0.1 %; another planet differs by tens of per cent.
const RADIUS_SHARE: f64 = 0.02;
/// Largest angle by which the raster's axes may differ from a right angle on the ground, degrees.
const SHEAR_DEG: f64 = 2.0;

/// Place and scale of a raster.
#[derive(Clone, Debug)]
pub(crate) struct Georef {
    /// Reference system as WKT.
    pub wkt: String,
    /// Outer corner of the first pixel in the file, CRS units.
    pub corner_crs: [f64; 2],
    /// Size of a pixel east, CRS units; positive.
    pub pixel_x_crs: f64,
    /// Size of a pixel from row to row of the file, CRS units; negative for the usual north-up file.
    pub pixel_y_crs: f64,
    /// Columns and rows of the file.
    pub size: [usize; 2],
    /// True metres per CRS unit at the centre, east and north.
    pub metres_per_unit: [f64; 2],
}

impl Georef {
    /// Outer south-west corner, CRS units.
    pub fn south_west_crs(&self) -> [f64; 2] {
        let rows = self.size[1] as f64;
        let y = self.corner_crs[1];
        [self.corner_crs[0], y.min(y + rows * self.pixel_y_crs)]
    }

    /// Whether the file's first row is the northern one.
    pub fn north_up(&self) -> bool {
        self.pixel_y_crs < 0.0
    }

    /// True size of a pixel east and north, metres.
    pub fn spacing_m(&self) -> [f64; 2] {
        [
            self.pixel_x_crs * self.metres_per_unit[0],
            self.pixel_y_crs.abs() * self.metres_per_unit[1],
        ]
    }
}

/// The reference system of a text, with x east and y north whatever the authority says.
pub(crate) fn spatial_ref(text: &str) -> Option<SpatialRef> {
    crate::read::quiet();
    let mut srs = SpatialRef::from_definition(text).ok()?;
    srs.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    Some(srs)
}

/// The geographic system under a projected one, degrees, longitude first.
pub(crate) fn geographic(srs: &SpatialRef) -> Option<SpatialRef> {
    let mut geo = srs.geog_cs().ok()?;
    geo.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    Some(geo)
}

/// Radius of the reference sphere (or the semi-major axis) of a raster file, metres; `None` for an engineering
/// system, which belongs to no planet.
///
/// # Errors
/// [`SiteError`] when the file is not a raster with a reference system.
pub fn reference_radius_m(file: &Path) -> Result<Option<f64>, SiteError> {
    let dataset = crate::read::open(file)?;
    let srs = dataset_srs(file, &dataset)?;
    Ok(if srs.is_geographic() || srs.is_projected() {
        srs.semi_major().ok()
    } else {
        None
    })
}

fn dataset_srs(file: &Path, dataset: &Dataset) -> Result<SpatialRef, SiteError> {
    if dataset.projection().trim().is_empty() {
        return Err(SiteError::refused(
            file,
            "has no coordinate reference system, so its unit is unknown; expected a raster whose system names its unit",
        ));
    }
    let mut srs = dataset.spatial_ref().map_err(|e| {
        SiteError::refused(
            file,
            format!("has a coordinate reference system that GDAL does not understand: {e}"),
        )
    })?;
    srs.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    Ok(srs)
}

/// Reads place and scale of an open raster. With a body, the reference sphere has to be that body's.
pub(crate) fn read(
    file: &Path,
    dataset: &Dataset,
    body: Option<&Body>,
) -> Result<Georef, SiteError> {
    let srs = dataset_srs(file, dataset)?;
    let wkt = srs.to_wkt().map_err(|e| {
        SiteError::refused(
            file,
            format!("has a coordinate reference system that cannot be written as text: {e}"),
        )
    })?;
    let Ok(gt) = dataset.geo_transform() else {
        return Err(SiteError::refused(
            file,
            "has no georeference (no geotransform), expected the place and size of its pixels",
        ));
    };
    let finite = gt.iter().all(|v| v.is_finite());
    if !finite || gt[1] == 0.0 || gt[5] == 0.0 {
        return Err(SiteError::refused(
            file,
            format!(
                "has the geotransform {gt:?}, expected finite numbers and a pixel size other than zero"
            ),
        ));
    }
    if gt[2].abs() > 1e-9 * gt[1].abs() || gt[4].abs() > 1e-9 * gt[5].abs() {
        return Err(SiteError::refused(
            file,
            format!(
                "is rotated (geotransform {gt:?}), expected rows that run east; warp it first, for instance with gdalwarp"
            ),
        ));
    }
    if gt[1] < 0.0 {
        return Err(SiteError::refused(
            file,
            format!(
                "is mirrored (pixel width {}), expected columns that run east",
                gt[1]
            ),
        ));
    }
    let (cols, rows) = dataset.raster_size();
    let centre = [
        gt[0] + 0.5 * cols as f64 * gt[1],
        gt[3] + 0.5 * rows as f64 * gt[5],
    ];
    let metres_per_unit = scale(file, &srs, centre, body)?;
    Ok(Georef {
        wkt,
        corner_crs: [gt[0], gt[3]],
        pixel_x_crs: gt[1],
        pixel_y_crs: gt[5],
        size: [cols, rows],
        metres_per_unit,
    })
}

/// True metres per unit of the system at a point.
fn scale(
    file: &Path,
    srs: &SpatialRef,
    centre: [f64; 2],
    body: Option<&Body>,
) -> Result<[f64; 2], SiteError> {
    if srs.is_geographic() || srs.is_projected() {
        check_body(file, srs, body)?;
    }
    if srs.is_geographic() {
        let unit_rad = unit(file, srs.angular_units(), "an angular unit")?;
        let lat_rad = centre[1] * unit_rad;
        if lat_rad.abs() >= 89.9f64.to_radians() {
            return Err(SiteError::refused(
                file,
                format!(
                    "has its centre at latitude {:.3}°, where longitudes run together; expected a polar projection there",
                    lat_rad.to_degrees()
                ),
            ));
        }
        let (east, north) = radii_m(file, srs, lat_rad)?;
        return Ok([unit_rad * east, unit_rad * north]);
    }
    let linear = unit(file, srs.linear_units(), "a linear unit")?;
    if srs.is_projected() {
        return projected_scale(file, srs, centre, linear);
    }
    if srs.is_local() {
        // GDAL answers 1 for an engineering system that says nothing of its unit, so the text has to be asked.
        let wkt = srs.to_wkt().unwrap_or_default();
        let name = srs.linear_units_name().unwrap_or_default();
        if !wkt.contains("UNIT[") || name.is_empty() || name.eq_ignore_ascii_case("unknown") {
            return Err(SiteError::refused(
                file,
                "has an engineering coordinate system without a unit, expected one that names its unit, for instance metres",
            ));
        }
        return Ok([linear, linear]);
    }
    Err(SiteError::refused(
        file,
        format!(
            "has the coordinate reference system \"{}\", expected a projected, geographic or engineering one",
            srs.name().unwrap_or_default()
        ),
    ))
}

fn unit(file: &Path, value: f64, what: &str) -> Result<f64, SiteError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(SiteError::refused(
            file,
            format!("has a coordinate reference system whose unit is {value}, expected {what}"),
        ))
    }
}

fn check_body(file: &Path, srs: &SpatialRef, body: Option<&Body>) -> Result<(), SiteError> {
    let (Some(body), Ok(radius_m)) = (body, srs.semi_major()) else {
        return Ok(());
    };
    if (radius_m / body.radius_m - 1.0).abs() <= RADIUS_SHARE {
        return Ok(());
    }
    Err(SiteError::refused(
        file,
        format!(
            "stands on a sphere of radius {radius_m:.0} m, but the body \"{}\" has {:.0} m; expected a raster of that body",
            body.name, body.radius_m
        ),
    ))
}

/// Radius of the parallel and of the meridian at a latitude, metres per radian.
fn radii_m(file: &Path, srs: &SpatialRef, lat_rad: f64) -> Result<(f64, f64), SiteError> {
    let (Ok(a), Ok(b)) = (srs.semi_major(), srs.semi_minor()) else {
        return Err(SiteError::refused(
            file,
            "has a coordinate reference system without a reference sphere, expected one",
        ));
    };
    let e2 = 1.0 - (b / a) * (b / a);
    let w2 = 1.0 - e2 * lat_rad.sin().powi(2);
    let east = a / w2.sqrt() * lat_rad.cos();
    let north = a * (1.0 - e2) / (w2 * w2.sqrt());
    Ok((east, north))
}

/// Scale of a projection, from where small steps east and north lead on the sphere.
fn projected_scale(
    file: &Path,
    srs: &SpatialRef,
    centre: [f64; 2],
    linear: f64,
) -> Result<[f64; 2], SiteError> {
    let unusable = |e: String| {
        SiteError::refused(
            file,
            format!(
                "has its centre at ({:.3}, {:.3}), which its coordinate reference system does not place on the ground: {e}",
                centre[0], centre[1]
            ),
        )
    };
    let geo = geographic(srs).ok_or_else(|| unusable("it has no geographic system".into()))?;
    let transform = CoordTransform::new(srs, &geo).map_err(|e| unusable(e.to_string()))?;
    // Small against the curvature, large against the rounding of the projection's inverse.
    let h = 100.0 / linear;
    let [x, y] = centre;
    let mut lon = [x - h, x + h, x, x, x];
    let mut lat = [y, y, y - h, y + h, y];
    transform
        .transform_coords(&mut lon, &mut lat, &mut [])
        .map_err(|e| unusable(e.to_string()))?;
    if lon.iter().chain(&lat).any(|v| !v.is_finite()) {
        return Err(unusable("the point is outside the projection".into()));
    }
    let to_rad = geo.angular_units();
    let (east, north) = radii_m(file, srs, lat[4] * to_rad)?;
    let step = |i: usize, j: usize| {
        let mut dlon = (lon[j] - lon[i]) * to_rad;
        if dlon.abs() > std::f64::consts::PI {
            dlon -= std::f64::consts::TAU.copysign(dlon);
        }
        [
            dlon * east / (2.0 * h),
            (lat[j] - lat[i]) * to_rad * north / (2.0 * h),
        ]
    };
    let (ex, ey) = (step(0, 1), step(2, 3));
    let (mx, my) = (ex[0].hypot(ex[1]), ey[0].hypot(ey[1]));
    let cos = (ex[0] * ey[0] + ex[1] * ey[1]) / (mx * my);
    if !(mx > 0.0 && my > 0.0 && mx.is_finite() && my.is_finite()) {
        return Err(unusable("the scale there is not a number".into()));
    }
    let shear_deg = 90.0 - cos.clamp(-1.0, 1.0).acos().to_degrees();
    if shear_deg.abs() > SHEAR_DEG {
        return Err(SiteError::refused(
            file,
            format!(
                "is sheared by {shear_deg:.1}° at its centre by its projection, expected at most {SHEAR_DEG}°; warp it to a local projection first"
            ),
        ));
    }
    Ok([mx, my])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale_of(definition: &str, centre: [f64; 2]) -> Result<[f64; 2], String> {
        let srs = spatial_ref(definition).unwrap();
        scale(Path::new("f.tif"), &srs, centre, None).map_err(|e| e.to_string())
    }

    #[test]
    fn a_unit_is_taken_at_its_word_or_missed() {
        let feet = "LOCAL_CS[\"yard\",UNIT[\"foot\",0.3048]]";
        assert_eq!(scale_of(feet, [0.0, 0.0]).unwrap(), [0.3048, 0.3048]);
        let none = "LOCAL_CS[\"yard\",UNIT[\"unknown\",1]]";
        let message = scale_of(none, [0.0, 0.0]).unwrap_err();
        assert!(message.contains("without a unit"), "{message}");
    }

    #[test]
    fn projections_have_their_own_scale() {
        // Universal transverse Mercator has 0.9996 on its central meridian.
        let [mx, my] = scale_of("EPSG:32634", [500_000.0, 5_600_000.0]).unwrap();
        assert!((mx * 0.9996 - 1.0).abs() < 1e-5 && (my * 0.9996 - 1.0).abs() < 1e-5);
        // Polar stereographic is true at the pole and has one scale in all directions.
        let polar = "+proj=stere +lat_0=-90 +lat_ts=-90 +R=3396190 +units=m";
        let [mx, my] = scale_of(polar, [200_000.0, 100_000.0]).unwrap();
        assert!(
            (mx / my - 1.0).abs() < 1e-5 && mx < 1.0 && mx > 0.99,
            "{mx} {my}"
        );
        // Far from its centre a sinusoidal projection is sheared.
        let sinusoidal = "+proj=sinu +lon_0=0 +R=3396190 +units=m";
        let message = scale_of(sinusoidal, [2_000_000.0, 2_000_000.0]).unwrap_err();
        assert!(message.contains("sheared"), "{message}");
        let disc = "+proj=ortho +lat_0=0 +lon_0=0 +R=3396190 +units=m";
        let message = scale_of(disc, [9e6, 0.0]).unwrap_err();
        assert!(
            message.contains("does not place on the ground"),
            "{message}"
        );
    }
}
