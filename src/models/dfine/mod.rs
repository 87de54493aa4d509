//! D-FINE: object detection by fine-grained distribution refinement (Peng et al., 2024).
//!
//! Files and blocks are named as in the paper's code; tensors as in the checkpoints on the hub (see [`keys`]).
//! The model is built in its deploy form: normalisation and parallel convolutions folded into one, only the
//! last decoder layer's class head and quality estimator.

mod config;
mod config_infer;
mod config_json;
mod decoder;
mod detector;
mod distribution;
mod grid;
mod hgnetv2;
mod hybrid_encoder;
pub mod keys;
mod labels;
mod labels_error;
mod labels_file;
mod layers;
pub mod postprocess;
mod preprocessor;
mod query_selection;
mod sizes;
mod value_text;

pub use config::{
    ConfigError, ConfigFile, ConfigProblem, DFineConfig, DecoderConfig, HgNetV2Config,
    HybridEncoderConfig, InputSizeSource, InputSizes, PositionOrder, StageConfig, check_input,
};
pub use detector::{Checkpoint, Detector};
pub use labels::Labels;
pub use labels_error::LabelsError;
pub use sizes::{DFineSize, UnknownSize};

use crate::{
    models::nn::{BuildError, ConvNorm},
    ops::{self, Activation, Conv2d, Params, ParamsError, Ties, concat_channels},
    text::counted,
};
use candle_core::Tensor;
use candle_nn::Module;
use config::OUTPUT_STRIDE;
use decoder::Decoder;
use grid::Grid;
use hgnetv2::HgNetV2;
use hybrid_encoder::HybridEncoder;
use layers::encoder_conv;
use query_selection::QuerySelection;
use std::sync::{Arc, Mutex, PoisonError};

/// What can go wrong with a D-FINE.
#[derive(Debug, thiserror::Error)]
pub enum DFineError {
    /// The checkpoint does not fit.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The configuration makes no model.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Tensor names of neither known kind.
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    /// Classes without names, or names that do not fit.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// A number in the checkpoint that no D-FINE has.
    #[error("tensor {what}: {value}: {reason}; the checkpoint is damaged or of another model")]
    Value {
        /// Name of the tensor.
        what: String,
        /// What it holds.
        value: String,
        /// What it should.
        reason: &'static str,
    },
    /// An input that the model cannot take.
    #[error("input of shape {shape:?}: {reason}")]
    Input {
        /// Shape of the input.
        shape: Vec<usize>,
        /// What it should be.
        reason: String,
    },
    /// Candle refused an operation.
    #[error("D-FINE: {0}")]
    Tensor(#[source] Box<candle_core::Error>),
}

impl From<BuildError> for DFineError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Params(error) => Self::Params(error),
            BuildError::Tensor { source, .. } => Self::Tensor(source),
        }
    }
}

impl From<candle_core::Error> for DFineError {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(Box::new(error))
    }
}

/// What the model says of a batch of images.
#[derive(Debug, Clone)]
pub struct DFineOutput {
    /// Class logits `[B, Q, K]`; their sigmoids are the scores.
    pub logits: Tensor,
    /// Boxes `[B, Q, 4]`: cx, cy, w, h in 0..1 of the input.
    pub pred_boxes: Tensor,
}

/// A D-FINE ready to run.
#[derive(Debug)]
pub struct DFine {
    config: DFineConfig,
    backbone: HgNetV2,
    encoder: HybridEncoder,
    decoder_projections: Vec<Conv2d>,
    selection: QuerySelection,
    decoder: Decoder,
    grid: Mutex<Arc<Grid>>,
}

impl DFine {
    /// Builds the model of `config` from tensors with canonical names, and checks that none is left over.
    ///
    /// # Errors
    /// [`DFineError::Config`] for a configuration that makes no model, [`DFineError::Params`] for a missing,
    /// misshapen or unknown tensor, [`DFineError::Value`] for a number no D-FINE has.
    pub fn load(params: &Params, config: &DFineConfig) -> Result<Self, DFineError> {
        config.validate()?;
        let model = params.scope("model");
        let (hidden, d) = (config.encoder.hidden_dim, config.decoder.d_model);
        let project = |i: usize| {
            let spec = encoder_conv(hidden, d, 1, config.batch_norm_eps, Activation::Identity);
            ConvNorm {
                conv: "0",
                norm: "1",
                ..spec
            }
            .load(&model.scope("decoder_input_proj").scope(i))
        };
        // Where the channels agree already, the original has no projection.
        let projected = if hidden == d { 0 } else { config.levels() };
        let input = config.input_size.rows_columns();
        let loaded = Self {
            backbone: HgNetV2::load(&model.scope("backbone").scope("model"), &config.backbone)?,
            encoder: HybridEncoder::load(&model, config)?,
            decoder_projections: (0..projected).map(project).collect::<Result<_, _>>()?,
            selection: QuerySelection::load(&model, config)?,
            decoder: Decoder::load(&model.scope("decoder"), config)?,
            grid: Mutex::new(Arc::new(Grid::new(input, config, params.device())?)),
            config: config.clone(),
        };
        params.finish(|name| keys::is_training_only(name, config.decoder.layers))?;
        Ok(loaded)
    }

