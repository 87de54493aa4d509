//! Layer normalisation.

#![allow(unsafe_code)]

use super::{
    memory::{Input, Output, Shared, even},
    parallel,
    simd::{Isa, Kernel, Simd},
};
use crate::ops::types::result::Result;
use candle_core::Tensor;

/// See [`crate::ops::LayerNorm::forward`].
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    let (shape, x) = (x.dims(), even(x)?);
    let len = shape.last().copied().unwrap_or(0);
    if weight.dims() != [len] || bias.dims() != [len] || len == 0 {
        candle_core::bail!(
            "layer_norm: {:?} by {:?} and {:?}",
            x.shape(),
            weight.shape(),
            bias.shape()
        );
    }
    let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
    let (weight, bias) = (
        Input::<f32>::new(&weight, "layer_norm")?,
        Input::<f32>::new(&bias, "layer_norm")?,
    );
    let input = Input::<f32>::new(&x, "layer_norm")?;
    let rows = shape.iter().rev().skip(1).product::<usize>();
    let mut out = Output::new(rows * len);
    let (isa, stride) = (Isa::best(), input.stride);
    let pointers = Shared::new((input.ptr(), out.ptr(), weight.ptr(), bias.ptr()));
    parallel::over(rows, rows * len * 8, |range| {
        let (from, to, weight, bias) = pointers.get();
        let (from, to) = (
            from.wrapping_add(range.start * stride),
            to.wrapping_add(range.start * len),
        );
        // SAFETY: the rows lie within the memory of both, and are disjoint.
        unsafe {
            isa.run(Rows {
                from,
                stride,
                to,
                count: range.len(),
                len,
                weight,
                bias,
                eps,
            })
        };
    });
    // SAFETY: the ranges cover all rows.
    unsafe { out.into_tensor(shape) }
}

struct Rows {
    from: *const f32,
    stride: usize,
    to: *mut f32,
    count: usize,
    len: usize,
    weight: *const f32,
    bias: *const f32,
    eps: f32,
}

impl Kernel for Rows {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for row in 0..self.count {
            let (from, to) = (
                self.from.wrapping_add(row * self.stride),
                self.to.wrapping_add(row * self.len),
            );
            // SAFETY: rows have `len` numbers.
            unsafe {
                let mean = S::splat(self.sum::<S, false>(from, S::splat(0.0)) / self.len as f32);
                let variance = self.sum::<S, true>(from, mean) / self.len as f32;
                let factor = S::splat(1.0 / (variance + self.eps).sqrt());
                let mut at = 0;
                while at < self.len {
                    let n = self.len - at;
                    let centred = S::sub(self.load::<S>(from, at), mean);
                    let scale = S::mul(self.load::<S>(self.weight, at), factor);
                    let v = S::fma(centred, scale, self.load::<S>(self.bias, at));
                    if n >= S::LANES {
                        S::store(to.wrapping_add(at), v)
                    } else {
                        S::store_n(to.wrapping_add(at), v, n)
                    }
                    at += S::LANES;
                }
            }
        }
    }
}

impl Rows {
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
