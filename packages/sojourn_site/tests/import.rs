//! Imports of rasters made here, good and bad, and of real ones when they are at hand.

#![allow(clippy::unwrap_used)]

use gdal::DriverManager;
use gdal::raster::Buffer;
use gdal::spatial_ref::SpatialRef;
use sojourn_core::body::Body;
use sojourn_core::site::{ELEVATION, ORTHO, ROUGHNESS, ROUGHNESS_LEAST, SLOPE, SLOPE_MORE, Site};
use sojourn_site::{
    ImportRequest, Place, Surroundings, import, parse_place, resolve, surround, write_geotiffs,
};
use std::path::{Path, PathBuf};

const MARS_EQC: &str = "+proj=eqc +lat_ts=0 +lon_0=0 +R=3396190 +units=m +no_defs";

fn body(name: &str) -> Body {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/bodies");
    Body::load(&dir.join(format!("{name}.yaml"))).unwrap()
}

fn request(dtm: &Path) -> ImportRequest {
    ImportRequest {
        dtm: dtm.to_path_buf(),
        ortho: None,
        body: body("mars"),
        name: "test".into(),
        footprint_m: 1.8,
        window: None,
    }
}

struct Made<'a> {
    cols: usize,
    rows: usize,
    crs: Option<&'a str>,
    transform: Option<[f64; 6]>,
    no_data: Option<f64>,
}

impl Default for Made<'_> {
    fn default() -> Self {
        Self {
            cols: 40,
            rows: 30,
            crs: Some(MARS_EQC),
            transform: Some([8_143_000.0, 1.0, 0.0, -276_600.0, 0.0, -1.0]),
            no_data: Some(-32767.0),
        }
    }
}

impl Made<'_> {
    fn write(&self, path: &Path, value: impl Fn(usize, usize) -> f32) {
        let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
        let mut ds = driver
            .create_with_band_type::<f32, _>(path, self.cols, self.rows, 1)
            .unwrap();
        if let Some(t) = self.transform {
            ds.set_geo_transform(&t).unwrap();
        }
        if let Some(crs) = self.crs {
            ds.set_spatial_ref(&SpatialRef::from_definition(crs).unwrap())
                .unwrap();
        }
        let mut band = ds.rasterband(1).unwrap();
        if let Some(n) = self.no_data {
            band.set_no_data_value(Some(n)).unwrap();
        }
        let data = (0..self.rows)
            .flat_map(|r| (0..self.cols).map(move |c| (c, r)))
            .map(|(c, r)| value(c, r))
            .collect();
        let mut buffer = Buffer::new((self.cols, self.rows), data);
        band.write((0, 0), (self.cols, self.rows), &mut buffer)
            .unwrap();

        ds.close().unwrap();
    }
}

fn refusal(path: &Path) -> String {
    let message = import(&request(path)).err().unwrap().to_string();
    assert!(
        message.contains(&path.display().to_string()),
        "names the file: {message}"
    );
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[test]
fn a_stretched_raster_gets_true_metres() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dtm.tif");
    // 60 degrees north: a metre of the projection east is half a metre on the ground.
    let y = 60f64.to_radians() * 3_396_190.0;
    let made = Made {
        transform: Some([0.0, 1.0, 0.0, y + 15.0, 0.0, -1.0]),
        ..Made::default()
    };
    // A slope of 45 degrees in true metres east: half a metre up per column.
    made.write(&file, |c, _| 100.0 + 0.5 * c as f32);
    let site = import(&request(&file)).unwrap();
    let z = site.elevation().unwrap();
    assert!(
        (z.resolution_m() - 0.5).abs() < 1e-4,
        "{}",
        z.resolution_m()
    );
    assert_eq!((z.cols(), z.rows()), (40, 60));
    assert!((z.size_m()[0] - 20.0).abs() < 1e-2 && (z.size_m()[1] - 30.0).abs() < 1e-2);
    let slope = site.layer(SLOPE).unwrap().nearest(10.0, 15.0).unwrap();
    assert!((slope - 45.0).abs() < 0.1, "{slope}");
    assert!(site.layer(ROUGHNESS).unwrap().nearest(10.0, 15.0).unwrap() < 0.02);
    // and places go the same way
    let p = resolve(&site, &Place::Crs([20.0, y])).unwrap();
    assert!(
        (p[0] - 10.0).abs() < 1e-3 && (p[1] - 15.0).abs() < 1e-3,
        "{p:?}"
    );
    let lon = (20.0f64 / 3_396_190.0).to_degrees();
    let p = resolve(&site, &Place::LonLat([lon, 60.0])).unwrap();
    assert!(
        (p[0] - 10.0).abs() < 1e-3 && (p[1] - 15.0).abs() < 1e-3,
        "{p:?}"
    );
}

