//! The first layers of a network in bands of rows, so that their large maps stay in the caches.

#![allow(unsafe_code)]

use super::{
    conv2d::Conv2d,
    map::{Map, rows_under},
    memory::{Input, Output, Shared, even},
    parallel::{self, part},
    pool::Pool,
    simd::Isa,
};
use crate::ops::types::{
    convolution::{Conv2dOptions, Padding, Products},
    result::Result,
};
use candle_core::Tensor;
use std::ops::Range;

/// Rows of the last layer's output that a band has.
const BAND: usize = 4;

/// A layer and its options.
pub(super) type Layer<'a> = (&'a Conv2d, &'a Conv2dOptions);

/// See [`crate::ops::stem`]; none where a layer is not of the kind that this is for.
pub(crate) fn stem(
    x: &Tensor,
    layers: [Layer<'_>; 4],
    window: usize,
    padding: Padding,
) -> Result<Option<Tensor>> {
    let (b, h, w, c) = x.dims4()?;
    let [first, second_a, second_b, third] = layers;
    let sizes = || -> Result<_> {
        let one = first.0.output_size((h, w), first.1)?;
        let a = second_a.0.output_size(one, second_a.1)?;
        let two = second_b.0.output_size(a, second_b.1)?;
        Ok((one, a, two, third.0.output_size(two, third.1)?))
    };
    let (one, a, two, out_size) = sizes()?;
    let pooled = (
        (one.0 + padding.top + padding.bottom + 1).saturating_sub(window),
        (one.1 + padding.left + padding.right + 1).saturating_sub(window),
    );
    let channels = layers.map(|(layer, _)| layer.dense().map(|_| layer.channels()));
    let [Some(c1), Some(ca), Some(cb), Some(c3)] = channels else {
        return Ok(None);
    };
    let products = layers.map(|(layer, _)| layer.dense().map(|(weights, _)| weights.products));
    let products = products
        .into_iter()
        .flatten()
        .fold(Products::F32, Products::or);
    let joined = c1.1 + cb.1;
    let chained = (c1.0, ca.0, cb.0, c3.0) == (c, c1.1, ca.1, joined);
    if !chained || pooled != two || window == 0 {
        return Ok(None);
    }
    let x = even(x)?;
    let x = Input::<f32>::new(&x, "stem")?;
    let shape = [b, out_size.0, out_size.1, c3.1];
    let mut out = Output::new(shape.iter().product());
    let map = |(layer, options): Layer<'_>, pixel, size, out| Map {
        x: std::ptr::null(),
        pixel,
        size,
        kernel: layer.kernel(),
        out,
        options: *options,
    };
    let stem = Stem {
        isa: Isa::best_for(products),
        layers: layers.map(|(layer, _)| layer),
        first: map(first, x.stride, (h, w), one),
        second_a: map(second_a, c1.1, one, a),
        second_b: map(second_b, ca.1, a, two),
        third: map(third, joined, two, out_size),
        pool: Pool {
            pixel: c1.1,
            size: one,
            padding,
            kernel: window,
            stride: 1,
            channels: c1.1,
            columns: two.1,
            out_pixel: joined,
        },
        channels: [c1.1, ca.1, joined, c3.1],
    };
    let pointers = Shared::new((x.ptr(), out.ptr()));
    // Tasks compute the rows again that they share with their neighbours: few and large ones are best.
    let tasks = (2 * rayon::current_num_threads()).min(out_size.0.div_ceil(2 * BAND));
    parallel::each(b * tasks, |task| {
        let (x, out) = pointers.get();
        let image = task / tasks;
        let x = x.wrapping_add(image * h * w * stem.first.pixel);
        let out = out.wrapping_add(image * out_size.0 * out_size.1 * c3.1);
        // SAFETY: the pointers are those of image `image`; tasks write different rows.
        unsafe { stem.rows(x, out, part(out_size.0, tasks, task % tasks)) };
    });
    // SAFETY: the tasks cover all rows of all images.
    unsafe { out.into_tensor(&shape).map(Some) }
}

