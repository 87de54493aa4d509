//! What can go wrong with MobileSAM.

use crate::{
    models::{nn::BuildError, prefix::PrefixError},
    ops::ParamsError,
};
use candle_core::Tensor;

/// What can go wrong with MobileSAM.
#[derive(Debug, thiserror::Error)]
pub enum MobileSamError {
    /// The checkpoint does not fit.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Prefixes that not all names have.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// Names of another model.
    #[error(
        "{origin}: not a MobileSAM checkpoint ({found}); expected names as in mobile_sam.pt, with or without a common prefix"
    )]
    Unrecognised {
        /// The checkpoint.
        origin: String,
        /// What it has.
        found: String,
    },
    /// A tensor handed in has another shape.
    #[error("{what}: has shape {found:?}, MobileSAM takes {expected}")]
    Shape {
        /// Which one.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: &'static str,
    },
    /// Candle refused an operation.
    #[error("MobileSAM: {what}: {source}")]
    Tensor {
        /// Part of the model.
        what: &'static str,
        /// Candle's own error.
        source: Box<candle_core::Error>,
    },
}

impl From<BuildError> for MobileSamError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Params(error) => Self::Params(error),
            BuildError::Tensor { what, source } => Self::Tensor { what, source },
        }
    }
}

impl MobileSamError {
    pub(super) fn tensor(what: &'static str) -> impl Fn(candle_core::Error) -> Self {
        move |source| Self::Tensor {
            what,
            source: Box::new(source),
        }
    }

    pub(super) fn shape(what: &'static str, tensor: &Tensor, expected: &'static str) -> Self {
        Self::Shape {
            what,
            found: tensor.dims().to_vec(),
            expected,
        }
    }
}

/// Result of building a part of the model.
pub(super) type Loaded<T> = Result<T, MobileSamError>;
