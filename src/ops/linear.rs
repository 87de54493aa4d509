//! Matrix product with bias and activation.

use super::{Activation, Result, composed, cpu};
use candle_core::Tensor;
use std::sync::Arc;

/// A fully connected layer ready to run.
#[derive(Debug, Clone)]
pub struct Linear {
    weights: Weights,
    activation: Activation,
}

/// Weights as the device's code takes them.
#[derive(Debug, Clone)]
enum Weights {
    Cpu(Arc<cpu::Linear>),
    Composed { weight: Tensor, bias: Option<Tensor> },
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
        let weights = if cpu::is_cpu(weight) {
            Weights::Cpu(Arc::new(cpu::Linear::new(weight, bias)?))
        } else {
            Weights::Composed { weight: weight.clone(), bias: bias.cloned() }
        };
        Ok(Self { weights, activation })
    }

    /// `activation(x·Wᵀ + bias)` for x `[…, in]`: `[…, out]`.
    ///
    /// # Errors
    /// If x has another last dimension.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None)
    }

    /// `activation(x·Wᵀ + bias + residual)`, `residual` having the output's shape.
    ///
    /// # Errors
    /// As [`Linear::forward`], or if the residual has another shape than the output.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(x, Some(residual))
    }

    fn run(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        match &self.weights {
            Weights::Cpu(weights) => weights.forward(x, residual, self.activation),
            Weights::Composed { weight, bias } => composed::linear(x, weight, bias.as_ref(), residual, self.activation),
        }
    }
}
