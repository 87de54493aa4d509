//! The run lengths of brush strokes.
//!
//! A bit stream, highest bit first, over the bytes of a picture of four channels (R, G, B, A in turn, rows from the top; the
//! mask is in A): 32 bits the number of bytes, 5 bits the width of a value less 1, four times 4 bits the width of a length
//! less 1. Then pieces until all bytes are there: 1 bit whether the piece is one value repeated, 2 bits which of the four
//! widths its length has, the length less 1, and one value or, where it is not repeated, as many as its length. Zeros fill
//! the last byte.

use crate::{
    datasets::masks::{Budget, row_edges},
    frame::Mask,
    geometry::Size,
};

/// Widths of lengths: those of Label Studio's own encoder.
const WIDTHS: [u32; 4] = [3, 4, 8, 16];

/// Bits of a value.
const VALUE: u32 = 8;

/// Channels of a pixel.
const CHANNELS: u64 = 4;

/// The bytes for a mask; none if its picture has 2³⁰ pixels or more.
pub(crate) fn encode(mask: &Mask) -> Option<Vec<u8>> {
    let total = u32::try_from(mask.size().pixels() * CHANNELS).ok()?;
    let mut bits = BitWriter::default();
    bits.put(total, 32);
    bits.put(VALUE - 1, 5);
    WIDTHS.iter().for_each(|width| bits.put(width - 1, 4));
    let mut at = 0;
    for (i, end) in row_edges(mask)
        .into_iter()
        .chain([mask.size().pixels()])
        .enumerate()
    {
        let value = if i % 2 == 1 { 255 } else { 0 };
        let mut rest = (end - at) * CHANNELS;
        at = end;
        while rest > 0 {
            let length = rest.min(1 << 16);
            let choice = WIDTHS.iter().position(|w| length <= 1 << w).unwrap_or(3);
            bits.put(1, 1);
            bits.put(choice as u32, 2);
            bits.put((length - 1) as u32, WIDTHS[choice]);
            bits.put(value, VALUE);
            rest -= length;
        }
    }
    Some(bits.bytes)
}

/// The mask of the bytes of a brush stroke: alpha of 128 or more is inside.
///
/// # Errors
/// In words: the bytes end early, or are not those of a picture of `size`.
pub(crate) fn decode(bytes: &[u8], size: Size, budget: &mut Budget) -> Result<Mask, String> {
    let mut stroke = Stroke::new(bytes, size)?;
    let mut failed = None;
    let runs = std::iter::from_fn(|| match stroke.next() {
        Ok(run) => run,
        Err(problem) => {
            failed = Some(problem);
            None
        }
    });
    let mask = budget.mask(size, runs);
    failed.map_or(mask, Err)
}

/// Runs of pixels inside, read one after the other.
struct Stroke<'a> {
    bits: BitReader<'a>,
    total: u64,
    value: u32,
    widths: [u32; 4],
    at: u64,
    /// Single values of the present piece that are still to come.
    singles: u64,
}

impl<'a> Stroke<'a> {
    fn new(bytes: &'a [u8], size: Size) -> Result<Self, String> {
        let mut bits = BitReader { bytes, at: 0 };
        let total = u64::from(bits.take(32)?);
        if total != size.pixels() * CHANNELS {
            return Err(format!(
                "the brush stroke has {total} bytes of pixels, a picture of {size} has {}",
                size.pixels() * CHANNELS
            ));
        }
        let value = bits.take(5)? + 1;
        let mut widths = [0; 4];
        for width in &mut widths {
            *width = bits.take(4)? + 1;
        }
        Ok(Self {
            bits,
            total,
            value,
            widths,
            at: 0,
            singles: 0,
        })
    }

    fn next(&mut self) -> Result<Option<(u64, u64)>, String> {
        while self.at < self.total {
            let length = if self.singles > 0 {
                self.singles -= 1;
                1
            } else {
                let repeated = self.bits.take(1)? == 1;
                let width = self.widths[self.bits.take(2)? as usize];
                let length = u64::from(self.bits.take(width)?) + 1;
                if !repeated {
                    self.singles = length;
                    continue;
                }
                length
            };
            let inside = self.bits.take(self.value)? >= 128;
            let start = self.at;
            self.at = (start + length).min(self.total);
            // Pixels whose alpha, the last of four, is among these bytes.
            let (first, end) = (start / CHANNELS, self.at / CHANNELS);
            if inside && first < end {
                return Ok(Some((first, end)));
            }
        }
        Ok(None)
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl BitReader<'_> {
    fn take(&mut self, count: u32) -> Result<u32, String> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self
                .bytes
                .get(self.at / 8)
                .ok_or("the brush stroke ends early")?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << (7 - self.used % 8);
            }
            self.used += 1;
        }
    }
}
