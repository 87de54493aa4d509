//! Boxes from distributions.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, empty, int},
    layout::contiguous,
};
use crate::ops::types::result::Result;
use candle_core::{DType, Tensor};

/// Bins that `top_probabilities` takes, as in `boxes.cu`.
const MAX_BINS: usize = 33 * 32;

/// See [`crate::ops::refine_boxes`].
pub(crate) fn refine_boxes(
    logits: &Tensor,
    reference: &Tensor,
    offsets: &Tensor,
    reg_scale: f32,
) -> Result<Tensor> {
    let ((b, q, edges), bins) = (logits.dims3()?, offsets.elem_count());
    if edges != 4 * bins || reference.dims() != [b, q, 4] {
        candle_core::bail!(
            "refine_boxes: {:?} for {:?} with {bins} bins",
            logits.shape(),
            reference.shape()
        );
    }
    let device = launch::device(logits)?;
    let (logits, reference) = (contiguous(logits)?, contiguous(reference)?);
    let (boxes, out) = empty(device, (b, q, 4), DType::F32)?;
    let [logits, reference, offsets] =
        [&logits, &reference, offsets].map(|t| launch::contiguous(t, DType::F32, "refine_boxes"));
    let kernel = Kernel::rows("boxes", "refine_boxes", b * q);
    // SAFETY: sizes are those of the tensors, checked above.
    unsafe {
        kernel.launch(
            device,
            &[
                &logits?,
                &reference?,
                &offsets?,
                &out,
                &int(b * q)?,
                &int(bins)?,
                &reg_scale,
            ],
        )
    }?;
    Ok(boxes)
}

/// See [`crate::ops::top_probabilities`].
pub(crate) fn top_probabilities(logits: &Tensor, bins: usize, top: usize) -> Result<Tensor> {
    let (b, q, edges) = logits.dims3()?;
    if edges != 4 * bins || top == 0 || top > bins || bins > MAX_BINS {
        candle_core::bail!(
            "top_probabilities: {top} of {bins} bins for {:?}",
            logits.shape()
        );
    }
    let (device, logits) = (launch::device(logits)?, contiguous(logits)?);
    let (y, out) = empty(device, (b, q, 4 * (top + 1)), DType::F32)?;
    let from = launch::contiguous(&logits, DType::F32, "top_probabilities")?;
    let kernel = Kernel::rows("boxes", "top_probabilities", 4 * b * q);
    // SAFETY: sizes are those of the tensors, checked above.
    unsafe {
        kernel.launch(
            device,
            &[&from, &out, &int(4 * b * q)?, &int(bins)?, &int(top)?],
        )
    }?;
    Ok(y)
}

/// See [`crate::ops::inverse_sigmoid`].
pub(crate) fn inverse_sigmoid(x: &Tensor) -> Result<Tensor> {
    let (device, x) = (launch::device(x)?, contiguous(x)?);
    let (y, out) = empty(device, x.shape(), DType::F32)?;
    let from = launch::contiguous(&x, DType::F32, "inverse_sigmoid")?;
    // SAFETY: both have as many numbers.
    unsafe {
        Kernel::over("boxes", "inverse_sigmoid", x.elem_count())
            .launch(device, &[&from, &out, &int(x.elem_count())?])
    }?;
    Ok(y)
}
