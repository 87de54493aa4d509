//! Errors of DICOM files.

/// A DICOM file or frame that cannot be read. The caller adds the path.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DicomError {
    /// The operating system refused to open or read the file.
    #[error("cannot read the file: {0}")]
    Io(String),
    /// Neither a preamble with `DICM` nor a data set that starts the file.
    #[error("not a DICOM file: neither \"DICM\" after a preamble nor a plausible data set")]
    NotDicom,
    /// The structure of elements is broken at `offset`.
    #[error("broken DICOM structure at byte {offset}: {problem}")]
    Structure {
        /// Byte of the file (of the inflated data set, where it is deflated).
        offset: u64,
        /// What is broken.
        problem: String,
        /// Whether the file ends before what it states, as one that was cut off does.
        cut_off: bool,
    },
    /// The pixel data are encoded otherwise than the transfer syntax states.
    #[error(
        "the pixel data at byte {offset} are {found}, which transfer syntax {syntax} does not have"
    )]
    WrongEncoding {
        /// Byte of the file.
        offset: u64,
        /// What they are.
        found: &'static str,
        /// UID of the transfer syntax.
        syntax: String,
    },
    /// The length of the native pixel data fits neither 4:4:4 nor 4:2:2.
    #[error("the pixel data have {found} bytes, but {frames} {} of {columns}×{rows} {} {full} in 4:4:4 and {half} in 4:2:2", if *frames == 1 { "frame" } else { "frames" }, if *frames == 1 { "takes" } else { "take" })]
    PixelLength {
        /// Columns.
        columns: u32,
        /// Rows.
        rows: u32,
        /// Number of Frames.
        frames: u64,
        /// Bytes as the element states them.
        found: u64,
        /// Bytes in 4:4:4.
        full: u64,
        /// Bytes in 4:2:2.
        half: u64,
    },
    /// An attribute is absent.
    #[error("attribute {0} is missing")]
    Missing(&'static str),
    /// An attribute has a value that cannot be.
    #[error("attribute {name} is {value}: {problem}")]
    Invalid {
        /// Keyword of the attribute.
        name: &'static str,
        /// Its value.
        value: String,
        /// Why it cannot be.
        problem: &'static str,
    },
    /// A sound object that is no image: a report, presentation state, key object selection, document, structure set.
    #[error("an object without an image{}", modality.as_deref().map(|m| format!(" (Modality {m})")).unwrap_or_default())]
    NoImage {
        /// Its Modality.
        modality: Option<String>,
    },
    /// The file has no pixel data.
    #[error("no pixel data in this file (neither Pixel Data nor Float Pixel Data)")]
    NoPixelData,
    /// The transfer syntax is unknown or has no decoder here.
    #[error("transfer syntax {uid} is not supported; {remedy}")]
    TransferSyntax {
        /// UID of the transfer syntax.
        uid: String,
        /// What would work.
        remedy: &'static str,
    },
    /// The pixel data are a video stream.
    #[error(
        "the pixel data are a {0} video stream, which is decoded as a video, not frame by frame"
    )]
    Video(&'static str),
    /// The pixel data end before the frame.
    #[error("the pixel data end before frame {frame}: {available} bytes or fragments of {needed}")]
    Truncated {
        /// Frame, from 0.
        frame: u64,
        /// Bytes or fragments that are present.
        available: u64,
        /// Bytes or fragments that the frame needs.
        needed: u64,
        /// Whether the file ends before the pixel data do by what they state; else the attributes promise more than they hold.
        cut_off: bool,
    },
    /// More than the limit on one frame, or more than the encoded bytes can stand for.
    #[error("a frame of {columns}×{rows} with {samples} samples a pixel is refused: {problem}")]
    TooLarge {
        /// Columns.
        columns: u32,
        /// Rows.
        rows: u32,
        /// Samples a pixel.
        samples: u16,
        /// Which limit.
        problem: &'static str,
    },
    /// A codec rejected the encoded frame.
    #[error("{codec}: {problem}")]
    Codec {
        /// Name of the codec.
        codec: &'static str,
        /// Its message.
        problem: String,
    },
}

impl From<std::io::Error> for DicomError {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e.to_string())
    }
}

impl DicomError {
    pub(super) fn invalid(name: &'static str, value: impl ToString, problem: &'static str) -> Self {
        Self::Invalid {
            name,
            value: value.to_string(),
            problem,
        }
    }

    pub(super) fn structure(offset: u64, problem: impl Into<String>) -> Self {
        Self::Structure {
            offset,
            problem: problem.into(),
            cut_off: false,
        }
    }

    /// A broken structure where the file ends before what it states.
    pub(super) fn cut_off(offset: u64, problem: impl Into<String>) -> Self {
        Self::Structure {
            offset,
            problem: problem.into(),
            cut_off: true,
        }
    }

    /// What would work, if known.
    pub fn remedy(&self) -> Option<&'static str> {
        const TRANSFER_SYNTAX: &str = "correct TransferSyntaxUID to how the pixel data are encoded, for example with dcmodify or dcmconv";
        Some(match self {
            Self::NoImage { .. } => {
                "give files of an image, not of a report, document, structure set or plan"
            }
            Self::NoPixelData => "fetch the file with its pixel data",
            Self::Truncated { cut_off: true, .. } | Self::Structure { cut_off: true, .. } => {
                "fetch the file again, it may be cut off"
            }
            Self::Truncated { .. } => {
                "correct NumberOfFrames, Rows, Columns or BitsAllocated, which promise more than the file holds"
            }
            Self::PixelLength { .. } => {
                "correct PhotometricInterpretation, Rows, Columns, BitsAllocated or NumberOfFrames"
            }
            Self::WrongEncoding { .. } => TRANSFER_SYNTAX,
            Self::NotDicom => "give a DICOM file",
            _ => return None,
        })
    }

    pub(super) fn codec(codec: &'static str, problem: impl ToString) -> Self {
        Self::Codec {
            codec,
            problem: problem.to_string(),
        }
    }
}

/// A result of reading DICOM.
pub type Result<T> = std::result::Result<T, DicomError>;
