//! Products with maps or tokens that lie side by side in the channels, read where they lie.

#![allow(unsafe_code)]

use super::{
    gemm::{Addend, Gemm, Rows},
    memory::{Input, Output, even},
    packed::Packed,
    simd::Isa,
    tile::Piece,
};
use crate::ops::types::{activation::Activation, convolution::Part, result::Result};
use candle_core::Tensor;

/// Rows of one of the parts, and the weights that they meet.
#[derive(Clone, Copy)]
struct Rowed {
    start: *const f32,
    stride: usize,
    /// First row of the weights.
    first: usize,
    /// Channels.
    inner: usize,
}

/// Parts side by side as the left factor.
struct SideBySide(Vec<Rowed>);

// SAFETY: only read, as long as the memory is borrowed.
unsafe impl Sync for SideBySide {}

impl Rows for SideBySide {
    fn pieces(&self) -> usize {
        self.0.len()
    }

    fn read(&self, first: usize, count: usize, pieces: &mut [Piece], _: &mut Vec<f32>) {
        for (part, piece) in self.0.iter().zip(pieces) {
            (piece.first, piece.inner) = (part.first, part.inner);
            for (i, row) in piece.rows.iter_mut().enumerate().take(count) {
                *row = part.start.wrapping_add((first + i) * part.stride);
            }
        }
    }
}

/// `affine(activation(parts·weights + bias))` for parts `[…, channels]`. Pixels of doubled parts stand for four each: their share of the
/// sums is computed once for these.
pub(super) fn product(
    parts: &[Part<'_>],
    weights: &Packed,
    activation: Activation,
    affine: Option<(f32, f32)>,
) -> Result<Tensor> {
    let shape = shape_of(parts, weights)?;
    let maps = parts
        .iter()
        .map(|part| even(part.map))
        .collect::<Result<Vec<_>>>()?;
    let inputs = maps
        .iter()
        .map(|map| Input::<f32>::new(map, "product of parts"))
        .collect::<Result<Vec<_>>>()?;
    let (mut whole, mut halves) = (Vec::new(), Vec::new());
    let mut first = 0;
    for (part, input) in parts.iter().zip(&inputs) {
        let inner = part.map.dims().last().copied().unwrap_or(0);
        let rows = Rowed {
            start: input.ptr(),
            stride: input.stride,
            first,
            inner,
        };
        match (inner, part.doubled) {
            (0, _) => {}
            (_, true) => halves.push(rows),
            (_, false) => whole.push(rows),
        }
        first += inner;
    }
    let rows = shape[..shape.len() - 1].iter().product::<usize>();
    let columns = weights.columns;
    let mut shared = Output::new(if halves.is_empty() {
        0
    } else {
        rows / 4 * columns
    });
    let mut out = Output::new(rows * columns);
    let gemm = Gemm {
        isa: Isa::best_for(weights.products),
        weights,
        rows,
        out: out.ptr(),
        out_stride: columns,
        residual: None,
        bias: true,
        activation,
        affine,
    };
    // SAFETY: whole parts have `rows` rows and the others a quarter, each of its channels; both outputs have as many rows, and all
    // numbers of them are written.
    unsafe {
        if halves.is_empty() {
            gemm.run(&SideBySide(whole));
        } else {
            let share = Gemm {
                rows: rows / 4,
                out: shared.ptr(),
                bias: false,
                activation: Activation::Identity,
                affine: None,
                ..gemm
            };
            share.run(&SideBySide(halves));
            let residual = Addend {
                start: shared.ptr(),
                stride: columns,
                last: false,
                doubled: Some((shape[1], shape[2])),
            };
            let gemm = Gemm {
                residual: Some(residual),
                ..gemm
            };
            gemm.run(&SideBySide(whole));
        }
        out.into_tensor(&shape)
    }
}

/// The product's shape, if the parts fit each other and the weights.
fn shape_of(parts: &[Part<'_>], weights: &Packed) -> Result<Vec<usize>> {
    let size = |part: &Part<'_>| {
        let mut size = part.map.dims().to_vec();
        let channels = size.pop().unwrap_or(0);
        match (part.doubled, size.as_mut_slice()) {
            (true, [_, h, w]) => (*h, *w) = (2 * *h, 2 * *w),
            (true, _) => size.clear(),
            (false, _) => {}
        }
        (size, channels)
    };
    let sizes: Vec<_> = parts.iter().map(size).collect();
    let channels = sizes.iter().map(|(_, channels)| channels).sum::<usize>();
    let fits = sizes.windows(2).all(|pair| pair[0].0 == pair[1].0);
    match sizes.into_iter().next() {
        Some((mut shape, _)) if fits && channels == weights.inner && !shape.is_empty() => {
            shape.push(weights.columns);
            Ok(shape)
        }
        _ => {
            let shapes: Vec<_> = parts.iter().map(|part| part.map.shape()).collect();
            candle_core::bail!(
                "a product of parts: {shapes:?} for weights of {} inputs",
                weights.inner
            )
        }
    }
}
