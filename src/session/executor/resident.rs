//! Frames through the models without leaving the device: one upload up, one packed result down, and no wait in between.
//!
//! What does not depend on a frame's size or on what was found in it is captured once: detector and image encoder side by side in one
//! graph, the mask decoder in another for each number of slots. Between them, single kernels choose the objects and write the prompts.
//! Every frame has the same number of slots for objects, a little more than were found lately; a frame with more objects is done again
//! with as many slots as it needs.

pub(crate) mod on_device;

use crate::{
    engine::{CapturedGraph, Download, Engine, OutOfMemory, StagingRing},
    frame::Frame,
    geometry::{LongestSide, Size},
    models::mobile_sam::{IMAGE_SIDE, ObjectPrompt, PackedPrompts},
    ops::{self, Normalisation, ObjectChoice},
    session::{
        detector::Detector,
        error::ModelError,
        executor::{
            interface::{CompletedFrame, Executor, Objects, PendingFrame},
            resident_graphs::{BOX, Key, record_decoder, record_decoder_chunks, record_forward},
            resident_layout::{FrameLayout, MaskRows, PromptGroup, Slots, scaled},
        },
        models::Models,
        picture::{self, Picture},
        prompted::Prompted,
        stage::Stage,
    },
};
use candle_core::{DType, Tensor};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

/// Frames or batches of frames that the device may have before it at a time.
const IN_FLIGHT: usize = 2;

/// Runs the models as graphs on a GPU.
pub(crate) struct Resident {
    models: Models,
    /// Owner of the stream that everything but the detector runs on.
    primary: Engine,
    batch: usize,
    in_flight: usize,
    uploads: StagingRing,
    forward: CapturedGraph,
    decoders: BTreeMap<Key, CapturedGraph>,
    classes: Option<Tensor>,
    /// The lowest logit that makes an object.
    min_logit: f32,
    result: Option<Tensor>,
    idle: Vec<Download>,
    in_flight_batches: VecDeque<InFlightBatch>,
    slots: Slots,
}

impl fmt::Debug for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Resident of batch {} on {}, {} in flight",
            self.batch,
            self.primary.name(),
            self.in_flight_batches.len()
        )
    }
}

/// Frames that the device works on.
struct InFlightBatch {
    frames: Vec<PendingFrame>,
    prompted: Vec<Vec<Prompted>>,
    /// What comes down, or what went wrong.
    result: Result<Packed, ModelError>,
    submit: Duration,
}

/// A result on its way down, and where each frame's part of it lies.
struct Packed {
    download: Download,
    layouts: Vec<FrameLayout>,
}

impl Resident {
    /// Captures the models for batches of `batch` frames. With `latency` one batch is worked on at a time. Prompts that differ from
    /// frame to frame need a batch of 1.
    pub(crate) fn new(models: Models, batch: usize, latency: bool) -> Result<Self, ModelError> {
        let primary = models.engine().ok_or(ModelError::NoModels)?.clone();
        let batch = if models.detector.is_some() {
            batch.max(1)
        } else {
            1
        };
        let in_flight = if latency { 1 } else { IN_FLIGHT };
        Ok(Self {
            uploads: StagingRing::new(&primary, batch * (in_flight + 1))?,
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
            idle: Vec::new(),
            in_flight_batches: VecDeque::new(),
            slots: Slots::default(),
            models,
            primary,
            batch,
            in_flight,
        })
    }

    fn enqueue_batch(&mut self, frames: Vec<PendingFrame>) -> InFlightBatch {
        let start = Instant::now();
        let number = frames.first().map_or(0, |t| t.number);
        let prompted: Vec<Vec<Prompted>> = match &self.models.detector {
            None => frames
                .iter()
                .map(|t| t.prompts.clone().unwrap_or_default())
                .collect(),
            Some(_) => Vec::new(),
        };
        let result = Engine::in_frame(number, || {
            let mut download = self
                .idle
                .pop()
                .map_or_else(|| Download::new(&self.primary), Ok)?;
            let layouts = self.enqueue(&frames, &prompted, &mut download)?;
            Ok(Packed { download, layouts })
        });
        InFlightBatch {
            frames,
            prompted,
            result,
            submit: start.elapsed(),
        }
    }

