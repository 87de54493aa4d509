//! Dense and grouped convolution: a matrix product whose rows are the pixels under the kernel, read where they lie.

#![allow(unsafe_code)]

use super::{
    depthwise::Depthwise,
    gemm::{Addend, Gemm, Strided},
    map::Map,
    memory::{Input, even, kept_in, to_vec},
    packed::Packed,
    parts::{After, product},
    pixels::Pixels,
    pointwise::add,
    rounded::round_all,
    simd::Isa,
    winograd::Winograd,
};
use crate::ops::types::{
    convolution::{Conv2dOptions, Padding, Part, Products, Residual},
    result::Result,
};
use candle_core::{DType, Tensor};
use std::ops::Range;

/// The packed weights of a convolution.
#[derive(Debug)]
pub(crate) struct Conv2d {
    kernel: (usize, usize),
    /// Channels of the input and of the output.
    channels: (usize, usize),
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    /// One matrix `[kh·kw·channels of the group, columns of the group]` a group, and a row of zeros for pixels outside.
    Groups {
        groups: Vec<Packed>,
        zeros: Vec<f32>,
    },
    Depthwise(Depthwise),
    Winograd(Winograd),
}

/// Fewest channels of kernels over several pixels whose products are worth bf16.
const FEWEST_IN_BF16: usize = 8;

impl Conv2d {
    /// Packs `weight` `[out, in/groups, kh, kw]` and `bias` `[out]`.
    pub(crate) fn new(
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &Conv2dOptions,
        products: Products,
    ) -> Result<Self> {
        let (out, inner, kh, kw) = weight.dims4()?;
        let (numbers, bias) = (to_vec(weight)?, bias.map(to_vec).transpose()?);
        let groups = options.groups;
        let coarse = products == Products::Bf16;
        // Pixels of a few channels take longer to round than the products gain.
        let products = match products {
            Products::Bf16 if kh * kw > 1 && inner < FEWEST_IN_BF16 => Products::F32,
            products => products,
        };
        let weights = if inner == 1 && groups == out && groups > 1 {
            Weights::Depthwise(Depthwise::new(&numbers, bias, (kh, kw), out, coarse))
        } else if (kh, kw, options.stride, groups) == (3, 3, 1, 1) && Winograd::is_worth(inner, out)
        {
            Weights::Winograd(Winograd::new(
                &numbers,
                bias.as_deref(),
                (inner, out),
                products,
            ))
        } else {
            let columns = out / groups;
            let pack = |group: usize| {
                let bias = bias
                    .as_ref()
                    .map(|bias| &bias[group * columns..(group + 1) * columns]);
                Packed::new((kh * kw * inner, columns), bias, products, |row, column| {
                    let (pixel, channel) = (row / inner, row % inner);
                    numbers[((group * columns + column) * inner + channel) * kh * kw + pixel]
                })
            };
            Weights::Groups {
                groups: (0..groups).map(pack).collect(),
                zeros: vec![0.0; kw * inner],
            }
        };
        Ok(Self {
            kernel: (kh, kw),
            channels: (inner * groups, out),
            weights,
        })
    }

    /// Height and width of the output for an input of (height, width).
    pub(super) fn output_size(
        &self,
        (h, w): (usize, usize),
        o: &Conv2dOptions,
    ) -> Result<(usize, usize)> {
        let ((kh, kw), p) = (self.kernel, o.padding);
        let (ph, pw) = (h + p.top + p.bottom, w + p.left + p.right);
        if ph < kh || pw < kw || o.stride == 0 {
            candle_core::bail!(
                "conv2d: an input of {h}×{w} for a kernel of {kh}×{kw} at stride {}",
                o.stride
            );
        }
        Ok(((ph - kh) / o.stride + 1, (pw - kw) / o.stride + 1))
    }

    /// Channels of input and output.
    pub(super) fn channels(&self) -> (usize, usize) {
        self.channels
    }

    /// Height and width of the kernel.
    pub(super) fn kernel(&self) -> (usize, usize) {
        self.kernel
    }

    /// The matrix of a 1×1 convolution of every pixel.
    pub(super) fn pointwise(&self, o: &Conv2dOptions) -> Option<&Packed> {
        match &self.weights {
            Weights::Groups { groups, .. }
                if self.kernel == (1, 1) && o.stride == 1 && o.padding == Padding::default() =>
            {
                groups.first().filter(|_| groups.len() == 1)
            }
            _ => None,
        }
    }

