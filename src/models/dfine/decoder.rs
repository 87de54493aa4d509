//! The decoder: queries refined layer by layer, boxes as distributions that each layer corrects.

use super::{
    config::{DFineConfig, DecoderConfig},
    distribution::{Integral, Lqe},
    error::DFineError,
    hybrid_encoder::SelfAttention,
    layers::{mlp, of_features},
    query_selection::Queries,
};
use crate::{
    models::nn::{Mlp, build_linear_in, layer_norm, linear, linear_in},
    ops::{
        self, Activation, LayerNorm, Linear, LinearPrecision, Params, deformable_attention_around,
        inverse_sigmoid,
    },
};
use candle_core::{DType, Tensor};
use candle_nn::Module;

/// The gate's normalisation has PyTorch's default.
const GATE_EPS: f64 = 1e-5;
/// Queries are held to what half precision can hold, as in training.
const HALF_MAX: f32 = 65504.0;
/// What the position of a query is held to.
const POSITION_MAX: f32 = 10.0;

/// Decoder layers with the heads that run.
#[derive(Debug)]
pub(super) struct Decoder {
    layers: Vec<DecoderLayer>,
    box_heads: Vec<Mlp>,
    query_position: Mlp,
    first_box_head: Mlp,
    integral: Integral,
    score_head: Linear,
    quality: Lqe,
}

impl Decoder {
    /// `params`: `layers.…`, `bbox_embed.…`, `class_embed.…`, `lqe_layers.…`, `query_pos_head.…`, `pre_bbox_head.…`, `up`, `reg_scale`.
    pub(super) fn load(params: &Params, config: &DFineConfig) -> Result<Self, DFineError> {
        let decoder = &config.decoder;
        let (d, count) = (decoder.d_model, decoder.layers);
        let last = count - 1;
        let edges = 4 * (decoder.max_num_bins + 1);
        let layer = |i| DecoderLayer::load(&params.scope("layers").scope(i), config);
        let box_head = |i| {
            mlp(
                &params.scope("bbox_embed").scope(i),
                &[d, d, d, edges],
                Activation::Identity,
            )
        };
        let score_head = params.scope("class_embed").scope(last);
        Ok(Self {
            layers: (0..count).map(layer).collect::<Result<_, _>>()?,
            box_heads: (0..count).map(box_head).collect::<Result<_, _>>()?,
            query_position: Mlp::load(
                &params.scope("query_pos_head"),
                &[4, 2 * d, d],
                Activation::Clamp(POSITION_MAX),
                (LinearPrecision::F32, of_features(params)),
            )?,
            first_box_head: mlp(
                &params.scope("pre_bbox_head"),
                &[d, d, d, 4],
                Activation::Sigmoid,
            )?,
            integral: Integral::load(params, decoder)?,
            score_head: linear_in(
                &score_head,
                (d, config.num_labels),
                Activation::Identity,
                LinearPrecision::F32,
            )?,
            quality: Lqe::load(
                &params.scope("lqe_layers").scope(last),
                decoder,
                config.num_labels,
            )?,
        })
    }

    /// Logits `[B, Q, K]` and boxes `[B, Q, 4]` from tokens `[B, N, d_model]` of `levels`.
    pub(super) fn forward(
        &self,
        queries: Queries,
        tokens: &Tensor,
        levels: &[(usize, usize)],
    ) -> ops::Result<(Tensor, Tensor)> {
        let Queries {
            content: mut x,
            mut boxes,
        } = queries;
        let (mut reference, mut corners, mut previous) =
            (None::<Tensor>, None::<Tensor>, None::<Tensor>);
        for (layer, box_head) in self.layers.iter().zip(&self.box_heads) {
            let (position, placed) = self.query_position.forward_beside(&boxes, &x)?;
            x = layer.forward((&x, &position, &placed), &boxes, tokens, levels)?;
            let reference = match &reference {
                Some(reference) => reference,
                None => reference.insert(
                    self.first_box_head
                        .forward_add(&x, &inverse_sigmoid(&boxes)?)?,
                ),
            };
            let refined = box_head.forward_sum(&x, previous.as_ref(), corners.as_ref())?;
            boxes = self.integral.boxes(reference, &refined)?;
            (corners, previous) = (Some(refined), Some(x.clone()));
        }
        let score_head = std::slice::from_ref(&self.score_head);
        let logits = ops::perceptron(score_head, &x, None, None)?;
        let Some(corners) = corners else {
            candle_core::bail!("decoder without layers")
        };
        Ok((self.quality.forward(&logits, &corners)?, boxes))
    }
}

#[derive(Debug)]
struct DecoderLayer {
    self_attention: SelfAttention,
    self_attention_norm: LayerNorm,
    cross_attention: CrossAttention,
    gate: Gate,
    fc1: Linear,
    fc2: Linear,
    final_norm: LayerNorm,
}

