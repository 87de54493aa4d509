//! What the data sets of the merged run are made with: a run of all inputs would make them itself.

use crate::{
    datasets::{MaskForm, SegCodes, SegGeometry, SegOptions, SegType, Shares, SplitBy},
    sinks::{ImagesMode, OutputSet},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Outputs of a run, as `plan.json` keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OutputSettings {
    /// Kinds of outputs.
    write: String,
    images: String,
    masks: Option<MaskForm>,
    split: Option<SplitSettings>,
    seg_type: SegType,
    seg_geometry: SegGeometry,
    seg_deflate: bool,
    seg_codes: SegCodes,
    keep_patient_data: bool,
    /// Names of all classes, class 0 first.
    pub(crate) classes: Vec<String>,
    /// The folder of the pictures.
    pub(crate) image_root: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SplitSettings {
    shares: String,
    by: SplitBy,
    seed: u64,
}

impl OutputSettings {
    pub(crate) fn new(
        outputs: &OutputSet,
        images: ImagesMode,
        masks: Option<MaskForm>,
        split: Option<(Shares, SplitBy, u64)>,
        seg: &SegOptions,
    ) -> Self {
        let split = split.map(|(shares, by, seed)| SplitSettings {
            shares: shares.to_string(),
            by,
            seed,
        });
        Self {
            write: outputs.to_string(),
            images: images.name().to_owned(),
            masks,
            split,
            seg_type: seg.seg_type,
            seg_geometry: seg.geometry,
            seg_deflate: seg.deflate,
            seg_codes: seg.codes.clone(),
            keep_patient_data: seg.keep_patient_data,
            classes: Vec::new(),
            image_root: None,
        }
    }

    /// Kinds of outputs.
    ///
    /// # Errors
    /// In words, what is none.
    pub(crate) fn outputs(&self) -> Result<OutputSet, String> {
        self.write
            .parse()
            .map_err(|e: crate::sinks::UnknownOutput| e.to_string())
    }

    /// What is put under `images/`.
    ///
    /// # Errors
    /// In words, what is none.
    pub(crate) fn images(&self) -> Result<ImagesMode, String> {
        self.images
            .parse()
            .map_err(|e: crate::sinks::UnknownImagesMode| e.to_string())
    }

    pub(crate) fn masks(&self) -> Option<MaskForm> {
        self.masks
    }

    /// The parts that data sets are divided into.
    ///
    /// # Errors
    /// In words, what is none.
    pub(crate) fn split(&self) -> Result<Option<(Shares, SplitBy, u64)>, String> {
        let read = |split: &SplitSettings| {
            let shares: Shares = split
                .shares
                .parse()
                .map_err(|e: crate::datasets::SharesError| e.to_string())?;
            Ok((shares, split.by, split.seed))
        };
        self.split.as_ref().map(read).transpose()
    }

    /// How DICOM Segmentations are written, without what made the masks.
    pub(crate) fn seg(&self) -> SegOptions {
        SegOptions {
            seg_type: self.seg_type,
            geometry: self.seg_geometry,
            deflate: self.seg_deflate,
            codes: self.seg_codes.clone(),
            keep_patient_data: self.keep_patient_data,
            algorithm: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_as_they_were() {
        let outputs: OutputSet = "coco,seg,yolo".parse().unwrap();
        let seg = SegOptions {
            seg_type: SegType::LabelMap,
            geometry: SegGeometry::Frames,
            deflate: true,
            keep_patient_data: true,
            ..SegOptions::default()
        };
        let split = Some(("0.7,0.2,0.1".parse().unwrap(), SplitBy::Patient, 9));
        let masks = Some(MaskForm::Polygon);
        let settings = OutputSettings::new(&outputs, ImagesMode::Link, masks, split, &seg);
        let text = serde_json::to_string(&settings).unwrap();
        let read: OutputSettings = serde_json::from_str(&text).unwrap();
        assert_eq!(read, settings);
        assert_eq!(read.outputs().unwrap().to_string(), outputs.to_string());
        assert_eq!(read.images(), Ok(ImagesMode::Link));
        assert_eq!((read.split(), read.masks()), (Ok(split), masks));
        assert_eq!(format!("{:?}", read.seg()), format!("{seg:?}"));
    }
}
