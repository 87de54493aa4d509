//! From mask logits to bits at the frame's resolution.

use super::launch::{self, Kernel, int};
use crate::ops::{Result, masks::bits_row};
use candle_core::{DType, Tensor};

/// Columns of the frame that a block makes.
const COLUMNS: usize = 128;

/// See [`crate::ops::masks_to_bits`].
pub(crate) fn masks_to_bits(logits: &Tensor, side: usize, scaled: (usize, usize), frame: (usize, usize)) -> Result<Tensor> {
    let (n, h, w) = logits.dims3()?;
    let (device, logits) = (launch::device(logits)?, logits.contiguous()?);
    let bits = Tensor::zeros((n, bits_row(frame)), DType::U32, logits.device())?;
    let (from, to) = (launch::contiguous(&logits, DType::F32, "masks_to_bits")?, launch::contiguous(&bits, DType::U32, "masks_to_bits")?);
    let grid = (frame.1.div_ceil(COLUMNS), frame.0.div_ceil(32), n);
    let kernel = Kernel { file: "masks", name: "mask_bits", grid, block: (COLUMNS as u32, 1), shared: 0 };
    let [h, w, side, sh, sw, fh, fw] = [h, w, side, scaled.0, scaled.1, frame.0, frame.1].map(int);
    // SAFETY: the logits are n maps of h×w, the bits n rows of that length.
    unsafe { kernel.launch(device, &[&from, &to, &h?, &w?, &side?, &sh?, &sw?, &fh?, &fw?]) }?;
    Ok(bits)
}
