//! Loaded models against a reference file.

use super::{
    Detector, ModelError, Reference, Segmenter, SegmenterOutput, TensorComparison, VerifyError, verify_detector, verify_segmenter,
};
use crate::{engine::Engine, models::mobile_sam::Prompts, weights::Checkpoint};
use std::path::Path;

/// A comparison that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFileError {
    /// The reference cannot be read.
    #[error(transparent)]
    Read(#[from] ModelError),
    /// The reference does not fit, or a number is not finite.
    #[error(transparent)]
    Compare(#[from] VerifyError),
}

fn reference(path: &Path, engine: &Engine) -> Result<Reference, VerifyFileError> {
    let tensors = Checkpoint::open(path).and_then(|checkpoint| checkpoint.tensors()).map_err(ModelError::from)?;
    Ok(Reference::new(path.display().to_string(), tensors, engine))
}

impl Detector {
    /// Runs the model on the `pixel_values` of the safetensors file `path` and compares with its `logits` and `pred_boxes`.
    ///
    /// # Errors
    /// [`VerifyFileError`].
    pub fn verify(&self, path: &Path) -> Result<Vec<TensorComparison>, VerifyFileError> {
        let run = |pixels: &_| self.model().forward(pixels).map(|output| (output.logits, output.pred_boxes));
        Ok(verify_detector(&reference(path, self.engine())?, run)?)
    }
}

impl Segmenter {
    /// Runs the model on the `pixel_values` and `boxes` of the safetensors file `path` and compares with its
    /// `image_embeddings`, `low_res_masks` and `iou_predictions`.
    ///
    /// # Errors
    /// [`VerifyFileError`].
    pub fn verify(&self, path: &Path) -> Result<Vec<TensorComparison>, VerifyFileError> {
        let run = |pixels: &_, boxes: &_| -> Result<SegmenterOutput, Box<dyn std::error::Error + Send + Sync>> {
            let image_embeddings = self.model().encode(pixels)?;
            let output = self.model().decode(&image_embeddings, &Prompts::from_boxes(boxes)?, false)?;
            let (low_res_masks, iou_predictions) = (output.low_res_masks, output.iou_predictions);
            Ok(SegmenterOutput { image_embeddings, low_res_masks, iou_predictions })
        };
        Ok(verify_segmenter(&reference(path, self.engine())?, run)?)
    }
}
