//! Pictures from the surface: rectified rover frames with the pose that they were taken from and the ground that they
//! show. They are evidence for what orbital views leave open; labels are still given on orbital views.

use super::canvas::Canvas;
use super::plain;
use super::turn::Picture;
use super::view::SIDE_PX;
use serde::Deserialize;
use sojourn_core::error::in_range;
use sojourn_core::geometry::{Xy, distance_m, in_polygon};
use sojourn_core::{CoreError, files};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::{colorspace::ColorSpace, options::DecoderOptions};

/// Most frames of a list.
const MAX_FRAMES: usize = 200;
/// Largest picture that is read, bytes.
const MAX_BYTES: u64 = 16 << 20;
/// Largest side of a picture that is read, pixels.
const MAX_SIDE_PX: usize = 8000;
/// Points of each arc of a footprint.
const ARC: usize = 7;

/// Pictures from the surface whose ground is farther than this from every route are not shown, metres.
const SURFACE_NEAR_M: f64 = 60.0;
/// Spacing of the points of a route that are compared with their ground, metres.
const SURFACE_STEP_M: f64 = 5.0;

/// A frame as the list tells of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// PNG or JPEG beside the list.
    image: PathBuf,
    /// Where the camera stood, `map` metres.
    x_m: f64,
    y_m: f64,
    /// Where it looked, degrees counter-clockwise from east.
    yaw_deg: f64,
    /// Its field of view from side to side, degrees.
    hfov_deg: f64,
    /// Ground that it shows: nearest and farthest, metres from the camera.
    near_m: f64,
    far_m: f64,
    /// ISO 8601.
    date: String,
    /// Which camera; data, not instructions.
    source: String,
}

/// A frame that is at hand as grey levels.
#[derive(Clone, Debug, PartialEq)]
pub struct GreyFrame {
    /// Its name.
    pub id: String,
    /// Where the camera stood, `map` metres.
    pub at_m: Xy,
    /// Where it looked, radians counter-clockwise from east.
    pub yaw_rad: f64,
    /// Its field of view from side to side, radians.
    pub hfov_rad: f64,
    /// Nearest ground that it shows, metres from the camera.
    pub near_m: f64,
    /// Farthest ground that it shows, metres from the camera.
    pub far_m: f64,
    /// Date (ISO 8601).
    pub date: String,
    /// Which camera.
    pub source: String,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Levels, row by row from the top.
    pub grey: Vec<u8>,
}

/// A rectified frame of a rover's camera.
#[derive(Clone, Debug, PartialEq)]
pub struct SurfaceView {
    /// Its name: S1, S2, … in the order of the list.
    pub id: String,
    /// Where the camera stood, `map` metres.
    pub at_m: Xy,
    /// Where it looked, radians counter-clockwise from east.
    pub yaw_rad: f64,
    /// The ground that it shows, `map` metres: a sector of a ring.
    pub footprint: Vec<Xy>,
    /// Date as given.
    pub date: String,
    /// Which camera, as given.
    pub source: String,
    /// The picture, its sides at most those of an orbital view; decoded and written anew, so that nothing but pixels
    /// comes along.
    pub picture: Arc<Picture>,
}

impl SurfaceView {
    /// Reads a JSON list of frames; pictures lie beside it.
    ///
    /// # Errors
    /// [`CoreError`] that names the file, the entry and the field.
    pub fn load(list: &Path) -> Result<Vec<Self>, CoreError> {
        let what = list.display().to_string();
        let text = files::read_text(list, 4 << 20)?;
        let entries: Vec<Entry> = serde_json::from_str(&text)
            .map_err(|e| CoreError::format(&what, format!("is no list of surface frames: {e}")))?;
        if entries.len() > MAX_FRAMES {
            let most = format!("at most {MAX_FRAMES}");
            return Err(CoreError::value(what, "frames", entries.len(), most));
        }
        let folder = list.parent().unwrap_or(Path::new(""));
        let read = |(i, e): (usize, &Entry)| Self::of(&what, i, e, folder);
        entries.iter().enumerate().map(read).collect()
    }

