//! How images are read, and what comes of one.

use crate::{
    dicom::Window,
    frame::{Frame, Image, SourceInfo},
    sources::{DEFAULT_MAX_PIXELS, IssueKind, SourceOptions, SourceWarning},
};
use image::metadata::Orientation;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How images are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageOptions {
    /// Largest image that is decoded, in pixels.
    pub max_pixels: u64,
    /// What scales grey of more than 8 bits to 8; without one it is the range of the type of its samples.
    pub window: Window,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            max_pixels: DEFAULT_MAX_PIXELS,
            window: Window::default(),
        }
    }
}

impl From<&SourceOptions> for ImageOptions {
    fn from(options: &SourceOptions) -> Self {
        Self {
            max_pixels: options.max_pixels,
            window: options.dicom.window,
        }
    }
}

/// What a user should know about a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sources) struct Remark {
    /// The same for all pictures of a kind.
    pub(in crate::sources) problem: String,
    pub(in crate::sources) remedy: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

/// A decoded picture.
#[derive(Debug)]
pub(in crate::sources) struct Picture {
    pub(in crate::sources) image: Image,
    /// What was done to make it upright.
    pub(in crate::sources) orientation: Orientation,
    pub(in crate::sources) remark: Option<Remark>,
}

impl Picture {
    pub(in crate::sources) fn warning(&self, path: &Path) -> Option<SourceWarning> {
        let Remark { problem, remedy } = self.remark.clone()?;
        let warning = SourceWarning::new(path, problem).with_kind(IssueKind::Window);
        Some(warning.with_remedy(remedy))
    }

    pub(in crate::sources) fn into_frame(
        self,
        source: &Arc<SourceInfo>,
        index: u64,
        timestamp: Option<Duration>,
        file: Option<PathBuf>,
    ) -> Frame {
        let exif_orientation = Some(self.orientation.to_exif()).filter(|&turn| turn != 1);
        let (source, pixels) = (source.clone(), self.image.into());
        Frame {
            source,
            index,
            timestamp,
            file,
            pixels,
            physical: None,
            exif_orientation,
            stored: None,
        }
    }
}
