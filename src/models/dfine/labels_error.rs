//! Classes that have no names.

use crate::text::counted;

/// Classes without names, or names that do not fit.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// Neither the checkpoint nor the user names the classes, and no built-in list has as many.
    #[error("{origin}: {} without names; give a file of names, one a line", counted(*classes, "class"))]
    Missing {
        /// The checkpoint.
        origin: String,
        /// Number of classes.
        classes: usize,
    },
    /// More or fewer names than classes.
    #[error("{origin}: {}, but the detector has {}; a name for each class is expected", counted(*names, "name"), counted(*classes, "class"))]
    Count {
        /// The file of names.
        origin: String,
        /// Names in it.
        names: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A file of names that is not one.
    #[error("{origin}: line {line}: {reason}; one name a line is expected")]
    Line {
        /// The file of names.
        origin: String,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file of names in a format that is not one of those that are read.
    #[error(
        "{origin}: {reason}; expected one name a line, a JSON list, a COCO file (categories) or Ultralytics' data.yaml (names)"
    )]
    Format {
        /// The file of names.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
}
