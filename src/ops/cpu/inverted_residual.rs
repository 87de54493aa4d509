//! Expansion, depthwise convolution and projection in bands of rows, so that the wide maps in between stay in the caches.

#![allow(unsafe_code)]

use super::{
    conv2d::Conv2d,
    gemm::{Addend, Gemm, Strided},
    map::Map,
    memory::{Input, Output, Shared, even},
    packed::Packed,
    parallel::{self, part},
    simd::Isa,
};
use crate::ops::types::{convolution::Conv2dOptions, result::Result};
use candle_core::Tensor;
use std::ops::Range;

/// Numbers of the expanded map that a band holds, about.
const BAND: usize = 1 << 16;

/// Numbers of an expanded map that is worth bands.
const WORTHWHILE: usize = 1 << 20;

/// A layer and its options.
pub(crate) type Layer<'a> = (&'a Conv2d, &'a Conv2dOptions);

/// See [`crate::ops::inverted_residual`]; none where the layers or the map are not of the kind that this is for.
pub(crate) fn inverted_residual(
    x: &Tensor,
    expand: Layer<'_>,
    depthwise: Layer<'_>,
    project: Layer<'_>,
    residual: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    let (b, h, w, c) = x.dims4()?;
    let (Some(first), Some(middle), Some(last)) = (
        expand.0.pointwise(expand.1),
        depthwise.0.depthwise(),
        project.0.pointwise(project.1),
    ) else {
        return Ok(None);
    };
    let wide = first.columns;
    if first.inner != c
        || middle.channels() != wide
        || last.inner != wide
        || h * w * wide < WORTHWHILE
    {
        return Ok(None);
    }
    let (oh, ow) = depthwise.0.output_size((h, w), depthwise.1)?;
    let shape = [b, oh, ow, last.columns];
    let x = even(x)?;
    let x = Input::<f32>::new(&x, "inverted_residual")?;
    let residual = residual
        .map(|r| super::residual::residual(r, &shape)?.contiguous())
        .transpose()?;
    let residual = residual
        .as_ref()
        .map(|r| Input::<f32>::new(r, "inverted_residual"))
        .transpose()?;
    let mut out = Output::new(shape.iter().product());
    let block = Block {
        isa: Isa::best_for(first.products.or(last.products)),
        expand: (first, *expand.1),
        middle: Map {
            x: x.ptr(),
            pixel: wide,
            size: (h, w),
            kernel: depthwise.0.kernel(),
            out: (oh, ow),
            options: *depthwise.1,
        },
        depthwise: middle,
        project: (last, *project.1),
    };
    let pointers = Shared::new((
        x.ptr(),
        x.stride,
        out.ptr(),
        residual.as_ref().map(Input::ptr),
    ));
    // Tasks compute the rows again that they share with their neighbours: few and large ones are best.
    let per_image = (2 * rayon::current_num_threads()).min(oh.div_ceil(8));
    let tasks = if rayon::current_num_threads() == 1 {
        1
    } else {
        per_image
    };
    parallel::each(b * tasks, |task| {
        let (x, pixel, out, residual) = pointers.get();
        let image = task / tasks;
        let at = image * oh * ow * last.columns;
        let place = Place {
            x: x.wrapping_add(image * h * w * pixel),
            pixel,
            out: out.wrapping_add(at),
            residual: residual.map(|r| r.wrapping_add(at)),
        };
        // SAFETY: the pointers are those of image `image`; tasks write different rows.
        unsafe { block.rows(&place, part(oh, tasks, task % tasks)) };
    });
    // SAFETY: the tasks cover all rows of all images.
    unsafe { out.into_tensor(&shape).map(Some) }
}

struct Block<'a> {
    isa: Isa,
    expand: (&'a Packed, Conv2dOptions),
    /// The depthwise convolution's input and output, but for the memory.
    middle: Map,
    depthwise: &'a super::depthwise::Depthwise,
    project: (&'a Packed, Conv2dOptions),
}

/// One image's memory.
struct Place {
    x: *const f32,
    pixel: usize,
    out: *mut f32,
    residual: Option<*const f32>,
}

impl Block<'_> {
    /// Rows of the output, band by band.
    ///
    /// # Safety
    /// `place` is as large as the block's maps.
    unsafe fn rows(&self, place: &Place, rows: Range<usize>) {
        let Map {
            size: (h, w),
            kernel: (kh, _),
            out: (_, ow),
            options: o,
            ..
        } = self.middle;
        let (line, narrow) = (w * self.expand.0.columns, ow * self.expand.0.columns);
        let step = (BAND / line / o.stride).clamp(1, rows.len().max(1));
        let mut expanded = Output::new(((step - 1) * o.stride + kh) * line);
        let mut middle = Output::new(step * narrow);
        // Rows of the expanded map in memory.
        let mut have = 0..0;
        for y in rows.clone().step_by(step) {
            let band = y..(y + step).min(rows.end);
            let first = (band.start * o.stride).saturating_sub(o.padding.top).min(h);
            let end = ((band.end - 1) * o.stride + kh)
                .saturating_sub(o.padding.top)
                .min(h)
                .max(first);
            let buffer = expanded.ptr();
            // SAFETY: a band needs at most the rows that `expanded` has; those above it are no longer needed.
            unsafe {
                let kept = have.end.max(first).min(end) - first;
                if have.start < have.end && kept > 0 {
                    std::ptr::copy(
                        buffer.wrapping_add((first - have.start) * line),
                        buffer,
                        kept * line,
                    );
                }
                let x = place.x.wrapping_add((first + kept) * w * place.pixel);
                let fresh = (end - first - kept) * w;
                self.product(
                    &self.expand,
                    (x, place.pixel),
                    fresh,
                    buffer.wrapping_add(kept * line),
                    None,
                );
                have = first..end;
                // The kernel counts rows from the image's first one.
                let image = buffer.cast_const().wrapping_sub(first * line);
                for y in band.clone() {
                    let to = middle.ptr().wrapping_add((y - band.start) * narrow);
                    self.depthwise
                        .row(self.isa, &self.middle, image, y, to, None);
                }
                let at = band.start * ow * self.project.0.columns;
                let residual = place.residual.map(|r| r.wrapping_add(at));
                let from = (middle.ptr().cast_const(), self.expand.0.columns);
                self.product(
                    &self.project,
                    from,
                    band.len() * ow,
                    place.out.wrapping_add(at),
                    residual,
                );
            }
        }
    }

    /// A 1×1 convolution of `rows` pixels, on this thread.
    unsafe fn product(
        &self,
        (weights, o): &(&Packed, Conv2dOptions),
        (start, stride): (*const f32, usize),
        rows: usize,
        out: *mut f32,
        residual: Option<*const f32>,
    ) {
        let gemm = Gemm {
            isa: self.isa,
            weights,
            rows,
            out,
            out_stride: weights.columns,
            residual: residual.map(|start| Addend {
                start,
                stride: weights.columns,
                last: false,
                doubled: None,
            }),
            bias: true,
            activation: o.activation,
            affine: o.affine,
        };
        // SAFETY: see `rows`.
        unsafe {
            gemm.run_here(&Strided {
                start,
                stride,
                inner: weights.inner,
            })
        }
    }
}
