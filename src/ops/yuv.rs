//! Decoded video to RGB and to a model's input: YCbCr of 8 to 16 bits, with colour at full resolution, at half the width, or at half the
//! width and height.
//!
//! The arithmetic is that of FFmpeg's swscale for a picture of its own size with exact rounding and colour brought to full
//! resolution (`bicubic+accurate_rnd+full_chroma_int`), so that a frame has the same pixels wherever it was decoded: colour is
//! interpolated by Keys' cubic of parameter -0.6, its samples in the middle of those of brightness, along rows with shares of 14
//! fractional bits, cut to the 15 bits of a sample whatever its depth, then along columns with shares of 12; then the matrix in integers,
//! rounded once, to 8 bits.

use super::{
    cuda,
    resize::check_sizes,
    types::{resampling::Normalisation, result::Result, yuv::YuvCoefficients},
};
use crate::engine::{Orientation, Surface, Yuv};
use candle_core::{DType, Device, Tensor};

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

/// As [`super::resize_normalise_to`] on the upright RGB picture of planes on a GPU (u8), on the stream of their device.
///
/// # Errors
/// If the planes have other lengths or types, the sizes do not fit, or the tensors are on the CPU.
pub fn resize_normalise_yuv_to(
    picture: &Yuv<&Tensor>,
    size: (usize, usize),
    normalisation: &Normalisation,
    out: &Tensor,
) -> Result<()> {
    let (_, height, width, channels) = out.dims4()?;
    check_sizes(size, (height, width), channels)?;
    let lengths = (picture.luma.elem_count(), picture.chroma.elem_count());
    check_planes("resize_normalise_yuv", picture, lengths)?;
    cuda::resize_normalise_yuv_to(picture, size, normalisation, out)
}

/// Whether planes have as many bytes as the picture's size and format ask for.
fn check_planes<T>(op: &str, picture: &Yuv<T>, lengths: (usize, usize)) -> Result<()> {
    let (width, height) = (picture.width, picture.height);
    if picture.format.plane_bytes((width, height)) != Some(lengths) || lengths.0 == 0 {
        candle_core::bail!(
            "{op}: {} and {} bytes for {width}×{height} of {:?}",
            lengths.0,
            lengths.1,
            picture.format
        );
    }
    Ok(())
}

/// The upright RGB picture `[H, W, 3]` u8 of a decoded surface, made on the stream of `device`.
///
/// # Errors
/// If memory ran out, or the surface is in the memory of another device.
pub fn surface_to_rgb(surface: &Surface, device: &Device) -> Result<Tensor> {
    cuda::surface_to_rgb(surface, device)
}

/// Keys' cubic of parameter -0.6 at a distance of 30 fractional bits, times 6, with 54 fractional bits.
fn cubic(distance: i64) -> i64 {
    /// 0.6, with 24 fractional bits.
    const BY: i64 = 10_066_329;
    if distance >= 2 << 30 {
        return 0;
    }
    let square = (distance * distance) >> 30;
    let cube = (square * distance) >> 30;
    match distance < 1 << 30 {
        true => ((12 << 24) - 6 * BY) * cube - ((18 << 24) - 6 * BY) * square + ((6 << 24) << 30),
        false => BY * (30 * square - 6 * cube - 48 * distance) + ((24 * BY) << 30),
    }
}

/// A sample and its share.
type Tap = (usize, i32);

