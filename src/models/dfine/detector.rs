//! A checkpoint made into a detector: names, configuration, labels and model together.

use super::{
    config::{DFineConfig, InputSizes},
    error::DFineError,
    keys::{self, Canonical, Layout},
    labels::Labels,
    model::{DFine, DFineOutput},
    postprocess::{self, Candidate, SelectError, Selection},
};
use crate::{
    geometry::Size,
    ops::{
        Engine, Params, Surface, resize_normalise, resize_normalise_surface,
        resize_normalise_surface_to, resize_normalise_to,
    },
};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;

/// What was read of a checkpoint.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    /// Names the checkpoint in errors: its path or hub id.
    pub origin: &'a str,
    /// The tensors under the names they have in the file, on the CPU.
    pub tensors: BTreeMap<String, Tensor>,
    /// Contents of `config.json`, where there is one; without it the configuration is read from the tensors.
    pub config: Option<&'a str>,
    /// Contents of `preprocessor_config.json`, where there is one.
    pub preprocessor: Option<&'a str>,
}

/// A D-FINE with its labels.
#[derive(Debug)]
pub struct Detector {
    model: DFine,
    labels: Labels,
    layout: Layout,
    prefix: String,
    mask_head: usize,
}

impl Detector {
    /// Builds a detector on the device of `engine` from a checkpoint of either layout. `labels` are the user's: the file's name and its
    /// names.
    ///
    /// # Errors
    /// See [`DFineError`]: nothing of the checkpoint is ignored silently but tensors of training alone
    /// ([`keys::is_training_only`]).
    pub fn load(
        checkpoint: Checkpoint<'_>,
        labels: Option<(&str, Labels)>,
        engine: &Engine,
    ) -> Result<Self, DFineError> {
        Self::load_for(checkpoint, labels, InputSizes::default(), engine)
    }

    /// As [`Detector::load`], where the size of the input stands outside of configuration and tensors.
    ///
    /// # Errors
    /// As [`Detector::load`].
    pub fn load_for(
        checkpoint: Checkpoint<'_>,
        labels: Option<(&str, Labels)>,
        input: InputSizes,
        engine: &Engine,
    ) -> Result<Self, DFineError> {
        let Checkpoint {
            origin,
            tensors,
            config,
            preprocessor,
        } = checkpoint;
        let Canonical {
            tensors,
            layout,
            prefix,
            mask_head,
        } = keys::canonical(origin, tensors)?;
        let params = Params::new(origin, tensors, engine);
        let mut config = match config {
            Some(text) => {
                let head = params
                    .shape("model.enc_score_head.weight")
                    .unwrap_or_default();
                // A missing head is reported with its name when the model is built.
                DFineConfig::from_json(text, preprocessor, head.first().copied())?
            }
            None => DFineConfig::infer(&params, layout)?,
        };
        config.settle_input(input)?;
        let labels = Labels::resolve(
            origin,
            config.num_labels,
            labels,
            config.label_names.as_deref(),
        )?;
        Ok(Self {
            model: DFine::load(&params, &config)?,
            labels,
            layout,
            prefix,
            mask_head,
        })
    }

    /// The model.
    pub fn model(&self) -> &DFine {
        &self.model
    }

    /// What the model is made of.
    pub fn config(&self) -> &DFineConfig {
        self.model.config()
    }

    /// Names of the classes.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Whose names the checkpoint had.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What all names of the checkpoint began with before the model's own, as training wrappers write it; often nothing.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Tensors of a mask head in the checkpoint, which finding boxes does not need.
    pub fn mask_head(&self) -> usize {
        self.mask_head
    }

    /// Size that frames are stretched to.
    pub fn input_size(&self) -> Size {
        self.config().input_size
    }

    /// A decoded frame `[H, W, 1 or 3]` u8 as the model's input `[1, height, width, channels]` of `dtype` (f32 on the CPU): stretched,
    /// not letterboxed.
    ///
    /// # Errors
    /// [`DFineError::Tensor`] for a frame of another type or shape.
    pub fn preprocess(&self, frame: &Tensor, dtype: DType) -> Result<Tensor, DFineError> {
        let config = self.config();
        let size = config.input_size.rows_columns();
        Ok(resize_normalise(
            frame,
            size,
            size,
            config.channels(),
            &config.normalisation,
            dtype,
        )?)
    }

    /// As [`Detector::preprocess`] on a GPU, into `out` `[1, height, width, channels]`, contiguous, of its type.
    ///
    /// # Errors
    /// As [`Detector::preprocess`], and on the CPU.
    pub fn preprocess_to(&self, frame: &Tensor, out: &Tensor) -> Result<(), DFineError> {
        let config = self.config();
        let size = config.input_size.rows_columns();
        Ok(resize_normalise_to(
            frame,
            size,
            &config.normalisation,
            out,
        )?)
    }

    /// As [`Detector::preprocess`], of a frame that was decoded on the device, on the stream of `device`.
    ///
    /// # Errors
    /// As [`Detector::preprocess`].
    pub fn preprocess_surface(
        &self,
        frame: &Surface,
        device: &Device,
        dtype: DType,
    ) -> Result<Tensor, DFineError> {
        let config = self.config();
        let size = config.input_size.rows_columns();
        Ok(resize_normalise_surface(
            frame,
            device,
            size,
            size,
            config.channels(),
            &config.normalisation,
            dtype,
        )?)
    }

    /// As [`Detector::preprocess_to`], of a frame that was decoded on the device, on the stream of `device`.
    ///
    /// # Errors
    /// As [`Detector::preprocess_to`].
    pub fn preprocess_surface_to(
        &self,
        frame: &Surface,
        device: &Device,
        out: &Tensor,
    ) -> Result<(), DFineError> {
        let config = self.config();
        let size = config.input_size.rows_columns();
        Ok(resize_normalise_surface_to(
            frame,
            device,
            size,
            &config.normalisation,
            out,
        )?)
    }

    /// Runs the model; see [`DFine::forward`].
    ///
    /// # Errors
    /// As [`DFine::forward`].
    pub fn forward(&self, pixel_values: &Tensor) -> Result<DFineOutput, DFineError> {
        self.model.forward(pixel_values)
    }

    /// Chooses objects of one image from its logits `[Q, K]` and boxes `[Q, 4]`; see [`postprocess::select`].
    ///
    /// # Errors
    /// As [`postprocess::select`].
    pub fn select(
        &self,
        logits: &[f32],
        boxes: &[f32],
        selection: &Selection,
    ) -> Result<Vec<Candidate>, SelectError> {
        postprocess::select(logits, boxes, self.config().num_labels, selection)
    }
}
