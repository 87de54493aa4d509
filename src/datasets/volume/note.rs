//! What was left out of an output, and why.

use crate::datasets::writer::Note;
use std::fmt;

/// Something that an output of a source leaves out, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeNote {
    /// Name of the source.
    pub source: String,
    /// Whether the source has no output at all.
    pub skipped: bool,
    /// What is left out, and why.
    pub problem: String,
}

impl VolumeNote {
    /// The source has no output.
    pub(in crate::datasets) fn skipped(source: &str, problem: impl Into<String>) -> Self {
        Self {
            source: source.to_owned(),
            skipped: true,
            problem: problem.into(),
        }
    }

    /// The output of the source is not all that could be.
    pub(in crate::datasets) fn partly(source: &str, problem: impl Into<String>) -> Self {
        Self {
            source: source.to_owned(),
            skipped: false,
            problem: problem.into(),
        }
    }
}

impl From<VolumeNote> for Note {
    fn from(note: VolumeNote) -> Self {
        Self {
            source: note.source,
            problem: note.problem,
        }
    }
}

impl fmt::Display for VolumeNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.problem)
    }
}
