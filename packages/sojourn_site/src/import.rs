//! From files to a site.

use crate::georef::Georef;
use crate::read::{ABSURD_M, Band};
use crate::{SiteError, georef, ortho, read};
use gdal::raster::GdalDataType;
use sojourn_core::body::Body;
use sojourn_core::raster::{MAX_CELLS, Raster};
use sojourn_core::site::{ELEVATION, Manifest, ORTHO, ROUGHNESS, SITE_SCHEMA_VERSION, SLOPE, Site};
use sojourn_core::terrain::slope_roughness;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Difference of the two true spacings beyond which the raster is brought to square cells.
const SQUARE_SHARE: f64 = 1e-3;

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The elevation model.
    pub dtm: PathBuf,
    /// The orbital image, when there is one.
    pub ortho: Option<PathBuf>,
    /// The planet; a raster that stands on another planet's sphere is refused.
    pub body: Body,
    /// Name of the site.
    pub name: String,
    /// Radius of the disc that slope and roughness are taken over, metres ([`sojourn_core::rover::Rover::footprint_radius_m`]).
    pub footprint_m: f64,
    /// Part to import, `[east_min, north_min, east_max, north_max]` in `map` metres of the whole raster; the part's own
    /// south-west corner becomes the origin.
    pub window: Option<[f64; 4]>,
}

/// Imports an elevation model and, when given, an orbital image. The elevation layer depends on the elevation model
/// alone.
///
/// # Errors
/// [`SiteError`] with one sentence: not a raster, no reference system or unit, rotated, cut short, no data, absurd
/// heights, too large, another planet's, an image that does not overlap.
pub fn import(request: &ImportRequest) -> Result<Site, SiteError> {
    let file = request.dtm.as_path();
    if !(request.footprint_m.is_finite() && request.footprint_m > 0.0) {
        return Err(SiteError::refused(
            file,
            format!(
                "cannot be read for a footprint of {} m, expected a positive number",
                request.footprint_m
            ),
        ));
    }
    let dataset = read::open(file)?;
    let georef = georef::read(file, &dataset, Some(&request.body))?;
    let band = elevation_band(file, &dataset)?;
    let window = file_window(file, &georef, request.window)?;
    let (z_datum_m, _) = datum(file, &band, window)?;
    let native = read_elevation(&band, &georef, window, z_datum_m)?;
    let (elevation, metres_per_crs_unit) = square(&georef, window, native)?;
    let map_origin_crs = window_corner_crs(&georef, window);
    let mut site = Site {
        manifest: Manifest {
            schema_version: SITE_SCHEMA_VERSION,
            name: request.name.clone(),
            body: request.body.clone(),
            crs: georef.wkt.clone(),
            map_origin_crs,
            metres_per_crs_unit,
            z_datum_m,
            layers: BTreeMap::new(),
        },
        layers: BTreeMap::new(),
    };
    let (slope, roughness) = slope_roughness(&elevation, request.footprint_m);
    let size_m = elevation.size_m();
    site.put(ELEVATION, elevation, "m", &file_name(file));
    let derived = format!(
        "derived from elevation over a disc of radius {:.2} m",
        request.footprint_m
    );
    site.put(SLOPE, slope, "deg", &derived);
    site.put(ROUGHNESS, roughness, "m", &derived);
    if let Some(image) = &request.ortho {
        let layer = ortho::import(
            image,
            &ortho::Target {
                crs: &georef.wkt,
                origin_crs: map_origin_crs,
                metres_per_unit: metres_per_crs_unit,
                size_m,
                what: "an image",
            },
        )?;
        site.put(ORTHO, layer, "1", &file_name(image));
    }
    Ok(site)
}

