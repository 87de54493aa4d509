//! Decoded video to RGB and to a model's input: YCbCr with colour at half the width and height ("NV12").
//!
//! The arithmetic is that of FFmpeg's swscale for a picture of its own size with exact rounding and colour brought to full
//! resolution (`bicubic+accurate_rnd+full_chroma_int`), so that a frame has the same pixels wherever it was decoded: colour is
//! interpolated by Keys' cubic of parameter -0.6, its samples in the middle of the four of brightness, along rows with coefficients of
//! 14 fractional bits and results of 7, then along columns with 12; then the matrix in integers, rounded once, to 8 bits.

use super::{
    cuda,
    resize::check_sizes,
    types::{
        resampling::Normalisation,
        result::Result,
        yuv::{Nv12Tensors, YuvCoefficients},
    },
};
use crate::engine::{Colour, Surface};
use candle_core::{DType, Device, Tensor};

/// A picture in host memory: rows of brightness, and rows of pairs of Cb and Cr of half the width and height, rounded up.
#[derive(Debug, Clone, Copy)]
pub struct Nv12<'a> {
    /// `height` rows of `width` samples.
    pub luma: &'a [u8],
    /// Half as many rows of half as many pairs, rounded up.
    pub chroma: &'a [u8],
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// As [`super::resize_normalise`] on the upright RGB picture of a decoded surface, on the stream of `device`, which waits for the decoder;
/// the host does not.
///
/// # Errors
/// If `padded` is smaller than `size`, `channels` are neither 1 nor 3, `dtype` is none that the device computes in, or the surface is in
/// the memory of another device.
pub fn resize_normalise_surface(
    surface: &Surface,
    device: &Device,
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
    normalisation: &Normalisation,
    dtype: DType,
) -> Result<Tensor> {
    check_sizes(size, padded, channels)?;
    cuda::resize_normalise_surface(
        surface,
        device,
        size,
        padded,
        channels,
        normalisation,
        dtype,
    )
}

/// As [`resize_normalise_surface`], into `out` `[1, padded height, padded width, channels]`, contiguous.
///
/// # Errors
/// As [`resize_normalise_surface`].
pub fn resize_normalise_surface_to(
    surface: &Surface,
    device: &Device,
    size: (usize, usize),
    normalisation: &Normalisation,
    out: &Tensor,
) -> Result<()> {
    let (_, height, width, channels) = out.dims4()?;
    check_sizes(size, (height, width), channels)?;
    cuda::resize_normalise_surface_to(surface, device, size, normalisation, out)
}

/// As [`super::resize_normalise_to`] on the RGB picture of planes on a GPU, on the stream of their device.
///
/// # Errors
/// If the planes have other shapes or types, the sizes do not fit, or the tensors are on the CPU.
pub fn resize_normalise_nv12_to(
    planes: &Nv12Tensors<'_>,
    size: (usize, usize),
    normalisation: &Normalisation,
    out: &Tensor,
) -> Result<()> {
    let (_, height, width, channels) = out.dims4()?;
    check_sizes(size, (height, width), channels)?;
    let (rows, columns) = planes.luma.dims2()?;
    let pairs = rows.div_ceil(2) * columns.div_ceil(2);
    if rows == 0 || columns == 0 || planes.chroma.elem_count() != 2 * pairs {
        candle_core::bail!(
            "resize_normalise_nv12: planes {:?} and {:?}",
            planes.luma.shape(),
            planes.chroma.shape()
        );
    }
    cuda::resize_normalise_nv12_to(planes, size, normalisation, out)
}

/// The upright RGB picture `[H, W, 3]` u8 of a decoded surface, made on the stream of `device`.
///
/// # Errors
/// If memory ran out, or the surface is in the memory of another device.
pub fn surface_to_rgb(surface: &Surface, device: &Device) -> Result<Tensor> {
    cuda::surface_to_rgb(surface, device)
}

/// Shares of the four samples of colour around a place of full resolution.
struct Shares {
    /// Around an even place; around an odd one they are mirrored.
    even: [i32; 4],
    /// Around place 0 and place 2, where the sample farthest to the left does not count.
    first: [i32; 4],
    third: [i32; 4],
}

// The same numbers are in resize_video.cu.
const ACROSS: Shares = Shares {
    even: [-461, 3943, 14284, -1382],
    first: [0, 0, 17729, -1345],
    third: [0, 3835, 13894, -1345],
};
const DOWN: Shares = Shares {
    even: [-115, 985, 3572, -346],
    first: [0, 0, 4432, -336],
    third: [0, 959, 3473, -336],
};

