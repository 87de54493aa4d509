//! Sizes that all published MobileSAM checkpoints have.

/// Side of the model's input in pixels.
pub const IMAGE_SIDE: usize = 1024;
/// Side of the image's embedding.
pub const EMBEDDING_SIDE: usize = 64;
/// Channels of the image's embedding.
pub const EMBEDDING_CHANNELS: usize = 256;
/// Side of the logits of a mask.
pub const MASK_SIDE: usize = 256;
/// Masks of an object with `multimask`: whole, part, subpart.
pub const MULTIMASK_OUTPUTS: usize = 3;
