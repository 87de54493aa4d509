//! MobileSAM: segment anything with a TinyViT encoder (Zhang et al., 2023).
//!
//! An image is encoded once ([`MobileSam::encode`]); any number of prompts is decoded against its embedding
//! ([`MobileSam::decode`]). Coordinates of prompts are pixels of the model's input, 1024×1024: the image scaled so that
//! its longest side is 1024, with padding at right and bottom ([`crate::geometry::LongestSide`]).
//!
//! Logits become masks at the image's resolution through [`crate::ops::masks_to_runs`].
//!
//! Files follow the authors' modules: `tiny_vit`, `prompt_encoder`, `mask_decoder`, `transformer`.

mod checkpoint_names;
mod dimensions;
mod error;
mod layers;
mod mask_decoder;
mod model;
mod prompt_encoder;
mod prompts;
mod tiny_vit;
mod transformer;
mod window_attention;

pub use checkpoint_names::{is_ignorable, prefix_of};
pub use dimensions::{
    EMBEDDING_CHANNELS, EMBEDDING_SIDE, IMAGE_SIDE, MASK_SIDE, MULTIMASK_OUTPUTS,
};
pub use error::MobileSamError;
pub use mask_decoder::MaskOutput;
pub use model::MobileSam;
pub use prompts::{
    ObjectPrompt, PackedPrompts, PointLabel, PointPrompt, PromptError, Prompts, TOKEN_WIDTH,
};
