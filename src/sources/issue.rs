//! Errors and warnings of sources.

use crate::av::FfmpegUnavailable;
use std::{
    io,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
};

/// What an error or a warning of a source is about, for callers that offer a setting or another way against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IssueKind {
    /// Nothing that a setting changes; the text describes it.
    #[default]
    Other,
    /// The operating system could not open, read or write a file.
    Io(io::ErrorKind),
    /// A picture has more pixels than [`crate::sources::SourceOptions::max_pixels`].
    PixelLimit,
    /// Grey values cannot be shown, or are shown poorly, without a window ([`crate::dicom::DicomOptions::window`]).
    Window,
    /// Stored values were requested ([`crate::dicom::DicomOptions::stored_values`]) that do not fit into 16 bits.
    StoredValues,
    /// An input lies in the output folder of the run ([`crate::sources::ExpandOptions::output`]).
    OutputFolder,
    /// An input is no file or folder: its bytes can only be given on standard input.
    StandardInput,
    /// Decoding on the GPU was required ([`crate::sources::Decode::Gpu`]) and is not possible.
    GpuDecoding,
}

/// Content of a [`SourceError`] or a [`SourceWarning`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}{}: {problem}{}", path.display(), frame.map(|n| format!(", frame {n}")).unwrap_or_default(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
#[non_exhaustive]
pub struct Issue {
    /// The file or folder.
    pub path: PathBuf,
    /// Number of the frame, from 0, if a single frame is concerned.
    pub frame: Option<u64>,
    /// What it is about.
    pub kind: IssueKind,
    /// What was wrong or was found.
    pub problem: String,
    /// What would work, or change it.
    pub remedy: Option<String>,
}

/// An input, or a frame of it, that cannot be read. Displayed as: what the user gave, what was wrong, what would work.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error(transparent)]
pub struct SourceError(Issue);

/// An input that was read, but perhaps not as its author intended. Displayed as: the input, what was found, what would
/// change it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error(transparent)]
pub struct SourceWarning(Issue);

macro_rules! issue {
    ($name:ident) => {
        impl $name {
            /// About the whole file or folder, of kind [`IssueKind::Other`], without a remedy.
            pub fn new(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
                Self(Issue {
                    path: path.into(),
                    frame: None,
                    kind: IssueKind::Other,
                    problem: problem.into(),
                    remedy: None,
                })
            }

            /// The same, about one frame (from 0).
            #[must_use]
            pub fn at(mut self, frame: u64) -> Self {
                self.frame = Some(frame);
                self
            }

            /// The same, with what would work.
            #[must_use]
            pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
                self.remedy = Some(remedy.into());
                self
            }

            /// The same, of a kind.
            #[must_use]
            pub fn with_kind(mut self, kind: IssueKind) -> Self {
                self.kind = kind;
                self
            }

            /// The same, of the file or folder at another path.
            #[must_use]
            pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
                self.path = path.into();
                self
            }
        }

        impl Deref for $name {
            type Target = Issue;

            fn deref(&self) -> &Issue {
                &self.0
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Issue {
                &mut self.0
            }
        }
    };
}

issue!(SourceError);
issue!(SourceWarning);

impl SourceError {
    /// About a file or an address that FFmpeg would read.
    pub(in crate::sources) fn without_ffmpeg(
        path: impl Into<PathBuf>,
        why: FfmpegUnavailable,
    ) -> Self {
        let FfmpegUnavailable {
            library,
            problem,
            remedy,
        } = why;
        Self::new(path, format!("needs FFmpeg, whose {library} {problem}")).with_remedy(remedy)
    }
}

impl SourceError {
    /// A file or folder that the operating system could not read.
    pub fn unreadable(path: impl AsRef<Path>, error: &io::Error) -> Self {
        Self::new(path.as_ref(), format!("cannot be read: {error}"))
            .with_kind(IssueKind::Io(error.kind()))
    }
}
