//! The two-way transformer: prompt tokens attend to the image, the image attends to the tokens.
//!
//! What is the same for all N objects keeps a batch of 1 as long as it is: the image before the first attention to
//! tokens.

use super::{dimensions::EMBEDDING_CHANNELS, error::Loaded, layers::EPS};
use crate::{
    models::nn::{layer_norm, linear, products},
    ops::{self, Activation, LayerNorm, Linear, Params, Products, Result, add},
};
use candle_core::Tensor;
use candle_nn::Module;

/// Channels throughout.
const CHANNELS: usize = EMBEDDING_CHANNELS;
const DEPTH: usize = 2;
const HEADS: usize = 8;
const MLP_CHANNELS: usize = 2048;
/// Attention between tokens and image works in half the channels.
const CROSS_CHANNELS: usize = CHANNELS / 2;

#[derive(Debug, Clone)]
pub(super) struct TwoWayTransformer {
    blocks: Vec<TwoWayBlock>,
    final_attention: Attention,
    norm: LayerNorm,
}

impl TwoWayTransformer {
    pub(super) fn load(params: &Params) -> Loaded<Self> {
        let block = |i: usize| TwoWayBlock::load(&params.scope("layers").scope(i), i == 0);
        Ok(Self {
            blocks: (0..DEPTH).map(block).collect::<Loaded<_>>()?,
            final_attention: Attention::load(
                &params.scope("final_attn_token_to_image"),
                CROSS_CHANNELS,
            )?,
            norm: layer_norm(&params.scope("norm_final_attn"), CHANNELS, EPS)?,
        })
    }

    /// Tokens `[N, T, 256]` and image `[1 or N, P, 256]` after attending to each other, for `position` `[1, P, 256]` of
    /// the image. Of the tokens this gives the last attention `[N, T, 128]` and its queries `[N, T, 256]`, of which [`Self::ending`] makes them;
    /// the image is `[N, P, 256]`.
    pub(super) fn forward(
        &self,
        image: &Tensor,
        position: &Tensor,
        tokens: &Tensor,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let (mut queries, mut keys) = (tokens.clone(), image.clone());
        for block in &self.blocks {
            (queries, keys) = block.forward(&queries, &keys, tokens, position)?;
        }
        let q = add(&queries, tokens)?;
        let k = add(&keys, position)?;
        Ok((self.final_attention.attend(&q, &k, &keys)?, queries, keys))
    }

    /// The projection of the last attention, to which the queries are added, and the normalisation of that.
    pub(super) fn ending(&self) -> (&Linear, &LayerNorm) {
        (&self.final_attention.out, &self.norm)
    }
}

#[derive(Debug, Clone)]
struct TwoWayBlock {
    self_attention: Attention,
    norm1: LayerNorm,
    token_to_image: Attention,
    norm2: LayerNorm,
    mlp: [Linear; 2],
    norm3: LayerNorm,
    image_to_token: Attention,
    norm4: LayerNorm,
    /// In the first block the tokens are their own position encoding, and its attention replaces them.
    is_first: bool,
}

impl TwoWayBlock {
    fn load(params: &Params, is_first: bool) -> Loaded<Self> {
        let norm = |i: usize| layer_norm(&params.scope(format!("norm{i}")), CHANNELS, EPS);
        let mlp = params.scope("mlp");
        Ok(Self {
            self_attention: Attention::load(&params.scope("self_attn"), CHANNELS)?,
            norm1: norm(1)?,
            token_to_image: Attention::load(
                &params.scope("cross_attn_token_to_image"),
                CROSS_CHANNELS,
            )?,
            norm2: norm(2)?,
            mlp: [
                linear(&mlp.scope("lin1"), CHANNELS, MLP_CHANNELS, Activation::Relu)?,
                linear(
                    &mlp.scope("lin2"),
                    MLP_CHANNELS,
                    CHANNELS,
                    Activation::Identity,
                )?,
            ],
            norm3: norm(3)?,
            image_to_token: Attention::load(
                &params.scope("cross_attn_image_to_token"),
                CROSS_CHANNELS,
            )?,
            norm4: norm(4)?,
            is_first,
        })
    }

    /// Queries `[N, T, 256]` are tokens, keys `[1 or N, P, 256]` the image.
    fn forward(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        tokens: &Tensor,
        position: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let queries = if self.is_first {
            self.self_attention.forward(queries, queries, queries)?
        } else {
            let q = add(queries, tokens)?;
            self.self_attention.forward_add(&q, &q, queries, queries)?
        };
        let queries = self.norm1.forward(&queries)?;

        let q = add(&queries, tokens)?;
        let k = add(keys, position)?;
        let queries = self
            .norm2
            .forward(&self.token_to_image.forward_add(&q, &k, keys, &queries)?)?;

        let queries = self.mlp[1].forward_add(&self.mlp[0].forward(&queries)?, &queries)?;
        let queries = self.norm3.forward(&queries)?;

        let q = add(&queries, tokens)?;
        let keys = self
            .norm4
            .forward(&self.image_to_token.forward_add(&k, &q, &queries, keys)?)?;
        Ok((queries, keys))
    }
}

/// Attention with projections before and after it.
#[derive(Debug, Clone)]
struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    scale: f32,
    products: Products,
}

impl Attention {
    fn load(params: &Params, inner: usize) -> Loaded<Self> {
        let into = |name: &str| linear(&params.scope(name), CHANNELS, inner, Activation::Identity);
        Ok(Self {
            q: into("q_proj")?,
            k: into("k_proj")?,
            v: into("v_proj")?,
            out: linear(
                &params.scope("out_proj"),
                inner,
                CHANNELS,
                Activation::Identity,
            )?,
            scale: 1.0 / ((inner / HEADS) as f32).sqrt(),
            products: products(params),
        })
    }

    fn forward(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        self.out.forward(&self.attend(q, k, v)?)
    }

    /// The result added to `residual`, which may have a batch of 1.
    fn forward_add(&self, q: &Tensor, k: &Tensor, v: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.out.forward_add(&self.attend(q, k, v)?, residual)
    }

    /// q `[B, Nq, 256]`, k and v `[B', Nk, 256]`; one of B and B' may be 1.
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let (q, k, v) = (self.q.forward(q)?, self.k.forward(k)?, self.v.forward(v)?);
        ops::attention_in(&q, &k, &v, HEADS, self.scale, None, self.products)
    }
}
