//! MobileSAM on frames: prompts in pixels of the frame to masks at the frame's resolution.

use crate::{
    engine::{Engine, GraphCache},
    frame::{Frame, Mask, Object},
    geometry::LongestSide,
    models::mobile_sam::{IMAGE_SIDE, MaskOutput, MobileSam, ObjectPrompt, PackedPrompts, Prompts},
    ops::{self, Normalisation, PackedMask},
    session::{
        error::ModelError,
        model_origin::ModelOrigin,
        picture::{self, Picture},
        prompted::Prompted,
        stage::Stage,
        stage_times::StageTimes,
    },
};
use candle_core::Tensor;

/// Outputs of the model, as messages call them.
pub(crate) const MASKS: &str = "the segmenter's output low_res_masks";
pub(crate) const SCORES: &str = "the segmenter's output iou_predictions";

/// A loaded segmenter and the device it runs on.
#[derive(Debug)]
pub struct Segmenter {
    engine: Engine,
    model: MobileSam,
    origin: ModelOrigin,
    multimask: bool,
}

impl Segmenter {
    /// A segmenter over a loaded model.
    pub fn new(engine: &Engine, model: MobileSam, origin: ModelOrigin) -> Self {
        Self {
            engine: engine.clone(),
            model,
            origin,
            multimask: false,
        }
    }

    /// Whether each prompt gives three masks, of which the one with the best estimated IoU is kept.
    #[must_use]
    pub fn with_multimask(mut self, multimask: bool) -> Self {
        self.multimask = multimask;
        self
    }

