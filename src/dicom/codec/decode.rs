//! Chooses the decoder of an encapsulated frame, contains its panics and checks its output.

use super::{decoded::Decoded, jpeg, jpeg_ls, jpeg2000, native, rle};
use crate::dicom::{
    error::{DicomError, Result},
    layout::Layout,
    syntax::PixelEncoding,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Decodes one frame.
///
/// # Errors
/// [`DicomError::Codec`] for what the codec rejects, panics over, or decodes to another shape than `layout` states;
/// [`DicomError::TooLarge`] where the header states far more samples than `encoded` can hold.
pub(in crate::dicom) fn decode(
    encoded: &[u8],
    encoding: PixelEncoding,
    layout: &Layout,
) -> Result<Decoded> {
    layout.check_expansion(encoded.len() as u64)?;
    // Codecs are other people's code on hostile input. They hold no state of ours, so unwinding out of one leaves none broken.
    let decoded = catch_unwind(AssertUnwindSafe(|| match encoding {
        PixelEncoding::Rle => rle::decode(encoded, layout),
        PixelEncoding::Jpeg => jpeg::decode(encoded, layout),
        PixelEncoding::JpegLs => jpeg_ls::decode(encoded, layout),
        PixelEncoding::Jpeg2000 => jpeg2000::decode(encoded, layout),
        PixelEncoding::Deflated => native::inflate(encoded, layout),
        PixelEncoding::Video(codec) => Err(DicomError::Video(codec.name())),
        PixelEncoding::Native => native::native(encoded, layout),
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