#[test]
fn north_is_up_and_the_origin_is_south_west() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dtm.tif");
    let made = Made {
        crs: Some("LOCAL_CS[\"yard\",UNIT[\"metre\",1]]"),
        transform: Some([100.0, 2.0, 0.0, 460.0, 0.0, -2.0]),
        ..Made::default()
    };
    // row 0 of the file is the north; heights tell column and row
    made.write(&file, |c, r| (c + 1000 * r) as f32);
    let site = import(&request(&file)).unwrap();
    let z = site.elevation().unwrap();
    assert_eq!(site.manifest.map_origin_crs, [100.0, 400.0]);
    assert!((z.nearest(79.0, 59.0).unwrap() - 39.0).abs() < 1e-6);
    assert!((z.nearest(1.0, 1.0).unwrap() - 29_000.0).abs() < 1e-6);
    assert_eq!(
        resolve(&site, &parse_place("crs:104,406").unwrap()).unwrap(),
        [4.0, 6.0]
    );
    let err = resolve(&site, &parse_place("lonlat:1,2").unwrap())
        .err()
        .unwrap()
        .to_string();
    assert!(
        err.contains("lonlat:1,2") && err.contains("engineering"),
        "{err}"
    );

    let mut part = request(&file);
    part.window = Some([20.0, 10.0, 40.0, 30.0]);
    let part = import(&part).unwrap();
    assert_eq!(part.manifest.map_origin_crs, [120.0, 410.0]);
    let (a, b) = (
        part.elevation().unwrap().nearest(1.0, 1.0).unwrap() + part.manifest.z_datum_m,
        z.nearest(21.0, 11.0).unwrap() + site.manifest.z_datum_m,
    );
    assert!((a - b).abs() < 1e-6, "{a} {b}");
    let mut outside = request(&file);
    outside.window = Some([20.0, 10.0, 400.0, 30.0]);
    let err = import(&outside).err().unwrap().to_string();
    assert!(err.contains("400") && err.contains("80.0"), "{err}");
}

#[test]
fn degrees_become_metres_on_the_sphere() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dtm.tif");
    let made = Made {
        crs: Some("+proj=longlat +R=3396190 +no_defs"),
        transform: Some([137.0, 1e-4, 0.0, -4.6, 0.0, -1e-4]),
        ..Made::default()
    };
    made.write(&file, |_, r| 10.0 * r as f32);
    let site = import(&request(&file)).unwrap();
    let metre_per_deg = 3_396_190.0 * 1f64.to_radians();
    let lat = (-4.6f64 - 15e-4).to_radians();
    assert!(
        (site.manifest.metres_per_crs_unit[0] / (metre_per_deg * lat.cos()) - 1.0).abs() < 1e-6
    );
    assert!((site.manifest.metres_per_crs_unit[1] / metre_per_deg - 1.0).abs() < 1e-6);
    for lon in ["137.001", "-222.999"] {
        let p = resolve(
            &site,
            &parse_place(&format!("lonlat:{lon},-4.602")).unwrap(),
        )
        .unwrap();
        assert!(
            (p[0] - 1e-3 * metre_per_deg * lat.cos()).abs() < 1e-3,
            "{p:?}"
        );
        assert!((p[1] - 1e-3 * metre_per_deg).abs() < 1e-3, "{p:?}");
    }
}

#[test]
fn holes_stay_holes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dtm.tif");
    Made::default().write(&file, |c, r| {
        if (c, r) == (10, 10) {
            -32767.0
        } else if (c, r) == (20, 20) {
            f32::NAN
        } else {
            -4400.125
        }
    });
    let site = import(&request(&file)).unwrap();
    let z = site.elevation().unwrap();
    assert!((site.manifest.z_datum_m + 4401.0).abs() < 1e-9);
    // 40 columns of cos(4.67°) metres: the columns stay, rows are resampled
    let [w, h] = z.size_m();
    let x = 10.5 / 40.0 * w;
    let y = h - 10.5 / 30.0 * h;
    assert!(z.sample(x, y).is_none());
    assert!((z.sample(5.0, 5.0).unwrap() - 0.875).abs() < 1e-6);
}

