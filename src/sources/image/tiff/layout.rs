//! Layout of the samples of a page, as its directory states it.

use crate::geometry::Size;

/// Compressions by their number in the file.
pub(super) mod compression {
    pub(in super::super) const NONE: u16 = 1;
    pub(in super::super) const CCITT_RLE: u16 = 2;
    pub(in super::super) const CCITT_G3: u16 = 3;
    pub(in super::super) const CCITT_G4: u16 = 4;
    pub(in super::super) const JPEG: u16 = 7;
    /// Those that the `tiff` crate decompresses: none, LZW, JPEG, deflate by two numbers, PackBits, zstd, WebP.
    pub(in super::super) const READ: [u16; 8] = [NONE, 5, JPEG, 8, 32_946, 32_773, 50_000, 50_001];
}

/// What the samples mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Photometric {
    Grey { white_is_zero: bool },
    Rgb,
    Palette(Vec<u16>),
    Cmyk,
    YCbCr(YCbCr),
}

/// How YCbCr is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct YCbCr {
    /// Luma samples for each chroma sample, across and down.
    pub(super) subsampling: (u32, u32),
    /// Luma coefficients of red, green, blue.
    pub(super) coefficients: [f64; 3],
    /// Black and white of Y, Cb and Cr.
    pub(super) reference: [f64; 6],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Unsigned,
    Signed,
    Float,
}

/// Strips, or tiles of a size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chunks {
    pub(super) tile: Option<(u32, u32)>,
    pub(super) rows_per_strip: u32,
    pub(super) offsets: Vec<u64>,
    pub(super) counts: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub(super) size: Size,
    pub(super) bits: u32,
    pub(super) samples: u32,
    pub(super) planar: bool,
    pub(super) format: Format,
    pub(super) compression: u16,
    pub(super) photometric: Photometric,
    pub(super) predictor: u16,
    /// What the samples beyond those of the colour are: 1 premultiplied alpha, 2 alpha.
    pub(super) extra: Vec<u16>,
    /// Whether the bits of each byte come in reverse order.
    pub(super) reversed: bool,
    pub(super) fax_options: u32,
    pub(super) chunks: Chunks,
    pub(super) jpeg_tables: Option<Vec<u8>>,
    pub(super) orientation: u16,
}

impl Layout {
    /// Samples of a pixel that belong to the colour.
    pub(super) fn colours(&self) -> u32 {
        match self.photometric {
            Photometric::Grey { .. } | Photometric::Palette(_) => 1,
            Photometric::Rgb | Photometric::YCbCr(_) => 3,
            Photometric::Cmyk => 4,
        }
    }

    /// Whether chroma has fewer samples than luma, in blocks.
    pub(super) fn blocks(&self) -> Option<(u32, u32)> {
        match &self.photometric {
            Photometric::YCbCr(YCbCr { subsampling, .. })
                if self.compression != compression::JPEG && *subsampling != (1, 1) =>
            {
                Some(*subsampling)
            }
            _ => None,
        }
    }

    /// Samples of a pixel in one chunk.
    pub(super) fn chunk_samples(&self) -> u32 {
        if self.planar { 1 } else { self.samples }
    }
}
