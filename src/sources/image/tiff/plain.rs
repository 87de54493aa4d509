//! A page described anew as plain samples, for the `tiff` crate to decompress.

use super::{
    fault::Fault,
    layout::{Format, Layout},
    view::Values,
};

/// The tags of a page of plain samples: `bits` each, `samples` a pixel, rows and chunks of the given measures.
pub(super) struct Plain {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits: u32,
    pub(super) samples: u32,
    pub(super) tile: Option<(u32, u32)>,
    pub(super) rows_per_strip: u32,
}

impl Plain {
    /// The directory that shows `layout` so.
    pub(super) fn entries(&self, layout: &Layout) -> Vec<(u16, Values)> {
        let short = |v: u32| Values::Shorts(vec![u16::try_from(v).unwrap_or(u16::MAX)]);
        let long = |v: u32| Values::Longs(vec![u64::from(v)]);
        let format = match layout.format {
            Format::Float => 3,
            Format::Signed | Format::Unsigned => 1,
        };
        let (offsets, counts) = (
            Values::Longs(layout.chunks.offsets.clone()),
            Values::Longs(layout.chunks.counts.clone()),
        );
        let mut entries = vec![
            (256, long(self.width)),
            (257, long(self.height)),
            (258, short(self.bits)),
            (259, short(u32::from(layout.compression))),
            (262, short(1)),
            (277, short(self.samples)),
            (284, short(if layout.planar { 2 } else { 1 })),
            (317, short(u32::from(layout.predictor))),
            (339, short(format)),
        ];
        match self.tile {
            None => entries.extend([
                (273, offsets),
                (278, long(self.rows_per_strip)),
                (279, counts),
            ]),
            Some((width, height)) => entries.extend([
                (322, long(width)),
                (323, long(height)),
                (324, offsets),
                (325, counts),
            ]),
        }
        entries.extend(
            layout
                .jpeg_tables
                .clone()
                .map(|tables| (347, Values::Bytes(tables))),
        );
        entries.sort_by_key(|entry| entry.0);
        entries
    }
}

fn too_wide() -> Fault {
    Fault::Unread("its rows are too long".to_owned())
}

/// The page as plain samples: as it is where its samples fill whole bytes, else as rows of bytes; blocks of subsampled
/// YCbCr as rows of bytes, too.
///
/// # Errors
/// [`Fault::Unread`] for rows of more than `u32::MAX` bytes, and tiles whose rows end within a byte.
pub(super) fn plain(layout: &Layout) -> Result<Plain, Fault> {
    let (size, chunks) = (layout.size, &layout.chunks);
    if let Some(block) = layout.blocks() {
        return of_blocks(layout, block);
    }
    let whole_bytes = Plain {
        width: size.width,
        height: size.height,
        bits: layout.bits,
        samples: layout.samples,
        tile: chunks.tile,
        rows_per_strip: chunks.rows_per_strip,
    };
    if matches!(layout.bits, 8 | 16 | 32 | 64) {
        return Ok(whole_bytes);
    }
    let bits = layout.bits * layout.chunk_samples();
    let bytes = |pixels: u32| u64::from(pixels) * u64::from(bits);
    let width = u32::try_from(bytes(size.width).div_ceil(8)).map_err(|_| too_wide())?;
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
    Ok(Plain {
        width,
        bits: 8,
        samples: if layout.planar { layout.samples } else { 1 },
        tile,
        ..whole_bytes
    })
}

/// Blocks of `across` × `down` luma samples and two chroma samples as rows of bytes.
fn of_blocks(layout: &Layout, (across, down): (u32, u32)) -> Result<Plain, Fault> {
    let (size, chunks) = (layout.size, &layout.chunks);
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
    Ok(Plain {
        width: wide(size.width)?,
        height: high(size.height),
        bits: 8,
        samples: 1,
        tile,
        rows_per_strip: high(chunks.rows_per_strip),
    })
}
