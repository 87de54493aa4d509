//! What makes an evaluation impossible.

use std::path::{Path, PathBuf};

/// A file that cannot be evaluated. Displayed as: the path, what was wrong, what would work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}{}", path.display(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
pub struct EvalError {
    /// The file.
    pub path: PathBuf,
    /// What was wrong.
    pub problem: String,
    /// What would work.
    pub remedy: Option<String>,
}

impl EvalError {
    /// An error in the file at `path`, without a remedy.
    pub(super) fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self {
            path: path.to_path_buf(),
            problem: problem.into(),
            remedy: None,
        }
    }

    /// The same error, with what would work.
    #[must_use]
    pub(super) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// The first few of `names` in words, and how many more there are.
pub(super) fn some_of<T: std::fmt::Display>(names: &[T]) -> String {
    const SHOWN: usize = 5;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
