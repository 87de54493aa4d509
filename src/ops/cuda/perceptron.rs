//! Multilayer perceptrons (MLPs) of few rows in one kernel, see `perceptron.cu` and `perceptron_cluster.cu`.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, Parameter, empty, int, named},
    layout::contiguous,
    product::Linear,
    product_arguments::code,
    tiles::{is_hopper, multiprocessors, shared_memory},
};
use crate::ops::types::{activation::Activation, result::Result};
use candle_core::{CudaDevice, DType, Tensor, cuda_backend::cudarc::driver::DeviceRepr};
use std::mem::offset_of;

/// As in `perceptron.cuh`.
const MOST_LAYERS: usize = 3;
const DEPTH: usize = 32;
const WARPS: usize = 16;
/// Numbers of a step's weights.
const WIDE: usize = 16;
const STEP: usize = 2 * WIDE * DEPTH;
/// Rows up to which it pays to read the weights anew for every sixteen.
const MOST_ROWS: usize = 4096;
/// Columns that a block has at least where several share them.
const COLUMNS_A_SHARE: usize = 96;
/// As in `perceptron_cluster.cu`: blocks of a cluster, rows of one, most columns of a block and of all its layers, numbers of f32 for the sums of
/// parts of k.
const CLUSTER: usize = 4;
const CLUSTER_ROWS: usize = 16;
const CLUSTER_COLUMNS: usize = 128;
const ALL_CLUSTER_COLUMNS: usize = 512;
/// Rows that clusters take at most: those of four images, since results must not depend on how many there are up to that.
const MOST_CLUSTER_ROWS: usize = 1536;
/// Most inputs of a layer there.
const CLUSTER_INNER: usize = 512;
const CLUSTER_SUMS: usize = WARPS * CLUSTER_ROWS * (WIDE + 4);

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Layer {
    weight: u64,
    bias: u64,
    facts: u64,
    inner: i32,
    outputs: i32,
    activation: i32,
    limit: f32,
    share: i32,
    /// Structures are as long as a multiple of eight bytes.
    unused: i32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Perceptron {
    layers: [Layer; MOST_LAYERS],
    x: u64,
    added: u64,
    residual: u64,
    out: u64,
    beside: u64,
    sum: u64,
    layer_count: i32,
    rows: i32,
    inputs: i32,
    added_f32: i32,
    beside_type: i32,
    pitch: i32,
}

// SAFETY: plain numbers, laid out as the kernel's own type.
unsafe impl DeviceRepr for Perceptron {}
// SAFETY: as above; the other fields are numbers.
unsafe impl Parameter for Perceptron {
    const ADDRESSES: &'static [usize] = &{
        let mut all = [0; 3 * MOST_LAYERS + 6];
        let mut layer = 0;
        while layer < MOST_LAYERS {
            let start = offset_of!(Perceptron, layers) + layer * size_of::<Layer>();
            all[3 * layer] = start + offset_of!(Layer, weight);
            all[3 * layer + 1] = start + offset_of!(Layer, bias);
            all[3 * layer + 2] = start + offset_of!(Layer, facts);
            layer += 1;
        }
        all[3 * MOST_LAYERS] = offset_of!(Perceptron, x);
        all[3 * MOST_LAYERS + 1] = offset_of!(Perceptron, added);
        all[3 * MOST_LAYERS + 2] = offset_of!(Perceptron, residual);
        all[3 * MOST_LAYERS + 3] = offset_of!(Perceptron, out);
        all[3 * MOST_LAYERS + 4] = offset_of!(Perceptron, beside);
        all[3 * MOST_LAYERS + 5] = offset_of!(Perceptron, sum);
        all
    };
}

/// The power of two of pieces of columns that a block of a cluster has.
fn share(outputs: usize) -> u32 {
    let pieces = outputs.div_ceil(WIDE).div_ceil(CLUSTER);
    pieces.next_power_of_two().trailing_zeros()
}

/// How a kernel shares the rows and columns of a perceptron.
struct Plan {
    name: &'static str,
    file: &'static str,
    grid: (usize, usize, usize),
    shared: usize,
    /// Numbers from row to row of shared memory.
    pitch: usize,
    /// Whether it also gives the sum of its result and another tensor.
    sums: bool,
}

