//! The captured models, and the work that they enqueue between a frame on the device and its packed result.
//!
//! What depends neither on a frame's size nor on what is found in it is captured once: detector and image encoder side by
//! side in one graph, the mask decoder in one graph for each number of slots. Between them, single kernels select the
//! objects and write the prompts.

use crate::{
    engine::{CapturedGraph, Download, Engine, StagingRing},
    models::mobile_sam::IMAGE_SIDE,
    ops::{self, ObjectChoice, PromptSlots, SharedSlots, SlotRows},
    session::{
        detector::Detector,
        error::ModelError,
        executor::resident::{
            graphs::{BOX, Key, record_decoder, record_forward},
            layout::{FrameLayout, PromptGroup},
            masks::{MaskRows, Packing, scaled},
        },
        models::Models,
        stage::Stage,
    },
};
use candle_core::{DType, Tensor};
use std::{collections::BTreeMap, ops::Range};

/// The models as graphs on a GPU, with the memory that they read and write.
pub(super) struct CapturedModels {
    pub(super) models: Models,
    /// Owner of the stream that everything but the detector runs on.
    pub(super) primary: Engine,
    pub(super) batch: usize,
    pub(super) uploads: StagingRing,
    pub(super) forward: CapturedGraph,
    decoders: BTreeMap<Key, CapturedGraph>,
    classes: Option<Tensor>,
    /// The lowest logit that makes an object.
    min_logit: f32,
    result: Option<Tensor>,
    packed: Option<Tensor>,
}

impl CapturedModels {
    /// Captures detector and image encoder for batches of `batch` frames, with a staging ring of `uploads` slots.
    ///
    /// # Errors
    /// [`ModelError::NoModels`] without a model, else [`ModelError`] if the device failed or has no memory.
    pub(super) fn new(models: Models, batch: usize, uploads: usize) -> Result<Self, ModelError> {
        let primary = models.engine().ok_or(ModelError::NoModels)?.clone();
        Ok(Self {
            uploads: StagingRing::new(&primary, uploads)?,
            forward: primary.within(Stage::Load, || record_forward(&models, &primary, batch))?,
            decoders: BTreeMap::new(),
            classes: models
                .detector
                .as_ref()
                .map(|detector| detector.allowed_classes())
                .transpose()?
                .flatten(),
            min_logit: models
                .detector
                .as_ref()
                .map_or(f32::INFINITY, |detector| detector.min_logit()),
            result: None,
            packed: None,
            models,
            primary,
            batch,
        })
    }

    /// Whether the mask decoder runs on what the detector found.
    pub(super) fn decodes_detected(&self) -> bool {
        self.models.detector.is_some() && self.models.segmenter.is_some()
    }

    /// Maximum number of objects of a frame; 0 without a detector.
    pub(super) fn max_objects(&self) -> usize {
        self.models
            .detector
            .as_ref()
            .map_or(0, |detector| detector.max_objects())
    }

    /// Memory on the device for a result of `words` u32: that of the last result where it is large enough.
    pub(super) fn reserve(&mut self, words: usize) -> Result<Tensor, ModelError> {
        reserve(&self.primary, &mut self.result, words)
    }

    /// As [`CapturedModels::reserve`], for a result whose masks are moved together.
    pub(super) fn reserve_packed(&mut self, words: usize) -> Result<Tensor, ModelError> {
        reserve(&self.primary, &mut self.packed, words)
    }

    /// Enqueues the moving together of the masks in `result` to behind the records in `packed`.
    pub(super) fn pack(
        &mut self,
        slots: Option<&FrameLayout>,
        packing: &Packing,
        (result, packed): (&Tensor, &Tensor),
        download: &mut Download,
    ) -> Result<(), ModelError> {
        let owners = match slots {
            Some(_) if self.batch > 1 => self
                .decoder_mut((BOX, packing.rows))?
                .inputs()
                .get(2)
                .cloned(),
            _ => None,
        };
        let primary = self.primary.clone();
        let enqueue = || -> ops::Result<()> {
            let rows = result
                .narrow(0, packing.head, packing.rows * packing.stride)?
                .reshape((packing.rows, packing.stride))?;
            // Where one frame has all slots, its records begin with the number of its objects.
            let in_use = match (&owners, slots) {
                (Some(owners), _) => Some(owners.narrow(0, 0, 1)?),
                (None, Some(layout)) => Some(packed.narrow(0, layout.records.start, 1)?),
                (None, None) => None,
            };
            let out = packed.narrow(0, packing.head, packing.words() - packing.head)?;
            ops::pack_masks(&rows, in_use.as_ref(), &out)
        };
        let enqueue = || enqueue().map_err(ModelError::op("masks of a result"));
        Stage::Masks.enqueue(&primary, download, enqueue)
    }

    /// Enqueues the selection of each frame's objects: to its records, and their boxes to the decoder's slots.
    pub(super) fn select_objects(
        &mut self,
        detector: &Detector,
        layouts: &[FrameLayout],
        (result, slots): (&Tensor, usize),
        download: &mut Download,
    ) -> Result<(), ModelError> {
        let inputs = if slots > 0 {
            self.decoder_mut((BOX, slots))?.inputs().to_vec()
        } else {
            Vec::new()
        };
        let primary = self.primary.clone();
        Stage::Select.enqueue(&primary, download, || {
            self.enqueue_selection(detector, layouts, result, (inputs.get(1), inputs.get(2)))
        })
    }