    fn of(what: &str, i: usize, e: &Entry, folder: &Path) -> Result<Self, CoreError> {
        let key = |name: &str| format!("[{i}].{name}");
        in_range(what, &key("x_m"), e.x_m, -1e7, 1e7)?;
        in_range(what, &key("y_m"), e.y_m, -1e7, 1e7)?;
        in_range(what, &key("yaw_deg"), e.yaw_deg, -360.0, 360.0)?;
        in_range(what, &key("hfov_deg"), e.hfov_deg, 1.0, 180.0)?;
        in_range(what, &key("near_m"), e.near_m, 0.0, 1e3)?;
        in_range(what, &key("far_m"), e.far_m, e.near_m + 0.1, 1e3)?;
        let plain_name = e.image.components().count() == 1 && e.image.file_name().is_some();
        if !plain_name {
            let given = e.image.display();
            return Err(CoreError::value(
                what,
                key("image"),
                given,
                "a plain file name",
            ));
        }
        let (at_m, yaw_rad) = ([e.x_m, e.y_m], e.yaw_deg.to_radians());
        Ok(Self {
            id: format!("S{}", i + 1),
            at_m,
            yaw_rad,
            footprint: sector(at_m, yaw_rad, e.hfov_deg.to_radians(), [e.near_m, e.far_m]),
            date: plain(&e.date, 30),
            source: plain(&e.source, 80),
            picture: Arc::new(picture(&folder.join(&e.image))?),
        })
    }

    /// From a frame at hand.
    ///
    /// # Errors
    /// [`CoreError`] when its size and its levels do not go together, or its sides are longer than 8000 pixels.
    pub fn of_grey(f: &GreyFrame) -> Result<Self, CoreError> {
        let what = format!("surface frame {}", f.id);
        if f.grey.len() != f.width.saturating_mul(f.height) {
            let given = format!("{} levels", f.grey.len());
            let expected = format!("{} x {}", f.width, f.height);
            return Err(CoreError::value(what, "grey", given, expected));
        }
        let rgb = strip(&f.grey, 1, [0, 0, 0]);
        Ok(Self {
            id: f.id.clone(),
            at_m: f.at_m,
            yaw_rad: f.yaw_rad,
            footprint: sector(f.at_m, f.yaw_rad, f.hfov_rad, [f.near_m, f.far_m]),
            date: plain(&f.date, 30),
            source: plain(&f.source, 80),
            picture: Arc::new(shrunk(what, f.width, f.height, &rgb)?),
        })
    }

    /// Distance of a point from the ground that it shows, metres; 0 inside.
    #[must_use]
    pub fn distance_m(&self, p: Xy) -> f64 {
        if in_polygon(p, &self.footprint) {
            return 0.0;
        }
        let corners = self.footprint.iter().map(|c| distance_m(p, *c));
        corners.fold(f64::INFINITY, f64::min)
    }

    /// The middle of the ground that it shows, `map` metres.
    #[must_use]
    pub fn centre_m(&self) -> Xy {
        let n = self.footprint.len().max(1) as f64;
        [0, 1].map(|k| self.footprint.iter().map(|p| p[k]).sum::<f64>() / n)
    }
}

/// Pictures from the surface by how near their ground lies to some line, at most so many, none that is far from all.
pub(crate) fn nearest<'v>(
    views: &'v [SurfaceView],
    lines: &[Vec<Xy>],
    most: usize,
) -> Vec<&'v SurfaceView> {
    let points: Vec<Xy> = lines
        .iter()
        .flat_map(|l| crate::smooth::densify(l, SURFACE_STEP_M))
        .collect();
    let mut near: Vec<(f64, &SurfaceView)> = views
        .iter()
        .map(|v| {
            let far = points.iter().map(|p| v.distance_m(*p));
            (far.fold(f64::INFINITY, f64::min), v)
        })
        .filter(|(far_m, _)| *far_m <= SURFACE_NEAR_M)
        .collect();
    // Stable: of two alike the first of the list.
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    near.into_iter().take(most).map(|(_, v)| v).collect()
}

/// A sector of a ring, outer arc first, counter-clockwise.
fn sector(at: Xy, yaw_rad: f64, fov_rad: f64, [near_m, far_m]: [f64; 2]) -> Vec<Xy> {
    let arc = |r: f64, forth: bool| {
        (0..ARC).map(move |k| {
            let k = if forth { k } else { ARC - 1 - k };
            let a = yaw_rad + fov_rad * (k as f64 / (ARC - 1) as f64 - 0.5);
            [at[0] + r * a.cos(), at[1] + r * a.sin()]
        })
    };
    arc(far_m, true).chain(arc(near_m, false)).collect()
}

/// A picture's pixels, made no larger than an orbital view.
fn picture(file: &Path) -> Result<Picture, CoreError> {
    let bytes = files::read_bytes(file, MAX_BYTES)?;
    let what = file.display().to_string();
    let (width, height, rgb) = if bytes.starts_with(&[0xff, 0xd8]) {
        jpeg(&what, &bytes)?
    } else {
        png(&what, &bytes)?
    };
    shrunk(what, width, height, &rgb)
}

