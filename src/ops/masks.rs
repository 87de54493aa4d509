//! From mask logits to run lengths at the frame's resolution.

use super::{
    cpu, cuda,
    linear::Linear,
    norm::LayerNorm,
    types::{
        activation::Activation,
        masks::{PackedMask, STATISTICS, SlotRows, mask_words, packed_words},
        result::Result,
    },
};
use candle_core::{DType, Tensor};
use candle_nn::Module;

/// Logits of masks `[N, M, 4·side, 4·side]` f32: each pixel's channels times those of each mask, `weights` `[N, M, C]` f32.
///
/// `pixels` `[N, 16·side², C]` come as two doublings of a map of `side`² left them: row, column, then row and column within the pixel
/// of the first doubling, and within that of the second.
///
/// # Errors
/// If the shapes do not fit.
pub fn mask_logits(pixels: &Tensor, weights: &Tensor, side: usize) -> Result<Tensor> {
    if !cpu::is_cpu(pixels) {
        return cuda::mask_logits(pixels, weights, side);
    }
    let (n, m, _) = weights.dims3()?;
    let masks = weights
        .matmul(&pixels.t()?)?
        .reshape(&[n, m, side, side, 2, 2, 2, 2][..])?;
    masks
        .permute(vec![0, 1, 2, 4, 6, 3, 5, 7])?
        .contiguous()?
        .reshape((n, m, 4 * side, 4 * side))
}

/// [`mask_logits`] of `second(GELU(norm(x)))` for x `[N, 4·side², inputs]`, the result of the first doubling: `second` gives the pixels of the second one
/// side by side, `[N, 4·side², 4·C]`, which on a GPU are not kept where numbers are of 16 bits and the layers are SAM's, for up to four masks.
///
/// # Errors
/// As each layer's `forward` and [`mask_logits`].
pub fn upscale_to_masks(
    x: &Tensor,
    norm: &LayerNorm,
    second: &Linear,
    weights: &Tensor,
    side: usize,
) -> Result<Tensor> {
    if let Some(layer) = second.on_device()
        && let Some(logits) = cuda::upscale_to_masks(x, &norm.device_norm(), layer, weights, side)?
    {
        return Ok(logits);
    }
    let (n, _, c) = weights.dims3()?;
    let pixels = second.forward(&norm.forward_activated(x, Activation::Gelu)?)?;
    mask_logits(&pixels.reshape((n, 16 * side * side, c))?, weights, side)
}

/// Brings low-resolution logits to the frame and thresholds them at 0, as SAM's `postprocess_masks` does: bilinear
/// (`align_corners=False`) from `[N, h, w]` to `side`×`side`, cropped to `scaled` (height, width), bilinear to `frame` (height, width), > 0.
///
/// # Errors
/// If `logits` has not three dimensions or a size is 0.
pub fn masks_to_runs(
    logits: &Tensor,
    side: usize,
    scaled: (usize, usize),
    frame: (usize, usize),
) -> Result<Vec<PackedMask>> {
    check_sizes(logits, side, scaled, frame)?;
    if !cpu::is_cpu(logits) {
        candle_core::bail!("masks_to_runs: on a GPU masks become bits first (masks_to_bits)");
    }
    cpu::masks_to_runs(logits, side, scaled, frame)
}

fn check_sizes(
    logits: &Tensor,
    side: usize,
    scaled: (usize, usize),
    frame: (usize, usize),
) -> Result<()> {
    let (_, h, w) = logits.dims3()?;
    let sizes = [h, w, side, scaled.0, scaled.1, frame.0, frame.1];
    if sizes.contains(&0)
        || scaled.0 > side
        || scaled.1 > side
        || frame
            .0
            .checked_mul(frame.1)
            .is_none_or(|n| n > u32::MAX as usize)
    {
        candle_core::bail!(
            "masks: {:?} by {side} and {scaled:?} to {frame:?}",
            logits.shape()
        );
    }
    Ok(())
}

