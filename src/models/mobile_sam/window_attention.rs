//! Attention within the windows of a map, with a bias by relative position (TinyViT, Wu et al., 2022).

use super::{
    Loaded, MobileSamError,
    layers::{EPS, layer_norm, linear},
};
use crate::ops::{Activation, LayerNorm, Linear, Params, Result, attention};
use candle_core::Tensor;

/// `x + proj(attention(norm(x)))` within windows of `window`×`window` tokens.
#[derive(Debug, Clone)]
pub(super) struct WindowAttention {
    norm: LayerNorm,
    /// Rows in the order q of all heads, k of all heads, v of all heads.
    qkv: Linear,
    proj: Linear,
    windows: Windows,
}

/// How a map falls into windows, and what their attention adds.
#[derive(Debug, Clone)]
struct Windows {
    /// Tokens a side.
    side: usize,
    heads: usize,
    /// `[heads, side², side²]`.
    bias: Tensor,
    /// q, k, v `[3·channels]` of a token of padding. The reference pads with zeros before its normalisation, so that
    /// padding enters the attention as the normalisation's bias does.
    padding: Tensor,
}

impl WindowAttention {
    pub(super) fn load(params: &Params, channels: usize, heads: usize, side: usize) -> Loaded<Self> {
        let norm = params.scope("norm");
        let qkv = params.scope("qkv");
        let weight = qkv.get("weight", &[3 * channels, channels])?;
        let bias = qkv.get("bias", &[3 * channels])?;
        let norm_bias = norm.get("bias", &[channels])?;
        let position = position_bias(params, heads, side)?;
        let build = || -> Result<(Linear, Tensor)> {
            let d = channels / heads;
            // The checkpoint has q, k, v of a head beside each other.
            let weight = weight.reshape((heads, 3, d, channels))?.transpose(0, 1)?.contiguous()?.reshape((3 * channels, channels))?;
            let bias = bias.reshape((heads, 3, d))?.transpose(0, 1)?.contiguous()?.flatten_all()?;
            let qkv = Linear::new(&weight, Some(&bias), Activation::Identity)?;
            let padding = qkv.forward(&norm_bias.unsqueeze(0)?)?.squeeze(0)?;
            Ok((qkv, padding))
        };
        let (qkv, padding) = build().map_err(MobileSamError::tensor("attention weights"))?;
        Ok(Self {
            norm: layer_norm(&norm, channels, EPS)?,
            qkv,
            proj: linear(&params.scope("proj"), channels, channels, Activation::Identity)?,
            windows: Windows { side, heads, bias: position, padding },
        })
    }

    /// x `[B, H, W, C]` to the same shape, x itself added.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let qkv = self.qkv.forward(&self.norm.forward(x)?)?;
        self.proj.forward_add(&self.windows.attend(&qkv)?, x)
    }
}

impl Windows {
    /// Attention of `qkv` `[B, H, W, 3·C]` within windows: `[B, H, W, C]`. The map is padded at right and bottom to a
    /// multiple of the window.
    fn attend(&self, qkv: &Tensor) -> Result<Tensor> {
        let (b, h, w, c3) = qkv.dims4()?;
        let (c, side) = (c3 / 3, self.side);
        let (rows, columns) = (h.div_ceil(side), w.div_ceil(side));
        let qkv = self.pad(qkv, 1, rows * side - h)?;
        let qkv = self.pad(&qkv, 2, columns * side - w)?;
        let qkv = qkv.reshape(&[b, rows, side, columns, side, 3, c][..])?.permute(vec![5, 0, 1, 3, 2, 4, 6])?;
        let qkv = qkv.contiguous()?.reshape((3, b * rows * columns, side * side, c))?;
        let [q, k, v] = [qkv.get(0)?, qkv.get(1)?, qkv.get(2)?];
        let scale = 1.0 / ((c / self.heads) as f32).sqrt();
        let x = attention(&q, &k, &v, self.heads, scale, Some(&self.bias))?;
        let x = x.reshape((b, rows, columns, side, side, c))?.transpose(2, 3)?;
        let x = x.contiguous()?.reshape((b, rows * side, columns * side, c))?;
        x.narrow(1, 0, h)?.narrow(2, 0, w)?.contiguous()
    }

    /// `n` rows or columns of padding behind those of `qkv`.
    fn pad(&self, qkv: &Tensor, dim: usize, n: usize) -> Result<Tensor> {
        if n == 0 {
            return Ok(qkv.clone());
        }
        let mut shape = qkv.dims().to_vec();
        shape[dim] = n;
        Tensor::cat(&[qkv, &self.padding.broadcast_as(shape)?], dim)
    }
}

/// `attention_biases` `[heads, side²]`, one for each distance (|Δrow|, |Δcolumn|), laid out for all pairs of tokens:
/// `[heads, side², side²]`. Distances are numbered in the order of their first appearance over pairs, which is
/// row-major over (|Δrow|, |Δcolumn|): the first token sees them all in that order.
fn position_bias(params: &Params, heads: usize, side: usize) -> Loaded<Tensor> {
    let biases = params.get("attention_biases", &[heads, side * side])?;
    let n = side * side;
    let pairs = (0..n).flat_map(|a| (0..n).map(move |b| (a, b)));
    let index = pairs.map(|(a, b)| (a / side).abs_diff(b / side) * side + (a % side).abs_diff(b % side));
    let index: Vec<u32> = index.map(|i| i as u32).collect();
    let index = params.constant(&index, &[n * n])?;
    let lay_out = || biases.index_select(&index, 1)?.reshape((heads, n, n));
    lay_out().map_err(MobileSamError::tensor("attention biases"))
}
