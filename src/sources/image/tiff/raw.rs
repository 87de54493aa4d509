//! Samples as they are stored, decompressed.

use super::{
    Fault, Tiff, fax,
    layout::{Layout, Plain, compression},
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
    let most = max_pixels.saturating_mul(8).saturating_add(64 << 20);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (most, most);
    limits.ifd_value_size = super::MAX_TAG;
    let mut decoder = tiff.decoder(&plain.entries(layout), limits)?;
    let facts = decoder.image_buffer_layout()?;
    if facts.complete_len > most {
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

/// The page as plain samples: as it is where its samples fill whole bytes, else as rows of bytes; blocks of subsampled
/// YCbCr as rows of bytes, too.
fn plain(layout: &Layout) -> Result<Plain, Fault> {
    let too_wide = || Fault::Unread("its rows are too long".to_owned());
    let (size, chunks) = (layout.size, &layout.chunks);
    if let Some((across, down)) = layout.blocks() {
        let wide = |pixels: u32| {
            pixels
                .div_ceil(across)
                .checked_mul(across * down + 2)
                .ok_or_else(too_wide)
        };
        let high = |rows: u32| rows.div_ceil(down);
        let tile = match chunks.tile {
            Some((w, h)) => Some((wide(w)?, high(h))),
            None => None,
        };
        let rows_per_strip = high(chunks.rows_per_strip);
        return Ok(Plain {
            width: wide(size.width)?,
            height: high(size.height),
            bits: 8,
            samples: 1,
            tile,
            rows_per_strip,
        });
    }
    let rows_per_strip = chunks.rows_per_strip;
    if matches!(layout.bits, 8 | 16 | 32 | 64) {
        let (bits, samples, tile) = (layout.bits, layout.samples, chunks.tile);
        return Ok(Plain {
            width: size.width,
            height: size.height,
            bits,
            samples,
            tile,
            rows_per_strip,
        });
    }
    let bits = layout.bits * layout.chunk_samples();
    let bytes = |pixels: u32| u64::from(pixels) * u64::from(bits);
    let wide = u32::try_from(bytes(size.width).div_ceil(8)).map_err(|_| too_wide())?;
    let tile = match chunks.tile {
        None => None,
        Some((w, h)) if bytes(w) % 8 == 0 => {
            Some((u32::try_from(bytes(w) / 8).map_err(|_| too_wide())?, h))
        }
        Some((w, _)) => {
            return Err(Fault::Unread(format!(
                "its tiles are {w} pixels wide, which is no whole number of bytes"
            )));
        }
    };
    let samples = if layout.planar { layout.samples } else { 1 };
    Ok(Plain {
        width: wide,
        height: size.height,
        bits: 8,
        samples,
        tile,
        rows_per_strip,
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
