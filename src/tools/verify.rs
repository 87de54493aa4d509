//! Comparison of a loaded model with reference tensors.
//!
//! The reference is a set of named tensors, written by the implementation to compare with:
//!
//! - for a detector `pixel_values` `[B, C, H, W]`, `logits` `[B, Q, K]`, `pred_boxes` `[B, Q, 4]`;
//! - for a segmenter `pixel_values` `[1, 3, 1024, 1024]` (normalised and padded), `image_embeddings` `[1, 256, 64, 64]`, `boxes`
//!   `[N, 4]` (x0, y0, x1, y1 in pixels of the padded input), `low_res_masks` `[N, 1, 256, 256]`, `iou_predictions` `[N, 1]`.
//!
//! The model runs in a closure, so that this module knows of no model. A value that is not finite is an error, never a comparison.

mod compare;

pub use compare::TensorComparison;
pub(super) use compare::compare;

use crate::{
    engine::{Engine, EngineError},
    matching::{AssignmentError, Rules, assign},
    session::Stage,
};
use candle_core::Tensor;
use compare::{mean_square, row, square_distance};
use std::collections::BTreeMap;

/// Queries an image that are compared as a set; the time of that grows with their cube.
const MAX_QUERIES: usize = 2048;

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The reference has no tensor of this name.
    #[error(
        "{origin}: tensor {name} of shape {shape} is missing; a reference holds the inputs and outputs of the model as named tensors"
    )]
    Missing {
        /// The reference.
        origin: String,
        /// The tensor.
        name: &'static str,
        /// Its shape.
        shape: &'static str,
    },
    /// A tensor of the reference has a shape or type that it cannot have.
    #[error("{origin}: tensor {name} is {found}, it should be {expected}")]
    BadReference {
        /// The reference.
        origin: String,
        /// The tensor.
        name: &'static str,
        /// Its shape or type.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The model gave another shape.
    #[error(
        "{name}: the model gives {found:?}, {origin} has {expected:?}; the reference is of another model or configuration"
    )]
    OutputShape {
        /// The reference.
        origin: String,
        /// The tensor.
        name: &'static str,
        /// The model's shape.
        found: Vec<usize>,
        /// The reference's shape.
        expected: Vec<usize>,
    },
    /// NaN or infinity.
    #[error("{name}: {whose} has a value that is not finite; nothing can be compared with it")]
    NotFinite {
        /// The tensor.
        name: &'static str,
        /// The reference's name, or "the model".
        whose: String,
    },
    /// The model failed.
    #[error("the model failed on the reference's input: {0}")]
    Run(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The queries of model and reference cannot be paired.
    #[error("pairing the queries: {0}")]
    Pairing(#[from] AssignmentError),
    /// A move to or from the device failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Candle refused an operation.
    #[error("{name}: {source}")]
    Tensor {
        /// The tensor.
        name: &'static str,
        /// Candle's own error.
        source: Box<candle_core::Error>,
    },
}

/// The tensors of a reference file, on the host, and the engine whose model is compared with them.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    origin: String,
    tensors: BTreeMap<String, Tensor>,
    engine: Engine,
}

/// What a segmenter gave for a reference's input.
#[derive(Debug, Clone)]
pub(super) struct SegmenterOutput {
    /// `[1, 64, 64, 256]`.
    pub(super) image_embeddings: Tensor,
    /// `[N, 1, 256, 256]`.
    pub(super) low_res_masks: Tensor,
    /// `[N, 1]`.
    pub(super) iou_predictions: Tensor,
}

impl Reference {
    /// A reference from tensors on the host; `origin` names it in errors.
    pub(super) fn new(
        origin: impl Into<String>,
        tensors: BTreeMap<String, Tensor>,
        engine: &Engine,
    ) -> Self {
        Self {
            origin: origin.into(),
            tensors,
            engine: engine.clone(),
        }
    }

