//! Mask logits to run lengths without the masks in between.
//!
//! Both bilinear steps of `postprocess_masks` are separable, and so is their composition: each output pixel is a
//! weighted mean of at most 4×4 logits. A mean of numbers of one sign has that sign, so only pixels whose logits differ
//! in sign are computed.

#![allow(unsafe_code)]

use super::{
    memory::Input,
    parallel,
    simd::{Isa, Kernel, Simd},
};
use crate::ops::types::{
    masks::{PackedMask, Taps},
    result::Result,
};
use candle_core::Tensor;

/// See [`crate::ops::masks_to_runs`].
pub(crate) fn masks_to_runs(
    logits: &Tensor,
    side: usize,
    scaled: (usize, usize),
    frame: (usize, usize),
) -> Result<Vec<PackedMask>> {
    let (n, h, w) = logits.dims3()?;
    // Columns become rows, so that each output column is a mean of rows.
    let logits = logits.transpose(1, 2)?.contiguous()?;
    let input = Input::<f32>::new(&logits, "masks_to_runs")?;
    let numbers = &input.slice()[..n * h * w];
    let across = Taps::of_both_steps(w, side, scaled.1, frame.1);
    let down = Rows::new(&Taps::of_both_steps(h, side, scaled.0, frame.0), h);
    let masks: Vec<_> = (0..n)
        .map(|_| std::sync::Mutex::new(Runs::default()))
        .collect();
    parallel::over(n, n * h * frame.1 * 8, |range| {
        for i in range {
            let runs = one(&numbers[i * h * w..][..h * w], h, &across, &down);
            *masks[i]
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = runs;
        }
    });
    Ok(masks
        .into_iter()
        .map(|runs| {
            runs.into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .finish()
        })
        .collect())
}

/// The runs of one mask; `columns` is `[w, h]`.
fn one(columns: &[f32], h: usize, across: &[Taps], down: &Rows) -> Runs {
    let (isa, mut runs) = (Isa::best(), Runs::default());
    let mut column = vec![0f32; h];
    for (x, taps) in (0u32..).zip(across) {
        // SAFETY: the kernel has no pointers.
        unsafe {
            isa.run(Blend {
                columns,
                taps,
                to: &mut column,
            })
        };
        runs.begin_column(x);
        down.push_column(&column, &mut runs);
    }
    runs
}

/// The weighted mean of some columns.
struct Blend<'a> {
    columns: &'a [f32],
    taps: &'a Taps,
    to: &'a mut [f32],
}

impl Kernel for Blend<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let h = self.to.len();
        self.to.fill(0.0);
        for (from, weight) in self.taps.iter() {
            for (to, value) in self.to.iter_mut().zip(&self.columns[from * h..][..h]) {
                *to += value * weight;
            }
        }
    }
}

/// How the rows of the frame depend on the rows of the logits.
struct Rows {
    taps: Vec<Taps>,
    /// For each row of the logits, the first frame row that uses no row above it.
    first: Vec<usize>,
    /// For each row of the logits, the number of frame rows that use no row below it.
    end: Vec<usize>,
}

impl Rows {
    fn new(taps: &[Taps], h: usize) -> Self {
        let first = (0..h)
            .map(|row| taps.partition_point(|t| t.first() < row))
            .collect();
        let end = (0..h)
            .map(|row| taps.partition_point(|t| t.last() <= row))
            .collect();
        Self {
            taps: taps.to_vec(),
            first,
            end,
        }
    }

    /// Adds the frame's column to which `column` is brought.
    fn push_column(&self, column: &[f32], runs: &mut Runs) {
        let (mut y, mut start) = (0, 0);
        while start < column.len() {
            let inside = column[start] > 0.0;
            let len = column[start..]
                .iter()
                .position(|&v| (v > 0.0) != inside)
                .unwrap_or(column.len() - start);
            // Rows that mix this stretch with the one before, then those of this stretch alone.
            for taps in &self.taps[y..self.first[start].max(y)] {
                runs.push(taps.mean(column) > 0.0, 1);
            }
            y = y.max(self.first[start]);
            let end = self.end[start + len - 1].max(y);
            runs.push(inside, end - y);
            (y, start) = (end, start + len);
        }
    }
}

/// Run lengths being written, the first of zeros, with the area and the tight box of what is inside.
#[derive(Default)]
struct Runs {
    counts: Vec<u32>,
    run: u32,
    inside: bool,
    area: u64,
    bounds: Option<[u32; 4]>,
    /// Where the next pixels go.
    x: u32,
    y: u32,
}

impl Runs {
    fn begin_column(&mut self, x: u32) {
        (self.x, self.y) = (x, 0);
    }

    fn push(&mut self, inside: bool, pixels: usize) {
        if pixels > 0 && inside != self.inside {
            self.counts.push(self.run);
            (self.run, self.inside) = (0, inside);
        }
        let (pixels, top) = (pixels as u32, self.y);
        self.run += pixels;
        self.y += pixels;
        if inside && pixels > 0 {
            self.area += u64::from(pixels);
            // Columns come from left to right.
            let [x0, y0, _, y1] = self.bounds.unwrap_or([self.x, top, 0, 0]);
            self.bounds = Some([x0, y0.min(top), self.x + 1, y1.max(self.y)]);
        }
    }

    fn finish(mut self) -> PackedMask {
        self.counts.push(self.run);
        PackedMask {
            counts: self.counts,
            area: self.area,
            bounds: self.bounds,
        }
    }
}