#[test]
fn what_is_no_raster_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    std::fs::write(at("text.tif"), "this is no raster").unwrap();
    assert!(refusal(&at("text.tif")).contains("not a raster"));
    std::fs::write(at("empty.tif"), "").unwrap();
    assert!(refusal(&at("empty.tif")).contains("empty"));
    assert!(refusal(&at("absent.tif")).contains("cannot be read"));
    std::fs::create_dir(at("folder.tif")).unwrap();
    assert!(refusal(&at("folder.tif")).contains("not a raster"));

    Made::default().write(&at("whole.tif"), |c, r| (c * r) as f32);
    let bytes = std::fs::read(at("whole.tif")).unwrap();
    std::fs::write(at("short.tif"), &bytes[..bytes.len() / 2]).unwrap();
    let message = refusal(&at("short.tif"));
    assert!(
        message.contains("cut short") || message.contains("not a raster"),
        "{message}"
    );
}

#[test]
fn what_has_no_place_or_unit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dtm.tif");
    let refused = |made: Made<'_>| {
        made.write(&file, |c, r| (c + r) as f32);
        refusal(&file)
    };
    let message = refused(Made {
        crs: None,
        ..Made::default()
    });
    assert!(
        message.contains("has no coordinate reference system, so its unit is unknown"),
        "{message}"
    );
    let message = refused(Made {
        transform: None,
        ..Made::default()
    });
    assert!(message.contains("georeference"), "{message}");
    let message = refused(Made {
        transform: Some([0.0, 1.0, 0.5, 0.0, 0.5, -1.0]),
        ..Made::default()
    });
    assert!(message.contains("rotated"), "{message}");
    let message = refused(Made {
        crs: Some("+proj=longlat +R=3396190 +no_defs"),
        transform: Some([0.0, 1e-4, 0.0, 90.0, 0.0, -1e-4]),
        ..Made::default()
    });
    assert!(message.contains("latitude"), "{message}");
    let message = refused(Made {
        crs: Some("EPSG:32634"),
        transform: Some([500_000.0, 1.0, 0.0, 5_600_000.0, 0.0, -1.0]),
        ..Made::default()
    });
    assert!(
        message.contains("6378137") && message.contains("mars"),
        "{message}"
    );
}

#[test]
fn heights_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dtm.tif");
    let made = Made::default();
    made.write(&file, |_, _| -32767.0);
    assert!(refusal(&file).contains("no data"));
    made.write(&file, |_, _| f32::NAN);
    assert!(refusal(&file).contains("no data"));
    made.write(&file, |c, _| if c == 3 { -3.4e38 } else { 0.0 });
    let message = refusal(&file);
    assert!(
        message.contains("column 3, row 0") && message.contains("30000"),
        "{message}"
    );
    made.write(&file, |c, _| if c == 3 { f32::INFINITY } else { 0.0 });
    assert!(refusal(&file).contains("inf"));

    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let mut ds = driver
        .create_with_band_type::<u8, _>(&file, 8, 8, 3)
        .unwrap();
    ds.set_geo_transform(&[0.0, 1.0, 0.0, 0.0, 0.0, -1.0])
        .unwrap();
    ds.set_spatial_ref(&SpatialRef::from_definition(MARS_EQC).unwrap())
        .unwrap();
    ds.close().unwrap();
    assert!(refusal(&file).contains("picture"));
}

