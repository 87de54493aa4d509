//! Why a page of a TIFF is not read.

use crate::sources::{SourceError, image::error::float_samples};
use std::{io, path::Path};
use tiff::TiffError;

/// Why a page is not read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file ends before its data do.
    Early,
    Io(io::Error),
    /// In words, of the file.
    Damaged(String),
    /// Nothing is wrong with the file, but this is not read. In words, of the file.
    Unread(String),
    /// Samples are floating point, and neither the file nor the user states their range.
    NoRange,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Early
        } else {
            Self::Io(error)
        }
    }
}

impl From<TiffError> for Fault {
    fn from(error: TiffError) -> Self {
        match error {
            TiffError::IoError(e) => e.into(),
            TiffError::UnsupportedError(e) => {
                Self::Unread(format!("it needs what is not supported: {e}"))
            }
            e => Self::Damaged(format!("its data are damaged: {e}")),
        }
    }
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> SourceError {
        match self {
            Self::Early => SourceError::new(path, "the file ends early"),
            Self::Io(e) => SourceError::new(path, format!("cannot be decoded: {e}")),
            Self::Damaged(what) => {
                SourceError::new(path, format!("is a TIFF that cannot be decoded: {what}"))
            }
            Self::Unread(what) => {
                SourceError::new(path, format!("is a TIFF that is not read: {what}"))
                    .with_remedy("convert it to 8-bit PNG or TIFF")
            }
            Self::NoRange => float_samples(path),
        }
    }
}
