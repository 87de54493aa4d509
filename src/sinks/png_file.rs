//! PNG files: quick to compress, written whole or not at all.

use crate::{
    frame::{Channels, Image, StoredImage},
    geometry::Size,
    sinks::{atomic_file::write_atomic, error::SinkError},
};
use image::{
    ExtendedColorType, ImageEncoder, ImageError,
    codecs::png::{CompressionType, FilterType, PngEncoder},
    error::{ParameterError, ParameterErrorKind},
};
use std::path::Path;

/// Samples of a PNG, rows top to bottom.
#[derive(Debug, Clone, Copy)]
pub(super) enum Samples<'a> {
    /// 8-bit grey.
    Gray(&'a [u8]),
    /// 16-bit grey.
    Gray16(&'a [u16]),
    /// 8-bit red, green, blue.
    Rgb(&'a [u8]),
    /// 16-bit red, green, blue.
    Rgb16(&'a [u16]),
}

/// Writes `samples` of an image of `size` to `path`.
pub(super) fn write_png(path: &Path, size: Size, samples: Samples<'_>) -> Result<(), SinkError> {
    let bytes = encode(size, samples)
        .map_err(|e| SinkError::new(path, format!("cannot encode {size} pixels as PNG: {e}")))?;
    write_atomic(path, &bytes)
}

/// Writes `indices` into `palette` (red, green, blue; at most 256) of an image of `size` to `path`.
pub(super) fn write_indexed(
    path: &Path,
    size: Size,
    indices: &[u8],
    palette: &[[u8; 3]],
) -> Result<(), SinkError> {
    let mut bytes = Vec::with_capacity(indices.len() / 16 + 1024);
    let mut encode = || -> Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(&mut bytes, size.width, size.height);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette.concat());
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(indices)?;
        writer.finish()
    };
    encode()
        .map_err(|e| SinkError::new(path, format!("cannot encode {size} pixels as PNG: {e}")))?;
    write_atomic(path, &bytes)
}

/// Writes `numbers` of objects of an image of `size` to `path`, 16 bits each. Lines are mostly as the one above them.
pub(super) fn write_numbers(path: &Path, size: Size, numbers: &[u16]) -> Result<(), SinkError> {
    let mut bytes = Vec::with_capacity(numbers.len() / 16 + 1024);
    let samples: Vec<u8> = numbers.iter().flat_map(|v| v.to_be_bytes()).collect();
    let mut encode = || -> Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(&mut bytes, size.width, size.height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Sixteen);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Up);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&samples)?;
        writer.finish()
    };
    encode()
        .map_err(|e| SinkError::new(path, format!("cannot encode {size} pixels as PNG: {e}")))?;
    write_atomic(path, &bytes)
}

/// Writes a frame's values as they were stored, 16 bits a channel.
pub(super) fn write_stored(path: &Path, image: &StoredImage) -> Result<(), SinkError> {
    let samples = match image.channels {
        Channels::Gray => Samples::Gray16(&image.values),
        Channels::Rgb => Samples::Rgb16(&image.values),
    };
    write_png(path, image.size, samples)
}

/// Writes a frame's pixels, grey as grey and colour as RGB.
pub(crate) fn write_image(path: &Path, image: &Image) -> Result<(), SinkError> {
    let samples = match image.channels() {
        Channels::Gray => Samples::Gray(image.data()),
        Channels::Rgb => Samples::Rgb(image.data()),
    };
    write_png(path, image.size(), samples)
}

/// Encodes `samples` with fast compression and one filter for all rows: on ultrasound frames choosing one a row takes
/// more than twice the time for 0.1% less.
fn encode(size: Size, samples: Samples<'_>) -> image::ImageResult<Vec<u8>> {
    let native: Vec<u8>;
    let (color, data) = match samples {
        Samples::Gray(data) => (ExtendedColorType::L8, data),
        Samples::Rgb(data) => (ExtendedColorType::Rgb8, data),
        Samples::Gray16(data) | Samples::Rgb16(data) => {
            native = data.iter().flat_map(|v| v.to_ne_bytes()).collect();
            let color = if matches!(samples, Samples::Rgb16(_)) {
                ExtendedColorType::Rgb16
            } else {
                ExtendedColorType::L16
            };
            (color, native.as_slice())
        }
    };
    // The encoder panics where they differ.
    if data.len() as u64 != size.pixels() * u64::from(color.bits_per_pixel() / 8) {
        let mismatch = ParameterError::from_kind(ParameterErrorKind::DimensionMismatch);
        return Err(ImageError::Parameter(mismatch));
    }
    let mut bytes = Vec::with_capacity(data.len() / 4 + 1024);
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Paeth)
        .write_image(data, size.width, size.height, color)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_another_length_is_an_error() {
        let size = Size::new(2, 2);
        assert!(encode(size, Samples::Gray(&[0; 4])).is_ok());
        assert!(encode(size, Samples::Gray(&[0; 5])).is_err());
        assert!(encode(size, Samples::Rgb16(&[0; 4])).is_err());
    }
}
