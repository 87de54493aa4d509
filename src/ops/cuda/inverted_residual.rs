//! Inverted residual blocks as one kernel, on compute capability 9.0.

#![allow(unsafe_code)]

use super::{
    conv2d::Conv2d,
    launch::{self, Kernel, empty, int, named, structure},
    layout::contiguous,
    tiles::{is_hopper, multiprocessors},
};
use crate::ops::types::{
    activation::Activation,
    convolution::{Conv2dOptions, Padding},
    result::Result,
};
use candle_core::{DType, Tensor};

/// `InvertedResidual` of `inverted_residual.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    input: u64,
    residual: u64,
    out: u64,
    expand: u64,
    depthwise: u64,
    project: u64,
    expand_bias: u64,
    depthwise_bias: u64,
    project_bias: u64,
    batch: i32,
    height: i32,
    width: i32,
    hidden: i32,
}

structure!(Arguments: input, residual, out, expand, depthwise, project, expand_bias, depthwise_bias, project_bias);

/// What the kernel is made for: channels of the narrow maps, and the most of the wide ones, which are a multiple of them.
const CHANNELS: usize = 64;
const MAX_HIDDEN: usize = 256;
/// Height and width of a block's tile, and its shared memory in bytes (`InvertedMemory`, and up to 1024 for its alignment).
const TILE: (usize, usize) = (8, 16);
const SHARED: usize = 2 * (192 * 64 + 2 * 64 * 64 + 128 * 64 + 192 * 72 + 9 * MAX_HIDDEN)
    + 4 * (2 * MAX_HIDDEN + CHANNELS)
    + 1024;

/// Blocks that a multiprocessor runs at once.
const BLOCKS: usize = 2;

/// A layer and its options.
pub(crate) type Layer<'a> = (&'a Conv2d, &'a Conv2dOptions);

/// See [`crate::ops::inverted_residual`]; none where the layers, the maps or the device are not of the kind that this is for.
pub(crate) fn inverted_residual(
    x: &Tensor,
    expand: Layer<'_>,
    depthwise: Layer<'_>,
    project: Layer<'_>,
    residual: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    let (device, dtype) = (launch::device(x)?, x.dtype());
    let (b, h, w, c) = x.dims4()?;
    let (Some(first), Some((weight, bias, (3, 3))), Some(last)) = (
        expand.0.pointwise(),
        depthwise.0.depthwise(),
        project.0.pointwise(),
    ) else {
        return Ok(None);
    };
    let plain =
        |o: &Conv2dOptions| o.activation == Activation::Gelu && o.affine.is_none() && o.stride == 1;
    let ((_, hidden), like_x) = (
        first.size(),
        residual.is_none_or(|r| r.dims() == x.dims() && r.dtype() == dtype),
    );
    let sizes = first.size() == (CHANNELS, hidden)
        && last.size() == (hidden, CHANNELS)
        && bias.elem_count() == hidden;
    let sizes = sizes
        && c == CHANNELS
        && hidden <= MAX_HIDDEN
        && hidden.is_multiple_of(CHANNELS)
        && hidden > 0;
    let options = [expand.1, depthwise.1, project.1].into_iter().all(plain)
        && depthwise.1.padding == Padding::all(1);
    if !sizes
        || !options
        || !like_x
        || !matches!(dtype, DType::F16 | DType::BF16)
        || !is_hopper(device)?
    {
        return Ok(None);
    }
    let (x, residual) = (contiguous(x)?, residual.map(contiguous).transpose()?);
    let op = "inverted_residual";
    let (input, other) = (
        launch::address(&x)?,
        launch::optional(residual.as_ref(), dtype, op)?,
    );
    if !(input | other).is_multiple_of(16) {
        return Ok(None);
    }
    let (y, out) = empty(device, (b, h, w, c), dtype)?;
    let ((expand, expand_bias), (project, project_bias)) = (first.parameters(), last.parameters());
    let arguments = Arguments {
        input,
        residual: other,
        out,
        expand: launch::contiguous(expand.get(dtype)?, dtype, op)?,
        depthwise: launch::contiguous(weight.get(dtype)?, dtype, op)?,
        project: launch::contiguous(project.get(dtype)?, dtype, op)?,
        expand_bias: launch::optional(expand_bias, DType::F32, op)?,
        depthwise_bias: launch::contiguous(bias, DType::F32, op)?,
        project_bias: launch::optional(project_bias, DType::F32, op)?,
        batch: int(b)?,
        height: int(h)?,
        width: int(w)?,
        hidden: int(hidden)?,
    };
    // A block makes tiles in turn: as many blocks as run at once, unless there are fewer tiles.
    let tiles = b * h.div_ceil(TILE.0) * w.div_ceil(TILE.1);
    int(tiles)?;
    let blocks = tiles.min(BLOCKS * multiprocessors(device)?);
    let kernel = Kernel {
        file: "inverted_residual",
        name: named!("inverted_residual", dtype)?,
        grid: (blocks, 1, 1),
        block: (256, 1),
        shared: SHARED,
    };
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(Some(y))
}
