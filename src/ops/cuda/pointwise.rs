//! Activations, sums, parts side by side, pooling and upsampling.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, empty, int, named},
    layout::{contiguous, even},
    product_arguments::code,
};
use crate::ops::types::{
    activation::Activation, convolution::Padding, result::Result, strides::row_stride,
};
use candle_core::{DType, Tensor};

/// See [`crate::ops::activate`].
pub(crate) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    sum(x, None, activation)
}

/// See [`crate::ops::add`].
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    sum(a, Some(b), Activation::Identity)
}

fn sum(a: &Tensor, b: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    let (device, dtype, a) = (launch::device(a)?, a.dtype(), contiguous(a)?);
    let b = b.map(contiguous).transpose()?;
    let (n, period) = (a.elem_count(), b.as_ref().map_or(1, Tensor::elem_count));
    let with_f32 = match b.as_ref().map(Tensor::dtype) {
        Some(DType::F32) if dtype != DType::F32 => true,
        Some(other) if other != dtype => candle_core::bail!("a sum of {dtype:?} and {other:?}"),
        _ => false,
    };
    let (y, out) = empty(device, a.shape(), dtype)?;
    let from = launch::address(&a)?;
    let other = b.as_ref().map_or(Ok(0), launch::address)?;
    let (activation, limit) = code(activation);
    let aligned = [from, other].iter().all(|at| at.is_multiple_of(32)) && n.is_multiple_of(8);
    if aligned && (b.is_none() || period.is_multiple_of(8)) && n <= i32::MAX as usize {
        let name = if with_f32 {
            named!("sum_8_with_f32", dtype)?
        } else {
            named!("sum_8", dtype)?
        };
        let (n, period) = (int(n / 8)?, int((period / 8).max(1))?);
        // SAFETY: as below, counted in eights.
        unsafe {
            Kernel::over("pointwise", name, n as usize).launch(
                device,
                &[&from, &other, &out, &n, &period, &activation, &limit],
            )
        }?;
        return Ok(y);
    }
    let name = if with_f32 {
        named!("sum_with_f32", dtype)?
    } else {
        named!("sum", dtype)?
    };
    // SAFETY: a and y have `n` numbers, b has `period`.
    unsafe {
        Kernel::over("pointwise", name, n).launch(
            device,
            &[
                &from,
                &other,
                &out,
                &(n as i64),
                &(period as i64),
                &activation,
                &limit,
            ],
        )
    }?;
    Ok(y)
}

/// See [`crate::ops::concat_channels`].
pub(crate) fn concat_channels(parts: &[&Tensor]) -> Result<Tensor> {
    let Some(first) = parts.first() else {
        candle_core::bail!("nothing to lay side by side")
    };
    if parts.len() == 1 {
        return contiguous(first);
    }
    let (device, dtype) = (launch::device(first)?, first.dtype());
    let mut shape = first.dims().to_vec();
    let Some((last, outer)) = shape.split_last_mut() else {
        candle_core::bail!("numbers laid side by side")
    };
    let mut width = 0;
    for part in parts {
        match part.dims().split_last() {
            Some((&channels, rest)) if rest == outer && part.dtype() == dtype => width += channels,
            _ => candle_core::bail!(
                "concat_channels: {:?} beside {:?}",
                part.shape(),
                first.shape()
            ),
        }
    }
    *last = width;
    let rows = outer.iter().product::<usize>();
    let (y, out) = empty(device, shape, dtype)?;
    let mut at = 0;
    for part in parts {
        let part = even(part)?;
        let channels = part.dims().last().copied().unwrap_or(0);
        let (from, stride) = (
            launch::address(&part)?,
            row_stride(&part).unwrap_or(channels),
        );
        // Numbers in 16 bytes, if rows consist of such pieces.
        let piece = 16 / dtype.size_in_bytes();
        let whole = [channels, stride, at, width]
            .iter()
            .all(|n| n.is_multiple_of(piece))
            && (from | out).is_multiple_of(16);
        let (name, unit) = if whole {
            ("place_16", piece)
        } else {
            (named!("place", dtype)?, 1)
        };
        let kernel = Kernel::over("pointwise", name, rows * channels / unit);
        let (wide, stride) = (int(channels / unit)?, (stride / unit) as i64);
        // SAFETY: the part has `rows` rows, `stride` apart; the parts' columns fill the rows of y; all in the kernel's unit.
        unsafe {
            kernel.launch(
                device,
                &[
                    &from,
                    &out,
                    &(rows as i64),
                    &wide,
                    &stride,
                    &int(at / unit)?,
                    &int(width / unit)?,
                ],
            )
        }?;
        at += channels;
    }
    Ok(y)
}

/// See [`crate::ops::max_pool2d`].
pub(crate) fn max_pool2d(
    x: &Tensor,
    kernel: usize,
    stride: usize,
    padding: Padding,
) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    let (ph, pw) = (
        h + padding.top + padding.bottom,
        w + padding.left + padding.right,
    );
    if kernel == 0 || stride == 0 || ph < kernel || pw < kernel {
        candle_core::bail!(
            "max_pool2d: a map of {h}×{w} for windows of {kernel}×{kernel} at stride {stride}"
        );
    }
    let (oh, ow) = ((ph - kernel) / stride + 1, (pw - kernel) / stride + 1);
    let (device, dtype, x) = (launch::device(x)?, x.dtype(), contiguous(x)?);
    let (y, out) = empty(device, (b, oh, ow, c), dtype)?;
    let from = launch::address(&x)?;
    let eights = c.is_multiple_of(8) && from.is_multiple_of(8 * dtype.size_in_bytes() as u64);
    let name = if eights {
        named!("max_pool_8", dtype)?
    } else {
        named!("max_pool_1", dtype)?
    };
    let launch = Kernel::over(
        "pointwise",
        name,
        b * oh * ow * c / if eights { 8 } else { 1 },
    );
    let sizes = [
        b,
        h,
        w,
        c,
        oh,
        ow,
        kernel,
        stride,
        padding.top,
        padding.left,
    ]
    .map(int);
    let [b, h, w, c, oh, ow, kernel, stride, top, left] = sizes;
    // SAFETY: sizes are those of both tensors.
    unsafe {
        launch.launch(
            device,
            &[
                &from, &out, &b?, &h?, &w?, &c?, &oh?, &ow?, &kernel?, &stride?, &top?, &left?,
            ],
        )
    }?;
    Ok(y)
}

/// See [`crate::ops::upsample_nearest2x`].
pub(crate) fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    let (device, dtype, x) = (launch::device(x)?, x.dtype(), contiguous(x)?);
    let (y, out) = empty(device, (b, 2 * h, 2 * w, c), dtype)?;
    let from = launch::address(&x)?;
    let kernel = Kernel::over("pointwise", named!("upsample_2", dtype)?, 4 * b * h * w * c);
    // SAFETY: sizes are those of both tensors.
    unsafe {
        kernel.launch(
            device,
            &[&from, &out, &int(b)?, &int(h)?, &int(w)?, &int(c)?],
        )
    }?;
    Ok(y)
}

/// The tensor with zeros after each row, up to a multiple of eight numbers.
pub(super) fn padded(x: &Tensor) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let Some(last) = shape.last_mut() else {
        candle_core::bail!("rows of a number")
    };
    *last = last.next_multiple_of(8) - *last;
    if *last == 0 {
        return contiguous(x);
    }
    concat_channels(&[x, &Tensor::zeros(shape, x.dtype(), x.device())?])
}
