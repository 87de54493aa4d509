//! 3×3 convolution at stride 1 by Winograd's F(4×4, 3×3): 36 products for each 4×4 outputs and input channel, instead of 144.
//!
//! Input tiles of 6×6 and kernels are evaluated as polynomials at the points 0, ±√½, ±√2 and ∞ in both directions, multiplied there
//! over all channels, and brought back. With these points errors are about twice those of direct sums; with the usual ones (0, ±1, ±2, ∞)
//! they would be three times as large again.

#![allow(unsafe_code)]

use super::{
    amx,
    gemm::Addend,
    map::Map,
    math,
    memory::Output,
    packed::Packed,
    parallel::{self, part},
    simd::{Factors, Halves, Isa, Kernel, PairKernel, Pairs, Simd, Singles},
    tile::{MAX_ROWS, PANEL, Piece, Tile},
    tiles::{self, Tiles},
    winograd_points::{IN, KERNEL_AT, OUT, evaluate, interpolate},
};
use crate::ops::types::convolution::Products;
use std::ops::Range;

/// Points of a tile.
const POINTS: usize = IN * IN;
/// Numbers that the tiles of a block have at all points, inputs and products, about: they stay in the second-level cache while the
/// weights pass.
const BLOCK: usize = 144 * 1024;
/// Fewest channels that are worth it.
const CHANNELS: usize = 16;

/// Weights at all points.
#[derive(Debug)]
pub(super) struct Winograd {
    /// For each point `[inputs, outputs]`; the bias is that of the first.
    points: Vec<Packed>,
}

impl Winograd {
    /// Whether a layer of this many channels in and out gains by it.
    pub(super) fn is_worth(inputs: usize, outputs: usize) -> bool {
        inputs >= CHANNELS && outputs >= CHANNELS
    }

    /// From `weights` `[outputs, inputs, 3, 3]` and `bias` `[outputs]`.
    pub(super) fn new(
        weights: &[f32],
        bias: Option<&[f32]>,
        (inputs, outputs): (usize, usize),
        products: Products,
    ) -> Self {
        let point = |point: usize| {
            let (down, across) = (KERNEL_AT[point / IN], KERNEL_AT[point % IN]);
            let at = |input: usize, output: usize| {
                let kernel = &weights[(output * inputs + input) * 9..][..9];
                let row = |y: usize| -> f64 {
                    (0..3)
                        .map(|x| f64::from(kernel[3 * y + x]) * across[x])
                        .sum()
                };
                (0..3).map(|y| row(y) * down[y]).sum::<f64>() as f32
            };
            Packed::new((inputs, outputs), bias.filter(|_| point == 0), products, at)
        };
        Self {
            points: (0..POINTS).map(point).collect(),
        }
    }

    /// Whether products in bf16 follow as they do here, and outputs, which are whole vectors, may be rounded to it.
    pub(super) fn rounds(&self) -> bool {
        let weights = &self.points[0];
        weights.products == Products::Bf16
            && weights.columns.is_multiple_of(PANEL)
            && Isa::best().has_pairs()
    }

