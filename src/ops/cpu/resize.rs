//! Pillow's antialiased bilinear resampling in its own fixed-point arithmetic, then normalisation.
//!
//! Pillow resamples 8-bit images with coefficients of 22 fractional bits, first along rows, then along columns, rounding
//! to 8 bits after each pass. The same integers here give the same pixels. (Pillow 13 takes the columns first for some
//! sizes, which was seen to change pixels by one at most; here the rows always come first.)

#![allow(unsafe_code)]

use super::{
    memory::{Input, Output, Shared},
    parallel,
    simd::{Isa, Kernel, Simd},
};
use crate::ops::types::{
    resampling::{Coefficients, Normalisation},
    result::Result,
};
use candle_core::Tensor;

/// See [`crate::ops::resize_normalise`].
pub(crate) fn resize_normalise(
    image: &Tensor,
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
    normalisation: &Normalisation,
) -> Result<Tensor> {
    let (h, w, c) = image.dims3()?;
    let image = image.contiguous()?;
    let input = Input::<u8>::new(&image, "resize_normalise")?;
    let pixels = &input.slice()[..h * w * c];
    let luma: Vec<u8>;
    let (pixels, c) = if c == 3 && channels == 1 {
        luma = to_luma(pixels);
        (luma.as_slice(), 1)
    } else {
        (pixels, c)
    };
    let across: Vec<u8>;
    let (pixels, width) = if size.1 == w {
        (pixels, w)
    } else {
        across = resample_rows(pixels, w, c, size.1);
        (across.as_slice(), size.1)
    };
    let down = (size.0 != h).then(|| Coefficients::new(h, size.0));
    let mut out = Output::new(padded.0 * padded.1 * channels);
    let target = Target {
        size: (size.0, width),
        padded,
        from: c,
        channels,
        table: table(normalisation),
    };
    let (isa, to, line) = (Isa::best(), Shared::new(out.ptr()), width * c);
    parallel::over(padded.0, padded.0 * padded.1 * channels * 8, |range| {
        let mut row = vec![0u8; line];
        for y in range {
            let to = to.get().wrapping_add(y * padded.1 * channels);
            let source = match &down {
                _ if y >= size.0 => &[],
                None => &pixels[y * line..][..line],
                Some(down) => {
                    let (first, taps) = down.of(y);
                    // SAFETY: the kernel has no pointers.
                    unsafe {
                        isa.run(Column {
                            pixels: &pixels[first * line..],
                            line,
                            taps,
                            to: &mut row,
                        })
                    };
                    row.as_slice()
                }
            };
            // SAFETY: the output has `padded.0` rows of this length, and ranges are disjoint.
            target.write(source, unsafe {
                std::slice::from_raw_parts_mut(to.cast(), padded.1 * channels)
            });
        }
    });
    // SAFETY: the ranges cover all rows, and each is written from end to end.
    unsafe { out.into_tensor(&[1, padded.0, padded.1, channels]) }
}

/// BT.601 luma in 16 fractional bits, rounded.
fn to_luma(rgb: &[u8]) -> Vec<u8> {
    let luma = |p: &[u8]| {
        (u32::from(p[0]) * 19595 + u32::from(p[1]) * 38470 + u32::from(p[2]) * 7471 + 0x8000) >> 16
    };
    rgb.chunks_exact(3).map(|pixel| luma(pixel) as u8).collect()
}

/// What becomes of each 8-bit value, for each channel.
fn table(n: &Normalisation) -> [[f32; 256]; 3] {
    std::array::from_fn(|c| std::array::from_fn(|v| (v as f32 - n.mean[c]) / n.std[c]))
}

/// How resized rows are written to the output.
struct Target {
    size: (usize, usize),
    padded: (usize, usize),
    /// Channels of the resized rows and of the output.
    from: usize,
    channels: usize,
    table: [[f32; 256]; 3],
}

