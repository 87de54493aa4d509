//! What went wrong with an output.

use std::{
    io,
    path::{Path, PathBuf},
};

/// An output that cannot be written. Displayed as: the path, what was wrong, what would work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}{}", path.display(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
pub struct SinkError {
    /// The output.
    pub path: PathBuf,
    /// What was wrong.
    pub problem: String,
    /// What would work.
    pub remedy: Option<String>,
}

impl SinkError {
    /// An error at `path`, without a remedy.
    pub fn new(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into(), remedy: None }
    }

    /// The same error, with what would work.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// An error of the file system while `doing` ("cannot …") at `path`.
    pub fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        use io::ErrorKind as K;
        let remedy = match error.kind() {
            K::StorageFull | K::QuotaExceeded => Some("free some space and run again with --resume"),
            K::FileTooLarge => Some("raise the limit on file size, or choose a folder on another file system"),
            K::PermissionDenied | K::ReadOnlyFilesystem => Some("choose a folder that you may write to"),
            K::NotADirectory | K::AlreadyExists => Some("choose an output folder whose path holds no file of that name"),
            K::InvalidFilename => Some("give the input a shorter name"),
            _ => None,
        };
        Self { path: path.to_path_buf(), problem: format!("cannot {doing}: {error}"), remedy: remedy.map(str::to_owned) }
    }
}
