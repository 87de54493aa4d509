//! Boxes as distributions of their edges.

#![allow(unsafe_code)]

use super::{
    memory::{Input, Output, Shared},
    parallel,
    simd::{Isa, Kernel, Simd},
    softmax::Exponentials,
};
use crate::ops::types::result::Result;
use candle_core::Tensor;

/// Edges of a box.
const EDGES: usize = 4;
/// Steps that each logit takes, as [`parallel`] counts them.
const STEPS: usize = 16;

/// See [`crate::ops::refine_boxes`].
pub(crate) fn refine_boxes(
    logits: &Tensor,
    reference: &Tensor,
    offsets: &Tensor,
    reg_scale: f32,
) -> Result<Tensor> {
    let ((b, q, numbers), bins) = (logits.dims3()?, offsets.elem_count());
    if reference.dims() != [b, q, EDGES] || numbers != EDGES * bins || bins == 0 {
        let (logits, reference) = (logits.shape(), reference.shape());
        candle_core::bail!("refine_boxes: {logits:?} by {reference:?} in {bins} bins");
    }
    let (reference, offsets) = (reference.contiguous()?, offsets.contiguous()?);
    let reference = Input::<f32>::new(&reference, "refine_boxes")?;
    let offsets = Input::<f32>::new(&offsets, "refine_boxes")?;
    let (reference, offsets) = (reference.slice(), &offsets.slice()[..bins]);
    distributions(
        logits,
        bins,
        EDGES,
        &[b, q, EDGES],
        |isa, edges, query, to| {
            let mut moved = [0.0; EDGES];
            for (moved, edge) in moved.iter_mut().zip(edges.chunks_exact(bins)) {
                // SAFETY: both have as many numbers.
                *moved = unsafe { isa.run(Dot(edge, offsets)) } + 0.5 * reg_scale;
            }
            let reference = &reference[EDGES * query..][..EDGES];
            for axis in 0..2 {
                let (centre, unit) = (reference[axis], reference[2 + axis] * (1.0 / reg_scale));
                let near = centre - moved[axis] * unit;
                let far = centre + moved[2 + axis] * unit;
                (to[axis], to[2 + axis]) = ((near + far) * 0.5, far - near);
            }
        },
    )
}

/// See [`crate::ops::top_probabilities`].
pub(crate) fn top_probabilities(logits: &Tensor, bins: usize, top: usize) -> Result<Tensor> {
    let (b, q, numbers) = logits.dims3()?;
    if numbers != EDGES * bins || top == 0 || top > bins {
        candle_core::bail!(
            "top_probabilities: {top} of {bins} bins of {:?}",
            logits.shape()
        );
    }
    let width = EDGES * (top + 1);
    distributions(logits, bins, width, &[b, q, width], |_, edges, _, to| {
        for (edge, to) in edges.chunks_exact(bins).zip(to.chunks_exact_mut(top + 1)) {
            let (best, mean) = to.split_at_mut(top);
            best.fill(0.0);
            for &probability in edge {
                let mut moving = probability;
                for best in best.iter_mut() {
                    if moving > *best {
                        std::mem::swap(best, &mut moving);
                    }
                }
            }
            mean[0] = best.iter().sum::<f32>() / top as f32;
        }
    })
}

/// For each query of `logits` `[B, Q, 4·bins]` what `write` makes of its four distributions, `width` numbers: `shape`.
fn distributions(
    logits: &Tensor,
    bins: usize,
    width: usize,
    shape: &[usize],
    write: impl Fn(Isa, &[f32], usize, &mut [f32]) + Sync,
) -> Result<Tensor> {
    let logits = logits.contiguous()?;
    let logits = Input::<f32>::new(&logits, "distributions")?;
    let queries = shape[..shape.len() - 1].iter().product::<usize>();
    let mut out = Output::new(queries * width);
    let (isa, from, to) = (Isa::best(), logits.slice(), Shared::new(out.ptr()));
    parallel::over(queries, queries * EDGES * bins * STEPS, |range| {
        let mut edges = vec![0.0; EDGES * bins];
        for query in range {
            edges.copy_from_slice(&from[query * EDGES * bins..][..EDGES * bins]);
            let mut factors = [0.0; EDGES];
            let softmax = Exponentials {
                rows: edges.as_mut_ptr(),
                stride: bins,
                len: bins,
                scale: 1.0,
                bias: None,
                sums: &mut factors,
            };
            // SAFETY: the rows are those of `edges`.
            unsafe { isa.run(softmax) };
            for (edge, factor) in edges.chunks_exact_mut(bins).zip(factors) {
                edge.iter_mut().for_each(|number| *number *= factor);
            }
            let to = to.get().wrapping_add(query * width);
            // SAFETY: each query has its own place in the output, which is written whole before it is a tensor; zeros until then.
            let to = unsafe {
                to.write_bytes(0, width);
                std::slice::from_raw_parts_mut(to, width)
            };
            write(isa, &edges, query, to);
        }
    });
    // SAFETY: the ranges cover all queries.
    unsafe { out.into_tensor(shape) }
}

/// The sum of the products of as many numbers.
struct Dot<'a>(&'a [f32], &'a [f32]);

impl Kernel for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        let Self(a, b) = self;
        let len = a.len().min(b.len());
        let mut at = 0;
        // SAFETY: `at` stays below the length of both.
        unsafe {
            let mut sum = S::splat(0.0);
            while at < len {
                let n = S::LANES.min(len - at);
                let a = S::load_n(a.as_ptr().wrapping_add(at), n);
                sum = S::fma(a, S::load_n(b.as_ptr().wrapping_add(at), n), sum);
                at += S::LANES;
            }
            S::sum(sum)
        }
    }
}
