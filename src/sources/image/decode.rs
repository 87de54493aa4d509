//! Decoding a still image to 8 bits, grey or RGB, upright.

use super::{
    ImageOptions, Picture, Remark, apng::Apng, grey, jpeg, tiff, webp_animation::WebpAnimation,
};
use crate::{
    dicom::Window,
    frame::{Channels, Image},
    geometry::Size,
    sources::{
        SourceError,
        inputs::{Contents, identify},
    },
};
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, metadata::Orientation,
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Read, Seek},
    path::Path,
};

/// Decodes the one image of a file.
///
/// Grey stays grey, palettes become RGB. 16 bits become 8 by dividing by 257 and rounding, grey of 16 bits by the window
/// where one was given. Alpha is composited over black. CMYK is converted by the decoder. EXIF orientation is applied.
///
/// # Errors
/// [`SourceError`] if the file cannot be read, is damaged or cut short, is larger than `max_pixels`, has samples of
/// floating point without a window, or holds several images.
pub(in crate::sources) fn decode_file(
    path: &Path,
    options: &ImageOptions,
) -> Result<Picture, SourceError> {
    let max_pixels = options.max_pixels;
    let format = match identify(path)? {
        Contents::Image(format) => format,
        other => return Err(other.refusal(path)),
    };
    let cannot = |e: std::io::Error| SourceError::new(path, format!("cannot be read: {e}"));
    let file = File::open(path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    if length > max_pixels.saturating_mul(8).saturating_add(64 << 20) {
        return Err(too_large(
            path,
            &format!("the file of {length} bytes"),
            max_pixels,
        ));
    }
    let mut reader = BufReader::with_capacity(1 << 16, file);
    match format {
        ImageFormat::Jpeg => {
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
            reader.read_to_end(&mut bytes).map_err(cannot)?;
            let bytes = jpeg::whole(bytes, max_pixels)
                .map_err(|problem| SourceError::new(path, problem))?;
            decode(path, Cursor::new(bytes), format, options)
        }
        ImageFormat::Tiff => match tiff::list(path)? {
            tiff::Pages {
                ending: Some(error),
                ..
            } => Err(error),
            tiff::Pages { pages, .. } => match pages.as_slice() {
                [page] => tiff::decode(path, *page, options),
                pages => Err(several(path, &format!("has {} pages", pages.len()))),
            },
        },
        ImageFormat::WebP if WebpAnimation::open(path, max_pixels)?.is_some() => {
            Err(several(path, "is an animation"))
        }
        ImageFormat::Png if Apng::open(path, max_pixels)?.is_some() => {
            Err(several(path, "is an animation"))
        }
        _ => decode(path, reader, format, options),
    }
}

fn several(path: &Path, what: &str) -> SourceError {
    SourceError::new(path, format!("{what} where one image was expected"))
        .with_remedy("give the file as an input of its own")
}

/// Decodes what `reader` holds from its start.
fn decode(
    path: &Path,
    reader: impl BufRead + Seek,
    format: ImageFormat,
    options: &ImageOptions,
) -> Result<Picture, SourceError> {
    let max_pixels = options.max_pixels;
    let failed = |e: ImageError| image_error(path, &e, max_pixels);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_pixels.saturating_mul(8).saturating_add(64 << 20));
    let mut reader = ImageReader::with_format(reader, format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let size = Size::new(width, height);
    if size.pixels() > max_pixels {
        return Err(too_large(
            path,
            &format!("the image of {size} pixels"),
            max_pixels,
        ));
    }
    if size.pixels() == 0 {
        return Err(SourceError::new(
            path,
            format!("the image is {size} pixels"),
        ));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    let (image, remark) = to_8_bit(image, options).ok_or_else(|| float_samples(path))?;
    Ok(Picture {
        image,
        orientation: Orientation::NoTransforms,
        remark,
    }
    .turned(orientation))
}

pub(super) fn float_samples(path: &Path) -> SourceError {
    SourceError::new(
        path,
        "its samples are floating point, whose range is not known",
    )
    .with_remedy("--window CENTER,WIDTH shows grey ones; else convert it to 8 or 16 bits")
}

pub(super) fn too_large(path: &Path, what: &str, max_pixels: u64) -> SourceError {
    SourceError::new(
        path,
        format!("{what} is over the limit of {max_pixels} pixels"),
    )
    .with_remedy("--max-pixels raises it")
}

pub(super) fn image_error(path: &Path, error: &ImageError, max_pixels: u64) -> SourceError {
    match error {
        ImageError::Limits(_) => too_large(path, "the image", max_pixels),
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            SourceError::new(path, "the file ends early")
        }
        ImageError::IoError(e) => SourceError::new(path, format!("cannot be decoded: {e}")),
        ImageError::Unsupported(e) => SourceError::new(path, format!("cannot be decoded: {e}"))
            .with_remedy("convert it to 8-bit PNG"),
        e => SourceError::new(path, format!("cannot be decoded: {e}")),
    }
}

/// To 8 bits without alpha; none for floating point.
pub(in crate::sources) fn to_8_bit(
    image: DynamicImage,
    options: &ImageOptions,
) -> Option<(Image, Option<Remark>)> {
    let size = Size::new(image.width(), image.height());
    let mut remark = None;
    let (channels, data) = match image {
        DynamicImage::ImageLuma8(pixels) => (Channels::Gray, pixels.into_raw()),
        DynamicImage::ImageRgb8(pixels) => (Channels::Rgb, pixels.into_raw()),
        DynamicImage::ImageLumaA8(pixels) => (Channels::Gray, composite_over_black(&pixels, 2)),
        DynamicImage::ImageRgba8(pixels) => (Channels::Rgb, composite_over_black(&pixels, 4)),
        DynamicImage::ImageLuma16(pixels) => {
            let (shown, about) = grey::grey_16(&pixels, u16::MAX, options.window);
            remark = about;
            (Channels::Gray, shown)
        }
        DynamicImage::ImageRgb16(pixels) => (Channels::Rgb, grey::narrow(&pixels)),
        DynamicImage::ImageLumaA16(pixels) => {
            let (samples, _) = pixels.as_chunks::<2>();
            let (shown, about) = grey::grey_16(
                &samples.iter().map(|p| p[0]).collect::<Vec<_>>(),
                u16::MAX,
                options.window,
            );
            remark = about;
            if let Window::Fixed { .. } = options.window {
                let alpha = grey::narrow(&samples.iter().map(|p| p[1]).collect::<Vec<_>>());
                let with_alpha: Vec<u8> =
                    shown.iter().zip(alpha).flat_map(|(&v, a)| [v, a]).collect();
                (Channels::Gray, composite_over_black(&with_alpha, 2))
            } else {
                (Channels::Gray, composite_16_over_black(&pixels, 2))
            }
        }
        DynamicImage::ImageRgba16(pixels) => (Channels::Rgb, composite_16_over_black(&pixels, 4)),
        _ => return None,
    };
    Image::new(size, channels, data).map(|image| (image, remark))
}

/// Pixels of `samples` samples, the last being alpha, as they look over black: each other sample × alpha / 255, rounded.
pub(in crate::sources) fn composite_over_black(pixels: &[u8], samples: usize) -> Vec<u8> {
    let over =
        |(colour, alpha): (u8, u8)| ((u32::from(colour) * u32::from(alpha) + 127) / 255) as u8;
    let mut data = Vec::with_capacity(pixels.len() / samples * (samples - 1));
    for pixel in pixels.chunks_exact(samples) {
        if let Some((&alpha, colours)) = pixel.split_last() {
            data.extend(colours.iter().map(|&c| over((c, alpha))));
        }
    }
    data
}

/// As [`composite_over_black`] in 16 bits, narrowed to 8 once at the end.
pub(super) fn composite_16_over_black(pixels: &[u16], samples: usize) -> Vec<u8> {
    const UNIT: u64 = 65_535 * 257;
    let mut data = Vec::with_capacity(pixels.len() / samples * (samples - 1));
    for pixel in pixels.chunks_exact(samples) {
        if let Some((&alpha, colours)) = pixel.split_last() {
            data.extend(
                colours
                    .iter()
                    .map(|&c| ((u64::from(c) * u64::from(alpha) + UNIT / 2) / UNIT) as u8),
            );
        }
    }
    data
}

/// The image after a rotation or flip.
pub(in crate::sources) fn oriented(image: Image, orientation: Orientation) -> Image {
    if orientation == Orientation::NoTransforms {
        return image;
    }
    let (size, channels) = (image.size(), image.channels());
    let turned = match channels {
        Channels::Gray => image::GrayImage::from_raw(size.width, size.height, image.into_data())
            .map(DynamicImage::from),
        Channels::Rgb => image::RgbImage::from_raw(size.width, size.height, image.into_data())
            .map(DynamicImage::from),
    };
    let Some(mut turned) = turned else {
        unreachable!("an image has as many samples as its size says")
    };
    turned.apply_orientation(orientation);
    let size = Size::new(turned.width(), turned.height());
    match Image::new(size, channels, turned.into_bytes()) {
        Some(image) => image,
        None => unreachable!("turning keeps the number of samples"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_composited_over_black() {
        assert_eq!(
            composite_over_black(&[255, 128, 0, 255, 255, 128, 10, 128, 9, 9, 9, 0], 4),
            [255, 128, 0, 128, 64, 5, 0, 0, 0]
        );
        assert_eq!(
            composite_16_over_black(&[65_535, 65_535, 65_535, 32_768, 65_535, 0], 2),
            [255, 128, 0]
        );
    }

    #[test]
    fn turning_moves_the_corners() {
        let image = Image::new(Size::new(3, 2), Channels::Gray, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let turned = oriented(image, Orientation::Rotate90);
        assert_eq!(
            (turned.size(), turned.data()),
            (Size::new(2, 3), &[4, 1, 5, 2, 6, 3][..])
        );
    }
}