/// The samples that colour at full resolution's place `at` is made of, of `count`, and their shares.
fn taps(at: usize, count: usize, shares: &Shares) -> [(usize, i32); 4] {
    let [a, b, c, d] = shares.even;
    let (first, shares) = match at {
        0 => (-2, shares.first),
        2 => (-1, shares.third),
        _ if at.is_multiple_of(2) => ((at / 2) as isize - 2, shares.even),
        _ => ((at / 2) as isize - 1, [d, c, b, a]),
    };
    std::array::from_fn(|j| {
        (
            (first + j as isize).clamp(0, count as isize - 1) as usize,
            shares[j],
        )
    })
}

/// The RGB picture `[height, width, 3]` of a picture in host memory: the plain reference of what decoders on a device are read by.
///
/// # Errors
/// If the planes are not of the lengths that the size asks for.
pub fn nv12_to_rgb(picture: &Nv12<'_>, colour: Colour) -> Result<Vec<u8>> {
    let Nv12 {
        luma,
        chroma,
        width,
        height,
    } = *picture;
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    if width == 0
        || height == 0
        || luma.len() != width * height
        || chroma.len() != 2 * columns * rows
    {
        candle_core::bail!(
            "nv12_to_rgb: {} and {} bytes for {width}×{height}",
            luma.len(),
            chroma.len()
        );
    }
    // Colour of full width, 7 fractional bits.
    let across = |row: usize, x: usize, which: usize| {
        let samples = taps(x, columns, &ACROSS)
            .map(|(at, share)| share * i32::from(chroma[2 * (row * columns + at) + which]));
        (samples.iter().sum::<i32>() >> 7).min((1 << 15) - 1)
    };
    let wide: Vec<[i32; 2]> = (0..rows * width)
        .map(|i| [0, 1].map(|which| across(i / width, i % width, which)))
        .collect();
    let coefficients = YuvCoefficients::new(colour);
    let pixel = |i: usize| {
        let (x, y) = (i % width, i / width);
        let [cb, cr] = [0, 1].map(|which| {
            let terms =
                taps(y, rows, &DOWN).map(|(row, share)| share * wide[row * width + x][which]);
            (terms.iter().sum::<i32>() + (1 << 9) - (128 << 19)) >> 10
        });
        coefficients.rgb(luma[i], cb, cr)
    };
    Ok((0..width * height).flat_map(pixel).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::YuvMatrix;

    #[test]
    fn black_white_and_grey_are_those_of_the_range() {
        for matrix in [
            YuvMatrix::Bt601,
            YuvMatrix::Bt709,
            YuvMatrix::Fcc,
            YuvMatrix::Smpte240m,
            YuvMatrix::Bt2020,
        ] {
            for (full_range, black, white) in [(false, 16, 235), (true, 0, 255)] {
                let luma = [black, white, black, black];
                let picture = Nv12 {
                    luma: &luma,
                    chroma: &[128, 128],
                    width: 2,
                    height: 2,
                };
                let rgb = nv12_to_rgb(&picture, Colour { matrix, full_range }).unwrap();
                assert_eq!(
                    rgb,
                    [[0; 3], [255; 3], [0; 3], [0; 3]].concat(),
                    "{matrix:?} {full_range}"
                );
            }
        }
    }

    #[test]
    fn a_coded_colour_comes_back() {
        // Red of (200, 30, 40) by BT.709, full range: exact values rounded to 8 bits.
        let (r, g, b) = (200.0, 30.0, 40.0);
        let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let pair =
            [128.0 + (b - luma) / 1.8556, 128.0 + (r - luma) / 1.5748].map(|v| f64::round(v) as u8);
        let picture = Nv12 {
            luma: &[luma.round() as u8; 15],
            chroma: &pair.repeat(6),
            width: 5,
            height: 3,
        };
        let rgb = nv12_to_rgb(
            &picture,
            Colour {
                matrix: YuvMatrix::Bt709,
                full_range: true,
            },
        )
        .unwrap();
        assert_eq!(rgb.len(), 45);
        for pixel in rgb.chunks_exact(3) {
            assert!(
                pixel
                    .iter()
                    .zip([r, g, b])
                    .all(|(&found, v)| (f64::from(found) - v).abs() <= 1.5),
                "{pixel:?}"
            );
        }
    }

    #[test]
    fn planes_of_another_size_are_refused() {
        let picture = Nv12 {
            luma: &[0; 6],
            chroma: &[0; 2],
            width: 3,
            height: 2,
        };
        assert!(
            nv12_to_rgb(
                &picture,
                Colour {
                    matrix: YuvMatrix::Bt601,
                    full_range: false
                }
            )
            .is_err()
        );
    }
}
