//! Samples of a page, interleaved by pixel.

use super::{
    fault::Fault,
    layout::{Format, Layout},
    raw::Raw,
};
use half::f16;

/// Samples, interleaved.
pub(super) enum Samples {
    /// Whole numbers of up to 8 bits.
    U8(Vec<u8>),
    /// Of 9 to 16 bits.
    U16(Vec<u16>),
    /// Any others.
    Real(Vec<f64>),
}

/// All samples of the page, pixel by pixel.
pub(super) fn samples(layout: &Layout, raw: Raw) -> Result<Samples, Fault> {
    let (width, height) = (layout.size.width as usize, layout.size.height as usize);
    let (row, planes) = if layout.planar {
        (width, layout.samples as usize)
    } else {
        (width * layout.samples as usize, 1)
    };
    let bits = layout.bits;
    let rows = || (0..height).flat_map(|y| (0..planes).map(move |plane| (y, plane)));
    let bytes_of = |(y, plane): (usize, usize)| {
        let at = plane * raw.plane_bytes + y * raw.row_bytes;
        raw.bytes
            .get(at..at + raw.row_bytes)
            .ok_or_else(|| Fault::Damaged("its rows are too short".to_owned()))
    };
    let samples = match (layout.format, bits) {
        (Format::Unsigned, 8) if planes == 1 && raw.row_bytes == row => {
            return Ok(Samples::U8(raw.bytes));
        }
        (Format::Unsigned, 8) => Samples::U8(collect(rows(), |at| Ok(bytes_of(at)?.to_vec()))?),
        (Format::Unsigned, 1..8) => Samples::U8(collect(rows(), |at| {
            Ok(unpacked(bytes_of(at)?, bits, row)
                .map(|v| v as u8)
                .collect())
        })?),
        (Format::Unsigned, 16) => Samples::U16(collect(rows(), |at| {
            Ok(words::<2>(bytes_of(at)?).map(u16::from_ne_bytes).collect())
        })?),
        (Format::Unsigned, 9..16) => Samples::U16(collect(rows(), |at| {
            Ok(unpacked(bytes_of(at)?, bits, row).collect())
        })?),
        (format, _) => Samples::Real(collect(rows(), |at| Ok(real(bytes_of(at)?, format, bits)))?),
    };
    Ok(if planes > 1 {
        samples.by_pixel(width, planes)
    } else {
        samples
    })
}

/// Samples of whole bytes as real numbers.
fn real(bytes: &[u8], format: Format, bits: u32) -> Vec<f64> {
    fn each<const N: usize>(bytes: &[u8], of: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        words(bytes).map(of).collect()
    }
    match (format, bits) {
        (Format::Signed, 8) => each(bytes, |w| f64::from(i8::from_ne_bytes(w))),
        (Format::Signed, 16) => each(bytes, |w| f64::from(i16::from_ne_bytes(w))),
        (Format::Signed, 32) => each(bytes, |w| f64::from(i32::from_ne_bytes(w))),
        (Format::Signed, _) => each(bytes, |w| i64::from_ne_bytes(w) as f64),
        (Format::Unsigned, 32) => each(bytes, |w| f64::from(u32::from_ne_bytes(w))),
        (Format::Unsigned, _) => each(bytes, |w| u64::from_ne_bytes(w) as f64),
        (Format::Float, 16) => each(bytes, |w| f64::from(f16::from_ne_bytes(w))),
        (Format::Float, 32) => each(bytes, |w| f64::from(f32::from_ne_bytes(w))),
        (Format::Float, _) => each(bytes, f64::from_ne_bytes),
    }
}

fn collect<T>(
    rows: impl Iterator<Item = (usize, usize)>,
    read: impl Fn((usize, usize)) -> Result<Vec<T>, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    for at in rows {
        all.extend(read(at)?);
    }
    Ok(all)
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// `count` numbers of so many bits (16 at most) each, the highest bit first.
fn unpacked(bytes: &[u8], bits: u32, count: usize) -> impl Iterator<Item = u16> {
    let (mut held, mut left) = (0u32, 0);
    let mut bytes = bytes.iter();
    (0..count).map(move |_| {
        while left < bits {
            held = held << 8 | u32::from(bytes.next().copied().unwrap_or(0));
            left += 8;
        }
        left -= bits;
        ((held >> left) & ((1 << bits) - 1)) as u16
    })
}

impl Samples {
    /// From rows of one sample each, which alternate, to pixels.
    fn by_pixel(self, width: usize, planes: usize) -> Self {
        fn turned<T: Copy>(rows: &[T], width: usize, planes: usize) -> Vec<T> {
            let of_row = |row: usize| {
                (0..width).flat_map(move |x| {
                    (0..planes).map(move |plane| (row * planes + plane) * width + x)
                })
            };
            (0..rows.len() / (width * planes))
                .flat_map(of_row)
                .filter_map(|at| rows.get(at).copied())
                .collect()
        }
        match self {
            Self::U8(rows) => Self::U8(turned(&rows, width, planes)),
            Self::U16(rows) => Self::U16(turned(&rows, width, planes)),
            Self::Real(rows) => Self::Real(turned(&rows, width, planes)),
        }
    }

    /// The first `colours` of each `samples`, and the one after them if `alpha`.
    pub(super) fn split(self, samples: usize, colours: usize, alpha: bool) -> (Self, Option<Self>) {
        fn parts<T: Copy>(
            all: Vec<T>,
            samples: usize,
            colours: usize,
            alpha: bool,
        ) -> (Vec<T>, Option<Vec<T>>) {
            if samples == colours {
                return (all, None);
            }
            let colour = all
                .chunks_exact(samples)
                .flat_map(|pixel| pixel.iter().take(colours).copied())
                .collect();
            let alpha = alpha.then(|| {
                all.chunks_exact(samples)
                    .filter_map(|pixel| pixel.get(colours).copied())
                    .collect()
            });
            (colour, alpha)
        }
        match self {
            Self::U8(all) => {
                let (colour, alpha) = parts(all, samples, colours, alpha);
                (Self::U8(colour), alpha.map(Self::U8))
            }
            Self::U16(all) => {
                let (colour, alpha) = parts(all, samples, colours, alpha);
                (Self::U16(colour), alpha.map(Self::U16))
            }
            Self::Real(all) => {
                let (colour, alpha) = parts(all, samples, colours, alpha);
                (Self::Real(colour), alpha.map(Self::Real))
            }
        }
    }
}