    /// Asks the device for everything from the upload to the result on its way down.
    fn enqueue(
        &mut self,
        frames: &[PendingFrame],
        prompted: &[Vec<Prompted>],
        download: &mut Download,
    ) -> Result<Vec<FrameLayout>, ModelError> {
        let prompts = match prompted.first() {
            Some(prompted) => self.pack_prompts(frames, prompted)?,
            None => Vec::new(),
        };
        download.mark("")?;
        let values: Vec<u8> = prompts
            .iter()
            .flat_map(|group| &group.values)
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let mut tokens = None;
        for (at, taken) in frames.iter().enumerate() {
            tokens = Engine::in_frame(taken.number, || self.bring(at, &taken.frame, &values))?;
        }
        download.mark(Stage::Preprocess.name())?;
        Stage::Forward.enqueue(&self.primary, download, || self.forward.launch())?;
        let slots = if self.models.detector.is_some() && self.models.segmenter.is_some() {
            self.slots.now()
        } else {
            0
        };
        let most = self.models.detector.as_ref().map_or(0, |d| d.max_objects());
        let (layouts, words) =
            FrameLayout::of(frames.iter().map(|t| t.frame.size()), most, slots, &prompts);
        let result = self.room(words)?;
        if let Some(detector) = self.models.detector.clone() {
            self.select_objects(&detector, &layouts, (&result, slots), download)?;
        }
        if slots > 0 {
            let rows: Vec<(usize, &MaskRows)> = layouts
                .iter()
                .enumerate()
                .flat_map(|(at, l)| l.masks.iter().map(move |rows| (at * slots, rows)))
                .collect();
            self.outline((BOX, slots), &rows, &result, download)?;
        }
        if let (Some(tokens), Some(layout)) = (tokens, layouts.first()) {
            self.outline_prompts(&prompts, layout, (&tokens, &result), download)?;
        }
        let packed = result
            .narrow(0, 0, words)
            .map_err(ModelError::op("result"))?;
        download.start(Stage::Pack, &packed)?;
        Ok(layouts)
    }

    /// Brings a frame to place `at` of the models' inputs, with `beside` it, which comes back as bytes on the device.
    fn bring(
        &mut self,
        at: usize,
        frame: &Frame,
        beside: &[u8],
    ) -> Result<Option<Tensor>, ModelError> {
        let size = frame.size();
        let (picture, bytes) = match picture::surface_for(&self.primary, frame) {
            Some(surface) => {
                let bytes = if beside.is_empty() {
                    None
                } else {
                    Some(
                        self.uploads
                            .upload(Stage::Decode, beside, &[beside.len()])?,
                    )
                };
                (Picture::Surface(surface), bytes)
            }
            None => {
                let image = picture::on_host(frame)?;
                let (rows, columns) = size.rows_columns();
                let (picture, bytes) = self.bring_pixels(
                    image.data(),
                    &[rows, columns, image.channels().count()],
                    beside,
                )?;
                (Picture::Tensor(picture), bytes)
            }
        };
        self.primary
            .within(Stage::Preprocess, || self.fill(at, &picture, size))?;
        self.uploads.mark_consumed()?;
        Ok(bytes)
    }

    /// One upload of a picture of `shape` and what is `beside` it.
    fn bring_pixels(
        &mut self,
        pixels: &[u8],
        shape: &[usize],
        beside: &[u8],
    ) -> Result<(Tensor, Option<Tensor>), ModelError> {
        if beside.is_empty() {
            return Ok((self.uploads.upload(Stage::Decode, pixels, shape)?, None));
        }
        let all = [pixels, beside].concat();
        let both = self.uploads.upload(Stage::Decode, &all, &[all.len()])?;
        let part = |from: usize, length: usize| {
            both.narrow(0, from, length)
                .map_err(ModelError::op("upload"))
        };
        let picture = part(0, pixels.len())?
            .reshape(shape)
            .map_err(ModelError::op("upload"))?;
        Ok((picture, Some(part(pixels.len(), beside.len())?)))
    }

