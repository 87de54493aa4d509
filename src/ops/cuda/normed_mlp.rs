//! The second half of a transformer's block as one kernel, on compute capability 9.0, see `normed_mlp.cu`.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, empty, int, named, structure},
    layout::contiguous,
    norm::Norm,
    product::Linear,
    product_arguments::Product,
    tiles::{ENOUGH_BLOCKS, is_hopper, shared_memory},
};
use crate::ops::types::{activation::Activation, convolution::LinearPrecision, result::Result};
use candle_core::{DType, Tensor};

/// `NormedMlp` of `normed_mlp.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    input: u64,
    scale: u64,
    shift: u64,
    expand: u64,
    expand_bias: u64,
    hidden: i32,
    eps: f32,
}

structure!(Arguments: input, scale, shift, expand, expand_bias);

/// As in `normed_mlp.cu`: hidden numbers that a warpgroup takes at once, channels of a tile, and the most hidden numbers.
const PIECE: usize = 64;
const TILE_CHANNELS: usize = 64;
const MOST_HIDDEN: usize = 640;

/// A layer, its activation and its precision.
type Layer<'a> = (&'a Linear, Activation, LinearPrecision);

/// The kernel for so many channels, by rows of a block and steps of weights in its shared memory.
fn kernel(channels: usize, dtype: DType, rows: usize) -> Result<Option<(Kernel, usize)>> {
    // The two kernels for 160 channels sum in different orders: up to four images have the same, since results must not depend on how many there are.
    let enough = if channels == 160 {
        2 * ENOUGH_BLOCKS
    } else {
        ENOUGH_BLOCKS
    };
    let many = rows.div_ceil(128) >= enough;
    let (name, height, stages) = match (channels, many) {
        (128, false) => (named!("normed_mlp_128_64", dtype)?, 64, 3),
        (128, true) => (named!("normed_mlp_128_128", dtype)?, 128, 3),
        (160, false) => (named!("normed_mlp_160_64", dtype)?, 64, 2),
        (160, true) => (named!("normed_mlp_160_128", dtype)?, 128, 3),
        _ => return Ok(None),
    };
    let (tiles, pieces) = (channels.div_ceil(TILE_CHANNELS), 128 / height);
    let weights = tiles * PIECE * TILE_CHANNELS + channels * PIECE;
    let kernel = Kernel {
        file: "normed_mlp",
        name,
        grid: (rows.div_ceil(height), 1, 1),
        block: (256, 1),
        // Tiles begin at multiples of 1024 bytes.
        shared: 1024 + 2 * (tiles * height * TILE_CHANNELS + stages * pieces * weights),
    };
    Ok(Some((kernel, pieces * PIECE)))
}

/// See [`crate::ops::normed_mlp`]; none where the layers or the device are not of the kind that this is for.
pub(crate) fn normed_mlp(
    x: &Tensor,
    norm: &Norm<'_>,
    first: Layer<'_>,
    second: Layer<'_>,
) -> Result<Option<Tensor>> {
    let (device, dtype, op) = (launch::device(x)?, x.dtype(), "normed_mlp");
    let ((channels, hidden), activations) = (first.0.size(), (first.1, second.1));
    let layers = second.0.size() == (hidden, channels)
        && x.dims().last() == Some(&channels)
        && activations == (Activation::Gelu, Activation::Identity)
        && (first.2, second.2) == (LinearPrecision::Input, LinearPrecision::Input)
        && [norm.weight, norm.bias]
            .iter()
            .all(|t| t.dims() == [channels]);
    let rows = x.elem_count() / channels.max(1);
    if !layers || rows == 0 || !matches!(dtype, DType::F16 | DType::BF16) || !is_hopper(device)? {
        return Ok(None);
    }
    let Some((kernel, step)) = kernel(channels, dtype, rows)? else {
        return Ok(None);
    };
    if !hidden.is_multiple_of(step)
        || !(1..=MOST_HIDDEN).contains(&hidden)
        || kernel.shared + (4 << 10) > shared_memory(device)?
    {
        return Ok(None);
    }
    let x = contiguous(x)?;
    let input = launch::address(&x)?;
    let parameters = |layer: &Linear| -> Result<(u64, u64)> {
        let (weight, bias) = layer.parameters();
        let weight = launch::contiguous(weight.get(dtype)?, dtype, op)?;
        Ok((weight, launch::optional(bias, DType::F32, op)?))
    };
    let ((expand, expand_bias), (weight, bias)) = (parameters(first.0)?, parameters(second.0)?);
    let (scale, shift) = (
        launch::contiguous(norm.weight, DType::F32, op)?,
        launch::contiguous(norm.bias, DType::F32, op)?,
    );
    if [input, expand, weight, scale, shift]
        .iter()
        .any(|at| !at.is_multiple_of(16))
    {
        return Ok(None);
    }
    let (y, out) = empty(device, x.shape(), dtype)?;
    let arguments = Arguments {
        input,
        scale,
        shift,
        expand,
        expand_bias,
        hidden: int(hidden)?,
        eps: norm.eps,
    };
    let product = Product {
        weight,
        bias,
        residual: input,
        out,
        rows: int(rows)?,
        columns: int(channels)?,
        inner: int(hidden)?,
        residual_rows: int(rows)?,
        residual_stride: int(channels)?,
        scale: 1.0,
        ..Product::default()
    };
    // SAFETY: these are the kernel's own types; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&product, &arguments]) }?;
    Ok(Some(y))
}
