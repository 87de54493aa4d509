//! Multi-scale deformable attention (Zhu et al., 2021), with D-FINE's number of points a level.

use super::{Result, cpu, cuda};
use candle_core::Tensor;

/// Samples `value` bilinearly at `locations` on each level and adds the samples up by `weights`.
///
/// - `value` `[B, Σ Hₗ·Wₗ, heads·d]`: the levels' maps one after another, each row-major;
/// - `levels`: (height, width) of each level; `points`: sampling points of each level;
/// - `locations` `[B, Q, heads, Σ points, 2]`: x, y in 0..1 of the level, pixel centres at (i + ½)/size, zeros outside
///   (`grid_sample` with `align_corners=False`);
/// - `weights` `[B, Q, heads, Σ points]`, already through the softmax.
///
/// Gives `[B, Q, heads·d]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn deformable_attention(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    locations: &Tensor,
    weights: &Tensor,
) -> Result<Tensor> {
    if cpu::is_cpu(value) {
        cpu::deformable_attention(value, levels, points, locations, weights)
    } else {
        cuda::deformable_attention(value, levels, points, locations, weights)
    }
}

/// [`deformable_attention`] around boxes.
///
/// - `boxes` `[B, Q, 4]` f32: cx, cy, w, h in 0..1;
/// - `sampled` `[B, Q, 3·heads·Σ points]` f32: first the sampling points of all heads (x, y), each from its box's centre in units of
///   the box's extent; then their weights, before the softmax over the points of a head.
///
/// # Errors
/// If the shapes do not fit.
pub fn deformable_attention_around(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    heads: usize,
    boxes: &Tensor,
    sampled: &Tensor,
) -> Result<Tensor> {
    if cpu::is_cpu(value) {
        cpu::deformable_attention_around(value, levels, points, heads, boxes, sampled)
    } else {
        cuda::deformable_attention_around(value, levels, points, heads, boxes, sampled)
    }
}
