//! A decoded picture of YCbCr in host memory.

use crate::{engine::Colour, geometry::Size};

/// A picture as video decoders have it, in NV12 of 8 bits a sample: luma, `height` rows of `width` samples, then chroma, `ceil(height / 2)` rows of
/// `ceil(width / 2)` pairs of Cb and Cr; no padding. Upright.
#[derive(Clone, PartialEq, Eq)]
pub struct Planes {
    size: Size,
    colour: Colour,
    data: Vec<u8>,
}

impl Planes {
    /// A picture over `data`; none if its length is not that of luma and chroma, or a side is 0.
    pub fn new(size: Size, colour: Colour, data: Vec<u8>) -> Option<Self> {
        let expected = Self::bytes(size)?;
        (size.width > 0 && size.height > 0 && data.len() as u64 == expected).then_some(Self {
            size,
            colour,
            data,
        })
    }

    /// Bytes of luma and chroma of a picture of that size; none if they cannot be counted.
    pub fn bytes(size: Size) -> Option<u64> {
        let pairs = u64::from(size.width.div_ceil(2)) * u64::from(size.height.div_ceil(2));
        size.pixels().checked_add(pairs.checked_mul(2)?)
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The colour encoding of the samples.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// Luma, then chroma.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Luma and chroma.
    pub fn split(&self) -> (&[u8], &[u8]) {
        let luma = usize::try_from(self.size.pixels()).unwrap_or(usize::MAX);
        self.data.split_at(luma.min(self.data.len()))
    }
}

impl std::fmt::Debug for Planes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Planes({}, {:?})", self.size, self.colour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::YuvMatrix;

    #[test]
    fn the_planes_have_the_lengths_that_odd_sizes_ask_for() {
        let (size, colour) = (
            Size::new(5, 3),
            Colour {
                matrix: YuvMatrix::Bt601,
                full_range: false,
            },
        );
        let planes = Planes::new(size, colour, (0..27).collect()).unwrap();
        let (luma, chroma) = planes.split();
        assert_eq!((luma.len(), chroma.len(), chroma[0]), (15, 12, 15));
        assert!(Planes::new(size, colour, vec![0; 26]).is_none());
        assert!(Planes::new(Size::new(0, 3), colour, Vec::new()).is_none());
        let most = Size::new(u32::MAX, u32::MAX);
        assert!(Planes::new(most, colour, vec![0; 3]).is_none());
    }
}