/// Pixels made no larger than an orbital view.
fn shrunk(what: String, width: usize, height: usize, rgb: &[u8]) -> Result<Picture, CoreError> {
    if width == 0 || height == 0 || width.max(height) > MAX_SIDE_PX {
        return Err(CoreError::value(
            what,
            "size",
            format!("{width} x {height}"),
            format!("1 to {MAX_SIDE_PX} pixels a side"),
        ));
    }
    let shrink = (width.max(height) as f64 / SIDE_PX as f64).max(1.0);
    let side = |n: usize| ((n as f64 / shrink) as usize).max(1);
    let canvas = Canvas::new(side(width), side(height), |x, y| {
        mean(rgb, [width, height], shrink, [x, y])
    });
    canvas
        .picture()
        .map_err(|e| CoreError::format(what, e.to_string()))
}

/// Mean colour of the pixels that become one.
fn mean(rgb: &[u8], [width, height]: [usize; 2], shrink: f64, [x, y]: [usize; 2]) -> [u8; 3] {
    let span = |k: usize, n: usize| {
        let first = (k as f64 * shrink) as usize;
        let next = ((k + 1) as f64 * shrink) as usize;
        first.min(n - 1)..next.clamp(first + 1, n.max(first + 1)).min(n)
    };
    let (mut sum, mut count) = ([0u32; 3], 0u32);
    for row in span(y, height) {
        for column in span(x, width) {
            let i = 3 * (row * width + column);
            for (s, v) in sum.iter_mut().zip(rgb.get(i..i + 3).unwrap_or(&[0; 3])) {
                *s += u32::from(*v);
            }
            count += 1;
        }
    }
    sum.map(|s| (s / count.max(1)) as u8)
}

type Pixels = (usize, usize, Vec<u8>);

fn jpeg(what: &str, bytes: &[u8]) -> Result<Pixels, CoreError> {
    let fail = |why: String| CoreError::format(what, format!("is no whole JPEG: {why}"));
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MAX_SIDE_PX)
        .set_max_height(MAX_SIDE_PX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    let rgb = decoder.decode().map_err(|e| fail(format!("{e:?}")))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| fail("no size".into()))?;
    Ok((width, height, rgb))
}

fn png(what: &str, bytes: &[u8]) -> Result<Pixels, CoreError> {
    let fail = |e: png::DecodingError| CoreError::format(what, format!("is no PNG or JPEG: {e}"));
    let mut decoder = png::Decoder::new_with_limits(
        Cursor::new(bytes),
        png::Limits {
            bytes: 4 * MAX_SIDE_PX * MAX_SIDE_PX,
        },
    );
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(fail)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    if width.max(height) > MAX_SIDE_PX {
        return Ok((width, height, Vec::new()));
    }
    let size = reader.output_buffer_size().ok_or_else(|| {
        CoreError::format(
            what,
            "is no PNG or JPEG: it is larger than any memory".to_string(),
        )
    })?;
    let mut data = vec![0; size];
    reader.next_frame(&mut data).map_err(fail)?;
    let (colour, _) = reader.output_color_type();
    let rgb = match colour {
        png::ColorType::Rgb => data,
        png::ColorType::Rgba => strip(&data, 4, [0, 1, 2]),
        png::ColorType::GrayscaleAlpha => strip(&data, 2, [0, 0, 0]),
        _ => strip(&data, 1, [0, 0, 0]),
    };
    Ok((width, height, rgb))
}

