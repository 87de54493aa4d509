//! From a decoded frame to a model's input.

use super::{Result, composed};
use candle_core::Tensor;

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
    pub const UNIT: Self = Self { mean: [0.0; 3], std: [255.0; 3] };
    /// ImageNet's, in 0..255 (SAM).
    pub const IMAGENET: Self = Self { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] };
}

/// Resizes an interleaved picture `image` `[H, W, 1 or 3]` u8 to `size` (height, width) with antialiased bilinear
/// resampling as Pillow does (rounded to 8 bits after each of its two passes, horizontal first), brings it to `channels` (1 or 3: grey is repeated, colour becomes
/// BT.601 luma as in Pillow's `convert("L")`, before resizing), normalises it and pads it with zeros at right and bottom to `padded`
/// (height, width): `[1, padded height, padded width, channels]` f32.
///
/// # Errors
/// If `image` has another type or number of channels, or `padded` is smaller than `size`.
pub fn resize_normalise(
    image: &Tensor,
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
    normalisation: &Normalisation,
) -> Result<Tensor> {
    composed::resize_normalise(image, size, padded, channels, normalisation)
}
