//! Scaled dot-product attention.

use super::{LayerNorm, Linear, PositionBias, Products, Result, cpu, cuda};
use candle_core::Tensor;
use candle_nn::Module;
use std::sync::Arc;

/// `softmax(q·kᵀ·scale + bias)·v` over heads laid side by side in the channels.
///
/// q `[B, Nq, heads·d]`, k `[B, Nk, heads·d]`, v `[B, Nk, heads·dv]`, bias `[heads, Nq, Nk]` or none: `[B, Nq, heads·dv]`.
/// The softmax is over the keys, in f32. A batch of 1 of q, or of k and v, stands for all.
///
/// # Errors
/// If the shapes do not fit.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    scale: f32,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    attention_in(q, k, v, heads, scale, bias, Products::F32)
}

/// [`attention`] with another type of products on the CPU; a GPU goes by the type of q.
///
/// # Errors
/// As [`attention`].
pub fn attention_in(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    scale: f32,
    bias: Option<&Tensor>,
    products: Products,
) -> Result<Tensor> {
    if !cpu::is_cpu(q) {
        return cuda::attention(q, k, v, heads, scale, bias);
    }
    let ((b, nq, c), batch) = (q.dims3()?, k.dim(0)?);
    if b > 1 && batch == 1 {
        if bias.is_none() {
            // Queries do not see each other: those of all can stand in one row before the shared keys.
            return cpu::attention(
                &q.contiguous()?.reshape((1, b * nq, c))?,
                k,
                v,
                heads,
                scale,
                None,
                products,
            )?
            .reshape((b, nq, ()));
        }
        let each = |t: &Tensor| t.broadcast_as((b, t.dim(1)?, t.dim(2)?))?.contiguous();
        return cpu::attention(q, &each(k)?, &each(v)?, heads, scale, bias, products);
    }
    if b == 1 && batch > 1 {
        return cpu::attention(
            &q.broadcast_as((batch, nq, c))?.contiguous()?,
            k,
            v,
            heads,
            scale,
            bias,
            products,
        );
    }
    cpu::attention(q, k, v, heads, scale, bias, products)
}

/// [`attention`] within windows of `window`×`window` tokens of a map, ready to run.
#[derive(Debug, Clone)]
pub struct WindowAttention {
    padding: Tensor,
    bias: Option<PositionBias>,
    window: usize,
    heads: usize,
    scale: f32,
    products: Products,
    on_device: Option<Arc<cuda::WindowAttention>>,
}

impl WindowAttention {
    /// - `padding` `[3·heads·d]`: queries, keys and values of the tokens that fill up the map at right and bottom to whole windows;
    ///   they are attended to, but have no output;
    /// - `bias` on the device of `padding`, or none.
    ///
    /// # Errors
    /// If `bias` was made for other windows, heads or scores, or memory ran out.
    pub fn new(
        padding: &Tensor,
        window: usize,
        heads: usize,
        scale: f32,
        bias: Option<&PositionBias>,
    ) -> Result<Self> {
        if let Some(bias) = bias
            && !bias.is_for(window, heads, scale)
        {
            candle_core::bail!(
                "window_attention: {heads} heads, window {window}, scale {scale}: a bias {:?} that was made for others",
                bias.pairs().shape()
            );
        }
        let on_device = if cpu::is_cpu(padding) {
            None
        } else {
            Some(Arc::new(cuda::WindowAttention::new(
                padding, window, heads, scale, bias,
            )?))
        };
        Ok(Self {
            padding: padding.clone(),
            bias: bias.cloned(),
            window,
            heads,
            scale,
            products: Products::F32,
            on_device,
        })
    }

    /// The same with another type of products on the CPU; a GPU goes by the type of its input.
    #[must_use]
    pub fn with_products(self, products: Products) -> Self {
        Self { products, ..self }
    }

    fn on_host(&self) -> cpu::Attention<'_> {
        cpu::Attention {
            padding: &self.padding,
            window: self.window,
            heads: self.heads,
            scale: self.scale,
            bias: self.bias.as_ref().map(PositionBias::pairs),
            products: self.products,
        }
    }

    /// `x + proj(attention(qkv(norm(x))))` for x `[B, H, W, heads·d]`; on the CPU the maps in between are not kept whole.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_block(
        &self,
        x: &Tensor,
        norm: &LayerNorm,
        qkv: &Linear,
        proj: &Linear,
    ) -> Result<Tensor> {
        if let (Some(qkv), Some(proj), None) = (qkv.on_host(), proj.on_host(), &self.on_device)
            && let Some(y) = cpu::window_block(x, &norm.host_norm(), qkv, &self.on_host(), proj)?
        {
            return Ok(y);
        }
        proj.forward_add(&self.forward(&qkv.forward(&norm.forward(x)?)?)?, x)
    }
}

impl Module for WindowAttention {
    /// `qkv` `[B, H, W, 3·heads·d]`, each token's queries of all heads, then its keys, then its values, to `[B, H, W, heads·d]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn forward(&self, qkv: &Tensor) -> candle_core::Result<Tensor> {
        match &self.on_device {
            Some(on_device) => on_device.forward(qkv),
            None => cpu::window_attention(
                qkv,
                &self.padding,
                self.window,
                self.heads,
                self.scale,
                self.bias.as_ref().map(PositionBias::pairs),
                self.products,
            ),
        }
    }
}
