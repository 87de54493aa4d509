//! The second half of a transformer's block.

use super::{conv2d::Conv2d, cpu, cuda, linear::Linear, norm::LayerNorm, types::result::Result};
use candle_core::Tensor;
use candle_nn::Module;

/// `x + second(first(norm(x)))` for x `[…, channels]`; one kernel on a GPU for some numbers of channels of 16 bits, GELU after the first layer and none
/// after the second.
///
/// # Errors
/// If the shapes do not fit.
pub fn normed_mlp(x: &Tensor, norm: &LayerNorm, first: &Linear, second: &Linear) -> Result<Tensor> {
    if let (Some(first), Some(second)) = (first.on_device(), second.on_device())
        && let Some(y) = cuda::normed_mlp(x, &norm.device_norm(), first, second)?
    {
        return Ok(y);
    }
    second.forward_add(&first.forward(&norm.forward(x)?)?, x)
}

/// [`normed_mlp`] of `local(x)`, a depthwise convolution that keeps the size; on the CPU the maps in between are not kept whole.
///
/// # Errors
/// If the shapes do not fit.
pub fn local_perceptron(
    x: &Tensor,
    local: &Conv2d,
    norm: &LayerNorm,
    first: &Linear,
    second: &Linear,
) -> Result<Tensor> {
    if let (Some(local), Some(first), Some(second)) =
        (local.on_host(), first.on_host(), second.on_host())
        && let Some(y) = cpu::local_perceptron(x, local, &norm.host_norm(), first, second)?
    {
        return Ok(y);
    }
    normed_mlp(&local.forward(x)?, norm, first, second)
}
