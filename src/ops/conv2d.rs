//! Two-dimensional convolution with folded weights, bias and activation.

use super::{Activation, Result, composed, cpu};
use candle_core::Tensor;
use std::sync::Arc;

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
    weights: Weights,
    options: Conv2dOptions,
}

/// Weights as the device's code takes them.
#[derive(Debug, Clone)]
enum Weights {
    Cpu(Arc<cpu::Conv2d>),
    Composed { weight: Tensor, bias: Option<Tensor> },
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
        let weights = if cpu::is_cpu(weight) {
            Weights::Cpu(Arc::new(cpu::Conv2d::new(weight, bias, &options)?))
        } else {
            Weights::Composed { weight: weight.clone(), bias: bias.cloned() }
        };
        Ok(Self { weights, options })
    }

    /// `affine(activation(conv(x) + bias))` for x `[B, H, W, in]`: `[B, H', W', out]`.
    ///
    /// # Errors
    /// If x has another number of channels or is smaller than the kernel.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None)
    }

    /// `affine(activation(conv(x) + bias + residual))`, `residual` having the output's shape.
    ///
    /// # Errors
    /// As [`Conv2d::forward`], or if the residual has another shape than the output.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(x, Some(residual))
    }

    fn run(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        match &self.weights {
            Weights::Cpu(weights) => weights.forward(x, residual, &self.options),
            Weights::Composed { weight, bias } => composed::conv2d(x, weight, bias.as_ref(), residual, &self.options),
        }
    }
}
