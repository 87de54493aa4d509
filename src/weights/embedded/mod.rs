//! Models that are part of the program (feature `embedded-models`), used where none is named.

#[cfg(not(feature = "embedded-models"))]
mod disabled;
#[cfg(feature = "embedded-models")]
mod enabled;
mod find;
mod model;

#[cfg(not(feature = "embedded-models"))]
pub use disabled::EMBEDDED_MODELS;
#[cfg(feature = "embedded-models")]
pub use enabled::EMBEDDED_MODELS;
pub use model::EmbeddedModel;
