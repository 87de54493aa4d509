//! Expansion, depthwise convolution and projection in bands of rows, so that the wide maps in between stay in the caches.

#![allow(unsafe_code)]

use super::{
    conv2d::Conv2d,
    gemm::{Gemm, Rows, Strided},
    linear::Linear,
    map::{Map, rows_under},
    memory::{Input, Output, Shared, even},
    packed::Packed,
    parallel::{self, part},
    simd::Isa,
    stem::Lines,
    tile::Piece,
};
use crate::ops::types::{
    activation::Activation,
    convolution::{Conv2dOptions, Padding},
    result::Result,
};
use candle_core::Tensor;
use std::ops::Range;

/// Numbers of the expanded map that a band holds, about.
const BAND: usize = 1 << 16;

/// Rows of the expanded map that a band has at least where the map is cut into strips of columns: of fewer, each would be made more than twice.
const LINES: usize = 3;

/// Numbers of an expanded map that is worth bands.
const WORTHWHILE: usize = 1 << 20;

/// A layer and its options.
pub(crate) type Layer<'a> = (&'a Conv2d, &'a Conv2dOptions);

/// A product of every pixel, and what follows it.
#[derive(Clone, Copy)]
struct Point<'a> {
    weights: &'a Packed,
    activation: Activation,
    affine: Option<(f32, f32)>,
}

impl<'a> Point<'a> {
    fn of_conv((layer, o): Layer<'a>) -> Option<Self> {
        Some(Self {
            weights: layer.pointwise(o)?,
            activation: o.activation,
            affine: o.affine,
        })
    }

    fn of_linear((layer, activation): (&'a Linear, Activation)) -> Self {
        Self {
            weights: layer.weights(),
            activation,
            affine: None,
        }
    }
}

/// See [`crate::ops::inverted_residual`]; none where the layers or the map are not of the kind that this is for, or there
/// are more threads than tasks.
pub(crate) fn inverted_residual(
    x: &Tensor,
    expand: Layer<'_>,
    depthwise: Layer<'_>,
    project: Layer<'_>,
    residual: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    match (Point::of_conv(expand), Point::of_conv(project)) {
        (Some(first), Some(last)) => in_bands(x, first, depthwise, last, residual),
        _ => Ok(None),
    }
}

/// See [`crate::ops::linear_depthwise`]; none as for [`inverted_residual`].
pub(crate) fn linear_depthwise(
    x: &Tensor,
    expand: (&Linear, Activation),
    depthwise: Layer<'_>,
    project: (&Linear, Activation),
) -> Result<Option<Tensor>> {
    let (first, last) = (Point::of_linear(expand), Point::of_linear(project));
    in_bands(x, first, depthwise, last, None)
}

fn in_bands(
    x: &Tensor,
    first: Point<'_>,
    depthwise: Layer<'_>,
    last: Point<'_>,
    residual: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    let (b, h, w, c) = x.dims4()?;
    let Some(middle) = depthwise.0.depthwise() else {
        return Ok(None);
    };
    let (wide, columns) = (first.weights.columns, last.weights.columns);
    if first.weights.inner != c
        || middle.channels() != wide
        || last.weights.inner != wide
        || h * w * wide < WORTHWHILE
    {
        return Ok(None);
    }
    let (oh, ow) = depthwise.0.output_size((h, w), depthwise.1)?;
    let Some(tasks) = parallel::tasks_of_bands(b, oh) else {
        return Ok(None);
    };
    let shape = [b, oh, ow, columns];
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
        isa: Isa::best_for(first.weights.products.or(last.weights.products)),
        expand: first,
        middle: Map {
            x: x.ptr(),
            pixel: wide,
            size: (h, w),
            kernel: depthwise.0.kernel(),
            out: (oh, ow),
            options: *depthwise.1,
        },
        depthwise: middle,
        project: last,
    };
    let pointers = Shared::new((
        x.ptr(),
        x.stride,
        out.ptr(),
        residual.as_ref().map(Input::ptr),
    ));
    parallel::each(b * tasks, |task| {
        let (x, pixel, out, residual) = pointers.get();
        let image = task / tasks;
        let at = image * oh * ow * columns;
        let place = Place {
            x: x.wrapping_add(image * h * w * pixel),
            pixel,
            out: out.wrapping_add(at),
            residual: residual.map(|r| r.wrapping_add(at)),
        };
        let strips = block.strips();
        for strip in 0..strips {
            let (rows, columns) = (part(oh, tasks, task % tasks), part(ow, strips, strip));
            // SAFETY: the pointers are those of image `image`; tasks write different rows.
            unsafe { block.rows(&place, rows, columns) };
        }
    });
    // SAFETY: the tasks cover all rows of all images.
    unsafe { out.into_tensor(&shape).map(Some) }
}

