//! Convolutions by kind: 1×1 and dense ones as matrix products, depthwise ones by a kernel of their own.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, empty, int, named, structure},
    layout::{contiguous, even},
    product::{Dense, Linear},
    product_arguments::code,
    typed::Typed,
};
use crate::ops::{
    reference,
    types::{
        convolution::{Conv2dOptions, Padding, Part, Residual},
        result::Result,
        strides::row_stride,
    },
};
use candle_core::{DType, Tensor};

/// A convolution's weights.
#[derive(Debug)]
pub(crate) struct Conv2d {
    weights: Weights,
    /// Height and width.
    kernel: (usize, usize),
}

#[derive(Debug)]
enum Weights {
    /// 1×1, stride 1, no padding.
    Pointwise(Linear),
    Dense(Dense),
    Depthwise(Depthwise),
    /// Groups of several channels, which no model here has.
    Grouped {
        weight: Tensor,
        bias: Option<Tensor>,
    },
}

impl Conv2d {
    /// From `weight` `[out, in/groups, kh, kw]` and `bias` `[out]`.
    pub(crate) fn new(weight: &Tensor, bias: Option<&Tensor>, o: &Conv2dOptions) -> Result<Self> {
        let (out, inner, kh, kw) = weight.dims4()?;
        let weights = if o.groups == 1
            && (kh, kw, o.stride) == (1, 1, 1)
            && o.padding == Padding::default()
        {
            Weights::Pointwise(Linear::new(&weight.reshape((out, inner))?, bias)?)
        } else if o.groups == 1 {
            Weights::Dense(Dense::new(weight, bias)?)
        } else if o.groups == out && inner == 1 {
            Weights::Depthwise(Depthwise::new(weight, bias)?)
        } else {
            Weights::Grouped {
                weight: weight.clone(),
                bias: bias.cloned(),
            }
        };
        Ok(Self {
            weights,
            kernel: (kh, kw),
        })
    }

    /// See [`crate::ops::Conv2d::forward_add`].
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        o: &Conv2dOptions,
    ) -> Result<Tensor> {
        let (_, h, w, _) = x.dims4()?;
        let out = self.output_size((h, w), o)?;
        match &self.weights {
            Weights::Pointwise(linear) => linear.forward_parts(
                &[Part {
                    map: x,
                    doubled: false,
                }],
                residual,
                o,
            ),
            Weights::Dense(dense) => dense.forward(x, out, residual, o),
            Weights::Depthwise(depthwise) => match residual {
                Some(Residual { map, last: true }) => {
                    super::add(&depthwise.forward(x, out, None, o)?, map)
                }
                residual => depthwise.forward(x, out, residual.map(|r| r.map), o),
            },
            Weights::Grouped { weight, bias } => {
                let (weight, bias) = (
                    weight.to_dtype(x.dtype())?,
                    bias.as_ref().map(|b| b.to_dtype(x.dtype())).transpose()?,
                );
                let first = residual.filter(|r| !r.last).map(|r| r.map);
                let y = reference::conv2d(x, &weight, bias.as_ref(), first, o)?;
                residual
                    .filter(|r| r.last)
                    .map_or(Ok(y.clone()), |r| super::add(&y, r.map))
            }
        }
    }

    /// See [`crate::ops::Conv2d::forward_parts`]; none where the convolution is not 1×1.
    pub(crate) fn forward_parts(
        &self,
        parts: &[Part<'_>],
        o: &Conv2dOptions,
    ) -> Result<Option<Tensor>> {
        match &self.weights {
            Weights::Pointwise(linear) => linear.forward_parts(parts, None, o).map(Some),
            _ => Ok(None),
        }
    }

    /// Weight and bias, if it is a 1×1 convolution.
    pub(super) fn pointwise(&self) -> Option<&Linear> {
        match &self.weights {
            Weights::Pointwise(linear) => Some(linear),
            _ => None,
        }
    }

    /// Weights of a convolution that is neither 1×1 nor of groups.
    pub(super) fn dense(&self) -> Option<&Dense> {
        match &self.weights {
            Weights::Dense(dense) => Some(dense),
            _ => None,
        }
    }

    /// Weight `[kh·kw, channels]`, bias and kernel's size, if it is depthwise.
    pub(super) fn depthwise(&self) -> Option<(&Typed, &Tensor, (usize, usize))> {
        match &self.weights {
            Weights::Depthwise(d) => Some((&d.weight, &d.bias, d.kernel)),
            _ => None,
        }
    }

    fn output_size(&self, (h, w): (usize, usize), o: &Conv2dOptions) -> Result<(usize, usize)> {
        let (ph, pw) = (
            h + o.padding.top + o.padding.bottom,
            w + o.padding.left + o.padding.right,
        );
        let (kh, kw) = self.kernel;
        if o.stride == 0 || ph < kh || pw < kw {
            candle_core::bail!(
                "conv2d: a map of {h}×{w} for a kernel of {kh}×{kw} at stride {}",
                o.stride
            );
        }
        Ok(((ph - kh) / o.stride + 1, (pw - kw) / o.stride + 1))
    }
}