    /// Whether each prompt gives three masks.
    pub(crate) fn multimask(&self) -> bool {
        self.multimask
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
    pub fn model(&self) -> &MobileSam {
        &self.model
    }

    /// Brings a frame to the model's input `[1, 1024, 1024, 3]`, as [`crate::session::detector::Detector::preprocess`].
    ///
    /// # Errors
    /// [`ModelError`] if memory ran out.
    pub fn preprocess(&self, frame: &Frame) -> Result<Tensor, ModelError> {
        let (size, side) = (frame.size(), IMAGE_SIDE);
        let scaled = LongestSide::new(size, side as u32).scaled;
        let (scaled, padded) = (scaled.rows_columns(), (side, side));
        let (normalisation, dtype) = (&Normalisation::IMAGENET, self.engine.dtype());
        let made = match picture::on_device(&self.engine, frame)? {
            Picture::Tensor(image) => {
                ops::resize_normalise(&image, scaled, padded, 3, normalisation, dtype)
            }
            Picture::Surface(surface) => ops::resize_normalise_surface(
                surface,
                self.engine.device(),
                scaled,
                padded,
                3,
                normalisation,
                dtype,
            ),
        };
        made.map_err(ModelError::op("preprocessing"))
    }

    /// Embeds an image, on a GPU by replaying what `graphs` holds; the next call overwrites the embedding then. `graphs` must be
    /// used with this segmenter alone.
    pub(crate) fn encode_shared(
        &self,
        graphs: &mut GraphCache,
        pixels: &Tensor,
    ) -> Result<Tensor, ModelError> {
        let work = |inputs: &[Tensor]| -> Result<Vec<Tensor>, ModelError> {
            inputs
                .iter()
                .map(|pixels| Ok(self.model.encode(pixels)?))
                .collect()
        };
        graphs
            .run_shared(&self.engine, 0, &[pixels], work)?
            .pop()
            .ok_or(ModelError::NoModels)
    }

    /// Decodes a group of prompts, on a GPU by replaying what `graphs` holds for as many objects with as many tokens; the next call
    /// for these overwrites the output then.
    pub(crate) fn decode_group_shared(
        &self,
        graphs: &mut GraphCache,
        embedding: &Tensor,
        group: &PackedPrompts,
    ) -> Result<MaskOutput, ModelError> {
        let (values, shape) = group.values();
        let tokens = self.engine.upload_f32(Stage::DecodeMasks, values, &shape)?;
        let work = |inputs: &[Tensor]| -> Result<Vec<Tensor>, ModelError> {
            let [embedding, tokens] = inputs else {
                return Ok(Vec::new());
            };
            let output =
                self.model
                    .decode(embedding, &Prompts::from_packed(tokens)?, self.multimask)?;
            Ok(vec![output.low_res_masks, output.iou_predictions])
        };
        let number = 1 + u64::from(self.multimask);
        match <[Tensor; 2]>::try_from(graphs.run_shared(
            &self.engine,
            number,
            &[embedding, &tokens],
            work,
        )?) {
            Ok([low_res_masks, iou_predictions]) => Ok(MaskOutput {
                low_res_masks,
                iou_predictions,
            }),
            Err(_) => Err(ModelError::NoModels),
        }
    }

    /// Brings mask logits `[N, 256, 256]` to a frame's resolution as run lengths.
    ///
    /// # Errors
    /// [`ModelError`] if memory ran out or the device failed.
    pub fn masks(
        &self,
        logits: &Tensor,
        scaled: (usize, usize),
        frame: (usize, usize),
    ) -> Result<Vec<PackedMask>, ModelError> {
        if self.engine.is_cpu() {
            let broken = ops::contiguous(logits).and_then(|logits| ops::not_finite(&logits));
            if broken.map_err(ModelError::op("mask upsampling"))? > 0 {
                return Err(ModelError::NotFinite(MASKS));
            }
            return ops::masks_to_runs(logits, IMAGE_SIDE, scaled, frame)
                .map_err(ModelError::op("mask upsampling"));
        }
        let bits = ops::masks_to_bits(logits, IMAGE_SIDE, scaled, frame)
            .map_err(ModelError::op("mask upsampling"))?;
        let numbers = self.engine.download_u32(Stage::Masks, &bits)?;
        if !numbers
            .chunks_exact(ops::mask_words(frame))
            .all(ops::mask_is_finite)
        {
            return Err(ModelError::NotFinite(MASKS));
        }
        Ok(ops::bits_to_runs(&numbers, frame))
    }

    /// Outlines the prompted objects of a frame: encodes it once, decodes all prompts, brings the masks to the frame's
    /// resolution. An object without a box of its own gets its mask's.
    ///
    /// # Errors
    /// [`ModelError`] for prompts the model does not take or if memory ran out.
    pub(crate) fn segment(
        &self,
        graphs: &mut GraphCache,
        frame: &Frame,
        prompted: Vec<Prompted>,
        times: &StageTimes,
    ) -> Result<Vec<Object>, ModelError> {
        if prompted.is_empty() {
            return Ok(Vec::new());
        }
        let engine = &self.engine;
        let pixels = Stage::SegmentPreprocess.run(engine, times, || self.preprocess(frame))?;
        let embedding = Stage::Encode.run(engine, times, || self.encode_shared(graphs, &pixels))?;
        let size = frame.size();
        let transform = LongestSide::new(size, IMAGE_SIDE as u32);
        let prompts: Vec<ObjectPrompt> = prompted
            .iter()
            .map(|p| to_input(&p.prompt, &transform))
            .collect();
        let scaled = transform.scaled.rows_columns();
        let full = size.rows_columns();

        let mut objects: Vec<Object> = prompted.iter().map(|p| p.object.clone()).collect();
        for group in PackedPrompts::pack(&prompts)? {
            let decode = || self.decode(graphs, &embedding, &group);
            let (logits, scores) = Stage::DecodeMasks.run(engine, times, decode)?;
            let runs = Stage::Masks.run(engine, times, || self.masks(&logits, scaled, full))?;
            for ((&at, packed), score) in group.objects().iter().zip(runs).zip(scores) {
                let Some(object) = objects.get_mut(at) else {
                    continue;
                };
                let mask = Mask::from_measured(size, packed.counts, packed.area, packed.bounds);
                if prompted.get(at).is_some_and(|p| p.prompt.bounds.is_none())
                    && let Some(bounds) = mask.as_ref().and_then(Mask::bounds)
                {
                    object.bbox = bounds;
                }
                object.mask = mask;
                object.mask_score = Some(score);
            }
        }
        Ok(objects)
    }

    /// Logits `[N, 256, 256]` and estimated IoU of the mask that is kept for each object of a group.
    fn decode(
        &self,
        graphs: &mut GraphCache,
        embedding: &Tensor,
        group: &PackedPrompts,
    ) -> Result<(Tensor, Vec<f32>), ModelError> {
        let output = self.decode_group_shared(graphs, embedding, group)?;
        let (objects, masks) = output
            .iou_predictions
            .dims2()
            .map_err(ModelError::op("mask decoder"))?;
        let scores = self
            .engine
            .download_f32(Stage::Pack, &output.iou_predictions)?;
        let best: Vec<usize> = scores.chunks_exact(masks.max(1)).map(best_of).collect();
        let kept = best
            .iter()
            .enumerate()
            .map(|(object, &mask)| output.low_res_masks.get(object)?.narrow(0, mask, 1));
        let logits = match masks {
            1 => output.low_res_masks.squeeze(1),
            _ => kept
                .collect::<ops::Result<Vec<_>>>()
                .and_then(|kept| ops::concat_batches(&kept)),
        };
        let chosen = best.iter().enumerate().map(|(object, &mask)| {
            scores
                .get(object * masks + mask)
                .copied()
                .unwrap_or(f32::NAN)
        });
        let chosen: Vec<f32> = chosen.collect();
        if chosen.len() != objects || scores.iter().any(|score| !score.is_finite()) {
            return Err(ModelError::NotFinite(SCORES));
        }
        Ok((logits.map_err(ModelError::op("mask decoder"))?, chosen))
    }
}

/// Place of the greatest number, the first among equals.
fn best_of(scores: &[f32]) -> usize {
    scores
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (i, &s)| {
            if s > best.1 { (i, s) } else { best }
        })
        .0
}

/// A prompt in pixels of the model's input.
pub(crate) fn to_input(prompt: &ObjectPrompt, transform: &LongestSide) -> ObjectPrompt {
    let points = prompt.points.iter().map(|p| {
        let (x, y) = transform.point_to_input(p.x, p.y);
        crate::models::mobile_sam::PointPrompt {
            x,
            y,
            label: p.label,
        }
    });
    ObjectPrompt {
        bounds: prompt.bounds.map(|b| transform.box_to_input(b)),
        points: points.collect(),
    }
}
