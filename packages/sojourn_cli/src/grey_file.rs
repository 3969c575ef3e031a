//! Grey levels of JPEG and PNG files.

use anyhow::{Context, ensure};
use sojourn_core::files::read_bytes;
use std::io::Cursor;
use std::path::Path;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::{colorspace::ColorSpace, options::DecoderOptions};

/// Largest picture that is read, bytes.
pub const MOST_BYTES: u64 = 64 << 20;

/// Width, height and a byte a pixel.
pub type Grey = (usize, usize, Vec<u8>);

/// A JPEG's grey levels; of a coloured one its luminance.
///
/// # Errors
/// One sentence that names the file.
pub fn jpeg(file: &Path) -> anyhow::Result<Grey> {
    let bytes = read_bytes(file, MOST_BYTES)?;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(&bytes), options);
    let levels = decoder
        .decode()
        .map_err(|e| anyhow::anyhow!("{}: not a whole JPEG: {e:?}", file.display()))?;
    let (width, height) = decoder
        .dimensions()
        .with_context(|| format!("{}: a JPEG without a size", file.display()))?;
    ensure!(
        levels.len() == width * height,
        "{}: {} grey levels, expected {width} x {height}",
        file.display(),
        levels.len()
    );
    Ok((width, height, levels))
}

/// The bytes of a grey PNG of 8 bits.
///
/// # Errors
/// One sentence that names the file.
pub fn png(file: &Path) -> anyhow::Result<Grey> {
    let bytes = read_bytes(file, MOST_BYTES)?;
    let not = || format!("{}: not a whole PNG", file.display());
    let mut reader = png::Decoder::new(Cursor::new(&bytes))
        .read_info()
        .with_context(not)?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    ensure!(
        info.color_type == png::ColorType::Grayscale && info.bit_depth == png::BitDepth::Eight,
        "{}: {:?} of {:?} bits, expected a grey PNG of 8 bits",
        file.display(),
        info.color_type,
        info.bit_depth
    );
    let mut levels = vec![0; width * height];
    reader.next_frame(&mut levels).with_context(not)?;
    Ok((width, height, levels))
}

/// A coloured JPEG's size and its colours, three bytes a pixel (red, green, blue); `None` for a grey one.
///
/// # Errors
/// One sentence that names the file.
pub fn colours(file: &Path) -> anyhow::Result<Option<Grey>> {
    if !ends_with(file, &["jpg", "jpeg"]) {
        return Ok(None);
    }
    let bytes = read_bytes(file, MOST_BYTES)?;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(&bytes), options);
    let not = |e| anyhow::anyhow!("{}: not a whole JPEG: {e:?}", file.display());
    decoder.decode_headers().map_err(not)?;
    let of = decoder.input_colorspace();
    if of == Some(ColorSpace::Luma) {
        return Ok(None);
    }
    let rgb = decoder.decode().map_err(not)?;
    let size = decoder.dimensions();
    Ok(size
        .filter(|(w, h)| rgb.len() == 3 * w * h)
        .map(|(w, h)| (w, h, rgb)))
}

/// A picture of either kind, by its name's ending.
///
/// # Errors
/// One sentence that names the file.
pub fn read(file: &Path) -> anyhow::Result<Grey> {
    if ends_with(file, &["png"]) {
        png(file)
    } else {
        jpeg(file)
    }
}

/// Whether this is a picture, by its name's ending.
#[must_use]
pub fn is_picture(file: &Path) -> bool {
    ends_with(file, &["jpg", "jpeg", "png"])
}

fn ends_with(file: &Path, endings: &[&str]) -> bool {
    file.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| endings.iter().any(|k| e.eq_ignore_ascii_case(k)))
}
