//! From a decoded frame in RGB or grey to a model's input, in one kernel.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, empty, int, named, structure},
    layout::contiguous,
    resample::{Axis, Reading, Resample},
};
use crate::ops::types::{resampling::Normalisation, result::Result};
use candle_core::{DType, Tensor};

/// Pixels of the output that a block of `resize_large` makes, as in `resize.cu`.
const COLUMNS: usize = 32;
const ROWS: usize = 8;
/// Shared memory that taps may take, in bytes.
const HELD: usize = 44 << 10;

/// `Interleaved` of `resize.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Interleaved {
    image: u64,
    width: i32,
    channels: i32,
}

structure!(Interleaved: image);

/// How it is read.
const INTERLEAVED: Reading = Reading {
    steps: (4, 1),
    scratch: |_, _| 0,
};

/// `Resize` of `resize.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    image: u64,
    out: u64,
    across: Axis,
    down: Axis,
    image_channels: i32,
    channels: i32,
    padded_height: i32,
    padded_width: i32,
    mean: [f32; 3],
    std: [f32; 3],
}

structure!(Arguments: image, out);

/// See [`crate::ops::resize_normalise`].
pub(crate) fn resize_normalise(
    image: &Tensor,
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
    normalisation: &Normalisation,
    dtype: DType,
) -> Result<Tensor> {
    let (y, _) = empty(
        launch::device(image)?,
        (1, padded.0, padded.1, channels),
        dtype,
    )?;
    resize_normalise_to(image, size, normalisation, &y)?;
    Ok(y)
}

/// See [`crate::ops::resize_normalise_to`].
pub(crate) fn resize_normalise_to(
    image: &Tensor,
    size: (usize, usize),
    normalisation: &Normalisation,
    y: &Tensor,
) -> Result<()> {
    let ((h, w, c), image) = (image.dims3()?, contiguous(image)?);
    let device = launch::device(&image)?;
    let picture = Interleaved {
        image: launch::contiguous(&image, DType::U8, "resize_normalise")?,
        width: int(w)?,
        channels: int(c)?,
    };
    let kernel = ("resize", named!("resize", y.dtype())?);
    match Resample::new(kernel, (h, w), &INTERLEAVED, size, normalisation, y)? {
        // SAFETY: both are the kernel's own types; addresses and sizes are those of the tensors.
        Some((arguments, kernel)) => unsafe { kernel.launch(device, &[&picture, &arguments]) },
        None => resize_large(&image, size, normalisation, y),
    }
}

/// The same where a block would need more of the picture than shared memory holds.
fn resize_large(
    image: &Tensor,
    size: (usize, usize),
    normalisation: &Normalisation,
    y: &Tensor,
) -> Result<()> {
    let ((h, w, c), (_, height, width, channels)) = (image.dims3()?, y.dims4()?);
    let (device, dtype) = (launch::device(image)?, y.dtype());
    let arguments = Arguments {
        image: launch::contiguous(image, DType::U8, "resize_normalise")?,
        out: launch::contiguous(y, dtype, "resize_normalise")?,
        across: Axis::new(w, size.1)?,
        down: Axis::new(h, size.0)?,
        image_channels: int(c)?,
        channels: int(channels)?,
        padded_height: int(height)?,
        padded_width: int(width)?,
        mean: normalisation.mean,
        std: normalisation.std,
    };
    let taps = 4
        * (COLUMNS * arguments.across.max_taps as usize + ROWS * arguments.down.max_taps as usize);
    let held = taps <= HELD;
    let kernel = Kernel {
        file: "resize",
        name: named!("resize_large", dtype)?,
        grid: (width.div_ceil(COLUMNS), height.div_ceil(ROWS), 1),
        block: (COLUMNS as u32, channels as u32),
        shared: if held { taps } else { 0 },
    };
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments, &i32::from(held)]) }
}
