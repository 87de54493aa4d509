//! Decoded frames to 8 bits, grey or RGB.

use super::{
    frame_kind::Kind,
    scaler::{Content, Scaler, threads_for},
};
use crate::{
    av::{format::Pixel, frame},
    frame::{Channels, Image},
    geometry::Size,
    sources::image::composite_over_black,
};

/// Converts frames. Keeps what the conversion of frames of one kind needs.
pub(super) struct Converter {
    max_pixels: u64,
    threads: usize,
    scaler: Option<Scaler>,
}

impl Converter {
    /// For frames of `max_pixels` at most, on so many threads; 0 is one for each core.
    pub(super) fn new(max_pixels: u64, threads: usize) -> Self {
        Self {
            max_pixels,
            threads,
            scaler: None,
        }
    }

    /// The picture of a frame, not turned.
    ///
    /// # Errors
    /// What is wrong with the frame.
    pub(super) fn convert(&mut self, frame: &frame::Video) -> Result<Image, String> {
        let kind = Kind::of(frame);
        kind.check(self.max_pixels)?;
        let descriptor = kind
            .format
            .descriptor()
            .ok_or("has a pixel format that FFmpeg does not describe")?;
        if let Some(grey) = Grey::parse(descriptor.name()) {
            return grey.convert(frame, kind);
        }
        let content = Content::of(descriptor);
        let target = match (descriptor.nb_components(), content.has_alpha) {
            (1, false) if !content.has_palette => Pixel::GRAY8,
            (_, true) => Pixel::RGBA,
            (_, false) => Pixel::RGB24,
        };
        let output = self.scale(frame, kind, target)?;
        let samples = match target {
            Pixel::GRAY8 => 1,
            Pixel::RGBA => 4,
            _ => 3,
        };
        let data = packed_rows(output, kind.size, samples)?;
        let (channels, data) = match target {
            Pixel::GRAY8 => (Channels::Gray, data),
            Pixel::RGBA => (Channels::Rgb, composite_over_black(&data, 4)),
            _ => (Channels::Rgb, data),
        };
        Image::new(kind.size, channels, data).ok_or_else(|| "has no pixels".to_owned())
    }

    fn scale(
        &mut self,
        frame: &frame::Video,
        kind: Kind,
        target: Pixel,
    ) -> Result<&frame::Video, String> {
        if self.scaler.as_ref().is_none_or(|s| s.kind() != kind) {
            self.scaler = None;
        }
        let scaler = match &mut self.scaler {
            Some(scaler) => scaler,
            none => none.insert(Scaler::new(
                kind,
                target,
                threads_for(kind.size, self.threads),
            )?),
        };
        scaler.run(frame)
    }
}

/// A grey format: bits a sample and byte order.
#[derive(Debug, Clone, Copy)]
struct Grey {
    bits: u32,
    big_endian: bool,
}

impl Grey {
    /// From FFmpeg's name: `gray`, `gray8`, `gray10le`, `gray16be`.
    fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("gray")?;
        let big_endian = rest.ends_with("be");
        let digits = rest.trim_end_matches("le").trim_end_matches("be");
        let bits = if digits.is_empty() {
            8
        } else {
            digits.parse().ok()?
        };
        (8..=16)
            .contains(&bits)
            .then_some(Self { bits, big_endian })
    }

    /// Grey stays grey: full range as it is, limited range (where the frame states it) stretched, both rounded to 8 bits.
    fn convert(self, frame: &frame::Video, kind: Kind) -> Result<Image, String> {
        let unit = 1u32 << (self.bits - 8);
        let (black, span) = if kind.is_limited_range() {
            (16 * unit, 219 * unit)
        } else {
            (0, (1 << self.bits) - 1)
        };
        let level = |v: u32| ((v.saturating_sub(black) * 255 + span / 2) / span).min(255) as u8;
        let data = if self.bits == 8 {
            let table: [u8; 256] = std::array::from_fn(|v| level(v as u32));
            let mut data = packed_rows(frame, kind.size, 1)?;
            data.iter_mut().for_each(|v| *v = table[usize::from(*v)]);
            data
        } else {
            let bytes = packed_rows(frame, kind.size, 2)?;
            let sample = |pair: &[u8]| match (pair, self.big_endian) {
                (&[a, b], true) => u32::from(u16::from_be_bytes([a, b])),
                (&[a, b], false) => u32::from(u16::from_le_bytes([a, b])),
                _ => 0,
            };
            bytes
                .chunks_exact(2)
                .map(|pair| level(sample(pair)))
                .collect()
        };
        Image::new(kind.size, Channels::Gray, data).ok_or_else(|| "has no pixels".to_owned())
    }
}

/// The rows of a packed format without the padding between them, `bytes` a pixel.
#[allow(unsafe_code)]
fn packed_rows(frame: &frame::Video, size: Size, bytes: usize) -> Result<Vec<u8>, String> {
    // SAFETY: reads the pointer and the line size of the first plane of a live frame.
    let (first, stride) = unsafe { ((*frame.as_ptr()).data[0], (*frame.as_ptr()).linesize[0]) };
    let row = size.width as usize * bytes;
    if first.is_null() || (stride.unsigned_abs() as usize) < row {
        return Err("has no pixels".to_owned());
    }
    let mut data = Vec::with_capacity(row * size.height as usize);
    for y in 0..size.height as isize {
        // SAFETY: FFmpeg allocates `height` lines of `|stride|` bytes, of which `row` are pixels; with a negative stride
        // the first line is the last in memory.
        data.extend_from_slice(unsafe {
            std::slice::from_raw_parts(first.offset(y * stride as isize), row)
        });
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_formats_are_told_by_name() {
        let parse = |name| Grey::parse(name).map(|g| (g.bits, g.big_endian));
        assert_eq!(parse("gray"), Some((8, false)));
        assert_eq!(parse("gray10le"), Some((10, false)));
        assert_eq!(parse("gray16be"), Some((16, true)));
        assert_eq!(parse("grayf32le"), None);
        assert_eq!(parse("yuv420p"), None);
    }

    #[test]
    fn ten_bit_grey_is_rounded_to_eight() {
        let mut frame = frame::Video::new(Pixel::GRAY10LE, 3, 2);
        let stride = frame.stride(0);
        for (at, v) in [
            (0, 0u16),
            (2, 1023),
            (4, 512),
            (stride, 2),
            (stride + 2, 3),
            (stride + 4, 64),
        ] {
            frame.data_mut(0)[at..at + 2].copy_from_slice(&v.to_le_bytes());
        }
        let image = Converter::new(100, 1).convert(&frame).unwrap();
        assert_eq!(
            (image.channels(), image.data()),
            (Channels::Gray, &[0, 255, 128, 0, 1, 16][..])
        );
    }
}
