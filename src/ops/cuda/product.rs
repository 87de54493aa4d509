//! Linear layers and convolutions: one kind of matrix product, see `gemm.cuh`.

#![allow(unsafe_code)]

use super::{
    few::few_kernel,
    launch::{self, Kernel, THREADS, empty, int, named},
    layout::{contiguous, copied, even},
    pointwise::padded,
    product_arguments::{MAX_PARTS, Product, Source, code},
    tiles::{ANY_CONV, ANY_LINEAR, ENOUGH_BLOCKS, FOUR_CONV, fastest, tile_for},
    typed::Typed,
};
use crate::ops::types::{
    activation::Activation,
    convolution::{Conv2dOptions, LinearPrecision, Part, Residual},
    result::Result,
    strides::row_stride,
};
use candle_core::{DType, Tensor};

/// Greatest power of two up to 8 that divides all of a tensor's row starts, in numbers.
pub(super) fn alignment(address: u64, stride: usize, channels: usize, dtype: DType) -> usize {
    let size = dtype.size_in_bytes() as u64;
    let divides = |n: usize| {
        address.is_multiple_of(n as u64 * size)
            && stride.is_multiple_of(n)
            && channels.is_multiple_of(n)
    };
    [8, 4].into_iter().find(|&n| divides(n)).unwrap_or(1)
}

/// A residual in evenly spaced rows that kernels can read: by pairs where rows are even, which must then start at even places.
fn in_pairs(x: &Tensor) -> Result<Tensor> {
    let x = even(x)?;
    let odd = !launch::address(&x)?.is_multiple_of(2 * x.dtype().size_in_bytes() as u64);
    let pairs = x.dims().last().is_some_and(|c| c.is_multiple_of(2))
        && row_stride(&x).is_some_and(|s| s.is_multiple_of(2));
    if odd && pairs { copied(&x) } else { Ok(x) }
}

/// What the result and the residual are of.
fn types(x: &Tensor, precision: LinearPrecision) -> Result<(DType, DType)> {
    let dtype = x.dtype();
    match (dtype, precision) {
        (DType::F32 | DType::F16 | DType::BF16, LinearPrecision::F32) | (DType::F32, _) => {
            Ok((DType::F32, DType::F32))
        }
        (DType::F16 | DType::BF16, LinearPrecision::F32Result) => Ok((DType::F32, dtype)),
        (DType::F16 | DType::BF16, LinearPrecision::Input) => Ok((dtype, dtype)),
        _ => candle_core::bail!(
            "a layer for an input of {dtype:?}, which is none of f32, f16 and bf16"
        ),
    }
}

/// Weights and bias, and what follows the sum.
#[derive(Debug)]
pub(super) struct Weights {
    /// `[columns, inner]`, inner padded with zeros to a multiple of eight.
    weight: Typed,
    bias: Option<Tensor>,
    columns: usize,
    inner: usize,
}

