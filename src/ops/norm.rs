//! Layer normalisation over the channels.

use super::{Result, composed, cpu};
use candle_core::Tensor;

/// Layer normalisation over the last dimension. In NHWC this is also SAM's `LayerNorm2d`.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl LayerNorm {
    /// A layer by `weight` and `bias` `[channels]`, f32; `eps` is added to the variance.
    pub fn new(weight: &Tensor, bias: &Tensor, eps: f32) -> Self {
        Self { weight: weight.clone(), bias: bias.clone(), eps }
    }

    /// `(x - mean) / sqrt(var + eps) · weight + bias` over the last dimension of x `[…, channels]`.
    ///
    /// # Errors
    /// If x has another last dimension.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Self { weight, bias, eps } = self;
        if cpu::is_cpu(x) { cpu::layer_norm(x, weight, bias, *eps) } else { composed::layer_norm(x, weight, bias, *eps) }
    }
}
