//! The models that an executor runs.

use crate::session::{detector::Detector, segmenter::Segmenter};
use std::sync::Arc;

/// Detector, segmenter, or both. With a detector the segmenter outlines its objects; without one, the prompts that each
/// frame carries. Without any, frames pass unchanged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Models {
    pub(crate) detector: Option<Arc<Detector>>,
    pub(crate) segmenter: Option<Arc<Segmenter>>,
}

impl Models {
    /// The device they run on: the segmenter's where there is one, whose stream leads.
    pub(crate) fn engine(&self) -> Option<&crate::engine::Engine> {
        let of_detector = || self.detector.as_ref().map(|detector| detector.engine());
        let of_segmenter = self.segmenter.as_ref().map(|segmenter| segmenter.engine());
        of_segmenter.or_else(of_detector)
    }
}
