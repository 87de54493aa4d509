//! A data set in memory, and why one cannot be read.

use super::item::Item;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A data set as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dataset {
    /// Names of its classes, class 0 first.
    pub classes: Vec<Arc<str>>,
    /// Its pictures.
    pub items: Vec<Item>,
}

/// A data set that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}{}", path.display(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
#[non_exhaustive]
pub struct DatasetError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it, with the line, picture or annotation.
    pub problem: String,
    /// What would help.
    pub remedy: Option<String>,
}

impl DatasetError {
    /// An error of `path`.
    pub fn new(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
            remedy: None,
        }
    }

    /// An error of the system, in doing `what`.
    pub fn io(path: &Path, what: &str, error: &io::Error) -> Self {
        Self::new(path, format!("cannot {what}: {error}"))
    }

    /// Adds what would help.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}
