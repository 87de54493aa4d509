//! Values that have names: help and completions show them.

use clap::{
    Arg, Command,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};
use std::ffi::OsStr;

/// Any text, of which help and completions show the values that have names. What is not a value is refused where it is
/// parsed, by the library, which also takes values without a name of their own (`cuda:1`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words(&'static [(&'static str, &'static str)]);

impl TypedValueParser for Words {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            self.0
                .iter()
                .map(|(name, help)| PossibleValue::new(*name).help(*help)),
        ))
    }
}

/// `--device`.
pub(crate) const DEVICE: Words = Words(&[
    (
        "auto",
        "the first GPU where build and machine have one, else the CPU",
    ),
    ("cpu", "the CPU"),
    (
        "cuda",
        "the first NVIDIA GPU; cuda:1 is the second, and so on",
    ),
]);

/// `--dtype`.
pub(crate) const DTYPE: Words = Words(&[
    ("auto", "f16 on a GPU, f32 on the CPU"),
    ("f32", "single precision"),
    ("f16", "half precision"),
    (
        "bf16",
        "bfloat16; on the CPU in products alone, if it has AVX512-BF16",
    ),
]);

/// `--against`.
pub(crate) const AGAINST: Words = Words(&[(
    "candle",
    "candle-transformers, which has MobileSAM and no D-FINE",
)]);

/// `--decode`.
pub(crate) const DECODE: Words = Words(&[
    (
        "auto",
        "the GPU for H.264 and HEVC of 8 bits where models run on one, else the CPU; says so where it takes the CPU instead",
    ),
    ("gpu", "the GPU; what it cannot decode is an error"),
    ("cpu", "the CPU"),
]);

/// `--write`.
pub(crate) const WRITE: Words = Words(&[
    (
        "jsonl",
        "detections.jsonl, one line a frame; always written",
    ),
    ("coco", "coco.json and coco_results.json"),
    (
        "masks",
        "masks/, label maps by class, and masks/labels.json",
    ),
    ("instances", "instances/, label maps by object"),
    (
        "overlay",
        "overlay/, pictures and videos with boxes and masks drawn in",
    ),
    ("yolo", "labels/, classes.txt, data.yaml, with images/"),
    (
        "datumaro",
        "annotations/instances_*.json beside images/, as Datumaro, CVAT and trainers of COCO read it",
    ),
    (
        "nnunet",
        "nnunet/, pictures and label maps under nnU-Net's names",
    ),
    ("cvat", "cvat/, XML of CVAT for images and for video"),
    ("labelme", "labelme/, JSON of labelme"),
    ("voc", "voc/, Pascal VOC: boxes"),
    ("labelstudio", "labelstudio.json and labelstudio.xml"),
    ("mot", "mot/, boxes of tracks as MOTChallenge has them"),
    ("mots", "mots/, masks of tracks, as text and PNG"),
    ("seg", "seg/, DICOM Segmentations of DICOM sources"),
    ("nrrd", "nrrd/, segmentations of 3D Slicer"),
    (
        "csv",
        "objects.csv, a row an object and frame with its sizes",
    ),
    (
        "report",
        "report.html, a page to look at results with, with images/",
    ),
    ("frames", "frames/, the decoded frames"),
]);

/// `--targets` of `phantom`.
pub(crate) const TARGETS: Words = Words(&[
    ("bone", "bone surfaces with their shadow"),
    ("cyst", "cysts"),
    ("vessel", "vessels"),
    ("needle", "needles"),
    ("none", "tissue alone"),
]);

#[cfg(test)]
mod tests {
    use super::*;
    use ultramotion::{
        engine::{DeviceSpec, Precision},
        phantom::Class,
        sinks::OutputKind,
        sources::Decode,
    };

    fn names(words: Words) -> Vec<&'static str> {
        words.0.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn every_name_that_is_shown_is_a_value() {
        assert!(
            names(DEVICE)
                .iter()
                .all(|name| name.parse::<DeviceSpec>().is_ok())
        );
        assert!(
            names(DTYPE)
                .iter()
                .all(|name| name.parse::<Precision>().is_ok())
        );
        assert!(
            names(DECODE)
                .iter()
                .all(|name| name.parse::<Decode>().is_ok())
        );
        assert!(
            names(TARGETS)
                .iter()
                .all(|name| *name == "none" || name.parse::<Class>().is_ok())
        );
        assert_eq!(names(WRITE), OutputKind::ALL.map(OutputKind::name));
    }
}
