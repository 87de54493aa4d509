//! How inputs are expanded.

use crate::sources::{DicomGrouping, group_dicom};
use std::path::Path;

/// How inputs are expanded.
#[derive(Clone, Copy)]
pub struct ExpandOptions<'a> {
    /// Numbered images of a folder are sources of their own, not a sequence.
    pub as_images: bool,
    /// Groups DICOM files into series.
    pub group_dicom: DicomGrouping<'a>,
    /// The output folder of the run, which is left out of searches and refused as an input.
    pub output: Option<&'a Path>,
    /// Called now and then; `true` cancels the search and sets [`crate::sources::Inputs::stopped`].
    pub stop: &'a dyn Fn() -> bool,
}

impl Default for ExpandOptions<'_> {
    fn default() -> Self {
        Self {
            as_images: false,
            group_dicom: &group_dicom,
            output: None,
            stop: &|| false,
        }
    }
}
