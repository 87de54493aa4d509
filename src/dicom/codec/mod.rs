//! Decoders of encapsulated frames behind one call that contains their panics and checks their output.

mod header;
mod jpeg;
mod jpeg2000;
mod jpeg_ls;
mod rle;

use super::{
    colour,
    error::{DicomError, Result},
    finding::DicomFinding,
    layout::Layout,
    packing::Packing,
    samples::Samples,
    syntax::PixelEncoding,
};
use std::{
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What a codec made of a frame: samples interleaved, unsigned bit patterns.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) samples: Samples,
    /// Bits of a sample in the codestream.
    pub(super) precision: u16,
    /// What three components are.
    pub(super) colour: Colour,
    pub(super) findings: Vec<DicomFinding>,
}

impl Decoded {
    /// Samples whose three components are what is stated.
    pub(super) fn new(samples: Samples, precision: u16) -> Self {
        Self {
            samples,
            precision,
            colour: Colour::AsStated,
            findings: Vec::new(),
        }
    }
}

/// What three components mean, as far as the codestream says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// As Photometric Interpretation says.
    AsStated,
    /// Red, green, blue, which the codec made of whatever was there.
    Converted,
    /// Red, green, blue, whatever is stated, for the reason given.
    Rgb(&'static str),
    /// Luma and colour differences, whatever is stated, for the reason given.
    Ybr(&'static str),
}

/// Decodes one frame.
///
/// # Errors
/// [`DicomError::Codec`] for what the codec rejects, panics over, or decodes to another shape than `layout` states;
/// [`DicomError::TooLarge`] where the header asks for far more than `encoded` can hold.
pub(super) fn decode(encoded: &[u8], encoding: PixelEncoding, layout: &Layout) -> Result<Decoded> {
    layout.check_expansion(encoded.len() as u64)?;
    // Codecs are other people's code on hostile input. They hold no state of ours, so unwinding out of one leaves none broken.
    let decoded = catch_unwind(AssertUnwindSafe(|| match encoding {
        PixelEncoding::Rle => rle::decode(encoded, layout),
        PixelEncoding::Jpeg => jpeg::decode(encoded, layout),
        PixelEncoding::JpegLs => jpeg_ls::decode(encoded, layout),
        PixelEncoding::Jpeg2000 => jpeg2000::decode(encoded, layout),
        PixelEncoding::Deflated => inflate(encoded, layout),
        PixelEncoding::Video(codec) => Err(DicomError::Video(codec.name())),
        PixelEncoding::Native => native(encoded, layout),
    }))
    .unwrap_or_else(|_| {
        Err(DicomError::codec(
            name(encoding),
            "the decoder failed on broken data",
        ))
    })?;
    if decoded.samples.len() as u64 != layout.samples_per_frame() {
        let problem = format!(
            "{} samples where {} belong to a frame",
            decoded.samples.len(),
            layout.samples_per_frame()
        );
        return Err(DicomError::codec(name(encoding), problem));
    }
    Ok(decoded)
}

/// For the fuzzer: a header that can be read says the same where it is copied without application segments.
#[cfg(any(test, fuzzing))]
pub(super) fn check_header(data: &[u8]) {
    let mut bare = Vec::new();
    let Ok(header) = header::FrameHeader::read_copying("JPEG", data, Some(&mut bare)) else {
        return;
    };
    assert!(bare.len() <= data.len());
    match header::FrameHeader::read("JPEG", &bare) {
        Ok(copy) => assert_eq!(
            (
                copy.process,
                copy.precision,
                copy.rows,
                copy.columns,
                copy.sampling,
                copy.spectral
            ),
            (
                header.process,
                header.precision,
                header.rows,
                header.columns,
                header.sampling,
                header.spectral
            )
        ),
        Err(error) => panic!("{error}"),
    }
}

fn name(encoding: PixelEncoding) -> &'static str {
    match encoding {
        PixelEncoding::Native => "native",
        PixelEncoding::Rle => "RLE",
        PixelEncoding::Jpeg => "JPEG",
        PixelEncoding::JpegLs => "JPEG-LS",
        PixelEncoding::Jpeg2000 => "JPEG 2000",
        PixelEncoding::Deflated => "deflate",
        PixelEncoding::Video(codec) => codec.name(),
    }
}

/// A frame compressed by deflate (transfer syntax Deflated Image Frame Compression).
fn inflate(encoded: &[u8], layout: &Layout) -> Result<Decoded> {
    let mut data = Vec::new();
    let mut stream =
        flate2::read::DeflateDecoder::new(encoded).take(layout.longest_frame().saturating_add(1));
    stream
        .read_to_end(&mut data)
        .map_err(|e| DicomError::codec("deflate", e))?;
    native(&data, layout)
}

/// A native frame that comes alone.
fn native(data: &[u8], layout: &Layout) -> Result<Decoded> {
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
pub(super) fn unpack(data: &[u8], layout: &Layout, packing: Packing, big_endian: bool) -> Samples {
    let samples = numbers(data, layout, big_endian);
    match packing {
        Packing::HalfByRow => colour::widen_422(samples, usize::try_from(layout.size.width).ok()),
        Packing::HalfRunning => colour::widen_422(samples, None),
        Packing::Full if layout.planar => samples.interleave(usize::from(layout.samples)),
        Packing::Full => samples,
    }
}

/// Samples as they lie, from native bytes of Bits Allocated 1 (first pixel in the lowest bit), 8, 16, 32 or floating-point.
fn numbers(data: &[u8], layout: &Layout, big_endian: bool) -> Samples {
    use super::layout::SampleKind;
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
