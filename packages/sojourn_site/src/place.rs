//! Places as people write them.

use crate::SiteError;
use crate::georef::{geographic, spatial_ref};
use gdal::spatial_ref::CoordTransform;
use sojourn_core::site::Site;

/// A place as a person gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// `E,N`: metres east and north of the site's south-west corner.
    Map([f64; 2]),
    /// `crs:X,Y`: coordinates in the source raster's own reference system.
    Crs([f64; 2]),
    /// `lonlat:LON,LAT`: degrees east and north on the body.
    LonLat([f64; 2]),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Map([a, b]) => write!(f, "{a},{b}"),
            Self::Crs([a, b]) => write!(f, "crs:{a},{b}"),
            Self::LonLat([a, b]) => write!(f, "lonlat:{a},{b}"),
        }
    }
}

/// Reads `E,N`, `crs:X,Y` or `lonlat:LON,LAT`.
///
/// # Errors
/// [`SiteError::Place`] that names the text and what was expected.
pub fn parse_place(text: &str) -> Result<Place, SiteError> {
    let trimmed = text.trim();
    let (kind, numbers) = match trimmed.split_once(':') {
        Some((kind, rest)) => (kind.trim().to_ascii_lowercase(), rest),
        None => (String::new(), trimmed),
    };
    let form = "expected E,N in metres of the map, crs:X,Y in the raster's projection, or lonlat:LON,LAT in degrees";
    let parts: Vec<&str> = numbers.split(',').map(str::trim).collect();
    let [a, b] = parts.as_slice() else {
        return Err(SiteError::place(
            text,
            format!("has {} numbers, {form}", parts.len()),
        ));
    };
    let number = |part: &str| {
        part.parse::<f64>()
            .ok()
            .filter(|v| v.is_finite())
            .ok_or_else(|| {
                SiteError::place(text, format!("\"{part}\" is not a finite number, {form}"))
            })
    };
    let pair = [number(a)?, number(b)?];
    match kind.as_str() {
        "" => Ok(Place::Map(pair)),
        "crs" => Ok(Place::Crs(pair)),
        "lonlat" => {
            if pair[0].abs() > 360.0 || pair[1].abs() > 90.0 {
                return Err(SiteError::place(
                    text,
                    "is not on a sphere, expected a longitude from -360 to 360 and a latitude from -90 to 90 degrees",
                ));
            }
            Ok(Place::LonLat(pair))
        }
        other => Err(SiteError::place(
            text,
            format!("has the unknown form \"{other}:\", {form}"),
        )),
    }
}

/// The place in `map` metres of a site. It may lie outside the raster; whoever uses it has to ask.
///
/// # Errors
/// [`SiteError::Place`] when the site's reference system cannot place it: longitude and latitude mean nothing on an
/// engineering system.
pub fn resolve(site: &Site, place: &Place) -> Result<[f64; 2], SiteError> {
    let crs = match *place {
        Place::Map(p) => return Ok(p),
        Place::Crs(p) => p,
        Place::LonLat(p) => lonlat_to_crs(site, place, p)?,
    };
    let m = &site.manifest;
    let [ox, oy] = m.map_origin_crs;
    let [mx, my] = m.metres_per_crs_unit;
    Ok([(crs[0] - ox) * mx, (crs[1] - oy) * my])
}

fn lonlat_to_crs(site: &Site, place: &Place, lonlat: [f64; 2]) -> Result<[f64; 2], SiteError> {
    let text = place.to_string();
    let m = &site.manifest;
    let srs = spatial_ref(&m.crs).filter(|s| s.is_geographic() || s.is_projected());
    let Some(srs) = srs else {
        return Err(SiteError::place(
            &text,
            format!(
                "the site \"{}\" has an engineering coordinate system that says nothing of longitude and latitude, expected E,N or crs:X,Y",
                m.name
            ),
        ));
    };
    let cannot = |why: String| {
        SiteError::place(
            &text,
            format!("cannot be placed in the site's projection: {why}"),
        )
    };
    let mut points = vec![lonlat];
    if srs.is_projected() {
        let geo = geographic(&srs).ok_or_else(|| cannot("it has no geographic system".into()))?;
        let transform = CoordTransform::new(&geo, &srs).map_err(|e| cannot(e.to_string()))?;
        let (mut x, mut y) = ([lonlat[0]], [lonlat[1]]);
        transform
            .transform_coords(&mut x, &mut y, &mut [])
            .map_err(|e| cannot(e.to_string()))?;
        if !x[0].is_finite() || !y[0].is_finite() {
            return Err(cannot("it lies outside the projection".into()));
        }
        return Ok([x[0], y[0]]);
    }
    // Degrees count from -180 or from 0: take the turn that comes nearest to the raster.
    points.push([lonlat[0] - 360.0, lonlat[1]]);
    points.push([lonlat[0] + 360.0, lonlat[1]]);
    let east = m.map_origin_crs[0];
    points.sort_by(|a, b| (a[0] - east).abs().total_cmp(&(b[0] - east).abs()));
    points
        .first()
        .copied()
        .ok_or_else(|| cannot("no longitude fits".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in ".{0,40}") {
            if let Ok(place) = parse_place(&text) {
                let (Place::Map(p) | Place::Crs(p) | Place::LonLat(p)) = place;
                prop_assert!(p[0].is_finite() && p[1].is_finite());
            }
        }

        #[test]
        fn what_is_written_is_read(a in -1e6f64..1e6, b in -90f64..90.0) {
            for place in [Place::Map([a, b]), Place::Crs([a, b]), Place::LonLat([a % 360.0, b])] {
                prop_assert_eq!(parse_place(&place.to_string()).unwrap(), place);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            ("12", "1 numbers"),
            ("12,abc", "\"abc\""),
            ("nan,3", "finite"),
            ("utm:1,2", "utm"),
            ("lonlat:0,91", "latitude"),
            ("1,2,3", "3 numbers"),
            ("", "expected E,N"),
        ] {
            let message = parse_place(text).unwrap_err().to_string();
            assert!(
                message.contains(word) && message.contains(&format!("\"{text}\"")),
                "{message}"
            );
        }
    }
}
