//! The two-way transformer: prompt tokens attend to the image, the image attends to the tokens.
//!
//! What is the same for all N objects keeps a batch of 1 as long as it is: the image before the first attention to
//! tokens.

use super::{dimensions::EMBEDDING_CHANNELS, error::Loaded, layers::EPS};
use crate::{
    models::nn::{layer_norm, linear, products},
    ops::{self, Activation, LayerNorm, Linear, Params, Products, Result, add, token_products},
};
use candle_core::Tensor;
use candle_nn::Module;

/// Channels throughout.
const CHANNELS: usize = EMBEDDING_CHANNELS;
const HEADS: usize = 8;
const MLP_CHANNELS: usize = 2048;
/// Attention between tokens and image works in half the channels.
const CROSS_CHANNELS: usize = CHANNELS / 2;

#[derive(Debug, Clone)]
pub(super) struct TwoWayTransformer {
    blocks: [TwoWayBlock; 2],
    final_attention: Attention,
    norm: LayerNorm,
}

impl TwoWayTransformer {
    pub(super) fn load(params: &Params) -> Loaded<Self> {
        let block = |i: usize| TwoWayBlock::load(&params.scope("layers").scope(i), i == 0);
        Ok(Self {
            blocks: [block(0)?, block(1)?],
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
        let [first, second] = &self.blocks;
        let (mut queries, mut keys) = (tokens.clone(), image.clone());
        // In the first block the tokens are their own position encoding.
        let own = &first.self_attention;
        let layers = [&own.q, &own.k, &own.v].map(|layer| (layer, false));
        let (_, mut projected) = token_products(tokens, None, None, &layers)?;
        let own = &second.self_attention;
        let of_second = [(&own.q, true), (&own.k, true), (&own.v, false)];
        let of_last = [(&self.final_attention.q, true)];
        for (block, next) in [(first, &of_second[..]), (second, &of_last)] {
            let of_tokens = Tokens {
                queries: &queries,
                projected: &projected,
                tokens,
            };
            (queries, projected, keys) = block.forward(&of_tokens, &keys, position, next)?;
        }
        let [q] = projected.as_slice() else {
            candle_core::bail!("{} projections of the last queries", projected.len())
        };
        let k = add(&keys, position)?;
        Ok((
            self.final_attention.attend_projected(q, &k, &keys)?,
            queries,
            keys,
        ))
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
    /// In the first block attention replaces the tokens, which are not added to its result.
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

    /// Keys `[1 or N, P, 256]` are the image. This gives the queries, what `next` makes of them or their sum with the tokens, and the keys.
    fn forward(
        &self,
        of_tokens: &Tokens<'_>,
        keys: &Tensor,
        position: &Tensor,
        next: &[(&Linear, bool)],
    ) -> Result<(Tensor, Vec<Tensor>, Tensor)> {
        let tokens = Some(of_tokens.tokens);
        let [q, k, v] = of_tokens.projected else {
            candle_core::bail!("{} projections of queries", of_tokens.projected.len())
        };
        let (own, out) = (&self.self_attention, &self.self_attention.out);
        let attended = own.weigh(q, k, v)?;
        let queries = if self.is_first {
            out.forward(&attended)?
        } else {
            out.forward_add(&attended, of_tokens.queries)?
        };

        let to_image = &self.token_to_image;
        let (queries, q) =
            token_products(&queries, Some(&self.norm1), tokens, &[(&to_image.q, true)])?;
        let k = add(keys, position)?;
        let attended = to_image.attend_projected(&q[0], &k, keys)?;
        let queries = to_image.out.forward_add(&attended, &queries)?;

        let [expand, contract] = &self.mlp;
        let (queries, hidden) =
            token_products(&queries, Some(&self.norm2), None, &[(expand, false)])?;
        let queries = contract.forward_add(&hidden[0], &queries)?;

        let to_token = &self.image_to_token;
        let mut layers = vec![(&to_token.k, true), (&to_token.v, false)];
        layers.extend(next);
        let (queries, mut projected) =
            token_products(&queries, Some(&self.norm3), tokens, &layers)?;
        let following = projected.split_off(2);
        let attended = to_token.weigh(&to_token.q.forward(&k)?, &projected[0], &projected[1])?;
        let keys = self
            .norm4
            .forward(&to_token.out.forward_add(&attended, keys)?)?;
        Ok((queries, following, keys))
    }
}

/// What a block reads of the tokens, `[N, T, 256]` each.
#[derive(Debug)]
struct Tokens<'a> {
    queries: &'a Tensor,
    /// Queries, keys and values of their attention to each other.
    projected: &'a [Tensor],
    /// The tokens as they came, which are their position encoding.
    tokens: &'a Tensor,
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

    /// Of queries that were projected, and keys and values that were not.
    fn attend_projected(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        self.weigh(q, &self.k.forward(k)?, &self.v.forward(v)?)
    }

    /// Attention without the projection after it, all of q, k and v projected: q `[B, Nq, C]`, k and v `[B', Nk, C]`; one of B and B' may be 1.
    fn weigh(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        ops::attention_in(q, k, v, HEADS, self.scale, None, self.products)
    }
}