    /// A tensor of floats with as many dimensions as `sizes`, of which those that are not 0 must be met.
    fn get(
        &self,
        name: &'static str,
        sizes: &[usize],
        shape: &'static str,
    ) -> Result<Tensor, VerifyError> {
        let origin = || self.origin.clone();
        let Some(tensor) = self.tensors.get(name) else {
            return Err(VerifyError::Missing {
                origin: origin(),
                name,
                shape,
            });
        };
        let fits = tensor.rank() == sizes.len()
            && tensor
                .dims()
                .iter()
                .zip(sizes)
                .all(|(&d, &s)| d > 0 && (s == 0 || d == s));
        if !fits {
            let found = format!("of shape {:?}", tensor.dims());
            return Err(VerifyError::BadReference {
                origin: origin(),
                name,
                found,
                expected: format!("of shape {shape}"),
            });
        }
        if !tensor.dtype().is_float() {
            let found = format!("of type {}", tensor.dtype().as_str());
            return Err(VerifyError::BadReference {
                origin: origin(),
                name,
                found,
                expected: "of a float type".to_owned(),
            });
        }
        Ok(tensor.clone())
    }

    /// `tensor` on the engine's device, checked to be finite.
    fn input(&self, name: &'static str, tensor: &Tensor) -> Result<Tensor, VerifyError> {
        let tensor = tensor
            .to_dtype(candle_core::DType::F32)
            .and_then(|t| t.contiguous())
            .map_err(tensor_error(name))?;
        finite(
            name,
            &self.origin,
            Engine::cpu().download_f32(Stage::Load, &tensor)?,
        )?;
        Ok(self.engine.upload_tensor(Stage::Load, &tensor)?)
    }

    /// Elements of the model's tensor and of the reference's, of the same shape and finite.
    fn pair(
        &self,
        name: &'static str,
        found: &Tensor,
        expected: &Tensor,
    ) -> Result<[Vec<f32>; 2], VerifyError> {
        if found.dims() != expected.dims() {
            let (found, expected) = (found.dims().to_vec(), expected.dims().to_vec());
            return Err(VerifyError::OutputShape {
                origin: self.origin.clone(),
                name,
                found,
                expected,
            });
        }
        let found = finite(
            name,
            "the model",
            self.engine.download_f32(Stage::Pack, found)?,
        )?;
        let expected = finite(
            name,
            &self.origin,
            Engine::cpu().download_f32(Stage::Load, expected)?,
        )?;
        Ok([found, expected])
    }
}

fn tensor_error(name: &'static str) -> impl FnOnce(candle_core::Error) -> VerifyError {
    move |source| VerifyError::Tensor {
        name,
        source: Box::new(source),
    }
}

pub(super) fn finite(
    name: &'static str,
    whose: &str,
    values: Vec<f32>,
) -> Result<Vec<f32>, VerifyError> {
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(VerifyError::NotFinite {
            name,
            whose: whose.to_owned(),
        })
    }
}

pub(super) fn nhwc(name: &'static str, nchw: &Tensor) -> Result<Tensor, VerifyError> {
    nchw.permute((0, 2, 3, 1))
        .and_then(|t| t.contiguous())
        .map_err(tensor_error(name))
}

/// Runs a detector on the reference's `pixel_values`, which `run` gets as `[B, H, W, C]` f32 on the device, to give `logits`
/// `[B, Q, K]` and `pred_boxes` `[B, Q, 4]`, and compares these with the reference's.
///
/// Queries are compared as a set, since near-equal scores may order them otherwise: those of an image are paired one to one so that
/// the squared distances of the pairs, logits and boxes each relative to their size in the reference, have the smallest sum.
///
/// # Errors
/// [`VerifyError`], of which [`VerifyError::NotFinite`] covers all NaN and infinities.
pub(super) fn verify_detector<E>(
    reference: &Reference,
    run: impl FnOnce(&Tensor) -> Result<(Tensor, Tensor), E>,
) -> Result<Vec<TensorComparison>, VerifyError>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let pixel_values = reference.get("pixel_values", &[0; 4], "[B, C, H, W]")?;
    let batch = pixel_values.dims()[0];
    let logits = reference.get("logits", &[batch, 0, 0], "[B, Q, K]")?;
    let (queries, classes) = (logits.dims()[1], logits.dims()[2]);
    let boxes = reference.get("pred_boxes", &[batch, queries, 4], "[B, Q, 4]")?;
    if queries > MAX_QUERIES {
        let (found, expected) = (
            format!("of {queries} queries"),
            format!("of at most {MAX_QUERIES}"),
        );
        return Err(VerifyError::BadReference {
            origin: reference.origin.clone(),
            name: "logits",
            found,
            expected,
        });
    }
    let input = reference.input("pixel_values", &nhwc("pixel_values", &pixel_values)?)?;
    let (found_logits, found_boxes) = run(&input).map_err(|e| VerifyError::Run(e.into()))?;
    let logits = reference.pair("logits", &found_logits, &logits)?;
    let boxes = reference.pair("pred_boxes", &found_boxes, &boxes)?;

    let order = pair_queries(&logits, &boxes, (batch, queries, classes))?;
    let reordered = |[found, expected]: &[Vec<f32>; 2], width: usize| -> [Vec<f32>; 2] {
        [
            order
                .iter()
                .flat_map(|&i| row(found, i, width))
                .copied()
                .collect(),
            expected.clone(),
        ]
    };
    Ok(vec![
        compare("logits", &reordered(&logits, classes)),
        compare("pred_boxes", &reordered(&boxes, 4)),
    ])
}

