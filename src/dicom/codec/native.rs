//! Native (uncompressed) samples, and those compressed by deflate as a whole.

use super::decoded::Decoded;
use crate::dicom::{
    colour,
    error::{DicomError, Result},
    layout::{Layout, SampleKind},
    packing::Packing,
    samples::Samples,
};
use std::io::Read;

/// A frame compressed by deflate (transfer syntax Deflated Image Frame Compression).
pub(super) fn inflate(encoded: &[u8], layout: &Layout) -> Result<Decoded> {
    let mut data = Vec::new();
    let mut stream =
        flate2::read::DeflateDecoder::new(encoded).take(layout.longest_frame().saturating_add(1));
    stream
        .read_to_end(&mut data)
        .map_err(|e| DicomError::codec("deflate", e))?;
    native(&data, layout)
}

/// One native frame.
pub(super) fn native(data: &[u8], layout: &Layout) -> Result<Decoded> {
    let (packing, findings) = layout.packing_of_frame(data.len() as u64)?;
    let mut samples = unpack(data, layout, packing, false);
    // Old files may keep their values in high bits.
    samples.shift_right(layout.high_bit + 1 - layout.bits_stored);
    Ok(Decoded {
        findings,
        ..Decoded::new(samples, layout.bits_stored)
    })
}

/// The samples of a native frame, those of a pixel beside each other, chroma at full width.
pub(in crate::dicom) fn unpack(
    data: &[u8],
    layout: &Layout,
    packing: Packing,
    big_endian: bool,
) -> Samples {
    let samples = numbers(data, layout, big_endian);
    match packing {
        Packing::HalfByRow => colour::widen_422(samples, usize::try_from(layout.size.width).ok()),
        Packing::HalfRunning => colour::widen_422(samples, None),
        Packing::Full if layout.planar => samples.interleave(usize::from(layout.samples)),
        Packing::Full => samples,
    }
}

/// Samples in stored order, from native bytes of Bits Allocated 1 (first pixel in the lowest bit), 8, 16, 32 or floating-point.
pub(super) fn numbers(data: &[u8], layout: &Layout, big_endian: bool) -> Samples {
    fn words<const N: usize, T>(
        data: &[u8],
        big_endian: bool,
        le: fn([u8; N]) -> T,
        be: fn([u8; N]) -> T,
    ) -> Vec<T> {
        let from = if big_endian { be } else { le };
        data.as_chunks::<N>().0.iter().map(|&b| from(b)).collect()
    }
    match (layout.kind, layout.bits_allocated) {
        (SampleKind::Float32, _) => Samples::F32(words(
            data,
            big_endian,
            f32::from_le_bytes,
            f32::from_be_bytes,
        )),
        (SampleKind::Float64, _) => Samples::F64(words(
            data,
            big_endian,
            f64::from_le_bytes,
            f64::from_be_bytes,
        )),
        (_, 1) => {
            let bits = data
                .iter()
                .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1));
            Samples::U8(
                bits.take(usize::try_from(layout.samples_per_frame()).unwrap_or(usize::MAX))
                    .collect(),
            )
        }
        (_, 16) => Samples::U16(words(
            data,
            big_endian,
            u16::from_le_bytes,
            u16::from_be_bytes,
        )),
        (_, 32) => Samples::U32(words(
            data,
            big_endian,
            u32::from_le_bytes,
            u32::from_be_bytes,
        )),
        _ => Samples::U8(data.to_vec()),
    }
}
