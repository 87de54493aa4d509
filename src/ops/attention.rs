//! Scaled dot-product attention.

use super::{Result, composed, cpu};
use candle_core::Tensor;

/// `softmax(q·kᵀ·scale + bias)·v` over heads laid side by side in the channels.
///
/// q `[B, Nq, heads·d]`, k `[B, Nk, heads·d]`, v `[B, Nk, heads·dv]`, bias `[heads, Nq, Nk]` or none: `[B, Nq, heads·dv]`.
/// The softmax is over the keys, in f32.
///
/// # Errors
/// If the shapes do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, scale: f32, bias: Option<&Tensor>) -> Result<Tensor> {
    if cpu::is_cpu(q) { cpu::attention(q, k, v, heads, scale, bias) } else { composed::attention(q, k, v, heads, scale, bias) }
}

/// [`attention`] within windows of `window`×`window` tokens of a map.
///
/// - `qkv` `[B, H, W, 3·heads·d]`: each token's queries of all heads, then its keys, then its values;
/// - `padding` `[3·heads·d]`: the same for the tokens that fill up the map at right and bottom to whole windows; they are
///   attended to, but have no output;
/// - `bias` `[heads, window², window²]` or none, tokens of a window row by row.
///
/// Gives `[B, H, W, heads·d]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn window_attention(qkv: &Tensor, padding: &Tensor, window: usize, heads: usize, scale: f32, bias: Option<&Tensor>) -> Result<Tensor> {
    if cpu::is_cpu(qkv) {
        cpu::window_attention(qkv, padding, window, heads, scale, bias)
    } else {
        composed::window_attention(qkv, padding, window, heads, scale, bias)
    }
}
