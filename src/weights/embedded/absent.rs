//! No models in the program.

use super::EmbeddedModel;

pub(super) static MODELS: &[EmbeddedModel] = &[];
