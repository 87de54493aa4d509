//! The innermost loop: a tile of up to 12 output rows by one or two panels of 16 columns, kept in registers. [`super::tiles`] runs it, or AMX.

#![allow(unsafe_code)]

use super::simd::{Factors, Halves, Kernel, PairKernel, Pairs, Simd, Singles};
use crate::ops::types::convolution::Products;

/// Most rows of a tile, those of AMX.
pub(super) const MAX_ROWS: usize = 32;

/// Columns of a panel of packed weights.
pub(super) const PANEL: usize = 16;

/// A pointer for each row.
pub(super) type RowTable = [*const f32; MAX_ROWS];

/// A piece of the rows, and the weights that it meets. Where it holds bf16, a number here is a pair of them.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) rows: RowTable,
    /// First row of the weights.
    pub(super) first: usize,
    /// Numbers of each row, at least 1.
    pub(super) inner: usize,
    /// What the rows hold, which a tile's products multiply: numbers are rounded before where those are in bf16.
    pub(super) held: Products,
}

impl Piece {
    /// `rows` of `inner` numbers each, for the weights from the first on.
    pub(super) fn whole(rows: RowTable, inner: usize) -> Self {
        Self {
            rows,
            first: 0,
            inner,
            held: Products::F32,
        }
    }
}

/// What is added to the sums.
#[derive(Clone, Copy)]
pub(super) struct Residual<'a> {
    pub(super) rows: &'a RowTable,
    /// After relu and affine, not before.
    pub(super) last: bool,
}

/// A tile: `out[i][j] = relu(Σ a[i]·b[j] + bias[j] + residual[i][j])·scale + shift`, relu and what follows where asked for, the residual
/// before or behind them.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) a: &'a [Piece],
    /// Panels of `[rows of weights][PANEL]`, `panel_stride` floats apart.
    pub(super) b: *const f32,
    pub(super) panel_stride: usize,
    /// `PANEL` numbers for each panel, or none.
    pub(super) bias: Option<*const f32>,
    /// Where rows start, at the tile's first column.
    pub(super) out: &'a [*mut f32; MAX_ROWS],
    pub(super) residual: Option<Residual<'a>>,
    /// From the rows' starts in `out` and `residual` to the tile's first column.
    pub(super) column: usize,
    /// Columns of the tile that are there: at most `PANEL` times its panels.
    pub(super) columns: usize,
    pub(super) relu: bool,
    pub(super) affine: Option<(f32, f32)>,
    /// Whether rows of `out` are of bf16, which only products in bf16 write. Columns are whole vectors then.
    pub(super) rounded: bool,
}

/// A tile of at most 12 rows by one or two panels, by vectors.
pub(super) struct Sized<'a, const ROWS: usize, const PANELS: usize>(pub(super) &'a Tile<'a>);

/// Repeats `$body` with the constant `$i` for each row: loops would leave the accumulators in memory.
macro_rules! each_row {
    ($i:ident $body:block) => {
        each_row!(@ $i $body 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    (@ $i:ident $body:block $($n:literal)*) => {
        $({
            const $i: usize = $n;
            if $i < ROWS $body
        })*
    };
}

impl<const ROWS: usize, const PANELS: usize> Kernel for Sized<'_, ROWS, PANELS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller of `run` vouched for the pointers.
        unsafe { self.product::<S, Singles>() }
    }
}

impl<const ROWS: usize, const PANELS: usize> PairKernel for Sized<'_, ROWS, PANELS> {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        // SAFETY: the caller of `run` vouched for the pointers.
        unsafe { self.product::<S, Halves>() }
    }
}

impl<const ROWS: usize, const PANELS: usize> Sized<'_, ROWS, PANELS> {
    #[inline(always)]
    unsafe fn product<S: Simd, F: Factors<S>>(self) {
        let tile = self.0;
        let vectors = PANELS * PANEL / S::LANES;
        // Tiles beyond `largest` are never asked for: this keeps them from being compiled.
        if vectors > 2 || (S::LANES == 8 && ROWS > 6) {
            return;
        }
        // SAFETY: the caller of `run` vouched for the pointers.
        unsafe {
            let second = if PANELS == 2 {
                tile.panel_stride
            } else {
                S::LANES
            };
            let mut acc = [[S::splat(0.0); 2]; ROWS];
            for piece in tile.a {
                let mut row = [std::ptr::null::<f32>(); ROWS];
                each_row!(I { row[I] = piece.rows[I]; });
                let mut b = tile.b.wrapping_add(piece.first * PANEL);
                let mut k = 0;
                // Not a loop that may end before its first turn: the compiler would keep the accumulators twice.
                loop {
                    let b0 = S::load(b);
                    let b1 = if vectors == 2 {
                        S::load(b.wrapping_add(second))
                    } else {
                        b0
                    };
                    each_row!(I {
                        let a = S::splat(row[I].wrapping_add(k).read_unaligned());
                        acc[I][0] = F::step(a, b0, acc[I][0]);
                        if vectors == 2 {
                            acc[I][1] = F::step(a, b1, acc[I][1]);
                        }
                    });
                    b = b.wrapping_add(PANEL);
                    k += 1;
                    if k >= piece.inner {
                        break;
                    }
                }
            }
            if tile.columns >= vectors * S::LANES {
                let ends = Ends::<S>::of(tile, vectors);
                each_row!(I { ends.row::<F>(tile, I, acc[I]); });
                return;
            }
            each_row!(I {
                finish::<S, F>(tile, I, 0, acc[I][0]);
                if vectors == 2 {
                    finish::<S, F>(tile, I, S::LANES, acc[I][1]);
                }
            });
        }
    }
}

