//! Matrix products by packed weights, cut into tiles and spread over the threads of the current pool.

#![allow(unsafe_code)]

use super::{
    math::Activate,
    packed::Packed,
    parallel::{self, part},
    pointwise::Sum,
    rounded::{RoundVectors, Rounded},
    simd::Isa,
    tile::{MAX_ROWS, PANEL, Piece, Residual, Tile},
    tiles::{self, Tiles},
};
use crate::ops::types::{activation::Activation, convolution::Products};
use std::ops::Range;

/// The left factor: rows in pieces.
pub(super) trait Rows: Sync {
    /// Pieces a row; none is empty, unless all are.
    fn pieces(&self) -> usize;
    /// Writes the pieces of `count` rows from `first` on; those that lie nowhere in this form are put together in `scratch`. What they hold
    /// in f32 is rounded where the weights are pairs of bf16.
    fn read(&self, first: usize, count: usize, pieces: &mut [Piece], scratch: &mut Vec<f32>);
}

/// Rows of `inner` numbers each, `stride` apart.
pub(super) struct Strided {
    pub(super) start: *const f32,
    pub(super) stride: usize,
    pub(super) inner: usize,
}

// SAFETY: only read, as long as the memory is borrowed.
unsafe impl Sync for Strided {}

impl Rows for Strided {
    fn pieces(&self) -> usize {
        1
    }

    fn read(&self, first: usize, count: usize, pieces: &mut [Piece], _: &mut Vec<f32>) {
        for piece in pieces {
            piece.inner = self.inner;
            for (i, row) in piece.rows.iter_mut().enumerate().take(count) {
                *row = self.start.wrapping_add((first + i) * self.stride);
            }
        }
    }
}

/// What is added to a product: rows as those of the output lie, one after another.
#[derive(Clone, Copy)]
pub(super) struct Addend {
    pub(super) start: *const f32,
    pub(super) stride: usize,
    /// After activation and affine, not before.
    pub(super) last: bool,
    /// Each row stands for four of an output of this height and width.
    pub(super) doubled: Option<(usize, usize)>,
}

impl Addend {
    /// Where the addend of a row of the output lies.
    fn row(&self, row: usize) -> *const f32 {
        let row = self.doubled.map_or(row, |size| halved(row, size));
        self.start.wrapping_add(row * self.stride)
    }
}

/// The pixel, of maps half as high and wide, that stands for pixel `at` of maps of `h`×`w`.
pub(super) fn halved(at: usize, (h, w): (usize, usize)) -> usize {
    let (line, x) = (at / w, at % w);
    (line / h * (h / 2) + line % h / 2) * (w / 2) + x / 2
}

/// A product to be computed: `out[row][column] = affine(activation(rows·weights + bias + residual))`, or the residual last.
pub(super) struct Gemm<'a> {
    pub(super) isa: Isa,
    pub(super) weights: &'a Packed,
    pub(super) rows: usize,
    /// First row of the output; rows are `out_stride` apart.
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    pub(super) residual: Option<Addend>,
    /// Whether the weights' bias is added.
    pub(super) bias: bool,
    pub(super) activation: Activation,
    pub(super) affine: Option<(f32, f32)>,
}

// SAFETY: tasks write disjoint parts of `out` and only read all else.
unsafe impl Sync for Gemm<'_> {}

/// Packed weights that stay in a core's second-level cache while rows pass, in floats.
const CACHED_WEIGHTS: usize = 96 * 1024;

impl<'a> Gemm<'a> {
    /// The product of `rows` pixels with nothing but the bias, and the residual where there is one, which lies as the output does: one
    /// pixel after the other.
    pub(super) fn of_pixels(
        isa: Isa,
        weights: &'a Packed,
        rows: usize,
        out: *mut f32,
        residual: Option<*const f32>,
    ) -> Self {
        let stride = weights.columns;
        Self {
            isa,
            weights,
            rows,
            out,
            out_stride: stride,
            residual: residual.map(|start| Addend {
                start,
                stride,
                last: false,
                doubled: None,
            }),
            bias: true,
            activation: Activation::Identity,
            affine: None,
        }
    }

