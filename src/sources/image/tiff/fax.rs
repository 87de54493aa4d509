//! CCITT fax: run lengths, group 3 in one and two dimensions, group 4.

use super::{
    fault::Fault,
    file::Tiff,
    layout::{Layout, compression},
};
use hayro_ccitt::{DecodeSettings, DecoderContext, EncodingMode};
use std::io::{Read, Seek, SeekFrom};

/// Bit 0 of T4Options: in two dimensions.
const TWO_DIMENSIONS: u32 = 1;
/// Bit 1 of T4Options and T6Options: parts that are not coded.
const NOT_CODED: u32 = 2;

/// The rows of all strips, 8 pixels a byte; black is 1, as PhotometricInterpretation 0 has it.
pub(super) fn read(tiff: &Tiff, layout: &Layout) -> Result<Vec<u8>, Fault> {
    if layout.chunks.tile.is_some() {
        return Err(Fault::Unread("it is a fax in tiles".to_owned()));
    }
    if layout.fax_options & NOT_CODED != 0 && layout.compression == compression::CCITT_G3 {
        return Err(Fault::Unread(
            "it is a fax with parts that are not coded".to_owned(),
        ));
    }
    let row_bytes = layout.size.width.div_ceil(8) as usize;
    let mut all = Vec::with_capacity(row_bytes * layout.size.height as usize);
    let mut left = layout.size.height;
    for (&offset, &count) in layout.chunks.offsets.iter().zip(&layout.chunks.counts) {
        let rows = left.min(layout.chunks.rows_per_strip);
        if rows == 0 {
            break;
        }
        if offset
            .checked_add(count)
            .is_none_or(|end| end > tiff.length)
        {
            return Err(Fault::Early);
        }
        let mut coded = vec![0; usize::try_from(count).map_err(|_| Fault::Early)?];
        (&tiff.file).seek(SeekFrom::Start(offset))?;
        (&tiff.file).read_exact(&mut coded)?;
        if layout.reversed {
            coded.iter_mut().for_each(|b| *b = b.reverse_bits());
        }
        all.extend(strip(layout, &coded, rows)?);
        left -= rows;
    }
    if left > 0 {
        return Err(Fault::Damaged(format!(
            "its strips hold {left} rows less than its page"
        )));
    }
    Ok(all)
}

fn strip(layout: &Layout, coded: &[u8], rows: u32) -> Result<Vec<u8>, Fault> {
    let encoding = match layout.compression {
        compression::CCITT_G4 => EncodingMode::Group4,
        compression::CCITT_G3 if layout.fax_options & TWO_DIMENSIONS != 0 => {
            EncodingMode::Group3_2D { k: 4 }
        }
        _ => EncodingMode::Group3_1D,
    };
    let settings = DecodeSettings {
        columns: layout.size.width,
        rows,
        end_of_block: layout.compression != compression::CCITT_RLE,
        end_of_line: layout.compression == compression::CCITT_G3,
        rows_are_byte_aligned: layout.compression == compression::CCITT_RLE,
        encoding,
        invert_black: false,
    };
    let mut pixels = Pixels {
        width: layout.size.width,
        rows,
        data: Vec::new(),
        row: 0,
        x: 0,
    };
    pixels
        .data
        .resize(layout.size.width.div_ceil(8) as usize * rows as usize, 0);
    hayro_ccitt::decode(coded, &mut pixels, &mut DecoderContext::new(settings))
        .map_err(|e| Fault::Damaged(format!("its fax data: {e}")))?;
    if pixels.row < rows {
        return Err(Fault::Damaged(format!(
            "its fax data end after {} of {rows} rows",
            pixels.row
        )));
    }
    Ok(pixels.data)
}

/// Rows as they come; what is beyond their measures is left out.
struct Pixels {
    width: u32,
    rows: u32,
    data: Vec<u8>,
    row: u32,
    x: u32,
}

impl hayro_ccitt::Decoder for Pixels {
    fn push_pixel(&mut self, white: bool) {
        if !white && self.x < self.width && self.row < self.rows {
            let at = self.row as usize * self.width.div_ceil(8) as usize + self.x as usize / 8;
            if let Some(byte) = self.data.get_mut(at) {
                *byte |= 0x80 >> (self.x % 8);
            }
        }
        self.x = self.x.saturating_add(1);
    }

    fn push_pixel_chunk(&mut self, white: bool, chunk_count: u32) {
        let chunks = chunk_count.min(self.width.div_ceil(8));
        (0..chunks.saturating_mul(8)).for_each(|_| self.push_pixel(white));
    }

    fn next_line(&mut self) {
        self.row = self.row.saturating_add(1);
        self.x = 0;
    }
}
