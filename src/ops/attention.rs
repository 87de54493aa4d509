//! Scaled dot-product attention.

use super::{Result, composed};
use candle_core::Tensor;

/// `softmax(q·kᵀ·scale + bias)·v` over heads laid side by side in the channels.
///
/// q `[B, Nq, heads·d]`, k `[B, Nk, heads·d]`, v `[B, Nk, heads·dv]`, bias `[heads, Nq, Nk]` or none: `[B, Nq, heads·dv]`.
/// The softmax is over the keys, in f32.
///
/// # Errors
/// If the shapes do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, scale: f32, bias: Option<&Tensor>) -> Result<Tensor> {
    composed::attention(q, k, v, heads, scale, bias)
}