    /// Computes the product.
    ///
    /// # Safety
    /// `rows` gives pointers to memory that can be read; `out` and `residual` are valid for all rows.
    pub(super) unsafe fn run<R: Rows>(&self, rows: &R) {
        // SAFETY: the caller vouched for the pointers.
        unsafe { self.run_to(rows, Products::F32) }
    }

    /// [`Gemm::run`] for an output of f32, or of bf16: then `out_stride` counts pairs, columns are a multiple of a panel's, and the products
    /// are in bf16.
    ///
    /// # Safety
    /// See [`Gemm::run`].
    pub(super) unsafe fn run_to<R: Rows>(&self, rows: &R, kept: Products) {
        let (tile_rows, tile_panels) = tiles::largest(self.isa, self.weights.products);
        let (panels, tiles) = (self.weights.panels(), self.rows.div_ceil(tile_rows));
        if panels == 0 || tiles == 0 {
            return;
        }
        let work = self.rows * self.weights.inner.max(1) * panels * PANEL;
        // A product does its steps several times as fast as other operations.
        let tasks = parallel::tasks(work / 4);
        let row_tasks = tasks.min(tiles);
        let groups = panels.div_ceil(tile_panels);
        let column_tasks = (tasks / row_tasks).clamp(1, groups);
        let task = |index: usize| {
            let tiles = part(tiles, row_tasks, index % row_tasks);
            let groups = part(groups, column_tasks, index / row_tasks);
            let rows_of = tiles.start * tile_rows..(tiles.end * tile_rows).min(self.rows);
            let panels_of = groups.start * tile_panels..(groups.end * tile_panels).min(panels);
            // SAFETY: the caller vouched for the pointers; tasks share no output.
            unsafe { self.block(rows, rows_of, panels_of, kept) }
        };
        parallel::each(row_tasks * column_tasks, task);
    }

    /// Computes the product on this thread.
    ///
    /// # Safety
    /// See [`Gemm::run`].
    pub(super) unsafe fn run_here<R: Rows>(&self, rows: &R) {
        // SAFETY: the caller vouched for the pointers.
        unsafe { self.rows_here(rows, 0..self.rows) }
    }

    /// Computes some rows of the product on this thread.
    ///
    /// # Safety
    /// See [`Gemm::run`], for these rows.
    pub(super) unsafe fn rows_here<R: Rows>(&self, source: &R, rows: Range<usize>) {
        // SAFETY: the caller vouched for the pointers.
        unsafe { self.block(source, rows, 0..self.weights.panels(), Products::F32) }
    }

    /// The rows and panels of one task.
    unsafe fn block<R: Rows>(
        &self,
        source: &R,
        rows: Range<usize>,
        panels: Range<usize>,
        kept: Products,
    ) {
        let products = self.weights.products;
        let mut tiles = Tiles::new(self.isa, products);
        let (tile_rows, tile_panels) = tiles.largest();
        let cached = (CACHED_WEIGHTS / self.weights.panel_stride().max(1)).max(tile_panels)
            / tile_panels
            * tile_panels;
        let count = rows.len().div_ceil(tile_rows);
        let (mut scratch, mut rounded) = (Vec::new(), Rounded::new(self.isa));
        let mut unfinished = Vec::new();
        if kept == Products::Bf16 && !self.is_light() {
            unfinished = vec![0.0; MAX_ROWS * cached.min(panels.len()) * PANEL];
        }
        let pieces = if self.weights.inner == 0 {
            0
        } else {
            source.pieces()
        };
        let even = tiles::are_amx(self.isa, products);
        let mut pieces = vec![Piece::whole([std::ptr::null(); MAX_ROWS], 0); pieces];
        for first_panel in panels.clone().step_by(cached) {
            let panels = first_panel..panels.end.min(first_panel + cached);
            for tile in 0..count {
                let part = tiles.rows(rows.len(), tile);
                let first = rows.start + part.start;
                source.read(first, part.len(), &mut pieces, &mut scratch);
                let as_they_lie = !even && pieces.iter().all(|piece| piece.held == products);
                // SAFETY: see `run`.
                unsafe {
                    let pieces = if as_they_lie {
                        &pieces
                    } else {
                        rounded.round(&pieces, part.len())
                    };
                    let rows = first..first + part.len();
                    if unfinished.is_empty() {
                        self.row_tile(&mut tiles, pieces, rows, panels.clone(), kept);
                    } else {
                        self.rounded_tile(
                            &mut tiles,
                            pieces,
                            rows,
                            panels.clone(),
                            &mut unfinished,
                        );
                    }
                }
            }
        }
    }

