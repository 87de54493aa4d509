//! The whole network: image encoder, prompt encoder, mask decoder.

use super::{
    checkpoint_names::is_ignorable,
    dimensions::{EMBEDDING_CHANNELS, EMBEDDING_SIDE, IMAGE_SIDE, MASK_SIDE, MULTIMASK_OUTPUTS},
    error::MobileSamError,
    mask_decoder::{MaskDecoder, MaskOutput},
    prompt_encoder::PromptEncoder,
    prompts::Prompts,
    tiny_vit::TinyVit,
};
use crate::ops::{Params, concat_batches, on_pool};
use candle_core::{DType, Tensor};
use candle_nn::Module;

/// Objects decoded in one pass: more are decoded in several, so that memory stays bounded (about 30 MB an object).
const OBJECTS_A_PASS: usize = 16;

/// MobileSAM, ready to run on the device of its parameters.
#[derive(Debug, Clone)]
pub struct MobileSam {
    image_encoder: TinyVit,
    prompt_encoder: PromptEncoder,
    mask_decoder: MaskDecoder,
}

impl MobileSam {
    /// Builds the model from a checkpoint with the names of `mobile_sam.pt`, which those of
    /// `mobile_sam-tiny-vitt.safetensors` (`lmz/candle-sam`) equal. Strict: all tensors must be there with their shapes, and no others but those for
    /// which [`is_ignorable`] says true.
    ///
    /// # Errors
    /// [`MobileSamError::Params`] for a checkpoint that does not fit, [`MobileSamError::Tensor`] if memory ran out.
    pub fn load(params: &Params) -> Result<Self, MobileSamError> {
        let model = Self {
            image_encoder: TinyVit::load(&params.scope("image_encoder"))?,
            prompt_encoder: PromptEncoder::load(&params.scope("prompt_encoder"))?,
            mask_decoder: MaskDecoder::load(&params.scope("mask_decoder"))?,
        };
        params.finish(is_ignorable)?;
        Ok(model)
    }

    /// Embeds images: `pixel_values` `[B, 1024, 1024, 3]` f32, on a GPU f16 and bf16 too, normalised with [`crate::ops::Normalisation::IMAGENET`] and
    /// zero-padded at right and bottom, to `[B, 64, 64, 256]`.
    ///
    /// # Errors
    /// [`MobileSamError::Shape`] for another shape, [`MobileSamError::Tensor`] if memory ran out.
    pub fn encode(&self, pixel_values: &Tensor) -> Result<Tensor, MobileSamError> {
        match pixel_values.dims() {
            [_, IMAGE_SIDE, IMAGE_SIDE, 3] => {}
            _ => {
                return Err(MobileSamError::shape(
                    "pixel values",
                    pixel_values,
                    "[B, 1024, 1024, 3]",
                ));
            }
        }
        on_pool(pixel_values, || self.image_encoder.forward(pixel_values))
            .map_err(MobileSamError::tensor("image encoder"))
    }

    /// Predicts the masks of all objects of `prompts` on the image of `embedding` `[1, 64, 64, 256]`, or on images of their own
    /// `[N, 64, 64, 256]`: one mask an object,
    /// or [`MULTIMASK_OUTPUTS`] where `multimask` is set (better for a single point, which can mean a whole or its part).
    ///
    /// # Errors
    /// [`MobileSamError::Shape`] for an embedding of another shape, [`MobileSamError::Tensor`] if memory ran out.
    pub fn decode(
        &self,
        embedding: &Tensor,
        prompts: &Prompts,
        multimask: bool,
    ) -> Result<MaskOutput, MobileSamError> {
        match embedding.dims() {
            &[images, EMBEDDING_SIDE, EMBEDDING_SIDE, EMBEDDING_CHANNELS]
                if images == 1 || images == prompts.len() => {}
            _ => {
                return Err(MobileSamError::shape(
                    "image embedding",
                    embedding,
                    "[1 or N, 64, 64, 256]",
                ));
            }
        }
        on_pool(embedding, || self.decode_all(embedding, prompts, multimask))
            .map_err(MobileSamError::tensor("mask decoder"))
    }

    fn decode_all(
        &self,
        embedding: &Tensor,
        prompts: &Prompts,
        multimask: bool,
    ) -> candle_core::Result<MaskOutput> {
        let n = prompts.len();
        let (mut masks, mut ious) = (Vec::new(), Vec::new());
        for first in (0..n).step_by(OBJECTS_A_PASS) {
            let count = OBJECTS_A_PASS.min(n - first);
            let part = prompts.narrow(first, count)?;
            let images = if embedding.dim(0)? == 1 {
                embedding.clone()
            } else {
                embedding.narrow(0, first, count)?
            };
            let (sparse, dense) = self.prompt_encoder.forward(&part)?;
            let position = self.prompt_encoder.dense_position();
            let output = self
                .mask_decoder
                .forward(&images, position, &sparse, &dense, multimask)?;
            masks.push(output.low_res_masks);
            ious.push(output.iou_predictions);
        }
        match (&masks[..], &ious[..]) {
            ([], _) => {
                let m = if multimask { MULTIMASK_OUTPUTS } else { 1 };
                let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, embedding.device());
                Ok(MaskOutput {
                    low_res_masks: zeros(&[0, m, MASK_SIDE, MASK_SIDE])?,
                    iou_predictions: zeros(&[0, m])?,
                })
            }
            ([low_res_masks], [iou_predictions]) => Ok(MaskOutput {
                low_res_masks: low_res_masks.clone(),
                iou_predictions: iou_predictions.clone(),
            }),
            _ => Ok(MaskOutput {
                low_res_masks: concat_batches(&masks)?,
                iou_predictions: concat_batches(&ious)?,
            }),
        }
    }
}
