//! Pointwise functions, sums and softmax.

use super::{cpu, cuda, types::activation::Activation, types::result::Result};
use candle_core::Tensor;

/// A pointwise function of all numbers of x.
///
/// # Errors
/// If x is not f32.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    if cpu::is_cpu(x) {
        cpu::activate(x, activation)
    } else {
        cuda::activate(x, activation)
    }
}

/// a + b; b has a's shape, or that with leading dimensions of 1 (or without them), over which it repeats. The result has a's type.
///
/// # Errors
/// If the shapes do not fit.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        let (longer, shorter) = (a.dims(), b.dims());
        let whole = shorter
            .iter()
            .position(|&d| d != 1)
            .map_or(&shorter[shorter.len()..], |first| &shorter[first..]);
        if shorter.len() > longer.len() || !longer.ends_with(whole) {
            candle_core::bail!("add: {:?} and {:?}", a.shape(), b.shape());
        }
        return if cpu::is_cpu(a) {
            a.broadcast_add(b)
        } else {
            cuda::add(a, b)
        };
    }
    if cpu::is_cpu(a) {
        cpu::add(a, b)
    } else {
        cuda::add(a, b)
    }
}

/// Softmax over the last dimension.
///
/// # Errors
/// If x has no dimensions.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if cpu::is_cpu(x) {
        cpu::softmax(x)
    } else {
        cuda::softmax(x)
    }
}

/// Tensors `[…, channels]` of the same leading dimensions side by side: `[…, sum of channels]`.
///
/// # Errors
/// If there are none or the leading dimensions differ.
pub fn concat_channels(parts: &[&Tensor]) -> Result<Tensor> {
    match parts {
        [first, ..] if cpu::is_cpu(first) => cpu::concat_channels(parts),
        _ => cuda::concat_channels(parts),
    }
}
