//! Products with maps or tokens that lie side by side in the channels, read where they lie.

#![allow(unsafe_code)]

use super::{
    gemm::{Addend, Gemm, Rows},
    memory::{Input, Output, even, kept_in},
    packed::Packed,
    residual::{addend, residual},
    simd::Isa,
    tile::{PANEL, Piece},
};
use crate::ops::types::{
    activation::Activation,
    convolution::{Part, Products, Residual},
    result::Result,
    strides::row_stride,
};
use candle_core::{DType, Tensor};
use half::bf16;

/// What becomes of a product.
#[derive(Clone, Copy)]
pub(super) struct After<'a> {
    pub(super) activation: Activation,
    pub(super) affine: Option<(f32, f32)>,
    /// Not with doubled parts.
    pub(super) residual: Option<Residual<'a>>,
    /// What the result is kept in: f32 also where bf16 is asked for that these products do not give.
    pub(super) kept: Products,
}

/// The memory of a part.
enum Numbers<'a> {
    Single(Input<'a>),
    Rounded(Input<'a, bf16>),
}

impl<'a> Numbers<'a> {
    fn new(map: &'a Tensor) -> Result<Self> {
        Ok(match map.dtype() {
            DType::BF16 => Self::Rounded(Input::new(map, "product of parts")?),
            _ => Self::Single(Input::new(map, "product of parts")?),
        })
    }

    /// Its rows of `inner` channels, which meet the weights from `first` on.
    fn rows(&self, first: usize, inner: usize) -> Rowed {
        match self {
            Self::Single(input) => Rowed {
                start: input.ptr(),
                stride: input.stride,
                first,
                inner,
                held: Products::F32,
            },
            Self::Rounded(input) => Rowed {
                start: input.ptr().cast(),
                stride: input.stride / 2,
                first: first / 2,
                inner: inner / 2,
                held: Products::Bf16,
            },
        }
    }
}

/// Rows of one of the parts, and the weights that they meet. Where they hold bf16, all numbers count pairs.
#[derive(Clone, Copy)]
struct Rowed {
    start: *const f32,
    stride: usize,
    /// First row of the weights.
    first: usize,
    /// Channels.
    inner: usize,
    held: Products,
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
            (piece.first, piece.inner, piece.held) = (part.first, part.inner, part.held);
            for (i, row) in piece.rows.iter_mut().enumerate().take(count) {
                *row = part.start.wrapping_add((first + i) * part.stride);
            }
        }
    }
}

/// `affine(activation(parts·weights + bias + residual))` for parts `[…, channels]`, or the residual last. Pixels of doubled parts stand for
/// four each: their share of the sums is computed once for these.
pub(super) fn product(parts: &[Part<'_>], weights: &Packed, after: After<'_>) -> Result<Tensor> {
    let shape = shape_of(parts, weights)?;
    let inner = |part: &Part<'_>| part.map.dims().last().copied().unwrap_or(0);
    let mut first = 0;
    let mut maps = Vec::with_capacity(parts.len());
    for part in parts {
        maps.push((readable(part.map, first, weights.products)?, first));
        first += inner(part);
    }
    let inputs = maps
        .iter()
        .map(|(map, first)| Ok((Numbers::new(map)?, *first)))
        .collect::<Result<Vec<_>>>()?;
    let (mut whole, mut halves) = (Vec::new(), Vec::new());
    for (part, (input, first)) in parts.iter().zip(&inputs) {
        let rows = input.rows(*first, inner(part));
        match (inner(part), part.doubled) {
            (0, _) => {}
            (_, true) => halves.push(rows),
            (_, false) => whole.push(rows),
        }
    }
    let last = after.residual.is_some_and(|residual| residual.last);
    let given = after
        .residual
        .map(|r| residual(r.map, &shape))
        .transpose()?;
    let given = given
        .as_ref()
        .map(|r| Input::<f32>::new(r, "product of parts"))
        .transpose()?;
    if given.is_some() && !halves.is_empty() {
        candle_core::bail!("a product of doubled parts with a residual");
    }
    let sums = Sums {
        gemm: Gemm {
            isa: Isa::best_for(weights.products),
            weights,
            rows: shape[..shape.len() - 1].iter().product(),
            out: std::ptr::null_mut(),
            out_stride: weights.columns,
            residual: given.as_ref().map(|r| addend(r, last)),
            bias: true,
            activation: after.activation,
            affine: after.affine,
        },
        shape: &shape,
        whole: SideBySide(whole),
        halves: SideBySide(halves),
    };
    let kept = if rounds(weights) {
        after.kept
    } else {
        Products::F32
    };
    // SAFETY: whole parts have a row for each of the output and the others a quarter, each of its channels; all numbers of the output are
    // written.
    unsafe { kept_in(kept, &shape, |out| sums.run(out, kept)) }
}

/// Whether a product can be kept in bf16: its columns are whole vectors.
fn rounds(weights: &Packed) -> bool {
    weights.products == Products::Bf16 && weights.columns.is_multiple_of(PANEL)
}

/// The map in even rows; of bf16 only where products meet its pairs as they are, the first at row `first` of the weights.
fn readable(map: &Tensor, first: usize, products: Products) -> Result<Tensor> {
    let map = even(map)?;
    let channels = map.dims().last().copied().unwrap_or(0);
    let in_pairs = products == Products::Bf16
        && [first, channels, row_stride(&map).unwrap_or(1)]
            .iter()
            .all(|numbers| numbers.is_multiple_of(2));
    if map.dtype() == DType::BF16 && !in_pairs {
        map.to_dtype(DType::F32)
    } else {
        Ok(map)
    }
}

/// A product of parts, but for its output.
struct Sums<'a> {
    gemm: Gemm<'a>,
    shape: &'a [usize],
    whole: SideBySide,
    halves: SideBySide,
}

impl Sums<'_> {
    /// Computes it to `out`.
    ///
    /// # Safety
    /// The parts can be read, and there is room for all rows in what the product is kept in; see [`Gemm::run_to`].
    unsafe fn run(&self, out: *mut f32, kept: Products) {
        let (rows, columns) = (self.gemm.rows, self.gemm.out_stride);
        let gemm = Gemm {
            out,
            out_stride: match kept {
                Products::F32 => columns,
                Products::Bf16 => columns / 2,
            },
            ..self.gemm
        };
        // SAFETY: the caller vouched for the memory; the shares are a quarter as many rows.
        unsafe {
            if self.halves.0.is_empty() {
                return gemm.run_to(&self.whole, kept);
            }
            let mut shared = Output::new(rows / 4 * columns);
            let share = Gemm {
                rows: rows / 4,
                out: shared.ptr(),
                bias: false,
                activation: Activation::Identity,
                affine: None,
                ..self.gemm
            };
            share.run(&self.halves);
            let residual = Addend {
                start: shared.ptr(),
                stride: columns,
                last: false,
                doubled: Some((self.shape[1], self.shape[2])),
            };
            let gemm = Gemm {
                residual: Some(residual),
                ..gemm
            };
            gemm.run_to(&self.whole, kept);
        }
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
