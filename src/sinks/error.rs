//! What went wrong with an output.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What kind of fault a [`SinkError`] reports, for callers that react to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SinkErrorKind {
    /// The output folder holds files already, and the caller allowed neither to resume nor to overwrite.
    NotEmpty {
        /// Whether the folder's writer can resume a run, or only overwrite it.
        resumable: bool,
    },
    /// The run in the output folder has other inputs, settings or models: it can be overwritten, not resumed.
    OtherRun,
    /// The journal of an earlier run is damaged: the run can be overwritten, not resumed.
    BrokenJournal,
    /// A line of `detections.jsonl` is damaged: the run can be overwritten, or resumed without that line and those after it.
    BrokenLine,
    /// The file system is full: the run can be resumed once there is room.
    DiskFull,
    /// A box or a score is infinite or not a number.
    NotFinite,
    /// A frame has more objects than the output can hold.
    TooManyObjects,
    /// FFmpeg has no encoder for the output.
    NoEncoder,
    /// A COCO results list does not number the images of the file that was named for it.
    OtherImages,
    /// A file with images of its own was given together with a file of images.
    ImagesNotNeeded,
    /// Any other fault.
    #[default]
    Other,
}

/// An output that cannot be written, or an earlier output that cannot be read.
///
/// Displayed as: the path, what was wrong, what would work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}: {problem}{}", path.display(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
pub struct SinkError {
    /// What kind of fault it is.
    pub kind: SinkErrorKind,
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
            kind: SinkErrorKind::Other,
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

    /// The same error, of another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: SinkErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// An error of the file system while `doing` ("cannot …") at `path`.
    pub fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        use io::ErrorKind as K;
        let remedy = match error.kind() {
            K::StorageFull | K::QuotaExceeded => Some("free some space and resume the run"),
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
        let kind = match error.kind() {
            K::StorageFull | K::QuotaExceeded => SinkErrorKind::DiskFull,
            _ => SinkErrorKind::Other,
        };
        Self {
            kind,
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
