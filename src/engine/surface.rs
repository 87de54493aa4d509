//! What is known of a decoded video picture in device memory.

/// Which weights of red and blue make brightness in a YCbCr picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// ITU-R BT.601, also where nothing is stated.
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

impl Matrix {
    /// The weights of red and blue; that of green is what is left of 1.
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

/// How numbers of a YCbCr picture stand for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour {
    /// The weights.
    pub matrix: Matrix,
    /// Whether black is 0 and white 255, instead of 16 and 235.
    pub full_range: bool,
}

/// What makes a picture upright: first columns and rows change places, then the result is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Turn {
    /// Pixel (x, y) goes to (y, x).
    pub transposed: bool,
    /// Left and right change places.
    pub mirrored_across: bool,
    /// Top and bottom change places.
    pub mirrored_down: bool,
}

impl Turn {
    /// Whether the picture is upright as it is.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Width and height after the turn.
    pub fn size(self, (width, height): (usize, usize)) -> (usize, usize) {
        if self.transposed {
            (height, width)
        } else {
            (width, height)
        }
    }
}

/// Where a picture of 8 bits a sample lies, as the decoder left it ("NV12"): a plane of brightness, and one of half its width
/// and height (rounded up) with pairs of Cb and Cr. Nothing outside of width and height belongs to the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planes {
    /// Address of the first sample of brightness.
    pub luma: u64,
    /// Bytes from one row of brightness to the next.
    pub luma_pitch: usize,
    /// Address of the first pair of Cb and Cr.
    pub chroma: u64,
    /// Bytes from one row of pairs to the next.
    pub chroma_pitch: usize,
    /// Columns, before the turn.
    pub width: usize,
    /// Rows, before the turn.
    pub height: usize,
}
