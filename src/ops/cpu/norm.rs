//! Layer normalisation.

#![allow(unsafe_code)]

use super::{
    math::Activate,
    memory::{Input, Output, Shared, even},
    parallel,
    simd::{Isa, Kernel, Simd},
};
use crate::ops::types::{activation::Activation, result::Result};
use candle_core::Tensor;

/// A layer normalisation's numbers `[channels]`.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub(crate) weight: &'a Tensor,
    pub(crate) bias: &'a Tensor,
    /// Added to the variance.
    pub(crate) eps: f32,
}

/// See [`crate::ops::LayerNorm::forward`]; inputs are held to ± `limit` where there is one.
pub(crate) fn layer_norm(x: &Tensor, norm: &Norm<'_>, limit: Option<f32>) -> Result<Tensor> {
    let x = even(x)?;
    let (input, len) = (Input::<f32>::new(&x, "layer_norm")?, last(&x));
    let (stride, from) = (input.stride, Shared::new(input.ptr()));
    normalise(x.dims(), norm, |isa, row, to| {
        let from = from.get().wrapping_add(row * stride);
        let Some(limit) = limit else { return from };
        let activation = Activation::Clamp(limit);
        let held = Activate {
            from,
            to,
            len,
            activation,
            affine: None,
            coarse: false,
        };
        // SAFETY: both rows have `len` numbers.
        unsafe { isa.run(held) };
        to
    })
}

/// See [`crate::ops::LayerNorm::forward_gated`].
pub(crate) fn gated_norm(
    gates: &Tensor,
    x: &Tensor,
    seen: &Tensor,
    norm: &Norm<'_>,
) -> Result<Tensor> {
    let (gates, x, seen) = (even(gates)?, even(x)?, even(seen)?);
    let len = last(&x);
    let mut joined = x.dims().to_vec();
    if let Some(last) = joined.last_mut() {
        *last *= 2;
    }
    if seen.dims() != x.dims() || gates.dims() != joined {
        let (gates, x, seen) = (gates.shape(), x.shape(), seen.shape());
        candle_core::bail!("layer_norm: {gates:?} gates for {x:?} and {seen:?}");
    }
    let op = "layer_norm";
    let [gates, a, b] = [
        Input::<f32>::new(&gates, op)?,
        Input::<f32>::new(&x, op)?,
        Input::<f32>::new(&seen, op)?,
    ];
    let strides = (gates.stride, a.stride, b.stride);
    let pointers = Shared::new((gates.ptr(), a.ptr(), b.ptr()));
    normalise(x.dims(), norm, |isa, row, to| {
        let (gates, a, b) = pointers.get();
        let weighed = Weighed {
            gates: gates.wrapping_add(row * strides.0),
            a: a.wrapping_add(row * strides.1),
            b: b.wrapping_add(row * strides.2),
            to,
            len,
        };
        // SAFETY: rows have `len` numbers, that of the gates twice as many.
        unsafe { isa.run(weighed) };
        to
    })
}

/// The last dimension.
fn last(x: &Tensor) -> usize {
    x.dims().last().copied().unwrap_or(0)
}

/// Normalises rows of the last dimension of `shape`. `row` gives each: where it lies, or made in its place in the output, which it is
/// handed.
fn normalise(
    shape: &[usize],
    norm: &Norm<'_>,
    row: impl Fn(Isa, usize, *mut f32) -> *const f32 + Sync,
) -> Result<Tensor> {
    let len = shape.last().copied().unwrap_or(0);
    let Norm { weight, bias, eps } = *norm;
    if weight.dims() != [len] || bias.dims() != [len] || len == 0 {
        let (weight, bias) = (weight.shape(), bias.shape());
        candle_core::bail!("layer_norm: {shape:?} by {weight:?} and {bias:?}");
    }
    let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
    let (weight, bias) = (
        Input::<f32>::new(&weight, "layer_norm")?,
        Input::<f32>::new(&bias, "layer_norm")?,
    );
    let rows = shape.iter().rev().skip(1).product::<usize>();
    let mut out = Output::new(rows * len);
    let isa = Isa::best();
    let pointers = Shared::new((out.ptr(), weight.ptr(), bias.ptr()));
    parallel::over(rows, rows * len * 8, |range| {
        let (to, weight, bias) = pointers.get();
        for index in range {
            let to = to.wrapping_add(index * len);
            let row = Row {
                from: row(isa, index, to),
                to,
                len,
                weight,
                bias,
                eps,
            };
            // SAFETY: the row has `len` numbers, and each row of the output is written by one task.
            unsafe { isa.run(row) };
        }
    });
    // SAFETY: the ranges cover all rows.
    unsafe { out.into_tensor(shape) }
}

