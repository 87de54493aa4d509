//! Operations on the pixels of a decoded image.

use super::{
    grey,
    picture::{ImageOptions, Picture, Remark},
};
use crate::{
    dicom::Window,
    frame::{Channels, Image},
    geometry::Size,
};
use image::{DynamicImage, metadata::Orientation};

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
pub(in crate::sources) fn composite_16_over_black(pixels: &[u16], samples: usize) -> Vec<u8> {
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

/// An upright picture of an image as stored: turned by `orientation`, which the picture notes.
pub(in crate::sources) fn upright(
    image: Image,
    orientation: Orientation,
    remark: Option<Remark>,
) -> Picture {
    Picture {
        image: oriented(image, orientation),
        orientation,
        remark,
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
