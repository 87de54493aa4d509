//! Fully connected layers, layer normalisation and convolutions from named tensors.

use super::{BuildError, Built};
use crate::ops::{
    Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, LinearPair, LinearPrecision, Params,
    Products,
};
use candle_core::{DType, Tensor};

/// What products of a model on the CPU multiply in.
pub(crate) fn products(params: &Params) -> Products {
    Products::from(params.precision())
}

/// A convolution from `weight` `[out, in/groups, kernel_h, kernel_w]` and `bias` `[out]` on the host, f32 or f64; both are kept in f32.
pub(crate) fn build_conv(
    params: &Params,
    weight: &Tensor,
    bias: &Tensor,
    options: Conv2dOptions,
) -> Built<Conv2d> {
    let failed = BuildError::tensor("convolution");
    let single = |tensor: &Tensor| tensor.to_dtype(DType::F32)?.contiguous();
    let (weight, bias) = (
        params.place(&single(weight).map_err(&failed)?)?,
        params.place(&single(bias).map_err(&failed)?)?,
    );
    Conv2d::new_in(&weight, Some(&bias), options, products(params)).map_err(failed)
}

/// Two fully connected layers side by side, each by its weight and bias as for [`build_linear`].
pub(crate) fn build_linear_pair(
    params: &Params,
    [first, second]: [(&Tensor, &Tensor); 2],
    activation: Activation,
) -> Built<LinearPair> {
    let failed = BuildError::tensor("linear layers");
    let split = first.0.dim(0).map_err(&failed)?;
    // On the host: a GPU would need a kernel of Candle's for it.
    let weight = Tensor::cat(&[first.0, second.0], 0).map_err(&failed)?;
    let bias = Tensor::cat(&[first.1, second.1], 0).map_err(&failed)?;
    let (weight, bias) = (params.place(&weight)?, params.place(&bias)?);
    LinearPair::new(&weight, &bias, split, activation, products(params)).map_err(failed)
}

/// A fully connected layer from `weight` `[outputs, inputs]` and `bias` `[outputs]`, f32 on the host.
pub(crate) fn build_linear(
    params: &Params,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Built<Linear> {
    build_linear_in(params, weight, bias, activation, LinearPrecision::Input)
}

/// [`build_linear`] with another precision.
pub(crate) fn build_linear_in(
    params: &Params,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
    precision: LinearPrecision,
) -> Built<Linear> {
    let (weight, bias) = (params.place(weight)?, params.place(bias)?);
    Linear::new_in(
        &weight,
        Some(&bias),
        activation,
        precision,
        products(params),
    )
    .map_err(BuildError::tensor("linear layer"))
}

/// The fully connected layer of the tensors `weight` `[outputs, inputs]` and `bias` `[outputs]`.
pub(crate) fn linear(
    params: &Params,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Built<Linear> {
    linear_in(
        params,
        (inputs, outputs),
        activation,
        LinearPrecision::Input,
    )
}

/// [`linear`] of `(inputs, outputs)` with another precision.
pub(crate) fn linear_in(
    params: &Params,
    (inputs, outputs): (usize, usize),
    activation: Activation,
    precision: LinearPrecision,
) -> Built<Linear> {
    let weight = params.get("weight", &[outputs, inputs])?;
    build_linear_in(
        params,
        &weight,
        &params.get("bias", &[outputs])?,
        activation,
        precision,
    )
}

/// The layer normalisation of the tensors `weight` and `bias` `[channels]`; `eps` is added to the variance.
pub(crate) fn layer_norm(params: &Params, channels: usize, eps: f64) -> Built<LayerNorm> {
    let read = |name: &str| params.place(&params.get(name, &[channels])?);
    Ok(LayerNorm::new(&read("weight")?, &read("bias")?, eps as f32))
}
