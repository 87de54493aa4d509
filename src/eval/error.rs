//! What makes an evaluation impossible.

use std::path::{Path, PathBuf};

/// What kind of fault an [`EvalError`] reports, for callers that react to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EvalErrorKind {
    /// One file has images or categories that the other does not have: [`EvalOptions::common_only`](crate::eval::EvalOptions::common_only)
    /// leaves them out.
    NotInBoth,
    /// An image has too many predictions and objects to match one to one: a higher minimum score leaves fewer.
    TooManyPairs,
    /// A file with images of its own was given together with [`EvalOptions::images_of`](crate::eval::EvalOptions::images_of).
    ImagesNotNeeded,
    /// Some objects of a file have a mask and others have none: boxes can still be evaluated.
    MasksMissing,
    /// The ground truth is not of the form, or has not the classes, that the [`TrackRules`](crate::eval::tracks::TrackRules) are of.
    OtherRules,
    /// Any other fault.
    #[default]
    Other,
}

/// A file that cannot be evaluated. Displayed as: the path, what was wrong, what would work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}: {problem}{}", path.display(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
pub struct EvalError {
    /// What kind of fault it is.
    pub kind: EvalErrorKind,
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
            kind: EvalErrorKind::Other,
            path: path.to_path_buf(),
            problem: problem.into(),
            remedy: None,
        }
    }

    /// The same error, of another kind.
    #[must_use]
    pub(super) fn with_kind(mut self, kind: EvalErrorKind) -> Self {
        self.kind = kind;
        self
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
