//! Attention within windows of a map.

#![allow(unsafe_code)]

use super::{
    attention_head::{Shape, Tokens, run},
    memory::{Input, Output, Shared, even},
};
use crate::ops::types::{convolution::Products, result::Result};
use candle_core::Tensor;

/// What attention within windows has besides queries, keys and values.
pub(crate) struct Attention<'a> {
    /// Queries, keys and values of tokens beyond the map.
    pub(crate) padding: &'a Tensor,
    pub(crate) window: usize,
    pub(crate) heads: usize,
    pub(crate) scale: f32,
    /// `[heads, keys, keys]`.
    pub(crate) bias: Option<&'a Tensor>,
    pub(crate) products: Products,
}

impl Attention<'_> {
    /// An error if this is not for queries, keys and values of this shape.
    pub(super) fn check(&self, qkv: &[usize; 4]) -> Result<()> {
        let (c3, heads, window) = (qkv[3], self.heads, self.window);
        let keys = window * window;
        let fits = heads > 0 && window > 0 && c3 % (3 * heads) == 0 && self.padding.dims() == [c3];
        if !fits
            || self
                .bias
                .is_some_and(|bias| bias.dims() != [heads, keys, keys])
        {
            let (padding, bias) = (self.padding.shape(), self.bias.map(Tensor::shape));
            candle_core::bail!(
                "window_attention: qkv {qkv:?}, padding {padding:?}, bias {bias:?}: {heads} heads, window {window}"
            );
        }
        Ok(())
    }

    /// The shape of `sets` windows of `channels` with the numbers of the bias.
    pub(super) fn shape(
        &self,
        sets: usize,
        channels: usize,
        bias: Option<Shared<*const f32>>,
    ) -> Shape {
        let (keys, d) = (self.window * self.window, channels / self.heads);
        Shape {
            sets,
            heads: self.heads,
            keys,
            d: (d, d),
            scale: self.scale,
            bias: bias.map(|bias| (bias, keys)),
            products: self.products,
        }
    }
}

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
    let attention = Attention {
        padding,
        window,
        heads,
        scale,
        bias,
        products,
    };
    let (b, h, w, c3) = qkv.dims4()?;
    attention.check(&[b, h, w, c3])?;
    let op = "window_attention";
    let (c, qkv, padding) = (c3 / 3, even(qkv)?, padding.contiguous()?);
    let (input, padding) = (
        Input::<f32>::new(&qkv, op)?,
        Input::<f32>::new(&padding, op)?,
    );
    let bias = bias.map(Tensor::contiguous).transpose()?;
    let bias = (bias.as_ref().map(|bias| Input::<f32>::new(bias, op))).transpose()?;
    let bias = bias.as_ref().map(|bias| Shared::new(bias.ptr()));
    let mut out = Output::new(b * h * w * c);
    let map = (input.ptr(), input.stride);
    let map = Windows::new(map, padding.ptr(), out.ptr(), (h, w), (window, c));
    let shape = attention.shape(b * map.grid.0 * map.grid.1, c, bias);
    // SAFETY: the pointers are those of tensors of these shapes; the windows cover the map, so that each of its tokens is
    // written by each head.
    unsafe {
        run(&map, &shape, window * window);
        out.into_tensor(&[b, h, w, c])
    }
}

/// Windows of a map, read where its tokens lie.
pub(super) struct Windows {
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
    /// Windows of `window`² tokens of maps of this size, whose queries, keys and values have `channels` each; tokens are `stride` apart.
    pub(super) fn new(
        (qkv, stride): (*const f32, usize),
        padding: *const f32,
        out: *mut f32,
        size: (usize, usize),
        (window, channels): (usize, usize),
    ) -> Self {
        Self {
            qkv,
            padding,
            out,
            stride,
            size,
            window,
            grid: (size.0.div_ceil(window), size.1.div_ceil(window)),
            channels,
        }
    }

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
