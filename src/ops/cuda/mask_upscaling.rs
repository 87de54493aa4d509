//! The last steps of a mask decoder as one kernel, see `mask_upscaling.cu`.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, THREADS, empty, int, named, structure},
    layout::contiguous,
    norm::Norm,
    product::Linear,
    tiles::multiprocessors,
};
use crate::ops::types::{activation::Activation, convolution::LinearPrecision, result::Result};
use candle_core::{DType, Tensor};

/// `MaskUpscaling` of `mask_upscaling.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    pixels: u64,
    scale: u64,
    shift: u64,
    weight: u64,
    bias: u64,
    masks: u64,
    out: u64,
    mask_count: i32,
    side: i32,
    eps: f32,
}

structure!(Arguments: pixels, scale, shift, weight, bias, masks, out);

/// What the kernel is made for: channels of a pixel and of those made of it, and masks.
const CHANNELS: (usize, usize) = (64, 32);
const MOST_MASKS: usize = 4;
/// Pixels of a block's tile, blocks that a multiprocessor runs at once, and images of a grid.
const TILE: usize = 128;
const BLOCKS: usize = 3;
const MOST_IMAGES: usize = 65535;

/// See [`crate::ops::upscale_to_masks`]; none where the layers or the masks are not of the kind that this is for.
pub(crate) fn upscale_to_masks(
    x: &Tensor,
    norm: &Norm<'_>,
    (second, activation, precision): (&Linear, Activation, LinearPrecision),
    weights: &Tensor,
    side: usize,
) -> Result<Option<Tensor>> {
    let (device, dtype, op) = (launch::device(x)?, x.dtype(), "upscale_to_masks");
    let ((n, count, c), (wn, masks, wc)) = (x.dims3()?, weights.dims3()?);
    let layers = (c, wc) == CHANNELS
        && second.size() == (CHANNELS.0, 4 * CHANNELS.1)
        && (activation, precision) == (Activation::Gelu, LinearPrecision::Input)
        && [norm.weight, norm.bias].iter().all(|t| t.dims() == [c]);
    // Whole tiles, the sixteen pixels of a warp in one row of the image.
    let image = side > 0 && side.is_multiple_of(8) && count == 4 * side * side && wn == n;
    let fits = (1..=MOST_MASKS).contains(&masks) && n <= MOST_IMAGES;
    if !layers || !image || !fits || !matches!(dtype, DType::F16 | DType::BF16) {
        return Ok(None);
    }
    let (x, weights) = (contiguous(x)?, contiguous(weights)?);
    let (pixels, by) = (
        launch::address(&x)?,
        launch::contiguous(&weights, DType::F32, op)?,
    );
    if !pixels.is_multiple_of(16) || !by.is_multiple_of(8) {
        return Ok(None);
    }
    let (logits, out) = empty(device, (n, masks, 4 * side, 4 * side), DType::F32)?;
    let (weight, bias) = second.parameters();
    let arguments = Arguments {
        pixels,
        scale: launch::contiguous(norm.weight, DType::F32, op)?,
        shift: launch::contiguous(norm.bias, DType::F32, op)?,
        weight: launch::contiguous(weight.get(dtype)?, dtype, op)?,
        bias: launch::optional(bias, DType::F32, op)?,
        masks: by,
        out,
        mask_count: int(masks)?,
        side: int(side)?,
        eps: norm.eps,
    };
    // Blocks of an image share its tiles: as many as run at once.
    let share = (BLOCKS * multiprocessors(device)?).div_euclid(n.max(1));
    let kernel = Kernel {
        file: "mask_upscaling",
        name: named!("mask_upscaling", dtype)?,
        grid: (share.clamp(1, (count / TILE).max(1)), n, 1),
        block: (THREADS, 1),
        shared: 0,
    };
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(Some(logits))
}