impl Target {
    /// Writes one row of the output: `source` normalised, then zeros.
    fn write(&self, source: &[u8], to: &mut [std::mem::MaybeUninit<f32>]) {
        let [red, green, blue] = &self.table;
        let pixels = if source.is_empty() { 0 } else { self.size.1 };
        let (image, padding) =
            to.split_at_mut((pixels * self.channels).min(self.padded.1 * self.channels));
        match (self.from, self.channels) {
            (3, _) => {
                for (to, p) in image.chunks_exact_mut(3).zip(source.chunks_exact(3)) {
                    to[0].write(red[p[0] as usize]);
                    to[1].write(green[p[1] as usize]);
                    to[2].write(blue[p[2] as usize]);
                }
            }
            (_, 3) => {
                for (to, &p) in image.chunks_exact_mut(3).zip(source) {
                    to[0].write(red[p as usize]);
                    to[1].write(green[p as usize]);
                    to[2].write(blue[p as usize]);
                }
            }
            _ => {
                for (to, &p) in image.iter_mut().zip(source) {
                    to.write(red[p as usize]);
                }
            }
        }
        for to in padding {
            to.write(0.0);
        }
    }
}

/// A sum with 22 fractional bits, half already added, as an 8-bit value.
#[inline(always)]
fn clip(sum: i32) -> u8 {
    (sum >> Coefficients::BITS).clamp(0, 255) as u8
}

/// All rows brought to `to` pixels.
fn resample_rows(pixels: &[u8], w: usize, c: usize, to: usize) -> Vec<u8> {
    let h = pixels.len() / (w * c).max(1);
    let coefficients = Coefficients::new(w, to);
    let mut out = vec![0u8; h * to * c];
    let (isa, shared) = (Isa::best(), Shared::new(out.as_mut_ptr()));
    parallel::over(h, h * to * c * coefficients.max_taps(), |range| {
        // Pixels of four integers, so that each is one vector.
        let mut line = vec![[0i32; 4]; w];
        for y in range {
            for (wide, pixel) in line.iter_mut().zip(pixels[y * w * c..].chunks_exact(c)) {
                for (wide, &value) in wide.iter_mut().zip(pixel) {
                    *wide = i32::from(value);
                }
            }
            // SAFETY: `out` has h rows of this length, and ranges are disjoint.
            unsafe {
                let to =
                    std::slice::from_raw_parts_mut(shared.get().wrapping_add(y * to * c), to * c);
                isa.run(Row {
                    line: &line,
                    channels: c,
                    coefficients: &coefficients,
                    to,
                });
            }
        }
    });
    out
}

/// One row, along x.
struct Row<'a> {
    line: &'a [[i32; 4]],
    channels: usize,
    coefficients: &'a Coefficients,
    to: &'a mut [u8],
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (x, to) in self.to.chunks_exact_mut(self.channels).enumerate() {
            let (first, taps) = self.coefficients.of(x);
            let mut sum = [Coefficients::HALF; 4];
            for (pixel, &tap) in self.line[first..].iter().zip(taps) {
                for i in 0..4 {
                    sum[i] += pixel[i] * tap;
                }
            }
            for (to, sum) in to.iter_mut().zip(sum) {
                *to = clip(sum);
            }
        }
    }
}

/// One row of the result, along y: `taps` rows of `line` bytes each weighted.
struct Column<'a> {
    pixels: &'a [u8],
    line: usize,
    taps: &'a [i32],
    to: &'a mut [u8],
}

impl Kernel for Column<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        const WIDE: usize = 32;
        let mut chunks = self.to.chunks_exact_mut(WIDE);
        for (i, to) in chunks.by_ref().enumerate() {
            let mut sum = [Coefficients::HALF; WIDE];
            for (row, &tap) in self.pixels.chunks(self.line).zip(self.taps) {
                for (sum, &value) in sum.iter_mut().zip(&row[i * WIDE..][..WIDE]) {
                    *sum += i32::from(value) * tap;
                }
            }
            for (to, sum) in to.iter_mut().zip(sum) {
                *to = clip(sum);
            }
        }
        let rest = chunks.into_remainder();
        let start = self.line - rest.len();
        for (i, to) in rest.iter_mut().enumerate() {
            let terms = self
                .pixels
                .chunks(self.line)
                .zip(self.taps)
                .map(|(row, &tap)| i32::from(row[start + i]) * tap);
            *to = clip(Coefficients::HALF + terms.sum::<i32>());
        }
    }
}
