//! Dense and grouped convolution: a matrix product whose rows are the pixels under the kernel, read where they lie.

#![allow(unsafe_code)]

use super::{
    depthwise::Depthwise,
    gemm::{Addend, Gemm, Rows, Strided},
    map::Map,
    memory::{Input, Output, even, to_vec},
    packed::Packed,
    pointwise::add,
    simd::Isa,
    tile::{MAX_ROWS, Piece},
    winograd::Winograd,
};
use crate::ops::types::{
    convolution::{Conv2dOptions, Padding, Part, Residual},
    result::Result,
};
use candle_core::Tensor;

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

impl Conv2d {
    /// Packs `weight` `[out, in/groups, kh, kw]` and `bias` `[out]`.
    pub(crate) fn new(
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &Conv2dOptions,
    ) -> Result<Self> {
        let (out, inner, kh, kw) = weight.dims4()?;
        let (numbers, bias) = (to_vec(weight)?, bias.map(to_vec).transpose()?);
        let groups = options.groups;
        let weights = if inner == 1 && groups == out && groups > 1 {
            Weights::Depthwise(Depthwise::new(&numbers, bias, (kh, kw), out))
        } else if (kh, kw, options.stride, groups) == (3, 3, 1, 1) && Winograd::is_worth(inner, out)
        {
            Weights::Winograd(Winograd::new(&numbers, bias.as_deref(), (inner, out)))
        } else {
            let columns = out / groups;
            let pack = |group: usize| {
                let bias = bias
                    .as_ref()
                    .map(|bias| &bias[group * columns..(group + 1) * columns]);
                Packed::new(kh * kw * inner, columns, bias, |row, column| {
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

    /// `affine(activation(conv(x) + bias + residual))`, or the residual last.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        o: &Conv2dOptions,
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
            let y = depthwise(kernel, &map, &shape, before)?;
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
        let mut out = Output::new(shape.iter().product());
        // SAFETY: x has b·h·w pixels of c numbers, `stride` apart; out and residual have the shape's numbers, and each
        // of them is written: by Winograd's kernel, or by the groups' products side by side.
        unsafe {
            match &self.weights {
                Weights::Winograd(kernel) => kernel.run(&map, b, out.ptr(), residual),
                Weights::Groups { groups, zeros } => {
                    self.products(groups, zeros, &map, b, out.ptr(), residual);
                }
                Weights::Depthwise(_) => {}
            }
            out.into_tensor(&shape)
        }
    }

    /// The convolution of maps side by side; none where it is not of every pixel by itself.
    pub(crate) fn forward_parts(
        &self,
        parts: &[Part<'_>],
        o: &Conv2dOptions,
    ) -> Result<Option<Tensor>> {
        self.pointwise(o)
            .map(|weights| super::parts::product(parts, weights, o.activation, o.affine))
            .transpose()
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
                isa: Isa::best(),
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
            unsafe { dense(&gemm, map, inputs, groups.len() == 1, zeros) };
        }
    }
}

/// A depthwise convolution of `map` to `shape`.
fn depthwise(
    kernel: &Depthwise,
    map: &Map,
    shape: &[usize; 4],
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    let residual = residual.map(Tensor::contiguous).transpose()?;
    let residual = residual
        .as_ref()
        .map(|r| Input::<f32>::new(r, "conv2d"))
        .transpose()?;
    let mut out = Output::new(shape.iter().product());
    // SAFETY: the map is that of a tensor of as many images; out and residual have the shape's numbers, each of which is written.
    unsafe {
        kernel.run(map, shape[0], out.ptr(), residual.as_ref().map(Input::ptr));
        out.into_tensor(shape)
    }
}

/// # Safety
/// See [`Gemm::run`].
unsafe fn dense(gemm: &Gemm<'_>, map: Map, channels: usize, one_group: bool, zeros: &[f32]) {
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
            let joined = one_group && map.pixel == channels;
            gemm.run(&Pixels {
                map,
                channels,
                joined,
                zeros: zeros.as_ptr(),
            });
        }
    }
}

/// Output pixels as rows. Where pixels lie one after another (`joined`) a piece is a row of the kernel, else a pixel.
struct Pixels {
    map: Map,
    channels: usize,
    joined: bool,
    zeros: *const f32,
}

// SAFETY: only read, as long as the memory is borrowed.
unsafe impl Sync for Pixels {}

impl Rows for Pixels {
    fn pieces(&self) -> usize {
        self.map.kernel.0 * if self.joined { 1 } else { self.map.kernel.1 }
    }

    fn read(&self, first: usize, count: usize, pieces: &mut [Piece], scratch: &mut Vec<f32>) {
        if pieces.is_empty() {
            return;
        }
        let Map {
            kernel: (kh, kw),
            out: (oh, ow),
            size: (h, w),
            options: o,
            ..
        } = self.map;
        let piece = self.channels * if self.joined { kw } else { 1 };
        for (i, to) in pieces.iter_mut().enumerate() {
            (to.first, to.inner) = (i * piece, piece);
        }
        if self.joined && scratch.is_empty() {
            scratch.resize(MAX_ROWS * kh * piece, 0.0);
        }
        let (mut row, mut at) = (0, first);
        while row < count {
            // Pixels of one row of the output.
            let (line, x) = (at / ow, at % ow);
            let run = (ow - x).min(count - row);
            for ky in 0..kh {
                let iy = (line % oh * o.stride + ky).wrapping_sub(o.padding.top);
                let input = (iy < h).then(|| {
                    self.map
                        .x
                        .wrapping_add((line / oh * h + iy) * w * self.map.pixel)
                });
                if self.joined {
                    let scratch = &mut scratch[ky * MAX_ROWS * piece..];
                    self.joined_row(
                        input,
                        x,
                        &mut pieces[ky].rows[row..row + run],
                        &mut scratch[row * piece..],
                    );
                } else {
                    for kx in 0..kw {
                        self.single_row(
                            input,
                            x * o.stride + kx,
                            &mut pieces[ky * kw + kx].rows[row..row + run],
                        );
                    }
                }
            }
            (row, at) = (row + run, at + run);
        }
    }
}

impl Pixels {
    /// Pointers to the pixels at columns `column`, `column + stride`, … of the padded input.
    fn single_row(&self, input: Option<*const f32>, column: usize, to: &mut [*const f32]) {
        let Map {
            size: (_, w),
            options: o,
            pixel,
            ..
        } = self.map;
        for (i, to) in to.iter_mut().enumerate() {
            let x = (column + i * o.stride).wrapping_sub(o.padding.left);
            *to = match input {
                Some(input) if x < w => input.wrapping_add(x * pixel),
                _ => self.zeros,
            };
        }
    }

    /// Pointers to the rows of the kernel over outputs `x`, `x + 1`, …; those that reach over the border are copied.
    fn joined_row(
        &self,
        input: Option<*const f32>,
        x: usize,
        to: &mut [*const f32],
        scratch: &mut [f32],
    ) {
        let Map {
            size: (_, w),
            kernel: (_, kw),
            options: o,
            pixel,
            ..
        } = self.map;
        let Some(input) = input else {
            to.fill(self.zeros);
            return;
        };
        let left = (x * o.stride) as isize - o.padding.left as isize;
        let last = left + ((to.len() - 1) * o.stride + kw) as isize;
        if left >= 0 && last <= w as isize {
            let mut at = input.wrapping_add(left as usize * pixel);
            for to in to {
                *to = at;
                at = at.wrapping_add(o.stride * pixel);
            }
            return;
        }
        let piece = kw * self.channels;
        for (i, to) in to.iter_mut().enumerate() {
            let left = left + (i * o.stride) as isize;
            *to = if left >= 0 && left as usize + kw <= w {
                input.wrapping_add(left as usize * pixel)
            } else {
                let copy = &mut scratch[i * piece..][..piece];
                self.copy_border(input, left, copy);
                copy.as_ptr()
            };
        }
    }

    /// The pixels from column `left` on of a row of the input, zeros outside.
    fn copy_border(&self, line: *const f32, left: isize, to: &mut [f32]) {
        to.fill(0.0);
        let (w, kw) = (self.map.size.1 as isize, self.map.kernel.1 as isize);
        let (from, end) = (left.clamp(0, w), (left + kw).clamp(0, w));
        if from < end {
            let numbers = (end - from) as usize * self.channels;
            let at = (from - left) as usize * self.channels;
            // SAFETY: columns from..end lie within the row of the input, and as many pixels from `at` within the piece.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    line.wrapping_add(from as usize * self.channels),
                    to[at..at + numbers].as_mut_ptr(),
                    numbers,
                );
            }
        }
    }
}
