//! Fully connected layers one after the other: a multilayer perceptron (MLP).

use super::{activation::add, cuda, linear::Linear, types::result::Result};
use candle_core::Tensor;
use candle_nn::Module;

/// The layers one after the other on x, or on x + `added` (of the same shape, of x's type or f32), with `residual` (f32, of the output's shape)
/// added before the last layer's activation.
///
/// On a GPU layers that compute in f32 are one kernel where there are few rows, and the sum is not rounded to x's type.
///
/// # Errors
/// If the shapes do not fit.
pub fn perceptron(
    layers: &[Linear],
    x: &Tensor,
    added: Option<&Tensor>,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    Ok(run(layers, x, (added, residual), None)?.0)
}

/// The layers one after the other on x; and that plus `beside` (of its shape), in the type of that.
///
/// # Errors
/// If the shapes do not fit.
pub fn perceptron_beside(
    layers: &[Linear],
    x: &Tensor,
    beside: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let (y, sum) = run(layers, x, (None, None), Some(beside))?;
    let sum = sum.map_or_else(|| add(beside, &y), Ok)?;
    Ok((y, sum))
}

/// The sum with `beside` is none where no kernel gave it.
fn run(
    layers: &[Linear],
    x: &Tensor,
    (added, residual): (Option<&Tensor>, Option<&Tensor>),
    beside: Option<&Tensor>,
) -> Result<(Tensor, Option<Tensor>)> {
    let in_f32: Option<Vec<_>> = layers.iter().map(|layer| layer.in_f32(x.dtype())).collect();
    if let Some(layers) = in_f32
        && let Some(both) = cuda::perceptron(&layers, x, (added, residual), beside)?
    {
        return Ok(both);
    }
    Ok((composed(layers, x, added, residual)?, None))
}

/// The layers as operations of their own.
fn composed(
    layers: &[Linear],
    x: &Tensor,
    added: Option<&Tensor>,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    let x = added.map_or_else(|| Ok(x.clone()), |added| add(x, added))?;
    let Some((last, rest)) = layers.split_last() else {
        return residual.map_or(Ok(x.clone()), |residual| add(&x, residual));
    };
    let x = rest.iter().try_fold(x, |x, layer| layer.forward(&x))?;
    match residual {
        Some(residual) => last.forward_add(&x, residual),
        None => last.forward(&x),
    }
}
