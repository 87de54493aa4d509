//! What is measured.

use std::path::PathBuf;

/// What to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalOptions {
    /// Minimum score of a prediction for precision, recall, matched objects, confusions and empty images. AP and AR take all.
    pub confidence: f64,
    /// Minimum IoU of two boxes that are matched, above 0 and up to 1, for the same figures.
    pub iou_threshold: f64,
    /// Maximum number of detections of a class in an image, best first, for AP (the highest) and AR (each).
    pub max_detections: Vec<usize>,
    /// Leave masks out.
    pub boxes_only: bool,
    /// Evaluate only images and categories that both files have, instead of refusing others.
    pub common_only: bool,
    /// The COCO file whose images and categories a results list numbers.
    pub images_of: Option<PathBuf>,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            confidence: 0.5,
            iou_threshold: 0.5,
            max_detections: vec![1, 10, 100],
            boxes_only: false,
            common_only: false,
            images_of: None,
        }
    }
}