/// `Depthwise` of `depthwise.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    input: u64,
    weight: u64,
    bias: u64,
    residual: u64,
    out: u64,
    pixel: i64,
    batch: i32,
    channels: i32,
    height: i32,
    width: i32,
    out_height: i32,
    out_width: i32,
    kernel_height: i32,
    kernel_width: i32,
    stride: i32,
    top: i32,
    left: i32,
    activation: i32,
    limit: f32,
    scale: f32,
    shift: f32,
}

structure!(Arguments: input, weight, bias, residual, out);

#[derive(Debug)]
struct Depthwise {
    /// `[kh·kw, channels]`.
    weight: Typed,
    bias: Tensor,
    channels: usize,
    kernel: (usize, usize),
}

impl Depthwise {
    fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (channels, _, kh, kw) = weight.dims4()?;
        let bias = match bias {
            Some(bias) => contiguous(&bias.to_dtype(DType::F32)?)?,
            None => Tensor::zeros(channels, DType::F32, weight.device())?,
        };
        let weight = contiguous(
            &weight
                .to_dtype(DType::F32)?
                .reshape((channels, kh * kw))?
                .t()?,
        )?;
        Ok(Self {
            weight: Typed::new(weight),
            bias,
            channels,
            kernel: (kh, kw),
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        out: (usize, usize),
        residual: Option<&Tensor>,
        o: &Conv2dOptions,
    ) -> Result<Tensor> {
        let (x, dtype) = (even(x)?, x.dtype());
        let (b, h, w, c) = x.dims4()?;
        let shape = [b, out.0, out.1, c];
        if c != self.channels || residual.is_some_and(|r| r.dims() != shape) {
            candle_core::bail!(
                "depthwise convolution: {:?} for {} channels",
                x.shape(),
                self.channels
            );
        }
        let residual = residual.map(contiguous).transpose()?;
        let (device, pixel) = (launch::device(&x)?, row_stride(&x).unwrap_or(c));
        let (y, address) = empty(device, &shape[..], dtype)?;
        let (activation, limit) = code(o.activation);
        let (scale, shift) = o.affine.unwrap_or((1.0, 0.0));
        let arguments = Arguments {
            input: launch::address(&x)?,
            weight: launch::contiguous(self.weight.get(dtype)?, dtype, "depthwise convolution")?,
            bias: launch::contiguous(&self.bias, DType::F32, "depthwise convolution")?,
            residual: launch::optional(residual.as_ref(), dtype, "depthwise convolution")?,
            out: address,
            pixel: pixel as i64,
            batch: int(b)?,
            channels: int(c)?,
            height: int(h)?,
            width: int(w)?,
            out_height: int(out.0)?,
            out_width: int(out.1)?,
            kernel_height: int(self.kernel.0)?,
            kernel_width: int(self.kernel.1)?,
            stride: int(o.stride)?,
            top: int(o.padding.top)?,
            left: int(o.padding.left)?,
            activation,
            limit,
            scale,
            shift,
        };
        let aligned = c.is_multiple_of(8)
            && pixel.is_multiple_of(8)
            && arguments
                .input
                .is_multiple_of(8 * dtype.size_in_bytes() as u64);
        let kernel = depthwise_kernel(self.kernel, o.stride, aligned, &shape, dtype)?;
        // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
        unsafe { kernel.launch(device, &[&arguments]) }?;
        Ok(y)
    }
}

const DEPTHWISE_THREADS: usize = 128;
/// Threads that are enough for a kernel whose threads make more pixels to be the faster one.
const ENOUGH_THREADS: usize = 40 << 10;
const ENOUGH_THREADS_5X5: usize = 4 << 10;

/// The kernel for an output of `shape`, a thread of which makes as many rows and columns of pixels as its name says.
fn depthwise_kernel(
    kernel: (usize, usize),
    stride: usize,
    aligned: bool,
    shape: &[usize; 4],
    dtype: DType,
) -> Result<Kernel> {
    let &[b, h, w, c] = shape;
    let threads =
        |rows: usize, columns: usize| b * h.div_ceil(rows) * w.div_ceil(columns) * (c / 4);
    let (name, work) = match (kernel, stride, aligned) {
        ((3, 3), 1, true) if threads(4, 2) >= ENOUGH_THREADS => {
            (named!("depthwise_3_1_4x2", dtype)?, threads(4, 2))
        }
        ((3, 3), 1, true) => (named!("depthwise_3_1_2x2", dtype)?, threads(2, 2)),
        ((3, 3), 2, true) => (named!("depthwise_3_2_2x2", dtype)?, threads(2, 2)),
        ((5, 5), 1, true) if threads(2, 4) >= ENOUGH_THREADS_5X5 => {
            (named!("depthwise_5_1_2x4", dtype)?, threads(2, 4))
        }
        ((5, 5), 1, true) => (named!("depthwise_5_1_1x2", dtype)?, threads(1, 2)),
        _ => {
            return Ok(Kernel::over(
                "depthwise",
                named!("depthwise_any", dtype)?,
                b * h * w * c,
            ));
        }
    };
    int(work)?;
    Ok(Kernel {
        file: "depthwise",
        name,
        grid: (work.div_ceil(DEPTHWISE_THREADS), 1, 1),
        block: (DEPTHWISE_THREADS as u32, 1),
        shared: 0,
    })
}
