//! Two-dimensional convolution with folded weights, bias and activation.

use super::{Activation, Result, composed};
use candle_core::Tensor;

/// Zeros added at each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// The same number of zeros at all sides.
    pub const fn all(n: usize) -> Self {
        Self { top: n, bottom: n, left: n, right: n }
    }
}

/// How a convolution slides and what follows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2dOptions {
    /// Step in both directions.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Groups: 1, or as many as there are channels (depthwise), or between.
    pub groups: usize,
    /// Applied to the sum of convolution, bias and residual.
    pub activation: Activation,
    /// `scale·y + shift` after the activation (HGNetv2's learnable affine block).
    pub affine: Option<(f32, f32)>,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self { stride: 1, padding: Padding::default(), groups: 1, activation: Activation::Identity, affine: None }
    }
}

/// A convolution ready to run.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    options: Conv2dOptions,
}

impl Conv2d {
    /// A convolution by `weight` `[out, in/groups, kernel_h, kernel_w]` and `bias` `[out]`, both f32.
    ///
    /// # Errors
    /// If the shapes do not fit each other and `options.groups`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, options: Conv2dOptions) -> Result<Self> {
        let (out, _, _, _) = weight.dims4()?;
        if options.groups == 0 || out % options.groups != 0 {
            candle_core::bail!("conv2d: {out} output channels do not divide into {} groups", options.groups);
        }
        if let Some(bias) = bias
            && bias.dims() != [out]
        {
            candle_core::bail!("conv2d: bias of shape {:?} for {out} output channels", bias.dims());
        }
        Ok(Self { weight: weight.clone(), bias: bias.cloned(), options })
    }

    /// `affine(activation(conv(x) + bias))` for x `[B, H, W, in]`: `[B, H', W', out]`.
    ///
    /// # Errors
    /// If x has another number of channels or is smaller than the kernel.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        composed::conv2d(x, &self.weight, self.bias.as_ref(), None, &self.options)
    }

    /// `affine(activation(conv(x) + bias + residual))`, `residual` having the output's shape.
    ///
    /// # Errors
    /// As [`Conv2d::forward`], or if the residual has another shape than the output.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        composed::conv2d(x, &self.weight, self.bias.as_ref(), Some(residual), &self.options)
    }
}
