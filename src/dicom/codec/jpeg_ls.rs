//! JPEG-LS, lossless and near-lossless, by CharLS.

use super::{decoded::Decoded, header::FrameHeader, jpeg};
use crate::dicom::{
    error::{DicomError, Result},
    layout::Layout,
    samples::Samples,
};
use std::borrow::Cow;

const NAME: &str = "JPEG-LS";

pub(super) fn decode(encoded: &[u8], layout: &Layout) -> Result<Decoded> {
    let header = FrameHeader::read(NAME, encoded)?;
    header.check(NAME, layout)?;
    if !(2..=16).contains(&header.precision) {
        return Err(DicomError::codec(
            NAME,
            format!("samples of {} bits", header.precision),
        ));
    }
    // A marker must stop the decoder: on a stream that ends without one CharLS 2.4 reads zeros for 2^31 bits.
    let end = [0xFF, 0xD9];
    let stopped = if encoded.ends_with(&end) {
        Cow::Borrowed(encoded)
    } else {
        Cow::Owned([encoded, &end].concat())
    };
    let data = charls::CharLS::default()
        .decode(&stopped)
        .map_err(|e| DicomError::codec(NAME, e))?;
    let mut samples = match header.precision {
        ..=8 => Samples::U8(data),
        _ => Samples::U16(
            data.as_chunks::<2>()
                .0
                .iter()
                .map(|&b| u16::from_ne_bytes(b))
                .collect(),
        ),
    };
    if header.interleave == 0 && layout.samples > 1 {
        samples = samples.interleave(usize::from(layout.samples));
    }
    Ok(Decoded {
        colour: jpeg::colour(&header),
        ..Decoded::new(samples, header.precision)
    })
}
