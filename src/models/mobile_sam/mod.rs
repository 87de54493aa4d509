//! MobileSAM: segment anything with a TinyViT encoder (Zhang et al., 2023).
//!
//! An image is encoded once ([`MobileSam::encode`]); any number of prompts is decoded against its embedding
//! ([`MobileSam::decode`]). Coordinates of prompts are pixels of the model's input, 1024×1024: the image scaled so that
//! its longest side is 1024, with padding at right and bottom ([`crate::geometry::LongestSide`]).
//!
//! Logits become masks at the image's resolution through [`crate::ops::masks_to_runs`].
//!
//! Files follow the authors' modules: `tiny_vit`, `prompt_encoder`, `mask_decoder`, `transformer`.

mod layers;
mod mask_decoder;
mod prompt_encoder;
mod prompts;
mod tiny_vit;
mod transformer;
mod window_attention;

pub use prompts::{
    ObjectPrompt, PackedPrompts, PointLabel, PointPrompt, PromptError, Prompts, TOKEN_WIDTH,
};

use crate::{
    models::{
        nn::BuildError,
        prefix::{self, PrefixError},
    },
    ops::{Params, ParamsError, concat_batches},
};
use candle_core::{DType, Tensor};
use candle_nn::Module;
use mask_decoder::MaskDecoder;
use prompt_encoder::PromptEncoder;
use tiny_vit::TinyVit;

/// Side of the model's input in pixels.
pub const IMAGE_SIDE: usize = 1024;
/// Side of the image's embedding.
pub const EMBEDDING_SIDE: usize = 64;
/// Channels of the image's embedding.
pub const EMBEDDING_CHANNELS: usize = 256;
/// Side of the logits of a mask.
pub const MASK_SIDE: usize = 256;
/// Masks an object where several are asked for: whole, part, subpart.
pub const MULTIMASK_OUTPUTS: usize = 3;

/// Objects decoded in one pass: more are decoded in several, so that memory stays bounded (about 30 MB an object).
const OBJECTS_A_PASS: usize = 16;

/// What can go wrong with MobileSAM.
#[derive(Debug, thiserror::Error)]
pub enum MobileSamError {
    /// The checkpoint does not fit.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Prefixes that not all names have.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// Names of another model.
    #[error(
        "{origin}: not a MobileSAM checkpoint ({found}); expected names as in mobile_sam.pt, with or without a common prefix"
    )]
    Unrecognised {
        /// The checkpoint.
        origin: String,
        /// What it has.
        found: String,
    },
    /// A tensor handed in has another shape.
    #[error("{what}: has shape {found:?}, MobileSAM takes {expected}")]
    Shape {
        /// Which one.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: &'static str,
    },
    /// Candle refused an operation.
    #[error("MobileSAM: {what}: {source}")]
    Tensor {
        /// Part of the model.
        what: &'static str,
        /// Candle's own error.
        source: Box<candle_core::Error>,
    },
}

impl From<BuildError> for MobileSamError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Params(error) => Self::Params(error),
            BuildError::Tensor { what, source } => Self::Tensor { what, source },
        }
    }
}

impl MobileSamError {
    fn tensor(what: &'static str) -> impl Fn(candle_core::Error) -> Self {
        move |source| Self::Tensor {
            what,
            source: Box::new(source),
        }
    }

    fn shape(what: &'static str, tensor: &Tensor, expected: &'static str) -> Self {
        Self::Shape {
            what,
            found: tensor.dims().to_vec(),
            expected,
        }
    }
}

/// Result of building a part of the model.
type Loaded<T> = Result<T, MobileSamError>;

/// Masks and the model's own estimate of their quality, for N objects with M masks each (1, or [`MULTIMASK_OUTPUTS`]).
#[derive(Debug, Clone)]
pub struct MaskOutput {
    /// Logits `[N, M, 256, 256]` over the model's padded input, f32; inside is > 0.
    pub low_res_masks: Tensor,
    /// Estimated intersection over union with the true mask `[N, M]`, f32, not clamped.
    pub iou_predictions: Tensor,
}

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
        self.image_encoder
            .forward(pixel_values)
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
        self.decode_all(embedding, prompts, multimask)
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

/// What names of the image encoder begin with, and those of no other model.
const MARKS: &[((), &str)] = &[((), "image_encoder.patch_embed.seq.")];
/// A name that segment anything's own, larger image encoder has.
const LARGE_ENCODER: &str = "image_encoder.pos_embed";

/// What all `names` begin with before the model's own names, as training wrappers write it; often nothing.
///
/// # Errors
/// [`MobileSamError::Unrecognised`] for names of another model, [`MobileSamError::Prefix`] if not all have the prefix.
pub fn prefix_of<'a>(
    origin: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<String, MobileSamError> {
    if let Some(((), prefix)) = prefix::find(origin, names.clone(), MARKS)? {
        return Ok(prefix);
    }
    let found = if names.clone().any(|name| name.ends_with(LARGE_ENCODER)) {
        "segment anything with a ViT encoder; MobileSAM has TinyViT".to_owned()
    } else {
        match names.take(3).collect::<Vec<_>>().join(", ") {
            examples if examples.is_empty() => "no tensors at all".to_owned(),
            examples => format!("tensors such as {examples}"),
        }
    };
    Err(MobileSamError::Unrecognised {
        origin: origin.to_owned(),
        found,
    })
}

/// Whether a tensor of a published checkpoint has no part in the computation:
///
/// - `num_batches_tracked` of batch normalisation;
/// - `attention_bias_idxs` and `ab` of TinyViT's attention, buffers that follow from the window's size;
/// - `norm_head` and `head`, TinyViT's classifier, which `mobile_sam.pt` carries along;
/// - `pixel_mean` and `pixel_std`, fixed in [`crate::ops::Normalisation::IMAGENET`].
pub fn is_ignorable(name: &str) -> bool {
    let classifier = ["image_encoder.norm_head.", "image_encoder.head."];
    matches!(name, "pixel_mean" | "pixel_std")
        || name.rsplit('.').next() == Some("num_batches_tracked")
        || name.ends_with(".attn.attention_bias_idxs")
        || name.ends_with(".attn.ab")
        || classifier.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found_and_other_models_named() {
        let of =
            |names: &[&str]| prefix_of("sam.pth", names.iter().copied()).map_err(|e| e.to_string());
        let name = "image_encoder.patch_embed.seq.0.c.weight";
        assert_eq!(of(&[name, "pixel_mean"]), Ok(String::new()));
        assert_eq!(
            of(&[
                "net.sam.image_encoder.patch_embed.seq.0.c.weight",
                "net.sam.pixel_mean"
            ]),
            Ok("net.sam.".to_owned())
        );
        assert!(
            of(&["model.image_encoder.patch_embed.seq.0.c.weight", "loss.w"])
                .unwrap_err()
                .contains("prefix model.,")
        );
        assert!(
            of(&["image_encoder.pos_embed", "x"])
                .unwrap_err()
                .starts_with("sam.pth: not a MobileSAM checkpoint (segment anything with")
        );
        assert!(
            of(&["backbone.stem.x"])
                .unwrap_err()
                .contains("tensors such as backbone.stem.x")
        );
    }
}
