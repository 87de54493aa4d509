//! A depthwise convolution and a transformer's perceptron in bands of pixels, so that the wide map in between stays in the caches.

#![allow(unsafe_code)]

use super::{
    conv2d::Conv2d,
    gemm::{Gemm, Strided},
    linear::Linear,
    map::Map,
    memory::{Input, Output, Shared, even},
    norm::{Norm, Row},
    packed::Packed,
    parallel::{self, part},
    simd::Isa,
};
use crate::ops::types::{activation::Activation, convolution::Conv2dOptions, result::Result};
use candle_core::Tensor;
use std::ops::Range;

/// Numbers of the wide map that a band holds, about.
const BAND: usize = 1 << 17;

/// Bands that a task has at most: each thread is to have several tasks.
const BANDS: usize = 4;

/// See [`crate::ops::local_perceptron`]; none where the layers are not of the kind that this is for, or there
/// are more threads than tasks.
pub(crate) fn local_perceptron(
    x: &Tensor,
    local: (&Conv2d, &Conv2dOptions),
    norm: &Norm<'_>,
    first: (&Linear, Activation),
    second: (&Linear, Activation),
) -> Result<Option<Tensor>> {
    let (b, h, w, c) = x.dims4()?;
    let (one, two) = (first.0.weights(), second.0.weights());
    let Some(depthwise) = local.0.depthwise() else {
        return Ok(None);
    };
    let fits = depthwise.channels() == c
        && (one.inner, two.inner, two.columns) == (c, one.columns, c)
        && (norm.weight.dims(), norm.bias.dims()) == (&[c], &[c])
        && local.0.output_size((h, w), local.1)? == (h, w);
    let threads = rayon::current_num_threads();
    if !fits || h * w == 0 || b * h < threads {
        return Ok(None);
    }
    let (x, weight, bias) = (even(x)?, norm.weight.contiguous()?, norm.bias.contiguous()?);
    let op = "local_perceptron";
    let (weight, bias) = (
        Input::<f32>::new(&weight, op)?,
        Input::<f32>::new(&bias, op)?,
    );
    let x = Input::<f32>::new(&x, op)?;
    let mut out = Output::new(b * h * w * c);
    let block = Block {
        isa: Isa::best_for(one.products.or(two.products)),
        local: Map {
            x: x.ptr(),
            pixel: x.stride,
            size: (h, w),
            kernel: local.0.kernel(),
            out: (h, w),
            options: *local.1,
        },
        depthwise,
        norm: (weight.ptr(), bias.ptr(), norm.eps),
        layers: [(one, first.1), (two, second.1)],
    };
    let rows = (BAND / (w * one.columns).max(1)).clamp(1, h.div_ceil(threads));
    let bands = h.div_ceil(rows);
    let tasks = match threads {
        1 => 1,
        _ => bands.div_ceil(BANDS).max(4 * threads).min(bands),
    };
    let out_start = Shared::new(out.ptr());
    parallel::each(b * tasks, |task| {
        let image = task / tasks;
        let x = (block.local.x).wrapping_add(image * h * w * block.local.pixel);
        let out = out_start.get().wrapping_add(image * h * w * c);
        // SAFETY: the pointers are those of image `image`; tasks write different rows.
        unsafe { block.bands(x, out, rows, part(bands, tasks, task % tasks)) };
    });
    // SAFETY: the tasks cover all rows of all images.
    unsafe { out.into_tensor(&[b, h, w, c]).map(Some) }
}

struct Block<'a> {
    isa: Isa,
    /// The map that the convolution reads, at the first image.
    local: Map,
    depthwise: &'a super::depthwise::Depthwise,
    /// Weight, bias and what is added to the variance.
    norm: (*const f32, *const f32, f32),
    layers: [(&'a Packed, Activation); 2],
}

// SAFETY: only read, as long as the memory is borrowed.
unsafe impl Sync for Block<'_> {}

impl Block<'_> {
    /// Bands of `rows` rows of the output at `out` for the image at `x`.
    ///
    /// # Safety
    /// `x` and `out` are as large as the map.
    unsafe fn bands(&self, x: *const f32, out: *mut f32, rows: usize, bands: Range<usize>) {
        let [(one, _), (two, _)] = self.layers;
        let (h, w) = self.local.size;
        let (c, line) = (two.columns, w * two.columns);
        let mut local = Output::new(rows * line);
        let mut normed = Output::new(rows * line);
        let mut wide = Output::new(rows * w * one.columns);
        for band in bands {
            let band = band * rows..((band + 1) * rows).min(h);
            let pixels = band.len() * w;
            // SAFETY: the memory has room for a band; each layer reads what the one before it has just made.
            unsafe {
                for (i, y) in band.clone().enumerate() {
                    let to = local.ptr().wrapping_add(i * line);
                    self.depthwise.row(self.isa, &self.local, x, y, to, None);
                }
                for at in (0..pixels * c).step_by(c) {
                    let (weight, bias, eps) = self.norm;
                    self.isa.run(Row {
                        from: local.ptr().wrapping_add(at),
                        to: normed.ptr().wrapping_add(at),
                        len: c,
                        weight,
                        bias,
                        eps,
                    });
                }
                self.product(0, normed.ptr(), pixels, wide.ptr(), None);
                let out = out.wrapping_add(band.start * line);
                self.product(1, wide.ptr(), pixels, out, Some(local.ptr().cast_const()));
            }
        }
    }

    /// A layer of `rows` pixels, on this thread.
    ///
    /// # Safety
    /// All have the pixels' numbers.
    unsafe fn product(
        &self,
        layer: usize,
        from: *const f32,
        rows: usize,
        out: *mut f32,
        residual: Option<*const f32>,
    ) {
        let (weights, activation) = self.layers[layer];
        let gemm = Gemm {
            activation,
            ..Gemm::of_pixels(self.isa, weights, rows, out, residual)
        };
        // SAFETY: the caller vouched for the memory.
        unsafe {
            gemm.run_here(&Strided {
                start: from,
                stride: weights.inner,
                inner: weights.inner,
            });
        }
    }
}
