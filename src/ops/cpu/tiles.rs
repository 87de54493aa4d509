//! Tiles on one thread: by the vectors of [`super::tile`], or by AMX.

#![allow(unsafe_code)]

use super::{
    amx::{self, Even, Run, Session},
    parallel::part,
    simd::{Halves, Isa, PairKernel, Pairs},
    tile::{MAX_ROWS, PANEL, Piece, Sized, Tile, finish},
};
use crate::ops::types::convolution::Products;
use std::{mem::MaybeUninit, ops::Range};

/// Rows and panels of the largest tile that fits the registers.
pub(super) fn largest(isa: Isa, products: Products) -> (usize, usize) {
    match (isa, products) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Amx, Products::Bf16) => (2 * amx::ROWS, 2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Amx | Isa::Avx512, _) => (12, 2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, _) => (6, 1),
        (Isa::Portable, _) => (4, 1),
    }
}

/// Whether tiles are those of AMX. Their rows lie evenly in memory, numbers up to whole tiles of them zero; rows beyond the last and lines
/// beyond a panel can be read.
pub(super) fn are_amx(isa: Isa, products: Products) -> bool {
    #[cfg(target_arch = "x86_64")]
    return (isa, products) == (Isa::Amx, Products::Bf16);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (isa, products);
        false
    }
}

/// Runs tiles on one thread.
pub(super) struct Tiles {
    isa: Isa,
    products: Products,
    amx: Option<Session>,
    runs: Vec<Run>,
}

impl Tiles {
    /// For tiles of these products on this thread.
    pub(super) fn new(isa: Isa, products: Products) -> Self {
        Self {
            isa,
            products,
            amx: are_amx(isa, products).then(Session::new),
            runs: Vec::new(),
        }
    }

    /// Rows and panels of the largest tile.
    pub(super) fn largest(&self) -> (usize, usize) {
        largest(self.isa, self.products)
    }

    /// The `index`th of the fewest tiles that `rows` rows can be cut into.
    pub(super) fn rows(&self, rows: usize, index: usize) -> Range<usize> {
        let (most, _) = self.largest();
        match self.amx {
            // Halves of a tile are whole.
            Some(_) => index * most..((index + 1) * most).min(rows),
            None => part(rows, rows.div_ceil(most), index),
        }
    }

    /// Runs a tile of `rows` × `panels`, at most [`largest`].
    ///
    /// # Safety
    /// All pointers are valid for what [`Tile`] says, `out` for writing and not shared with another thread. For tiles of AMX see [`are_amx`].
    pub(super) unsafe fn run(&mut self, rows: usize, panels: usize, tile: &Tile<'_>) {
        let isa = self.isa;
        if let Some(session) = &self.amx {
            // SAFETY: the caller vouches for the tile's pointers.
            return unsafe { run_amx(isa, session, &mut self.runs, rows, panels, tile) };
        }
        macro_rules! choose {
            ($($n:literal)*) => {
                match (self.products, rows, panels) {
                    $(
                        // SAFETY: the caller vouches for the tile's pointers.
                        (Products::F32, $n, 1) => unsafe { isa.run(Sized::<$n, 1>(tile)) },
                        // SAFETY: as above.
                        (Products::F32, $n, 2) => unsafe { isa.run(Sized::<$n, 2>(tile)) },
                        // SAFETY: as above.
                        (Products::Bf16, $n, 1) => unsafe { isa.run_pairs(Sized::<$n, 1>(tile)) },
                        // SAFETY: as above.
                        (Products::Bf16, $n, 2) => unsafe { isa.run_pairs(Sized::<$n, 2>(tile)) },
                    )*
                    _ => {}
                }
            };
        }
        choose!(1 2 3 4 5 6 7 8 9 10 11 12);
    }
}

/// Sums of the largest tile of AMX.
#[repr(align(64))]
struct Sums(MaybeUninit<[f32; MAX_ROWS * 2 * PANEL]>);

/// A tile of AMX.
///
/// # Safety
/// See [`Tiles::run`].
unsafe fn run_amx(
    isa: Isa,
    session: &Session,
    runs: &mut Vec<Run>,
    rows: usize,
    panels: usize,
    tile: &Tile<'_>,
) {
    let stride = |piece: &Piece| piece.rows[1].addr().wrapping_sub(piece.rows[0].addr());
    let stride = tile.a.first().map_or(0, stride);
    let halves = rows.div_ceil(amx::ROWS);
    runs.clear();
    runs.extend(tile.a.iter().map(|piece| {
        let b = tile.b.wrapping_add(piece.first * PANEL);
        Run {
            a: [
                piece.rows[0],
                piece.rows[0].wrapping_byte_add(amx::ROWS * stride),
            ],
            b: [b, b.wrapping_add(tile.panel_stride)],
            steps: piece.inner.div_ceil(amx::LINES),
        }
    }));
    // SAFETY: the caller vouches for the tile's pointers; the sums have room for the largest tile.
    unsafe {
        if let Some(out) = takes_sums(tile, rows, panels) {
            return session.product((halves, panels), runs, stride, out);
        }
        let mut sums = Sums(MaybeUninit::uninit());
        let start = sums.0.as_mut_ptr().cast::<f32>();
        if runs.is_empty() {
            start.write_bytes(0, MAX_ROWS * 2 * PANEL);
        } else {
            let even = Even {
                start,
                stride: 2 * PANEL * size_of::<f32>(),
            };
            session.product((halves, panels), runs, stride, even);
        }
        isa.run_pairs(FinishRows {
            tile,
            sums: start,
            rows,
            panels,
        });
    }
}

/// The output, where whole tiles of sums are all that goes there.
fn takes_sums(tile: &Tile<'_>, rows: usize, panels: usize) -> Option<Even> {
    let plain = !tile.a.is_empty()
        && tile.bias.is_none()
        && tile.residual.is_none()
        && !tile.relu
        && tile.affine.is_none()
        && !tile.rounded
        && tile.columns >= panels * PANEL
        && rows.is_multiple_of(amx::ROWS);
    let stride = tile.out[1].addr().wrapping_sub(tile.out[0].addr());
    let even = || {
        let mut pairs = tile.out[..rows].windows(2);
        pairs.all(|pair| pair[1] == pair[0].wrapping_byte_add(stride))
    };
    (plain && even()).then(|| Even {
        start: tile.out[0].wrapping_add(tile.column),
        stride,
    })
}

/// What becomes of sums in memory, rows of two panels.
struct FinishRows<'a, 'b> {
    tile: &'a Tile<'b>,
    sums: *const f32,
    rows: usize,
    panels: usize,
}

impl PairKernel for FinishRows<'_, '_> {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        for row in 0..self.rows {
            let mut column = 0;
            while column < self.panels * PANEL {
                let sums = self.sums.wrapping_add(row * 2 * PANEL + column);
                // SAFETY: the caller vouched for the tile, and the sums have whole vectors.
                unsafe { finish::<S, Halves>(self.tile, row, column, S::load(sums)) };
                column += S::LANES;
            }
        }
    }
}