/// The layers' maps, but for the memory.
struct Stem<'a> {
    isa: Isa,
    layers: [&'a Conv2d; 4],
    first: Map,
    second_a: Map,
    second_b: Map,
    third: Map,
    pool: Pool,
    /// Of the maps: first, second_a, both branches side by side, third.
    channels: [usize; 4],
}

impl Stem<'_> {
    /// Rows of the output, band by band.
    ///
    /// # Safety
    /// `x` and `out` are as large as the stem's maps.
    unsafe fn rows(&self, x: *const f32, out: *mut f32, rows: Range<usize>) {
        let [first, second_a, second_b, third] = self.layers;
        let (isa, [c1, ca, joined, c3]) = (self.isa, self.channels);
        let under = Map::rows_under;
        let pooled = |rows: &Range<usize>| {
            rows_under(
                rows,
                self.pool.kernel,
                1,
                self.pool.padding,
                self.pool.size.0,
            )
        };
        let mut one = Lines::new(self.first.out.1 * c1);
        let mut a = Lines::new(self.second_a.out.1 * ca);
        let mut two = Lines::new(self.second_b.out.1 * joined);
        for y in rows.clone().step_by(BAND) {
            let band = y..(y + BAND).min(rows.end);
            let of_two = under(&self.third, &band);
            let of_a = under(&self.second_b, &of_two);
            let (convolved, seen) = (under(&self.second_a, &of_a), pooled(&of_two));
            let of_one = convolved.start.min(seen.start)..convolved.end.max(seen.end);
            // SAFETY: each layer reads the rows of the one before it that were just made, and writes those that it has room for.
            unsafe {
                let fresh = one.extend(of_one);
                first.rows_here(isa, &Map { x, ..self.first }, fresh, one.row(0), c1);
                let from = one.row(0).cast_const();
                let fresh = a.extend(of_a);
                let map = Map {
                    x: from,
                    ..self.second_a
                };
                second_a.rows_here(isa, &map, fresh, a.row(0), ca);
                let fresh = two.extend(of_two);
                for y in fresh.clone() {
                    self.pool.row(isa, from, y, two.row(y));
                }
                let map = Map {
                    x: a.row(0).cast_const(),
                    ..self.second_b
                };
                second_b.rows_here(isa, &map, fresh, two.row(0).wrapping_add(c1), joined);
                let map = Map {
                    x: two.row(0).cast_const(),
                    ..self.third
                };
                third.rows_here(isa, &map, band, out, c3);
            }
        }
    }
}

/// Some rows of a map.
pub(super) struct Lines {
    memory: Vec<f32>,
    /// Numbers of a row.
    len: usize,
    have: Range<usize>,
}

impl Lines {
    pub(super) fn new(len: usize) -> Self {
        Self {
            memory: Vec::new(),
            len,
            have: 0..0,
        }
    }

    /// Makes room for `rows`, which begin no earlier than those of the last call, and drops those before. Hands back which of them are to
    /// be written.
    pub(super) fn extend(&mut self, rows: Range<usize>) -> Range<usize> {
        let kept = rows.start.max(self.have.start)..rows.end.min(self.have.end);
        let kept = if kept.is_empty() {
            rows.start..rows.start
        } else {
            let at = (kept.start - self.have.start) * self.len;
            self.memory.copy_within(at..at + kept.len() * self.len, 0);
            kept
        };
        let numbers = rows.len() * self.len;
        if self.memory.len() < numbers {
            self.memory.resize(numbers, 0.0);
        }
        self.have = rows.clone();
        kept.end..rows.end
    }

    /// Where row `y` of the map is, if it is here.
    pub(super) fn row(&mut self, y: usize) -> *mut f32 {
        let first = self.memory.as_mut_ptr();
        first
            .wrapping_add(y * self.len)
            .wrapping_sub(self.have.start * self.len)
    }
}
