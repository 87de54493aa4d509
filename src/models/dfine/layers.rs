//! The building blocks that the parts share, built from named tensors, normalisation folded into the convolution before it. All is
//! computed on the host; what a layer keeps is brought to the model's device last.

use super::DFineError;
use crate::ops::{
    self, Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, Padding, Params, Precision,
};
use candle_core::{DType, Device, Shape, Tensor};

/// A convolution's names, sizes and what follows it.
pub(super) struct ConvSpec {
    /// Name of the convolution below the layer's scope.
    pub(super) conv: &'static str,
    /// Name of the batch normalisation below the layer's scope.
    pub(super) norm: &'static str,
    /// `[out, in/groups, kernel, kernel]`.
    pub(super) shape: [usize; 4],
    /// Added to the variance.
    pub(super) eps: f64,
    /// How it runs.
    pub(super) options: Conv2dOptions,
}

impl ConvSpec {
    /// Encoder names, stride 1, padding that keeps the size.
    pub(super) fn encoder(
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
        eps: f64,
        activation: Activation,
    ) -> Self {
        let options = Conv2dOptions {
            padding: Padding::all((kernel - 1) / 2),
            activation,
            ..Conv2dOptions::default()
        };
        Self {
            conv: "conv",
            norm: "norm",
            shape: [out_channels, in_channels, kernel, kernel],
            eps,
            options,
        }
    }

    /// Reads convolution and normalisation and builds the one layer they make.
    pub(super) fn load(&self, params: &Params) -> Result<Conv2d, DFineError> {
        let (weight, bias) = self.folded(params)?;
        build_conv(params, &weight, &bias, self.options)
    }

    /// Weight and bias with the normalisation folded in, in f64.
    pub(super) fn folded(&self, params: &Params) -> Result<(Tensor, Tensor), DFineError> {
        let out = self.shape[0];
        let weight = params.scope(self.conv).get("weight", &self.shape)?;
        let norm = params.scope(self.norm);
        let read = |name: &str| -> Result<Tensor, DFineError> {
            Ok(norm.get(name, &[out])?.to_dtype(DType::F64)?)
        };
        let (gamma, beta, mean, var) = (
            read("weight")?,
            read("bias")?,
            read("running_mean")?,
            read("running_var")?,
        );
        let scale = (gamma / (var + self.eps)?.sqrt()?)?;
        let bias = (beta - (mean * &scale)?)?;
        Ok((
            weight
                .to_dtype(DType::F64)?
                .broadcast_mul(&scale.reshape((out, 1, 1, 1))?)?,
            bias,
        ))
    }
}

/// A layer from folded f64 weight and bias.
pub(super) fn build_conv(
    params: &Params,
    weight: &Tensor,
    bias: &Tensor,
    options: Conv2dOptions,
) -> Result<Conv2d, DFineError> {
    let weight = weight.to_dtype(DType::F32)?.contiguous()?;
    Ok(Conv2d::new(
        &params.place(&weight)?,
        Some(&params.place(&bias.to_dtype(DType::F32)?)?),
        options,
    )?)
}

/// A layer from weight and bias.
pub(super) fn build_linear(
    params: &Params,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Linear, DFineError> {
    Ok(Linear::new(
        &params.place(weight)?,
        Some(&params.place(bias)?),
        activation,
    )?)
}

/// `weight` and `bias` of a fully connected layer.
pub(super) fn linear(
    params: &Params,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Result<Linear, DFineError> {
    build_linear(
        params,
        &params.get("weight", &[outputs, inputs])?,
        &params.get("bias", &[outputs])?,
        activation,
    )
}

/// `weight` and `bias` of a layer normalisation.
pub(super) fn layer_norm(
    params: &Params,
    channels: usize,
    eps: f64,
) -> Result<LayerNorm, DFineError> {
    let read = |name: &str| params.place(&params.get(name, &[channels])?);
    Ok(LayerNorm::new(&read("weight")?, &read("bias")?, eps as f32))
}

/// A perceptron: fully connected layers, ReLU between them. It computes in f32 whatever its input's type.
#[derive(Debug, Clone)]
pub(super) struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Layers `layers.0`, `layers.1`, … of the channels in `dims`, one more than there are layers; `end` follows the last.
    pub(super) fn load(
        params: &Params,
        dims: &[usize],
        end: Activation,
    ) -> Result<Self, DFineError> {
        Self::load_repeated(params, dims, end, 1)
    }

    /// As [`Mlp::load`], all outputs of the last layer `times` over.
    pub(super) fn load_repeated(
        params: &Params,
        dims: &[usize],
        end: Activation,
        times: usize,
    ) -> Result<Self, DFineError> {
        let last = dims.len().saturating_sub(2);
        let layer = |(i, pair): (usize, &[usize])| -> Result<Linear, DFineError> {
            let params = params.scope("layers").scope(i);
            let (mut weight, mut bias) = (
                params.get("weight", &[pair[1], pair[0]])?,
                params.get("bias", &[pair[1]])?,
            );
            if i == last && times > 1 {
                (weight, bias) = (weight.repeat((times, 1))?, bias.repeat(times)?);
            }
            let activation = if i < last { Activation::Relu } else { end };
            Ok(build_linear(&params, &weight, &bias, activation)?.with_precision(Precision::F32))
        };
        Ok(Self {
            layers: dims
                .windows(2)
                .enumerate()
                .map(layer)
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> ops::Result<Tensor> {
        self.layers
            .iter()
            .try_fold(x.clone(), |x, layer| layer.forward(&x))
    }

    /// As [`Mlp::forward`], `residual` (f32) being added before what follows the last layer.
    pub(super) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> ops::Result<Tensor> {
        let Some((last, rest)) = self.layers.split_last() else {
            return Ok(residual.clone());
        };
        let x = rest
            .iter()
            .try_fold(x.clone(), |x, layer| layer.forward(&x))?;
        last.forward_add(&x, residual)
    }
}

/// Brings numbers that were computed while loading (or for a new input size) to the model's device.
pub(super) fn constant(
    values: Vec<f32>,
    shape: impl Into<Shape>,
    device: &Device,
) -> ops::Result<Tensor> {
    ops::constant(&values, shape, device)
}
