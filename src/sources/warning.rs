//! What a user should know about an input that was read all the same.

use std::path::PathBuf;

/// Something about an input that was read, but perhaps not as its author meant it. Displayed as: the input, what was
/// found, what would change it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}{}: {problem}{}", path.display(), frame.map(|n| format!(", frame {n}")).unwrap_or_default(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
pub struct SourceWarning {
    /// The file or folder.
    pub path: PathBuf,
    /// The frame, where one frame is concerned.
    pub frame: Option<u64>,
    /// What was found and how it was read.
    pub problem: String,
    /// What would change it.
    pub remedy: Option<String>,
}

impl SourceWarning {
    /// A warning about the whole file or folder.
    pub fn new(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            frame: None,
            problem: problem.into(),
            remedy: None,
        }
    }

    /// The same warning, about one frame.
    #[must_use]
    pub fn at(mut self, frame: u64) -> Self {
        self.frame = Some(frame);
        self
    }

    /// The same warning, with what would change it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
