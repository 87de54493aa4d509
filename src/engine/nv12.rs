//! Layout, colour and orientation of YCbCr images in device memory.

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

/// The colour encoding of a YCbCr image of 8 bits a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour {
    /// The luma coefficients.
    pub matrix: YuvMatrix,
    /// Whether luma covers 0..=255 instead of 16..=235.
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

/// Addresses of an NV12 image in device memory, 8 bits a sample: a plane of luma, and a plane of interleaved Cb and Cr of half the width
/// and height, rounded up. Bytes outside `width` and `height` do not belong to the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nv12Planes {
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
}
