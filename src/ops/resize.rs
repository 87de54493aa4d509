//! From a decoded frame to a model's input.

use super::{Result, cpu, cuda};
use candle_core::{DType, Tensor};

/// `(pixel - mean) / std` for each channel, pixels in 0..255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalisation {
    /// Subtracted, for red, green, blue.
    pub mean: [f32; 3],
    /// Divided by, for red, green, blue.
    pub std: [f32; 3],
}

impl Normalisation {
    /// To 0..1 and no further (D-FINE).
    pub const UNIT: Self = Self {
        mean: [0.0; 3],
        std: [255.0; 3],
    };
    /// ImageNet's, in 0..255 (SAM).
    pub const IMAGENET: Self = Self {
        mean: [123.675, 116.28, 103.53],
        std: [58.395, 57.12, 57.375],
    };
}

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

/// Pillow's coefficients of antialiased bilinear resampling along one side, as integers of [`Coefficients::BITS`] fractional bits.
#[derive(Debug)]
pub(super) struct Coefficients {
    /// For each output pixel, the first input pixel and the number of input pixels.
    spans: Vec<(usize, usize)>,
    /// `max_taps` for each output pixel.
    taps: Vec<i32>,
    max_taps: usize,
}

impl Coefficients {
    /// Fractional bits: 32 less the 8 of a pixel and 2 of head room.
    pub(super) const BITS: u32 = 32 - 8 - 2;

    /// One half.
    pub(super) const HALF: i32 = 1 << (Self::BITS - 1);

    /// For a side of `from` pixels brought to `to`.
    pub(super) fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let max_taps = support.ceil() as usize * 2 + 1;
        let (mut spans, mut all) = (Vec::with_capacity(to), vec![0; to * max_taps]);
        for (i, taps) in all.chunks_exact_mut(max_taps).enumerate() {
            let centre = (i as f64 + 0.5) * scale;
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as i64).min(from as i64) as usize;
            let share =
                |x: usize| (1.0 - ((x as f64 - centre + 0.5) * (1.0 / support)).abs()).max(0.0);
            let total: f64 = (first..end).map(share).sum();
            for (x, tap) in (first..end).zip(taps) {
                *tap = (share(x) / total * f64::from(1 << Self::BITS) + 0.5) as i32;
            }
            spans.push((first, end - first));
        }
        Self {
            spans,
            taps: all,
            max_taps,
        }
    }

    /// The first input pixel of output pixel `i`, and the factors of that and the next ones.
    pub(super) fn of(&self, i: usize) -> (usize, &[i32]) {
        let (first, count) = self.spans[i];
        (first, &self.taps[i * self.max_taps..][..count])
    }

    /// Largest number of input pixels of an output pixel.
    pub(super) fn max_taps(&self) -> usize {
        self.max_taps
    }
}