impl Plan {
    /// For `rows` rows of `dtype`; none where the layers need more shared memory than a block may have.
    fn new(
        device: &CudaDevice,
        layers: &[(&Linear, Activation)],
        (rows, dtype): (usize, DType),
    ) -> Result<Option<Self>> {
        let widest = layers.iter().map(|(layer, _)| layer.size().0).max();
        let widest = widest.unwrap_or(0);
        let multiprocessors = multiprocessors(device)?;
        let blocks = rows.div_ceil(CLUSTER_ROWS);
        let exchanged = layers.split_last().map_or(&[][..], |(_, hidden)| hidden);
        let shares = layers
            .iter()
            .map(|(layer, _)| WIDE << share(layer.size().1));
        let clusters = is_hopper(device)?
            && rows <= MOST_CLUSTER_ROWS
            && widest <= CLUSTER_INNER
            && shares.clone().all(|columns| columns <= CLUSTER_COLUMNS)
            && shares.sum::<usize>() <= ALL_CLUSTER_COLUMNS
            && (exchanged.iter()).all(|(layer, _)| layer.size().1.is_multiple_of(DEPTH));
        let most = shared_memory(device)?;
        // Two buffers of rows in two parts; two neighbouring rows of sixteen words are in different banks.
        let pitch = widest.next_multiple_of(64) + 32;
        let shared = 4 * CLUSTER_ROWS * pitch * 2 + 2 * 4 * CLUSTER_SUMS;
        // What the kernel declares counts too.
        if clusters && shared + (4 << 10) <= most {
            return Ok(Some(Self {
                name: named!("perceptron_cluster", dtype)?,
                file: "perceptron_cluster",
                grid: (blocks * CLUSTER, 1, 1),
                shared,
                pitch,
                sums: true,
            }));
        }
        let (name, high, stages) = if rows <= 16 * multiprocessors {
            (named!("perceptron_16", dtype)?, 16, 4)
        } else {
            (named!("perceptron_32", dtype)?, 32, 3)
        };
        let blocks = rows.div_ceil(high);
        // Columns can be shared where no other layer needs all of them.
        let shares = match layers {
            [(only, _)] => {
                (only.size().1 / COLUMNS_A_SHARE).clamp(1, (multiprocessors / blocks).max(1))
            }
            _ => 1,
        };
        // The same, and the weights of each warp.
        let pitch = widest.next_multiple_of(DEPTH) + 8;
        let shared = (4 * high * pitch + WARPS * stages * STEP) * 2;
        Ok((shared <= most).then_some(Self {
            name,
            file: "perceptron",
            grid: (blocks, shares, 1),
            shared,
            pitch,
            sums: false,
        }))
    }
}

