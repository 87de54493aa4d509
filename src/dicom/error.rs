//! Why a DICOM file, or one frame of it, cannot be read.

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
    #[error("the pixel data are a {0} video stream, which is decoded as a video, not frame by frame")]
    Video(&'static str),
    /// The pixel data end before the frame.
    #[error("the pixel data end before frame {frame}: {available} bytes or fragments of {needed}")]
    Truncated {
        /// Frame, from 0.
        frame: u64,
        /// What there is.
        available: u64,
        /// What is needed.
        needed: u64,
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
        /// What it said.
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
        Self::Invalid { name, value: value.to_string(), problem }
    }

    pub(super) fn structure(offset: u64, problem: impl Into<String>) -> Self {
        Self::Structure { offset, problem: problem.into() }
    }

    pub(super) fn codec(codec: &'static str, problem: impl ToString) -> Self {
        Self::Codec { codec, problem: problem.to_string() }
    }
}

/// A result of reading DICOM.
pub type Result<T> = std::result::Result<T, DicomError>;