impl DecoderLayer {
    fn load(params: &Params, config: &DFineConfig) -> Result<Self, DFineError> {
        let decoder = &config.decoder;
        let d = decoder.d_model;
        let norm = |name: &str| layer_norm(&params.scope(name), d, config.layer_norm_eps);
        Ok(Self {
            self_attention: SelfAttention::load(&params.scope("self_attn"), d, decoder.heads)?,
            self_attention_norm: norm("self_attn_layer_norm")?,
            cross_attention: CrossAttention::load(&params.scope("encoder_attn"), decoder)?,
            gate: Gate::load(&params.scope("gateway"), d)?,
            fc1: linear(
                &params.scope("fc1"),
                d,
                decoder.ffn_dim,
                decoder.ffn_activation,
            )?,
            fc2: linear(
                &params.scope("fc2"),
                decoder.ffn_dim,
                d,
                Activation::Identity,
            )?,
            final_norm: norm("final_layer_norm")?,
        })
    }

    /// Queries x, their positions, and the sum of both.
    fn forward(
        &self,
        (x, position, placed): (&Tensor, &Tensor, &Tensor),
        boxes: &Tensor,
        tokens: &Tensor,
        levels: &[(usize, usize)],
    ) -> ops::Result<Tensor> {
        let x = self
            .self_attention_norm
            .forward(&self.self_attention.forward_add(x, placed, x)?)?;
        let seen = self
            .cross_attention
            .forward((&x, position), boxes, tokens, levels)?;
        let x = self.gate.forward(&x, &seen)?;
        let y = self.fc2.forward_add(&self.fc1.forward(&x)?, &x)?;
        self.final_norm.forward_held(&y, HALF_MAX)
    }
}

/// Deformable attention to the encoder's tokens around each query's box.
#[derive(Debug)]
struct CrossAttention {
    /// Gives offsets in units of the box's extent (the model's scales are folded in), then weights before their softmax.
    sampling: Linear,
    heads: usize,
    points: Vec<usize>,
}

impl CrossAttention {
    fn load(params: &Params, config: &DecoderConfig) -> Result<Self, DFineError> {
        let (d, heads, total) = (
            config.d_model,
            config.heads,
            config.points.iter().sum::<usize>(),
        );
        let scale = (params
            .get("num_points_scale", &[total])?
            .to_dtype(DType::F64)?
            * config.offset_scale)?;
        let offsets = params.scope("sampling_offsets");
        let weight = offsets
            .get("weight", &[heads * total * 2, d])?
            .to_dtype(DType::F64)?;
        let weight = weight
            .reshape((heads, total, 2 * d))?
            .broadcast_mul(&scale.reshape((1, total, 1))?)?;
        let bias = offsets
            .get("bias", &[heads * total * 2])?
            .to_dtype(DType::F64)?;
        let bias = bias
            .reshape((heads, total, 2))?
            .broadcast_mul(&scale.reshape((1, total, 1))?)?;
        let weight = weight
            .reshape((heads * total * 2, d))?
            .to_dtype(DType::F32)?;
        let bias = bias.flatten_all()?.to_dtype(DType::F32)?;
        let weights = params.scope("attention_weights");
        let weight = Tensor::cat(&[weight, weights.get("weight", &[heads * total, d])?], 0)?;
        let bias = Tensor::cat(&[bias, weights.get("bias", &[heads * total])?], 0)?;
        Ok(Self {
            sampling: build_linear_in(
                params,
                &weight,
                &bias,
                Activation::Identity,
                of_features(params),
            )?,
            heads,
            points: config.points.clone(),
        })
    }

    /// Queries are the sum of two tensors.
    fn forward(
        &self,
        (x, position): (&Tensor, &Tensor),
        boxes: &Tensor,
        tokens: &Tensor,
        levels: &[(usize, usize)],
    ) -> ops::Result<Tensor> {
        let layer = std::slice::from_ref(&self.sampling);
        let sampled = ops::perceptron(layer, x, Some(position), None)?;
        deformable_attention_around(tokens, levels, &self.points, self.heads, boxes, &sampled)
    }
}

/// Weighs the query against what attention brought, both ways learnt.
#[derive(Debug)]
struct Gate {
    gate: Linear,
    norm: LayerNorm,
}

impl Gate {
    fn load(params: &Params, d: usize) -> Result<Self, DFineError> {
        let gate = linear(&params.scope("gate"), 2 * d, 2 * d, Activation::Sigmoid)?;
        Ok(Self {
            gate,
            norm: layer_norm(&params.scope("norm"), d, GATE_EPS)?,
        })
    }

    fn forward(&self, x: &Tensor, seen: &Tensor) -> ops::Result<Tensor> {
        let gates = self.gate.forward_parts(&[x, seen])?;
        self.norm.forward_gated(&gates, x, seen)
    }
}
