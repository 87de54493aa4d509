//! Findings about files that can be read.

/// Something in a file that contradicts itself or the standard, and how it was read. Displayed without the frame, so
/// that the same finding has the same words in every frame.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DicomFinding {
    /// The pixel data hold more frames than are stated.
    #[error("NumberOfFrames is {}, but the pixel data hold {present} frames: only {read} read", stated.map_or_else(|| "absent".to_owned(), |n| n.to_string()), read = if stated.unwrap_or(1) <= 1 { "the first is".to_owned() } else { format!("the first {} are", stated.unwrap_or(1)) })]
    MoreFrames {
        /// Number of Frames, where it has a value.
        stated: Option<u64>,
        /// Frames in the data.
        present: u64,
    },
    /// The pixel data are longer than their frames, by less or more than whole frames.
    #[error(
        "the pixel data have {found} bytes, of which the frames take {taken}: the rest is not read"
    )]
    LongerData {
        /// Bytes of the pixel data.
        found: u64,
        /// Bytes of the frames.
        taken: u64,
    },
    /// Compressed pixel data that are not in fragments of a sequence of undefined length.
    #[error(
        "the compressed pixel data have a defined length, which the standard does not allow: read as {read}"
    )]
    DefinedLength {
        /// What they were read as.
        read: &'static str,
    },
    /// The length of the pixel data proves another chroma format than is stated.
    #[error(
        "PhotometricInterpretation is {stated}, but the length of the pixel data is that of {found}: read as {found}"
    )]
    ChromaFormat {
        /// Photometric Interpretation.
        stated: &'static str,
        /// 4:4:4 or 4:2:2.
        found: &'static str,
    },
    /// Planar Configuration 1 with 4:2:2, which has no planes.
    #[error("PlanarConfiguration is 1, which 4:2:2 data cannot have: read pixel by pixel")]
    PlanarChroma,
    /// The encoded stream proves another colour model than is stated.
    #[error(
        "PhotometricInterpretation is {stated}, but the stream is {found} ({proof}): shown as {found}"
    )]
    StreamColour {
        /// Photometric Interpretation.
        stated: &'static str,
        /// RGB or YCbCr.
        found: &'static str,
        /// What in the stream proves it.
        proof: &'static str,
    },
    /// YBR_ICT or YBR_RCT of data that no JPEG 2000 transform was applied to.
    #[error(
        "PhotometricInterpretation is {stated}, but the data have no JPEG 2000 colour transform: shown as RGB"
    )]
    NoTransform {
        /// Photometric Interpretation.
        stated: &'static str,
    },
    /// A window whose center or width is no number, or whose width is not above 0.
    #[error("{name} is {value:?}, which is no window: shown as without one")]
    Window {
        /// Keyword of the attribute.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// A VOI LUT Function that the standard does not have.
    #[error("VOILUTFunction is {value:?}, which is none: the window is applied as LINEAR")]
    WindowFunction {
        /// Its value.
        value: String,
    },
    /// A VOI LUT that cannot be used.
    #[error("the VOI LUT cannot be used ({problem}): shown as without it")]
    VoiTable {
        /// Why.
        problem: String,
    },
    /// A rescale whose slope or intercept is no number, or whose slope is 0.
    #[error(
        "{name} is {value:?}, which is no rescale: the values are shown as stored, without the file's window"
    )]
    Rescale {
        /// Keyword of the attribute.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Presentation LUT Shape and Photometric Interpretation disagree about inversion.
    #[error(
        "PresentationLUTShape is {shape}, but PhotometricInterpretation {photometric}: shown as {photometric}"
    )]
    Inversion {
        /// Presentation LUT Shape.
        shape: &'static str,
        /// Photometric Interpretation.
        photometric: &'static str,
    },
    /// A palette whose entries have other bits than its descriptor states.
    #[error(
        "the palette's descriptor states {stated} bits, but its entries have {found}: shown with {found}"
    )]
    PaletteBits {
        /// Bits of an entry as stated.
        stated: u16,
        /// Bits its values have.
        found: u16,
    },
    /// The pixels may show who the patient is.
    #[error("BurnedInAnnotation is {}: the pixels may show names, and outputs with pixels would too", if *absent { "absent in an ultrasound object" } else { "YES" })]
    BurnedIn {
        /// Whether nothing is stated, in an ultrasound object.
        absent: bool,
    },
}

impl DicomFinding {
    /// What would change it, if known.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::MoreFrames { present, .. } => {
                format!("to read all, set NumberOfFrames to {present}, for example with dcmodify")
            }
            _ if self.is_of_window() => "give a window (center and width)".to_owned(),
            _ => return None,
        })
    }

    /// Whether a window given by the caller would replace what is wrong.
    pub fn is_of_window(&self) -> bool {
        matches!(self, Self::Window { .. } | Self::VoiTable { .. })
    }
}
