//! Maximum pooling and nearest upsampling, channels by vectors.

#![allow(unsafe_code)]

use super::{
    memory::{Input, Output, Shared, even},
    parallel,
    simd::{Isa, Kernel, Simd},
};
use crate::ops::types::{convolution::Padding, result::Result};
use candle_core::Tensor;

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
    let x = even(x)?;
    let input = Input::<f32>::new(&x, "max_pool2d")?;
    let mut out = Output::new(b * oh * ow * c);
    let (isa, pixel, pointers) = (
        Isa::best(),
        input.stride,
        Shared::new((input.ptr(), out.ptr())),
    );
    parallel::over(b * oh, b * oh * ow * c * kernel * kernel, |range| {
        let (from, to) = pointers.get();
        for row in range {
            for ox in 0..ow {
                let image = from.wrapping_add(row / oh * h * w * pixel);
                let (top, left) = (row % oh * stride, ox * stride);
                let to = to.wrapping_add((row * ow + ox) * c);
                let window = Window {
                    image,
                    pixel,
                    size: (h, w),
                    padding,
                    at: (top, left),
                    kernel,
                    channels: c,
                    to,
                };
                // SAFETY: the window's pixels within the map are those of x; rows of the output are disjoint.
                unsafe { isa.run(window) };
            }
        }
    });
    // SAFETY: the ranges cover all rows.
    unsafe { out.into_tensor(&[b, oh, ow, c]) }
}

/// One output pixel.
struct Window {
    image: *const f32,
    pixel: usize,
    size: (usize, usize),
    padding: Padding,
    /// Upper left corner in the padded map.
    at: (usize, usize),
    kernel: usize,
    channels: usize,
    to: *mut f32,
}

impl Kernel for Window {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (h, w) = self.size;
        let inside = |at: usize, pad: usize, size: usize| {
            (
                at.max(pad) - pad,
                (at + self.kernel).min(size + pad).saturating_sub(pad),
            )
        };
        let (y0, y1) = inside(self.at.0, self.padding.top, h);
        let (x0, x1) = inside(self.at.1, self.padding.left, w);
        let whole = (y1.saturating_sub(y0)) * (x1.saturating_sub(x0)) == self.kernel * self.kernel;
        let mut c = 0;
        while c < self.channels {
            let n = S::LANES.min(self.channels - c);
            // SAFETY: pixels y0..y1, x0..x1 lie within the map.
            unsafe {
                let mut greatest = S::splat(if whole { f32::NEG_INFINITY } else { 0.0 });
                for y in y0..y1 {
                    for x in x0..x1 {
                        let at = self.image.wrapping_add((y * w + x) * self.pixel + c);
                        greatest = S::max(
                            greatest,
                            if n == S::LANES {
                                S::load(at)
                            } else {
                                S::load_n(at, n)
                            },
                        );
                    }
                }
                let to = self.to.wrapping_add(c);
                if n == S::LANES {
                    S::store(to, greatest)
                } else {
                    S::store_n(to, greatest, n)
                }
            }
            c += S::LANES;
        }
    }
}

/// See [`crate::ops::upsample_nearest2x`].
pub(crate) fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    let x = even(x)?;
    let input = Input::<f32>::new(&x, "upsample_nearest2x")?;
    let mut out = Output::new(4 * b * h * w * c);
    let (pixel, pointers) = (input.stride, Shared::new((input.ptr(), out.ptr())));
    parallel::over(b * h, b * h * w * c * 16, |range| {
        let (from, to) = pointers.get();
        for row in range {
            let line = to.wrapping_add(row * 4 * w * c);
            // SAFETY: row `row` of the input becomes rows 2·row and 2·row + 1 of the output.
            unsafe {
                for x in 0..w {
                    let from = from.wrapping_add((row * w + x) * pixel);
                    std::ptr::copy_nonoverlapping(from, line.wrapping_add(2 * x * c), c);
                    std::ptr::copy_nonoverlapping(from, line.wrapping_add((2 * x + 1) * c), c);
                }
                std::ptr::copy_nonoverlapping(line, line.wrapping_add(2 * w * c), 2 * w * c);
            }
        }
    });
    // SAFETY: the ranges cover all rows.
    unsafe { out.into_tensor(&[b, 2 * h, 2 * w, c]) }
}
