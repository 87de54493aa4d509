//! JPEG-LS, lossless and near-lossless, by CharLS.

use super::{Decoded, header::FrameHeader};
use crate::dicom::{
    error::{DicomError, Result},
    layout::Layout,
    samples::Samples,
};

const NAME: &str = "JPEG-LS";

pub(super) fn decode(encoded: &[u8], layout: &Layout) -> Result<Decoded> {
    let header = FrameHeader::read(NAME, encoded)?;
    header.check(NAME, layout)?;
    if !(2..=16).contains(&header.precision) {
        return Err(DicomError::codec(NAME, format!("samples of {} bits", header.precision)));
    }
    let data = charls::CharLS::default().decode(encoded).map_err(|e| DicomError::codec(NAME, e))?;
    let mut samples = match header.precision {
        ..=8 => Samples::U8(data),
        _ => Samples::U16(data.as_chunks::<2>().0.iter().map(|&b| u16::from_ne_bytes(b)).collect()),
    };
    if header.interleave == 0 && layout.samples > 1 {
        samples = samples.interleave(usize::from(layout.samples));
    }
    Ok(Decoded { samples, precision: header.precision, colour: super::jpeg::colour(&header) })
}