/// The layers in f32 on x + `added`, `residual` being added before the last activation, and, where a kernel gives it too, that plus `beside`
/// in the type of that; none where no kernel can make it: many rows or layers, wide layers on a device with little shared memory.
pub(crate) fn perceptron(
    layers: &[(&Linear, Activation)],
    x: &Tensor,
    (added, residual): (Option<&Tensor>, Option<&Tensor>),
    beside: Option<&Tensor>,
) -> Result<Option<(Tensor, Option<Tensor>)>> {
    let (Some(((first, _), (last, _))), dtype) = (layers.first().zip(layers.last()), x.dtype())
    else {
        return Ok(None);
    };
    let (device, inputs, outputs) = (launch::device(x)?, first.size().0, last.size().1);
    let rows = x.elem_count() / inputs.max(1);
    let follow = layers
        .windows(2)
        .all(|two| two[0].0.size().1 == two[1].0.size().0);
    let readable = |added: &Tensor| added.dtype() == dtype || added.dtype() == DType::F32;
    let same_shape = added.is_none_or(|added| added.dims() == x.dims() && readable(added))
        && residual.is_none_or(|r| r.elem_count() == rows * outputs && r.dtype() == DType::F32);
    let simple = layers.iter().all(|(_, activation)| {
        use Activation::{Clamp, Identity, Relu, Sigmoid};
        matches!(activation, Identity | Relu | Sigmoid | Clamp(_))
    });
    let fits = layers.len() <= MOST_LAYERS
        && follow
        && simple
        && inputs.is_multiple_of(4)
        && same_shape
        && (1..=MOST_ROWS).contains(&rows)
        && x.dims().last() == Some(&inputs);
    let plan = if fits {
        Plan::new(device, layers, (rows, dtype))?
    } else {
        None
    };
    let Some(plan) = plan else {
        return Ok(None);
    };
    let (x, added) = (contiguous(x)?, added.map(contiguous).transpose()?);
    let residual = residual.map(contiguous).transpose()?;
    // Four numbers are read at a time.
    let aligned = |t: &Tensor| -> Result<bool> {
        Ok(launch::address(t)?.is_multiple_of(4 * t.dtype().size_in_bytes() as u64))
    };
    for read in [Some(&x), added.as_ref(), residual.as_ref()]
        .into_iter()
        .flatten()
    {
        if !aligned(read)? {
            return Ok(None);
        }
    }
    let mut shape = x.dims().to_vec();
    if let Some(channels) = shape.last_mut() {
        *channels = outputs;
    }
    let (y, out) = empty(device, shape.clone(), DType::F32)?;
    let mut arguments = Perceptron {
        x: launch::address(&x)?,
        added: added.as_ref().map_or(Ok(0), launch::address)?,
        residual: launch::optional(residual.as_ref(), DType::F32, "perceptron")?,
        out,
        layer_count: int(layers.len())?,
        rows: int(rows)?,
        inputs: int(inputs)?,
        added_f32: i32::from(added.as_ref().is_some_and(|a| a.dtype() == DType::F32)),
        pitch: int(plan.pitch)?,
        ..Perceptron::default()
    };
    let sums = plan.sums && residual.is_none();
    let beside = beside.filter(|b| sums && b.dims() == shape);
    let beside = beside.map(contiguous).transpose()?;
    let mut sum = None;
    if let Some(beside) = &beside
        && let Some(code) = [DType::F32, DType::F16, DType::BF16]
            .iter()
            .position(|&t| t == beside.dtype())
        && aligned(beside)?
    {
        arguments.beside_type = int(code)?;
        let (tensor, at) = empty(device, shape, beside.dtype())?;
        (arguments.beside, arguments.sum) = (launch::address(beside)?, at);
        sum = Some(tensor);
    }
    for (to, (layer, activation)) in arguments.layers.iter_mut().zip(layers) {
        let (weight, bias) = layer.parameters();
        let [halves, facts] = weight.halves(|weight| halves(device, weight, bias))?;
        (to.activation, to.limit) = code(*activation);
        (to.outputs, to.inner) = (int(layer.size().1)?, int(layer.size().0)?);
        to.share = share(layer.size().1) as i32;
        to.weight = launch::contiguous(halves, DType::F16, "perceptron")?;
        to.bias = launch::optional(bias, DType::F32, "perceptron")?;
        to.facts = launch::contiguous(facts, DType::F32, "perceptron")?;
    }
    let kernel = Kernel {
        file: plan.file,
        name: plan.name,
        grid: plan.grid,
        block: (32 * WARPS as u32, 1),
        shared: plan.shared,
    };
    // SAFETY: `Perceptron` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(Some((y, sum)))
}

/// Weights `[outputs, inner]` in two parts of f16 as `perceptron.cu` lays them out, and the three facts of a layer.
fn halves(device: &CudaDevice, weight: &Tensor, bias: Option<&Tensor>) -> Result<[Tensor; 2]> {
    let (outputs, inner) = weight.dims2()?;
    let from = launch::contiguous(weight, DType::F32, "perceptron")?;
    let bias = launch::optional(bias, DType::F32, "perceptron")?;
    let steps = outputs.div_ceil(WIDE) * inner.div_ceil(DEPTH);
    let (parts, out) = empty(device, (steps, STEP), DType::F16)?;
    let (facts, at) = empty(device, 3, DType::F32)?;
    let (outputs, inner) = (int(outputs)?, int(inner)?);
    let kernel = Kernel {
        file: "perceptron",
        name: "perceptron_weights",
        grid: (1, 1, 1),
        block: (1024, 1),
        shared: 0,
    };
    // SAFETY: the weights are outputs × inner numbers, the parts whole steps of them; a bias has one for each output; there is room for three facts.
    unsafe { kernel.launch(device, &[&from, &bias, &out, &at, &outputs, &inner]) }?;
    Ok([parts, facts])
}
