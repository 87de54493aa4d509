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
    let pool = Pool {
        pixel: input.stride,
        size: (h, w),
        padding,
        kernel,
        stride,
        channels: c,
        columns: ow,
        out_pixel: c,
    };
    let (isa, pointers) = (Isa::best(), Shared::new((input.ptr(), out.ptr())));
    parallel::over(b * oh, b * oh * ow * c * kernel * kernel, |range| {
        let (from, to) = pointers.get();
        for row in range {
            let image = from.wrapping_add(row / oh * h * w * pool.pixel);
            let to = to.wrapping_add(row * ow * c);
            // SAFETY: the pixels are those of x; rows of the output are disjoint.
            unsafe { pool.row(isa, image, row % oh, to) };
        }
    });
    // SAFETY: the ranges cover all rows.
    unsafe { out.into_tensor(&[b, oh, ow, c]) }
}

/// How windows slide over a map.
#[derive(Clone, Copy)]
pub(super) struct Pool {
    /// Floats from one pixel to the next.
    pub(super) pixel: usize,
    /// Height and width of the map.
    pub(super) size: (usize, usize),
    pub(super) padding: Padding,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) channels: usize,
    /// Columns of the output, and floats from one of its pixels to the next.
    pub(super) columns: usize,
    pub(super) out_pixel: usize,
}

impl Pool {
    /// Row `y` of the output for the map at `image`.
    ///
    /// # Safety
    /// The map's rows under the windows and the row at `to` are there.
    pub(super) unsafe fn row(&self, isa: Isa, image: *const f32, y: usize, to: *mut f32) {
        // SAFETY: the caller vouched for the memory.
        unsafe {
            isa.run(Line {
                pool: self,
                image,
                y,
                to,
            })
        }
    }
}

/// One row of the output.
struct Line<'a> {
    pool: &'a Pool,
    image: *const f32,
    y: usize,
    to: *mut f32,
}

impl Kernel for Line<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Pool {
            pixel,
            size: (h, w),
            padding,
            kernel,
            stride,
            channels,
            columns,
            out_pixel,
        } = *self.pool;
        // The window's rows or columns within the map.
        let inside = |at: usize, pad: usize, size: usize| {
            (
                at.max(pad) - pad,
                (at + kernel).min(size + pad).saturating_sub(pad),
            )
        };
        let (y0, y1) = inside(self.y * stride, padding.top, h);
        for column in 0..columns {
            let (x0, x1) = inside(column * stride, padding.left, w);
            let whole = (y1.saturating_sub(y0)) * (x1.saturating_sub(x0)) == kernel * kernel;
            let mut c = 0;
            while c < channels {
                let n = S::LANES.min(channels - c);
                // SAFETY: pixels y0..y1, x0..x1 lie within the map.
                unsafe {
                    let mut greatest = S::splat(if whole { f32::NEG_INFINITY } else { 0.0 });
                    for y in y0..y1 {
                        for x in x0..x1 {
                            let at = self.image.wrapping_add((y * w + x) * pixel + c);
                            let v = if n == S::LANES {
                                S::load(at)
                            } else {
                                S::load_n(at, n)
                            };
                            greatest = S::max(greatest, v);
                        }
                    }
                    let to = self.to.wrapping_add(column * out_pixel + c);
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
