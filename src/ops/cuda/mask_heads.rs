//! The end of a mask decoder's tokens as one kernel, see `mask_heads.cu`.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, Parameter, empty, int, named},
    layout::contiguous,
    norm::Norm,
    product::Linear,
    tiles::is_hopper,
};
use crate::ops::types::{activation::Activation, convolution::LinearPrecision, result::Result};
use candle_core::{DType, Tensor, cuda_backend::cudarc::driver::DeviceRepr};
use std::{mem::offset_of, ops::Range};

/// As in `mask_heads.cu` and `token_rows.cuh`: perceptrons, layers of one, blocks of a cluster, objects and threads of one.
const MOST_HEADS: usize = 4;
const LAYERS: usize = 3;
const CLUSTER: usize = 4;
const ROWS: usize = 8;
const THREADS: u32 = 128;
/// What the kernel is made for: numbers of a row of attention, channels of a token, most outputs of a perceptron.
const ATTENDED: usize = 128;
const CHANNELS: usize = 256;
const MOST_OUTPUTS: usize = 32;
/// Objects up to which it pays to read the weights anew for every eight.
const MOST_OBJECTS: usize = 1024;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct HeadLayer {
    weight: u64,
    bias: u64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    layers: [HeadLayer; LAYERS],
    out: u64,
    stride: i64,
    token: i32,
    outputs: i32,
}

/// `MaskHeads` of `mask_heads.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    heads: [Head; MOST_HEADS],
    attended: u64,
    residual: u64,
    weight: u64,
    bias: u64,
    scale: u64,
    shift: u64,
    objects: i32,
    tokens: i32,
    eps: f32,
}

/// Addresses of a perceptron, and others.
const OF_HEAD: usize = 2 * LAYERS + 1;
const OTHERS: [usize; 6] = [
    offset_of!(Arguments, attended),
    offset_of!(Arguments, residual),
    offset_of!(Arguments, weight),
    offset_of!(Arguments, bias),
    offset_of!(Arguments, scale),
    offset_of!(Arguments, shift),
];

// SAFETY: plain numbers, laid out as the kernel's own type.
unsafe impl DeviceRepr for Arguments {}
// SAFETY: as above; the other fields are numbers.
unsafe impl Parameter for Arguments {
    const ADDRESSES: &'static [usize] = &{
        let mut all = [0; MOST_HEADS * OF_HEAD + OTHERS.len()];
        let (mut head, mut at) = (0, 0);
        while head < MOST_HEADS {
            let start = offset_of!(Arguments, heads) + head * size_of::<Head>();
            let mut layer = 0;
            while layer < LAYERS {
                let layers = start + offset_of!(Head, layers) + layer * size_of::<HeadLayer>();
                all[at] = layers + offset_of!(HeadLayer, weight);
                all[at + 1] = layers + offset_of!(HeadLayer, bias);
                (layer, at) = (layer + 1, at + 2);
            }
            all[at] = start + offset_of!(Head, out);
            (head, at) = (head + 1, at + 1);
        }
        let mut other = 0;
        while other < OTHERS.len() {
            all[at] = OTHERS[other];
            (other, at) = (other + 1, at + 1);
        }
        all
    };
}

/// A layer, its activation and precision.
type Layer<'a> = (&'a Linear, Activation, LinearPrecision);

/// Outputs of a perceptron that the kernel can make.
fn outputs(layers: &[Layer<'_>]) -> Option<usize> {
    let is = |(linear, activation, precision): &Layer<'_>, end: bool| {
        let (expected, result) = if end {
            (Activation::Identity, LinearPrecision::F32Result)
        } else {
            (Activation::Relu, LinearPrecision::Input)
        };
        linear.size().0 == CHANNELS && (*activation, *precision) == (expected, result)
    };
    let [first, second, last] = layers else {
        return None;
    };
    let hidden = [first, second]
        .iter()
        .all(|layer| is(layer, false) && layer.0.size().1 == CHANNELS);
    (hidden && is(last, true)).then_some(last.0.size().1)
}