/// What becomes of the sums of a tile that has all its columns: read once, as what is written could be what says it.
struct Ends<S: Simd> {
    vectors: usize,
    bias: Option<[S::V; 2]>,
    /// Whether there is a residual, and whether it is added last.
    residual: Option<bool>,
    relu: bool,
    affine: Option<(S::V, S::V)>,
    rounded: bool,
    column: usize,
}

impl<S: Simd> Ends<S> {
    /// Of a tile of one or two vectors.
    ///
    /// # Safety
    /// See [`Tile`].
    #[inline(always)]
    #[allow(clippy::manual_map)]
    unsafe fn of(tile: &Tile<'_>, vectors: usize) -> Self {
        // SAFETY: the caller vouches for the pointers; a bias has whole panels.
        unsafe {
            // Not closures: they would be compiled without the instruction set.
            let bias = match tile.bias {
                Some(bias) if vectors == 2 => {
                    Some([S::load(bias), S::load(bias.wrapping_add(S::LANES))])
                }
                Some(bias) => Some([S::load(bias); 2]),
                None => None,
            };
            let affine = match tile.affine {
                Some((scale, shift)) => Some((S::splat(scale), S::splat(shift))),
                None => None,
            };
            Self {
                vectors,
                bias,
                residual: tile.residual.map(|residual| residual.last),
                relu: tile.relu,
                affine,
                rounded: tile.rounded,
                column: tile.column,
            }
        }
    }

    /// A row's sums, to memory.
    ///
    /// # Safety
    /// See [`Tile`]; `row` lies within it.
    #[inline(always)]
    unsafe fn row<F: Factors<S>>(&self, tile: &Tile<'_>, row: usize, sums: [S::V; 2]) {
        // SAFETY: the caller vouches for the pointers.
        unsafe {
            let added = match tile.residual {
                Some(residual) => residual.rows[row].wrapping_add(self.column),
                None => std::ptr::null(),
            };
            let out = tile.out[row];
            let mut i = 0;
            while i < self.vectors {
                let column = i * S::LANES;
                let mut v = sums[i];
                if let Some(bias) = self.bias {
                    v = S::add(v, bias[i]);
                }
                if self.residual == Some(false) {
                    v = S::add(v, S::load(added.wrapping_add(column)));
                }
                if self.relu {
                    v = S::max(S::splat(0.0), v);
                }
                if let Some((scale, shift)) = self.affine {
                    v = S::fma(v, scale, shift);
                }
                if self.residual == Some(true) {
                    v = S::add(v, S::load(added.wrapping_add(column)));
                }
                let at = self.column + column;
                if self.rounded {
                    F::put(out, at, v, S::LANES);
                } else {
                    S::store(out.wrapping_add(at), v);
                }
                i += 1;
            }
        }
    }
}

/// Bias, residual, relu and affine of one vector, and its way to memory.
///
/// # Safety
/// See [`Tile`]; `row` and `column` lie within it.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd, F: Factors<S>>(
    tile: &Tile<'_>,
    row: usize,
    column: usize,
    mut v: S::V,
) {
    if column >= tile.columns {
        return;
    }
    let n = tile.columns - column;
    let at = tile.column + column;
    // SAFETY: see above.
    unsafe {
        if let Some(bias) = tile.bias {
            v = S::add(v, S::load(bias.wrapping_add(column)));
        }
        if let Some(residual) = tile.residual
            && !residual.last
        {
            v = S::add(v, load::<S>(residual.rows[row].wrapping_add(at), n));
        }
        if tile.relu {
            v = S::max(S::splat(0.0), v);
        }
        if let Some((scale, shift)) = tile.affine {
            v = S::fma(v, S::splat(scale), S::splat(shift));
        }
        if let Some(residual) = tile.residual
            && residual.last
        {
            v = S::add(v, load::<S>(residual.rows[row].wrapping_add(at), n));
        }
        if tile.rounded {
            return F::put(tile.out[row], at, v, n);
        }
        let to = tile.out[row].wrapping_add(at);
        if n >= S::LANES {
            S::store(to, v)
        } else {
            S::store_n(to, v, n)
        }
    }
}

/// The first `n` numbers, at most a vector.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn load<S: Simd>(from: *const f32, n: usize) -> S::V {
    // SAFETY: the caller vouches for the instruction set and the memory.
    unsafe {
        if n >= S::LANES {
            S::load(from)
        } else {
            S::load_n(from, n)
        }
    }
}