    /// Enqueues the selection of each frame's objects: to its records in `result`, and their boxes to `prompts` `[slots, 4]` f32, which the
    /// frames share as `owners` says where there are several.
    pub(super) fn enqueue_selection(
        &self,
        detector: &Detector,
        layouts: &[FrameLayout],
        result: &Tensor,
        (prompts, owners): (Option<&Tensor>, Option<&Tensor>),
    ) -> Result<(), ModelError> {
        let [logits, boxes, ..] = self.forward.outputs() else {
            return Err(ModelError::NoModels);
        };
        let one = |at: usize, layout: &FrameLayout| -> ops::Result<()> {
            let choice = ObjectChoice {
                min_logit: self.min_logit,
                max_objects: detector.max_objects(),
                classes: self.classes.as_ref(),
                frame: layout.size.rows_columns(),
                scaled: scaled(layout.size),
            };
            let records = result.narrow(0, layout.records.start, layout.records.len())?;
            let slots = prompts.map(|prompts| PromptSlots {
                prompts,
                shared: owners.map(|owners| SharedSlots {
                    owners,
                    frame: at,
                    is_last: at + 1 == layouts.len(),
                }),
            });
            ops::choose_objects(
                &logits.get(at)?,
                &boxes.get(at)?,
                &choice,
                &records,
                slots.as_ref(),
            )
        };
        layouts
            .iter()
            .enumerate()
            .try_for_each(|(at, layout)| one(at, layout))
            .map_err(ModelError::op("selection"))
    }

    /// Enqueues the mask decoder on the prompts in its input, then writes the masks as bits to their rows of the result: for each of
    /// `rows` those of its frames, all where no frames share them.
    pub(super) fn decode_masks(
        &mut self,
        key: Key,
        rows: &[(Range<usize>, &MaskRows)],
        result: &Tensor,
        download: &mut Download,
    ) -> Result<(), ModelError> {
        let primary = self.primary.clone();
        let decoder = self.decoder_mut(key)?;
        Stage::DecodeMasks.enqueue(&primary, download, || decoder.launch())?;
        let ([logits, scores], owners) = (decoder.outputs(), decoder.inputs().get(2)) else {
            return Err(ModelError::NoModels);
        };
        let one = |frames: &Range<usize>, rows: &MaskRows| -> ops::Result<()> {
            let out = result
                .narrow(0, rows.start, rows.count * rows.stride)?
                .reshape((rows.count, ()))?;
            let masks = (
                &logits.narrow(0, 0, rows.count)?,
                &scores.narrow(0, 0, rows.count)?,
            );
            let of_frames = owners.map(|owners| SlotRows {
                owners,
                frames: frames.clone(),
            });
            let (scaled, frame) = (rows.scaled(), rows.frame());
            ops::best_masks_to_bits(masks, IMAGE_SIDE, scaled, frame, of_frames.as_ref(), &out)
        };
        let all = || rows.iter().try_for_each(|(frames, rows)| one(frames, rows));
        let all = || all().map_err(ModelError::op("mask upsampling"));
        Stage::Masks.enqueue(&primary, download, all)
    }

    /// Enqueues the mask decoder for each group of the user's prompts, whose values `tokens` holds as bytes on the device.
    pub(super) fn decode_prompts(
        &mut self,
        groups: &[PromptGroup],
        layout: &FrameLayout,
        (tokens, result): (&Tensor, &Tensor),
        download: &mut Download,
    ) -> Result<(), ModelError> {
        let mut at = 0;
        for (group, rows) in groups.iter().zip(&layout.masks) {
            let key = (group.tokens, group.slots);
            let bytes = 4 * group.values.len();
            let input = self
                .decoder_mut(key)?
                .inputs()
                .get(1)
                .cloned()
                .ok_or(ModelError::NoModels)?;
            let part = tokens
                .narrow(0, at, bytes)
                .map_err(ModelError::op("prompts"))?;
            self.primary
                .within(Stage::DecodeMasks, || ops::floats_of_bytes(&part, &input))
                .map_err(ModelError::op("prompts"))?;
            self.decode_masks(key, &[(0..1, rows)], result, download)?;
            at += bytes;
        }
        Ok(())
    }

    /// The mask decoder for the tokens a prompt and the slots of `key`, captured where it is not yet.
    fn decoder_mut(&mut self, key: Key) -> Result<&mut CapturedGraph, ModelError> {
        if !self.decoders.contains_key(&key) {
            let (Some(segmenter), Some(embedding)) =
                (&self.models.segmenter, self.forward.outputs().last())
            else {
                return Err(ModelError::NoModels);
            };
            let captured = self.primary.within(Stage::Load, || {
                record_decoder(segmenter, embedding, key, self.batch)
            })?;
            self.decoders.insert(key, captured);
        }
        self.decoders.get_mut(&key).ok_or(ModelError::NoModels)
    }
}

/// Memory for `words` u32: what is `held` where it is large enough, else new.
fn reserve(
    primary: &Engine,
    held: &mut Option<Tensor>,
    words: usize,
) -> Result<Tensor, ModelError> {
    match held {
        Some(held) if held.elem_count() >= words => Ok(held.clone()),
        _ => {
            *held = None;
            let new = primary.zeros(DType::U32, &[words + words / 2])?;
            Ok(held.insert(new).clone())
        }
    }
}
