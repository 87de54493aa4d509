//! RLE Lossless (PS3.5 annex G): a header of up to 15 segment offsets, each segment one byte plane packed by PackBits,
//! the highest byte of the first component first.

use super::{decoded::Decoded, native};
use crate::dicom::{
    error::{DicomError, Result},
    layout::Layout,
    samples::Samples,
};

const HEADER: usize = 64;

fn error(problem: impl ToString) -> DicomError {
    DicomError::codec("RLE", problem)
}

pub(super) fn decode(encoded: &[u8], layout: &Layout) -> Result<Decoded> {
    let words = encoded
        .get(..HEADER)
        .ok_or_else(|| error("the frame is shorter than its header of 64 bytes"))?;
    let words: Vec<u32> = words
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&b| u32::from_le_bytes(b))
        .collect();
    let width = usize::from(layout.bits_allocated.div_ceil(8));
    let samples = usize::from(layout.samples);
    let segments = samples * width;
    let stated = words.first().copied().unwrap_or_default();
    if stated as usize != segments {
        return Err(error(format!(
            "{stated} segments where {segments} belong to {samples} samples of {width} bytes"
        )));
    }
    let pixels = usize::try_from(layout.size.pixels()).map_err(error)?;
    // One bit a pixel is packed within its plane.
    let plane_len = if layout.bits_allocated == 1 {
        pixels.div_ceil(8)
    } else {
        pixels
    };
    let mut planes = Vec::with_capacity(segments);
    for i in 0..segments {
        let start = words.get(i + 1).copied().unwrap_or_default() as usize;
        let end = if i + 1 < segments {
            words.get(i + 2).copied().unwrap_or_default() as usize
        } else {
            encoded.len()
        };
        let segment = (start >= HEADER).then(|| encoded.get(start..end)).flatten();
        let segment =
            segment.ok_or_else(|| error(format!("segment {i} lies outside the frame")))?;
        planes.push(
            unpack_bits(segment, plane_len)
                .ok_or_else(|| error(format!("segment {i} ends before {plane_len} bytes")))?,
        );
    }
    let samples = assemble(&planes, layout, pixels);
    Ok(Decoded::new(samples, layout.bits_stored))
}

/// `len` bytes unpacked; none if the segment ends earlier. What follows them is padding.
fn unpack_bits(mut packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(len.min(packed.len().saturating_mul(64)));
    while out.len() < len {
        let (&control, rest) = packed.split_first()?;
        match control {
            0..=127 => {
                let (literal, rest) = rest.split_at_checked(usize::from(control) + 1)?;
                out.extend_from_slice(literal);
                packed = rest;
            }
            128 => packed = rest,
            129.. => {
                let (&value, rest) = rest.split_first()?;
                out.resize(out.len() + 257 - usize::from(control), value);
                packed = rest;
            }
        }
    }
    out.truncate(len);
    Some(out)
}

fn assemble(planes: &[Vec<u8>], layout: &Layout, pixels: usize) -> Samples {
    let samples = usize::from(layout.samples);
    let byte = |plane: usize, pixel: usize| {
        planes
            .get(plane)
            .and_then(|p| p.get(pixel))
            .copied()
            .unwrap_or_default()
    };
    let order = (0..pixels).flat_map(|pixel| (0..samples).map(move |sample| (sample, pixel)));
    match layout.bits_allocated {
        1 => native::numbers(planes.first().map_or(&[], Vec::as_slice), layout, false),
        8 => Samples::U8(order.map(|(s, p)| byte(s, p)).collect()),
        16 => Samples::U16(
            order
                .map(|(s, p)| u16::from_be_bytes([byte(2 * s, p), byte(2 * s + 1, p)]))
                .collect(),
        ),
        _ => Samples::U32(
            order
                .map(|(s, p)| u32::from_be_bytes([0, 1, 2, 3].map(|b| byte(4 * s + b, p))))
                .collect(),
        ),
    }
}
