//! Whether the pictures that annotations refer to are copied, linked or left where they are.

use std::str::FromStr;

/// What is put under `images/`. Frames of videos and DICOM, and pages of files, are written as PNG unless it is nothing. So are
/// stills that EXIF turns, under the names of their files: annotations are those of the turned picture, and not every reader of
/// pictures turns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum ImagesMode {
    /// Nothing: annotations refer to the inputs.
    #[default]
    None,
    /// Symbolic links to the files of stills and sequences.
    Link,
    /// Copies of them.
    Copy,
}

impl ImagesMode {
    /// All modes, in the order in which they are named.
    pub const ALL: [Self; 3] = [Self::Copy, Self::Link, Self::None];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Link => "link",
            Self::Copy => "copy",
        }
    }
}

/// A name that is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no way to have pictures; use copy, link or none")]
pub struct UnknownImagesMode(String);

impl FromStr for ImagesMode {
    type Err = UnknownImagesMode;

    fn from_str(name: &str) -> Result<Self, UnknownImagesMode> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == name);
        found.ok_or_else(|| UnknownImagesMode(name.to_owned()))
    }
}
