//! Images in memory as frames.

use crate::{
    frame::{Channels, Frame, Image, SourceInfo, SourceKind},
    geometry::Size,
    sources::ImageOptions,
};
use image::DynamicImage;
use std::sync::{Arc, LazyLock};

/// Order of the samples of a pixel in memory, 8 bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelLayout {
    /// Brightness, 0 black.
    Gray8,
    /// Red, green, blue.
    Rgb8,
    /// Blue, green, red, as OpenCV has it.
    Bgr8,
    /// Red, green, blue, and a fourth sample that is not read.
    Rgbx8,
    /// Blue, green, red, and a fourth sample that is not read.
    Bgrx8,
}

impl PixelLayout {
    /// Bytes of a pixel.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Gray8 => 1,
            Self::Rgb8 | Self::Bgr8 => 3,
            Self::Rgbx8 | Self::Bgrx8 => 4,
        }
    }
}

/// Pixels in the caller's memory: rows top to bottom, `stride` bytes from one row to the next.
#[derive(Debug, Clone, Copy)]
pub struct PixelsRef<'a> {
    /// The samples.
    pub data: &'a [u8],
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from the beginning of a row to that of the next.
    pub stride: usize,
    /// Order of a pixel's samples.
    pub layout: PixelLayout,
}

impl<'a> PixelsRef<'a> {
    /// Pixels without a gap between rows.
    pub fn new(data: &'a [u8], width: u32, height: u32, layout: PixelLayout) -> Self {
        Self {
            data,
            width,
            height,
            stride: width as usize * layout.bytes(),
            layout,
        }
    }
}

/// An image in memory that makes no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A side is 0.
    #[error("an image of {0} pixels: both sides must be at least 1")]
    Empty(Size),
    /// Fewer bytes than size and stride need.
    #[error("{given} bytes for an image of {size} pixels: {needed} are needed")]
    Length {
        /// Width and height.
        size: Size,
        /// Bytes given.
        given: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// The samples' range is not known.
    #[error(
        "the image's samples are floating point, whose range is not known; convert them to 8 or 16 bits"
    )]
    Float,
}

/// Types that can be passed where a frame is expected: a [`Frame`], an [`Image`], an image of the `image` crate, or [`PixelsRef`].
pub trait IntoFrame {
    /// Converts into a frame; one made of an image alone has the number `index` and no time.
    ///
    /// # Errors
    /// [`ImageError`] if a side is 0, the data are too short, or samples are floating point.
    fn into_frame(self, index: u64) -> Result<Frame, ImageError>;
}

impl IntoFrame for Frame {
    fn into_frame(self, _: u64) -> Result<Frame, ImageError> {
        Ok(self)
    }
}

impl IntoFrame for &Frame {
    fn into_frame(self, _: u64) -> Result<Frame, ImageError> {
        Ok(self.clone())
    }
}

impl IntoFrame for Image {
    fn into_frame(self, index: u64) -> Result<Frame, ImageError> {
        Arc::new(self).into_frame(index)
    }
}

impl IntoFrame for Arc<Image> {
    fn into_frame(self, index: u64) -> Result<Frame, ImageError> {
        let source = IN_MEMORY.clone();
        Ok(Frame {
            source,
            index,
            timestamp: None,
            file: None,
            pixels: self.into(),
            physical: None,
            exif_orientation: None,
            stored: None,
        })
    }
}

impl IntoFrame for DynamicImage {
    fn into_frame(self, index: u64) -> Result<Frame, ImageError> {
        let size = Size::new(self.width(), self.height());
        if size.pixels() == 0 {
            return Err(ImageError::Empty(size));
        }
        let (image, _) =
            super::image::to_8_bit(self, &ImageOptions::default()).ok_or(ImageError::Float)?;
        image.into_frame(index)
    }
}

/// Grey stays grey; 16 bits become 8 by dividing by 257 and rounding; alpha is composited over black.
impl IntoFrame for &DynamicImage {
    fn into_frame(self, index: u64) -> Result<Frame, ImageError> {
        self.clone().into_frame(index)
    }
}

impl IntoFrame for &image::RgbImage {
    fn into_frame(self, index: u64) -> Result<Frame, ImageError> {
        DynamicImage::from(self.clone()).into_frame(index)
    }
}

impl IntoFrame for &image::GrayImage {
    fn into_frame(self, index: u64) -> Result<Frame, ImageError> {
        DynamicImage::from(self.clone()).into_frame(index)
    }
}

