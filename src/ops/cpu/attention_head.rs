//! Attention, one head of one batch entry (or window) at a time: its keys and values are packed as panels, then tiles
//! of queries pass through scores, softmax and weighted sum without leaving the core.

#![allow(unsafe_code)]

use super::{
    amx,
    memory::Shared,
    parallel::{self, part},
    rounded::Rounded,
    simd::{Factors, Halves, Isa, Kernel, PairKernel, Pairs, Simd, Singles, prefetch},
    softmax::{Exponentials, ScaleRows},
    tile::{MAX_ROWS, PANEL, Piece, RowTable, Tile},
    tiles::{self, Tiles},
};
use crate::ops::types::convolution::Products;

/// Where tokens lie. `set` counts batch entries or windows.
pub(super) trait Tokens: Sync {
    /// Number of queries of a set.
    fn queries(&self, set: usize) -> usize;
    /// All heads of query `i` and its place in the output.
    fn query(&self, set: usize, i: usize) -> (*const f32, *mut f32);
    /// All heads of key and value `j`.
    fn key_value(&self, set: usize, j: usize) -> (*const f32, *const f32);
    /// Number in the bias of query `i`.
    fn bias_row(&self, set: usize, i: usize) -> usize;
}

/// What all sets have in common.
pub(super) struct Shape {
    pub(super) sets: usize,
    pub(super) heads: usize,
    pub(super) keys: usize,
    /// Channels of a head: of queries and keys, and of values.
    pub(super) d: (usize, usize),
    pub(super) scale: f32,
    /// `[heads, queries, keys]`, and its queries.
    pub(super) bias: Option<(Shared<*const f32>, usize)>,
    /// What both products multiply in.
    pub(super) products: Products,
}

/// Attends in all sets and heads, of at most `queries` queries each.
///
/// # Safety
/// `tokens` gives valid pointers for all tokens of `shape`.
pub(super) unsafe fn run<T: Tokens>(tokens: &T, shape: &Shape, queries: usize) {
    let isa = Isa::best_for(shape.products);
    let (tile_rows, _) = tiles::largest(isa, shape.products);
    let items = shape.sets * shape.heads;
    if items == 0 || queries == 0 {
        return;
    }
    let work = items * queries * shape.keys * (shape.d.0 + shape.d.1);
    let tasks = parallel::tasks(work / 2);
    // Heads are whole where there are enough of them: each part of a head packs its keys again.
    let parts = (tasks / items).clamp(1, queries.div_ceil(4 * tile_rows));
    let tasks = tasks.min(items * parts);
    let task = |index: usize| {
        let mut head = Head::new(isa, shape);
        for item in part(items * parts, tasks, index) {
            let (set, number) = (item / parts / shape.heads, item / parts % shape.heads);
            let range = part(tokens.queries(set), parts, item % parts);
            // SAFETY: the caller vouched for the tokens; no two items have a query and head in common.
            unsafe { head.attend(tokens, set, number, range) };
        }
    };
    parallel::each(tasks, task);
}

/// Memory to work on one head.
pub(super) struct Head<'a> {
    isa: Isa,
    shape: &'a Shape,
    tiles: Tiles,
    /// Panels `[keys / 16][d][16]`, or of pairs `[keys / 16][d / 2][16]`.
    keys: Vec<f32>,
    /// Panels `[dv / 16][keys][16]`, or of pairs `[dv / 16][keys / 2][16]`.
    values: Vec<f32>,
    /// Lines of a panel of keys and of one of values.
    lines: (usize, usize),
    /// A few keys as they become pairs.
    rounded_keys: Vec<f32>,
    rounded_queries: Rounded,
    rounded_scores: Rounded,
    /// Scores of a tile of queries, rows of whole vectors.
    scores: Vec<f32>,
}

impl<'a> Head<'a> {
    pub(super) fn new(isa: Isa, shape: &'a Shape) -> Self {
        let columns = shape.keys.next_multiple_of(PANEL);
        let (lines, rounded_key) = match shape.products {
            Products::F32 => ((shape.d.0, shape.keys), 0),
            Products::Bf16 => (
                (shape.d.0.div_ceil(2), shape.keys.div_ceil(2)),
                shape.d.0.next_multiple_of(PANEL) / 2,
            ),
        };
        Self {
            isa,
            shape,
            tiles: Tiles::new(isa, shape.products),
            // The last tile of a panel may reach beyond it.
            keys: vec![0.0; (columns / PANEL * lines.0 + amx::LINES) * PANEL],
            values: vec![0.0; (lines.1 * shape.d.1.div_ceil(PANEL) + amx::LINES) * PANEL],
            lines,
            rounded_keys: vec![0.0; rounded_key * KEYS],
            rounded_queries: Rounded::new(isa),
            rounded_scores: Rounded::new(isa),
            scores: vec![0.0; columns * MAX_ROWS],
        }
    }