/// Pairs the queries of each of `batch` images: place `i` of the result is the row of the model's query that goes with row `i`
/// of the reference. The squared distances of the pairs, logits and boxes each relative to their size in the reference, have
/// the smallest sum.
fn pair_queries(
    logits: &[Vec<f32>; 2],
    boxes: &[Vec<f32>; 2],
    (batch, queries, classes): (usize, usize, usize),
) -> Result<Vec<usize>, AssignmentError> {
    let scaled =
        [(logits, classes), (boxes, 4)].map(|(pair, width)| (pair, width, mean_square(&pair[1])));
    let mut order = Vec::with_capacity(batch * queries);
    for first in (0..batch * queries).step_by(queries) {
        let cost = |at: usize| -> f64 {
            let (expected, found) = (at / queries, at % queries);
            let part = |(pair, width, scale): &(&[Vec<f32>; 2], usize, f64)| {
                let distance = square_distance(
                    row(&pair[0], first + found, *width),
                    row(&pair[1], first + expected, *width),
                );
                distance / scale / *width as f64
            };
            // Distances without bound, or to a reference that is all zero, are the last to be chosen.
            scaled.iter().map(part).sum::<f64>().min(f64::MAX)
        };
        let costs: Vec<f64> = (0..queries * queries).map(cost).collect();
        let pairs = assign(&costs, queries, queries, &Rules::default())?.complete()?;
        order.extend(pairs.pairs().map(|(_, found)| first + found));
    }
    Ok(order)
}

/// Runs a segmenter on the reference's `pixel_values`, which `run` gets as `[1, 1024, 1024, 3]` f32 on the device together with `boxes`
/// `[N, 4]`, and compares what it gives with the reference's `image_embeddings`, `low_res_masks` and `iou_predictions`.
///
/// # Errors
/// As [`verify_detector`].
pub(super) fn verify_segmenter<E>(
    reference: &Reference,
    run: impl FnOnce(&Tensor, &Tensor) -> Result<SegmenterOutput, E>,
) -> Result<Vec<TensorComparison>, VerifyError>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let pixel_values = reference.get("pixel_values", &[1, 3, 1024, 1024], "[1, 3, 1024, 1024]")?;
    let embeddings = reference.get("image_embeddings", &[1, 256, 64, 64], "[1, 256, 64, 64]")?;
    let boxes = reference.get("boxes", &[0, 4], "[N, 4]")?;
    let n = boxes.dims()[0];
    let masks = reference.get("low_res_masks", &[n, 1, 256, 256], "[N, 1, 256, 256]")?;
    let iou = reference.get("iou_predictions", &[n, 1], "[N, 1]")?;
    let input = reference.input("pixel_values", &nhwc("pixel_values", &pixel_values)?)?;
    let boxes = reference.input("boxes", &boxes)?;
    let found = run(&input, &boxes).map_err(|e| VerifyError::Run(e.into()))?;
    let embeddings = nhwc("image_embeddings", &embeddings)?;
    Ok(vec![
        compare(
            "image_embeddings",
            &reference.pair("image_embeddings", &found.image_embeddings, &embeddings)?,
        ),
        compare(
            "low_res_masks",
            &reference.pair("low_res_masks", &found.low_res_masks, &masks)?,
        ),
        compare(
            "iou_predictions",
            &reference.pair("iou_predictions", &found.iou_predictions, &iou)?,
        ),
    ])
}

#[cfg(test)]
mod tests;
