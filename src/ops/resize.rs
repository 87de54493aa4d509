//! From a decoded frame to a model's input.

use super::{
    cpu, cuda,
    types::{resampling::Normalisation, result::Result},
};
use candle_core::{DType, Tensor};

/// Resizes an interleaved picture `image` `[H, W, 1 or 3]` u8 to `size` (height, width) with antialiased bilinear
/// resampling as Pillow does (rounded to 8 bits after each of its two passes, horizontal first), brings it to `channels` (1 or 3: grey is repeated, colour becomes
/// BT.601 luma as in Pillow's `convert("L")`, before resizing), normalises it and pads it with zeros at right and bottom to `padded`
/// (height, width): `[1, padded height, padded width, channels]` of `dtype`, which is f32 on the CPU.
///
/// # Errors
/// If `image` has another type or number of channels, `padded` is smaller than `size`, or `dtype` is none that the device computes in.
pub fn resize_normalise(
    image: &Tensor,
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
    normalisation: &Normalisation,
    dtype: DType,
) -> Result<Tensor> {
    check(image, size, padded, channels)?;
    match (cpu::is_cpu(image), dtype) {
        (true, DType::F32) => cpu::resize_normalise(image, size, padded, channels, normalisation),
        (true, _) => {
            candle_core::bail!("resize_normalise: on the CPU numbers are f32, not {dtype:?}")
        }
        (false, _) => cuda::resize_normalise(image, size, padded, channels, normalisation, dtype),
    }
}

/// As [`resize_normalise`] on a GPU, into `out` `[1, padded height, padded width, channels]`, contiguous.
///
/// # Errors
/// As [`resize_normalise`], and on the CPU.
pub fn resize_normalise_to(
    image: &Tensor,
    size: (usize, usize),
    normalisation: &Normalisation,
    out: &Tensor,
) -> Result<()> {
    let (_, height, width, channels) = out.dims4()?;
    check(image, size, (height, width), channels)?;
    if cpu::is_cpu(image) {
        candle_core::bail!("resize_normalise: on the CPU results are new tensors");
    }
    cuda::resize_normalise_to(image, size, normalisation, out)
}

fn check(
    image: &Tensor,
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
) -> Result<()> {
    let (h, w, c) = image.dims3()?;
    if !matches!(c, 1 | 3) || h == 0 || w == 0 {
        candle_core::bail!("resize_normalise: an image {:?}", image.shape());
    }
    if image.dtype() != DType::U8 {
        candle_core::bail!(
            "resize_normalise: an image of {:?}, not of bytes",
            image.dtype()
        );
    }
    check_sizes(size, padded, channels)
}

/// Whether a model's input can be made of a picture brought to `size`.
pub(super) fn check_sizes(
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
) -> Result<()> {
    if !matches!(channels, 1 | 3) || size.0 == 0 || size.1 == 0 {
        candle_core::bail!("resize_normalise: to {size:?} with {channels} channels");
    }
    if padded.0 < size.0 || padded.1 < size.1 {
        candle_core::bail!("resize_normalise: {size:?} does not fit into {padded:?}");
    }
    Ok(())
}