    /// Attends in one set and head, for some of its queries, on this thread.
    ///
    /// # Safety
    /// See [`run`].
    pub(super) unsafe fn attend<T: Tokens>(
        &mut self,
        tokens: &T,
        set: usize,
        head: usize,
        queries: std::ops::Range<usize>,
    ) {
        let (d, dv) = self.shape.d;
        // SAFETY: the caller vouched for the tokens.
        unsafe {
            let (isa, products) = (self.isa, self.shape.products);
            let pack = PackKeysValues {
                tokens,
                set,
                head,
                to: self,
            };
            match products {
                Products::F32 => isa.run(pack),
                Products::Bf16 => isa.run_pairs(pack),
            }
            let (most, _) = self.tiles.largest();
            for index in 0..queries.len().div_ceil(most) {
                let range = self.tiles.rows(queries.len(), index);
                let (mut from, mut to) = (
                    [std::ptr::null(); MAX_ROWS],
                    [std::ptr::null_mut(); MAX_ROWS],
                );
                for (i, query) in range.clone().enumerate() {
                    let (q, out) = tokens.query(set, queries.start + query);
                    (from[i], to[i]) = (q.wrapping_add(head * d), out.wrapping_add(head * dv));
                    fetch_next(from[i], d);
                }
                self.query_tile(
                    tokens,
                    set,
                    head,
                    queries.start + range.start,
                    &from,
                    &to,
                    range.len(),
                );
            }
        }
    }

    /// Scores, softmax and weighted sum of one tile of queries.
    #[allow(clippy::too_many_arguments)]
    unsafe fn query_tile<T: Tokens>(
        &mut self,
        tokens: &T,
        set: usize,
        head: usize,
        first: usize,
        from: &RowTable,
        to: &[*mut f32; MAX_ROWS],
        count: usize,
    ) {
        let Shape {
            keys,
            d: (d, dv),
            scale,
            bias,
            products,
            ..
        } = *self.shape;
        let stride = keys.next_multiple_of(PANEL);
        let start = self.scores.as_mut_ptr();
        let rows: [*mut f32; MAX_ROWS] = std::array::from_fn(|i| start.wrapping_add(i * stride));
        let mut sums = [0.0; MAX_ROWS];
        // SAFETY: see `run`; scores have `MAX_ROWS` rows of `stride`.
        unsafe {
            let queries = [Piece::whole(*from, d)];
            let queries = match products {
                Products::F32 => &queries,
                Products::Bf16 => self.rounded_queries.round(&queries, count),
            };
            product(&mut self.tiles, queries, &self.keys, keys, &rows, count);
            match bias {
                None => self.isa.run(Exponentials {
                    rows: start,
                    stride,
                    len: keys,
                    scale,
                    bias: None,
                    sums: &mut sums[..count],
                }),
                Some((bias, queries)) => {
                    let mut i = 0;
                    while i < count {
                        // Queries whose rows of the bias lie one after another.
                        let row = tokens.bias_row(set, first + i);
                        let run = (i..count)
                            .take_while(|&j| tokens.bias_row(set, first + j) == row + j - i)
                            .count();
                        let bias = Some(bias.get().wrapping_add((head * queries + row) * keys));
                        self.isa.run(Exponentials {
                            rows: rows[i],
                            stride,
                            len: keys,
                            scale,
                            bias,
                            sums: &mut sums[i..i + run],
                        });
                        i += run;
                    }
                }
            }
            let table: RowTable = rows.map(<*mut f32>::cast_const);
            let scores = [Piece::whole(table, keys)];
            let scores = match products {
                Products::F32 => &scores,
                Products::Bf16 => self.rounded_scores.round(&scores, count),
            };
            product(&mut self.tiles, scores, &self.values, dv, to, count);
            self.isa.run(ScaleRows {
                rows: &to[..count],
                len: dv,
                factors: &sums,
            });
        }
    }
}

/// `out[i] = Σ a[i]·b` for `count` rows, a piece each, and the panels of `b`.
///
/// # Safety
/// See [`run`].
unsafe fn product(
    tiles: &mut Tiles,
    a: &[Piece],
    b: &[f32],
    columns: usize,
    out: &[*mut f32; MAX_ROWS],
    count: usize,
) {
    let (_, wide) = tiles.largest();
    let inner = a.iter().map(|piece| piece.inner).sum::<usize>();
    let panels = columns.div_ceil(PANEL);
    for panel in (0..panels).step_by(wide) {
        let column = panel * PANEL;
        let tile = Tile {
            a,
            b: b[column * inner..].as_ptr(),
            panel_stride: inner * PANEL,
            bias: None,
            out,
            residual: None,
            column,
            columns: columns - column,
            relu: false,
            affine: None,
            rounded: false,
        };
        // SAFETY: the caller vouched for the pointers.
        unsafe { tiles.run(count, wide.min(panels - panel), &tile) };
    }
}

