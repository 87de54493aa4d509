//! The two convolutions that an image encoder begins with, in bands of rows, so that the large map between them stays in the caches.

#![allow(unsafe_code)]

use super::{
    conv2d::Conv2d,
    map::Map,
    memory::{Input, Output, Shared, even},
    parallel::{self, part},
    simd::Isa,
    stem::{Layer, Lines},
};
use crate::ops::types::result::Result;
use candle_core::Tensor;
use std::ops::Range;

/// Numbers of the map in between that a band holds, about.
const BAND: usize = 1 << 16;

/// See [`crate::ops::image_pair`]; none where a layer is not of the kind that this is for, or there
/// are more threads than tasks.
pub(crate) fn image_pair(
    x: &Tensor,
    first: Layer<'_>,
    second: Layer<'_>,
) -> Result<Option<Tensor>> {
    let (b, h, w, c) = x.dims4()?;
    let (Some((one, _)), Some((two, _))) = (first.0.dense(), second.0.dense()) else {
        return Ok(None);
    };
    let products = one.products.or(two.products);
    let (narrow, wide) = (first.0.channels(), second.0.channels());
    if narrow.0 != c || wide.0 != narrow.1 {
        return Ok(None);
    }
    let between = first.0.output_size((h, w), first.1)?;
    let (oh, ow) = second.0.output_size(between, second.1)?;
    let Some(tasks) = parallel::tasks_of_bands(b, oh) else {
        return Ok(None);
    };
    let x = even(x)?;
    let x = Input::<f32>::new(&x, "image_pair")?;
    let shape = [b, oh, ow, wide.1];
    let mut out = Output::new(shape.iter().product());
    let map = |(layer, options): Layer<'_>, pixel, size, out| Map {
        x: std::ptr::null(),
        pixel,
        size,
        kernel: layer.kernel(),
        out,
        options: *options,
    };
    let pair = Pair {
        isa: Isa::best_for(products),
        layers: [first.0, second.0],
        first: map(first, x.stride, (h, w), between),
        second: map(second, narrow.1, between, (oh, ow)),
    };
    let pointers = Shared::new((x.ptr(), out.ptr()));
    parallel::each(b * tasks, |task| {
        let (x, out) = pointers.get();
        let image = task / tasks;
        let x = x.wrapping_add(image * h * w * pair.first.pixel);
        let out = out.wrapping_add(image * oh * ow * wide.1);
        // SAFETY: the pointers are those of image `image`; tasks write different rows.
        unsafe { pair.rows(x, out, part(oh, tasks, task % tasks)) };
    });
    // SAFETY: the tasks cover all rows of all images.
    unsafe { out.into_tensor(&shape).map(Some) }
}

struct Pair<'a> {
    isa: Isa,
    layers: [&'a Conv2d; 2],
    /// The layers' maps, but for the memory.
    first: Map,
    second: Map,
}

impl Pair<'_> {
    /// Rows of the output, band by band.
    ///
    /// # Safety
    /// `x` and `out` are as large as the maps.
    unsafe fn rows(&self, x: *const f32, out: *mut f32, rows: Range<usize>) {
        let [first, second] = self.layers;
        let line = self.first.out.1 * self.second.pixel;
        let step = (BAND / (line * self.second.options.stride).max(1)).max(1);
        let mut between = Lines::new(line);
        for y in rows.clone().step_by(step) {
            let band = y..(y + step).min(rows.end);
            let fresh = between.extend(self.second.rows_under(&band));
            let to = between.row(0);
            let (of_first, of_second) = (
                Map { x, ..self.first },
                Map {
                    x: to.cast_const(),
                    ..self.second
                },
            );
            // SAFETY: the second layer reads rows that the first has just made or made before; those that it writes are there.
            unsafe {
                first.rows_here(self.isa, &of_first, fresh, to, first.channels().1);
                second.rows_here(self.isa, &of_second, band, out, second.channels().1);
            }
        }
    }
}
