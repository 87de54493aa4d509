//! What ends a live loop.

use crate::{session::SessionError, sources::SourceError};

/// An error that ends a live loop, or does not let it begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The stream ended without a frame.
    #[error(transparent)]
    Input(#[from] SourceError),
    /// The models cannot be prepared.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A thread could not be started, or ended by a fault of this program.
    #[error("{0}")]
    Internal(String),
}