    /// Convolves `batch` maps, to an output that is kept in f32, or in bf16 where [`Winograd::rounds`].
    ///
    /// # Safety
    /// The map's memory holds `batch` inputs; `out` and `residual` have the outputs' pixels.
    pub(super) unsafe fn run(
        &self,
        map: &Map,
        batch: usize,
        out: *mut f32,
        residual: Option<Addend>,
        kept: Products,
    ) {
        let products = self.points[0].products;
        let isa = Isa::best_for(products);
        let (tile_rows, tile_panels) = tiles::largest(isa, products);
        let grid = (map.out.0.div_ceil(OUT), map.out.1.div_ceil(OUT));
        let (tiles, panels) = (batch * grid.0 * grid.1, self.points[0].panels());
        if tiles == 0 || panels == 0 {
            return;
        }
        let inputs = self.points[0].inner;
        let in_stride = match products {
            Products::F32 => inputs,
            // Whole vectors are written, or whole tiles.
            Products::Bf16 if tiles::are_amx(isa, products) => {
                inputs.next_multiple_of(2 * amx::LINES) / 2
            }
            Products::Bf16 => inputs.next_multiple_of(PANEL) / 2,
        };
        let work = tiles * POINTS * inputs * panels * PANEL;
        let tasks = parallel::tasks(work / 4);
        let row_tasks = tasks.min(tiles.div_ceil(tile_rows));
        let groups = panels.div_ceil(tile_panels);
        let column_tasks = (tasks / row_tasks).clamp(1, groups);
        let width = tile_panels.min(panels) * PANEL;
        let most = (BLOCK / (POINTS * (in_stride + width))).next_multiple_of(tile_rows);
        let layer = Layer {
            isa,
            weights: self,
            map,
            grid,
            out,
            residual,
            kept,
        };
        parallel::each(row_tasks * column_tasks, |index| {
            let tiles = part(tiles, row_tasks, index % row_tasks);
            let groups = part(groups, column_tasks, index / row_tasks);
            let panels = groups.start * tile_panels..(groups.end * tile_panels).min(panels);
            let blocks = tiles.len().div_ceil(most);
            let largest = tiles.len().div_ceil(blocks);
            let mut register_tiles = Tiles::new(isa, products);
            // Rows of a register tile beyond the last one are read.
            let mut inputs_at = Output::new((largest * POINTS + tile_rows) * in_stride);
            let mut outputs_at = Output::new(largest * POINTS * tile_panels * PANEL);
            for block in 0..blocks {
                let range = part(tiles.len(), blocks, block);
                let block = Block {
                    layer: &layer,
                    tiles: tiles.start + range.start..tiles.start + range.end,
                    inputs_at: inputs_at.ptr(),
                    in_stride,
                    outputs_at: outputs_at.ptr(),
                };
                // SAFETY: the caller vouched for the maps; the buffers are large enough for the largest block, and tasks write
                // different pixels or channels.
                unsafe { block.run(&mut register_tiles, panels.clone()) };
            }
        });
    }
}

/// A convolution that runs.
struct Layer<'a> {
    isa: Isa,
    weights: &'a Winograd,
    map: &'a Map,
    /// Rows and columns of tiles of an image.
    grid: (usize, usize),
    out: *mut f32,
    residual: Option<Addend>,
    /// What `out` holds.
    kept: Products,
}

// SAFETY: tasks write disjoint parts of `out` and only read all else.
unsafe impl Sync for Layer<'_> {}

impl Layer<'_> {
    /// Image, and first row and column of the outputs of a tile.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (rows, columns) = self.grid;
        (
            tile / (rows * columns),
            tile / columns % rows * OUT,
            tile % columns * OUT,
        )
    }
}

/// Tiles that go through together.
struct Block<'a> {
    layer: &'a Layer<'a>,
    tiles: Range<usize>,
    /// `[point, tile, input channel]`, as the weights' factors lie in memory.
    inputs_at: *mut f32,
    /// f32 from one tile to the next there.
    in_stride: usize,
    /// `[point, tile, columns of the largest register tile]`.
    outputs_at: *mut f32,
}

