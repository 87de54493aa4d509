//! Pixels to a model's input.

use crate::ops::types::{
    resampling::{Coefficients, Normalisation},
    result::Result,
};
use candle_core::{DType, Device, Tensor};

/// The matrix `[out, in]` of Pillow's integer coefficients. In f64 all sums of products with pixels are exact.
fn antialias_matrix(from: usize, to: usize, device: &Device) -> Result<Tensor> {
    let coefficients = Coefficients::new(from, to);
    let mut matrix = vec![0f64; from * to];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let (first, taps) = coefficients.of(i);
        for (to, &tap) in row[first..].iter_mut().zip(taps) {
            *to = f64::from(tap);
        }
    }
    Tensor::from_vec(matrix, (to, from), device)
}

/// Sums of coefficients and pixels rounded to 8 bits.
fn round_to_pixels(sums: &Tensor) -> Result<Tensor> {
    let one = f64::from(1 << Coefficients::BITS);
    sums.affine(1.0 / one, f64::from(Coefficients::HALF) / one)?
        .floor()?
        .clamp(0.0, 255.0)
}

/// See [`crate::ops::resize_normalise`].
///
/// # Errors
/// If the shapes do not fit.
pub fn resize_normalise(
    image: &Tensor,
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
    normalisation: &Normalisation,
) -> Result<Tensor> {
    let (h, w, c) = image.dims3()?;
    let device = image.device();
    let mut x = image.to_dtype(DType::F64)?;
    if c == 3 && channels == 1 {
        let luma = Tensor::new(&[19595f64, 38470.0, 7471.0], device)?.reshape((3, 1))?;
        x = x
            .reshape((h * w, 3))?
            .matmul(&luma)?
            .affine(1.0 / 65536.0, 0.5)?
            .floor()?
            .reshape((h, w, 1))?;
    }
    let c = x.dim(2)?;
    if size.1 != w {
        // [W, H·C], so that one product does all rows.
        let columns = x.transpose(0, 1)?.contiguous()?.reshape((w, h * c))?;
        let across = round_to_pixels(&antialias_matrix(w, size.1, device)?.matmul(&columns)?)?;
        x = across
            .reshape((size.1, h, c))?
            .transpose(0, 1)?
            .contiguous()?;
    }
    if size.0 != h {
        x = round_to_pixels(
            &antialias_matrix(h, size.0, device)?.matmul(&x.reshape((h, size.1 * c))?)?,
        )?;
    }
    x = x
        .reshape((size.0, size.1, c))?
        .to_dtype(DType::F32)?
        .broadcast_as((size.0, size.1, channels))?;
    let mean = Tensor::new(&normalisation.mean[..channels], device)?;
    let std = Tensor::new(&normalisation.std[..channels], device)?;
    let x = x.broadcast_sub(&mean)?.broadcast_div(&std)?;
    if padded.0 < size.0 || padded.1 < size.1 {
        candle_core::bail!("resize_normalise: {size:?} does not fit into {padded:?}");
    }
    x.pad_with_zeros(0, 0, padded.0 - size.0)?
        .pad_with_zeros(1, 0, padded.1 - size.1)?
        .unsqueeze(0)?
        .contiguous()
}