    fn fill(&self, at: usize, picture: &Picture<'_>, size: Size) -> Result<(), ModelError> {
        let mut inputs = self.forward.inputs().iter();
        let mut place = || {
            inputs
                .next()
                .ok_or(ModelError::NoModels)?
                .narrow(0, at, 1)
                .map_err(ModelError::op("preprocessing"))
        };
        if let Some(detector) = self.models.detector.clone() {
            match picture {
                Picture::Tensor(picture) => detector.model().preprocess_to(picture, &place()?)?,
                Picture::Surface(surface) => detector.model().preprocess_surface_to(
                    surface,
                    self.primary.device(),
                    &place()?,
                )?,
            }
        }
        if self.models.segmenter.is_some() {
            let scaled = scaled(size);
            let (by, out) = (&Normalisation::IMAGENET, place()?);
            let made = match picture {
                Picture::Tensor(picture) => ops::resize_normalise_to(picture, scaled, by, &out),
                Picture::Surface(surface) => ops::resize_normalise_surface_to(
                    surface,
                    self.primary.device(),
                    scaled,
                    by,
                    &out,
                ),
            };
            made.map_err(ModelError::op("preprocessing"))?;
        }
        Ok(())
    }

    /// Memory on the device for a result of that many numbers.
    fn room(&mut self, words: usize) -> Result<Tensor, ModelError> {
        match &self.result {
            Some(result) if result.elem_count() >= words => Ok(result.clone()),
            _ => {
                self.result = None;
                Ok(self
                    .result
                    .insert(self.primary.zeros(DType::U32, &[words + words / 2])?)
                    .clone())
            }
        }
    }

    /// Enqueues the selection of each frame's objects: to its records, and their boxes to the decoder's slots.
    fn select_objects(
        &mut self,
        detector: &Detector,
        layouts: &[FrameLayout],
        (result, slots): (&Tensor, usize),
        download: &mut Download,
    ) -> Result<(), ModelError> {
        let prompts = if slots > 0 {
            self.decoder_mut((BOX, slots))?.inputs().get(1).cloned()
        } else {
            None
        };
        let primary = self.primary.clone();
        Stage::Select.enqueue(&primary, download, || {
            self.choose(detector, layouts, result, (prompts.as_ref(), slots))
        })
    }

    /// Enqueues the selection of each frame's objects: to its records in `result`, and their boxes to `prompts`
    /// `[frames · slots, 4]` f32.
    fn choose(
        &self,
        detector: &Detector,
        layouts: &[FrameLayout],
        result: &Tensor,
        (prompts, slots): (Option<&Tensor>, usize),
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
            let prompts = prompts
                .map(|p| p.narrow(0, at * slots, slots))
                .transpose()?;
            ops::choose_objects(
                &logits.get(at)?,
                &boxes.get(at)?,
                &choice,
                &records,
                prompts.as_ref(),
            )
        };
        layouts
            .iter()
            .enumerate()
            .try_for_each(|(at, layout)| one(at, layout))
            .map_err(ModelError::op("selection"))
    }

    /// Decodes what the slots are prompted with; the masks from slot `first` on of each `rows` go to their place in the result.
    fn outline(
        &mut self,
        key: Key,
        rows: &[(usize, &MaskRows)],
        result: &Tensor,
        download: &mut Download,
    ) -> Result<(), ModelError> {
        let primary = self.primary.clone();
        let decoder = self.decoder_mut(key)?;
        Stage::DecodeMasks.enqueue(&primary, download, || decoder.launch())?;
        let [logits, scores] = decoder.outputs() else {
            return Err(ModelError::NoModels);
        };
        let one = |first: usize, rows: &MaskRows| -> ops::Result<()> {
            let (scaled, frame) = (rows.scaled(), rows.frame());
            let out = result
                .narrow(0, rows.start, rows.count * ops::mask_words(frame))?
                .reshape((rows.count, ()))?;
            let (logits, scores) = (
                logits.narrow(0, first, rows.count)?,
                scores.narrow(0, first, rows.count)?,
            );
            ops::best_masks_to_bits(&logits, &scores, IMAGE_SIDE, scaled, frame, &out)
        };
        let all = || rows.iter().try_for_each(|(first, rows)| one(*first, rows));
        let all = || all().map_err(ModelError::op("mask upsampling"));
        Stage::Masks.enqueue(&primary, download, all)
    }

    /// The user's prompts in the segmenter's input, in groups of as many tokens each.
    fn pack_prompts(
        &self,
        frames: &[PendingFrame],
        prompted: &[Prompted],
    ) -> Result<Vec<PromptGroup>, ModelError> {
        let Some(taken) = frames.first() else {
            return Ok(Vec::new());
        };
        let transform = LongestSide::new(taken.frame.size(), IMAGE_SIDE as u32);
        let prompts: Vec<ObjectPrompt> = prompted
            .iter()
            .map(|p| crate::session::segmenter::to_input(&p.prompt, &transform))
            .collect();
        let groups = PackedPrompts::pack(&prompts)?;
        Ok(groups.iter().map(PromptGroup::new).collect())
    }

    fn outline_prompts(
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
            self.outline(key, &[(0, rows)], result, download)?;
            at += bytes;
        }
        Ok(())
    }

    /// The mask decoder for that many tokens a prompt and slots a frame.
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

    /// What a completed batch holds, by frame; none if a frame has more objects than slots.
    fn read(
        &mut self,
        packed: &Packed,
        prompted: &[Vec<Prompted>],
    ) -> Result<Option<Vec<Objects>>, ModelError> {
        let Packed { download, layouts } = packed;
        let words = self.primary.within(Stage::Pack, || download.wait())?;
        let has_slots = self.models.detector.is_some() && self.models.segmenter.is_some();
        let room = layouts
            .first()
            .and_then(|l| l.masks.first())
            .map_or(0, |rows| rows.count);
        if has_slots
            && self
                .slots
                .note(layouts.iter().map(|layout| layout.objects(words)), room)
        {
            return Ok(None);
        }
        let one = |(at, layout): (usize, &FrameLayout)| match &self.models.detector {
            Some(detector) => layout.detected(words, detector, has_slots),
            None => layout.outlined(words, prompted.get(at).map_or(&[][..], Vec::as_slice)),
        };
        Ok(Some(layouts.iter().enumerate().map(one).collect()))
    }
}