impl IntoFrame for PixelsRef<'_> {
    fn into_frame(self, index: u64) -> Result<Frame, ImageError> {
        let (size, bytes) = (Size::new(self.width, self.height), self.layout.bytes());
        if size.pixels() == 0 {
            return Err(ImageError::Empty(size));
        }
        let row = (self.width as usize).saturating_mul(bytes);
        let needed = self
            .stride
            .saturating_mul(self.height as usize - 1)
            .saturating_add(row);
        if self.stride < row || self.data.len() < needed {
            return Err(ImageError::Length {
                size,
                given: self.data.len(),
                needed: needed.max(row.saturating_mul(self.height as usize)),
            });
        }
        let channels = if self.layout == PixelLayout::Gray8 {
            Channels::Gray
        } else {
            Channels::Rgb
        };
        let mut data = Vec::with_capacity(row / bytes * channels.count() * self.height as usize);
        for row in self
            .data
            .chunks(self.stride)
            .take(self.height as usize)
            .filter_map(|chunk| chunk.get(..row))
        {
            match self.layout {
                PixelLayout::Gray8 | PixelLayout::Rgb8 => data.extend_from_slice(row),
                PixelLayout::Rgbx8 => row
                    .chunks_exact(4)
                    .for_each(|p| data.extend_from_slice(&[p[0], p[1], p[2]])),
                PixelLayout::Bgr8 | PixelLayout::Bgrx8 => {
                    row.chunks_exact(bytes)
                        .for_each(|p| data.extend_from_slice(&[p[2], p[1], p[0]]));
                }
            }
        }
        let given = data.len();
        let image = Image::new(size, channels, data).ok_or(ImageError::Length {
            size,
            given,
            needed,
        })?;
        image.into_frame(index)
    }
}

/// The source of frames that come from no file.
static IN_MEMORY: LazyLock<Arc<SourceInfo>> = LazyLock::new(|| {
    Arc::new(SourceInfo {
        ordinal: 0,
        path: "memory".into(),
        name: "memory".to_owned(),
        kind: SourceKind::Image,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: Default::default(),
    })
});

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(frame: Result<Frame, ImageError>) -> Vec<u8> {
        frame.unwrap().image().unwrap().data().to_vec()
    }

    #[test]
    fn bytes_in_every_layout_and_with_gaps_make_the_same_image() {
        let rgb = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let of = |data: &[u8], layout| pixels(PixelsRef::new(data, 2, 2, layout).into_frame(0));
        assert_eq!(of(&rgb, PixelLayout::Rgb8), rgb);
        assert_eq!(
            of(&[3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10], PixelLayout::Bgr8),
            rgb
        );
        assert_eq!(
            of(
                &[1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 10, 11, 12, 0],
                PixelLayout::Rgbx8
            ),
            rgb
        );
        assert_eq!(
            of(
                &[3, 2, 1, 0, 6, 5, 4, 0, 9, 8, 7, 0, 12, 11, 10, 0],
                PixelLayout::Bgrx8
            ),
            rgb
        );
        let gaps = [1, 2, 3, 4, 5, 6, 99, 99, 7, 8, 9, 10, 11, 12];
        let padded = PixelsRef {
            stride: 8,
            ..PixelsRef::new(&gaps, 2, 2, PixelLayout::Rgb8)
        };
        assert_eq!(
            pixels(padded.into_frame(0)),
            rgb,
            "the last row needs no padding"
        );
    }

    #[test]
    fn wrong_sizes_are_refused_in_words() {
        let short = PixelsRef::new(&[0; 5], 2, 3, PixelLayout::Gray8)
            .into_frame(0)
            .unwrap_err();
        assert_eq!(
            short.to_string(),
            "5 bytes for an image of 2×3 pixels: 6 are needed"
        );
        assert!(matches!(
            PixelsRef::new(&[], 0, 3, PixelLayout::Gray8).into_frame(0),
            Err(ImageError::Empty(_))
        ));
        let narrow = PixelsRef {
            stride: 1,
            ..PixelsRef::new(&[0; 64], 2, 3, PixelLayout::Gray8)
        };
        assert!(narrow.into_frame(0).is_err());
        let huge = PixelsRef::new(&[0; 4], u32::MAX, u32::MAX, PixelLayout::Bgrx8);
        assert!(huge.into_frame(0).is_err());
        assert!(matches!(
            DynamicImage::new_rgb32f(2, 2).into_frame(0),
            Err(ImageError::Float)
        ));
    }

    #[test]
    fn images_of_the_image_crate_keep_grey_and_lose_alpha_over_black() {
        let grey = image::GrayImage::from_raw(2, 1, vec![7, 9]).unwrap();
        assert_eq!(pixels((&grey).into_frame(3)), [7, 9]);
        let rgba = image::RgbaImage::from_raw(1, 1, vec![200, 100, 50, 128]).unwrap();
        assert_eq!(
            pixels((&DynamicImage::from(rgba)).into_frame(0)),
            [100, 50, 25]
        );
        assert_eq!((&grey).into_frame(3).unwrap().index, 3);
    }
}