/// As [`masks_to_runs`], the masks staying on the device: u32 `[N, numbers]`, each row made of area, frame width - left, frame
/// height - top, right and bottom of the mask's tight box (all 0 for an empty one), its score (0 here), height and width of the frame, then its
/// bits column by column, each column in words of 32 rows, the lowest bit being the first row. [`super::bits_to_runs`] reads them on the
/// host; [`super::mask_is_finite`] says whether all logits were finite.
///
/// # Errors
/// As [`masks_to_runs`], and for logits on the CPU, where masks become runs at once.
pub fn masks_to_bits(
    logits: &Tensor,
    side: usize,
    scaled: (usize, usize),
    frame: (usize, usize),
) -> Result<Tensor> {
    check_sizes(logits, side, scaled, frame)?;
    if cpu::is_cpu(logits) {
        candle_core::bail!("masks_to_bits: on the CPU masks become runs at once (masks_to_runs)");
    }
    let (n, h, w) = logits.dims3()?;
    let bits = Tensor::zeros((n, mask_words(frame)), DType::U32, logits.device())?;
    cuda::masks_to_bits(
        (&logits.reshape((n, 1, h, w))?, None),
        side,
        scaled,
        frame,
        None,
        &bits,
    )?;
    Ok(bits)
}

/// As [`masks_to_bits`] for objects with M masks each, logits `[N, M, h, w]` and `scores` `[N, M]`, both f32: the mask with the greatest
/// score, the first among equals, goes to its row of `out` u32 `[N, at least mask_words(frame)]`, with the bits of its score: NaN if any of
/// the M is not finite. With `rows` only rows in use that belong to its frames are written.
///
/// # Errors
/// As [`masks_to_bits`].
pub fn best_masks_to_bits(
    (logits, scores): (&Tensor, &Tensor),
    side: usize,
    scaled: (usize, usize),
    frame: (usize, usize),
    rows: Option<&SlotRows<'_>>,
    out: &Tensor,
) -> Result<()> {
    let (n, m, h, w) = logits.dims4()?;
    check_sizes(&logits.reshape((n * m, h, w))?, side, scaled, frame)?;
    if cpu::is_cpu(logits)
        || m == 0
        || scores.dims() != [n, m]
        || out.dim(0)? != n
        || out.dim(1)? < mask_words(frame)
        || rows.is_some_and(|rows| rows.owners.dims() != [1 + n])
    {
        candle_core::bail!(
            "best_masks_to_bits: {:?} with {:?} to {:?}, on a GPU only",
            logits.shape(),
            scores.shape(),
            out.shape()
        );
    }
    cuda::masks_to_bits((logits, Some(scores)), side, scaled, frame, rows, out)
}

/// Moves masks together on the GPU, for one transfer that is hardly larger than what they hold: `rows` u32 `[N, numbers]` of
/// [`best_masks_to_bits`] to `out` u32 `[packed_words(N, room)]`, which [`super::PackedMasks`] reads. Of each mask the words of its tight box's columns
/// that its tight box reaches into are kept. With `in_use`, u32 `[1]`, rows from that number on are left out. What does not fit into the room is
/// left out; [`super::PackedMasks::needed`] says so.
///
/// # Errors
/// If the shapes do not fit, or for tensors on the CPU.
pub fn pack_masks(rows: &Tensor, in_use: Option<&Tensor>, out: &Tensor) -> Result<()> {
    let (n, numbers) = rows.dims2()?;
    if cpu::is_cpu(rows)
        || numbers < STATISTICS
        || out.dims1()? < packed_words(n, 0)
        || in_use.is_some_and(|in_use| in_use.elem_count() != 1)
    {
        candle_core::bail!(
            "pack_masks: {:?} to {:?}, on a GPU only",
            rows.shape(),
            out.shape()
        );
    }
    cuda::pack_masks(rows, in_use, out)
}
