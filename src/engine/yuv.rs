//! Layout, samples, colour and orientation of YCbCr images.

/// The luma coefficients of a YCbCr image: the weights of red and blue in its luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum YuvMatrix {
    /// ITU-R BT.601; also the default where a stream states none.
    Bt601,
    /// ITU-R BT.709.
    Bt709,
    /// FCC 73.682.
    Fcc,
    /// SMPTE 240M.
    Smpte240m,
    /// ITU-R BT.2020.
    Bt2020,
}

impl YuvMatrix {
    /// The weights of red and blue; the three weights sum to 1.
    pub const fn weights(self) -> (f64, f64) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Fcc => (0.30, 0.11),
            Self::Smpte240m => (0.212, 0.087),
            Self::Bt2020 => (0.2627, 0.0593),
        }
    }
}

/// The colour encoding of a YCbCr image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour {
    /// The luma coefficients.
    pub matrix: YuvMatrix,
    /// Whether luma covers 0..=255 instead of 16..=235, of 8 bits.
    pub full_range: bool,
}

/// The transform that makes a stored image upright: transpose first, then mirror the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Orientation {
    /// Pixel (x, y) goes to (y, x).
    pub transposed: bool,
    /// Left and right are exchanged, after the transpose.
    pub mirrored_across: bool,
    /// Top and bottom are exchanged, after the transpose.
    pub mirrored_down: bool,
}

impl Orientation {
    /// Whether the image is upright as stored.
    pub fn is_upright(self) -> bool {
        self == Self::default()
    }

    /// Width and height of the upright image, from those of the stored one.
    pub fn size<T>(self, (width, height): (T, T)) -> (T, T) {
        if self.transposed {
            (height, width)
        } else {
            (width, height)
        }
    }
}

/// How many samples of colour a YCbCr image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chroma {
    /// Half the width and half the height, rounded up (4:2:0).
    Quarter,
    /// Half the width, rounded up (4:2:2).
    Half,
    /// One for each of luma (4:4:4).
    Full,
}

/// The samples of a YCbCr image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct YuvFormat {
    chroma: Chroma,
    depth: u8,
    is_upper: bool,
}

impl YuvFormat {
    /// 8 bits in 4:2:0.
    pub const NV12: Self = Self {
        chroma: Chroma::Quarter,
        depth: 8,
        is_upper: false,
    };

    /// Samples of `depth` bits: bytes, or the lower bits of 16 in little-endian order. None if `depth` is not in 8..=16.
    pub fn new(chroma: Chroma, depth: u8) -> Option<Self> {
        (8..=16).contains(&depth).then_some(Self {
            chroma,
            depth,
            is_upper: false,
        })
    }

    /// The same samples in the upper bits of 16, as hardware decoders leave them ("P010"); those of 8 bits are bytes all the same.
    #[must_use]
    pub fn in_upper_bits(self) -> Self {
        Self {
            is_upper: self.depth > 8,
            ..self
        }
    }

    /// How many samples of colour there are.
    pub fn chroma(self) -> Chroma {
        self.chroma
    }

    /// Bits a sample.
    pub fn depth(self) -> u8 {
        self.depth
    }

    /// Bits below the sample's.
    pub fn shift(self) -> u8 {
        if self.is_upper { 16 - self.depth } else { 0 }
    }

    /// Bytes a sample.
    pub fn sample_bytes(self) -> usize {
        if self.depth == 8 { 1 } else { 2 }
    }

    /// Columns and rows of pairs of Cb and Cr.
    pub fn pairs(self, (width, height): (usize, usize)) -> (usize, usize) {
        match self.chroma {
            Chroma::Quarter => (width.div_ceil(2), height.div_ceil(2)),
            Chroma::Half => (width.div_ceil(2), height),
            Chroma::Full => (width, height),
        }
    }

    /// Bytes of luma and of chroma, without padding; none if they cannot be counted.
    pub fn plane_bytes(self, size: (usize, usize)) -> Option<(usize, usize)> {
        let (columns, rows) = self.pairs(size);
        let bytes = |columns: usize, rows: usize| {
            columns.checked_mul(rows)?.checked_mul(self.sample_bytes())
        };
        Some((
            bytes(size.0, size.1)?,
            bytes(columns.checked_mul(2)?, rows)?,
        ))
    }
}

/// A YCbCr image, its planes of bytes as `T`: slices of host memory, or tensors on a device. They have no padding: `height` rows of `width`
/// samples of luma; rows of pairs of Cb and Cr, as many as the format has.
#[derive(Debug, Clone, Copy)]
pub struct Yuv<T> {
    /// Brightness.
    pub luma: T,
    /// Pairs of Cb and Cr.
    pub chroma: T,
    /// Columns as stored, before the orientation is applied.
    pub width: usize,
    /// Rows as stored, before the orientation is applied.
    pub height: usize,
    /// The samples.
    pub format: YuvFormat,
    /// What the samples stand for.
    pub colour: Colour,
    /// What makes the image upright.
    pub orientation: Orientation,
}

/// Addresses of a YCbCr image in device memory: a plane of luma, and one of pairs of Cb and Cr. Bytes outside `width` and `height` do not
/// belong to the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YuvPlanes {
    /// Device address of the first luma sample.
    pub luma: u64,
    /// Bytes from one row of luma to the next.
    pub luma_pitch: usize,
    /// Device address of the first pair of Cb and Cr.
    pub chroma: u64,
    /// Bytes from one row of pairs to the next.
    pub chroma_pitch: usize,
    /// Columns as stored, before the orientation is applied.
    pub width: usize,
    /// Rows as stored, before the orientation is applied.
    pub height: usize,
    /// The samples.
    pub format: YuvFormat,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_have_the_bytes_that_layout_and_depth_ask_for() {
        for (chroma, depth, expected) in [
            (Chroma::Quarter, 8, (15, 12)),
            (Chroma::Half, 8, (15, 18)),
            (Chroma::Full, 8, (15, 30)),
            (Chroma::Quarter, 10, (30, 24)),
            (Chroma::Full, 16, (30, 60)),
        ] {
            let format = YuvFormat::new(chroma, depth).unwrap();
            assert_eq!(format.plane_bytes((5, 3)), Some(expected), "{format:?}");
        }
        let upper = YuvFormat::new(Chroma::Quarter, 10).map(|f| f.in_upper_bits().shift());
        assert_eq!(
            (upper, YuvFormat::NV12.in_upper_bits()),
            (Some(6), YuvFormat::NV12)
        );
        assert_eq!(YuvFormat::new(Chroma::Full, 7), None);
        assert_eq!(YuvFormat::new(Chroma::Full, 17), None);
        assert_eq!(YuvFormat::NV12.plane_bytes((usize::MAX, 3)), None);
    }
}