struct Block<'a> {
    isa: Isa,
    expand: Point<'a>,
    /// The depthwise convolution's input and output, but for the memory.
    middle: Map,
    depthwise: &'a super::depthwise::Depthwise,
    project: Point<'a>,
}

/// One image's memory.
struct Place {
    x: *const f32,
    pixel: usize,
    out: *mut f32,
    residual: Option<*const f32>,
}

impl Block<'_> {
    /// Strips of columns that the map is cut into, so that a few rows of a strip are a band.
    fn strips(&self) -> usize {
        (LINES * self.middle.size.1 * self.middle.pixel)
            .div_ceil(BAND)
            .min(self.middle.out.1.div_ceil(8))
            .max(1)
    }

    /// The depthwise convolution of a strip of columns alone, and the first column of its input.
    fn strip(&self, columns: &Range<usize>) -> (Map, usize) {
        let mut map = self.middle;
        let (stride, left) = (map.options.stride, map.options.padding.left);
        let padding = Padding {
            top: left,
            ..Padding::default()
        };
        let under = rows_under(columns, map.kernel.1, stride, padding, map.size.1);
        map.options.padding.left = left.saturating_sub(columns.start * stride);
        map.size.1 = under.len();
        map.out.1 = columns.len();
        (map, under.start)
    }

    /// Rows of some columns of the output, band by band.
    ///
    /// # Safety
    /// `place` is as large as the block's maps.
    unsafe fn rows(&self, place: &Place, rows: Range<usize>, columns: Range<usize>) {
        let (map, left) = self.strip(&columns);
        let (w, ow) = (self.middle.size.1, self.middle.out.1);
        let wide = map.pixel;
        let line = map.size.1 * wide;
        let stride = map.options.stride;
        let step = (BAND / (map.out.1 * wide * stride) / stride).clamp(1, rows.len().max(1));
        let mut expanded = Lines::new(line);
        let mut middle = Output::new(map.out.1 * wide);
        for y in rows.clone().step_by(step) {
            let band = y..(y + step).min(rows.end);
            let fresh = expanded.extend(map.rows_under(&band));
            let source = Window {
                start: place.x.wrapping_add((fresh.start * w + left) * place.pixel),
                pixel: place.pixel,
                inner: self.expand.weights.inner,
                columns: map.size.1,
                line: w * place.pixel,
            };
            // SAFETY: the memory has room for the rows that a band needs; those above it are no longer needed.
            unsafe {
                let to = expanded.row(fresh.start);
                let pixels = fresh.len() * map.size.1;
                self.product(&self.expand, &source, pixels, to, None);
                // The kernel counts rows from the image's first one.
                let image = expanded.row(0).cast_const();
                for y in band {
                    self.depthwise
                        .row(self.isa, &map, image, y, middle.ptr(), None);
                    let at = (y * ow + columns.start) * self.project.weights.columns;
                    let source = Strided {
                        start: middle.ptr(),
                        stride: wide,
                        inner: wide,
                    };
                    let out = place.out.wrapping_add(at);
                    let residual = place.residual.map(|r| r.wrapping_add(at));
                    self.product(&self.project, &source, map.out.1, out, residual);
                }
            }
        }
    }

    /// A product of `rows` pixels, on this thread.
    ///
    /// # Safety
    /// See [`Gemm::run`].
    unsafe fn product<R: Rows>(
        &self,
        point: &Point<'_>,
        source: &R,
        rows: usize,
        out: *mut f32,
        residual: Option<*const f32>,
    ) {
        let gemm = Gemm {
            activation: point.activation,
            affine: point.affine,
            ..Gemm::of_pixels(self.isa, point.weights, rows, out, residual)
        };
        // SAFETY: the caller vouched for the memory.
        unsafe { gemm.run_here(source) }
    }
}

/// Pixels of some columns of a map, line by line.
struct Window {
    start: *const f32,
    pixel: usize,
    inner: usize,
    columns: usize,
    /// Numbers from one line of the map to the next.
    line: usize,
}

// SAFETY: only read, as long as the memory is borrowed.
unsafe impl Sync for Window {}

impl Rows for Window {
    fn pieces(&self) -> usize {
        1
    }

    fn read(&self, first: usize, count: usize, pieces: &mut [Piece], _: &mut Vec<f32>) {
        for piece in pieces {
            piece.inner = self.inner;
            let (mut line, mut x) = (first / self.columns, first % self.columns);
            for row in piece.rows.iter_mut().take(count) {
                *row = self.start.wrapping_add(line * self.line + x * self.pixel);
                x += 1;
                if x == self.columns {
                    (line, x) = (line + 1, 0);
                }
            }
        }
    }
}
