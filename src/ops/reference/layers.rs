//! Layers and pointwise functions, by those of candle-nn.

use crate::ops::types::{
    activation::Activation,
    convolution::{Conv2dOptions, Padding},
    result::Result,
};
use candle_core::{D, Tensor};
use candle_nn::{Conv2dConfig, Module};

/// A pointwise function.
///
/// # Errors
/// Candle's.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(x.clone()),
        Activation::Relu => candle_nn::Activation::Relu.forward(x),
        // The exact one: candle-nn has the tanh approximation as `NewGelu`.
        Activation::Gelu => candle_nn::Activation::Gelu.forward(x),
        Activation::Silu => candle_nn::Activation::Silu.forward(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::Clamp(limit) => x.clamp(-limit, limit),
    }
}

/// 1 / (1 + e^-x).
///
/// # Errors
/// Candle's.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::sigmoid(x)
}

/// See [`crate::ops::Conv2d::forward_add`]; `weight` `[out, in/groups, kh, kw]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
    o: &Conv2dOptions,
) -> Result<Tensor> {
    let x = x.permute((0, 3, 1, 2))?;
    let p = o.padding;
    let x = x
        .pad_with_zeros(2, p.top, p.bottom)?
        .pad_with_zeros(3, p.left, p.right)?
        .contiguous()?;
    let config = Conv2dConfig {
        stride: o.stride,
        groups: o.groups,
        ..Conv2dConfig::default()
    };
    let conv = candle_nn::Conv2d::new(weight.clone(), bias.cloned(), config);
    let y = conv.forward(&x)?.permute((0, 2, 3, 1))?.contiguous()?;
    finish(y, residual, o.activation, o.affine)
}

/// See [`crate::ops::Linear::forward_add`]; `weight` `[out, in]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let (out, inner) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = out;
    }
    let layer = candle_nn::Linear::new(weight.clone(), bias.cloned());
    let y = layer
        .forward(&x.contiguous()?.reshape(((), inner))?)?
        .reshape(shape)?;
    finish(y, residual, activation, None)
}

fn finish(
    mut y: Tensor,
    residual: Option<&Tensor>,
    activation: Activation,
    affine: Option<(f32, f32)>,
) -> Result<Tensor> {
    if let Some(residual) = residual {
        y = (y + residual)?;
    }
    y = activate(&y, activation)?;
    if let Some((scale, shift)) = affine {
        y = y.affine(f64::from(scale), f64::from(shift))?;
    }
    Ok(y)
}

/// See [`crate::ops::LayerNorm::forward`].
///
/// # Errors
/// If the shapes do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    // Not `candle_nn::LayerNorm`, whose variance is the mean of squares less the square of the mean: far from zero it loses digits.
    candle_nn::ops::layer_norm_slow(x, weight, bias, eps)
}

/// Softmax over the last dimension.
///
/// # Errors
/// Candle's.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax(x, D::Minus1)
}

/// See [`crate::ops::max_pool2d`].
///
/// # Errors
/// If the shapes do not fit.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize, p: Padding) -> Result<Tensor> {
    let x = x
        .permute((0, 3, 1, 2))?
        .pad_with_zeros(2, p.top, p.bottom)?
        .pad_with_zeros(3, p.left, p.right)?;
    x.contiguous()?
        .max_pool2d_with_stride(kernel, stride)?
        .permute((0, 2, 3, 1))?
        .contiguous()
}

/// See [`crate::ops::upsample_nearest2x`].
///
/// # Errors
/// If x has not four dimensions.
pub fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    x.reshape((b, h, 1, w, 1, c))?
        .broadcast_as((b, h, 2, w, 2, c))?
        .contiguous()?
        .reshape((b, 2 * h, 2 * w, c))
}
