//! Two-dimensional convolution with folded weights, bias and activation.

use super::{Activation, Result, add, concat_channels, cpu, cuda, upsample_nearest2x};
use candle_core::Tensor;
use candle_nn::Module;
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
        Self {
            top: n,
            bottom: n,
            left: n,
            right: n,
        }
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
        Self {
            stride: 1,
            padding: Padding::default(),
            groups: 1,
            activation: Activation::Identity,
            affine: None,
        }
    }
}

/// What is added to a convolution's sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Residual<'a> {
    pub(super) map: &'a Tensor,
    /// To the result, not before the activation.
    pub(super) last: bool,
}

/// One of several maps side by side.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// `[B, H, W, C]`.
    pub map: &'a Tensor,
    /// Whether each of its pixels stands for four ([`upsample_nearest2x`]).
    pub doubled: bool,
}

impl<'a> From<&'a Tensor> for Part<'a> {
    fn from(map: &'a Tensor) -> Self {
        Self {
            map,
            doubled: false,
        }
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
    Cuda(Arc<cuda::Conv2d>),
}

impl Conv2d {
    /// A convolution by `weight` `[out, in/groups, kernel_h, kernel_w]` and `bias` `[out]`, both f32.
    ///
    /// # Errors
    /// If the shapes do not fit each other and `options.groups`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, options: Conv2dOptions) -> Result<Self> {
        let (out, _, _, _) = weight.dims4()?;
        if options.groups == 0 || out % options.groups != 0 {
            candle_core::bail!(
                "conv2d: {out} output channels do not divide into {} groups",
                options.groups
            );
        }
        if let Some(bias) = bias
            && bias.dims() != [out]
        {
            candle_core::bail!(
                "conv2d: bias of shape {:?} for {out} output channels",
                bias.dims()
            );
        }
        let weights = if cpu::is_cpu(weight) {
            Weights::Cpu(Arc::new(cpu::Conv2d::new(weight, bias, &options)?))
        } else {
            Weights::Cuda(Arc::new(cuda::Conv2d::new(weight, bias, &options)?))
        };
        Ok(Self { weights, options })
    }

    /// `affine(activation(conv(x) + bias + residual))`, `residual` having the output's shape.
    ///
    /// # Errors
    /// As [`Conv2d::forward`], or if the residual has another shape than the output.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(
            x,
            Some(Residual {
                map: residual,
                last: false,
            }),
        )
    }

    /// `affine(activation(conv(x) + bias)) + residual`, `residual` having the output's shape.
    ///
    /// # Errors
    /// As [`Conv2d::forward_add`].
    pub fn forward_then_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(
            x,
            Some(Residual {
                map: residual,
                last: true,
            }),
        )
    }

    /// [`Conv2d::forward`] for maps laid side by side in the channels, which 1×1 convolutions on a GPU read where they lie.
    ///
    /// # Errors
    /// As [`Conv2d::forward`], or if the maps have different sizes.
    pub fn forward_parts(&self, parts: &[Part<'_>]) -> Result<Tensor> {
        if let Weights::Cuda(weights) = &self.weights
            && let Some(y) = weights.forward_parts(parts, &self.options)?
        {
            return Ok(y);
        }
        let map = |part: &Part<'_>| {
            if part.doubled {
                upsample_nearest2x(part.map)
            } else {
                Ok(part.map.clone())
            }
        };
        let maps = parts.iter().map(map).collect::<Result<Vec<_>>>()?;
        self.forward(&concat_channels(&maps.iter().collect::<Vec<_>>())?)
    }

    fn run(&self, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        match &self.weights {
            Weights::Cpu(weights) => match residual {
                Some(Residual { map, last: true }) => add(
                    &weights.forward(x, None, &self.options)?,
                    &map.contiguous()?,
                ),
                residual => weights.forward(x, residual.map(|r| r.map), &self.options),
            },
            Weights::Cuda(weights) => weights.forward(x, residual, &self.options),
        }
    }
}

impl Module for Conv2d {
    /// `affine(activation(conv(x) + bias))` for x `[B, H, W, in]`: `[B, H', W', out]`.
    ///
    /// # Errors
    /// If x has another number of channels or is smaller than the kernel.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.run(x, None)
    }
}

/// `project(depthwise(expand(x)))`, `residual` being added before `project`'s activation: an inverted residual block, of
/// which the wide maps in between need not be kept whole.
///
/// # Errors
/// As each layer's `forward`.
pub fn inverted_residual(
    x: &Tensor,
    expand: &Conv2d,
    depthwise: &Conv2d,
    project: &Conv2d,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    if let (Weights::Cpu(first), Weights::Cpu(middle), Weights::Cpu(last)) =
        (&expand.weights, &depthwise.weights, &project.weights)
    {
        let layers = (
            (&**first, &expand.options),
            (&**middle, &depthwise.options),
            (&**last, &project.options),
        );
        if let Some(y) = cpu::inverted_residual(x, layers.0, layers.1, layers.2, residual)? {
            return Ok(y);
        }
    }
    if let (Weights::Cuda(first), Weights::Cuda(middle), Weights::Cuda(last)) =
        (&expand.weights, &depthwise.weights, &project.weights)
    {
        let layers = (
            (&**first, &expand.options),
            (&**middle, &depthwise.options),
            (&**last, &project.options),
        );
        if let Some(y) = cuda::inverted_residual(x, layers.0, layers.1, layers.2, residual)? {
            return Ok(y);
        }
    }
    let residual = residual.map(|map| Residual { map, last: false });
    project.run(&depthwise.forward(&expand.forward(x)?)?, residual)
}
