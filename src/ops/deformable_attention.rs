//! Multi-scale deformable attention (Zhu et al., 2021), with D-FINE's number of points a level.

use super::{Result, composed, cpu};
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
        composed::deformable_attention(value, levels, points, locations, weights)
    }
}
