//! Specification of a source.

use crate::frame::SourceKind;
use std::path::PathBuf;

/// A source that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// The file as it is called in outputs and messages, or the folder of a sequence or series.
    pub path: PathBuf,
    /// Kind of source, found by content.
    pub kind: SourceKind,
    /// Files of a sequence or DICOM series in order; for a single file, where it is read, which is `path` save for what came
    /// on standard input.
    pub files: Vec<PathBuf>,
    /// Name for outputs, unique within the run, see [`crate::frame::SourceInfo::name`].
    pub name: String,
    /// Of a sequence that shares its folder with other inputs: that folder, see [`crate::frame::SourceInfo::folder`].
    pub folder: Option<String>,
}
