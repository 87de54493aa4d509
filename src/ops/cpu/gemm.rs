//! Matrix products by packed weights, cut into tiles and spread over the threads of the current pool.

#![allow(unsafe_code)]

use super::{
    math::Activate,
    packed::Packed,
    parallel::{self, part},
    simd::Isa,
    tile::{self, MAX_ROWS, PANEL, RowTable, Tile},
};
use crate::ops::types::activation::Activation;
use std::ops::Range;

/// The left factor: rows that lie in `positions` pieces of `inner` numbers each.
pub(super) trait Rows: Sync {
    /// Pieces a row.
    fn positions(&self) -> usize;
    /// Numbers a piece.
    fn inner(&self) -> usize;
    /// Writes the pointers of `count` rows from `first` on, one table a position; pieces that lie nowhere in this form
    /// are put together in `scratch`.
    fn tables(&self, first: usize, count: usize, tables: &mut [RowTable], scratch: &mut Vec<f32>);
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
    fn positions(&self) -> usize {
        1
    }

    fn inner(&self) -> usize {
        self.inner
    }

    fn tables(&self, first: usize, count: usize, tables: &mut [RowTable], _: &mut Vec<f32>) {
        for (i, row) in tables[0].iter_mut().enumerate().take(count) {
            *row = self.start.wrapping_add((first + i) * self.stride);
        }
    }
}

/// A product to be computed: `out[row][column] = affine(activation(rows·weights + bias + residual))`.
pub(super) struct Gemm<'a> {
    pub(super) isa: Isa,
    pub(super) weights: &'a Packed,
    pub(super) rows: usize,
    /// First row of the output; rows are `out_stride` apart.
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    /// As `out`.
    pub(super) residual: Option<*const f32>,
    pub(super) activation: Activation,
    pub(super) affine: Option<(f32, f32)>,
}

// SAFETY: tasks write disjoint parts of `out` and only read all else.
unsafe impl Sync for Gemm<'_> {}

/// Packed weights that stay in a core's second-level cache while rows pass, in floats.
const CACHED_WEIGHTS: usize = 96 * 1024;

impl Gemm<'_> {
    /// Computes the product.
    ///
    /// # Safety
    /// `rows` gives pointers to memory that can be read; `out` and `residual` are valid for all rows.
    pub(super) unsafe fn run<R: Rows>(&self, rows: &R) {
        let (tile_rows, tile_panels) = tile::largest(self.isa);
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
            unsafe { self.block(rows, rows_of, panels_of) }
        };
        parallel::each(row_tasks * column_tasks, task);
    }

    /// Computes the product on this thread.
    ///
    /// # Safety
    /// See [`Gemm::run`].
    pub(super) unsafe fn run_here<R: Rows>(&self, rows: &R) {
        // SAFETY: the caller vouched for the pointers.
        unsafe { self.block(rows, 0..self.rows, 0..self.weights.panels()) }
    }

    /// The rows and panels of one task.
    unsafe fn block<R: Rows>(&self, source: &R, rows: Range<usize>, panels: Range<usize>) {
        let (tile_rows, tile_panels) = tile::largest(self.isa);
        let cached = (CACHED_WEIGHTS / self.weights.panel_stride().max(1)).max(tile_panels)
            / tile_panels
            * tile_panels;
        let count = rows.len().div_ceil(tile_rows);
        let mut scratch = Vec::new();
        let mut tables = vec![[std::ptr::null(); MAX_ROWS]; source.positions()];
        for first_panel in panels.clone().step_by(cached) {
            let panels = first_panel..panels.end.min(first_panel + cached);
            for tile in 0..count {
                let part = part(rows.len(), count, tile);
                source.tables(
                    rows.start + part.start,
                    part.len(),
                    &mut tables,
                    &mut scratch,
                );
                // SAFETY: see `run`.
                unsafe {
                    self.row_tile(
                        &tables,
                        source.inner(),
                        rows.start + part.start,
                        part.len(),
                        panels.clone(),
                    )
                };
            }
        }
    }

    /// One tile of rows by a range of panels.
    unsafe fn row_tile(
        &self,
        tables: &[RowTable],
        inner: usize,
        first: usize,
        count: usize,
        panels: Range<usize>,
    ) {
        let (_, tile_panels) = tile::largest(self.isa);
        let mut out = [std::ptr::null_mut(); MAX_ROWS];
        let mut residual = [std::ptr::null(); MAX_ROWS];
        for i in 0..count {
            out[i] = self.out.wrapping_add((first + i) * self.out_stride);
            residual[i] = self.residual.map_or(std::ptr::null(), |r| {
                r.wrapping_add((first + i) * self.out_stride)
            });
        }
        let light = matches!(self.activation, Activation::Identity | Activation::Relu);
        let columns =
            |from: usize, to: usize| (to * PANEL).min(self.weights.columns) - from * PANEL;
        let end = panels.end;
        for panel in panels.clone().step_by(tile_panels) {
            let wide = tile_panels.min(end - panel);
            let tile = Tile {
                a: tables,
                inner,
                b: self.weights.panel(panel),
                panel_stride: self.weights.panel_stride(),
                bias: self.weights.bias(panel),
                out: &out,
                residual: self.residual.is_some().then_some(&residual),
                column: panel * PANEL,
                columns: columns(panel, panel + wide),
                relu: self.activation == Activation::Relu,
                affine: self.affine.filter(|_| light),
            };
            // SAFETY: see `run`.
            unsafe { tile::run(self.isa, count, wide, &tile) };
        }
        if !light {
            let start = panels.start * PANEL;
            for &row in out.iter().take(count) {
                let row = row.wrapping_add(start);
                let len = columns(panels.start, end);
                // SAFETY: these are the outputs just written.
                unsafe {
                    self.isa.run(Activate {
                        from: row,
                        to: row,
                        len,
                        activation: self.activation,
                        affine: self.affine,
                    })
                };
            }
        }
    }
}
