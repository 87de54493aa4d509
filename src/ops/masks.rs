//! From mask logits to run lengths at the frame's resolution.

use super::{Result, composed};
use candle_core::Tensor;

/// One mask at the frame's resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedMask {
    /// Column-major run lengths, zeros first (COCO's order).
    pub counts: Vec<u32>,
    /// Pixels inside.
    pub area: u64,
}

/// Brings low-resolution logits to the frame and thresholds them at 0, as SAM's `postprocess_masks` does: bilinear
/// (`align_corners=False`) from `[N, h, w]` to `side`×`side`, cropped to `scaled` (height, width), bilinear to `frame` (height, width), > 0.
///
/// # Errors
/// If `logits` has not three dimensions or a size is 0.
pub fn masks_to_runs(logits: &Tensor, side: usize, scaled: (usize, usize), frame: (usize, usize)) -> Result<Vec<PackedMask>> {
    composed::masks_to_runs(logits, side, scaled, frame)
}
