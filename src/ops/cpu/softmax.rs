//! Softmax of rows.

#![allow(unsafe_code)]

use super::{
    math,
    simd::{Kernel, Simd},
};

/// Replaces each row by `exp(scale·row + bias - max)` and hands back one over its sum.
pub(super) struct Exponentials<'a> {
    /// `sums.len()` rows, `stride` apart.
    pub(super) rows: *mut f32,
    pub(super) stride: usize,
    pub(super) len: usize,
    pub(super) scale: f32,
    /// As many rows of `len` numbers, one after another.
    pub(super) bias: Option<*const f32>,
    /// Receives one over the sum of each row.
    pub(super) sums: &'a mut [f32],
}

/// Numbers of the lanes of a vector.
static LANE: [f32; 16] = [
    0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.,
];

/// The first `n` lanes of `v`, `other` in those beyond.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn first<S: Simd>(v: S::V, n: usize, other: f32) -> S::V {
    // SAFETY: the caller vouches for the instruction set; `LANE` holds a whole vector.
    unsafe {
        S::if_greater(
            S::splat(n as f32),
            S::load(LANE.as_ptr()),
            v,
            S::splat(other),
        )
    }
}

impl Kernel for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let whole = self.len / S::LANES * S::LANES;
        let rest = self.len - whole;
        for (i, sum) in self.sums.iter_mut().enumerate() {
            let row = self.rows.wrapping_add(i * self.stride);
            let bias = self.bias.map(|bias| bias.wrapping_add(i * self.len));
            // SAFETY: rows and bias have `len` numbers, says the type.
            unsafe {
                let scale = S::splat(self.scale);
                let mut most = S::splat(f32::NEG_INFINITY);
                let mut at = 0;
                while at < whole {
                    let v = S::load(row.wrapping_add(at));
                    let v = match bias {
                        Some(bias) => S::fma(v, scale, S::load(bias.wrapping_add(at))),
                        None => S::mul(v, scale),
                    };
                    S::store(row.wrapping_add(at), v);
                    most = S::max(v, most);
                    at += S::LANES;
                }
                if rest > 0 {
                    let v = S::load_n(row.wrapping_add(at), rest);
                    let v = match bias {
                        Some(bias) => S::fma(v, scale, S::load_n(bias.wrapping_add(at), rest)),
                        None => S::mul(v, scale),
                    };
                    S::store_n(row.wrapping_add(at), v, rest);
                    most = S::max(first::<S>(v, rest, f32::NEG_INFINITY), most);
                }
                let most = S::splat(S::greatest(most));
                let mut total = S::splat(0.0);
                at = 0;
                while at < whole {
                    let e = math::exp::<S>(S::sub(S::load(row.wrapping_add(at)), most));
                    S::store(row.wrapping_add(at), e);
                    total = S::add(total, e);
                    at += S::LANES;
                }
                if rest > 0 {
                    let e = math::exp::<S>(S::sub(S::load_n(row.wrapping_add(at), rest), most));
                    S::store_n(row.wrapping_add(at), e, rest);
                    total = S::add(total, first::<S>(e, rest, 0.0));
                }
                *sum = 1.0 / S::sum(total);
            }
        }
    }
}

/// Multiplies row `i` of `len` numbers by `factors[i]`.
pub(super) struct ScaleRows<'a> {
    pub(super) rows: &'a [*mut f32],
    pub(super) len: usize,
    pub(super) factors: &'a [f32],
}

impl Kernel for ScaleRows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (&row, &factor) in self.rows.iter().zip(self.factors) {
            let mut at = 0;
            // SAFETY: rows have `len` numbers, says the type.
            unsafe {
                while at < self.len {
                    let (to, n) = (row.wrapping_add(at), self.len - at);
                    if n >= S::LANES {
                        S::store(to, S::mul(S::load(to), S::splat(factor)));
                    } else {
                        S::store_n(to, S::mul(S::load_n(to, n), S::splat(factor)), n);
                    }
                    at += S::LANES;
                }
            }
        }
    }
}
