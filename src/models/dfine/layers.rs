//! The layers of D-FINE: convolutions with batch normalisation folded in f64, perceptrons that compute in f32.

use super::error::DFineError;
use crate::{
    models::nn::{ConvNorm, Mlp},
    ops::{self, Activation, Conv2dOptions, LinearPrecision, Padding, Params},
};
use candle_core::{DType, Device, Shape, Tensor};

/// A convolution and its normalisation, with the encoder's names, stride 1 and the padding that keeps the size.
pub(super) fn encoder_conv(
    in_channels: usize,
    out_channels: usize,
    kernel: usize,
    eps: f64,
    activation: Activation,
) -> ConvNorm {
    let options = Conv2dOptions {
        padding: Padding::all((kernel - 1) / 2),
        activation,
        ..Conv2dOptions::default()
    };
    ConvNorm {
        conv: "conv",
        norm: "norm",
        shape: [out_channels, in_channels, kernel, kernel],
        eps,
        fold_in: DType::F64,
        options,
    }
}

/// A perceptron that computes in f32 whatever its input's type; `end` follows the last layer.
pub(super) fn mlp(params: &Params, dims: &[usize], end: Activation) -> Result<Mlp, DFineError> {
    mlp_repeated(params, dims, end, 1)
}

/// Like [`mlp`], with all outputs of the last layer repeated `times`.
pub(super) fn mlp_repeated(
    params: &Params,
    dims: &[usize],
    end: Activation,
    times: usize,
) -> Result<Mlp, DFineError> {
    let precisions = (LinearPrecision::F32, LinearPrecision::F32);
    Ok(Mlp::load_repeated(params, dims, end, precisions, times)?)
}

/// Uploads numbers that were computed while loading (or for a new input size) to the model's device.
pub(super) fn constant(
    values: Vec<f32>,
    shape: impl Into<Shape>,
    device: &Device,
) -> ops::Result<Tensor> {
    ops::constant(&values, shape, device)
}
