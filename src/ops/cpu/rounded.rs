//! Rows of a product rounded to bf16, in pairs that meet those of the weights.

#![allow(unsafe_code)]

use super::{
    memory::Output,
    simd::{Isa, PairKernel, Pairs},
    tile::{MAX_ROWS, Piece},
};

/// Numbers of the largest vector of pairs: there is room for as many beyond the end of a row.
const SLACK: usize = 32;

/// The rounded rows of a tile. All that one of these rounds must have the same pieces but for the pointers.
#[derive(Default)]
pub(super) struct Rounded {
    /// `MAX_ROWS` rows of pairs.
    memory: Vec<u32>,
    /// Where pieces begin in a row, in numbers.
    places: Vec<usize>,
    /// Pieces of pairs: those that follow one another in the weights are one.
    joined: Vec<Piece>,
}

impl Rounded {
    /// Rounds `count` rows of `pieces`.
    ///
    /// # Safety
    /// The pieces' rows can be read.
    pub(super) unsafe fn round(&mut self, isa: Isa, pieces: &[Piece], count: usize) -> &[Piece] {
        if self.memory.is_empty() {
            self.lay_out(pieces);
        }
        let rows = RoundRows {
            pieces,
            places: &self.places,
            to: self.memory.as_mut_ptr().cast(),
            stride: self.memory.len() / MAX_ROWS * 2,
            count,
        };
        // SAFETY: the caller vouched for the rows; each row of the memory has room for all pieces.
        unsafe { isa.run_pairs(rows) };
        &self.joined
    }

    /// Places for the pieces. Weights come in pairs: where a piece begins or ends within one, the other number is 0.
    fn lay_out(&mut self, pieces: &[Piece]) {
        let (mut at, mut next) = (0usize, None);
        let mut starts = Vec::new();
        for piece in pieces {
            if next != Some(piece.first) {
                at = at.next_multiple_of(2) + piece.first % 2;
                starts.push(at / 2);
                self.joined.push(Piece {
                    first: piece.first / 2,
                    ..*piece
                });
            }
            self.places.push(at);
            at += piece.inner;
            next = Some(piece.first + piece.inner);
            if let (Some(joined), Some(start)) = (self.joined.last_mut(), starts.last()) {
                joined.inner = at.div_ceil(2) - start;
            }
        }
        let stride = (at + SLACK).div_ceil(2);
        self.memory = vec![0; stride * MAX_ROWS];
        let memory = self.memory.as_mut_ptr().cast::<f32>().cast_const();
        for (joined, start) in self.joined.iter_mut().zip(starts) {
            joined.rows = std::array::from_fn(|row| memory.wrapping_add(row * stride + start));
        }
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
                let line = RoundLine {
                    from: piece.rows[row],
                    to: self.to.wrapping_add(row * self.stride + place),
                    len: piece.inner,
                };
                // SAFETY: a row has room for a whole vector at the end of its last piece.
                unsafe { line.run::<S>() };
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
