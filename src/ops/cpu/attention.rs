//! Attention between any queries, keys and values.

#![allow(unsafe_code)]

use super::{
    attention_head::{Shape, Tokens, run},
    memory::{Input, Output, Shared, even},
};
use crate::ops::types::{convolution::Products, result::Result};
use candle_core::Tensor;

/// See [`crate::ops::attention`].
pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    scale: f32,
    bias: Option<&Tensor>,
    products: Products,
) -> Result<Tensor> {
    let ((b, nq, c), (bk, nk, ck), (bv, nv, cv)) = (q.dims3()?, k.dims3()?, v.dims3()?);
    let fits = bk == b
        && bv == b
        && nv == nk
        && ck == c
        && c > 0
        && heads > 0
        && c % heads == 0
        && cv % heads == 0
        && nk > 0;
    if !fits || bias.is_some_and(|bias| bias.dims() != [heads, nq, nk]) {
        let bias = bias.map(Tensor::shape);
        candle_core::bail!(
            "attention: q {:?}, k {:?}, v {:?} and bias {bias:?} for {heads} heads",
            q.shape(),
            k.shape(),
            v.shape()
        );
    }
    let (q, k, v) = (even(q)?, even(k)?, even(v)?);
    let inputs = (
        Input::<f32>::new(&q, "attention")?,
        Input::<f32>::new(&k, "attention")?,
        Input::<f32>::new(&v, "attention")?,
    );
    let bias = bias.map(Tensor::contiguous).transpose()?;
    let bias = bias
        .as_ref()
        .map(|bias| Input::<f32>::new(bias, "attention"))
        .transpose()?;
    let mut out = Output::new(b * nq * cv);
    let tokens = Batch {
        q: inputs.0.ptr(),
        k: inputs.1.ptr(),
        v: inputs.2.ptr(),
        out: out.ptr(),
        strides: (inputs.0.stride, inputs.1.stride, inputs.2.stride, cv),
        tokens: (nq, nk),
    };
    let bias = bias.as_ref().map(|bias| (Shared::new(bias.ptr()), nq));
    let shape = Shape {
        sets: b,
        heads,
        keys: nk,
        d: (c / heads, cv / heads),
        scale,
        bias,
        products,
    };
    // SAFETY: the pointers are those of tensors of these shapes; each query of each head is written.
    unsafe {
        run(&tokens, &shape, nq);
        out.into_tensor(&[b, nq, cv])
    }
}

/// Queries, keys and values of a batch.
struct Batch {
    q: *const f32,
    k: *const f32,
    v: *const f32,
    out: *mut f32,
    strides: (usize, usize, usize, usize),
    tokens: (usize, usize),
}

// SAFETY: inputs are only read; tasks write different queries or heads of `out`.
unsafe impl Sync for Batch {}

impl Tokens for Batch {
    #[inline]
    fn queries(&self, _: usize) -> usize {
        self.tokens.0
    }

    #[inline]
    fn query(&self, set: usize, i: usize) -> (*const f32, *mut f32) {
        let at = set * self.tokens.0 + i;
        (
            self.q.wrapping_add(at * self.strides.0),
            self.out.wrapping_add(at * self.strides.3),
        )
    }

    #[inline]
    fn key_value(&self, set: usize, j: usize) -> (*const f32, *const f32) {
        let at = set * self.tokens.1 + j;
        (
            self.k.wrapping_add(at * self.strides.1),
            self.v.wrapping_add(at * self.strides.2),
        )
    }

    #[inline]
    fn bias_row(&self, _: usize, i: usize) -> usize {
        i
    }
}
