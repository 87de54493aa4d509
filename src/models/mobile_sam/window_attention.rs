//! Attention within the windows of a map, with a bias by relative position (TinyViT, Wu et al., 2022).

use super::{
    error::{Loaded, MobileSamError},
    layers::EPS,
};
use crate::{
    models::nn::{layer_norm, linear, products},
    ops::{self, Activation, LayerNorm, Linear, LinearPrecision, Params, PositionBias, Result},
};
use candle_core::Tensor;
use candle_nn::Module;

/// `x + proj(attention(norm(x)))` within windows of `window`×`window` tokens.
#[derive(Debug, Clone)]
pub(super) struct WindowAttention {
    norm: LayerNorm,
    /// Rows in the order q of all heads, k of all heads, v of all heads.
    qkv: Linear,
    proj: Linear,
    attention: ops::WindowAttention,
}

impl WindowAttention {
    pub(super) fn load(
        params: &Params,
        channels: usize,
        heads: usize,
        window: usize,
    ) -> Loaded<Self> {
        let norm = params.scope("norm");
        let qkv = params.scope("qkv");
        let weight = qkv.get("weight", &[3 * channels, channels])?;
        let bias = qkv.get("bias", &[3 * channels])?;
        let norm_bias = params.place(&norm.get("bias", &[channels])?)?;
        let d = channels / heads;
        let scale = 1.0 / (d as f32).sqrt();
        // One for each distance (|Δrow|, |Δcolumn|): the checkpoint numbers them in the order of their first appearance over pairs of tokens, and
        // the first token sees them all in that order.
        let distances = params.get("attention_biases", &[heads, window * window])?;
        let position = PositionBias::new(&distances, scale)
            .map_err(MobileSamError::tensor("attention biases"))?
            .placed(|tensor| params.place(tensor))?;
        let lay_out = || -> Result<(Tensor, Tensor)> {
            // The checkpoint has q, k, v of a head beside each other.
            let weight = weight
                .reshape((heads, 3, d, channels))?
                .transpose(0, 1)?
                .contiguous()?
                .reshape((3 * channels, channels))?;
            let bias = bias
                .reshape((heads, 3, d))?
                .transpose(0, 1)?
                .contiguous()?
                .flatten_all()?;
            Ok((weight, bias))
        };
        let (weight, bias) = lay_out().map_err(MobileSamError::tensor("attention weights"))?;
        let (weight, bias) = (params.place(&weight)?, params.place(&bias)?);
        let build = || -> Result<(Linear, ops::WindowAttention)> {
            let qkv = Linear::new_in(
                &weight,
                Some(&bias),
                Activation::Identity,
                LinearPrecision::Input,
                products(params),
            )?;
            // The reference pads with zeros before its normalisation, so that padding enters the attention as the
            // normalisation's bias does.
            let padding = qkv.forward(&norm_bias.unsqueeze(0)?)?.squeeze(0)?;
            Ok((
                qkv,
                ops::WindowAttention::new(&padding, window, heads, scale, Some(&position))?
                    .with_products(products(params)),
            ))
        };
        let (qkv, attention) = build().map_err(MobileSamError::tensor("attention weights"))?;
        Ok(Self {
            norm: layer_norm(&norm, channels, EPS)?,
            qkv,
            proj: linear(
                &params.scope("proj"),
                channels,
                channels,
                Activation::Identity,
            )?,
            attention,
        })
    }
}

impl Module for WindowAttention {
    /// x `[B, H, W, C]` to the same shape, x itself added.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        (self.attention).forward_block(x, &self.norm, &self.qkv, &self.proj)
    }
}