    /// The weights of a depthwise convolution.
    pub(super) fn depthwise(&self) -> Option<&Depthwise> {
        match &self.weights {
            Weights::Depthwise(depthwise) => Some(depthwise),
            Weights::Groups { .. } | Weights::Winograd(_) => None,
        }
    }

    /// `affine(activation(conv(x) + bias + residual))`, or the residual last. Asked to be kept in bf16, the result is where these weights
    /// give that, and in f32 elsewhere.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        o: &Conv2dOptions,
        kept: Products,
    ) -> Result<Tensor> {
        let rounded = x.dtype() == DType::BF16;
        if (rounded || kept == Products::Bf16)
            && let Some(weights) = self.pointwise(o)
        {
            return product(&[Part::from(x)], weights, after(o, residual, kept));
        }
        if rounded {
            self.of_single(&x.to_dtype(DType::F32)?, residual, o, kept)
        } else {
            self.of_single(x, residual, o, kept)
        }
    }

    /// [`Conv2d::forward`] of a map in f32.
    fn of_single(
        &self,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        o: &Conv2dOptions,
        kept: Products,
    ) -> Result<Tensor> {
        let (b, h, w, c) = x.dims4()?;
        if c != self.channels.0 {
            candle_core::bail!(
                "conv2d: an input of shape {:?} for a layer of {} channels",
                x.shape(),
                self.channels.0
            );
        }
        let (oh, ow) = self.output_size((h, w), o)?;
        let shape = [b, oh, ow, self.channels.1];
        let x = even(x)?;
        let x = Input::<f32>::new(&x, "conv2d")?;
        let map = Map {
            x: x.ptr(),
            pixel: x.stride,
            size: (h, w),
            kernel: self.kernel,
            out: (oh, ow),
            options: *o,
        };
        let last = residual.is_some_and(|residual| residual.last);
        let residual = residual
            .map(|r| super::residual::residual(r.map, &shape))
            .transpose()?;
        if let Weights::Depthwise(kernel) = &self.weights {
            let before = residual.as_ref().filter(|_| !last);
            let kept = if last { Products::F32 } else { kept };
            let y = depthwise(kernel, &map, &shape, before, kept)?;
            return match residual {
                Some(residual) if last => add(&y, &residual),
                _ => Ok(y),
            };
        }
        let residual = residual
            .as_ref()
            .map(|r| Input::<f32>::new(r, "conv2d"))
            .transpose()?;
        let residual = residual.as_ref().map(|r| super::residual::addend(r, last));
        let kept = match &self.weights {
            Weights::Winograd(kernel) if kernel.rounds() => kept,
            _ => Products::F32,
        };
        // SAFETY: x has b·h·w pixels of c numbers, `stride` apart; out and residual have the shape's numbers, and each
        // of them is written: by Winograd's kernel, or by the groups' products side by side.
        unsafe {
            kept_in(kept, &shape, |out| match &self.weights {
                Weights::Winograd(kernel) => kernel.run(&map, b, out, residual, kept),
                Weights::Groups { groups, zeros } => {
                    self.products(groups, zeros, &map, b, out, residual);
                }
                Weights::Depthwise(_) => {}
            })
        }
    }

    /// The convolution of maps side by side; none where it is not of every pixel by itself.
    pub(crate) fn forward_parts(
        &self,
        parts: &[Part<'_>],
        o: &Conv2dOptions,
        kept: Products,
    ) -> Result<Option<Tensor>> {
        self.pointwise(o)
            .map(|weights| product(parts, weights, after(o, None, kept)))
            .transpose()
    }

    /// The weights of a convolution that [`Conv2d::rows_here`] takes: dense, in one group.
    pub(super) fn dense(&self) -> Option<(&Packed, &[f32])> {
        match &self.weights {
            Weights::Groups { groups, zeros } => match groups.as_slice() {
                [weights] => Some((weights, zeros)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Rows `lines` of an image's output, on this thread; row 0 would be at `out`, pixels `out_pixel` apart.
    ///
    /// # Safety
    /// The map's rows under the kernel and the rows of the output are there.
    pub(super) unsafe fn rows_here(
        &self,
        isa: Isa,
        map: &Map,
        lines: Range<usize>,
        out: *mut f32,
        out_pixel: usize,
    ) {
        let Some((weights, zeros)) = self.dense() else {
            return;
        };
        let width = map.out.1;
        let gemm = Gemm {
            isa,
            weights,
            rows: map.out.0 * width,
            out,
            out_stride: out_pixel,
            residual: None,
            bias: true,
            activation: map.options.activation,
            affine: map.options.affine,
        };
        let rows = lines.start * width..lines.end * width;
        // SAFETY: the caller vouched for the memory.
        unsafe {
            if rounds_map(weights, map, self.channels.0) {
                let under = map.rows_under(&lines);
                let line = map.size.1 * map.pixel;
                let from = map.x.wrapping_add(under.start * line);
                let mut pairs = round_all(isa, from, under.len() * line);
                let pixels = Pixels::of_pairs(map, pairs.ptr(), under.start, zeros.as_ptr());
                gemm.rows_here(&pixels, rows);
            } else {
                gemm.rows_here(&Pixels::of(map, self.channels.0, zeros.as_ptr()), rows);
            }
        }
    }

    /// The groups' products, side by side.
    ///
    /// # Safety
    /// The map's memory holds `batch` inputs; `out` and `residual` have the outputs' pixels.
    unsafe fn products(
        &self,
        groups: &[Packed],
        zeros: &[f32],
        map: &Map,
        batch: usize,
        out: *mut f32,
        residual: Option<Addend>,
    ) {
        let (inputs, outputs) = (self.channels.0 / groups.len(), self.channels.1);
        for (group, weights) in groups.iter().enumerate() {
            let first = group * weights.columns;
            let gemm = Gemm {
                isa: Isa::best_for(weights.products),
                weights,
                rows: batch * map.out.0 * map.out.1,
                out: out.wrapping_add(first),
                out_stride: outputs,
                residual: residual.map(|r| Addend {
                    start: r.start.wrapping_add(first),
                    ..r
                }),
                bias: true,
                activation: map.options.activation,
                affine: map.options.affine,
            };
            let map = map.at_channel(group * inputs);
            // SAFETY: the caller vouched for the memory.
            unsafe { dense(&gemm, map, inputs, zeros) };
        }
    }
}

/// What becomes of a product of every pixel.
fn after<'a>(o: &Conv2dOptions, residual: Option<Residual<'a>>, kept: Products) -> After<'a> {
    After {
        activation: o.activation,
        affine: o.affine,
        residual,
        kept,
    }
}

/// A depthwise convolution of `map` to `shape`.
fn depthwise(
    kernel: &Depthwise,
    map: &Map,
    shape: &[usize; 4],
    residual: Option<&Tensor>,
    kept: Products,
) -> Result<Tensor> {
    let residual = residual.map(Tensor::contiguous).transpose()?;
    let residual = residual
        .as_ref()
        .map(|r| Input::<f32>::new(r, "conv2d"))
        .transpose()?;
    let residual = residual.as_ref().map(Input::ptr);
    let kept = if kernel.rounds(map.options.activation) {
        kept
    } else {
        Products::F32
    };
    // SAFETY: the map is that of a tensor of as many images; out and residual have the shape's numbers, each of which is written.
    unsafe {
        kept_in(kept, shape, |out| {
            kernel.run(map, shape[0], out, residual, kept)
        })
    }
}

/// # Safety
/// See [`Gemm::run`].
unsafe fn dense(gemm: &Gemm<'_>, map: Map, channels: usize, zeros: &[f32]) {
    let o = map.options;
    let pointwise = map.kernel == (1, 1) && o.stride == 1 && map.out == map.size;
    // SAFETY: the caller vouched for the pointers.
    unsafe {
        if pointwise {
            gemm.run(&Strided {
                start: map.x,
                stride: map.pixel,
                inner: channels,
            });
        } else {
            gemm.run(&Pixels::of(&map, channels, zeros.as_ptr()));
        }
    }
}

/// Whether rows of a map of so many channels can be rounded before they are read.
fn rounds_map(weights: &Packed, map: &Map, channels: usize) -> bool {
    weights.products == Products::Bf16 && map.pixel == channels && channels.is_multiple_of(2)
}
