//! Embeddings of positions.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, empty, int},
    layout::contiguous,
};
use crate::ops::types::result::Result;
use candle_core::{DType, Tensor};

/// See [`crate::ops::fourier_features`]; the shapes fit.
pub(crate) fn fourier_features(
    points: &Tensor,
    (scale, shift): (f32, f32),
    frequencies: &Tensor,
    added: Option<&Tensor>,
) -> Result<Tensor> {
    let ((n, k, _), half) = (points.dims3()?, frequencies.dim(1)?);
    let (device, points) = (launch::device(points)?, contiguous(points)?);
    let (y, out) = empty(device, (n, k, 2 * half), DType::F32)?;
    let [points, frequencies] =
        [&points, frequencies].map(|t| launch::contiguous(t, DType::F32, "fourier_features"));
    let added = launch::optional(added, DType::F32, "fourier_features")?;
    let (count, half, kinds) = (int(n * k)?, int(half)?, int(k)?);
    let kernel = Kernel::over("position", "fourier_features", n * k * half as usize);
    // SAFETY: sizes are those of the tensors, which the caller has checked; pairs of points lie at even places, since they are contiguous.
    unsafe {
        kernel.launch(
            device,
            &[
                &points?,
                &frequencies?,
                &added,
                &out,
                &count,
                &half,
                &kinds,
                &scale,
                &shift,
            ],
        )
    }?;
    Ok(y)
}

/// See [`crate::ops::token_features`]; the shapes fit.
pub(crate) fn token_features(
    tokens: &Tensor,
    (scale, shift): (f32, f32),
    frequencies: &Tensor,
    kinds: &Tensor,
) -> Result<Tensor> {
    let ((n, k, width), half) = (tokens.dims3()?, frequencies.dim(1)?);
    let (device, tokens) = (launch::device(tokens)?, contiguous(tokens)?);
    let (y, out) = empty(device, (n, k, 2 * half), DType::F32)?;
    let [tokens, frequencies, kinds] =
        [&tokens, frequencies, kinds].map(|t| launch::contiguous(t, DType::F32, "token_features"));
    let (count, columns, width) = (int(n * k)?, int(half)?, int(width)?);
    let kernel = Kernel::over("position", "token_features", n * k * half);
    // SAFETY: sizes are those of the tensors, which the caller has checked.
    unsafe {
        kernel.launch(
            device,
            &[
                &tokens?,
                &frequencies?,
                &kinds?,
                &out,
                &count,
                &columns,
                &width,
                &scale,
                &shift,
            ],
        )
    }?;
    Ok(y)
}
