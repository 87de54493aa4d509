//! What a D-FINE is made of: sizes, counts and switches, whatever the checkpoint's format says them in.

use crate::{
    geometry::Size,
    ops::{Activation, Normalisation},
};
use serde::Serialize;

/// A whole detector.
#[derive(Debug, Clone, PartialEq)]
pub struct DFineConfig {
    /// The convolutional backbone.
    pub backbone: HgNetV2Config,
    /// Between backbone and decoder.
    pub encoder: HybridEncoderConfig,
    /// From encoder maps to boxes.
    pub decoder: DecoderConfig,
    /// Number of classes.
    pub num_labels: usize,
    /// Names of the classes, where the checkpoint has them.
    pub label_names: Option<Vec<String>>,
    /// Size that images are stretched to.
    pub input_size: Size,
    /// What says so.
    pub input_size_source: InputSizeSource,
    /// Brings pixels in 0..255 to what the model was trained on.
    pub normalisation: Normalisation,
    /// Added to the variance in encoder and decoder batch normalisation.
    pub batch_norm_eps: f64,
    /// Added to the variance in layer normalisation.
    pub layer_norm_eps: f64,
}

/// What the size of a detector's input is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSizeSource {
    /// Nothing: it is the size that most D-FINEs were trained for.
    Assumed,
    /// `preprocessor_config.json`.
    Preprocessor,
    /// `anchor_image_size` in `config.json`.
    Config,
    /// Anchors that the checkpoint has.
    Anchors,
    /// Metadata that the trainer put into the checkpoint.
    Metadata,
    /// The user.
    User,
}

/// Sizes of a detector's input that neither configuration nor tensors hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputSizes {
    /// What the checkpoint's metadata say.
    pub stated: Option<Size>,
    /// What the user wants.
    pub requested: Option<Size>,
}

/// HGNetv2 (B0 to B6 are settings of it).
#[derive(Debug, Clone, PartialEq)]
pub struct HgNetV2Config {
    /// Image channels, channels within the stem, channels after it.
    pub stem_channels: [usize; 3],
    /// The stages, first to last.
    pub stages: Vec<StageConfig>,
    /// Whether a learnable scale and shift follow each activation.
    pub learnable_affine: bool,
    /// Positions in `stages` whose maps are given out, ascending.
    pub outputs: Vec<usize>,
}

/// One stage of [`HgNetV2Config`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageConfig {
    /// Channels coming in.
    pub in_channels: usize,
    /// Channels of the layers within a block.
    pub mid_channels: usize,
    /// Channels going out.
    pub out_channels: usize,
    /// Blocks, the first without a shortcut.
    pub blocks: usize,
    /// Convolution layers in a block.
    pub layers: usize,
    /// Whether a strided depthwise convolution halves the map first.
    pub downsample: bool,
    /// Whether layers are a 1×1 and a depthwise convolution instead of a full one.
    pub light: bool,
    /// Kernel of the layers.
    pub kernel_size: usize,
}

/// The hybrid encoder: self-attention within the coarsest level, convolution across levels.
#[derive(Debug, Clone, PartialEq)]
pub struct HybridEncoderConfig {
    /// Channels of every level within and after the encoder.
    pub hidden_dim: usize,
    /// Channels within the attention layer's perceptron.
    pub ffn_dim: usize,
    /// Attention heads.
    pub heads: usize,
    /// Attention layers at each level of `attention_levels`.
    pub attention_layers: usize,
    /// Levels (0 the finest) that go through self-attention.
    pub attention_levels: Vec<usize>,
    /// Base of the position embedding's wavelengths.
    pub temperature: f64,
    /// How the position embedding counts the tokens of a map that is not square.
    pub position_order: PositionOrder,
    /// Activation of the perceptron.
    pub ffn_activation: Activation,
    /// Activation of the re-parameterised blocks.
    pub block_activation: Activation,
    /// Channels within a RepNCSPELAN4 block.
    pub block_channels: usize,
    /// Re-parameterised convolutions in each half of such a block.
    pub block_depth: usize,
}

/// The order in which the position embedding's rows are laid over a map's tokens. On square maps both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionOrder {
    /// Token i lies at row i / width, column i % width, as it does in the map (transformers).
    RowMajor,
    /// Token i gets the embedding of i / height and i % height (the authors' code).
    Authors,
}

/// The decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// Channels of a query.
    pub d_model: usize,
    /// Channels within a layer's perceptron.
    pub ffn_dim: usize,
    /// Activation of that perceptron.
    pub ffn_activation: Activation,
    /// Attention heads.
    pub heads: usize,
    /// Layers that run, the last of which gives boxes and classes.
    pub layers: usize,
    /// Sampling points a head has on each level.
    pub points: Vec<usize>,
    /// Sampling offsets are in units of the box's extent times this.
    pub offset_scale: f64,
    /// Queries taken from the encoder.
    pub num_queries: usize,
    /// Bins of an edge's distribution, less one.
    pub max_num_bins: usize,
    /// Probabilities of a distribution that the location quality estimator sees.
    pub top_prob_values: usize,
    /// Channels within the location quality estimator.
    pub lqe_hidden_dim: usize,
    /// Layers of the location quality estimator.
    pub lqe_layers: usize,
}

/// Input pixels for a pixel of the backbone's coarsest map.
pub(super) const OUTPUT_STRIDE: usize = 32;

impl DFineConfig {
    /// Number of levels that go through encoder and decoder.
    pub fn levels(&self) -> usize {
        self.backbone.outputs.len()
    }

    /// Image channels.
    pub fn channels(&self) -> usize {
        self.backbone.stem_channels[0]
    }
}