/// The samples of colour that place `at` of `places` is made of, of `count`, and their shares of `one`. Kernels do the same, see
/// yuv_rgb.cu.
fn taps(at: usize, (count, places): (usize, usize), one: i64) -> [Tap; 4] {
    /// What counts as nothing: 0.002 with 54 fractional bits.
    const NOTHING: i64 = 36_028_797_018_963;
    let (count, places) = (count as i64, places as i64);
    // Places in samples, of 17 fractional bits.
    let step = ((count << 16) + places / 2) / places;
    let centre = step * (2 * at as i64 + 1) - (1 << 16);
    // Quotients are rounded towards 0: at the left border the first sample that matters may be missed, as it is there.
    let considered = (count - 2).clamp(1, 5);
    let first = (centre - ((considered - 2) << 16)) / (1 << 17);
    let share = |j: i64| match j < considered {
        true => cubic((((first + j) << 17) - centre).abs() << 13),
        false => 0,
    };
    let skipped = i64::from(share(0).abs() <= NOTHING);
    let first = first + skipped;
    let mut shares: [i64; 4] = std::array::from_fn(|j| share(skipped + j as i64));
    let total = (shares.iter().sum::<i64>() + one / 2) / one;
    // What lies beyond a border is the border's.
    for j in 0..3 {
        if first + (j as i64) < 0 {
            shares[j + 1] += shares[j];
            shares[j] = 0;
        }
    }
    for j in (1..4).rev() {
        if first + j as i64 >= count {
            shares[j - 1] += shares[j];
            shares[j] = 0;
        }
    }
    // What rounding leaves over is the next sample's.
    let mut left_over = 0;
    std::array::from_fn(|j| {
        let exact = shares[j] + left_over;
        let rounded = (exact + exact.signum() * (total / 2)) / total;
        left_over = exact - rounded * total;
        let sample = (first + j as i64).clamp(0, count - 1);
        (sample as usize, rounded as i32)
    })
}

/// The taps of all places along an axis that has `count` samples of colour.
fn axis(count: usize, places: usize, one: i32) -> Vec<[Tap; 4]> {
    (0..places)
        .map(|at| match count == places {
            true => [(at, one), (at, 0), (at, 0), (at, 0)],
            false => taps(at, (count, places), i64::from(one)),
        })
        .collect()
}

/// The upright RGB picture `[height, width, 3]` of a picture in host memory: the plain reference of what pictures on a device are read by.
///
/// # Errors
/// If the planes are not of the lengths that size and format ask for.
pub fn yuv_to_rgb(picture: &Yuv<&[u8]>) -> Result<Vec<u8>> {
    let (width, height, format) = (picture.width, picture.height, picture.format);
    check_planes(
        "yuv_to_rgb",
        picture,
        (picture.luma.len(), picture.chroma.len()),
    )?;
    let sample = |plane: &[u8], at: usize| match format.sample_bytes() {
        1 => i32::from(plane[at]),
        _ => {
            let bits = u16::from_le_bytes([plane[2 * at], plane[2 * at + 1]]);
            i32::from(bits >> format.shift())
        }
    };
    // A product of 14 fractional bits, cut to 7 (of 8 bits).
    let cut = |sum: i32| (sum >> (format.depth() - 1)).min((1 << 15) - 1);
    let (columns, rows) = format.pairs((width, height));
    let (across, down) = (axis(columns, width, 1 << 14), axis(rows, height, 1 << 12));
    let wide: Vec<[i32; 2]> = (0..rows * width)
        .map(|i| {
            let (first, taps) = (i / width * columns, &across[i % width]);
            [0, 1].map(|which| {
                let of =
                    |&(at, share): &Tap| share * sample(picture.chroma, 2 * (first + at) + which);
                cut(taps.iter().map(of).sum())
            })
        })
        .collect();
    let coefficients = YuvCoefficients::new(picture.colour);
    let upright = picture.orientation.size((width, height));
    let mut rgb = vec![0; 3 * width * height];
    for (y, taps) in down.iter().enumerate() {
        for x in 0..width {
            let [cb, cr] = [0, 1].map(|which| {
                let of = |&(row, share): &Tap| share * wide[row * width + x][which];
                (taps.iter().map(of).sum::<i32>() + (1 << 9) - (128 << 19)) >> 10
            });
            let luma = cut(sample(picture.luma, y * width + x) << 14) << 2;
            let at = turned((x, y), upright, picture.orientation);
            rgb[3 * at..][..3].copy_from_slice(&coefficients.rgb(luma, cb, cr));
        }
    }
    Ok(rgb)
}

