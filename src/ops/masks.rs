//! From mask logits to run lengths at the frame's resolution.

use super::{
    cpu, cuda,
    types::{
        masks::{PackedMask, STATISTICS, SlotRows, mask_words},
        result::Result,
    },
};
use candle_core::{DType, Tensor};

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

/// In the place of frame width - left: a mask with a logit that is not finite.
const NOT_FINITE: u32 = u32::MAX;

/// As [`masks_to_runs`], the masks staying on the device: u32 `[N, numbers]`, each row made of area, frame width - left, frame
/// height - top, right and bottom of the mask's tight box (all 0 for an empty one), its score (0 here), then its bits column by column, each column in
/// words of 32 rows, the lowest bit being the first row. [`bits_to_runs`] reads them on the host; [`mask_is_finite`] says whether all logits were finite.
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

/// The score that came with the mask of one row of [`best_masks_to_bits`].
pub fn mask_score(row: &[u32]) -> f32 {
    row.get(STATISTICS - 1)
        .map_or(f32::NAN, |&bits| f32::from_bits(bits))
}

/// Whether all logits of the mask of one row of [`masks_to_bits`] were finite.
pub fn mask_is_finite(row: &[u32]) -> bool {
    row.get(1) != Some(&NOT_FINITE)
}

/// The masks of a `frame` (height, width) from the numbers that [`masks_to_bits`] gave.
pub fn bits_to_runs(numbers: &[u32], frame: (usize, usize)) -> Vec<PackedMask> {
    let words = frame.0.div_ceil(32);
    let one = |row: &[u32]| {
        let (mut runs, mut run, mut inside) = (Vec::new(), 0u32, false);
        for column in row.get(STATISTICS..).unwrap_or(&[]).chunks_exact(words) {
            for (i, &word) in column.iter().enumerate() {
                let rows = (frame.0 - 32 * i).min(32) as u32;
                let mut at = 0;
                while at < rows {
                    let rest = word >> at;
                    let same = if inside {
                        rest.trailing_ones()
                    } else {
                        rest.trailing_zeros()
                    }
                    .min(rows - at);
                    (run, at) = (run + same, at + same);
                    if at < rows {
                        runs.push(run);
                        (run, inside) = (0, !inside);
                    }
                }
            }
        }
        runs.push(run);
        PackedMask {
            counts: runs,
            area: row.first().copied().map_or(0, u64::from),
            bounds: bounds_of(row, frame),
        }
    };
    numbers.chunks_exact(mask_words(frame)).map(one).collect()
}

/// The tight box that one row of [`masks_to_bits`] states; none for an empty mask.
fn bounds_of(row: &[u32], (height, width): (usize, usize)) -> Option<[u32; 4]> {
    let &[area, left, top, right, bottom, ..] = row else {
        return None;
    };
    let from_end = |length: usize, distance: u32| {
        u32::try_from(length)
            .unwrap_or(u32::MAX)
            .saturating_sub(distance)
    };
    (area > 0).then(|| [from_end(width, left), from_end(height, top), right, bottom])
}
