//! Perceptrons.

use super::{Built, build_linear_in};
use crate::ops::{self, Activation, Linear, LinearPrecision, Params};
use candle_core::Tensor;
use candle_nn::Module;

/// A perceptron: fully connected layers with ReLU between them.
#[derive(Debug, Clone)]
pub(crate) struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Layers `layers.0`, `layers.1`, … with the channels `dims`, one more than there are layers; `end` follows the last layer. `precisions`
    /// are those of all but the last layer and of the last.
    pub(crate) fn load(
        params: &Params,
        dims: &[usize],
        end: Activation,
        precisions: (LinearPrecision, LinearPrecision),
    ) -> Built<Self> {
        Self::load_repeated(params, dims, end, precisions, 1)
    }

    /// Like [`Mlp::load`], with all outputs of the last layer repeated `times`.
    pub(crate) fn load_repeated(
        params: &Params,
        dims: &[usize],
        end: Activation,
        precisions: (LinearPrecision, LinearPrecision),
        times: usize,
    ) -> Built<Self> {
        let last = dims.len().saturating_sub(2);
        let layer = |(i, pair): (usize, &[usize])| -> Built<Linear> {
            let params = params.scope("layers").scope(i);
            let mut weight = params.get("weight", &[pair[1], pair[0]])?;
            let mut bias = params.get("bias", &[pair[1]])?;
            if i == last && times > 1 {
                let failed = super::BuildError::tensor("repeated outputs");
                weight = weight.repeat((times, 1)).map_err(&failed)?;
                bias = bias.repeat(times).map_err(failed)?;
            }
            let (activation, precision) = if i < last {
                (Activation::Relu, precisions.0)
            } else {
                (end, precisions.1)
            };
            build_linear_in(&params, &weight, &bias, activation, precision)
        };
        let layers = dims.windows(2).enumerate().map(layer);
        Ok(Self {
            layers: layers.collect::<Built<_>>()?,
        })
    }

    pub(crate) fn layers(&self) -> &[Linear] {
        &self.layers
    }

    /// Like `forward`, with `residual` (f32, of the output's shape) added before the last layer's activation.
    pub(crate) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> candle_core::Result<Tensor> {
        ops::perceptron(&self.layers, x, None, Some(residual))
    }

    /// Like `forward`; also the result plus `beside`, in the type of that.
    pub(crate) fn forward_beside(
        &self,
        x: &Tensor,
        beside: &Tensor,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        ops::perceptron_beside(&self.layers, x, beside)
    }

    /// Like `forward` on x + `added`, with `residual` as in [`Mlp::forward_add`] where there is one.
    pub(crate) fn forward_sum(
        &self,
        x: &Tensor,
        added: Option<&Tensor>,
        residual: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        ops::perceptron(&self.layers, x, added, residual)
    }
}

impl Module for Mlp {
    /// x `[…, dims[0]]` to `[…, dims.last()]`.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        ops::perceptron(&self.layers, x, None, None)
    }
}
