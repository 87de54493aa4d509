//! D-FINE on frames: a frame to objects with boxes in its pixels.

use super::{
    ModelError, ModelOrigin, StageTimes, Stages,
    picture::{self, Picture},
};
use crate::{
    engine::{Engine, GraphCache, Stage},
    frame::{Confidence, Frame, Object},
    geometry::Size,
    models::dfine::{
        self, Labels,
        postprocess::{self, Candidate, Selection},
    },
};
use candle_core::Tensor;
use std::sync::Arc;

/// A loaded detector, the device it runs on, and which of its findings count.
#[derive(Debug)]
pub struct Detector {
    engine: Engine,
    model: dfine::Detector,
    origin: ModelOrigin,
    selection: Selection,
    /// Of `selection`, as it was given.
    confidence: Confidence,
}

impl Detector {
    /// A detector over a loaded model, with the default selection.
    pub fn new(engine: &Engine, model: dfine::Detector, origin: ModelOrigin) -> Self {
        Self { engine: engine.clone(), model, origin, selection: Selection::default(), confidence: Confidence::DEFAULT }
    }

    /// Which findings become objects: threshold of scores, maximum number, and classes by name or number (all if empty).
    ///
    /// # Errors
    /// [`ModelError::UnknownClass`] for a class that the model has not.
    pub fn with_selection(mut self, confidence: Confidence, max_objects: usize, classes: &[String]) -> Result<Self, ModelError> {
        let mut chosen = vec![classes.is_empty(); self.labels().len()];
        for class in classes {
            let index = self.labels().find(class).or_else(|| class.parse().ok());
            let place = index.and_then(|i| chosen.get_mut(i as usize));
            *place.ok_or_else(|| ModelError::UnknownClass(class.clone(), known(self.labels())))? = true;
        }
        let classes = (!classes.is_empty()).then_some(chosen);
        self.confidence = confidence;
        self.selection = Selection { threshold: confidence.as_f32(), max_objects, classes };
        Ok(self)
    }

    /// The threshold of scores.
    pub fn confidence(&self) -> Confidence {
        self.confidence
    }

    /// The maximum number of objects of a frame.
    pub(super) fn selection_limit(&self) -> usize {
        self.selection.max_objects
    }

    /// Names of the classes that may be chosen; none if all may.
    pub(super) fn chosen_classes(&self) -> Option<Vec<&str>> {
        let chosen = self.selection.classes.as_ref()?;
        Some(self.labels().iter().zip(chosen).filter(|(_, chosen)| **chosen).map(|(name, _)| &**name).collect())
    }

    /// Names of the classes.
    pub fn labels(&self) -> &Labels {
        self.model.labels()
    }

    /// The device it runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Where the model came from.
    pub fn origin(&self) -> &ModelOrigin {
        &self.origin
    }

    /// The model itself.
    pub fn model(&self) -> &dfine::Detector {
        &self.model
    }

    /// Brings a frame to the model's input `[1, height, width, channels]`. A frame that is on the device already is read there, after
    /// what decodes it; the host does not wait.
    ///
    /// # Errors
    /// [`ModelError`] if memory ran out.
    pub fn preprocess(&self, frame: &Frame) -> Result<Tensor, ModelError> {
        let dtype = self.engine.dtype();
        Ok(match picture::on_device(&self.engine, frame)? {
            Picture::Tensor(image) => self.model.preprocess(&image, dtype)?,
            Picture::Surface(surface) => self.model.preprocess_surface(surface, self.engine.device(), dtype)?,
        })
    }

    /// Runs the model on its input `[1, height, width, channels]`, on a GPU by replaying what `graphs` holds for inputs of this
    /// shape. `graphs` must be used with this detector alone.
    ///
    /// # Errors
    /// [`ModelError`] if memory ran out or the device failed.
    pub fn forward(&self, graphs: &mut GraphCache, pixels: &Tensor) -> Result<dfine::DFineOutput, ModelError> {
        outputs(graphs.run(&self.engine, 0, &[pixels], self.work())?)
    }

