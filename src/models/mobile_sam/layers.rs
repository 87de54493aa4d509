//! The layers of MobileSAM by the names that its authors gave their tensors.

use super::error::Loaded;
use crate::{
    models::nn::{ConvNorm, Mlp},
    ops::{Activation, Conv2d, Conv2dOptions, Linear, LinearPrecision, Padding, Params},
};
use candle_core::DType;

/// PyTorch's default of `BatchNorm2d` and `LayerNorm`.
pub(super) const EPS: f64 = 1e-5;
/// SAM's `LayerNorm2d`.
pub(super) const EPS_2D: f64 = 1e-6;

/// TinyViT's `Conv2d_BN`: convolution `c` and batch normalisation `bn`, folded in f32.
fn conv_norm(shape: [usize; 4], options: Conv2dOptions) -> ConvNorm {
    ConvNorm {
        conv: "c",
        norm: "bn",
        shape,
        eps: EPS,
        fold_in: DType::F32,
        options,
    }
}

fn point(inputs: usize, outputs: usize, activation: Activation) -> ConvNorm {
    let options = Conv2dOptions {
        activation,
        ..Conv2dOptions::default()
    };
    conv_norm([outputs, inputs, 1, 1], options)
}

/// A 1×1 convolution with batch normalisation, as the matrix product over channels that it is.
pub(super) fn pointwise(
    params: &Params,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Loaded<Linear> {
    Ok(point(inputs, outputs, activation).load_linear(params)?)
}

/// A 1×1 convolution with batch normalisation.
pub(super) fn conv1x1(
    params: &Params,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Loaded<Conv2d> {
    Ok(point(inputs, outputs, activation).load(params)?)
}

/// A 3×3 convolution with padding 1 and batch normalisation.
pub(super) fn conv3x3(
    params: &Params,
    inputs: usize,
    outputs: usize,
    groups: usize,
    stride: usize,
    activation: Activation,
) -> Loaded<Conv2d> {
    let options = Conv2dOptions {
        stride,
        padding: Padding::all(1),
        groups,
        activation,
        affine: None,
    };
    Ok(conv_norm([outputs, inputs / groups, 3, 3], options).load(params)?)
}

/// SAM's `MLP`, `sizes` from input to output; the result is f32 whatever the input's type.
pub(super) fn mlp(params: &Params, sizes: &[usize]) -> Loaded<Mlp> {
    let precisions = (LinearPrecision::Input, LinearPrecision::F32Result);
    Ok(Mlp::load(params, sizes, Activation::Identity, precisions)?)
}
