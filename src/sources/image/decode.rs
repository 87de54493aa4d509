//! Decoding a still image to 8 bits, grey or RGB, upright.

use super::{
    apng::Apng,
    error::{float_samples, image_error, too_large},
    jpeg,
    picture::{ImageOptions, Picture},
    pixels::{to_8_bit, upright},
    tiff,
    webp_animation::WebpAnimation,
};
use crate::{
    frame::Image,
    geometry::Size,
    sources::{
        SourceError,
        contents::{Contents, identify},
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
    let cannot = |e: std::io::Error| SourceError::unreadable(path, &e);
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

/// Decodes an image in memory as files are decoded, the first of several; `name` is what errors call it. Of TIFF it takes
/// what the `image` crate does.
///
/// # Errors
/// [`SourceError`] if the bytes are no PNG, JPEG, TIFF, BMP or WebP, are damaged or cut short, are larger than `max_pixels`, or
/// have samples of floating point.
pub fn decode_image(name: &str, bytes: Vec<u8>, max_pixels: u64) -> Result<Image, SourceError> {
    let path = Path::new(name);
    let known = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
        ImageFormat::WebP,
    ];
    let format = match image::guess_format(&bytes) {
        _ if bytes.is_empty() => return Err(SourceError::new(path, "is empty")),
        Ok(format) if known.contains(&format) => format,
        _ => {
            return Err(SourceError::new(
                path,
                "is neither PNG, JPEG, TIFF, BMP nor WebP",
            ));
        }
    };
    let bytes = match format {
        ImageFormat::Jpeg => {
            jpeg::whole(bytes, max_pixels).map_err(|problem| SourceError::new(path, problem))?
        }
        _ => bytes,
    };
    let options = ImageOptions {
        max_pixels,
        ..ImageOptions::default()
    };
    decode(path, Cursor::new(bytes), format, &options).map(|picture| picture.image)
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
    Ok(upright(image, orientation, remark))
}
