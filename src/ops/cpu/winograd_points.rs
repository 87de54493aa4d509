//! The points of Winograd's F(4, 3): how numbers are brought to them and back, in one direction.
//!
//! They are 0, ±√½, ±√2 and ∞.

#![allow(unsafe_code)]

use super::simd::Simd;
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

/// Side of a tile of outputs.
pub(super) const OUT: usize = 4;
/// Side of a tile of inputs, and number of points in each direction.
pub(super) const IN: usize = OUT + 2;

/// What a kernel g0 + g1·x + g2·x² is at each point, over the product of the point's distances from the others.
pub(super) const KERNEL_AT: [[f64; 3]; IN] = {
    const ROOT: f64 = std::f64::consts::SQRT_2;
    [
        [1.0, 0.0, 0.0],
        [-1.0 / 1.5, -ROOT / 3.0, -1.0 / 3.0],
        [-1.0 / 1.5, ROOT / 3.0, -1.0 / 3.0],
        [1.0 / 6.0, ROOT / 6.0, 1.0 / 3.0],
        [1.0 / 6.0, -ROOT / 6.0, 1.0 / 3.0],
        [0.0, 0.0, 1.0],
    ]
};

/// Six numbers as seen from each point: coefficients of the products of (x - all other points).
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
pub(super) unsafe fn evaluate<S: Simd>(d: [S::V; IN]) -> [S::V; IN] {
    // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
    unsafe {
        let (near, far, both) = (S::splat(-2.0), S::splat(-0.5), S::splat(-2.5));
        let (near_even, near_odd) = (S::fma(d[2], near, d[4]), S::fma(d[1], near, d[3]));
        let (far_even, far_odd) = (S::fma(d[2], far, d[4]), S::fma(d[1], far, d[3]));
        [
            S::fma(d[2], both, S::add(d[0], d[4])),
            S::fma(near_odd, S::splat(FRAC_1_SQRT_2), near_even),
            S::fma(near_odd, S::splat(-FRAC_1_SQRT_2), near_even),
            S::fma(far_odd, S::splat(SQRT_2), far_even),
            S::fma(far_odd, S::splat(-SQRT_2), far_even),
            S::fma(d[3], both, S::add(d[1], d[5])),
        ]
    }
}

/// The four sums of which six numbers are what they are at each point: powers 0 to 3 of the points.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
pub(super) unsafe fn interpolate<S: Simd>(m: [S::V; IN]) -> [S::V; OUT] {
    // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
    unsafe {
        let (near, near_odd) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        let (far, far_odd) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
        [
            S::add(m[0], S::add(near, far)),
            S::fma(
                near_odd,
                S::splat(FRAC_1_SQRT_2),
                S::mul(S::splat(SQRT_2), far_odd),
            ),
            S::fma(near, S::splat(0.5), S::mul(S::splat(2.0), far)),
            S::fma(
                near_odd,
                S::splat(FRAC_1_SQRT_2 / 2.0),
                S::fma(far_odd, S::splat(2.0 * SQRT_2), m[5]),
            ),
        ]
    }
}
