//! D-FINE on frames: a frame to objects with boxes in its pixels.

use crate::{
    engine::{Engine, GraphCache},
    frame::{Confidence, Frame, Object},
    geometry::Size,
    models::dfine::{
        self, InputSizeSource, Labels,
        postprocess::{self, Candidate, Selection},
    },
    session::{
        error::ModelError,
        model_origin::ModelOrigin,
        picture::{self, Picture},
        stage::Stage,
        stage_times::StageTimes,
    },
    sources::SourceWarning,
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
        Self {
            engine: engine.clone(),
            model,
            origin,
            selection: Selection::default(),
            confidence: Confidence::DEFAULT,
        }
    }

    /// Which findings become objects: threshold of scores, maximum number, and classes by name or number (all if empty). A text of `classes`
    /// that is no class is taken for several with commas between them; names that have commas themselves are recognised in it too.
    ///
    /// # Errors
    /// [`ModelError::UnknownClass`] for a class that the model has not.
    pub fn with_selection(
        mut self,
        confidence: Confidence,
        max_objects: usize,
        classes: &[String],
    ) -> Result<Self, ModelError> {
        let mut chosen = vec![classes.is_empty(); self.labels().len()];
        for text in classes {
            let unknown =
                |class: &str| ModelError::UnknownClass(class.to_owned(), known(self.labels()));
            for class in named_classes(self.labels(), text).map_err(unknown)? {
                *chosen
                    .get_mut(class as usize)
                    .ok_or_else(|| unknown(text))? = true;
            }
        }
        let classes = (!classes.is_empty()).then_some(chosen);
        self.confidence = confidence;
        self.selection = Selection {
            threshold: confidence.as_f32(),
            max_objects,
            classes,
        };
        Ok(self)
    }

    /// The threshold of scores.
    pub fn confidence(&self) -> Confidence {
        self.confidence
    }

    /// The maximum number of objects of a frame.
    pub(crate) fn selection_limit(&self) -> usize {
        self.selection.max_objects
    }

    /// Names of the classes that may be chosen; none if all may.
    pub(crate) fn chosen_classes(&self) -> Option<Vec<&str>> {
        let chosen = self.selection.classes.as_ref()?;
        Some(
            self.labels()
                .iter()
                .zip(chosen)
                .filter(|(_, chosen)| **chosen)
                .map(|(name, _)| &**name)
                .collect(),
        )
    }

    /// What a user should know of the model: an input size that is assumed, parts of the checkpoint that are not used.
    pub fn warnings(&self) -> Vec<SourceWarning> {
        let path = self
            .origin
            .files
            .first()
            .map_or_else(|| self.origin.name.clone(), |(path, _)| path.clone());
        let mut warnings = Vec::new();
        let config = self.model.config();
        if config.input_size_source == InputSizeSource::Assumed {
            let size = config.input_size;
            let problem = format!(
                "nothing in the checkpoint says the size of its input: {}x{} is assumed",
                size.width, size.height
            );
            warnings.push(
                SourceWarning::new(&path, problem).with_remedy("give the size it was trained for"),
            );
        }
        if self.model.mask_head() > 0 {
            let problem = format!(
                "its mask head ({} tensors) is not used: it finds boxes",
                self.model.mask_head()
            );
            warnings.push(
                SourceWarning::new(&path, problem)
                    .with_remedy("`ultramotion pipeline` outlines them with MobileSAM"),
            );
        }
        warnings
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
            Picture::Surface(surface) => {
                self.model
                    .preprocess_surface(surface, self.engine.device(), dtype)?
            }
        })
    }

    /// Runs the model on its input `[1, height, width, channels]`, on a GPU by replaying what `graphs` holds for inputs of this
    /// shape. `graphs` must be used with this detector alone.
    ///
    /// # Errors
    /// [`ModelError`] if memory ran out or the device failed.
    pub fn forward(
        &self,
        graphs: &mut GraphCache,
        pixels: &Tensor,
    ) -> Result<dfine::DFineOutput, ModelError> {
        outputs(graphs.run(&self.engine, 0, &[pixels], self.work())?)
    }

    /// As [`Detector::forward`], but on a GPU the next call with `graphs` overwrites the outputs.
    pub(crate) fn forward_shared(
        &self,
        graphs: &mut GraphCache,
        pixels: &Tensor,
    ) -> Result<dfine::DFineOutput, ModelError> {
        outputs(graphs.run_shared(&self.engine, 0, &[pixels], self.work())?)
    }

    fn work(&self) -> impl Fn(&[Tensor]) -> Result<Vec<Tensor>, ModelError> + '_ {
        |inputs: &[Tensor]| -> Result<Vec<Tensor>, ModelError> {
            let Some(pixels) = inputs.first() else {
                return Ok(Vec::new());
            };
            let dfine::DFineOutput { logits, pred_boxes } = self.model.forward(pixels)?;
            Ok(vec![logits, pred_boxes])
        }
    }

    /// The objects of a frame, best score first, boxes cut to the frame. `graphs` must be used with this detector alone.
    ///
    /// # Errors
    /// [`ModelError`] if the model computed nonsense or memory ran out.
    pub fn detect(
        &self,
        graphs: &mut GraphCache,
        frame: &Frame,
        times: &StageTimes,
    ) -> Result<Vec<Object>, ModelError> {
        let engine = &self.engine;
        let pixels = Stage::DetectPreprocess.run(engine, times, || self.preprocess(frame))?;
        let output = Stage::Detect.run(engine, times, || self.forward_shared(graphs, &pixels))?;
        Stage::Select.run(engine, times, || self.select(frame, &output))
    }

    fn select(
        &self,
        frame: &Frame,
        output: &dfine::DFineOutput,
    ) -> Result<Vec<Object>, ModelError> {
        let logits = self.engine.download_f32(Stage::Select, &output.logits)?;
        let boxes = self
            .engine
            .download_f32(Stage::Select, &output.pred_boxes)?;
        let candidates = self.model.select(&logits, &boxes, &self.selection)?;
        Ok(candidates
            .into_iter()
            .filter_map(|c| self.object(c, frame.size()))
            .collect())
    }

    /// A chosen pair of query and class in a frame of `size`; none if its box has no extent there.
    pub(crate) fn object(&self, chosen: Candidate, size: Size) -> Option<Object> {
        let bbox = Some(chosen.bbox.to_pixels(size).clamped(size))
            .filter(crate::geometry::BoxXyxy::is_valid)?;
        let label = self
            .labels()
            .get(chosen.class)
            .cloned()
            .unwrap_or_else(|| Arc::from(chosen.class.to_string()));
        Some(Object {
            bbox,
            score: chosen.score,
            class: chosen.class,
            label,
            mask: None,
            mask_score: None,
            track: None,
        })
    }

    /// Maximum number of objects of a frame, at least 1 ([`Detector::min_logit`] rules all out where there are to be none).
    pub(crate) fn max_objects(&self) -> usize {
        self.selection
            .max_objects
            .clamp(1, postprocess::MAX_DETECTIONS)
    }

    /// The lowest logit that makes an object.
    pub(crate) fn min_logit(&self) -> f32 {
        if self.selection.max_objects == 0 {
            f32::INFINITY
        } else {
            postprocess::min_logit(self.selection.threshold)
        }
    }

    /// For each class 1 where it may be chosen and 0 where not, on the device; none where all may.
    pub(crate) fn allowed_classes(&self) -> Result<Option<Tensor>, ModelError> {
        let Some(classes) = &self.selection.classes else {
            return Ok(None);
        };
        let allowed: Vec<u32> = classes.iter().map(|&c| u32::from(c)).collect();
        let allowed =
            Tensor::new(allowed, &candle_core::Device::Cpu).map_err(ModelError::op("classes"))?;
        Ok(Some(self.engine.upload_tensor(Stage::Load, &allowed)?))
    }
}