/// The file's name without its folder: where a person keeps the file is no part of the site.
fn file_name(file: &Path) -> String {
    file.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn elevation_band<'a>(file: &'a Path, dataset: &'a gdal::Dataset) -> Result<Band<'a>, SiteError> {
    let bands = dataset.raster_count();
    let band = Band::new(file, dataset, 1)?;
    if bands >= 3 || band.kind() == GdalDataType::UInt8 {
        return Err(SiteError::refused(
            file,
            format!(
                "looks like a picture (number of bands {bands}, type {}), expected one band of heights in metres",
                band.kind().name()
            ),
        ));
    }
    match band.unit().as_str() {
        "" | "m" | "metre" | "metres" | "meter" | "meters" => Ok(band),
        other => Err(SiteError::refused(
            file,
            format!("has heights in \"{other}\", expected metres"),
        )),
    }
}

/// Refuses a file that holds no heights in metres.
pub(crate) fn check_heights(file: &Path) -> Result<(), SiteError> {
    let dataset = read::open(file)?;
    let band = elevation_band(file, &dataset)?;
    let (cols, rows) = dataset.raster_size();
    datum(file, &band, [0, 0, cols, rows]).map(|_| ())
}

/// The part of the file to read, `[col, row, cols, rows]`, rows as in the file.
fn file_window(
    file: &Path,
    georef: &Georef,
    window: Option<[f64; 4]>,
) -> Result<[usize; 4], SiteError> {
    let [cols, rows] = georef.size;
    let Some(w) = window else {
        return Ok([0, 0, cols, rows]);
    };
    let [sx, sy] = georef.spacing_m();
    let size_m = [cols as f64 * sx, rows as f64 * sy];
    let inside = w.iter().all(|v| v.is_finite())
        && w[0] >= 0.0
        && w[1] >= 0.0
        && w[0] < w[2]
        && w[1] < w[3]
        && w[2] <= size_m[0] + 1e-6
        && w[3] <= size_m[1] + 1e-6;
    if !inside {
        return Err(SiteError::refused(
            file,
            format!(
                "cannot be cut to {w:?}, expected east and north metres within (0, 0) to ({:.1}, {:.1}), the smaller ones first",
                size_m[0], size_m[1]
            ),
        ));
    }
    let c0 = (w[0] / sx).floor() as usize;
    let c1 = ((w[2] / sx).ceil() as usize).min(cols);
    let r0 = (w[1] / sy).floor() as usize;
    let r1 = ((w[3] / sy).ceil() as usize).min(rows);
    let first = if georef.north_up() { rows - r1 } else { r0 };
    Ok([c0, first, c1 - c0, r1 - r0])
}

fn window_corner_crs(georef: &Georef, window: [usize; 4]) -> [f64; 2] {
    let [col, row, _, rows] = window;
    let [_, all_rows] = georef.size;
    let from_south = if georef.north_up() {
        all_rows - row - rows
    } else {
        row
    };
    let sw = georef.south_west_crs();
    [
        sw[0] + col as f64 * georef.pixel_x_crs,
        sw[1] + from_south as f64 * georef.pixel_y_crs.abs(),
    ]
}

/// The site's datum: the lowest height, rounded down to a metre, so that single precision keeps millimetres. Also the
/// greatest height.
fn datum(file: &Path, band: &Band<'_>, window: [usize; 4]) -> Result<(f64, f64), SiteError> {
    let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
    band.rows(window, |row, line| {
        for (col, &v) in line.iter().enumerate() {
            if v.is_nan() {
                continue;
            }
            if v.is_infinite() || v.abs() > ABSURD_M {
                return Err(SiteError::refused(
                    file,
                    format!(
                        "has a height of {v} m at column {}, row {row}, expected at most {ABSURD_M} m up or down (a no-data value that is not declared?)",
                        window[0] + col
                    ),
                ));
            }
            lo = lo.min(v);
            hi = hi.max(v);
        }
        Ok(())
    })?;
    if lo > hi {
        return Err(SiteError::refused(
            file,
            format!(
                "has no data in any of its {} x {} cells, expected heights",
                window[2], window[3]
            ),
        ));
    }
    Ok((lo.floor(), hi))
}

/// Heights over the datum, south row first.
fn read_elevation(
    band: &Band<'_>,
    georef: &Georef,
    window: [usize; 4],
    z_datum_m: f64,
) -> Result<Vec<f32>, SiteError> {
    let [_, first, cols, rows] = window;
    let mut data = vec![f32::NAN; cols * rows];
    band.rows(window, |row, line| {
        let down = row - first;
        let up = if georef.north_up() {
            rows - 1 - down
        } else {
            down
        };
        if let Some(out) = data.get_mut(up * cols..(up + 1) * cols) {
            for (o, &v) in out.iter_mut().zip(line) {
                *o = (v - z_datum_m) as f32;
            }
        }
        Ok(())
    })?;
    Ok(data)
}

/// The raster with square cells of true metres, and the metres per CRS unit that go with it.
fn square(
    georef: &Georef,
    window: [usize; 4],
    data: Vec<f32>,
) -> Result<(Raster, [f64; 2]), SiteError> {
    let [_, _, cols, rows] = window;
    let [sx, sy] = georef.spacing_m();
    let (px, py) = (georef.pixel_x_crs, georef.pixel_y_crs.abs());
    if (sx / sy - 1.0).abs() <= SQUARE_SHARE {
        // Too small a difference to resample for; the scale is adjusted so that every cell keeps its place.
        let res = (sx * sy).sqrt();
        let raster = Raster::new(cols, rows, res, [0.0, 0.0], data)?;
        return Ok((raster, [res / px, res / py]));
    }
    let res = sx.min(sy);
    // A hundredth of a cell is rounding, not a missing cell.
    let out_cols = (cols as f64 * sx / res + 0.01).floor().max(1.0) as usize;
    let out_rows = (rows as f64 * sy / res + 0.01).floor().max(1.0) as usize;
    if out_cols.checked_mul(out_rows).is_none_or(|n| n > MAX_CELLS) {
        return Err(sojourn_core::CoreError::value(
            "elevation with square cells",
            "size",
            format!("{out_cols} x {out_rows}"),
            format!("at most {MAX_CELLS} cells"),
        )
        .into());
    }
    // Sampled in units of source cells: one axis at a time is stretched.
    let source = Raster::new(cols, rows, 1.0, [0.0, 0.0], data)?;
    let out = Raster::filled(out_cols, out_rows, res, [0.0, 0.0], 0.0)?.like(|c, r| {
        let x = (c as f64 + 0.5) * res / sx;
        let y = (r as f64 + 0.5) * res / sy;
        source.sample(x, y).map_or(f32::NAN, |v| v as f32)
    });
    Ok((out, georef.metres_per_unit))
}
