//! Copies of tensors with any strides, and f32 numbers in types of 16 bits.

#![allow(unsafe_code)]

use super::launch::{self, Kernel, empty, int, structure};
use crate::ops::types::{
    result::Result,
    strides::{merged, row_stride},
};
use candle_core::{DType, Tensor};

/// Dimensions that a copy can have, as in `layout.cu`.
const MAX_DIMS: usize = 6;

/// `Strides` of `layout.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Strides {
    dims: i32,
    sizes: [i32; MAX_DIMS],
    strides: [i64; MAX_DIMS],
}

structure!(Strides: );

/// The tensor itself where it is contiguous, else a contiguous copy.
pub(crate) fn contiguous(x: &Tensor) -> Result<Tensor> {
    if x.is_contiguous() {
        Ok(x.clone())
    } else {
        copied(x)
    }
}

/// The tensor itself where its last dimension is contiguous and its other dimensions are evenly spaced rows, else a contiguous copy.
pub(super) fn even(x: &Tensor) -> Result<Tensor> {
    if row_stride(x).is_some() {
        Ok(x.clone())
    } else {
        copied(x)
    }
}

/// A contiguous copy of a tensor that need not be.
pub(super) fn copied(x: &Tensor) -> Result<Tensor> {
    let (device, size) = (launch::device(x)?, x.dtype().size_in_bytes());
    let (y, out) = empty(device, x.shape(), x.dtype())?;
    let from = launch::address(x)?;
    let mut dims = merged(x.dims(), x.stride());
    // Numbers in 16 bytes, if rows consist of such pieces.
    let piece = 16 / size;
    let whole = match dims.split_last() {
        Some((&(last, 1), outer)) => {
            last.is_multiple_of(piece)
                && outer.iter().all(|(_, stride)| stride.is_multiple_of(piece))
        }
        _ => false,
    };
    let whole = whole && (from | out).is_multiple_of(16);
    if let (true, Some((last, outer))) = (whole, dims.split_last_mut()) {
        last.0 /= piece;
        outer.iter_mut().for_each(|(_, stride)| *stride /= piece);
    }
    let name = match (whole, size) {
        (true, _) => "copy_16",
        (_, 1) => "copy_1",
        (_, 2) => "copy_2",
        (_, 4) => "copy_4",
        _ => candle_core::bail!("a copy of {:?}", x.dtype()),
    };
    if dims.len() > MAX_DIMS {
        candle_core::bail!("a copy of {:?} with strides {:?}", x.shape(), x.stride());
    }
    let mut strides = Strides {
        dims: int(dims.len())?,
        ..Strides::default()
    };
    for (i, (size, stride)) in dims.into_iter().enumerate() {
        (strides.sizes[i], strides.strides[i]) = (int(size)?, stride as i64);
    }
    let n = int(x.elem_count() / if whole { piece } else { 1 })?;
    // SAFETY: `Strides` is the kernel's own type and reaches the numbers of x; y has as many, both counted in the kernel's unit.
    unsafe {
        Kernel::over("layout", name, n as usize).launch(device, &[&from, &out, &n, &strides])
    }?;
    Ok(y)
}

/// f32 numbers as f16 or bf16.
pub(crate) fn converted(x: &Tensor, dtype: DType) -> Result<Tensor> {
    let name = match dtype {
        DType::F16 => "convert_f16",
        DType::BF16 => "convert_bf16",
        _ => candle_core::bail!("{:?} to {dtype:?}", x.dtype()),
    };
    let (device, x) = (launch::device(x)?, contiguous(x)?);
    let (y, out) = empty(device, x.shape(), dtype)?;
    let (from, n) = (
        launch::contiguous(&x, DType::F32, "convert")?,
        x.elem_count(),
    );
    // SAFETY: both have `n` numbers.
    unsafe { Kernel::over("layout", name, n).launch(device, &[&from, &out, &(n as i64)]) }?;
    Ok(y)
}

/// See [`crate::ops::take_images`].
pub(crate) fn take_images(x: &Tensor, which: &Tensor) -> Result<Tensor> {
    let (device, x, count) = (launch::device(x)?, contiguous(x)?, which.dims1()?);
    let images = x.dim(0)?;
    let bytes = x.elem_count() / images.max(1) * x.dtype().size_in_bytes();
    let shape: Vec<usize> = std::iter::once(count)
        .chain(x.dims().iter().skip(1).copied())
        .collect();
    let (y, out) = empty(device, shape, x.dtype())?;
    let (from, pieces) = (launch::address(&x)?, bytes / 16);
    if images == 0 || !bytes.is_multiple_of(16) || !(from | out).is_multiple_of(16) {
        candle_core::bail!("take_images: {:?} in pieces of 16 bytes", x.shape());
    }
    let which = launch::contiguous(which, DType::U32, "take_images")?;
    let kernel = Kernel {
        file: "layout",
        name: "take_images",
        grid: (pieces.div_ceil(launch::THREADS as usize), count, 1),
        block: (launch::THREADS, 1),
        shared: 0,
    };
    // SAFETY: x has `images` of so many pieces, y as many as there are numbers in `which`, which the kernel holds below `images`.
    unsafe {
        kernel.launch(
            device,
            &[&from, &which, &out, &int(images)?, &(pieces as i64)],
        )
    }?;
    Ok(y)
}

/// f32 numbers as three of bf16 that add up to each, the greatest first: a new first dimension of 3.
pub(super) fn split_in_three(x: &Tensor) -> Result<Tensor> {
    let (device, x) = (launch::device(x)?, contiguous(x)?);
    let shape: Vec<usize> = std::iter::once(3).chain(x.dims().iter().copied()).collect();
    let (y, out) = empty(device, shape, DType::BF16)?;
    let (from, n) = (launch::contiguous(&x, DType::F32, "split")?, x.elem_count());
    // SAFETY: x has `n` numbers, y three times as many.
    unsafe {
        Kernel::over("layout", "split_in_three", n).launch(device, &[&from, &out, &(n as i64)])
    }?;
    Ok(y)
}