fn outputs(made: Vec<Tensor>) -> Result<dfine::DFineOutput, ModelError> {
    match <[Tensor; 2]>::try_from(made) {
        Ok([logits, pred_boxes]) => Ok(dfine::DFineOutput { logits, pred_boxes }),
        Err(_) => Err(ModelError::NoModels),
    }
}

/// The classes that `text` names: one, or several with commas between them. Of names that begin alike the longest counts, so that names
/// with commas are found; a part in quotes is a name as it is. The error is the part that names none.
fn named_classes<'a>(labels: &Labels, text: &'a str) -> Result<Vec<u32>, &'a str> {
    let of = |part: &str| -> Option<Vec<u32>> {
        let part = part.trim();
        let bare = part
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(part);
        for name in [part, bare] {
            let named: Vec<u32> = labels.find_all(name).collect();
            if !named.is_empty() {
                return Some(named);
            }
        }
        part.parse()
            .ok()
            .filter(|&class: &u32| (class as usize) < labels.len())
            .map(|class| vec![class])
    };
    let (mut found, mut rest) = (Vec::new(), text);
    loop {
        // The whole rest first, then up to each comma from behind.
        let ends = std::iter::once(rest.len()).chain(rest.rmatch_indices(',').map(|(at, _)| at));
        let named = ends
            .filter_map(|end| Some((of(rest.get(..end)?)?, end)))
            .next();
        let Some((classes, end)) = named else {
            let part = rest.split(',').next().unwrap_or(rest).trim();
            return Err(if part.is_empty() { text } else { part });
        };
        found.extend(classes);
        match rest.get(end + 1..) {
            Some(after) => rest = after,
            None => return Ok(found),
        }
    }
}

fn known(labels: &Labels) -> String {
    const SHOWN: usize = 20;
    let names: Vec<String> = labels
        .iter()
        .take(SHOWN)
        .map(|name| crate::text::quoted(name))
        .collect();
    let more = if labels.len() > SHOWN {
        format!(", … ({} in all)", labels.len())
    } else {
        String::new()
    };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_alone_in_lists_and_with_commas_of_their_own() {
        let labels = Labels::new(["bone", "Zyste", "Zyste, groß", "needle, tip, bent", "bone"]);
        let of = |text| named_classes(&labels, text);
        assert_eq!(of("Bone"), Ok(vec![0, 4]));
        assert_eq!(of("Zyste, groß"), Ok(vec![2]));
        assert_eq!(of("Zyste,bone"), Ok(vec![1, 0, 4]));
        assert_eq!(
            of("bone, zyste, groß,needle, tip, bent"),
            Ok(vec![0, 4, 2, 3])
        );
        assert_eq!(of("\"Zyste, groß\", 3"), Ok(vec![2, 3]));
        assert_eq!(of("1,3"), Ok(vec![1, 3]));
        assert_eq!(of("bone,vessel"), Err("vessel"));
        assert_eq!(of("5"), Err("5"));
        assert_eq!(of("bone,"), Err("bone,"));
        assert_eq!(of("Zyste, klein"), Err("klein"));
    }
}