impl Weights {
    fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let weight = padded(&weight.to_dtype(DType::F32)?)?;
        let (columns, inner) = weight.dims2()?;
        let bias = bias
            .map(|b| contiguous(&b.to_dtype(DType::F32)?))
            .transpose()?;
        Ok(Self {
            weight: Typed::new(weight),
            bias,
            columns,
            inner,
        })
    }

    /// Fills in what does not depend on where the input lies, launches, and gives the result of `shape`.
    pub(super) fn run(
        &self,
        x: &Tensor,
        mut product: Product,
        job: &Job<'_>,
        shape: &[usize],
    ) -> Result<Tensor> {
        let device = launch::device(x)?;
        let (out_type, residual_type) = types(x, job.precision)?;
        let in_f32 = residual_type == DType::F32;
        // Sixteen bytes of the input are copied at a time.
        let split = in_f32
            && !job.conv
            && product.part_count == 1
            && job.alignment >= if x.dtype() == DType::F32 { 4 } else { 8 };
        let weight = match (split, in_f32) {
            (true, _) => self.weight.parts()?,
            (false, true) => self.weight.get(DType::F32)?,
            (false, false) => self.weight.get(x.dtype())?,
        };
        let rows = shape
            .iter()
            .take(shape.len().saturating_sub(1))
            .product::<usize>();
        let (out, address) = empty(device, shape, out_type)?;
        let residual = job.residual.map(|r| in_pairs(r.map)).transpose()?;
        if let Some(residual) = &residual {
            let given = residual.elem_count();
            if given == 0
                || residual.dims().last() != Some(&self.columns)
                || !rows.is_multiple_of(given / self.columns)
            {
                candle_core::bail!(
                    "a residual of shape {:?} for an output of shape {shape:?}",
                    residual.shape()
                );
            }
            if residual.dtype() != residual_type {
                candle_core::bail!(
                    "a residual of {:?}, one of {residual_type:?} was expected",
                    residual.dtype()
                );
            }
            product.residual_rows = int(given / self.columns)?;
            product.residual_stride = int(row_stride(residual).unwrap_or(self.columns))?;
            product.residual = launch::address(residual)?;
            product.residual_last = i32::from(job.residual.is_some_and(|r| r.last));
        }
        product.weight = launch::contiguous(weight, weight.dtype(), "weights")?;
        product.bias = launch::optional(self.bias.as_ref(), DType::F32, "bias")?;
        product.out = address;
        (product.rows, product.columns, product.inner) =
            (int(rows)?, int(self.columns)?, int(self.inner)?);
        (product.activation, product.limit) = code(job.activation);
        (product.scale, product.shift) = job.affine.unwrap_or((1.0, 0.0));
        product.out_f32 = i32::from(out_type == DType::F32);
        let mut kernel = if split {
            split_kernel(x.dtype(), rows, self.columns)?
        } else {
            kernel(x.dtype(), in_f32, job, rows, self.columns, self.inner)?
        };
        let few = if in_f32 || !job.conv {
            None
        } else {
            few_kernel(x.dtype(), &product)?
        };
        if let Some(few) = few {
            kernel = few;
        } else if !in_f32 && job.alignment == 8 {
            kernel = fastest(device, &product, job.conv, x.dtype(), kernel)?;
        }
        // SAFETY: `Product` is the kernel's own type; addresses and sizes are those of the tensors above, which outlive the launch
        // on the one stream there is.
        unsafe { kernel.launch(device, &[&product]) }?;
        Ok(out)
    }
}

/// What is asked of one product.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) conv: bool,
    pub(super) alignment: usize,
    pub(super) precision: LinearPrecision,
    pub(super) residual: Option<Residual<'a>>,
    pub(super) activation: Activation,
    pub(super) affine: Option<(f32, f32)>,
}

/// The kernel that sums products of f32 numbers on the tensor cores.
fn split_kernel(dtype: DType, rows: usize, columns: usize) -> Result<Kernel> {
    let blocks = |side: usize| (rows.div_ceil(side), columns.div_ceil(side), 1);
    let (down, across, _) = blocks(64);
    let large = down * across >= ENOUGH_BLOCKS;
    let (name, side, stages) = if large {
        (named!("split_64", dtype)?, 64, 2)
    } else {
        (named!("split_32", dtype)?, 32, 4)
    };
    // Tiles of 64 numbers of k: the left one of the input's type, three right ones of bf16, each row 16 bytes longer.
    let shared = stages * side * ((64 * dtype.size_in_bytes() + 16) + 3 * (64 * 2 + 16));
    Ok(Kernel {
        file: "gemm_split",
        name,
        grid: blocks(side),
        block: (THREADS, 1),
        shared,
    })
}

fn kernel(
    dtype: DType,
    in_f32: bool,
    job: &Job<'_>,
    rows: usize,
    columns: usize,
    inner: usize,
) -> Result<Kernel> {
    if in_f32 {
        let small = rows.div_ceil(64) * columns.div_ceil(64) < ENOUGH_BLOCKS && !job.conv;
        let side = if small { 32 } else { 64 };
        let name = match (job.conv, small) {
            (true, _) if dtype == DType::F32 => "conv_64_f32",
            (true, _) => candle_core::bail!("a convolution in f32 of {dtype:?}"),
            (false, true) => named!("linear_32", dtype)?,
            (false, false) => named!("linear_64", dtype)?,
        };
        return Ok(Kernel {
            file: "gemm_f32",
            name,
            grid: (rows.div_ceil(side), columns.div_ceil(side), 1),
            block: (256, 1),
            shared: 0,
        });
    }
    let tile = match (job.conv, job.alignment) {
        (_, 8) => tile_for(rows, columns),
        (true, 4) => &FOUR_CONV,
        (true, _) => &ANY_CONV,
        (false, _) => &ANY_LINEAR,
    };
    Ok(tile.kernel(job.conv, dtype, rows, columns, inner))
}

