//! Options and inputs of convolutions and products.

use super::activation::Activation;
use crate::engine::Precision;
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
pub(in crate::ops) struct Residual<'a> {
    pub(in crate::ops) map: &'a Tensor,
    /// To the result, not before the activation.
    pub(in crate::ops) last: bool,
}

/// One of several maps side by side.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// `[B, H, W, C]`.
    pub map: &'a Tensor,
    /// Whether each of its pixels stands for four ([`crate::ops::upsample_nearest2x`]).
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

/// What products on the CPU multiply in. Their inputs, sums and results are f32 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Products {
    /// The numbers as they are.
    #[default]
    F32,
    /// Both factors rounded to bf16. Fast where the processor has instructions for it ([`crate::engine::multiplies_bf16`]).
    Bf16,
}

impl Products {
    /// bf16 where either is.
    pub(crate) fn or(self, other: Self) -> Self {
        match self {
            Self::F32 => other,
            Self::Bf16 => self,
        }
    }
}

impl From<Precision> for Products {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Bf16 => Self::Bf16,
            Precision::Auto | Precision::F32 | Precision::F16 => Self::F32,
        }
    }
}

/// What a layer computes in where its input, or the CPU's products, have 16 bits. Sums are always in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinearPrecision {
    /// Weights and result in the input's type.
    #[default]
    Input,
    /// Weights in the input's type, the result in f32.
    F32Result,
    /// Weights and result in f32, as a residual must be.
    F32,
}
