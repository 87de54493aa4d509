//! The kinds of outputs, and sets of them.

use super::images_mode::ImagesMode;
use std::{collections::BTreeSet, fmt, str::FromStr};

/// One kind of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OutputKind {
    /// `detections.jsonl`.
    Jsonl,
    /// `coco.json` and `coco_results.json`.
    Coco,
    /// `masks/` by class, and `masks/labels.json`.
    Masks,
    /// `instances/`: masks by object.
    Instances,
    /// `overlay/`.
    Overlay,
    /// `labels/`, `classes.txt`, `data.yaml`.
    Yolo,
    /// `annotations/`: COCO beside `images/`.
    Datumaro,
    /// `nnunet/`: pictures and label maps under nnU-Net's names.
    Nnunet,
    /// `cvat/`: XML of CVAT.
    Cvat,
    /// `labelme/`: JSON of labelme.
    Labelme,
    /// `voc/`: Pascal VOC.
    Voc,
    /// `labelstudio.json` and `labelstudio.xml`.
    LabelStudio,
    /// `mot/`: boxes of tracks, as MOTChallenge has them.
    Mot,
    /// `mots/`: masks of tracks.
    Mots,
    /// `seg/`: DICOM Segmentation.
    Seg,
    /// `nrrd/`: segmentations of 3D Slicer.
    Nrrd,
    /// `objects.csv`.
    Csv,
    /// `report.html`.
    Report,
    /// `frames/`.
    Frames,
}

impl OutputKind {
    /// All kinds, in the order in which they are named.
    pub const ALL: [Self; 19] = [
        Self::Jsonl,
        Self::Coco,
        Self::Masks,
        Self::Instances,
        Self::Overlay,
        Self::Yolo,
        Self::Datumaro,
        Self::Nnunet,
        Self::Cvat,
        Self::Labelme,
        Self::Voc,
        Self::LabelStudio,
        Self::Mot,
        Self::Mots,
        Self::Seg,
        Self::Nrrd,
        Self::Csv,
        Self::Report,
        Self::Frames,
    ];

    /// Whether it is made of the record, so that it can be made later of a run that has ended.
    pub const fn is_of_record(self) -> bool {
        !matches!(self, Self::Jsonl | Self::Overlay | Self::Frames)
    }

    /// The pictures that the tools that read it look for beside it; Datumaro refuses links that lead out of the folder.
    pub const fn needs_images(self) -> ImagesMode {
        match self {
            Self::Datumaro => ImagesMode::Copy,
            Self::Yolo
            | Self::Nnunet
            | Self::Labelme
            | Self::Voc
            | Self::LabelStudio
            | Self::Report => ImagesMode::Link,
            _ => ImagesMode::None,
        }
    }

    /// The pictures that the tools that read these look for beside them.
    pub fn images_needed(kinds: impl IntoIterator<Item = Self>) -> ImagesMode {
        let needed = kinds.into_iter().map(Self::needs_images);
        needed.max().unwrap_or_default()
    }

    /// Its name in `--write`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Coco => "coco",
            Self::Masks => "masks",
            Self::Instances => "instances",
            Self::Overlay => "overlay",
            Self::Yolo => "yolo",
            Self::Datumaro => "datumaro",
            Self::Nnunet => "nnunet",
            Self::Cvat => "cvat",
            Self::Labelme => "labelme",
            Self::Voc => "voc",
            Self::LabelStudio => "labelstudio",
            Self::Mot => "mot",
            Self::Mots => "mots",
            Self::Seg => "seg",
            Self::Nrrd => "nrrd",
            Self::Csv => "csv",
            Self::Report => "report",
            Self::Frames => "frames",
        }
    }
}

/// A name that `--write` does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an output; use any of {names}, separated by commas",
    names = OutputKind::ALL.map(OutputKind::name).join(", ")
)]
#[non_exhaustive]
pub struct UnknownOutput(pub String);

impl FromStr for OutputKind {
    type Err = UnknownOutput;

    fn from_str(name: &str) -> Result<Self, UnknownOutput> {
        let found = Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name.trim().to_ascii_lowercase());
        found.ok_or_else(|| UnknownOutput(name.trim().to_owned()))
    }
}

impl fmt::Display for OutputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The outputs of a run, parsed from a list as `jsonl,coco,masks`. JSONL is always among them: it is the run's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSet(BTreeSet<OutputKind>);

impl OutputSet {
    /// The given kinds, and JSONL.
    pub fn new(kinds: impl IntoIterator<Item = OutputKind>) -> Self {
        Self(kinds.into_iter().chain([OutputKind::Jsonl]).collect())
    }

    /// What is written where the user says nothing: JSONL, COCO, overlays, and masks where a segmenter runs.
    pub fn default_for(segmenter: bool) -> Self {
        let masks = segmenter.then_some(OutputKind::Masks);
        Self::new(
            [OutputKind::Coco, OutputKind::Overlay]
                .into_iter()
                .chain(masks),
        )
    }

    /// Whether `kind` is in the set.
    pub fn contains(&self, kind: OutputKind) -> bool {
        self.0.contains(&kind)
    }

    /// The kinds, in the order of [`OutputKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = OutputKind> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for OutputSet {
    type Err = UnknownOutput;

    fn from_str(list: &str) -> Result<Self, UnknownOutput> {
        Ok(Self::new(
            list.split(',')
                .map(str::parse)
                .collect::<Result<Vec<_>, _>>()?,
        ))
    }
}

impl fmt::Display for OutputSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(OutputKind::name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_parse_and_the_record_is_always_there() {
        assert_eq!(
            "masks, COCO".parse::<OutputSet>().unwrap().to_string(),
            "jsonl,coco,masks"
        );
        assert_eq!(
            OutputSet::default_for(true).to_string(),
            "jsonl,coco,masks,overlay"
        );
        assert_eq!(
            OutputSet::default_for(false).to_string(),
            "jsonl,coco,overlay"
        );
        assert_eq!(
            "coco,png".parse::<OutputSet>(),
            Err(UnknownOutput("png".into()))
        );
        assert_eq!("".parse::<OutputSet>(), Err(UnknownOutput(String::new())));
    }
}
