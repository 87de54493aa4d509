//! What can go wrong with a D-FINE.

use super::{config_error::ConfigError, keys::KeysError, labels_error::LabelsError};
use crate::{models::nn::BuildError, ops::ParamsError};

/// What can go wrong with a D-FINE.
#[derive(Debug, thiserror::Error)]
pub enum DFineError {
    /// The checkpoint does not fit.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The configuration makes no model.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Tensor names of neither known kind.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Classes without names, or names that do not fit.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// A number in the checkpoint that no D-FINE has.
    #[error("tensor {what}: {value}: {reason}; the checkpoint is damaged or of another model")]
    Value {
        /// Name of the tensor.
        what: String,
        /// What it holds.
        value: String,
        /// What it should.
        reason: &'static str,
    },
    /// An input that the model cannot take.
    #[error("input of shape {shape:?}: {reason}")]
    Input {
        /// Shape of the input.
        shape: Vec<usize>,
        /// What it should be.
        reason: String,
    },
    /// Candle refused an operation.
    #[error("D-FINE: {0}")]
    Tensor(#[source] Box<candle_core::Error>),
}

impl From<BuildError> for DFineError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Params(error) => Self::Params(error),
            BuildError::Tensor { source, .. } => Self::Tensor(source),
        }
    }
}

impl From<candle_core::Error> for DFineError {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(Box::new(error))
    }
}
