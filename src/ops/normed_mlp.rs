//! The second half of a transformer's block.

use super::{cuda, linear::Linear, norm::LayerNorm, types::result::Result};
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
