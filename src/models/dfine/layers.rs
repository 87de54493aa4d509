//! The layers of D-FINE: convolutions with batch normalisation folded in f64, perceptrons whose results are f32.

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

/// Fewest inputs of a perceptron that are features, not coordinates or statistics.
const FEATURES: usize = 32;

/// What a layer computes in whose input are features and whose result is f32. Products in bf16 do on the CPU, where sums and results stay in
/// f32; on a GPU such layers are kernels that compute in f32.
pub(super) fn of_features(params: &Params) -> LinearPrecision {
    if params.device().is_cpu() {
        LinearPrecision::Input
    } else {
        LinearPrecision::F32
    }
}

/// A perceptron that computes in f32 whatever its input's type, but for the layers that [`of_features`] are; `end` follows the last layer.
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
    let hidden = match dims.first() {
        Some(&inputs) if inputs >= FEATURES => of_features(params),
        _ => LinearPrecision::F32,
    };
    let precisions = (hidden, LinearPrecision::F32);
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
