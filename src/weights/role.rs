//! What a model does.

use serde::Serialize;
use std::fmt;

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Finds objects in a frame and gives their boxes.
    Detector,
    /// Gives the mask of an object whose box or points are known.
    Segmenter,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detector => "detector",
            Self::Segmenter => "segmenter",
        })
    }
}
