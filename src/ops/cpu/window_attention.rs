//! Attention within windows of a map.

#![allow(unsafe_code)]

use super::{
    attention_head::{Shape, Tokens, run},
    memory::{Input, Output, Shared, even},
};
use crate::ops::types::{convolution::Products, result::Result};
use candle_core::Tensor;

/// See [`crate::ops::window_attention`].
pub(crate) fn window_attention(
    qkv: &Tensor,
    padding: &Tensor,
    window: usize,
    heads: usize,
    scale: f32,
    bias: Option<&Tensor>,
    products: Products,
) -> Result<Tensor> {
    let (b, h, w, c3) = qkv.dims4()?;
    let keys = window * window;
    let fits = heads > 0 && window > 0 && c3 % (3 * heads) == 0 && padding.dims() == [c3];
    if !fits || bias.is_some_and(|bias| bias.dims() != [heads, keys, keys]) {
        let (padding, bias) = (padding.shape(), bias.map(Tensor::shape));
        candle_core::bail!(
            "window_attention: qkv {:?}, padding {padding:?}, bias {bias:?}: {heads} heads, window {window}",
            qkv.shape()
        );
    }
    let (c, qkv, padding) = (c3 / 3, even(qkv)?, padding.contiguous()?);
    let (input, padding) = (
        Input::<f32>::new(&qkv, "window_attention")?,
        Input::<f32>::new(&padding, "window_attention")?,
    );
    let bias = bias.map(Tensor::contiguous).transpose()?;
    let bias = bias
        .as_ref()
        .map(|bias| Input::<f32>::new(bias, "window_attention"))
        .transpose()?;
    let mut out = Output::new(b * h * w * c);
    let grid = (h.div_ceil(window), w.div_ceil(window));
    let map = Windows {
        qkv: input.ptr(),
        padding: padding.ptr(),
        out: out.ptr(),
        stride: input.stride,
        size: (h, w),
        window,
        grid,
        channels: c,
    };
    let bias = bias.as_ref().map(|bias| (Shared::new(bias.ptr()), keys));
    let shape = Shape {
        sets: b * grid.0 * grid.1,
        heads,
        keys,
        d: (c / heads, c / heads),
        scale,
        bias,
        products,
    };
    // SAFETY: the pointers are those of tensors of these shapes; the windows cover the map, so that each of its tokens is
    // written by each head.
    unsafe {
        run(&map, &shape, keys);
        out.into_tensor(&[b, h, w, c])
    }
}

/// Windows of a map, read where its tokens lie.
struct Windows {
    qkv: *const f32,
    padding: *const f32,
    out: *mut f32,
    stride: usize,
    size: (usize, usize),
    window: usize,
    grid: (usize, usize),
    channels: usize,
}

// SAFETY: inputs are only read; tasks write different queries or heads of `out`.
unsafe impl Sync for Windows {}

impl Windows {
    /// Image, and the window's first row and column.
    fn origin(&self, set: usize) -> (usize, usize, usize) {
        let (rows, columns) = self.grid;
        (
            set / (rows * columns),
            set / columns % rows * self.window,
            set % columns * self.window,
        )
    }

    /// Width of the window within the map.
    fn width(&self, left: usize) -> usize {
        self.window.min(self.size.1 - left)
    }
}

impl Tokens for Windows {
    #[inline]
    fn queries(&self, set: usize) -> usize {
        let (_, top, left) = self.origin(set);
        self.window.min(self.size.0 - top) * self.width(left)
    }

    #[inline]
    fn query(&self, set: usize, i: usize) -> (*const f32, *mut f32) {
        let (image, top, left) = self.origin(set);
        let width = self.width(left);
        let at = (image * self.size.0 + top + i / width) * self.size.1 + left + i % width;
        (
            self.qkv.wrapping_add(at * self.stride),
            self.out.wrapping_add(at * self.channels),
        )
    }

    #[inline]
    fn key_value(&self, set: usize, j: usize) -> (*const f32, *const f32) {
        let (image, top, left) = self.origin(set);
        let (y, x) = (top + j / self.window, left + j % self.window);
        let inside = y < self.size.0 && x < self.size.1;
        let at = (image * self.size.0 + y) * self.size.1 + x;
        let token = if inside {
            self.qkv.wrapping_add(at * self.stride)
        } else {
            self.padding
        };
        (
            token.wrapping_add(self.channels),
            token.wrapping_add(2 * self.channels),
        )
    }

    #[inline]
    fn bias_row(&self, set: usize, i: usize) -> usize {
        let width = self.width(self.origin(set).2);
        i / width * self.window + i % width
    }
}