    /// As [`Detector::forward`], but on a GPU the next call with `graphs` overwrites the outputs.
    pub(super) fn forward_shared(&self, graphs: &mut GraphCache, pixels: &Tensor) -> Result<dfine::DFineOutput, ModelError> {
        outputs(graphs.run_shared(&self.engine, 0, &[pixels], self.work())?)
    }

    fn work(&self) -> impl Fn(&[Tensor]) -> Result<Vec<Tensor>, ModelError> + '_ {
        let work = |inputs: &[Tensor]| -> Result<Vec<Tensor>, ModelError> {
            let Some(pixels) = inputs.first() else { return Ok(Vec::new()) };
            let dfine::DFineOutput { logits, pred_boxes } = self.model.forward(pixels)?;
            Ok(vec![logits, pred_boxes])
        };
        work
    }

    /// The objects of a frame, best score first, boxes cut to the frame. `graphs` must be used with this detector alone.
    ///
    /// # Errors
    /// [`ModelError`] if the model computed nonsense or memory ran out.
    pub fn detect(&self, graphs: &mut GraphCache, frame: &Frame, times: &StageTimes) -> Result<Vec<Object>, ModelError> {
        let engine = &self.engine;
        let pixels = engine.within(Stage::Preprocess, || times.time(Stages::DETECT_PREPROCESS, || self.preprocess(frame)))?;
        let output = engine.within(Stage::Detect, || times.time(Stages::DETECT, || self.forward_shared(graphs, &pixels)))?;
        engine.within(Stage::Select, || times.time(Stages::SELECT, || self.select(frame, &output)))
    }

    fn select(&self, frame: &Frame, output: &dfine::DFineOutput) -> Result<Vec<Object>, ModelError> {
        let logits = self.engine.download_f32(Stage::Select, &output.logits)?;
        let boxes = self.engine.download_f32(Stage::Select, &output.pred_boxes)?;
        let candidates = self.model.select(&logits, &boxes, &self.selection)?;
        Ok(candidates.into_iter().filter_map(|c| self.object(c, frame.size())).collect())
    }

    /// A chosen pair of query and class in a frame of `size`; none if its box has no extent there.
    pub(super) fn object(&self, chosen: Candidate, size: Size) -> Option<Object> {
        let bbox = Some(chosen.bbox.to_pixels(size).clamped(size)).filter(crate::geometry::BoxXyxy::is_valid)?;
        let label = self.labels().get(chosen.class).cloned().unwrap_or_else(|| Arc::from(chosen.class.to_string()));
        Some(Object { bbox, score: chosen.score, class: chosen.class, label, mask: None, mask_score: None })
    }

    /// Maximum number of objects of a frame, at least 1 ([`Detector::min_logit`] rules all out where there are to be none).
    pub(super) fn max_objects(&self) -> usize {
        self.selection.max_objects.clamp(1, postprocess::TOP)
    }

    /// The lowest logit that makes an object.
    pub(super) fn min_logit(&self) -> f32 {
        if self.selection.max_objects == 0 { f32::INFINITY } else { postprocess::min_logit(self.selection.threshold) }
    }

    /// For each class 1 where it may be chosen and 0 where not, on the device; none where all may.
    pub(super) fn allowed_classes(&self) -> Result<Option<Tensor>, ModelError> {
        let Some(classes) = &self.selection.classes else { return Ok(None) };
        let allowed: Vec<u32> = classes.iter().map(|&c| u32::from(c)).collect();
        let allowed = Tensor::new(allowed, &candle_core::Device::Cpu).map_err(ModelError::op("classes"))?;
        Ok(Some(self.engine.upload_tensor(Stage::Load, &allowed)?))
    }
}

fn outputs(made: Vec<Tensor>) -> Result<dfine::DFineOutput, ModelError> {
    match <[Tensor; 2]>::try_from(made) {
        Ok([logits, pred_boxes]) => Ok(dfine::DFineOutput { logits, pred_boxes }),
        Err(_) => Err(ModelError::NoModels),
    }
}

fn known(labels: &Labels) -> String {
    const SHOWN: usize = 20;
    let names: Vec<&str> = labels.iter().take(SHOWN).map(|name| &**name).collect();
    let more = if labels.len() > SHOWN { format!(", … ({} in all)", labels.len()) } else { String::new() };
    format!("{}{more}", names.join(", "))
}