impl Block<'_> {
    /// Columns of a row of `outputs_at`.
    fn width(&self) -> usize {
        tiles::largest(self.layer.isa, self.layer.weights.points[0].products).1 * PANEL
    }

    /// # Safety
    /// See [`Winograd::run`]; both buffers have room for all tiles.
    unsafe fn run(&self, tiles: &mut Tiles, panels: Range<usize>) {
        let (_, wide) = tiles.largest();
        // SAFETY: the caller vouched for the memory.
        unsafe {
            match self.layer.weights.points[0].products {
                Products::F32 => self.layer.isa.run(Evaluate(self)),
                Products::Bf16 => self.layer.isa.run_pairs(Evaluate(self)),
            }
            for panel in panels.clone().step_by(wide) {
                let count = wide.min(panels.end - panel);
                for point in 0..POINTS {
                    self.product(tiles, point, panel, count);
                }
                let outputs = Interpolate { block: self, panel };
                match self.layer.kept {
                    Products::F32 => self.layer.isa.run(outputs),
                    Products::Bf16 => self.layer.isa.run_pairs(outputs),
                }
            }
        }
    }

    /// The product of all tiles with `count` panels from `panel` on, at one point.
    unsafe fn product(&self, tiles: &mut Tiles, point: usize, panel: usize, count: usize) {
        let weights = &self.layer.weights.points[point];
        let (most, _) = tiles.largest();
        let (all, width) = (self.tiles.len(), self.width());
        for index in 0..all.div_ceil(most) {
            let rows = tiles.rows(all, index);
            let first = point * all + rows.start;
            let mut from = [std::ptr::null(); MAX_ROWS];
            let mut to = [std::ptr::null_mut(); MAX_ROWS];
            let mut row = self.inputs_at.wrapping_add(first * self.in_stride);
            let mut sums = self.outputs_at.wrapping_add(first * width);
            // Of AMX the first two say how far apart rows are.
            for (from, to) in from.iter_mut().zip(&mut to).take(rows.len().max(2)) {
                (*from, *to) = (row.cast_const(), sums);
                row = row.wrapping_add(self.in_stride);
                sums = sums.wrapping_add(width);
            }
            let tile = Tile {
                a: &[Piece::whole(from, weights.lines())],
                b: weights.panel(panel),
                panel_stride: weights.panel_stride(),
                bias: None,
                out: &to,
                residual: None,
                column: 0,
                columns: count * PANEL,
                relu: false,
                affine: None,
                rounded: false,
            };
            // SAFETY: the buffers have room for all tiles at all points.
            unsafe { tiles.run(rows.len(), count, &tile) };
        }
    }
}

/// Brings the inputs of a block to the points.
struct Evaluate<'a>(&'a Block<'a>);

impl Kernel for Evaluate<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller vouched for the memory.
        unsafe { self.tiles::<S, Singles>() }
    }
}

impl PairKernel for Evaluate<'_> {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        // SAFETY: the caller vouched for the memory.
        unsafe { self.tiles::<S, Halves>() }
    }
}

impl Evaluate<'_> {
    #[inline(always)]
    unsafe fn tiles<S: Simd, F: Factors<S>>(self) {
        let Self(block) = self;
        let map = block.layer.map;
        let ((h, w), padding) = (map.size, map.options.padding);
        let (channels, tiles) = (block.layer.weights.points[0].inner, block.tiles.len());
        // From one point to the next.
        let step = tiles * block.in_stride;
        // Each number is written before it is read.
        // SAFETY: the caller vouched that the processor has the instruction set.
        let mut columns = unsafe { [[S::splat(0.0); IN]; IN] };
        for (index, tile) in block.tiles.clone().enumerate() {
            let (image, top, left) = block.layer.place(tile);
            let image = map.x.wrapping_add(image * h * w * map.pixel);
            let to = block.inputs_at.wrapping_add(index * block.in_stride);
            // Beyond the channels there are zeros.
            let end = match F::NUMBERS {
                1 => channels,
                numbers => block.in_stride * numbers,
            };
            let mut c = 0;
            while c < end {
                let n = channels.saturating_sub(c);
                // SAFETY: only pixels within the map are read, and of those the channels that are there.
                unsafe {
                    for i in 0..IN {
                        let y = (top + i).wrapping_sub(padding.top);
                        let line = image
                            .wrapping_add(y.wrapping_mul(w * map.pixel))
                            .wrapping_add(c);
                        let mut row = [S::splat(0.0); IN];
                        for (j, value) in row.iter_mut().enumerate() {
                            let x = (left + j).wrapping_sub(padding.left);
                            if y < h && x < w {
                                let at = line.wrapping_add(x * map.pixel);
                                *value = if n >= S::LANES {
                                    S::load(at)
                                } else {
                                    S::load_n(at, n)
                                };
                            }
                        }
                        let seen = evaluate::<S>(row);
                        for (column, value) in columns.iter_mut().zip(&seen) {
                            column[i] = *value;
                        }
                    }
                    for (j, column) in columns.iter().enumerate() {
                        let seen = evaluate::<S>(*column);
                        for (i, value) in seen.iter().enumerate() {
                            F::put(to.wrapping_add((i * IN + j) * step), c, *value, n);
                        }
                    }
                }
                c += S::LANES;
            }
        }
    }
}

