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

/// Bytes that a file system takes in one part of a path.
const LONGEST_PART: usize = 255;

impl SinkError {
    /// An error at `path`, without a remedy.
    pub fn new(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
            remedy: None,
        }
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
            K::StorageFull | K::QuotaExceeded => {
                Some("free some space and run again with --resume")
            }
            K::FileTooLarge => {
                Some("raise the limit on file size, or choose a folder on another file system")
            }
            K::PermissionDenied | K::ReadOnlyFilesystem => {
                Some("choose a folder that you may write to")
            }
            K::NotADirectory | K::AlreadyExists => {
                Some("choose an output folder whose path holds no file of that name")
            }
            K::InvalidFilename if path.iter().any(|part| part.len() > LONGEST_PART) => {
                Some("give the input, or the output folder, a shorter name")
            }
            K::InvalidFilename => Some("choose an output folder with a shorter path"),
            _ => None,
        };
        Self {
            path: path.to_path_buf(),
            problem: format!("cannot {doing}: {error}"),
            remedy: remedy.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_what_is_to_be_shortened() {
        let error = io::Error::from(io::ErrorKind::InvalidFilename);
        let deep = Path::new("out").join("deep/".repeat(1000)).join("a.png");
        assert!(
            SinkError::io(&deep, "write", &error)
                .to_string()
                .ends_with("; choose an output folder with a shorter path")
        );
        let long = Path::new("out/masks").join("x".repeat(256));
        assert!(
            SinkError::io(&long, "write", &error)
                .to_string()
                .ends_with("; give the input, or the output folder, a shorter name")
        );
    }
}
