//! Attention within windows with the products around it, a few windows at a time, so that queries, keys and values stay in the caches.

#![allow(unsafe_code)]

use super::{
    attention_head::{Head, Shape, Tokens},
    gemm::{Gemm, Strided},
    linear::Linear,
    memory::{Input, Output, Shared},
    norm::{Norm, Row},
    packed::Packed,
    parallel,
    pointwise::Sum,
    simd::Isa,
    window_attention::{Attention, Windows},
};
use crate::ops::types::{activation::Activation, result::Result};
use candle_core::Tensor;
use std::ops::Range;

/// Tokens that are worked on at a time, about: their queries, keys and values fill half of a core's second-level cache.
const TOKENS: usize = 200;

/// See [`crate::ops::WindowAttention::forward_block`]; none where the layers are not of the kind that this is for, or there
/// are more threads than tasks.
pub(crate) fn window_block(
    x: &Tensor,
    norm: &Norm<'_>,
    qkv: (&Linear, Activation),
    attention: &Attention<'_>,
    proj: (&Linear, Activation),
) -> Result<Option<Tensor>> {
    let (b, h, w, c) = x.dims4()?;
    let (of_qkv, of_proj) = (qkv.0.weights(), proj.0.weights());
    let fits = (of_qkv.inner, of_qkv.columns) == (c, 3 * c)
        && (of_proj.inner, of_proj.columns) == (c, c)
        && (norm.weight.dims(), norm.bias.dims()) == (&[c], &[c])
        && (qkv.1, proj.1) == (Activation::Identity, Activation::Identity);
    if !fits {
        return Ok(None);
    }
    attention.check(&[b, h, w, 3 * c])?;
    let op = "window_block";
    let tensors = [x, norm.weight, norm.bias, attention.padding].map(Tensor::contiguous);
    let [x, weight, bias, padding] = tensors;
    let (x, weight, bias, padding) = (x?, weight?, bias?, padding?);
    let (x, padding) = (Input::<f32>::new(&x, op)?, Input::<f32>::new(&padding, op)?);
    let (weight, bias) = (
        Input::<f32>::new(&weight, op)?,
        Input::<f32>::new(&bias, op)?,
    );
    let pairs = attention.bias.map(Tensor::contiguous).transpose()?;
    let pairs = (pairs.as_ref().map(|pairs| Input::<f32>::new(pairs, op))).transpose()?;
    let pairs = pairs.as_ref().map(Input::ptr);
    let window = attention.window;
    let mut out = Output::new(b * h * w * c);
    let products = of_qkv.products.or(of_proj.products).or(attention.products);
    let beside = (TOKENS / (window * window)).clamp(1, w.div_ceil(window).max(1));
    let block = Block {
        isa: Isa::best_for(products),
        x: x.ptr(),
        out: out.ptr(),
        size: (h, w),
        channels: c,
        window,
        beside,
        norm: (weight.ptr(), bias.ptr(), norm.eps),
        qkv: of_qkv,
        proj: of_proj,
        padding: padding.ptr(),
        shape: attention.shape(beside, c, pairs.map(Shared::new)),
    };
    let groups = b * block.groups().0 * block.groups().1;
    if groups < rayon::current_num_threads() {
        return Ok(None);
    }
    let work = b * h * w * c * (4 * c + 2 * window * window) / 4;
    // SAFETY: the pointers are those of tensors of these shapes; the windows cover the map.
    parallel::over(groups, work, |range| unsafe { block.run(range) });
    // SAFETY: the groups cover all tokens of all images.
    unsafe { out.into_tensor(&[b, h, w, c]).map(Some) }
}

struct Block<'a> {
    isa: Isa,
    x: *const f32,
    out: *mut f32,
    size: (usize, usize),
    channels: usize,
    window: usize,
    /// Windows of a group.
    beside: usize,
    /// Weight, bias and what is added to the variance.
    norm: (*const f32, *const f32, f32),
    qkv: &'a Packed,
    proj: &'a Packed,
    padding: *const f32,
    shape: Shape,
}

// SAFETY: inputs are only read; tasks write different windows of `out`.
unsafe impl Sync for Block<'_> {}

impl Block<'_> {
    /// Rows of windows, and groups of each.
    fn groups(&self) -> (usize, usize) {
        let (h, w) = self.size;
        (
            h.div_ceil(self.window),
            w.div_ceil(self.beside * self.window),
        )
    }

    /// Some groups, on this thread.
    ///
    /// # Safety
    /// The pointers are those of tensors of the block's shapes.
    unsafe fn run(&self, groups: Range<usize>) {
        let (isa, c) = (self.isa, self.channels);
        let tokens = self.beside * self.window * self.window;
        // What comes of the normalisation, and then of the last product.
        let mut ends = Output::new(tokens * c);
        let mut qkv = Output::new(tokens * 3 * c);
        let mut attended = Output::new(tokens * c);
        let mut head = Head::new(isa, &self.shape);
        for group in groups {
            let (first, (rows, columns)) = self.place(group);
            let (w, line) = (self.size.1, columns * c);
            let (weight, bias, eps) = self.norm;
            // SAFETY: the caller vouched for the pointers, and the memory has room for a group's tokens.
            unsafe {
                for token in 0..rows * columns {
                    let at = (first + token / columns * w + token % columns) * c;
                    isa.run(Row {
                        from: self.x.wrapping_add(at),
                        to: ends.ptr().wrapping_add(token * c),
                        len: c,
                        weight,
                        bias,
                        eps,
                    });
                }
                self.product(self.qkv, ends.ptr(), rows * columns, qkv.ptr());
                let map = (qkv.ptr().cast_const(), 3 * c);
                let windows = Windows::new(
                    map,
                    self.padding,
                    attended.ptr(),
                    (rows, columns),
                    (self.window, c),
                );
                for set in 0..columns.div_ceil(self.window) {
                    for number in 0..self.shape.heads {
                        head.attend(&windows, set, number, 0..windows.queries(set));
                    }
                }
                self.product(self.proj, attended.ptr(), rows * columns, ends.ptr());
                for row in 0..rows {
                    let at = (first + row * w) * c;
                    isa.run(Sum {
                        a: ends.ptr().wrapping_add(row * line),
                        b: self.x.wrapping_add(at),
                        to: self.out.wrapping_add(at),
                        len: line,
                    });
                }
            }
        }
    }

    /// The first token of a group among those of all images, and its rows and columns within the map.
    fn place(&self, group: usize) -> (usize, (usize, usize)) {
        let ((down, across), (h, w)) = (self.groups(), self.size);
        let (image, top) = (group / across / down, group / across % down * self.window);
        let (left, wide) = (
            group % across * self.beside * self.window,
            self.beside * self.window,
        );
        let first = (image * h + top) * w + left;
        (first, (self.window.min(h - top), wide.min(w - left)))
    }

    /// A layer of `rows` tokens, on this thread.
    ///
    /// # Safety
    /// Both have the tokens' numbers.
    unsafe fn product(&self, weights: &Packed, from: *const f32, rows: usize, out: *mut f32) {
        let gemm = Gemm::of_pixels(self.isa, weights, rows, out, None);
        let source = Strided {
            start: from,
            stride: weights.inner,
            inner: weights.inner,
        };
        // SAFETY: the caller vouched for the memory.
        unsafe { gemm.run_here(&source) }
    }
}
