//! The kinds of data sets that can be read.

use super::{
    coco::read_coco,
    cvat, label_studio, labelme, mot,
    reader::{Dataset, DatasetError},
    voc::{self, VocCorners},
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
    /// XML of CVAT, for images or for video.
    Cvat,
    /// JSON of labelme: a file, or a folder of them.
    Labelme,
    /// XML of Pascal VOC: a file, or a folder of them.
    Voc,
    /// JSON of Label Studio.
    LabelStudio,
    /// Boxes of MOTChallenge: a file, or a folder of sequences.
    Mot,
    /// Masks of MOTS: a file, or a folder of sequences.
    Mots,
}

impl DatasetKind {
    /// All kinds, in the order in which they are named.
    pub const ALL: [Self; 8] = [
        Self::Coco,
        Self::Yolo,
        Self::Cvat,
        Self::Labelme,
        Self::Voc,
        Self::LabelStudio,
        Self::Mot,
        Self::Mots,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Yolo => "yolo",
            Self::Cvat => "cvat",
            Self::Labelme => "labelme",
            Self::Voc => "voc",
            Self::LabelStudio => "labelstudio",
            Self::Mot => "mot",
            Self::Mots => "mots",
        }
    }

    /// The kind of the file or folder at `path`, by its content; none if it is of no kind that is read. JSON of no other kind
    /// counts as COCO.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension().and_then(|e| e.to_str());
        let extension = extension.map(str::to_ascii_lowercase);
        if path.is_dir() {
            let named = path.join("labels").is_dir().then_some(Self::Yolo);
            return named
                .or_else(|| voc::sniff(path).then_some(Self::Voc))
                .or_else(|| labelme::sniff(path).then_some(Self::Labelme))
                .or_else(|| mot::sniff(path).map(Self::of_tracks));
        }
        match extension.as_deref()? {
            "yaml" | "yml" => Some(Self::Yolo),
            "xml" => {
                let voc = || voc::sniff(path).then_some(Self::Voc);
                cvat::sniff(path).then_some(Self::Cvat).or_else(voc)
            }
            "json" if labelme::sniff(path) => Some(Self::Labelme),
            "json" if label_studio::sniff(path) => Some(Self::LabelStudio),
            "json" => Some(Self::Coco),
            "txt" => mot::sniff(path).map(Self::of_tracks),
            _ => None,
        }
    }

    fn of_tracks(form: mot::Form) -> Self {
        match form {
            mot::Form::Boxes => Self::Mot,
            mot::Form::Masks => Self::Mots,
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
#[error(
    "'{0}' is not a kind of data set that can be read; use one of {names}",
    names = DatasetKind::ALL.map(DatasetKind::name).join(", ")
)]
pub struct UnknownDatasetKind(String);

impl FromStr for DatasetKind {
    type Err = UnknownDatasetKind;

    fn from_str(name: &str) -> Result<Self, UnknownDatasetKind> {
        let wanted = name.trim().to_ascii_lowercase();
        let found = Self::ALL.into_iter().find(|kind| kind.name() == wanted);
        found.ok_or_else(|| UnknownDatasetKind(name.to_owned()))
    }
}

/// Reads the data set of `kind` at `path`; without a kind, that of its content. What is left out of it is added to `warnings`.
///
/// # Errors
/// [`DatasetError`] if its kind is not known, it cannot be read, or is damaged.
pub fn read(
    path: &Path,
    kind: Option<DatasetKind>,
    warnings: &mut Vec<String>,
) -> Result<Dataset, DatasetError> {
    if !path.exists() {
        return Err(DatasetError::new(path, "no such file or folder"));
    }
    match kind.or_else(|| DatasetKind::of(path)) {
        Some(DatasetKind::Coco) => read_coco(path),
        Some(DatasetKind::Yolo) => read_yolo(path),
        Some(DatasetKind::Cvat) => cvat::read(path, warnings),
        Some(DatasetKind::Labelme) => labelme::read(path, warnings),
        Some(DatasetKind::Voc) => voc::read(path, VocCorners::Edges, warnings),
        Some(DatasetKind::LabelStudio) => label_studio::read(path, warnings),
        Some(DatasetKind::Mot) => mot::read_mot(path, warnings),
        Some(DatasetKind::Mots) => mot::read_mots(path, warnings),
        None => {
            let names = DatasetKind::ALL.map(DatasetKind::name).join(", ");
            Err(
                DatasetError::new(path, "is of no kind of data set that is known")
                    .with_remedy(format!("name its kind: {names}")),
            )
        }
    }
}
