//! A decoded picture of YCbCr in host memory.

use crate::{
    engine::{Colour, Orientation, Yuv, YuvFormat},
    geometry::Size,
};

/// A picture as video decoders have it: luma, rows of samples as stored, then chroma, rows of pairs of Cb and Cr, as many as the format
/// has; no padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Planes {
    stored: Size,
    format: YuvFormat,
    colour: Colour,
    orientation: Orientation,
    data: Vec<u8>,
}

impl Planes {
    /// A picture of the size `stored` over `data`, which `orientation` makes upright; none if the length is not that of luma and chroma,
    /// or a side is 0.
    pub fn new(
        stored: Size,
        format: YuvFormat,
        colour: Colour,
        orientation: Orientation,
        data: Vec<u8>,
    ) -> Option<Self> {
        let (rows, columns) = stored.rows_columns();
        let (luma, chroma) = format.plane_bytes((columns, rows))?;
        let is_whole = luma.checked_add(chroma) == Some(data.len());
        (luma > 0 && is_whole).then_some(Self {
            stored,
            format,
            colour,
            orientation,
            data,
        })
    }

    /// Width and height of the upright picture.
    pub fn size(&self) -> Size {
        let (width, height) = self
            .orientation
            .size((self.stored.width, self.stored.height));
        Size::new(width, height)
    }

    /// Luma, then chroma.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Luma and chroma.
    pub fn yuv(&self) -> Yuv<&[u8]> {
        let (height, width) = self.stored.rows_columns();
        let luma = width * height * self.format.sample_bytes();
        let (luma, chroma) = self.data.split_at(luma.min(self.data.len()));
        Yuv {
            luma,
            chroma,
            width,
            height,
            format: self.format,
            colour: self.colour,
            orientation: self.orientation,
        }
    }
}

impl std::fmt::Debug for Planes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Planes({}, {:?}, {:?}, {:?})",
            self.stored, self.format, self.colour, self.orientation
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Chroma, YuvMatrix};

    #[test]
    fn the_planes_have_the_lengths_that_odd_sizes_ask_for() {
        let colour = Colour {
            matrix: YuvMatrix::Bt601,
            full_range: false,
        };
        let turn = Orientation {
            transposed: true,
            ..Orientation::default()
        };
        let new = |size, format, bytes: usize| {
            let data = (0..bytes).map(|i| i as u8).collect();
            Planes::new(size, format, colour, turn, data)
        };
        let size = Size::new(5, 3);
        let deep = YuvFormat::new(Chroma::Half, 10).unwrap();
        for (format, luma, chroma) in [(YuvFormat::NV12, 15, 12), (deep, 30, 36)] {
            let planes = new(size, format, luma + chroma).unwrap();
            let yuv = planes.yuv();
            assert_eq!((yuv.luma.len(), yuv.chroma.len()), (luma, chroma));
            assert_eq!(usize::from(yuv.chroma[0]), luma);
            assert_eq!(
                (planes.size(), (yuv.width, yuv.height)),
                (Size::new(3, 5), (5, 3))
            );
            assert!(new(size, format, luma + chroma - 1).is_none());
        }
        assert!(new(Size::new(0, 3), YuvFormat::NV12, 0).is_none());
        let most = Size::new(u32::MAX, u32::MAX);
        assert!(new(most, YuvFormat::NV12, 3).is_none());
    }
}