#[test]
fn an_image_in_another_projection_lands_on_its_ground() {
    let dir = tempfile::tempdir().unwrap();
    let (dtm, image) = (dir.path().join("dtm.tif"), dir.path().join("ortho.tif"));
    Made {
        cols: 200,
        rows: 200,
        ..Made::default()
    }
    .write(&dtm, |_, _| 0.0);
    let mut r = request(&dtm);
    let bare = import(&r).unwrap();
    // The image in degrees; bright in the eastern half of the map.
    let (lon, lat) = (8_143_000.0f64, -276_600.0f64);
    let deg = |v: f64| (v / 3_396_190.0).to_degrees();
    let step = deg(1.0);
    Made {
        cols: 240,
        rows: 240,
        crs: Some("+proj=longlat +R=3396190 +no_defs"),
        transform: Some([
            deg(lon) - 20.0 * step,
            step,
            0.0,
            deg(lat) + 20.0 * step,
            0.0,
            -step,
        ]),
        no_data: None,
    }
    .write(&image, |c, _| if c >= 120 { 900.0 } else { 100.0 });
    r.ortho = Some(image.clone());
    let site = import(&r).unwrap();
    let brightness = site.layer(ORTHO).unwrap();
    let [w, h] = site.elevation().unwrap().size_m();
    assert!(brightness.nearest(0.45 * w, 0.5 * h).unwrap() < 0.01);
    assert!(brightness.nearest(0.55 * w, 0.5 * h).unwrap() > 0.99);
    assert_eq!(
        site.terrain_digest().unwrap(),
        bare.terrain_digest().unwrap(),
        "the image changes nothing of the ground"
    );

    Made {
        transform: Some([0.0, 1.0, 0.0, 0.0, 0.0, -1.0]),
        ..Made::default()
    }
    .write(&image, |_, _| 1.0);
    let message = import(&r).err().unwrap().to_string();
    assert!(
        message.contains("ortho.tif") && message.contains("overlap"),
        "{message}"
    );
    Made {
        crs: None,
        ..Made::default()
    }
    .write(&image, |_, _| 1.0);
    assert!(
        import(&r)
            .err()
            .unwrap()
            .to_string()
            .contains("no coordinate reference system")
    );
}

#[test]
fn copies_come_back_as_the_same_site() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dtm.tif");
    Made::default().write(&file, |c, r| -4400.0 + (c as f32) * 0.25 + (r as f32) * 0.5);
    let site = import(&request(&file)).unwrap();
    let files = write_geotiffs(&site, &dir.path().join("tif")).unwrap();
    assert_eq!(files.len(), 3);
    let back = import(&request(&dir.path().join("tif/elevation.tif"))).unwrap();
    let (a, b) = (site.elevation().unwrap(), back.elevation().unwrap());
    assert_eq!((a.cols(), a.rows()), (b.cols(), b.rows()));
    assert!((a.resolution_m() / b.resolution_m() - 1.0).abs() < 1e-6);
    for (p, q) in a.data().iter().zip(b.data()) {
        assert!((p - q).abs() < 1e-3 || (p.is_nan() && q.is_nan()));
    }
    site.save(&dir.path().join("site")).unwrap();
    assert_eq!(
        Site::load(&dir.path().join("site"))
            .unwrap()
            .terrain_digest()
            .unwrap(),
        site.terrain_digest().unwrap()
    );
}

/// A file of the real data, which are no part of this repository.
fn real(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SOJOURN_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let file = root.join(path);
    if !file.exists() {
        eprintln!("skipped: {} is not here (set SOJOURN_DATA)", file.display());
        return None;
    }
    Some(file)
}

#[test]
fn jezero_in_an_engineering_system() {
    let Some(dtm) = real("hirise_dtm_crops/jezero_neretva_neretva_center_2m.tif") else {
        return;
    };
    let site = import(&request(&dtm)).unwrap();
    let z = site.elevation().unwrap();
    assert_eq!((z.cols(), z.rows()), (512, 512));
    assert!((z.resolution_m() - 2.01932).abs() < 1e-4);
    let (lo, hi) = z.min_max().unwrap();
    let d = site.manifest.z_datum_m;
    assert!((f64::from(lo) + d + 15.15).abs() < 0.01 && (f64::from(hi) + d - 39.41).abs() < 0.01);
    assert!(site.layer(ELEVATION).is_ok() && site.layer(ORTHO).is_err());
}

#[test]
fn gale_is_unstretched_and_gets_its_image() {
    let (Some(dtm), Some(ortho)) = (
        real("gale_hirise_mmgis/gale_hirise_dtm_1m.tif"),
        real("gale_hirise_mmgis/gale_hirise_ortho_0p5m_coreg.tif"),
    ) else {
        return;
    };
    let mut r = request(&dtm);
    r.ortho = Some(ortho);
    let site = import(&r).unwrap();
    let [mx, my] = site.manifest.metres_per_crs_unit;
    assert!(
        (mx - 4.667f64.to_radians().cos()).abs() < 1e-4 && (my - 1.0).abs() < 1e-9,
        "{mx} {my}"
    );
    let p = resolve(&site, &Place::LonLat([137.37, -4.667])).unwrap();
    let [w, h] = site.elevation().unwrap().size_m();
    assert!(
        p[0] > 0.2 * w && p[0] < 0.8 * w && p[1] > 0.2 * h && p[1] < 0.8 * h,
        "{p:?} of {w} x {h}"
    );
    let image = site.layer(ORTHO).unwrap();
    let known = image.data().iter().filter(|v| !v.is_nan()).count();
    let share = known as f64 / image.data().len() as f64;
    assert!(share > 0.85 && share < 0.95, "{share}");
    // The image has to fit the ground: brightness follows the slope towards the light of the hillshade.
    assert!(
        image
            .data()
            .iter()
            .all(|v| v.is_nan() || (0.0..=1.0).contains(v))
    );
}