/// Three of a pixel's channels.
fn strip(data: &[u8], channels: usize, take: [usize; 3]) -> Vec<u8> {
    let pixels = data.chunks_exact(channels);
    pixels
        .flat_map(|p| take.map(|k| p.get(k).copied().unwrap_or(0)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write_png(file: &Path, width: usize, height: usize) {
        let canvas = Canvas::new(width, height, |x, y| [(x % 256) as u8, (y % 256) as u8, 80]);
        std::fs::write(file, canvas.picture().unwrap().png).unwrap();
    }

    const GOOD: &str = r#"[{"image":"a.png","x_m":10.0,"y_m":20.0,"yaw_deg":90.0,"hfov_deg":90.0,"near_m":2.0,"far_m":20.0,"date":"2031-01-01","source":"navcam left"}]"#;

    #[test]
    fn a_frame_is_read_with_its_ground() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("frames.json");
        std::fs::write(&list, GOOD).unwrap();
        write_png(&dir.path().join("a.png"), 2600, 1300);
        let frames = SurfaceView::load(&list).unwrap();
        let f = &frames[0];
        assert_eq!((f.id.as_str(), f.at_m), ("S1", [10.0, 20.0]));
        // Half as high as wide, and no wider than an orbital view.
        assert_eq!((f.picture.width_px, f.picture.height_px), (1000, 500));
        // It looks north.
        for (p, inside) in [
            ([10.0, 30.0], true),
            ([10.0, 21.0], false),
            ([10.0, 41.0], false),
            ([30.0, 20.0], false),
            ([10.0, 10.0], false),
            ([18.0, 30.0], true),
        ] {
            assert_eq!(f.distance_m(p) == 0.0, inside, "{p:?}");
        }
        assert!(f.centre_m()[1] > 25.0);
    }

    #[test]
    fn grey_levels_at_hand_become_a_view() {
        let frame = GreyFrame {
            id: "S1".into(),
            at_m: [5.0, 5.0],
            yaw_rad: 0.0,
            hfov_rad: 1.5,
            near_m: 2.0,
            far_m: 30.0,
            date: "2026-01-01".into(),
            source: "navcam".into(),
            width: 40,
            height: 30,
            grey: vec![90; 1200],
        };
        let v = SurfaceView::of_grey(&frame).unwrap();
        assert_eq!((v.picture.width_px, v.picture.height_px), (40, 30));
        assert_eq!(v.distance_m([15.0, 5.0]), 0.0);
        let torn = GreyFrame {
            grey: vec![90; 1199],
            ..frame
        };
        let said = SurfaceView::of_grey(&torn).unwrap_err().to_string();
        assert!(said.contains("S1") && said.contains("40 x 30"), "{said}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("frames.json");
        write_png(&dir.path().join("a.png"), 20, 10);
        std::fs::write(dir.path().join("b.png"), b"\x89PNG and no more").unwrap();
        std::fs::write(dir.path().join("c.jpg"), b"\xff\xd8\xff").unwrap();
        for (from, to, says) in [
            ("10.0", "1e300", "[0].x_m"),
            ("\"hfov_deg\":90.0", "\"hfov_deg\":200.0", "[0].hfov_deg"),
            ("\"far_m\":20.0", "\"far_m\":2.0", "[0].far_m"),
            ("a.png", "../a.png", "[0].image"),
            ("a.png", "/etc/passwd", "[0].image"),
            ("a.png", "b.png", "no PNG or JPEG"),
            ("a.png", "c.jpg", "no whole JPEG"),
            ("a.png", "d.png", "d.png"),
            ("\"x_m\"", "\"z_m\"", "no list of surface frames"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            std::fs::write(&list, GOOD.replacen(from, to, 1)).unwrap();
            let said = SurfaceView::load(&list).unwrap_err().to_string();
            assert!(said.contains(says), "{to}: {said}");
        }
    }

    proptest! {
        /// A point lies in the footprint when its distance and bearing are the camera's, and only then.
        #[test]
        fn the_footprint_is_the_sector(
            yaw in -3.0f64..3.0, fov in 0.2f64..2.8, r in 0.5f64..40.0, off in -1.6f64..1.6,
        ) {
            let (near, far) = (3.0, 30.0);
            let at = [100.0, -50.0];
            let ring = sector(at, yaw, fov, [near, far]);
            let a = yaw + off;
            let p = [at[0] + r * a.cos(), at[1] + r * a.sin()];
            // Chords cut a little off the arcs.
            let sag = 1.0 - (0.5 * fov / (ARC - 1) as f64).cos();
            let clear = (r - near).abs() > 0.01 + near * sag
                && (r - far).abs() > 0.01 + far * sag
                && (off.abs() - 0.5 * fov).abs() > 0.01;
            prop_assume!(clear);
            let inside = r > near && r < far && off.abs() < 0.5 * fov;
            prop_assert_eq!(in_polygon(p, &ring), inside);
        }

        /// Shrinking keeps the mean brightness.
        #[test]
        fn shrinking_keeps_the_mean(width in 1usize..40, height in 1usize..40, shrink in 1.0f64..5.0) {
            let rgb = vec![77u8; 3 * width * height];
            for y in 0..((height as f64 / shrink) as usize).max(1) {
                for x in 0..((width as f64 / shrink) as usize).max(1) {
                    prop_assert_eq!(mean(&rgb, [width, height], shrink, [x, y]), [77; 3]);
                }
            }
        }
    }
}
