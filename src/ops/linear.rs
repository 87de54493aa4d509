//! Matrix product with bias and activation.

use super::{
    activation::add,
    cpu, cuda,
    types::{
        activation::Activation,
        convolution::{LinearPrecision, Products, Residual},
        result::Result,
    },
};
use candle_core::{DType, Tensor};
use candle_nn::Module;
use std::sync::Arc;

/// A fully connected layer ready to run.
#[derive(Debug, Clone)]
pub struct Linear {
    weights: Weights,
    activation: Activation,
    precision: LinearPrecision,
}

/// Weights as the device's code takes them.
#[derive(Debug, Clone)]
enum Weights {
    Cpu(Arc<cpu::Linear>),
    Cuda(Arc<cuda::Linear>),
}

impl Linear {
    /// A layer by `weight` `[out, in]` and `bias` `[out]`, both f32.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Self> {
        Self::new_in(
            weight,
            bias,
            activation,
            LinearPrecision::Input,
            Products::F32,
        )
    }

    /// [`Linear::new`] with another precision: on the CPU `products` says what multiplies have, unless the layer is to compute in f32; a
    /// GPU goes by the type of its input.
    ///
    /// # Errors
    /// As [`Linear::new`].
    pub fn new_in(
        weight: &Tensor,
        bias: Option<&Tensor>,
        activation: Activation,
        precision: LinearPrecision,
        products: Products,
    ) -> Result<Self> {
        let products = match precision {
            LinearPrecision::F32 => Products::F32,
            LinearPrecision::Input | LinearPrecision::F32Result => products,
        };
        let (out, _) = weight.dims2()?;
        if let Some(bias) = bias
            && bias.dims() != [out]
        {
            candle_core::bail!("linear: bias of shape {:?} for {out} outputs", bias.dims());
        }
        let weights = if cpu::is_cpu(weight) {
            Weights::Cpu(Arc::new(cpu::Linear::new(weight, bias, products)?))
        } else {
            Weights::Cuda(Arc::new(cuda::Linear::new(weight, bias)?))
        };
        Ok(Self {
            weights,
            activation,
            precision,
        })
    }

    /// `activation(x·Wᵀ + bias + residual)`, `residual` having the output's shape; a batch of 1 of it stands for all.
    ///
    /// # Errors
    /// As [`Linear::forward`], or if the residual has another shape than the output.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let of_all = residual.dims().first() == Some(&1) && x.dims().first() != Some(&1);
        if !of_all || matches!(self.weights, Weights::Cuda(_)) {
            return self.run(x, Some(residual));
        }
        match self.activation {
            Activation::Identity => add(&self.run(x, None)?, residual),
            _ => self.run(
                x,
                Some(
                    &residual
                        .broadcast_as((x.dim(0)?, residual.dim(1)?, residual.dim(2)?))?
                        .contiguous()?,
                ),
            ),
        }
    }

    /// [`Linear::forward`] for tensors `[…, channels]` laid side by side in their last dimension, which are read where they lie.
    ///
    /// # Errors
    /// As [`Linear::forward`], or if the other dimensions differ.
    pub fn forward_parts(&self, parts: &[&Tensor]) -> Result<Tensor> {
        match &self.weights {
            Weights::Cpu(weights) => weights.forward_parts(parts, self.activation),
            Weights::Cuda(weights) => {
                weights.forward_tokens(parts, self.activation, self.precision)
            }
        }
    }

    /// The first `split` outputs of one tensor, the others of another; none where no kernel makes that.
    pub(super) fn forward_pair(&self, pair: [&Tensor; 2], split: usize) -> Result<Option<Tensor>> {
        match (&self.weights, self.precision) {
            (Weights::Cuda(weights), LinearPrecision::Input) => {
                weights.forward_pair(pair, split, self.activation)
            }
            _ => Ok(None),
        }
    }

    /// The layer's weights on the CPU and its activation.
    pub(super) fn on_host(&self) -> Option<(&cpu::Linear, Activation)> {
        match &self.weights {
            Weights::Cpu(weights) => Some((weights, self.activation)),
            Weights::Cuda(_) => None,
        }
    }

    /// The layer's weights on a GPU and its activation, if it computes in f32 for an input of `dtype`.
    pub(super) fn in_f32(&self, dtype: DType) -> Option<(&cuda::Linear, Activation)> {
        match &self.weights {
            Weights::Cuda(weights)
                if dtype == DType::F32 || self.precision == LinearPrecision::F32 =>
            {
                Some((weights, self.activation))
            }
            _ => None,
        }
    }

    /// The layer's weights on a GPU, its activation and precision.
    pub(super) fn on_device(&self) -> Option<(&cuda::Linear, Activation, LinearPrecision)> {
        match &self.weights {
            Weights::Cpu(_) => None,
            Weights::Cuda(weights) => Some((weights, self.activation, self.precision)),
        }
    }

    fn run(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        match &self.weights {
            Weights::Cpu(weights) => weights.forward(x, residual, self.activation),
            Weights::Cuda(weights) => {
                let residual = residual.map(|map| Residual { map, last: false });
                weights.forward(x, residual, self.activation, self.precision)
            }
        }
    }
}

impl Module for Linear {
    /// `activation(x·Wᵀ + bias)` for x `[…, in]`: `[…, out]`.
    ///
    /// # Errors
    /// If x has another last dimension.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.run(x, None)
    }
}
