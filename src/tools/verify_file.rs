//! Loaded models against a reference file.

use crate::{
    engine::Engine,
    models::mobile_sam::Prompts,
    ops::Ties,
    session::{Detector, ModelError, Segmenter},
    tools::verify::{
        Reference, SegmenterOutput, TensorComparison, VerifyError, verify_detector,
        verify_segmenter,
    },
    weights::Checkpoint,
};
use std::path::Path;

/// A relative error at which nothing is left to explain.
const CLOSE: f64 = 1e-5;

/// A comparison that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyFileError {
    /// The reference cannot be read.
    #[error(transparent)]
    Read(#[from] ModelError),
    /// The reference does not fit, or a number is not finite.
    #[error(transparent)]
    Compare(#[from] VerifyError),
}

fn reference(path: &Path, engine: &Engine) -> Result<Reference, VerifyFileError> {
    let tensors = Checkpoint::open(path)
        .and_then(|checkpoint| checkpoint.tensors())
        .map_err(ModelError::from)?;
    Ok(Reference::new(path.display().to_string(), tensors, engine))
}

impl Detector {
    /// Runs the model on the `pixel_values` of the safetensors file `path` and compares with its `logits` and `pred_boxes`.
    ///
    /// Where the scores of tokens tie at the last query, as all do in a freshly initialised model, an implementation may take any of them.
    /// On the CPU the model therefore runs a second time, taking those that PyTorch takes, and the closer of the two results counts.
    ///
    /// # Errors
    /// [`VerifyFileError`].
    pub fn verify(&self, path: &Path) -> Result<Vec<TensorComparison>, VerifyFileError> {
        let reference = reference(path, self.engine())?;
        let compared = |ties: Ties| {
            let run = |pixels: &_| {
                self.model()
                    .model()
                    .forward_with_ties(pixels, ties)
                    .map(|output| (output.logits, output.pred_boxes))
            };
            verify_detector(&reference, run)
        };
        let first = compared(Ties::First)?;
        if !self.engine().is_cpu() || first.iter().all(|tensor| tensor.is_within(CLOSE)) {
            return Ok(first);
        }
        let second = compared(Ties::Torch)?;
        let furthest = |tensors: &[TensorComparison]| {
            tensors
                .iter()
                .map(|tensor| tensor.relative)
                .fold(0.0, f64::max)
        };
        Ok(if furthest(&second) < furthest(&first) {
            second
        } else {
            first
        })
    }
}

impl Segmenter {
    /// Runs the model on the `pixel_values` and `boxes` of the safetensors file `path` and compares with its
    /// `image_embeddings`, `low_res_masks` and `iou_predictions`.
    ///
    /// # Errors
    /// [`VerifyFileError`].
    pub fn verify(&self, path: &Path) -> Result<Vec<TensorComparison>, VerifyFileError> {
        let run = |pixels: &_,
                   boxes: &_|
         -> Result<SegmenterOutput, Box<dyn std::error::Error + Send + Sync>> {
            let image_embeddings = self.model().encode(pixels)?;
            let output =
                self.model()
                    .decode(&image_embeddings, &Prompts::from_boxes(boxes)?, false)?;
            let (low_res_masks, iou_predictions) = (output.low_res_masks, output.iou_predictions);
            Ok(SegmenterOutput {
                image_embeddings,
                low_res_masks,
                iou_predictions,
            })
        };
        Ok(verify_segmenter(&reference(path, self.engine())?, run)?)
    }
}
