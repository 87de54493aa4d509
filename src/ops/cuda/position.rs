//! Embeddings of positions.

use super::launch::{self, Kernel, empty, int};
use crate::ops::Result;
use candle_core::{DType, Tensor};

/// See [`crate::ops::fourier_features`]; the shapes fit.
pub(crate) fn fourier_features(
    points: &Tensor,
    (scale, shift): (f32, f32),
    frequencies: &Tensor,
    added: Option<&Tensor>,
) -> Result<Tensor> {
    let ((n, k, _), half) = (points.dims3()?, frequencies.dim(1)?);
    let (device, points) = (launch::device(points)?, points.contiguous()?);
    let (y, out) = empty(device, (n, k, 2 * half), DType::F32)?;
    let [points, frequencies] = [&points, frequencies].map(|t| launch::contiguous(t, DType::F32, "fourier_features"));
    let added = launch::optional(added, DType::F32, "fourier_features")?;
    let (count, half, kinds) = (int(n * k)?, int(half)?, int(k)?);
    let kernel = Kernel::over("position", "fourier_features", n * k * half as usize);
    // SAFETY: sizes are those of the tensors, which the caller has checked; pairs of points lie at even places, since they are contiguous.
    unsafe { kernel.launch(device, &[&points?, &frequencies?, &added, &out, &count, &half, &kinds, &scale, &shift]) }?;
    Ok(y)
}
