//! Result of a codec.

use crate::dicom::{finding::DicomFinding, samples::Samples};

/// A decoded frame: samples interleaved by pixel, as unsigned bit patterns.
#[derive(Debug)]
pub(in crate::dicom) struct Decoded {
    pub(in crate::dicom) samples: Samples,
    /// Bits of a sample in the codestream.
    pub(in crate::dicom) precision: u16,
    /// Colour model of three components.
    pub(in crate::dicom) colour: Colour,
    pub(in crate::dicom) findings: Vec<DicomFinding>,
}

impl Decoded {
    /// Samples whose colour model is the one that Photometric Interpretation states; no findings.
    pub(in crate::dicom) fn new(samples: Samples, precision: u16) -> Self {
        Self {
            samples,
            precision,
            colour: Colour::AsStated,
            findings: Vec::new(),
        }
    }
}

/// Colour model of three components, as far as the codestream determines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dicom) enum Colour {
    /// That of Photometric Interpretation.
    AsStated,
    /// Red, green, blue, converted by the codec.
    Converted,
    /// Red, green, blue, whatever is stated, for the reason given.
    Rgb(&'static str),
    /// Luma and colour differences, whatever is stated, for the reason given.
    Ybr(&'static str),
}
