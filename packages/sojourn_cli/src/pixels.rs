//! Grey pictures as PNG, for data rather than for looking at.

/// One byte a pixel, row 0 on top.
///
/// # Errors
/// When the number of pixels is wrong.
pub fn grey8(width: usize, height: usize, data: &[u8]) -> anyhow::Result<Vec<u8>> {
    png_of(
        width,
        height,
        png::ColorType::Grayscale,
        png::BitDepth::Eight,
        data,
    )
}

/// Two bytes a pixel.
///
/// # Errors
/// When the number of pixels is wrong.
pub fn grey16(width: usize, height: usize, data: &[u16]) -> anyhow::Result<Vec<u8>> {
    let bytes: Vec<u8> = data.iter().flat_map(|v| v.to_be_bytes()).collect();
    png_of(
        width,
        height,
        png::ColorType::Grayscale,
        png::BitDepth::Sixteen,
        &bytes,
    )
}

/// Three bytes a pixel: red, green, blue.
///
/// # Errors
/// When the number of pixels is wrong.
pub fn rgb8(width: usize, height: usize, data: &[u8]) -> anyhow::Result<Vec<u8>> {
    png_of(
        width,
        height,
        png::ColorType::Rgb,
        png::BitDepth::Eight,
        data,
    )
}

fn png_of(
    width: usize,
    height: usize,
    colour: png::ColorType,
    depth: png::BitDepth,
    data: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(data)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_come_back() {
        let bytes = grey16(3, 2, &[0, 1, 256, 65_535, 7, 300]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut data).unwrap();
        assert_eq!(data, [0, 0, 0, 1, 1, 0, 255, 255, 0, 7, 1, 44]);
        assert!(grey8(3, 2, &[0; 5]).is_err());
    }
}
