//! Small float GeoTIFFs written by hand, so that tests of bad rasters need no raster library.

/// Reference system of a test raster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crs {
    /// No georeference at all.
    None,
    /// UTM zone 34 north (EPSG:32234), metres.
    Utm34,
}

/// An uncompressed little-endian float32 TIFF, north row first, with 1 m cells.
#[must_use]
pub fn float_tiff(cols: u32, rows: u32, crs: Crs, height_m: impl Fn(u32, u32) -> f32) -> Vec<u8> {
    let strip = 8u32;
    let strip_bytes = cols * rows * 4;
    let mut entries: Vec<(u16, u16, u32, Vec<u8>)> = Vec::new();
    let long = |v: u32| v.to_le_bytes().to_vec();
    let short = |v: u16| v.to_le_bytes().to_vec();
    entries.push((256, 4, 1, long(cols)));
    entries.push((257, 4, 1, long(rows)));
    entries.push((258, 3, 1, short(32)));
    entries.push((259, 3, 1, short(1)));
    entries.push((262, 3, 1, short(1)));
    entries.push((273, 4, 1, long(strip)));
    entries.push((277, 3, 1, short(1)));
    entries.push((278, 4, 1, long(rows)));
    entries.push((279, 4, 1, long(strip_bytes)));
    entries.push((339, 3, 1, short(3)));
    if crs == Crs::Utm34 {
        let doubles = |v: &[f64]| v.iter().flat_map(|d| d.to_le_bytes()).collect::<Vec<u8>>();
        let shorts = |v: &[u16]| v.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>();
        entries.push((33550, 12, 3, doubles(&[1.0, 1.0, 0.0])));
        entries.push((
            33922,
            12,
            6,
            doubles(&[0.0, 0.0, 0.0, 500_000.0, 5_600_000.0, 0.0]),
        ));
        entries.push((
            34735,
            3,
            16,
            shorts(&[1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32234]),
        ));
    }
    entries.push((42113, 2, 6, b"-9999\0".to_vec()));

    let mut out = b"II*\0".to_vec();
    out.extend((strip + strip_bytes).to_le_bytes());
    for row in 0..rows {
        for col in 0..cols {
            out.extend(height_m(col, row).to_le_bytes());
        }
    }
    let mut beyond = strip + strip_bytes + 2 + 12 * entries.len() as u32 + 4;
    let mut tail = Vec::new();
    out.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, mut value) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        if value.len() <= 4 {
            value.resize(4, 0);
            out.extend(&value);
        } else {
            out.extend(beyond.to_le_bytes());
            beyond += value.len() as u32;
            tail.extend(value);
        }
    }
    out.extend([0; 4]);
    out.extend(tail);
    out
}
