//! Rows of a product rounded to bf16, in pairs that meet those of the weights.

#![allow(unsafe_code)]

use super::{
    memory::Output,
    simd::{Isa, PairKernel, Pairs, Simd},
    tile::Piece,
    tiles,
};
use crate::ops::types::convolution::Products;

/// Numbers of the largest vector of pairs: there is room for as many beyond the end of a row.
const SLACK: usize = 32;

/// The rows of a tile in pairs, put together in even memory. All that one of these takes must have the same pieces but for the pointers.
/// Joined pieces end in zeros up to [`SLACK`] numbers, which are a tile of AMX.
pub(super) struct Rounded {
    isa: Isa,
    /// Most rows of a tile.
    rows: usize,
    /// Rows of pairs.
    memory: Vec<u32>,
    /// Where pieces begin in a row, in numbers.
    places: Vec<usize>,
    /// Pieces of pairs: those that follow one another in the weights are one.
    joined: Vec<Piece>,
}

impl Rounded {
    pub(super) fn new(isa: Isa) -> Self {
        Self {
            isa,
            rows: tiles::largest(isa, Products::Bf16).0,
            memory: Vec::new(),
            places: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Rounds `count` rows of `pieces`, or copies them where they hold pairs.
    ///
    /// # Safety
    /// The pieces' rows can be read.
    pub(super) unsafe fn round(&mut self, pieces: &[Piece], count: usize) -> &[Piece] {
        if self.memory.is_empty() {
            self.lay_out(pieces);
        }
        let rows = RoundRows {
            pieces,
            places: &self.places,
            to: self.memory.as_mut_ptr().cast(),
            stride: self.memory.len() / self.rows * 2,
            count,
        };
        // SAFETY: the caller vouched for the rows; each row of the memory has room for all pieces.
        unsafe { self.isa.run_pairs(rows) };
        &self.joined
    }

    /// Places for the pieces. Weights come in pairs: where a piece begins or ends within one, the other number is 0.
    fn lay_out(&mut self, pieces: &[Piece]) {
        let (mut at, mut next) = (0usize, None);
        let mut starts = Vec::new();
        for piece in pieces {
            let numbers = numbers(piece.held);
            let (first, inner) = (piece.first * numbers, piece.inner * numbers);
            if next != Some(first) {
                at = at.next_multiple_of(SLACK) + first % 2;
                starts.push(at / 2);
                self.joined.push(Piece {
                    first: first / 2,
                    held: Products::Bf16,
                    ..*piece
                });
            }
            self.places.push(at);
            at += inner;
            next = Some(first + inner);
            if let (Some(joined), Some(start)) = (self.joined.last_mut(), starts.last()) {
                joined.inner = at.div_ceil(2) - start;
            }
        }
        let stride = (at + SLACK).div_ceil(2);
        self.memory = vec![0; stride * self.rows];
        let memory = self.memory.as_mut_ptr().cast::<f32>().cast_const();
        for (joined, start) in self.joined.iter_mut().zip(starts) {
            joined.rows = std::array::from_fn(|row| memory.wrapping_add(row * stride + start));
        }
    }
}

/// Numbers that one of a piece stands for.
fn numbers(held: Products) -> usize {
    match held {
        Products::F32 => 1,
        Products::Bf16 => 2,
    }
}

/// Rounds the rows of pieces to where they have their places. Vectors end in zeros that the next piece overwrites.
struct RoundRows<'a> {
    pieces: &'a [Piece],
    places: &'a [usize],
    to: *mut u16,
    /// Numbers from one row to the next.
    stride: usize,
    count: usize,
}

impl PairKernel for RoundRows<'_> {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        for row in 0..self.count {
            for (piece, place) in self.pieces.iter().zip(self.places) {
                let (from, len) = (piece.rows[row], piece.inner);
                let to = self.to.wrapping_add(row * self.stride + place);
                // SAFETY: a row has room for a whole vector at the end of its last piece.
                unsafe {
                    match piece.held {
                        Products::F32 => RoundLine { from, to, len }.run::<S>(),
                        Products::Bf16 => copy_line::<S>(from, to.cast(), len),
                    }
                };
            }
        }
    }
}

/// Rounds `len` numbers. Whole vectors are written, the last one filled up with zeros.
struct RoundLine {
    from: *const f32,
    to: *mut u16,
    len: usize,
}

impl PairKernel for RoundLine {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        let mut at = 0;
        while at < self.len {
            let (from, n) = (self.from.wrapping_add(at), self.len - at);
            // SAFETY: the caller vouched for the numbers, and for room for whole vectors.
            unsafe {
                let pairs = if n >= 2 * S::LANES {
                    S::to_pairs(S::load(from), S::load(from.wrapping_add(S::LANES)))
                } else {
                    let second = n.saturating_sub(S::LANES);
                    S::to_pairs(
                        S::load_n(from, n),
                        S::load_n(from.wrapping_add(S::LANES), second),
                    )
                };
                S::store(self.to.wrapping_add(at).cast(), pairs);
            }
            at += 2 * S::LANES;
        }
    }
}

/// Rounds `len` numbers, whole vectors of the largest size, and writes no others.
pub(super) struct RoundVectors {
    pub(super) from: *const f32,
    pub(super) to: *mut u16,
    pub(super) len: usize,
}

impl PairKernel for RoundVectors {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        for at in (0..self.len).step_by(S::LANES) {
            // SAFETY: the caller vouched for the numbers and their room.
            unsafe {
                S::store_rounded(
                    self.to.wrapping_add(at),
                    S::load(self.from.wrapping_add(at)),
                )
            };
        }
    }
}

/// Copies `len` pairs. Whole vectors are written, the last one filled up with zeros.
///
/// # Safety
/// The pairs can be read, and there is room for whole vectors.
#[inline(always)]
unsafe fn copy_line<S: Simd>(from: *const f32, to: *mut f32, len: usize) {
    let mut at = 0;
    while at < len {
        // SAFETY: the caller vouched for the memory.
        unsafe {
            S::store(
                to.wrapping_add(at),
                S::load_n(from.wrapping_add(at), len - at),
            )
        };
        at += S::LANES;
    }
}

/// `len` numbers from `from` on, rounded.
///
/// # Safety
/// The numbers can be read.
pub(super) unsafe fn round_all(isa: Isa, from: *const f32, len: usize) -> Output {
    let mut pairs = Output::new((len + SLACK) / 2);
    let to = pairs.ptr().cast();
    // SAFETY: the caller vouched for the numbers; there is room for a whole vector at the end.
    unsafe { isa.run_pairs(RoundLine { from, to, len }) };
    pairs
}
