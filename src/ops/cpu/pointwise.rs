//! Operations on numbers or rows one by one: activations, sums, softmax, channels put side by side.

#![allow(unsafe_code)]

use super::{
    math::Activate,
    memory::{Input, Output, Shared, even},
    parallel,
    simd::{Isa, Kernel, Simd},
    softmax::{Exponentials, ScaleRows},
};
use crate::ops::types::{activation::Activation, result::Result};
use candle_core::Tensor;

/// Numbers a task takes at least: an activation costs about as much as this many of the steps that [`parallel`] counts.
const STEPS: usize = 8;

/// See [`crate::ops::activate`].
pub(crate) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    let (shape, x) = (x.dims(), x.contiguous()?);
    let input = Input::<f32>::new(&x, "activate")?;
    let len = x.elem_count();
    let mut out = Output::new(len);
    let (isa, pointers) = (Isa::best(), Shared::new((input.ptr(), out.ptr())));
    // Pieces of whole cache lines.
    parallel::over(len.div_ceil(16), len * STEPS, |range| {
        let (from, to) = pointers.get();
        let (start, end) = (range.start * 16, (range.end * 16).min(len));
        let (from, to) = (from.wrapping_add(start), to.wrapping_add(start));
        // SAFETY: both have `len` numbers, and ranges are disjoint.
        unsafe {
            isa.run(Activate {
                from,
                to,
                len: end - start,
                activation,
                affine: None,
                coarse: false,
            })
        };
    });
    // SAFETY: the ranges cover all numbers.
    unsafe { out.into_tensor(shape) }
}

/// See [`crate::ops::add`].
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        candle_core::bail!("add: {:?} and {:?}", a.shape(), b.shape());
    }
    let (shape, a, b) = (a.dims(), a.contiguous()?, b.contiguous()?);
    let (a, b) = (Input::<f32>::new(&a, "add")?, Input::<f32>::new(&b, "add")?);
    let len = shape.iter().product::<usize>();
    let mut out = Output::new(len);
    let (isa, pointers) = (Isa::best(), Shared::new((a.ptr(), b.ptr(), out.ptr())));
    parallel::over(len.div_ceil(16), len * STEPS, |range| {
        let (a, b, to) = pointers.get();
        let (start, end) = (range.start * 16, (range.end * 16).min(len));
        let sum = Sum {
            a: a.wrapping_add(start),
            b: b.wrapping_add(start),
            to: to.wrapping_add(start),
            len: end - start,
        };
        // SAFETY: all have `len` numbers, and ranges are disjoint.
        unsafe { isa.run(sum) };
    });
    // SAFETY: the ranges cover all numbers.
    unsafe { out.into_tensor(shape) }
}

/// `to[i] = a[i] + b[i]` for `len` numbers; all may be the same memory.
pub(super) struct Sum {
    pub(super) a: *const f32,
    pub(super) b: *const f32,
    pub(super) to: *mut f32,
    pub(super) len: usize,
}

impl Kernel for Sum {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut i = 0;
        // SAFETY: `i` stays below `len`.
        unsafe {
            while i + S::LANES <= self.len {
                let sum = S::add(
                    S::load(self.a.wrapping_add(i)),
                    S::load(self.b.wrapping_add(i)),
                );
                S::store(self.to.wrapping_add(i), sum);
                i += S::LANES;
            }
            let n = self.len - i;
            if n > 0 {
                S::store_n(
                    self.to.wrapping_add(i),
                    S::add(
                        S::load_n(self.a.wrapping_add(i), n),
                        S::load_n(self.b.wrapping_add(i), n),
                    ),
                    n,
                );
            }
        }
    }
}

/// See [`crate::ops::softmax`].
pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    let (shape, x) = (x.dims(), even(x)?);
    let Some(&len) = shape.last() else {
        candle_core::bail!("softmax: a number without dimensions")
    };
    let input = Input::<f32>::new(&x, "softmax")?;
    let rows = shape.iter().rev().skip(1).product::<usize>();
    let mut out = Output::new(rows * len);
    let (isa, stride, pointers) = (
        Isa::best(),
        input.stride,
        Shared::new((input.ptr(), out.ptr())),
    );
    parallel::over(rows, rows * len * STEPS, |range| {
        let (from, to) = pointers.get();
        for row in range {
            let to = to.wrapping_add(row * len);
            let mut sum = [0.0];
            // SAFETY: the rows lie within the memory of both, and are disjoint.
            unsafe {
                std::ptr::copy_nonoverlapping(from.wrapping_add(row * stride), to, len);
                isa.run(Exponentials {
                    rows: to,
                    stride: len,
                    len,
                    scale: 1.0,
                    bias: None,
                    sums: &mut sum,
                });
                isa.run(ScaleRows {
                    rows: &[to],
                    len,
                    factors: &sum,
                });
            }
        }
    });
    // SAFETY: the ranges cover all rows.
    unsafe { out.into_tensor(shape) }
}

/// See [`crate::ops::concat_channels`].
pub(crate) fn concat_channels(parts: &[&Tensor]) -> Result<Tensor> {
    let Some((outer, _)) = parts
        .first()
        .and_then(|x| x.dims().split_last().map(|(last, outer)| (outer, *last)))
    else {
        candle_core::bail!("concat_channels: nothing to put together")
    };
    if let Some(other) = parts
        .iter()
        .find(|x| x.dims().split_last().is_none_or(|(_, o)| o != outer))
    {
        candle_core::bail!(
            "concat_channels: {:?} beside {:?}",
            other.shape(),
            parts[0].shape()
        );
    }
    let parts = parts.iter().map(|x| even(x)).collect::<Result<Vec<_>>>()?;
    let inputs = parts
        .iter()
        .map(|x| Input::<f32>::new(x, "concat_channels"))
        .collect::<Result<Vec<_>>>()?;
    let rows = outer.iter().product::<usize>();
    let pieces: Vec<_> = inputs
        .iter()
        .zip(&parts)
        .map(|(i, x)| (i.ptr(), i.stride, x.dims().last().copied().unwrap_or(0)))
        .collect();
    let width = pieces.iter().map(|piece| piece.2).sum::<usize>();
    let mut out = Output::new(rows * width);
    let pointers = Shared::new((pieces.as_slice(), out.ptr()));
    parallel::over(rows, rows * width * STEPS, |range| {
        let (pieces, out) = pointers.get();
        for row in range {
            let mut to = out.wrapping_add(row * width);
            for &(from, stride, len) in pieces {
                // SAFETY: the rows lie within the memory of both, and are disjoint.
                unsafe { std::ptr::copy_nonoverlapping(from.wrapping_add(row * stride), to, len) };
                to = to.wrapping_add(len);
            }
        }
    });
    let shape: Vec<usize> = outer.iter().copied().chain([width]).collect();
    // SAFETY: the ranges cover all rows, and the pieces each row.
    unsafe { out.into_tensor(&shape) }
}
