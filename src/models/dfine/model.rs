//! The whole network: backbone, hybrid encoder, query selection, decoder.

use super::{
    config::{DFineConfig, OUTPUT_STRIDE},
    decoder::Decoder,
    error::DFineError,
    grid::Grid,
    hgnetv2::HgNetV2,
    hybrid_encoder::HybridEncoder,
    keys,
    layers::encoder_conv,
    query_selection::QuerySelection,
};
use crate::{
    models::nn::ConvNorm,
    ops::{self, Activation, Conv2d, Params, Ties, concat_channels},
    text::counted,
};
use candle_core::Tensor;
use candle_nn::Module;
use std::sync::{Arc, Mutex, PoisonError};

/// What the model outputs for a batch of images.
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
        let (logits, pred_boxes) =
            ops::on_pool(pixel_values, || self.run(pixel_values, &grid, ties))?;
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
