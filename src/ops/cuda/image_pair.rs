//! The two convolutions that an image encoder begins with as one kernel.

#![allow(unsafe_code)]

use super::{
    inverted_residual::Layer,
    launch::{self, Kernel, THREADS, empty, int, named, structure},
    layout::contiguous,
    tiles::multiprocessors,
};
use crate::ops::types::{
    activation::Activation,
    convolution::{Conv2dOptions, Padding},
    result::Result,
};
use candle_core::{DType, Tensor};

/// `ImagePair` of `image_pair.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    image: u64,
    out: u64,
    first: u64,
    second: u64,
    first_bias: u64,
    second_bias: u64,
    batch: i32,
    height: i32,
    width: i32,
    between_height: i32,
    between_width: i32,
    out_height: i32,
    out_width: i32,
}

structure!(Arguments: image, out, first, second, first_bias, second_bias);

/// What the kernel is made for: channels of the image, between the convolutions, and of the result.
const CHANNELS: (usize, usize, usize) = (3, 32, 64);
/// Height and width of a block's tile, its shared memory in bytes (`PairMemory`), and blocks that a multiprocessor runs at once.
const TILE: (usize, usize) = (8, 16);
const SHARED: usize = 2 * (64 * 296 + 17 * 33 * 40 + 35 * 208 + 32 * 32) + 4 * (32 + 64);
const BLOCKS: usize = 2;

/// See [`crate::ops::image_pair`]; none where the layers or the image are not of the kind that this is for.
pub(crate) fn image_pair(
    x: &Tensor,
    first: Layer<'_>,
    second: Layer<'_>,
) -> Result<Option<Tensor>> {
    let (device, dtype) = (launch::device(x)?, x.dtype());
    let (b, h, w, c) = x.dims4()?;
    let (Some(one), Some(two)) = (first.0.dense(), second.0.dense()) else {
        return Ok(None);
    };
    let layers = [one.kernel(), two.kernel()] == [(3, 3); 2]
        && (one.size(), two.size()) == ((CHANNELS.0, CHANNELS.1), (CHANNELS.1, CHANNELS.2));
    let suits = |o: &Conv2dOptions, activation: Activation| {
        (o.stride, o.padding, o.affine, o.activation) == (2, Padding::all(1), None, activation)
    };
    let options = suits(first.1, Activation::Gelu) && suits(second.1, Activation::Identity);
    let image = c == CHANNELS.0 && w.is_multiple_of(8) && h > 0 && w > 0;
    if !layers || !options || !image || !matches!(dtype, DType::F16 | DType::BF16) {
        return Ok(None);
    }
    let x = contiguous(x)?;
    let image = launch::address(&x)?;
    if !image.is_multiple_of(16) {
        return Ok(None);
    }
    let halved = |n: usize| n.div_ceil(2);
    let (between, size) = (
        (halved(h), halved(w)),
        (halved(halved(h)), halved(halved(w))),
    );
    let (y, out) = empty(device, (b, size.0, size.1, CHANNELS.2), dtype)?;
    let op = "image_pair";
    let ((first, first_bias), (second, second_bias)) = (one.parameters(), two.parameters());
    let arguments = Arguments {
        image,
        out,
        first: launch::contiguous(first.get(dtype)?, dtype, op)?,
        second: launch::contiguous(second.get(dtype)?, dtype, op)?,
        first_bias: launch::optional(first_bias, DType::F32, op)?,
        second_bias: launch::optional(second_bias, DType::F32, op)?,
        batch: int(b)?,
        height: int(h)?,
        width: int(w)?,
        between_height: int(between.0)?,
        between_width: int(between.1)?,
        out_height: int(size.0)?,
        out_width: int(size.1)?,
    };
    // A block makes tiles in turn: as many blocks as run at once, unless there are fewer tiles.
    let tiles = b * size.0.div_ceil(TILE.0) * size.1.div_ceil(TILE.1);
    int(tiles)?;
    let kernel = Kernel {
        file: "image_pair",
        name: named!("image_pair", dtype)?,
        grid: (tiles.min(BLOCKS * multiprocessors(device)?), 1, 1),
        block: (THREADS, 1),
        shared: SHARED,
    };
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(Some(y))
}
