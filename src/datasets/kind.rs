//! The kinds of data sets that can be read.

use super::{
    coco::read_coco,
    reader::{Dataset, DatasetError},
    yolo::read_yolo,
};
use std::{fmt, path::Path, str::FromStr};

/// A kind of data set that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatasetKind {
    /// A COCO data set: one JSON file.
    Coco,
    /// A YOLO data set: a folder with `labels/` and `images/`, or its `data.yaml`.
    Yolo,
}

impl DatasetKind {
    /// All kinds, in the order in which they are named.
    pub const ALL: [Self; 2] = [Self::Coco, Self::Yolo];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Yolo => "yolo",
        }
    }

    /// The kind of the file or folder at `path`, by its content; none if it is of no kind that is read.
    pub fn of(path: &Path) -> Option<Self> {
        if path.is_dir() {
            return path.join("labels").is_dir().then_some(Self::Yolo);
        }
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match &*extension {
            "yaml" | "yml" => Some(Self::Yolo),
            "json" => Some(Self::Coco),
            _ => None,
        }
    }
}

impl fmt::Display for DatasetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name of no kind that is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a kind of data set that can be read; use one of {names}", names = DatasetKind::ALL.map(DatasetKind::name).join(", "))]
pub struct UnknownDatasetKind(String);

impl FromStr for DatasetKind {
    type Err = UnknownDatasetKind;

    fn from_str(name: &str) -> Result<Self, UnknownDatasetKind> {
        let wanted = name.trim().to_ascii_lowercase();
        let found = Self::ALL.into_iter().find(|kind| kind.name() == wanted);
        found.ok_or_else(|| UnknownDatasetKind(name.to_owned()))
    }
}

/// Reads the data set of `kind` at `path`; without a kind, that of its content.
///
/// # Errors
/// [`DatasetError`] if its kind is not known, it cannot be read, or is damaged.
pub fn read(path: &Path, kind: Option<DatasetKind>) -> Result<Dataset, DatasetError> {
    if !path.exists() {
        return Err(DatasetError::new(path, "no such file or folder"));
    }
    match kind.or_else(|| DatasetKind::of(path)) {
        Some(DatasetKind::Coco) => read_coco(path),
        Some(DatasetKind::Yolo) => read_yolo(path),
        None => Err(
            DatasetError::new(path, "is of no kind of data set that is known").with_remedy(
                format!(
                    "name its kind: {}",
                    DatasetKind::ALL.map(DatasetKind::name).join(", ")
                ),
            ),
        ),
    }
}
