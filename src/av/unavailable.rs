//! FFmpeg that is not there.

/// A library of FFmpeg that cannot be loaded. Displayed as: the library, what was wrong, what would work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{library}: {problem}; {remedy}")]
#[non_exhaustive]
pub struct FfmpegUnavailable {
    /// Its name, as the loader looks for it.
    pub library: String,
    /// What was wrong.
    pub problem: String,
    /// What would work.
    pub remedy: String,
}
