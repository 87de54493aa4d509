//! Layer normalisation over the channels.

use super::{Activation, Result, activate, cpu, cuda};
use candle_core::Tensor;
use candle_nn::Module;

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
        Self {
            weight: weight.clone(),
            bias: bias.clone(),
            eps,
        }
    }

    pub(super) fn host_norm(&self) -> cpu::Norm<'_> {
        cpu::Norm {
            weight: &self.weight,
            bias: &self.bias,
            eps: self.eps,
        }
    }

    pub(super) fn device_norm(&self) -> cuda::Norm<'_> {
        cuda::Norm {
            weight: &self.weight,
            bias: &self.bias,
            eps: self.eps,
        }
    }

    /// The normalisation of x held to ± `limit`.
    ///
    /// # Errors
    /// As [`LayerNorm::forward`].
    pub fn forward_held(&self, x: &Tensor, limit: f32) -> Result<Tensor> {
        if cpu::is_cpu(x) {
            cpu::layer_norm(x, &self.host_norm(), Some(limit))
        } else {
            cuda::layer_norm(x, &self.device_norm(), limit, Activation::Identity)
        }
    }

    /// A pointwise function of the normalisation of x.
    ///
    /// # Errors
    /// As [`LayerNorm::forward`].
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        if cpu::is_cpu(x) {
            activate(&self.forward(x)?, activation)
        } else {
            cuda::layer_norm(x, &self.device_norm(), 0.0, activation)
        }
    }

    /// The normalisation of `gate·x + gate'·seen` for x and seen `[…, channels]`, the gates being the halves of `gates`
    /// `[…, 2·channels]`.
    ///
    /// # Errors
    /// As [`LayerNorm::forward`], or if the shapes do not fit.
    pub fn forward_gated(&self, gates: &Tensor, x: &Tensor, seen: &Tensor) -> Result<Tensor> {
        if cpu::is_cpu(x) {
            cpu::gated_norm(gates, x, seen, &self.host_norm())
        } else {
            cuda::gated_norm(gates, x, seen, &self.device_norm())
        }
    }
}

impl Module for LayerNorm {
    /// `(x - mean) / sqrt(var + eps) · weight + bias` over the last dimension of x `[…, channels]`.
    ///
    /// # Errors
    /// If x has another last dimension.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        if cpu::is_cpu(x) {
            cpu::layer_norm(x, &self.host_norm(), None)
        } else {
            cuda::layer_norm(x, &self.device_norm(), 0.0, Activation::Identity)
        }
    }
}
