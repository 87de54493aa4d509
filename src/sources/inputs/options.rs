//! How inputs are expanded.

use crate::sources::{DicomGrouping, group_dicom};
use std::path::Path;

/// How inputs are expanded.
#[derive(Clone, Copy)]
pub struct ExpandOptions<'a> {
    /// Numbered images of a folder are sources of their own, not a sequence.
    pub as_images: bool,
    /// What sorts DICOM files into series.
    pub group_dicom: DicomGrouping<'a>,
    /// The output folder of the run, which is left out of searches and refused as an input.
    pub output: Option<&'a Path>,
    /// Asked now and then; true ends the search, and [`Inputs::stopped`] tells.
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