    /// Whether activation and affine are applied where sums are stored.
    fn is_light(&self) -> bool {
        matches!(self.activation, Activation::Identity | Activation::Relu)
    }

    /// One tile of rows by a range of panels, finished in f32 in `memory` and then rounded.
    unsafe fn rounded_tile(
        &self,
        tiles: &mut Tiles,
        pieces: &[Piece],
        rows: Range<usize>,
        panels: Range<usize>,
        memory: &mut [f32],
    ) {
        let (start, len) = (panels.start * PANEL, panels.len() * PANEL);
        let memory = memory.as_mut_ptr();
        let here = Gemm {
            // Rows and columns count from the first ones.
            out: memory.wrapping_sub(rows.start * len + start),
            out_stride: len,
            ..*self
        };
        // SAFETY: see `run`; the memory has room for the largest tile of so many panels.
        unsafe {
            here.row_tile(tiles, pieces, rows.clone(), panels, Products::F32);
            for row in rows.clone() {
                let to = self.out.wrapping_add(row * self.out_stride).cast::<u16>();
                self.isa.run_pairs(RoundVectors {
                    from: memory.wrapping_add((row - rows.start) * len),
                    to: to.wrapping_add(start),
                    len,
                });
            }
        }
    }

    /// One tile of rows by a range of panels.
    unsafe fn row_tile(
        &self,
        tiles: &mut Tiles,
        pieces: &[Piece],
        rows: Range<usize>,
        panels: Range<usize>,
        kept: Products,
    ) {
        let (first, count) = (rows.start, rows.len());
        let (_, tile_panels) = tiles.largest();
        let mut out = [std::ptr::null_mut(); MAX_ROWS];
        let mut residual = [std::ptr::null(); MAX_ROWS];
        for i in 0..count {
            out[i] = self.out.wrapping_add((first + i) * self.out_stride);
            residual[i] = self.residual.map_or(std::ptr::null(), |r| r.row(first + i));
        }
        let light = self.is_light();
        let last = self.residual.is_some_and(|residual| residual.last);
        let columns =
            |from: usize, to: usize| (to * PANEL).min(self.weights.columns) - from * PANEL;
        let end = panels.end;
        for panel in panels.clone().step_by(tile_panels) {
            let wide = tile_panels.min(end - panel);
            let tile = Tile {
                a: pieces,
                b: self.weights.panel(panel),
                panel_stride: self.weights.panel_stride(),
                bias: self.weights.bias(panel).filter(|_| self.bias),
                out: &out,
                residual: (self.residual.is_some() && (light || !last)).then_some(Residual {
                    rows: &residual,
                    last,
                }),
                column: panel * PANEL,
                columns: columns(panel, panel + wide),
                relu: self.activation == Activation::Relu,
                affine: self.affine.filter(|_| light),
                rounded: kept == Products::Bf16,
            };
            // SAFETY: see `run`.
            unsafe { tiles.run(count, wide, &tile) };
        }
        if light {
            return;
        }
        let (start, len) = (panels.start * PANEL, columns(panels.start, end));
        for (row, residual) in out.iter().zip(residual).take(count) {
            let (row, residual) = (row.wrapping_add(start), residual.wrapping_add(start));
            let activate = Activate {
                from: row,
                to: row,
                len,
                activation: self.activation,
                affine: self.affine,
                coarse: self.weights.products == Products::Bf16,
            };
            let add = Sum {
                a: row,
                b: residual,
                to: row,
                len,
            };
            // SAFETY: these are the outputs just written, and residuals of the same size.
            unsafe {
                self.isa.run(activate);
                if last {
                    self.isa.run(add);
                }
            }
        }
    }
}