/// `to = gates·a + gates'·b`, gates' being the second half of the gates.
struct Weighed {
    gates: *const f32,
    a: *const f32,
    b: *const f32,
    to: *mut f32,
    len: usize,
}

impl Kernel for Weighed {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut at = 0;
        while at < self.len {
            let n = S::LANES.min(self.len - at);
            // SAFETY: rows have `len` numbers, that of the gates twice as many.
            unsafe {
                let first = S::load_n(self.gates.wrapping_add(at), n);
                let second = S::load_n(self.gates.wrapping_add(self.len + at), n);
                let a = S::mul(first, S::load_n(self.a.wrapping_add(at), n));
                let v = S::fma(second, S::load_n(self.b.wrapping_add(at), n), a);
                S::store_n(self.to.wrapping_add(at), v, n);
            }
            at += S::LANES;
        }
    }
}

/// One row, normalised; `from` may be `to`.
pub(super) struct Row {
    pub(super) from: *const f32,
    pub(super) to: *mut f32,
    pub(super) len: usize,
    pub(super) weight: *const f32,
    pub(super) bias: *const f32,
    pub(super) eps: f32,
}

impl Kernel for Row {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: rows have `len` numbers.
        unsafe {
            let mean = S::splat(self.sum::<S, false>(self.from, S::splat(0.0)) / self.len as f32);
            let variance = self.sum::<S, true>(self.from, mean) / self.len as f32;
            let factor = S::splat(1.0 / (variance + self.eps).sqrt());
            let mut at = 0;
            while at < self.len {
                let n = self.len - at;
                let centred = S::sub(self.load::<S>(self.from, at), mean);
                let scale = S::mul(self.load::<S>(self.weight, at), factor);
                let v = S::fma(centred, scale, self.load::<S>(self.bias, at));
                if n >= S::LANES {
                    S::store(self.to.wrapping_add(at), v)
                } else {
                    S::store_n(self.to.wrapping_add(at), v, n)
                }
                at += S::LANES;
            }
        }
    }
}

impl Row {
    /// A vector at `at`, zeros beyond the row.
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, row: *const f32, at: usize) -> S::V {
        let n = self.len - at;
        // SAFETY: rows have `len` numbers.
        unsafe {
            if n >= S::LANES {
                S::load(row.wrapping_add(at))
            } else {
                S::load_n(row.wrapping_add(at), n)
            }
        }
    }

    /// Sum of the row, or of the squares of its distances from `centre`.
    #[inline(always)]
    unsafe fn sum<S: Simd, const SQUARES: bool>(&self, row: *const f32, centre: S::V) -> f32 {
        // SAFETY: rows have `len` numbers.
        unsafe {
            let mut sums = [S::splat(0.0); 2];
            let (mut at, mut odd) = (0, 0);
            while at + S::LANES <= self.len {
                let v = S::load(row.wrapping_add(at));
                let d = S::sub(v, centre);
                sums[odd] = if SQUARES {
                    S::fma(d, d, sums[odd])
                } else {
                    S::add(v, sums[odd])
                };
                at += S::LANES;
                odd ^= 1;
            }
            let mut sum = S::sum(S::add(sums[0], sums[1]));
            let centre = S::greatest(centre);
            while at < self.len {
                let v = row.wrapping_add(at).read();
                sum += if SQUARES {
                    (v - centre) * (v - centre)
                } else {
                    v
                };
                at += 1;
            }
            sum
        }
    }
}
