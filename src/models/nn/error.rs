//! Errors of building a block.

use crate::ops::ParamsError;

/// A block that could not be built from a checkpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// A tensor is missing, misshapen or not finite, or the device has no memory for it.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Candle refused an operation.
    #[error("{what}: {source}")]
    Tensor {
        /// The layer.
        what: &'static str,
        /// Candle's own error.
        source: Box<candle_core::Error>,
    },
}

/// Result of building a block.
pub(crate) type Built<T> = Result<T, BuildError>;

impl BuildError {
    /// Turns Candle's error into that of the layer `what`.
    pub(super) fn tensor(what: &'static str) -> impl Fn(candle_core::Error) -> Self {
        move |source| Self::Tensor {
            what,
            source: Box::new(source),
        }
    }
}
