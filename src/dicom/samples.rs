//! Decoded samples in the narrowest container that holds them.

use super::layout::Photometric;
use crate::geometry::Size;

/// Samples of one frame, rows top to bottom, colours of a pixel beside each other.
///
/// Integers are bit patterns: where the frame is signed they are in two's complement of the container's width.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Samples {
    /// Up to 8 bits.
    U8(Vec<u8>),
    /// 9 to 16 bits.
    U16(Vec<u16>),
    /// 17 to 32 bits.
    U32(Vec<u32>),
    /// Float Pixel Data.
    F32(Vec<f32>),
    /// Double Float Pixel Data.
    F64(Vec<f64>),
}

/// One frame's stored values: before rescale, window, palette and the inversion of MONOCHROME1; colour as RGB.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoredFrame {
    /// Columns and rows.
    pub size: Size,
    /// 1 or 3.
    pub samples_per_pixel: u16,
    /// Bits Stored.
    pub bits: u16,
    /// Whether the values are signed.
    pub signed: bool,
    /// What the values mean; never one of the YBR family, which are given as RGB.
    pub photometric: Photometric,
    /// The values.
    pub samples: Samples,
}

impl Samples {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the low `bits` of integers and, if `signed`, extends their sign over the container.
    pub(super) fn keep_bits(&mut self, bits: u16, signed: bool) {
        fn each<T: Copy>(v: &mut [T], width: u16, bits: u16, f: impl Fn(T, u32) -> T) {
            if bits < width {
                let shift = u32::from(width - bits);
                v.iter_mut().for_each(|x| *x = f(*x, shift));
            }
        }
        match (self, signed) {
            (Self::U8(v), false) => each(v, 8, bits, |x, s| x << s >> s),
            (Self::U8(v), true) => each(v, 8, bits, |x, s| ((x << s) as i8 >> s) as u8),
            (Self::U16(v), false) => each(v, 16, bits, |x, s| x << s >> s),
            (Self::U16(v), true) => each(v, 16, bits, |x, s| ((x << s) as i16 >> s) as u16),
            (Self::U32(v), false) => each(v, 32, bits, |x, s| x << s >> s),
            (Self::U32(v), true) => each(v, 32, bits, |x, s| ((x << s) as i32 >> s) as u32),
            (Self::F32(_) | Self::F64(_), _) => {}
        }
    }

    /// Shifts integers right, for values that do not start at bit 0.
    pub(super) fn shift_right(&mut self, by: u16) {
        match self {
            Self::U8(v) => v.iter_mut().for_each(|x| *x >>= by),
            Self::U16(v) => v.iter_mut().for_each(|x| *x >>= by),
            Self::U32(v) => v.iter_mut().for_each(|x| *x >>= by),
            Self::F32(_) | Self::F64(_) => {}
        }
    }

    /// From plane by plane to colours of a pixel beside each other.
    pub(super) fn interleave(self, planes: usize) -> Self {
        fn each<T: Copy>(v: Vec<T>, planes: usize) -> Vec<T> {
            let plane = v.len() / planes.max(1);
            (0..plane)
                .flat_map(|i| {
                    (0..planes).filter_map(move |p| Some((p, i)).map(|(p, i)| p * plane + i))
                })
                .filter_map(|at| v.get(at).copied())
                .collect()
        }
        match self {
            Self::U8(v) => Self::U8(each(v, planes)),
            Self::U16(v) => Self::U16(each(v, planes)),
            Self::U32(v) => Self::U32(each(v, planes)),
            other => other,
        }
    }
}

impl StoredFrame {
    /// The values as 16-bit patterns for a 16-bit PNG: one sample a pixel, or three for RGB. Signed values are in two's
    /// complement of 16 bits, so that a reader gets them back by viewing the samples as signed.
    ///
    /// None if a value does not fit: floating-point and 32-bit frames (unless all their values fit).
    pub fn to_u16(&self) -> Option<Vec<u16>> {
        match (&self.samples, self.signed) {
            (Samples::U8(v), false) => Some(v.iter().map(|&x| u16::from(x)).collect()),
            (Samples::U8(v), true) => Some(v.iter().map(|&x| i16::from(x as i8) as u16).collect()),
            (Samples::U16(v), _) => Some(v.clone()),
            (Samples::U32(v), false) => v.iter().map(|&x| u16::try_from(x).ok()).collect(),
            (Samples::U32(v), true) => v
                .iter()
                .map(|&x| i16::try_from(x as i32).ok().map(|y| y as u16))
                .collect(),
            (Samples::F32(_) | Samples::F64(_), _) => None,
        }
    }
}
