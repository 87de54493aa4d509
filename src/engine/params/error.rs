//! Checkpoints that do not fit.

use crate::{engine::error::EngineError, text::counted_are};

/// A checkpoint that does not fit the model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// A tensor the model needs is not there.
    #[error(
        "{origin}: tensor {name} of shape {shape:?} is missing; the checkpoint is of another model or incomplete"
    )]
    Missing {
        /// The checkpoint.
        origin: String,
        /// Full name of the tensor.
        name: String,
        /// Shape the model needs.
        shape: Vec<usize>,
    },
    /// A tensor has another shape than the model needs.
    #[error(
        "{origin}: tensor {name} has shape {found:?}, the model needs {expected:?}; the config and the checkpoint are of different models"
    )]
    Shape {
        /// The checkpoint.
        origin: String,
        /// Full name of the tensor.
        name: String,
        /// Shape in the checkpoint.
        found: Vec<usize>,
        /// Shape the model needs.
        expected: Vec<usize>,
    },
    /// A tensor has values that no trained model has.
    #[error(
        "{origin}: tensor {name}: {count} of {of} values are not finite (NaN or infinity); training diverged or the file is damaged: use \
         another checkpoint"
    )]
    NotFinite {
        /// The checkpoint.
        origin: String,
        /// Full name of the tensor.
        name: String,
        /// Values that are not finite.
        count: usize,
        /// All values.
        of: usize,
    },
    /// Tensors that no part of the model read.
    #[error("{origin}: {} not part of the model: {}; the checkpoint is of another model", counted_are(names.len(), "tensor"), shorten(names))]
    Unknown {
        /// The checkpoint.
        origin: String,
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// The device refused a tensor.
    #[error("{origin}: {source}")]
    Device {
        /// The checkpoint.
        origin: String,
        /// The engine's own error.
        source: Box<EngineError>,
    },
    /// Candle refused an operation.
    #[error("{origin}: tensor {name}: {source}")]
    Tensor {
        /// The checkpoint.
        origin: String,
        /// Full name of the tensor.
        name: String,
        /// Candle's own error.
        source: Box<candle_core::Error>,
    },
}

fn shorten(names: &[String]) -> String {
    let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 8 {
        format!("{shown}, … ({} more)", names.len() - 8)
    } else {
        shown
    }
}
