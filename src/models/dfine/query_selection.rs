//! The two-stage start of the decoder: the encoder's best tokens become queries.

use super::{
    DFineError,
    config::DFineConfig,
    grid::Grid,
    layers::{constant, mlp},
};
use crate::{
    models::nn::{Mlp, layer_norm, linear, linear_in},
    ops::{self, Activation, LayerNorm, Linear, LinearPrecision, Params, Ties},
};
use candle_core::Tensor;
use candle_nn::Module;

/// Queries chosen from the encoder's tokens.
#[derive(Debug)]
pub(super) struct Queries {
    /// Content `[B, Q, d_model]`.
    pub(super) content: Tensor,
    /// Boxes (cx, cy, w, h) in 0..1, `[B, Q, 4]`.
    pub(super) boxes: Tensor,
}

/// The encoder's heads.
#[derive(Debug)]
pub(super) struct QuerySelection {
    projection: Linear,
    norm: LayerNorm,
    score_head: Linear,
    box_head: Mlp,
    /// Content `[1, 1, d_model]` and score `[1, 1]` of a token without a valid anchor, which the model sees as zeros.
    blank: (Tensor, Tensor),
    num_queries: usize,
}

impl QuerySelection {
    /// `params`: `enc_output.…`, `enc_score_head.…`, `enc_bbox_head.…`.
    pub(super) fn load(params: &Params, config: &DFineConfig) -> Result<Self, DFineError> {
        let d = config.decoder.d_model;
        let output = params.scope("enc_output");
        let projection = linear(&output.scope(0), d, d, Activation::Identity)?;
        let norm = layer_norm(&output.scope(1), d, config.layer_norm_eps)?;
        let score_head = linear_in(
            &params.scope("enc_score_head"),
            (d, config.num_labels),
            Activation::Identity,
            LinearPrecision::F32Result,
        )?;
        let content = norm.forward(&projection.forward(&constant(
            vec![0.0; d],
            (1, 1, d),
            params.device(),
        )?)?)?;
        let [valid, unused] = [1.0, 0.0].map(|v| constant(vec![v], (1, 1), params.device()));
        let score = ops::best_scores(&score_head.forward(&content)?, &valid?, &unused?)?;
        let box_head = mlp(
            &params.scope("enc_bbox_head"),
            &[d, d, d, 4],
            Activation::Sigmoid,
        )?;
        Ok(Self {
            projection,
            norm,
            score_head,
            box_head,
            blank: (content, score),
            num_queries: config.decoder.num_queries,
        })
    }

    /// Queries from tokens `[B, N, d_model]`, those of the best class score first, equal scores by position.
    /// Of scores that tie at the last query `ties` says which are taken.
    pub(super) fn forward(&self, tokens: &Tensor, grid: &Grid, ties: Ties) -> ops::Result<Queries> {
        let output = self.norm.forward(&self.projection.forward(tokens)?)?;
        let scores = self.score_head.forward(&output)?;
        // On a GPU tokens without a finite score come first, so that the decoder's outputs show them.
        let broken = ops::not_finite(&scores)?;
        if broken > 0 {
            let of = scores.elem_count();
            candle_core::bail!(
                "enc_score_head: {broken} of {of} scores are not finite (NaN or infinity); the checkpoint is damaged"
            );
        }
        let scores = ops::best_scores(&scores, grid.valid(), &self.blank.1)?;
        let index = ops::top_k_with_ties(&scores, self.num_queries, ties)?;
        let (content, anchors) =
            ops::gather_queries(&output, &index, grid.valid(), &self.blank.0, grid.anchors())?;
        let boxes = self.box_head.forward_add(&content, &anchors)?;
        Ok(Queries { content, boxes })
    }
}