#[test]
fn the_mars_yard_lies_on_earth() {
    let Some(dtm) = real("erc_marsyard_dem/marsyard_terrain_hm.tif") else {
        return;
    };
    let mut r = request(&dtm);
    let message = import(&r).err().unwrap().to_string();
    assert!(
        message.contains("another") || message.contains("mars"),
        "{message}"
    );
    r.body = body("earth");
    r.footprint_m = 0.6;
    let site = import(&r).unwrap();
    let z = site.elevation().unwrap();
    assert_eq!((z.cols(), z.rows()), (500, 500));
    assert!(
        (z.resolution_m() - 0.094).abs() < 1e-3,
        "{}",
        z.resolution_m()
    );
    let radius = sojourn_site::reference_radius_m(&dtm).unwrap().unwrap();
    // EPSG:32234 is on the ellipsoid of WGS 72.
    assert!((radius - 6_378_135.0).abs() < 1.0);
}

/// Gentle hills with fine relief on top, by place in the file's coordinates.
fn hill(x: f64, y: f64) -> f64 {
    -4000.0 + 12.0 * (x / 60.0).sin() + 10.0 * (y / 50.0).cos()
}

#[test]
fn a_coarse_map_lies_around_a_fine_one() {
    let dir = tempfile::tempdir().unwrap();
    let (fine, coarse) = (dir.path().join("fine.tif"), dir.path().join("coarse.tif"));
    let (x0, y0) = (8_143_000.0, -276_600.0);
    // 120 m x 90 m of 1 m cells with ripples of 0.2 m, a corner without data; around it 20 m cells, 7.5 m lower.
    Made {
        cols: 120,
        rows: 90,
        ..Made::default()
    }
    .write(&fine, |c, r| {
        if c < 20 && r < 15 {
            return -32767.0;
        }
        let (x, y) = (x0 + c as f64 + 0.5, y0 - r as f64 - 0.5);
        (hill(x, y) + 0.2 * (x / 1.5).sin()) as f32
    });
    Made {
        cols: 40,
        rows: 40,
        transform: Some([x0 - 340.0, 20.0, 0.0, y0 + 355.0, 0.0, -20.0]),
        ..Made::default()
    }
    .write(&coarse, |c, r| {
        let (x, y) = (
            x0 - 340.0 + 20.0 * (c as f64 + 0.5),
            y0 + 355.0 - 20.0 * (r as f64 + 0.5),
        );
        (hill(x, y) - 7.5) as f32
    });
    let site = import(&request(&fine)).unwrap();
    let asked = |margin_m: f64| Surroundings {
        dtm: coarse.clone(),
        margin_m,
        footprint_m: 1.8,
    };
    let (whole, fit) = surround(&site, &asked(200.0)).unwrap();
    assert!((fit.offset_m - 7.5).abs() < 0.3, "{fit:?}");
    assert!(fit.shift_m.iter().all(|v| v.abs() < 6.0), "{fit:?}");
    assert!(
        fit.spread_m < 0.5 && fit.slope_more_deg > 2.0 && fit.roughness_m > 0.01,
        "{fit:?}"
    );
    let (before, height) = (site.elevation().unwrap(), whole.elevation().unwrap());
    // True metres are a little shorter than the file's: a cell or two more than 200.
    let res = height.resolution_m();
    let m = (200.0 / res).round() as usize;
    let (cols, rows) = (120 + 2 * m, 90 + 2 * m);
    assert_eq!((height.cols(), height.rows()), (cols, rows));
    assert_eq!(height.origin_m(), [0.0, 0.0]);
    // What was measured stays, in its place; the source's coordinates say where that is.
    assert_eq!(height.get(m + 60, m + 45), before.get(60, 45));
    let place = |s: &Site, p: [f64; 2]| {
        [0, 1].map(|k| s.manifest.map_origin_crs[k] + p[k] / s.manifest.metres_per_crs_unit[k])
    };
    let (a, b) = (
        place(&site, before.centre_m(60, 45)),
        place(&whole, height.centre_m(m + 60, m + 45)),
    );
    assert!((a[0] - b[0]).abs() < 1e-6 && (a[1] - b[1]).abs() < 1e-6);
    // Far out it is the coarse map, lifted; the hole is filled; nowhere is there a step.
    let datum = whole.manifest.z_datum_m;
    let [x, y] = place(&whole, height.centre_m(30, 30));
    assert!((f64::from(height.get(30, 30)) + datum - hill(x, y)).abs() < 1.0);
    assert!(height.data().iter().all(|v| v.is_finite()));
    for row in 0..rows {
        for col in 1..cols {
            let step = (height.get(col, row) - height.get(col - 1, row)).abs();
            assert!(step < 0.9, "{step} at {col}, {row}");
        }
    }
    // Doubt stands on coarse ground alone, and slope and roughness hold it.
    let (more, least) = (&whole.layers[SLOPE_MORE], &whole.layers[ROUGHNESS_LEAST]);
    for (at, coarse) in [
        ([m + 60, m + 45], false),
        ([30, 30], true),
        ([m + 5, m + 85], true),
    ] {
        let [c, r] = at;
        assert_eq!(more.get(c, r) > 0.0, coarse, "{at:?}");
        assert_eq!(least.get(c, r) > 0.0, coarse, "{at:?}");
        if coarse {
            assert!(whole.layers[SLOPE].get(c, r) >= more.get(c, r));
            assert!(whole.layers[ROUGHNESS].get(c, r) >= least.get(c, r));
        }
    }
    // The folder comes back whole, and its digest knows of the doubt.
    let folder = dir.path().join("site");
    whole.save(&folder).unwrap();
    assert_eq!(Site::load(&folder).unwrap().manifest, whole.manifest);
    let mut sure = whole.clone();
    let none = more.like(|_, _| 0.0);
    sure.put(SLOPE_MORE, none, "deg", "test");
    assert_ne!(
        sure.terrain_digest().unwrap(),
        whole.terrain_digest().unwrap()
    );
    // A coarse file that lies 34 m too far east and 18 m too far north is moved back.
    let moved = dir.path().join("moved.tif");
    Made {
        cols: 40,
        rows: 40,
        transform: Some([x0 - 306.0, 20.0, 0.0, y0 + 373.0, 0.0, -20.0]),
        ..Made::default()
    }
    .write(&moved, |c, r| {
        let (x, y) = (
            x0 - 340.0 + 20.0 * (c as f64 + 0.5),
            y0 + 355.0 - 20.0 * (r as f64 + 0.5),
        );
        (hill(x, y) - 7.5) as f32
    });
    let aside = Surroundings {
        dtm: moved,
        ..asked(200.0)
    };
    let (back, again) = surround(&site, &aside).unwrap();
    let [east_m, north_m] = again.shift_m;
    assert!(
        (east_m + 34.0).abs() < 6.0 && (north_m + 18.0).abs() < 6.0,
        "{again:?}"
    );
    assert!(again.spread_m < 0.5, "{again:?}");
    let there = back.elevation().unwrap();
    assert!((there.get(30, 30) - height.get(30, 30)).abs() < 1.5);
    // Beyond the coarse map nothing is known.
    let (wide, _) = surround(&site, &asked(600.0)).unwrap();
    assert!(wide.elevation().unwrap().get(0, 0).is_nan());
    for bad in [0.0, -5.0, f64::NAN, 1e9] {
        let said = surround(&site, &asked(bad)).unwrap_err().to_string();
        assert!(
            said.contains("coarse.tif") && said.contains("margin"),
            "{said}"
        );
    }
    let elsewhere = dir.path().join("elsewhere.tif");
    Made {
        transform: Some([x0 + 1e5, 20.0, 0.0, y0, 0.0, -20.0]),
        ..Made::default()
    }
    .write(&elsewhere, |_, _| 1.0);
    let far = Surroundings {
        dtm: elsewhere,
        ..asked(200.0)
    };
    let said = surround(&site, &far).unwrap_err().to_string();
    assert!(
        said.contains("an elevation model of the same place"),
        "{said}"
    );
}