/// The number of the pixel of a picture of size `upright` to which a stored one goes.
fn turned(
    (x, y): (usize, usize),
    (width, height): (usize, usize),
    orientation: Orientation,
) -> usize {
    let (x, y) = match orientation.transposed {
        true => (y, x),
        false => (x, y),
    };
    let mirrored = |at: usize, count: usize, is: bool| if is { count - 1 - at } else { at };
    mirrored(y, height, orientation.mirrored_down) * width
        + mirrored(x, width, orientation.mirrored_across)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Chroma, Colour, YuvFormat, YuvMatrix};

    fn picture<'a>(
        (luma, chroma): (&'a [u8], &'a [u8]),
        (width, height): (usize, usize),
        format: YuvFormat,
        (matrix, full_range): (YuvMatrix, bool),
    ) -> Yuv<&'a [u8]> {
        Yuv {
            luma,
            chroma,
            width,
            height,
            format,
            colour: Colour { matrix, full_range },
            orientation: Orientation::default(),
        }
    }

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
                let colour = (matrix, full_range);
                let of = picture((&luma, &[128, 128]), (2, 2), YuvFormat::NV12, colour);
                assert_eq!(
                    yuv_to_rgb(&of).unwrap(),
                    [[0; 3], [255; 3], [0; 3], [0; 3]].concat(),
                    "{matrix:?} {full_range}"
                );
            }
        }
    }

    #[test]
    fn a_coded_colour_comes_back_from_every_format() {
        // Red of (200, 30, 40) by BT.709, full range: exact values rounded to the depth.
        let (r, g, b) = (200.0, 30.0, 40.0);
        let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let pair = [128.0 + (b - luma) / 1.8556, 128.0 + (r - luma) / 1.5748];
        for chroma in [Chroma::Quarter, Chroma::Half, Chroma::Full] {
            for depth in [8, 10, 12, 16] {
                let format = YuvFormat::new(chroma, depth).unwrap();
                let bytes = |v: f64| {
                    let sample = (v * f64::from(1u32 << (depth - 8))).round() as u16;
                    sample.to_le_bytes()[..format.sample_bytes()].to_vec()
                };
                let (columns, rows) = format.pairs((5, 3));
                let planes = (
                    bytes(luma).repeat(15),
                    pair.map(bytes).concat().repeat(columns * rows),
                );
                let colour = (YuvMatrix::Bt709, true);
                let rgb =
                    yuv_to_rgb(&picture((&planes.0, &planes.1), (5, 3), format, colour)).unwrap();
                assert_eq!(rgb.len(), 45);
                for pixel in rgb.chunks_exact(3) {
                    assert!(
                        pixel
                            .iter()
                            .zip([r, g, b])
                            .all(|(&found, v)| (f64::from(found) - v).abs() <= 1.5),
                        "{format:?} {pixel:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_picture_is_turned() {
        // Brightness alone: 0 to 5 on 3 columns, full range, transposed and then mirrored across (a quarter clockwise).
        let luma = [0, 1, 2, 3, 4, 5];
        let colour = (YuvMatrix::Bt601, true);
        let mut of = picture((&luma, &[128; 4]), (3, 2), YuvFormat::NV12, colour);
        of.orientation = Orientation {
            transposed: true,
            mirrored_across: true,
            mirrored_down: false,
        };
        let rgb = yuv_to_rgb(&of).unwrap();
        let red: Vec<u8> = rgb.iter().step_by(3).copied().collect();
        assert_eq!(red, [3, 0, 4, 1, 5, 2]);
    }

    #[test]
    fn shares_of_large_even_sizes_repeat() {
        let [a, b, c, d] = [-461, 3943, 14284, -1382];
        for count in [7, 24, 960, 2160] {
            for at in 0..2 * count {
                // As yuv.cuh has them; what lies beyond a border is the border's.
                let (first, shares) = match at {
                    0 => (-2, [0, 0, 17729, -1345]),
                    2 => (-1, [0, 3835, 13894, -1345]),
                    _ if at % 2 == 0 => (at as isize / 2 - 2, [a, b, c, d]),
                    _ => (at as isize / 2 - 1, [d, c, b, a]),
                };
                let mut expected = vec![0; count];
                for (j, share) in shares.into_iter().enumerate() {
                    let sample = (first + j as isize).clamp(0, count as isize - 1);
                    expected[sample as usize] += share;
                }
                let mut found = vec![0; count];
                for (sample, share) in taps(at, (count, 2 * count), 1 << 14) {
                    found[sample] += share;
                }
                assert_eq!(found, expected, "{at} of {count}");
            }
        }
    }

    #[test]
    fn planes_of_another_size_are_refused() {
        let of = picture(
            (&[0; 6], &[0; 2]),
            (3, 2),
            YuvFormat::NV12,
            (YuvMatrix::Bt601, false),
        );
        assert!(yuv_to_rgb(&of).is_err());
    }
}
