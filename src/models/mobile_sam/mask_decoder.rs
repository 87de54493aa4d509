//! Tokens and image to masks and their estimated quality.

use super::{
    dimensions::{EMBEDDING_CHANNELS, EMBEDDING_SIDE, MULTIMASK_OUTPUTS},
    error::{Loaded, MobileSamError},
    layers::{EPS_2D, mlp},
    transformer::TwoWayTransformer,
};
use crate::{
    models::nn::{Mlp, layer_norm, products},
    ops::{
        Activation, LayerNorm, Linear, LinearPrecision, MaskHeads, Params, Result, add,
        concat_channels, convert, mask_heads, upscale_to_masks,
    },
};
use candle_core::Tensor;
use candle_nn::Module;

const CHANNELS: usize = EMBEDDING_CHANNELS;
/// Masks and the model's own estimate of their quality, for N objects with M masks each (1, or [`MULTIMASK_OUTPUTS`]).
#[derive(Debug, Clone)]
pub struct MaskOutput {
    /// Logits `[N, M, 256, 256]` over the model's padded input, f32; inside is > 0.
    pub low_res_masks: Tensor,
    /// Estimated intersection over union with the true mask `[N, M]`, f32, not clamped.
    pub iou_predictions: Tensor,
}

/// One for a single mask, and those for several.
const MASK_TOKENS: usize = 1 + MULTIMASK_OUTPUTS;
/// Channels of the two upscaling steps, the second of which the hypernetworks' outputs multiply.
const UPSCALED: [usize; 2] = [CHANNELS / 4, CHANNELS / 8];

#[derive(Debug, Clone)]
pub(super) struct MaskDecoder {
    transformer: TwoWayTransformer,
    /// The token of quality and those of the masks side by side, `[1, 5·256]`.
    output_tokens: Tensor,
    upscaling: Upscaling,
    hypernetworks: Vec<Mlp>,
    iou_head: Mlp,
}

impl MaskDecoder {
    pub(super) fn load(params: &Params) -> Loaded<Self> {
        let iou_token = params.scope("iou_token").get("weight", &[1, CHANNELS])?;
        let mask_tokens = params
            .scope("mask_tokens")
            .get("weight", &[MASK_TOKENS, CHANNELS])?;
        let output_tokens =
            Tensor::cat(&[iou_token, mask_tokens], 0).and_then(|t| t.reshape((1, ())));
        let output_tokens =
            params.place(&output_tokens.map_err(MobileSamError::tensor("output tokens"))?)?;
        let hypernetworks = params.scope("output_hypernetworks_mlps");
        let hypernetwork = |i: usize| -> Loaded<_> {
            mlp(
                &hypernetworks.scope(i),
                &[CHANNELS, CHANNELS, CHANNELS, UPSCALED[1]],
            )
        };
        Ok(Self {
            transformer: TwoWayTransformer::load(&params.scope("transformer"))?,
            output_tokens,
            upscaling: Upscaling::load(&params.scope("output_upscaling"))?,
            hypernetworks: (0..MASK_TOKENS).map(hypernetwork).collect::<Loaded<_>>()?,
            iou_head: mlp(
                &params.scope("iou_prediction_head"),
                &[CHANNELS, CHANNELS, CHANNELS, MASK_TOKENS],
            )?,
        })
    }

    /// Masks of N objects on the image of `embedding` `[1 or N, 64, 64, 256]`, with `position` `[1, 64², 256]`; `sparse` and `dense`
    /// are the prompt encoder's.
    pub(super) fn forward(
        &self,
        embedding: &Tensor,
        position: &Tensor,
        sparse: &Tensor,
        dense: &Tensor,
        multimask: bool,
    ) -> Result<MaskOutput> {
        let n = sparse.dim(0)?;
        // Tokens one after the other are their channels side by side.
        let output_tokens = self
            .output_tokens
            .broadcast_as((n, (1 + MASK_TOKENS) * CHANNELS))?;
        let tokens = concat_channels(&[&output_tokens, &sparse.flatten_from(1)?])?;
        let tokens = convert(&tokens.reshape((n, (), CHANNELS))?, embedding.dtype())?;
        let image = embedding.reshape(((), EMBEDDING_SIDE * EMBEDDING_SIDE, CHANNELS))?;
        let image = match dense.dim(0)? {
            // For all objects the same, or an image of each one's own.
            many if many == 1 || many == image.dim(0)? => add(&image, dense)?,
            _ => add(&convert(dense, image.dtype())?, &image)?,
        };
        let (attended, queries, image) = self.transformer.forward(&image, position, &tokens)?;

        let (first, count) = if multimask {
            (1, MULTIMASK_OUTPUTS)
        } else {
            (0, 1)
        };
        let hypernetworks: Vec<_> = self.hypernetworks.iter().map(Mlp::layers).collect();
        let (projection, norm) = self.transformer.ending();
        let heads = MaskHeads {
            projection,
            norm,
            hypernetworks: &hypernetworks,
            quality: self.iou_head.layers(),
        };
        let (weights, iou_predictions) =
            mask_heads(&heads, &attended, &queries, first..first + count)?;
        let low_res_masks = self.upscaling.forward(&image, &weights)?;
        Ok(MaskOutput {
            low_res_masks,
            iou_predictions,
        })
    }
}

/// Two transposed 2×2 convolutions with stride 2, in each of which a pixel becomes four of its own. All that follows is
/// pixel by pixel, so that the four stay beside each other until the masks are ready, and only these are put in order.
#[derive(Debug, Clone)]
struct Upscaling {
    first: Linear,
    norm: LayerNorm,
    second: Linear,
}

impl Upscaling {
    fn load(params: &Params) -> Loaded<Self> {
        let [middle, last] = UPSCALED;
        Ok(Self {
            first: transposed(&params.scope(0), CHANNELS, middle, Activation::Identity)?,
            norm: layer_norm(&params.scope(1), middle, EPS_2D)?,
            second: transposed(&params.scope(3), middle, last, Activation::Gelu)?,
        })
    }

    /// Logits `[N, M, 256, 256]`: image `[N, 64², 256]` upscaled, times `weights` `[N, M, 32]`.
    fn forward(&self, image: &Tensor, weights: &Tensor) -> Result<Tensor> {
        let x = self.first.forward(image)?.reshape((
            weights.dim(0)?,
            4 * EMBEDDING_SIDE * EMBEDDING_SIDE,
            UPSCALED[0],
        ))?;
        upscale_to_masks(&x, &self.norm, &self.second, weights, EMBEDDING_SIDE)
    }
}

/// A transposed 2×2 convolution with stride 2, `weight` `[inputs, outputs, 2, 2]`, as a layer from a pixel to its four, row-major:
/// `[…, inputs]` to `[…, 4·outputs]`.
fn transposed(
    params: &Params,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Loaded<Linear> {
    let weight = params.get("weight", &[inputs, outputs, 2, 2])?;
    let bias = params.get("bias", &[outputs])?;
    let lay_out = || -> Result<(Tensor, Tensor)> {
        let weight = weight
            .permute((2, 3, 1, 0))?
            .contiguous()?
            .reshape((4 * outputs, inputs))?;
        Ok((weight, Tensor::cat(&[&bias, &bias, &bias, &bias], 0)?))
    };
    let (weight, bias) = lay_out().map_err(MobileSamError::tensor("upscaling"))?;
    Linear::new_in(
        &params.place(&weight)?,
        Some(&params.place(&bias)?),
        activation,
        LinearPrecision::Input,
        products(params),
    )
    .map_err(MobileSamError::tensor("upscaling"))
}
