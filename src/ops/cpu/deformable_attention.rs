//! Deformable attention: for each query and head the weighted pixels first, then their sum by vectors of channels.

#![allow(unsafe_code)]

use super::{
    memory::{Input, Output, Shared, even},
    parallel,
    simd::{Isa, Kernel, Simd},
};
use crate::ops::types::result::Result;
use candle_core::Tensor;

/// See [`crate::ops::deformable_attention`].
pub(crate) fn deformable_attention(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    locations: &Tensor,
    weights: &Tensor,
) -> Result<Tensor> {
    let ((b, q, heads, p, two), (vb, tokens, c)) = (locations.dims5()?, value.dims3()?);
    let fits = levels.len() == points.len()
        && levels.iter().map(|(h, w)| h * w).sum::<usize>() == tokens
        && points.iter().sum::<usize>() == p
        && weights.dims() == [b, q, heads, p]
        && (vb, two) == (b, 2)
        && heads > 0
        && c % heads == 0;
    if !fits {
        let shapes = (value.shape(), locations.shape(), weights.shape());
        candle_core::bail!(
            "deformable_attention: {shapes:?} for levels {levels:?} with {points:?} points"
        );
    }
    let (value, locations, weights) =
        (even(value)?, locations.contiguous()?, weights.contiguous()?);
    let op = "deformable_attention";
    let input = Input::<f32>::new(&value, op)?;
    let (locations, weights) = (
        Input::<f32>::new(&locations, op)?,
        Input::<f32>::new(&weights, op)?,
    );
    let mut out = Output::new(b * q * c);
    let (isa, d, stride) = (Isa::best(), c / heads, input.stride);
    let pointers = Shared::new((input.ptr(), out.ptr()));
    let (locations, weights) = (locations.slice(), weights.slice());
    parallel::over(b * q, b * q * c * p * 4, |range| {
        let (value, out) = pointers.get();
        let mut taps = Vec::with_capacity(4 * p);
        for item in range {
            let image = value.wrapping_add(item / q * tokens * stride);
            for head in 0..heads {
                let first = (item * heads + head) * p;
                taps.clear();
                collect(
                    &mut taps,
                    levels,
                    points,
                    &locations[2 * first..][..2 * p],
                    &weights[first..][..p],
                );
                let (from, to) = (
                    image.wrapping_add(head * d),
                    out.wrapping_add((item * heads + head) * d),
                );
                // SAFETY: taps are tokens of the image; each query and head has its own place in the output.
                unsafe {
                    isa.run(Gather {
                        taps: &taps,
                        from,
                        stride,
                        to,
                        d,
                    })
                };
            }
        }
    });
    // SAFETY: the ranges cover all queries.
    unsafe { out.into_tensor(&[b, q, c]) }
}

/// Tokens and weights of all corners that lie within their level.
fn collect(
    taps: &mut Vec<(usize, f32)>,
    levels: &[(usize, usize)],
    points: &[usize],
    locations: &[f32],
    weights: &[f32],
) {
    let (mut token, mut point) = (0, 0);
    for (&(h, w), &n) in levels.iter().zip(points) {
        for i in point..point + n {
            let (x, y) = (
                locations[2 * i] * w as f32 - 0.5,
                locations[2 * i + 1] * h as f32 - 0.5,
            );
            let (x0, y0) = (x.floor(), y.floor());
            let (fx, fy) = (x - x0, y - y0);
            for (dx, dy, share) in [
                (0.0, 0.0, (1.0 - fx) * (1.0 - fy)),
                (1.0, 0.0, fx * (1.0 - fy)),
                (0.0, 1.0, (1.0 - fx) * fy),
                (1.0, 1.0, fx * fy),
            ] {
                let (cx, cy) = (x0 + dx, y0 + dy);
                if cx >= 0.0 && cx < w as f32 && cy >= 0.0 && cy < h as f32 {
                    taps.push((token + cy as usize * w + cx as usize, share * weights[i]));
                }
            }
        }
        token += h * w;
        point += n;
    }
}

/// `to = Σ weight · token` over `d` channels.
struct Gather<'a> {
    taps: &'a [(usize, f32)],
    from: *const f32,
    stride: usize,
    to: *mut f32,
    d: usize,
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut c = 0;
        while c < self.d {
            let n = S::LANES.min(self.d - c);
            // SAFETY: tokens have `d` channels from `from` on.
            unsafe {
                let mut sum = S::splat(0.0);
                for &(token, weight) in self.taps {
                    let at = self.from.wrapping_add(token * self.stride + c);
                    let v = if n == S::LANES {
                        S::load(at)
                    } else {
                        S::load_n(at, n)
                    };
                    sum = S::fma(v, S::splat(weight), sum);
                }
                let to = self.to.wrapping_add(c);
                if n == S::LANES {
                    S::store(to, sum)
                } else {
                    S::store_n(to, sum, n)
                }
            }
            c += S::LANES;
        }
    }
}
