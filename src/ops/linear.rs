//! Matrix product with bias and activation.

use super::{Activation, Result, composed};
use candle_core::Tensor;

/// A fully connected layer ready to run.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    activation: Activation,
}

impl Linear {
    /// A layer by `weight` `[out, in]` and `bias` `[out]`, both f32.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Self> {
        let (out, _) = weight.dims2()?;
        if let Some(bias) = bias
            && bias.dims() != [out]
        {
            candle_core::bail!("linear: bias of shape {:?} for {out} outputs", bias.dims());
        }
        Ok(Self { weight: weight.clone(), bias: bias.cloned(), activation })
    }

    /// `activation(x·Wᵀ + bias)` for x `[…, in]`: `[…, out]`.
    ///
    /// # Errors
    /// If x has another last dimension.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        composed::linear(x, &self.weight, self.bias.as_ref(), None, self.activation)
    }

    /// `activation(x·Wᵀ + bias + residual)`, `residual` having the output's shape.
    ///
    /// # Errors
    /// As [`Linear::forward`], or if the residual has another shape than the output.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        composed::linear(x, &self.weight, self.bias.as_ref(), Some(residual), self.activation)
    }
}