/// The arguments for a perceptron of token `token` whose last layer's `columns` go to `out`.
fn head(
    layers: &[Layer<'_>],
    dtype: DType,
    (token, columns): (usize, Range<usize>),
    (out, stride): (u64, usize),
) -> Result<Head> {
    let mut head = Head {
        out,
        stride: stride as i64,
        token: int(token)?,
        outputs: int(columns.len())?,
        ..Head::default()
    };
    for (to, (linear, ..)) in head.layers.iter_mut().zip(layers) {
        let (weight, bias) = linear.parameters();
        to.weight = launch::contiguous(weight.get(dtype)?, dtype, "mask_heads")?;
        to.bias = launch::optional(bias, DType::F32, "mask_heads")?;
    }
    let (last, first) = (&mut head.layers[LAYERS - 1], columns.start as u64);
    last.weight += first * (CHANNELS * dtype.size_in_bytes()) as u64;
    if last.bias != 0 {
        last.bias += first * DType::F32.size_in_bytes() as u64;
    }
    Ok(head)
}

/// See [`crate::ops::mask_heads`]; none where the layers are not of the kind that this is for, or the device isn't.
pub(crate) fn mask_heads(
    (attended, projection, residual): (&Tensor, Layer<'_>, &Tensor),
    norm: &Norm<'_>,
    hypernetworks: &[Vec<Layer<'_>>],
    quality: &[Layer<'_>],
    masks: Range<usize>,
) -> Result<Option<(Tensor, Tensor)>> {
    let (device, dtype, op) = (launch::device(attended)?, attended.dtype(), "mask_heads");
    let (n, tokens, inputs) = attended.dims3()?;
    let (linear, activation, precision) = projection;
    let used = hypernetworks.get(masks.clone()).unwrap_or_default();
    let channels: Option<Vec<usize>> = used.iter().map(|layers| outputs(layers)).collect();
    let (Some(channels), Some(qualities)) = (channels, outputs(quality)) else {
        return Ok(None);
    };
    let (count, c) = (used.len(), channels.first().copied().unwrap_or(0));
    let heads = (1..MOST_HEADS).contains(&count)
        && channels.iter().all(|&other| other == c)
        && (1..=MOST_OUTPUTS).contains(&c)
        && (masks.end..=MOST_OUTPUTS).contains(&qualities);
    let projected = linear.size() == (ATTENDED, CHANNELS)
        && (activation, precision) == (Activation::Identity, LinearPrecision::Input)
        && residual.dims() == [n, tokens, CHANNELS]
        && residual.dtype() == dtype
        && [norm.weight, norm.bias]
            .iter()
            .all(|t| t.dims() == [CHANNELS]);
    let fits = inputs == ATTENDED && tokens > masks.end && (1..=MOST_OBJECTS).contains(&n);
    if !heads
        || !projected
        || !fits
        || !matches!(dtype, DType::F16 | DType::BF16)
        || !is_hopper(device)?
    {
        return Ok(None);
    }
    let (attended, residual) = (contiguous(attended)?, contiguous(residual)?);
    let (weight, bias) = linear.parameters();
    let (weights, out) = empty(device, (n, count, c), DType::F32)?;
    let (scores, score) = empty(device, (n, count), DType::F32)?;
    let mut arguments = Arguments {
        attended: launch::address(&attended)?,
        residual: launch::address(&residual)?,
        weight: launch::contiguous(weight.get(dtype)?, dtype, op)?,
        bias: launch::optional(bias, DType::F32, op)?,
        scale: launch::contiguous(norm.weight, DType::F32, op)?,
        shift: launch::contiguous(norm.bias, DType::F32, op)?,
        objects: int(n)?,
        tokens: int(tokens)?,
        eps: norm.eps,
        ..Arguments::default()
    };
    let vectors = [arguments.attended, arguments.scale, arguments.shift];
    if !vectors.iter().all(|at| at.is_multiple_of(16)) {
        return Ok(None);
    }
    arguments.heads[0] = head(quality, dtype, (0, masks.clone()), (score, count))?;
    let others = arguments.heads.iter_mut().skip(1);
    for ((at, layers), to) in used.iter().enumerate().zip(others) {
        let place = out + (at * c * DType::F32.size_in_bytes()) as u64;
        let token = 1 + masks.start + at;
        *to = head(layers, dtype, (token, 0..c), (place, count * c))?;
    }
    let kernel = Kernel {
        file: "mask_heads",
        name: named!("mask_heads", dtype)?,
        grid: (CLUSTER * (1 + count), n.div_ceil(ROWS), 1),
        block: (THREADS, 1),
        shared: 0,
    };
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(Some((weights, scores)))
}