impl Executor for Resident {
    fn batch(&self) -> usize {
        self.batch
    }

    fn is_full(&self) -> bool {
        self.in_flight_batches.len() >= self.in_flight
    }

    fn submit(&mut self, frames: Vec<PendingFrame>) {
        let batch = self.enqueue_batch(frames);
        self.in_flight_batches.push_back(batch);
    }

    fn is_ready(&self) -> bool {
        self.in_flight_batches.front().is_some_and(|batch| {
            batch
                .result
                .as_ref()
                .map_or(true, |packed| packed.download.is_ready())
        })
    }

    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>> {
        let mut batch = self.in_flight_batches.pop_front()?;
        loop {
            let InFlightBatch {
                frames,
                prompted,
                result,
                submit,
            } = batch;
            let mut packed = match result {
                Ok(packed) => packed,
                Err(error) => return Some(failed(frames, error)),
            };
            let number = frames.first().map_or(0, |frame| frame.number);
            let objects = match Engine::in_frame(number, || self.read(&packed, &prompted)) {
                Ok(objects) => objects,
                Err(error) => return Some(failed(frames, error)),
            };
            let of_device = packed.download.take_times();
            self.idle.push(packed.download);
            match objects {
                Some(objects) => return Some(completed(frames, objects, submit, of_device)),
                // Not enough slots: the same frames again, with more.
                None => batch = self.enqueue_batch(frames),
            }
        }
    }

    fn out_of_memory(&self, error: &ModelError) -> Option<OutOfMemory> {
        error.out_of_memory(&self.primary)
    }
}

fn completed(
    frames: Vec<PendingFrame>,
    objects: Vec<Objects>,
    submit: Duration,
    of_device: Vec<(&'static str, Duration)>,
) -> Vec<CompletedFrame> {
    let count = frames.len().max(1) as u32;
    let mut times: Vec<(&'static str, Duration)> = vec![(Stage::Submit.name(), submit / count)];
    for (stage, time) in of_device {
        match times.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, sum)) => *sum += time / count,
            None => times.push((stage, time / count)),
        }
    }
    frames
        .into_iter()
        .zip(objects)
        .map(|(pending, objects)| CompletedFrame {
            pending,
            objects,
            times: times.clone(),
        })
        .collect()
}

/// The error is each frame's: the first gets it as it is, the others in words.
fn failed(frames: Vec<PendingFrame>, error: ModelError) -> Vec<CompletedFrame> {
    let words = error.to_string();
    let mut error = Some(error);
    let each = frames.into_iter().map(|pending| {
        let objects = Err(error
            .take()
            .unwrap_or_else(|| ModelError::Batch(words.clone())));
        CompletedFrame {
            pending,
            objects,
            times: Vec::new(),
        }
    });
    each.collect()
}