/// Brings the products of a block back from the points, and finishes the outputs.
struct Interpolate<'a> {
    block: &'a Block<'a>,
    /// First panel of the products.
    panel: usize,
}

impl Kernel for Interpolate<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller vouched for the memory.
        unsafe { self.tiles::<S, Singles>() }
    }
}

impl PairKernel for Interpolate<'_> {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        // SAFETY: the caller vouched for the memory.
        unsafe { self.tiles::<S, Halves>() }
    }
}

impl Interpolate<'_> {
    #[inline(always)]
    unsafe fn tiles<S: Simd, F: Factors<S>>(&self) {
        let block = self.block;
        let (tiles, width) = (block.tiles.len(), block.width());
        let columns = block.layer.weights.points[0].columns;
        for (index, tile) in block.tiles.clone().enumerate() {
            let mut c = 0;
            while c < width && self.panel * PANEL + c < columns {
                // SAFETY: the products are there for all columns of the panels.
                unsafe {
                    let mut down = [[S::splat(0.0); OUT]; IN];
                    for (j, down) in down.iter_mut().enumerate() {
                        let mut column = [S::splat(0.0); IN];
                        for (i, value) in column.iter_mut().enumerate() {
                            let row = (i * IN + j) * tiles + index;
                            *value = S::load(block.outputs_at.wrapping_add(row * width + c));
                        }
                        *down = interpolate::<S>(column);
                    }
                    let mut outputs = [[S::splat(0.0); OUT]; OUT];
                    for (y, outputs) in outputs.iter_mut().enumerate() {
                        let mut row = [S::splat(0.0); IN];
                        for (j, value) in row.iter_mut().enumerate() {
                            *value = down[j][y];
                        }
                        *outputs = interpolate::<S>(row);
                    }
                    self.finish::<S, F>(tile, self.panel * PANEL + c, &outputs);
                }
                c += S::LANES;
            }
        }
    }

    /// Bias, residual, activation and affine of a tile's outputs for a vector of channels from `channel` on.
    #[inline(always)]
    unsafe fn finish<S: Simd, F: Factors<S>>(
        &self,
        tile: usize,
        channel: usize,
        outputs: &[[S::V; OUT]; OUT],
    ) {
        let layer = self.block.layer;
        let ((oh, ow), o) = (layer.map.out, layer.map.options);
        let weights = &layer.weights.points[0];
        let n = (weights.columns - channel).min(S::LANES);
        let (image, top, left) = layer.place(tile);
        // SAFETY: pixels within the map, and of those the channels that are there; a bias has whole panels.
        unsafe {
            let bias = match weights.bias(channel / PANEL) {
                Some(bias) => S::load(bias.wrapping_add(channel % PANEL)),
                None => S::splat(0.0),
            };
            for (i, row) in outputs.iter().enumerate().take(oh - top) {
                for (j, &value) in row.iter().enumerate().take(ow - left) {
                    let pixel = (image * oh + top + i) * ow + left + j;
                    let add = match layer.residual {
                        Some(residual) => {
                            let at = pixel * residual.stride + channel;
                            (S::load_n(residual.start.wrapping_add(at), n), residual.last)
                        }
                        None => (S::splat(0.0), true),
                    };
                    let mut v = S::add(value, bias);
                    if !add.1 {
                        v = S::add(v, add.0);
                    }
                    v = math::activate::<S>(v, o.activation);
                    if let Some((scale, shift)) = o.affine {
                        v = S::fma(v, S::splat(scale), S::splat(shift));
                    }
                    if add.1 {
                        v = S::add(v, add.0);
                    }
                    let at = pixel * weights.columns + channel;
                    F::put(layer.out, at, v, n);
                }
            }
        }
    }
}
