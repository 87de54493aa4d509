//! Samples as they are stored, decompressed.

use super::{
    fault::Fault,
    fax,
    file::{MAX_TAG, Tiff},
    layout::{Layout, compression},
    plain::{Plain, plain},
};
use tiff::decoder::Limits;

/// Decompressed rows: samples that fill whole bytes are in the machine's byte order, others lie bit by bit, the first of a
/// byte in its highest place.
pub(super) struct Raw {
    pub(super) bytes: Vec<u8>,
    pub(super) row_bytes: usize,
    /// From one plane to the next, where there are several.
    pub(super) plane_bytes: usize,
}

/// Reads all samples of a page.
pub(super) fn read(tiff: &Tiff, layout: &Layout, max_pixels: u64) -> Result<Raw, Fault> {
    if matches!(
        layout.compression,
        compression::CCITT_RLE..=compression::CCITT_G4
    ) {
        let bytes = fax::read(tiff, layout)?;
        let row_bytes = layout.size.width.div_ceil(8) as usize;
        return Ok(Raw {
            plane_bytes: bytes.len(),
            bytes,
            row_bytes,
        });
    }
    let plain = plain(layout)?;
    check_chunks(tiff, layout, &plain)?;
    let mut limits = Limits::default();
    let max = max_pixels.saturating_mul(8).saturating_add(64 << 20);
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (max, max);
    limits.ifd_value_size = MAX_TAG;
    let mut decoder = tiff.decoder(&plain.entries(layout), limits)?;
    let facts = decoder.image_buffer_layout()?;
    if facts.complete_len > max {
        return Err(Fault::Unread(format!(
            "its samples take {} bytes",
            facts.complete_len
        )));
    }
    let mut bytes = vec![0; facts.complete_len];
    decoder.read_image_bytes(&mut bytes)?;
    if layout.reversed {
        bytes.iter_mut().for_each(|b| *b = b.reverse_bits());
    }
    let row_bytes = facts.row_stride.map_or(0, std::num::NonZero::get);
    let plane_bytes = facts
        .plane_stride
        .map_or(bytes.len(), std::num::NonZero::get);
    Ok(Raw {
        bytes,
        row_bytes,
        plane_bytes,
    })
}

/// Whether the data of every strip or tile are in the file: decompressors fill up what is missing.
fn check_chunks(tiff: &Tiff, layout: &Layout, plain: &Plain) -> Result<(), Fault> {
    let row = |width: u32| {
        (u64::from(width)
            * u64::from(plain.bits)
            * u64::from(if layout.planar { 1 } else { plain.samples }))
        .div_ceil(8)
    };
    let strips = u64::from(plain.height.div_ceil(plain.rows_per_strip.max(1)));
    for (n, (&offset, &count)) in layout
        .chunks
        .offsets
        .iter()
        .zip(&layout.chunks.counts)
        .enumerate()
    {
        let needed = match (layout.compression, plain.tile) {
            (compression::NONE, Some((width, height))) => row(width) * u64::from(height),
            (compression::NONE, None) => {
                let before = (n as u64 % strips.max(1)) * u64::from(plain.rows_per_strip);
                row(plain.width)
                    * u64::from(plain.rows_per_strip)
                        .min(u64::from(plain.height).saturating_sub(before))
            }
            _ => count,
        };
        if offset
            .checked_add(needed)
            .is_none_or(|end| end > tiff.length)
        {
            return Err(Fault::Early);
        }
    }
    Ok(())
}
