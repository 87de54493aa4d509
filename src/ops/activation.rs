//! Pointwise functions, sums and softmax.

use super::{Result, composed, cpu};
use candle_core::Tensor;

/// A pointwise function applied to a layer's output.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Activation {
    /// None: the identity.
    #[default]
    Identity,
    /// max(x, 0).
    Relu,
    /// x·Φ(x) by the error function, not its tanh approximation.
    Gelu,
    /// x·sigmoid(x).
    Silu,
    /// 1 / (1 + e^-x).
    Sigmoid,
}

/// A pointwise function of all numbers of x.
///
/// # Errors
/// If x is not f32.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    if cpu::is_cpu(x) { cpu::activate(x, activation) } else { composed::activate(x, activation) }
}

/// a + b, both of the same shape.
///
/// # Errors
/// If the shapes differ.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if cpu::is_cpu(a) { cpu::add(a, b) } else { a + b }
}

/// Softmax over the last dimension.
///
/// # Errors
/// If x has no dimensions.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if cpu::is_cpu(x) { cpu::softmax(x) } else { composed::softmax(x) }
}

/// Tensors `[…, channels]` of the same leading dimensions side by side: `[…, sum of channels]`.
///
/// # Errors
/// If there are none or the leading dimensions differ.
pub fn concat_channels(parts: &[&Tensor]) -> Result<Tensor> {
    match parts {
        [first, ..] if cpu::is_cpu(first) => cpu::concat_channels(parts),
        _ => Tensor::cat(parts, candle_core::D::Minus1),
    }
}
