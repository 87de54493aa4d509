//! From mask logits to bits at the frame's resolution.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, THREADS, empty, int, named},
    layout::contiguous,
};
use crate::ops::types::{
    masks::{STATISTICS, SlotRows, mask_words, packed_words},
    result::Result,
};
use candle_core::{DType, Tensor};

/// Columns of the frame that a block makes.
const COLUMNS: usize = 128;
/// Blocks that move the bits of one mask.
const PARTS: usize = 8;

/// See [`crate::ops::best_masks_to_bits`].
pub(crate) fn masks_to_bits(
    (logits, scores): (&Tensor, Option<&Tensor>),
    side: usize,
    scaled: (usize, usize),
    frame: (usize, usize),
    rows: Option<&SlotRows<'_>>,
    out: &Tensor,
) -> Result<()> {
    let op = "masks_to_bits";
    let (n, m, h, w) = logits.dims4()?;
    let (device, logits, row) = (launch::device(logits)?, contiguous(logits)?, out.dim(1)?);
    if row < mask_words(frame) {
        candle_core::bail!("{op}: rows of {row} numbers for {frame:?}");
    }
    let (from, to) = (
        launch::contiguous(&logits, DType::F32, op)?,
        launch::contiguous(out, DType::U32, op)?,
    );
    let scores = launch::optional(scores, DType::F32, op)?;
    let owners = launch::optional(rows.map(|rows| rows.owners), DType::U32, op)?;
    let frames = rows.map_or(0..0, |rows| rows.frames.clone());
    // Those of the batch's first frames clear the rows of all.
    if frames.start == 0 {
        launch::clear_columns(device, (to, n, row), STATISTICS)?;
    }
    let grid = (frame.1.div_ceil(COLUMNS), frame.0.div_ceil(32), n);
    let kernel = Kernel {
        file: "masks",
        name: "mask_bits",
        grid,
        block: (COLUMNS as u32, 1),
        shared: 0,
    };
    let [m, h, w, side, sh, sw, fh, fw] =
        [m, h, w, side, scaled.0, scaled.1, frame.0, frame.1].map(int);
    let (first, end) = (int(frames.start)?, int(frames.end)?);
    // SAFETY: the logits are n·m maps of h×w with as many scores or none, the bits n rows of `row` numbers, which a frame's fit into; the
    // owners, where there are any, are n after their number.
    unsafe {
        kernel.launch(
            device,
            &[
                &from,
                &scores,
                &to,
                &owners,
                &first,
                &end,
                &(row as i64),
                &m?,
                &h?,
                &w?,
                &side?,
                &sh?,
                &sw?,
                &fh?,
                &fw?,
            ],
        )
    }
}

/// See [`crate::ops::pack_masks`].
pub(crate) fn pack_masks(rows: &Tensor, in_use: Option<&Tensor>, out: &Tensor) -> Result<()> {
    let ((n, stride), op) = (rows.dims2()?, "pack_masks");
    let device = launch::device(rows)?;
    let from = launch::contiguous(rows, DType::U32, op)?;
    let in_use = launch::optional(in_use, DType::U32, op)?;
    let to = launch::contiguous(out, DType::U32, op)?;
    let (count, room) = (int(n)?, int(out.dim(0)? - packed_words(n, 0))?);
    let kernel = Kernel {
        file: "masks",
        name: "pack_masks",
        grid: (n, PARTS, 1),
        block: (THREADS, 1),
        shared: 0,
    };
    // SAFETY: the rows are n of `stride` numbers each, the output has room for their statistics and `room` numbers more.
    unsafe {
        kernel.launch(
            device,
            &[&from, &in_use, &to, &(stride as i64), &count, &room],
        )
    }
}

/// See [`crate::ops::mask_logits`].
pub(crate) fn mask_logits(pixels: &Tensor, weights: &Tensor, side: usize) -> Result<Tensor> {
    let ((n, count, c), (wn, m, wc)) = (pixels.dims3()?, weights.dims3()?);
    if count != 16 * side * side || (wn, wc) != (n, c) || !c.is_multiple_of(8) {
        candle_core::bail!(
            "mask_logits: {:?} by {:?} for a side of {side}",
            pixels.shape(),
            weights.shape()
        );
    }
    let (device, dtype) = (launch::device(pixels)?, pixels.dtype());
    let (pixels, weights) = (contiguous(pixels)?, contiguous(weights)?);
    let (logits, out) = empty(device, (n, m, 4 * side, 4 * side), DType::F32)?;
    let (from, by) = (
        launch::contiguous(&pixels, dtype, "mask_logits")?,
        launch::contiguous(&weights, DType::F32, "mask_logits")?,
    );
    let grid = ((16 * side * side).div_ceil(256), n, 1);
    let kernel = Kernel {
        file: "masks",
        name: named!("mask_logits", dtype)?,
        grid,
        block: (256, 1),
        shared: 0,
    };
    // SAFETY: sizes are those of the tensors, checked above.
    unsafe { kernel.launch(device, &[&from, &by, &out, &int(m)?, &int(side)?, &int(c)?]) }?;
    Ok(logits)
}