    /// What the model is made of.
    pub fn config(&self) -> &DFineConfig {
        &self.config
    }

    /// Runs the model on images `[B, H, W, C]` in 0..1 (or normalised as the configuration says), f32, on a GPU f16 and bf16 too:
    /// layers then compute in the input's type, scores and boxes in f32 all the same.
    ///
    /// Any size will do whose sides are multiples of 32 and that gives at least as many tokens as the model has
    /// queries; the model was trained for one size. Constants of the latest size are kept.
    ///
    /// # Errors
    /// [`DFineError::Input`] for another shape, [`DFineError::Tensor`] if memory ran out.
    pub fn forward(&self, pixel_values: &Tensor) -> Result<DFineOutput, DFineError> {
        self.forward_with_ties(pixel_values, Ties::First)
    }

    /// As [`DFine::forward`], where tokens whose scores tie become queries as `ties` says.
    ///
    /// # Errors
    /// As [`DFine::forward`], and [`DFineError::Tensor`] on a GPU for [`Ties::Torch`].
    pub fn forward_with_ties(
        &self,
        pixel_values: &Tensor,
        ties: Ties,
    ) -> Result<DFineOutput, DFineError> {
        let grid = self.grid_for(pixel_values)?;
        let (logits, pred_boxes) = self.run(pixel_values, &grid, ties)?;
        Ok(DFineOutput { logits, pred_boxes })
    }

    fn run(&self, pixel_values: &Tensor, grid: &Grid, ties: Ties) -> ops::Result<(Tensor, Tensor)> {
        let mut maps = self
            .encoder
            .forward(&self.backbone.forward(pixel_values)?, grid)?;
        for (map, projection) in maps.iter_mut().zip(&self.decoder_projections) {
            *map = projection.forward(map)?;
        }
        // An image's tokens of all levels one after the other.
        let (batch, d) = (pixel_values.dim(0)?, self.config.decoder.d_model);
        let tokens = maps
            .iter()
            .map(|map| map.flatten_from(1))
            .collect::<ops::Result<Vec<_>>>()?;
        let tokens =
            concat_channels(&tokens.iter().collect::<Vec<_>>())?.reshape((batch, (), d))?;
        let queries = self.selection.forward(&tokens, grid, ties)?;
        self.decoder.forward(queries, &tokens, grid.levels())
    }

    fn grid_for(&self, pixel_values: &Tensor) -> Result<Arc<Grid>, DFineError> {
        let wrong = |reason: String| DFineError::Input {
            shape: pixel_values.dims().to_vec(),
            reason,
        };
        let channels = self.config.channels();
        let &[batch, h, w, c] = pixel_values.dims() else {
            return Err(wrong("expected [batch, height, width, channels]".into()));
        };
        if batch == 0 || c != channels {
            return Err(wrong(format!(
                "expected at least one image of {} in the last dimension",
                counted(channels, "channel")
            )));
        }
        if h == 0 || w == 0 || h % OUTPUT_STRIDE != 0 || w % OUTPUT_STRIDE != 0 {
            return Err(wrong(format!(
                "height and width must be multiples of {OUTPUT_STRIDE}"
            )));
        }
        let mut latest = self.grid.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.input() != (h, w) {
            *latest = Arc::new(Grid::new((h, w), &self.config, pixel_values.device())?);
        }
        let tokens: usize = latest.levels().iter().map(|(h, w)| h * w).sum();
        if tokens < self.config.decoder.num_queries {
            return Err(wrong(format!(
                "gives {tokens} tokens, the model takes {} queries from them",
                self.config.decoder.num_queries
            )));
        }
        Ok(latest.clone())
    }
}
