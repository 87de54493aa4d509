//! Layer normalisation and softmax.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, empty, int, named, structure},
    layout::{contiguous, even},
    product_arguments::code,
};
use crate::ops::types::{activation::Activation, result::Result, strides::row_stride};
use candle_core::{DType, Tensor};

/// `LayerNorm` of `norm.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    input: u64,
    weight: u64,
    bias: u64,
    out: u64,
    stride: i64,
    rows: i32,
    channels: i32,
    eps: f32,
    limit: f32,
    activation: i32,
}

structure!(Arguments: input, weight, bias, out);

/// A normalisation's parameters, both `[channels]` f32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub(crate) weight: &'a Tensor,
    pub(crate) bias: &'a Tensor,
    pub(crate) eps: f32,
}

impl Norm<'_> {
    fn arguments(&self, shape: &[usize], out: u64) -> Result<Arguments> {
        let channels = shape.last().copied().unwrap_or(0);
        if self.weight.dims() != [channels] || self.bias.dims() != [channels] || channels == 0 {
            candle_core::bail!(
                "layer_norm: {shape:?} by {:?} and {:?}",
                self.weight.shape(),
                self.bias.shape()
            );
        }
        Ok(Arguments {
            weight: launch::contiguous(self.weight, DType::F32, "layer_norm")?,
            bias: launch::contiguous(self.bias, DType::F32, "layer_norm")?,
            out,
            stride: channels as i64,
            rows: int(shape.iter().product::<usize>() / channels)?,
            channels: int(channels)?,
            eps: self.eps,
            ..Arguments::default()
        })
    }
}

/// See [`crate::ops::LayerNorm::forward`]; the input is held to ± `limit` first where that is not 0.
pub(crate) fn layer_norm(
    x: &Tensor,
    norm: &Norm<'_>,
    limit: f32,
    activation: Activation,
) -> Result<Tensor> {
    let (device, x) = (launch::device(x)?, even(x)?);
    let (y, out) = empty(device, x.shape(), x.dtype())?;
    let mut arguments = norm.arguments(x.dims(), out)?;
    arguments.input = launch::address(&x)?;
    arguments.stride = row_stride(&x).unwrap_or(0) as i64;
    (arguments.limit, arguments.activation) = (limit, code(activation).0);
    let (channels, rows) = (arguments.channels as usize, arguments.rows as usize);
    let rows_aligned = arguments
        .input
        .is_multiple_of(8 * x.dtype().size_in_bytes() as u64)
        && arguments.stride % 8 == 0;
    let constants_aligned = [arguments.weight, arguments.bias]
        .iter()
        .all(|a| a.is_multiple_of(16));
    let kernel =
        if channels.is_multiple_of(8) && channels <= 512 && rows_aligned && constants_aligned {
            let dtype = x.dtype();
            // Threads of a row.
            let (name, threads) = match channels {
                ..=64 => (named!("layer_norm_64", dtype)?, 8),
                65..=128 => (named!("layer_norm_128", dtype)?, 16),
                129..=256 => (named!("layer_norm_256", dtype)?, 32),
                _ => (named!("layer_norm_512", dtype)?, 32),
            };
            Kernel::over("norm", name, rows * threads)
        } else {
            Kernel::rows("norm", named!("layer_norm", x.dtype())?, rows)
        };
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(y)
}

/// See [`crate::ops::LayerNorm::forward_gated`].
pub(crate) fn gated_norm(
    gates: &Tensor,
    x: &Tensor,
    seen: &Tensor,
    norm: &Norm<'_>,
) -> Result<Tensor> {
    let (device, dtype) = (launch::device(x)?, x.dtype());
    let (x, seen, gates) = (contiguous(x)?, contiguous(seen)?, contiguous(gates)?);
    if x.dims() != seen.dims() || gates.elem_count() != 2 * x.elem_count() {
        candle_core::bail!(
            "gated_norm: {:?}, {:?} and gates {:?}",
            x.shape(),
            seen.shape(),
            gates.shape()
        );
    }
    let (y, out) = empty(device, x.shape(), dtype)?;
    let arguments = norm.arguments(x.dims(), out)?;
    let [gates, a, b] = [&gates, &x, &seen].map(|t| launch::contiguous(t, dtype, "gated_norm"));
    let [gates, a, b] = [gates?, a?, b?];
    let bytes = 8 * dtype.size_in_bytes() as u64;
    let aligned = [gates, a, b].iter().all(|at| at.is_multiple_of(bytes))
        && [arguments.weight, arguments.bias]
            .iter()
            .all(|at| at.is_multiple_of(16));
    let channels = arguments.channels as usize;
    let name = if aligned && channels <= 256 && channels.is_multiple_of(8) {
        named!("gated_norm_256", dtype)?
    } else {
        named!("gated_norm", dtype)?
    };
    let kernel = Kernel::rows("norm", name, arguments.rows as usize);
    // SAFETY: as above.
    unsafe { kernel.launch(device, &[&arguments, &gates, &a, &b]) }?;
    Ok(y)
}

/// See [`crate::ops::softmax`].
pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    let (device, x) = (launch::device(x)?, contiguous(x)?);
    let Some(&n) = x.dims().last() else {
        candle_core::bail!("softmax of a number")
    };
    let rows = x.elem_count() / n.max(1);
    let (y, out) = empty(device, x.shape(), x.dtype())?;
    let from = launch::address(&x)?;
    // SAFETY: both have `rows` rows of `n` numbers.
    unsafe {
        Kernel::rows("norm", named!("softmax", x.dtype())?, rows)
            .launch(device, &[&from, &out, &int(rows)?, &int(n)?])
    }?;
    Ok(y)
}