/// Fetches the numbers of the next head, which lie behind those of this one: tokens are too far apart for the processor
/// to see what comes next.
#[inline(always)]
fn fetch_next(numbers: *const f32, d: usize) {
    const LINE: usize = 16;
    for at in (0..d).step_by(LINE) {
        prefetch(numbers.wrapping_add(d + at));
    }
}

/// Lays out keys and values of one head.
struct PackKeysValues<'a, 'b, T> {
    tokens: &'a T,
    set: usize,
    head: usize,
    to: &'a mut Head<'b>,
}

impl<T: Tokens> Kernel for PackKeysValues<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller vouched for the tokens.
        unsafe { self.pack::<S, Singles>() }
    }
}

impl<T: Tokens> PairKernel for PackKeysValues<'_, '_, T> {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        // SAFETY: the caller vouched for the tokens.
        unsafe { self.pack::<S, Halves>() }
    }
}

/// Keys that are laid out at a time.
const KEYS: usize = 8;

impl<T: Tokens> PackKeysValues<'_, '_, T> {
    #[inline(always)]
    unsafe fn pack<S: Simd, F: Factors<S>>(mut self) {
        let Shape {
            keys, d: (d, dv), ..
        } = *self.to.shape;
        for first in (0..keys).step_by(KEYS) {
            let (mut from, mut values) = ([std::ptr::null(); KEYS], [std::ptr::null(); KEYS]);
            for i in 0..KEYS {
                // Beyond the last key its own numbers again: those columns are never read.
                let (k, v) = self.tokens.key_value(self.set, (first + i).min(keys - 1));
                from[i] = k.wrapping_add(self.head * d);
                values[i] = v.wrapping_add(self.head * dv);
                fetch_next(from[i], d);
                fetch_next(values[i], dv);
            }
            // SAFETY: the caller vouched for the tokens.
            unsafe {
                self.pack_values::<S, F>(first, &values[..KEYS.min(keys - first)]);
                self.pack_keys::<S, F>(first, from);
            }
        }
    }

    /// Rows of values into lines of the panels, from that of key `first` on.
    #[inline(always)]
    unsafe fn pack_values<S: Simd, F: Factors<S>>(&mut self, first: usize, rows: &[*const f32]) {
        let dv = self.to.shape.d.1;
        let (lines, to) = (self.to.lines.1, self.to.values.as_mut_ptr());
        for (i, pair) in rows.chunks(F::NUMBERS).enumerate() {
            let line = first / F::NUMBERS + i;
            let mut c = 0;
            while c < dv {
                let to = to.wrapping_add((c / PANEL * lines + line) * PANEL + c % PANEL);
                // SAFETY: the caller vouched for the tokens; panels are filled up to `PANEL` columns.
                unsafe {
                    let a = S::load_n(pair[0].wrapping_add(c), dv - c);
                    let b = match pair.get(1) {
                        Some(row) => S::load_n(row.wrapping_add(c), dv - c),
                        None => S::splat(0.0),
                    };
                    S::store(to, F::line(a, b));
                }
                c += S::LANES;
            }
        }
    }

    /// Keys as columns of the panels, from `first` on.
    #[inline(always)]
    unsafe fn pack_keys<S: Simd, F: Factors<S>>(
        &mut self,
        first: usize,
        mut rows: [*const f32; KEYS],
    ) {
        let d = self.to.shape.d.0;
        let lines = self.to.lines.0;
        if F::NUMBERS == 2 {
            let scratch = self.to.rounded_keys.as_mut_ptr();
            let stride = self.to.rounded_keys.len() / KEYS;
            for (i, row) in rows.iter_mut().enumerate() {
                let to = scratch.wrapping_add(i * stride);
                let mut c = 0;
                while c < d {
                    // SAFETY: rows have d numbers, and those of the scratch room for whole vectors.
                    unsafe { F::put(to, c, S::load_n(row.wrapping_add(c), d - c), S::LANES) };
                    c += S::LANES;
                }
                *row = to;
            }
        }
        let keys = self.to.keys.as_mut_ptr();
        let panel = keys.wrapping_add(first / PANEL * PANEL * lines + first % PANEL);
        let mut c = 0;
        while c + 8 <= lines {
            // SAFETY: rows have as many numbers as the panel has lines of 16.
            unsafe {
                S::transpose8(
                    rows.map(|row| row.wrapping_add(c)),
                    panel.wrapping_add(c * PANEL),
                    PANEL,
                )
            };
            c += 8;
        }
        while c < lines {
            for (i, row) in rows.iter().enumerate() {
                // SAFETY: as above.
                unsafe {
                    panel
                        .wrapping_add(c * PANEL + i)
                        .write(row.wrapping_add(c).read())
                };
            }
            c += 1;
        }
    }
}
