//! No models in the program.

use super::model::EmbeddedModel;

/// The models that are part of the program; empty without the feature `embedded-models`.
pub static EMBEDDED_MODELS: &[EmbeddedModel] = &[];