/// A linear layer's weights.
#[derive(Debug)]
pub(crate) struct Linear {
    weights: Weights,
    inputs: usize,
}

impl Linear {
    /// From `weight` `[out, in]` and `bias` `[out]`.
    pub(crate) fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        Ok(Self {
            inputs: weight.dim(1)?,
            weights: Weights::new(weight, bias)?,
        })
    }

    /// Weight `[outputs, inputs]`, inputs padded to a multiple of eight, and bias.
    pub(super) fn parameters(&self) -> (&Typed, Option<&Tensor>) {
        (&self.weights.weight, self.weights.bias.as_ref())
    }

    pub(super) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Inputs and outputs.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.inputs, self.weights.columns)
    }

    /// `activation(x·Wᵀ + bias + residual)`.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        activation: Activation,
        precision: LinearPrecision,
    ) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == self.inputs => *last = self.weights.columns,
            _ => candle_core::bail!(
                "linear: an input of shape {:?} for a layer of {} inputs",
                x.shape(),
                self.inputs
            ),
        }
        self.run(
            &[Part {
                map: x,
                doubled: false,
            }],
            residual,
            activation,
            None,
            precision,
            &shape,
        )
    }

    /// See [`crate::ops::Linear::forward_parts`].
    pub(crate) fn forward_tokens(
        &self,
        parts: &[&Tensor],
        activation: Activation,
        precision: LinearPrecision,
    ) -> Result<Tensor> {
        let outer = |x: &Tensor| {
            x.dims()
                .split_last()
                .map(|(_, outer)| outer.to_vec())
                .unwrap_or_default()
        };
        let mut shape = parts.first().map(|x| outer(x)).unwrap_or_default();
        let channels: usize = parts.iter().filter_map(|x| x.dims().last()).sum();
        if channels != self.inputs || parts.iter().any(|x| outer(x) != shape) {
            candle_core::bail!(
                "{channels} channels side by side for a layer of {} inputs",
                self.inputs
            );
        }
        shape.push(self.weights.columns);
        let parts: Vec<Part<'_>> = parts
            .iter()
            .map(|&map| Part {
                map,
                doubled: false,
            })
            .collect();
        self.run(&parts, None, activation, None, precision, &shape)
    }

    /// The layer as a 1×1 convolution of maps side by side, see [`crate::ops::Conv2d::forward_parts`].
    pub(crate) fn forward_parts(
        &self,
        parts: &[Part<'_>],
        residual: Option<Residual<'_>>,
        options: &Conv2dOptions,
    ) -> Result<Tensor> {
        let (mut channels, mut size) = (0, None);
        for part in parts {
            let (b, h, w, c) = part.map.dims4()?;
            let here = if part.doubled {
                (b, 2 * h, 2 * w)
            } else {
                (b, h, w)
            };
            if *size.get_or_insert(here) != here {
                candle_core::bail!(
                    "maps of different sizes side by side: {:?}",
                    parts.iter().map(|p| p.map.shape()).collect::<Vec<_>>()
                );
            }
            channels += c;
        }
        let Some((b, h, w)) = size.filter(|_| channels == self.inputs) else {
            candle_core::bail!("{channels} channels for a layer of {} inputs", self.inputs)
        };
        self.run(
            parts,
            residual,
            options.activation,
            options.affine,
            LinearPrecision::Input,
            &[b, h, w, self.weights.columns],
        )
    }

    fn run(
        &self,
        parts: &[Part<'_>],
        residual: Option<Residual<'_>>,
        activation: Activation,
        affine: Option<(f32, f32)>,
        precision: LinearPrecision,
        shape: &[usize],
    ) -> Result<Tensor> {
        let Some(first) = parts.first() else {
            candle_core::bail!("a product of nothing")
        };
        if parts.len() > MAX_PARTS || parts.iter().any(|p| p.map.dtype() != first.map.dtype()) {
            candle_core::bail!(
                "{} tensors side by side, or of different types",
                parts.len()
            );
        }
        let mut product = Product {
            part_count: int(parts.len())?,
            ..Product::default()
        };
        let mut aligned = 8;
        // They live until the product was launched.
        let maps = parts
            .iter()
            .map(|part| even(part.map))
            .collect::<Result<Vec<_>>>()?;
        for ((source, part), map) in product.parts.iter_mut().zip(parts).zip(&maps) {
            let (channels, stride) = (
                map.dims().last().copied().unwrap_or(0),
                row_stride(map).unwrap_or(0),
            );
            let start = launch::address(map)?;
            *source = Source {
                start,
                stride: stride as i64,
                channels: int(channels)?,
                doubled: i32::from(part.doubled),
            };
            aligned = aligned.min(alignment(start, stride, channels, map.dtype()));
        }
        if let (true, &[_, h, w, _]) = (parts.iter().any(|p| p.doubled), shape) {
            (product.out_height, product.out_width) = (int(h)?, int(w)?);
        }
        if parts.len() > 1 && aligned < 8 && first.map.dtype() != DType::F32 {
            // Channels that are not divisible by eight would be split between parts.
            let whole: Vec<Tensor> = parts
                .iter()
                .map(|p| {
                    if p.doubled {
                        super::upsample_nearest2x(p.map)
                    } else {
                        Ok(p.map.clone())
                    }
                })
                .collect::<Result<_>>()?;
            let joined = super::concat_channels(&whole.iter().collect::<Vec<_>>())?;
            return self.run(
                &[Part {
                    map: &joined,
                    doubled: false,
                }],
                residual,
                activation,
                affine,
                precision,
                shape,
            );
        }
        let job = Job {
            conv: false,
            alignment: aligned,
            precision,
            residual,
            activation,
            affine,
        };
        self.weights.run(first.map, product, &job, shape)
    }
}

/// A convolution's weights, of one group.
#[derive(Debug)]
pub(super) struct Dense {
    weights: Weights,
    kernel: (usize, usize),
    channels: usize,
}

impl Dense {
    /// From `weight` `[out, in, kh, kw]` and `bias` `[out]`.
    pub(super) fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (out, channels, kh, kw) = weight.dims4()?;
        let taps = padded(&contiguous(&weight.permute((0, 2, 3, 1))?)?)?.reshape((out, ()))?;
        Ok(Self {
            weights: Weights::new(&taps, bias)?,
            kernel: (kh, kw),
            channels,
        })
    }

    /// Weight `[out, kh·kw·in]`, the inputs of each pixel padded with zeros to a multiple of eight, and bias.
    pub(super) fn parameters(&self) -> (&Typed, Option<&Tensor>) {
        (&self.weights.weight, self.weights.bias.as_ref())
    }

    /// Channels of input and output.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.channels, self.weights.columns)
    }

    /// Height and width of the kernel.
    pub(super) fn kernel(&self) -> (usize, usize) {
        self.kernel
    }

    /// `affine(activation(conv(x) + bias + residual))` for x `[B, H, W, in]` and an output of (height, width).
    pub(super) fn forward(
        &self,
        x: &Tensor,
        out: (usize, usize),
        residual: Option<Residual<'_>>,
        o: &Conv2dOptions,
    ) -> Result<Tensor> {
        let x = even(x)?;
        let (b, h, w, c) = x.dims4()?;
        if c != self.channels {
            candle_core::bail!(
                "conv2d: an input of shape {:?} for {} channels",
                x.shape(),
                self.channels
            );
        }
        let (start, stride) = (launch::address(&x)?, row_stride(&x).unwrap_or(c));
        let mut product = Product {
            part_count: 1,
            ..Product::default()
        };
        product.parts[0] = Source {
            start,
            stride: stride as i64,
            channels: int(c)?,
            doubled: 0,
        };
        (product.height, product.width) = (int(h)?, int(w)?);
        (product.out_height, product.out_width) = (int(out.0)?, int(out.1)?);
        (product.kernel_height, product.kernel_width) = (int(self.kernel.0)?, int(self.kernel.1)?);
        (product.stride, product.top, product.left) =
            (int(o.stride)?, int(o.padding.top)?, int(o.padding.left)?);
        (product.channels, product.padded) = (int(c)?, int(c.next_multiple_of(8))?);
        let alignment = alignment(start, stride, c, x.dtype());
        let job = Job {
            conv: true,
            alignment,
            precision: LinearPrecision::Input,
            residual,
            activation: o.activation,
            affine: o.affine,
        };
        self.weights
            .run(&x, product, &job, &[b, out.0, out.1, self.weights.columns])
    }
}
