//! Prompts to embeddings: sparse ones (boxes, points) to tokens, masks to a dense map.

use super::{
    dimensions::{EMBEDDING_CHANNELS, EMBEDDING_SIDE, IMAGE_SIDE, MASK_SIDE},
    error::{Loaded, MobileSamError},
    layers::EPS_2D,
    prompts::{Prompts, Sparse, UPPER_LEFT},
};
use crate::{
    models::nn::{layer_norm, products},
    ops::{
        Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, LinearPrecision, Params, Result,
        fourier_features, token_features,
    },
};
use candle_core::Tensor;
use candle_nn::Module;

/// Pixels, whose centres lie half a pixel further, to 0..1.
const PIXELS: (f64, f64) = (1.0 / IMAGE_SIDE as f64, 0.5 / IMAGE_SIDE as f64);
/// Channels of the first and second step of the mask's downscaling.
const MASK_CHANNELS: [usize; 2] = [4, 16];

#[derive(Debug, Clone)]
pub(super) struct PromptEncoder {
    /// Random spatial frequencies `[2, 128]`.
    frequencies: Tensor,
    /// Embeddings of the kinds of tokens `[5, 256]`, in the order of the packed prompts.
    kinds: Tensor,
    /// Those of the corners `[2, 256]`.
    corners: Tensor,
    /// For objects without a mask prompt `[1, 1, 256]`.
    no_mask: Tensor,
    mask_downscaling: MaskDownscaling,
    /// Position encoding of the image's embedding `[1, 64², 256]`.
    dense_position: Tensor,
}

impl PromptEncoder {
    pub(super) fn load(params: &Params) -> Loaded<Self> {
        let c = EMBEDDING_CHANNELS;
        let frequencies = params
            .scope("pe_layer")
            .get("positional_encoding_gaussian_matrix", &[2, c / 2])?;
        let embedding = |name: &str| params.scope(name).get("weight", &[1, c]);
        let mut kinds = vec![embedding("not_a_point_embed")?];
        for i in 0..4 {
            kinds.push(embedding(&format!("point_embeddings.{i}"))?);
        }
        let no_mask = embedding("no_mask_embed")?;
        let side = EMBEDDING_SIDE;
        let at = |i: usize| (i as f32 + 0.5) / side as f32;
        let grid: Vec<f32> = (0..side * side)
            .flat_map(|i| [at(i % side), at(i / side)])
            .collect();
        let grid = params.constant(&grid, &[1, side * side, 2])?;
        let build = || -> Result<_> {
            let kinds = Tensor::cat(&kinds, 0)?;
            let corners = kinds.narrow(0, UPPER_LEFT, 2)?.contiguous()?;
            Ok((
                kinds,
                corners,
                no_mask.unsqueeze(0)?,
                fourier_features(&grid, (1.0, 0.0), &frequencies, None)?,
            ))
        };
        let (kinds, corners, no_mask, dense_position) =
            build().map_err(MobileSamError::tensor("prompt embeddings"))?;
        Ok(Self {
            frequencies: params.place(&frequencies)?,
            kinds: params.place(&kinds)?,
            corners: params.place(&corners)?,
            no_mask: params.place(&no_mask)?,
            mask_downscaling: MaskDownscaling::load(&params.scope("mask_downscaling"))?,
            dense_position: params.place(&dense_position)?,
        })
    }

    /// Position encoding of the image's embedding `[1, 64², 256]`.
    pub(super) fn dense_position(&self) -> &Tensor {
        &self.dense_position
    }

    /// Tokens `[N, K, 256]` and the dense embedding: `[N, 64², 256]` of masks,
    /// `[1, 1, 256]` where there are none.
    pub(super) fn forward(&self, prompts: &Prompts) -> Result<(Tensor, Tensor)> {
        let sparse = match &prompts.sparse {
            Sparse::Boxes(boxes) => self.embed_boxes(boxes)?,
            Sparse::Tokens(tokens) => self.embed_tokens(tokens)?,
        };
        let dense = match &prompts.masks {
            Some(masks) => self.mask_downscaling.forward(masks)?,
            None => self.no_mask.clone(),
        };
        Ok((sparse, dense))
    }

    /// `[N, 4]` to `[N, 2, 256]`.
    fn embed_boxes(&self, boxes: &Tensor) -> Result<Tensor> {
        fourier_features(
            &boxes.contiguous()?.reshape(((), 2, 2))?,
            PIXELS,
            &self.frequencies,
            Some(&self.corners),
        )
    }

    /// `[N, K, TOKEN_WIDTH]` to `[N, K, 256]`: position and embedding of the kind, but no position for what is not a point (the first kind).
    fn embed_tokens(&self, tokens: &Tensor) -> Result<Tensor> {
        token_features(tokens, PIXELS, &self.frequencies, &self.kinds)
    }
}

/// Mask prompts at a quarter of their resolution.
#[derive(Debug, Clone)]
struct MaskDownscaling {
    steps: [(Conv2d, LayerNorm); 2],
    project: Linear,
}

impl MaskDownscaling {
    fn load(params: &Params) -> Loaded<Self> {
        let [first, second] = MASK_CHANNELS;
        let options = Conv2dOptions {
            stride: 2,
            ..Conv2dOptions::default()
        };
        let step = |conv: usize, inputs: usize, outputs: usize| -> Loaded<_> {
            let at = params.scope(conv);
            let (weight, bias) = (
                at.place(&at.get("weight", &[outputs, inputs, 2, 2])?)?,
                at.place(&at.get("bias", &[outputs])?)?,
            );
            let conv2d = Conv2d::new_in(&weight, Some(&bias), options, products(params))
                .map_err(MobileSamError::tensor("mask downscaling"))?;
            Ok((
                conv2d,
                layer_norm(&params.scope(conv + 1), outputs, EPS_2D)?,
            ))
        };
        let steps = [step(0, 1, first)?, step(3, first, second)?];
        let last = params.scope(6);
        let weight = last.place(&last.get("weight", &[EMBEDDING_CHANNELS, second, 1, 1])?)?;
        let bias = last.place(&last.get("bias", &[EMBEDDING_CHANNELS])?)?;
        let build = || {
            Linear::new_in(
                &weight.reshape((EMBEDDING_CHANNELS, second))?,
                Some(&bias),
                Activation::Identity,
                LinearPrecision::Input,
                products(params),
            )
        };
        Ok(Self {
            steps,
            project: build().map_err(MobileSamError::tensor("mask downscaling"))?,
        })
    }
}

impl Module for MaskDownscaling {
    /// `[N, 1, 256, 256]` to `[N, 64², 256]`.
    fn forward(&self, masks: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = masks.contiguous()?.reshape(((), MASK_SIDE, MASK_SIDE, 1))?;
        for (conv, norm) in &self.steps {
            x = norm.forward_activated(&conv.forward(&x)?, Activation::Gelu)?;
        }
        self.project.forward(&x)?.flatten(1, 2)
    }
}
